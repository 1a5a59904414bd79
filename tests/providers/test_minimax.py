"""MiniMax's adapter: every row of its mappings, states, result shapes and errors."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, minimax
from providers.dialects import minimax_models
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    GenerationRequest,
    Heard,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

A = "https://cdn.example.com/a.png"
CLIP, SOUND = "https://cdn.example.com/c.mp4", "https://cdn.example.com/s.mp3"
PNG = b"\x89PNG\r\n\x1a\n"
DATA_URL = "data:image/png;base64,iVBORw0KGgo="
PROMPT = "a lighthouse made of paper, dawn"
H23, FAST, H02 = (
    "MiniMax-Hailuo-2.3",
    "MiniMax-Hailuo-2.3-Fast",
    "MiniMax-Hailuo-02",
)
H3, H3_IMAGE, HD = "MiniMax-H3", "MiniMax-H3-Image", "speech-2.8-hd"

V1 = Remote("281734650092817", {"api": "video_v1"})
V2 = Remote("409118273645001", {"api": "video_v2"})
SPEECH = Remote("73520184466", {"api": "long_speech"})

REPLIES = {
    minimax_models.Api.VIDEO_V1: "submit",
    minimax_models.Api.VIDEO_V2: "submit_v2",
    minimax_models.Api.IMAGE: "images",
    minimax_models.Api.OPENAI_IMAGE: "openai_images",
    minimax_models.Api.SPEECH: "speech",
    minimax_models.Api.MUSIC: "music",
}


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    offer = minimax_models.find_offer(model)
    media_type = offer.model.media_type if offer else MediaType.VIDEO
    return a_request(model=model, media_type=media_type, images=images, **fields)


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit."""
    offer = minimax_models.find_offer(model)
    assert offer is not None
    fetched = [each for each in images if each.uploaded]
    if offer.api is minimax_models.Api.OPENAI_IMAGE:
        fetched = list(images)
    files = [raw(PNG, "image/png")] * len(fetched)
    request = wanted(model, *images, **fields)
    long = len(request.speech) > 9_999
    name = "submit_long_speech" if long else REPLIES[offer.api]
    calls = calls_of(minimax.submit(request), *files, recorded(f"minimax/{name}"))
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    assert all(call.public for call in calls[:-1])
    return calls[-1]


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = submitted(model, *images, **fields).json
    return body


def answered(model: str, reply: Reply, **fields: Any) -> Snapshot:
    return play(minimax.submit(wanted(model, **fields)), reply)


def looked(remote: Remote, *names: str) -> Snapshot:
    replies = [recorded(f"minimax/{name}") for name in names]
    return play(minimax.poll(remote), *replies)


def reply_of(code: int, status: int = 200) -> Reply:
    told = {"status_code": code, "status_msg": "no"}
    return answer({"task_id": "", "base_resp": told}, status=status)


# Submit: video v1


def test_video_is_asked_for_in_the_words_of_v1():
    call = submitted(
        H23,
        an_image_url(A),
        duration=6.0,
        resolution="1080p",
        callback_url="https://gw.example/up/1/abc",
        metadata={
            "prompt_optimizer": False,
            "model": "cheap",
            "callback_url": "https://evil.example",
        },
    )
    assert (call.method, call.url) == ("POST", "/v1/video_generation")
    assert call.json == {
        "model": H23,
        "prompt": PROMPT,
        "first_frame_image": A,
        "duration": 6,
        "resolution": "1080P",
        "prompt_optimizer": False,
        "callback_url": "https://gw.example/up/1/abc",
    }


def test_what_is_not_asked_for_is_left_to_the_model():
    assert body_of(H23) == {"model": H23, "prompt": PROMPT}


def test_second_image_is_the_last_frame():
    body = body_of(H02, an_image_url(A), an_upload())
    assert (body["first_frame_image"], body["last_frame_image"]) == (A, DATA_URL)


def test_subject_of_a_video_is_a_list_of_images():
    body = body_of("S2V-01", an_image_url(A))
    assert body["subject_reference"] == [{"type": "character", "image": [A]}]
    assert "first_frame_image" not in body


@pytest.mark.parametrize(
    ("model", "fields", "resolution"),
    [
        (H23, {"size": "1366x768"}, "768P"),
        (H23, {"size": "1280x720"}, "768P"),
        (H23, {"width": 1080, "height": 1920}, "1080P"),
        (H02, {"size": "896*512"}, "512P"),
        (H23, {"size": "1080p"}, "1080P"),
        (H23, {"size": "1366x768", "resolution": "1080P"}, "1080P"),
        ("MiniMax-Hailuo-9", {"size": "720p"}, "720P"),
    ],
)
def test_size_of_a_v1_video_is_a_resolution(
    model: str, fields: dict[str, Any], resolution: str
):
    assert body_of(model, **fields)["resolution"] == resolution


# Our address


ADDRESS = "https://gw.example/up/1/abc"
FAILED_CHALLENGE = {
    H23: {"base_resp": {"status_code": 2013, "status_msg": "callback_url invalid"}},
    H3: {
        "type": "error",
        "error": {
            "type": "bad_request_error",
            "message": "invalid params, Callback validation failed (2013)",
        },
    },
}


@pytest.mark.parametrize(("model", "status"), [(H23, 200), (H3, 400)])
def test_an_address_that_failed_its_challenge_is_tried_again(model: str, status: int):
    refused = answer(FAILED_CHALLENGE[model], status=status)
    with pytest.raises(errors.RateLimited, match="challenge"):
        answered(model, refused, callback_url=ADDRESS)
    with pytest.raises(errors.Rejected):  # it was given none
        answered(model, refused)


def test_another_refusal_with_an_address_is_the_clients():
    with pytest.raises(errors.Rejected):
        answered(H23, reply_of(2013), callback_url=ADDRESS)


@pytest.mark.parametrize("model", [H23, H3])
def test_a_channel_may_keep_our_address_to_itself(model: str):
    call = submitted(model, callback_url=ADDRESS)
    sent = minimax.authorize(call, Credentials("sk", {"callbacks": "off"}, 0.0))
    assert sent.json == body_of(model)
    for settings in ({}, {"callbacks": "on"}):
        sent = minimax.authorize(call, Credentials("sk", settings, 0.0))
        assert sent.json["callback_url"] == ADDRESS


def test_what_brings_its_result_at_once_is_told_no_address():
    for model in ("image-01", "speech-2.6-hd", "music-2.6"):
        assert "callback_url" not in body_of(model, callback_url=ADDRESS)


# Callbacks


def told(body: Any, model: str = H23) -> Heard:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return minimax.receive(Callback({}, content), model)


def test_a_challenge_is_to_be_repeated_and_names_no_job():
    assert told({"challenge": "a b"}) == Heard((), answer={"challenge": "a b"})


@pytest.mark.parametrize(
    ("model", "body", "api"),
    [
        (H23, {"task_id": "12", "status": "processing"}, "video_v1"),
        (H23, {"task_id": 12, "status": "failed", "base_resp": {}}, "video_v1"),
        (H3, {"task": {"id": "12", "status": "running"}}, "video_v2"),
        (H3, {"task_id": "12", "status": "succeeded"}, "video_v2"),
    ],
)
def test_a_callback_names_its_video(model: str, body: dict[str, Any], api: str):
    assert told(body, model) == Heard(("12",), Remote("12", {"api": api}))


def test_a_callback_of_no_video_brings_no_job_to_adopt():
    assert told({"task_id": "12"}, "image-01") == Heard(("12",))


@pytest.mark.parametrize(
    "body",
    [
        b"no",
        b"[" * 100_000,
        [],
        {},
        {"task_id": ""},
        {"task_id": True},
        {"task": "12"},
        {"challenge": None},
        {"challenge": {"a": 1}},
        {"challenge": "a" * 2001, "task_id": "12"},
    ],
)
def test_what_is_no_callback_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        told(body)


# Submit: video v2


def test_video_is_asked_for_in_the_words_of_v2():
    call = submitted(
        H3, aspect_ratio="9/16", duration=15, callback_url="https://gw.example/x"
    )
    assert (call.method, call.url) == ("POST", "/v2/video_generation")
    assert call.json == {
        "model": H3,
        "content": [{"type": "text", "text": PROMPT}],
        "resolution": "2K",
        "duration": 15,
        "ratio": "9:16",
        "callback_url": "https://gw.example/x",
    }


@pytest.mark.parametrize(
    ("images", "fields", "roles"),
    [
        (1, {}, ["first_frame"]),
        (2, {}, ["first_frame", "last_frame"]),
        (3, {}, ["reference_image"] * 3),
        (0, {"video_url": CLIP}, ["reference_video"]),
        (
            1,
            {"video_url": CLIP, "audio_url": SOUND},
            ["reference_image", "reference_video", "reference_audio"],
        ),
    ],
)
def test_files_of_v2_have_roles(images: int, fields: dict[str, Any], roles: list[str]):
    content = body_of(H3, *[an_image_url(A)] * images, **fields)["content"]
    assert [item["role"] for item in content[1:]] == roles
    for item in content[1:]:
        assert item[item["type"]]["url"] in (A, CLIP, SOUND)


@pytest.mark.parametrize(
    ("images", "fields", "ratio"),
    [
        (0, {}, "16:9"),
        (0, {"size": "1080x1920"}, "9:16"),
        (0, {"size": "4:3"}, "4:3"),
        (1, {}, None),
        (1, {"size": "1080x1920"}, None),
        (1, {"aspect_ratio": "adaptive"}, None),
        (1, {"aspect_ratio": "1:1"}, "1:1"),
        (3, {}, None),
        (3, {"aspect_ratio": "adaptive"}, "adaptive"),
        (3, {"size": "1024x1024"}, "1:1"),
    ],
)
def test_text_alone_has_a_ratio_and_a_frame_needs_none(
    images: int, fields: dict[str, Any], ratio: str | None
):
    assert body_of(H3, *[an_image_url(A)] * images, **fields).get("ratio") == ratio


# Submit: images


@pytest.mark.parametrize(
    ("model", "fields", "said"),
    [
        ("image-01", {}, {}),
        ("image-01", {"size": "1024x768"}, {"width": 1024, "height": 768}),
        (
            "image-01",
            {"size": "1024x768", "aspect_ratio": "1:1"},
            {"width": 1024, "height": 768},
        ),
        ("image-01", {"aspect_ratio": "21 / 9"}, {"aspect_ratio": "21:9"}),
        ("image-01", {"size": "3:2"}, {"aspect_ratio": "3:2"}),
        ("image-01-live", {"size": "1600x900"}, {"aspect_ratio": "16:9"}),
        ("image-01", {"n": 9, "seed": 4}, {"n": 9, "seed": 4}),
        (
            "image-01",
            {"metadata": {"response_format": "base64"}},
            {"response_format": "base64"},
        ),
    ],
)
def test_image_is_asked_for_in_words_of_the_image_api(
    model: str, fields: dict[str, Any], said: dict[str, Any]
):
    call = submitted(model, **fields)
    plain = {"model": model, "prompt": PROMPT, "n": 1, "response_format": "url"}
    assert call.url == "/v1/image_generation"
    assert call.json == {**plain, **said}


@pytest.mark.parametrize(
    ("image", "url"), [(an_image_url(A), A), (an_upload(), DATA_URL)]
)
def test_input_image_is_the_character(image: MediaInput, url: str):
    assert body_of("image-01", image)["subject_reference"] == [
        {"type": "character", "image_file": url}
    ]


def test_openai_style_image_is_json_and_its_edit_a_form():
    call = submitted(H3_IMAGE, size="1024x768", n=2)
    assert (call.url, call.parts) == ("/v1/images/generations", ())
    assert call.json == {
        "model": H3_IMAGE,
        "prompt": PROMPT,
        "n": 2,
        "size": "1024x768",
    }
    call = submitted(H3_IMAGE, an_image_url(A), an_upload())
    assert (call.url, call.json) == ("/v1/images/edits", None)
    assert [(part.name, part.content) for part in call.parts] == [
        ("model", H3_IMAGE),
        ("prompt", PROMPT),
        ("n", "1"),
        ("image[]", PNG),
        ("image[]", PNG),
    ]


# Submit: speech and music


def test_speech_is_asked_for_with_its_voice_and_format():
    call = submitted(
        HD,
        input="Mind the step.",
        voice="Wise_Woman",
        speed=1.5,
        output_format="WAV",
        metadata={"voice_setting": {"pitch": 2}, "stream": True},
    )
    assert call.url == "/v1/t2a_v2"
    assert call.json == {
        "model": HD,
        "text": "Mind the step.",
        "stream": False,
        "output_format": "url",
        "voice_setting": {"voice_id": "Wise_Woman", "speed": 1.5, "pitch": 2},
        "audio_setting": {"format": "wav", "sample_rate": 32_000},
    }


def test_voice_is_always_sent():
    assert body_of(HD)["voice_setting"] == {"voice_id": "English_Graceful_Lady"}


@pytest.mark.parametrize(
    ("length", "url", "rate"),
    [
        (9_999, "/v1/t2a_v2", "sample_rate"),
        (10_000, "/v1/t2a_async_v2", "audio_sample_rate"),
    ],
)
def test_long_text_becomes_a_job(length: int, url: str, rate: str):
    call = submitted(HD, input="a" * length)
    assert (call.url, call.json["audio_setting"][rate]) == (url, 32_000)


@pytest.mark.parametrize(
    ("model", "fields", "said"),
    [
        ("music-2.6", {}, {"lyrics_optimizer": True}),
        ("music-2.6", {"lyrics": "La la"}, {"lyrics": "La la"}),
        (
            "music-2.6",
            {"metadata": {"is_instrumental": True}},
            {"is_instrumental": True},
        ),
        ("music-1.5", {}, {}),
        (
            "music-2.0",
            {"lyrics": "La", "tags": "piano", "style": "slow"},
            {"lyrics": "La", "prompt": f"{PROMPT}, piano, slow"},
        ),
        ("music-2.5", {"lyrics": "La", "output_format": "wav"}, {"lyrics": "La"}),
    ],
)
def test_song_is_asked_for_with_its_lyrics_or_without(
    model: str, fields: dict[str, Any], said: dict[str, Any]
):
    call = submitted(model, **fields)
    assert call.url == "/v1/music_generation"
    assert call.json == {
        "model": model,
        "prompt": PROMPT,
        "audio_setting": {"format": fields.get("output_format", "mp3")},
        "output_format": "url",
        **said,
    }


# Refused inputs


@pytest.mark.parametrize(
    ("model", "fields", "culprit"),
    [
        (H23, {"aspect_ratio": "1:1"}, "aspect_ratio"),
        (H23, {"seed": 1}, "seed"),
        (H23, {"n": 2}, "n"),
        (H23, {"duration": 5.0}, "duration"),
        (H23, {"resolution": "512P"}, "resolution"),
        (H23, {"images": (an_image_url(),) * 2}, "images"),
        (H23, {"prompt": "a" * 2001}, "prompt"),
        (H02, {"images": (an_image_url(),) * 3}, "images"),
        (FAST, {}, "images"),
        ("I2V-01", {}, "images"),
        ("S2V-01", {}, "images"),
        ("T2V-01", {"images": (an_image_url(),)}, "images"),
        ("T2V-01-Director", {"duration": 10.0}, "duration"),
        (H3, {"duration": 16.0}, "duration"),
        (H3, {"images": (an_image_url(),) * 10}, "images"),
        (H3, {"aspect_ratio": "2:1"}, "aspect_ratio"),
        ("image-01", {"size": "500x512"}, "size"),
        ("image-01", {"size": "1023x1024"}, "size"),
        ("image-01", {"n": 10}, "n"),
        ("image-01", {"prompt": "a" * 1501}, "prompt"),
        ("image-01-live", {"aspect_ratio": "21:9"}, "aspect_ratio"),
        (H3_IMAGE, {"seed": 1}, "seed"),
        (HD, {"input": "a" * 50_001}, "input"),
        (HD, {"speed": 2.1}, "speed"),
        (HD, {"output_format": "opus"}, "output_format"),
        ("music-2.6", {"output_format": "flac"}, "output_format"),
        ("music-2.6", {"duration": 60.0}, "duration"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(
    model: str, fields: dict[str, Any], culprit: str
):
    described = minimax_models.describe(model)
    assert described is not None
    assert list(find_problems({"prompt": "x", **fields}, described)) == [culprit]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (H23, {"size": "square"}),
        (H23, {"duration": 6.5}),
        (H3, {"duration": 5.5}),
        (H3, {"size": "large"}),
        ("image-01", {"size": "auto"}),
    ],
)
def test_what_cannot_be_said_is_refused_before_it_costs(
    model: str, fields: dict[str, Any]
):
    with pytest.raises(errors.Rejected):
        play(minimax.submit(wanted(model, **fields)))


def test_unknown_model_is_not_offered_and_new_ones_are_guessed():
    with pytest.raises(errors.ModelRefused):
        play(minimax.submit(wanted("abab-9")))
    for name, media_type in (
        ("MiniMax-Hailuo-3", MediaType.VIDEO),
        ("speech-3.0-hd", MediaType.AUDIO),
        ("music-3.0", MediaType.AUDIO),
    ):
        model = minimax_models.describe(name)
        assert model is not None
        assert (model.name, model.media_type) == (name, media_type)


# What a submit answers


@pytest.mark.parametrize(
    ("model", "fields", "reply", "remote"),
    [
        (H23, {}, "submit", V1),
        (H3, {}, "submit_v2", V2),
        (HD, {"input": "a" * 10_000}, "submit_long_speech", SPEECH),
    ],
)
def test_accepted_job_has_a_text_as_its_id(
    model: str, fields: dict[str, Any], reply: str, remote: Remote
):
    snapshot = answered(model, recorded(f"minimax/{reply}"), **fields)
    assert snapshot == Snapshot(phase=Phase.PENDING, remote=remote)


@pytest.mark.parametrize(
    ("model", "reply", "artifacts", "lost"),
    [
        (
            "image-01",
            "images",
            [
                Artifact(
                    url="https://img.example.net/1.jpeg?s=a%3D",
                    content_type="image/jpeg",
                ),
                Artifact(
                    url="https://img.example.net/2.jpeg", content_type="image/jpeg"
                ),
            ],
            None,
        ),
        (
            "image-01",
            "images_partial",
            [Artifact(url="https://img.example.net/1.jpeg", content_type="image/jpeg")],
            Reason.CONTENT_REJECTED,
        ),
        (
            "image-01",
            "images_inline",
            [Artifact(content=b"\xff\xd8\xff\xe0\x00\x10")],
            None,
        ),
        (
            H3_IMAGE,
            "openai_images",
            [Artifact(url="https://img.example.net/h3.png?x=1%2B")],
            None,
        ),
        (H3_IMAGE, "openai_images_inline", [Artifact(content=PNG)], None),
        (
            HD,
            "speech",
            [
                Artifact(
                    url="https://speech.example.net/a.mp3?Expires=1795040000",
                    content_type="audio/mpeg",
                    duration_s=2.18,
                )
            ],
            None,
        ),
        (
            HD,
            "speech_hex",
            [
                Artifact(
                    content=b"ID3\x04\x00\x00",
                    content_type="audio/wav",
                    duration_s=0.9,
                )
            ],
            None,
        ),
        (
            "music-2.6",
            "music",
            [
                Artifact(
                    url="https://music.example.net/s.mp3",
                    content_type="audio/mpeg",
                    duration_s=61.44,
                )
            ],
            None,
        ),
        (
            "music-2.6",
            "music_bare",
            [Artifact(content=b"ID3\x04", content_type="audio/mpeg")],
            None,
        ),
    ],
)
def test_answer_that_brings_the_result_is_read(
    model: str, reply: str, artifacts: list[Artifact], lost: Reason | None
):
    snapshot = answered(model, recorded(f"minimax/{reply}"))
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert list(snapshot.artifacts) == artifacts
    assert (snapshot.failure.reason if snapshot.failure else None) is lost


def test_song_has_the_title_that_was_given():
    snapshot = answered("music-2.6", recorded("minimax/music"), title="Dawn")
    assert snapshot.artifacts[0].title == "Dawn"


def test_characters_of_a_speech_are_its_usage():
    assert answered(HD, recorded("minimax/speech")).usage == {"characters": 17}


def test_fewer_openai_style_images_than_wanted_is_a_part():
    snapshot = answered(H3_IMAGE, recorded("minimax/openai_images"), n=3)
    assert snapshot.failure is not None
    assert snapshot.failure.message == "2 of 3 images were not made"


def test_images_that_moderation_took_away_are_a_failure():
    snapshot = answered("image-01", recorded("minimax/images_all_blocked"))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize(
    ("model", "reply"),
    [
        (H23, "submit_without_id"),
        (H23, "error_undocumented"),
        (HD, "speech_unfinished"),
        (HD, "submit"),
        ("image-01", "submit"),
    ],
)
def test_success_without_a_result_is_unexpected(model: str, reply: str):
    with pytest.raises(errors.UnexpectedReply):
        answered(model, recorded(f"minimax/{reply}"))


# Errors


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1000, errors.Unavailable),
        (1001, errors.Unavailable),
        (1002, errors.RateLimited),
        (1004, errors.KeyRefused),
        (1008, errors.QuotaExhausted),
        (1024, errors.Unavailable),
        (1026, errors.ContentRejected),
        (1027, errors.ContentRejected),
        (1028, errors.QuotaExhausted),
        (1030, errors.QuotaExhausted),
        (1033, errors.Unavailable),
        (1039, errors.RateLimited),
        (1041, errors.RateLimited),
        (1042, errors.Rejected),
        (1043, errors.Rejected),
        (1044, errors.Rejected),
        (2013, errors.Rejected),
        (20132, errors.Rejected),
        (2038, errors.ChannelRefused),
        (2045, errors.RateLimited),
        (2049, errors.KeyRefused),
        (2056, errors.QuotaExhausted),
        (2061, errors.ModelRefused),
        (7777, errors.UnexpectedReply),
    ],
)
def test_number_in_the_body_is_the_error_although_http_says_200(
    code: int, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(H23, reply_of(code))
    assert type(caught.value) is kind
    assert (caught.value.code, str(caught.value)) == (str(code), "no")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, 1004, errors.KeyRefused),
        (429, 1002, errors.RateLimited),
        (429, 1030, errors.QuotaExhausted),
        (500, 7777, errors.Unavailable),
        (404, 0, errors.ModelRefused),
    ],
)
def test_http_status_counts_where_the_number_says_nothing(
    status: int, code: int, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(H23, reply_of(code, status))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("status", "word", "number", "kind"),
    [
        (400, "bad_request_error", 2013, errors.Rejected),
        (401, "authorized_error", 1004, errors.KeyRefused),
        (402, "insufficient_balance_error", 1008, errors.QuotaExhausted),
        (422, "unprocessable_entity_error", 1026, errors.ContentRejected),
        (429, "rate_limit_error", 1002, errors.RateLimited),
        (500, "server_error", 1000, errors.Unavailable),
    ],
)
@pytest.mark.parametrize("has_number", [True, False])
def test_error_of_v2_is_told_by_its_number_or_its_type(
    status: int,
    word: str,
    number: int,
    kind: type[errors.ProviderError],
    has_number: bool,
):
    message = f"no ({number})" if has_number else "no"
    body = {"type": "error", "error": {"type": word, "message": message}}
    with pytest.raises(errors.ProviderError) as caught:
        answered(H3, answer(body, status=status, retry_after="4"))
    assert type(caught.value) is kind
    assert caught.value.code == (str(number) if has_number else word)
    assert getattr(caught.value, "retry_after_s", 4.0) == 4.0


# Polls


@pytest.mark.parametrize(
    ("remote", "reply", "phase"),
    [
        (V1, "preparing", Phase.PENDING),
        (V1, "queueing", Phase.PENDING),
        (V1, "processing", Phase.RUNNING),
        (SPEECH, "speech_processing", Phase.RUNNING),
        (V2, "v2_queued", Phase.PENDING),
        (V2, "v2_running", Phase.RUNNING),
        (V2, "v2_cancelled", Phase.CANCELLED),
    ],
)
def test_state_of_a_job_is_read(remote: Remote, reply: str, phase: Phase):
    assert looked(remote, reply) == Snapshot(phase=phase)


@pytest.mark.parametrize(
    ("remote", "reply", "reason", "code"),
    [
        (V1, "fail_blocked", Reason.CONTENT_REJECTED, "1027"),
        (V1, "fail_without_reason", Reason.UPSTREAM_FAILED, ""),
        (SPEECH, "speech_failed", Reason.INVALID_REQUEST, "1042"),
        (SPEECH, "speech_expired", Reason.UPSTREAM_EXPIRED, "expired"),
        (V2, "v2_failed_blocked", Reason.CONTENT_REJECTED, "1026"),
        (V2, "v2_failed", Reason.UPSTREAM_FAILED, "1000"),
        (V2, "v2_expired", Reason.UPSTREAM_EXPIRED, "expired"),
    ],
)
def test_failed_job_is_a_value_with_its_reason(
    remote: Remote, reply: str, reason: Reason, code: str
):
    snapshot = looked(remote, reply)
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)


def test_finished_v1_video_is_asked_for_its_link():
    replies = recorded("minimax/success"), recorded("minimax/file")
    calls = calls_of(minimax.poll(V1), *replies)
    assert [(call.url, call.params) for call in calls] == [
        ("/v1/query/video_generation", {"task_id": V1.id}),
        ("/v1/files/retrieve", {"file_id": "318800245100736"}),
    ]
    snapshot = looked(V1, "success", "file")
    assert snapshot.artifacts == (
        Artifact(
            url="https://hailuo-video.example.net/out/4417.mp4"
            "?Expires=1795040000&Signature=q%2Bz%3D",
            content_type="video/mp4",
            width=1366,
            height=768,
        ),
    )
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)


def test_finished_v2_video_names_its_link():
    (call,) = calls_of(minimax.poll(V2), recorded("minimax/v2_succeeded"))
    assert call.url == "/v2/query/video_generation/409118273645001"
    snapshot = looked(V2, "v2_succeeded")
    (video,) = snapshot.artifacts
    assert video.url == "https://h3.example.net/9a.mp4?sig=b%2F1"
    assert snapshot.usage["output_seconds"] == 6


def an_archive(**files: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for ending, content in files.items():
            member = tarfile.TarInfo(f"7352/content-7352.{ending}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def heard(archive: Reply) -> Snapshot:
    replies = recorded("minimax/speech_success"), recorded("minimax/file_archive")
    return play(minimax.poll(SPEECH), *replies, archive)


def test_long_speech_is_unpacked_from_its_archive():
    content = an_archive(titles=b"[]", extra=b"{}", mp3=b"ID3 sound")
    snapshot = heard(raw(content, "application/x-tar"))
    assert snapshot.artifacts == (
        Artifact(content=b"ID3 sound", content_type="audio/mpeg"),
    )
    replies = recorded("minimax/speech_success"), recorded("minimax/file_archive")
    calls = calls_of(minimax.poll(SPEECH), *replies, raw(content, "x/tar"))
    assert calls[0].url == "/v1/query/t2a_async_query_v2"
    assert calls[1].params == {"file_id": "73520184999"}
    assert calls[2].public


def a_sparse_archive() -> bytes:
    """A member of a few bytes that claims to unpack to a terabyte."""
    member = tarfile.TarInfo("content.mp3")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = tarfile.itn(2**40, 12, tarfile.GNU_FORMAT)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        gzip.compress(an_archive(mp3=b"ID3 sound")),
        an_archive(titles=b"[]"),
        an_archive(mp3=b""),
        an_archive(mp3=b"x" * 4000)[:1500],
        a_sparse_archive(),
    ],
)
def test_archive_without_a_sound_is_unexpected(content: bytes):
    with pytest.raises(errors.UnexpectedReply):
        heard(raw(content, "application/x-tar"))


def test_archive_whose_link_died_is_looked_at_again():
    with pytest.raises(errors.Unavailable):
        heard(raw(b"", "text/html", 403))


def test_unknown_job_is_not_found():
    with pytest.raises(errors.NotFound):
        looked(V1, "unknown")
    with pytest.raises(errors.NotFound):
        play(minimax.poll(V2), recorded("minimax/error_v2", status=400))
    with pytest.raises(errors.NotFound):
        play(minimax.poll(V2), answer({}, status=404))


@pytest.mark.parametrize(
    ("code", "kind"), [(1002, errors.RateLimited), (1004, errors.KeyRefused)]
)
def test_error_without_a_status_is_not_the_jobs(
    code: int, kind: type[errors.ProviderError]
):
    with pytest.raises(kind):
        play(minimax.poll(V1), reply_of(code))


@pytest.mark.parametrize(
    ("remote", "replies"),
    [
        (V1, [{"status": "Paused", "base_resp": {"status_code": 0}}]),
        (V1, [{"status": "", "base_resp": {"status_code": 0}}]),
        (V2, [{"task": {"status": "paused"}}]),
        (V2, [{"task": {"status": "succeeded", "content": None}}]),
        (V1, [{"status": "Success", "file_id": ""}]),
        (V1, [{"status": "Success", "file_id": "1"}, {"file": {"download_url": ""}}]),
    ],
)
def test_undocumented_answer_to_a_look_is_unexpected(
    remote: Remote, replies: list[dict[str, Any]]
):
    with pytest.raises(errors.UnexpectedReply):
        play(minimax.poll(remote), *map(answer, replies))


# Credentials


def test_key_is_a_bearer_and_old_accounts_name_their_group():
    call = Call("GET", "/v1/files/retrieve", params={"file_id": "1"})
    sent = minimax.authorize(call, Credentials("sk-1", {}, 0))
    assert (sent.headers, sent.params) == (
        {"Authorization": "Bearer sk-1"},
        {"file_id": "1"},
    )
    sent = minimax.authorize(call, Credentials("sk-1", {"group_id": "77"}, 0))
    assert sent.params == {"file_id": "1", "GroupId": "77"}


def test_good_key_is_told_that_there_is_no_such_job():
    play(minimax.test(), recorded("minimax/unknown"))
    with pytest.raises(errors.KeyRefused):
        play(minimax.test(), reply_of(2049))
    with pytest.raises(errors.NotFound):
        play(minimax.test(), raw(b"<html>", "text/html", 404))
