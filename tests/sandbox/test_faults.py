"""Trouble with calls: refused, reset, silent, slow; and the port gone."""

import socket
import struct
import time

import httpx
import pytest


@pytest.mark.parametrize(("fault", "status"), [("too_many_requests", 429), ("server_error", 500)])
def test_refused_call_is_not_accepted(sandbox, message, fault, status):
    sandbox.faults(**{fault: 1}, retry_after_seconds=2.5)
    answer = sandbox.send(message(message_id="m-1"))
    assert (answer.status_code, answer.json()["errorCode"]) == (status, f"E{status}")
    assert answer.headers.get("Retry-After") == ("3" if status == 429 else None)
    assert sandbox.summary()["accepted"] == 0
    assert sandbox.requests()[0]["status"] == status


@pytest.mark.parametrize(("fault", "accepted"), [("reset_before", 0), ("reset_after", 1)])
def test_reset_call_ends_in_a_tcp_reset(sandbox, message, fault, accepted):
    sandbox.faults(**{fault: 1})
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as raw:
        body = b'{"messages":[{"destinations":[{"to":"919900000100"}],"content":{"text":"a"}}]}'
        head = b"POST /sms/3/messages HTTP/1.1\r\nHost: x\r\nAuthorization: App k\r\nContent-Type: application/json\r\n"
        raw.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        with pytest.raises(ConnectionResetError):
            raw.recv(1)
    assert sandbox.summary()["accepted"] == accepted
    entry = sandbox.requests()[0]
    assert (entry["status"], entry["response"]) == (None, None)
    assert entry["request"]["messages"]
    with pytest.raises(httpx.TransportError):
        sandbox.send(message())


@pytest.mark.parametrize(("fault", "accepted"), [("timeout_before", 0), ("timeout_after", 1)])
def test_silent_call_is_never_answered(sandbox, message, fault, accepted):
    sandbox.faults(**{fault: 1})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sandbox.url}/sms/3/messages", json={"messages": [message()]}, headers=sandbox.key, timeout=0.3)
    assert sandbox.summary()["accepted"] == accepted
    assert (sandbox.requests()[0]["status"], sandbox.requests()[0]["response"]) == (None, None)


def test_slow_answer_is_accepted_at_once(sandbox, message):
    sandbox.faults(answer_seconds=0.3)
    started = time.monotonic()
    assert sandbox.send(message()).status_code == 200
    assert time.monotonic() - started >= 0.3


def test_client_that_leaves_a_slow_answer_is_logged_as_unanswered(sandbox, message, until):
    sandbox.faults(answer_seconds=5)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sandbox.url}/sms/3/messages", json={"messages": [message()]}, headers=sandbox.key, timeout=0.2)
    entry = until(sandbox.requests)[0]
    assert entry["status"] is None
    assert sandbox.summary()["accepted"] == 1


def test_only_calls_of_infobip_are_touched(sandbox):
    sandbox.faults(server_error=1)
    assert sandbox.http.get("/healthz").status_code == 200
    assert sandbox.http.get("/sandbox/summary").status_code == 200
    assert sandbox.http.get("/sms/3/logs", headers=sandbox.key).status_code == 500


def test_each_put_replaces_the_whole_set(sandbox):
    sandbox.faults(server_error=1, report_seconds=3)
    sandbox.faults(too_many_requests=0.25)
    chosen = sandbox.http.get("/sandbox/faults").json()
    assert (chosen["server_error"], chosen["too_many_requests"], chosen["report_seconds"]) == (0, 0.25, 0.5)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"server_eror": 1}, "server_eror"),
        ({"server_error": 1.1}, "server_error"),
        ({"server_error": -0.1}, "server_error"),
        ({"server_error": "1"}, "server_error"),
        ({"answer_seconds": -1}, "answer_seconds"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_bad_fault_is_refused_with_the_names_allowed(sandbox, body, field):
    answer = sandbox.http.put("/sandbox/faults", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "too_many_requests" in answer.json()["allowed"]


def test_share_of_calls_repeats_with_its_seed(sandbox):
    def statuses(seed):
        sandbox.faults(server_error=0.3, too_many_requests=0.3, seed=seed)
        return [sandbox.http.get("/sms/3/logs", headers=sandbox.key).status_code for _ in range(40)]

    first = statuses(3)
    assert set(first) == {200, 429, 500}
    assert statuses(3) == first


def test_outage_refuses_connections_and_ends_on_the_same_port(sandbox, message, until):
    held = socket.create_connection(("127.0.0.1", sandbox.port), timeout=5)
    started = time.monotonic()
    assert sandbox.http.post("/sandbox/outage", json={"seconds": 0.6}).status_code == 200
    assert held.recv(1) == b""  # Open connections are closed too.
    held.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", sandbox.port), timeout=5)
    until(sandbox.is_up)
    assert 0.5 < time.monotonic() - started < 3
    assert sandbox.send(message()).status_code == 200


def test_outage_of_no_length_is_refused(sandbox):
    assert sandbox.http.post("/sandbox/outage", json={"seconds": 0}).status_code == 422
    assert sandbox.http.post("/sandbox/outage", json={}).status_code == 422


def test_reports_go_on_through_an_outage(sandbox, message, receiver, until):
    sandbox.faults(report_seconds=0.3)
    sandbox.send(message(message_id="m-1", url=receiver.url))
    sandbox.http.post("/sandbox/outage", json={"seconds": 0.8})
    until(lambda: receiver.reports("m-1"))
    until(sandbox.is_up)


def test_abandoned_upload_leaves_no_trace(sandbox):
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as raw:
        raw.sendall(b"POST /sms/3/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert sandbox.summary()["requests"] == 0


def test_logs_may_lag(sandbox, message):
    sandbox.faults(logs_seconds=3600)
    sandbox.send(message(message_id="m-1"))
    assert sandbox.logs(messageId="m-1") == []
    sandbox.faults()
    assert len(sandbox.logs(messageId="m-1")) == 1
