"""A campaign through the whole product: batches in through the API, and when the sandbox had them all."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench.bodies import batch_bodies
from bench.stage import Stage, Surface
from bench.usage import descendants, own_mebibytes, peak_mebibytes, read_usage

_MOST_SECONDS = 600.0
_PAGE = 10_000


@dataclass(frozen=True)
class Campaign:
    """One run. Seconds count from the first POST: to the last acceptance, and, where awaited, the last final report."""

    messages: int
    batches: list[str]
    post_seconds: list[float]
    accepted_seconds: float
    final_seconds: float | None
    cost: dict[str, float]

    @property
    def accepted_per_second(self) -> float:
        return self.messages / self.accepted_seconds

    @property
    def final_per_second(self) -> float:
        return self.messages / self.final_seconds if self.final_seconds else 0.0


def run_campaign(
    stage: Stage, messages: int, batch_rows: int, *, awaits_reports: bool, surface: Surface | None = None
) -> Campaign:
    """Batches posted one after another to a marketing surface, workers sending meanwhile. Errors: MeasureFailed."""
    surface = surface or stage.surface("marketing")
    bodies = batch_bodies(surface.name, messages, batch_rows, stage.to)
    before, already = read_usage(stage.stack), stage.accepted_count()
    at = time.time()
    started = time.perf_counter()
    batches, posts = _post(stage, bodies)
    stage.wait(lambda: stage.accepted_count() >= already + messages, _MOST_SECONDS, "all accepted", every=0.25)
    accepted = _last_acceptance(stage, already, messages) - at
    state, key = ("all final", "delivered") if awaits_reports else ("all answers recorded", "sent")
    for batch, total in batches:  # they end in their order: one call a look is enough
        stage.wait(lambda b=batch, n=total: _count(stage, b, key) == n, _MOST_SECONDS, state)  # type: ignore[misc]
    seconds = time.perf_counter() - started
    after = read_usage(stage.stack)
    return Campaign(
        messages,
        [batch for batch, _ in batches],
        posts,
        accepted,
        seconds if awaits_reports else None,
        after.per_message(before, messages),
    )


def _post(stage: Stage, bodies: Sequence[bytes]) -> tuple[list[tuple[str, int]], list[float]]:
    """(batch, its messages) each, and the seconds that each POST took."""
    batches, posts = [], []
    for body in bodies:
        started = time.perf_counter()
        answer = stage.post("/v1/batches", body)
        posts.append(time.perf_counter() - started)
        batches.append((answer["id"], answer["total"]))
    return batches, posts


def _count(stage: Stage, batch: str, state: str) -> int:
    return int(stage.get(f"/v1/batches/{batch}")["counts"].get(state, 0))


def _last_acceptance(stage: Stage, already: int, messages: int) -> float:
    """The instant, by this machine's clock: looks at the count come too seldom to tell."""
    first = already + max(0, messages - _PAGE)
    items: list[dict[str, Any]] = stage.acceptances(first, _PAGE)
    return max(datetime.fromisoformat(item["accepted_at"]) for item in items).timestamp()


@dataclass(frozen=True)
class PoolMemory:
    """Of the pool processes of the marketing queue: the most resident memory so far, and the fair share now; MiB."""

    peaks: list[float]
    shares: list[float]


def pool_memory(stage: Stage) -> PoolMemory:
    pid = stage.stack.pid_of("worker-marketing")
    pool = descendants(pid) if pid else []
    return PoolMemory([peak_mebibytes(p) for p in pool], [own_mebibytes(p) for p in pool])
