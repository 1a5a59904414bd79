"""PixVerse's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests
from PIL import Image

from app.security.signatures import verify_hmac_sha256
from providers import errors, pixverse
from providers.flow import drive
from providers.types import (
    GenerationRequest,
    MediaType,
    Model,
    Phase,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.receiving import next_callback, receiving
from tests.sandbox.sending import Sender, Upload, sender

V5 = "pixverse-v5"
SECRET = "console-secret"
CLIP, SOUND = "https://cdn.example.com/clip.mp4", "https://cdn.example.com/hum.mp3"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:0.05"), webhook_secret=SECRET
    )
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    return a_sender(sandbox)


def a_picture(kind: str = "png") -> Upload:
    data = io.BytesIO()
    Image.new("RGB", (400, 300), "teal").save(data, kind)
    return Upload(data.getvalue(), f"image/{kind}")


def a_sender(
    sandbox: Sandbox, key: str = "sandbox-id:sandbox-key", upload: Upload | None = None
) -> Sender:
    return sender(
        sandbox.url + pixverse.PROVIDER.sandbox_path,
        pixverse.PROVIDER,
        key,
        uploads=[upload or a_picture()],
    )


def wanted(prompt: str = "a brass compass", **fields: Any) -> GenerationRequest:
    return a_request(
        **{
            "model": V5,
            "media_type": MediaType.VIDEO,
            "prompt": prompt,
            "submission_key": str(uuid.uuid4()),
            **fields,
        }
    )


def made(send: Sender, prompt: str = "a brass compass", **fields: Any) -> Snapshot:
    return send.wait(send.submit(wanted(prompt, **fields)), pause_s=0.02)


TWO = "@image1 meets @image2"


@pytest.mark.parametrize(
    "fields",
    [
        {"size": "640x360"},
        {"images": (an_upload(),), "resolution": "360p"},
        {"images": (an_image_url(), an_upload())},
        {"images": (an_upload(),) * 3, "metadata": {"template_id": 7}},
        {"images": (an_image_url(),) * 2, "action": "fusion", "prompt": TWO},
        {"action": "extend", "video_url": CLIP},
        {"action": "lip_sync", "video_url": CLIP, "audio_url": SOUND},
        {"action": "lip_sync", "video_url": CLIP, "voice": "1"},
        {"action": "sound_effect", "video_url": CLIP},
    ],
    ids=lambda fields: fields.get("action", str(len(fields.get("images", ())))),
)
def test_a_film_is_made_of_all_that_may_be_given(
    send: Sender, sandbox: Sandbox, fields: dict[str, Any]
):
    end = made(send, **fields)
    (film,) = end.artifacts
    assert film.content_type == "video/mp4"
    with av.open(io.BytesIO(send.fetch(film))) as opened:
        assert opened.streams.video
    uploads = len(fields.get("images", ()))
    uploads += sum(name in fields for name in ("video_url", "audio_url"))
    assert sandbox.ledger.calls("pixverse", CallKind.UPLOAD) == uploads
    assert len(sandbox.ledger.submits("pixverse")) == 1


def test_a_film_has_the_size_asked_for(send: Sender):
    (film,) = made(send, size="1080x1920").artifacts
    assert (film.width, film.height) == (1080, 1920)


def test_a_work_goes_on_from_a_film_made_before(send: Sender):
    start = send.submit(wanted())
    assert start.remote is not None
    assert start.usage == {"credits": 45}
    extra = {"source_video_id": int(start.remote.id)}
    end = made(send, action="extend", metadata=extra)
    assert end.phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    "model", pixverse.PROVIDER.models, ids=lambda model: model.name
)
def test_every_version_takes_what_its_limits_allow(send: Sender, model: Model):
    """The sandbox refuses wrong words and numbers as the upstream does."""
    spans = model.durations or model.duration_range
    options: list[dict[str, Any]] = [{"aspect_ratio": r} for r in model.aspect_ratios]
    options += [{"resolution": word} for word in model.resolutions]
    options += [{"duration": seconds} for seconds in spans or ()]
    if "style" not in model.refuses:
        options.append({"style": "clay"})
    for option in options:
        fields = {"seed": 5, "negative_prompt": "fog", **option}
        start = send.submit(wanted("x" * 2048, model=model.name, **fields))
        assert start.phase is Phase.PENDING


@pytest.mark.parametrize(
    ("tag", "reason", "code"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED, "8"),
        ("[blocked late]", Reason.CONTENT_REJECTED, "7"),
    ],
)
def test_a_failure_is_a_value(send: Sender, tag: str, reason: Reason, code: str):
    end = made(send, f"x {tag}")
    assert end.phase is Phase.FAILED
    assert end.failure is not None
    assert (end.failure.reason, end.failure.code) == (reason, code)


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[429 once]", errors.RateLimited),
        ("[quota]", errors.QuotaExhausted),
        ("[401]", errors.KeyRefused),
        ("[403]", errors.ChannelRefused),
        ("[400]", errors.Rejected),
        ("[blocked]", errors.ContentRejected),
        ("[500 before]", errors.Unavailable),
        ("[503 before]", errors.Unavailable),
    ],
)
def test_a_refused_submit_pays_nothing(
    send: Sender, sandbox: Sandbox, tag: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(f"x {tag}"))
    assert type(caught.value) is kind
    assert sandbox.ledger.submits("pixverse") == []
    if "once" in tag:
        assert send.submit(wanted(f"x {tag}")).phase is Phase.PENDING


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[500]", errors.Unavailable),
        ("[502]", errors.Unavailable),
        ("[cut]", errors.AnswerLost),
        ("[reset]", errors.AnswerLost),
        ("[html]", errors.UnexpectedReply),
        ("[no id]", errors.UnexpectedReply),
    ],
)
def test_a_submit_that_was_paid_is_never_called_refused(
    send: Sender, sandbox: Sandbox, tag: str, kind: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        send.submit(wanted(f"x {tag}"))
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("pixverse")) == 1


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 401]", errors.KeyRefused),
        ("[poll 403]", errors.ChannelRefused),
        ("[poll 404 once]", errors.NotFound),
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll 503 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[unknown status once]", errors.UnexpectedReply),
    ],
)
def test_a_look_that_failed_is_no_end(
    send: Sender, tag: str, kind: type[errors.ProviderError]
):
    start = send.submit(wanted(f"x {tag}"))
    assert start.remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(start.remote)
    assert type(caught.value) is kind
    if "once" in tag:
        assert send.wait(start, pause_s=0.02).phase is Phase.SUCCEEDED


def test_two_submissions_of_one_task_are_two_films(send: Sender, sandbox: Sandbox):
    first, second = (send.submit(wanted()) for _ in range(2))
    assert first.remote != second.remote
    same = wanted()
    assert send.submit(same).remote == send.submit(same).remote
    assert len(sandbox.ledger.submits("pixverse")) == 3


def test_looks_do_not_get_an_earlier_answer(send: Sender):
    start = send.submit(wanted("x [slow 150ms]"))
    phases: list[Phase] = []
    end = send.wait(start, pause_s=0.02, watch=lambda s: phases.append(s.phase))
    assert end.phase is Phase.SUCCEEDED
    assert phases[0] is Phase.RUNNING


def test_a_film_is_known_to_its_own_key_only(sandbox: Sandbox, send: Sender):
    start = send.submit(wanted())
    assert start.remote is not None
    for other, remote in (
        (a_sender(sandbox, "sk-other"), start.remote),
        (send, Remote("1")),
    ):
        with pytest.raises(errors.NotFound):
            other.poll(remote)


def test_a_film_that_is_not_there_is_the_clients_mistake(send: Sender):
    with pytest.raises(errors.Rejected, match="not found"):
        send.submit(wanted(action="extend", metadata={"source_video_id": 5}))


def test_a_picture_that_is_not_taken_is_refused_before_anything_is_paid(
    sandbox: Sandbox,
):
    send = a_sender(sandbox, upload=a_picture("gif"))
    with pytest.raises(errors.Rejected, match="format"):
        send.submit(wanted(images=(an_upload(),)))
    assert sandbox.ledger.submits("pixverse") == []


def test_a_link_dies_and_is_good_as_it_is_only(send: Sender):
    (film,) = made(send, "x [expire]").artifacts
    assert film.url is not None
    assert requests.get(film.url, timeout=10).status_code == 403
    (film,) = made(send).artifacts
    assert film.url is not None
    assert requests.get(film.url.replace("%2B", "+"), timeout=10).status_code == 403


def test_a_key_is_proved_without_paying(send: Sender, sandbox: Sandbox):
    drive(pixverse.test(), send)
    with pytest.raises(errors.KeyRefused):
        drive(pixverse.test(), a_sender(sandbox, "bad-key"))
    with pytest.raises(errors.QuotaExhausted):
        a_sender(sandbox, "quota-key").submit(wanted())
    assert sandbox.ledger.submits("pixverse") == []


def test_only_the_secrets_of_the_settings_open_it():
    settings = SandboxSettings(secrets={"pixverse": frozenset({"sk-one"})})
    with running(settings=settings) as sandbox:
        drive(pixverse.test(), a_sender(sandbox, "sk-one"))
        with pytest.raises(errors.KeyRefused):
            drive(pixverse.test(), a_sender(sandbox, "sk-two"))


@pytest.mark.parametrize("forged", [False, True])
def test_a_callback_is_read_and_its_signature_holds(sandbox: Sandbox, forged: bool):
    tag = "[webhook forged]" if forged else ""
    with receiving() as (url, heard):
        console = f"{sandbox.url}/pixverse/console/webhooks"
        hook = requests.post(console, json={"url": url}, timeout=10).json()
        reply = requests.post(
            f"{sandbox.url}/pixverse/openapi/v2/video/text/generate",
            json={
                "prompt": f"x {tag}",
                "model": "v5",
                "duration": 5,
                "quality": "540p",
                "aspect_ratio": "16:9",
            },
            headers={
                "API-KEY": "sk-any",
                "Ai-trace-id": str(uuid.uuid4()),
                "Webhook-Id": hook["webhook_id"],
            },
            timeout=10,
        )
        told = pixverse.receive(next_callback(heard), V5)
    assert told.ids == (str(reply.json()["Resp"]["video_id"]),)
    assert told.signed is not None
    signed = told.signed
    assert verify_hmac_sha256(signed.message, signed.signature, SECRET) is not forged
