"""Going out again: what Infobip's logs do not show, under its number, through its lane, never twice at once."""

import time
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine
from sqlmodel import Session

from tests.factories import MadeLane, make_batch, route_of
from tests.worker.steps import (
    absent,
    accepted,
    assert_tally_is_exact,
    attempt,
    change,
    consented,
    doubted,
    looks_due,
    message,
    set_faults,
    state,
    states,
    windows_close,
)
from worker.infobip.client import Infobip
from worker.infobip.reports import Report
from worker.look_plans import Look
from worker.lookups import Lookups
from worker.models import Submission
from worker.rates import Grant, Rates
from worker.resubmission import resubmit
from worker.sending import Dispatcher
from worker.settings import Settings
from worker.words import ConsentState


def test_a_doubt_that_never_landed_goes_out_again_under_its_number_after_each_look(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    first = doubted(session, sandbox_lane)
    looks_due(session)
    lookups.look()
    dispatcher.deliver(sandbox_lane.id, 1)
    assert state(session, message_id) == "sending"  # absent once is not absent
    assert accepted(sandbox) == []
    looks_due(session)
    lookups.look()
    assert accepted(sandbox) == []  # its lane sends it
    dispatcher.deliver(sandbox_lane.id, 1)
    assert state(session, message_id) == "sent"
    assert accepted(sandbox) == [f"{message_id}-1"]
    child = session.get_one(Submission, attempt(session, message_id).submission_id)
    assert (child.parent_id, child.bulk_ids) == (first.id, [first.id, child.id])


def test_status_23_in_answer_to_a_resubmission_means_the_first_had_landed(
    session: Session,
    sandbox_lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    dispatcher: Dispatcher,
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane, landed_at=infobip)
    # Logs that do not show it, however often they are asked: another account's.
    change(session, "UPDATE submission SET bulk_ids = ARRAY[gen_random_uuid()]")
    absent(session, lookups)
    dispatcher.deliver(sandbox_lane.id, 1)
    assert state(session, message_id) == "sent"
    assert accepted(sandbox) == [f"{message_id}-1"]


def test_a_doubt_upon_a_doubt_is_looked_up_under_every_bulk_id_it_went_by(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    first = doubted(session, sandbox_lane)
    absent(session, lookups)
    set_faults(sandbox, timeout_after=1.0, report_seconds=0.0)
    dispatcher.deliver(sandbox_lane.id, 1)  # the resubmission lands, and its answer is lost too
    set_faults(sandbox, report_seconds=0.0)
    again = attempt(session, message_id)
    assert (again.outcome, again.looks) == ("in doubt", 0)
    second = session.get_one(Submission, again.submission_id)
    assert second.bulk_ids == [first.id, second.id]
    looks_due(session)
    lookups.look()
    assert state(session, message_id) == "delivered"
    assert accepted(sandbox) == [f"{message_id}-1"]


def test_the_word_of_the_logs_counts_for_a_minute(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    absent(session, lookups)
    looks_due(session)  # nobody sent it for a minute
    change(session, "UPDATE submission SET absent_until = now() WHERE absent_until IS NOT NULL")
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == []
    lookups.look()
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == [f"{message_id}-1"]


def test_a_look_under_way_is_no_word_of_the_logs(
    session: Session,
    sandbox_lane: MadeLane,
    sandbox: str,
    lookups: Lookups,
    dispatcher: Dispatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    absent(session, lookups)
    looks_due(session)
    ask = Lookups._ask

    def ask_while_the_lane_looks(self: Lookups, look: Look, rows: list[Report]) -> bool:
        dispatcher.deliver(sandbox_lane.id, 1)
        assert accepted(sandbox) == []
        return ask(self, look, rows)

    monkeypatch.setattr(Lookups, "_ask", ask_while_the_lane_looks)
    assert lookups.look() == 1


def test_absent_attempts_that_may_not_leave_do_not_stand_in_the_way_of_others(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    (paused,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    (free,) = make_batch(session, sandbox_lane, ["919900000002"])
    doubted(session, sandbox_lane)
    absent(session, lookups)
    pause = "UPDATE batch SET paused_at = now() WHERE id = (SELECT batch_id FROM message WHERE id = :id)"
    change(session, pause, id=paused)
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == [f"{free}-1"]
    change(session, "UPDATE batch SET paused_at = NULL")
    looks_due(session)
    lookups.look()
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == [f"{free}-1", f"{paused}-1"]


def test_what_is_absent_of_one_who_opted_out_meanwhile_does_not_go_out_again(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    change(session, "UPDATE lane SET message_type = 'marketing'")
    ids = make_batch(session, sandbox_lane, ["919900000001", "919900000002"])
    doubted(session, sandbox_lane)
    absent(session, lookups)
    consented(session, sandbox_lane, "919900000001", ConsentState.OPTED_OUT)
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == [f"{ids[1]}-1"]
    assert states(session, ids) == ["sending", "sent"]  # the logs are asked once more
    looks_due(session)
    lookups.look()
    assert states(session, ids)[0] == "suppressed"
    assert message(session, ids[0]).reason == "opted_out"
    assert attempt(session, ids[0]).outcome == "released"
    assert_tally_is_exact(session, sandbox_lane)


def test_what_is_absent_when_the_account_changes_does_not_go_to_the_new_one(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    absent(session, lookups)
    change(session, "UPDATE credential SET version = 2, account_since = 2")
    dispatcher.deliver(sandbox_lane.id, 1)
    assert (state(session, message_id), accepted(sandbox)) == ("sending", [])
    assert attempt(session, message_id).outcome == "in doubt"


def test_two_processes_never_resubmit_the_same_attempt(
    session: Session, sandbox_lane: MadeLane, engine: Engine, lookups: Lookups, fresh_settings: Settings
) -> None:
    make_batch(session, sandbox_lane, [f"9199000000{n:02d}" for n in range(20)])
    doubted(session, sandbox_lane)
    absent(session, lookups)
    route = route_of(session, sandbox_lane)
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


class RatesAt(Rates):
    """Rates by a clock that the test sets."""

    seconds = 1000.0

    def take(self, *args: Any, **_: Any) -> Grant:
        return super().take(*args, at=self.seconds)

    def charge(self, *args: Any, **_: Any) -> None:
        super().charge(*args, at=self.seconds)


def test_resubmissions_take_tokens_like_everything_else(
    session: Session,
    sandbox_lane: MadeLane,
    sandbox: str,
    engine: Engine,
    infobip: Infobip,
    lookups: Lookups,
    redis_url: str,
    fresh_settings: Settings,
) -> None:
    make_batch(session, sandbox_lane, [f"9199000000{n:02d}" for n in range(30)])
    doubted(session, sandbox_lane)
    absent(session, lookups)
    change(session, "UPDATE credential SET messages_per_second = 10")
    change(session, "UPDATE lane SET message_type = 'marketing'")
    with redis.Redis.from_url(redis_url) as client:
        rates = RatesAt(client)
        dispatcher = Dispatcher(engine, infobip, rates, fresh_settings, lambda *_: None)
        for _ in range(10):
            dispatcher.deliver(sandbox_lane.id, 1)
            rates.seconds += 0.125
    assert 0 < len(accepted(sandbox)) < 20


def test_absent_ones_leave_by_parts_where_the_rate_counts_those(
    session: Session,
    sandbox_lane: MadeLane,
    sandbox: str,
    lookups: Lookups,
    dispatcher: Dispatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = make_batch(session, sandbox_lane, [f"9199000000{n:02d}" for n in range(5)])
    change(session, "UPDATE batch SET segment_count = 10")
    change(session, "UPDATE credential SET rate_unit = 'segments'")
    doubted(session, sandbox_lane)
    absent(session, lookups)
    grants = iter([Grant(25), Grant(4), Grant(0, 0.7)])  # two; and one whatever it takes
    monkeypatch.setattr(dispatcher, "_take_tokens", lambda _: next(grants))
    dispatcher.deliver(sandbox_lane.id, 5)
    assert len(accepted(sandbox)) == 3
    assert states(session, ids).count("sent") == 3


def test_absent_ones_whose_window_closed_before_they_left_wait_for_the_opening_and_cost_no_more_looks(
    session: Session, sandbox_lane: MadeLane, sandbox: str, lookups: Lookups, dispatcher: Dispatcher
) -> None:
    waiting = make_batch(session, sandbox_lane, ["919900000001"], validity=timedelta(days=1))
    ending = make_batch(session, sandbox_lane, ["919900000002"])
    doubted(session, sandbox_lane)
    absent(session, lookups)
    opens = windows_close(session)
    dispatcher.deliver(sandbox_lane.id, 1)
    assert accepted(sandbox) == []
    assert states(session, waiting + ending) == ["sending", "expired"]
    found = attempt(session, waiting[0])
    assert (found.outcome, found.look_at) == ("in doubt", opens)
    assert message(session, ending[0]).reason == "window_closed"
    assert_tally_is_exact(session, sandbox_lane)
