"""Runs the sandbox under uvicorn, and does to connections what an application cannot: resets and outages."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.account import Account, Settings
from sandbox.app import create_app
from sandbox.calls import CONNECTION

_BACKLOG = 2048
_ANSWER_LEAVES_SECONDS = 0.05


class ResettableProtocol(HttpToolsProtocol):
    """Gives the application the transport, so that a fault can reset the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CONNECTION: {"transport": self.transport}}


class SandboxServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener
        self._address = listener.getsockname()
        self._outage: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets or [self._listener])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT and return: uvicorn would raise the signal again and die of it."""
        loop = asyncio.get_running_loop()
        stops = (signal.SIGTERM, signal.SIGINT)
        with contextlib.suppress(RuntimeError, ValueError):  # Not in the main thread: signals are others' business.
            for stop in stops:
                loop.add_signal_handler(stop, self.handle_exit, stop, None)
        yield
        with contextlib.suppress(RuntimeError, ValueError):
            for stop in stops:
                loop.remove_signal_handler(stop)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._outage:
            self._outage.cancel()
        self._cut_unanswered()
        await super().shutdown(sockets)

    def begin_outage(self, seconds: float) -> None:
        """Close the port for that long. During an outage nobody can ask for another."""
        if self._outage is None or self._outage.done():
            self._outage = asyncio.get_running_loop().create_task(self._keep_closed(seconds))

    async def _keep_closed(self, seconds: float) -> None:
        await asyncio.sleep(_ANSWER_LEAVES_SECONDS)
        for server in self.servers:
            server.close()
        self.servers = []
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        reserved = await self._reserve_port()
        try:
            await asyncio.sleep(seconds)
            loop = asyncio.get_running_loop()
            self.servers = [await loop.create_server(self._new_connection, sock=reserved, backlog=_BACKLOG)]
        except asyncio.CancelledError:
            reserved.close()
            raise

    async def _reserve_port(self) -> socket.socket:
        """A socket bound but not listening: clients are refused, yet no other process can take the port."""
        while True:
            try:
                return _bind(self._address[0], self._address[1])
            except OSError:
                await asyncio.sleep(0.005)  # The old listener closes in the loop's next turn.

    def _new_connection(self) -> asyncio.Protocol:
        return ResettableProtocol(self.config, self.server_state, self.lifespan.state)

    def _cut_unanswered(self) -> None:
        """End the silences: whoever waits in one would keep us from stopping."""
        for connection in list(self.server_state.connections):
            cycle: Any = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                connection.transport.abort()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def run(
    host: str = "127.0.0.1",
    port: int = 8001,
    settings: Settings = Settings(),
    *,
    announce: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT, then return. `port` 0 takes a free one; `announce` prints the address.
    Errors: SystemExit with one line if the port is not to be had."""
    try:
        listener = _bind(host, port)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise SystemExit(f"sandbox: cannot listen on {host}:{port}: {error.strerror or error}") from error
    app = create_app(Account(settings), lambda seconds: server.begin_outage(seconds))
    config = uvicorn.Config(
        app,
        http=ResettableProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        server_header=False,
        proxy_headers=False,
    )
    server = SandboxServer(config, listener)
    # Records live long and never in cycles: frequent collections would only walk over a million of them.
    gc.set_threshold(100_000, 20, 100)
    if announce:
        bound_host, bound_port = listener.getsockname()[:2]
        sys.stdout.write(f"sandbox http://{bound_host}:{bound_port}\n")
        sys.stdout.flush()
    server.run()
