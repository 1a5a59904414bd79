"""MiniMax request bodies: from unified words to each API's own.

Sources: the pages on video, image, speech and music generation of
platform.minimax.io, read November 2026. In `metadata` a client may say whatever else an
API takes (`prompt_optimizer`, `aigc_watermark`, `voice_setting.emotion`, ...).
"""

from __future__ import annotations

from typing import Any

from providers import errors, geometry
from providers.dialects.minimax_models import (
    ADAPTIVE,
    IMAGE_RATIOS,
    RATIOS,
    ImageUse,
    Offer,
)
from providers.flow import Flow
from providers.inputs import as_url
from providers.payload import given, merged
from providers.types import GenerationRequest, Model

ADDRESS = "callback_url"
# An answer in pieces (`stream`) is not what is read here.
OURS = ("model", ADDRESS, "stream")

FIRST_FRAME, LAST_FRAME = "first_frame", "last_frame"
DEFAULT_V2_SECONDS = 6
DEFAULT_V2_RESOLUTION = "2K"
DEFAULT_V2_RATIO = "16:9"
DEFAULT_VOICE = "English_Graceful_Lady"  # the upstream demands a voice
DEFAULT_FORMAT = "mp3"


def with_extras(body: dict[str, Any], request: GenerationRequest) -> dict[str, Any]:
    """The body with the client's own fields merged in last."""
    return merged(body, request.metadata, keep=OURS)


# Video, version 1


def write_video_v1(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """Text, one or two frames or a subject; the shape is the frame's or 16:9."""
    urls = []
    for image in request.images:
        urls.append((yield from as_url(image)))
    body = given(
        model=request.model,
        prompt=request.text or None,
        duration=whole_seconds(request),
        resolution=resolution_of(request, offer.model),
        callback_url=request.callback_url,
    )
    if offer.image_use is ImageUse.SUBJECT:
        body["subject_reference"] = [{"type": "character", "image": urls}]
    elif urls:
        body.update(
            zip(("first_frame_image", "last_frame_image"), urls[:2], strict=False)
        )
    return with_extras(body, request)


def whole_seconds(request: GenerationRequest) -> int | None:
    """The duration as the integer that every API takes."""
    if request.duration is None:
        return None
    if request.duration != int(request.duration):
        raise errors.Rejected("duration must be a whole number of seconds")
    return int(request.duration)


def resolution_of(request: GenerationRequest, model: Model) -> str | None:
    """`768P`, as asked for, else the one nearest to the shorter side of the size."""
    word = request.resolution
    size = geometry.wanted_size(request)
    if not word and size is not None:
        offered = model.resolutions or ("512P", "720P", "768P", "1080P")
        short = min(size)
        return min(offered, key=lambda level: abs(int(level[:-1]) - short))
    word = word or request.size
    if not word:
        return None
    if model.resolutions and word.upper() not in model.resolutions:
        allowed = ", ".join((*model.resolutions, "WIDTHxHEIGHT"))
        raise errors.Rejected(f"size {word!r} is none of {model.name}'s: {allowed}")
    return word.upper()


# Video, version 2


def write_video_v2(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """A list of contents with roles, and options that a text alone needs all of."""
    urls = []
    for image in request.images:
        urls.append((yield from as_url(image)))
    content: list[dict[str, Any]] = []
    if request.text:
        content.append({"type": "text", "text": request.text})
    roles = roles_of(request)
    for url, role in zip(urls, roles, strict=True):
        content.append(file_item("image_url", url, role))
    if request.video_url:
        content.append(file_item("video_url", request.video_url, "reference_video"))
    if request.audio_url:
        content.append(file_item("audio_url", request.audio_url, "reference_audio"))
    body = given(
        model=request.model,
        content=content,
        resolution=(request.resolution or DEFAULT_V2_RESOLUTION).upper(),
        duration=whole_seconds(request) or DEFAULT_V2_SECONDS,
        ratio=ratio_of(
            request,
            has_frame=FIRST_FRAME in roles,
            has_files=bool(roles or request.video_url or request.audio_url),
        ),
        callback_url=request.callback_url,
    )
    return with_extras(body, request)


def roles_of(request: GenerationRequest) -> list[str]:
    """One image is the first frame, two are first and last, more are references.

    Frames exclude references, so beside a video or an audio every image is a reference.
    Another choice is made with `metadata.content`.
    """
    count = len(request.images)
    if count <= 2 and not request.video_url and not request.audio_url:
        return [FIRST_FRAME, LAST_FRAME][:count]
    return ["reference_image"] * count


def file_item(kind: str, url: str, role: str) -> dict[str, Any]:
    return {"type": kind, kind: {"url": url}, "role": role}


def ratio_of(
    request: GenerationRequest, *, has_frame: bool, has_files: bool
) -> str | None:
    """`16:9`: as asked for, else the nearest to the size's shape.

    A text alone must have one. With a frame the shape is the frame's, and one that only
    follows from a size gives way.
    """
    if request.aspect_ratio:
        asked = request.aspect_ratio.replace("/", ":").replace(" ", "").lower()
        return None if asked == ADAPTIVE and has_frame else asked
    if has_frame:
        return None
    shape = geometry.wanted_ratio(request) or shape_of_word(request)
    if shape is not None:
        return geometry.nearest_ratio(shape, RATIOS)
    return None if has_files else DEFAULT_V2_RATIO


def shape_of_word(request: GenerationRequest) -> float | None:
    """Width over height where the size was given as a ratio; Rejected for other words.

    An odd word is not passed over: the client would pay for another shape.
    """
    if not request.size:
        return None
    shape = geometry.read_ratio(request.size)
    if shape is None:
        raise errors.Rejected(
            f"size {request.size!r} must be WIDTHxHEIGHT or WIDTH:HEIGHT"
        )
    return shape


# Images


def write_image(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """`n` images, as links; one input image is the character that they show."""
    body = given(
        model=request.model,
        prompt=request.text,
        n=request.n,
        seed=request.seed,
        response_format="url",
        **shape_fields(request, offer),
    )
    for image in request.images:
        url = yield from as_url(image)
        body["subject_reference"] = [{"type": "character", "image_file": url}]
    return with_extras(body, request)


def shape_fields(request: GenerationRequest, offer: Offer) -> dict[str, Any]:
    """Width and height, or a ratio; never both, since the ratio would win."""
    size = geometry.wanted_size(request)
    if size is not None and offer.has_pixels:
        return {"width": size[0], "height": size[1]}
    if request.aspect_ratio:
        return {"aspect_ratio": request.aspect_ratio.replace("/", ":").replace(" ", "")}
    shape = geometry.wanted_ratio(request) or shape_of_word(request)
    if shape is None:
        return {}
    offered = offer.model.aspect_ratios or IMAGE_RATIOS
    return {"aspect_ratio": geometry.nearest_ratio(shape, offered)}


def openai_image_fields(request: GenerationRequest) -> dict[str, Any]:
    """What the JSON body and the form of an edit have in common."""
    size = geometry.wanted_size(request)
    fields = given(
        model=request.model,
        prompt=request.text,
        n=request.n,
        size=f"{size[0]}x{size[1]}" if size else request.size,
        aspect_ratio=request.aspect_ratio,
        quality=request.quality,
        output_format=request.output_format,
    )
    return with_extras(fields, request)


# Speech


def write_speech(request: GenerationRequest) -> dict[str, Any]:
    """A text of up to 9,999 characters, said while the call waits."""
    body = speech_fields(request, "sample_rate")
    return with_extras({**body, "stream": False, "output_format": "url"}, request)


def write_long_speech(request: GenerationRequest) -> dict[str, Any]:
    """A longer text, said by a job; the sample rate has another name there."""
    return with_extras(speech_fields(request, "audio_sample_rate"), request)


def speech_fields(request: GenerationRequest, rate_name: str) -> dict[str, Any]:
    return {
        "model": request.model,
        "text": request.speech,
        "voice_setting": given(
            voice_id=request.voice or DEFAULT_VOICE, speed=request.speed
        ),
        "audio_setting": {"format": format_of(request), rate_name: 32_000},
    }


def format_of(request: GenerationRequest) -> str:
    return (request.output_format or DEFAULT_FORMAT).lower()


# Music


def write_music(request: GenerationRequest, offer: Offer) -> dict[str, Any]:
    """A song: the prompt with tags and style says how, the lyrics what is sung.

    Lyrics are required unless the song has none, or the model makes them up from the
    prompt; one that cannot is left to refuse.
    """
    style = [request.text, request.tags, request.style]
    body = given(
        model=request.model,
        prompt=", ".join(text for text in style if text),
        lyrics=request.lyrics,
        audio_setting={"format": format_of(request)},
        output_format="url",
    )
    silent = request.metadata.get("is_instrumental") is True
    if offer.writes_lyrics and not request.lyrics and not silent:
        body["lyrics_optimizer"] = True
    return with_extras(body, request)
