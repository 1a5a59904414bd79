"""One `Idempotency-Key`, one task."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from tests.app.api.gateways import (
    Gateway,
    a_png,
    add_client,
    base64_of,
    data,
    make_gateway,
)

BODY = {"model": "lumen-free", "prompt": "a pier", "seed": 1}


def test_same_key_and_body_give_the_first_answer(any_gateway: Gateway) -> None:
    first = any_gateway.post(BODY, Idempotency_Key="k")
    second = any_gateway.post(BODY, Idempotency_Key="k")

    assert data(second) == data(first)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert any_gateway.task_count() == 1
    assert len(any_gateway.rung) == 1


def test_same_key_and_another_body_are_refused(any_gateway: Gateway) -> None:
    any_gateway.post(BODY, Idempotency_Key="k")

    answer = any_gateway.post({**BODY, "seed": 2}, Idempotency_Key="k")

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert any_gateway.task_count() == 1


@pytest.mark.parametrize(
    "body",
    [
        {"seed": 1, "prompt": "a pier", "model": "lumen-free"},
        {**BODY, "style": None},
        {**BODY, "n": 1},
    ],
    ids=["order", "nulls", "defaults"],
)
def test_bodies_are_compared_by_meaning(gateway: Gateway, body: object) -> None:
    gateway.post(BODY, Idempotency_Key="k")

    assert gateway.post(body, Idempotency_Key="k").status_code == 200
    assert gateway.task_count() == 1


def test_a_form_and_json_of_the_same_content_are_the_same(gateway: Gateway) -> None:
    png = a_png()
    gateway.post({**BODY, "image": base64_of(png)}, Idempotency_Key="k")

    answer = gateway.post_form(
        [
            ("model", "lumen-free"),
            ("prompt", "a pier"),
            ("seed", "1"),
            ("image_url", (png, "a.png")),
        ],
        **{"Idempotency-Key": "k"},
    )

    assert answer.headers["Idempotent-Replayed"] == "true"
    assert len(gateway.stored_inputs()) == 1


def test_another_file_is_another_body(gateway: Gateway) -> None:
    gateway.post({**BODY, "image": base64_of(a_png(8))}, Idempotency_Key="k")

    answer = gateway.post({**BODY, "image": base64_of(a_png(9))}, Idempotency_Key="k")

    assert answer.status_code == 422


def test_keys_belong_to_their_client(gateway: Gateway) -> None:
    gateway.post(BODY, Idempotency_Key="k")
    key, _ = add_client(gateway.rt, "second")

    answer = gateway.http.post(
        "/generation/tasks",
        json={**BODY, "seed": 2},
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "k"},
    )

    assert answer.status_code == 200
    assert gateway.task_count() == 2


def test_the_alias_is_the_same_route(gateway: Gateway) -> None:
    gateway.post(BODY, Idempotency_Key="k")

    answer = gateway.http.post(
        "/v1/generation/tasks",
        json=BODY,
        headers={**gateway.headers, "Idempotency-Key": "k"},
    )

    assert answer.headers["Idempotent-Replayed"] == "true"


def test_a_refused_request_does_not_use_up_its_key(gateway: Gateway) -> None:
    assert gateway.post({**BODY, "n": 0}, Idempotency_Key="k").status_code == 400

    assert gateway.post(BODY, Idempotency_Key="k").status_code == 200


def test_a_key_may_be_used_again_after_a_day(gateway: Gateway) -> None:
    gateway.post(BODY, Idempotency_Key="k")
    gateway.clock.now += 86_401

    answer = gateway.post({**BODY, "seed": 2}, Idempotency_Key="k")

    assert answer.status_code == 200
    assert gateway.task_count() == 2


def test_the_first_answer_outlives_its_channel(gateway: Gateway) -> None:
    first = gateway.post(BODY, Idempotency_Key="k")
    object.__setattr__(gateway.web, "providers", {})

    assert data(gateway.post(BODY, Idempotency_Key="k")) == data(first)


def test_a_hundred_parallel_requests_make_one_task(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    check_hundred(make_gateway(tmp_path))


def test_a_hundred_parallel_requests_make_one_task_on_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    check_hundred(make_gateway(tmp_path, database_url=postgres_url))


def check_hundred(gateway: Gateway) -> None:
    """50 JSON and 50 form requests at once with one key; all say the same."""
    image = a_png()
    body = {**BODY, "image": base64_of(image)}
    parts = [
        ("model", "lumen-free"),
        ("prompt", "a pier"),
        ("seed", "1"),
        ("image", (image, "a.png")),
    ]
    start, answers = threading.Barrier(100), list[TestResponse]()

    def send(post: Callable[[], TestResponse]) -> None:
        start.wait()
        answers.append(post())

    threads = [
        threading.Thread(
            target=send,
            args=(
                (lambda: gateway.post(body, Idempotency_Key="k"))
                if n % 2
                else (lambda: gateway.post_form(parts, **{"Idempotency-Key": "k"})),
            ),
        )
        for n in range(100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = Counter(answer.status_code for answer in answers)
    ids = {data(a)["task_id"] for a in answers if a.status_code == 200}
    after = gateway.post(body, Idempotency_Key="k")

    assert set(counts) <= {200, 409}, counts
    assert sum(counts.values()) == 100
    assert ids == {data(after)["task_id"]}
    assert gateway.task_count() == 1
    assert len(gateway.stored_inputs()) == 1
    gateway.rt.database.close()
