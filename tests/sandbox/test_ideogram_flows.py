"""Ideogram's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from providers import errors, ideogram
from providers.dialects.ideogram_models import OFFERS, Offer
from providers.flow import drive
from providers.types import Phase, Reason, Snapshot
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.receiving import next_callback, receiving
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
SYNC, JOB = "ideogram-v3", "ideogram-4-5"
IMAGES = {
    "remix": 1,
    "edit": 2,
    "inpaint": 2,
    "precise-edit": 1,
    "reframe": 1,
    "replace-background": 1,
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.01"))
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
    base_url = sandbox.url + ideogram.PROVIDER.sandbox_path
    return sender(base_url, ideogram.PROVIDER, secret, uploads=uploads)


def begun(send: Sender, prompt: str = "a compass", **fields: Any) -> Snapshot:
    return send.submit(a_request(**{"model": JOB, "prompt": prompt, **fields}))


def made(send: Sender, prompt: str = "a compass", **fields: Any) -> Snapshot:
    return send.wait(begun(send, prompt, **fields), pause_s=0.01)


def wishes(offer: Offer, action: str) -> Iterator[dict[str, Any]]:
    """Requests within the model's limits: the least, and with all it may take."""
    model = offer.model
    count = IMAGES.get(action, 1 if "images" in model.needs else 0)
    least: dict[str, Any] = {"images": (an_upload(),) * count}
    if action == "reframe":
        least["size"] = "512x1536"
    yield least
    most: dict[str, Any] = {
        "n": model.max_n,
        "seed": 5,
        "quality": model.qualities[-1] if model.qualities else None,
        "negative_prompt": "blur",
        "style": "realistic",
        "aspect_ratio": "4:3",
    }
    if action not in {"generate", "remix"}:  # a shape and a style of its own
        most = {name: most[name] for name in ("n", "seed", "quality")}
    most = {name: most[name] for name in most if name not in model.refuses}
    room = action == "generate" and model.max_images != 0
    more = {"images": least["images"] or (an_upload(),)} if room else {}
    yield {**least, **most, **more}


@pytest.mark.parametrize(
    ("offer", "action"),
    [(offer, action) for offer in OFFERS for action in offer.model.actions],
    ids=lambda value: value if isinstance(value, str) else value.model.name,
)
def test_every_form_is_taken(send: Sender, offer: Offer, action: str) -> None:
    """The sandbox refuses unknown names, wrong words and files that do not fit."""
    for fields in wishes(offer, action):
        end = made(send, model=offer.model.name, action=action, **fields)
        assert end.phase is Phase.SUCCEEDED
        assert len(end.artifacts) == fields.get("n", 1)


def test_result_is_fetched_without_the_key_in_the_size_asked_for(send: Sender) -> None:
    for model in (SYNC, "ideogram-3"):
        end = made(send, model=model, size="512x1536")
        (image,) = end.artifacts
        assert (image.width, image.height) == (512, 1536)
        assert image.expires_at is not None
        file = Image.open(io.BytesIO(send.fetch(image)))
        assert file.size == (512, 1536)
        assert send.sent[-1].public


def test_ideogram_4_answers_at_once_when_asked_so(send: Sender) -> None:
    metadata = {"async": False, "json_prompt": {"high_level_description": "a fox"}}
    end = begun(send, model="ideogram-v4", metadata=metadata)
    assert (end.phase, end.remote) == (Phase.SUCCEEDED, None)


@pytest.mark.parametrize("model", [SYNC, JOB, "ideogram-v4"])
def test_withheld_images_are_a_failure_or_a_part(send: Sender, model: str) -> None:
    end = made(send, "x [blocked late]", model=model)
    assert end.failure is not None
    assert (end.phase, end.failure.reason) == (Phase.FAILED, Reason.CONTENT_REJECTED)
    if model != "ideogram-v4":
        part = made(send, "x [partial]", model=model, n=2)
        assert (part.phase, len(part.artifacts)) == (Phase.SUCCEEDED, 1)
        assert part.failure is not None


def test_failed_job_is_the_upstreams(send: Sender) -> None:
    for model in (JOB, "ideogram-v4"):
        end = made(send, "x [fail]", model=model)
        assert end.failure is not None
        assert end.failure.reason is Reason.UPSTREAM_FAILED


@pytest.mark.parametrize(
    ("prompt", "secret", "kind", "paid"),
    [
        ("x", "bad-key", errors.KeyRefused, 0),
        ("x", "quota-key", errors.QuotaExhausted, 0),
        ("x [blocked]", SECRET, errors.ContentRejected, 0),
        ("x [403]", SECRET, errors.ModelRefused, 0),
        ("x [429]", SECRET, errors.RateLimited, 0),
        ("x [400]", SECRET, errors.Rejected, 0),
        ("x [503 before]", SECRET, errors.Unavailable, 0),
        ("x [502]", SECRET, errors.Unavailable, 1),
        ("x [cut]", SECRET, errors.AnswerLost, 1),
        ("x [html]", SECRET, errors.UnexpectedReply, 1),
        ("x [no id]", SECRET, errors.UnexpectedReply, 1),
    ],
)
@pytest.mark.parametrize("model", [SYNC, JOB])
def test_spoiled_submit_is_classed(
    sandbox: Sandbox,
    send: Sender,
    model: str,
    prompt: str,
    secret: str,
    kind: type[errors.ProviderError],
    paid: int,
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        begun(a_sender(sandbox, secret), prompt, model=model)
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("ideogram")) == paid


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("unknown status once", errors.UnexpectedReply),
        ("poll 404 once", errors.NotFound),
        ("poll 429 once", errors.RateLimited),
        ("poll 500 once", errors.Unavailable),
    ],
)
def test_spoiled_look_is_taken_again(
    send: Sender, tag: str, kind: type[errors.ProviderError]
) -> None:
    start = begun(send, f"x [{tag}]")
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    assert send.wait(start).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("model", [JOB, "ideogram-v4"])
def test_job_whose_answer_was_lost_calls_home(send: Sender, model: str) -> None:
    with receiving() as (url, heard):
        with pytest.raises(errors.AnswerLost):
            begun(send, "x [cut]", model=model, callback_url=url)
        told = ideogram.receive(next_callback(heard), model)
    assert told.remote is not None
    end = send.poll(told.remote)
    assert (end.phase, told.ids) == (Phase.SUCCEEDED, (told.remote.id,))


def test_key_is_proved_for_free(sandbox: Sandbox, send: Sender) -> None:
    assert drive(ideogram.test(), send) is None
    with pytest.raises(errors.KeyRefused):
        drive(ideogram.test(), a_sender(sandbox, "bad-key"))
    assert sandbox.ledger.submits("ideogram") == []
