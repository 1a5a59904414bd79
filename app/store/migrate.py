"""Bring a store to the newest schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

from app.store.models import metadata
from app.store.session import Database

# Processes that start together must not migrate together.
MIGRATION_LOCK = 0x6D696772617465


def upgrade(database: Database) -> None:
    """Run the steps that are missing; safe to call from several processes."""
    with database.transaction() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        command.upgrade(_config(tx), "head")


def is_current(database: Database) -> bool:
    """Whether the store has the newest schema."""
    with database.reading() as tx:
        present = MigrationContext.configure(tx).get_current_revision()
    return present == ScriptDirectory.from_config(_config(None)).get_current_head()


def differences(database: Database) -> list[object]:
    """What the migrations leave different from `models.py`; empty when all is well."""
    with database.reading() as tx:
        return list(compare_metadata(MigrationContext.configure(tx), metadata))


def _config(tx: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = tx
    return config
