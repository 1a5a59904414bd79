"""The `openai` SDK against the simulated xAI, over a real socket.

xAI's own client for Python speaks gRPC only; its documentation uses this one for the
images, and the paths that OpenAI has not are called through it as they are.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
import httpx
import openai
import pytest
import requests
from PIL import Image

from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running

SETTINGS = SandboxSettings(durations=parse_durations("fixed:0.03"))
MODEL = "grok-imagine-image"
FILM = {"model": "grok-imagine-video", "prompt": "the kite dives"}
URL = "https://img.example.org/kite.jpg"


def data_url(width: int, height: int) -> str:
    return "data:image/png;base64," + base64.b64encode(
        make_image("in", width, height)
    ).decode("ascii")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(settings=SETTINGS) as sandbox:
        yield sandbox


def a_client(sandbox: Sandbox, key: str = "sandbox-id:sandbox-key") -> openai.OpenAI:
    return openai.OpenAI(
        api_key=key, base_url=f"{sandbox.url}/xai/v1", max_retries=0, timeout=20
    )


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> openai.OpenAI:
    return a_client(sandbox)


def post(client: openai.OpenAI, path: str, body: Any) -> Any:
    return client.post(path, body=body, cast_to=object)


def look(client: openai.OpenAI, request_id: str) -> httpx.Response:
    return client.get(f"/videos/{request_id}", cast_to=httpx.Response)


def until_over(client: openai.OpenAI, request_id: str) -> Any:
    """The body of the first look that is not 202."""
    ends_at = time.monotonic() + 10
    while (reply := look(client, request_id)).status_code == 202:
        assert time.monotonic() < ends_at
    return reply.json()


@contextmanager
def refusing(kind: type[openai.APIStatusError], words: str) -> Iterator[None]:
    """The SDK raises `kind`; it keeps the upstream's words only with the answer."""
    with pytest.raises(kind) as caught:
        yield
    assert words in caught.value.response.text


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# Images


def test_images_are_links_that_need_no_key(client):
    made = client.images.generate(
        model="grok-imagine-image-2.0",
        prompt="an owl of maps",
        n=2,
        response_format="url",
        quality="low",
        extra_body={"aspect_ratio": "2:1", "resolution": "1k"},
    )
    for item in made.data or []:
        image = opened(requests.get(str(item.url), timeout=10).content)
        assert (image.format, image.width) == ("JPEG", 2 * image.height)
    assert len(made.data or []) == 2
    assert made.usage is not None
    unsigned = str((made.data or [])[0].url).partition("?")[0]
    assert requests.get(unsigned, timeout=10).status_code == 403


def test_images_are_inline_when_asked_for(client):
    made = client.images.generate(
        model=MODEL, prompt="an owl", response_format="b64_json"
    )
    (item,) = made.data or []
    assert opened(base64.b64decode(item.b64_json or "")).size == (1024, 1024)


@pytest.mark.parametrize(
    "given",
    [
        {"image": {"url": data_url(300, 200), "type": "image_url"}},
        {"images": [{"url": data_url(300, 200)}, {"url": URL}]},
    ],
)
def test_an_edit_in_json_has_the_shape_of_its_first_image(client, given):
    body = {"model": MODEL, "prompt": "winter", "response_format": "b64_json", **given}
    made = post(client, "/images/edits", body)
    image = opened(base64.b64decode(made["data"][0]["b64_json"]))
    assert image.width / image.height == pytest.approx(1.5, abs=0.01)


def test_an_edit_as_a_form_is_refused(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.images.edit(
            model=MODEL, prompt="x", image=("a.png", make_image("a", 64, 64))
        )
    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/images/generations", {"size": "1024x1024"}, 400),
        ("/images/generations", {"seed": 4}, 400),
        ("/images/generations", {"image": {"url": URL}}, 400),
        ("/images/generations", {"n": 11}, 400),
        ("/images/generations", {"n": "2"}, 400),
        ("/images/generations", {"aspect_ratio": "7:1"}, 400),
        ("/images/generations", {"resolution": "1K"}, 400),
        ("/images/generations", {"quality": "low"}, 400),
        ("/images/generations", {"prompt": None}, 422),
        ("/images/generations", {"model": None}, 422),
        ("/images/generations", {"model": "grok-9"}, 404),
        ("/images/edits", {}, 400),
        ("/images/edits", {"image": {"url": URL}, "images": [{"url": URL}]}, 400),
        ("/images/edits", {"image": URL}, 400),
        ("/images/edits", {"image": {"url": "data:image/png;base64,AAAA"}}, 400),
        ("/images/edits", {"image": {"url": URL, "type": "url"}}, 400),
    ],
)
def test_a_wrong_image_is_refused(client, path, fields, status):
    with pytest.raises(openai.APIStatusError) as caught:
        post(client, path, {"model": MODEL, "prompt": "x", **fields})
    assert caught.value.status_code == status


def test_a_moderated_image_is_told_in_two_ways(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model=MODEL, prompt="x [blocked]")
    assert caught.value.response.json()["code"] == "imagine:content-moderated"
    made = client.images.generate(model=MODEL, prompt="x [blocked late]", n=2)
    told = [item.to_dict() for item in made.data or []]
    assert [item["respect_moderation"] for item in told] == [False, False]


# Videos


def test_a_video_is_awaited_with_202_and_then_has_a_link(client):
    started = post(client, "/videos/generations", {**FILM, "duration": 2})
    assert list(started) == ["request_id"]
    done = until_over(client, started["request_id"])
    assert (done["status"], done["progress"]) == ("done", 100)
    assert done["video"]["duration"] == 2
    with av.open(
        io.BytesIO(requests.get(done["video"]["url"], timeout=10).content)
    ) as film:
        assert film.duration == pytest.approx(2 * av.time_base, rel=0.2)


def test_a_video_that_goes_on_has_first_no_body_and_then_its_progress():
    now = [1_790_000_000.0]
    with running(settings=SandboxSettings(clock=lambda: now[0])) as sandbox:
        client = a_client(sandbox)
        body = {**FILM, "prompt": "x [slow 10s]"}
        request_id = post(client, "/videos/generations", body)["request_id"]
        first = look(client, request_id)
        now[0] += 5
        second = look(client, request_id)
    assert (first.status_code, first.content) == (202, b"")
    assert second.status_code == 202
    assert json.loads(second.content) == {"status": "pending", "progress": 41}


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({}, 16 / 9),
        ({"image": {"url": data_url(200, 300)}}, 2 / 3),
        ({"image": {"url": data_url(200, 300)}, "aspect_ratio": "1:1"}, 1.0),
        ({"reference_images": [{"url": URL}, {"url": URL}]}, 16 / 9),
        ({"image": {"file_id": "file-1"}, "resolution": "720p"}, 16 / 9),
    ],
)
def test_a_video_has_the_shape_asked_for_or_of_its_frame(client, given, shape):
    started = post(client, "/videos/generations", {**FILM, "duration": 1, **given})
    done = until_over(client, started["request_id"])
    data = requests.get(done["video"]["url"], timeout=10).content
    with av.open(io.BytesIO(data)) as film:
        picture = film.streams.video[0]
        assert picture.width / picture.height == pytest.approx(shape, rel=0.02)


def test_a_video_is_edited_and_extended(client):
    first = post(client, "/videos/generations", {**FILM, "duration": 3})
    video = {"url": until_over(client, first["request_id"])["video"]["url"]}
    edited = post(client, "/videos/edits", {**FILM, "video": video})
    assert until_over(client, edited["request_id"])["video"]["duration"] == 3
    extended = post(client, "/videos/extensions", {**FILM, "video": video})
    longer = until_over(client, extended["request_id"])["video"]
    assert longer["duration"] == 9
    with refusing(openai.BadRequestError, "longer"):
        post(client, "/videos/edits", {**FILM, "video": {"url": longer["url"]}})


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("generations", {"duration": "6"}, 400),
        ("generations", {"duration": 16}, 400),
        ("generations", {"aspect_ratio": "2:1"}, 400),
        ("generations", {"resolution": "1080p"}, 400),
        ("generations", {"n": 2}, 400),
        ("generations", {"keyframes": [{}]}, 400),
        ("generations", {"image": {"url": "kite.jpg"}}, 400),
        ("generations", {"reference_images": [{"url": URL}] * 8}, 400),
        ("generations", {"reference_audios": [{"voice_id": "v"}] * 4}, 400),
        ("generations", {"prompt": None}, 422),
        ("generations", {"model": "grok-imagine-image"}, 404),
        ("edits", {}, 422),
        ("edits", {"video": {"url": URL}, "duration": 4}, 400),
        ("edits", {"video": {"url": "upload:0"}}, 400),
        ("extensions", {"video": {"url": URL}, "duration": 11}, 400),
        ("extensions", {"video": {"url": URL}, "aspect_ratio": "1:1"}, 400),
    ],
)
def test_a_wrong_video_is_refused(client, path, fields, status):
    with pytest.raises(openai.APIStatusError) as caught:
        post(client, f"/videos/{path}", {**FILM, **fields})
    assert caught.value.status_code == status


def test_1080p_is_for_the_newer_model_without_references(client):
    body = {**FILM, "model": "grok-imagine-video-1.5", "resolution": "1080p"}
    assert post(client, "/videos/generations", body)["request_id"]
    with refusing(openai.BadRequestError, "720p"):
        post(
            client, "/videos/generations", {**body, "reference_images": [{"url": URL}]}
        )


def test_each_end_of_a_video_has_its_words(client):
    def ended(tag: str) -> Any:
        body = {**FILM, "prompt": f"x {tag}"}
        return until_over(
            client, post(client, "/videos/generations", body)["request_id"]
        )

    assert ended("[fail]")["error"]["code"] == "internal_error"
    assert ended("[blocked late]")["video"]["respect_moderation"] is False
    with refusing(openai.BadRequestError, "moderated"):
        ended("[blocked]")
    with pytest.raises(openai.NotFoundError):
        look(client, "5c1de0b2-77aa-4d5e-9f10-000000000000")


def test_a_video_is_forgotten_after_a_day():
    now = [1_790_000_000.0]
    settings = SandboxSettings(
        durations=parse_durations("fixed:1"), clock=lambda: now[0], most_age_s=1e9
    )
    with running(settings=settings) as sandbox:
        client = a_client(sandbox)
        started = post(client, "/videos/generations", {**FILM, "duration": 1})
        now[0] += 2
        done = until_over(client, started["request_id"])
        now[0] += 24 * 3600
        assert look(client, started["request_id"]).json() == {"status": "expired"}
        assert requests.get(done["video"]["url"], timeout=10).status_code == 403


# Speech


@pytest.mark.parametrize(
    ("codec", "rate", "size"),
    [
        ("mp3", 24000, None),
        ("wav", 16000, None),
        ("pcm", 8000, 16000),
        ("mulaw", 8000, 8000),
        ("alaw", 16000, 16000),
    ],
)
def test_speech_has_the_codec_and_the_rate_asked_for(client, codec, rate, size):
    form = {"codec": codec, "sample_rate": rate}
    body = {"text": "Gate nine is open", "output_format": form, "language": "en"}
    reply = client.post("/tts", body=body, cast_to=httpx.Response)
    assert reply.headers["content-type"].startswith("audio/")
    assert reply.headers["x-trace-id"]
    if size is None:
        with av.open(io.BytesIO(reply.content)) as sound:
            assert sound.streams.audio[0].rate == rate
    else:
        assert len(reply.content) == pytest.approx(17 / 15 * size, rel=0.02)


def test_timed_speech_is_json(client):
    said = post(client, "/tts", {"text": "Gate nine", "with_timestamps": True})
    assert base64.b64decode(said["audio"]).startswith(b"ID3")
    assert said["content_type"] == "audio/mpeg"
    assert said["duration"] == said["audio_timestamps"]["end"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"text": ""}, 400),
        ({"text": None}, 422),
        ({"speed": 2}, 400),
        ({"output_format": "mp3"}, 400),
        ({"output_format": {"codec": "opus"}}, 400),
        ({"model": "grok-tts"}, 400),
    ],
)
def test_wrong_speech_is_refused(client, fields, status):
    with pytest.raises(openai.APIStatusError) as caught:
        post(client, "/tts", {"text": "Gate nine", **fields})
    assert caught.value.status_code == status


# The key


def test_a_wrong_key_is_a_400_and_a_missing_one_a_401(sandbox, client):
    assert client.get("/api-key", cast_to=object)
    with refusing(openai.BadRequestError, "Incorrect API key"):
        a_client(sandbox, "bad-key").images.generate(model=MODEL, prompt="x")
    reply = requests.post(f"{sandbox.url}/xai/v1/tts", json={"text": "x"}, timeout=10)
    assert reply.status_code == 401


@pytest.mark.parametrize(
    ("prompt", "key", "kind", "words"),
    [
        ("x [429 once]", "k", openai.RateLimitError, "capacity"),
        ("x", "quota-key", openai.RateLimitError, "spending limit"),
        ("x [403]", "k", openai.PermissionDeniedError, "permission"),
        ("x [503]", "k", openai.InternalServerError, "went wrong"),
    ],
)
def test_refusals_are_the_sdks_own_exceptions(sandbox, prompt, key, kind, words):
    with refusing(kind, words):
        a_client(sandbox, key).images.generate(model=MODEL, prompt=prompt)
