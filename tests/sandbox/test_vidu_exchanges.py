"""The documented exchanges of Vidu, by plain HTTP: there is no SDK in Python."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import av
import pytest
import requests
from PIL import Image

from providers.types import Callback
from sandbox.jobs import CallKind, parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.listening import listening

SECRET = "sandbox-id:sandbox-key"
KEY = {"Authorization": f"Token {SECRET}"}
URL = "https://cdn.example.com/a.png"


def data_url(width: int, height: int) -> str:
    image = base64.b64encode(make_image("a frame", width, height)).decode("ascii")
    return f"data:image/png;base64,{image}"


PICTURE, SMALLER = data_url(320, 240), data_url(240, 160)
FILM = {"model": "viduq3-turbo", "prompt": "a crane turns"}
SUBJECT = {"name": "fox", "images": [URL]}
PARTS = [{"key_image": URL, "prompt": "up", "duration": 2}] * 2
TIMES = [{"from": 0.0, "to": 2.0, "prompt": "a bell"}]
SPOKEN = {"text": "Mind the step.", "voice_setting_voice_id": "v1"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def post(
    sandbox: Sandbox, way: str, body: Any, headers: dict[str, str] = KEY
) -> requests.Response:
    url = f"{sandbox.url}/vidu/ent/v2/{way}"
    return requests.post(url, json=body, headers=headers, timeout=10)


def get(sandbox: Sandbox, path: str, **params: Any) -> requests.Response:
    url = f"{sandbox.url}/vidu/ent/v2/{path}"
    return requests.get(url, params=params, headers=KEY, timeout=10)


def begun(sandbox: Sandbox, way: str, body: Any) -> Any:
    answer = post(sandbox, way, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended(sandbox: Sandbox, task_id: str) -> Any:
    """The task as the query shows it once it has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        body = get(sandbox, f"tasks/{task_id}/creations").json()
        if body["state"] in ("success", "failed"):
            return body
    raise AssertionError("the task never ended")


def reason_of(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"code", "reason", "message", "metadata"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["reason"]


# Tasks


def test_film_is_made_and_fetched_by_its_signed_links(sandbox: Sandbox):
    body = {
        **FILM,
        "images": [URL],
        "duration": 5,
        "resolution": "720p",
        "seed": 7,
        "payload": "gw-000551",
    }
    made = begun(sandbox, "img2video", body)
    told = {name: made[name] for name in body}
    assert (told, made["state"], made["credits"]) == (body, "created", 20)
    assert made["created_at"].endswith("Z")
    done = ended(sandbox, made["task_id"])
    assert (done["state"], done["err_code"], done["payload"]) == (
        *("success", ""),
        "gw-000551",
    )
    (creation,) = done["creations"]
    for name in ("url", "watermarked_url"):
        with av.open(io.BytesIO(requests.get(creation[name], timeout=10).content)) as f:
            assert f.streams.video[0].width > f.streams.video[0].height
    cover = requests.get(creation["cover_url"], timeout=10)
    assert Image.open(io.BytesIO(cover.content)).format == "JPEG"
    assert requests.get(creation["url"] + "0", timeout=10).status_code == 403


def test_task_that_waits_has_no_result_yet(sandbox: Sandbox):
    made = begun(sandbox, "text2video", {**FILM, "prompt": "x [slow 60s]"})
    seen = get(sandbox, f"tasks/{made['task_id']}/creations").json()
    assert (seen["state"], seen["creations"]) == ("created", [])


@pytest.mark.parametrize(
    ("way", "body"),
    [
        ("text2video", {**FILM, "aspect_ratio": "9:16", "audio": True}),
        ("img2video", {"model": "viduq3-pro-fast", "images": [PICTURE]}),
        ("start-end2video", {**FILM, "images": [PICTURE, data_url(300, 240)]}),
        ("start-end2video", {"model": "vidu2.0", "images": [URL, PICTURE]}),
        ("reference2video", {**FILM, "images": [URL] * 7}),
        ("reference2video", {**FILM, "subjects": [SUBJECT]}),
        ("text2video", {**FILM, "model": "viduq1", "style": "anime"}),
        ("multiframe", {"model": "viduq2-pro", "start_image": URL}),
        ("template", {"template": "hugging", "images": [URL], "prompt": "hug"}),
        ("template-story", {"story": "love_story", "images": [URL]}),
        ("reference2image", {"model": "viduq1", "prompt": "x", "images": [URL]}),
        ("text2audio", {"model": "audio1.0", "prompt": "rain", "duration": 2.5}),
        ("timing2audio", {"model": "audio1.0", "timing_prompts": TIMES}),
    ],
)
def test_every_endpoint_takes_what_is_documented(
    sandbox: Sandbox, way: str, body: dict[str, Any]
):
    if way == "multiframe":
        body = {**body, "image_settings": PARTS}
    made = begun(sandbox, way, body)
    assert made["task_id"].isdigit()
    assert ended(sandbox, made["task_id"])["state"] == "success"


@pytest.mark.parametrize(
    ("change", "size"),
    [
        ({}, (1920, 1080)),
        ({"aspect_ratio": "1:1", "resolution": "1080p"}, (1080, 1080)),
        ({"aspect_ratio": "auto", "images": [PICTURE]}, (1440, 1080)),
    ],
)
def test_picture_has_the_size_asked_for(
    sandbox: Sandbox, change: dict[str, Any], size: tuple[int, int]
):
    body = {"model": "viduq2", "prompt": "a kite", **change}
    made = begun(sandbox, "reference2image", body)
    (creation,) = ended(sandbox, made["task_id"])["creations"]
    answer = requests.get(creation["url"], timeout=10)
    assert Image.open(io.BytesIO(answer.content)).size == size


def test_speech_is_answered_with_its_file(sandbox: Sandbox):
    made = begun(sandbox, "audio-tts", {**SPOKEN, "voice_setting_speed": 1.5})
    assert made["state"] == "success"
    content = requests.get(made["file_url"], timeout=10).content
    with av.open(io.BytesIO(content)) as sound:
        assert sound.streams.audio


@pytest.mark.parametrize(
    ("way", "change", "reason"),
    [
        ("text2video", {"model": None}, "FieldLacking"),
        ("text2video", {"prompt": ""}, "FieldLacking"),
        ("text2video", {"prompt": "x" * 5001}, "FieldInvalid"),
        ("text2video", {"images": [URL]}, "FieldInvalid"),
        ("text2video", {"model": "viduq3"}, "FieldInvalid"),
        ("text2video", {"duration": 17}, "FieldInvalid"),
        ("text2video", {"duration": "5"}, "FieldInvalid"),
        ("text2video", {"resolution": "720P"}, "FieldInvalid"),
        ("text2video", {"aspect_ratio": "21:9"}, "FieldInvalid"),
        ("text2video", {"style": "anime"}, "FieldInvalid"),
        ("text2video", {"model": "viduq1", "duration": 4}, "FieldInvalid"),
        ("img2video", {}, "FieldLacking"),
        ("img2video", {"images": [URL, URL]}, "FieldItemCountOutOfRange"),
        (
            "img2video",
            {"model": "viduq3-pro-fast", "images": [URL], "resolution": "540p"},
            "FieldInvalid",
        ),
        ("img2video", {"images": [PICTURE.partition(",")[2]]}, "ImageFormatInvalid"),
        ("img2video", {"images": [data_url(100, 100)]}, "ImageFormatInvalid"),
        ("img2video", {"images": [data_url(900, 200)]}, "ImageFormatInvalid"),
        ("start-end2video", {"images": [URL]}, "FieldItemCountOutOfRange"),
        ("start-end2video", {"images": [PICTURE, SMALLER]}, "ImageFormatInvalid"),
        ("start-end2video", {"images": [SMALLER, PICTURE]}, "ImageFormatInvalid"),
        (
            "img2video",
            {
                "model": "vidu2.0",
                "images": [URL],
                "duration": 8,
                "resolution": "1080p",
            },
            "FieldInvalid",
        ),
        ("reference2video", {"images": [URL] * 8}, "FieldItemCountOutOfRange"),
        ("reference2video", {"subjects": [{}]}, "FieldLacking"),
        ("multiframe", {"model": "viduq2-pro"}, "FieldLacking"),
        (
            "multiframe",
            {"model": "viduq2-pro", "start_image": URL},
            "FieldItemCountOutOfRange",
        ),
        ("template", {"images": [URL]}, "FieldLacking"),
        ("template-story", {"images": [URL]}, "FieldLacking"),
        ("reference2image", {"model": "viduq1"}, "FieldLacking"),
        ("reference2image", {"model": "viduq2", "resolution": "2k"}, "FieldInvalid"),
        ("text2audio", {}, "FieldInvalid"),
        ("text2audio", {"model": "audio1.0", "duration": 11}, "FieldInvalid"),
        ("timing2audio", {"model": "audio1.0"}, "FieldLacking"),
        (
            "timing2audio",
            {"model": "audio1.0", "timing_prompts": TIMES, "duration": 1.5},
            "FieldInvalid",
        ),
        ("audio-tts", {"text": "x"}, "FieldLacking"),
        ("audio-tts", {**SPOKEN, "voice_setting_speed": 3}, "FieldInvalid"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(
    sandbox: Sandbox, way: str, change: dict[str, Any], reason: str
):
    assert reason_of(post(sandbox, way, {**FILM, **change})) == (400, reason)
    assert sandbox.ledger.submits("vidu") == []


@pytest.mark.parametrize(
    ("prompt", "headers", "status", "reason"),
    [
        ("x", {}, 401, "Unauthorized"),
        ("x", {"Authorization": "Token bad-key"}, 401, "Unauthorized"),
        ("x", {"Authorization": f"Bearer {SECRET}"}, 401, "Unauthorized"),
        ("x", {"Authorization": "Token quota-key"}, 400, "CreditInsufficient"),
        ("x [429]", KEY, 429, "QuotaExceeded"),
        ("x [403]", KEY, 403, "Forbidden"),
        ("x [quota]", KEY, 400, "CreditInsufficient"),
        ("x [blocked]", KEY, 400, "TaskPromptPolicyViolation"),
        ("x [500 before]", KEY, 500, "InternalServiceFailure"),
    ],
)
def test_refusal_has_a_status_and_a_reason(
    sandbox: Sandbox, prompt: str, headers: dict[str, str], status: int, reason: str
):
    answer = post(sandbox, "text2video", {**FILM, "prompt": prompt}, headers)
    assert reason_of(answer) == (status, reason)
    assert sandbox.ledger.submits("vidu") == []


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("fail", "InternalServiceFailure"),
        ("blocked late", "CreationPolicyViolation"),
    ],
)
def test_failed_task_tells_its_code_and_costs_nothing(
    sandbox: Sandbox, tag: str, code: str
):
    made = begun(sandbox, "text2video", {**FILM, "prompt": f"x [{tag}]"})
    done = ended(sandbox, made["task_id"])
    assert (done["state"], done["err_code"], done["credits"]) == ("failed", code, 0)
    assert done["creations"] == []


def test_link_dies(sandbox: Sandbox):
    made = begun(sandbox, "text2video", {**FILM, "prompt": "x [expire]"})
    (creation,) = ended(sandbox, made["task_id"])["creations"]
    assert requests.get(creation["url"], timeout=10).status_code == 403


def test_unknown_task_is_not_found(sandbox: Sandbox):
    assert reason_of(get(sandbox, "tasks/1/creations")) == (404, "TaskNotFound")
    assert reason_of(post(sandbox, "tasks/1/cancel", {"id": "1"})) == (
        404,
        "TaskNotFound",
    )


# Lists, cancelling, credits


def test_only_a_waiting_task_can_be_cancelled(sandbox: Sandbox):
    waiting = begun(sandbox, "text2video", {**FILM, "prompt": "x [slow 60s]"})
    path = f"tasks/{waiting['task_id']}/cancel"
    assert reason_of(post(sandbox, path, {"id": "1"})) == (400, "FieldInvalid")
    assert post(sandbox, path, {"id": waiting["task_id"]}).json() == {}
    done = ended(sandbox, waiting["task_id"])
    assert (done["state"], done["err_code"]) == ("failed", "UserCancelled")
    again = post(sandbox, path, {"id": waiting["task_id"]})
    assert reason_of(again) == (400, "BadRequest")


def test_running_task_cannot_be_cancelled(sandbox: Sandbox):
    task_id = begun(sandbox, "text2video", {**FILM, "prompt": "x [stuck]"})["task_id"]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        seen = get(sandbox, f"tasks/{task_id}/creations").json()
        if seen["state"] == "processing":
            break
    answer = post(sandbox, f"tasks/{task_id}/cancel", {"id": task_id})
    assert reason_of(answer) == (400, "BadRequest")
    assert answer.json()["message"] == "task state is scheduled, can not cancel"


def test_tasks_are_listed_by_pages_with_our_names(sandbox: Sandbox):
    ids = [
        begun(sandbox, "text2video", {**FILM, "payload": f"gw-{n}"})["task_id"]
        for n in range(3)
    ]
    page = get(sandbox, "tasks", **{"pager.page_sz": 2}).json()
    assert [task["payload"] for task in page["tasks"]] == ["gw-2", "gw-1"]
    token = page["next_page_token"]
    rest = get(sandbox, "tasks", **{"pager.page_sz": 2, "pager.page_token": token})
    assert [task["id"] for task in rest.json()["tasks"]] == ids[:1]
    assert rest.json()["next_page_token"] == ""
    chosen = get(sandbox, "tasks", task_ids=ids[:2]).json()["tasks"]
    assert {task["id"] for task in chosen} == set(ids[:2])
    assert get(sandbox, "tasks", states=["failed"]).json()["tasks"] == []
    for size in ("101", "0", "x"):
        answer = get(sandbox, "tasks", **{"pager.page_sz": size})
        assert answer.status_code == 400
    assert get(sandbox, "credits").json()["remains"]


# Callbacks


def check_signature(callback: Callback, path: str, query: str, key: str) -> bool:
    """Whether the signature holds, by the steps of the documentation."""
    headers = callback.headers
    assert headers["x-hmac-algorithm"] == "hmac-sha256"
    assert headers["x-hmac-access-key"] == "vidu"
    assert headers["x-hmac-signed-headers"] == "Date;x-request-nonce"
    date, nonce = headers["date"], headers["x-request-nonce"]
    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 60
    text = (
        f"POST\n{path}\n{query}\nvidu\n{date}\nDate:{date}\nx-request-nonce:{nonce}\n"
    )
    mac = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(mac).decode() == headers["x-hmac-signature"]


@pytest.mark.parametrize(
    ("prompt", "state"),
    [("x", "success"), ("x [fail]", "failed"), ("x [webhook forged]", "success")],
)
def test_callbacks_tell_the_beginning_and_the_end(
    sandbox: Sandbox, prompt: str, state: str
):
    with listening() as listener:
        hook = f"{listener.url}?b=2&a=1"
        slow = f"{prompt} [slow 250ms]"
        body = {**FILM, "prompt": slow, "callback_url": hook}
        made = begun(sandbox, "text2video", body)
        seen = [listener.next(), listener.next()]
    path = "/" + listener.url.partition("://")[2].partition("/")[2]
    told = [json.loads(callback.body) for callback in seen]
    assert [task["state"] for task in told] == ["processing", state]
    assert {task["id"] for task in told} == {made["task_id"]}
    for callback in seen:
        holds = check_signature(callback, path, "a=1&b=2", SECRET)
        assert holds is ("forged" not in prompt)
    assert sandbox.ledger.calls("vidu", CallKind.WEBHOOK) == 2
