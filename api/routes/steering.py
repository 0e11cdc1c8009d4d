"""Steering batches: pause, resume, cancel, reschedule. What each means for a message: docs/batches.md."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy import Engine
from sqlmodel import Session

from api.auth import MayReplay
from api.batch_views import find_batch
from api.bodies import JsonBody, Posted
from api.database import Database
from api.once import Done, once
from api.schemas.sends import BatchOut
from api.schemas.steering import RescheduleIn
from worker import steering
from worker.db import open_session
from worker.models import Batch, Lane
from worker.nudges import nudge

router = APIRouter(prefix="/v1/batches", tags=["Batches"])


@router.post("/{batch_id}/pause")
def pause_batch(caller: MayReplay, database: Database, batch_id: UUID) -> BatchOut:
    """Hold back what has not left yet. What is on its way to Infobip ends as it would. Again: nothing more happens."""
    return _steered(database, lambda session: steering.pause(session, batch_id))


@router.post("/{batch_id}/resume")
def resume_batch(caller: MayReplay, database: Database, batch_id: UUID) -> BatchOut:
    """Let a paused batch go on where it stopped; its validity has run meanwhile. One with a pace keeps to it from now
    on."""
    with open_session(database) as session:
        batch = steering.resume(session, batch_id)
        lane = session.get_one(Lane, batch.lane_id)
        answer = find_batch(session, batch_id)
        session.commit()
    nudge(lane.id, lane.message_type)
    return answer


@router.post("/{batch_id}/cancel")
def cancel_batch(caller: MayReplay, database: Database, batch_id: UUID) -> BatchOut:
    """End what has not left yet, for good: nothing un-cancels a batch. What is on its way to Infobip ends as it would,
    and is not tried again. Again, or where all has ended: nothing more happens."""
    return _steered(database, lambda session: steering.cancel(session, batch_id))


@router.post("/{batch_id}/reschedule", response_model=BatchOut)
def reschedule_batch(
    caller: MayReplay, batch_id: UUID, posted: Annotated[Posted[RescheduleIn], Depends(JsonBody(RescheduleIn))]
) -> Response:
    """Let what was never handed to Infobip leave from another time on, with its whole validity from then. What is tried
    again keeps its turn."""

    def work(session: Session) -> Done:
        steering.reschedule(session, batch_id, posted.body.send_at, posted.body.validity_period)
        return Done(find_batch(session, batch_id), 200)

    return once(posted, work)


def _steered(database: Engine, verb: Callable[[Session], Batch]) -> BatchOut:
    with open_session(database) as session:
        answer = find_batch(session, verb(session).id)
        session.commit()
    return answer
