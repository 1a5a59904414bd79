"""The DashScope adapter: what it sends, and what it reads from the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers import dashscope, errors
from providers.dialects import dashscope_models as catalogue
from providers.flow import Call, Reply
from providers.types import (
    Callback,
    Credentials,
    MediaType,
    Phase,
    Reason,
    Remote,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

TASK = "c4d20a1e-86f3-4f0b-9b57-2f1de07a9a43"
OSS = "https://dashscope-result-hz.oss-cn-hangzhou.aliyuncs.com/7d/"
QUERY = "?Expires=1795440000&OSSAccessKeyId=LTAI5tExample&Signature=pX%2Bq0%2F3aZk%3D"
FIRST = an_image_url("https://cdn.example.com/first.png")
SECOND = an_image_url("https://cdn.example.com/second.png")
VIDEO = "https://cdn.example.com/clip.mp4"
AUDIO = "https://cdn.example.com/voice.mp3"


def reply_for(model: str) -> Reply:
    offer = catalogue.find_offer(model)
    assert offer is not None
    if not offer.model.sync:
        return recorded("dashscope/submit")
    speech = offer.model.media_type is MediaType.AUDIO
    return recorded("dashscope/sync_speech" if speech else "dashscope/sync_image")


def submit_call(model: str, **fields: Any) -> Call:
    """The paid call of a submit whose images need no reading."""
    request = a_request(**{"model": model, "prompt": "a boat", **fields})
    (call,) = calls_of(dashscope.submit(request), reply_for(model))
    return call


def submitted(model: str, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = submit_call(model, **fields).json
    assert body["model"] == model
    return body


def polled(name: str) -> Any:
    return play(dashscope.poll(Remote(TASK)), recorded(f"dashscope/{name}"))


# Bodies

BODIES = [
    pytest.param(
        "wanx2.1-t2i-turbo",
        {
            "negative_prompt": "text, blur",
            "size": "1024x768",
            "n": 2,
            "seed": 77,
            "metadata": {"prompt_extend": False},
        },
        {"prompt": "a boat", "negative_prompt": "text, blur"},
        {"size": "1024*768", "n": 2, "seed": 77, "prompt_extend": False},
        id="legacy image",
    ),
    pytest.param(
        "wan2.5-t2i-preview",
        {"aspect_ratio": "16:9"},
        {"prompt": "a boat"},
        {"size": "1696*960", "n": 1},
        id="legacy image by ratio",
    ),
    pytest.param(
        "wan2.2-t2i-flash",
        {"width": 720, "height": 1280},
        {"prompt": "a boat"},
        {"size": "720*1280", "n": 1},
        id="legacy image by sides",
    ),
    pytest.param(
        "wanx-v1",
        {"style": "Sketch", "images": (FIRST,), "aspect_ratio": "2:3"},
        {"prompt": "a boat", "ref_img": FIRST.url},
        {"size": "768*1152", "n": 1, "style": "<sketch>"},
        id="wanx-v1 style",
    ),
    pytest.param(
        "wanx-v1",
        {"style": "cubism"},
        {"prompt": "a boat"},
        {"n": 1},
        id="wanx-v1 drops a style it does not have",
    ),
    pytest.param(
        "qwen-image",
        {"aspect_ratio": "9:16"},
        {"prompt": "a boat"},
        {"size": "928*1664", "n": 1},
        id="qwen sizes",
    ),
    pytest.param(
        "wan2.5-i2i-preview",
        {"images": (FIRST, SECOND)},
        {"prompt": "a boat", "images": [FIRST.url, SECOND.url]},
        {"n": 1},
        id="images",
    ),
    pytest.param(
        "wanx2.1-imageedit",
        {"images": (FIRST,), "metadata": {"input": {"function": "colorization"}}},
        {"prompt": "a boat", "function": "colorization", "base_image_url": FIRST.url},
        {"n": 1},
        id="image edit with a function",
    ),
    pytest.param(
        "wanx2.1-imageedit",
        {"images": (FIRST, SECOND), "n": 2},
        {
            "prompt": "a boat",
            "function": "description_edit_with_mask",
            "base_image_url": FIRST.url,
            "mask_image_url": SECOND.url,
        },
        {"n": 2},
        id="image edit with a mask",
    ),
    pytest.param(
        "qwen-mt-image",
        {"images": (FIRST,), "metadata": {"input": {"target_lang": "en"}}},
        {"image_url": FIRST.url, "target_lang": "en"},
        None,
        id="image translation",
    ),
    pytest.param(
        "wanx-style-repaint-v1",
        {"images": (FIRST,), "metadata": {"input": {"style_index": 4}}},
        {"image_url": FIRST.url, "style_index": 4},
        None,
        id="style repaint",
    ),
    pytest.param(
        "wan2.7-image",
        {
            "images": (FIRST, SECOND),
            "size": "2k",
            "negative_prompt": "blurry",
            "seed": 5,
            "metadata": {"watermark": False},
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"image": FIRST.url},
                        {"image": SECOND.url},
                        {"text": "a boat"},
                    ],
                }
            ]
        },
        {
            "size": "2K",
            "n": 1,
            "negative_prompt": "blurry",
            "seed": 5,
            "watermark": False,
        },
        id="message protocol",
    ),
    pytest.param(
        "wan2.7-image",
        {"resolution": "2k"},
        {"messages": [{"role": "user", "content": [{"text": "a boat"}]}]},
        {"size": "2K", "n": 1},
        id="message protocol by resolution",
    ),
    pytest.param(
        "wan2.7-image",
        {"resolution": "1K", "aspect_ratio": "4:1"},
        {"messages": [{"role": "user", "content": [{"text": "a boat"}]}]},
        {"size": "2048*512", "n": 1},
        id="message protocol by resolution and ratio",
    ),
    pytest.param(
        "qwen-image-max",
        {"size": "1328x1328"},
        {"messages": [{"role": "user", "content": [{"text": "a boat"}]}]},
        {"size": "1328*1328", "n": 1},
        id="synchronous image",
    ),
    pytest.param(
        "z-image-turbo",
        {},
        {"messages": [{"role": "user", "content": [{"text": "a boat"}]}]},
        None,
        id="one image at a time",
    ),
    pytest.param(
        "kling/kling-v3-image-generation",
        {"resolution": "2K", "aspect_ratio": "9:16", "n": 3},
        {"messages": [{"role": "user", "content": [{"text": "a boat"}]}]},
        {"resolution": "2k", "aspect_ratio": "9:16", "n": 3},
        id="partner image",
    ),
    pytest.param(
        "kling/kling-v3-image-generation",
        {"size": "1024x896"},
        {"messages": [{"role": "user", "content": [{"text": "a boat"}]}]},
        {"aspect_ratio": "1:1", "n": 1},
        id="partner image by size",
    ),
    pytest.param(
        "wan2.7-t2v",
        {"aspect_ratio": "9 / 16"},
        {"prompt": "a boat"},
        {"ratio": "9:16"},
        id="ratio in another spelling",
    ),
    pytest.param(
        "wan2.7-t2v",
        {"duration": 5},
        {"prompt": "a boat"},
        {"duration": 5},
        id="duration without a point",
    ),
    pytest.param(
        "wan2.7-i2v",
        {
            "images": (FIRST, SECOND),
            "resolution": "720p",
            "duration": 6.0,
            "seed": 11,
            "audio_url": AUDIO,
        },
        {
            "prompt": "a boat",
            "media": [
                {"type": "first_frame", "url": FIRST.url},
                {"type": "last_frame", "url": SECOND.url},
                {"type": "driving_audio", "url": AUDIO},
            ],
        },
        {"resolution": "720P", "duration": 6, "seed": 11},
        id="new i2v by frames",
    ),
    pytest.param(
        "wan2.7-i2v",
        {"images": (FIRST,), "video_url": VIDEO},
        {
            "prompt": "a boat",
            "media": [
                {"type": "first_clip", "url": VIDEO},
                {"type": "last_frame", "url": FIRST.url},
            ],
        },
        None,
        id="new i2v by a clip",
    ),
    pytest.param(
        "wan2.7-t2v",
        {"size": "720x1280", "audio_url": AUDIO, "negative_prompt": "blur"},
        {"prompt": "a boat", "negative_prompt": "blur", "audio_url": AUDIO},
        {"resolution": "720P", "ratio": "9:16"},
        id="new t2v derives resolution and ratio",
    ),
    pytest.param(
        "wan2.7-r2v",
        {"images": (FIRST,), "video_url": VIDEO, "aspect_ratio": "1:1"},
        {
            "prompt": "a boat",
            "media": [
                {"type": "reference_image", "url": FIRST.url},
                {"type": "reference_video", "url": VIDEO},
            ],
        },
        {"ratio": "1:1"},
        id="new r2v",
    ),
    pytest.param(
        "happyhorse-1.1-video-edit",
        {"images": (FIRST,), "video_url": VIDEO},
        {
            "prompt": "a boat",
            "media": [
                {"type": "video", "url": VIDEO},
                {"type": "reference_image", "url": FIRST.url},
            ],
        },
        None,
        id="video edit",
    ),
    pytest.param(
        "wan3.0-video",
        {"images": (FIRST, SECOND), "aspect_ratio": "adaptive", "duration": 30.0},
        {
            "prompt": "a boat",
            "media": [
                {"type": "first_frame", "url": FIRST.url},
                {"type": "last_frame", "url": SECOND.url},
            ],
        },
        {"ratio": "adaptive", "duration": 30},
        id="wan3.0 frames",
    ),
    pytest.param(
        "wan3.0-video",
        {"images": (FIRST,), "video_url": VIDEO, "audio_url": AUDIO},
        {
            "prompt": "a boat",
            "media": [
                {"type": "reference_image", "url": FIRST.url},
                {"type": "reference_video", "url": VIDEO},
                {"type": "reference_audio", "url": AUDIO},
            ],
        },
        None,
        id="wan3.0 references",
    ),
    pytest.param(
        "wan2.5-t2v-preview",
        {"resolution": "480p", "aspect_ratio": "1:1", "duration": 10.0},
        {"prompt": "a boat"},
        {"size": "624*624", "duration": 10},
        id="old t2v by resolution and ratio",
    ),
    pytest.param(
        "wan2.6-t2v",
        {"aspect_ratio": "9:16", "audio_url": AUDIO},
        {"prompt": "a boat", "audio_url": AUDIO},
        {"size": "720*1280"},
        id="old t2v by ratio alone",
    ),
    pytest.param(
        "wan2.2-t2v-plus",
        {"size": "1920x1080", "duration": 5.0},
        {"prompt": "a boat"},
        {"size": "1920*1080"},
        id="old t2v of fixed length",
    ),
    pytest.param(
        "wan2.6-i2v",
        {"images": (FIRST,), "size": "1280x720", "duration": 4.0, "audio_url": AUDIO},
        {"prompt": "a boat", "img_url": FIRST.url, "audio_url": AUDIO},
        {"resolution": "720P", "duration": 4},
        id="old i2v",
    ),
    pytest.param(
        "wan2.6-r2v",
        {"images": (FIRST,), "video_url": VIDEO, "resolution": "1080P"},
        {"prompt": "a boat", "reference_urls": [FIRST.url, VIDEO]},
        {"size": "1920*1080"},
        id="old r2v",
    ),
    pytest.param(
        "wan2.2-kf2v-flash",
        {"images": (FIRST, SECOND), "resolution": "720P", "duration": 5.0},
        {
            "prompt": "a boat",
            "first_frame_url": FIRST.url,
            "last_frame_url": SECOND.url,
        },
        {"resolution": "720P"},
        id="key frames",
    ),
    pytest.param(
        "wan2.2-s2v",
        {"images": (FIRST,), "audio_url": AUDIO, "resolution": "480P"},
        {"image_url": FIRST.url, "audio_url": AUDIO},
        {"resolution": "480P"},
        id="talking head",
    ),
    pytest.param(
        "wan2.1-vace-plus",
        {"images": (FIRST,), "metadata": {"obj_or_bg": ["obj"]}},
        {
            "prompt": "a boat",
            "function": "image_reference",
            "ref_images_url": [FIRST.url],
        },
        {"obj_or_bg": ["obj"]},
        id="vace by images",
    ),
    pytest.param(
        "wan2.1-vace-plus",
        {"video_url": VIDEO, "metadata": {"input": {"function": "video_edit"}}},
        {"prompt": "a boat", "function": "video_edit", "video_url": VIDEO},
        None,
        id="vace by a video",
    ),
    pytest.param(
        "cosyvoice-v3-flash",
        {
            "input": "Hello there",
            "voice": "longanyang",
            "speed": 1.25,
            "output_format": "wav",
            "metadata": {"sample_rate": 24000},
        },
        {
            "text": "Hello there",
            "voice": "longanyang",
            "rate": 1.25,
            "format": "wav",
            "sample_rate": 24000,
        },
        None,
        id="CosyVoice has every option in input",
    ),
    pytest.param(
        "qwen3-tts-flash",
        {"voice": "Cherry", "metadata": {"language_type": "English"}},
        {"text": "a boat", "voice": "Cherry", "language_type": "English"},
        None,
        id="Qwen speech",
    ),
]


@pytest.mark.parametrize(("model", "fields", "inputs", "parameters"), BODIES)
def test_request_is_written_in_the_words_of_its_model(
    model: str, fields: dict[str, Any], inputs: Any, parameters: Any
) -> None:
    body = submitted(model, **fields)
    assert body["input"] == inputs
    assert body.get("parameters") in (parameters, parameters or {})


PATHS = [
    ("wan2.2-t2i-plus", "/services/aigc/text2image/image-synthesis", True),
    ("wanx2.1-imageedit", "/services/aigc/image2image/image-synthesis", True),
    ("wan2.6-t2i", "/services/aigc/image-generation/generation", True),
    ("wanx-style-repaint-v1", "/services/aigc/image-generation/generation", True),
    ("qwen-image-max", "/services/aigc/multimodal-generation/generation", False),
    ("wan2.7-t2v", "/services/aigc/video-generation/video-synthesis", True),
    ("wan2.2-kf2v-flash", "/services/aigc/image2video/video-synthesis", True),
    ("wan2.2-s2v", "/services/aigc/image2video/video-synthesis", True),
    ("cosyvoice-v2", "/services/audio/tts/SpeechSynthesizer", False),
    ("qwen-tts", "/services/aigc/multimodal-generation/generation", False),
]


@pytest.mark.parametrize(("model", "path", "asynchronous"), PATHS)
def test_path_and_header_are_those_of_the_model(
    model: str, path: str, asynchronous: bool
) -> None:
    call = submit_call(model, voice="Cherry")
    assert (call.method, call.url, call.paid) == ("POST", path, True)
    sent = call.headers.get("X-DashScope-Async")
    assert sent == ("enable" if asynchronous else None)


def test_every_image_request_says_how_many_although_the_default_is_four() -> None:
    for offer in catalogue.OFFERS.values():
        model = offer.model
        if model.media_type is not MediaType.IMAGE or model.max_n == 1:
            continue
        body = submitted(model.name, images=(FIRST,) if model.needs else ())
        assert body["parameters"]["n"] == 1, model.name


@pytest.mark.parametrize(
    ("seed", "sent"), [(-1, 0), (0, 0), (9_999_999_999, 2_147_483_647)]
)
def test_seed_is_moved_into_the_range_allowed(seed: int, sent: int) -> None:
    assert submitted("wan2.7-t2v", seed=seed)["parameters"]["seed"] == sent


def test_uploaded_image_is_sent_as_a_data_url() -> None:
    request = a_request(model="wan2.5-i2v-preview", images=(an_upload(),))
    read, paid = calls_of(
        dashscope.submit(request),
        raw(b"\x89PNG", "image/png"),
        recorded("dashscope/submit"),
    )
    assert (read.url, read.public, read.paid) == ("upload:0", True, False)
    assert paid.json["input"]["img_url"] == "data:image/png;base64,iVBORw=="


def test_temporary_upload_asks_for_its_resolution() -> None:
    name = "X-DashScope-OssResourceResolve"
    plain = submit_call("wan2.7-videoedit", video_url=VIDEO)
    assert name not in plain.headers
    uploaded = submit_call("wan2.7-videoedit", video_url="oss://dashscope-instant/a/b")
    assert uploaded.headers[name] == "enable"
    assert uploaded.headers["X-DashScope-Async"] == "enable"


def test_metadata_goes_last_but_never_over_the_model() -> None:
    body = submitted(
        "wan2.7-t2v",
        seed=3,
        metadata={
            "model": "wan3.0-video",
            "input": {"prompt": "a ship"},
            "parameters": {"seed": 4},
            "shot_type": "multi",
        },
    )
    assert body["input"]["prompt"] == "a ship"
    assert body["parameters"]["seed"] == 4
    assert body["parameters"]["shot_type"] == "multi"


def test_callback_url_is_not_sent_because_there_is_no_such_field() -> None:
    call = submit_call("wan2.7-t2v", callback_url="https://gate.example.com/up/1")
    assert "gate.example.com" not in json.dumps(call.json)


REFUSED = [
    ("wan2.7-t2v", {"duration": 5.5}, "whole number"),
    ("wan2.6-t2v", {"resolution": "640P"}, "resolution"),
    ("wan2.7-t2v", {"size": "large"}, "size"),
    ("wan2.7-i2v", {"images": (FIRST, SECOND), "video_url": VIDEO}, "last frame"),
    ("wan2.7-i2v", {"images": (FIRST, SECOND, FIRST)}, "two images"),
    ("wan2.7-t2v", {"metadata": {"input": "text"}}, "metadata.input"),
    ("wan2.7-t2v", {"metadata": {"parameters": 3}}, "metadata.parameters"),
]


@pytest.mark.parametrize(("model", "fields", "named"), REFUSED)
def test_what_cannot_be_said_is_refused_before_anything_is_paid(
    model: str, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(errors.Rejected, match=named):
        play(dashscope.submit(a_request(model=model, **fields)))


def test_unknown_model_is_refused_without_a_call() -> None:
    with pytest.raises(errors.ModelRefused, match="lumen-9"):
        play(dashscope.submit(a_request(model="lumen-9")))


# Models


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("wan2.6-t2v-2026-10-01", "wan2.6-t2v"),
        ("qwen3-tts-flash-2026-10-01", "qwen3-tts-flash"),
        ("qwen3-tts-vc-2026-01-22", "qwen3-tts-flash"),
        ("qwen3-tts-vd-anything", "qwen3-tts-flash"),
    ],
)
def test_dated_snapshot_has_the_limits_of_its_model(name: str, like: str) -> None:
    model, known = catalogue.describe(name), catalogue.describe(like)
    assert model is not None
    assert known is not None
    assert model.name == name
    assert (model.sync, model.max_prompt) == (known.sync, known.max_prompt)
    assert model.duration_range == known.duration_range


@pytest.mark.parametrize("name", ["gpt-image-1", "wan2.7", "", "-2026-01-01"])
def test_model_of_another_upstream_is_not_described(name: str) -> None:
    assert catalogue.describe(name) is None


LIMITS = [
    ("wan2.5-t2i-preview", "pixel_range", (1280**2, 1440**2)),
    ("wan2.2-t2i-flash", "side_range", (512, 1440)),
    ("wanx-v1", "sizes", ("1024x1024", "720x1280", "768x1152", "1280x720")),
    ("wan2.7-image", "max_images", 9),
    ("wan2.7-image-pro", "resolutions", ("1K", "2K", "4K")),
    ("wan2.5-t2v-preview", "durations", (5.0, 10.0)),
    ("wan2.7-t2v", "duration_range", (2.0, 15.0)),
    ("wan3.0-video", "duration_range", (2.0, 30.0)),
    ("wanx2.1-i2v-turbo", "duration_range", (3.0, 5.0)),
    ("wan2.2-kf2v-flash", "durations", (5.0,)),
    ("qwen3-tts-flash", "output_formats", ("wav",)),
    ("qwen3-tts-flash", "max_prompt", 600),
    ("cosyvoice-v3.5-plus", "needs", frozenset({"voice"})),
    ("wan2.2-s2v", "needs", frozenset({"images", "audio_url"})),
    ("qwen-image-edit", "max_n", 1),
]


@pytest.mark.parametrize(("name", "limit", "value"), LIMITS)
def test_documented_limit_is_known_at_intake(name: str, limit: str, value: Any) -> None:
    assert getattr(catalogue.describe(name), limit) == value


# Answers to a submit


def test_accepted_task_is_pending_under_its_id() -> None:
    request = a_request(model="wan2.7-t2v")
    snapshot = play(dashscope.submit(request), recorded("dashscope/submit"))
    assert snapshot.phase is Phase.PENDING
    assert snapshot.remote == Remote(TASK)


def test_accepted_task_keeps_its_id_whatever_its_status_word() -> None:
    snapshot = play(
        dashscope.submit(a_request(model="wan2.7-t2v")),
        recorded("dashscope/undocumented"),
    )
    assert snapshot.remote == Remote(TASK)


@pytest.mark.parametrize(
    "body",
    [
        {"output": {"task_status": "PENDING"}},
        {"output": {"task_id": ""}},
        {"output": {"task_id": None}},
        {"request_id": "r"},
        [],
        None,
    ],
)
def test_accepted_answer_without_an_id_is_unexpected(body: Any) -> None:
    with pytest.raises(errors.UnexpectedReply):
        play(dashscope.submit(a_request(model="wan2.7-t2v")), answer(body))


def test_synchronous_images_come_with_the_submit() -> None:
    request = a_request(model="qwen-image-max")
    snapshot = play(dashscope.submit(request), recorded("dashscope/sync_image"))
    assert snapshot.phase is Phase.SUCCEEDED
    (image,) = snapshot.artifacts
    assert image.url == f"{OSS}q-0.png{QUERY}"
    assert (image.content_type, image.width, image.height) == ("image/png", 1664, 928)
    assert snapshot.failure is not None
    assert "1 of 2" in snapshot.failure.message


@pytest.mark.parametrize("model", ["cosyvoice-v3-flash", "qwen3-tts-flash"])
def test_speech_comes_with_the_submit(model: str) -> None:
    request = a_request(model=model, media_type=MediaType.AUDIO, voice="x")
    snapshot = play(dashscope.submit(request), recorded("dashscope/sync_speech"))
    assert snapshot.phase is Phase.SUCCEEDED
    (audio,) = snapshot.artifacts
    assert audio.url is not None
    assert audio.url.startswith("http://dashscope-result-bj.")
    assert audio.url.endswith(f"speech.wav{QUERY}")
    assert (audio.content_type, audio.expires_at) == ("audio/wav", 1795440000)
    assert snapshot.usage == {"characters": 23}


@pytest.mark.parametrize(
    ("model", "name"), [("qwen-image-max", "image"), ("cosyvoice-v2", "speech")]
)
def test_synchronous_result_is_kept_although_its_answer_has_no_id(
    model: str, name: str
) -> None:
    body = recorded(f"dashscope/sync_{name}").json()
    del body["request_id"]
    snapshot = play(dashscope.submit(a_request(model=model)), answer(body))
    assert snapshot.phase is Phase.SUCCEEDED
    assert snapshot.remote is None


@pytest.mark.parametrize("model", ["qwen-image-max", "cosyvoice-v2"])
def test_synchronous_answer_without_a_result_is_unexpected(model: str) -> None:
    with pytest.raises(errors.UnexpectedReply):
        play(dashscope.submit(a_request(model=model)), recorded("dashscope/submit"))


# Answers to a poll

STATES = [
    ("pending", Phase.PENDING),
    ("running", Phase.RUNNING),
    ("suspended", Phase.RUNNING),
    ("succeeded_video", Phase.SUCCEEDED),
    ("failed", Phase.FAILED),
    ("canceled", Phase.CANCELLED),
]


@pytest.mark.parametrize(("name", "phase"), STATES)
def test_status_word_is_read(name: str, phase: Phase) -> None:
    snapshot = polled(name)
    assert snapshot.phase is phase
    assert snapshot.remote == Remote(TASK)


def test_poll_is_one_plain_read() -> None:
    (call,) = calls_of(dashscope.poll(Remote("a/b")), recorded("dashscope/pending"))
    assert (call.method, call.url) == ("GET", "/tasks/a%2Fb")
    assert not call.headers
    assert not call.paid


def test_unknown_task_is_not_found_and_never_a_failure() -> None:
    with pytest.raises(errors.NotFound):
        polled("unknown")


def test_undocumented_status_is_unexpected() -> None:
    with pytest.raises(errors.UnexpectedReply, match="ARCHIVED"):
        polled("undocumented")


SHAPES = [
    ("succeeded_images", ["b-0.png"]),
    ("succeeded_choices", ["m-0.png", "m-1.png"]),
    ("succeeded_video", ["v.mp4"]),
    ("succeeded_old_video", ["w.mp4"]),
    ("succeeded_talking", ["s.mp4"]),
    ("succeeded_image_url", ["t.jpg"]),
    ("succeeded_repaint", ["r.jpg"]),
    ("succeeded_background", ["g.png"]),
]


@pytest.mark.parametrize(("name", "files"), SHAPES)
def test_result_of_every_shape_is_read_byte_for_byte(
    name: str, files: list[str]
) -> None:
    snapshot = polled(name)
    assert snapshot.phase is Phase.SUCCEEDED
    urls = [artifact.url for artifact in snapshot.artifacts if artifact.url]
    assert urls == [f"{OSS}{file}{QUERY}" for file in files]


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("succeeded_images", "image/png"),
        ("succeeded_image_url", "image/jpeg"),
        ("succeeded_video", "video/mp4"),
        ("succeeded_talking", "video/mp4"),
    ],
)
def test_media_type_follows_from_the_file_name(name: str, content_type: str) -> None:
    assert polled(name).artifacts[0].content_type == content_type


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("succeeded_video", 6.0),
        ("succeeded_old_video", 5.0),
        ("succeeded_talking", 18.13),
    ],
)
def test_length_of_a_video_is_read_from_either_accounting(
    name: str, seconds: float
) -> None:
    assert polled(name).artifacts[0].duration_s == seconds


def test_size_of_images_is_read_from_the_accounting() -> None:
    image = polled("succeeded_choices").artifacts[0]
    assert (image.width, image.height) == (1472, 1104)


def test_text_between_images_is_kept_in_its_place() -> None:
    texts = [artifact.text for artifact in polled("succeeded_choices").artifacts]
    assert texts == [None, "Then the boat sails on.", None]


def test_one_failed_image_does_not_spoil_the_others() -> None:
    snapshot = polled("succeeded_images")
    assert snapshot.phase is Phase.SUCCEEDED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    assert snapshot.failure.code == "DataInspectionFailed"
    assert "1 of 2" in snapshot.failure.message


def test_success_without_a_single_file_is_a_failure() -> None:
    snapshot = polled("succeeded_none")
    assert snapshot.phase is Phase.FAILED
    assert not snapshot.artifacts
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


def test_success_message_of_a_repaint_is_no_failure() -> None:
    assert polled("succeeded_repaint").failure is None


def test_success_of_no_known_shape_is_unexpected() -> None:
    with pytest.raises(errors.UnexpectedReply):
        polled("succeeded_nothing")


REASONS = [
    ("InvalidParameter", Reason.INVALID_REQUEST),
    ("InvalidParameter.DataInspection", Reason.INVALID_REQUEST),
    ("BadRequest.InputDownloadFailed", Reason.INVALID_REQUEST),
    ("InvalidURL.Timeout", Reason.INVALID_REQUEST),
    ("DataInspectionFailed", Reason.CONTENT_REJECTED),
    ("data_inspection_failed", Reason.CONTENT_REJECTED),
    ("IPInfringementSuspect", Reason.CONTENT_REJECTED),
    ("CustomRoleBlocked", Reason.CONTENT_REJECTED),
    ("FaqRuleBlocked", Reason.CONTENT_REJECTED),
    ("InternalError.Timeout", Reason.UPSTREAM_TIMEOUT),
    ("InternalError.Algo", Reason.UPSTREAM_FAILED),
    ("internal_error", Reason.UPSTREAM_FAILED),
    ("SomethingNew", Reason.UPSTREAM_FAILED),
]


@pytest.mark.parametrize(("code", "reason"), REASONS)
def test_code_of_a_failed_task_tells_why(code: str, reason: Reason) -> None:
    body = {
        "output": {
            "task_id": TASK,
            "task_status": "FAILED",
            "code": code,
            "message": "it did not work",
        }
    }
    failure = play(dashscope.poll(Remote(TASK)), answer(body)).failure
    assert failure is not None
    assert (failure.reason, failure.code) == (reason, code)
    assert failure.message == "it did not work"


def test_failed_task_without_a_reason_is_still_failed() -> None:
    body = {"output": {"task_id": TASK, "task_status": "FAILED"}}
    snapshot = play(dashscope.poll(Remote(TASK)), answer(body))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.UPSTREAM_FAILED


# Errors

ERRORS = [
    (400, "InvalidParameter", errors.Rejected),
    (400, "InvalidParameter.DataInspection", errors.Rejected),
    (400, "BadRequest.TooLarge", errors.Rejected),
    (400, "BadRequest.InputDownloadFailed", errors.Rejected),
    (400, "InvalidURL.ConnectionRefused", errors.Rejected),
    (400, "DataInspectionFailed", errors.ContentRejected),
    (400, "data_inspection_failed", errors.ContentRejected),
    (400, "IPInfringementSuspect", errors.ContentRejected),
    (400, "CustomRoleBlocked", errors.ContentRejected),
    (400, "FaqRuleBlocked", errors.ContentRejected),
    (400, "Arrearage", errors.QuotaExhausted),
    (400, "UnsupportedOperation", errors.Rejected),
    (401, "InvalidApiKey", errors.KeyRefused),
    (401, "invalid_api_key", errors.KeyRefused),
    (401, "NOT AUTHORIZED", errors.KeyRefused),
    (401, "", errors.KeyRefused),
    (403, "AccessDenied", errors.ChannelRefused),
    (403, "AccessDenied.Unpurchased", errors.ChannelRefused),
    (403, "Workspace.AccessDenied", errors.ChannelRefused),
    (403, "Model.AccessDenied", errors.ModelRefused),
    (403, "AllocationQuota.FreeTierOnly", errors.QuotaExhausted),
    (404, "ModelNotFound", errors.ModelRefused),
    (404, "model_not_found", errors.ModelRefused),
    (404, "model_not_supported", errors.ModelRefused),
    (404, "WorkSpaceNotFound", errors.ChannelRefused),
    (404, "NotFound", errors.ModelRefused),
    (429, "Throttling", errors.RateLimited),
    (429, "Throttling.RateQuota", errors.RateLimited),
    (429, "Throttling.BurstRate", errors.RateLimited),
    (429, "limit_requests", errors.RateLimited),
    (429, "Throttling.AllocationQuota", errors.RateLimited),
    (429, "insufficient_quota", errors.RateLimited),
    (429, "CommodityNotPurchased", errors.QuotaExhausted),
    (429, "PrepaidBillOverdue", errors.QuotaExhausted),
    (429, "PostpaidBillOverdue", errors.QuotaExhausted),
    (429, "SomethingNew", errors.RateLimited),
    (500, "InternalError", errors.Unavailable),
    (500, "InternalError.Upload", errors.Unavailable),
    (500, "internal_error", errors.Unavailable),
    (500, "SystemError", errors.Unavailable),
    (500, "RequestTimeOut", errors.Unavailable),
    (503, "ModelServingError", errors.Unavailable),
    (503, "ModelUnavailable", errors.Unavailable),
    (504, "SomethingNew", errors.Unavailable),
]


def submit_error(reply: Reply) -> errors.ProviderError:
    with pytest.raises(errors.ProviderError) as caught:
        play(dashscope.submit(a_request(model="wan2.7-t2v")), reply)
    return caught.value


@pytest.mark.parametrize(("status", "code", "kind"), ERRORS)
def test_error_code_is_classed_in_the_flat_envelope(
    status: int, code: str, kind: type[errors.ProviderError]
) -> None:
    body = {"code": code, "message": "no", "request_id": "r"}
    error = submit_error(answer(body, status=status))
    assert type(error) is kind
    assert (error.code, error.status, str(error)) == (code, status, "no")


@pytest.mark.parametrize(("status", "code", "kind"), ERRORS)
def test_error_code_is_classed_in_the_gateways_envelope(
    status: int, code: str, kind: type[errors.ProviderError]
) -> None:
    body = {"error": {"code": None, "type": code, "message": "no"}, "request_id": "r"}
    error = submit_error(answer(body, status=status))
    assert type(error) is kind
    assert error.code == code


def test_recorded_gateway_error_falls_back_to_its_type() -> None:
    error = submit_error(recorded("dashscope/error_gateway", status=401))
    assert isinstance(error, errors.KeyRefused)
    assert error.code == "invalid_api_key"


def test_unknown_model_is_the_channels_fault_although_the_code_is_the_clients() -> None:
    body = {"code": "InvalidParameter", "message": "Model not exist."}
    assert type(submit_error(answer(body, status=400))) is errors.ModelRefused


@pytest.mark.parametrize("word", ["synchronous", "asynchronous"])
def test_wrong_header_does_not_disable_the_channel(word: str) -> None:
    message = f"current user api does not support {word} calls"
    body = {"code": "AccessDenied", "message": message}
    assert type(submit_error(answer(body, status=403))) is errors.Rejected


def test_error_with_status_200_is_an_error() -> None:
    error = submit_error(recorded("dashscope/error_with_200"))
    assert type(error) is errors.RateLimited


def test_unreadable_error_is_classed_by_its_status() -> None:
    error = submit_error(raw(b"<html>Bad Gateway</html>", "text/html", 502))
    assert type(error) is errors.Unavailable


def test_hint_to_wait_is_kept() -> None:
    body = {"code": "Throttling", "message": "no"}
    error = submit_error(answer(body, status=429, retry_after="7"))
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after_s == 7


def test_rate_limit_of_polls_says_nothing_of_the_task() -> None:
    with pytest.raises(errors.RateLimited):
        play(
            dashscope.poll(Remote(TASK)),
            recorded("dashscope/error_with_200", status=429),
        )


def test_missing_page_at_a_poll_is_not_found() -> None:
    with pytest.raises(errors.NotFound):
        play(
            dashscope.poll(Remote(TASK)),
            answer({"code": "NotFound", "message": "no"}, status=404),
        )


# The other powers


def test_cancel_stops_a_task_that_waits() -> None:
    flow = dashscope.cancel(Remote(TASK))
    assert play(flow, recorded("dashscope/cancelled")) is True


def test_cancel_is_an_empty_post() -> None:
    (call,) = calls_of(dashscope.cancel(Remote(TASK)), recorded("dashscope/cancelled"))
    assert (call.method, call.url) == ("POST", f"/tasks/{TASK}/cancel")
    assert (call.json, call.body, call.parts) == (None, None, ())
    assert not call.paid


def test_cancel_comes_too_late_for_a_task_that_runs() -> None:
    reply = recorded("dashscope/not_cancelled", status=400)
    assert play(dashscope.cancel(Remote(TASK)), reply) is False


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (recorded("dashscope/error", status=400), errors.Rejected),
        (recorded("dashscope/error_with_200", status=429), errors.RateLimited),
        (recorded("dashscope/error_gateway", status=401), errors.KeyRefused),
    ],
)
def test_cancel_that_was_not_heard_raises(
    reply: Reply, kind: type[errors.ProviderError]
) -> None:
    with pytest.raises(kind):
        play(dashscope.cancel(Remote(TASK)), reply)


def test_key_is_tested_by_listing_one_task() -> None:
    (call,) = calls_of(dashscope.test(), recorded("dashscope/list"))
    assert (call.method, call.url) == ("GET", "/tasks/")
    assert call.params["page_size"] == "1"
    assert not call.paid


def test_wrong_key_fails_its_test() -> None:
    with pytest.raises(errors.KeyRefused):
        play(dashscope.test(), recorded("dashscope/error_gateway", status=401))


def test_event_names_its_task_and_adopts_none() -> None:
    content = recorded("dashscope/event").content
    heard = dashscope.receive(Callback({}, content), "wan2.7-t2v")
    assert heard.ids == (TASK,)
    assert heard.remote is None


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": {}}', b"<html>"])
def test_event_that_is_none_is_unexpected(body: bytes) -> None:
    with pytest.raises(errors.UnexpectedReply):
        dashscope.receive(Callback({}, body), "wan2.7-t2v")


def test_workspace_setting_becomes_a_header() -> None:
    call = Call("GET", "/tasks/1")
    plain = dashscope.authorize(call, Credentials("sk-1", {}, 0))
    assert plain.headers == {"Authorization": "Bearer sk-1"}
    scoped = dashscope.authorize(call, Credentials("sk-1", {"workspace": "ws-9"}, 0))
    assert scoped.headers["X-DashScope-WorkSpace"] == "ws-9"
