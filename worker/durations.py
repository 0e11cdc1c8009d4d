"""Durations in ISO 8601 (PT10S, PT1H30M, P2D), as the API and the settings write them."""

import re
from datetime import timedelta

_FORM = re.compile(
    r"P(?=[\dT])(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)


class BadDuration(ValueError):
    """Not an ISO 8601 duration of weeks, days, hours, minutes and seconds."""


def parse_duration(text: str) -> timedelta:
    """`PT25S` -> 25 seconds. Errors: BadDuration for anything else, years and months included (their length varies)."""
    found = _FORM.fullmatch(text.strip().upper())
    if found is None or len(text) > 40:
        raise BadDuration(f"{text[:40]!r} is not an ISO 8601 duration such as PT30S, PT15M, PT6H or P1D")
    try:
        return timedelta(**{unit: float(amount) for unit, amount in found.groupdict().items() if amount})
    except OverflowError as error:
        raise BadDuration(f"{text!r} is too long a duration") from error


def format_duration(span: timedelta) -> str:
    """25 seconds -> `PT25S`, 48 hours -> `PT48H`: the shortest form in hours, minutes and seconds."""
    total = span.total_seconds()
    hours, rest = divmod(int(total), 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f"{total % 1:.6f}"[1:].rstrip("0").rstrip(".") if total % 1 else ""
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else ""]
    if seconds or fraction or not (hours or minutes):
        parts.append(f"{seconds}{fraction}S")
    return "PT" + "".join(parts)
