"""Setting aside what waits in a paused batch, and putting it back.

`paused_at` is the fact: the gate reads it, so that nothing of the batch leaves any more, however many wait. Then a
sweep takes those that wait out of the due index, so that claims do not pass over a million of them again and again;
when the batch goes on, it puts them back, and their turns are as they were.

The sweep goes up while the batch is paused and down while it is not, and moves `held_through` with each chunk: what is
held lies at or below it. So a pause or a resume half-way only turns it round. What comes back from Infobip behind the
sweep is set aside by whoever writes it (worker/transitions.py); one that comes back at the very moment of the pause may
stay in the index, where claims pass it over. A cancelled batch is left to cancelling.py.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text
from sqlmodel import Session

from worker import batch_sweeps
from worker.batch_sweeps import ALL, BEFORE_ALL
from worker.gate import WAITS
from worker.locking import LockedMessage

NO_REFUSALS: Final = "refusal = NULL, refusals = 0"
_PAUSE = text("""
    UPDATE batch SET paused_at = statement_timestamp(), pause_reason = :reason
    WHERE id = :batch AND paused_at IS NULL AND cancelled_at IS NULL RETURNING id
""")

_TO_SWEEP = text(f"""
    SELECT id FROM batch
    WHERE (paused_at IS NOT NULL OR held_through IS NOT NULL) AND cancelled_at IS NULL
      AND CASE WHEN paused_at IS NULL THEN held_through IS NOT NULL ELSE held_through IS DISTINCT FROM '{ALL}' END
    ORDER BY random() LIMIT 1
""")
_STANDING = text("""
    SELECT paused_at IS NOT NULL AS is_paused, held_through FROM batch WHERE id = :batch AND cancelled_at IS NULL
""")
# From the boundary itself on: where the sweep was going down, that one was the last it put back.
_HOLD = text(f"""
    WITH chunk AS (
        SELECT m.id FROM message m WHERE m.batch_id = :batch AND m.id >= :boundary AND ({WAITS}) IS TRUE
        ORDER BY m.id LIMIT :chunk FOR UPDATE
    )
    UPDATE message SET held = true FROM chunk WHERE message.id = chunk.id RETURNING message.id
""")
_FREE = text("""
    WITH chunk AS (
        SELECT id FROM message WHERE id IN (
            SELECT id FROM message WHERE batch_id = :batch AND id <= :boundary AND held ORDER BY id DESC LIMIT :chunk)
        ORDER BY id FOR UPDATE
    )
    UPDATE message SET held = false FROM chunk WHERE message.id = chunk.id RETURNING message.id
""")
# Shared until the end: a batch that goes on waits for us, and its sweep then finds what we set aside.
_SWEPT = text("""
    SELECT id, held_through FROM batch
    WHERE id = ANY(:ids) AND paused_at IS NOT NULL AND held_through IS NOT NULL ORDER BY id FOR SHARE
""")
_MOVE_BOUNDARY = text("UPDATE batch SET held_through = :boundary WHERE id = :batch")


def stop(session: Session, batch_id: UUID, reason: str | None) -> bool:
    """Pause it, for a reason unless a person does. False where it is paused already and keeps its first reason, or is
    cancelled. Does not commit."""
    return session.execute(_PAUSE, {"batch": batch_id, "reason": reason}).first() is not None


def passed_by_sweep(session: Session, waiting: Sequence[LockedMessage]) -> set[UUID]:
    """Those of these messages of paused batches that the sweep has passed: to be set aside by whoever moves them."""
    rows = session.execute(_SWEPT, {"ids": sorted({m.batch_id for m in waiting if m.batch_id is not None})})
    through = {row.id: row.held_through for row in rows}
    return {m.id for m in waiting if m.batch_id in through and m.id <= through[m.batch_id]}


def is_due(connection: Connection) -> bool:
    """Whether `hold_and_free` would find anything."""
    return connection.execute(_TO_SWEEP).first() is not None


def hold_and_free(engine: Engine) -> int:
    """One chunk of one batch whose waiting messages do not stand as its flag says. 0 where there is none."""
    return batch_sweeps.sweep(engine, _TO_SWEEP, _sweep_chunk)


def _sweep_chunk(session: Session, batch_id: UUID) -> None:
    batch = session.execute(_STANDING, {"batch": batch_id}).one_or_none()  # as the sweep before us left it
    if batch is None:
        return
    boundary = batch.held_through or BEFORE_ALL
    boundary = _hold(session, batch_id, boundary) if batch.is_paused else _free(session, batch_id, boundary)
    session.execute(_MOVE_BOUNDARY, {"batch": batch_id, "boundary": boundary})


def _hold(session: Session, batch_id: UUID, boundary: UUID) -> UUID:
    chunk = batch_sweeps.CHUNK
    done = session.execute(_HOLD, {"batch": batch_id, "boundary": boundary, "chunk": chunk}).scalars().all()
    return max(done) if len(done) == chunk else ALL


def _free(session: Session, batch_id: UUID, boundary: UUID) -> UUID | None:
    chunk = batch_sweeps.CHUNK
    values = {"batch": batch_id, "chunk": chunk}
    done = session.execute(_FREE, {**values, "boundary": boundary}).scalars().all()
    if len(done) < chunk and boundary != ALL:
        # A pause and a resume in quick succession may have left some above it.
        done = session.execute(_FREE, {**values, "boundary": ALL}).scalars().all()
    return min(done) if len(done) == chunk else None
