"""A minute in the life of a running system that has everything in it: each outcome, each fault, each kind of batch."""

import itertools
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.end_to_end.conftest import System
from tests.end_to_end.observing import query, recipient, recipient_ending, recipients, report, single, webhook_of
from tests.processes import wait_for
from tests.receivers import Receiver, Reply

SECONDS = 35.0  # of a steady flow
ENDINGS = ("9001", "9002", "9003", "9004", "9005", "9006", "9007", "9008", "9009", "9010")
OURS = "447491163443"
FAULTS = {
    "too_many_requests": 0.1,
    "server_error": 0.05,
    "reset_before": 0.02,
    "report_repeated": 0.1,
    "report_seconds": 0.2,
    "retry_after_seconds": 1,
    "seed": 7,
}


def every_kind_of_event(system: System, receiver: Receiver, administration: str) -> None:
    """Takes about a minute. `administration`: the DSN of another database of the server."""
    otp = system.surface()
    campaign = system.surface(message_type="marketing")
    off = system.surface(validity_period="PT2M")
    _told(system, receiver)
    failing = _all_fates(system, campaign)
    _fates_of_one(system, otp)
    _pictures(system)
    gone = _handsets(system, campaign)
    _in_hand(system, campaign)
    _held(system)
    system.faults(**FAULTS)
    _pool_process_dies(system)
    _flow(system, otp, campaign, off, gone)
    system.faults()
    with _transaction_left_open(system):
        _flow(system, otp, campaign, off, gone, seconds=3)
    wait_for(lambda: system.get(f"/v1/batches/{failing}")["state"] == "done", 60, every=0.5)
    system.post(f"/v1/batches/{failing}/replay", {})
    _database_away(system, administration)
    _flow(system, otp, campaign, off, gone, seconds=3)


def _all_fates(system: System, surface: str) -> str:
    numbers = [*recipients(30), *map(recipient_ending, ENDINGS)]
    return system.batch(surface, numbers, text="Ein Päckchen für Sie: ✓")


def _fates_of_one(system: System, surface: str) -> None:
    for ending in ENDINGS:
        system.post("/v1/messages", single(surface, recipient_ending(ending)), 202)
    silent = system.post("/v1/messages", single(surface, recipient_ending("9010")), 202)["id"]
    wait_for(lambda: system.get(f"/v1/messages/{silent}")["state"] == "sent")
    body = report(silent)
    body["results"][0]["status"] |= {"groupId": 5, "groupName": "REJECTED", "id": 9876, "name": "REJECTED_NEWLY"}
    system.http.post(webhook_of(system, surface), json=body).raise_for_status()


def _pictures(system: System) -> None:
    surface = system.surface(channel="mms", sender="447700900001", fallback_sender="KITEBK")
    url = f"{system.stack.sandbox_url}/sandbox/media/picture.jpg"
    mms = {"title": "Yours", "parts": [{"text": "Here."}, {"url": url, "content_type": "image/jpeg"}]}
    people = [{"to": "447700900301"}, {"to": "447700909003"}]
    system.post("/v1/batches", {"surface": surface, "mms": mms, "messages": people}, 202)


def _handsets(system: System, surface: str) -> str:
    """One leaves, by a push; another comes, by a pull. The first is written to nevertheless: its number."""
    account = f"/v1/credentials/{surface.replace('surface', 'account')}"
    system.http.patch(account, json={"inbound_number": OURS, "inbound_pull": True}).raise_for_status()
    url = system.get(account)["webhook_urls"]["inbound"]
    gone = recipient()
    system.sandbox.post("/sandbox/inbound", json={"from": gone, "to": OURS, "text": "STOP", "url": url})
    system.sandbox.post("/sandbox/inbound", json={"from": recipient(), "to": OURS, "text": "START"})
    wait_for(lambda: system.get(f"/v1/consents/{gone}")["items"])
    system.batch(surface, [gone])
    httpx.post(f"{url.rsplit('/', 2)[0]}/of-former-times/inbound", json={"results": []}, trust_env=False)
    return gone


def _in_hand(system: System, surface: str) -> None:
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    paused = system.batch(surface, recipients(5), send_at=later, validity_period="PT1H")
    system.post(f"/v1/batches/{paused}/pause", {}, 200)
    system.batch(surface, recipients(5), send_at=later, validity_period="PT1H")
    cancelled = system.batch(surface, recipients(5), send_at=later, validity_period="PT1H")
    system.post(f"/v1/batches/{cancelled}/cancel", {}, 200)


def _held(system: System) -> None:
    """By its account: a key that is revoked."""
    surface = system.surface()
    account = f"/v1/credentials/{surface.replace('surface', 'account')}"
    system.http.patch(account, json={"api_key": "revoked-key"}).raise_for_status()
    system.batch(surface, recipients(3), validity_period="PT1H")


def _told(system: System, receiver: Receiver) -> None:
    """An endpoint that fails at first."""
    receiver.replies.extend([Reply(500), Reply(500)])
    receiver.secret = system.post("/v1/event-endpoints", {"name": "journeys", "url": receiver.url})["secret"]


def _pool_process_dies(system: System) -> None:
    worker = system.stack.pid_of("worker-marketing")
    assert worker is not None
    os.kill(int(Path(f"/proc/{worker}/task/{worker}/children").read_text().split()[0]), signal.SIGKILL)


def _flow(system: System, otp: str, campaign: str, off: str, gone: str, seconds: float = SECONDS) -> None:
    """`off`: for phones that stay off, which takes attempt after attempt."""
    until = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() > until:
            return
        system.http.post("/v1/messages", json=single(otp, recipient()))
        system.http.post("/v1/messages", json=single(otp, recipient_ending(ENDINGS[number % len(ENDINGS)])))
        if number % 5 == 0:
            system.http.post("/v1/messages", json=single(off, recipient_ending("9002")))
            body: dict[str, Any] = {
                "surface": campaign,
                "text": "Sale",
                "messages": [{"to": to} for to in (*recipients(50), gone)],
            }
            system.http.post("/v1/batches", json=body)
        time.sleep(0.2)


@contextmanager
def _transaction_left_open(system: System) -> Iterator[None]:
    """Feeds tell nothing from it on."""
    dsn = system.stack.database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT pg_current_xact_id()")
        yield


def _database_away(system: System, administration: str) -> None:
    """For two seconds nobody may connect."""
    ((database,),) = query(system, "SELECT current_database()")
    with psycopg.connect(administration, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        try:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
                )
                system.http.get("/v1/batches")
                time.sleep(0.1)
        finally:
            connection.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    wait_for(lambda: system.http.get("/v1/batches").status_code == 200, 20)
