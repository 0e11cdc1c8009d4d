"""What a webhook brought and nobody can use: malformed, or of no message of that credential. Kept for a person."""

import json
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.columns import column, rows_of
from worker.ids import new_id
from worker.infobip.reading import storable

_KEPT = rows_of(id="uuid", credential_id="uuid", reason="text", body="jsonb")
_KEEP = text(f"INSERT INTO unmatched_report (id, credential_id, reason, body) SELECT v.* FROM {_KEPT} AS v")


class Unmatched(NamedTuple):
    credential_id: UUID
    reason: str
    body: object  # as received


def keep(session: Session, unmatched: Sequence[Unmatched]) -> None:
    """Does not commit."""
    if unmatched:
        columns = {
            "id": column(new_id() for _ in unmatched),
            "credential_id": column(one.credential_id for one in unmatched),
            "reason": column(one.reason for one in unmatched),
            "body": column(json.dumps(storable(one.body)) for one in unmatched),
        }
        session.execute(_KEEP, columns)
