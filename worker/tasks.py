"""Celery's tasks: each calls one use case. Repeated or stale ones find nothing to do."""

import time
from collections.abc import Callable
from functools import lru_cache
from uuid import UUID

import structlog
from celery.signals import worker_process_init

from worker import lanes, recovery
from worker.app import celery_app
from worker.db import engine, open_session
from worker.idempotency import purge as purge_idempotency_keys
from worker.infobip.client import Infobip
from worker.lookups import Lookups
from worker.nudges import send_nudge
from worker.rates import Rates, redis_client
from worker.sending import Sender
from worker.settings import settings
from worker.words import MessageType

LANE_SECONDS = 3.0  # one task's time with a lane; then others have their turn, and a stopping worker can leave
SWEEP_SECONDS = 3.0

_log = structlog.get_logger()


@lru_cache(maxsize=1)
def _infobip() -> Infobip:
    return Infobip(settings().request_timeout_seconds)


@lru_cache(maxsize=1)
def _sender() -> Sender:
    return Sender(engine(), _infobip(), Rates(redis_client()), settings(), send_nudge)


@lru_cache(maxsize=1)
def _lookups() -> Lookups:
    return Lookups(engine(), _infobip(), settings(), _sender().send)


@worker_process_init.connect
def _forget_what_the_parent_opened(**_: object) -> None:
    """A forked pool process must not share its parent's connections."""
    for made in (engine, redis_client, _infobip, _sender, _lookups):
        made.cache_clear()


@celery_app.task
def look_at_due_lanes(message_type: str) -> None:
    """The tick: nudge every lane of this type that has something due."""
    with open_session() as session:
        due = lanes.due_lanes(session, MessageType(message_type))
    for lane_id in due:
        send_nudge(lane_id, message_type)


@celery_app.task
def deliver_lane(lane_id: str) -> None:
    """A nudge: send what is due in this lane."""
    _sender().deliver(UUID(lane_id), LANE_SECONDS)


@celery_app.task
def sweep() -> None:
    """Settle what is open: leases, validity, doubts, missing reports. One sweep's trouble does not stop the others."""
    for name, step in (
        ("abandon", lambda: recovery.abandon(engine(), settings())),
        ("expire", lambda: recovery.expire(engine())),
        ("look", lambda: _lookups().look()),
        ("give_up", lambda: recovery.give_up(engine(), settings())),
    ):
        _repeat(name, step)


@celery_app.task
def purge() -> None:
    """Drop what is no longer needed."""
    with open_session() as session:
        purge_idempotency_keys(session)


def _repeat(name: str, step: Callable[[], int]) -> None:
    """Run a sweep until it finds nothing, or its time is up."""
    ends = time.monotonic() + SWEEP_SECONDS
    try:
        while step() and time.monotonic() < ends:
            pass
    except Exception:
        _log.exception("sweep_failed", sweep=name)
