"""Gemini's images, speech, and Lyria's music: `models/{model}:generateContent`.

Synchronous: the answer holds the files in base64. Documentation: ai.google.dev/
gemini-api/docs (image-generation, speech-generation, music-generation) and the SDK
google-genai 3.4.0 (models.py, types.py). Read in November 2026.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from providers import errors, payload
from providers.dialects import gemini_errors, gemini_files, gemini_models
from providers.dialects.gemini_models import Family, Platform
from providers.flow import Call, Flow
from providers.types import (
    Artifact,
    Failure,
    GenerationRequest,
    Phase,
    Reason,
    Snapshot,
)

# Why there is no file, by the `finishReason` of a candidate.
FINISH_REASONS: Mapping[str, Reason] = {
    "SAFETY": Reason.CONTENT_REJECTED,
    "IMAGE_SAFETY": Reason.CONTENT_REJECTED,
    "IMAGE_PROHIBITED_CONTENT": Reason.CONTENT_REJECTED,
    "PROHIBITED_CONTENT": Reason.CONTENT_REJECTED,
    "IMAGE_RECITATION": Reason.CONTENT_REJECTED,
    "RECITATION": Reason.CONTENT_REJECTED,
    "BLOCKLIST": Reason.CONTENT_REJECTED,
    "SPII": Reason.CONTENT_REJECTED,
    "IMAGE_OTHER": Reason.UPSTREAM_FAILED,
    "NO_IMAGE": Reason.UPSTREAM_FAILED,
    "OTHER": Reason.UPSTREAM_FAILED,
    "MAX_TOKENS": Reason.UPSTREAM_FAILED,
    "STOP": Reason.UPSTREAM_FAILED,  # it answered with words alone
}
# Why a prompt was not answered at all.
BLOCK_REASONS = frozenset(
    {"SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"}
)

# Fields of the request that a client's metadata may set; all else is configuration.
TOP_FIELDS = frozenset(
    {
        "cachedContent",
        "labels",
        "safetySettings",
        "serviceTier",
        "systemInstruction",
        "toolConfig",
        "tools",
    }
)
KEPT = ("candidateCount", "contents", "model", "generationConfig")
DEFAULT_VOICE = "Kore"
NO_IMAGE_SIZE = "gemini-2.5"  # the beginning of the names that refuse `imageSize`


def submit(request: GenerationRequest, platform: Platform) -> Flow[Snapshot]:
    """Make one image, one speech or one piece of music; billed when accepted."""
    parts: list[dict[str, Any]] = [{"text": build_text(request)}]
    for image in request.images:
        picture = yield from gemini_files.as_picture(image)
        parts.append(
            {"inlineData": {"mimeType": picture.content_type, "data": picture.data}}
        )
    body = {
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": build_config(request),
        **{
            name: value
            for name, value in request.metadata.items()
            if name in TOP_FIELDS
        },
    }
    path = platform.path(request.model, "generateContent")
    reply = yield Call("POST", path, json=body, paid=True)
    return read_content(gemini_errors.accepted(reply, absent=errors.ModelRefused))


def build_text(request: GenerationRequest) -> str:
    """All that has no field of its own is said in the text."""
    family = gemini_models.find_family(request.model)
    if family is Family.SPEECH:
        # a manner before a colon is followed, not spoken
        manner = request.style or (request.prompt if request.input else None)
        return f"{manner}: {request.speech}" if manner else request.speech
    lines = {"Style": request.style, "Quality": request.quality}
    if family is Family.MUSIC:
        length = f"{request.duration:g} seconds" if request.duration else None
        lines |= {"Title": request.title, "Genre": request.tags, "Length": length}
    lines["Avoid"] = request.negative_prompt
    if family is Family.MUSIC:
        lines["Lyrics"] = f"\n{request.lyrics}" if request.lyrics else None
    told = [f"{name}: {value}" for name, value in lines.items() if value]
    return "\n".join([request.text, *told])


def build_config(request: GenerationRequest) -> dict[str, Any]:
    """`generationConfig`, with a client's own settings merged in."""
    config: dict[str, Any] = payload.given(seed=request.seed)
    match gemini_models.find_family(request.model):
        case Family.SPEECH:
            config["responseModalities"] = ["AUDIO"]
            config["speechConfig"] = speech_config(request)
        case Family.MUSIC:
            config["responseModalities"] = ["AUDIO", "TEXT"]
        case _:
            config["responseModalities"] = ["TEXT", "IMAGE"]
            if image_config := build_image_config(request):
                config["imageConfig"] = image_config
    metadata = {k: v for k, v in request.metadata.items() if k not in TOP_FIELDS}
    own = metadata.get("generationConfig")
    for extra in (own if isinstance(own, Mapping) else {}, metadata):
        config = payload.merged(config, extra, keep=KEPT)
    speech = config.get("speechConfig")
    if isinstance(speech, dict) and "multiSpeakerVoiceConfig" in speech:
        speech.pop("voiceConfig", None)  # one or the other
    return config


def speech_config(request: GenerationRequest) -> dict[str, Any]:
    """The one voice; several speakers are set by `speechConfig` of the metadata."""
    voice = request.voice or DEFAULT_VOICE
    return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}


def build_image_config(request: GenerationRequest) -> dict[str, Any]:
    """Shape and size, as far as the client said and the model takes them."""
    sized = not gemini_models.plain_name(request.model).startswith(NO_IMAGE_SIZE)
    return payload.given(
        aspectRatio=gemini_models.ratio_of(request, gemini_models.IMAGE_RATIOS),
        imageSize=gemini_models.image_resolution(request) if sized else None,
    )


@errors.documented("generated content")
def read_content(body: dict[str, Any]) -> Snapshot:
    """`{"candidates": [{"content": {"parts"}, "finishReason"}], "usageMetadata"?}`.

    Without candidates the prompt was blocked: `{"promptFeedback": {"blockReason"}}`.
    """
    usage = read_usage(body)
    candidates = body.get("candidates")
    if not candidates:
        reason = body["promptFeedback"]["blockReason"]
        if reason not in BLOCK_REASONS:
            raise ValueError(f"the block reason {reason!r}")
        text = body["promptFeedback"].get("blockReasonMessage")
        return failed(Reason.CONTENT_REJECTED, text or "the prompt was blocked", reason)
    parts = [part for each in candidates for part in read_parts(each)]
    text = "\n".join(part["text"] for part in parts if part.get("text"))
    artifacts = list(read_files(parts))
    if not artifacts:
        last = candidates[0]
        reason = last["finishReason"]
        told = last.get("finishMessage") or text or "the model made no file"
        return replace(failed(FINISH_REASONS[reason], told, reason), usage=usage)
    if text and artifacts[0].content_type == "audio/mpeg":
        artifacts[0] = replace(artifacts[0], text=text)  # the words of a song
    return Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=tuple(artifacts),
        usage=usage,
    )


def failed(reason: Reason, message: str, code: str) -> Snapshot:
    return Snapshot(
        phase=Phase.FAILED,
        failure=Failure(reason, message[: errors.MESSAGE_LENGTH], code),
    )


def read_parts(candidate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of an answer; thoughts are left out, for theirs are drafts."""
    parts = (candidate.get("content") or {}).get("parts") or ()
    return [part for part in parts if not part.get("thought")]


def read_files(parts: list[Mapping[str, Any]]) -> Iterator[Artifact]:
    """The files among the parts; some proxies write the names in snake case."""
    for part in parts:
        blob = part.get("inlineData") or part.get("inline_data")
        if blob:
            mime_type = blob.get("mimeType") or blob["mime_type"]
            yield gemini_files.inline(blob["data"], mime_type)


def read_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of tokens."""
    counted = body.get("usageMetadata") or {}
    return {name: count for name, count in counted.items() if isinstance(count, int)}
