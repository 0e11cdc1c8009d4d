"""Instants as whole milliseconds since 1970, and Infobip's way of writing them."""

import re
import time
from datetime import UTC, datetime
from functools import lru_cache

# Infobip writes offsets without a colon, its own SDKs send them with one: both are taken.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=4096)  # All messages of one request share their instants.
def format_ms(instant_ms: int) -> str:
    """Milliseconds and an offset without colon, e.g. 2026-11-23T05:30:00.000+0000."""
    seconds, milliseconds = divmod(instant_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}+0000"


def parse_ms(text: object) -> int:
    """The instant written in `text`. Errors: ValueError if it is not a full instant with an offset."""
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise ValueError("must be a time like 2026-11-23T05:30:00.000+0000")
    return round(datetime.fromisoformat(text).timestamp() * 1000)
