"""Every provider and media type through the whole gateway: POST, upstream, callback.

All tasks are sent at once, before the first test waits for its own: the gateway works
on them side by side, as it would anywhere.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import av
import pytest
import requests
from PIL import Image
from standardwebhooks import Webhook

from app import model_cards
from providers.registry import PROVIDERS
from providers.types import MediaType, Model, Provider
from tests.journeys.gateway import Gateway, Receiver, distributed, eventually, receiving
from tests.services import fresh_postgres, fresh_redis

# A model that is cheap to simulate, where the first one that needs nothing is not.
CHOSEN = {
    ("stability", MediaType.AUDIO): "stable-audio-2",
}
FURTHER = {
    "stable-audio-2": {"duration": 2},
    "mj_video": {"image_url": "a picture"},  # needed unless it extends another film
}
# What ends a job whose upstream never tells: a lost answer, a look that always fails.
DEADLINE_S = 20


@dataclass(frozen=True)
class Case:
    """One provider and one thing that it makes."""

    provider: Provider
    model: Model

    @property
    def name(self) -> str:
        return f"{self.provider.name}-{self.model.media_type.value}"

    def body(self, tags: str = "") -> dict[str, Any]:
        """A small task of this kind whose prompt has these tags."""
        body = model_cards.example(self.name, self.model)
        word = "input" if "input" in body else "prompt"
        body[word] = f"{self.prompt}{tags}"
        body.update(FURTHER.get(self.model.name, {}))
        if "image_url" in body:
            body["image_url"] = f"data:image/png;base64,{PICTURE}"
        return body

    @property
    def prompt(self) -> str:
        return f"{self.name} "


def a_picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (512, 512), "teal").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PICTURE = a_picture()


def chosen(provider: Provider, media_type: MediaType) -> Model:
    models = [m for m in provider.models if m.media_type is media_type]
    named = CHOSEN.get((provider.name, media_type))
    if named:
        return next(m for m in models if m.name == named)
    needs_nothing = [m for m in models if not m.needs - {"prompt"}]
    return (needs_nothing or models)[0]


CASES = [
    Case(provider, chosen(provider, media_type))
    for provider in PROVIDERS
    for media_type in sorted({m.media_type for m in provider.models})
]
VARIANTS = {
    "works": "[Verse]",
    "fails": "[fail]",
    "moderated": "[blocked]",
    "limited": "[429 twice]",
    "expired": "[expire]",
}
# Stability asks for a minute after each refusal, as its documentation says.
LIMITED = [case for case in CASES if case.provider.name != "stability"]


@dataclass
class Journeys:
    """A gateway with every task on its way, and a receiver of the callbacks."""

    gateway: Gateway
    receiver: Receiver
    ids: dict[tuple[str, str], str]

    def ended(self, case: Case, variant: str) -> dict[str, Any]:
        return self.gateway.ended(self.ids[case.name, variant], 120)

    def paid(self, case: Case, variant: str) -> list[dict[str, Any]]:
        """What the simulated upstream was paid for a task."""
        return self.gateway.submits(case.prompt + VARIANTS[variant])


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journeys]:
    folder = tmp_path_factory.mktemp("journeys")
    with (
        fresh_postgres() as database_url,
        fresh_redis() as broker_url,
        receiving() as receiver,
        distributed(
            folder,
            database_url=database_url,
            broker_url=broker_url,
            channels=[a_channel(case) for case in CASES],
            GENRELAY_DEADLINE_S=str(DEADLINE_S),
        ) as gateway,
    ):
        gateway.worker()
        wanted = [
            (case, variant)
            for variant in VARIANTS
            for case in (LIMITED if variant == "limited" else CASES)
        ]

        def send(pair: tuple[Case, str]) -> str:
            case, variant = pair
            body = case.body(VARIANTS[variant])
            return gateway.post(**body, callback_url=receiver.url)

        with ThreadPoolExecutor(8) as pool:
            ids = list(pool.map(send, wanted))
        names = [(case.name, variant) for case, variant in wanted]
        yield Journeys(gateway, receiver, dict(zip(names, ids, strict=True)))


def a_channel(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "provider": case.provider.name,
        "sandbox_path": case.provider.sandbox_path,
        "secret": "id:secret",
        "models": {case.name: case.model.name},
        "limits": {"poll_spacing_s": 0},
    }


EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

# Synchronous models fail with a 5xx: nobody knows whether that was paid, so the task is
# given up when its time is over, and never sent again.
LOST_WHEN_IT_FAILS = {
    *("ark-image", "byteplus-image", "dashscope-audio", "elevenlabs-audio"),
    *("gemini-image", "ideogram-image", "minimax-audio", "minimax-image"),
    *("recraft-image", "stability-audio", "stability-image", "vertex-image"),
    *("xai-audio", "xai-image", "zai-audio", "zhipu-audio"),
}
FAILS_AS = {
    **dict.fromkeys(LOST_WHEN_IT_FAILS, "upstream_outcome_unknown"),
    # OpenAI answers a 400 of its own kind.
    **dict.fromkeys(("openai-audio", "openai-image"), "invalid_request"),
}
# The result is in the answer itself: there is no link that could expire.
INLINE = {
    *("elevenlabs-audio", "gemini-audio", "gemini-image", "openai-audio"),
    *("openai-image", "stability-audio", "stability-image", "vertex-image"),
    *("vertex-video", "xai-audio", "zai-audio", "zhipu-audio"),
}
EXPIRES_AS = {
    **dict.fromkeys(INLINE, None),
    # The job itself is forgotten, so the look says so before any file is fetched.
    "gemini-video": "upstream_expired",
}


def callback_of(journeys: Journeys, task: dict[str, Any]) -> dict[str, Any]:
    """The one callback of a task, as its receiver verifies it."""
    received = eventually(
        lambda: journeys.receiver.of(task["task_id"]), 30, "its callback"
    )
    event = Webhook(journeys.gateway.webhook_secret).verify(
        received[0].body, dict(received[0].headers)
    )
    assert event["data"]["status"] == task["status"]
    return dict(event)


@EVERY_CASE
def test_a_task_becomes_a_file_and_a_callback(journeys: Journeys, case: Case) -> None:
    task = journeys.ended(case, "works")

    assert (task["status"], task["error"]) == ("succeeded", "")
    assert task["media_type"] == case.model.media_type.value
    check_file(task["results"][0], case.model.media_type)
    event = callback_of(journeys, task)
    assert event["type"] == "task.succeeded"
    told = event["data"]["results"][0]
    assert told["size_bytes"] == task["results"][0]["size_bytes"]


@EVERY_CASE
def test_a_failure_is_told_and_paid_once(journeys: Journeys, case: Case) -> None:
    task = journeys.ended(case, "fails")

    wanted = FAILS_AS.get(case.name, "upstream_failed")
    assert (task["status"], task["error_code"]) == ("failed", wanted)
    assert task["error"]
    assert task["results"] == []
    assert callback_of(journeys, task)["type"] == "task.failed"
    assert len(journeys.paid(case, "fails")) <= 1


@EVERY_CASE
def test_moderation_is_told_as_such(journeys: Journeys, case: Case) -> None:
    task = journeys.ended(case, "moderated")

    assert (task["status"], task["error_code"]) == ("failed", "content_rejected")
    assert task["error"]
    assert callback_of(journeys, task)["type"] == "task.failed"


@pytest.mark.parametrize("case", LIMITED, ids=lambda case: case.name)
def test_a_rate_limit_costs_only_time(journeys: Journeys, case: Case) -> None:
    task = journeys.ended(case, "limited")

    assert (task["status"], task["error"]) == ("succeeded", "")
    assert len(journeys.paid(case, "limited")) == 1


@EVERY_CASE
def test_a_result_that_expired_is_told(journeys: Journeys, case: Case) -> None:
    task = journeys.ended(case, "expired")

    wanted = EXPIRES_AS.get(case.name, "result_unavailable")
    status = "succeeded" if wanted is None else "failed"
    assert (task["status"], task["error_code"]) == (status, wanted)
    assert bool(task["error"]) is (wanted is not None)
    assert callback_of(journeys, task)["type"] == f"task.{status}"


def check_file(result: dict[str, Any], media_type: MediaType) -> None:
    """The bytes behind a result's link are what they are said to be."""
    reply = requests.get(result["url"], timeout=30)
    assert reply.status_code == 200
    assert len(reply.content) == result["size_bytes"]
    if media_type is MediaType.IMAGE:
        with Image.open(io.BytesIO(reply.content)) as image:
            assert image.size == (result["width"], result["height"])
        return
    with av.open(io.BytesIO(reply.content)) as container:
        assert next(container.decode()) is not None
        streams = container.streams
        assert streams.video if media_type is MediaType.VIDEO else streams.audio
        seconds = (container.duration or 0) / 1e6
    if result["duration_s"] is not None:
        assert math.isclose(result["duration_s"], seconds, abs_tol=0.2)
