"""Jimeng request bodies: from unified words to the fields of one flat object.

Source: volcengine.com/docs/85621, read November 2026 (docs/providers/jimeng.md).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from providers import errors, geometry
from providers.dialects.jimeng_models import RATIOS, Offer
from providers.flow import Flow
from providers.inputs import as_base64
from providers.payload import given
from providers.types import GenerationRequest, MediaType

FRAMES_PER_SECOND = 24
SQUARES = {"1K": 1024, "2K": 2048, "4K": 4096}
SIDE_STEP = 8
EPSILON = 1e-6
PIXELS = {"720P": 1280 * 720, "1080P": 1920 * 1080}

# Without it images come as base64 in the body of every poll.
WITH_LINKS = {"return_url": True}


def write(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """The body of a submit."""
    req_key = req_key_of(request, offer)
    if offer.model.media_type is MediaType.IMAGE:
        options = image_options(request, offer)
    else:
        options = video_options(request)
    pictures = yield from pictures_of(request)
    return given(
        req_key=req_key,
        prompt=request.text or None,
        **pictures,
        seed=request.seed,
        **options,
    )


def req_key_of(request: GenerationRequest, offer: Offer) -> str:
    """The key for that many images in that resolution."""
    if not offer.keys:
        return offer.model.name
    count = len(request.images)
    known = [key for key in offer.keys if key[0] == count]
    if not known:
        counts = sorted({key[0] for key in offer.keys})
        raise errors.Rejected(
            f"{count} images are given; {offer.model.name} takes "
            f"{' or '.join(map(str, counts))}"
        )
    level = level_of(request)
    fitting = next((key for key in known if not level or key[1] in ("", level)), None)
    if fitting is None and request.resolution:
        raise errors.Rejected(
            f"resolution must be one of {', '.join(key[1] for key in known)}"
        )
    return offer.keys[fitting or known[-1]]


def level_of(request: GenerationRequest) -> str:
    """`720P` or `1080P` as asked for, or nearest to the size; "" when nothing says."""
    if request.resolution:
        return request.resolution.strip().upper()
    size = geometry.wanted_size(request)
    if size is None or not size[0] or not size[1]:
        return ""
    wanted = size[0] * size[1]
    return min(PIXELS, key=lambda level: abs(math.log(PIXELS[level] / wanted)))


def pictures_of(request: GenerationRequest) -> Flow[dict[str, list[str]]]:
    """Every image as its URL, or every one as base64: the lists exclude each other."""
    if not request.images:
        return {}
    if not any(image.uploaded for image in request.images):
        return {"image_urls": [image.url for image in request.images]}
    encoded = []
    for image in request.images:
        encoded.append((yield from as_base64(image)))
    return {"binary_data_base64": encoded}


# Video


def video_options(request: GenerationRequest) -> dict[str, Any]:
    return given(frames=frames_of(request), aspect_ratio=ratio_of(request))


def frames_of(request: GenerationRequest) -> int | None:
    """121 for five seconds, 241 for ten."""
    if request.duration is None:
        return None
    if request.duration not in (5, 10):
        raise errors.Rejected("duration must be 5 or 10 seconds")
    return FRAMES_PER_SECOND * int(request.duration) + 1


def ratio_of(request: GenerationRequest) -> str | None:
    """`16:9` for a film from text; with an image the image decides."""
    if request.images:
        if request.aspect_ratio and "vgfm" not in request.model:
            raise errors.Rejected("aspect_ratio is the image's when there is an image")
        return plain_ratio(request) if request.aspect_ratio else None
    if request.aspect_ratio:
        return plain_ratio(request)
    ratio = geometry.wanted_ratio(request)
    if ratio is not None:
        return geometry.nearest_ratio(ratio, RATIOS)
    if request.size:
        word = request.size.replace(" ", "")
        if word not in RATIOS:
            raise errors.Rejected(
                f"size must be WIDTHxHEIGHT or one of {', '.join(RATIOS)}"
            )
        return word
    return None


def plain_ratio(request: GenerationRequest) -> str | None:
    ratio = request.aspect_ratio
    return ratio.replace("/", ":").replace(" ", "") if ratio else None


# Images


def image_options(request: GenerationRequest, offer: Offer) -> dict[str, Any]:
    return {
        **size_of(request, offer),
        # else the model may make, and bill, as many as the prompt suggests
        **({"force_single": True} if offer.has_single else {}),
        **({"return_url": True} if offer.model.sync else {}),
    }


def size_of(request: GenerationRequest, offer: Offer) -> dict[str, int]:
    """`width` and `height`, which go together, or `size` as a number of pixels."""
    size = geometry.wanted_size(request)
    if size is not None:
        return {"width": size[0], "height": size[1]}
    side = side_of(request, offer)
    asked = request.aspect_ratio or request.size
    ratio = geometry.read_ratio(asked) if asked else None
    if ratio is None:
        if request.aspect_ratio:
            raise errors.Rejected("aspect_ratio must be WIDTH:HEIGHT, such as 16:9")
        return {"size": side**2} if side else {}
    height = (side or offer.area) / math.sqrt(ratio)
    width = height * ratio
    if offer.most_side and max(width, height) > offer.most_side:
        shrink = offer.most_side / max(width, height)
        width, height = width * shrink, height * shrink
    return whole_sides(width, height, offer)


def side_of(request: GenerationRequest, offer: Offer) -> int | None:
    """The side of a square of the size that a word names."""
    for name, text in (("resolution", request.resolution), ("size", request.size)):
        if not text or geometry.read_ratio(text):
            continue
        word = text.strip().upper()
        if not offer.by_area or word not in SQUARES:
            words = f", {', '.join(SQUARES)}" if offer.by_area else ""
            raise errors.Rejected(f"{name} must be WIDTHxHEIGHT, WIDTH:HEIGHT{words}")
        return SQUARES[word]
    return None


def whole_sides(width: float, height: float, offer: Offer) -> dict[str, int]:
    """Both sides rounded down to whole blocks, or up where the area is too small."""
    blocks = [math.floor(side / SIDE_STEP + EPSILON) for side in (width, height)]
    least = offer.model.pixel_range[0] if offer.model.pixel_range else 0
    if blocks[0] * blocks[1] * SIDE_STEP**2 < least:
        blocks = [math.ceil(side / SIDE_STEP - EPSILON) for side in (width, height)]
    across, down = (max(1, block) * SIDE_STEP for block in blocks)
    return {"width": across, "height": down}


# What a poll says


def poll_options(extra: Mapping[str, Any]) -> str:
    """`req_json`: a text that holds JSON, with the client's own options in it."""
    told = extra.get("req_json", {})
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except ValueError as error:
            raise errors.Rejected("metadata.req_json must be JSON") from error
    if not isinstance(told, Mapping):
        raise errors.Rejected("metadata.req_json must be an object")
    return json.dumps({**WITH_LINKS, **told}, ensure_ascii=False)
