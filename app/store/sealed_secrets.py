"""Every sealed secret of the store, for rotation."""

from __future__ import annotations

from sqlalchemy import Column, Connection, LargeBinary, Table, select, update

from app.store.facts import SECRET_KEY_FACT
from app.store.models import channel_keys, channels, clients, facts

# What binds a secret to its row: the same words as where it was sealed.
BOUND_TO = {"clients": "client:", "channels": "channel:", "channel_keys": "key:"}

SEALED: tuple[tuple[Table, str], ...] = (
    (clients, "webhook_secret"),
    (clients, "old_webhook_secret"),
    (channels, "webhook_secret"),
    (channel_keys, "secret"),
)


def list_all(tx: Connection) -> list[tuple[str, str, str, bytes]]:
    """Table, column, row and value of every sealed secret, and of the key's proof."""
    found = []
    for table, column in SEALED:
        sealed: Column[bytes] = table.c[column]
        assert isinstance(sealed.type, LargeBinary)
        rows = tx.execute(select(table.c.id, sealed).where(sealed.is_not(None)))
        found += [(table.name, column, row[0], row[1]) for row in rows]
    proof = tx.execute(
        select(facts.c.value).where(facts.c.name == SECRET_KEY_FACT)
    ).scalar()
    if proof is not None:
        found.append(("facts", "value", SECRET_KEY_FACT, proof))
    return found


def aad_of(table: str, row_id: str) -> str:
    """What a secret of this row is bound to."""
    return BOUND_TO.get(table, "") + row_id


def change(tx: Connection, table: str, column: str, row_id: str, sealed: bytes) -> None:
    """Put a newly sealed value in the place of the old one."""
    if table == facts.name:
        tx.execute(update(facts).where(facts.c.name == row_id).values(value=sealed))
        return
    target = next(known for known, _ in SEALED if known.name == table)
    tx.execute(update(target).where(target.c.id == row_id).values({column: sealed}))
