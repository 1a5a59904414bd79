"""Luma's flows over real HTTP against the sandbox, for both APIs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from providers import errors, luma, luma_agents
from providers.flow import drive
from providers.registry import BY_NAME
from providers.types import Model, Phase, Provider, Reason, Snapshot
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.listening import listening
from tests.sandbox.sending import Sender, Upload, sender

SECRET = "sandbox-id:sandbox-key"
CLIP = "https://cdn.example.com/clip.mp4"
DREAM, AGENTS = luma.PROVIDER, luma_agents.PROVIDER
SMALL = {"luma": "photon-flash-1", "luma-agents": "uni-1"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.03"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def a_sender(
    sandbox: Sandbox, provider: Provider = DREAM, secret: str = SECRET
) -> Sender:
    small = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(small, "png")
    base_url = sandbox.url + provider.sandbox_path
    return sender(base_url, provider, secret, uploads=[Upload(small.getvalue())])


def begun(send: Sender, prompt: str | None = "a compass", **fields: Any) -> Snapshot:
    name = fields.pop("model", SMALL[send.provider.name])
    model = send.provider.describe(name)
    assert model is not None
    made = a_request(model=name, media_type=model.media_type, prompt=prompt, **fields)
    return send.submit(made)


def made(send: Sender, prompt: str | None = "a compass", **fields: Any) -> Snapshot:
    return send.wait(begun(send, prompt, **fields), pause_s=0.02)


def wishes(provider: Provider, model: Model) -> Iterator[dict[str, Any]]:
    """Requests within the model's limits: without, and with all it may take."""
    yield {}
    more: dict[str, Any] = {"aspect_ratio": model.aspect_ratios[-1]}
    if model.durations:
        more |= {"duration": model.durations[-1], "resolution": model.resolutions[-1]}
    elif model.output_formats:
        more["output_format"] = model.output_formats[0]
    yield more
    image = an_upload() if provider is AGENTS else an_image_url()
    yield {**more, "images": (image,)}
    yield {**more, "images": (image, an_image_url())}
    if "reference" in model.actions:
        yield {**more, "images": (image,), "action": "reference"}


MODELS = [(p, model) for p in (DREAM, AGENTS) for model in p.models]


@pytest.mark.parametrize(
    ("provider", "model"), MODELS, ids=[model.name for _, model in MODELS]
)
def test_every_model_takes_the_bodies_we_write(
    sandbox: Sandbox, provider: Provider, model: Model
) -> None:
    send = a_sender(sandbox, provider)
    for fields in wishes(provider, model):
        assert begun(send, model=model.name, **fields).phase is Phase.PENDING


@pytest.mark.parametrize(
    ("name", "model", "fields"),
    [
        ("luma", "ray-2", {"video_url": CLIP, "images": (an_image_url(),)}),
        ("luma", "ray-2", {"action": "reframe", "video_url": CLIP, "size": "1:1"}),
        (
            "luma",
            "photon-1",
            {"action": "reframe", "images": (an_image_url(),), "size": "16:9"},
        ),
        *(
            ("luma", "photon-1", {"action": action, "images": (an_image_url(),) * 3})
            for action in ("edit", "style", "character")
        ),
        ("luma-agents", "ray-3.2", {"video_url": CLIP, "images": (an_upload(),)}),
        ("luma-agents", "ray-3.2", {"action": "reframe", "video_url": CLIP}),
        (
            "luma-agents",
            "ray-3.2",
            {
                "images": (an_upload(),) * 3,
                "metadata": {"video": {"keyframe_indexes": [0, 9, 120]}},
            },
        ),
        (
            "luma-agents",
            "ray-3.2",
            {
                "video_url": CLIP,
                "images": (an_upload(),) * 2,
                "metadata": {"video": {"edit": {"keyframe_indexes": [0, 9]}}},
            },
        ),
    ],
)
def test_every_action_is_taken(
    sandbox: Sandbox, name: str, model: str, fields: dict[str, Any]
) -> None:
    send = a_sender(sandbox, BY_NAME[name])
    assert begun(send, model=model, **fields).phase is Phase.PENDING


def test_film_is_made_and_then_extended_upscaled_and_given_sound(
    sandbox: Sandbox,
) -> None:
    send = a_sender(sandbox)
    film = made(send, model="ray-flash-2", size="720x1280", duration=5.0)
    (artifact,) = film.artifacts
    assert artifact.content_type == "video/mp4"
    with av.open(io.BytesIO(send.fetch(artifact))) as opened:
        assert opened.streams.video[0].height > opened.streams.video[0].width
    assert film.remote is not None
    earlier = {"generation_id": film.remote.id}
    for action in ("extend", "upscale", "audio"):
        end = made(send, model="ray-flash-2", action=action, metadata=earlier)
        assert (end.phase, len(end.artifacts)) == (Phase.SUCCEEDED, 1), action
    with pytest.raises(errors.Rejected):
        begun(send, model="ray-2", action="upscale", metadata={"generation_id": "none"})


def test_image_of_dream_machine_is_of_the_format_and_shape(sandbox: Sandbox) -> None:
    send = a_sender(sandbox)
    end = made(send, size="1:1", output_format="png")
    image = Image.open(io.BytesIO(send.fetch(end.artifacts[0])))
    assert (image.format, image.size) == ("PNG", (1024, 1024))


def test_uploads_reach_agents_in_base64_and_links_are_signed(sandbox: Sandbox) -> None:
    send = a_sender(sandbox, AGENTS)
    end = made(send, images=(an_upload(),), output_format="jpg")
    (artifact,) = end.artifacts
    assert Image.open(io.BytesIO(send.fetch(artifact))).format == "JPEG"
    unsigned = str(artifact.url).partition("?")[0]
    assert requests.get(unsigned, timeout=5).status_code == 403
    end = made(send, images=(an_upload(),), action="layering", resolution="1k")
    assert [each.title for each in end.artifacts] == ["figure", "table", "background"]


def test_link_of_agents_dies_after_an_hour(sandbox: Sandbox) -> None:
    send = a_sender(sandbox, AGENTS)
    link = str(made(send).artifacts[0].url)
    upstream = sandbox.upstream("luma")
    clock, upstream.clock = upstream.clock, lambda: clock() + 3601
    try:
        assert requests.get(link, timeout=5).status_code == 403
    finally:
        upstream.clock = clock
    assert requests.get(link, timeout=5).status_code == 200


@pytest.mark.parametrize("provider", [DREAM, AGENTS], ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("blocked", Reason.CONTENT_REJECTED),
        ("blocked late", Reason.CONTENT_REJECTED),
        ("fail", Reason.UPSTREAM_FAILED),
    ],
)
def test_failed_generation_is_a_value(
    sandbox: Sandbox, provider: Provider, tag: str, reason: Reason
) -> None:
    end = made(a_sender(sandbox, provider), f"x [{tag}]")
    assert end.failure is not None
    assert (end.phase, end.failure.reason) == (Phase.FAILED, reason)


@pytest.mark.parametrize("provider", [DREAM, AGENTS], ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("prompt", "secret", "kind", "paid"),
    [
        ("x", "bad-key", errors.KeyRefused, 0),
        ("x", "quota-key", errors.QuotaExhausted, 0),
        ("x [403]", SECRET, errors.KeyRefused, 0),
        ("x [429]", SECRET, errors.RateLimited, 0),
        ("x [400]", SECRET, errors.Rejected, 0),
        ("x [quota]", SECRET, errors.QuotaExhausted, 0),
        ("x [503 before]", SECRET, errors.Unavailable, 0),
        ("x [502]", SECRET, errors.Unavailable, 1),
        ("x [cut]", SECRET, errors.AnswerLost, 1),
        ("x [html]", SECRET, errors.UnexpectedReply, 1),
        ("x [no id]", SECRET, errors.UnexpectedReply, 1),
    ],
)
def test_spoiled_submit_is_classed(
    sandbox: Sandbox,
    provider: Provider,
    prompt: str,
    secret: str,
    kind: type[errors.ProviderError],
    paid: int,
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        begun(a_sender(sandbox, provider, secret), prompt)
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("luma")) == paid


@pytest.mark.parametrize("provider", [DREAM, AGENTS], ids=lambda each: each.name)
@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("unknown status once", errors.UnexpectedReply),
        ("poll 429 once", errors.RateLimited),
        ("poll 404 once", errors.NotFound),
        ("poll 500 once", errors.Unavailable),
    ],
)
def test_spoiled_look_says_nothing_of_the_generation(
    sandbox: Sandbox, provider: Provider, tag: str, kind: type[errors.ProviderError]
) -> None:
    send = a_sender(sandbox, provider)
    start = begun(send, f"x [{tag}]")
    assert start.remote is not None
    with pytest.raises(kind):
        send.poll(start.remote)
    assert send.wait(start, pause_s=0.02).phase is Phase.SUCCEEDED


def test_many_are_looked_at_together_and_a_lost_one_is_found(sandbox: Sandbox) -> None:
    send = a_sender(sandbox)
    remotes = [begun(send, f"x {number} [slow 9s]").remote for number in range(4)]
    known = [remote for remote in remotes if remote is not None]
    before = len(send.sent)
    found = drive(luma.poll_many(known), send)
    assert set(found) == {remote.id for remote in known}
    assert len(send.sent) == before + 1
    hook = "http://127.0.0.1:9/upstream/luma/s1.abc"
    fields: dict[str, Any] = {"model": "ray-2", "callback_url": hook}
    lost = a_request(**fields, prompt="x [cut] [slow 9s] [no webhook]")
    with pytest.raises(errors.AnswerLost):
        send.submit(lost)
    again = drive(luma.find(lost), send)
    assert again is not None
    (paid,) = sandbox.ledger.submits("luma", prompt_contains="cut")
    assert again.remote is not None
    assert again.remote.id == paid.job_id


def test_deleted_generation_is_unknown_from_then_on(sandbox: Sandbox) -> None:
    send = a_sender(sandbox)
    start = begun(send, "x [slow 30s]")
    assert start.remote is not None
    assert drive(luma.cancel(start.remote), send) is True
    assert drive(luma.cancel(start.remote), send) is False
    with pytest.raises(errors.NotFound):
        send.poll(start.remote)
    assert drive(luma.poll_many([start.remote]), send) == {}


def test_callbacks_name_the_submitted_generation(sandbox: Sandbox) -> None:
    with listening() as listener:
        start = begun(a_sender(sandbox), callback_url=listener.url)
        for _ in ("dreaming", "completed"):
            heard = luma.receive(listener.next(), "photon-flash-1")
            assert (heard.remote, heard.signed) == (start.remote, None)


@pytest.mark.parametrize("provider", [DREAM, AGENTS], ids=lambda each: each.name)
def test_key_is_proved_or_refused(sandbox: Sandbox, provider: Provider) -> None:
    assert provider.test is not None
    drive(provider.test(), a_sender(sandbox, provider))
    with pytest.raises(errors.KeyRefused):
        drive(provider.test(), a_sender(sandbox, provider, "bad-key"))
