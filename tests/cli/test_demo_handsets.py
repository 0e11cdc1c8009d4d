"""The demo's handsets: they write through the sandbox, again where nobody answers, and one word after the other."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cli import demo_handsets
from cli.demo_calls import Calls
from cli.demo_handsets import write_all
from cli.demo_plan import OUR_NUMBER, make_plan
from cli.errors import CommandError
from tests.processes import running_sandbox

PLAN = make_plan(60, "test")
WORDS = {(writer.to.removeprefix("+"), word) for writer in PLAN.writers for word in writer.writes}


class Api(HTTPServer):
    """Answers 503 to as many pushes as it `fails`; lists the others as settled, and their replies as delivered."""

    def __init__(self, fails: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fails = fails
        self.pushed: list[dict[str, Any]] = []
        self.settled: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        results = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["results"]
        self.server.pushed += results
        if len(self.server.pushed) <= self.server.fails:
            return self._answer(503, {})
        self.server.settled += results
        return self._answer(200, {})

    def do_GET(self) -> None:
        if self.path.startswith("/v1/messages/"):
            return self._answer(200, {"to": "919000000000", "state": "delivered", "origin": "reply"})
        items = [
            {"from": one["from"], "text": one["text"], "consent": "opted_out", "reply_id": "x"}
            for one in self.server.settled
        ]
        return self._answer(200, {"items": items, "next_cursor": None})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with running_sandbox() as url:
        yield url


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    with Api(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def calls(api: Api, sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    monkeypatch.setattr(demo_handsets, "_WRITE_AGAIN_SECONDS", 0.3)
    made = Calls(api.url, sandbox_url, "token", lambda: None)
    yield made
    made.close()


def write(calls: Calls, api: Api) -> None:
    write_all(calls, PLAN, {"id": "x", "webhook_urls": {"inbound": f"{api.url}/inbound"}}, "run")


@pytest.mark.parametrize("api", [1], indirect=True)
def test_word_that_met_a_dead_api_is_the_same_message_when_it_is_written_again(calls: Calls, api: Api) -> None:
    write(calls, api)
    assert {(one["from"], one["text"]) for one in api.settled} == WORDS
    assert len(api.pushed) > len(WORDS)
    assert len({one["messageId"] for one in api.pushed}) == len(WORDS)
    assert {one["to"] for one in api.pushed} == {OUR_NUMBER}


@pytest.mark.parametrize("api", [0], indirect=True)
def test_who_joins_again_writes_that_after_everybody_has_opted_out(calls: Calls, api: Api) -> None:
    write(calls, api)
    assert [one["text"] for one in api.settled] == sorted([word for _, word in WORDS], reverse=True)


@pytest.mark.parametrize("api", [float("inf")], indirect=True)
def test_consent_that_never_follows_ends_when_patience_does(
    calls: Calls, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_handsets, "PATIENCE_SECONDS", 0.5)
    with pytest.raises(CommandError, match=r"2 of 2 handsets wrote STOP, and no consent followed for 0\.5 s"):
        write(calls, api)
