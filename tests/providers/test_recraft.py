"""Recraft: images and tools, answered at once in two shapes."""

from __future__ import annotations

from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, recraft
from providers.dialects import recraft_bodies, recraft_models
from providers.flow import Call, Reply, drive
from providers.types import (
    Credentials,
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import Played, answer, calls_of, play, raw, recorded

PNG = raw(b"\x89PNG\r\n\x1a\n-input", "image/png")
DATA_URL = "data:image/png;base64,iVBORw0KGgotaW5wdXQ="
URL = "https://cdn.example.com/a.png"
MASK = "https://cdn.example.com/mask.png"
PROMPT = "a lighthouse made of paper, dawn"
STYLE_ID = "7a1d0c3e-2222-4a5b-8c9d-0e1f2a3b4c5d"
IMAGE = (an_image_url(URL),)
TOOLS = sorted(recraft_models.TOOLS)


def a(model: str = "recraftv4_1", **fields: Any) -> GenerationRequest:
    return a_request(model=model, **fields)


def paid_call(request: GenerationRequest, *before: Reply) -> Call:
    """The call of a submit that costs money, after these replies to earlier ones."""
    played = Played([*before, answer({"message": "stop"}, status=400)])
    with pytest.raises(errors.Rejected, match="stop"):
        drive(recraft.submit(request), played.send)
    assert [call.paid for call in played.calls] == [False] * len(before) + [True]
    assert played.calls[-1].method == "POST"
    return played.calls[-1]


def body_of(request: GenerationRequest, *before: Reply) -> dict[str, Any]:
    body = paid_call(request, *before).json
    assert isinstance(body, dict)
    return body


# Text to image: what is sent


def test_an_image_is_json_with_the_model_always_named():
    call = paid_call(a())
    assert call.url == "/images/generations"
    assert call.json == {"model": "recraftv4_1", "prompt": PROMPT, "n": 1}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": None, "input": "a fox"}, {"prompt": "a fox"}),
        ({"n": 6}, {"n": 6}),
        ({"seed": 404}, {"random_seed": 404}),
        ({"aspect_ratio": "16:9"}, {"size": "16:9"}),
        ({"aspect_ratio": "3/2"}, {"size": "3:2"}),
        ({"size": "4:5"}, {"size": "4:5"}),
        ({"size": "1280x832"}, {"size": "1280x832"}),
        ({"size": "1920x1080"}, {"size": "1344x768"}),
        ({"width": 600, "height": 1000}, {"size": "832x1344"}),
        ({"size": "1000x1000"}, {"size": "1024x1024"}),
        ({"style": STYLE_ID}, {"style_id": STYLE_ID}),
        ({"output_format": "webp"}, {"image_format": "webp"}),
        ({"output_format": "JPG"}, {"image_format": "png"}),
        ({"output_format": "jpeg"}, {"image_format": "png"}),
        ({"output_format": "svg"}, {"model": "recraftv4_1_vector"}),
        ({"resolution": "2k"}, {"model": "recraftv4_1_pro"}),
        (
            {"resolution": "2K", "output_format": "svg"},
            {"model": "recraftv4_1_pro_vector"},
        ),
        (
            {"resolution": "2K", "size": "1600x900"},
            {"model": "recraftv4_1_pro", "size": "2688x1536"},
        ),
        (
            {"metadata": {"response_format": "b64_json"}},
            {"response_format": "b64_json"},
        ),
        (
            {"metadata": {"controls": {"colors": [{"rgb": [12, 200, 90]}]}}},
            {"controls": {"colors": [{"rgb": [12, 200, 90]}]}},
        ),
        ({"metadata": {"style_match": "precise"}}, {"style_match": "precise"}),
        (
            {"metadata": {"style_reference_urls": [URL]}},
            {"style_reference_urls": [URL]},
        ),
        ({"metadata": {"upscale": "upscale4mp"}}, {"upscale": "upscale4mp"}),
    ],
)
def test_each_unified_field_is_spelled_as_the_upstream_wants_it(fields, expected):
    body = body_of(a(**fields))
    assert {**body, **expected} == body


@pytest.mark.parametrize(
    "fields",
    [
        {"negative_prompt": "fog"},
        {"quality": "hd"},
        {"size": "auto"},
        {"resolution": "1K"},
        {"callback_url": "https://gw.example.com/up"},
        {"metadata": {"model": "recraftv2"}},
    ],
)
def test_what_the_newer_models_have_no_word_for_is_not_sent(fields):
    assert body_of(a(**fields)) == body_of(a())


@pytest.mark.parametrize("model", ["recraftv3", "recraftv2_vector", "recraft20b"])
@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("realistic_image", {"style": "realistic_image"}),
        ("realistic_image/hdr", {"style": "realistic_image", "substyle": "hdr"}),
        (STYLE_ID.upper(), {"style_id": STYLE_ID.upper()}),
    ],
)
def test_older_models_take_named_styles_and_a_negative_prompt(model, style, expected):
    body = body_of(a(model, style=style, negative_prompt="fog"))
    assert {**body, **expected, "negative_prompt": "fog"} == body


def test_newer_models_take_no_style_by_name():
    with pytest.raises(errors.Rejected, match="custom style"):
        play(recraft.submit(a(style="realistic_image")))


@pytest.mark.parametrize(
    ("model", "fields", "sent"),
    [
        ("recraftv3", {"size": "1600x900"}, {"size": "1820x1024"}),
        ("recraftv3", {"size": "1536x1024"}, {"size": "1536x1024"}),
        ("recraftv4_pro", {"size": "1000x2000"}, {"size": "1536x3072"}),
        ("recraftv4_styles", {"size": "1000x700"}, {"size": "1000x700"}),
        ("recraftv4_styles", {"resolution": "2K"}, {"model": "recraftv4_styles_pro"}),
        ("recraftv4_raster", {"output_format": "png"}, {"image_format": "png"}),
        ("recraftv4_vector", {"resolution": "2K"}, {"model": "recraftv4_pro_vector"}),
        ("flux2_pro", {"size": "1000x700", "style": "any"}, {"size": "1000x700"}),
    ],
)
def test_sizes_and_siblings_are_those_of_the_model(model, fields, sent):
    body = body_of(a(model, **fields))
    assert {**body, **sent} == body


def test_vectors_are_named_no_raster_format():
    body = body_of(a("recraftv3_vector", output_format="svg"))
    assert "image_format" not in body
    assert body["model"] == "recraftv3_vector"


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        (recraft_models.V4_SIZES, 14),
        (recraft_models.PRO_SIZES, 14),
        (recraft_models.V3_SIZES, 15),
    ],
)
def test_each_published_size_is_kept_as_it_is(sizes, count):
    assert len(set(sizes)) == count
    model = {
        recraft_models.V4_SIZES: "recraftv4",
        recraft_models.PRO_SIZES: "recraftv4_pro",
        recraft_models.V3_SIZES: "recraftv2",
    }[sizes]
    for width, height in sizes:
        request = a(model, width=width, height=height)
        assert recraft_models.pick_size(request, model) == f"{width}x{height}"


# Images that work on an image: what is sent


def test_an_input_image_makes_an_image_to_image_without_a_size():
    request = a(images=IMAGE, size="1024x1024", seed=4, n=2, output_format="png")
    call = paid_call(request)
    assert call.url == "/images/imageToImage"
    assert call.json == {
        "model": "recraftv4_1",
        "prompt": PROMPT,
        "n": 2,
        "random_seed": 4,
        "image_format": "png",
        "strength": 0.5,
        "image_url": URL,
    }


def test_the_strength_is_the_clients_where_it_says_one():
    request = a(images=IMAGE, metadata={"strength": 0.2})
    assert body_of(request)["strength"] == 0.2


@pytest.mark.parametrize(
    ("image", "sent", "before"),
    [
        (an_image_url(URL), URL, ()),
        (an_upload(), DATA_URL, (PNG,)),
        (MediaInput("upload:0"), DATA_URL, (PNG,)),
    ],
)
def test_each_form_of_an_image_becomes_a_url(image, sent, before):
    assert body_of(a(images=(image,)), *before)["image_url"] == sent


def test_metadata_may_give_the_image_but_never_replaces_that_of_the_client():
    own = {"image_url": MASK}
    call = paid_call(a(metadata=own))
    assert (call.url, call.json["image_url"]) == ("/images/imageToImage", MASK)
    assert body_of(a(metadata=own, images=IMAGE))["image_url"] == URL


@pytest.mark.parametrize(
    ("action", "model", "fields", "route", "present", "absent"),
    [
        (
            "inpaint",
            "recraftv3",
            {"images": (*IMAGE, an_image_url(MASK))},
            "inpaint",
            {"image_url": URL, "mask_url": MASK, "prompt": PROMPT},
            {"size", "strength"},
        ),
        (
            "generate_background",
            "recraftv3",
            {"images": IMAGE, "metadata": {"mask_url": MASK}},
            "generateBackground",
            {"image_url": URL, "mask_url": MASK},
            {"size"},
        ),
        (
            "replace_background",
            "recraftv4_1",
            {"images": IMAGE, "seed": 3},
            "replaceBackground",
            {"image_url": URL, "random_seed": 3},
            {"mask_url", "strength"},
        ),
        (
            "outpaint",
            "recraftv4_1",
            {"images": IMAGE, "aspect_ratio": "16:9"},
            "outpaint",
            {"image_url": URL, "size": "16:9"},
            {"strength"},
        ),
        (
            "outpaint",
            "recraftv3",
            {"images": IMAGE, "metadata": {"expand_left": 64}},
            "outpaint",
            {"expand_left": 64},
            {"size"},
        ),
        (
            "outpaint",
            "recraftv3",
            {"images": IMAGE, "metadata": {"zoom_out_percentage": 20}},
            "outpaint",
            {"zoom_out_percentage": 20},
            {"size"},
        ),
        (
            "variate",
            "recraftv3",
            {"images": IMAGE, "size": "1024x1024", "n": 3, "seed": 1},
            "variateImage",
            {"size": "1024x1024", "n": 3, "random_seed": 1, "model": "recraftv3"},
            {"prompt", "style"},
        ),
        (
            "explore",
            "recraftv4_explore",
            {"aspect_ratio": "1:1"},
            "explore",
            {"prompt": PROMPT, "size": "1:1", "model": "recraftv4_explore"},
            {"n", "random_seed"},
        ),
        (
            "explore_similar",
            "recraftv4_explore",
            {"metadata": {"source_image_id": STYLE_ID, "similarity": 3}},
            "explore/similar",
            {"source_image_id": STYLE_ID, "similarity": 3},
            {"n", "prompt", "model"},
        ),
    ],
)
def test_each_action_has_its_route_and_its_fields(
    action, model, fields, route, present, absent
):
    call = paid_call(a(model, action=action, **fields))
    assert call.url == f"/images/{route}"
    assert {**call.json, **present} == call.json
    assert not absent & set(call.json)


@pytest.mark.parametrize(
    ("model", "route", "fields", "expected"),
    [
        ("recraft-vectorize", "vectorize", {"output_format": "svg"}, {}),
        (
            "recraft-vectorize",
            "vectorize",
            {"metadata": {"svg_compression": "on", "max_num_shapes": 40}},
            {"svg_compression": "on", "max_num_shapes": 40},
        ),
        ("recraft-remove-background", "removeBackground", {}, {}),
        (
            "recraft-crisp-upscale",
            "crispUpscale",
            {"output_format": "jpg"},
            {"image_format": "png"},
        ),
        (
            "recraft-creative-upscale",
            "creativeUpscale",
            {"metadata": {"response_format": "b64_json"}},
            {"response_format": "b64_json"},
        ),
        (
            "recraft-erase-region",
            "eraseRegion",
            {"images": (*IMAGE, an_image_url(MASK))},
            {"mask_url": MASK},
        ),
        (
            "recraft-erase-region",
            "eraseRegion",
            {"metadata": {"mask_url": MASK}},
            {"mask_url": MASK},
        ),
    ],
)
def test_each_tool_takes_an_image_and_no_model(model, route, fields, expected):
    call = paid_call(a(model, **{"images": IMAGE, **fields}))
    assert call.url == f"/images/{route}"
    assert call.json == {"image_url": URL, **expected}


@pytest.mark.parametrize(
    ("model", "fields", "words"),
    [
        ("recraftv3", {"prompt": None}, "needs a prompt"),
        ("recraftv3", {"action": "inpaint", "images": IMAGE}, "needs a mask"),
        ("recraftv3", {"action": "inpaint"}, "needs an input image"),
        ("recraftv3", {"action": "replace_background"}, "needs an input image"),
        ("recraftv3", {"action": "variate", "images": IMAGE}, "needs a size"),
        ("recraftv3", {"action": "outpaint", "images": IMAGE}, "expand_left"),
        ("recraftv3", {"images": (*IMAGE, *IMAGE)}, "takes 1 for generate"),
        ("recraftv4_explore", {"action": "explore", "n": 2}, "cannot be told n"),
        ("recraftv4_explore", {"action": "explore_similar"}, "source_image_id"),
        ("recraft-vectorize", {}, "needs an input image"),
        ("recraft-erase-region", {"images": IMAGE}, "needs a mask"),
        ("recraft-vectorize", {"images": (*IMAGE, *IMAGE)}, "takes 1"),
    ],
)
def test_what_a_route_demands_is_asked_for_before_paying(model, fields, words):
    with pytest.raises(errors.Rejected, match=words):
        play(recraft.submit(a(model, **fields)))


def test_every_action_of_the_models_has_a_route():
    actions = {action for model in recraft_models.MODELS for action in model.actions}
    assert actions == set(recraft_bodies.ROUTES)


# What comes back


def test_images_come_back_with_their_links_id_and_credits():
    snapshot = play(recraft.submit(a(n=2)), recorded("recraft/images_two"))
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert snapshot.failure is None
    assert [image.url for image in snapshot.artifacts] == [
        "https://img.example.net/s1/plain/abs://external/images/2f7c",
        "https://img.example.net/s2/plain/abs://external/images/2f7d",
    ]
    assert {image.content_type for image in snapshot.artifacts} == {None}
    assert not snapshot.artifacts[0].protected
    assert snapshot.remote == Remote("2f7c5d10-8a41-4b6e-9c02-51d7a9e0b300")
    assert snapshot.usage == {"credits": 80}


@pytest.mark.parametrize(
    ("model", "fields", "content_type"),
    [
        ("recraftv3", {}, None),
        ("recraftv3", {"output_format": "webp"}, "image/webp"),
        ("recraftv3", {"output_format": "jpg"}, "image/png"),
        ("recraftv3", {"output_format": "svg"}, "image/svg+xml"),
        ("recraftv3_vector", {}, "image/svg+xml"),
        ("recraftv3", {"metadata": {"image_format": "png"}}, "image/png"),
    ],
)
def test_a_link_without_an_ending_has_the_type_that_was_asked_for(
    model, fields, content_type
):
    flow = recraft.submit(a(model, **fields))
    snapshot = play(flow, recorded("recraft/images_bare"))
    assert snapshot.artifacts[0].content_type == content_type


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_answers_one_image_as_an_object(tool):
    request = a(tool, images=IMAGE, metadata={"mask_url": MASK})
    snapshot = play(recraft.submit(request), recorded("recraft/image_of_tool"))
    (image,) = snapshot.artifacts
    assert image.url == "https://img.example.net/s7/plain/abs://external/images/3a"
    assert image.content_type == (
        "image/svg+xml" if tool == "recraft-vectorize" else None
    )
    assert snapshot.remote == Remote("2f7c5d10-8a41-4b6e-9c02-51d7a9e0b305")
    assert snapshot.usage == {"credits": 10}


@pytest.mark.parametrize(
    ("model", "name", "content_type"),
    [
        ("recraftv3", "images_inline", "image/png"),
        ("recraftv3_vector", "images_svg_inline", "image/svg+xml"),
        ("recraft-crisp-upscale", "image_of_tool_inline", "image/webp"),
    ],
)
def test_an_image_in_base64_is_what_its_bytes_or_its_model_say(
    model, name, content_type
):
    request = a(model, images=IMAGE if "upscale" in model else ())
    (image,) = play(recraft.submit(request), recorded(f"recraft/{name}")).artifacts
    assert image.content
    assert (image.url, image.content_type) == (None, content_type)


def test_scores_and_the_style_made_on_the_fly_are_told():
    request = a(metadata={"calculate_features": True})
    snapshot = play(recraft.submit(request), recorded("recraft/images_features"))
    assert snapshot.usage == {
        "credits": 40,
        "style_id": STYLE_ID,
        "nsfw_scores": [0.02],
    }


def test_fewer_images_than_wanted_are_a_success_that_names_the_rest():
    snapshot = play(recraft.submit(a(n=3)), recorded("recraft/images_two"))
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.UPSTREAM_FAILED
    assert "1 of 3" in snapshot.failure.message


def test_exploring_gives_as_many_as_the_upstream_makes():
    request = a("recraftv4_explore", action="explore")
    snapshot = play(recraft.submit(request), recorded("recraft/images_two"))
    assert (len(snapshot.artifacts), snapshot.failure) == (2, None)


@pytest.mark.parametrize(
    "reply",
    [
        recorded("recraft/images_none"),
        answer({"image": None}),
        answer({"image": {"image_id": "x"}}),
        answer({"data": [{"image_id": "x"}]}),
        answer({"data": [{"url": "images/2f7c"}]}),
        answer({"data": [{"b64_json": "no base64!"}]}),
        answer({"created": 1}),
        answer([]),
        raw(b"", "application/json"),
        raw(b"<html>", "text/html"),
    ],
)
def test_a_paid_answer_without_a_readable_image_is_unexpected(reply):
    with pytest.raises(errors.UnexpectedReply):
        play(recraft.submit(a()), reply)


def test_there_are_no_jobs_to_look_at():
    with pytest.raises(errors.NotFound):
        play(recraft.poll(Remote("2f7c5d10-8a41-4b6e-9c02-51d7a9e0b300")))


# Errors

SUBMIT_ERRORS = [
    (400, recorded("recraft/error_parameter", status=400), errors.Rejected),
    (400, recorded("recraft/error_wrapped", status=400), errors.Rejected),
    (400, raw(b"bad size", "text/plain", 400), errors.Rejected),
    (400, recorded("recraft/error_moderated", status=400), errors.ContentRejected),
    (422, recorded("recraft/error_moderated", status=422), errors.ContentRejected),
    (400, recorded("recraft/error_credits", status=400), errors.QuotaExhausted),
    (402, recorded("recraft/error_credits", status=402), errors.QuotaExhausted),
    (402, raw(b"", "text/plain", 402), errors.QuotaExhausted),
    (403, raw(b"not enough credits", "text/plain", 403), errors.QuotaExhausted),
    (401, raw(b"request unauthorized", "text/plain", 401), errors.KeyRefused),
    (403, recorded("recraft/error_forbidden", status=403), errors.ChannelRefused),
    (404, raw(b"404 page not found", "text/plain", 404), errors.ModelRefused),
    (413, recorded("recraft/error_too_large", status=413), errors.Rejected),
    (422, recorded("recraft/error_parameter", status=422), errors.Rejected),
    (429, recorded("recraft/error_rate", status=429), errors.RateLimited),
    (500, recorded("recraft/error_server", status=500), errors.Unavailable),
    (502, raw(b"<html>", "text/html", 502), errors.Unavailable),
    (503, recorded("recraft/error_server", status=503), errors.Unavailable),
    (504, raw(b"timeout", "text/plain", 504), errors.Unavailable),
]


@pytest.mark.parametrize(
    "request_", [a(), a("recraft-vectorize", images=IMAGE)], ids=["image", "tool"]
)
@pytest.mark.parametrize(("status", "reply", "kind"), SUBMIT_ERRORS)
def test_each_refused_submit_is_classed_by_who_must_act(request_, status, reply, kind):
    with pytest.raises(errors.ProviderError) as caught:
        play(recraft.submit(request_), reply)
    assert type(caught.value) is kind
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (
            recorded("recraft/error_parameter", status=400),
            "invalid_parameter",
            "900x900",
        ),
        (
            recorded("recraft/error_wrapped", status=400),
            "invalid_style",
            "style is not known",
        ),
        (raw(b" no such size \n", "text/plain", 400), "", "^no such size$"),
        (raw(b"", "text/plain", 400), "", "without a readable error"),
        (raw(b"<html>", "text/html", 400), "", "without a readable error"),
    ],
)
def test_json_and_plain_text_of_an_error_are_kept(reply, code, words):
    with pytest.raises(errors.Rejected, match=words) as caught:
        play(recraft.submit(a()), reply)
    assert caught.value.code == code


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_is_asked_for_is_kept(status):
    reply = recorded("recraft/error_rate", status=status, retry_after="7")
    with pytest.raises((errors.RateLimited, errors.Unavailable)) as caught:
        play(recraft.submit(a()), reply)
    assert caught.value.retry_after_s == 7.0


# The account and the models


@pytest.mark.parametrize(
    ("method", "settings", "params"),
    [
        ("POST", {}, {}),
        ("POST", {"billing": "subscription"}, {"billing": "subscription"}),
        ("GET", {"billing": "subscription"}, {}),
    ],
)
def test_the_token_is_a_bearer_token_and_the_channel_names_the_purse(
    method, settings, params
):
    call = recraft.authorize(Call(method, "/x"), Credentials("tok", settings, 0.0))
    assert call.headers == {"Authorization": "Bearer tok"}
    assert call.params == params


def test_a_token_is_proved_by_asking_whose_it_is():
    (call,) = calls_of(recraft.test(), recorded("recraft/me"))
    assert (call.method, call.url, call.paid) == ("GET", "/users/me", False)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (raw(b"request unauthorized", "text/plain", 401), errors.KeyRefused),
        (recorded("recraft/me_empty"), errors.QuotaExhausted),
        (raw(b"404 page not found", "text/plain", 404), errors.NotFound),
        (answer({"id": "x"}), errors.UnexpectedReply),
        (answer([]), errors.UnexpectedReply),
    ],
)
def test_a_token_that_does_not_work_is_refused(reply, kind):
    with pytest.raises(errors.ProviderError) as caught:
        play(recraft.test(), reply)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("model", "fields", "refused"),
    [
        ("recraftv4_1", {"n": 6, "aspect_ratio": "14:10", "size": "1000x700"}, ()),
        ("recraftv4_1", {"n": 7}, ("n",)),
        ("recraftv4_1", {"aspect_ratio": "21:9"}, ("aspect_ratio",)),
        ("recraftv4_1", {"resolution": "2K", "output_format": "svg"}, ()),
        ("recraftv4_1", {"resolution": "4K"}, ("resolution",)),
        ("recraftv4_1_pro", {"resolution": "1K"}, ("resolution",)),
        ("recraftv3", {"resolution": "2K"}, ("resolution",)),
        ("recraftv4_1", {"prompt": "x" * 10_000}, ()),
        ("recraftv4_1", {"prompt": "x" * 10_001}, ("prompt",)),
        ("recraftv2", {"prompt": "x" * 1001}, ("prompt",)),
        ("recraftv4_1", {"images": IMAGE * 2}, ("images",)),
        ("recraftv3", {"images": IMAGE * 2, "action": "inpaint"}, ()),
        ("recraftv4_1", {"action": "inpaint"}, ("action",)),
        ("recraftv4_1", {"action": "explore"}, ("action",)),
        ("recraftv4_raster", {"output_format": "svg"}, ("output_format",)),
        ("recraftv4_vector", {"output_format": "png"}, ("output_format",)),
        ("recraftv4", {"output_format": "gif"}, ("output_format",)),
        ("recraftv4", {"output_format": "jpeg"}, ()),
        ("recraftv4", {"video_url": URL}, ("video_url",)),
        ("recraft-vectorize", {}, ("images",)),
        ("recraft-vectorize", {"images": IMAGE, "n": 2}, ("n",)),
        ("recraft-vectorize", {"images": IMAGE, "output_format": "svg"}, ()),
        ("recraft-crisp-upscale", {"images": IMAGE * 2}, ("images",)),
        ("recraft-erase-region", {"images": IMAGE * 2}, ()),
        ("refm1", {"prompt": "x" * 20_000}, ()),
        ("nano_banana_2", {"n": 2, "size": "17x3"}, ()),
    ],
)
def test_limits_of_the_models_refuse_what_cannot_be_made(model, fields, refused):
    described = recraft.PROVIDER.describe(model)
    assert described is not None
    assert tuple(find_problems({"prompt": "x", **fields}, described)) == refused


@pytest.mark.parametrize("name", ["veo3p1", "kling3_pro", "recraftv9", "recraft20b_x"])
def test_models_without_a_published_route_are_unknown(name):
    assert recraft.PROVIDER.describe(name) is None


def test_every_model_makes_images_at_once_and_old_names_are_not_listed():
    assert {model.media_type for model in recraft.PROVIDER.models} == {MediaType.IMAGE}
    assert all(model.sync for model in recraft.PROVIDER.models)
    listed = {model.name for model in recraft.PROVIDER.models}
    assert not listed & {"recraft20b", "refm1"}
    assert {"recraftv4_1_utility_pro_vector", "recraftv4_explore_raster"} <= listed
