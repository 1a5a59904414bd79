"""Speech of the OpenAI API: `/audio/speech`, synchronous, answered as raw bytes.

Source: the text to speech guide, the OpenAPI document 2.3.0 and `openai` 3.54.0 for
Python (types/audio/speech_create_params.py), read in November 2026.
"""

from __future__ import annotations

from typing import Any

from providers import errors, payload
from providers.dialects import openai_errors
from providers.flow import Call, Flow, Reply
from providers.types import (
    Artifact,
    GenerationRequest,
    MediaType,
    Model,
    Phase,
    Snapshot,
)

CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
DEFAULT_FORMAT = "mp3"
DEFAULT_VOICE = "alloy"  # the upstream demands a voice; every model has this one

# Without a header: 24,000 samples a second, 16 bits, one channel, little-endian.
PCM_BYTES_PER_S = 24_000 * 2


def _model(name: str, **limits: Any) -> Model:
    return Model(
        **{
            "name": name,
            "media_type": MediaType.AUDIO,
            "sync": True,
            "refuses": frozenset({"images", "audio_url", "video_url"}),
            "max_prompt": 4096,
            "max_n": 1,
            "speed_range": (0.25, 4.0),
            "output_formats": tuple(CONTENT_TYPES),
            "typical_s": 6.0,
            "longest_s": 180.0,
            **limits,
        }
    )


def _older_model(name: str) -> Model:
    return _model(
        name, refuses=frozenset({"images", "audio_url", "video_url", "style"})
    )


MODELS = (
    _model("gpt-4o-mini-tts"),
    _model("gpt-4o-mini-tts-2025-12-15"),
    _older_model("tts-1"),
    _older_model("tts-1-hd"),
)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Say one text; billed when accepted, answered when it is said."""
    fields = speech_fields(request)
    reply = yield Call("POST", "/audio/speech", json=fields, paid=True)
    openai_errors.check_accepted(reply)
    return read_speech(reply, str(fields["response_format"]))


def speech_fields(request: GenerationRequest) -> dict[str, Any]:
    """The body; the container is always named, for the answer may not tell it."""
    voice = request.voice or DEFAULT_VOICE
    fields = payload.given(
        model=request.model,
        input=request.speech,
        voice={"id": voice} if voice.startswith("voice_") else voice,
        instructions=request.style,
        response_format=(request.output_format or DEFAULT_FORMAT).lower(),
        speed=request.speed,
    )
    # A streamed answer in events (`sse`) is not the bytes that are read here.
    return payload.merged(fields, request.metadata, keep=("model", "stream_format"))


def read_speech(reply: Reply, container: str) -> Snapshot:
    """The answer's bytes as one finished artifact; it has no job behind it."""
    content = reply.content
    if not content or reply.content_type.startswith(("text/", "application/json")):
        raise errors.UnexpectedReply(
            f"the answer is not speech: {len(content)} bytes of "
            f"{reply.content_type or 'no type'}",
            status=reply.status,
        )
    pcm = container == "pcm"
    return Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=(
            Artifact(
                content=content,
                content_type=sniff(content, container) or CONTENT_TYPES.get(container),
                duration_s=len(content) / PCM_BYTES_PER_S if pcm else None,
            ),
        ),
    )


def sniff(content: bytes, container: str) -> str | None:
    """The content type that the first bytes tell, or None.

    Compatible gateways may answer another container than the one asked for. Samples
    without a header look like anything, so they are taken for what was asked.
    """
    if container == "pcm":
        return None
    if content.startswith(b"RIFF"):
        return "audio/wav"
    if content.startswith(b"fLaC"):
        return "audio/flac"
    if content.startswith(b"OggS"):
        return "audio/ogg"
    if content.startswith(b"ID3"):  # tags, mostly before MP3, also before AAC
        return "audio/aac" if container == "aac" else "audio/mpeg"
    if len(content) > 1 and content[0] == 0xFF and content[1] & 0xE0 == 0xE0:
        # Frames of AAC and of MP3 begin alike but for the layer, which AAC leaves 0.
        return "audio/aac" if content[1] & 0x06 == 0 else "audio/mpeg"
    return None
