"""Message IDs on the wire: ours are read back exactly, others never mistaken for ours."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ids import attempt_id, new_id, parse_attempt_id

ID = "01a20405-ce9f-74a6-bc29-443efafb1900"


@given(st.uuids(), st.integers(1, 32767))
def test_what_goes_out_comes_back(message_id: UUID, number: int) -> None:
    wire = attempt_id(message_id, number)
    assert parse_attempt_id(wire) == (message_id, number)
    assert len(wire) <= 200


@pytest.mark.parametrize(
    "text",
    [None, 7, "", ID, f"{ID}-", f"{ID}-0", f"{ID}-01", f"{ID}-x", f"{ID}-1-1", f"{ID}-99999", f"{ID.upper()}-1"]
    + [f"{ID}-²", f"{{{ID[1:]}}}-1", "x" * 38, ["a"], {"a": 1}],
)
def test_other_ids_are_not_ours(text: object) -> None:
    assert parse_attempt_id(text) is None


@given(st.text(max_size=60) | st.binary(max_size=60) | st.integers())
def test_nothing_makes_it_fail(text: object) -> None:
    found = parse_attempt_id(text)
    assert found is None or attempt_id(*found) == text


def test_later_ids_sort_later() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
