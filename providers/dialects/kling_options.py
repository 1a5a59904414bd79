"""What a request asks for, in the words that both standards of Kling share.

Source: kling.ai/document-api, read November 2026 (docs/providers/kling.md).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from providers import errors, geometry
from providers.flow import Flow
from providers.inputs import as_file
from providers.payload import merged
from providers.types import GenerationRequest, MediaInput

VIDEO_RATIOS = ("16:9", "9:16", "1:1")
IMAGE_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")

# Short sides of a film, long sides of a square image, by the word for each.
VIDEO_SIDES = {"720p": 720, "1080p": 1080, "4k": 2160}
IMAGE_SIDES = {"1k": 1024, "2k": 2048, "4k": 4096}
QUALITIES = {
    "std": "720p",
    "standard": "720p",
    "pro": "1080p",
    "hd": "1080p",
    "high": "1080p",
    "4k": "4k",
}

SAME_SHAPE = 0.03
"""By how much a shape in pixels may differ from a ratio that has a word."""
PICTURES = frozenset({"image/png", "image/jpeg"})


def reference(request: GenerationRequest) -> str:
    """Our name for a submission; Kling takes each one once per account."""
    return request.submission_key or request.task_id


def as_picture(image: MediaInput) -> Flow[str]:
    """The client's URL, or an upload as base64, which must have no `data:` prefix."""
    if not image.uploaded:
        return image.url
    file = yield from as_file(image)
    if file.content_type not in PICTURES:
        raise errors.Rejected(
            f"an input image is {file.content_type}; Kling takes PNG and JPEG"
        )
    return base64.b64encode(file.content).decode()


def as_pictures(images: Iterable[MediaInput]) -> Flow[list[str]]:
    pictures = []
    for image in images:
        pictures.append((yield from as_picture(image)))
    return pictures


def ratio_of(request: GenerationRequest, offered: Sequence[str]) -> str | None:
    """The ratio asked for in words, or the one that a size in pixels has."""
    if not all(geometry.wanted_size(request) or (1, 1)):
        raise errors.Rejected("a side must not be 0")
    asked = request.aspect_ratio
    if asked is None and request.size and geometry.read_ratio(request.size):
        asked = request.size
    wanted = geometry.read_ratio(asked) if asked else geometry.wanted_ratio(request)
    if wanted is None:
        if asked is None:
            return None
        raise errors.Rejected("aspect_ratio must be WIDTH:HEIGHT, such as 16:9")
    nearest = geometry.nearest_ratio(wanted, offered)
    if abs(math.log((geometry.read_ratio(nearest) or 1) / wanted)) > SAME_SHAPE:
        raise errors.Rejected(f"the shape must be one of {', '.join(offered)}")
    return nearest


def check_follows_frame(request: GenerationRequest) -> None:
    """Refuse a ratio where the film gets that of its first frame.

    A size is not refused: it says the resolution as well.
    """
    if request.aspect_ratio is not None:
        raise errors.Rejected(
            "aspect_ratio cannot be chosen with a first frame: the film has its shape"
        )


def level_of(
    request: GenerationRequest, sides: Mapping[str, int], offered: Sequence[str]
) -> str | None:
    """The word for a resolution, from whichever field tells one, else None.

    `sides` has the side in pixels of each word. Pixels get the nearest word on offer.
    """
    size = request.size if request.size and not is_shape(request.size) else None
    quality = QUALITIES.get((request.quality or "").lower())
    for field, text in (
        ("resolution", request.resolution),
        ("size", size),
        ("quality", quality),
    ):
        if not text:
            continue
        word = text.strip().lower()
        if word not in offered:
            allowed = ", ".join(offered) or "none"
            raise errors.Rejected(f"{field} {text!r} is not offered; {allowed} is")
        return word
    pixels = geometry.wanted_size(request)
    if pixels is None or not offered:
        return None
    film = sides is VIDEO_SIDES
    side = max(1.0, min(pixels) if film else math.sqrt(math.prod(pixels)))
    return min(offered, key=lambda word: abs(math.log(sides[word] / side)))


def is_shape(size: str) -> bool:
    """Whether a size is told in pixels or as a ratio, not by a word."""
    return (
        geometry.read_size(size) is not None
        or geometry.RATIO.fullmatch(size.strip()) is not None
    )


def whole_seconds(request: GenerationRequest) -> int | None:
    if request.duration is None:
        return None
    if not float(request.duration).is_integer():
        raise errors.Rejected("duration must be a whole number of seconds")
    return int(request.duration)


def with_inner(
    body: Mapping[str, Any],
    extra: Mapping[str, Any],
    name: str,
    *,
    keep: Sequence[str] = (),
    keep_inner: Sequence[str],
) -> dict[str, Any]:
    """`payload.merged`, which keeps fields of the object `name` of the body as well."""
    given = dict(extra)
    inner = given.pop(name, {})
    if not isinstance(inner, Mapping):
        raise errors.Rejected(f"metadata.{name} must be an object")
    result = merged(body, given, keep=keep)
    told = merged(body.get(name, {}), inner, keep=keep_inner)
    return {**result, name: told} if told else result
