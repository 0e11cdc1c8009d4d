"""Endpoints, what there is to tell them, and pushes step by step. Each step commits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text
from sqlmodel import Session, col, select

from tests.factories import MadeLane, make_batch
from tests.receivers import Receiver, receiving
from worker import event_deliveries, events
from worker.db import transact
from worker.event_deliveries import Push
from worker.events import Told
from worker.feeds import end_of_feed
from worker.models import EventDelivery, EventEndpoint, EventTry
from worker.push_client import Answer, PushOutcome
from worker.push_signatures import make_secret
from worker.secrets import encrypt
from worker.settings import Settings
from worker.words import EventType

ARRIVED = Answer(PushOutcome.ARRIVED, 0.1, 200)
REFUSED = Answer(PushOutcome.REFUSED, 0.1, 500, "HTTP 500: anything but 2xx means that it has not arrived")


@contextmanager
def allowed_receiver(settings: Settings) -> Iterator[Receiver]:
    """One that may be pushed to, and that checks signatures."""
    with receiving() as receiver:
        receiver.secret = make_secret()
        settings.allowed_event_hosts.append(receiver.host)
        yield receiver


def endpoint_of(session: Session, receiver: Receiver, *types: str, name: str = "journeys") -> UUID:
    """One that begins at the end of the feed. Commits."""
    assert receiver.secret is not None
    place = end_of_feed(session)
    endpoint = EventEndpoint(
        name=name,
        url=receiver.url,
        types=list(types),
        secret=encrypt(receiver.secret),
        told_transaction=place[0],
        told_event=place[1],
    )
    session.add(endpoint)
    session.commit()
    return endpoint.id


def happened(
    session: Session, lane: MadeLane, count: int = 1, kind: EventType = EventType.MESSAGE_DELIVERED
) -> list[str]:
    """So many messages ended. Their IDs, in order. Commits."""
    ids = make_batch(session, lane, [f"9199{n:08}" for n in range(count)])
    events.tell(session, [Told(kind, message_id) for message_id in ids])
    session.commit()
    return [str(message_id) for message_id in ids]


def messages(told: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["message_id"] for event in told]


def read(session: Session, endpoint_id: UUID) -> EventEndpoint:
    session.rollback()
    return session.get_one(EventEndpoint, endpoint_id, populate_existing=True)


def deliveries(session: Session) -> list[EventDelivery]:
    session.rollback()
    query = select(EventDelivery).order_by(col(EventDelivery.id))
    return list(session.exec(query.execution_options(populate_existing=True)))


def tries(session: Session) -> list[tuple[int, int | None, bool]]:
    """Number, status, and whether it arrived, of each."""
    session.rollback()
    rows = session.exec(select(EventTry).order_by(col(EventTry.at), col(EventTry.number)))
    return [(row.number, row.status_code, row.error is None) for row in rows]


def change(session: Session, endpoint_id: UUID, what: str) -> None:
    session.rollback()
    session.execute(text(f"UPDATE event_endpoint SET {what} WHERE id = :id"), {"id": endpoint_id})
    session.commit()


def is_time_for_the_next_try(session: Session, endpoint_id: UUID) -> None:
    change(session, endpoint_id, "next_try_at = now()")


def take(engine: Engine) -> Push:
    """A delivery is in somebody's hand."""

    def work(session: Session) -> Push | None:
        endpoint = event_deliveries.next_endpoint(session)
        assert endpoint is not None
        return event_deliveries.take(session, endpoint)

    taken = transact(engine, work)
    assert taken is not None
    return taken


def record(engine: Engine, taken: Push, answer: Answer, settings: Settings) -> bool:
    return transact(engine, lambda session: event_deliveries.record(session, taken, answer, settings, 0.0))
