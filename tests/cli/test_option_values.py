"""Options that hold more than a word, as the API takes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.option_values import window, word_or_json
from worker.hours import parse_hours

INDIA = {"from": "10:00", "to": "21:00", "time_zone": "Asia/Kolkata"}
WORKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("TR", "TR"),
        ("", ""),
        ('{"code": "TR", "single_shift": true}', {"code": "TR", "single_shift": True}),
        (' {"code": "TR"}', {"code": "TR"}),
    ],
)
def test_what_begins_with_a_brace_is_json(text: str, value: object) -> None:
    assert word_or_json(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("10:00-21:00 Asia/Kolkata", INDIA),
        (" 10:00 - 21:00  Asia/Kolkata ", INDIA),
        ('{"from": "10:00", "to": "21:00", "time_zone": "Asia/Kolkata"}', INDIA),
        ("09:00-24:00 recipient MON-FRI", {"days": WORKDAYS, "from": "09:00", "to": "24:00", "time_zone": "recipient"}),
        ("10:00-21:00 Asia/Kolkata sat,Mon", {"days": ["MONDAY", "SATURDAY"], **INDIA}),
        ("10:00-21:00 Asia/Kolkata SAT-MON", {"days": ["MONDAY", "SATURDAY", "SUNDAY"], **INDIA}),
        ("10:00-21:00 Asia/Kolkata MON-WED,WED", {"days": WORKDAYS[:3], **INDIA}),
        ("10:00-21:00 Asia/Kolkata SUN-SUN", {"days": ["SUNDAY"], **INDIA}),
    ],
)
def test_window_is_written_as_people_write_it_or_as_json(text: str, value: object) -> None:
    assert window(text) == value


@given(st.sets(st.sampled_from(WORKDAYS), min_size=1), st.integers(0, 22))
def test_window_of_any_days_is_one_that_the_api_takes(days: set[str], hour: int) -> None:
    text = f"{hour:02}:00-{hour + 1:02}:00 recipient {','.join(day[:3].lower() for day in days)}"
    assert parse_hours(window(text)).days == {WORKDAYS.index(day) for day in days}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "begins with { and is not JSON: "),
        ("10-21 Asia/Kolkata", "'10-21 Asia/Kolkata' is no sending window: write it as \"10:00-21:00 Asia/Kolkata\""),
        ("10:00-21:00", "'10:00-21:00' is no sending window"),
        ("10:00-21:00 Asia/Kolkata FUNDAY", "'FUNDAY' names no days: write MON-FRI or SAT,SUN, of MON, TUE"),
        ("10:00-21:00 Asia/Kolkata MON-", "'MON-' names no days"),
        ("10:00-21:00 Asia/Kolkata MON,", "'' names no days"),
    ],
)
def test_what_is_neither_is_told_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError) as told:
        window(text)
    assert str(told.value).startswith(words)
