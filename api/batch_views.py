"""Batches as callers see them: counted from the tally, never from the messages."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col

from api.schemas.sends import BatchOut, ReasonCount
from worker import tally
from worker.message_search import ids_between
from worker.models import Batch, Surface
from worker.refusals import NotFound
from worker.states import LIVE, State

# What `view_batches` takes.
WITH_SURFACE = sa.select(Batch, col(Surface.name), sa.func.now()).join(Surface, col(Surface.id) == Batch.surface_id)
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
    if surface_ids is not None:
        query = query.where(col(Batch.surface_id).in_(surface_ids))
    if callback_data is not None:
        query = query.where(col(Batch.callback_data) == callback_data)
    keys = (
        (col(Batch.replay_of), replay_of),
        (_START_OF_CALLBACK, callback_data[:64] if callback_data is not None else None),
        (col(Batch.journey_id), journey_id),
        (col(Batch.surface_id), surface_ids[0] if surface_ids and len(surface_ids) == 1 else None),
    )
    given = [(key, value) for key, value in keys if value is not None]
    for key, value in given:
        # Not `key = value`: for the planner that is no order, and it would look for them along the IDs of all batches.
        query = query.where(key >= value, key <= value)
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
        total=batch.total,
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
        if reason:
            reasons[reason] += n
    return (
        {state: counts[state] for state in State if counts[state]},
        [ReasonCount(reason=reason, count=n) for reason, n in reasons.most_common()],
    )


def batch_state(
    batch: Batch, counts: Counter[str], now: datetime
) -> Literal["scheduled", "running", "paused", "cancelled", "done"]:
    """Scheduled means that send_at lies ahead, and all that is left of it waits for that."""
    if batch.cancelled_at is not None:
        return "cancelled"
    left = {state for state in LIVE if counts[state]}
    if not left:
        return "done"
    if batch.paused_at is not None:
        return "paused"
    return "scheduled" if batch.send_at is not None and batch.send_at > now and left == {State.QUEUED} else "running"
