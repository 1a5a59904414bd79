"""The commands of operators: tasks, unknown outcomes, channels, callbacks, money.

They ring no bell: workers find within a second what is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from app import accounts, operations
from app.command_line import (
    as_json_option,
    data_option,
    explained,
    open_store,
    pair,
    show,
    show_rows,
    stop,
)
from app.lifecycle import DeliveryState, State
from app.limits import CLIENT_LIMITS
from app.operations import KeyChange
from app.store import clients
from app.store.ledger import GROUPS, Unit
from app.store.operator_views import Filter
from workers import receiver_test

F = TypeVar("F", bound=Callable[..., None])

PARTS_OF_A_TASK = ("submissions", "deliveries", "entries")

limit_option = click.option(
    "--limit",
    type=click.IntRange(1, operations.MOST_ROWS),
    default=50,
    show_default=True,
    help="How many rows.",
)
before_option = click.option("--before", help="Only older ones than this id: a page.")
channel_option = click.option("--channel", default="", help="On this channel only.")
group_option = click.option("--group", help="The group of clients that it is in.")
priority_option = click.option(
    "--priority",
    type=click.Choice(accounts.PRIORITIES),
    help="Its share of the queue beside other clients.",
)
limits_option = click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help=f"A limit: {', '.join(CLIENT_LIMITS)}. May be repeated.",
)


def since_option(command: F) -> F:
    """`--since`, as text."""
    return click.option("--since", help="From then on: 2026-11-22, or 2h or 7d ago.")(
        command
    )


def until_option(command: F) -> F:
    """`--until`, as text."""
    return click.option("--until", help="Before then, said likewise.")(command)


def of_deliveries(command: F) -> F:
    """The options that say which callbacks are meant."""
    for option in (
        until_option,
        since_option,
        click.option("--task", "task_id", help="Of this task."),
        click.option("--host", help="To this host, with its port if it has one."),
        click.option(
            "--state",
            type=click.Choice([state.value for state in DeliveryState]),
            help="In this state.",
        ),
    ):
        command = option(command)
    return command


def output(command: F) -> F:
    """`--data`, `--json`, and errors in one line: of every command."""
    return data_option(as_json_option(explained(command)))  # type: ignore[return-value]


@click.group("tasks")
def tasks_group() -> None:
    """Tasks of every client."""


@tasks_group.command("list")
@click.option("--client", help="Of the key with this name.")
@click.option(
    "--status",
    type=click.Choice([state.value for state in State]),
    help="Of this status.",
)
@click.option("--model", help="Of this model.")
@click.option("--channel", help="That was handed to this channel.")
@since_option
@before_option
@limit_option
@output
def tasks_list(
    client: str | None,
    status: str | None,
    model: str | None,
    channel: str | None,
    since: str | None,
    before: str | None,
    limit: int,
    data: Path | None,
    as_json: bool,
) -> None:
    """List tasks, the newest first."""
    wanted = Filter(
        client=client,
        states=_one(status),
        model=model,
        channel=channel,
        since=_instant(since, "--since"),
    )
    with open_store(data) as rt:
        rows = operations.list_tasks(rt, wanted, before=before, limit=limit)
    show_rows(rows, as_json)


@tasks_group.command("show")
@click.argument("task_id")
@output
def tasks_show(task_id: str, data: Path | None, as_json: bool) -> None:
    """Show a task with its submissions, callbacks and money; not its prompt."""
    with open_store(data) as rt:
        _show_task(operations.show_task(rt, task_id), as_json)


@tasks_group.command("cancel")
@click.argument("task_id")
@output
def tasks_cancel(task_id: str, data: Path | None, as_json: bool) -> None:
    """End a task; its upstream is told where it can be."""
    with open_store(data) as rt:
        _show_task(operations.cancel_task(rt, task_id), as_json)


@tasks_group.command("retry")
@click.argument("task_id")
@output
def tasks_retry(task_id: str, data: Path | None, as_json: bool) -> None:
    """Make a new task with the inputs of one that failed; it costs like a new one."""
    with open_store(data) as rt:
        show(operations.retry_task(rt, task_id, rt.providers), as_json)


@click.command("assume-lost")
@click.argument("task_id")
@output
def assume_lost(task_id: str, data: Path | None, as_json: bool) -> None:
    """Send a parked task again: you know that its upstream never got it."""
    with open_store(data) as rt:
        _show_task(operations.assume_lost(rt, task_id), as_json)


tasks_group.add_command(assume_lost, "requeue")


@click.group("unknown")
def unknown_group() -> None:
    """Paid calls whose outcome is unknown."""


unknown_group.add_command(assume_lost)


@unknown_group.command("list")
@output
def unknown_list(data: Path | None, as_json: bool) -> None:
    """List them, the next to be given up first."""
    with open_store(data) as rt:
        show_rows(operations.list_unknown(rt), as_json)


@unknown_group.command("adopt")
@click.argument("task_id")
@click.argument("remote_id")
@click.option(
    *("--link", "links"),
    metavar="NAME=VALUE",
    multiple=True,
    help="What the provider needs beside the id; may be repeated.",
)
@output
def unknown_adopt(
    task_id: str,
    remote_id: str,
    links: Sequence[str],
    data: Path | None,
    as_json: bool,
) -> None:
    """Follow a job that you found at the upstream under this id."""
    named = dict(pair(link, "--link") for link in links)
    with open_store(data) as rt:
        told = operations.adopt(rt, task_id, remote_id, rt.providers, named)
        _show_task(told, as_json)


@click.command("pause")
@click.argument("name")
@click.option("--for", "pause_s", type=float, help="Seconds; else until resumed.")
@click.option("--reason", default="", help="Shown in lists.")
@output
def channels_pause(
    name: str, pause_s: float | None, reason: str, data: Path | None, as_json: bool
) -> None:
    """Send nothing new to a channel for a while; what it has is followed."""
    with open_store(data) as rt:
        _show_channel(
            operations.pause_channel(rt, name, pause_s=pause_s, reason=reason), as_json
        )


@click.command("resume")
@click.argument("name")
@output
def channels_resume(name: str, data: Path | None, as_json: bool) -> None:
    """Let a channel and its keys take tasks again, whatever stopped them."""
    with open_store(data) as rt:
        _show_channel(operations.resume_channel(rt, name), as_json)


@click.command("drain")
@click.argument("name")
@output
def channels_drain(name: str, data: Path | None, as_json: bool) -> None:
    """Give a channel no new tasks; it is empty when none is in flight."""
    with open_store(data) as rt:
        _show_channel(operations.drain_channel(rt, name), as_json)


@click.command("stats")
@output
def channels_stats(data: Path | None, as_json: bool) -> None:
    """Show what channels and keys do now, and did in the last hour."""
    with open_store(data) as rt:
        rows = operations.channel_stats(rt)
    if as_json:
        show_rows(rows, as_json)
        return
    flat = [
        {"channel": row["name"], "key": key["name"], "enabled": row["enabled"]}
        | {
            "paused_until": key["paused_until"] or row["paused_until"],
            "pause_reason": key["pause_reason"] or row["pause_reason"],
            "error_rate": row["error_rate"],
        }
        | {name: key[name] for name in operations.COUNTS}
        for row in rows
        for key in row["keys"]
    ]
    show_rows(flat, as_json)


CHANNEL_COMMANDS: Sequence[click.Command] = (
    channels_pause,
    channels_resume,
    channels_drain,
    channels_stats,
)


@click.group("deliveries")
def deliveries_group() -> None:
    """Callbacks owed to clients."""


@deliveries_group.command("list")
@of_deliveries
@before_option
@limit_option
@output
def deliveries_list(
    before: str | None, limit: int, data: Path | None, as_json: bool, **which: Any
) -> None:
    """List callbacks, the newest first."""
    with open_store(data) as rt:
        rows = operations.list_deliveries(
            rt, _callbacks(which), before=before, limit=limit
        )
    show_rows(rows, as_json)


@deliveries_group.command("redeliver")
@click.argument("delivery_id", required=False)
@of_deliveries
@output
def deliveries_redeliver(
    delivery_id: str | None, data: Path | None, as_json: bool, **which: Any
) -> None:
    """Send a callback, or all that fit the options, again now."""
    wanted = _callbacks(which)
    if delivery_id and wanted != Filter():
        raise click.UsageError("give an id, or options that say which; not both")
    with open_store(data) as rt:
        if delivery_id:
            count = operations.redeliver(rt, delivery_id)
        else:
            count = operations.redeliver_many(rt, wanted)
    show({"redelivered": count}, as_json)


@deliveries_group.command("test")
@click.argument("key")
@click.argument("url")
@output
def deliveries_test(key: str, url: str, data: Path | None, as_json: bool) -> None:
    """Send one signed test event to URL, as a callback of the key named KEY."""
    with open_store(data) as rt:
        with rt.reading() as tx:
            client = clients.find_by_name(tx, key)
        if client is None:
            stop(f"there is no key named {key!r}")
        tried = receiver_test.send(rt, client, url)
    attempt = tried.attempt
    told = {
        "taken": tried.taken,
        "status": attempt.status,
        "duration_ms": attempt.duration_ms,
        "error": attempt.error,
        "excerpt": attempt.excerpt,
    }
    show(told, as_json)
    if not tried.taken:
        raise SystemExit(1)


@click.command("set")
@click.argument("name")
@group_option
@priority_option
@limits_option
@click.option(
    "--no-limit",
    "no_limits",
    multiple=True,
    type=click.Choice(list(CLIENT_LIMITS)),
    help="Take a limit away; may be repeated.",
)
@click.option("--budget", help="The most it may spend in a month, or `none`.")
@output
def keys_set(
    name: str,
    group: str | None,
    priority: str | None,
    limits: Sequence[str],
    no_limits: Sequence[str],
    budget: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Change a key's group, priority, limits or budget."""
    change = KeyChange(
        group=group,
        priority=priority,
        limits={**dict.fromkeys(no_limits), **read_limits(limits)},
        budget=budget,
    )
    with open_store(data) as rt:
        show(operations.change_key(rt, name, change), as_json)


# A negative amount is no option.
@click.command("topup", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("amount")
@click.option("--reference", help="Your own name for it: the same one counts once.")
@output
def keys_topup(
    name: str, amount: str, reference: str | None, data: Path | None, as_json: bool
) -> None:
    """Add AMOUNT to a key's balance; a negative one is taken off."""
    with open_store(data) as rt:
        show(operations.top_up(rt, name, amount, reference), as_json)


KEY_COMMANDS: Sequence[click.Command] = (keys_set, keys_topup)


@click.group("prices")
def prices_group() -> None:
    """What models cost clients."""


@prices_group.command("set")
@click.argument("model")
@click.argument("amount")
@click.option(
    "--per",
    "unit",
    required=True,
    type=click.Choice([unit.value for unit in Unit]),
    help="What is counted.",
)
@channel_option
@output
def prices_set(
    model: str, amount: str, unit: str, channel: str, data: Path | None, as_json: bool
) -> None:
    """Set what one unit of MODEL costs, for tasks that come from now on."""
    with open_store(data) as rt:
        told = operations.set_price(rt, model, amount, unit=unit, channel=channel)
    show(told, as_json)


@prices_group.command("list")
@output
def prices_list(data: Path | None, as_json: bool) -> None:
    """List the prices."""
    with open_store(data) as rt:
        show_rows(operations.list_prices(rt), as_json)


@prices_group.command("remove")
@click.argument("model")
@channel_option
@output
def prices_remove(model: str, channel: str, data: Path | None, as_json: bool) -> None:
    """Forget a price; what is held already stays held."""
    with open_store(data) as rt:
        operations.remove_price(rt, model, channel=channel)
    show({"model": model, "channel": channel or None, "removed": True}, as_json)


@click.command("usage")
@click.option(
    "--by",
    default="day,key,model",
    show_default=True,
    help=f"Some of {','.join(GROUPS)}.",
)
@since_option
@until_option
@output
def usage_command(
    by: str, since: str | None, until: str | None, data: Path | None, as_json: bool
) -> None:
    """Show what was spent, this month unless --since says otherwise."""
    with open_store(data) as rt:
        rows = operations.usage(
            rt,
            by=[name.strip() for name in by.split(",")],
            since=_instant(since, "--since"),
            until=_instant(until, "--until"),
        )
    show_rows(rows, as_json)


COMMANDS: Sequence[click.Command] = (
    tasks_group,
    unknown_group,
    deliveries_group,
    prices_group,
    usage_command,
)


def read_limits(texts: Sequence[str]) -> dict[str, float]:
    """`["daily=100"]` as numbers by name; which ones there are is checked elsewhere."""
    limits = {}
    for name, value in (pair(text, "--limit") for text in texts):
        try:
            limits[name] = float(value)
        except ValueError as error:
            raise click.BadParameter(
                f"{value!r} is not a number", param_hint="--limit"
            ) from error
    return limits


def _callbacks(which: Mapping[str, Any]) -> Filter:
    return Filter(
        states=_one(which["state"]),
        host=which["host"],
        task_id=which["task_id"],
        since=_instant(which["since"], "--since"),
        until=_instant(which["until"], "--until"),
    )


def _one(word: str | None) -> tuple[str, ...]:
    return () if word is None else (word,)


def _instant(text: str | None, option: str) -> int | None:
    return None if text is None else operations.read_instant(text, time.time(), option)


def _show_task(task: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        show(task, as_json)
        return
    show({n: part for n, part in task.items() if n not in PARTS_OF_A_TASK}, as_json)
    attempts = []
    for part in PARTS_OF_A_TASK:
        rows = [dict(row) for row in task[part]]
        for row in rows:
            attempts += row.pop("attempts", [])
        if rows:
            click.echo(f"\n{part}")
            show_rows(rows, as_json)
    if attempts:
        click.echo("\nattempts")
        show_rows(attempts, as_json)


def _show_channel(row: Mapping[str, Any], as_json: bool) -> None:
    keys = [key["name"] for key in row["keys"]]
    show(row if as_json else {**row, "keys": keys}, as_json)
