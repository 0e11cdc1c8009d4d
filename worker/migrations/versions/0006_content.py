"""content: DLT templates, segments, sending windows, MMS

Revision: 0006
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_JSON = postgresql.JSONB(astext_type=sa.Text())
_CONTENT: dict[str, Any] = {
    "mms": _JSON,
    "transliteration": sa.Text(),
    "language": _JSON,
    "sending_window": _JSON,
    "encoding": sa.Text(),
    "segment_count": sa.SmallInteger(),
    "characters_left": sa.SmallInteger(),
    "forcing": sa.Text(),
}
_OF_MESSAGES: dict[str, Any] = {"leave_before": sa.DateTime(timezone=True), "warning": sa.Text()}
# A surface that switched windows off had them off for all that was accepted there: from now on each batch and each
# single send says so itself. Those that may yet leave are found along the indexes of what goes on.
_OFF_BATCHES = """
    UPDATE batch b SET sending_window = s.sending_window, window_off_reason = s.window_off_reason
    FROM surface s
    WHERE s.id = b.surface_id AND s.sending_window = '"off"' AND b.is_over >= false AND b.is_over <= false
"""
_OFF_SINGLE_SENDS = """
    UPDATE message m SET sending_window = s.sending_window
    FROM surface s
    WHERE s.id = m.surface_id AND s.sending_window = '"off"' AND m.batch_id IS NULL
      AND m.state IN ('queued', 'sending', 'retrying', 'sent')
"""
# What waits for its turn asks the window when it comes, and so does what is on its way, should it have to go again; one
# whose surface switched windows off does not.
_ASK_WINDOW = """
    UPDATE message m SET leave_before = coalesce(m.next_attempt_at, statement_timestamp())
    FROM lane l
    WHERE l.id = m.lane_id AND l.message_type = 'marketing' AND m.recipient LIKE '91%'
      AND m.state IN ('queued', 'sending', 'retrying')
      AND NOT EXISTS (SELECT FROM surface s WHERE s.id = m.surface_id AND s.sending_window = '"off"')
"""
# Before the rows are locked: so those who change templates wait for each other here, and never in a circle.
_NEW_EDITION = """
    CREATE FUNCTION new_dlt_edition() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO dlt_edition (id, edition) VALUES (1, gen_random_uuid())
        ON CONFLICT (id) DO UPDATE SET edition = excluded.edition;
        RETURN NULL;
    END
    $$
"""
_ON_CHANGE = """
    CREATE TRIGGER dlt_template_changed BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON dlt_template
    FOR EACH STATEMENT EXECUTE FUNCTION new_dlt_edition()
"""


def upgrade() -> None:
    for table, columns in (("batch", _CONTENT), ("message", _CONTENT | _OF_MESSAGES)):
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.add_column("batch", sa.Column("window_off_reason", sa.Text(), nullable=True))
    for statement in (_OFF_BATCHES, _OFF_SINGLE_SENDS, _ASK_WINDOW):
        op.execute(statement)
    op.add_column("credential", sa.Column("rate_unit", sa.Text(), server_default="messages", nullable=False))
    op.add_column("surface", sa.Column("fallback_sender", sa.Text(), nullable=True))
    # Nothing was ever stored in it: the API took none.
    op.alter_column("surface", "language", type_=_JSON, postgresql_using="NULL")
    op.create_table(
        "dlt_template",
        sa.Column("id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("content_template_id", "principal_entity_id")),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("headers", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("url_allow_list", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        *_times("created_at", "updated_at"),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "dlt_template_registered",
        "dlt_template",
        ["principal_entity_id", "content_template_id"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "dlt_edition",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("edition", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(_NEW_EDITION)
    op.execute(_ON_CHANGE)
    op.create_table(
        "media",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("byte_count", sa.Integer(), nullable=False),
        sa.Column("uploaded_content_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        *_times("created_at"),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"]),
    )


def downgrade() -> None:
    op.drop_table("media")
    op.drop_table("dlt_template")
    op.execute("DROP FUNCTION new_dlt_edition")
    op.drop_table("dlt_edition")
    op.alter_column("surface", "language", type_=sa.Text(), postgresql_using="NULL")
    op.drop_column("batch", "window_off_reason")
    op.drop_column("surface", "fallback_sender")
    op.drop_column("credential", "rate_unit")
    for table, columns in (("batch", _CONTENT), ("message", _CONTENT | _OF_MESSAGES)):
        for name in columns:
            op.drop_column(table, name)


def _times(*names: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False) for name in names
    ]
