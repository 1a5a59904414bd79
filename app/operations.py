"""What operators do by hand: look, cancel, retry, settle unknown outcomes, redeliver.

The command line and the API of operators call the same functions. They give plain
values, ready for JSON: instants are ISO 8601 in UTC, amounts of money are texts.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn

from app import accounts, capabilities, catalog
from app.bells import Bell
from app.errors import (
    Conflict,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    TaskNotFound,
)
from app.lifecycle import FINAL, DeliveryState, Event, State, SubmissionState
from app.logs import redact
from app.runtime import Runtime
from app.storage import NotStored
from app.store import (
    channels,
    clients,
    deliveries,
    ledger,
    operator_views,
    submissions,
    tasks,
)
from app.store.channels import Channel
from app.store.clients import Client
from app.store.ids import new_task_id
from app.store.ledger import Price, Unit
from app.store.operator_views import Filter
from app.store.session import Transaction
from app.store.submissions import Submission
from app.store.tasks import NewTask
from providers.types import Provider

MOST_ROWS = 500
REDELIVER_AT_ONCE = 10_000
SHOWN_CHARS = 300
LAST_S = 3600.0
LONGEST_PAUSE_S = 366 * 24 * 3600.0
MAX_REMOTE_ID = 300
MAX_REFERENCE = 100
MAX_LINKS = 10
MAX_LINK_NAME = 60
MAX_LINK = 2000

AMOUNT = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,8})?")
AGO = re.compile(r"([0-9]{1,6})([smhd])")
UNITS_OF_TIME = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
TEXTS_OF_OTHERS = ("error", "excerpt", "pause_reason", "key_pause_reason")

Providers = Mapping[str, Provider]
Row = dict[str, Any]


# Tasks


def list_tasks(
    rt: Runtime, wanted: Filter, *, before: str | None = None, limit: int
) -> list[Row]:
    """Tasks of every client, the newest first."""
    _check_words("status", wanted.states, State)
    with rt.reading() as tx:
        found = operator_views.list_tasks(tx, wanted, before=before, limit=limit)
    return [_told(row) for row in found]


def show_task(rt: Runtime, task_id: str) -> Row:
    """A task with its submissions, deliveries with attempts, and entries of money.

    What the client asked for is not part of it.
    """
    with rt.reading() as tx:
        task = tasks.get(tx, task_id)
        every = Filter(task_id=task_id)
        owed = operator_views.list_deliveries(tx, every, limit=MOST_ROWS)
        parts = {
            "submissions": [
                _told(row) for row in operator_views.submissions_of(tx, task_id)
            ],
            "deliveries": [
                {
                    **_told(row),
                    "attempts": [
                        _told(tried) for tried in operator_views.attempts_of(tx, row.id)
                    ],
                }
                for row in owed
            ],
            "entries": [_told(row) for row in operator_views.entries_of(tx, task_id)],
        }
        names = {client.id: client.name for client in clients.list_all(tx)}
    fields = {
        "id": task.id,
        "client": names[task.client_id],
        "state": task.state.value,
        "media_type": task.media_type,
        "model": task.model,
        "percent": task.percent,
        "error_code": task.error_code,
        "error": task.error,
        "result_count": len(task.results),
        "created_at": task.created_at,
        "submitted_at": task.submitted_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
    }
    return {**_plain(fields), **parts}


def cancel_task(rt: Runtime, task_id: str) -> Row:
    """End a task that has not ended; raises `Conflict` while it is handed over."""
    with rt.transaction() as tx:
        state = tasks.get(tx, task_id).state
        if not tasks.advance(tx, task_id, Event.CANCEL):
            if state in FINAL:
                raise Conflict(f"the task has ended: it is {state}")
            raise Conflict("the task is being handed over: try again", code="task_busy")
    rt.ring(Bell.POLL)  # the upstream is told
    rt.ring(Bell.DELIVER)
    return show_task(rt, task_id)


def retry_task(rt: Runtime, task_id: str, providers: Providers) -> Row:
    """A new task of the same client with the inputs of one that failed.

    It costs what a new task costs. Raises `Conflict`, `ModelNotFound` or
    `PaymentRequired`. Gives the new task's id, and of which one it is a retry.
    """
    new_id = new_task_id()
    with rt.reading() as tx:
        task = tasks.get(tx, task_id)
        if task.state is not State.FAILED:
            raise Conflict(f"only a failed task is tried again: it is {task.state}")
        body = operator_views.read_body(tx, task_id)
        group = next(c.group for c in clients.list_all(tx) if c.id == task.client_id)
        known = channels.list_all(tx)
    names = [
        offer.channel.name
        for offer in catalog.offers(known, providers, task.model)
        if (not offer.channel.groups or group in offer.channel.groups)
        and not capabilities.find_problems(body["inputs"], offer.model)
    ]
    if not names:
        raise ModelNotFound(f"no channel serves {task.model!r} with these inputs now")
    with _files_of_its_own(rt, body["inputs"], new_id) as inputs:
        new = NewTask(
            id=new_id,
            model=task.model,
            media_type=task.media_type,
            inputs=inputs,
            metadata=body["metadata"],
            response_format=body["response_format"],
            callback_url=body["callback_url"],
        )
        with rt.transaction() as tx:
            tasks.add(tx, task.client_id, new)
            ledger.hold(tx, task.client_id, new_id, new.model, names, new.inputs)
    rt.ring(Bell.SUBMIT)
    return {"task_id": new_id, "retry_of": task_id}


@contextmanager
def _files_of_its_own(
    rt: Runtime, inputs: Mapping[str, Any], task_id: str
) -> Iterator[Mapping[str, Any]]:
    """The inputs with copies of uploaded files, which are deleted with their task.

    The copies are removed again when the block refuses the task.
    """
    copies = []
    images = [dict(image) for image in inputs.get("images", ())]
    try:
        for n, image in enumerate(images):
            if "upload" in image:
                key = f"inputs/{task_id[-2:]}/{task_id}/{n}"
                copies.append(key)
                with (
                    rt.storage.open(image["upload"]) as file,
                    rt.storage.writer(key) as copy,
                ):
                    shutil.copyfileobj(file, copy)
                image["upload"] = key
        yield {**inputs, "images": images} if images else inputs
    except NotStored as error:
        raise Conflict("a file that the task was sent with is gone") from error
    except GatewayError:
        for key in copies:
            rt.storage.delete(key)
        raise


# Unknown outcomes


def list_unknown(rt: Runtime, *, limit: int = MOST_ROWS) -> list[Row]:
    """Submissions that an upstream may or may not have, the next to be given up first.

    At `deadline_at` the task fails by itself.
    """
    with rt.reading() as tx:
        found = operator_views.list_unknown(tx, limit=limit)
    return [
        {
            "task_id": row.task_id,
            "client": row.client,
            "task_state": row.task_state,
            "channel": row.channel,
            "key": row.key,
            "model": row.model,
            "since": _moment(row.sent_at),
            "deadline_at": _moment(row.deadline_at),
            "error": _short(row.error),
        }
        for row in found
    ]


def assume_lost(rt: Runtime, task_id: str) -> Row:
    """The operator knows that the upstream never got a parked task: send it again.

    Raises `Conflict` unless its outcome is unknown and nothing else is done about it.
    """
    with rt.transaction() as tx:
        parked = _find_unknown(tx, task_id)
        lost = submissions.assume_lost(tx, parked.id)
        if not (lost and tasks.advance(tx, task_id, Event.REQUEUE)):
            raise Conflict(
                "the task is not parked: it is sent again by itself, under the same "
                "idempotency key"
            )
    rt.ring(Bell.SUBMIT)
    return show_task(rt, task_id)


def adopt(
    rt: Runtime,
    task_id: str,
    remote_id: str,
    providers: Providers,
    links: Mapping[str, str] | None = None,
) -> Row:
    """The operator found the job of an unknown outcome at the upstream: follow it.

    `links` is what some providers need beside the id, by the provider's own names.
    """
    if not 0 < len(remote_id) <= MAX_REMOTE_ID or not remote_id.isprintable():
        _wrong("remote_id", f"must be 1 to {MAX_REMOTE_ID} printable characters")
    _check_links(links or {})
    with rt.transaction() as tx:
        parked = _find_unknown(tx, task_id)
        channel = next(
            c for c in channels.list_all(tx, removed=True) if c.id == parked.channel_id
        )
        others = submissions.find_by_remote(tx, channel.id, [remote_id])
        if any(other.id != parked.id for other in others):
            raise Conflict(f"{remote_id!r} is the job of task {others[0].task_id}")
        provider = providers.get(channel.provider)
        model = provider.describe(parked.model) if provider else None
        if model is None:
            raise Conflict(f"{channel.provider} has no model {parked.model!r} any more")
        accepted = submissions.accept(
            tx,
            parked.id,
            remote_id=remote_id,
            remote=links or {},
            look_in_s=0,
            longest_s=min(model.longest_s, rt.settings.deadline_s or model.longest_s),
        )
        if not accepted:
            raise Conflict("something was learned of the task just now: look again")
        # It may wait to be sent again: then it must not be.
        tasks.advance(tx, task_id, Event.ACCEPT)
    rt.ring(Bell.POLL)
    return show_task(rt, task_id)


def _check_links(links: Mapping[str, str]) -> None:
    if len(links) > MAX_LINKS:
        _wrong("links", f"must be at most {MAX_LINKS}")
    for name, value in links.items():
        if not (0 < len(name) <= MAX_LINK_NAME and name.isprintable()):
            _wrong("links", f"must have names of 1 to {MAX_LINK_NAME} characters")
        if not (0 < len(value) <= MAX_LINK and value.isprintable()):
            _wrong("links", f"must have values of 1 to {MAX_LINK} printable characters")


def _find_unknown(tx: Transaction, task_id: str) -> Submission:
    task = tasks.get(tx, task_id)
    for submission in submissions.of_tasks(tx, [task_id]):
        if submission.state is SubmissionState.UNKNOWN and not task.is_final:
            return submission
    raise Conflict(f"no outcome of this task is unknown: it is {task.state}")


# Channels


def pause_channel(
    rt: Runtime, name: str, *, pause_s: float | None = None, reason: str = ""
) -> Row:
    """Send nothing new to a channel for a while, or until it is resumed."""
    if pause_s is not None and not 0 < pause_s <= LONGEST_PAUSE_S:
        _wrong("for", f"must be above 0, up to {LONGEST_PAUSE_S:.0f} seconds")
    with rt.transaction() as tx:
        channels.pause_by_hand(tx, _get_channel(tx, name).id, pause_s, reason)
    return _stats_of(rt, name)


def resume_channel(rt: Runtime, name: str) -> Row:
    """Let a channel take tasks: enabled, no pause, failures forgotten."""
    with rt.transaction() as tx:
        channel = _get_channel(tx, name)
        channels.resume(tx, channel.id)
        channels.change(tx, channel.id, enabled=True)
    rt.ring(Bell.SUBMIT)
    return _stats_of(rt, name)


def drain_channel(rt: Runtime, name: str) -> Row:
    """Give a channel no new tasks; what it has is followed to its end."""
    with rt.transaction() as tx:
        channels.change(tx, _get_channel(tx, name).id, enabled=False)
    return _stats_of(rt, name)


def channel_stats(rt: Runtime) -> list[Row]:
    """Every channel with its keys: state, places taken, outcomes of the last hour."""
    with rt.reading() as tx:
        found = operator_views.channel_stats(tx, last_s=LAST_S)
    by_channel: dict[str, Row] = {}
    for row in found:
        told = by_channel.setdefault(
            row.channel,
            {
                "name": row.channel,
                "enabled": row.enabled,
                "paused_until": _moment(row.paused_until),
                "pause_reason": _short(row.pause_reason),
                "error_rate": round(row.error_rate, 3),
                **dict.fromkeys(COUNTS, 0),
                "keys": [],
            },
        )
        counts = {name: int(getattr(row, name)) for name in COUNTS}
        for name, count in counts.items():
            told[name] += count
        told["keys"].append(
            {
                "name": row.key,
                "paused_until": _moment(row.key_paused_until),
                "pause_reason": _short(row.key_pause_reason),
                **counts,
            }
        )
    return list(by_channel.values())


COUNTS = ("in_flight", "submits", "accepts", "refusals", "unknown")


def _stats_of(rt: Runtime, name: str) -> Row:
    return next(row for row in channel_stats(rt) if row["name"] == name)


def _get_channel(tx: Transaction, name: str) -> Channel:
    channel = channels.find_by_name(tx, name)
    if channel is None:
        raise TaskNotFound(
            f"there is no channel named {name[:60]!r}", code="channel_not_found"
        )
    return channel


# Deliveries


def list_deliveries(
    rt: Runtime, wanted: Filter, *, before: str | None = None, limit: int
) -> list[Row]:
    """Callbacks of every client, the newest first."""
    _check_words("state", wanted.states, DeliveryState)
    with rt.reading() as tx:
        found = operator_views.list_deliveries(tx, wanted, before=before, limit=limit)
    return [_told(row) for row in found]


def redeliver(rt: Runtime, delivery_id: str) -> int:
    """Send one callback again now; raises `Conflict` while a worker has it."""
    with rt.transaction() as tx:
        if not deliveries.exists(tx, delivery_id):
            raise TaskNotFound(
                f"there is no delivery {delivery_id[:60]!r}", code="delivery_not_found"
            )
        count = deliveries.redeliver(tx, [delivery_id])
        if not count:
            raise Conflict("the callback is being sent: try again", code="task_busy")
    rt.ring(Bell.DELIVER)
    return count


def redeliver_many(rt: Runtime, wanted: Filter) -> int:
    """Send every callback that fits again now; gives how many.

    Something must be asked for: all callbacks ever sent are never meant.
    """
    _check_words("state", wanted.states, DeliveryState)
    if wanted == Filter():
        raise InvalidRequest("say which: state, host, task, since or until")
    with rt.transaction() as tx:
        ids = operator_views.find_ended_deliveries(tx, wanted, limit=REDELIVER_AT_ONCE)
        count = deliveries.redeliver(tx, ids)
    rt.ring(Bell.DELIVER)
    return count


# Keys and money


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What to change of a key; a limit of None is taken away.

    `budget` is a text, `none` for no budget.
    """

    group: str | None = None
    priority: str | None = None
    limits: Mapping[str, float | None] | None = None
    budget: str | None = None


def change_key(rt: Runtime, name: str, change: KeyChange) -> Row:
    """Change what was given; within five seconds everywhere. Raises `WrongAccount`."""
    with rt.transaction() as tx:
        client = _get_key(tx, name)
        accounts.change_key(
            tx,
            name,
            group=change.group,
            priority=change.priority,
            limits=change.limits,
        )
        if change.budget is not None:
            budget = _read_budget(change.budget)
            ledger.set_budget(tx, client.id, budget)
        return _told_key(tx, _get_key(tx, name))


def top_up(rt: Runtime, name: str, amount: str, reference: str | None = None) -> Row:
    """Add to a key's balance, or take off it with a negative amount.

    The same `reference` counts once; raises `Conflict` when it was another amount.
    """
    added = read_amount(amount, "amount")
    if not added:
        _wrong("amount", "must not be 0")
    if reference is not None and not (
        0 < len(reference) <= MAX_REFERENCE and reference.isprintable()
    ):
        _wrong("reference", f"must be 1 to {MAX_REFERENCE} printable characters")
    with rt.transaction() as tx:
        ledger.top_up(tx, _get_key(tx, name).id, added, reference)
        return _told_key(tx, _get_key(tx, name))


def list_keys(rt: Runtime) -> list[Row]:
    """Every key with what it may do, and its money."""
    with rt.reading() as tx:
        return [_told_key(tx, client) for client in clients.list_all(tx)]


def set_price(
    rt: Runtime, model: str, amount: str, *, unit: str, channel: str = ""
) -> Row:
    """What one unit of a model costs; on one channel, or on every one."""
    cost = read_amount(amount, "amount")
    if cost < 0:
        _wrong("amount", "must not be below 0")
    if not 0 < len(model) <= 200 or not model.isprintable():
        _wrong("model", "must be 1 to 200 printable characters")
    _check_words("unit", [unit], Unit)
    with rt.transaction() as tx:
        if channel:
            _get_channel(tx, channel)
        price = Price(model, channel, Unit(unit), cost)
        ledger.set_price(tx, price)
    return _told_price(price)


def list_prices(rt: Runtime) -> list[Row]:
    """Every price."""
    with rt.reading() as tx:
        return [_told_price(price) for price in ledger.list_prices(tx)]


def remove_price(rt: Runtime, model: str, *, channel: str = "") -> None:
    """Forget a price; raises `TaskNotFound` when there is none."""
    with rt.transaction() as tx:
        if not ledger.remove_price(tx, model, channel):
            where = f" on {channel!r}" if channel else ""
            raise TaskNotFound(
                f"there is no price of {model[:100]!r}{where}", code="price_not_found"
            )


def usage(
    rt: Runtime,
    *,
    by: Sequence[str],
    since: int | None = None,
    until: int | None = None,
    client_id: str | None = None,
) -> list[Row]:
    """What was settled, by some of day, key, model and channel; this month by default.

    `tasks` have succeeded, `amount` is what they cost, `quantity` what was counted.
    """
    unknown = sorted(set(by) - set(ledger.GROUPS))
    if unknown or not by or len(set(by)) < len(by):
        _wrong("by", f"must be some of {', '.join(ledger.GROUPS)}, each once")
    now = datetime.fromtimestamp(rt.now(), UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    with rt.reading() as tx:
        found = ledger.usage(
            tx,
            client_id=client_id,
            since=_ms(month) if since is None else since,
            until=_ms(now + timedelta(days=1)) if until is None else until,
            by=by,
        )
    return [
        {
            **dict(zip(by, row.group, strict=True)),
            "tasks": row.tasks,
            "amount": money(row.amount),
            "quantity": money(row.quantity),
        }
        for row in found
    ]


def account(rt: Runtime, client_id: str) -> Row:
    """A client's own balance and budget; null: none is kept."""
    with rt.reading() as tx:
        found = ledger.get_account(tx, client_id)
    return {name: money(amount) for name, amount in asdict(found).items()}


# Reading what operators write


def read_instant(text: str, now_s: float, field: str) -> int:
    """Unix milliseconds of `2026-11-22`, an ISO 8601 time (UTC unless it says), or
    `90s`, `15m`, `2h`, `7d` ago; raises `InvalidRequest`."""
    now = datetime.fromtimestamp(now_s, UTC)
    try:
        if ago := AGO.fullmatch(text):
            length = timedelta(**{UNITS_OF_TIME[ago[2]]: int(ago[1])})
            return max(0, _ms(now - length))
        instant = datetime.fromisoformat(text)
        return max(0, _ms(instant if instant.tzinfo else instant.replace(tzinfo=UTC)))
    except (ValueError, OverflowError):
        _wrong(field, "must be a date or time such as 2026-11-22, or 2h or 7d ago")


def read_amount(text: str, field: str) -> Decimal:
    """An exact amount of money; raises `InvalidRequest`."""
    if AMOUNT.fullmatch(text) is None:
        _wrong(field, "must be a number with at most 9 digits and 8 decimals")
    return Decimal(text)


def money(amount: Decimal | None) -> str | None:
    """An amount as a text, exact and without an exponent."""
    return None if amount is None else f"{amount.normalize():f}"


def _read_budget(text: str) -> Decimal | None:
    if text == "none":
        return None
    budget = read_amount(text, "budget")
    if budget < 0:
        _wrong("budget", "must not be below 0")
    return budget


def _get_key(tx: Transaction, name: str) -> Client:
    # Databases refuse to look for what no name can hold.
    client = clients.find_by_name(tx, name) if name.isprintable() else None
    if client is None:
        raise TaskNotFound(f"there is no key named {name[:60]!r}", code="key_not_found")
    return client


def _told_key(tx: Transaction, client: Client) -> Row:
    return {
        "name": client.name,
        "key": client.key_prefix + "...",
        "scopes": list(client.scopes),
        "group": client.group,
        "priority": accounts.PRIORITIES[client.priority],
        "limits": dict(client.limits),
        **{
            name: money(amount)
            for name, amount in asdict(ledger.get_account(tx, client.id)).items()
        },
        "created_at": _moment(client.created_at),
        "expires_at": _moment(client.expires_at),
        "revoked_at": _moment(client.revoked_at),
    }


def _told_price(price: Price) -> Row:
    return {
        "model": price.model,
        "channel": price.channel or None,
        "unit": price.unit.value,
        "amount": money(price.amount),
    }


def _told(row: Any) -> Row:
    return _plain(asdict(row))


def _plain(fields: Mapping[str, Any]) -> Row:
    """Instants and amounts as texts; texts of others without secrets, and short."""
    plain: Row = {}
    for name, value in fields.items():
        if name.endswith("_at"):
            value = _moment(value)
        elif name in TEXTS_OF_OTHERS:
            value = _short(value)
        elif isinstance(value, Decimal):
            value = money(value)
        plain[name] = value
    return plain


def _short(text: str | None) -> str | None:
    if text is None:
        return None
    told = " ".join(redact(text).split())
    return told if len(told) <= SHOWN_CHARS else told[: SHOWN_CHARS - 3] + "..."


def _moment(instant: int | None) -> str | None:
    if instant is None:
        return None
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="seconds")


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _check_words(field: str, given: Collection[str], words: type[StrEnum]) -> None:
    known = [word.value for word in words]
    if any(word not in known for word in given):
        _wrong(field, f"must be one of {', '.join(known)}")


def _wrong(field: str, text: str) -> NoReturn:
    raise InvalidRequest(f"{field} {text}", errors={field: [text]})
