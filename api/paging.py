"""Lists, newest first, by ID, with an opaque cursor; and how feeds are asked for (worker/feeds.py)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlmodel import Session

from api.fields import Text
from worker.feeds import BadCursor, read_cursor, write_cursor


class Paging(BaseModel):
    """The query parameters of every list."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=1_000, description="Most items in one answer.")] = 50
    cursor: Annotated[Text | None, Field(max_length=500, description="`next_cursor` of the page before.")] = None


class FeedPaging(Paging):
    """Of a feed: oldest first, from a place that each item names."""

    after: Annotated[
        Text | None, Field(max_length=500, description="`cursor` of the last item seen; the same as `cursor`.")
    ] = None

    @model_validator(mode="after")
    def _one_place(self) -> "FeedPaging":
        if self.after is not None and self.cursor is not None:
            raise ValueError("give after or cursor, not both: they mean the same")
        return self

    @property
    def place(self) -> str | None:
        return self.after if self.cursor is None else self.cursor


def newest_first(
    session: Session, query: sa.Select[*tuple[Any, ...]], key: Any, paging: Paging, id_of: Callable[[Any], UUID]
) -> tuple[Sequence[Any], str | None]:
    """One page of `query`, and the cursor of the next one. `key` is the ID's column. Errors: BadCursor."""
    if paging.cursor is not None:
        query = query.where(key < read_place(paging.cursor))
    rows = session.execute(query.order_by(key.desc()).limit(paging.limit + 1)).all()
    page = rows[: paging.limit]
    return page, write_place(id_of(page[-1])) if len(rows) > len(page) else None


def write_place(row_id: UUID) -> str:
    """The cursor of what comes after this row."""
    return write_cursor([str(row_id)])


def read_place(cursor: str) -> UUID:
    """Errors: BadCursor."""
    match read_cursor(cursor):
        case [str(text)]:
            try:
                return UUID(text)
            except ValueError as error:
                raise BadCursor from error
    raise BadCursor
