"""What every command needs: its options, the store, tables or JSON, one-line errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click
from rich.console import Console
from rich.table import Table

from app import client
from app.bells import Ring
from app.errors import GatewayError
from app.runtime import Runtime, no_ring, running
from app.security.sealing import SealError
from app.settings import Settings, SettingsError, with_secret_key
from app.storage import StorageError
from app.store import health, migrate
from app.store.session import open_database
from workers import process

P = ParamSpec("P")

WIDE = 1000  # characters: what is not read on a terminal is not cut

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data folder of the embedded mode (GENRELAY_DATA).",
)


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what an operator can mend into one line on standard error."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (
            SettingsError,
            SealError,
            GatewayError,
            StorageError,
            process.StoreBehind,
            client.CallFailed,
        ) as error:
            stop(str(error))
        except health.OUTAGES as error:
            stop(f"the database does not answer: {health.reason_of(error)}")
        except OSError as error:
            stop(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))

    return run


def environment(data: Path | None) -> dict[str, str]:
    """The environment, with the data folder that was asked for."""
    env = dict(os.environ)
    if data is not None:
        env["GENRELAY_DATA"] = str(data)
    return env


def read_settings(data: Path | None = None) -> Settings:
    """The settings of a command."""
    return with_secret_key(Settings.from_env(environment(data)))


@contextmanager
def open_store(data: Path | None, ring: Ring = no_ring) -> Iterator[Runtime]:
    """The runtime for a command; an embedded store is made when there is none."""
    settings = read_settings(data)
    database = open_database(settings.database_url)
    try:
        if database.is_sqlite:
            settings.data.mkdir(parents=True, exist_ok=True)
            migrate.upgrade(database)
    finally:
        database.close()
    process.check_store(settings)
    with running(settings, ring) as rt:
        yield rt


def show(value: Mapping[str, Any], as_json: bool) -> None:
    """Print one thing, a line for each part."""
    if as_json:
        click.echo(json.dumps(value))
        return
    for name, part in value.items():
        click.echo(f"{name + ':':<16} {_text(part)}")


def show_rows(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print a list as a table."""
    if as_json:
        click.echo(json.dumps(list(rows)))
        return
    if not rows:
        click.echo("none")
        return
    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_text(part) for part in row.values()))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def moment(instant: int | None) -> str | None:
    """An instant in milliseconds as people and programs read it, in UTC."""
    if instant is None:
        return None
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="seconds")


def pair(text: str, option: str) -> tuple[str, str]:
    """`NAME=VALUE` of an option."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
    return name, value


def stop(message: str) -> NoReturn:
    """End the command with one line that says what is wrong."""
    click.echo(f"genrelay: {message}", err=True)
    raise SystemExit(2)


def _text(part: Any) -> str:
    if part is None or part == {} or part == []:
        return "-"
    if isinstance(part, list):
        return ", ".join(map(_text, part))
    if isinstance(part, dict):
        return ", ".join(k if k == v else f"{k}={_text(v)}" for k, v in part.items())
    return str(part)
