"""top-ups with a reference"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entries", sa.Column("reference", sa.String(length=100)))
    op.create_index(
        "ix_entries_client_id_reference",
        "entries",
        ["client_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
        sqlite_where=sa.text("reference IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_entries_client_id_reference", table_name="entries")
    op.drop_column("entries", "reference")
