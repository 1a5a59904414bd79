"""Kling's documented exchanges, by plain HTTP.

No package index has an official client: what the one in the GitHub repository
KwaiVGI/ComfyUI-KLingAI-API sends is sent here as it is, and so are the examples of the
documentation for what that client lacks.
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
from PIL import Image

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.listening import listening

TEXT, FRAMES = "/v1/videos/text2video", "/v1/videos/image2video"
IMAGES = "/v1/images/generations"
A = "https://img.example.com/pier.png"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(
    access_key: str = "sandbox-id",
    secret_key: str = "sandbox-key",
    begins_in_s: int = -5,
    ends_in_s: int = 1800,
    algorithm: str = "HS256",
) -> str:
    """A JWT as the official client makes it."""
    now = int(time.time())
    claims = {"iss": access_key, "exp": now + ends_in_s, "nbf": now + begins_in_s}
    message = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}"
    mac = hmac.digest(secret_key.encode(), message.encode(), hashlib.sha256)
    return f"{message}.{part(mac)}"


def call(
    sandbox: Sandbox, method: str, path: str, body: Any = None, key: str | None = None
) -> requests.Response:
    return requests.request(
        method,
        f"{sandbox.url}/kling{path}",
        json=body,
        headers={"Authorization": f"Bearer {token() if key is None else key}"},
        timeout=10,
    )


def post(sandbox: Sandbox, path: str, **body: Any) -> requests.Response:
    return call(sandbox, "POST", path, body)


def ended(sandbox: Sandbox, path: str, task_id: str) -> dict[str, Any]:
    """The task as the official client waits for it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        reply = call(sandbox, "GET", f"{path}/{task_id}")
        assert reply.status_code == 200
        task: dict[str, Any] = reply.json()["data"]
        if task["task_status"] not in {"submitted", "processing"}:
            return task
        time.sleep(0.02)
    raise AssertionError("the task never ended")


def new_ended(sandbox: Sandbox, *task_ids: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        path = f"/tasks?task_ids={','.join(task_ids)}"
        tasks: list[dict[str, Any]] = call(sandbox, "GET", path, key="k-1").json()[
            "data"
        ]
        if all(task["status"] in {"succeeded", "failed"} for task in tasks):
            return tasks
        time.sleep(0.02)
    raise AssertionError("the tasks never ended")


def fetched(url: str) -> bytes:
    reply = requests.get(url, timeout=10)
    assert reply.status_code == 200
    return reply.content


def test_a_film_is_submitted_waited_for_listed_and_downloaded(sandbox: Sandbox):
    reply = post(
        sandbox,
        TEXT,
        model_name="kling-v2-6",
        prompt="slow dolly in, gulls take off",
        mode="pro",
        duration="5",
        sound="off",
        external_task_id="gw-000123",
    )
    answer = reply.json()
    assert (reply.status_code, answer["code"], answer["message"]) == (200, 0, "SUCCEED")
    data = answer["data"]
    assert set(data) == {
        "task_id",
        "task_status",
        "task_info",
        "created_at",
        "updated_at",
    }
    assert data["task_status"] == "submitted"
    assert data["task_info"] == {"external_task_id": "gw-000123"}
    assert data["task_id"].isdigit()
    assert data["created_at"] > 10**12

    task = ended(sandbox, TEXT, data["task_id"])
    assert (task["task_status"], task["task_status_msg"]) == ("succeed", "")
    assert task["final_unit_deduction"] == "3.5"
    (film,) = task["task_result"]["videos"]
    assert film["duration"] == "5.000"
    with av.open(io.BytesIO(fetched(film["url"]))) as container:
        assert next(container.decode(video=0)).width > 0
    assert ended(sandbox, TEXT, "gw-000123") == task

    listed = call(sandbox, "GET", f"{TEXT}?pageNum=1&pageSize=30").json()["data"]
    assert [each["task_id"] for each in listed] == [data["task_id"]]
    assert call(sandbox, "GET", f"{FRAMES}/{data['task_id']}").status_code == 400
    assert call(sandbox, "GET", FRAMES).json()["data"] == []


def test_the_model_under_the_wrong_name_is_the_oldest_one(sandbox: Sandbox):
    post(sandbox, TEXT, model="kling-v3", prompt="a boat")
    assert [s.model for s in sandbox.ledger.submits("kling")] == ["kling-v1"]


def test_images_are_made_in_the_number_asked_for(sandbox: Sandbox):
    data = post(sandbox, IMAGES, prompt="a boat", n=2, aspect_ratio="9:16").json()
    task = ended(sandbox, IMAGES, data["data"]["task_id"])
    images = task["task_result"]["images"]
    assert [image["index"] for image in images] == [0, 1]
    image = Image.open(io.BytesIO(fetched(images[1]["url"])))
    assert image.format == "PNG"
    assert image.height > image.width


def test_a_series_of_images_and_an_extended_film(sandbox: Sandbox):
    path = "/v1/images/omni-image"
    reply = post(sandbox, path, prompt="four", result_type="series", series_amount=3)
    task = ended(sandbox, path, reply.json()["data"]["task_id"])
    assert len(task["task_result"]["series_images"]) == 3

    first = post(sandbox, TEXT, prompt="a boat").json()["data"]["task_id"]
    (film,) = ended(sandbox, TEXT, first)["task_result"]["videos"]
    path = "/v1/videos/video-extend"
    reply = post(sandbox, path, video_id=film["id"], prompt="it sinks")
    assert (
        ended(sandbox, path, reply.json()["data"]["task_id"])["task_status"]
        == "succeed"
    )


def test_the_client_asks_for_a_try_on_with_two_slashes(sandbox: Sandbox):
    path = "/v1/images/kolors-virtual-try-on"
    reply = post(sandbox, path, human_image=A, cloth_image=A)
    task_id = reply.json()["data"]["task_id"]
    assert ended(sandbox, f"{path}/", task_id)["task_status"] == "succeed"


def test_lips_follow_a_face_that_was_found(sandbox: Sandbox):
    found = post(
        sandbox, "/v1/videos/identify-face", video_url="https://x.example/c.mp4"
    ).json()["data"]
    chosen = [{"face_id": found["face_data"][0]["face_id"], "audio_id": "1"}]
    path = "/v1/videos/advanced-lip-sync"
    reply = post(sandbox, path, session_id=found["session_id"], face_choose=chosen)
    assert reply.json()["code"] == 0


def test_a_soundtrack_has_the_film_and_two_formats(sandbox: Sandbox):
    path = "/v1/audio/video-to-audio"
    reply = post(sandbox, path, video_url="https://x.example/c.mp4")
    task = ended(sandbox, path, reply.json()["data"]["task_id"])
    (sound,) = task["task_result"]["audios"]
    assert set(sound) == {
        "audio_id",
        "url_mp3",
        "url_wav",
        "duration_mp3",
        "duration_wav",
        "video_id",
        "video_url",
    }
    assert fetched(sound["url_wav"])[:4] == b"RIFF"
    assert fetched(sound["video_url"])


def test_the_newer_standard_answers_many_tasks_in_the_order_asked(sandbox: Sandbox):
    ids = []
    for number in range(2):
        body = {
            "prompt": f"a paper boat {number}",
            "settings": {
                "resolution": "1080p",
                "aspect_ratio": "16:9",
                "duration": 5,
                "audio": "off",
            },
            "options": {
                "external_task_id": f"gw-{number}",
                "watermark_info": {"enabled": False},
            },
        }
        reply = call(sandbox, "POST", "/text-to-video/kling-3.0", body, "k-1")
        data = reply.json()["data"]
        assert set(data) == {
            "id",
            "status",
            "create_time",
            "update_time",
            "external_id",
        }
        ids.append(data["id"])
    tasks = new_ended(sandbox, ids[1], "5", ids[0])
    assert [task["id"] for task in tasks] == [ids[1], ids[0]]
    assert tasks[0]["outputs"][0]["type"] == "video"
    assert fetched(tasks[0]["outputs"][0]["url"])
    assert tasks[0]["billing"][0]["amount"] == "3.5"
    path = "/tasks?external_task_ids=gw-1"
    assert call(sandbox, "GET", path, key="k-1").json()["data"] == [tasks[0]]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("bad-key", 1002),
        ("", 1002),
        ({"access_key": "bad-key"}, 1002),
        ({"secret_key": "wrong"}, 1002),
        ({"algorithm": "none"}, 1002),
        ({"access_key": "", "secret_key": "x"}, 1002),
        ("a.b.c", None),
        ({"access_key": "another", "secret_key": "any"}, None),
        ({"begins_in_s": 3600, "ends_in_s": 7200}, 1003),
        ({"begins_in_s": -60, "ends_in_s": -30}, 1004),
    ],
)
def test_a_token_is_looked_at_closely(
    sandbox: Sandbox, key: str | dict[str, Any], code: int | None
):
    key = key if isinstance(key, str) else token(**key)
    reply = call(sandbox, "GET", f"{TEXT}?pageNum=1&pageSize=30", key=key)
    assert reply.json()["code"] == (code or 0)
    assert reply.status_code == (401 if code else 200)


def test_the_newer_standard_takes_no_token_of_an_access_key(sandbox: Sandbox):
    assert call(sandbox, "GET", "/tasks?task_ids=1").json()["code"] == 1002
    assert call(sandbox, "GET", "/tasks?task_ids=1", key="k-1").json()["data"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "told"),
    [
        (TEXT, {"prompt": ""}, 400, 1201, "prompt"),
        (TEXT, {"prompt": "x" * 2501}, 400, 1201, "prompt"),
        (TEXT, {"prompt": "x", "duration": 5}, 400, 1201, "string"),
        (TEXT, {"prompt": "x", "duration": "7"}, 400, 1201, "duration"),
        (TEXT, {"prompt": "x", "mode": "4k"}, 400, 1201, "mode"),
        (TEXT, {"prompt": "x", "aspect_ratio": "4:3"}, 400, 1201, "aspect_ratio"),
        (TEXT, {"prompt": "x", "cfg_scale": 2}, 400, 1201, "cfg_scale"),
        (TEXT, {"prompt": "x", "model_name": "kling-v9"}, 404, 1203, "kling-v9"),
        (TEXT, {"prompt": "x", "model_name": "kling-v2-1"}, 404, 1203, "kling-v2-1"),
        (
            TEXT,
            {
                "model_name": "kling-v3",
                "multi_shot": True,
                "shot_type": "customize",
                "multi_prompt": [{"index": 1, "prompt": "a", "duration": "3"}],
            },
            400,
            1201,
            "sum to duration",
        ),
        (TEXT, [], 400, 1201, "object"),
        (FRAMES, {"prompt": "x"}, 400, 1201, "image"),
        (FRAMES, {"image": "data:image/png;base64,AAAA"}, 400, 1201, "prefix"),
        (FRAMES, {"image": "AAAA"}, 400, 1201, "image"),
        (
            "/v1/videos/omni-video",
            {"prompt": "x", "image_list": [{"image_url": A, "type": "end_frame"}]},
            400,
            1201,
            "first_frame",
        ),
        ("/v1/videos/omni-video", {"prompt": "x"}, 400, 1201, "aspect_ratio"),
        ("/v1/videos/video-extend", {"video_id": "12"}, 400, 1201, "video"),
        ("/v1/videos/effects", {"input": {"image": A}}, 400, 1201, "effect_scene"),
        ("/v1/videos/avatar/image2video", {"image": A}, 400, 1201, "sound_file"),
        (IMAGES, {"prompt": "x", "n": 10}, 400, 1201, "n must"),
        ("/v1/audio/text-to-audio", {"prompt": "x", "duration": 2}, 400, 1201, "3"),
        ("/v1/audio/tts", {"text": "x", "voice_id": "1"}, 400, 1201, "language"),
        ("/v1/videos/nothing", {}, 404, 1202, "path"),
    ],
)
def test_wrong_submit_of_v1_is_refused_and_free(
    sandbox: Sandbox, path: str, body: Any, status: int, code: int, told: str
):
    reply = call(sandbox, "POST", path, body)
    answer = reply.json()
    assert (reply.status_code, answer["code"]) == (status, code)
    assert told in answer["message"]
    assert set(answer) == {"code", "message", "request_id"}
    assert sandbox.ledger.submits("kling") == []


@pytest.mark.parametrize(
    ("path", "body", "code", "told"),
    [
        ("/image-to-video/kling-3.0", {}, 1201, "contents cannot be empty"),
        ("/text-to-video/kling-9", {"prompt": "x"}, 1203, "kling-9"),
        (
            "/text-to-video/kling-2.6",
            {"prompt": "x", "settings": {"duration": 6}},
            1201,
            "5 or 10",
        ),
        (
            "/image-to-video/kling-3.0",
            {"contents": [{"type": "last_frame", "url": A}]},
            1201,
            "first_frame",
        ),
        (
            "/image-to-video/kling-3.0",
            {"contents": [{"type": "refer_image", "url": A}]},
            1201,
            "type",
        ),
        (
            "/omni-video/kling-o1",
            {"contents": [{"type": "prompt", "text": "x"}]},
            1201,
            "aspect_ratio",
        ),
        (
            "/motion-control/kling-2.6",
            {"contents": [{"type": "image", "url": A}]},
            1201,
            "image and video",
        ),
    ],
)
def test_wrong_submit_of_the_newer_standard_is_refused_and_free(
    sandbox: Sandbox, path: str, body: Any, code: int, told: str
):
    answer = call(sandbox, "POST", path, body, "k-1").json()
    assert answer["code"] == code
    assert told in answer["message"]
    assert sandbox.ledger.submits("kling") == []


def test_callbacks_have_no_envelope_and_tell_every_state(sandbox: Sandbox):
    with listening() as listener:
        prompt = "a slow boat [slow 600ms]"
        post(sandbox, TEXT, prompt=prompt, callback_url=listener.url)
        told = [json.loads(listener.next().body) for _ in range(3)]
    states = [task["task_status"] for task in told]
    assert states == ["submitted", "processing", "succeed"]
    assert fetched(told[-1]["task_result"]["videos"][0]["url"])
    assert sandbox.ledger.calls("kling", CallKind.WEBHOOK) == 3


def test_link_is_good_byte_for_byte_only(sandbox: Sandbox):
    task_id = post(sandbox, TEXT, prompt="a boat").json()["data"]["task_id"]
    (film,) = ended(sandbox, TEXT, task_id)["task_result"]["videos"]
    url = film["url"].replace("%2F", "/")
    assert requests.get(url, timeout=10).status_code == 403
