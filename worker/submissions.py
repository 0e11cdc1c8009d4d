"""Submissions: one that is open, and how it ends.

Each is opened in the transaction that lets its messages leave (claims.py) and is open for as long as its lease, until
its answer is recorded (answers.py) or the lease runs out (recovery.py).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.infobip.payloads import Outgoing
from worker.lanes import Route
from worker.look_times import ABSENT_FOR

# Locked in the order of their IDs, and after their messages, whoever closes them.
_CLOSE = text("""
    UPDATE submission SET outcome = :outcome, detail = :detail, closed_at = statement_timestamp()
    WHERE id IN (SELECT id FROM submission WHERE id = ANY(:ids) AND outcome IS NULL ORDER BY id FOR UPDATE)
    RETURNING id
""")

_MARK_ABSENT = text("""
    UPDATE submission SET absent_until = statement_timestamp() + :absent_for
    WHERE id IN (SELECT id FROM submission WHERE id = ANY(:ids) ORDER BY id FOR UPDATE)
""")


@dataclass(frozen=True, slots=True)
class OpenSubmission:
    """A committed submission on its way: from here on, a crash leaves it to the sweep of expired leases."""

    id: UUID
    route: Route
    bulk_ids: list[UUID]
    messages: list[Outgoing]
    opened_monotonic: float  # read before the claim, so that time since is never underestimated
    is_probe: bool = False


def close(session: Session, ids: Iterable[UUID], outcome: str, detail: str | None = None) -> set[UUID]:
    """End those of these submissions that are open, with a SubmissionOutcome or a SendError's code; returns those."""
    closed = session.execute(_CLOSE, {"ids": list(ids), "outcome": outcome, "detail": detail})
    return set(closed.scalars())


def mark_absent(session: Session, ids: Collection[UUID | None]) -> None:
    """Attempts of these submissions are to go out again, for as long as the logs' word counts. Beside each attempt's
    own next look, so that their lanes find them along an index."""
    if ids:
        session.execute(_MARK_ABSENT, {"ids": list(ids), "absent_for": ABSENT_FOR})
