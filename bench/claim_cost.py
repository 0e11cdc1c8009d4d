"""`python -m bench.claim_cost LANE`: one claim as the workers make it, timed and explained, and rolled back.

Runs in the environment of the stack's processes. Messages that wait are made due in the same transaction, so that no
worker sees them. The statements are taken from the product's own claim while it runs, then explained with the same
parameters. Prints {"claim_seconds", "execution_ms", "buffers", "plans"}.
"""

import sys
import time
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import event, text
from sqlmodel import Session

from worker.claims import claim
from worker.db import engine, open_session
from worker.lanes import read_route

_CLAIMED = 500
_LEASE_SECONDS = 60.0
_MAKE_DUE = text("""
    UPDATE message SET next_attempt_at = now() - interval '1 second' WHERE id IN (
        SELECT id FROM message WHERE lane_id = :lane AND state IN ('queued', 'retrying') AND NOT held
        ORDER BY next_attempt_at, id LIMIT :limit)
""")
_Statements = list[tuple[str, Any]]


def main(lane: str) -> None:
    statements, seconds = _claim(UUID(lane))
    plans = _explain(UUID(lane), statements)
    told = {
        "claim_seconds": seconds,
        "execution_ms": sum(plan["Execution Time"] for plan in plans),
        "buffers": sum(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] for plan in plans),
        "plans": plans,
    }
    sys.stdout.buffer.write(orjson.dumps(told))


def _claim(lane: UUID) -> tuple[_Statements, float]:
    """The statements of a claim, and how long it took without its commit."""
    statements: _Statements = []

    @event.listens_for(engine(), "before_cursor_execute")
    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, parameters))

    with open_session() as session:
        _make_due(session, lane)
        route = read_route(session, lane)
        assert route is not None  # the caller's lane
        statements.clear()
        started = time.perf_counter()
        submission = claim(session, route, _CLAIMED, _LEASE_SECONDS, time.monotonic())
        seconds = time.perf_counter() - started
        session.rollback()
    event.remove(engine(), "before_cursor_execute", keep)
    if submission is None or len(submission.messages) != _CLAIMED:
        raise SystemExit(f"the claim took {len(submission.messages) if submission else 0} messages, not {_CLAIMED}")
    return statements, seconds


def _explain(lane: UUID, statements: _Statements) -> list[dict[str, Any]]:
    with open_session() as session:
        _make_due(session, lane)
        connection = session.connection()
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
        plans = [
            connection.exec_driver_sql(explain + statement, given).scalar_one()[0] for statement, given in statements
        ]
        session.rollback()
    return plans


def _make_due(session: Session, lane: UUID) -> None:
    session.execute(_MAKE_DUE, {"lane": lane, "limit": _CLAIMED})


if __name__ == "__main__":
    main(sys.argv[1])
