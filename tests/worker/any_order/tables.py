"""The tables of a run: their clock stands still until a step moves it, each change of state is written down, and
`World` reads them all at once.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel

import worker.models  # noqa: F401 - fills the metadata
from worker.states import FINAL, LIVE, UNDELIVERED, WAITING, State
from worker.words import AttemptOutcome

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
_TABLES = [table.name for table in reversed(SQLModel.metadata.sorted_tables) if table.name != "cluster"]
_EMPTY = "; ".join(f"DELETE FROM {table}" for table in ("step", "clock", *_TABLES))
_BEGIN = "INSERT INTO clock VALUES ('2026-11-23 12:00:00+00')"
_PASS = text("UPDATE clock SET at = at + make_interval(secs => :seconds)")


def _seconds_until(column: str) -> str:
    return f"extract(epoch FROM {column} - statement_timestamp())::float8"


# One statement: this is read thousands of times. Instants are seconds from now.
_WORLD = text(f"""
    WITH steps AS (DELETE FROM step RETURNING *),
    messages AS (
        SELECT m.id, m.lane_id, m.batch_id, m.recipient, m.state, m.reason, m.attempt_count, m.validity_seconds,
               {_seconds_until("m.next_attempt_at")} AS due_in, {_seconds_until("m.expires_at")} AS expires_in,
               {_seconds_until("m.leave_before")} AS leave_in,
               coalesce(m.sending_window, b.sending_window) AS window,
               {_seconds_until("m.finished_at")} AS finished_in, b.cancelled_at IS NOT NULL AS is_cancelled,
               m.held AND b.held_through IS NULL AS is_held_astray
        FROM message m JOIN batch b ON b.id = m.batch_id
    ), attempts AS (
        SELECT message_id, number, outcome, {_seconds_until("look_at")} AS look_in FROM attempt
    ), submissions AS (
        SELECT id, outcome IS NULL AS is_open, {_seconds_until("lease_until")} AS lease_left FROM submission
    ), forgotten AS (
        SELECT recipient FROM consent c WHERE (c.state, c.source, c.blocked, c.changed_at) IS DISTINCT FROM (
            -- A block that is told late leaves a wish to come back the person's own: its line is Infobip's.
            SELECT (h.state, CASE WHEN c.state = 'pending' AND h.message_id IS NOT NULL THEN c.source ELSE h.source END,
                    h.blocked, h.changed_at) FROM consent_change h
            WHERE h.recipient = c.recipient ORDER BY h.id DESC LIMIT 1)
    ), reports AS (SELECT message_id, attempt, status_id, done_at FROM delivery_report),
    told AS (SELECT transaction_id, id, type, subject_id, attempt, reason FROM event),
    replays AS (SELECT source_message_id, message_id, root_id FROM replayed),
    counts AS (SELECT subject_id, state, reason, sum(n) AS n FROM tally GROUP BY 1, 2, 3 HAVING sum(n) <> 0)
    SELECT json_build_object(
        'steps', (SELECT coalesce(json_agg(s ORDER BY s.id), '[]') FROM steps s),
        'messages', (SELECT coalesce(json_agg(m ORDER BY m.id), '[]') FROM messages m),
        'attempts', (SELECT coalesce(json_agg(a ORDER BY a.number), '[]') FROM attempts a),
        'submissions', (SELECT coalesce(json_agg(s ORDER BY s.id), '[]') FROM submissions s),
        'reports', (SELECT coalesce(json_agg(r), '[]') FROM reports r),
        'told', (SELECT coalesce(json_agg(t ORDER BY t.transaction_id, t.id), '[]') FROM told t),
        'replays', (SELECT coalesce(json_agg(r), '[]') FROM replays r),
        'counts', (SELECT coalesce(json_agg(c), '[]') FROM counts c),
        'forgotten', (SELECT coalesce(json_agg(recipient), '[]') FROM forgotten),
        'unmatched', (SELECT count(*) FROM unmatched_report))::text
""")

# What makes a report the same report: message ID, attempt, status ID, done time.
Key = tuple[UUID, int, int | None, datetime | None]


@dataclass
class World:
    """The tables as they stand; `steps` are those since they were read last."""

    steps: list[Any] = field(default_factory=list)
    messages: dict[UUID, Any] = field(default_factory=dict)
    attempts: dict[UUID, list[Any]] = field(default_factory=dict)  # by message, oldest first
    submissions: list[Any] = field(default_factory=list)
    reports: list[Key] = field(default_factory=list)
    told: dict[UUID, list[Any]] = field(default_factory=dict)  # events by subject, in the order of the feed
    replays: list[Any] = field(default_factory=list)  # which message replays which
    tally: dict[tuple[str, str, str], int] = field(default_factory=dict)
    unmatched: int = 0
    forgotten: list[str] = field(default_factory=list)  # whose history does not end in how they stand

    @classmethod
    def read(cls, session: Session) -> "World":
        read = json.loads(session.execute(_WORLD).scalar_one(), object_hook=lambda row: SimpleNamespace(**row))
        attempts: dict[UUID, list[Any]] = {UUID(row.id): [] for row in read.messages}
        for row in read.attempts:
            attempts[UUID(row.message_id)].append(row)
        told: dict[UUID, list[Any]] = {}
        for row in read.told:
            told.setdefault(UUID(row.subject_id), []).append(row)
        return cls(
            steps=read.steps,
            messages={UUID(row.id): row for row in read.messages},
            attempts=attempts,
            submissions=read.submissions,
            reports=[
                (UUID(row.message_id), row.attempt, row.status_id, row.done_at and datetime.fromisoformat(row.done_at))
                for row in read.reports
            ],
            told=told,
            replays=read.replays,
            tally={(row.subject_id, row.state, row.reason): row.n for row in read.counts},
            unmatched=read.unmatched,
            forgotten=read.forgotten,
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
    def batches_to_replay(self) -> list[UUID]:
        """With a message that ended undelivered and was not replayed."""
        replayed = {replay.source_message_id for replay in self.replays}
        left = [row for row in self.messages.values() if row.state in UNDELIVERED and row.id not in replayed]
        return sorted({UUID(row.batch_id) for row in left})

    @property
    def chains_that_arrived(self) -> frozenset[UUID]:
        """All messages that replay one another, where one of them is delivered."""
        delivered = {message_id for message_id, message in self.messages.items() if message.state == State.DELIVERED}
        chains: dict[str, set[UUID]] = {}
        for replay in self.replays:
            chain = chains.setdefault(replay.root_id, {UUID(replay.root_id)})
            chain.add(UUID(replay.message_id))
        return frozenset().union(*(chain for chain in chains.values() if chain & delivered))

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
