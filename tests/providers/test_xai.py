"""xAI: images and speech at once, videos as jobs, errors in three shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, xai
from providers.dialects import xai_models
from providers.flow import Call, Reply, drive
from providers.types import (
    Credentials,
    GenerationRequest,
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
OTHER = "https://cdn.example.com/b.png"
CLIP = "https://cdn.example.com/clip.mp4"
REMOTE = Remote("a91f6c20-1b7e-4d02-8c55-0e6d3f7a2b14")
PROMPT = "a lighthouse made of paper, dawn"


def an_image(model: str = "grok-imagine-image", **fields: Any) -> GenerationRequest:
    return a_request(model=model, **fields)


def a_video(model: str = "grok-imagine-video", **fields: Any) -> GenerationRequest:
    return a_request(model=model, media_type=MediaType.VIDEO, **fields)


def a_speech(**fields: Any) -> GenerationRequest:
    return a_request(model="grok-tts", media_type=MediaType.AUDIO, **fields)


def paid_call(request: GenerationRequest, *before: Reply) -> Call:
    """The call of a submit that costs money, after these replies to earlier ones."""
    played = Played([*before, answer({"error": "stop"}, status=400)])
    with pytest.raises(errors.Rejected, match="stop"):
        drive(xai.submit(request), played.send)
    assert [call.paid for call in played.calls] == [False] * len(before) + [True]
    return played.calls[-1]


def body_of(request: GenerationRequest, *before: Reply) -> dict[str, Any]:
    body = paid_call(request, *before).json
    assert isinstance(body, dict)
    return body


def polled(reply: Reply) -> Any:
    return play(xai.poll(REMOTE), reply)


# Images: what is sent


def test_an_image_is_json_with_n():
    call = paid_call(an_image())
    assert (call.method, call.url) == ("POST", "/images/generations")
    assert call.json == {"model": "grok-imagine-image", "prompt": PROMPT, "n": 1}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": None, "input": "a fox"}, {"prompt": "a fox"}),
        ({"n": 10}, {"n": 10}),
        ({"aspect_ratio": "3:2"}, {"aspect_ratio": "3:2"}),
        ({"aspect_ratio": "19.5:9"}, {"aspect_ratio": "19.5:9"}),
        ({"aspect_ratio": "3/2"}, {"aspect_ratio": "3:2"}),
        ({"aspect_ratio": "AUTO"}, {"aspect_ratio": "auto"}),
        ({"resolution": "2K"}, {"resolution": "2k"}),
        ({"size": "1024x1024"}, {"aspect_ratio": "1:1", "resolution": "1k"}),
        ({"size": "2048x2048"}, {"aspect_ratio": "1:1", "resolution": "2k"}),
        (
            {"width": 1920, "height": 1080},
            {"aspect_ratio": "16:9", "resolution": "1k"},
        ),
        ({"size": "3840x2160"}, {"aspect_ratio": "16:9", "resolution": "2k"}),
        ({"size": "900x1950"}, {"aspect_ratio": "9:19.5", "resolution": "1k"}),
        ({"size": "2000x900"}, {"aspect_ratio": "20:9", "resolution": "1k"}),
        ({"size": "1024x1024", "aspect_ratio": "2:1"}, {"aspect_ratio": "2:1"}),
        ({"size": "1024x1024", "resolution": "2k"}, {"resolution": "2k"}),
        (
            {"metadata": {"response_format": "b64_json"}},
            {"response_format": "b64_json"},
        ),
        ({"metadata": {"user": "u-1"}}, {"user": "u-1"}),
        (
            {"metadata": {"storage_options": {"public_url": True}}},
            {"storage_options": {"public_url": True}},
        ),
    ],
)
def test_each_unified_field_is_spelled_as_images_want_it(fields, expected):
    body = body_of(an_image(**fields))
    assert {**body, **expected} == body


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 7},
        {"negative_prompt": "fog"},
        {"style": "vivid"},
        {"output_format": "png"},
        {"quality": "high"},
        {"size": "auto"},
        {"metadata": {"model": "grok-imagine-image-pro"}},
    ],
)
def test_what_images_have_no_word_for_is_not_sent(fields):
    assert body_of(an_image(**fields)) == body_of(an_image())


def test_only_the_newest_model_has_qualities():
    body = body_of(an_image("grok-imagine-image-2.0", quality="HIGH"))
    assert body["quality"] == "high"


def test_one_image_is_edited_by_its_own_url():
    call = paid_call(an_image(images=(an_image_url(URL),)))
    assert call.url == "/images/edits"
    assert call.json["image"] == {"url": URL, "type": "image_url"}
    assert "images" not in call.json


def test_several_images_are_a_list_in_order_and_uploads_are_data():
    call = paid_call(an_image(images=(an_upload(), an_image_url(URL))), PNG)
    assert call.url == "/images/edits"
    assert [image["url"] for image in call.json["images"]] == [DATA_URL, URL]
    assert "image" not in call.json


def test_images_of_the_metadata_make_an_edit_but_never_replace_those_of_the_client():
    own = {"image": {"url": OTHER}}
    call = paid_call(an_image(metadata=own))
    assert (call.url, call.json["image"]) == ("/images/edits", {"url": OTHER})
    call = paid_call(an_image(metadata=own, images=(an_image_url(URL),)))
    assert call.json["image"]["url"] == URL


def test_an_upload_that_is_no_image_is_rejected_before_paying():
    with pytest.raises(errors.Rejected, match="no known type"):
        play(xai.submit(an_image(images=(an_image_url("upload:0"),))), Reply(200))


# Images: what comes back


def test_images_come_back_with_links_types_and_the_cost():
    snapshot = play(xai.submit(an_image(n=2)), recorded("xai/images_two"))
    assert (snapshot.phase, snapshot.failure) == (Phase.SUCCEEDED, None)
    first, second = snapshot.artifacts
    assert first.url == "https://imgen.example.net/tmp/owl-1.jpeg?sig=a%2Bb%3D"
    assert second.url == "https://imgen.example.net/tmp/owl-2.jpeg?sig=c%2Fd"
    assert {first.content_type, second.content_type} == {"image/jpeg"}
    assert not first.protected
    assert snapshot.usage == {"cost_in_usd_ticks": 400000000}


def test_an_image_in_base64_is_inline():
    (image,) = play(xai.submit(an_image()), recorded("xai/images_inline")).artifacts
    assert (image.content, image.content_type) == (
        b"\xff\xd8\xff\xe0-map",
        "image/jpeg",
    )


def test_a_link_alone_is_enough():
    (image,) = play(xai.submit(an_image()), recorded("xai/images_bare")).artifacts
    assert (image.url, image.content_type) == (
        "https://imgen.example.net/tmp/bare",
        None,
    )


def test_an_image_that_moderation_held_back_is_named_beside_the_others():
    snapshot = play(xai.submit(an_image(n=2)), recorded("xai/images_one_held_back"))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 1)
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    assert "1 of 2" in snapshot.failure.message


def test_no_image_left_by_moderation_is_a_failure_that_was_billed():
    snapshot = play(xai.submit(an_image(n=2)), recorded("xai/images_all_held_back"))
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    assert snapshot.usage == {"cost_in_usd_ticks": 400000000}


def test_fewer_images_than_wanted_are_a_success_that_names_the_rest():
    snapshot = play(xai.submit(an_image(n=3)), recorded("xai/images_two"))
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.UPSTREAM_FAILED
    assert "1 of 3" in snapshot.failure.message


@pytest.mark.parametrize(
    "reply",
    [
        recorded("xai/images_none"),
        recorded("xai/video_started"),
        answer({"data": [{}]}),
        answer({"data": ["x"]}),
        answer({"data": [{"url": "tmp/a.jpeg"}]}),
        answer({"data": [{"b64_json": "no base64!"}]}),
        answer([]),
        raw(b"<html>", "text/html"),
    ],
)
def test_a_paid_answer_without_a_readable_image_is_unexpected(reply):
    with pytest.raises(errors.UnexpectedReply):
        play(xai.submit(an_image()), reply)


# Videos: what is sent


def test_a_video_of_a_text_names_only_what_was_asked():
    call = paid_call(a_video())
    assert (call.method, call.url) == ("POST", "/videos/generations")
    assert call.json == {"model": "grok-imagine-video", "prompt": PROMPT}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"duration": 6.0}, {"duration": 6}),
        ({"aspect_ratio": "9:16"}, {"aspect_ratio": "9:16"}),
        ({"resolution": "720P"}, {"resolution": "720p"}),
        ({"size": "1280x720"}, {"aspect_ratio": "16:9", "resolution": "720p"}),
        ({"size": "480x640"}, {"aspect_ratio": "3:4", "resolution": "480p"}),
        ({"width": 720, "height": 720}, {"aspect_ratio": "1:1"}),
        ({"size": "1920x1080"}, {"aspect_ratio": "16:9", "resolution": "720p"}),
        ({"metadata": {"generate_audio": False}}, {"generate_audio": False}),
        (
            {"metadata": {"reference_audios": [{"voice_id": "v"}]}},
            {"reference_audios": [{"voice_id": "v"}]},
        ),
        ({"metadata": {"last_frame": {"url": URL}}}, {"last_frame": {"url": URL}}),
        ({"metadata": {"image": {"file_id": "f"}}}, {"image": {"file_id": "f"}}),
    ],
)
def test_each_unified_field_is_spelled_as_videos_want_it(fields, expected):
    body = body_of(a_video(**fields))
    assert {**body, **expected} == body
    assert all(isinstance(body[name], type(expected[name])) for name in expected)


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 7},
        {"negative_prompt": "fog"},
        {"style": "vivid"},
        {"quality": "high"},
        {"output_format": "mp4"},
        {"callback_url": "https://gw.example.com/up"},
        {"size": "auto"},
        {"metadata": {"model": "grok-imagine-video-1.5"}},
    ],
)
def test_what_videos_have_no_word_for_is_not_sent(fields):
    assert body_of(a_video(**fields)) == body_of(a_video())


def test_only_the_newer_models_get_1080p():
    body = body_of(a_video("grok-imagine-video-1.5", size="1920x1080"))
    assert body["resolution"] == "1080p"


def test_one_image_is_the_first_frame_and_needs_no_prompt():
    body = body_of(a_video(prompt=None, images=(an_upload(),)), PNG)
    assert body == {"model": "grok-imagine-video", "image": {"url": DATA_URL}}


def test_several_images_are_references():
    request = a_video(
        "grok-imagine-video-1.5",
        images=(an_image_url(URL), an_image_url(OTHER)),
        size="1920x1080",
        metadata={"image": {"url": CLIP}},
    )
    body = body_of(request)
    assert body["reference_images"] == [{"url": URL}, {"url": OTHER}]
    assert "image" not in body
    assert body["resolution"] == "720p"


@pytest.mark.parametrize("action", ["generate", "edit"])
def test_an_edit_keeps_length_and_shape_of_its_video(action):
    request = a_video(
        video_url=CLIP,
        action=action,
        duration=6.0,
        aspect_ratio="1:1",
        resolution="720p",
        metadata={"user": "u-1", "video": {"url": OTHER}},
    )
    call = paid_call(request)
    assert call.url == "/videos/edits"
    assert call.json == {
        "model": "grok-imagine-video",
        "prompt": PROMPT,
        "video": {"url": CLIP},
        "user": "u-1",
    }


@pytest.mark.parametrize(("duration", "sent"), [(None, None), (10.0, 10)])
def test_an_extension_names_the_seconds_it_adds(duration, sent):
    call = paid_call(a_video(video_url=CLIP, action="extend", duration=duration))
    assert call.url == "/videos/extensions"
    assert call.json["video"] == {"url": CLIP}
    assert call.json.get("duration") == sent


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"action": "edit"}, "needs `video_url`"),
        ({"action": "extend"}, "needs `video_url`"),
        ({"video_url": CLIP, "images": (an_image_url(),)}, "cannot be combined"),
        ({"video_url": CLIP, "action": "extend", "duration": 11}, "at most 10"),
        ({"prompt": None}, "`prompt` is required"),
        ({"duration": 5.5}, "whole seconds"),
        (
            {
                "model": "grok-imagine-video-1.5",
                "images": (an_image_url(), an_image_url(OTHER)),
                "resolution": "1080p",
            },
            "720p",
        ),
    ],
)
def test_what_no_video_can_be_made_of_is_rejected_before_paying(fields, words):
    with pytest.raises(errors.Rejected, match=words):
        play(xai.submit(a_video(**fields)))


# Videos: what comes back


def test_a_started_video_has_only_its_id():
    snapshot = play(xai.submit(a_video()), recorded("xai/video_started"))
    assert (snapshot.phase, snapshot.remote) == (Phase.PENDING, REMOTE)


@pytest.mark.parametrize(
    "reply",
    [
        answer({"request_id": ""}),
        answer({"request_id": None}),
        answer({"request_id": 7}),
        answer({"id": "x"}),
        raw(b"", "application/json"),
        raw(b"<html>", "text/html"),
    ],
)
def test_an_accepted_video_without_an_id_is_unexpected(reply):
    with pytest.raises(errors.UnexpectedReply):
        play(xai.submit(a_video()), reply)


def test_a_video_is_looked_at_by_its_quoted_id():
    (call,) = calls_of(xai.poll(Remote("a/b?c")), recorded("xai/video_pending"))
    assert (call.method, call.url, call.paid) == ("GET", "/videos/a%2Fb%3Fc", False)


@pytest.mark.parametrize(
    ("reply", "percent"),
    [
        (Reply(202), None),
        (recorded("xai/video_pending", status=202), 37),
        (recorded("xai/video_pending_bare", status=202), None),
        (raw(b"<html>", "text/html", 202), None),
        (answer([], status=202), None),
        (answer({"progress": "x"}, status=202), None),
        (recorded("xai/video_pending"), 37),
        (recorded("xai/video_pending_bare"), None),
    ],
)
def test_a_video_that_goes_on_is_told_by_202_or_by_its_word(reply, percent):
    snapshot = polled(reply)
    assert (snapshot.phase, snapshot.percent) == (Phase.RUNNING, percent)


def test_a_finished_video_has_its_link_its_length_and_its_cost():
    snapshot = polled(recorded("xai/video_done"))
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    (video,) = snapshot.artifacts
    assert video.url == "https://vidgen.example.net/b/kite.mp4?e=9&s=a%2Bb%3D"
    assert (video.content_type, video.duration_s) == ("video/mp4", 6.0)
    assert not video.protected
    assert snapshot.usage == {"cost_in_usd_ticks": 4200000000}


def test_a_link_without_a_status_is_a_finished_video():
    snapshot = polled(recorded("xai/video_link_alone"))
    assert snapshot.phase is Phase.SUCCEEDED
    assert snapshot.artifacts[0].url == "https://vidgen.example.net/b/alone.mp4"


HELD_BACK = [
    recorded("xai/video_done_held_back"),
    answer({"status": "done", "video": {"url": None}}),
    answer({"status": "done", "video": {"url": URL, "respect_moderation": False}}),
]


@pytest.mark.parametrize("reply", HELD_BACK)
def test_a_finished_video_that_moderation_held_back_failed(reply):
    snapshot = polled(reply)
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize("name", ["error_moderated", "error_moderated_old"])
def test_moderation_at_the_look_is_final_and_billed(name):
    snapshot = polled(recorded(f"xai/{name}", status=400))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED
    if name == "error_moderated":
        assert snapshot.usage == {"cost_in_usd_ticks": 200000000}
        assert snapshot.failure.code == "imagine:content-moderated"


@pytest.mark.parametrize(
    ("reply", "reason", "code", "words"),
    [
        (
            recorded("xai/video_failed"),
            Reason.UPSTREAM_FAILED,
            "internal_error",
            "gave up",
        ),
        (
            recorded("xai/video_failed_argument"),
            Reason.INVALID_REQUEST,
            "invalid_argument",
            "too small",
        ),
        (
            answer({"status": "failed", "error": {"code": xai.MODERATED}}),
            Reason.CONTENT_REJECTED,
            "imagine:content-moderated",
            "moderated",
        ),
        (
            answer({"status": "failed", "error": {"code": "new", "message": "odd"}}),
            Reason.UPSTREAM_FAILED,
            "new",
            "odd",
        ),
        (recorded("xai/video_failed_bare"), Reason.UPSTREAM_FAILED, "", "no reason"),
        (
            recorded("xai/video_expired"),
            Reason.UPSTREAM_EXPIRED,
            "expired",
            "forgot",
        ),
    ],
)
def test_each_end_without_a_video_has_its_reason(reply, reason, code, words):
    snapshot = polled(reply)
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)
    assert words in snapshot.failure.message


@pytest.mark.parametrize(
    "reply",
    [
        answer({"status": "REBALANCING"}),
        answer({"status": ["done"]}),
        answer({"status": "done"}),
        answer({"status": "done", "video": {"url": "b/kite.mp4"}}),
        answer({"video": {"url": ""}}),
        answer({}),
        Reply(200),
        raw(b"<html>", "text/html"),
    ],
)
def test_an_undocumented_look_is_unexpected_and_fails_nothing(reply):
    with pytest.raises(errors.UnexpectedReply):
        polled(reply)


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "key", errors.KeyRefused),
        (400, "parameter", errors.Rejected),
        (401, "no_key", errors.KeyRefused),
        (403, "forbidden", errors.ChannelRefused),
        (404, "unknown_id", errors.NotFound),
        (404, "model", errors.NotFound),
        (410, "unknown_id", errors.NotFound),
        (429, "rate", errors.RateLimited),
        (429, "quota", errors.RateLimited),
        (500, "server", errors.Unavailable),
        (503, "capacity", errors.Unavailable),
    ],
)
def test_each_look_without_an_answer_is_classed_and_fails_nothing(status, name, kind):
    reply = recorded(f"xai/error_{name}", status=status, retry_after="9")
    with pytest.raises(errors.ProviderError) as caught:
        polled(reply)
    assert type(caught.value) is kind
    if isinstance(caught.value, errors.RateLimited):
        assert caught.value.retry_after_s == 9.0


# Speech


def test_speech_names_its_codec_and_lets_the_language_be_found():
    call = paid_call(a_speech(prompt=None, input="Gate nine."))
    assert (call.method, call.url) == ("POST", "/tts")
    assert call.json == {
        "text": "Gate nine.",
        "language": "auto",
        "output_format": {"codec": "mp3"},
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input": "said", "prompt": "not said"}, {"text": "said"}),
        ({"voice": "eve"}, {"voice_id": "eve"}),
        ({"speed": 1.25}, {"speed": 1.25}),
        ({"output_format": "WAV"}, {"output_format": {"codec": "wav"}}),
        ({"metadata": {"language": "pt-BR"}}, {"language": "pt-BR"}),
        (
            {
                "output_format": "pcm",
                "metadata": {"output_format": {"sample_rate": 8000}},
            },
            {"output_format": {"codec": "pcm", "sample_rate": 8000}},
        ),
        ({"metadata": {"with_timestamps": True}}, {"with_timestamps": True}),
    ],
)
def test_each_unified_field_is_spelled_as_speech_wants_it(fields, expected):
    body = body_of(a_speech(**fields))
    assert {**body, **expected} == body
    assert "model" not in body


@pytest.mark.parametrize(
    ("codec", "content", "answered", "content_type"),
    [
        ("mp3", b"ID3\x04rest", "audio/mpeg", "audio/mpeg"),
        ("wav", b"RIFF\0\0\0\0WAVE", "application/octet-stream", "audio/wav"),
        ("mp3", b"odd", "audio/mpeg; x=1", "audio/mpeg"),
        ("mp3", b"odd", "", "audio/mpeg"),
        ("pcm", b"\xff\xfb" * 40, "audio/pcm", "audio/pcm"),
        ("mulaw", b"OggS", "application/octet-stream", "audio/basic"),
        ("alaw", b"RIFF", "audio/x-alaw", "audio/x-alaw"),
    ],
)
def test_speech_comes_back_as_bytes_of_a_known_type(
    codec, content, answered, content_type
):
    flow = xai.submit(a_speech(output_format=codec))
    (audio,) = play(flow, raw(content, answered)).artifacts
    assert (audio.content, audio.content_type) == (content, content_type)


def test_timed_speech_is_read_from_json_with_its_timestamps():
    request = a_speech(metadata={"with_timestamps": True})
    (audio,) = play(xai.submit(request), recorded("xai/speech_timed")).artifacts
    assert (audio.content, audio.content_type) == (b"ID3\x04test", "audio/mpeg")
    assert audio.duration_s == 2.31
    assert audio.text is not None
    assert json.loads(audio.text)["words"] == ["gate", "nine"]


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"", "audio/mpeg"),
        raw(b"<html>", "text/html; charset=utf-8"),
        answer({"audio": ""}),
        answer({"audio": "", "content_type": "audio/mpeg"}),
        answer({"audio": "%%", "content_type": "audio/mpeg"}),
        answer({"text": "done"}),
    ],
)
def test_a_paid_answer_without_speech_is_unexpected(reply):
    with pytest.raises(errors.UnexpectedReply):
        play(xai.submit(a_speech()), reply)


# Errors


@pytest.mark.parametrize(
    "request_", [an_image(), a_video(), a_speech()], ids=["image", "video", "speech"]
)
@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "key", errors.KeyRefused),
        (400, "key_old", errors.KeyRefused),
        (400, "parameter", errors.Rejected),
        (400, "parameter_old", errors.Rejected),
        (400, "no_text", errors.Rejected),
        (400, "moderated", errors.ContentRejected),
        (400, "moderated_old", errors.ContentRejected),
        (401, "no_key", errors.KeyRefused),
        (403, "forbidden", errors.ChannelRefused),
        (403, "forbidden_credits", errors.QuotaExhausted),
        (403, "guidelines", errors.ContentRejected),
        (404, "model", errors.ModelRefused),
        (415, "no_text", errors.Rejected),
        (422, "no_text", errors.Rejected),
        (429, "quota", errors.QuotaExhausted),
        (429, "limit", errors.QuotaExhausted),
        (429, "capacity", errors.RateLimited),
        (429, "rate", errors.RateLimited),
        (500, "server", errors.Unavailable),
        (502, "server", errors.Unavailable),
        (503, "capacity", errors.Unavailable),
    ],
)
def test_each_refused_submit_is_classed_by_who_must_act(request_, status, name, kind):
    with pytest.raises(errors.ProviderError) as caught:
        play(xai.submit(request_), recorded(f"xai/error_{name}", status=status))
    assert type(caught.value) is kind
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("parameter", "invalid-argument", "7:1"),
        ("model", "invalid_request_error", "model not found"),
        ("no_text", "", "must not be empty"),
    ],
)
def test_each_shape_of_an_error_is_read(name, code, words):
    reply = recorded(f"xai/error_{name}", status=400)
    with pytest.raises(errors.ProviderError, match=words) as caught:
        play(xai.submit(an_image()), reply)
    assert caught.value.code == code


def test_the_wait_that_a_rate_limit_names_is_kept():
    reply = recorded("xai/error_rate", status=429, retry_after="7")
    with pytest.raises(errors.RateLimited) as caught:
        play(xai.submit(an_image()), reply)
    assert caught.value.retry_after_s == 7.0


# The key and the models


def test_the_key_is_a_bearer_token():
    call = xai.PROVIDER.authorize(Call("GET", "/x"), Credentials("xai-k", {}, 0.0))
    assert call.headers == {"Authorization": "Bearer xai-k"}


def test_a_key_is_proved_by_asking_what_it_is():
    (call,) = calls_of(xai.test(), recorded("xai/api_key"))
    assert (call.method, call.url, call.paid) == ("GET", "/api-key", False)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (recorded("xai/api_key_disabled"), errors.KeyRefused),
        (recorded("xai/error_key", status=400), errors.KeyRefused),
        (recorded("xai/error_no_key", status=401), errors.KeyRefused),
        (recorded("xai/error_forbidden", status=403), errors.ChannelRefused),
        (answer([]), errors.UnexpectedReply),
    ],
)
def test_a_key_that_does_not_work_is_refused(reply, kind):
    with pytest.raises(errors.ProviderError) as caught:
        play(xai.test(), reply)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("model", "fields", "refused"),
    [
        ("grok-imagine-image", {"n": 10, "aspect_ratio": "9:19.5"}, ()),
        ("grok-imagine-image", {"n": 11}, ("n",)),
        ("grok-imagine-image", {"aspect_ratio": "7:1"}, ("aspect_ratio",)),
        ("grok-imagine-image", {"resolution": "4K"}, ("resolution",)),
        ("grok-imagine-image", {"size": "1000x700"}, ()),
        ("grok-imagine-image", {"video_url": CLIP}, ("video_url",)),
        ("grok-imagine-image-2.0", {"quality": "max"}, ("quality",)),
        ("grok-imagine-image", {"prompt": ""}, ("prompt",)),
        ("grok-2-image", {"n": 10}, ()),
        ("grok-imagine-video", {"duration": 15, "resolution": "720P"}, ()),
        ("grok-imagine-video", {"duration": 16}, ("duration",)),
        ("grok-imagine-video", {"duration": 5.5}, ("duration",)),
        ("grok-imagine-video", {"resolution": "1080p"}, ("resolution",)),
        ("grok-imagine-video-1.5", {"resolution": "1080p"}, ()),
        ("grok-imagine-video", {"n": 2}, ("n",)),
        ("grok-imagine-video", {"images": (an_image_url(),) * 8}, ("images",)),
        ("grok-imagine-video", {"aspect_ratio": "21:9"}, ("aspect_ratio",)),
        ("grok-tts", {"speed": 0.7, "output_format": "alaw"}, ()),
        ("grok-tts", {"speed": 1.6}, ("speed",)),
        ("grok-tts", {"output_format": "opus"}, ("output_format",)),
        ("grok-tts", {"images": (an_image_url(),)}, ("images",)),
    ],
)
def test_limits_of_the_models_refuse_what_cannot_be_made(model, fields, refused):
    described = xai.PROVIDER.describe(model)
    assert described is not None
    assert tuple(find_problems({"prompt": "x", **fields}, described)) == refused


def test_models_that_are_not_offered_are_unknown():
    assert xai.PROVIDER.describe("grok-4") is None
    assert "grok-2-image" not in [model.name for model in xai_models.MODELS]
