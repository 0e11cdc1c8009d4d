"""What happened, as it is told to whoever asks or wants to be told; and how the telling went."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from worker.ids import new_id
from worker.models.columns import count, string, utc, words

# At least the writing transaction, and at least every transaction that was over when it was written: so a feed may read
# up to the oldest one still running, and of two events of one message, written under its lock, the later one is later.
_TRANSACTION = """greatest((pg_current_xact_id()::text)::bigint,
    (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint - 1)"""


class Cluster(SQLModel, table=True):
    """One row: the cluster in whose transaction IDs the feeds' rows are marked, and the OIDs there of the database and
    of this table, which a dump that is restored does not have (cluster.py writes it)."""

    system_identifier: int = Field(sa_type=sa.BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    database_oid: int = Field(sa_type=sa.BigInteger, nullable=False)
    table_oid: int = Field(sa_type=sa.BigInteger, nullable=False)
    era: int = Field(sa_type=sa.BigInteger, nullable=False)  # what cursors name


class Event(SQLModel, table=True):
    """Something that happened to a message, a lane, an event endpoint, or by an inbound message, which `type` tells.

    What the subject's own rows say for good (callback data, batch, price) is read from them.
    """

    transaction_id: int = Field(
        default=None,
        sa_type=sa.BigInteger,
        primary_key=True,
        sa_column_kwargs={"server_default": sa.text(_TRANSACTION), "autoincrement": False},
    )
    id: int = Field(default=None, primary_key=True, sa_type=sa.BigInteger, sa_column_args=(sa.Identity(always=True),))
    type: str = string(nullable=False)
    subject_id: UUID = Field(nullable=False)  # a message, an inbound message, a lane or an event endpoint
    attempt: int | None = Field(default=None, sa_type=sa.SmallInteger)
    reason: str | None = string()  # a code; of a lane or an endpoint, a sentence
    kind: str | None = string()  # of a hold
    next_at: datetime | None = utc(nullable=True)  # the next attempt, or when a held lane is tried again
    at: datetime = utc(now="statement_timestamp()")


class EventEndpoint(SQLModel, table=True):
    """An address to which events are pushed, in their order, each delivery after the one before it has arrived.

    It has been told all up to (`told_transaction`, `told_event`).
    """

    __tablename__ = "event_endpoint"
    __table_args__ = (
        sa.Index("event_endpoint_name", "name", unique=True, postgresql_where=sa.text("deleted_at IS NULL")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = string(nullable=False)
    url: str = string(nullable=False)
    secret: bytes = Field(sa_type=sa.LargeBinary, nullable=False)  # encrypted
    previous_secret: bytes | None = Field(default=None, sa_type=sa.LargeBinary)  # the one before, and
    rotated_at: datetime | None = utc(nullable=True)  # since when: for a day both sign
    types: list[str] = words()  # empty: all
    told_transaction: int = Field(default=0, sa_type=sa.BigInteger, nullable=False)
    told_event: int = Field(default=0, sa_type=sa.BigInteger, nullable=False)
    version: int = Field(default=1, nullable=False)  # grows with each change: what a push under way says counts no more
    lease_until: datetime | None = utc(nullable=True)  # somebody is pushing to it, or was until then
    next_try_at: datetime | None = utc(nullable=True)  # after a failure; null: as soon as there is something to tell
    failures: int = count()  # in a row
    failing_since: datetime | None = utc(nullable=True)
    disabled_at: datetime | None = utc(nullable=True)
    disabled_reason: str | None = string()  # a sentence; null where a person disabled it
    created_at: datetime = utc(now=True)
    updated_at: datetime = utc(now=True)
    deleted_at: datetime | None = utc(nullable=True)


class EventDelivery(SQLModel, table=True):
    """One push, made until it arrives: the events of its endpoint's types after one place in the feed, through another.

    At most one of an endpoint is open: neither delivered nor dropped.
    """

    __tablename__ = "event_delivery"
    __table_args__ = (
        sa.Index("event_delivery_endpoint", "endpoint_id", "id"),
        sa.Index(
            "event_delivery_open",
            "endpoint_id",
            unique=True,
            postgresql_where=sa.text("delivered_at IS NULL AND dropped_at IS NULL"),
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    endpoint_id: UUID = Field(nullable=False)
    after_transaction: int = Field(sa_type=sa.BigInteger, nullable=False)
    after_event: int = Field(sa_type=sa.BigInteger, nullable=False)
    through_transaction: int = Field(sa_type=sa.BigInteger, nullable=False)
    through_event: int = Field(sa_type=sa.BigInteger, nullable=False)
    event_count: int = Field(nullable=False)
    body: bytes | None = Field(default=None, sa_type=sa.LargeBinary)  # while it is open: the same at each try
    created_at: datetime = utc(now=True)
    delivered_at: datetime | None = utc(nullable=True)
    dropped_at: datetime | None = utc(nullable=True)  # its endpoint was changed, disabled or set elsewhere since


class EventTry(SQLModel, table=True):
    """One request of a delivery."""

    __tablename__ = "event_try"

    delivery_id: UUID = Field(primary_key=True)
    number: int = Field(primary_key=True)
    at: datetime = utc(now=True)
    seconds: float = Field(nullable=False)
    status_code: int | None = None  # none: no answer came
    error: str | None = string()  # a sentence; none: it arrived
