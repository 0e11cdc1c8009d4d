"""A receiver of events: a real HTTP server that checks signatures with the library `standardwebhooks`, and that fails,
hangs, redirects or refuses as a test tells it."""

import json
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


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

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            if reply.waits_for is not None:
                reply.waits_for.wait(60)
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            return  # who asked has gone away

    server = Server(("127.0.0.1", port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(server.server_port, "http" if tls is None else "https")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
