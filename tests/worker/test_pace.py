"""Pace: each message's turn, and how many of them, at what pace, fit into a time. No turn is ever late by rounding."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.sends import NOW
from worker.pace import MOST_PER_SECOND, WRITTEN_A_SECOND, fitting_count, fitting_pace, turn, written_at
from worker.retry import margin

SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
paces = st.integers(1, MOST_PER_SECOND)
counts = st.integers(1, 1_000_000)
# What a validity period of whole seconds leaves for the turns.
spans = st.integers(10, 48 * 3600).map(lambda seconds: left_of(timedelta(seconds=seconds)))


def left_of(validity: timedelta) -> timedelta:
    return validity - margin(validity)


@pytest.mark.parametrize(
    ("index", "per_second", "after"),
    [
        (0, None, timedelta(0)),
        (999_999, None, timedelta(0)),
        (0, 1, timedelta(0)),
        (1, 1, SECOND),
        (5, 2, timedelta(seconds=2.5)),
        (1, 3, timedelta(microseconds=333_333)),
        (3, 3, SECOND),
        (999_999, MOST_PER_SECOND, timedelta(seconds=99.9999)),
    ],
)
def test_turn_lies_so_many_at_a_second_after_the_start(index: int, per_second: int | None, after: timedelta) -> None:
    assert turn(NOW, index, per_second) == NOW + after


@given(index=st.integers(0, 1_000_000), per_second=paces)
def test_no_second_holds_more_turns_than_the_pace_allows(index: int, per_second: int) -> None:
    apart = turn(NOW, index + per_second, per_second) - turn(NOW, index, per_second)
    assert abs(apart - SECOND) <= MICROSECOND
    assert turn(NOW, index, per_second) < turn(NOW, index + 1, per_second)


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(0, 0), (WRITTEN_A_SECOND - 1, 0), (WRITTEN_A_SECOND, 1), (10 * WRITTEN_A_SECOND + 1, 10)],
)
def test_many_messages_are_written_later_and_few_at_once(count: int, seconds: int) -> None:
    assert written_at(NOW, count) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("within", "per_second", "count"),
    [
        (timedelta(seconds=5), 1, 6),
        (timedelta(seconds=5), 2, 11),
        (timedelta(seconds=4.9), 2, 10),
        (timedelta(seconds=0.5), 1, 1),
        (timedelta(seconds=258.4), 30, 7_753),  # as a float the product is a little less than 7,752
    ],
)
def test_count_that_fits_has_its_last_turn_at_the_end_of_the_time(
    within: timedelta, per_second: int, count: int
) -> None:
    assert fitting_count(within, per_second) == count


@given(within=spans, per_second=paces)
def test_count_that_fits_is_the_most_whose_turns_lie_within(within: timedelta, per_second: int) -> None:
    count = fitting_count(within, per_second)
    assert turn(NOW, count - 1, per_second) <= NOW + within < turn(NOW, count, per_second)


@pytest.mark.parametrize(
    ("within", "count", "pace"),
    [
        (timedelta(seconds=5), 1, 1),
        (timedelta(seconds=5), 6, 1),
        (timedelta(seconds=5), 7, 2),
        (timedelta(seconds=5), 50_001, MOST_PER_SECOND),
        (timedelta(seconds=5), 50_002, None),
    ],
)
def test_pace_that_fits_is_told_where_there_is_one(within: timedelta, count: int, pace: int | None) -> None:
    assert fitting_pace(within, count) == pace


@given(within=spans, count=counts)
def test_pace_that_fits_is_the_least_at_which_all_turns_lie_within(within: timedelta, count: int) -> None:
    pace = fitting_pace(within, count)
    if pace is None:
        assert fitting_count(within, MOST_PER_SECOND) < count
    else:
        assert fitting_count(within, pace) >= count
        assert pace == 1 or fitting_count(within, pace - 1) < count
