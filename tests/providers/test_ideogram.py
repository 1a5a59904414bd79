"""Ideogram's adapter: every row of its forms, states, results, webhooks and errors."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, ideogram
from providers.dialects.ideogram_models import (
    BY_NAME,
    LEGACY_SIZES,
    OFFERS,
    SIZES,
    Api,
)
from providers.flow import Call, Part, Reply, drive
from providers.types import (
    Artifact,
    Callback,
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

PNG = b"\x89PNG\r\n\x1a\n"
PROMPT = "a lighthouse made of paper, dawn"
ID = "hT3vXq9aRk2LmZ0pWc8sYQ"
HOOK = "https://gw.example/up/1"
V3, V4, EDIT, OLD = "ideogram-v3", "ideogram-v4", "ideogram-edit", "V_2"
TWO = (an_image_url(), an_upload())
JOB = Remote(ID, {"version": "v2"})
OLD_JOB = Remote(ID, {"version": "v1"})
LINK = (
    f"https://ideogram.ai/api/images/ephemeral/{ID}0.png?exp=1795430000&sig=a%2Fb0%3D"
)


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    return a_request(model=model, images=images, **fields)


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit; images are read before it."""
    files = [raw(PNG, "image/png")] * len(images)
    is_async = BY_NAME[model].api in {Api.V4, Api.V2}
    last = "accepted_v2" if is_async else "images"
    if model == V4 and fields.get("metadata", {}).get("async") is False:
        last = "images"
    request = wanted(model, *images, **fields)
    calls = calls_of(ideogram.submit(request), *files, recorded(f"ideogram/{last}"))
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    assert all(call.public for call in calls[:-1])
    return calls[-1]


def form_of(parts: Sequence[Part]) -> dict[str, Any]:
    """A form by name: texts, or the names of files; a list where a name is repeated."""
    found: dict[str, list[str]] = defaultdict(list)
    for part in parts:
        text = part.filename if part.filename else part.content
        assert isinstance(text, str)
        found[part.name].append(text)
    return {name: one[0] if len(one) == 1 else one for name, one in found.items()}


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    call = submitted(model, *images, **fields)
    body: dict[str, Any] = call.json if call.json else form_of(call.parts)
    return body.get("image_request", body)


def answered(model: str, reply: Reply, **fields: Any) -> Snapshot:
    return play(ideogram.submit(wanted(model, **fields)), reply)


def looked(name: str, remote: Remote = JOB) -> Snapshot:
    return play(ideogram.poll(remote), recorded(f"ideogram/{name}"))


# Submit


def test_poster_is_asked_for_in_the_words_of_v3():
    call = submitted(
        V3,
        n=2,
        seed=7,
        aspect_ratio="3:4",
        negative_prompt="blur",
        quality="low",
        style="design",
        callback_url=HOOK,
        metadata={
            "magic_prompt": "OFF",
            "style_codes": ["AB12CD34", "00FF00FF"],
            "color_palette": {"name": "EMBER"},
            "webhook_url": "https://evil.example",
        },
    )
    assert (call.method, call.url, call.json) == (
        "POST",
        "/v1/ideogram-v3/generate",
        None,
    )
    assert form_of(call.parts) == {
        "prompt": PROMPT,
        "num_images": "2",
        "seed": "7",
        "negative_prompt": "blur",
        "rendering_speed": "TURBO",
        "style_type": "DESIGN",
        "aspect_ratio": "3x4",
        "magic_prompt": "OFF",
        "style_codes": ["AB12CD34", "00FF00FF"],
        "color_palette": '{"name": "EMBER"}',
    }
    (palette,) = (part for part in call.parts if part.name == "color_palette")
    assert palette.content_type == "application/json"


@pytest.mark.parametrize(
    ("model", "action", "images", "path", "files"),
    [
        (V3, "generate", 0, "v1/ideogram-v3/generate", {}),
        (
            V3,
            "generate",
            2,
            "v1/ideogram-v3/generate",
            {"style_reference_images": ["image-0.png", "image-1.png"]},
        ),
        (V3, "remix", 1, "v1/ideogram-v3/remix", {"image": "image.png"}),
        (
            V3,
            "remix",
            2,
            "v1/ideogram-v3/remix",
            {"image": "image.png", "style_reference_images": "image-0.png"},
        ),
        (
            V3,
            "edit",
            2,
            "v1/ideogram-v3/edit",
            {"image": "image.png", "mask": "mask.png"},
        ),
        (
            V3,
            "inpaint",
            2,
            "v1/ideogram-v3/inpaint",
            {"image": "image.png", "mask": "mask.png"},
        ),
        (
            V3,
            "replace-background",
            1,
            "v1/ideogram-v3/replace-background",
            {"image": "image.png"},
        ),
        (V3, "generate-transparent", 0, "v1/ideogram-v3/generate-transparent", {}),
        (EDIT, "generate", 1, "v1/edit", {"images": "image-0.png"}),
        (EDIT, "generate", 2, "v1/edit", {"images": ["image-0.png", "image-1.png"]}),
        ("ideogram-3", "remix", 1, "v2/image/remix/ideogram-3", {"image": "image.png"}),
        (
            "ideogram-3",
            "inpaint",
            2,
            "v2/image/inpaint/ideogram-3",
            {"image": "image.png", "mask": "mask.png"},
        ),
        (
            "ideogram-3",
            "replace-background",
            1,
            "v2/image/replace-background/ideogram-3",
            {"image": "image.png"},
        ),
        (
            "ideogram-3",
            "generate",
            1,
            "v2/image/generate/ideogram-3",
            {"style_reference_images": "image-0.png"},
        ),
        ("ideogram-4", "remix", 1, "v2/image/remix/ideogram-4", {"image": "image.png"}),
        (
            "ideogram-4",
            "generate",
            1,
            "v2/image/remix/ideogram-4",
            {"image": "image.png"},
        ),
        (
            "ideogram-4-5",
            "generate",
            2,
            "v2/image/generate/ideogram-4-5",
            {"images": ["image-0.png", "image-1.png"]},
        ),
        (
            "ideogram-4-5",
            "precise-edit",
            2,
            "v2/image/precise-edit/ideogram-4-5",
            {"image": "image.png", "reference_images": "image-0.png"},
        ),
        (
            "nano-banana-2",
            "generate",
            1,
            "v2/image/generate/nano-banana-2",
            {"images": "image-0.png"},
        ),
    ],
)
def test_images_go_as_files_to_the_path_of_the_action(
    model: str, action: str, images: int, path: str, files: dict[str, Any]
):
    call = submitted(model, *TWO[:images], action=action)
    assert call.url == f"/{path}"
    form = form_of(call.parts)
    named = {part.name for part in call.parts if part.filename}
    assert {name: form[name] for name in named} == files
    sent = [part for part in call.parts if part.filename]
    assert all((part.content, part.content_type) == (PNG, "image/png") for part in sent)


@pytest.mark.parametrize("model", [V3, "ideogram-3"])
def test_reframe_needs_a_size_and_no_prompt(model: str):
    image = an_image_url()
    call = submitted(model, image, action="reframe", size="1536x640")
    form = form_of(call.parts)
    assert (form["resolution"], "prompt" in form) == ("1536x640", False)
    for fields in ({}, {"size": "1000x1000"}, {"aspect_ratio": "16:9"}):
        request = wanted(model, image, action="reframe", **fields)
        with pytest.raises(errors.Rejected):
            calls_of(ideogram.submit(request), raw(PNG, "image/png"))
    extra = {"resolution": "512x1536"}
    call = submitted(model, image, action="reframe", metadata=extra)
    assert form_of(call.parts)["resolution"] == "512x1536"


def test_references_may_show_a_character():
    form = body_of(V3, an_upload(), metadata={"reference_type": "character"})
    assert form["character_reference_images"] == "image-0.png"
    assert "reference_type" not in form


@pytest.mark.parametrize(
    ("model", "images", "fields"),
    [
        (V3, 0, {"action": "remix"}),
        (V3, 1, {"action": "inpaint"}),
        (V3, 1, {"action": "generate-transparent"}),
        (V3, 2, {"action": "edit", "negative_prompt": "blur"}),
        (V3, 1, {"action": "replace-background", "style": "design"}),
        (V3, 0, {"action": "generate-transparent", "style": "bauhaus"}),
        (V3, 1, {"metadata": {"reference_type": "mood"}}),
        (V3, 0, {"prompt": None}),
        ("ideogram-3", 0, {"prompt": None}),
        ("ideogram-4-5", 0, {"action": "precise-edit"}),
    ],
)
def test_what_no_form_can_say_is_refused_before_it_is_paid(
    model: str, images: int, fields: dict[str, Any]
):
    sent: list[Call] = []

    def send(call: Call) -> Reply:
        sent.append(call)
        return raw(PNG, "image/png")

    with pytest.raises(errors.Rejected):
        drive(ideogram.submit(wanted(model, *TWO[:images], **fields)), send)
    assert not any(call.paid for call in sent)


@pytest.mark.parametrize("kind", ["image/gif", "text/html"])
def test_file_of_another_type_is_refused(kind: str):
    with pytest.raises(errors.Rejected):
        calls_of(ideogram.submit(wanted(V3, an_image_url())), raw(PNG, kind))


def test_legacy_models_are_asked_in_one_object():
    call = submitted(
        OLD,
        n=2,
        seed=5,
        aspect_ratio="16:9",
        style="design",
        negative_prompt="blur",
        metadata={"magic_prompt_option": "AUTO"},
    )
    assert (call.url, call.parts) == ("/generate", ())
    assert call.json == {
        "image_request": {
            "prompt": PROMPT,
            "model": OLD,
            "num_images": 2,
            "seed": 5,
            "negative_prompt": "blur",
            "style_type": "DESIGN",
            "aspect_ratio": "ASPECT_16_9",
            "magic_prompt_option": "AUTO",
        }
    }


def test_ideogram_4_of_v1_is_a_job_unless_told_otherwise():
    call = submitted(V4, callback_url=HOOK, size="2048x2048", quality="high")
    assert (call.url, call.params) == (
        "/v1/ideogram-v4/async/generate",
        {"webhook_url": HOOK},
    )
    assert form_of(call.parts) == {
        "text_prompt": PROMPT,
        "rendering_speed": "QUALITY",
        "resolution": "2048x2048",
    }
    call = submitted(V4, callback_url=HOOK, metadata={"async": False})
    assert (call.url, call.params) == ("/v1/ideogram-v4/generate", {})
    form = form_of(submitted(V4, metadata={"json_prompt": {"a": "b"}}).parts)
    assert form == {"json_prompt": '{"a": "b"}'}


def test_models_of_v2_are_asked_for_jobs():
    call = submitted(
        "ideogram-4-5",
        quality="medium",
        seed=9,
        callback_url=HOOK,
        metadata={"async": False, "webhook_url": "https://evil.example"},
    )
    assert (call.url, call.parts) == ("/v2/image/generate/ideogram-4-5", ())
    assert call.json == {
        "prompt": PROMPT,
        "num_images": 1,
        "seed": 9,
        "quality": "medium",
        "async": True,
        "webhook_url": HOOK,
    }
    form = body_of("ideogram-4-5", an_image_url(), callback_url=HOOK)
    assert (form["async"], form["webhook_url"]) == ("true", HOOK)


@pytest.mark.parametrize("model", [V4, "ideogram-4-6"])
@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        (None, False),
        ("http://gw.example/up/1", False),
        ("http://127.0.0.1:8000/up/1", True),
        (HOOK, True),
    ],
)
def test_address_for_callbacks_is_https(model: str, url: str | None, is_sent: bool):
    call = submitted(model, callback_url=url)
    told = {**call.params, **(call.json or {})}
    assert ("webhook_url" in told) is is_sent


def test_model_that_is_not_offered_is_the_channels_matter():
    with pytest.raises(errors.ModelRefused):
        calls_of(ideogram.submit(a_request(model="ideogram-9")))


# Shape, quality, style


def test_lists_of_sizes_are_whole():
    assert (len(SIZES), len(LEGACY_SIZES)) == (69, 78)


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (V3, {}, {}),
        (V3, {"size": "1280x800"}, {"resolution": "1280x800"}),
        (V3, {"width": 512, "height": 1536}, {"resolution": "512x1536"}),
        (V3, {"size": "1920x1080"}, {"aspect_ratio": "16x9"}),
        (V3, {"size": "16:9"}, {"aspect_ratio": "16x9"}),
        (V3, {"aspect_ratio": "10/16"}, {"aspect_ratio": "10x16"}),
        (V3, {"size": "1280x800", "aspect_ratio": "1:1"}, {"aspect_ratio": "1x1"}),
        (EDIT, {"size": "1280x800"}, {"resolution": "1280x800"}),
        (OLD, {"size": "1024x1024"}, {"resolution": "RESOLUTION_1024_1024"}),
        (OLD, {"size": "1280x720"}, {"resolution": "RESOLUTION_1280_720"}),
        (OLD, {"size": "3000x1000"}, {"aspect_ratio": "ASPECT_3_1"}),
        (V4, {"aspect_ratio": "16:9"}, {"resolution": "2560x1440"}),
        (V4, {"size": "2304x1728"}, {"resolution": "2304x1728"}),
        ("ideogram-4", {"size": "1000x1000"}, {"resolution": "1000x1000"}),
        ("ideogram-3", {"aspect_ratio": "9:16"}, {"aspect_ratio": "9x16"}),
        ("ideogram-3", {"size": "1024x1024"}, {"resolution": "1024x1024"}),
        ("ideogram-2a", {"size": "1024x1024"}, {"aspect_ratio": "1x1"}),
        ("auto", {"aspect_ratio": "3:2"}, {"aspect_ratio": "3x2"}),
        ("ideogram-4-5", {"aspect_ratio": "16:9"}, {"size": "2560x1440"}),
        ("ideogram-4-5", {"size": "1024x1024"}, {"size": "1024x1024"}),
        ("ideogram-4-6", {"size": "auto"}, {"size": "auto"}),
        ("nano-banana-2", {"size": "1920x1080"}, {"aspect_ratio": "16:9"}),
        (
            "gpt-image-2",
            {"aspect_ratio": "3:2", "resolution": "2K"},
            {"aspect_ratio": "3:2", "resolution": "2K"},
        ),
        (
            "p-image-ideogram",
            {"aspect_ratio": "3:2", "resolution": "2K"},
            {"aspect_ratio": "3x2", "resolution": "2k"},
        ),
        (
            "p-image-ideogram",
            {"size": "1040x1040"},
            {"custom_width": 1040, "custom_height": 1040},
        ),
        ("z-image", {"size": "1024x768"}, {"resolution": "1024x768"}),
    ],
)
def test_shape_is_told_in_the_models_own_words(
    model: str, fields: dict[str, Any], expected: dict[str, Any]
):
    images = (an_image_url(),) if model == EDIT else ()
    body = body_of(model, *images, **fields)
    names = {"resolution", "aspect_ratio", "size", "custom_width", "custom_height"}
    assert {name: body[name] for name in names & body.keys()} == expected


def test_shape_follows_the_image_that_is_changed():
    for action in ("inpaint", "edit"):
        form = body_of(V3, *TWO, action=action, size="1280x800")
        assert not {"resolution", "aspect_ratio"} & form.keys()
    form = body_of(V3, action="generate-transparent", size="1280x800")
    assert form["aspect_ratio"] == "16x10"


@pytest.mark.parametrize(
    ("model", "asked", "name", "word"),
    [
        (V3, "low", "rendering_speed", "TURBO"),
        (V3, "medium", "rendering_speed", "DEFAULT"),
        (V3, "high", "rendering_speed", "QUALITY"),
        (V3, "Flash", "rendering_speed", "FLASH"),
        (V3, "balanced", "rendering_speed", "DEFAULT"),
        (V4, "low", "rendering_speed", "TURBO"),
        ("ideogram-4", "high", "rendering_speed", "quality"),
        ("ideogram-3", "turbo", "rendering_speed", "turbo"),
        ("ideogram-2a", "medium", "rendering_speed", "default"),
        ("ideogram-4-5", "High", "quality", "high"),
        ("ideogram-4-6", "very_low", "quality", "very_low"),
    ],
)
def test_quality_is_a_speed_or_a_quality(model: str, asked: str, name: str, word: str):
    assert body_of(model, quality=asked)[name] == word
    assert not find_problems({"prompt": "x", "quality": asked}, BY_NAME[model].model)


@pytest.mark.parametrize(
    ("model", "style", "expected"),
    [
        (V3, "realistic", {"style_type": "REALISTIC"}),
        (V3, "flat vector", {"style_preset": "FLAT_VECTOR"}),
        ("ideogram-3", "Design", {"style_type": "design"}),
        (OLD, "anime", {"style_type": "ANIME"}),
    ],
)
def test_style_is_a_type_or_a_preset(model: str, style: str, expected: dict[str, str]):
    body = body_of(model, style=style)
    assert {name: body[name] for name in body if name.startswith("style")} == expected


@pytest.mark.parametrize(
    ("model", "inputs", "field"),
    [
        (V3, {"n": 9}, "n"),
        (V3, {"aspect_ratio": "21:9"}, "aspect_ratio"),
        (V3, {"output_format": "png"}, "output_format"),
        (V3, {"quality": "best"}, "quality"),
        (V3, {"action": "upscale"}, "action"),
        (V3, {"resolution": "2K"}, "resolution"),
        (V4, {"quality": "flash"}, "quality"),
        (V4, {"negative_prompt": "blur"}, "negative_prompt"),
        (V4, {"seed": 1}, "seed"),
        (V4, {"n": 2}, "n"),
        (V4, {"images": [1]}, "images"),
        (EDIT, {}, "images"),
        (EDIT, {"images": [1] * 11}, "images"),
        (EDIT, {"quality": "low"}, "quality"),
        (OLD, {"aspect_ratio": "4:5"}, "aspect_ratio"),
        (OLD, {"images": [1]}, "images"),
        ("ideogram-4-5", {"images": [1] * 6}, "images"),
        ("ideogram-4-5", {"style": "design"}, "style"),
        ("z-image", {"aspect_ratio": "1:1"}, "aspect_ratio"),
        ("ideogram-4", {"duration": 5}, "duration"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(
    model: str, inputs: dict[str, Any], field: str
):
    assert field in find_problems({"prompt": "x", **inputs}, BY_NAME[model].model)


def test_only_routes_that_bring_their_images_are_synchronous():
    for offer in OFFERS:
        is_sync = offer.api in {Api.V3, Api.EDIT, Api.LEGACY}
        assert offer.model.sync is is_sync


# Answers that bring the images


def test_images_come_with_size_and_expiry():
    snapshot = answered(V3, recorded("ideogram/images"))
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert len(snapshot.artifacts) == 2
    assert snapshot.artifacts[0] == Artifact(
        url=LINK, width=896, height=1120, expires_at=1_795_430_000
    )
    assert snapshot.failure is None


def test_upscaled_image_has_its_own_size():
    (image,) = answered(V3, recorded("ideogram/images_upscaled")).artifacts
    assert (image.width, image.height) == (1792, 2240)


@pytest.mark.parametrize(
    "name", ["images_partial", "images_empty_url", "images_absent_url"]
)
@pytest.mark.parametrize("model", [V3, OLD])
def test_image_that_is_withheld_leaves_a_part(name: str, model: str):
    snapshot = answered(model, recorded(f"ideogram/{name}"))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 1)
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    assert "1 of 2" in snapshot.failure.message


def test_success_of_which_all_is_withheld_is_a_failure():
    for snapshot in (
        answered(V3, recorded("ideogram/images_withheld")),
        looked("completed_withheld"),
    ):
        assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
        assert snapshot.failure is not None
        assert snapshot.failure.reason is Reason.CONTENT_REJECTED


def test_safe_image_without_an_address_is_a_part_too():
    item = {"resolution": "1x1", "is_image_safe": True, "url": ""}
    good = recorded("ideogram/images").json()["data"][0]
    snapshot = answered(V3, answer({"data": [good, item]}))
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.UPSTREAM_FAILED


@pytest.mark.parametrize(
    "body",
    [
        {"created": "now"},
        {"data": []},
        {"data": {}},
        {"data": [{"url": "https://x.example/1"}]},
        {"data": [{"url": "ftp://x", "is_image_safe": True}]},
        {"data": [{"url": "", "is_image_safe": True}]},
        {"data": [7]},
    ],
)
def test_success_without_an_image_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        answered(V3, answer(body))


# Jobs


@pytest.mark.parametrize(
    ("model", "name", "remote"),
    [
        (V4, "accepted_v1", OLD_JOB),
        (V4, "accepted_v2", OLD_JOB),
        ("ideogram-4-5", "accepted_v2", JOB),
        ("ideogram-3", "accepted_v1", JOB),
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_accepted_job_knows_which_api_to_ask(
    model: str, name: str, remote: Remote, status: int
):
    snapshot = answered(model, recorded(f"ideogram/{name}", status=status))
    assert snapshot == Snapshot(phase=Phase.PENDING, remote=remote)
    (call,) = calls_of(ideogram.poll(remote), recorded("ideogram/pending"))
    version = remote.links["version"]
    assert (call.method, call.url) == ("GET", f"/{version}/generations/{ID}")


def test_job_may_be_done_at_once():
    snapshot = answered("ideogram-4-5", recorded("ideogram/accepted_done"))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 1)


@pytest.mark.parametrize("body", [{}, {"generation_id": ""}, {"generation_id": 7}])
def test_job_without_an_id_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        answered("ideogram-4-5", answer(body))


def test_id_is_one_step_of_the_path():
    remote = Remote("a/b?c", {"version": "v1"})
    (call,) = calls_of(ideogram.poll(remote), recorded("ideogram/pending"))
    assert call.url == "/v1/generations/a%2Fb%3Fc"


def test_states_of_a_job():
    assert looked("pending") == Snapshot(phase=Phase.RUNNING, remote=JOB)
    done = looked("completed", OLD_JOB)
    assert (done.phase, done.percent, done.remote) == (Phase.SUCCEEDED, 100, OLD_JOB)
    assert done.usage == {"usd_micros": 60_000}
    assert done.artifacts[0].url == LINK


@pytest.mark.parametrize(
    ("name", "reason", "code"),
    [
        ("failed", Reason.UPSTREAM_FAILED, "generation_error"),
        ("failed_unsafe", Reason.CONTENT_REJECTED, "content_policy_violation"),
        ("failed_sentence", Reason.CONTENT_REJECTED, ""),
        ("failed_silent", Reason.UPSTREAM_FAILED, ""),
    ],
)
def test_failed_job_has_its_reason(name: str, reason: Reason, code: str):
    snapshot = looked(name)
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)
    assert snapshot.failure.message


@pytest.mark.parametrize(
    "body",
    [
        {"status": "paused"},
        {"generation_id": ID},
        {"status": "completed"},
        {"status": "completed", "data": []},
        {"status": ["completed"]},
    ],
)
def test_undocumented_look_is_unexpected(body: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(ideogram.poll(JOB), answer(body))


def test_unknown_generation_is_not_found_and_a_limit_says_when():
    with pytest.raises(errors.NotFound):
        play(ideogram.poll(JOB), answer({"error": "no"}, status=404))
    with pytest.raises(errors.RateLimited) as caught:
        play(ideogram.poll(JOB), answer({}, status=429, retry_after="4"))
    assert caught.value.retry_after_s == 4.0


# Errors


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "bad resolution"}, errors.Rejected),
        (401, {"message": "Access denied"}, errors.KeyRefused),
        (401, None, errors.KeyRefused),
        (402, {"error": "no", "reject_reason": "daily_limit"}, errors.QuotaExhausted),
        (402, {}, errors.QuotaExhausted),
        (403, {"error": "no access"}, errors.ModelRefused),
        (404, {"error": "no"}, errors.ModelRefused),
        (413, None, errors.Rejected),
        (422, {"error": "failed safety check"}, errors.ContentRejected),
        (422, None, errors.ContentRejected),
        (429, {"error": "no", "reject_reason": "inflight_limit"}, errors.RateLimited),
        (
            429,
            {"error": "no", "reject_reason": "insufficient_funds"},
            errors.QuotaExhausted,
        ),
        (429, {}, errors.RateLimited),
        (500, {"error": "no"}, errors.Unavailable),
        (503, None, errors.Unavailable),
    ],
)
@pytest.mark.parametrize("model", [V3, V4, OLD, "ideogram-4-5"])
def test_refused_submit_is_classed(
    status: int, body: Any, kind: type[errors.ProviderError], model: str
):
    with pytest.raises(errors.ProviderError) as caught:
        answered(model, answer(body, status=status))
    assert type(caught.value) is kind
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("insufficient_funds", errors.QuotaExhausted),
        ("subscription_required", errors.QuotaExhausted),
        ("priority_credit_required", errors.QuotaExhausted),
        ("feature_limit", errors.QuotaExhausted),
        ("inflight_limit", errors.RateLimited),
    ],
)
def test_limit_of_the_account_is_told_by_its_word(
    word: str, kind: type[errors.ProviderError]
):
    body = {"error": "no", "reject_reason": word}
    with pytest.raises(kind) as caught:
        answered("auto", answer(body, status=402))
    assert caught.value.code == word


def test_remix_of_v1_says_403_for_a_bad_key():
    request = wanted(V3, an_upload(), action="remix")
    replies = raw(PNG, "image/png"), answer({}, status=403)
    with pytest.raises(errors.KeyRefused):
        play(ideogram.submit(request), *replies)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("refused_unsafe", "prohibited content"),
        ("refused_message", "Access denied"),
        ("refused_detail", "no such field"),
        ("refused_funds", "Not enough credits"),
        ("refused_inflight", "Too many"),
    ],
)
def test_every_shape_of_error_has_its_text(name: str, text: str):
    with pytest.raises(errors.ProviderError) as caught:
        answered(V3, recorded(f"ideogram/{name}", status=400))
    assert text in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'"no"', b"{}"])
def test_error_need_not_be_json(content: bytes):
    with pytest.raises(errors.Unavailable):
        answered(V3, raw(content, "text/html", 503))


# Webhooks


def a_webhook(**changed: str) -> Callback:
    body = json.dumps({"generation_id": ID, "data": []}).encode()
    headers = {
        "x-ideogram-webhook-generation-id": ID,
        "x-ideogram-webhook-user-id": "dXNlcg",
        "x-ideogram-webhook-timestamp": "1795000000",
        "x-ideogram-webhook-key-id": "k1",
        "x-ideogram-webhook-signature": "ab" * 64,
    }
    changed = {f"x-ideogram-webhook-{name}": text for name, text in changed.items()}
    return Callback({**headers, **changed}, body)


@pytest.mark.parametrize(("model", "remote"), [(V4, OLD_JOB), ("ideogram-4-5", JOB)])
def test_webhook_names_its_job_and_what_was_signed(model: str, remote: Remote):
    callback = a_webhook()
    heard = ideogram.receive(callback, model)
    assert (heard.ids, heard.remote) == ((ID,), remote)
    assert heard.signed is not None
    digest = hashlib.sha256(callback.body).hexdigest()
    message = f"{ID}\ndXNlcg\n1795000000\n{digest}"
    assert heard.signed.message == message.encode()
    assert (heard.signed.scheme, heard.signed.timestamp) == ("ed25519", 1_795_000_000)
    assert heard.signed.keys_url == ideogram.KEYS_URL


def test_webhook_of_a_failure_needs_no_known_body():
    callback = a_webhook()
    assert ideogram.receive(Callback(callback.headers, b""), "auto").ids == (ID,)


@pytest.mark.parametrize(
    "changed", [{"timestamp": "soon"}, {"generation-id": "a/../b"}, {"timestamp": ""}]
)
def test_webhook_that_does_not_fit_is_unexpected(changed: dict[str, str]):
    with pytest.raises(errors.UnexpectedReply):
        ideogram.receive(a_webhook(**changed), V4)


def test_unsigned_webhook_is_unexpected():
    with pytest.raises(errors.UnexpectedReply):
        ideogram.receive(Callback({}, a_webhook().body), V4)


# Credentials


def test_key_is_a_header_of_its_own():
    call = Call("GET", "/v2/generations/x")
    sent = ideogram.PROVIDER.authorize(call, Credentials("k-1", {}, 0))
    assert sent.headers == {"Api-Key": "k-1"}


def test_good_key_is_told_that_there_is_no_such_generation():
    (call,) = calls_of(ideogram.test(), answer({"error": "no"}, status=404))
    assert (call.method, call.paid) == ("GET", False)
    for status, kind in ((401, errors.KeyRefused), (503, errors.Unavailable)):
        with pytest.raises(kind):
            play(ideogram.test(), answer({}, status=status))
