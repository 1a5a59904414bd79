"""Clients: found by a usable key, and signed for by the secrets that count."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from app.store import clients
from app.store.clients import Client
from tests.app.store.stores import (
    Store,
    add_client,
    migrated_postgres,
    postgres_store,
    sqlite_store,
    store,
)

__all__ = ["migrated_postgres", "postgres_store", "sqlite_store", "store"]

HASH = bytes(range(32))


def add(store: Store, **fields: object) -> None:
    with store.transaction() as tx:
        add_client(tx, "client_2", **{"name": "second", "key_hash": HASH, **fields})


def find(store: Store, key_hash: bytes = HASH) -> Client | None:
    with store.reading() as tx:
        return clients.find_by_key_hash(tx, key_hash)


def secrets(store: Store) -> list[bytes]:
    with store.reading() as tx:
        return clients.webhook_secrets(tx, "client_2")


def rotate(store: Store, sealed: bytes) -> None:
    with store.transaction() as tx:
        clients.rotate_webhook_secret(tx, "client_2", sealed, overlap_s=3600)


def test_client_is_found_by_the_hash_of_its_key(store: Store) -> None:
    add(store, scopes=["admin"])
    client = find(store)
    assert client is not None
    assert (client.id, client.name, client.scopes) == ("client_2", "second", ("admin",))
    assert find(store, HASH[::-1]) is None


def test_expired_key_finds_nobody(store: Store) -> None:
    add(store, expires_at=store.now_ms() + 60_000)
    assert find(store)
    store.wait(61)
    assert find(store) is None


def test_revoked_key_finds_nobody_and_is_revoked_once(store: Store) -> None:
    add(store)
    with store.transaction() as tx:
        assert clients.revoke(tx, "second")
        assert not clients.revoke(tx, "second")
        assert not clients.revoke(tx, "nobody")
    assert find(store) is None
    with store.reading() as tx:
        kept = clients.find_by_name(tx, "second")
    assert kept is not None
    assert kept.revoked_at is not None


def test_name_belongs_to_one_client(store: Store) -> None:
    add(store)
    with pytest.raises(IntegrityError), store.transaction() as tx:
        add_client(tx, "client_3", name="second")


def test_clients_are_listed_the_oldest_first(store: Store) -> None:
    store.wait(5)
    add(store)
    with store.reading() as tx:
        assert [client.id for client in clients.list_all(tx)] == [
            "client_1",
            "client_2",
        ]


def test_old_and_new_secret_sign_while_one_rotates(store: Store) -> None:
    add(store, webhook_secret=b"first")
    assert secrets(store) == [b"first"]
    rotate(store, b"second")
    assert secrets(store) == [b"second", b"first"]


def test_old_secret_signs_no_longer_when_the_rotation_is_over(store: Store) -> None:
    add(store, webhook_secret=b"first")
    rotate(store, b"second")
    store.wait(3601)
    assert secrets(store) == [b"second"]


def test_second_rotation_keeps_the_last_secret_alone(store: Store) -> None:
    add(store, webhook_secret=b"first")
    rotate(store, b"second")
    rotate(store, b"third")
    assert secrets(store) == [b"third", b"second"]
