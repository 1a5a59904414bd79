"""Single facts about this store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.security.sealing import Sealer
from app.store.models import facts
from app.store.session import db_now

SECRET_KEY_FACT = "secret_key_check"
PROOF = "genrelay"


def check_secret_key(tx: Connection, sealer: Sealer) -> None:
    """Raise `SealError` when this store's secrets were sealed with another key.

    The first process to ask leaves the proof that later ones are held against.
    """
    first = _keep_first(tx, SECRET_KEY_FACT, sealer.seal(PROOF, SECRET_KEY_FACT))
    if not first:
        sealed = tx.execute(
            select(facts.c.value).where(facts.c.name == SECRET_KEY_FACT)
        ).scalar_one()
        sealer.unseal(sealed, SECRET_KEY_FACT)


def take_turn(tx: Connection, name: str, *, every_s: float) -> bool:
    """Whether it is time for something that one process does for all.

    True for the one that asks first after `every_s`.
    """
    now_ms = int(tx.execute(select(db_now())).scalar_one())
    mark = str(now_ms).encode()
    if _keep_first(tx, name, mark):
        return True
    last = tx.execute(
        select(facts.c.value).where(facts.c.name == name).with_for_update()
    ).scalar_one()
    if int(last) > now_ms - every_s * 1000:
        return False
    tx.execute(update(facts).where(facts.c.name == name).values(value=mark))
    return True


def _keep_first(tx: Connection, name: str, value: bytes) -> bool:
    """Write a fact down unless it is there; of several at once only one succeeds."""
    upsert: Any = (
        postgresql.insert(facts)
        if tx.dialect.name == "postgresql"
        else sqlite.insert(facts)
    )
    kept = tx.execute(
        upsert.values(name=name, value=value)
        .on_conflict_do_nothing()
        .returning(facts.c.name)
    )
    return kept.first() is not None
