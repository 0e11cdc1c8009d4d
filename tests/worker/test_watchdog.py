"""The worker that stopped consuming: what counts as one, and what becomes of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet

from cli.embedded_redis import EmbeddedRedis
from tests.processes import wait_for
from tests.worker import hung_worker
from worker import watchdog
from worker.watchdog import Sample, stalled_samples

ROOT = Path(__file__).parents[2]
IDLE = Sample(taken=5, is_busy=False, waiting=3)


@pytest.mark.parametrize(
    ("sample", "is_stalled"),
    [
        (IDLE, True),
        (replace(IDLE, taken=6), False),
        (replace(IDLE, is_busy=True), False),
        (replace(IDLE, waiting=0), False),  # also where Redis is away
    ],
    ids=["leaves tasks alone", "took one", "has one in hand", "nothing waits"],
)
def test_a_worker_is_stalled_while_it_leaves_waiting_tasks_alone(sample: Sample, is_stalled: bool) -> None:
    assert stalled_samples(4, IDLE, sample) == (5 if is_stalled else 0)


@contextmanager
def worker(module: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", module, "worker", "--queues", "upkeep", "--processes", "1"]
    with log.open("wb") as file:
        process = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **environment}, stderr=file)
    try:
        wait_for(lambda: b"worker is ready" in log.read_bytes(), 30)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "DELIVERY_DATABASE_URL": database_url,
        "DELIVERY_REDIS_URL": redis_url,
        "DELIVERY_SECRET_KEYS": Fernet.generate_key().decode(),
        "DELIVERY_METRICS_PORT": "0",
    }


def pool_of(process: subprocess.Popen[bytes]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def push(redis_url: str, count: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for _ in range(count):
            client.lpush("upkeep", "a task")


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at the pool's processes in /proc")
def test_a_worker_that_takes_nothing_ends_and_its_pool_with_it(
    environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with worker("tests.worker.hung_worker", environment, log) as process:
        pool = pool_of(process)
        push(redis_url, 3)
        assert process.wait(30) == 1
        assert b"worker_stopped_consuming" in log.read_bytes()
        wait_for(lambda: all(map(is_gone, pool)))
        assert pool


def test_a_redis_that_is_away_ends_no_worker(
    environment: dict[str, str], redis_server: EmbeddedRedis, redis_url: str, tmp_path: Path
) -> None:
    with worker("tests.worker.hung_worker", environment, tmp_path / "worker.log") as process:
        redis_server.stop()
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(3 * watchdog.STALLED_SAMPLES * hung_worker.SAMPLE_SECONDS)
        finally:
            redis_server.start()
        push(redis_url, 3)
        assert process.wait(30) == 1
