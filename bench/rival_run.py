"""The rival's turn on a stage: the same servers, the same sandbox, a database and a Redis database of its own."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import redis

from bench.bodies import CALLBACK_DATA, CONTENT_TEMPLATE_ID, PRINCIPAL_ENTITY_ID, SENDER, TEXT
from bench.errors import MeasureFailed
from bench.processes import end
from bench.rival.tasks import CONCURRENCY, QUEUE, READY, make_celery
from bench.stage import Stage
from bench.usage import cpu_seconds
from worker.ids import new_id

DATABASE = "rival"
_REDIS_DATABASE = 9
_WARM_UP = 4  # messages for each pool process
_BOOKS_SECONDS = 10.0  # until the last commit of a worker that was just done
_START_SECONDS = 30.0
_MOST_SECONDS = 300.0
_PAGE = 10_000

_TABLE = """
    CREATE TABLE message (
        id uuid PRIMARY KEY, recipient text NOT NULL, sender text NOT NULL, text text NOT NULL, callback_data text,
        principal_entity_id text, content_template_id text, state text NOT NULL DEFAULT 'queued',
        created_at timestamptz NOT NULL DEFAULT now(), started_at timestamptz, sent_at timestamptz
    )
"""
_COPY = """
    COPY message (id, recipient, sender, text, callback_data, principal_entity_id, content_template_id) FROM STDIN
"""


@dataclass(frozen=True)
class RivalRate:
    """Seconds from the enqueue to the last acceptance; CPU seconds of worker, PostgreSQL and Redis."""

    messages: int
    processes: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> float:
        """Of one message."""
        return self.cpu_seconds / self.messages * 1e6

    def __add__(self, other: "RivalRate") -> "RivalRate":
        return RivalRate(
            self.messages + other.messages,
            self.processes,
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "messages": self.messages,
            "seconds": self.seconds,
            "pool_processes": self.processes,
            "cpu_us_per_message": self.cpu_us,
        }


def run_rival(stage: Stage, messages: int, concurrency: int = CONCURRENCY) -> RivalRate:
    """Enqueue so many messages at once and wait until Infobip has them all. Errors: MeasureFailed."""
    dsn = stage.new_database(DATABASE)
    broker_url = f"{stage.stack.redis_url.rpartition('/')[0]}/{_REDIS_DATABASE}"
    with psycopg.connect(dsn) as connection:
        connection.execute(_TABLE)
    with redis.Redis.from_url(broker_url) as client:
        client.flushdb()
    environment = {
        "RIVAL_DATABASE": dsn,
        "RIVAL_BROKER_URL": broker_url,
        "RIVAL_PROVIDER_URL": stage.stack.sandbox_url,
    }
    with _worker(environment, concurrency, stage.stack.logs_dir / "rival.log") as worker:
        _deliver(stage, dsn, broker_url, concurrency * _WARM_UP)
        servers = [pid for name in ("postgres", "redis") if (pid := stage.stack.pid_of(name))]
        before = sum(map(cpu_seconds, [worker, *servers]))
        seconds = _deliver(stage, dsn, broker_url, messages)
        cpu = sum(map(cpu_seconds, [worker, *servers])) - before
    _check(dsn, messages + concurrency * _WARM_UP)
    return RivalRate(messages, concurrency, seconds, cpu)


def _deliver(stage: Stage, dsn: str, broker_url: str, messages: int) -> float:
    recipients = list(itertools.islice(stage.to, messages))
    already = stage.accepted_count()
    at = time.time()
    enqueue(dsn, broker_url, recipients)
    stage.wait(lambda: stage.accepted_count() >= already + messages, _MOST_SECONDS, "all of the rival's accepted")
    last = stage.acceptances(already + max(0, messages - _PAGE), _PAGE)
    return max(datetime.fromisoformat(item["accepted_at"]) for item in last).timestamp() - at


def enqueue(dsn: str, broker_url: str, recipients: Sequence[str]) -> list[UUID]:
    """All rows in one COPY and one commit, then a task for each through one producer on one connection."""
    ids = [new_id() for _ in recipients]
    shared = (SENDER, TEXT, CALLBACK_DATA, PRINCIPAL_ENTITY_ID, CONTENT_TEMPLATE_ID)
    with psycopg.connect(dsn) as connection, connection.cursor().copy(_COPY) as copy:
        for message_id, recipient in zip(ids, recipients, strict=True):
            copy.write_row((message_id, recipient, *shared))
    app = make_celery(broker_url)
    with app.producer_or_acquire() as producer:
        for message_id in ids:
            app.send_task("rival.send", (str(message_id),), queue=QUEUE, producer=producer, ignore_result=True)
    app.close()
    return ids


@contextlib.contextmanager
def _worker(environment: dict[str, str], concurrency: int, log_path: Path) -> Iterator[int]:
    """The process id of a Celery worker that is ready, with its log in `log_path`."""
    options = ["-Q", QUEUE, "-c", str(concurrency), "-P", "prefork", "-O", "fair", "-l", "warning"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "bench.rival.tasks", "worker", *options, *quiet],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        _wait_until_ready(process, log_path)
        yield process.pid
    finally:
        end(process)


def _wait_until_ready(process: "subprocess.Popen[str]", log_path: Path) -> None:
    """Its output is read to the end meanwhile and afterwards, lest a full pipe stop it."""
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None  # it is a pipe
        with process.stdout as output:
            for line in output:
                if READY in line:
                    ready.set()

    threading.Thread(target=read, name="rival-output", daemon=True).start()
    if not ready.wait(_START_SECONDS):
        raise MeasureFailed(f"the rival's worker was not ready within {_START_SECONDS:g} s; its log: {log_path}")


def _check(dsn: str, messages: int) -> None:
    """Every message was sent, by the rival's own books."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        deadline = time.monotonic() + _BOOKS_SECONDS
        while True:
            row = connection.execute("SELECT count(*) FROM message WHERE state = 'sent'").fetchone()
            if row is not None and row[0] == messages:
                return
            if time.monotonic() > deadline:
                raise MeasureFailed(f"the rival sent {row and row[0]} of {messages} messages")
            time.sleep(0.05)
