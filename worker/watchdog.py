"""Ends a worker that has stopped consuming, so that whoever runs it starts it again.

After a reconnect to Redis a Celery worker can live on and take nothing from its queues any more (celery issues 8030,
8091 and 10205; kombu pull requests 2007 and 2492). The versions pinned here hold every fix known; this is for the
cause that nobody knows yet.
"""

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis
import structlog
from billiard import active_children
from celery.worker import state

from worker.redis_connection import connect

SAMPLE_SECONDS = 2.0
STALLED_SAMPLES = 10  # in a row: counted, not timed, since a machine that stood still is no fault of the worker's

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sample:
    """A worker at one moment. `taken` counts tasks since its start; `waiting` those in its queues, 0 where Redis is
    away: that is no fault of the worker's."""

    taken: int
    is_busy: bool
    waiting: int


def stalled_samples(so_far: int, before: Sample, sample: Sample) -> int:
    """How many samples in a row found tasks waiting and the worker, idle, taking none of them."""
    is_stalled = sample.waiting and not sample.is_busy and sample.taken == before.taken
    return so_far + 1 if is_stalled else 0


def watch_worker(queues: Sequence[str]) -> None:
    """Watch this process, the parent of a worker's pool, from a thread of its own. Called once the worker is ready."""
    threading.Thread(target=_watch, args=(queues,), name="watchdog", daemon=True).start()


def _watch(queues: Sequence[str]) -> None:
    client = connect(2)
    before, stalled = _sample(client, queues), 0
    while stalled < STALLED_SAMPLES:
        time.sleep(SAMPLE_SECONDS)
        sample = _sample(client, queues)
        before, stalled = sample, stalled_samples(stalled, before, sample)
    _log.error("worker_stopped_consuming", queues=list(queues), waiting=sample.waiting)
    _end()


def _sample(client: "redis.Redis", queues: Sequence[str]) -> Sample:
    # Redis first: a task that is taken meanwhile shows as busy or taken, never as left alone.
    try:
        waiting = sum(int(client.llen(queue)) for queue in queues)
    except redis.RedisError:
        waiting = 0
    is_busy = bool(len(state.reserved_requests) or len(state.active_requests))
    return Sample(taken=state.all_total_count[0], is_busy=is_busy, waiting=waiting)


def _end() -> None:
    """At once, and the pool with it: a stop in good order goes through the very loop that hangs."""
    for process in active_children():
        os.kill(process.pid, signal.SIGKILL)
    os._exit(1)
