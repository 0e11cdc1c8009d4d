"""Consent that is exported: everyone's, with its history, page by page, each read in a transaction of its own.

What is exported can be imported (consent_lines.py), and what counts of it counts then: `at` is when it was said, and
`opted_out_at` the opt-out that stands and is the person's or Infobip's own.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import Engine, text

from worker.consent_lines import CURRENT, ENTRY, HISTORY
from worker.consents import standing_of
from worker.db import open_session
from worker.words import ConsentState

PAGE = 1_000  # people

Format = Literal["ndjson", "csv"]
_Person = dict[str, Any]

# The page is cut first, so that history is read of these people alone. A deleted credential goes by its ID: its name
# may be another one's by now.
_PAGE = text("""
    WITH people AS MATERIALIZED (
        SELECT c.* FROM consent c
        WHERE (c.recipient, c.credential_id) > (:recipient, :credential_id)
          AND (CAST(:only AS uuid) IS NULL OR c.credential_id = :only)
        ORDER BY c.recipient, c.credential_id LIMIT :page)
    SELECT p.*, statement_timestamp() AS now,
           CASE WHEN k.deleted_at IS NULL THEN k.name ELSE CAST(k.id AS text) END AS credential,
           CAST((SELECT json_agg(json_build_object(
                    'state', h.state, 'source', h.source, 'is_blocked', h.blocked, 'reason', h.reason,
                    'inbound_id', h.inbound_id, 'message_id', h.message_id, 'said_at', h.said_at,
                    'changed_at', h.changed_at) ORDER BY h.id)
                 FROM consent_change h
                 WHERE h.recipient = p.recipient AND h.credential_id = p.credential_id) AS text) AS history
    FROM people p JOIN credential k ON k.id = p.credential_id
    ORDER BY p.recipient, p.credential_id
""")


def export(engine: Engine, credential_id: UUID | None, form: Format) -> Iterator[bytes]:
    """The file, in pieces. `credential_id` None: of all credentials. What changes meanwhile is in it as it was or as it
    became, one person's standing and history always of the same moment."""
    write: Callable[[Sequence[_Person]], bytes] = _ndjson if form == "ndjson" else _csv
    header = b"" if form == "ndjson" else _csv_rows([dict(zip(_COLUMNS, _COLUMNS, strict=True))])
    recipient, last = "", UUID(int=0)
    while True:
        with open_session(engine) as session:
            values = {"recipient": recipient, "credential_id": last, "only": credential_id, "page": PAGE}
            rows = session.execute(_PAGE, values).all()
        yield header + write([_read(row) for row in rows])
        header = b""
        if len(rows) < PAGE:
            return
        recipient, last = rows[-1].recipient, rows[-1].credential_id


def _read(row: Any) -> _Person:
    standing = standing_of(row)
    state = standing.at(row.now)
    return {
        "to": row.recipient,
        "credential": row.credential,
        "state": state,
        # Of what counts again after a pending that lapsed, nobody knows any more when it was said; but of an opt-out.
        "at": standing.said_at if state is standing.state else standing.opted_out_at,
        # Who asked back an opt-out did not say it.
        "source": standing.source if state is standing.state or standing.opted_out_at is not None else None,
        "is_blocked": standing.is_blocked,
        "pending_from": standing.pending_from if state is ConsentState.PENDING else None,
        "opted_out_at": standing.opted_out_at,
        "changed_at": standing.changed_at,
        HISTORY: [] if row.history is None else orjson.loads(row.history),
    }


def _ndjson(people: Sequence[_Person]) -> bytes:
    return b"".join(orjson.dumps(person, option=orjson.OPT_APPEND_NEWLINE) for person in people)


_COLUMNS = (
    *("to", "credential", "state", "at", ENTRY, "source", "is_blocked", "pending_from", "opted_out_at", "changed_at"),
    *("note", "inbound_id", "message_id"),
)


def _csv(people: Sequence[_Person]) -> bytes:
    """Of each person the history, oldest first, then how they stand."""
    rows: list[Mapping[str, Any]] = []
    for person in people:
        for entry in person[HISTORY]:
            of = {"to": person["to"], "credential": person["credential"], ENTRY: HISTORY}
            rows.append({**entry, **of, "note": entry["reason"], "at": entry["said_at"]})
        rows.append({**person, ENTRY: CURRENT})
    return _csv_rows(rows)


def _csv_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in _COLUMNS])
    return file.getvalue().encode()


def _cell(value: Any) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
    return value
