"""Luma's official clients, lumaai and luma-agents, against the sandbox."""

from __future__ import annotations

import base64
import functools
import io
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import av
import httpx
import luma_agents
import lumaai
import pytest
from luma_agents import Luma
from lumaai import LumaAI
from PIL import Image

from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.receiving import next_callback, receiving

IMAGE, CLIP = "https://cdn.example.com/a.png", "https://cdn.example.com/clip.mp4"
SECRET = "sandbox-id:sandbox-key"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


@pytest.fixture(scope="module")
def dream(sandbox: Sandbox) -> Callable[..., LumaAI]:
    """One client for each key: making one takes longer than most tests."""
    base_url = f"{sandbox.url}/luma/dream-machine/v1"

    @functools.cache
    def connected(key: str = SECRET) -> LumaAI:
        return LumaAI(auth_token=key, base_url=base_url, max_retries=0)

    return connected


@pytest.fixture(scope="module")
def agents(sandbox: Sandbox) -> Callable[..., Luma]:
    """One client for each key."""
    base_url = f"{sandbox.url}/luma/agents/v1"

    @functools.cache
    def connected(key: str = SECRET) -> Luma:
        return Luma(auth_token=key, base_url=base_url, max_retries=0)

    return connected


def ended(client: Any, generation: Any) -> Any:
    ends_at = time.monotonic() + 10
    while generation.state not in ("completed", "failed"):
        assert time.monotonic() < ends_at
        generation = client.generations.get(generation.id)
    return generation


def a_picture() -> bytes:
    small = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(small, "png")
    return small.getvalue()


PICTURE = a_picture()
DATA: Any = {"data": base64.b64encode(PICTURE).decode(), "media_type": "image/png"}


def fetched(url: Any) -> bytes:
    reply = httpx.get(str(url))
    assert reply.status_code == 200
    return reply.content


def shape_of(film: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(film)) as opened:
        stream = opened.streams.video[0]
        return stream.width, stream.height


# Dream Machine


def test_film_is_followed_to_its_file(dream: Callable[..., LumaAI]) -> None:
    client = dream()
    made = client.generations.video.create(
        model="ray-flash-2",
        prompt="a paper boat [slow 1500ms]",
        aspect_ratio="9:16",
        resolution="720p",
        duration="5s",
        keyframes={"frame0": {"type": "image", "url": IMAGE}},
    )
    assert (made.state, made.assets, made.generation_type) == ("queued", None, "video")
    seen = []
    while (now := client.generations.get(str(made.id))).state != "completed":
        seen.append(now.state)
        assert now.assets is None or now.assets.video is None
    assert list(dict.fromkeys(seen)) == ["queued", "dreaming"]
    assert now.assets is not None
    width, height = shape_of(fetched(now.assets.video))
    assert width < height
    assert Image.open(io.BytesIO(fetched(now.assets.image))).format == "JPEG"
    request: Any = now.request
    assert request.keyframes.frame0.url == IMAGE


def test_image_comes_in_its_format_or_at_once(dream: Callable[..., LumaAI]) -> None:
    client = dream()
    image = ended(
        client,
        client.generations.image.create(
            model="photon-1",
            prompt="x",
            aspect_ratio="1:1",
            format="png",
            modify_image_ref={"url": IMAGE, "weight": 0.5},
        ),
    )
    opened = Image.open(io.BytesIO(fetched(image.assets.image)))
    assert (opened.format, opened.size) == ("PNG", (1024, 1024))
    waited = client.generations.image.create(
        model="photon-flash-1", prompt="x", sync=True
    )
    assert waited.state == "completed"
    for tag in ("fail", "blocked"):
        waited = client.generations.image.create(
            model="photon-flash-1", prompt=f"x [{tag}]", sync=True
        )
        assert waited.state == "failed"


def test_generations_are_changed_listed_and_deleted(
    dream: Callable[..., LumaAI], sandbox: Sandbox
) -> None:
    client = dream()
    film = ended(client, client.generations.create(model="ray-2", prompt="x"))
    others = [
        client.generations.upscale(film.id, resolution="1080p"),
        client.generations.audio(film.id, prompt="rain", negative_prompt="voices"),
        client.generations.video.create(
            model="ray-2",
            keyframes={"frame0": {"type": "generation", "id": film.id}},
        ),
        client.generations.video.modify(
            generation_type="modify_video",
            model="ray-2",
            media={"url": CLIP},
            mode="flex_1",
            first_frame={"url": IMAGE},
        ),
        client.generations.video.reframe(
            generation_type="reframe_video",
            model="ray-flash-2",
            media={"url": CLIP},
            aspect_ratio="1:1",
        ),
        client.generations.image.reframe(
            generation_type="reframe_image",
            model="photon-1",
            media={"url": IMAGE},
            aspect_ratio="21:9",
        ),
    ]
    for each in others:
        assert ended(client, each).state == "completed"
    listed = client.generations.list(limit=3, offset=1)
    assert (listed.count, listed.has_more) == (3, True)
    newest_first = [str(each.id) for each in reversed(others)]
    assert [each.id for each in listed.generations] == newest_first[1:4]
    assert client.generations.list().count == 7
    assert dream("another-key").generations.list().count == 0
    with pytest.raises(lumaai.NotFoundError):
        dream("another-key").generations.get(film.id)
    client.generations.delete(film.id)
    for call in (client.generations.get, client.generations.delete):
        with pytest.raises(lumaai.NotFoundError):
            call(film.id)
    assert len(sandbox.ledger.submits("luma")) == 7


def test_running_generation_is_deleted(dream: Callable[..., LumaAI]) -> None:
    client = dream()
    made = client.generations.create(model="ray-2", prompt="x [slow 30s]")
    with pytest.raises(lumaai.BadRequestError):  # it is not completed
        client.generations.upscale(str(made.id), resolution="4k")
    client.generations.delete(str(made.id))
    with pytest.raises(lumaai.NotFoundError):
        client.generations.get(str(made.id))


@pytest.mark.parametrize(
    ("tag", "reason"), [("blocked", "moderation"), ("fail", "Job failed")]
)
def test_failed_generation_tells_its_reason(
    dream: Callable[..., LumaAI], tag: str, reason: str
) -> None:
    client = dream()
    made = client.generations.create(model="ray-2", prompt=f"x [{tag}]")
    assert reason in ended(client, made).failure_reason


@pytest.mark.parametrize(
    ("key", "changes", "kind"),
    [
        ("bad-key", {}, lumaai.AuthenticationError),
        ("quota-key", {}, lumaai.BadRequestError),
        (SECRET, {"prompt": "x [403]"}, lumaai.PermissionDeniedError),
        (SECRET, {"prompt": "x [429]"}, lumaai.RateLimitError),
        (SECRET, {"prompt": "x [503 before]"}, lumaai.InternalServerError),
        *(
            (SECRET, changes, lumaai.UnprocessableEntityError)
            for changes in (
                {"model": "ray-9"},
                {"aspect_ratio": "3:2"},
                {"duration": "6s"},
                {"resolution": "360p"},
                {"prompt": ""},
                {"loop": "yes"},
                {"keyframes": {"frame0": {"type": "image", "url": "data:,x"}}},
                {"keyframes": {"frame0": {"type": "generation", "id": "none"}}},
                {"keyframes": {"frame0": {"type": "film"}}},
                {"keyframes": {"frame2": {"type": "image", "url": IMAGE}}},
            )
        ),
    ],
)
def test_refusals_are_the_clients_own_errors(
    dream: Callable[..., LumaAI],
    sandbox: Sandbox,
    key: str,
    changes: dict[str, Any],
    kind: type[Exception],
) -> None:
    with pytest.raises(kind):
        dream(key).generations.create(**{"model": "ray-2", "prompt": "x", **changes})
    assert not sandbox.ledger.submits("luma")


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "ray-2"},
        {"prompt": ""},
        {"format": "webp"},
        {"image_ref": [{"url": IMAGE}] * 5},
        {"image_ref": [IMAGE]},
        {"style_ref": [{"url": IMAGE, "weight": 2}]},
        {"character_ref": {"identity0": {"images": []}}},
        {"character_ref": {"identity1": {}}},
        {"modify_image_ref": {"url": "data:image/png;base64,aGk="}},
    ],
)
def test_image_that_does_not_fit_is_refused(
    dream: Callable[..., LumaAI], changes: dict[str, Any]
) -> None:
    with pytest.raises(lumaai.UnprocessableEntityError) as caught:
        dream().generations.image.create(
            **{"model": "photon-1", "prompt": "x", **changes}
        )
    body: Any = caught.value.body
    assert body["detail"][0]["loc"][0] == "body"


def test_balance_concepts_and_ping(dream: Callable[..., LumaAI]) -> None:
    client = dream()
    assert client.credits.get().credit_balance > 0
    assert "dolly_zoom" in client.generations.concepts.list()
    assert client.ping.check().message == "pong"
    with pytest.raises(lumaai.AuthenticationError):
        dream("bad-key").credits.get()


def test_every_change_of_state_is_called_back(dream: Callable[..., LumaAI]) -> None:
    client = dream()
    with receiving() as (url, heard):
        for prompt, states in (
            ("x", ["dreaming", "completed"]),
            ("x [fail]", ["dreaming", "failed"]),
        ):
            made = client.generations.create(
                model="ray-2", prompt=prompt, callback_url=url
            )
            told = [next_callback(heard).body for _ in states]
            parsed = [lumaai.types.Generation.model_validate_json(t) for t in told]
            assert {each.id for each in parsed} == {made.id}
            assert [each.state for each in parsed] == states


# Luma Agents


@pytest.mark.parametrize(
    ("changes", "form", "size"),
    [
        ({"aspect_ratio": "2:1", "output_format": "png"}, "PNG", (2048, 1024)),
        ({"type": "image_edit", "source": DATA, "style": "manga"}, "JPEG", (1024,) * 2),
        (
            {"image_ref": [{"url": IMAGE}, DATA], "output_format": "jpeg"},
            "JPEG",
            (1024, 1024),
        ),
    ],
)
def test_image_of_agents_is_made(
    agents: Callable[..., Luma],
    changes: dict[str, Any],
    form: str,
    size: tuple[int, int],
) -> None:
    client = agents()
    made = ended(client, client.generations.create(prompt="a paper boat", **changes))
    (output,) = made.output
    opened = Image.open(io.BytesIO(fetched(output.url)))
    assert (opened.format, opened.size, output.type) == (form, size, "image")
    assert httpx.get(output.url.partition("?")[0]).status_code == 403


def test_layers_have_labels_and_films_are_chained(agents: Callable[..., Luma]) -> None:
    client = agents()
    source: Any = {"url": IMAGE}
    made = client.generations.create(
        prompt="x", type="layering", source=source, layering={"resolution": "1k"}
    )
    layers = ended(client, made).output
    assert [each.layer.index for each in layers] == [0, 1, 2]
    assert layers[2].layer.alpha_hint == "none"
    first = ended(
        client,
        client.generations.create(
            model="ray-3.2",
            type="video",
            prompt="x",
            aspect_ratio="3:4",
            video={"duration": "5s", "resolution": "360p", "start_frame": DATA},
        ),
    )
    width, height = shape_of(fetched(first.output[0].url))
    assert width < height
    chained: list[dict[str, Any]] = [
        {"type": "video_edit", "source": {"generation_id": first.id}},
        {
            "type": "video_reframe",
            "source": {"url": CLIP, "media_type": "video/mp4"},
            "aspect_ratio": "9:16",
        },
        {
            "type": "video",
            "video": {
                "keyframes": [DATA, {"generation_id": first.id}],
                "keyframe_indexes": [0, 240],
                "duration": "10s",
                "hdr": True,
                "exr_export": True,
            },
        },
    ]
    for wanted in chained:
        made = client.generations.create(model="ray-3.2", prompt="x", **wanted)
        assert ended(client, made).state == "completed"


@pytest.mark.parametrize(
    ("tag", "code"), [("blocked", "content_moderated"), ("fail", "generation_failed")]
)
def test_failure_of_agents_has_a_code(
    agents: Callable[..., Luma], tag: str, code: str
) -> None:
    client = agents()
    made = client.generations.create(prompt=f"x [{tag}]")
    assert (made.state, made.type, made.model) == ("queued", "image", "uni-1")
    assert ended(client, made).failure_code == code


FRAME = {"url": IMAGE}
FILM: dict[str, Any] = {"model": "ray-3.2", "type": "video"}


@pytest.mark.parametrize(
    ("key", "changes", "kind"),
    [
        ("bad-key", {}, luma_agents.AuthenticationError),
        ("quota-key", {}, luma_agents.APIStatusError),
        (SECRET, {"prompt": "x [403]"}, luma_agents.PermissionDeniedError),
        (SECRET, {"prompt": "x [429]"}, luma_agents.RateLimitError),
        (SECRET, {"prompt": "x [400]"}, luma_agents.BadRequestError),
        *(
            (SECRET, changes, luma_agents.UnprocessableEntityError)
            for changes in (
                {"prompt": ""},
                {"model": "uni-9"},
                {"type": "video"},
                {"model": "uni-1-max", "type": "layering", "source": FRAME},
                {"aspect_ratio": "9:21"},
                {"output_format": "webp"},
                {"style": "oil"},
                {"type": "image_edit"},
                {"type": "image_edit", "source": {}},
                {"type": "image_edit", "source": {"url": IMAGE, "file_id": "f"}},
                {"type": "image_edit", "source": {"generation_id": "g"}},
                {"type": "image_edit", "source": {"file_id": "f"}},
                {"image_ref": [{"data": "aGk=", "media_type": "image/png"}]},
                {"image_ref": [{"data": DATA["data"]}]},
                {"image_ref": [{"url": "data:image/png;base64,aGk="}]},
                {"image_ref": [FRAME] * 10},
                {"type": "image_edit", "source": FRAME, "image_ref": [FRAME] * 9},
                {"type": "layering", "source": FRAME, "prompt": "x" * 501},
                {"type": "layering", "source": FRAME, "layering": {"resolution": "4k"}},
                {"layering": {"resolution": "1k"}},
                {"video": {"duration": "5s"}},
                {**FILM, "aspect_ratio": "3:1"},
                {**FILM, "video": {"duration": "9s"}},
                {**FILM, "video": {"duration": "10s", "loop": True}},
                {**FILM, "video": {"exr_export": True}},
                {**FILM, "video": {"hdr": True, "resolution": "360p"}},
                {**FILM, "video": {"edit": {"strength": "flex_1"}}},
                {**FILM, "video": {"keyframes": [FRAME], "keyframe_indexes": [121]}},
                {**FILM, "video": {"keyframes": [FRAME], "keyframe_indexes": [1, 2]}},
                {
                    **FILM,
                    "video": {
                        "keyframes": [FRAME],
                        "keyframe_indexes": [0],
                        "start_frame": FRAME,
                    },
                },
                {"model": "ray-3.2", "type": "video_edit", "source": {"url": CLIP}},
            )
        ),
    ],
)
def test_refusals_of_agents_are_the_clients_own_errors(
    agents: Callable[..., Luma],
    sandbox: Sandbox,
    key: str,
    changes: dict[str, Any],
    kind: type[Exception],
) -> None:
    with pytest.raises(kind):
        agents(key).generations.create(**{"prompt": "x", **changes})
    assert not sandbox.ledger.submits("luma")


def test_answers_of_agents_name_the_version(agents: Callable[..., Luma]) -> None:
    client = agents()
    told = client.generations.with_raw_response.create(prompt="x")
    assert told.headers["X-API-Version"] == "2026-04-01"
    with pytest.raises(luma_agents.NotFoundError):
        client.generations.get(str(uuid.uuid4()))
    with pytest.raises(luma_agents.NotFoundError):
        agents("another-key").generations.get(told.parse().id)


def test_file_is_uploaded_completed_used_and_deleted(
    agents: Callable[..., Luma],
) -> None:
    client = agents()
    wanted: dict[str, Any] = {"mime_type": "image/png", "size_bytes": len(PICTURE)}
    made = client.files.create(**wanted, filename="a.png", purpose="input")
    assert made.upload is not None
    assert (made.state, made.upload.method) == ("pending", "PUT")
    url = made.upload.url
    assert httpx.put(url.partition("?")[0], content=PICTURE).status_code == 403
    assert httpx.put(url, content=PICTURE, headers=made.upload.headers).is_success
    assert client.files.complete(made.id).state == "ready"
    edit: dict[str, Any] = {"prompt": "x", "type": "image_edit"}
    assert client.generations.create(**edit, source={"file_id": made.id}).id
    empty = client.files.create(**wanted)
    failed = client.files.complete(empty.id)
    assert (failed.state, bool(failed.failure_reason)) == ("failed", True)
    listed = client.files.list(limit=1)
    assert ([each.id for each in listed.data], listed.has_more) == ([empty.id], True)
    listed = client.files.list(cursor=str(listed.next_cursor))
    assert ([each.id for each in listed.data], listed.has_more) == ([made.id], False)
    assert [each.id for each in client.files.list(state="ready").data] == [made.id]
    client.files.delete(made.id)
    assert client.files.get(made.id).state == "deleted"
    with pytest.raises(luma_agents.UnprocessableEntityError):
        client.generations.create(**edit, source={"file_id": made.id})
    with pytest.raises(luma_agents.NotFoundError):
        client.files.get("none")


def test_file_in_a_form_is_ready_at_the_next_look(
    agents: Callable[..., Luma], sandbox: Sandbox
) -> None:
    client = agents()
    reply = httpx.post(
        f"{sandbox.url}/luma/agents/v1/files",
        headers={"Authorization": f"Bearer {SECRET}"},
        files={"file": ("a.png", PICTURE, "image/png")},
    )
    told = reply.json()
    assert (told["state"], told["upload"]) == ("pending", None)
    assert reply.status_code == 201
    assert client.files.get(told["id"]).state == "ready"
    no_picture = httpx.post(
        f"{sandbox.url}/luma/agents/v1/files",
        headers={"Authorization": f"Bearer {SECRET}"},
        files={"file": ("a.png", b"no picture", "image/png")},
    )
    assert client.files.get(no_picture.json()["id"]).state == "failed"
