"""`python -m bench.claim_cost LANE TIMES`: claims as the workers make them, timed, one explained, all rolled back.

Runs in the environment of the stack's processes. Messages that wait are made due in the same transaction, so that no
worker sees them. The statements are taken from the product's own claim while it runs, then explained with the same
parameters. Each is made twice, once with an empty table of consents in the way, so that a busy machine is so for both.
Prints {"seconds" (of each), "seconds_with_nobody_known", "execution_ms", "buffers", "plans"}.
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
_KNOW_NOBODY = text("CREATE TEMPORARY TABLE consent (LIKE consent INCLUDING ALL) ON COMMIT DROP")  # found first
_Statements = list[tuple[str, Any]]


def main(lane: str, times: str) -> None:
    claims = [(_claim(UUID(lane)), _claim(UUID(lane), knows_nobody=True)) for _ in range(int(times))]
    statements = claims[0][0][0]
    plans = _explain(UUID(lane), statements)
    told = {
        "seconds": [seconds for (_, seconds), _ in claims],
        "seconds_with_nobody_known": [seconds for _, (_, seconds) in claims],
        "execution_ms": sum(plan["Execution Time"] for plan in plans),
        "buffers": sum(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] for plan in plans),
        "plans": plans,
    }
    sys.stdout.buffer.write(orjson.dumps(told))


def _claim(lane: UUID, *, knows_nobody: bool = False) -> tuple[_Statements, float]:
    """The statements of a claim, and how long it took without its commit."""
    statements: _Statements = []

    @event.listens_for(engine(), "before_cursor_execute")
    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, parameters))

    with open_session() as session:
        _make_due(session, lane)
        if knows_nobody:
            session.execute(_KNOW_NOBODY)
        route = read_route(session, lane)
        assert route is not None  # the caller's lane
        statements.clear()
        started = time.perf_counter()
        submission = claim(session, route, _CLAIMED, _LEASE_SECONDS, time.monotonic()).submission
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
    main(*sys.argv[1:])
