"""Rejected rows: kept as they were told, whatever they hold, and read in the order of the request."""

from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, select

from worker.ids import new_id
from worker.models import RejectedRow
from worker.orders import Rejected
from worker.rejected_rows import copy_rejected, line, read_rejected, shortened

any_text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=1_100),
    st.sampled_from(["", "\\N", "\\.", "\\", "a\tb", "a\r\nb", "a\\nb", "\0", "\u2028", "\x85", "'; --"]),
)


def told(row: RejectedRow) -> Rejected:
    return Rejected(row.row, row.recipient, row.field, row.reason)


def kept(session: Session, batch_id: UUID, *rows: Rejected) -> None:
    copy_rejected(session, batch_id, [line(shortened(row)) for row in rows])
    session.commit()


@pytest.mark.parametrize(
    ("row", "short"),
    [
        (Rejected(7, None, "messages", "is no JSON"), Rejected(7, None, "messages", "is no JSON")),
        (Rejected(0, "x" * 64, "f" * 100, "r" * 1_000), Rejected(0, "x" * 64, "f" * 100, "r" * 1_000)),
        (Rejected(0, "x" * 65, "f" * 101, "r" * 1_001), Rejected(0, "x" * 64, "f" * 100, "r" * 1_000)),
        (Rejected(0, "a\0", "\0b", "\0"), Rejected(0, "a\ufffd", "\ufffdb", "\ufffd")),
        (Rejected(0, "", "to", "is empty"), Rejected(0, "", "to", "is empty")),
    ],
)
def test_what_a_caller_wrote_is_cut_short_and_can_be_stored(row: Rejected, short: Rejected) -> None:
    assert shortened(row) == short


@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.none() | any_text, any_text, any_text), min_size=1, max_size=8))
def test_rows_are_read_as_they_were_shortened_whatever_they_hold(
    session: Session, rows: list[tuple[str | None, str, str]]
) -> None:
    batch_id = new_id()
    rejected = [Rejected(index, *row) for index, row in enumerate(rows)]
    kept(session, batch_id, *rejected)
    assert [told(row) for row in read_rejected(session, batch_id, -1, 10)] == [shortened(row) for row in rejected]


def test_pages_follow_each_other_in_the_order_of_the_request(session: Session) -> None:
    batch_id = new_id()
    indexes = [0, 3, 4, 70_000, 999_999]
    kept(session, batch_id, *(Rejected(index, "x", "to", "is wrong") for index in reversed(indexes)))
    session.execute(text("SET LOCAL enable_indexscan = off"))  # as they lie in the table, but for the order asked for
    pages, after = [], -1
    while page := read_rejected(session, batch_id, after, 2):
        pages.append([row.row for row in page])
        after = page[-1].row
    assert pages == [[0, 3], [4, 70_000], [999_999]]


def test_batch_has_its_own_rows_alone(session: Session) -> None:
    batches = [new_id(), new_id()]
    for batch_id, to in zip(batches, ["one", "other"], strict=True):
        kept(session, batch_id, Rejected(1, to, "to", "is wrong"))
    assert [[row.recipient for row in read_rejected(session, batch_id, -1, 10)] for batch_id in batches] == [
        ["one"],
        ["other"],
    ]
    assert read_rejected(session, new_id(), -1, 10) == []


def test_rows_are_stored_with_what_surrounds_them_or_not_at_all(session: Session) -> None:
    copy_rejected(session, new_id(), [line(Rejected(0, "x", "to", "is wrong"))])
    session.rollback()
    assert session.exec(select(RejectedRow)).all() == []
