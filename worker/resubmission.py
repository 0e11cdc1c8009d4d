"""Going out again: attempts of unknown fate that Infobip's logs did not show at any look, under the number they had.

lookups.py says which are absent, and for how long its word counts; the lane's own workers send them, before anything
new, with the same tokens, through the same gate, and as the lane's probe where it is held.
"""

from itertools import accumulate

from sqlalchemy import text
from sqlmodel import Session

from worker import fates
from worker.claims import reopen
from worker.db import database_now
from worker.lanes import Route
from worker.locking import LockedMessage, lock
from worker.settings import Settings
from worker.submissions import OpenSubmission
from worker.transitions import Transitions
from worker.words import RateUnit

_ABSENT = text("""
    SELECT id, bulk_ids, credential_version FROM submission
    WHERE lane_id = :lane AND absent_until > statement_timestamp() ORDER BY absent_until, id LIMIT 1
""")
_ATTEMPTS = text("""
    SELECT message_id FROM attempt
    WHERE submission_id = :submission AND outcome = 'absent' AND look_at > statement_timestamp()
""")
_NONE_LEFT = text("UPDATE submission SET absent_until = NULL WHERE id = :submission")


def resubmit(
    session: Session, route: Route, limit: int, now_monotonic: float, settings: Settings, *, is_probe: bool = False
) -> OpenSubmission | None:
    """Open the submission in which up to `limit` absent attempts of the lane go out again (by parts, where the claim
    counts those); None if there are none.

    They are of one submission: a resubmission has one parent, and goes by all the bulk IDs that this one went by. What
    may not leave now is in doubt again, and asked about once more before it goes, at the next opening where its window
    has closed. The caller commits before anything leaves. A crash before that commit leaves the attempts absent; one
    after it an open submission, which recovery.abandon finds.
    """
    while (parent := session.execute(_ABSENT, {"lane": route.lane_id}).one_or_none()) is not None:
        ids = session.execute(_ATTEMPTS, {"submission": parent.id}).scalars().all()
        free = lock(session, ids, only_free=True).values()
        is_same_account = parent.credential_version >= route.account_since
        leaving: list[LockedMessage] = []
        staying: list[LockedMessage] = []
        for message in free:
            if message.is_absent and message.submission_id == parent.id:
                may_go = is_same_account and message.may_leave and (message.is_lane_open or is_probe)
                (leaving if may_go else staying).append(message)
        _stay(session, staying, settings)
        has_all = len(free) == len(ids)  # otherwise another process is at the same ones
        going = _within(route, leaving, limit)
        if has_all and len(going) == len(leaving):
            session.execute(_NONE_LEFT, {"submission": parent.id})
        if going:
            attempts = [(message.id, message.number) for message in going]
            lease = settings.lease_seconds
            return reopen(session, route, parent.id, parent.bulk_ids, attempts, lease, now_monotonic, is_probe=is_probe)
        if not has_all:
            return None
    return None


def _within(route: Route, leaving: list[LockedMessage], limit: int) -> list[LockedMessage]:
    """The first ones, as far as `limit` allows; one at least where parts are counted."""
    if route.rate_unit is not RateUnit.SEGMENTS:
        return leaving[:limit]
    through = accumulate(message.parts for message in leaving)
    return [
        message
        for place, (message, parts) in enumerate(zip(leaving, through, strict=True))
        if parts <= limit or not place
    ]


def _stay(session: Session, messages: list[LockedMessage], settings: Settings) -> None:
    if messages:
        transitions = Transitions(session, database_now(session))
        for message in messages:
            fates.wait_absent(transitions, message, len(settings.doubt_looks) - 1)
        transitions.write()
