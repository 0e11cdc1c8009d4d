"""Events reach their endpoints, signed, in order, each until it has arrived; whatever the receiver does meanwhile."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from cli.ports import free_port
from tests.factories import MadeLane
from tests.processes import wait_for
from tests.receivers import Receiver, Reply
from tests.worker.pushes import (
    allowed_receiver,
    change,
    deliveries,
    endpoint_of,
    happened,
    is_time_for_the_next_try,
    messages,
    read,
    tries,
)
from worker import event_deliveries, event_endpoints, events, pushing
from worker.db import database_now
from worker.event_deliveries import LEASE, MOST_BYTES, MOST_EVENTS
from worker.event_endpoints import BOTH_SECRETS_SIGN
from worker.events import Told
from worker.glance import glance
from worker.models import EventTry
from worker.push_signatures import make_secret
from worker.pushing import Pusher
from worker.settings import Settings
from worker.words import EventType

# What arrives


def test_events_arrive_signed_once_and_in_order(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    ids = happened(session, lane, 5)
    assert pusher.push() == 1
    assert messages(receiver.taken) == ids
    (got,) = receiver.got
    assert got.is_verified
    body = json.loads(got.body)
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == "events"
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    assert [set(event) for event in body["data"]] == [{"id", "type", "at", "data"}] * 5
    (delivery,) = deliveries(session)
    assert (str(delivery.id), delivery.event_count, delivery.body) == (got.id, 5, None)
    assert delivery.delivered_at is not None
    assert tries(session) == [(1, 200, True)]
    told = read(session, endpoint)
    assert (told.told_transaction, told.told_event) >= (delivery.through_transaction, delivery.through_event)
    assert pusher.push() == 0
    assert len(receiver.got) == 1


def test_nothing_is_pushed_where_nothing_has_happened(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    happened(session, lane, 3)  # before it was made
    endpoint_of(session, receiver)
    assert pusher.push() == 0
    assert receiver.got == []


def test_more_than_one_push_holds_come_in_several_in_order(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint_of(session, receiver)
    ids = happened(session, lane, 2 * MOST_EVENTS + 1)
    assert pusher.push() == 3
    assert messages(receiver.taken) == ids
    assert [len(got.events) for got in receiver.got] == [MOST_EVENTS, MOST_EVENTS, 1]


def test_large_events_come_in_smaller_pushes(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint_of(session, receiver)
    ids = happened(session, lane, 8)
    journey = {"big": "x" * (MOST_BYTES // 3)}
    session.execute(text("UPDATE batch SET journey = :journey"), {"journey": json.dumps(journey)})
    session.commit()
    pusher.push()
    assert messages(receiver.taken) == ids
    assert [len(got.events) for got in receiver.got] == [2, 2, 2, 2]
    assert all(len(got.body) < MOST_BYTES + 200 for got in receiver.got)


def test_one_event_that_is_too_large_comes_alone(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint_of(session, receiver)
    ids = happened(session, lane, 3)
    session.execute(text("UPDATE batch SET journey = :journey"), {"journey": json.dumps("x" * MOST_BYTES)})
    session.commit()
    pusher.push()
    assert messages(receiver.taken) == ids
    assert [len(got.events) for got in receiver.got] == [1, 1, 1]


def test_only_what_an_endpoint_wants_arrives(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint_of(session, receiver, "message.failed", "lane")
    happened(session, lane, 2)
    failed = happened(session, lane, 2, EventType.MESSAGE_FAILED)
    events.tell(session, [Told(EventType.LANE_HELD, lane.id, reason="HTTP 401", kind="account")])
    session.commit()
    pusher.push()
    assert [event["type"] for event in receiver.taken] == ["message.failed", "message.failed", "lane.held"]
    assert messages(receiver.taken[:2]) == failed


def test_a_long_stretch_of_other_types_is_passed_over_without_a_delivery(
    session: Session,
    engine: Engine,
    lane: MadeLane,
    receiver: Receiver,
    pusher: Pusher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_deliveries, "SCAN", 10)
    endpoint = endpoint_of(session, receiver, "inbound")
    before = read(session, endpoint)
    start = (before.told_transaction, before.told_event)
    happened(session, lane, 35)
    assert pusher.push() == 0
    told = read(session, endpoint)
    assert (told.told_transaction, told.told_event) > start
    assert deliveries(session) == []
    with glance(engine) as connection:
        assert not event_deliveries.is_due(connection)


# What does not arrive


@pytest.mark.parametrize(
    ("reply", "status"),
    [(Reply(500), 500), (Reply(404), 404), (Reply(302, {"Location": "http://127.0.0.1:1/"}), 302), (Reply(429), 429)],
)
def test_what_did_not_arrive_goes_again_as_it_was(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher, reply: Reply, status: int
) -> None:
    endpoint = endpoint_of(session, receiver)
    ids = happened(session, lane, 3)
    receiver.replies.extend([reply, reply])
    assert pusher.push() == 1
    failing = read(session, endpoint)
    assert (failing.failures, failing.disabled_at) == (1, None)
    assert failing.next_try_at is not None
    assert failing.next_try_at > database_now(session)
    assert pusher.push() == 0  # before its time
    session.execute(text("UPDATE message SET callback_data = 'changed since'"))
    happened(session, lane, 2)  # comes after it
    for number in (2, 3):
        is_time_for_the_next_try(session, endpoint)
        assert pusher.push() == (1 if number == 2 else 2)
    first, second, third, fourth = receiver.got
    assert first.id == second.id == third.id != fourth.id
    assert first.body == second.body == third.body
    assert all(got.is_verified for got in receiver.got)
    assert messages(receiver.taken)[:3] == ids
    assert tries(session) == [(1, status, False), (2, status, False), (3, 200, True), (1, 200, True)]
    well = read(session, endpoint)
    assert (well.failures, well.failing_since, well.next_try_at) == (0, None, None)


def test_waits_grow_by_the_schedule_and_by_what_the_receiver_asks(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    happened(session, lane)
    receiver.replies.extend([Reply(500), Reply(500), Reply(503, {"Retry-After": "7200"})])
    for least, most in ((5, 6), (30, 33), (7200, 7920)):
        before = database_now(session)
        pusher.push()
        at = read(session, endpoint).next_try_at
        assert at is not None
        assert timedelta(seconds=least) <= at - before < timedelta(seconds=most + 60)
        is_time_for_the_next_try(session, endpoint)


def test_nobody_who_listens_is_a_try_that_says_so(
    session: Session, lane: MadeLane, fresh_settings: Settings, engine: Engine
) -> None:
    nobody = Receiver(free_port(), secret=make_secret())
    fresh_settings.allowed_event_hosts.append(nobody.host)
    endpoint_of(session, nobody)
    happened(session, lane)
    Pusher(engine, fresh_settings).push()
    (said,) = session.exec(select(EventTry)).all()
    assert (said.status_code, said.error) == (None, "no connection: Connection refused")


def test_an_address_that_is_no_longer_allowed_is_not_asked(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher, fresh_settings: Settings
) -> None:
    endpoint_of(session, receiver)
    happened(session, lane)
    fresh_settings.allowed_event_hosts.clear()
    assert pusher.push() == 1
    assert receiver.got == []
    (said,) = session.exec(select(EventTry)).all()
    assert "DELIVERY_ALLOWED_EVENT_HOSTS" in str(said.error)


def test_a_secret_that_cannot_be_read_is_a_try_that_says_so(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    change(session, endpoint, "secret = 'of another key'")
    happened(session, lane)
    assert pusher.push() == 1
    assert receiver.got == []
    (said,) = session.exec(select(EventTry)).all()
    assert "DELIVERY_SECRET_KEYS" in str(said.error)


def test_a_hanging_receiver_keeps_nobody_back(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher, fresh_settings: Settings
) -> None:
    released = threading.Event()
    receiver.usual = Reply(waits_for=released)
    with allowed_receiver(fresh_settings) as brisk, ThreadPoolExecutor(1) as threads:
        endpoint_of(session, receiver, name="hangs")
        endpoint_of(session, brisk, name="brisk")
        ids = happened(session, lane)
        round_ = threads.submit(pusher.push, 0.1)
        try:
            wait_for(lambda: messages(brisk.taken) == ids and receiver.got)
            ids += happened(session, lane)  # also when the round's time is up
            wait_for(lambda: messages(brisk.taken) == ids)
            assert not round_.done()
        finally:
            released.set()
        assert round_.result() >= 3


def test_a_fault_of_ours_in_one_push_costs_the_others_nothing(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher, fresh_settings: Settings
) -> None:
    with allowed_receiver(fresh_settings) as well:
        broken = endpoint_of(session, receiver, name="broken")
        endpoint_of(session, well, name="well")
        change(session, broken, "url = 'gopher://127.0.0.1/'")
        ids = happened(session, lane)
        assert pusher.push() == 2
        assert messages(well.taken) == ids
    assert read(session, broken).failures == 1


def test_an_event_that_cannot_be_told_keeps_other_endpoints_from_nothing(
    session: Session,
    lane: MadeLane,
    receiver: Receiver,
    pusher: Pusher,
    fresh_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    describe = event_deliveries.describe

    def stumble(session: Session, rows: Any) -> Any:
        if any(row.type == EventType.LANE_OPENED for row in rows):
            raise ZeroDivisionError
        return describe(session, rows)

    with allowed_receiver(fresh_settings) as well:
        stuck = endpoint_of(session, receiver, name="stuck")
        endpoint_of(session, well, "message", name="well")
        events.tell(session, [Told(EventType.LANE_OPENED, lane.id)])
        ids = happened(session, lane)
        monkeypatch.setattr(event_deliveries, "describe", stumble)  # a fault of ours
        assert pusher.push() == 1
        assert messages(well.taken) == ids
        monkeypatch.undo()
    change(session, stuck, "lease_until = now()")
    pusher.push()
    assert [event["type"] for event in receiver.taken] == ["lane.opened", "message.delivered"]


# Given up


def test_an_endpoint_that_answers_gone_is_disabled_and_the_others_are_told(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher, fresh_settings: Settings
) -> None:
    receiver.usual = Reply(410)
    with allowed_receiver(fresh_settings) as other:
        gone = endpoint_of(session, receiver, name="gone")
        endpoint_of(session, other, "endpoint", name="other")
        happened(session, lane)
        pusher.push()
        disabled = read(session, gone)
        assert disabled.disabled_at is not None
        assert "410" in str(disabled.disabled_reason)
        pusher.push()
        (event,) = other.taken
    assert event["type"] == "endpoint.disabled"
    assert event["data"] == {"endpoint_id": str(gone), "name": "gone", "reason": disabled.disabled_reason}
    assert len(receiver.got) == 1
    (delivery, _) = deliveries(session)
    assert (delivery.delivered_at, delivery.body) == (None, None)
    assert delivery.dropped_at is not None


def test_an_endpoint_that_fails_for_long_is_disabled_and_goes_on_when_it_is_enabled(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    ids = happened(session, lane)
    receiver.replies.extend([Reply(500), Reply(500)])
    pusher.push()
    change(session, endpoint, "failing_since = now() - interval '5 days', next_try_at = now()")
    pusher.push()
    disabled = read(session, endpoint)
    assert "HTTP 500" in str(disabled.disabled_reason)
    ids += happened(session, lane)
    assert pusher.push() == 0
    event_endpoints.enable(session, disabled)
    session.commit()
    assert pusher.push() >= 1
    delivered = [event for event in receiver.taken if event["type"] != "endpoint.disabled"]
    assert messages(delivered) == ids


def test_the_last_try_is_at_the_end_of_the_time(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher, fresh_settings: Settings
) -> None:
    endpoint = endpoint_of(session, receiver)
    happened(session, lane)
    receiver.usual = Reply(500)
    pusher.push()
    change(session, endpoint, "failing_since = now() - interval '4 days 23 hours', failures = 20, next_try_at = now()")
    pusher.push()
    failing = read(session, endpoint)
    assert failing.failing_since is not None
    assert failing.next_try_at == failing.failing_since + fresh_settings.event_disable_after


# Secrets


def test_for_a_day_after_a_rotation_both_secrets_sign(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    former = str(receiver.secret)
    secret = event_endpoints.rotate_secret(session, read(session, endpoint))
    session.commit()
    happened(session, lane)
    pusher.push()  # the receiver knows the former one only
    change(session, endpoint, f"rotated_at = rotated_at - interval '{BOTH_SECRETS_SIGN.total_seconds()} seconds'")
    receiver.secret = None
    happened(session, lane)
    pusher.push()
    verifying = [
        [receiver.verifies(got.headers, got.body, known) for known in (former, secret)] for got in receiver.got
    ]
    assert verifying == [[True, True], [False, True]]


def test_secrets_are_not_stored_in_the_clear(session: Session, receiver: Receiver) -> None:
    endpoint = endpoint_of(session, receiver)
    rotated = event_endpoints.rotate_secret(session, read(session, endpoint))
    session.commit()
    stored = read(session, endpoint)
    for secret in (str(receiver.secret), rotated):
        bare = secret.removeprefix("whsec_").encode()
        assert bare not in stored.secret + (stored.previous_secret or b"")


def test_a_round_takes_less_than_what_keeps_others_from_beginning() -> None:
    longest = pushing.BUDGET_SECONDS + 2 * pushing.PUSH_SECONDS
    assert longest < pushing.MOST_SECONDS
    assert timedelta(seconds=pushing.PUSH_SECONDS) < LEASE
