"""Lanes: what waits where, and what holds it."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Row

from api.auth import MayRead
from api.batch_views import view_counts
from api.database import Database
from api.schemas.lanes import LaneItem, LaneList
from worker import tally
from worker.db import open_session
from worker.lane_overview import MOST_COUNTED, read_lanes

router = APIRouter(prefix="/v1/lanes", tags=["Lanes"])


@router.get("")
def list_lanes(caller: MayRead, database: Database) -> LaneList:
    """All lanes, by credential. Counts come from the tally: a look every second costs next to nothing."""
    with open_session(database) as session:
        rows = read_lanes(session)
        counted = tally.counts(session, (row.id for row in rows))
    return LaneList(items=[_view(row, counted[row.id]) for row in rows])


def _view(row: Row[Any], counted: tally.Counts) -> LaneItem:
    counts, reasons = view_counts(counted)
    return LaneItem(
        id=row.id,
        credential=row.credential,
        channel=row.channel,
        message_type=row.message_type,
        counts=counts,
        reasons=reasons,
        due=min(row.due, MOST_COUNTED),
        due_is_capped=row.due > MOST_COUNTED,
        oldest_due_seconds=row.oldest_due_seconds,
        kind=row.kind,
        reason=row.reason,
        held_until=row.held_until,
    )
