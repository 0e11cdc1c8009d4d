"""Deliveries: leased before they leave, the same at each try, and only the one in hand counts."""

from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import MadeLane
from tests.receivers import Receiver, Reply
from tests.worker.filling import FEW, KNOWLEDGE, MANY, most_rows
from tests.worker.pushes import (
    ARRIVED,
    REFUSED,
    allowed_receiver,
    change,
    deliveries,
    endpoint_of,
    happened,
    messages,
    read,
    record,
    take,
    tries,
)
from worker import event_deliveries, event_endpoints
from worker.event_deliveries import LEASE, MOST_EVENTS
from worker.feeds import Place
from worker.models import EventTry
from worker.push_client import Answer
from worker.pushing import Pusher
from worker.settings import Settings

# Who dies, and who comes between


def test_a_push_whose_process_died_goes_again_as_it_was_when_its_lease_is_over(
    session: Session, engine: Engine, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    ids = happened(session, lane)
    taken = take(engine)  # and it dies here
    happened(session, lane)
    assert pusher.push() == 0
    change(session, endpoint, f"lease_until = lease_until - interval '{LEASE.total_seconds()} seconds'")
    assert pusher.push() == 2
    assert (receiver.got[0].id, receiver.got[0].body) == (str(taken.delivery_id), taken.body)
    assert messages(receiver.taken)[:1] == ids


def test_a_late_failure_counts_no_more_where_somebody_else_is_at_it(
    session: Session, engine: Engine, lane: MadeLane, receiver: Receiver, fresh_settings: Settings
) -> None:
    endpoint = endpoint_of(session, receiver)
    happened(session, lane)
    slow = take(engine)
    change(session, endpoint, "lease_until = now()")
    second = take(engine)
    assert second.delivery_id == slow.delivery_id
    record(engine, slow, REFUSED, fresh_settings)
    standing = read(session, endpoint)
    assert (standing.failures, standing.lease_until) == (0, second.lease_until)
    record(engine, second, ARRIVED, fresh_settings)
    record(engine, slow, REFUSED, fresh_settings)
    assert read(session, endpoint).failures == 0
    assert tries(session) == [(1, 500, False), (3, 500, False), (2, 200, True)]


def test_what_arrives_late_has_arrived_all_the_same(
    session: Session, engine: Engine, lane: MadeLane, receiver: Receiver, fresh_settings: Settings, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    happened(session, lane)
    slow = take(engine)
    change(session, endpoint, "lease_until = now()")
    second = take(engine)
    record(engine, slow, ARRIVED, fresh_settings)
    record(engine, second, REFUSED, fresh_settings)
    standing = read(session, endpoint)
    assert standing.failures == 0
    assert pusher.push() == 0
    (delivery,) = deliveries(session)
    assert (standing.told_transaction, standing.told_event) == (delivery.through_transaction, delivery.through_event)


def test_what_comes_of_a_push_changes_nothing_where_the_endpoint_was_set_elsewhere_meanwhile(
    session: Session, engine: Engine, lane: MadeLane, receiver: Receiver, fresh_settings: Settings, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    before = read(session, endpoint)
    start = Place(before.told_transaction, before.told_event)
    ids = happened(session, lane, 3)
    for answer in (ARRIVED, REFUSED):
        taken = take(engine)
        event_endpoints.set_place(session, read(session, endpoint), start)
        session.commit()
        assert pusher.push() == 0  # until that push is over
        record(engine, taken, answer, fresh_settings)
        standing = read(session, endpoint)
        assert (standing.told_transaction, standing.told_event, standing.failures) == (*start, 0)
    assert pusher.push() == 1
    assert messages(receiver.taken) == ids
    assert len({delivery.id for delivery in deliveries(session)}) == 3


@pytest.mark.parametrize("answer", [ARRIVED, REFUSED])
def test_what_comes_of_a_push_leaves_a_disabled_endpoint_alone(
    session: Session, engine: Engine, lane: MadeLane, receiver: Receiver, fresh_settings: Settings, answer: Answer
) -> None:
    endpoint = endpoint_of(session, receiver)
    happened(session, lane)
    taken = take(engine)
    event_endpoints.disable(session, read(session, endpoint), None)
    session.commit()
    assert not record(engine, taken, answer, fresh_settings)
    standing = read(session, endpoint)
    assert (standing.failures, standing.next_try_at) == (0, None)
    assert len(tries(session)) == 1


def test_events_delivered_again_have_the_same_ids(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher
) -> None:
    endpoint = endpoint_of(session, receiver)
    before = read(session, endpoint)
    start = Place(before.told_transaction, before.told_event)
    happened(session, lane, 3)
    pusher.push()
    event_endpoints.set_place(session, read(session, endpoint), start)
    session.commit()
    pusher.push()
    first, again = receiver.got
    assert first.id != again.id
    assert first.events == again.events


def test_endpoints_with_much_to_hear_take_turns(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher, fresh_settings: Settings, engine: Engine
) -> None:
    with allowed_receiver(fresh_settings) as second:
        one, two = endpoint_of(session, receiver, name="one"), endpoint_of(session, second, name="two")
        happened(session, lane, 3 * MOST_EVENTS)
        turns = []
        for _ in range(4):
            taken = take(engine)
            turns.append(taken.endpoint.id)
            record(engine, taken, ARRIVED, fresh_settings)
    assert turns in ([one, two, one, two], [two, one, two, one])


# What is kept


def test_deliveries_that_are_over_are_deleted_after_a_week_and_their_tries_with_them(
    session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher, fresh_settings: Settings
) -> None:
    with allowed_receiver(fresh_settings) as failing:
        failing.usual = Reply(500)
        endpoint_of(session, receiver, name="well")
        endpoint_of(session, failing, name="failing")
        happened(session, lane)
        pusher.push()
        for delivery in deliveries(session):
            old = UUID(int=delivery.id.int - (8 * 86_400_000 << 80))
            session.execute(
                text("UPDATE event_try SET delivery_id = :old WHERE delivery_id = :id"), {"old": old, "id": delivery.id}
            )
            session.execute(text("UPDATE event_delivery SET id = :old WHERE id = :id"), {"old": old, "id": delivery.id})
        session.commit()
        happened(session, lane)
        pusher.push()
    assert event_deliveries.purge(session) == 1
    session.commit()
    left = deliveries(session)
    assert [(row.delivered_at is None, row.body is None) for row in left] == [(True, False), (False, True)]
    assert {row.delivery_id for row in session.exec(select(EventTry))} == {row.id for row in left}
    assert event_deliveries.purge(session) == 0


def test_one_step_of_the_purge_is_bounded(session: Session, lane: MadeLane, receiver: Receiver, pusher: Pusher) -> None:
    endpoint_of(session, receiver)
    for _ in range(3):
        happened(session, lane)
        pusher.push()
    for delivery in deliveries(session):
        old = UUID(int=delivery.id.int - (8 * 86_400_000 << 80))
        session.execute(text("UPDATE event_delivery SET id = :old WHERE id = :id"), {"old": old, "id": delivery.id})
    assert [event_deliveries.purge(session, 2) for _ in range(3)] == [2, 1, 0]


@KNOWLEDGE
def test_who_is_to_be_told_something_is_found_by_a_step_along_the_key(
    session: Session, receiver: Receiver, knows: str
) -> None:
    fill_events(session, knows == "the past")
    endpoint = endpoint_of(session, receiver)
    fill_events(session, knows == "all")
    session.execute(text("UPDATE event_endpoint SET told_transaction = 0 WHERE id = :id"), {"id": endpoint})
    assert most_rows(session, event_deliveries._IS_DUE, {}) <= FEW
    assert most_rows(session, event_deliveries._NEXT, {}) <= FEW
    session.rollback()


def fill_events(session: Session, analyzes: bool) -> None:
    """MANY, of transactions that are over. Commits."""
    session.execute(
        text("""
            INSERT INTO event (transaction_id, type, subject_id)
            SELECT 1, 'lane.opened', gen_random_uuid() FROM generate_series(1, :many)
        """),
        {"many": MANY},
    )
    session.commit()
    if analyzes:
        session.execute(text("ANALYZE event"))
        session.commit()
