"""HTTP to those who want to be told: one push out, what came of it back. Nothing is decided here, and nothing raised.

The name is looked up first, and what it leads to is checked and then connected to: a name that leads inwards is refused
at each push, whatever it led to when the endpoint was made. The certificate is checked for the name.

Each push has a connection of its own. Kept ones would be kept by address, and one that was opened for a name could be
used for another.
"""

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import httpx

from worker.push_targets import is_named, is_public

PUSH_SECONDS = 10.0  # for all of it: the name, the connection, the body, the answer's status
CONNECT_SECONDS = 4.0  # to one address; then to the next
_MOST_ADDRESSES = 3
_MOST_READ = 16 * 1024  # bytes of the answer's body, which says nothing to us: so that the receiver may finish
_READ_SECONDS = 1.0
_PORTS: Final = {"https": 443, "http": 80}
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "infobip-delivery", "Connection": "close"}
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


class _Forbidden(Exception):
    """The host is, or leads to, an address that is not public, and the installation does not name it."""


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
            addresses = await _addresses(url, allowed)
            return await _post(url, addresses, headers, body, limit)
    except _Forbidden:
        sentence = "the url leads to an address that is not public, and DELIVERY_ALLOWED_EVENT_HOSTS does not name it"
        return Answer(PushOutcome.NOT_SENT, error=sentence)
    except (socket.gaierror, UnicodeError):
        return Answer(PushOutcome.NO_CONNECTION, error="the host's name is not known, or cannot be looked up now")
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        return Answer(PushOutcome.NO_CONNECTION, error=f"no connection: {_cause(error)}")
    except TimeoutError:
        sentence = f"no answer within {PUSH_SECONDS:g} s: let the receiver answer first, and work afterwards"
        return Answer(PushOutcome.NO_ANSWER, error=sentence)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(PushOutcome.NO_ANSWER, error=f"the connection broke before an answer: {type(error).__name__}")


async def _addresses(url: httpx.URL, allowed: Sequence[str]) -> list[str]:
    """What the host leads to, in the order to be tried. Errors: _Forbidden, gaierror, UnicodeError."""
    port = url.port or _PORTS[url.scheme]
    is_trusted = is_named(url.host, port, allowed)
    if url.scheme != "https" and not is_trusted:
        raise _Forbidden
    found = await _in_thread(lambda: socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM))
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not is_trusted and not all(map(is_public, addresses)):
        raise _Forbidden
    return addresses[:_MOST_ADDRESSES]


async def _post(
    url: httpx.URL, addresses: Sequence[str], headers: Mapping[str, str], body: bytes, limit: asyncio.Timeout
) -> Answer:
    """To the first address that a connection leads to. Errors: HTTPError."""
    timeout = httpx.Timeout(PUSH_SECONDS, connect=CONNECT_SECONDS)
    sent = {**_HEADERS, **headers, "Host": url.netloc.decode()}
    async with httpx.AsyncClient(verify=_tls(), timeout=timeout, trust_env=False) as client:
        for is_last, address in ((n == len(addresses), address) for n, address in enumerate(addresses, 1)):
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                headers=sent,
                content=body,
                extensions={"sni_hostname": url.host},
            )
            try:
                response = await client.send(request, stream=True, follow_redirects=False)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if is_last:
                    raise
                continue
            limit.reschedule(None)  # it has answered in time
            await _let_finish(response)
            return _read(response)
    raise AssertionError("unreachable")


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


def _cause(error: BaseException) -> str:
    """What the system, or TLS, says of it. It names no url."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"TLS: {found.verify_message}"
        if isinstance(found, ssl.SSLError):
            return f"TLS: {found.reason or type(found).__name__}"
        if isinstance(found, OSError) and found.errno:
            return os.strerror(found.errno)
        found = found.__cause__ or found.__context__
    return "the address does not answer" if isinstance(error, httpx.TimeoutException) else type(error).__name__


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Read once, since that takes longer than most pushes. SSL_CERT_FILE names authorities of one's own."""
    return httpx.create_ssl_context()


def _in_thread(work: Callable[[], Any]) -> asyncio.Future[Any]:
    """In a thread that nobody waits for: a resolver may hang for longer than a push, and the loop's own threads are
    waited for at its end."""
    outcome: Future[Any] = Future()

    def run() -> None:
        outcome.set_running_or_notify_cancel()
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="resolver", daemon=True).start()
    return asyncio.wrap_future(outcome)
