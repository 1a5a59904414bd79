"""Our flows for the "Suno-API" protocol, over real HTTP against the sandbox."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av
import pytest
import requests

from providers import errors, suno
from providers.flow import drive
from providers.types import MediaType, Phase, Reason, Remote, Snapshot
from sandbox.jobs import parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request
from tests.sandbox.listening import listening
from tests.sandbox.sending import sender

SERVERS = ["", "/original"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.1"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def send_to(sandbox: Sandbox, server: str = "", secret: str = "sk-any") -> Any:
    base_url = f"{sandbox.url}{suno.PROVIDER.sandbox_path}{server}"
    return sender(base_url, suno.PROVIDER, secret)


def a_song(prompt: str = "a shanty about rust", **fields: Any) -> Any:
    audio = {"model": "suno_music", "media_type": MediaType.AUDIO}
    return a_request(**{**audio, "prompt": prompt, **fields})


def ended(send: Any, remote: Remote) -> Snapshot:
    """The last snapshot of a job."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        snapshot = drive(suno.poll(remote), send)
        if snapshot.phase not in (Phase.PENDING, Phase.RUNNING):
            return snapshot
        time.sleep(0.02)
    raise AssertionError("the job never ended")


def made(send: Any, request: Any) -> Snapshot:
    """Submit a request and wait for its end."""
    accepted = drive(suno.submit(request), send)
    assert accepted.remote is not None
    return ended(send, accepted.remote)


@pytest.mark.parametrize("server", SERVERS)
def test_song_is_submitted_polled_and_playable(sandbox: Sandbox, server: str):
    snapshot = made(send_to(sandbox, server), a_song(title="Rust", tags="shanty"))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 2)
    (paid,) = sandbox.ledger.submits("suno")
    assert paid.prompt == "a shanty about rust shanty"
    for artifact in snapshot.artifacts:
        assert (artifact.title, artifact.url is not None) == ("Rust", True)
        song = requests.get(artifact.url or "", timeout=10).content
        with av.open(io.BytesIO(song)) as container:
            assert next(container.decode(audio=0)).samples > 0


@pytest.mark.parametrize("server", SERVERS)
def test_lyrics_come_as_text(sandbox: Sandbox, server: str):
    request = a_song("postcards", model="suno_lyrics")
    snapshot = made(send_to(sandbox, server), request)
    (artifact,) = snapshot.artifacts
    assert artifact.url is None
    assert "postcards" in (artifact.text or "")
    assert artifact.title == "Postcards"


def test_many_jobs_are_looked_at_in_one_call(sandbox: Sandbox):
    send = send_to(sandbox)
    remotes = []
    for number in range(3):
        accepted = drive(suno.submit(a_song(f"song {number}")), send)
        assert accepted.remote is not None
        remotes.append(accepted.remote)
    found = drive(suno.poll_many([*remotes, Remote("task_nobody")]), send)
    assert set(found) == {remote.id for remote in remotes}


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("[blocked]", Reason.CONTENT_REJECTED),
        ("[fail]", Reason.UPSTREAM_FAILED),
    ],
)
def test_failed_generation_is_a_value(sandbox: Sandbox, tag: str, reason: Reason):
    snapshot = made(send_to(sandbox), a_song(f"a shanty {tag}"))
    assert (snapshot.phase, snapshot.artifacts) == (Phase.FAILED, ())
    assert snapshot.failure is not None
    assert snapshot.failure.reason is reason


def test_partial_failure_keeps_the_good_song(sandbox: Sandbox):
    snapshot = made(send_to(sandbox), a_song("half [partial]"))
    assert (snapshot.phase, len(snapshot.artifacts)) == (Phase.SUCCEEDED, 1)
    assert snapshot.failure is not None


@pytest.mark.parametrize(
    ("server", "tag", "expected"),
    [
        ("", "[400]", errors.Rejected),
        ("", "[401]", errors.KeyRefused),
        ("", "[403]", errors.ChannelRefused),
        ("", "[429]", errors.RateLimited),
        ("", "[quota]", errors.QuotaExhausted),
        ("", "[500]", errors.Unavailable),
        ("", "[html]", errors.UnexpectedReply),
        ("", "[no id]", errors.UnexpectedReply),
        ("/original", "[401]", errors.KeyRefused),
        ("/original", "[403]", errors.RateLimited),
        ("/original", "[429]", errors.RateLimited),
        ("/original", "[quota]", errors.QuotaExhausted),
        ("/original", "[502 before]", errors.Unavailable),
    ],
)
def test_spoilt_submit_is_the_documented_error(
    sandbox: Sandbox, server: str, tag: str, expected: type[errors.ProviderError]
):
    with pytest.raises(errors.ProviderError) as caught:
        drive(suno.submit(a_song(f"a shanty {tag}")), send_to(sandbox, server))
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[unknown status once]", errors.UnexpectedReply),
    ],
)
def test_spoilt_look_is_an_error_and_the_next_one_goes_on(
    sandbox: Sandbox, tag: str, expected: type[errors.ProviderError]
):
    send = send_to(sandbox)
    accepted = drive(suno.submit(a_song(f"a shanty {tag}")), send)
    assert accepted.remote is not None
    with pytest.raises(expected):
        drive(suno.poll(accepted.remote), send)
    assert ended(send, accepted.remote).phase is Phase.SUCCEEDED


def test_key_is_proved_or_refused(sandbox: Sandbox):
    drive(suno.test(), send_to(sandbox))
    for server in SERVERS:
        with pytest.raises(errors.KeyRefused):
            drive(suno.test(), send_to(sandbox, server, "bad-key"))


def test_unknown_job_is_not_found(sandbox: Sandbox):
    with pytest.raises(errors.NotFound):
        drive(suno.poll(Remote("task_nobody")), send_to(sandbox))


def test_continuation_without_its_task_is_rejected(sandbox: Sandbox):
    request = a_song(metadata={"continue_clip_id": "clip-1", "continue_at": 10})
    with pytest.raises(errors.Rejected, match="task_id"):
        drive(suno.submit(request), send_to(sandbox))
    whole = replace(request, metadata={**request.metadata, "task_id": "task_1"})
    assert drive(suno.submit(whole), send_to(sandbox)).remote is not None


def test_callback_names_the_submitted_job(sandbox: Sandbox):
    with listening() as listener:
        request = a_song(callback_url=listener.url)
        accepted = drive(suno.submit(request), send_to(sandbox))
        heard = suno.receive(listener.next(), "suno_music")
    assert heard.remote == accepted.remote
