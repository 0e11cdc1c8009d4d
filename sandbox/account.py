"""The one account behind the sandbox: its messages, its traffic, its trouble. Every call works on this."""

import time
from collections import deque
from dataclasses import dataclass

from sandbox.channels import Channel
from sandbox.faults import Faults
from sandbox.inbound import InboundMessage
from sandbox.pushes import Pushes
from sandbox.reports import Report
from sandbox.store import Store
from sandbox.traffic import LoggedPush, LoggedRequest, TrafficLog
from sandbox.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Settings:
    """`push_retry_unit_seconds`: see `pushes.py`. `push_tries` counts the first. `logs_per_minute` is of each
    channel; 0 is no limit. `log_mebibytes` bounds the bodies kept in the log of requests, and again those in the log
    of pushes."""

    push_retry_unit_seconds: float = 60.0
    push_tries: int = 12
    logs_per_minute: int = 120
    log_mebibytes: int = 512


class Throttle:
    """At most `per_minute` calls in any 60 seconds."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._taken: deque[float] = deque()

    def seconds_to_wait(self) -> float:
        """0 takes a place; anything else is how long until one is free."""
        if not self._per_minute:
            return 0.0
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - 60:
            self._taken.popleft()
        if len(self._taken) >= self._per_minute:
            return self._taken[0] + 60 - now
        self._taken.append(now)
        return 0.0


class Account:
    def __init__(self, settings: Settings) -> None:
        log_bytes = settings.log_mebibytes * 2**20
        self.store = Store()
        self.faults = Faults()
        self.requests: TrafficLog[LoggedRequest] = TrafficLog(log_bytes)
        self.push_log: TrafficLog[LoggedPush] = TrafficLog(log_bytes)
        self.pushes = Pushes(self.push_log, settings.push_retry_unit_seconds, settings.push_tries)
        self.logs_throttles = {channel: Throttle(settings.logs_per_minute) for channel in Channel}
        self.uploads = Uploads()
        self.pull_queue: dict[str, Report] = {}  # By message id, oldest first; those due in the future among them.
        # What waits for the pull of its channel, in the order it was written.
        self.inboxes: dict[Channel, list[InboundMessage]] = {channel: [] for channel in Channel}
        self.inbound_count = 0

    def receive(self, message: InboundMessage) -> None:
        """A handset writes to us."""
        self.inbound_count += 1
        if message.url:
            self.pushes.push(message.kind, message.url, [message])
        else:
            self.inboxes[message.channel].append(message)

    def forget(self) -> None:
        """Empty every log and count, and what waits for a pull. What is promised to a webhook still goes out, and what
        was uploaded can still be sent."""
        self.store.clear()
        self.requests.clear()
        self.push_log.clear()
        self.pull_queue.clear()
        for inbox in self.inboxes.values():
            inbox.clear()
        self.inbound_count = 0
