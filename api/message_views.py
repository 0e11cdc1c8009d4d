"""Messages as callers see them: with what they inherit from their batch, and a sentence on where each stands."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from worker.db import database_now
from worker.models import Attempt, Batch, Lane, Message
from worker.states import WAITING, State
from worker.timeline import Around, situation

_WITH_ATTEMPT = sa.select(Message, Attempt).outerjoin(
    Attempt, sa.and_(col(Attempt.message_id) == Message.id, col(Attempt.number) == Message.attempt_count)
)
# What a page of messages has no use for, and may be long.
_WITHOUT = (defer(Batch.journey), defer(Batch.text), defer(Batch.mms))  # type: ignore[arg-type]


def read_messages(session: Session, ids: Sequence[UUID]) -> list[tuple[Message, Around]]:
    """In the order of the IDs, with what explains them; those that are not there are left out."""
    now = database_now(session)
    rows = {row[0].id: row for row in session.execute(_WITH_ATTEMPT.where(col(Message.id).in_(ids)))}
    lanes = _by_id(session, select(Lane), Lane, {message.lane_id for message, _ in rows.values()})
    batch_ids = {message.batch_id for message, _ in rows.values() if message.batch_id is not None}
    batches = _by_id(session, select(Batch).options(*_WITHOUT), Batch, batch_ids)
    return [
        (message, Around(now, lanes[message.lane_id], batches.get(message.batch_id), attempt))
        for message, attempt in (rows[message_id] for message_id in ids if message_id in rows)
    ]


def view_message(message: Message, around: Around) -> dict[str, Any]:
    """The fields of MessageItem."""

    def effective(name: str) -> Any:
        own = getattr(message, name)
        return getattr(around.batch, name) if own is None and around.batch is not None else own

    return {
        "id": message.id,
        "batch_id": message.batch_id,
        "to": message.recipient,
        "state": State(message.state),
        "reason": situation(message, around),
        "attempts": message.attempt_count,
        "next_attempt_at": message.next_attempt_at if message.state in WAITING else None,
        "expires_at": message.expires_at,
        "callback_data": effective("callback_data"),
        "content_template_id": effective("content_template_id"),
        "principal_entity_id": effective("principal_entity_id"),
        "segments": _segments(message if message.segment_count is not None else around.batch),
        "warning": message.warning,
        "origin": message.origin,
        "created_at": message.created_at,
    }


def _segments(of: Message | Batch | None) -> dict[str, Any] | None:
    """As the message, or its batch where that has the text, was counted when it was accepted."""
    if of is None or of.segment_count is None:
        return None
    return {
        "encoding": of.encoding,
        "parts": of.segment_count,
        "left": of.characters_left,
        "forcing": of.forcing,
    }


def _by_id(session: Session, query: Any, table: Any, ids: set[UUID]) -> dict[UUID | None, Any]:
    if not ids:
        return {}
    return {row.id: row for row in session.exec(query.where(col(table.id).in_(ids)))}
