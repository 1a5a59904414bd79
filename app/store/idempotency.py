"""Answers kept under the client's `Idempotency-Key`, in the task's own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from app.errors import Conflict
from app.store.models import idempotency_keys as keys
from app.store.session import db_now


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The first answer under a key, and the hash of the body that it answered."""

    body_hash: bytes
    answer: Mapping[str, Any]


def find(
    tx: Connection, client_id: str, route: str, key: str, *, kept_s: float
) -> KeptAnswer | None:
    """The first answer under this key, if there is one that still counts."""
    row = tx.execute(
        select(keys.c.body_hash, keys.c.answer).where(
            keys.c.client_id == client_id,
            keys.c.route == route,
            keys.c.key == key,
            keys.c.created_at > db_now() - int(kept_s * 1000),
        )
    ).first()
    return KeptAnswer(row.body_hash, row.answer) if row else None


def keep(
    tx: Connection,
    client_id: str,
    route: str,
    key: str,
    *,
    body_hash: bytes,
    task_id: str,
    answer: Mapping[str, Any],
    kept_s: float,
) -> None:
    """Keep the first answer under a key; `Conflict` when another request was faster.

    Written in the transaction that adds the task, so that losing the race also undoes
    the task.
    """
    tx.execute(
        delete(keys).where(
            keys.c.client_id == client_id,
            keys.c.route == route,
            keys.c.key == key,
            keys.c.created_at <= db_now() - int(kept_s * 1000),
        )
    )
    try:
        tx.execute(
            insert(keys).values(
                client_id=client_id,
                route=route,
                key=key,
                body_hash=body_hash,
                task_id=task_id,
                answer=dict(answer),
                created_at=db_now(),
            )
        )
    except IntegrityError as error:
        raise Conflict(
            "another request with this Idempotency-Key is being answered; try again",
            code="idempotency_conflict",
        ) from error


def forget_old(tx: Connection, *, kept_s: float, limit: int) -> int:
    """Delete keys whose time is over; gives how many."""
    old = (
        select(keys.c.client_id, keys.c.route, keys.c.key)
        .where(keys.c.created_at <= db_now() - int(kept_s * 1000))
        .limit(limit)
    )
    rows = tx.execute(old).all()
    for row in rows:
        tx.execute(
            delete(keys).where(
                keys.c.client_id == row.client_id,
                keys.c.route == row.route,
                keys.c.key == row.key,
            )
        )
    return len(rows)
