"""`?dry_run=1`: the same checks as a submit, and the exact call; nothing happens."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest

from app.security.addresses import UnsafeUrl
from app.store import channels, ledger
from app.store.ledger import Price, Unit
from app.wsgi import create_app
from providers.registry import BY_NAME
from tests.app.api.gateways import PROVIDERS, Gateway, a_png, add_client, data, form

SECRET = "sk-of-the-upstream-4711"


def with_channel(
    gateway: Gateway, provider: str, *, base_url: str = "", **settings: str
) -> None:
    """A channel of a real provider, and an app that knows it."""
    with gateway.rt.transaction() as tx:
        channel_id, key_id = channels.new_channel_id(), channels.new_key_id()
        channels.add(
            tx,
            channel_id=channel_id,
            name=f"{provider}-account",
            provider=provider,
            base_url=base_url or BY_NAME[provider].base_url,
            models={},
            settings=settings,
        )
        channels.add_key(
            tx,
            key_id=key_id,
            channel_id=channel_id,
            name="key-1",
            secret=gateway.rt.sealer.seal(SECRET, f"key:{key_id}"),
        )
    gateway.flask_app = create_app(gateway.rt, {**PROVIDERS, **BY_NAME})


def tried(gateway: Gateway, body: dict[str, Any]) -> dict[str, Any]:
    answer = gateway.http.post(
        "/generation/tasks?dry_run=1", json=body, headers=gateway.headers
    )
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    return data(answer)


def test_the_exact_call_is_shown_with_its_secret_masked(gateway: Gateway) -> None:
    with_channel(gateway, "dashscope")

    told = tried(
        gateway,
        {"model": "wanx2.1-t2i-turbo", "prompt": "a pier", "size": "1024x1024"},
    )

    (call,) = told["calls"]
    assert call == {
        "method": "POST",
        "url": "https://dashscope.aliyuncs.com/api/v1/services/aigc/text2image/"
        "image-synthesis",
        "headers": {"X-DashScope-Async": "enable", "Authorization": "Bearer ***"},
        "paid": True,
        "json": {
            "model": "wanx2.1-t2i-turbo",
            "input": {"prompt": "a pier"},
            "parameters": {"n": 1, "size": "1024*1024"},
        },
    }
    assert told["provider"] == "dashscope"
    assert told["complete"] is True
    assert told["reason"] == "the only free channel of priority 0"


def test_nothing_is_stored_sent_or_rung(gateway: Gateway) -> None:
    with_channel(gateway, "openai")

    answer = gateway.http.post(
        "/generation/tasks?dry_run=true",
        data=form([("model", "gpt-image-1"), ("prompt", "x"), ("image", a_file())])[0],
        content_type=form(
            [("model", "gpt-image-1"), ("prompt", "x"), ("image", a_file())]
        )[1],
        headers={**gateway.headers, "Idempotency-Key": "one"},
    )

    assert answer.status_code == 200, answer.text
    assert (gateway.task_count(), gateway.stored_inputs(), gateway.rung) == (0, [], [])


def a_file() -> tuple[bytes, str]:
    return a_png(), "room.png"


def test_sent_images_stand_in_the_call_as_marks(gateway: Gateway) -> None:
    with_channel(gateway, "openai")
    content, content_type = form(
        [("model", "gpt-image-1"), ("prompt", "at night"), ("image", a_file())]
    )

    told = data(
        gateway.http.post(
            "/generation/tasks?dry_run=1",
            data=content,
            content_type=content_type,
            headers=gateway.headers,
        )
    )

    (call,) = told["calls"]
    assert call["url"] == "https://api.openai.com/v1/images/edits"
    files = [part for part in call["form"] if "content" in part]
    assert [(f["content_type"], f["content"]) for f in files] == [
        ("image/png", "<image 1>")
    ]
    assert "input images are not fetched here" in told["note"]


def test_base64_of_an_image_is_shown_as_a_mark(gateway: Gateway) -> None:
    with_channel(gateway, "kling-legacy")

    told = tried(
        gateway,
        {
            "model": "kling-v1-6",
            "prompt": "waves",
            "image": "data:image/png;base64," + a_png_base64(),
        },
    )

    assert told["calls"][-1]["json"]["image"] == "<base64 of image 1>"


def a_png_base64() -> str:
    return base64.b64encode(a_png()).decode()


def test_a_made_up_secret_signs_and_nothing_of_it_is_shown(gateway: Gateway) -> None:
    with_channel(gateway, "jimeng")

    told = tried(gateway, {"model": "jimeng_t2i_v40", "prompt": "a pier"})

    text = str(told)
    assert "sandbox-id" not in text
    assert "Signature=" not in text


def test_settings_of_the_account_are_masked_as_well(gateway: Gateway) -> None:
    with_channel(gateway, "openai", organization="org-of-ours")

    told = tried(gateway, {"model": "gpt-image-1", "prompt": "a pier"})

    assert "org-of-ours" not in str(told)
    assert told["calls"][-1]["headers"]["OpenAI-Organization"] == "***"


def test_a_password_in_a_base_url_is_masked(gateway: Gateway) -> None:
    with_channel(gateway, "openai", base_url="https://me:hidden@proxy.example/v1")

    told = tried(gateway, {"model": "gpt-image-1", "prompt": "a pier"})

    assert "hidden" not in str(told)
    assert told["calls"][0]["url"].startswith("https://***@proxy.example/v1/")


def test_what_intake_refuses_a_dry_run_refuses(gateway: Gateway) -> None:
    answer = gateway.http.post(
        "/generation/tasks?dry_run=1",
        json={"model": "lumen-1", "prompt": "a pier", "n": 9},
        headers=gateway.headers,
    )

    assert answer.status_code == 400
    assert "n" in answer.json["errors"]  # type: ignore[index]


def test_what_the_provider_cannot_express_is_a_400(gateway: Gateway) -> None:
    with_channel(gateway, "kling-legacy")

    answer = gateway.http.post(
        "/generation/tasks?dry_run=1",
        json={"model": "kling-v1-6", "prompt": "x", "action": "generate"}
        | {"audio_url": "https://cdn.example.com/a.mp3"},
        headers=gateway.headers,
    )

    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("dry_run=maybe", "is 'maybe'; 1 or 0 is allowed"),
        ("dry_run=1&dry_run=0", "is given more than once"),
    ],
)
def test_another_word_is_refused(gateway: Gateway, query: str, text: str) -> None:
    answer = gateway.http.post(
        f"/generation/tasks?{query}",
        json={"model": "lumen-1", "prompt": "x"},
        headers=gateway.headers,
    )

    assert answer.status_code == 400
    assert answer.json["errors"] == {"dry_run": [text]}  # type: ignore[index]
    assert gateway.task_count() == 0


def test_no_means_that_the_task_is_taken(gateway: Gateway) -> None:
    answer = gateway.http.post(
        "/generation/tasks?dry_run=0",
        json={"model": "lumen-1", "prompt": "x"},
        headers=gateway.headers,
    )

    assert data(answer)["status"] == "queued"
    assert gateway.task_count() == 1


def test_only_operators_see_the_name_of_the_channel(gateway: Gateway) -> None:
    with_channel(gateway, "openai")
    body = {"model": "gpt-image-1", "prompt": "a pier"}

    assert tried(gateway, body)["channel"] is None
    gateway.key, _ = add_client(gateway.rt, "boss", ["*", "admin"])
    assert tried(gateway, body)["channel"] == "openai-account"


def test_cost_is_what_would_be_held(gateway: Gateway) -> None:
    with_channel(gateway, "openai")
    with gateway.rt.transaction() as tx:
        ledger.set_price(
            tx,
            Price(
                model="gpt-image-1", channel="", unit=Unit.IMAGE, amount=Decimal("0.04")
            ),
        )

    told = tried(gateway, {"model": "gpt-image-1", "prompt": "a pier", "n": 3})

    assert told["cost_at_most"] == "0.12"


def test_a_paused_channel_is_told(gateway: Gateway) -> None:
    with_channel(gateway, "openai")
    with gateway.rt.transaction() as tx:
        found = channels.find_by_name(tx, "openai-account")
        assert found
        channels.pause(tx, found.id, 60.0, "the provider is away")

    told = tried(gateway, {"model": "gpt-image-1", "prompt": "a pier"})

    assert told["reason"] == "every channel is paused or full"
    assert told["complete"] is True


def test_a_callback_into_our_own_network_is_refused(gateway: Gateway) -> None:
    answer = gateway.http.post(
        "/generation/tasks?dry_run=1",
        json={
            "model": "lumen-1",
            "prompt": "x",
            "callback_url": "http://127.0.0.1/hook",
        },
        headers=gateway.headers,
    )

    assert answer.status_code == 400
    assert UnsafeUrl.__name__ not in answer.text
