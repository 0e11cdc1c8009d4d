"""What must hold of the tables after every step, whatever happened, beside what the model of Infobip knows.

`World` reads the tables at once; each check takes it and says in its docstring what it holds to.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel

from tests.worker.model_infobip import Attempt, ModelInfobip, Told
from worker import retry
from worker.states import FINAL, LIVE, REASONED, WAITING, State, may_become
from worker.words import UNSETTLED, AttemptOutcome

# The database's clock is a row of ours and its chance a constant, so that a run can be repeated. Every change of state
# is written down by the database itself, so that none is missed inside a transaction or a rule. The search path holds
# for connections that are made from then on.
_PREPARE = """
    CREATE TABLE clock (at timestamptz);
    CREATE SCHEMA stopped;
    CREATE FUNCTION stopped.now() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT at FROM public.clock';
    CREATE FUNCTION stopped.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT stopped.now()';
    CREATE FUNCTION stopped.clock_timestamp() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT stopped.now()';
    CREATE FUNCTION stopped.random() RETURNS float8 LANGUAGE sql AS 'SELECT 0.5::float8';
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = stopped, pg_catalog, public', current_database());
    END $$;

    CREATE TABLE step (id bigserial, message_id uuid, was text, was_number int, state text, number int);
    CREATE FUNCTION write_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO step (message_id, was, was_number, state, number)
        VALUES (NEW.id, OLD.state, OLD.attempt_count, NEW.state, NEW.attempt_count);
        RETURN NULL;
    END $$;
    CREATE TRIGGER step AFTER UPDATE OF state ON message
        FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION write_step();
"""
# Faster than TRUNCATE where there are few rows.
_EMPTY = "; ".join(f"DELETE FROM {table}" for table in ("step", "clock", *reversed(SQLModel.metadata.sorted_tables)))
_BEGIN = "INSERT INTO clock VALUES ('2026-11-23 12:00:00+00')"
_PASS = text("UPDATE clock SET at = at + make_interval(secs => :seconds)")


def _seconds_until(column: str) -> str:
    return f"extract(epoch FROM {column} - statement_timestamp())::float8"


# One statement: this is read thousands of times. Instants are seconds from now.
_WORLD = text(f"""
    WITH steps AS (DELETE FROM step RETURNING *),
    messages AS (
        SELECT m.id, m.lane_id, m.batch_id, m.state, m.reason, m.attempt_count, m.validity_seconds,
               {_seconds_until("m.next_attempt_at")} AS due_in, {_seconds_until("m.expires_at")} AS expires_in,
               {_seconds_until("m.finished_at")} AS finished_in, b.cancelled_at IS NOT NULL AS is_cancelled,
               m.held AND b.held_through IS NULL AS is_held_astray
        FROM message m JOIN batch b ON b.id = m.batch_id
    ), attempts AS (
        SELECT message_id, number, outcome, {_seconds_until("look_at")} AS look_in FROM attempt
    ), submissions AS (
        SELECT id, outcome IS NULL AS is_open, {_seconds_until("lease_until")} AS lease_left FROM submission
    ), reports AS (SELECT message_id, attempt, status_id, done_at FROM delivery_report),
    counts AS (SELECT subject_id, state, reason, sum(n) AS n FROM tally GROUP BY 1, 2, 3 HAVING sum(n) <> 0)
    SELECT json_build_object(
        'steps', (SELECT coalesce(json_agg(s ORDER BY s.id), '[]') FROM steps s),
        'messages', (SELECT coalesce(json_agg(m ORDER BY m.id), '[]') FROM messages m),
        'attempts', (SELECT coalesce(json_agg(a ORDER BY a.number), '[]') FROM attempts a),
        'submissions', (SELECT coalesce(json_agg(s ORDER BY s.id), '[]') FROM submissions s),
        'reports', (SELECT coalesce(json_agg(r), '[]') FROM reports r),
        'counts', (SELECT coalesce(json_agg(c), '[]') FROM counts c),
        'unmatched', (SELECT count(*) FROM unmatched_report))::text
""")

Key = tuple[UUID, int, int | None, datetime | None]


def key(told: Told) -> Key:
    """What makes a report the same report."""
    report = told.report()
    return report.message_id, report.attempt, report.status_id, report.done_at


@dataclass
class World:
    """The tables as they stand; `steps` are those since they were read last."""

    steps: list[Any] = field(default_factory=list)
    messages: dict[UUID, Any] = field(default_factory=dict)
    attempts: dict[UUID, list[Any]] = field(default_factory=dict)  # by message, oldest first
    submissions: list[Any] = field(default_factory=list)
    reports: list[Key] = field(default_factory=list)
    tally: dict[tuple[str, str, str], int] = field(default_factory=dict)
    unmatched: int = 0

    @classmethod
    def read(cls, session: Session) -> "World":
        read = json.loads(session.execute(_WORLD).scalar_one(), object_hook=lambda row: SimpleNamespace(**row))
        attempts: dict[UUID, list[Any]] = {UUID(row.id): [] for row in read.messages}
        for row in read.attempts:
            attempts[UUID(row.message_id)].append(row)
        return cls(
            steps=read.steps,
            messages={UUID(row.id): row for row in read.messages},
            attempts=attempts,
            submissions=read.submissions,
            reports=[
                (UUID(row.message_id), row.attempt, row.status_id, row.done_at and datetime.fromisoformat(row.done_at))
                for row in read.reports
            ],
            tally={(row.subject_id, row.state, row.reason): row.n for row in read.counts},
            unmatched=read.unmatched,
        )

    @property
    def is_settled(self) -> bool:
        is_over = all(message.state in FINAL for message in self.messages.values())
        return is_over and not self.is_submission_open and all(look is None for look in self._looks)

    @property
    def is_submission_open(self) -> bool:
        return any(submission.is_open for submission in self.submissions)

    @property
    def live_count(self) -> int:
        return sum(message.state in LIVE for message in self.messages.values())

    @property
    def next_send(self) -> float | None:
        """Seconds until something falls due to be sent, if its batch and lane let it go."""
        if any(attempt.outcome == AttemptOutcome.ABSENT for attempts in self.attempts.values() for attempt in attempts):
            return 0.0
        return min((message.due_in for message in self.messages.values() if message.state in WAITING), default=None)

    @property
    def next_look(self) -> float | None:
        """Seconds until it."""
        return min((look for look in self._looks if look is not None), default=None)

    @property
    def is_busy(self) -> bool:
        return self.has_dead_lease or is_within(0, self.next_look) or is_within(0, self.next_send)

    @property
    def has_dead_lease(self) -> bool:
        return any(submission.is_open and submission.lease_left < 0 for submission in self.submissions)

    @property
    def has_waited_too_long(self) -> bool:
        return any(message.state in WAITING and message.expires_in < 1 for message in self.messages.values())

    def is_silent_after(self, grace: timedelta) -> bool:
        ends = -grace.total_seconds()
        return any(message.state == State.SENT and message.expires_in < ends for message in self.messages.values())

    @property
    def next_instant(self) -> float:
        """Seconds until the next thing is due."""
        waits = [submission.lease_left for submission in self.submissions if submission.is_open] + self._looks
        for message in self.messages.values():
            if message.state in LIVE:
                waits += [message.due_in, message.expires_in]
        return min((wait for wait in waits if wait is not None and wait > 0), default=1.0) + 0.01

    @property
    def _looks(self) -> list[float | None]:
        return [attempt.look_in for attempts in self.attempts.values() for attempt in attempts]


def is_within(seconds: float, wait: float | None) -> bool:
    return wait is not None and wait <= seconds


def prepare(engine: Engine) -> None:
    """Once a database: its clock stands still from here on."""
    with engine.begin() as connection:
        connection.execute(text(_PREPARE))
    engine.dispose()


def begin(engine: Engine) -> None:
    """Empty tables, and noon."""
    with engine.begin() as connection:
        connection.execute(text(_EMPTY))
        connection.execute(text(_BEGIN))


def pass_time(session: Session, seconds: float) -> None:
    session.execute(_PASS, {"seconds": seconds})


def check_steps(world: World) -> None:
    """Each change of state is one that states.py allows: so delivered is for ever, and other ends only become that.

    A claim takes the next number, a release gives it back, nothing else touches it.
    """
    for step in world.steps:
        was, state = State(step.was), State(step.state)
        assert may_become(was, state), f"{was} became {state}"
        change = step.number - step.was_number
        if was in WAITING and state is State.SENDING:
            assert change == 1, f"the claim went from number {step.was_number} to {step.number}"
        elif was is State.SENDING and state in WAITING:
            assert change in (0, -1), f"from number {step.was_number} back to {step.number}"
        else:
            assert change == 0, f"{was} became {state}, number {step.was_number} became {step.number}"


def check_attempts(world: World, infobip: ModelInfobip) -> None:
    """Numbers have no gap. The count is that of the newest attempt that used up an ID or is open; past it stands at
    most one that was released, whose ID is unused."""
    for message_id, message in world.messages.items():
        rows = world.attempts[message_id]
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        newest = max((row.number for row in rows if row.outcome != AttemptOutcome.RELEASED), default=0)
        if message.state in FINAL:  # which may have ended with its release
            assert message.attempt_count in (newest, len(rows))
        else:
            assert message.attempt_count == newest
        assert len(rows) - newest <= 1
        used = max((number for known, number in infobip.seen if known == message_id), default=0)
        assert used <= message.attempt_count, f"{used} is used up and counts as unused"


def check_open_attempts(world: World, infobip: ModelInfobip) -> None:
    """A message has at most one open attempt, as Infobip sees it: one that was accepted, and of which no failure was
    told. While one is open the message does not wait for the next; and what is `sent` Infobip knows."""
    for message_id, message in world.messages.items():
        open_attempts = infobip.open_attempts(message_id)
        assert len(open_attempts) <= 1, f"two copies: {open_attempts}"
        if message.state in WAITING:
            assert not open_attempts, f"{message.state} while {open_attempts} is open"
        if message.state == State.SENT:
            assert (message_id, message.attempt_count) in infobip.seen


def check_ends(world: World, infobip: ModelInfobip) -> None:
    """Nothing is cancelled but with its batch, and nothing expires before its last margin. Neither ends a message that
    Infobip has accepted and shows in its logs. In a batch that is cancelled, none waits anew."""
    for step in world.steps:
        if step.state in WAITING:
            assert not world.messages[UUID(step.message_id)].is_cancelled
        if step.state in (State.CANCELLED, State.EXPIRED):
            shown = infobip.open_attempts(UUID(step.message_id), are_shown=True)
            assert not shown, f"{step.was} became {step.state}, but Infobip has {shown}"
    for message in world.messages.values():
        assert (message.finished_in is not None) == (message.state in FINAL)
        if message.state == State.CANCELLED:
            assert message.is_cancelled
        if message.state == State.EXPIRED:
            margin = retry.margin(timedelta(seconds=message.validity_seconds)).total_seconds()
            assert message.finished_in >= message.expires_in - margin


def check_held(world: World) -> None:
    """What was taken out of the due index will be put back: its batch knows of it."""
    assert not any(message.is_held_astray for message in world.messages.values())


def check_fates(world: World) -> None:
    """What waits has an instant; of what is in doubt the logs will be asked, as long as the message is not over."""
    for message_id, message in world.messages.items():
        if message.state in WAITING:
            assert message.due_in is not None
        for attempt in world.attempts[message_id]:
            if attempt.outcome in UNSETTLED:
                is_current = attempt.number == message.attempt_count and message.state == State.SENDING
                assert (attempt.look_in is not None) == is_current


def check_tally(world: World) -> None:
    """The tally is count(*) by state and reason, of the lane and of each batch."""
    expected: Counter[tuple[str, str, str]] = Counter()
    for message in world.messages.values():
        reason = (message.reason or "") if State(message.state) in REASONED else ""
        for subject in (message.lane_id, message.batch_id):
            expected[subject, message.state, reason] += 1
    assert world.tally == expected


def check_reports(world: World, infobip: ModelInfobip, pushed: set[Key], strangers: int) -> None:
    """Each report that was pushed is stored, once, and besides them only rows of the logs; what names no message of
    ours is kept apart."""
    stored = set(world.reports)
    assert len(world.reports) == len(stored)
    assert pushed <= stored
    assert stored <= pushed | {key(row) for row in infobip.rows_given}
    assert world.unmatched == strangers


def check_deliveries(world: World, delivered: Iterable[Attempt]) -> None:
    """What was reported as delivered, by whichever attempt, is delivered."""
    for message_id, _ in delivered:
        assert world.messages[message_id].state == State.DELIVERED


OF_THE_TABLES = (check_steps, check_held, check_fates, check_tally)
OF_TABLES_AND_INFOBIP = (check_attempts, check_open_attempts, check_ends)
