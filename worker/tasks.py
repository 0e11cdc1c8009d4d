"""Celery's tasks: each calls one use case. Repeated or stale ones find nothing to do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import structlog
from celery.signals import (
    celeryd_after_setup,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
)
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bind_contextvars, clear_contextvars

from worker import closing, event_deliveries, lanes, pushing, traces
from worker.app import TaskName, celery_app
from worker.db import advice, engine, is_away, open_session, transact
from worker.glance import glance
from worker.idempotency import purge as purge_idempotency_keys
from worker.infobip.client import Infobip
from worker.log_budget import LogBudget
from worker.logs import Seldom, is_id, log_bug
from worker.lookups import Lookups
from worker.memory import settle_memory
from worker.nudges import REQUEST_ID, TURN, nudge, send_nudge
from worker.pulling import Pulls
from worker.pushing import Pusher
from worker.queued import alone, arrived, tick_name
from worker.rates import Rates
from worker.redis_connection import redis_client
from worker.sending import Dispatcher
from worker.settings import settings
from worker.sweeps import SWEEPS, is_any_due
from worker.words import MessageType

LANE_SECONDS = 1.0  # one task's time with a lane; then others have their turn, and a stopping worker can leave
SWEEP_SECONDS = 3.0
INBOX_SECONDS = 3.0  # to ask for inbound messages; many that wait are fetched over several ticks

_log = structlog.get_logger()
_absence = Seldom()


@lru_cache(maxsize=1)
def _infobip() -> Infobip:
    return Infobip(settings().request_timeout_seconds)


@lru_cache(maxsize=1)
def _dispatcher() -> Dispatcher:
    return Dispatcher(engine(), _infobip(), Rates(redis_client()), settings(), nudge)


@lru_cache(maxsize=1)
def _lookups() -> Lookups:
    return Lookups(engine(), _infobip(), LogBudget(redis_client()), settings(), nudge)


@lru_cache(maxsize=1)
def _pulls() -> Pulls:
    return Pulls(engine(), _infobip(), settings(), nudge)


@lru_cache(maxsize=1)
def _pusher() -> Pusher:
    return Pusher(engine(), settings())


@celeryd_after_setup.connect
def _settle_memory(**_: object) -> None:
    """Before the pool is forked: so its processes share what they all have."""
    settle_memory()


@worker_process_init.connect
def _forget_what_the_parent_opened(**_: object) -> None:
    """A forked pool process must not share its parent's connections."""
    for made in (engine, redis_client, _infobip, _dispatcher, _lookups, _pulls, _pusher):
        made.cache_clear()


@worker_process_init.connect
def _begin_traces(**_: object) -> None:
    """After the fork: what exports has a thread."""
    traces.begin_in_worker()


@worker_process_shutdown.connect
def _end_traces(**_: object) -> None:
    traces.end()


@task_prerun.connect
def _bind_ids(task: Any, task_id: str, **_: object) -> None:
    """To every line of the task: its own ID, its queue, and the ID of the request that asked for it, if one did."""
    request = task.request
    bind_contextvars(task_id=task_id, queue=request.delivery_info["routing_key"])
    request_id, turn = getattr(request, REQUEST_ID, None), getattr(request, TURN, None)
    if is_id(request_id) and isinstance(turn, int):
        bind_contextvars(**{REQUEST_ID: request_id, TURN: turn})


@task_postrun.connect
def _forget_ids(**_: object) -> None:
    clear_contextvars()


@worker_process_shutdown.connect
def _store_what_was_pulled(**_: object) -> None:
    """In the pool process that ends: what Infobip gave it may be nowhere else."""
    if _pulls.cache_info().currsize:
        _pulls().stop()


@celery_app.task(name=TaskName.LOOK_AT_DUE_LANES)
def look_at_due_lanes(message_type: str) -> None:
    """The tick: nudge every lane of this type that has something due."""
    arrived(tick_name(TaskName.LOOK_AT_DUE_LANES, (message_type,)))
    with _shrugging("look_at_due_lanes"), glance(engine()) as connection:
        for lane_id in lanes.due_lanes(connection, MessageType(message_type)):
            send_nudge(lane_id, message_type)


@celery_app.task(name=TaskName.DELIVER_LANE)
def deliver_lane(lane_id: str) -> None:
    """A nudge: send what is due in this lane."""
    arrived(lane_id)
    with _shrugging("deliver_lane"):
        _dispatcher().deliver(UUID(lane_id), LANE_SECONDS)


@celery_app.task(name=TaskName.SWEEP)
def sweep() -> None:
    """Settle what the clock decides: leases, validity, silence; and set paused batches aside. One sweep's trouble does
    not stop the others."""
    arrived(tick_name(TaskName.SWEEP))
    if not _is_sweep_due():
        return
    for name, _, step in SWEEPS:
        _repeat(name, partial(step, engine(), settings()))


def _is_sweep_due() -> bool:
    """One glance for all the sweeps; where it fails, each sweep says so itself."""
    try:
        with glance(engine()) as connection:
            return is_any_due(connection, settings())
    except SQLAlchemyError:
        return True


@celery_app.task(name=TaskName.LOOK)
def look() -> None:
    """Ask Infobip's logs about what is in doubt or unreported. A task of its own, since it waits for the network; and
    one at a time, so that the sweeps have a process whatever Infobip does."""
    with alone(tick_name(TaskName.LOOK), settings().lease_seconds):
        _repeat("look", lambda: _lookups().look())


@celery_app.task(name=TaskName.PULL)
def pull() -> None:
    """Ask Infobip for inbound messages. A task of its own, and one at a time, as `look`; two at once do no harm."""
    with alone(tick_name(TaskName.PULL), settings().lease_seconds), _shrugging("pull"):
        _pulls().pull(INBOX_SECONDS)


@celery_app.task(name=TaskName.PUSH_EVENTS)
def push_events() -> None:
    """Push events to those who want to be told. A task of its own, and one at a time, as `look`; two at once do no
    harm."""
    with alone(tick_name(TaskName.PUSH_EVENTS), pushing.MOST_SECONDS), _shrugging("push_events"):
        _pusher().push()


@celery_app.task(name=TaskName.CLOSE)
def close() -> None:
    """Mark the batches that are over."""
    arrived(tick_name(TaskName.CLOSE))
    _repeat("close", lambda: transact(engine(), closing.close))


@celery_app.task(name=TaskName.PURGE)
def purge() -> None:
    """Drop what is no longer needed."""
    arrived(tick_name(TaskName.PURGE))
    with _shrugging("purge"), open_session() as session:
        purge_idempotency_keys(session)
    _repeat("purge_deliveries", lambda: transact(engine(), event_deliveries.purge))


def _repeat(name: str, step: Callable[[], int]) -> None:
    """Run a sweep until it finds nothing, or its time is up."""
    ends = time.monotonic() + SWEEP_SECONDS
    with _shrugging(name):
        while step() and time.monotonic() < ends:
            pass


@contextmanager
def _shrugging(name: str) -> Iterator[None]:
    """A task that meets trouble says so and ends: the next tick looks again."""
    try:
        yield
    except Exception as error:
        if is_away(error):
            if _absence.is_due():
                _log.warning("database_away", task=name, detail=advice(error))
        else:
            log_bug(_log, "task_failed", error, task=name)
