"""One push over HTTP: what counts as arrived, what is said of all else, and where it does not go."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from cli.ports import free_port
from tests.certificates import certificate
from tests.receivers import Receiver, Reply, receiving
from worker import pinned_http, push_client
from worker.push_client import Answer, PushOutcome, push

SECRETS = ("of-the-url", "/events")  # what of a URL may be one


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def pushed(receiver: Receiver, *allowed: str) -> Answer:
    return push(receiver.url, {"webhook-id": "1"}, b'{"data": []}', allowed or [receiver.host])


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_2xx_means_that_it_has_arrived(receiver: Receiver, status: int) -> None:
    receiver.usual = Reply(status)
    answer = pushed(receiver)
    assert (answer.outcome, answer.status_code, answer.error) == (PushOutcome.ARRIVED, status, None)
    (got,) = receiver.got
    assert got.body == b'{"data": []}'
    assert got.headers["host"] == receiver.host
    assert got.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 429, 500, 502, 503])
def test_any_other_status_is_told_and_names_no_url(receiver: Receiver, status: int) -> None:
    receiver.usual = Reply(status)
    answer = pushed(receiver)
    assert (answer.outcome, answer.status_code) == (PushOutcome.REFUSED, status)
    assert answer.error is not None
    assert answer.error.startswith(f"HTTP {status}: ")
    assert not any(secret in answer.error for secret in SECRETS)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(receiver: Receiver, status: int) -> None:
    with receiving() as elsewhere:
        receiver.usual = Reply(status, {"Location": elsewhere.url})
        answer = pushed(receiver, receiver.host, elsewhere.host)
        assert elsewhere.got == []
    assert answer.outcome is PushOutcome.REFUSED
    assert "redirects are not followed" in str(answer.error)


@pytest.mark.parametrize(
    ("status", "headers", "waits"),
    [
        (429, {"Retry-After": "120"}, timedelta(minutes=2)),
        (503, {"Retry-After": "0"}, timedelta(0)),
        (
            503,
            {"Retry-After": "Tue, 24 Nov 2026 12:05:00 GMT", "Date": "Tue, 24 Nov 2026 12:00:00 GMT"},
            timedelta(minutes=5),
        ),
        (429, {"Retry-After": "soon"}, None),
        (429, {"Retry-After": "9" * 30}, None),
        (429, {}, None),
        (500, {"Retry-After": "120"}, None),
    ],
)
def test_how_long_to_wait_is_read_where_a_receiver_may_ask(
    receiver: Receiver, status: int, headers: dict[str, str], waits: timedelta | None
) -> None:
    receiver.usual = Reply(status, headers)
    assert pushed(receiver).retry_after == waits


def test_a_receiver_that_hangs_is_left(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_client, "PUSH_SECONDS", 0.2)
    released = threading.Event()
    receiver.usual = Reply(waits_for=released)
    answer = pushed(receiver)
    assert answer.outcome is PushOutcome.NO_ANSWER
    assert answer.status_code is None
    released.set()


def test_a_name_that_is_looked_up_for_too_long_is_left(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_client, "PUSH_SECONDS", 0.2)
    released = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        released.wait(60)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)  # no resolver can be told to hang
    assert pushed(receiver).outcome is PushOutcome.NO_ANSWER
    released.set()


def test_an_answer_that_never_ends_has_arrived_all_the_same() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        released = threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
                released.wait(60)

        thread = threading.Thread(target=trickle)
        thread.start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        answer = push(f"http://{host}/", {}, b"{}", [host])
        released.set()
        thread.join()
    assert answer.outcome is PushOutcome.ARRIVED


def test_a_broken_answer_is_a_failure_and_so_is_none() -> None:
    for said in (b"", b"nonsense\r\n\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def speak(server: socket.socket = server, said: bytes = said) -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(said)

            thread = threading.Thread(target=speak)
            thread.start()
            host = f"127.0.0.1:{server.getsockname()[1]}"
            assert push(f"http://{host}/", {}, b"{}", [host]).outcome is PushOutcome.NO_ANSWER
            thread.join()


def test_nobody_who_listens_and_nobody_of_that_name_are_no_connection() -> None:
    host = f"127.0.0.1:{free_port()}"
    refused = push(f"http://{host}/", {}, b"{}", [host])
    assert (refused.outcome, refused.error) == (PushOutcome.NO_CONNECTION, "no connection: Connection refused")
    unknown = push("https://receiver.invalid/", {}, b"{}", [])
    assert (unknown.outcome, unknown.status_code) == (PushOutcome.NO_CONNECTION, None)


def test_nothing_goes_to_an_inner_address_that_is_not_named(receiver: Receiver) -> None:
    for url in (receiver.url, f"https://localhost:{receiver.port}/", f"https://127.0.0.1:{receiver.port}/"):
        assert push(url, {}, b"{}", ["127.0.0.1:1"]).outcome is PushOutcome.NOT_SENT
    assert receiver.got == []


def test_nothing_goes_where_one_of_a_name_s_addresses_is_an_inner_one(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in ("1.1.1.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", found)  # no public name leads inwards for us
    url = f"https://journeys.example.com:{receiver.port}/"
    assert push(url, {}, b"{}", []).outcome is PushOutcome.NOT_SENT
    assert receiver.got == []


def test_the_next_address_of_a_name_is_tried_where_the_first_does_not_answer(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", found)  # as a name with two addresses has it
    url = f"http://receiver:{receiver.port}/"
    assert push(url, {"webhook-id": "1"}, b"{}", [f"receiver:{receiver.port}"]).outcome is PushOutcome.ARRIVED
    assert [got.headers["host"] for got in receiver.got] == [f"receiver:{receiver.port}"]


def test_a_proxy_of_the_environment_is_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert pushed(receiver).outcome is PushOutcome.ARRIVED


# TLS


@pytest.fixture(autouse=True)
def tls_read_anew() -> Iterator[None]:
    pinned_http.tls.cache_clear()
    yield
    pinned_http.tls.cache_clear()


def test_https_is_spoken_to_whom_the_authorities_vouch_for_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certificate(tmp_path, x509.DNSName("localhost"))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with receiving(context) as receiver:
        named = f"localhost:{receiver.port}"
        answer = push(f"https://{named}/", {"webhook-id": "1"}, b"{}", [named])
        assert answer.outcome is PushOutcome.ARRIVED, answer
        assert [got.headers["host"] for got in receiver.got] == [named]


def test_https_is_spoken_to_an_address_that_the_certificate_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certificate(tmp_path, x509.IPAddress(ip_address("127.0.0.1")))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with receiving(context) as receiver:
        assert pushed(receiver).outcome is PushOutcome.ARRIVED


@pytest.mark.parametrize("fault", ["another name", "nobody vouches", "no TLS"])
def test_nothing_is_sent_to_who_is_not_known_for_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    name = "elsewhere.example.com" if fault == "another name" else "localhost"
    context, authority = certificate(tmp_path, x509.DNSName(name))
    if fault != "nobody vouches":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with receiving(None if fault == "no TLS" else context) as receiver:
        named = f"localhost:{receiver.port}"
        answer = push(f"https://{named}/", {}, b"{}", [named])
        assert receiver.got == []
    assert answer.outcome is PushOutcome.NO_CONNECTION
    assert str(answer.error).startswith("no connection: TLS: ")


def test_headers_of_the_answer_beyond_what_http_allows_are_a_failure(receiver: Receiver) -> None:
    receiver.usual = Reply(200, {"X-Long": "x" * 1_000_000})
    assert pushed(receiver).outcome is PushOutcome.NO_ANSWER
