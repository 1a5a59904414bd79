"""Luma's adapters: every row of their mappings, states and errors, for both APIs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.capabilities import find_problems
from providers import errors, luma, luma_agents
from providers.dialects import luma_models
from providers.flow import Call, Reply
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)
from tests.builders import a_request, an_image_url, an_upload
from tests.fakes import answer, calls_of, play, raw, recorded

A, B = "https://cdn.example.com/a.png", "https://cdn.example.com/b.png"
C, CLIP = "https://cdn.example.com/c.png", "https://cdn.example.com/clip.mp4"
ONE, TWO, THREE = an_image_url(A), an_image_url(B), an_image_url(C)
TEXT = "a lighthouse made of paper, dawn"
HOOK = "https://gw.example/upstream/luma/s1.abc"
PNG, BASE64 = b"\x89PNG\r\n\x1a\n", "iVBORw0KGgo="
DATA = {"data": BASE64, "media_type": "image/png"}
JOB = "0d3c91a7-52be-4f0a-9c67-8e1fb24d7730"
SECOND = "9b52e6f4-03c1-47d8-a5fe-61d07c3b2a19"
ODD = "e1d8207c-6a4b-4f95-8b33-0f7c95a1d2e6"
AGENT_JOB = "c07fb3d2-8841-4e5a-9d16-5a20e8f3b7c4"
FILM = "https://storage.cdn-luma.example/dream_machine/0d/out.mp4?s=a%2Fb"
LINK = (
    "https://outputs.luma.example/c07f/0.png?X-Amz-Expires=3600&X-Amz-Signature=9a%2Bf"
)
DREAM, AGENTS = luma.PROVIDER, luma_agents.PROVIDER


def wanted(model: str, *images: MediaInput, **fields: Any) -> GenerationRequest:
    known = luma.PROVIDER.describe(model) or luma_agents.PROVIDER.describe(model)
    media_type = known.media_type if known else MediaType.VIDEO
    return a_request(model=model, media_type=media_type, images=images, **fields)


def sent(model: str, *images: MediaInput, **fields: Any) -> Call:
    """The one call of a Dream Machine submit."""
    request = wanted(model, *images, **fields)
    (call,) = calls_of(luma.submit(request), recorded("luma/queued", status=201))
    assert (call.method, call.paid) == ("POST", True)
    return call


def body_of(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = sent(model, *images, **fields).json
    return body


def agent_body(model: str, *images: MediaInput, **fields: Any) -> dict[str, Any]:
    """The body of the paid call at Luma Agents."""
    files = [raw(PNG, "image/png") for each in images if each.uploaded]
    flow = luma_agents.submit(wanted(model, *images, **fields))
    calls = calls_of(flow, *files, recorded("luma-agents/queued", status=201))
    assert [call.paid for call in calls] == [False] * len(files) + [True]
    assert all(call.public for call in calls[:-1])
    assert (calls[-1].method, calls[-1].url) == ("POST", "/generations")
    body: dict[str, Any] = calls[-1].json
    return body


def looked(name: str) -> Snapshot:
    return play(luma.poll(Remote(JOB)), recorded(f"luma/{name}"))


def agent_looked(name: str, **changes: Any) -> Snapshot:
    body = {**recorded(f"luma-agents/{name}").json(), **changes}
    return play(luma_agents.poll(Remote(AGENT_JOB)), answer(body))


def failed(reason: str | None) -> Snapshot:
    body = {**recorded("luma/failed").json(), "failure_reason": reason}
    return play(luma.poll(Remote(JOB)), answer(body))


# Dream Machine: what is asked for


def test_film_is_asked_for_in_dream_machines_words():
    call = sent(
        "ray-flash-2",
        ONE,
        aspect_ratio="9/16",
        resolution="720P",
        duration=5.0,
        callback_url=HOOK,
        metadata={
            "loop": True,
            "concepts": [{"key": "dolly_zoom"}],
            "model": "ray-2",
            "callback_url": "https://evil.example",
        },
    )
    assert call.url == "/generations/video"
    assert call.json == {
        "model": "ray-flash-2",
        "prompt": TEXT,
        "aspect_ratio": "9:16",
        "resolution": "720p",
        "duration": "5s",
        "keyframes": {"frame0": {"type": "image", "url": A}},
        "loop": True,
        "concepts": [{"key": "dolly_zoom"}],
        "callback_url": HOOK,
    }


@pytest.mark.parametrize("model", ["ray-2", "ray-flash-2", "ray-1-6"])
def test_what_is_not_asked_for_is_left_to_the_model(model: str):
    assert body_of(model) == {"model": model, "prompt": TEXT}


def test_general_input_stands_in_for_the_prompt():
    assert body_of("ray-2", prompt=None, input="rain")["prompt"] == "rain"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"aspect_ratio": "21:9"}, {"aspect_ratio": "21:9"}),
        ({"size": "9:21"}, {"aspect_ratio": "9:21"}),
        ({"size": "1000x1010"}, {"aspect_ratio": "1:1"}),
        ({"size": "1344x768"}, {"aspect_ratio": "16:9"}),
        ({"size": "3:2"}, {"aspect_ratio": "4:3"}),
        ({"size": "1920x1080"}, {"aspect_ratio": "16:9", "resolution": "1080p"}),
        (
            {"width": 720, "height": 1280},
            {"aspect_ratio": "9:16", "resolution": "720p"},
        ),
        ({"size": "3840x2160"}, {"aspect_ratio": "16:9", "resolution": "4k"}),
        (
            {"size": "1920x1080", "resolution": "540p"},
            {"aspect_ratio": "16:9", "resolution": "540p"},
        ),
        ({"size": "720P"}, {"resolution": "720p"}),
        ({"resolution": "4K"}, {"resolution": "4k"}),
        ({"duration": 9.0}, {"duration": "9s"}),
    ],
)
def test_size_becomes_the_nearest_shape_and_the_resolution_it_is(
    fields: dict[str, Any], said: dict[str, Any]
):
    assert body_of("ray-2", **fields) == {"model": "ray-2", "prompt": TEXT, **said}


@pytest.mark.parametrize(
    ("images", "fields", "keyframes"),
    [
        (
            (ONE, TWO),
            {"prompt": None},
            {
                "frame0": {"type": "image", "url": A},
                "frame1": {"type": "image", "url": B},
            },
        ),
        (
            (),
            {"action": "extend", "metadata": {"generation_id": JOB}},
            {"frame0": {"type": "generation", "id": JOB}},
        ),
        (
            (ONE,),
            {"action": "extend", "metadata": {"generation_id": JOB}},
            {
                "frame0": {"type": "generation", "id": JOB},
                "frame1": {"type": "image", "url": A},
            },
        ),
        (
            (ONE,),
            {"metadata": {"keyframes": {"frame1": {"type": "generation", "id": JOB}}}},
            {
                "frame0": {"type": "image", "url": A},
                "frame1": {"type": "generation", "id": JOB},
            },
        ),
    ],
)
def test_images_and_earlier_generations_are_keyframes(
    images: tuple[MediaInput, ...], fields: dict[str, Any], keyframes: dict[str, Any]
):
    call = sent("ray-2", *images, **fields)
    assert call.url == "/generations/video"
    assert call.json["keyframes"] == keyframes
    assert "generation_id" not in call.json


@pytest.mark.parametrize(
    ("model", "images", "fields", "path", "body"),
    [
        (
            "ray-2",
            (),
            {"video_url": CLIP},
            "/generations/video/modify",
            {
                "generation_type": "modify_video",
                "model": "ray-2",
                "prompt": TEXT,
                "media": {"url": CLIP},
                "mode": "flex_1",
            },
        ),
        (
            "ray-flash-2",
            (ONE,),
            {
                "action": "modify",
                "video_url": CLIP,
                "metadata": {"mode": "adhere_3"},
                "callback_url": HOOK,
            },
            "/generations/video/modify",
            {
                "generation_type": "modify_video",
                "model": "ray-flash-2",
                "prompt": TEXT,
                "media": {"url": CLIP},
                "mode": "adhere_3",
                "first_frame": {"url": A},
                "callback_url": HOOK,
            },
        ),
        (
            "ray-2",
            (ONE,),
            {
                "action": "reframe",
                "prompt": None,
                "video_url": CLIP,
                "size": "720x1280",
                "metadata": {"grid_position_x": 12},
            },
            "/generations/video/reframe",
            {
                "generation_type": "reframe_video",
                "model": "ray-2",
                "media": {"url": CLIP},
                "aspect_ratio": "9:16",
                "first_frame": {"url": A},
                "grid_position_x": 12,
            },
        ),
        (
            "ray-2",
            (),
            {
                "action": "upscale",
                "prompt": None,
                "resolution": "1080P",
                "metadata": {"generation_id": "a/b"},
                "callback_url": HOOK,
            },
            "/generations/a%2Fb/upscale",
            {
                "generation_type": "upscale_video",
                "resolution": "1080p",
                "callback_url": HOOK,
            },
        ),
        (
            "ray-2",
            (),
            {
                "action": "audio",
                "negative_prompt": "voices",
                "metadata": {"generation_id": JOB},
            },
            f"/generations/{JOB}/audio",
            {
                "generation_type": "add_audio",
                "prompt": TEXT,
                "negative_prompt": "voices",
            },
        ),
        (
            "photon-flash-1",
            (ONE,),
            {"action": "reframe", "aspect_ratio": "16:9", "output_format": "PNG"},
            "/generations/image/reframe",
            {
                "generation_type": "reframe_image",
                "model": "photon-flash-1",
                "prompt": TEXT,
                "media": {"url": A},
                "aspect_ratio": "16:9",
                "format": "png",
            },
        ),
    ],
)
def test_each_action_has_its_path_and_type(
    model: str,
    images: tuple[MediaInput, ...],
    fields: dict[str, Any],
    path: str,
    body: dict[str, Any],
):
    call = sent(model, *images, **fields)
    assert (call.url, call.json) == (path, body)


@pytest.mark.parametrize(
    ("images", "fields", "said"),
    [
        ((), {"output_format": "jpeg"}, {"format": "jpg"}),
        ((), {"output_format": "png", "size": "3:4"}, {"format": "png"}),
        ((ONE,), {}, {"modify_image_ref": {"url": A}}),
        ((ONE, TWO), {}, {"image_ref": [{"url": A}, {"url": B}]}),
        ((ONE,), {"action": "reference"}, {"image_ref": [{"url": A}]}),
        ((ONE,), {"action": "style"}, {"style_ref": [{"url": A}]}),
        (
            (ONE, TWO),
            {"action": "character"},
            {"character_ref": {"identity0": {"images": [A, B]}}},
        ),
        (
            (ONE, TWO, THREE),
            {"action": "edit"},
            {"modify_image_ref": {"url": A}, "image_ref": [{"url": B}, {"url": C}]},
        ),
        (
            (ONE,),
            {"metadata": {"modify_image_ref": {"weight": 0.4}}},
            {"modify_image_ref": {"url": A, "weight": 0.4}},
        ),
        (
            (),
            {"prompt": None, "metadata": {"style_ref": [{"url": B, "weight": 0.8}]}},
            {"style_ref": [{"url": B, "weight": 0.8}]},
        ),
    ],
)
def test_images_of_an_image_have_the_part_of_the_action(
    images: tuple[MediaInput, ...], fields: dict[str, Any], said: dict[str, Any]
):
    call = sent("photon-1", *images, **fields)
    plain = {"model": "photon-1", "prompt": TEXT} | (
        {"aspect_ratio": "3:4"} if "size" in fields else {}
    )
    if "prompt" in fields:
        plain.pop("prompt")
    assert (call.url, call.json) == ("/generations/image", {**plain, **said})


def test_image_is_never_waited_for_in_the_paid_call():
    body = body_of("photon-1", metadata={"sync": True, "sync_timeout": 60})
    assert body == {"model": "photon-1", "prompt": TEXT}


def test_upload_goes_to_dream_machine_as_the_gateways_link() -> None:
    link = "https://gateway.example/generation/tasks/t/inputs/0.png?signature=s"
    image = MediaInput("upload:0", "image/png", link)
    body = body_of("ray-2", image)
    assert body["keyframes"]["frame0"]["url"] == link


@pytest.mark.parametrize(
    ("model", "images", "fields"),
    [
        ("ray-2", (an_upload(),), {}),
        ("photon-1", (an_upload(),), {}),
        ("photon-1", (an_upload(),), {"action": "reframe", "size": "1:1"}),
        ("ray-2", (an_upload(),), {"video_url": CLIP}),
        ("ray-2", (), {"prompt": None}),
        ("photon-1", (), {"prompt": None}),
        ("ray-2", (), {"action": "modify"}),
        ("ray-2", (), {"action": "reframe", "video_url": CLIP}),
        ("photon-1", (), {"action": "reframe", "size": "1:1"}),
        ("ray-2", (), {"action": "upscale"}),
        ("ray-2", (), {"action": "audio", "metadata": {"generation_id": 7}}),
        ("ray-2", (), {"action": "extend"}),
        ("ray-2", (), {"action": "remix"}),
        ("ray-2", (), {"negative_prompt": "fog"}),
        ("ray-2", (), {"video_url": CLIP, "duration": 5.0}),
        ("ray-2", (), {"video_url": CLIP, "aspect_ratio": "1:1"}),
        ("ray-2", (ONE, TWO), {"video_url": CLIP}),
        ("ray-2", (), {"size": "large"}),
        ("photon-1", (ONE, TWO), {"action": "reframe", "size": "1:1"}),
    ],
)
def test_what_cannot_be_said_is_refused_before_it_costs(
    model: str, images: tuple[MediaInput, ...], fields: dict[str, Any]
):
    with pytest.raises(errors.Rejected):
        play(luma.submit(wanted(model, *images, **fields)))


# Luma Agents: what is asked for


def test_film_is_asked_for_in_the_words_of_agents():
    body = agent_body(
        "ray-3.2",
        ONE,
        size="1280x720",
        duration=10.0,
        metadata={"video": {"hdr": True}, "user_id": "u1", "type": "x", "model": "y"},
        callback_url=HOOK,
    )
    assert body == {
        "model": "ray-3.2",
        "type": "video",
        "prompt": TEXT,
        "aspect_ratio": "16:9",
        "video": {
            "duration": "10s",
            "resolution": "720p",
            "start_frame": {"url": A},
            "hdr": True,
        },
        "user_id": "u1",
    }


@pytest.mark.parametrize(
    ("model", "kind"),
    [("uni-1", "image"), ("uni-1-max", "image"), ("ray-3.2", "video")],
)
def test_what_is_not_asked_for_is_left_to_the_agents(model: str, kind: str):
    assert agent_body(model) == {"model": model, "type": kind, "prompt": TEXT}


@pytest.mark.parametrize(
    ("images", "fields", "said"),
    [
        ((an_upload(), TWO), {}, {"start_frame": DATA, "end_frame": {"url": B}}),
        (
            (ONE, TWO, an_upload()),
            {"metadata": {"video": {"keyframe_indexes": [0, 60, 120]}}},
            {
                "keyframes": [{"url": A}, {"url": B}, DATA],
                "keyframe_indexes": [0, 60, 120],
            },
        ),
        ((), {"resolution": "360P", "duration": 5.0}, {"resolution": "360p"}),
        ((), {"size": "1080p"}, {"resolution": "1080p"}),
        ((), {"size": "2160x3840", "duration": 5.0}, {"duration": "5s"}),
    ],
)
def test_images_of_a_film_are_its_frames(
    images: tuple[MediaInput, ...], fields: dict[str, Any], said: dict[str, Any]
):
    body = agent_body("ray-3.2", *images, **fields)
    assert body["type"] == "video"
    assert {**body["video"], **said} == body["video"]
    assert "source" not in body


@pytest.mark.parametrize(
    ("images", "fields", "kind", "said"),
    [
        (
            (),
            {"video_url": CLIP},
            "video_edit",
            {"source": {"url": CLIP, "media_type": "video/mp4"}},
        ),
        (
            (ONE,),
            {
                "video_url": CLIP,
                "metadata": {
                    "source": {"media_type": "video/quicktime"},
                    "video": {"edit": {"strength": "adhere_2"}},
                },
            },
            "video_edit",
            {
                "source": {"url": CLIP, "media_type": "video/quicktime"},
                "video": {
                    "start_frame": {"url": A},
                    "edit": {"strength": "adhere_2"},
                },
            },
        ),
        (
            (ONE, TWO),
            {
                "action": "edit",
                "video_url": CLIP,
                "metadata": {"video": {"edit": {"keyframe_indexes": [3, 9]}}},
            },
            "video_edit",
            {
                "source": {"url": CLIP, "media_type": "video/mp4"},
                "video": {
                    "edit": {
                        "keyframes": [{"url": A}, {"url": B}],
                        "keyframe_indexes": [3, 9],
                    }
                },
            },
        ),
        (
            (),
            {"metadata": {"source": {"generation_id": JOB}}},
            "video_edit",
            {"source": {"generation_id": JOB}},
        ),
        (
            (),
            {"action": "reframe", "video_url": CLIP, "aspect_ratio": "9:16"},
            "video_reframe",
            {
                "source": {"url": CLIP, "media_type": "video/mp4"},
                "aspect_ratio": "9:16",
            },
        ),
    ],
)
def test_film_of_a_film_has_a_source(
    images: tuple[MediaInput, ...],
    fields: dict[str, Any],
    kind: str,
    said: dict[str, Any],
):
    plain = {"model": "ray-3.2", "type": kind, "prompt": TEXT}
    assert agent_body("ray-3.2", *images, **fields) == {**plain, **said}


@pytest.mark.parametrize(
    ("images", "fields", "kind", "said"),
    [
        ((), {"aspect_ratio": "3 / 1"}, "image", {"aspect_ratio": "3:1"}),
        ((), {"size": "1000x500"}, "image", {"aspect_ratio": "2:1"}),
        ((), {"output_format": "jpg"}, "image", {"output_format": "jpeg"}),
        ((), {"style": "Manga"}, "image", {"style": "manga"}),
        ((), {"metadata": {"web_search": True}}, "image", {"web_search": True}),
        ((ONE,), {}, "image_edit", {"source": {"url": A}}),
        ((an_upload(),), {"action": "edit"}, "image_edit", {"source": DATA}),
        (
            (an_upload(), TWO, THREE),
            {},
            "image_edit",
            {"source": DATA, "image_ref": [{"url": B}, {"url": C}]},
        ),
        (
            (ONE, an_upload()),
            {"action": "reference"},
            "image",
            {"image_ref": [{"url": A}, DATA]},
        ),
        (
            (),
            {"metadata": {"source": {"generation_id": JOB}}},
            "image_edit",
            {"source": {"generation_id": JOB}},
        ),
        (
            (ONE,),
            {"metadata": {"source": {"file_id": "f1"}}},
            "image_edit",
            {"source": {"file_id": "f1"}, "image_ref": [{"url": A}]},
        ),
        (
            (ONE,),
            {"action": "layering", "resolution": "2K"},
            "layering",
            {"source": {"url": A}, "layering": {"resolution": "2k"}},
        ),
    ],
)
def test_image_is_made_edited_or_layered(
    images: tuple[MediaInput, ...],
    fields: dict[str, Any],
    kind: str,
    said: dict[str, Any],
):
    plain = {"model": "uni-1", "type": kind, "prompt": TEXT}
    assert agent_body("uni-1", *images, **fields) == {**plain, **said}


@pytest.mark.parametrize(
    ("model", "images", "fields"),
    [
        ("ray-3.2", (ONE, TWO, THREE), {}),
        ("ray-3.2", (ONE, TWO), {"video_url": CLIP}),
        ("ray-3.2", (ONE,), {"action": "reframe", "video_url": CLIP}),
        ("ray-3.2", (), {"action": "reframe"}),
        ("ray-3.2", (), {"action": "edit"}),
        ("ray-3.2", (), {"action": "upscale"}),
        ("ray-3.2", (), {"size": "wide"}),
        ("uni-1", (), {"action": "edit"}),
        ("uni-1", (), {"action": "layering"}),
        ("uni-1", (ONE, TWO), {"action": "layering"}),
        ("uni-1", (), {"resolution": "2k"}),
        ("uni-1-max", (ONE,), {"action": "layering"}),
        ("uni-1", (MediaInput("upload:0", "image/svg+xml"),), {}),
    ],
)
def test_what_agents_cannot_be_told_is_refused_before_it_costs(
    model: str, images: tuple[MediaInput, ...], fields: dict[str, Any]
):
    files = [raw(PNG, "") for each in images if each.uploaded]
    with pytest.raises(errors.Rejected):
        play(luma_agents.submit(wanted(model, *images, **fields)), *files)


# Limits


@pytest.mark.parametrize(
    ("model", "fields", "culprit"),
    [
        ("ray-2", {"seed": 1}, "seed"),
        ("ray-2", {"n": 2}, "n"),
        ("ray-2", {"quality": "hd"}, "quality"),
        ("ray-2", {"style": "film"}, "style"),
        ("ray-2", {"duration": 10.0}, "duration"),
        ("ray-2", {"resolution": "360p"}, "resolution"),
        ("ray-2", {"aspect_ratio": "3:2"}, "aspect_ratio"),
        ("ray-2", {"images": (ONE,) * 3}, "images"),
        ("ray-2", {"audio_url": "https://x.example/a.mp3"}, "audio_url"),
        ("ray-2", {"output_format": "mov"}, "output_format"),
        ("photon-1", {"negative_prompt": "fog"}, "negative_prompt"),
        ("photon-1", {"images": (ONE,) * 5}, "images"),
        ("photon-1", {"output_format": "webp"}, "output_format"),
        ("photon-flash-1", {"duration": 5.0}, "duration"),
        ("photon-flash-1", {"resolution": "1080p"}, "resolution"),
        ("photon-1", {"video_url": CLIP}, "video_url"),
        ("ray-3.2", {"prompt": None}, "prompt"),
        ("ray-3.2", {"duration": 9.0}, "duration"),
        ("ray-3.2", {"resolution": "4k"}, "resolution"),
        ("ray-3.2", {"aspect_ratio": "9:21"}, "aspect_ratio"),
        ("ray-3.2", {"images": (ONE,) * 65}, "images"),
        ("ray-3.2", {"negative_prompt": "fog"}, "negative_prompt"),
        ("uni-1", {"images": (ONE,) * 10}, "images"),
        ("uni-1", {"n": 2}, "n"),
        ("uni-1", {"resolution": "4k"}, "resolution"),
        ("uni-1-max", {"resolution": "2k"}, "resolution"),
        ("uni-1-max", {"action": "layering"}, "action"),
        ("uni-1", {"output_format": "webp"}, "output_format"),
        ("uni-1", {"aspect_ratio": "9:21"}, "aspect_ratio"),
        ("uni-1", {"seed": 1}, "seed"),
    ],
)
def test_what_a_model_cannot_do_is_refused_at_intake(
    model: str, fields: dict[str, Any], culprit: str
):
    described = DREAM.describe(model) or AGENTS.describe(model)
    assert described is not None
    assert list(find_problems({"prompt": "x", **fields}, described)) == [culprit]


@pytest.mark.parametrize("model", ["ray-3.2", "uni-1", "uni-1-max"])
def test_models_of_one_api_are_not_offered_by_the_other(model: str):
    with pytest.raises(errors.ModelRefused):
        play(luma.submit(wanted(model)))
    with pytest.raises(errors.ModelRefused):
        play(luma_agents.submit(wanted("ray-2")))
    assert DREAM.describe(model) is None


def test_model_that_luma_lists_no_more_may_be_named_by_a_channel():
    assert DREAM.describe("ray-1-6") is luma_models.OLD
    assert luma_models.OLD not in DREAM.models


# Dream Machine: what is answered


@pytest.mark.parametrize(
    ("name", "phase"), [("queued", Phase.PENDING), ("dreaming", Phase.RUNNING)]
)
def test_accepted_generation_has_its_id_in_either_state(name: str, phase: Phase):
    reply = recorded(f"luma/{name}", status=201)
    snapshot = play(luma.submit(wanted("ray-2")), reply)
    assert snapshot == Snapshot(phase=phase, remote=Remote(JOB))


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("queued", Phase.PENDING),
        ("queued_bare", Phase.PENDING),
        ("dreaming", Phase.RUNNING),
    ],
)
def test_generation_under_way_has_no_result(name: str, phase: Phase):
    assert looked(name) == Snapshot(phase=phase, remote=Remote(JOB))


def test_result_of_a_film_is_neither_its_poster_nor_its_preview():
    assert looked("completed_video") == Snapshot(
        phase=Phase.SUCCEEDED,
        remote=Remote(JOB),
        percent=100,
        artifacts=(Artifact(url=FILM, content_type="video/mp4"),),
    )


@pytest.mark.parametrize("name", ["completed_image", "completed_untold"])
def test_result_of_an_image_is_the_image(name: str):
    (artifact,) = looked(name).artifacts
    link = "https://storage.cdn-luma.example/dream_machine/77/out.jpg"
    assert artifact == Artifact(url=link)


def test_what_was_made_may_be_told_by_the_request_alone():
    body = {**recorded("luma/completed_video").json(), "model": None}
    del body["generation_type"]
    snapshot = play(luma.poll(Remote(JOB)), answer(body))
    assert [artifact.url for artifact in snapshot.artifacts] == [FILM]


@pytest.mark.parametrize("kind", ["upscale_video", "add_audio", "reframe_video"])
def test_film_may_be_told_by_what_was_done_to_another(kind: str):
    body = {**recorded("luma/completed_video").json(), "generation_type": kind}
    snapshot = play(luma.poll(Remote(JOB)), answer(body))
    assert [artifact.url for artifact in snapshot.artifacts] == [FILM]


@pytest.mark.parametrize("name", ["completed_nothing", "completed_poster_alone"])
def test_generation_that_completes_without_a_result_has_failed(name: str):
    snapshot = looked(name)
    assert snapshot.phase is Phase.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.reason is Reason.UPSTREAM_FAILED
    assert snapshot.failure.code == "no_output"


@pytest.mark.parametrize(
    ("told", "reason", "code"),
    [
        ("400: Prompt is blocked by moderation", Reason.CONTENT_REJECTED, "400"),
        ("The prompt has a word of the blacklist", Reason.CONTENT_REJECTED, ""),
        ("This person is not allowed", Reason.CONTENT_REJECTED, ""),
        ("NSFW output", Reason.CONTENT_REJECTED, ""),
        ("against our content policy", Reason.CONTENT_REJECTED, ""),
        ("Could not download the image", Reason.INVALID_REQUEST, ""),
        ("frame0: the image is too large", Reason.INVALID_REQUEST, ""),
        ("Unsupported file", Reason.INVALID_REQUEST, ""),
        ("Job failed", Reason.UPSTREAM_FAILED, ""),
        ("timeout", Reason.UPSTREAM_FAILED, ""),
        ("500: internal error", Reason.UPSTREAM_FAILED, "500"),
        ("", Reason.UPSTREAM_FAILED, ""),
        (None, Reason.UPSTREAM_FAILED, ""),
    ],
)
def test_reason_of_a_failure_is_told_by_its_text(
    told: str | None, reason: Reason, code: str
):
    snapshot = failed(told)
    assert (snapshot.phase, snapshot.remote) == (Phase.FAILED, Remote(JOB))
    assert snapshot.failure is not None
    assert (snapshot.failure.reason, snapshot.failure.code) == (reason, code)
    assert snapshot.failure.message == (
        told or "the generation failed without a reason"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "napping"},
        {"state": None},
        {"id": ""},
        {"id": 7},
        {"state": "completed", "assets": {"video": "soon"}},
        {"state": "completed", "generation_type": "song"},
        {"state": "completed", "assets": [], "model": None, "generation_type": "x"},
        {"state": "completed", "generation_type": None, "request": None, "model": "x"},
    ],
)
def test_undocumented_generation_is_unexpected(changes: dict[str, Any]):
    body = {**recorded("luma/queued").json(), **changes}
    with pytest.raises(errors.UnexpectedReply):
        play(luma.poll(Remote(JOB)), answer(body))


@pytest.mark.parametrize(
    ("model", "reply"),
    [("ray-2", "luma/undocumented"), ("uni-1", "luma-agents/undocumented")],
)
def test_paid_generation_is_kept_although_its_state_is_undocumented(
    model: str, reply: str
):
    provider = DREAM if DREAM.describe(model) else AGENTS
    snapshot = play(provider.submit(wanted(model)), recorded(reply))
    told = Remote(recorded(reply).json()["id"])
    assert snapshot == Snapshot(phase=Phase.PENDING, remote=told)
    with pytest.raises(errors.UnexpectedReply):
        play(provider.poll(told), recorded(reply))


# Errors of both


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "request", errors.Rejected),
        (400, "credits", errors.QuotaExhausted),
        (400, "moderation", errors.ContentRejected),
        (401, "key", errors.KeyRefused),
        (402, "credits", errors.QuotaExhausted),
        (403, "key", errors.KeyRefused),
        (404, "absent", errors.ModelRefused),
        (409, "request", errors.OutcomeUnknown),
        (422, "fields", errors.Rejected),
        (429, "request", errors.RateLimited),
        (500, "credits", errors.Unavailable),
        (503, "request", errors.Unavailable),
    ],
)
def test_refused_submit_is_classed_by_status_and_text(
    status: int, name: str, kind: type[errors.ProviderError]
):
    flows = (luma.submit(wanted("ray-2")), luma_agents.submit(wanted("uni-1")))
    for flow in flows:
        with pytest.raises(errors.ProviderError) as caught:
            play(flow, recorded(f"luma/error_{name}", status=status))
        assert type(caught.value) is kind
        assert caught.value.status == status


def test_fields_that_do_not_fit_are_named():
    with pytest.raises(errors.Rejected) as caught:
        play(luma.submit(wanted("ray-2")), recorded("luma/error_fields", status=422))
    expected = "body.model: Input should be 'ray-2' or 'ray-flash-2'"
    assert str(caught.value) == f"{expected}; body.media: Field required"


def test_wait_that_is_asked_for_is_kept():
    reply = answer({"detail": "slow down"}, status=429, retry_after="7")
    with pytest.raises(errors.RateLimited) as caught:
        play(luma.submit(wanted("ray-2")), reply)
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("ray-2", {"action": "extend", "metadata": {"generation_id": JOB}}),
        ("ray-2", {"action": "upscale", "metadata": {"generation_id": JOB}}),
        ("uni-1", {"metadata": {"source": {"generation_id": JOB}}}),
        ("uni-1", {"metadata": {"image_ref": [{"file_id": "f1"}]}}),
    ],
)
def test_unknown_earlier_generation_is_the_clients_mistake(
    model: str, fields: dict[str, Any]
):
    provider = DREAM if DREAM.describe(model) else AGENTS
    with pytest.raises(errors.Rejected):
        play(
            provider.submit(wanted(model, **fields)),
            recorded("luma/error_absent", status=404),
        )


@pytest.mark.parametrize(
    ("provider", "remote"), [(DREAM, Remote(JOB)), (AGENTS, Remote(AGENT_JOB))]
)
def test_unknown_generation_is_not_found(provider: Provider, remote: Remote):
    with pytest.raises(errors.NotFound):
        play(provider.poll(remote), recorded("luma/error_absent", status=404))


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (400, {"error": {"code": "content_moderated", "message": "no"}}, "C", "no"),
        (400, {"error": "no", "code": "budget_exhausted"}, "Q", "no"),
        (400, {"failure_code": "rate_limited", "failure_reason": "no"}, "L", "no"),
        (400, {"detail": {"code": "image_too_large", "message": "no"}}, "R", "no"),
        (403, {"message": "no"}, "K", "no"),
        (401, {"detail": "no"}, "K", "no"),
        (422, {"detail": [{"msg": "no"}]}, "R", ": no"),
        (400, {}, "R", "HTTP 400 without a readable error"),
    ],
)
def test_error_of_agents_is_read_in_whatever_shape_it_comes(
    status: int, body: dict[str, Any], kind: str, text: str
):
    kinds = {
        "C": errors.ContentRejected,
        "K": errors.KeyRefused,
        "L": errors.RateLimited,
        "Q": errors.QuotaExhausted,
        "R": errors.Rejected,
    }
    with pytest.raises(errors.ProviderError) as caught:
        play(luma_agents.submit(wanted("uni-1")), answer(body, status=status))
    assert (type(caught.value), str(caught.value)) == (kinds[kind], text)


# Luma Agents: what is answered


@pytest.mark.parametrize(
    ("name", "phase"), [("queued", Phase.PENDING), ("processing", Phase.RUNNING)]
)
def test_generation_of_agents_is_followed(name: str, phase: Phase):
    expected = Snapshot(phase=phase, remote=Remote(AGENT_JOB))
    assert agent_looked(name) == expected
    reply = recorded(f"luma-agents/{name}")
    assert play(luma_agents.submit(wanted("uni-1")), reply) == expected


@pytest.mark.parametrize(
    ("name", "artifacts"),
    [
        (
            "completed",
            [
                (
                    LINK,
                    None,
                )
            ],
        ),
        (
            "completed_video",
            [("https://outputs.luma.example/c07f/0.mp4?X-Amz-Signature=77", None)],
        ),
        (
            "completed_layers",
            [
                ("https://outputs.luma.example/c07f/0.png", "keeper"),
                ("https://outputs.luma.example/c07f/1.png", "tower"),
                ("https://outputs.luma.example/c07f/2.png", "sky"),
            ],
        ),
    ],
)
def test_outputs_of_agents_are_results_and_layers_have_names(
    name: str, artifacts: list[tuple[str, str | None]]
):
    snapshot = agent_looked(name)
    assert (snapshot.phase, snapshot.percent) == (Phase.SUCCEEDED, 100)
    assert [(each.url, each.title) for each in snapshot.artifacts] == artifacts


@pytest.mark.parametrize("output", [[], None, [{"type": "image", "url": ""}]])
def test_agents_without_an_output_have_failed(output: Any):
    snapshot = agent_looked("completed_nothing", output=output)
    assert snapshot.failure is not None
    assert (snapshot.phase, snapshot.failure.code) == (Phase.FAILED, "no_output")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("content_moderated", Reason.CONTENT_REJECTED),
        ("generation_failed", Reason.UPSTREAM_FAILED),
        ("budget_exhausted", Reason.UPSTREAM_FAILED),
        ("output_not_found", Reason.UPSTREAM_EXPIRED),
        ("image_too_large", Reason.INVALID_REQUEST),
        ("unsupported_format", Reason.INVALID_REQUEST),
        ("corrupt_input", Reason.INVALID_REQUEST),
        ("invalid_request", Reason.INVALID_REQUEST),
        ("rate_limited", Reason.UPSTREAM_FAILED),
        ("a_new_code", Reason.UPSTREAM_FAILED),
        (None, Reason.UPSTREAM_FAILED),
    ],
)
def test_code_of_agents_tells_the_reason(code: str | None, reason: Reason):
    failure = agent_looked("failed_blocked", failure_code=code).failure
    assert failure is not None
    assert (failure.reason, failure.code) == (reason, code or "")
    assert failure.message == "The request was moderated."


def test_failure_of_agents_may_have_no_reason():
    failure = agent_looked("failed_untold").failure
    assert failure is not None
    assert failure.message == "the generation failed without a reason"


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "napping"},
        {"state": "dreaming"},
        {"id": None},
        {"state": "completed", "output": [{"type": "image", "url": "soon"}]},
        {"state": "completed", "output": ["https://x.example/a.png"]},
    ],
)
def test_undocumented_answer_of_agents_is_unexpected(changes: dict[str, Any]):
    with pytest.raises(errors.UnexpectedReply):
        agent_looked("queued", **changes)


# Lists, deletion, callbacks, keys


def test_many_generations_are_looked_at_in_one_list():
    remotes = [Remote(JOB), Remote(SECOND), Remote(ODD)]
    calls = calls_of(luma.poll_many(remotes), recorded("luma/list"))
    assert [(call.url, call.params) for call in calls] == [
        ("/generations", {"limit": "100", "offset": "0"})
    ]
    found = play(luma.poll_many(remotes), recorded("luma/list"))
    assert found[JOB].artifacts == looked("completed_video").artifacts
    assert found[SECOND].phase is Phase.RUNNING
    # one that cannot be read does not spoil the others
    assert found[ODD] == Snapshot(phase=Phase.RUNNING, remote=Remote(ODD))


def test_generations_that_the_list_lacks_are_looked_at_one_by_one():
    remotes = [Remote("gone"), Remote(JOB), Remote("old"), Remote("odd")]
    replies = (
        recorded("luma/list"),
        recorded("luma/error_absent", status=404),
        answer({"id": "old", "state": "queued"}),
        answer({"id": "odd", "state": "napping"}),
    )
    found = play(luma.poll_many(remotes), *replies)
    assert {name: found[name].phase for name in found} == {
        JOB: Phase.SUCCEEDED,
        "old": Phase.PENDING,
        "odd": Phase.RUNNING,
    }


def test_few_generations_are_looked_at_without_a_list():
    (call,) = calls_of(luma.poll_many([Remote(JOB)]), recorded("luma/queued"))
    assert call.url == f"/generations/{JOB}"
    absent = recorded("luma/error_absent", status=404)
    assert play(luma.poll_many([Remote(JOB)]), absent) == {}
    with pytest.raises(errors.UnexpectedReply):
        play(luma.poll_many([Remote(JOB)]), recorded("luma/undocumented"))
    with pytest.raises(errors.RateLimited):  # says nothing of the other one
        play(
            luma.poll_many([Remote(JOB), Remote(SECOND)]),
            recorded("luma/queued"),
            recorded("luma/error_request", status=429),
        )


def test_lost_generation_is_found_by_the_address_it_calls_back():
    request = wanted("ray-2", callback_url=HOOK)
    found = play(luma.find(request), recorded("luma/list_more"), recorded("luma/list"))
    assert found is not None
    assert (found.remote, found.phase) == (Remote(JOB), Phase.SUCCEEDED)


@pytest.mark.parametrize(
    ("hook", "names"),
    [
        (None, []),
        ("https://gw.example/upstream/luma/s9.zzz", ["list"]),
        ("https://gw.example/upstream/luma/s9.zzz", ["list_more"] * 3),
    ],
)
def test_generation_that_is_not_listed_is_not_surely_absent(
    hook: str | None, names: list[str]
):
    replies = [recorded(f"luma/{name}") for name in names]
    with pytest.raises(errors.OutcomeUnknown):
        play(luma.find(wanted("ray-2", callback_url=hook)), *replies)


@pytest.mark.parametrize(
    ("status", "stopped"), [(204, True), (200, True), (404, False)]
)
def test_generation_is_deleted(status: int, stopped: bool):
    assert luma.PROVIDER.cancel is not None
    flow = luma.PROVIDER.cancel(Remote(JOB))
    assert play(flow, Reply(status)) is stopped


def test_deletion_that_is_refused_is_an_error():
    with pytest.raises(errors.RateLimited):
        play(luma.cancel(Remote(JOB)), Reply(429))
    (call,) = calls_of(luma.cancel(Remote("a/b")), Reply(204))
    assert (call.method, call.url) == ("DELETE", "/generations/a%2Fb")


def test_callback_names_the_generation_and_is_unsigned():
    heard = luma.receive(Callback({}, recorded("luma/callback").content), "ray-2")
    assert (heard.ids, heard.remote, heard.signed) == ((JOB,), Remote(JOB), None)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": 7}', '{"id": ""}'])
def test_callback_without_an_id_is_none(body: str):
    with pytest.raises(errors.UnexpectedReply):
        luma.receive(Callback({}, body.encode()), "ray-2")


@pytest.mark.parametrize(
    ("provider", "url", "reply"),
    [
        (DREAM, "/credits", "luma/credits"),
        (AGENTS, "/files", "luma-agents/files"),
    ],
)
def test_key_is_proved_without_cost(provider: Provider, url: str, reply: str):
    assert provider.test is not None
    (call,) = calls_of(provider.test(), recorded(reply))
    assert (call.method, call.url, call.paid) == ("GET", url, False)
    with pytest.raises(errors.KeyRefused):
        play(provider.test(), recorded("luma-agents/error_detail", status=401))


@pytest.mark.parametrize("provider", [DREAM, AGENTS])
def test_key_is_a_bearer(provider: Provider):
    sent = provider.authorize(Call("GET", "/credits"), Credentials("luma-1", {}, 0))
    assert sent.headers == {"Authorization": "Bearer luma-1"}


def test_agents_have_no_powers_that_are_not_documented():
    assert (AGENTS.find, AGENTS.cancel, AGENTS.poll_many, AGENTS.receive) == (None,) * 4
    assert json.dumps(agent_body("uni-1", callback_url=HOOK)).count("callback") == 0
