"""Giving what waits for its first attempt other turns: of a batch that is rescheduled, or goes on at its pace.

`move_to` is the fact, the start that the batch is to have: until all have their turns by it, claims pass the batch
over. A sweep gives them, from the first message on, and `swept_through` says how far it came. No turn follows from the
one before: all are at the start or, at a pace of so many a second, one after the other, `moved` counting them; where a
sending window may hold, at its opening, and at a pace in open time (turns.py). So a batch that is given yet another
start half-way begins anew from its first message, and comes out right.

Those that were handed to Infobip already, and are tried again, keep their turns.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text
from sqlmodel import Session

from worker import batch_sweeps, tally
from worker.batch_sweeps import BEFORE_ALL
from worker.columns import column, rows_of
from worker.gate import IS_MOVED, STANDS_STILL, START
from worker.locking import LockedMessage
from worker.pace import written_at
from worker.states import State
from worker.turns import Turns
from worker.windows import may_hold, read_given
from worker.words import MessageType

_BEGIN = text("UPDATE batch SET move_to = :start, swept_through = NULL, moved = 0 WHERE id = :batch")

_SWEEP_BEGINS_IN = timedelta(seconds=1)  # at a pace that second's turns would be due at once

# Who steers one of them at the same time waits for us, or we for them, and see what they did.
_PACED = text(f"""
    SELECT id FROM batch WHERE id = ANY(:ids) AND messages_per_second IS NOT NULL AND ({STANDS_STILL}) IS NOT TRUE
    ORDER BY id FOR UPDATE
""")
_TO_MOVE = text("SELECT id FROM batch WHERE move_to IS NOT NULL ORDER BY random() LIMIT 1")
_STANDING = text(f"""
    SELECT b.move_to, b.expires_at, b.validity_seconds, b.messages_per_second, b.swept_through, b.moved,
           b.sending_window::text AS given_window, l.message_type = '{MessageType.MARKETING}' AS is_marketing,
           statement_timestamp() AS now
    FROM batch b JOIN lane l ON l.id = b.lane_id WHERE b.id = :batch AND b.move_to IS NOT NULL
""")
_CHUNK = f"""
    SELECT m.id, m.recipient FROM message m
    WHERE m.batch_id = :batch AND m.id > :boundary AND (m.state = '{State.QUEUED}') IS TRUE
    ORDER BY m.id LIMIT :chunk FOR UPDATE
"""
_TAKE = text(_CHUNK)
_GIVE_EACH = text(f"""
    UPDATE message SET
        next_attempt_at = v.at, leave_before = v.leave_before, expires_at = :expires_at, validity_seconds = :validity
    FROM {rows_of(id="uuid", at="timestamptz", leave_before="timestamptz")} AS v WHERE message.id = v.id
""")
# The same where no window holds.
_GIVE = text(f"""
    WITH chunk AS ({_CHUNK}), placed AS (
        SELECT id, :moved + row_number() OVER (ORDER BY id) - 1 AS place FROM chunk
    )
    UPDATE message SET
        next_attempt_at = :start + make_interval(secs => coalesce(place / CAST(:pace AS float8), 0)),
        leave_before = NULL, expires_at = :expires_at, validity_seconds = :validity
    FROM placed WHERE message.id = placed.id RETURNING message.id
""")
# Only where it still stands as it did: who gave it another start meanwhile had it begin anew.
_ADVANCE = text("""
    UPDATE batch SET
        move_to = CASE WHEN :is_done THEN NULL ELSE move_to END,
        swept_through = CASE WHEN :is_done THEN NULL ELSE CAST(:through AS uuid) END,
        moved = moved + :given
    WHERE id = :batch AND move_to = :start AND expires_at = :expires_at AND validity_seconds = :validity
      AND swept_through IS NOT DISTINCT FROM CAST(:was_through AS uuid)
""")

# Shared until the end: who gives it another start waits for us, and the sweep then finds what we put back.
_SHARE = text("SELECT FROM batch WHERE id = ANY(:ids) ORDER BY id FOR SHARE")
_STARTS = text(f"""
    SELECT m.id, {START} AS start
    FROM message m JOIN batch b ON b.id = m.batch_id
    LEFT JOIN attempt a ON a.message_id = m.id AND a.number = m.attempt_count
    WHERE m.id = ANY(:ids) AND {IS_MOVED}
""")
_EXPIRE_WITH_BATCH = text("""
    UPDATE message AS m SET expires_at = b.expires_at, validity_seconds = b.validity_seconds
    FROM batch b WHERE b.id = m.batch_id AND m.id = ANY(:ids)
""")


def begin(session: Session, batch_id: UUID, start: datetime) -> None:
    """Nothing of the batch leaves until all that wait for their first attempt have their turns from `start` on. Does
    not commit."""
    session.execute(_BEGIN, {"batch": batch_id, "start": start})


def go_on(session: Session, missed: Sequence[LockedMessage], now: datetime) -> set[UUID]:
    """The batches at a pace of these messages, whose first turns went by while they could not leave: what waits in them
    goes on at its pace, from now on, or it would be due all at once. For who has them locked. Does not commit."""
    batches = sorted({message.batch_id for message in missed if message.batch_id is not None})
    paced = session.execute(_PACED, {"ids": batches}).scalars().all() if batches else []
    waiting = tally.counts(session, paced)
    for batch_id in paced:
        begin(session, batch_id, start_of_move(now, waiting[batch_id].get((State.QUEUED, ""), 0), is_paced=True))
    return set(paced)


def start_of_move(now: datetime, count: int, *, is_paced: bool) -> datetime:
    """When the sweep is expected to be done with `count` messages that wait for their first attempt."""
    return written_at(now + _SWEEP_BEGINS_IN if is_paced else now, count)


def follow(session: Session, released: Sequence[LockedMessage]) -> None:
    """These come back and never were with Infobip: where their batch was given another start or end meanwhile, they go
    by that, all at the start, whatever its pace. For who has them locked, and writes them next. `is_moved` is asked
    again, now that nobody can give their batches another start."""
    batches = sorted({message.batch_id for message in released if message.batch_id is not None})
    if not batches:
        return
    session.execute(_SHARE, {"ids": batches})
    rows = session.execute(_STARTS, {"ids": [message.id for message in released]})
    starts = {row.id: row.start for row in rows}
    for message in (message for message in released if message.id in starts):
        start = starts[message.id]
        if message.next_attempt_at is None or message.next_attempt_at < start:
            message.next_attempt_at = start
            message.leave_before = message.leave_before and start  # its window is asked then
    if starts:
        session.execute(_EXPIRE_WITH_BATCH, {"ids": list(starts)})


def is_due(connection: Connection) -> bool:
    """Whether `give_turns` would find anything."""
    return connection.execute(_TO_MOVE).first() is not None


def give_turns(engine: Engine) -> int:
    """One chunk of one batch whose messages are to have other turns. 0 where there is none."""
    return batch_sweeps.sweep(engine, _TO_MOVE, _give_chunk)


def _give_chunk(session: Session, batch_id: UUID) -> None:
    batch = session.execute(_STANDING, {"batch": batch_id}).one_or_none()  # as the sweep before us left it
    if batch is None:
        return
    chunk = batch_sweeps.CHUNK
    taken = {"batch": batch_id, "boundary": batch.swept_through or BEFORE_ALL, "chunk": chunk}
    ends = {"expires_at": batch.expires_at, "validity": batch.validity_seconds}
    given: Sequence[UUID]
    if may_hold(read_given(batch.given_window), is_marketing=batch.is_marketing):
        rows = session.execute(_TAKE, taken).all()
        session.execute(_GIVE_EACH, {**_turns(batch, rows), **ends})
        given = [row.id for row in rows]
    else:
        paced = {"start": batch.move_to, "moved": batch.moved, "pace": batch.messages_per_second}
        given = session.execute(_GIVE, {**taken, **paced, **ends}).scalars().all()
    came = {"through": max(given, default=None), "given": len(given), "is_done": len(given) < chunk}
    was = {"batch": batch_id, "start": batch.move_to, **ends, "was_through": batch.swept_through}
    session.execute(_ADVANCE, {**came, **was})


def _turns(batch: Any, rows: Sequence[Any]) -> dict[str, str]:
    """Of the next messages of a batch, in their order, as _GIVE_EACH takes them."""
    turns = Turns(
        read_given(batch.given_window),
        is_marketing=batch.is_marketing,
        start=batch.move_to,
        expires_at=batch.expires_at,
        now=batch.now,
        per_second=batch.messages_per_second,
    )
    given = [turns.of(row.recipient, batch.moved + place) for place, row in enumerate(rows)]
    return {
        "id": column(row.id for row in rows),
        "at": column(turn.at for turn in given),
        "leave_before": column(turn.leave_before for turn in given),
    }
