"""Feeds: rows in the order of the transactions that wrote them, so that a reader who goes on from a cursor misses none.

IDs and times are taken before a commit, so a slow transaction could slip in behind a reader who follows those. A feed
is read by (transaction ID, ID) instead, and only up to the oldest transaction still running: all below that is
decided. One long write holds the feed back for its while. The proof: docs/decisions/0019-the-event-log.md.

Transaction IDs mean something only within one database cluster, and as long as it is not put back to an earlier time:
so a cursor names the era in which it was given (cluster.py), and in another one it is refused instead of skipping
silently. So is one that is ahead of the cluster.
"""

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlmodel import Session

from worker.models import Event
from worker.refusals import Gone, Refusal
from worker.words import EventType

_CLUSTER = sa.text("""
    SELECT era, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_running FROM cluster
""")
# In the statement that reads: by its own snapshot, what is below is either seen or will never be.
_OLDEST_RUNNING: sa.TextClause = sa.text("(SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint)")
_BEFORE_OLDEST_RUNNING = sa.text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1")
# Along both keys, from the first row that no feed gives yet.
# How long what is committed has waited for a transaction that still runs, in seconds; null: nothing waits.
LAG = sa.text(f"""
    SELECT extract(epoch FROM statement_timestamp() - least(
        (SELECT at FROM event WHERE transaction_id >= {_OLDEST_RUNNING.text} ORDER BY transaction_id, id LIMIT 1),
        (SELECT received_at FROM delivery_report
         WHERE transaction_id >= {_OLDEST_RUNNING.text} ORDER BY transaction_id, id LIMIT 1)))::float8
""")
_MOST = 2**63


class BadCursor(Refusal):
    title = "Not a cursor of this list"

    def __init__(self) -> None:
        super().__init__("cursor: take it unchanged from next_cursor of an earlier answer, or leave it out")


class StaleCursor(Gone):
    title = "The cursor is from another database"

    def __init__(self) -> None:
        super().__init__(
            "This cursor was given before the database was restored or moved, so its place in the feed is lost. "
            "Start again without a cursor and skip the items whose id you have already seen"
        )


class Place(NamedTuple):
    """In the feed of events: behind the event with this key."""

    transaction_id: int
    id: int


class ReportPlace(NamedTuple):
    """In the feed of delivery reports."""

    transaction_id: int
    id: UUID


# Before all marks, which a restore may lower below zero: and so far from the last number that it may be lowered too.
START = Place(-(2**62), 0)


@dataclass(frozen=True, slots=True)
class FeedPage:
    """`rows` oldest first. All that is to be read up to `through`, a key, is among them; None: nothing was read, and
    there was no place to begin with. `is_at_end`: no further row is ready."""

    rows: Sequence[sa.Row[Any]]
    through: tuple[int, Any] | None
    is_at_end: bool


@dataclass(frozen=True, slots=True)
class EventPage:
    """`rows`: events, oldest first, with the columns of their table. All events of the types that were asked for, up to
    `through`, are among them. `is_at_end`: no further event is ready, of whatever type."""

    rows: Sequence[sa.Row[Any]]
    through: Place
    is_at_end: bool


def read_feed(
    session: Session,
    query: sa.Select[Any],
    after: tuple[int, Any] | None,
    limit: int,
    *,
    wanted: tuple[str, Collection[str]] | None = None,
    scan: int = 0,
) -> FeedPage:
    """Up to `limit` rows of `query`, which selects a table with the columns `transaction_id` and `id`.

    `wanted`, a column and values of it, leaves others out after they are read, `scan` rows at most: the page may then
    be short, or empty, before the end.
    """
    reach = limit + 1 if wanted is None else scan
    key = [query.selected_columns.transaction_id, query.selected_columns.id]
    query = query.where(key[0] < _OLDEST_RUNNING)
    if after is not None:
        behind = (sa.literal(value, column.type) for value, column in zip(after, key, strict=True))
        query = query.where(sa.tuple_(*key) > sa.tuple_(*behind))
    read = query.order_by(*key).limit(reach).subquery("read").c
    # Row by row along the key: it ends with the last row that is wanted, or with the last one that is read.
    order = [read.transaction_id, read.id]
    number = sa.func.row_number().over(order_by=order).label("number")
    is_last = sa.func.lead(read.id).over(order_by=order).is_(None).label("is_last")
    is_wanted = (sa.true() if wanted is None else read[wanted[0]].in_(wanted[1])).label("is_wanted")
    numbered = sa.select(*read, number, is_last, is_wanted).subquery("numbered").c
    given = sa.select(*numbered).where(sa.or_(numbered.is_wanted, numbered.is_last))
    rows = session.execute(given.order_by(numbered.transaction_id, numbered.id).limit(limit + 1)).all()

    page = [row for row in rows if row.is_wanted]
    if len(page) > limit:
        page.pop()
        return FeedPage(page, _key(page[-1]), False)
    if rows:
        return FeedPage(page, _key(rows[-1]), rows[-1].number < reach)
    return FeedPage(page, after, True)


def read_events(session: Session, after: Place | None, types: Collection[str], limit: int, scan: int) -> EventPage:
    """Up to `limit` events after a place; None: from the first one. `types`: whole ones, or parts before the dot;
    empty: all. So that no request reads millions for a few, it looks at `scan` events at most, and may then give a
    short page, or an empty one, before the end: go on from `through`.
    """
    chosen = [word for word in EventType if word in types or word.kind in types]
    wanted = ("type", chosen) if types else None
    page = read_feed(session, sa.select(Event), after or START, limit, wanted=wanted, scan=scan)
    return EventPage(page.rows, Place(*page.through or START), page.is_at_end)


def end_of_feed(session: Session) -> Place:
    """In the feed of events: behind it stands all that is told from now on, and what transactions tell that run now."""
    return Place(int(session.execute(_BEFORE_OLDEST_RUNNING).scalar_one()), _MOST - 1)


def write_place(session: Session, place: tuple[int, int | UUID]) -> str:
    """The cursor of a place, for `place_of` or `report_place_of`."""
    transaction, row = place
    return write_cursor([_era(session), transaction, row if isinstance(row, int) else str(row)])


def place_of(session: Session, cursor: str) -> Place:
    """In the feed of events. Errors: BadCursor, StaleCursor."""
    match read_cursor(cursor):
        case [int(era), int(transaction), int(row)] if 0 <= row < _MOST:
            return Place(_known(session, era, transaction), row)
    raise BadCursor


def report_place_of(session: Session, cursor: str) -> ReportPlace:
    """In the feed of delivery reports. Errors: BadCursor, StaleCursor."""
    match read_cursor(cursor):
        case [int(era), int(transaction), str(row)]:
            try:
                report = UUID(row)
            except ValueError as error:
                raise BadCursor from error
            return ReportPlace(_known(session, era, transaction), report)
    raise BadCursor


def write_cursor(place: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).rstrip(b"=").decode()


def read_cursor(cursor: str) -> list[Any]:
    """What `write_cursor` was given. Errors: BadCursor."""
    try:
        place = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadCursor from error
    if not isinstance(place, list):
        raise BadCursor
    return place


def _key(row: sa.Row[Any]) -> tuple[int, Any]:
    return row.transaction_id, row.id


def _known(session: Session, era: int, transaction: int) -> int:
    """The transaction of a cursor. Errors: BadCursor, StaleCursor."""
    if not -_MOST <= transaction < _MOST:
        raise BadCursor
    ours = session.execute(_CLUSTER).one()
    # No place is given from the oldest running transaction on, and that only grows.
    if era != ours.era or transaction >= ours.oldest_running:
        raise StaleCursor
    return transaction


def _era(session: Session) -> int:
    """Ours. Asked once a session: a page has many cursors."""
    if "era" not in session.info:
        session.info["era"] = session.execute(_CLUSTER).one().era
    era: int = session.info["era"]
    return era
