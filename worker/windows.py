"""Sending windows: when a message may leave, by all the hours that hold for it. Pure: time is passed in, as aware UTC
instants."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeGuard

from worker.hours import (
    RECIPIENT,
    SHORTEST,
    Hours,
    Span,
    intersection,
    merged,
    offset_of,
    open_at_offset,
    open_spans,
    parse_hours,
)
from worker.number_zones import zones_of

OFF: Final = "off"  # in place of hours: none hold, not even those of the country
Given = Hours | Literal["off"] | None
SEARCH = timedelta(days=16)  # hours once a week open within this, although a change of clocks skips them once

_DAY = timedelta(days=1)
_LONGEST_OPENING = timedelta(days=8)  # with a day off in the week; what is open for longer never closes
_CHUNK = timedelta(days=8)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEASONS = (datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 7, 6, tzinfo=UTC))  # two Mondays: winter, summer


@dataclass(frozen=True, slots=True)
class Window:
    """Open while all of its hours are; each has a time zone of its own."""

    hours: tuple[Hours, ...]


class Turn(NamedTuple):
    """A message may leave from `at` on and before `leave_before`, or for ever where that is None."""

    at: datetime
    leave_before: datetime | None


def no_turn(now: datetime) -> Turn:
    """Of a message for which none comes in time: due at once, so that it is seen to, and closed before that."""
    return Turn(now, now - timedelta.resolution)


def is_no_turn(at: datetime | None, leave_before: datetime | None) -> bool:
    """Whether `no_turn` gave it."""
    return at is not None and leave_before is not None and leave_before < at


class UtcHours(NamedTuple):
    """From `opens` to `closes` on each of `days` (0 is Monday), all in UTC; never beyond a midnight."""

    days: tuple[int, ...]
    opens: time
    closes: time


INDIA = "91"
# Infobip refuses promotional messages outside of these: EC_INVALID_PROMO_TIME, 4138.
INDIA_PROMOTIONAL = Hours(time(10), time(21), "Asia/Kolkata")


@lru_cache(maxsize=1024)
def read_given(stored: str | None) -> Given:
    """A column of JSON text: an object as `format_hours` writes it, the word "off", or nothing."""
    given = None if stored is None else json.loads(stored)
    return given if given is None or given == OFF else parse_hours(given)


def window_for(given: Given, *, is_marketing: bool, recipient: str) -> Window | None:
    """What holds for a message to `recipient` (E.164 digits): the given hours, and for marketing those of the country.

    None where none hold. In the recipient's zone means in every zone that the number may stand for. Where those are
    never open together for an hour, the zones farthest from most are left out: the longest run of neighbours, from west
    to east, that are.
    """
    if isinstance(given, str):
        return None
    is_promotional = is_marketing and recipient.startswith(INDIA)
    if given is None:
        return _PROMOTIONAL if is_promotional else None
    return _window(given, zones_of(recipient) if given.zone == RECIPIENT else None, is_promotional)


def may_hold(given: Given, *, is_marketing: bool) -> bool:
    """Whether `window_for` finds one for any recipient."""
    return given != OFF and (given is not None or is_marketing)


def is_one_for_all(given: Given) -> TypeGuard[Hours]:
    """Whether they are hours in one zone, whoever the recipient is."""
    return isinstance(given, Hours) and given.zone != RECIPIENT


def stretches(window: Window, start: datetime, until: datetime) -> list[Span]:
    """When the window is open between the two instants, cut at both; in order, with gaps between."""
    spans = [(start, until)] if start < until else []
    for hours in window.hours:
        spans = intersection(spans, open_spans(hours, start, until))
    return spans


def opening(window: Window, at: datetime) -> Turn | None:
    """The first instant at or after `at` at which the window is open; None where it does not open within SEARCH."""
    opens, closes, horizon = _ahead(window, (at - _EPOCH) // _CHUNK)
    index = bisect_right(closes, at)
    if index == len(closes) or opens[index] - at > SEARCH:
        return None
    leave_before = closes[index]
    return Turn(max(at, opens[index]), leave_before if leave_before < horizon else None)


def advance(window: Window, start: datetime, open_time: timedelta) -> Turn | None:
    """The instant at which the window has been open for `open_time` (not negative) since `start`, and is open; None
    where it does not open any more."""
    turn = opening(window, start)
    while turn is not None and turn.leave_before is not None and open_time >= turn.leave_before - turn.at:
        open_time -= turn.leave_before - turn.at
        turn = opening(window, turn.leave_before)
    return turn and Turn(turn.at + open_time, turn.leave_before)


def as_utc_window(window: Window, at: datetime, until: datetime) -> UtcHours | None:
    """The window between two instants, a few days apart, as one set of hours in UTC, within one day each.

    None where that cannot say the same: clocks change in between; hours reach or cross midnight in UTC, are shorter
    than SHORTEST, or differ from day to day.
    """
    offsets = tuple(offset_of(hours.zone, at) for hours in window.hours)
    if offsets != tuple(offset_of(hours.zone, until) for hours in window.hours):
        return None
    return _utc_hours(window, offsets)


@lru_cache(maxsize=4096)
def _window(given: Hours, zones: tuple[str, ...] | None, is_promotional: bool) -> Window:
    hours = (given,) if zones is None else tuple(replace(given, zone=zone) for zone in _together(given, zones))
    return Window((*hours, INDIA_PROMOTIONAL) if is_promotional else hours)


_PROMOTIONAL = Window((INDIA_PROMOTIONAL,))


def _together(given: Hours, zones: tuple[str, ...]) -> Sequence[str]:
    """All zones, or else the longest run from west to east in which the hours are open together, winter and summer."""
    if len(zones) == 1:
        return zones
    from_west = sorted(zones, key=lambda zone: offset_of(zone, _SEASONS[0]))
    weeks = [
        [open_spans(replace(given, zone=zone), monday, monday + 7 * _DAY) for zone in from_west] for monday in _SEASONS
    ]
    longest: Sequence[str] = ()
    for first in range(len(from_west)):
        count = min(_count_together(week[first:]) for week in weeks)
        longest = max(longest, from_west[first : first + count], key=len)
    return longest


def _count_together(week: list[list[Span]]) -> int:
    """How many from the first on have an hour in common."""
    common = week[0]
    for count, spans in enumerate(week):
        common = intersection(common, spans)
        if all(closes - opens < SHORTEST for opens, closes in common):
            return count
    return len(week)


class _Ahead(NamedTuple):
    """What opens and closes from a point in time on, up to the horizon."""

    opens: tuple[datetime, ...]
    closes: tuple[datetime, ...]
    horizon: datetime


@lru_cache(maxsize=4096)
def _ahead(window: Window, chunk: int) -> _Ahead:
    """What can be asked about an instant in that chunk of time, so that no question needs the next one."""
    start = _EPOCH + chunk * _CHUNK
    horizon = start + _CHUNK + SEARCH + _LONGEST_OPENING
    spans = stretches(window, start, horizon)
    return _Ahead(tuple(opens for opens, _ in spans), tuple(closes for _, closes in spans), horizon)


@lru_cache(maxsize=4096)
def _utc_hours(window: Window, offsets: tuple[timedelta, ...]) -> UtcHours | None:
    monday = _SEASONS[0]
    start, until = monday - _DAY, monday + 8 * _DAY  # a day more at either end: what is cut there is not looked at
    spans = [(start, until)]
    for hours, offset in zip(window.hours, offsets, strict=True):
        spans = intersection(spans, merged(open_at_offset(hours, offset, start, until)))
    week = [(opens, closes) for opens, closes in spans if monday <= opens < monday + 7 * _DAY]
    if len({(opens.time(), closes.time()) for opens, closes in week}) != 1:
        return None
    opens, closes = week[0]
    if opens.date() != closes.date() or closes - opens < SHORTEST:
        return None
    return UtcHours(tuple(day.weekday() for day, _ in week), opens.time(), closes.time())
