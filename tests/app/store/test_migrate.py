"""Migrations: they make what the models say, and can be taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect

from app.store import migrate
from app.store.models import metadata
from app.store.session import Database, open_database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    url = f"sqlite:///{tmp_path}/empty.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    database = open_database(url)
    yield database
    database.close()


def tables_of(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_migrations_make_what_the_models_say(empty: Database) -> None:
    assert not migrate.is_current(empty)
    migrate.upgrade(empty)
    assert migrate.is_current(empty)
    assert migrate.differences(empty) == []
    assert tables_of(empty) == set(metadata.tables)


def test_upgrade_of_a_newest_store_changes_nothing(empty: Database) -> None:
    migrate.upgrade(empty)
    migrate.upgrade(empty)
    assert migrate.differences(empty) == []


def test_missing_column_is_a_difference(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.transaction() as tx:
        tx.exec_driver_sql("ALTER TABLE facts ADD COLUMN odd INTEGER")
    assert len(migrate.differences(empty)) == 1


def test_downgrade_leaves_no_table_and_can_be_taken_back(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.transaction() as tx:
        command.downgrade(migrate._config(tx), "base")
    assert tables_of(empty) == set()
    assert not migrate.is_current(empty)
    migrate.upgrade(empty)
    assert migrate.differences(empty) == []


def test_processes_that_start_together_migrate_once(empty: Database) -> None:
    errors: list[Exception] = []
    start = threading.Barrier(3)

    def work() -> None:
        start.wait()
        try:
            migrate.upgrade(empty)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate.differences(empty) == []
