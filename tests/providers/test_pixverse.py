"""PixVerse's adapter: every path, state and number of its documentation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

import pytest

from app.capabilities import find_problems
from app.security.signatures import verify_hmac_sha256
from providers import errors, pixverse
from providers.dialects import pixverse_models
from providers.flow import Call, Part
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import REPLIES, answer, calls_of, play, raw, recorded

V5 = "pixverse-v5"
VIDEO = "352907764120335871"
REMOTE = Remote(VIDEO)
PNG = b"\x89PNG\r\n\x1a\n"
PROMPT = "a lighthouse made of paper, dawn"
A, B = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"
CLIP, SOUND = "https://cdn.example.com/clip.mp4", "https://cdn.example.com/hum.mp3"
IMAGE, MEDIA = 7788104, 9913007
BASE = "/openapi/v2"
USUAL = {"prompt": PROMPT, "model": "v5", "duration": 5, "quality": "540p"}


def wanted(model: str = V5, *images: MediaInput, **fields: Any) -> GenerationRequest:
    return a_request(model=model, media_type=MediaType.VIDEO, images=images, **fields)


def made(model: str = V5, *images: MediaInput, **fields: Any) -> list[Call]:
    """The calls of a submit that is accepted, without the reading of uploads."""
    replies = []
    for image in images:
        if image.uploaded:
            replies.append(raw(PNG, "image/png"))
        replies.append(recorded("pixverse/upload_image"))
    count = sum(name in fields for name in ("video_url", "audio_url"))
    replies += [recorded("pixverse/upload_media")] * count
    replies.append(recorded("pixverse/submit"))
    calls = calls_of(pixverse.submit(wanted(model, *images, **fields)), *replies)
    assert [call.paid for call in calls] == [False] * (len(calls) - 1) + [True]
    return [call for call in calls if not call.public]


def said(model: str = V5, *images: MediaInput, **fields: Any) -> tuple[str, Any]:
    """The end of the paid call's path, and its body."""
    call = made(model, *images, **fields)[-1]
    path = call.url.removeprefix(f"{BASE}/video/").removesuffix("/generate")
    assert call.url == f"{BASE}/video/{path}/generate"
    return path, call.json


# --- the key and the trace id


def test_the_key_has_a_header_of_its_own():
    call = Call("GET", "https://app-api.pixverse.ai/x", headers={"A": "b"})
    ready = pixverse.authorize(call, Credentials("sk-1", {}, 1.8e9))
    assert ready.headers["API-KEY"] == "sk-1"
    assert ready.headers["A"] == "b"
    assert set(ready.headers) == {"A", "API-KEY", "Ai-trace-id"}


def test_every_look_has_another_trace_id():
    call = Call("GET", "https://app-api.pixverse.ai/x")
    traces = [
        pixverse.authorize(each, Credentials("sk-1", {}, now)).headers["Ai-trace-id"]
        for each, now in (
            (call, 1.8e9),
            (call, 1.8e9 + 0.001),
            (Call("GET", "https://app-api.pixverse.ai/y"), 1.8e9),
        )
    ]
    assert len(set(traces)) == 3
    assert all(uuid.UUID(trace).version == 4 for trace in traces)


def test_every_step_of_every_submission_has_another_trace_id():
    images = (an_image_url(A), an_upload())
    traces = [
        call.headers["Ai-trace-id"]
        for key in ("one", "two")
        for call in made(V5, *images, submission_key=key)
    ]
    assert len(set(traces)) == len(traces) == 6
    assert all(uuid.UUID(trace).version == 4 for trace in traces)
    again = [call.headers["Ai-trace-id"] for call in made(V5, *images)]
    assert again == [call.headers["Ai-trace-id"] for call in made(V5, *images)]


def test_the_trace_id_of_a_submit_is_kept():
    call = made()[-1]
    ready = pixverse.authorize(call, Credentials("sk-1", {}, 1.8e9))
    assert ready.headers["Ai-trace-id"] == call.headers["Ai-trace-id"]


# --- submit


def test_a_whole_body_is_as_documented():
    (call,) = made(
        V5,
        prompt="a copper kettle slides across a wet table",
        size="1280x720",
        seed=0,
        callback_url="https://gw.example/up/1/abc",
        metadata={"motion_mode": "normal", "water_mark": False, "model": "v6"},
    )
    assert (call.method, call.url) == ("POST", f"{BASE}/video/text/generate")
    assert call.json == {
        "prompt": "a copper kettle slides across a wet table",
        "model": "v5",
        "duration": 5,
        "quality": "720p",
        "aspect_ratio": "16:9",
        "seed": 0,
        "motion_mode": "normal",
        "water_mark": False,
    }


TWO = "@image1 meets @image2"
CAT = {"ref_name": "the cat", "type": "background"}


@pytest.mark.parametrize(
    ("images", "fields", "path", "body"),
    [
        (0, {}, "text", {**USUAL, "aspect_ratio": "16:9"}),
        (1, {}, "img", {**USUAL, "img_id": IMAGE}),
        (
            2,
            {},
            "transition",
            {**USUAL, "first_frame_img": IMAGE, "last_frame_img": IMAGE},
        ),
        (
            1,
            {"metadata": {"template_id": 7}},
            "img",
            {**USUAL, "template_id": 7, "img_id": IMAGE},
        ),
        (
            3,
            {"metadata": {"template_id": 7}, "prompt": None},
            "img",
            {
                **{name: USUAL[name] for name in ("model", "duration", "quality")},
                "template_id": 7,
                "img_ids": [IMAGE] * 3,
            },
        ),
        (1, {"size": "540x960"}, "img", {**USUAL, "img_id": IMAGE}),
        (
            0,
            {"action": "extend", "video_url": CLIP},
            "extend",
            {**USUAL, "video_media_id": MEDIA},
        ),
        (
            0,
            {"action": "extend", "metadata": {"source_video_id": 35}},
            "extend",
            {**USUAL, "source_video_id": 35},
        ),
        (
            2,
            {"action": "fusion", "prompt": TWO, "aspect_ratio": "1:1"},
            "fusion",
            {
                **USUAL,
                "prompt": TWO,
                "aspect_ratio": "1:1",
                "image_references": [
                    {"type": "subject", "ref_name": "image1", "img_id": IMAGE},
                    {"type": "subject", "ref_name": "image2", "img_id": IMAGE},
                ],
            },
        ),
        (
            2,
            {
                "action": "fusion",
                "prompt": "@the cat and @image2",
                "metadata": {"image_references": [CAT]},
            },
            "fusion",
            {
                **USUAL,
                "prompt": "@the cat and @image2",
                "aspect_ratio": "16:9",
                "image_references": [
                    {**CAT, "img_id": IMAGE},
                    {"type": "subject", "ref_name": "image2", "img_id": IMAGE},
                ],
            },
        ),
        (
            0,
            {"action": "lip_sync", "video_url": CLIP, "audio_url": SOUND},
            "lip_sync",
            {"video_media_id": MEDIA, "audio_media_id": MEDIA},
        ),
        (
            0,
            {"action": "lip_sync", "video_url": CLIP, "voice": "3", "input": "hello"},
            "lip_sync",
            {
                "video_media_id": MEDIA,
                "lip_sync_tts_speaker_id": "3",
                "lip_sync_tts_content": "hello",
            },
        ),
        (
            0,
            {
                "action": "lip_sync",
                "metadata": {"source_video_id": 35, "audio_media_id": 36},
            },
            "lip_sync",
            {"source_video_id": 35, "audio_media_id": 36},
        ),
        (
            0,
            {
                "action": "sound_effect",
                "video_url": CLIP,
                "seed": 3,
                "metadata": {"original_sound_switch": True},
            },
            "sound_effect",
            {
                "sound_effect_content": PROMPT,
                "seed": 3,
                "original_sound_switch": True,
                "video_media_id": MEDIA,
            },
        ),
    ],
)
def test_what_is_given_decides_the_path(
    images: int, fields: dict[str, Any], path: str, body: dict[str, Any]
):
    assert said(V5, *[an_image_url(A)] * images, **fields) == (path, body)


@pytest.mark.parametrize(
    ("model", "fields", "options"),
    [
        (V5, {"negative_prompt": "fog"}, {"negative_prompt": "fog"}),
        ("pixverse-v4", {"style": "clay"}, {"style": "clay", "model": "v4"}),
        (V5, {"resolution": "1080P"}, {"quality": "1080p"}),
        (V5, {"quality": " 360P "}, {"quality": "360p"}),
        (V5, {"resolution": "720p", "size": "640x360"}, {"quality": "720p"}),
        (V5, {"size": "1080x1920"}, {"quality": "1080p", "aspect_ratio": "9:16"}),
        (V5, {"width": 720, "height": 540}, {"quality": "540p", "aspect_ratio": "4:3"}),
        (V5, {"size": "800x540"}, {"quality": "540p", "aspect_ratio": "4:3"}),
        (V5, {"aspect_ratio": "3/4"}, {"aspect_ratio": "3:4"}),
        (V5, {"duration": 8.0}, {"duration": 8}),
        ("pixverse-v5.5", {"duration": 10.0}, {"duration": 10, "model": "v5.5"}),
        ("pixverse-c1", {"duration": 15}, {"duration": 15, "model": "c1"}),
        ("v6", {"aspect_ratio": "21:9"}, {"aspect_ratio": "21:9", "model": "v6"}),
        ("pixverse-v6", {"size": "1260x540"}, {"aspect_ratio": "21:9", "model": "v6"}),
        (V5, {"seed": 2**31 - 1}, {"seed": 2**31 - 1}),
        (
            "pixverse-v5.6",
            {"metadata": {"generate_audio_switch": True, "thinking_type": "auto"}},
            {"generate_audio_switch": True, "thinking_type": "auto", "model": "v5.6"},
        ),
    ],
)
def test_options_are_said_in_pixverses_words(
    model: str, fields: dict[str, Any], options: dict[str, Any]
):
    assert said(model, **fields) == (
        "text",
        {**USUAL, "aspect_ratio": "16:9", **options},
    )


def test_a_whole_duration_is_a_whole_number():
    _, body = said(V5, duration=8.0)
    assert isinstance(body["duration"], int)


@pytest.mark.parametrize(
    ("image", "part"),
    [
        (an_image_url(A), Part("image_url", A)),
        (an_upload(), Part("image", PNG, "image-0.png", "image/png")),
    ],
)
def test_a_picture_is_uploaded_before(image: MediaInput, part: Part):
    upload, submit = made(V5, image)
    assert (upload.method, upload.url) == ("POST", f"{BASE}/image/upload")
    assert upload.parts == (part,)
    assert submit.json["img_id"] == IMAGE


def test_a_film_and_a_sound_are_uploaded_by_their_addresses():
    video, audio, _ = made(V5, action="lip_sync", video_url=CLIP, audio_url=SOUND)
    assert video.url == audio.url == f"{BASE}/media/upload"
    assert video.parts == (Part("file_url", CLIP),)
    assert audio.parts == (Part("file_url", SOUND),)


def test_frames_keep_their_order():
    first = answer({"ErrCode": 0, "Resp": {"img_id": 1}})
    last = answer({"ErrCode": 0, "Resp": {"img_id": 2}})
    request = wanted(V5, an_image_url(A), an_image_url(B))
    calls = calls_of(pixverse.submit(request), first, last, recorded("pixverse/submit"))
    body = calls[-1].json
    assert (body["first_frame_img"], body["last_frame_img"]) == (1, 2)


@pytest.mark.parametrize(
    ("model", "images", "fields", "told"),
    [
        (V5, 3, {}, "first and a last"),
        (V5, 1, {"aspect_ratio": "16:9"}, "aspect_ratio"),
        (V5, 2, {"aspect_ratio": "16:9"}, "aspect_ratio"),
        (V5, 0, {"prompt": None}, "prompt is required"),
        (V5, 0, {"size": "864x480"}, "480p"),
        (V5, 0, {"size": "auto"}, "WIDTHxHEIGHT"),
        (V5, 1, {"size": "auto"}, "WIDTHxHEIGHT"),
        (V5, 0, {"seed": -1}, "seed"),
        (V5, 0, {"seed": 2**31}, "seed"),
        (V5, 0, {"negative_prompt": "x" * 2049}, "2,049"),
        (V5, 0, {"video_url": CLIP}, "extend"),
        (V5, 0, {"audio_url": SOUND}, "audio_url"),
        (V5, 0, {"voice": "3"}, "voice"),
        ("pixverse-v6", 0, {"duration": 5.5}, "whole"),
        ("pixverse-v4.5", 0, {"duration": 8, "resolution": "1080p"}, "at most 5"),
        ("pixverse-v5.5", 0, {"duration": 10, "size": "1920x1080"}, "at most 8"),
        (V5, 0, {"action": "extend"}, "one film"),
        (V5, 1, {"action": "extend", "video_url": CLIP}, "images"),
        (V5, 0, {"action": "extend", "video_url": CLIP, "aspect_ratio": "1:1"}, "rat"),
        (
            V5,
            0,
            {
                "action": "extend",
                "video_url": CLIP,
                "metadata": {"source_video_id": 3},
            },
            "one film",
        ),
        (V5, 0, {"action": "fusion"}, "1 to 3"),
        (V5, 4, {"action": "fusion"}, "1 to 3"),
        (V5, 1, {"action": "fusion", "video_url": CLIP}, "extend"),
        (V5, 2, {"action": "fusion", "prompt": "@image1"}, "@image2"),
        (
            V5,
            1,
            {"action": "fusion", "metadata": {"image_references": [{}, {}]}},
            "2 entries",
        ),
        (
            V5,
            1,
            {"action": "fusion", "metadata": {"image_references": ["cat"]}},
            "list of objects",
        ),
        (
            V5,
            1,
            {"action": "fusion", "metadata": {"image_references": 7}},
            "list of objects",
        ),
        (
            V5,
            1,
            {
                "action": "fusion",
                "metadata": {"image_references": [{"ref_name": "a-b"}]},
            },
            "ref_name",
        ),
        (
            V5,
            2,
            {
                "action": "fusion",
                "prompt": "@cat",
                "metadata": {"image_references": [{"ref_name": "cat"}] * 2},
            },
            "another",
        ),
        (V5, 0, {"action": "lip_sync", "video_url": CLIP}, "audio_url"),
        (V5, 0, {"action": "lip_sync", "audio_url": SOUND}, "one film"),
        (
            V5,
            0,
            {"action": "lip_sync", "video_url": CLIP, "voice": "3", "prompt": None},
            "audio_url",
        ),
        (
            V5,
            0,
            {
                "action": "lip_sync",
                "video_url": CLIP,
                "voice": "3",
                "audio_url": SOUND,
            },
            "exclude",
        ),
        (
            V5,
            0,
            {
                "action": "lip_sync",
                "video_url": CLIP,
                "voice": "3",
                "prompt": "x" * 201,
            },
            "201",
        ),
        (V5, 0, {"action": "lip_sync", "video_url": CLIP, "seed": 4}, "seed"),
        (V5, 0, {"action": "lip_sync", "video_url": CLIP, "duration": 5}, "duration"),
        (V5, 1, {"action": "lip_sync", "video_url": CLIP}, "images"),
        (V5, 0, {"action": "sound_effect", "video_url": CLIP, "voice": "3"}, "voice"),
        (V5, 0, {"action": "sound_effect", "video_url": CLIP, "size": "1x1"}, "size"),
        (V5, 0, {"action": "sound_effect"}, "one film"),
        (V5, 0, {"action": "sound_effect", "video_url": CLIP, "prompt": ""}, "prompt"),
    ],
)
def test_what_pixverse_cannot_express_is_rejected_before_anything_is_sent(
    model: str, images: int, fields: dict[str, Any], told: str
):
    with pytest.raises(errors.Rejected, match=told):
        play(pixverse.submit(wanted(model, *[an_image_url(A)] * images, **fields)))


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        (V5, {"prompt": "x" * 2049}, "prompt"),
        (V5, {"n": 2}, "n"),
        (V5, {"duration": 10.0}, "duration"),
        (V5, {"aspect_ratio": "21:9"}, "aspect_ratio"),
        (V5, {"resolution": "4K"}, "resolution"),
        (V5, {"quality": "hd"}, "quality"),
        (V5, {"style": "anime"}, "style"),
        (V5, {"images": (A,) * 4}, "images"),
        ("pixverse-v6", {"images": (A,) * 8}, "images"),
        ("pixverse-v6", {"duration": 16.0}, "duration"),
        ("pixverse-v6", {"aspect_ratio": "5:4"}, "aspect_ratio"),
        ("pixverse-v5.5", {"duration": 9.0}, "duration"),
        ("pixverse-v4", {"action": "fusion"}, "action"),
        ("pixverse-v4", {"speed": 2.0}, "speed"),
    ],
)
def test_intake_refuses_what_a_model_cannot_do(
    model: str, fields: dict[str, Any], field: str
):
    described = pixverse.PROVIDER.describe(model)
    assert described is not None
    assert list(find_problems(fields, described)) == [field]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("pixverse-v3.5", {"style": "comic", "duration": 8.0}),
        ("pixverse-v4.5", {"action": "fusion", "images": (A,) * 3}),
        (V5, {"action": "lip_sync", "video_url": CLIP, "voice": "3"}),
        ("pixverse-c1", {"duration": 1.0, "aspect_ratio": "2:3", "seed": 5}),
        ("v5.6", {"resolution": "1080P", "duration": 8.0, "prompt": "x" * 2048}),
    ],
)
def test_intake_takes_what_a_model_can_do(model: str, fields: dict[str, Any]):
    described = pixverse.PROVIDER.describe(model)
    assert described is not None
    assert find_problems(fields, described) == {}


def test_both_names_of_a_version_mean_the_same():
    for offer in pixverse_models.OFFERS:
        own = pixverse_models.find_offer(offer.version)
        assert own is not None
        assert own.model.name == offer.version
        assert said(offer.version) == said(offer.model.name)


@pytest.mark.parametrize("name", ["", "v3", "pixverse-", "pixverse-v7", "V5"])
def test_an_unknown_model_is_refused(name: str):
    assert pixverse.PROVIDER.describe(name) is None
    with pytest.raises(errors.ModelRefused):
        play(pixverse.submit(wanted(name)))


@pytest.mark.parametrize(
    ("reply", "usage"), [("submit", {"credits": 45}), ("submit_text_id", {})]
)
def test_an_accepted_film_keeps_every_digit_of_its_id(
    reply: str, usage: dict[str, Any]
):
    snapshot = play(pixverse.submit(wanted()), recorded(f"pixverse/{reply}"))
    assert snapshot == Snapshot(phase=Phase.PENDING, remote=Remote(VIDEO), usage=usage)


@pytest.mark.parametrize(
    "body",
    [
        {"ErrCode": 0},
        {"ErrCode": 0, "Resp": None},
        {"ErrCode": 0, "Resp": {}},
        {"ErrCode": 0, "Resp": {"video_id": 0}},
        {"ErrCode": 0, "Resp": {"video_id": ""}},
        {"ErrCode": 0, "Resp": {"video_id": True}},
        {"ErrCode": 0, "Resp": {"video_id": 3.5e17}},
        {"ErrCode": 0, "Resp": []},
        {"ErrCode": False, "Resp": {"video_id": 1}},
        {"ErrCode": "0", "Resp": {"video_id": 1}},
        {"ErrCode": None, "ErrMsg": "?", "Resp": {"video_id": 1}},
        {"Resp": {"video_id": 1}},
        {"ErrCode": 123456, "ErrMsg": "new"},
    ],
)
def test_a_success_without_an_id_is_no_answer(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(pixverse.submit(wanted()), answer(body))


@pytest.mark.parametrize(
    "resp", [None, {}, {"img_id": None}, {"img_id": True}, {"img_id": "7"}]
)
def test_an_upload_without_an_id_ends_the_submit_before_it_is_paid(resp: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(
            pixverse.submit(wanted(V5, an_image_url(A))),
            answer({"ErrCode": 0, "Resp": resp}),
        )


# --- looks


def test_a_look_asks_for_one_film():
    (call,) = calls_of(pixverse.poll(Remote("3/5")), recorded("pixverse/running"))
    assert (call.method, call.url) == ("GET", f"{BASE}/video/result/3%2F5")
    assert (call.paid, call.headers) == (False, {})


@pytest.mark.parametrize(
    ("status", "phase", "reason"),
    [
        (1, Phase.SUCCEEDED, None),
        (2, Phase.PENDING, None),
        (3, Phase.RUNNING, None),
        (5, Phase.RUNNING, None),
        (6, Phase.FAILED, Reason.UPSTREAM_EXPIRED),
        (7, Phase.FAILED, Reason.CONTENT_REJECTED),
        (8, Phase.FAILED, Reason.UPSTREAM_FAILED),
        (9, Phase.PENDING, None),
        (10, Phase.PENDING, None),
    ],
)
def test_each_status_is_read(status: int, phase: Phase, reason: Reason | None):
    body = {"ErrCode": 0, "Resp": {"status": status, "url": "https://m.example/a.mp4"}}
    snapshot = play(pixverse.poll(REMOTE), answer(body))
    assert (snapshot.phase, snapshot.remote) == (phase, REMOTE)
    assert bool(snapshot.artifacts) == (phase is Phase.SUCCEEDED)
    failure = snapshot.failure
    assert (failure.reason if failure else None) is reason
    if failure:
        assert (failure.code, bool(failure.message)) == (str(status), True)


@pytest.mark.parametrize(
    ("reply", "phase"),
    [
        ("running", Phase.RUNNING),
        ("done", Phase.SUCCEEDED),
        ("deleted", Phase.FAILED),
        ("moderated", Phase.FAILED),
        ("failed", Phase.FAILED),
    ],
)
def test_recorded_answers_are_read(reply: str, phase: Phase):
    snapshot = play(pixverse.poll(REMOTE), recorded(f"pixverse/{reply}"))
    assert snapshot.phase is phase


def test_a_film_that_is_done_has_a_link_and_its_size():
    snapshot = play(pixverse.poll(REMOTE), recorded("pixverse/done"))
    assert snapshot.artifacts == (
        Artifact(
            url=(
                "https://media.example.net/openapi/kettle.mp4"
                "?Expires=1795&Signature=a%2Bb%3D"
            ),
            content_type="video/mp4",
            width=1280,
            height=720,
        ),
    )


def test_a_size_of_zero_is_none():
    resp = {"status": 1, "url": "https://m.example/a.mp4", "outputWidth": 0}
    snapshot = play(pixverse.poll(REMOTE), answer({"ErrCode": 0, "Resp": resp}))
    assert (snapshot.artifacts[0].width, snapshot.artifacts[0].height) == (None, None)


@pytest.mark.parametrize(
    "resp",
    [
        None,
        {},
        {"status": 4},
        {"status": True, "url": "https://m.example/a.mp4"},
        {"status": "1", "url": "https://m.example/a.mp4"},
        {"status": None},
        {"status": 1, "url": ""},
        {"status": 1},
        {"status": 1, "url": None},
        {"status": 1, "url": "media/a.mp4"},
    ],
)
def test_what_is_not_documented_fails_no_task(resp: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(pixverse.poll(REMOTE), answer({"ErrCode": 0, "Resp": resp}))


# --- errors: the number decides, and the text may change

NUMBERS: list[tuple[int, type[errors.ProviderError]]] = [
    *[
        (number, errors.Rejected)
        for number in (
            *(400011, 400013, 400017, 400018, 400019, 400032),
            *(500030, 500031, 500032, 500033, 500060, 500070, 500071),
        )
    ],
    *[(number, errors.KeyRefused) for number in (400012, *range(10001, 10006))],
    (500008, errors.NotFound),
    (500064, errors.NotFound),
    (500020, errors.ChannelRefused),
    (500041, errors.Unavailable),
    (500042, errors.Unavailable),
    (500044, errors.RateLimited),
    (500069, errors.RateLimited),
    (500054, errors.ContentRejected),
    (500063, errors.ContentRejected),
    (500090, errors.QuotaExhausted),
    (500100, errors.Unavailable),
    (99999, errors.Unavailable),
    (123456, errors.UnexpectedReply),
]


@pytest.mark.parametrize(("number", "kind"), NUMBERS)
def test_a_number_decides_although_the_status_is_200(
    number: int, kind: type[errors.ProviderError]
):
    body = {"ErrCode": number, "ErrMsg": "no", "Resp": None}
    for flow in (pixverse.poll(REMOTE), pixverse.test()):
        with pytest.raises(errors.ProviderError) as caught:
            play(flow, answer(body))
        assert type(caught.value) is kind
        assert (caught.value.code, str(caught.value)) == (str(number), "no")
    # a submit that names what is not there is the client's mistake
    at_submit = errors.Rejected if kind is errors.NotFound else kind
    with pytest.raises(errors.ProviderError) as caught:
        play(pixverse.submit(wanted()), answer(body))
    assert type(caught.value) is at_submit
    assert caught.value.code == str(number)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, None, errors.KeyRefused),
        (403, None, errors.ChannelRefused),
        (404, None, errors.ModelRefused),
        (429, None, errors.RateLimited),
        (500, None, errors.Unavailable),
        (502, "<html>", errors.Unavailable),
        (400, {"ErrCode": 500090, "ErrMsg": "no"}, errors.QuotaExhausted),
        (404, {"ErrCode": 500008, "ErrMsg": "no"}, errors.Rejected),
        (403, {"ErrCode": 0, "ErrMsg": "no"}, errors.ChannelRefused),
        (500, {"ErrCode": 123456, "ErrMsg": "no"}, errors.Unavailable),
    ],
)
def test_a_gate_in_front_has_statuses(
    status: int, body: Any, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(pixverse.submit(wanted()), answer(body, status=status, retry_after="7"))
    assert type(caught.value) is kind
    assert caught.value.status == status
    if isinstance(caught.value, errors.RateLimited | errors.Unavailable):
        assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("error_credits", errors.QuotaExhausted),
        ("error_full", errors.RateLimited),
        ("error_parameter", errors.Rejected),
        ("error_text", errors.ContentRejected),
        ("error_account", errors.KeyRefused),
    ],
)
def test_a_recorded_refusal_is_an_error_of_an_upload_too(
    reply: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(
            pixverse.submit(wanted(V5, an_image_url(A))), recorded(f"pixverse/{reply}")
        )
    assert type(caught.value) is kind


def test_an_unknown_film_is_not_found():
    with pytest.raises(errors.NotFound):
        play(pixverse.poll(REMOTE), recorded("pixverse/error_not_found"))


def test_a_key_is_proved_by_listing_a_voice():
    (call,) = calls_of(pixverse.test(), recorded("pixverse/voices"))
    assert (call.method, call.url) == ("GET", f"{BASE}/video/lip_sync/tts_list")
    assert call.params == {"page_num": "1", "page_size": "1"}


# --- callbacks

SECRET, NONCE = "whk-secret", "n" * 32
BODY = (REPLIES / "pixverse" / "callback.json").read_bytes()
FIELDS = (
    f"credits=45&has_audio=false&id={VIDEO}&size=4821133&status=1"
    "&url=https%3A%2F%2Fmedia.example.net%2Fopenapi%2Fkettle.mp4"
)


def a_callback(body: bytes = BODY, **changed: str | None) -> Callback:
    text = f"1795345127\n{NONCE}\n{FIELDS}"
    mac = hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256)
    headers = {
        "webhook-timestamp": "1795345127",
        "webhook-nonce": NONCE,
        "webhook-signature": base64.b64encode(mac).decode(),
        **{name.replace("_", "-"): text for name, text in changed.items()},
    }
    return Callback({k: v for k, v in headers.items() if v is not None}, body)


def test_a_callback_names_its_film_and_is_signed():
    heard = pixverse.receive(a_callback(), V5)
    assert (heard.ids, heard.remote) == ((VIDEO,), Remote(VIDEO))
    assert heard.signed is not None
    assert (heard.signed.scheme, heard.signed.timestamp) == ("hmac-sha256", 1795345127)
    assert verify_hmac_sha256(heard.signed.message, heard.signed.signature, SECRET)
    assert not verify_hmac_sha256(heard.signed.message, heard.signed.signature, "no")


def test_a_callback_is_answered_with_the_word_that_is_wanted():
    assert pixverse.receive(a_callback(), V5).answer == "ok"


def test_a_film_names_the_address_that_the_channel_has_registered():
    named = {"webhook_id": " 7f3a "}
    for settings, paid, wanted in (
        (named, True, "7f3a"),
        (named, False, None),
        ({"webhook_id": ""}, True, None),
        ({}, True, None),
    ):
        call = Call("POST", "/openapi/v2/video/text/generate", paid=paid)
        sent = pixverse.authorize(call, Credentials("sk", settings, 0.0))
        assert sent.headers.get("Webhook-Id") == wanted


def test_a_changed_callback_is_not_signed():
    forged = json.dumps({**json.loads(BODY), "status": 8}).encode()
    for callback in (a_callback(forged), a_callback(webhook_nonce="m" * 32)):
        signed = pixverse.receive(callback, V5).signed
        assert signed is not None
        assert not verify_hmac_sha256(signed.message, signed.signature, SECRET)


@pytest.mark.parametrize(
    "callback",
    [
        a_callback(b"{}"),
        a_callback(b"[1]"),
        a_callback(b"no"),
        a_callback(webhook_signature=None),
        a_callback(webhook_timestamp="soon"),
        a_callback(webhook_nonce=None),
    ],
)
def test_what_is_no_callback_is_unexpected(callback: Callback):
    with pytest.raises(errors.UnexpectedReply):
        pixverse.receive(callback, V5)


def test_facts_of_the_provider():
    provider = pixverse.PROVIDER
    assert (provider.cancel, provider.find, provider.poll_many) == (None, None, None)
    assert not provider.idempotent  # a repeated trace id is not documented as safe
    assert provider.poll_spacing_s == 3.0
    assert len(provider.models) == 8
    assert all(model.longest_s == 900 for model in provider.models)
