"""inbound messages, consent and its history

Revision: 0004
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _at(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[datetime]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "inbound_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("media", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("keyword", sa.Text(), nullable=True),
        sa.Column("consent", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("reply_id", sa.Uuid(), nullable=True),
        sa.Column("no_reply", sa.Text(), nullable=True),
        sa.Column("segment_count", sa.Integer(), nullable=True),
        sa.Column("price", sa.Numeric(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("callback_data", sa.Text(), nullable=True),
        _at("received_at"),
        _at("created_at", now=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("credential_id", "provider_id", name="inbound_message_once"),
    )
    op.create_index("inbound_message_sender", "inbound_message", ["sender", "id"])
    op.create_index("inbound_message_action", "inbound_message", ["action", "id"])
    op.create_index("inbound_message_unsettled", "inbound_message", ["id"], postgresql_where=sa.text("action IS NULL"))
    op.create_index(
        "inbound_message_reply",
        "inbound_message",
        ["reply_id"],
        unique=True,
        postgresql_where=sa.text("reply_id IS NOT NULL"),
    )
    op.create_table(
        "consent",
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("pending_from", sa.Text(), nullable=True),
        _at("pending_until", nullable=True),
        _at("said_at", nullable=True),
        _at("opted_out_at", nullable=True),
        _at("changed_at", now=True),
        sa.PrimaryKeyConstraint("recipient", "credential_id"),
    )
    op.create_table(
        "consent_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("inbound_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        _at("said_at", nullable=True),
        _at("changed_at", now=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("consent_change_recipient", "consent_change", ["recipient", "id"])


def downgrade() -> None:
    op.drop_table("consent_change")
    op.drop_table("consent")
    op.drop_table("inbound_message")
