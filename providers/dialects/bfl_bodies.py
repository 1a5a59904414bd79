"""Bodies for Black Forest Labs: from unified words to each form's own.

What a form has besides comes in `metadata`, by its own name (`steps`, `guidance`,
`safety_tolerance`, `keyframes` with times, `draft_cache`, `upscale_factor`, ...).
FLUX 3 refuses names that its form does not have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from providers import errors
from providers.dialects.bfl_models import (
    ALL_IMAGES,
    AREAS,
    IMAGE_3_AREAS,
    IMAGE_3_RATIOS,
    IMAGE_FIELDS,
    KEYFRAMES_WITHOUT_DURATION,
    ONLY_BASE64,
    USUAL_RATIOS,
    VIDEO_RATIOS,
    VIDEO_RESOLUTIONS,
    VIDEO_SIDES,
    WITHOUT_PROMPT,
    WITHOUT_SEED,
    Form,
    Offer,
)
from providers.flow import Flow
from providers.geometry import nearest_ratio, read_ratio, read_size, wanted_size
from providers.inputs import as_base64
from providers.payload import given, merged
from providers.types import GenerationRequest, MediaInput

# With a callback's address the answer may lack the one that tells where to look, and
# the id alone is not known in every region: the result could not be fetched.
OURS = ("webhook_url", "webhook_secret")

# What each mode of flux-3-video has a word for, of what is written here.
MODES: Mapping[str, frozenset[str]] = {
    "t2v": frozenset({"prompt", "aspect_ratio", "duration", "resolution"}),
    "i2v": frozenset({"prompt", "aspect_ratio", "duration", "resolution", "keyframes"}),
    "v2v": frozenset({"prompt", "duration", "resolution", "start_video"}),
    "draft_enhance": frozenset({"resolution"}),
}
FOLLOWS = frozenset({"prompt", "aspect_ratio"})
"""What the input decides where the mode has no word for it."""
MOST_SECONDS_OF_V2V = 15


def write_body(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """The body of a request; the model is in the path."""
    if offer.form is Form.VIDEO_3:
        body = yield from write_video(request)
    elif offer.form is Form.UPSCALE:
        body = given(prompt=request.text or None, input_video=request.video_url)
    else:
        body = yield from write_image(request, offer)
    return merged(body, request.metadata, keep=OURS)


def write_image(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """Prompt, images in the form's own fields, shape, seed and format."""
    form = offer.form
    body: dict[str, Any] = {}
    if form not in WITHOUT_PROMPT:
        body = given(prompt=request.text or None)
    if form is Form.IMAGE_3:
        images = yield from images_of(request, form)
        if images:
            body["images"] = images
    else:
        body |= yield from image_fields(request, offer)
    body |= SHAPES[form](request) if form in SHAPES else {}
    if form not in WITHOUT_SEED:
        wanted = request.output_format and request.output_format.lower()
        form_word = "jpeg" if wanted == "jpg" else wanted
        body |= given(seed=request.seed, output_format=form_word or None)
    return body


def images_of(request: GenerationRequest, form: Form) -> Flow[list[str]]:
    """Every image as the client's URL, or in base64 without a prefix."""
    texts = []
    for image in request.images:
        texts.append((yield from image_text(image, form)))
    return texts


def image_text(image: MediaInput, form: Form) -> Flow[str]:
    if image.uploaded or form in ONLY_BASE64:
        return (yield from as_base64(image))
    return image.url


def image_fields(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    names = IMAGE_FIELDS[offer.form][: offer.model.max_images]
    if offer.form in ALL_IMAGES and len(request.images) < len(names):
        missing = [name for name in names if name not in request.metadata]
        if len(missing) > len(request.images):
            raise errors.Rejected(
                f"{offer.model.name} needs {len(names)} images: {', '.join(names)}"
            )
    texts = yield from images_of(request, offer.form)
    return dict(zip(names, texts, strict=False))


# Shape


def ratio_word(request: GenerationRequest) -> str | None:
    """`16:9` or another word in place of a ratio, as the client wrote it."""
    word = request.aspect_ratio
    if word is None and request.size and read_size(request.size) is None:
        word = request.size
    return word.replace("/", ":").replace(" ", "").lower() if word else None


def pixels(
    request: GenerationRequest, multiple: int, least: int, most: int
) -> dict[str, Any]:
    """`width` and `height`: as asked for, else of the ratio's shape, or none at all."""
    if size := wanted_size(request):
        return {"width": size[0], "height": size[1]}
    if request.width or request.height:
        return given(width=request.width, height=request.height)
    word, level = ratio_word(request), (request.resolution or "").lower()
    if word in {None, "auto"} and not level:
        return {}
    if word is None and request.images:
        raise errors.Rejected(
            "a resolution needs an aspect_ratio beside it when images are given"
        )
    ratio = read_ratio(word or "1:1")
    if ratio is None:
        raise errors.Rejected(f"{word!r} must be WIDTHxHEIGHT or WIDTH:HEIGHT")
    area = AREAS.get(level, AREAS["1k"])
    width, height = math.sqrt(area * ratio), math.sqrt(area / ratio)
    scale = min(1.0, most / max(width, height))
    # rounded down, since the area has a limit
    across, down = (
        max(least, int(side * scale + 1e-6) // multiple * multiple)
        for side in (width, height)
    )
    return {"width": across, "height": down}


def flux_2_shape(request: GenerationRequest) -> dict[str, Any]:
    return pixels(request, multiple=16, least=64, most=65_536)


def flux_1_shape(request: GenerationRequest) -> dict[str, Any]:
    return pixels(request, multiple=32, least=256, most=1440)


def ratio_shape(request: GenerationRequest) -> dict[str, Any]:
    """`aspect_ratio`: as asked for, else the usual one nearest to the size."""
    if word := ratio_word(request):
        return {"aspect_ratio": word}
    size = wanted_size(request)
    if size is None:
        return {}
    return {"aspect_ratio": nearest_ratio(size[0] / size[1], USUAL_RATIOS)}


def image_3_shape(request: GenerationRequest) -> dict[str, Any]:
    """`aspect_ratio` and `resolution`; a size gives what is missing of them."""
    word, level = ratio_word(request), (request.resolution or "").lower() or None
    if size := wanted_size(request):
        word = word or nearest_ratio(size[0] / size[1], IMAGE_3_RATIOS)
        area = size[0] * size[1]
        level = level or min(
            IMAGE_3_AREAS, key=lambda name: abs(math.log(IMAGE_3_AREAS[name] / area))
        )
    return given(aspect_ratio=word, resolution=level)


SHAPES = {
    Form.FLUX_2: flux_2_shape,
    Form.OUTPAINT: flux_2_shape,
    Form.FLUX_1: flux_1_shape,
    Form.KONTEXT: ratio_shape,
    Form.ULTRA: ratio_shape,
    Form.IMAGE_3: image_3_shape,
}


# Video


def write_video(request: GenerationRequest) -> Flow[dict[str, Any]]:
    """One of four modes, each with fields of its own; others are a 422."""
    mode = pick_mode(request)
    frames = yield from images_of(request, Form.VIDEO_3)
    untimed = len(frames) > KEYFRAMES_WITHOUT_DURATION
    if untimed and request.duration is None and not request.metadata.get("duration"):
        raise errors.Rejected(f"{len(frames)} key frames need a duration beside them")
    fields = given(
        prompt=request.text or None,
        duration=whole_seconds(request, mode),
        keyframes=(frames[0] if len(frames) == 1 else frames) if frames else None,
        start_video=request.video_url,
        **video_shape(request),
    )
    words = MODES.get(mode, fields.keys())
    if odd := sorted(fields.keys() - words - FOLLOWS):
        raise errors.Rejected(
            f"flux-3-video has no word for {', '.join(odd)} in {mode}"
        )
    return {"mode": mode, **{name: fields[name] for name in fields if name in words}}


def pick_mode(request: GenerationRequest) -> str:
    """The client's own word, else what its inputs ask for."""
    extra = request.metadata
    if isinstance(extra.get("mode"), str):
        return str(extra["mode"])
    if extra.get("draft_cache"):
        return "draft_enhance"
    if request.video_url or extra.get("start_video"):
        return "v2v"
    return "i2v" if request.images or extra.get("keyframes") else "t2v"


def whole_seconds(request: GenerationRequest, mode: str) -> int | None:
    seconds = request.duration
    if seconds is None:
        return None
    if seconds != int(seconds):
        raise errors.Rejected("duration must be a whole number of seconds")
    if mode == "v2v" and seconds > MOST_SECONDS_OF_V2V:
        raise errors.Rejected(
            f"a film that follows another has at most {MOST_SECONDS_OF_V2V} seconds"
        )
    return int(seconds)


def video_shape(request: GenerationRequest) -> dict[str, Any]:
    """`aspect_ratio` and `resolution`; a size gives what is missing of them."""
    word, level = ratio_word(request), None
    if request.resolution:
        asked = request.resolution.lower()
        level = VIDEO_RESOLUTIONS.get(asked, asked)
    if size := wanted_size(request):
        word = word or nearest_ratio(size[0] / size[1], VIDEO_RATIOS)
        short = min(size)
        level = level or min(
            VIDEO_SIDES, key=lambda name: abs(VIDEO_SIDES[name] - short)
        )
    return given(aspect_ratio=word, resolution=level)
