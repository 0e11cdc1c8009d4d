"""Idempotency keys: the same request twice does the work once, and both get the first answer.

The key's row is written in the transaction that does the work. So it appears with the work or not at all: an error
rolls both back and is not kept, and a second request while the first runs waits on the unique index until the first
has committed (then it gets that answer) or rolled back (then it does the work itself).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from worker.columns import column, rows_of
from worker.refusals import Conflict
from worker.sqlstates import LOCK_NOT_AVAILABLE, sqlstate

WAIT_SECONDS = 10
_MOMENT = 0.1

_WAIT = text("SELECT set_config('lock_timeout', :wait, true)")
_WAIT_AS_BEFORE = text("SET LOCAL lock_timeout TO DEFAULT")
_TAKE = text("""
    INSERT INTO idempotency_key (token_id, route, key, body_hash) VALUES (:token_id, :route, :key, :body_hash)
    ON CONFLICT DO NOTHING
""")
_READ = text("""
    SELECT body_hash, status_code, answer FROM idempotency_key
    WHERE token_id = :token_id AND route = :route AND key = :key
""")
_ANSWERED = {
    "token_id": "uuid",
    "route": "text",
    "key": "text",
    "body_hash": "bytea",
    "status_code": "int",
    "answer": "bytea",
}
_KEEP = text("""
    UPDATE idempotency_key SET status_code = :status_code, answer = :answer
    WHERE token_id = :token_id AND route = :route AND key = :key
""")
_TAKE_FREE = text(f"""
    INSERT INTO idempotency_key ({", ".join(_ANSWERED)})
    SELECT v.* FROM {rows_of(**_ANSWERED)} AS v ORDER BY v.token_id, v.route, v.key
    ON CONFLICT DO NOTHING
    RETURNING token_id, route, key
""")
_PURGE = text("""
    DELETE FROM idempotency_key WHERE (token_id, route, key) IN (
        SELECT token_id, route, key FROM idempotency_key
        WHERE created_at < now() - make_interval(days => :days)
        ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")

Identity = tuple[UUID, str, str]


@dataclass(frozen=True, slots=True)
class Key:
    """A key as one request gives it: who asks, which route (its template), the name, the raw body's SHA-256."""

    token_id: UUID
    route: str
    name: str
    body_hash: bytes

    @property
    def identity(self) -> Identity:
        """A name counts for one token and one route, whatever body comes with it."""
        return (self.token_id, self.route, self.name)

    @property
    def _row(self) -> dict[str, object]:
        return {"token_id": self.token_id, "route": self.route, "key": self.name}


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    status: int
    body: bytes


class KeyReused(Conflict):
    title = "Idempotency-Key was used for another request"


class KeyBusy(Conflict):
    title = "The same request is still being worked on"


def take(session: Session, key: Key) -> KeptAnswer | None:
    """The first answer given under this key, or None: then do the work, `keep` its answer, and commit both.

    Errors: KeyReused (another body), KeyBusy (the first request did not end within 10 s; roll back).
    """
    while not _insert(session, key):
        row = session.execute(_READ, key._row).one_or_none()
        if row is None:  # purged in between
            continue
        if bytes(row.body_hash) != key.body_hash:
            raise KeyReused(
                "This Idempotency-Key came with another body before: send a new key with a new request, "
                "and the same body with the same key"
            )
        return KeptAnswer(row.status_code, bytes(row.answer))
    return None


def is_answered(session: Session, key: Key) -> bool:
    """Whether an answer was given under this key, whatever the body was."""
    return session.execute(_READ, key._row).one_or_none() is not None


def keep(session: Session, key: Key, answer: KeptAnswer) -> None:
    """Store the answer beside the work. Does not commit."""
    session.execute(_KEEP, {**key._row, "status_code": answer.status, "answer": answer.body})


def take_free(session: Session, wanted: Mapping[Key, KeptAnswer]) -> set[Identity]:
    """The identities of those keys that stand nowhere yet: each is kept at once, with the answer that its work will
    have. Does not commit. `wanted` names no key twice.

    A request that holds one of the keys elsewhere is waited for a moment only, since many others wait along. The keys
    are taken in their order, so that two groups never wait for each other in a circle.

    Errors: KeyBusy (roll back).
    """
    if not wanted:
        return set()
    rows = {
        "token_id": column(key.token_id for key in wanted),
        "route": column(key.route for key in wanted),
        "key": column(key.name for key in wanted),
        "body_hash": column("\\x" + key.body_hash.hex() for key in wanted),
        "status_code": column(answer.status for answer in wanted.values()),
        "answer": column("\\x" + answer.body.hex() for answer in wanted.values()),
    }
    with _waiting_for_key(session, _MOMENT):
        taken = session.execute(_TAKE_FREE, rows).all()
    return {(row.token_id, row.route, row.key) for row in taken}


def purge(session: Session, older_than_days: int = 7, most: int = 10_000) -> int:
    """Delete keys that have served their time, at most `most` of them; commits. Returns how many."""
    deleted = session.execute(_PURGE, {"days": older_than_days, "most": most})
    session.commit()
    return int(deleted.rowcount)  # type: ignore[attr-defined]


def _insert(session: Session, key: Key) -> bool:
    """False where the key stands already. Waits for a transaction that holds it."""
    with _waiting_for_key(session, WAIT_SECONDS):
        inserted = session.execute(_TAKE, {**key._row, "body_hash": key.body_hash})
    return bool(inserted.rowcount == 1)  # type: ignore[attr-defined]


@contextmanager
def _waiting_for_key(session: Session, seconds: float) -> Iterator[None]:
    """Errors: KeyBusy, where a transaction holds the key longer than that."""
    session.execute(_WAIT, {"wait": f"{round(seconds * 1000)}ms"})
    try:
        yield
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        raise KeyBusy(
            f"The first request with this Idempotency-Key still runs after {WAIT_SECONDS} s: repeat this one later",
            retry_after_seconds=2,
        ) from error
    session.execute(_WAIT_AS_BEFORE)
