"""The load generator: prebuilt requests over a few keep-alive connections, in a process of its own.

httpx would take more CPU than the endpoint it asks; this is a bare asyncio protocol under uvloop that writes bytes and
lets httptools read the answers. Each connection has one request open, and takes the next when its answer is here.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import httptools
import uvloop

from bench.errors import MeasureFailed

_MOST_SECONDS = 600.0


@dataclass
class Outcome:
    """What came of a load. Seconds, from the first request out to the last answer in; a latency for each answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  # requests without an answer, by what broke
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.statuses.total() / self.seconds if self.seconds else 0.0

    def check(self, status: int) -> None:
        """Errors: MeasureFailed where any request was answered otherwise or not at all."""
        if self.errors or set(self.statuses) - {status}:
            raise MeasureFailed(f"not every answer was {status}: {dict(self.statuses)}, broken: {dict(self.errors)}")

    def __add__(self, other: "Outcome") -> "Outcome":
        """Two loads, one after the other."""
        return Outcome(
            self.statuses + other.statuses,
            self.errors + other.errors,
            self.seconds + other.seconds,
            self.latencies + other.latencies,
        )


def drive(
    url: str,
    bodies: Sequence[bytes],
    connections: int,
    headers: Mapping[str, str] | None = None,
    *,
    has_keys: bool = False,
) -> Outcome:
    """POST every body (JSON, without line breaks) to `url` from a process of its own; `has_keys`: each with an
    Idempotency-Key. Errors: MeasureFailed."""
    with tempfile.TemporaryDirectory(prefix="delivery-load-") as folder:
        path = Path(folder) / "job"
        job = {
            "url": url,
            "connections": connections,
            "headers": {"Content-Type": "application/json", **(headers or {})},
            "has_keys": has_keys,
        }
        path.write_bytes(b"\n".join([json.dumps(job).encode(), *bodies]))
        command = [sys.executable, "-m", "bench.load", str(path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=_MOST_SECONDS, check=False)
    if done.returncode:
        raise MeasureFailed(f"the load generator ended with {done.returncode}")
    told = json.loads(done.stdout)
    statuses = Counter({int(status): n for status, n in told["statuses"].items()})
    return Outcome(statuses, Counter(told["errors"]), told["seconds"], told["latencies"])


async def run_load(host: str, port: int, requests: Sequence[bytes], connections: int) -> Outcome:
    """Send each request once. Never raises for what the server does: that is counted."""
    run = _Run(iter(requests))
    started = time.perf_counter()
    await asyncio.gather(*(_keep_connected(run, host, port) for _ in range(connections)))
    run.outcome.seconds = (run.last_answer_at or time.perf_counter()) - started
    return run.outcome


class _Run:
    """What is left to send, and what came of the rest."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.outcome = Outcome()
        self.last_answer_at = 0.0
        self.is_over = False
        self._requests = requests

    def take(self) -> bytes | None:
        request = next(self._requests, None)
        self.is_over = request is None
        return request

    def count(self, status: int, started: float) -> None:
        self.last_answer_at = time.perf_counter()
        self.outcome.statuses[status] += 1
        self.outcome.latencies.append(self.last_answer_at - started)


async def _keep_connected(run: _Run, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    while not run.is_over:
        try:
            _, connection = await loop.create_connection(lambda: _Connection(run), host, port)
        except OSError as error:
            if run.take() is not None:
                run.outcome.errors[type(error).__name__] += 1
            continue
        await connection.done


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._run = run
        self._parser = httptools.HttpResponseParser(self)
        self._started: float | None = None  # of the request that is open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send_next()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_complete(self) -> None:
        if self._started is None:
            return  # an answer that nobody asked for
        self._run.count(self._parser.get_status_code(), self._started)
        self._started = None
        if self._parser.should_keep_alive():
            self._send_next()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._started is not None:
            self._run.outcome.errors[type(error).__name__ if error else "ConnectionClosed"] += 1
        self.done.set_result(None)

    def _send_next(self) -> None:
        request = self._run.take()
        if request is None:
            self._transport.close()
            return
        self._started = time.perf_counter()
        self._transport.write(request)


def request_bytes(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    parts = urlsplit(url)
    lines = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _key(job: Mapping[str, Any]) -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex} if job["has_keys"] else {}


def main(path: str) -> None:
    """Read a job as `drive` wrote it, do it, tell what came of it on stdout."""
    first, *bodies = Path(path).read_bytes().split(b"\n")
    job: dict[str, Any] = json.loads(first)
    requests = [request_bytes(job["url"], {**job["headers"], **_key(job)}, body) for body in bodies]
    parts = urlsplit(job["url"])
    outcome = uvloop.run(run_load(parts.hostname or "", parts.port or 80, requests, job["connections"]))
    told = {
        "statuses": outcome.statuses,
        "errors": outcome.errors,
        "seconds": outcome.seconds,
        "latencies": outcome.latencies,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
