"""The floor: what the product writes for a message, straight in psycopg, as fast as it can be done.

The same tables and indexes, the same rows, the same durability, and nothing else: no rules, no HTTP, no retries, no
reading back. Each step is one transaction and, but for the COPY, one statement in one round trip; the tally is written
by the same statement. What is due is found in the due index, as it has to be wherever more than one process sends.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg

from worker.ids import new_id
from worker.segments import count

CLAIMED = 500
REPORTED = 100
_LEASE_SECONDS = 60
_LOOK_AFTER = "10 minutes"  # the first of DELIVERY_MISSING_REPORT_AFTER

_COPY = """
    COPY message (id, batch_id, surface_id, lane_id, origin, recipient, state, held, attempt_count, retry_count,
                  next_attempt_at, expires_at, validity_seconds, created_at) FROM STDIN
"""
_BATCH = """
    INSERT INTO batch (id, surface_id, lane_id, sender, text, callback_data, principal_entity_id, content_template_id,
                       sending_window, encoding, segment_count, characters_left,
                       validity_seconds, total, messages_through, expires_at, created_at)
    VALUES (%(id)s, %(surface)s, %(lane)s, %(sender)s, %(text)s, %(callback_data)s, %(principal_entity_id)s,
            %(content_template_id)s, '"off"', %(encoding)s, %(parts)s, %(left)s,
            %(validity)s, %(total)s, %(id)s, %(expires_at)s, %(now)s)
"""


def _tally(source: str, *changes: tuple[str, int]) -> str:
    """An upsert of the tally for the messages in `source`, of their lane and of their batch."""
    signs = ", ".join(f"('{state}', {sign})" for state, sign in changes)
    return f"""
        INSERT INTO tally AS t (subject_id, state, reason, shard, n)
        SELECT counted.subject, signed.state, '', %(shard)s, signed.sign * counted.n
        FROM (SELECT batch_id AS subject, count(*) AS n FROM {source} GROUP BY 1
              UNION ALL SELECT lane_id, count(*) FROM {source} GROUP BY 1) AS counted
        CROSS JOIN (VALUES {signs}) AS signed (state, sign)
        ON CONFLICT (subject_id, state, reason, shard) DO UPDATE SET n = t.n + excluded.n
    """


_CLAIM = f"""
    WITH due AS (
        SELECT id FROM message
        WHERE lane_id = %(lane)s AND state IN ('queued', 'retrying') AND NOT held AND next_attempt_at <= now()
        ORDER BY next_attempt_at, id LIMIT {CLAIMED} FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE message SET state = 'sending', attempt_count = 1 FROM due WHERE message.id = due.id
        RETURNING message.id, batch_id, lane_id
    ), opened AS (
        INSERT INTO submission (id, bulk_ids, lane_id, credential_version, message_count, opened_at, lease_until)
        SELECT %(submission)s, ARRAY[%(submission)s], %(lane)s, 1, count(*), now(),
               now() + interval '{_LEASE_SECONDS} seconds' FROM moved HAVING count(*) > 0
    ), attempts AS (
        INSERT INTO attempt (message_id, number, submission_id, started_at, looks)
        SELECT id, 1, %(submission)s, now(), 0 FROM moved
    ), counted AS ({_tally("moved", ("queued", -1), ("sending", 1))})
    SELECT id FROM moved
"""

_RECORD = f"""
    WITH moved AS (
        UPDATE message SET state = 'sent', next_attempt_at = NULL WHERE id = ANY(%(ids)s::uuid[])
        RETURNING batch_id, lane_id
    ), settled AS (
        UPDATE attempt SET outcome = 'accepted', answered_at = now(), look_at = now() + interval '{_LOOK_AFTER}'
        WHERE message_id = ANY(%(ids)s::uuid[]) AND number = 1
    ), closed AS (
        UPDATE submission SET outcome = 'answered', closed_at = now() WHERE id = %(submission)s
    )
    {_tally("moved", ("sending", -1), ("sent", 1))}
"""

_REPORT_COLUMNS = {
    "id": "uuid",
    "message_id": "uuid",
    "attempt": "smallint",
    "status_id": "int",
    "status_name": "text",
    "status_group": "text",
    "error_id": "int",
    "error_name": "text",
    "error_permanent": "bool",
    "callback_data": "text",
    "price": "numeric",
    "currency": "text",
    "segment_count": "int",
    "mcc_mnc": "text",
    "sent_at": "timestamptz",
    "done_at": "timestamptz",
}
_NAMES = ", ".join(_REPORT_COLUMNS)
_GIVEN = ", ".join(f"json_array_elements_text(%({name})s::json)" for name in _REPORT_COLUMNS)
_TYPED = ", ".join(f"{name}::{type_name}" for name, type_name in _REPORT_COLUMNS.items())

_REPORT = f"""
    WITH stored AS (
        INSERT INTO delivery_report ({_NAMES}, source, result)
        SELECT {_TYPED}, 'push', 'applied' FROM ROWS FROM ({_GIVEN}) AS given ({_NAMES})
    ), moved AS (
        UPDATE message SET state = 'delivered', finished_at = now() WHERE id = ANY(%(ids)s::uuid[])
        RETURNING batch_id, lane_id
    ), settled AS (
        UPDATE attempt SET outcome = 'delivered', code = %(code)s, look_at = NULL
        WHERE message_id = ANY(%(ids)s::uuid[]) AND number = 1
    )
    {_tally("moved", ("sent", -1), ("delivered", 1))}
"""


@dataclass(frozen=True)
class Place:
    """A surface with its lane, and what its batches share."""

    surface_id: UUID
    lane_id: UUID
    sender: str
    text: str
    callback_data: str
    principal_entity_id: str
    content_template_id: str
    validity_seconds: int

    def shared(self) -> dict[str, Any]:
        takes = count(self.text)
        return {
            "surface": self.surface_id,
            "lane": self.lane_id,
            "sender": self.sender,
            "text": self.text,
            "callback_data": self.callback_data,
            "principal_entity_id": self.principal_entity_id,
            "content_template_id": self.content_template_id,
            "encoding": takes.encoding,
            "parts": takes.parts,
            "left": takes.left,
            "validity": self.validity_seconds,
        }


def connect(dsn: str) -> psycopg.Connection[Any]:
    """Each statement a transaction, all prepared at once."""
    return psycopg.connect(dsn, autocommit=True, prepare_threshold=0, options="-c timezone=utc")


def copy_batch(
    connection: psycopg.Connection[Any], place: Place, recipients: Sequence[str], now: datetime, shard: int
) -> list[UUID]:
    """A batch with its messages and its tally; one commit. Returns the messages' IDs."""
    batch, ids = new_id(), [new_id() for _ in recipients]
    expires_at = now + timedelta(seconds=place.validity_seconds)
    head = f"\t{batch}\t{place.surface_id}\t{place.lane_id}\tapi\t"
    tail = (
        f"\tqueued\tf\t0\t0\t{now.isoformat()}\t{expires_at.isoformat()}\t{place.validity_seconds}\t{now.isoformat()}\n"
    )
    with connection.transaction():
        with connection.cursor().copy(_COPY) as copy:
            copy.write("".join([f"{i}{head}{to}{tail}" for i, to in zip(ids, recipients, strict=True)]))
        values = {"id": batch, "total": len(ids), "expires_at": expires_at, "now": now}
        connection.execute(_BATCH, {**place.shared(), **values})
        counted = f"(VALUES ('{batch}'::uuid, '{place.lane_id}'::uuid)) AS one (batch_id, lane_id)"
        connection.execute(_tally(counted, ("queued", len(ids))), {"shard": shard}, prepare=False)
    return ids


def claim(connection: psycopg.Connection[Any], place: Place, shard: int) -> tuple[UUID, list[UUID]]:
    """The submission and its messages; none where nothing is due."""
    submission = new_id()
    values = {"lane": place.lane_id, "submission": submission, "shard": shard}
    return submission, [row[0] for row in connection.execute(_CLAIM, values)]


def record(connection: psycopg.Connection[Any], submission: UUID, ids: Sequence[UUID], shard: int) -> None:
    connection.execute(_RECORD, {"ids": _array(ids), "submission": submission, "shard": shard})


def report(connection: psycopg.Connection[Any], reports: Sequence[Mapping[str, Any]], shard: int) -> None:
    """Store delivered reports, rows by the names of the table's columns but for `id`, and move what they are of."""
    columns: dict[str, Any] = {
        name: orjson.dumps([row[name] for row in reports]).decode() for name in _REPORT_COLUMNS if name != "id"
    }
    columns["id"] = orjson.dumps([new_id() for _ in reports]).decode()
    ids = _array(row["message_id"] for row in reports)
    connection.execute(_REPORT, {**columns, "ids": ids, "code": reports[0]["status_name"], "shard": shard})


def _array(ids: Iterable[UUID | str]) -> str:
    """As PostgreSQL writes an array: psycopg would convert item by item."""
    return "{" + ",".join(map(str, ids)) + "}"
