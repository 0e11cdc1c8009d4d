"""Delivery reports, as the feed gives them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field


class StatusOut(BaseModel):
    id: int | None
    name: str | None
    group: str | None


class ErrorOut(BaseModel):
    id: int | None
    name: str | None
    permanent: bool | None


class ReportOut(BaseModel):
    id: UUID
    message_id: UUID
    attempt: int
    status: StatusOut
    error: ErrorOut
    callback_data: str | None
    price: Annotated[float | None, Field(description="Of one message, in major units of `currency`.")]
    currency: str | None
    segment_count: int | None
    mcc_mnc: str | None
    source: Annotated[str, Field(description="push or pull")]
    result: Annotated[str, Field(description="applied, late, or noted (it changed nothing)")]
    sent_at: datetime | None
    done_at: datetime | None
    received_at: datetime
    cursor: Annotated[str, Field(description="Give the last one seen as `after` to go on from here.")]


class ReportFeed(BaseModel):
    items: list[ReportOut]
    next_cursor: Annotated[str | None, Field(description="null: no further report is ready yet.")]
