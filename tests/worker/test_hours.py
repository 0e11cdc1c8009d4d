"""Sending hours as an administrator writes them: what is read, and what each fault is told."""

from datetime import time

import pytest

from worker.hours import BadWindow, Hours, format_hours, parse_hours

NINE_TO_NINE = {"from": "09:00", "to": "21:00", "time_zone": "Asia/Kolkata"}


@pytest.mark.parametrize(
    ("given", "hours"),
    [
        (NINE_TO_NINE, Hours(time(9), time(21), "Asia/Kolkata")),
        ({**NINE_TO_NINE, "time_zone": "recipient"}, Hours(time(9), time(21), "recipient")),
        ({**NINE_TO_NINE, "time_zone": "UTC"}, Hours(time(9), time(21), "UTC")),
        ({**NINE_TO_NINE, "days": ["SUNDAY", "MONDAY"]}, Hours(time(9), time(21), "Asia/Kolkata", frozenset({0, 6}))),
        ({**NINE_TO_NINE, "from": "20:00", "to": "02:00"}, Hours(time(20), time(2), "Asia/Kolkata")),
        ({**NINE_TO_NINE, "to": "24:00"}, Hours(time(9), time(0), "Asia/Kolkata")),
        ({**NINE_TO_NINE, "from": "00:00", "to": "24:00"}, Hours(time(0), time(0), "Asia/Kolkata")),
        ({**NINE_TO_NINE, "from": "23:30", "to": "00:30"}, Hours(time(23, 30), time(0, 30), "Asia/Kolkata")),
    ],
)
def test_hours_are_read_from_what_is_written(given: dict[str, object], hours: Hours) -> None:
    assert parse_hours(given) == hours


@pytest.mark.parametrize(
    "written",
    [
        NINE_TO_NINE,
        {**NINE_TO_NINE, "days": ["MONDAY", "SUNDAY"]},
        {**NINE_TO_NINE, "from": "00:00", "to": "24:00", "time_zone": "recipient"},
        {**NINE_TO_NINE, "from": "20:05", "to": "02:10"},
    ],
)
def test_hours_are_written_as_they_were_read(written: dict[str, object]) -> None:
    assert format_hours(parse_hours(written)) == written


@pytest.mark.parametrize(
    ("same", "canonical"),
    [
        ({"to": "00:00"}, {"to": "24:00"}),
        ({"days": ["SUNDAY", "MONDAY", "MONDAY"]}, {"days": ["MONDAY", "SUNDAY"]}),
        ({"days": ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]}, {}),
    ],
)
def test_what_means_the_same_is_written_alike(same: dict[str, object], canonical: dict[str, object]) -> None:
    assert format_hours(parse_hours({**NINE_TO_NINE, **same})) == {**NINE_TO_NINE, **canonical}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("09:00-21:00", "must be an object such as"),
        ({**NINE_TO_NINE, "timezone": "UTC"}, "has no field 'timezone': it may have days, from, to, time_zone"),
        ({"to": "21:00", "time_zone": "UTC"}, 'from must be hours and minutes, such as "09:00"'),
        ({**NINE_TO_NINE, "from": "9:00"}, 'from must be hours and minutes, such as "09:00"'),
        ({**NINE_TO_NINE, "from": "24:00"}, "from must be hours and minutes"),
        ({**NINE_TO_NINE, "from": 9}, "from must be hours and minutes"),
        ({**NINE_TO_NINE, "to": "24:01"}, 'to must be hours and minutes, such as "21:00", at most "24:00"'),
        ({**NINE_TO_NINE, "to": "21:00\n"}, "to must be hours and minutes"),
        ({**NINE_TO_NINE, "to": "09:00"}, 'for whole days, write "from": "00:00", "to": "24:00"'),
        ({**NINE_TO_NINE, "from": "00:00", "to": "00:00"}, 'to must be "24:00" where whole days are meant'),
        ({**NINE_TO_NINE, "to": "09:59"}, "must be at least one hour"),
        ({**NINE_TO_NINE, "from": "23:30", "to": "00:29"}, "must be at least one hour"),
        ({**NINE_TO_NINE, "days": []}, "days must be a list of at least one of MONDAY, TUESDAY"),
        ({**NINE_TO_NINE, "days": ["Monday"]}, "leave it out for every day"),
        ({**NINE_TO_NINE, "days": "MONDAY"}, "days must be a list"),
        ({**NINE_TO_NINE, "days": None}, "days must be a list"),
        ({**NINE_TO_NINE, "days": [["MONDAY"]]}, "days must be a list"),
        ({"from": "09:00", "to": "21:00"}, 'time_zone must be the IANA name of a time zone, such as "Asia/Kolkata"'),
        ({**NINE_TO_NINE, "time_zone": "IST"}, "time_zone must be"),
        ({**NINE_TO_NINE, "time_zone": "Asia/Atlantis"}, "time_zone must be"),
        ({**NINE_TO_NINE, "time_zone": "localtime"}, "time_zone must be"),
        ({**NINE_TO_NINE, "time_zone": "../etc/passwd"}, "time_zone must be"),
        ({**NINE_TO_NINE, "time_zone": 5.5}, "time_zone must be"),
    ],
)
def test_each_fault_is_told_with_what_to_write(given: object, told: str) -> None:
    with pytest.raises(BadWindow) as fault:
        parse_hours(given)
    assert told in str(fault.value)


@pytest.mark.parametrize("days", [frozenset(), frozenset({7})])
def test_hours_without_a_day_of_the_week_are_refused(days: frozenset[int]) -> None:
    with pytest.raises(BadWindow, match="at least one day"):
        Hours(time(9), time(21), "UTC", days)
