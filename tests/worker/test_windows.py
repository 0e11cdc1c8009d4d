"""Sending windows: tables of instants, days on which clocks change, and laws held against clocks read each minute."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from worker.hours import RECIPIENT, Hours
from worker.windows import (
    INDIA_PROMOTIONAL,
    OFF,
    SEARCH,
    Turn,
    UtcHours,
    Window,
    advance,
    as_utc_window,
    opening,
    stretches,
    window_for,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
INDIAN, GERMAN, TOLL_FREE, PERTH_OR_ADELAIDE = "919876543210", "491701234567", "18005550123", "61891234567"
PROMOTIONAL = Window((INDIA_PROMOTIONAL,))
MONDAY_TO_FRIDAY = frozenset(range(5))
ALWAYS = Hours(time(0), time(0), "Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def window(opens: str, closes: str, zone: str, days: frozenset[int] = frozenset(range(7))) -> Window:
    return Window((Hours(time.fromisoformat(opens), time.fromisoformat(closes), zone, days),))


# Which window holds.


@pytest.mark.parametrize(
    ("given_hours", "is_marketing", "recipient", "expected"),
    [
        (None, True, INDIAN, PROMOTIONAL),
        (None, False, INDIAN, None),
        (None, True, GERMAN, None),
        (OFF, True, INDIAN, None),
        (ALWAYS, True, INDIAN, Window((ALWAYS, INDIA_PROMOTIONAL))),
        (ALWAYS, False, INDIAN, Window((ALWAYS,))),
        (Hours(time(9), time(21), RECIPIENT), False, GERMAN, window("09:00", "21:00", "Europe/Berlin")),
        (Hours(time(9), time(21), RECIPIENT), False, "8001234567", window("09:00", "21:00", "Etc/UTC")),
    ],
    ids=["india", "transactional", "germany", "off", "both", "given", "recipient", "nowhere"],
)
def test_given_hours_hold_and_for_marketing_those_of_india(
    given_hours: Hours | None, is_marketing: bool, recipient: str, expected: Window | None
) -> None:
    assert window_for(given_hours, is_marketing=is_marketing, recipient=recipient) == expected


def test_all_recipients_of_one_zone_share_one_window() -> None:
    hours = Hours(time(9), time(21), RECIPIENT)
    one, other = (window_for(hours, is_marketing=False, recipient=number) for number in (GERMAN, "4930901820"))
    assert one is other


def test_a_number_of_several_zones_waits_until_it_is_open_in_all() -> None:
    found = window_for(Hours(time(9), time(21), RECIPIENT), is_marketing=False, recipient=PERTH_OR_ADELAIDE)
    assert found is not None
    assert opening(found, utc("2026-07-01T00:00+08:00")) == Turn(
        utc("2026-07-01T09:00+08:00"), utc("2026-07-01T21:00+09:30")
    )


@pytest.mark.parametrize(("opens", "closes"), [("10:00", "18:00"), ("09:00", "12:00"), ("10:00", "11:00")])
def test_hours_that_all_zones_never_share_hold_in_the_longest_run_of_neighbours_that_do(
    opens: str, closes: str
) -> None:
    hours = Hours(time.fromisoformat(opens), time.fromisoformat(closes), RECIPIENT)
    found = window_for(hours, is_marketing=False, recipient=TOLL_FREE)
    assert found is not None
    zones = [each.zone for each in found.hours]
    assert 1 < len(zones) < 42
    assert "Pacific/Guam" not in zones
    for week in ("2026-01-05T00:00Z", "2027-07-05T00:00Z"):
        spans = stretches(found, utc(week), utc(week) + 7 * DAY)
        assert max(end - start for start, end in spans) >= HOUR


# When it is open.


@pytest.mark.parametrize(
    ("at", "opens", "closes"),
    [
        ("2026-11-23T23:00+05:30", "2026-11-24T10:00+05:30", "2026-11-24T21:00+05:30"),
        ("2026-11-23T21:00+05:30", "2026-11-24T10:00+05:30", "2026-11-24T21:00+05:30"),
        ("2026-11-23T20:59:59.999999+05:30", "2026-11-23T20:59:59.999999+05:30", "2026-11-23T21:00+05:30"),
        ("2026-11-23T09:59:59+05:30", "2026-11-23T10:00+05:30", "2026-11-23T21:00+05:30"),
        ("2026-11-23T10:00+05:30", "2026-11-23T10:00+05:30", "2026-11-23T21:00+05:30"),
        ("2027-05-22T23:00+05:30", "2027-05-23T10:00+05:30", "2027-05-23T21:00+05:30"),
    ],
)
def test_promotional_messages_to_india_leave_from_ten_to_nine(at: str, opens: str, closes: str) -> None:
    assert opening(PROMOTIONAL, utc(at)) == Turn(utc(opens), utc(closes))


@pytest.mark.parametrize(
    ("at", "opens", "closes"),
    [
        ("2026-11-27T19:00+01:00", "2026-11-27T20:00+01:00", "2026-11-28T02:00+01:00"),  # a Friday
        ("2026-11-28T01:00+01:00", "2026-11-28T01:00+01:00", "2026-11-28T02:00+01:00"),
        ("2026-11-28T02:00+01:00", "2026-11-30T20:00+01:00", "2026-12-01T02:00+01:00"),
        ("2026-11-30T01:00+01:00", "2026-11-30T20:00+01:00", "2026-12-01T02:00+01:00"),  # Sunday's did not open
    ],
)
def test_hours_that_cross_midnight_belong_to_the_day_on_which_they_open(at: str, opens: str, closes: str) -> None:
    evenings = window("20:00", "02:00", "Europe/Berlin", MONDAY_TO_FRIDAY)
    assert opening(evenings, utc(at)) == Turn(utc(opens), utc(closes))


def test_whole_days_in_a_row_are_one_opening() -> None:
    workdays = window("00:00", "00:00", "Asia/Kolkata", MONDAY_TO_FRIDAY)
    expected = Turn(utc("2026-11-23T00:00+05:30"), utc("2026-11-28T00:00+05:30"))
    assert opening(workdays, utc("2026-11-22T12:00+05:30")) == expected


def test_a_window_of_every_whole_day_never_closes() -> None:
    at = utc("2026-10-24T12:00Z")
    assert opening(Window((ALWAYS,)), at) == Turn(at, None)
    assert advance(Window((ALWAYS,)), at, 400 * DAY) == Turn(at + 400 * DAY, None)


def test_hours_that_have_nothing_in_common_never_open() -> None:
    nights = Hours(time(22), time(6), "Asia/Kolkata")
    apart = Window((nights, INDIA_PROMOTIONAL))
    assert opening(apart, utc("2026-11-23T12:00Z")) is None
    assert advance(apart, utc("2026-11-23T12:00Z"), HOUR) is None


@pytest.mark.parametrize(
    ("zone", "opens", "closes", "day", "expected"),
    [
        # Clocks go from 02:00 to 03:00, or back from 03:00 to 02:00.
        ("Europe/Berlin", "01:00", "04:00", "2026-03-29", [("2026-03-29T01:00+01:00", "2026-03-29T04:00+02:00")]),
        ("Europe/Berlin", "02:00", "03:00", "2026-03-29", []),
        ("Europe/Berlin", "02:30", "04:00", "2026-03-29", [("2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00")]),
        ("Europe/Berlin", "01:00", "04:00", "2026-10-25", [("2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00")]),
        (
            "Europe/Berlin",
            "01:30",
            "02:30",
            "2026-10-25",
            [
                ("2026-10-25T01:30+02:00", "2026-10-25T02:30+02:00"),
                ("2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"),
            ],
        ),
        ("America/New_York", "09:00", "21:00", "2026-03-08", [("2026-03-08T09:00-04:00", "2026-03-08T21:00-04:00")]),
        ("America/New_York", "00:30", "02:30", "2026-03-08", [("2026-03-08T00:30-05:00", "2026-03-08T02:00-05:00")]),
        ("America/New_York", "01:00", "02:00", "2026-11-01", [("2026-11-01T01:00-04:00", "2026-11-01T02:00-05:00")]),
        # By half an hour.
        ("Australia/Lord_Howe", "01:00", "03:00", "2026-10-04", [("2026-10-03T14:30Z", "2026-10-03T16:00Z")]),
        ("Australia/Lord_Howe", "01:00", "03:00", "2026-04-05", [("2026-04-04T14:00Z", "2026-04-04T16:30Z")]),
    ],
)
def test_where_clocks_change_hours_are_open_while_the_clock_reads_so(
    zone: str, opens: str, closes: str, day: str, expected: list[tuple[str, str]]
) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    until = (datetime.fromisoformat(day) + DAY).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert stretches(window(opens, closes, zone), start, until) == [(utc(a), utc(b)) for a, b in expected]


def test_a_weekly_opening_that_a_change_of_clocks_skips_is_found_a_week_later() -> None:
    sundays = window("02:00", "03:00", "Europe/Berlin", frozenset({6}))
    assert opening(sundays, utc("2026-03-22T03:00+01:00")) == Turn(
        utc("2026-04-05T02:00+02:00"), utc("2026-04-05T03:00+02:00")
    )


@pytest.mark.parametrize(
    ("start", "open_time", "at"),
    [
        ("2026-11-23T20:00+05:30", timedelta(0), "2026-11-23T20:00+05:30"),
        ("2026-11-23T20:00+05:30", HOUR - timedelta.resolution, "2026-11-23T20:59:59.999999+05:30"),
        ("2026-11-23T20:00+05:30", HOUR, "2026-11-24T10:00+05:30"),
        ("2026-11-23T20:00+05:30", 3 * HOUR, "2026-11-24T12:00+05:30"),
        ("2026-11-23T23:00+05:30", 12 * HOUR, "2026-11-25T11:00+05:30"),
        ("2026-11-23T10:00+05:30", 33 * HOUR, "2026-11-26T10:00+05:30"),
    ],
)
def test_open_time_alone_counts(start: str, open_time: timedelta, at: str) -> None:
    turn = advance(PROMOTIONAL, utc(start), open_time)
    assert turn is not None
    assert turn.at == utc(at)


# The same in UTC.


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (PROMOTIONAL, UtcHours(tuple(range(7)), time(4, 30), time(15, 30))),
        (
            window("09:00", "21:00", "Europe/Berlin", MONDAY_TO_FRIDAY),
            UtcHours((0, 1, 2, 3, 4), time(8), time(20)),
        ),
        # Monday morning there is Sunday in UTC.
        (window("06:00", "08:00", "Asia/Tokyo", frozenset({0})), UtcHours((6,), time(21), time(23))),
        (
            Window((Hours(time(9), time(12), "Europe/Berlin"), INDIA_PROMOTIONAL)),
            UtcHours(tuple(range(7)), time(8), time(11)),
        ),
        (window("09:00", "21:00", "America/Los_Angeles"), None),  # crosses midnight
        (window("18:00", "00:00", "UTC"), None),  # reaches it
        (Window((ALWAYS,)), None),
        (Window((Hours(time(16), time(18), "Europe/Berlin"), INDIA_PROMOTIONAL)), None),  # 15:00 to 15:30
        (Window((Hours(time(22), time(6), "Asia/Kolkata"), INDIA_PROMOTIONAL)), None),  # never open
        (  # two hours on Mondays, one on other days
            Window((Hours(time(0), time(0), "UTC", frozenset({0})), Hours(time(23), time(2), "UTC"))),
            None,
        ),
    ],
    ids=["india", "berlin", "tokyo", "both", "crosses", "reaches", "always", "short", "never", "uneven"],
)
def test_hours_in_utc_say_the_same_or_nothing(held: Window, expected: UtcHours | None) -> None:
    at = utc("2026-11-23T12:00Z")
    assert as_utc_window(held, at, at + 48 * HOUR) == expected


def test_hours_in_utc_hold_only_while_clocks_do_not_change() -> None:
    held, change = window("09:00", "21:00", "Europe/Berlin"), utc("2026-03-29T01:00Z")
    assert as_utc_window(held, change - 48 * HOUR, change - MINUTE) == UtcHours(tuple(range(7)), time(8), time(20))
    assert as_utc_window(held, change - MINUTE, change + MINUTE) is None
    assert as_utc_window(held, change, change + 48 * HOUR) == UtcHours(tuple(range(7)), time(7), time(19))


# Laws.

ZONES = ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    opens, closes = draw(times), draw(times)
    length = (60 * (closes.hour - opens.hour) + closes.minute - opens.minute) % (24 * 60)
    assume(length >= 60 or opens == closes == time(0))
    days = draw(st.one_of(st.just(frozenset(range(7))), st.frozensets(st.integers(0, 6), min_size=1)))
    return Hours(opens, closes, draw(st.sampled_from(ZONES)), days)


windows = st.lists(hours(), min_size=1, max_size=3).map(lambda drawn: Window(tuple(drawn)))
# Any day, and the days on which these zones' clocks change.
changes = [utc("2026-03-29T01:00Z"), utc("2026-10-25T01:00Z"), utc("2026-03-08T07:00Z"), utc("2026-10-03T15:30Z")]
instants = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (by `timezones`)
    st.builds(
        lambda change, away: change + away,
        st.sampled_from(changes),
        st.timedeltas(-2 * DAY, 2 * DAY),
    ),
)


def is_open(held: Window, at: datetime) -> bool:
    """What a person would read off the clocks on the walls."""
    for each in held.hours:
        there = at.astimezone(ZoneInfo(each.zone))
        clock, today, yesterday = there.time(), there.weekday(), (there.weekday() - 1) % 7
        crosses = each.closes <= each.opens
        since_opening = today in each.days and clock >= each.opens and (crosses or clock < each.closes)
        since_yesterday = yesterday in each.days and crosses and clock < each.closes
        if not (since_opening or since_yesterday):
            return False
    return True


def minutes_after(at: datetime, until: datetime) -> list[datetime]:
    first = at.replace(second=0, microsecond=0) + MINUTE
    return [first + index * MINUTE for index in range(max(0, -(-(until - first) // MINUTE)))]


@settings(max_examples=60, deadline=None)
@given(windows, instants)
def test_an_opening_is_the_first_instant_that_the_clocks_allow_and_lasts_as_long_as_they_do(
    held: Window, at: datetime
) -> None:
    turn = opening(held, at)
    before = at + 3 * DAY if turn is None else min(turn.at, at + 3 * DAY)
    if before > at:
        assert not any(is_open(held, minute) for minute in [at, *minutes_after(at, before)])
    if turn is None:
        return
    assert turn.at >= at
    assert is_open(held, turn.at)
    until = turn.at + 2 * DAY if turn.leave_before is None else min(turn.leave_before, turn.at + 2 * DAY)
    assert all(is_open(held, minute) for minute in minutes_after(turn.at, until))
    assert turn.leave_before is None or not is_open(held, turn.leave_before)


@settings(max_examples=60, deadline=None)
@given(windows, instants, st.timedeltas(timedelta(0), 20 * DAY))
def test_stretches_are_the_openings_one_after_another(held: Window, start: datetime, span: timedelta) -> None:
    until, at, expected = start + span, start, []
    while (turn := opening(held, at)) is not None and turn.at < until:
        closes = until if turn.leave_before is None else min(turn.leave_before, until)
        expected.append((turn.at, closes))
        at = closes
        if closes == until:
            break
    if turn is not None:  # else the next one, if any, is farther off than is searched
        assert stretches(held, start, until) == expected
    else:
        assert stretches(held, start, min(until, at + SEARCH)) == expected


@settings(max_examples=100, deadline=None)
@given(windows, instants, st.timedeltas(timedelta(0), 3 * DAY), st.timedeltas(timedelta(0), 3 * DAY))
def test_open_time_adds_up_and_never_runs_backwards(
    held: Window, start: datetime, first: timedelta, more: timedelta
) -> None:
    once, all_of_it = advance(held, start, first), advance(held, start, first + more)
    if once is None or all_of_it is None:
        assert opening(held, start) is None
        return
    assert advance(held, once.at, more) == all_of_it
    assert start <= once.at <= all_of_it.at
    assert is_open(held, once.at)
    assert sum((end - begin for begin, end in stretches(held, start, once.at)), timedelta(0)) == first


@settings(max_examples=60, deadline=None)
@given(windows, instants)
def test_hours_in_utc_are_open_at_the_same_minutes(held: Window, at: datetime) -> None:
    until = at + 2 * DAY
    in_utc = as_utc_window(held, at, until)
    assume(in_utc is not None)
    assert in_utc is not None
    for minute in minutes_after(at, until):
        is_open_in_utc = minute.weekday() in in_utc.days and in_utc.opens <= minute.time() < in_utc.closes
        assert is_open_in_utc == is_open(held, minute)
