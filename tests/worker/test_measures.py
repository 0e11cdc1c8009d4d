"""What is measured of sends and reports as they pass: each thing once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import absent, answer, apply, change, doubted, report, took
from worker.lookups import Lookups
from worker.sending import Dispatcher

NUMBERS = [f"9199000{n:05}" for n in range(20)]


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@contextmanager
def grows(by: float, name: str, **labels: str) -> Iterator[None]:
    before = value(name, **labels)
    yield
    assert value(name, **labels) - before == pytest.approx(by)


def test_an_attempt_that_a_report_ends_is_timed_and_priced_once(session: Session, lane: MadeLane) -> None:
    (message_id,) = make_batch(session, lane, NUMBERS[:1])
    answer(session, took(session, lane))
    change(session, "UPDATE attempt SET started_at = started_at - interval '20 s'")
    with (
        grows(1, "delivery_submit_to_report_seconds_count", message_type="transactional"),
        grows(0, "delivery_submit_to_report_seconds_bucket", message_type="transactional", le="10.0"),
        grows(1, "delivery_submit_to_report_seconds_bucket", message_type="transactional", le="30.0"),
        grows(0.0021, "delivery_price_total", currency="EUR"),
        grows(1, "delivery_attempts_to_finish_bucket", state="delivered", le="1.0"),
        grows(0, "delivery_attempts_to_finish_bucket", state="delivered", le="0.0"),
    ):
        apply(session, lane, report(message_id))
        apply(session, lane, report(message_id))


def test_a_pending_report_ends_and_costs_nothing(session: Session, lane: MadeLane) -> None:
    (message_id,) = make_batch(session, lane, NUMBERS[:1])
    answer(session, took(session, lane))
    with (
        grows(0, "delivery_submit_to_report_seconds_count", message_type="transactional"),
        grows(0, "delivery_price_total", currency="EUR"),
        grows(1, "delivery_report_lag_seconds_count", source="push"),
    ):
        apply(session, lane, report(message_id, status=7, group=1))


def test_a_report_from_a_clock_ahead_of_ours_came_at_once(session: Session, lane: MadeLane) -> None:
    (message_id,) = make_batch(session, lane, NUMBERS[:1])
    answer(session, took(session, lane))
    ahead = report(message_id)
    object.__setattr__(ahead, "done_at", ahead.done_at and ahead.done_at + timedelta(days=3650))
    with grows(0, "delivery_report_lag_seconds_sum", source="push"):
        apply(session, lane, ahead)


def test_what_leaves_is_measured_at_each_attempt_by_its_number(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    make_batch(session, sandbox_lane, [*NUMBERS[:3], "919900009001"], due_in=timedelta(seconds=-40))
    lane = {"channel": "sms", "message_type": "transactional"}
    with (
        grows(4, "delivery_enqueue_to_submit_seconds_count", **lane),
        grows(0, "delivery_enqueue_to_submit_seconds_bucket", **lane, le="30.0"),
        grows(4, "delivery_enqueue_to_submit_seconds_bucket", **lane, le="60.0"),
        grows(4, "delivery_remaining_validity_seconds_count", message_type="transactional", attempt="1"),
        grows(4, "delivery_remaining_validity_seconds_bucket", message_type="transactional", attempt="1", le="3600.0"),
        grows(0, "delivery_remaining_validity_seconds_bucket", message_type="transactional", attempt="1", le="1800.0"),
    ):
        dispatcher.deliver(sandbox_lane.id, 5.0)


def test_what_goes_out_again_after_an_unknown_fate_is_measured_once_it_is_answered(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher, lookups: Lookups
) -> None:
    make_batch(session, sandbox_lane, NUMBERS[:2], due_in=timedelta(seconds=-40))
    lane = {"channel": "sms", "message_type": "transactional"}
    with (
        grows(2, "delivery_enqueue_to_submit_seconds_count", **lane),
        grows(0, "delivery_enqueue_to_submit_seconds_bucket", **lane, le="30.0"),
        grows(2, "delivery_remaining_validity_seconds_count", message_type="transactional", attempt="1"),
    ):
        doubted(session, sandbox_lane)
        absent(session, lookups)
        dispatcher.deliver(sandbox_lane.id, 5.0)


def test_halves_of_a_refused_request_are_measured_where_they_are_answered(
    session: Session, sandbox_lane: MadeLane, dispatcher: Dispatcher
) -> None:
    make_batch(session, sandbox_lane, [*NUMBERS[:3], "919900009009"])  # Infobip refuses the whole request for the last
    with grows(3, "delivery_enqueue_to_submit_seconds_count", channel="sms", message_type="transactional"):
        dispatcher.deliver(sandbox_lane.id, 5.0)
