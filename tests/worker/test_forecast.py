import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.forecast import Waiting, drain_seconds, expiring

groups = st.lists(st.builds(Waiting, st.integers(0, 30), st.floats(-5, 40)), max_size=6)
rates = st.floats(0, 20)


def expiring_one_by_one(waiting: list[Waiting], per_second: float) -> int:
    """Each message leaves when so many have left before it that its own turn has come, or expires."""
    left = expired = 0
    for group in waiting:
        for _ in range(group.messages):
            if left + 1 <= per_second * group.seconds_left:
                left += 1
            else:
                expired += 1
    return expired


@pytest.mark.parametrize(
    ("waiting", "per_second", "expected"),
    [
        pytest.param([], 10, 0, id="nothing waits"),
        pytest.param([Waiting(100, 10)], 10, 0, id="just in time"),
        pytest.param([Waiting(101, 10)], 10, 1, id="one too many"),
        pytest.param([Waiting(50, 100), Waiting(50, 6)], 10, 40, id="those ahead have taken its time"),
        pytest.param([Waiting(50, 2), Waiting(50, 7)], 10, 30, id="those that expire take no time of the others"),
        pytest.param([Waiting(7, 3600)], 0, 7, id="nothing leaves"),
        pytest.param([Waiting(7, -1)], 10, 7, id="over already"),
    ],
)
def test_forecast(waiting: list[Waiting], per_second: float, expected: int) -> None:
    assert expiring(waiting, per_second) == expected


@given(groups, rates)
def test_forecast_is_that_of_each_message_by_itself(waiting: list[Waiting], per_second: float) -> None:
    assert expiring(waiting, per_second) == expiring_one_by_one(waiting, per_second)


@given(groups, rates, rates)
def test_a_higher_rate_lets_no_more_expire(waiting: list[Waiting], one: float, other: float) -> None:
    assert expiring(waiting, max(one, other)) <= expiring(waiting, min(one, other))


def test_time_to_drain() -> None:
    assert [drain_seconds(0, 0), drain_seconds(100, 4), drain_seconds(1, 0)] == [0, 25, math.inf]
