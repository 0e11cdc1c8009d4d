"""first tables

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "attempt",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("doubted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looks", sa.SmallInteger(), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "number"),
    )
    op.create_index(
        "attempt_look", "attempt", ["look_at"], unique=False, postgresql_where=sa.text("look_at IS NOT NULL")
    )
    op.create_index("attempt_submission", "attempt", ["submission_id"], unique=False)
    op.create_table(
        "batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("surface_id", sa.Uuid(), nullable=False),
        sa.Column("lane_id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("callback_data", sa.Text(), nullable=True),
        sa.Column("principal_entity_id", sa.Text(), nullable=True),
        sa.Column("content_template_id", sa.Text(), nullable=True),
        sa.Column("validity_seconds", sa.Integer(), nullable=False),
        sa.Column("journey", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "batch_callback",
        "batch",
        [sa.literal_column('"left"(callback_data, 64)'), "id"],
        unique=False,
        postgresql_where=sa.text("callback_data IS NOT NULL"),
    )
    op.create_table(
        "credential",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("api_key", sa.LargeBinary(), nullable=False),
        sa.Column("api_key_hint", sa.Text(), nullable=False),
        sa.Column("opt_in_keywords", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("opt_in_message", sa.Text(), nullable=True),
        sa.Column("opt_out_keywords", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("opt_out_message", sa.Text(), nullable=True),
        sa.Column("help_keywords", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("help_message", sa.Text(), nullable=True),
        sa.Column("double_opt_in_keywords", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("double_opt_in_message", sa.Text(), nullable=True),
        sa.Column("principal_entity_id", sa.Text(), nullable=True),
        sa.Column("content_template_id", sa.Text(), nullable=True),
        sa.Column("validity_period_hours", sa.Integer(), nullable=False),
        sa.Column("callback_data", sa.Text(), nullable=True),
        sa.Column("inbound_number", sa.Text(), nullable=True),
        sa.Column("custom_keywords", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("default_reply_message", sa.Text(), nullable=True),
        sa.Column("fuzzy_opt_out_message", sa.Text(), nullable=True),
        sa.Column("inbound_pull", sa.Boolean(), nullable=False),
        sa.Column("messages_per_second", sa.Integer(), nullable=True),
        sa.Column("webhook_token", sa.LargeBinary(), nullable=False),
        sa.Column("previous_webhook_token", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "credential_name", "credential", ["name"], unique=True, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_table(
        "delivery_report",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("status_id", sa.Integer(), nullable=True),
        sa.Column("status_name", sa.Text(), nullable=True),
        sa.Column("status_group", sa.Text(), nullable=True),
        sa.Column("error_id", sa.Integer(), nullable=True),
        sa.Column("error_name", sa.Text(), nullable=True),
        sa.Column("error_permanent", sa.Boolean(), nullable=True),
        sa.Column("callback_data", sa.Text(), nullable=True),
        sa.Column("price", sa.Numeric(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("segment_count", sa.Integer(), nullable=True),
        sa.Column("mcc_mnc", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "transaction_id",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("message_id", "id"),
        sa.UniqueConstraint(
            "message_id",
            "attempt",
            "status_id",
            "done_at",
            name="delivery_report_once",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("delivery_report_feed", "delivery_report", ["transaction_id", "id"], unique=False)
    op.create_table(
        "idempotency_key",
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("token_id", "route", "key"),
    )
    op.create_index("idempotency_key_age", "idempotency_key", ["created_at"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("surface_id", sa.Uuid(), nullable=True),
        sa.Column("lane_id", sa.Uuid(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempt_count", sa.SmallInteger(), nullable=False),
        sa.Column("retry_count", sa.SmallInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("validity_seconds", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("callback_data", sa.Text(), nullable=True),
        sa.Column("principal_entity_id", sa.Text(), nullable=True),
        sa.Column("content_template_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "message_batch", "message", ["batch_id", "id"], unique=False, postgresql_where=sa.text("batch_id IS NOT NULL")
    )
    op.create_index(
        "message_callback",
        "message",
        [sa.literal_column('"left"(callback_data, 64)'), "id"],
        unique=False,
        postgresql_where=sa.text("callback_data IS NOT NULL"),
    )
    op.create_index(
        "message_due",
        "message",
        ["lane_id", "next_attempt_at", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'retrying') AND NOT held"),
    )
    op.create_index(
        "message_live",
        "message",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'sending', 'sent', 'retrying')"),
    )
    op.create_index("message_recipient", "message", ["recipient", "id"], unique=False)
    op.create_table(
        "submission",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("bulk_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("lane_id", sa.Uuid(), nullable=False),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "submission_open", "submission", ["lease_until"], unique=False, postgresql_where=sa.text("outcome IS NULL")
    )
    op.create_table(
        "tally",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "state", "reason", "shard"),
    )
    op.create_table(
        "unmatched_report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "lane",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credential.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("credential_id", "channel", "message_type"),
    )
    op.create_table(
        "surface",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("principal_entity_id", sa.Text(), nullable=True),
        sa.Column("content_template_id", sa.Text(), nullable=True),
        sa.Column("callback_data", sa.Text(), nullable=True),
        sa.Column("validity_seconds", sa.Integer(), nullable=True),
        sa.Column("default_country", sa.Text(), nullable=True),
        sa.Column("countries", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("require_opt_in", sa.Boolean(), nullable=False),
        sa.Column("dlt", sa.Text(), nullable=False),
        sa.Column("transliteration", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("sending_window", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("window_off_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credential.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("surface_name", "surface", ["name"], unique=True, postgresql_where=sa.text("deleted_at IS NULL"))


def downgrade() -> None:
    op.drop_index("surface_name", table_name="surface", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_table("surface")
    op.drop_table("lane")
    op.drop_table("unmatched_report")
    op.drop_table("tally")
    op.drop_index("submission_open", table_name="submission", postgresql_where=sa.text("outcome IS NULL"))
    op.drop_table("submission")
    op.drop_index("message_recipient", table_name="message")
    op.drop_index(
        "message_live",
        table_name="message",
        postgresql_where=sa.text("state IN ('queued', 'sending', 'sent', 'retrying')"),
    )
    op.drop_index(
        "message_due", table_name="message", postgresql_where=sa.text("state IN ('queued', 'retrying') AND NOT held")
    )
    op.drop_index("message_callback", table_name="message", postgresql_where=sa.text("callback_data IS NOT NULL"))
    op.drop_index("message_batch", table_name="message", postgresql_where=sa.text("batch_id IS NOT NULL"))
    op.drop_table("message")
    op.drop_index("idempotency_key_age", table_name="idempotency_key")
    op.drop_table("idempotency_key")
    op.drop_index("delivery_report_feed", table_name="delivery_report")
    op.drop_table("delivery_report")
    op.drop_index("credential_name", table_name="credential", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_table("credential")
    op.drop_index("batch_callback", table_name="batch", postgresql_where=sa.text("callback_data IS NOT NULL"))
    op.drop_table("batch")
    op.drop_index("attempt_submission", table_name="attempt")
    op.drop_index("attempt_look", table_name="attempt", postgresql_where=sa.text("look_at IS NOT NULL"))
    op.drop_table("attempt")
    op.drop_table("api_token")
