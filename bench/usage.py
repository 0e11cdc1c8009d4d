"""What a stack uses: CPU seconds, memory, write-ahead log, Redis commands; by process, from the kernel and the servers.

A process counts with its descendants, the dead ones included once they are reaped. PostgreSQL is its postmaster with
all backends, whosesoever they are.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from cli.stack import Stack

WORKERS = ("worker-transactional", "worker-marketing", "worker-upkeep")
PROCESSES = ("api", *WORKERS, "beat", "postgres", "redis", "sandbox")
ALL_OURS = "all but the sandbox, us"
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """Counters at one instant: CPU seconds by process, and the servers' own."""

    cpu_seconds: dict[str, float]
    wal_bytes: int
    database_bytes: int
    commits: int
    redis_commands: int

    def per_message(self, since: "Usage", messages: int) -> dict[str, float]:
        """What one of `messages` cost from `since` to here."""
        cost = {
            f"{name}, us": (self.cpu_seconds[name] - since.cpu_seconds[name]) / messages * 1e6
            for name in self.cpu_seconds
        }
        product = sum(cost.values()) - cost.get("sandbox, us", 0.0)
        return {
            **cost,
            ALL_OURS: product,
            "write-ahead log, bytes": (self.wal_bytes - since.wal_bytes) / messages,
            "database, bytes": (self.database_bytes - since.database_bytes) / messages,
            "commits": (self.commits - since.commits) / messages,
            "Redis commands": (self.redis_commands - since.redis_commands) / messages,
        }


def read_usage(stack: Stack) -> Usage:
    cpu = {name: cpu_seconds(pid) for name in PROCESSES if (pid := stack.pid_of(name))}
    with psycopg.connect(plain_dsn(stack.database_url), autocommit=True) as connection:
        row = connection.execute(
            """SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
                      pg_database_size(current_database()), xact_commit
               FROM pg_stat_database WHERE datname = current_database()"""
        ).fetchone()
    with redis.Redis.from_url(stack.redis_url) as client:
        commands = int(client.info("stats")["total_commands_processed"])
    assert row is not None  # both views always have their row
    wal_bytes, database_bytes, commits = row
    return Usage(cpu, wal_bytes, database_bytes, commits, commands)


def plain_dsn(url: str) -> str:
    """For psycopg, from a URL for SQLAlchemy."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        here = waiting.pop()
        found += children.get(here, [])
        waiting += children.get(here, [])
    return found


def cpu_seconds(pid: int) -> float:
    """Of a process and its descendants, user and system, with the dead children that it reaped."""
    ticks = 0
    for index, process in enumerate([pid, *descendants(pid)]):
        with contextlib.suppress(OSError, IndexError):
            fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15] if index == 0 else fields[11:13]))
    return ticks / _TICKS


def peak_mebibytes(pid: int) -> float:
    """The most resident memory of one process so far; 0 if it is gone."""
    return _status_kibibytes(pid, "VmHWM") / 1024


def resident_mebibytes(pid: int) -> float:
    return _status_kibibytes(pid, "VmRSS") / 1024


def own_mebibytes(pid: int) -> float:
    """Resident memory with what is shared divided by its sharers (PSS)."""
    return _field_kibibytes(_PROC / str(pid) / "smaps_rollup", "Pss") / 1024


def _status_kibibytes(pid: int, name: str) -> float:
    return _field_kibibytes(_PROC / str(pid) / "status", name)


def _field_kibibytes(path: Path, name: str) -> float:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return float(found[1]) if found else 0.0


def _parents() -> Iterator[tuple[int, int]]:
    """(process, its parent), for every process."""
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])
