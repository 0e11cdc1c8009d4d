"""Events as they are told, in the feed and in pushes: the rows of the log, with what the rows of their subjects say.

The log says what happened: the state, the reason, the number of the attempt, the hold. What a subject is for good
(callback data, journey, recipient) is read from its rows when the event is told, a page at a time. A subject whose rows
are gone leaves nulls, and its event is told all the same.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlmodel import Session

from worker.feeds import write_place
from worker.sentences import explain
from worker.words import AttemptOutcome, EventType

_MESSAGES = text("""
    SELECT id, batch_id, surface_id, origin, recipient, callback_data, created_at, expires_at
    FROM message WHERE id = ANY(:ids)
""")
# By themselves: a batch's journey and callback data may be long, and thousands of its messages stand on one page.
_BATCHES = text("SELECT id, journey, callback_data FROM batch WHERE id = ANY(:ids)")
_SURFACES = text("SELECT id, name FROM surface WHERE id = ANY(:ids)")
# Of each attempt the first report with a price; where none has one, the first.
_REPORTS = text("""
    SELECT DISTINCT ON (message_id, attempt) message_id, attempt, price, currency, segment_count, mcc_mnc
    FROM delivery_report WHERE message_id = ANY(:ids)
    ORDER BY message_id, attempt, price IS NULL, id
""")
_DELIVERING = text(f"""
    SELECT message_id AS id, number FROM attempt
    WHERE message_id = ANY(:ids) AND outcome = '{AttemptOutcome.DELIVERED}'
""")
_INBOUND = text("""
    SELECT i.id, c.name AS credential, i.channel, i.sender, i.recipient, i.text, i.action, i.keyword, i.consent,
           i.reply_id, i.received_at
    FROM inbound_message i LEFT JOIN credential c ON c.id = i.credential_id WHERE i.id = ANY(:ids)
""")
_LANES = text("""
    SELECT l.id, c.name AS credential, l.channel, l.message_type
    FROM lane l LEFT JOIN credential c ON c.id = l.credential_id WHERE l.id = ANY(:ids)
""")
_ENDPOINTS = text("SELECT id, name FROM event_endpoint WHERE id = ANY(:ids)")

Data = dict[str, Any]


def describe(session: Session, rows: Sequence[Row[Any]]) -> list[Data]:
    """For each row of the log {"id", "type", "at", "cursor", "data"}, ready for JSON: times as text that ends in Z,
    prices as text. `docs/events.md` says what `data` holds."""
    by_teller: dict[_Teller, list[Row[Any]]] = {}
    for row in rows:
        by_teller.setdefault(_teller(row), []).append(row)
    tellers = {teller: teller(session, its_rows) for teller, its_rows in by_teller.items()}
    return [
        {
            "id": str(row.id),
            "type": row.type,
            "at": _time(row.at),
            "cursor": write_place(session, (row.transaction_id, row.id)),
            "data": tellers[_teller(row)](row),
        }
        for row in rows
    ]


class _Messages:
    """Of `message.*` and `attempt.failed`."""

    def __init__(self, session: Session, rows: Sequence[Row[Any]]) -> None:
        ids = {row.subject_id for row in rows}
        self._messages = _by_id(session, _MESSAGES, ids)
        self._batches = _by_id(session, _BATCHES, (message.batch_id for message in self._messages.values()))
        self._surfaces = _by_id(session, _SURFACES, (message.surface_id for message in self._messages.values()))
        reports = session.execute(_REPORTS, {"ids": list(ids)})
        self._reports = {(report.message_id, report.attempt): report for report in reports}
        delivered = {row.subject_id for row in rows if row.type == EventType.MESSAGE_DELIVERED}
        self._delivering = _by_id(session, _DELIVERING, delivered)

    def __call__(self, row: Row[Any]) -> Data:
        message = self._messages.get(row.subject_id)
        batch = self._batches.get(message.batch_id) if message else None
        surface = self._surfaces.get(message.surface_id) if message else None
        callback_data = message.callback_data if message else None
        return {
            "message_id": str(row.subject_id),
            "batch_id": _id(message.batch_id) if message else None,
            "journey": batch.journey if batch else None,
            "surface": surface.name if surface else None,
            "origin": message.origin if message else None,
            "to": message.recipient if message else None,
            "callback_data": batch.callback_data if callback_data is None and batch else callback_data,
            **self._outcome(row),
            "created_at": _time(message.created_at) if message else None,
            "expires_at": _time(message.expires_at) if message else None,
            **self._reported(row),
        }

    def _outcome(self, row: Row[Any]) -> Data:
        why = {"reason": row.reason, "sentence": explain(row.reason) if row.reason else None}
        if row.type == EventType.ATTEMPT_FAILED:
            return {**why, "attempt": row.attempt, "next_attempt_at": _time(row.next_at)}
        return {"state": row.type.partition(".")[2], **why, "attempts": row.attempt}

    def _reported(self, row: Row[Any]) -> Data:
        """By Infobip, of the attempt that failed, or that delivered it; of other ends, of the last one."""
        attempt = row.attempt
        if row.type == EventType.MESSAGE_DELIVERED and (delivering := self._delivering.get(row.subject_id)):
            attempt = delivering.number
        report = self._reports.get((row.subject_id, attempt))
        return {
            "price": _price(report.price, report.currency) if report else None,
            "segment_count": report.segment_count if report else None,
            "mcc_mnc": report.mcc_mnc if report else None,
        }


class _Inbound:
    def __init__(self, session: Session, rows: Sequence[Row[Any]]) -> None:
        self._inbound = _by_id(session, _INBOUND, (row.subject_id for row in rows))

    def __call__(self, row: Row[Any]) -> Data:
        inbound = self._inbound.get(row.subject_id)
        return {
            "inbound_id": str(row.subject_id),
            "credential": inbound.credential if inbound else None,
            "channel": inbound.channel if inbound else None,
            "from": inbound.sender if inbound else None,
            "to": inbound.recipient if inbound else None,
            "text": inbound.text if inbound else None,
            "action": inbound.action if inbound else row.type.partition(".")[2],
            "keyword": inbound.keyword if inbound else None,
            "consent": inbound.consent if inbound else None,
            "reply_id": _id(inbound.reply_id) if inbound else None,
            "received_at": _time(inbound.received_at) if inbound else None,
        }


class _Lanes:
    def __init__(self, session: Session, rows: Sequence[Row[Any]]) -> None:
        self._lanes = _by_id(session, _LANES, (row.subject_id for row in rows))

    def __call__(self, row: Row[Any]) -> Data:
        lane = self._lanes.get(row.subject_id)
        return {
            "lane_id": str(row.subject_id),
            "credential": lane.credential if lane else None,
            "channel": lane.channel if lane else None,
            "message_type": lane.message_type if lane else None,
            "kind": row.kind,
            "reason": row.reason,
            "held_until": _time(row.next_at),
        }


class _Endpoints:
    def __init__(self, session: Session, rows: Sequence[Row[Any]]) -> None:
        self._endpoints = _by_id(session, _ENDPOINTS, (row.subject_id for row in rows))

    def __call__(self, row: Row[Any]) -> Data:
        endpoint = self._endpoints.get(row.subject_id)
        return {
            "endpoint_id": str(row.subject_id),
            "name": endpoint.name if endpoint else None,
            "reason": row.reason,
        }


_Teller = Callable[[Session, Sequence[Row[Any]]], Callable[[Row[Any]], Data]]
_TELLERS: Final[Mapping[str, _Teller]] = {
    "message": _Messages,
    "attempt": _Messages,
    "inbound": _Inbound,
    "lane": _Lanes,
    "endpoint": _Endpoints,
}


def _teller(row: Row[Any]) -> _Teller:
    return _TELLERS[EventType(row.type).kind]


def _by_id(session: Session, query: TextClause, ids: Iterable[UUID | None]) -> dict[UUID | None, Row[Any]]:
    wanted: Collection[UUID] = {one for one in ids if one is not None}
    return {row.id: row for row in session.execute(query, {"ids": list(wanted)})} if wanted else {}


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _price(amount: Decimal | None, currency: str | None) -> Data | None:
    return None if amount is None else {"amount": f"{amount:f}", "currency": currency}
