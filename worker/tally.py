"""The tally: how many messages of each batch and lane are in which state, exact at every commit.

Counting a million rows for every look at a batch would cost more than sending them. So each transaction that changes
states ends with one upsert of the differences it made. A random shard keeps transactions from queueing on one row;
readers sum over the shards.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.columns import column, rows_of
from worker.states import FINAL, REASONED, State
from worker.words import listed

SHARDS = 8

_CHANGES = rows_of("tally", subject_id="uuid", state="text", reason="text", n="bigint")


def upsert(*after: str) -> str:
    """SQL that takes Changes.values(). Inside a statement, its last part: `after` names the CTEs that are done before,
    which PostgreSQL else runs in an order of its own. The rows are locked in the order of their keys.
    """
    done = " AND ".join(f"(SELECT count(*) FROM {name}) >= 0" for name in after) or "true"
    return f"""
        INSERT INTO tally AS t (subject_id, state, reason, n, shard)
        SELECT v.*, CAST(:tally_shard AS smallint) FROM {_CHANGES} AS v WHERE {done}
        ON CONFLICT (subject_id, state, reason, shard) DO UPDATE SET n = t.n + excluded.n
    """


_UPSERT = text(upsert())

_READ = text("""
    SELECT subject_id, state, reason, sum(n)::bigint AS n FROM tally WHERE subject_id = ANY(:subjects)
    GROUP BY 1, 2, 3 HAVING sum(n) <> 0
""")

Counts = dict[tuple[State, str], int]


def count_in(subject: str, states: Iterable[State]) -> str:
    """SQL: how many messages of a subject, itself SQL, are in one of these states."""
    return (
        f"(SELECT coalesce(sum(t.n), 0) FROM tally t WHERE t.subject_id = {subject} AND t.state IN ({listed(states)}))"
    )


class Changes:
    """The differences that one transaction makes; `write` them last, just before its commit, or with what it writes
    last."""

    def __init__(self) -> None:
        self._numbers: Counter[tuple[UUID, str, str]] = Counter()

    def entered(self, subjects: Iterable[UUID | None], state: State | str, reason: str | None, n: int = 1) -> None:
        """`n` new messages of these subjects (lane, and batch if any) are in `state`."""
        self._add(subjects, state, reason if state in REASONED else None, n)

    def moved(
        self,
        subjects: Sequence[UUID | None],
        was: State | str,
        was_reason: str | None,
        state: State | str,
        reason: str | None,
        n: int = 1,
    ) -> None:
        """`n` messages of these subjects went from one state to another.

        One that is delivered after it had ended gives that end as its reason, and is counted with it: so how many ever
        ended in a state can be told, a number that never falls (figures.py).
        """
        self._add(subjects, was, was_reason if was in REASONED else None, -n)
        is_reasoned = state in REASONED or (state == State.DELIVERED and reason in FINAL)
        self._add(subjects, state, reason if is_reasoned else None, n)

    def _add(self, subjects: Iterable[UUID | None], state: State | str, reason: str | None, n: int) -> None:
        for subject in subjects:
            if subject is not None:
                self._numbers[subject, str(state), reason or ""] += n

    def values(self) -> dict[str, str | int]:
        """In key order, so that two transactions never wait for each other in a circle."""
        rows = sorted((key, n) for key, n in self._numbers.items() if n)
        return {
            "tally_subject_id": column(key[0] for key, _ in rows),
            "tally_state": column(key[1] for key, _ in rows),
            "tally_reason": column(key[2] for key, _ in rows),
            "tally_n": column(n for _, n in rows),
            "tally_shard": random.randrange(SHARDS),
        }

    def write(self, session: Session) -> None:
        session.execute(_UPSERT, self.values())


def counts(session: Session, subjects: Iterable[UUID]) -> dict[UUID, Counts]:
    """For each batch or lane: {(state, reason): messages}, without zeros. A reason of delivered ones is the state that
    they had ended in before."""
    found: dict[UUID, Counts] = {subject: {} for subject in subjects}
    for row in session.execute(_READ, {"subjects": list(found)}):
        found[row.subject_id][State(row.state), row.reason] = row.n
    return found
