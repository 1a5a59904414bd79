"""Ark request bodies: from unified words to a video's content and an image's options.

Sources: "create-video-generation-task-api" of ark.volcengine.com and
"image-generation-api" of ai.byteplus.com/ark, read November 2026.
"""

from __future__ import annotations

import math
import re
from typing import Any

from providers import errors, geometry
from providers.dialects.ark_models import (
    ADAPTIVE,
    MOST_AT_ONCE,
    RATIOS,
    SIDE_STEP,
    SQUARES,
    Offer,
)
from providers.flow import Flow
from providers.inputs import as_url
from providers.payload import given
from providers.types import GenerationRequest

PIXELS = {
    "480p": 854 * 480,
    "720p": 1280 * 720,
    "1080p": 1920 * 1080,
    "4k": 3840 * 2160,
}

# Older models read options off the end of the prompt ("--dur 30"), past every limit
OPTION = re.compile(r"(?<!\S)--(?=[A-Za-z])")
DASH = "—"


def write_video(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """The body of a video task: its content, and each option in a field of its own."""
    content = yield from content_of(request, offer)
    has_frame = any(item.get("role") == "first_frame" for item in content)
    return given(
        model=offer.sent,
        content=content,
        resolution=resolution_of(request, offer),
        ratio=ratio_of(request, shape_is_given=offer.follows_frame and has_frame),
        duration=seconds_of(request),
        seed=request.seed,
        watermark=False,
        output_format=video_format(request, offer),
        callback_url=request.callback_url,
    )


def content_of(request: GenerationRequest, offer: Offer) -> Flow[list[dict[str, Any]]]:
    """The text, then the images with their roles, then a video and an audio."""
    urls = []
    for image in request.images:
        urls.append((yield from as_url(image)))
    roles = roles_of(request, offer)
    content: list[dict[str, Any]] = []
    if request.text:
        content.append({"type": "text", "text": OPTION.sub(DASH, request.text)})
    for url, role in zip(urls, roles, strict=True):
        content.append(file_item("image_url", url, role))
    if request.video_url:
        content.append(file_item("video_url", request.video_url, "reference_video"))
    if request.audio_url:
        content.append(file_item("audio_url", request.audio_url, "reference_audio"))
    return content


def file_item(kind: str, url: str, role: str) -> dict[str, Any]:
    return {"type": kind, kind: {"url": url}, "role": role}


def roles_of(request: GenerationRequest, offer: Offer) -> list[str]:
    """One image is the first frame, two are first and last, more are references.

    The modes exclude one another, so beside a video or an audio every image is a
    reference. Another choice is made with `metadata.content`.
    """
    count = len(request.images)
    looks = request.video_url or request.audio_url
    if count <= offer.frames and not looks:
        return ["first_frame", "last_frame"][:count]
    if offer.references is not None and count > offer.references:
        most = max(offer.frames, offer.references)
        raise errors.Rejected(f"{offer.model.name} takes at most {most} images")
    return ["reference_image"] * count


def resolution_of(request: GenerationRequest, offer: Offer) -> str | None:
    """`720p`, lower case: as asked for, else the one that the size in pixels is."""
    if request.resolution:
        return request.resolution.lower()
    size = geometry.wanted_size(request)
    if size is None:
        return word_of(request) if word_of(request) in PIXELS else None
    if not size[0] or not size[1]:
        raise errors.Rejected("a side of the size must not be 0")
    wanted = size[0] * size[1]
    level = min(PIXELS, key=lambda word: abs(math.log(PIXELS[word] / wanted)))
    if offer.model.resolutions and level not in offer.model.resolutions:
        raise errors.Rejected(
            f"size {size[0]}x{size[1]} is {level}; {offer.model.name} makes "
            f"{', '.join(offer.model.resolutions)}"
        )
    return level


def ratio_of(request: GenerationRequest, *, shape_is_given: bool) -> str | None:
    """`16:9`: as asked for, else the nearest to the size's shape.

    A shape that follows from a size only gives way where the frame decides.
    """
    if request.aspect_ratio:
        return plain(request.aspect_ratio)
    ratio = geometry.wanted_ratio(request)
    if ratio is not None:
        return ADAPTIVE if shape_is_given else geometry.nearest_ratio(ratio, RATIOS)
    word = word_of(request)
    if word is None or word in PIXELS:
        return None
    if word in (*RATIOS, ADAPTIVE):
        return word
    raise errors.Rejected(
        f"size must be WIDTHxHEIGHT or one of {', '.join((*PIXELS, *RATIOS))}"
    )


def word_of(request: GenerationRequest) -> str | None:
    """What was written as the size when it is no size in pixels."""
    return plain(request.size) if request.size else None


def plain(ratio: str) -> str:
    return ratio.replace("/", ":").replace(" ", "").lower()


def seconds_of(request: GenerationRequest) -> int | None:
    """The duration as the integer that Ark takes."""
    if request.duration is None:
        return None
    if request.duration != int(request.duration):
        raise errors.Rejected("duration must be a whole number of seconds")
    return int(request.duration)


def video_format(request: GenerationRequest, offer: Offer) -> str | None:
    if not request.output_format or not offer.has_format:
        return None
    return request.output_format.lower()


# Images


def write_image(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """The body of an image call.

    There is no number of images, only a series, whose true length the model decides.
    The watermark is on unless it is refused.
    """
    count = len(request.images) + request.n
    if request.n > 1 and count > MOST_AT_ONCE:
        raise errors.Rejected(
            f"images and n are {count} together; at most {MOST_AT_ONCE} are possible"
        )
    urls = []
    for image in request.images:
        urls.append((yield from as_url(image)))
    body = given(
        model=offer.sent,
        prompt=request.text,
        image=urls[0] if len(urls) == 1 else urls or None,
        size=image_size(request, offer),
        seed=request.seed if offer.has_seed else None,
        output_format=image_format(request, offer),
        response_format="url",
        watermark=False,
    )
    if offer.has_series:
        body["sequential_image_generation"] = "auto" if request.n > 1 else "disabled"
    if offer.has_series and request.n > 1:
        body["sequential_image_generation_options"] = {"max_images": request.n}
    return body


def image_size(request: GenerationRequest, offer: Offer) -> str | None:
    """`2048x1152` as asked for, a word (`2K`), or a ratio at the size of a word."""
    if offer.fixed_size is not None:
        return offer.fixed_size
    size = geometry.wanted_size(request)
    if size is not None:
        return f"{size[0]}x{size[1]}"
    word = level_of(request, offer)
    asked = request.aspect_ratio or request.size
    ratio = geometry.read_ratio(asked) if asked else None
    if ratio is None:
        if request.aspect_ratio:
            raise errors.Rejected("aspect_ratio must be WIDTH:HEIGHT, such as 16:9")
        return word
    height = SQUARES[word or offer.usual] / math.sqrt(ratio)
    return f"{stepped(height * ratio)}x{stepped(height)}"


def level_of(request: GenerationRequest, offer: Offer) -> str | None:
    """The word for a size, from either field that may hold it."""
    for field, text in (("resolution", request.resolution), ("size", request.size)):
        if not text or geometry.read_ratio(text):
            continue
        word = text.strip().upper()
        known = SQUARES if offer.words is None else offer.words
        if word not in known:
            allowed = ", ".join(("WIDTHxHEIGHT", "WIDTH:HEIGHT", *known))
            raise errors.Rejected(
                f"{field} {text!r} is none of {offer.model.name}'s: {allowed}"
            )
        return word
    return None


def stepped(side: float) -> int:
    """The side rounded down, so that the area stays within the limit."""
    return max(SIDE_STEP, int(side) // SIDE_STEP * SIDE_STEP)


def image_format(request: GenerationRequest, offer: Offer) -> str | None:
    """`jpeg` or `png`; the older models make JPEG and have no field for it."""
    if not request.output_format or not offer.has_format:
        return None
    wanted = request.output_format.lower()
    return "jpeg" if wanted == "jpg" else wanted
