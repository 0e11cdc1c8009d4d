"""Changes of state: the one place that writes them, for groups of messages locked in the same transaction.

The pattern of every use case that settles messages: `lock` them in the order of their IDs, decide with the pure rules,
collect what follows in `Transitions`, `write` once, commit. Overlapping groups then wait for each other in one order
and cannot deadlock. The claim is the exception: it moves what nobody else has locked (claims.py).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.columns import column, rows_of
from worker.gate import GATE
from worker.states import FINAL, REASONED, WAITING, State, may_become
from worker.tally import Changes, upsert
from worker.words import AttemptOutcome

_LOCK = text("SELECT id FROM message WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
_LOCK_FREE = text("SELECT id FROM message WHERE id = ANY(:ids) ORDER BY id FOR UPDATE SKIP LOCKED")

# A statement of its own, after the locks: what another transaction committed while we waited for them is seen here.
# In the order of LockedMessage's fields.
_READ = text(f"""
    SELECT m.id, m.lane_id, m.batch_id, l.credential_id, m.state, m.reason, m.attempt_count, m.retry_count,
           m.next_attempt_at, m.expires_at, m.validity_seconds,
           coalesce(m.callback_data, b.callback_data),
           b.paused_at IS NOT NULL, b.cancelled_at IS NOT NULL,
           ({GATE}), l.kind IS NULL,
           coalesce(b.refusals, 0) + l.refusals > 0,
           a.submission_id, a.doubted_at, a.outcome, a.answered_at, coalesce(a.looks, 0)
    FROM message m JOIN lane l ON l.id = m.lane_id
    LEFT JOIN batch b ON b.id = m.batch_id
    LEFT JOIN attempt a ON a.message_id = m.id AND a.number = m.attempt_count
    WHERE m.id = ANY(:ids) ORDER BY m.id
""")

_MOVED = rows_of(
    "moved",
    id="uuid",
    was="text",
    state="text",
    reason="text",
    next_attempt_at="timestamptz",
    attempt_count="smallint",
    retry_count="smallint",
    finished_at="timestamptz",
    held="bool",
)
_SETTLED = rows_of(
    "settled",
    message_id="uuid",
    number="smallint",
    outcome="text",
    code="text",
    detail="text",
    look_at="timestamptz",
    looks="smallint",
)
# Together, since each statement by itself costs a small group of reports more than what it does.
_WRITE = text(f"""
    WITH moved AS (
        UPDATE message AS m SET
            state = v.state, reason = v.reason, next_attempt_at = v.next_attempt_at,
            attempt_count = v.attempt_count, retry_count = v.retry_count, finished_at = v.finished_at, held = v.held
        FROM {_MOVED} AS v
        WHERE m.id = v.id AND m.state = v.was
        RETURNING m.id
    ), settled AS (
        UPDATE attempt AS a SET
            outcome = v.outcome, code = v.code, detail = coalesce(v.detail, a.detail),
            answered_at = coalesce(a.answered_at, :at), look_at = v.look_at, looks = v.looks,
            doubted_at = CASE WHEN v.outcome = 'in doubt' THEN coalesce(a.doubted_at, :at) ELSE a.doubted_at END
        FROM {_SETTLED} AS v
        WHERE a.message_id = v.message_id AND a.number = v.number
        RETURNING a.message_id
    ), counted AS ({upsert("moved", "settled")})
    SELECT count(*) FROM moved
""")

# Shared until the end: a batch that goes on waits for us, and its sweep then finds what we set aside.
_PAUSED = text("""
    SELECT id, held_through FROM batch
    WHERE id = ANY(:ids) AND paused_at IS NOT NULL AND held_through IS NOT NULL ORDER BY id FOR SHARE
""")


@dataclass(slots=True)
class LockedMessage:
    """A message as it stands, locked until the transaction ends, and its current attempt (the last five fields)."""

    id: UUID
    lane_id: UUID
    batch_id: UUID | None
    credential_id: UUID
    state: State
    reason: str | None
    number: int  # of the current attempt
    slots: int  # of the retry schedule, used so far
    next_attempt_at: datetime | None
    expires_at: datetime
    validity: timedelta
    callback_data: str | None
    is_paused: bool
    is_cancelled: bool
    may_leave: bool  # the gate's word, for a submission opened in this transaction
    is_lane_open: bool
    has_refusals: bool  # its batch's or lane's last messages were refused: worker/poison.py
    submission_id: UUID | None
    doubted_at: datetime | None
    attempt_outcome: AttemptOutcome | None
    answered_at: datetime | None
    looks: int  # at Infobip's logs, so far

    @property
    def is_absent(self) -> bool:
        """Its fate is unknown, and it was in Infobip's logs at no look."""
        return self.state is State.SENDING and self.attempt_outcome is AttemptOutcome.ABSENT


def lock(session: Session, ids: Iterable[UUID], *, only_free: bool = False) -> dict[UUID, LockedMessage]:
    """The messages with these IDs that exist, locked in the order of their IDs; `only_free`: without those that another
    transaction holds."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    found = session.execute(_LOCK_FREE if only_free else _LOCK, {"ids": wanted}).scalars().all()
    return {row[0]: _locked(row) for row in session.execute(_READ, {"ids": found}).all()}


def _locked(row: Any) -> LockedMessage:
    message = LockedMessage(*row)
    message.state = State(message.state)
    message.validity = timedelta(seconds=row.validity_seconds)
    if message.attempt_outcome is not None:
        message.attempt_outcome = AttemptOutcome(message.attempt_outcome)
    return message


@dataclass(slots=True)
class _AttemptChange:
    outcome: AttemptOutcome
    code: str | None
    detail: str | None
    look_at: datetime | None
    looks: int


class Transitions:
    """What becomes of locked messages and their attempts, collected in one transaction and written at its end."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.now = now
        self._session = session
        self._before: dict[UUID, tuple[State, str | None]] = {}
        self._moved: dict[UUID, LockedMessage] = {}
        self._attempts: dict[tuple[UUID, int], _AttemptChange] = {}

    def move(
        self,
        message: LockedMessage,
        state: State,
        reason: str | None = None,
        *,
        next_attempt_at: datetime | None = None,
        slots: int | None = None,
        number: int | None = None,
    ) -> None:
        """Take `message` to `state`; the object changes at once, so that further reports fold onto the new situation.

        Errors: ValueError where states.py does not allow the step: a bug, never data.
        """
        if not may_become(message.state, state):
            raise ValueError(f"a message cannot go from {message.state} to {state}")
        self._before.setdefault(message.id, (message.state, message.reason))
        self._moved[message.id] = message
        message.state = state
        message.reason = reason if state in REASONED else message.reason
        message.next_attempt_at = next_attempt_at
        message.slots = message.slots if slots is None else slots
        message.number = message.number if number is None else number

    def settle(
        self,
        message_id: UUID,
        number: int,
        outcome: AttemptOutcome,
        code: str | None = None,
        detail: str | None = None,
        *,
        look_at: datetime | None = None,
        looks: int = 0,
    ) -> None:
        """Record how an attempt stands, and when Infobip's logs are asked about it next (None: never)."""
        self._attempts[message_id, number] = _AttemptChange(outcome, code, detail, look_at, looks)

    def write(self) -> None:
        """Messages, attempts and the tally."""
        moved = list(self._moved.values())
        if not moved and not self._attempts:
            return
        values = {**self._moved_columns(moved), **self._settled_columns(), **self._counts(moved).values()}
        if self._session.execute(_WRITE, {**values, "at": self.now}).scalar_one() != len(moved):
            raise RuntimeError("a locked message changed under its lock")

    def _moved_columns(self, moved: list[LockedMessage]) -> dict[str, str]:
        aside = self._set_aside(moved)
        return {
            "moved_id": column(message.id for message in moved),
            "moved_was": column(self._before[message.id][0] for message in moved),
            "moved_state": column(message.state for message in moved),
            "moved_reason": column(message.reason for message in moved),
            "moved_next_attempt_at": column(message.next_attempt_at for message in moved),
            "moved_attempt_count": column(message.number for message in moved),
            "moved_retry_count": column(message.slots for message in moved),
            "moved_finished_at": column(self.now if message.state in FINAL else None for message in moved),
            "moved_held": column(message.id in aside for message in moved),
        }

    def _settled_columns(self) -> dict[str, str]:
        changes = self._attempts.values()
        return {
            "settled_message_id": column(message_id for message_id, _ in self._attempts),
            "settled_number": column(number for _, number in self._attempts),
            "settled_outcome": column(change.outcome for change in changes),
            "settled_code": column(change.code for change in changes),
            "settled_detail": column(change.detail for change in changes),
            "settled_look_at": column(change.look_at for change in changes),
            "settled_looks": column(change.looks for change in changes),
        }

    def _counts(self, moved: list[LockedMessage]) -> Changes:
        moves = Counter((m.lane_id, m.batch_id, *self._before[m.id], m.state, m.reason) for m in moved)
        changes = Changes()
        for (lane_id, batch_id, was, was_reason, state, reason), n in moves.items():
            changes.left((lane_id, batch_id), was, was_reason, n)
            changes.entered((lane_id, batch_id), state, reason, n)
        return changes

    def _set_aside(self, moved: list[LockedMessage]) -> set[UUID]:
        """Those that wait again while their batch is paused, where its sweep has passed already: worker/steering.py."""
        back = [message for message in moved if message.state in WAITING and message.is_paused]
        if not back:
            return set()
        rows = self._session.execute(_PAUSED, {"ids": sorted({m.batch_id for m in back if m.batch_id is not None})})
        through = {row.id: row.held_through for row in rows}
        return {m.id for m in back if m.batch_id in through and m.id <= through[m.batch_id]}


def database_now(session: Session) -> datetime:
    """The one clock that decides."""
    at: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return at
