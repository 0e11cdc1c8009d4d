"""Walks of a search for messages: each reads one index, so far and no further, and knows how far it is whole.

What a walk asks of each row stands in its `Question`. A part of a search may need several walks: message_search.py.

The IDs of a batch's messages lie between its own and its `messages_through`. So what is newer than any ID is of batches
that are newer too, or were under way at it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.ids import first_id_at

_MORE_GATHERED = 16  # times as many rows as a walk's reach, where it is known or likely that these are all
BEFORE_ALL, AFTER_ALL = UUID(int=0), UUID(int=2**128 - 1)
_INDEXED: Final = 64  # characters of callback data
_LAST_CHARACTER, _SURROGATES = 0x10FFFF, range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each message m that is met, and how many are wanted.

    `matches` and `columns` are SQL over m: the condition, and the columns that it reads beside the ID (each after a
    comma). `tallied` is the same of the tally t, as far as that can tell: empty where it cannot.
    """

    session: Session
    limit: int
    values: Mapping[str, Any]
    matches: str
    columns: str
    tallied: Sequence[str]

    def run(self, statement: str, **values: Any) -> Sequence[Any]:
        return self.session.execute(text(statement), {**self.values, "limit": self.limit, **values}).all()

    def counted(self, subject: str) -> str:
        """SQL: whether the tally counts any that match for a subject."""
        if not self.tallied:
            return "true"
        return f"(SELECT sum(t.n) FROM tally t WHERE t.subject_id = {subject} AND {' AND '.join(self.tallied)}) > 0"


@dataclass(frozen=True, slots=True)
class Index:
    """The index of an expression over m, or over b, with the ID after it; and its condition."""

    key: str
    condition: str = "true"


BATCHES_OF_CALLBACK: Final = Index('left(b.callback_data COLLATE "C", 64)', "b.callback_data IS NOT NULL")
# Batches with messages on both sides of the ID `:floor`: few. OFFSET keeps the planner from other indexes.
UNDER_WAY: Final = """
    SELECT b.* FROM batch b WHERE id_range(b.id, b.messages_through) @> CAST(:floor AS uuid) OFFSET 0
"""


class Part(ABC):
    """Messages of one kind. Those newer than `through` are found; where it is done, all are, down to `bottom`."""

    def __init__(self, question: Question, top: UUID, bottom: UUID) -> None:
        self.question = question
        self.through = top
        self.bottom = bottom
        self.found: list[UUID] = []
        self.is_done = False

    @abstractmethod
    def go(self, reach: int) -> None:
        """On, by about so many rows."""

    def _take(self, rows: Sequence[Any], floor: UUID | None) -> None:
        """Rows, newest first: those that match, and the last ones read where reading stopped. `floor` is how far it was
        to go; None: to the end."""
        stops = [row.id for row in rows if row.is_last]
        if len(rows) == self.question.limit:
            stops.append(rows[-1].id)
        if floor is not None:
            stops.append(floor)
        self.is_done = not stops
        through = max(stops, default=self.bottom)
        self.found += [row.id for row in rows if row.matches and row.id >= through]
        self.through = through


class Along(Part):
    """Those with one key in an index, along which they stand by ID."""

    def __init__(self, question: Question, top: UUID, bottom: UUID, index: Index, key: Any = None) -> None:
        super().__init__(question, top, bottom)
        self._index = index
        self._key = key

    def go(self, reach: int) -> None:
        # Not `key = :key`: for the planner that is no order, and then the ID's own index has the same one.
        where, order = _walked(self._index, "m", ":through", ":bottom")
        key = f"{self._index.key} AS key, " if self._index.key else ""
        rows = self.question.run(
            f"""
            SELECT m.id, coalesce({self.question.matches}, false) AS matches, m.place = :reach AS is_last FROM (
                SELECT m.*, row_number() OVER () AS place FROM (
                    SELECT {key}m.id{self.question.columns} FROM message m WHERE {where} ORDER BY {order} LIMIT :reach
                ) AS m
            ) AS m
            WHERE ({self.question.matches}) OR m.place = :reach
            ORDER BY {"m.key DESC, " if key else ""}m.id DESC LIMIT :limit
            """,
            key=self._key,
            reach=reach,
            through=self.through,
            bottom=self.bottom,
        )
        self._take(rows, None)


def _walked(index: Index, table: str, top: str, bottom: str) -> tuple[str, str]:
    """The condition and the order of a walk along an index, from the ID `top` down to `bottom`, neither included."""
    row_id = f"{table}.id"
    if not index.key:
        return f"{row_id} < {top} AND {row_id} > {bottom}", f"{row_id} DESC"
    row = f"({index.key}, {row_id})"
    return (
        f"{index.condition} AND {row} < (:key, {top}) AND {row} > (:key, {bottom})",
        f"{index.key} DESC, {row_id} DESC",
    )


class Gathered(Part):
    """Those within a range of an index whose order is not theirs: all at once, or none as long as they are too many.
    `count` is how many there are, where that is known."""

    def __init__(
        self,
        question: Question,
        top: UUID,
        bottom: UUID,
        condition: str,
        order: str,
        count: int | None = None,
        **values: Any,
    ) -> None:
        super().__init__(question, top, bottom)
        self._condition = condition
        self._order = order
        self._count = count
        self._values = values

    def go(self, reach: int) -> None:
        if self._count is not None:
            if self._count >= reach * _MORE_GATHERED:
                return
            reach = self._count + 1
        ((count, found),) = self.question.run(
            f"""
            WITH gathered AS MATERIALIZED (
                SELECT m.id{self.question.columns} FROM message m WHERE {self._condition}
                ORDER BY {self._order} LIMIT :reach
            )
            SELECT (SELECT count(*) FROM gathered), ARRAY(
                SELECT m.id FROM gathered m WHERE m.id < :through AND m.id > :bottom AND ({self.question.matches})
                ORDER BY m.id DESC LIMIT :limit)
            """,
            **self._values,
            reach=reach,
            through=self.through,
            bottom=self.bottom,
        )
        if count < reach:
            self.found, self.is_done = found, True


class _OfBatches(Part):
    """Those of a set of batches, from the newest batch on."""

    def go(self, reach: int) -> None:
        heads = self._heads(reach)
        if heads is None:
            return
        # At least one, and of what they hold not too much together.
        taken, rows_left = 0, reach
        while taken < len(heads) and rows_left > 0:
            rows_left -= min(heads[taken].total, reach)
            taken += 1
        are_all = taken == len(heads) and len(heads) < reach
        floor = self.bottom if are_all else heads[taken - 1].id
        members, values = self._members()
        rows = self.question.run(
            _OF_EACH.format(members=members, columns=self.question.columns, matches=self.question.matches),
            **values,
            reach=reach,
            through=self.through,
            floor=floor,
        )
        self._take(rows, None if floor == self.bottom else floor)

    @abstractmethod
    def _heads(self, reach: int) -> Sequence[Any] | None:
        """Batches (ID, total) between `through` and `bottom`, newest first: at least `reach` of them, unless these are
        all. None: they are not known yet."""

    @abstractmethod
    def _members(self) -> tuple[str, dict[str, Any]]:
        """SQL and its values: the IDs of those that may have messages between `:through` and `:floor`."""


class OfKey(_OfBatches):
    """Of those with one key in an index of batches."""

    def __init__(self, question: Question, top: UUID, bottom: UUID, index: Index, key: Any, also: str = "true") -> None:
        super().__init__(question, top, bottom)
        self._key = key
        # Of batches of which the tally says that none matches, none is read.
        also = f"({also}) AND {question.counted('b.id')}"
        where, order = _walked(index, "b", ":through", ":floor")
        self._newer = f"SELECT b.id, b.total FROM batch b WHERE {where} AND {also} ORDER BY {order}"
        self._under_way = (
            f"SELECT b.id FROM ({UNDER_WAY}) AS b WHERE {index.condition} AND {index.key} = :key AND {also}"
        )

    def _heads(self, reach: int) -> Sequence[Any]:
        values = {"key": self._key, "reach": reach, "through": self.through, "floor": self.bottom}
        return self.question.run(f"{self._newer} LIMIT :reach", **values)

    def _members(self) -> tuple[str, dict[str, Any]]:
        return f"(SELECT id FROM ({self._newer}) AS b) UNION ALL ({self._under_way})", {"key": self._key}


class OfBegun(_OfBatches):
    """Of those that began before its `bottom`."""

    def _heads(self, reach: int) -> Sequence[Any]:
        return ()

    def _members(self) -> tuple[str, dict[str, Any]]:
        return f"SELECT b.id FROM ({UNDER_WAY}) AS b WHERE {self.question.counted('b.id')}", {}


class OfPrefix(_OfBatches):
    """Of those whose callback data begin with the prefix, once they are few enough."""

    def __init__(self, question: Question, top: UUID, bottom: UUID, prefix: str) -> None:
        super().__init__(question, top, bottom)
        self._values = {"prefix": prefix, "beyond": beyond(prefix), "most": 0}

    def _heads(self, reach: int) -> Sequence[Any] | None:
        self._values["most"] = most = reach * _MORE_GATHERED
        ((count, ids, totals),) = self.question.run(
            f"""
            WITH gathered AS MATERIALIZED ({_BATCHES_IN_RANGE}), heads AS MATERIALIZED (
                SELECT b.id, b.total FROM gathered b
                WHERE b.id < :through AND b.id > :bottom AND {self.question.counted("b.id")}
                ORDER BY b.id DESC LIMIT :reach
            )
            SELECT (SELECT count(*) FROM gathered), ARRAY(SELECT id FROM heads), ARRAY(SELECT total FROM heads)
            """,
            **self._values,
            through=self.through,
            bottom=self.bottom,
            reach=reach,
        )
        return None if count == most else [_Head(*head) for head in zip(ids, totals, strict=True)]

    def _members(self) -> tuple[str, dict[str, Any]]:
        sql = f"""
            SELECT b.id FROM ({_BATCHES_IN_RANGE}) AS b
            WHERE b.id < :through AND b.messages_through > :floor AND {self.question.counted("b.id")}
        """
        return sql, self._values


class _Head(NamedTuple):
    id: UUID
    total: int


_BATCHES_IN_RANGE = f"""
    SELECT b.id, b.total, b.messages_through FROM batch b
    WHERE {BATCHES_OF_CALLBACK.condition}
      AND {BATCHES_OF_CALLBACK.key} >= :prefix AND {BATCHES_OF_CALLBACK.key} < :beyond
    ORDER BY {BATCHES_OF_CALLBACK.key}, b.id LIMIT :most
"""

# Of each batch as many rows as one walk takes: the last of them tells where to go on.
_OF_EACH = """
    SELECT m.id, m.matches, m.is_last FROM ({members}) AS b CROSS JOIN LATERAL (
        SELECT m.id, coalesce({matches}, false) AS matches, m.place = :reach AS is_last FROM (
            SELECT m.*, row_number() OVER () AS place FROM (
                SELECT m.batch_id AS key, m.id{columns} FROM message m
                WHERE m.batch_id IS NOT NULL
                  AND (m.batch_id, m.id) < (b.id, :through) AND (m.batch_id, m.id) > (b.id, :floor)
                ORDER BY m.batch_id DESC, m.id DESC LIMIT :reach
            ) AS m
        ) AS m
        WHERE ({matches}) OR m.place = :reach
        ORDER BY m.key DESC, m.id DESC LIMIT :limit
    ) AS m
    ORDER BY m.id DESC LIMIT :limit
"""


def start_of(callback_data: str) -> str:
    """What of it stands in an index row."""
    return callback_data[:_INDEXED]


def beyond(prefix: str) -> str:
    """The first text, by its bytes, after all that begin with the prefix."""
    kept = prefix.rstrip(chr(_LAST_CHARACTER))
    if not kept:
        return chr(_LAST_CHARACTER) * (_INDEXED + 1)
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def id_at(instant: datetime, slack: timedelta) -> UUID:
    """Sorts before all that are made from then on, so much later or earlier."""
    try:
        return first_id_at(instant + slack)
    except OverflowError:
        return AFTER_ALL if slack > timedelta(0) else BEFORE_ALL
