"""What people wrote, and what they have said of marketing."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from worker.ids import new_id
from worker.models.columns import free_json, string, utc


class InboundMessage(SQLModel, table=True):
    """One MO item: what a handset (`sender`) wrote to a number of ours (`recipient`). Action null: not settled yet."""

    __tablename__ = "inbound_message"
    __table_args__ = (
        sa.UniqueConstraint("credential_id", "provider_id", name="inbound_message_once"),
        sa.Index("inbound_message_sender", "sender", "id"),
        sa.Index("inbound_message_action", "action", "id"),
        sa.Index("inbound_message_unsettled", "id", postgresql_where=sa.text("action IS NULL")),
        sa.Index("inbound_message_reply", "reply_id", unique=True, postgresql_where=sa.text("reply_id IS NOT NULL")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    credential_id: UUID = Field(nullable=False)
    provider_id: str = string(nullable=False)  # Infobip's ID of it
    channel: str = string(nullable=False)
    sender: str = string(nullable=False)  # digits without "+" where it is a number
    recipient: str | None = string()
    text: str | None = string()
    media: Any = free_json()  # what an MMS holds beside its text
    action: str | None = string()
    keyword: str | None = string()  # the one that was met, as configured
    consent: str | None = string()  # the state that it led to; null: it changed nothing
    reply: str | None = string()  # the action whose message answers it
    reply_id: UUID | None = None  # our message in answer
    no_reply: str | None = string()  # a code: why there is none
    segment_count: int | None = None
    price: Decimal | None = Field(default=None, sa_type=sa.Numeric)
    currency: str | None = string()
    callback_data: str | None = string()
    received_at: datetime = utc()  # by Infobip, as it says; else when it came here
    created_at: datetime = utc(now=True)


class Consent(SQLModel, table=True):
    """What a person has said of marketing from a credential, as it stands: the profile that a double opt-in creates.

    A `pending` that is not confirmed in time counts again as the state that it came from.
    """

    recipient: str = string(nullable=False, primary_key=True)
    credential_id: UUID = Field(primary_key=True)
    state: str = string(nullable=False)
    source: str = string(nullable=False)
    blocked: bool = Field(default=False, nullable=False)  # Infobip reported it: nothing goes there, of no type
    pending_from: str | None = string()
    pending_until: datetime | None = utc(nullable=True)
    said_at: datetime | None = utc(
        nullable=True
    )  # of keywords and blocks by Infobip's clock, else by ours or a caller's
    opted_out_at: datetime | None = utc(nullable=True)  # the person's or Infobip's opt-out that stands
    changed_at: datetime = utc(now=True)


class ConsentChange(SQLModel, table=True):
    """The history of consent: rows are only added."""

    __tablename__ = "consent_change"
    __table_args__ = (sa.Index("consent_change_recipient", "recipient", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    recipient: str = string(nullable=False)
    credential_id: UUID = Field(nullable=False)
    state: str = string(nullable=False)
    source: str = string(nullable=False)
    blocked: bool = Field(default=False, nullable=False)
    reason: str | None = string()  # the keyword, Infobip's code, or the caller's note
    inbound_id: UUID | None = None  # the message that said it
    message_id: UUID | None = None  # the message whose fate told it
    said_at: datetime | None = utc(nullable=True)  # as in Consent
    changed_at: datetime = utc(now=True)
