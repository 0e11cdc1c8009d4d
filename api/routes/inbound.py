"""Inbound messages: find what handsets wrote, and see what came of each."""

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import Field
from sqlmodel import Session, col, select

from api.auth import MayRead
from api.database import Database
from api.fields import Text
from api.message_views import read_messages
from api.paging import Paging, newest_first
from api.references import find_ids
from api.schemas.inbound import InboundItem, InboundList, InboundOut
from worker.db import open_session
from worker.inbound_timeline import inbound_timeline, why_no_reply
from worker.infobip.inbound import as_address
from worker.models import ConsentChange, Credential, InboundMessage, Message
from worker.refusals import NotFound, Refusal
from worker.timeline import situation
from worker.words import Action

router = APIRouter(prefix="/v1/inbound", tags=["Inbound"])

_CUSTOM = f"{Action.CUSTOM}:"  # what stands before the word
_ANY_WORD = f"custom (any custom keyword) or {_CUSTOM}WORD"
_KNOWN = ", ".join([*(action for action in Action if action is not Action.CUSTOM), _ANY_WORD])


class InboundSearch(Paging):
    sender: Annotated[
        Text | None, Field(alias="from", description="A number in any form; a short code or a name as it came.")
    ] = None
    to: Annotated[Text | None, Field(description="The number of yours, likewise.")] = None
    action: Annotated[Text | None, Field(description=f"{_KNOWN}.")] = None
    credential: Annotated[Text | None, Field(description="By name or id, also a deleted one.")] = None


@router.get("")
def list_inbound(caller: MayRead, database: Database, search: Annotated[InboundSearch, Query()]) -> InboundList:
    """What handsets wrote, newest first. A search by `to` or `credential` alone looks through all messages: add `from`
    or `action`."""
    with open_session(database) as session:
        query = _matching(session, search)
        rows, cursor = newest_first(session, query, col(InboundMessage.id), search, lambda row: row[0].id)
        return InboundList(items=[InboundItem.model_validate(_fields(*row)) for row in rows], next_cursor=cursor)


@router.get("/{message_id}")
def get_inbound(caller: MayRead, database: Database, message_id: UUID) -> InboundOut:
    """One of them with its timeline: what it was read as, what it made of consent, and how it was answered."""
    with open_session(database) as session:
        row = session.execute(_NAMED.where(col(InboundMessage.id) == message_id)).one_or_none()
        if row is None:
            raise NotFound("There is no inbound message with this id")
        inbound: InboundMessage = row[0]
        change = session.exec(
            select(ConsentChange)
            .where(col(ConsentChange.recipient) == inbound.sender, col(ConsentChange.inbound_id) == inbound.id)
            .order_by(col(ConsentChange.id))
        ).first()
        events = inbound_timeline(inbound, change, *_answer(session, inbound.reply_id))
        return InboundOut.model_validate({**_fields(*row), "timeline": events})


# Deleted credentials keep their rows. Names are read one by one: as a join they would leave the planner a choice.
_CREDENTIAL_NAME = (
    sa.select(col(Credential.name)).where(col(Credential.id) == col(InboundMessage.credential_id)).scalar_subquery()
)
_NAMED: sa.Select[*tuple[Any, ...]] = sa.select(InboundMessage, _CREDENTIAL_NAME)

# Each of the actions that occur, by one look at their index.
_OCCURRING = sa.text("""
    WITH RECURSIVE occurring AS (
        SELECT min(action) AS action FROM inbound_message
        UNION ALL
        SELECT (SELECT min(i.action) FROM inbound_message i WHERE i.action > o.action)
        FROM occurring o WHERE o.action IS NOT NULL
    )
    SELECT action FROM occurring WHERE action IS NOT NULL
""")


def _matching(session: Session, search: InboundSearch) -> sa.Select[*tuple[Any, ...]]:
    query = _NAMED
    if search.sender is not None:
        query = query.where(col(InboundMessage.sender) == _address("from", search.sender))
    if search.to is not None:
        query = query.where(col(InboundMessage.recipient) == _address("to", search.to))
    if search.action is not None:
        query = query.where(_asks_for(session, search.action))
    if search.credential is not None:
        query = query.where(col(InboundMessage.credential_id).in_(find_ids(session, Credential, search.credential)))
    return query


def _address(field: str, given: str) -> str:
    """In the form in which they are stored."""
    address = as_address(given)
    if address is None:
        raise Refusal.of_field(field, "is no number, short code or name: give one, or leave it out")
    return address


def _asks_for(session: Session, action: str) -> sa.ColumnElement[bool]:
    is_word = action.startswith(_CUSTOM) and action != _CUSTOM
    if not is_word and action not in list(Action):
        raise Refusal.of_field("action", f"is none of those there are: {_KNOWN}")
    if action != Action.CUSTOM:
        return col(InboundMessage.action) == action
    words = [found for found in session.execute(_OCCURRING).scalars() if found.startswith(_CUSTOM)]
    return col(InboundMessage.action).in_(words)


def _answer(session: Session, reply_id: UUID | None) -> tuple[Message | None, str | None]:
    """The reply, if one went, and its situation."""
    rows = [] if reply_id is None else read_messages(session, [reply_id])
    return (rows[0][0], situation(*rows[0])) if rows else (None, None)


def _fields(inbound: InboundMessage, credential: str) -> dict[str, Any]:
    return {
        **inbound.model_dump(),
        "credential": credential,
        "from": inbound.sender,
        "to": inbound.recipient,
        "no_reply": why_no_reply(inbound),
        "stored_at": inbound.created_at,
    }
