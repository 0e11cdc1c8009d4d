"""Messages: send one, find them, and see what happened to each."""

from typing import Annotated
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field
from sqlmodel import Session, col, select

from api.announcing import announce
from api.auth import MayRead, MaySend
from api.bodies import JsonBody, Posted
from api.database import Database
from api.fields import Moment, Text
from api.group_commit import commit_together
from api.links import check_links
from api.message_views import read_messages, view_message
from api.once import Done, json_answer, once
from api.orders import message_order
from api.paging import Paging, read_place, write_place
from api.references import find_ids
from api.schemas.sends import MessageAccepted, MessageIn, MessageItem, MessageList, MessageOut
from api.single_sends import STATUS, Send, answer_of, write_sends
from worker.db import open_session
from worker.enqueue import Accepted, enqueue_message
from worker.message_search import Search, find
from worker.models import Attempt, DeliveryReport, InboundMessage, Message, Submission, Surface
from worker.orders import MessageOrder
from worker.recipients import BadRecipient, normalise
from worker.refusals import NotFound, Refusal
from worker.replay import links
from worker.states import State
from worker.timeline import timeline
from worker.words import Origin

router = APIRouter(prefix="/v1/messages", tags=["Messages"])


class MessageSearch(Paging):
    batch: UUID | None = None
    state: State | None = None
    to: Annotated[Text | None, Field(description="A number in any form.")] = None
    callback_data: Annotated[Text | None, Field(description="The whole of it, a message's own or its batch's.")] = None
    callback_data_prefix: Annotated[
        Text | None, Field(min_length=1, max_length=64, description="How it begins, character by character.")
    ] = None
    error: Annotated[
        Text | None,
        Field(description="Why it ended undelivered or is tried again: a reason of ours, or Infobip's name."),
    ] = None
    journey: Annotated[Text | None, Field(description="The journey's ID, of batches that name one.")] = None
    surface: Annotated[Text | None, Field(description="By name or id, also a deleted one.")] = None
    origin: Origin | None = None
    since: Annotated[Moment | None, Field(alias="from", description="Created at this time or later.")] = None
    until: Annotated[Moment | None, Field(description="Created before this time.")] = None


@router.post("", status_code=202, response_model=MessageAccepted)
async def send_message(
    request: Request, caller: MaySend, posted: Annotated[Posted[MessageIn], Depends(JsonBody(MessageIn))]
) -> Response:
    """Accept one message. 202 means it is stored, and outlives whatever is restarted or emptied now."""
    order = message_order(posted.body)
    if order.mms is not None:
        limiter = request.app.state.lone_sends
        await to_thread.run_sync(check_links, posted.engine, posted.key, order.mms, limiter=limiter)
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
    """Messages, newest first. All filters combine; each page is found within moments, also the last one."""
    before = None if search.cursor is None else read_place(search.cursor)
    with open_session(database) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        found = find(session, _asked(session, search), before, search.limit + 1)
        page = found[: search.limit]
        items = [MessageItem.model_validate(view_message(*row)) for row in read_messages(session, page)]
        return MessageList(items=items, next_cursor=write_place(page[-1]) if len(found) > len(page) else None)


@router.get("/{message_id}")
def get_message(caller: MayRead, database: Database, message_id: UUID) -> MessageOut:
    """One message with its timeline: what it answers or replays, every attempt, what Infobip said, every report, what
    happens next, and what replays it."""
    with open_session(database) as session:
        rows = read_messages(session, [message_id])
        if not rows:
            raise NotFound("There is no message with this id")
        ((message, around),) = rows
        attempts = session.exec(select(Attempt).where(Attempt.message_id == message_id)).all()
        reports = session.exec(select(DeliveryReport).where(DeliveryReport.message_id == message_id)).all()
        submission_ids = [attempt.submission_id for attempt in attempts]
        submissions = session.exec(select(Submission).where(col(Submission.id).in_(submission_ids))).all()
        inbound = session.exec(select(InboundMessage).where(col(InboundMessage.reply_id) == message_id)).one_or_none()
        source_id, replay_id = links(session, message_id)
        source, replay = (session.get(Message, linked) if linked else None for linked in (source_id, replay_id))
        events = timeline(message, attempts, submissions, reports, inbound, source, replay)
        is_fallback, has_fallback = (one is not None and one.origin == Origin.FALLBACK for one in (message, replay))
        linked = {
            "inbound_id": inbound.id if inbound else None,
            "replay_of": None if is_fallback else source_id,
            "replayed_by": None if has_fallback else replay_id,
            "fallback_of": source_id if is_fallback else None,
            "fallback": replay_id if has_fallback else None,
        }
        return MessageOut.model_validate({**view_message(message, around), **linked, "timeline": events})


def _asked(session: Session, search: MessageSearch) -> Search:
    """Errors: Refusal."""
    return Search(
        batch_id=search.batch,
        state=search.state,
        recipient=None if search.to is None else _number(search.to),
        callback_data=search.callback_data,
        callback_prefix=search.callback_data_prefix,
        reason=search.error,
        journey_id=search.journey,
        surface_ids=None if search.surface is None else find_ids(session, Surface, search.surface),
        origin=search.origin,
        since=search.since,
        until=search.until,
    )


def _number(given: str) -> str:
    try:
        return normalise(given, None)
    except BadRecipient as error:
        raise Refusal.of_field("to", f"{error} (a `+` in a query is written %2B)") from error
