"""Pauses, resumes, cancels and reschedules in any order, with claims, answers, sweeps and time between them.

After each step nothing has left that its batch held back, at a pace no more than the time since its start allows, all
counts add up, and what is cancelled was told so once. At the end the sweeps have their way, and each message stands as
its batch says.

`DELIVERY_MORE_EXAMPLES=20` draws twenty times as many.
"""

import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine
from sqlmodel import Session, select

from tests.factories import make_batch, make_lane, route_of
from tests.worker.any_order import draws, tables
from tests.worker.steps import (
    ACCEPTED,
    apply,
    assert_tally_is_exact,
    batch_of,
    message,
    report,
    states,
    swept,
)
from worker import answers, batch_sweeps, cancelling, endings, moving, setting_aside, steering
from worker.batch_sweeps import ALL
from worker.claims import claim
from worker.db import database_now, transact
from worker.infobip.answers import Answer
from worker.infobip.statuses import verdict
from worker.models import Batch, Event, Message
from worker.refusals import Conflict
from worker.settings import Settings
from worker.states import LIVE, WAITING, State
from worker.submissions import OpenSubmission
from worker.tally import counts

EXAMPLES = 40 * int(os.environ.get("DELIVERY_MORE_EXAMPLES", "1"))
STEPS = 40
LEASE_SECONDS = 60
SYSTEM_ERROR = verdict(9, 2, 27, False)  # for now
SWEEPS = (setting_aside.hold_and_free, cancelling.clear, moving.give_turns)
WHICH = st.integers(0, 7)
WAITING_STATES = [str(state) for state in WAITING]


@dataclass
class Steered:
    """A batch as those who steer it believe it to be."""

    id: UUID
    ids: list[UUID]
    pace: int | None
    start: datetime
    validity: timedelta
    is_paused: bool = False
    is_cancelled: bool = False
    left: int = 0  # first attempts since the start, but for those that had come back


class AnyOrder(RuleBasedStateMachine):
    def __init__(self, engine: Engine, settings: Settings) -> None:
        super().__init__()
        # As in any_order/machine.py: in a few dozen examples, too many would never send anything.
        self._rules_strategy.enabled_rules_strategy = st.just(draws.EveryRule())  # type: ignore[assignment]
        self.engine = engine
        self.settings = settings
        self.batches: list[Steered] = []
        self.in_flight: list[OpenSubmission] = []
        self.accepted: list[UUID] = []
        self.came_back: set[UUID] = set()
        self.retries: dict[UUID, datetime | None] = {}  # whose turn no steering changes
        self._numbers = itertools.count(919900000000)
        tables.begin(engine)
        self.session = Session(engine, expire_on_commit=False)
        self.lane = make_lane(self.session)

    @property
    def now(self) -> datetime:
        now = database_now(self.session)
        self.session.commit()
        return now

    def batch(self, which: int) -> Steered:
        return self.batches[which % len(self.batches)]

    def of(self, message_id: UUID) -> Steered:
        return next(batch for batch in self.batches if message_id in batch.ids)

    @initialize(size=st.integers(1, 6), pace=st.sampled_from([None, 1]))
    def enqueue_first(self, size: int, pace: int | None) -> None:
        self.enqueue(size, pace)

    @precondition(lambda self: len(self.batches) < 3)
    @rule(size=st.integers(1, 6), pace=st.sampled_from([None, 1]))
    def enqueue(self, size: int, pace: int | None) -> None:
        recipients = [str(next(self._numbers)) for _ in range(size)]
        validity = timedelta(hours=1)
        ids = make_batch(self.session, self.lane, recipients, validity=validity, pace=pace)
        batch = batch_of(self.session, ids[0])
        self.batches.append(Steered(batch.id, ids, pace, batch.created_at, validity))

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        standing = {row.id: row for row in self.session.exec(select(Batch))}
        claimed = claim(self.session, route_of(self.session, self.lane), limit, LEASE_SECONDS, time.monotonic())
        self.session.commit()
        if claimed.submission is None:
            return
        self.in_flight.append(claimed.submission)
        for sent in claimed.submission.messages:
            batch = self.of(sent.message_id)
            assert not batch.is_paused
            assert not batch.is_cancelled
            assert standing[batch.id].move_to is None
            self.retries.pop(sent.message_id, None)
            if sent.number == 1:
                assert batch.start <= self.now
                batch.left += sent.message_id not in self.came_back
        for batch in self.batches:
            if batch.pace is not None:
                allowed = (self.now - batch.start).total_seconds() * batch.pace + 1
                assert batch.left <= max(allowed, 0), f"{batch.left} left where {allowed} may"

    @precondition(lambda self: self.in_flight)
    @rule(which=WHICH, outcome=st.sampled_from(["accepted", "retried", "released"]))
    def settle(self, which: int, outcome: str) -> None:
        submission = self.in_flight.pop(which % len(self.in_flight))
        ids = [sent.message_id for sent in submission.messages]
        if outcome == "released":
            answers.record_unsent(self.session, submission, self.settings)
            self.came_back |= set(ids)
        else:
            said = ACCEPTED if outcome == "accepted" else SYSTEM_ERROR
            answer = Answer({sent.wire_id: said for sent in submission.messages}, {})
            answers.record_answer(self.session, submission, answer, self.settings)
            self.accepted += ids if outcome == "accepted" else []
        self.session.commit()
        self._note_retries(ids)

    @precondition(lambda self: self.accepted)
    @rule(which=WHICH, is_delivered=st.booleans())
    def be_reported(self, which: int, is_delivered: bool) -> None:
        message_id = self.accepted.pop(which % len(self.accepted))
        number = message(self.session, message_id).attempt_count
        news = {} if is_delivered else {"status": 9, "group": 2, "error": 27}
        apply(self.session, self.lane, report(message_id, number, **news))
        self._note_retries([message_id])

    def _note_retries(self, ids: list[UUID]) -> None:
        for message_id in ids:
            row = message(self.session, message_id)
            if row.state == State.RETRYING:
                self.retries[message_id] = row.next_attempt_at

    @rule(which=WHICH, verb=st.sampled_from([*["pause", "resume"] * 4, "cancel"]))
    def steer(self, which: int, verb: str) -> None:
        {"pause": self._pause, "resume": self._resume, "cancel": self._cancel}[verb](self.batch(which))

    def _pause(self, batch: Steered) -> None:
        if self._steer(batch, lambda session: steering.pause(session, batch.id), is_refused=batch.is_cancelled):
            batch.is_paused = True

    def _resume(self, batch: Steered) -> None:
        if self._steer(batch, lambda session: steering.resume(session, batch.id), is_refused=batch.is_cancelled):
            if batch.is_paused and batch.pace is not None and batch.start <= self.now:
                batch.start, batch.left = self.now, 0
            batch.is_paused = False

    def _cancel(self, batch: Steered) -> None:
        is_live = any(state in LIVE for state in states(self.session, batch.ids))
        self._steer(batch, lambda session: steering.cancel(session, batch.id))
        if is_live:
            batch.is_cancelled, batch.is_paused = True, False

    @rule(which=WHICH, seconds=st.sampled_from([-60, 0, 3, 30, 7200]), minutes=st.sampled_from([None, 1, 600]))
    def reschedule(self, which: int, seconds: int, minutes: int | None) -> None:
        batch, now = self.batch(which), self.now
        validity = timedelta(minutes=minutes) if minutes else None
        send_at = now + timedelta(seconds=seconds)
        is_refused = batch.is_cancelled or State.QUEUED not in states(self.session, batch.ids)
        if self._steer(
            batch, lambda session: steering.reschedule(session, batch.id, send_at, validity), is_refused=is_refused
        ):
            batch.start, batch.left = max(send_at, now), 0
            batch.validity = validity or batch.validity

    def _steer(self, batch: Steered, verb: Callable[[Session], Batch], *, is_refused: bool = False) -> bool:
        """Whether it was done."""
        self.session.rollback()
        try:
            transact(self.engine, verb)
        except Conflict:
            assert is_refused
        else:
            assert not is_refused
        return not is_refused

    @rule(which=st.sampled_from(SWEEPS), chunks=st.integers(1, 4))
    def sweep(self, which: Callable[[Engine], int], chunks: int) -> None:
        self.session.rollback()
        for _ in range(chunks):
            which(self.engine)

    @rule()
    def expire(self) -> None:
        self.session.rollback()
        endings.expire(self.engine)

    @rule(seconds=st.sampled_from([1, 2, 5, 60, 3000]))
    def pass_time(self, seconds: int) -> None:
        tables.pass_time(self.session, seconds)
        self.session.commit()

    @invariant()
    def all_adds_up(self) -> None:
        assert_tally_is_exact(self.session, self.lane)
        rows = self._rows()
        counted = counts(self.session, [batch.id for batch in self.batches])
        for batch in self.batches:
            own = Counter(rows[message_id].state for message_id in batch.ids)
            summed: Counter[str] = Counter()
            for (state, _), n in counted[batch.id].items():
                summed[state] += n
            assert summed == own
            standing = self.session.get_one(Batch, batch.id)
            for message_id in batch.ids:
                row = rows[message_id]
                assert not row.held or message_id <= (standing.held_through or UUID(int=0))
                assert row.state != State.CANCELLED or batch.is_cancelled
        cancelled = [message_id for message_id, row in rows.items() if row.state == State.CANCELLED]
        told = self.session.exec(select(Event.subject_id).where(Event.type == "message.cancelled")).all()
        assert sorted(told) == sorted(cancelled)
        self.session.commit()

    def _rows(self) -> dict[UUID, Message]:
        self.session.expire_all()
        return {row.id: row for row in self.session.exec(select(Message))}

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.come_to_rest()
        finally:
            self.session.close()

    def come_to_rest(self) -> None:
        self.session.rollback()
        swept(self.engine)
        while self.in_flight:  # what comes back behind the sweeps
            self.settle(0, "released")
        swept(self.engine)
        self.all_adds_up()
        rows = self._rows()
        for batch in self.batches:
            self._stands_as_it_should(batch, [rows[message_id] for message_id in batch.ids])

    def _stands_as_it_should(self, batch: Steered, rows: list[Message]) -> None:
        standing = self.session.get_one(Batch, batch.id)
        waiting = [row for row in rows if row.state in WAITING_STATES]
        queued = [row for row in waiting if row.state == State.QUEUED]
        assert (standing.paused_at is not None, standing.cancelled_at is not None) == (
            batch.is_paused,
            batch.is_cancelled,
        )
        assert standing.move_to is None
        assert standing.is_cleared == batch.is_cancelled
        assert not (waiting and batch.is_cancelled)
        assert standing.held_through == (ALL if batch.is_paused else None)
        assert all(row.held == batch.is_paused for row in waiting)
        for row in queued:
            assert row.expires_at == standing.expires_at
            assert timedelta(seconds=row.validity_seconds) == batch.validity
        if batch.pace is None:
            assert {row.next_attempt_at for row in queued} <= {batch.start}
        turns = [row.next_attempt_at for row in queued if row.id not in self.came_back]
        assert all(turn is not None and turn >= batch.start for turn in turns)
        if batch.pace is not None:
            apart = timedelta(seconds=1 / batch.pace)
            assert all(later - earlier >= apart for earlier, later in itertools.pairwise(turns))  # type: ignore[operator]
        for row in waiting:
            if row.state == State.RETRYING:
                assert row.next_attempt_at == self.retries[row.id]


@pytest.fixture(scope="module")
def stopped_engine(engine: Engine) -> Engine:
    tables.prepare(engine)
    return engine


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sweeps, "CHUNK", 2)


@pytest.mark.timeout(600)  # Hypothesis gives itself five minutes to find a short example
def test_in_any_order_messages_stand_as_their_batch_was_steered(
    stopped_engine: Engine, fresh_settings: Settings
) -> None:
    run_state_machine_as_test(
        lambda: AnyOrder(stopped_engine, fresh_settings),  # type: ignore[arg-type]
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
