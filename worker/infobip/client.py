"""HTTP to Infobip: one request in, a typed answer or a SendError out. No decision about messages is made here."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta
from types import TracebackType
from typing import IO, Any, Self
from uuid import UUID

import httpx

from worker.errors import CredentialRefused, NotSent, OutcomeUncertain
from worker.infobip.account import Account
from worker.infobip.answers import (
    Answer,
    InboxPage,
    LogPage,
    read_answer,
    read_inbox_page,
    read_log_page,
    read_upload,
)
from worker.infobip.http_errors import raise_for_status
from worker.infobip.payloads import MOST_INBOX_MESSAGES, SendRequest, inbox_query, log_query, upload_headers
from worker.metrics import submission_seconds
from worker.words import Channel

CONNECT_SECONDS = 5.0
POOL_SECONDS = 2.0
KEEPALIVE_SECONDS = 20.0
UPLOAD_PIECE_BYTES = 64 * 1024
LOGS_SECONDS = 10.0  # for a page of the logs: asking again costs nothing, and others wait


class Infobip:
    """The connections of one process to Infobip, all accounts.

    Synchronous outside; inside, an event loop of its own gives each request one overall deadline, which httpx's
    time-outs (for connecting, a free connection, each write, each read) do not: a server that trickles bytes would
    keep a request alive past the lease.
    """

    def __init__(self, request_timeout_seconds: float) -> None:
        self._timeout = request_timeout_seconds
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(
                connect=CONNECT_SECONDS, pool=POOL_SECONDS, write=request_timeout_seconds, read=request_timeout_seconds
            ),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS),
            headers={"Accept": "application/json", "User-Agent": "infobip-delivery"},
            trust_env=False,  # a proxy from the environment would see every message
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def submit(self, account: Account, channel: Channel, request: SendRequest, sent_within_seconds: float) -> Answer:
        """Hand a request over. Errors: every SendError; only OutcomeUncertain leaves its fate open.

        The body leaves within `sent_within_seconds` or not at all; the answer may take the request time-out.
        """
        started = time.monotonic()
        try:
            response = self._call(
                account,
                "POST",
                request.path,
                sent_within_seconds,
                content=request.body,
                headers={"Content-Type": "application/json"},
            )
        finally:
            submission_seconds.labels(channel).observe(time.monotonic() - started)
        raise_for_status(response.status_code, response.headers, response.content, channel, request)
        return read_answer(response.status_code, response.content)

    def log_page(
        self, account: Account, channel: Channel, ids: Sequence[UUID] | Sequence[str], cursor: str | None = None
    ) -> LogPage:
        """A page of the log rows of the last 48 hours for these bulk IDs, or for these message IDs of ours (text), at
        most IDS_A_CALL of them. Errors: SendError.

        Source: Infobip, its logs: 120 requests a minute and account; the last page has no `nextCursor`.
        """
        path, query = log_query(channel, ids, cursor)
        within = min(self._timeout, LOGS_SECONDS)
        response = self._call(account, "GET", path, within, answered_within=within, params=query)
        raise_for_status(response.status_code, response.headers, response.content, channel, None)
        return read_log_page(response.content, cursor)

    def inbox(self, account: Account, channel: Channel, limit: int | None = None) -> InboxPage:
        """The channel's inbound messages of the last 48 hours that nobody has asked for yet, at most `limit`, else a
        whole page. Errors: SendError.

        What is answered is gone at Infobip: store it before anything else, readable or not. So is what an answer held
        that was lost on its way (OutcomeUncertain), hence it may take the whole request time-out. A refused key or
        scope is about the inbox, and says nothing of sends.

        Source: Infobip, its inbox: each message is given once.
        """
        path, query = inbox_query(channel, limit or MOST_INBOX_MESSAGES[channel])
        response = self._call(account, "GET", path, self._timeout, params=query)
        raise_for_status(response.status_code, response.headers, response.content, channel, None)
        return read_inbox_page(response.content)

    def upload(
        self, account: Account, file: IO[bytes], content_id: str, media_type: str, byte_count: int, kept: timedelta
    ) -> str:
        """Hand over the file from where it stands, for MMS to refer to as long as it is kept. Infobip's ID of it.

        Errors: SendError. What may have arrived all the same (OutcomeUncertain) nobody refers to, and goes by itself.
        """
        path, headers = upload_headers(content_id, media_type, byte_count, kept)
        response = self._call(account, "POST", path, self._timeout, content=_pieces(file), headers=headers)
        raise_for_status(response.status_code, response.headers, response.content, Channel.MMS, None)
        return read_upload(response.content)

    def _call(
        self,
        account: Account,
        method: str,
        path: str,
        sent_within: float,
        *,
        answered_within: float | None = None,
        **options: Any,
    ) -> httpx.Response:
        headers = {"Authorization": f"App {account.api_key}", **options.pop("headers", {})}
        url = account.base_url + path
        with _network_errors():
            return self._runner.run(
                self._within(sent_within, answered_within or self._timeout, method, url, headers=headers, **options),
                context=copy_context(),  # the runner's own would be that of the first call for ever
            )

    async def _within(
        self, sent_within: float, answered_within: float, method: str, url: str, **options: Any
    ) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        ends = now + answered_within
        async with asyncio.timeout_at(min(ends, now + sent_within)) as limit:

            async def trace(event: str, _: Mapping[str, Any]) -> None:
                if event.endswith("send_request_body.complete"):
                    limit.reschedule(ends)

            return await self._client.request(method, url, extensions={"trace": trace}, **options)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := file.read(UPLOAD_PIECE_BYTES):
        yield piece


@contextmanager
def _network_errors() -> Iterator[None]:
    """Which breaks leave the fate open: all but those before a connection stood. The text names no URL and no key."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise NotSent(f"no connection to Infobip: {type(error).__name__}") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
        raise CredentialRefused(f"the base URL or API key cannot be used: {type(error).__name__}") from error
    except TimeoutError as error:
        raise OutcomeUncertain("no answer from Infobip within the deadline") from error
    except httpx.HTTPError as error:
        raise OutcomeUncertain(f"the connection to Infobip broke: {type(error).__name__}") from error
