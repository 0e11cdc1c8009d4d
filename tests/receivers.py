"""A receiver of events: a real HTTP server that checks signatures with the library `standardwebhooks`, and that fails,
hangs, redirects or refuses as a test tells it."""

import json
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.http_servers import Headers, serving


@dataclass(frozen=True)
class Reply:
    """`waits_for`: it hangs until that is set."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    waits_for: threading.Event | None = None


@dataclass(frozen=True)
class Got:
    """One request. `is_verified`: signed with the receiver's secret, just now."""

    id: str
    body: bytes
    headers: Mapping[str, str]
    status: int
    is_verified: bool

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["data"])


@dataclass
class Receiver:
    """Answers with `replies` in turn, then with `usual`. Without a secret it checks nothing."""

    port: int
    scheme: str = "http"
    secret: str | None = None
    replies: deque[Reply] = field(default_factory=deque)
    usual: Reply = field(default_factory=Reply)
    got: list[Got] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/events?key=of-the-url"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The events of what it answered with 2xx, in the order of their arrival."""
        return [event for one in self.got if one.status // 100 == 2 for event in one.events]

    def take(self, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            reply = self.replies.popleft()
        except IndexError:
            reply = self.usual
        is_verified = self.secret is not None and self.verifies(headers, body, self.secret)
        if self.secret is not None and not is_verified:
            reply = Reply(401)
        self.got.append(Got(headers["webhook-id"], body, headers, reply.status, is_verified))
        return reply

    @staticmethod
    def verifies(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        try:
            Webhook(secret).verify(body, dict(headers))
        except WebhookVerificationError:
            return False
        return True


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Receiver]:
    """One on this machine; with a TLS context, over https."""

    receiver = Receiver(port, "http" if tls is None else "https")

    def answer(request: BaseHTTPRequestHandler) -> tuple[int, Headers]:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        reply = receiver.take({name.lower(): value for name, value in request.headers.items()}, body)
        if reply.waits_for is not None:
            reply.waits_for.wait(60)
        return reply.status, reply.headers

    with serving(answer, port, tls) as receiver.port:
        yield receiver
