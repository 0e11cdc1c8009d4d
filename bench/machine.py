"""Where and with what the figures were taken."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import redis

from bench.errors import MeasureFailed
from bench.usage import plain_dsn
from cli.stack import Stack

_LIBRARIES = (
    *("celery", "kombu", "redis", "httpx", "sqlmodel", "sqlalchemy", "psycopg", "fastapi", "starlette", "uvicorn"),
    *("uvloop", "httptools", "orjson", "pydantic"),
)
_DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")


def describe_machine() -> dict[str, Any]:
    """Read at the start: `load` is what others were doing by then."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _read("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mebibytes": int(_read("/proc/meminfo", r"MemTotal:\s+(\d+)") or 0) // 1024,
        "system": platform.platform(terse=True),
        "load": list(os.getloadavg()),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def describe_servers(stack: Stack) -> dict[str, Any]:
    """The servers' versions and how durable a commit is. Errors: MeasureFailed where it is not."""
    with psycopg.connect(plain_dsn(stack.database_url)) as connection:
        shown = {name: _show(connection, name) for name in ("server_version", *_DURABILITY, "wal_level")}
    lacking = [name for name in _DURABILITY if shown[name] != "on"]
    if lacking:
        raise MeasureFailed(f"figures without durable commits say nothing: {', '.join(lacking)} must be on")
    with redis.Redis.from_url(stack.redis_url) as client:
        redis_version = str(client.info("server")["redis_version"])
    return {"postgresql": shown.pop("server_version"), "redis": redis_version, **shown}


def _show(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


def _read(path: str, pattern: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return found[1].strip() if found else None
