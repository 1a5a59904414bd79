"""Our flows for sunoapi.org and kie.ai, over real HTTP against the sandbox."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import time
from collections.abc import Iterator
from typing import Any

import av
import pytest
import requests

from providers import errors, sunoapi
from providers.flow import drive
from providers.types import MediaType, Phase, Provider, Reason, Remote, Snapshot
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request
from tests.sandbox.listening import listening
from tests.sandbox.sending import sender

BOTH = [sunoapi.PROVIDER, sunoapi.KIE]
WEBHOOK_SECRET = "the-webhook-key"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:0.1"), webhook_secret=WEBHOOK_SECRET
    )
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def send_to(sandbox: Sandbox, provider: Provider, secret: str = "any-key") -> Any:
    return sender(f"{sandbox.url}{provider.sandbox_path}", provider, secret)


def a_song(prompt: str = "a shanty about rust", **fields: Any) -> Any:
    audio = {"model": "suno_music", "media_type": MediaType.AUDIO}
    return a_request(**{**audio, "prompt": prompt, **fields})


def made(provider: Provider, send: Any, request: Any) -> Snapshot:
    """Submit a request and wait for its end."""
    accepted = drive(provider.submit(request), send)
    assert accepted.remote is not None
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        snapshot = drive(provider.poll(accepted.remote), send)
        if snapshot.phase not in (Phase.PENDING, Phase.RUNNING):
            return snapshot
        time.sleep(0.02)
    raise AssertionError("the job never ended")


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"callback_url": "http://127.0.0.1:9/hook"},
        {"lyrics": "[Verse]\nRust", "title": "Rust", "tags": "shanty", "voice": "male"},
        {"metadata": {"continue_clip_id": "a-1"}},
        {"model": "V4", "negative_prompt": "drums"},
    ],
)
def test_song_is_submitted_polled_and_playable(
    sandbox: Sandbox, provider: Provider, fields: dict[str, Any]
):
    snapshot = made(provider, send_to(sandbox, provider), a_song(**fields))
    assert (snapshot.phase, snapshot.failure) == (Phase.SUCCEEDED, None)
    assert len(snapshot.artifacts) == 2
    assert len(sandbox.ledger.submits(provider.name)) == 1
    song = requests.get(snapshot.artifacts[0].url or "", timeout=10).content
    with av.open(io.BytesIO(song)) as container:
        assert next(container.decode(audio=0)).samples > 0


@pytest.mark.parametrize("provider", BOTH)
def test_lyrics_come_as_texts(sandbox: Sandbox, provider: Provider):
    request = a_song("postcards", model="suno_lyrics")
    snapshot = made(provider, send_to(sandbox, provider), request)
    assert len(snapshot.artifacts) == 2
    for artifact in snapshot.artifacts:
        assert artifact.url is None
        assert "postcards" in (artifact.text or "")


@pytest.mark.parametrize(
    ("tag", "model", "reason"),
    [
        ("[blocked]", "suno_music", Reason.CONTENT_REJECTED),
        ("[fail]", "suno_music", Reason.UPSTREAM_FAILED),
        ("[fail]", "suno_lyrics", Reason.UPSTREAM_FAILED),
    ],
)
def test_failed_generation_is_a_value(
    sandbox: Sandbox, tag: str, model: str, reason: Reason
):
    send = send_to(sandbox, sunoapi.PROVIDER)
    snapshot = made(sunoapi.PROVIDER, send, a_song(f"a shanty {tag}", model=model))
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason


@pytest.mark.parametrize("model", ["suno_music", "suno_lyrics"])
def test_partial_failure_keeps_what_is_good(sandbox: Sandbox, model: str):
    send = send_to(sandbox, sunoapi.PROVIDER)
    snapshot = made(sunoapi.PROVIDER, send, a_song("half [partial]", model=model))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 1)
    assert snapshot.failure is not None


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("[400]", errors.Rejected),
        ("[401]", errors.KeyRefused),
        ("[429]", errors.RateLimited),
        ("[quota]", errors.QuotaExhausted),
        ("[500]", errors.Unavailable),
        ("[html]", errors.UnexpectedReply),
        ("[no id]", errors.UnexpectedReply),
    ],
)
def test_spoilt_submit_is_the_documented_error(
    sandbox: Sandbox,
    provider: Provider,
    tag: str,
    expected: type[errors.ProviderError],
):
    request = a_song(f"a shanty {tag}")
    with pytest.raises(errors.ProviderError) as caught:
        drive(provider.submit(request), send_to(sandbox, provider))
    assert type(caught.value) is expected


@pytest.mark.parametrize("provider", BOTH)
def test_song_without_a_title_is_rejected_upstream(
    sandbox: Sandbox, provider: Provider
):
    with pytest.raises(errors.Rejected, match="title"):
        drive(provider.submit(a_song(tags="shanty")), send_to(sandbox, provider))


@pytest.mark.parametrize("provider", BOTH)
def test_unknown_job_is_not_found(sandbox: Sandbox, provider: Provider):
    with pytest.raises(errors.NotFound):
        drive(provider.poll(Remote("nobody")), send_to(sandbox, provider))


@pytest.mark.parametrize("provider", BOTH)
def test_key_is_proved_or_refused(sandbox: Sandbox, provider: Provider):
    assert provider.test is not None
    drive(provider.test(), send_to(sandbox, provider))
    with pytest.raises(errors.KeyRefused):
        drive(provider.test(), send_to(sandbox, provider, "bad-key"))


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize("model", ["suno_music", "suno_lyrics"])
def test_callback_names_the_submitted_job(
    sandbox: Sandbox, provider: Provider, model: str
):
    assert provider.receive is not None
    with listening() as listener:
        request = a_song(model=model, callback_url=listener.url)
        accepted = drive(provider.submit(request), send_to(sandbox, provider))
        heard = provider.receive(listener.next(), model)
    assert heard.remote == accepted.remote
    assert (heard.signed is not None) == (provider is sunoapi.KIE)


def test_signature_of_kie_holds_under_the_webhook_secret(sandbox: Sandbox):
    with listening() as listener:
        request = a_song(model="suno_lyrics", callback_url=listener.url)
        drive(sunoapi.KIE.submit(request), send_to(sandbox, sunoapi.KIE))
        signed = sunoapi.receive_kie(listener.next(), "suno_lyrics").signed
    assert signed is not None
    digest = hmac.digest(WEBHOOK_SECRET.encode(), signed.message, hashlib.sha256)
    assert base64.b64decode(signed.signature) == digest
