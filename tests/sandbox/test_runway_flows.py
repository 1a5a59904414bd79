"""Runway's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image

from providers import errors, runway
from providers.flow import drive
from providers.types import Model, Phase, Reason, Snapshot
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.05"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return a_sender(sandbox)


def a_sender(sandbox: Sandbox, secret: str = SECRET) -> Sender:
    small = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(small, "png")
    uploads = [Upload(small.getvalue())]
    base_url = sandbox.url + runway.PROVIDER.sandbox_path
    return sender(base_url, runway.PROVIDER, secret, uploads=uploads)


def begun(send: Sender, prompt: str = "a compass", **fields: Any) -> Snapshot:
    return send.submit(a_request(**{"model": "gen4_image", "prompt": prompt, **fields}))


def made(send: Sender, prompt: str = "a compass", **fields: Any) -> Snapshot:
    return send.wait(begun(send, prompt, **fields))


GIVEN: dict[str, Any] = {
    "images": (an_upload(),),
    "video_url": "https://cdn.example.com/clip.mp4",
    "voice": "Leslie",
}


def wishes(model: Model) -> Iterator[dict[str, Any]]:
    """Requests within the model's limits: without, and with what it may take."""
    least = {field: GIVEN[field] for field in GIVEN if field in model.needs}
    yield least
    seconds = (*model.durations, *(model.duration_range or (5,)))[0]
    more: dict[str, Any] = {"duration": seconds, "aspect_ratio": "9:16"}
    if model.resolutions:
        more["resolution"] = model.resolutions[-1].upper()
    if model.qualities:
        more["quality"] = model.qualities[0]
    more = {name: more[name] for name in more if name not in model.refuses}
    if "images" not in model.refuses and not least:
        yield {**least, "images": (an_image_url(),)}
    yield {**least, **more}


@pytest.mark.parametrize("model", runway.PROVIDER.models, ids=lambda model: model.name)
def test_every_model_takes_the_form_we_write(send: Sender, model: Model) -> None:
    """The sandbox refuses unknown and missing fields, and words that are none."""
    for fields in wishes(model):
        begun(send, model=model.name, media_type=model.media_type, **fields)


def test_results_are_fetched_by_their_signed_links(send: Sender) -> None:
    end = made(send, model="gpt_image_2", n=2, size="1920x1088")
    assert (end.phase, end.usage) == (Phase.SUCCEEDED, {"credits": 30})
    for artifact in end.artifacts:
        assert Image.open(io.BytesIO(send.fetch(artifact))).size == (1920, 1088)
    (first, _) = end.artifacts
    unsigned = str(first.url).partition("?")[0]
    assert requests.get(unsigned, timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("prompt", "reason", "credits"),
    [
        ("x [blocked]", Reason.CONTENT_REJECTED, 30),
        ("x [fail]", Reason.UPSTREAM_FAILED, 0),
    ],
)
def test_failure_is_read(
    send: Sender, prompt: str, reason: Reason, credits: int
) -> None:
    end = made(send, prompt)
    assert end.failure is not None
    assert (end.phase, end.failure.reason) == (Phase.FAILED, reason)
    assert end.usage == {"credits": credits}


@pytest.mark.parametrize(
    ("prompt", "secret", "kind", "paid"),
    [
        ("x", "bad-key", errors.KeyRefused, 0),
        ("x", "quota-key", errors.QuotaExhausted, 0),
        ("x [429]", SECRET, errors.RateLimited, 0),
        ("x [400]", SECRET, errors.Rejected, 0),
        ("x [503 before]", SECRET, errors.Unavailable, 0),
        ("x [502]", SECRET, errors.Unavailable, 1),
        ("x [cut]", SECRET, errors.AnswerLost, 1),
        ("x [no id]", SECRET, errors.UnexpectedReply, 1),
    ],
)
def test_spoiled_submit_is_classed(
    sandbox: Sandbox,
    send: Sender,
    prompt: str,
    secret: str,
    kind: type[errors.ProviderError],
    paid: int,
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        begun(a_sender(sandbox, secret), prompt)
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("runway")) == paid


def test_undocumented_status_is_looked_at_again(send: Sender) -> None:
    start = begun(send, "x [unknown status once]")
    assert start.remote is not None
    with pytest.raises(errors.UnexpectedReply):
        send.poll(start.remote)
    assert send.wait(start).phase is Phase.SUCCEEDED


def test_cancelled_task_is_unknown_from_then_on(send: Sender) -> None:
    start = begun(send, "x [slow 30s]")
    assert start.remote is not None
    assert drive(runway.cancel(start.remote), send) is True
    assert drive(runway.cancel(start.remote), send) is False
    with pytest.raises(errors.NotFound):
        send.poll(start.remote)
    assert drive(runway.test(), send) is None
