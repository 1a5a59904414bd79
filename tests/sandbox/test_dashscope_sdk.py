"""The official SDK (dashscope 2.0.2) gets its results from the sandbox."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import av
import dashscope
import pytest
import requests
from dashscope import ImageSynthesis, MultiModalConversation, VideoSynthesis
from dashscope.aigc.image_generation import ImageGeneration
from dashscope.audio.http_tts import HttpSpeechSynthesizer
from PIL import Image

from sandbox.jobs import CallKind, Durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running

FRAME = "https://cdn.example.com/frame.png"
MESSAGES = [{"role": "user", "content": [{"text": "a paper boat"}]}]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    # the SDK sleeps a second between its looks, so most tasks are done at the first
    settings = SandboxSettings(durations=Durations(0.0, 0.0, 0.0))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def pointed_at_sandbox(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    base = f"{sandbox.url}/dashscope/api/v1"
    monkeypatch.setattr(dashscope, "base_http_api_url", base)
    monkeypatch.setattr(dashscope, "api_key", f"sk-{uuid.uuid4().hex}")


def picture(url: str) -> Image.Image:
    reply = requests.get(url, timeout=10)
    assert reply.status_code == HTTPStatus.OK
    image = Image.open(io.BytesIO(reply.content))
    image.load()
    return image


def film(url: str) -> av.VideoFrame:
    content = requests.get(url, timeout=10).content
    with av.open(io.BytesIO(content)) as container:
        return next(container.decode(video=0))


def sound_seconds(url: str) -> float:
    content = requests.get(url, timeout=10).content
    with av.open(io.BytesIO(content)) as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples / frame.sample_rate for frame in frames)


def test_sdk_waits_for_images_of_the_older_protocol() -> None:
    task = ImageSynthesis.async_call(
        "wan2.2-t2i-flash", "a paper boat [slow 500ms]", n=2, size="1024*768"
    )
    assert task.output.task_status == "PENDING"
    assert ImageSynthesis.fetch(task).output.task_status in {"PENDING", "RUNNING"}
    done = ImageSynthesis.wait(task)
    assert done.output.task_status == "SUCCEEDED"
    assert done.usage.image_count == 2
    assert [picture(result.url).size for result in done.output.results] == [
        (1024, 768)
    ] * 2


def test_sdk_gets_four_images_when_it_does_not_say_how_many() -> None:
    done = ImageSynthesis.call("wanx2.1-t2i-turbo", "a paper boat")
    assert len(done.output.results) == 4


def test_sdk_sees_the_image_that_failed_among_the_good_ones() -> None:
    done = ImageSynthesis.call("wan2.2-t2i-plus", "a paper boat [partial]", n=2)
    good, bad = done.output.results
    assert good.url
    assert (bad.url, bad["code"]) == ("", "DataInspectionFailed")
    assert done.output["task_metrics"] == {"TOTAL": 2, "SUCCEEDED": 1, "FAILED": 1}


def test_sdk_edits_images() -> None:
    done = ImageSynthesis.call(
        "wanx2.1-imageedit",
        "a red boat",
        function="description_edit",
        base_image_url=FRAME,
    )
    assert len(done.output.results) == 1
    merged = ImageSynthesis.call(
        "wan2.5-i2i-preview", "both", images=[FRAME, FRAME], n=1
    )
    assert picture(merged.output.results[0].url).size == (1280, 1280)


def test_sdk_gets_images_of_the_message_protocol_at_once() -> None:
    reply = ImageGeneration.call(model="wan2.7-image", messages=MESSAGES, n=2)
    assert reply.status_code == HTTPStatus.OK
    parts = [choice.message.content[0] for choice in reply.output.choices]
    assert [part["type"] for part in parts] == ["image", "image"]
    assert picture(parts[0]["image"]).format == "PNG"


def test_sdk_waits_for_images_of_the_message_protocol() -> None:
    task = ImageGeneration.async_call(
        model="wan2.6-t2i", messages=MESSAGES, n=1, size="1280*1280"
    )
    assert task.output["task_status"] == "PENDING"
    done = ImageGeneration.wait(task)
    assert done.output["finished"] is True
    assert done.usage["size"] == "1280*1280"
    assert picture(done.output.choices[0].message.content[0]["image"])


def test_sdk_gets_a_qwen_image() -> None:
    reply = MultiModalConversation.call(
        model="qwen-image-max", messages=MESSAGES, size="1328*1328"
    )
    assert reply.status_code == HTTPStatus.OK
    part = reply.output.choices[0].message.content[0]
    assert set(part) == {"image"}
    assert picture(part["image"]).size == (1328, 1328)


VIDEOS: list[tuple[str, dict[str, Any]]] = [
    ("wan2.7-t2v", {"prompt": "a boat", "resolution": "720P", "ratio": "9:16"}),
    ("wan2.7-i2v", {"media": [{"type": "first_frame", "url": FRAME}]}),
    ("wan3.0-video", {"prompt": "a boat", "duration": -1}),
    ("wan2.5-t2v-preview", {"prompt": "a boat", "size": "832*480"}),
    ("wan2.2-i2v-plus", {"prompt": "a boat", "img_url": FRAME}),
    ("wan2.2-kf2v-flash", {"prompt": "a boat", "first_frame_url": FRAME}),
    ("wan2.6-r2v", {"prompt": "character1 sails", "reference_urls": [FRAME]}),
]


@pytest.mark.parametrize(("model", "fields"), VIDEOS)
def test_sdk_gets_a_video_that_plays(model: str, fields: dict[str, Any]) -> None:
    done = VideoSynthesis.call(model, **fields)
    assert done.output.task_status == "SUCCEEDED", done
    frame = film(done.output.video_url)
    assert frame.width
    assert done.usage.video_count == 1


def test_sdk_gets_no_video_url_of_a_talking_head_but_results() -> None:
    done = VideoSynthesis.call(
        "wan2.2-s2v",
        "",
        task="image2video",
        extra_input={"image_url": FRAME, "audio_url": "https://cdn.example.com/a.mp3"},
    )
    assert done.output.video_url == ""
    assert film(done.output["results"]["video_url"])
    assert isinstance(done.usage["duration"], float)


def test_sdk_gets_speech_of_both_families() -> None:
    qwen = MultiModalConversation.call(
        model="qwen3-tts-flash",
        text="The boat sails at dawn.",
        voice="Cherry",
        language_type="English",
    )
    assert qwen.output.audio["url"].split("?")[0].endswith(".wav")
    assert sound_seconds(qwen.output.audio["url"]) > 0.5
    cosy = HttpSpeechSynthesizer.call(
        "cosyvoice-v3-flash", "The boat sails.", "longanyang", audio_format="mp3"
    )
    assert cosy.audio_url is not None
    assert cosy.audio_url.split("?")[0].endswith(".mp3")
    assert sound_seconds(cosy.audio_url) > 0.5


def test_sdk_cancels_a_task_that_waits() -> None:
    task = VideoSynthesis.async_call("wan2.7-t2v", "a boat [slow 60s]")
    assert VideoSynthesis.cancel(task).status_code == HTTPStatus.OK
    assert VideoSynthesis.fetch(task).output.task_status == "CANCELED"


def test_sdk_cannot_cancel_a_task_that_has_ended() -> None:
    done = ImageSynthesis.call("wan2.2-t2i-flash", "a boat", n=1)
    reply = ImageSynthesis.cancel(done.output.task_id)
    assert reply.status_code == HTTPStatus.BAD_REQUEST
    assert reply.code == "UnsupportedOperation"


def test_sdk_lists_the_accounts_own_tasks() -> None:
    done = ImageSynthesis.call("wan2.2-t2i-flash", "a boat", n=1)
    waiting = VideoSynthesis.async_call("wan2.7-t2v", "a boat [stuck]")
    listed = VideoSynthesis.list().output
    assert listed["total"] == 2
    assert [row["task_id"] for row in listed["data"]] == [
        waiting.output.task_id,
        done.output.task_id,
    ]
    one = ImageSynthesis.list(status="SUCCEEDED").output
    assert [row["model_name"] for row in one["data"]] == ["wan2.2-t2i-flash"]
    assert isinstance(one["data"][0]["end_time"], int)
    paged = ImageSynthesis.list(page_no=2, page_size=1).output
    assert (paged["total_page"], len(paged["data"])) == (2, 1)


def test_sdk_uploads_a_local_file_and_uses_it(tmp_path: Path, sandbox: Sandbox) -> None:
    file = tmp_path / "frame.png"
    file.write_bytes(make_image("frame", 640, 480))
    done = VideoSynthesis.call(
        "wan2.6-i2v", "the boat drifts", img_url=str(file), resolution="720P"
    )
    assert done.output.task_status == "SUCCEEDED", done
    assert sandbox.ledger.calls("dashscope", CallKind.UPLOAD) >= 2


ERRORS = [
    ("a boat [400]", {}, HTTPStatus.BAD_REQUEST, "InvalidParameter"),
    ("a boat [blocked]", {}, HTTPStatus.BAD_REQUEST, "DataInspectionFailed"),
    ("a boat [quota]", {}, HTTPStatus.BAD_REQUEST, "Arrearage"),
    ("a boat [403]", {}, HTTPStatus.FORBIDDEN, "AccessDenied"),
    ("a boat [429 once]", {}, HTTPStatus.TOO_MANY_REQUESTS, "Throttling.RateQuota"),
    ("a boat [503 before]", {}, HTTPStatus.SERVICE_UNAVAILABLE, "ModelServingError"),
    ("a boat", {"size": "64*64"}, HTTPStatus.BAD_REQUEST, "InvalidParameter"),
    ("a boat", {"size": "1024x1024"}, HTTPStatus.BAD_REQUEST, "InvalidParameter"),
    ("a boat", {"n": 5}, HTTPStatus.BAD_REQUEST, "InvalidParameter"),
    ("a boat", {"api_key": "bad-key"}, HTTPStatus.UNAUTHORIZED, "InvalidApiKey"),
]


@pytest.mark.parametrize(("prompt", "fields", "status", "code"), ERRORS)
def test_sdk_reads_the_refusal(
    prompt: str, fields: dict[str, Any], status: HTTPStatus, code: str
) -> None:
    reply = ImageSynthesis.async_call("wan2.2-t2i-flash", prompt, **fields)
    assert (reply.status_code, reply.code) == (status, code)
    assert reply.message
    assert reply.output is None


@pytest.mark.parametrize(
    ("tag", "code"),
    [("[fail]", "InternalError.Algo"), ("[blocked late]", "DataInspectionFailed")],
)
def test_sdk_reads_the_failed_task(tag: str, code: str) -> None:
    done = VideoSynthesis.call("wan2.7-t2v", f"a boat {tag}")
    assert done.status_code == HTTPStatus.OK
    assert done.output.task_status == "FAILED"
    assert done.output["code"] == code


def test_sdk_reads_an_unknown_task() -> None:
    reply = ImageSynthesis.fetch(str(uuid.uuid4()))
    assert reply.status_code == HTTPStatus.OK
    assert reply.output.task_status == "UNKNOWN"
