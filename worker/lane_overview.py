"""Lanes as they stand: what waits in each, for how long, and whether it is held. Quick whatever waits."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, text
from sqlmodel import Session

from worker.gate import WAITS

MOST_COUNTED: Final = 10_000

# Along the due index, lane by lane: its head, and no more rows of it than are counted.
_LANES = text(f"""
    SELECT l.id, l.channel, l.message_type, l.kind, l.reason, l.held_until, c.name AS credential,
           due.count AS due, extract(epoch FROM statement_timestamp() - due.oldest)::float8 AS oldest_due_seconds
    FROM lane l JOIN credential c ON c.id = l.credential_id AND c.deleted_at IS NULL CROSS JOIN LATERAL (
        SELECT count(*) AS count, min(head.next_attempt_at) AS oldest FROM (
            SELECT m.next_attempt_at FROM message m
            WHERE m.lane_id = l.id AND {WAITS} AND m.next_attempt_at <= statement_timestamp()
            ORDER BY m.next_attempt_at, m.id LIMIT :most) AS head
    ) AS due
    ORDER BY c.name, l.channel, l.message_type
""")


def read_lanes(session: Session) -> Sequence[Row[Any]]:
    """The lanes of all credentials that are not deleted. `due`: how many wait whose turn has come, counted to one more
    than MOST_COUNTED; `oldest_due_seconds`: since when, for the one that waits longest, None where none does."""
    return session.execute(_LANES, {"most": MOST_COUNTED + 1}).all()
