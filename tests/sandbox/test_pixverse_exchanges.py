"""The documented exchanges of PixVerse, by plain HTTP.

PixVerse has no client on a package index. The one inside its MCP server
(PixVerseAI/PixVerse-MCP 2.0.0) sends what is sent here: forms without files for
addresses, JSON for films, and a new trace id with every call, also when it repeats one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.receiving import next_callback, receiving

SECRET = "console-secret"
USUAL = {
    "prompt": "a copper kettle slides across a wet table",
    "model": "v5",
    "duration": 5,
    "quality": "360p",
}
TEXT = {**USUAL, "aspect_ratio": "16:9"}
CLIP = "https://cdn.example.com/clip.mp4"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:0.05"), webhook_secret=SECRET
    )
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def headers(trace: str | None = None, key: str = "sk-any") -> dict[str, str]:
    return {"API-KEY": key, "Ai-Trace-Id": trace or str(uuid.uuid4())}


def exchange(
    sandbox: Sandbox, method: str, path: str, *, key: str = "sk-any", **fields: Any
) -> dict[str, Any]:
    """The envelope of an answer, which has HTTP status 200."""
    given = {"headers": headers(key=key), "timeout": 10, **fields}
    url = f"{sandbox.url}/pixverse/openapi/v2/{path}"
    reply = requests.request(method, url, **given)
    assert reply.status_code == 200
    told: dict[str, Any] = reply.json()
    assert set(told) == {"ErrCode", "ErrMsg", "Resp"}
    return told


def generated(sandbox: Sandbox, path: str, body: Any, **fields: Any) -> Any:
    return exchange(sandbox, "POST", f"video/{path}/generate", json=body, **fields)


def an_image(sandbox: Sandbox, **fields: Any) -> int:
    fields = fields or {"data": {"image_url": "https://cdn.example.com/a.png"}}
    told = exchange(sandbox, "POST", "image/upload", **fields)
    assert told["ErrCode"] == 0
    assert told["Resp"]["img_url"].startswith("http")
    img_id: int = told["Resp"]["img_id"]
    return img_id


def a_file(width: int = 64, height: int = 48, kind: str = "png") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, kind)
    return data.getvalue()


def ended(sandbox: Sandbox, video_id: int) -> dict[str, Any]:
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        film: dict[str, Any] = exchange(sandbox, "GET", f"video/result/{video_id}")[
            "Resp"
        ]
        if film["status"] != 5:
            return film
        assert (film["url"], film["size"], film["outputWidth"]) == ("", 0, 0)
        time.sleep(0.02)
    raise AssertionError("the film does not end")


def test_a_film_is_made_from_text(sandbox: Sandbox):
    told = generated(sandbox, "text", {**TEXT, "water_mark": False, "seed": 0})
    assert (told["ErrCode"], told["ErrMsg"]) == (0, "success")
    video_id = told["Resp"]["video_id"]
    assert isinstance(video_id, int)
    assert video_id > 2**53
    film = ended(sandbox, video_id)
    assert (film["id"], film["status"]) == (video_id, 1)
    assert (film["outputWidth"], film["outputHeight"]) == (640, 360)
    data = requests.get(film["url"], timeout=10).content
    with av.open(io.BytesIO(data)) as opened:
        assert opened.streams.video


def test_a_film_is_made_from_pictures(sandbox: Sandbox):
    first = an_image(sandbox, files={"image": ("a.png", a_file(), "image/png")})
    last = an_image(sandbox)
    frames = {"first_frame_img": first, "last_frame_img": last}
    references = [
        {"type": "subject", "img_id": first, "ref_name": "cat"},
        {"type": "background", "img_id": last, "ref_name": "sea"},
    ]
    fusion = {**TEXT, "prompt": "@cat at @sea", "image_references": references}
    for path, body in (
        ("img", {**USUAL, "img_id": first}),
        ("img", {**USUAL, "img_ids": [first, last], "template_id": 7}),
        ("transition", {**USUAL, **frames}),
        ("fusion", fusion),
    ):
        assert generated(sandbox, path, body)["ErrCode"] == 0, path


def test_works_on_a_film_are_made(sandbox: Sandbox):
    told = exchange(sandbox, "POST", "media/upload", data={"file_url": CLIP})
    media_id = told["Resp"]["media_id"]
    assert told["Resp"]["media_type"] == "video"
    sound = exchange(
        sandbox,
        "POST",
        "media/upload",
        files={"file": ("a.mp3", b"sound", "audio/mpeg")},
        data={"media_type": "audio"},
    )["Resp"]["media_id"]
    made = generated(sandbox, "text", TEXT)["Resp"]["video_id"]
    says = {"lip_sync_tts_speaker_id": "1", "lip_sync_tts_content": "hello"}
    for path, body in (
        ("extend", {**USUAL, "video_media_id": media_id}),
        ("extend", {**USUAL, "source_video_id": made}),
        ("lip_sync", {"source_video_id": made, "audio_media_id": sound}),
        ("lip_sync", {"video_media_id": media_id, **says}),
        ("sound_effect", {"video_media_id": media_id, "sound_effect_content": "sea"}),
    ):
        assert generated(sandbox, path, body)["ErrCode"] == 0, path


def test_voices_are_listed(sandbox: Sandbox):
    params = {"page_num": 1, "page_size": 2}
    told = exchange(sandbox, "GET", "video/lip_sync/tts_list", params=params)["Resp"]
    assert told["total"] == 3
    assert [set(each) for each in told["data"]] == [{"speaker_id", "name"}] * 2


def test_a_repeated_trace_id_gets_the_earlier_film(sandbox: Sandbox):
    same = {"headers": headers("0b7f7d9e-2f3e-4c5a-8f53-1c6c9f1d2a33")}
    first = generated(sandbox, "text", TEXT, **same)["Resp"]["video_id"]
    other = {**TEXT, "prompt": "something else"}
    assert generated(sandbox, "text", other, **same)["Resp"]["video_id"] == first
    assert len(sandbox.ledger.submits("pixverse")) == 1
    new = generated(sandbox, "text", TEXT)["Resp"]["video_id"]
    assert new != first


def test_a_look_with_a_repeated_trace_id_sees_the_earlier_state(sandbox: Sandbox):
    video_id = generated(sandbox, "text", TEXT)["Resp"]["video_id"]
    same = {"headers": headers()}
    stale = exchange(sandbox, "GET", f"video/result/{video_id}", **same)["Resp"]
    assert ended(sandbox, video_id)["status"] == 1
    again = exchange(sandbox, "GET", f"video/result/{video_id}", **same)["Resp"]
    assert stale["status"] == again["status"] == 5


@pytest.mark.parametrize(
    ("tag", "status"), [("[fail]", 8), ("[blocked late]", 7), ("[slow 1ms]", 1)]
)
def test_a_failure_is_a_status_alone(sandbox: Sandbox, tag: str, status: int):
    told = generated(sandbox, "text", {**TEXT, "prompt": f"x {tag}"})
    film = ended(sandbox, told["Resp"]["video_id"])
    assert (film["status"], bool(film["url"])) == (status, status == 1)


@pytest.mark.parametrize(
    ("prompt", "number"),
    [
        ("x [blocked]", 500063),
        ("x [429]", 500044),
        ("x [quota]", 500090),
        ("x [401]", 400012),
        ("x [403]", 500020),
        ("x [400]", 400017),
        ("x [500]", 99999),
    ],
)
def test_a_refusal_is_a_number(sandbox: Sandbox, prompt: str, number: int):
    told = generated(sandbox, "text", {**TEXT, "prompt": prompt})
    assert (told["ErrCode"], told["Resp"]) == (number, None)
    assert told["ErrMsg"]


def test_an_unknown_film_is_a_number(sandbox: Sandbox):
    assert exchange(sandbox, "GET", "video/result/1")["ErrCode"] == 500008
    video_id = generated(sandbox, "text", TEXT)["Resp"]["video_id"]
    told = exchange(sandbox, "GET", f"video/result/{video_id}", key="sk-other")
    assert told["ErrCode"] == 500008


@pytest.mark.parametrize(
    ("path", "changed", "number"),
    [
        ("text", {"prompt": None}, 400011),
        ("text", {"prompt": 7}, 400013),
        ("text", {"prompt": "x" * 2049}, 400018),
        ("text", {"negative_prompt": "x" * 2049}, 400019),
        ("text", {"model": None}, 400011),
        ("text", {"model": "v9"}, 400017),
        ("text", {"duration": None}, 400011),
        ("text", {"duration": "5"}, 400013),
        ("text", {"duration": 6}, 400017),
        ("text", {"model": "v4", "duration": 8, "quality": "1080p"}, 400017),
        ("text", {"model": "v5.5", "duration": 10, "quality": "1080p"}, 400017),
        ("text", {"quality": "720P"}, 400017),
        ("text", {"aspect_ratio": None}, 400011),
        ("text", {"aspect_ratio": "21:9"}, 400017),
        ("text", {"style": "clay"}, 400017),
        ("text", {"model": "v4", "style": "oil"}, 400017),
        ("text", {"seed": 2**31}, 400017),
        ("text", {"motion_mode": "fast", "duration": 8}, 400017),
        ("text", {"camera_movement": "zoom_in", "template_id": 3}, 400017),
        ("text", {"water_mark": 1}, 400013),
        ("img", {"img_id": 5}, 400017),  # a ratio is not for it
        ("img", {"aspect_ratio": ...}, 400011),
        ("img", {"aspect_ratio": ..., "img_id": 5}, 400032),
        ("img", {"aspect_ratio": ..., "img_id": "5"}, 400013),
        ("img", {"aspect_ratio": ..., "img_ids": [5, 6]}, 400017),
        ("transition", {"aspect_ratio": ..., "first_frame_img": 5}, 400011),
        ("fusion", {}, 400017),
        ("fusion", {"image_references": [5]}, 400017),
        (
            "fusion",
            {"image_references": [{"type": "subject", "img_id": 5, "ref_name": "a"}]},
            400017,
        ),
        (
            "fusion",
            {
                "prompt": "@a",
                "image_references": [{"type": "subject", "img_id": 5, "ref_name": "a"}],
            },
            400032,
        ),
        ("extend", {"aspect_ratio": ...}, 400011),
        ("extend", {"aspect_ratio": ..., "source_video_id": 5}, 500008),
        ("extend", {"aspect_ratio": ..., "video_media_id": 5}, 500008),
        ("lip_sync", {"video_media_id": 5}, 400011),
        (
            "lip_sync",
            {"video_media_id": 5, "audio_media_id": 6, "lip_sync_tts_content": "x"},
            500008,
        ),
        (
            "lip_sync",
            {
                "video_media_id": 5,
                "lip_sync_tts_speaker_id": "1",
                "lip_sync_tts_content": "x" * 201,
            },
            400017,
        ),
        ("sound_effect", {"video_media_id": 5}, 400011),
        ("sound_effect", {"sound_effect_content": "sea"}, 400011),
    ],
)
def test_what_does_not_fit_is_refused(
    sandbox: Sandbox, path: str, changed: dict[str, Any], number: int
):
    body = {k: v for k, v in {**TEXT, **changed}.items() if v is not ...}
    assert generated(sandbox, path, body)["ErrCode"] == number
    assert sandbox.ledger.submits("pixverse") == []


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(sandbox: Sandbox, body: bytes):
    told = exchange(sandbox, "POST", "video/text/generate", data=body)
    assert told["ErrCode"] == 400017


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (a_file(kind="gif"), 500032),
        (b"no picture", 500031),
        (a_file(4001, 10), 500033),
        (a_file() + bytes(20 * 1024**2), 500030),
    ],
    ids=["gif", "garbage", "wide", "large"],
)
def test_a_picture_that_does_not_fit_is_refused(
    sandbox: Sandbox, data: bytes, number: int
):
    files = {"image": ("a.png", data, "image/png")}
    assert exchange(sandbox, "POST", "image/upload", files=files)["ErrCode"] == number


@pytest.mark.parametrize(
    ("path", "fields", "number"),
    [
        ("image/upload", {"data": {"image_url": "ftp://a.example/1.png"}}, 400011),
        ("image/upload", {"data": {"x": "y"}}, 400011),
        ("media/upload", {"data": {"x": "y"}}, 400011),
        ("media/upload", {"files": {"file": ("a.mp4", b"x")}}, 400017),
    ],
)
def test_an_upload_of_nothing_is_refused(
    sandbox: Sandbox, path: str, fields: dict[str, Any], number: int
):
    assert exchange(sandbox, "POST", path, **fields)["ErrCode"] == number


def test_an_upload_belongs_to_its_key(sandbox: Sandbox):
    body = {**USUAL, "img_id": an_image(sandbox)}
    assert generated(sandbox, "img", body, key="sk-other")["ErrCode"] == 400032


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"API-KEY": ""}, 400012),
        ({"API-KEY": "bad-key"}, 400012),
        ({"API-KEY": "quota-key"}, 500090),
        ({"Ai-Trace-Id": ""}, 400011),
        ({"Ai-Trace-Id": "seven"}, 400011),
    ],
)
def test_a_call_needs_a_key_and_a_trace_id(
    sandbox: Sandbox, changed: dict[str, str], number: int
):
    sent = {**headers(), **changed}
    assert generated(sandbox, "text", TEXT, headers=sent)["ErrCode"] == number


@pytest.mark.parametrize(
    ("prompt", "status"), [("x", 1), ("x [fail]", 8), ("x [blocked late]", 7)]
)
def test_an_address_of_the_console_is_called_back(
    sandbox: Sandbox, prompt: str, status: int
):
    with receiving() as (url, heard):
        console = f"{sandbox.url}/pixverse/console/webhooks"
        hook = requests.post(console, json={"url": url}, timeout=10).json()
        sent = {**headers(), "Webhook-Id": hook["webhook_id"]}
        told = generated(sandbox, "text", {**TEXT, "prompt": prompt}, headers=sent)
        callback = next_callback(heard)
    body = json.loads(callback.body)
    assert (body["id"], body["status"]) == (str(told["Resp"]["video_id"]), status)
    fields = "&".join(
        f"{name}={requests.utils.quote(text, safe='')}"
        for name, text in sorted(
            (k, v if isinstance(v, str) else json.dumps(v)) for k, v in body.items()
        )
    )
    stamp, nonce = (callback.headers[f"webhook-{n}"] for n in ("timestamp", "nonce"))
    text = f"{stamp}\n{nonce}\n{fields}"
    mac = hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256)
    assert callback.headers["webhook-signature"] == base64.b64encode(mac).decode()
    assert len(nonce) == 32
    assert sandbox.ledger.calls("pixverse", CallKind.WEBHOOK) == 1
