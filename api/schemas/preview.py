"""Previews: what a send would become."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.sends import RejectedOut
from worker.words import Channel


class Forcing(BaseModel):
    """The character that makes a text Unicode, which costs more than twice as much."""

    character: str
    name: str
    at: Annotated[int, Field(description="Its place in the text, from 0.")]


class SegmentsOut(BaseModel):
    """What a text is billed as. Characters are septets of GSM-7, of which some take two, or UTF-16 units."""

    encoding: Literal["GSM-7", "UCS-2"]
    parts: int
    characters: int
    left: Annotated[int, Field(description="That the last part still holds.")]
    tables: Annotated[str | None, Field(description="National language tables in use.")]
    forcing: Forcing | None


class PreviewItem(BaseModel):
    index: int
    to: str
    goes_as: Annotated[
        Channel, Field(description="sms, where an MMS's fallback_text goes in its place: text and segments are its.")
    ]
    sender: Annotated[str, Field(description="Who sends it.")]
    text: str | None
    sent_as: Annotated[str | None, Field(description="Its text once transliterated, where that is another.")]
    mms: Annotated[Any, Field(description="Where it goes as an MMS.")]
    segments: SegmentsOut | None
    content_template_id: str | None
    principal_entity_id: str | None
    warning: str | None
    not_sent: Annotated[
        str | None,
        Field(description="A reason's code: consent forbids it, or its sending window opens too late."),
    ]
    leaves_at: Annotated[datetime | None, Field(description="Its turn, by the pace and the sending window.")]
    leaves_before: Annotated[datetime | None, Field(description="When its window closes again.")]


class NetworkCost(BaseModel):
    """By the prices of the newest reports; an estimate."""

    channel: Annotated[Channel, Field(description="On which these go.")]
    mcc_mnc: Annotated[str | None, Field(description="As its recipients' last reports said; null: not known.")]
    messages: int
    parts: int
    amount: Annotated[float | None, Field(description="In major units of the currency; null: no price is known.")]
    currency: str | None


class PreviewOut(BaseModel):
    items: Sequence[PreviewItem]
    rejected: Sequence[RejectedOut]
    duplicates: Annotated[int, Field(description="Rows dropped by `deduplicate`.")]
    parts: Annotated[int, Field(description="That all items together are billed as.")]
    cost: Sequence[NetworkCost]
