"""Operators' commands print what the operations give, and refuse in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import standardwebhooks
from sqlalchemy import update

from app.lifecycle import Event, SubmissionState
from app.store import clients, submissions, tasks
from app.store.ids import new_task_id
from app.store.models import tasks as tasks_table
from app.store.session import open_database
from app.store.tasks import NewTask
from tests.app.test_cli import CommandLine
from tests.sandbox.receiving import next_callback, receiving


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the key `acme` and the channel `main`."""
    cli = CommandLine(tmp_path_factory.mktemp("operators") / "data")
    cli.json("keys", "create", "acme")
    cli.add("main")
    return cli.data


@pytest.fixture
def cli(filled: Path, tmp_path: Path) -> CommandLine:
    return CommandLine(Path(shutil.copytree(filled, tmp_path / "data")))


def a_task(cli: CommandLine, outcome: str = "") -> str:
    """A task of acme: queued, `failed` with a callback, or `unknown` at main."""
    database = open_database(f"sqlite:///{cli.data}/genrelay.db")
    task_id = new_task_id()
    with database.transaction() as tx:
        client = clients.find_by_name(tx, "acme")
        assert client is not None
        new = NewTask(
            id=task_id,
            model="gpt-image-1",
            media_type="image",
            inputs={"prompt": "a pier", "n": 1, "action": "generate"},
            callback_url="https://client.example/hook",
        )
        tasks.add(tx, client.id, new)
        if outcome == "failed":
            tasks.advance(tx, task_id, Event.FAIL, error_code="x", error="sk-abcdefgh")
        if outcome == "unknown":
            channel_id, key_id = tx.exec_driver_sql(
                "SELECT channel_id, id FROM channel_keys"
            ).one()
            tx.execute(
                update(tasks_table)
                .where(tasks_table.c.id == task_id)
                .values(state="submitting", due_at=None)
            )
            submission_id = submissions.open_submission(
                tx,
                task_id=task_id,
                task_fence=0,
                channel_id=channel_id,
                key_id=key_id,
                model="gpt-image-1",
                reason="the only one",
            )
            assert submissions.mark_sent(tx, [submission_id])
            submissions.park(
                tx, submission_id, look_in_s=600, longest_s=600, error="cut off"
            )
            tasks.advance(tx, task_id, Event.PARK)
    database.close()
    return task_id


def test_tasks_are_listed_and_shown(cli: CommandLine) -> None:
    queued, failed = a_task(cli), a_task(cli, "failed")

    listed = cli.json("tasks", "list", "--status", "failed", "--since", "1h")
    assert [task["id"] for task in listed] == [failed]
    assert queued in cli.text("tasks", "list", "--client", "acme")
    assert cli.text("tasks", "list", "--channel", "main") == "none\n"
    shown = cli.json("tasks", "show", failed)
    assert shown["error"] == "sk-***"
    assert shown["deliveries"][0]["host"] == "client.example"
    text = cli.text("tasks", "show", failed)
    assert "state: failed\n" in text
    assert "\ndeliveries\n" in text
    assert "a pier" not in text


def test_tasks_are_cancelled_and_tried_again(cli: CommandLine) -> None:
    queued, failed = a_task(cli), a_task(cli, "failed")

    assert cli.json("tasks", "cancel", queued)["state"] == "cancelled"
    assert "it is cancelled" in cli.refusal("tasks", "cancel", queued)
    again = cli.json("tasks", "retry", failed)
    assert cli.json("tasks", "show", again["task_id"])["state"] == "queued"
    assert cli.refusal("tasks", "show", "task_1") == "there is no task 'task_1'"


@pytest.mark.parametrize("command", [("unknown", "assume-lost"), ("tasks", "requeue")])
def test_an_unknown_outcome_is_assumed_lost(
    cli: CommandLine, command: tuple[str, str]
) -> None:
    task_id = a_task(cli, "unknown")
    assert [row["task_id"] for row in cli.json("unknown", "list")] == [task_id]

    assert cli.json(*command, task_id)["state"] == "queued"

    assert cli.text("unknown", "list") == "none\n"
    assert "no outcome of this task is unknown" in cli.refusal(*command, task_id)


def test_a_job_is_adopted(cli: CommandLine) -> None:
    task_id = a_task(cli, "unknown")

    unnamed = cli("unknown", "adopt", task_id, "job-7", "--link", "status_url")
    assert (unnamed.exit_code, "NAME=VALUE" in unnamed.output) == (2, True)
    shown = cli.json(
        *("unknown", "adopt", task_id, "job-7"),
        *("--link", "status_url=https://up.example/?a=b", "--link", "x=y"),
    )

    (submission,) = shown["submissions"]
    assert submission["state"] == SubmissionState.ACCEPTED
    assert submission["remote_id"] == "job-7"


def test_channels_are_paused_drained_and_resumed(cli: CommandLine) -> None:
    a_task(cli, "unknown")

    paused = cli.json("channels", "pause", "main", "--for", "60", "--reason", "bill")
    assert paused["pause_reason"] == "by an operator: bill"
    drained = cli.json("channels", "drain", "main")
    assert (drained["enabled"], drained["in_flight"]) == (False, 1)
    assert "paused_until: -" in cli.text("channels", "resume", "main")
    (row,) = cli.json("channels", "stats")
    assert [row[n] for n in ("submits", "accepts", "refusals", "unknown")] == [
        *(1, 0, 0, 1)
    ]
    assert "main key-1 True - - 0.0 1 1 0 0 1" in cli.text("channels", "stats")
    assert "no channel named 'gone'" in cli.refusal("channels", "pause", "gone")
    assert "for must be above 0" in cli.refusal(
        "channels", "pause", "main", "--for", "0"
    )


def test_callbacks_are_listed_and_sent_again(cli: CommandLine) -> None:
    task_id = a_task(cli, "failed")

    (owed,) = cli.json("deliveries", "list", "--task", task_id, "--state", "pending")
    one = cli.json("deliveries", "redeliver", owed["id"])
    many = cli.json("deliveries", "redeliver", "--host", "client.example")

    assert one == many == {"redelivered": 1}
    assert "say which" in cli.refusal("deliveries", "redeliver")
    assert "not both" in cli.misuse(
        "deliveries", "redeliver", owed["id"], "--task", task_id
    )
    assert "--since must be a date" in cli.refusal(
        "deliveries", "list", "--since", "soon"
    )


def test_keys_are_made_and_changed_with_limits(cli: CommandLine) -> None:
    cli.json(
        *("keys", "create", "beta", "--group", "gold", "--priority", "low"),
        *("--limit", "daily=5", "--limit", "in_flight=2"),
    )

    told = cli.json("keys", "set", "beta", "--no-limit", "daily", "--budget", "9.50")

    assert (told["group"], told["priority"]) == ("gold", "low")
    assert told["limits"] == {"in_flight": 2}
    assert told["budget"] == "9.5"
    assert cli.json("keys", "list")[1] == told
    assert "there is no limit 'weekly'" in cli.refusal(
        "keys", "set", "beta", "--limit", "weekly=1"
    )
    assert "'many' is not a number" in cli.misuse(
        "keys", "set", "beta", "--limit", "daily=many"
    )


def test_money_is_exact(cli: CommandLine) -> None:
    assert cli.json("keys", "topup", "acme", "0.3")["balance"] == "0.3"
    assert cli.json("keys", "topup", "acme", "-0.1")["balance"] == "0.2"
    assert "amount must be a number" in cli.refusal("keys", "topup", "acme", "1e3")


def test_prices_are_set_listed_and_removed(cli: CommandLine) -> None:
    cli.json("prices", "set", "gpt-image-1", "0.04", "--per", "image")

    assert "gpt-image-1 - image 0.04" in cli.text("prices", "list")
    cli.json("prices", "remove", "gpt-image-1")
    assert "no price of 'gpt-image-1'" in cli.refusal("prices", "remove", "gpt-image-1")


def test_usage_is_told_by_what_is_asked(cli: CommandLine) -> None:
    assert cli.text("usage") == "none\n"
    assert "by must be some of day, key, model, channel" in cli.refusal(
        "usage", "--by", "week"
    )


def test_a_receiver_is_tried_with_one_signed_event(cli: CommandLine) -> None:
    secret = cli.json("keys", "create", "beta")["webhook_secret"]
    with receiving() as (url, heard):
        told = cli.json(
            *("deliveries", "test", "beta", url),
            GENRELAY_ALLOW_NETWORKS="127.0.0.0/8",
        )
        callback = next_callback(heard)
        refused = cli("deliveries", "test", "beta", url)

    event = standardwebhooks.Webhook(secret).verify(
        callback.body, dict(callback.headers)
    )
    assert event["type"] == "test"
    assert (told["taken"], told["status"]) == (True, 204)
    # An address of our own network, which is not called unless it is allowed.
    assert refused.exit_code == 1
    assert "taken: False" in " ".join(refused.stdout.split())
    assert heard.empty()
    assert "no key named 'gone'" in cli.refusal("deliveries", "test", "gone", url)
