"""Group commit: requests that arrive together share one transaction, and each is answered only after its commit.

One writer thread takes what waits, does the work for all of it, and commits. A commit is what costs; sharing it turns
hundreds of requests a second into thousands. One bad request never harms its neighbours: work names those that it
refuses, and on a data error the group is rolled back and run again one by one. When the database is away, all of the
group are told so and may come again.
"""

import asyncio
import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from fastapi import Request
from sqlalchemy import Engine
from sqlmodel import Session

from api.problems import Unavailable
from worker.db import is_away, open_session
from worker.logs import log_bug
from worker.sqlstates import has_given_way

_log = structlog.get_logger()

_MOST_REQUESTS = 256
_TRIES = 3

T = TypeVar("T")
A = TypeVar("A")
Work = Callable[[Session, Sequence[T]], Sequence[A | Exception]]


async def commit_together(request: Request, work: Work[T, A], item: T, weight: int = 1) -> A:
    """What `work` answers for the item, done and committed together with what else arrives now (GroupCommit.submit).
    `work` is one of those that app.create_app lists."""
    groups: Mapping[Any, GroupCommit[T, A]] = request.app.state.group_commits
    return await groups[work].submit(item, weight)


@dataclass(slots=True)
class _Waiting(Generic[T, A]):
    item: T
    weight: int
    answer: "asyncio.Future[A]"
    asked_in: Context


class GroupCommit(Generic[T, A]):
    """`work(session, items)` does the work of several requests in one transaction and does not commit. It gives an
    answer, or the error that refuses it, for each item in their order.

    `after_commit(answers, contexts)` is called once a group, with what was not refused and the context of each such
    request, before the requests are answered; an error of its own is only logged. `most_weight` bounds a group by the
    sum of its items' weights; an item heavier than that has a group of its own. Beyond `most_waiting` requests are
    refused: Unavailable.
    """

    def __init__(
        self,
        engine: Engine,
        work: Work[T, A],
        *,
        after_commit: Callable[[Sequence[A], Sequence[Context]], None] | None = None,
        most_weight: int = 5_000,
        most_waiting: int = 10_000,
    ) -> None:
        self._engine = engine
        self.work = work
        self._after_commit = after_commit
        self._most_weight = most_weight
        self._most_waiting = most_waiting
        self._waiting: deque[_Waiting[T, A]] = deque()
        self._wake = threading.Condition()
        self._is_closed = False
        self._is_told = False
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

    async def submit(self, item: T, weight: int = 1) -> A:
        """What `work` answered for the item, once that is committed. Errors: what `work` raised or refused it with;
        Unavailable."""
        future = asyncio.get_running_loop().create_future()
        waiting: _Waiting[T, A] = _Waiting(item, weight, future, copy_context())
        with self._wake:
            if self._is_closed or len(self._waiting) >= self._most_waiting:
                raise Unavailable("Too much is waiting right now: repeat the request", retry_after_seconds=2)
            self._waiting.append(waiting)
        if not self._is_told:
            self._is_told = True
            waiting.answer.get_loop().call_soon(self._wake_writer)
        return await waiting.answer

    def _wake_writer(self) -> None:
        self._is_told = False
        with self._wake:
            self._wake.notify()

    def _run(self) -> None:
        while group := self._take():
            try:
                self._write(group)
            except BaseException as error:  # a bug, or an exit: these requests fail of it, and the writer lives on
                log_bug(_log, "group_lost", error, requests=len(group))
                _resolve(group, [RuntimeError("the work of its group was lost")] * len(group))

    def _take(self) -> list[_Waiting[T, A]]:
        """Everything that waits, within bounds; empty once stopped and drained. Who gave up waiting is left out."""
        with self._wake:
            while True:
                self._wake.wait_for(lambda: self._waiting or self._is_closed)
                group: list[_Waiting[T, A]] = []
                weight = 0
                while self._waiting and len(group) < _MOST_REQUESTS:
                    weight += self._waiting[0].weight
                    if group and weight > self._most_weight:
                        break
                    waiting = self._waiting.popleft()
                    if not waiting.answer.cancelled():
                        group.append(waiting)
                if group or (self._is_closed and not self._waiting):
                    return group

    def _write(self, group: list[_Waiting[T, A]]) -> None:
        answers = self._commit([waiting.item for waiting in group])
        if isinstance(answers, Exception) and len(group) > 1 and not is_away(answers):
            _log.warning("group_split", requests=len(group), error=type(answers).__name__)
            for waiting in group:
                self._write([waiting])
            return
        if isinstance(answers, Exception):
            answers = [answers] * len(group)
        else:
            self._tell(group, answers)
        _resolve(group, answers)

    def _tell(self, group: Sequence[_Waiting[T, A]], answers: Sequence[A | Exception]) -> None:
        if self._after_commit is None:
            return
        pairs = zip(group, answers, strict=True)
        told = [(answer, waiting.asked_in) for waiting, answer in pairs if not isinstance(answer, Exception)]
        try:
            self._after_commit([answer for answer, _ in told], [asked_in for _, asked_in in told])
        except Exception as error:  # what is committed is answered, and the writer lives on
            log_bug(_log, "after_commit_failed", error)

    def _commit(self, items: list[T]) -> Sequence[A | Exception] | Exception:
        """One transaction: its answers, or the error that ended it. One that gave way to another is tried again."""
        for attempt in range(1, _TRIES + 1):
            try:
                with open_session(self._engine) as session:
                    answers = self.work(session, items)
                    if len(answers) != len(items):  # found before the commit: an error stores nothing
                        raise ValueError(f"{len(answers)} answers for {len(items)} requests")
                    session.commit()
                return answers
            except Exception as error:
                if attempt == _TRIES or not has_given_way(error):
                    return error
                time.sleep(random.uniform(0.005, 0.05) * attempt)
        raise AssertionError("unreachable")


def _resolve(group: Sequence[_Waiting[T, A]], answers: Sequence[A | Exception]) -> None:
    """From the writer's thread; one call into the event loop answers the whole group."""
    answered = list(zip(group, answers, strict=True))

    def answer_all() -> None:
        for waiting, answer in answered:
            if waiting.answer.done():  # gave up waiting
                continue
            if isinstance(answer, StopIteration):  # which no future takes
                waiting.answer.set_exception(RuntimeError("the work stopped short"))
            elif isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    with contextlib.suppress(RuntimeError):  # a closed loop: nobody waits any more
        group[0].answer.get_loop().call_soon_threadsafe(answer_all)
