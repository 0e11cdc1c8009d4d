"""Rows of configuration, referred to by id or by name. Names are unique among those that are not deleted."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from worker.models import Credential, Surface
from worker.refusals import Conflict


def is_referred(table: Any, reference: str) -> sa.ColumnElement[bool]:
    """The condition that finds the row, unless it is deleted. Names never look like ids (api/fields.py), so one of the
    two is meant."""
    try:
        is_meant = col(table.id) == UUID(reference)
    except ValueError:
        is_meant = col(table.name) == reference
    return sa.and_(is_meant, col(table.deleted_at).is_(None))


def flush_name(session: Session, row: Credential | Surface) -> None:
    """Write the row. Errors: Conflict, where another one has its name."""
    # Read now: a flush that fails ends the transaction, and with it what the row holds.
    noun, name = row.__tablename__, row.name
    try:
        session.flush()
    except IntegrityError as error:
        if f"{noun}_name" not in str(error.orig):  # the index of names
            raise
        raise Conflict(f'A {noun} named "{name}" exists already: choose another name, or change that one') from error
