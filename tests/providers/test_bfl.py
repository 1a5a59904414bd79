"""Black Forest Labs' adapter: every row of its forms, states, results and errors."""

from __future__ import annotations

from typing import Any

import pytest

from app.capabilities import find_problems
from providers import bfl, errors
from providers.dialects.bfl_models import BY_NAME, OFFERS, Form
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
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

A, B = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"
CLIP = "https://cdn.example.com/c.mp4"
PNG = b"\x89PNG\r\n\x1a\n"
BASE64 = "iVBORw0KGgo="
PROMPT = "a lighthouse made of paper, dawn"
ID = "5b0a5a0e-6f1d-4c55-9a44-8f0f4a6d2c10"
URL = f"https://api.eu1.bfl.ai/v1/get_result?id={ID}"
TASK = Remote(ID, {"polling_url": URL})
FILM = Remote(ID, {"media": "video", "polling_url": URL})
KONTEXT, OLD, ULTRA = "flux-kontext-pro", "flux-pro-1.1", "flux-pro-1.1-ultra"
NEW, VIDEO = "flux-3-image", "flux-3-video"
TOOLS = "flux-tools/"


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    media_type = BY_NAME[model].model.media_type
    return a_request(model=model, media_type=media_type, images=images, **fields)


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit; every image that must be read is a PNG."""
    encodes = BY_NAME[model].form in {Form.FLUX_1, Form.ULTRA, Form.FILL, Form.EXPAND}
    read = [image for image in images if image.uploaded or encodes]
    files = [raw(PNG, "image/png")] * len(read)
    request = wanted(model, *images, **fields)
    calls = calls_of(bfl.submit(request), *files, recorded("bfl/submit"))
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    assert all(call.public for call in calls[:-1])
    return calls[-1]


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = submitted(model, *images, **fields).json
    return body


def answered(reply: Reply, model: str = "flux-2-pro") -> Snapshot:
    return play(bfl.submit(wanted(model)), reply)


def looked(name: str, remote: Remote = TASK, status: int = 200) -> Snapshot:
    return play(bfl.poll(remote), recorded(f"bfl/{name}", status=status))


# Submit


def test_model_is_in_the_path_and_no_callback_is_asked_for():
    call = submitted(
        "flux-2-pro",
        callback_url="https://gw.example/up/1",
        metadata={
            "safety_tolerance": 2,
            "disable_pup": True,
            "webhook_url": "https://evil.example",
            "webhook_secret": "s",
        },
        seed=77,
        output_format="JPG",
        size="1024x768",
    )
    assert (call.method, call.url) == ("POST", "/v1/flux-2-pro")
    assert call.json == {
        "prompt": PROMPT,
        "width": 1024,
        "height": 768,
        "seed": 77,
        "output_format": "jpeg",
        "safety_tolerance": 2,
        "disable_pup": True,
    }


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.model.name)
def test_every_model_has_a_path_of_its_own(offer: Any):
    images = [an_image_url(A), an_image_url(B)][: offer.model.max_images]
    if offer.form not in {Form.ERASE, Form.TRY_ON}:
        images = images[:1]
    call = submitted(offer.model.name, *images, size="1024x1024", video_url=None)
    assert call.url == f"/v1/{offer.model.name}"
    assert offer.model.max_n == 1
    is_film = offer.form in {Form.VIDEO_3, Form.UPSCALE}
    assert (offer.model.media_type is MediaType.VIDEO) == is_film


def test_general_input_is_a_prompt():
    assert body_of(KONTEXT, prompt=None, input="a fox") == {"prompt": "a fox"}


@pytest.mark.parametrize(
    ("model", "images", "expected"),
    [
        ("flux-2-max", [A, B], {"input_image": A, "input_image_2": B}),
        (KONTEXT, [A, B], {"input_image": A, "input_image_2": B}),
        (OLD, [A], {"image_prompt": BASE64}),
        (ULTRA, [A], {"image_prompt": BASE64}),
        ("flux-dev", [A], {"image_prompt": BASE64}),
        ("flux-pro-1.0-fill", [A, B], {"image": BASE64, "mask": BASE64}),
        ("flux-pro-1.0-expand", [A], {"image": BASE64}),
        (f"{TOOLS}erase-v1", [A, B], {"image": A, "mask": B}),
        (f"{TOOLS}deblur-v1", [A], {"image": A}),
        (f"{TOOLS}vto-v1", [A, B], {"person": A, "garment": B}),
        (f"{TOOLS}vto-v2", [A, B], {"person": A, "garment": B}),
        (NEW, [A, B], {"images": [A, B]}),
        (VIDEO, [A], {"mode": "i2v", "keyframes": A}),
        (VIDEO, [A, B], {"mode": "i2v", "keyframes": [A, B]}),
    ],
)
def test_images_go_into_the_fields_of_the_form(
    model: str, images: list[str], expected: dict[str, Any]
):
    body = body_of(model, *map(MediaInput, images))
    silent = model in {f"{TOOLS}erase-v1", f"{TOOLS}deblur-v1"}
    assert body == expected | ({} if silent else {"prompt": PROMPT})


@pytest.mark.parametrize(
    ("model", "name"), [("flux-2-pro", "input_image"), (KONTEXT, "input_image")]
)
def test_uploaded_image_is_sent_in_base64_without_a_prefix(model: str, name: str):
    assert body_of(model, an_upload())[name] == BASE64


def test_upload_is_a_key_frame_and_a_reference():
    assert body_of(VIDEO, an_upload())["keyframes"] == BASE64
    assert body_of(NEW, an_upload())["images"] == [BASE64]


def test_outpainting_needs_its_canvas():
    body = body_of(f"{TOOLS}outpainting-v1", an_image_url(A), size="1536x1024")
    assert body == {
        "prompt": PROMPT,
        "input_image": A,
        "width": 1536,
        "height": 1024,
    }


def test_expansion_is_told_in_the_metadata():
    extra = {"top": 64, "left": 128, "steps": 20}
    body = body_of("flux-pro-1.0-expand", an_image_url(A), metadata=extra)
    assert body == {"prompt": PROMPT, "image": BASE64, **extra}


@pytest.mark.parametrize("model", [f"{TOOLS}erase-v1", f"{TOOLS}vto-v2"])
def test_one_image_of_two_is_refused_before_it_is_paid(model: str):
    with pytest.raises(errors.Rejected):
        calls_of(bfl.submit(wanted(model, an_image_url(A))))


def test_second_image_may_come_in_the_metadata():
    body = body_of(
        f"{TOOLS}vto-v2", an_image_url(A), metadata={"garment": "https://x.example/g"}
    )
    assert (body["person"], body["garment"]) == (A, "https://x.example/g")


def test_upscale_takes_a_film():
    body = body_of(
        f"{TOOLS}video-upscale-v1", video_url=CLIP, metadata={"upscale_factor": 2}
    )
    assert body == {"prompt": PROMPT, "input_video": CLIP, "upscale_factor": 2}


def test_model_that_is_not_offered_is_the_channels_matter():
    with pytest.raises(errors.ModelRefused):
        calls_of(bfl.submit(a_request(model="flux-9")))


# Shape


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("flux-2-pro", {}, None),
        ("flux-2-pro", {"aspect_ratio": "auto"}, None),
        ("flux-2-pro", {"aspect_ratio": "1:1"}, (1024, 1024)),
        ("flux-2-pro", {"aspect_ratio": "16:9"}, (1360, 768)),
        ("flux-2-pro", {"size": "9/16"}, (768, 1360)),
        ("flux-2-pro", {"resolution": "2K"}, (2048, 2048)),
        ("flux-2-pro", {"resolution": "2k", "aspect_ratio": "3:2"}, (2496, 1664)),
        ("flux-2-pro", {"width": 640, "height": 480}, (640, 480)),
        (OLD, {"aspect_ratio": "16:9"}, (1344, 768)),
        (OLD, {"aspect_ratio": "21:9"}, (1440, 608)),
        ("flux-dev", {"aspect_ratio": "1:5"}, (288, 1440)),
        ("flux-dev", {"size": "512x288"}, (512, 288)),
    ],
)
def test_shape_in_pixels(
    model: str, fields: dict[str, Any], expected: tuple[int, int] | None
):
    body = body_of(model, **fields)
    assert (body.get("width"), body.get("height")) == (expected or (None, None))
    assert not {"aspect_ratio", "resolution", "size"} & body.keys()
    if expected:
        sides = {"prompt": "x", "width": expected[0], "height": expected[1]}
        assert not find_problems(sides, BY_NAME[model].model)


@pytest.mark.parametrize("ratio", ["21:9", "16:9", "3:2", "1:1", "2:3", "9:21", "1:4"])
@pytest.mark.parametrize("level", ["1k", "1.5k", "2k"])
def test_every_shape_keeps_the_limits(ratio: str, level: str):
    body = body_of("flux-2-flex", aspect_ratio=ratio, resolution=level)
    sides = {"prompt": "x", "width": body["width"], "height": body["height"]}
    assert not find_problems(sides, BY_NAME["flux-2-flex"].model)


def test_one_side_alone_is_passed_on():
    body = body_of("flux-2-pro", width=640)
    assert (body["width"], "height" in body) == (640, False)


@pytest.mark.parametrize(
    ("images", "fields"),
    [
        ((), {"aspect_ratio": "wide"}),
        ((), {"size": "large"}),
        ((an_image_url(A),), {"resolution": "2k"}),
    ],
)
def test_shape_that_cannot_be_said_is_refused(images: Any, fields: dict[str, Any]):
    with pytest.raises(errors.Rejected):
        calls_of(bfl.submit(wanted("flux-2-pro", *images, **fields)))


@pytest.mark.parametrize("model", [KONTEXT, "flux-kontext-max", ULTRA])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"aspect_ratio": "7 : 3"}, "7:3"),
        ({"size": "1024x768"}, "4:3"),
        ({"size": "16:9"}, "16:9"),
        ({"width": 900, "height": 1600}, "9:16"),
        ({"size": "1024x768", "aspect_ratio": "1/1"}, "1:1"),
    ],
)
def test_shape_as_a_ratio(model: str, fields: dict[str, Any], expected: str | None):
    assert body_of(model, **fields).get("aspect_ratio") == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"aspect_ratio": "auto"}, {"aspect_ratio": "auto"}),
        ({"resolution": "1K"}, {"resolution": "1k"}),
        ({"size": "2720x1536"}, {"aspect_ratio": "16:9", "resolution": "2k"}),
        ({"size": "768x768"}, {"aspect_ratio": "1:1", "resolution": "768sq"}),
        (
            {"size": "1024x1024", "resolution": "4K", "aspect_ratio": "5:7"},
            {"aspect_ratio": "5:7", "resolution": "4k"},
        ),
    ],
)
def test_shape_of_flux_3_images(fields: dict[str, Any], expected: dict[str, Any]):
    assert body_of(NEW, **fields) == {"prompt": PROMPT, **expected}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hd", "hd"),
        ("720P", "hd"),
        ("1080P", "fhd"),
        ("1440P", "qhd"),
        ("2K", "qhd"),
        ("2160P", "uhd"),
        ("4K", "uhd"),
        ("UHD", "uhd"),
    ],
)
def test_resolution_of_films(word: str, expected: str):
    assert body_of(VIDEO, resolution=word)["resolution"] == expected
    assert not find_problems({"resolution": word}, BY_NAME[VIDEO].model)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("1280x720", ("16:9", "hd")), ("1080x1920", ("9:16", "fhd"))],
)
def test_size_of_a_film_is_a_ratio_and_a_resolution(size: str, expected: Any):
    body = body_of(VIDEO, size=size)
    assert (body["aspect_ratio"], body["resolution"]) == expected


# Films


@pytest.mark.parametrize(
    ("images", "fields", "expected"),
    [
        ((), {"duration": 8.0}, {"mode": "t2v", "prompt": PROMPT, "duration": 8}),
        (
            (),
            {"video_url": CLIP, "duration": 15.0, "aspect_ratio": "16:9"},
            {"mode": "v2v", "prompt": PROMPT, "duration": 15, "start_video": CLIP},
        ),
        (
            (),
            {"metadata": {"draft_cache": "dc_1"}, "resolution": "4K"},
            {"mode": "draft_enhance", "resolution": "uhd", "draft_cache": "dc_1"},
        ),
        (
            (),
            {"metadata": {"keyframes": [[0, A]]}},
            {"mode": "i2v", "prompt": PROMPT, "keyframes": [[0, A]]},
        ),
        (
            (),
            {"metadata": {"start_video": CLIP}},
            {"mode": "v2v", "prompt": PROMPT, "start_video": CLIP},
        ),
        (
            (),
            {"metadata": {"mode": "t2v", "generate_audio": False}},
            {"mode": "t2v", "prompt": PROMPT, "generate_audio": False},
        ),
        (
            (),
            {"metadata": {"mode": "newest"}, "video_url": CLIP},
            {"mode": "newest", "prompt": PROMPT, "start_video": CLIP},
        ),
    ],
)
def test_inputs_decide_the_mode_of_a_film(
    images: Any, fields: dict[str, Any], expected: dict[str, Any]
):
    assert body_of(VIDEO, *images, **fields) == expected


@pytest.mark.parametrize(
    ("count", "fields"),
    [
        (3, {}),
        (1, {"video_url": CLIP}),
        (0, {"video_url": CLIP, "duration": 16.0}),
        (0, {"duration": 5.5}),
        (1, {"metadata": {"mode": "t2v"}}),
        (0, {"metadata": {"draft_cache": "d"}, "duration": 5.0}),
    ],
)
def test_film_that_no_mode_can_make_is_refused(count: int, fields: dict[str, Any]):
    images = [an_image_url(A)] * count
    with pytest.raises(errors.Rejected):
        calls_of(bfl.submit(wanted(VIDEO, *images, **fields)))


def test_three_key_frames_need_a_duration():
    images = [an_image_url(A)] * 3
    assert body_of(VIDEO, *images, duration=9)["keyframes"] == [A, A, A]
    told = body_of(VIDEO, *images, metadata={"duration": "auto"})
    assert told["duration"] == "auto"


# Limits


@pytest.mark.parametrize(
    ("model", "inputs", "field"),
    [
        ("flux-2-pro", {"images": [1] * 9}, "images"),
        ("flux-2-klein-4b", {"images": [1] * 5}, "images"),
        (KONTEXT, {"images": [1] * 5}, "images"),
        (NEW, {"images": [1] * 11}, "images"),
        (OLD, {"images": [1] * 2}, "images"),
        (f"{TOOLS}video-upscale-v1", {"video_url": CLIP, "images": [1]}, "images"),
        ("flux-2-pro", {"size": "1000x1000"}, "size"),
        ("flux-2-pro", {"size": "2064x2048"}, "size"),
        ("flux-2-pro", {"size": "48x64"}, "size"),
        ("flux-2-pro", {"negative_prompt": "blur"}, "negative_prompt"),
        ("flux-2-pro", {"quality": "high"}, "quality"),
        ("flux-2-pro", {"style": "vivid"}, "style"),
        ("flux-2-pro", {"n": 2}, "n"),
        ("flux-2-pro", {"duration": 5}, "duration"),
        ("flux-2-pro", {"output_format": "gif"}, "output_format"),
        ("flux-2-pro", {"resolution": "8k"}, "resolution"),
        (OLD, {"size": "1472x1024"}, "size"),
        (OLD, {"size": "1000x1024"}, "size"),
        (KONTEXT, {"aspect_ratio": "3:1"}, "aspect_ratio"),
        (KONTEXT, {"resolution": "2k"}, "resolution"),
        (NEW, {"seed": 1}, "seed"),
        (NEW, {"output_format": "png"}, "output_format"),
        (VIDEO, {"seed": 1}, "seed"),
        (VIDEO, {"duration": 4}, "duration"),
        (VIDEO, {"duration": 21}, "duration"),
        (VIDEO, {"aspect_ratio": "5:4"}, "aspect_ratio"),
        (f"{TOOLS}erase-v1", {"size": "512x512"}, "size"),
        (f"{TOOLS}outpainting-v1", {"images": [1]}, "size"),
        (f"{TOOLS}deblur-v1", {}, "images"),
        (f"{TOOLS}video-upscale-v1", {}, "video_url"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(
    model: str, inputs: dict[str, Any], field: str
):
    told = find_problems({"prompt": "x", **inputs}, BY_NAME[model].model)
    assert field in told


# Accepted


def test_accepted_task_keeps_its_address_and_its_cost():
    snapshot = answered(recorded("bfl/submit"))
    assert snapshot == Snapshot(
        phase=Phase.PENDING, remote=TASK, usage={"credits": 3.0}
    )
    assert answered(recorded("bfl/submit"), VIDEO).remote == FILM


def test_cost_may_be_null():
    assert answered(recorded("bfl/submit_bare")).usage == {}


@pytest.mark.parametrize("body", [None, {"id": ID}, {"id": ID, "polling_url": ""}])
def test_task_without_an_address_is_looked_at_by_its_id(body: Any):
    reply = answer(body) if body else recorded("bfl/submit_hooked")
    remote = answered(reply).remote
    assert remote == Remote(ID)
    (call,) = calls_of(bfl.poll(remote), recorded("bfl/pending"))
    assert (call.url, call.params) == ("/v1/get_result", {"id": ID})


def test_moderated_submit_is_a_failed_task():
    snapshot = answered(recorded("bfl/submit_moderated"))
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": 7}, {"polling_url": URL}])
def test_answer_without_an_id_is_no_task(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        answered(answer(body))


# Polls


def test_task_is_asked_exactly_where_its_submit_said():
    (call,) = calls_of(bfl.poll(TASK), recorded("bfl/pending"))
    assert (call.method, call.url, call.params) == ("GET", URL, {})


@pytest.mark.parametrize(
    ("name", "phase", "percent"),
    [
        ("pending", Phase.PENDING, None),
        ("state", Phase.PENDING, None),
        ("reasoning", Phase.RUNNING, 10),
        ("generating", Phase.RUNNING, 42),
    ],
)
def test_state_of_a_task(name: str, phase: Phase, percent: int | None):
    snapshot = looked(name)
    assert (snapshot.phase, snapshot.percent) == (phase, percent)
    assert (snapshot.remote, snapshot.look_after_s) == (TASK, None)
    assert looked(name, FILM).look_after_s == 5.0


@pytest.mark.parametrize(
    ("progress", "percent"), [(1.0, 99), (None, None), (True, None), ("x", None)]
)
def test_progress_is_below_the_end(progress: Any, percent: int | None):
    body = {"id": ID, "status": "GENERATING", "progress": progress}
    assert play(bfl.poll(TASK), answer(body)).percent == percent


def test_result_is_a_link_for_ten_minutes():
    snapshot = looked("ready")
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert snapshot.usage == {"credits": 3.0}
    (image,) = snapshot.artifacts
    assert image == Artifact(
        url="https://delivery-eu1.bfl.ai/results/41/ab%2Fc/sample.png"
        "?se=2026-11-22T10%3A00%3A00Z&sig=x%2By%3D"
    )
    assert bfl.PROVIDER.links_live_s == 600


def test_film_and_the_cache_of_a_draft():
    assert looked("ready_film", FILM).artifacts[0].content_type == "video/mp4"
    film, cache = looked("ready_draft", FILM).artifacts
    assert film.url is not None
    assert (cache.title, cache.text, cache.url) == ("draft_cache", "dc_17Qx", None)


@pytest.mark.parametrize("status", [200, 400, 422, 500])
@pytest.mark.parametrize(
    ("name", "reason", "code", "message"),
    [
        ("request_moderated", Reason.CONTENT_REJECTED, "request moderated", "moderat"),
        ("content_moderated", Reason.CONTENT_REJECTED, "content moderated", "Logo"),
        ("error", Reason.UPSTREAM_FAILED, "error", "could not be completed"),
        ("error_input", Reason.INVALID_REQUEST, "error", "decode input image"),
        ("error_text", Reason.UPSTREAM_FAILED, "error", "worker gone"),
        ("error_silent", Reason.UPSTREAM_FAILED, "failed", "failed"),
    ],
)
def test_failed_task_is_a_value_whatever_its_http_status(
    name: str, reason: Reason, code: str, message: str, status: int
):
    snapshot = looked(name, status=status)
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)
    assert message in snapshot.failure.message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("error_coded", Reason.UPSTREAM_TIMEOUT),
        ("error_coded_content", Reason.CONTENT_REJECTED),
        ("error_coded_image", Reason.INVALID_REQUEST),
    ],
)
@pytest.mark.parametrize("status", [200, 422])
def test_failure_with_a_code_has_its_reason(name: str, reason: Reason, status: int):
    snapshot = looked(name, status=status)
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("internal_error", Reason.UPSTREAM_FAILED),
        ("generation_failed", Reason.UPSTREAM_FAILED),
    ],
)
def test_other_codes_of_failures(code: str, reason: Reason):
    body = {"status": "Error", "error": code, "message": "invalid input"}
    snapshot = play(bfl.poll(TASK), answer(body))
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason


@pytest.mark.parametrize("status", [200, 404])
def test_unknown_task_is_not_found(status: int):
    with pytest.raises(errors.NotFound):
        looked("not_found", status=status)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"status": "Error", "id": ID}, errors.KeyRefused),
        (403, {"status": "Error", "id": ID}, errors.ChannelRefused),
        (429, {"status": "Error", "id": ID}, errors.RateLimited),
        (422, {"status": "Error", "id": "another"}, errors.Rejected),
        (500, {"status": "Error"}, errors.Unavailable),
        (503, {"status": "Rebalancing", "id": ID}, errors.Unavailable),
        (404, {"detail": "Not Found"}, errors.NotFound),
    ],
)
def test_trouble_of_a_look_is_not_the_tasks(
    status: int, body: Any, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(bfl.poll(TASK), answer(body, status=status))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "body",
    [
        {"id": ID, "status": "Rebalancing"},
        {"id": ID},
        {"id": ID, "status": 3},
        {"id": ID, "status": "Ready", "result": None},
        {"id": ID, "status": "Ready", "result": {"sample": ""}},
        {"id": ID, "status": "Ready", "result": {"sample": ["x"]}},
    ],
)
def test_undocumented_look_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(bfl.poll(TASK), answer(body))


def test_address_that_may_not_have_the_key_gives_way_to_the_id():
    refused = errors.UnexpectedReply("not its own address")
    calls = calls_of(bfl.poll(TASK), refused, recorded("bfl/pending"))
    assert [call.url for call in calls] == [URL, "/v1/get_result"]
    with pytest.raises(errors.UnexpectedReply):  # it may live: not "not found"
        play(bfl.poll(TASK), refused, recorded("bfl/not_found", status=404))


def test_key_goes_to_the_clusters_of_both_regions_only():
    assert {".bfl.ai"} == bfl.HOSTS


# Errors


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"detail": "Reference image is too small"}, errors.Rejected),
        (401, {"error": "invalid_api_key", "message": "no"}, errors.KeyRefused),
        (401, None, errors.KeyRefused),
        (402, {"detail": "Insufficient credits"}, errors.QuotaExhausted),
        (
            402,
            {"error": "insufficient_credits", "message": "no"},
            errors.QuotaExhausted,
        ),
        (403, {"detail": "Not authenticated"}, errors.KeyRefused),
        (403, {"detail": "No access to this model"}, errors.ChannelRefused),
        (404, {"detail": "Not Found"}, errors.ModelRefused),
        (422, {"detail": "Invalid API key format"}, errors.KeyRefused),
        (422, {"detail": [{"loc": ["body", "x"], "msg": "bad"}]}, errors.Rejected),
        (422, {"detail": {"error": "bad"}}, errors.Rejected),
        (422, {"error": "validation_error", "message": "no"}, errors.Rejected),
        (
            400,
            {"error": "content_policy_violation", "message": "no"},
            errors.ContentRejected,
        ),
        (429, {"detail": "Too many active tasks"}, errors.RateLimited),
        (429, {"error": "rate_limit_exceeded", "message": "no"}, errors.RateLimited),
        (500, {"detail": "Internal Server Error"}, errors.Unavailable),
        (502, None, errors.Unavailable),
        (503, {"detail": "busy"}, errors.Unavailable),
    ],
)
def test_refused_submit_is_classed(
    status: int, body: Any, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(answer(body, status=status))
    assert type(caught.value) is kind
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("refused_text", "Not authenticated"),
        (
            "refused_list",
            "prompt: Field required; seed: Extra inputs are not permitted",
        ),
        ("refused_object", "Reference image is too small"),
        ("refused_coded", "slow down"),
    ],
)
def test_every_style_of_error_has_its_text(name: str, text: str):
    with pytest.raises(errors.ProviderError) as caught:
        answered(recorded(f"bfl/{name}", status=400))
    assert str(caught.value) == text


def test_wait_is_told_by_the_header_or_by_the_body():
    waits = []
    for headers in ({"retry_after": "7"}, {}):
        with pytest.raises(errors.RateLimited) as caught:
            answered(recorded("bfl/refused_coded", status=429, **headers))
        waits.append(caught.value.retry_after_s)
    assert waits == [7.0, 5.0]
    with pytest.raises(errors.Unavailable) as trouble:
        play(bfl.poll(TASK), answer({}, status=503, retry_after="2"))
    assert trouble.value.retry_after_s == 2.0


# Credentials


def test_key_is_a_header_of_its_own():
    sent = bfl.PROVIDER.authorize(Call("GET", URL), Credentials("k-1", {}, 0))
    assert sent.headers == {"x-key": "k-1"}


def test_credits_prove_a_key():
    (call,) = calls_of(bfl.test(), recorded("bfl/credits"))
    assert (call.method, call.url, call.paid) == ("GET", "/v1/credits", False)
    with pytest.raises(errors.KeyRefused):
        play(bfl.test(), recorded("bfl/refused_text", status=403))
    with pytest.raises(errors.UnexpectedReply):
        play(bfl.test(), raw(b"<html>", "text/html"))
