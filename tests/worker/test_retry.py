"""The retry rule: a table of instants, and what holds for every one of them."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.hours import Hours
from worker.retry import LEAST_REMAINING, End, RetryAt, after, first_turn, margin, next_attempt
from worker.states import State
from worker.windows import INDIA_PROMOTIONAL, Turn, Window, opening, stretches
from worker.words import Outcome

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
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


# NOW is 17:30 in India: the window closes in 3.5 hours, for 13.
PROMOTIONAL = Window((INDIA_PROMOTIONAL,))
CLOSES, OPENS = NOW + 3.5 * HOUR, NOW + 16.5 * HOUR
CLOSES_AGAIN = OPENS + 11 * HOUR
BY_WINDOW = End(State.EXPIRED, is_by_window=True)
HALF_A_SECOND = 0.5 * SECOND


@pytest.mark.parametrize(
    ("slots", "left", "chance", "expected"),
    [
        (3, 40 * HOUR, 0.0, RetryAt(NOW + HOUR, 4, CLOSES)),  # within the window: as without, jitter too
        (3, 40 * HOUR, 0.5, RetryAt(NOW + 1.05 * HOUR, 4, CLOSES)),
        (5, 40 * HOUR, 0.0, RetryAt(OPENS, 6, CLOSES_AGAIN)),  # the slot is closed: the next opening, for all alike
        (5, 40 * HOUR, 0.9, RetryAt(OPENS, 6, CLOSES_AGAIN)),
        (5, 3 * HOUR, 0.0, RetryAt(NOW + 160 * MINUTE, 6, CLOSES)),  # pulled forward, and open
        (5, 12.5 * HOUR, 0.0, RetryAt(CLOSES - 10 * MINUTE, 6, CLOSES)),  # valid until 06:00 there: before it closes
        (5, 12.5 * HOUR, 0.5, RetryAt(CLOSES - 300.5 * SECOND, 6, CLOSES)),  # nothing leaves in its last second
        (5, 3.9 * HOUR, 0.0, RetryAt(CLOSES - 10 * MINUTE, 6, CLOSES)),  # pulled forward, and closed by then
        (5, 16.5 * HOUR + 9 * MINUTE, 0.0, RetryAt(CLOSES - 10 * MINUTE, 6, CLOSES)),
        (5, 16.5 * HOUR + 10 * MINUTE, 0.0, RetryAt(OPENS, 6, CLOSES_AGAIN)),  # opens when the margin begins
    ],
)
def test_what_falls_outside_of_the_window_moves_to_its_opening_or_before_its_closing(
    slots: int, left: timedelta, chance: float, expected: RetryAt
) -> None:
    assert next_attempt(slots, NOW, NOW + left, 48 * HOUR, SCHEDULE, chance, PROMOTIONAL) == expected


@pytest.mark.parametrize(
    ("now", "left", "chance", "expected"),
    [
        (CLOSES - 4 * MINUTE, 12 * HOUR, 0.0, RetryAt(CLOSES - 4 * MINUTE, 6, CLOSES)),  # never before now
        (CLOSES - HALF_A_SECOND, 12 * HOUR, 0.9, RetryAt(CLOSES - HALF_A_SECOND, 6, CLOSES)),
        (CLOSES, 13 * HOUR, 0.0, BY_WINDOW),  # closed until the last margin
    ],
)
def test_nothing_ends_by_the_window_while_that_is_open(
    now: datetime, left: timedelta, chance: float, expected: RetryAt | End
) -> None:
    assert next_attempt(5, now, now + left, 48 * HOUR, SCHEDULE, chance, PROMOTIONAL) == expected


def test_a_failure_within_the_margin_ends_by_its_validity_though_the_window_is_closed() -> None:
    late = CLOSES + HOUR
    assert next_attempt(0, late, late + MINUTE, 48 * HOUR, SCHEDULE, 0.5, PROMOTIONAL) == End(State.EXPIRED)


@pytest.mark.parametrize(
    ("now", "left", "expected"),
    [
        (NOW, HOUR, RetryAt(NOW, 3, CLOSES)),
        (NOW, MINUTE, RetryAt(NOW, 3, CLOSES)),  # within the margin, as without a window
        (CLOSES, 14 * HOUR, RetryAt(OPENS, 3, CLOSES_AGAIN)),
        (CLOSES, 13 * HOUR, BY_WINDOW),
        (CLOSES, timedelta(0), End(State.EXPIRED)),
    ],
)
def test_account_trouble_waits_for_the_window_and_uses_no_slot(
    now: datetime, left: timedelta, expected: RetryAt | End
) -> None:
    assert after(Outcome.ACCOUNT, 3, now, now + left, 48 * HOUR, SCHEDULE, 0.5, PROMOTIONAL) == expected


@pytest.mark.parametrize(
    ("at", "expires_at", "expected"),
    [
        (NOW, NOW + HOUR, Turn(NOW, CLOSES)),
        (CLOSES + 2 * HOUR, OPENS + 24 * HOUR, Turn(OPENS, CLOSES_AGAIN)),  # 23:00 there waits for 10:00
        (CLOSES + 2 * HOUR, CLOSES + 9 * HOUR, BY_WINDOW),  # valid until 06:00 there
        (CLOSES, OPENS + LEAST_REMAINING, Turn(OPENS, CLOSES_AGAIN)),  # no margin: it was never tried
        (CLOSES, OPENS + LEAST_REMAINING - timedelta.resolution, BY_WINDOW),
        (NOW, NOW, End(State.EXPIRED)),
        (CLOSES, CLOSES, End(State.EXPIRED)),  # its validity is over before the window matters
    ],
)
def test_a_first_attempt_goes_at_the_opening_while_a_second_remains(
    at: datetime, expires_at: datetime, expected: Turn | End
) -> None:
    assert first_turn(PROMOTIONAL, at, expires_at) == expected


def test_without_a_window_a_first_attempt_goes_at_once() -> None:
    assert first_turn(None, NOW, NOW + HOUR) == Turn(NOW, None)


def test_a_window_that_never_opens_ends_the_message() -> None:
    never = Window((INDIA_PROMOTIONAL, Hours(time(22), time(6), "Asia/Kolkata")))
    assert first_turn(never, NOW, NOW + 48 * HOUR) == BY_WINDOW
    assert next_attempt(0, NOW, NOW + 48 * HOUR, 48 * HOUR, SCHEDULE, 0.5, never) == BY_WINDOW


@given(
    st.integers(0, 10), st.integers(0, 47), spans, st.floats(0, 1), schedules, chances, st.sampled_from([10, 16, 20])
)
def test_with_a_window_an_attempt_is_the_next_open_instant_from_the_one_without_else_one_before_it(
    slots: int, hour: int, validity: timedelta, share_left: float, schedule: list[timedelta], chance: float, opens: int
) -> None:
    """Always by the margin, and it ends by the window only where that is closed from now until then."""
    window = Window((Hours(time(opens), time((opens + 6) % 24), "Europe/Berlin"),))
    now = NOW + hour * HOUR
    last = now + validity * share_left - margin(validity)
    given_up = (slots, now, now + validity * share_left, validity, schedule, chance)
    without, decision = next_attempt(*given_up), next_attempt(*given_up, window)
    if isinstance(without, End):
        assert decision == without
        return
    after_it = opening(window, without.at)
    assert after_it is not None
    if isinstance(decision, End):
        assert decision == BY_WINDOW
        assert stretches(window, now, last + timedelta.resolution) == []
        return
    turn = opening(window, decision.at)
    assert turn is not None
    assert decision == RetryAt(turn.at, slots + 1, turn.leave_before)  # it is open then
    assert now <= decision.at <= last
    if after_it.at <= last:
        assert turn == after_it
    else:
        assert stretches(window, decision.at, without.at) == [(decision.at, turn.leave_before)]  # of the latest opening
