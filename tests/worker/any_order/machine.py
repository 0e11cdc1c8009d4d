"""Claims, answers, reports, retries, replays, looks, sweeps, pauses, cancels and deaths in any order, on real
PostgreSQL against a model of Infobip, which checks with each request that

- nothing leaves after `expires_at`, and none carries more validity than remains;
- no submission that was opened after its batch was cancelled, or while it was paused, leaves with a message of it;
- none that was opened after somebody opted out, or Infobip's report of a block came, leaves with a message to them;
- none that was opened while the sending window of a message was closed leaves with it;
- none that was opened after a message, or a replay of it, was reported as delivered leaves with another of that chain;
- no attempt is accepted while another one of its message was, of which Infobip told no failure.

After each step the tables are held to the promises in `promises.py`; at the end, with all faults over, time passes
until every message has come to an end and nothing is open or in doubt.

The clock of the database stands still until a step moves it.
"""

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import structlog
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import Engine, text
from sqlmodel import Session
from structlog.testing import capture_logs

from tests.factories import make_batch, make_lane
from tests.worker.any_order import draws, promises, tables
from tests.worker.any_order.model_infobip import Attempt, Fate, ModelInfobip, Said, Sent, Status, Stopped, Told, Way
from tests.worker.any_order.model_people import WORDS, ModelPeople
from tests.worker.any_order.stand_ins import Budget, EveryToken, until_death
from tests.worker.any_order.tables import World, is_within
from worker import answers, cancelling, consents, endings, holds, models, recovery, setting_aside, steering
from worker.boundaries import Boundary
from worker.claims import claim
from worker.consent import NOTHING_SAID, said
from worker.consents import Person
from worker.db import database_now, transact
from worker.errors import SendError
from worker.infobip.answers import Answer
from worker.infobip.reports import parse_item
from worker.lanes import read_route
from worker.lookups import Lookups
from worker.replay import replay
from worker.replay_choice import ReplayOrder
from worker.reports import apply_reports
from worker.resubmission import resubmit
from worker.sending import Dispatcher
from worker.settings import Settings
from worker.states import UNDELIVERED, State
from worker.submissions import OpenSubmission
from worker.words import ConsentSource, MessageType

T = TypeVar("T")

SOON = 100  # seconds
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # when it begins
ROUNDS_TO_THE_END = 40  # the later ones pass twice as much time, each

_LEAVING = text("""
    SELECT id, batch_id, recipient, extract(epoch FROM expires_at - statement_timestamp())::float8 AS remaining_seconds
    FROM message WHERE id = ANY(:ids)
""")
_NEW_KEY = text("UPDATE credential SET version = version + 1 WHERE id = :id")
_NEW_ACCOUNT = text("""
    UPDATE credential SET version = version + 1, account_since = version + 1, base_url = 'http://account-' || version
    WHERE id = :id
""")


class Blocked(NamedTuple):
    """What may not leave."""

    batches: frozenset[UUID]
    unwilling: frozenset[str]
    arrived: frozenset[UUID]  # messages of chains of which one has arrived
    closed: frozenset[UUID]  # messages whose windows are closed


class AnyOrder(RuleBasedStateMachine):
    def __init__(self, engine: Engine, settings: Settings) -> None:
        super().__init__()
        # Hypothesis switches rules off by example; in a few dozen of them, too many would never send anything.
        self._rules_strategy.enabled_rules_strategy = st.just(draws.EveryRule())  # type: ignore[assignment]
        self.engine = engine
        self.settings = settings
        self.passed_seconds = self.worked_seconds = 0.0
        self.batches: list[UUID] = []
        self.blocked: set[UUID] = set()  # batches that are cancelled or paused
        self.cancelled: set[UUID] = set()
        self.people = ModelPeople()
        self.heard: set[tables.Key] = set()  # reports that were stored
        self.blocked_at_opening: dict[UUID, Blocked] = {}  # by submission
        self.opened: list[OpenSubmission] = []  # by processes that have yet to send them
        self.stopped: list[tuple[OpenSubmission, Answer | SendError]] = []  # sent, and the outcome not yet recorded
        self.pushed: set[tables.Key] = set()
        self.delivered: set[Attempt] = set()
        self.strangers = 0
        self.world = World()
        self.infobip = ModelInfobip(lambda: self.passed_seconds, self._leaving)
        self.budget = Budget()
        self.sender = Dispatcher(engine, self.infobip, EveryToken(), settings, _nudge, self.monotonic)  # type: ignore[arg-type]
        self.lookups = Lookups(engine, self.infobip, self.budget, settings, _nudge)  # type: ignore[arg-type]
        self._numbers = itertools.count(919900000000)
        tables.begin(engine)
        with Session(engine, expire_on_commit=False) as session:
            self.lane = make_lane(session, message_type=MessageType.MARKETING)
        self._logs = capture_logs(processors=[structlog.processors.format_exc_info])
        self.logged = self._logs.__enter__()

    def monotonic(self) -> float:
        """Each look at this clock takes a hundredth of a second: nobody can work for ever."""
        self.worked_seconds += 0.01
        return self.passed_seconds + self.worked_seconds

    def _transact(self, work: Callable[[Session], T]) -> T:
        return transact(self.engine, work)

    def _leaving(self, sent: Sent) -> None:
        """The promises that a request is held to as it leaves."""
        ids = [message_id for (message_id, _), _ in sent.messages]
        rows = {row.id: row for row in self._transact(lambda session: session.execute(_LEAVING, {"ids": ids}).all())}
        blocked = self.blocked_at_opening.get(sent.bulk_id, self._blocked_now())
        for (message_id, _), validity in sent.messages:
            left = rows[message_id].remaining_seconds
            assert 1 <= validity <= left, f"a validity of {validity} s, with {left} s left"
            row = rows[message_id]
            assert row.batch_id not in blocked.batches, "its batch was paused or cancelled when this was opened"
            assert row.recipient not in blocked.unwilling, "its recipient had opted out when this was opened"
            assert message_id not in blocked.arrived, "another of its chain had arrived when this was opened"
            assert message_id not in blocked.closed, "its window was closed when this was opened"

    def _blocked_now(self) -> "Blocked":
        now = NOON + timedelta(seconds=self.passed_seconds)
        return Blocked(
            frozenset(self.blocked),
            frozenset(self.people.unwilling),
            self.world.chains_that_arrived,
            frozenset(one for one, row in self.world.messages.items() if not promises.is_open(row.window, now)),
        )

    # Enqueue, open, send, record: the send path, step by step, or at once.

    @initialize(size=st.integers(1, 2), validity=draws.VALIDITIES, window=draws.WINDOWS)
    def enqueue_first(self, size: int, validity: int, window: Any) -> None:
        self._enqueue(size, validity, window)

    @precondition(lambda self: self.world.live_count <= 2)
    @rule(size=st.integers(1, 2), validity=draws.VALIDITIES, window=draws.WINDOWS)
    def enqueue(self, size: int, validity: int, window: Any) -> None:
        self._enqueue(size, validity, window)

    def _enqueue(self, size: int, validity: int, window: Any) -> None:
        recipients = [str(next(self._numbers)) for _ in range(size)]
        with Session(self.engine, expire_on_commit=False) as session:
            (first, *_) = make_batch(
                session, self.lane, recipients, validity=timedelta(seconds=validity), window=window
            )
            batch_id = session.get_one(models.Message, first).batch_id
        assert batch_id is not None
        self.batches.append(batch_id)

    @precondition(lambda self: is_within(0, self.world.next_send))
    @rule(limit=st.integers(1, 3))
    def open(self, limit: int) -> None:
        submission = self._transact(lambda session: self._open(session, limit))
        if submission is not None:
            self.opened.append(submission)

    def _open(self, session: Session, limit: int) -> OpenSubmission | None:
        route = read_route(session, self.lane.id)
        assert route is not None
        is_probe = route.is_held
        if is_probe and not holds.take_probe(session, self.lane.id):
            return None
        now, most = self.monotonic(), 1 if is_probe else limit
        again = resubmit(session, route, most, now, self.settings, is_probe=is_probe)
        if again is not None:
            return again
        return claim(session, route, most, self.settings.lease_seconds, now, is_probe=is_probe).submission

    @precondition(lambda self: self.opened)
    @rule(which=draws.INDEX, fates=draws.FEW_FATES, stops=st.booleans())
    def send(self, which: int, fates: list[Fate], stops: bool) -> None:
        """A process sends what it has opened; with `stops` it then stands still, maybe for ever."""
        submission = _pop(self.opened, which)
        self.infobip.fates, self.infobip.stops = list(fates), stops
        try:
            self.sender.send(submission)
        except Stopped as stop:
            sent = {attempt for attempt, _ in stop.sent.messages}
            gone = [message for message in submission.messages if (message.message_id, message.number) in sent]
            self.stopped.append((replace(submission, messages=gone), stop.outcome))
        self.infobip.stops = False

    @precondition(lambda self: self.stopped)
    @rule(which=draws.INDEX, again=st.booleans())
    def record(self, which: int, again: bool) -> None:
        """The process goes on; it will try once more where it does not learn that its commit succeeded."""
        held = _pop(self.stopped, which)
        parts = self._transact(lambda session: self._record(session, *held))
        if again:
            self.stopped.append(held)
        else:
            self.opened += parts

    def _record(
        self, session: Session, submission: OpenSubmission, outcome: Answer | SendError
    ) -> list[OpenSubmission]:
        if isinstance(outcome, Answer):
            answers.record_answer(session, submission, outcome, self.settings)
            return []
        return answers.record_error(session, submission, outcome, self.settings, self.monotonic)

    @precondition(lambda self: is_within(SOON, self.world.next_send))
    @rule(fates=draws.FEW_FATES, dies_at=draws.SEND_DEATHS)
    def deliver(self, fates: list[Fate], dies_at: Boundary | None) -> None:
        """All at once, when something is due."""
        self._pass(max(self.world.next_send or 0.0, 0.0))
        self.infobip.fates = list(fates)
        until_death(lambda: self.sender.deliver(self.lane.id, 1.0), dies_at)

    @precondition(lambda self: self.infobip.under_way)
    @rule(which=draws.INDEX)
    def arrive_late(self, which: int) -> None:
        self.infobip.arrive(*_pop(self.infobip.under_way, which))

    # Reports: news, old ones again in any order, and strangers.

    @precondition(lambda self: self.infobip.seen)
    @rule(which=draws.INDEX, status=draws.NEWS, is_done=st.booleans(), is_pushed=st.booleans())
    def happen(self, which: int, status: Status, is_done: bool, is_pushed: bool) -> None:
        """Something becomes of an attempt; if it is not pushed, only the logs tell of it."""
        attempts = [*self.infobip.open_attempts(), *self.infobip.seen]  # the open ones have more turns
        told = self.infobip.happens(_pick(attempts, which), status, is_done=is_done)
        if is_pushed:
            self._push([told])

    @precondition(lambda self: self.infobip.seen)
    @rule(picks=st.lists(st.tuples(draws.INDEX, draws.INDEX), min_size=1, max_size=3), has_stranger=st.booleans())
    def push(self, picks: list[tuple[int, int]], has_stranger: bool) -> None:
        """What was to be told of attempts, the newest or an older one, late or again, in one group."""
        seen = list(self.infobip.seen.values())
        self._push([_pick(_pick(seen, which).history, back) for which, back in picks], has_stranger=has_stranger)

    def _push(self, told: list[Told], *, has_stranger: bool = False) -> None:
        items = [self.infobip.tell(one) for one in told]
        strangers = [parse_item({"messageId": f"{UUID(int=7)}-1"}), parse_item(7)] if has_stranger else []
        self._transact(
            lambda session: apply_reports(session, [(self.lane.credential_id, [*strangers, *items])], self.settings)
        )
        self.pushed |= {promises.key(one) for one in told}
        self.delivered |= {one.attempt for one in told if one.status == Said.DELIVERED}
        self.strangers += len(strangers)

    # What ended undelivered goes out again.

    @precondition(lambda self: self.world.live_count <= 2 and self.world.batches_to_replay)
    @rule(which=draws.INDEX, includes_unconfirmed=st.booleans(), validity=draws.VALIDITIES)
    def replay(self, which: int, includes_unconfirmed: bool, validity: int) -> None:
        order = ReplayOrder(
            batch_id=_pick(self.world.batches_to_replay, which),
            states=[state for state in UNDELIVERED if includes_unconfirmed or state is not State.UNCONFIRMED],
            includes_unconfirmed=includes_unconfirmed,
            validity=timedelta(seconds=validity),
        )
        made = self._transact(lambda session: replay(session, order))
        if made.accepted:
            assert made.id is not None
            self.batches.append(made.id)

    # Upkeep, people, and the clock.

    @precondition(lambda self: is_within(SOON, self.world.next_look))
    @rule(troubles=draws.LOG_TROUBLES, calls=draws.CALLS, dies_at=draws.LOOK_DEATHS, looks=st.integers(1, 3))
    def look(self, troubles: tuple[Way | None, ...], calls: int | None, dies_at: Boundary | None, looks: int) -> None:
        """The next look, when it is due, and those that follow it at once; the first may have troubles, and die."""
        self.infobip.log_troubles, self.budget.left = list(troubles), calls
        for _ in range(looks):
            if is_within(SOON, self.world.next_look):
                self._pass(max(self.world.next_look or 0.0, 0.0))
                until_death(self.lookups.look, dies_at)
                self.promises_hold()
            self.infobip.log_troubles, self.budget.left, dies_at = [], None, None

    @precondition(lambda self: self.world.has_dead_lease)
    @rule(dies_at=draws.LEASE_DEATHS)
    def abandon(self, dies_at: Boundary | None) -> None:
        until_death(lambda: recovery.abandon(self.engine, self.settings), dies_at)

    @precondition(lambda self: self.world.has_waited_too_long)
    @rule()
    def expire(self) -> None:
        endings.expire(self.engine)

    @precondition(lambda self: self.world.is_silent_after(self.settings.report_grace))
    @rule()
    def give_up(self) -> None:
        endings.give_up(self.engine, self.settings)

    @rule(what=draws.STEERING, which=draws.INDEX)
    def steer(self, what: str, which: int) -> None:
        """What people do. One rule, so that they do it seldom."""
        batch = _pick(self.batches, which)
        if what in ("new key", "new account"):
            self._transact(lambda session: self._change_credential(session, is_moved=what == "new account"))
        elif what == "hold and free":
            setting_aside.hold_and_free(self.engine)
            cancelling.clear(self.engine)
        elif what in WORDS:
            recipients = [message.recipient for message in self.world.messages.values()]
            self._say(_pick(recipients, which), what)
        elif batch not in self.cancelled:
            self.blocked.add(batch)
            if what == "pause":
                self._transact(lambda session: steering.pause(session, batch))
            else:
                self._transact(lambda session: steering.cancel(session, batch))
                self.cancelled.add(batch)

    @precondition(lambda self: self.blocked - self.cancelled)
    @rule(which=draws.INDEX)
    def resume(self, which: int) -> None:
        batch = _pick(sorted(self.blocked - self.cancelled), which)
        self._transact(lambda session: steering.resume(session, batch))
        self.blocked.remove(batch)

    def _change_credential(self, session: Session, *, is_moved: bool) -> None:
        """A new key of the same account, or the host of another one, as the API takes it."""
        session.execute(_NEW_ACCOUNT if is_moved else _NEW_KEY, {"id": self.lane.credential_id})
        holds.release(session, self.lane.credential_id)

    def _say(self, recipient: str, word: str) -> None:
        """A person writes to the credential, and it is stored what follows."""

        def work(session: Session) -> None:
            person, now = Person(recipient, self.lane.credential_id), database_now(session)
            before = consents.read(session, [person]).get(person, NOTHING_SAID)
            window = self.settings.double_opt_in_window
            after = said(before, WORDS[word], ConsentSource.KEYWORD, now, pending_for=window)
            consents.write(session, {person: after}, [consents.Said(person=person, standing=after, reason=word)])

        self._transact(work)
        self.people.say(recipient, word, self.passed_seconds)

    @rule(seconds=draws.SECONDS)
    def pass_time(self, seconds: float | None) -> None:
        """Without a number: until the next thing falls due, a little while if one is."""
        self._pass(seconds or (3 if self.world.is_busy else self.world.next_instant))

    def _pass(self, seconds: float) -> None:
        self._transact(lambda session: tables.pass_time(session, seconds))
        self.passed_seconds += seconds

    # What must hold after each of them, and at the end.

    @invariant()
    def promises_hold(self) -> None:
        world = self.world = self._transact(World.read)
        blocked = self._blocked_now()
        for submission in world.submissions:
            self.blocked_at_opening.setdefault(UUID(submission.id), blocked)
        self._hear_of_blocks()
        troubles = [entry for entry in self.logged if entry["log_level"] == "error"]
        assert not troubles, "\n".join(entry.get("exception", str(entry)) for entry in troubles)
        for check in promises.OF_THE_TABLES:
            check(world)
        promises.check_closed_windows(world, NOON + timedelta(seconds=self.passed_seconds))
        for check_both in promises.OF_TABLES_AND_INFOBIP:
            check_both(world, self.infobip)
        promises.check_reports(world, self.infobip, self.pushed, self.strangers)
        promises.check_deliveries(world, self.delivered)
        promises.check_consent(world, self.people)

    def _hear_of_blocks(self) -> None:
        """What Infobip has told of people: in reports that were stored, and maybe in answers."""
        blocks = (Said.BLOCKED, Said.ON_REGISTER)
        for (message_id, _), seen in self.infobip.seen.items():
            if any(told.status in blocks for told in seen.history):
                self.people.named.add(self.world.messages[message_id].recipient)
        for message_id, _, status_id, done_at in set(self.world.reports) - self.heard:
            if status_id in [status.id for status in blocks]:
                told_at = self.passed_seconds if done_at is None else (done_at - NOON).total_seconds()
                self.people.block(self.world.messages[message_id].recipient, told_at)
        self.heard |= set(self.world.reports)

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.come_to_an_end()
        finally:
            self._logs.__exit__(None, None, None)

    def come_to_an_end(self) -> None:
        """Who stands still is dead, Infobip is well, nobody resumes a batch: everything ends by itself."""
        for number in range(ROUNDS_TO_THE_END):
            for attempt in self.infobip.open_attempts():
                if self.world.messages[attempt[0]].batch_id != str(self.batches[0]):  # of those, nothing is ever heard
                    self.infobip.happens(attempt, Said.DELIVERED, is_done=True)
            self._do_what_is_due()
            self.promises_hold()
            if self.world.is_settled:
                attempts = [attempt for attempts in self.world.attempts.values() for attempt in attempts]
                assert all(attempt.outcome is not None for attempt in attempts), "nobody says what became of an attempt"
                return
            self._pass(max(self.world.next_instant, 2.0 ** (number - 8)))
            self.promises_hold()
        raise AssertionError(f"not settled: {self.world}")

    def _do_what_is_due(self) -> None:
        """The tick of every sweep, with none left out that would find something."""
        if self.world.has_dead_lease:
            recovery.abandon(self.engine, self.settings)
        if self.world.has_waited_too_long:
            endings.expire(self.engine)
        while cancelling.clear(self.engine):
            pass
        if is_within(0, self.world.next_look):
            self.lookups.look()
        if self.world.is_silent_after(self.settings.report_grace):
            endings.give_up(self.engine, self.settings)
        if self.world.live_count:
            self.sender.deliver(self.lane.id, 1.0)


def _nudge(*_: object) -> None:
    return


def _pick(things: list[T], which: int) -> T:
    return things[which % len(things)]


def _pop(things: list[T], which: int) -> T:
    return things.pop(which % len(things))
