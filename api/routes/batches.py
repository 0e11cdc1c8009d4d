"""Batches: many messages accepted in one request, and how far they are."""

from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from sqlmodel import Session, col

from api.announcing import announce
from api.auth import MayRead, MayReplay, MaySend
from api.batch_views import view_batches
from api.bodies import MEBIBYTE, JsonBody, Posted
from api.database import Database
from api.once import Done, once
from api.orders import batch_order
from api.paging import Paging, newest_first
from api.schemas.sends import BatchAccepted, BatchIn, BatchList, BatchOut, RejectedRow
from worker import steering
from worker.db import open_session
from worker.enqueue import Accepted, enqueue_batch
from worker.models import Batch, Lane, Surface
from worker.nudges import nudge
from worker.refusals import NotFound

router = APIRouter(prefix="/v1/batches", tags=["Batches"])


@router.post("", status_code=202, response_model=BatchAccepted)
def send_batch(
    caller: MaySend, posted: Annotated[Posted[BatchIn], Depends(JsonBody(BatchIn, most_bytes=32 * MEBIBYTE))]
) -> Response:
    """Accept up to 10,000 messages through one surface. 202 means they are stored, all or (on `skip`) all good ones."""
    order = batch_order(posted.body)

    def work(session: Session) -> Done:
        accepted = enqueue_batch(session, order)
        return Done(_answer(accepted), 202, lambda: announce([accepted]))

    return once(posted, work)


@router.get("")
def list_batches(caller: MayRead, database: Database, paging: Annotated[Paging, Query()]) -> BatchList:
    """Batches, newest first."""
    with open_session(database) as session:
        rows, cursor = newest_first(session, _WITH_SURFACE, col(Batch.id), paging, lambda row: row[0].id)
        return BatchList(items=view_batches(session, rows), next_cursor=cursor)


@router.get("/{batch_id}")
def get_batch(caller: MayRead, database: Database, batch_id: UUID) -> BatchOut:
    """One batch: how many messages are in which state, and why those ended that were not delivered."""
    with open_session(database) as session:
        rows = session.execute(_WITH_SURFACE.where(col(Batch.id) == batch_id)).all()
        if not rows:
            raise NotFound("There is no batch with this id")
        return view_batches(session, rows)[0]


@router.post("/{batch_id}/pause")
def pause_batch(caller: MayReplay, database: Database, batch_id: UUID) -> BatchOut:
    """Hold back what has not left yet. What is on its way to Infobip ends as it would. Again: nothing more happens."""
    with open_session(database) as session:
        steering.pause(session, batch_id)
        session.commit()
    return get_batch(caller, database, batch_id)


@router.post("/{batch_id}/resume")
def resume_batch(caller: MayReplay, database: Database, batch_id: UUID) -> BatchOut:
    """Let a paused batch go on where it stopped; its validity has run meanwhile."""
    with open_session(database) as session:
        batch = steering.resume(session, batch_id)
        lane = session.get_one(Lane, batch.lane_id)
        session.commit()
    nudge(lane.id, lane.message_type)
    return get_batch(caller, database, batch_id)


_WITH_SURFACE = sa.select(Batch, col(Surface.name), sa.func.now()).join(Surface, col(Surface.id) == Batch.surface_id)


def _answer(accepted: Accepted) -> BatchAccepted:
    return BatchAccepted(
        id=accepted.id,
        state="done" if not accepted.accepted else "scheduled" if accepted.is_scheduled else "running",
        total=accepted.accepted + accepted.suppressed,
        accepted=accepted.accepted,
        suppressed=accepted.suppressed,
        rejected=[
            RejectedRow(index=row.index, to=row.to, field=row.field, reason=row.reason) for row in accepted.rejected
        ],
    )
