"""Workers that are asked to stop, a second beat, clocks that are wrong: no harm."""

import os
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import redis

from cli.programs import WORKERS, Program, stack_programs
from cli.stack import Stack
from tests.end_to_end.conftest import System, running, short_options
from tests.end_to_end.observing import (
    assert_each_delivered_once,
    assert_ticks_arrive,
    log_of,
    pids,
    process,
    query,
    recipient_ending,
    recipients,
    single,
    submissions_of,
)
from tests.processes import wait_for
from tests.tools import missing

WRONG_CLOCK = Path(__file__).with_name("wrong_clock")


def test_a_worker_that_is_asked_to_stop_finishes_the_request_in_hand(
    system: System, capfd: pytest.CaptureFixture[str]
) -> None:
    surface = system.surface(message_type="marketing")
    numbers = recipients(20)
    system.faults(answer_seconds=1.2)
    batch = system.batch(surface, numbers, validity_period="PT5M")
    wait_for(lambda: submissions_of(system, surface))
    pid = system.stack.pid_of("worker-marketing")
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    assert submissions_of(system, surface) == [(20, None)]
    wait_for(lambda: system.stack.watch() or system.stack.pid_of("worker-marketing") != pid, 30)
    assert f"worker-marketing (pid {pid}) ended with status 0; starting it again" in capfd.readouterr().err
    assert submissions_of(system, surface) == [(20, "answered")]
    system.faults()
    assert_each_delivered_once(system, batch, numbers)


def test_a_second_beat_does_no_harm(system: System, tmp_path: Path) -> None:
    def beats(client: "redis.Redis") -> int:
        """How many connections put ticks of the sweep on the queue within a few ticks."""
        sources = set()
        with client.monitor() as monitor:
            pushes = (c for c in monitor.listen() if c["command"].startswith("LPUSH upkeep"))
            for _, push in zip(range(12), pushes, strict=False):
                sources.add(push["client_port"])
        return len(sources)

    surface = system.surface()
    numbers = recipients(200)
    with (
        process("beat", environment=system.stack.environment, log=tmp_path / "beat.log") as second,
        redis.Redis.from_url(system.stack.redis_url) as client,
    ):
        wait_for(lambda: beats(client) == 2, 60)
        batch = system.batch(surface, numbers, validity_period="PT5M")
        assert_each_delivered_once(system, batch, numbers)
        assert_ticks_arrive(system, surface)
        assert second.poll() is None
    assert [count for count, _ in submissions_of(system, surface)] == [200, 1, 1]


@pytest.fixture
def faketime() -> str:
    """The path of libfaketime."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        missing("libfaketime (Debian's package faketime)")
    return str(found[0])


def with_clock(programs: list[Program], faketime: str, clock: Path) -> list[Program]:
    """The workers and beat by a clock of their own, which is off by what stands in a file."""
    environment = {
        "LD_PRELOAD": faketime,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join([str(WRONG_CLOCK), os.environ.get("PYTHONPATH", "")]),
    }
    return [
        replace(program, environment={**program.environment, **environment})
        if program.name in (*WORKERS, "beat")
        else program
        for program in programs
    ]


def hours_off(line: str) -> int:
    """By how many hours the clock was wrong of which a log line tells."""
    off = datetime.fromisoformat(orjson.loads(line)["timestamp"]) - datetime.now(UTC)
    return round(off / timedelta(hours=1))


@pytest.mark.parametrize("hours", [1, -1], ids=["ahead", "behind"])
def test_a_clock_that_steps_by_an_hour_does_no_harm(
    faketime: str, own_database: str, own_folder: Path, hours: int
) -> None:
    clock = own_folder / "clock"
    clock.write_text("+0s")
    options = short_options(own_folder, DELIVERY_DATABASE_URL=own_database)
    programs = stack_programs(port=options.port, sandbox_port=options.sandbox_port, metrics_port=0, workers=2)
    with running(Stack(options, with_clock(programs, faketime, clock))) as system:
        system.stack.wait_ready()
        began, before = datetime.now(UTC), pids(system)
        surface = system.surface()
        step_clock(system, clock, hours)
        delivered, expiring = recipients(50), recipient_ending("9002")
        ended = system.post("/v1/messages", {**single(surface, expiring), "validity_period": "PT10S"}, 202)["id"]
        batch = system.batch(surface, delivered, validity_period="PT1M")
        assert_each_delivered_once(system, batch, delivered)
        assert_ticks_arrive(system, surface)
        wait_for(lambda: system.get(f"/v1/messages/{ended}")["state"] == "expired", 60, every=0.2)
        message, tries = system.get(f"/v1/messages/{ended}"), system.accepted(to=expiring)
        assert len(tries) == message["attempts"] >= 2
        assert all(item["accepted_at"] < message["expires_at"] for item in tries)
        times = query(system, "SELECT started_at, answered_at FROM attempt")
        assert times
        assert all(began <= instant <= datetime.now(UTC) for row in times for instant in row)
        assert pids(system) == before


def step_clock(system: System, clock: Path, hours: int) -> None:
    """Returns when every worker logs by the new time, of which a lost connection gives it reason."""
    seen = {name: len(log_of(system, name)) for name in WORKERS}
    clock.write_text(f"{hours * 3600:+d}s")

    def has_stepped(name: str) -> bool:
        return any(line.startswith("{") and hours_off(line) == hours for line in log_of(system, name)[seen[name] :])

    with redis.Redis.from_url(system.stack.redis_url) as client:
        while not all(map(has_stepped, WORKERS)):
            client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.5)
