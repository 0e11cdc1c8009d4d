"""People opt out while a campaign drains. The bound: once their STOP is answered 200, no claim takes their message; one
claim that had begun before may still be on its way, and nobody else's."""

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx

from tests.end_to_end.conftest import System
from tests.end_to_end.observing import query
from tests.processes import wait_for

MESSAGES = int(os.environ.get("DELIVERY_TEST_DRAIN_MESSAGES", "12000"))
OPT_OUTS = MESSAGES // 100
ROWS = 4_000  # a batch
WRITERS = 8
FULL_SPEED = 2_000  # a second: what two cores send and, beside it, answer STOPs
CAMPAIGN = "A sale"

_CLAIMED = "SELECT count(*) FROM message WHERE attempt_count > 0 AND recipient = ANY(%s)"
_LEFT = """
    SELECT m.recipient, s.opened_at FROM message m
    JOIN attempt a ON a.message_id = m.id JOIN submission s ON s.id = a.submission_id
    WHERE m.recipient = ANY(%s) AND m.batch_id IS NOT NULL
"""
_LIVE = """
    SELECT FROM message WHERE state IN ('queued', 'sending', 'sent', 'retrying') AND recipient = ANY(%s) LIMIT 1
"""
_ENDED = "SELECT recipient, state FROM message WHERE recipient = ANY(%s) AND batch_id IS NOT NULL"


def campaign(system: System, surface: str) -> list[str]:
    """Posted in batches, workers sending meanwhile. Gives the numbers in the order in which they are due."""
    numbers = [f"9197{n:08d}" for n in range(2 * MESSAGES) if n % 10_000 < 9_000][:MESSAGES]
    for start in range(0, MESSAGES, ROWS):
        system.batch(surface, numbers[start : start + ROWS], text=CAMPAIGN)
    return numbers


def stop(client: httpx.Client, path: str, number: str) -> tuple[str, float]:
    """When the 200 to this person's STOP was here."""
    received = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S.000%z")
    message = {"messageId": f"stop-{number}", "from": number, "to": "1", "text": "Stop", "receivedAt": received}
    response = client.post(path, json={"results": [message], "messageCount": 1, "pendingMessageCount": 0})
    assert response.status_code == 200, response.text
    return number, time.time()


def claimed(system: System, numbers: list[str]) -> int:
    ((count,),) = query(system, _CLAIMED, numbers)
    return int(count)


def test_nobody_is_claimed_after_the_200_to_their_stop(system: System) -> None:
    surface = system.surface(message_type="marketing", validity_period="PT10M")
    account = surface.replace("surface", "account")
    credential = system.get(f"/v1/credentials/{account}")
    path = httpx.URL(credential["webhook_urls"]["inbound"]).path
    # Held back until all of it is here, so that whoever opts out is still to come.
    system.http.patch(f"/v1/credentials/{account}", json={"messages_per_second": 1}).raise_for_status()
    numbers = campaign(system, surface)
    system.http.patch(f"/v1/credentials/{account}", json={"messages_per_second": FULL_SPEED}).raise_for_status()
    wait_for(lambda: claimed(system, numbers) > MESSAGES // 10, 60, every=0.02)
    coming = numbers[claimed(system, numbers) :]  # the next of them are about to leave
    leaving = coming[:: len(coming) // OPT_OUTS][:OPT_OUTS]
    with (
        httpx.Client(base_url=system.stack.api_url, trust_env=False) as client,
        ThreadPoolExecutor(WRITERS) as writers,
    ):
        answered = dict(writers.map(lambda number: stop(client, path, number), leaving))
    wait_for(lambda: not query(system, _LIVE, numbers), 240, every=0.5)

    late = [number for number, opened_at in query(system, _LEFT, leaving) if opened_at.timestamp() >= answered[number]]
    assert late == []  # no claim that began after the 200
    ends = dict(query(system, _ENDED, numbers))
    ended = Counter(ends[number] for number in leaving)
    assert ended["suppressed"] >= OPT_OUTS // 10, ended  # many were still to come
    assert {ends[number] for number in set(numbers) - set(leaving)} == {"delivered"}
    accepted = Counter(item["to"] for item in system.accepted() if item["text"] == CAMPAIGN)
    for number in leaving:
        assert accepted[number] == (0 if ends[number] == "suppressed" else 1)
