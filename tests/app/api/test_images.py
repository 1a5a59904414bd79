"""Images that come as bytes are decoded, looked at and stored once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.api import tasks as task_views
from tests.app.api.gateways import Gateway, a_png, base64_of, data

PNG = a_png()
LARGE_PNG = a_png(500, 500, noise=True)


def stored_bytes(gateway: Gateway, task_id: str) -> list[bytes]:
    """The bytes of a task's uploaded images, in order."""
    kept = gateway.inputs_of(task_id)["images"]
    return [
        Path(gateway.rt.settings.storage_url, image["upload"]).read_bytes()
        for image in kept
    ]


@pytest.mark.parametrize(
    "text",
    [
        base64_of(PNG),
        base64_of(PNG).rstrip("="),
        "\n".join(base64_of(PNG)[at : at + 20] for at in range(0, 200, 20)),
        f"data:image/png;base64,{base64_of(PNG)}",
        f"DATA:;base64,{base64_of(PNG)}",
        f"data:text/html;charset=utf-8;base64,{base64_of(PNG)}",
    ],
    ids=["base64", "unpadded", "lines", "data URL", "bare data URL", "wrong type"],
)
def test_base64_is_stored_as_the_bytes_it_stands_for(
    gateway: Gateway, text: str
) -> None:
    task_id = gateway.submitted(image=text)

    assert stored_bytes(gateway, task_id) == [PNG]
    [image] = gateway.inputs_of(task_id)["images"]
    assert image["content_type"] == "image/png"
    assert image["upload"] == f"inputs/{task_id[-2:]}/{task_id}/0"


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
@pytest.mark.parametrize(
    ("plain", "escaped"),
    [("/", "/"), ("/", "\\/"), ("+", "\\u002b"), ("A", "\\u0041")],
    ids=["plain", "slashes", "plus", "letters"],
)
def test_long_base64_is_decoded_however_json_escapes_it(
    gateway: Gateway, prefix: str, plain: str, escaped: str
) -> None:
    text = (prefix + base64_of(LARGE_PNG)).replace(plain, escaped)
    content = f'{{"model": "lumen-free", "prompt": "a", "image": "{text}"}}'
    assert len(text) > 200_000

    task_id = data(gateway.post_raw(content.encode()))["task_id"]

    assert stored_bytes(gateway, task_id) == [LARGE_PNG]


@pytest.mark.parametrize("name", ["images", "image_urls"])
def test_null_among_images_is_refused(gateway: Gateway, name: str) -> None:
    answer = gateway.post(
        {"model": "lumen-free", "prompt": "a", name: [base64_of(PNG), None]}
    )

    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [name]  # type: ignore[index]
    assert gateway.stored_inputs() == []


def test_several_long_images_keep_their_order(gateway: Gateway) -> None:
    others = [a_png(200, 200 + n, noise=True) for n in range(3)]

    task_id = gateway.submitted(images=[base64_of(png) for png in others])

    assert stored_bytes(gateway, task_id) == others


def test_form_files_are_stored_byte_for_byte(gateway: Gateway) -> None:
    answer = gateway.post_form(
        [
            ("model", "lumen-free"),
            ("image", (LARGE_PNG, "../../etc/passwd")),
            ("prompt", "a pier"),
            ("images", (PNG, "b.jpg")),
        ]
    )

    task_id = data(answer)["task_id"]
    assert stored_bytes(gateway, task_id) == [LARGE_PNG, PNG]


def test_base64_in_a_form_is_decoded(gateway: Gateway) -> None:
    answer = gateway.post_form(
        [
            ("model", "lumen-free"),
            ("prompt", "a pier"),
            ("image", base64_of(LARGE_PNG)),
        ]
    )

    assert stored_bytes(gateway, data(answer)["task_id"]) == [LARGE_PNG]


def test_a_form_cut_anywhere_by_the_network_is_read_alike(gateway: Gateway) -> None:
    # line breaks and dashes at the borders of what is read at once
    tricky = PNG + b"\r\n--b0undar" * 30_000

    answer = gateway.post_form(
        [("model", "lumen-free"), ("prompt", "a"), ("image", (tricky, "a.png"))]
    )

    assert stored_bytes(gateway, data(answer)["task_id"]) == [tricky]


def test_true_type_is_kept_whatever_the_client_claims(gateway: Gateway) -> None:
    answer = gateway.post_form(
        [("model", "lumen-free"), ("prompt", "a"), ("image", (PNG, "a.gif"))]
    )

    [image] = gateway.inputs_of(data(answer)["task_id"])["images"]
    assert image["content_type"] == "image/png"


@pytest.mark.parametrize("kind", ["base64", "file"])
def test_an_image_over_the_limit_is_too_large(gateway: Gateway, kind: str) -> None:
    content = PNG + b"\0" * (512 * 1024)

    if kind == "file":
        answer = gateway.post_form(
            [("model", "lumen-free"), ("prompt", "a"), ("image", (content, "a"))]
        )
    else:
        answer = gateway.post(
            {"model": "lumen-free", "prompt": "a", "image": base64_of(content)}
        )

    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert "524,288" in answer.json["errors"]["image"][0]


def test_files_are_removed_when_the_store_refuses_the_task(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"model": "lumen-free", "prompt": "a", "image": base64_of(PNG)}
    gateway.post(body, Idempotency_Key="k")
    assert len(gateway.stored_inputs()) == 1
    # another request is faster: it comes between the look and the insert
    monkeypatch.setattr(task_views, "_find_first_answer", lambda key, body_hash: None)

    answer = gateway.post(body, Idempotency_Key="k")

    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_conflict")
    assert answer.headers["Retry-After"] == "1"
    assert len(gateway.stored_inputs()) == 1
    assert gateway.task_count() == 1


def test_files_stay_when_it_is_unknown_whether_the_task_was_stored(
    gateway: Gateway,
) -> None:
    def commit_is_lost(*args: Any) -> None:
        raise OSError("the connection broke")

    object.__setattr__(gateway.rt.database, "transaction", commit_is_lost)

    answer = gateway.post(
        {"model": "lumen-free", "prompt": "a", "image": base64_of(PNG)}
    )

    assert answer.status_code == 500
    assert len(gateway.stored_inputs()) == 1


def test_a_later_bad_image_leaves_no_file_behind(gateway: Gateway) -> None:
    answer = gateway.post(
        {
            "model": "lumen-free",
            "prompt": "a",
            "images": [base64_of(PNG), base64_of(b"text" * 20)],
        }
    )

    assert answer.status_code == 400
    assert gateway.stored_inputs() == []


def test_long_texts_in_other_places_are_refused_by_name(gateway: Gateway) -> None:
    long = "a" * 100_000
    for field, value in (
        ("voice", long),
        ("n", long),
        ("metadata", {"deep": {"er": [long]}}),
        ("audio_url", long),
    ):
        answer = gateway.post({"model": "lumen-free", "prompt": "a", field: value})
        assert answer.status_code == 400, field
        assert field in answer.json["errors"]


def test_what_looks_like_a_mark_of_a_spooled_text_is_plain_text(
    gateway: Gateway,
) -> None:
    mark = "0" * 32 + "0"
    content = json.dumps(
        {"model": "lumen-free", "prompt": mark, "image": base64_of(LARGE_PNG)}
    )

    task_id = data(gateway.post_raw(content.encode()))["task_id"]

    assert gateway.inputs_of(task_id)["prompt"] == mark
