"""Closing batches: those of which every message has ended are marked, so that the others are found among a million.

Nothing that has ended begins again (worker/states.py), so the mark is never taken back. It comes a little late: whoever
looks for batches that go on asks the tally as well (api/batch_views.py).
"""

from sqlalchemy import text
from sqlmodel import Session

from worker.states import LIVE
from worker.tally import count_in

_CLOSE = text(f"""
    UPDATE batch SET is_over = true WHERE id = ANY(ARRAY(
        SELECT b.id FROM batch b WHERE b.is_over >= false AND b.is_over <= false AND {count_in("b.id", LIVE)} = 0
        ORDER BY b.is_over DESC, b.id DESC LIMIT :most FOR UPDATE SKIP LOCKED))
""")


def close(session: Session, most: int = 5_000) -> int:
    """Mark batches that are over, so many at most. Returns how many. Does not commit."""
    return int(session.execute(_CLOSE, {"most": most}).rowcount)  # type: ignore[attr-defined]
