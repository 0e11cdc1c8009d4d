"""Deliveries: who is to be told something now, what, and what came of it. Each over one session, with no network.

A delivery is written, with its body and a lease on its endpoint, before the request leaves. So a process may die at any
line: the lease runs out, and the same delivery goes again, under the same ID. An endpoint has one open delivery at
most, and its place moves on only when that has arrived: so it is told everything, in the order of the feed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Row, text
from sqlmodel import Session, col, select

from worker.db import database_now
from worker.event_endpoints import disable, find_locked
from worker.event_views import describe
from worker.feeds import Place, read_events
from worker.ids import first_id_at
from worker.models import EventDelivery, EventEndpoint, EventTry
from worker.push_client import PUSH_SECONDS, Answer
from worker.push_retry import next_try
from worker.settings import Settings

MOST_EVENTS = 200  # in one delivery
MOST_BYTES = 512 * 1024  # of their JSON: many receivers take a MiB; one event alone may be larger
SCAN = 20_000  # events looked at for those of an endpoint's types, in one step
LEASE = timedelta(seconds=2 * PUSH_SECONDS)
KEPT = timedelta(days=7)  # a delivery that is over

_IS_OPEN = "delivered_at IS NULL AND dropped_at IS NULL"
# Something to tell: a delivery that has not arrived, or an event behind its place that may be read. The event is looked
# for by a walk of the key, one step long, whatever the planner believes.
_DUE = f"""
    FROM event_endpoint e
    WHERE e.deleted_at IS NULL AND e.disabled_at IS NULL
      AND (e.lease_until IS NULL OR e.lease_until <= statement_timestamp())
      AND (e.next_try_at IS NULL OR e.next_try_at <= statement_timestamp())
      AND (
        EXISTS (SELECT FROM event_delivery d WHERE d.endpoint_id = e.id AND {_IS_OPEN})
        OR (
          SELECT true FROM event v
          WHERE (v.transaction_id, v.id) > (e.told_transaction, e.told_event)
            AND v.transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
          ORDER BY v.transaction_id, v.id LIMIT 1
        )
      )
"""
_IS_DUE = text(f"SELECT EXISTS (SELECT {_DUE})")
# Whose turn was longest ago, so that nobody with much to hear keeps others back.
_NEXT = text(f"SELECT e.* {_DUE} ORDER BY e.lease_until NULLS FIRST, e.id LIMIT 1 FOR UPDATE SKIP LOCKED")
_PURGE = text(f"""
    WITH over AS (
        DELETE FROM event_delivery WHERE id IN (
            SELECT id FROM event_delivery WHERE id < :before AND NOT ({_IS_OPEN}) ORDER BY id LIMIT :most)
        RETURNING id
    ),
    tries AS (DELETE FROM event_try USING over WHERE event_try.delivery_id = over.id)
    SELECT count(*) FROM over
""")


@dataclass(frozen=True, slots=True)
class Push:
    """A delivery in hand. `at`: the database's time when it was taken."""

    endpoint: EventEndpoint = field(repr=False)  # as it was then
    version: int
    delivery_id: UUID
    event_count: int
    body: bytes = field(repr=False)
    at: datetime
    lease_until: datetime


def is_due(connection: Connection) -> bool:
    """Whether `next_endpoint` would find any."""
    return bool(connection.execute(_IS_DUE).scalar_one())


def next_endpoint(session: Session) -> EventEndpoint | None:
    """One that is to be told something now, locked; None where there is none that nobody else has in hand."""
    query = sa.select(EventEndpoint).from_statement(_NEXT)
    return session.execute(query, execution_options={"populate_existing": True}).scalar_one_or_none()


def take(session: Session, endpoint: EventEndpoint) -> Push | None:
    """Its open delivery, or the next one, leased to us; commit, then push. None where nothing of its types was found:
    its place has moved on; commit, and ask for the next endpoint."""
    now = database_now(session)
    delivery = _open_delivery(session, endpoint) or _new_delivery(session, endpoint, now)
    if delivery is None:
        endpoint.lease_until = now
        return None
    assert delivery.body is not None  # until it is over
    endpoint.lease_until = until = now + LEASE
    return Push(endpoint, endpoint.version, delivery.id, delivery.event_count, delivery.body, now, until)


def put_off(session: Session, endpoint: EventEndpoint) -> None:
    """Until as long a lease would be over."""
    endpoint.lease_until = database_now(session) + LEASE


def record(session: Session, push: Push, answer: Answer, settings: Settings, chance: float) -> bool:
    """What came of a push: a try of its delivery; and the place of its endpoint, or when it is tried again. Does not
    commit. True where its endpoint is disabled by that.

    Where the endpoint was changed meanwhile, or the lease ran out and somebody else is at it, only the try is written.
    """
    endpoint = find_locked(session, push.endpoint.id)
    if endpoint is None:
        return False
    _write_try(session, push, answer)
    now = database_now(session)
    is_ours = endpoint.lease_until == push.lease_until
    if is_ours:
        endpoint.lease_until = now
    delivery = session.get_one(EventDelivery, push.delivery_id, populate_existing=True)
    if endpoint.version != push.version or delivery.delivered_at is not None:
        return False
    if answer.error is None:
        _arrived(endpoint, delivery, now)
        return False
    return is_ours and _failed(session, endpoint, answer, settings, now, chance)


def purge(session: Session, most: int = 5_000) -> int:
    """Delete deliveries that are over and older than KEPT, with their tries; at most `most`. Returns how many. Does not
    commit."""
    before = first_id_at(database_now(session) - KEPT)
    return int(session.execute(_PURGE, {"before": before, "most": most}).scalar_one())


def _open_delivery(session: Session, endpoint: EventEndpoint) -> EventDelivery | None:
    query = select(EventDelivery).where(
        EventDelivery.endpoint_id == endpoint.id,
        col(EventDelivery.delivered_at).is_(None),
        col(EventDelivery.dropped_at).is_(None),
    )
    return session.exec(query).one_or_none()


def _new_delivery(session: Session, endpoint: EventEndpoint, now: datetime) -> EventDelivery | None:
    """What follows its place; None where none of it is of its types."""
    after = Place(endpoint.told_transaction, endpoint.told_event)
    page = read_events(session, after, endpoint.types, MOST_EVENTS, SCAN)
    if not page.rows:
        endpoint.told_transaction, endpoint.told_event = page.through
        return None
    bodies = _fitting([_json(event) for event in describe(session, page.rows)])
    through = page.through if len(bodies) == len(page.rows) else _place_of(page.rows[len(bodies) - 1])
    delivery = EventDelivery(
        endpoint_id=endpoint.id,
        after_transaction=after[0],
        after_event=after[1],
        through_transaction=through[0],
        through_event=through[1],
        event_count=len(bodies),
        body=_body(bodies, now),
        created_at=now,
    )
    session.add(delivery)
    return delivery


def _json(event: dict[str, Any]) -> bytes:
    """As in the feed, without its cursor: who is pushed to has no place of its own to keep."""
    return orjson.dumps({name: value for name, value in event.items() if name != "cursor"})


def _fitting(bodies: Sequence[bytes]) -> Sequence[bytes]:
    """The first of them, as many as may go together: one at least."""
    size = 0
    for count, body in enumerate(bodies):
        size += len(body) + 1
        if size > MOST_BYTES and count:
            return bodies[:count]
    return bodies


def _body(events: Sequence[bytes], now: datetime) -> bytes:
    timestamp = orjson.dumps(now, option=orjson.OPT_UTC_Z)
    return b'{"type":"events","timestamp":' + timestamp + b',"data":[' + b",".join(events) + b"]}"


def _place_of(row: Row[Any]) -> Place:
    return Place(row.transaction_id, row.id)


def _write_try(session: Session, push: Push, answer: Answer) -> None:
    of_delivery = col(EventTry.delivery_id) == push.delivery_id
    before = session.scalar(sa.select(sa.func.max(EventTry.number)).where(of_delivery))
    session.add(
        EventTry(
            delivery_id=push.delivery_id,
            number=(before or 0) + 1,
            at=push.at,
            seconds=round(answer.seconds, 3),
            status_code=answer.status_code,
            error=answer.error,
        )
    )


def _arrived(endpoint: EventEndpoint, delivery: EventDelivery, now: datetime) -> None:
    delivery.delivered_at, delivery.body = now, None
    endpoint.told_transaction, endpoint.told_event = delivery.through_transaction, delivery.through_event
    endpoint.failures, endpoint.failing_since, endpoint.next_try_at = 0, None, None


def _failed(
    session: Session, endpoint: EventEndpoint, answer: Answer, settings: Settings, now: datetime, chance: float
) -> bool:
    """True where it is given up."""
    endpoint.failures += 1
    endpoint.failing_since = since = endpoint.failing_since or now
    at = next_try(
        endpoint.failures,
        since,
        now,
        settings.event_retry_schedule,
        settings.event_disable_after,
        answer.retry_after,
        chance=chance,
    )
    if answer.is_gone:
        disable(session, endpoint, "The receiver answered HTTP 410: it is gone for good")
    elif at is None:
        disable(session, endpoint, f"Nothing has arrived since {since:%Y-%m-%d %H:%M} UTC; at last: {answer.error}")
    else:
        endpoint.next_try_at = at
    return endpoint.disabled_at is not None
