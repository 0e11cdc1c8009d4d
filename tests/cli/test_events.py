"""`delivery events` against a real API: in order, each once, from any cursor on, and past a restart of the API."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session

from cli.environment import without_settings
from cli.ports import free_port
from cli.programs import delivery_command
from tests.cli.serving import running_api
from tests.cli.shell import Delivery, failure
from tests.factories import MadeLane, make_batch
from tests.processes import wait_for
from tests.worker.steps import answer, apply, report, took


def delivered(session: Session, lane: MadeLane, count: int) -> list[str]:
    """So many more messages, in the order in which that is told."""
    ids = make_batch(session, lane, [f"9199000000{n:02d}" for n in range(count)])
    answer(session, took(session, lane))
    for message in ids:
        apply(session, lane, report(message))
    return [str(message) for message in ids]


def messages(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["message_id"] for event in events]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_events_come_in_order_and_go_on_after_a_cursor(
    at_home: Delivery, session: Session, lane: MadeLane, administrator: httpx.Client
) -> None:
    told = delivered(session, lane, 3)
    done = at_home("events", "--limit", "2", "--json")
    first = lines(done.out)
    assert (done.code, messages(first)) == (0, told[:2])
    assert done.err == f"go on with --after {first[-1]['cursor']}\n"
    rest = at_home("events", "--after", first[-1]["cursor"], "--json")
    assert messages(lines(rest.out)) == told[2:]
    assert first + lines(rest.out) == administrator.get("/v1/events").json()["items"]
    assert messages(lines(at_home("events", "--limit", "1001", "--json").out)) == told
    assert at_home("events", "--after", lines(rest.out)[-1]["cursor"]).out == ""


def test_only_the_chosen_types_are_listed(at_home: Delivery, session: Session, lane: MadeLane) -> None:
    (one,) = delivered(session, lane, 1)
    assert messages(lines(at_home("events", "--types", "lane,message.delivered", "--json").out)) == [one]
    assert at_home("events", "--types", "lane,message.failed").out == ""
    assert "no_such" in failure(at_home("events", "--types", "no_such"))


def test_event_is_a_line_that_people_can_read(at_home: Delivery, session: Session, lane: MadeLane) -> None:
    (message,) = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    apply(session, lane, report(message, status=9, group=2, error=1))
    *_, last = at_home("events").out.splitlines()
    assert last.split("  ")[1:4] == ["message.failed", "919900000001", "order-5512"]


@pytest.fixture
def follower(address: str, token: str, tmp_path: Path) -> Iterator[Any]:
    """`delivery events --follow`: its process, and what it has printed by now."""
    variables = {"DELIVERY_API_URL": address, "DELIVERY_API_TOKEN": token}
    out, err = tmp_path / "out", tmp_path / "err"
    started: list[subprocess.Popen[bytes]] = []

    def follow(*options: str, **changed: str) -> tuple[subprocess.Popen[bytes], Path, Path]:
        command = [*delivery_command(), "events", "--follow", "--json", *options]
        environment = {**without_settings(os.environ), **variables, **changed}
        with out.open("wb") as target, err.open("wb") as remarks:
            started.append(subprocess.Popen(command, stdout=target, stderr=remarks, env=environment, cwd=tmp_path))
        return started[-1], out, err

    yield follow
    for process in started:
        process.kill()
        process.wait()


def test_follow_shows_what_happens_from_now_on_and_ends_with_its_cursor(
    at_home: Delivery, session: Session, lane: MadeLane, follower: Any
) -> None:
    delivered(session, lane, 2)
    process, out, err = follower()
    wait_for(lambda: "following" in err.read_text(), 20)
    told = delivered(session, lane, 2)
    wait_for(lambda: len(lines(out.read_text())) == 2, 20)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert messages(lines(out.read_text())) == told
    cursor = lines(out.read_text())[-1]["cursor"]
    assert err.read_text().splitlines()[-1] == f"go on with --after {cursor}"
    more = delivered(session, lane, 1)
    assert messages(lines(at_home("events", "--after", cursor, "--json").out)) == more


def test_follow_outlives_the_api(
    database_url: str, redis_url: str, session: Session, lane: MadeLane, follower: Any
) -> None:
    port = free_port()
    with running_api(port, database_url, redis_url) as url:
        process, out, err = follower(DELIVERY_API_URL=url)
        wait_for(lambda: "following" in err.read_text(), 20)
        told = delivered(session, lane, 1)
        wait_for(lambda: len(lines(out.read_text())) == 1, 20)
    wait_for(lambda: "asking again until it answers" in err.read_text(), 20)
    told += delivered(session, lane, 2)
    with running_api(port, database_url, redis_url):
        wait_for(lambda: len(lines(out.read_text())) == 3, 20)
    assert process.poll() is None
    assert messages(lines(out.read_text())) == told


def test_follow_of_an_api_that_was_never_there_ends(follower: Any) -> None:
    process, _, err = follower("--after", "x", DELIVERY_API_URL=f"http://127.0.0.1:{free_port()}")
    assert process.wait(20) == 1
    assert err.read_text().startswith("delivery: cannot reach the API at ")
