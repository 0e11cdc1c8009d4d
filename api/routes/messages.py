"""Messages: send one, find them, and see what happened to each."""

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from sqlmodel import Session, col, select

from api.announcing import announce
from api.auth import MayRead, MaySend
from api.bodies import JsonBody, Posted
from api.database import Database
from api.fields import Text
from api.group_commit import commit_together
from api.once import Done, json_answer, once
from api.orders import message_order
from api.paging import Paging, newest_first
from api.schemas.sends import MessageAccepted, MessageIn, MessageItem, MessageList, MessageOut
from api.single_sends import STATUS, Send, answer_of, write_sends
from worker.db import open_session
from worker.enqueue import Accepted, enqueue_message
from worker.models import Attempt, Batch, DeliveryReport, InboundMessage, Message, Submission
from worker.orders import MessageOrder
from worker.recipients import BadRecipient, normalise
from worker.refusals import NotFound, Refusal
from worker.states import WAITING, State
from worker.timeline import situation, timeline

router = APIRouter(prefix="/v1/messages", tags=["Messages"])


class MessageSearch(Paging):
    batch: UUID | None = None
    state: State | None = None
    to: Text | None = None
    callback_data: Text | None = None


@router.post("", status_code=202, response_model=MessageAccepted)
async def send_message(
    request: Request, caller: MaySend, posted: Annotated[Posted[MessageIn], Depends(JsonBody(MessageIn))]
) -> Response:
    """Accept one message. 202 means it is stored, and outlives whatever is restarted or emptied now."""
    order = message_order(posted.body)
    accepted: Accepted | None = await commit_together(request, write_sends, Send(order, posted.key))
    if accepted is None:
        return await to_thread.run_sync(_send_by_itself, posted, order, limiter=request.app.state.lone_sends)
    return json_answer(answer_of(accepted), STATUS)


def _send_by_itself(posted: Posted[MessageIn], order: MessageOrder) -> Response:
    def work(session: Session) -> Done:
        accepted = enqueue_message(session, order)
        return Done(answer_of(accepted), STATUS, lambda: announce([accepted]))

    return once(posted, work)


@router.get("")
def list_messages(caller: MayRead, database: Database, search: Annotated[MessageSearch, Query()]) -> MessageList:
    """Messages, newest first. A search for a rare state alone looks through all messages: add `batch` or `to`."""
    with open_session(database) as session:
        rows, cursor = newest_first(session, _matching(search), col(Message.id), search, lambda row: row[0].id)
        items = [MessageItem.model_validate(_fields(message, batch)) for message, batch in rows]
        return MessageList(items=items, next_cursor=cursor)


@router.get("/{message_id}")
def get_message(caller: MayRead, database: Database, message_id: UUID) -> MessageOut:
    """One message with its timeline: what it answers, every attempt, what Infobip said, every report, and what happens
    next."""
    with open_session(database) as session:
        row = session.execute(_WITH_BATCH.where(col(Message.id) == message_id)).one_or_none()
        if row is None:
            raise NotFound("There is no message with this id")
        message, batch = row
        attempts = session.exec(select(Attempt).where(Attempt.message_id == message_id)).all()
        reports = session.exec(select(DeliveryReport).where(DeliveryReport.message_id == message_id)).all()
        submission_ids = [attempt.submission_id for attempt in attempts]
        submissions = session.exec(select(Submission).where(col(Submission.id).in_(submission_ids))).all()
        inbound = session.exec(select(InboundMessage).where(col(InboundMessage.reply_id) == message_id)).one_or_none()
        events = timeline(message, attempts, submissions, reports, inbound)
        fields = {**_fields(message, batch, attempts), "inbound_id": inbound.id if inbound else None}
        return MessageOut.model_validate({**fields, "timeline": events})


_WITH_BATCH = sa.select(Message, Batch).outerjoin(Batch, col(Batch.id) == Message.batch_id)


def _matching(search: MessageSearch) -> sa.Select[*tuple[Any, ...]]:
    query: sa.Select[*tuple[Any, ...]] = _WITH_BATCH
    if search.batch is not None:
        query = query.where(col(Message.batch_id) == search.batch)
    if search.state is not None:
        query = query.where(col(Message.state) == search.state)
    if search.to is not None:
        try:
            query = query.where(col(Message.recipient) == normalise(search.to, None))
        except BadRecipient as error:
            raise Refusal.of_field("to", f"{error} (a `+` in a query is written %2B)") from error
    if search.callback_data is not None:
        query = query.where(_carries(search.callback_data))
    return query


def _carries(callback_data: str) -> sa.ColumnElement[bool]:
    """The message's own callback data, or its batch's where it has none."""

    # The index holds the beginning only.
    def equals(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return sa.and_(sa.func.left(column, 64) == callback_data[:64], column == callback_data)

    own = equals(col(Message.callback_data))  # type: ignore[arg-type]
    batches = sa.select(col(Batch.id)).where(equals(col(Batch.callback_data)))  # type: ignore[arg-type]
    return sa.or_(own, sa.and_(col(Message.callback_data).is_(None), col(Message.batch_id).in_(batches)))


def _fields(message: Message, batch: Batch | None, attempts: Any = ()) -> dict[str, Any]:
    """The message as read: what it does not hold itself stands on its batch."""

    def effective(name: str) -> Any:
        own = getattr(message, name)
        return getattr(batch, name) if own is None and batch is not None else own

    return {
        "id": message.id,
        "batch_id": message.batch_id,
        "to": message.recipient,
        "state": State(message.state),
        "reason": situation(message, batch, attempts),
        "attempts": message.attempt_count,
        "next_attempt_at": message.next_attempt_at if message.state in WAITING else None,
        "expires_at": message.expires_at,
        "callback_data": effective("callback_data"),
        "content_template_id": effective("content_template_id"),
        "principal_entity_id": effective("principal_entity_id"),
        "origin": message.origin,
        "created_at": message.created_at,
    }
