import asyncio
import threading
import time

import pytest

from api.recent import Recent


def test_a_rush_looks_it_up_once_and_later_again() -> None:
    reads: list[int] = []

    def read() -> int:
        reads.append(1)
        time.sleep(0.05)
        return 7

    async def rush() -> None:
        recent: Recent[str, int] = Recent(0.2)
        for rushes in (1, 1, 2):
            assert await asyncio.gather(*(recent.get("a", read) for _ in range(50))) == [7] * 50
            assert len(reads) == rushes
            if rushes == 1 and len(reads) == 1:
                await asyncio.sleep(0.1)

    asyncio.run(rush())


def test_what_is_not_there_is_looked_up_each_time() -> None:
    reads: list[int] = []

    async def ask() -> None:
        recent: Recent[str, int] = Recent(10)
        for _ in range(3):
            assert await recent.get("a", lambda: reads.append(1)) is None

    asyncio.run(ask())
    assert len(reads) == 3


def test_an_error_reaches_all_who_asked_and_is_not_kept() -> None:
    def broken() -> int:
        time.sleep(0.02)
        raise ConnectionError

    async def ask() -> None:
        recent: Recent[str, int] = Recent(10)
        answers = await asyncio.gather(*(recent.get("a", broken) for _ in range(5)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {ConnectionError}
        assert await recent.get("a", lambda: 1) == 1

    asyncio.run(ask())


def test_one_who_gives_up_leaves_the_look_up_to_the_others() -> None:
    gate = threading.Event()

    def read() -> int:
        gate.wait(5)
        return 7

    async def ask() -> None:
        recent: Recent[str, int] = Recent(10)
        first, second = (asyncio.ensure_future(recent.get("a", read)) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        gate.set()
        assert await second == 7
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(ask())
