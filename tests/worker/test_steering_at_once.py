"""Operators, sweeps and senders at once, each in processes of their own: in the end all stands as the last word was."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, route_of
from tests.worker.steps import (
    ACCEPTED,
    assert_tally_is_exact,
    at_once,
    batch_of,
    message,
    retries_due,
    steered,
    swept,
    take,
)
from worker import answers, batch_sweeps, cancelling, moving, setting_aside, steering
from worker.claims import claim
from worker.db import database_now, transact
from worker.infobip.answers import Answer
from worker.infobip.statuses import verdict
from worker.lanes import Route
from worker.models import Batch, Event
from worker.settings import Settings
from worker.states import WAITING

RECIPIENTS = [f"9199000000{n:02d}" for n in range(60)]
VERBS = 30
LEASE_SECONDS = 60
DAY = timedelta(days=1)
SYSTEM_ERROR = verdict(9, 2, 27, False)  # for now


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sweeps, "CHUNK", 4)


def reschedule(session: Session, batch_id: UUID) -> Batch:
    return steering.reschedule(session, batch_id, database_now(session) + DAY, None)


def begin_now(session: Session, batch_id: UUID) -> Batch:
    return steering.reschedule(session, batch_id, database_now(session), None)


def steer(engine: Engine, batch_id: UUID, draw: Random, is_over: threading.Event) -> None:
    try:
        for _ in range(VERBS):
            verb = draw.choice([steering.pause, steering.resume, steering.resume, begin_now, begin_now, reschedule])
            transact(engine, lambda session, verb=verb: verb(session, batch_id))  # type: ignore[misc]
            time.sleep(draw.random() / 100)
    finally:
        is_over.set()


def sweep(engine: Engine, draw: Random, is_over: threading.Event) -> None:
    while not is_over.is_set():
        draw.choice([setting_aside.hold_and_free, cancelling.clear, moving.give_turns])(engine)


def send(engine: Engine, route: Route, settings: Settings, draw: Random, is_over: threading.Event) -> None:
    while not is_over.is_set():
        submission = transact(
            engine, lambda session: claim(session, route, 5, LEASE_SECONDS, time.monotonic())
        ).submission
        if submission is None:
            continue
        said = draw.choice([None, None, None, None, SYSTEM_ERROR, ACCEPTED])

        def settle(session: Session, submission=submission, said=said) -> None:  # type: ignore[no-untyped-def]
            if said is None:
                answers.record_unsent(session, submission, settings)
            else:
                answer = Answer({sent.wire_id: said for sent in submission.messages[:1]}, {})
                only = {sent.message_id for sent in submission.messages[1:]}
                answers.record_unsent(session, submission, settings, only=only)
                answers.record_answer(session, submission, answer, settings)

        transact(engine, settle)


@pytest.mark.parametrize("last", [steering.pause, steering.resume, steering.cancel, reschedule])
@pytest.mark.parametrize("pace", [None, 1_000])
def test_whatever_runs_at_once_all_stands_as_the_last_word_was(
    session: Session,
    lane: MadeLane,
    engine: Engine,
    fresh_settings: Settings,
    last: Callable[[Session, UUID], Batch],
    pace: int | None,
) -> None:
    ids = make_batch(session, lane, RECIPIENTS, pace=pace)
    batch_id, route = batch_of(session, ids[0]).id, route_of(session, lane)
    draw, is_over = Random(f"{last.__name__} {pace}"), threading.Event()
    draws = [Random(draw.random()) for _ in range(5)]
    at_once(
        lambda: steer(engine, batch_id, draws[0], is_over),
        lambda: sweep(engine, draws[1], is_over),
        lambda: sweep(engine, draws[2], is_over),
        lambda: send(engine, route, fresh_settings, draws[3], is_over),
        lambda: send(engine, route, fresh_settings, draws[4], is_over),
    )
    assert_tally_is_exact(session, lane)
    batch = steered(session, last, ids[0])
    swept(engine)
    assert_tally_is_exact(session, lane)
    waiting = [row for row in (message(session, message_id) for message_id in ids) if row.state in list(WAITING)]
    queued = [row for row in waiting if row.state == "queued"]
    if last is steering.cancel:
        assert not waiting
    elif last is reschedule:
        assert queued
        assert {row.expires_at for row in queued} == {batch.expires_at}
        assert all(row.next_attempt_at is not None and row.next_attempt_at >= batch.send_at for row in queued)  # type: ignore[operator]
    else:
        assert {row.expires_at for row in queued} == {batch.expires_at}
        # What comes back at the moment of a pause may stay in the index: the claim passes it over.
        assert last is steering.pause or not any(row.held for row in waiting)
    retries_due(session)
    leaves = batch.paused_at is None and last is not steering.cancel
    assert (take(session, lane) is not None) == leaves
    told = session.exec(select(Event.subject_id).where(Event.type == "message.cancelled")).all()
    assert len(told) == len(set(told))
    assert session.execute(text("SELECT count(*) FROM message WHERE state = 'cancelled'")).scalar_one() == len(told)
