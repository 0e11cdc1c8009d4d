"""Holding a batch back, and letting it go on.

`paused_at` is the fact: the gate reads it, so that nothing of the batch leaves any more, however many wait. Then a
sweep takes those that wait out of the due index, so that claims do not pass over a million of them again and again;
when the batch goes on, it puts them back, and their turns are as they were.

The sweep goes in chunks, up while the batch is paused and down while it is not, and moves `held_through` with each:
what is held lies at or below it. So it may die anywhere, and a pause or a resume half-way only turns it round. What
comes back from Infobip behind the sweep is set aside by whoever writes it (worker/transitions.py).
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Engine, text
from sqlmodel import Session

from worker.db import transact
from worker.gate import WAITS
from worker.locking import LockedMessage
from worker.models import Batch
from worker.refusals import Conflict, NotFound

CHUNK = 5_000
_FIRST, _ALL = UUID(int=0), UUID(int=2**128 - 1)

NO_REFUSALS = "refusal = NULL, refusals = 0"
_PAUSE = text("""
    UPDATE batch SET paused_at = statement_timestamp(), pause_reason = :reason WHERE id = :batch AND paused_at IS NULL
    RETURNING id
""")
_RESUME = text(f"UPDATE batch SET paused_at = NULL, pause_reason = NULL, {NO_REFUSALS} WHERE id = :batch")

_TO_SWEEP = text("""
    SELECT id FROM batch
    WHERE (paused_at IS NOT NULL OR held_through IS NOT NULL)
      AND CASE WHEN paused_at IS NULL THEN held_through IS NOT NULL ELSE held_through IS DISTINCT FROM :all END
    ORDER BY random() LIMIT 1
""")
# Not the batch's row: who fails its messages locks them first and the batch after them (worker/stops.py).
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:batch, 0))")
_STANDING = text("SELECT paused_at IS NOT NULL AS is_paused, held_through FROM batch WHERE id = :batch")
_HOLD = text(f"""
    WITH chunk AS (
        SELECT m.id FROM message m WHERE m.batch_id = :batch AND m.id > :boundary AND {WAITS}
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


def pause(session: Session, batch_id: UUID) -> Batch:
    """Nothing of the batch leaves any more; what is on its way ends as it would. Does not commit.

    Errors: NotFound; Conflict where it is cancelled.
    """
    batch = _find(session, batch_id)
    stop(session, batch_id, None)
    return batch


def stop(session: Session, batch_id: UUID, reason: str | None) -> bool:
    """Pause it, for a reason unless a person does. False where it is paused already: it keeps its first reason."""
    return session.execute(_PAUSE, {"batch": batch_id, "reason": reason}).first() is not None


def resume(session: Session, batch_id: UUID) -> Batch:
    """The batch goes on where it stopped. Does not commit; then nudge its lane. Errors: as for `pause`."""
    batch = _find(session, batch_id)
    session.execute(_RESUME, {"batch": batch_id})
    return batch


def _find(session: Session, batch_id: UUID) -> Batch:
    batch = session.get(Batch, batch_id, with_for_update=True)
    if batch is None:
        raise NotFound("There is no batch with this id")
    if batch.cancelled_at is not None:
        raise Conflict("The batch is cancelled, and that is final: send its messages in a new one")
    return batch


def passed_by_sweep(session: Session, waiting: Sequence[LockedMessage]) -> set[UUID]:
    """Those of these messages of paused batches that the sweep has passed: to be set aside by whoever moves them."""
    rows = session.execute(_SWEPT, {"ids": sorted({m.batch_id for m in waiting if m.batch_id is not None})})
    through = {row.id: row.held_through for row in rows}
    return {m.id for m in waiting if m.batch_id in through and m.id <= through[m.batch_id]}


def is_due(connection: Connection) -> bool:
    """Whether `hold_and_free` would find anything."""
    return connection.execute(_TO_SWEEP, {"all": _ALL}).first() is not None


def hold_and_free(engine: Engine) -> int:
    """One chunk of one batch whose waiting messages do not stand as its flag says. 0 where there is none."""
    return transact(engine, _sweep_chunk)


def _sweep_chunk(session: Session) -> int:
    batch_id = session.execute(_TO_SWEEP, {"all": _ALL}).scalar_one_or_none()
    if batch_id is None:
        return 0
    session.execute(_ONE_AT_A_TIME, {"batch": str(batch_id)})
    batch = session.execute(_STANDING, {"batch": batch_id}).one()  # as the sweep before us left it
    boundary = batch.held_through or _FIRST
    boundary = _hold(session, batch_id, boundary) if batch.is_paused else _free(session, batch_id, boundary)
    session.execute(_MOVE_BOUNDARY, {"batch": batch_id, "boundary": boundary})
    return 1


def _hold(session: Session, batch_id: UUID, boundary: UUID) -> UUID:
    done = session.execute(_HOLD, {"batch": batch_id, "boundary": boundary, "chunk": CHUNK}).scalars().all()
    return max(done) if len(done) == CHUNK else _ALL


def _free(session: Session, batch_id: UUID, boundary: UUID) -> UUID | None:
    values = {"batch": batch_id, "chunk": CHUNK}
    done = session.execute(_FREE, {**values, "boundary": boundary}).scalars().all()
    if len(done) < CHUNK and boundary != _ALL:
        # A pause and a resume in quick succession may have left some above it.
        done = session.execute(_FREE, {**values, "boundary": _ALL}).scalars().all()
    return min(done) if len(done) == CHUNK else None
