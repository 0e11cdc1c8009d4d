"""`delivery watch` against a real API: one look or many, on a terminal and in a pipe, and while the API is away."""

import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

import pytest
from sqlmodel import Session

from cli.environment import without_settings
from cli.ports import free_port
from cli.programs import delivery_command
from tests.cli.serving import running_api
from tests.cli.shell import Delivery, failure
from tests.factories import MadeLane, make_batch
from tests.processes import wait_for
from tests.worker.steps import answer, apply, change, report, took

ANNA, BERT = "919900000001", "919900000002"


def failed(session: Session, lane: MadeLane) -> str:
    """A batch of one message, which failed. Its ID."""
    ids = make_batch(session, lane, [ANNA])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0], status=9, group=2, error=1))
    return newest(session)


def waiting(session: Session, lane: MadeLane) -> str:
    make_batch(session, lane, [BERT, ANNA])
    return newest(session)


def newest(session: Session) -> str:
    batch = session.connection().exec_driver_sql("SELECT id FROM batch ORDER BY id DESC LIMIT 1").scalar_one()
    session.commit()
    return str(batch)


@contextmanager
def watching(address: str, token: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A watch in a pipe, interrupted at the end: it ends with 0."""
    command = [*delivery_command(), "watch", "--interval", "0.2", *options]
    variables = {"DELIVERY_API_URL": address, "DELIVERY_API_TOKEN": token}
    with subprocess.Popen(
        command,
        env={**without_settings(os.environ), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_once_is_a_table_of_the_lanes(at_home: Delivery, session: Session, lane: MadeLane) -> None:
    failed(session, lane)
    waiting(session, lane)
    done = at_home("watch", "--once")
    assert (done.code, done.err) == (0, "")
    heading, row = done.out.splitlines()
    assert re.split(r"\s{2,}", heading)[:4] == ["lane", "waiting", "due", "oldest due"]
    assert row.split()[:5] == ["main", "sms", "transactional", "2", "2"]


def test_once_as_json_has_lanes_running_batches_and_reasons(
    at_home: Delivery, session: Session, lane: MadeLane
) -> None:
    failed(session, lane)
    batch = waiting(session, lane)
    found = at_home("watch", "--once", "--json").json
    assert [item["id"] for item in found["batches"]] == [batch]
    assert [(item["id"], item["counts"]) for item in found["lanes"]] == [(str(lane.id), {"queued": 2, "failed": 1})]
    assert found["reasons"] == [{"reason": "EC_UNKNOWN_SUBSCRIBER", "count": 1}]
    assert (found["ended_per_second"], found["reason_seconds"]) == (None, None)


def test_held_lane_is_told(at_home: Delivery, session: Session, lane: MadeLane) -> None:
    waiting(session, lane)
    change(session, "UPDATE lane SET kind = 'account', reason = 'no key', held_until = now() + interval '1 h'")
    assert "account: no key; tried again at " in at_home("watch", "--once").out


def test_in_a_pipe_each_look_is_a_line(address: str, token: str, session: Session, lane: MadeLane) -> None:
    waiting(session, lane)
    with watching(address, token) as process:
        assert "  ended/s not known yet; 2 waiting; 0 under way; " in line_of(process)
        assert "  0.0 ended/s; 2 waiting; " in line_of(process)
        failed(session, lane)
        wait_for(lambda: re.search(r"  [1-9][\d.]* ended/s", line_of(process)), 10)


def test_as_json_each_look_is_an_object_a_line(address: str, token: str, session: Session, lane: MadeLane) -> None:
    waiting(session, lane)
    with watching(address, token, "--json") as process:
        lines = [line_of(process) for _ in range(2)]
    assert all(line.startswith('{"at": ') and line.endswith("}\n") for line in lines)


def test_batch_alone_is_watched_until_it_is_over(address: str, token: str, session: Session, lane: MadeLane) -> None:
    batch = waiting(session, lane)
    process = subprocess.Popen(
        [*delivery_command(), "watch", "--batch", batch, "--interval", "0.2"],
        env={**without_settings(os.environ), "DELIVERY_API_URL": address, "DELIVERY_API_TOKEN": token},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert f"{batch}: running, 0.0% of 2 through main; ended/s not known yet; 2 queued" in line_of(process)
        messages = took(session, lane)
        answer(session, messages)
        ids = session.connection().exec_driver_sql("SELECT id FROM message").scalars().all()
        apply(session, lane, *(report(message_id) for message_id in ids))
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert f"{batch}: done, 100.0% of 2 through main" in out.splitlines()[-1]


def test_api_may_go_away_and_come_back(
    database_url: str, redis_url: str, token: str, session: Session, lane: MadeLane
) -> None:
    waiting(session, lane)
    port = free_port()
    with watching(f"http://127.0.0.1:{port}", token) as process:
        assert process.stderr is not None
        assert "cannot reach the API" in process.stderr.readline()
        with running_api(port, database_url, redis_url):
            assert "2 waiting" in line_of(process)
            assert process.stderr.readline() == "the API answers again\n"
        assert process.stderr.readline().rstrip().endswith("; asking again until it answers")
        with running_api(port, database_url, redis_url):
            assert process.stderr.readline() == "the API answers again\n"


@pytest.mark.parametrize("width", [40, 120])
def test_on_a_terminal_it_is_drawn_and_gives_the_terminal_back(
    address: str, token: str, session: Session, lane: MadeLane, width: int
) -> None:
    failed(session, lane)
    waiting(session, lane)
    ours, theirs = pty.openpty()
    variables = {"DELIVERY_API_URL": address, "DELIVERY_API_TOKEN": token, "TERM": "xterm", "COLUMNS": str(width)}
    process = subprocess.Popen(
        [*delivery_command(), "watch", "--interval", "0.2"],
        env={**without_settings(os.environ), **variables},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    try:
        while b"ended\x1b" not in drawn:  # a rate is known: the second look
            drawn += os.read(ours, 10_000)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # nobody draws any more
            while piece := os.read(ours, 10_000):
                drawn += piece
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"\x1b[?1049h" in drawn
    screen, _, after = drawn.rpartition(b"\x1b[?1049l")
    assert b"main sms" in screen
    assert b"main sms" in after
    assert b"Traceback" not in drawn


@pytest.mark.parametrize("option", [(), ("--once",)])
def test_what_the_api_refuses_at_the_first_look_ends_it(at_home: Delivery, option: tuple[str, ...]) -> None:
    assert failure(at_home("watch", "--batch", str(uuid4()), *option)).startswith("There is no batch with this id")
    assert failure(at_home("watch", *option, DELIVERY_API_TOKEN="unknown")).startswith(
        "the API does not take the token"
    )


def test_once_does_not_wait_for_an_api_that_is_away(at_home: Delivery) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    assert failure(at_home("watch", "--once", DELIVERY_API_URL=away)).startswith("cannot reach the API at ")
