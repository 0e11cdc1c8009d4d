"""Infobip refuses every connection in the middle of a batch: it completes by itself, and without a burst."""

import os
from collections import Counter
from datetime import datetime
from itertools import accumulate, pairwise

from tests.end_to_end.conftest import System
from tests.end_to_end.observing import recipients
from tests.processes import wait_for

OUTAGE_SECONDS = float(os.environ.get("DELIVERY_TEST_OUTAGE_SECONDS", "6"))
RATE = 150


def instants(system: System, numbers: set[str]) -> list[float]:
    """When Infobip accepted each of these, in order, in seconds."""
    accepted = [item for item in system.accepted() if item["to"] in numbers]
    return sorted(datetime.fromisoformat(item["accepted_at"]).timestamp() for item in accepted)


def most_in_any(seconds: int, at: list[float]) -> int:
    """The most instants within any window of that many whole seconds."""
    by_second = Counter(int(instant - at[0]) for instant in at)
    sums = [0, *accumulate(by_second[second] for second in range(int(at[-1] - at[0]) + 1))]
    return max(sums[min(end + seconds, len(sums) - 1)] - sums[end] for end in range(len(sums)))


def test_a_batch_completes_after_an_outage_and_keeps_to_its_rate(system: System) -> None:
    surface = system.surface(message_type="marketing", validity_period="PT10M")
    account = surface.replace("surface", "account")
    system.http.patch(f"/v1/credentials/{account}", json={"messages_per_second": RATE}).raise_for_status()
    numbers = recipients(10 * RATE)
    batch = system.batch(surface, numbers)
    wait_for(lambda: system.get(f"/v1/batches/{batch}")["counts"].get("delivered", 0) > RATE, 30, every=0.1)
    system.sandbox.post("/sandbox/outage", json={"seconds": OUTAGE_SECONDS}).raise_for_status()
    ended = system.finished(batch, OUTAGE_SECONDS + 120)
    assert Counter(message["state"] for message in ended.values()) == {"delivered": len(numbers)}
    assert {message["attempts"] for message in ended.values()} == {1}
    at = instants(system, set(numbers))
    assert len(at) == len(numbers)
    gap = max(later - earlier for earlier, later in pairwise(at))
    assert gap >= OUTAGE_SECONDS - 1
    # A second's worth of slack, for a machine that stands still for a while and then goes on.
    for seconds in (1, 3, 5):
        assert most_in_any(seconds, at) <= RATE * (seconds + 1)
