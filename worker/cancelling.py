"""Ending what waits in a cancelled batch.

`cancelled_at` is the fact: nothing of the batch leaves any more. Then a sweep ends those that wait, from the first on;
`swept_through` says how far it came, and `is_cleared` that it is done. Until then claims pass the batch over: else they
would end its messages themselves, a few at a time, with those of other batches waiting behind them.

What is on its way to Infobip meanwhile ends as it would, or, where it comes back undelivered, as cancelled
(worker/fates.py). One that comes back at the very moment of the cancel, by a hand that has read its batch before it,
may wait behind the sweep: it ends in the claim when its turn comes (worker/claims.py), or with its validity
(worker/endings.py), as cancelled all the same.
"""

from collections import Counter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text
from sqlmodel import Session

from worker import batch_sweeps, events
from worker.batch_sweeps import BEFORE_ALL
from worker.events import Told
from worker.reasons import BATCH_CANCELLED
from worker.states import WAITING, State
from worker.tally import Changes
from worker.words import EventType, listed

_UNCLEARED: Final = "cancelled_at IS NOT NULL AND NOT is_cleared"
_TO_CLEAR = text(f"SELECT id FROM batch WHERE {_UNCLEARED} ORDER BY random() LIMIT 1")
_SWEPT_THROUGH = text(f"SELECT swept_through FROM batch WHERE id = :batch AND {_UNCLEARED}")
_END = text(f"""
    WITH chunk AS (
        SELECT m.id, m.state, m.reason FROM message m
        WHERE m.batch_id = :batch AND m.id > :boundary AND (m.state IN ({listed(WAITING)})) IS TRUE
        ORDER BY m.id LIMIT :chunk FOR UPDATE
    )
    UPDATE message SET
        state = '{State.CANCELLED}', reason = '{BATCH_CANCELLED}', finished_at = statement_timestamp(),
        next_attempt_at = NULL, leave_before = NULL, held = false
    FROM chunk WHERE message.id = chunk.id
    RETURNING message.id, message.lane_id, message.attempt_count, chunk.state AS was, chunk.reason AS was_reason
""")
_MOVE_BOUNDARY = text("UPDATE batch SET swept_through = :boundary WHERE id = :batch")
_CLEARED = text("""
    UPDATE batch SET is_cleared = true, swept_through = NULL, held_through = NULL WHERE id = :batch
""")


def is_due(connection: Connection) -> bool:
    """Whether `clear` would find anything."""
    return connection.execute(_TO_CLEAR).first() is not None


def clear(engine: Engine) -> int:
    """One chunk of one cancelled batch in which something may wait. 0 where there is none."""
    return batch_sweeps.sweep(engine, _TO_CLEAR, _end_chunk)


def _end_chunk(session: Session, batch_id: UUID) -> None:
    batch = session.execute(_SWEPT_THROUGH, {"batch": batch_id}).one_or_none()  # as the sweep before us left it
    if batch is None:
        return
    chunk = batch_sweeps.CHUNK
    values = {"batch": batch_id, "boundary": batch.swept_through or BEFORE_ALL, "chunk": chunk}
    ended = session.execute(_END, values).all()
    events.tell(session, (_end_of(row) for row in ended))
    if len(ended) == chunk:
        session.execute(_MOVE_BOUNDARY, {"batch": batch_id, "boundary": max(row.id for row in ended)})
    else:
        session.execute(_CLEARED, {"batch": batch_id})
    _count(session, batch_id, ended)


def _end_of(row: Any) -> Told:
    return Told(EventType.MESSAGE_CANCELLED, row.id, row.attempt_count, BATCH_CANCELLED)


def _count(session: Session, batch_id: UUID, ended: Any) -> None:
    changes = Changes()
    for (lane_id, was, was_reason), n in Counter((row.lane_id, row.was, row.was_reason) for row in ended).items():
        changes.moved((lane_id, batch_id), was, was_reason, State.CANCELLED, BATCH_CANCELLED, n)
    changes.write(session)
