"""Jimeng's adapter: every row of its mappings, states, result shapes and errors."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, jimeng
from providers.dialects import jimeng_models, volcengine_v4
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Credentials,
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

TASK = "7301554820917730042"
FOUR = "jimeng_t2i_v40"
SYNC = "jimeng_high_aes_general_v21_L"
PRO = "jimeng_ti2v_v30_pro"
REMOTE = Remote(TASK, {"req_key": FOUR, "req_json": '{"return_url": true}'})
PNG = b"\x89PNG\r\n\x1a\n"
ENCODED = "iVBORw0KGgo="
PROMPT = "a lighthouse made of paper, dawn"
A, B = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    described = jimeng_models.describe(model)
    media_type = described.media_type if described else MediaType.IMAGE
    return a_request(model=model, media_type=media_type, images=images, **fields)


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit."""
    any_upload = any(image.uploaded for image in images)
    files = [raw(PNG, "image/png") for _ in images] if any_upload else []
    accepts = "jimeng/processed" if model == SYNC else "jimeng/submit"
    request = wanted(model, *images, **fields)
    calls = calls_of(jimeng.submit(request), *files, recorded(accepts))
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    return calls[-1]


def said(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    """The body of a submit without the prompt."""
    body: dict[str, Any] = submitted(model, *images, **fields).json
    return {name: value for name, value in body.items() if name != "prompt"}


# --- the signature

NOW = datetime(2026, 11, 22, 10, 58, 47, tzinfo=UTC).timestamp()
# AK AKEX, SK SKEX, host 127.0.0.1:9, checked with the official client
SIGNATURE = "578b47b57b438749130703cadeb35045c70500c6a56f21d1ec69ae0207418cce"
BODY_HASH = "bfadb7c98f65c16ee411ea988099ba8361a6733997ac0064ca6e248e9ffe4bbc"
REQUEST_HASH = "32b6bbafcc12367021dc17db7929b86d4140cd613a4a7cbd0b47d5aa531e9dcc"
URL = "http://127.0.0.1:9/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31"
BODY = {"req_key": FOUR, "prompt": "a"}


@pytest.mark.parametrize(
    "call",
    [
        Call("POST", URL, json=BODY),
        Call("POST", URL, body=b'{"req_key": "jimeng_t2i_v40", "prompt": "a"}'),
        Call("POST", "http://127.0.0.1:9/", params=jimeng.SUBMIT, json=BODY),
    ],
    ids=["json", "bytes", "params"],
)
@pytest.mark.parametrize("secret", ["AKEX:SKEX", "AKEX|SKEX", " AKEX:SKEX\n"])
def test_the_known_signature_comes_out(call: Call, secret: str):
    ready = jimeng.authorize(call, Credentials(secret, {}, NOW))
    assert ready.json is None
    assert ready.body == b'{"req_key": "jimeng_t2i_v40", "prompt": "a"}'
    assert ready.headers == {
        "Content-Type": "application/json",
        "X-Date": "20261122T105847Z",
        "X-Content-Sha256": BODY_HASH,
        "Authorization": (
            "HMAC-SHA256 Credential=AKEX/20261122/cn-north-1/cv/request, "
            "SignedHeaders=content-type;host;x-content-sha256;x-date, "
            f"Signature={SIGNATURE}"
        ),
    }


def test_the_canonical_request_is_the_documented_one():
    headers = {
        "Content-Type": "application/json",
        "X-Date": "20261122T105847Z",
        "X-Content-Sha256": BODY_HASH,
        "Accept": "is not signed",
    }
    _, text = volcengine_v4.canonical_request(Call("POST", URL), headers, "", BODY_HASH)
    assert hashlib.sha256(text.encode()).hexdigest() == REQUEST_HASH


def test_query_is_sorted_and_escaped():
    call = Call("POST", "http://h.example:443/a b?z=1&a=x%20y&a=%7E%2F+")
    _, text = volcengine_v4.canonical_request(call, {}, "", "digest")
    lines = text.split("\n")
    assert lines[1:4] == ["/a%20b", "a=x%20y&a=~%2F%20&z=1", "host:h.example"]


def test_a_temporary_key_signs_its_token_too():
    ready = jimeng.authorize(
        Call("POST", URL, json=BODY), Credentials("AKEX:SKEX:STS2abc", {}, NOW)
    )
    assert ready.headers["X-Security-Token"] == "STS2abc"
    names = "content-type;host;x-content-sha256;x-date;x-security-token,"
    assert f"SignedHeaders={names}" in ready.headers["Authorization"]


def test_another_region_is_a_setting():
    settings = {"region": "ap-southeast-1"}
    ready = jimeng.authorize(
        Call("POST", URL, json=BODY), Credentials("AKEX:SKEX", settings, NOW)
    )
    assert "/20261122/ap-southeast-1/cv/request" in ready.headers["Authorization"]


def test_a_call_below_the_base_url_is_signed_for_its_host():
    key = volcengine_v4.AccessKey("AKEX", "SKEX")
    signed = [
        volcengine_v4.signed(
            Call("POST", url, json=BODY),
            key,
            host="visual.volcengineapi.com",
            region="cn-north-1",
            service="cv",
            now=NOW,
        ).headers
        for url in ("/?A=1", "https://visual.volcengineapi.com/?A=1")
    ]
    assert signed[0] == signed[1]


@pytest.mark.parametrize("secret", ["", "AKEX", "AKEX:", ":SKEX", "a:b:c:d"])
def test_a_secret_without_its_two_parts_is_refused(secret: str):
    with pytest.raises(errors.KeyRefused, match="<access key id>"):
        jimeng.authorize(Call("POST", URL), Credentials(secret, {}, NOW))


# --- submit


def test_a_task_is_a_post_whose_action_is_in_the_query():
    call = submitted(
        FOUR,
        an_image_url(A),
        size="2048x1152",
        seed=-1,
        callback_url="https://gw.example/up/1/abc",
        metadata={"scale": 0.7, "req_key": "dear", "req_json": {"logo_info": {}}},
    )
    assert (call.method, call.url) == ("POST", "/")
    assert call.params == {"Action": "CVSync2AsyncSubmitTask", "Version": "2022-08-31"}
    assert call.json == {
        "req_key": FOUR,
        "prompt": PROMPT,
        "image_urls": [A],
        "width": 2048,
        "height": 1152,
        "seed": -1,
        "force_single": True,
        "scale": 0.7,
    }


@pytest.mark.parametrize(
    ("images", "pictures"),
    [
        ([an_image_url(A), an_image_url(B)], {"image_urls": [A, B]}),
        ([an_upload()], {"binary_data_base64": [ENCODED]}),
        ([an_image_url(A), an_upload()], {"binary_data_base64": [ENCODED] * 2}),
        ([], {}),
    ],
)
def test_images_are_all_links_or_all_base64(
    images: list[MediaInput], pictures: dict[str, Any]
):
    body = said(FOUR, *images)
    assert {name: body[name] for name in body if name in {*PICTURES}} == pictures


PICTURES = ("image_urls", "binary_data_base64")


@pytest.mark.parametrize(
    ("model", "images", "fields", "req_key"),
    [
        ("jimeng_v30", 0, {}, "jimeng_t2v_v30"),
        ("jimeng_v30", 1, {}, "jimeng_i2v_first_v30"),
        ("jimeng_v30", 2, {}, "jimeng_i2v_first_tail_v30"),
        ("jimeng_v30", 0, {"resolution": "1080P"}, "jimeng_t2v_v30_1080p"),
        ("jimeng_v30", 1, {"resolution": "1080p"}, "jimeng_i2v_first_v30_1080"),
        ("jimeng_v30", 2, {"size": "1920x1080"}, "jimeng_i2v_first_tail_v30_1080"),
        ("jimeng_v30", 0, {"size": "1280x720"}, "jimeng_t2v_v30"),
        ("jimeng_v30_1080p", 0, {}, "jimeng_t2v_v30_1080p"),
        ("jimeng_v30_1080p", 1, {}, "jimeng_i2v_first_v30_1080"),
        ("jimeng_v30_1080p", 2, {"size": "1280x720"}, "jimeng_i2v_first_tail_v30_1080"),
        ("jimeng_v30_pro", 0, {}, PRO),
        ("jimeng_v30_pro", 1, {"size": "1280x720"}, PRO),
        (PRO, 1, {}, PRO),
        ("jimeng_t2v_v30", 0, {"resolution": "1080P"}, "jimeng_t2v_v30_1080p"),
        ("jimeng_i2v_first_v30", 1, {}, "jimeng_i2v_first_v30"),
        ("jimeng_i2v_recamera_v30", 1, {}, "jimeng_i2v_recamera_v30"),
        ("jimeng_vgfm_t2v_l20", 0, {}, "jimeng_vgfm_t2v_l20"),
        ("jimeng_realman_avatar_picture_omni", 0, {}, None),
        ("jimeng_t2i_v50", 0, {}, None),
    ],
)
def test_images_and_resolution_decide_the_key(
    model: str, images: int, fields: dict[str, Any], req_key: str | None
):
    body = said(model, *[an_image_url(A)] * images, **fields)
    assert body["req_key"] == (req_key or model)


@pytest.mark.parametrize(
    ("model", "images", "fields", "options"),
    [
        (PRO, 0, {}, {}),
        (PRO, 0, {"duration": 5.0}, {"frames": 121}),
        (PRO, 0, {"duration": 10.0}, {"frames": 241}),
        (PRO, 0, {"aspect_ratio": "21/9"}, {"aspect_ratio": "21:9"}),
        (PRO, 0, {"size": "1280x720"}, {"aspect_ratio": "16:9"}),
        (PRO, 0, {"width": 720, "height": 1280}, {"aspect_ratio": "9:16"}),
        (PRO, 0, {"size": "1:1"}, {"aspect_ratio": "1:1"}),
        (PRO, 1, {"size": "1280x720"}, {}),
        (PRO, 0, {"seed": 11, "negative_prompt": "fog"}, {"seed": 11}),
        (
            "jimeng_i2v_recamera_v30",
            1,
            {"metadata": {"template_id": "orbit", "camera_strength": "weak"}},
            {"template_id": "orbit", "camera_strength": "weak"},
        ),
        ("jimeng_vgfm_i2v_l20", 1, {"aspect_ratio": "1:1"}, {"aspect_ratio": "1:1"}),
        (FOUR, 0, {}, {"force_single": True}),
        (FOUR, 0, {"size": "2k"}, {"force_single": True, "size": 4194304}),
        (FOUR, 0, {"resolution": "4K"}, {"force_single": True, "size": 16777216}),
        (
            FOUR,
            0,
            {"metadata": {"force_single": False, "max_ratio": 4}},
            {"force_single": False, "max_ratio": 4},
        ),
        (
            FOUR,
            0,
            {"aspect_ratio": "16:9"},
            {"force_single": True, "width": 2728, "height": 1536},
        ),
        (
            FOUR,
            0,
            {"aspect_ratio": "1:1", "size": "1K"},
            {"force_single": True, "width": 1024, "height": 1024},
        ),
        (
            FOUR,
            0,
            {"size": "9:16", "resolution": "1K"},
            {"force_single": True, "width": 768, "height": 1368},
        ),
        (
            FOUR,
            0,
            {"aspect_ratio": "16:9", "resolution": "4K"},
            {"force_single": True, "width": 5456, "height": 3072},
        ),
        ("jimeng_t2i_v31", 0, {"seed": 0}, {"seed": 0}),
        (
            "jimeng_t2i_v30",
            0,
            {"aspect_ratio": "4:3"},
            {"width": 1176, "height": 880},
        ),
        ("jimeng_i2i_v30", 1, {"metadata": {"scale": 0.2}}, {"scale": 0.2}),
        (SYNC, 0, {}, {"return_url": True}),
        (
            SYNC,
            0,
            {"aspect_ratio": "3:1"},
            {"return_url": True, "width": 768, "height": 256},
        ),
    ],
)
def test_options_are_said_in_jimengs_words(
    model: str, images: int, fields: dict[str, Any], options: dict[str, Any]
):
    body = said(model, *[an_image_url(A)] * images, **fields)
    assert {k: v for k, v in body.items() if k not in {"req_key", *PICTURES}} == options
    described = jimeng_models.describe(model)
    assert described is not None
    if "width" in body and described.pixel_range:
        least, most = described.pixel_range
        assert least <= body["width"] * body["height"] <= most


@pytest.mark.parametrize(
    ("model", "images", "fields", "told"),
    [
        ("jimeng_i2v_first_tail_v30", 1, {}, "takes 2"),
        ("jimeng_v30", 3, {}, "0 or 1 or 2"),
        ("jimeng_v30_1080p", 0, {"resolution": "720P"}, "1080P"),
        (PRO, 0, {"duration": 7.0}, "5 or 10"),
        (PRO, 1, {"aspect_ratio": "16:9"}, "image"),
        (PRO, 0, {"size": "wide"}, "WIDTHxHEIGHT"),
        (FOUR, 0, {"size": "3K"}, "1K, 2K, 4K"),
        (FOUR, 0, {"aspect_ratio": "wide"}, "WIDTH:HEIGHT"),
        ("jimeng_t2i_v30", 0, {"size": "2K"}, "WIDTHxHEIGHT"),
        (FOUR, 0, {"metadata": {"req_json": "{"}}, "must be JSON"),
        (FOUR, 0, {"metadata": {"req_json": [1]}}, "must be an object"),
    ],
)
def test_what_jimeng_cannot_express_is_rejected_before_anything_is_sent(
    model: str, images: int, fields: dict[str, Any], told: str
):
    with pytest.raises(errors.Rejected, match=told):
        play(jimeng.submit(wanted(model, *[an_image_url(A)] * images, **fields)))


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        (FOUR, {"prompt": "x" * 801}, "prompt"),
        (FOUR, {"images": (A,) * 11}, "images"),
        (FOUR, {"size": "512x512"}, "size"),
        (FOUR, {"width": 8192, "height": 4096}, "width"),
        (FOUR, {"n": 2}, "n"),
        (FOUR, {"resolution": "3K"}, "resolution"),
        (FOUR, {"negative_prompt": "fog"}, "negative_prompt"),
        ("jimeng_t2i_v31", {"images": (A,)}, "images"),
        ("jimeng_i2i_v30", {"prompt": "x"}, "images"),
        ("jimeng_i2i_v30", {"images": (A, B)}, "images"),
        (SYNC, {"size": "1024x1024"}, "size"),
        (PRO, {"images": (A, B)}, "images"),
        (PRO, {"prompt": "x" * 801}, "prompt"),
        (PRO, {"duration": 6.0}, "duration"),
        (PRO, {"aspect_ratio": "5:4"}, "aspect_ratio"),
        ("jimeng_t2v_v30", {"images": (A,)}, "images"),
        ("jimeng_t2v_v30", {"resolution": "480P"}, "resolution"),
        ("jimeng_i2v_first_v30", {"prompt": "x"}, "images"),
        (
            "jimeng_i2v_first_v30",
            {"images": (A,), "aspect_ratio": "1:1"},
            "aspect_ratio",
        ),
        ("jimeng_vgfm_t2v_l20", {"duration": 5.0}, "duration"),
        ("jimeng_v30", {"images": (A,) * 3}, "images"),
        ("jimeng_v30", {"audio_url": "https://a.example/s.mp3"}, "audio_url"),
    ],
)
def test_intake_refuses_what_a_model_cannot_do(
    model: str, fields: dict[str, Any], field: str
):
    described = jimeng_models.describe(model)
    assert described is not None
    assert next(iter(find_problems(fields, described)), "") == field


@pytest.mark.parametrize("name", ["", "dall-e-3", "jimeng_chat", "t2i"])
def test_what_is_no_key_is_refused_before_anything_is_sent(name: str):
    assert jimeng_models.describe(name) is None
    with pytest.raises(errors.ModelRefused):
        play(jimeng.submit(wanted(name)))


def test_an_accepted_task_keeps_what_its_poll_needs():
    snapshot = play(
        jimeng.submit(
            wanted("jimeng_v30", metadata={"req_json": '{"aigc_meta": {"a": 1}}'})
        ),
        recorded("jimeng/submit"),
    )
    assert snapshot.phase is Phase.PENDING
    assert snapshot.remote is not None
    assert snapshot.remote.id == TASK
    assert snapshot.remote.links["req_key"] == "jimeng_t2v_v30"
    assert json.loads(snapshot.remote.links["req_json"]) == {
        "return_url": True,
        "aigc_meta": {"a": 1},
    }


@pytest.mark.parametrize(
    "body",
    [
        {"code": 10000},
        {"code": 10000, "data": None},
        {"code": 10000, "data": {"task_id": ""}},
        {"code": 10000, "data": {"task_id": 7.3e18}},
        {"code": True, "data": {"task_id": "1"}},
        {"code": 10001, "data": {"task_id": "1"}},
        {"ResponseMetadata": {}},
        {"data": {"task_id": "1"}},
    ],
)
def test_a_success_without_an_id_is_no_answer(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(jimeng.submit(wanted(FOUR)), answer(body))


def test_the_synchronous_model_brings_its_image_along():
    assert submitted(SYNC).params["Action"] == "CVProcess"
    snapshot = play(jimeng.submit(wanted(SYNC)), recorded("jimeng/processed"))
    assert snapshot.phase is Phase.SUCCEEDED
    assert len(snapshot.artifacts) == 1


# --- errors: number, status, and their classes at submit and at a poll

FAILED = "failed"
CODES: list[tuple[int, int, type[errors.ProviderError], Any]] = [
    (400, 50400, errors.ModelRefused, errors.ModelRefused),
    *[
        (400, code, errors.ContentRejected, Reason.CONTENT_REJECTED)
        for code in (
            50411,
            50412,
            50413,
            50511,
            50512,
            50516,
            50517,
            50518,
            50519,
        )
    ],
    (200, 50412, errors.ContentRejected, Reason.CONTENT_REJECTED),
    *[
        (400, code, errors.RateLimited, errors.RateLimited)
        for code in range(50520, 50523)
    ],
    *[
        (500, code, errors.Unavailable, errors.Unavailable)
        for code in range(50520, 50523)
    ],
    (429, 50429, errors.RateLimited, errors.RateLimited),
    (429, 50430, errors.RateLimited, errors.RateLimited),
    (500, 50500, errors.Unavailable, errors.Unavailable),
    (500, 50501, errors.Unavailable, errors.Unavailable),
    (400, 50501, errors.Unavailable, Reason.UPSTREAM_FAILED),
    (400, 50200, errors.Rejected, Reason.INVALID_REQUEST),
    (400, 50205, errors.Rejected, Reason.INVALID_REQUEST),
    (400, 50215, errors.Rejected, Reason.INVALID_REQUEST),
    (400, 50299, errors.Rejected, Reason.INVALID_REQUEST),
    (400, 59999, errors.Rejected, Reason.INVALID_REQUEST),
    (429, 59999, errors.RateLimited, errors.RateLimited),
    (503, 59999, errors.Unavailable, errors.Unavailable),
    (401, 59999, errors.KeyRefused, errors.KeyRefused),
    (200, 59999, errors.UnexpectedReply, errors.UnexpectedReply),
]


@pytest.mark.parametrize(("status", "code", "at_submit", "at_poll"), CODES)
def test_a_code_decides_before_the_status(
    status: int, code: int, at_submit: type[errors.ProviderError], at_poll: Any
):
    reply = answer({"code": code, "data": None, "message": "no"}, status=status)
    with pytest.raises(errors.ProviderError) as caught:
        play(jimeng.submit(wanted(FOUR)), reply)
    assert type(caught.value) is at_submit
    assert (caught.value.code, caught.value.status) == (str(code), status)
    if isinstance(at_poll, Reason):
        snapshot = play(jimeng.poll(REMOTE), reply)
        assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
        assert snapshot.failure is not None
        assert snapshot.failure.reason is at_poll
        assert (snapshot.failure.code, snapshot.failure.message) == (str(code), "no")
    else:
        with pytest.raises(errors.ProviderError) as looked:
            play(jimeng.poll(REMOTE), reply)
        assert type(looked.value) is at_poll


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "SignatureDoesNotMatch", errors.KeyRefused),
        (400, "SignatureDoesNotMatch", errors.KeyRefused),
        (401, "InvalidAccessKey", errors.KeyRefused),
        (403, "AccessDenied.Visual", errors.ChannelRefused),
        (401, "SomethingNew", errors.KeyRefused),
        (403, "SomethingNew", errors.ChannelRefused),
        (404, "SomethingNew", errors.ChannelRefused),
        (500, "SomethingNew", errors.Unavailable),
    ],
)
def test_an_error_of_the_gate_is_about_the_account(
    status: int, code: str, kind: type[errors.ProviderError]
):
    error = {"CodeN": 1, "Code": code, "Message": "signed otherwise"}
    reply = answer({"ResponseMetadata": {"Error": error}}, status=status)
    with pytest.raises(errors.ProviderError, match="signed otherwise") as caught:
        play(jimeng.submit(wanted(FOUR)), reply)
    assert type(caught.value) is kind


def test_a_wait_that_is_asked_for_is_passed_on():
    reply = recorded("jimeng/error_rate", status=429, retry_after="4")
    with pytest.raises(errors.RateLimited) as caught:
        play(jimeng.submit(wanted(FOUR)), reply)
    assert caught.value.retry_after_s == 4


# --- poll


def test_a_poll_repeats_the_key_and_asks_for_links():
    (call,) = calls_of(jimeng.poll(REMOTE), recorded("jimeng/in_queue"))
    assert (call.method, call.url, call.paid) == ("POST", "/", False)
    assert call.params == {"Action": "CVSync2AsyncGetResult", "Version": "2022-08-31"}
    assert call.json == {
        "req_key": FOUR,
        "task_id": TASK,
        "req_json": '{"return_url": true}',
    }


@pytest.mark.parametrize(
    ("reply", "phase"),
    [
        ("in_queue", Phase.PENDING),
        ("generating", Phase.RUNNING),
        ("done_images", Phase.SUCCEEDED),
        ("done_inline", Phase.SUCCEEDED),
        ("done_video", Phase.SUCCEEDED),
        ("done_nothing", Phase.FAILED),
        ("expired", Phase.FAILED),
    ],
)
def test_each_status_is_read(reply: str, phase: Phase):
    snapshot = play(jimeng.poll(REMOTE), recorded(f"jimeng/{reply}"))
    assert snapshot.phase is phase
    assert (snapshot.failure is not None) == (phase is Phase.FAILED)
    assert bool(snapshot.artifacts) == (phase is Phase.SUCCEEDED)


@pytest.mark.parametrize(
    ("reply", "artifacts"),
    [
        (
            "done_images",
            [
                Artifact(
                    url="https://p3-aiop-sign.byteimg.com/tos/91.png~tplv.png"
                    "?rk3s=5&x-expires=1793778900&x-signature=Qe%3D",
                    content_type="image/png",
                    expires_at=1793778900,
                ),
                Artifact(
                    url="https://p9-aiop-sign.byteimg.com/tos/92.jpeg"
                    "?x-expires=1793778901",
                    content_type="image/jpeg",
                    expires_at=1793778901,
                ),
            ],
        ),
        ("done_inline", [Artifact(content=PNG), Artifact(content=PNG)]),
        (
            "done_video",
            [
                Artifact(
                    url="https://v26-aiop.example-cdn.com/film?a=1&x-signature=T%2B"
                )
            ],
        ),
    ],
)
def test_a_result_is_links_or_bytes(reply: str, artifacts: list[Artifact]):
    snapshot = play(jimeng.poll(REMOTE), recorded(f"jimeng/{reply}"))
    assert snapshot.artifacts == tuple(artifacts)


def test_an_expired_task_says_so():
    snapshot = play(jimeng.poll(REMOTE), recorded("jimeng/expired"))
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.UPSTREAM_EXPIRED


def test_an_unknown_task_is_not_found_although_the_status_is_200():
    with pytest.raises(errors.NotFound):
        play(jimeng.poll(REMOTE), recorded("jimeng/not_found"))


@pytest.mark.parametrize(
    "reply",
    [
        recorded("jimeng/undocumented"),
        answer({"code": 10000, "data": None}),
        answer({"code": 10000, "data": {"status": "done", "image_urls": [7]}}),
        answer(
            {"code": 10000, "data": {"status": "done", "binary_data_base64": ["%"]}}
        ),
    ],
)
def test_what_is_not_documented_is_no_state(reply: Reply):
    with pytest.raises(errors.UnexpectedReply):
        play(jimeng.poll(REMOTE), reply)


# --- the test of a key


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (recorded("jimeng/not_found"), None),
        (answer({"code": 50215, "message": "no such id"}, status=400), None),
        (recorded("jimeng/error_signature", status=401), errors.KeyRefused),
        (recorded("jimeng/error_access", status=400), errors.ModelRefused),
        (recorded("jimeng/error_internal", status=500), errors.Unavailable),
    ],
)
def test_a_key_is_proved_by_asking_for_nothing(
    reply: Reply, kind: type[errors.ProviderError] | None
):
    if kind is None:
        (call,) = calls_of(jimeng.test(), reply)
        assert call.params["Action"] == "CVSync2AsyncGetResult"
        return
    with pytest.raises(kind):
        play(jimeng.test(), reply)
