"""The README says what is so: its tables, its commands, its links, its code."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import standardwebhooks

from app.api.schemas import NewTaskSchema
from app.cli import main
from app.lifecycle import diagram
from app.security.signatures import make_webhook_secret, webhook_headers
from app.settings import VARIABLES
from providers import errors
from providers.registry import PROVIDERS
from providers.types import MediaType, Phase, Remote
from tests.app.api.gateways import make_gateway
from tests.builders import a_request
from tests.fakes import answer, calls_of, play

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (
    *("README.md", "CHANGELOG.md", "deploy/runbook.md"),
    *("docs/adding-a-provider.md", "docs/declaring-a-provider.md"),
    "docs/operators.md",
)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"genrelay ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """`scripts/readme` as a module."""
    path = ROOT / "scripts" / "readme"
    loader = SourceFileLoader("scripts_readme", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    written = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # no folder of it beside the scripts
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


def test_what_is_made_from_the_code_is_up_to_date(script: ModuleType) -> None:
    assert script.filled(README) == README, "run scripts/readme"


def test_the_diagram_of_a_task_is_the_one_of_the_code() -> None:
    assert f"```mermaid\n{diagram()}```" in README


def test_every_setting_is_explained() -> None:
    for variable in VARIABLES:
        assert f"| `{variable.name}`" in README


def test_every_provider_and_model_is_named() -> None:
    for provider in PROVIDERS:
        assert f"| `{provider.name}` |" in README
        assert all(f"`{model.name}`" in README for model in provider.models)


def test_every_field_of_a_task_is_named() -> None:
    assert [name for name in NewTaskSchema().fields if f"`{name}`" not in README] == []


def test_a_part_without_its_markers_is_an_error(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="'settings' must be there once"):
        script.filled(README.replace("<!-- end: settings -->", ""))


def test_a_stale_part_is_seen_and_then_written(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "README.md"
    page.write_text(README.replace("`DATABASE_URL`", "`DATABASE`"), encoding="utf-8")
    monkeypatch.setattr(script, "README", page)

    assert script.main(["--check"]) == 1
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
    assert page.read_text(encoding="utf-8") == README


def test_the_script_runs_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "readme"), "--check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_that_are_there(page: str) -> None:
    path = ROOT / page
    links = [link for link in LINK.findall(path.read_text()) if "://" not in link]

    assert [link for link in links if not (path.parent / link).exists()] == []


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        yield before + name
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_named_exist(page: str) -> None:
    assert isinstance(main, click.Group)
    known = set(commands(main))
    groups = {name.split()[0] for name in known if " " in name}
    for block in re.findall(r"`+([^`]+)`+", (ROOT / page).read_text()):
        for named in COMMAND.findall(block):
            first, _, second = named.partition(" ")
            wanted = named if first in groups and second else first
            assert wanted in known, f"genrelay {named}"


def test_every_route_is_listed(tmp_path: Path) -> None:
    made = make_gateway(tmp_path)
    served = {
        re.sub(r"<[^>]+>", "{}", rule.rule)
        for rule in made.flask_app.url_map.iter_rules()
        if not rule.rule.startswith(("/v1/", "/docs/"))
    }
    made.web.close()
    made.rt.database.close()
    listed = {
        re.sub(r"\{[a-z]+\}", "{}", path)
        for path in re.findall(r"`(?:GET|POST) (/[^`]+)`", README)
    }

    assert sorted(served - listed) == []
    assert sorted(listed - served) == []


def python_example() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (example,) = [block for block in blocks if "standardwebhooks" in block]
    return str(example)


def test_the_python_example_verifies_a_callback() -> None:
    secret = make_webhook_secret()
    body = b'{"type": "task.succeeded", "data": {}}'
    headers = webhook_headers("event_1", datetime.now(UTC), body, [secret])
    example: dict[str, object] = {"WEBHOOK_SECRET": secret}
    exec(compile(python_example(), "README.md", "exec"), example)
    read_callback = example["read_callback"]
    assert callable(read_callback)

    assert read_callback(body, dict(headers))["type"] == "task.succeeded"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        read_callback(body + b" ", dict(headers))


def test_the_javascript_example_is_a_module() -> None:
    node = shutil.which("node")
    (example,) = re.findall(r"```js\n(.*?)```", README, re.DOTALL)
    assert "new Webhook(process.env.WEBHOOK_SECRET).verify(body, headers)" in example
    if node is None:
        return
    done = subprocess.run(
        [node, "--input-type=module", "--check"],
        input=example,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr


def test_the_example_of_an_adapter_works() -> None:
    page = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    lumen: dict[str, Any] = {"__name__": "lumen"}
    exec(compile(source, "lumen.py", "exec", dont_inherit=True), lumen)
    request = a_request(model="lumen-1", media_type=MediaType.VIDEO, duration=5.0)
    done = {
        "id": "v1",
        "status": "done",
        "progress": 1,
        "output": {"url": "https://cdn.example.com/v.mp4?sig=a%2Bb"},
    }

    snapshot = play(lumen["submit"](request), answer(done))

    assert snapshot.phase is Phase.SUCCEEDED
    assert snapshot.artifacts[0].url == "https://cdn.example.com/v.mp4?sig=a%2Bb"
    (call,) = calls_of(lumen["submit"](request), answer(done))
    assert call.paid
    assert call.json["seconds"] == 5.0
    refusal = answer({"error": {"code": "no_credit", "message": ""}}, status=429)
    with pytest.raises(errors.QuotaExhausted):
        play(lumen["poll"](Remote("v1")), refusal)
    play(lumen["PROVIDER"].test(), answer([]))
