"""What was looked up within the last seconds, so that a rush of requests does not ask the database each time."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

K = TypeVar("K")
V = TypeVar("V")

_MOST = 10_000


class Recent(Generic[K, V]):
    """Values by key, each forgotten after `seconds`. Used from one thread: the event loop's."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: dict[K, tuple[float, V]] = {}
        self._reading: dict[K, asyncio.Future[V | None]] = {}

    async def get(self, key: K, read: Callable[[], V | None]) -> V | None:
        """The value of this key: kept, or read in a thread, once for all that ask meanwhile. None is not kept."""
        found = self._kept.get(key)
        if found is not None and found[0] >= time.monotonic():
            return found[1]
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.ensure_future(self._read(key, read))
        return await asyncio.shield(reading)  # who gives up leaves it to the others

    async def _read(self, key: K, read: Callable[[], V | None]) -> V | None:
        try:
            value = await run_in_threadpool(read)
        finally:
            del self._reading[key]
        if value is not None:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = (time.monotonic() + self._seconds, value)
        return value
