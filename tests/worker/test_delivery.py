"""Claim, answer, report: what becomes of messages, on real PostgreSQL. Infobip's words are given."""

import threading
import time
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, make_lane, route_of
from worker import answers, holds
from worker.claims import claim
from worker.errors import (
    CredentialRefused,
    NotSent,
    OutcomeUncertain,
    RequestRefused,
    SendError,
    Throttled,
    Violation,
)
from worker.infobip.answers import Answer
from worker.infobip.reports import Report, parse_item
from worker.infobip.statuses import verdict
from worker.models import Attempt, DeliveryReport, Lane, Message, Submission, UnmatchedReport
from worker.reports import apply_reports
from worker.settings import Settings, settings
from worker.states import State
from worker.submissions import OpenSubmission
from worker.tally import SHARDS, counts

ACCEPTED = verdict(26, 1, None, None)
DUPLICATE = verdict(23, 5, None, None)
NO_CREDIT = verdict(12, 5, None, None)
BAD_NUMBER = verdict(52, 5, None, None)


def take(session: Session, lane: MadeLane, limit: int = 100) -> OpenSubmission | None:
    submission = claim(session, route_of(session, lane), limit, 60, time.monotonic())
    session.commit()
    return submission


def took(session: Session, lane: MadeLane, limit: int = 100) -> OpenSubmission:
    submission = take(session, lane, limit)
    assert submission is not None
    return submission


def answer(session: Session, submission: OpenSubmission, settings: Settings, **verdicts: object) -> None:
    """All accepted, but for `m<index>=verdict` (None: no entry)."""
    said = {sent.wire_id: verdicts.get(f"m{i}", ACCEPTED) for i, sent in enumerate(submission.messages)}
    known = {wire_id: v for wire_id, v in said.items() if v is not None}
    answers.record_answer(session, submission, Answer(known, {}), settings)  # type: ignore[arg-type]
    session.commit()


def fail_with(
    session: Session, submission: OpenSubmission, settings: Settings, error: SendError
) -> list[OpenSubmission]:
    children = answers.record_error(session, submission, error, settings, time.monotonic)
    session.commit()
    return children


def report(
    message_id: UUID, attempt: int = 1, status: int = 5, group: int = 3, error: int = 0, done: str = "12:00:01.000"
) -> Report:
    item = parse_item(
        {
            "messageId": f"{message_id}-{attempt}",
            "status": {"id": status, "groupId": group, "name": f"S{status}", "groupName": "X"},
            "error": {"id": error},
            "doneAt": f"2026-11-23T{done}+0000",
            "price": {"pricePerMessage": 0.0021, "currency": "EUR"},
            "mccMnc": 40410,
        }
    )
    assert isinstance(item, Report)
    return item


def apply(session: Session, lane: MadeLane, *reports: Report) -> None:
    apply_reports(session, [(lane.credential_id, list(reports))], settings())
    session.commit()


def states(session: Session, ids: list[UUID]) -> list[str]:
    session.expire_all()
    return [session.get_one(Message, message_id).state for message_id in ids]


def message(session: Session, message_id: UUID) -> Message:
    session.expire_all()
    return session.get_one(Message, message_id)


def results(session: Session) -> list[str]:
    return [row.result for row in session.exec(select(DeliveryReport).order_by(DeliveryReport.id))]  # type: ignore[arg-type]


def assert_tally_is_exact(session: Session, lane: MadeLane) -> None:
    rows = session.execute(
        text(
            "SELECT state, CASE WHEN state IN ('queued', 'sending', 'sent', 'delivered') THEN '' "
            "ELSE coalesce(reason, '') END, count(*) FROM message WHERE lane_id = :lane GROUP BY 1, 2"
        ),
        {"lane": lane.id},
    )
    assert counts(session, [lane.id])[lane.id] == {(State(state), reason): n for state, reason, n in rows}


@pytest.fixture
def lane(session: Session) -> MadeLane:
    return make_lane(session)


# --- the claim and its gate


def test_a_claim_commits_submission_attempts_and_inherited_values(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    submission = took(session, lane)
    assert states(session, ids) == ["sending", "sending"]
    first = submission.messages[0]
    assert (first.number, first.content.sender, first.content.callback_data) == (1, "KITEBK", "order-5512")
    assert 3590 < first.remaining_seconds <= 3600
    row = session.get_one(Submission, submission.id)
    assert (row.message_count, row.bulk_ids, row.outcome) == (2, [submission.id], None)
    assert {a.number for a in session.exec(select(Attempt))} == {1}
    assert_tally_is_exact(session, lane)


def test_two_claims_at_once_never_share_a_message(
    session: Session, lane: MadeLane, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_batch(session, lane, [f"9199000000{i:02d}" for i in range(30)])
    route = route_of(session, lane)
    # On one shard the second would wait for the first's commit, which in this one thread never comes.
    shards = iter(range(SHARDS))
    monkeypatch.setattr("worker.tally.random.randrange", lambda _: next(shards))
    with Session(engine) as one, Session(engine) as other:
        first = claim(one, route, 20, 60, 0.0)
        second = claim(other, route, 20, 60, 0.0)  # the first has not committed
        one.commit()
        other.commit()
    assert first is not None
    assert second is not None
    assert (len(first.messages), len(second.messages)) == (20, 10)
    assert not {m.message_id for m in first.messages} & {m.message_id for m in second.messages}
    assert_tally_is_exact(session, lane)


@pytest.mark.parametrize(
    "closed",
    [
        "UPDATE message SET held = true",
        "UPDATE batch SET paused_at = now()",
        "UPDATE batch SET cancelled_at = now()",
        "UPDATE message SET expires_at = now() + interval '0.9 seconds'",
        "UPDATE message SET next_attempt_at = now() + interval '1 minute'",
        "UPDATE lane SET kind = 'account'",
        "UPDATE message SET state = 'sent'",
    ],
)
def test_the_gate_lets_nothing_through_that_may_not_leave(session: Session, lane: MadeLane, closed: str) -> None:
    make_batch(session, lane, ["919900000001"])
    session.execute(text(closed))
    session.commit()
    assert take(session, lane) is None
    assert session.exec(select(Submission)).all() == []


def test_the_longest_due_leave_first(session: Session, lane: MadeLane) -> None:
    later = make_batch(session, lane, ["919900000001"], due_in=timedelta(minutes=-1))
    first = make_batch(session, lane, ["919900000002"], due_in=timedelta(minutes=-5))
    assert [m.message_id for m in took(session, lane, 1).messages] == first
    assert [m.message_id for m in took(session, lane, 1).messages] == later


# --- answers


def test_each_message_of_an_answer_follows_its_own_status(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002", "919900000003"])
    submission = took(session, lane)
    order = [ids.index(m.message_id) for m in submission.messages]
    answer(session, submission, fresh_settings, **{f"m{order.index(1)}": BAD_NUMBER, f"m{order.index(2)}": None})
    assert states(session, ids) == ["sent", "failed", "sending"]
    assert message(session, ids[1]).reason == "REJECTED_DESTINATION"
    assert message(session, ids[1]).finished_at is not None
    doubted = session.get_one(Attempt, (ids[2], 1))
    assert doubted.outcome == "in doubt"
    assert doubted.look_at is not None
    assert session.get_one(Submission, submission.id).outcome == "answered"
    assert_tally_is_exact(session, lane)


def test_a_duplicate_on_first_use_is_doubt_and_after_doubt_acceptance(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    answer(session, submission, fresh_settings, m0=DUPLICATE)
    assert states(session, ids) == ["sending"]
    answer(session, submission, fresh_settings, m0=DUPLICATE)
    assert states(session, ids) == ["sent"]


def test_no_credit_holds_all_lanes_and_uses_no_slot(session: Session, lane: MadeLane, fresh_settings: Settings) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), fresh_settings, m0=NO_CREDIT)
    kept = message(session, ids[0])
    assert (kept.state, kept.attempt_count, kept.retry_count) == ("retrying", 1, 0)
    held = session.get_one(Lane, lane.id)
    assert held.kind == "account"
    assert "credit" in (held.reason or "")
    assert take(session, lane) is None


def test_no_credit_in_a_report_holds_the_lanes_unless_the_credential_changed_since(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    answer(session, took(session, lane), fresh_settings)
    apply(session, lane, report(ids[0], status=12, group=5))
    assert session.get_one(Lane, lane.id).kind == "account"
    session.execute(text("UPDATE credential SET version = version + 1"))
    holds.release(session, lane.credential_id)
    session.commit()
    apply(session, lane, report(ids[1], status=12, group=5))
    session.expire_all()
    assert session.get_one(Lane, lane.id).kind is None
    assert states(session, ids) == ["retrying", "retrying"]


def test_an_answer_to_a_request_from_before_a_change_of_key_does_not_hold(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    session.execute(text("UPDATE credential SET version = version + 1"))
    session.commit()
    fail_with(session, submission, fresh_settings, CredentialRefused("HTTP 401"))
    session.expire_all()
    assert session.get_one(Lane, lane.id).kind is None


def test_a_held_lane_lets_one_probe_through_at_a_time_and_its_success_opens_it(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    make_batch(session, lane, ["919900000001", "919900000002"])
    fail_with(session, took(session, lane), fresh_settings, CredentialRefused("HTTP 401"))
    assert not holds.take_probe(session, lane.id)  # not yet
    session.execute(text("UPDATE lane SET probe_at = now()"))
    assert holds.take_probe(session, lane.id)
    assert not holds.take_probe(session, lane.id)
    probe = claim(session, route_of(session, lane), 1, 60, time.monotonic(), is_probe=True)
    assert probe is not None
    answer(session, probe, fresh_settings)
    assert len(took(session, lane).messages) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotSent("refused"), None),
        (Throttled("slow down", 3.0), "fault"),
        (CredentialRefused("HTTP 401"), "account"),
    ],
)
def test_known_not_sent_burns_nothing(
    session: Session, lane: MadeLane, fresh_settings: Settings, error: SendError, kind: str | None
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    before = message(session, ids[0]).next_attempt_at
    fail_with(session, took(session, lane), fresh_settings, error)
    kept = message(session, ids[0])
    assert (kept.state, kept.attempt_count, kept.next_attempt_at) == ("queued", 0, before)
    assert session.get_one(Attempt, (ids[0], 1)).outcome == "released"
    assert session.get_one(Lane, lane.id).kind == kind
    holds.release(session, lane.credential_id)
    session.commit()
    assert took(session, lane).messages[0].number == 1
    assert_tally_is_exact(session, lane)


def test_a_released_retry_is_retrying_as_it_was(session: Session, lane: MadeLane, fresh_settings: Settings) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), fresh_settings)
    apply(session, lane, report(ids[0], status=9, group=2, error=27))
    session.execute(text("UPDATE message SET next_attempt_at = now()"))
    session.commit()
    fail_with(session, took(session, lane), fresh_settings, NotSent("refused"))
    kept = message(session, ids[0])
    assert (kept.state, kept.reason, kept.attempt_count) == ("retrying", "EC_ABSENT_SUBSCRIBER", 1)
    assert_tally_is_exact(session, lane)


def test_several_faults_in_a_row_hold_the_lane_and_a_success_clears_them(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    make_batch(session, lane, ["919900000001"])
    for _ in range(holds.FAULTS_IN_A_ROW - 1):
        fail_with(session, took(session, lane), fresh_settings, NotSent("refused"))
    answer(session, took(session, lane), fresh_settings)
    session.expire_all()
    assert session.get_one(Lane, lane.id).faults == 0
    make_batch(session, lane, ["919900000002"])
    for _ in range(holds.FAULTS_IN_A_ROW):
        fail_with(session, took(session, lane), fresh_settings, NotSent("refused"))
    assert take(session, lane) is None


def test_a_fault_and_a_change_of_key_at_once_do_not_deadlock(session: Session, lane: MadeLane, engine: Engine) -> None:
    route = route_of(session, lane)
    session.execute(text("UPDATE lane SET faults = 2"))
    session.commit()
    session.execute(text("SELECT 1 FROM credential FOR UPDATE"))

    def fault() -> None:
        with Session(engine) as other:
            holds.count_fault(other, route, "HTTP 500")
            other.commit()

    thread = threading.Thread(target=fault)
    thread.start()
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while not session.execute(waiting).scalar_one():
        time.sleep(0.01)
    holds.release(session, lane.credential_id)  # DeadlockDetected, had the fault taken the lane first
    session.commit()
    thread.join()


def test_unknown_fate_stays_sending_and_is_looked_up(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    fail_with(session, took(session, lane), fresh_settings, OutcomeUncertain("time-out"))
    assert states(session, ids) == ["sending"]
    doubted = session.get_one(Attempt, (ids[0], 1))
    assert doubted.outcome == "in doubt"
    assert doubted.doubted_at is not None
    assert doubted.look_at is not None
    assert doubted.look_at - doubted.doubted_at == timedelta(seconds=5)


# --- refused requests


def test_those_named_fail_alone_and_the_others_go_out_again_whole(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, [f"91990000000{i}" for i in range(4)])
    submission = took(session, lane)
    named = submission.messages[2].message_id
    refusal = RequestRefused("HTTP 400", (Violation(2, "messages[0].destinations[2].to: too long"),))
    (child,) = fail_with(session, submission, fresh_settings, refusal)
    assert message(session, named).state == "failed"
    assert "too long" in (session.get_one(Attempt, (named, 1)).detail or "")
    assert {m.message_id for m in child.messages} == set(ids) - {named}
    assert {m.number for m in child.messages} == {1}
    row = session.get_one(Submission, child.id)
    assert (row.parent_id, row.bulk_ids) == (submission.id, [submission.id, child.id])
    assert_tally_is_exact(session, lane)


def test_none_named_is_halved_until_the_bad_one_stands_alone(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, [f"9199000000{i:02d}" for i in range(64)])
    bad, requests = ids[37], 0
    waiting = [took(session, lane)]
    while waiting:
        submission, requests = waiting.pop(), requests + 1
        if bad in {m.message_id for m in submission.messages}:
            waiting += fail_with(session, submission, fresh_settings, RequestRefused("HTTP 400: no"))
        else:
            answer(session, submission, fresh_settings)
    assert states(session, ids) == ["failed" if i == bad else "sent" for i in ids]
    assert requests == 13  # 7 levels, one neighbour at each but the first
    assert message(session, bad).reason == "refused_by_infobip"
    assert_tally_is_exact(session, lane)


def test_what_may_no_longer_leave_is_not_in_a_half(session: Session, lane: MadeLane, fresh_settings: Settings) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    submission = took(session, lane)
    session.execute(text("UPDATE batch SET cancelled_at = now()"))
    session.commit()
    assert fail_with(session, submission, fresh_settings, RequestRefused("HTTP 400")) == []
    assert states(session, ids) == ["cancelled", "cancelled"]
    assert_tally_is_exact(session, lane)


# --- reports


def test_a_report_before_the_answer_wins_and_the_answer_changes_nothing(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    submission = took(session, lane)
    apply(session, lane, report(ids[0]), report(ids[1], status=9, group=2, error=27))
    assert states(session, ids) == ["delivered", "retrying"]
    answer(session, submission, fresh_settings)
    assert states(session, ids) == ["delivered", "retrying"]
    assert_tally_is_exact(session, lane)


def test_a_pending_report_settles_an_open_fate(session: Session, lane: MadeLane, fresh_settings: Settings) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    fail_with(session, took(session, lane), fresh_settings, OutcomeUncertain("time-out"))
    apply(session, lane, report(ids[0], status=7, group=1))
    assert states(session, ids) == ["sent"]


def test_delivered_to_operator_is_not_the_end(session: Session, lane: MadeLane, fresh_settings: Settings) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), fresh_settings)
    apply(session, lane, report(ids[0], status=2, group=3))
    assert states(session, ids) == ["sent"]


def test_two_reports_of_one_message_in_one_group_fold_in_order(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), fresh_settings)
    apply(
        session,
        lane,
        report(ids[0], status=9, group=2, error=27, done="12:00:01.000"),
        report(ids[0], status=5, done="12:00:02.000"),
        report(ids[0], status=9, group=2, error=1, done="12:00:03.000"),
    )
    assert states(session, ids) == ["delivered"]
    assert results(session) == ["applied", "applied", "noted"]
    assert_tally_is_exact(session, lane)


def test_a_repeated_report_is_stored_once(session: Session, lane: MadeLane, fresh_settings: Settings) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), fresh_settings)
    apply(session, lane, report(ids[0]), report(ids[0]))
    apply(session, lane, report(ids[0]))
    assert len(results(session)) == 1


def test_a_late_failure_of_an_earlier_attempt_changes_nothing(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), fresh_settings)
    apply(session, lane, report(ids[0], status=9, group=2, error=27))
    session.execute(text("UPDATE message SET next_attempt_at = now()"))
    session.commit()
    answer(session, took(session, lane), fresh_settings)
    apply(session, lane, report(ids[0], attempt=1, status=9, group=2, error=1, done="12:00:09.000"))
    assert states(session, ids) == ["sent"]
    assert results(session) == ["applied", "late"]


@pytest.mark.parametrize("final", ["failed", "expired", "suppressed", "cancelled", "unconfirmed", "queued", "retrying"])
def test_delivered_from_any_attempt_wins_over_every_state(session: Session, lane: MadeLane, final: str) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    took(session, lane)
    session.execute(text("UPDATE message SET state = :state, attempt_count = 2, reason = 'X'"), {"state": final})
    session.execute(text("DELETE FROM tally"))
    session.commit()
    apply(session, lane, report(ids[0], attempt=1))
    assert states(session, ids) == ["delivered"]


def test_a_permanent_failure_fails_and_a_transient_one_is_scheduled(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    answer(session, took(session, lane), fresh_settings)
    apply(session, lane, report(ids[0], status=9, group=2, error=4129), report(ids[1], status=9, group=2, error=27))
    assert states(session, ids) == ["failed", "retrying"]
    waits = message(session, ids[1])
    assert waits.next_attempt_at is not None
    wait = (waits.next_attempt_at - waits.created_at).total_seconds()
    assert 59 < wait < 75
    assert waits.retry_count == 1


def test_a_failure_in_a_cancelled_batch_is_cancelled(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), fresh_settings)
    session.execute(text("UPDATE batch SET cancelled_at = now()"))
    session.commit()
    apply(session, lane, report(ids[0], status=9, group=2, error=27))
    assert states(session, ids) == ["cancelled"]


def test_a_report_counts_only_for_messages_of_its_credential(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other")
    ids = make_batch(session, lane, ["919900000001"])
    took(session, lane)
    apply(session, other, report(ids[0]))
    assert states(session, ids) == ["sending"]
    assert len(session.exec(select(UnmatchedReport)).all()) == 1


def test_a_strange_item_is_kept_and_its_neighbours_count(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    took(session, lane)
    items = [parse_item(7), parse_item({"messageId": "theirs"}), report(ids[0])]
    apply_reports(session, [(lane.credential_id, items)], settings())
    session.commit()
    assert states(session, ids) == ["delivered"]
    assert {row.reason for row in session.exec(select(UnmatchedReport))} == {
        "not an object",
        "the message ID is not one of ours",
    }


def test_a_report_is_stored_with_its_callback_data_price_and_network(
    session: Session, lane: MadeLane, fresh_settings: Settings
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), fresh_settings)
    apply(session, lane, report(ids[0]))
    (row,) = session.exec(select(DeliveryReport)).all()
    assert (row.callback_data, str(row.price), row.currency, row.mcc_mnc) == ("order-5512", "0.0021", "EUR", "40410")
    assert (row.attempt, row.status_id, row.source, row.result) == (1, 5, "push", "applied")
    assert row.done_at is not None
    assert row.transaction_id > 0
