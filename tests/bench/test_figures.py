"""Percentiles, ratios, goals and how they are written: rules, as tables."""

import math

import pytest

from bench.figures import Figure, Goal, at_least, at_most, percentile, ratio, written, written_goal, written_ratio


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.5, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([1.0, 2.0], 1.0, 2.0),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_percentile_is_the_smallest_value_that_enough_do_not_exceed(
    values: list[float], share: float, expected: float
) -> None:
    assert percentile(values, share) == expected


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize(
    ("value", "to", "expected"), [(10.0, 4.0, 2.5), (1.0, 4.0, 0.25), (1.0, 0.0, None), (1.0, math.nan, None)]
)
def test_ratio(value: float, to: float, expected: float | None) -> None:
    assert ratio(value, to) == expected


@pytest.mark.parametrize(
    ("goals", "value", "of_rival", "expected"),
    [
        ((), 1.0, None, None),
        ((at_least(10),), 10.0, None, True),
        ((at_least(10),), 9.9, None, False),
        ((at_most(10),), 10.0, None, True),
        ((at_most(10),), 10.1, None, False),
        ((at_most(10),), math.nan, None, False),
        ((at_least(10), at_least(2, "ratio")), 10.0, 2.0, True),
        ((at_least(10), at_least(2, "ratio")), 10.0, 1.9, False),
        ((at_least(10), at_least(2, "ratio")), 9.0, 2.0, False),
        ((at_most(1.5, "ratio"),), 100.0, 1.4, True),
        ((at_least(2, "ratio"),), 10.0, None, False),  # a rival that was not measured was not beaten
    ],
)
def test_every_goal_has_to_be_met(
    goals: tuple[Goal, ...], value: float, of_rival: float | None, expected: bool | None
) -> None:
    assert Figure("x", value, "/s", goals, of_rival, "the rival").is_met is expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (12_345.6, "/s", "12,346/s"),
        (8_000.0, "/s", "8,000/s"),
        (42.25, "ms", "42.2 ms"),
        (0.7, "s", "0.70 s"),
        (0.0123, "s", "0.0123 s"),
        (2.5, "%", "2.50%"),
        (0.0, "KiB", "0 KiB"),
        (-3.14159, "MiB", "-3.14 MiB"),
    ],
)
def test_values_are_written_with_the_digits_that_matter(value: float, unit: str, expected: str) -> None:
    assert written(value, unit) == expected


@pytest.mark.parametrize(("value", "expected"), [(25.0, "25.0 x"), (1.0, "1.0 x"), (0.5, "50% of"), (0.0, "0% of")])
def test_ratios_are_shares_or_multiples(value: float, expected: str) -> None:
    assert written_ratio(value) == expected


def test_goals_are_written_in_the_figures_own_unit() -> None:
    figure = Figure("x", 1.0, "/s", (at_least(8_000), at_least(25, "ratio"), at_most(0.5, "ratio")), 2.0, "the rival")
    words = [written_goal(goal, figure) for goal in figure.goals]
    assert words == [">= 8,000/s", ">= 25.0 x the rival", "<= 50% of the rival"]
