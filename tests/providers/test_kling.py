"""Kling's adapters: every row of their mappings, states, result shapes and errors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from app.capabilities import find_problems
from app.security import signatures
from providers import errors, kling, kling_legacy
from providers.dialects import kling_models
from providers.flow import Call
from providers.types import (
    Callback,
    Credentials,
    GenerationRequest,
    MediaInput,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

NEW, OLD = kling.PROVIDER, kling_legacy.PROVIDER
TASK, OTHER = "845120933476120031", "845120933476120077"
FILM_ID = "845120933476999001"
FILM_URL = (
    "https://v4-kling.kechuangai.com/bs2/out/7f1.mp4?x-kcdn-pid=1124&sign=a%2Bb%3D"
)
SOUNDS = "https://p4-kling.klingai.com/audio"
A, B = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"
CLIP, SOUND = "https://cdn.example.com/c.mp4", "https://cdn.example.com/s.mp3"
HOME = "https://gw.example/up/1/abc"
PNG = b"\x89PNG\r\n\x1a\n"
PLAIN = "iVBORw0KGgo="
PROMPT = "a lighthouse made of paper, dawn"
KEY = "0123456789abcdef"
NAMED = {"external_task_id": KEY}
VIDEO = "/v1/videos/text2video"
HD = {"watermark_info": {"enabled": False}, **NAMED}


def wanted(
    provider: Provider, model: str, *images: MediaInput, **fields: Any
) -> GenerationRequest:
    described = provider.describe(model)
    assert described is not None
    media_type = described.media_type
    return a_request(model=model, media_type=media_type, images=images, **fields)


def submitted(
    provider: Provider, model: str, *images: MediaInput, **fields: Any
) -> Call:
    """The paid call of a submit, which is the last one."""
    request = wanted(provider, model, *images, **fields)
    uploads = [raw(PNG, "image/png") for image in images if image.uploaded]
    accepted = recorded(f"{provider.name}/submit")
    calls = calls_of(provider.submit(request), *uploads, accepted)
    assert [call.paid for call in calls] == [False] * len(uploads) + [True]
    return calls[-1]


def some(*urls: str) -> tuple[MediaInput, ...]:
    return tuple(an_image_url(url) for url in urls)


def refused(provider: Provider, model: str, **fields: Any) -> str:
    """The field that intake refuses, "" when it takes all."""
    described = provider.describe(model)
    assert described is not None
    return next(iter(find_problems(fields, described)), "")


# --- /v1: requests


@pytest.mark.parametrize(
    ("model", "images", "fields", "path", "body"),
    [
        ("kling-v1", (), {}, "videos/text2video", {"prompt": PROMPT}),
        (
            "kling-v3",
            (),
            {
                "negative_prompt": "fog",
                "size": "1280x720",
                "duration": 15.0,
                "callback_url": HOME,
            },
            "videos/text2video",
            {
                "prompt": PROMPT,
                "negative_prompt": "fog",
                "aspect_ratio": "16:9",
                "mode": "std",
                "duration": "15",
                "callback_url": HOME,
            },
        ),
        (
            "kling-v2-6",
            some(A),
            {"resolution": "1080P", "duration": 5.0, "prompt": None},
            "videos/image2video",
            {"image": A, "mode": "pro", "duration": "5"},
        ),
        (
            "kling-v2-1",
            some(A, B),
            {"quality": "pro"},
            "videos/image2video",
            {"prompt": PROMPT, "image": A, "image_tail": B, "mode": "pro"},
        ),
        (
            "kling-v1-6-multi-image",
            some(A, B, A),
            {"aspect_ratio": "1:1"},
            "videos/multi-image2video",
            {
                "prompt": PROMPT,
                "image_list": [{"image": A}, {"image": B}, {"image": A}],
                "aspect_ratio": "1:1",
            },
        ),
        (
            "kling-video-o1",
            (),
            {},
            "videos/omni-video",
            {"prompt": PROMPT, "aspect_ratio": "16:9"},
        ),
        (
            "kling-v3-omni",
            some(A, B),
            {"resolution": "4K"},
            "videos/omni-video",
            {
                "prompt": PROMPT,
                "image_list": [
                    {"image_url": A, "type": "first_frame"},
                    {"image_url": B, "type": "end_frame"},
                ],
                "mode": "4k",
            },
        ),
        (
            "kling-v3-omni",
            some(A),
            {"video_url": CLIP, "aspect_ratio": "9:16"},
            "videos/omni-video",
            {
                "prompt": PROMPT,
                "image_list": [{"image_url": A}],
                "video_list": [{"video_url": CLIP, "refer_type": "feature"}],
                "aspect_ratio": "9:16",
            },
        ),
        (
            "kling-video-extend",
            (),
            {"metadata": {"video_id": "9", "cfg_scale": 0.4}},
            "videos/video-extend",
            {"prompt": PROMPT, "video_id": "9", "cfg_scale": 0.4},
        ),
        (
            "kling-v2-6-motion-control",
            some(A),
            {"video_url": CLIP},
            "videos/motion-control",
            {
                "prompt": PROMPT,
                "image_url": A,
                "video_url": CLIP,
                "character_orientation": "image",
                "mode": "std",
            },
        ),
        (
            "kling-lip-sync",
            (),
            {"video_url": CLIP, "input": "你好", "voice": "v-1", "speed": 1.2},
            "videos/lip-sync",
            {
                "input": {
                    "video_url": CLIP,
                    "mode": "text2video",
                    "text": "你好",
                    "voice_id": "v-1",
                    "voice_speed": 1.2,
                    "voice_language": "zh",
                }
            },
        ),
        (
            "kling-lip-sync",
            (),
            {"audio_url": SOUND, "metadata": {"input": {"video_id": "9"}}},
            "videos/lip-sync",
            {
                "input": {
                    "mode": "audio2video",
                    "audio_type": "url",
                    "audio_url": SOUND,
                    "video_id": "9",
                }
            },
        ),
        (
            "kling-advanced-lip-sync",
            (),
            {"prompt": None, "metadata": {"session_id": "7", "face_choose": []}},
            "videos/advanced-lip-sync",
            {"session_id": "7", "face_choose": []},
        ),
        (
            "kling-multi-elements",
            some(A),
            {"metadata": {"session_id": "7", "edit_mode": "swap"}, "duration": 5.0},
            "videos/multi-elements",
            {
                "prompt": PROMPT,
                "image_list": [{"image": A}],
                "duration": "5",
                "session_id": "7",
                "edit_mode": "swap",
            },
        ),
        (
            "kling-avatar",
            some(A),
            {"audio_url": SOUND, "resolution": "1080p"},
            "videos/avatar/image2video",
            {"image": A, "sound_file": SOUND, "prompt": PROMPT, "mode": "pro"},
        ),
        (
            "kling-effects",
            some(A),
            {"metadata": {"effect_scene": "hug", "input": {"model_name": "dear"}}},
            "videos/effects",
            {
                "effect_scene": "hug",
                "input": {
                    "model_name": "kling-v1-6",
                    "mode": "std",
                    "image": A,
                    "duration": "5",
                },
            },
        ),
        (
            "kling-effects",
            some(A, B),
            {"duration": 10.0},
            "videos/effects",
            {
                "input": {
                    "model_name": "kling-v1-6",
                    "mode": "std",
                    "images": [A, B],
                    "duration": "10",
                }
            },
        ),
        (
            "kling-v3-image",
            (),
            {"n": 4, "size": "2048x1152", "negative_prompt": "fog"},
            "images/generations",
            {
                "prompt": PROMPT,
                "negative_prompt": "fog",
                "resolution": "2k",
                "aspect_ratio": "16:9",
                "n": 4,
            },
        ),
        (
            "kling-v1-5-image",
            some(A),
            {"resolution": "1K", "metadata": {"image_reference": "face"}},
            "images/generations",
            {
                "prompt": PROMPT,
                "image": A,
                "resolution": "1k",
                "n": 1,
                "image_reference": "face",
            },
        ),
        (
            "kling-image-o1",
            some(A, B),
            {"aspect_ratio": "21:9"},
            "images/omni-image",
            {
                "prompt": PROMPT,
                "n": 1,
                "image_list": [{"image": A}, {"image": B}],
                "aspect_ratio": "21:9",
            },
        ),
        (
            "kling-v2-multi-image",
            some(A, B),
            {"n": 2},
            "images/multi-image2image",
            {
                "prompt": PROMPT,
                "subject_image_list": [{"subject_image": A}, {"subject_image": B}],
                "n": 2,
            },
        ),
        (
            "kling-image-expand",
            some(A),
            {"metadata": {"up_expansion_ratio": 0.2}},
            "images/editing/expand",
            {"image": A, "prompt": PROMPT, "n": 1, "up_expansion_ratio": 0.2},
        ),
        (
            "kolors-virtual-try-on-v1-5",
            some(A, B),
            {},
            "images/kolors-virtual-try-on",
            {"human_image": A, "cloth_image": B},
        ),
        (
            "kling-text-to-audio",
            (),
            {},
            "audio/text-to-audio",
            {"prompt": PROMPT, "duration": 5.0},
        ),
        (
            "kling-video-to-audio",
            (),
            {"video_url": CLIP, "metadata": {"bgm_prompt": "piano"}},
            "audio/video-to-audio",
            {
                "video_url": CLIP,
                "sound_effect_prompt": PROMPT,
                "bgm_prompt": "piano",
            },
        ),
        (
            "kling-tts",
            (),
            {"voice": "v-1", "speed": 0.9, "callback_url": HOME},
            "audio/tts",
            {
                "text": PROMPT,
                "voice_id": "v-1",
                "voice_speed": 0.9,
                "voice_language": "en",
            },
        ),
    ],
)
def test_v1_has_a_path_and_a_body_for_each_kind_of_task(
    model: str,
    images: tuple[MediaInput, ...],
    fields: dict[str, Any],
    path: str,
    body: dict[str, Any],
):
    call = submitted(OLD, model, *images, **fields)
    assert (call.method, call.url) == ("POST", f"/v1/{path}")
    offer = kling_models.LEGACY_BY_NAME[model]
    if offer.sent and model != "kling-effects":
        body = {"model_name": offer.sent, **body}
    if model != "kling-tts":
        body = {**body, **NAMED}
    assert call.json == body


@pytest.mark.parametrize(
    ("model", "sent"),
    [(offer.model.name, offer.sent) for offer in kling_models.LEGACY if offer.sent],
)
def test_a_name_of_ours_is_sent_as_the_upstreams(model: str, sent: str):
    call = submitted(OLD, model, *some(A)[: "images" in needs(model)], video_url=CLIP)
    body = call.json.get("input", {}) if model == "kling-effects" else call.json
    assert body["model_name"] == sent
    assert "model" not in body


def needs(model: str) -> frozenset[str]:
    described = OLD.describe(model)
    assert described is not None
    return described.needs


@pytest.mark.parametrize(
    ("provider", "model"), [(OLD, "kling-v1"), (NEW, "kling-3.0")], ids=["old", "new"]
)
def test_an_upload_is_plain_base64(provider: Provider, model: str):
    body = submitted(provider, model, an_upload()).json
    sent = body["image"] if provider is OLD else body["contents"][-1]["url"]
    assert sent == PLAIN


def test_an_upload_that_is_no_png_or_jpeg_is_rejected():
    request = wanted(OLD, "kling-v1", an_upload("image/webp"))
    with pytest.raises(errors.Rejected, match="PNG and JPEG"):
        play(OLD.submit(request), raw(b"RIFF", "image/webp"))


def test_metadata_never_touches_model_callback_or_name():
    evil = {
        "model_name": "dear",
        "model": "dear",
        "callback_url": "https://evil.example",
        "external_task_id": "theirs",
        "sound": "on",
    }
    body = submitted(OLD, "kling-v3", callback_url=HOME, metadata=evil).json
    assert body == {
        "model_name": "kling-v3",
        "prompt": PROMPT,
        "callback_url": HOME,
        **NAMED,
        "sound": "on",
    }
    new = {"options": {**evil, "watermark_info": {"enabled": True}}, "settings": {}}
    body = submitted(NEW, "kling-2.5-turbo", callback_url=HOME, metadata=new).json
    options = body["options"]
    assert (options["callback_url"], options["external_task_id"]) == (HOME, KEY)
    assert options["watermark_info"] == {"enabled": True}


def test_a_task_has_a_name_although_there_is_no_submission_key():
    body = submitted(OLD, "kling-v1", submission_key="").json
    assert body["external_task_id"] == "task_0123456789abcdef0123456789abcdef"


# --- the newer standard: requests


def contents(*items: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"type": kind, ("text" if kind == "prompt" else "url"): text}
        for kind, text in items
    ]


QUIET = {"audio": "off", "multi_shot": False}


@pytest.mark.parametrize(
    ("model", "images", "fields", "path", "body"),
    [
        (
            "kling-3.0",
            (),
            {"resolution": "4K", "aspect_ratio": "9:16", "duration": 12.0},
            "/text-to-video/kling-3.0",
            {
                "prompt": PROMPT,
                "settings": {
                    "resolution": "4k",
                    "duration": 12,
                    **QUIET,
                    "aspect_ratio": "9:16",
                },
            },
        ),
        (
            "kling-3.0-turbo",
            some(A),
            {"size": "1920x1080"},
            "/image-to-video/kling-3.0-turbo",
            {
                "contents": contents(("prompt", PROMPT), ("first_frame", A)),
                "settings": {"resolution": "1080p"},
            },
        ),
        (
            "kling-2.6",
            some(A, B),
            {"prompt": None, "metadata": {"settings": {"audio": "native"}}},
            "/image-to-video/kling-2.6",
            {
                "contents": contents(("first_frame", A), ("last_frame", B)),
                "settings": {"audio": "native"},
            },
        ),
        (
            "kling-2.5-turbo",
            (),
            {"size": "768x768"},
            "/text-to-video/kling-2.5-turbo",
            {
                "prompt": PROMPT,
                "settings": {"resolution": "720p", "aspect_ratio": "1:1"},
            },
        ),
        (
            "kling-3.0-omni",
            some(A),
            {},
            "/omni-video/kling-3.0-omni",
            {
                "contents": contents(("prompt", PROMPT), ("first_frame", A)),
                "settings": QUIET,
            },
        ),
        (
            "kling-3.0-omni",
            some(A),
            {"video_url": CLIP},
            "/omni-video/kling-3.0-omni",
            {
                "contents": [
                    *contents(("prompt", PROMPT)),
                    {"type": "refer_image", "url": A, "id": "image_1"},
                    {"type": "feature_video", "url": CLIP, "id": "video_1"},
                ],
                "settings": {"audio": "off", "aspect_ratio": "16:9"},
            },
        ),
        (
            "kling-o1",
            some(A, B, A),
            {"duration": 3.0, "size": "9:16"},
            "/omni-video/kling-o1",
            {
                "contents": [
                    *contents(("prompt", PROMPT)),
                    {"type": "refer_image", "url": A, "id": "image_1"},
                    {"type": "refer_image", "url": B, "id": "image_2"},
                    {"type": "refer_image", "url": A, "id": "image_3"},
                ],
                "settings": {"duration": 3, "aspect_ratio": "9:16"},
            },
        ),
        (
            "kling-3.0-motion-control",
            some(A),
            {"video_url": CLIP, "quality": "pro"},
            "/motion-control/kling-3.0",
            {
                "contents": contents(("prompt", PROMPT), ("image", A), ("video", CLIP)),
                "settings": {
                    "resolution": "1080p",
                    "character_orientation": "image",
                    "audio": "original",
                },
            },
        ),
    ],
)
def test_the_newer_standard_has_the_model_in_the_path(
    model: str,
    images: tuple[MediaInput, ...],
    fields: dict[str, Any],
    path: str,
    body: dict[str, Any],
):
    call = submitted(NEW, model, *images, **fields)
    assert (call.method, call.url) == ("POST", path)
    assert call.json == {**body, "options": HD}


# --- what cannot be asked for


@pytest.mark.parametrize(
    ("provider", "model", "images", "fields", "told"),
    [
        (OLD, "kling-v1", some(A), {"aspect_ratio": "16:9"}, "first frame"),
        (OLD, "kling-v3-omni", some(A), {"aspect_ratio": "1:1"}, "first frame"),
        (NEW, "kling-3.0", some(A), {"aspect_ratio": "16:9"}, "first frame"),
        (NEW, "kling-o1", some(A), {"aspect_ratio": "16:9"}, "first frame"),
        (OLD, "kling-v1", some(A, B, A), {}, "first and a last"),
        (NEW, "kling-3.0", some(A, B, A), {}, "first_frame and last_frame"),
        (NEW, "kling-3.0-turbo", some(A, B), {}, "first_frame only"),
        (OLD, "kling-v1", (), {"size": "1000x700"}, "16:9, 9:16, 1:1"),
        (OLD, "kling-v1", (), {"size": "0x720"}, "must not be 0"),
        (OLD, "kling-v1", (), {"size": "4k"}, "720p, 1080p"),
        (OLD, "kling-v1", (), {"aspect_ratio": "wide"}, "WIDTH:HEIGHT"),
        (OLD, "kling-v3", (), {"duration": 5.5}, "whole number"),
        (NEW, "kling-3.0", (), {"duration": 5.5}, "whole number"),
        (NEW, "kling-2.6", (), {"resolution": "4k"}, "720p, 1080p"),
        (NEW, "kling-2.6", (), {"metadata": {"options": 5}}, "metadata.options"),
        (OLD, "kling-lip-sync", (), {"metadata": {"input": []}}, "metadata.input"),
    ],
)
def test_what_cannot_be_said_is_rejected_before_anything_is_sent(
    provider: Provider,
    model: str,
    images: tuple[MediaInput, ...],
    fields: dict[str, Any],
    told: str,
):
    with pytest.raises(errors.Rejected, match=told):
        play(provider.submit(wanted(provider, model, *images, **fields)))


@pytest.mark.parametrize("provider", [OLD, NEW], ids=["old", "new"])
def test_an_unknown_model_is_another_channels(provider: Provider):
    assert provider.describe("kling-9") is None
    with pytest.raises(errors.ModelRefused):
        play(provider.submit(a_request(model="kling-9")))


@pytest.mark.parametrize(
    ("provider", "model", "fields", "field"),
    [
        (OLD, "kling-v3", {"duration": 16.0}, "duration"),
        (OLD, "kling-v2-6", {"duration": 7.0}, "duration"),
        (OLD, "kling-v2-6", {"resolution": "4k"}, "resolution"),
        (OLD, "kling-v3", {"resolution": "4K", "duration": 3.0}, ""),
        (OLD, "kling-v2-master", {"resolution": "720p"}, "resolution"),
        (OLD, "kling-v2-1-master", {"quality": "pro"}, "quality"),
        (OLD, "kling-v1", {"quality": "4k"}, "quality"),
        (OLD, "kling-v2-1", {"prompt": "x"}, "images"),
        (OLD, "kling-v1-5", {"images": (A,)}, ""),
        (OLD, "kling-v1", {"images": (A,) * 3}, "images"),
        (OLD, "kling-v1", {"aspect_ratio": "4:3"}, "aspect_ratio"),
        (OLD, "kling-v1", {"seed": 4}, "seed"),
        (OLD, "kling-v1", {"n": 2}, "n"),
        (OLD, "kling-v1", {"prompt": "x" * 2501}, "prompt"),
        (OLD, "kling-video-o1", {"duration": 11.0}, "duration"),
        (OLD, "kling-v1-6-multi-image", {"images": (A,) * 5}, "images"),
        (OLD, "kling-v2-6-motion-control", {"images": (A,)}, "video_url"),
        (OLD, "kling-v3-image", {"n": 10}, "n"),
        (OLD, "kling-v3-image", {"aspect_ratio": "21:9", "n": 9}, ""),
        (OLD, "kling-v3-image", {"resolution": "4k"}, "resolution"),
        (OLD, "kling-v3-image", {"video_url": CLIP}, "video_url"),
        (OLD, "kling-text-to-audio", {"duration": 2.0}, "duration"),
        (OLD, "kling-text-to-audio", {"output_format": "flac"}, "output_format"),
        (OLD, "kling-tts", {"voice": "v", "speed": 0.5}, "speed"),
        (OLD, "kling-tts", {"prompt": "x"}, "voice"),
        (OLD, "kling-tts", {"voice": "v", "input": "x" * 1001}, "input"),
        (NEW, "kling-3.0", {"duration": 2.0}, "duration"),
        (NEW, "kling-3.0", {"resolution": "4k"}, ""),
        (NEW, "kling-3.0-turbo", {"resolution": "4k"}, "resolution"),
        (NEW, "kling-3.0-turbo", {"images": (A, B)}, "images"),
        (NEW, "kling-2.6", {"duration": 6.0}, "duration"),
        (NEW, "kling-o1", {"duration": 11.0}, "duration"),
        (NEW, "kling-3.0", {"negative_prompt": "fog"}, "negative_prompt"),
        (NEW, "kling-3.0", {"prompt": "x" * 3073}, "prompt"),
        (NEW, "kling-3.0-motion-control", {"video_url": CLIP}, "images"),
    ],
)
def test_intake_refuses_what_a_model_cannot_do(
    provider: Provider, model: str, fields: dict[str, Any], field: str
):
    assert refused(provider, model, **fields) == field


# --- answers


@pytest.mark.parametrize(
    ("provider", "links"),
    [(OLD, {"path": VIDEO}), (NEW, {})],
    ids=["old", "new"],
)
def test_an_accepted_task_waits_under_its_id(provider: Provider, links: dict[str, str]):
    model = "kling-v1" if provider is OLD else "kling-3.0"
    snapshot = play(
        provider.submit(wanted(provider, model)), recorded(f"{provider.name}/submit")
    )
    assert snapshot == Snapshot(phase=Phase.PENDING, remote=Remote(TASK, links))


def old_look(name: str, **links: str) -> Snapshot:
    remote = Remote(TASK, {"path": VIDEO, **links})
    return play(OLD.poll(remote), recorded(f"kling-legacy/{name}"))


def new_look(name: str) -> Snapshot:
    return play(NEW.poll(Remote(TASK)), recorded(f"kling/{name}"))


def look(provider: Provider, name: str) -> Snapshot:
    return old_look(name) if provider is OLD else new_look(name)


@pytest.mark.parametrize("provider", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize(
    ("name", "phase"), [("submitted", Phase.PENDING), ("processing", Phase.RUNNING)]
)
def test_a_task_on_its_way_has_no_percentage(
    provider: Provider, name: str, phase: Phase
):
    snapshot = look(provider, name)
    assert (snapshot.phase, snapshot.percent) == (phase, None)
    assert snapshot.artifacts == ()


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        (OLD, "succeed_video"),
        (OLD, "succeeded_new_spelling"),
        (NEW, "succeeded"),
        (NEW, "succeeded_legacy_spelling"),
    ],
)
def test_a_film_is_read_in_both_spellings_of_success(provider: Provider, name: str):
    snapshot = look(provider, name)
    assert (snapshot.phase, snapshot.failure) == (Phase.SUCCEEDED, None)
    (film,) = snapshot.artifacts
    assert (film.url, film.content_type) == (FILM_URL, "video/mp4")
    assert film.duration_s == (None if name == "succeeded_new_spelling" else 5.041)
    assert snapshot.usage["video_ids"] == [FILM_ID]


@pytest.mark.parametrize(
    ("provider", "name"), [(OLD, "succeed_video"), (NEW, "succeeded")]
)
def test_units_are_told_as_text(provider: Provider, name: str):
    assert look(provider, name).usage["units"] == "3.5"


@pytest.mark.parametrize(
    ("name", "count"),
    [("succeed_images", 3), ("succeed_series", 2), ("succeed_series_nested", 2)],
)
def test_images_are_read_in_their_order(name: str, count: int):
    snapshot = old_look(name)
    urls = [artifact.url or "" for artifact in snapshot.artifacts]
    assert len(urls) == count
    assert urls == sorted(urls)


def test_images_that_are_missing_are_told():
    snapshot = old_look("succeed_images", count="4")
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 3)
    assert snapshot.failure is not None
    assert snapshot.failure.message == "3 of 4 outputs were made"


def test_how_many_images_were_asked_for_is_kept_with_the_task():
    request = wanted(OLD, "kling-v3-image", n=4)
    remote = play(OLD.submit(request), recorded("kling-legacy/submit")).remote
    assert remote is not None
    assert remote.links == {"path": "/v1/images/generations", "count": "4"}


@pytest.mark.parametrize(
    ("name", "links", "url", "content_type", "seconds"),
    [
        ("succeed_audio", {}, "a.mp3", "audio/mpeg", 5.0),
        ("succeed_audio", {"format": "wav"}, "a.wav", "audio/wav", 5.1),
        ("succeed_soundtrack", {}, "b.mp3", "audio/mpeg", 7.5),
        ("succeed_speech", {}, "tts.mp3", "audio/mpeg", 3.2),
    ],
)
def test_a_sound_is_one_file_in_the_format_asked_for(
    name: str, links: dict[str, str], url: str, content_type: str, seconds: float
):
    (sound,) = old_look(name, **links).artifacts
    assert sound.url == f"{SOUNDS}/{url}?sign=d%2B"
    assert (sound.content_type, sound.duration_s) == (content_type, seconds)


def test_the_film_under_a_soundtrack_is_told_beside_it():
    assert old_look("succeed_soundtrack").usage == {"video_urls": [FILM_URL]}


def test_the_newer_standard_may_answer_images_and_sounds():
    kinds = [a.content_type for a in new_look("succeeded_image_and_audio").artifacts]
    assert kinds == [None, "audio/mpeg"]


def test_speech_is_there_at_once():
    request = wanted(OLD, "kling-tts", voice="v-1")
    snapshot = play(OLD.submit(request), recorded("kling-legacy/succeed_speech"))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 1)


@pytest.mark.parametrize(
    ("provider", "name", "reason", "told"),
    [
        (OLD, "failed", Reason.UPSTREAM_FAILED, "The server made no video"),
        (OLD, "failed_blocked", Reason.CONTENT_REJECTED, "risk control"),
        (OLD, "failed_without_reason", Reason.UPSTREAM_FAILED, "no reason"),
        (OLD, "succeed_nothing", Reason.UPSTREAM_FAILED, "without a file"),
        (NEW, "failed", Reason.UPSTREAM_FAILED, "could not be completed"),
        (NEW, "failed_blocked", Reason.CONTENT_REJECTED, "risk control"),
        (NEW, "succeeded_nothing", Reason.UPSTREAM_FAILED, "without a file"),
    ],
)
def test_a_task_that_failed_says_why(
    provider: Provider, name: str, reason: Reason, told: str
):
    snapshot = look(provider, name)
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason
    assert told in snapshot.failure.message


@pytest.mark.parametrize("provider", [OLD, NEW], ids=["old", "new"])
def test_an_undocumented_word_is_unexpected(provider: Provider):
    with pytest.raises(errors.UnexpectedReply):
        look(provider, "unknown_word")


# --- looks


def test_a_task_of_v1_is_asked_for_at_its_own_path():
    remote = Remote("a/b", {"path": "/v1/images/generations"})
    (call,) = calls_of(OLD.poll(remote), recorded("kling-legacy/processing"))
    assert (call.method, call.url) == ("GET", "/v1/images/generations/a%2Fb")


def test_many_tasks_are_asked_for_at_once_and_an_odd_one_spoils_no_other():
    assert NEW.poll_many is not None
    remotes = [Remote(TASK), Remote(OTHER), Remote("5")]
    found = play(NEW.poll_many(remotes), recorded("kling/mixed"))
    assert {task_id: snapshot.phase for task_id, snapshot in found.items()} == {
        TASK: Phase.SUCCEEDED,
        OTHER: Phase.RUNNING,
    }
    (call,) = calls_of(NEW.poll_many(remotes), recorded("kling/mixed"))
    assert (call.method, call.url) == ("GET", "/tasks")
    assert call.params == {"task_ids": f"{TASK},{OTHER},5"}


def test_a_task_that_is_left_out_is_not_found():
    with pytest.raises(errors.NotFound):
        new_look("empty")


def an_error(code: int, status: int) -> Any:
    return answer({"code": code, "message": "no", "request_id": "r"}, status=status)


@pytest.mark.parametrize(("code", "status"), [(1201, 400), (1203, 404)])
def test_an_unknown_task_of_v1_is_not_found(code: int, status: int):
    with pytest.raises(errors.NotFound):
        play(OLD.poll(Remote(TASK, {"path": VIDEO})), an_error(code, status))


# --- tasks whose answer was lost


def test_a_lost_task_is_found_by_our_name_for_it():
    assert OLD.find is not None
    request = wanted(OLD, "kling-v1", an_image_url())
    flow = OLD.find(request)
    (call,) = calls_of(flow, recorded("kling-legacy/processing"))
    assert call.url == f"/v1/videos/image2video/{KEY}"
    found = play(OLD.find(request), recorded("kling-legacy/processing"))
    assert found is not None
    assert found.remote == Remote(TASK, {"path": "/v1/videos/image2video"})

    assert NEW.find is not None
    request = wanted(NEW, "kling-3.0")
    (call,) = calls_of(NEW.find(request), recorded("kling/processing"))
    assert (call.url, call.params) == ("/tasks", {"external_task_ids": KEY})
    found = play(NEW.find(request), recorded("kling/processing"))
    assert found is not None
    assert found.remote == Remote(TASK)


def test_a_task_that_is_surely_absent_may_be_sent_again():
    assert OLD.find is not None
    assert NEW.find is not None
    assert play(NEW.find(wanted(NEW, "kling-3.0")), recorded("kling/empty")) is None
    for code, status in ((1201, 400), (1203, 404)):
        request = wanted(OLD, "kling-v1")
        assert play(OLD.find(request), an_error(code, status)) is None


@pytest.mark.parametrize(
    ("model", "reply"),
    [
        ("kling-effects", an_error(1201, 400)),
        ("kling-text-to-audio", an_error(1203, 404)),
        ("kling-v1", answer({}, status=404)),
    ],
)
def test_a_task_that_may_exist_under_no_name_stays_unknown(model: str, reply: Any):
    assert OLD.find is not None
    with pytest.raises(errors.OutcomeUnknown):
        play(OLD.find(wanted(OLD, model)), reply)


@pytest.mark.parametrize("model", ["kling-tts", "gone"])
def test_what_has_no_name_is_not_asked_for(model: str):
    assert OLD.find is not None
    with pytest.raises(errors.OutcomeUnknown):
        play(OLD.find(a_request(model=model)))


# --- errors


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, 1000, errors.KeyRefused),
        (401, 1001, errors.KeyRefused),
        (401, 1002, errors.KeyRefused),
        (401, 1003, errors.RateLimited),
        (401, 1004, errors.RateLimited),
        (429, 1100, errors.ChannelRefused),
        (429, 1101, errors.QuotaExhausted),
        (429, 1102, errors.QuotaExhausted),
        (403, 1103, errors.ModelRefused),
        (400, 1200, errors.Rejected),
        (400, 1201, errors.Rejected),
        (404, 1202, errors.ModelRefused),
        (404, 1203, errors.ModelRefused),
        (404, None, errors.ModelRefused),
        (400, 1300, errors.ContentRejected),
        (400, 1301, errors.ContentRejected),
        (429, 1302, errors.RateLimited),
        (429, 1303, errors.RateLimited),
        (429, 1304, errors.ChannelRefused),
        (500, 5000, errors.Unavailable),
        (503, 5001, errors.Unavailable),
        (504, 5002, errors.Unavailable),
        (200, 1303, errors.RateLimited),
        (200, 1999, errors.UnexpectedReply),
        (418, 1999, errors.Rejected),
        (429, None, errors.RateLimited),
        (502, None, errors.Unavailable),
    ],
)
@pytest.mark.parametrize("provider", [OLD, NEW], ids=["old", "new"])
def test_the_code_decides_and_not_the_status(
    provider: Provider, status: int, code: int | None, kind: type[errors.ProviderError]
):
    model = "kling-v1" if provider is OLD else "kling-3.0"
    reply = answer({"code": code, "message": "no"}, status=status)
    with pytest.raises(kind) as caught:
        play(provider.submit(wanted(provider, model)), reply)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == (str(code or ""), status)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error_data_null", errors.Rejected),
        ("error_balance", errors.QuotaExhausted),
    ],
)
def test_an_error_may_have_empty_data(name: str, kind: type[errors.ProviderError]):
    with pytest.raises(kind):
        play(
            OLD.submit(wanted(OLD, "kling-v1")),
            recorded(f"kling-legacy/{name}", status=400),
        )


def test_an_accepted_submit_without_an_id_is_unexpected():
    for data in (None, {}, {"task_id": "", "task_status": "submitted"}, {"task_id": 5}):
        reply = answer({"code": 0, "message": "SUCCEED", "data": data})
        with pytest.raises(errors.UnexpectedReply):
            play(OLD.submit(wanted(OLD, "kling-v1")), reply)


# --- keys


def authorization(provider: Provider, secret: str) -> str:
    call = provider.authorize(
        Call("GET", "/tasks"), Credentials(secret, {}, 1793800000.9)
    )
    return call.headers["Authorization"]


def test_an_access_key_signs_a_token_for_half_an_hour():
    scheme, _, token = authorization(OLD, "AK1:S:K").partition(" ")
    assert scheme == "Bearer"
    header, claims, mac = token.split(".")
    assert read(header) == {"alg": "HS256", "typ": "JWT"}
    assert read(claims) == {"iss": "AK1", "exp": 1793801800, "nbf": 1793799995}
    expected = hmac.digest(b"S:K", f"{header}.{claims}".encode(), hashlib.sha256)
    assert base64.urlsafe_b64decode(mac + "=") == expected
    assert "=" not in token


def read(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.parametrize("provider", [OLD, NEW], ids=["old", "new"])
def test_an_api_key_goes_as_it_is(provider: Provider):
    assert authorization(provider, "an-api-key") == "Bearer an-api-key"


@pytest.mark.parametrize(
    ("provider", "url"),
    [(OLD, "/v1/images/generations"), (NEW, "/tasks")],
    ids=["old", "new"],
)
def test_a_key_is_proved_by_a_call_that_costs_nothing(provider: Provider, url: str):
    assert provider.test is not None
    (call,) = calls_of(provider.test(), answer({"code": 0, "data": []}))
    assert (call.method, call.url, call.paid) == ("GET", url, False)
    with pytest.raises(errors.KeyRefused):
        play(provider.test(), an_error(1002, 401))


# --- callbacks


def signed_callback(signature: str, **headers: str) -> Callback:
    body = (
        b'{"id":"1234567890","status":"succeeded","message":"",'
        b'"create_time":1781080778802,"update_time":1781080794151}'
    )
    told = {
        "webhook-id": "9876543210",
        "webhook-timestamp": "1781080794",
        "webhook-signature": signature,
        **headers,
    }
    return Callback(told, body)


VECTOR = "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4="


@pytest.mark.parametrize(
    ("header", "holds"),
    [
        (VECTOR, True),
        (f"v1,AAAA {VECTOR}", True),
        (f"v2,AAAA {VECTOR}", True),
        ("v1,AAAA", False),
        (VECTOR.replace("v1", "v2"), False),
    ],
)
def test_a_callback_is_signed_as_in_the_documentation(header: str, holds: bool):
    assert NEW.receive is not None
    heard = NEW.receive(signed_callback(header), "kling-3.0")
    assert (heard.ids, heard.remote) == (("1234567890",), Remote("1234567890"))
    signed = heard.signed
    assert signed is not None
    assert (signed.scheme, signed.timestamp) == ("hmac-sha256", 1781080794)
    assert signed.tolerance_s == 300
    key = base64.b64decode("dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=")
    assert holds == any(
        signatures.verify_hmac_sha256(signed.message, mac, key)
        for mac in signed.signature.split()
    )


@pytest.mark.parametrize(
    ("provider", "model", "remote"),
    [
        (NEW, "kling-3.0", Remote(TASK)),
        (OLD, "kling-effects", Remote(TASK, {"path": "/v1/videos/effects"})),
        (OLD, "kling-v1", None),
        (OLD, "gone", None),
    ],
)
def test_an_unsigned_callback_names_its_task(
    provider: Provider, model: str, remote: Remote | None
):
    assert provider.receive is not None
    body = recorded(f"{provider.name}/callback").content
    heard = provider.receive(Callback({}, body), model)
    assert (heard.ids, heard.remote, heard.signed) == ((TASK,), remote, None)


@pytest.mark.parametrize(
    "callback",
    [
        Callback({}, b"not json"),
        Callback({}, b"[]"),
        Callback({}, b"{}"),
        Callback({}, b'{"id": 5, "task_id": 5}'),
        Callback({"webhook-signature": "v1,AAAA"}, b'{"id": "5", "task_id": "5"}'),
        Callback(
            {
                "webhook-signature": "v1,AAAA",
                "webhook-id": "1",
                "webhook-timestamp": "soon",
            },
            b'{"id": "5", "task_id": "5"}',
        ),
    ],
)
@pytest.mark.parametrize("provider", [OLD, NEW], ids=["old", "new"])
def test_what_is_no_callback_is_unexpected(provider: Provider, callback: Callback):
    assert provider.receive is not None
    with pytest.raises(errors.UnexpectedReply):
        provider.receive(callback, "kling-3.0")
