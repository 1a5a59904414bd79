"""The commands about providers: which there are, what each is, and is a file right."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from app import provider_files
from app.command_line import (
    as_json_option,
    environment,
    explained,
    show,
    show_rows,
    stop,
)
from app.settings import Settings
from providers.errors import ProviderError
from providers.flow import Call
from providers.types import Credentials, MediaType, Model, Provider

POWERS = ("callbacks", "cancel", "look-up", "batch polling", "idempotent", "key test")
# In the shape of every provider's keys: some of them have two parts.
SAMPLE_KEY, OTHER_KEY = "ID:KEY", "ID2:KEY2"


class Providers(click.Group):
    """A group whose first word may also be the name of a provider."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


@click.group("providers", cls=Providers, invoke_without_command=True)
@as_json_option
@click.pass_context
@explained
def providers_group(ctx: click.Context, as_json: bool) -> None:
    """List the providers; with a NAME, describe one."""
    if ctx.invoked_subcommand is None:
        show_rows([row_of(provider) for provider in known().values()], as_json)


@providers_group.command("show")
@click.argument("name")
@as_json_option
@explained
def providers_show(name: str, as_json: bool) -> None:
    """Describe one provider with its models and their limits."""
    parent = click.get_current_context().parent
    as_json = as_json or bool(parent and parent.params["as_json"])
    providers = known()
    if name not in providers:
        stop(f"there is no provider {name!r}; known are {', '.join(providers)}")
    told = describe(providers[name])
    if as_json:
        show(told, as_json)
        return
    models = told.pop("models")
    show(told, as_json)
    for model in models:
        click.echo(f"\n{model.pop('name')}")
        for field, value in model.items():
            click.echo(f"  {field}: {limit_text(value)}")


@providers_group.command("check")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE...",
)
@as_json_option
@explained
def providers_check(files: Sequence[Path], as_json: bool) -> None:
    """Read files that describe providers, and tell all that is wrong in them."""
    problems: tuple[provider_files.Problem, ...] = ()
    try:
        provider_files.read(files)
    except provider_files.WrongProviderFiles as error:
        problems = error.problems
    if as_json:
        rows = [
            {
                "file": str(file),
                "ok": all(problem.file != str(file) for problem in problems),
                "errors": [
                    {"line": problem.line, "text": problem.text}
                    for problem in problems
                    if problem.file == str(file)
                ],
            }
            for file in files
        ]
        click.echo(json.dumps(rows))
    else:
        wrong = {problem.file for problem in problems}
        for problem in problems:
            click.echo(str(problem))
        for file in files:
            if str(file) not in wrong:
                click.echo(f"{file}: ok")
    if problems:
        raise SystemExit(1)


def known() -> Mapping[str, Provider]:
    """The providers that the environment's settings give."""
    return provider_files.load(Settings.from_env(environment(None)).providers)


def row_of(provider: Provider) -> dict[str, Any]:
    """One provider in a list."""
    kinds = {model.media_type for model in provider.models}
    return {
        "name": provider.name,
        "title": provider.title,
        "makes": [kind.value for kind in MediaType if kind in kinds],
        "model_count": len(provider.models),
        "powers": powers_of(provider),
        "env": list(provider.env),
        "source": "built in" if provider.name in provider_files.BUILT_IN else "file",
    }


def powers_of(provider: Provider) -> list[str]:
    """What it can do beyond submitting and looking."""
    has = (
        provider.receive,
        provider.cancel,
        provider.find,
        provider.poll_many,
        provider.idempotent,
        provider.test,
    )
    return [power for power, given in zip(POWERS, has, strict=True) if given]


def describe(provider: Provider) -> dict[str, Any]:
    """All that an operator may ask about one provider."""
    return {
        **row_of(provider),
        "base_url": provider.base_url,
        "key": key_words(provider),
        "poll_spacing_s": provider.poll_spacing_s,
        "links_live_s": provider.links_live_s,
        "models": [limits_of(model) for model in provider.models],
    }


def key_words(provider: Provider) -> str:
    """How a call is authorized, as two that are never sent tell."""
    call = Call("GET", f"{provider.base_url}/")
    now = time.time()
    try:
        one, other = (
            places_of(provider.authorize(call, Credentials(secret, {}, now)))
            for secret in (SAMPLE_KEY, OTHER_KEY)
        )
    except (ProviderError, ValueError, LookupError):  # it wants a key of another form
        return "made from the key"
    told = []
    for place in one:
        if one[place] == other[place]:
            continue
        plain = one[place].replace(SAMPLE_KEY, "KEY")
        told.append(f"{place}: {plain if 'KEY' in plain else 'made from the key'}")
    return ", ".join(told)


def places_of(call: Call) -> dict[str, str]:
    """Where a call may carry a key, and what is there."""
    places = {f"header {name}": text for name, text in call.headers.items()}
    return places | {f"query {name}": text for name, text in call.params.items()}


def limits_of(model: Model) -> dict[str, Any]:
    """A model's name and what limits it; limits that are open are left out."""
    told: dict[str, Any] = {}
    for field in fields(model):
        value = getattr(model, field.name)
        if value is None or value is False or value in ((), set()):
            continue
        told[field.name] = sorted(value) if isinstance(value, Set) else value
    return told


def limit_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(limit_text(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
