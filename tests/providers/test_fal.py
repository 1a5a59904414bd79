"""fal's adapter: every row of its mappings, states, result shapes and errors."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from providers import errors, fal
from providers.dialects.fal_catalogue import ENDPOINTS
from providers.dialects.fal_guesses import find_endpoint
from providers.flow import Call, Reply
from providers.types import (
    Callback,
    Credentials,
    MediaInput,
    MediaType,
    Phase,
    Reason,
    Remote,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

REQUEST_ID = "7f0c2a6e-3b51-4d8e-9a44-c2d1e0b7a913"
QUEUE = f"https://queue.fal.run/fal-ai/nano-banana/requests/{REQUEST_ID}"
REMOTE = Remote(
    REQUEST_ID,
    {
        "status_url": f"{QUEUE}/status",
        "response_url": QUEUE,
        "cancel_url": f"{QUEUE}/cancel",
    },
)
PNG = b"\x89PNG\r\n\x1a\n..."
NGINX = b"<html><body><center>nginx</center></body></html>"
A = "https://cdn.example.com/a.png"
B = "https://cdn.example.com/b.png"


def submitted(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The paid call of a submit."""
    uploads = [raw(PNG, "image/png") for image in images if image.uploaded]
    request = a_request(model=model, images=images, **fields)
    calls = calls_of(fal.submit(request), *uploads, recorded("fal/submit"))
    assert [call.paid for call in calls] == [False] * len(uploads) + [True]
    return calls[-1]


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = submitted(model, *images, **fields).json
    return body


def said(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    """The body of a submit without the prompt and the number of images."""
    body = body_of(model, *images, **fields)
    return {k: v for k, v in body.items() if k not in {"prompt", "num_images"}}


def looked(result: Reply, status: str = "fal/status_completed") -> Any:
    """The snapshot of a completed request with that result."""
    return play(fal.poll(REMOTE), recorded(status), result)


# --- submit


def test_the_endpoint_is_the_path_and_the_body_is_its_bare_input():
    call = submitted("fal-ai/nano-banana/edit", an_image_url(A), n=2)
    assert (call.method, call.url) == ("POST", "/fal-ai/nano-banana/edit")
    assert call.json == {
        "prompt": "a lighthouse made of paper, dawn",
        "num_images": 2,
        "image_urls": [A],
    }


def test_a_leading_slash_of_the_model_does_no_harm():
    assert submitted("/fal-ai/flux/dev").url == "/fal-ai/flux/dev"


def test_our_callback_address_goes_into_the_query():
    call = submitted("fal-ai/flux/dev", callback_url="https://gw.example/up/1/abc")
    assert call.params == {"fal_webhook": "https://gw.example/up/1/abc"}


def test_without_a_callback_address_none_is_sent():
    assert submitted("fal-ai/flux/dev").params == {}


def test_the_key_is_sent_under_the_word_key():
    call = fal.PROVIDER.authorize(
        Call("POST", "/fal-ai/flux/dev"), Credentials("id:secret", {}, 0.0)
    )
    assert call.headers == {"Authorization": "Key id:secret"}


def test_the_key_may_go_to_the_queues_own_hosts_only():
    assert fal.PROVIDER.hosts == {"queue.fal.run", "queue.falrun.com"}


def test_the_urls_of_the_answer_are_kept_byte_for_byte():
    snapshot = play(
        fal.submit(a_request(model="fal-ai/nano-banana/edit")),
        recorded("fal/submit_webhook"),
    )
    assert snapshot.phase is Phase.PENDING
    assert snapshot.remote == Remote(
        REQUEST_ID,
        {
            "status_url": f"{QUEUE}/status",
            "response_url": f"{QUEUE}/response",
            "cancel_url": f"{QUEUE}/cancel",
            "gateway_request_id": REQUEST_ID,
        },
    )


def test_any_success_status_accepts():
    accepted = recorded("fal/submit", status=202)
    snapshot = play(fal.submit(a_request(model="fal-ai/flux/dev")), accepted)
    assert snapshot.remote is not None


def test_an_answer_without_urls_still_tells_where_the_job_is():
    snapshot = play(
        fal.submit(a_request(model="fal-ai/flux/dev")), answer({"request_id": "r-1"})
    )
    assert snapshot.remote == Remote(
        "r-1",
        {
            "status_url": "/fal-ai/flux/requests/r-1/status",
            "response_url": "/fal-ai/flux/requests/r-1",
            "cancel_url": "/fal-ai/flux/requests/r-1/cancel",
        },
    )


@pytest.mark.parametrize(
    "reply",
    [
        answer({"status": "IN_QUEUE"}),
        answer({"request_id": None}),
        answer({"request_id": ""}),
        answer([]),
        raw(b"<html>hello</html>", "text/html"),
        raw(b'{"request_id": "7f', "application/json"),
    ],
)
def test_a_success_without_an_id_is_no_answer(reply: Reply):
    with pytest.raises(errors.UnexpectedReply):
        play(fal.submit(a_request(model="fal-ai/flux/dev")), reply)


@pytest.mark.parametrize(
    "model",
    [
        "flux",
        "fal-ai",
        "",
        "fal-ai//dev",
        "fal-ai/../x",
        "fal-ai/flux?a=1",
        "workflows/a",
    ],
)
def test_what_is_no_endpoint_id_is_rejected_before_anything_is_sent(model: str):
    assert fal.describe(model) is None
    with pytest.raises(errors.Rejected):
        play(fal.submit(a_request(model=model)))


SUBMIT_ERRORS = [
    (recorded("fal/error_bad_key", status=401), errors.KeyRefused),
    (recorded("fal/error_bad_header", status=401), errors.KeyRefused),
    (recorded("fal/error_no_money", status=403), errors.QuotaExhausted),
    (recorded("fal/error_top_up", status=403), errors.QuotaExhausted),
    (recorded("fal/error_locked", status=403), errors.ChannelRefused),
    (recorded("fal/error_unknown_app", status=404), errors.ModelRefused),
    (
        answer({"detail": "no", "error_type": "bad_request"}, status=400),
        errors.Rejected,
    ),
    (recorded("fal/error_model_two_problems", status=422), errors.Rejected),
    (recorded("fal/error_model_blocked", status=422), errors.ContentRejected),
    (
        answer({"detail": "x", "error_type": "concurrent_requests_limit"}, status=429),
        errors.RateLimited,
    ),
    (answer({"detail": "slow down"}, status=429), errors.RateLimited),
    (answer({"detail": "again"}, status=408), errors.OutcomeUnknown),
    (answer({"detail": "again"}, status=409), errors.OutcomeUnknown),
    (answer({"detail": "left"}, status=499), errors.OutcomeUnknown),
    (recorded("fal/error_request", status=503), errors.Unavailable),
    (answer({"detail": "crash"}, status=500), errors.Unavailable),
    (raw(b"", "text/plain", 502), errors.Unavailable),
    (raw(NGINX, "text/html", 500), errors.Unavailable),
]


@pytest.mark.parametrize(("reply", "kind"), SUBMIT_ERRORS)
def test_a_refused_submit_is_classed_by_who_must_act(
    reply: Reply, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(fal.submit(a_request(model="fal-ai/flux/dev")), reply)
    assert type(caught.value) is kind
    assert caught.value.status == reply.status


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_page_of_the_proxy_says_that_nothing_was_accepted(status: int):
    with pytest.raises(errors.RateLimited):
        play(
            fal.submit(a_request(model="fal-ai/flux/dev")),
            raw(NGINX, "text/html", status),
        )


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_page_with_a_request_id_may_be_about_an_accepted_request(status: int):
    reply = Reply(status, {"x-fal-request-id": "r-1"}, NGINX)
    with pytest.raises(errors.Unavailable):
        play(fal.submit(a_request(model="fal-ai/flux/dev")), reply)


def test_a_wait_that_is_asked_for_is_passed_on():
    with pytest.raises(errors.RateLimited) as caught:
        play(
            fal.submit(a_request(model="fal-ai/flux/dev")),
            answer({"detail": "slow down"}, status=429, retry_after="7"),
        )
    assert caught.value.retry_after_s == 7


# --- the input, family by family

SIZES = [
    ({"size": "1152x768"}, {"width": 1152, "height": 768}),
    ({"width": 640, "height": 960}, {"width": 640, "height": 960}),
    ({"size": "landscape_16_9"}, "landscape_16_9"),
    ({"size": "16:9"}, "landscape_16_9"),
    ({"aspect_ratio": "1:1"}, "square_hd"),
    ({"aspect_ratio": "4:3"}, "landscape_4_3"),
    ({"aspect_ratio": "3:4"}, "portrait_4_3"),
    ({"aspect_ratio": "16:9"}, "landscape_16_9"),
    ({"aspect_ratio": "9:16"}, "portrait_16_9"),
    ({"aspect_ratio": "3:2"}, {"width": 1248, "height": 832}),
    ({"aspect_ratio": "2:3"}, {"width": 832, "height": 1248}),
    ({"aspect_ratio": "21:9"}, {"width": 1568, "height": 672}),
]


@pytest.mark.parametrize(("fields", "image_size"), SIZES)
@pytest.mark.parametrize(
    "model",
    [
        "fal-ai/flux/dev",
        "fal-ai/flux-2-pro",
        "openai/gpt-image-2",
        "fal-ai/ideogram/v3",
        "fal-ai/recraft/v3/text-to-image",
        "fal-ai/qwen-image",
    ],
)
def test_a_size_is_a_preset_or_an_object(
    model: str, fields: dict[str, Any], image_size: Any
):
    assert said(model, **fields) == {"image_size": image_size}


def test_no_size_asked_is_no_size_sent():
    assert said("fal-ai/flux/dev") == {}


@pytest.mark.parametrize(
    ("ratio", "image_size"),
    [
        ("3:2", {"width": 2880, "height": 1920}),
        ("2:1", {"width": 3840, "height": 1920}),
        ("1:1", "square_hd"),
        ("4:5", {"width": 1920, "height": 2400}),
    ],
)
def test_seedream_gets_sides_that_are_large_enough(ratio: str, image_size: Any):
    model = "fal-ai/bytedance/seedream/v4.5/text-to-image"
    assert said(model, aspect_ratio=ratio) == {"image_size": image_size}


def test_a_ratio_that_the_sides_do_not_allow_is_rejected():
    with pytest.raises(errors.Rejected, match="1920 to 4096"):
        said("fal-ai/bytedance/seedream/v4.5/text-to-image", aspect_ratio="21:9")


@pytest.mark.parametrize(
    ("fields", "image_size"),
    [
        ({"size": "1536x1024"}, "1536x1024"),
        ({"width": 1024, "height": 1536}, "1024x1536"),
        ({"aspect_ratio": "1:1"}, "1024x1024"),
        ({"aspect_ratio": "16:9"}, "1536x1024"),
    ],
)
def test_gpt_image_1_5_gets_its_size_as_a_text(fields: dict[str, Any], image_size: str):
    assert said("fal-ai/gpt-image-1.5", **fields) == {"image_size": image_size}


@pytest.mark.parametrize(
    ("model", "fields", "ratio"),
    [
        ("fal-ai/nano-banana", {"aspect_ratio": "5:4"}, "5:4"),
        ("fal-ai/nano-banana", {"size": "1024x768"}, "4:3"),
        ("fal-ai/nano-banana", {"width": 720, "height": 1280}, "9:16"),
        ("fal-ai/nano-banana-pro", {"aspect_ratio": "auto"}, "auto"),
        ("fal-ai/nano-banana-2", {"size": "2048x512"}, "4:1"),
        ("fal-ai/flux-pro/v1.1-ultra", {"size": "900x2100"}, "9:21"),
        ("fal-ai/flux-pro/v1.1-ultra", {"aspect_ratio": "7:3"}, "7:3"),
        ("fal-ai/veo3.1", {"size": "720x1280"}, "9:16"),
        ("fal-ai/kling-video/v3/pro/text-to-video", {"size": "1000x1000"}, "1:1"),
    ],
)
def test_models_with_ratios_get_the_one_asked_for_or_the_nearest(
    model: str, fields: dict[str, Any], ratio: str
):
    assert body_of(model, **fields)["aspect_ratio"] == ratio


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("fal-ai/veo3.1", "1080P", "1080p"),
        ("fal-ai/veo3.1", "4K", "4k"),
        ("fal-ai/veo3.1", "720", "720p"),
        ("bytedance/seedance-2.0/text-to-video", "480P", "480p"),
        ("fal-ai/wan-25-preview/text-to-video", "1080P", "1080p"),
        ("fal-ai/pixverse/v5.5/text-to-video", "540P", "540p"),
        ("fal-ai/minimax/hailuo-02/standard/image-to-video", "768p", "768P"),
        ("fal-ai/nano-banana-pro", "2k", "2K"),
        ("fal-ai/nano-banana-2", "0.5K", "0.5K"),
        ("fal-ai/some/new/text-to-video", "720P", "720p"),
    ],
)
def test_a_resolution_is_written_in_the_letters_of_its_endpoint(
    model: str, asked: str, sent: str
):
    images = (an_image_url(),) if "image-to-video" in model else ()
    assert body_of(model, *images, resolution=asked)["resolution"] == sent


def test_pixels_asked_of_a_video_choose_ratio_and_resolution():
    assert said("fal-ai/veo3.1", size="1920x1080") == {
        "aspect_ratio": "16:9",
        "resolution": "1080p",
    }


@pytest.mark.parametrize(
    ("model", "seconds", "field", "sent"),
    [
        ("fal-ai/veo3.1", 6.0, "duration", "6s"),
        ("fal-ai/veo3", 8, "duration", "8s"),
        ("fal-ai/luma-dream-machine/ray-2", 9, "duration", "9s"),
        ("luma/agent/ray/v3.2/text-to-video", 10, "duration", "10s"),
        ("fal-ai/kling-video/v2.5-turbo/pro/text-to-video", 10.0, "duration", "10"),
        ("fal-ai/kling-video/v3/pro/text-to-video", 7, "duration", "7"),
        ("bytedance/seedance-2.0/text-to-video", 4, "duration", "4"),
        ("fal-ai/minimax/hailuo-2.3/standard/text-to-video", 6, "duration", "6"),
        ("fal-ai/wan-25-preview/text-to-video", 5, "duration", "5"),
        ("fal-ai/pixverse/v5.5/text-to-video", 8, "duration", "8"),
        ("fal-ai/wan/v2.7/text-to-video", 5.0, "duration", 5),
        ("xai/grok-imagine-video/text-to-video", 6.5, "duration", 6.5),
        ("fal-ai/sora-2/text-to-video", 12, "duration", 12),
        ("fal-ai/stable-audio-25/text-to-audio", 30, "seconds_total", 30),
        ("fal-ai/elevenlabs/music", 12.5, "music_length_ms", 12500),
        ("fal-ai/elevenlabs/sound-effects/v2", 1.5, "duration_seconds", 1.5),
        ("fal-ai/veo3.1/fast/extend-video", 8, "duration", "8s"),
        ("fal-ai/kling-video/o3/pro/text-to-video", 8, "duration", "8"),
        ("fal-ai/ltx-2/text-to-video", 8, "duration", 8),
    ],
)
def test_a_duration_has_the_type_and_unit_of_its_endpoint(
    model: str, seconds: float, field: str, sent: Any
):
    found = body_of(model, duration=seconds)[field]
    assert (found, type(found)) == (sent, type(sent))


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("fal-ai/flux-pro/kontext", {"image_url": A}),
        ("fal-ai/flux-pro/v1.1-ultra", {"image_url": A}),
        ("fal-ai/nano-banana/edit", {"image_urls": [A]}),
        ("fal-ai/ideogram/v3", {"image_urls": [A]}),
        ("luma/agent/uni-1/v1/edit", {"image_url": A}),
        ("luma/agent/uni-1/v1/text-to-image", {"reference_image_urls": [A]}),
        ("fal-ai/veo3.1/image-to-video", {"image_url": A}),
        ("fal-ai/veo3.1/reference-to-video", {"image_urls": [A]}),
        ("fal-ai/kling-video/v2.1/pro/image-to-video", {"image_url": A}),
        ("fal-ai/kling-video/v2.6/pro/image-to-video", {"start_image_url": A}),
        ("fal-ai/kling-video/v3/pro/image-to-video", {"start_image_url": A}),
        ("fal-ai/kling-video/v2.6/standard/image-to-video", {"start_image_url": A}),
        ("fal-ai/kling-video/v1.6/pro/image-to-video", {"image_url": A}),
        ("fal-ai/someone/image-to-video", {"image_url": A}),
        ("fal-ai/someone/edit", {"image_urls": [A]}),
    ],
)
def test_one_image_goes_into_the_field_of_its_family(
    model: str, fields: dict[str, Any]
):
    assert said(model, an_image_url(A)) == fields


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("fal-ai/flux-pro/kontext/multi", {"image_urls": [A, B]}),
        (
            "luma/agent/uni-1/v1/edit",
            {"image_url": A, "reference_image_urls": [B]},
        ),
        (
            "fal-ai/veo3.1/first-last-frame-to-video",
            {"first_frame_url": A, "last_frame_url": B},
        ),
        (
            "fal-ai/kling-video/v2.5-turbo/pro/image-to-video",
            {"image_url": A, "tail_image_url": B},
        ),
        (
            "fal-ai/kling-video/v2.6/pro/image-to-video",
            {"start_image_url": A, "end_image_url": B},
        ),
        (
            "bytedance/seedance-2.0/image-to-video",
            {"image_url": A, "end_image_url": B},
        ),
        (
            "fal-ai/minimax/hailuo-02/standard/image-to-video",
            {"image_url": A, "end_image_url": B},
        ),
        (
            "fal-ai/vidu/q1/first-last-frame-to-video",
            {"first_frame_url": A, "last_frame_url": B},
        ),
    ],
)
def test_two_images_go_into_the_fields_of_their_family(
    model: str, fields: dict[str, Any]
):
    assert said(model, an_image_url(A), an_image_url(B)) == fields


def test_an_uploaded_image_is_sent_as_a_data_url():
    encoded = base64.b64encode(PNG).decode()
    assert said("fal-ai/nano-banana/edit", an_upload(), an_image_url(A)) == {
        "image_urls": [f"data:image/png;base64,{encoded}", A]
    }


@pytest.mark.parametrize(
    ("model", "image_count"),
    [
        ("fal-ai/flux/dev", 1),
        ("fal-ai/flux-pro/kontext", 2),
        ("fal-ai/veo3.1/first-last-frame-to-video", 1),
        ("fal-ai/veo3.1/image-to-video", 2),
    ],
)
def test_too_many_or_too_few_images_are_rejected_before_they_are_fetched(
    model: str, image_count: int
):
    request = a_request(model=model, images=(an_upload(),) * image_count)
    with pytest.raises(errors.Rejected, match="images"):
        play(fal.submit(request))


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("fal-ai/flux/schnell", 1),
        ("fal-ai/nano-banana-2/edit", 1),
        ("fal-ai/qwen-image", 1),
        ("fal-ai/flux-2-pro", None),
        ("fal-ai/recraft/v3/text-to-image", None),
        ("fal-ai/veo3.1", None),
        ("fal-ai/someone/new", None),
    ],
)
def test_the_number_of_images_is_always_sent_where_the_endpoint_has_it(
    model: str, count: int | None
):
    assert body_of(model).get("num_images") == count


def test_several_images_are_asked_for_in_the_same_field():
    assert body_of("fal-ai/flux/dev", n=3)["num_images"] == 3
    assert body_of("fal-ai/someone/new", n=3)["num_images"] == 3


@pytest.mark.parametrize(
    ("model", "fields", "sent"),
    [
        ("fal-ai/flux/dev", {"seed": 0}, {"seed": 0}),
        ("fal-ai/flux/dev", {"output_format": "jpg"}, {"output_format": "jpeg"}),
        ("fal-ai/nano-banana", {"output_format": "webp"}, {"output_format": "webp"}),
        ("openai/gpt-image-2", {"quality": "low"}, {"quality": "low"}),
        ("fal-ai/ideogram/v3", {"style": "DESIGN"}, {"style": "DESIGN"}),
        (
            "fal-ai/recraft/v3/text-to-image",
            {"style": "digital_illustration/pixel_art"},
            {"style": "digital_illustration/pixel_art"},
        ),
        (
            "fal-ai/qwen-image",
            {"negative_prompt": "fog"},
            {"negative_prompt": "fog"},
        ),
        (
            "fal-ai/wan-25-preview/text-to-video",
            {"audio_url": "https://a.example/x.mp3"},
            {"audio_url": "https://a.example/x.mp3"},
        ),
        (
            "fal-ai/nano-banana-2/edit",
            {"video_url": "https://a.example/x.mp4"},
            {"video_url": "https://a.example/x.mp4"},
        ),
        ("fal-ai/lyria2", {"seed": 4}, {"seed": 4}),
        (
            "fal-ai/elevenlabs/music",
            {"output_format": "mp3"},
            {"output_format": "mp3_44100_128"},
        ),
        (
            "fal-ai/elevenlabs/music",
            {"output_format": "opus_48000_64"},
            {"output_format": "opus_48000_64"},
        ),
        (
            "fal-ai/minimax-music/v2",
            {"lyrics": "la", "output_format": "flac"},
            {"lyrics_prompt": "la", "audio_setting": {"format": "flac"}},
        ),
        ("fal-ai/minimax-music/v2.6", {"lyrics": "la"}, {"lyrics": "la"}),
    ],
)
def test_other_fields_have_the_names_of_their_endpoint(
    model: str, fields: dict[str, Any], sent: dict[str, Any]
):
    assert said(model, **fields) == sent


@pytest.mark.parametrize("field", ["seed", "negative_prompt", "style", "quality"])
def test_what_an_endpoint_has_no_word_for_is_not_sent(field: str):
    value = 3 if field == "seed" else "x"
    assert said("fal-ai/veo3.1/reference-to-video", **{field: value}) == {}


@pytest.mark.parametrize(
    "model",
    ["fal-ai/elevenlabs/tts/multilingual-v2", "fal-ai/elevenlabs/tts/turbo-v2.5"],
)
def test_elevenlabs_speaks_the_text_in_a_named_voice(model: str):
    body = body_of(model, prompt=None, input="Hello.", voice="Rachel", speed=0.9)
    assert body == {"text": "Hello.", "voice": "Rachel", "speed": 0.9}


def test_minimax_speech_has_its_voice_in_an_object_and_gives_a_url():
    body = body_of(
        "fal-ai/minimax/speech-2.8-hd",
        prompt=None,
        input="Hello.",
        voice="Wise_Woman",
        speed=1.5,
        output_format="mp3",
    )
    assert body == {
        "prompt": "Hello.",
        "voice_setting": {"voice_id": "Wise_Woman", "speed": 1.5},
        "audio_setting": {"format": "mp3"},
        "output_format": "url",
    }


def test_speech_says_the_input_rather_than_the_prompt():
    body = body_of("fal-ai/elevenlabs/tts/eleven-v3", prompt="calm", input="Hello.")
    assert body == {"text": "Hello."}


def test_sound_effects_have_their_prompt_under_text():
    assert body_of("fal-ai/elevenlabs/sound-effects/v2", prompt="rain") == {
        "text": "rain"
    }


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("fal-ai/kokoro/french", "prompt"),
        ("fal-ai/chatterbox/text-to-speech", "text"),
        ("fal-ai/orpheus-tts", "text"),
        ("fal-ai/gemini-3.1-flash-tts", "prompt"),
        ("fal-ai/minimax/speech-2.6-turbo", "prompt"),
        ("fal-ai/minimax/speech-02-hd", "text"),
        ("fal-ai/sonilo/text-to-music", "prompt"),
    ],
)
def test_unlisted_speech_has_its_text_where_that_family_looks(model: str, field: str):
    assert body_of(model, prompt="Hi.")[field] == "Hi."


def test_metadata_is_merged_last_and_deeply():
    body = body_of(
        "fal-ai/minimax/speech-2.8-hd",
        prompt="Hi.",
        voice="Wise_Woman",
        metadata={"voice_setting": {"pitch": 2}, "language_boost": "French"},
    )
    assert body["voice_setting"] == {"voice_id": "Wise_Woman", "pitch": 2}
    assert body["language_boost"] == "French"


@pytest.mark.parametrize(
    ("model", "metadata"),
    [
        (
            "fal-ai/kling-video/v3/pro/text-to-video",
            {"multi_prompt": [{"prompt": "a"}]},
        ),
        ("fal-ai/elevenlabs/music", {"composition_plan": {"sections": []}}),
    ],
)
def test_a_plan_in_the_metadata_takes_the_place_of_the_prompt(
    model: str, metadata: dict[str, Any]
):
    assert body_of(model, metadata=metadata) == metadata


# --- the catalogue


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_listed_endpoint_describes_itself(name: str):
    model = fal.describe(name)
    assert model is not None
    assert model in fal.PROVIDER.models
    assert model.name == name
    assert not model.needs & model.refuses


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("fal-ai/veo3.1/reference-to-video", "seed"),
        ("fal-ai/veo3.1/reference-to-video", "negative_prompt"),
        ("fal-ai/recraft/v3/text-to-image", "seed"),
        ("fal-ai/flux/dev", "images"),
        ("fal-ai/flux/dev", "negative_prompt"),
        ("fal-ai/bytedance/seedream/v4.5/edit", "output_format"),
        ("fal-ai/minimax/hailuo-02/standard/text-to-video", "resolution"),
        ("fal-ai/kling-video/v2.6/pro/image-to-video", "aspect_ratio"),
        ("fal-ai/elevenlabs/tts/eleven-v3", "speed"),
        ("fal-ai/lyria2", "duration"),
        ("fal-ai/lyria2", "lyrics"),
    ],
)
def test_a_field_without_a_word_is_refused_at_intake(name: str, field: str):
    model = fal.describe(name)
    assert model is not None
    assert field in model.refuses


def test_limits_of_the_table_stand_in_the_models():
    by_name = {model.name: model for model in fal.PROVIDER.models}
    assert by_name["fal-ai/flux/dev"].max_n == 4
    assert by_name["fal-ai/flux-2-pro"].max_n == 1
    assert by_name["openai/gpt-image-2/edit"].max_images == 16
    assert by_name["openai/gpt-image-2/edit"].needs == {"images"}
    assert by_name["fal-ai/bytedance/seedream/v4.5/edit"].max_images == 10
    assert by_name["fal-ai/veo3.1"].durations == (4, 6, 8)
    assert by_name["fal-ai/wan/v2.7/text-to-video"].durations == tuple(range(2, 16))
    assert by_name["fal-ai/elevenlabs/music"].duration_range == (3, 600)
    assert by_name["fal-ai/minimax-music/v2"].needs == {"lyrics"}
    assert by_name["fal-ai/minimax/speech-2.8-hd"].speed_range == (0.5, 2)


GUESSES = [
    ("fal-ai/wan/v2.6/text-to-video", MediaType.VIDEO),
    ("fal-ai/wan/v2.6/text-to-image", MediaType.IMAGE),
    ("decart/lucy/image-to-video", MediaType.VIDEO),
    ("fal-ai/sync-lipsync/v2", MediaType.VIDEO),
    ("fal-ai/bytedance/omnihuman/v1.5", MediaType.VIDEO),
    ("fal-ai/wan-t2v", MediaType.VIDEO),
    ("fal-ai/topaz/upscale/video", MediaType.VIDEO),
    ("fal-ai/topaz/upscale/image", MediaType.IMAGE),
    ("fal-ai/orpheus-tts", MediaType.AUDIO),
    ("fal-ai/chatterbox/text-to-speech", MediaType.AUDIO),
    ("sonilo/v1.1/video-to-music", MediaType.AUDIO),
    ("fal-ai/mmaudio-v2/text-to-audio", MediaType.AUDIO),
    ("cassetteai/sound-effects-generator", MediaType.AUDIO),
    ("fal-ai/ace-step", MediaType.AUDIO),
    ("fal-ai/hidream-i1-fast", MediaType.IMAGE),
    ("fal-ai/flux-kontext/dev", MediaType.IMAGE),
    ("fal-ai/recraft/v3/image-to-image", MediaType.IMAGE),
    ("workflows/someone/my-flow", MediaType.IMAGE),
    ("comfy/someone/film-video", MediaType.VIDEO),
]


@pytest.mark.parametrize(("name", "media_type"), GUESSES)
def test_an_unlisted_endpoint_makes_what_its_path_says(
    name: str, media_type: MediaType
):
    model = fal.describe(name)
    assert model is not None
    assert (model.name, model.media_type) == (name, media_type)
    assert not model.refuses


@pytest.mark.parametrize(
    "name", ["fal-ai/hunyuan3d/v2", "fal-ai/trellis", "fal-ai/meshy/v6/image-to-3d"]
)
def test_what_makes_solids_is_not_offered(name: str):
    assert find_endpoint(name) is None


def test_an_unlisted_endpoint_gets_what_the_client_said_and_no_more():
    assert body_of("fal-ai/someone/new", aspect_ratio="3:2", seed=1) == {
        "prompt": "a lighthouse made of paper, dawn",
        "aspect_ratio": "3:2",
        "seed": 1,
    }
    assert said("fal-ai/someone/new", size="640x480") == {
        "image_size": {"width": 640, "height": 480}
    }


# --- poll


def test_a_look_uses_the_urls_as_they_came():
    strange = Remote("r", {"status_url": f"{QUEUE}/st%41tus", "response_url": "/x%2Fy"})
    calls = calls_of(
        fal.poll(strange),
        recorded("fal/status_completed"),
        recorded("fal/result_images"),
    )
    assert [(call.method, call.url) for call in calls] == [
        ("GET", f"{QUEUE}/st%41tus"),
        ("GET", "/x%2Fy"),
    ]
    assert not any(call.paid or call.public for call in calls)


@pytest.mark.parametrize(
    ("status", "name", "phase", "percent"),
    [
        (202, "status_queued", Phase.PENDING, None),
        (202, "status_running", Phase.RUNNING, 43),
        (202, "status_running_without_logs", Phase.RUNNING, None),
        (200, "status_running", Phase.RUNNING, 43),
        (200, "status_cancelled", Phase.CANCELLED, None),
    ],
)
def test_a_status_is_read_whatever_success_status_it_has(
    status: int, name: str, phase: Phase, percent: int | None
):
    snapshot = play(fal.poll(REMOTE), recorded(f"fal/{name}", status=status))
    assert (snapshot.phase, snapshot.percent) == (phase, percent)


@pytest.mark.parametrize(
    ("message", "percent"),
    [
        ("step 12/28", 42),
        ("7 / 28 frames", 25),
        ("done 99.6%", 99),
        ("100%", 99),
        ("at 2026/03/02 10:11:12", None),
        ("ratio 16/9", None),
        ("0/0", None),
        ("nothing told", None),
    ],
)
def test_progress_is_read_from_the_last_line_that_tells_one(
    message: str, percent: int | None
):
    status = {"status": "IN_PROGRESS", "logs": [{"message": message}, {"message": "-"}]}
    assert play(fal.poll(REMOTE), answer(status, status=202)).percent == percent


def test_strange_logs_do_not_hide_the_state():
    status = {"status": "IN_PROGRESS", "logs": ["5/10", None, {"message": "1/4"}, {}]}
    snapshot = play(fal.poll(REMOTE), answer(status, status=202))
    assert (snapshot.phase, snapshot.percent) == (Phase.RUNNING, 25)


@pytest.mark.parametrize(
    ("error_type", "reason"),
    [(name, reason) for name, reason in fal.REASONS.items()]
    + [("something_new", Reason.UPSTREAM_FAILED)],
)
def test_completed_with_an_error_type_has_failed(error_type: str, reason: Reason):
    status = {"status": "COMPLETED", "error": "No.", "error_type": error_type}
    snapshot = play(fal.poll(REMOTE), answer(status))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, error_type)
    assert snapshot.failure.message == "No."


def test_a_timeout_of_the_queue_is_told_as_one():
    snapshot = play(fal.poll(REMOTE), recorded("fal/status_timed_out"))
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.UPSTREAM_TIMEOUT


def test_completed_with_an_error_but_no_type_is_asked_for_its_reason():
    snapshot = looked(
        recorded("fal/error_model_blocked", status=422),
        "fal/status_error_without_type",
    )
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize(
    "status", [{"status": "FAILED"}, {"status": None}, {}, [], {"status": "queued"}]
)
def test_a_status_that_nobody_documented_is_no_state(status: Any):
    with pytest.raises(errors.UnexpectedReply):
        play(fal.poll(REMOTE), answer(status))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (recorded("fal/error_bad_key", status=401), errors.KeyRefused),
        (recorded("fal/error_no_money", status=403), errors.QuotaExhausted),
        (recorded("fal/error_locked", status=403), errors.ChannelRefused),
        (answer({"detail": "gone"}, status=404), errors.NotFound),
        (answer({"detail": "slow"}, status=429), errors.RateLimited),
        (raw(NGINX, "text/html", 502), errors.Unavailable),
        (recorded("fal/error_request", status=503), errors.Unavailable),
        (raw(b"<html>", "text/html"), errors.UnexpectedReply),
    ],
)
def test_a_status_read_that_failed_says_nothing_of_the_job(
    reply: Reply, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        play(fal.poll(REMOTE), reply)
    assert type(caught.value) is kind


# --- results


def test_images_keep_their_urls_sizes_and_types():
    snapshot = looked(recorded("fal/result_images", X_Fal_Billable_Units="1.5"))
    first, second = snapshot.artifacts
    assert snapshot.phase is Phase.SUCCEEDED
    assert (first.url, first.content_type) == (
        "https://v3b.fal.media/files/b/otter/a1.webp",
        "image/webp",
    )
    assert (first.width, first.height) == (1184, 864)
    assert second.url == "https://v3b.fal.media/files/b/otter/a2.webp?sig=a%2Bb%3D"
    assert snapshot.usage == {"inference_time": 5.75, "billable_units": 1.5}


def test_a_video_has_its_length_and_no_thumbnail():
    (video,) = looked(recorded("fal/result_video")).artifacts
    assert video.url == "https://v3b.fal.media/files/b/otter/c.mp4"
    assert (video.width, video.height, video.duration_s) == (1280, 720, 6.0)


def test_audio_has_its_length_from_beside_the_file():
    (audio,) = looked(recorded("fal/result_audio")).artifacts
    assert (audio.content_type, audio.duration_s) == ("audio/mpeg", 2.3)


LINK = "https://v3.fal.media/files/b/x"
SHAPES = [
    ({"images": [{"url": f"{LINK}.png"}]}, ["image/png"]),
    ({"image": {"url": f"{LINK}.jpeg"}}, ["image/jpeg"]),
    ({"video": {"url": f"{LINK}.mp4"}}, ["video/mp4"]),
    ({"video": [{"url": f"{LINK}.mp4"}, {"url": f"{LINK}2.webm"}]}, 2 * ["video"]),
    ({"audio": {"url": f"{LINK}.wav"}}, ["audio/wav"]),
    ({"audio": [{"url": f"{LINK}.wav"}]}, ["audio/wav"]),
    ({"audio_url": {"url": f"{LINK}.flac"}}, ["audio/flac"]),
    ({"audio_file": {"url": f"{LINK}.mp3"}}, ["audio/mpeg"]),
    ({"video_url": f"{LINK}.mp4"}, ["video/mp4"]),
    ({"output": f"{LINK}.mp4?x=1"}, ["video/mp4"]),
    ({"model_mesh": {"url": f"{LINK}.glb"}}, [None]),
    ({"result": {"deep": {"image": {"url": f"{LINK}.png"}}}}, ["image/png"]),
    ({"images": [f"{LINK}.png"], "seed": 3}, ["image/png"]),
    (
        {"image": {"url": f"{LINK}.png"}, "images": [{"url": f"{LINK}.png"}]},
        ["image/png"],
    ),
    (
        {"video": {"url": f"{LINK}.mp4"}, "thumbnail": {"url": f"{LINK}.jpg"}},
        ["video/mp4"],
    ),
    (
        {"clip": {"url": f"{LINK}.mp4"}, "thumbnail": {"url": f"{LINK}.jpg"}},
        ["video/mp4"],
    ),
    (
        {"clip": {"url": f"{LINK}.mp4"}, "prompt": "https://a.example/words"},
        ["video/mp4"],
    ),
    ({"images": [{"url": LINK, "content_type": "image/png"}]}, ["image/png"]),
    (
        {
            "images": [
                {"url": f"{LINK}.png", "content_type": "application/octet-stream"}
            ]
        },
        ["image/png"],
    ),
]


@pytest.mark.parametrize(("result", "types"), SHAPES)
def test_files_are_found_in_every_shape_of_result(
    result: dict[str, Any], types: list[str | None]
):
    snapshot = looked(answer(result))
    found = [artifact.content_type for artifact in snapshot.artifacts]
    assert snapshot.phase is Phase.SUCCEEDED
    assert len(found) == len(types)
    assert all(
        each == wanted or (each or "").partition("/")[0] == wanted
        for each, wanted in zip(found, types, strict=True)
    )


def test_a_text_for_an_output_is_a_text():
    (artifact,) = looked(answer({"output": "A poem."})).artifacts
    assert (artifact.text, artifact.url) == ("A poem.", None)


@pytest.mark.parametrize(
    ("url", "content"),
    [
        ("data:image/png;base64," + base64.b64encode(PNG).decode(), PNG),
        ("data:image/png,ab%20c", b"ab c"),
    ],
)
def test_a_data_url_is_given_as_its_bytes(url: str, content: bytes):
    (artifact,) = looked(answer({"images": [{"url": url}]})).artifacts
    assert (artifact.url, artifact.content) == (None, content)
    assert artifact.content_type == "image/png"


def test_a_data_url_that_is_cut_is_no_answer():
    with pytest.raises(errors.UnexpectedReply):
        looked(answer({"images": [{"url": "data:image/png;base64,abc"}]}))


def test_a_blacked_out_image_is_left_out_and_told():
    snapshot = looked(recorded("fal/result_blacked_out"))
    assert snapshot.phase is Phase.SUCCEEDED
    assert [artifact.url for artifact in snapshot.artifacts] == [
        "https://v3b.fal.media/files/b/otter/b1.png"
    ]
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


def test_nothing_but_blacked_out_images_is_a_failure():
    snapshot = looked(
        answer({"images": [{"url": f"{LINK}.png"}], "has_nsfw_concepts": [True]})
    )
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    assert snapshot.artifacts == ()


@pytest.mark.parametrize("result", [{"images": []}, {"video": None}, {"images": None}])
def test_an_empty_result_is_a_failure(result: dict[str, Any]):
    snapshot = looked(answer(result))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure.code == "no_media_generated"


@pytest.mark.parametrize("result", [{}, {"seed": 4}, [], "text", None])
def test_a_result_of_unknown_shape_is_no_answer(result: Any):
    with pytest.raises(errors.UnexpectedReply):
        looked(answer(result))


# --- completed, but failed at the result


@pytest.mark.parametrize(
    ("status", "error_type", "reason"),
    [
        (422, "content_policy_violation", Reason.CONTENT_REJECTED),
        (422, "no_media_generated", Reason.UPSTREAM_FAILED),
        (422, "image_too_small", Reason.INVALID_REQUEST),
        (422, "image_too_large", Reason.INVALID_REQUEST),
        (422, "file_too_large", Reason.INVALID_REQUEST),
        (422, "image_load_error", Reason.INVALID_REQUEST),
        (422, "file_download_error", Reason.INVALID_REQUEST),
        (422, "face_detection_error", Reason.INVALID_REQUEST),
        (422, "image_aspect_ratio_error", Reason.INVALID_REQUEST),
        (422, "greater_than", Reason.INVALID_REQUEST),
        (422, "multiple_of", Reason.INVALID_REQUEST),
        (422, "one_of", Reason.INVALID_REQUEST),
        (422, "missing", Reason.INVALID_REQUEST),
        (422, "feature_not_supported", Reason.INVALID_REQUEST),
        (422, "unsupported_image_format", Reason.INVALID_REQUEST),
        (422, "audio_duration_too_long", Reason.INVALID_REQUEST),
        (422, "a_type_of_tomorrow", Reason.INVALID_REQUEST),
        (400, "bad_request", Reason.INVALID_REQUEST),
        (400, "downstream_service_error", Reason.UPSTREAM_FAILED),
        (504, "downstream_service_error", Reason.UPSTREAM_FAILED),
        (500, "downstream_service_unavailable", Reason.UPSTREAM_FAILED),
        (429, "concurrent_requests_limit", Reason.UPSTREAM_FAILED),
        (500, "internal_server_error", Reason.UPSTREAM_FAILED),
        (500, "internal_error", Reason.UPSTREAM_FAILED),
        (500, "runner_server_error", Reason.UPSTREAM_FAILED),
        (502, "runner_incomplete_response", Reason.UPSTREAM_FAILED),
        (503, "runner_scheduling_failure", Reason.UPSTREAM_FAILED),
        (503, "runner_connection_timeout", Reason.UPSTREAM_FAILED),
        (503, "runner_disconnected", Reason.UPSTREAM_FAILED),
        (503, "runner_connection_refused", Reason.UPSTREAM_FAILED),
        (503, "runner_connection_error", Reason.UPSTREAM_FAILED),
        (504, "request_timeout", Reason.UPSTREAM_TIMEOUT),
        (504, "startup_timeout", Reason.UPSTREAM_TIMEOUT),
        (504, "generation_timeout", Reason.UPSTREAM_TIMEOUT),
        (504, "a_timeout_of_tomorrow", Reason.UPSTREAM_TIMEOUT),
    ],
)
@pytest.mark.parametrize("in_list", [True, False])
def test_an_error_at_the_result_is_a_failed_generation(
    status: int, error_type: str, reason: Reason, in_list: bool
):
    problem = {"loc": ["body", "prompt"], "msg": "No.", "type": error_type}
    listed = {"detail": [problem]}
    plain = {"detail": "prompt: No.", "error_type": error_type}
    snapshot = looked(answer(listed if in_list else plain, status=status))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure.reason is reason
    assert snapshot.failure.code == error_type
    assert snapshot.failure.message == "prompt: No."


def test_the_header_tells_the_type_when_the_body_does_not():
    snapshot = looked(
        answer({"detail": "No."}, status=503, X_Fal_Error_Type="runner_disconnected")
    )
    assert snapshot.failure.code == "runner_disconnected"


def test_all_problems_of_an_input_are_told():
    snapshot = looked(recorded("fal/error_model_two_problems", status=422))
    assert snapshot.failure.code == "missing"
    assert snapshot.failure.message == (
        "image_urls: Field required; num_images: Too many"
    )


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer({"detail": "too long"}, status=400), Reason.INVALID_REQUEST),
        (answer({"detail": "too long"}, status=422), Reason.INVALID_REQUEST),
        (answer({"detail": "it broke"}, status=500), Reason.UPSTREAM_FAILED),
        (recorded("fal/error_partner", status=400), Reason.INVALID_REQUEST),
        (recorded("fal/error_partner", status=500), Reason.UPSTREAM_FAILED),
    ],
)
def test_an_endpoints_own_error_without_a_type_is_final(reply: Reply, reason: Reason):
    snapshot = looked(reply)
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure.reason is reason


@pytest.mark.parametrize(
    "reply",
    [
        answer({"detail": "x", "error_type": "client_cancelled"}, status=499),
        answer({"detail": "x", "error_type": "client_disconnected"}, status=499),
        answer({"detail": "x"}, status=499),
    ],
)
def test_499_at_the_result_is_a_cancelled_request(reply: Reply):
    assert looked(reply).phase is Phase.CANCELLED


def test_a_result_that_is_asked_for_too_early_is_not_a_failure():
    assert looked(recorded("fal/error_too_early", status=400)).phase is Phase.RUNNING


def test_a_status_in_place_of_a_result_is_not_a_result():
    snapshot = looked(recorded("fal/status_running", status=202))
    assert snapshot.phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (recorded("fal/error_bad_key", status=401), errors.KeyRefused),
        (recorded("fal/error_no_money", status=403), errors.QuotaExhausted),
        (answer({"detail": "gone"}, status=404), errors.NotFound),
        (
            answer({"detail": "gone", "error_type": "not_found"}, status=404),
            errors.NotFound,
        ),
        (answer({"detail": "slow"}, status=429), errors.RateLimited),
        (answer({"detail": "again"}, status=408), errors.OutcomeUnknown),
        (answer({"detail": "again"}, status=409), errors.OutcomeUnknown),
        (raw(NGINX, "text/html", 502), errors.Unavailable),
        (raw(b"Internal Server Error", "text/plain", 500), errors.Unavailable),
        (answer({"detail": "busy"}, status=503), errors.Unavailable),
        (raw(b"<html>", "text/html"), errors.UnexpectedReply),
    ],
)
def test_a_result_read_that_failed_does_not_end_the_job(
    reply: Reply, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        looked(reply)
    assert type(caught.value) is kind


# --- cancel


def test_cancel_is_a_put_to_the_url_of_the_answer():
    (call,) = calls_of(fal.cancel(REMOTE), answer({"status": "OK"}))
    assert (call.method, call.url) == ("PUT", f"{QUEUE}/cancel")
    assert call.json is None


@pytest.mark.parametrize(
    ("reply", "stopped"),
    [
        (answer({"status": "OK"}), True),
        (answer({"success": True}), True),
        (answer({"success": False}), False),
        (recorded("fal/cancel_too_late", status=400), False),
        (recorded("fal/cancel_unknown", status=404), False),
    ],
)
def test_the_answer_to_a_cancel_tells_whether_it_stopped(reply: Reply, stopped: bool):
    assert play(fal.cancel(REMOTE), reply) is stopped


@pytest.mark.parametrize(
    ("status", "stopped"),
    [
        (recorded("fal/status_cancelled"), True),
        (recorded("fal/status_running", status=202), False),
        (recorded("fal/status_completed"), False),
        (answer({"detail": "gone"}, status=404), False),
    ],
)
@pytest.mark.parametrize(
    "asked", [recorded("fal/cancel_requested", status=202), raw(b"", "", 202)]
)
def test_a_cancel_that_is_only_asked_for_is_looked_after(
    asked: Reply, status: Reply, stopped: bool
):
    assert play(fal.cancel(REMOTE), asked, status) is stopped


def test_a_cancel_that_is_refused_is_an_error():
    with pytest.raises(errors.KeyRefused):
        play(fal.cancel(REMOTE), recorded("fal/error_bad_key", status=401))


# --- webhooks

SIGNATURE = "ab" * 64
HEADERS = {
    "x-fal-webhook-request-id": REQUEST_ID,
    "x-fal-webhook-user-id": "user-1",
    "x-fal-webhook-timestamp": "1780000000",
    "x-fal-webhook-signature": SIGNATURE,
}


def a_callback(body: Any = None, **headers: str | None) -> Callback:
    """A webhook; headers are replaced, or left out when None."""
    named = {f"x-fal-webhook-{k.replace('_', '-')}": v for k, v in headers.items()}
    sent = {k: v for k, v in {**HEADERS, **named}.items() if v is not None}
    if not isinstance(body, bytes):
        body = json.dumps(body or {"request_id": REQUEST_ID, "status": "OK"}).encode()
    return Callback(sent, body)


def test_a_webhook_must_be_signed_over_its_four_lines():
    callback = a_callback()
    signed = fal.receive(callback, "fal-ai/flux/dev").signed
    digest = hashlib.sha256(callback.body).hexdigest()
    assert signed is not None
    assert signed.message == f"{REQUEST_ID}\nuser-1\n1780000000\n{digest}".encode()
    assert (signed.scheme, signed.signature) == ("ed25519", SIGNATURE)
    assert (signed.timestamp, signed.tolerance_s) == (1780000000, 300)
    assert signed.keys_url == "https://rest.fal.ai/.well-known/jwks.json"


def test_a_webhook_names_the_request_and_the_gateways_first_one():
    body = {"request_id": "r-2", "gateway_request_id": "r-1", "status": "OK"}
    assert fal.receive(a_callback(body), "fal-ai/flux/dev").ids == ("r-2", "r-1")


def test_a_webhook_with_one_id_twice_names_it_once():
    body = {"request_id": "r-1", "gateway_request_id": "r-1", "status": "OK"}
    assert fal.receive(a_callback(body), "fal-ai/flux/dev").ids == ("r-1",)


@pytest.mark.parametrize(
    ("model", "app"),
    [
        ("fal-ai/nano-banana/edit", "fal-ai/nano-banana"),
        ("fal-ai/flux-pro/kontext/multi", "fal-ai/flux-pro"),
        ("openai/gpt-image-2", "openai/gpt-image-2"),
        ("workflows/me/flow/sub", "workflows/me/flow"),
        ("comfy/me/graph", "comfy/me/graph"),
    ],
)
def test_a_job_whose_answer_was_lost_is_adopted_under_owner_and_app(
    model: str, app: str
):
    remote = fal.receive(a_callback({"request_id": "r-9"}), model).remote
    assert remote == Remote(
        "r-9",
        {
            "status_url": f"/{app}/requests/r-9/status",
            "response_url": f"/{app}/requests/r-9",
            "cancel_url": f"/{app}/requests/r-9/cancel",
        },
    )


@pytest.mark.parametrize(
    "callback",
    [
        a_callback(request_id=None),
        a_callback(user_id=None),
        a_callback(timestamp=None),
        a_callback(signature=None),
        a_callback(timestamp="soon"),
        a_callback(timestamp="9" * 400),
        a_callback(b"not json"),
        a_callback(b"[" * 100_000),
        a_callback([1]),
        a_callback({"status": "OK"}),
        a_callback({"request_id": 5}),
        a_callback({"request_id": "../../other"}),
        a_callback({"request_id": ".."}),
        a_callback({"request_id": "r-1", "gateway_request_id": ["x"]}),
    ],
)
def test_a_webhook_without_signature_or_id_is_refused(callback: Callback):
    with pytest.raises(errors.UnexpectedReply):
        fal.receive(callback, "fal-ai/flux/dev")


# --- the key


def test_a_key_is_proved_by_asking_for_a_request_that_does_not_exist():
    calls = calls_of(fal.test(), answer({"detail": "Request not found"}, status=404))
    assert [call.method for call in calls] == ["GET"]


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("error_bad_key", 401, errors.KeyRefused),
        ("error_no_money", 403, errors.QuotaExhausted),
    ],
)
def test_a_bad_key_is_told(name: str, status: int, kind: type[errors.ProviderError]):
    with pytest.raises(kind):
        play(fal.test(), recorded(f"fal/{name}", status=status))
