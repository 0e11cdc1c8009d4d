"""Every metric this product exports, by name. Seconds, `_total` for counters, few labels with few values.

Names and labels are a contract with dashboards and alerts: docs/metrics.md lists them, and a test compares the two.
Each process counts what it does itself; what the database knows, an API process reads when it is asked.
"""

from prometheus_client import Counter, Gauge, Histogram

submissions_total = Counter(
    "delivery_submissions_total", "Requests to Infobip, by how they ended.", ["channel", "outcome"]
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
attempts_total = Counter("delivery_attempts_total", "Attempts, by what Infobip answered.", ["channel", "outcome"])
retries_scheduled_total = Counter(
    "delivery_retries_scheduled_total", "Retries scheduled, by what the last attempt met.", ["reason"]
)
reports_total = Counter(
    "delivery_reports_total",
    "Delivery reports received, pushed or pulled from the logs, by what they did.",
    ["group", "source", "result"],
)
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
feed_lag_seconds = Gauge(
    "delivery_feed_lag_seconds", "How long the oldest event or report that feeds may not tell yet has waited."
)
messages_enqueued_total = Counter("delivery_messages_enqueued_total", "Messages accepted.", ["channel", "message_type"])
segments_total = Counter(
    "delivery_segments_total", "Parts that accepted SMS are billed as.", ["message_type", "encoding"]
)
replays_total = Counter("delivery_replays_total", "Batches made that replay another one.")
