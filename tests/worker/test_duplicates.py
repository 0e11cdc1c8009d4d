"""Duplicates: of each recipient the first is told from all later ones, whatever else is in the table."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.duplicates import first_of_each

# Neighbours and numbers that begin alike, as audiences have them, and any others.
recipients = st.one_of(
    st.integers(919_900_000_000, 919_900_000_040),
    st.sampled_from([1_415_555, 14_155_550, 141_555_501, 1_415_555_012]),
    st.integers(10**6, 10**15 - 1),
).map(str)


@settings(max_examples=500)
@given(given_numbers=st.lists(recipients, min_size=1, max_size=12))
def test_each_recipient_is_first_once(given_numbers: list[str]) -> None:
    is_first = first_of_each(len(given_numbers))
    seen: set[str] = set()
    for number in given_numbers:
        assert is_first(number) == (number not in seen)
        seen.add(number)


def test_as_many_as_were_announced_are_told_apart() -> None:
    numbers = [f"9199{n:08d}" for n in range(10_000)]
    is_first = first_of_each(len(numbers))
    assert all(is_first(number) for number in numbers)
    assert not any(is_first(number) for number in numbers)


def test_what_one_audience_held_is_nothing_to_the_next() -> None:
    one, other = first_of_each(2), first_of_each(2)
    assert [one("919900000001"), one("919900000001"), other("919900000001")] == [True, False, True]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("step", [1, 10, 2**21, 10**6, 1_134_903_170, 1_836_311_903])
def test_no_step_between_numbers_makes_it_slow(step: int) -> None:
    """The last two are Fibonacci numbers: times the golden ratio, which spreads all others well, they come to lie side
    by side."""
    is_first = first_of_each(1_000_000)
    numbers = [str(10**9 + step * n) for n in range(100_000)]
    assert all(is_first(number) for number in numbers)
    assert not any(is_first(number) for number in numbers)
