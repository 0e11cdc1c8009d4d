"""A stack left alone: what its ticks cost, and whether memory or tables grow."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.bench import Bench
from bench.figures import Figure, at_most
from bench.stage import Stage
from bench.usage import PROCESSES, cpu_seconds, descendants, own_mebibytes

_SIZES = "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables ORDER BY relname"


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    with bench.stage() as stage:
        stage.pause(sizes.settle_seconds)
        memory, tables = _memory(stage), _tables(stage)
        before, started = _cpu(stage), time.monotonic()
        stage.pause(sizes.idle_seconds)
        after, seconds = _cpu(stage), time.monotonic() - started
        memory_grown = _growth(memory, _memory(stage))
        later = _tables(stage)
    bytes_grown = _growth(tables.sizes, later.sizes)
    rows_grown = _growth(tables.rows, later.rows)
    shares = {name: (after[name] - before[name]) / seconds * 100 for name in before}
    return [
        Figure(
            f"CPU of all processes over {seconds:,.0f} s, of one core",
            sum(shares.values()),
            "%",
            (at_most(3.0),),
            details={"by_process": shares},
        ),
        Figure(
            "growth of memory meanwhile",
            sum(memory_grown.values()),
            "MiB",
            details={"before_by_process": memory, "growth_by_process": memory_grown},
        ),
        Figure(
            "growth of tables meanwhile",
            sum(bytes_grown.values()) / 1024,
            "KiB",
            details={"bytes_by_table": _only_grown(bytes_grown)},
        ),
        Figure(
            "rows that came meanwhile",
            sum(rows_grown.values()),
            "rows",
            details={"rows_by_table": _only_grown(rows_grown)},
        ),
    ]


def _growth(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before.get(name, 0) for name in after}


def _only_grown(growth: Mapping[str, float]) -> dict[str, float]:
    return {name: n for name, n in growth.items() if n}


def _pids(stage: Stage) -> dict[str, int]:
    return {name: pid for name in PROCESSES if (pid := stage.stack.pid_of(name))}


def _cpu(stage: Stage) -> dict[str, float]:
    return {name: cpu_seconds(pid) for name, pid in _pids(stage).items()}


def _memory(stage: Stage) -> dict[str, float]:
    """MiB of each process with its descendants; what is shared is divided among its sharers."""
    return {
        name: sum(own_mebibytes(process) for process in (pid, *descendants(pid))) for name, pid in _pids(stage).items()
    }


@dataclass(frozen=True)
class _Tables:
    """Bytes with indexes, and rows, by table."""

    sizes: dict[str, int]
    rows: dict[str, int]


def _tables(stage: Stage) -> _Tables:
    sizes = {str(name): int(size) for name, size in stage.rows(_SIZES)}
    return _Tables(sizes, {name: int(stage.rows(f"SELECT count(*) FROM {name}")[0][0]) for name in sizes})
