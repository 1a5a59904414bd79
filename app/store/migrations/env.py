"""Alembic runs this file; `app/store/migrate.py` calls it with an open connection."""

from __future__ import annotations

from alembic import context

from app.store.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
