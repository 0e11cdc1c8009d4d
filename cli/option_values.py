"""Options that hold more than a word: JSON, and sending windows as people write them. Pure."""

import json
import re
from typing import Any, get_args

from worker.alphabets import Code
from worker.hours import DAYS
from worker.windows import OFF

LANGUAGES: tuple[str, ...] = get_args(Code)
WINDOW_HELP = "'10:00-21:00 Asia/Kolkata', '09:00-18:00 recipient MON-FRI', JSON, or off."

_HOURS = re.compile(r"(\d\d:\d\d) ?- ?(\d\d:\d\d) +(\S+)(?: +(\S+))?")
_SHORT = {day[:3]: number for number, day in enumerate(DAYS)}
_WRITE = (
    'write it as "10:00-21:00 Asia/Kolkata" or "09:00-18:00 recipient MON-FRI", as a JSON object, or as the word off'
)


def word_or_json(text: str) -> Any:
    """What begins with { is a JSON object, all else a word. Errors: ValueError, for people."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"begins with {{ and is not JSON: {error}") from error


def window(text: str) -> Any:
    """A sending window in the API's form. As people write it, it has a time zone, and after it days unless all are
    meant: "MON-FRI", "SAT,SUN". Whether there are such hours, the API says. Errors: ValueError, for people."""
    given = word_or_json(text)
    if given == OFF or not isinstance(given, str):
        return given
    found = _HOURS.fullmatch(given.strip())
    if found is None:
        raise ValueError(f"{given[:100]!r} is no sending window: {_WRITE}")
    opens, closes, zone, days = found.groups()
    hours = {"from": opens, "to": closes, "time_zone": zone}
    return hours if days is None else {"days": _days(days), **hours}


def _days(text: str) -> list[str]:
    """FRI-MON goes on over the end of the week."""
    named: set[int] = set()
    for stretch in text.upper().split(","):
        first, dash, last = stretch.partition("-")
        if first not in _SHORT or (dash and last not in _SHORT):
            raise ValueError(f"{stretch[:100]!r} names no days: write MON-FRI or SAT,SUN, of {', '.join(_SHORT)}")
        begin = _SHORT[first]
        named |= {(begin + n) % 7 for n in range((_SHORT[last or first] - begin) % 7 + 1)}
    return [DAYS[number] for number in sorted(named)]
