"""The database's figures as metrics, read when a scrape asks, for all who ask at the same time."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Thread

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from worker import metrics
from worker.db import open_session
from worker.figures import BATCH_STATES, WITHIN, Figures, LaneFigures, read_figures
from worker.infobip import statuses
from worker.metrics import OTHER, FromDatabase, database_figures_missed_total, database_figures_seconds
from worker.sentences import REASONS
from worker.states import FINAL, REASONED, State
from worker.words import Channel, HoldKind, MessageType

FRESH_SECONDS = 1.0  # who asks within it is given the same figures
MOST_SECONDS = 1.0  # that a scrape waits for the database: Prometheus gives up on the whole of it after 10
_LIMITED = text(f"SELECT set_config('statement_timeout', '{MOST_SECONDS * 1000:.0f}', true)")


class DatabaseFigures:
    """Asked of the database by one thread at a time, a daemon: neither scrapes nor the end of the process wait for one
    that hangs, and no second question is put before the first is answered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: asyncio.Future[Figures | None] | None = None
        self._answered_at = 0.0

    async def exposition(self) -> bytes:
        """In Prometheus' text format: empty where the database does not answer in time, so that series have a gap."""
        figures = await self._newest()
        if figures is None:
            database_figures_missed_total.inc()
            return b""
        return generate_latest(_Once(figures))

    async def _newest(self) -> Figures | None:
        is_stale = time.monotonic() - self._answered_at > FRESH_SECONDS
        if self._asked is None or (self._asked.done() and (is_stale or self._asked.result() is None)):
            self._asked = asyncio.get_running_loop().create_future()
            Thread(target=self._ask, args=(self._asked,), name="database_figures", daemon=True).start()
        asked = self._asked
        await asyncio.wait({asked}, timeout=MOST_SECONDS)
        return asked.result() if asked.done() else None

    def _ask(self, asked: "asyncio.Future[Figures | None]") -> None:
        figures = None
        try:
            started = time.monotonic()
            with open_session(self._engine) as session:
                session.execute(_LIMITED)
                figures = read_figures(session.connection())
            database_figures_seconds.observe(time.monotonic() - started)
        except SQLAlchemyError:
            return
        finally:
            self._answered_at = time.monotonic()
            try:
                asked.get_loop().call_soon_threadsafe(asked.set_result, figures)
            except RuntimeError:
                return  # a closed loop: nobody waits any more


class _Once(Collector):
    """The figures of one moment, in the shape of a registry."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        for metric, samples in _samples(self._figures):
            family = metric.family()
            for labels, value in samples:
                family.add_metric(labels, value)
            yield family


Samples = Iterable[tuple[tuple[str, ...], float]]


def _samples(figures: Figures) -> Iterator[tuple[FromDatabase, Samples]]:
    """Labels of each sample in their order."""
    lanes = figures.lanes
    yield metrics.messages_enqueued_total, _by_lane(lanes, lambda lane: {(): sum(lane.counts.values())})
    yield metrics.messages_finished_total, _by_lane(lanes, lambda lane: {(s,): lane.ended_in(s) for s in FINAL})
    yield metrics.messages, _by_lane(lanes, lambda lane: {(s,): lane.in_state(s) for s in State})
    yield metrics.undelivered_messages, _by_reason(lanes)
    yield metrics.oldest_due_seconds, _by_lane(lanes, lambda lane: {(): lane.oldest_due_seconds})
    yield metrics.lane_messages_per_second, _by_lane(lanes, lambda lane: {(): lane.messages_per_second})
    yield metrics.drain_seconds, _by_lane(lanes, lambda lane: {(): lane.drain_seconds}, together=max)
    yield metrics.forecast_expiring_messages, _by_lane(lanes, lambda lane: {(): lane.forecast_expiring})
    yield metrics.lane_held, _by_lane(lanes, lambda lane: {(k,): float(lane.kind == k) for k in HoldKind}, together=max)
    yield metrics.messages_in_doubt, _by_lane(lanes, lambda lane: {(): lane.messages_in_doubt})
    yield metrics.submissions_in_doubt, [((), figures.submissions_in_doubt)]
    yield metrics.batches, [((state,), figures.batches[state]) for state in BATCH_STATES]
    yield metrics.feed_lag_seconds, [((), figures.feed_lag_seconds)]
    yield (
        metrics.expiring_messages,
        [
            ((channel, message_type, within), figures.expiring.get((channel, message_type, within), 0))
            for channel in Channel
            for message_type in MessageType
            for within in WITHIN
        ],
    )


def _by_lane(
    lanes: Iterable[LaneFigures],
    figures_of: Callable[[LaneFigures], Mapping[tuple[str, ...], float]],
    together: Callable[[Iterable[float]], float] = sum,
) -> Samples:
    """Lanes of one name, of a credential and of a deleted one that had it before, are told together."""
    found: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    for lane in lanes:
        for labels, value in figures_of(lane).items():
            found[*lane.name, *labels].append(value)
    return [(labels, together(values)) for labels, values in found.items()]


def _by_reason(lanes: Iterable[LaneFigures]) -> Samples:
    found: Counter[tuple[str, ...]] = Counter()
    for lane in lanes:
        for (state, reason), n in lane.counts.items():
            if state in REASONED:
                found[lane.name.channel, lane.name.message_type, state, _label(reason)] += n
    return found.items()


def _label(reason: str) -> str:
    """Infobip may have names that our tables have not, and no end of them."""
    return reason if reason in REASONS or statuses.explain(reason) is not None else OTHER
