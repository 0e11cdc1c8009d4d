"""replays, rejected rows, steered batches, and events with their endpoints

Revision: 0005
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FORMER_HELD = "paused_at IS NOT NULL OR held_through IS NOT NULL"
_STEERED = f"{_FORMER_HELD} OR move_to IS NOT NULL OR (cancelled_at IS NOT NULL AND NOT is_cleared)"
_UNDELIVERED = "'failed', 'expired', 'suppressed', 'cancelled', 'unconfirmed'"
_SAYS_WHY = f"(state IN ('retrying', {_UNDELIVERED}) OR reason = 'delivered_late')"
_TRANSACTION = """greatest((pg_current_xact_id()::text)::bigint,
    (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint - 1)"""


_IS_DONE = "(is_over AND cancelled_at IS NULL)"
# Along the index of its messages, however little the planner knows of them.
_BACKFILL = """
    UPDATE batch b SET
        messages_through = coalesce((
            SELECT m.id FROM message m WHERE m.batch_id IS NOT NULL
              AND (m.batch_id, m.id) >= (b.id, b.id) AND (m.batch_id, m.id) <= (b.id, CAST(repeat('f', 32) AS uuid))
            ORDER BY m.batch_id DESC, m.id DESC LIMIT 1), b.id),
        is_over = (
            SELECT coalesce(sum(n), 0) = 0 FROM tally
            WHERE subject_id = b.id AND state IN ('queued', 'sending', 'sent', 'retrying'))
"""


def _at(name: str, *, nullable: bool = False, now: str | None = None) -> sa.Column[datetime]:
    default = sa.text(now) if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def upgrade() -> None:
    op.add_column("batch", sa.Column("journey_id", sa.Text(), nullable=True))
    op.add_column("batch", sa.Column("messages_per_second", sa.Integer(), nullable=True))
    op.add_column("batch", sa.Column("rejected_count", sa.Integer(), server_default="0", nullable=False))
    op.add_column("batch", sa.Column("replay_of", sa.Uuid(), nullable=True))
    op.add_column("batch", sa.Column("is_cleared", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("batch", _at("move_to", nullable=True))
    op.add_column("batch", sa.Column("swept_through", sa.Uuid(), nullable=True))
    op.add_column("batch", sa.Column("moved", sa.Integer(), server_default="0", nullable=False))
    op.add_column("batch", sa.Column("messages_through", sa.Uuid(), nullable=True))
    op.add_column("batch", sa.Column("is_over", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(_BACKFILL)
    op.alter_column("batch", "messages_through", nullable=False)
    op.drop_index("batch_held", table_name="batch")
    _create_batch_indexes()
    op.create_index(
        "message_undelivered", "message", ["state", "id"], postgresql_where=sa.text(f"state IN ({_UNDELIVERED})")
    )
    op.create_index(
        "message_reason",
        "message",
        ["reason", "id"],
        postgresql_where=sa.text(f"reason IS NOT NULL AND {_SAYS_WHY}"),
    )
    op.create_index(
        "message_single",
        "message",
        ["surface_id", "id"],
        postgresql_where=sa.text("batch_id IS NULL AND surface_id IS NOT NULL"),
    )
    op.create_index("message_origin", "message", ["origin", "id"], postgresql_where=sa.text("origin <> 'api'"))
    _index_callbacks('"left"(callback_data COLLATE "C", 64)')
    op.create_table(
        "replayed",
        sa.Column("source_message_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("root_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("source_message_id"),
        sa.UniqueConstraint("message_id"),
    )
    op.create_index("replayed_root", "replayed", ["root_id"])
    op.create_table(
        "rejected_row",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "row"),
    )
    _create_events()


def _create_batch_indexes() -> None:
    op.create_index("batch_steered", "batch", ["id"], postgresql_where=sa.text(_STEERED))
    op.create_index("batch_journey", "batch", ["journey_id", "id"], postgresql_where=sa.text("journey_id IS NOT NULL"))
    op.create_index("batch_replay_of", "batch", ["replay_of", "id"], postgresql_where=sa.text("replay_of IS NOT NULL"))
    op.create_index("batch_surface", "batch", ["surface_id", "id"])
    op.execute("CREATE TYPE id_range AS RANGE (subtype = uuid)")
    op.create_index(
        "batch_under_way",
        "batch",
        [sa.literal_column("id_range(id, messages_through)")],
        postgresql_using="gist",
    )
    op.create_index("batch_live", "batch", ["is_over", "id"], postgresql_where=sa.text("is_over <= false"))
    op.create_index(
        "batch_not_done",
        "batch",
        [sa.literal_column(_IS_DONE), "id"],
        postgresql_where=sa.text(f"{_IS_DONE} <= false"),
    )


def _index_callbacks(start: str) -> None:
    for table in ("batch", "message"):
        op.drop_index(f"{table}_callback", table_name=table)
        op.create_index(
            f"{table}_callback",
            table,
            [sa.literal_column(start), "id"],
            postgresql_where=sa.text("callback_data IS NOT NULL"),
        )


def _create_events() -> None:
    op.create_table(
        "event",
        sa.Column("transaction_id", sa.BigInteger(), server_default=sa.text(_TRANSACTION), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        _at("next_at", nullable=True),
        _at("at", now="statement_timestamp()"),
        sa.PrimaryKeyConstraint("transaction_id", "id"),
    )
    op.create_table(
        "event_endpoint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        _at("rotated_at", nullable=True),
        sa.Column("types", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("told_transaction", sa.BigInteger(), nullable=False),
        sa.Column("told_event", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        _at("lease_until", nullable=True),
        _at("next_try_at", nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        _at("failing_since", nullable=True),
        _at("disabled_at", nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        _at("created_at", now="now()"),
        _at("updated_at", now="now()"),
        _at("deleted_at", nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "event_endpoint_name",
        "event_endpoint",
        ["name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "event_delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("after_transaction", sa.BigInteger(), nullable=False),
        sa.Column("after_event", sa.BigInteger(), nullable=False),
        sa.Column("through_transaction", sa.BigInteger(), nullable=False),
        sa.Column("through_event", sa.BigInteger(), nullable=False),
        sa.Column("event_count", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        _at("created_at", now="now()"),
        _at("delivered_at", nullable=True),
        _at("dropped_at", nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("event_delivery_endpoint", "event_delivery", ["endpoint_id", "id"])
    op.create_index(
        "event_delivery_open",
        "event_delivery",
        ["endpoint_id"],
        unique=True,
        postgresql_where=sa.text("delivered_at IS NULL AND dropped_at IS NULL"),
    )
    op.create_table(
        "event_try",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        _at("at", now="now()"),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "number"),
    )
    op.create_table(
        "cluster",
        sa.Column("system_identifier", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("database_oid", sa.BigInteger(), nullable=False),
        sa.Column("table_oid", sa.BigInteger(), nullable=False),
        sa.Column("era", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("system_identifier"),
    )


def downgrade() -> None:
    for table in ("cluster", "event_try", "event_delivery", "event_endpoint", "event", "rejected_row", "replayed"):
        op.drop_table(table)
    _index_callbacks('"left"(callback_data, 64)')
    for index in ("message_origin", "message_single", "message_reason", "message_undelivered"):
        op.drop_index(index, table_name="message")
    for index in ("not_done", "live", "under_way", "surface", "replay_of", "journey", "steered"):
        op.drop_index(f"batch_{index}", table_name="batch")
    op.execute("DROP TYPE id_range")
    for name in (
        *("moved", "swept_through", "move_to", "is_cleared", "replay_of", "rejected_count", "messages_per_second"),
        *("is_over", "messages_through", "journey_id"),
    ):
        op.drop_column("batch", name)
    op.create_index("batch_held", "batch", ["id"], postgresql_where=sa.text(_FORMER_HELD))
