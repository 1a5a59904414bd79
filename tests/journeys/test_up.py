"""Everything in one process, as the quick start runs it: from a prompt to a file."""

from __future__ import annotations

import io
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from standardwebhooks import Webhook

from app.media import sniff
from tests.journeys.embedded import Up, run, up
from tests.journeys.gateway import Receiver, eventually, receiving

PROMPT = "a lighthouse made of paper, dawn"
IMAGE_MODEL = "wanx2.1-t2i-turbo"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A gateway for all that leaves it as it is."""
    with up(tmp_path_factory.mktemp("up") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


def a_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (256, 256), "navy").save(file, "PNG")
    return file.getvalue()


def fetched(result: dict[str, Any]) -> bytes:
    """The bytes behind a result's link, which needs no key."""
    reply = requests.get(result["url"], timeout=30)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == result["content_type"]
    assert len(reply.content) == result["size_bytes"]
    return reply.content


def test_the_first_line_tells_where_everything_is(gateway: Up) -> None:
    ready = requests.get(f"{gateway.url}/readyz", timeout=30)

    assert ready.status_code == 200
    assert gateway.url.startswith("http://127.0.0.1:")
    assert gateway.api_key.startswith("sk-")
    assert gateway.webhook_secret.startswith("whsec_")
    assert requests.get(f"{gateway.sandbox_url}/_sandbox/healthz", timeout=30).ok


def test_the_documentation_is_served(gateway: Up) -> None:
    page = requests.get(f"{gateway.url}/docs", timeout=30)
    described = requests.get(f"{gateway.url}/openapi.json", timeout=30)

    assert page.status_code == 200
    assert "/generation/tasks" in described.json()["paths"]


def test_a_prompt_becomes_an_image(gateway: Up) -> None:
    reply = gateway.call(
        "POST", "/generation/tasks", json={"model": IMAGE_MODEL, "prompt": PROMPT}
    )
    accepted = reply.json()["data"]
    task = gateway.ended(accepted["task_id"])

    assert accepted["status"] == "queued"
    assert reply.headers["Location"] == f"/generation/tasks/{accepted['task_id']}"
    assert task["status"] == "succeeded"
    assert task["progress"] == "100%"
    (result,) = task["results"]
    image = Image.open(io.BytesIO(fetched(result)))
    image.load()
    assert image.format == "PNG"
    assert image.size == (result["width"], result["height"])


def test_an_uploaded_image_is_edited(gateway: Up) -> None:
    (result,) = gateway.made(
        model="gpt-image-2",
        prompt="add a second moon",
        files={"image": ("night.png", a_png(), "image/png")},
    )

    Image.open(io.BytesIO(fetched(result))).load()


@pytest.mark.parametrize("model", ["sora-2", "wan2.7-t2v"])
def test_a_prompt_becomes_a_video(gateway: Up, model: str) -> None:
    (result,) = gateway.made(model=model, prompt="a ship leaves the harbour")

    assert sniff(fetched(result)) == "video/mp4"


@pytest.mark.parametrize(
    ("model", "voice"), [("tts-1", "alloy"), ("qwen3-tts-flash", "Cherry")]
)
def test_a_text_becomes_speech(gateway: Up, model: str, voice: str) -> None:
    (result,) = gateway.made(model=model, input="Good morning.", voice=voice)

    assert str(sniff(fetched(result))).startswith("audio/")


def test_a_description_becomes_songs(gateway: Up) -> None:
    results = gateway.made(model="suno_music", prompt="a shanty about paper boats")

    assert len(results) == 2
    assert all(sniff(fetched(result)) == "audio/mpeg" for result in results)


def test_lyrics_are_texts_without_a_file(gateway: Up) -> None:
    results = gateway.made(model="suno_lyrics", prompt="a shanty about paper boats")

    assert all(result["text"] and result["url"] is None for result in results)


def test_a_task_that_fails_says_why(gateway: Up) -> None:
    task = gateway.ended(gateway.post(model=IMAGE_MODEL, prompt="a castle [fail]"))

    assert task["status"] == "failed"
    assert task["error"]
    assert task["result_urls"] == []


def test_a_callback_comes_signed_and_with_links_that_work(
    gateway: Up, receiver: Receiver
) -> None:
    task_id = gateway.post(
        model=IMAGE_MODEL, prompt=PROMPT, callback_url=receiver.url, metadata={"a": 1}
    )

    (received,) = eventually(lambda: receiver.of(task_id), 60, "a callback")

    event = Webhook(gateway.webhook_secret).verify(
        received.body, dict(received.headers)
    )
    assert event["type"] == "task.succeeded"
    assert event["data"]["task_id"] == task_id
    assert event["data"]["metadata"] == {"a": 1}
    assert Image.open(io.BytesIO(fetched(event["data"]["results"][0])))


def test_the_delivery_of_a_callback_can_be_read(
    gateway: Up, receiver: Receiver
) -> None:
    task_id = gateway.post(model=IMAGE_MODEL, prompt=PROMPT, callback_url=receiver.url)

    def delivered() -> bool:
        return bool(gateway.get(task_id)["callback"]["state"] == "delivered")

    assert eventually(delivered, 60, "the delivery is noted")


def test_the_command_line_generates_a_file(gateway: Up, tmp_path: Path) -> None:
    out = tmp_path / "out"

    done = run(
        gateway.data,
        *("generate", PROMPT, "--model", IMAGE_MODEL),
        *("--field", "size=768x1152", "--out", str(out)),
    )

    assert done.returncode == 0, done.stderr
    (file,) = out.iterdir()
    assert done.stdout == f"{file}\n"
    assert Image.open(file).size == (768, 1152)


def test_the_command_line_generates_with_images_and_json(
    gateway: Up, tmp_path: Path
) -> None:
    image = tmp_path / "night.png"
    image.write_bytes(a_png())

    done = run(
        gateway.data,
        *("generate", "add a second moon", "--model", "gpt-image-2", "--json"),
        *("--image", str(image), "--out", str(tmp_path / "out")),
    )

    assert done.returncode == 0, done.stderr
    task = json.loads(done.stdout)
    assert task["status"] == "succeeded"
    assert Image.open(task["files"][0])


def test_the_command_line_tells_a_refusal_in_one_line(
    gateway: Up, tmp_path: Path
) -> None:
    done = run(
        gateway.data,
        *("generate", PROMPT, "--model", "wanx2.1-turbo", "--out", str(tmp_path)),
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("genrelay: no channel serves the model")
    assert "wanx2.1-t2i-turbo" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_line_tests_a_channel_of_the_running_gateway(gateway: Up) -> None:
    done = run(gateway.data, "channels", "test", "sandbox-openai", "--json")

    assert json.loads(done.stdout)["works"] is True


def test_a_data_folder_serves_one_gateway_at_a_time(gateway: Up) -> None:
    done = run(gateway.data, "up", "--port", "0")

    assert done.returncode == 2
    assert "another genrelay runs with the data folder" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = run(tmp_path, "up", "--port", str(port), "--data", str(tmp_path))

    assert done.returncode == 2
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_stops_it_cleanly(tmp_path: Path) -> None:
    with up(tmp_path / "data") as gateway:
        code = gateway.stop(signal.SIGINT)

    assert code == 0, gateway.log.read_text()
    assert "Traceback" not in gateway.log.read_text()


def test_a_restart_keeps_the_key_and_the_tasks(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as before:
        task_id = before.post(model=IMAGE_MODEL, prompt=PROMPT)
        first = before.ended(task_id)
        assert before.stop(signal.SIGTERM) == 0

    with up(data) as after:
        second = after.get(task_id)

        assert after.api_key == before.api_key
        assert after.webhook_secret == before.webhook_secret
        assert second["status"] == first["status"] == "succeeded"
        assert fetched(second["results"][0])


def test_tasks_under_way_survive_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as before:
        task_ids = [
            before.post(model=model, prompt="a tower of cards [slow 4s]")
            for model in (IMAGE_MODEL, "sora-2", "suno_music")
        ]

        def are_submitted() -> bool:
            return all(before.get(task_id)["submit_time"] for task_id in task_ids)

        eventually(are_submitted, 60, "the upstreams have them")
        before.popen.kill()
        before.popen.wait()

    killed_at = time.time()
    with up(data) as after:
        for task_id in task_ids:
            task = after.ended(task_id)
            assert task["status"] == "succeeded", (task, after.log.read_text())
            assert fetched(task["results"][0])
        assert [p for p in after.paid("cards") if p["at"] > killed_at] == []


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "up", GENRELAY_POLL_MIN_S="soon")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("genrelay: GENRELAY_POLL_MIN_S=soon: must be")
    assert done.stderr.count("\n") == 1
