"""how long jobs take"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "durations",
        sa.Column("channel_id", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("weights", sa.JSON(), nullable=False),
        sa.Column("job_count", sa.Integer(), nullable=False),
        sa.Column("called_share", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_durations_channel_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_id", "model", name=op.f("pk_durations")),
    )
    # Not in a batch: SQLite would copy the whole table for two empty columns.
    op.add_column("submissions", sa.Column("looked_at", sa.BigInteger()))
    op.add_column("submissions", sa.Column("called_at", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("submissions", "called_at")
    op.drop_column("submissions", "looked_at")
    op.drop_table("durations")
