"""Inbound messages, as they are read."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from worker.words import Channel, ConsentState


class InboundItem(BaseModel):
    id: UUID
    credential: Annotated[str, Field(description="Its name, also of a deleted one.")]
    channel: Channel
    sender: Annotated[
        str, Field(alias="from", description="A phone number as digits without `+`; a short code or a name as it came.")
    ]
    recipient: Annotated[str | None, Field(alias="to", description="The number of yours that it was written to.")]
    text: str | None
    media: Annotated[
        list[dict[str, Any]] | None,
        Field(
            description="What an MMS holds beside its text: `content_type`, `url` or `value`; `is_cut` where too long."
        ),
    ]
    action: Annotated[
        str | None,
        Field(
            description="What it asks for: opt_out, help, double_opt_in, opt_in, custom:WORD, near_miss, none, "
            "other_number; null: not settled yet."
        ),
    ]
    keyword: Annotated[str | None, Field(description="The one that was met, or almost met, as configured.")]
    consent: Annotated[ConsentState | None, Field(description="The state that it led to; null: it changed nothing.")]
    reply_id: Annotated[UUID | None, Field(description="The message that answers it.")]
    no_reply: Annotated[
        str | None, Field(description="Why none does, in a sentence; null where one does, or nothing is settled yet.")
    ]
    segment_count: int | None
    price: Annotated[float | None, Field(description="Of the message, in major units of `currency`.")]
    currency: str | None
    callback_data: str | None
    received_at: Annotated[datetime, Field(description="By Infobip, as it says.")]
    stored_at: datetime


class InboundOut(InboundItem):
    timeline: Annotated[
        list[dict[str, Any]], Field(description="What came of it, oldest first; each has `at` and `kind`.")
    ]


class InboundList(BaseModel):
    items: list[InboundItem]
    next_cursor: str | None
