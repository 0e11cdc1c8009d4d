"""The table of HTTP outcomes, over real connections to small servers that misbehave as told."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import orjson
import pytest

from tests.worker.infobip.samples import BULK, HOOK, NOW, outgoing
from worker.errors import CredentialRefused, NotSent, OutcomeUncertain, RequestRefused, SendError, Throttled
from worker.infobip.account import Account
from worker.infobip.client import Infobip
from worker.infobip.inbound import Inbound
from worker.infobip.payloads import MOST_INBOX_MESSAGES, send_request
from worker.infobip.reading import BadItem
from worker.words import Channel

FLAT = {"errorCode": "E400", "description": "Bad request", "action": "Fix it", "violations": [], "resources": []}


@pytest.fixture
def infobip() -> Iterator[Infobip]:
    with Infobip(request_timeout_seconds=1.0) as client:
        yield client


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[Account]:
    """A server that reads one request per connection and then does as told."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(2)
                read_request(connection)
                handle(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Account(f"http://127.0.0.1:{listener.getsockname()[1]}", "planted-key")
    finally:
        stopped.set()
        thread.join()
        listener.close()


def read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65536)


def http(status: int, body: object = FLAT, **headers: str) -> Callable[[socket.socket], None]:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(connection: socket.socket) -> None:
    time.sleep(1.5)


def trickle(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    try:
        for _ in range(20):
            connection.sendall(b" ")
            time.sleep(0.1)
    except OSError:
        return  # the client has had enough, as it should


def submit(infobip: Infobip, account: Account) -> object:
    request = send_request(Channel.SMS, BULK, [outgoing("911"), outgoing("912")], 0.0, HOOK, NOW)
    return infobip.submit(account, Channel.SMS, request, 30.0)


@pytest.mark.parametrize(
    ("handle", "error"),
    [
        (http(400), RequestRefused),
        (http(413), RequestRefused),
        (http(401), CredentialRefused),
        (http(403), CredentialRefused),
        (http(404), CredentialRefused),
        (http(405), CredentialRefused),
        (http(302, Location="https://elsewhere.example"), CredentialRefused),
        (http(408), OutcomeUncertain),
        (http(429), Throttled),
        (http(500), OutcomeUncertain),
        (http(502, b"<html>bad gateway"), OutcomeUncertain),
        (http(503), OutcomeUncertain),
        (http(200, b"<html>"), OutcomeUncertain),
        (http(200, {"bulkId": "x"}), OutcomeUncertain),
        (http(200, []), OutcomeUncertain),
        (reset, OutcomeUncertain),
        (hang, OutcomeUncertain),
        (trickle, OutcomeUncertain),
    ],
)
def test_each_outcome_is_the_error_that_decides(
    infobip: Infobip, handle: Callable[[socket.socket], None], error: type[SendError]
) -> None:
    with serving(handle) as account, pytest.raises(SendError) as raised:
        submit(infobip, account)
    assert type(raised.value) is error
    assert raised.value.is_fate_known == (error is not OutcomeUncertain)
    assert "planted-key" not in str(raised.value)


def test_no_connection_means_not_sent(infobip: Infobip) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for base_url in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid", f"https://127.0.0.1:{port}"):
        with pytest.raises(NotSent):
            submit(infobip, Account(base_url, "k"))


def test_a_client_that_gave_up_is_fit_for_the_next_request(infobip: Infobip) -> None:
    with serving(hang) as account, pytest.raises(OutcomeUncertain):
        submit(infobip, account)
    with serving(http(200, {"messages": []})) as account:
        submit(infobip, account)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("0", 1.0), ("99999", 300.0), ("soon", 2.0), ("nan", 2.0), (None, 2.0)]
)
def test_retry_after_is_honoured_within_bounds(infobip: Infobip, header: str | None, seconds: float) -> None:
    handle = http(429, FLAT, **({"Retry_After": header} if header else {}))
    with serving(handle) as account, pytest.raises(Throttled) as raised:
        submit(infobip, account)
    assert raised.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Thu, 01 Jan 2015 00:00:00 GMT", 30.0),
        ("Thu, 01 Jan 2015 00:01:00 GMT", 1.0),
        ("Wed, 31 Dec 2014 23:00:00 GMT", 300.0),
        (None, 1.0),
    ],
)
def test_a_date_to_retry_after_is_read_by_the_answers_own_clock(
    infobip: Infobip, date: str | None, seconds: float
) -> None:
    headers = {"Retry_After": "Thu, 01 Jan 2015 00:00:30 GMT", **({"Date": date} if date else {})}
    with serving(http(429, FLAT, **headers)) as account, pytest.raises(Throttled) as raised:
        submit(infobip, account)
    assert raised.value.retry_after_seconds == seconds


def test_403_tells_which_channel_it_is_about(infobip: Infobip) -> None:
    with serving(http(403)) as account, pytest.raises(CredentialRefused) as raised:
        submit(infobip, account)
    assert raised.value.only_channel is Channel.SMS


@pytest.mark.parametrize(
    "body",
    [
        {**FLAT, "violations": [{"property": "messages[0].destinations[1].to", "violation": "too long"}]},
        {
            "requestError": {
                "serviceException": {
                    "messageId": "BAD_REQUEST",
                    "text": "Bad request",
                    "validationErrors": {"messages[0].destinations[1].to": ["too long"]},
                }
            }
        },
    ],
)
def test_both_error_bodies_name_the_message_at_fault(infobip: Infobip, body: object) -> None:
    with serving(http(400, body)) as account, pytest.raises(RequestRefused) as raised:
        submit(infobip, account)
    (violation,) = raised.value.violations
    assert violation.index == 1
    assert "too long" in violation.words


def test_a_violation_of_no_message_names_none(infobip: Infobip) -> None:
    body = {
        **FLAT,
        "violations": [{"property": "options.schedule", "violation": "bad"}, {"property": "messages[9].sender"}],
    }
    with serving(http(400, body)) as account, pytest.raises(RequestRefused) as raised:
        submit(infobip, account)
    assert [violation.index for violation in raised.value.violations] == [None, None]


NESTED = {"requestError": {"serviceException": {"messageId": "E", "text": "Refused for a reason"}}}


@pytest.mark.parametrize(
    ("handle", "error"),
    [
        (http(400, NESTED), RequestRefused),
        (http(401, NESTED), CredentialRefused),
        (http(403, NESTED), CredentialRefused),
        (http(429, NESTED), Throttled),
        (http(500, NESTED), OutcomeUncertain),
        (reset, OutcomeUncertain),
        (hang, OutcomeUncertain),
    ],
)
def test_an_inbox_that_gives_no_page_is_the_error_that_says_why(
    infobip: Infobip, handle: Callable[[socket.socket], None], error: type[SendError]
) -> None:
    with serving(handle) as account, pytest.raises(SendError) as raised:
        infobip.inbox(account, Channel.MMS)
    assert type(raised.value) is error
    assert "planted-key" not in str(raised.value)


def test_an_answer_of_the_inbox_that_cannot_be_read_is_in_hand(infobip: Infobip) -> None:
    with serving(http(200, b"<html>STOP")) as account:
        assert infobip.inbox(account, Channel.SMS) == ([BadItem("unreadable page", "<html>STOP")], 0, False)


def test_infobips_words_about_its_inbox_are_kept(infobip: Infobip) -> None:
    with serving(http(403, NESTED)) as account, pytest.raises(CredentialRefused, match="Refused for a reason"):
        infobip.inbox(account, Channel.SMS)


def write(sandbox: str, *texts: str, channel: Channel = Channel.SMS) -> None:
    """A handset writes these to our number, and they wait to be asked for."""
    for text in texts:
        message = {"from": "919900000001", "to": "919200000009", "text": text, "channel": channel}
        httpx.post(sandbox + "/sandbox/inbound", json=message).raise_for_status()


@pytest.fixture
def empty_sandbox(sandbox: str) -> str:
    httpx.delete(sandbox + "/sandbox/log").raise_for_status()
    return sandbox


def test_the_inbox_gives_each_message_once_and_in_order(infobip: Infobip, empty_sandbox: str) -> None:
    account = Account(empty_sandbox, "planted-key")
    write(empty_sandbox, "STOP", "Où est mon colis ? 📦", "START")
    first = infobip.inbox(account, Channel.SMS, limit=2)
    second = infobip.inbox(account, Channel.SMS)
    messages = [message for page in (first, second) for message in page.messages if isinstance(message, Inbound)]
    assert [message.text for message in messages] == ["STOP", "Où est mon colis ? 📦", "START"]
    assert {(message.sender, message.recipient, message.channel) for message in messages} == {
        ("919900000001", "919200000009", Channel.SMS)
    }
    assert len({message.provider_id for message in messages}) == 3
    assert all(message.received_at is not None for message in messages)
    assert (first.pending_count, second.pending_count) == (1, 0)
    assert infobip.inbox(account, Channel.SMS) == ([], 0, True)


@pytest.mark.parametrize("channel", Channel)
def test_each_channel_has_an_inbox_of_its_own(infobip: Infobip, empty_sandbox: str, channel: Channel) -> None:
    account = Account(empty_sandbox, "planted-key")
    for one in Channel:
        write(empty_sandbox, f"by {one}", channel=one)
    (message,) = infobip.inbox(account, channel).messages
    assert isinstance(message, Inbound)
    assert (message.channel, message.text) == (channel, f"by {channel}")


def test_mms_are_given_once_a_page_at_a_time_and_no_page_tells_how_many_more_wait(
    infobip: Infobip, empty_sandbox: str
) -> None:
    account, whole = Account(empty_sandbox, "planted-key"), MOST_INBOX_MESSAGES[Channel.MMS]
    write(empty_sandbox, *(f"picture {n}" for n in range(whole + 1)), channel=Channel.MMS)
    pages = [infobip.inbox(account, Channel.MMS) for _ in range(3)]
    assert [(len(page.messages), page.pending_count) for page in pages] == [(whole, 0), (1, 0), (0, 0)]


def test_an_inbox_is_asked_for_as_many_as_it_gives_at_once(infobip: Infobip, empty_sandbox: str) -> None:
    account = Account(empty_sandbox, "planted-key")
    infobip.inbox(account, Channel.SMS)
    with pytest.raises(RequestRefused):
        infobip.inbox(account, Channel.SMS, limit=1001)
