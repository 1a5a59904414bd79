"""How fal's endpoints spell what a request says: one input body per model family.

Every endpoint of fal has an input schema of its own. What differs between families is
told here as data (`Spelling`), and `build_input` writes the body from it. Source: the
published input types of the JavaScript client and the model pages, read November 2026.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from providers import errors, inputs, payload
from providers.flow import Flow
from providers.geometry import nearest_ratio, read_ratio, wanted_ratio, wanted_size
from providers.types import GenerationRequest, Model


class Shape(StrEnum):
    """How width and height are said."""

    NONE = "none"
    IMAGE_SIZE = "image_size"  # a preset, or {"width", "height"}
    PIXELS = "pixels"  # image_size as "1024x1024"
    RATIO = "aspect_ratio"
    EITHER = "either"  # not known: the ratio as it is given, pixels as an object


class Seconds(StrEnum):
    """How a duration is written."""

    SUFFIXED = "8s"
    TEXT = "8"
    NUMBER = "number"
    MILLISECONDS = "milliseconds"


class Voice(StrEnum):
    """Where the voice, its speed and the audio format stand."""

    FLAT = "flat"  # "voice", "speed"
    SETTING = "setting"  # MiniMax: "voice_setting", "audio_setting"


PRESETS: Mapping[str, str] = {
    "1:1": "square_hd",
    "4:3": "landscape_4_3",
    "3:4": "portrait_4_3",
    "16:9": "landscape_16_9",
    "9:16": "portrait_16_9",
}
IMAGE_FORMATS: Mapping[str, str] = {"jpg": "jpeg"}
ELEVENLABS_FORMATS: Mapping[str, str] = {
    "mp3": "mp3_44100_128",
    "pcm": "pcm_44100",
    "opus": "opus_48000_128",
    "ulaw": "ulaw_8000",
    "alaw": "alaw_8000",
}
SIDE_STEP = 32
USUAL_PIXELS = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """The fields of one family's input.

    `frames` are fields that take one image each, in the order of the client's images;
    what is left goes into the list field `references`. `same` names the unified fields
    that are sent under their own name. `fixed` is sent always. `without_text` are
    metadata fields that stand in for the prompt: with them none is sent.
    """

    text: str = "prompt"
    speaks: bool = False
    shape: Shape = Shape.NONE
    ratios: tuple[str, ...] = ()
    seconds: Seconds = Seconds.NUMBER
    duration: str | None = None
    count: str | None = None
    count_one: bool = True
    frames: tuple[str, ...] = ()
    least_images: int = 0
    references: str | None = None
    lyrics: str | None = None
    voice: Voice | None = None
    formats: Mapping[str, str] | None = None
    same: frozenset[str] = frozenset()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    without_text: tuple[str, ...] = ()


def build_input(
    request: GenerationRequest, spelling: Spelling, model: Model
) -> Flow[dict[str, Any]]:
    """The JSON body of a submit, the client's metadata merged last."""
    body = {
        **spelling.fixed,
        **text_fields(request, spelling),
        **shape_fields(request, spelling, model),
        **length_fields(request, spelling),
        **same_fields(request, spelling),
        **format_fields(request, spelling),
        **voice_fields(request, spelling),
        **(yield from image_fields(request, spelling)),
    }
    if spelling.count and (spelling.count_one or request.n != 1):
        body[spelling.count] = request.n
    return payload.merged(body, request.metadata)


def text_fields(request: GenerationRequest, spelling: Spelling) -> dict[str, Any]:
    """The prompt or the words to speak, and a song's lyrics."""
    text = request.speech if spelling.speaks else request.text
    fields = payload.given(**{spelling.text: text or None})
    if any(name in request.metadata for name in spelling.without_text):
        fields = {}
    if spelling.lyrics and request.lyrics is not None:
        fields[spelling.lyrics] = request.lyrics
    return fields


def shape_fields(
    request: GenerationRequest, spelling: Spelling, model: Model
) -> dict[str, Any]:
    """Width and height, ratio and resolution."""
    fields: dict[str, Any] = {}
    match spelling.shape:
        case Shape.IMAGE_SIZE:
            fields = payload.given(image_size=image_size(request, model))
        case Shape.PIXELS:
            fields = payload.given(image_size=pixel_size(request, model))
        case Shape.RATIO:
            fields = payload.given(aspect_ratio=ratio(request, spelling.ratios))
        case Shape.EITHER:
            fields = either_shape(request)
    if "resolution" in spelling.same:
        fields |= payload.given(resolution=resolution(request, model.resolutions))
    return fields


def image_size(request: GenerationRequest, model: Model) -> Any:
    """A preset, an object of width and height, or None when nothing was asked for."""
    if size := wanted_size(request):
        return {"width": size[0], "height": size[1]}
    asked = request.aspect_ratio or request.size
    if not asked:
        return None
    if asked in PRESETS:
        return PRESETS[asked]
    shape = read_ratio(asked)
    if shape is None:  # a preset under fal's own name
        return asked
    width, height = sides(shape, model.side_range)
    return {"width": width, "height": height}


def sides(shape: float, allowed: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of that shape in steps of 32, of about a million pixels.

    Models that want more get the smallest that fits.
    """
    low, high = allowed or (SIDE_STEP, 16 * 1024)
    short = max(low, math.sqrt(USUAL_PIXELS / max(shape, 1 / shape)))
    longer = short * max(shape, 1 / shape)
    if longer > high + SIDE_STEP / 2:
        raise errors.Rejected(
            f"the aspect ratio is too extreme: sides are {low} to {high} pixels"
        )
    short = SIDE_STEP * round(short / SIDE_STEP)
    longer = min(SIDE_STEP * round(longer / SIDE_STEP), high)
    return (longer, short) if shape >= 1 else (short, longer)


def pixel_size(request: GenerationRequest, model: Model) -> str | None:
    """ "1024x1024", the one of the model's sizes that has the ratio asked for."""
    if size := wanted_size(request):
        return f"{size[0]}x{size[1]}"
    if request.aspect_ratio and (shape := read_ratio(request.aspect_ratio)):
        offered = {size.replace("x", ":"): size for size in model.sizes if "x" in size}
        return offered[nearest_ratio(shape, tuple(offered))]
    return request.size or request.aspect_ratio


def ratio(request: GenerationRequest, offered: tuple[str, ...]) -> str | None:
    """The ratio as the client wrote it, or the offered one nearest to its size."""
    if request.aspect_ratio:
        return request.aspect_ratio.replace("/", ":")
    shape = wanted_ratio(request)
    if shape is not None and offered:
        return nearest_ratio(shape, offered)
    return request.size  # "16:9" or "auto" under the name of size


def either_shape(request: GenerationRequest) -> dict[str, Any]:
    """What the client said in the field where most endpoints look for it."""
    if size := wanted_size(request):
        return {"image_size": {"width": size[0], "height": size[1]}}
    if request.size and not read_ratio(request.size):
        return {"image_size": request.size}
    return payload.given(aspect_ratio=request.aspect_ratio or request.size)


def resolution(request: GenerationRequest, offered: tuple[str, ...]) -> str | None:
    """The resolution in the endpoint's own letters: "720p", "768P", "2K".

    Without one, that of the pixels asked for, where the endpoint has it by name.
    """
    by_word = {word.lower(): word for word in offered}
    if request.resolution:
        asked = request.resolution.lower()
        if found := by_word.get(asked) or by_word.get(f"{asked}p"):
            return found
        return request.resolution if offered else asked
    size = wanted_size(request)
    return by_word.get(f"{min(size)}p") if size else None


def length_fields(request: GenerationRequest, spelling: Spelling) -> dict[str, Any]:
    """The duration in the type and unit of the endpoint; the wrong type is refused."""
    if request.duration is None or spelling.duration is None:
        return {}
    return {spelling.duration: write_seconds(request.duration, spelling.seconds)}


def write_seconds(seconds: float, spelled: Seconds) -> str | float:
    whole = int(seconds) if seconds == int(seconds) else seconds
    match spelled:
        case Seconds.SUFFIXED:
            return f"{whole}s"
        case Seconds.TEXT:
            return str(whole)
        case Seconds.MILLISECONDS:
            return round(1000 * seconds)
        case Seconds.NUMBER:
            return whole


def same_fields(request: GenerationRequest, spelling: Spelling) -> dict[str, Any]:
    """What has the same name on both sides."""
    fields = payload.given(
        negative_prompt=request.negative_prompt,
        audio_url=request.audio_url,
        video_url=request.video_url,
        seed=request.seed,
        quality=request.quality,
        style=request.style,
    )
    return {name: value for name, value in fields.items() if name in spelling.same}


def format_fields(request: GenerationRequest, spelling: Spelling) -> dict[str, Any]:
    """The file format in the endpoint's word for it."""
    wanted = request.output_format
    if not wanted or spelling.formats is None:
        return {}
    word = spelling.formats.get(wanted.lower(), wanted)
    if spelling.voice is Voice.SETTING:
        return {"audio_setting": {"format": word}}
    return {"output_format": word}


def voice_fields(request: GenerationRequest, spelling: Spelling) -> dict[str, Any]:
    """Who speaks, and how fast."""
    if spelling.voice is Voice.SETTING and spelling.speaks:
        setting = payload.given(voice_id=request.voice, speed=request.speed)
        return {"voice_setting": setting} if setting else {}
    if spelling.voice is Voice.FLAT:
        return payload.given(voice=request.voice, speed=request.speed)
    return {}


def image_fields(
    request: GenerationRequest, spelling: Spelling
) -> Flow[dict[str, Any]]:
    """The input images in their fields; uploaded ones as data URLs."""
    if len(request.images) < spelling.least_images:
        raise errors.Rejected(
            f"{request.model} needs {spelling.least_images} images, "
            f"{len(request.images)} given"
        )
    if len(request.images) > len(spelling.frames) and spelling.references is None:
        raise errors.Rejected(
            f"{request.model} takes {len(spelling.frames)} images, "
            f"{len(request.images)} given"
        )
    urls = []
    for image in request.images:
        urls.append((yield from inputs.as_url(image)))
    fields: dict[str, Any] = dict(zip(spelling.frames, urls, strict=False))
    if spelling.references and (rest := urls[len(spelling.frames) :]):
        fields[spelling.references] = rest
    return fields
