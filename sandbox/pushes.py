"""Delivery reports on their way to webhooks.

Reports wait in time buckets, one timer for each slice of 20 ms. When due they join the lane of their URL, which sends
up to 100 in a request and keeps a few requests open. Anything but 200 is a failure; the same body is then sent again
after unit + unit * n * n, n = 0 for the first retry (1, 2, 5, 10, 17 ... minutes by Infobip's unit of a minute).
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import orjson

from sandbox.clock import format_ms, now_ms
from sandbox.codes import MessageError, Status
from sandbox.store import Record
from sandbox.traffic import LoggedPush, TrafficLog
from sandbox.webhooks import Webhook

BUCKET_SIZE = 100
OPEN_REQUESTS_PER_URL = 8
SLICE_MS = 20


@dataclass(slots=True)
class Report:
    """A delivery report. `then` leaves once the webhook has taken this one, so that it surely comes later."""

    record: Record
    status: Status
    error: MessageError
    done_ms: int
    then: "Report | None" = None

    def as_wire(self) -> dict[str, object]:
        record = self.record
        wire: dict[str, object] = {
            "bulkId": record.bulk_id,
            "price": record.price,
            "status": self.status,
            "error": self.error,
            "messageId": record.message_id,
            "to": record.to,
            "sentAt": format_ms(record.sent_ms),
            "doneAt": format_ms(self.done_ms),
            "messageCount": record.message_count,
            "mccMnc": record.mcc_mnc,
        }
        if record.sender is not None:
            wire["sender"] = record.sender
        if record.callback_data is not None:
            wire["callbackData"] = record.callback_data
        if record.platform is not None:
            wire["platform"] = record.platform
        if record.campaign_reference_id is not None:
            wire["campaignReferenceId"] = record.campaign_reference_id
        return wire


@dataclass(slots=True)
class Bucket:
    """One body for one webhook, and how often it was tried."""

    name: str
    body: bytes
    reports: list[Report]
    tries: int = 0


@dataclass(slots=True)
class Lane:
    """What waits for one URL. `name` is the kind of webhook, as the log has it."""

    name: str
    webhook: Webhook
    reports: deque[Report] = field(default_factory=deque)
    again: deque[Bucket] = field(default_factory=deque)
    open_count: int = 0

    def next_bucket(self) -> Bucket | None:
        if self.again:
            return self.again.popleft()
        if not self.reports:
            return None
        taken = [self.reports.popleft() for _ in range(min(BUCKET_SIZE, len(self.reports)))]
        body = orjson.dumps({"results": [report.as_wire() for report in taken]})
        return Bucket(self.name, body, taken)


class Pushes:
    """The one scheduler. `start` and `stop` must be called inside the event loop."""

    def __init__(self, log: TrafficLog[LoggedPush], retry_unit_seconds: float, tries: int) -> None:
        self._log = log
        self._retry_unit_seconds = retry_unit_seconds
        self._tries = tries
        self._slices: dict[int, list[tuple[str, str, list[Report]]]] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes.values():
            lane.webhook.close()

    def schedule(self, due_ms: int, name: str, url: str, reports: list[Report]) -> None:
        """Push `reports` to `url` when the time has come; never before."""
        due_slice = -(-due_ms // SLICE_MS)
        waiting = self._slices.get(due_slice)
        if waiting is None:
            waiting = self._slices[due_slice] = []
            self._loop.call_later(max(0, due_slice * SLICE_MS - now_ms()) / 1000, self._open_slice, due_slice)
        waiting.append((name, url, reports))

    def _open_slice(self, due_slice: int) -> None:
        for name, url, reports in self._slices.pop(due_slice):
            lane = self._lane(name, url)
            lane.reports.extend(reports)
            self._fill(lane)

    def _lane(self, name: str, url: str) -> Lane:
        lane = self._lanes.get((name, url))
        if lane is None:
            lane = self._lanes[name, url] = Lane(name, Webhook(url))
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
        self._log.add(LoggedPush(bucket.name, bucket.body, status, started_ms))
        if status == 200:
            for report in bucket.reports:
                report.record.reports_pushed += 1
                if report.then:
                    lane.reports.append(report.then)
        elif bucket.tries < self._tries:
            retries = bucket.tries - 1
            wait = self._retry_unit_seconds * (1 + retries * retries)
            self._loop.call_later(wait, self._retry, lane, bucket)
        self._fill(lane)

    def _retry(self, lane: Lane, bucket: Bucket) -> None:
        lane.again.append(bucket)
        self._fill(lane)
