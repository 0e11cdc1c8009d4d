"""Event endpoints: addresses to which events are pushed, signed, in order, until they arrive."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from sqlmodel import Session, col, select

from api.auth import MayAdmin, MayRead
from api.bodies import JsonBody, Posted
from api.database import Database
from api.fields import Text
from api.once import Done, once
from api.paging import Paging, newest_first
from api.references import flush_name, is_referred
from api.schemas.event_endpoints import (
    DeliveryList,
    DeliveryOut,
    DeliveryState,
    EndpointState,
    EventEndpointChanges,
    EventEndpointIn,
    EventEndpointList,
    EventEndpointOut,
    EventEndpointWithSecret,
    PlaceIn,
    TryOut,
)
from worker import event_endpoints
from worker.db import database_now, open_session
from worker.feeds import Place, end_of_feed, place_of, write_place
from worker.models import EventDelivery, EventEndpoint, EventTry
from worker.push_signatures import make_secret
from worker.refusals import NotFound
from worker.secrets import encrypt

router = APIRouter(prefix="/v1/event-endpoints", tags=["Events"])


@router.post("", status_code=201, response_model=EventEndpointWithSecret)
def create_endpoint(
    caller: MayAdmin, posted: Annotated[Posted[EventEndpointIn], Depends(JsonBody(EventEndpointIn))]
) -> Response:
    """Have events pushed to an address. The answer holds the secret that checks their signatures, once."""
    body = posted.body

    def work(session: Session) -> Done:
        place = _place(session, body.after, body.from_) or end_of_feed(session)
        secret = make_secret()
        endpoint = EventEndpoint(
            name=body.name,
            url=body.url,
            types=body.types,
            secret=encrypt(secret),
            told_transaction=place[0],
            told_event=place[1],
        )
        session.add(endpoint)
        flush_name(session, endpoint)
        session.refresh(endpoint)
        return Done(_with_secret(session, endpoint, secret), 201)

    return once(posted, work, is_secret=True)


@router.get("")
def list_endpoints(caller: MayRead, database: Database, paging: Annotated[Paging, Query()]) -> EventEndpointList:
    """Event endpoints, newest first."""
    with open_session(database) as session:
        query = sa.select(EventEndpoint).where(col(EventEndpoint.deleted_at).is_(None))
        rows, cursor = newest_first(session, query, col(EventEndpoint.id), paging, lambda row: row[0].id)
        return EventEndpointList(items=_out(session, [row[0] for row in rows]), next_cursor=cursor)


@router.get("/{endpoint}")
def get_endpoint(caller: MayRead, database: Database, endpoint: Text) -> EventEndpointOut:
    """One event endpoint, by id or name: whether it is enabled, how far it is told, and how its pushes go."""
    with open_session(database) as session:
        return _out(session, [_find(session, endpoint)])[0]


@router.patch("/{endpoint}", response_model=EventEndpointOut)
def change_endpoint(
    caller: MayAdmin,
    endpoint: Text,
    posted: Annotated[Posted[EventEndpointChanges], Depends(JsonBody(EventEndpointChanges))],
) -> EventEndpointOut:
    """Change what is given. It goes on where it stands; another url is tried at once."""
    with open_session(posted.engine) as session:
        found = _find(session, endpoint, for_update=True)
        given = posted.body.model_dump(exclude_unset=True)
        changes = {name: value for name, value in given.items() if getattr(found, name) != value}
        if changes.keys() & {"url", "types"}:
            event_endpoints.changed(session, found)
        if "url" in changes:
            event_endpoints.begin_anew(found)
        for name, value in changes.items():
            setattr(found, name, value)
        return _changed(session, found)


@router.delete("/{endpoint}", status_code=204)
def delete_endpoint(caller: MayAdmin, database: Database, endpoint: Text) -> None:
    """Push nothing to it any more, and forget it."""
    with open_session(database) as session:
        found = _find(session, endpoint, for_update=True)
        event_endpoints.changed(session, found)
        found.deleted_at = database_now(session)
        session.commit()


@router.post("/{endpoint}/enable", response_model=EventEndpointOut)
def enable_endpoint(caller: MayAdmin, database: Database, endpoint: Text) -> EventEndpointOut:
    """Push to it again, from where it stopped."""
    with open_session(database) as session:
        found = _find(session, endpoint, for_update=True)
        event_endpoints.enable(session, found)
        return _changed(session, found)


@router.post("/{endpoint}/disable", response_model=EventEndpointOut)
def disable_endpoint(caller: MayAdmin, database: Database, endpoint: Text) -> EventEndpointOut:
    """Push nothing to it until it is enabled again."""
    with open_session(database) as session:
        found = _find(session, endpoint, for_update=True)
        event_endpoints.disable(session, found, None)
        return _changed(session, found)


@router.post("/{endpoint}/redeliver", response_model=EventEndpointOut)
def redeliver(
    caller: MayAdmin, endpoint: Text, posted: Annotated[Posted[PlaceIn], Depends(JsonBody(PlaceIn))]
) -> EventEndpointOut:
    """Go on from another place of the feed, further back or further on, at once. What it is told again has the same
    event IDs as before."""
    with open_session(posted.engine) as session:
        found = _find(session, endpoint, for_update=True)
        place = _place(session, posted.body.after, posted.body.from_)
        assert place is not None  # the body names one
        event_endpoints.set_place(session, found, place)
        return _changed(session, found)


@router.post("/{endpoint}/rotate-secret", response_model=EventEndpointWithSecret)
def rotate_secret(caller: MayAdmin, database: Database, endpoint: Text) -> EventEndpointWithSecret:
    """Make another secret, shown once, here. For a day the one before it signs too."""
    with open_session(database) as session:
        found = _find(session, endpoint, for_update=True)
        secret = event_endpoints.rotate_secret(session, found)
        _touch(session, found)
        answer = _with_secret(session, found, secret)
        session.commit()
        return answer


@router.get("/{endpoint}/deliveries")
def list_deliveries(
    caller: MayRead, database: Database, endpoint: Text, paging: Annotated[Paging, Query()]
) -> DeliveryList:
    """What was pushed to it, newest first, with each try. Those that are over are kept for 7 days."""
    with open_session(database) as session:
        found = _find(session, endpoint)
        query = sa.select(EventDelivery).where(col(EventDelivery.endpoint_id) == found.id)
        query = query.options(sa.orm.defer(EventDelivery.body))  # type: ignore[arg-type]
        rows, cursor = newest_first(session, query, col(EventDelivery.id), paging, lambda row: row[0].id)
        return DeliveryList(items=_deliveries_out(session, [row[0] for row in rows]), next_cursor=cursor)


def _find(session: Session, reference: str, *, for_update: bool = False) -> EventEndpoint:
    """By id or name. Errors: NotFound."""
    query = select(EventEndpoint).where(is_referred(EventEndpoint, reference))
    found = session.exec(query.with_for_update() if for_update else query).one_or_none()
    if found is None:
        raise NotFound("There is no event endpoint of this name or id")
    return found


def _place(session: Session, after: str | None, since: datetime | None) -> Place | None:
    """The one that is given, if any. Errors: BadCursor, StaleCursor."""
    if after is not None:
        return place_of(session, after)
    return None if since is None else event_endpoints.place_at(session, since)


def _touch(session: Session, endpoint: EventEndpoint) -> None:
    """Write it. Errors: Conflict, where another one has its name."""
    with session.no_autoflush:
        endpoint.updated_at = database_now(session)
    flush_name(session, endpoint)


def _changed(session: Session, endpoint: EventEndpoint) -> EventEndpointOut:
    """Commits."""
    _touch(session, endpoint)
    answer = _out(session, [endpoint])[0]
    session.commit()
    return answer


def _out(session: Session, endpoints: Sequence[EventEndpoint]) -> list[EventEndpointOut]:
    backlogs = event_endpoints.backlogs(session, [endpoint.id for endpoint in endpoints])
    now = database_now(session)
    return [EventEndpointOut.model_validate(_fields(session, one, backlogs[one.id], now)) for one in endpoints]


def _with_secret(session: Session, endpoint: EventEndpoint, secret: str) -> EventEndpointWithSecret:
    (shown,) = _out(session, [endpoint])
    return EventEndpointWithSecret(**shown.model_dump(), secret=secret)


def _fields(session: Session, endpoint: EventEndpoint, backlog: int, now: datetime) -> dict[str, Any]:
    both_until = event_endpoints.both_sign_until(endpoint)
    return {
        **endpoint.model_dump(exclude={"secret", "previous_secret"}),
        "state": EndpointState.ENABLED if endpoint.disabled_at is None else EndpointState.DISABLED,
        "cursor": write_place(session, Place(endpoint.told_transaction, endpoint.told_event)),
        "backlog": backlog,
        "previous_secret_until": both_until if both_until is not None and both_until > now else None,
    }


def _deliveries_out(session: Session, deliveries: Sequence[EventDelivery]) -> list[DeliveryOut]:
    tries: dict[UUID, list[TryOut]] = defaultdict(list)
    query = select(EventTry).where(col(EventTry.delivery_id).in_([delivery.id for delivery in deliveries]))
    for one in session.exec(query.order_by(col(EventTry.number))):
        tries[one.delivery_id].append(TryOut.model_validate(one, from_attributes=True))
    return [_delivery_out(session, delivery, tries[delivery.id]) for delivery in deliveries]


def _delivery_out(session: Session, delivery: EventDelivery, tries: list[TryOut]) -> DeliveryOut:
    if delivery.delivered_at is not None:
        state = DeliveryState.DELIVERED
    else:
        state = DeliveryState.OPEN if delivery.dropped_at is None else DeliveryState.DROPPED
    return DeliveryOut(
        id=delivery.id,
        state=state,
        event_count=delivery.event_count,
        after=write_place(session, Place(delivery.after_transaction, delivery.after_event)),
        through=write_place(session, Place(delivery.through_transaction, delivery.through_event)),
        created_at=delivery.created_at,
        delivered_at=delivery.delivered_at,
        dropped_at=delivery.dropped_at,
        tries=tries,
    )
