"""Money: prices, and what clients have held, settled and released.

A hold is taken off a client's balance in the transaction that adds the task, and is
settled or released, once, in the transaction of the task's final state. So the sum of a
task's entries is zero when it has ended, whatever died on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.errors import Conflict, PaymentRequired
from app.lifecycle import OPEN
from app.store.channels import name_when_removed
from app.store.models import (
    MONEY_PARTS,
    artifacts,
    channels,
    clients,
    entries,
    prices,
    submissions,
    task_bodies,
    tasks,
)
from app.store.session import db_now

ZERO = Decimal(0)
SMALLEST = 1 / MONEY_PARTS
EVERY_CHANNEL = ""
# What a task is held for when its length is not known before it is made.
SECONDS_IF_UNKNOWN = 30


class Unit(StrEnum):
    """What a price counts."""

    CALL = "call"
    IMAGE = "image"
    SECOND = "second"
    CHARACTER = "character"


class Kind(StrEnum):
    """What an entry is; amounts are positive, but for holds and settles in sums."""

    TOPUP = "topup"
    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit of a model costs, on one channel or (name "") on every one."""

    model: str
    channel: str
    unit: Unit
    amount: Decimal


def set_price(tx: Connection, price: Price) -> None:
    """Keep a price; it counts for tasks that are added from now on."""
    upsert: Any = (
        postgresql.insert(prices)
        if tx.dialect.name == "postgresql"
        else sqlite.insert(prices)
    )
    values = {"unit": price.unit.value, "amount": price.amount}
    tx.execute(
        upsert.values(
            model=price.model, channel=price.channel, **values
        ).on_conflict_do_update(
            index_elements=[prices.c.model, prices.c.channel], set_=values
        )
    )


def remove_price(tx: Connection, model: str, channel: str) -> bool:
    """Forget a price; False when there was none."""
    return bool(
        tx.execute(
            delete(prices).where(prices.c.model == model, prices.c.channel == channel)
        ).rowcount
    )


def list_prices(tx: Connection, model: str | None = None) -> list[Price]:
    """Every price, or those of one model."""
    query = select(prices).order_by(prices.c.model, prices.c.channel)
    if model is not None:
        query = query.where(prices.c.model == model)
    return [
        Price(row.model, row.channel, Unit(row.unit), row.amount)
        for row in tx.execute(query)
    ]


def top_up(
    tx: Connection, client_id: str, amount: Decimal, reference: str | None = None
) -> Decimal:
    """Add to a client's balance, or take off it; gives the new balance.

    The first one makes the client a paying one: what its open tasks hold is taken off
    then, because it is given back when they end. One with a `reference` that this
    client's account has already counts for nothing; raises `Conflict` when that was
    another amount.
    """
    # Locked first, so that the sum sees every hold that was made before, and the same
    # top-up sent twice at once sees itself.
    before = tx.execute(
        select(clients.c.balance).where(clients.c.id == client_id).with_for_update()
    ).scalar_one()
    if reference is not None:
        earlier = tx.execute(
            select(entries.c.amount).where(
                entries.c.client_id == client_id, entries.c.reference == reference
            )
        ).scalar_one_or_none()
        if earlier is not None and earlier != amount:
            raise Conflict(
                f"the top-up {reference!r} was one of {earlier.normalize():f}",
                code="reference_used",
            )
        if earlier is not None:
            return Decimal(before)
    if before is None:
        held = select(func.sum(tasks.c.held)).where(
            tasks.c.client_id == client_id,
            tasks.c.state.in_([state.value for state in OPEN]),
        )
        before = ZERO - (tx.execute(held).scalar() or ZERO)
    balance = tx.execute(
        update(clients)
        .where(clients.c.id == client_id)
        .values(balance=before + amount)
        .returning(clients.c.balance)
    ).scalar_one()
    _enter(tx, client_id, Kind.TOPUP, amount, reference=reference)
    return Decimal(balance)


def set_budget(tx: Connection, client_id: str, budget: Decimal | None) -> None:
    """The most a client may spend in a calendar month; None: no limit."""
    tx.execute(update(clients).where(clients.c.id == client_id).values(budget=budget))


def estimate(
    tx: Connection, model: str, channel_names: Iterable[str], inputs: Mapping[str, Any]
) -> Decimal:
    """What a task may cost at most, in the dearest of these channels; zero: free."""
    known = {price.channel: price for price in list_prices(tx, model)}
    return max(
        (
            _round(price.amount * _quantity(price.unit, inputs))
            for name in channel_names
            if (price := known.get(name) or known.get(EVERY_CHANNEL))
        ),
        default=ZERO,
    )


def hold(
    tx: Connection,
    client_id: str,
    task_id: str,
    model: str,
    channel_names: Iterable[str],
    inputs: Mapping[str, Any],
) -> Decimal:
    """Hold what a new task may cost at most; gives the amount, zero when it is free.

    `channel_names` may take the task: the dearest of them counts. Raises
    `PaymentRequired` when the balance or the month's budget does not suffice; one
    UPDATE compares and takes, so that requests side by side cannot overdraw.
    """
    amount = estimate(tx, model, channel_names, inputs)
    if not amount:
        return ZERO
    month = _month(tx)
    spent = case((clients.c.spent_month == month, clients.c.spent), else_=0)
    taken = tx.execute(
        update(clients)
        .where(
            clients.c.id == client_id,
            or_(clients.c.balance.is_(None), clients.c.balance >= amount),
            or_(clients.c.budget.is_(None), clients.c.budget >= spent + amount),
        )
        .values(
            balance=clients.c.balance - amount, spent=spent + amount, spent_month=month
        )
    ).rowcount
    if not taken:
        raise PaymentRequired(
            f"the task may cost {amount.normalize():f}, and the balance or the budget "
            "of this key does not suffice"
        )
    tx.execute(update(tasks).where(tasks.c.id == task_id).values(held=amount))
    _enter(tx, client_id, Kind.HOLD, amount, task_id=task_id, model=model)
    return amount


def lock_accounts(tx: Connection, task_ids: Sequence[str]) -> None:
    """Lock the accounts that these tasks will be settled with, always in one order.

    A worker ends many tasks in one transaction: two of them that reached the same
    clients in different orders would wait for each other.
    """
    if tx.dialect.name != "postgresql" or not task_ids:
        return  # SQLite has one writer at a time
    owners = select(tasks.c.client_id).where(
        tasks.c.id.in_(task_ids), tasks.c.held.is_not(None)
    )
    tx.execute(
        select(clients.c.id)
        .where(clients.c.id.in_(owners))
        .order_by(clients.c.id)
        .with_for_update(key_share=True)
    )


def settle(tx: Connection, task_id: str, client_id: str, held: Decimal) -> None:
    """A task succeeded: charge what it made, at most what was held."""
    # The channel that made it, which need not be the last one that was asked.
    made_it = case((submissions.c.verdict == "succeeded", 1), else_=0)
    model, channel_id, name = tx.execute(
        select(tasks.c.model, channels.c.id, channels.c.name)
        .join(submissions, submissions.c.task_id == tasks.c.id, isouter=True)
        .join(channels, channels.c.id == submissions.c.channel_id, isouter=True)
        .where(tasks.c.id == task_id)
        .order_by(made_it.desc(), submissions.c.created_at.desc())
        .limit(1)
    ).one()
    channel = name or EVERY_CHANNEL
    known = {price.channel: price for price in list_prices(tx, model)}
    # One that was removed meanwhile has the price that its name had.
    once = (
        price
        for price in known.values()
        if channel_id and name_when_removed(price.channel, channel_id) == channel
    )
    price = known.get(channel) or next(once, None) or known.get(EVERY_CHANNEL)
    if price is None:  # it was taken away meanwhile: what was held is what was told
        charged, quantity = held, None
    else:
        quantity = _made(tx, task_id, price.unit)
        charged = min(held, _round(price.amount * quantity))
    _enter(
        tx,
        client_id,
        Kind.SETTLE,
        charged,
        task_id=task_id,
        model=model,
        channel=channel,
        quantity=quantity,
    )
    if charged < held:
        release(tx, task_id, client_id, held - charged)


def release(tx: Connection, task_id: str, client_id: str, amount: Decimal) -> None:
    """Give back what was held and is not charged.

    The month's spending shrinks only when it was held in this month.
    """
    month = _month(tx)
    held_at = tx.execute(
        select(entries.c.created_at).where(
            entries.c.task_id == task_id, entries.c.kind == Kind.HOLD.value
        )
    ).scalar_one()
    counted = amount if _month_of(held_at) == month else ZERO
    tx.execute(
        update(clients)
        .where(clients.c.id == client_id)
        .values(
            balance=clients.c.balance + amount,
            spent=case(
                (clients.c.spent_month == month, clients.c.spent - counted),
                else_=clients.c.spent,
            ),
        )
    )
    _enter(tx, client_id, Kind.RELEASE, amount, task_id=task_id)


def find_unbalanced(tx: Connection, *, limit: int = 100) -> list[str]:
    """Ended tasks whose holds, settles and releases do not sum up to zero."""
    signed = case((entries.c.kind == Kind.HOLD.value, entries.c.amount), else_=0)
    back = case(
        (entries.c.kind.in_([Kind.SETTLE, Kind.RELEASE]), entries.c.amount), else_=0
    )
    rows = tx.execute(
        select(entries.c.task_id)
        .join(tasks, tasks.c.id == entries.c.task_id)
        .where(tasks.c.finished_at.is_not(None))
        .group_by(entries.c.task_id)
        .having(func.sum(signed) != func.sum(back))
        .limit(limit)
    )
    return [row.task_id for row in rows]


@dataclass(frozen=True, slots=True)
class Account:
    """What a client has and has spent this month."""

    balance: Decimal | None
    budget: Decimal | None
    spent: Decimal


def get_account(tx: Connection, client_id: str) -> Account:
    """The client's account now."""
    row = tx.execute(
        select(
            clients.c.balance,
            clients.c.budget,
            clients.c.spent,
            clients.c.spent_month,
        ).where(clients.c.id == client_id)
    ).one()
    spent = row.spent if row.spent_month == _month(tx) else ZERO
    return Account(row.balance, row.budget, spent)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was settled in one group of `usage`."""

    group: tuple[str, ...]
    tasks: int
    amount: Decimal
    quantity: Decimal


GROUPS = ("day", "key", "model", "channel")


def usage(
    tx: Connection,
    *,
    client_id: str | None = None,
    since: int,
    until: int,
    by: Sequence[str],
) -> list[Usage]:
    """Settled tasks and amounts between two instants, grouped by some of `GROUPS`."""
    day = entries.c.created_at - entries.c.created_at % (24 * 3600 * 1000)
    columns = {
        "day": day.label("day"),
        "key": clients.c.name.label("key"),
        "model": entries.c.model.label("model"),
        "channel": entries.c.channel.label("channel"),
    }
    chosen = [columns[name] for name in by]
    query = (
        select(
            *chosen,
            func.count().label("count"),
            func.sum(entries.c.amount).label("total"),
            func.sum(entries.c.quantity).label("units"),
        )
        .join(clients, clients.c.id == entries.c.client_id)
        .where(
            entries.c.kind == Kind.SETTLE.value,
            entries.c.created_at >= since,
            entries.c.created_at < until,
        )
        .group_by(*chosen)
        .order_by(*chosen)
    )
    if client_id is not None:
        query = query.where(entries.c.client_id == client_id)
    return [
        Usage(
            tuple(_word(name, row[n]) for n, name in enumerate(by)),
            row.count if isinstance(row.count, int) else row[len(by)],
            _amount(row[len(by) + 1]),
            _amount(row[len(by) + 2]),
        )
        for row in tx.execute(query)
    ]


def _word(name: str, value: Any) -> str:
    if name == "day":
        return datetime.fromtimestamp(int(value) / 1000, UTC).date().isoformat()
    return str(value or "")


def _amount(value: Any) -> Decimal:
    return ZERO if value is None else Decimal(value)


def _quantity(unit: Unit, inputs: Mapping[str, Any]) -> Decimal:
    """How many units a request may make at most, as far as it says."""
    match unit:
        case Unit.CALL:
            return Decimal(1)
        case Unit.IMAGE:
            return Decimal(inputs.get("n") or 1)
        case Unit.SECOND:
            seconds = Decimal(str(inputs.get("duration") or SECONDS_IF_UNKNOWN))
            return seconds * (inputs.get("n") or 1)
        case Unit.CHARACTER:
            text = inputs.get("input") or inputs.get("prompt") or ""
            return Decimal(len(text))


def _made(tx: Connection, task_id: str, unit: Unit) -> Decimal:
    """How many units a task has made."""
    match unit:
        case Unit.IMAGE:
            count = select(func.count()).where(artifacts.c.task_id == task_id)
            return Decimal(tx.execute(count).scalar_one())
        case Unit.SECOND:
            total = select(func.sum(artifacts.c.duration_s)).where(
                artifacts.c.task_id == task_id
            )
            seconds = tx.execute(total).scalar()
            if seconds:
                return Decimal(str(round(seconds, 3)))
    inputs = tx.execute(
        select(task_bodies.c.inputs).where(task_bodies.c.task_id == task_id)
    ).scalar_one()
    return _quantity(unit, inputs)


def _enter(
    tx: Connection, client_id: str, kind: Kind, amount: Decimal, **fields: Any
) -> None:
    tx.execute(
        insert(entries).values(
            client_id=client_id,
            kind=kind.value,
            amount=amount,
            created_at=db_now(),
            **fields,
        )
    )


def _month(tx: Connection) -> str:
    return _month_of(tx.execute(select(db_now())).scalar_one())


def _month_of(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m")


def _round(amount: Decimal) -> Decimal:
    """As the store keeps it: parts that are rounded one by one do not add up."""
    return amount.quantize(SMALLEST, ROUND_HALF_UP)
