"""Looks: which attempts are asked about together, of one account's logs, and in as few calls as may be."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlmodel import Session

from worker.ids import attempt_id
from worker.infobip.payloads import IDS_A_CALL, MOST_LOG_ROWS
from worker.lanes import Route, read_route
from worker.words import UNSETTLED, MessageType, listed

GROUP = 1000  # attempts taken at once
CALLS_A_LOOK = 5  # or so, and it is answered whole

# An absent attempt is in doubt again while the logs are asked: their last word does not count twice.
_TAKE = """
    UPDATE attempt SET look_at = statement_timestamp() + :lease,
        outcome = CASE outcome WHEN 'absent' THEN 'in doubt' ELSE outcome END
    FROM (
        SELECT message_id, number FROM attempt WHERE look_at <= statement_timestamp() AND {which}
        ORDER BY look_at LIMIT :group FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE attempt.message_id = due.message_id AND attempt.number = due.number
    RETURNING attempt.message_id, attempt.number, attempt.looks, attempt.submission_id,
              attempt.outcome = 'in doubt' AS is_doubt, attempt.doubted_at IS NOT NULL AS was_doubt
"""
_IS_DUE = text("SELECT true FROM attempt WHERE look_at <= statement_timestamp() ORDER BY look_at LIMIT 1")
_TAKE_DOUBTS = text(_TAKE.format(which=f"outcome IN ({listed(UNSETTLED)})"))
_TAKE_REPORTS = text(_TAKE.format(which="outcome = 'accepted'"))
_POSTPONE = text("""
    UPDATE attempt SET look_at = statement_timestamp() + :wait
    FROM (
        SELECT message_id, number FROM attempt
        WHERE (message_id, number) IN (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS smallint[])))
          AND look_at IS NOT NULL FOR UPDATE SKIP LOCKED
    ) AS taken
    WHERE attempt.message_id = taken.message_id AND attempt.number = taken.number
""")
_SUBMISSIONS = text("""
    SELECT id, lane_id, bulk_ids, credential_version, message_count FROM submission WHERE id = ANY(:ids) ORDER BY id
""")


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be asked together."""

    lane_id: UUID
    is_about_doubts: bool
    is_of_former_account: bool  # which this credential cannot ask any more
    # So few of their submissions' messages that asking for each costs fewer calls than the pages of all; or what a
    # restored database may have forgotten the bulk ID of, and Infobip knew when it went out again. Not for doubts:
    # whatever IDs a request may have arrived under, its bulk ID names it.
    is_by_message: bool


@dataclass(slots=True)
class Look:
    """What is asked of one account's logs, on behalf of these attempts."""

    kind: Kind
    route: Route
    bulk_ids: list[UUID] = field(default_factory=list)
    attempts: dict[UUID, tuple[int, int]] = field(default_factory=dict)  # message ID: attempt number, looks so far
    message_count: int = 0

    def has_room_for(self, submission: Any, attempts: int) -> bool:
        if not self.attempts:
            return True
        if self.kind.is_by_message:
            return len(self.attempts) + attempts <= CALLS_A_LOOK * IDS_A_CALL
        ids, messages = len(self.bulk_ids) + len(submission.bulk_ids), self.message_count + submission.message_count
        return ids <= IDS_A_CALL and messages <= CALLS_A_LOOK * MOST_LOG_ROWS

    def add(self, submission: Any, attempts: dict[UUID, tuple[int, int]]) -> None:
        self.bulk_ids.extend(submission.bulk_ids)
        self.attempts.update(attempts)
        self.message_count += submission.message_count

    def questions(self) -> Iterator[list[UUID] | list[str]]:
        """The IDs of one call each; a call may have several pages."""
        if self.kind.is_by_message:
            wire_ids = [attempt_id(message_id, number) for message_id, (number, _) in self.attempts.items()]
            yield from (wire_ids[start : start + IDS_A_CALL] for start in range(0, len(wire_ids), IDS_A_CALL))
        else:
            yield from (self.bulk_ids[start : start + IDS_A_CALL] for start in range(0, len(self.bulk_ids), IDS_A_CALL))


def is_due(connection: Connection) -> bool:
    """Whether `take` would find anything."""
    return connection.execute(_IS_DUE).first() is not None


def take(session: Session, lease: timedelta) -> list[Look]:
    """The looks that are due. Does not commit; then they are this process's for as long as a lease, and fall due again
    if it dies. Doubts come before missing reports: they keep messages from going out.
    """
    taken = list(session.execute(_TAKE_DOUBTS, {"lease": lease, "group": GROUP}))
    if len(taken) < GROUP:
        taken += session.execute(_TAKE_REPORTS, {"lease": lease, "group": GROUP - len(taken)})
    return _plan(session, taken)


def postpone(session: Session, look: Look, wait: timedelta) -> None:
    """Not asked about after all. What has gone on meanwhile is left alone, and so is what others have in hand."""
    values = {"ids": list(look.attempts), "numbers": [number for number, _ in look.attempts.values()]}
    session.execute(_POSTPONE, {"wait": wait, **values})


def _plan(session: Session, taken: Iterable[Any]) -> list[Look]:
    """The looks that answer for these attempts, each of one kind; doubts first, and among them transactional ones."""
    attempts: dict[UUID, dict[UUID, tuple[int, int]]] = defaultdict(dict)
    doubts: set[UUID] = set()
    once_doubted: set[UUID] = set()
    for row in taken:
        attempts[row.submission_id][row.message_id] = (row.number, row.looks)
        if row.is_doubt:
            doubts.add(row.submission_id)
        if row.was_doubt:
            once_doubted.add(row.submission_id)
    routes: dict[UUID, Route | None] = {}
    filling: dict[Kind, Look] = {}
    looks: list[Look] = []
    for submission in session.execute(_SUBMISSIONS, {"ids": list(attempts)}):
        asked = attempts[submission.id]
        if submission.lane_id not in routes:
            routes[submission.lane_id] = read_route(session, submission.lane_id)
        route = routes[submission.lane_id]
        if route is None:
            continue
        is_doubt = submission.id in doubts
        is_former = submission.credential_version < route.account_since
        are_few = len(asked) / IDS_A_CALL < submission.message_count / MOST_LOG_ROWS
        is_by_message = not is_doubt and (are_few or submission.id in once_doubted)
        kind = Kind(route.lane_id, is_doubt, is_former, is_by_message)
        if kind not in filling or not filling[kind].has_room_for(submission, len(asked)):
            filling[kind] = Look(kind, route)
            looks.append(filling[kind])
        filling[kind].add(submission, asked)
    return sorted(looks, key=_urgency)


def _urgency(look: Look) -> tuple[bool, bool]:
    return not look.kind.is_about_doubts, look.route.message_type != MessageType.TRANSACTIONAL
