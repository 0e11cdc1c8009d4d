"""Recipients and request bodies: what a journey would send, made before the clock starts."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import orjson

TEXT = "Your parcel is on its way"
CALLBACK_DATA = "journey-7"
PRINCIPAL_ENTITY_ID = "1201150000000000001"
CONTENT_TEMPLATE_ID = "1207160000000000001"
SENDER = "KITEBK"


class Recipients:
    """Indian mobile numbers, each once whichever thread asks, none with a special ending of the sandbox's."""

    def __init__(self) -> None:
        numbers = (f"91{number}" for number in itertools.count(9_800_000_000))
        self._plain = (number for number in numbers if number[-4:-2] != "90")
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        with self._lock:
            return next(self._plain)


def batch_bodies(surface: str, messages: int, rows: int, to: Iterator[str], **shared: Any) -> list[bytes]:
    """Bodies of `POST /v1/batches` with `rows` messages each, the last with what is left."""
    sizes = [rows] * (messages // rows) + ([messages % rows] if messages % rows else [])
    return [
        orjson.dumps(
            {
                "surface": surface,
                "text": TEXT,
                "callback_data": CALLBACK_DATA,
                "messages": [{"to": number} for number in itertools.islice(to, size)],
                **shared,
            }
        )
        for size in sizes
    ]


def single_bodies(surface: str, messages: int, to: Iterator[str]) -> list[bytes]:
    """Bodies of `POST /v1/messages`."""
    return [
        orjson.dumps({"surface": surface, "to": number, "text": TEXT, "callback_data": CALLBACK_DATA})
        for number in itertools.islice(to, messages)
    ]
