"""One run: a stack of its own, the load in the background, and from one thread the stack's watch, the weather and the
blows. Then faults end, everything comes to rest, and the evidence is read."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg

from cli.ports import free_port
from cli.stack import Stack, StackOptions
from tests.chaos import injections
from tests.chaos.checks import Check, check_all
from tests.chaos.evidence import Evidence, collect
from tests.chaos.figures import Run
from tests.chaos.load import Load
from tests.chaos.plan import (
    MESSAGES_PER_SECOND,
    SLOWEST_REPORT_SECONDS,
    SURFACES,
    Blow,
    Plan,
    Strike,
)
from tests.chaos.scrapes import Scrapes

TOKEN = "chaos-admin-token"
SETTINGS = {
    "DELIVERY_BOOTSTRAP_TOKEN": TOKEN,
    "DELIVERY_SUBMISSION_SIZE": "80",  # many requests, so that many meet a fault
    "DELIVERY_LEASE_SECONDS": "5",
    "DELIVERY_REQUEST_TIMEOUT_SECONDS": "2",
    "DELIVERY_DOUBT_LOOKS": "PT1S,PT2S",
    "DELIVERY_RETRY_SCHEDULE": "PT1S,PT3S,PT8S",
    "DELIVERY_MISSING_REPORT_AFTER": "PT5S,PT15S,PT30S",
    "DELIVERY_REPORT_GRACE": "PT5S",
}
SANDBOX_OPTIONS = ("--push-retry-seconds", "1")
_WATCH_SECONDS = 0.05
_TELL_SECONDS = 10.0
_SCRAPE_SECONDS = 1.0
_FRESH_SECONDS = 2.0  # a scrape may be answered with what was asked a second before
_REST_SECONDS = 90.0  # past the last validity; what is not final then is lost
_QUIET_SECONDS = 4.0  # without a push: no report is on its way any more

_LIVE = "SELECT count(*) FROM message WHERE state IN ('queued', 'sending', 'sent', 'retrying')"


def chaos_stack(folder: Path) -> Stack:
    """The product with short times. `folder` must be one that the servers' account can reach."""
    return Stack(
        StackOptions(
            folder,
            free_port(),
            free_port(),
            metrics_port=0,
            workers=2,
            environment=SETTINGS,
            sandbox_options=SANDBOX_OPTIONS,
        )
    )


class ChaosRun:
    """`run` once. Whoever makes it stops the stack in any case."""

    def __init__(self, plan: Plan, stack: Stack, tell: Callable[[str], None]) -> None:
        self.plan = plan
        self.stack = stack
        self.blows: Counter[Blow] = Counter()
        self._tell = tell
        self._started_at = 0.0
        self._told_at = 0.0
        self._journal = stack.data_dir / "blows.log"
        self._load = Load(stack.api_url, TOKEN, plan.sends)
        self._scrapes = Scrapes(stack.api_url)
        self._scraped_at = 0.0

    def run(self) -> tuple[Run, Evidence, list[Check]]:
        self.stack.start()
        self.stack.wait_ready()
        create_surfaces(self.stack)
        self._started_at = time.monotonic()
        self._load.start()
        try:
            self._strike_all()
            calm_since = datetime.now(UTC)
            self._wait_for_rest()
        finally:
            self._load.stop()
        seconds = self._elapsed
        self._tell("reading the sandbox's log and the database")
        time.sleep(_FRESH_SECONDS)
        self._scrapes.scrape()
        evidence = collect(
            self._load.promises,
            self._scrapes,
            self.stack.sandbox_url,
            self.stack.database_url,
            slowest_report=timedelta(seconds=SLOWEST_REPORT_SECONDS),
            calm_since=calm_since,
        )
        return Run(self.plan.seed, seconds, self.blows, self._load.troubles), evidence, check_all(evidence)

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started_at

    def _strike_all(self) -> None:
        """Weather and blows, each at its time or as soon after it as it can be; until all fell and all is accepted."""
        strikes, weather = list(self.plan.strikes), list(self.plan.weather)
        while strikes or weather or self._load.is_running:
            self._watch()
            if weather and weather[0].at <= self._elapsed and self._change_weather(weather[0].faults):
                del weather[0]
            # One in a round: the next must not find a dead process that nobody has buried yet.
            if strikes and strikes[0].at <= self._elapsed and self._strike(strikes[0]):
                del strikes[0]

    def _strike(self, strike: Strike) -> bool:
        if not injections.fall(self.stack, strike):
            return False
        self.blows[strike.blow] += 1
        with self._journal.open("a") as journal:
            journal.write(f"{self._elapsed:7.2f} s  {strike.blow} {strike.target}\n")
        return True

    def _change_weather(self, faults: object) -> bool:
        try:
            answer = httpx.put(f"{self.stack.sandbox_url}/sandbox/faults", json=faults, timeout=5, trust_env=False)
        except httpx.TransportError:
            return False
        answer.raise_for_status()
        return True

    def _wait_for_rest(self) -> None:
        """Until every message is final and no report is on its way, or has had time enough."""
        ends = self.plan.ends_at + _REST_SECONDS
        pushes, quiet_since = -1, self._elapsed
        while self._elapsed < ends:
            self._watch()
            if (seen := self._pushes_count()) != pushes:
                pushes, quiet_since = seen, self._elapsed
            if self._live_count() == 0 and self._elapsed - quiet_since >= _QUIET_SECONDS:
                return

    def _watch(self) -> None:
        self.stack.watch()
        if self._elapsed - self._told_at >= _TELL_SECONDS:
            self._told_at = self._elapsed
            live = self._live_count()
            self._tell(
                f"{self._elapsed:4.0f} s  {self._load.accepted_count:,} of {self.plan.total:,} accepted, "
                f"{'unknown' if live is None else f'{live:,}'} not final, {sum(self.blows.values())} blows"
            )
        if self._elapsed - self._scraped_at >= _SCRAPE_SECONDS:
            self._scraped_at = self._elapsed
            self._scrapes.scrape()
        time.sleep(_WATCH_SECONDS)

    def _live_count(self) -> int | None:
        """None while the database is away."""
        try:
            with psycopg.connect(self.stack.database_url.replace("+psycopg", "", 1), connect_timeout=2) as database:
                row = database.execute(_LIVE).fetchone()
        except psycopg.OperationalError:
            return None
        return int(row[0]) if row else None

    def _pushes_count(self) -> int:
        summary = httpx.get(f"{self.stack.sandbox_url}/sandbox/summary", trust_env=False).raise_for_status().json()
        return int(summary["pushes"])


def create_surfaces(stack: Stack) -> None:
    """Two credentials, one of them with a rate, and a surface of each message type for both."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, trust_env=False) as api:
        for account, rate in (("brisk", None), ("paced", MESSAGES_PER_SECOND)):
            credential = {
                "name": account,
                "base_url": stack.sandbox_url,
                "api_key": f"{account}-key",
                "messages_per_second": rate,
            }
            api.post("/v1/credentials", json=credential).raise_for_status()
        for name in SURFACES:
            account, _, message_type = name.partition("-")
            surface = {
                "name": name,
                "channel": "sms",
                "message_type": message_type,
                "credential": account,
                "sender": "KITEBK",
                "principal_entity_id": "1201150000000000001",
                "content_template_id": "1207160000000000001",
                "sending_window": "off",
                "window_off_reason": "Chaos on a sandbox: no handset rings at night",
            }
            api.post("/v1/surfaces", json=surface).raise_for_status()
