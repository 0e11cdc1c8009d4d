"""Events: what happened, told in the transaction in which it happened. feeds.py says how they are read in order.

They are written after the rows of what they tell are locked, in a statement that begins after that: so of two events of
one message the later one stands later in the feed, whichever transaction began first (models/events.py).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.columns import column, rows_of
from worker.words import EventType


class Told(NamedTuple):
    """An event; its fields are the columns of its row. `subject_id`: what happened to what."""

    type: EventType
    subject_id: UUID
    attempt: int | None = None
    reason: str | None = None
    kind: str | None = None
    next_at: datetime | None = None


_TYPES: Final = {
    "type": "text",
    "subject_id": "uuid",
    "attempt": "smallint",
    "reason": "text",
    "kind": "text",
    "next_at": "timestamptz",
}
# Takes `columns`. A part of other statements, too.
TELL: Final = f"INSERT INTO event ({', '.join(_TYPES)}) SELECT told.* FROM {rows_of('told', **_TYPES)} AS told"
_TELL = text(TELL)


def columns(told: Sequence[Told]) -> dict[str, str]:
    """In the order in which it happened."""
    return {f"told_{name}": column(getattr(one, name) for one in told) for name in _TYPES}


def tell(session: Session, told: Iterable[Told]) -> None:
    """Does not commit."""
    told = list(told)
    if told:
        session.execute(_TELL, columns(told))
