"""Vidu's adapter: every row of its mappings, states, result shapes and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, vidu
from providers.dialects import vidu_models
from providers.dialects.vidu_models import BY_NAME, Way
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    GenerationRequest,
    Heard,
    MediaInput,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

A, B, C = (f"https://cdn.example.com/{name}.png" for name in "abc")
PNG = b"\x89PNG\r\n\x1a\n"
DATA_URL = "data:image/png;base64,iVBORw0KGgo="
PROMPT = "a lighthouse made of paper, dawn"
REFERENCE = "0123456789abcdef"
HOOK = "https://gw.example/up/1/abc"
PRO, TURBO, Q2, Q2_PRO, Q1, V2, V15 = (
    *("viduq3-pro", "viduq3-turbo", "viduq2", "viduq2-pro"),
    *("viduq1", "vidu2.0", "vidu1.5"),
)
PICTURE, FIRST_PICTURE = "viduq2-reference2image", "viduq1-reference2image"
SOUND, SPEECH = "audio1.0", "audio-tts"
VIDEO, IMAGE, AUDIO = (
    Remote("871440905523318784", {"media": media})
    for media in ("video", "image", "audio")
)


def images(count: int) -> tuple[MediaInput, ...]:
    return tuple(an_image_url(url) for url in (A, B, C) * 4)[:count]


def wanted(model: str, *given: MediaInput, **fields: Any) -> GenerationRequest:
    media_type = BY_NAME[model].model.media_type
    return a_request(model=model, media_type=media_type, images=given, **fields)


def submitted(model: str, *given: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit."""
    files = [raw(PNG, "image/png") for each in given if each.uploaded]
    reply = recorded("vidu/speech" if model == SPEECH else "vidu/submit")
    request = wanted(model, *given, **fields)
    calls = calls_of(vidu.submit(request), *files, reply)
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    assert all(call.public for call in calls[:-1])
    return calls[-1]


def body_of(model: str, *given: MediaInput, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = submitted(model, *given, **fields).json
    return body


def answered(model: str, reply: Reply, *given: MediaInput, **fields: Any) -> Snapshot:
    return play(vidu.submit(wanted(model, *given, **fields)), reply)


def looked(name: str, remote: Remote = VIDEO, status: int = 200) -> Snapshot:
    return play(vidu.poll(remote), recorded(f"vidu/{name}", status=status))


def refused(reason: str, status: int) -> Reply:
    told = {"code": status, "reason": reason, "message": "no", "metadata": {}}
    return answer(told, status=status)


# Submit: the way


@pytest.mark.parametrize(
    ("model", "count", "fields", "way"),
    [
        (PRO, 0, {}, Way.TEXT),
        (PRO, 1, {}, Way.FRAME),
        (PRO, 2, {}, Way.FRAMES),
        (TURBO, 2, {}, Way.FRAMES),
        (TURBO, 2, {"action": "start-end"}, Way.FRAMES),
        (TURBO, 1, {"action": "reference"}, Way.REFERENCE),
        (TURBO, 2, {"action": "reference"}, Way.REFERENCE),
        (TURBO, 3, {}, Way.REFERENCE),
        (TURBO, 7, {}, Way.REFERENCE),
        (TURBO, 0, {"metadata": {"subjects": [{"name": "fox"}]}}, Way.REFERENCE),
        ("viduq3-pro-fast", 1, {}, Way.FRAME),
        ("viduq3", 1, {}, Way.REFERENCE),
        ("viduq3-mix", 2, {}, Way.REFERENCE),
        (Q2, 0, {}, Way.TEXT),
        (Q2, 1, {}, Way.REFERENCE),
        (Q2, 2, {}, Way.REFERENCE),
        (Q2_PRO, 1, {}, Way.FRAME),
        (Q2_PRO, 3, {}, Way.REFERENCE),
        (Q2_PRO, 3, {"action": "multiframe"}, Way.MULTIFRAME),
        ("viduq2-turbo", 10, {"action": "multiframe"}, Way.MULTIFRAME),
        ("viduq2-pro-fast", 2, {}, Way.FRAMES),
        (Q1, 0, {}, Way.TEXT),
        ("viduq1-classic", 1, {}, Way.FRAME),
        (V2, 2, {}, Way.FRAMES),
        (V15, 3, {}, Way.REFERENCE),
        ("vidu-template", 1, {"metadata": {"template": "hugging"}}, Way.TEMPLATE),
        ("vidu-template-story", 2, {"metadata": {"story": "love"}}, Way.STORY),
        (PICTURE, 0, {}, Way.IMAGE),
        (FIRST_PICTURE, 1, {}, Way.IMAGE),
        (SOUND, 0, {}, Way.SOUND),
        (SOUND, 0, {"metadata": {"timing_prompts": [{}]}}, Way.TIMED_SOUND),
        (SPEECH, 0, {"voice": "v1"}, Way.SPEECH),
    ],
)
def test_what_is_given_decides_the_endpoint(
    model: str, count: int, fields: dict[str, Any], way: Way
):
    call = submitted(model, *images(count), **fields)
    assert (call.method, call.url) == ("POST", f"/ent/v2/{way.value}")


@pytest.mark.parametrize(
    ("model", "count", "fields"),
    [
        (PRO, 3, {}),
        (PRO, 1, {"action": "start-end"}),
        (PRO, 2, {"action": "reference"}),
        ("viduq3-pro-fast", 2, {}),
        ("viduq3", 0, {}),
        (TURBO, 8, {}),
        (TURBO, 2, {"metadata": {"subjects": [{"name": "fox"}]}}),
        (Q2_PRO, 0, {}),
        (Q2_PRO, 2, {"action": "multiframe"}),
        ("viduq2-turbo", 3, {}),
        (PRO, 0, {"prompt": None}),
        (Q2, 1, {"prompt": None}),
        (PICTURE, 0, {"prompt": None}),
        (SOUND, 0, {"prompt": None}),
        (SPEECH, 0, {}),
        (PRO, 0, {"duration": 4.5}),
        (PRO, 0, {"size": "large"}),
        (V2, 1, {"duration": 8.0, "resolution": "1080P"}),
        (Q2_PRO, 3, {"action": "multiframe", "duration": 8.0}),
    ],
)
def test_what_cannot_be_said_is_refused_before_it_costs(
    model: str, count: int, fields: dict[str, Any]
):
    with pytest.raises(errors.Rejected):
        play(vidu.submit(wanted(model, *images(count), **fields)))


def test_unknown_model_is_not_offered():
    with pytest.raises(errors.ModelRefused):
        play(vidu.submit(a_request(model="viduq9")))


# Submit: films


def test_film_is_asked_for_in_the_upstreams_words():
    body = body_of(
        TURBO,
        an_image_url(A),
        duration=5.0,
        resolution="720P",
        seed=7,
        voice="v1",
        aspect_ratio="9:16",
        callback_url=HOOK,
        metadata={
            "audio": True,
            "audio_type": "speech_only",
            "movement_amplitude": "small",
            "off_peak": True,
            "is_rec": False,
            "payload": "mine",
            "model": "cheap",
            "callback_url": "https://evil.example",
        },
    )
    assert body == {
        "model": TURBO,
        "images": [A],
        "prompt": PROMPT,
        "duration": 5,
        "seed": 7,
        "resolution": "720p",
        "voice_id": "v1",
        "payload": REFERENCE,
        "callback_url": HOOK,
        "audio": True,
        "audio_type": "speech_only",
        "movement_amplitude": "small",
        "off_peak": True,
        "is_rec": False,
    }


def test_what_is_not_asked_for_is_left_to_the_model():
    body = body_of(PRO)
    assert body == {"model": PRO, "prompt": PROMPT, "payload": REFERENCE}
    assert body_of(PRO, submission_key="")["payload"].startswith("task_")


def test_images_are_links_or_data_urls_with_their_type():
    assert body_of(PRO, an_image_url(A), an_upload())["images"] == [A, DATA_URL]


@pytest.mark.parametrize(
    ("model", "count", "fields", "ratio", "level"),
    [
        (PRO, 0, {"aspect_ratio": "9/16"}, "9:16", None),
        (PRO, 0, {"size": "1280x720"}, "16:9", "720p"),
        (PRO, 0, {"size": "720*1280"}, "9:16", "720p"),
        (PRO, 0, {"width": 960, "height": 540}, "16:9", "540p"),
        (PRO, 0, {"height": 720}, None, "720p"),
        (PRO, 0, {"size": "4:3"}, "4:3", None),
        (PRO, 0, {"size": "1080p"}, None, "1080p"),
        (PRO, 0, {"resolution": "540P", "size": "1024x1024"}, "1:1", "540p"),
        (Q2, 1, {"size": "1080x1920"}, "9:16", "1080p"),
        (PRO, 1, {"aspect_ratio": "9:16", "resolution": "1080P"}, None, "1080p"),
        (PRO, 2, {"size": "1280x720"}, None, "720p"),
        (V2, 1, {"duration": 8.0, "size": "1920x1080"}, None, "720p"),
        (V2, 1, {"duration": 8.0, "resolution": "720P"}, None, "720p"),
        (V2, 1, {"duration": 4.0, "resolution": "1080p"}, None, "1080p"),
        (Q1, 0, {"size": "1280x720"}, "16:9", "1080p"),
    ],
)
def test_shape_is_said_of_texts_and_references_only(
    model: str,
    count: int,
    fields: dict[str, Any],
    ratio: str | None,
    level: str | None,
):
    body = body_of(model, *images(count), **fields)
    assert (body.get("aspect_ratio"), body.get("resolution")) == (ratio, level)


def test_style_is_a_word_of_the_first_generation():
    assert body_of(Q1, style="anime")["style"] == "anime"


def test_multiframe_has_a_text_and_a_length_for_every_part():
    fields = {"action": "multiframe", "duration": 4.0, "resolution": "1080P"}
    body = body_of(Q2_PRO, *images(2), an_upload(), seed=3, **fields)
    assert body == {
        "model": Q2_PRO,
        "start_image": A,
        "image_settings": [
            {"key_image": B, "prompt": PROMPT, "duration": 4},
            {"key_image": DATA_URL, "prompt": PROMPT, "duration": 4},
        ],
        "resolution": "1080p",
        "payload": REFERENCE,
    }


def test_parts_of_a_multiframe_film_may_be_written_by_the_client():
    parts = [{"key_image": B, "prompt": "up"}, {"key_image": C, "prompt": "down"}]
    body = body_of(
        Q2_PRO,
        an_image_url(A),
        action="multiframe",
        metadata={"image_settings": parts},
    )
    assert (body["start_image"], body["image_settings"]) == (A, parts)


def test_template_and_story_have_no_model():
    body = body_of(
        "vidu-template",
        an_image_url(A),
        seed=3,
        aspect_ratio="1:1",
        metadata={"template": "hugging"},
        callback_url=HOOK,
    )
    assert body == {
        "template": "hugging",
        "images": [A],
        "prompt": PROMPT,
        "seed": 3,
        "aspect_ratio": "1:1",
        "payload": REFERENCE,
        "callback_url": HOOK,
    }
    story = {"story": "love_story"}
    assert body_of("vidu-template-story", *images(2), metadata=story) == {
        **story,
        "images": [A, B],
        "payload": REFERENCE,
    }


# Submit: pictures and sounds


@pytest.mark.parametrize(
    ("model", "fields", "said"),
    [
        (PICTURE, {}, {"model": "viduq2"}),
        (PICTURE, {"resolution": "2k"}, {"resolution": "2K"}),
        (PICTURE, {"size": "4K"}, {"resolution": "4K"}),
        (PICTURE, {"aspect_ratio": "auto"}, {"aspect_ratio": "auto"}),
        (PICTURE, {"size": "21:9"}, {"aspect_ratio": "21:9"}),
        (
            PICTURE,
            {"size": "2560x1440"},
            {"aspect_ratio": "16:9", "resolution": "2K"},
        ),
        (
            PICTURE,
            {"width": 4096, "height": 2731},
            {"aspect_ratio": "3:2", "resolution": "4K"},
        ),
        (
            FIRST_PICTURE,
            {"size": "2048x2048", "seed": 4},
            {
                "model": "viduq1",
                "aspect_ratio": "1:1",
                "resolution": "1080p",
                "seed": 4,
            },
        ),
    ],
)
def test_picture_is_asked_for_by_the_films_name(
    model: str, fields: dict[str, Any], said: dict[str, Any]
):
    body = body_of(model, an_image_url(A), **fields)
    plain = {
        "model": "viduq2",
        "images": [A],
        "prompt": PROMPT,
        "payload": REFERENCE,
    }
    assert body == {**plain, **said}


def test_sound_is_asked_for_by_a_text_or_by_its_times():
    assert body_of(SOUND, duration=2.5, seed=4, callback_url=HOOK) == {
        "model": SOUND,
        "prompt": PROMPT,
        "duration": 2.5,
        "seed": 4,
        "payload": REFERENCE,
        "callback_url": HOOK,
    }
    times = [{"from": 0.0, "to": 2.0, "prompt": "a bell"}]
    assert body_of(SOUND, metadata={"timing_prompts": times}) == {
        "model": SOUND,
        "timing_prompts": times,
        "payload": REFERENCE,
    }


def test_speech_has_no_model_and_no_callback():
    body = body_of(
        SPEECH,
        input="Mind the step.",
        voice="v1",
        speed=1.5,
        callback_url=HOOK,
        metadata={"voice_setting_emotion": "calm"},
    )
    assert body == {
        "text": "Mind the step.",
        "voice_setting_voice_id": "v1",
        "voice_setting_speed": 1.5,
        "voice_setting_emotion": "calm",
        "payload": REFERENCE,
    }


# Refused inputs


ONE, TWO = {"images": images(1)}, {"images": images(2)}


@pytest.mark.parametrize(
    ("model", "fields", "culprit"),
    [
        *((PRO, {name: "x"}, name) for name in ("negative_prompt", "quality", "style")),
        (PRO, {"n": 2}, "n"),
        (PRO, {"video_url": "https://cdn.example.com/c.mp4"}, "video_url"),
        (PRO, {"duration": 17.0}, "duration"),
        (PRO, {"duration": 0.5}, "duration"),
        (PRO, {"resolution": "360p"}, "resolution"),
        (PRO, {"aspect_ratio": "21:9"}, "aspect_ratio"),
        (PRO, {"images": images(3)}, "images"),
        (PRO, {"prompt": "a" * 5001}, "prompt"),
        (PRO, {"action": "reference"}, "action"),
        ("viduq3-pro-fast", {}, "images"),
        ("viduq3-pro-fast", TWO, "images"),
        ("viduq3-pro-fast", {**ONE, "resolution": "540p"}, "resolution"),
        ("viduq3", {**ONE, "resolution": "540p"}, "resolution"),
        ("viduq3-mix", {"images": images(8)}, "images"),
        (TURBO, {"images": images(8)}, "images"),
        (Q2, {"duration": 11.0}, "duration"),
        (Q2, {"voice": "v1"}, "voice"),
        (Q2_PRO, {"images": images(11)}, "images"),
        ("viduq2-pro-fast", {}, "images"),
        ("viduq2-turbo", {**ONE, "style": "anime"}, "style"),
        (Q1, {"duration": 4.0}, "duration"),
        (Q1, {"resolution": "720p"}, "resolution"),
        (Q1, {"prompt": "a" * 2001}, "prompt"),
        (V2, {**ONE, "duration": 5.0}, "duration"),
        (V2, {**ONE, "resolution": "540p"}, "resolution"),
        (V15, {"style": "anime"}, "style"),
        ("vidu-template", {}, "images"),
        ("vidu-template", {**ONE, "duration": 4.0}, "duration"),
        (PICTURE, {"images": images(8)}, "images"),
        (PICTURE, {"resolution": "720p"}, "resolution"),
        (PICTURE, {"prompt": "a" * 2001}, "prompt"),
        (FIRST_PICTURE, {}, "images"),
        (FIRST_PICTURE, {**ONE, "resolution": "4K"}, "resolution"),
        (FIRST_PICTURE, {**ONE, "aspect_ratio": "21:9"}, "aspect_ratio"),
        (SOUND, {"duration": 11.0}, "duration"),
        (SOUND, {"prompt": "a" * 1501}, "prompt"),
        (SOUND, ONE, "images"),
        (SPEECH, {}, "voice"),
        (SPEECH, {"voice": "v1", "speed": 2.1}, "speed"),
        (SPEECH, {"voice": "v1", "input": "a" * 10_000}, "input"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(
    model: str, fields: dict[str, Any], culprit: str
):
    described = vidu.PROVIDER.describe(model)
    assert described is not None
    assert list(find_problems({"prompt": "x", **fields}, described)) == [culprit]


def test_film_may_take_two_days_off_the_peak_hours():
    films = [model for model in vidu_models.MODELS if model.media_type == "video"]
    assert all(model.longest_s > 48 * 3600 for model in films)


# What a submit answers


@pytest.mark.parametrize(
    ("model", "given", "media"),
    [(PRO, (), "video"), (PICTURE, (), "image"), (SOUND, (), "audio")],
)
def test_accepted_task_is_known_by_its_id(
    model: str, given: tuple[MediaInput, ...], media: str
):
    assert answered(model, recorded("vidu/submit"), *given) == Snapshot(
        phase=Phase.PENDING,
        remote=Remote(VIDEO.id, {"media": media}),
        usage={"credits": 20},
    )


def test_speech_comes_with_the_answer():
    snapshot = answered(SPEECH, recorded("vidu/speech"), voice="v1")
    assert snapshot == Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=(Artifact(url="https://media.example.net/speech/1.mp3?sig=x%2By"),),
        usage={"credits": 3},
    )


def test_speech_that_is_not_done_is_a_task():
    snapshot = answered(SPEECH, recorded("vidu/speech_queueing"), voice="v1")
    assert snapshot.phase is Phase.PENDING
    assert snapshot.remote == Remote("871440905523318790", {"media": "audio"})


def test_speech_may_have_failed():
    snapshot = answered(SPEECH, recorded("vidu/speech_failed"), voice="v1")
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize(
    ("model", "reply"),
    [
        (PRO, recorded("vidu/submit_without_id")),
        (PRO, answer({"task_id": 7, "state": "created"})),
        (PRO, answer({"task_id": "7", "state": "paused"})),
        (SPEECH, recorded("vidu/submit_without_id")),
        (SPEECH, answer({"task_id": "7", "state": "success"})),
    ],
)
def test_answer_that_is_not_documented_is_unexpected(model: str, reply: Reply):
    with pytest.raises(errors.UnexpectedReply):
        answered(model, reply, voice="v1" if model == SPEECH else None)


# Errors


CODES = [
    *(
        (400, reason, errors.Rejected)
        for reason in (
            "BadRequest",
            "FieldLacking",
            "FieldUnwanted",
            "FieldInvalid",
            "FieldItemCountOutOfRange",
            "PageSizeOutOfRange",
            "ImageDownloadFailure",
            "ImageFormatInvalid",
            "ImageCheckBodyJointsFailed",
            "ImageCheckFaceFailed",
            "ImageObjectsUndetected",
        )
    ),
    (400, "OperationInProcess", errors.RateLimited),
    (400, "TaskPromptPolicyViolation", errors.ContentRejected),
    (400, "AuditSubmitIllegal", errors.ContentRejected),
    (400, "CreationPolicyViolation", errors.ContentRejected),
    (400, "CreditInsufficient", errors.QuotaExhausted),
    (400, "ModelUnavailable", errors.ModelRefused),
    (401, "Unauthorized", errors.KeyRefused),
    (403, "Forbidden", errors.ChannelRefused),
    (409, "Conflict", errors.OutcomeUnknown),
    (429, "QuotaExceeded", errors.RateLimited),
    (429, "TooManyRequests", errors.RateLimited),
    (429, "SystemThrottling", errors.RateLimited),
    (499, "Canceled", errors.OutcomeUnknown),
    (500, "InternalServiceFailure", errors.Unavailable),
    (400, "SomethingNew", errors.Rejected),
    (503, "SomethingNew", errors.Unavailable),
]
UNKNOWN = ("NotFound", "TaskNotFound", "CreationNotFound")


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [*CODES, *((404, reason, errors.ModelRefused) for reason in UNKNOWN)],
)
def test_reason_decides_what_a_refused_submit_means(
    status: int, reason: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(PRO, refused(reason, status))
    assert type(caught.value) is kind
    assert (caught.value.code, str(caught.value)) == (reason, "no")


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [*CODES, *((404, reason, errors.NotFound) for reason in UNKNOWN)],
)
def test_refused_look_says_nothing_of_the_task(
    status: int, reason: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(vidu.poll(VIDEO), refused(reason, status))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("error_lacking", 400, errors.Rejected),
        ("error_key", 401, errors.KeyRefused),
        ("error_unknown_task", 404, errors.NotFound),
    ],
)
def test_recorded_refusal_is_read(
    name: str, status: int, kind: type[errors.ProviderError]
):
    with pytest.raises(kind):
        looked(name, status=status)


# Polls


def test_task_is_looked_at_by_its_id():
    (call,) = calls_of(vidu.poll(VIDEO), recorded("vidu/queueing"))
    assert (call.method, call.url) == ("GET", f"/ent/v2/tasks/{VIDEO.id}/creations")
    (call,) = calls_of(vidu.poll(Remote("a/b")), recorded("vidu/queueing"))
    assert call.url == "/ent/v2/tasks/a%2Fb/creations"


@pytest.mark.parametrize(
    ("name", "phase", "percent"),
    [
        ("created", Phase.PENDING, None),
        ("queueing", Phase.PENDING, None),
        ("processing", Phase.RUNNING, 45),
        ("scheduling", Phase.RUNNING, None),
        ("scheduled", Phase.RUNNING, None),
        ("cancelled", Phase.CANCELLED, None),
    ],
)
def test_state_of_a_task_is_read(name: str, phase: Phase, percent: int | None):
    snapshot = looked(name)
    assert (snapshot.phase, snapshot.percent) == (phase, percent)
    assert (snapshot.remote, snapshot.failure) == (VIDEO, None)


@pytest.mark.parametrize(
    ("remote", "content_type"), [(VIDEO, "video/mp4"), (IMAGE, None), (AUDIO, None)]
)
def test_result_is_neither_the_cover_nor_the_marked_copy(
    remote: Remote, content_type: str | None
):
    assert looked("success", remote) == Snapshot(
        phase=Phase.SUCCEEDED,
        remote=remote,
        percent=100,
        artifacts=(
            Artifact(
                url="https://media.example.net/c/1.mp4?sig=a%2Fb%3D",
                content_type=content_type,
            ),
        ),
        usage={"credits": 20},
    )


def test_sounds_may_have_names_of_their_own():
    snapshot = looked("success_sounds", AUDIO)
    assert [artifact.url for artifact in snapshot.artifacts] == [
        "https://media.example.net/s/1.mp3",
        "https://media.example.net/s/2.wav",
    ]
    assert snapshot.usage == {"credits": 12.5}


FAILURES = [
    *(
        (code, Reason.INVALID_REQUEST)
        for code in ("FieldInvalid", "ImageFormatInvalid")
    ),
    *(
        (code, Reason.CONTENT_REJECTED)
        for code in (
            "TaskPromptPolicyViolation",
            "AuditSubmitIllegal",
            "CreationPolicyViolation",
        )
    ),
    ("InternalServiceFailure", Reason.UPSTREAM_FAILED),
    ("SomethingNew", Reason.UPSTREAM_FAILED),
]


@pytest.mark.parametrize(("code", "reason"), FAILURES)
def test_failed_task_is_a_value_with_its_reason(code: str, reason: Reason):
    body = {"id": VIDEO.id, "state": "failed", "err_code": code, "credits": 0}
    snapshot = play(vidu.poll(VIDEO), answer(body))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)
    assert snapshot.usage == {"credits": 0}


@pytest.mark.parametrize(
    ("name", "code"),
    [("failed_blocked", "CreationPolicyViolation"), ("failed_untold", "")],
)
def test_recorded_failure_is_read(name: str, code: str):
    snapshot = looked(name)
    assert snapshot.failure is not None
    assert (snapshot.phase, snapshot.failure.code) == (Phase.FAILED, code)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "paused"},
        {"creations": []},
        {"creations": [{"id": "1", "cover_url": "https://x.example/1.jpg"}]},
        {"creations": [{"id": "1", "url": "a.mp4"}]},
    ],
)
def test_undocumented_answer_to_a_look_is_unexpected(change: dict[str, Any]):
    good = recorded("vidu/success").json()
    with pytest.raises(errors.UnexpectedReply):
        play(vidu.poll(VIDEO), answer({**good, **change}))
    with pytest.raises(errors.UnexpectedReply):
        looked("success_nothing")


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (20, {"credits": 20}),
        ("20", {"credits": 20}),
        (1.5, {"credits": 1.5}),
        ("many", {}),
        ("inf", {}),
        (None, {}),
        (True, {}),
    ],
)
def test_credits_are_a_number_or_a_text(told: Any, usage: dict[str, Any]):
    body = {"id": "1", "state": "queueing", "credits": told}
    assert play(vidu.poll(VIDEO), answer(body)).usage == usage


@pytest.mark.parametrize(
    ("told", "percent"), [(0, 0), (45, 45), (100, 99), (-1, 0), ("45", None)]
)
def test_progress_stays_below_a_hundred_until_the_end(told: Any, percent: int | None):
    body = {"id": "1", "state": "processing", "progress": told}
    assert play(vidu.poll(VIDEO), answer(body)).percent == percent


# Find, cancel, callbacks, key


def test_task_is_found_by_our_name_and_looked_at():
    calls = calls_of(
        vidu.find(wanted(PRO)),
        recorded("vidu/list_first"),
        recorded("vidu/list"),
        recorded("vidu/processing"),
    )
    assert [(call.url, call.params) for call in calls] == [
        ("/ent/v2/tasks", {"pager.page_sz": "100"}),
        ("/ent/v2/tasks", {"pager.page_sz": "100", "pager.page_token": "p2"}),
        (f"/ent/v2/tasks/{VIDEO.id}/creations", {}),
    ]
    found = play(
        vidu.find(wanted(PICTURE)), recorded("vidu/list"), recorded("vidu/processing")
    )
    assert found is not None
    assert (found.phase, found.remote) == (Phase.RUNNING, IMAGE)


@pytest.mark.parametrize(
    "names", [["list_last"], ["list_first", "list_last"], ["list_first"] * 5]
)
def test_task_that_is_not_listed_may_exist_all_the_same(names: list[str]):
    with pytest.raises(errors.OutcomeUnknown):
        play(vidu.find(wanted(PRO)), *[recorded(f"vidu/{name}") for name in names])


def test_task_is_cancelled_by_its_id():
    (call,) = calls_of(vidu.cancel(VIDEO), answer({}))
    assert (call.method, call.url) == ("POST", f"/ent/v2/tasks/{VIDEO.id}/cancel")
    assert (call.json, call.paid) == ({"id": VIDEO.id}, False)


@pytest.mark.parametrize(
    ("reply", "stopped"),
    [
        (answer({}), True),
        (recorded("vidu/error_running", status=400), False),
        (recorded("vidu/error_unknown_task", status=404), False),
    ],
)
def test_task_that_runs_cannot_be_cancelled(reply: Reply, stopped: bool):
    assert play(vidu.cancel(VIDEO), reply) is stopped


def test_cancelling_that_fails_raises():
    with pytest.raises(errors.KeyRefused):
        play(vidu.cancel(VIDEO), recorded("vidu/error_key", status=401))


def test_callback_is_a_hint_to_look():
    body = json.dumps(recorded("vidu/success").json()).encode()
    headers = {"x-hmac-signature": "bm90IGNoZWNrZWQ=", "x-hmac-access-key": "vidu"}
    assert vidu.receive(Callback(headers, body), PRO) == Heard(
        ids=(VIDEO.id,), remote=VIDEO, signed=None
    )
    assert vidu.receive(Callback({}, body), SOUND).remote == AUDIO
    for strange in (b"{}", b"[]", b'{"id": 7}', b"<html>"):
        with pytest.raises(errors.UnexpectedReply):
            vidu.receive(Callback({}, strange), PRO)


def test_scheme_of_the_key_is_token():
    sent = vidu.PROVIDER.authorize(Call("GET", "/x"), Credentials("k1", {}, 0))
    assert sent.headers == {"Authorization": "Token k1"}


def test_key_is_proved_by_the_accounts_credits():
    (call,) = calls_of(vidu.test(), recorded("vidu/credits"))
    assert (call.method, call.url, call.paid) == ("GET", "/ent/v2/credits", False)
    with pytest.raises(errors.KeyRefused):
        play(vidu.test(), recorded("vidu/error_key", status=401))
