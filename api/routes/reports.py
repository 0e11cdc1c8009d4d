"""Delivery reports as a feed: everything Infobip ever said, in an order that a reader can follow without gaps."""

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import Field, model_validator
from sqlmodel import col

from api.auth import MayRead
from api.database import Database
from api.fields import Text
from api.paging import Paging
from api.schemas.reports import ErrorOut, ReportFeed, ReportOut, StatusOut
from worker.db import open_session
from worker.feeds import read_feed
from worker.models import DeliveryReport, Message

router = APIRouter(prefix="/v1/reports", tags=["Reports"])


class FeedPlace(Paging):
    after: Annotated[
        Text | None, Field(max_length=500, description="`cursor` of the last item seen; the same as `cursor`.")
    ] = None
    batch: UUID | None = None
    message: UUID | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "FeedPlace":
        if self.after is not None and self.cursor is not None:
            raise ValueError("give after or cursor, not both: they mean the same")
        return self


@router.get("")
def list_reports(caller: MayRead, database: Database, place: Annotated[FeedPlace, Query()]) -> ReportFeed:
    """Recorded delivery reports, oldest first. Keep the last item's `cursor` and ask again `after` it."""
    query = sa.select(DeliveryReport)
    if place.message is not None:
        query = query.where(col(DeliveryReport.message_id) == place.message)
    if place.batch is not None:
        query = query.join(Message, col(Message.id) == DeliveryReport.message_id)
        query = query.where(col(Message.batch_id) == place.batch)
    with open_session(database) as session:
        page = read_feed(
            session,
            query,
            transaction_id=col(DeliveryReport.transaction_id),
            row_id=col(DeliveryReport.id),
            after=place.after or place.cursor,
            limit=place.limit,
        )
        items = [_out(row[0], cursor) for row, cursor in zip(page.rows, page.cursors, strict=True)]
        return ReportFeed(items=items, next_cursor=page.next_cursor)


def _out(report: DeliveryReport, cursor: str) -> ReportOut:
    fields: dict[str, Any] = report.model_dump()
    status = StatusOut(id=report.status_id, name=report.status_name, group=report.status_group)
    error = ErrorOut(id=report.error_id, name=report.error_name, permanent=report.error_permanent)
    return ReportOut.model_validate({**fields, "status": status, "error": error, "cursor": cursor})
