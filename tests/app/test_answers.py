"""What a client reads of a task."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app import answers
from app.lifecycle import STATUSES, State
from app.security import signatures
from app.store.tasks import Result, Task
from tests.workers.bench import PNG, START, Bench, bench

__all__ = ["bench"]

TASK = Task(
    id="task_1",
    client_id="client_1",
    state=State.SUCCEEDED,
    media_type="image",
    model="lumen-1",
    percent=100,
    error_code=None,
    error=None,
    created_at=1_780_000_000_999,
    updated_at=1_780_000_009_000,
    submitted_at=1_780_000_001_000,
    started_at=None,
    finished_at=1_780_000_009_000,
    response_format="url",
    metadata={"order": 7},
    usage={"credits": 1},
    callback_url=None,
    callback_state=None,
    callback_attempts=0,
    results=(),
)
FILE = Result(n=0, storage_key="results/1", content_type="image/png", size_bytes=9)
LINK = Result(n=1, url="https://up.example/1", expires_at=1_780_000_100_500)


def read(bench: Bench, **fields: Any) -> dict[str, Any]:
    return answers.task_data(bench.base, replace(TASK, **fields))


def test_instants_are_unix_seconds_and_null_until_known(bench: Bench) -> None:
    data = read(bench)
    assert (data["created_at"], data["submit_time"]) == (1_780_000_000, 1_780_000_001)
    assert (data["start_time"], data["finish_time"]) == (None, 1_780_000_009)


@pytest.mark.parametrize("state", list(State))
def test_status_is_a_word_of_the_contract(bench: Bench, state: State) -> None:
    assert read(bench, state=state)["status"] == STATUSES[state]


@pytest.mark.parametrize(
    ("state", "percent", "shown"),
    [
        (State.QUEUED, 0, "0%"),
        (State.PROCESSING, 45, "45%"),
        (State.SUCCEEDED, 45, "100%"),
        (State.FAILED, 45, "45%"),
    ],
)
def test_progress_is_a_text(
    bench: Bench, state: State, percent: int, shown: str
) -> None:
    assert read(bench, state=state, percent=percent)["progress"] == shown


def test_task_without_an_error_says_an_empty_text(bench: Bench) -> None:
    assert (read(bench)["error"], read(bench)["error_code"]) == ("", None)
    failed = read(bench, error="no", error_code="content_rejected")
    assert (failed["error"], failed["error_code"]) == ("no", "content_rejected")


def test_link_to_a_file_is_signed_and_lives_its_full_time_from_now(
    bench: Bench,
) -> None:
    data = read(bench, results=(FILE,))
    parts = urlsplit(data["result_urls"][0])
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert parts.path == "/generation/tasks/task_1/results/0"
    expires_at = int(START) + bench.settings.link_ttl_s
    assert int(query["expires"]) == data["results"][0]["expires_at"] == expires_at
    now = datetime.fromtimestamp(START, UTC)
    for task_id, n, good in (
        ("task_1", 0, True),
        ("task_1", 1, False),
        ("x", 0, False),
    ):
        assert (
            signatures.check_link(
                bench.base.link_key, task_id, n, expires_at, query["signature"], now
            )
            is good
        )


def test_link_leads_where_the_client_reached_us(bench: Bench) -> None:
    data = answers.task_data(
        bench.base, replace(TASK, results=(FILE,)), base_url="https://seen.example"
    )
    assert data["result_urls"][0].startswith("https://seen.example/generation/")


def test_passed_on_link_is_the_upstreams_own(bench: Bench) -> None:
    data = read(bench, results=(LINK,))
    assert data["result_urls"] == ["https://up.example/1"]
    assert data["results"][0]["expires_at"] == 1_780_000_100


def test_result_without_a_file_has_its_text_and_no_link(bench: Bench) -> None:
    data = read(bench, results=(Result(n=0, text="la la", title="Song"),))
    assert data["result_urls"] == []
    (result,) = data["results"]
    assert (result["url"], result["text"], result["title"]) == (None, "la la", "Song")


def test_bytes_are_handed_back_where_the_client_wants_them(bench: Bench) -> None:
    bench.storage.put("results/1", PNG)
    data = read(bench, results=(FILE, LINK), response_format="b64_json")
    assert base64.b64decode(data["results"][0]["b64_json"]) == PNG
    assert "b64_json" not in data["results"][1]
    assert "b64_json" not in read(bench, results=(FILE,))["results"][0]


def test_callback_says_where_it_stands(bench: Bench) -> None:
    assert read(bench)["callback"] is None
    url = "https://client.example/hook"
    assert read(bench, callback_url=url)["callback"] == {
        "url": url,
        "state": "waiting",
        "attempts": 0,
    }
    owed = read(bench, callback_url=url, callback_state="pending", callback_attempts=2)
    assert (owed["callback"]["state"], owed["callback"]["attempts"]) == ("pending", 2)


def test_accepted_task_is_told_in_a_few_words() -> None:
    new = {"id": "task_1", "media_type": "image", "model": "lumen-1"}
    assert answers.accepted(new, 1_780_000_000_999) == {
        "task_id": "task_1",
        "status": "queued",
        "media_type": "image",
        "model": "lumen-1",
        "created_at": 1_780_000_000,
    }
