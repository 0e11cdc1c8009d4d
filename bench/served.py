"""An ASGI application under uvicorn in a process of its own, served as the product's API is."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import httpx

from bench.errors import MeasureFailed
from bench.processes import end
from cli.ports import free_port

_START_SECONDS = 20.0


@contextlib.contextmanager
def served(application: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The URL of `application` (`module:name`), which answers 200 to any GET once it serves."""
    port = free_port()
    options = ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", application, *options], env={**os.environ, **(environment or {})}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(application, url, process)
        yield url
    finally:
        end(process)


def _wait_until_it_answers(application: str, url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False).is_success:
                return
        time.sleep(0.05)
    raise MeasureFailed(f"{application} did not serve")
