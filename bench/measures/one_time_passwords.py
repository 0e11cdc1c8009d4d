"""Single transactional sends while a million marketing messages drain, reports and all; and reads of that batch."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from bench.backlog import DUE_NOW, extend_batch, first_batch
from bench.bench import Bench
from bench.bodies import batch_bodies, single_bodies
from bench.errors import MeasureFailed
from bench.figures import Figure, at_most, percentile
from bench.sizes import Sizes
from bench.stage import Stage

_MOST_SECONDS = 1_800.0
_READ_EVERY_SECONDS = 0.5
_BATCH_EVERY_SECONDS = 5.0  # others' batches come in meanwhile
_PAGE = 10_000
_SETTLE_SECONDS = 3.0
_UNSENT = ("queued", "sending")


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    with bench.stage() as stage:
        already = stage.accepted_count()
        batch = first_batch(stage, stage.surface("marketing"))
        singles = _Singles(stage)
        reads: list[float] = []
        with _Background() as background:
            started = time.perf_counter()
            extend_batch(stage, batch, 1, sizes.campaign, DUE_NOW)
            background.every(1 / sizes.singles_per_second, singles.send)
            background.every(_BATCH_EVERY_SECONDS, _other_batches(stage, sizes))
            stage.wait(lambda: _is_drained(stage, batch, reads), _MOST_SECONDS, "drained", every=_READ_EVERY_SECONDS)
            seconds = time.perf_counter() - started
        stage.pause(_SETTLE_SECONDS)
        waits = singles.waits(already)
    return [
        Figure("a single send, from the 202 to accepted, p50", percentile(waits, 0.5), "s"),
        Figure(
            "the same, p99",
            percentile(waits, 0.99),
            "s",
            (at_most(1.0),),
            details={"sends": len(waits), "most_seconds": max(waits)},
        ),
        Figure(
            f"GET /v1/batches/{{id}} of {sizes.campaign:,} that drain, p50",
            percentile(reads, 0.5) * 1000,
            "ms",
            (at_most(100.0),),
            details={"reads": len(reads), "p99_ms": percentile(reads, 0.99) * 1000, "most_ms": max(reads) * 1000},
        ),
        Figure("the same, p99", percentile(reads, 0.99) * 1000, "ms"),
        Figure("the campaign meanwhile", sizes.campaign / seconds, "/s", details={"seconds": seconds}),
    ]


def _is_drained(stage: Stage, batch: str, reads: list[float]) -> bool:
    started = time.perf_counter()
    counts = stage.get(f"/v1/batches/{batch}")["counts"]
    reads.append(time.perf_counter() - started)
    return not any(counts.get(state) for state in _UNSENT)


class _Singles:
    """One-time passwords: when each was answered 202, and when Infobip had it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._surface = stage.surface("transactional").name
        self._answered_at: dict[str, float] = {}

    def send(self) -> None:
        (body,) = single_bodies(self._surface, 1, self._stage.to)
        message_id = self._stage.post("/v1/messages", body)["id"]
        self._answered_at[f"{message_id}-1"] = time.time()

    def waits(self, start: int) -> list[float]:
        """Seconds, one for each send. Errors: MeasureFailed where Infobip never had one."""
        waits: list[float] = []
        while items := self._stage.acceptances(start, _PAGE):
            waits += [
                max(0.0, datetime.fromisoformat(item["accepted_at"]).timestamp() - answered)
                for item in items
                if (answered := self._answered_at.get(item["message_id"])) is not None
            ]
            start += len(items)
        if len(waits) != len(self._answered_at) or not waits:
            raise MeasureFailed(f"{len(self._answered_at)} single sends were answered 202, {len(waits)} were accepted")
        return waits


def _other_batches(stage: Stage, sizes: Sizes) -> Callable[[], None]:
    surface = stage.surface("marketing").name

    def post() -> None:
        (body,) = batch_bodies(surface, sizes.batch_rows, sizes.batch_rows, stage.to)
        stage.post("/v1/batches", body)

    return post


class _Background:
    """Calls at a steady pace, several at once where they take longer; what one raised is raised at the end."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=8)
        self._pacers: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def __enter__(self) -> "_Background":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._is_over.set()
        for pacer in self._pacers:
            pacer.join()
        self._pool.shutdown()
        if self._errors and kind is None:
            raise self._errors[0]

    def every(self, seconds: float, call: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                call()
            except Exception as error:  # raised again in the thread that waits
                self._errors.append(error)

        def pace() -> None:
            due = time.monotonic()
            while not self._is_over.wait(max(0.0, due - time.monotonic())):
                self._pool.submit(guarded)
                due += seconds

        pacer = threading.Thread(target=pace, name="pacer", daemon=True)
        pacer.start()
        self._pacers.append(pacer)
