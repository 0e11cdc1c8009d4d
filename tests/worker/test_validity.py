"""The bounds of a validity period."""

from datetime import timedelta

import pytest

from worker.validity import BadValidity, check_validity


@pytest.mark.parametrize("seconds", [10, 11, 3600, 48 * 3600])
def test_whole_seconds_within_the_bounds_are_a_validity_period(seconds: int) -> None:
    assert check_validity(timedelta(seconds=seconds)) == timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [-10, 0, 9, 9.999999, 10.5, 48 * 3600 - 0.000001, 48 * 3600 + 1])
def test_anything_else_is_refused_with_the_bounds(seconds: float) -> None:
    with pytest.raises(BadValidity, match=r"^must be whole seconds from PT10S to PT48H$"):
        check_validity(timedelta(seconds=seconds))
