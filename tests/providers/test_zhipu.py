"""Zhipu's adapter: every row of its mappings, states, result shapes and errors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, zhipu
from providers.dialects import zhipu_models
from providers.dialects.zhipu_models import Api
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Credentials,
    GenerationRequest,
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
BASE64 = "iVBORw0KGgo="
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
PROMPT = "a lighthouse made of paper, dawn"
REFERENCE = "0123456789abcdef"
V3, V2, FLASH = "cogvideox-3", "cogvideox-2", "cogvideox-flash"
GLM, VIEW, DATED, FREE = (
    "glm-image",
    "cogview-4",
    "cogview-4-250304",
    "cogview-3-flash",
)
TTS = "glm-tts"
JOB = Remote("48130572690114385-6120934475508213907")

REPLIES = {
    Api.COGVIDEO: recorded("zhipu/submit"),
    Api.VIDU: recorded("zhipu/submit"),
    Api.IMAGE: recorded("zhipu/images"),
    Api.ASYNC_IMAGE: recorded("zhipu/submit"),
    Api.SPEECH: raw(WAV, "audio/wav"),
}


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    media_type = zhipu_models.BY_NAME[model].model.media_type
    return a_request(model=model, media_type=media_type, images=images, **fields)


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit."""
    files = [raw(PNG, "image/png") for each in images if each.uploaded]
    reply = REPLIES[Api(zhipu_models.BY_NAME[model].api)]
    request = wanted(model, *images, **fields)
    calls = calls_of(zhipu.submit(request), *files, reply)
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    assert all(call.public for call in calls[:-1])
    return calls[-1]


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = submitted(model, *images, **fields).json
    return body


def answered(model: str, reply: Reply, **fields: Any) -> Snapshot:
    return play(zhipu.submit(wanted(model, **fields)), reply)


def looked(name: str, status: int = 200) -> Snapshot:
    return play(zhipu.poll(JOB), recorded(f"zhipu/{name}", status=status))


def refused(code: Any, status: int = 400) -> Reply:
    return answer({"error": {"code": code, "message": "no"}}, status=status)


# Submit: videos


def test_video_is_asked_for_in_the_upstreams_words():
    call = submitted(
        V3,
        an_image_url(A),
        duration=10.0,
        size="1920*1080",
        quality="high",
        metadata={
            "fps": 60,
            "with_audio": True,
            "watermark_enabled": False,
            "user_id": "user-000042",
            "sensitive_word_check": {"type": "ALL", "status": "DISABLE"},
            "model": "cheap",
            "request_id": "mine-0000",
        },
    )
    assert (call.method, call.url) == ("POST", "/videos/generations")
    assert call.json == {
        "model": V3,
        "prompt": PROMPT,
        "image_url": A,
        "size": "1920x1080",
        "duration": 10,
        "quality": "quality",
        "fps": 60,
        "with_audio": True,
        "watermark_enabled": False,
        "user_id": "user-000042",
        "sensitive_word_check": {"type": "ALL", "status": "DISABLE"},
        "request_id": REFERENCE,
    }


def test_what_is_not_asked_for_is_left_to_the_model():
    assert body_of(V3) == {"model": V3, "prompt": PROMPT, "request_id": REFERENCE}
    assert "request_id" not in body_of(V3, submission_key="")


@pytest.mark.parametrize(
    ("model", "images", "field"),
    [
        (V3, (an_image_url(A),), A),
        (V3, (an_upload(),), BASE64),
        (V3, (an_image_url(A), an_upload()), [A, BASE64]),
        (V2, (an_image_url(A),), A),
        ("viduq1-image", (an_image_url(A),), A),
        ("vidu2-image", (an_upload(),), BASE64),
        ("viduq1-start-end", (an_image_url(A), an_image_url(B)), [A, B]),
        ("vidu2-start-end", (an_image_url(A), an_image_url(B)), [A, B]),
        ("vidu2-reference", (an_image_url(A),), [A]),
        ("vidu2-reference", tuple(map(an_image_url, (A, B, C))), [A, B, C]),
    ],
)
def test_images_are_one_text_or_a_list(
    model: str, images: tuple[MediaInput, ...], field: Any
):
    assert body_of(model, *images)["image_url"] == field


def test_image_alone_is_enough_for_a_video():
    assert "prompt" not in body_of(V3, an_image_url(A), prompt=None)
    with pytest.raises(errors.Rejected):
        play(zhipu.submit(wanted(V3, prompt=None)))


@pytest.mark.parametrize(
    ("model", "fields", "size"),
    [
        (V3, {"size": "1024x1024"}, "1024x1024"),
        (V3, {"width": 1080, "height": 1920}, "1080x1920"),
        (V3, {"size": "1280x720", "aspect_ratio": "9:16"}, "1280x720"),
        (V3, {"resolution": "720p"}, "1280x720"),
        (V3, {"resolution": "720P", "aspect_ratio": "16:9"}, "1280x720"),
        (V3, {"resolution": "720P", "aspect_ratio": "9:16"}, "720x1280"),
        (V3, {"resolution": "1080P", "aspect_ratio": "9/16"}, "1080x1920"),
        (V3, {"resolution": "720P", "aspect_ratio": "1:1"}, "1024x1024"),
        (V3, {"resolution": "2K"}, "2048x1080"),
        (V3, {"resolution": "4k"}, "3840x2160"),
        (V3, {"aspect_ratio": "16:9"}, "1920x1080"),
        (V3, {"aspect_ratio": "1 : 1"}, "1024x1024"),
        (V2, {"aspect_ratio": "3:4"}, "960x1280"),
        (V2, {"aspect_ratio": "4:3"}, "1280x960"),
        (V2, {"resolution": "960P"}, "1280x960"),
        (V2, {"resolution": "1080P", "aspect_ratio": "1:1"}, "1024x1024"),
        (FLASH, {"resolution": "480P"}, "720x480"),
    ],
)
def test_shape_and_resolution_become_an_offered_size(
    model: str, fields: dict[str, Any], size: str
):
    body = body_of(model, **fields)
    assert body["size"] == size
    assert not {"aspect_ratio", "resolution"} & body.keys()


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        ("high", "quality"),
        ("HD", "quality"),
        ("quality", "quality"),
        ("speed", "speed"),
        ("standard", "speed"),
        ("low", "speed"),
    ],
)
def test_quality_of_a_video_is_one_of_two_words(quality: str, word: str):
    assert body_of(V3, quality=quality)["quality"] == word


@pytest.mark.parametrize(("model", "sent"), [(V3, 5), (V2, None), (FLASH, None)])
def test_length_is_said_where_there_is_a_field_for_it(model: str, sent: int | None):
    assert body_of(model, duration=5.0).get("duration") == sent


def test_hosted_vidu_has_words_of_its_own():
    body = body_of(
        "viduq1-text",
        aspect_ratio="9/16",
        duration=5.0,
        resolution="1080p",
        style="anime",
        metadata={"movement_amplitude": "large", "off_peak": True},
    )
    assert body == {
        "model": "viduq1-text",
        "prompt": PROMPT,
        "aspect_ratio": "9:16",
        "duration": 5,
        "style": "anime",
        "movement_amplitude": "large",
        "off_peak": True,
        "request_id": REFERENCE,
    }


# Submit: images


def test_image_is_asked_for_and_answered_at_once():
    call = submitted(DATED, size="768x1344", quality="high", metadata={"user_id": "u1"})
    assert (call.method, call.url) == ("POST", "/images/generations")
    assert call.json == {
        "model": DATED,
        "prompt": PROMPT,
        "size": "768x1344",
        "quality": "hd",
        "user_id": "u1",
        "request_id": REFERENCE,
    }


def test_glm_image_is_a_job():
    call = submitted(GLM)
    assert (call.method, call.url) == ("POST", "/async/images/generations")
    assert call.json == {"model": GLM, "prompt": PROMPT, "request_id": REFERENCE}


@pytest.mark.parametrize(
    ("model", "fields", "size"),
    [
        (GLM, {"size": "1728x960"}, "1728x960"),
        (GLM, {"aspect_ratio": "16:9"}, "1728x960"),
        (GLM, {"aspect_ratio": "2:3"}, "1056x1568"),
        (GLM, {"aspect_ratio": "1:1"}, "1280x1280"),
        (VIEW, {"width": 1440, "height": 720}, "1440x720"),
        (VIEW, {"aspect_ratio": "9:16"}, "768x1344"),
        (FREE, {"aspect_ratio": "4:3"}, "1152x864"),
        (FREE, {"aspect_ratio": "1/2"}, "720x1440"),
    ],
)
def test_shape_of_an_image_is_a_recommended_size(
    model: str, fields: dict[str, Any], size: str
):
    assert body_of(model, **fields)["size"] == size


@pytest.mark.parametrize(
    ("model", "quality", "word"),
    [(GLM, "hd", "hd"), (DATED, "HD", "hd"), (VIEW, "Standard", "standard")],
)
def test_quality_of_an_image_is_passed_on(model: str, quality: str, word: str):
    assert body_of(model, quality=quality)["quality"] == word


# Submit: speech


def test_speech_is_asked_for_with_its_voice_and_format():
    call = submitted(
        TTS,
        input="Mind the step.",
        voice="jam",
        speed=1.5,
        output_format="PCM",
        metadata={"volume": 2.0, "stream": True, "encode_format": "hex"},
    )
    assert (call.method, call.url) == ("POST", "/audio/speech")
    assert call.json == {
        "model": TTS,
        "input": "Mind the step.",
        "voice": "jam",
        "speed": 1.5,
        "response_format": "pcm",
        "volume": 2.0,
        "request_id": REFERENCE,
    }


def test_format_and_voice_of_a_speech_are_always_said():
    body = body_of(TTS)
    assert (body["input"], body["voice"]) == (PROMPT, "tongtong")
    assert body["response_format"] == "wav"


# Refused inputs


@pytest.mark.parametrize(
    ("model", "fields", "culprit"),
    [
        (V3, {"negative_prompt": "fog"}, "negative_prompt"),
        (V3, {"seed": 1}, "seed"),
        (V3, {"n": 2}, "n"),
        (V3, {"style": "anime"}, "style"),
        (V3, {"duration": 6.0}, "duration"),
        (V3, {"size": "1024x768"}, "size"),
        (V3, {"aspect_ratio": "4:3"}, "aspect_ratio"),
        (V3, {"resolution": "480P"}, "resolution"),
        (V3, {"prompt": "a" * 513}, "prompt"),
        (V3, {"images": (an_image_url(),) * 3}, "images"),
        (V3, {"output_format": "webm"}, "output_format"),
        (V2, {"images": (an_image_url(),) * 2}, "images"),
        (V2, {"size": "1280x720"}, "size"),
        (FLASH, {"resolution": "720P"}, "resolution"),
        ("viduq1-text", {"images": (an_image_url(),)}, "images"),
        ("viduq1-text", {"duration": 4.0}, "duration"),
        ("viduq1-text", {"aspect_ratio": "4:3"}, "aspect_ratio"),
        ("viduq1-image", {}, "images"),
        ("viduq1-image", {"images": (an_image_url(),) * 2}, "images"),
        ("vidu2-image", {"images": (an_image_url(),), "duration": 5.0}, "duration"),
        ("vidu2-image", {"images": (an_image_url(),), "style": "anime"}, "style"),
        (
            "vidu2-start-end",
            {"images": (an_image_url(),) * 2, "aspect_ratio": "1:1"},
            "aspect_ratio",
        ),
        ("vidu2-reference", {"images": (an_image_url(),) * 4}, "images"),
        ("vidu2-reference", {"images": (an_image_url(),), "quality": "hd"}, "quality"),
        (GLM, {"images": (an_image_url(),)}, "images"),
        (GLM, {"size": "1000x1000"}, "size"),
        (GLM, {"quality": "standard"}, "quality"),
        (GLM, {"n": 2}, "n"),
        (VIEW, {"quality": "hd"}, "quality"),
        (VIEW, {"size": "500x512"}, "size"),
        (VIEW, {"size": "2048x2048"}, "size"),
        (DATED, {"size": "1000x1000"}, "size"),
        (DATED, {"resolution": "2K"}, "resolution"),
        (FREE, {"quality": "hd"}, "quality"),
        (TTS, {"input": "a" * 1025}, "input"),
        (TTS, {"speed": 2.1}, "speed"),
        (TTS, {"speed": 0.4}, "speed"),
        (TTS, {"output_format": "mp3"}, "output_format"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(
    model: str, fields: dict[str, Any], culprit: str
):
    described = zhipu.PROVIDER.describe(model)
    assert described is not None
    assert list(find_problems({"prompt": "x", **fields}, described)) == [culprit]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (V3, {"resolution": "4K", "aspect_ratio": "9:16"}),
        (V3, {"resolution": "4K", "aspect_ratio": "1:1"}),
        (V3, {"size": "large"}),
        (V3, {"duration": 5.5}),
        ("vidu2-start-end", {"images": (an_image_url(),)}),
        (GLM, {"aspect_ratio": "wide"}),
        (VIEW, {"size": "auto"}),
    ],
)
def test_what_cannot_be_said_is_refused_before_it_costs(
    model: str, fields: dict[str, Any]
):
    images = fields.pop("images", ())
    with pytest.raises(errors.Rejected):
        play(zhipu.submit(wanted(model, *images, **fields)))


def test_unknown_model_is_not_offered():
    with pytest.raises(errors.ModelRefused):
        play(zhipu.submit(a_request(model="cogvideox-9")))


# What a submit answers


@pytest.mark.parametrize("model", [V3, "viduq1-text", GLM])
def test_accepted_job_is_known_by_its_id(model: str):
    snapshot = answered(model, recorded("zhipu/submit"))
    assert snapshot == Snapshot(phase=Phase.PENDING, remote=JOB)


def test_job_may_have_failed_at_once():
    snapshot = answered(V3, recorded("zhipu/submit_failed"))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.code == "task_failed"


def test_image_comes_with_the_answer():
    snapshot = answered(VIEW, recorded("zhipu/images"))
    assert snapshot == Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=(Artifact(url="https://files.example.net/cogview/kite.png?x=1%2F2"),),
    )


def test_image_is_read_under_its_other_names():
    artifacts = answered(VIEW, recorded("zhipu/images_other_names")).artifacts
    assert artifacts == (
        Artifact(url="https://files.example.net/cogview/a.png"),
        Artifact(content=PNG),
        Artifact(content=PNG),
    )


@pytest.mark.parametrize(
    ("form", "content", "told", "content_type"),
    [
        ("wav", WAV, "audio/wav", "audio/wav"),
        ("wav", b"\x01\x00\x02\x00", "application/octet-stream", "audio/wav"),
        ("pcm", b"\x01\x00\x02\x00", "audio/pcm", "audio/pcm"),
        ("pcm", WAV, "audio/wav", "audio/wav"),
    ],
)
def test_speech_is_the_bytes_of_the_answer(
    form: str, content: bytes, told: str, content_type: str
):
    snapshot = answered(TTS, raw(content, told), output_format=form)
    assert snapshot == Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=(Artifact(content=content, content_type=content_type),),
    )


@pytest.mark.parametrize(
    ("model", "reply"),
    [
        (V3, recorded("zhipu/submit_without_id")),
        (V3, refused("7777", 200)),
        (VIEW, recorded("zhipu/images_none")),
        (VIEW, recorded("zhipu/submit")),
        (TTS, raw(b"", "audio/wav")),
        (TTS, raw(b"<html>", "text/html")),
        (TTS, answer({"data": "?"})),
        (TTS, refused("7777", 200)),
    ],
)
def test_success_without_a_result_is_unexpected(model: str, reply: Reply):
    with pytest.raises(errors.UnexpectedReply):
        answered(model, reply)


# Errors


CODES = [
    *((401, code, errors.KeyRefused) for code in range(1000, 1006)),
    *((403, code, errors.ChannelRefused) for code in (1110, 1111, 1112, 1120, 1121)),
    (429, 1113, errors.QuotaExhausted),
    (403, 1220, errors.ModelRefused),
    (404, 1222, errors.ModelRefused),
    (400, 1221, errors.ModelRefused),
    *((400, code, errors.Rejected) for code in (1210, 1212, 1213, 1214, 1215)),
    (400, 1211, errors.ModelRefused),
    (400, 1231, errors.OutcomeUnknown),
    (400, 1261, errors.Rejected),
    (400, 1300, errors.ContentRejected),
    (400, 1301, errors.ContentRejected),
    (429, 1302, errors.RateLimited),
    (429, 1303, errors.RateLimited),
    (429, 1304, errors.QuotaExhausted),
    (429, 1305, errors.RateLimited),
    (429, 1308, errors.QuotaExhausted),
    (429, 1309, errors.QuotaExhausted),
    (429, 1310, errors.QuotaExhausted),
    (429, 1311, errors.ModelRefused),
    (429, 1312, errors.RateLimited),
    (429, 1313, errors.QuotaExhausted),
    *((500, code, errors.Unavailable) for code in (500, 1200, 1230, 1234)),
    (503, 1234, errors.Unavailable),
    (429, 7777, errors.RateLimited),
    (400, 7777, errors.Rejected),
    (434, "", errors.Rejected),
    (435, "", errors.Rejected),
]


@pytest.mark.parametrize(("status", "code", "kind"), CODES)
def test_number_decides_what_an_error_means(
    status: int, code: Any, kind: type[errors.ProviderError]
):
    for told in (str(code), code):  # a text is documented
        with pytest.raises(errors.ProviderError) as caught:
            answered(V3, refused(told, status))
        assert type(caught.value) is kind
        assert (caught.value.code, str(caught.value)) == (str(code), "no")
        assert caught.value.status == status


@pytest.mark.parametrize("model", [V3, VIEW, GLM, TTS])
def test_error_is_read_under_http_200_too(model: str):
    with pytest.raises(errors.QuotaExhausted):
        answered(model, recorded("zhipu/error_arrears"))


@pytest.mark.parametrize("model", [V3, VIEW, GLM, TTS])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.KeyRefused),
        (429, errors.RateLimited),
        (400, errors.Rejected),
        (502, errors.Unavailable),
    ],
)
def test_page_of_a_proxy_is_classed_by_its_status(
    model: str, status: int, kind: type[errors.ProviderError]
):
    with pytest.raises(kind):
        answered(model, raw(b"<html></html>", "text/html", status))


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("error_key", 401, errors.KeyRefused),
        ("error_arrears", 429, errors.QuotaExhausted),
        ("error_reference_used", 400, errors.OutcomeUnknown),
        ("error_filtered", 400, errors.ContentRejected),
    ],
)
def test_recorded_refusal_is_read(
    name: str, status: int, kind: type[errors.ProviderError]
):
    with pytest.raises(kind):
        answered(V3, recorded(f"zhipu/{name}", status=status))


# Polls


def test_job_is_looked_at_by_its_id():
    (call,) = calls_of(zhipu.poll(JOB), recorded("zhipu/processing"))
    assert (call.method, call.url) == ("GET", f"/async-result/{JOB.id}")
    (call,) = calls_of(zhipu.poll(Remote("a/b")), recorded("zhipu/processing"))
    assert call.url == "/async-result/a%2Fb"


@pytest.mark.parametrize("name", ["processing", "submit"])
def test_running_job_may_have_no_id_and_an_empty_list(name: str):
    assert looked(name) == Snapshot(phase=Phase.RUNNING)


@pytest.mark.parametrize(
    ("name", "artifacts"),
    [
        (
            "success_video",
            [
                Artifact(
                    url="https://files.example.net/cogvideo/bonsai.mp4?sig=a%2Bb%3D",
                    content_type="video/mp4",
                )
            ],
        ),
        (
            "success_videos",
            [
                Artifact(
                    url=f"https://files.example.net/vidu/{n}.mp4",
                    content_type="video/mp4",
                )
                for n in (1, 2)
            ],
        ),
        (
            "success_image",
            [Artifact(url="https://files.example.net/glm/festival.png")],
        ),
    ],
)
def test_every_result_is_taken_but_no_cover(name: str, artifacts: list[Artifact]):
    snapshot = looked(name)
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert list(snapshot.artifacts) == artifacts


@pytest.mark.parametrize(
    ("name", "status", "reason", "code"),
    [
        ("fail", 200, Reason.UPSTREAM_FAILED, "task_failed"),
        ("fail_blocked", 200, Reason.CONTENT_REJECTED, "1301"),
        ("fail_field", 200, Reason.INVALID_REQUEST, "1214"),
        ("error_filtered", 400, Reason.CONTENT_REJECTED, "1301"),
    ],
)
def test_failed_job_is_a_value_with_its_reason(
    name: str, status: int, reason: Reason, code: str
):
    snapshot = looked(name, status)
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)


@pytest.mark.parametrize(
    ("code", "reason"),
    [("1261", Reason.INVALID_REQUEST), ("7777", Reason.UPSTREAM_FAILED)],
)
def test_refusal_of_a_look_that_is_not_about_the_id_is_the_jobs_end(
    code: str, reason: Reason
):
    snapshot = play(zhipu.poll(JOB), refused(code))
    assert snapshot.failure is not None
    assert (snapshot.phase, snapshot.failure.reason) == (Phase.FAILED, reason)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (recorded("zhipu/error_unknown_task", status=400), errors.NotFound),
        (recorded("zhipu/error_unknown_task", status=404), errors.NotFound),
        (refused("1222", 404), errors.NotFound),
        (answer({}, status=404), errors.NotFound),
        (recorded("zhipu/error_key", status=401), errors.KeyRefused),
        (recorded("zhipu/error_arrears", status=429), errors.QuotaExhausted),
        (refused("1220", 403), errors.ModelRefused),
        (refused("1302", 429), errors.RateLimited),
        (refused("1234", 503), errors.Unavailable),
        (raw(b"<html>", "text/html", 400), errors.Rejected),
        (raw(b"<html>", "text/html", 502), errors.Unavailable),
        (recorded("zhipu/success_without_result"), errors.UnexpectedReply),
        (answer({"task_status": "SUCCEEDED"}), errors.UnexpectedReply),
        (answer({"id": JOB.id}), errors.UnexpectedReply),
        (
            answer({"task_status": "SUCCESS", "video_result": [{"url": ""}]}),
            errors.UnexpectedReply,
        ),
    ],
)
def test_look_that_tells_nothing_of_the_job_raises(
    reply: Reply, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(zhipu.poll(JOB), reply)
    assert type(caught.value) is kind


# Credentials


def part(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def authorized(secret: str, **settings: str) -> str:
    call = Call("GET", "/async-result/0")
    sent = zhipu.authorize(call, Credentials(secret, settings, 1_795_340_000.25))
    scheme, _, token = sent.headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    return token


def test_key_is_sent_as_it_is():
    assert authorized("k1.s1") == "k1.s1"
    assert authorized("one-piece", token="jwt") == "one-piece"


@pytest.mark.parametrize("mark", [".", ":"])
def test_key_signs_a_token_where_the_channel_says_so(mark: str):
    header, claims, mac = authorized(f"k1{mark}s1", token="jwt").split(".")
    assert part(header) == {"alg": "HS256", "sign_type": "SIGN", "typ": "JWT"}
    assert part(claims) == {
        "api_key": "k1",
        "timestamp": 1_795_340_000_250,
        "exp": 1_795_340_210_250,
    }
    expected = hmac.digest(b"s1", f"{header}.{claims}".encode(), hashlib.sha256)
    assert base64.urlsafe_b64decode(mac + "=") == expected


def test_good_key_is_told_that_there_is_no_such_job():
    play(zhipu.test(), recorded("zhipu/error_unknown_task", status=400))
    with pytest.raises(errors.KeyRefused):
        play(zhipu.test(), recorded("zhipu/error_key", status=401))
    with pytest.raises(errors.NotFound):
        play(zhipu.test(), raw(b"<html>", "text/html", 404))


def test_both_sites_offer_the_same():
    assert zhipu.ZAI.models == zhipu.PROVIDER.models
    assert zhipu.ZAI.base_url == "https://api.z.ai/api/paas/v4"
    assert zhipu.PROVIDER.base_url == "https://open.bigmodel.cn/api/paas/v4"
