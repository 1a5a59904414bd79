"""OpenAI: images, videos and speech, and what compatible gateways make of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from providers import errors, openai
from providers.dialects import openai_forms, openai_images, openai_videos
from providers.flow import Call, Part, Reply, drive
from providers.types import (
    Callback,
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
from tests.fakes import Played, answer, calls_of, play, raw, recorded

PNG = raw(b"\x89PNG\r\n\x1a\n-input", "image/png")
REMOTE = Remote("video_7d31fe02ab")


def an_image_request(model: str = "gpt-image-2", **fields: Any) -> GenerationRequest:
    return a_request(model=model, **fields)


def a_video_request(model: str = "sora-2", **fields: Any) -> GenerationRequest:
    return a_request(model=model, media_type=MediaType.VIDEO, **fields)


def a_speech_request(
    model: str = "gpt-4o-mini-tts", **fields: Any
) -> GenerationRequest:
    return a_request(model=model, media_type=MediaType.AUDIO, **fields)


def paid_call(request: GenerationRequest, *before: Reply) -> Call:
    """The call of a submit that costs money, after these replies to earlier ones."""
    played = Played([*before, answer({"error": {"message": "stop"}}, status=400)])
    with pytest.raises(errors.Rejected):
        drive(openai.submit(request), played.send)
    assert [call.paid for call in played.calls] == [False] * len(before) + [True]
    return played.calls[-1]


def body_of(request: GenerationRequest) -> dict[str, Any]:
    """The JSON of the paid call."""
    body = paid_call(request).json
    assert isinstance(body, dict)
    return body


def texts_of(call: Call) -> dict[str, str | bytes]:
    return {part.name: part.content for part in call.parts if part.filename is None}


def files_of(call: Call) -> list[Part]:
    return [part for part in call.parts if part.filename is not None]


# Images: what is sent


def test_an_image_without_inputs_is_generated_with_n_always_sent():
    call = paid_call(an_image_request())
    assert (call.method, call.url) == ("POST", "/images/generations")
    assert call.json == {
        "model": "gpt-image-2",
        "prompt": "a lighthouse made of paper, dawn",
        "n": 1,
    }


def test_the_general_input_stands_in_for_the_prompt():
    assert body_of(an_image_request(prompt=None, input="a fox"))["prompt"] == "a fox"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n": 3}, {"n": 3}),
        ({"size": "auto"}, {"size": "auto"}),
        ({"size": "1536x1024"}, {"size": "1536x1024"}),
        ({"size": "1536*1024"}, {"size": "1536x1024"}),
        ({"width": 1536, "height": 864}, {"size": "1536x864"}),
        ({"quality": "low"}, {"quality": "low"}),
        ({"quality": "standard"}, {"quality": "medium"}),
        ({"quality": "hd"}, {"quality": "high"}),
        ({"output_format": "jpg"}, {"output_format": "jpeg"}),
        ({"output_format": "WEBP"}, {"output_format": "webp"}),
        ({"metadata": {"background": "transparent"}}, {"background": "transparent"}),
        ({"metadata": {"moderation": "low"}}, {"moderation": "low"}),
    ],
)
def test_each_unified_field_is_spelled_as_images_want_it(fields, expected):
    body = body_of(an_image_request(**fields))
    assert {**body, **expected} == body


@pytest.mark.parametrize(
    "fields", [{"seed": 7}, {"negative_prompt": "fog"}, {"style": "vivid"}]
)
def test_what_gpt_image_models_do_not_know_is_not_sent(fields):
    assert body_of(an_image_request(**fields)) == body_of(an_image_request())


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ("1:1", "1024x1024"),
        ("3:2", "1536x1024"),
        ("16:9", "1536x1024"),
        ("4:3", "1536x1024"),
        ("2:3", "1024x1536"),
        ("9:16", "1024x1536"),
        ("3:4", "1024x1536"),
    ],
)
def test_a_ratio_becomes_the_nearest_fixed_size(ratio, size):
    request = an_image_request("gpt-image-1.5", aspect_ratio=ratio)
    assert body_of(request)["size"] == size


@pytest.mark.parametrize(
    ("ratio", "resolution", "size"),
    [
        ("1:1", None, "1024x1024"),
        ("3:2", None, "1536x1024"),
        ("2:3", None, "1024x1536"),
        ("16:9", None, "1536x864"),
        ("9:16", None, "864x1536"),
        ("3:1", None, "1536x512"),
        ("16:9", "2K", "2560x1440"),
        ("16:9", "4k", "3840x2160"),
        ("1:1", "4K", "2880x2880"),
        (None, "1K", "1024x1024"),
        (None, "2K", "2560x2560"),
    ],
)
def test_models_with_free_sizes_get_the_exact_shape(ratio, resolution, size):
    request = an_image_request(aspect_ratio=ratio, resolution=resolution)
    assert body_of(request)["size"] == size


@pytest.mark.parametrize("resolution", ["1K", "2K", "4K"])
@pytest.mark.parametrize("ratio", [1 / 3, 0.4, 0.75, 1.0, 1.1, 1.85, 2.39, 3.0])
def test_every_free_size_is_within_the_limits(ratio, resolution):
    width, height = openai_images.free_size(ratio, resolution)
    assert width % 16 == 0
    assert height % 16 == 0
    assert max(width, height) <= 3840
    assert width * height <= 3840 * 2160
    assert width / height == pytest.approx(ratio, rel=0.03)


def test_dall_e_3_gets_its_own_sizes_qualities_and_style():
    request = an_image_request(
        "dall-e-3", aspect_ratio="16:9", quality="hd", style="vivid"
    )
    body = body_of(request)
    assert body["size"] == "1792x1024"
    assert body["quality"] == "hd"
    assert body["style"] == "vivid"


def test_dall_e_gets_no_output_format():
    assert "output_format" not in body_of(
        an_image_request("dall-e-2", output_format="png")
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"model": "gpt-image-1-mini"},
        {"response_format": "url"},
        {"stream": True},
        {"partial_images": 2},
    ],
)
def test_metadata_never_changes_the_model_nor_what_the_answer_is(metadata):
    request = an_image_request(metadata=metadata)
    assert body_of(request) == body_of(an_image_request())


def test_metadata_may_ask_dall_e_for_base64():
    request = an_image_request("dall-e-3", metadata={"response_format": "b64_json"})
    assert body_of(request)["response_format"] == "b64_json"


def test_one_input_image_makes_an_edit_with_the_part_image():
    call = paid_call(an_image_request(images=(an_upload(),), size="1024x1024"), PNG)
    assert (call.method, call.url, call.json) == ("POST", "/images/edits", None)
    assert texts_of(call) == {
        "model": "gpt-image-2",
        "prompt": "a lighthouse made of paper, dawn",
        "n": "1",
        "size": "1024x1024",
    }
    (file,) = files_of(call)
    assert (file.name, file.content_type) == ("image", "image/png")
    assert file.content == PNG.content


def test_several_input_images_become_repeated_parts_in_order():
    request = an_image_request(images=(an_image_url(), an_upload("image/webp")))
    call = paid_call(request, PNG, raw(b"RIFF-webp", "image/webp"))
    files = files_of(call)
    assert [file.name for file in files] == ["image[]", "image[]"]
    assert [file.content_type for file in files] == ["image/png", "image/webp"]
    assert len({file.filename for file in files}) == 2


def test_input_images_are_fetched_publicly_and_for_free():
    request = an_image_request(images=(an_image_url("https://cdn.example.com/b.png"),))
    fetch = calls_of(openai.submit(request), PNG, recorded("openai/images_bare"))[0]
    assert (fetch.url, fetch.public, fetch.paid) == (
        "https://cdn.example.com/b.png",
        True,
        False,
    )


def test_a_mask_given_as_a_url_is_sent_as_a_file():
    request = an_image_request(
        images=(an_upload(),), metadata={"mask": "https://cdn.example.com/mask.png"}
    )
    call = paid_call(request, PNG, PNG)
    assert [file.name for file in files_of(call)] == ["image", "mask"]
    assert "mask" not in texts_of(call)


def test_a_markup_given_as_a_data_url_is_sent_as_a_file():
    encoded = base64.b64encode(b"drawn").decode()
    request = an_image_request(
        images=(an_upload(),),
        metadata={"markup": f"data:image/png;base64,{encoded}"},
    )
    markup = files_of(paid_call(request, PNG))[-1]
    assert (markup.name, markup.content) == ("markup", b"drawn")


@pytest.mark.parametrize(
    "mask",
    [7, {"file_id": "file-1"}, "mask.png", "data:image/png;base64,%%", "data:,x"],
)
def test_a_mask_in_another_form_is_rejected_with_its_name(mask):
    request = an_image_request(images=(an_upload(),), metadata={"mask": mask})
    with pytest.raises(errors.Rejected, match=r"metadata\.mask"):
        play(openai.submit(request), PNG)


def test_a_mask_without_an_image_is_rejected():
    request = an_image_request(metadata={"mask": "https://cdn.example.com/mask.png"})
    with pytest.raises(errors.Rejected, match="needs an input image"):
        play(openai.submit(request))


def test_an_input_image_that_cannot_be_fetched_is_rejected_before_paying():
    request = an_image_request(images=(an_image_url(),))
    with pytest.raises(errors.Rejected, match="404"):
        play(openai.submit(request), raw(b"", "text/plain", 404))


def test_objects_and_lists_of_a_form_are_spelled_as_the_sdk_does():
    parts = openai_forms.text_parts(
        {"svg": {"model": "m", "reasoning": {"effort": "low"}}, "tags": ["a", "b"]}
    )
    assert [(part.name, part.content) for part in parts] == [
        ("svg[model]", "m"),
        ("svg[reasoning][effort]", "low"),
        ("tags[]", "a"),
        ("tags[]", "b"),
    ]


def test_flags_and_numbers_of_a_form_are_texts_and_nothing_is_left_out():
    parts = openai_forms.text_parts({"a": True, "b": False, "c": 0, "d": None})
    assert [(part.name, part.content) for part in parts] == [
        ("a", "true"),
        ("b", "false"),
        ("c", "0"),
    ]


# Images: what comes back


def test_images_come_back_finished_with_their_type_size_and_usage():
    snapshot = play(openai.submit(an_image_request(n=2)), recorded("openai/images_two"))
    assert snapshot.phase is Phase.SUCCEEDED
    assert snapshot.failure is None
    assert [image.content_type for image in snapshot.artifacts] == ["image/webp"] * 2
    assert {(image.width, image.height) for image in snapshot.artifacts} == {
        (1536, 1024)
    }
    assert snapshot.artifacts[0].content == b"RIFF\x10\0\0\0WEBPVP8 "
    assert snapshot.usage["total_tokens"] == 1304


def test_an_image_without_a_declared_format_is_what_its_bytes_say():
    (image,) = play(
        openai.submit(an_image_request()), recorded("openai/images_bare")
    ).artifacts
    assert image.content_type == "image/png"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"unheard of", "image/png"),
    ],
)
def test_the_bytes_of_an_image_tell_its_type(content, content_type):
    body = {"data": [{"b64_json": base64.b64encode(content).decode()}]}
    (image,) = play(openai.submit(an_image_request()), answer(body)).artifacts
    assert image.content_type == content_type


def test_an_image_behind_a_link_keeps_it_byte_for_byte():
    (image,) = play(
        openai.submit(an_image_request("dall-e-3")), recorded("openai/images_links")
    ).artifacts
    assert image.url == "https://files.example.net/r/7f/a.png?sig=a%2Bb%3D"
    assert not image.protected


def test_svg_images_have_their_type_and_their_authors_usage():
    snapshot = play(
        openai.submit(an_image_request("gpt-image-2.5-flare", output_format="svg")),
        recorded("openai/images_svg"),
    )
    assert snapshot.artifacts[0].content_type == "image/svg+xml"
    assert snapshot.usage["svg_usage"]["total_tokens"] == 903


def test_a_data_url_where_base64_belongs_is_read():
    (image,) = play(
        openai.submit(an_image_request()), recorded("openai/images_data_url")
    ).artifacts
    assert image.content == b"\x89PNG\r\n\x1a\n-two"


def test_a_data_url_where_a_link_belongs_is_read():
    reply = answer({"data": [{"url": "data:image/gif;base64,R0lGODlh"}]})
    (image,) = play(openai.submit(an_image_request()), reply).artifacts
    assert (image.url, image.content, image.content_type) == (
        None,
        b"GIF89a",
        "image/gif",
    )


def test_fewer_images_than_wanted_is_a_success_that_names_the_rest():
    snapshot = play(
        openai.submit(an_image_request(n=2)), recorded("openai/images_one_of_two")
    )
    assert snapshot.phase is Phase.SUCCEEDED
    assert len(snapshot.artifacts) == 1
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.UPSTREAM_FAILED
    assert "1 of 2" in snapshot.failure.message


@pytest.mark.parametrize(
    "reply",
    [
        recorded("openai/images_none"),
        answer({"created": 1}),
        answer({"data": [{"b64_json": "no base64!"}]}),
        answer({"data": [{"url": "/files/a.png"}]}),
        answer([]),
        raw(b"<html>", "text/html"),
    ],
)
def test_a_paid_answer_without_a_readable_image_is_unexpected(reply):
    with pytest.raises(errors.UnexpectedReply):
        play(openai.submit(an_image_request()), reply)


# Videos: what is sent


def test_a_video_is_started_with_a_form_whose_seconds_are_text():
    call = paid_call(a_video_request(duration=8.0, size="1280x720"))
    assert (call.method, call.url, call.json) == ("POST", "/videos", None)
    assert texts_of(call) == {
        "model": "sora-2",
        "prompt": "a lighthouse made of paper, dawn",
        "seconds": "8",
        "size": "1280x720",
    }


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, None),
        ({"width": 1280, "height": 720}, "1280x720"),
        ({"size": "1792x1024"}, "1792x1024"),
        ({"size": "large"}, "large"),
        ({"aspect_ratio": "16:9"}, "1280x720"),
        ({"aspect_ratio": "9:16"}, "720x1280"),
        ({"resolution": "720P"}, "720x1280"),
        ({"aspect_ratio": "16:9", "resolution": "1080P"}, "1792x1024"),
        ({"aspect_ratio": "9:16", "resolution": "1080p"}, "1024x1792"),
    ],
)
def test_the_size_of_a_video_follows_from_what_the_client_gave(fields, size):
    assert texts_of(paid_call(a_video_request("sora-2-pro", **fields))).get("size") == (
        size
    )


@pytest.mark.parametrize(
    "fields",
    [{"seed": 7}, {"negative_prompt": "fog"}, {"style": "x"}, {"quality": "hd"}],
)
def test_what_videos_do_not_know_is_not_sent(fields):
    assert paid_call(a_video_request(**fields)) == paid_call(a_video_request())


def test_a_resolution_without_a_size_is_rejected_with_what_is_allowed():
    with pytest.raises(errors.Rejected, match="720P, 1080P"):
        play(openai.submit(a_video_request("acme-video", resolution="8K")))


def test_the_reference_image_of_a_video_is_sent_as_a_file():
    call = paid_call(a_video_request(images=(an_upload(),)), PNG)
    (file,) = files_of(call)
    assert (file.name, file.content) == ("input_reference", PNG.content)


def test_metadata_reaches_the_form_of_a_video_but_not_its_model():
    call = paid_call(a_video_request(metadata={"user": "u1", "model": "sora-2-pro"}))
    assert texts_of(call)["user"] == "u1"
    assert texts_of(call)["model"] == "sora-2"


def test_metadata_cannot_replace_the_clients_own_reference_image():
    request = a_video_request(
        images=(an_upload(),), metadata={"input_reference": {"file_id": "file-1"}}
    )
    call = paid_call(request, PNG)
    assert [p.name for p in call.parts if p.name.startswith("input_reference")] == [
        "input_reference"
    ]


@pytest.mark.parametrize(
    ("fields", "path", "body"),
    [
        (
            {"video_url": "video_ab"},
            "/videos/edits",
            {"prompt": "rain", "video": {"id": "video_ab"}},
        ),
        (
            {"metadata": {"video": {"id": "video_a"}}},
            "/videos/edits",
            {"prompt": "rain", "video": {"id": "video_a"}},
        ),
        (
            {"video_url": "video_a", "action": "extend", "duration": 12},
            "/videos/extensions",
            {"prompt": "rain", "video": {"id": "video_a"}, "seconds": "12"},
        ),
        (
            {"video_url": "video a?", "action": "remix"},
            "/videos/video%20a%3F/remix",
            {"prompt": "rain"},
        ),
    ],
)
def test_a_video_that_starts_from_another_is_sent_where_its_action_says(
    fields, path, body
):
    call = paid_call(a_video_request(prompt="rain", **fields))
    assert (call.url, call.json) == (path, body)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"video_url": "https://cdn.example.com/v.mp4"}, "takes no URL"),
        ({"video_url": "upload:0"}, "takes no URL"),
        ({"video_url": "video_a", "images": (an_upload(),)}, "cannot be combined"),
        ({"action": "remix"}, "needs `video_url`"),
    ],
)
def test_what_a_video_cannot_start_from_is_rejected_before_paying(fields, words):
    with pytest.raises(errors.Rejected, match=words):
        play(openai.submit(a_video_request(**fields)))


# Videos: what comes back


def test_a_started_video_has_its_id_and_the_hint_when_to_look():
    reply = recorded("openai/video_queued", openai_poll_after_ms="2500")
    assert play(openai.submit(a_video_request()), reply) == Snapshot(
        phase=Phase.PENDING, remote=REMOTE, percent=0, look_after_s=2.5
    )


def test_the_alias_of_a_gateway_serves_as_id():
    reply = recorded("openai/gateway_task_id_only")
    snapshot = play(openai.submit(a_video_request()), reply)
    assert snapshot.remote == Remote("task-55121")


@pytest.mark.parametrize(
    "body", [{"id": "video_x", "status": "REBALANCING"}, {"id": "video_x"}]
)
def test_a_paid_id_is_kept_although_its_status_is_undocumented(body):
    snapshot = play(openai.submit(a_video_request()), answer(body))
    assert snapshot == Snapshot(phase=Phase.PENDING, remote=Remote("video_x"))


@pytest.mark.parametrize(
    "reply",
    [
        answer({"object": "video", "status": "queued"}),
        answer({"id": "", "task_id": "", "status": "queued"}),
        answer([]),
        raw(b"<html>", "text/html"),
    ],
)
def test_an_accepted_video_without_an_id_is_unexpected(reply):
    with pytest.raises(errors.UnexpectedReply):
        play(openai.submit(a_video_request()), reply)


@pytest.mark.parametrize(
    ("name", "phase", "percent"),
    [
        ("video_queued", Phase.PENDING, 0),
        ("gateway_pending", Phase.PENDING, None),
        ("video_in_progress", Phase.RUNNING, 37),
        ("gateway_processing", Phase.RUNNING, None),
        ("video_completed", Phase.SUCCEEDED, 100),
        ("video_failed", Phase.FAILED, 64),
        ("gateway_cancelled", Phase.CANCELLED, None),
    ],
)
def test_each_documented_status_is_read(name, phase, percent):
    snapshot = play(openai.PROVIDER.poll(REMOTE), recorded(f"openai/{name}"))
    assert (snapshot.phase, snapshot.percent) == (phase, percent)


def test_every_status_of_the_table_has_a_reply():
    names = ["queued", "in_progress", "completed", "failed"]
    gateways = ["pending", "processing", "cancelled"]
    assert set(openai_videos.PHASES) == {*names, *gateways}


@pytest.mark.parametrize(
    "body", [{"status": "REBALANCING"}, {"status": None}, {}, [], None]
)
def test_an_undocumented_status_is_unexpected_and_fails_nothing(body):
    with pytest.raises(errors.UnexpectedReply):
        play(openai.PROVIDER.poll(REMOTE), answer(body))


def test_a_video_is_looked_up_by_its_quoted_id():
    (call,) = calls_of(
        openai.PROVIDER.poll(Remote("a/b?c")), recorded("openai/video_queued")
    )
    assert (call.method, call.url, call.paid) == ("GET", "/videos/a%2Fb%3Fc", False)


def test_a_finished_video_is_fetched_from_content_with_the_key():
    snapshot = play(openai.PROVIDER.poll(REMOTE), recorded("openai/video_completed"))
    (video,) = snapshot.artifacts
    assert video.url == "/videos/video_7d31fe02ab/content"
    assert video.protected
    assert (video.content_type, video.duration_s) == ("video/mp4", 8.0)
    assert (video.width, video.height) == (1280, 720)
    assert video.expires_at == 1796023831


def test_a_gateways_own_link_is_taken_byte_for_byte_and_without_the_key():
    snapshot = play(
        openai.PROVIDER.poll(Remote("task-55120")),
        recorded("openai/gateway_completed_with_link"),
    )
    (video,) = snapshot.artifacts
    assert video.url == (
        "https://cdn.example.net/v/55120.mp4?Expires=1&Signature=a%2Fb%3D"
    )
    assert not video.protected
    assert video.duration_s == 8.0


LINK = "https://cdn.example.net/v.mp4"


@pytest.mark.parametrize(
    "place",
    [
        {"url": LINK},
        {"video_url": LINK},
        {"metadata": {"url": LINK}},
        {"output": {"url": LINK}},
    ],
)
def test_each_place_where_gateways_put_a_link_is_read(place):
    body = {"id": REMOTE.id, "status": "completed", **place}
    (video,) = play(openai.PROVIDER.poll(REMOTE), answer(body)).artifacts
    assert (video.url, video.protected) == (LINK, False)


@pytest.mark.parametrize(
    "place",
    [
        {"url": f"https://gw.example.net/v1/videos/{REMOTE.id}/content"},
        {"url": "", "metadata": None, "output": "done"},
        {"url": "v.mp4"},
    ],
)
def test_a_link_to_content_itself_or_none_at_all_needs_the_key(place):
    body = {"id": REMOTE.id, "status": "completed", **place}
    (video,) = play(openai.PROVIDER.poll(REMOTE), answer(body)).artifacts
    assert (video.url, video.protected) == (f"/videos/{REMOTE.id}/content", True)


@pytest.mark.parametrize(
    ("error", "reason", "code", "message"),
    [
        (
            {"code": "moderation_blocked", "message": "held back"},
            Reason.CONTENT_REJECTED,
            "moderation_blocked",
            "held back",
        ),
        (
            {"code": "content_policy_violation", "message": "no"},
            Reason.CONTENT_REJECTED,
            "content_policy_violation",
            "no",
        ),
        (
            {"code": "something_new", "message": "odd"},
            Reason.UPSTREAM_FAILED,
            "something_new",
            "odd",
        ),
        ({"code": "lost"}, Reason.UPSTREAM_FAILED, "lost", "lost"),
        ("burnt", Reason.UPSTREAM_FAILED, "", "burnt"),
        (None, Reason.UPSTREAM_FAILED, "", "the upstream gave no reason"),
    ],
)
def test_each_failure_of_a_video_has_its_reason(error, reason, code, message):
    body = {"id": REMOTE.id, "status": "failed", "error": error}
    failure = play(openai.PROVIDER.poll(REMOTE), answer(body)).failure
    assert failure is not None
    assert (failure.reason, failure.code, failure.message) == (reason, code, message)


def test_a_blocked_video_is_a_value_and_no_exception():
    snapshot = play(openai.PROVIDER.poll(REMOTE), recorded("openai/video_blocked"))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.CONTENT_REJECTED


@pytest.mark.parametrize(
    ("text", "look_after_s"),
    [("10000", 10.0), ("250", 0.25), ("soon", None), ("-1", None), ("nan", None)],
)
def test_the_poll_hint_is_read_when_it_is_a_number(text, look_after_s):
    reply = recorded("openai/video_in_progress", openai_poll_after_ms=text)
    assert play(openai.PROVIDER.poll(REMOTE), reply).look_after_s == look_after_s


@pytest.mark.parametrize(
    ("progress", "percent"),
    [
        (0, 0),
        (46, 46),
        (45.6, 46),
        ("37", 37),
        (-5, 0),
        (250, 100),
        (None, None),
        (True, None),
        ("half", None),
        ("nan", None),
        ("inf", None),
        ([], None),
    ],
)
def test_odd_progress_never_breaks_a_poll(progress, percent):
    body = {"status": "in_progress", "progress": progress}
    assert play(openai.PROVIDER.poll(REMOTE), answer(body)).percent == percent


# Speech


def test_speech_is_asked_for_with_voice_and_container_named():
    call = paid_call(a_speech_request(prompt=None, input="mind the step"))
    assert (call.method, call.url) == ("POST", "/audio/speech")
    assert call.json == {
        "model": "gpt-4o-mini-tts",
        "input": "mind the step",
        "voice": "alloy",
        "response_format": "mp3",
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input": "said", "prompt": "not said"}, {"input": "said"}),
        ({"voice": "cedar"}, {"voice": "cedar"}),
        ({"voice": "voice_12ab"}, {"voice": {"id": "voice_12ab"}}),
        ({"speed": 1.25}, {"speed": 1.25}),
        ({"style": "whispering"}, {"instructions": "whispering"}),
        ({"output_format": "WAV"}, {"response_format": "wav"}),
        ({"metadata": {"instructions": "slowly"}}, {"instructions": "slowly"}),
    ],
)
def test_each_unified_field_is_spelled_as_speech_wants_it(fields, expected):
    body = body_of(a_speech_request(**fields))
    assert {**body, **expected} == body


@pytest.mark.parametrize("metadata", [{"stream_format": "sse"}, {"model": "tts-1"}])
def test_metadata_cannot_make_speech_a_stream_nor_another_model(metadata):
    request = a_speech_request(metadata=metadata)
    assert body_of(request) == body_of(a_speech_request())


@pytest.mark.parametrize(
    ("container", "content", "answered", "content_type"),
    [
        ("mp3", b"ID3\x04rest", "audio/mpeg", "audio/mpeg"),
        ("mp3", b"\xff\xfb\x90\x64", "audio/mpeg", "audio/mpeg"),
        ("opus", b"OggS\0rest", "audio/opus", "audio/ogg"),
        ("aac", b"\xff\xf1\x50\x80", "application/octet-stream", "audio/aac"),
        ("aac", b"ID3\x04rest", "audio/aac", "audio/aac"),
        ("flac", b"fLaC\0rest", "audio/flac", "audio/flac"),
        ("wav", b"RIFF\xff\xff\xff\xffWAVE", "audio/wav", "audio/wav"),
        ("wav", b"ID3\x04rest", "audio/mpeg", "audio/mpeg"),
        ("mp3", b"headless", "application/octet-stream", "audio/mpeg"),
        ("pcm", b"\xff\xfb" * 24_000, "audio/pcm", "audio/pcm"),
    ],
)
def test_speech_comes_back_as_bytes_of_a_known_type(
    container, content, answered, content_type
):
    request = a_speech_request(output_format=container)
    snapshot = play(openai.submit(request), raw(content, answered))
    (audio,) = snapshot.artifacts
    assert snapshot.phase is Phase.SUCCEEDED
    assert (audio.content, audio.content_type) == (content, content_type)


def test_only_pcm_tells_its_duration_by_its_length():
    request = a_speech_request(output_format="pcm")
    (audio,) = play(openai.submit(request), raw(b"\0\0" * 12_000, "")).artifacts
    assert audio.duration_s == 0.5


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"", "audio/mpeg"),
        raw(b"<html>", "text/html; charset=utf-8"),
        answer({"audio": "aGk="}),
    ],
)
def test_a_paid_answer_without_speech_is_unexpected(reply):
    with pytest.raises(errors.UnexpectedReply):
        play(openai.submit(a_speech_request()), reply)


# Errors

SUBMIT_ERRORS = [
    (400, "unknown_parameter", errors.Rejected),
    (400, "invalid_value", errors.Rejected),
    (400, "no_code", errors.Rejected),
    (400, "moderation_blocked", errors.ContentRejected),
    (400, "content_policy_violation", errors.ContentRejected),
    (400, "billing_hard_limit_reached", errors.QuotaExhausted),
    (401, "invalid_api_key", errors.KeyRefused),
    (401, "auth_no_code", errors.KeyRefused),
    (403, "region", errors.ChannelRefused),
    (403, "unverified", errors.ChannelRefused),
    (404, "model_not_found", errors.ModelRefused),
    (404, "no_route", errors.ModelRefused),
    (409, "conflict", errors.OutcomeUnknown),
    (413, "too_large", errors.Rejected),
    (429, "rate_limit_exceeded", errors.RateLimited),
    (429, "overloaded", errors.RateLimited),
    (429, "insufficient_quota", errors.QuotaExhausted),
    (403, "bare", errors.QuotaExhausted),
    (404, "text", errors.ModelRefused),
    (500, "server_error", errors.Unavailable),
    (502, "overloaded", errors.Unavailable),
    (503, "overloaded", errors.Unavailable),
    (504, "overloaded", errors.Unavailable),
]


@pytest.mark.parametrize(
    "request_",
    [an_image_request(), a_video_request(), a_speech_request()],
    ids=["image", "video", "speech"],
)
@pytest.mark.parametrize(("status", "name", "kind"), SUBMIT_ERRORS)
def test_each_refused_submit_is_classed_by_who_must_act(request_, status, name, kind):
    reply = recorded(f"openai/error_{name}", status=status)
    with pytest.raises(errors.ProviderError) as caught:
        play(openai.submit(request_), reply)
    assert type(caught.value) is kind
    assert caught.value.status == status


def test_the_error_keeps_the_upstreams_words_and_code():
    reply = recorded("openai/error_unknown_parameter", status=400)
    with pytest.raises(errors.Rejected, match="Unknown parameter: 'seed'") as caught:
        play(openai.submit(an_image_request()), reply)
    assert caught.value.code == "unknown_parameter"


@pytest.mark.parametrize("status", [502, 503])
def test_a_page_of_a_proxy_is_no_refusal(status):
    with pytest.raises(errors.Unavailable):
        play(openai.submit(an_image_request()), raw(b"<html>", "text/html", status))


def test_starting_from_a_video_that_is_gone_is_the_clients_to_change():
    request = a_video_request(video_url="video_gone")
    reply = recorded("openai/error_video_not_found", status=404)
    with pytest.raises(errors.Rejected):
        play(openai.submit(request), reply)


@pytest.mark.parametrize(
    ("headers", "retry_after_s"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "1", "retry_after_ms": "350"}, 0.35),
        ({"retry_after_ms": "soon", "retry_after": "2"}, 2.0),
        ({}, None),
    ],
)
@pytest.mark.parametrize(
    ("status", "name"), [(429, "rate_limit_exceeded"), (503, "overloaded")]
)
def test_the_wait_asked_for_is_kept_to_the_millisecond(
    headers: Mapping[str, str], retry_after_s, status, name
):
    reply = recorded(f"openai/error_{name}", status=status, **headers)
    with pytest.raises((errors.RateLimited, errors.Unavailable)) as caught:
        play(openai.submit(an_image_request()), reply)
    assert caught.value.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (401, "invalid_api_key", errors.KeyRefused),
        (403, "region", errors.ChannelRefused),
        (404, "video_not_found", errors.NotFound),
        (404, "model_not_found", errors.NotFound),
        (410, "video_not_found", errors.NotFound),
        (429, "rate_limit_exceeded", errors.RateLimited),
        (500, "server_error", errors.Unavailable),
        (503, "overloaded", errors.Unavailable),
    ],
)
def test_each_refused_poll_is_classed(status, name, kind):
    with pytest.raises(errors.ProviderError) as caught:
        play(
            openai.PROVIDER.poll(REMOTE),
            recorded(f"openai/error_{name}", status=status),
        )
    assert type(caught.value) is kind


def test_a_page_instead_of_a_video_is_unexpected():
    with pytest.raises(errors.UnexpectedReply):
        play(openai.PROVIDER.poll(REMOTE), raw(b"<html>", "text/html"))


# The account: key, test, webhooks, models


def credentials(**settings: str) -> Credentials:
    return Credentials("sk-secret", settings, 0.0)


def test_the_key_is_a_bearer_token():
    call = openai.authorize(Call("GET", "/models"), credentials())
    assert call.headers == {"Authorization": "Bearer sk-secret"}


def test_organization_and_project_of_the_channel_are_named():
    call = openai.authorize(
        Call("GET", "/models", headers={"Accept": "x"}),
        credentials(organization="org_1", project="proj_2"),
    )
    assert call.headers == {
        "Accept": "x",
        "OpenAI-Organization": "org_1",
        "OpenAI-Project": "proj_2",
        "Authorization": "Bearer sk-secret",
    }


def test_a_key_is_proved_by_the_list_of_models():
    (call,) = calls_of(openai.test(), answer({"object": "list", "data": []}))
    assert (call.method, call.url, call.paid) == ("GET", "/models", False)


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (401, "invalid_api_key", errors.KeyRefused),
        (404, "no_route", errors.ChannelRefused),
        (429, "insufficient_quota", errors.QuotaExhausted),
    ],
)
def test_a_key_that_does_not_work_is_refused(status, name, kind):
    with pytest.raises(errors.ProviderError) as caught:
        play(openai.test(), recorded(f"openai/error_{name}", status=status))
    assert type(caught.value) is kind


def a_webhook(body: bytes, signature: str, timestamp: str = "1796020300") -> Callback:
    return Callback(
        {
            "webhook-id": "wh_1",
            "webhook-timestamp": timestamp,
            "webhook-signature": signature,
        },
        body,
    )


EVENT = json.dumps(
    {"id": "evt_1", "type": "video.completed", "data": {"id": "video_7d31fe02ab"}}
).encode()


def test_a_webhook_names_its_video_and_what_was_signed():
    key = b"0123456789abcdef"
    mac = hmac.new(key, b"wh_1.1796020300." + EVENT, hashlib.sha256).digest()
    signature = base64.b64encode(mac).decode()
    heard = openai.receive(a_webhook(EVENT, f"v1,{signature}"), "sora-2")
    assert heard.ids == ("video_7d31fe02ab",)
    assert heard.signed is not None
    assert heard.signed.scheme == "hmac-sha256"
    assert heard.signed.signature == signature
    assert heard.signed.timestamp == 1796020300
    assert hmac.digest(key, heard.signed.message, "sha256") == mac


def test_every_signature_of_a_webhook_is_kept_for_the_check():
    heard = openai.receive(a_webhook(EVENT, "v1,b2xk v1,bmV3"), "sora-2")
    assert heard.signed is not None
    assert heard.signed.signature == "b2xk bmV3"


@pytest.mark.parametrize(
    "callback",
    [
        Callback({}, EVENT),
        a_webhook(b"{}", "v1,eA=="),
        a_webhook(b"<xml>", "v1,eA=="),
        a_webhook(b"[" * 100_000, "v1,eA=="),
        a_webhook(EVENT, "v1,eA==", timestamp="now"),
    ],
)
def test_a_webhook_of_another_shape_is_unexpected(callback):
    with pytest.raises(errors.UnexpectedReply):
        openai.receive(callback, "sora-2")


def test_every_listed_model_is_described_by_itself():
    for model in openai.PROVIDER.models:
        assert openai.describe(model.name) is model
    names = [model.name for model in openai.PROVIDER.models]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "media_type", "sync"),
    [
        ("acme-video-3", MediaType.VIDEO, False),
        ("sora-3", MediaType.VIDEO, False),
        ("image-to-video-1", MediaType.VIDEO, False),
        ("Acme-Image-XL", MediaType.IMAGE, True),
        ("openai/gpt-image-2", MediaType.IMAGE, True),
        ("acme-tts-hd", MediaType.AUDIO, True),
    ],
)
def test_a_gateways_own_model_is_described_by_its_name(name, media_type, sync):
    model = openai.describe(name)
    assert model is not None
    assert (model.name, model.media_type, model.sync) == (name, media_type, sync)


def test_a_name_that_tells_nothing_is_no_model():
    assert openai.describe("gpt-5") is None


def test_one_video_task_gives_one_video():
    videos = [m for m in openai.PROVIDER.models if m.media_type is MediaType.VIDEO]
    assert {model.max_n for model in videos} == {1}
    assert {model.max_images for model in videos} == {1}


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("gpt-image-2", {"side_multiple": 16, "max_images": 16, "max_n": 10}),
        ("gpt-image-1.5", {"max_prompt": 32000, "side_multiple": None}),
        ("dall-e-3", {"max_prompt": 4000, "max_n": 1}),
        ("dall-e-2", {"max_prompt": 1000, "max_images": 1}),
        ("tts-1", {"max_prompt": 4096, "speed_range": (0.25, 4.0)}),
        ("sora-2", {"durations": (4.0, 8.0, 12.0, 16.0, 20.0)}),
    ],
)
def test_documented_limits_stand_in_the_model_table(name, limits):
    model = openai.describe(name)
    assert {key: getattr(model, key) for key in limits} == limits


def test_older_voices_take_no_style():
    model = openai.describe("tts-1-hd")
    assert model is not None
    assert "style" in model.refuses


def test_input_images_stay_public_calls_also_for_a_url_of_the_provider_itself():
    image = MediaInput("https://api.openai.com/v1/videos/x/content")
    request = a_video_request(images=(image,))
    fetch = calls_of(openai.submit(request), PNG, recorded("openai/video_queued"))[0]
    assert fetch.public
