"""What the send path left open, settled by the clock: expired leases, ended validity, reports that never came.

Every sweep may run twice, late, or in two processes at once: what one takes, the others wait for or skip, and then find
settled. Each takes a bounded group and says how many it took, so that a backlog never becomes one long transaction.
Attempts of unknown fate are settled by what Infobip's logs say: lookups.py.
"""

from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, TextClause, text
from sqlmodel import Session

from worker.answers import doubt
from worker.boundaries import Boundary, reached
from worker.db import transact
from worker.looks import LOGS_REACH_BACK
from worker.reasons import NO_REPORT, UNKNOWN_FATE, VALIDITY_OVER
from worker.retry import LEAST_REMAINING
from worker.settings import Settings
from worker.states import WAITING, State
from worker.transitions import LockedMessage, Transitions, database_now, lock
from worker.words import AttemptOutcome

GROUP = 1000  # messages a transaction
SUBMISSIONS = 20  # abandoned ones a transaction
WENT_AWAY = "the process that sent it went away"

_log = structlog.get_logger()

_LEASE_OVER = text("""
    SELECT id FROM submission WHERE outcome IS NULL AND lease_until < statement_timestamp()
    ORDER BY lease_until LIMIT :submissions
""")
# Locked after their messages, as by an answer that comes after all.
_ABANDON = text("""
    UPDATE submission SET outcome = 'abandoned', closed_at = statement_timestamp()
    WHERE id IN (SELECT id FROM submission WHERE id = ANY(:ids) AND outcome IS NULL ORDER BY id FOR UPDATE)
    RETURNING id
""")
_UNANSWERED = text("SELECT message_id FROM attempt WHERE submission_id = ANY(:ids) AND outcome IS NULL")

# Along the index, state by state: both at once would be sorted, each time all that is over.
_OVER = text("""
    (SELECT id FROM message WHERE state = 'queued' AND expires_at < statement_timestamp() + :least
     ORDER BY expires_at LIMIT :group)
    UNION ALL
    (SELECT id FROM message WHERE state = 'retrying' AND expires_at < statement_timestamp() + :least
     ORDER BY expires_at LIMIT :group)
    LIMIT :group
""")
# A look that is still due keeps hope alive, until the logs have forgotten. Asked row by row, as the gate in claims.py.
_SILENT = text("""
    SELECT m.id FROM message m
    WHERE m.state = 'sent' AND m.expires_at < statement_timestamp() - :grace
      AND (SELECT a.look_at IS NULL OR a.answered_at < statement_timestamp() - :reach
           FROM attempt a WHERE a.message_id = m.id AND a.number = m.attempt_count)
    ORDER BY m.expires_at LIMIT :group
""")
# Not EXISTS, which drops the order, and with it the walk along the index.
_ANY = text(f"""
    SELECT ({_LEASE_OVER.text}) IS NOT NULL OR ({_OVER.text}) IS NOT NULL OR ({_SILENT.text}) IS NOT NULL
""")


def is_due(connection: Connection, settings: Settings) -> bool:
    """Whether one of the three below would find anything."""
    values = {"least": LEAST_REMAINING, "grace": settings.report_grace, "reach": LOGS_REACH_BACK}
    return bool(connection.execute(_ANY, {**values, "submissions": 1, "group": 1}).scalar_one())


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
    abandoned = set(session.execute(_ABANDON, {"ids": ids}).scalars())
    transitions = Transitions(session, database_now(session))
    doubts = 0
    for message in messages.values():
        if message.attempt_outcome is not None or message.submission_id not in abandoned:
            continue
        if message.state is State.SENDING:
            doubt(transitions, message, settings.doubt_looks, WENT_AWAY)
            doubts += 1
        else:  # an earlier attempt delivered it meanwhile: nobody needs to ask about this one
            transitions.settle(message.id, message.number, AttemptOutcome.IN_DOUBT, UNKNOWN_FATE, WENT_AWAY)
    transitions.write()
    reached(Boundary.LEASE_WRITTEN)
    return len(abandoned), doubts


def expire(engine: Engine) -> int:
    """Waiting messages with less than a second left to be sent in: over, for the reason of their last failure."""

    def end(transitions: Transitions, message: LockedMessage) -> None:
        if message.state in WAITING:
            transitions.move(message, State.EXPIRED, message.reason or VALIDITY_OVER)

    return _sweep(engine, _OVER, {"least": LEAST_REMAINING}, end)


def give_up(engine: Engine, settings: Settings) -> int:
    """Sent messages whose report did not come although validity and grace are over and the logs were asked."""

    def end(transitions: Transitions, message: LockedMessage) -> None:
        if message.state is State.SENT:
            transitions.settle(message.id, message.number, AttemptOutcome.ACCEPTED, NO_REPORT)
            transitions.move(message, State.UNCONFIRMED, NO_REPORT)

    return _sweep(engine, _SILENT, {"grace": settings.report_grace, "reach": LOGS_REACH_BACK}, end)


def _sweep(
    engine: Engine, find: TextClause, values: dict[str, Any], end: Callable[[Transitions, LockedMessage], None]
) -> int:
    def work(session: Session) -> int:
        ids = list(session.execute(find, {**values, "group": GROUP}).scalars())
        transitions = Transitions(session, database_now(session))
        for message in lock(session, ids).values():
            end(transitions, message)
        transitions.write()
        return len(ids)

    return transact(engine, work)
