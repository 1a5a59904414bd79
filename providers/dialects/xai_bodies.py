"""The JSON that xAI takes: images, videos, edits and extensions of videos, speech.

Sources: docs.x.ai, REST reference of images, videos and voice, read November 2026
(docs/providers/xai.md).
"""

from __future__ import annotations

from typing import Any

from providers import errors, inputs, payload
from providers.dialects import xai_models as catalogue
from providers.flow import Flow
from providers.types import GenerationRequest

IMAGE_FIELDS = ("image", "images")
FRAME_FIELDS = ("image", "reference_images")

VIDEO_PATHS = {
    "generate": "/videos/edits",
    "edit": "/videos/edits",
    "extend": "/videos/extensions",
}


def write_image(request: GenerationRequest) -> Flow[tuple[str, dict[str, Any]]]:
    """Path and body of new images, or of an edit of one or several images.

    The upstream fetches URLs itself, at most 10 MiB within five seconds.
    """
    links = []
    for image in request.images:
        link = yield from inputs.as_url(image)
        links.append({"url": link, "type": "image_url"})
    quality = request.quality if request.model == catalogue.WITH_QUALITY else None
    fields = payload.given(
        model=request.model,
        prompt=request.text,
        n=request.n,
        image=links[0] if len(links) == 1 else None,
        images=links if len(links) > 1 else None,
        aspect_ratio=catalogue.pick_ratio(request, catalogue.IMAGE_RATIOS),
        resolution=catalogue.pick_image_resolution(request),
        quality=quality and quality.strip().lower(),
    )
    body = payload.merged(
        fields, request.metadata, keep=("model", *(IMAGE_FIELDS if links else ()))
    )
    edits = any(name in body for name in IMAGE_FIELDS)
    return "/images/edits" if edits else "/images/generations", body


def write_video(request: GenerationRequest) -> Flow[tuple[str, dict[str, Any]]]:
    """Path and body of a new video, of an edit, or of an extension.

    One image is the first frame, several are references: of both, the upstream takes
    only the frame.
    """
    if request.video_url:
        return write_derived(request)
    if request.action != "generate":
        raise errors.Rejected(f'action "{request.action}" needs `video_url`')
    links = []
    for image in request.images:
        link = yield from inputs.as_url(image)
        links.append({"url": link})
    fields = payload.given(
        model=request.model,
        prompt=request.text or None,
        duration=whole_seconds(request),
        aspect_ratio=catalogue.pick_ratio(request, catalogue.VIDEO_RATIOS),
        resolution=catalogue.pick_video_resolution(request),
        image=links[0] if len(links) == 1 else None,
        reference_images=links if len(links) > 1 else None,
    )
    body = payload.merged(
        fields, request.metadata, keep=("model", *(FRAME_FIELDS if links else ()))
    )
    if not any(body.get(name) for name in ("prompt", *FRAME_FIELDS)):
        raise errors.Rejected("`prompt` is required without an input image")
    if body.get("reference_images") and body.get("resolution") == "1080p":
        raise errors.Rejected(
            "`resolution` 1080p is not offered with reference images; the most is "
            f"{catalogue.REFERENCES_MOST}"
        )
    return "/videos/generations", body


def write_derived(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """An edit keeps length, ratio and resolution of its video, so it names none."""
    if request.images:
        raise errors.Rejected("`video_url` and input images cannot be combined")
    seconds = whole_seconds(request) if request.action == "extend" else None
    if seconds is not None and seconds > catalogue.LONGEST_EXTENSION_S:
        raise errors.Rejected(
            f"`duration` is {seconds}; an extension adds at most "
            f"{catalogue.LONGEST_EXTENSION_S} seconds"
        )
    fields = payload.given(
        model=request.model,
        prompt=request.text or None,
        video={"url": request.video_url},
        duration=seconds,
    )
    body = payload.merged(fields, request.metadata, keep=("model", "video"))
    return VIDEO_PATHS[request.action], body


def whole_seconds(request: GenerationRequest) -> int | None:
    """The duration as the integer that the upstream wants."""
    if request.duration is None:
        return None
    if request.duration != int(request.duration):
        raise errors.Rejected(f"`duration` is {request.duration:g}; whole seconds only")
    return int(request.duration)


def write_speech(request: GenerationRequest) -> dict[str, Any]:
    """The codec is always named, for the answer may not tell it."""
    fields = payload.given(
        text=request.speech,
        voice_id=request.voice,
        language="auto",
        speed=request.speed,
        output_format={"codec": (request.output_format or "mp3").strip().lower()},
    )
    return payload.merged(fields, request.metadata, keep=("model",))
