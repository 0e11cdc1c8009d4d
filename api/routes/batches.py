"""Batches: many messages accepted in one request, and how far they are."""

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Annotated, Final, Literal, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, Field
from sqlalchemy import Engine
from sqlmodel import col
from starlette.concurrency import run_in_threadpool

from api.announcing import announce
from api.audiences import on_disk, take_audience
from api.auth import MayRead, MaySend
from api.batch_views import batches_like, find_batch, view_batches
from api.bodies import MEBIBYTE, NDJSON, JsonBody, JsonOrLines, Posted
from api.database import Database
from api.fields import Moment, Text
from api.links import check_links
from api.once import Done, first_answer, once
from api.orders import batch_order, refuse_too_many_values
from api.paging import Paging, newest_first
from api.references import find_ids
from api.schemas.sends import BatchAccepted, BatchIn, BatchList, BatchOut, BatchState, RejectedList, RejectedOut
from worker.db import open_session
from worker.enqueue import Accepted
from worker.enqueue_batch import SurfaceChanged, enqueue_audience, open_audience
from worker.feeds import BadCursor, read_cursor, write_cursor
from worker.models import Batch, RejectedRow, Surface
from worker.orders import BatchOrder
from worker.rejected_rows import read_rejected

router = APIRouter(prefix="/v1/batches", tags=["Batches"])

BATCH_STATES: Final = get_args(BatchState)
_CSV_PAGE = 5_000
_HIGHEST_ROW = 2**31 - 1


def _states(text: str) -> str:
    for word in text.split(","):
        if word not in BATCH_STATES:
            raise ValueError(
                f'"{word[:50]}" is no state of a batch: take of {", ".join(BATCH_STATES)}, with commas between them'
            )
    return text


class BatchSearch(Paging):
    state: Annotated[
        Text | None,
        AfterValidator(lambda text: text if text is None else _states(text)),
        Field(max_length=100, description="In one of these, with commas between them.", examples=["running,paused"]),
    ] = None
    journey: Annotated[Text | None, Field(description="The journey's ID.")] = None
    callback_data: Annotated[Text | None, Field(description="The batch's own, the whole of it.")] = None
    replay_of: Annotated[UUID | None, Field(description="Replays of this batch.")] = None
    surface: Annotated[Text | None, Field(description="By name or id, also a deleted one.")] = None
    since: Annotated[Moment | None, Field(alias="from", description="Created at this time or later.")] = None
    until: Annotated[Moment | None, Field(description="Created before this time.")] = None


class RejectedQuery(Paging):
    format: Literal["json", "csv"] = "json"


_LINES = {
    "schema": {"type": "string"},
    "example": '{"surface": "offers", "text": "Hi {{name}}"}\n{"to": "+919876543210", "variables": {"name": "Asha"}}\n',
}


@router.post(
    "", status_code=202, response_model=BatchAccepted, openapi_extra={"requestBody": {"content": {NDJSON: _LINES}}}
)
async def send_batch(
    request: Request,
    caller: MaySend,
    posted: Annotated[
        Posted[BatchIn] | None,
        Depends(JsonOrLines(JsonBody(BatchIn, most_bytes=32 * MEBIBYTE, check=refuse_too_many_values))),
    ],
) -> Response:
    """Accept many messages through one surface: as JSON up to 10,000, as NDJSON up to 1,000,000, whose first line is
    the batch without `messages`, and each line after it a message. 202 means they are stored, all or (on `skip`) all
    good ones; a request that breaks off half-way has stored nothing."""
    if posted is None:
        return await take_audience(request, _accepted)
    return await run_in_threadpool(_take_rows, posted)


def _take_rows(posted: Posted[BatchIn]) -> Response:
    order = batch_order(posted.body)
    if (answer := first_answer(posted)) is not None:
        return answer
    check_links(posted.engine, None, order.mms)
    try:
        return on_disk(lambda: _store_rows(posted, order))
    except SurfaceChanged:
        return on_disk(lambda: _store_rows(posted, order))  # read by what it is now


def _store_rows(posted: Posted[BatchIn], order: BatchOrder) -> Response:
    """The rows are read before the transaction that stores them, which locks the surface. Errors: Refusal;
    SurfaceChanged, where it was changed meanwhile."""
    with open_session(posted.engine) as session:
        order, audience = open_audience(session, order)
    with audience:
        audience.add_all(order)
        return once(posted, lambda session: _accepted(enqueue_audience(session, order, audience)))


@router.get("")
def list_batches(caller: MayRead, database: Database, search: Annotated[BatchSearch, Query()]) -> BatchList:
    """Batches, newest first. All filters combine."""
    with open_session(database) as session:
        # So that a batch is in the state by which it was found.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        query = batches_like(
            states=None if search.state is None else search.state.split(","),
            replay_of=search.replay_of,
            callback_data=search.callback_data,
            journey_id=search.journey,
            surface_ids=None if search.surface is None else find_ids(session, Surface, search.surface),
            since=search.since,
            until=search.until,
        )
        rows, cursor = newest_first(session, query, col(Batch.id), search, lambda row: row[0].id)
        return BatchList(items=view_batches(session, rows), next_cursor=cursor)


@router.get("/{batch_id}")
def get_batch(caller: MayRead, database: Database, batch_id: UUID) -> BatchOut:
    """One batch: how many messages are in which state, and why those ended that were not delivered."""
    with open_session(database) as session:
        return find_batch(session, batch_id)


@router.get(
    "/{batch_id}/rejected",
    response_model=RejectedList,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def list_rejected(
    caller: MayRead, database: Database, batch_id: UUID, query: Annotated[RejectedQuery, Query()]
) -> RejectedList | StreamingResponse:
    """The rows of a batch's request that `on_invalid: skip` left out, in the order of the request; with `format=csv`
    all of them as a file, whatever the page. A file that breaks off is not whole: ask again."""
    with open_session(database) as session:
        find_batch(session, batch_id)
        if query.format == "json":
            after = -1 if query.cursor is None else _read_row(query.cursor)
            rows = [_rejected(row) for row in read_rejected(session, batch_id, after, query.limit + 1)]
            page = rows[: query.limit]
            return RejectedList(items=page, next_cursor=write_cursor([page[-1].index]) if rows[query.limit :] else None)
    headers = {"Content-Disposition": 'attachment; filename="rejected.csv"'}
    return StreamingResponse(_csv(database, batch_id), media_type="text/csv; charset=utf-8", headers=headers)


def _csv(database: Engine, batch_id: UUID) -> Iterator[str]:
    yield ",".join(RejectedOut.model_fields) + "\n"
    after = -1
    while True:
        with open_session(database) as session:
            rows = read_rejected(session, batch_id, after, _CSV_PAGE)
        file = StringIO()
        csv.writer(file, lineterminator="\n").writerows((row.row, row.recipient, row.field, row.reason) for row in rows)
        yield file.getvalue()
        if len(rows) < _CSV_PAGE:
            return
        after = rows[-1].row


def _read_row(cursor: str) -> int:
    match read_cursor(cursor):
        case [int(row)] if -1 <= row <= _HIGHEST_ROW:
            return row
    raise BadCursor


def _rejected(row: RejectedRow) -> RejectedOut:
    return RejectedOut(index=row.row, to=row.recipient, field=row.field, reason=row.reason)


def _accepted(accepted: Accepted) -> Done:
    answer = BatchAccepted(
        id=accepted.id,
        state="done" if not accepted.accepted else "scheduled" if accepted.is_scheduled else "running",
        total=accepted.accepted + accepted.suppressed,
        accepted=accepted.accepted,
        suppressed=accepted.suppressed,
        rejected=[
            RejectedOut(index=row.index, to=row.to, field=row.field, reason=row.reason) for row in accepted.rejected
        ],
        rejected_count=accepted.rejected_count,
        duplicates=accepted.duplicates,
        parts=sum(accepted.parts.values()),
        warned_count=accepted.warned_count,
    )
    return Done(answer, 202, lambda: announce([accepted]))
