"""The documented exchanges of Ideogram, by plain HTTP: it has no SDK for Python."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image

from app.security.signatures import verify_ed25519
from providers import ideogram
from providers.types import Callback
from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.listening import listening

KEY = {"Api-Key": "sandbox-id:sandbox-key"}
POSTER = {"prompt": "Poster that says HELLO", "num_images": "2"}
JOB = {"prompt": "Poster that says HELLO", "async": True}


class Time:
    """The server's clock, moved by hand."""

    now = 1_795_000_000.0


@pytest.fixture(scope="module")
def clock() -> Time:
    return Time()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.01"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def slow(clock: Time) -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:100"), clock=lambda: clock.now
    )
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def post(
    sandbox: Sandbox,
    path: str,
    fields: Any = None,
    *,
    body: Any = None,
    files: Any = None,
    headers: dict[str, str] = KEY,
) -> requests.Response:
    """A form, or JSON; texts go as parts of a form even where there are no files."""
    parts = [(name, (None, text)) for name, text in (fields or {}).items()]
    parts += [(name, (f"{name}.png", data)) for name, data in files or ()]
    url = f"{sandbox.url}/ideogram/{path}"
    return requests.post(
        url, json=body, files=parts or None, headers=headers, timeout=10
    )


def get(sandbox: Sandbox, path: str) -> requests.Response:
    return requests.get(f"{sandbox.url}/ideogram/{path}", headers=KEY, timeout=10)


def a_file(size: tuple[int, int] = (32, 24), kind: str = "png") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, "teal").save(target, kind)
    return target.getvalue()


def test_poster_of_v3_is_in_the_answer(sandbox: Sandbox):
    reply = post(
        sandbox, "v1/ideogram-v3/generate", {**POSTER, "resolution": "512x1536"}
    )
    assert reply.status_code == 200, reply.text
    assert set(reply.json()) == {"created", "data"}
    for image in reply.json()["data"]:
        assert image["is_image_safe"] is True
        assert image["resolution"] == "512x1536"
        file = requests.get(image["url"], timeout=10)
        assert Image.open(io.BytesIO(file.content)).size == (512, 1536)
        unsigned = image["url"].partition("&sig")[0]
        assert requests.get(unsigned, timeout=10).status_code == 403


def test_legacy_models_are_asked_in_json(sandbox: Sandbox):
    wanted = {
        "prompt": "x",
        "model": "V_2",
        "aspect_ratio": "ASPECT_16_9",
        "num_images": 2,
    }
    reply = post(sandbox, "generate", body={"image_request": wanted})
    assert len(reply.json()["data"]) == 2
    for odd in ({"model": "V_3"}, {"aspect_ratio": "16x9"}, {"num_images": 9}):
        body = {"image_request": {**wanted, **odd}}
        assert post(sandbox, "generate", body=body).status_code == 400
    assert post(sandbox, "generate", body={}).status_code == 400
    assert len(sandbox.ledger.submits("ideogram")) == 1


def test_job_of_v2_goes_from_pending_to_completed(slow: Sandbox, clock: Time):
    slow.reset()
    accepted = post(slow, "v2/image/generate/ideogram-4-5", body=JOB).json()
    assert set(accepted) == {"generation_id", "generation_kind", "seed"}
    path = f"v2/generations/{accepted['generation_id']}"
    seen = []
    for seconds in (1, 60, 40):
        clock.now += seconds
        seen.append(get(slow, path).json())
    assert [each["status"] for each in seen] == ["pending", "pending", "completed"]
    assert "data" not in seen[0]
    assert seen[2]["usage_cost_usd_micros"] == 60_000
    link = seen[2]["data"][0]["url"]
    assert requests.get(link, timeout=10).status_code == 200
    clock.now += 25 * 3600
    assert requests.get(link, timeout=10).status_code == 403


def test_failed_job_tells_a_reason_in_v2_only(slow: Sandbox, clock: Time):
    paths = {
        "v1": ("v1/ideogram-v4/async/generate", {"text_prompt": "x [fail]"}),
        "v2": ("v2/image/generate/z-image", {"prompt": "x [fail]", "async": "true"}),
    }
    for version, (path, fields) in paths.items():
        job_id = post(slow, path, fields).json()["generation_id"]
        clock.now += 101
        told = get(slow, f"{version}/generations/{job_id}").json()
        assert told["status"] == "failed"
        assert ("failure_reason" in told) is (version == "v2")


def test_v2_answers_at_once_unless_asked_otherwise(sandbox: Sandbox):
    path = "v2/image/generate/ideogram-4-6"
    assert post(sandbox, path, body={"prompt": "x"}).json()["data"]
    assert "data" not in post(sandbox, path, body=JOB).json()
    quote = post(sandbox, f"{path}?dry_run=true", body={"prompt": "x"}).json()
    assert quote["object"] == "price_quote"
    assert len(sandbox.ledger.submits("ideogram")) == 2


def test_unknown_generation_and_model_are_404(sandbox: Sandbox):
    assert get(sandbox, "v1/generations/nobody").status_code == 404
    assert post(sandbox, "v2/image/generate/gpt-9", body=JOB).status_code == 404
    assert post(sandbox, "v2/image/fly/ideogram-3", body=JOB).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({}, 401, "Access denied"),
        ({"Authorization": "Bearer k"}, 401, "Access denied"),
        ({"Api-Key": "bad-key"}, 401, "Access denied"),
        ({"Api-Key": "quota-key"}, 402, "insufficient_funds"),
    ],
)
def test_key_is_checked(
    sandbox: Sandbox, headers: dict[str, str], status: int, text: str
):
    for path in ("v1/ideogram-v3/generate", "v1/edit", "v2/image/generate/auto"):
        reply = post(sandbox, path, {"prompt": "x"}, headers=headers)
        assert reply.status_code == status
        assert text in reply.text
    assert sandbox.ledger.submits("ideogram") == []
    assert sandbox.ledger.calls("ideogram", CallKind.SUBMIT) == 3


V3 = "v1/ideogram-v3"


@pytest.mark.parametrize(
    ("path", "fields", "files", "text"),
    [
        (f"{V3}/generate", {}, "", "prompt is required"),
        (f"{V3}/generate", {"num_images": "9"}, "", "num_images"),
        (f"{V3}/generate", {"seed": "-1"}, "", "seed"),
        (f"{V3}/generate", {"aspect_ratio": "16:9"}, "", "aspect_ratio"),
        (f"{V3}/generate", {"resolution": "1000x1000"}, "", "resolution"),
        (
            f"{V3}/generate",
            {"resolution": "1024x1024", "aspect_ratio": "1x1"},
            "",
            "combined",
        ),
        (f"{V3}/generate", {"style_type": "design"}, "", "style_type"),
        (f"{V3}/generate", {"color_palette": "ember"}, "", "JSON"),
        (f"{V3}/generate", {"unheard_of": "1"}, "", "unheard_of"),
        (f"{V3}/generate", {}, "image", "image is not a file"),
        (f"{V3}/remix", {}, "", "image is required"),
        (f"{V3}/remix", {"image_weight": "101"}, "image", "image_weight"),
        (f"{V3}/inpaint", {}, "image", "mask is required"),
        (f"{V3}/inpaint", {"negative_prompt": "x"}, "image mask", "negative_prompt"),
        (f"{V3}/reframe", {}, "image", "resolution is required"),
        (f"{V3}/generate-transparent", {"style_type": "DESIGN"}, "", "style_type"),
        ("v1/ideogram-v4/generate", {"prompt": "x"}, "", "prompt is not a field"),
        ("v1/ideogram-v4/generate", {"rendering_speed": "FLASH"}, "", "speed"),
        ("v1/ideogram-v4/generate", {"text_prompt": ""}, "", "exactly one"),
        ("v1/edit", {}, "", "images is required"),
        ("v2/image/generate/ideogram-4-5", {"quality": "best"}, "", "quality"),
        ("v2/image/generate/ideogram-4-5", {"aspect_ratio": "1x1"}, "", "aspect_ratio"),
        ("v2/image/generate/ideogram-3", {"rendering_speed": "TURBO"}, "", "speed"),
        ("v2/image/remix/ideogram-4", {}, "", "image is required"),
    ],
)
def test_wrong_form_is_refused_and_free(
    sandbox: Sandbox, path: str, fields: dict[str, str], files: str, text: str
):
    given = dict(fields)
    if text not in {"prompt is required", "exactly one"} and "v4" not in path:
        given.setdefault("prompt", "x")
    if "reframe" in path:
        del given["prompt"]
    named = [(name, a_file()) for name in files.split()]
    reply = post(sandbox, path, given or {"seed": "1"}, files=named)
    assert reply.status_code == 400, reply.text
    assert text in reply.json()["error"]
    assert sandbox.ledger.submits("ideogram") == []


@pytest.mark.parametrize(
    ("data", "mask"),
    [
        (b"no image", None),
        (a_file(kind="gif"), None),
        (a_file(), a_file((8, 8))),
    ],
)
def test_file_that_does_not_fit_is_refused(
    sandbox: Sandbox, data: bytes, mask: bytes | None
):
    files = [("image", data), ("mask", mask or data)]
    reply = post(sandbox, f"{V3}/inpaint", {"prompt": "x"}, files=files)
    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("tag", "status", "text"),
    [
        ("[blocked]", 422, "failed safety check"),
        ("[429]", 429, "inflight_limit"),
        ("[quota]", 402, "insufficient_funds"),
        ("[403]", 403, "No access"),
        ("[503 before]", 503, "Internal error"),
    ],
)
@pytest.mark.parametrize("path", [f"{V3}/generate", "v2/image/generate/ideogram-3"])
def test_refusal_by_tag(sandbox: Sandbox, path: str, tag: str, status: int, text: str):
    reply = post(sandbox, path, {"prompt": f"x {tag}"})
    assert (reply.status_code, text in reply.text) == (status, True)
    assert reply.headers.get("Retry-After") == ("1" if status == 429 else None)
    assert sandbox.ledger.submits("ideogram") == []


def test_withheld_image_has_no_address_in_a_success(sandbox: Sandbox):
    seen = {}
    for tag in ("[partial]", "[blocked late]"):
        fields = {"prompt": f"x {tag}", "num_images": "2"}
        reply = post(sandbox, f"{V3}/generate", fields)
        assert reply.status_code == 200
        seen[tag] = [(i["is_image_safe"], bool(i["url"])) for i in reply.json()["data"]]
    assert seen == {
        "[partial]": [(True, True), (False, False)],
        "[blocked late]": [(False, False), (False, False)],
    }


@pytest.mark.parametrize(
    ("tag", "holds", "has_data"),
    [("", True, True), ("[fail]", True, False), ("[webhook forged]", False, True)],
)
def test_webhook_is_signed_with_a_key_of_the_set(
    sandbox: Sandbox, tag: str, holds: bool, has_data: bool
):
    with listening() as listener:
        path = f"v1/ideogram-v4/async/generate?webhook_url={listener.url}"
        accepted = post(sandbox, path, {"text_prompt": f"x {tag}"}).json()
        heard = listener.next()
    assert accepted["status"] == "pending"
    told = json.loads(heard.body)
    assert told["generation_id"] == accepted["generation_id"]
    assert ("data" in told, "status" in told) == (has_data, False)
    signed = ideogram.receive(Callback(heard.headers, heard.body), "ideogram-v4").signed
    assert signed is not None
    assert hashlib.sha256(heard.body).hexdigest() in signed.message.decode()
    for place in (".well-known/jwks.json", "v1/.well-known/jwks.json"):
        keys = get(sandbox, place).json()
        assert verify_ed25519(signed.message, signed.signature, keys) is holds


def test_webhook_of_v2_is_asked_for_in_the_body(sandbox: Sandbox):
    with listening() as listener:
        body = {"prompt": "x", "webhook_url": listener.url}
        accepted = post(sandbox, "v2/image/generate/auto", body=body).json()
        told = json.loads(listener.next().body)
    assert told["generation_id"] == accepted["generation_id"]
    assert told["data"][0]["is_image_safe"] is True
