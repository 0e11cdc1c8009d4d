"""Delivery reports: what each changes, in whatever order and however often they come, and what is stored of them."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, make_lane
from tests.worker.steps import (
    answer,
    apply,
    assert_tally_is_exact,
    attempt,
    change,
    doubted,
    message,
    report,
    results,
    retries_due,
    states,
    took,
)
from worker.infobip.reports import parse_item
from worker.models import DeliveryReport, UnmatchedReport
from worker.sending import Dispatcher


def test_a_report_before_the_answer_wins_and_the_answer_changes_nothing(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    submission = took(session, lane)
    apply(session, lane, report(ids[0]), report(ids[1], status=9, group=2, error=27))
    assert states(session, ids) == ["delivered", "retrying"]
    answer(session, submission)
    assert states(session, ids) == ["delivered", "retrying"]
    assert_tally_is_exact(session, lane)


def test_a_pending_report_settles_an_open_fate(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    doubted(session, lane)
    apply(session, lane, report(ids[0], status=7, group=1))
    assert states(session, ids) == ["sent"]


def test_delivered_to_operator_is_not_the_end(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0], status=2, group=3))
    assert states(session, ids) == ["sent"]


def test_two_reports_of_one_message_in_one_group_fold_in_order(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
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


def test_a_repeated_report_is_stored_once(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0]), report(ids[0]))
    apply(session, lane, report(ids[0]))
    assert len(results(session)) == 1


def test_a_late_failure_of_an_earlier_attempt_changes_nothing(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0], status=9, group=2, error=27))
    retries_due(session)
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0], attempt=1, status=9, group=2, error=1, done="12:00:09.000"))
    assert states(session, ids) == ["sent"]
    assert results(session) == ["applied", "late"]


@pytest.mark.parametrize("final", ["failed", "expired", "suppressed", "cancelled", "unconfirmed", "queued", "retrying"])
def test_delivered_from_any_attempt_wins_over_every_state(session: Session, lane: MadeLane, final: str) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    took(session, lane)
    change(session, "UPDATE message SET state = :state, attempt_count = 2, reason = 'X'", state=final)
    change(session, "DELETE FROM tally")
    apply(session, lane, report(ids[0], attempt=1))
    assert states(session, ids) == ["delivered"]


def test_late_delivery_by_an_earlier_attempt_ends_the_looks_of_the_current_one(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"], validity=timedelta(hours=2))
    dispatcher.deliver(sandbox_lane.id, 1)
    apply(session, sandbox_lane, report(message_id, status=9, group=2, error=27))
    retries_due(session)
    dispatcher.deliver(sandbox_lane.id, 1)
    assert attempt(session, message_id, 2).look_at is not None
    apply(session, sandbox_lane, report(message_id, attempt=1, done="12:00:09.000"))
    assert states(session, [message_id]) == ["delivered"]
    assert attempt(session, message_id, 2).look_at is None


def test_a_permanent_failure_fails_and_a_transient_one_is_scheduled(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0], status=9, group=2, error=4129), report(ids[1], status=9, group=2, error=27))
    assert states(session, ids) == ["failed", "retrying"]
    waits = message(session, ids[1])
    assert waits.next_attempt_at is not None
    wait = (waits.next_attempt_at - waits.created_at).total_seconds()
    assert 59 < wait < 75
    assert waits.retry_count == 1


def test_a_failure_in_a_cancelled_batch_is_cancelled(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    change(session, "UPDATE batch SET cancelled_at = now()")
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
    apply(session, lane, parse_item(7), parse_item({"messageId": "theirs"}), report(ids[0]))
    assert states(session, ids) == ["delivered"]
    assert {row.reason for row in session.exec(select(UnmatchedReport))} == {
        "not an object",
        "the message ID is not one of ours",
    }


def test_a_report_is_stored_with_its_callback_data_price_and_network(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0]))
    (row,) = session.exec(select(DeliveryReport)).all()
    assert (row.callback_data, str(row.price), row.currency, row.mcc_mnc) == ("order-5512", "0.0021", "EUR", "40410")
    assert (row.attempt, row.status_id, row.source, row.result) == (1, 5, "push", "applied")
    assert row.done_at is not None
    assert row.transaction_id > 0
