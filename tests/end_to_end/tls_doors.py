"""Doors with TLS before servers that speak without it: PostgreSQL and Redis as a managed service shows them."""

import asyncio
import contextlib
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.ports import free_port

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # the PostgreSQL protocol's question, in the clear, whether TLS is spoken


@contextmanager
def postgres_door(socket: Path, tls: ssl.SSLContext) -> Iterator[int]:
    """The port of a PostgreSQL that takes nobody without TLS."""

    async def agree(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if await reader.readexactly(len(SSL_REQUEST)) != SSL_REQUEST:
            return False
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(tls)
        return True

    with _door(None, agree, lambda: asyncio.open_unix_connection(str(socket))) as port:
        yield port


@contextmanager
def redis_door(server_port: int, tls: ssl.SSLContext) -> Iterator[int]:
    """The port of a Redis that speaks TLS alone."""

    async def agree(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        return True

    with _door(tls, agree, lambda: asyncio.open_connection("127.0.0.1", server_port)) as port:
        yield port


@contextmanager
def _door(
    tls: ssl.SSLContext | None,
    agree: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]],
    server: Callable[[], Awaitable[Streams]],
) -> Iterator[int]:
    """In a thread of its own, at a free port of `localhost`."""
    port, opened, guests = free_port(), threading.Event(), set[asyncio.Task[None]]()
    loop, shut = asyncio.new_event_loop(), asyncio.Event()

    async def let_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            guests.add(task)
            task.add_done_callback(guests.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), _left(writer):
            if await agree(reader, writer):
                inner_reader, inner_writer = await server()
                with _left(inner_writer):
                    await _first(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))

    async def serve() -> None:
        async with await asyncio.start_server(let_in, "localhost", port, ssl=tls):
            opened.set()
            await shut.wait()
            left = [*guests]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await asyncio.sleep(0.05)  # their sockets close in the loop's next turns

    with contextlib.closing(loop):
        thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
        thread.start()
        try:
            assert opened.wait(10)
            yield port
        finally:
            loop.call_soon_threadsafe(shut.set)
            thread.join(10)


@contextmanager
def _left(writer: asyncio.StreamWriter) -> Iterator[None]:
    """A connection that ends with the block, whatever is still to be written."""
    try:
        yield
    finally:
        writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _first(*ways: Awaitable[None]) -> None:
    """Until one side goes away."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    for task in done:
        task.result()
