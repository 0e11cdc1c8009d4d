import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar

import pytest
from fastapi import Request
from sqlalchemy import Engine, text
from sqlmodel import Session

from api.app import create_app
from api.group_commit import GroupCommit, commit_together
from api.problems import Unavailable
from worker.db import is_away, make_engine
from worker.refusals import Refusal

CREATE = """
    CREATE TABLE IF NOT EXISTS noted (n int PRIMARY KEY, transaction bigint DEFAULT pg_current_xact_id()::text::bigint)
"""
NOTE = text("INSERT INTO noted (n) VALUES (:n)")

Answers = list[int | Exception]
Work = Callable[[Session, Sequence[int]], Answers]


def note(session: Session, items: Sequence[int]) -> Answers:
    """Answers each number with ten times the number."""
    for n in items:
        session.execute(NOTE, {"n": n})
    return [10 * n for n in items]


@pytest.fixture(autouse=True)
def _table(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(CREATE))
        connection.execute(text("TRUNCATE noted"))


def noted(engine: Engine) -> dict[int, int]:
    with engine.connect() as connection:
        return {row.n: row.transaction for row in connection.execute(text("SELECT n, transaction FROM noted"))}


@asynccontextmanager
async def running(engine: Engine, work: Work, **options: int) -> AsyncIterator[GroupCommit[int, int]]:
    group = GroupCommit(engine, work, **options)
    group.start()
    try:
        yield group
    finally:
        await asyncio.to_thread(group.stop)


def submit_all(engine: Engine, work: Work, items: Sequence[int], **options: int) -> list[int | BaseException]:
    async def run() -> list[int | BaseException]:
        async with running(engine, work, **options) as group:
            return await asyncio.gather(*(group.submit(n) for n in items), return_exceptions=True)

    return asyncio.run(run())


def test_requests_that_arrive_together_share_transactions(engine: Engine) -> None:
    assert submit_all(engine, note, range(300)) == [10 * n for n in range(300)]
    rows = noted(engine)
    assert set(rows) == set(range(300))
    assert len(set(rows.values())) < 30


def test_work_that_the_application_does_not_list_is_an_error_at_once(environment: pytest.MonkeyPatch) -> None:
    app = create_app()
    with pytest.raises(KeyError):
        asyncio.run(commit_together(Request({"type": "http", "app": app}), note, 1))
    app.state.engine.dispose()


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
        "int",
        "int",
        "IntegrityError",
        "int",
        "int",
    ]
    assert set(noted(engine)) == {1, 2, 3, 4}


def test_refused_request_gets_its_error_and_its_neighbours_share_their_transaction(engine: Engine) -> None:
    def work(session: Session, items: Sequence[int]) -> Answers:
        time.sleep(0.05)
        answers = note(session, [n for n in items if n % 2])
        return [answers.pop(0) if n % 2 else Refusal(f"{n} is even") for n in items]

    answers = submit_all(engine, work, range(20))
    assert [str(answer) for answer in answers] == [str(10 * n) if n % 2 else f"{n} is even" for n in range(20)]
    rows = noted(engine)
    assert set(rows) == set(range(1, 20, 2))
    assert len(set(rows.values())) <= 2


def test_what_follows_a_commit_is_done_once_a_group_with_what_was_not_refused(engine: Engine) -> None:
    told: list[Sequence[int]] = []
    asked: ContextVar[int] = ContextVar("asked")

    def after_commit(answers: Sequence[int], contexts: Sequence[Context]) -> None:
        assert [10 * context[asked] for context in contexts] == answers
        assert {answer // 10 for answer in answers} <= set(noted(engine))
        told.append(answers)

    def work(session: Session, items: Sequence[int]) -> Answers:
        time.sleep(0.05)
        return [n if isinstance(n, int) and n < 90 else Refusal("too much") for n in note(session, items)]

    async def run() -> None:
        group: GroupCommit[int, int] = GroupCommit(engine, work, after_commit=after_commit)
        group.start()
        await asyncio.gather(*(ask(group, n) for n in range(10)), return_exceptions=True)
        await asyncio.to_thread(group.stop)

    async def ask(group: GroupCommit[int, int], n: int) -> int:
        asked.set(n)
        return await group.submit(n)

    asyncio.run(run())
    assert len(told) <= 2
    assert sorted(answer for answers in told for answer in answers) == [10 * n for n in range(9)]


def test_bug_in_what_follows_a_commit_leaves_requests_answered(engine: Engine) -> None:
    def after_commit(answers: Sequence[int], _: Sequence[Context]) -> None:
        raise RuntimeError

    async def run() -> None:
        group: GroupCommit[int, int] = GroupCommit(engine, note, after_commit=after_commit)
        group.start()
        assert [await group.submit(n) for n in range(3)] == [0, 10, 20]
        await asyncio.to_thread(group.stop)

    asyncio.run(run())


def test_bug_in_the_work_of_one_fails_that_one_alone(engine: Engine) -> None:
    def work(session: Session, items: Sequence[int]) -> Answers:
        if 13 in items:
            raise KeyError("13")
        return note(session, items)

    answers = submit_all(engine, work, range(20))
    assert [n for n, answer in enumerate(answers) if isinstance(answer, Exception)] == [13]
    assert set(noted(engine)) == set(range(20)) - {13}


def test_deadlock_is_tried_again(engine: Engine) -> None:
    tries: list[int] = []

    def work(session: Session, items: Sequence[int]) -> Answers:
        tries.append(len(items))
        if len(tries) < 3:
            session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))
        return note(session, items)

    assert submit_all(engine, work, [1]) == [10]
    assert len(tries) == 3


def test_database_away_fails_all_of_the_group_and_is_not_run_one_by_one(engine: Engine) -> None:
    away = make_engine("postgresql://postgres@127.0.0.1:1/nothing")
    answers = submit_all(away, note, range(10))
    assert all(isinstance(answer, Exception) and is_away(answer) for answer in answers)


def test_pool_without_a_connection_to_give_fails_all_of_the_group_in_one_try(database_url: str) -> None:
    engine = make_engine(database_url, pool_size=1, max_overflow=0)
    engine.pool._timeout = 0.2  # type: ignore[attr-defined]
    tries: list[int] = []

    def work(session: Session, items: Sequence[int]) -> Answers:
        tries.append(len(items))
        return note(session, items)

    with engine.connect():
        answers = submit_all(engine, work, range(10))
    assert all(isinstance(answer, Exception) and is_away(answer) for answer in answers)
    assert len(tries) <= 2  # the first may have come before the others
    engine.dispose()


def test_connection_lost_before_the_commit_stores_nothing_and_the_next_group_works(engine: Engine) -> None:
    is_first = True

    def work(session: Session, items: Sequence[int]) -> Answers:
        nonlocal is_first
        answers = note(session, items)
        if is_first:
            is_first = False
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return answers

    async def run() -> None:
        async with running(engine, work) as group:
            with pytest.raises(Exception) as lost:
                await group.submit(1)
            assert is_away(lost.value)
            await group.submit(2)

    asyncio.run(run())
    assert set(noted(engine)) == {2}


def test_bug_in_the_work_fails_its_group_and_the_writer_lives_on(engine: Engine) -> None:
    def work(session: Session, items: Sequence[int]) -> Answers:
        answers = note(session, items)
        return answers[1:] if 1 in items else answers

    async def run() -> None:
        async with running(engine, work) as group:
            with pytest.raises(ValueError, match="0 answers for 1"):
                await group.submit(1)
            assert await group.submit(2) == 20

    asyncio.run(run())
    assert set(noted(engine)) == {2}


@pytest.mark.parametrize("bug", [SystemExit(1), StopIteration()], ids=["exit", "stop"])
def test_no_bug_of_the_work_leaves_a_request_without_an_answer(engine: Engine, bug: BaseException) -> None:
    def work(session: Session, items: Sequence[int]) -> Answers:
        if 1 in items and isinstance(bug, SystemExit):
            raise bug
        return [bug if item == 1 else item for item in items]  # type: ignore[misc] # a bug

    async def run() -> None:
        async with running(engine, work) as group:
            with pytest.raises(RuntimeError):
                await asyncio.wait_for(group.submit(1), 10)
            assert await asyncio.wait_for(group.submit(2), 10) == 2

    asyncio.run(run())


def test_group_is_bounded_by_weight(engine: Engine) -> None:
    sizes: list[int] = []

    def work(session: Session, items: Sequence[int]) -> Answers:
        sizes.append(len(items))
        time.sleep(0.02)
        return list(items)

    async def run() -> None:
        async with running(engine, work, most_weight=10) as group:
            await asyncio.gather(*(group.submit(n, weight=4) for n in range(9)), group.submit(9, weight=50))

    asyncio.run(run())
    assert sum(sizes) == 10
    assert max(sizes) <= 2


def test_stop_finishes_what_was_accepted_and_takes_nothing_more(engine: Engine) -> None:
    def slow(session: Session, items: Sequence[int]) -> Answers:
        time.sleep(0.05)
        return note(session, items)

    async def run() -> list[int | BaseException]:
        group: GroupCommit[int, int] = GroupCommit(engine, slow)
        group.start()
        waiting = [asyncio.ensure_future(group.submit(n)) for n in range(200)]
        await asyncio.sleep(0)
        await asyncio.to_thread(group.stop)
        with pytest.raises(Unavailable):
            await group.submit(1000)
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert asyncio.run(run()) == [10 * n for n in range(200)]
    assert set(noted(engine)) == set(range(200))


def test_request_that_gave_up_waiting_does_not_disturb_the_others(engine: Engine) -> None:
    gate = threading.Event()

    def work(session: Session, items: Sequence[int]) -> Answers:
        gate.wait(5)
        return note(session, items)

    async def run() -> list[int | BaseException]:
        async with running(engine, work) as group:
            waiting = [asyncio.ensure_future(group.submit(n)) for n in range(10)]
            await asyncio.sleep(0.1)
            waiting[0].cancel()
            waiting[5].cancel()
            await asyncio.sleep(0.05)
            gate.set()
            return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(run())
    assert [answer for n, answer in enumerate(answers) if n not in {0, 5}] == [
        10 * n for n in range(10) if n not in {0, 5}
    ]
    assert set(noted(engine)) >= set(range(10)) - {0, 5}


def test_too_much_waiting_is_refused_at_once(engine: Engine) -> None:
    gate = threading.Event()

    def work(session: Session, items: Sequence[int]) -> Answers:
        gate.wait(5)
        return list(items)

    async def run() -> None:
        async with running(engine, work, most_waiting=3) as group:
            first = asyncio.ensure_future(group.submit(0))
            await asyncio.sleep(0.1)
            others = [asyncio.ensure_future(group.submit(n)) for n in range(1, 5)]
            answers = asyncio.gather(first, *others, return_exceptions=True)
            await asyncio.sleep(0.05)
            gate.set()
            assert [type(answer).__name__ for answer in await answers].count("Unavailable") == 1

    asyncio.run(run())
