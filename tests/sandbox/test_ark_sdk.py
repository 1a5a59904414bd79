"""Volcengine's official client against the sandbox's Ark."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image
from volcenginesdkarkruntime import Ark
from volcenginesdkarkruntime import _exceptions as ark_errors
from volcenginesdkarkruntime.types.images import SequentialImageGenerationOptions

from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.receiving import receiving

VIDEO = "doubao-seedance-1-5-pro-251215"
OLD_VIDEO = "doubao-seedance-1-0-pro-250528"
IMAGE = "doubao-seedream-4-0-250828"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def a_client(sandbox: Sandbox, key: str = "sandbox-id:sandbox-key") -> Ark:
    return Ark(api_key=key, base_url=f"{sandbox.url}/ark/api/v3", max_retries=0)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Ark]:
    with a_client(sandbox) as made:
        yield made


def text(prompt: str) -> list[Any]:
    return [{"type": "text", "text": prompt}]


def created(client: Ark, prompt: str, model: str = VIDEO, **fields: Any) -> str:
    tasks = client.content_generation.tasks
    return tasks.create(model=model, content=text(prompt), **fields).id


def ended(client: Ark, task_id: str) -> Any:
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        task = client.content_generation.tasks.get(task_id=task_id)
        if task.status not in {"queued", "running"}:
            return task
        time.sleep(0.03)
    raise AssertionError("the task does not end")


def fetched(url: str) -> bytes:
    reply = requests.get(url, timeout=10)
    assert reply.status_code == 200
    return reply.content


def test_a_video_is_created_awaited_and_fetched(client: Ark):
    picture = io.BytesIO()
    Image.new("RGB", (400, 320), "navy").save(picture, "png")
    start = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    content = [
        *text("a kite over the dunes [slow 600ms]"),
        {"type": "image_url", "image_url": {"url": start}, "role": "first_frame"},
    ]
    task_id = client.content_generation.tasks.create(
        model=VIDEO,
        content=content,
        resolution="480p",
        ratio="1:1",
        duration=4,
        seed=9,
        return_last_frame=True,
    ).id
    first = client.content_generation.tasks.get(task_id=task_id)
    assert first.status in {"queued", "running"}
    task = ended(client, task_id)
    assert (task.status, task.model, task.seed) == ("succeeded", VIDEO, 9)
    assert (task.resolution, task.ratio, task.duration) == ("480p", "1:1", 4)
    assert task.usage.completion_tokens == task.usage.total_tokens > 0
    with av.open(io.BytesIO(fetched(task.content.video_url))) as film:
        stream = film.streams.video[0]
        assert stream.width == stream.height
    assert Image.open(io.BytesIO(fetched(task.content.last_frame_url))).format == "PNG"


def test_a_waiting_task_is_cancelled_and_a_finished_one_is_removed(client: Ark):
    tasks = client.content_generation.tasks
    waiting = created(client, "a slow one [slow 60s]")
    tasks.delete(waiting)
    assert tasks.get(task_id=waiting).status == "cancelled"
    finished = created(client, "a quick one")
    ended(client, finished)
    tasks.delete(finished)
    with pytest.raises(ark_errors.ArkNotFoundError):
        tasks.get(task_id=finished)


def test_a_running_task_is_not_deleted(client: Ark):
    task_id = created(client, "a slow one [slow 6s]")
    while client.content_generation.tasks.get(task_id=task_id).status == "queued":
        time.sleep(0.05)
    with pytest.raises(ark_errors.ArkAPIStatusError) as caught:
        client.content_generation.tasks.delete(task_id)
    assert caught.value.code == "InvalidAction.RunningTaskDeletion"


def test_tasks_are_listed_with_their_results(client: Ark, sandbox: Sandbox):
    ids = [created(client, f"number {number}") for number in range(3)]
    for task_id in ids:
        ended(client, task_id)
    slow = created(client, "a slow one [slow 60s]", OLD_VIDEO)
    tasks = client.content_generation.tasks
    assert [task.id for task in tasks.list().items] == [slow, *reversed(ids)]
    two = tasks.list(task_ids=ids[:2])
    assert {task.id for task in two.items} == set(ids[:2])
    assert all(task.content.video_url for task in two.items)
    assert tasks.list(status="succeeded", page_num=2, page_size=2).total == 3
    assert [task.id for task in tasks.list(model=OLD_VIDEO).items] == [slow]
    assert tasks.list(service_tier="flex").total == 0
    with a_client(sandbox, "another-key") as stranger:
        assert stranger.content_generation.tasks.list().total == 0


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("[fail]", "InternalServiceError"),
        ("[blocked late]", "OutputVideoSensitiveContentDetected"),
    ],
)
def test_a_failed_task_bears_its_error(client: Ark, tag: str, code: str):
    task = ended(client, created(client, f"x {tag}"))
    assert (task.status, task.error.code) == ("failed", code)


@pytest.mark.parametrize(
    ("prompt", "fields", "kind", "code"),
    [
        (
            "x [blocked]",
            {},
            ark_errors.ArkBadRequestError,
            "InputTextSensitiveContentDetected",
        ),
        (
            "x [429 once]",
            {},
            ark_errors.ArkRateLimitError,
            "RateLimitExceeded.EndpointRPMExceeded",
        ),
        (
            "x [quota]",
            {},
            ark_errors.ArkPermissionDeniedError,
            "AccountOverdueError",
        ),
        (
            "x [503 before]",
            {},
            ark_errors.ArkInternalServerError,
            "InternalServiceError",
        ),
        (
            "x",
            {"model": "doubao-seedance-7"},
            ark_errors.ArkNotFoundError,
            "InvalidEndpointOrModel.NotFound",
        ),
        (
            "x",
            {"resolution": "720P"},
            ark_errors.ArkBadRequestError,
            "InvalidParameter",
        ),
    ],
)
def test_a_refusal_is_the_clients_own_exception(
    client: Ark,
    sandbox: Sandbox,
    prompt: str,
    fields: dict[str, Any],
    kind: type[ark_errors.ArkAPIStatusError],
    code: str,
):
    with pytest.raises(kind) as caught:
        created(client, prompt, **fields)
    assert caught.value.code == code
    assert sandbox.ledger.submits("ark") == []


def test_a_bad_key_is_refused(sandbox: Sandbox):
    with (
        a_client(sandbox, "bad-key") as client,
        pytest.raises(ark_errors.ArkAuthenticationError),
    ):
        created(client, "x")


def test_the_client_repeats_a_paid_call_unless_it_is_told_not_to(sandbox: Sandbox):
    """Why it never submits for the gateway."""
    with (
        Ark(
            api_key="k-1", base_url=f"{sandbox.url}/ark/api/v3", max_retries=1
        ) as client,
        pytest.raises(ark_errors.ArkInternalServerError),
    ):
        created(client, "x [500]")
    assert len(sandbox.ledger.submits("ark")) == 2


def test_an_image_is_made_in_the_size_asked_for(client: Ark):
    answer = client.images.generate(
        model=IMAGE, prompt="a harbour", size="1280x800", watermark=False
    )
    (item,) = answer.data
    assert (answer.model, item.size) == (IMAGE, "1280x800")
    assert answer.usage.generated_images == 1
    image = Image.open(io.BytesIO(fetched(item.url)))
    assert (image.format, image.size) == ("JPEG", (1280, 800))


def test_a_series_tells_which_of_its_images_was_blocked(client: Ark):
    answer = client.images.generate(
        model=IMAGE,
        prompt="four seasons [partial]",
        size="1K",
        response_format="b64_json",
        sequential_image_generation="auto",
        sequential_image_generation_options=SequentialImageGenerationOptions(
            max_images=3
        ),
    )
    assert len(answer.data) == 3
    for item in answer.data[:2]:
        image = Image.open(io.BytesIO(base64.b64decode(item.b64_json)))
        assert image.size == (1024, 1024)
    told = answer.model_dump()["data"][2]
    assert told["error"]["code"] == "OutputImageSensitiveContentDetected"


def test_images_may_come_as_a_stream(client: Ark):
    stream = client.images.generate(
        model=IMAGE,
        prompt="two boats",
        size="1K",
        stream=True,
        sequential_image_generation="auto",
        sequential_image_generation_options=SequentialImageGenerationOptions(
            max_images=2
        ),
    )
    events = list(stream)
    assert [event.type for event in events] == [
        "image_generation.partial_succeeded",
        "image_generation.partial_succeeded",
        "image_generation.completed",
    ]
    assert fetched(events[0].url)


def test_a_blocked_image_is_a_bad_request(client: Ark):
    with pytest.raises(ark_errors.ArkBadRequestError) as caught:
        client.images.generate(model=IMAGE, prompt="x [blocked late]")
    assert caught.value.code == "OutputImageSensitiveContentDetected"


def test_every_change_of_state_calls_home(client: Ark, sandbox: Sandbox):
    with receiving() as (url, heard):
        task_id = created(client, "a slow one [slow 600ms]", callback_url=url)
        told = [json.loads(heard.get(timeout=10)[1]) for _ in range(3)]
    assert {task["id"] for task in told} == {task_id}
    told.sort(key=lambda task: task["status"])  # they come in any order
    assert [task["status"] for task in told] == ["queued", "running", "succeeded"]
    assert fetched(told[-1]["content"]["video_url"])
    assert sandbox.ledger.calls("ark", CallKind.WEBHOOK) == 3
