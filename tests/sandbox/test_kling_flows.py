"""Kling's flows over real HTTP against the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import pytest
from PIL import Image

from app.security import signatures
from providers import errors, kling, kling_legacy
from providers.flow import drive
from providers.types import (
    Callback,
    GenerationRequest,
    MediaType,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)
from sandbox.jobs import CallKind, parse_durations
from sandbox.server import Sandbox, SandboxSettings, running
from tests.builders import a_request, an_image_url, an_upload
from tests.sandbox.listening import listening
from tests.sandbox.sending import Sender, Upload, sender

NEW, OLD = kling.PROVIDER, kling_legacy.PROVIDER
KEY = "sandbox-id:sandbox-key"
CLIP, SOUND = "https://cdn.example.com/c.mp4", "https://cdn.example.com/s.mp3"
EXPANSION = {f"{side}_expansion_ratio": 0.1 for side in ("up", "down", "left", "right")}
MODELS = [(provider, model) for provider in (NEW, OLD) for model in provider.models]
SECRET = "whsec_c2FuZGJveC1vZi1rbGluZw=="


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(
        durations=parse_durations("fixed:0.1"), webhook_secret=SECRET
    )
    with running(settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(sandbox: Sandbox) -> None:
    sandbox.reset()


def a_picture(width: int = 400, height: int = 320, kind: str = "png") -> Upload:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, kind)
    return Upload(data.getvalue(), f"image/{kind}")


def a_sender(
    sandbox: Sandbox, provider: Provider, key: str = KEY, upload: Upload | None = None
) -> Sender:
    base_url = sandbox.url + provider.sandbox_path
    return sender(base_url, provider, key, uploads=[upload or a_picture()])


def wanted(
    provider: Provider, model: str, prompt: str | None, **more: Any
) -> GenerationRequest:
    described = provider.describe(model)
    assert described is not None
    fields = {"model": model, "media_type": described.media_type, "prompt": prompt}
    return a_request(**{**fields, **more})


NEEDED: dict[str, dict[str, Any]] = {
    "kling-video-extend": {},
    "kling-lip-sync": {"video_url": CLIP, "voice": "v-1"},
    "kling-advanced-lip-sync": {
        "metadata": {"session_id": "7", "face_choose": [{"face_id": "0"}]}
    },
    "kling-multi-elements": {"metadata": {"session_id": "7", "edit_mode": "swap"}},
    "kling-avatar": {"images": (an_upload(),), "audio_url": SOUND},
    "kling-effects": {"images": (an_upload(),), "metadata": {"effect_scene": "hug"}},
    "kling-image-expand": {"images": (an_upload(),), "metadata": EXPANSION},
    "kolors-virtual-try-on-v1-5": {"images": (an_upload(), an_upload())},
    "kling-video-to-audio": {"video_url": CLIP},
    "kling-tts": {"voice": "v-1"},
}


def request_for(provider: Provider, name: str, send: Sender) -> GenerationRequest:
    """A request that the real one would take, for any model."""
    model = provider.describe(name)
    assert model is not None
    fields = dict(NEEDED.get(name, {}))
    if "images" in model.needs:
        fields.setdefault("images", (an_upload(),))
    if "video_url" in model.needs:
        fields["video_url"] = CLIP
    if name == "kling-video-extend":
        first = wanted(OLD, "kling-v1", "a start", submission_key="first")
        made = send.wait(send.submit(first))
        fields["metadata"] = {"video_id": made.usage["video_ids"][0]}
    return wanted(provider, name, "a brass compass", **fields)


@pytest.mark.parametrize(
    ("provider", "name"),
    [(provider, model.name) for provider, model in MODELS],
    ids=[f"{provider.name}:{model.name}" for provider, model in MODELS],
)
def test_every_model_goes_from_submit_to_files(
    sandbox: Sandbox, provider: Provider, name: str
):
    send = a_sender(sandbox, provider, "api-key" if provider is NEW else KEY)
    request = request_for(provider, name, send)
    ended = send.wait(send.submit(request))
    assert (ended.phase, ended.failure) == (Phase.SUCCEEDED, None)
    assert ended.artifacts
    for artifact in ended.artifacts:
        assert send.fetch(artifact)
    submits = sandbox.ledger.submits("kling")
    assert len({submit.job_id for submit in submits}) == len(submits)


def test_a_film_can_be_played_and_its_link_is_kept_byte_for_byte(sandbox: Sandbox):
    send = a_sender(sandbox, NEW)
    request = wanted(NEW, "kling-3.0", "a paper boat", size="1280x720", duration=5.0)
    seen: list[Phase] = []
    ended = send.wait(send.submit(request), watch=lambda s: seen.append(s.phase))
    assert seen[-1] is Phase.SUCCEEDED
    (film,) = ended.artifacts
    assert film.url is not None
    assert film.url.endswith("x-oss-signature=k7%2Fq%2B0%3D")
    with av.open(io.BytesIO(send.fetch(film))) as container:
        assert next(container.decode(video=0)).width > 0
    assert ended.usage["units"] == "3.5"


def test_many_films_are_asked_for_in_one_call(sandbox: Sandbox):
    send = a_sender(sandbox, NEW)
    remotes = []
    for number in range(3):
        request = wanted(NEW, "kling-o1", f"film {number}", submission_key=f"k{number}")
        remote = send.submit(request).remote
        assert remote is not None
        remotes.append(remote)
    before = sandbox.ledger.calls("kling", CallKind.POLL)
    assert NEW.poll_many is not None
    found = drive(NEW.poll_many([*remotes, Remote("80000")]), send)
    assert set(found) == {remote.id for remote in remotes}
    assert sandbox.ledger.calls("kling", CallKind.POLL) == before + 1


def test_one_of_several_images_may_fail(sandbox: Sandbox):
    send = a_sender(sandbox, OLD)
    request = wanted(OLD, "kling-v3-image", "four seasons [partial]", n=3)
    ended = send.wait(send.submit(request))
    assert (ended.phase, len(ended.artifacts)) == (Phase.SUCCEEDED, 2)
    assert ended.failure is not None
    assert ended.failure.message == "2 of 3 outputs were made"
    image = Image.open(io.BytesIO(send.fetch(ended.artifacts[0])))
    assert image.format == "PNG"


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[429]", errors.RateLimited),
        ("[quota]", errors.QuotaExhausted),
        ("[401]", errors.KeyRefused),
        ("[403]", errors.ModelRefused),
        ("[400]", errors.Rejected),
        ("[blocked]", errors.ContentRejected),
        ("[503 before]", errors.Unavailable),
        ("[500]", errors.Unavailable),
        ("[html]", errors.UnexpectedReply),
        ("[no id]", errors.UnexpectedReply),
        ("[cut]", errors.AnswerLost),
        ("[reset]", errors.AnswerLost),
    ],
)
@pytest.mark.parametrize(
    ("provider", "model"), [(NEW, "kling-3.0"), (OLD, "kling-v1")], ids=["new", "old"]
)
def test_what_goes_wrong_at_submit_is_classed_and_a_lost_task_is_found(
    sandbox: Sandbox,
    provider: Provider,
    model: str,
    tag: str,
    kind: type[errors.ProviderError],
):
    send = a_sender(sandbox, provider)
    request = wanted(provider, model, f"a boat {tag}", submission_key="lost-1")
    with pytest.raises(kind) as caught:
        send.submit(request)
    assert type(caught.value) is kind
    paid = sandbox.ledger.submits("kling")
    assert provider.find is not None
    found: Snapshot | None = drive(provider.find(request), send)
    if not paid:
        assert found is None
        return
    assert [submit.reference for submit in paid] == ["lost-1"]
    assert found is not None
    assert found.remote is not None
    assert found.remote.id == paid[0].job_id
    assert send.wait(found).phase is Phase.SUCCEEDED


def test_a_name_is_taken_once(sandbox: Sandbox):
    send = a_sender(sandbox, OLD)
    request = wanted(OLD, "kling-v1", "a boat", submission_key="twice")
    send.submit(request)
    with pytest.raises(errors.Rejected, match="external_task_id"):
        send.submit(request)
    assert len(sandbox.ledger.submits("kling")) == 1


def test_a_lost_task_of_an_endpoint_without_names_stays_unknown(sandbox: Sandbox):
    send = a_sender(sandbox, OLD)
    request = wanted(OLD, "kling-text-to-audio", "rain [503 before]")
    with pytest.raises(errors.Unavailable):
        send.submit(request)
    assert OLD.find is not None
    with pytest.raises(errors.OutcomeUnknown):
        drive(OLD.find(request), send)


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("[fail]", Reason.UPSTREAM_FAILED),
        ("[blocked late]", Reason.CONTENT_REJECTED),
    ],
)
@pytest.mark.parametrize(
    ("provider", "model"), [(NEW, "kling-3.0"), (OLD, "kling-v1")], ids=["new", "old"]
)
def test_a_task_that_failed_says_why(
    sandbox: Sandbox, provider: Provider, model: str, tag: str, reason: Reason
):
    send = a_sender(sandbox, provider)
    ended = send.wait(send.submit(wanted(provider, model, f"a boat {tag}")))
    assert ended.failure is not None
    assert (ended.phase, ended.failure.reason) == (Phase.FAILED, reason)


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[poll 429 once]", errors.RateLimited),
        ("[poll 500 once]", errors.Unavailable),
        ("[poll html once]", errors.UnexpectedReply),
        ("[poll 404 once]", errors.NotFound),
        ("[unknown status]", errors.UnexpectedReply),
    ],
)
@pytest.mark.parametrize(
    ("provider", "model"), [(NEW, "kling-3.0"), (OLD, "kling-v1")], ids=["new", "old"]
)
def test_a_look_that_went_wrong_says_nothing_of_the_task(
    sandbox: Sandbox,
    provider: Provider,
    model: str,
    tag: str,
    kind: type[errors.ProviderError],
):
    send = a_sender(sandbox, provider)
    remote = send.submit(wanted(provider, model, f"a boat {tag}")).remote
    assert remote is not None
    with pytest.raises(kind):
        send.poll(remote)


@pytest.mark.parametrize("provider", [NEW, OLD], ids=["new", "old"])
def test_an_unknown_task_is_not_found(sandbox: Sandbox, provider: Provider):
    send = a_sender(sandbox, provider)
    with pytest.raises(errors.NotFound):
        send.poll(Remote("845120933476120031", {"path": "/v1/videos/text2video"}))


@pytest.mark.parametrize(
    ("provider", "key", "kind"),
    [
        (NEW, "bad-key", errors.KeyRefused),
        (OLD, "bad-key", errors.KeyRefused),
        (OLD, "bad-key:x", errors.KeyRefused),
        (OLD, "sandbox-id:wrong", errors.KeyRefused),
        (OLD, "an-api-key", None),
        (OLD, "ak:sk", None),
        (OLD, KEY, None),
        (NEW, KEY, None),
    ],
)
def test_a_key_is_proved_without_cost(
    sandbox: Sandbox,
    provider: Provider,
    key: str,
    kind: type[errors.ProviderError] | None,
):
    send = a_sender(sandbox, provider, key)
    assert provider.test is not None
    if kind is None:
        drive(provider.test(), send)
    else:
        with pytest.raises(kind):
            drive(provider.test(), send)
    assert sandbox.ledger.submits("kling") == []


@pytest.mark.parametrize("key", ["quota-key", "quota-key:x"])
def test_an_account_without_money_is_told_apart_from_one_that_is_busy(
    sandbox: Sandbox, key: str
):
    send = a_sender(sandbox, OLD, key)
    with pytest.raises(errors.QuotaExhausted):
        send.submit(wanted(OLD, "kling-v1", "a boat"))


@pytest.mark.parametrize(
    ("provider", "model", "fields", "told"),
    [
        (OLD, "kling-v2-6", {"duration": 7.0}, "duration"),
        (OLD, "kling-v2-1", {}, "image"),
        (OLD, "kling-video-extend", {}, "video_id"),
        (OLD, "kling-lip-sync", {"voice": "v"}, "video_id"),
        (OLD, "kling-tts", {"voice": "v", "speed": 3.0}, "voice_speed"),
        (
            OLD,
            "kling-v3-image",
            {"images": (an_upload(),), "negative_prompt": "fog"},
            "negative_prompt",
        ),
        (NEW, "kling-2.6", {"duration": 7.0}, "duration"),
        (NEW, "kling-3.0", {"metadata": {"settings": {"duration": "5"}}}, "number"),
        (NEW, "kling-3.0", {"prompt": None}, "prompt"),
    ],
)
def test_what_the_upstream_refuses_is_the_clients_matter(
    sandbox: Sandbox,
    provider: Provider,
    model: str,
    fields: dict[str, Any],
    told: str,
):
    send = a_sender(sandbox, provider)
    fields = {"prompt": "a boat", **fields}
    prompt = fields.pop("prompt")
    with pytest.raises(errors.Rejected, match=told) as caught:
        send.submit(wanted(provider, model, prompt, **fields))
    assert caught.value.code == "1201"
    assert sandbox.ledger.submits("kling") == []


@pytest.mark.parametrize("upload", [a_picture(200, 400), a_picture(1200, 300)])
def test_pictures_are_looked_at(sandbox: Sandbox, upload: Upload):
    for provider, model in ((NEW, "kling-3.0"), (OLD, "kling-v1")):
        send = a_sender(sandbox, provider, upload=upload)
        with pytest.raises(errors.Rejected):
            send.submit(wanted(provider, model, "a boat", images=(an_upload(),)))


def test_an_expired_link_is_refused(sandbox: Sandbox):
    send = a_sender(sandbox, NEW)
    ended = send.wait(send.submit(wanted(NEW, "kling-o1", "gone [expire]")))
    with pytest.raises(AssertionError, match="HTTP 403"):
        send.fetch(ended.artifacts[0])


@pytest.mark.parametrize(
    ("provider", "model", "adopts"),
    [(NEW, "kling-3.0", True), (OLD, "kling-v3-omni", True), (OLD, "kling-v1", False)],
)
def test_every_change_of_state_calls_home_signed(
    sandbox: Sandbox, provider: Provider, model: str, adopts: bool
):
    send = a_sender(sandbox, provider)
    with listening() as listener:
        request = wanted(
            provider, model, "a boat [slow 600ms]", callback_url=listener.url
        )
        remote = send.submit(request).remote
        callbacks = [listener.next() for _ in range(3)]
    assert remote is not None
    assert provider.receive is not None
    for callback in callbacks:
        heard = provider.receive(callback, model)
        assert heard.ids == (remote.id,)
        assert heard.remote == (remote if adopts else None)
        assert is_signed(provider, model, callback, b"sandbox-of-kling")
        assert not is_signed(provider, model, callback, b"another secret")


def is_signed(provider: Provider, model: str, callback: Callback, key: bytes) -> bool:
    assert provider.receive is not None
    signed = provider.receive(callback, model).signed
    assert signed is not None
    return signatures.verify_hmac_sha256(signed.message, signed.signature, key)


def test_speech_is_in_the_answer_of_its_own_call(sandbox: Sandbox):
    send = a_sender(sandbox, OLD)
    request = wanted(OLD, "kling-tts", "Good morning", voice="v-1", speed=1.2)
    made = send.submit(request)
    assert (made.phase, request.media_type) == (Phase.SUCCEEDED, MediaType.AUDIO)
    with av.open(io.BytesIO(send.fetch(made.artifacts[0]))) as container:
        assert next(container.decode(audio=0)).samples > 0


def test_a_sound_may_be_a_wav_file(sandbox: Sandbox):
    send = a_sender(sandbox, OLD)
    request = wanted(OLD, "kling-text-to-audio", "rain", output_format="WAV")
    ended = send.wait(send.submit(request))
    assert send.fetch(ended.artifacts[0])[:4] == b"RIFF"


def test_a_task_is_another_accounts_secret(sandbox: Sandbox):
    for provider, model in ((NEW, "kling-3.0"), (OLD, "kling-v1")):
        request = wanted(
            provider, model, "x", images=(an_image_url(),), submission_key=model
        )
        remote = a_sender(sandbox, provider, "mine").submit(request).remote
        assert remote is not None
        with pytest.raises(errors.NotFound):
            a_sender(sandbox, provider, "theirs").poll(remote)
