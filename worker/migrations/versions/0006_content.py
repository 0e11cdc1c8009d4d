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
# What waits for its turn asks the window when it comes; one whose surface switched windows off does not.
_ASK_WINDOW = """
    UPDATE message m SET leave_before = m.next_attempt_at
    FROM lane l
    WHERE l.id = m.lane_id AND l.message_type = 'marketing' AND m.recipient LIKE '91%'
      AND m.state IN ('queued', 'retrying')
      AND NOT EXISTS (SELECT FROM surface s WHERE s.id = m.surface_id AND s.sending_window = '"off"')
"""


def upgrade() -> None:
    for table, columns in (("batch", _CONTENT), ("message", _CONTENT | _OF_MESSAGES)):
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.add_column("batch", sa.Column("window_off_reason", sa.Text(), nullable=True))
    op.execute(_ASK_WINDOW)
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
