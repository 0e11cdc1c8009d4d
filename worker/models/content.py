"""What is sent: templates registered for India DLT, and files uploaded to Infobip."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from worker.ids import new_id
from worker.models.columns import string, utc, words


class DltTemplate(SQLModel, table=True):
    """A content template as an operator's DLT portal registered it, for one principal entity."""

    __tablename__ = "dlt_template"
    __table_args__ = (
        sa.Index(
            "dlt_template_registered",
            "principal_entity_id",
            "content_template_id",
            unique=True,
            postgresql_where=sa.text("deleted_at IS NULL"),
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    content_template_id: str = string(nullable=False)
    principal_entity_id: str = string(nullable=False)
    name: str = string(nullable=False)
    headers: list[str] = words()  # senders it is linked to; empty: any of the entity's
    category: str = string(nullable=False)
    text: str = string(nullable=False)  # with {#var#} and typed placeholders
    language: str | None = string()
    url_allow_list: list[str] = words()
    version: int = Field(default=1, nullable=False)  # grows with each change
    created_at: datetime = utc(now=True)
    updated_at: datetime = utc(now=True)
    deleted_at: datetime | None = utc(nullable=True)


class DltEdition(SQLModel, table=True):
    """One row, or none where there was never a template: it is another after each change of `dlt_template`, whoever
    makes it (a trigger of migration 0006 writes it, in the same transaction). So who reads it first knows whether what
    was compiled still stands, and who changes templates waits for others who do."""

    __tablename__ = "dlt_edition"

    id: int = Field(sa_type=sa.SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})  # 1
    edition: UUID = Field(nullable=False)


class Media(SQLModel, table=True):
    """A file that was streamed up to Infobip: there it is, here is its reference."""

    id: UUID = Field(default_factory=new_id, primary_key=True)
    credential_id: UUID = Field(foreign_key="credential.id", nullable=False)
    name: str | None = string()
    content_type: str = string(nullable=False)
    byte_count: int = Field(nullable=False)
    uploaded_content_id: str = string(nullable=False)  # Infobip's
    expires_at: datetime = utc()  # until then Infobip keeps it
    created_at: datetime = utc(now=True)
