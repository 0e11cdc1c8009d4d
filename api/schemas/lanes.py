"""Lanes, as they stand."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.sends import ReasonCount
from worker.words import Channel, HoldKind, MessageType


class LaneItem(BaseModel):
    id: UUID
    credential: str
    channel: Channel
    message_type: MessageType
    counts: Annotated[dict[str, int], Field(description="Messages by state, of all that are kept.")]
    reasons: Annotated[list[ReasonCount], Field(description="Why messages are tried again or ended undelivered.")]
    due: Annotated[int, Field(description="Messages whose turn has come; at most 10,000 are counted.")]
    due_is_capped: Annotated[bool, Field(description="Whether there are more than that.")]
    oldest_due_seconds: Annotated[float | None, Field(description="How long ago the first of their turns came.")]
    kind: Annotated[HoldKind | None, Field(description="What holds the lane; null: it is open.")]
    reason: Annotated[str | None, Field(description="Why it is held.")]
    held_until: Annotated[datetime | None, Field(description="When it is tried again.")]


class LaneList(BaseModel):
    items: list[LaneItem]
    next_cursor: Annotated[None, Field(description="All lanes stand on one page.")] = None
