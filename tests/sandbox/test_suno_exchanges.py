"""The documented exchanges of the "Suno-API" protocol, by plain HTTP.

Suno has no official SDK: what clients of the protocol send is sent here as it is.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.listening import listening

KEY = {"Authorization": "Bearer sk-any"}
DESCRIBED = {"gpt_description_prompt": "a shanty about rust", "mv": "chirp-crow"}
SERVERS = ["", "/original"]
ENDED = {"SUCCESS", "FAILURE"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def post(url: str, body: Any, headers: dict[str, str] = KEY) -> requests.Response:
    return requests.post(url, json=body, headers=headers, timeout=10)


def submit(sandbox: Sandbox, action: str, body: Any, server: str = "") -> str:
    answer = post(f"{sandbox.url}/suno{server}/suno/submit/{action}", body)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"code", "message", "data"}
    assert answer.json()["code"] == "success"
    return str(answer.json()["data"])


def fetched(sandbox: Sandbox, *ids: str, server: str = "") -> list[dict[str, Any]]:
    answer = post(f"{sandbox.url}/suno{server}/suno/fetch", {"ids": ids})
    assert answer.json()["code"] == "success"
    tasks: list[dict[str, Any]] = answer.json()["data"]
    return tasks


def ended(sandbox: Sandbox, task_id: str, server: str = "") -> dict[str, Any]:
    """The task object once it has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        (task,) = fetched(sandbox, task_id, server=server)
        if task["status"] in ENDED:
            return task
        time.sleep(0.02)
    raise AssertionError("the task never ended")


@pytest.mark.parametrize("server", SERVERS)
def test_song_goes_from_submit_to_two_playable_files(sandbox: Sandbox, server: str):
    task = ended(sandbox, submit(sandbox, "music", DESCRIBED, server), server)
    assert (task["action"], task["status"]) == ("MUSIC", "SUCCESS")
    assert 0 < task["submit_time"] <= task["start_time"] <= task["finish_time"]
    assert [clip["status"] for clip in task["data"]] == ["complete", "complete"]
    for clip in task["data"]:
        assert clip["model_name"] == "chirp-crow"
        song = requests.get(clip["audio_url"], timeout=10)
        assert song.headers["Content-Type"] == "audio/mpeg"
        with av.open(io.BytesIO(song.content)) as container:
            assert next(container.decode(audio=0)).samples > 0
    cover = requests.get(task["data"][0]["image_url"], timeout=10)
    assert cover.headers["Content-Type"] == "image/png"


def test_only_new_api_reports_progress(sandbox: Sandbox):
    ids = [submit(sandbox, "MUSIC", DESCRIBED, server) for server in SERVERS]
    tasks = [ended(sandbox, *pair) for pair in zip(ids, SERVERS, strict=True)]
    assert tasks[0]["progress"] == "100%"
    assert "progress" not in tasks[1]


def test_unfinished_song_streams_at_most():
    now = [1000.0]
    settings = SandboxSettings(
        durations=parse_durations("fixed:100"), clock=lambda: now[0]
    )
    with running(settings=settings) as sandbox:
        task_id = submit(sandbox, "MUSIC", DESCRIBED)
        seen = []
        for now[0] in (1001.0, 1014.0, 1050.0):
            seen += fetched(sandbox, task_id)
    words = [task["status"] for task in seen]
    assert words == ["NOT_START", "QUEUED", "IN_PROGRESS"]
    assert (seen[0]["data"], seen[0]["start_time"]) == ([], 0)
    assert seen[1]["data"][0]["audio_url"] == ""
    assert "audiopipe" in seen[2]["data"][0]["audio_url"]
    assert 0 < int(seen[2]["progress"].removesuffix("%")) < 100


def test_single_fetch_of_new_api_gives_the_task_and_of_suno_api_only_its_clips(
    sandbox: Sandbox,
):
    shapes = {}
    for server in SERVERS:
        task_id = submit(sandbox, "MUSIC", DESCRIBED, server)
        task = ended(sandbox, task_id, server)
        url = f"{sandbox.url}/suno{server}/suno/fetch/{task_id}"
        shapes[server] = requests.get(url, headers=KEY, timeout=10).json()["data"]
        expected = task["data"] if server else task
        assert shapes[server] == expected
    assert isinstance(shapes[""], dict)
    assert isinstance(shapes["/original"], list)


@pytest.mark.parametrize("server", SERVERS)
def test_lyrics_are_a_text_and_no_file(sandbox: Sandbox, server: str):
    task_id = submit(sandbox, "LYRICS", {"prompt": "postcards"}, server)
    task = ended(sandbox, task_id, server)
    assert task["action"] == "LYRICS"
    assert set(task["data"]) == {"id", "status", "title", "text"}
    assert task["data"]["text"].startswith("[Verse]")


def test_original_server_makes_lyrics_while_the_caller_waits(sandbox: Sandbox):
    body = {"prompt": "postcards [slow 300ms]"}
    began = time.monotonic()
    task_id = submit(sandbox, "LYRICS", body, "/original")
    assert time.monotonic() - began >= 0.3
    assert fetched(sandbox, task_id, server="/original")[0]["status"] == "SUCCESS"


def test_unknown_ids_are_silently_absent(sandbox: Sandbox):
    known = submit(sandbox, "MUSIC", DESCRIBED)
    tasks = fetched(sandbox, "task_nobody", known)
    assert [task["task_id"] for task in tasks] == [known]
    assert fetched(sandbox) == []


@pytest.mark.parametrize(
    ("server", "code"), [("", "task_not_exist"), ("/original", "invalid_request")]
)
def test_single_fetch_of_an_unknown_id_is_400(sandbox: Sandbox, server: str, code: str):
    url = f"{sandbox.url}/suno{server}/suno/fetch/nobody"
    answer = requests.get(url, headers=KEY, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_refused_key_looks_different_at_both_servers(sandbox: Sandbox):
    for headers in ({}, {"Authorization": "Bearer bad-key"}, {"X-API-Key": "k"}):
        path = "/suno/submit/MUSIC"
        gate = post(f"{sandbox.url}/suno{path}", DESCRIBED, headers)
        handler = post(f"{sandbox.url}/suno/original{path}", DESCRIBED, headers)
        assert gate.status_code == handler.status_code == 401
        assert gate.json()["error"]["type"] == "new_api_error"
        assert handler.json()["message"] == "unauthorized secret token"
    assert sandbox.ledger.submits("suno") == []


@pytest.mark.parametrize(
    ("action", "body", "message"),
    [
        ("CONCAT", {}, "invalid_action"),
        ("LYRICS", {}, "prompt_empty"),
        ("LYRICS", {"prompt": ""}, "prompt_empty"),
        ("MUSIC", {"continue_clip_id": "c"}, "task_id is empty"),
        ("MUSIC", {"tags": ["a", "list"]}, "tags must be a string"),
        ("MUSIC", {"make_instrumental": "maybe"}, "make_instrumental"),
        ("MUSIC", [], "must be a JSON object"),
    ],
)
def test_wrong_submit_is_refused_and_free(
    sandbox: Sandbox, action: str, body: Any, message: str
):
    answer = post(f"{sandbox.url}/suno/suno/submit/{action}", body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"
    assert message in answer.json()["message"]
    assert sandbox.ledger.submits("suno") == []


def test_empty_song_is_accepted_as_the_real_server_does(sandbox: Sandbox):
    assert submit(sandbox, "MUSIC", {})
    assert len(sandbox.ledger.submits("suno")) == 1


@pytest.mark.parametrize(
    ("server", "tag", "status", "code"),
    [
        ("", "[429]", 429, "fail_to_fetch_task"),
        ("", "[quota]", 403, "insufficient_user_quota"),
        ("", "[503 before]", 503, "fail_to_fetch_task"),
        ("/original", "[429]", 429, "invalid_request"),
        ("/original", "[quota]", 402, "invalid_request"),
        ("/original", "[403]", 403, "invalid_request"),
        ("/original", "[500 before]", 500, "internal_error"),
    ],
)
def test_refusals_by_tag_are_in_the_servers_own_words(
    sandbox: Sandbox, server: str, tag: str, status: int, code: str
):
    url = f"{sandbox.url}/suno{server}/suno/submit/MUSIC"
    answer = post(url, {"gpt_description_prompt": f"a shanty {tag}"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert sandbox.ledger.submits("suno") == []


@pytest.mark.parametrize(
    ("tag", "error_type"),
    [("[blocked]", "moderation_failure"), ("[fail]", "generation_failed")],
)
def test_failed_song_says_why_in_task_and_clips(
    sandbox: Sandbox, tag: str, error_type: str
):
    body = {"prompt": f"[Verse] no {tag}", "tags": "shanty"}
    task = ended(sandbox, submit(sandbox, "MUSIC", body))
    assert task["status"] == "FAILURE"
    for clip in task["data"]:
        assert (clip["status"], clip["audio_url"]) == ("error", "")
        assert clip["metadata"]["error_type"] == error_type
        assert clip["metadata"]["error_message"] == task["fail_reason"] != ""


def test_one_bad_clip_makes_the_task_a_failure_with_a_usable_song(sandbox: Sandbox):
    body = {"gpt_description_prompt": "half [partial]"}
    task = ended(sandbox, submit(sandbox, "MUSIC", body))
    assert task["status"] == "FAILURE"
    assert [clip["status"] for clip in task["data"]] == ["complete", "error"]
    assert requests.get(task["data"][0]["audio_url"], timeout=10).status_code == 200


def test_expired_link_is_refused(sandbox: Sandbox):
    body = {"gpt_description_prompt": "gone [expire]"}
    task = ended(sandbox, submit(sandbox, "MUSIC", body))
    answer = requests.get(task["data"][0]["audio_url"], timeout=10)
    assert answer.status_code == 403


def test_bad_polls_are_answered_and_counted(sandbox: Sandbox):
    url = f"{sandbox.url}/suno/suno/fetch"
    assert post(url, {"ids": "task_1"}).status_code == 400
    assert post(url, {"ids": []}, {}).status_code == 401
    assert sandbox.ledger.calls("suno", CallKind.POLL) == 2


def test_reseller_calls_back_with_the_task_when_it_ends(sandbox: Sandbox):
    with listening() as listener:
        body = {**DESCRIBED, "notify_hook": listener.url}
        task_id = submit(sandbox, "MUSIC", body)
        task = json.loads(listener.next().body)["data"]
    assert (task["task_id"], task["status"]) == (task_id, "SUCCESS")


def test_original_server_knows_no_callback(sandbox: Sandbox):
    with listening() as listener:
        body = {**DESCRIBED, "notify_hook": listener.url}
        ended(sandbox, submit(sandbox, "MUSIC", body, "/original"), "/original")
        later = submit(sandbox, "MUSIC", body)
        first = json.loads(listener.next().body)["data"]
    assert first["task_id"] == later
