"""Surfaces: what a journey names when it sends."""

from datetime import timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from sqlmodel import Session, col, select

from api.auth import MayAdmin, MayRead
from api.bodies import JsonBody, Posted
from api.database import Database
from api.fields import Text
from api.once import Done, once
from api.orders import refuse_window_without_reason
from api.paging import Paging, newest_first
from api.references import flush_name, is_referred
from api.schemas.surfaces import SurfaceChanges, SurfaceIn, SurfaceList, SurfaceOut
from worker.alphabets import Language
from worker.db import database_now, open_session
from worker.durations import format_duration
from worker.hours import Hours, format_hours
from worker.models import Credential, Message, Surface
from worker.refusals import Conflict, NotFound, Refusal
from worker.states import LIVE
from worker.words import Channel, MessageType

router = APIRouter(prefix="/v1/surfaces", tags=["Surfaces"])

_COUNTED = 1_000  # live messages, at most: beyond, the exact number helps nobody


@router.post("", status_code=201, response_model=SurfaceOut)
def create_surface(caller: MayAdmin, posted: Annotated[Posted[SurfaceIn], Depends(JsonBody(SurfaceIn))]) -> Response:
    """Create a surface: channel, message type, credential and sender under one name."""

    def work(session: Session) -> Done:
        credential = _credential(session, posted.body.credential)
        surface = Surface(**_columns(posted.body), credential_id=credential.id)
        _check(surface)
        session.add(surface)
        flush_name(session, surface)
        session.refresh(surface)
        return Done(_out(surface, credential.name), 201)

    return once(posted, work)


@router.get("")
def list_surfaces(caller: MayRead, database: Database, paging: Annotated[Paging, Query()]) -> SurfaceList:
    """Surfaces, newest first."""
    with open_session(database) as session:
        query = _WITH_CREDENTIAL.where(col(Surface.deleted_at).is_(None))
        rows, cursor = newest_first(session, query, col(Surface.id), paging, lambda row: row[0].id)
        return SurfaceList(items=[_out(surface, name) for surface, name in rows], next_cursor=cursor)


@router.get("/{surface}")
def get_surface(caller: MayRead, database: Database, surface: Text) -> SurfaceOut:
    """One surface, by id or name."""
    with open_session(database) as session:
        return _out(*_find(session, surface))


@router.patch("/{surface}", response_model=SurfaceOut)
def change_surface(
    caller: MayAdmin, surface: Text, posted: Annotated[Posted[SurfaceChanges], Depends(JsonBody(SurfaceChanges))]
) -> SurfaceOut:
    """Change what is given; null clears. It applies to later sends: accepted messages keep what they were given.

    Channel, message type and credential stay as they are: create another surface for those.
    """
    with open_session(posted.engine) as session:
        found, credential_name = _find(session, surface, for_update=True)
        changes = {**_columns(posted.body, only_given=True), "updated_at": database_now(session)}
        for name, value in changes.items():
            setattr(found, name, value)
        _check(found)
        flush_name(session, found)
        session.refresh(found)
        session.commit()
        return _out(found, credential_name)


@router.delete("/{surface}", status_code=204)
def delete_surface(caller: MayAdmin, database: Database, surface: Text) -> None:
    """Delete a surface that has no message on its way. What it sent stays readable."""
    with open_session(database) as session:
        found, _ = _find(session, surface, for_update=True)
        live = (col(Message.surface_id) == found.id, col(Message.state).in_(LIVE))
        some = sa.select(col(Message.id)).where(*live).limit(_COUNTED).subquery()
        count = session.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
        if count:
            number = f"{count:,} or more messages are" if count == _COUNTED else f"{count:,} message(s) are"
            raise Conflict(f"{number} still on their way through this surface: wait for their end")
        found.deleted_at = database_now(session)
        session.commit()


_WITH_CREDENTIAL = sa.select(Surface, col(Credential.name)).join(
    Credential, col(Credential.id) == Surface.credential_id
)


def _find(session: Session, reference: str, *, for_update: bool = False) -> tuple[Surface, str]:
    query = _WITH_CREDENTIAL.where(is_referred(Surface, reference))
    row = session.execute(query.with_for_update(of=Surface) if for_update else query).one_or_none()
    if row is None:
        raise NotFound("There is no surface of this name or id")
    return row[0], row[1]


def _credential(session: Session, reference: str) -> Credential:
    """Locked against deletion until the surface is committed."""
    query = select(Credential).where(is_referred(Credential, reference))
    found = session.exec(query.with_for_update(key_share=True, read=True)).one_or_none()
    if found is None:
        raise Refusal.of_field("credential", "there is no credential of this name or id: create it first")
    return found


def _columns(body: SurfaceIn | SurfaceChanges, *, only_given: bool = False) -> dict[str, Any]:
    names = body.model_fields_set if only_given else set(type(body).model_fields)
    fields = {name: getattr(body, name) for name in names - {"credential"}}
    if "validity_period" in fields:
        span = fields.pop("validity_period")
        fields["validity_seconds"] = None if span is None else int(span.total_seconds())
    if isinstance(fields.get("language"), Language):
        fields["language"] = fields["language"]._asdict()
    if isinstance(fields.get("sending_window"), Hours):
        fields["sending_window"] = format_hours(fields["sending_window"])
    return fields


def _check(surface: Surface) -> None:
    """What fields say together. Errors: Refusal."""
    if surface.require_opt_in and surface.message_type != MessageType.MARKETING:
        raise Refusal.of_field("require_opt_in", "transactional messages need no opt-in: leave it out, or give false")
    if surface.fallback_sender is not None and surface.channel != Channel.MMS:
        raise Refusal.of_field("fallback_sender", "belongs to a surface whose channel is mms: leave it out")
    refuse_window_without_reason(surface.sending_window, surface.window_off_reason)


def _out(surface: Surface, credential_name: str) -> SurfaceOut:
    seconds = surface.validity_seconds
    return SurfaceOut.model_validate(
        {
            **surface.model_dump(),
            "credential": credential_name,
            "validity_period": None if seconds is None else format_duration(timedelta(seconds=seconds)),
        }
    )
