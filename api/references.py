"""References to configuration: a row by its id or its name."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col


def is_referred(table: Any, reference: str) -> sa.ColumnElement[bool]:
    """The condition that finds the row. Names never look like ids (api/fields.py), so one of the two is meant."""
    try:
        return col(table.id) == UUID(reference)
    except ValueError:
        return col(table.name) == reference
