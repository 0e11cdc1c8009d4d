"""Endings: what is over by the clock alone, waiting messages past their validity and sent ones without a report.

As every sweep: it may run twice, late, or in two processes at once; it takes a bounded group, and says how many; and
what dies with it before its commit, the next one finds as it was.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, text
from sqlmodel import Session

from worker import fates
from worker.db import database_now, transact
from worker.locking import LockedMessage, lock
from worker.look_times import LOGS_REACH_BACK
from worker.reasons import NO_REPORT, VALIDITY_OVER
from worker.retry import LEAST_REMAINING
from worker.settings import Settings
from worker.states import WAITING, State
from worker.transitions import Transitions

GROUP = 1000  # messages a transaction

# Along the index, state by state: both at once would be sorted, each time all that is over. What is being given another
# turn (moving.py) gets another end with it. As a CASE: why, claims.py says.
_OVER = text("""
    (SELECT id FROM message WHERE state = 'queued' AND expires_at < statement_timestamp() + :least
       AND CASE WHEN batch_id = ANY(ARRAY(SELECT id FROM batch WHERE move_to IS NOT NULL)) THEN false ELSE true END
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
_ANY = text(f"SELECT ({_OVER.text}) IS NOT NULL OR ({_SILENT.text}) IS NOT NULL")


def is_due(connection: Connection, settings: Settings) -> bool:
    """Whether one of the two below would find anything."""
    values = {"least": LEAST_REMAINING, "grace": settings.report_grace, "reach": LOGS_REACH_BACK}
    return bool(connection.execute(_ANY, {**values, "group": 1}).scalar_one())


def expire(engine: Engine) -> int:
    """Waiting messages with less than a second left to be sent in: over, for the reason of their last failure."""

    def end(transitions: Transitions, message: LockedMessage) -> None:
        if message.state in WAITING and message.expires_at < transitions.now + LEAST_REMAINING:
            fates.expire(transitions, message, VALIDITY_OVER)

    return _sweep(engine, _OVER, {"least": LEAST_REMAINING}, end)


def give_up(engine: Engine, settings: Settings) -> int:
    """Sent messages whose report did not come although validity and grace are over and the logs were asked."""

    def end(transitions: Transitions, message: LockedMessage) -> None:
        if message.state is State.SENT:
            fates.leave_unconfirmed(transitions, message, NO_REPORT)

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
