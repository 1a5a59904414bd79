"""The declared example over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
import requests
from PIL import Image

from app import provider_files
from app.security.signatures import verify_hmac_sha256
from providers import errors
from providers.flow import drive
from providers.types import MediaType, Phase, Reason, Remote, Snapshot
from sandbox.jobs import CallKind, parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_upload
from tests.sandbox.listening import listening
from tests.sandbox.sending import Sender, Upload, sender

EXAMPLE = Path(__file__).parents[2] / "deploy" / "providers" / "mothlight.yaml"
MOTHLIGHT = provider_files.read([EXAMPLE])["mothlight"]
SECRET = "sandbox-id:sandbox-key"
HOOK_SECRET = "hook-secret"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:0.05"), webhook_secret=HOOK_SECRET
    )
    with running(settings=settings) as server:
        yield server


@pytest.fixture
def send(sandbox: Sandbox) -> Sender:
    sandbox.reset()
    return a_sender(sandbox)


def a_sender(sandbox: Sandbox, secret: str = SECRET) -> Sender:
    uploads = [Upload(make_image("a frame", 64, 48))]
    base_url = sandbox.url + MOTHLIGHT.sandbox_path
    return sender(base_url, MOTHLIGHT, secret, uploads=uploads)


def begun(send: Sender, prompt: str = "a moth", **fields: Any) -> Snapshot:
    return send.submit(
        a_request(**{"model": "mothlight-still", "prompt": prompt, **fields})
    )


def made(send: Sender, prompt: str = "a moth", **fields: Any) -> Snapshot:
    return send.wait(begun(send, prompt, **fields), pause_s=0.02)


def test_pictures_are_made_in_their_size(send: Sender) -> None:
    end = made(send, size="1536x1024", n=2, seed=3, negative_prompt="dust")
    assert (end.phase, end.failure, len(end.artifacts)) == (Phase.SUCCEEDED, None, 2)
    for artifact in end.artifacts:
        image = Image.open(io.BytesIO(send.fetch(artifact)))
        assert (image.size, image.format) == ((1536, 1024), "PNG")
    unsigned = str(end.artifacts[0].url).partition("?")[0]
    assert requests.get(unsigned, timeout=5).status_code == 403


def test_film_is_made_from_frames(send: Sender) -> None:
    end = made(
        send,
        model="mothlight-film",
        media_type=MediaType.VIDEO,
        images=(an_upload(), an_upload()),
        aspect_ratio="9:16",
        duration=4.0,
    )
    (artifact,) = end.artifacts
    assert artifact.content_type == "video/mp4"
    with av.open(io.BytesIO(send.fetch(artifact))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (270, 480)


def test_output_that_failed_is_told(send: Sender) -> None:
    end = made(send, "moths [partial]", n=3)
    assert (end.phase, len(end.artifacts)) == (Phase.SUCCEEDED, 2)
    assert end.failure is not None


def test_progress_rises_and_looks_are_advised(send: Sender) -> None:
    seen: list[Snapshot] = []
    send.wait(begun(send, "a moth [slow 1500ms]"), pause_s=0.03, watch=seen.append)
    percents = [snapshot.percent or 0 for snapshot in seen]
    assert percents == sorted(percents)
    assert {Phase.PENDING, Phase.RUNNING} < {snapshot.phase for snapshot in seen}
    assert all(snapshot.look_after_s for snapshot in seen[:-1])


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED),
        ("[blocked late]", Reason.CONTENT_REJECTED),
    ],
)
def test_failed_generation_is_a_value(send: Sender, tag: str, reason: Reason) -> None:
    end = made(send, f"a moth {tag}")
    assert (end.phase, end.artifacts) == (Phase.FAILED, ())
    assert end.failure is not None
    assert end.failure.reason is reason


@pytest.mark.parametrize(
    ("tag", "kind", "is_paid"),
    [
        ("[400]", errors.Rejected, False),
        ("[401]", errors.KeyRefused, False),
        ("[403]", errors.ChannelRefused, False),
        ("[404]", errors.NotFound, False),
        ("[429]", errors.RateLimited, False),
        ("[quota]", errors.QuotaExhausted, False),
        ("[blocked]", errors.ContentRejected, False),
        ("[503 before]", errors.Unavailable, False),
        ("[500]", errors.Unavailable, True),
        ("[cut]", errors.AnswerLost, True),
        ("[reset]", errors.AnswerLost, True),
        ("[html]", errors.UnexpectedReply, True),
        ("[no id]", errors.UnexpectedReply, True),
    ],
)
def test_each_fault_of_a_submit_has_its_class(
    sandbox: Sandbox,
    send: Sender,
    tag: str,
    kind: type[errors.ProviderError],
    is_paid: bool,
) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        begun(send, f"a moth {tag}")
    assert type(caught.value) is kind
    assert len(sandbox.ledger.submits("mothlight")) == is_paid
    if kind is errors.RateLimited:
        assert caught.value.retry_after_s == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 404]", errors.NotFound),
        ("[poll 429]", errors.RateLimited),
        ("[poll 502]", errors.Unavailable),
        ("[poll html]", errors.UnexpectedReply),
        ("[unknown status]", errors.UnexpectedReply),
    ],
)
def test_each_fault_of_a_look_has_its_class(
    send: Sender, tag: str, kind: type[errors.ProviderError]
) -> None:
    remote = begun(send, f"a moth {tag}").remote
    assert remote is not None
    with pytest.raises(errors.ProviderError) as caught:
        send.poll(remote)
    assert type(caught.value) is kind


def test_same_sending_is_paid_once(sandbox: Sandbox, send: Sender) -> None:
    with pytest.raises(errors.AnswerLost):
        begun(send, "a moth [reset once]", submission_key="s-1")
    again = begun(send, "a moth [reset once]", submission_key="s-1")
    other = begun(send, "a moth", submission_key="s-2")
    stranger = begun(a_sender(sandbox, "another-key"), submission_key="s-2")
    paid = sandbox.ledger.submits("mothlight")
    remotes = [Remote(submit.job_id) for submit in paid]
    assert [again.remote, other.remote, stranger.remote] == remotes
    assert [submit.reference for submit in paid] == ["s-1", "s-2", "s-2"]


def test_cancel_withdraws_what_has_not_ended(send: Sender) -> None:
    assert MOTHLIGHT.cancel is not None
    remote = begun(send, "a moth [stuck]").remote
    assert remote is not None
    assert drive(MOTHLIGHT.cancel(remote), send) is True
    assert send.poll(remote).phase is Phase.CANCELLED
    assert drive(MOTHLIGHT.cancel(remote), send) is False
    assert drive(MOTHLIGHT.cancel(Remote("gen_none")), send) is False


def test_key_is_proved_without_paying(sandbox: Sandbox, send: Sender) -> None:
    assert MOTHLIGHT.test is not None
    drive(MOTHLIGHT.test(), send)
    with pytest.raises(errors.KeyRefused):
        drive(MOTHLIGHT.test(), a_sender(sandbox, "bad-key"))
    assert sandbox.ledger.submits() == []


def test_job_belongs_to_the_key_that_began_it(sandbox: Sandbox, send: Sender) -> None:
    remote = begun(send).remote
    assert remote is not None
    with pytest.raises(errors.NotFound):
        a_sender(sandbox, "another-key").poll(remote)


def test_notice_is_signed_and_names_the_job(sandbox: Sandbox, send: Sender) -> None:
    assert MOTHLIGHT.receive is not None
    with listening() as listener:
        remote = begun(send, callback_url=listener.url).remote
        callback = listener.next()
    heard = MOTHLIGHT.receive(callback, "still-2")
    assert heard.remote == remote
    signed = heard.signed
    assert signed is not None
    assert verify_hmac_sha256(signed.message, signed.signature, HOOK_SECRET)
    assert not verify_hmac_sha256(signed.message, signed.signature, "other")
    assert sandbox.ledger.calls("mothlight", CallKind.WEBHOOK) == 1


WRONG_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ""}, "prompt is required"),
    ({"colour": "red"}, "colour is no field"),
    ({"frames": ["https://cdn.example.com/a.png"]}, "frames must be data URLs"),
    ({"frames": ["data:image/png;base64,AAAA"]}, "frames: "),
    ({"frames": ["data:image/png;base64,AAAA"] * 5}, "frames must be at most 4"),
    ({"length": 5}, "length must be 4 or 8"),
    ({"length": 4.0}, "length must be 4 or 8"),
    ({"count": 5}, "count must be between 1 and 4"),
    ({"canvas": {"shape": "7:1"}}, "canvas.shape must be one of"),
    ({"canvas": {"depth": 1}}, "canvas.depth is no field"),
    ({"canvas": {"width": 640}}, "height is required"),
    ({"seed": -1}, "seed must be between"),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG_BODIES)
def test_sandbox_is_strict(
    sandbox: Sandbox, send: Sender, wrong: dict[str, Any], told: str
) -> None:
    reply = requests.post(
        f"{sandbox.url}/mothlight/v1/generations",
        json={"model": "film-1", "prompt": "a moth", **wrong},
        headers={"X-Mothlight-Key": f"Token {SECRET}"},
        timeout=5,
    )
    assert (reply.status_code, reply.json()["problem"]["code"]) == (422, "bad_request")
    assert told in reply.json()["problem"]["text"]


def test_model_and_scheme_that_are_unknown_are_refused(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/mothlight/v1/generations"
    for headers, status, code in (
        ({"X-Mothlight-Key": f"Token {SECRET}"}, 404, "model_unknown"),
        ({"X-Mothlight-Key": SECRET}, 401, "key_unknown"),
        ({"Authorization": f"Bearer {SECRET}"}, 401, "key_unknown"),
    ):
        reply = requests.post(url, json={"model": "x"}, headers=headers, timeout=5)
        assert (reply.status_code, reply.json()["problem"]["code"]) == (status, code)
