"""Configuration: accounts, lanes, surfaces, and who may ask."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from worker.ids import new_id
from worker.models.columns import count, free_json, ids, string, utc, words


class Credential(SQLModel, table=True):
    """An Infobip account, as configured in a form like Adobe Journey Optimizer's."""

    __table_args__ = (sa.Index("credential_name", "name", unique=True, postgresql_where=sa.text("deleted_at IS NULL")),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = string(nullable=False)
    base_url: str = string(nullable=False)
    api_key: bytes = Field(sa_type=sa.LargeBinary, nullable=False)  # encrypted
    api_key_hint: str = string(nullable=False)  # last four characters
    opt_in_keywords: list[str] = words()
    opt_in_message: str | None = string()
    opt_out_keywords: list[str] = words()
    opt_out_message: str | None = string()
    help_keywords: list[str] = words()
    help_message: str | None = string()
    double_opt_in_keywords: list[str] = words()
    double_opt_in_message: str | None = string()
    principal_entity_id: str | None = string()
    content_template_id: str | None = string()
    validity_period_hours: int = Field(default=48, nullable=False)
    callback_data: str | None = string()
    inbound_number: str | None = string()
    custom_keywords: list[str] = words()
    default_reply_message: str | None = string()
    fuzzy_opt_out_message: str | None = string()
    inbound_pull: bool = Field(default=False, nullable=False)
    messages_per_second: int | None = None  # none: no limit of ours
    rate_unit: str = string("messages", nullable=False, sa_column_kwargs={"server_default": "messages"})  # RateUnit
    webhook_token: bytes = Field(sa_type=sa.LargeBinary, nullable=False)  # encrypted: Infobip's URLs are shown again
    previous_webhook_token: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    version: int = Field(default=1, nullable=False)  # grows when key or URL change: older answers hold no lane
    # Since which version it is the account it is now: another one's logs know nothing of what went out before.
    account_since: int = Field(default=1, nullable=False, sa_column_kwargs={"server_default": "1"})
    created_at: datetime = utc(now=True)
    updated_at: datetime = utc(now=True)
    deleted_at: datetime | None = utc(nullable=True)


class Lane(SQLModel, table=True):
    """(credential, channel, message type): what is claimed together, and what is held together.

    Held exactly while `kind` is set. A hold ends by a probe of one message (from `probe_at`), by hand, or by a change
    of the credential's key or URL; `held_until` is that instant as people read it.
    """

    __table_args__ = (sa.UniqueConstraint("credential_id", "channel", "message_type"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    credential_id: UUID = Field(foreign_key="credential.id", nullable=False)
    channel: str = string(nullable=False)
    message_type: str = string(nullable=False)
    kind: str | None = string()
    reason: str | None = string()
    held_until: datetime | None = utc(nullable=True)
    probe_at: datetime | None = utc(nullable=True)
    probes: int = Field(default=0, nullable=False)  # since the hold began: the interval grows with it
    faults: int = Field(default=0, nullable=False)  # requests in a row without a usable answer
    refusal: str | None = string()  # what its last messages in a row were refused for, alike
    refusals: int = count()  # how many they are
    refused_batches: list[UUID] = ids(
        sa_column_kwargs={"server_default": "{}"}
    )  # whose they are; a single send stands for itself


class Surface(SQLModel, table=True):
    """A channel surface: channel, message type, credential, sender."""

    __table_args__ = (sa.Index("surface_name", "name", unique=True, postgresql_where=sa.text("deleted_at IS NULL")),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = string(nullable=False)
    description: str | None = string()
    channel: str = string(nullable=False)
    message_type: str = string(nullable=False)
    credential_id: UUID = Field(foreign_key="credential.id", nullable=False)
    sender: str = string(nullable=False)
    principal_entity_id: str | None = string()
    content_template_id: str | None = string()
    callback_data: str | None = string()
    validity_seconds: int | None = None
    default_country: str | None = string()  # ISO 3166 alpha-2
    countries: list[str] = words()  # empty: all
    require_opt_in: bool = Field(default=False, nullable=False)
    dlt: str = string("off", nullable=False)
    transliteration: str | None = string()
    language: Any = free_json()  # an object: national language tables
    sending_window: Any = free_json()  # an object, or the word "off"
    window_off_reason: str | None = string()
    fallback_sender: str | None = string()  # of an MMS surface: who sends the SMS that goes in an MMS's place
    created_at: datetime = utc(now=True)
    updated_at: datetime = utc(now=True)
    deleted_at: datetime | None = utc(nullable=True)


class ApiToken(SQLModel, table=True):
    """A caller of the API: the token's hash and its scopes."""

    __tablename__ = "api_token"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = string(nullable=False)
    token_hash: bytes = Field(sa_type=sa.LargeBinary, nullable=False, unique=True)
    scopes: list[str] = words()
    created_at: datetime = utc(now=True)
    revoked_at: datetime | None = utc(nullable=True)


class IdempotencyKey(SQLModel, table=True):
    """The first 2xx answer to a request that creates, kept for the caller who repeats it."""

    __tablename__ = "idempotency_key"
    __table_args__ = (sa.Index("idempotency_key_age", "created_at"),)

    token_id: UUID = Field(primary_key=True)
    route: str = string(nullable=False, primary_key=True)
    key: str = string(nullable=False, primary_key=True)
    body_hash: bytes = Field(sa_type=sa.LargeBinary, nullable=False)
    status_code: int | None = None
    answer: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    created_at: datetime = utc(now=True)
