"""Batches: many messages accepted in one request, and how far they are."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session, col

from api.acceptance import announce
from api.auth import Operator, Reader, Sender
from api.batch_views import view_batches
from api.paging import Paging, newest_first
from api.problems import faults_of
from api.requests import MEBIBYTE, Database, Done, JsonBody, Posted, once
from api.schemas.sends import BatchAccepted, BatchIn, BatchList, BatchOut, BatchRow, RejectedRow
from worker import steering
from worker.db import open_session
from worker.enqueue import MOST_ROWS, Accepted, enqueue_batch
from worker.models import Batch, Lane, Surface
from worker.nudges import nudge
from worker.orders import NOTHING_GIVEN, BatchOrder, Rejected, Row, Values
from worker.refusals import NotFound, Refusal

router = APIRouter(prefix="/v1/batches", tags=["Batches"])

_one_row, _all_rows = TypeAdapter(BatchRow), TypeAdapter(list[BatchRow])


@router.post("", status_code=202, response_model=BatchAccepted)
def send_batch(
    caller: Sender, posted: Annotated[Posted[BatchIn], Depends(JsonBody(BatchIn, most_bytes=32 * MEBIBYTE))]
) -> Response:
    """Accept up to 10,000 messages through one surface. 202 means they are stored, all or (on `skip`) all good ones."""
    order = _order(posted.body)

    def work(session: Session) -> Done:
        accepted = enqueue_batch(session, order)
        return Done(_answer(accepted), 202, lambda: announce([accepted]))

    return once(posted, work)


@router.get("")
def list_batches(caller: Reader, database: Database, paging: Annotated[Paging, Query()]) -> BatchList:
    """Batches, newest first."""
    with open_session(database) as session:
        rows, cursor = newest_first(session, _WITH_SURFACE, col(Batch.id), paging, lambda row: row[0].id)
        return BatchList(items=view_batches(session, rows), next_cursor=cursor)


@router.get("/{batch_id}")
def get_batch(caller: Reader, database: Database, batch_id: UUID) -> BatchOut:
    """One batch: how many messages are in which state, and why those ended that were not delivered."""
    with open_session(database) as session:
        rows = session.execute(_WITH_SURFACE.where(col(Batch.id) == batch_id)).all()
        if not rows:
            raise NotFound("There is no batch with this id")
        return view_batches(session, rows)[0]


@router.post("/{batch_id}/pause")
def pause_batch(caller: Operator, database: Database, batch_id: UUID) -> BatchOut:
    """Hold back what has not left yet. What is on its way to Infobip ends as it would. Again: nothing more happens."""
    with open_session(database) as session:
        steering.pause(session, batch_id)
        session.commit()
    return get_batch(caller, database, batch_id)


@router.post("/{batch_id}/resume")
def resume_batch(caller: Operator, database: Database, batch_id: UUID) -> BatchOut:
    """Let a paused batch go on where it stopped; its validity has run meanwhile."""
    with open_session(database) as session:
        batch = steering.resume(session, batch_id)
        lane = session.get_one(Lane, batch.lane_id)
        session.commit()
    nudge(lane.id, lane.message_type)
    return get_batch(caller, database, batch_id)


_WITH_SURFACE = sa.select(Batch, col(Surface.name), sa.func.now()).join(Surface, col(Surface.id) == Batch.surface_id)


def _order(body: BatchIn) -> BatchOrder:
    if len(body.messages) > MOST_ROWS:
        raise Refusal.of_field("messages", f"has {len(body.messages):,} rows: at most {MOST_ROWS:,} fit in one request")
    rows, rejected = _read_rows(body.messages)
    return BatchOrder(
        surface=body.surface,
        rows=rows,
        rejected=rejected,
        text=body.text,
        values=_values(body),
        journey=body.journey,
        send_at=body.send_at,
        validity=body.validity_period,
        skips_invalid=body.on_invalid == "skip",
    )


def _read_rows(items: Sequence[Any]) -> tuple[list[Row], list[Rejected]]:
    try:
        return [_row(index, row) for index, row in enumerate(_all_rows.validate_python(items))], []
    except ValidationError:
        pass  # row by row, which takes twice as long, for what is wrong with each
    rows, rejected = [], []
    for index, item in enumerate(items):
        try:
            rows.append(_row(index, _one_row.validate_python(item)))
        except ValidationError as error:
            fault = faults_of(error)[0]
            to = item.get("to") if isinstance(item, dict) else None
            to = to if isinstance(to, str) else None
            field = "messages" if fault.field == "body" else fault.field
            rejected.append(Rejected(index=index, to=to, field=field, reason=fault.message))
    return rows, rejected


def _row(index: int, row: BatchRow) -> Row:
    variables = {name: str(value) for name, value in row.variables.items()} if row.variables else None
    return Row(index, row.to, row.text, variables, _values(row))


def _values(body: BatchIn | BatchRow) -> Values:
    if body.callback_data is None and body.content_template_id is None and body.principal_entity_id is None:
        return NOTHING_GIVEN
    return Values(
        callback_data=body.callback_data,
        content_template_id=body.content_template_id,
        principal_entity_id=body.principal_entity_id,
    )


def _answer(accepted: Accepted) -> BatchAccepted:
    return BatchAccepted(
        id=accepted.id,
        state="scheduled" if accepted.is_scheduled else "running",
        total=accepted.accepted,
        accepted=accepted.accepted,
        suppressed=0,
        rejected=[
            RejectedRow(index=row.index, to=row.to, field=row.field, reason=row.reason) for row in accepted.rejected
        ],
    )
