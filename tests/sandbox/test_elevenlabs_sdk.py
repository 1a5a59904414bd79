"""The official client, elevenlabs, against the sandbox over real sockets."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import av
import httpx
import pytest
from elevenlabs import ElevenLabs, flows_custom
from elevenlabs.core.api_error import ApiError
from elevenlabs.errors import UnprocessableEntityError
from elevenlabs.types import (
    ImageGenerationRequest_GptImage2,
    ImageReference_Asset,
    ImageReference_Generation,
    ImageReference_InlineBase64,
    TextToSpeechGenerationRequest_ElevenV3,
    VideoGenerationRequest_BytedanceSeedanceV2,
    VideoGenerationRequest_CreatifyAurora,
    VideoGenerationRequest_Veo31FastGenerate001,
    WebhookHmacSettings,
    WebhookTarget_All,
    WebhookTarget_Ids,
)
from PIL import Image

from sandbox.jobs import parse_durations
from sandbox.media import make_image
from sandbox.server import Sandbox, SandboxSettings, running
from tests.sandbox.receiving import next_callback, receiving

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

GEORGE = "JBFqnCBsd6RMkjVDRZzb"
Connect = Callable[..., ElevenLabs]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(durations=parse_durations("fixed:0.01"))
    with running(settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """One for all clients: each of its own would load the certificates anew."""
    with httpx.Client(timeout=20, trust_env=False) as connections:
        yield connections


@pytest.fixture
def connect(sandbox: Sandbox, http: httpx.Client) -> Connect:
    sandbox.reset()

    def connected(key: str = "sandbox-id:sandbox-key") -> ElevenLabs:
        base_url = f"{sandbox.url}/elevenlabs"
        return ElevenLabs(api_key=key, base_url=base_url, httpx_client=http)

    return connected


@pytest.fixture
def client(connect: Connect) -> ElevenLabs:
    return connect()


def once() -> Any:
    """The client repeats a refused POST by itself, which takes seconds."""
    return {"max_retries": 0}


def listened(chunks: Iterator[bytes], form: str | None = None) -> av.AudioStream:
    with av.open(io.BytesIO(b"".join(chunks)), format=form) as opened:
        next(opened.decode(opened.streams.audio[0]))
        return opened.streams.audio[0]


def fetched(http: httpx.Client, job: Any) -> bytes:
    assert job.status == "completed"
    reply = http.get(job.content_url)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == job.content_mime_type
    return reply.content


# Sounds


def test_every_endpoint_of_sounds_makes_one(
    client: ElevenLabs, sandbox: Sandbox
) -> None:
    speech = client.text_to_speech.convert(
        voice_id=GEORGE,
        text="Good morning.",
        model_id="eleven_flash_v2_5",
        language_code="en",
        voice_settings={"stability": 0.5, "speed": 1.2},  # type: ignore[arg-type]
    )
    assert listened(speech).rate == 44_100
    assert listened(
        client.text_to_speech.stream(GEORGE, text="Hi.", output_format="wav_16000")
    )
    lines: Any = [{"text": "Who is it?", "voice_id": GEORGE}]
    assert listened(client.text_to_dialogue.convert(inputs=lines))
    assert listened(
        client.text_to_sound_effects.convert(text="a bell", duration_seconds=0.5)
    )
    song = client.music.compose(
        prompt="a waltz", music_length_ms=3000, model_id="music_v2"
    )
    assert listened(song).rate == 48_000
    plan: Any = {
        "chunks": [{"text": "[Verse]", "duration_ms": 3000, "positive_styles": ["x"]}]
    }
    assert listened(
        client.music.compose(composition_plan=plan, model_id="music_v2", seed=1)
    )
    assert len(sandbox.ledger.submits("elevenlabs")) == 6


@pytest.mark.parametrize(
    ("output_format", "rate", "form"),
    [
        ("mp3_22050_32", 22_050, "mp3"),
        ("wav_8000", 8_000, "wav"),
        ("opus_48000_64", 48_000, "ogg"),
        ("ulaw_8000", None, "mulaw"),
        ("alaw_8000", None, "alaw"),
        ("pcm_32000", None, "s16le"),
    ],
)
def test_sound_has_the_format_asked_for(
    client: ElevenLabs, output_format: Any, rate: int | None, form: str
) -> None:
    sound = listened(
        client.text_to_speech.convert(GEORGE, text="Hi.", output_format=output_format),
        form,
    )
    assert rate in (None, sound.rate)


def test_answer_tells_what_it_cost(client: ElevenLabs) -> None:
    with client.text_to_speech.with_raw_response.convert(GEORGE, text="Hi.") as reply:
        assert b"".join(reply.data)
        assert reply.headers["character-cost"] == "3"
        assert reply.headers["request-id"]
        assert reply.headers["content-type"] == "audio/mpeg"


# Jobs


def test_image_is_made_and_waited_for(
    client: ElevenLabs, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows_custom, "_SMALLEST_MIN_POLL_INTERVAL_SECONDS", 0.0)
    job = client.flows.image.create_and_wait(
        request=ImageGenerationRequest_GptImage2(
            prompt="a compass", aspect_ratio="16:9", resolution="1K", quality="low"
        ),
        min_poll_interval_in_seconds=0.02,
        wait_timeout_in_seconds=10,
    )
    width, height = Image.open(io.BytesIO(fetched(http, job))).size
    assert width / height == pytest.approx(16 / 9, rel=0.01)


def ended(read: Callable[[str], Any], job_id: str) -> Any:
    """The job when it is over; the client's own wait is half a second at least."""
    for _ in range(200):
        job = read(job_id)
        if job.status in ("completed", "failed"):
            return job
    raise AssertionError("it does not end")


def test_film_and_speech_are_jobs_that_can_be_listed(
    client: ElevenLabs, http: httpx.Client
) -> None:
    video, speech = client.flows.video, client.flows.text_to_speech
    film = video.create(
        request=VideoGenerationRequest_Veo31FastGenerate001(
            prompt="fog", duration_secs=2, aspect_ratio="9:16", resolution="720p"
        )
    )
    assert film.status == "pending"
    told = speech.create(
        request=TextToSpeechGenerationRequest_ElevenV3(text="Hello.", voice=GEORGE)
    )
    with av.open(io.BytesIO(fetched(http, ended(video.get, film.id)))) as opened:
        assert opened.streams.video[0].height > opened.streams.video[0].width
    assert listened(iter([fetched(http, ended(speech.get, told.id))]))
    second = video.create(
        request=VideoGenerationRequest_Veo31FastGenerate001(prompt="x [slow 30s]")
    )
    page = video.list(page_size=1)
    assert [job.id for job in page.generations] == [second.id]
    assert page.has_more
    page = video.list(page_size=1, cursor=page.next_cursor)
    assert [job.id for job in page.generations] == [film.id]
    assert not page.has_more
    running = video.list(status="completed", model_id="veo-3.1-fast-generate-001")
    assert [job.id for job in running.generations] == [film.id]
    with pytest.raises(ApiError) as caught:
        client.flows.image.get(film.id)
    assert caught.value.status_code == 404


@pytest.mark.parametrize(
    ("tag", "reason"), [("blocked", "moderated"), ("fail", "model_error")]
)
def test_failed_job_is_an_answer(client: ElevenLabs, tag: str, reason: str) -> None:
    job = client.flows.image.create(
        request=ImageGenerationRequest_GptImage2(prompt=f"x [{tag}]")
    )
    failed = ended(client.flows.image.get, job.id)
    assert (failed.status, failed.failure_reason) == ("failed", reason)
    assert failed.error_message


def test_inputs_are_inline_assets_or_other_jobs(client: ElevenLabs) -> None:
    frame = make_image("a frame", 64, 64)
    inline = ImageReference_InlineBase64(
        content_base_64=base64.b64encode(frame).decode(), mime_type="image/png"
    )
    asset = client.assets.create(
        asset=("a.png", frame, "image/png"), name="a picture"
    ).asset_id
    draw = client.flows.image
    made = ended(
        draw.get, draw.create(request=ImageGenerationRequest_GptImage2(prompt="x")).id
    )
    request = VideoGenerationRequest_BytedanceSeedanceV2(
        prompt="x",
        images=[
            inline,
            ImageReference_Asset(asset_id=asset),
            ImageReference_Generation(generation_id=made.id),
        ],
    )
    assert client.flows.video.create(request=request).id
    wrong: tuple[Any, ...] = (
        ImageReference_Asset(asset_id="none"),
        ImageReference_InlineBase64(content_base_64="aGk=", mime_type="image/png"),
        ImageReference_InlineBase64(
            content_base_64=inline.content_base_64, mime_type="image/gif"
        ),
    )
    for reference in wrong:
        with pytest.raises(UnprocessableEntityError):
            client.flows.video.create(
                request=VideoGenerationRequest_BytedanceSeedanceV2(
                    prompt="x", start_frame=reference
                )
            )


# Refusals


@pytest.mark.parametrize(
    ("key", "changes", "status", "word"),
    [
        ("bad-key", {}, 401, "invalid_api_key"),
        ("quota-key", {}, 401, "quota_exceeded"),
        ("k", {"voice_id": "nobody"}, 400, "voice_not_found"),
        ("k", {"model_id": "eleven_v9"}, 404, "model_not_found"),
        ("k", {"text": "a" * 10_001}, 400, "max_character_limit_exceeded"),
        ("k", {"language_code": "de"}, 400, "unsupported_language"),
        ("k", {"text": "x [429]"}, 429, "too_many_concurrent_requests"),
        ("k", {"text": "x [403]"}, 403, "voice_access_denied"),
        ("k", {"text": "x [blocked]"}, 400, "bad_prompt"),
        ("k", {"text": "x [503 before]"}, 503, "internal_error"),
    ],
)
def test_refusals_are_the_clients_own_errors(
    connect: Connect,
    sandbox: Sandbox,
    key: str,
    changes: dict[str, Any],
    status: int,
    word: str,
) -> None:
    wanted = {"voice_id": GEORGE, "text": "Hi.", "request_options": once(), **changes}
    with pytest.raises(ApiError) as caught:
        b"".join(connect(key).text_to_speech.convert(**wanted))
    assert caught.value.status_code == status
    assert caught.value.body["detail"]["status"] == word
    assert not sandbox.ledger.submits("elevenlabs")


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.text_to_speech.convert(GEORGE, text=""),
        lambda client: client.text_to_speech.convert(
            GEORGE, text="x", voice_settings={"speed": 2.0}
        ),
        lambda client: client.text_to_speech.convert(
            GEORGE, text="x", output_format="flac_44100"
        ),
        lambda client: client.text_to_sound_effects.convert(
            text="x", duration_seconds=31
        ),
        lambda client: client.music.compose(prompt="x", seed=1),
        lambda client: client.music.compose(prompt="x", output_format="wav_44100"),
        lambda client: client.music.compose(
            prompt="x", composition_plan={"sections": []}
        ),
        lambda client: client.music.compose(music_length_ms=1000, prompt="x"),
        lambda client: client.text_to_dialogue.convert(inputs=[{"text": "x"}]),
        lambda client: client.flows.video.create(
            request=VideoGenerationRequest_Veo31FastGenerate001(
                prompt="x", resolution="4k"
            )
        ),
        lambda client: client.flows.video.create(
            request=VideoGenerationRequest_CreatifyAurora.model_construct()
        ),
        lambda client: client.flows.image.create(
            request=ImageGenerationRequest_GptImage2(
                prompt="x", webhook=WebhookTarget_Ids(ids=["wh_none"])
            )
        ),
        lambda client: client.flows.text_to_speech.create(
            request=TextToSpeechGenerationRequest_ElevenV3(
                text="x", voice=GEORGE, output_format="wav_44100"
            )
        ),
    ],
)
def test_what_does_not_fit_is_a_validation_error(
    client: ElevenLabs, sandbox: Sandbox, call: Callable[[ElevenLabs], Any]
) -> None:
    with pytest.raises(UnprocessableEntityError) as caught:
        list(call(client))
    detail: Any = caught.value.body
    assert all(issue["loc"] and issue["msg"] for issue in detail["detail"])
    assert not sandbox.ledger.submits("elevenlabs")


def test_key_is_needed_for_all(sandbox: Sandbox, http: httpx.Client) -> None:
    reply = http.get(f"{sandbox.url}/elevenlabs/v1/voices")
    assert reply.status_code == 401
    assert reply.json()["detail"]["status"] == "needs_authorization"


def test_voices_models_and_the_user_can_be_read(client: ElevenLabs) -> None:
    assert client.voices.get_all().voices[0].voice_id == GEORGE
    assert "eleven_v3" in [model.model_id for model in client.models.list()]
    assert client.user.get().user_id == "sandbox"


# Webhooks


@pytest.mark.parametrize(("tag", "status"), [("", "completed"), ("[fail]", "failed")])
def test_webhook_is_one_that_the_client_verifies(
    client: ElevenLabs, tag: str, status: str
) -> None:
    with receiving() as (url, heard):
        hook = client.webhooks.create(
            settings=WebhookHmacSettings(name="hook", webhook_url=url)
        )
        job = client.flows.image.create(
            request=ImageGenerationRequest_GptImage2(
                prompt=f"x {tag}", webhook=WebhookTarget_All()
            )
        )
        callback = next_callback(heard)
    event = client.webhooks.construct_event(
        callback.body.decode(),
        callback.headers["elevenlabs-signature"],
        hook.webhook_secret or "",
    )
    assert (event["id"], event["status"]) == (job.id, status)
