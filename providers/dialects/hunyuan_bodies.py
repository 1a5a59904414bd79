"""Hunyuan's request bodies: from unified words to the parameters of an action.

Source: the request classes of the official SDK, read November 2026
(docs/providers/hunyuan.md).
"""

from __future__ import annotations

import base64
from typing import Any

from providers import errors, geometry
from providers.dialects.hunyuan_models import RATIOS, REFERENCE_SIZES, Offer
from providers.flow import Flow
from providers.inputs import as_file
from providers.payload import given, merged
from providers.types import GenerationRequest, MediaType

ON, OFF = 1, 0
BASE64_LENGTH = 8 * 1024**2
# the number of images is what the client is billed for
OURS = ("Num",)
KINDS_OF_RESULT = {"b64_json": "base64", "base64": "base64", "url": "url"}


def write(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """The body of a submit."""
    options = (
        video_options(request)
        if offer.model.media_type is MediaType.VIDEO
        else image_options(request, offer)
    )
    pictures = yield from picture_of(request, offer)
    body = given(Prompt=request.text or None, **pictures, **options)
    extra = dict(request.metadata)
    if offer.model.sync:
        body["RspImgType"] = kind_of_result(extra.pop("response_format", "url"))
    return merged(body, extra, keep=OURS)


def picture_of(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """The client's own URL, or an upload as base64 without a prefix."""
    if not request.images:
        return {}
    if offer.picture is None or len(request.images) > 1:
        most = 0 if offer.picture is None else 1
        raise errors.Rejected(
            f"{len(request.images)} images are given; {request.model} takes {most}"
        )
    field, url, raw = offer.picture
    (image,) = request.images
    if not image.uploaded:
        return {field: {url: image.url}}
    file = yield from as_file(image)
    encoded = base64.b64encode(file.content).decode()
    if len(encoded) > BASE64_LENGTH:
        raise errors.Rejected(
            f"an input image has {len(file.content):,} bytes; Hunyuan takes uploads of "
            f"at most {BASE64_LENGTH * 3 // 4:,}, larger ones as a URL"
        )
    return {field: {raw: encoded}}


def video_options(request: GenerationRequest) -> dict[str, Any]:
    return given(Resolution=request.resolution and request.resolution.strip().lower())


def image_options(request: GenerationRequest, offer: Offer) -> dict[str, Any]:
    negative = request.negative_prompt or None
    if negative and len(negative) > offer.longest_negative:
        raise errors.Rejected(
            f"negative_prompt has {len(negative):,} characters; {request.model} takes "
            f"at most {offer.longest_negative:,}"
        )
    options = given(
        NegativePrompt=negative,
        Style=request.style,
        Resolution=resolution_of(request),
        Num=request.n if (offer.model.max_n or 1) > 1 else None,
    )
    if request.seed is not None:
        if request.seed < 1:
            raise errors.Rejected("seed must be 1 or more")
        # the seed counts only for a prompt that is not rewritten
        options |= {"Seed": request.seed, "Revise": OFF}
    return options


def resolution_of(request: GenerationRequest) -> str | None:
    """`W:H` in pixels: the size asked for, or the size of the ratio."""
    size = geometry.wanted_size(request)
    if size is None and request.size:
        raise errors.Rejected("size must be WIDTHxHEIGHT")
    if size is not None:
        told = f"{size[0]}:{size[1]}"
    elif request.aspect_ratio:
        ratio = request.aspect_ratio.replace("/", ":").replace(" ", "")
        if ratio not in RATIOS:
            raise errors.Rejected(f"aspect_ratio must be one of {', '.join(RATIOS)}")
        told = RATIOS[ratio]
    else:
        return None
    if request.images and told.replace(":", "x") not in REFERENCE_SIZES:
        raise errors.Rejected(
            f"with an input image the size must be one of {', '.join(REFERENCE_SIZES)}"
        )
    return told


def kind_of_result(word: Any) -> str:
    """`url` or `base64`, also in the words of OpenAI."""
    if word not in KINDS_OF_RESULT:
        raise errors.Rejected("response_format must be url or b64_json")
    return KINDS_OF_RESULT[word]
