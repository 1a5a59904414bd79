"""Channels: accounts at providers with their keys, and whether they are usable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Table,
    and_,
    case,
    func,
    insert,
    not_,
    null,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from app.errors import Conflict
from app.store.ids import new_id
from app.store.models import channel_keys, channels
from app.store.session import db_now

REASON_LENGTH = 500
# How fast the error rate follows: about the last twenty outcomes count.
ERROR_WEIGHT = 0.1
# Begins the reason of a pause that workers neither shorten nor end before its time.
BY_OPERATOR = "by an operator"
UNTIL_RESUMED_S = 10 * 365 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelKey:
    """One secret of a channel, sealed; instants are unix milliseconds."""

    id: str
    channel_id: str
    name: str
    secret: bytes
    failure_count: int
    paused_until: int | None
    pause_reason: str | None
    removed_at: int | None

    def __repr__(self) -> str:
        return f"ChannelKey({self.id!r}, {self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One account at a provider.

    `models` maps the names that clients use to the upstream's; empty means that every
    model of the provider is served under its own name. `groups` are the groups of
    clients that it serves; empty means all. `keys` has removed ones too: they serve
    the submissions that they sent. Instants are unix milliseconds.
    """

    id: str
    name: str
    provider: str
    base_url: str
    webhook_secret: bytes | None
    groups: Sequence[str]
    models: Mapping[str, str]
    weight: int
    priority: int
    limits: Mapping[str, float]
    settings: Mapping[str, str]
    enabled: bool
    origin: str
    failure_count: int
    error_rate: float
    paused_until: int | None
    pause_reason: str | None
    removed_at: int | None
    keys: tuple[ChannelKey, ...] = ()

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, {self.provider!r})"

    @property
    def usable_keys(self) -> tuple[ChannelKey, ...]:
        """The keys that may send something new, paused ones included."""
        return tuple(key for key in self.keys if key.removed_at is None)


def new_channel_id() -> str:
    return f"ch_{new_id()}"


def new_key_id() -> str:
    return f"key_{new_id()}"


def add(
    tx: Connection,
    *,
    channel_id: str,
    name: str,
    provider: str,
    base_url: str,
    webhook_secret: bytes | None = None,
    groups: Sequence[str] = (),
    models: Mapping[str, str],
    weight: int = 1,
    priority: int = 0,
    limits: Mapping[str, float] | None = None,
    settings: Mapping[str, str] | None = None,
    enabled: bool = True,
    origin: str = "cli",
) -> None:
    """Keep a new channel; `add_key` gives it keys. `Conflict`: a taken name."""
    try:
        tx.execute(
            insert(channels).values(
                id=channel_id,
                name=name,
                provider=provider,
                base_url=base_url,
                webhook_secret=webhook_secret,
                groups=list(groups),
                models=dict(models),
                weight=weight,
                priority=priority,
                limits=dict(limits or {}),
                settings=dict(settings or {}),
                enabled=enabled,
                origin=origin,
                failure_count=0,
                error_rate=0.0,
                created_at=db_now(),
                updated_at=db_now(),
            )
        )
    except IntegrityError as error:
        raise Conflict(f"there is a channel named {name!r} already") from error


def add_key(
    tx: Connection, *, key_id: str, channel_id: str, name: str, secret: bytes
) -> None:
    """Give a channel a key, sealed for `key:<key_id>`."""
    tx.execute(
        insert(channel_keys).values(
            id=key_id,
            channel_id=channel_id,
            name=name,
            secret=secret,
            failure_count=0,
            created_at=db_now(),
        )
    )


def remove_key(tx: Connection, key: ChannelKey) -> None:
    """Take a key out of use; it serves the submissions that it sent to their end."""
    tx.execute(
        update(channel_keys)
        .where(channel_keys.c.id == key.id)
        .values(removed_at=db_now(), name=f"{key.name[:40]} (removed {key.id[-8:]})")
    )


def change(tx: Connection, channel_id: str, **fields: Any) -> None:
    """Set some columns of a channel."""
    tx.execute(
        update(channels)
        .where(channels.c.id == channel_id)
        .values(**fields, updated_at=db_now())
    )


def list_all(tx: Connection, *, removed: bool = False) -> list[Channel]:
    """Every channel by name; removed ones, which only drain, on request."""
    keys: dict[str, list[ChannelKey]] = {}
    key_columns = [channel_keys.c[name] for name in ChannelKey.__slots__]
    for row in tx.execute(
        select(*key_columns).order_by(channel_keys.c.created_at, channel_keys.c.name)
    ).mappings():
        keys.setdefault(row["channel_id"], []).append(ChannelKey(**row))
    columns = [channels.c[name] for name in Channel.__slots__ if name != "keys"]
    query = select(*columns).order_by(channels.c.name)
    if not removed:
        query = query.where(channels.c.removed_at.is_(None))
    return [
        Channel(**row, keys=tuple(keys.get(row["id"], ())))
        for row in tx.execute(query).mappings()
    ]


def find_by_name(tx: Connection, name: str) -> Channel | None:
    """The channel with this name, unless it was removed."""
    return next((c for c in list_all(tx) if c.name == name), None)


def remove(tx: Connection, channel: Channel) -> None:
    """Take a channel out of use; it stays readable until its submissions end."""
    change(
        tx,
        channel.id,
        enabled=False,
        removed_at=db_now(),
        name=name_when_removed(channel.name, channel.id),
    )


def name_when_removed(name: str, channel_id: str) -> str:
    """What a channel is called once it is removed: its name may be taken again."""
    return f"{name[:60]} (removed {channel_id[-8:]})"


def pause(tx: Connection, channel_id: str, pause_s: float, reason: str) -> None:
    """Send nothing new to a channel for a while."""
    _pause(tx, channels, channel_id, pause_s, reason)


def pause_by_hand(
    tx: Connection, channel_id: str, pause_s: float | None, reason: str
) -> None:
    """An operator's pause, until `resume` when no length is given."""
    reason = f"{BY_OPERATOR}: {reason}" if reason else BY_OPERATOR
    length_s = UNTIL_RESUMED_S if pause_s is None else pause_s
    _pause(tx, channels, channel_id, length_s, reason, by_hand=True)


def pause_key(tx: Connection, key_id: str, pause_s: float, reason: str) -> None:
    """Send nothing new with a key for a while; count the failure."""
    _pause(tx, channel_keys, key_id, pause_s, reason)
    tx.execute(
        update(channel_keys)
        .where(channel_keys.c.id == key_id)
        .values(failure_count=channel_keys.c.failure_count + 1)
    )


def count_failure(tx: Connection, channel_id: str) -> tuple[int, float]:
    """Count a failure of a channel; gives the failures in a row and the error rate."""
    row = tx.execute(
        update(channels)
        .where(channels.c.id == channel_id)
        .values(
            failure_count=channels.c.failure_count + 1,
            error_rate=channels.c.error_rate * (1 - ERROR_WEIGHT) + ERROR_WEIGHT,
        )
        .returning(channels.c.failure_count, channels.c.error_rate)
    ).one()
    return row.failure_count, row.error_rate


def count_success(tx: Connection, channel: Channel, key: ChannelKey | None) -> None:
    """A channel took something: it and its key are well. Writes only what is news."""
    if channel.failure_count or channel.error_rate > 0.01 or channel.paused_until:
        # Handed over before an operator paused the channel: that pause stays.
        by_hand = and_(
            channels.c.pause_reason.startswith(BY_OPERATOR),
            channels.c.pause_reason.is_distinct_from(channel.pause_reason),
        )
        tx.execute(
            update(channels)
            .where(channels.c.id == channel.id)
            .values(
                failure_count=0,
                error_rate=channels.c.error_rate * (1 - ERROR_WEIGHT),
                paused_until=case((by_hand, channels.c.paused_until), else_=null()),
                pause_reason=case((by_hand, channels.c.pause_reason), else_=null()),
            )
        )
    if key is not None and (key.failure_count or key.paused_until):
        resume_key(tx, key.id)


def take_probe(tx: Connection, row: Channel | ChannelKey, lease_s: float) -> bool:
    """Whether this worker may try a channel or key whose pause is over.

    One at a time: whoever takes the probe pauses it again for the others until its
    outcome is known.
    """
    table = channels if isinstance(row, Channel) else channel_keys
    return bool(
        tx.execute(
            update(table)
            .where(table.c.id == row.id, table.c.paused_until <= db_now())
            .values(paused_until=db_now() + int(lease_s * 1000))
        ).rowcount
    )


def resume(tx: Connection, channel_id: str) -> None:
    """Forget the failures of a channel and of all its keys."""
    change(
        tx,
        channel_id,
        failure_count=0,
        error_rate=0.0,
        paused_until=null(),
        pause_reason=null(),
    )
    tx.execute(
        update(channel_keys)
        .where(channel_keys.c.channel_id == channel_id)
        .values(failure_count=0, paused_until=null(), pause_reason=null())
    )


def resume_key(tx: Connection, key_id: str) -> None:
    """Forget the failures of a key."""
    tx.execute(
        update(channel_keys)
        .where(channel_keys.c.id == key_id)
        .values(failure_count=0, paused_until=null(), pause_reason=null())
    )


def _pause(
    tx: Connection,
    table: Table,
    row_id: str,
    pause_s: float,
    reason: str,
    *,
    by_hand: bool = False,
) -> None:
    until = db_now() + int(pause_s * 1000)
    row = table.c.id == row_id
    if not by_hand:
        longer_by_hand = and_(
            table.c.pause_reason.startswith(BY_OPERATOR), table.c.paused_until > until
        )
        row = and_(row, not_(func.coalesce(longer_by_hand, False)))
    tx.execute(
        update(table)
        .where(row)
        .values(
            paused_until=until,
            pause_reason=reason.replace("\x00", "")[:REASON_LENGTH],
        )
    )
