"""Messages locked together, as they stand: what every use case that moves them begins with.

In the order of their IDs, so that overlapping groups wait for each other in one order and cannot deadlock. Whoever
changes an attempt of a message has that message locked; only a look at Infobip's logs is taken without (lookups.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlmodel import Session

from worker.gate import (
    BARRED,
    CONSENT_OF,
    GATE,
    HAS_FALLBACK,
    HAS_TIME,
    IS_IN_PLACE,
    IS_MOVED,
    LANE_IS_OPEN,
    STANDS_STILL,
    WINDOW_IS_OPEN,
)
from worker.reasons import FALLBACK
from worker.states import State
from worker.windows import Window, read_given, window_for
from worker.words import AttemptOutcome, MessageType

_LOCK = text("SELECT id FROM message WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
# Along with all of the same chains, in one order with them.
_LOCK_CHAINS = text("""
    SELECT id FROM message WHERE id = ANY(CAST(:ids AS uuid[]) || ARRAY(
        SELECT message_id FROM replayed WHERE root_id = ANY(:ids)
        UNION ALL
        SELECT later.message_id FROM replayed own JOIN replayed later ON later.root_id = own.root_id
        WHERE own.message_id = ANY(:ids)
    )) ORDER BY id FOR UPDATE
""")
_LOCK_FREE = text("SELECT id FROM message WHERE id = ANY(:ids) ORDER BY id FOR UPDATE SKIP LOCKED")

# LockedMessage's fields, in their order.
_FIELDS: Final = {
    "id": "m.id",
    "lane_id": "m.lane_id",
    "batch_id": "m.batch_id",
    "credential_id": "l.credential_id",
    "recipient": "m.recipient",
    "state": "m.state",
    "reason": "m.reason",
    "number": "m.attempt_count",
    "slots": "m.retry_count",
    "next_attempt_at": "m.next_attempt_at",
    "leave_before": "m.leave_before",
    "expires_at": "m.expires_at",
    "validity": "m.validity_seconds",
    "callback_data": "coalesce(m.callback_data, b.callback_data)",
    "given_window": "coalesce(m.sending_window, b.sending_window)::text",
    "is_marketing": f"l.message_type = '{MessageType.MARKETING}'",
    "is_window_open": WINDOW_IS_OPEN,
    "is_paused": "b.paused_at IS NOT NULL",
    "stands_still": f"({STANDS_STILL})",
    "barred": f"nullif(({BARRED}), CASE WHEN NOT ({HAS_TIME}) THEN '{FALLBACK}' END)",  # no SMS leaves after its time
    "may_leave": f"({GATE})",
    "is_moved": IS_MOVED,
    "is_lane_open": LANE_IS_OPEN,
    "has_refusals": "coalesce(b.refusals, 0) + l.refusals > 0",
    "submission_id": "a.submission_id",
    "left_at": "a.started_at",
    "doubted_at": "a.doubted_at",
    "attempt_outcome": "a.outcome",
    "answered_at": "a.answered_at",
    "looks": "coalesce(a.looks, 0)",
    "parts": "coalesce(m.segment_count, b.segment_count, 1)",
    "has_fallback": f"({HAS_FALLBACK} AND {HAS_TIME})",
    "root_id": f"""CASE WHEN {IS_IN_PLACE}
        THEN coalesce((SELECT root_id FROM replayed WHERE message_id = m.id), m.id) ELSE m.id END""",
}
# A statement of its own, after the locks: what another transaction committed while we waited for them is seen here.
_READ = text(f"""
    SELECT {", ".join(f"{expression} AS {name}" for name, expression in _FIELDS.items())}
    FROM message m JOIN lane l ON l.id = m.lane_id
    LEFT JOIN batch b ON b.id = m.batch_id
    LEFT JOIN consent c ON {CONSENT_OF}
    LEFT JOIN attempt a ON a.message_id = m.id AND a.number = m.attempt_count
    WHERE m.id = ANY(:ids) ORDER BY m.id
""")


@dataclass(slots=True)
class LockedMessage:
    """A message as it stands, locked until the transaction ends, and its current attempt (from its submission on)."""

    id: UUID
    lane_id: UUID
    batch_id: UUID | None
    credential_id: UUID
    recipient: str
    state: State
    reason: str | None
    number: int  # of the current attempt
    slots: int  # of the retry schedule, used so far
    next_attempt_at: datetime | None
    leave_before: datetime | None  # and its turn with it; as early as its turn where its window is yet to be asked
    expires_at: datetime
    validity: timedelta
    callback_data: str | None
    given_window: str | None  # as JSON text
    is_marketing: bool
    is_window_open: bool
    is_paused: bool
    stands_still: bool  # its batch: claims pass it over
    barred: str | None  # why it may never leave again
    may_leave: bool  # the gate's word, for a submission opened in this transaction
    is_moved: bool  # its batch was given another start or end since it was taken, and it goes by that where it can
    is_lane_open: bool
    has_refusals: bool  # its batch's or lane's last messages were refused: stops.py
    submission_id: UUID | None
    left_at: datetime | None  # when its current attempt was taken to be sent
    doubted_at: datetime | None
    attempt_outcome: AttemptOutcome | None
    answered_at: datetime | None  # when it was first settled since it last went out, in any way, a doubt included
    looks: int  # at Infobip's logs, so far
    parts: int  # that it is billed as
    has_fallback: bool  # an MMS, with a text that may go as an SMS in its place, and time for it
    root_id: UUID  # the first of the chain that it stands in, each in the earlier one's place; its own where in none's

    @property
    def was_in_doubt(self) -> bool:
        """Once in doubt, an attempt stays so until Infobip says more: an earlier request of it may have arrived."""
        return self.doubted_at is not None

    @property
    def begins_at(self) -> datetime:
        """When it may first leave, and its validity begins."""
        return self.expires_at - self.validity

    @property
    def window(self) -> Window | None:
        """When it may leave; None: at any time."""
        given = read_given(self.given_window)
        return window_for(given, is_marketing=self.is_marketing, recipient=self.recipient)

    @property
    def is_absent(self) -> bool:
        """Its fate is unknown, and it was in Infobip's logs at no look."""
        return self.state is State.SENDING and self.attempt_outcome is AttemptOutcome.ABSENT


def lock(session: Session, ids: Iterable[UUID], *, only_free: bool = False) -> dict[UUID, LockedMessage]:
    """The messages with these IDs that exist, locked in the order of their IDs; `only_free`: without those that another
    transaction holds."""
    return _lock(session, _LOCK_FREE if only_free else _LOCK, ids)


def lock_chains(session: Session, ids: Iterable[UUID]) -> dict[UUID, LockedMessage]:
    """These, and with each the others of its chain of replays: for who may find one delivered."""
    return _lock(session, _LOCK_CHAINS, ids)


def _lock(session: Session, statement: TextClause, ids: Iterable[UUID]) -> dict[UUID, LockedMessage]:
    wanted = list(set(ids))
    if not wanted:
        return {}
    found = session.execute(statement, {"ids": wanted}).scalars().all()
    return {row[0]: _locked(row) for row in session.execute(_READ, {"ids": found}).all()}


def _locked(row: Any) -> LockedMessage:
    message = LockedMessage(*row)
    message.state = State(message.state)
    message.validity = timedelta(seconds=row.validity)
    if message.attempt_outcome is not None:
        message.attempt_outcome = AttemptOutcome(message.attempt_outcome)
    return message
