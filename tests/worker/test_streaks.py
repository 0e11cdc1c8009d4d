"""When refusals in a row have one cause: a table of rules, and what is alike."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.streaks import BATCHES_OF_A_LANE, REFUSED_IN_A_ROW, Streak, alike

A, B, C, D = (uuid4() for _ in range(4))


def streak(*refusals: tuple[str, UUID]) -> Streak:
    found = Streak()
    for words, batch in refusals:
        found = found.after(words, batch)
    return found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("messages[3].sender: is not registered", "messages[41].sender: is not registered", True),
        ("HTTP 400: 919900000001 is bad", "HTTP 400: 919900000002 is bad", True),
        ("messages[3].sender: is not registered", "messages[3].content.text: is too long", False),
    ],
)
def test_refusals_are_alike_that_differ_in_numbers_only(one: str, other: str, same: bool) -> None:
    assert (alike(one) == alike(other)) is same


@pytest.mark.parametrize(
    ("batches", "count", "stops_batch", "stops_lane"),
    [
        ([A], REFUSED_IN_A_ROW - 1, False, False),
        ([A], REFUSED_IN_A_ROW, True, False),
        ([A, B], REFUSED_IN_A_ROW, True, False),
        ([A, B, C], REFUSED_IN_A_ROW, True, True),
        ([A, B, C, D], 1000, True, True),
        ([A, B, C], REFUSED_IN_A_ROW - 1, False, False),
    ],
)
def test_twenty_alike_stop(batches: list[UUID], count: int, stops_batch: bool, stops_lane: bool) -> None:
    found = streak(*(("bad sender", batches[n % len(batches)]) for n in range(count)))
    assert (found.stops_batch, found.stops_lane) == (stops_batch, stops_lane)


def test_another_cause_begins_anew() -> None:
    found = streak(*[("bad sender", A)] * (REFUSED_IN_A_ROW - 1), ("bad text", B), ("bad sender", A))
    assert (found.count, found.batches) == (1, frozenset({A}))


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sampled_from([A, B, C, D])), max_size=60))
def test_a_streak_is_as_long_as_its_tail_alike(refusals: list[tuple[str, UUID]]) -> None:
    tail = 0
    for words, _ in reversed(refusals):
        if words != refusals[-1][0]:
            break
        tail += 1
    found = streak(*refusals)
    assert found.count == tail
    spans = len({batch for _, batch in refusals[len(refusals) - tail :]})
    assert len(found.batches) == min(spans, BATCHES_OF_A_LANE)
