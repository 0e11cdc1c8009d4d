"""Group commit: requests that arrive together share one transaction, and each is answered only after its commit.

One writer thread takes what waits, does the work for all of it, and commits. A commit is what costs; sharing it turns
hundreds of webhooks a second into thousands. One bad request never harms its neighbours: on a data error the group is
rolled back and run again one by one. When the database is away, all of the group are told so and may come again.
"""

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from api.problems import Unavailable
from worker.db import is_away, open_session

_log = structlog.get_logger()

_MOST_REQUESTS = 64
_MOST_WAITING = 10_000
_TRIES = 3
_RETRIED = {"40001", "40P01"}  # serialisation failure, deadlock: the same again may well pass

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[T]):
    item: T
    weight: int
    done: "Future[None]"


class GroupCommit(Generic[T]):
    """`work(session, items)` does the work of several requests in one transaction and does not commit.

    `most_weight` bounds a group by the sum of its items' weights; an item heavier than that has a group of its own.
    """

    def __init__(
        self, engine: Engine, work: Callable[[Session, Sequence[T]], None], *, most_weight: int = 5_000
    ) -> None:
        self._engine = engine
        self._work = work
        self._most_weight = most_weight
        self._waiting: deque[_Waiting[T]] = deque()
        self._wake = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what was accepted, and take nothing more."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    async def submit(self, item: T, weight: int = 1) -> None:
        """Returns once the item's work is committed. Errors: what `work` raised for it; Unavailable."""
        waiting = _Waiting(item, weight, Future())
        with self._wake:
            if self._is_closed or len(self._waiting) >= _MOST_WAITING:
                raise Unavailable("Too much is waiting right now: push again", retry_after_seconds=2)
            self._waiting.append(waiting)
            self._wake.notify()
        await asyncio.wrap_future(waiting.done)

    def _run(self) -> None:
        while group := self._take():
            self._write(group)

    def _take(self) -> list[_Waiting[T]]:
        """Everything that waits, within bounds; empty once stopped and drained. Who gave up waiting is left out."""
        with self._wake:
            while True:
                self._wake.wait_for(lambda: self._waiting or self._is_closed)
                group: list[_Waiting[T]] = []
                weight = 0
                while self._waiting and len(group) < _MOST_REQUESTS:
                    weight += self._waiting[0].weight
                    if group and weight > self._most_weight:
                        break
                    waiting = self._waiting.popleft()
                    if waiting.done.set_running_or_notify_cancel():
                        group.append(waiting)
                if group or (self._is_closed and not self._waiting):
                    return group

    def _write(self, group: list[_Waiting[T]]) -> None:
        error = self._commit([waiting.item for waiting in group])
        if error is None or len(group) == 1 or is_away(error):
            for waiting in group:
                _resolve(waiting.done, error)
            return
        _log.warning("group_split", requests=len(group), error=type(error).__name__)
        for waiting in group:
            _resolve(waiting.done, self._commit([waiting.item]))

    def _commit(self, items: list[T]) -> BaseException | None:
        """One transaction, with the error that ended it. A deadlock is tried again."""
        for attempt in range(1, _TRIES + 1):
            try:
                with open_session(self._engine) as session:
                    self._work(session, items)
                    session.commit()
                return None
            except Exception as error:
                if attempt == _TRIES or not _may_pass_again(error):
                    return error
                time.sleep(random.uniform(0.005, 0.05) * attempt)
        raise AssertionError("unreachable")


def _may_pass_again(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _RETRIED


def _resolve(done: "Future[Any]", error: BaseException | None) -> None:
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
