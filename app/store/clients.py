"""Clients: who may send tasks, known by an API key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from app.store.ids import new_id
from app.store.models import clients
from app.store.session import db_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One API key and what it may do; instants are unix milliseconds."""

    id: str
    name: str
    key_prefix: str
    scopes: tuple[str, ...]
    group: str
    priority: int
    limits: Mapping[str, float]
    created_at: int
    expires_at: int | None
    revoked_at: int | None


def new_client_id() -> str:
    return f"client_{new_id()}"


def add(
    tx: Connection,
    *,
    client_id: str,
    name: str,
    key_hash: bytes,
    key_prefix: str,
    scopes: Sequence[str],
    webhook_secret: bytes,
    group: str = "default",
    priority: int = 1,
    limits: Mapping[str, float] | None = None,
    expires_at: int | None = None,
) -> None:
    """Keep a new key's hash and its sealed webhook secret; never the key."""
    tx.execute(
        insert(clients).values(
            id=client_id,
            name=name,
            key_hash=key_hash,
            key_prefix=key_prefix,
            scopes=list(scopes),
            webhook_secret=webhook_secret,
            group=group,
            priority=priority,
            limits=dict(limits or {}),
            spent=Decimal(0),
            spent_month="",
            created_at=db_now(),
            expires_at=expires_at,
        )
    )


def find_by_key_hash(tx: Connection, key_hash: bytes) -> Client | None:
    """The client of a key that is neither revoked nor expired."""
    found = _read(
        tx,
        clients.c.key_hash == key_hash,
        clients.c.revoked_at.is_(None),
        or_(clients.c.expires_at.is_(None), clients.c.expires_at > db_now()),
    )
    return found[0] if found else None


def find_by_name(tx: Connection, name: str) -> Client | None:
    """The client with this name, also when its key is revoked."""
    found = _read(tx, clients.c.name == name)
    return found[0] if found else None


def list_all(tx: Connection) -> list[Client]:
    """Every client, the oldest first."""
    return _read(tx)


def change(tx: Connection, client_id: str, **fields: Any) -> None:
    """Set some columns of a client."""
    tx.execute(update(clients).where(clients.c.id == client_id).values(**fields))


def revoke(tx: Connection, name: str) -> bool:
    """Take a key out of use; False when no usable key has this name."""
    return bool(
        tx.execute(
            update(clients)
            .where(clients.c.name == name, clients.c.revoked_at.is_(None))
            .values(revoked_at=db_now())
        ).rowcount
    )


def webhook_secrets(tx: Connection, client_id: str) -> list[bytes]:
    """The sealed secrets that sign this client's callbacks now, the newest first.

    After a rotation the old one signs too until its time is over.
    """
    row = tx.execute(
        select(
            clients.c.webhook_secret,
            clients.c.old_webhook_secret,
            (clients.c.old_webhook_secret_until > db_now()).label("old_counts"),
        ).where(clients.c.id == client_id)
    ).one()
    secrets = [row.webhook_secret]
    if row.old_webhook_secret is not None and row.old_counts:
        secrets.append(row.old_webhook_secret)
    return secrets


def rotate_webhook_secret(
    tx: Connection, client_id: str, sealed: bytes, *, overlap_s: float
) -> None:
    """Sign with a new secret, and for `overlap_s` with the present one too."""
    tx.execute(
        update(clients)
        .where(clients.c.id == client_id)
        .values(
            old_webhook_secret=clients.c.webhook_secret,
            old_webhook_secret_until=db_now() + int(overlap_s * 1000),
            webhook_secret=sealed,
        )
    )


def _read(tx: Connection, *where: object) -> list[Client]:
    columns = [clients.c[name] for name in Client.__slots__]
    query = select(*columns).where(*where).order_by(clients.c.created_at)  # type: ignore[arg-type]
    return [
        Client(**{**row, "scopes": tuple(row["scopes"])})
        for row in tx.execute(query).mappings()
    ]
