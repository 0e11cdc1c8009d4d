"""What Infobip said later."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from worker.ids import new_id
from worker.models.columns import free_json, string, utc


class DeliveryReport(SQLModel, table=True):
    """What Infobip says later of an attempt, as received."""

    __tablename__ = "delivery_report"
    __table_args__ = (
        sa.UniqueConstraint(
            "message_id",
            "attempt",
            "status_id",
            "done_at",
            name="delivery_report_once",
            postgresql_nulls_not_distinct=True,
        ),
        sa.Index("delivery_report_feed", "transaction_id", "id"),
    )

    message_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    attempt: int = Field(sa_type=sa.SmallInteger, nullable=False)
    status_id: int | None = None
    status_name: str | None = string()
    status_group: str | None = string()
    error_id: int | None = None
    error_name: str | None = string()
    error_permanent: bool | None = None
    callback_data: str | None = string()
    price: Decimal | None = Field(default=None, sa_type=sa.Numeric)  # of one message, in major units
    currency: str | None = string()
    segment_count: int | None = None
    mcc_mnc: str | None = string()
    source: str = string(nullable=False)  # push or pull
    result: str = string(nullable=False)  # applied, late, or noted (it changed nothing)
    sent_at: datetime | None = utc(nullable=True)
    done_at: datetime | None = utc(nullable=True)
    received_at: datetime = utc(now=True)
    # The writing transaction: feeds read in this order and stop before the oldest one still running.
    transaction_id: int = Field(
        default=None,
        sa_type=sa.BigInteger,
        nullable=False,
        sa_column_kwargs={"server_default": sa.text("(pg_current_xact_id()::text)::bigint")},
    )


class UnmatchedReport(SQLModel, table=True):
    """An item in a webhook that is malformed, or names no message of that credential: kept, never lost."""

    __tablename__ = "unmatched_report"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    credential_id: UUID = Field(nullable=False)
    reason: str = string(nullable=False)
    body: Any = free_json()
    received_at: datetime = utc(now=True)
