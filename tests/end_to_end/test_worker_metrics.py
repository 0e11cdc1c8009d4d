"""A worker's metrics while its processes die: served all the time, and nothing is counted anew."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.ports import free_port
from cli.programs import stack_programs
from cli.stack import Stack
from tests.end_to_end.conftest import System, reachable_folder, running, short_options
from tests.end_to_end.observing import killed_and_back, recipients
from tests.processes import answers, wait_for

WORKER = "worker-marketing"
KILLS = 6


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest, database_url: str) -> Iterator[tuple[System, str]]:
    """A running system, and the address of its marketing worker's metrics."""
    port = free_port()
    with reachable_folder(request.session) as folder:
        options = short_options(folder, DELIVERY_DATABASE_URL=database_url)
        programs = [
            replace(program, environment={"DELIVERY_METRICS_PORT": str(port)}) if program.name == WORKER else program
            for program in stack_programs(
                port=options.port, sandbox_port=options.sandbox_port, metrics_port=0, workers=2
            )
        ]
        with running(Stack(options, programs)) as system:
            system.stack.wait_ready()
            yield system, f"http://127.0.0.1:{port}/metrics"


def value(url: str, name: str, **labels: str) -> float:
    """Of all samples with these labels, together."""
    found = httpx.get(url, trust_env=False).raise_for_status().text
    return sum(
        sample.value
        for family in text_string_to_metric_families(found)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def pool_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def sent(system: System, surface: str, n: int) -> None:
    messages = system.finished(system.batch(surface, recipients(n)))
    assert {message["state"] for message in messages.values()} == {"delivered"}


def test_counts_outlive_the_processes_that_counted(measured: tuple[System, str]) -> None:
    system, url = measured
    surface = system.surface(message_type="marketing")
    worker = system.stack.pid_of(WORKER)
    assert worker is not None
    assert value(url, "delivery_pool_processes") == 2
    sent(system, surface, 50)
    for kill in range(1, KILLS + 1):
        victim = wait_for(lambda: pool_of(worker), 20)[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda kill=kill: value(url, "delivery_pool_processes_started_total") == 2 + kill, 20)
    sent(system, surface, 50)
    assert system.stack.pid_of(WORKER) == worker
    assert value(url, "delivery_attempts_total", outcome="pending", message_type="marketing") == 100
    assert value(url, "delivery_enqueue_to_submit_seconds_count", message_type="marketing") == 100
    assert value(url, "delivery_remaining_validity_seconds_count", attempt="1") == 100
    assert value(url, "delivery_pool_processes") == 2
    assert value(url, "delivery_last_tick_timestamp_seconds", queue="marketing") > 1_700_000_000


def test_a_worker_that_is_started_again_serves_on_the_same_port(measured: tuple[System, str]) -> None:
    system, url = measured
    killed_and_back(system, WORKER)
    wait_for(lambda: answers(url) and value(url, "delivery_pool_processes") == 2, 30)


def test_what_the_api_and_the_workers_tell_of_one_batch_agrees(measured: tuple[System, str]) -> None:
    system, url = measured
    surface = system.surface(message_type="marketing")
    before = value(url, "delivery_attempts_total")
    sent(system, surface, 30)
    api = f"{system.stack.api_url}/metrics"
    account = system.get(f"/v1/surfaces/{surface}")["credential"]
    assert value(url, "delivery_attempts_total") == before + 30
    wait_for(lambda: value(api, "delivery_messages_finished_total", credential=account, state="delivered") == 30, 10)
    assert value(api, "delivery_messages_enqueued_total", credential=account) == 30
    assert value(api, "delivery_reports_total", result="applied", group="delivered") >= 30
    assert value(api, "delivery_submit_to_report_seconds_count", message_type="marketing") >= 30
