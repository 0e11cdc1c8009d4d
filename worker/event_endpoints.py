"""What may be done to an event endpoint, by a person or by its own failures: its secret, its place, on and off.

Each works on a row that the caller has locked, and does not commit. Whatever changes what is pushed, or where to,
drops the open delivery and raises `version`: another is made from the same place, and what comes of a push that is
under way is kept as a try, and changes nothing else. The lease stays: nothing is pushed until that push is over.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker import events
from worker.db import database_now
from worker.events import Told
from worker.feeds import START, Place, end_of_feed
from worker.models import EventEndpoint
from worker.push_signatures import make_secret
from worker.secrets import decrypt, encrypt
from worker.words import EventType

BOTH_SECRETS_SIGN = timedelta(days=1)
MOST_COUNTED = 1_000  # of a backlog
_SKEW = timedelta(minutes=1)  # events are told in the order of transactions, which is that of their times but for this

_DROP = text("""
    UPDATE event_delivery SET dropped_at = statement_timestamp(), body = NULL
    WHERE endpoint_id = :endpoint AND delivered_at IS NULL AND dropped_at IS NULL
""")
_FIRST_FROM = text("""
    SELECT transaction_id, at FROM event WHERE transaction_id >= :transaction ORDER BY transaction_id, id LIMIT 1
""")
_FIRST_SINCE = text("""
    SELECT transaction_id, id FROM event WHERE transaction_id >= :transaction AND at >= :at
    ORDER BY transaction_id, id LIMIT 1
""")
_BACKLOGS = text("""
    SELECT e.id, (SELECT count(*) FROM (
        SELECT FROM event v WHERE (v.transaction_id, v.id) > (e.told_transaction, e.told_event)
        ORDER BY v.transaction_id, v.id LIMIT :most) AS behind) AS n
    FROM event_endpoint e WHERE e.id = ANY(:ids)
""")


def changed(session: Session, endpoint: EventEndpoint) -> None:
    """What is pushed to it is another thing from now on."""
    session.execute(_DROP, {"endpoint": endpoint.id})
    endpoint.version += 1


def set_place(session: Session, endpoint: EventEndpoint, place: Place) -> None:
    """It is told from there on, at once even where it waits for its next try."""
    endpoint.told_transaction, endpoint.told_event = place
    endpoint.next_try_at = None
    changed(session, endpoint)


def rotate_secret(session: Session, endpoint: EventEndpoint) -> str:
    """The new secret. The former one signs too, for BOTH_SECRETS_SIGN; one from before that no more."""
    secret = make_secret()
    endpoint.previous_secret, endpoint.secret = endpoint.secret, encrypt(secret)
    endpoint.rotated_at = database_now(session)
    changed(session, endpoint)
    return secret


def signing_keys(endpoint: EventEndpoint, now: datetime) -> list[str]:
    """Errors: SecretUnreadable."""
    keys = [decrypt(endpoint.secret)]
    if endpoint.previous_secret is not None and (ends := both_sign_until(endpoint)) is not None and now < ends:
        keys.append(decrypt(endpoint.previous_secret))
    return keys


def both_sign_until(endpoint: EventEndpoint) -> datetime | None:
    return None if endpoint.rotated_at is None else endpoint.rotated_at + BOTH_SECRETS_SIGN


def begin_anew(endpoint: EventEndpoint) -> None:
    """Its failures are forgotten."""
    endpoint.failures, endpoint.failing_since, endpoint.next_try_at = 0, None, None


def enable(session: Session, endpoint: EventEndpoint) -> None:
    """It goes on where it stopped."""
    if endpoint.disabled_at is not None:
        endpoint.disabled_at = endpoint.disabled_reason = None
        begin_anew(endpoint)
        changed(session, endpoint)


def disable(session: Session, endpoint: EventEndpoint, reason: str | None) -> None:
    """Nothing is pushed to it any more. For a reason unless a person does it: then the others are told."""
    if endpoint.disabled_at is not None:
        return
    endpoint.disabled_at, endpoint.disabled_reason = database_now(session), reason
    endpoint.next_try_at = None
    changed(session, endpoint)
    if reason is not None:
        events.tell(session, [Told(EventType.ENDPOINT_DISABLED, endpoint.id, reason=reason)])


def place_at(session: Session, at: datetime) -> Place:
    """Behind it stands all that was told at this instant or later. Walks the key, since nothing is ordered by time."""
    end = end_of_feed(session)
    low, high = START.transaction_id, end[0] + 1
    while low < high:
        middle = (low + high) // 2
        found = session.execute(_FIRST_FROM, {"transaction": middle}).first()
        if found is None or found.at >= at - _SKEW:
            high = middle
        else:
            low = found.transaction_id + 1
    first = session.execute(_FIRST_SINCE, {"transaction": low, "at": at}).first()
    return end if first is None else min(end, Place(first.transaction_id, first.id - 1))


def backlogs(session: Session, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many events stand behind the place of each, counted up to MOST_COUNTED."""
    rows = session.execute(_BACKLOGS, {"ids": list(ids), "most": MOST_COUNTED}).all()
    return {row.id: row.n for row in rows}


def find_locked(session: Session, endpoint_id: UUID) -> EventEndpoint | None:
    return session.get(EventEndpoint, endpoint_id, with_for_update=True, populate_existing=True)
