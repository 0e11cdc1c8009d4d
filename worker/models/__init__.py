"""The tables. PostgreSQL holds all truth: configuration, content, messages, schedule, attempts, reports,
consent, events.

Times are `timestamptz` in UTC, keys are UUIDv7; the events' is a number, given out in the order in which they are told.
The tables that grow with traffic (message, attempt, delivery_report, submission, event) carry no foreign keys: their
rows are written in bulk, in a transaction that writes or locks what they name. Their keys grow with time, so that all
of them can be range-partitioned by it later (docs/decisions/0007).
"""

from worker.models.configuration import ApiToken, Credential, IdempotencyKey, Lane, Surface
from worker.models.content import DltEdition, DltTemplate, Media
from worker.models.events import Cluster, Event, EventDelivery, EventEndpoint, EventTry
from worker.models.history import Audit, BatchHistory, ConsoleSession, TrafficHistory
from worker.models.messages import Attempt, Batch, Message, RejectedRow, Replayed, Submission, Tally
from worker.models.people import Consent, ConsentChange, InboundMessage
from worker.models.reports import DeliveryReport, UnmatchedReport

__all__ = [
    "ApiToken",
    "Attempt",
    "Audit",
    "Batch",
    "BatchHistory",
    "Cluster",
    "Consent",
    "ConsentChange",
    "ConsoleSession",
    "Credential",
    "DeliveryReport",
    "DltEdition",
    "DltTemplate",
    "Event",
    "EventDelivery",
    "EventEndpoint",
    "EventTry",
    "IdempotencyKey",
    "InboundMessage",
    "Lane",
    "Media",
    "Message",
    "RejectedRow",
    "Replayed",
    "Submission",
    "Surface",
    "Tally",
    "TrafficHistory",
    "UnmatchedReport",
]
