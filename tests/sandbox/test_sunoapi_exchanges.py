"""The documented exchanges of sunoapi.org and kie.ai, by plain HTTP.

Neither has an official SDK: what their documentation shows is sent here as it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests

from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.listening import Listener, listening

KEY = {"Authorization": "Bearer any-key"}
NOWHERE = "https://callback.invalid/"
DESCRIBED = {
    "customMode": False,
    "instrumental": False,
    "model": "V4_5",
    "callBackUrl": "http://127.0.0.1:9/hook",
    "prompt": "a shanty about rust",
}
CUSTOM = {
    **DESCRIBED,
    "customMode": True,
    "prompt": "[Verse]\nRust",
    "style": "shanty",
    "title": "Rust",
}
EXTENDED = {
    "defaultParamFlag": True,
    "audioId": "a-1",
    "continueAt": 60,
    "model": "V4_5",
    "callBackUrl": "http://127.0.0.1:9/hook",
    "prompt": "[Verse 2]",
    "style": "shanty",
    "title": "Rust II",
}
LYRICS = {"prompt": "postcards", "callBackUrl": "http://127.0.0.1:9/hook"}
GENERATE = "/api/v1/generate"
BRANDS = ["sunoapi", "kie"]
GOING_ON = {"PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS"}
WEBHOOK_SECRET = "the-webhook-key"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:0.1"), webhook_secret=WEBHOOK_SECRET
    )
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def post(
    sandbox: Sandbox,
    path: str,
    body: Any,
    brand: str = "sunoapi",
    headers: dict[str, str] = KEY,
) -> dict[str, Any]:
    """The answer's body; HTTP itself says 200."""
    url = f"{sandbox.url}/{brand}{path}"
    answer = requests.post(url, json=body, headers=headers, timeout=10)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    assert set(told) == {"code", "msg", "data"}
    return told


def record(
    sandbox: Sandbox, task_id: str, brand: str = "sunoapi", kind: str = "generate"
) -> dict[str, Any]:
    answer = requests.get(
        f"{sandbox.url}/{brand}/api/v1/{kind}/record-info",
        params={"taskId": task_id},
        headers=KEY,
        timeout=10,
    )
    told: dict[str, Any] = answer.json()
    return told


def ended(sandbox: Sandbox, told: dict[str, Any], **where: str) -> dict[str, Any]:
    """The record of an accepted job once it has ended."""
    assert told["code"] == 200, told
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        data: dict[str, Any] = record(sandbox, told["data"]["taskId"], **where)["data"]
        if data["status"] not in GOING_ON:
            return data
        time.sleep(0.02)
    raise AssertionError("the job never ended")


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        (GENERATE, DESCRIBED, "GENERATE"),
        (GENERATE, CUSTOM, "GENERATE"),
        (f"{GENERATE}/extend", EXTENDED, "EXTEND"),
    ],
)
def test_song_goes_from_submit_to_two_playable_files(
    sandbox: Sandbox, path: str, body: Any, kind: str, brand: str
):
    data = ended(sandbox, post(sandbox, path, body, brand), brand=brand)
    assert (data["status"], data["type"]) == ("SUCCESS", kind)
    assert (data["errorCode"], data["errorMessage"]) == (None, None)
    songs = data["response"]["sunoData"]
    assert len(songs) == 2
    for song in songs:
        assert song["modelName"] == "chirp-auk"
        content = requests.get(song["audioUrl"], timeout=10).content
        with av.open(io.BytesIO(content)) as container:
            assert next(container.decode(audio=0)).samples > 0


@pytest.mark.parametrize("brand", BRANDS)
def test_lyrics_have_a_record_of_their_own_with_variants(sandbox: Sandbox, brand: str):
    told = post(sandbox, "/api/v1/lyrics", LYRICS, brand)
    data = ended(sandbox, told, brand=brand, kind="lyrics")
    assert (data["status"], data["type"]) == ("SUCCESS", "LYRICS")
    for text in data["response"]["data"]:
        assert set(text) == {"text", "title", "status", "errorMessage"}
        assert text["status"] == "complete"
    assert record(sandbox, told["data"]["taskId"], brand)["data"] is None


def test_stages_come_in_their_order():
    now = [1000.0]
    settings = SandboxSettings(
        durations=parse_durations("fixed:100"), clock=lambda: now[0]
    )
    seen = []
    with running(settings=settings) as sandbox:
        task_id = post(sandbox, GENERATE, DESCRIBED)["data"]["taskId"]
        for now[0] in (1001.0, 1030.0, 1080.0, 1100.0):
            data = record(sandbox, task_id)["data"]
            songs = (data["response"] or {"sunoData": []})["sunoData"]
            seen.append((data["status"], [bool(song["audioUrl"]) for song in songs]))
    assert seen == [
        ("PENDING", []),
        ("TEXT_SUCCESS", [False, False]),
        ("FIRST_SUCCESS", [True, False]),
        ("SUCCESS", [True, True]),
    ]


@pytest.mark.parametrize(
    ("brand", "told"),
    [
        ("sunoapi", {"code": 200, "msg": "success", "data": None}),
        ("kie", {"code": 422, "msg": "recordInfo is null", "data": None}),
    ],
)
def test_unknown_id_has_no_record(sandbox: Sandbox, brand: str, told: Any):
    assert record(sandbox, "nobody", brand) == told


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer bad-key"}])
def test_refused_key_is_401_in_the_body_only(sandbox: Sandbox, headers: Any):
    assert post(sandbox, GENERATE, DESCRIBED, headers=headers)["code"] == 401


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, without(DESCRIBED, "customMode")),
        (GENERATE, without(DESCRIBED, "instrumental")),
        (GENERATE, without(DESCRIBED, "model")),
        (GENERATE, {**DESCRIBED, "model": "chirp-auk"}),
        (GENERATE, without(DESCRIBED, "callBackUrl")),
        (GENERATE, without(DESCRIBED, "prompt")),
        (GENERATE, without(CUSTOM, "style")),
        (GENERATE, without(CUSTOM, "title")),
        (GENERATE, without(CUSTOM, "prompt")),
        (GENERATE, {**CUSTOM, "vocalGender": "female"}),
        (GENERATE, {**CUSTOM, "styleWeight": 2}),
        (GENERATE, {**CUSTOM, "customMode": "perhaps"}),
        (f"{GENERATE}/extend", without(EXTENDED, "audioId")),
        (f"{GENERATE}/extend", without(EXTENDED, "defaultParamFlag")),
        (f"{GENERATE}/extend", without(EXTENDED, "continueAt")),
        (f"{GENERATE}/extend", without(EXTENDED, "style")),
        ("/api/v1/lyrics", without(LYRICS, "prompt")),
        ("/api/v1/lyrics", without(LYRICS, "callBackUrl")),
        (GENERATE, ["no", "object"]),
    ],
)
def test_wrong_parameters_are_refused_and_free(
    sandbox: Sandbox, path: str, body: Any, brand: str
):
    code = {"sunoapi": 400, "kie": 422}[brand]
    assert post(sandbox, path, body, brand)["code"] == code
    assert sandbox.ledger.submits() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, {**DESCRIBED, "prompt": "x" * 501}),
        (GENERATE, {**CUSTOM, "model": "V4", "prompt": "x" * 3001}),
        (GENERATE, {**CUSTOM, "model": "V5", "prompt": "x" * 5001}),
        (GENERATE, {**CUSTOM, "model": "V4", "style": "x" * 201}),
        (GENERATE, {**CUSTOM, "model": "V4_5ALL", "title": "x" * 81}),
        ("/api/v1/lyrics", {**LYRICS, "prompt": "word " * 201}),
    ],
)
def test_too_long_a_text_has_a_code_of_its_own(sandbox: Sandbox, path: str, body: Any):
    assert post(sandbox, path, body)["code"] == 413


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, {**without(CUSTOM, "prompt"), "instrumental": True}),
        (GENERATE, {**CUSTOM, "model": "V5", "prompt": "x" * 5000}),
        ("/api/v1/lyrics", {**LYRICS, "model": 5}),
        (
            f"{GENERATE}/extend",
            {
                **without(EXTENDED, "continueAt", "style", "title", "prompt"),
                "defaultParamFlag": False,
            },
        ),
    ],
)
def test_what_may_be_left_out_or_ignored_may(sandbox: Sandbox, path: str, body: Any):
    assert post(sandbox, path, body)["code"] == 200


@pytest.mark.parametrize(
    ("brand", "tag", "code"),
    [
        ("sunoapi", "[429]", 430),
        ("sunoapi", "[quota]", 429),
        ("kie", "[429]", 429),
        ("kie", "[quota]", 402),
    ],
)
def test_429_means_money_at_one_and_speed_at_the_other(
    sandbox: Sandbox, brand: str, tag: str, code: int
):
    body = {**DESCRIBED, "prompt": f"a shanty {tag}"}
    assert post(sandbox, GENERATE, body, brand)["code"] == code
    assert sandbox.ledger.submits() == []


@pytest.mark.parametrize(
    ("tag", "status", "code"),
    [
        ("[blocked]", "SENSITIVE_WORD_ERROR", 400),
        ("[fail]", "GENERATE_AUDIO_FAILED", 501),
        ("[partial]", "GENERATE_AUDIO_FAILED", 501),
    ],
)
def test_failed_job_has_its_word_and_code(
    sandbox: Sandbox, tag: str, status: str, code: int
):
    told = post(sandbox, GENERATE, {**DESCRIBED, "prompt": f"a shanty {tag}"})
    data = ended(sandbox, told)
    assert (data["status"], data["errorCode"]) == (status, code)


def test_failed_lyrics_have_a_word_of_their_own(sandbox: Sandbox):
    told = post(sandbox, "/api/v1/lyrics", {**LYRICS, "prompt": "none [fail]"})
    assert ended(sandbox, told, kind="lyrics")["status"] == "GENERATE_LYRICS_FAILED"


def test_song_is_made_although_nobody_can_be_called(sandbox: Sandbox):
    told = post(sandbox, GENERATE, {**DESCRIBED, "callBackUrl": NOWHERE})
    data = ended(sandbox, told)
    assert data["status"] == "CALLBACK_EXCEPTION"
    assert all(song["audioUrl"] for song in data["response"]["sunoData"])


@pytest.mark.parametrize(("brand", "path"), [("sunoapi", "generate"), ("kie", "chat")])
def test_credits_can_be_asked_for(sandbox: Sandbox, brand: str, path: str):
    url = f"{sandbox.url}/{brand}/api/v1/{path}/credit"
    assert requests.get(url, headers=KEY, timeout=10).json()["data"] > 0
    assert requests.get(url, timeout=10).json()["code"] == 401


def test_each_stage_is_told_in_snake_case(sandbox: Sandbox, listener: Listener):
    body = {**DESCRIBED, "prompt": "told [slow 300ms]", "callBackUrl": listener.url}
    task_id = post(sandbox, GENERATE, body)["data"]["taskId"]
    callbacks = [listener.next() for _ in range(3)]
    told = [json.loads(callback.body)["data"] for callback in callbacks]
    assert {data["task_id"] for data in told} == {task_id}
    stages = {data["callbackType"]: data["data"] for data in told}
    assert set(stages) == {"text", "first", "complete"}
    song = stages["complete"][0]
    assert {"audio_url", "stream_audio_url", "model_name", "createTime"} <= set(song)
    assert "audioUrl" not in song
    assert not any("x-webhook-signature" in heard.headers for heard in callbacks)


def test_failure_is_told_as_an_error(sandbox: Sandbox, listener: Listener):
    body = {**DESCRIBED, "prompt": "told [fail]", "callBackUrl": listener.url}
    task_id = post(sandbox, GENERATE, body)["data"]["taskId"]
    told = json.loads(listener.next().body)
    assert told["code"] == 501
    data = {"callbackType": "error", "task_id": task_id, "data": None}
    assert told["data"] == data


@pytest.mark.parametrize(("brand", "key"), [("sunoapi", "taskId"), ("kie", "task_id")])
def test_lyrics_callback_names_its_job_in_the_brands_spelling(
    sandbox: Sandbox, listener: Listener, brand: str, key: str
):
    body = {**LYRICS, "callBackUrl": listener.url}
    task_id = post(sandbox, "/api/v1/lyrics", body, brand)["data"]["taskId"]
    assert json.loads(listener.next().body)["data"][key] == task_id


def test_kie_signs_id_and_time(sandbox: Sandbox, listener: Listener):
    body = {**LYRICS, "callBackUrl": listener.url}
    task_id = post(sandbox, "/api/v1/lyrics", body, "kie")["data"]["taskId"]
    headers = listener.next().headers
    message = f"{task_id}.{headers['x-webhook-timestamp']}".encode()
    digest = hmac.new(WEBHOOK_SECRET.encode(), message, hashlib.sha256).digest()
    assert headers["x-webhook-signature"] == base64.b64encode(digest).decode()
