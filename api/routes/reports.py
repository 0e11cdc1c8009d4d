"""Delivery reports as a feed: everything Infobip ever said, in an order that a reader can follow without gaps."""

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query
from sqlmodel import Session, col

from api.auth import MayRead
from api.database import Database
from api.paging import FeedPaging
from api.schemas.reports import ErrorOut, ReportFeed, ReportOut, StatusOut
from worker.db import open_session
from worker.feeds import read_feed, report_place_of, write_place
from worker.models import DeliveryReport, Message

router = APIRouter(prefix="/v1/reports", tags=["Reports"])


class ReportSearch(FeedPaging):
    batch: UUID | None = None
    message: UUID | None = None


@router.get("")
def list_reports(caller: MayRead, database: Database, search: Annotated[ReportSearch, Query()]) -> ReportFeed:
    """Recorded delivery reports, oldest first. Keep the last item's `cursor` and ask again `after` it."""
    query = sa.select(DeliveryReport)
    if search.message is not None:
        query = query.where(col(DeliveryReport.message_id) == search.message)
    if search.batch is not None:
        query = query.join(Message, col(Message.id) == DeliveryReport.message_id)
        query = query.where(col(Message.batch_id) == search.batch)
    with open_session(database) as session:
        after = None if search.place is None else report_place_of(session, search.place)
        page = read_feed(session, query, after, search.limit)
        items = [_out(session, row) for row in page.rows]
        return ReportFeed(items=items, next_cursor=None if page.is_at_end else items[-1].cursor)


def _out(session: Session, report: sa.Row[Any]) -> ReportOut:
    status = StatusOut(id=report.status_id, name=report.status_name, group=report.status_group)
    error = ErrorOut(id=report.error_id, name=report.error_name, permanent=report.error_permanent)
    cursor = write_place(session, (report.transaction_id, report.id))
    return ReportOut.model_validate({**report._mapping, "status": status, "error": error, "cursor": cursor})
