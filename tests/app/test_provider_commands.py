"""`genrelay providers`: what there is, what one is, and whether a file is right."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app import provider_commands
from app.cli import main
from app.provider_files import BUILT_IN
from providers.errors import ChannelRefused
from providers.flow import Call
from providers.types import Credentials
from tests.app.test_cli import CommandLine

EXAMPLE = Path(__file__).parents[2] / "deploy" / "providers" / "mothlight.yaml"


def run(*arguments: str, **env: str) -> Result:
    cleared = dict.fromkeys(("GENRELAY_PROVIDERS", "GENRELAY_ENV"))
    return CliRunner(env={**cleared, **env}).invoke(
        main, ["providers", *arguments], catch_exceptions=False
    )


def told(*arguments: str, **env: str) -> Any:
    result = run(*arguments, "--json", **env)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    made = tmp_path / "providers"
    made.mkdir()
    shutil.copy(EXAMPLE, made)
    return str(made)


def test_built_in_providers_are_listed() -> None:
    rows = told()
    assert [row["name"] for row in rows] == list(BUILT_IN)
    assert {row["source"] for row in rows} == {"built in"}
    fal = next(row for row in rows if row["name"] == "fal")
    assert fal == {
        "name": "fal",
        "title": "fal",
        "makes": ["image", "video", "audio"],
        "model_count": len(BUILT_IN["fal"].models),
        "powers": ["callbacks", "cancel", "key test"],
        "env": ["FAL_KEY"],
        "source": "built in",
    }


def test_each_power_is_told() -> None:
    powers = {power for row in told() for power in row["powers"]}
    assert {"look-up", "batch polling"} < powers <= set(provider_commands.POWERS)


def test_provider_of_a_file_is_listed_among_them(folder: str) -> None:
    rows = told(GENRELAY_PROVIDERS=folder)
    assert [row["name"] for row in rows] == sorted([*BUILT_IN, "mothlight"])
    own = next(row for row in rows if row["name"] == "mothlight")
    assert (own["source"], own["model_count"]) == ("file", 2)
    assert own["powers"] == ["callbacks", "cancel", "idempotent", "key test"]
    lines = run(GENRELAY_PROVIDERS=folder).stdout.splitlines()
    assert lines[0].split() == list(own)
    (line,) = [line for line in lines if line.startswith("mothlight")]
    assert line.split()[-2:] == ["MOTHLIGHT_API_KEY", "file"]


def test_one_provider_is_described(folder: str) -> None:
    shown = told("mothlight", GENRELAY_PROVIDERS=folder)
    assert shown["base_url"] == "https://api.mothlight.example/v1"
    assert shown["key"] == "header X-Mothlight-Key: Token KEY"
    film = shown["models"][1]
    assert (film["name"], film["durations"]) == ("mothlight-film", [4.0, 8.0])
    assert "seed" not in film["refuses"]
    assert film["max_images"] == 2
    assert "qualities" not in film
    assert told("show", "mothlight", GENRELAY_PROVIDERS=folder) == shown
    either = run("--json", "mothlight", GENRELAY_PROVIDERS=folder)
    assert json.loads(either.stdout) == shown


def test_description_is_readable(folder: str) -> None:
    lines = run("mothlight", GENRELAY_PROVIDERS=folder).stdout.splitlines()
    assert "key:             header X-Mothlight-Key: Token KEY" in lines
    assert lines[lines.index("mothlight-film") + 1] == "  media_type: video"
    assert "  durations: 4, 8" in lines
    assert "  sizes: 1024x1024, 1536x1024, 1024x1536" in lines


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_every_provider_can_be_described(name: str) -> None:
    shown = provider_commands.describe(BUILT_IN[name])
    assert shown["key"]
    assert "ID" not in shown["key"]
    json.dumps(shown)


def test_limit_of_none_at_all_is_shown() -> None:
    model = replace(BUILT_IN["fal"].models[0], max_images=0, max_n=None)
    limits = provider_commands.limits_of(model)
    assert limits["max_images"] == 0
    assert "max_n" not in limits


def test_key_of_a_form_that_is_not_known_is_told_so() -> None:
    def authorize(call: Call, credentials: Credentials) -> Call:
        raise ChannelRefused("a key of three parts is needed")

    provider = replace(BUILT_IN["fal"], authorize=authorize)
    assert provider_commands.key_words(provider) == "made from the key"


def test_unknown_provider_is_refused_with_the_known_ones() -> None:
    result = run("acme")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("genrelay: there is no provider 'acme'; known are")


def test_wrong_folder_stops_the_list(tmp_path: Path) -> None:
    result = run(GENRELAY_PROVIDERS=str(tmp_path / "gone"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be read: No such file or directory" in result.stderr


# Checks


def test_right_file_is_ok() -> None:
    result = run("check", str(EXAMPLE))
    assert (result.exit_code, result.stdout) == (0, f"{EXAMPLE}: ok\n")


def test_wrong_file_is_told_line_by_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    text = EXAMPLE.read_text(encoding="utf-8")
    text = text.replace("ruined: failed", "ruined: lost").replace("title:", "tilte:")
    wrong.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    at = lines.index("    ruined: lost") + 1
    expected = [
        f"{wrong}:4: title: is required",
        f"{wrong}:5: tilte: is no field here; did you mean title?",
        (
            f"{wrong}:{at}: status.words.ruined: is 'lost'; one of pending, running, "
            "succeeded, failed, cancelled"
        ),
    ]

    result = run("check", str(wrong), str(EXAMPLE))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [*expected, f"{EXAMPLE}: ok"]

    result = run("check", str(wrong), str(EXAMPLE), "--json")
    assert result.exit_code == 1
    bad, good = json.loads(result.stdout)
    assert (bad["file"], bad["ok"], len(bad["errors"])) == (str(wrong), False, 3)
    assert bad["errors"][0] == {"line": 4, "text": "title: is required"}
    assert good == {"file": str(EXAMPLE), "ok": True, "errors": []}


def test_check_needs_files(tmp_path: Path) -> None:
    assert run("check").exit_code == 2
    assert run("check", str(tmp_path / "gone.yaml")).exit_code == 2


# What other commands make of it


def test_channel_of_a_declared_provider(tmp_path: Path, folder: str) -> None:
    cli = CommandLine(tmp_path / "data")
    options = ("--provider", "mothlight", "--secret", "sk-1")
    known = {"GENRELAY_PROVIDERS": folder}
    assert "'mothlight' is unknown" in cli.refusal("channels", "add", "m", *options)
    added = cli.json("channels", "add", "m", *options, **known)
    assert added["base_url"] == "https://api.mothlight.example/v1"
    assert cli.json("channels", "list")[0]["provider"] == "mothlight"
    assert cli.refusal("channels", "test", "m") == (
        "nothing describes 'mothlight', the provider of 'm'"
    )


@pytest.mark.parametrize(
    "command", [("up",), ("web",), ("worker",), ("channels", "list")]
)
def test_wrong_file_stops_every_process(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    cli = CommandLine(tmp_path / "data")
    assert cli("db", "upgrade").exit_code == 0
    folder = tmp_path / "providers"
    folder.mkdir()
    (folder / "acme.yaml").write_text("name: acme\nzzz: 1\n", encoding="utf-8")
    result = cli(*command, GENRELAY_PROVIDERS=str(folder))
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines[0] == "genrelay: GENRELAY_PROVIDERS: 7 errors"
    assert lines[-1] == f"{folder}/acme.yaml:2: zzz: is no field here"
