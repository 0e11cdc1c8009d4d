"""attempts that go out again, refusals in a row, a former account

Revision: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

HELD = sa.text("paused_at IS NOT NULL OR held_through IS NOT NULL")
DOUBT = sa.text("outcome IN ('in doubt', 'absent')")
ABSENT = sa.text("absent_until IS NOT NULL")
LIVE = sa.text("state IN ('queued', 'sending', 'sent', 'retrying')")


def upgrade() -> None:
    op.create_index("attempt_doubt", "attempt", ["look_at"], postgresql_where=DOUBT)
    op.add_column("submission", sa.Column("absent_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index("submission_absent", "submission", ["lane_id", "absent_until"], postgresql_where=ABSENT)
    op.drop_index("message_live", table_name="message", postgresql_where=LIVE)
    op.create_index("message_ending", "message", ["state", "expires_at"], postgresql_where=LIVE)
    op.add_column("batch", sa.Column("pause_reason", sa.Text(), nullable=True))
    op.add_column("batch", sa.Column("held_through", sa.Uuid(), nullable=True))
    op.add_column("batch", sa.Column("refusal", sa.Text(), nullable=True))
    op.add_column("batch", sa.Column("refusals", sa.Integer(), server_default="0", nullable=False))
    op.create_index("batch_held", "batch", ["id"], postgresql_where=HELD)
    op.add_column("credential", sa.Column("account_since", sa.Integer(), server_default="1", nullable=False))
    op.add_column("lane", sa.Column("refusal", sa.Text(), nullable=True))
    op.add_column("lane", sa.Column("refusals", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "lane", sa.Column("refused_batches", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("lane", "refused_batches")
    op.drop_column("lane", "refusals")
    op.drop_column("lane", "refusal")
    op.drop_column("credential", "account_since")
    op.drop_index("batch_held", table_name="batch", postgresql_where=HELD)
    op.drop_column("batch", "refusals")
    op.drop_column("batch", "refusal")
    op.drop_column("batch", "held_through")
    op.drop_column("batch", "pause_reason")
    op.drop_index("message_ending", table_name="message", postgresql_where=LIVE)
    op.create_index("message_live", "message", ["expires_at"], postgresql_where=LIVE)
    op.drop_index("submission_absent", table_name="submission", postgresql_where=ABSENT)
    op.drop_column("submission", "absent_until")
    op.drop_index("attempt_doubt", table_name="attempt", postgresql_where=DOUBT)
