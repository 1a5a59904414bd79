"""The command line: what operators type, and what they read."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.store import clients
from app.store.session import open_database
from providers.registry import BY_NAME
from sandbox.server import SandboxSettings, running

SECRET = "sk-of-the-provider"


@dataclass(frozen=True)
class CommandLine:
    """Runs commands on a data folder of its own."""

    data: Path

    def __call__(self, *arguments: str, given: str | None = None, **env: str) -> Result:
        """One command; an unexpected error is raised here."""
        cleared = dict.fromkeys(
            (
                *("DATABASE_URL", "REDIS_URL", "BROKER_URL"),
                *("GENRELAY_URL", "GENRELAY_API_KEY"),
            )
        )
        return CliRunner(
            env={**cleared, "GENRELAY_DATA": str(self.data), **env}
        ).invoke(main, arguments, input=given, catch_exceptions=False)

    def json(self, *arguments: str, **env: str) -> Any:
        """What a command prints with `--json`."""
        result = self(*arguments, "--json", **env)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def text(self, *arguments: str, **env: str) -> str:
        """What a command prints for people, each run of spaces as one."""
        result = self(*arguments, **env)
        assert result.exit_code == 0, result.output
        return re.sub(" +", " ", result.stdout)

    def refusal(self, *arguments: str, given: str | None = None, **env: str) -> str:
        """The one line that refuses a command."""
        result = self(*arguments, given=given, **env)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("genrelay: ")
        assert result.stderr.count("\n") == 1
        return result.stderr.removeprefix("genrelay: ").rstrip("\n")

    def misuse(self, *arguments: str, **env: str) -> str:
        """What is said of options that cannot be: usage, and the last line tells."""
        result = self(*arguments, **env)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("Usage: ")
        return result.stderr.splitlines()[-1]

    def add(self, name: str = "main", *options: str) -> Any:
        """Add a channel at OpenAI."""
        required = ("--provider", "openai", "--secret", SECRET)
        return self.json("channels", "add", name, *required, *options)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty store; making one takes long."""
    data = tmp_path_factory.mktemp("cli") / "data"
    assert CommandLine(data)("keys", "list").exit_code == 0
    return data


@pytest.fixture
def cli(migrated: Path, tmp_path: Path) -> CommandLine:
    return CommandLine(Path(shutil.copytree(migrated, tmp_path / "data")))


@contextmanager
def channel_file(cli: CommandLine, text: str) -> Iterator[str]:
    path = cli.data / "channels.yaml"
    path.write_text(text, encoding="utf-8")
    yield str(path)


def in_file(*names: str, **fields: str) -> str:
    items = [
        {"name": name, "provider": "openai", "secret": SECRET, **fields}
        for name in names
    ]
    return json.dumps({"channels": items})  # JSON is YAML


def test_the_version_is_told(cli: CommandLine) -> None:
    assert cli("--help").exit_code == 0
    for command in ("up", "web", "worker", "sandbox", "db", "keys", "channels"):
        assert command in cli("--help").stdout


# Keys


def test_a_new_key_is_shown_with_its_webhook_secret(cli: CommandLine) -> None:
    made = cli.json("keys", "create", "acme")

    assert made["name"] == "acme"
    assert made["api_key"].startswith("sk-")
    assert made["webhook_secret"].startswith("whsec_")
    assert made["scopes"] == ["tasks:read", "tasks:write"]


def test_a_new_key_is_shown_as_lines_too(cli: CommandLine) -> None:
    lines = cli.text("keys", "create", "acme").splitlines()

    assert [line.partition(":")[0] for line in lines] == [
        "name",
        "api_key",
        "webhook_secret",
        "scopes",
    ]


def test_a_key_has_the_scopes_and_the_days_asked_for(cli: CommandLine) -> None:
    cli.json("keys", "create", "acme", "--scope", "admin", "--expires-days", "3")

    (listed,) = cli.json("keys", "list")
    assert listed["scopes"] == ["admin"]
    assert listed["expires_at"] > listed["created_at"]


def test_the_list_of_keys_shows_no_key(cli: CommandLine) -> None:
    made = cli.json("keys", "create", "acme")

    listed = cli.text("keys", "list")

    assert "acme" in listed
    assert made["api_key"] not in listed
    assert made["webhook_secret"] not in listed


def test_an_empty_list_says_so(cli: CommandLine) -> None:
    assert cli.text("keys", "list") == "none\n"
    assert cli.json("keys", "list") == []
    assert cli.text("channels", "list") == "none\n"
    assert cli.json("channels", "list") == []


def test_no_key_is_kept_in_clear(cli: CommandLine) -> None:
    made = cli.json("keys", "create", "acme")

    stored = b"".join(path.read_bytes() for path in cli.data.glob("genrelay.db*"))

    assert b"acme" in stored
    assert made["api_key"].encode() not in stored
    assert made["webhook_secret"].encode() not in stored


def test_a_revoked_key_is_listed_as_such(cli: CommandLine) -> None:
    cli.json("keys", "create", "acme")

    assert cli.json("keys", "revoke", "acme") == {"name": "acme", "revoked": True}

    assert cli.json("keys", "list")[0]["revoked_at"] is not None


def test_a_key_is_revoked_once(cli: CommandLine) -> None:
    cli.json("keys", "create", "acme")
    assert "revoked: True" in cli.text("keys", "revoke", "acme")

    told = cli.refusal("keys", "revoke", "acme")

    assert told == "there is no usable key named 'acme'"


def test_a_rotated_webhook_secret_leaves_the_old_one_signing(cli: CommandLine) -> None:
    made = cli.json("keys", "create", "acme")

    rotated = cli.json("keys", "rotate-webhook-secret", "acme")

    assert rotated["webhook_secret"] != made["webhook_secret"]
    database = open_database(f"sqlite:///{cli.data}/genrelay.db")
    with database.reading() as tx:
        client = clients.find_by_name(tx, "acme")
        assert client is not None
        assert len(clients.webhook_secrets(tx, client.id)) == 2
    database.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", ""), "a key's name is 1 to 100 printable characters"),
        (("create", "x" * 101), "a key's name is 1 to 100 printable characters"),
        (("create", "a\nb"), "a key's name is 1 to 100 printable characters"),
        (("revoke", "nobody"), "there is no usable key named 'nobody'"),
        (("rotate-webhook-secret", "nobody"), "there is no key named 'nobody'"),
    ],
)
def test_a_wrong_key_command_is_one_line(
    cli: CommandLine, arguments: tuple[str, ...], told: str
) -> None:
    assert cli.refusal("keys", *arguments) == told


def test_a_key_name_is_used_once(cli: CommandLine) -> None:
    cli.json("keys", "create", "acme")

    assert "named 'acme' already" in cli.refusal("keys", "create", "acme")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "a", "--scope", "everything"), "'everything' is not one of"),
        (("create", "a", "--expires-days", "0"), "0 is not in the range"),
        (("create",), "Missing argument 'NAME'"),
        (("destroy", "a"), "No such command 'destroy'"),
    ],
)
def test_options_of_key_commands_are_checked(
    cli: CommandLine, arguments: tuple[str, ...], told: str
) -> None:
    assert told in cli.misuse("keys", *arguments)


# Channels


def test_an_added_channel_is_shown_without_its_secret(cli: CommandLine) -> None:
    result = cli(
        *("channels", "add", "main", "--provider", "openai", "--secret", SECRET),
        *("--models", "gpt-image-2,pictures=gpt-image-1", "--weight", "3"),
        *("--priority", "2", "--limit", "poll_spacing_s=2"),
        *("--webhook-secret", "whsec_of_the_provider", "--json"),
    )

    shown = json.loads(result.stdout)
    assert shown.pop("id").startswith("ch_")
    assert shown == {
        "name": "main",
        "provider": "openai",
        "base_url": "https://api.openai.com/v1",
        "models": {"gpt-image-2": "gpt-image-2", "pictures": "gpt-image-1"},
        "weight": 3,
        "priority": 2,
        "limits": {"poll_spacing_s": 2.0},
        "enabled": True,
        "origin": "cli",
        "paused_until": None,
        "pause_reason": None,
    }


def test_a_channel_is_shown_as_lines_too(cli: CommandLine) -> None:
    shown = cli.text(
        *("channels", "add", "main", "--provider", "openai", "--secret", SECRET),
        *("--models", "gpt-image-2,pictures=gpt-image-1"),
    )

    assert "models: gpt-image-2, pictures=gpt-image-1\n" in shown
    assert "pause_reason: -\n" in shown
    assert SECRET not in shown


def test_a_secret_may_come_from_standard_input(cli: CommandLine) -> None:
    result = cli(
        *("channels", "add", "main", "--provider", "openai", "--secret", "-"),
        given=f"{SECRET}\n",
    )

    assert result.exit_code == 0


def test_an_empty_standard_input_is_no_secret(cli: CommandLine) -> None:
    told = cli.refusal(
        *("channels", "add", "main", "--provider", "openai", "--secret", "-"), given=""
    )

    assert told == "a secret must be printable ASCII and not empty"


def test_channels_are_listed_without_secrets(cli: CommandLine) -> None:
    cli.add("main")
    cli.add("other")

    assert [c["name"] for c in cli.json("channels", "list")] == ["main", "other"]
    assert SECRET not in cli.text("channels", "list")
    assert "main openai https://api.openai.com/v1 all" in cli.text("channels", "list")


def test_a_disabled_channel_can_be_enabled_again(cli: CommandLine) -> None:
    cli.add()

    assert cli.json("channels", "disable", "main")["enabled"] is False
    assert "enabled: True" in cli.text("channels", "enable", "main")
    assert cli.json("channels", "list")[0]["enabled"] is True


def test_a_removed_channel_leaves_its_name_free(cli: CommandLine) -> None:
    cli.add()

    removed = cli.json("channels", "remove", "main")

    assert removed == {"name": "main", "removed": True}
    assert cli.json("channels", "list") == []
    assert cli.add()["name"] == "main"


@pytest.mark.parametrize("command", ["test", "enable", "disable", "remove"])
def test_an_unknown_channel_is_told_with_the_known_ones(
    cli: CommandLine, command: str
) -> None:
    cli.add("main")

    told = cli.refusal("channels", command, "mian")

    assert told == "there is no channel named 'mian'; known are main"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--base-url", "ftp://x"), "base URL 'ftp://x' must be http(s)://"),
        (("--models", "gpt-imago"), "model 'gpt-imago' (for 'gpt-imago') is not one"),
        (("--models", "a="), "models: 'a=' is neither NAME nor NAME=UPSTREAM-NAME"),
        (("--limit", "speed=1"), "no such limit; known are poll_spacing_s"),
        (("--limit", "poll_spacing_s"), "is not NAME=NUMBER"),
        (("--weight", "-1"), "the weight must be between 0 and 1000000"),
        (("--priority", "1001"), "the priority must be between -1000 and 1000"),
        (("--secret", "sk-ü"), "a secret must be printable ASCII and not empty"),
    ],
)
def test_a_channel_that_cannot_be_is_one_line(
    cli: CommandLine, options: tuple[str, ...], told: str
) -> None:
    required = ("--provider", "openai", "--secret", SECRET)

    assert told in cli.refusal("channels", "add", "main", *required, *options)
    assert cli.json("channels", "list") == []


def test_a_channel_name_is_used_once(cli: CommandLine) -> None:
    cli.add("main")

    told = cli.refusal(
        *("channels", "add", "main", "--provider", "fal", "--secret", SECRET)
    )

    assert told == "there is a channel named 'main' already"


def test_an_unknown_provider_is_told_with_the_known_ones(cli: CommandLine) -> None:
    told = cli.refusal(
        *("channels", "add", "main", "--provider", "opanai", "--secret", SECRET)
    )

    assert all(name in told for name in ("'opanai'", *BY_NAME))


def test_a_channel_is_tested_with_its_own_secret(cli: CommandLine) -> None:
    secrets = {"openai": frozenset({SECRET})}
    with running(settings=SandboxSettings(secrets=secrets)) as sandbox:
        cli.add("main", "--base-url", f"{sandbox.url}/openai/v1")

        assert cli.json("channels", "test", "main")["works"] is True


def test_a_channel_that_does_not_work_ends_with_1(cli: CommandLine) -> None:
    cli.add("main", "--base-url", "http://127.0.0.1:1/v1")

    result = cli("channels", "test", "main")

    assert result.exit_code == 1
    assert "key-1  False  no connection: Connection refused" in result.stdout


def test_a_file_makes_the_channels_be_as_it_says(cli: CommandLine) -> None:
    cli.add("by-hand")
    with channel_file(cli, in_file("a", "b")) as path:
        first = cli.json("channels", "apply", path)
    with channel_file(cli, in_file("a", base_url="https://gate.example.com")) as path:
        second = cli.json("channels", "apply", path)
        third = cli.json("channels", "apply", path)

    assert first == {"added": ["a", "b"], "changed": [], "removed": [], "unchanged": []}
    assert (second["changed"], second["removed"]) == (["a"], ["b"])
    assert third["unchanged"] == ["a"]
    assert [c["name"] for c in cli.json("channels", "list")] == ["a", "by-hand"]


def test_what_a_file_changed_is_told_in_lines_too(cli: CommandLine) -> None:
    with channel_file(cli, in_file("a", "b")) as path:
        assert "added: a, b\n" in cli.text("channels", "apply", path)


def test_a_file_with_one_wrong_channel_changes_nothing(cli: CommandLine) -> None:
    with channel_file(cli, in_file("a").replace("]}", ", {}]}")) as path:
        assert "line 1: name is required" in cli.refusal("channels", "apply", path)
    wrong = in_file("a", "b").replace(
        '"b", "provider": "openai"', '"b", "provider": "x"'
    )
    with channel_file(cli, wrong) as path:
        told = cli.refusal("channels", "apply", path)

    assert told.startswith("channel 'b': provider 'x' is unknown; known are ")
    assert cli.json("channels", "list") == []


def test_a_file_reads_its_secrets_from_the_environment(cli: CommandLine) -> None:
    with channel_file(cli, in_file("a").replace(SECRET, "${KEY}")) as path:
        assert "variable 'KEY', which is not set" in cli.refusal(
            "channels", "apply", path
        )
        assert cli.json("channels", "apply", path, KEY=SECRET)["added"] == ["a"]


def test_a_file_that_is_no_text_is_one_line(cli: CommandLine) -> None:
    path = cli.data / "channels.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    told = cli.refusal("channels", "apply", str(path))

    assert str(path) in told
    assert "UTF-8" in told


def test_a_file_that_is_not_there_is_named(cli: CommandLine) -> None:
    assert "'gone.yaml' does not exist" in cli.misuse("channels", "apply", "gone.yaml")


# The store, settings, and commands that run on


def test_the_store_is_brought_up_to_date(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path / "new")

    assert cli.json("db", "upgrade") == {"upgraded": True}
    assert cli.text("db", "upgrade") == "the store is up to date\n"


def test_a_command_makes_the_embedded_store_when_there_is_none(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path / "unused")
    data = tmp_path / "new"

    cli.json("keys", "create", "acme", "--data", str(data))

    assert (data / "genrelay.db").exists()
    assert not cli.data.exists()


def test_a_wrong_setting_is_one_line(cli: CommandLine) -> None:
    told = cli.refusal("keys", "list", GENRELAY_LEASE_S="soon")

    assert told.startswith("GENRELAY_LEASE_S=soon: must be")


@pytest.mark.parametrize(
    "command", [("web",), ("worker",), ("db", "upgrade"), ("keys", "list")]
)
def test_production_does_not_start_without_a_secret_key(
    cli: CommandLine, command: tuple[str, ...]
) -> None:
    told = cli.refusal(*command, GENRELAY_ENV="production")

    assert told.startswith("GENRELAY_SECRET_KEY is not set")


def test_a_store_sealed_with_another_key_is_not_opened(cli: CommandLine) -> None:
    told = cli.refusal("keys", "list", GENRELAY_SECRET_KEY="0123456789" * 4)

    assert "secret" in told.lower()


@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_store_that_is_behind_says_what_to_run(command: str, tmp_path: Path) -> None:
    told = CommandLine(tmp_path / "new").refusal(command)

    assert told.endswith("schema: run `genrelay db upgrade`")


@pytest.mark.parametrize(
    "command", [("keys", "list"), ("db", "upgrade"), ("web",), ("worker",)]
)
def test_a_database_that_does_not_answer_is_one_line(
    cli: CommandLine, command: tuple[str, ...]
) -> None:
    url = "postgresql://genrelay:hidden@127.0.0.1:1/genrelay"

    told = cli.refusal(*command, DATABASE_URL=url)

    assert "database" in told
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("queues", "told"),
    [("submit,pol", "pol: queues are submit"), (",", "none: queues are submit")],
)
def test_a_worker_names_unknown_queues(
    cli: CommandLine, queues: str, told: str
) -> None:
    assert told in cli.misuse("worker", "--queues", queues)


@pytest.mark.parametrize("command", ["up", "web", "sandbox"])
def test_a_port_that_cannot_be_is_refused(cli: CommandLine, command: str) -> None:
    result = cli(command, "--port", "70000")

    assert result.exit_code == 2
    assert "65" in result.stderr.splitlines()[-1]


# A client


def test_generate_without_a_gateway_says_how_to_start_one(cli: CommandLine) -> None:
    assert "`genrelay up`" in cli.refusal("generate", "a cat", "--model", "m")


def test_generate_with_nobody_listening_is_one_line(
    cli: CommandLine, tmp_path: Path
) -> None:
    told = cli.refusal(
        *("generate", "a cat", "--model", "m", "--url", "http://127.0.0.1:1"),
        *("--api-key", "sk-1", "--out", str(tmp_path)),
    )

    assert told == "nothing answers at http://127.0.0.1:1: Connection refused"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--field", "size"), "'size' is not NAME=VALUE"),
        (("--image", "gone.png"), "'gone.png' does not exist"),
        (("--timeout", "soon"), "'soon' is not a valid float"),
    ],
)
def test_options_of_generate_are_checked(
    cli: CommandLine, options: tuple[str, ...], told: str
) -> None:
    arguments: Mapping[str, str] = {"--url": "http://127.0.0.1:1", "--api-key": "sk-1"}
    given = [word for pair in arguments.items() for word in pair]

    assert told in cli.misuse("generate", "a cat", "--model", "m", *given, *options)
