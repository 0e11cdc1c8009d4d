"""HTTP to addresses that others write: the name is looked up first, what it leads to is checked and then connected to.

So a name that leads inwards is refused at each request, whatever it led to before. The certificate is checked for the
name. No redirect is followed, and no proxy of the environment asked.
"""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import lru_cache
from typing import Any, Final

import httpx

from worker.push_targets import is_named, is_public

CONNECT_SECONDS = 4.0  # to one address; then to the next
_MOST_ADDRESSES = 3
_PORTS: Final = {"https": 443, "http": 80}
_HEADERS: Final = {"User-Agent": "infobip-delivery", "Connection": "close"}


class Forbidden(Exception):
    """The host is, or leads to, an address that is not public, and the installation does not name it."""


async def addresses_of(url: httpx.URL, allowed: Sequence[str]) -> list[str]:
    """What the host leads to, in the order to be tried. `allowed`: the hosts that may be private or asked over http, as
    `host[:port]`. Errors: Forbidden, gaierror, UnicodeError."""
    port = url.port or _PORTS[url.scheme]
    is_trusted = is_named(url.host, port, allowed)
    if url.scheme != "https" and not is_trusted:
        raise Forbidden
    found = await _in_thread(lambda: socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM))
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not is_trusted and not all(map(is_public, addresses)):
        raise Forbidden
    return addresses[:_MOST_ADDRESSES]


def open_client(seconds: float) -> httpx.AsyncClient:
    """For the requests to one URL: kept connections would be kept by address, and one that was opened for a name could
    be used for another. `seconds`: for each step of a request but the connection."""
    timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
    return httpx.AsyncClient(verify=tls(), timeout=timeout, trust_env=False)


async def send(
    client: httpx.AsyncClient,
    method: str,
    url: httpx.URL,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> httpx.Response:
    """To the first address that a connection leads to; the answer's body is not read yet. Errors: HTTPError."""
    sent = {**_HEADERS, **headers, "Host": url.netloc.decode()}
    for is_last, address in ((n == len(addresses), address) for n, address in enumerate(addresses, 1)):
        request = client.build_request(
            method,
            url.copy_with(host=address),
            headers=sent,
            content=body,
            extensions={"sni_hostname": url.host},
        )
        try:
            return await client.send(request, stream=True, follow_redirects=False)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if is_last:
                raise
    raise AssertionError("unreachable")


def cause_of(error: BaseException) -> str:
    """What the system, or TLS, says of a connection that did not come about. It names no url."""
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
def tls() -> ssl.SSLContext:
    """Read once, since that takes longer than most requests. SSL_CERT_FILE names authorities of one's own."""
    return httpx.create_ssl_context()


def _in_thread(work: Callable[[], Any]) -> asyncio.Future[Any]:
    """In a thread that nobody waits for: a resolver may hang for longer than a request, and the loop's own threads are
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
