"""Columns as all tables have them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field


def utc(*, nullable: bool = False, now: bool | str = False) -> Any:
    """`now`: by default the instant at which its transaction began, or that which this expression gives."""
    default = sa.text(now if isinstance(now, str) else "now()") if now else None
    return Field(
        default=None,
        sa_type=sa.DateTime(timezone=True),
        nullable=nullable,
        sa_column_kwargs={"server_default": default},
    )


def string(default: str | None = None, *, nullable: bool = True, **options: Any) -> Any:
    return Field(default=default, sa_type=sa.Text, nullable=nullable, **options)


def words() -> Any:
    return Field(
        default_factory=list, sa_type=ARRAY(sa.Text), nullable=False, sa_column_kwargs={"server_default": "{}"}
    )


def count() -> Any:
    return Field(default=0, nullable=False, sa_column_kwargs={"server_default": "0"})


def ids(**options: Any) -> Any:
    return Field(default_factory=list, sa_type=ARRAY(sa.Uuid), nullable=False, **options)


def free_json() -> Any:
    return Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)


def small(*, nullable: bool = True) -> Any:
    return Field(default=None, sa_type=sa.SmallInteger, nullable=nullable)


def callback_index(name: str) -> sa.Index:
    # A whole callback of 4,000 characters does not fit an index row. In the order of its bytes, so that all that begin
    # alike stand together, whatever language the server sorts by.
    start = sa.text('"left"(callback_data COLLATE "C", 64)')
    return sa.Index(name, start, "id", postgresql_where=sa.text("callback_data IS NOT NULL"))
