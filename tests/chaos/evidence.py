"""What a run left behind: the promises made to the callers, the sandbox's log, the database. Plain data, then how it
is read."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson
import psycopg

from tests.chaos.load import Promise
from tests.chaos.scrapes import Scrapes, Series
from tests.paging import items

_PAGE = 10_000
_DUPLICATE_STATUS = 23
_DELIVERED_STATUS = "DELIVERED_TO_HANDSET"
_LOGS_PATH, _SEND_PATH = "/sms/3/logs", "/sms/3/messages"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One message as Infobip took it. `is_delivered`: it brought it to the handset, whatever became of the report."""

    wire_id: str
    message_id: str
    attempt: int
    to: str
    accepted_at: datetime
    is_delivered: bool
    reports_pushed: int = 0


@dataclass(frozen=True, slots=True)
class SendCall:
    """A request to send that reached the sandbox. `status` is None for silence and resets."""

    at: datetime
    status: int | None
    bulk_id: str
    wire_ids: Sequence[str]
    refused_as_known: Sequence[str] = ()  # status 23


@dataclass(frozen=True, slots=True)
class LogsCall:
    at: datetime
    status: int | None
    bulk_ids: Sequence[str]
    message_ids: Sequence[str] = ()  # ours; a call names those or bulk IDs


ReportKey = tuple[str, int, int, datetime]  # message, attempt, status, done


@dataclass(frozen=True, slots=True)
class PushedReport:
    key: ReportKey
    is_taken: bool  # the push was answered 200


@dataclass(frozen=True, slots=True)
class MessageRow:
    id: str
    batch_id: str | None
    to: str
    state: str
    reason: str | None
    attempt_count: int
    expires_at: datetime
    credential: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """`submission_id` is the newest in which it went out."""

    message_id: str
    number: int
    is_doubted: bool
    submission_id: str

    @property
    def wire_id(self) -> str:
        return f"{self.message_id}-{self.number}"


@dataclass(frozen=True, slots=True)
class ReportRow:
    key: ReportKey
    group: str
    source: str
    result: str
    received_at: datetime

    @property
    def wire_id(self) -> str:
        return f"{self.key[0]}-{self.key[1]}"


@dataclass(frozen=True, slots=True)
class SubmissionRow:
    """`parent_id`: what it resubmits, or is a part of."""

    id: str
    credential: str
    outcome: str | None
    parent_id: str | None = None


TallyKey = tuple[str, str, str]  # batch or lane, state, reason


@dataclass(frozen=True)
class Evidence:
    """`rates`: messages a second by credential, where it has a limit. `dropped_count`: log entries that the sandbox
    could not keep. `slowest_report`: how long after an acceptance its report was sent at most. `calm_since`: the last
    fault and the last blow were before. `told`: what the metrics said last of each series that is not zero; `to_tell`:
    what they should have, by the rows of messages and events."""

    promises: Sequence[Promise]
    acceptances: Sequence[Acceptance]
    send_calls: Sequence[SendCall]
    logs_calls: Sequence[LogsCall]
    pushed: Sequence[PushedReport]
    messages: Sequence[MessageRow]
    attempts: Sequence[AttemptRow]
    reports: Sequence[ReportRow]
    submissions: Sequence[SubmissionRow]
    tally: Mapping[TallyKey, int]
    counted: Mapping[TallyKey, int]
    calm_since: datetime
    told: Mapping[Series, float] = field(default_factory=dict)
    to_tell: Mapping[Series, float] = field(default_factory=dict)
    fallen_counters: Sequence[str] = ()
    kept_keys: int = 0
    unmatched_count: int = 0
    dropped_count: int = 0
    rates: Mapping[str, int] = field(default_factory=dict)
    slowest_report: timedelta = timedelta(0)

    def acceptances_by_recipient(self) -> dict[str, list[Acceptance]]:
        """In the order of their time."""
        found: dict[str, list[Acceptance]] = defaultdict(list)
        for acceptance in sorted(self.acceptances, key=lambda one: (one.accepted_at, one.attempt)):
            found[acceptance.to].append(acceptance)
        return found


def collect(
    promises: Sequence[Promise],
    scrapes: Scrapes,
    sandbox_url: str,
    database_url: str,
    *,
    slowest_report: timedelta,
    calm_since: datetime,
) -> Evidence:
    """Everything, once the stack has come to rest. `database_url` is SQLAlchemy's."""
    with (
        httpx.Client(base_url=sandbox_url, timeout=120, trust_env=False) as sandbox,
        psycopg.connect(database_url.replace("+psycopg", "", 1)) as database,
    ):
        summary = sandbox.get("/sandbox/summary").raise_for_status().json()
        send_calls, logs_calls = _read_calls(sandbox)
        return Evidence(
            promises=promises,
            acceptances=list(_read_acceptances(sandbox)),
            send_calls=send_calls,
            logs_calls=logs_calls,
            pushed=list(_read_pushes(sandbox)),
            messages=[MessageRow(*row) for row in database.execute(_MESSAGES)],
            attempts=[AttemptRow(*row) for row in database.execute(_ATTEMPTS)],
            reports=[ReportRow(tuple(row[:4]), *row[4:]) for row in database.execute(_REPORTS)],
            submissions=[SubmissionRow(*row) for row in database.execute(_SUBMISSIONS)],
            tally={(subject, state, reason): n for subject, state, reason, n in database.execute(_TALLY)},
            counted={(subject, state, reason): n for subject, state, reason, n in database.execute(_COUNTED)},
            told={series: n for series, n in scrapes.told.items() if n},
            to_tell={tuple(row[:-1]): row[-1] for row in database.execute(_TO_TELL)},
            fallen_counters=scrapes.falls,
            kept_keys=_number(database, "SELECT count(*) FROM idempotency_key WHERE key LIKE 'chaos-%'"),
            unmatched_count=_number(database, "SELECT count(*) FROM unmatched_report"),
            dropped_count=summary["requests_dropped_from_log"] + summary["pushes_dropped_from_log"],
            rates=dict(database.execute(_RATES).fetchall()),
            slowest_report=slowest_report,
            calm_since=calm_since,
        )


_MESSAGES = """
    SELECT m.id::text, m.batch_id::text, m.recipient, m.state, m.reason, m.attempt_count, m.expires_at, c.name
    FROM message m JOIN lane l ON l.id = m.lane_id JOIN credential c ON c.id = l.credential_id
"""
_ATTEMPTS = "SELECT message_id::text, number, doubted_at IS NOT NULL, submission_id::text FROM attempt"
_REPORTS = """
    SELECT message_id::text, attempt, status_id, done_at, coalesce(status_group, ''), source, result, received_at
    FROM delivery_report
"""
_SUBMISSIONS = """
    SELECT s.id::text, c.name, s.outcome, s.parent_id::text
    FROM submission s JOIN lane l ON l.id = s.lane_id JOIN credential c ON c.id = l.credential_id
"""
_TALLY = """
    SELECT subject_id::text, state, CASE WHEN state = 'delivered' THEN '' ELSE reason END, sum(n)::bigint
    FROM tally GROUP BY 1, 2, 3 HAVING sum(n) <> 0
"""
_COUNTED = """
    SELECT subject::text, state,
           CASE WHEN state IN ('queued', 'sending', 'sent', 'delivered') THEN '' ELSE coalesce(reason, '') END, count(*)
    FROM message CROSS JOIN LATERAL unnest(ARRAY[lane_id, batch_id]) AS subject
    WHERE subject IS NOT NULL GROUP BY 1, 2, 3
"""
_TO_TELL = """
    WITH lanes AS (
        SELECT l.id, c.name, l.channel, l.message_type FROM lane l JOIN credential c ON c.id = l.credential_id)
    SELECT 'delivery_messages_enqueued_total', name, channel, message_type, '', count(*)
    FROM message m JOIN lanes l ON l.id = m.lane_id GROUP BY 2, 3, 4
    UNION ALL
    SELECT 'delivery_messages', name, channel, message_type, state, count(*)
    FROM message m JOIN lanes l ON l.id = m.lane_id GROUP BY 2, 3, 4, 5
    UNION ALL
    SELECT 'delivery_messages_finished_total', name, channel, message_type, replace(e.type, 'message.', ''), count(*)
    FROM event e JOIN message m ON m.id = e.subject_id JOIN lanes l ON l.id = m.lane_id
    WHERE replace(e.type, 'message.', '') IN (
        'delivered', 'failed', 'expired', 'suppressed', 'cancelled', 'unconfirmed') GROUP BY 2, 3, 4, 5
"""
_RATES = "SELECT name, messages_per_second FROM credential WHERE messages_per_second IS NOT NULL"


def _number(database: "psycopg.Connection[Any]", query: str) -> int:
    row = database.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _read_acceptances(sandbox: httpx.Client) -> Iterator[Acceptance]:
    for item in items(sandbox, "/sandbox/messages", limit=_PAGE):
        message_id, attempt = split_wire_id(item["message_id"])
        yield Acceptance(
            wire_id=item["message_id"],
            message_id=message_id,
            attempt=attempt,
            to=item["to"],
            accepted_at=datetime.fromisoformat(item["accepted_at"]),
            is_delivered=item["status"] == _DELIVERED_STATUS,
            reports_pushed=item["reports_pushed"],
        )


def _read_calls(sandbox: httpx.Client) -> tuple[list[SendCall], list[LogsCall]]:
    sends: list[SendCall] = []
    logs: list[LogsCall] = []
    for entry in _lines(sandbox, "/sandbox/requests"):
        path, _, query = entry["path"].partition("?")
        at = datetime.fromisoformat(entry["at"])
        if path == _SEND_PATH:
            sends.append(_send_call(at, entry))
        elif path == _LOGS_PATH:
            logs.append(LogsCall(at, entry["status"], _ids(query, "bulkId"), _asked_about(query)))
    return sends, logs


def _send_call(at: datetime, entry: Mapping[str, Any]) -> SendCall:
    body, answer = entry["request"], entry["response"]
    entries = answer.get("messages", ()) if entry["status"] == httpx.codes.OK else ()
    return SendCall(
        at=at,
        status=entry["status"],
        bulk_id=body["options"]["schedule"]["bulkId"],
        wire_ids=[place["messageId"] for message in body["messages"] for place in message["destinations"]],
        refused_as_known=[one["messageId"] for one in entries if one["status"]["id"] == _DUPLICATE_STATUS],
    )


def _ids(query: str, name: str) -> list[str]:
    return [one for value in httpx.QueryParams(query).get_list(name) for one in value.split(",")]


def _asked_about(query: str) -> list[str]:
    return [split_wire_id(wire_id)[0] for wire_id in _ids(query, "messageId")]


def _read_pushes(sandbox: httpx.Client) -> Iterator[PushedReport]:
    for entry in _lines(sandbox, "/sandbox/pushes"):
        for item in entry["body"]["results"]:
            message_id, attempt = split_wire_id(item["messageId"])
            key = (message_id, attempt, item["status"]["id"], datetime.fromisoformat(item["doneAt"]))
            yield PushedReport(key, entry["status"] == httpx.codes.OK)


def _lines(sandbox: httpx.Client, path: str) -> Iterator[Any]:
    with sandbox.stream("GET", path, params={"format": "jsonl"}) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            yield orjson.loads(line)


def split_wire_id(wire_id: str) -> tuple[str, int]:
    """`<message id>-<attempt number>`."""
    message_id, _, number = wire_id.rpartition("-")
    return message_id, int(number)
