"""The documented exchanges of the midjourney-proxy protocol, by plain HTTP.

There is no SDK: what clients of the protocol send is sent here as it is.
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

from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.listening import listening

NOVICE, TRUEAI, NEW_API = "", "/trueai", "/new-api"
SERVERS = [NOVICE, TRUEAI, NEW_API]
KEY = {"mj-api-secret": "sandbox-id:sandbox-key"}
PICTURE = "data:image/png;base64," + base64.b64encode(make_image("a", 64, 64)).decode()
ENDED = {"SUCCESS", "FAILURE", "CANCEL"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.02"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def post(
    sandbox: Sandbox,
    path: str,
    body: Any = None,
    server: str = NOVICE,
    headers: dict[str, str] = KEY,
) -> requests.Response:
    url = f"{sandbox.url}/midjourney{server}/mj/{path}"
    return requests.post(url, json=body, headers=headers, timeout=10)


def get(sandbox: Sandbox, path: str, server: str = NOVICE) -> requests.Response:
    url = f"{sandbox.url}/midjourney{server}/mj/{path}"
    return requests.get(url, headers=KEY, timeout=10)


def begun(sandbox: Sandbox, path: str, body: Any, server: str = NOVICE) -> str:
    """The id of a task that was taken."""
    answer = post(sandbox, path, body, server)
    assert (answer.status_code, answer.json()["code"]) == (200, 1), answer.text
    result = answer.json()["result"]
    assert isinstance(result, str)
    return result


def ended(sandbox: Sandbox, task_id: str, server: str = NOVICE) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        task: dict[str, Any] = get(sandbox, f"task/{task_id}/fetch", server).json()
        if task["status"] in ENDED:
            return task
        time.sleep(0.01)
    raise AssertionError("the task never ended")


def made(sandbox: Sandbox, path: str, body: Any, server: str = NOVICE) -> Any:
    return ended(sandbox, begun(sandbox, path, body, server), server)


def imagined(sandbox: Sandbox, prompt: str = "a heron", server: str = NOVICE) -> Any:
    return made(sandbox, "submit/imagine", {"prompt": prompt}, server)


def image_at(url: str) -> Image.Image:
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def button(task: dict[str, Any], name: str) -> str:
    """What a button of a finished task sends."""
    for each in task["buttons"]:
        if name in {each["label"], each["emoji"]}:
            return str(each["customId"])
    raise AssertionError(f"no button {name}")


@pytest.mark.parametrize("server", SERVERS)
def test_imagine_ends_with_a_grid_and_its_buttons(sandbox: Sandbox, server: str):
    body = {
        "prompt": "a heron on a pier --ar 3:2 --v 7",
        "botType": "MID_JOURNEY",
        "base64Array": [PICTURE],
        "state": "gw-1",
    }
    task = made(sandbox, "submit/imagine", body, server)
    assert (task["action"], task["status"], task["progress"], task["state"]) == (
        *("IMAGINE", "SUCCESS", "100%"),
        "gw-1",
    )
    assert task["submitTime"] <= task["startTime"] <= task["finishTime"]
    width, height = image_at(task["imageUrl"]).size
    assert round(width / height, 2) == 1.5
    assert button(task, "U1") == f"MJ::JOB::upsample::1::{task['id']}"
    assert (len(task.get("imageUrls", ())) == 4) == (server == TRUEAI)
    for each in task.get("imageUrls", ())[:1]:
        image_at(each["url"])


def test_task_is_told_from_its_start_to_its_end():
    now = [1_790_000_000.0]
    settings = SandboxSettings(
        durations=parse_durations("fixed:100"), clock=lambda: now[0]
    )
    with running(settings=settings) as sandbox:
        task_id = begun(sandbox, "submit/imagine", {"prompt": "a heron"})
        seen = []
        for late in (1, 15.5, 50, 100):
            now[0] = 1_790_000_000.0 + late
            seen.append(get(sandbox, f"task/{task_id}/fetch").json())
    assert [(task["status"], task["progress"]) for task in seen] == [
        ("SUBMITTED", "0%"),
        ("IN_PROGRESS", "Waiting to start"),
        ("IN_PROGRESS", "41%"),
        ("SUCCESS", "100%"),
    ]
    assert [bool(task["imageUrl"]) for task in seen] == [False, False, True, True]
    assert seen[2]["imageUrl"].endswith("preview.webp")
    assert (seen[0]["startTime"], seen[3]["finishTime"]) == (None, 1_790_000_100_000)


@pytest.mark.parametrize(
    ("path", "body", "action"),
    [
        (
            "submit/blend",
            {"base64Array": [PICTURE] * 2, "dimensions": "PORTRAIT"},
            "BLEND",
        ),
        ("submit/edits", {"prompt": "fog", "image": PICTURE}, "EDITS"),
        (
            "submit/retexture",
            {"prompt": "x", "image": "https://a.example/b"},
            "RETEXTURE",
        ),
        (
            "insight-face/swap",
            {"sourceBase64": PICTURE, "targetBase64": PICTURE},
            "SWAP_FACE",
        ),
    ],
)
def test_other_actions_make_a_picture(
    sandbox: Sandbox, path: str, body: Any, action: str
):
    task = made(sandbox, path, body)
    assert task["action"] == action
    width, height = image_at(task["imageUrl"]).size
    assert (width < height) == (action == "BLEND")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("submit/describe", {"base64": PICTURE}),
        ("submit/shorten", {"prompt": "a very long tale of a heron"}),
    ],
)
def test_texts_are_told_where_prompts_stand(sandbox: Sandbox, path: str, body: Any):
    task = made(sandbox, path, body)
    assert task["promptEn"] == task["properties"]["finalPrompt"] != ""


@pytest.mark.parametrize("count", [1, 2])
def test_film_is_made_and_goes_on(sandbox: Sandbox, count: int):
    body = {"prompt": "waves", "image": PICTURE, "motion": "low", "batchSize": count}
    task = made(sandbox, "submit/video", body)
    assert len(task["videoUrls"]) == count
    assert task["videoUrl"] == task["videoUrls"][0]["url"]
    with av.open(
        io.BytesIO(requests.get(task["videoUrl"], timeout=10).content)
    ) as film:
        assert next(film.decode(video=0)).width > 0
    more = {"action": "extend", "taskId": task["id"], "index": 0, "batchSize": 1}
    assert made(sandbox, "submit/video", more)["status"] == "SUCCESS"


def test_upload_is_answered_with_links(sandbox: Sandbox):
    body = {"base64Array": [PICTURE, PICTURE]}
    answer = post(sandbox, "submit/upload-discord-images", body).json()
    assert answer["code"] == 1
    assert len(answer["result"]) == 2


@pytest.mark.parametrize("server", SERVERS)
def test_picture_is_changed_in_three_ways(sandbox: Sandbox, server: str):
    grid = imagined(sandbox, server=server)
    ways = [
        ("change", {"taskId": grid["id"], "action": "UPSCALE", "index": 1}),
        ("simple-change", {"content": f"{grid['id']} V2"}),
        ("simple-change", {"content": f"{grid['id']} R"}),
        ("action", {"taskId": grid["id"], "customId": button(grid, "U3")}),
    ]
    tasks = [made(sandbox, f"submit/{path}", body, server) for path, body in ways]
    assert [task["action"] for task in tasks] == [
        *("UPSCALE", "VARIATION", "REROLL"),
        "UPSCALE",
    ]
    single = {"taskId": tasks[0]["id"]}
    for name, action in (
        ("Vary (Strong)", "HIGH_VARIATION"),
        ("Vary (Subtle)", "LOW_VARIATION"),
        ("Zoom Out 2x", "ZOOM"),
        ("⬅️", "PAN"),
    ):
        body = {**single, "customId": button(tasks[0], name)}
        task_id = post(sandbox, "submit/action", body, server).json()["result"]
        task = get(sandbox, f"task/{task_id}/fetch", server).json()
        assert task["action"] == action


def test_same_change_again_is_the_first_one(sandbox: Sandbox):
    grid = imagined(sandbox)
    body = {"taskId": grid["id"], "action": "UPSCALE", "index": 1}
    first = made(sandbox, "submit/change", body)
    again = post(sandbox, "submit/change", body).json()
    assert (again["code"], again["result"]) == (21, first["id"])
    assert again["properties"]["status"] == "SUCCESS"
    assert again["properties"]["imageUrl"] == first["imageUrl"]
    assert len(sandbox.ledger.submits("midjourney")) == 2


@pytest.mark.parametrize(
    ("name", "more"),
    [("Custom Zoom", {}), ("Vary (Region)", {"maskBase64": PICTURE})],
)
def test_window_waits_for_its_prompt(sandbox: Sandbox, name: str, more: dict[str, str]):
    grid = imagined(sandbox)
    body = {"taskId": grid["id"], "action": "UPSCALE", "index": 1}
    single = made(sandbox, "submit/change", body)
    paid = len(sandbox.ledger.submits("midjourney"))
    action = {"taskId": single["id"], "customId": button(single, name), "state": "s"}
    window = post(sandbox, "submit/action", action).json()
    assert (window["code"], window["properties"]["remix"]) == (21, True)
    task_id = window["result"]
    waiting = get(sandbox, f"task/{task_id}/fetch").json()
    assert (waiting["status"], waiting["state"]) == ("MODAL", "s")
    (same,) = post(sandbox, "task/list-by-condition", {"ids": [task_id]}).json()
    assert same == waiting
    assert len(sandbox.ledger.submits("midjourney")) == paid
    if more:
        wrong = post(sandbox, "submit/modal", {"taskId": task_id, "prompt": "x"})
        assert wrong.json()["code"] == 4
    modal = {"taskId": task_id, "prompt": "a heron and a gull", **more}
    task = made(sandbox, "submit/modal", modal)
    assert (task["id"], task["prompt"]) == (task_id, "a heron and a gull")
    assert post(sandbox, "submit/modal", modal).json()["code"] == 4


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("submit/imagine", {}, 4),
        ("submit/imagine", {"prompt": " "}, 4),
        ("submit/imagine", {"prompt": "x", "botType": "BOT"}, 4),
        ("submit/imagine", {"prompt": "x", "base64Array": ["AAAA"]}, 4),
        ("submit/imagine", {"prompt": "x", "base64Array": PICTURE}, 4),
        ("submit/imagine", [], 4),
        ("submit/blend", {"base64Array": [PICTURE]}, 4),
        ("submit/blend", {"base64Array": [PICTURE] * 6}, 4),
        ("submit/blend", {"base64Array": [PICTURE] * 2, "dimensions": "WIDE"}, 4),
        ("submit/describe", {"base64": "https://a.example/b.png"}, 4),
        ("submit/change", {"taskId": "17", "action": "UPSCALE", "index": 1}, 3),
        ("submit/change", {"taskId": "17", "action": "UPSCALE", "index": 5}, 4),
        ("submit/change", {"taskId": "17", "action": "ZOOM"}, 4),
        ("submit/simple-change", {"content": "17 U5"}, 4),
        ("submit/simple-change", {"content": "17 U1"}, 3),
        ("submit/action", {"taskId": "17", "customId": "x"}, 3),
        ("submit/modal", {"taskId": "17", "prompt": "x"}, 4),
        ("submit/edits", {"prompt": "x", "image": "a.png"}, 4),
        ("submit/video", {"prompt": "x"}, 4),
        ("submit/video", {"image": PICTURE, "motion": "wild"}, 4),
        ("submit/video", {"image": PICTURE, "batchSize": 3}, 4),
        ("insight-face/swap", {"sourceBase64": PICTURE}, 4),
        ("submit/upload-discord-images", {"base64Array": []}, 4),
    ],
)
def test_wrong_submit_is_refused_with_200_and_a_code(
    sandbox: Sandbox, path: str, body: Any, code: int
):
    answer = post(sandbox, path, body)
    assert (answer.status_code, answer.json()["code"]) == (200, code)
    assert "result" not in answer.json()
    assert sandbox.ledger.submits("midjourney") == []


@pytest.mark.parametrize(
    ("server", "prompt", "headers", "status", "body"),
    [
        (NOVICE, "x", {}, 401, ""),
        (NOVICE, "x", {"mj-api-secret": "bad-key"}, 401, ""),
        (NOVICE, "x", {"Authorization": "Bearer k"}, 401, ""),
        (TRUEAI, "x", {}, 401, "Authorization header missing."),
        (TRUEAI, "x [429]", KEY, 429, "Too many requests."),
        (NEW_API, "x", {}, 401, {"type": "new_api_error", "code": 4}),
        (NEW_API, "x [403]", KEY, 403, {"type": "new_api_error", "code": 4}),
        (NEW_API, "x [quota]", KEY, 403, {"description": "quota_not_enough"}),
        (NEW_API, "x [429]", KEY, 429, {"type": "upstream_error", "code": 30}),
        (NEW_API, "x [blocked]", KEY, 400, {"type": "upstream_error", "code": 24}),
        (NEW_API, " ", KEY, 400, {"type": "upstream_error", "code": 4}),
        (NOVICE, "x [429]", KEY, 200, {"code": 23}),
        (NOVICE, "x [quota]", KEY, 200, {"code": 4}),
        (NOVICE, "x [blocked]", KEY, 200, {"code": 24}),
        (NOVICE, "x [400]", KEY, 200, {"code": 4}),
        (NOVICE, "x [500 before]", KEY, 500, {"status": 500}),
    ],
)
def test_servers_refuse_each_in_its_own_way(
    sandbox: Sandbox,
    server: str,
    prompt: str,
    headers: dict[str, str],
    status: int,
    body: Any,
):
    answer = post(sandbox, "submit/imagine", {"prompt": prompt}, server, headers)
    assert answer.status_code == status
    if isinstance(body, str):
        assert answer.text == body
    else:
        assert body.items() <= answer.json().items()
    assert sandbox.ledger.submits("midjourney") == []


def test_full_queue_names_a_task_that_is_not_there(sandbox: Sandbox):
    answer = post(sandbox, "submit/imagine", {"prompt": "x [429]"}).json()
    assert get(sandbox, f"task/{answer['result']}/fetch").content == b""


@pytest.mark.parametrize(
    "headers", [{"Authorization": "k"}, {"Authorization": "Bearer k"}]
)
@pytest.mark.parametrize("server", [TRUEAI, NEW_API])
def test_key_may_stand_in_the_other_header(
    sandbox: Sandbox, server: str, headers: dict[str, str]
):
    answer = post(sandbox, "submit/imagine", {"prompt": "x"}, server, headers)
    assert answer.json()["code"] == 1


@pytest.mark.parametrize(
    ("server", "status", "content"),
    [(NOVICE, 200, ""), (TRUEAI, 204, ""), (NEW_API, 400, "task_no_found")],
)
def test_unknown_task_is_told_in_three_ways(
    sandbox: Sandbox, server: str, status: int, content: str
):
    answer = get(sandbox, "task/17/fetch", server)
    assert answer.status_code == status
    assert content in answer.text
    assert bool(content) == bool(answer.text)
    assert post(sandbox, "task/list-by-condition", {"ids": ["17"]}, server).json() == []


@pytest.mark.parametrize(("server", "status"), [(TRUEAI, 404), (NEW_API, 400)])
def test_unknown_task_to_go_on_from_is_code_3(
    sandbox: Sandbox, server: str, status: int
):
    answer = post(sandbox, "submit/simple-change", {"content": "17 R"}, server)
    assert (answer.status_code, answer.json()["code"]) == (status, 3)


def test_fourth_task_at_a_time_is_queued(sandbox: Sandbox):
    codes = []
    for number in range(4):
        body = {"prompt": f"heron {number} [slow 30s]"}
        codes.append(post(sandbox, "submit/imagine", body).json())
    assert [answer["code"] for answer in codes] == [1, 1, 1, 22]
    assert codes[3]["properties"]["numberOfQueues"] == 1
    assert len(get(sandbox, "task/queue").json()) == 4
    assert len(get(sandbox, "task/list").json()) == 4


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("a heron [fail]", "[Failed to process your command]"),
        ("a heron [blocked late]", "[Banned prompt detected]"),
        ("a heron --ar 99", "[Invalid parameter]"),
    ],
)
def test_failed_task_says_why(sandbox: Sandbox, prompt: str, reason: str):
    task = imagined(sandbox, prompt)
    assert (task["status"], task["progress"]) == ("FAILURE", "")
    assert task["failReason"].startswith(reason)
    assert task["imageUrl"] is None


def test_link_is_signed_and_dies(sandbox: Sandbox):
    url = imagined(sandbox)["imageUrl"]
    assert requests.get(url.partition("?")[0], timeout=10).status_code == 403
    gone = imagined(sandbox, "a heron [expire]")["imageUrl"]
    assert requests.get(gone, timeout=10).status_code == 403


@pytest.mark.parametrize(
    ("server", "status", "reason"),
    [(NOVICE, "FAILURE", "取消任务"), (TRUEAI, "CANCEL", None)],
)
def test_task_is_cancelled_once(
    sandbox: Sandbox, server: str, status: str, reason: str | None
):
    body = {"prompt": "a heron [slow 30s]"}
    task_id = begun(sandbox, "submit/imagine", body, server)
    assert post(sandbox, f"task/{task_id}/cancel", server=server).json()["code"] == 1
    task = get(sandbox, f"task/{task_id}/fetch", server).json()
    assert (task["status"], task["failReason"]) == (status, reason)
    assert post(sandbox, f"task/{task_id}/cancel", server=server).json()["code"] == 4


def test_new_api_neither_cancels_nor_lists(sandbox: Sandbox):
    assert post(sandbox, "task/17/cancel", server=NEW_API).status_code == 404
    assert get(sandbox, "task/list", NEW_API).status_code == 404


def test_seed_of_a_picture_is_told(sandbox: Sandbox):
    task = imagined(sandbox)
    seed = get(sandbox, f"task/{task['id']}/image-seed").json()
    assert (seed["code"], seed["result"].isdigit()) == (1, True)
    assert get(sandbox, "task/17/image-seed").json()["code"] == 3


def test_hook_gets_the_task_at_every_change(sandbox: Sandbox):
    with listening() as listener:
        body = {"prompt": "a heron", "notifyHook": listener.url, "state": "gw-2"}
        task_id = begun(sandbox, "submit/imagine", body)
        told = [json.loads(listener.next().body) for _ in range(3)]
    assert {(task["id"], task["state"]) for task in told} == {(task_id, "gw-2")}
    # They leave side by side, and may overtake one another.
    assert "SUCCESS" in {task["status"] for task in told}
