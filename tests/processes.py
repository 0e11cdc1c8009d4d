"""Real processes for tests: started on free ports, waited for, stopped by their own handle."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx

from cli.ports import free_port

T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = 10.0, every: float = 0.02) -> T:
    """The first true value of `condition`; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(every)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def running_sandbox(*options: str) -> Iterator[str]:
    """URL of a sandbox of our own."""
    port = free_port()
    command = [sys.executable, "-m", "sandbox", "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(url + "/healthz"), 20)
        yield url
    finally:
        process.terminate()
        process.wait(10)
