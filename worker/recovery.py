"""Recovery: submissions whose process went away, found by their leases.

A sweep may run twice, late, or in two processes at once: what one takes, the others wait for, and then find settled. It
takes a bounded group, so that a backlog never becomes one long transaction; and if it dies before its commit, the next
one begins anew. The attempts are then in doubt, and settled by what Infobip's logs say: lookups.py.
"""

import structlog
from sqlalchemy import Connection, Engine, text
from sqlmodel import Session

from worker import fates, submissions
from worker.boundaries import Boundary, reached
from worker.db import database_now, transact
from worker.locking import lock
from worker.reasons import UNKNOWN_FATE
from worker.settings import Settings
from worker.states import State
from worker.transitions import Transitions
from worker.words import AttemptOutcome, SubmissionOutcome

SUBMISSIONS = 20  # a transaction
WENT_AWAY = "the process that sent it went away"

_log = structlog.get_logger()

_LEASE_OVER = text("""
    SELECT id FROM submission WHERE outcome IS NULL AND lease_until < statement_timestamp()
    ORDER BY lease_until LIMIT :submissions
""")
_UNANSWERED = text("SELECT message_id FROM attempt WHERE submission_id = ANY(:ids) AND outcome IS NULL")


def is_due(connection: Connection) -> bool:
    """Whether `abandon` would find anything."""
    return connection.execute(_LEASE_OVER, {"submissions": 1}).first() is not None


def abandon(engine: Engine, settings: Settings) -> int:
    """Submissions whose lease is over: their process died or lost its way. Their attempts are in doubt."""
    found, doubts = transact(engine, lambda session: _abandon(session, settings))
    if found:
        reached(Boundary.LEASE_COMMITTED)
        _log.warning("submissions_abandoned", count=found, messages=doubts)
    return found


def _abandon(session: Session, settings: Settings) -> tuple[int, int]:
    """How many submissions were abandoned, and how many messages are in doubt for it."""
    ids = list(session.execute(_LEASE_OVER, {"submissions": SUBMISSIONS}).scalars())
    if not ids:
        return 0, 0
    messages = lock(session, session.execute(_UNANSWERED, {"ids": ids}).scalars())
    abandoned = submissions.close(session, ids, SubmissionOutcome.ABANDONED)
    transitions = Transitions(session, database_now(session))
    doubts = 0
    for message in messages.values():
        if message.attempt_outcome is not None or message.submission_id not in abandoned:
            continue
        if message.state is State.SENDING:
            fates.doubt(transitions, message, settings, WENT_AWAY)
            doubts += 1
        else:
            fates.note_overtaken(transitions, message, AttemptOutcome.IN_DOUBT, UNKNOWN_FATE, WENT_AWAY)
    transitions.write()
    reached(Boundary.LEASE_WRITTEN)
    return len(abandoned), doubts
