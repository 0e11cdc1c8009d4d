"""Sending hours: days, from, to and a time zone, as an administrator writes them; and when they are open. Pure.

Hours are open while a clock on the wall there reads so: on the day on which clocks change they may be shorter, longer,
open twice or not at all.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

RECIPIENT: Final = "recipient"  # in place of a time zone: that of the recipient, by the number
DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
EVERY_DAY = frozenset(range(7))
SHORTEST = timedelta(hours=1)  # Infobip's own limit for a deliveryTimeWindow

_FIELDS = ("days", "from", "to", "time_zone")
TIME: Final = "([01][0-9]|2[0-3]):([0-5][0-9])"  # a pattern
_ZONE = re.compile(r"UTC|[A-Za-z_]+(/[A-Za-z0-9_+-]+)+")  # no name that means another zone on another machine
_MIDNIGHT = time(0)
_DAY = timedelta(days=1)

Span = tuple[datetime, datetime]  # from the first up to, not including, the second


class BadWindow(ValueError):
    """Not a sending window; the text says what to write."""


@dataclass(frozen=True, slots=True)
class Hours:
    """From `opens` on each of `days` (0 is Monday) to the next `closes`, that day or the day after; from midnight to
    midnight is the whole day; in whole minutes. `zone` is an IANA name, or RECIPIENT. Errors: BadWindow."""

    opens: time
    closes: time
    zone: str
    days: frozenset[int] = EVERY_DAY

    def __post_init__(self) -> None:
        if not self.days or not self.days <= EVERY_DAY:
            raise BadWindow("days must name at least one day of the week")
        if self.opens == self.closes != _MIDNIGHT:
            raise BadWindow('to must differ from "from": for whole days, write "from": "00:00", "to": "24:00"')
        if self.length < SHORTEST:
            raise BadWindow('from "from" to "to" must be at least one hour')

    @property
    def length(self) -> timedelta:
        """How long they are open, on a day on which clocks do not change."""
        minutes = 60 * (self.closes.hour - self.opens.hour) + self.closes.minute - self.opens.minute
        return timedelta(minutes=minutes % (24 * 60) or 24 * 60)


def parse_hours(given: object) -> Hours:
    """{"days": ["MONDAY", ...], "from": "09:00", "to": "21:00", "time_zone": "Asia/Kolkata"} as Hours.

    Every day where `days` is absent; `to` may be 24:00, and the next day's; `time_zone` may be "recipient".
    Errors: BadWindow.
    """
    if not isinstance(given, dict):
        raise BadWindow('must be an object such as {"from": "09:00", "to": "21:00", "time_zone": "Asia/Kolkata"}')
    for name in given:
        if name not in _FIELDS:
            raise BadWindow(f"has no field {str(name)[:40]!r}: it may have {', '.join(_FIELDS)}")
    if given.get("from") == given.get("to") == "00:00":
        raise BadWindow('to must be "24:00" where whole days are meant')
    opens, closes = _parse_time(given, "from"), _parse_time(given, "to")
    return Hours(opens, closes, _parse_zone(given.get("time_zone")), _parse_days(given.get("days", list(DAYS))))


def format_hours(hours: Hours) -> dict[str, object]:
    """Hours as parse_hours reads them: a close at midnight as 24:00, and `days` only where they are not all."""
    closes = "24:00" if hours.closes == _MIDNIGHT else f"{hours.closes:%H:%M}"
    written: dict[str, object] = {"from": f"{hours.opens:%H:%M}", "to": closes, "time_zone": hours.zone}
    return written if hours.days == EVERY_DAY else {"days": [DAYS[day] for day in sorted(hours.days)], **written}


def open_spans(hours: Hours, start: datetime, until: datetime) -> list[Span]:
    """When hours in a time zone of their own are open between the two instants."""
    return merged(
        span
        for (since, offset), (before, _) in pairwise(_steady(hours.zone, start, until))
        for span in open_at_offset(hours, offset, since, before)
    )


def open_at_offset(hours: Hours, offset: timedelta, start: datetime, until: datetime) -> Iterator[Span]:
    """The same while the zone's clocks are that far ahead of UTC."""
    opens_after_midnight = timedelta(hours=hours.opens.hour, minutes=hours.opens.minute)
    first_day = (start + offset).date() - _DAY  # hours that cross midnight may have opened the day before
    midnight = datetime.combine(first_day, _MIDNIGHT, UTC) - offset
    day = first_day.weekday()
    while midnight < until:
        opens = midnight + opens_after_midnight
        opened, closed = max(opens, start), min(opens + hours.length, until)
        if day in hours.days and opened < closed:
            yield opened, closed
        midnight, day = midnight + _DAY, (day + 1) % 7


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in order of their beginning, those that touch made one."""
    merged: list[Span] = []
    for opens, closes in spans:
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(closes, merged[-1][1]))
        else:
            merged.append((opens, closes))
    return merged


def intersection(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """What both hold; each in order, with gaps between."""
    common: list[Span] = []
    index = other = 0
    while index < len(spans) and other < len(others):
        opens = max(spans[index][0], others[other][0])
        closes = min(spans[index][1], others[other][1])
        if opens < closes:
            common.append((opens, closes))
        if spans[index][1] <= others[other][1]:
            index += 1
        else:
            other += 1
    return common


def offset_of(zone: str, at: datetime) -> timedelta:
    offset = at.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset


def _parse_time(given: dict[str, object], name: str) -> time:
    text = given.get(name)
    if name == "to" and text == "24:00":
        return _MIDNIGHT
    found = re.fullmatch(TIME, text) if isinstance(text, str) else None
    if found is None:
        example = '"21:00", at most "24:00"' if name == "to" else '"09:00"'
        raise BadWindow(f"{name} must be hours and minutes, such as {example}")
    return time(int(found[1]), int(found[2]))


def _parse_zone(name: object) -> str:
    if isinstance(name, str) and (name == RECIPIENT or (_ZONE.fullmatch(name) and name in _zone_names())):
        return name
    raise BadWindow('time_zone must be the IANA name of a time zone, such as "Asia/Kolkata", or "recipient"')


def _parse_days(names: object) -> frozenset[int]:
    if not isinstance(names, list) or not names or any(name not in DAYS for name in names):
        raise BadWindow(f"days must be a list of at least one of {', '.join(DAYS)}; leave it out for every day")
    return frozenset(DAYS.index(name) for name in names)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _steady(zone: str, start: datetime, until: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """Each instant from which on the zone's offset holds, with that offset; `until` last.

    Clocks change at most once between two midnights in UTC, and at a whole second.
    """
    at, offset = start, offset_of(zone, start)
    yield at, offset
    while at < until:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        at = min(midnight + _DAY, until)
        after = offset_of(zone, at)
        if after != offset:
            yield _change(zone, midnight, after), after
            offset = after
    yield until, offset


def _change(zone: str, midnight: datetime, after: timedelta) -> datetime:
    """The first second of a day from which on the offset is `after`, as it is when the day is over."""
    second = bisect_left(
        range(24 * 3600), True, key=lambda s: offset_of(zone, midnight + timedelta(seconds=s)) == after
    )
    return midnight + timedelta(seconds=second)
