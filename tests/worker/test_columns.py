"""Rows given as one JSON array a column arrive as they were."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import Session

from worker.columns import column, rows_of
from worker.ids import new_id
from worker.states import State

IST = timezone(timedelta(hours=5, minutes=30))
ROWS = [
    (new_id(), "plain", 1, True, Decimal("0.0021"), datetime(2026, 11, 24, 5, 30, 0, 123456, UTC)),
    (UUID(int=0), 'quotes " and \\ and {braces}, commas', -32768, False, Decimal("1E-12"), None),
    (UUID(int=2**128 - 1), "नमस्ते 👋\n\t", 32767, None, None, datetime(2026, 11, 24, 11, 0, tzinfo=IST)),
    (new_id(), "", None, True, Decimal(10**8), datetime(1970, 1, 1, tzinfo=UTC)),
    (new_id(), "NULL", 0, True, Decimal(0), None),
    (new_id(), None, 0, True, Decimal(0), None),
]
TYPES = {"id": "uuid", "word": "text", "n": "smallint", "flag": "bool", "price": "numeric", "at": "timestamptz"}


@pytest.mark.parametrize("count", [0, 1, len(ROWS)])
def test_every_type_survives_the_way_there_and_back(session: Session, count: int) -> None:
    rows = ROWS[:count]
    given = {name: column(row[index] for row in rows) for index, name in enumerate(TYPES)}
    found = session.execute(text(f"SELECT v.* FROM {rows_of(**TYPES)} AS v"), given).all()
    assert [tuple(row) for row in found] == rows


def test_words_of_a_closed_set_are_written_as_their_values() -> None:
    assert column([State.SENT, None]) == '["sent",null]'
