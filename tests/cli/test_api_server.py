"""The API's process: it serves, says in one line what is wrong with its settings, and stops when asked."""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet

from cli.ports import free_port
from cli.programs import delivery_command
from cli.readiness import answers_ok
from tests.processes import wait_for


def api(port: int, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            [*delivery_command(), "api", "--port", str(port)], env={**os.environ, **environment}, stderr=file
        )


def settings(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "DELIVERY_DATABASE_URL": database_url,
        "DELIVERY_REDIS_URL": redis_url,
        "DELIVERY_SECRET_KEYS": Fernet.generate_key().decode(),
    }


def date_header(port: int) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/healthz")
    date = connection.getresponse().getheader("date")
    connection.close()
    return date


def test_it_tells_the_time_of_each_answer_and_stops_when_asked(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    port = free_port()
    process = api(port, settings(database_url, redis_url), tmp_path / "log")
    try:
        wait_for(lambda: answers_ok(port, "/healthz"), 30)
        first = date_header(port)
        assert first
        wait_for(lambda: date_header(port) != first, 10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


def test_it_keeps_a_connection_for_longer_than_clients_do(database_url: str, redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    process = api(port, settings(database_url, redis_url), tmp_path / "log")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.auto_open = 0  # so that a second one would be an error
    try:
        wait_for(lambda: answers_ok(port, "/healthz"), 30)
        connection.connect()
        for pause in (0, 6):  # a second more than httpx keeps an idle one
            time.sleep(pause)
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
    finally:
        connection.close()
        process.kill()
        process.wait()


def test_a_bad_setting_is_one_line(database_url: str, redis_url: str, tmp_path: Path) -> None:
    environment = {**settings(database_url, redis_url), "DELIVERY_SECRET_KEYS": "short"}
    process = api(free_port(), environment, tmp_path / "log")
    assert process.wait(30) != 0
    assert len((tmp_path / "log").read_text().strip().splitlines()) == 1
