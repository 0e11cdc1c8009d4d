"""First turns: by pace and window, at the time at which an order comes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import pace
from worker.hours import Hours, parse_hours
from worker.turns import Turns
from worker.windows import INDIA_PROMOTIONAL, OFF, Given, Turn, Window, stretches

IST = timedelta(hours=5, minutes=30)
HOUR = timedelta(hours=1)
INDIAN, BRITISH = "919900000001", "447700900001"
NIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC) - IST  # 23:00 in India
MORNING = datetime(2026, 11, 24, 10, tzinfo=UTC) - IST
EVENING = datetime(2026, 11, 24, 21, tzinfo=UTC) - IST
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
    assert turns(lasts=7 * HOUR, per_second=per_second).of(INDIAN) == (NIGHT, NIGHT)


def test_so_is_what_is_scheduled_for_a_time_without_one() -> None:
    assert turns(start=NIGHT + 24 * HOUR, lasts=7 * HOUR).of(INDIAN) == (NIGHT, NIGHT)


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
    assert turn.at >= start
    if turn.leave_before is None:
        assert window == OFF or (window is None and recipient == BRITISH)
        return
    hours = [window] if isinstance(window, Hours) else []
    if recipient == INDIAN:
        hours.append(INDIA_PROMOTIONAL)
    assert (turn.at, turn.leave_before) in stretches(Window(tuple(hours)), turn.at, turn.leave_before + HOUR)
