"""Alerts that fire on a running system, with a real Prometheus: silence while all is well, then trouble of each kind.

Windows and waits of the rules are shortened as for the panels; thresholds are as they are.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from cli.embedded_postgres import EmbeddedPostgres
from tests.end_to_end.conftest import System, reachable_folder
from tests.end_to_end.observing import recipient, recipient_ending, recipients, single, webhook_of
from tests.grafana.prometheus import asked_for
from tests.grafana.watching import watched_system
from tests.processes import wait_for

WELL_SECONDS = 12.0
FIRES_SECONDS = 150.0

# What each is caused by stands in `trouble` and `silence`.
FIRE = (
    "TransactionalMessagesWait",
    "LaneHeldByAccount",
    "MessagesWillExpire",
    "MessagesFail",
    "MessagesExpire",
    "WebhooksFail",
    "ReportsStopped",
    "WorkerSilent",
)

pytestmark = pytest.mark.timeout(400)


@dataclass
class Alarm:
    """Which alerts have fired, seen once a second."""

    url: str
    fired: set[str] = field(default_factory=set)
    is_over: bool = False

    def watch(self) -> None:
        while not self.is_over:
            found = asked_for(self.url, "alerts")["alerts"]
            self.fired |= {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}
            time.sleep(1)


@contextmanager
def alarmed(url: str) -> Iterator[Alarm]:
    alarm = Alarm(url)
    watching = threading.Thread(target=alarm.watch)
    watching.start()
    try:
        yield alarm
    finally:
        alarm.is_over = True
        watching.join()


@contextmanager
def flowing(system: System, surface: str) -> Iterator[None]:
    """Ten single sends a second, each of which is delivered."""
    is_over = threading.Event()

    def send() -> None:
        while not is_over.wait(0.1):
            system.http.post("/v1/messages", json=single(surface, recipient()))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()


def trouble(system: System) -> None:
    """A revoked key, a rate too low for what waits, numbers that nobody has, phones that are off, pushes to an address
    of former times."""
    held, slow, failing, off = (system.surface(message_type=kind) for kind in ("transactional", *["marketing"] * 3))
    account = "/v1/credentials/{}".format
    patched = {held: {"api_key": "revoked-key"}, slow: {"messages_per_second": 1}}
    for surface, changes in patched.items():
        path = account(surface.replace("surface", "account"))
        system.http.patch(path, json=changes).raise_for_status()
    system.batch(held, recipients(3), validity_period="PT1H")
    system.batch(slow, recipients(300), validity_period="PT1M")
    system.batch(failing, [recipient_ending("9003") for _ in range(80)])
    system.batch(off, [recipient_ending("9002") for _ in range(60)], validity_period="PT10S")
    gone = webhook_of(system, held).replace("/reports", "x/reports")
    for _ in range(60):
        httpx.post(f"{system.stack.api_url}{gone}", json={"results": []}, trust_env=False)
        time.sleep(0.2)


@contextmanager
def silence(system: System) -> Iterator[None]:
    """Infobip pushes no report any more, and the processes of one worker stand still."""
    worker = system.stack.pid_of("worker-upkeep")
    assert worker is not None
    pool = [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]
    system.faults(report_lost=1.0)
    for pid in pool:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pool:
            os.kill(pid, signal.SIGCONT)
        system.faults()


@pytest.fixture(scope="module")
def fired(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, database_url: str
) -> Iterator[tuple[set[str], set[str]]]:
    """The alerts that fired while all was well, and those that fired in trouble."""
    with reachable_folder(request.session) as folder, watched_system(folder, database_url) as watched:
        system, url, _ = watched
        wait_for(lambda: not asked_for(url, "alerts")["alerts"], 60, every=0.5)  # of what had yet to start
        with flowing(system, system.surface()):
            with alarmed(url) as alarm:
                time.sleep(WELL_SECONDS)
            well = alarm.fired
            with alarmed(url) as alarm:
                trouble(system)
                wait_for(lambda: "MessagesExpire" in alarm.fired or None, FIRES_SECONDS, every=0.5)
                with silence(system):
                    ends = time.monotonic() + FIRES_SECONDS
                    while not set(FIRE) <= alarm.fired and time.monotonic() < ends:
                        time.sleep(0.5)
        yield well, alarm.fired


def test_no_alert_fires_while_all_is_well(fired: tuple[set[str], set[str]]) -> None:
    assert fired[0] == set()


@pytest.mark.parametrize("alert", FIRE)
def test_an_alert_fires_in_its_trouble(fired: tuple[set[str], set[str]], alert: str) -> None:
    assert alert in fired[1]
