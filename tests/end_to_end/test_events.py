"""The feed of events, read by two consumers while all that it tells happens, holds every change exactly once."""

import os
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.end_to_end.conftest import LIVE, TOKEN, System
from tests.end_to_end.observing import query
from tests.processes import wait_for

# Of the last four digits, in turn: three that are simply delivered, and every fate that the sandbox knows.
ENDINGS = ("0000", "0001", "0002", *(f"{fate}" for fate in range(9001, 9011)))
CHANGES = int(os.environ.get("DELIVERY_TEST_FEED_CHANGES", "7500"))
A_BATCH = 1_000
BATCHES = CHANGES * 2 // (3 * A_BATCH)  # a message changes its state for good once, and fails half a time before
VALIDITY = 25 + CHANGES // 500  # seconds
OPTED_OUT = 30  # people, of the first batch

_FAILED = """
    SELECT count(*) FROM attempt a JOIN message m ON m.id = a.message_id
    WHERE m.batch_id = ANY(%s) AND a.outcome = 'failed'
"""
_EVENTS = "SELECT count(*) FROM event e JOIN message m ON m.id = e.subject_id WHERE m.batch_id = ANY(%s)"

Event = dict[str, Any]


class Consumer:
    """Reads the feed to its end again and again, by the cursor of each page, until it is told that all is over."""

    def __init__(self, url: str, after: str, limit: int, is_over: threading.Event) -> None:
        self.url, self.cursor, self.limit, self.is_over = url, after, limit, is_over
        self.seen: list[Event] = []
        self.rounds = 0  # in which it came to the end

    def run(self) -> list[Event]:
        with httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
            while True:
                is_last_round = self.is_over.is_set()
                while self._page(client):
                    pass
                self.rounds += 1
                if is_last_round:
                    return self.seen
                self.is_over.wait(0.05)

    def _page(self, client: httpx.Client) -> bool:
        query = {"after": self.cursor, "limit": self.limit, "types": "message,attempt"}
        page = client.get("/v1/events", params=query, timeout=30).raise_for_status().json()
        self.seen += page["items"]
        self.cursor = page["cursor"]
        return page["next_cursor"] is not None


@pytest.mark.timeout(600 + CHANGES // 50)
def test_two_consumers_read_every_change_once_while_it_happens(system: System) -> None:
    surface = system.surface(message_type="marketing", validity_period=f"PT{VALIDITY}S")
    start = end_of_feed(system)
    is_over = threading.Event()
    consumers = [Consumer(system.stack.api_url, start, limit, is_over) for limit in (50, 1_000)]
    with ThreadPoolExecutor(len(consumers)) as threads:
        readings = [threads.submit(consumer.run) for consumer in consumers]
        try:
            batches = [begin(system, surface, number) for number in range(BATCHES)]
            system.post(f"/v1/batches/{batches[-1]}/cancel", {}, 200)
            wait_for(lambda: all(is_done(system, batch) for batch in batches), 120 + 4 * VALIDITY, every=0.5)
        finally:
            is_over.set()
        first, second = (reading.result() for reading in readings)
    assert min(consumer.rounds for consumer in consumers) > 10, "they have not read beside the changes"

    assert [event["id"] for event in first] == [event["id"] for event in second]
    assert len({event["id"] for event in first}) == len(first)
    assert first == second
    told: dict[str, list[Event]] = defaultdict(list)
    for event in first:
        if event["data"]["batch_id"] in batches:
            told[event["data"]["message_id"]].append(event)
    states: Counter[str] = Counter()
    for batch in batches:
        messages = system.all("/v1/messages", batch=batch)
        ends = Counter(told[message["id"]][-1]["data"]["state"] for message in messages)
        assert ends == system.get(f"/v1/batches/{batch}")["counts"]
        for message in messages:
            assert_told(message, told[message["id"]])
        states += ends
    assert states.keys() == {"delivered", "failed", "expired", "suppressed", "cancelled", "unconfirmed"}
    assert_each_row_is_told(system, batches, [event for events in told.values() for event in events])


def end_of_feed(system: System) -> str:
    """Behind it stands what the test brings about, and perhaps a little of what others left."""
    cursor = system.get("/v1/events")["cursor"]
    while (page := system.get("/v1/events", after=cursor, limit=1_000))["next_cursor"]:
        cursor = page["next_cursor"]
    return str(page["cursor"])


def begin(system: System, surface: str, number: int) -> str:
    recipients = [
        f"9197{(number * A_BATCH + n) // len(ENDINGS):04d}{ENDINGS[(number * A_BATCH + n) % len(ENDINGS)]}"
        for n in range(A_BATCH)
    ]
    if number == 0:
        credential = surface.replace("surface", "account")
        for recipient in recipients[:OPTED_OUT]:
            body = {"credential": credential, "state": "opted_out"}
            system.http.put(f"/v1/consents/{recipient}", json=body).raise_for_status()
    messages = [{"to": to, "callback_data": f"order-{to}"} for to in recipients]
    return system.batch(surface, [], messages=messages)


def is_done(system: System, batch: str) -> bool:
    counts = system.get(f"/v1/batches/{batch}")["counts"]
    return not counts.keys() & LIVE


def assert_told(message: dict[str, Any], told: list[Event]) -> None:
    """Its failures in the order of its attempts, then its end; or two, where it was delivered after all."""
    failures = [event["data"]["attempt"] for event in told if event["type"] == "attempt.failed"]
    ends = [event["data"]["state"] for event in told[len(failures) :]]
    assert failures == list(range(1, len(failures) + 1))
    assert message["attempts"] - len(failures) in (0, 1)
    assert len(ends) == 1 or (len(ends) == 2 and ends[1] == "delivered")
    assert ends[-1] == message["state"]
    assert {event["data"]["callback_data"] for event in told} == {message["callback_data"]}
    assert {event["data"]["batch_id"] for event in told} == {message["batch_id"]}


def assert_each_row_is_told(system: System, batches: list[str], told: list[Event]) -> None:
    """The consumers have read what the tables hold: so many attempts that failed, so many events."""
    ids = [UUID(batch) for batch in batches]
    ((failed,),) = query(system, _FAILED, ids)
    ((events,),) = query(system, _EVENTS, ids)
    assert (failed, events) == (sum(event["type"] == "attempt.failed" for event in told), len(told))
