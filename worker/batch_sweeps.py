"""Sweeps over the messages of a batch that was steered: in the order of their IDs, chunk by chunk, each a transaction.

One process at a time goes over a batch. A chunk ends with the batch's row, where it says how far it came, so that it
may die anywhere; and it takes that row only then, after the messages: as whoever fails them does (worker/stops.py), and
so that nobody who steers the batch waits for a chunk. Who steers it meanwhile changes what the row says, and the next
chunk goes by that.

Statements that take a chunk ask `(...) IS TRUE` of how a message stands: no index but the batch's can then be walked,
and a planner that knows little of the table would take another one, and read for each chunk all that waits anywhere.
"""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from sqlalchemy import Engine, TextClause, text
from sqlmodel import Session

from worker.db import transact

CHUNK = 5_000  # messages
BEFORE_ALL: Final = UUID(int=0)
ALL: Final = UUID(int=2**128 - 1)

# What a step reads of its batch has to hold until it has written: a slow one would else give turns by a start that the
# batch had before, when others have long given those by the new one.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:batch, 0))")


def sweep(engine: Engine, find: TextClause, step: Callable[[Session, UUID], None]) -> int:
    """One chunk of the batch that `find` names; what of it is left to do, `step` has to read anew. 0 where there is
    none."""

    def work(session: Session) -> int:
        batch_id = session.execute(find).scalar_one_or_none()
        if batch_id is None:
            return 0
        session.execute(_ONE_AT_A_TIME, {"batch": str(batch_id)})
        step(session, batch_id)
        return 1

    return transact(engine, work)
