"""Databases: transactions that hold or leave nothing, and one clock for all."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import OperationalError

from app.lifecycle import State
from app.news import News
from app.store.models import facts
from app.store.session import Database, db_now, note_change, open_database
from tests.app.store.stores import (
    Store,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    sqlite_url,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

A_FACT = insert(facts).values(name="one", value=b"1")


def test_transaction_that_fails_changes_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction() as tx:
            tx.execute(A_FACT)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert store.rows(facts) == []


def test_connection_for_reading_keeps_nothing(store: Store) -> None:
    with store.reading() as tx:
        tx.execute(A_FACT)
    assert store.rows(facts) == []


def test_reader_does_not_wait_for_a_writer(store: Store) -> None:
    with store.transaction() as writer:
        writer.execute(A_FACT)
        with store.reading() as tx:
            assert tx.execute(select(facts.c.name)).all() == []


def test_clock_is_the_databases_in_milliseconds(store: Store) -> None:
    assert store.now_ms() == pytest.approx(time.time() * 1000, abs=60_000)


def test_clock_goes_on_within_a_transaction(postgres_store: Store) -> None:
    with postgres_store.reading() as tx:
        first = tx.execute(select(db_now())).scalar_one()
        tx.execute(text("SELECT pg_sleep(0.01)"))
        assert tx.execute(select(db_now())).scalar_one() > first


def test_clock_of_sqlite_may_be_a_hands(tmp_path: Path) -> None:
    database = open_database(sqlite_url(tmp_path), clock=lambda: 12.5)
    with database.reading() as tx:
        assert tx.execute(select(db_now())).scalar_one() == 12_500
    database.close()


def test_threads_that_write_at_once_all_come_through(store: Store) -> None:
    start = threading.Barrier(8)
    errors: list[Exception] = []

    def work(n: int) -> None:
        start.wait()
        try:
            for turn in range(5):
                with store.transaction() as tx:
                    tx.execute(select(facts.c.name)).all()
                    tx.execute(insert(facts).values(name=f"{n}-{turn}", value=b""))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.rows(facts)) == 40


def test_two_processes_may_write_to_one_sqlite_file(sqlite_store: Store) -> None:
    url = sqlite_store.database.engine.url.render_as_string()
    other = open_database(url)
    start = threading.Barrier(2)
    errors: list[Exception] = []

    def work(database: Database, name: str) -> None:
        start.wait()
        try:
            for turn in range(10):
                with database.transaction() as tx:
                    tx.execute(select(facts.c.name)).all()
                    tx.execute(insert(facts).values(name=f"{name}{turn}", value=b""))
        except Exception as error:
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=pair)
        for pair in ((sqlite_store.database, "a"), (other, "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert errors == []
    assert len(sqlite_store.rows(facts)) == 20


def test_sqlite_keeps_foreign_keys_and_survives_a_loss_of_power(
    tmp_path: Path,
) -> None:
    database = open_database(f"sqlite:///{tmp_path}/new.db")
    with database.reading() as tx:
        assert tx.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert tx.execute(text("PRAGMA synchronous")).scalar() == 2
        assert tx.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    database.close()


def test_connection_that_the_server_closed_is_replaced(postgres_store: Store) -> None:
    database = open_database(
        postgres_store.database.engine.url.render_as_string(hide_password=False),
        pool_size=1,
    )
    with database.reading() as tx:
        backend = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with postgres_store.transaction() as tx:
        tx.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})
    with database.reading() as tx:
        assert tx.execute(text("SELECT pg_backend_pid()")).scalar_one() != backend
    database.close()


def test_database_that_is_not_there_is_an_operational_error() -> None:
    database = open_database("postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(OperationalError), database.reading():
        pass


def test_changes_are_told_after_the_commit_alone(tmp_path: Path) -> None:
    news, heard = News(), list[dict[str, State]]()
    news.listen(lambda changes: heard.append(dict(changes)))
    database = open_database(sqlite_url(tmp_path), news=news)

    with database.transaction() as tx:
        note_change(tx, "a", State.PROCESSING)
        note_change(tx, "a", State.SUCCEEDED)
        assert heard == []
    with suppress(ZeroDivisionError), database.transaction() as tx:
        note_change(tx, "b", State.FAILED)
        raise ZeroDivisionError
    with database.transaction():
        pass

    assert heard == [{"a": State.SUCCEEDED}]
    database.close()
