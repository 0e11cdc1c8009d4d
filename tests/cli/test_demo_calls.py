"""The demo's calls: made again while nobody answers, ended by a refusal."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cli import demo_calls
from cli.demo_calls import Calls
from cli.errors import CommandError


class _Flaky(BaseHTTPRequestHandler):
    answers = (503, 409, 201)
    seen: list[tuple[str | None, bytes]] = []  # noqa: RUF012 - the test empties it

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers["Idempotency-Key"], body))
        self.send_response(self.answers[len(self.seen) - 1])
        if len(self.seen) == 2:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(b'{"id": "x"}')

    def do_GET(self) -> None:
        self.send_response(422)
        self.end_headers()
        self.wfile.write(b"no such field")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def flaky_url() -> Iterator[str]:
    _Flaky.seen.clear()
    with HTTPServer(("127.0.0.1", 0), _Flaky) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_call_is_made_again_with_its_key_until_it_is_answered(flaky_url: str) -> None:
    watched = []
    calls = Calls(flaky_url, flaky_url, "token", lambda: watched.append(True))
    assert calls.create("/v1/batches", {"surface": "demo"}, "key-1") == {"id": "x"}
    calls.close()
    assert _Flaky.seen == [("key-1", b'{"surface":"demo"}')] * 3
    assert len(watched) == 2


def test_call_that_is_refused_ends_with_the_answer(flaky_url: str) -> None:
    calls = Calls(flaky_url, flaky_url, "token", lambda: None)
    with pytest.raises(CommandError, match="GET /v1/batches was answered 422: no such field"):
        calls.read("/v1/batches")
    calls.close()


def test_call_to_nobody_ends_when_patience_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_calls, "PATIENCE_SECONDS", 0.3)
    calls = Calls("http://127.0.0.1:1", "http://127.0.0.1:1", "token", lambda: None)
    assert calls.glance("/v1/batches") is None
    with pytest.raises(CommandError, match=r"GET http://127\.0\.0\.1:1/v1/batches failed for 0\.3 s"):
        calls.read("/v1/batches")
    calls.close()
