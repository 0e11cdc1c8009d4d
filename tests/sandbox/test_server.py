"""The process: starting, stopping, and a port that is taken."""

import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest


def test_taken_port_gives_one_line_and_status_1():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run([sys.executable, "-m", "sandbox", "--port", port], capture_output=True, text=True)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert port in ended.stderr


def test_sandbox_stops_at_once_with_a_silence_held_open(start_sandbox, message, until):
    sandbox = start_sandbox()
    sandbox.faults(timeout_after=1)

    def hang():
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{sandbox.url}/sms/3/messages", json={"messages": [message()]}, headers=sandbox.key, timeout=9)

    thread = threading.Thread(target=hang)
    thread.start()
    until(lambda: sandbox.summary()["requests"] == 1)
    started = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - started < 2
    thread.join()


def test_sandbox_stops_in_an_outage_with_pushes_waiting(start_sandbox, message, until):
    sandbox = start_sandbox()
    sandbox.faults(report_seconds=0)
    sandbox.send(message(url="http://127.0.0.1:1/none"))
    until(sandbox.pushes)
    sandbox.http.post("/sandbox/outage", json={"seconds": 30})
    until(lambda: not sandbox.is_up())
    started = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - started < 2


def test_free_port_is_announced():
    process = subprocess.Popen([sys.executable, "-m", "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("sandbox http://127.0.0.1:")
        assert httpx.get(f"{line.split()[1]}/healthz", trust_env=False).status_code == 200
    finally:
        process.terminate()
        assert process.wait(5) == 0
        process.stdout.close()
