"""The claim: which messages leave now, and the submission they leave in.

Every submission, of whatever origin, is opened here, in the transaction that decides that its messages may leave:
first attempts and retries by `claim`, resubmissions after doubt and the parts of a refused request by `reopen`.
"""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlmodel import Session

from worker import events, fallbacks
from worker.events import Told
from worker.gate import (
    BARRED,
    BARRED_ENDS_AS,
    CONSENT_OF,
    HAS_TIME,
    IS_CLOSING,
    LANE_IS_OPEN,
    STANDS_STILL,
    WAITS,
    WINDOW_IS_OPEN,
)
from worker.ids import new_id
from worker.infobip.payloads import Content, Outgoing
from worker.lanes import Route
from worker.reasons import FALLBACK
from worker.states import State
from worker.submissions import OpenSubmission
from worker.tally import Changes
from worker.windows import read_given, window_for
from worker.words import EventType, MessageType, Origin, RateUnit

# What leaves, with everything inherited resolved: the message's own value, else its batch's.
_OUTGOING_COLUMNS = {
    "id": "m.id",
    "attempt_count": "m.attempt_count",
    "recipient": "m.recipient",
    "remaining_seconds": "extract(epoch FROM m.expires_at - statement_timestamp())::float8",
    "waited_seconds": "extract(epoch FROM statement_timestamp() - m.next_attempt_at)::float8",
    "parts": "coalesce(m.segment_count, b.segment_count, 1)",
    "open_seconds": "extract(epoch FROM m.leave_before - statement_timestamp())::float8",
    "sending_window": "coalesce(m.sending_window, b.sending_window)::text",
    **{name: f"coalesce(m.{name}, b.{name})::text" for name in Content._fields},
    # An SMS in an MMS's place keeps that, for a replay.
    "mms": f"CASE WHEN m.origin <> '{Origin.FALLBACK}' THEN coalesce(m.mms, b.mms)::text END",
}
_OUTGOING = ", ".join(f"{expression} AS {name}" for name, expression in _OUTGOING_COLUMNS.items())
_read_content = attrgetter(*Content._fields)

_ENDS = " ".join(f"WHEN '{reason}' THEN '{state}'" for reason, state in BARRED_ENDS_AS.items())


# Those of a batch that stands still are passed over at once, while its sweep takes them out of the index, ends them or
# gives them other turns (setting_aside.py, cancelling.py, moving.py). As a CASE, of which the planner knows nothing: of
# the bare condition it believes, while there are few batches, that no message passes, and sorts all that is due.
# What bars a message is asked row by row along that index, and ends it here: it is in the way of no later claim. As a
# join it would leave the planner a choice, and a wrong guess at what passes makes it sort all that is due for each
# claim. Nor may two CTEs be joined: of those it knows nothing, and compares each row with each. What has missed its
# window is named beside what is taken: to ask when that opens again is more than SQL can do.
def _claiming(passing: str, more: str = "") -> TextClause:
    """Takes of what is due, besides those that are barred, what `passing` selects; with `more` columns of each."""
    return text(f"""
    WITH due AS (
        SELECT m.id, m.state, m.reason, NOT {WINDOW_IS_OPEN} AS is_missed, (
            SELECT {BARRED}
            FROM (SELECT CAST(:credential AS uuid) AS credential_id, CAST(:channel AS text) AS channel,
                         CAST(:message_type AS text) AS message_type) AS l
            LEFT JOIN batch b ON b.id = m.batch_id LEFT JOIN consent c ON {CONSENT_OF}) AS barred{more}
        FROM message m
        WHERE m.lane_id = :lane AND {WAITS} AND m.next_attempt_at <= statement_timestamp() AND {HAS_TIME}
          AND CASE WHEN m.batch_id = ANY(ARRAY(SELECT id FROM batch WHERE {STANDS_STILL})) OR {IS_CLOSING}
              THEN false ELSE true END
          AND EXISTS (SELECT FROM lane l WHERE l.id = :lane AND ({LANE_IS_OPEN} OR :is_probe))
        ORDER BY m.next_attempt_at, m.id
        LIMIT :reach
        FOR UPDATE OF m SKIP LOCKED
    ), taken AS (
        SELECT id, state, reason, barred FROM due WHERE barred IS NOT NULL
        UNION ALL ({passing})
    ), opened AS (
        INSERT INTO submission (id, bulk_ids, lane_id, credential_version, message_count, opened_at, lease_until)
        SELECT :submission, ARRAY[CAST(:submission AS uuid)], :lane, :version, count(*), statement_timestamp(),
               statement_timestamp() + make_interval(secs => :lease)
        FROM taken WHERE barred IS NULL HAVING count(*) > 0
    ), moved AS (
        -- Its turn stays, for one that is released.
        UPDATE message SET
            state = CASE barred {_ENDS} ELSE 'sending' END,
            reason = coalesce(barred, message.reason),
            attempt_count = attempt_count + CASE WHEN barred IS NULL THEN 1 ELSE 0 END,
            next_attempt_at = CASE WHEN barred IS NULL THEN next_attempt_at END,
            leave_before = CASE WHEN barred IS NULL THEN leave_before END,
            finished_at = CASE WHEN barred IS NOT NULL THEN statement_timestamp() END
        FROM taken WHERE message.id = taken.id
        RETURNING message.*, taken.state AS was, taken.reason AS was_reason, barred
    ), attempts AS (
        INSERT INTO attempt AS a (message_id, number, submission_id, started_at, looks)
        SELECT id, attempt_count, :submission, statement_timestamp(), 0 FROM moved WHERE barred IS NULL
        -- The number of a released attempt goes out again.
        ON CONFLICT (message_id, number) DO UPDATE SET
            submission_id = excluded.submission_id, started_at = excluded.started_at,
            answered_at = NULL, outcome = NULL, code = NULL, detail = NULL
    )
    SELECT {_OUTGOING}, m.batch_id, m.was, m.was_reason, m.barred, false AS is_missed
    FROM moved m LEFT JOIN batch b ON b.id = m.batch_id
    UNION ALL
    SELECT id, {", ".join("NULL" for _ in _OUTGOING_COLUMNS)}, NULL, NULL, NULL, true
    FROM due WHERE barred IS NULL AND is_missed
""")


_CLAIM = _claiming("SELECT id, state, reason, barred FROM due WHERE barred IS NULL AND NOT is_missed LIMIT :limit")
# So many parts, but the first one whatever it takes. Only where parts are counted: it costs each a look at its batch.
_CLAIM_BY_PARTS = _claiming(
    """SELECT id, state, reason, barred FROM (
            SELECT *, sum(parts) OVER (ORDER BY next_attempt_at, id ROWS UNBOUNDED PRECEDING) AS parts_through
            FROM due WHERE barred IS NULL AND NOT is_missed
        ) AS passing WHERE parts_through <= :limit OR parts_through = parts""",
    """, m.next_attempt_at,
            coalesce(m.segment_count, (SELECT segment_count FROM batch WHERE id = m.batch_id), 1) AS parts""",
)

# A look at the logs may have taken them just now, without their messages' locks: it then finds that they have gone on.
_REOPEN = text(f"""
    WITH attempts AS (
        UPDATE attempt SET submission_id = :submission, outcome = NULL, look_at = NULL, answered_at = NULL
        WHERE (message_id, number) IN (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS smallint[])))
    ), opened AS (
        INSERT INTO submission
            (id, parent_id, bulk_ids, lane_id, credential_version, message_count, opened_at, lease_until)
        VALUES (:submission, :parent, CAST(:bulk_ids AS uuid[]), :lane, :version, cardinality(CAST(:ids AS uuid[])),
                statement_timestamp(), statement_timestamp() + make_interval(secs => :lease))
    )
    SELECT {_OUTGOING} FROM message m LEFT JOIN batch b ON b.id = m.batch_id
    WHERE m.id = ANY(CAST(:ids AS uuid[])) ORDER BY m.id
""")


class Claimed(NamedTuple):
    """What was taken: the submission that leaves, if any, and how many messages were ended instead, being barred; and
    which have missed their windows, and stand as they did: they are due until missed_windows.py has seen to them."""

    submission: OpenSubmission | None
    ended: int = 0
    missed: tuple[UUID, ...] = ()

    @property
    def others(self) -> int:
        """How many were due besides those that leave."""
        return self.ended + len(self.missed)


def claim(
    session: Session,
    route: Route,
    limit: int,
    lease_seconds: float,
    now_monotonic: float,
    *,
    is_probe: bool = False,
    reach: int | None = None,
) -> Claimed:
    """Take up to `limit` due messages of the lane through the gate and open their submission; those that are barred end
    instead, and those that missed their windows are named. Nothing of it all where nothing is due. Where the route's
    rate counts segments, `limit` is of the parts that they take together, and one goes whatever it takes.

    `reach`: of so many due ones, `limit` unless more are given, all that are barred end and all that missed their
    windows are named. It is for a lane that lets few through and has many such before them.

    One statement. Other workers' locked rows are skipped. The caller commits before anything leaves. A crash before
    that commit leaves nothing; one after it leaves an open submission, which recovery.abandon finds by its lease.
    """
    submission = new_id()
    rows = session.execute(
        _CLAIM_BY_PARTS if route.rate_unit is RateUnit.SEGMENTS else _CLAIM,
        {
            "lane": route.lane_id,
            "credential": route.credential_id,
            "channel": route.channel,
            "message_type": route.message_type,
            "limit": limit,
            "reach": max(limit, reach or 0),
            "submission": submission,
            "version": route.credential_version,
            "lease": lease_seconds,
            "is_probe": is_probe,
        },
    ).all()
    missed = tuple(row.id for row in rows if row.is_missed)
    moved = [row for row in rows if not row.is_missed] if missed else rows
    if not moved:
        return Claimed(None, missed=missed)
    ended = [row for row in moved if row.barred is not None]
    changes = _counted(route, moved)
    events.tell(session, (_end_of(row) for row in ended))
    fallbacks.send([row.id for row in ended if row.barred == FALLBACK], session, changes)
    changes.write(session)
    leaving = [_outgoing(route, row) for row in moved if row.barred is None]
    if not leaving:
        return Claimed(None, len(ended), missed)
    opened = OpenSubmission(submission, route, [submission], leaving, now_monotonic, is_probe)
    return Claimed(opened, len(ended), missed)


def reopen(
    session: Session,
    route: Route,
    parent_id: UUID,
    ancestors: list[UUID],
    attempts: list[tuple[UUID, int]],
    lease_seconds: float,
    now_monotonic: float,
    *,
    is_probe: bool = False,
) -> OpenSubmission:
    """A child submission for attempts (message ID, number) whose messages the caller has locked, found `sending` and
    let through the gate. The numbers stay; `ancestors` are the bulk IDs under which Infobip may know them already.

    The caller commits before anything leaves. A crash before that commit leaves them as they were; one after it leaves
    an open submission, which recovery.abandon finds by its lease.
    """
    submission = new_id()
    bulk_ids = [*ancestors, submission]
    rows = session.execute(
        _REOPEN,
        {
            "submission": submission,
            "parent": parent_id,
            "bulk_ids": bulk_ids,
            "lane": route.lane_id,
            "version": route.credential_version,
            "ids": [message_id for message_id, _ in attempts],
            "numbers": [number for _, number in attempts],
            "lease": lease_seconds,
        },
    ).all()
    return OpenSubmission(submission, route, bulk_ids, [_outgoing(route, row) for row in rows], now_monotonic, is_probe)


def _counted(route: Route, moved: Sequence[Any]) -> Changes:
    changes = Changes()
    for (batch_id, was, was_reason, barred), n in Counter(
        (row.batch_id, row.was, row.was_reason, row.barred) for row in moved
    ).items():
        state = BARRED_ENDS_AS.get(barred, State.SENDING)
        changes.moved((route.lane_id, batch_id), was, was_reason, state, barred, n)
    return changes


def _end_of(row: Any) -> Told:
    return Told(EventType(f"message.{BARRED_ENDS_AS[row.barred]}"), row.id, row.attempt_count, row.barred)


def _outgoing(route: Route, row: Any) -> Outgoing:
    is_marketing = route.message_type == MessageType.MARKETING
    return Outgoing(
        message_id=row.id,
        number=row.attempt_count,
        recipient=row.recipient,
        remaining_seconds=row.remaining_seconds,
        waited_seconds=row.waited_seconds or 0.0,
        content=Content(*_read_content(row)),
        window=window_for(read_given(row.sending_window), is_marketing=is_marketing, recipient=row.recipient),
        parts=row.parts,
        open_seconds=row.open_seconds,
    )
