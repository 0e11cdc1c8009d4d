"""Batches of 10,000 one after another, to be sent in a month: how long each takes, and what they do to memory."""

import time
from datetime import UTC, datetime, timedelta

from bench.bench import Bench
from bench.bodies import batch_bodies
from bench.figures import Figure, at_most, percentile
from bench.usage import read_usage, resident_mebibytes


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    with bench.stage() as stage:
        surface = stage.surface("marketing").name
        send_at = (datetime.now(UTC) + timedelta(days=30)).isoformat()
        api = stage.stack.pid_of("api") or 0
        at_start = resident_mebibytes(api)
        before = read_usage(stage.stack)
        seconds, early = [], 0.0
        for number in range(1, sizes.batches + 1):
            (body,) = batch_bodies(surface, sizes.batch_rows, sizes.batch_rows, stage.to, send_at=send_at)
            started = time.perf_counter()
            stage.post("/v1/batches", body)
            seconds.append(time.perf_counter() - started)
            if number == sizes.batches_before:
                early = resident_mebibytes(api)
        late = resident_mebibytes(api)
        rows = sizes.batches * sizes.batch_rows
        bench.costs["batches in"] = read_usage(stage.stack).per_message(before, rows)
    return [
        Figure(
            f"POST /v1/batches of {sizes.batch_rows:,}, p50",
            percentile(seconds, 0.5),
            "s",
            (at_most(0.7),),
            details={"p95_seconds": percentile(seconds, 0.95), "most_seconds": max(seconds)},
        ),
        Figure(
            f"the API's memory, batch {sizes.batches_before} to {sizes.batches}",
            (late - early) / early * 100,
            "%",
            (at_most(5.0),),
            details={"at_start_mebibytes": at_start, "early_mebibytes": early, "late_mebibytes": late},
        ),
        Figure("the same", late - early, "MiB"),
    ]
