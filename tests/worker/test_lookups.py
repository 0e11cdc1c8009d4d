"""Unknown fates, missing reports, dead processes: settled with the real sandbox over HTTP and real PostgreSQL."""

import json
import threading
import time
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, route_of
from tests.processes import wait_for
from worker import answers, endings, lanes, recovery
from worker.claims import claim
from worker.errors import OutcomeUncertain
from worker.infobip.answers import Answer
from worker.infobip.client import Infobip
from worker.infobip.payloads import send_request
from worker.infobip.reports import Report
from worker.infobip.statuses import verdict
from worker.log_budget import LogBudget
from worker.look_plans import Look
from worker.lookups import Lookups
from worker.models import Attempt, DeliveryReport, Message, Submission
from worker.resubmission import resubmit
from worker.sending import Dispatcher
from worker.settings import Settings
from worker.submissions import OpenSubmission
from worker.words import MessageType

NOWHERE = "http://127.0.0.1:9/reports"


@pytest.fixture
def lane(sandbox_lane: MadeLane) -> MadeLane:
    return sandbox_lane


def claimed(session: Session, lane: MadeLane) -> OpenSubmission:
    submission = claim(session, route_of(session, lane), 500, 60, time.monotonic())
    session.commit()
    assert submission is not None
    return submission


def sent(session: Session, lane: MadeLane, settings: Settings, infobip: Infobip) -> OpenSubmission:
    """A submission that Infobip accepted; its reports go nowhere."""
    submission = claimed(session, lane)
    request = send_request(submission.route.channel, submission.id, submission.messages, 0.0, NOWHERE)
    answer = infobip.submit(submission.route.account, submission.route.channel, request, 5.0)
    answers.record_answer(session, submission, answer, settings)
    session.commit()
    return submission


def doubted(session: Session, lane: MadeLane, settings: Settings, *, landed: bool, infobip: Infobip) -> OpenSubmission:
    """A submission whose answer never came; with `landed` Infobip has it all the same."""
    submission = claimed(session, lane)
    if landed:
        request = send_request(submission.route.channel, submission.id, submission.messages, 0.0, NOWHERE)
        infobip.submit(submission.route.account, submission.route.channel, request, 5.0)
    answers.record_error(session, submission, OutcomeUncertain("time-out"), settings, time.monotonic)
    session.commit()
    return submission


def due_now(session: Session) -> None:
    session.execute(text("UPDATE attempt SET look_at = now() WHERE look_at IS NOT NULL"))
    session.commit()


def state(session: Session, message_id: UUID) -> str:
    session.expire_all()
    return session.get_one(Message, message_id).state


def accepted(sandbox: str) -> list[str]:
    return [item["message_id"] for item in httpx.get(sandbox + "/sandbox/messages?limit=1000").json()["items"]]


def test_a_doubt_that_landed_is_settled_by_the_logs_and_nothing_goes_out_again(
    session: Session, lane: MadeLane, sandbox: str, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=True, infobip=infobip)
    due_now(session)
    assert lookups.look() == 1
    assert state(session, message_id) == "delivered"
    (report,) = session.exec(select(DeliveryReport)).all()
    assert (report.source, report.result, report.callback_data) == ("pull", "applied", "order-5512")
    assert accepted(sandbox) == [f"{message_id}-1"]


def absent(session: Session, lookups: Lookups, settings: Settings) -> None:
    """All the looks at what is in doubt, one after the other."""
    for _ in settings.doubt_looks:
        due_now(session)
        lookups.look()


def test_a_doubt_that_never_landed_goes_out_again_under_its_number_after_each_look(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    first = doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    due_now(session)
    lookups.look()
    dispatcher.deliver(lane.id, 1)
    assert state(session, message_id) == "sending"  # absent once is not absent
    assert accepted(sandbox) == []
    due_now(session)
    lookups.look()
    assert accepted(sandbox) == []  # its lane sends it
    dispatcher.deliver(lane.id, 1)
    assert state(session, message_id) == "sent"
    assert accepted(sandbox) == [f"{message_id}-1"]
    attempt = session.get_one(Attempt, (message_id, 1))
    child = session.get_one(Submission, attempt.submission_id)
    assert (child.parent_id, child.bulk_ids) == (first.id, [first.id, child.id])


def test_status_23_in_answer_to_a_resubmission_means_the_first_had_landed(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=True, infobip=infobip)
    # Logs that do not show it, however often they are asked: another account's.
    session.execute(text("UPDATE submission SET bulk_ids = ARRAY[gen_random_uuid()]"))
    absent(session, lookups, fresh_settings)
    dispatcher.deliver(lane.id, 1)
    assert state(session, message_id) == "sent"
    assert accepted(sandbox) == [f"{message_id}-1"]


def test_absent_when_its_time_is_over_is_expired(
    session: Session, lane: MadeLane, sandbox: str, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    session.execute(text("UPDATE message SET expires_at = now()"))
    absent(session, lookups, fresh_settings)
    assert state(session, message_id) == "expired"
    assert accepted(sandbox) == []


def test_logs_out_of_reach_settle_nothing_until_they_have_forgotten(
    session: Session, lane: MadeLane, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    session.execute(text("UPDATE credential SET base_url = 'http://127.0.0.1:9'"))
    for _ in range(3):
        due_now(session)
        lookups.look()
    assert state(session, message_id) == "sending"
    session.execute(text("UPDATE attempt SET doubted_at = now() - interval '49 hours'"))
    due_now(session)
    lookups.look()
    assert state(session, message_id) == "unconfirmed"


def test_a_doubt_upon_a_doubt_is_looked_up_under_every_bulk_id_it_went_by(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    first = doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    absent(session, lookups, fresh_settings)
    httpx.put(sandbox + "/sandbox/faults", json={"timeout_after": 1.0, "report_seconds": 0.0}).raise_for_status()
    dispatcher.deliver(lane.id, 1)  # the resubmission lands, and its answer is lost too
    httpx.put(sandbox + "/sandbox/faults", json={"report_seconds": 0.0}).raise_for_status()
    session.expire_all()
    attempt = session.get_one(Attempt, (message_id, 1))
    assert (attempt.outcome, attempt.looks) == ("in doubt", 0)
    second = session.get_one(Submission, attempt.submission_id)
    assert second.bulk_ids == [first.id, second.id]
    due_now(session)
    lookups.look()
    assert state(session, message_id) == "delivered"
    assert accepted(sandbox) == [f"{message_id}-1"]


def test_the_word_of_the_logs_counts_for_a_minute(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    absent(session, lookups, fresh_settings)
    due_now(session)  # nobody sent it for a minute
    session.execute(text("UPDATE submission SET absent_until = now() WHERE absent_until IS NOT NULL"))
    session.commit()
    dispatcher.deliver(lane.id, 1)
    assert accepted(sandbox) == []
    lookups.look()
    dispatcher.deliver(lane.id, 1)
    assert accepted(sandbox) == [f"{message_id}-1"]


def test_a_lane_with_nothing_but_absent_attempts_is_due(
    session: Session, lane: MadeLane, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    assert lanes.due_lanes(session, MessageType.TRANSACTIONAL) == []
    absent(session, lookups, fresh_settings)
    assert lanes.due_lanes(session, MessageType.TRANSACTIONAL) == [lane.id]


def test_absent_attempts_that_may_not_leave_do_not_stand_in_the_way_of_others(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
) -> None:
    (paused,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    (free,) = make_batch(session, lane, ["919900000002"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    absent(session, lookups, fresh_settings)
    query = text("UPDATE batch SET paused_at = now() WHERE id = (SELECT batch_id FROM message WHERE id = :id)")
    session.execute(query, {"id": paused})
    session.commit()
    dispatcher.deliver(lane.id, 1)
    assert accepted(sandbox) == [f"{free}-1"]
    session.execute(text("UPDATE batch SET paused_at = NULL"))
    due_now(session)
    lookups.look()
    dispatcher.deliver(lane.id, 1)
    assert accepted(sandbox) == [f"{free}-1", f"{paused}-1"]


def test_two_processes_never_resubmit_the_same_attempt(
    session: Session,
    lane: MadeLane,
    engine: Engine,
    infobip: Infobip,
    lookups: Lookups,
    fresh_settings: Settings,
) -> None:
    make_batch(session, lane, [f"9199000000{n:02d}" for n in range(20)])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    absent(session, lookups, fresh_settings)
    route = route_of(session, lane)
    with Session(engine) as one, Session(engine) as other:
        first = resubmit(one, route, 12, time.monotonic(), fresh_settings)
        second = resubmit(other, route, 12, time.monotonic(), fresh_settings)
        assert first is not None
        assert len(first.messages) == 12
        assert second is None  # the other's hands are on all that is locked for it
        one.commit()
        third = resubmit(other, route, 12, time.monotonic(), fresh_settings)
        assert third is not None
        assert len(third.messages) == 8
        other.rollback()


def test_resubmissions_take_tokens_like_everything_else(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
) -> None:
    make_batch(session, lane, [f"9199000000{n:02d}" for n in range(30)])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    absent(session, lookups, fresh_settings)
    session.execute(text("UPDATE credential SET messages_per_second = 10"))
    session.execute(text("UPDATE lane SET message_type = 'marketing'"))
    session.commit()
    for _ in range(10):
        dispatcher.deliver(lane.id, 1)
        time.sleep(0.1)
    assert 0 < len(accepted(sandbox)) < 20


@pytest.mark.parametrize("landed", [True, False])
def test_an_account_that_is_no_longer_this_credentials_is_not_taken_for_one_that_knows(
    session: Session,
    engine: Engine,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
    landed: bool,
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=landed, infobip=infobip)
    httpx.delete(sandbox + "/sandbox/log")  # the new account knows nothing of it
    session.execute(text("UPDATE credential SET version = 2, account_since = 2"))
    session.commit()
    for _ in range(4):
        due_now(session)
        lookups.look()
        dispatcher.deliver(lane.id, 1)
    assert state(session, message_id) == "sending"
    assert accepted(sandbox) == []
    session.execute(text("UPDATE message SET expires_at = now() - interval '61 minutes'"))
    due_now(session)
    lookups.look()
    session.expire_all()
    ended = session.get_one(Message, message_id)
    assert (ended.state, ended.reason) == ("unconfirmed", "account_changed")


def test_logs_that_break_off_settle_what_they_told_and_nothing_else(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    budget: LogBudget,
    fresh_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(10)])
    doubted(session, lane, fresh_settings, landed=True, infobip=infobip)
    monkeypatch.setattr("worker.infobip.payloads.MOST_LOG_ROWS", 4)
    monkeypatch.setattr("worker.lookups.LONGEST_WAIT_SECONDS", 0.0)
    calls = iter([0.0, 0.0, 5.0])
    monkeypatch.setattr(budget, "take", lambda *_, **__: next(calls))
    due_now(session)
    lookups.look()
    states = [state(session, message_id) for message_id in ids]
    assert (states.count("delivered"), states.count("sending")) == (8, 2)
    looks = session.execute(text("SELECT looks FROM attempt WHERE outcome = 'in doubt'")).scalars().all()
    assert looks == [0, 0]  # those two were not asked about
    monkeypatch.setattr(budget, "take", lambda *_, **__: 0.0)
    due_now(session)
    lookups.look()
    assert [state(session, message_id) for message_id in ids] == ["delivered"] * 10


def test_what_is_absent_when_the_account_changes_does_not_go_to_the_new_one(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    absent(session, lookups, fresh_settings)
    session.execute(text("UPDATE credential SET version = 2, account_since = 2"))
    session.commit()
    dispatcher.deliver(lane.id, 1)
    assert (state(session, message_id), accepted(sandbox)) == ("sending", [])
    session.expire_all()
    assert session.get_one(Attempt, (message_id, 1)).outcome == "in doubt"


def test_a_look_under_way_is_no_word_of_the_logs(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
    fresh_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    absent(session, lookups, fresh_settings)
    due_now(session)
    ask = Lookups._ask

    def ask_while_the_lane_looks(self: Lookups, look: Look, rows: list[Report]) -> bool:
        dispatcher.deliver(lane.id, 1)
        assert accepted(sandbox) == []
        return ask(self, look, rows)

    monkeypatch.setattr(Lookups, "_ask", ask_while_the_lane_looks)
    assert lookups.look() == 1


def test_a_doubt_settled_as_pending_waits_for_its_first_report_look(
    session: Session, lane: MadeLane, sandbox: str, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    httpx.put(sandbox + "/sandbox/faults", json={"report_seconds": 3600.0}).raise_for_status()
    (message_id,) = make_batch(session, lane, ["919900000001"], validity=timedelta(hours=2))
    doubted(session, lane, fresh_settings, landed=True, infobip=infobip)
    due_now(session)
    lookups.look()
    assert state(session, message_id) == "sent"
    query = "SELECT looks, extract(epoch FROM look_at - now()) FROM attempt"
    looks, seconds = session.execute(text(query)).one()
    assert looks == 0
    assert seconds <= fresh_settings.missing_report_after[0].total_seconds()


def test_a_budget_that_is_spent_postpones_without_counting_a_look(
    session: Session,
    lane: MadeLane,
    infobip: Infobip,
    lookups: Lookups,
    budget: LogBudget,
    fresh_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=True, infobip=infobip)
    monkeypatch.setattr(budget, "take", lambda *_, **__: 60.0)
    due_now(session)
    assert lookups.look() == 0
    looks, seconds = session.execute(text("SELECT looks, extract(epoch FROM look_at - now()) FROM attempt")).one()
    assert looks == 0
    assert seconds < 5


def log_calls(sandbox: str) -> list[str]:
    lines = httpx.get(sandbox + "/sandbox/requests?format=jsonl").text.splitlines()
    return [call["path"] for call in map(json.loads, lines) if call["path"].startswith("/sms/3/logs")]


def test_a_few_reports_missing_of_many_are_asked_for_by_name(
    session: Session, lane: MadeLane, sandbox: str, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(90)])
    sent(session, lane, fresh_settings, infobip)
    session.execute(text("UPDATE submission SET message_count = 500"))
    session.execute(text("UPDATE attempt SET look_at = NULL WHERE message_id <> ALL(:few)"), {"few": ids[:3]})
    due_now(session)
    lookups.look()
    assert [state(session, message_id) for message_id in ids[:4]] == ["delivered"] * 3 + ["sent"]
    (call,) = log_calls(sandbox)
    assert all(f"{message_id}-1" in call for message_id in ids[:3])
    due_now(session)
    session.execute(text("UPDATE attempt SET look_at = now() WHERE outcome = 'accepted'"))
    session.commit()
    lookups.look()
    assert "bulkId=" in log_calls(sandbox)[-1]  # these are most of it
    assert {state(session, message_id) for message_id in ids} == {"delivered"}


def test_a_429_from_the_logs_stops_the_calls_of_that_account(
    session: Session,
    lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    budget: LogBudget,
    fresh_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=True, infobip=infobip)
    fault = {"too_many_requests": 1.0, "retry_after_seconds": 7}
    httpx.put(sandbox + "/sandbox/faults", json=fault).raise_for_status()
    told: list[float] = []
    monkeypatch.setattr(budget, "overdrawn", lambda _, seconds: told.append(seconds))
    due_now(session)
    lookups.look()
    assert told == [7.0]


def test_a_dead_process_leaves_doubt_behind_its_lease(session: Session, engine: Engine, lane: MadeLane) -> None:
    settings = Settings()
    (message_id,) = make_batch(session, lane, ["919900000001"])
    submission = claimed(session, lane)
    assert recovery.abandon(engine, settings) == 0
    session.execute(text("UPDATE submission SET lease_until = now()"))
    session.commit()
    assert recovery.abandon(engine, settings) == 1
    session.expire_all()
    assert session.get_one(Submission, submission.id).outcome == "abandoned"
    assert session.get_one(Attempt, (message_id, 1)).outcome == "in doubt"
    assert state(session, message_id) == "sending"


def test_a_late_answer_and_the_sweep_of_its_lease_do_not_deadlock(
    session: Session, engine: Engine, lane: MadeLane, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    submission = claimed(session, lane)
    session.execute(text("UPDATE submission SET lease_until = now()"))
    session.commit()
    with Session(engine) as late:
        late.execute(text("SELECT FROM message WHERE id = :id FOR UPDATE"), {"id": message_id})
        sweeping = threading.Thread(target=recovery.abandon, args=(engine, fresh_settings))
        sweeping.start()
        wait_for(lambda: _waiting(session) == 1)
        verdicts = {submission.messages[0].wire_id: verdict(26, 1, None, None)}
        answers.record_answer(late, submission, Answer(verdicts, {}), fresh_settings)
        late.commit()
    sweeping.join(10)
    session.expire_all()
    assert (state(session, message_id), session.get_one(Submission, submission.id).outcome) == ("sent", "answered")


def _waiting(session: Session) -> int:
    session.commit()
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return int(session.execute(text(query)).scalar_one())


def test_a_report_that_was_not_pushed_is_found_in_the_logs(
    session: Session, lane: MadeLane, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900009004"])
    sent(session, lane, fresh_settings, infobip)
    assert lookups.look() == 0  # not before its time
    due_now(session)
    assert lookups.look() == 1
    assert state(session, message_id) == "delivered"


def test_silence_is_asked_about_at_each_time_and_then_unconfirmed(
    session: Session, engine: Engine, lane: MadeLane, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900009010"], validity=timedelta(hours=2))
    sent(session, lane, fresh_settings, infobip)
    looks = 0
    while session.execute(text("SELECT count(*) FROM attempt WHERE look_at IS NOT NULL")).scalar_one():
        due_now(session)
        looks += lookups.look()
    assert looks == 3  # 10 minutes, 1 hour, and at expires_at
    assert endings.give_up(engine, fresh_settings) == 0
    session.execute(text("UPDATE message SET expires_at = now() - interval '61 minutes'"))
    session.commit()
    assert endings.give_up(engine, fresh_settings) == 1
    assert state(session, message_id) == "unconfirmed"
    assert session.exec(select(DeliveryReport)).all() == []


def test_nobody_gives_up_on_a_report_before_the_logs_were_asked(
    session: Session, engine: Engine, lane: MadeLane, infobip: Infobip, lookups: Lookups, fresh_settings: Settings
) -> None:
    (message_id,) = make_batch(session, lane, ["919900009004"])
    submission = sent(session, lane, fresh_settings, infobip)
    session.execute(text("UPDATE message SET expires_at = now() - interval '2 hours'"))
    session.execute(text("UPDATE credential SET base_url = 'http://127.0.0.1:9'"))
    due_now(session)
    lookups.look()  # out of reach
    assert endings.give_up(engine, fresh_settings) == 0
    session.execute(text("UPDATE credential SET base_url = :url"), {"url": submission.route.account.base_url})
    due_now(session)
    lookups.look()
    assert state(session, message_id) == "delivered"


def test_a_look_about_one_attempt_says_nothing_of_the_next(
    session: Session,
    lane: MadeLane,
    infobip: Infobip,
    lookups: Lookups,
    fresh_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (message_id,) = make_batch(session, lane, ["919900009010"])
    sent(session, lane, fresh_settings, infobip)
    due_now(session)
    ask = Lookups._ask

    def ask_while_it_goes_on(self: Lookups, look: Look, rows: list[Report]) -> bool:
        """The attempt fails and the next one falls into doubt before the logs have answered."""
        session.execute(text("UPDATE attempt SET outcome = 'failed', look_at = NULL"))
        session.execute(text("UPDATE message SET state = 'retrying', next_attempt_at = now()"))
        doubted(session, lane, fresh_settings, landed=True, infobip=infobip)
        return ask(self, look, rows)

    monkeypatch.setattr(Lookups, "_ask", ask_while_it_goes_on)
    lookups.look()
    session.expire_all()
    second = session.get_one(Attempt, (message_id, 2))
    assert (second.outcome, second.looks) == ("in doubt", 0)


def test_a_look_that_fails_is_said_without_the_row_that_the_database_quotes(
    session: Session,
    lane: MadeLane,
    infobip: Infobip,
    lookups: Lookups,
    fresh_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    due_now(session)

    def fail(*_: object, **__: object) -> bool:
        raise IntegrityError("INSERT", None, Exception("Key (recipient)=(919900000001) already exists"))

    monkeypatch.setattr(Lookups, "_settle", fail)
    assert lookups.look() == 0
    logged = "".join(capsys.readouterr())
    assert "look_failed" in logged
    assert "IntegrityError" in logged
    assert "919900000001" not in logged


def test_a_database_that_is_away_is_no_look_that_failed(
    session: Session,
    lane: MadeLane,
    infobip: Infobip,
    lookups: Lookups,
    fresh_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_batch(session, lane, ["919900000001"])
    doubted(session, lane, fresh_settings, landed=False, infobip=infobip)
    due_now(session)

    def lose_the_connection(*_: object, **__: object) -> bool:
        raise OperationalError("SELECT", None, Exception("the connection is lost"))

    monkeypatch.setattr(Lookups, "_settle", lose_the_connection)
    with pytest.raises(OperationalError):
        lookups.look()


def test_waiting_messages_expire_for_the_reason_of_their_last_failure(
    session: Session, engine: Engine, lane: MadeLane
) -> None:
    fresh, failed = make_batch(session, lane, ["919900000001", "919900000002"], left=timedelta(seconds=0.5))
    session.execute(text("UPDATE message SET reason = 'EC_ABSENT_SUBSCRIBER' WHERE id = :id"), {"id": failed})
    session.commit()
    assert endings.expire(engine) == 2
    session.expire_all()
    reasons = {row.id: (row.state, row.reason) for row in session.exec(select(Message))}
    assert reasons == {fresh: ("expired", "validity_over"), failed: ("expired", "EC_ABSENT_SUBSCRIBER")}
