"""Our own Recraft flows against the simulated Recraft, over a real socket."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from providers import errors, recraft
from providers.dialects import recraft_models
from providers.flow import drive
from providers.types import GenerationRequest, Phase
from sandbox import recraft_rules
from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.sending import Sender, Upload, sender

SETTINGS = SandboxSettings(durations=parse_durations("fixed:0.01"))
SECRET = "sandbox-id:sandbox-key"
PICTURE = Upload(make_image("in", 240, 160))
MASK = "data:image/png;base64," + base64.b64encode(PICTURE.content).decode("ascii")


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with running(settings=SETTINGS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


def a_channel(sandbox: Sandbox, secret: str = SECRET, **settings: str) -> Sender:
    base_url = sandbox.url + recraft.PROVIDER.sandbox_path
    return sender(
        base_url, recraft.PROVIDER, secret, uploads=[PICTURE], settings=settings
    )


@pytest.fixture
def channel(sandbox: Sandbox) -> Sender:
    return a_channel(sandbox)


def a(model: str = "recraftv4_1", **fields: Any) -> GenerationRequest:
    return a_request(model=model, **fields)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("model", [m.name for m in recraft.PROVIDER.models])
def test_every_model_of_the_table_is_taken(channel, model):
    tool = model in recraft_models.TOOLS
    request = a(
        model,
        images=(an_upload(),) if tool else (),
        metadata={"mask_url": MASK} if model == "recraft-erase-region" else {},
    )
    end = channel.submit(request)
    assert (end.phase, len(end.artifacts)) == (Phase.SUCCEEDED, 1)
    assert end.remote is not None
    assert end.usage["credits"] > 0


@pytest.mark.parametrize(
    ("model", "sizes"),
    [
        ("recraftv4_1", recraft_rules.V4),
        ("recraftv4_1_pro", recraft_rules.PRO),
        ("recraftv3", recraft_rules.V3),
    ],
)
def test_every_size_and_ratio_is_one_that_the_upstream_takes(channel, model, sizes):
    for size in (*sizes, "1000x977", "4000x300"):
        assert recraft_models.pick_size(a(model, size=size), model) in sizes
    assert set(recraft_models.RATIOS) == set(recraft_rules.RATIOS)


@pytest.mark.parametrize(
    ("fields", "size", "form"),
    [
        ({}, (1024, 1024), "WEBP"),
        ({"size": "1920x1080", "output_format": "jpg"}, (1344, 768), "PNG"),
        ({"model": "recraftv3", "aspect_ratio": "3:2"}, (1536, 1024), "WEBP"),
    ],
)
def test_images_have_the_nearest_size_and_the_format(channel, fields, size, form):
    (artifact,) = channel.submit(a(**fields)).artifacts
    image = opened(channel.fetch(artifact))
    assert (image.size, image.format) == (size, form)


def test_vectors_come_from_the_sibling_model(sandbox, channel):
    end = channel.submit(a(output_format="svg", n=2))
    assert [artifact.content_type for artifact in end.artifacts] == [
        "image/svg+xml"
    ] * 2
    assert channel.fetch(end.artifacts[1]).startswith(b"<svg")
    request = a("recraftv2_vector", metadata={"response_format": "b64_json"})
    (artifact,) = channel.submit(request).artifacts
    assert (artifact.url, artifact.content_type) == (None, "image/svg+xml")
    models = [paid.model for paid in sandbox.ledger.submits("recraft")]
    assert models == ["recraftv4_1_vector", "recraftv2_vector"]


@pytest.mark.parametrize(
    "fields",
    [
        {"resolution": "2K"},
        {"model": "recraftv3", "style": "realistic_image/hdr", "seed": 7},
        {"model": "recraftv3", "negative_prompt": "fog"},
        {"metadata": {"controls": {"colors": [{"rgb": [1, 2, 3]}], "no_text": True}}},
        {"metadata": {"style_reference_urls": [MASK], "style_match": "precise"}},
        {"images": (an_upload(),), "seed": 3},
        {"images": (an_image_url(),), "metadata": {"strength": 0.9}},
    ],
)
def test_each_kind_of_request_is_taken(channel, fields):
    assert channel.submit(a(**fields)).phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    ("action", "fields", "count"),
    [
        ("inpaint", {"images": (an_upload(), an_upload())}, 1),
        ("generate_background", {"images": (an_upload(), an_upload())}, 1),
        ("replace_background", {"images": (an_upload(),), "n": 2}, 2),
        ("outpaint", {"images": (an_upload(),), "aspect_ratio": "16:9"}, 1),
        ("outpaint", {"images": (an_upload(),), "metadata": {"expand_top": 9}}, 1),
        ("variate", {"images": (an_upload(),), "size": "1:1", "n": 3}, 3),
    ],
)
def test_each_action_is_taken(channel, action, fields, count):
    end = channel.submit(a("recraftv3", action=action, **fields))
    assert (len(end.artifacts), end.failure) == (count, None)


def test_exploring_goes_on_from_one_of_its_images(channel):
    first = channel.submit(a("recraftv4_explore", action="explore"))
    assert len(first.artifacts) == recraft_rules.EXPLORED
    metadata = {"source_image_id": first.remote.id, "similarity": 5}
    more = channel.submit(
        a("recraftv4_explore", action="explore_similar", metadata=metadata)
    )
    assert len(more.artifacts) == recraft_rules.EXPLORED


def test_a_part_of_the_images_may_fail(channel):
    end = channel.submit(a(prompt="x [partial]", n=3))
    assert len(end.artifacts) == 2
    assert "1 of 3" in end.failure.message


def test_the_purse_of_the_channel_is_named(sandbox):
    assert a_channel(sandbox, billing="subscription").submit(a()).artifacts
    with pytest.raises(errors.Rejected, match="billing"):
        a_channel(sandbox, billing="friend").submit(a())


@pytest.mark.parametrize(
    ("tag", "kind", "paid"),
    [
        ("[400]", errors.Rejected, 0),
        ("[401]", errors.KeyRefused, 0),
        ("[403]", errors.ChannelRefused, 0),
        ("[429]", errors.RateLimited, 0),
        ("[quota]", errors.QuotaExhausted, 0),
        ("[blocked]", errors.ContentRejected, 0),
        ("[503 before]", errors.Unavailable, 0),
        ("[blocked late]", errors.ContentRejected, 1),
        ("[fail]", errors.Unavailable, 1),
        ("[502]", errors.Unavailable, 1),
        ("[html]", errors.UnexpectedReply, 1),
        ("[cut]", errors.ProviderError, 1),
        ("[reset]", errors.AnswerLost, 1),
    ],
)
def test_each_trouble_of_a_submit_is_classed_and_never_sent_again(
    sandbox, channel, tag, kind, paid
):
    with pytest.raises(kind):
        channel.submit(a(prompt=f"x {tag}"))
    assert len(sandbox.ledger.submits("recraft")) == paid
    assert len(channel.sent) == 1


def test_an_answer_that_never_comes_is_lost_and_paid(sandbox, channel):
    channel.timeout_s = 0.5
    with pytest.raises(errors.AnswerLost):
        channel.submit(a(prompt="x [hang]"))
    assert len(sandbox.ledger.submits("recraft")) == 1


def test_an_upload_that_is_no_image_is_rejected_by_the_upstream(channel):
    channel.uploads = [Upload(b"garbage")]
    with pytest.raises(errors.Rejected, match="not an image"):
        channel.submit(a(images=(an_upload(),)))


def test_a_good_token_is_proved_and_a_bad_one_refused(sandbox, channel):
    assert drive(recraft.test(), channel) is None
    with pytest.raises(errors.KeyRefused):
        drive(recraft.test(), a_channel(sandbox, "bad-key"))
    with pytest.raises(errors.QuotaExhausted):
        a_channel(sandbox, "quota-key").submit(a())
