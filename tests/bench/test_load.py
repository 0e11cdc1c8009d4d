"""The load generator against real sockets: every request once, statuses, latencies and breaks as they were."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from bench.errors import MeasureFailed
from bench.load import Outcome, drive, request_bytes, run_load
from bench.served import served
from cli.ports import free_port

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[bool]]
_HEADERS = {"Content-Type": "application/json"}


def _requests(count: int) -> list[bytes]:
    return [request_bytes("http://127.0.0.1:1/here", _HEADERS, b'{"n":%d}' % n) for n in range(count)]


async def _load(answer: Answer, count: int, connections: int) -> tuple[Outcome, Counter[bytes]]:
    """What came of `count` requests to a server that does `answer` with each body (False: closes), and what it saw."""
    seen: Counter[bytes] = Counter()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                seen[body] += 1
                if not await answer(body, writer):
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await run_load("127.0.0.1", port, _requests(count), connections), seen


def _say(writer: asyncio.StreamWriter, status: int, headers: bytes = b"") -> None:
    writer.write(b"HTTP/1.1 %d Word\r\nContent-Length: 2\r\n%s\r\n{}" % (status, headers))


def test_each_request_goes_out_once_and_its_status_counts() -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> bool:
        _say(writer, 503 if b"7" in body else 202)
        return True

    outcome, seen = asyncio.run(_load(answer, 100, 8))
    assert outcome.statuses == {202: 81, 503: 19}
    assert outcome.errors == {}
    assert len(outcome.latencies) == 100
    assert set(seen.values()) == {1}
    assert len(seen) == 100


def test_a_latency_is_the_time_that_the_answer_took() -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(0.05)
        _say(writer, 200)
        return True

    outcome, _ = asyncio.run(_load(answer, 4, 2))
    assert min(outcome.latencies) >= 0.05
    assert outcome.seconds >= 0.1  # two at once, twice
    assert outcome.per_second == 4 / outcome.seconds


def test_a_connection_closed_after_an_answer_is_no_error() -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> bool:
        _say(writer, 200, b"Connection: close\r\n")
        return False

    outcome, _ = asyncio.run(_load(answer, 20, 4))
    assert outcome.statuses == {200: 20}
    assert outcome.errors == {}


def test_a_request_without_an_answer_is_an_error_and_not_repeated() -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> bool:
        if body == b'{"n":3}':
            return False
        _say(writer, 200)
        return True

    outcome, seen = asyncio.run(_load(answer, 10, 2))
    assert outcome.statuses == {200: 9}
    assert outcome.errors.total() == 1
    assert set(seen.values()) == {1}
    with pytest.raises(MeasureFailed, match="broken"):
        outcome.check(200)


def test_an_answer_that_is_not_http_is_an_error() -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"what?\r\n\r\n")
        return True

    outcome, _ = asyncio.run(_load(answer, 3, 1))
    assert outcome.statuses == {}
    assert outcome.errors.total() == 3


def test_refused_connections_are_errors() -> None:
    outcome = asyncio.run(run_load("127.0.0.1", free_port(), _requests(5), 2))
    assert outcome.statuses == {}
    assert outcome.errors == {"ConnectionRefusedError": 5}
    assert outcome.latencies == []


def test_another_status_fails_the_measure() -> None:
    with pytest.raises(MeasureFailed, match="503"):
        Outcome(Counter({202: 5, 503: 1})).check(202)


def test_in_a_process_of_its_own_it_tells_the_same() -> None:
    with served("bench.empty_asgi:app") as url:
        outcome = drive(url, [b"{}"] * 500, 4)
    outcome.check(200)
    assert outcome.statuses == {200: 500}
    assert len(outcome.latencies) == 500


def test_two_loads_add_up() -> None:
    both = Outcome(Counter({200: 2}), Counter(), 1.0, [0.1, 0.2]) + Outcome(Counter({200: 1}), Counter(), 2.0, [0.3])
    assert both == Outcome(Counter({200: 3}), Counter(), 3.0, [0.1, 0.2, 0.3])
