"""The real sandbox as a process of its own, and a webhook receiver in a thread of ours."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from cli.ports import free_port
from tests.processes import wait_for

ROOT = Path(__file__).parents[2]


class Sandbox:
    """A running sandbox and the calls that tests make of it."""

    key: ClassVar = {"Authorization": "App test-key"}

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "sandbox", "--port", str(self.port), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=10)
        wait_for(self.is_up)

    def is_up(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        assert self.process.wait(timeout=5) == 0

    def send(self, *messages: dict[str, Any], key: str = "test-key", **options: Any) -> httpx.Response:
        return self._send("/sms/3/messages", messages, key, options)

    def send_mms(self, *messages: dict[str, Any], key: str = "test-key", **options: Any) -> httpx.Response:
        return self._send("/mms/2/messages", messages, key, options)

    def _send(self, path: str, messages: tuple[dict[str, Any], ...], key: str, options: Any) -> httpx.Response:
        body = {"messages": list(messages), **({"options": options} if options else {})}
        return self.http.post(path, json=body, headers={"Authorization": f"App {key}"})

    def ask(self, path: str, **query: Any) -> dict[str, Any]:
        """What a call of Infobip's that reads answers."""
        response = self.http.get(path, params=query, headers=self.key)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def upload(self, body: bytes = b"\x89PNG", **headers: str) -> httpx.Response:
        """Headers by the names that Python can write: `x_media_type`; an empty one is not sent."""
        usual = {"content_type": "application/octet-stream", "x_content_id": "cover", "x_media_type": "image/png"}
        sent = {name.replace("_", "-"): value for name, value in (usual | headers).items() if value}
        return self.http.post("/mms/1/content", content=body, headers={**self.key, **sent})

    def logs(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.ask("/sms/3/logs", **query)["results"])

    def mms_logs(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.ask("/mms/2/logs", **query)["results"])

    def pull(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.ask("/sms/3/reports", **query)["results"])

    def pull_mms(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.ask("/mms/2/reports", **query)["results"])

    def write(self, text: str = "STOP", **more: Any) -> str:
        """A handset writes; the ID of its message."""
        response = self.http.post(
            "/sandbox/inbound", json={"from": "919900000001", "to": "919200000009", "text": text, **more}
        )
        assert response.status_code == 200, response.text
        return str(response.json()["message_id"])

    def inbox(self, **query: Any) -> dict[str, Any]:
        """What the pull of inbound messages answers."""
        return self.ask("/sms/1/inbox/reports", **query)

    def mms_inbox(self, **query: Any) -> list[dict[str, Any]]:
        """What the pull of inbound MMS gives; its answer holds nothing else."""
        answer = self.ask("/mms/1/inbox/reports", **query)
        assert list(answer) == ["results"]
        return list(answer["results"])

    def faults(self, **chosen: Any) -> None:
        response = self.http.put("/sandbox/faults", json=chosen)
        assert response.status_code == 200, response.text

    def summary(self) -> dict[str, int]:
        return dict(self.http.get("/sandbox/summary").json())

    def messages(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.http.get("/sandbox/messages", params=query).json()["items"])

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.http.get("/sandbox/requests?format=jsonl").text.splitlines()]

    def pushes(self, message_id: str | None = None) -> list[dict[str, Any]]:
        """Pushes that carry the message. Retries of an earlier test may still be coming in beside them."""
        found = [json.loads(line) for line in self.http.get("/sandbox/pushes?format=jsonl").text.splitlines()]
        return [
            push
            for push in found
            if message_id is None or any(report["messageId"] == message_id for report in push["body"]["results"])
        ]


class Receiver:
    """A webhook of ours: keeps every body, and answers with `statuses` in turn, then with 200, once it may."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.arrivals: list[float] = []
        self.statuses: list[int] = []
        self.is_closing_silently = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                receiver.bodies.append(body)
                receiver.arrivals.append(time.monotonic())
                receiver.may_answer.wait()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.close_connection = self.close_connection or receiver.is_closing_silently

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/reports"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reports(self, message_id: str | None = None) -> list[dict[str, Any]]:
        found = [report for body in list(self.bodies) for report in body["results"]]
        return [report for report in found if message_id in (None, report["messageId"])]


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox("--push-retry-seconds", "0.1", "--push-tries", "4", "--logs-per-minute", "0")
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """The shared sandbox, emptied, without faults and with quick reports."""
    running_sandbox.faults(report_seconds=0.05)
    running_sandbox.http.delete("/sandbox/log")
    return running_sandbox


@pytest.fixture
def start_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Starts sandboxes with options of their own; those still running are stopped afterwards."""
    started: list[Sandbox] = []

    def start(*options: str) -> Sandbox:
        started.append(Sandbox(*options))
        return started[-1]

    yield start
    for sandbox in started:
        if sandbox.process.poll() is None:
            sandbox.stop()
        sandbox.http.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def message() -> Callable[..., dict[str, Any]]:
    """A message as the wire has it; a test says only what it is about."""

    def make(to: str = "919900000100", message_id: str | None = None, url: str | None = None, **more: Any) -> Any:
        destination = {"to": to, **({"messageId": message_id} if message_id else {})}
        webhooks = {"webhooks": {"delivery": {"url": url}, "callbackData": "tenant=14"}} if url else {}
        return {
            "sender": "KITEBK",
            "destinations": [destination],
            "content": {"text": "Your order leaves today."},
            **webhooks,
            **more,
        }

    return make


@pytest.fixture
def mms() -> Callable[..., dict[str, Any]]:
    """An MMS as the wire has it, with one text unless `segments` says otherwise."""

    def make(
        to: str = "447700900100",
        message_id: str | None = None,
        url: str | None = None,
        segments: list[dict[str, Any]] | None = None,
        **more: Any,
    ) -> Any:
        destination = {"to": to, **({"messageId": message_id} if message_id else {})}
        webhooks = {"webhooks": {"delivery": {"url": url}, "callbackData": "tenant=14"}} if url else {}
        return {
            "sender": "441134960000",
            "destinations": [destination],
            "content": {
                "title": "Winter list",
                "messageSegments": segments or [{"type": "TEXT", "text": "The winter list is here."}],
            },
            **webhooks,
            **more,
        }

    return make


@pytest.fixture
def until() -> Callable[..., Any]:
    """`until(condition)` gives the condition's first true value."""
    return wait_for
