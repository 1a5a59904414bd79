"""Zhipu request bodies: from unified words to each API's own.

Sources: the API pages on videos, images and speech of docs.bigmodel.cn and docs.z.ai,
and the client `zai-sdk` 0.2.3, read November 2026. In `metadata` a client may say
whatever else an API takes (`fps`, `with_audio`, `watermark_enabled`,
`movement_amplitude`, `off_peak`, `user_id`, `volume`, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers import errors, geometry
from providers.dialects.zhipu_models import (
    COGVIEW_SIZES,
    GLM_SIZES,
    Api,
    ImageUse,
    Offer,
)
from providers.flow import Flow
from providers.inputs import as_base64
from providers.payload import given, merged
from providers.types import GenerationRequest, MediaInput

# `request_id` is unique upstream, and ours tells that a submission was sent twice.
# An answer in pieces (`stream`) is not what is read here.
OURS = ("model", "request_id", "stream", "encode_format")

BETTER = frozenset({"high", "hd", "quality"})
DEFAULT_VOICE = "tongtong"
DEFAULT_FORMAT = "wav"


def finished(body: dict[str, Any], request: GenerationRequest) -> dict[str, Any]:
    """The body with our reference, and the client's own fields merged in last."""
    named = given(**body, request_id=request.submission_key or None)
    return merged(named, request.metadata, keep=OURS)


# Videos


def write_video(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """A text, images, or both; what the model takes no word for is left out."""
    if not request.text and not request.images:
        raise errors.Rejected(f"{request.model} needs a prompt or an image")
    shape = cogvideo_fields if offer.api is Api.COGVIDEO else vidu_fields
    fields = shape(request, offer)
    fields["image_url"] = yield from image_field(request.images, offer)
    return finished(
        {"model": request.model, "prompt": request.text or None, **fields}, request
    )


def image_field(images: Sequence[MediaInput], offer: Offer) -> Flow[Any]:
    """One image as a text, several as a list, references always as a list."""
    if offer.image_use is ImageUse.BOTH_FRAMES and len(images) != 2:
        raise errors.Rejected(
            f"{offer.model.name} needs two images, the first and the last frame"
        )
    texts = []
    for image in images:
        texts.append((yield from image_text(image)))
    if len(texts) == 1 and offer.image_use is ImageUse.FRAMES:
        return texts[0]
    return texts or None


def image_text(image: MediaInput) -> Flow[str]:
    """The client's own URL, or bytes as plain base64.

    Whether a data URL is taken is not documented.
    """
    if not image.uploaded:
        return image.url
    return (yield from as_base64(image))


def cogvideo_fields(request: GenerationRequest, offer: Offer) -> dict[str, Any]:
    quality = request.quality and request.quality.lower()
    return {
        "size": cogvideo_size(request, offer),
        "duration": whole_seconds(request) if offer.has_duration else None,
        "quality": quality and ("quality" if quality in BETTER else "speed"),
    }


def cogvideo_size(request: GenerationRequest, offer: Offer) -> str | None:
    """The size asked for, or the offered one of that shape and resolution.

    Without a shape it lies flat; a resolution that this shape does not have is refused,
    since the client would pay for another film.
    """
    if size := size_of(request):
        return size
    ratio, resolution = spelled_ratio(request), request.resolution
    if not ratio and not resolution:
        return None
    fitting = [size for size in offer.sizes if ratio in (None, size.ratio)]
    if resolution:
        wanted = resolution.strip().upper()
        fitting = [size for size in fitting if wanted in size.resolutions]
    if not fitting:
        raise errors.Rejected(
            f"{request.model} has no size for {ratio or 'any shape'} "
            f"at {resolution or 'any resolution'}; it offers "
            f"{', '.join(size.size for size in offer.sizes)}"
        )
    return fitting[0].size


def size_of(request: GenerationRequest) -> str | None:
    """`1280x720` with the letter x, from a size or from width and height."""
    size = geometry.wanted_size(request)
    if size:
        return f"{size[0]}x{size[1]}"
    if request.size:
        raise errors.Rejected(f"size {request.size!r} must be WIDTHxHEIGHT")
    return None


def spelled_ratio(request: GenerationRequest) -> str | None:
    if not request.aspect_ratio:
        return None
    return request.aspect_ratio.replace("/", ":").replace(" ", "")


def vidu_fields(request: GenerationRequest, _offer: Offer) -> dict[str, Any]:
    """Length and resolution are fixed, so a resolution need not be said."""
    return {
        "size": size_of(request),
        "aspect_ratio": spelled_ratio(request),
        "duration": whole_seconds(request),
        "style": request.style,
    }


def whole_seconds(request: GenerationRequest) -> int | None:
    """The duration as the integer that is taken."""
    if request.duration is None:
        return None
    if request.duration != int(request.duration):
        raise errors.Rejected("duration must be a whole number of seconds")
    return int(request.duration)


# Images


def write_image(request: GenerationRequest, offer: Offer) -> dict[str, Any]:
    """One image of a text; a shape becomes the nearest recommended size."""
    quality = request.quality and request.quality.lower()
    return finished(
        {
            "model": request.model,
            "prompt": request.text,
            "size": image_size(request, offer),
            "quality": quality and ("hd" if quality in BETTER else quality),
        },
        request,
    )


def image_size(request: GenerationRequest, offer: Offer) -> str | None:
    if size := size_of(request):
        return size
    ratio = geometry.wanted_ratio(request)
    if ratio is None:
        if request.aspect_ratio:
            raise errors.Rejected(
                f"aspect_ratio {request.aspect_ratio!r} must be WIDTH:HEIGHT"
            )
        return None
    names = GLM_SIZES if offer.api is Api.ASYNC_IMAGE else COGVIEW_SIZES
    offered = [sides for name in names if (sides := geometry.read_size(name))]
    width, height = geometry.nearest_size(ratio, offered)
    return f"{width}x{height}"


# Speech


def write_speech(request: GenerationRequest) -> dict[str, Any]:
    """A text to say; the format is always named, since its default is told in two ways.

    The documentation's page calls it wav, the official client pcm.
    """
    return finished(
        {
            "model": request.model,
            "input": request.speech,
            "voice": request.voice or DEFAULT_VOICE,
            "speed": request.speed,
            "response_format": (request.output_format or DEFAULT_FORMAT).lower(),
        },
        request,
    )
