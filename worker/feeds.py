"""Feeds: rows in the order of the transactions that wrote them, so that a reader who goes on from a cursor misses none.

IDs and times are taken before a commit, so a slow transaction could slip in behind a reader who follows those. A feed
is read by (transaction ID, ID) instead, and only up to the oldest transaction still running: all below that is
decided. One long write holds the feed back for its while.

Transaction IDs mean something only within one database cluster, so a cursor names the cluster's system identifier:
after a dump and restore it is refused instead of silently skipping.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Mapped
from sqlmodel import Session

from worker.refusals import Gone, Refusal

_CLUSTER = sa.text("SELECT system_identifier FROM pg_control_system()")
_OLDEST_RUNNING: sa.TextClause = sa.text("(SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint)")


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


@dataclass(frozen=True, slots=True)
class FeedPage:
    """`rows` oldest first with a cursor for each; `next_cursor` is None where no further row is ready."""

    rows: Sequence[sa.Row[Any]]
    cursors: Sequence[str]
    next_cursor: str | None


def read_feed(
    session: Session,
    query: sa.Select[*tuple[Any, ...]],
    *,
    transaction_id: Mapped[int],
    row_id: Mapped[UUID],
    after: str | None,
    limit: int,
) -> FeedPage:
    """Up to `limit` rows of `query` after the cursor `after`. Each row ends with its two columns.

    Errors: BadCursor, StaleCursor.
    """
    cluster = int(session.execute(_CLUSTER).scalar_one())
    query = query.where(transaction_id < _OLDEST_RUNNING)
    if after is not None:
        query = query.where(sa.tuple_(transaction_id, row_id) > sa.tuple_(*_place(after, cluster)))
    ordered = query.add_columns(transaction_id, row_id).order_by(transaction_id, row_id)
    rows = session.execute(ordered.limit(limit + 1)).all()
    page = rows[:limit]
    cursors = [write_cursor([cluster, row[-2], str(row[-1])]) for row in page]
    return FeedPage(page, cursors, cursors[-1] if len(rows) > len(page) else None)


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


def _place(cursor: str, cluster: int) -> tuple[sa.ColumnElement[int], sa.ColumnElement[UUID]]:
    match read_cursor(cursor):
        case [int(origin), int(transaction), str(row)] if 0 <= transaction < 2**63:
            if origin != cluster:
                raise StaleCursor
            try:
                return sa.literal(transaction, sa.BigInteger), sa.literal(UUID(row), sa.Uuid)
            except ValueError as error:
                raise BadCursor from error
    raise BadCursor
