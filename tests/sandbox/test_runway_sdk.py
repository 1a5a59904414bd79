"""The official client, runwayml, against the sandbox over real sockets."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import av
import httpx
import pytest
import runwayml
from PIL import Image
from runwayml import RunwayML, TaskFailedError
from runwayml.lib import polling

from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running

IMAGE = "https://cdn.example.com/a.png"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def connect(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunwayML]:
    """Clients that look often; the pause between looks has no setting."""
    sandbox.reset()
    monkeypatch.setattr(polling, "POLL_TIME", 0.05)
    monkeypatch.setattr(polling, "POLL_JITTER", 0)

    def connected(key: str = "key_1", **settings: Any) -> RunwayML:
        base_url = f"{sandbox.url}/runway"
        return RunwayML(api_key=key, base_url=base_url, max_retries=0, **settings)

    return connected


@pytest.fixture
def client(connect: Callable[..., RunwayML]) -> RunwayML:
    return connect("sandbox-id:sandbox-key")


def fetched(task: Any, index: int = 0) -> bytes:
    reply = httpx.get(task.output[index])
    assert reply.status_code == 200
    return reply.content


def test_films_images_and_sounds_can_be_decoded(
    client: RunwayML, sandbox: Sandbox
) -> None:
    film = client.image_to_video.create(
        model="gen4.5",
        prompt_text="a compass",
        prompt_image=IMAGE,
        ratio="720:1280",
        duration=2,
    ).wait_for_task_output()
    with av.open(io.BytesIO(fetched(film))) as opened:
        assert opened.streams.video[0].height > opened.streams.video[0].width
    images = client.text_to_image.create(
        model="gpt_image_2", prompt_text="x", ratio="1920:1088", output_count=2
    ).wait_for_task_output()
    assert Image.open(io.BytesIO(fetched(images, 1))).size == (1920, 1088)
    sound = client.text_to_speech.create(
        model="eleven_multilingual_v2",
        prompt_text="Good morning.",
        voice={"type": "runway-preset", "preset_id": "Leslie"},
    ).wait_for_task_output()
    with av.open(io.BytesIO(fetched(sound))) as opened:
        assert opened.streams.audio
    assert len(sandbox.ledger.submits("runway")) == 3


def test_task_is_followed_and_deleted(client: RunwayML) -> None:
    made = client.text_to_video.create(
        model="veo3.1", prompt_text="x [slow 1500ms]", ratio="1280:720", duration=4
    )
    assert made.estimated_cost.credits == 30
    seen = []
    while (task := client.tasks.retrieve(made.id)).status != "SUCCEEDED":
        seen.append(task.status)
        if task.status == "RUNNING":
            assert 0 <= task.progress < 1
        time.sleep(0.02)
    assert list(dict.fromkeys(seen)) == ["PENDING", "RUNNING"]
    assert task.cost.credits == 30
    client.tasks.delete(made.id)
    for call in (client.tasks.retrieve, client.tasks.delete):
        with pytest.raises(runwayml.NotFoundError):
            call(made.id)


@pytest.mark.parametrize(
    ("tag", "code"), [("blocked", "SAFETY.INPUT.TEXT"), ("fail", "INTERNAL.BAD_OUTPUT")]
)
def test_failed_task_is_the_clients_own_error(
    client: RunwayML, tag: str, code: str
) -> None:
    task = client.text_to_video.create(
        model="gen4.5", prompt_text=f"x [{tag}]", ratio="1280:720", duration=5
    )
    with pytest.raises(TaskFailedError) as caught:
        task.wait_for_task_output()
    details: Any = caught.value.task_details
    assert details.failure_code.startswith(code)


@pytest.mark.parametrize(
    ("settings", "changes", "kind"),
    [
        ({"key": "bad-key"}, {}, runwayml.AuthenticationError),
        ({"key": "quota-key"}, {}, runwayml.BadRequestError),
        ({"runway_version": "2020-01-01"}, {}, runwayml.BadRequestError),
        ({}, {"ratio": "16:9"}, runwayml.BadRequestError),
        ({}, {"model": "gen9"}, runwayml.BadRequestError),
        ({}, {"prompt_text": ""}, runwayml.BadRequestError),
        ({}, {"prompt_text": "x" * 1001}, runwayml.BadRequestError),
        ({}, {"duration": 5.5}, runwayml.BadRequestError),
        ({}, {"seed": "7"}, runwayml.BadRequestError),
        ({}, {"extra_body": {"fps": 24}}, runwayml.BadRequestError),
        ({}, {"prompt_text": "x [429]"}, runwayml.RateLimitError),
        ({}, {"prompt_text": "x [403]"}, runwayml.PermissionDeniedError),
    ],
)
def test_refusals_are_the_clients_own_errors(
    connect: Callable[..., RunwayML],
    sandbox: Sandbox,
    settings: dict[str, Any],
    changes: dict[str, Any],
    kind: type[Exception],
) -> None:
    wanted: dict[str, Any] = {
        "model": "gen4.5",
        "prompt_text": "x",
        "ratio": "1280:720",
        "duration": 5,
    }
    client = connect(**settings)
    with pytest.raises(kind):
        client.text_to_video.create(**{**wanted, **changes})
    assert not sandbox.ledger.submits("runway")


def test_upload_is_used_in_a_task(client: RunwayML) -> None:
    place = client.uploads.create_ephemeral(file=("a.png", b"bytes of an image"))
    assert place.uri.startswith("runway://")
    wanted: dict[str, Any] = {"model": "gen4_turbo", "ratio": "1280:720"}
    assert client.image_to_video.create(**wanted, prompt_image=place.uri).id
    for wrong in ("runway://0", "data:image/png;base64,aGk=", "http://a.example/b"):
        with pytest.raises(runwayml.BadRequestError):
            client.image_to_video.create(**wanted, prompt_image=wrong)


def test_organization_and_strange_ids(client: RunwayML) -> None:
    assert client.organization.retrieve().credit_balance > 0
    with pytest.raises(runwayml.NotFoundError):
        client.tasks.retrieve(str(uuid.uuid4()))
    with pytest.raises(runwayml.BadRequestError):
        client.tasks.retrieve("seven")
