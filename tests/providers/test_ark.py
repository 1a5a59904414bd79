"""Ark's adapter: every row of its mappings, states, result shapes and errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.capabilities import find_problems
from providers import ark, errors
from providers.dialects import ark_models
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    Failure,
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

TASK = "cgt-20261103081500-m4x9d"
OTHER = "cgt-20261103081502-w1r0k"
VIDEO_URL = (
    "https://ark-content-generation-cn-beijing.tos-cn-beijing.volces.com/d/71.mp4"
    "?X-Tos-Date=20261103T081622Z&X-Tos-Signature=0f%2Ba1%3D"
)
IMAGE_URL = (
    "https://ark-content-generation-v2-cn-beijing.tos-cn-beijing.volces.com/i/5.jpeg"
    "?X-Tos-Algorithm=TOS4-HMAC-SHA256&X-Tos-Signature=c1%2F"
)
PRO_15 = "doubao-seedance-1-5-pro-251215"
PRO_10 = "doubao-seedance-1-0-pro-250528"
FAST_10 = "doubao-seedance-1-0-pro-fast-251015"
I2V = "doubao-seedance-1-0-lite-i2v-250428"
V20 = "doubao-seedance-2-0-260128"
FAST_20 = "doubao-seedance-2-0-fast-260128"
V25 = "doubao-seedance-2-5-260628"
DREAM_50_PRO = "doubao-seedream-5-0-pro-260628"
DREAM_50 = "doubao-seedream-5-0-260128"
DREAM_45 = "doubao-seedream-4-5-251128"
DREAM_40 = "doubao-seedream-4-0-250828"
DREAM_30 = "doubao-seedream-3-0-t2i-250415"
FLASH = "dola-seedream-5-0-flash-260915"
EDIT_30 = "doubao-seededit-3-0-i2i-250628"
A = "https://cdn.example.com/a.png"
CLIP, SOUND = "https://cdn.example.com/c.mp4", "https://cdn.example.com/s.mp3"
PNG = b"\x89PNG\r\n\x1a\n"
PROMPT = "a lighthouse made of paper, dawn"


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    offer = ark_models.find_offer(model)
    media_type = offer.model.media_type if offer else MediaType.VIDEO
    return a_request(model=model, media_type=media_type, images=images, **fields)


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit."""
    request = wanted(model, *images, **fields)
    uploads = [raw(PNG, "image/png") for image in images if image.uploaded]
    accepts = "ark/submit" if request.media_type is MediaType.VIDEO else "ark/image"
    calls = calls_of(ark.submit(request), *uploads, recorded(accepts))
    assert [call.paid for call in calls] == [False] * len(uploads) + [True]
    return calls[-1]


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = submitted(model, *images, **fields).json
    return body


def roles_of(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Role and URL of every file of a video's content."""
    return [
        (item["role"], item[item["type"]]["url"])
        for item in body["content"]
        if item["type"] != "text"
    ]


def refused(model: str, **fields: Any) -> str:
    """What intake says about fields that the model cannot do."""
    described = ark_models.describe(model)
    assert described is not None
    problems = find_problems(fields, described)
    return next(iter(problems), "")


# --- videos


def test_a_video_is_a_task_with_its_text_and_each_option_in_a_field():
    call = submitted(
        PRO_15,
        an_image_url(A),
        aspect_ratio="adaptive",
        resolution="720P",
        duration=5.0,
        seed=21,
        callback_url="https://gw.example/up/1/abc",
        metadata={"generate_audio": False, "model": "cheap", "callback_url": "evil"},
    )
    assert (call.method, call.url) == ("POST", "/contents/generations/tasks")
    assert call.json == {
        "model": PRO_15,
        "content": [
            {"type": "text", "text": PROMPT},
            {"type": "image_url", "image_url": {"url": A}, "role": "first_frame"},
        ],
        "resolution": "720p",
        "ratio": "adaptive",
        "duration": 5,
        "seed": 21,
        "watermark": False,
        "generate_audio": False,
        "callback_url": "https://gw.example/up/1/abc",
    }


def test_what_is_not_asked_for_is_not_sent():
    assert body_of(PRO_15) == {
        "model": PRO_15,
        "content": [{"type": "text", "text": PROMPT}],
        "watermark": False,
    }


@pytest.mark.parametrize(
    ("model", "images", "fields", "roles"),
    [
        (PRO_15, 1, {}, ["first_frame"]),
        (PRO_15, 2, {}, ["first_frame", "last_frame"]),
        (V20, 2, {}, ["first_frame", "last_frame"]),
        (V20, 3, {}, ["reference_image"] * 3),
        (V25, 30, {}, ["reference_image"] * 30),
        (I2V, 4, {}, ["reference_image"] * 4),
        (V20, 1, {"video_url": CLIP}, ["reference_image", "reference_video"]),
        (V20, 0, {"video_url": CLIP}, ["reference_video"]),
        (
            V20,
            1,
            {"audio_url": SOUND},
            ["reference_image", "reference_audio"],
        ),
        ("doubao-seedance-9-270101", 12, {}, ["reference_image"] * 12),
    ],
)
def test_files_get_roles_by_how_many_there_are(
    model: str, images: int, fields: dict[str, Any], roles: list[str]
):
    body = body_of(model, *[an_image_url(A)] * images, **fields)
    assert [role for role, _ in roles_of(body)] == roles


@pytest.mark.parametrize(
    ("model", "images"), [(FAST_10, 2), (PRO_10, 3), (V20, 10), (I2V, 5)]
)
def test_more_images_than_a_model_takes_are_refused_at_intake_and_here(
    model: str, images: int
):
    files = (an_image_url(A),) * images
    assert refused(model, images=files) == "images"
    with pytest.raises(errors.Rejected):
        play(ark.submit(wanted(model, *files)))


def test_the_client_may_say_the_content_itself():
    content = [{"type": "draft_task", "draft_task": {"id": "cgt-1"}}]
    assert body_of(PRO_15, metadata={"content": content})["content"] == content


def test_an_upload_is_sent_as_a_data_url():
    ((_, url),) = roles_of(body_of(PRO_15, an_upload()))
    assert url == "data:image/png;base64,iVBORw0KGgo="


def test_options_in_the_text_cannot_pass_the_limits():
    prompt = "a kite --dur 30 --rs 1080p -- a well--known beach --wm true"
    (text,) = body_of(PRO_10, prompt=prompt)["content"]
    assert text["text"] == "a kite —dur 30 —rs 1080p -- a well--known beach —wm true"


@pytest.mark.parametrize(
    ("model", "fields", "said"),
    [
        (PRO_15, {"resolution": "1080P"}, {"resolution": "1080p"}),
        (PRO_15, {"size": "1280x720"}, {"resolution": "720p", "ratio": "16:9"}),
        (PRO_15, {"size": "1080*1920"}, {"resolution": "1080p", "ratio": "9:16"}),
        (
            PRO_15,
            {"width": 864, "height": 496},
            {"resolution": "480p", "ratio": "16:9"},
        ),
        (V20, {"size": "3840x1646"}, {"resolution": "4k", "ratio": "21:9"}),
        (
            PRO_15,
            {"size": "1280x720", "resolution": "480p", "aspect_ratio": "1/1"},
            {"resolution": "480p", "ratio": "1:1"},
        ),
        (PRO_15, {"size": "720p"}, {"resolution": "720p"}),
        (PRO_15, {"size": "16:9"}, {"ratio": "16:9"}),
        (PRO_15, {"size": "adaptive"}, {"ratio": "adaptive"}),
        (PRO_15, {"aspect_ratio": "Adaptive"}, {"ratio": "adaptive"}),
        (PRO_15, {"duration": 12.0}, {"duration": 12}),
        (V25, {"output_format": "MOV"}, {"output_format": "mov"}),
        (V20, {"output_format": "mp4"}, {}),
        (PRO_15, {"seed": 0}, {"seed": 0}),
        (PRO_15, {"negative_prompt": "fog", "n": 1, "quality": "high"}, {}),
        (
            PRO_10,
            {"metadata": {"frames": 57, "camera_fixed": True}},
            {"frames": 57, "camera_fixed": True},
        ),
    ],
)
def test_video_options_are_said_in_arks_words(
    model: str, fields: dict[str, Any], said: dict[str, Any]
):
    body = body_of(model, **fields)
    assert {
        k: v for k, v in body.items() if k not in {"model", "content", "watermark"}
    } == said


@pytest.mark.parametrize(
    ("images", "fields", "ratio"),
    [
        (1, {"size": "1280x720"}, "adaptive"),
        (0, {"size": "1280x720"}, "16:9"),
        (3, {"size": "1280x720"}, "16:9"),
        (1, {"aspect_ratio": "16:9"}, "16:9"),
    ],
)
def test_a_shape_that_only_follows_from_a_size_gives_way_to_the_frame(
    images: int, fields: dict[str, Any], ratio: str
):
    body = body_of(V25, *[an_image_url(A)] * images, **fields)
    assert body["ratio"] == ratio


@pytest.mark.parametrize(
    ("model", "fields", "told"),
    [
        (FAST_20, {"size": "1920x1080"}, "1080p"),
        (PRO_15, {"size": "0x720"}, "must not be 0"),
        (PRO_15, {"size": "large"}, "WIDTHxHEIGHT"),
        (PRO_15, {"duration": 5.5}, "whole number"),
    ],
)
def test_what_a_video_cannot_be_is_rejected_before_anything_is_sent(
    model: str, fields: dict[str, Any], told: str
):
    with pytest.raises(errors.Rejected, match=told):
        play(ark.submit(wanted(model, **fields)))


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        (V25, {"duration": 31.0}, "duration"),
        (V20, {"duration": 3.0}, "duration"),
        (PRO_10, {"duration": 1.0}, "duration"),
        (FAST_20, {"resolution": "1080p"}, "resolution"),
        (PRO_15, {"resolution": "4k"}, "resolution"),
        (PRO_15, {"aspect_ratio": "5:4"}, "aspect_ratio"),
        (PRO_15, {"video_url": CLIP}, "video_url"),
        (PRO_15, {"audio_url": SOUND}, "audio_url"),
        (PRO_15, {"negative_prompt": "fog"}, "negative_prompt"),
        (PRO_15, {"n": 2}, "n"),
        (V20, {"output_format": "mov"}, "output_format"),
        (I2V, {"prompt": "x"}, "images"),
        ("doubao-seedance-1-0-lite-t2v-250428", {"images": (A,)}, "images"),
        (DREAM_45, {"size": "1024x1024"}, "size"),
        (DREAM_50_PRO, {"size": "4096x2048"}, "size"),
        (DREAM_40, {"resolution": "3K"}, "resolution"),
        (DREAM_45, {"seed": 4}, "seed"),
        (DREAM_45, {"output_format": "png"}, "output_format"),
        (DREAM_45, {"n": 16}, "n"),
        (DREAM_45, {"images": (A,) * 15}, "images"),
        (DREAM_50_PRO, {"images": (A,) * 11}, "images"),
        (DREAM_30, {"images": (A,)}, "images"),
        (DREAM_30, {"n": 2}, "n"),
        (EDIT_30, {"images": (A,), "size": "1024x1024"}, "size"),
    ],
)
def test_intake_refuses_what_a_model_cannot_do(
    model: str, fields: dict[str, Any], field: str
):
    assert refused(model, **fields) == field


# --- images


def test_an_image_is_asked_for_without_watermark_and_as_a_link():
    call = submitted(DREAM_45, size="2048*2048", metadata={"stream": True, "x": 1})
    assert (call.method, call.url) == ("POST", "/images/generations")
    assert call.json == {
        "model": DREAM_45,
        "prompt": PROMPT,
        "size": "2048x2048",
        "response_format": "url",
        "watermark": False,
        "sequential_image_generation": "disabled",
        "x": 1,
    }


@pytest.mark.parametrize(
    ("model", "fields", "size"),
    [
        (DREAM_45, {}, None),
        (DREAM_45, {"size": "2k"}, "2K"),
        (DREAM_45, {"resolution": "4K"}, "4K"),
        (DREAM_45, {"width": 2560, "height": 1440}, "2560x1440"),
        (DREAM_45, {"aspect_ratio": "16:9"}, "2720x1536"),
        (DREAM_45, {"size": "16:9"}, "2720x1536"),
        (DREAM_45, {"aspect_ratio": "1:1", "size": "4K"}, "4096x4096"),
        (DREAM_50, {"aspect_ratio": "4:3", "resolution": "3K"}, "3536x2656"),
        (DREAM_50_PRO, {"size": "1.5k"}, "1.5K"),
        (DREAM_40, {"aspect_ratio": "9:16", "resolution": "1K"}, "768x1360"),
        (FLASH, {"size": "3K"}, "3K"),
        (DREAM_30, {"aspect_ratio": "3:2"}, "1248x832"),
        (DREAM_30, {"size": "1280x720"}, "1280x720"),
    ],
)
def test_an_images_size_is_pixels_or_a_word(
    model: str, fields: dict[str, Any], size: str | None
):
    body = body_of(model, **fields)
    assert body.get("size") == size
    described = ark_models.describe(model)
    assert described is not None
    if described.pixel_range and size and "x" in size:
        width, height = map(int, size.split("x"))
        assert described.pixel_range[0] <= width * height <= described.pixel_range[1]


@pytest.mark.parametrize(
    ("model", "images", "fields", "said"),
    [
        (DREAM_45, 1, {}, {"image": A}),
        (DREAM_45, 2, {}, {"image": [A, A]}),
        (EDIT_30, 1, {"seed": 5}, {"image": A, "size": "adaptive", "seed": 5}),
        (DREAM_30, 0, {"seed": 5}, {"seed": 5}),
        (
            DREAM_45,
            0,
            {"n": 3},
            {
                "sequential_image_generation": "auto",
                "sequential_image_generation_options": {"max_images": 3},
            },
        ),
        (DREAM_50_PRO, 0, {"output_format": "JPG"}, {"output_format": "jpeg"}),
        (DREAM_50_PRO, 0, {"output_format": "png"}, {"output_format": "png"}),
        (DREAM_45, 0, {"output_format": "jpeg"}, {}),
    ],
)
def test_image_options_are_said_in_arks_words(
    model: str, images: int, fields: dict[str, Any], said: dict[str, Any]
):
    body = body_of(model, *[an_image_url(A)] * images, **fields)
    usual = {"model", "prompt", "response_format", "watermark"}
    if body.get("sequential_image_generation") == "disabled":
        usual.add("sequential_image_generation")
    assert {k: v for k, v in body.items() if k not in usual} == said


def test_the_oldest_image_models_know_no_series():
    assert "sequential_image_generation" not in body_of(DREAM_30)


@pytest.mark.parametrize(
    ("model", "images", "fields", "told"),
    [
        (DREAM_45, 0, {"size": "3K"}, "2K, 4K"),
        (DREAM_30, 0, {"size": "2K"}, "none of"),
        (DREAM_45, 0, {"size": "huge"}, "none of"),
        (DREAM_45, 0, {"aspect_ratio": "wide"}, "WIDTH:HEIGHT"),
        (DREAM_45, 14, {"n": 2}, "16 together"),
    ],
)
def test_what_an_image_cannot_be_is_rejected_before_anything_is_sent(
    model: str, images: int, fields: dict[str, Any], told: str
):
    with pytest.raises(errors.Rejected, match=told):
        play(ark.submit(wanted(model, *[an_image_url(A)] * images, **fields)))


# --- names of models


def test_an_endpoint_serves_the_model_before_it():
    name = f"{V20}@ep-20261103101112-x7k2p"
    described = ark_models.describe(name)
    assert described is not None
    assert (described.name, described.max_images) == (name, 9)
    assert body_of(name)["model"] == "ep-20261103101112-x7k2p"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("doubao-seedance-3-0-270101", MediaType.VIDEO),
        ("seedream-6-0-270101", MediaType.IMAGE),
        ("dreamina-seedance-2-0-260128", MediaType.VIDEO),
    ],
)
def test_a_model_younger_than_the_table_is_known_by_its_family(
    name: str, media_type: MediaType
):
    described = ark_models.describe(name)
    assert described is not None
    assert described.media_type is media_type


@pytest.mark.parametrize("name", ["ep-2026-abcde", "nobody@ep-2026-abcde", "", "wan"])
def test_what_is_no_model_is_refused_before_anything_is_sent(name: str):
    assert ark_models.describe(name) is None
    with pytest.raises(errors.ModelRefused):
        play(ark.submit(wanted(name)))


def test_the_two_platforms_differ_in_address_key_and_names():
    assert ark.BYTEPLUS.base_url.endswith("bytepluses.com/api/v3")
    assert ark.BYTEPLUS.env != ark.PROVIDER.env
    own = {model.name for model in ark.PROVIDER.models}
    assert not own & {model.name for model in ark.BYTEPLUS.models}


def test_the_key_is_a_bearer():
    call = ark.PROVIDER.authorize(Call("GET", "/x"), Credentials("k-1", {}, 0.0))
    assert call.headers == {"Authorization": "Bearer k-1"}


# --- answers to a submit


@pytest.mark.parametrize("reply", ["ark/submit", "ark/submit_with_identifier"])
def test_an_accepted_task_has_an_id_alone(reply: str):
    snapshot = play(ark.submit(wanted(PRO_15)), recorded(reply))
    assert (snapshot.phase, snapshot.remote) == (Phase.PENDING, Remote(TASK))


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": None}, {"id": 7}, [], None])
def test_a_success_without_an_id_is_no_answer(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(ark.submit(wanted(PRO_15)), answer(body))


GOOD = Artifact(url=IMAGE_URL, content_type="image/jpeg", width=2048, height=2048)
BLOCKED = "OutputImageSensitiveContentDetected"


@pytest.mark.parametrize(
    ("reply", "n", "phase", "artifacts", "failure"),
    [
        ("image", 1, Phase.SUCCEEDED, [GOOD], None),
        (
            "image",
            3,
            Phase.SUCCEEDED,
            [GOOD],
            Failure(Reason.UPSTREAM_FAILED, "the model made 1 of 3 images"),
        ),
        (
            "images_partial",
            2,
            Phase.SUCCEEDED,
            [
                Artifact(
                    url=IMAGE_URL, content_type="image/jpeg", width=2048, height=1152
                )
            ],
            Failure(
                Reason.CONTENT_REJECTED, "1 of 2 images were made: held back", BLOCKED
            ),
        ),
        (
            "images_all_blocked",
            1,
            Phase.FAILED,
            [],
            Failure(
                Reason.CONTENT_REJECTED, "0 of 1 images were made: held back", BLOCKED
            ),
        ),
        (
            "images_stopped",
            4,
            Phase.SUCCEEDED,
            [GOOD],
            Failure(
                Reason.UPSTREAM_FAILED,
                "1 of 4 images were made: broke off",
                "InternalServiceError",
            ),
        ),
        (
            "image_inline",
            1,
            Phase.SUCCEEDED,
            [Artifact(content=PNG, content_type="image/png", width=1024, height=1024)],
            None,
        ),
        (
            "image_layers",
            1,
            Phase.SUCCEEDED,
            [
                Artifact(
                    url=IMAGE_URL, content_type="image/png", width=2048, height=2048
                )
            ],
            None,
        ),
    ],
)
def test_images_come_with_the_answer(
    reply: str,
    n: int,
    phase: Phase,
    artifacts: Sequence[Artifact],
    failure: Failure | None,
):
    snapshot = play(ark.submit(wanted(DREAM_45, n=n)), recorded(f"ark/{reply}"))
    assert snapshot.phase is phase
    assert snapshot.artifacts == tuple(artifacts)
    assert snapshot.failure == failure
    assert "total_tokens" in snapshot.usage


@pytest.mark.parametrize("body", [{"data": [{"size": "1x1"}]}, {"data": None}, {}])
def test_an_answer_without_images_or_errors_is_no_answer(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(ark.submit(wanted(DREAM_45)), answer(body))


def test_an_error_with_status_200_is_an_error():
    with pytest.raises(errors.ContentRejected):
        play(ark.submit(wanted(DREAM_45)), recorded("ark/images_error_with_200"))


# --- errors

CODES = [
    (400, "MissingParameter", errors.Rejected),
    (400, "MissingParameter.content", errors.Rejected),
    (400, "InvalidParameter", errors.Rejected),
    (400, "InvalidParameter.TaskTypeConstraint", errors.Rejected),
    (400, "InvalidImageURL.DownloadFailed", errors.Rejected),
    (400, "SensitiveContentDetected", errors.ContentRejected),
    *[
        (400, f"{side}{kind}SensitiveContentDetected{tail}", errors.ContentRejected)
        for side in ("Input", "Output")
        for kind in ("Text", "Image", "Video", "Audio")
        for tail in ("", ".PolicyViolation")
    ],
    (
        400,
        "InputImageSensitiveContentDetected.PrivacyInformation",
        errors.ContentRejected,
    ),
    (400, "InvalidEndpoint.ClosedEndpoint", errors.ModelRefused),
    (401, "AuthenticationError", errors.KeyRefused),
    (401, "InvalidAccountStatus", errors.ChannelRefused),
    (403, "AccountOverdueError", errors.QuotaExhausted),
    (403, "AccessDenied", errors.ChannelRefused),
    (403, "OperationDenied.ServiceNotOpen", errors.ChannelRefused),
    (403, "OperationDenied.ServiceOverdue", errors.QuotaExhausted),
    (404, "ModelNotOpen", errors.ModelRefused),
    (404, "InvalidEndpointOrModel.NotFound", errors.ModelRefused),
    (404, "InvalidEndpointOrModel.ModelIDAccessDisabled", errors.ModelRefused),
    (404, "SomethingNew", errors.ModelRefused),
    (429, "RateLimitExceeded.EndpointRPMExceeded", errors.RateLimited),
    (429, "RateLimitExceeded.EndpointTPMExceeded", errors.RateLimited),
    (429, "ModelAccountRpmRateLimitExceeded", errors.RateLimited),
    (429, "ModelAccountTpmRateLimitExceeded", errors.RateLimited),
    (429, "ModelAccountIpmRateLimitExceeded", errors.RateLimited),
    (429, "APIAccountRpmRateLimitExceeded", errors.RateLimited),
    (429, "AccountRateLimitExceeded", errors.RateLimited),
    (429, "RequestBurstTooFast", errors.RateLimited),
    (429, "InflightBatchsizeExceeded", errors.RateLimited),
    (429, "ServerOverloaded", errors.RateLimited),
    (429, "QuotaExceeded", errors.RateLimited),
    (429, "AccountQuotaExceeded", errors.RateLimited),
    (429, "SetLimitExceeded", errors.QuotaExhausted),
    (429, "SomethingNew", errors.RateLimited),
    (500, "InternalServiceError", errors.Unavailable),
    (503, "SomethingNew", errors.Unavailable),
    (409, "SomethingNew", errors.OutcomeUnknown),
    (400, "SomethingNew", errors.Rejected),
]


@pytest.mark.parametrize("model", [PRO_15, DREAM_45])
@pytest.mark.parametrize(("status", "code", "kind"), CODES)
def test_an_error_is_classed_by_its_code_then_by_its_status(
    model: str, status: int, code: str, kind: type[errors.ProviderError]
):
    body = {"error": {"code": code, "message": "no", "param": "", "type": "T"}}
    with pytest.raises(errors.ProviderError) as caught:
        play(ark.submit(wanted(model)), answer(body, status=status))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status) == (code, status)


@pytest.mark.parametrize("code", ["QuotaExceeded", "AccountQuotaExceeded.Model"])
def test_a_free_trial_that_is_used_up_is_no_matter_of_waiting(code: str):
    error = {"code": code, "message": "The free trial of this model is used up."}
    with pytest.raises(errors.QuotaExhausted):
        play(ark.submit(wanted(PRO_15)), answer({"error": error}, status=429))


def test_an_error_without_a_code_is_classed_by_its_status():
    reply = recorded("ark/error_without_code", status=429, retry_after="9")
    with pytest.raises(errors.RateLimited, match="come back") as caught:
        play(ark.submit(wanted(PRO_15)), reply)
    assert caught.value.retry_after_s == 9


# --- poll


@pytest.mark.parametrize(
    ("reply", "phase"),
    [
        ("queued", Phase.PENDING),
        ("pending", Phase.PENDING),
        ("running", Phase.RUNNING),
        ("processing", Phase.RUNNING),
        ("succeeded", Phase.SUCCEEDED),
        ("failed", Phase.FAILED),
        ("expired", Phase.FAILED),
        ("cancelled", Phase.CANCELLED),
    ],
)
def test_each_status_is_read(reply: str, phase: Phase):
    snapshot = play(ark.poll(Remote(TASK)), recorded(f"ark/{reply}"))
    assert (snapshot.phase, snapshot.remote) == (phase, Remote(TASK))
    assert (snapshot.failure is not None) == (phase is Phase.FAILED)


@pytest.mark.parametrize(
    ("reply", "content_type", "seconds", "used"),
    [
        ("succeeded", "video/mp4", 5.0, {"completion_tokens", "total_tokens"}),
        ("succeeded_frames", "video/mp4", 57 / 24, {"completion_tokens"}),
        ("succeeded_mov", "video/quicktime", 5.0, {"tool_usage"}),
        ("succeeded_last_frame", "video/mp4", 5.0, {"last_frame_url"}),
    ],
)
def test_a_finished_task_has_one_film(
    reply: str, content_type: str, seconds: float, used: set[str]
):
    snapshot = play(ark.poll(Remote(TASK)), recorded(f"ark/{reply}"))
    (artifact,) = snapshot.artifacts
    assert (artifact.content_type, artifact.duration_s) == (content_type, seconds)
    assert used <= snapshot.usage.keys()
    if reply == "succeeded":
        assert artifact.url == VIDEO_URL


@pytest.mark.parametrize(
    ("reply", "reason", "code"),
    [
        ("failed", Reason.UPSTREAM_FAILED, "InternalServiceError"),
        (
            "failed_blocked",
            Reason.CONTENT_REJECTED,
            "OutputVideoSensitiveContentDetected.PolicyViolation",
        ),
        ("failed_request", Reason.INVALID_REQUEST, "InvalidParameter.TaskTypeMismatch"),
        ("failed_without_reason", Reason.UPSTREAM_FAILED, ""),
        ("expired", Reason.UPSTREAM_EXPIRED, "expired"),
        ("succeeded_nothing", Reason.UPSTREAM_FAILED, ""),
    ],
)
def test_a_failed_task_says_why(reply: str, reason: Reason, code: str):
    snapshot = play(ark.poll(Remote(TASK)), recorded(f"ark/{reply}"))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)
    assert snapshot.failure.message


def test_an_undocumented_status_is_no_state():
    with pytest.raises(errors.UnexpectedReply):
        play(ark.poll(Remote(TASK)), recorded("ark/undocumented"))


@pytest.mark.parametrize(
    "reply",
    [
        recorded("ark/error_unknown", status=404),
        answer({"error": {"code": "ModelNotOpen", "message": "x"}}, status=404),
        raw(b"", "text/plain", 404),
    ],
)
def test_any_404_of_a_poll_is_an_unknown_task(reply: Reply):
    with pytest.raises(errors.NotFound):
        play(ark.poll(Remote(TASK)), reply)


def test_an_id_is_quoted_in_the_path():
    (call,) = calls_of(ark.poll(Remote("a/b?c")), recorded("ark/queued"))
    assert call.url == "/contents/generations/tasks/a%2Fb%3Fc"


def test_many_tasks_are_asked_for_at_once():
    remotes = [Remote(TASK), Remote(OTHER)]
    (call,) = calls_of(ark.poll_many(remotes), recorded("ark/list"))
    parts = urlsplit(call.url)
    assert parts.path == "/contents/generations/tasks"
    assert parse_qs(parts.query) == {
        "page_num": ["1"],
        "page_size": ["2"],
        "filter.task_ids": [TASK, OTHER],
    }
    found = play(ark.poll_many(remotes), recorded("ark/list"))
    assert {task: snapshot.phase for task, snapshot in found.items()} == {
        TASK: Phase.SUCCEEDED,
        OTHER: Phase.RUNNING,
    }


def test_what_a_list_lacks_is_asked_for_before_it_is_missing():
    remotes = [Remote(TASK), Remote("cgt-late"), Remote("cgt-gone")]
    found = play(
        ark.poll_many(remotes),
        recorded("ark/list"),
        answer({"id": "cgt-late", "status": "queued"}),
        recorded("ark/error_unknown", status=404),
    )
    assert found["cgt-late"].phase is Phase.PENDING
    assert "cgt-gone" not in found


def test_one_unreadable_task_does_not_spoil_the_list():
    body = {"items": [{"id": "a", "status": "reviewing"}, {"id": "b", "status": 1}]}
    found = play(ark.poll_many([Remote("a"), Remote("b")]), answer(body))
    assert {snapshot.phase for snapshot in found.values()} == {Phase.RUNNING}


# --- cancel, callback, test


def test_a_waiting_task_is_cancelled():
    calls = calls_of(
        ark.cancel(Remote(TASK)), recorded("ark/queued"), recorded("ark/deleted")
    )
    assert [(call.method, call.url) for call in calls] == [
        ("GET", f"/contents/generations/tasks/{TASK}"),
        ("DELETE", f"/contents/generations/tasks/{TASK}"),
    ]
    assert play(
        ark.cancel(Remote(TASK)), recorded("ark/queued"), recorded("ark/deleted")
    )


@pytest.mark.parametrize(
    ("reply", "stopped"),
    [
        ("pending", False),
        ("running", False),
        ("succeeded", False),
        ("failed", False),
        ("expired", False),
        ("cancelled", True),
    ],
)
def test_the_record_of_any_other_task_is_left_alone(reply: str, stopped: bool):
    assert play(ark.cancel(Remote(TASK)), recorded(f"ark/{reply}")) is stopped


def test_a_task_that_just_began_to_run_is_not_cancelled():
    conflict = recorded("ark/error_running", status=409)
    assert not play(ark.cancel(Remote(TASK)), recorded("ark/queued"), conflict)


def test_a_callback_tells_which_task_to_look_at():
    heard = ark.receive(Callback({}, recorded("ark/callback").content), PRO_15)
    assert (heard.ids, heard.remote, heard.signed) == ((TASK,), Remote(TASK), None)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": ""}', b'{"id": 7}', b"null"])
def test_what_is_no_callback_is_refused(body: bytes):
    with pytest.raises(errors.UnexpectedReply):
        ark.receive(Callback({}, body), PRO_15)


def test_a_key_is_proved_by_listing_one_task():
    (call,) = calls_of(ark.test(), recorded("ark/list"))
    assert (call.method, call.url, call.paid) == (
        "GET",
        "/contents/generations/tasks",
        False,
    )
    error = {"error": {"code": "AuthenticationError", "message": "no"}}
    with pytest.raises(errors.KeyRefused):
        play(ark.test(), answer(error, status=401))


def test_every_field_of_metadata_reaches_the_body_as_it_is():
    extra = json.loads('{"tools": [{"type": "web_search"}], "priority": 3}')
    body = body_of(V20, metadata=extra)
    assert body.items() >= extra.items()
