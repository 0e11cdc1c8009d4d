"""Delivery reports: what each changes, in whatever order and however often they come, and what is stored of them."""

from dataclasses import replace
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
    consent_row,
    consented,
    doubted,
    message,
    report,
    results,
    retries_due,
    states,
    took,
)
from worker.db import database_now
from worker.infobip.reports import parse_item
from worker.models import Consent, ConsentChange, DeliveryReport, UnmatchedReport
from worker.sending import Dispatcher
from worker.words import ConsentState, MessageType


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


@pytest.mark.parametrize(
    ("status", "is_blocked"), [(14, True), (10, False)], ids=["on a block list", "on a do-not-disturb register"]
)
def test_a_report_of_a_block_fails_its_message_and_opts_its_recipient_out(
    session: Session, lane: MadeLane, status: int, is_blocked: bool
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    for _ in range(2):  # pushed again
        apply(session, lane, report(message_id, status=status, group=5))
    assert states(session, [message_id]) == ["failed"]
    person = consent_row(session, lane, "919900000001")
    assert (person.state, person.source, person.blocked) == ("opted_out", "provider", is_blocked)
    (line,) = session.exec(select(ConsentChange)).all()
    assert (line.message_id, line.blocked, line.inbound_id) == (message_id, is_blocked, None)
    assert line.reason == message(session, message_id).reason
    assert_tally_is_exact(session, lane)


def test_a_late_report_of_a_block_moves_no_message_and_stops_the_next_attempt(session: Session, lane: MadeLane) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    apply(session, lane, report(message_id, status=9, group=2, error=27))
    retries_due(session)
    answer(session, took(session, lane))
    apply(session, lane, report(message_id, 1, status=14, group=5))
    assert (states(session, [message_id]), results(session)) == (["sent"], ["applied", "late"])
    assert consent_row(session, lane, "919900000001").blocked
    apply(session, lane, report(message_id, 2, status=9, group=2, error=27))
    assert states(session, [message_id]) == ["suppressed"]
    assert message(session, message_id).reason == "number_blocked"
    assert_tally_is_exact(session, lane)


def test_a_block_of_one_message_stops_the_others_to_its_recipient(session: Session, lane: MadeLane) -> None:
    told, waiting, other = make_batch(session, lane, ["919900000001", "919900000001", "919900000002"])
    answer(session, took(session, lane, 1))
    apply(session, lane, report(told, status=14, group=5))
    assert [sent.message_id for sent in took(session, lane).messages] == [other]
    assert states(session, [told, waiting]) == ["failed", "suppressed"]


def test_a_block_that_is_older_than_an_opt_in_does_not_undo_it(session: Session, lane: MadeLane) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    consented(session, lane, "919900000001", ConsentState.OPTED_IN)
    blocked = report(message_id, status=14, group=5)
    apply(session, lane, replace(blocked, done_at=database_now(session) - timedelta(minutes=1)))
    assert states(session, [message_id]) == ["failed"]
    assert consent_row(session, lane, "919900000001").state == "opted_in"


def test_an_opt_in_between_two_reports_of_blocks_that_came_together_is_undone(session: Session, lane: MadeLane) -> None:
    ids = make_batch(session, lane, ["919900000001", "919900000001"])
    answer(session, took(session, lane))
    consented(session, lane, "919900000001", ConsentState.OPTED_IN)
    now, minute = database_now(session), timedelta(minutes=1)
    told = [replace(report(message_id, status=14, group=5), done_at=now + minute) for message_id in ids]
    apply(session, lane, replace(told[0], done_at=now - minute), told[1])
    assert consent_row(session, lane, "919900000001").blocked


def test_a_block_that_another_credential_tells_of_is_no_fact(session: Session, lane: MadeLane) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    apply(session, make_lane(session, name="other"), report(message_id, status=14, group=5))
    assert session.exec(select(Consent)).all() == []
    assert states(session, [message_id]) == ["sent"]


def test_a_recipient_who_opted_out_meanwhile_is_not_tried_again(session: Session) -> None:
    lane = make_lane(session, message_type=MessageType.MARKETING)
    ids = make_batch(session, lane, ["919900000001", "919900000002"])
    answer(session, took(session, lane))
    consented(session, lane, "919900000001", ConsentState.OPTED_OUT)
    apply(session, lane, *(report(message_id, status=9, group=2, error=27) for message_id in ids))
    assert states(session, ids) == ["suppressed", "retrying"]
    assert message(session, ids[0]).reason == "opted_out"
    assert attempt(session, ids[0]).outcome == "failed"
    assert_tally_is_exact(session, lane)
