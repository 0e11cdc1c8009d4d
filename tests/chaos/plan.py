"""What one run of chaos does, worked out beforehand from its seed: the load, the faults, the blows. Pure.

The same seed and size give the same plan. What the processes make of it depends on the machine, so a seed repeats the
circumstances of a failure, not each of its milliseconds.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SURFACES = ("brisk-transactional", "brisk-marketing", "paced-transactional", "paced-marketing")
_SURFACE_WEIGHTS = (25, 40, 10, 25)
MESSAGES_PER_SECOND = 150  # of the credential behind the paced surfaces
# Of that rate, what is left for messages that come: retries and what goes out again after a doubt take their part, and
# while Infobip answers 429 or is away the rate is not to be had.
CARRIED_SHARE = 0.45
MOST_A_SECOND = 450  # of the load, over all surfaces
LEAST_LOAD_SECONDS = 20.0  # of a small run, so that its blows do not fall all at once
MOST_MESSAGES = 250_000  # as many recipients as the numbers below can tell apart
LARGEST_BATCH = 2000
SHORT_VALIDITY_SECONDS = 20
POISON_SUFFIX = "9009"

# Shares of all messages by the last four digits of the recipient, which choose what the sandbox says (docs/sandbox.md).
_SHARES = {
    "9001": 0.06,
    "9002": 0.02,
    "9003": 0.02,
    "9004": 0.03,
    "9005": 0.02,
    "9006": 0.02,
    "9007": 0.02,
    "9008": 0.02,
    "9010": 0.01,
}
_ONE_POISON_IN = 6000  # each has its request split some seven times

_USUAL: Mapping[str, float] = {
    "server_error": 0.10,
    "timeout_after": 0.05,
    "reset_before": 0.025,
    "reset_after": 0.025,
    "report_lost": 0.02,
    "report_repeated": 0.05,
    "report_reordered": 0.05,
    "report_intermediate": 0.05,
}
SLOWEST_REPORT_SECONDS = 8.0
# What is put over the usual shares for a while.
_WEATHER: Sequence[Mapping[str, float]] = (
    {},
    {},
    {"too_many_requests": 0.4},
    {"report_seconds": SLOWEST_REPORT_SECONDS},
    {"report_lost": 0.10, "report_repeated": 0.15, "report_reordered": 0.15},
    {"answer_seconds": 0.3},
    # Neither logs nor reports tell before the looks at a doubt are over: what landed goes out again, to be refused.
    {"logs_seconds": 6.0, "report_seconds": SLOWEST_REPORT_SECONDS, "reset_after": 0.1},
)
_WEATHER_SECONDS = (3.0, 9.0)
_CLEARED_AFTER_LOAD_SECONDS = 8.0
_CALM_SECONDS = 90.0  # after the load, in which whatever can be sent must be


class Blow(StrEnum):
    """What is done to the processes."""

    KILL_CHILD = "a worker's pool process killed"
    KILL_PARENT = "a worker's parent killed"
    KILL_GROUP = "a whole worker killed"
    FLUSH_REDIS = "Redis flushed"
    RESTART_REDIS = "Redis killed and restarted"
    RESTART_POSTGRES = "PostgreSQL stopped and restarted"
    KILL_POSTGRES = "PostgreSQL killed and restarted"
    KILL_API = "the API killed"
    KILL_BEAT = "beat killed"
    CLOSE_SANDBOX = "Infobip's port closed for a while"

    @property
    def is_worker_kill(self) -> bool:
        return self in _WORKER_KILLS


_WORKER_KILLS = (Blow.KILL_CHILD, Blow.KILL_PARENT, Blow.KILL_GROUP)
_WORKERS = ("worker-transactional", "worker-marketing", "worker-upkeep")


@dataclass(frozen=True, slots=True)
class Send:
    """One request to the API, `at` seconds after the start. `repeats` more follow with the same idempotency key."""

    at: float
    key: str
    surface: str
    validity_seconds: int
    recipients: Sequence[str]
    is_single: bool
    repeats: int

    @property
    def path(self) -> str:
        return "/v1/messages" if self.is_single else "/v1/batches"

    @property
    def body(self) -> dict[str, Any]:
        shared = {
            "surface": self.surface,
            "text": "Your parcel is on its way",
            "callback_data": self.key,
            "validity_period": f"PT{self.validity_seconds}S",
        }
        if self.is_single:
            return {**shared, "to": self.recipients[0]}
        return {**shared, "messages": [{"to": to} for to in self.recipients]}


@dataclass(frozen=True, slots=True)
class Strike:
    """A blow that falls `at` seconds after the start; `target` is a process of the stack."""

    at: float
    blow: Blow
    target: str = ""


@dataclass(frozen=True, slots=True)
class Weather:
    """The sandbox's fault set from `at` on."""

    at: float
    faults: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Intensity:
    """How many of each kind of blow."""

    kills: int = 24
    flushes: int = 3
    redis_restarts: int = 2
    postgres_restarts: int = 2
    api_kills: int = 2
    beat_kills: int = 1
    outages: int = 2


@dataclass(frozen=True)
class Plan:
    seed: int
    total: int
    validity_seconds: int
    sends: Sequence[Send]
    strikes: Sequence[Strike]
    weather: Sequence[Weather]

    @property
    def load_seconds(self) -> float:
        return self.sends[-1].at

    @property
    def ends_at(self) -> float:
        """When the last validity is over."""
        return max(send.at + send.validity_seconds for send in self.sends)


def make_plan(seed: int, total: int, intensity: Intensity, validity_seconds: int | None = None) -> Plan:
    """`total` messages; most of them are worth sending for `validity_seconds` from the start of the run on, by default
    until long after its last fault."""
    if not 1 <= total <= MOST_MESSAGES:
        raise ValueError(f"a run has 1 to {MOST_MESSAGES:,} messages")
    load_seconds = max(LEAST_LOAD_SECONDS, total / MOST_A_SECOND)
    if validity_seconds is None:
        validity_seconds = round(load_seconds + _CALM_SECONDS)
    # Each part has dice of its own: more kills leave the load of that seed as it was.
    load, blows, skies = (random.Random(f"{seed} {part}") for part in ("load", "blows", "skies"))
    sends = list(_sends(load, seed, _recipients(load, total), load_seconds, validity_seconds))
    seconds = sends[-1].at
    return Plan(
        seed,
        total,
        validity_seconds,
        sends,
        sorted(_strikes(blows, seconds, intensity), key=lambda strike: strike.at),
        [*_skies(skies, seconds), Weather(seconds + _CLEARED_AFTER_LOAD_SECONDS, {})],
    )


def suffix_of(recipient: str) -> str:
    """The digits that choose the message's fate; empty for one that is simply delivered."""
    last = recipient[-4:]
    return last if last == POISON_SUFFIX or last in _SHARES else ""


def _recipients(chance: random.Random, total: int) -> list[str]:
    """So many Indian mobile numbers, all different, the fates well mixed."""
    suffixes = [suffix for suffix, share in _SHARES.items() for _ in range(max(1, round(total * share)))]
    suffixes += [POISON_SUFFIX] * max(1, total // _ONE_POISON_IN)
    suffixes += [""] * (total - len(suffixes))
    chance.shuffle(suffixes)
    return [
        f"91{700_000 + index}{suffix or f'{chance.randrange(9000):04}'}"
        for index, suffix in enumerate(suffixes[:total])
    ]


def _sends(
    chance: random.Random, seed: int, recipients: Sequence[str], load_seconds: float, validity_seconds: int
) -> Iterator[Send]:
    """Sends at the pace of the load. Batches of any size are equally likely by their order of magnitude.

    What the paced credential cannot carry while it is valid goes to the other one: it would have to expire untried,
    however well the product works.
    """
    largest = min(LARGEST_BATCH, max(1, len(recipients) // 5))
    pace = len(recipients) / load_seconds
    paced_until = 0.0  # when the paced credential is through with what it was given
    taken = 0
    number = 0
    while taken < len(recipients):
        is_single = chance.random() < 0.3
        size = 1 if is_single else math.ceil(math.exp(chance.uniform(0, math.log(largest))))
        group = recipients[taken : taken + size]
        taken += len(group)
        at = taken / pace
        surface = chance.choices(SURFACES, _SURFACE_WEIGHTS)[0]
        # Of the long ones all end together, however early they came: thousands expire at once.
        is_short = chance.random() < 0.15
        validity = SHORT_VALIDITY_SECONDS if is_short else max(SHORT_VALIDITY_SECONDS, round(validity_seconds - at))
        if surface.startswith("paced"):
            through_at = max(paced_until, at) + len(group) / (CARRIED_SHARE * MESSAGES_PER_SECOND)
            if through_at <= at + validity:
                paced_until = through_at
            else:
                surface = surface.replace("paced", "brisk")
        repeats = chance.choices((0, 1, 2), (70, 25, 5))[0]
        yield Send(at, f"chaos-{seed}-{number}", surface, validity, group, is_single, repeats)
        number += 1


def _strikes(chance: random.Random, seconds: float, intensity: Intensity) -> Iterator[Strike]:
    def some_time() -> float:
        return chance.uniform(0.08, 0.97) * seconds

    for number in range(intensity.kills):
        # Each way to die in turn; the worker by chance, those that send more often.
        target = chance.choices(_WORKERS, (35, 40, 25))[0]
        yield Strike(some_time(), _WORKER_KILLS[number % len(_WORKER_KILLS)], target)
    for _ in range(intensity.flushes):
        yield Strike(some_time(), Blow.FLUSH_REDIS)
    for _ in range(intensity.redis_restarts):
        yield Strike(some_time(), Blow.RESTART_REDIS, "redis")
    for number in range(intensity.postgres_restarts):
        yield Strike(some_time(), (Blow.RESTART_POSTGRES, Blow.KILL_POSTGRES)[number % 2], "postgres")
    for _ in range(intensity.api_kills):
        yield Strike(some_time(), Blow.KILL_API, "api")
    for _ in range(intensity.beat_kills):
        yield Strike(some_time(), Blow.KILL_BEAT, "beat")
    for _ in range(intensity.outages):
        yield Strike(some_time(), Blow.CLOSE_SANDBOX)


def _skies(chance: random.Random, seconds: float) -> Iterator[Weather]:
    """Each kind of weather comes before any comes again."""
    at = 0.0
    to_come: list[Mapping[str, float]] = []
    while at < seconds + _CLEARED_AFTER_LOAD_SECONDS:
        to_come = to_come or chance.sample(_WEATHER, len(_WEATHER))
        yield Weather(at, {**_USUAL, **to_come.pop(), "seed": chance.randrange(2**31)})
        at += chance.uniform(*_WEATHER_SECONDS)
