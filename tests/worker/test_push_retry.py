"""When a push that failed is tried again, and when its endpoint is given up."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.push_retry import JITTER, LONGEST_RETRY_AFTER, next_try

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SCHEDULE = [timedelta(seconds=5), timedelta(seconds=30), timedelta(hours=4)]
FIVE_DAYS = timedelta(days=5)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 5), (2, 30), (3, 14_400), (4, 14_400), (500, 14_400)])
def test_waits_follow_the_schedule_and_the_last_repeats(failures: int, seconds: int) -> None:
    assert next_try(failures, NOW, NOW, SCHEDULE, FIVE_DAYS) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("asked", "waits"), [(1, 5), (60, 60), (10**9, LONGEST_RETRY_AFTER.total_seconds())])
def test_what_the_receiver_asks_for_lengthens_the_wait_within_bounds(asked: int, waits: float) -> None:
    at = next_try(1, NOW, NOW, SCHEDULE, FIVE_DAYS, timedelta(seconds=asked))
    assert at == NOW + timedelta(seconds=waits)


def test_the_last_try_is_at_the_end_of_the_time() -> None:
    assert next_try(9, NOW - FIVE_DAYS + timedelta(hours=1), NOW, SCHEDULE, FIVE_DAYS) == NOW + timedelta(hours=1)


def test_after_the_end_of_the_time_there_is_none() -> None:
    assert next_try(9, NOW - FIVE_DAYS, NOW, SCHEDULE, FIVE_DAYS) is None


@given(
    failures=st.integers(1, 100),
    failing=st.timedeltas(timedelta(0), FIVE_DAYS),
    asked=st.none() | st.timedeltas(timedelta(0), timedelta(days=400)),
    chance=st.floats(0, 1),
)
def test_a_try_is_never_early_and_never_after_the_end(
    failures: int, failing: timedelta, asked: timedelta | None, chance: float
) -> None:
    since = NOW - failing
    at = next_try(failures, since, NOW, SCHEDULE, FIVE_DAYS, asked, chance=chance)
    if at is None:
        assert failing == FIVE_DAYS
        return
    slot = SCHEDULE[min(failures, len(SCHEDULE)) - 1]
    assert NOW < at <= since + FIVE_DAYS
    assert at >= min(NOW + slot, since + FIVE_DAYS)
    assert at <= NOW + max(slot * (1 + JITTER), min(asked or slot, LONGEST_RETRY_AFTER))
