"""Lanes: which of them have something to send, and where each leads. What holds them back: holds.py."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection, text
from sqlmodel import Session

from worker.gate import LANE_IS_OPEN, WAITS
from worker.infobip.account import Account
from worker.secrets import decrypt
from worker.words import Channel, MessageType, RateUnit

# One look at the head of the due index a lane: a lane that is held or dry costs next to nothing, however much waits
# elsewhere. Not EXISTS with a limit on the time: joined with OR, that is worked out over all that is due.
_DUE = text(f"""
    SELECT l.id FROM lane l
    WHERE l.message_type = :message_type AND ({LANE_IS_OPEN} OR l.probe_at <= statement_timestamp())
      AND ((
        SELECT m.next_attempt_at FROM message m WHERE m.lane_id = l.id AND {WAITS}
        ORDER BY m.next_attempt_at, m.id LIMIT 1) <= statement_timestamp()
        OR EXISTS (SELECT FROM submission s WHERE s.lane_id = l.id AND s.absent_until > statement_timestamp()))
    ORDER BY random()
""")

_ROUTE = text(f"""
    SELECT l.id, l.channel, l.message_type, {LANE_IS_OPEN} AS is_open, c.id AS credential_id, c.name, c.version,
           c.account_since, c.base_url, c.api_key, c.webhook_token, c.messages_per_second, c.rate_unit
    FROM lane l JOIN credential c ON c.id = l.credential_id WHERE l.id = :lane
""")


@dataclass(frozen=True, slots=True)
class Route:
    """A lane with the account it leads to, as they stood when it was read."""

    lane_id: UUID
    channel: Channel
    message_type: str
    is_held: bool
    credential_id: UUID
    credential_name: str
    credential_version: int
    account_since: int  # submissions of an earlier version of the credential went to another account
    account: Account
    webhook_token: str = field(repr=False)
    messages_per_second: int | None
    rate_unit: RateUnit = RateUnit.MESSAGES


def due_lanes(connection: Connection | Session, message_type: MessageType) -> list[UUID]:
    """Lanes of this type with something to send, first or again: open ones, and held ones whose probe is due."""
    return list(connection.execute(_DUE, {"message_type": message_type}).scalars())


def read_route(session: Session, lane_id: UUID) -> Route | None:
    row = session.execute(_ROUTE, {"lane": lane_id}).one_or_none()
    if row is None:
        return None
    return Route(
        lane_id=row.id,
        channel=Channel(row.channel),
        message_type=row.message_type,
        is_held=not row.is_open,
        credential_id=row.credential_id,
        credential_name=row.name,
        credential_version=row.version,
        account_since=row.account_since,
        account=Account(row.base_url, decrypt(row.api_key)),
        webhook_token=decrypt(row.webhook_token),
        messages_per_second=row.messages_per_second,
        rate_unit=RateUnit(row.rate_unit),
    )
