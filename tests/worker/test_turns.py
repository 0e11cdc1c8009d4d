"""First turns: by pace and window, at the time at which an order comes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import pace
from worker.hours import Hours, parse_hours
from worker.retry import LEAST_REMAINING
from worker.turns import Turns, time_for_turns
from worker.windows import INDIA_PROMOTIONAL, OFF, Given, Turn, Window, no_turn, read_given, stretches

IST = timedelta(hours=5, minutes=30)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
INDIAN, BRITISH = "919900000001", "447700900001"
NIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC) - IST  # 23:00 in India
MORNING = datetime(2026, 11, 24, 10, tzinfo=UTC) - IST
EVENING = datetime(2026, 11, 24, 21, tzinfo=UTC) - IST
ZONED = {"from": "10:00", "to": "21:00", "time_zone": "Asia/Kolkata"}
NINE_TO_FIVE = parse_hours({"from": "09:00", "to": "17:00", "time_zone": "UTC"})


def turns(
    window: Given = None,
    *,
    start: datetime = NIGHT,
    lasts: timedelta = 48 * HOUR,
    per_second: int | None = None,
    is_marketing: bool = True,
) -> Turns:
    """`lasts`: from the start to the end of the validity."""
    times = {"start": start, "expires_at": start + lasts, "now": NIGHT}
    return Turns(window, is_marketing=is_marketing, per_second=per_second, **times)


def test_promotional_message_to_india_at_night_has_its_turn_in_the_morning() -> None:
    assert turns().of(INDIAN) == (MORNING, EVENING)


@pytest.mark.parametrize(
    "others",
    [turns().of(BRITISH), turns(is_marketing=False).of(INDIAN), turns(OFF).of(INDIAN)],
    ids=["to another country", "transactional", "off"],
)
def test_others_go_at_once(others: Turn) -> None:
    assert others == (NIGHT, None)


@pytest.mark.parametrize("per_second", [None, 5])
def test_what_ends_before_the_opening_is_due_at_once_and_closed(per_second: int | None) -> None:
    assert turns(lasts=7 * HOUR, per_second=per_second).of(INDIAN) == no_turn(NIGHT)


def test_so_is_what_is_scheduled_for_a_time_without_one() -> None:
    assert turns(start=NIGHT + 24 * HOUR, lasts=7 * HOUR).of(INDIAN) == no_turn(NIGHT)


def test_so_is_what_would_have_its_turn_at_the_pace_in_an_opening_after_its_end() -> None:
    """An hour is open, of three that it is valid: 3,600 go at one a second."""
    paced = turns(start=EVENING - HOUR, lasts=3 * HOUR, per_second=1)
    assert paced.of(INDIAN, 3_599) == (EVENING - timedelta(seconds=1), EVENING)
    assert paced.of(INDIAN, 3_600) == no_turn(NIGHT)


def test_so_is_what_would_have_less_than_a_second_left_at_its_turn() -> None:
    paced = turns(start=MORNING, lasts=timedelta(seconds=10), per_second=1)
    assert [paced.of(INDIAN, index) == paced.closed for index in (9, 10)] == [False, True]


@pytest.mark.parametrize(
    ("given_hours", "left"),
    [
        (None, 171 * MINUTE),  # three hours but for their twentieth
        (OFF, 171 * MINUTE),
        (ZONED, HOUR - timedelta.resolution),  # an opening ends before it closes
        ({**ZONED, "time_zone": "recipient"}, 171 * MINUTE),  # differs from recipient to recipient
        ({**ZONED, "from": "06:00", "to": "08:00"}, -timedelta.resolution),
    ],
    ids=["none", "off", "one zone", "recipient's", "never open"],
)
def test_time_for_turns_is_open_time_where_that_is_one_for_all(given_hours: Any, left: timedelta) -> None:
    window = read_given(json.dumps(given_hours))
    assert time_for_turns(window, EVENING - HOUR, EVENING + 2 * HOUR) == left


def test_at_a_pace_only_open_time_counts_for_those_who_have_a_window() -> None:
    start = EVENING - timedelta(seconds=2)
    paced = turns(start=start, per_second=1)
    assert [paced.of(INDIAN, index).at for index in range(4)] == [
        start,
        start + timedelta(seconds=1),
        MORNING + 24 * HOUR,
        MORNING + 24 * HOUR + timedelta(seconds=1),
    ]
    assert paced.of(BRITISH, 3) == (pace.turn(start, 3, 1), None)


@given(
    st.sampled_from([None, OFF, NINE_TO_FIVE]),
    st.integers(0, 48 * 60),
    st.sampled_from([None, 1, 7]),
    st.integers(0, 200_000),
    st.sampled_from([INDIAN, BRITISH]),
)
def test_a_turn_is_not_before_the_start_and_lies_in_an_opening(
    window: Given, minutes: int, per_second: int | None, index: int, recipient: str
) -> None:
    start = NIGHT + timedelta(minutes=minutes)
    turn = turns(window, start=start, per_second=per_second).of(recipient, index)
    if turn == no_turn(NIGHT):
        assert per_second is not None
        return
    assert turn.at >= start
    if turn.leave_before is None:
        assert window == OFF or (window is None and recipient == BRITISH)
        return
    assert turn.at <= start + 48 * HOUR - LEAST_REMAINING
    hours = [window] if isinstance(window, Hours) else []
    if recipient == INDIAN:
        hours.append(INDIA_PROMOTIONAL)
    assert (turn.at, turn.leave_before) in stretches(Window(tuple(hours)), turn.at, turn.leave_before + HOUR)
