"""Delivery reports and inbound messages on their way to webhooks.

Reports wait in time buckets, one timer for each slice of 20 ms. When due they join the lane of their URL, which sends
up to 100 in a request and keeps a few requests open. Inbound messages join theirs at once. Anything but 200 is a
failure; the same body is then sent again after unit + unit * n * n, n = 0 for the first retry (1, 2, 5, 10, 17 ...
minutes by Infobip's unit of a minute).
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from sandbox.clock import now_ms
from sandbox.traffic import LoggedPush, TrafficLog
from sandbox.webhooks import Webhook

BUCKET_SIZE = 100
OPEN_REQUESTS_PER_URL = 8
SLICE_MS = 20


class Item(Protocol):
    """One entry of a body."""

    def as_wire(self) -> dict[str, object]: ...

    def taken(self) -> "Item | None":
        """Called once the webhook has it; gives what is to follow it there."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of webhook: its name, as the log has it, and whether a body tells how many items it holds and how many
    more wait in line behind them."""

    name: str
    is_counted: bool = False


@dataclass(slots=True)
class Bucket:
    """One body for one webhook, and how often it was tried."""

    body: bytes
    items: list[Item]
    tries: int = 0


@dataclass(slots=True)
class Lane:
    """What waits for one URL."""

    kind: Kind
    webhook: Webhook
    items: deque[Item] = field(default_factory=deque)
    again: deque[Bucket] = field(default_factory=deque)
    open_count: int = 0

    def next_bucket(self) -> Bucket | None:
        if self.again:
            return self.again.popleft()
        if not self.items:
            return None
        items = [self.items.popleft() for _ in range(min(BUCKET_SIZE, len(self.items)))]
        body: dict[str, object] = {"results": [item.as_wire() for item in items]}
        if self.kind.is_counted:
            body |= {"messageCount": len(items), "pendingMessageCount": len(self.items)}
        return Bucket(orjson.dumps(body), items)


class Pushes:
    """The one scheduler. `start` and `stop` must be called inside the event loop."""

    def __init__(self, log: TrafficLog[LoggedPush], retry_unit_seconds: float, tries: int) -> None:
        self._log = log
        self._retry_unit_seconds = retry_unit_seconds
        self._tries = tries
        self._slices: dict[int, list[tuple[Kind, str, Sequence[Item]]]] = {}
        self._lanes: dict[tuple[Kind, str], Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes.values():
            lane.webhook.close()

    def schedule(self, due_ms: int, kind: Kind, url: str, items: Sequence[Item]) -> None:
        """Push `items` to `url` when the time has come; never before."""
        due_slice = -(-due_ms // SLICE_MS)
        waiting = self._slices.get(due_slice)
        if waiting is None:
            waiting = self._slices[due_slice] = []
            self._loop.call_later(max(0, due_slice * SLICE_MS - now_ms()) / 1000, self._open_slice, due_slice)
        waiting.append((kind, url, items))

    def _open_slice(self, due_slice: int) -> None:
        for kind, url, items in self._slices.pop(due_slice):
            self.push(kind, url, items)

    def push(self, kind: Kind, url: str, items: Sequence[Item]) -> None:
        """Push `items` to `url` at once, behind what waits for it already."""
        lane = self._lane(kind, url)
        lane.items.extend(items)
        self._fill(lane)

    def _lane(self, kind: Kind, url: str) -> Lane:
        lane = self._lanes.get((kind, url))
        if lane is None:
            lane = self._lanes[kind, url] = Lane(kind, Webhook(url))
        return lane

    def _fill(self, lane: Lane) -> None:
        while lane.open_count < OPEN_REQUESTS_PER_URL and (bucket := lane.next_bucket()):
            lane.open_count += 1
            task = self._loop.create_task(self._push(lane, bucket))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _push(self, lane: Lane, bucket: Bucket) -> None:
        bucket.tries += 1
        started_ms = now_ms()
        try:
            status = await lane.webhook.post(bucket.body)
        finally:
            lane.open_count -= 1
        self._log.add(LoggedPush(lane.kind.name, bucket.body, status, started_ms))
        if status == 200:
            for item in bucket.items:
                if following := item.taken():
                    lane.items.append(following)
        elif bucket.tries < self._tries:
            retries = bucket.tries - 1
            wait = self._retry_unit_seconds * (1 + retries * retries)
            self._loop.call_later(wait, self._retry, lane, bucket)
        self._fill(lane)

    def _retry(self, lane: Lane, bucket: Bucket) -> None:
        lane.again.append(bucket)
        self._fill(lane)
