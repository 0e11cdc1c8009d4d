"""Every metric this product exports, by name. Seconds, `_total` for counters, few labels with few values.

Names and labels are a contract with dashboards and alerts: docs/metrics.md lists them, and a test compares the two.

Each process counts what it does itself, from zero when it starts. What the database knows (`FromDatabase`) an API
process reads when it is asked (api/figures.py): the same in each, and exact whatever processes died meanwhile.
"""

from bisect import bisect_left
from collections import Counter as Count
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from worker.words import Action, Channel, MessageType, Outcome, Source

_LANE = ["credential", "channel", "message_type"]
OTHER = "other"  # label of a word that is in none of our tables
_HOUR, _DAY = 3600.0, 86400.0
_LATENCIES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 4 * _HOUR, _DAY, 2 * _DAY)


@dataclass(frozen=True, slots=True)
class FromDatabase:
    """A counter or gauge whose samples are read from the database, all together, at a scrape."""

    name: str
    kind: Literal["counter", "gauge"]
    documentation: str
    label_names: Sequence[str] = ()

    def family(self) -> CounterMetricFamily | GaugeMetricFamily:
        """Without samples yet: `add_metric` adds one."""
        if self.kind == "counter":
            return CounterMetricFamily(self.name, self.documentation, labels=self.label_names)
        return GaugeMetricFamily(self.name, self.documentation, labels=self.label_names)


# Lifecycle: from the tally.

messages_enqueued_total = FromDatabase(
    "delivery_messages_enqueued_total", "counter", "Messages stored, of whatever origin.", _LANE
)
messages_finished_total = FromDatabase(
    "delivery_messages_finished_total",
    "counter",
    "Messages that ended, by how; one that is delivered after it had ended counts as both.",
    [*_LANE, "state"],
)
messages = FromDatabase("delivery_messages", "gauge", "Messages by their state.", [*_LANE, "state"])
undelivered_messages = FromDatabase(
    "delivery_undelivered_messages",
    "gauge",
    "Messages that wait for another attempt or ended undelivered, by reason.",
    ["channel", "message_type", "state", "reason"],
)

# Backlog, and what becomes of it.

oldest_due_seconds = FromDatabase(
    "delivery_oldest_due_seconds", "gauge", "How long the message whose turn came first has waited since.", _LANE
)
lane_messages_per_second = FromDatabase(
    "delivery_lane_messages_per_second", "gauge", "Messages that left the lane for Infobip a second, of late.", _LANE
)
drain_seconds = FromDatabase(
    "delivery_drain_seconds", "gauge", "Time until all that waits in the lane has left, at its rate of late.", _LANE
)
forecast_expiring_messages = FromDatabase(
    "delivery_forecast_expiring_messages",
    "gauge",
    "Messages that wait and will expire before their turn, at the lane's rate of late.",
    _LANE,
)
expiring_messages = FromDatabase(
    "delivery_expiring_messages",
    "gauge",
    "Messages that have not ended and whose validity ends within so long.",
    ["channel", "message_type", "within"],
)
lane_held = FromDatabase("delivery_lane_held", "gauge", "1 while the lane is held, by what.", [*_LANE, "kind"])
messages_in_doubt = FromDatabase(
    "delivery_messages_in_doubt", "gauge", "Messages of which nobody knows whether Infobip has them.", _LANE
)
submissions_in_doubt = FromDatabase(
    "delivery_submissions_in_doubt",
    "gauge",
    "Requests to Infobip with messages in doubt, of the first 10,000 of those.",
)
batches = FromDatabase("delivery_batches", "gauge", "Batches that are not over, by their state.", ["state"])
feed_lag_seconds = FromDatabase(
    "delivery_feed_lag_seconds",
    "gauge",
    "How long the oldest event or report that feeds may not tell yet has waited.",
)
database_figures_missed_total = Counter(
    "delivery_database_figures_missed_total", "Scrapes of an API process that the database gave no figures in time."
)
database_figures_seconds = Histogram(
    "delivery_database_figures_seconds",
    "Time of the query for all figures of the database.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)

# Accepting.

http_requests_total = Counter(
    "delivery_http_requests_total", "Requests to the API, by their route and answer.", ["method", "route", "status"]
)
http_request_seconds = Histogram(
    "delivery_http_request_seconds",
    "Time of one request to the API.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
segments_total = Counter(
    "delivery_segments_total", "Parts that accepted SMS are billed as.", ["message_type", "encoding"]
)
replays_total = Counter("delivery_replays_total", "Batches made that replay another one.")

# Sending.

submissions_total = Counter(
    "delivery_submissions_total", "Requests to Infobip, by how they ended.", [*_LANE, "outcome"]
)
submission_seconds = Histogram(
    "delivery_submission_seconds",
    "Time of one request to Infobip.",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
)
submission_messages = Histogram(
    "delivery_submission_messages",
    "Messages in one request to Infobip.",
    buckets=(1, 5, 10, 50, 100, 200, 500, 1000, 2000),
)
attempts_total = Counter(
    "delivery_attempts_total", "Attempts, by what Infobip answered.", ["channel", "message_type", "outcome"]
)
retries_scheduled_total = Counter(
    "delivery_retries_scheduled_total", "Retries scheduled, by what the last attempt met.", ["reason"]
)
enqueue_to_submit_seconds = Histogram(
    "delivery_enqueue_to_submit_seconds",
    "From when a message might first leave, or its later turn, to Infobip's taking it.",
    ["channel", "message_type"],
    buckets=_LATENCIES,
)
remaining_validity_seconds = Histogram(
    "delivery_remaining_validity_seconds",
    "Validity that was left at each attempt, by its number.",
    ["message_type", "attempt"],
    buckets=(1, 10, 60, 300, 900, 1800, _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 16 * _HOUR, _DAY, 1.5 * _DAY, 2 * _DAY),
)
attempts_to_finish = Histogram(
    "delivery_attempts_to_finish",
    "Attempts of messages that ended by an answer, a report or the clock.",
    ["state"],
    buckets=(0, 1, 2, 3, 4, 5, 7, 10, 15, 20),
)
tasks_running = Gauge("delivery_tasks_running", "Pool processes with a task in hand.", multiprocess_mode="livesum")
pool_processes = Gauge("delivery_pool_processes", "Pool processes.", multiprocess_mode="livesum")
pool_processes_started_total = Counter("delivery_pool_processes_started_total", "Pool processes that started.")
last_tick_timestamp_seconds = Gauge(
    "delivery_last_tick_timestamp_seconds",
    "When a worker last took a tick of beat's from this queue, in Unix time.",
    ["queue"],
    multiprocess_mode="max",
)

# Reports, and what else Infobip tells.

reports_total = Counter(
    "delivery_reports_total",
    "Delivery reports received, pushed or pulled from the logs, by what they did.",
    ["group", "source", "result"],
)
submit_to_report_seconds = Histogram(
    "delivery_submit_to_report_seconds",
    "From an attempt's leaving to the report that ended it.",
    ["message_type"],
    buckets=_LATENCIES,
)
report_lag_seconds = Histogram(
    "delivery_report_lag_seconds",
    "From Infobip's time of a report to its being recorded here.",
    ["source"],
    buckets=_LATENCIES,
)
price_total = Counter("delivery_price_total", "Prices that Infobip reported, one an attempt.", ["currency"])
unknown_codes_total = Counter(
    "delivery_unknown_codes_total", "Answers and reports with a status or error that is not in our tables."
)
inbound_messages_total = Counter(
    "delivery_inbound_messages_total", "Inbound messages, by what they ask for.", ["action"]
)
inbound_pulls_total = Counter(
    "delivery_inbound_pulls_total", "Requests for inbound messages, by how they ended.", ["outcome"]
)
webhook_requests_total = Counter(
    "delivery_webhook_requests_total", "Infobip's pushes, by what we answered.", ["kind", "status"]
)
event_pushes_total = Counter(
    "delivery_event_pushes_total", "Pushes of events to event endpoints, by how they ended.", ["outcome"]
)
events_pushed_total = Counter("delivery_events_pushed_total", "Events that arrived at event endpoints.")


def observe_all(histogram: Histogram, values: Iterable[float]) -> None:
    """As `observe` of each, for the hundreds of one submission: a step a bucket instead of two a value."""
    bounds = histogram._upper_bounds
    found = list(values)
    for place, n in Count(bisect_left(bounds, value) for value in found).items():
        histogram._buckets[place].inc(n)
    histogram._sum.inc(sum(found))


def begin_at_zero() -> None:
    """A series that begins with its first event hides that one from `rate`: these stand at zero from the start."""
    for channel, message_type in product(Channel, MessageType):
        enqueue_to_submit_seconds.labels(channel, message_type)
        for outcome in (*Outcome, "missing"):
            attempts_total.labels(channel, message_type, str(outcome))
    for kind, status in product(("reports", "inbound"), ("200", "404", "503")):
        webhook_requests_total.labels(kind, status)
    for action in Action:
        inbound_messages_total.labels(action)
    for channel in Channel:
        submission_seconds.labels(channel)
    for source in Source:
        report_lag_seconds.labels(source)
    for message_type in MessageType:
        submit_to_report_seconds.labels(message_type)
