"""Single facts: the proof of the secret key, and turns taken by one process for all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy import Connection, delete

from app.security.sealing import Sealer, SealError
from app.store import facts
from app.store.models import facts as facts_table
from tests.app.store.stores import (
    Store,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

T = TypeVar("T")
OURS = Sealer.from_secret("our secret key of enough characters")
OTHER = Sealer.from_secret("another secret key, also long enough")


def together(store: Store, ask: Callable[[Connection], T]) -> list[T | Exception]:
    """What four transactions that begin at the same moment get."""
    start = threading.Barrier(4)
    found: list[T | Exception] = []

    def work() -> None:
        start.wait()
        try:
            with store.transaction() as tx:
                found.append(ask(tx))
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_store_knows_its_secret_key_again(store: Store) -> None:
    for _ in range(2):
        with store.transaction() as tx:
            facts.check_secret_key(tx, OURS)


def test_store_sealed_with_another_key_is_refused(store: Store) -> None:
    with store.transaction() as tx:
        facts.check_secret_key(tx, OURS)
    with pytest.raises(SealError), store.transaction() as tx:
        facts.check_secret_key(tx, OTHER)


def test_processes_that_start_together_on_a_new_store_all_start(store: Store) -> None:
    for _ in range(5):
        with store.transaction() as tx:
            tx.execute(delete(facts_table))
        assert (
            together(store, lambda tx: facts.check_secret_key(tx, OURS)) == [None] * 4
        )


def test_turn_is_taken_once_in_a_while(store: Store) -> None:
    for expected in (True, False):
        with store.transaction() as tx:
            assert facts.take_turn(tx, "sweep", every_s=60) is expected


def test_turn_comes_again_after_its_time(store: Store) -> None:
    with store.transaction() as tx:
        assert facts.take_turn(tx, "sweep", every_s=60)
        now_ms = store.now_ms()
        tx.execute(facts_table.update().values(value=str(now_ms - 60_001).encode()))
        assert facts.take_turn(tx, "sweep", every_s=60)
        assert not facts.take_turn(tx, "sweep", every_s=60)


def test_turns_of_different_names_are_apart(store: Store) -> None:
    with store.transaction() as tx:
        assert facts.take_turn(tx, "sweep", every_s=60)
        assert facts.take_turn(tx, "other", every_s=60)


def test_one_of_many_that_ask_together_gets_the_turn(store: Store) -> None:
    for _ in range(5):
        with store.transaction() as tx:
            tx.execute(delete(facts_table))
        found = together(store, lambda tx: facts.take_turn(tx, "sweep", every_s=60))
        assert sorted(found, key=str) == [False, False, False, True]
