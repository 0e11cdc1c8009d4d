"""Held lanes: what holds one, what does not, and how it opens again. Infobip's words are given."""

import threading

from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import MadeLane, make_batch, route_of
from tests.worker.steps import (
    answer,
    apply,
    change,
    fail_with,
    lane_row,
    message,
    probed,
    report,
    states,
    take,
    took,
    wait_until_blocking,
)
from worker import holds
from worker.errors import CredentialRefused, NotSent, OutcomeUncertain
from worker.infobip.statuses import verdict

NO_CREDIT = verdict(12, 5, None, None)
NEW_KEY = "UPDATE credential SET version = version + 1"


def test_no_credit_holds_all_lanes_and_uses_no_slot(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane), {ids[0]: NO_CREDIT})
    kept = message(session, ids[0])
    assert (kept.state, kept.attempt_count, kept.retry_count) == ("retrying", 1, 0)
    held = lane_row(session, lane)
    assert held.kind == "account"
    assert "credit" in (held.reason or "")
    assert take(session, lane) is None


def test_no_credit_in_a_report_holds_the_lanes_unless_the_credential_changed_since(
    session: Session, lane: MadeLane
) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0], status=12, group=5))
    assert lane_row(session, lane).kind == "account"
    change(session, NEW_KEY)
    holds.release(session, lane.credential_id)
    session.commit()
    apply(session, lane, report(ids[1], status=12, group=5))
    assert lane_row(session, lane).kind is None
    assert states(session, ids) == ["retrying", "retrying"]


def test_an_answer_to_a_request_from_before_a_change_of_key_does_not_hold(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, ["919900000001"])
    submission = took(session, lane)
    change(session, NEW_KEY)
    fail_with(session, submission, CredentialRefused("HTTP 401"))
    assert lane_row(session, lane).kind is None


def test_a_held_lane_lets_one_probe_through_at_a_time_and_its_success_opens_it(
    session: Session, lane: MadeLane
) -> None:
    make_batch(session, lane, ["919900000001", "919900000002"])
    fail_with(session, took(session, lane), CredentialRefused("HTTP 401"))
    assert not holds.take_probe(session, lane.id)  # not yet
    change(session, "UPDATE lane SET probe_at = now()")
    assert holds.take_probe(session, lane.id)
    assert not holds.take_probe(session, lane.id)
    answer(session, probed(session, lane))
    assert len(took(session, lane).messages) == 1


def test_several_faults_in_a_row_hold_the_lane_and_a_success_clears_them(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, ["919900000001"])
    for _ in range(holds.FAULTS_IN_A_ROW - 1):
        fail_with(session, took(session, lane), NotSent("refused"))
    answer(session, took(session, lane))
    assert lane_row(session, lane).faults == 0
    make_batch(session, lane, ["919900000002"])
    for _ in range(holds.FAULTS_IN_A_ROW):
        fail_with(session, took(session, lane), NotSent("refused"))
    assert take(session, lane) is None


def test_a_fault_and_a_change_of_key_at_once_do_not_deadlock(session: Session, lane: MadeLane, engine: Engine) -> None:
    route = route_of(session, lane)
    change(session, "UPDATE lane SET faults = 2")
    session.execute(text("SELECT 1 FROM credential FOR UPDATE"))

    def fault() -> None:
        with Session(engine) as other:
            holds.note_error(other, route, OutcomeUncertain("HTTP 500"))
            other.commit()

    thread = threading.Thread(target=fault)
    thread.start()
    wait_until_blocking(session)
    holds.release(session, lane.credential_id)  # DeadlockDetected, had the fault taken the lane first
    session.commit()
    thread.join()
