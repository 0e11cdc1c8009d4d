"""What was done by whom, and how the counts went: rows are only added."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from worker.ids import new_id
from worker.models.columns import free_json, string, utc


class Audit(SQLModel, table=True):
    """One deed of a caller: configuration changed, a batch steered or replayed, consent set. A trigger of migration
    0007 refuses every UPDATE and DELETE."""

    __table_args__ = (sa.Index("audit_subject", "subject_id", "id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    at: datetime = utc(now="statement_timestamp()")
    token_id: UUID = Field(nullable=False)  # nil: the bootstrap token
    actor: str = string(nullable=False)  # the token's name then
    action: str = string(nullable=False)  # "credential.changed": the noun, and what was done
    subject_id: UUID | None = None
    subject: str = string(nullable=False)  # its name then, or its ID; of a person, the number's last four digits
    before: Any = free_json()  # what changed, as it was; no secret, no text, no number
    after: Any = free_json()
    request_id: str | None = string()


class ConsoleSession(SQLModel, table=True):
    """Somebody signed in to the console. The cookie holds a secret, this row its hash; a session may what its token
    may, for as long as that is not revoked."""

    __tablename__ = "console_session"
    __table_args__ = (sa.Index("console_session_age", "expires_at"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    secret_hash: bytes = Field(sa_type=sa.LargeBinary, nullable=False, unique=True)
    token_hash: bytes = Field(sa_type=sa.LargeBinary, nullable=False)
    created_at: datetime = utc(now=True)
    expires_at: datetime = utc()


class TrafficHistory(SQLModel, table=True):
    """All lanes of a channel and message type together, at an instant that is a whole multiple of ten seconds."""

    __tablename__ = "traffic_history"

    at: datetime = Field(sa_type=sa.DateTime(timezone=True), primary_key=True)
    channel: str = string(nullable=False, primary_key=True)
    message_type: str = string(nullable=False, primary_key=True)
    # {state: n}: of final states how many ever ended so, which never falls; of others how many are in it
    counts: Any = Field(sa_type=JSONB, nullable=False)


class BatchHistory(SQLModel, table=True):
    """A batch's messages by state, at an instant; closer together while it is young."""

    __tablename__ = "batch_history"

    batch_id: UUID = Field(primary_key=True)
    at: datetime = Field(sa_type=sa.DateTime(timezone=True), primary_key=True)
    counts: Any = Field(sa_type=JSONB, nullable=False)  # {state: n}
