"""Events reach a receiver that checks signatures: it fails for a while, the worker is killed, and nothing is lost."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cli.ports import free_port
from cli.stack import Stack
from tests.documents import named_blocks
from tests.end_to_end.conftest import System, reachable_folder, running, short_options
from tests.end_to_end.observing import killed_and_back, log_of, recipient_ending, recipients
from tests.processes import wait_for
from tests.receivers import Receiver, Reply, receiving

FAILS_SECONDS = float(os.environ.get("DELIVERY_TEST_RECEIVER_FAILS_SECONDS", "4"))
SCHEDULE = "PT1S,PT1S,PT2S"
UPKEEP = "worker-upkeep"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def snippet_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def own_system(request: pytest.FixtureRequest, receiver: Receiver, snippet_port: int) -> Iterator[System]:
    """A stack that may push to this machine's receivers."""
    hosts = {"DELIVERY_ALLOWED_EVENT_HOSTS": f"{receiver.host},127.0.0.1:{snippet_port}"}
    with reachable_folder(request.session) as folder:
        options = short_options(folder, DELIVERY_EVENT_RETRY_SCHEDULE=SCHEDULE, **hosts)
        with running(Stack(options)) as system:
            system.stack.wait_ready()
            yield system


def endpoint(system: System, receiver: Receiver) -> dict[str, Any]:
    made = system.post("/v1/event-endpoints", {"name": f"receiver-{receiver.port}", "url": receiver.url})
    receiver.secret = made["secret"]
    return made


def told(system: System, after: str) -> list[dict[str, Any]]:
    """What the feed holds behind a cursor, as it is pushed."""
    found: list[dict[str, Any]] = []
    place: str | None = after
    while place is not None:
        page = system.get("/v1/events", after=place, limit=1000)
        found += ({name: value for name, value in item.items() if name != "cursor"} for item in page["items"])
        place = page["next_cursor"]
    return found


def first_of_each(receiver: Receiver) -> list[dict[str, Any]]:
    """Each event once, by its ID, in the order in which it first arrived."""
    found: dict[str, dict[str, Any]] = {}
    for event in receiver.taken:
        found.setdefault(event["id"], event)
    return list(found.values())


def numbers(count: int) -> list[str]:
    """Most are delivered; some fail, some only once."""
    return [*recipients(count), *(recipient_ending(fate) for fate in ("9001", "9001", "9003", "9005", "9007"))]


@pytest.mark.timeout(300 + int(FAILS_SECONDS))
def test_nothing_is_lost_and_messages_keep_their_order_whatever_fails_or_is_killed(
    own_system: System, receiver: Receiver
) -> None:
    system = own_system
    begins = endpoint(system, receiver)["cursor"]
    path = f"/v1/event-endpoints/receiver-{receiver.port}"
    surface = system.surface()

    # The receiver fails, and the worker is killed meanwhile.
    receiver.usual = Reply(500)
    first = system.batch(surface, numbers(300), validity_period="PT5M")
    wait_for(lambda: system.get(path)["failures"], 30)
    until = time.monotonic() + FAILS_SECONDS
    killed_and_back(system, UPKEEP)
    system.finished(first, 120)
    while time.monotonic() < until:
        system.stack.watch()
        time.sleep(0.2)
    assert receiver.taken == []

    # It is well again; the worker is killed with a push in its hand, which the receiver has taken.
    released = threading.Event()
    receiver.replies.append(Reply(waits_for=released))
    receiver.usual = Reply()
    wait_for(lambda: receiver.taken, 60)
    (held,) = [got for got in receiver.got if got.status == 200]
    killed_and_back(system, UPKEEP)
    released.set()
    second = system.batch(surface, numbers(1500), validity_period="PT5M")
    system.finished(second, 120)

    feed = told(system, begins)
    wait_for(lambda: len(first_of_each(receiver)) == len(feed), 90, every=0.2)
    assert first_of_each(receiver) == feed
    assert {event["type"] for event in feed} == {"message.delivered", "message.failed", "attempt.failed"}
    ends = [event["data"]["message_id"] for event in feed if event["type"].startswith("message.")]
    assert len(ends) == len(set(ends)) == 300 + 1500 + 2 * 5

    # What was in hand came again as it was; all else came once.
    assert all(got.is_verified for got in receiver.got)
    again = [got for got in receiver.got if got.status == 200 and got.id == held.id]
    assert [got.body for got in again] == [held.body] * 2
    assert len(receiver.taken) == len(feed) + len(held.events)

    shown = system.get(path)
    assert (shown["state"], shown["failures"], shown["backlog"]) == ("enabled", 0, 0)
    pushed = system.all(f"{path}/deliveries")
    assert {delivery["state"] for delivery in pushed} == {"delivered"}
    assert sum(delivery["event_count"] for delivery in pushed) == len(feed)
    assert {one["status_code"] for delivery in pushed for one in delivery["tries"]} == {200, 500}
    secret = str(receiver.secret)
    for name in (UPKEEP, "api"):
        assert not any(word in line for line in log_of(system, name) for word in (secret, "of-the-url"))


def test_the_receiver_of_the_document_checks_signatures_and_drops_repeats(
    own_system: System, snippet_port: int
) -> None:
    system = own_system
    made = system.post("/v1/event-endpoints", {"name": "snippet", "url": f"http://127.0.0.1:{snippet_port}/events"})
    (block,) = named_blocks()["receiver"]
    environment = {**os.environ, "EVENTS_SECRET": made["secret"], "PORT": str(snippet_port)}
    said = system.stack.logs_dir / "snippet"
    with said.open("w") as out:
        process = subprocess.Popen([sys.executable, "-c", block.text], env=environment, stdout=out)
        try:
            batch = system.batch(system.surface(), recipients(3), callback_data="order-5512")
            system.finished(batch)
            path = "/v1/event-endpoints/snippet"
            wait_for(lambda: system.get(path)["backlog"] == 0, 30, every=0.1)
            system.post(f"{path}/redeliver", {"after": made["cursor"]}, 200)
            wait_for(lambda: system.get(path)["backlog"] == 0, 30, every=0.1)
            assert said.read_text().splitlines() == ["message.delivered order-5512"] * 3
            system.post(f"{path}/rotate-secret", {}, 200)
            system.post(f"{path}/rotate-secret", {}, 200)  # now it knows neither
            system.finished(system.batch(system.surface(), recipients(1)))
            wait_for(lambda: system.get(path)["failures"], 30, every=0.1)
            refused = system.get(f"{path}/deliveries", limit=1)["items"][0]
            assert refused["tries"][0]["status_code"] == 401
        finally:
            process.terminate()
            process.wait(10)
