"""Messages by the million, made inside the database: what a request would have to bring in 10,000 at a time.

Rows, batch and tally agree afterwards as if the messages had come in the usual way.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from bench.stage import Stage, Surface
from worker.db import make_engine, open_session
from worker.states import State
from worker.tally import Changes

_CHUNK = 100_000
_REASON = "EC_ABSENT_SUBSCRIBER"

# Time-ordered like UUIDv7, so that the indexes grow at one end as they do in life; some hours old, so that what comes
# in afterwards has later ones.
_ID = """
    (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - 20000000 + g / 1000), 12, '0')
     || '7' || lpad(to_hex(g % 1000), 3, '0') || '8' || substr(md5(g::text || CAST(:batch AS text)), 1, 15))::uuid
"""
_MESSAGES = f"""
    INSERT INTO message (id, batch_id, surface_id, lane_id, origin, recipient, state, reason, held, attempt_count,
                         retry_count, next_attempt_at, expires_at, validity_seconds, created_at)
    SELECT {_ID}, b.id, b.surface_id, b.lane_id, 'api', '9199' || lpad(g::text, 8, '0'), :state, :reason, false,
           :attempts, :attempts, now() + make_interval(secs => w.seconds + g % 3600 * sign(w.seconds)),
           b.expires_at, b.validity_seconds, now()
    FROM batch b, (SELECT CAST(:wait AS float8)) AS w (seconds),
         generate_series(CAST(:first AS int), CAST(:last AS int)) AS g
    WHERE b.id = :batch_id AND g % 10000 / 100 <> 90
    RETURNING id
"""
_DUE_AT_ONCE = text(f"WITH made AS ({_MESSAGES}) SELECT count(*) FROM made")
# Their first attempt failed; those of 500 messages went out together.
_FAILED_ONCE = text(f"""
    WITH made AS ({_MESSAGES}), attempts AS (
        INSERT INTO attempt (message_id, number, submission_id, started_at, answered_at, outcome, code, looks)
        SELECT id, 1, md5(CAST(:batch AS text) || (row_number() OVER () / 500 + CAST(:first AS int))::text)::uuid,
               now(), now(), 'failed', :reason, 0
        FROM made
    ) SELECT count(*) FROM made
""")
_GROW = text("UPDATE batch SET total = total + :n WHERE id = :batch_id RETURNING lane_id")


@dataclass(frozen=True)
class Waiting:
    """How the messages wait: until when, in seconds from now, and after which attempt."""

    state: State
    wait_seconds: float
    attempts: int


DUE_NOW = Waiting(State.QUEUED, 0.0, 0)
RETRYING_LATER = Waiting(State.RETRYING, 6 * 3600.0, 1)


def extend_batch(stage: Stage, batch_id: str, first: int, last: int, waiting: Waiting) -> int:
    """Give a batch more messages, numbered from `first` to `last`; those that the sandbox would treat in a special way
    are left out. Returns how many there are now more. Each 100,000 are a transaction."""
    engine = make_engine(stage.stack.database_url, statement_seconds=0)
    made = 0
    try:
        for start in range(first, last + 1, _CHUNK):
            with open_session(engine) as session:
                made += _add(session, UUID(batch_id), start, min(start + _CHUNK - 1, last), waiting)
                session.commit()
            stage.stack.watch()
    finally:
        engine.dispose()
    return made


def _add(session: Session, batch_id: UUID, first: int, last: int, waiting: Waiting) -> int:
    reason = _REASON if waiting.attempts else None
    made = session.execute(
        _FAILED_ONCE if waiting.attempts else _DUE_AT_ONCE,
        {
            "batch_id": batch_id,
            "batch": str(batch_id),
            "state": waiting.state.value,
            "reason": reason,
            "attempts": waiting.attempts,
            "wait": waiting.wait_seconds,
            "first": first,
            "last": last,
        },
    ).scalar_one()
    lane_id = session.execute(_GROW, {"n": made, "batch_id": batch_id}).scalar_one()
    changes = Changes()
    changes.entered((lane_id, batch_id), waiting.state, reason, made)
    changes.write(session)
    return int(made)


def first_batch(stage: Stage, surface: Surface) -> str:
    """A batch with one message, for others to join."""
    answer = stage.post("/v1/batches", {"surface": surface.name, "text": "x", "messages": [{"to": next(stage.to)}]})
    return str(answer["id"])


def tidy(stage: Stage) -> None:
    """What autovacuum and the checkpointer would do in time: the next figure is not to pay for the filling."""
    for table in ("message", "attempt"):
        stage.execute(f"VACUUM (ANALYZE) {table}")
    stage.execute("CHECKPOINT")
