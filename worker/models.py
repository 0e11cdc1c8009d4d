"""The tables. PostgreSQL holds all truth: configuration, messages, schedule, attempts, reports.

Times are `timestamptz` in UTC, keys are UUIDv7. The tables that grow with traffic (message, attempt, delivery_report,
submission) carry no foreign keys: their rows are written in bulk, in a transaction that writes or locks what they name.
Their keys begin with a UUIDv7, so that all of them can be range-partitioned by time later (docs/decisions/0007).
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from worker.ids import new_id
from worker.states import LIVE, WAITING, State
from worker.words import UNSETTLED, Origin, listed


def _utc(*, nullable: bool = False, now: bool = False) -> Any:
    default = sa.text("now()") if now else None
    return Field(
        default=None,
        sa_type=sa.DateTime(timezone=True),
        nullable=nullable,
        sa_column_kwargs={"server_default": default},
    )


def _text(default: str | None = None, *, nullable: bool = True, **options: Any) -> Any:
    return Field(default=default, sa_type=sa.Text, nullable=nullable, **options)


def _words() -> Any:
    return Field(
        default_factory=list, sa_type=ARRAY(sa.Text), nullable=False, sa_column_kwargs={"server_default": "{}"}
    )


def _count() -> Any:
    return Field(default=0, nullable=False, sa_column_kwargs={"server_default": "0"})


def _ids(**options: Any) -> Any:
    return Field(default_factory=list, sa_type=ARRAY(sa.Uuid), nullable=False, **options)


def _json() -> Any:
    return Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)


def _callback_index(name: str) -> sa.Index:
    # A whole callback of 4,000 characters does not fit an index row.
    start = sa.text('"left"(callback_data, 64)')
    return sa.Index(name, start, "id", postgresql_where=sa.text("callback_data IS NOT NULL"))


class Credential(SQLModel, table=True):
    """An Infobip account, as configured in a form like Adobe Journey Optimizer's."""

    __table_args__ = (sa.Index("credential_name", "name", unique=True, postgresql_where=sa.text("deleted_at IS NULL")),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = _text(nullable=False)
    base_url: str = _text(nullable=False)
    api_key: bytes = Field(sa_type=sa.LargeBinary, nullable=False)  # encrypted
    api_key_hint: str = _text(nullable=False)  # last four characters
    opt_in_keywords: list[str] = _words()
    opt_in_message: str | None = _text()
    opt_out_keywords: list[str] = _words()
    opt_out_message: str | None = _text()
    help_keywords: list[str] = _words()
    help_message: str | None = _text()
    double_opt_in_keywords: list[str] = _words()
    double_opt_in_message: str | None = _text()
    principal_entity_id: str | None = _text()
    content_template_id: str | None = _text()
    validity_period_hours: int = Field(default=48, nullable=False)
    callback_data: str | None = _text()
    inbound_number: str | None = _text()
    custom_keywords: list[str] = _words()
    default_reply_message: str | None = _text()
    fuzzy_opt_out_message: str | None = _text()
    inbound_pull: bool = Field(default=False, nullable=False)
    messages_per_second: int | None = None  # none: no limit of ours
    webhook_token: bytes = Field(sa_type=sa.LargeBinary, nullable=False)  # encrypted: Infobip's URLs are shown again
    previous_webhook_token: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    version: int = Field(default=1, nullable=False)  # grows when key or URL change: older answers hold no lane
    # Since which version it is the account it is now: another one's logs know nothing of what went out before.
    account_since: int = Field(default=1, nullable=False, sa_column_kwargs={"server_default": "1"})
    created_at: datetime = _utc(now=True)
    updated_at: datetime = _utc(now=True)
    deleted_at: datetime | None = _utc(nullable=True)


class Lane(SQLModel, table=True):
    """(credential, channel, message type): what is claimed together, and what is held together.

    Held exactly while `kind` is set. A hold ends by a probe of one message (from `probe_at`), by hand, or by a change
    of the credential's key or URL; `held_until` is that instant as people read it.
    """

    __table_args__ = (sa.UniqueConstraint("credential_id", "channel", "message_type"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    credential_id: UUID = Field(foreign_key="credential.id", nullable=False)
    channel: str = _text(nullable=False)
    message_type: str = _text(nullable=False)
    kind: str | None = _text()
    reason: str | None = _text()
    held_until: datetime | None = _utc(nullable=True)
    probe_at: datetime | None = _utc(nullable=True)
    probes: int = Field(default=0, nullable=False)  # since the hold began: the interval grows with it
    faults: int = Field(default=0, nullable=False)  # requests in a row without a usable answer
    refusal: str | None = _text()  # what its last messages in a row were refused for, alike
    refusals: int = _count()  # how many they are
    refused_batches: list[UUID] = _ids(
        sa_column_kwargs={"server_default": "{}"}
    )  # whose they are; a single send stands for itself


class Surface(SQLModel, table=True):
    """A channel surface: channel, message type, credential, sender."""

    __table_args__ = (sa.Index("surface_name", "name", unique=True, postgresql_where=sa.text("deleted_at IS NULL")),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = _text(nullable=False)
    description: str | None = _text()
    channel: str = _text(nullable=False)
    message_type: str = _text(nullable=False)
    credential_id: UUID = Field(foreign_key="credential.id", nullable=False)
    sender: str = _text(nullable=False)
    principal_entity_id: str | None = _text()
    content_template_id: str | None = _text()
    callback_data: str | None = _text()
    validity_seconds: int | None = None
    default_country: str | None = _text()  # ISO 3166 alpha-2
    countries: list[str] = _words()  # empty: all
    require_opt_in: bool = Field(default=False, nullable=False)
    dlt: str = _text("off", nullable=False)
    transliteration: str | None = _text()
    language: str | None = _text()
    sending_window: Any = _json()  # an object, or the word "off"
    window_off_reason: str | None = _text()
    created_at: datetime = _utc(now=True)
    updated_at: datetime = _utc(now=True)
    deleted_at: datetime | None = _utc(nullable=True)


class Batch(SQLModel, table=True):
    """The messages accepted in one request, and what they share, resolved once at enqueue.

    `paused_at` stops them all at once, through the gate; a sweep then takes those that wait out of the due index, and
    `held_through` says how far it came (worker/steering.py).
    """

    __table_args__ = (
        _callback_index("batch_callback"),
        sa.Index("batch_held", "id", postgresql_where=sa.text("paused_at IS NOT NULL OR held_through IS NOT NULL")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    surface_id: UUID = Field(nullable=False)
    lane_id: UUID = Field(nullable=False)
    sender: str = _text(nullable=False)
    text: str | None = _text()
    callback_data: str | None = _text()
    principal_entity_id: str | None = _text()
    content_template_id: str | None = _text()
    validity_seconds: int = Field(nullable=False)
    journey: Any = _json()
    total: int = Field(nullable=False)
    send_at: datetime | None = _utc(nullable=True)
    expires_at: datetime = _utc()
    paused_at: datetime | None = _utc(nullable=True)
    pause_reason: str | None = _text()  # a sentence; null where a person paused it
    held_through: UUID | None = None  # the last message that the sweep has passed: none after it is held
    refusal: str | None = _text()  # what its last messages in a row were refused for, alike
    refusals: int = _count()  # how many they are
    cancelled_at: datetime | None = _utc(nullable=True)
    created_at: datetime = _utc(now=True)


class Message(SQLModel, table=True):
    """One MT item to one recipient.

    Text, callback data, sender and DLT IDs stand here only where they differ from the batch's; a single send has no
    batch and holds them all.
    """

    __table_args__ = (
        sa.Index(
            "message_due",
            "lane_id",
            "next_attempt_at",
            "id",
            postgresql_where=sa.text(f"state IN ({listed(WAITING)}) AND NOT held"),
        ),
        sa.Index("message_ending", "state", "expires_at", postgresql_where=sa.text(f"state IN ({listed(LIVE)})")),
        sa.Index("message_batch", "batch_id", "id", postgresql_where=sa.text("batch_id IS NOT NULL")),
        sa.Index("message_recipient", "recipient", "id"),
        _callback_index("message_callback"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    batch_id: UUID | None = None
    surface_id: UUID | None = None
    lane_id: UUID = Field(nullable=False)
    origin: str = _text(Origin.API, nullable=False)
    recipient: str = _text(nullable=False)  # E.164 without "+"
    state: str = _text(State.QUEUED, nullable=False)
    held: bool = Field(default=False, nullable=False)  # out of the due index while its batch is paused
    reason: str | None = _text()  # a code: why the last attempt failed, or why the message ended
    attempt_count: int = Field(default=0, sa_type=sa.SmallInteger, nullable=False)  # the current attempt's number
    retry_count: int = Field(default=0, sa_type=sa.SmallInteger, nullable=False)  # slots of the schedule used
    next_attempt_at: datetime | None = _utc(nullable=True)
    expires_at: datetime = _utc()
    validity_seconds: int = Field(nullable=False)
    created_at: datetime = _utc(now=True)
    finished_at: datetime | None = _utc(nullable=True)
    sender: str | None = _text()
    text: str | None = _text()
    callback_data: str | None = _text()
    principal_entity_id: str | None = _text()
    content_template_id: str | None = _text()


class Submission(SQLModel, table=True):
    """One HTTP request to Infobip with many messages; its ID goes out as `bulkId`. Outcome null: open."""

    __table_args__ = (
        sa.Index("submission_open", "lease_until", postgresql_where=sa.text("outcome IS NULL")),
        sa.Index("submission_absent", "lane_id", "absent_until", postgresql_where=sa.text("absent_until IS NOT NULL")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    parent_id: UUID | None = None  # the submission this one resubmits or splits
    # Every ID under which Infobip may know the attempts in here: the ancestors' and its own.
    bulk_ids: list[UUID] = _ids()
    lane_id: UUID = Field(nullable=False)
    credential_version: int = Field(nullable=False)
    message_count: int = Field(nullable=False)
    opened_at: datetime = _utc()
    lease_until: datetime = _utc()
    closed_at: datetime | None = _utc(nullable=True)
    outcome: str | None = _text()
    detail: str | None = _text()  # Infobip's own words, or the network's
    absent_until: datetime | None = _utc(nullable=True)  # until then, absent attempts of it go out again


class Attempt(SQLModel, table=True):
    """One try to hand one message to Infobip, one `messageId`. Numbers start at 1."""

    __table_args__ = (
        sa.Index("attempt_submission", "submission_id"),
        sa.Index("attempt_look", "look_at", postgresql_where=sa.text("look_at IS NOT NULL")),
        sa.Index("attempt_doubt", "look_at", postgresql_where=sa.text(f"outcome IN ({listed(UNSETTLED)})")),
    )

    message_id: UUID = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=sa.SmallInteger)
    submission_id: UUID = Field(nullable=False)  # the newest
    started_at: datetime = _utc()
    answered_at: datetime | None = _utc(nullable=True)
    outcome: str | None = _text()
    code: str | None = _text()  # the status or error name that decided
    detail: str | None = _text()
    doubted_at: datetime | None = _utc(nullable=True)  # since when its fate was unknown; stays once settled
    looks: int = Field(default=0, sa_type=sa.SmallInteger, nullable=False)
    look_at: datetime | None = _utc(nullable=True)  # when to ask Infobip's logs next


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
    status_name: str | None = _text()
    status_group: str | None = _text()
    error_id: int | None = None
    error_name: str | None = _text()
    error_permanent: bool | None = None
    callback_data: str | None = _text()
    price: Decimal | None = Field(default=None, sa_type=sa.Numeric)  # of one message, in major units
    currency: str | None = _text()
    segment_count: int | None = None
    mcc_mnc: str | None = _text()
    source: str = _text(nullable=False)  # push or pull
    result: str = _text(nullable=False)  # applied, late, or noted (it changed nothing)
    sent_at: datetime | None = _utc(nullable=True)
    done_at: datetime | None = _utc(nullable=True)
    received_at: datetime = _utc(now=True)
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
    reason: str = _text(nullable=False)
    body: Any = _json()
    received_at: datetime = _utc(now=True)


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
    provider_id: str = _text(nullable=False)  # Infobip's ID of it
    channel: str = _text(nullable=False)
    sender: str = _text(nullable=False)  # digits without "+" where it is a number
    recipient: str | None = _text()
    text: str | None = _text()
    media: Any = _json()  # what an MMS holds beside its text
    action: str | None = _text()
    keyword: str | None = _text()  # the one that was met, as configured
    consent: str | None = _text()  # the state that it led to; null: it changed nothing
    reply: str | None = _text()  # the action whose message answers it
    reply_id: UUID | None = None  # our message in answer
    no_reply: str | None = _text()  # a code: why there is none
    segment_count: int | None = None
    price: Decimal | None = Field(default=None, sa_type=sa.Numeric)
    currency: str | None = _text()
    callback_data: str | None = _text()
    received_at: datetime = _utc()  # by Infobip, as it says; else when it came here
    created_at: datetime = _utc(now=True)


class Consent(SQLModel, table=True):
    """What a person has said of marketing from a credential, as it stands: the profile that a double opt-in creates.

    A `pending` that is not confirmed in time counts again as the state that it came from.
    """

    recipient: str = _text(nullable=False, primary_key=True)
    credential_id: UUID = Field(primary_key=True)
    state: str = _text(nullable=False)
    source: str = _text(nullable=False)
    blocked: bool = Field(default=False, nullable=False)  # Infobip reported it: nothing goes there, of no type
    pending_from: str | None = _text()
    pending_until: datetime | None = _utc(nullable=True)
    said_at: datetime | None = _utc(
        nullable=True
    )  # of keywords and blocks by Infobip's clock, else by ours or a caller's
    opted_out_at: datetime | None = _utc(nullable=True)  # the person's or Infobip's opt-out that stands
    changed_at: datetime = _utc(now=True)


class ConsentChange(SQLModel, table=True):
    """The history of consent: rows are only added."""

    __tablename__ = "consent_change"
    __table_args__ = (sa.Index("consent_change_recipient", "recipient", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    recipient: str = _text(nullable=False)
    credential_id: UUID = Field(nullable=False)
    state: str = _text(nullable=False)
    source: str = _text(nullable=False)
    blocked: bool = Field(default=False, nullable=False)
    reason: str | None = _text()  # the keyword, Infobip's code, or the caller's note
    inbound_id: UUID | None = None  # the message that said it
    message_id: UUID | None = None  # the message whose fate told it
    said_at: datetime | None = _utc(nullable=True)  # as in Consent
    changed_at: datetime = _utc(now=True)


class Tally(SQLModel, table=True):
    """How many messages of a batch or a lane are in a state, for a reason. Readers sum over the shards."""

    subject_id: UUID = Field(primary_key=True)  # a batch's or a lane's
    state: str = _text(nullable=False, primary_key=True)
    reason: str = _text("", nullable=False, primary_key=True)
    shard: int = Field(primary_key=True, sa_type=sa.SmallInteger)
    n: int = Field(sa_type=sa.BigInteger, nullable=False)


class IdempotencyKey(SQLModel, table=True):
    """The first 2xx answer to a request that creates, kept for the caller who repeats it."""

    __tablename__ = "idempotency_key"
    __table_args__ = (sa.Index("idempotency_key_age", "created_at"),)

    token_id: UUID = Field(primary_key=True)
    route: str = _text(nullable=False, primary_key=True)
    key: str = _text(nullable=False, primary_key=True)
    body_hash: bytes = Field(sa_type=sa.LargeBinary, nullable=False)
    status_code: int | None = None
    answer: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    created_at: datetime = _utc(now=True)


class ApiToken(SQLModel, table=True):
    """A caller of the API: the token's hash and its scopes."""

    __tablename__ = "api_token"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = _text(nullable=False)
    token_hash: bytes = Field(sa_type=sa.LargeBinary, nullable=False, unique=True)
    scopes: list[str] = _words()
    created_at: datetime = _utc(now=True)
    revoked_at: datetime | None = _utc(nullable=True)
