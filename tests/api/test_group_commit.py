import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from api import group_commit
from api.group_commit import GroupCommit
from api.problems import Unavailable
from worker.db import is_away, make_engine

CREATE = """
    CREATE TABLE IF NOT EXISTS noted (n int PRIMARY KEY, transaction bigint DEFAULT pg_current_xact_id()::text::bigint)
"""
NOTE = text("INSERT INTO noted (n) VALUES (:n)")

Work = Callable[[Session, Sequence[int]], None]


def note(session: Session, items: Sequence[int]) -> None:
    for n in items:
        session.execute(NOTE, {"n": n})


@pytest.fixture(autouse=True)
def _table(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(CREATE))
        connection.execute(text("TRUNCATE noted"))


def noted(engine: Engine) -> dict[int, int]:
    with engine.connect() as connection:
        return {row.n: row.transaction for row in connection.execute(text("SELECT n, transaction FROM noted"))}


@asynccontextmanager
async def running(engine: Engine, work: Work, **options: int) -> AsyncIterator[GroupCommit[int]]:
    group = GroupCommit(engine, work, **options)
    group.start()
    try:
        yield group
    finally:
        await asyncio.to_thread(group.stop)


def submit_all(engine: Engine, work: Work, items: Sequence[int], **options: int) -> list[BaseException | None]:
    async def run() -> list[BaseException | None]:
        async with running(engine, work, **options) as group:
            return await asyncio.gather(*(group.submit(n) for n in items), return_exceptions=True)

    return asyncio.run(run())


def test_requests_that_arrive_together_share_transactions(engine: Engine) -> None:
    assert submit_all(engine, note, range(300)) == [None] * 300
    rows = noted(engine)
    assert set(rows) == set(range(300))
    assert len(set(rows.values())) < 30


def test_request_is_answered_only_after_its_commit(engine: Engine) -> None:
    async def run() -> None:
        async with running(engine, note) as group:
            for n in range(20):
                await group.submit(n)
                assert n in await asyncio.to_thread(noted, engine)

    asyncio.run(run())


def test_faulty_request_fails_alone(engine: Engine) -> None:
    answers = submit_all(engine, note, [1, 2, 2, 3, 4])
    assert [type(answer).__name__ for answer in answers] == [
        "NoneType",
        "NoneType",
        "IntegrityError",
        "NoneType",
        "NoneType",
    ]
    assert set(noted(engine)) == {1, 2, 3, 4}


def test_bug_in_the_work_of_one_fails_that_one_alone(engine: Engine) -> None:
    def work(session: Session, items: Sequence[int]) -> None:
        note(session, items)
        if 13 in items:
            raise KeyError("13")

    answers = submit_all(engine, work, range(20))
    assert [n for n, answer in enumerate(answers) if answer is not None] == [13]
    assert set(noted(engine)) == set(range(20)) - {13}


def test_deadlock_is_tried_again(engine: Engine) -> None:
    tries: list[int] = []

    def work(session: Session, items: Sequence[int]) -> None:
        tries.append(len(items))
        if len(tries) < 3:
            session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))
        note(session, items)

    assert submit_all(engine, work, [1]) == [None]
    assert len(tries) == 3


def test_database_away_fails_all_of_the_group_and_is_not_run_one_by_one(engine: Engine) -> None:
    away = make_engine("postgresql://postgres@127.0.0.1:1/nothing")
    answers = submit_all(away, note, range(10))
    assert all(answer is not None and is_away(answer) for answer in answers)


def test_connection_lost_before_the_commit_stores_nothing_and_the_next_group_works(engine: Engine) -> None:
    is_first = True

    def work(session: Session, items: Sequence[int]) -> None:
        nonlocal is_first
        note(session, items)
        if is_first:
            is_first = False
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    async def run() -> None:
        async with running(engine, work) as group:
            with pytest.raises(Exception) as lost:
                await group.submit(1)
            assert is_away(lost.value)
            await group.submit(2)

    asyncio.run(run())
    assert set(noted(engine)) == {2}


def test_group_is_bounded_by_weight(engine: Engine) -> None:
    sizes: list[int] = []

    def work(session: Session, items: Sequence[int]) -> None:
        sizes.append(len(items))
        time.sleep(0.02)

    async def run() -> None:
        async with running(engine, work, most_weight=10) as group:
            await asyncio.gather(*(group.submit(n, weight=4) for n in range(9)), group.submit(9, weight=50))

    asyncio.run(run())
    assert sum(sizes) == 10
    assert max(sizes) <= 2


def test_stop_finishes_what_was_accepted_and_takes_nothing_more(engine: Engine) -> None:
    def slow(session: Session, items: Sequence[int]) -> None:
        time.sleep(0.05)
        note(session, items)

    async def run() -> list[BaseException | None]:
        group = GroupCommit(engine, slow)
        group.start()
        waiting = [asyncio.ensure_future(group.submit(n)) for n in range(200)]
        await asyncio.sleep(0)
        await asyncio.to_thread(group.stop)
        with pytest.raises(Unavailable):
            await group.submit(1000)
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert asyncio.run(run()) == [None] * 200
    assert set(noted(engine)) == set(range(200))


def test_request_that_gave_up_waiting_does_not_disturb_the_others(engine: Engine) -> None:
    gate = threading.Event()

    def work(session: Session, items: Sequence[int]) -> None:
        gate.wait(5)
        note(session, items)

    async def run() -> list[BaseException | None]:
        async with running(engine, work) as group:
            waiting = [asyncio.ensure_future(group.submit(n)) for n in range(10)]
            await asyncio.sleep(0.1)
            waiting[0].cancel()
            waiting[5].cancel()
            await asyncio.sleep(0.05)
            gate.set()
            return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(run())
    assert [answer for n, answer in enumerate(answers) if n not in {0, 5}] == [None] * 8
    assert set(noted(engine)) >= set(range(10)) - {0, 5}


def test_too_much_waiting_is_refused_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_MOST_WAITING", 3)
    gate = threading.Event()

    def work(session: Session, items: Sequence[int]) -> None:
        gate.wait(5)

    async def run() -> None:
        async with running(engine, work) as group:
            first = asyncio.ensure_future(group.submit(0))
            await asyncio.sleep(0.1)
            others = [asyncio.ensure_future(group.submit(n)) for n in range(1, 5)]
            answers = asyncio.gather(first, *others, return_exceptions=True)
            await asyncio.sleep(0.05)
            gate.set()
            assert [type(answer).__name__ for answer in await answers].count("Unavailable") == 1

    asyncio.run(run())
