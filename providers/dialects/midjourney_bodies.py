"""The bodies of the midjourney-proxy protocol, and the flags of a prompt.

Sources as in `providers/midjourney.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from providers import errors, geometry, payload
from providers.dialects.midjourney_models import (
    QUALITIES,
    VIDEO_COUNTS,
    VIDEO_TYPES,
    Kind,
    Offer,
)
from providers.flow import Flow
from providers.inputs import as_data_url, as_url
from providers.types import GenerationRequest

Body = dict[str, Any]

# How a client may have said it in the prompt already.
SPELLINGS = {
    "--ar": ("ar", "aspect"),
    "--no": ("no",),
    "--seed": ("seed",),
    "--q": ("q", "quality"),
    "--style": ("style",),
    "--s": ("s", "stylize"),
}
DIMENSIONS = {"2:3": "PORTRAIT", "1:1": "SQUARE", "3:2": "LANDSCAPE"}
NUMBER = re.compile(r"\d{1,4}")
WORD = re.compile(r"[\w.-]{1,40}")
LEAST_BLENDED = 2
SEPARATE = "separate"
"""A field of the metadata that is the gateway's own: four files rather than a grid."""


def write(request: GenerationRequest, offer: Offer) -> Flow[tuple[str, Body]]:
    """The path and the body of a submit."""
    body = yield from WRITERS[offer.kind](request, offer)
    body = payload.given(**body, notifyHook=request.callback_url, state=request.task_id)
    keep = {"notifyHook", "state", SEPARATE}
    path = offer.path
    if offer.kind is Kind.CHANGE:
        keep.add("action")  # what is billed follows from it
        path, body = change_path(request, body)
    if offer.window:
        # these belong to the second step
        keep |= {"prompt", "maskBase64"}
    return path, payload.merged(body, request.metadata, keep=keep)


def change_path(request: GenerationRequest, body: Body) -> tuple[str, Body]:
    """Three ways to the same: by a button, by a short text, by action and index."""
    for field, path in (("customId", "action"), ("content", "simple-change")):
        if field in request.metadata:
            del body["action"]
            return f"/mj/submit/{path}", body
    return "/mj/submit/change", body


def write_imagine(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """Links of images stand in front of the prompt, uploads beside it."""
    links = [image.url for image in request.images if not image.uploaded]
    files = []
    for image in request.images:
        if image.uploaded:
            files.append((yield from as_data_url(image)))
    return {
        "prompt": " ".join((*links, flagged(request))),
        "botType": offer.bot,
        "base64Array": files or None,
    }


def write_blend(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    if len(request.images) < LEAST_BLENDED:
        raise errors.Rejected(f"a blend needs {LEAST_BLENDED} images or more")
    ratio = geometry.wanted_ratio(request)
    if ratio is None and request.size:
        ratio = geometry.read_ratio(request.size)
    shape = geometry.nearest_ratio(ratio, tuple(DIMENSIONS)) if ratio else None
    return {
        "base64Array": (yield from data_urls(request)),
        "dimensions": shape and DIMENSIONS[shape],
    }


def write_describe(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    (image,) = yield from data_urls(request, count=1)
    return {"base64": image}


def write_shorten(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    yield from ()
    return {"prompt": request.text}


def write_change(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """Which task and which of its four pictures is said in the metadata."""
    yield from ()
    return {"action": offer.action}


def write_action(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """Which task and which of its buttons is said in the metadata."""
    yield from ()
    return {}


def write_modal(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """The task that waits is named in the metadata."""
    mask = None
    if request.images:
        (mask,) = yield from data_urls(request, count=1)
    return {"prompt": flagged(request) or None, "maskBase64": mask}


def write_edits(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    if not request.images:
        raise errors.Rejected(f"{request.model} needs an image")
    return {
        "prompt": flagged(request),
        "image": (yield from as_url(request.images[0])),
    }


def write_video(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """One image is the first frame, a second the last."""
    if request.n not in VIDEO_COUNTS:
        raise errors.Rejected(f"n is {request.n}; {request.model} makes 1, 2 or 4")
    frames = []
    for image in request.images:
        frames.append((yield from as_url(image)))
    resolution = (request.resolution or "").strip().upper()
    return {
        "prompt": request.text or None,
        "image": frames[0] if frames else None,
        "endImage": frames[1] if len(frames) > 1 else None,
        "videoType": VIDEO_TYPES.get(resolution),
        "batchSize": request.n,
    }


def write_swap(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """The first image gives the face, the second takes it."""
    source, target = yield from data_urls(request, count=2)
    return {"sourceBase64": source, "targetBase64": target}


def write_upload(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    return {"base64Array": (yield from data_urls(request))}


WRITERS: Mapping[Kind, Callable[[GenerationRequest, Offer], Flow[Body]]] = {
    Kind.IMAGINE: write_imagine,
    Kind.BLEND: write_blend,
    Kind.DESCRIBE: write_describe,
    Kind.SHORTEN: write_shorten,
    Kind.CHANGE: write_change,
    Kind.ACTION: write_action,
    Kind.MODAL: write_modal,
    Kind.EDITS: write_edits,
    Kind.VIDEO: write_video,
    Kind.SWAP: write_swap,
    Kind.UPLOAD: write_upload,
}


def write_window(request: GenerationRequest) -> Flow[Body]:
    """The second step of an action that asks for a prompt, and perhaps for a mask.

    It is written before the first is sent, so that nothing is asked for in vain; the
    task's id is then missing.
    """
    mask = request.metadata.get("maskBase64")
    if request.images:
        (mask,) = yield from data_urls(request, count=1)
    return payload.given(
        prompt=request.metadata.get("prompt", flagged(request)),
        maskBase64=mask,
        notifyHook=request.callback_url,
        state=request.task_id,
    )


def data_urls(request: GenerationRequest, count: int | None = None) -> Flow[list[str]]:
    """Every image as a data URL: where only those are taken."""
    if count is not None and len(request.images) != count:
        raise errors.Rejected(
            f"{len(request.images)} images are given; {request.model} needs {count}"
        )
    urls = []
    for image in request.images:
        urls.append((yield from as_data_url(image)))
    return urls


def flagged(request: GenerationRequest) -> str:
    """The prompt with the flags that it does not have yet."""
    prompt = request.text
    for flag, value in flags_of(request):
        if value and not says(prompt, flag):
            prompt = f"{prompt} {flag} {value}".lstrip()
    return prompt


def flags_of(request: GenerationRequest) -> list[tuple[str, str | None]]:
    quality = request.quality and QUALITIES.get(request.quality.strip().lower())
    seed = None if request.seed is None else str(request.seed)
    flags = [
        ("--ar", shape_of(request)),
        ("--no", request.negative_prompt),
        ("--seed", seed),
        ("--q", quality),
    ]
    style = (request.style or "").strip()
    if style and not WORD.fullmatch(style):
        raise errors.Rejected(f"style is {style!r}; it must be a word or a number")
    flags.append(("--s" if NUMBER.fullmatch(style) else "--style", style))
    return flags


def says(prompt: str, flag: str) -> bool:
    names = "|".join(SPELLINGS[flag])
    return bool(re.search(rf"(?:^|\s)(?:--|—)(?:{names})(?=\s|$)", prompt))


def shape_of(request: GenerationRequest) -> str | None:
    """The ratio asked for, or that of a size with its sides made small."""
    for text in (request.aspect_ratio, request.size):
        match = geometry.RATIO.fullmatch((text or "").strip())
        if match and geometry.read_ratio(match[0]):
            return f"{int(match[1])}:{int(match[2])}"
    size = geometry.wanted_size(request)
    if not size or not all(size):
        return None
    divisor = math.gcd(*size)
    return f"{size[0] // divisor}:{size[1] // divisor}"
