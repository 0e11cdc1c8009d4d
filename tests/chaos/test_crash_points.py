"""A worker dies at each line of the send path at which it can make a difference, and another takes over.

Real worker processes kill themselves where they are ordered to (crashing_worker.py): once the pool process alone, once
the whole worker, and once on the way of a message that goes out again after a doubt. Then everything must come to the
same end as if nobody had died, by the checks of the chaos runs.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from cli.ports import free_port
from cli.stack import Stack, StackOptions
from tests.chaos.checks import CHECKS
from tests.chaos.crashing_worker import ORDERS, Victim, is_carried_out, order, withdraw
from tests.chaos.evidence import Evidence, collect
from tests.chaos.load import Promise
from tests.chaos.plan import Send
from tests.chaos.run import SANDBOX_OPTIONS, SETTINGS, TOKEN, create_surfaces
from tests.chaos.scrapes import Scrapes
from worker.boundaries import Boundary

SEND_PATH = tuple(Boundary)[: tuple(Boundary).index(Boundary.ANSWER_COMMITTED) + 1]
ROOT = Path(__file__).parents[2]
QUICK = {
    **SETTINGS,
    "DELIVERY_LEASE_SECONDS": "2",
    "DELIVERY_REQUEST_TIMEOUT_SECONDS": "0.9",
    "DELIVERY_DOUBT_LOOKS": "PT1S",
    "DELIVERY_RETRY_SCHEDULE": "PT1S",
    "DELIVERY_MISSING_REPORT_AFTER": "PT3S,PT6S",
}
AGAIN = "again"  # the round in which those die who send for the second time
MESSAGES = 6  # of a batch
ROUND_SECONDS = 60.0
REST_SECONDS = 60.0

# The first test pays for everything that happens.
pytestmark = pytest.mark.timeout(400)


@dataclass
class Street:
    """The stack and the traffic on it; `died` are the orders that were carried out, as (round, boundary)."""

    stack: Stack
    orders: Path
    api: httpx.Client
    sandbox: httpx.Client
    promises: list[Promise] = field(default_factory=list)
    died: set[tuple[str, Boundary]] = field(default_factory=set)
    calm_since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def send(self) -> None:
        """A small batch, by turns transactional and marketing."""
        number = len(self.promises)
        recipients = [f"91{800_000 + number}{n:04}" for n in range(MESSAGES)]
        surface = ("brisk-transactional", "brisk-marketing")[number % 2]
        send = Send(0.0, f"chaos-{number}", surface, 300, recipients, is_single=False, repeats=0)
        answer = self.api.post(send.path, json=send.body, headers={"Idempotency-Key": send.key})
        assert answer.status_code == 202, answer.text
        self.promises.append(Promise(send, [answer.json()]))

    def faults(self, **chosen: float) -> None:
        self.sandbox.put("/sandbox/faults", json=chosen).raise_for_status()

    def give_time(self, condition: Callable[[], bool], seconds: float, every: float = 0.02) -> None:
        """Keep watch until the condition holds or the time is over. Whether it does is for the tests to tell."""
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self.stack.watch()
            time.sleep(every)

    def note_the_dead(self, round_name: str, boundaries: Iterable[Boundary]) -> None:
        for boundary in boundaries:
            if is_carried_out(self.orders, boundary):
                self.died.add((round_name, boundary))
            withdraw(self.orders, boundary)

    def requests_seen(self) -> int:
        return int(self.sandbox.get("/sandbox/summary").json()["requests"])

    def execute(self, statement: str) -> int:
        url = self.stack.database_url.replace("+psycopg", "", 1)
        with psycopg.connect(url, autocommit=True) as database:
            return database.execute(statement).rowcount


def kill_at_every_boundary(street: Street, victim: Victim) -> None:
    """Orders for all of them at once, and traffic with enough doubts that each is reached."""
    street.faults(reset_before=0.15, reset_after=0.15)
    for boundary in Boundary:
        order(street.orders, boundary, victim)

    def are_all_dead() -> bool:
        street.send()
        return all(is_carried_out(street.orders, boundary) for boundary in Boundary)

    street.give_time(are_all_dead, ROUND_SECONDS, every=0.3)
    street.note_the_dead(victim, Boundary)
    street.faults()


def kill_those_who_send_again(street: Street) -> None:
    """One boundary after the other: a request that never arrives, then an order that its resubmission meets."""
    for boundary in SEND_PATH:
        seen = street.requests_seen()
        street.faults(reset_before=1.0)
        street.send()
        street.give_time(lambda seen=seen: street.requests_seen() > seen, 20)
        street.faults()
        order(street.orders, boundary, Victim.PROCESS)
        street.give_time(lambda boundary=boundary: is_carried_out(street.orders, boundary), 20)
        street.note_the_dead(AGAIN, [boundary])


def come_to_rest(street: Street) -> None:
    street.calm_since = datetime.now(UTC)
    # A look that died is taken up again after a minute of its own: as if that minute had passed.
    street.execute("UPDATE attempt SET look_at = now() WHERE look_at > now()")
    live = "SELECT FROM message WHERE state IN ('queued', 'sending', 'sent', 'retrying')"
    street.give_time(lambda: street.execute(live) == 0, REST_SECONDS, every=0.2)


@pytest.fixture(scope="module")
def street(stack_folder: Path) -> Iterator[Street]:
    orders = stack_folder / "orders"
    orders.mkdir()
    stack = Stack(
        StackOptions(
            stack_folder / "data",
            free_port(),
            free_port(),
            metrics_port=0,
            environment={**QUICK, ORDERS: str(orders), "PYTHONPATH": str(ROOT)},
            sandbox_options=SANDBOX_OPTIONS,
            worker_command=[sys.executable, "-m", "tests.chaos.crashing_worker"],
        )
    )
    try:
        stack.start()
        stack.wait_ready()
        create_surfaces(stack)
        with (
            httpx.Client(base_url=stack.api_url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as api,
            httpx.Client(base_url=stack.sandbox_url, trust_env=False) as sandbox,
        ):
            street = Street(stack, orders, api, sandbox)
            kill_at_every_boundary(street, Victim.PROCESS)
            kill_at_every_boundary(street, Victim.GROUP)
            kill_those_who_send_again(street)
            come_to_rest(street)
            yield street
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def evidence(street: Street) -> Evidence:
    scrapes = Scrapes(street.stack.api_url)
    scrapes.scrape()
    return collect(
        street.promises,
        scrapes,
        street.stack.sandbox_url,
        street.stack.database_url,
        slowest_report=timedelta(seconds=1),
        calm_since=street.calm_since,
    )


@pytest.mark.parametrize("boundary", Boundary)
@pytest.mark.parametrize("victim", Victim)
def test_somebody_died_at(street: Street, victim: Victim, boundary: Boundary) -> None:
    assert (victim, boundary) in street.died


@pytest.mark.parametrize("boundary", SEND_PATH)
def test_somebody_died_on_the_second_way_at(street: Street, boundary: Boundary) -> None:
    assert (AGAIN, boundary) in street.died


def test_everything_was_delivered_all_the_same(evidence: Evidence) -> None:
    assert {row.state for row in evidence.messages} == {"delivered"}


@pytest.mark.parametrize("name", CHECKS)
def test_afterwards_there_is_none_of(evidence: Evidence, name: str) -> None:
    assert CHECKS[name](evidence) == []
