"""What the demo knows so far, from one look to the next, and how fast it moves."""

import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from worker.states import FINAL, State

HEADING = "delivery demo"
_RATE_SECONDS = 1.0


@dataclass(frozen=True)
class Snapshot:
    """What is known at one instant. Rates are messages a second; histories have a number for each second so far.

    `remaining_seconds` of the batch's validity is below zero once that is over, and None before there is a batch.
    """

    doing: str
    elapsed_seconds: float
    total: int
    validity_seconds: float
    grace_seconds: float
    remaining_seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Sequence[tuple[str, int]] = ()
    request_count: int = 0
    accepted_count: int = 0
    retry_count: int = 0
    accepted_rate: float = 0.0
    finished_rate: float = 0.0
    accepted_history: Sequence[float] = ()
    finished_history: Sequence[float] = ()
    next_retry_at: datetime | None = None
    next_retry_seconds: float | None = None
    notes: Sequence[str] = ()
    heading: str = HEADING

    @property
    def final_count(self) -> int:
        return sum(self.counts.get(state, 0) for state in FINAL)


def what_goes_on(counts: Mapping[str, int], remaining_seconds: float) -> str:
    """The phase of a running batch, in words."""
    if counts.get(State.QUEUED):
        return "Handing messages to Infobip, hundreds in a request"
    if remaining_seconds <= 0 and any(counts.get(state) for state in (State.SENDING, State.SENT, State.RETRYING)):
        return "Validity is over: a last chance for reports that never came"
    if counts.get(State.RETRYING):
        return "Trying again whoever could not be reached, while there is time"
    if counts.get(State.SENT) or counts.get(State.SENDING):
        return "Waiting for the last reports"
    return "Every message has met its fate"


class Pace:
    """A count that grows, looked at now and then. Times are seconds of one clock, in order."""

    def __init__(self) -> None:
        self._at: list[float] = []
        self._counts: list[int] = []

    def look(self, at: float, count: int) -> None:
        self._counts.append(count)  # before its time: a reader in another thread goes by the times
        self._at.append(at)

    @property
    def rate(self) -> float:
        """A second, over the last second."""
        if len(self._at) < 2:
            return 0.0
        last = len(self._at) - 1
        first = min(max(0, bisect_right(self._at, self._at[last] - _RATE_SECONDS) - 1), last - 1)
        return max(0.0, (self._counts[last] - self._counts[first]) / (self._at[last] - self._at[first]))

    @property
    def history(self) -> Sequence[int]:
        """How much it grew in each second since the first look, the unfinished one included."""
        if not self._at:
            return ()
        start, end = self._at[0], self._at[-1]
        ends = [self._count_at(start + second) for second in range(int(end - start) + 2)]
        return [max(0, after - before) for before, after in pairwise(ends)]

    def _count_at(self, at: float) -> int:
        return self._counts[max(0, bisect_right(self._at, at) - 1)]


@dataclass
class Progress:
    """Of one batch. `batch`, `sandbox` and `retries_at` are the latest answers."""

    total: int
    validity_seconds: float
    grace_seconds: float
    doing: str
    started_at: float = field(default_factory=time.monotonic)
    batch: dict[str, Any] | None = None
    sandbox: dict[str, Any] = field(default_factory=dict)
    retries_at: Sequence[datetime] = ()
    notes: Sequence[str] = ()
    accepted: Pace = field(default_factory=Pace)
    finished: Pace = field(default_factory=Pace)
    heading: str = HEADING

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started_at

    @property
    def remaining_seconds(self) -> float | None:
        """Of the batch's validity; below zero once it is over."""
        if self.batch is None:
            return None
        return (datetime.fromisoformat(self.batch["expires_at"]) - datetime.now(UTC)).total_seconds()

    @property
    def is_done(self) -> bool:
        return self.batch is not None and self.batch["state"] == "done"

    def of_replay(self, batch: dict[str, Any], validity_seconds: float) -> "Progress":
        """That of the batch which replays this one, on the same clock."""
        replay = Progress(
            batch["total"],
            validity_seconds,
            self.grace_seconds,
            "",
            started_at=self.started_at,
            heading=f"{HEADING}: the replay",
        )
        replay.saw_batch(batch)
        return replay

    def saw_batch(self, batch: dict[str, Any]) -> None:
        self.batch = batch
        self.doing = what_goes_on(batch["counts"], self.remaining_seconds or 0.0)
        self.finished.look(time.monotonic(), sum(batch["counts"].get(state, 0) for state in FINAL))

    def saw_sandbox(self, summary: dict[str, Any]) -> None:
        self.sandbox = summary
        self.accepted.look(time.monotonic(), summary["accepted"])

    def snapshot(self) -> Snapshot:
        batch = self.batch or {"counts": {}, "reasons": []}
        sandbox = {"requests": 0, "accepted": 0, "recipients": 0, **self.sandbox}
        now = datetime.now(UTC)
        next_retry_at = min((at for at in self.retries_at if at > now), default=None)
        return Snapshot(
            doing=self.doing,
            elapsed_seconds=self.elapsed_seconds,
            total=self.total,
            validity_seconds=self.validity_seconds,
            grace_seconds=self.grace_seconds,
            remaining_seconds=self.remaining_seconds,
            counts=batch["counts"],
            reasons=[(item["reason"], item["count"]) for item in batch["reasons"]],
            request_count=sandbox["requests"],
            accepted_count=sandbox["accepted"],
            retry_count=sandbox["accepted"] - sandbox["recipients"],
            accepted_rate=self.accepted.rate,
            finished_rate=self.finished.rate,
            accepted_history=self.accepted.history,
            finished_history=self.finished.history,
            next_retry_at=next_retry_at,
            next_retry_seconds=None if next_retry_at is None else (next_retry_at - now).total_seconds(),
            notes=self.notes,
            heading=self.heading,
        )
