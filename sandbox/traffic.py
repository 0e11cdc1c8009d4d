"""What went over the wire, kept as raw bytes and decoded only when somebody looks.

Each log is bounded by the size of its bodies; the oldest entries are dropped first, and counted.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import orjson

from sandbox.clock import format_ms


class Entry(Protocol):
    @property
    def size(self) -> int: ...

    def as_json(self) -> bytes: ...


def _decoded(raw: bytes) -> Any:
    """The body as JSON, or as text where it is none: a broken request must show too. Of what is no text, the size."""
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(raw)} bytes)"


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A call of Infobip's API. `status` and `response` are None where the client got silence or a reset."""

    method: str
    path: str
    status: int | None
    request: bytes
    response: bytes | None
    at_ms: int

    @property
    def size(self) -> int:
        return len(self.request) + len(self.response or b"")

    def as_json(self) -> bytes:
        return orjson.dumps(
            {
                "method": self.method,
                "path": self.path,
                "status": self.status,
                "request": _decoded(self.request),
                "response": _decoded(self.response or b""),
                "at": format_ms(self.at_ms),
            }
        )


@dataclass(frozen=True, slots=True)
class LoggedPush:
    """A push to a webhook. `status` is None where no answer came."""

    webhook: str
    body: bytes
    status: int | None
    at_ms: int

    @property
    def size(self) -> int:
        return len(self.body)

    def as_json(self) -> bytes:
        return orjson.dumps(
            {
                "webhook": self.webhook,
                "body": _decoded(self.body),
                "status": self.status,
                "at": format_ms(self.at_ms),
            }
        )


E = TypeVar("E", bound=Entry)


class TrafficLog(Generic[E]):
    def __init__(self, max_bytes: int) -> None:
        self.entries: deque[E] = deque()
        self.seen_count = 0
        self.dropped_count = 0
        self._max_bytes = max_bytes
        self._bytes = 0

    def add(self, entry: E) -> None:
        self.entries.append(entry)
        self.seen_count += 1
        self._bytes += entry.size
        while self._bytes > self._max_bytes:
            self._bytes -= self.entries.popleft().size
            self.dropped_count += 1

    def clear(self) -> None:
        self.entries.clear()
        self.seen_count = self.dropped_count = self._bytes = 0
