"""What of a batch is to be replayed: the messages that go, chunk by chunk, and counted beside them those that are left
out, and why."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker import batch_sweeps, tally
from worker.batch_sweeps import ALL, BEFORE_ALL
from worker.gate import IS_IN_PLACE, SOURCE_HAS_ARRIVED, barred_by_consent
from worker.models import Batch
from worker.orders import NOTHING_GIVEN, Values
from worker.places import Place, read_manner
from worker.reasons import DELIVERED_LATE
from worker.segments import Segments, count
from worker.states import State
from worker.words import MessageType, Origin

DEFAULT_STATES: Final = (State.FAILED, State.EXPIRED)
ALREADY_REPLAYED: Final = "already_replayed"  # why one is left out; the others are reasons of messages, and states

_END_OF_CHUNK = text("""
    SELECT id FROM message WHERE batch_id = :batch AND id > :after ORDER BY id OFFSET :chunk - 1 LIMIT 1
""")
# What went in an MMS's place goes again as that MMS, and has its own fallback if need be (worker/fallbacks.py).
IS_FALLBACK: Final = f"m.origin = '{Origin.FALLBACK}'"
# Why a message that would go is left out; asked only as far as needed. Of what was delivered late nobody knows any
# more how it had ended: it is told of whatever was chosen.
_CHOOSE = text(f"""
    SELECT m.id, m.recipient, m.state, m.reason,
        CASE WHEN {IS_FALLBACK} THEN 1 ELSE coalesce(m.segment_count, CAST(:parts AS int), 1) END AS parts,
        CASE WHEN NOT {IS_FALLBACK} AND m.segment_count IS NULL THEN m.text END AS uncounted, CASE
        WHEN m.state = '{State.DELIVERED}' THEN '{DELIVERED_LATE}'
        WHEN (SELECT true FROM replayed WHERE source_message_id = m.id) THEN '{ALREADY_REPLAYED}'
        WHEN {SOURCE_HAS_ARRIVED} THEN '{DELIVERED_LATE}'
        WHEN m.state = '{State.UNCONFIRMED}' AND NOT CAST(:includes_unconfirmed AS bool) THEN '{State.UNCONFIRMED}'
        ELSE (SELECT {barred_by_consent("CAST(:is_marketing AS bool)", "CAST(:needs_opt_in AS bool)")}
              FROM (SELECT) AS one
              LEFT JOIN consent c ON c.recipient = m.recipient AND c.credential_id = CAST(:credential AS uuid))
    END AS left_out, CASE WHEN {IS_IN_PLACE}
        THEN coalesce((SELECT root_id FROM replayed WHERE message_id = m.id), m.id) ELSE m.id END AS root_id
    FROM message m
    WHERE m.batch_id = :batch AND m.id > :after AND m.id <= :through AND (
        m.state = '{State.DELIVERED}' AND m.reason = '{DELIVERED_LATE}'
        OR m.state = ANY(CAST(:states AS text[]))
        AND coalesce(m.reason = ANY(CAST(:error_names AS text[])), CAST(:error_names AS text[]) IS NULL)
        AND coalesce(m.finished_at >= CAST(:since AS timestamptz), CAST(:since AS timestamptz) IS NULL)
        AND coalesce(m.finished_at < CAST(:until AS timestamptz), CAST(:until AS timestamptz) IS NULL)
    ) IS TRUE
    ORDER BY m.id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOrder:
    """What of a batch is to go out again, as asked for. `values` and `validity`: other ones than it had, or would have.

    `error_names` are reasons; `since` and `until` (not itself included) bound when it ended. None: any.
    """

    batch_id: UUID
    states: Sequence[State] = DEFAULT_STATES
    error_names: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    includes_unconfirmed: bool = False
    validity: timedelta | None = None
    values: Values = NOTHING_GIVEN  # DLT IDs only


class Going(NamedTuple):
    """A message that goes again. `takes`: what its own text takes, where it had not been counted."""

    id: UUID
    recipient: str
    root_id: UUID
    parts: int
    takes: Segments | None = None


class Choice:
    """The messages of the source, chunk by chunk: those that go, and counted beside them those that are left out."""

    def __init__(self, session: Session, order: ReplayOrder, place: Place, batch: Batch) -> None:
        """`place` and `batch`: where it goes, and what it is to be."""
        self.groups: Counter[tuple[State, str | None]] = Counter()
        self.left_out: Counter[str] = Counter()
        self._session = session
        self._manner = read_manner(batch)
        self._values = {
            "batch": order.batch_id,
            "parts": batch.segment_count,
            "states": [*order.states, State.UNCONFIRMED],
            "error_names": order.error_names,
            "since": order.since,
            "until": order.until,
            "includes_unconfirmed": order.includes_unconfirmed,
            "credential": place.credential_id,
            "is_marketing": place.message_type == MessageType.MARKETING,
            "needs_opt_in": place.needs_opt_in,
        }

    def chunks(self) -> Iterator[list[Going]]:
        after = BEFORE_ALL
        while after != ALL:
            chunk = {"batch": self._values["batch"], "after": after, "chunk": batch_sweeps.CHUNK}
            through = self._session.execute(_END_OF_CHUNK, chunk).scalar_one_or_none() or ALL
            rows = self._session.execute(_CHOOSE, {**self._values, "after": after, "through": through}).all()
            chosen = [row for row in rows if row.left_out is None]
            going = [self._read(row) for row in chosen]
            self.groups.update((State(row.state), row.reason) for row in chosen)
            self.left_out.update(row.left_out for row in rows if row.left_out is not None)
            if going:
                yield going
            after = through

    def _read(self, row: Any) -> Going:
        if row.uncounted is None:
            return Going(row.id, row.recipient, row.root_id, row.parts)
        takes = count(row.uncounted, self._manner.language, self._manner.transliteration)
        return Going(row.id, row.recipient, row.root_id, takes.parts, takes)


def most_chosen(session: Session, order: ReplayOrder) -> int:
    """By the tally, which knows nothing of when they ended, nor of who is left out."""
    counts = tally.counts(session, [order.batch_id])[order.batch_id]
    states = {*order.states, *([State.UNCONFIRMED] if order.includes_unconfirmed else [])}
    return sum(
        n
        for (state, reason), n in counts.items()
        if state in states and (order.error_names is None or reason in order.error_names)
    )
