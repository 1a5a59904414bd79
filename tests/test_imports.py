"""Who imports whom: the four packages point one way, each framework has one home."""

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("app", "workers", "providers", "sandbox")

# What a module may import of ours; the longest name that fits it decides.
MAY_IMPORT = {
    "providers": ("providers",),
    "sandbox": ("sandbox",),
    "app": ("app", "providers.types"),
    "app.api": ("app", "providers.types", "providers.registry"),
    # Reads a callback with an adapter, which says in errors what it cannot read.
    "app.api.upstream": ("app", "providers.types", "providers.errors"),
    # Sizes and ratios are read as the adapters read them.
    "app.capabilities": ("app", "providers.types", "providers.geometry"),
    # The one place that starts the others: workers, the sandbox and the web server.
    "app.cli": ("app", "workers", "sandbox", "providers.types"),
    # What its commands have in common, and those of operators.
    **dict.fromkeys(
        ("app.command_line", "app.operator_commands"),
        ("app", "workers", "providers.types"),
    ),
    # Which providers a process has: the built-in ones, and those of files.
    "app.provider_files": (
        "app",
        *(f"providers.{m}" for m in ("types", "errors", "declared", "registry")),
    ),
    # Shows how a provider authorizes a call that is never sent.
    "app.provider_commands": (
        "app",
        *(f"providers.{m}" for m in ("types", "errors", "flow")),
    ),
    # Runs one free call of a provider by itself, without a worker.
    "app.channel_test": (
        "app",
        *(f"providers.{m}" for m in ("types", "flow", "errors")),
    ),
    # Plays a submit flow up to its paid call.
    "app.dry_run": ("app", *(f"providers.{m}" for m in ("types", "flow", "errors"))),
    "workers": ("app", "workers", "providers"),
}
# Nothing else of app is closed to workers.
NOT_FOR_WORKERS = (
    *("app.api", "app.wsgi"),
    *("app.cli", "app.command_line", "app.operator_commands"),
)

HOMES = {
    "flask": ("app.api", "app.wsgi"),
    "werkzeug": ("app.api", "app.wsgi"),
    "marshmallow": ("app.api",),
    "apispec": ("app.api",),
    "sqlalchemy": ("app.store",),
    "alembic": ("app.store",),
    "psycopg": ("app.store",),
    "aiohttp": ("workers.http", "sandbox"),
    # Where one thread streams: result files, the command line, key sets.
    "requests": (
        "workers.artifacts",
        *("app.cli", "app.client", "app.channel_test", "app.connection_errors"),
        "app.api.key_sets",
    ),
}

# Imports inside functions: optional extras, needed only by some settings.
LATE = {
    ("app.storage", "obstore"),
}


@dataclass(frozen=True)
class Import:
    """`module` imports `target` on a line; `late` when a function or class does."""

    module: str
    target: str
    line: int
    late: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


Rule = Callable[[Import], bool]


def within(name: str, *packages: str) -> bool:
    """Whether the name is one of the packages or lies in one."""
    return any(name == p or name.startswith(f"{p}.") for p in packages)


def read_imports(module: str, source: str, *, package: bool = False) -> list[Import]:
    """Every import of a source; `from a import b` counts as one of a.b."""
    parent = module if package else module.rpartition(".")[0]

    def visit(node: ast.AST, late: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for name in child.names:
                    yield Import(module, name.name, child.lineno, late)
            elif isinstance(child, ast.ImportFrom):
                origin = child.module or ""
                if child.level:
                    kept = parent.split(".")[: len(parent.split(".")) - child.level + 1]
                    origin = ".".join([*kept, *filter(None, [child.module])])
                for name in child.names:
                    target = f"{origin}.{name.name}"
                    yield Import(module, target, child.lineno, late)
            else:
                scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
                yield from visit(child, late or isinstance(child, scope))

    return list(visit(ast.parse(source), False))


def keeps_direction(found: Import) -> bool:
    """Of ours, only what `MAY_IMPORT` allows."""
    if not within(found.target, *OURS):
        return True
    importers = [name for name in MAY_IMPORT if within(found.module, name)]
    return within(found.target, *MAY_IMPORT[max(importers, key=len)])


def keeps_workers_out_of_intake(found: Import) -> bool:
    """Workers have no request, so they need nothing of what answers requests."""
    of_workers = within(found.module, "workers")
    return not (of_workers and within(found.target, *NOT_FOR_WORKERS))


def keeps_homes(found: Import) -> bool:
    """A framework is imported in its home only."""
    home = HOMES.get(found.target.partition(".")[0])
    return home is None or within(found.module, *home)


def keeps_providers_plain(found: Import) -> bool:
    """Adapters run on the standard library."""
    if not within(found.module, "providers"):
        return True
    origin = found.target.partition(".")[0]
    return origin == "providers" or origin in sys.stdlib_module_names


def stands_at_the_top(found: Import) -> bool:
    """At the top of the file, except for optional extras."""
    return not found.late or (found.module, found.target.partition(".")[0]) in LATE


RULES = (
    keeps_direction,
    keeps_workers_out_of_intake,
    keeps_homes,
    keeps_providers_plain,
    stands_at_the_top,
)


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    found = []
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            module = ".".join(parts[:-1] if is_package else parts)
            source = path.read_text(encoding="utf-8")
            found += read_imports(module, source, package=is_package)
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_import_keeps_the_rule(rule: Rule, imports: list[Import]) -> None:
    assert "\n".join(str(found) for found in imports if not rule(found)) == ""


def test_imports_are_found_at_all(imports: list[Import]) -> None:
    assert {found.module.partition(".")[0] for found in imports} == set(OURS)


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (keeps_direction, "providers.fal", "from app import settings"),
        (keeps_direction, "providers.fal", "import workers.poll"),
        (keeps_direction, "sandbox.fal", "from providers.fal import PROVIDER"),
        (keeps_direction, "sandbox.fal", "import app"),
        (keeps_direction, "app.bells", "from workers.celery import celery"),
        (keeps_direction, "app.bells", "import sandbox.server"),
        (keeps_direction, "app.store.tasks", "from providers import registry"),
        (keeps_direction, "app.api.tasks", "from providers.fal import PROVIDER"),
        (keeps_direction, "app.cli", "from providers.registry import BY_NAME"),
        (keeps_direction, "app.client", "import workers"),
        (keeps_direction, "workers.poll", "from sandbox import jobs"),
        (keeps_workers_out_of_intake, "workers.poll", "from app.api import schemas"),
        (keeps_workers_out_of_intake, "workers.poll", "from app import wsgi"),
        (keeps_homes, "app.settings", "from flask import g"),
        (keeps_homes, "app.wsgi", "import marshmallow"),
        (keeps_homes, "workers.poll", "from sqlalchemy.exc import DBAPIError"),
        (keeps_homes, "app.cli", "import alembic.command"),
        (keeps_homes, "workers.deliver", "import aiohttp"),
        (keeps_homes, "workers.http2", "import aiohttp"),
        (keeps_homes, "workers.http", "import requests"),
        (keeps_providers_plain, "providers.fal", "import yaml"),
        (keeps_providers_plain, "providers.fal", "def f():\n    import requests"),
        (stands_at_the_top, "app.cli", "def f():\n    import json"),
        (stands_at_the_top, "app.cli", "class A:\n    from os import path"),
        (stands_at_the_top, "app.cli", "async def f():\n  if 1:\n    import json"),
        (stands_at_the_top, "app.storage", "def f():\n    import json"),
    ],
)
def test_a_wrong_import_is_seen(rule: Rule, module: str, source: str) -> None:
    assert [found for found in read_imports(module, source) if not rule(found)]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("providers.fal", "from providers.dialects import queues\nimport json"),
        ("sandbox.fal", "from . import jobs\nimport aiohttp.web"),
        ("app.api.tasks", "from providers.registry import BY_NAME\nimport flask"),
        ("app.catalog", "from providers import types"),
        ("app.cli", "import requests\nfrom workers import celery\nimport sandbox"),
        ("app.storage", "def f():\n    from obstore.store import S3Store"),
        ("app.store.session", "from sqlalchemy import text\nfrom ..errors import X"),
        (
            "workers.http",
            "try:\n    import uvloop\nexcept ImportError: ...\nimport aiohttp",
        ),
        ("workers.poll", "from providers.registry import BY_NAME\nimport app.settings"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    found = read_imports(module, source)

    assert found
    assert all(rule(one) for rule in RULES for one in found)
