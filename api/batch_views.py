"""Batches as callers see them: counted from the tally, never from the messages."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from sqlmodel import Session

from api.schemas.sends import BatchOut, ReasonCount
from worker import tally
from worker.models import Batch
from worker.states import FINAL, LIVE, State

_NOT_LEFT_YET = frozenset({State.QUEUED, State.SUPPRESSED})


def view_batches(session: Session, rows: Iterable[Any]) -> list[BatchOut]:
    """Rows are (batch, surface's name, the database's now); answers come in their order."""
    rows = list(rows)
    counted = tally.counts(session, (batch.id for batch, _, _ in rows))
    return [_view(batch, surface, now, counted[batch.id]) for batch, surface, now in rows]


def _view(batch: Batch, surface: str, now: datetime, counted: tally.Counts) -> BatchOut:
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for (state, reason), n in counted.items():
        counts[state] += n
        if reason:
            reasons[reason] += n
    return BatchOut(
        id=batch.id,
        surface=surface,
        state=batch_state(batch, counts, now),
        total=batch.total,
        counts={state: counts[state] for state in State if counts[state]},
        reasons=[ReasonCount(reason=reason, count=n) for reason, n in reasons.most_common()],
        callback_data=batch.callback_data,
        journey=batch.journey,
        pause_reason=batch.pause_reason if batch.paused_at is not None else None,
        replay_of=None,
        replays=[],
        created_at=batch.created_at,
        send_at=batch.send_at,
        expires_at=batch.expires_at,
    )


def batch_state(
    batch: Batch, counts: Counter[str], now: datetime
) -> Literal["scheduled", "running", "paused", "cancelled", "done"]:
    """Scheduled means that send_at lies ahead and no message has left yet."""
    if batch.cancelled_at is not None:
        return "cancelled"
    if not any(counts[state] for state in LIVE):
        return "done"
    if batch.paused_at is not None:
        return "paused"
    has_left = any(counts[state] for state in (*LIVE, *FINAL) if state not in _NOT_LEFT_YET)
    return "scheduled" if batch.send_at is not None and batch.send_at > now and not has_left else "running"
