"""From intake to delivery over real processes, a real database and a real broker."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import requests
from PIL import Image
from standardwebhooks import Webhook

from tests.journeys.gateway import Gateway, distributed, eventually, receiving


@pytest.fixture(params=["redis_url", "rabbitmq_url"])
def gateway(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str
) -> Iterator[Gateway]:
    broker_url = request.getfixturevalue(request.param)
    with distributed(
        tmp_path, database_url=postgres_url, broker_url=broker_url
    ) as made:
        made.worker("submit,poll")
        made.worker("deliver,sweep")
        yield made


def a_picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (512, 512), "teal").save(file, "PNG")
    return file.getvalue()


def test_every_kind_of_media_comes_back_and_its_callback_is_signed(
    gateway: Gateway,
) -> None:
    with receiving() as receiver:
        hook = {"callback_url": receiver.url}
        image = gateway.post(model="wanx2.1-t2i-turbo", prompt="a paper boat", **hook)
        edit = gateway.post(
            model="gpt-image-2",
            prompt="paint it red",
            files={"image": ("boat.png", a_picture(), "image/png")},
            **hook,
        )
        video = gateway.post(model="wan2.7-t2v", prompt="it sails away", **hook)
        speech = gateway.post(model="tts-1", input="All aboard.", voice="alloy", **hook)
        song = gateway.post(model="suno_music", prompt="a sea shanty", **hook)
        flux = gateway.post(model="fal-ai/flux/dev", prompt="a lighthouse", **hook)
        ids = {image, edit, video, speech, song, flux}
        tasks = {task_id: gateway.ended(task_id) for task_id in ids}
        assert {t["status"] for t in tasks.values()} == {"succeeded"}, tasks

        files = {
            task_id: requests.get(task["result_urls"][0], timeout=10)
            for task_id, task in tasks.items()
        }
        for task_id in (image, edit, flux):
            Image.open(io.BytesIO(files[task_id].content)).load()
        for task_id in (video, speech, song):
            with av.open(io.BytesIO(files[task_id].content)) as container:
                assert next(container.decode()) is not None
        assert len(tasks[song]["result_urls"]) == 2

        eventually(
            lambda: {r.data["task_id"] for r in list(receiver.received)} == ids,
            20,
            "a callback for each task",
        )
        for received in receiver.received:
            event = Webhook(gateway.webhook_secret).verify(
                received.body, dict(received.headers)
            )
            assert event["type"] == "task.succeeded"
        assert len(receiver.received) == len(ids)
