"""Pushing events to those who want to be told: who takes deliveries, has them pushed side by side, and records.

    take a delivery, with its lease   | commit     event_deliveries.py
    push                                in a thread, no transaction open: push_client.py
    record what came of it            | commit

The threads only wait for the network. So one receiver that hangs costs a thread, and nobody else a moment.
"""

import random
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from worker import event_deliveries
from worker.db import is_away, transact
from worker.event_deliveries import Push
from worker.event_endpoints import signing_keys
from worker.glance import glance
from worker.logs import log_bug
from worker.metrics import event_pushes_total, events_pushed_total
from worker.push_client import PUSH_SECONDS, Answer, PushOutcome, push
from worker.push_signatures import signed_headers
from worker.secrets import SecretUnreadable
from worker.settings import Settings
from worker.sqlstates import has_given_way

THREADS = 8
BUDGET_SECONDS = 3.0
MOST_SECONDS = BUDGET_SECONDS + 2.5 * PUSH_SECONDS  # that `push` takes
_LOOK_SECONDS = 0.25  # while threads are at work, others may fall due
_RECORD_PATIENCE_SECONDS = 5.0  # with a database that is away, for what came of a push; it may be recorded twice

_log = structlog.get_logger()


class Pusher:
    """The pushes of one process."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def push(self, budget_seconds: float = BUDGET_SECONDS) -> int:
        """Push to whoever is due, until nobody is or the time is up. Returns how many pushes were made.

        Who is due is taken on as long as a push of within the time is under way, so that a receiver that hangs keeps
        nobody back; then all are waited for.
        """
        with glance(self._engine) as connection:
            if not event_deliveries.is_due(connection):
                return 0
        with ThreadPoolExecutor(THREADS, thread_name_prefix="push") as threads:
            return _Round(self._engine, self._settings, threads, time.monotonic() + budget_seconds).run()


@dataclass
class _Round:
    engine: Engine
    settings: Settings
    threads: ThreadPoolExecutor
    ends: float
    under_way: dict[Future[Answer], tuple[Push, float]] = field(default_factory=dict)
    made: int = 0

    def run(self) -> int:
        while True:
            while len(self.under_way) < THREADS and self._has_time() and (taken := self._take()) is not None:
                self.under_way[self.threads.submit(self._push, taken)] = (taken, time.monotonic())
                self.made += 1
            if not self.under_way:
                return self.made
            done, _ = wait(self.under_way, _LOOK_SECONDS if self._has_time() else None, FIRST_COMPLETED)
            for future in done:
                self._record(self.under_way.pop(future)[0], future.result())

    def _has_time(self) -> bool:
        return time.monotonic() < self.ends or any(began < self.ends for _, began in self.under_way.values())

    def _take(self) -> Push | None:
        """The next delivery. None where nobody is due, or the time is up."""
        while self._has_time():
            is_anybody_due, taken = transact(self.engine, _take_one)
            if taken is not None or not is_anybody_due:
                return taken
        return None

    def _push(self, taken: Push) -> Answer:
        """In a thread. Never raises: whatever goes wrong is a try that failed."""
        try:
            keys = signing_keys(taken.endpoint, taken.at)
            headers = signed_headers(keys, str(taken.delivery_id), taken.at, taken.body)
            return push(taken.endpoint.url, headers, taken.body, self.settings.allowed_event_hosts)
        except SecretUnreadable:
            sentence = "the secret cannot be read: put its key back into DELIVERY_SECRET_KEYS, or rotate the secret"
            return Answer(PushOutcome.NOT_SENT, error=sentence)
        except Exception as error:
            log_bug(_log, "event_push_broke", error, endpoint_id=str(taken.endpoint.id))
            return Answer(PushOutcome.NO_ANSWER, error="a fault of ours; it is in the log of the worker")

    def _record(self, taken: Push, answer: Answer) -> None:
        chance = random.random()
        is_disabled = transact(
            self.engine,
            lambda session: event_deliveries.record(session, taken, answer, self.settings, chance),
            patience_seconds=_RECORD_PATIENCE_SECONDS,
        )
        event_pushes_total.labels(answer.outcome).inc()
        ids = {"endpoint_id": str(taken.endpoint.id), "delivery_id": str(taken.delivery_id)}
        if answer.error is None:
            events_pushed_total.inc(taken.event_count)
        else:
            _log.info("event_push_failed", **ids, status=answer.status_code, detail=answer.error)
        if is_disabled:
            _log.warning("event_endpoint_disabled", **ids, detail=answer.error)


def _take_one(session: Session) -> tuple[bool, Push | None]:
    """Whether an endpoint was found, and the delivery it is to have. One that a fault of ours keeps from having any is
    put off: the others must not wait for that."""
    endpoint = event_deliveries.next_endpoint(session)
    if endpoint is None:
        return False, None
    try:
        with session.begin_nested():
            return True, event_deliveries.take(session, endpoint)
    except Exception as error:
        if is_away(error) or has_given_way(error):
            raise
        log_bug(_log, "event_delivery_not_made", error, endpoint_id=str(endpoint.id))
        event_deliveries.put_off(session, endpoint)
        return True, None
