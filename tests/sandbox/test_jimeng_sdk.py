"""Volcengine's official client against the sandbox's Jimeng.

The service object is one for the whole process: each test sets all it needs.
"""

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
from volcengine.visual.VisualService import VisualService

from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running

FOUR = "jimeng_t2i_v40"
VIDEO = "jimeng_i2v_first_v30"
SYNC = "jimeng_high_aes_general_v21_L"
WITH_LINKS = json.dumps({"return_url": True})


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def client(sandbox: Sandbox) -> VisualService:
    sandbox.reset()
    return a_client(sandbox)


def a_client(
    sandbox: Sandbox, key_id: str = "sandbox-id", secret: str = "sandbox-key"
) -> VisualService:
    """The client, whose paths get the sandbox's prefix; the prefix is signed too."""
    made = VisualService()
    made.set_ak(key_id)
    made.set_sk(secret)
    made.set_session_token("")
    made.set_scheme("http")
    made.set_host(sandbox.url.removeprefix("http://"))
    for api in made.api_info.values():
        api.path = "/jimeng/"
    return made


def ended(client: VisualService, body: dict[str, Any]) -> dict[str, Any]:
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        data: dict[str, Any] = client.cv_sync2async_get_result(body)["data"]
        if data["status"] not in {"in_queue", "generating"}:
            return data
        time.sleep(0.03)
    raise AssertionError("the task does not end")


def submitted(client: VisualService, **body: Any) -> dict[str, Any]:
    """What a poll of the new task is made of."""
    answer = client.cv_sync2async_submit_task(body)
    assert (answer["code"], answer["message"]) == (10000, "Success")
    task_id = answer["data"]["task_id"]
    assert isinstance(task_id, str)
    assert len(task_id) == 19
    return {"req_key": body["req_key"], "task_id": task_id}


def test_an_image_is_made_and_fetched(client: VisualService):
    asked = submitted(
        client, req_key=FOUR, prompt="ein Hut 帽子", width=1280, height=960
    )
    data = ended(client, {**asked, "req_json": WITH_LINKS})
    (url,) = data["image_urls"]
    image = Image.open(io.BytesIO(requests.get(url, timeout=10).content))
    assert (image.format, image.size) == ("PNG", (1280, 960))
    inline = ended(client, asked)
    assert inline["image_urls"] is None
    (encoded,) = inline["binary_data_base64"]
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (1280, 960)


def test_a_group_has_several_images_unless_one_is_forced(client: VisualService):
    for single, count in ((False, 4), (True, 1)):
        asked = submitted(
            client, req_key=FOUR, prompt="a series", size=1048576, force_single=single
        )
        data = ended(client, {**asked, "req_json": WITH_LINKS})
        assert len(data["image_urls"]) == count


def test_a_film_is_made_from_an_image(client: VisualService):
    picture = io.BytesIO()
    Image.new("RGB", (400, 300), "olive").save(picture, "jpeg")
    asked = submitted(
        client,
        req_key=VIDEO,
        prompt="it sways [slow 600ms]",
        binary_data_base64=[base64.b64encode(picture.getvalue()).decode()],
        frames=121,
        seed=-1,
    )
    first = client.cv_sync2async_get_result(asked)
    assert first["data"]["status"] in {"in_queue", "generating"}
    url = ended(client, asked)["video_url"]
    with av.open(io.BytesIO(requests.get(url, timeout=10).content)) as film:
        assert film.streams.video


def test_the_synchronous_action_answers_at_once(client: VisualService):
    answer = client.cv_process({"req_key": SYNC, "prompt": "a", "return_url": True})
    (url,) = answer["data"]["image_urls"]
    image = Image.open(io.BytesIO(requests.get(url, timeout=10).content))
    assert image.size == (512, 512)


def test_an_unknown_task_is_no_error(client: VisualService):
    body = {"req_key": FOUR, "task_id": "7000000000000000000"}
    assert client.cv_sync2async_get_result(body)["data"]["status"] == "not_found"
    # it belongs to another key of the models
    asked = submitted(client, req_key=FOUR, prompt="a")
    asked["req_key"] = "jimeng_t2i_v30"
    assert client.cv_sync2async_get_result(asked)["data"]["status"] == "not_found"


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("x [blocked]", 50412),
        ("x [429 once]", 50429),
        ("x [400]", 50215),
        ("x [500]", 50500),
    ],
)
def test_a_refusal_is_the_clients_exception(
    client: VisualService, prompt: str, code: int
):
    with pytest.raises(Exception, match=f'"code":{code}'):
        client.cv_sync2async_submit_task({"req_key": FOUR, "prompt": prompt})


@pytest.mark.parametrize("req_key", ["jimeng_t9x", SYNC])
def test_a_key_of_another_action_is_refused(client: VisualService, req_key: str):
    with pytest.raises(Exception, match='"code":50400'):
        client.cv_sync2async_submit_task({"req_key": req_key, "prompt": "a"})


@pytest.mark.parametrize(
    ("key_id", "secret", "code"),
    [
        ("sandbox-id", "wrong", "SignatureDoesNotMatch"),
        ("bad-key", "any", "InvalidAccessKey"),
    ],
)
def test_a_wrong_secret_is_found_by_the_signature(
    sandbox: Sandbox, key_id: str, secret: str, code: str
):
    client = a_client(sandbox, key_id, secret)
    with pytest.raises(Exception, match=code):
        client.cv_sync2async_submit_task({"req_key": FOUR, "prompt": "a"})


def test_any_other_access_key_is_let_in(sandbox: Sandbox):
    client = a_client(sandbox, "AKLTsomebody", "whatever")
    submitted(client, req_key=FOUR, prompt="a")


def test_a_temporary_key_sends_its_token(client: VisualService):
    client.set_session_token("STS2token")
    submitted(client, req_key=FOUR, prompt="a")
    client.set_session_token("")


def test_an_undocumented_cancel_is_not_offered(client: VisualService):
    with pytest.raises(Exception, match="InvalidActionOrVersion"):
        client.cv_cancel_task({"req_key": FOUR, "task_id": "1"})
