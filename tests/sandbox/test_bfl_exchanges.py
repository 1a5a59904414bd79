"""The documented exchanges of Black Forest Labs, by plain HTTP: it has no SDK."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.listening import listening

KEY = {"x-key": "sandbox-id:sandbox-key", "accept": "application/json"}
FOX = {"prompt": "two ceramic foxes", "width": 128, "height": 96, "seed": 77}
FILM = {"mode": "t2v", "prompt": "a lantern sways", "duration": 5}


class Time:
    """The server's clock, moved by hand."""

    now = 1_795_000_000.0


@pytest.fixture(scope="module")
def clock() -> Time:
    return Time()


@pytest.fixture(scope="module")
def sandbox(clock: Time) -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:100"), clock=lambda: clock.now
    )
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def post(
    sandbox: Sandbox, model: str, body: Any, headers: dict[str, str] = KEY
) -> requests.Response:
    url = f"{sandbox.url}/bfl/v1/{model}"
    return requests.post(url, json=body, headers=headers, timeout=10)


def submit(sandbox: Sandbox, model: str, body: Any) -> dict[str, Any]:
    reply = post(sandbox, model, body)
    assert reply.status_code == 200, reply.text
    task: dict[str, Any] = reply.json()
    return task


def look(url: str) -> requests.Response:
    return requests.get(url, headers=KEY, timeout=10)


def encoded(size: tuple[int, int] = (32, 32)) -> str:
    target = io.BytesIO()
    Image.new("RGB", size, "teal").save(target, "png")
    return base64.b64encode(target.getvalue()).decode()


def test_image_goes_from_submit_to_its_file(sandbox: Sandbox, clock: Time):
    task = submit(sandbox, "flux-2-pro", {**FOX, "output_format": "webp"})
    assert set(task) == {"id", "polling_url", "cost", "input_mp", "output_mp"}
    seen = []
    for seconds in (1, 60, 40):
        clock.now += seconds
        seen.append(look(task["polling_url"]).json())
    assert [each["status"] for each in seen] == ["Pending", "Generating", "Ready"]
    assert 0 < seen[1]["progress"] < 1
    assert seen[0]["progress"] is seen[2]["progress"] is None
    assert all(each["id"] == task["id"] for each in seen)
    assert seen[2]["result"]["seed"] == 77
    file = requests.get(seen[2]["result"]["sample"], timeout=10)
    assert file.headers["Content-Type"] == "image/webp"
    assert Image.open(io.BytesIO(file.content)).size == (128, 96)
    unsigned = seen[2]["result"]["sample"].partition("?")[0]
    assert requests.get(unsigned, timeout=10).status_code == 403


def test_task_is_known_only_where_its_submit_says(sandbox: Sandbox):
    task = submit(sandbox, "flux-2-pro", FOX)
    reply = look(f"{sandbox.url}/bfl/v1/get_result?id={task['id']}")
    assert (reply.status_code, reply.json()["status"]) == (404, "Task not found")
    assert look(task["polling_url"]).status_code == 200


def test_film_reasons_first_and_can_be_played(sandbox: Sandbox, clock: Time):
    task = submit(sandbox, "flux-3-video", {**FILM, "draft": True})
    clock.now += 30
    assert look(task["polling_url"]).json()["status"] == "Reasoning"
    clock.now += 40
    assert look(task["polling_url"]).json()["status"] == "Generating"
    clock.now += 40
    result = look(task["polling_url"]).json()["result"]
    assert result["draft_cache"]
    film = requests.get(result["sample"], timeout=10)
    with av.open(io.BytesIO(film.content)) as container:
        assert container.duration is not None
        assert round(container.duration / av.time_base) == 5


@pytest.mark.parametrize(
    ("tag", "status", "word"),
    [
        ("[blocked]", 200, "Request Moderated"),
        ("[blocked late]", 200, "Content Moderated"),
        ("[fail]", 422, "Error"),
    ],
)
def test_failed_task_says_why(
    sandbox: Sandbox, clock: Time, tag: str, status: int, word: str
):
    task = submit(sandbox, "flux-2-pro", {"prompt": f"x {tag}"})
    clock.now += 101
    reply = look(task["polling_url"])
    assert (reply.status_code, reply.json()["status"]) == (status, word)
    assert reply.json()["result"] is None
    assert reply.json()["details"]


def test_expired_link_is_refused(sandbox: Sandbox, clock: Time):
    task = submit(sandbox, "flux-2-pro", {"prompt": "x [expire]"})
    clock.now += 101
    link = look(task["polling_url"]).json()["result"]["sample"]
    assert requests.get(link, timeout=10).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        ({}, 403, "Not authenticated"),
        ({"Authorization": "Bearer k"}, 403, "Not authenticated"),
        ({"x-key": "bad-key"}, 422, "Invalid API key format"),
        ({"x-key": "quota-key"}, 402, "Insufficient credits"),
    ],
)
def test_key_is_refused_in_words_of_its_own(
    sandbox: Sandbox, headers: dict[str, str], status: int, detail: str
):
    reply = post(sandbox, "flux-2-pro", FOX, headers)
    assert (reply.status_code, reply.json()) == (status, {"detail": detail})
    assert sandbox.ledger.submits("bfl") == []
    assert sandbox.ledger.calls("bfl", CallKind.SUBMIT) == 1


def test_unknown_path_comes_before_the_key(sandbox: Sandbox):
    reply = post(sandbox, "flux-9", FOX, {})
    assert (reply.status_code, reply.json()) == (404, {"detail": "Not Found"})


VTO = "flux-tools/vto-v2"
OUTPAINT = "flux-tools/outpainting-v1"


@pytest.mark.parametrize(
    ("model", "body", "field", "kind"),
    [
        ("flux-2-pro", {}, "prompt", "missing"),
        ("flux-2-pro", {**FOX, "width": 100}, "width", "value_error"),
        ("flux-2-pro", {**FOX, "height": 32}, "height", "value_error"),
        ("flux-2-pro", {**FOX, "width": 4096, "height": 4096}, "width", "value_error"),
        ("flux-2-pro", {**FOX, "safety_tolerance": 6}, "safety_tolerance", None),
        ("flux-2-pro", {**FOX, "output_format": "jpg"}, "output_format", None),
        ("flux-2-pro", {**FOX, "seed": "7"}, "seed", None),
        ("flux-2-flex", {**FOX, "steps": 51}, "steps", None),
        ("flux-pro-1.1", {"width": 1472}, "width", None),
        ("flux-kontext-pro", {"prompt": "x", "aspect_ratio": "4:1"}, None, None),
        ("flux-pro-1.0-fill", {"prompt": "x"}, "image", "missing"),
        ("flux-pro-1.0-expand", {"image": "$", "top": 2049}, "top", None),
        (VTO, {"prompt": "x", "person": "$"}, "garment", "missing"),
        (OUTPAINT, {"input_image": "$", "width": 512}, "height", "missing"),
        (
            OUTPAINT,
            {"input_image": "$", "width": 512, "height": 512, "webhook_url": "u"},
            "webhook_url",
            "extra_forbidden",
        ),
        ("flux-3-image", {"prompt": "x", "seed": 5}, "seed", "extra_forbidden"),
        ("flux-3-image", {"prompt": "x", "images": ["$"] * 11}, "images", None),
        ("flux-3-image", {"prompt": "x", "resolution": "8k"}, "resolution", None),
        ("flux-3-video", {"prompt": "x"}, "mode", "union_tag_invalid"),
        ("flux-3-video", {**FILM, "seed": 1}, "seed", "extra_forbidden"),
        ("flux-3-video", {**FILM, "keyframes": "$"}, "keyframes", "extra_forbidden"),
        ("flux-3-video", {**FILM, "duration": 4}, "duration", None),
        ("flux-3-video", {**FILM, "duration": 5.5}, "duration", None),
        ("flux-3-video", {"mode": "i2v", "prompt": "x"}, "keyframes", "missing"),
        ("flux-3-video", {"mode": "i2v", "keyframes": [[0, 1]]}, "keyframes", None),
        ("flux-3-video", {"mode": "i2v", "keyframes": ["$"] * 11}, "keyframes", None),
        ("flux-3-video", {"mode": "v2v", "start_video": ""}, "start_video", "missing"),
        ("flux-3-video", {"mode": "draft_enhance"}, "draft_cache", "missing"),
        ("flux-tools/video-upscale-v1", {"upscale_factor": 2}, "input_video", None),
    ],
)
def test_wrong_field_is_listed_and_free(
    sandbox: Sandbox, model: str, body: Any, field: str | None, kind: str | None
):
    text = json.dumps(body).replace("$", encoded())
    reply = post(sandbox, model, json.loads(text))
    assert reply.status_code == 422
    (problem,) = reply.json()["detail"]
    assert set(problem) == {"type", "loc", "msg", "input"}
    assert problem["loc"] == ["body", field or "aspect_ratio"]
    assert kind in {None, problem["type"]}
    assert sandbox.ledger.submits("bfl") == []


@pytest.mark.parametrize(
    ("model", "name", "image"),
    [
        ("flux-2-pro", "input_image", "bm8gaW1hZ2U="),
        ("flux-2-pro", "input_image_2", "data:image/png;base64,$"),
        ("flux-pro-1.1", "image_prompt", "https://cdn.example.com/a.png"),
        ("flux-3-image", "images", ["%%%"]),
        ("flux-3-video", "keyframes", [[0.5, "%%%"]]),
    ],
)
def test_image_that_cannot_be_decoded_is_a_400(
    sandbox: Sandbox, model: str, name: str, image: Any
):
    body = {"prompt": "x", name: image}
    if model == "flux-3-video":
        body["mode"] = "i2v"
    reply = post(sandbox, model, json.loads(json.dumps(body).replace("$", encoded())))
    assert (reply.status_code, reply.json()["detail"]) == (
        400,
        "Could not decode input image",
    )


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("flux-2-pro", {**FOX, "width": 0, "unheard_of": 1}),
        ("flux-2-klein-4b", {"prompt": "x", "input_image_4": "$"}),
        ("flux-kontext-max", {"prompt": "x", "aspect_ratio": "9:21"}),
        ("flux-pro-1.1-ultra", {"image_prompt": "$", "raw": True}),
        ("flux-tools/erase-v1", {"image": "$", "mask": "$", "dilate_pixels": 4}),
        ("flux-tools/vto-v1", {"prompt": "x", "person": "$", "garment": "$"}),
        ("flux-3-image", {"prompt": "x", "images": ["$"], "aspect_ratio": "auto"}),
        ("flux-3-video", {"mode": "i2v", "keyframes": "$", "duration": "auto"}),
        ("flux-3-video", {"mode": "i2v", "keyframes": [[0, "$"], [3.5, "$"]]}),
        ("flux-3-video", {"mode": "draft_enhance", "draft_cache": "d"}),
        ("flux-tools/video-upscale-v1", {"input_video": "https://x.example/v.mp4"}),
    ],
)
def test_documented_bodies_are_taken(sandbox: Sandbox, model: str, body: Any):
    submit(sandbox, model, json.loads(json.dumps(body).replace("$", encoded())))
    assert [paid.model for paid in sandbox.ledger.submits("bfl")] == [model]


def test_body_that_is_no_json_is_listed(sandbox: Sandbox):
    url = f"{sandbox.url}/bfl/v1/flux-2-pro"
    reply = requests.post(url, data=b"{", headers=KEY, timeout=10)
    assert (reply.status_code, reply.json()["detail"][0]["type"]) == (
        422,
        "json_invalid",
    )


@pytest.mark.parametrize(
    ("tag", "status", "wait"),
    [("[429]", 429, "1"), ("[500 before]", 500, None), ("[503 before]", 503, "1")],
)
def test_refusal_by_tag(sandbox: Sandbox, tag: str, status: int, wait: str | None):
    reply = post(sandbox, "flux-2-pro", {"prompt": f"x {tag}"})
    assert reply.status_code == status
    assert reply.headers.get("Retry-After") == wait
    assert isinstance(reply.json()["detail"], str)
    assert sandbox.ledger.submits("bfl") == []


def test_credits_are_told(sandbox: Sandbox):
    assert look(f"{sandbox.url}/bfl/v1/credits").json() == {"credits": 123.4}
    reply = requests.get(f"{sandbox.url}/bfl/v1/credits", timeout=10)
    assert reply.status_code == 403


@pytest.mark.parametrize(
    ("tag", "word", "holds"),
    [
        ("", "Ready", True),
        ("[blocked]", "Error", True),
        ("[webhook forged]", "", False),
    ],
)
def test_callback_is_signed_with_the_clients_secret(
    sandbox: Sandbox, tag: str, word: str, holds: bool
):
    with listening() as listener:
        body = {
            "prompt": f"x {tag} [slow 1ms]",
            "webhook_url": listener.url,
            "webhook_secret": "whisper",
        }
        task = submit(sandbox, "flux-2-pro", body)
        heard = listener.next()
    assert (task["status"], task["webhook_url"]) == ("Pending", listener.url)
    assert "polling_url" not in task
    told = json.loads(heard.body)
    assert told["id"] == task["id"]
    assert word in {"", told["status"]}
    digest = hmac.new(b"whisper", heard.body, hashlib.sha256).hexdigest()
    assert (heard.headers["x-bfl-signature"] == f"sha256={digest}") is holds
    # a task without an address is known by its id alone
    reply = look(f"{sandbox.url}/bfl/v1/get_result?id={task['id']}")
    assert reply.json()["id"] == task["id"]


def test_callback_without_a_secret_has_no_signature(sandbox: Sandbox):
    with listening() as listener:
        body = {"prompt": "x [slow 1ms]", "webhook_url": listener.url}
        submit(sandbox, "flux-tools/deblur-v1", {**body, "image": encoded()})
        assert "x-bfl-signature" not in listener.next().headers
