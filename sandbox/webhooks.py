"""A small HTTP/1.1 client that posts JSON to one webhook and wants nothing of the answer but its status.

A general client costs about a millisecond for each request, and at full speed the sandbox makes hundreds of requests
in a second; they would take more of its time than accepting the messages does.
"""

import asyncio
import ssl
from typing import cast
from urllib.parse import urlsplit

import httptools

ANSWER_TIMEOUT_SECONDS = 10.0


class _Connection(asyncio.Protocol):
    """One kept-alive connection, one exchange at a time."""

    def __init__(self) -> None:
        self.is_reusable = True
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None

    async def exchange(self, request: bytes) -> int:
        """The status of the answer. Errors: ConnectionError if the connection breaks before the answer is here."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("closed while idle")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            self._answer = None

    def close(self) -> None:
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's by class, only by what they can do.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_reusable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("closed before the answer was complete"))

    def on_message_complete(self) -> None:
        self.is_reusable = self.is_reusable and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())
        else:
            self.close()  # An answer that nobody asked for: what follows cannot be trusted.


class Webhook:
    """Posts to `url`, which must be a good http or https URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if is_secure else 80)
        self._ssl = ssl.create_default_context() if is_secure else None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: sandbox\r\n"
            "Accept: */*\r\nContent-Type: application/json\r\nContent-Length: "
        ).encode("ascii")
        self._idle: list[_Connection] = []

    async def post(self, body: bytes) -> int | None:
        """The status of the answer, None where none came in time."""
        request = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                return await self._exchange(request)
        except (OSError, UnicodeError):  # Refused, reset, timed out, no such host, or no name for one.
            return None

    async def _exchange(self, request: bytes) -> int:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                try:
                    return await self._on(connection, request)
                except ConnectionResetError:
                    continue  # The other side may close an idle connection at any time: that is no failed push.
        loop = asyncio.get_running_loop()
        _, fresh = await loop.create_connection(_Connection, self._host, self._port, ssl=self._ssl)
        return await self._on(fresh, request)

    async def _on(self, connection: _Connection, request: bytes) -> int:
        try:
            status = await connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return status

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()
