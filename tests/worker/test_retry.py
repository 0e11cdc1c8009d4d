"""The retry rule: a table of instants, and what holds for every one of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.retry import End, RetryAt, after, margin, next_attempt
from worker.states import State
from worker.words import Outcome

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SCHEDULE = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR]
FAILURES = [Outcome.TRANSIENT, Outcome.EXPIRED]


@pytest.mark.parametrize(
    ("validity", "expected"),
    [
        (timedelta(seconds=10), timedelta(seconds=5)),  # never over half of it
        (timedelta(seconds=20), timedelta(seconds=10)),  # at least 10 s
        (timedelta(minutes=2), timedelta(seconds=10)),
        (HOUR, 3 * MINUTE),  # 5 %
        (timedelta(hours=48), 10 * MINUTE),  # at most 10 min
    ],
)
def test_margin_is_a_twentieth_of_the_validity_within_bounds(validity: timedelta, expected: timedelta) -> None:
    assert margin(validity) == expected


@pytest.mark.parametrize(
    ("slots", "wait"),
    [
        (0, MINUTE),
        (1, 5 * MINUTE),
        (2, 15 * MINUTE),
        (3, HOUR),
        (4, 2 * HOUR),
        (5, 4 * HOUR),
        (6, 4 * HOUR),
        (9, 4 * HOUR),
    ],
)
def test_slots_follow_the_schedule_and_the_last_repeats(slots: int, wait: timedelta) -> None:
    decision = next_attempt(slots, NOW, NOW + 40 * HOUR, 48 * HOUR, SCHEDULE, 0.0)
    assert decision == RetryAt(NOW + wait, slots + 1)


def test_jitter_never_shortens_below_the_slot() -> None:
    latest = next_attempt(0, NOW, NOW + 40 * HOUR, 48 * HOUR, SCHEDULE, 0.999)
    assert isinstance(latest, RetryAt)
    assert NOW + MINUTE < latest.at < NOW + MINUTE * 1.1


@pytest.mark.parametrize(("chance", "minute"), [(0.0, 30.0), (0.5, 35.0)])
def test_last_attempt_is_pulled_forward_and_spread_over_the_margin(chance: float, minute: float) -> None:
    # 48 h validity: margin 10 min. 50 min are left, the slot is 4 h away: spread over the 10 min before the margin.
    decision = next_attempt(5, NOW, NOW + 50 * MINUTE, 48 * HOUR, SCHEDULE, chance)
    assert decision == RetryAt(NOW + minute * MINUTE, 6)


def test_pulled_forward_attempt_is_never_before_now() -> None:
    decision = next_attempt(5, NOW, NOW + 11 * MINUTE, 48 * HOUR, SCHEDULE, 0.0)
    assert decision == RetryAt(NOW, 6)


def test_failure_within_the_margin_expires_at_once() -> None:
    assert next_attempt(0, NOW, NOW + 10 * MINUTE, 48 * HOUR, SCHEDULE, 0.5) == End(State.EXPIRED)


@pytest.mark.parametrize(
    ("outcome", "state"), [(Outcome.PERMANENT, State.FAILED), (Outcome.UNKNOWN, State.UNCONFIRMED)]
)
def test_what_time_cannot_cure_ends_at_once(outcome: Outcome, state: State) -> None:
    assert after(outcome, 0, NOW, NOW + 40 * HOUR, 48 * HOUR, SCHEDULE, 0.5) == End(state)


def test_account_trouble_uses_no_slot_of_the_schedule() -> None:
    assert after(Outcome.ACCOUNT, 3, NOW, NOW + HOUR, 48 * HOUR, SCHEDULE, 0.5) == RetryAt(NOW, 3)


@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.DELIVERED, Outcome.DUPLICATE])
def test_what_is_no_failure_has_no_retry(outcome: Outcome) -> None:
    with pytest.raises(ValueError, match="no failure"):
        after(outcome, 0, NOW, NOW + HOUR, HOUR, SCHEDULE, 0.5)


spans = st.timedeltas(min_value=timedelta(seconds=10), max_value=48 * HOUR)
schedules = st.lists(st.timedeltas(min_value=timedelta(seconds=1), max_value=6 * HOUR), min_size=1, max_size=8)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(st.sampled_from(FAILURES), st.integers(0, 40), spans, st.floats(-0.5, 1), schedules, chances)
def test_an_attempt_lies_between_now_and_the_margin_before_expiry(
    outcome: Outcome, slots: int, validity: timedelta, share_left: float, schedule: list[timedelta], chance: float
) -> None:
    expires_at = NOW + validity * share_left
    decision = after(outcome, slots, NOW, expires_at, validity, schedule, chance)
    if isinstance(decision, End):
        assert decision.state is State.EXPIRED
        assert expires_at - margin(validity) <= NOW
    else:
        assert NOW <= decision.at <= expires_at - margin(validity)
        assert decision.slots == slots + 1


@given(st.integers(0, 10), spans, schedules, chances, chances)
def test_more_chance_is_never_earlier_and_jitter_is_bounded(
    slots: int, validity: timedelta, schedule: list[timedelta], chance: float, other: float
) -> None:
    low, high = sorted((chance, other))
    expires_at = NOW + validity
    earlier = next_attempt(slots, NOW, expires_at, validity, schedule, low)
    later = next_attempt(slots, NOW, expires_at, validity, schedule, high)
    assert isinstance(earlier, RetryAt)
    assert isinstance(later, RetryAt)
    assert earlier.at <= later.at
    wait = schedule[min(slots, len(schedule) - 1)]
    assert later.at <= NOW + wait * 1.1 + timedelta(microseconds=1)


@given(spans, schedules, st.lists(chances, min_size=60, max_size=60))
def test_a_message_that_always_fails_at_once_moves_on_and_stops_before_its_end(
    validity: timedelta, schedule: list[timedelta], luck: list[float]
) -> None:
    at, slots, expires_at = NOW, 0, NOW + validity
    for chance in luck:
        decision = next_attempt(slots, at, expires_at, validity, schedule, chance)
        if isinstance(decision, End):
            break
        assert at <= decision.at < expires_at
        at, slots = decision.at + timedelta(milliseconds=500), decision.slots
