"""The command line; one function per command, rules live elsewhere.

This module alone starts workers and the sandbox, so it alone of `app` imports them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from app import (
    accounts,
    channel_file,
    channel_test,
    client,
    logs,
    operations,
    operator_commands,
    provider_commands,
)
from app.accounts import ChannelPlan
from app.bells import Bell, Ringer, make_celery
from app.command_line import (
    as_json_option,
    data_option,
    environment,
    explained,
    moment,
    open_store,
    pair,
    read_settings,
    show,
    show_rows,
    stop,
)
from app.limits import CHANNEL_LIMITS
from app.runtime import Runtime, running
from app.settings import Settings, with_secret_key
from app.store import channels, clients, migrate
from app.store.channels import Channel
from app.store.session import open_database
from app.wsgi import WebServer, create_app, serve
from sandbox.server import Sandbox, SandboxSettings
from workers import process

SANDBOX_PORT = 8900
PORT = click.IntRange(0, 65_535)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="genrelay", prog_name="genrelay")
def main() -> None:
    """One asynchronous API for image, video and audio generation."""


@main.command()
@click.option("--host", help="The address to listen on (GENRELAY_WEB_HOST).")
@click.option("--port", type=PORT, help="The port; 0 takes a free one.")
@data_option
@as_json_option
@explained
def up(host: str | None, port: int | None, data: Path | None, as_json: bool) -> None:
    """Run everything in one process: API, workers, store, broker, sandbox."""
    env = environment(data)
    if host is not None:
        env["GENRELAY_WEB_HOST"] = host
    if port is not None:
        env["GENRELAY_WEB_PORT"] = str(port)
    settings = with_secret_key(Settings.from_env(env))
    logs.setup_logs(settings.log_level)
    stop = threading.Event()
    with (
        process.until_told(stop),
        process.everything(
            settings, env, serve=_serve, sandbox_at=_embedded_sandbox
        ) as gateway,
    ):
        shown = {
            "url": gateway.url,
            "api_key": gateway.credentials.api_key,
            "webhook_secret": gateway.credentials.webhook_secret,
            "sandbox_url": gateway.sandbox_url,
            "data_dir": str(gateway.data.resolve()),
        }
        if as_json:
            click.echo(json.dumps(shown))
        else:
            _greet(shown)
        sys.stdout.flush()
        stop.wait()
        click.echo("stopping: calls under way are ended first", err=True)


@main.command()
@click.option("--host", help="The address to listen on (GENRELAY_WEB_HOST).")
@click.option("--port", type=PORT, help="The port (GENRELAY_WEB_PORT, PORT).")
@explained
def web(host: str | None, port: int | None) -> None:
    """Run the HTTP API."""
    settings = read_settings()
    process.check_store(settings)
    settings = replace(
        settings,
        web_host=host or settings.web_host,
        web_port=settings.web_port if port is None else port,
    )
    logs.setup_logs(settings.log_level)
    stop = threading.Event()
    with ExitStack() as stack:
        ringer = Ringer(make_celery(settings))
        stack.callback(ringer.close)
        rt = stack.enter_context(running(settings, ringer.ring))
        stack.enter_context(process.until_told(stop))
        server = _serve(rt)
        stack.callback(server.close)
        click.echo(f"listening on http://{server.host}:{server.port}", err=True)
        stop.wait()


@main.command()
@click.option(
    "--queues",
    default=",".join(Bell),
    show_default=True,
    help="The queues to work on, separated by commas.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100_000),
    help="Upstream calls under way at a time, per queue (GENRELAY_WORKER_CONCURRENCY).",
)
@explained
def worker(queues: str, concurrency: int | None) -> None:
    """Run a worker: hand tasks over, follow them, deliver callbacks, clear away."""
    names = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = sorted(set(names) - set(Bell))
    if unknown or not names:
        raise click.BadParameter(
            f"{', '.join(unknown) or 'none'}: queues are {', '.join(Bell)}",
            param_hint="--queues",
        )
    settings = read_settings()
    if concurrency is not None:
        settings = replace(settings, worker_concurrency=concurrency)
    logs.setup_logs(settings.log_level)
    process.run_worker(settings, [Bell(name) for name in dict.fromkeys(names)])


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=SANDBOX_PORT, show_default=True)
@as_json_option
@explained
def sandbox(host: str, port: int, as_json: bool) -> None:
    """Run the simulated upstream that speaks every provider's wire format."""
    stop = threading.Event()
    with process.until_told(stop):
        server = Sandbox(host, port)
        try:
            click.echo(json.dumps({"url": server.url}) if as_json else server.url)
            sys.stdout.flush()
            stop.wait()
        finally:
            server.close()


@main.group()
def db() -> None:
    """The store."""


@db.command("upgrade")
@as_json_option
@explained
def db_upgrade(as_json: bool) -> None:
    """Bring the store to the newest schema; safe to repeat."""
    settings = read_settings()
    database = open_database(settings.database_url)
    try:
        if database.is_sqlite:
            settings.data.mkdir(parents=True, exist_ok=True)
        migrate.upgrade(database)
    finally:
        database.close()
    click.echo(json.dumps({"upgraded": True}) if as_json else "the store is up to date")


@db.command("reseal")
@data_option
@as_json_option
@explained
def db_reseal(data: Path | None, as_json: bool) -> None:
    """Seal all secrets with the present secret key, after it was rotated."""
    with open_store(data) as rt, rt.transaction() as tx:
        count = accounts.reseal(rt, tx)
    show({"resealed": count}, as_json)


@main.group()
def keys() -> None:
    """API keys of clients."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(accounts.SCOPES),
    default=accounts.SCOPES[:2],
    show_default=True,
    help="What the key may do; may be repeated.",
)
@operator_commands.group_option
@operator_commands.priority_option
@operator_commands.limits_option
@click.option("--expires-days", type=click.IntRange(1, 3650), help="Days it lives.")
@data_option
@as_json_option
@explained
def keys_create(
    name: str,
    scopes: Sequence[str],
    group: str | None,
    priority: str | None,
    limits: Sequence[str],
    expires_days: int | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make an API key; it is shown this once."""
    expires_at = None
    if expires_days is not None:
        expires = datetime.now(UTC) + timedelta(days=expires_days)
        expires_at = int(expires.timestamp() * 1000)
    with open_store(data) as rt, rt.transaction() as tx:
        new = accounts.create_key(
            rt,
            tx,
            name,
            scopes=scopes,
            group=group or "default",
            priority=priority or "normal",
            limits=operator_commands.read_limits(limits),
            expires_at=expires_at,
        )
    show(
        {
            "name": new.name,
            "api_key": new.api_key,
            "webhook_secret": new.webhook_secret,
            "scopes": list(scopes),
        },
        as_json,
    )


@keys.command("list")
@data_option
@as_json_option
@explained
def keys_list(data: Path | None, as_json: bool) -> None:
    """List the API keys, without their texts."""
    with open_store(data) as rt:
        show_rows(operations.list_keys(rt), as_json)


@keys.command("revoke")
@click.argument("name")
@data_option
@as_json_option
@explained
def keys_revoke(name: str, data: Path | None, as_json: bool) -> None:
    """Take a key out of use, within five seconds everywhere."""
    with open_store(data) as rt, rt.transaction() as tx:
        if not clients.revoke(tx, name):
            stop(f"there is no usable key named {name!r}")
    show({"name": name, "revoked": True}, as_json)


@keys.command("rotate-webhook-secret")
@click.argument("name")
@data_option
@as_json_option
@explained
def keys_rotate(name: str, data: Path | None, as_json: bool) -> None:
    """Make a new webhook secret; the present one signs beside it for a day."""
    with open_store(data) as rt, rt.transaction() as tx:
        secret = accounts.rotate_webhook_secret(rt, tx, name)
    show({"name": name, "webhook_secret": secret}, as_json)


@main.group("channels")
def channels_group() -> None:
    """Channels: accounts at providers."""


@channels_group.command("add")
@click.argument("name")
@click.option("--provider", required=True, metavar="P")
@click.option("--base-url", help="Where its API lies, if not at the provider's own.")
@click.option(
    "--secret",
    "secrets",
    required=True,
    multiple=True,
    help="The provider's key; may be repeated; `-` reads standard input.",
)
@click.option(
    "--webhook-secret", help="The secret that signs the provider's callbacks."
)
@click.option(
    "--models",
    default="",
    help="Models served, as `a,b=upstream-b`; without it all, under their own names.",
)
@click.option("--weight", type=int, default=1, show_default=True)
@click.option("--priority", type=int, default=0, show_default=True)
@click.option(
    "--group",
    "groups",
    multiple=True,
    help="A group of clients that it serves; without it all. May be repeated.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help=f"A limit: {', '.join(CHANNEL_LIMITS)}. May be repeated.",
)
@data_option
@as_json_option
@explained
def channels_add(data: Path | None, as_json: bool, **options: Any) -> None:
    """Add a channel."""
    secrets = [
        sys.stdin.readline().strip() if secret == "-" else secret
        for secret in options["secrets"]
    ]
    plan = ChannelPlan(
        name=options["name"],
        provider=options["provider"],
        base_url=options["base_url"],
        secrets=tuple(secrets),
        webhook_secret=options["webhook_secret"],
        groups=tuple(options["groups"]),
        models=channel_file.read_models(options["models"]),
        weight=options["weight"],
        priority=options["priority"],
        limits=channel_file.read_limits(options["limits"]),
    )
    with open_store(data) as rt:
        with rt.transaction() as tx:
            accounts.add_channel(rt, tx, plan, rt.providers)
        with rt.reading() as tx:
            added = channels.find_by_name(tx, plan.name)
    assert added is not None
    show(_channel(added), as_json)


@channels_group.command("list")
@data_option
@as_json_option
@explained
def channels_list(data: Path | None, as_json: bool) -> None:
    """List the channels, without their secrets."""
    with open_store(data) as rt, rt.reading() as tx:
        found = channels.list_all(tx)
    show_rows([_channel(channel) for channel in found], as_json)


@channels_group.command("test")
@click.argument("name")
@data_option
@as_json_option
@explained
def channels_test(name: str, data: Path | None, as_json: bool) -> None:
    """Make the cheapest call that proves a channel's key; it generates nothing."""
    with open_store(data) as rt:
        channel = _find_channel(rt, name)
        provider = rt.providers.get(channel.provider)
        if provider is None:
            stop(f"nothing describes {channel.provider!r}, the provider of {name!r}")
        secrets = {
            key.name: rt.sealer.unseal(key.secret, f"key:{key.id}")
            for key in channel.usable_keys
        }
    rows = []
    for key_name, secret in secrets.items():
        result = channel_test.test(channel, provider, secret)
        rows.append({"key": key_name, **asdict(result)})
    if as_json:
        works = all(row["works"] for row in rows)
        click.echo(json.dumps({"name": name, "works": works, "keys": rows}))
    else:
        show_rows(rows, as_json)
    if not all(row["works"] for row in rows):
        raise SystemExit(1)


@channels_group.command("enable")
@click.argument("name")
@data_option
@as_json_option
@explained
def channels_enable(name: str, data: Path | None, as_json: bool) -> None:
    """Let a channel take tasks, and end its pause."""
    _change(
        name,
        data,
        as_json,
        enabled=True,
        failure_count=0,
        paused_until=None,
        pause_reason=None,
    )


@channels_group.command("disable")
@click.argument("name")
@data_option
@as_json_option
@explained
def channels_disable(name: str, data: Path | None, as_json: bool) -> None:
    """Give a channel no new tasks; what it has is followed to its end."""
    _change(name, data, as_json, enabled=False)


@channels_group.command("remove")
@click.argument("name")
@data_option
@as_json_option
@explained
def channels_remove(name: str, data: Path | None, as_json: bool) -> None:
    """Remove a channel; its secret stays sealed until its tasks have ended."""
    with open_store(data) as rt:
        channel = _find_channel(rt, name)
        with rt.transaction() as tx:
            channels.remove(tx, channel)
    show({"name": name, "removed": True}, as_json)


@channels_group.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
@as_json_option
@explained
def channels_apply(file: Path, data: Path | None, as_json: bool) -> None:
    """Make the channels be those of a YAML file; others of a file are removed."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        stop(f"{file} is not a text in UTF-8")
    plans = channel_file.read(text, os.environ)
    with open_store(data) as rt, rt.transaction() as tx:
        done = accounts.settle(rt, tx, plans, rt.providers, origin="file")
    show(done, as_json)


@main.command()
@click.argument("prompt")
@click.option("--model", required=True, help="The model to generate with.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An input image; may be repeated.",
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another field of the task, such as size=1024x1024; may be repeated.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The folder for the files.",
)
@click.option("--url", envvar="GENRELAY_URL", help="The gateway's address.")
@click.option("--api-key", envvar="GENRELAY_API_KEY", help="The API key.")
@click.option("--timeout", "timeout_s", type=float, default=3600, show_default=True)
@data_option
@as_json_option
@explained
def generate(
    prompt: str,
    model: str,
    images: Sequence[Path],
    fields: Sequence[str],
    out: Path,
    url: str | None,
    api_key: str | None,
    timeout_s: float,
    data: Path | None,
    as_json: bool,
) -> None:
    """Generate something as a client does, and save the files."""
    target = client.find_gateway(url, api_key, environment(data))
    finished = client.generate(
        target,
        prompt=prompt,
        model=model,
        images=images,
        fields=dict(pair(field, "--field") for field in fields),
        out=out,
        timeout_s=timeout_s,
        console=Console(stderr=True, quiet=as_json),
    )
    if as_json:
        click.echo(
            json.dumps({**finished.task, "files": [str(f) for f in finished.files]})
        )
    else:
        for text in finished.texts:
            click.echo(text)
        for file in finished.files:
            click.echo(str(file))


def _find_channel(rt: Runtime, name: str) -> Channel:
    with rt.reading() as tx:
        channel = channels.find_by_name(tx, name)
        known = [c.name for c in channels.list_all(tx)]
    if channel is None:
        stop(f"there is no channel named {name!r}; known are {', '.join(known) or '-'}")
    return channel


def _change(name: str, data: Path | None, as_json: bool, **fields: Any) -> None:
    with open_store(data) as rt:
        channel = _find_channel(rt, name)
        with rt.transaction() as tx:
            channels.change(tx, channel.id, **fields)
        changed = _find_channel(rt, name)
    show(_channel(changed), as_json)


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "name": channel.name,
        "provider": channel.provider,
        "base_url": channel.base_url,
        "models": dict(channel.models) or "all",
        "weight": channel.weight,
        "priority": channel.priority,
        "limits": dict(channel.limits),
        "enabled": channel.enabled,
        "origin": channel.origin,
        "paused_until": moment(channel.paused_until),
        "pause_reason": channel.pause_reason,
        "id": channel.id,  # also a name of its callback address
    }


def _serve(rt: Runtime) -> WebServer:
    return serve(create_app(rt), rt.settings)


def _embedded_sandbox(data: Path) -> Sandbox:
    """The simulated upstream of a data folder: it comes back with its jobs, and at
    the same address, which the links of running jobs name."""
    settings = SandboxSettings(journal=data / "sandbox.jsonl")
    kept = data / "sandbox.port"
    try:
        port = int(kept.read_text(encoding="ascii"))
    except (OSError, ValueError):
        port = SANDBOX_PORT
    try:
        server = Sandbox("127.0.0.1", port, settings)
    except OSError:
        server = Sandbox("127.0.0.1", 0, settings)
    kept.write_text(server.url.rpartition(":")[2], encoding="ascii")
    return server


def _greet(shown: Mapping[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]genrelay is up[/] at {shown['url']}")
    console.print(f"  documentation   {shown['url']}/docs")
    console.print(f"  API key         {shown['api_key']}")
    console.print(f"  webhook secret  {shown['webhook_secret']}")
    console.print(f"  data            {shown['data_dir']}")
    if shown["sandbox_url"]:
        console.print(
            f"  upstream        simulated, at {shown['sandbox_url']} "
            "(set a provider's key, such as OPENAI_API_KEY, to use a real one)"
        )
    console.print("\nTry it:\n")
    console.out(
        f"curl -X POST {shown['url']}/generation/tasks \\\n"
        f'  -H "Authorization: Bearer {shown["api_key"]}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        '  -d \'{"model": "wanx2.1-t2i-turbo", '
        '"prompt": "a lighthouse made of paper, dawn"}\'\n',
        highlight=False,
    )
    console.print("Stop it with Ctrl-C; it comes back with its data.")


main.add_command(provider_commands.providers_group)
for _command in operator_commands.COMMANDS:
    main.add_command(_command)
for _command in operator_commands.KEY_COMMANDS:
    keys.add_command(_command)
for _command in operator_commands.CHANNEL_COMMANDS:
    channels_group.add_command(_command)
