"""Going out again: attempts of unknown fate that Infobip's logs did not show at any look, under the number they had.

lookups.py says which are absent, and for how long its word counts; the lane's own workers send them, before anything
new, with the same tokens, through the same gate, and as the lane's probe where it is held.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.claims import OpenSubmission, Route, reopen
from worker.gate import GATE
from worker.states import State
from worker.transitions import LockedMessage, lock
from worker.words import AttemptOutcome

# Of one submission: a resubmission has one parent, and goes by all the bulk IDs that this one went by.
_ABSENT = text(f"""
    SELECT s.id, s.bulk_ids, array_agg(a.message_id) AS messages
    FROM submission s JOIN attempt a ON a.submission_id = s.id
    WHERE a.outcome = 'absent' AND a.look_at > statement_timestamp() AND s.id = (
        SELECT a.submission_id FROM attempt a JOIN submission s ON s.id = a.submission_id
        JOIN message m ON m.id = a.message_id LEFT JOIN batch b ON b.id = m.batch_id
        WHERE a.outcome = 'absent' AND a.look_at > statement_timestamp() AND s.lane_id = :lane AND {GATE}
        ORDER BY a.submission_id LIMIT 1)
    GROUP BY s.id
""")


def resubmit(
    session: Session, route: Route, limit: int, lease_seconds: float, now_monotonic: float, *, is_probe: bool = False
) -> OpenSubmission | None:
    """Open the submission in which up to `limit` absent attempts of the lane go out again; None if there are none.

    What may not leave now stays as it is: the next look decides anew. The caller commits before anything leaves. A
    crash before that commit leaves the attempts absent; one after it an open submission, which recovery.abandon finds.
    """
    parent = session.execute(_ABSENT, {"lane": route.lane_id}).one_or_none()
    if parent is None:
        return None
    # Another process may be at the same ones: it has them.
    messages = lock(session, parent.messages, only_free=True).values()
    leaving = [message for message in messages if _may_go(message, parent, is_probe=is_probe)][:limit]
    if not leaving:
        return None
    attempts: list[tuple[UUID, int]] = [(message.id, message.number) for message in leaving]
    return reopen(session, route, parent.id, parent.bulk_ids, attempts, lease_seconds, now_monotonic, is_probe=is_probe)


def _may_go(message: LockedMessage, parent: Any, *, is_probe: bool) -> bool:
    is_absent = message.state is State.SENDING and message.attempt_outcome is AttemptOutcome.ABSENT
    is_still_here = message.submission_id == parent.id
    return is_absent and is_still_here and message.may_leave and (message.is_lane_open or is_probe)
