"""`:generateContent` in the sandbox, for the models that answer with media.

Wire format: ai.google.dev/gemini-api/docs (image-generation, speech-generation,
music-generation) and `google-genai` 3.4.0 (read 2026-11-22). Chat, tools and streams
are not simulated.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.answers import answer_submit, json_answer, make_output
from sandbox.google_calls import (
    House,
    camel,
    check_names,
    check_picture,
    choose,
    digest,
    model_absent,
    read_body,
    refuse,
)
from sandbox.inputs import BadInput, get_list, get_object, get_text, get_whole
from sandbox.jobs import CallKind, Job, MediaType

RATIOS = (
    *("1:1", "2:3", "3:2", "3:4", "4:3"),
    *("4:5", "5:4", "9:16", "16:9", "21:9"),
)
LONG_RATIOS = (*RATIOS, "1:4", "4:1", "1:8", "8:1")
PIXELS = {"512": 512**2, "1K": 1024**2, "2K": 2048**2, "4K": 4096**2}
CHARACTERS_PER_S = 15
MUSIC_S = 30.0
PCM = "audio/L16;codec=pcm;rate=24000"


@dataclass(frozen=True)
class Painter:
    """What an image model takes."""

    ratios: tuple[str, ...] = RATIOS
    sizes: tuple[str, ...] = tuple(PIXELS)


PAINTERS = {
    "gemini-3.1-flash-image": Painter(LONG_RATIOS),
    "gemini-3.1-flash-lite-image": Painter(LONG_RATIOS),
    "gemini-3.1-flash-image-preview": Painter(LONG_RATIOS),
    "gemini-3-pro-image": Painter(),
    "gemini-3-pro-image-preview": Painter(),
    "gemini-nano-banana-2.1": Painter(LONG_RATIOS),
    "gemini-2.5-flash-image": Painter(sizes=()),
    "gemini-2.5-flash-image-preview": Painter(sizes=()),
}
SPEAKERS = {
    "gemini-3.8-flash-tts": "audio/wav",
    "gemini-3.8-flash-lite-tts": "audio/wav",
    "gemini-3.1-flash-tts-preview": PCM,
    "gemini-2.5-flash-preview-tts": PCM,
    "gemini-2.5-pro-preview-tts": PCM,
}
MUSICIANS = ("lyria-3.5", "lyria-3-clip-preview", "lyria-3-pro-preview")
MODELS = (*PAINTERS, *SPEAKERS, *MUSICIANS)

FIELDS = frozenset(
    {
        "cachedContent",
        "contents",
        "generationConfig",
        "labels",
        "model",
        "safetySettings",
        "serviceTier",
        "systemInstruction",
        "toolConfig",
        "tools",
    }
)
CONFIG_FIELDS = frozenset(
    {
        "candidateCount",
        "frequencyPenalty",
        "imageConfig",
        "maxOutputTokens",
        "mediaResolution",
        "presencePenalty",
        "responseModalities",
        "seed",
        "speechConfig",
        "stopSequences",
        "temperature",
        "thinkingConfig",
        "topK",
        "topP",
    }
)
IMAGE_FIELDS = frozenset({"aspectRatio", "imageSize", "personGeneration"})
SPEECH_FIELDS = frozenset({"languageCode", "multiSpeakerVoiceConfig", "voiceConfig"})
MODALITIES = ("TEXT", "IMAGE", "AUDIO")


@dataclass(frozen=True)
class Wanted:
    """A submit that fits."""

    prompt: str
    media_type: MediaType
    mime_type: str
    width: int = 1024
    height: int = 1024
    seconds: float = 0.0


def read_wanted(body: Mapping[str, Any], model: str) -> Wanted:
    """The request of a submit; raises BadInput."""
    check_names(body, FIELDS, "request")
    texts: list[str] = []
    pictures = 0
    contents = get_list(body, "contents")
    if not contents:
        raise BadInput("* GenerateContentRequest.contents: contents is not specified")
    for content in contents:
        if not isinstance(content, dict):
            raise BadInput("`contents` must hold objects.", "contents")
        check_names(content, {"parts", "role"}, "contents")
        for part in get_list(content, "parts"):
            pictures += read_part(part, texts)
    prompt = " ".join(texts).strip()
    config = get_object(body, "generationConfig")
    check_names(config, CONFIG_FIELDS, "generation_config")
    if get_whole(config, "candidateCount", default=1) != 1:
        raise BadInput("Only one candidate is supported by this model.")
    get_whole(config, "seed", default=0, least=-(2**31), most=2**31 - 1)
    modalities = get_list(config, "responseModalities")
    for modality in modalities:
        choose(modality, "responseModalities", MODALITIES)
    if model in PAINTERS:
        return painting(prompt, config, PAINTERS[model], modalities)
    if "imageConfig" in config:
        raise BadInput("`imageConfig` isn't supported by this model.")
    if not prompt:
        raise BadInput("The request has no text.", "contents")
    if "IMAGE" in modalities:
        raise BadInput("The model does not support the response modality IMAGE.")
    if model in SPEAKERS:
        if modalities != ["AUDIO"]:
            raise BadInput("The model only supports the response modality AUDIO.")
        if pictures:
            raise BadInput("The model does not support image input.")
        check_speech(get_object(config, "speechConfig"))
        seconds = max(1.0, len(prompt) / CHARACTERS_PER_S)
        return Wanted(
            prompt, MediaType.AUDIO, SPEAKERS[model], seconds=min(60.0, seconds)
        )
    return Wanted(prompt, MediaType.AUDIO, "audio/mpeg", seconds=MUSIC_S)


def read_part(part: Any, texts: list[str]) -> int:
    """Look at one part; adds its text, and tells how many images it is."""
    if not isinstance(part, dict):
        raise BadInput("`parts` must hold objects.", "parts")
    names = {"text", "inlineData", "fileData", "thought", "thoughtSignature"}
    check_names(part, names, "contents.parts")
    if "inlineData" in part:
        blob = get_object(part, "inlineData")
        check_names(blob, {"mimeType", "data", "displayName"}, "inline_data")
        check_picture(blob.get("data"), blob.get("mimeType"), "inlineData")
        return 1
    if "fileData" in part:
        return 1
    texts.append(get_text(part, "text", default=""))
    return 0


def painting(
    prompt: str, config: Mapping[str, Any], painter: Painter, modalities: list[Any]
) -> Wanted:
    """What an image is to be like."""
    if modalities and "IMAGE" not in modalities:
        raise BadInput("The model has to answer with an image.")
    if "AUDIO" in modalities or "speechConfig" in config:
        raise BadInput("The model does not support the response modality AUDIO.")
    image = get_object(config, "imageConfig")
    check_names(image, IMAGE_FIELDS, "generation_config.image_config")
    ratio = get_text(image, "aspectRatio", default="1:1")
    choose(ratio, "aspectRatio", painter.ratios)
    size = image.get("imageSize")
    if size is not None and not painter.sizes:
        raise BadInput("`imageSize` isn't supported by this model.")
    choose(size, "imageSize", painter.sizes)
    wide, high = map(int, ratio.split(":"))
    unit = (PIXELS[size or "1K"] / (wide * high)) ** 0.5
    width, height = (max(16, round(unit * side / 16) * 16) for side in (wide, high))
    return Wanted(prompt, MediaType.IMAGE, "image/png", width, height)


def check_speech(speech: Mapping[str, Any]) -> None:
    """One voice, or two speakers with one each."""
    check_names(speech, SPEECH_FIELDS, "speech_config")
    many = get_object(speech, "multiSpeakerVoiceConfig")
    if not many:
        check_voice(get_object(speech, "voiceConfig"))
        return
    if speech.get("voiceConfig"):
        raise BadInput(
            "`voiceConfig` and `multiSpeakerVoiceConfig` exclude each other."
        )
    speakers = get_list(many, "speakerVoiceConfigs")
    if len(speakers) != 2:
        raise BadInput("`speakerVoiceConfigs` must have 2 entries.")
    for speaker in speakers:
        if not isinstance(speaker, dict):
            raise BadInput("`speakerVoiceConfigs` must hold objects.")
        get_text(speaker, "speaker")
        check_voice(get_object(speaker, "voiceConfig"))


def check_voice(voice: Mapping[str, Any]) -> None:
    built_in = get_object(voice, "prebuiltVoiceConfig")
    if built_in and not get_text(built_in, "voiceName").isalpha():
        raise BadInput(f"Voice name {built_in['voiceName']} is not supported.")


class Contents:
    """The call of models that answer at once, of one house."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """`POST .../models/{model}:generateContent`."""
        secret, refused = self.house.admit(request, CallKind.SUBMIT)
        if refused is not None:
            return refused
        model = request.match_info["model"]
        if model not in MODELS:
            return model_absent(model, "generateContent")
        try:
            wanted = read_wanted(camel(await read_body(request)), model)
        except BadInput as error:
            return refuse(error)
        upstream = self.house.upstream

        def accept() -> Job:
            return upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=wanted.prompt,
                media_type=wanted.media_type,
                model=model,
                width=wanted.width,
                height=wanted.height,
                seconds=wanted.seconds,
                secret=secret,
            )

        async def respond(job: Job) -> web.Response:
            return json_answer(answered(job, await parts(job, wanted.mime_type)))

        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            accept,
            respond,
            self.house.refusals_of(
                blocked=blocked, blocked_result=blocked_result, failed=failed
            ),
            waits=True,
        )


async def parts(job: Job, mime_type: str) -> list[dict[str, Any]]:
    """The parts of an answer: words, and the file."""
    if mime_type == "audio/mpeg":
        words, ending = f"[Verse]\n{job.prompt}", "mp3"
    elif job.media_type is MediaType.AUDIO:
        words, ending = "", "pcm" if mime_type == PCM else "wav"
    else:
        words, ending = "Here is your image.", "png"
    data = base64.b64encode(await make_output(job, 0, ending)).decode()
    file = {"inlineData": {"mimeType": mime_type, "data": data}}
    return [*([{"text": words}] if words else []), file]


def answered(job: Job, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer with its only candidate."""
    asked, made = len(job.prompt) // 4 + 1, 1290
    return {
        "candidates": [
            {
                "content": {"role": "model", "parts": parts},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        **counted(job, asked, made),
    }


def counted(job: Job, asked: int, made: int) -> dict[str, Any]:
    return {
        "usageMetadata": {
            "promptTokenCount": asked,
            "candidatesTokenCount": made,
            "totalTokenCount": asked + made,
        },
        "modelVersion": job.model,
        "responseId": digest(job),
    }


def blocked() -> web.Response:
    """A prompt that is not answered, which is a success of HTTP."""
    return json_answer(
        {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
        }
    )


def blocked_result(job: Job) -> web.Response:
    reason = "IMAGE_SAFETY" if job.media_type is MediaType.IMAGE else "SAFETY"
    return ended(job, reason, "The result was not safe to show.")


def failed(job: Job) -> web.Response:
    reason = "IMAGE_OTHER" if job.media_type is MediaType.IMAGE else "OTHER"
    return ended(job, reason, "The model could not make it.")


def ended(job: Job, reason: str, message: str) -> web.Response:
    """A candidate without content."""
    candidate = {"finishReason": reason, "finishMessage": message, "index": 0}
    return json_answer({"candidates": [candidate], **counted(job, 9, 0)})
