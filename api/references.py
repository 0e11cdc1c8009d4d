"""Rows of configuration, referred to by id or by name. Names are unique among those that are not deleted."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from worker.models import Credential, EventEndpoint, Surface
from worker.refusals import Conflict, Refusal


def is_referred(table: Any, reference: str) -> sa.ColumnElement[bool]:
    """The condition that finds the row, unless it is deleted. Names never look like ids (api/fields.py), so one of the
    two is meant."""
    return sa.and_(_is_meant(table, reference), col(table.deleted_at).is_(None))


def _is_meant(table: Any, reference: str) -> sa.ColumnElement[bool]:
    try:
        return col(table.id) == UUID(reference)
    except ValueError:
        return col(table.name) == reference


def find_ids(session: Session, table: type[Credential] | type[Surface], reference: str) -> list[UUID]:
    """Those it may mean, deleted ones too: their names may be in use again. Errors: Refusal, where there is none."""
    ids = list(session.exec(select(table.id).where(_is_meant(table, reference))))
    if not ids:
        noun = str(table.__tablename__)
        raise Refusal.of_field(noun, f"there is no {noun} of this name or id, nor was there one")
    return ids


def flush_name(session: Session, row: Credential | EventEndpoint | Surface) -> None:
    """Write the row. Errors: Conflict, where another one has its name."""
    # Read now: a flush that fails ends the transaction, and with it what the row holds.
    noun, name = str(row.__tablename__), row.name
    try:
        session.flush()
    except IntegrityError as error:
        if f"{noun}_name" not in str(error.orig):  # the index of names
            raise
        other = noun.replace("_", " ")
        raise Conflict(
            f'The name "{name}" belongs to another {other}: choose a different one, or change that {other}'
        ) from error
