"""HTTP to Infobip: one request in, a typed answer or a SendError out. No decision about messages is made here."""

import asyncio
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx

from worker.errors import CredentialRefused, NotSent, OutcomeUncertain, RequestRefused, SendError, Throttled
from worker.infobip.payloads import SendRequest
from worker.infobip.reports import (
    BadItem,
    Report,
    UnreadableCallback,
    parse_item,
    read_json,
    read_verdict,
    storable,
)
from worker.infobip.statuses import Verdict
from worker.infobip.violations import error_words, read_violations
from worker.metrics import submission_seconds
from worker.words import Channel, Outcome

CONNECT_SECONDS = 5.0
POOL_SECONDS = 2.0
KEEPALIVE_SECONDS = 20.0
LOGS_SECONDS = 10.0  # for a page of the logs: asking again costs nothing, and others wait
MOST_LOG_ROWS = 1000  # a page; Infobip's maximum
IDS_A_CALL = 47  # so many of the longest, 42 characters each, fit the 2,048 that Infobip allows
LEAST_RETRY_AFTER, MOST_RETRY_AFTER, DEFAULT_RETRY_AFTER = 1.0, 300.0, 2.0  # seconds

SHARED_URL = "https://api.infobip.com"  # serves every account; others have a host of their own

_LOGS_PATHS = {Channel.SMS: "/sms/3/logs"}


@dataclass(frozen=True, slots=True)
class Account:
    """Where and as whom to call."""

    base_url: str
    api_key: str = field(repr=False)

    @property
    def identity(self) -> str:
        """The same for all that name one account of Infobip's: its own host does, and on the shared one the key may."""
        if self.base_url != SHARED_URL:
            return self.base_url
        return f"{self.base_url} {hashlib.sha256(self.api_key.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A readable 200: what Infobip says of each message, by its wire ID. Entries may be missing."""

    verdicts: dict[str, Verdict]
    details: dict[str, str]  # Infobip's words, where it did not just take the message


@dataclass(frozen=True, slots=True)
class LogPage:
    """Rows of Infobip's logs; `cursor` asks for those that follow, None where there are none."""

    rows: list[Report | BadItem]
    cursor: str | None


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
        _raise_for_status(response, channel, request)
        return _read_answer(response)

    def log_page(
        self, account: Account, channel: Channel, ids: Sequence[UUID] | Sequence[str], cursor: str | None = None
    ) -> LogPage:
        """A page of the log rows of the last 48 hours for these bulk IDs, or for these message IDs of ours (text), at
        most IDS_A_CALL of them. Errors: SendError.

        Source: Infobip, `GET /sms/3/logs`; 120 requests a minute and account; the last page has no `nextCursor`.
        """
        name = "messageId" if isinstance(ids[0], str) else "bulkId"
        query = {name: ",".join(map(str, ids)), "limit": str(MOST_LOG_ROWS), "useCursor": "true"}
        if cursor is not None:
            query["cursor"] = cursor
        within = min(self._timeout, LOGS_SECONDS)
        response = self._call(account, "GET", _LOGS_PATHS[channel], within, answered_within=within, params=query)
        _raise_for_status(response, channel, None)
        return _read_log_page(response, cursor)

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
                self._within(sent_within, answered_within or self._timeout, method, url, headers=headers, **options)
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


def _raise_for_status(response: httpx.Response, channel: Channel, request: SendRequest | None) -> None:
    """The one place where an HTTP status becomes an error of ours."""
    status = response.status_code
    if 200 <= status < 300:
        return
    words = f"HTTP {status}: {error_words(response.content)}"
    if status == 429:
        raise Throttled(words, _retry_after(response.headers))
    if status == 408 or status >= 500:
        raise OutcomeUncertain(words)
    if status in (400, 413, 422):
        raise RequestRefused(words, read_violations(response.content, request))
    raise CredentialRefused(words, only_channel=channel if status == 403 else None)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, from a number or an HTTP date, within bounds that neither hammer nor sleep for hours."""
    header = headers.get("Retry-After", "")
    seconds = DEFAULT_RETRY_AFTER
    try:
        seconds = float(header)
    except ValueError:
        with suppress(ValueError, TypeError):
            # By the clock that set the date, where the answer tells it: ours may be wrong.
            now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
    if seconds != seconds:  # "nan" is a float too
        seconds = DEFAULT_RETRY_AFTER
    return min(max(seconds, LEAST_RETRY_AFTER), MOST_RETRY_AFTER)


def _read_answer(response: httpx.Response) -> Answer:
    try:
        document = read_json(response.content)
    except UnreadableCallback as error:
        raise OutcomeUncertain(f"HTTP {response.status_code} with an answer that is not JSON") from error
    entries = document.get("messages") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise OutcomeUncertain(f'HTTP {response.status_code} with an answer that has no "messages" list')
    answer = Answer({}, {})
    for entry in entries:
        wire_id = entry.get("messageId") if isinstance(entry, dict) else None
        status = entry.get("status") if isinstance(entry, dict) else None
        if not isinstance(wire_id, str) or not isinstance(status, dict):
            continue  # as good as missing: the message it was meant for stays in doubt
        fault = entry.get("error")
        verdict = read_verdict(status, fault if isinstance(fault, dict) else {})
        answer.verdicts[wire_id] = verdict
        if verdict.outcome is not Outcome.PENDING:
            words = [status.get(key) for key in ("name", "description", "action")]
            answer.details[wire_id] = storable(". ".join(word for word in words if isinstance(word, str))[:500])
    return answer


def _read_log_page(response: httpx.Response, cursor: str | None) -> LogPage:
    """`cursor` is the one that was asked with: the same again, or an empty page, is the end."""
    try:
        document = read_json(response.content)
    except UnreadableCallback as error:
        raise OutcomeUncertain("the logs answered with something that is not JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("results"), list):
        raise OutcomeUncertain('the logs answered without a "results" list')
    given = document.get("cursor")
    following = given.get("nextCursor") if isinstance(given, dict) else None
    rows = [parse_item(row) for row in document["results"]]
    return LogPage(rows, following if isinstance(following, str) and rows and following != cursor else None)


__all__ = ["IDS_A_CALL", "MOST_LOG_ROWS", "Account", "Answer", "Infobip", "LogPage", "SendError"]
