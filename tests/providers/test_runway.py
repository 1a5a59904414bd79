"""Runway's flows, played on recorded and made-up replies."""

from __future__ import annotations

from typing import Any

import pytest

from providers import errors, runway
from providers.flow import Call
from providers.types import Credentials, MediaInput, Phase, Reason, Remote, Snapshot
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

JOB = "4d0f7a52-9b31-4c66-8e0d-2f5b7c91a3e8"
ONE, TWO = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"
CLIP = "https://cdn.example.com/clip.mp4"
IMAGES = (an_image_url(ONE), an_image_url(TWO))
TEXT = "a lighthouse made of paper, dawn"


def sent(**fields: Any) -> Call:
    (call,) = calls_of(runway.submit(a_request(**fields)), recorded("runway/submit"))
    assert call.paid
    assert call.json["model"] == fields["model"]
    return call


def poll(name: str, **changes: Any) -> Snapshot:
    body = {**recorded(f"runway/{name}").json(), **changes}
    return play(runway.poll(Remote(JOB)), answer(body))


@pytest.mark.parametrize(
    ("fields", "path", "expected"),
    [
        (
            {"model": "gen4.5", "seed": 7},
            "text_to_video",
            {"promptText": TEXT, "ratio": "1280:720", "duration": 5, "seed": 7},
        ),
        (
            {"model": "gen4_turbo", "images": IMAGES[:1], "aspect_ratio": "1:1"},
            "image_to_video",
            {"promptText": TEXT, "promptImage": ONE, "ratio": "960:960"},
        ),
        (
            {
                "model": "veo3.1",
                "images": IMAGES,
                "duration": 8.0,
                "resolution": "1080P",
                "aspect_ratio": "9:16",
                "negative_prompt": "fog",
            },
            "image_to_video",
            {
                "promptText": TEXT,
                "negativePrompt": "fog",
                "promptImage": [
                    {"uri": ONE, "position": "first"},
                    {"uri": TWO, "position": "last"},
                ],
                "ratio": "1080:1920",
                "duration": 8,
            },
        ),
        (
            {"model": "hailuo3", "aspect_ratio": "16:9", "resolution": "2K"},
            "text_to_video",
            {"promptText": TEXT, "ratio": "16:9", "resolution": "2k"},
        ),
        # no word for a shape: it follows from the image
        (
            {"model": "kling2.5_turbo_pro", "images": IMAGES[:1], "size": "1280x720"},
            "image_to_video",
            {"promptText": TEXT, "promptImage": ONE},
        ),
        (
            {"model": "kling_4", "images": IMAGES[:1], "resolution": "1080p"},
            "image_to_video",
            {"promptText": TEXT, "promptImage": ONE, "ratio": "auto_1080p"},
        ),
        (
            {"model": "gen4_image", "images": IMAGES, "size": "1900x1000"},
            "text_to_image",
            {
                "promptText": TEXT,
                "referenceImages": [{"uri": ONE}, {"uri": TWO}],
                "ratio": "1920:1080",
            },
        ),
        (
            {"model": "gpt_image_2", "n": 3, "quality": "High", "aspect_ratio": "auto"},
            "text_to_image",
            {
                "promptText": TEXT,
                "ratio": "auto",
                "outputCount": 3,
                "quality": "high",
            },
        ),
        (
            {"model": "seedream5_lite", "output_format": "jpg", "resolution": "4k"},
            "text_to_image",
            {
                "promptText": TEXT,
                "ratio": "3072:3072",
                "outputCount": 1,
                "outputFormat": "jpeg",
            },
        ),
        (
            {"model": "aleph2", "video_url": CLIP},
            "video_to_video",
            {"promptText": TEXT, "videoUri": CLIP},
        ),
        (
            {"model": "klingO3_pro", "video_url": CLIP},
            "video_to_video",
            {"promptText": TEXT, "promptVideo": CLIP},
        ),
        (
            {"model": "act_two", "images": IMAGES[:1], "video_url": CLIP},
            "character_performance",
            {
                "character": {"type": "image", "uri": ONE},
                "reference": {"type": "video", "uri": CLIP},
            },
        ),
        (
            {"model": "magnific_precision_upscaler_v2", "images": IMAGES[:1]},
            "image_upscale",
            {"imageUri": ONE},
        ),
        (
            {"model": "eleven_v3", "input": "Hi.", "voice": "Leslie", "speed": 1.1},
            "text_to_speech",
            {
                "promptText": "Hi.",
                "voice": {"type": "runway-preset", "presetId": "Leslie"},
                "speed": 1.1,
            },
        ),
        (
            {"model": "eleven_text_to_sound_v2", "duration": 2.5},
            "sound_effect",
            {"promptText": TEXT, "duration": 2.5},
        ),
        (
            {"model": "seed_audio", "input": "Hi.", "prompt": None},
            "text_to_speech",
            {"promptText": "Hi."},
        ),
        (
            {"model": "gen4.5", "metadata": {"duration": 9, "contentModeration": {}}},
            "text_to_video",
            {
                "promptText": TEXT,
                "ratio": "1280:720",
                "duration": 9,
                "contentModeration": {},
            },
        ),
    ],
)
def test_request_is_written_on_the_form_that_suits_it(
    fields: dict[str, Any], path: str, expected: dict[str, Any]
) -> None:
    call = sent(**fields)
    assert (call.method, call.url) == ("POST", f"/{path}")
    assert call.json == {"model": fields["model"], **expected}


@pytest.mark.parametrize(
    ("wish", "ratio"),
    [
        ({}, None),
        ({"aspect_ratio": "16:9"}, "1280:720"),
        ({"aspect_ratio": "16/9", "resolution": "1080p"}, "1920:1080"),
        ({"aspect_ratio": "21:9", "resolution": "480p"}, "992:432"),
        ({"aspect_ratio": "1:1", "resolution": "4K"}, "3840:3840"),
        ({"size": "1440x1440"}, "1440:1440"),
        ({"size": "4:3", "resolution": "720p"}, "1112:834"),
        ({"width": 600, "height": 800}, "560:752"),
    ],
)
def test_ratio_is_the_nearest_in_shape_and_then_in_pixels(
    wish: dict[str, Any], ratio: str | None
) -> None:
    told = sent(model="seedance2", **wish).json.get("ratio")
    if wish == {"aspect_ratio": "16:9"}:  # several have the shape
        assert told in {"1280:720", "1920:1080", "3840:2160"}
    else:
        assert told == ratio


@pytest.mark.parametrize(
    ("fields", "kind", "told"),
    [
        ({"model": "gen9"}, errors.ModelRefused, "no model gen9"),
        ({"model": "gen4_turbo"}, errors.Rejected, "image_to_video"),
        ({"model": "gen4_image_turbo"}, errors.Rejected, "referenceImages"),
        ({"model": "eleven_v3"}, errors.Rejected, "voice"),
        ({"model": "gemini_image3_pro", "n": 2}, errors.Rejected, "1 or 4"),
        (
            {"model": "aleph2", "video_url": CLIP, "images": IMAGES},
            errors.Rejected,
            "no word for images",
        ),
        (
            {"model": "seedance2", "negative_prompt": "fog"},
            errors.Rejected,
            "no word for negative_prompt",
        ),
    ],
)
def test_what_no_form_can_say_is_refused(
    fields: dict[str, Any], kind: type[errors.ProviderError], told: str
) -> None:
    with pytest.raises(kind, match=told):
        play(runway.submit(a_request(**fields)))


def test_small_upload_goes_inside_the_request() -> None:
    request = a_request(model="gen4_turbo", images=(an_upload(),))
    _, paid = calls_of(
        runway.submit(request), raw(b"\x89PNG", "image/png"), recorded("runway/submit")
    )
    assert paid.json["promptImage"] == "data:image/png;base64,iVBORw=="


def test_large_upload_is_refused_before_it_costs() -> None:
    image = MediaInput("upload:0", "image/png")
    flow = runway.submit(a_request(model="gen4_turbo", images=(image,)))
    with pytest.raises(errors.Rejected, match="4,000,000 bytes"):
        play(flow, raw(b"\x89" * 4_000_000, "image/png"))


def test_large_upload_goes_as_the_gateways_link_to_it() -> None:
    link = "https://gateway.example/generation/tasks/t/inputs/0.png?signature=s"
    image = MediaInput("upload:0", "image/png", link)
    _, paid = calls_of(
        runway.submit(a_request(model="gen4_turbo", images=(image,))),
        raw(b"\x89" * 4_000_000, "image/png"),
        recorded("runway/submit"),
    )
    assert paid.json["promptImage"] == link


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("error_issues", 400, errors.Rejected),
        ("error_credits", 400, errors.QuotaExhausted),
        ("error_key", 401, errors.KeyRefused),
        ("error_key", 403, errors.ChannelRefused),
        ("error_absent", 404, errors.ModelRefused),
        ("error_absent", 405, errors.Rejected),
        ("error_daily", 429, errors.QuotaExhausted),
        ("error_rate", 429, errors.RateLimited),
        ("error_rate", 502, errors.Unavailable),
        ("error_rate", 503, errors.Unavailable),
        ("error_rate", 504, errors.Unavailable),
    ],
)
def test_refused_submit_tells_who_must_act(
    name: str, status: int, kind: type[errors.ProviderError]
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        play(
            runway.submit(a_request(model="gen4.5")),
            recorded(f"runway/{name}", status=status),
        )
    assert type(caught.value) is kind
    if name == "error_issues":
        assert str(caught.value).endswith("ratio: Not one of the options")


@pytest.mark.parametrize(
    ("name", "usage"), [("submit", {"estimated_credits": 24}), ("submit_bare", {})]
)
def test_accepted_task_waits(name: str, usage: dict[str, Any]) -> None:
    end = play(runway.submit(a_request(model="gen4.5")), recorded(f"runway/{name}"))
    assert end == Snapshot(phase=Phase.PENDING, remote=Remote(JOB), usage=usage)


@pytest.mark.parametrize(
    ("name", "phase", "percent", "usage"),
    [
        ("pending", Phase.PENDING, None, {"estimated_credits": 24}),
        ("throttled", Phase.PENDING, None, {"estimated_credits": 24}),
        ("running", Phase.RUNNING, 42, {"estimated_credits": 24}),
        ("succeeded", Phase.SUCCEEDED, 100, {"credits": 24}),
        ("failed", Phase.FAILED, None, {"credits": 24}),
        ("cancelled", Phase.CANCELLED, None, {"credits": 0}),
    ],
)
def test_status_words_are_read(
    name: str, phase: Phase, percent: int | None, usage: dict[str, Any]
) -> None:
    end = poll(name)
    assert (end.phase, end.percent, end.usage) == (phase, percent, usage)
    assert end.remote == Remote(JOB)
    told = recorded(f"runway/{name}").json().get("output", [])
    assert [artifact.url for artifact in end.artifacts] == told


@pytest.mark.parametrize("name", ["undocumented", "succeeded_nothing", "submit"])
def test_what_nobody_documented_is_looked_at_again(name: str) -> None:
    with pytest.raises(errors.UnexpectedReply):
        poll(name)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("SAFETY.INPUT.TEXT", Reason.CONTENT_REJECTED),
        ("SAFETY.OUTPUT.VIDEO", Reason.CONTENT_REJECTED),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", Reason.CONTENT_REJECTED),
        ("INPUT_PREPROCESSING.INTERNAL", Reason.UPSTREAM_FAILED),
        ("INTERNAL.BAD_OUTPUT.CODE01", Reason.UPSTREAM_FAILED),
        ("INTERNAL", Reason.UPSTREAM_FAILED),
        ("ASSET.INVALID", Reason.INVALID_REQUEST),
        ("THIRD_PARTY.UNAVAILABLE", Reason.UPSTREAM_FAILED),
        ("SOMETHING.NEW", Reason.UPSTREAM_FAILED),
        (None, Reason.UPSTREAM_FAILED),
    ],
)
def test_beginning_of_a_code_tells_the_reason(code: str | None, reason: Reason) -> None:
    failure = poll("failed", failureCode=code).failure
    assert failure is not None
    assert (failure.reason, failure.code) == (reason, code or "")


@pytest.mark.parametrize(("status", "stopped"), [(204, True), (404, False)])
def test_cancel_deletes_the_task(status: int, stopped: bool) -> None:
    reply = raw(b"", "application/json", status)
    assert play(runway.cancel(Remote(JOB)), reply) is stopped
    with pytest.raises(errors.NotFound):
        play(runway.poll(Remote(JOB)), recorded("runway/error_absent", status=404))


def test_every_call_names_the_version() -> None:
    call = runway.PROVIDER.authorize(
        Call("GET", "/organization"), Credentials("key_1", {}, 0)
    )
    assert call.headers == {
        "Authorization": "Bearer key_1",
        "X-Runway-Version": "2024-11-06",
    }
    with pytest.raises(errors.KeyRefused):
        play(runway.test(), recorded("runway/error_key", status=401))


def test_limits_follow_from_the_forms() -> None:
    models = {model.name: model for model in runway.PROVIDER.models}
    turbo, image = models["gen4_turbo"], models["gen4_image_turbo"]
    assert (turbo.needs, image.needs) == ({"images"}, {"images", "prompt"})
    assert (turbo.max_images, turbo.max_n, turbo.max_prompt) == (1, 1, 1000)
    assert "negative_prompt" in turbo.refuses
    assert image.max_images == 3
    assert models["seedance2"].resolutions == ("480p", "720p", "1080p", "4k")
    assert models["gpt_image_2"].qualities == ("low", "medium", "high", "auto")
    assert models["act_two"].needs == {"images", "video_url"}
    assert models["eleven_v3"].needs == {"voice", "prompt"}
