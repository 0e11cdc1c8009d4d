"""Events, as the feed gives them and as they are pushed: described here, made by `worker/event_views.py`."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from worker.words import EventType


class Price(BaseModel):
    amount: Annotated[str, Field(description="Of one message, in major units of `currency`.", examples=["0.0021"])]
    currency: str | None


class _OfMessage(BaseModel):
    message_id: UUID
    batch_id: UUID | None
    journey: Annotated[Any, Field(description="Of the batch, unchanged.")]
    surface: Annotated[str | None, Field(description="Its name; null: a reply has none.")]
    origin: str | None
    to: str | None
    callback_data: Annotated[str | None, Field(description="The message's own, else its batch's, unchanged.")]
    reason: Annotated[str | None, Field(description="A code; null for most that are delivered.")]
    sentence: Annotated[str | None, Field(description="What the code means.")]
    created_at: datetime | None
    expires_at: datetime | None
    price: Annotated[
        Price | None,
        Field(
            description="By the first priced report of the attempt that failed, or that delivered the message; of "
            "other ends, of the last one."
        ),
    ]
    segment_count: Annotated[int | None, Field(description="By the same report.")]
    mcc_mnc: Annotated[str | None, Field(description="By the same report.")]


class MessageEnded(_OfMessage):
    """Data of `message.delivered`, `message.failed`, `message.expired`, `message.suppressed`, `message.cancelled` and
    `message.unconfirmed`. One that is delivered after another end has both told."""

    state: Annotated[str, Field(description="The part of the type behind the dot.")]
    attempts: Annotated[int, Field(description="The number of the last one; 0: it never left.")]


class AttemptFailed(_OfMessage):
    """Data of `attempt.failed`."""

    attempt: Annotated[int, Field(description="The number of the one that failed.")]
    next_attempt_at: Annotated[datetime | None, Field(description="null: this was the last one.")]


class InboundSettled(BaseModel):
    """Data of `inbound.*`: what a handset wrote, and what it was read as."""

    inbound_id: UUID
    credential: Annotated[str | None, Field(description="Its name.")]
    channel: str | None
    sender: Annotated[str | None, Field(alias="from")]
    to: str | None
    text: str | None
    action: str
    keyword: str | None
    consent: Annotated[str | None, Field(description="The state that it led to; null: it changed nothing.")]
    reply_id: Annotated[UUID | None, Field(description="The message that answers it.")]
    received_at: datetime | None


class LaneChanged(BaseModel):
    """Data of `lane.held` and `lane.opened`. Of the latter the last three are null."""

    lane_id: UUID
    credential: Annotated[str | None, Field(description="Its name.")]
    channel: str | None
    message_type: str | None
    kind: Annotated[str | None, Field(description="fault, account or by hand")]
    reason: Annotated[str | None, Field(description="A sentence.")]
    held_until: Annotated[datetime | None, Field(description="When the lane is tried again.")]


class EndpointDisabled(BaseModel):
    """Data of `endpoint.disabled`."""

    endpoint_id: UUID
    name: str | None
    reason: str


class EventOut(BaseModel):
    id: Annotated[str, Field(description="The same each time the event is told.", examples=["8123"])]
    type: EventType
    at: datetime
    cursor: Annotated[str, Field(description="Give the last one seen as `after` to go on from here.")]
    data: Annotated[
        MessageEnded | AttemptFailed | InboundSettled | LaneChanged | EndpointDisabled,
        Field(description="By the part of the type before the dot. Where the rows of its subject are gone, nulls."),
    ]


class EventFeed(BaseModel):
    items: list[EventOut]
    cursor: Annotated[str, Field(description="All up to here is read: give it as `after` to go on.")]
    next_cursor: Annotated[
        str | None,
        Field(
            description="The same while more is ready, even where this page holds few items or none. null: no further "
            "event is ready yet."
        ),
    ]
