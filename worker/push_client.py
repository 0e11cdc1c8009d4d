"""HTTP to those who want to be told: one push out, what came of it back. Nothing is decided here, and nothing raised.

What the name leads to is looked up, checked and then connected to at each push, whatever it led to when the endpoint
was made (pinned_http.py). Each push has a connection of its own.
"""

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

import httpx

from worker.pinned_http import Forbidden, addresses_of, cause_of, open_client, send

PUSH_SECONDS = 10.0  # for all of it: the name, the connection, the body, the answer's status
_MOST_READ = 16 * 1024  # bytes of the answer's body, which says nothing to us: so that the receiver may finish
_READ_SECONDS = 1.0
_HEADERS: Final = {"Content-Type": "application/json"}
_ASKS_TO_WAIT = (429, 503)
_HINTS: Final = {
    401: "the receiver wants a login: let it check the signature instead",
    403: "the receiver refuses the request: does it know the secret?",
    404: "nothing is there: check the path of the url",
    405: "the receiver takes no POST there: check the path of the url",
    410: "the receiver says that it is gone for good",
    413: "the receiver takes no body of this size: let it take 1 MiB",
    429: "the receiver asks for a pause",
}


class PushOutcome(StrEnum):
    """What came of one push."""

    ARRIVED = "arrived"
    REFUSED = "refused"  # answered, and not with 2xx
    NO_ANSWER = "no_answer"  # not in time, or the connection broke
    NO_CONNECTION = "no_connection"
    NOT_SENT = "not_sent"  # an address that is not allowed, or a secret that cannot be read


@dataclass(frozen=True, slots=True)
class Answer:
    """`error`: a sentence for whoever runs the receiver, without the url, the secret or a body; None: it arrived."""

    outcome: PushOutcome
    seconds: float = 0.0
    status_code: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None

    @property
    def is_gone(self) -> bool:
        return self.status_code == 410


def push(url: str, headers: Mapping[str, str], body: bytes, allowed: Sequence[str]) -> Answer:
    """POST it, within PUSH_SECONDS. `allowed`: the hosts that may be private, as `host[:port]`."""
    started = time.monotonic()
    answer = asyncio.run(_push(httpx.URL(url), headers, body, allowed))
    return Answer(
        answer.outcome, time.monotonic() - started, answer.status_code, answer.error, retry_after=answer.retry_after
    )


async def _push(url: httpx.URL, headers: Mapping[str, str], body: bytes, allowed: Sequence[str]) -> Answer:
    try:
        async with asyncio.timeout(PUSH_SECONDS) as limit:
            addresses = await addresses_of(url, allowed)
            return await _post(url, addresses, headers, body, limit)
    except Forbidden:
        sentence = "the url leads to an address that is not public, and DELIVERY_ALLOWED_EVENT_HOSTS does not name it"
        return Answer(PushOutcome.NOT_SENT, error=sentence)
    except (socket.gaierror, UnicodeError):
        return Answer(PushOutcome.NO_CONNECTION, error="the host's name is not known, or cannot be looked up now")
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        return Answer(PushOutcome.NO_CONNECTION, error=f"no connection: {cause_of(error)}")
    except TimeoutError:
        sentence = f"no answer within {PUSH_SECONDS:g} s: let the receiver answer first, and work afterwards"
        return Answer(PushOutcome.NO_ANSWER, error=sentence)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(PushOutcome.NO_ANSWER, error=f"the connection broke before an answer: {type(error).__name__}")


async def _post(
    url: httpx.URL, addresses: Sequence[str], headers: Mapping[str, str], body: bytes, limit: asyncio.Timeout
) -> Answer:
    """Errors: HTTPError."""
    async with open_client(PUSH_SECONDS) as client:
        response = await send(client, "POST", url, addresses, {**_HEADERS, **headers}, body)
        limit.reschedule(None)  # it has answered in time
        await _let_finish(response)
        return _read(response)


async def _let_finish(response: httpx.Response) -> None:
    """Read a little of the body, for a moment: the status has told all. Whatever goes wrong here changes nothing."""
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_READ_SECONDS):
            size = 0
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > _MOST_READ:
                    break


def _read(response: httpx.Response) -> Answer:
    status = response.status_code
    if response.is_success:
        return Answer(PushOutcome.ARRIVED, status_code=status)
    if response.is_redirect:
        hint = "redirects are not followed: set the url to where it leads"
    else:
        hint = _HINTS.get(status, "anything but 2xx means that it has not arrived")
    retry_after = _retry_after(response.headers) if status in _ASKS_TO_WAIT else None
    return Answer(PushOutcome.REFUSED, status_code=status, error=f"HTTP {status}: {hint}", retry_after=retry_after)


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """A number of seconds, or an HTTP date, which is read by the receiver's own clock where it tells it."""
    header = headers.get("Retry-After", "")
    with suppress(ValueError, TypeError, OverflowError):
        if header.isascii() and header.isdigit():
            return timedelta(seconds=int(header))
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return max(timedelta(0), parsedate_to_datetime(header) - now)
    return None
