"""What a client sends becomes a task, in JSON and as a form."""

from __future__ import annotations

from typing import Any

import pytest

from app.bells import Bell
from tests.app.api.gateways import Gateway, a_png, data


def test_answer_has_the_task_and_where_it_is_read(gateway: Gateway) -> None:
    answer = gateway.post({"model": "lumen-1", "prompt": "a pier"})

    task = data(answer)
    assert task == {
        "task_id": task["task_id"],
        "status": "queued",
        "media_type": "image",
        "model": "lumen-1",
        "created_at": int(gateway.clock()),
    }
    assert answer.headers["Location"] == f"/generation/tasks/{task['task_id']}"
    assert data(gateway.get(answer.headers["Location"]))["status"] == "queued"


def test_workers_are_rung_after_the_commit(gateway: Gateway) -> None:
    counts = []
    object.__setattr__(
        gateway.rt, "ring", lambda bell: counts.append((bell, gateway.task_count()))
    )

    gateway.submitted()

    assert counts == [(Bell.SUBMIT, 1)]


def test_a_refused_request_rings_nobody(gateway: Gateway) -> None:
    gateway.post({"model": "lumen-1"})

    assert gateway.rung == []


def test_alias_route_does_the_same(gateway: Gateway) -> None:
    answer = gateway.http.post(
        "/v1/generation/tasks",
        json={"model": "lumen-1", "prompt": "a pier"},
        headers=gateway.headers,
    )

    task_id = data(answer)["task_id"]
    assert data(gateway.get(f"/v1/generation/tasks/{task_id}"))["task_id"] == task_id


def test_inputs_are_kept_in_unified_words(gateway: Gateway) -> None:
    task_id = gateway.submitted(
        model="lumen-free",
        prompt="a pier",
        negative_prompt="people",
        ratio="16:9",
        seconds="5",
        seed=7,
        width=512,
        height=256,
        speed=1,
        metadata={"steps": 4},
    )

    assert gateway.inputs_of(task_id) == {
        "action": "generate",
        "prompt": "a pier",
        "negative_prompt": "people",
        "aspect_ratio": "16:9",
        "duration": 5.0,
        "seed": 7,
        "width": 512,
        "height": 256,
        "speed": 1.0,
        "n": 1,
        "metadata": {"steps": 4},
    }


def test_nulls_count_as_absent(gateway: Gateway) -> None:
    task_id = gateway.submitted(seed=None, images=None, metadata=None)

    assert gateway.inputs_of(task_id) == {
        "action": "generate",
        "prompt": "a pier",
        "n": 1,
        "metadata": {},
    }


def test_a_form_says_the_same_as_json(gateway: Gateway) -> None:
    answer = gateway.post_form(
        [
            ("model", "lumen-free"),
            ("prompt", "a pier\nat dusk"),
            ("seed", "7"),
            ("duration", "2.5"),
            ("metadata", '{"steps": 4}'),
            ("images", "https://cdn.example.com/a.png"),
            ("images", "https://cdn.example.com/b.png"),
        ]
    )

    assert gateway.inputs_of(data(answer)["task_id"]) == {
        "action": "generate",
        "prompt": "a pier\nat dusk",
        "seed": 7,
        "duration": 2.5,
        "n": 1,
        "images": [
            {"url": "https://cdn.example.com/a.png"},
            {"url": "https://cdn.example.com/b.png"},
        ],
        "metadata": {"steps": 4},
    }


def test_a_list_in_a_form_may_be_json(gateway: Gateway) -> None:
    answer = gateway.post_form(
        [
            ("model", "lumen-free"),
            ("prompt", "a pier"),
            ("image_urls", '["https://cdn.example.com/a.png"]'),
        ]
    )

    images = gateway.inputs_of(data(answer)["task_id"])["images"]
    assert images == [{"url": "https://cdn.example.com/a.png"}]


def test_images_are_kept_in_the_order_image_images_reference(gateway: Gateway) -> None:
    url = "https://cdn.example.com/{}.png".format
    task_id = gateway.submitted(
        input_reference=url(4), images=[url(2), url(3)], image_url=url(1)
    )

    images = gateway.inputs_of(task_id)["images"]
    assert images == [{"url": url(n)} for n in (1, 2, 3, 4)]


def test_aliases_that_agree_are_one_value(gateway: Gateway) -> None:
    url = "https://cdn.example.com/a.png"
    task_id = gateway.submitted(
        image=url, image_url=url, duration=5, seconds="5.0", ratio="1:1"
    )

    inputs = gateway.inputs_of(task_id)
    assert inputs["images"] == [{"url": url}]
    assert inputs["duration"] == 5


def test_input_stands_in_for_the_prompt(gateway: Gateway) -> None:
    answer = gateway.post({"model": "lumen-speech", "input": "Six.", "voice": "a"})

    assert data(answer)["media_type"] == "audio"


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"model": "suno_music"}, "MUSIC"),
        ({"model": "suno_music", "action": "music"}, "MUSIC"),
        ({"model": "suno_music", "action": "generate"}, "generate"),
        ({"model": "lumen-1"}, "generate"),
    ],
)
def test_action_is_inferred_from_the_model(
    gateway: Gateway, fields: dict[str, Any], action: str
) -> None:
    task_id = gateway.submitted(**fields)

    assert gateway.inputs_of(task_id)["action"] == action


def test_one_channel_that_can_express_it_is_enough(gateway: Gateway) -> None:
    # main makes 4 of lumen-1 at most, second makes 8
    assert gateway.post({"model": "lumen-1", "prompt": "a", "n": 8}).status_code == 200
    assert gateway.post({"model": "lumen-1", "prompt": "a", "n": 9}).status_code == 400


def test_a_prompt_of_many_characters_goes_by_way_of_the_disk(gateway: Gateway) -> None:
    prompt = "ß橋🌉" * 13_000  # over 64 KiB in every encoding

    task_id = gateway.submitted(prompt=prompt)

    assert gateway.inputs_of(task_id)["prompt"] == prompt


def test_a_prompt_of_many_characters_may_come_unescaped(gateway: Gateway) -> None:
    prompt = 'a "橋" \\' * 5_000
    content = (
        '{"model": "lumen-free", "prompt": "'
        + prompt.replace("\\", "\\\\").replace('"', '\\"')
        + '"}'
    )

    task_id = data(gateway.post_raw(content.encode()))["task_id"]

    assert gateway.inputs_of(task_id)["prompt"] == prompt


def test_a_prompt_of_many_characters_fits_a_form(gateway: Gateway) -> None:
    prompt = "橋" * 39_000

    answer = gateway.post_form([("model", "lumen-free"), ("prompt", prompt)])

    assert gateway.inputs_of(data(answer)["task_id"])["prompt"] == prompt


def test_a_public_callback_url_is_kept(gateway: Gateway) -> None:
    url = "https://203.0.113.7/hooks"
    task_id = gateway.submitted(callback_url=url)

    task = data(gateway.get(f"/generation/tasks/{task_id}"))
    assert task["callback"] == {"url": url, "state": "waiting", "attempts": 0}


def test_metadata_comes_back_as_it_was_given(gateway: Gateway) -> None:
    given = {"a": [1, 2.5, None, True], "b": {"c": "ü"}, "seed": 10**15}
    task_id = gateway.submitted(metadata=given)

    assert data(gateway.get(f"/generation/tasks/{task_id}"))["metadata"] == given


def test_files_and_links_mix_in_one_form(gateway: Gateway) -> None:
    answer = gateway.post_form(
        [
            ("model", "lumen-free"),
            ("prompt", "a pier"),
            ("images", (a_png(), "a.png")),
            ("images", "https://cdn.example.com/b.png"),
        ]
    )

    images = gateway.inputs_of(data(answer)["task_id"])["images"]
    assert images[0]["content_type"] == "image/png"
    assert images[1] == {"url": "https://cdn.example.com/b.png"}
