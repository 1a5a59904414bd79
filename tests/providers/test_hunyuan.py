"""Hunyuan's adapter: every row of its mappings, states, result shapes and errors."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, hunyuan
from providers.dialects import hunyuan_bodies, hunyuan_models, tencent_tc3
from providers.flow import Call
from providers.types import (
    Artifact,
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

IMAGE, TALK, LITE = "hunyuan-image", "hunyuan-image-chat", "hunyuan-image-lite"
FILM, MOVING, PRO = "hunyuan-video", "hunyuan-i2v", "aiart-pro"
PROVIDERS = {
    IMAGE: hunyuan.PROVIDER,
    TALK: hunyuan.PROVIDER,
    LITE: hunyuan.PROVIDER,
    FILM: hunyuan.VIDEO,
    MOVING: hunyuan.VIDEO,
    PRO: hunyuan.ART,
}
EACH = (hunyuan.PROVIDER, hunyuan.VIDEO, hunyuan.ART)
JOB = "1307215580042917765"
FILM_JOB = Remote(JOB, {"query": "DescribeHunyuanToVideoJob"})
IMAGE_JOB = Remote(JOB, {"query": "QueryHunyuanImageJob"})
PNG = b"\x89PNG\r\n\x1a\n"
ENCODED = "iVBORw0KGgo="
PROMPT = "a lighthouse made of paper, dawn"
A = "https://cdn.example.com/a.png"

each_service = pytest.mark.parametrize(
    "provider", EACH, ids=[provider.name for provider in EACH]
)


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    described = hunyuan_models.BY_NAME[model].model
    return a_request(
        model=model, media_type=described.media_type, images=images, **fields
    )


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit."""
    files = [raw(PNG, "image/png") for image in images if image.uploaded]
    accepts = "hunyuan/lite_link" if model == LITE else "hunyuan/submit"
    flow = PROVIDERS[model].submit(wanted(model, *images, **fields))
    calls = calls_of(flow, *files, recorded(accepts))
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    return calls[-1]


def said(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    """The body of a submit without the prompt."""
    body: dict[str, Any] = submitted(model, *images, **fields).json
    return {name: value for name, value in body.items() if name != "Prompt"}


def looked(remote: Remote, reply: str) -> Snapshot:
    return play(hunyuan.poll(remote), recorded(f"hunyuan/{reply}"))


# --- the signature

NOW = 1795345127.0
BODY = {"Prompt": "a", "Resolution": "720p"}
TEXT = b'{"Prompt": "a", "Resolution": "720p"}'
# id AKIDEX, key SKEX, service vclm, host 127.0.0.1:9, as the official SDK signs it
SIGNATURE = "8a24ed75bbdf0ba33b8f259afcc478d16029de4489d42c9031dcf1da5c24fb06"
BODY_HASH = "ed5e09fbc018d3df3e1794763e03484dc049f07b9a6b8d8ddd8223c9d445343b"
REQUEST_HASH = "07aad6e778c0fd644eb82fe77adb4d9b1737f114925fd0ca93a616cc86d75702"
URL = "http://127.0.0.1:9/"


def authorized(
    call: Call, secret: str = "AKIDEX:SKEX", provider: Provider = hunyuan.VIDEO
) -> Call:
    return provider.authorize(call, Credentials(secret, {}, NOW))


@pytest.mark.parametrize(
    "call", [Call("POST", URL, json=BODY), Call("POST", URL, body=TEXT)]
)
@pytest.mark.parametrize("secret", ["AKIDEX:SKEX", "AKIDEX|SKEX", " AKIDEX:SKEX\n"])
def test_the_known_signature_comes_out(call: Call, secret: str):
    ready = authorized(call, secret)
    assert (ready.json, ready.body) == (None, TEXT)
    assert ready.headers == {
        "Content-Type": "application/json",
        "X-TC-Timestamp": "1795345127",
        "X-TC-Region": "ap-guangzhou",
        "Authorization": (
            "TC3-HMAC-SHA256 Credential=AKIDEX/2026-11-22/vclm/tc3_request, "
            f"SignedHeaders=content-type;host, Signature={SIGNATURE}"
        ),
    }


def test_the_canonical_request_is_the_known_one():
    assert tencent_tc3.sha256(TEXT) == BODY_HASH
    text = tencent_tc3.canonical_request(Call("POST", URL), "", TEXT)
    assert hashlib.sha256(text.encode()).hexdigest() == REQUEST_HASH
    assert text.split("\n") == [
        "POST",
        "/",
        "",
        "content-type:application/json",
        "host:127.0.0.1:9",
        "",
        "content-type;host",
        BODY_HASH,
    ]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://vclm.tencentcloudapi.com:443/", "vclm.tencentcloudapi.com"),
        ("https://vclm.tencentcloudapi.com", "vclm.tencentcloudapi.com"),
        ("/", "vclm.tencentcloudapi.com"),
        ("http://H.example:80/", "h.example"),
        ("http://h.example:443/", "h.example:443"),
    ],
)
def test_the_host_is_signed_as_it_is_sent(url: str, host: str):
    text = tencent_tc3.canonical_request(
        Call("POST", url), "vclm.tencentcloudapi.com", b""
    )
    assert f"\nhost:{host}\n" in text
    assert text.startswith("POST\n/\n\n")


def test_a_temporary_pair_sends_its_token():
    call = Call("POST", URL, json=BODY)
    ready = authorized(call, "AKIDEX:SKEX:STS2abc")
    assert ready.headers["X-TC-Token"] == "STS2abc"
    assert SIGNATURE in ready.headers["Authorization"]
    assert "X-TC-Token" not in authorized(call).headers


def test_another_region_is_a_setting_that_is_not_signed():
    ready = hunyuan.VIDEO.authorize(
        Call("POST", URL, json=BODY),
        Credentials("AKIDEX:SKEX", {"region": "ap-singapore"}, NOW),
    )
    assert ready.headers["X-TC-Region"] == "ap-singapore"
    assert SIGNATURE in ready.headers["Authorization"]


@pytest.mark.parametrize(
    ("provider", "scope"),
    [
        (hunyuan.PROVIDER, "hunyuan"),
        (hunyuan.VIDEO, "vclm"),
        (hunyuan.ART, "aiart"),
    ],
    ids=["images", "videos", "art"],
)
def test_each_service_has_its_own_scope_and_host(provider: Provider, scope: str):
    assert provider.base_url == f"https://{scope}.tencentcloudapi.com"
    ready = authorized(Call("POST", f"{provider.base_url}/"), provider=provider)
    scoped = f"Credential=AKIDEX/2026-11-22/{scope}/tc3_request"
    assert scoped in ready.headers["Authorization"]
    relative = authorized(Call("POST", "/"), provider=provider)
    assert relative.headers == ready.headers


@pytest.mark.parametrize("secret", ["", "AKIDEX", "AKIDEX:", ":SKEX", "a:b:c:d"])
def test_a_secret_without_its_two_parts_is_refused(secret: str):
    with pytest.raises(errors.KeyRefused, match="<SecretId>"):
        authorized(Call("POST", URL), secret)


def test_a_pair_does_not_show_its_key():
    assert "SKEX" not in repr(tencent_tc3.read_pair("AKIDEX:SKEX:SKEXTOKEN"))


# --- submit

ACTIONS = [
    (FILM, "SubmitHunyuanToVideoJob", "DescribeHunyuanToVideoJob", "2024-05-23"),
    (
        MOVING,
        "SubmitImageToVideoGeneralJob",
        "DescribeImageToVideoGeneralJob",
        "2024-05-23",
    ),
    (IMAGE, "SubmitHunyuanImageJob", "QueryHunyuanImageJob", "2023-09-01"),
    (TALK, "SubmitHunyuanImageChatJob", "QueryHunyuanImageChatJob", "2023-09-01"),
    (PRO, "SubmitTextToImageProJob", "QueryTextToImageProJob", "2022-12-29"),
]


@pytest.mark.parametrize(("model", "action", "query", "version"), ACTIONS)
def test_a_model_is_a_pair_of_actions(
    model: str, action: str, query: str, version: str
):
    call = submitted(model, *[an_image_url(A)] * (model == MOVING))
    assert (call.method, call.url, dict(call.params)) == ("POST", "/", {})
    assert call.headers == {"X-TC-Action": action, "X-TC-Version": version}
    images = [an_image_url(A)] * (model == MOVING)
    start = play(
        PROVIDERS[model].submit(wanted(model, *images)), recorded("hunyuan/submit")
    )
    assert start == Snapshot(phase=Phase.PENDING, remote=Remote(JOB, {"query": query}))
    assert start.remote is not None
    reply = "film_wait" if "Describe" in query else "images_waiting"
    (look,) = calls_of(hunyuan.poll(start.remote), recorded(f"hunyuan/{reply}"))
    assert (look.method, look.url, look.paid) == ("POST", "/", False)
    assert look.headers == {"X-TC-Action": query, "X-TC-Version": version}
    assert look.json == {"JobId": JOB}


def test_a_whole_body_is_as_documented():
    call = submitted(
        IMAGE,
        prompt="a stamp showing a crane",
        negative_prompt="text",
        size="1024x768",
        n=2,
        seed=15,
        callback_url="https://gw.example/up/1/abc",
        metadata={"LogoAdd": 0},
    )
    assert call.json == {
        "Prompt": "a stamp showing a crane",
        "NegativePrompt": "text",
        "Resolution": "1024:768",
        "Num": 2,
        "Revise": 0,
        "Seed": 15,
        "LogoAdd": 0,
    }


LINK = {"Image": {"Url": A}}


@pytest.mark.parametrize(
    ("model", "images", "fields", "body"),
    [
        (FILM, [], {}, {}),
        (FILM, [an_image_url(A)], {}, LINK),
        (FILM, [an_upload()], {}, {"Image": {"Base64": ENCODED}}),
        (FILM, [], {"resolution": "720P"}, {"Resolution": "720p"}),
        (MOVING, [an_upload()], {}, {"Image": {"Base64": ENCODED}}),
        (
            MOVING,
            [an_image_url(A)],
            {"resolution": " 1080P", "metadata": {"Fps": 24, "LogoAdd": 0}},
            {**LINK, "Resolution": "1080p", "Fps": 24, "LogoAdd": 0},
        ),
        (IMAGE, [], {}, {"Num": 1}),
        (IMAGE, [], {"n": 4}, {"Num": 4}),
        (
            IMAGE,
            [an_image_url(A)],
            {},
            {"Num": 1, "ContentImage": {"ImageUrl": A}},
        ),
        (
            IMAGE,
            [an_upload()],
            {"size": "768x1024"},
            {
                "Num": 1,
                "ContentImage": {"ImageBase64": ENCODED},
                "Resolution": "768:1024",
            },
        ),
        (
            IMAGE,
            [],
            {"width": 1280, "height": 768},
            {"Num": 1, "Resolution": "1280:768"},
        ),
        (IMAGE, [], {"style": "riman"}, {"Num": 1, "Style": "riman"}),
        (IMAGE, [], {"seed": 3}, {"Num": 1, "Seed": 3, "Revise": 0}),
        (
            IMAGE,
            [],
            {"seed": 3, "metadata": {"Revise": 1, "Clarity": "x2", "Num": 9}},
            {"Num": 1, "Seed": 3, "Revise": 1, "Clarity": "x2"},
        ),
        (TALK, [], {}, {}),
        (TALK, [], {"metadata": {"ChatId": "c1"}}, {"ChatId": "c1"}),
        (LITE, [], {}, {"RspImgType": "url"}),
        (
            LITE,
            [],
            {"style": "000", "size": "1920x1080", "negative_prompt": "fog"},
            {
                "RspImgType": "url",
                "Style": "000",
                "Resolution": "1920:1080",
                "NegativePrompt": "fog",
            },
        ),
        (
            LITE,
            [],
            {"metadata": {"response_format": "b64_json"}},
            {"RspImgType": "base64"},
        ),
        (LITE, [], {"metadata": {"response_format": "url"}}, {"RspImgType": "url"}),
        (LITE, [], {"metadata": {"RspImgType": "base64"}}, {"RspImgType": "base64"}),
        (
            PRO,
            [],
            {"aspect_ratio": "5:3", "style": "7", "metadata": {"Engine": "engine2"}},
            {"Resolution": "1280:768", "Style": "7", "Engine": "engine2"},
        ),
    ],
)
def test_fields_are_said_in_the_words_of_the_action(
    model: str, images: list[MediaInput], fields: dict[str, Any], body: dict[str, Any]
):
    assert said(model, *images, **fields) == body


def test_the_general_input_stands_in_for_a_prompt():
    assert submitted(PRO, prompt=None, input="a kite").json["Prompt"] == "a kite"
    assert "Prompt" not in submitted(MOVING, an_image_url(A), prompt=None).json


@pytest.mark.parametrize(
    ("ratio", "resolution"),
    [
        ("1:1", "1024:1024"),
        ("4:3", "1024:768"),
        ("3:4", "768:1024"),
        ("16:9", "1280:720"),
        ("9/16", "720:1280"),
        ("3:5", "768:1280"),
        ("5 : 3", "1280:768"),
    ],
)
@pytest.mark.parametrize("model", [IMAGE, LITE, PRO])
def test_a_ratio_is_a_resolution_with_a_colon(model: str, ratio: str, resolution: str):
    assert said(model, aspect_ratio=ratio)["Resolution"] == resolution


@pytest.mark.parametrize(
    ("model", "images", "fields", "told"),
    [
        (IMAGE, 1, {"aspect_ratio": "16:9"}, "with an input image"),
        (IMAGE, 1, {"size": "1280x768"}, "with an input image"),
        (IMAGE, 2, {}, "takes 1"),
        (IMAGE, 0, {"seed": 0}, "seed"),
        (IMAGE, 0, {"seed": -1}, "seed"),
        (IMAGE, 0, {"negative_prompt": "x" * 1025}, "1,024"),
        (IMAGE, 0, {"size": "auto"}, "WIDTHxHEIGHT"),
        (IMAGE, 0, {"aspect_ratio": "2:1"}, "aspect_ratio"),
        (LITE, 0, {"negative_prompt": "x" * 257}, "256"),
        (LITE, 0, {"metadata": {"response_format": "png"}}, "b64_json"),
        (PRO, 1, {}, "takes 0"),
    ],
)
def test_what_an_action_cannot_express_is_rejected_before_anything_is_sent(
    model: str, images: int, fields: dict[str, Any], told: str
):
    request = wanted(model, *[an_image_url(A)] * images, **fields)
    with pytest.raises(errors.Rejected, match=told):
        play(PROVIDERS[model].submit(request))


def test_an_upload_that_is_too_large_is_rejected():
    most = hunyuan_bodies.BASE64_LENGTH * 3 // 4
    for size, fits in ((most, True), (most + 1, False)):
        flow = hunyuan.VIDEO.submit(wanted(MOVING, an_upload()))
        file = raw(PNG + bytes(size - len(PNG)), "image/png")
        if fits:
            play(flow, file, recorded("hunyuan/submit"))
        else:
            with pytest.raises(errors.Rejected, match="6,291,456"):
                play(flow, file)


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        (FILM, {"prompt": "x" * 201}, "prompt"),
        (FILM, {"images": (A, A)}, "images"),
        (FILM, {"resolution": "1080P"}, "resolution"),
        (FILM, {"duration": 5.0}, "duration"),
        (FILM, {"aspect_ratio": "16:9"}, "aspect_ratio"),
        (FILM, {"size": "1280x720"}, "size"),
        (FILM, {"seed": 1}, "seed"),
        (FILM, {"n": 2}, "n"),
        (MOVING, {"prompt": "x"}, "images"),
        (MOVING, {"images": (A,), "resolution": "2K"}, "resolution"),
        (MOVING, {"images": (A,), "negative_prompt": "x"}, "negative_prompt"),
        (IMAGE, {"images": (A,)}, "prompt"),
        (IMAGE, {"prompt": "x" * 1025}, "prompt"),
        (IMAGE, {"prompt": "x", "images": (A, A)}, "images"),
        (IMAGE, {"prompt": "x", "n": 5}, "n"),
        (IMAGE, {"prompt": "x", "size": "512x512"}, "size"),
        (IMAGE, {"prompt": "x", "size": "1080x1920"}, "size"),
        (IMAGE, {"prompt": "x", "aspect_ratio": "2:1"}, "aspect_ratio"),
        (IMAGE, {"prompt": "x", "resolution": "2K"}, "resolution"),
        (TALK, {"prompt": "x", "size": "1024x1024"}, "size"),
        (TALK, {"prompt": "x", "images": (A,)}, "images"),
        (TALK, {"prompt": "x", "seed": 2}, "seed"),
        (LITE, {"prompt": "x" * 257}, "prompt"),
        (LITE, {"prompt": "x", "n": 2}, "n"),
        (LITE, {"prompt": "x", "seed": 2}, "seed"),
        (PRO, {"prompt": "x" * 101}, "prompt"),
        (PRO, {"prompt": "x", "negative_prompt": "y"}, "negative_prompt"),
    ],
)
def test_intake_refuses_what_a_model_cannot_do(
    model: str, fields: dict[str, Any], field: str
):
    described = PROVIDERS[model].describe(model)
    assert described is not None
    assert list(find_problems(fields, described)) == [field]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (FILM, {"images": (A,)}),
        (MOVING, {"images": (A,), "resolution": "480p"}),
        (LITE, {"prompt": "x", "size": "1080x1920", "style": "101"}),
        (IMAGE, {"prompt": "x", "n": 4, "seed": 7, "images": (A,)}),
        (PRO, {"prompt": "x" * 100, "aspect_ratio": "9:16"}),
    ],
)
def test_intake_takes_what_a_model_can_do(model: str, fields: dict[str, Any]):
    described = PROVIDERS[model].describe(model)
    assert described is not None
    assert find_problems(fields, described) == {}


@each_service
def test_a_model_of_another_service_is_refused(provider: Provider):
    for model, home in PROVIDERS.items():
        if home is provider:
            assert provider.describe(model) is not None
            continue
        assert provider.describe(model) is None
        with pytest.raises(errors.ModelRefused):
            play(provider.submit(wanted(model)))


@pytest.mark.parametrize(
    "body",
    [
        {"Response": {"RequestId": "r"}},
        {"Response": {"JobId": ""}},
        {"Response": {"JobId": None}},
        {"Response": {"JobId": 1305678901234567890}},
        {"Response": {"Error": None}},
        {"Response": {"Error": {"Code": "", "Message": "?"}}},
        {"Response": None},
        {"JobId": JOB},
    ],
)
def test_a_success_without_an_id_is_no_answer(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(hunyuan.PROVIDER.submit(wanted(IMAGE)), answer(body))


@pytest.mark.parametrize(
    ("reply", "artifact"),
    [
        (
            "lite_link",
            Artifact(
                url=(
                    "https://aiart-1258.cos.ap-guangzhou.myqcloud.com/lite/1.png"
                    "?q-sign-algorithm=sha1&q-signature=a7%2B"
                ),
                content_type="image/png",
            ),
        ),
        ("lite_inline", Artifact(content=PNG)),
    ],
)
def test_lite_brings_its_image_along(reply: str, artifact: Artifact):
    end = play(hunyuan.PROVIDER.submit(wanted(LITE)), recorded(f"hunyuan/{reply}"))
    assert end == Snapshot(phase=Phase.SUCCEEDED, artifacts=(artifact,))


@pytest.mark.parametrize("told", ["", None, "no base64!", ["https://a.example/1.png"]])
def test_lite_without_an_image_is_no_answer(told: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(
            hunyuan.PROVIDER.submit(wanted(LITE)),
            answer({"Response": {"ResultImage": told}}),
        )


# --- looks


@pytest.mark.parametrize(
    ("remote", "reply", "phase"),
    [
        (FILM_JOB, "film_wait", Phase.PENDING),
        (FILM_JOB, "film_run", Phase.RUNNING),
        (FILM_JOB, "film_done", Phase.SUCCEEDED),
        (FILM_JOB, "film_failed", Phase.FAILED),
        (FILM_JOB, "film_blocked", Phase.FAILED),
        (IMAGE_JOB, "images_waiting", Phase.PENDING),
        (IMAGE_JOB, "images_running", Phase.RUNNING),
        (IMAGE_JOB, "images_failed", Phase.FAILED),
        (IMAGE_JOB, "images_none", Phase.FAILED),
        (IMAGE_JOB, "images_partly", Phase.SUCCEEDED),
        (IMAGE_JOB, "images_done", Phase.SUCCEEDED),
        (IMAGE_JOB, "talk_done", Phase.SUCCEEDED),
    ],
)
def test_each_status_is_read(remote: Remote, reply: str, phase: Phase):
    snapshot = looked(remote, reply)
    assert snapshot.phase is phase
    assert bool(snapshot.artifacts) == (phase is Phase.SUCCEEDED)
    has_failure = phase is Phase.FAILED or reply == "images_partly"
    assert (snapshot.failure is not None) == has_failure


def test_a_film_has_one_link():
    (film,) = looked(FILM_JOB, "film_done").artifacts
    assert film.content_type == "video/mp4"
    assert film.url is not None
    assert film.url.endswith("/noodles.mp4?" + film.url.partition("?")[2])
    assert "%3B" in film.url


def test_several_images_have_a_link_each():
    snapshot = looked(IMAGE_JOB, "images_done")
    assert [image.content_type for image in snapshot.artifacts] == [
        "image/png",
        "image/jpeg",
    ]
    assert snapshot.usage == {}


def test_a_talk_tells_how_it_goes_on():
    assert looked(IMAGE_JOB, "talk_done").usage == {"ChatId": "5f0b8c1e-talk-2"}


@pytest.mark.parametrize(
    ("remote", "reply", "reason", "code", "message"),
    [
        (
            FILM_JOB,
            "film_failed",
            Reason.UPSTREAM_FAILED,
            "FailedOperation.InnerError",
            "the job broke off",
        ),
        (
            FILM_JOB,
            "film_blocked",
            Reason.CONTENT_REJECTED,
            "FailedOperation.ModerationFailed",
            "not allowed",
        ),
        (
            IMAGE_JOB,
            "images_failed",
            Reason.CONTENT_REJECTED,
            "OperationDenied.ImageIllegalDetected",
            "the image is not allowed",
        ),
        (
            IMAGE_JOB,
            "images_none",
            Reason.CONTENT_REJECTED,
            "OperationDenied.ImageIllegalDetected",
            "an image failed: OperationDenied.ImageIllegalDetected",
        ),
        (
            IMAGE_JOB,
            "images_partly",
            Reason.CONTENT_REJECTED,
            "OperationDenied.ImageIllegalDetected",
            "an image failed: OperationDenied.ImageIllegalDetected",
        ),
    ],
)
def test_why_a_job_failed_is_told(
    remote: Remote, reply: str, reason: Reason, code: str, message: str
):
    failure = looked(remote, reply).failure
    assert failure is not None
    assert (failure.reason, failure.code, failure.message) == (reason, code, message)


U, V = "https://h.example/0.png", "https://h.example/1.png"


@pytest.mark.parametrize(
    ("urls", "details", "kept", "failed"),
    [
        ([U, V], ["Success", "Success"], [U, V], False),
        ([U, V], ["Success", "blurred"], [U], True),
        ([U, ""], ["Success", "blurred"], [U], True),
        ([U], ["blurred"], [U], True),
        ([U, V], ["Success"], [U, V], False),
        ([U, V], [], [U, V], False),
        ([U], None, [U], False),
        ([""], ["blurred"], [], True),
        ([], [], [], True),
        (None, None, [], True),
    ],
)
def test_details_tell_which_images_are_good(
    urls: Any, details: Any, kept: list[str], failed: bool
):
    body = {"JobStatusCode": "5", "ResultImage": urls, "ResultDetails": details}
    snapshot = play(hunyuan.poll(IMAGE_JOB), answer({"Response": body}))
    assert [image.url for image in snapshot.artifacts] == kept
    assert (snapshot.phase is Phase.SUCCEEDED) is bool(kept)
    assert (snapshot.failure is not None) is failed
    if snapshot.failure is not None:
        assert snapshot.failure.reason is Reason.UPSTREAM_FAILED
        assert snapshot.failure.message


@pytest.mark.parametrize(
    ("remote", "body"),
    [
        (FILM_JOB, {"Status": "PAUSE"}),
        (FILM_JOB, {"Status": None}),
        (FILM_JOB, {}),
        (FILM_JOB, {"Status": "DONE", "ResultVideoUrl": ""}),
        (FILM_JOB, {"Status": "DONE"}),
        (IMAGE_JOB, {"JobStatusCode": "3"}),
        (IMAGE_JOB, {"JobStatusCode": 5, "ResultImage": [U]}),
        (IMAGE_JOB, {"JobStatusCode": "5"}),
        (IMAGE_JOB, {"JobStatusCode": "5", "ResultImage": ["ftp://h.example/0"]}),
        (IMAGE_JOB, {"JobStatusCode": "5", "ResultImage": [7]}),
    ],
)
def test_what_is_not_documented_fails_no_task(remote: Remote, body: dict[str, Any]):
    with pytest.raises(errors.UnexpectedReply):
        play(hunyuan.poll(remote), answer({"Response": body}))


# --- errors: an error has status 200; its code decides, at submit and at a look alike

CODES: list[tuple[str, type[errors.ProviderError], Reason]] = [
    *[
        (code, errors.KeyRefused, Reason.UPSTREAM_FAILED)
        for code in (
            "AuthFailure",
            "AuthFailure.SignatureFailure",
            "AuthFailure.SignatureExpire",
            "AuthFailure.SecretIdNotFound",
            "AuthFailure.InvalidSecretId",
            "AuthFailure.TokenFailure",
            "AuthFailure.UnauthorizedOperation",
            "UnauthorizedOperation",
        )
    ],
    *[
        (code, errors.RateLimited, Reason.UPSTREAM_FAILED)
        for code in (
            "RequestLimitExceeded",
            "RequestLimitExceeded.JobNumExceed",
            "RequestLimitExceeded.UinLimitExceeded",
            "LimitExceeded",
            "FailedOperation.EngineServerLimitExceeded",
            "FailedOperation.ModerationResponseError",
            "ResourceUnavailable.IsOpening",
            "ResourceUnavailable.Delivering",
        )
    ],
    *[
        (code, errors.ContentRejected, Reason.CONTENT_REJECTED)
        for code in (
            "FailedOperation.ModerationFailed",
            "FailedOperation.ModerationAudioFailed",
            "OperationDenied.TextIllegalDetected",
            "OperationDenied.ImageIllegalDetected",
        )
    ],
    *[
        (code, errors.Rejected, Reason.INVALID_REQUEST)
        for code in (
            "InvalidParameter",
            "InvalidParameter.InvalidParameter",
            "InvalidParameterValue.ParameterValueError",
            "InvalidParameterValue.UrlIllegal",
            "MissingParameter",
            "UnknownParameter",
            "RequestSizeLimitExceeded",
            "UnsupportedOperation",
            "InvalidRequest",
            "FailedOperation.ImageDownloadError",
            "FailedOperation.DownloadError",
            "FailedOperation.ImageDecodeFailed",
            "FailedOperation.ImageSizeExceed",
            "FailedOperation.ImageNotSupported",
            "FailedOperation.ImageRadioExcceed",
            "FailedOperation.ImageBodySmall",
            "FailedOperation.ImageResolutionExceed",
            "FailedOperation.RequestEntityTooLarge",
        )
    ],
    *[
        (code, errors.NotFound, Reason.UPSTREAM_EXPIRED)
        for code in (
            "FailedOperation.JobNotExist",
            "FailedOperation.JobNotFound",
            "ResourceNotFound",
        )
    ],
    *[
        (code, errors.Unavailable, Reason.UPSTREAM_FAILED)
        for code in (
            "FailedOperation",
            "FailedOperation.InnerError",
            "FailedOperation.ServerError",
            "FailedOperation.EngineServerError",
            "FailedOperation.EngineRequestTimeout",
            "FailedOperation.RequestTimeout",
            "FailedOperation.GenerateImageFailed",
            "FailedOperation.ConsoleServerError",
            "FailedOperation.SubmitAsspFailed",
            "InternalError",
            "ServiceUnavailable",
        )
    ],
    *[
        (code, errors.QuotaExhausted, Reason.UPSTREAM_FAILED)
        for code in (
            "FailedOperation.ResourcePackExhausted",
            "FailedOperation.FreeResourcePackExhausted",
            "FailedOperation.SetPayModeExceed",
            "FailedOperation.ServiceStopArrears",
            "ResourceInsufficient",
            "ResourceInsufficient.ChargeResourceExhaust",
            "ResourceUnavailable.LowBalance",
            "ResourceUnavailable.InArrears",
            "ResourcesSoldOut.ChargeStatusException",
        )
    ],
    *[
        (code, errors.ChannelRefused, Reason.UPSTREAM_FAILED)
        for code in (
            "FailedOperation.ServiceNotActivated",
            "FailedOperation.ServiceStop",
            "FailedOperation.UserUnAuthError",
            "FailedOperation.PartnerAccountUnSupport",
            "ResourceUnavailable",
            "ResourceUnavailable.NotExist",
            "ResourceUnavailable.StopUsing",
            "UnsupportedRegion",
            "IpInBlacklist",
            "IpNotInWhitelist",
        )
    ],
    *[
        (code, errors.ModelRefused, Reason.UPSTREAM_FAILED)
        for code in ("InvalidAction", "NoSuchVersion", "NoSuchProduct", "ActionOffline")
    ],
    ("SomethingNew.Inside", errors.UnexpectedReply, Reason.UPSTREAM_FAILED),
    ("InternalErrors", errors.UnexpectedReply, Reason.UPSTREAM_FAILED),
]


@pytest.mark.parametrize(("code", "kind", "reason"), CODES)
def test_a_code_has_one_class_everywhere(
    code: str, kind: type[errors.ProviderError], reason: Reason
):
    reply = answer({"Response": {"Error": {"Code": code, "Message": "no"}}})
    for flow in (hunyuan.VIDEO.submit(wanted(FILM)), hunyuan.poll(FILM_JOB)):
        with pytest.raises(errors.ProviderError) as caught:
            play(flow, reply)
        assert type(caught.value) is kind
        assert (caught.value.code, str(caught.value)) == (code, "no")
    ended = [
        (FILM_JOB, {"Status": "FAIL", "ErrorCode": code, "ErrorMessage": ""}),
        (IMAGE_JOB, {"JobStatusCode": "4", "JobErrorCode": code, "JobErrorMsg": ""}),
    ]
    for remote, body in ended:
        snapshot = play(hunyuan.poll(remote), answer({"Response": body}))
        assert snapshot.failure is not None
        assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)
        assert snapshot.failure.message == code


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "AuthFailure.SignatureFailure", errors.KeyRefused),
        (503, "RequestLimitExceeded", errors.RateLimited),
        (500, "SomethingNew", errors.Unavailable),
        (429, "SomethingNew", errors.RateLimited),
        (403, "SomethingNew", errors.ChannelRefused),
    ],
)
def test_a_known_code_decides_before_the_status(
    status: int, code: str, kind: type[errors.ProviderError]
):
    body = {"Response": {"Error": {"Code": code, "Message": "no"}}}
    with pytest.raises(errors.ProviderError) as caught:
        play(hunyuan.poll(FILM_JOB), answer(body, status=status, retry_after="3"))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, code)
    if isinstance(caught.value, errors.RateLimited | errors.Unavailable):
        assert caught.value.retry_after_s == 3


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("error_key", errors.KeyRefused),
        ("error_full", errors.RateLimited),
        ("error_text", errors.ContentRejected),
        ("error_quota", errors.QuotaExhausted),
        ("error_parameter", errors.Rejected),
        ("error_internal", errors.Unavailable),
    ],
)
@pytest.mark.parametrize("model", [IMAGE, LITE, FILM, PRO])
def test_a_recorded_refusal_is_an_error(
    model: str, reply: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(PROVIDERS[model].submit(wanted(model)), recorded(f"hunyuan/{reply}"))
    assert type(caught.value) is kind


def test_a_page_of_a_proxy_in_trouble_says_nothing():
    with pytest.raises(errors.Unavailable):
        play(
            hunyuan.VIDEO.submit(wanted(FILM)),
            raw(b"<html></html>", "text/html", status=502),
        )


# --- the key


@each_service
def test_a_key_is_proved_by_asking_for_a_job_nobody_has(provider: Provider):
    assert provider.test is not None
    for reply in ("error_no_job", "error_parameter", "images_waiting"):
        (call,) = calls_of(provider.test(), recorded(f"hunyuan/{reply}"))
        assert not call.paid
        assert call.headers["X-TC-Action"].startswith(("Query", "Describe"))
        assert list(call.json) == ["JobId"]


@each_service
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (recorded("hunyuan/error_key"), errors.KeyRefused),
        (recorded("hunyuan/error_quota"), errors.QuotaExhausted),
        (answer({}, status=404), errors.NotFound),
        (raw(b"<html></html>", "text/html", 404), errors.NotFound),
        (answer({}, status=400), errors.Rejected),
        (answer({}), errors.UnexpectedReply),
    ],
)
def test_a_key_that_is_refused_is_no_proof(
    provider: Provider, reply: Any, kind: type[errors.ProviderError]
):
    assert provider.test is not None
    with pytest.raises(kind):
        play(provider.test(), reply)


def test_facts_of_the_services():
    assert [provider.links_live_s for provider in EACH] == [3600, 86400, 3600]
    assert [provider.poll_spacing_s for provider in EACH] == [2.0, 5.0, 2.0]
    for provider in EACH:
        assert (provider.cancel, provider.find, provider.receive) == (None, None, None)
        assert not provider.idempotent
    assert [model.name for provider in EACH for model in provider.models] == [
        *(IMAGE, TALK, LITE, FILM, MOVING, PRO)
    ]
    assert [model.name for model in hunyuan.PROVIDER.models if model.sync] == [LITE]


def test_base64_has_no_head():
    encoded = said(FILM, an_upload())["Image"]["Base64"]
    assert base64.b64decode(encoded, validate=True) == PNG
