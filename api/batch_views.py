"""Batches as callers see them: counted from the tally, never from the messages."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col

from api.schemas.sends import BatchOut, BatchState, ReasonCount
from worker import tally
from worker.message_search import ids_between
from worker.models import Batch, Surface
from worker.refusals import NotFound
from worker.states import LIVE, REASONED, State

# What `view_batches` takes.
WITH_SURFACE = sa.select(Batch, col(Surface.name), sa.func.statement_timestamp()).join(
    Surface, col(Surface.id) == Batch.surface_id
)
_BEGUN = [state for state in LIVE if state != State.QUEUED]
# As `batch_state` says it. What is marked as over is not counted any more.
_STATE: sa.ColumnElement[str] = sa.literal_column(
    f"""CASE
        WHEN batch.cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN batch.is_over OR {tally.count_in("batch.id", LIVE)} = 0 THEN 'done'
        WHEN batch.paused_at IS NOT NULL THEN 'paused'
        WHEN batch.send_at > statement_timestamp() AND {tally.count_in("batch.id", _BEGUN)} = 0 THEN 'scheduled'
        ELSE 'running'
    END""",
    sa.Text,
)
_IS_DONE: sa.ColumnElement[bool] = sa.literal_column("(batch.is_over AND batch.cancelled_at IS NULL)", sa.Boolean)
_FALSE: sa.ColumnElement[bool] = sa.literal_column("false", sa.Boolean)
_START_OF_CALLBACK: sa.ColumnElement[str] = sa.literal_column('left(batch.callback_data COLLATE "C", 64)', sa.Text)
_REPLAYS = sa.text("SELECT replay_of, id FROM batch WHERE replay_of = ANY(:ids) ORDER BY id")


def find_batch(session: Session, batch_id: UUID) -> BatchOut:
    """Errors: NotFound."""
    rows = session.execute(WITH_SURFACE.where(col(Batch.id) == batch_id)).all()
    if not rows:
        raise NotFound("There is no batch with this id")
    return view_batches(session, rows)[0]


def batches_like(
    *,
    states: Sequence[str] | None = None,
    replay_of: UUID | None = None,
    callback_data: str | None = None,
    journey_id: str | None = None,
    surface_ids: Sequence[UUID] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> sa.Select[*tuple[Any, ...]]:
    """What `view_batches` takes, of batches to which all of this applies; to be put in the order of their IDs."""
    earliest, latest = ids_between(since, until)
    query = WITH_SURFACE.where(col(Batch.id) > earliest, col(Batch.id) < latest)
    if since is not None:
        query = query.where(col(Batch.created_at) >= since)
    if until is not None:
        query = query.where(col(Batch.created_at) < until)
    filters: list[sa.ColumnElement[bool]] = []
    if surface_ids is not None:
        filters.append(col(Batch.surface_id).in_(surface_ids))
    if callback_data is not None:
        filters.append(col(Batch.callback_data) == callback_data)
    keys: tuple[tuple[Any, Any], ...] = (
        (col(Batch.replay_of), replay_of),
        (_START_OF_CALLBACK, callback_data[:64] if callback_data is not None else None),
        (col(Batch.journey_id), journey_id),
        (col(Batch.surface_id), surface_ids[0] if surface_ids and len(surface_ids) == 1 else None),
    )
    given = [(key, value) for key, value in keys if value is not None]
    if states is not None:
        query = query.where(_STATE.in_(sa.bindparam("states", states, expanding=True)))
        if "done" not in states:
            # `IS TRUE`, so that no index is of use but that of the few which are not done.
            query = query.where(*(found.is_(True) for found in (*filters, *(key == value for key, value in given))))
            filters, given = [], [(_IS_DONE if "cancelled" in states else col(Batch.is_over), _FALSE)]
    for key, value in given:
        # Not `key = value`: for the planner that is no order, and it would look for them along the IDs of all batches.
        filters += [key >= value, key <= value]
    query = query.where(*filters)
    return query.order_by(given[0][0].desc()) if given else query


def view_batches(session: Session, rows: Iterable[Any]) -> list[BatchOut]:
    """Rows are (batch, surface's name, the database's now); answers come in their order."""
    rows = list(rows)
    counted = tally.counts(session, (batch.id for batch, _, _ in rows))
    replays: dict[UUID, list[UUID]] = {batch.id: [] for batch, _, _ in rows}
    for source, replay in session.execute(_REPLAYS, {"ids": list(replays)}):
        replays[source].append(replay)
    return [_view(batch, surface, now, counted[batch.id], replays[batch.id]) for batch, surface, now in rows]


def _view(batch: Batch, surface: str, now: datetime, counted: tally.Counts, replays: list[UUID]) -> BatchOut:
    counts, reasons = view_counts(counted)
    return BatchOut(
        id=batch.id,
        surface=surface,
        state=batch_state(batch, Counter(counts), now),
        total=max(batch.total, sum(counts.values())),  # with the SMS that go in the place of MMS
        counts=counts,
        reasons=reasons,
        callback_data=batch.callback_data,
        journey=batch.journey,
        messages_per_second=batch.messages_per_second,
        rejected_count=batch.rejected_count,
        pause_reason=batch.pause_reason if batch.paused_at is not None else None,
        replay_of=batch.replay_of,
        replays=replays,
        created_at=batch.created_at,
        send_at=batch.send_at,
        expires_at=batch.expires_at,
    )


def view_counts(counted: tally.Counts) -> tuple[dict[str, int], list[ReasonCount]]:
    """By state, in the order of their life; and by reason, the most frequent first."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for (state, reason), n in counted.items():
        counts[state] += n
        if reason and state in REASONED:
            reasons[reason] += n
    return (
        {state: counts[state] for state in State if counts[state]},
        [ReasonCount(reason=reason, count=n) for reason, n in reasons.most_common()],
    )


def batch_state(batch: Batch, counts: Counter[str], now: datetime) -> BatchState:
    """Scheduled means that send_at lies ahead, and all that is left of it waits for that."""
    if batch.cancelled_at is not None:
        return "cancelled"
    left = {state for state in LIVE if counts[state]}
    if not left:
        return "done"
    if batch.paused_at is not None:
        return "paused"
    return "scheduled" if batch.send_at is not None and batch.send_at > now and left == {State.QUEUED} else "running"
