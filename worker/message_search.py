"""Finding messages, newest first, by any of many filters together.

One statement with all filters in it would be quick or slow by what the planner guesses: a rare state within a large
batch, a common one whose messages are all old. So it gets no choice. Each filter with an index gives a way: walking
that index, and asking the other filters of each row met (search_walks.py); so does the order of the IDs alone. All ways
go in turns, each a little further than before, until one of them has found a page or come to its end. So a search takes
a few times as long as its best way would by itself, whichever that is.

What stands on a batch leads to messages through the batches: of a journey, of callback data that messages inherit, of a
surface.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.models.messages import SAYS_WHY
from worker.reasons import DELIVERED_LATE
from worker.search_walks import (
    AFTER_ALL,
    BATCHES_OF_CALLBACK,
    BEFORE_ALL,
    UNDER_WAY,
    Along,
    Gathered,
    Index,
    OfBegun,
    OfKey,
    OfPrefix,
    Part,
    Question,
    beyond,
    id_at,
    start_of,
)
from worker.states import LIVE, UNDELIVERED, State
from worker.words import Origin, listed

CLOCKS_DIFFER: Final = timedelta(minutes=2)  # at most: those that make IDs, and the database's
_FIRST_REACH, _FURTHER = 1_000, 4  # rows that a walk reads at its first turn; times as many at each later one

# Reading along an index costs what it returns, however many rows the planner expects; a sort would read all first. Its
# costs would otherwise also look like reason enough to compile the statement.
_NO_CHOICE = text("""
    SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),
           set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """None: whatever it is. `reason` is one that says why a message stands as it does, not a memory of an earlier
    attempt; `until` is the first instant that is too late; both times are of `created_at`."""

    batch_id: UUID | None = None
    state: State | None = None
    recipient: str | None = None
    callback_data: str | None = None
    callback_prefix: str | None = None  # 1 to 64 characters
    reason: str | None = None
    journey_id: str | None = None
    surface_ids: Sequence[UUID] | None = None
    origin: Origin | None = None
    since: datetime | None = None
    until: datetime | None = None


# Over a message m: which of its columns each filter reads, and what it asks of them. Its batch is looked up for each,
# since a join would leave the planner a choice.
_OF_BATCH = "(SELECT b.{} FROM batch b WHERE b.id = m.batch_id)"
_CALLBACK = f"coalesce(m.callback_data, {_OF_BATCH.format('callback_data')})"
_ASKS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "batch_id": (("batch_id",), "m.batch_id = :batch_id"),
    "state": (("state",), "m.state = :state"),
    "recipient": (("recipient",), "m.recipient = :recipient"),
    "callback_data": (("callback_data", "batch_id"), f"{_CALLBACK} = :callback_data"),
    "callback_prefix": (("callback_data", "batch_id"), f"starts_with({_CALLBACK}, :callback_prefix)"),
    "reason": (("reason", "state"), f"m.reason = :reason AND {SAYS_WHY}"),
    "journey_id": (("batch_id",), f"{_OF_BATCH.format('journey_id')} = :journey_id"),
    "surface_ids": (("surface_id",), "m.surface_id = ANY(:surface_ids)"),
    "origin": (("origin",), "m.origin = :origin"),
    "since": (("created_at",), "m.created_at >= :since"),
    "until": (("created_at",), "m.created_at < :until"),
}


def find(session: Session, search: Search, before: UUID | None, limit: int) -> list[UUID]:
    """The IDs of at most so many messages that match, newest first, all of them older than `before`.

    The session's transaction has to be one that reads a single state of things (REPEATABLE READ), and is used for
    nothing large afterwards.
    """
    question = _asked(session, search, limit)
    if not _has_any(question, search):
        return []
    session.execute(_NO_CHOICE)
    span = _span(question, search, before)
    if span is None:
        return []
    by_id, narrow, wide = _ways(question, search, *span)
    # What many match is found at once by going through all of them; what few match, hardly ever.
    ways, reach = [*narrow, by_id, *wide], _FIRST_REACH
    while True:
        for way in ways:
            answer = way.go(reach)
            if answer is not None:
                return answer
        ways, reach = [*narrow, *wide, by_id], reach * _FURTHER


def ids_between(since: datetime | None, until: datetime | None) -> tuple[UUID, UUID]:
    """Between these two lie the IDs of all batches whose `created_at` lies between the two times, and of more: it is
    told by another clock, when their transaction began. So do those of messages, but for some of batches that were then
    under way."""
    earliest = BEFORE_ALL if since is None else id_at(since, -CLOCKS_DIFFER)
    return earliest, AFTER_ALL if until is None else id_at(until, CLOCKS_DIFFER)


def _asked(session: Session, search: Search, limit: int) -> Question:
    values = {field.name: value for field in fields(search) if (value := getattr(search, field.name)) is not None}
    asked = [_ASKS[name] for name in values]
    tallied = [] if search.state is None else ["t.state = :state"]
    if search.reason not in (None, DELIVERED_LATE):  # which is counted as any delivered one
        tallied.append("t.reason = :reason")
    columns = sorted({name for names, _ in asked for name in names})
    return Question(
        session=session,
        limit=limit,
        values=values,
        matches=" AND ".join(f"({condition})" for _, condition in asked) or "true",
        columns="".join(f", m.{name}" for name in columns),
        tallied=tallied,
    )


def _has_any(question: Question, search: Search) -> bool:
    """As far as the tally can tell."""
    subjects = "SELECT id FROM lane" if search.batch_id is None else "SELECT CAST(:batch_id AS uuid) AS id"
    return bool(question.run(f"SELECT FROM ({subjects}) AS s WHERE {question.counted('s.id')} LIMIT 1"))


def _count_in_state(question: Question) -> int:
    """Of all messages, by the state alone."""
    ((count,),) = question.run(
        "SELECT coalesce(sum(t.n), 0) FROM tally t JOIN lane l ON l.id = t.subject_id WHERE t.state = :state"
    )
    return int(count)


def _span(question: Question, search: Search, before: UUID | None) -> tuple[UUID, UUID] | None:
    """Between which IDs all that match lie; None where there is no such batch."""
    bottom, top = ids_between(search.since, search.until)
    if search.until is not None:
        begun = question.run(f"SELECT b.messages_through FROM ({UNDER_WAY}) AS b", floor=_next(top, -1))
        top = max([top, *(_next(batch.messages_through) for batch in begun)])
    if search.batch_id is not None:
        found = question.run("SELECT messages_through FROM batch WHERE id = :batch_id")
        if not found:
            return None
        bottom, top = max(bottom, search.batch_id), min(top, _next(found[0].messages_through))
    return min(top, before or AFTER_ALL), bottom


def _next(row_id: UUID, by: int = 1) -> UUID:
    return UUID(int=row_id.int + by)


_BY_ID = Index("")
_BY_BATCH = Index("m.batch_id", "m.batch_id IS NOT NULL")
_BY_RECIPIENT = Index("m.recipient")
_BY_STATE = Index("m.state", f"m.state IN ({listed(UNDELIVERED)})")
_BY_REASON = Index("m.reason", f"m.reason IS NOT NULL AND {SAYS_WHY}")
_BY_CALLBACK = Index('left(m.callback_data COLLATE "C", 64)', "m.callback_data IS NOT NULL")
_BY_SURFACE = Index("m.surface_id", "m.batch_id IS NULL AND m.surface_id IS NOT NULL")
_BY_ORIGIN = Index("m.origin", f"m.origin <> '{Origin.API}'")
_BATCHES_OF_JOURNEY = Index("b.journey_id", "b.journey_id IS NOT NULL")
_BATCHES_OF_SURFACE = Index("b.surface_id")


class _Way:
    """Parts that hold all that match between them."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts

    def go(self, reach: int) -> list[UUID] | None:
        """On by so many rows. The answer, once it is certain."""
        for part in self._parts:
            if not part.is_done:
                part.go(reach)
        through = max((part.through for part in self._parts if not part.is_done), default=BEFORE_ALL)
        limit = self._parts[0].question.limit
        # A part that has nothing at all leaves its place to the others.
        certain = sorted({found for part in self._parts for found in part.found if found >= through}, reverse=True)
        is_over = all(part.is_done for part in self._parts)
        return certain[:limit] if is_over or len(certain) >= limit else None


def _ways(question: Question, search: Search, top: UUID, bottom: UUID) -> tuple[_Way, list[_Way], list[_Way]]:
    """By the ID alone; then those that the search has besides: along one key, and over more."""

    def along(index: Index, key: Any = None) -> Along:
        return Along(question, top, bottom, index, key)

    def of_batches(index: Index, key: Any, also: str = "true") -> OfKey:
        return OfKey(question, top, bottom, index, key, also)

    narrow: list[_Way] = []
    wide: list[_Way] = []
    if search.recipient is not None:
        narrow.append(_Way(along(_BY_RECIPIENT, search.recipient)))
    if search.reason is not None:
        narrow.append(_Way(along(_BY_REASON, search.reason)))
    if search.state in UNDELIVERED:
        narrow.append(_Way(along(_BY_STATE, search.state)))
    if search.batch_id is not None:
        narrow.append(_Way(along(_BY_BATCH, search.batch_id)))
    if search.origin not in (None, Origin.API):
        narrow.append(_Way(along(_BY_ORIGIN, search.origin)))
    if search.state in LIVE:
        live = Gathered(question, top, bottom, _LIVE, "m.state, m.expires_at", _count_in_state(question))
        wide.append(_Way(live))
    if search.callback_data is not None:
        start = start_of(search.callback_data)
        inherited = of_batches(BATCHES_OF_CALLBACK, start, "b.callback_data = :callback_data")
        wide.append(_Way(along(_BY_CALLBACK, start), inherited))
    if search.callback_prefix is not None:
        prefix = search.callback_prefix
        values: dict[str, Any] = {"prefix": prefix, "beyond": beyond(prefix)}
        own = Gathered(question, top, bottom, _IN_RANGE, f"{_BY_CALLBACK.key}, m.id", **values)
        wide.append(_Way(own, OfPrefix(question, top, bottom, prefix)))
    if search.journey_id is not None:
        wide.append(_Way(of_batches(_BATCHES_OF_JOURNEY, search.journey_id)))
    if search.surface_ids is not None:
        singles = [along(_BY_SURFACE, surface) for surface in search.surface_ids]
        wide.append(_Way(*singles, *(of_batches(_BATCHES_OF_SURFACE, surface) for surface in search.surface_ids)))
    return _by_id(question, search.until, top, bottom), narrow, wide


def _by_id(question: Question, until: datetime | None, top: UUID, bottom: UUID) -> _Way:
    """All messages. Of what was made after `until`, only the rest of batches that were then under way."""
    begun = max(bottom, ids_between(None, until)[1])
    if begun >= top:
        return _Way(Along(question, top, bottom, _BY_ID))
    return _Way(Along(question, begun, bottom, _BY_ID), OfBegun(question, top, _next(begun, -1)))


_LIVE = f"""
    m.state IN ({listed(LIVE)})
    AND (m.state, m.expires_at) >= (:state, '-infinity') AND (m.state, m.expires_at) <= (:state, 'infinity')
"""
# The IDs are asked of the index too: on the last page of many, only those left are read.
_IN_RANGE = f"""
    {_BY_CALLBACK.condition} AND {_BY_CALLBACK.key} >= :prefix AND {_BY_CALLBACK.key} < :beyond
    AND m.id < :through AND m.id > :bottom
"""
