"""How a request becomes a body of Luma's Dream Machine, or of Luma Agents."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from providers import errors, payload
from providers.dialects.luma_models import (
    AGENT_OPERATIONS,
    AGENT_SHAPES,
    AGENT_VIDEO_SHAPES,
    OPERATIONS,
    SHAPE,
    SHAPES,
    Operation,
)
from providers.flow import Flow
from providers.geometry import nearest_ratio, read_ratio, wanted_ratio, wanted_size
from providers.inputs import as_file
from providers.types import GenerationRequest, MediaInput, MediaType

# What decides over billing, over the callback, or would hold the paid call open.
KEPT = frozenset({"model", "callback_url", "generation_type", "sync", "sync_timeout"})
USUAL_MODE = "flex_1"
"""How far a film may be changed, which has no default upstream."""
HEIGHTS = {2160: "4k"}
VIDEO_WORDS = ("360p", "540p", "720p", "1080p", "4k")
CHECKED = ("images", "video_url", "negative_prompt", "duration", "resolution")


# Dream Machine


def operation_of(request: GenerationRequest) -> Operation:
    """What a request asks a Dream Machine model for."""
    action = request.action or "generate"
    if action == "generate" and request.video_url:
        action = "modify"
    return checked(request, OPERATIONS, action)


def write(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """The path and the body."""
    operation, extra = operation_of(request), dict(request.metadata)
    earlier = None
    if "{id}" in operation.path or request.action == "extend":
        earlier = extra.pop("generation_id", None)
        if not isinstance(earlier, str) or not earlier:
            raise errors.Rejected(
                f"{request.action} needs the id of an earlier generation, "
                "metadata.generation_id"
            )
    path = operation.path.replace("{id}", quote(earlier or "", safe=""))
    body = payload.given(
        generation_type=operation.kind or None,
        model=None if "{id}" in operation.path else request.model,
        prompt=request.text or None,
        **WRITERS[operation.path](request, earlier),
        callback_url=request.callback_url,
    )
    body = payload.merged(body, extra, keep=KEPT)
    if missing := [
        name
        for name in NEEDED.get(operation.path, ())
        if not body.get(name) or body[name] == {"url": None}
    ]:
        raise errors.Rejected(f"{operation.kind} needs {', '.join(missing)}")
    if operation.path in (VIDEO, IMAGE) and not body.keys() & SUBJECTS:
        raise errors.Rejected(f"{request.model} needs a prompt or an image")
    return path, body


VIDEO, IMAGE = "/generations/video", "/generations/image"
SUBJECTS = frozenset(
    {
        *("prompt", "keyframes"),
        *("image_ref", "style_ref", "character_ref", "modify_image_ref"),
    }
)
NEEDED = {
    "/generations/video/modify": ("media",),
    "/generations/video/reframe": ("media", "aspect_ratio"),
    "/generations/image/reframe": ("media", "aspect_ratio"),
}


def write_video(request: GenerationRequest, earlier: str | None) -> dict[str, Any]:
    """The first and the last frame; an extended generation stands for the first."""
    frames: list[dict[str, Any]] = [
        {"type": "image", "url": public_url(image)} for image in request.images
    ]
    if earlier:
        frames.insert(0, {"type": "generation", "id": earlier})
    return {
        "aspect_ratio": shape(request, SHAPES),
        "resolution": resolution(request),
        "duration": seconds(request),
        "keyframes": {f"frame{n}": frame for n, frame in enumerate(frames)} or None,
    }


def write_modified(request: GenerationRequest, _earlier: str | None) -> dict[str, Any]:
    return {"media": {"url": request.video_url}, "mode": USUAL_MODE, **first(request)}


def write_reframed(request: GenerationRequest, _earlier: str | None) -> dict[str, Any]:
    return {
        "media": {"url": request.video_url},
        "aspect_ratio": shape(request, SHAPES),
        **first(request),
    }


def first(request: GenerationRequest) -> dict[str, Any]:
    """How the film that is made of another begins."""
    urls = [public_url(image) for image in request.images]
    return {"first_frame": {"url": urls[0]}} if urls else {}


def write_upscaled(request: GenerationRequest, _earlier: str | None) -> dict[str, Any]:
    return {"resolution": resolution(request)}


def write_audio(request: GenerationRequest, _earlier: str | None) -> dict[str, Any]:
    return {"negative_prompt": request.negative_prompt}


def write_image(request: GenerationRequest, _earlier: str | None) -> dict[str, Any]:
    """The images in the part that the action gives them.

    Without an action a single image is edited, and several are references.
    """
    images = [{"url": public_url(image)} for image in request.images]
    fields: dict[str, Any] = {
        "aspect_ratio": shape(request, SHAPES),
        "format": image_format(request, "jpg"),
    }
    if not images:
        return fields
    match request.action:
        case "style":
            return {**fields, "style_ref": images}
        case "character":
            urls = [image["url"] for image in images]
            return {**fields, "character_ref": {"identity0": {"images": urls}}}
        case "edit":
            rest = images[1:] or None
            return {**fields, "modify_image_ref": images[0], "image_ref": rest}
        case "reference":
            return {**fields, "image_ref": images}
    if len(images) > 1:
        return {**fields, "image_ref": images}
    return {**fields, "modify_image_ref": images[0]}


def write_reframed_image(
    request: GenerationRequest, _earlier: str | None
) -> dict[str, Any]:
    url = public_url(request.images[0]) if request.images else None
    return {
        "media": {"url": url},
        "aspect_ratio": shape(request, SHAPES),
        "format": image_format(request, "jpg"),
    }


WRITERS = {
    VIDEO: write_video,
    "/generations/video/modify": write_modified,
    "/generations/video/reframe": write_reframed,
    "/generations/{id}/upscale": write_upscaled,
    "/generations/{id}/audio": write_audio,
    IMAGE: write_image,
    "/generations/image/reframe": write_reframed_image,
}


def public_url(image: MediaInput) -> str:
    """The client's own URL, or the gateway's link to an upload.

    Dream Machine takes neither bytes nor data URLs.
    """
    if not image.uploaded:
        return image.url
    if image.link is None:
        raise errors.Rejected(
            "Luma's Dream Machine takes input images as public URLs only, and the "
            "gateway has no public address (GENRELAY_PUBLIC_URL) to offer an upload"
        )
    return image.link


# Luma Agents


def write_agent(request: GenerationRequest) -> Flow[dict[str, Any]]:
    """The body of one generation; uploaded images go into it in base64."""
    action = request.action or "generate"
    sourced = bool(request.images) or "source" in request.metadata
    if request.media_type is MediaType.VIDEO:
        sourced = bool(request.video_url) or "source" in request.metadata
    if action == "generate" and sourced:
        action = "edit"
    operation = checked(request, AGENT_OPERATIONS, action)
    files = []
    for image in request.images:
        files.append((yield from reference(image)))
    body: dict[str, Any] = {"model": request.model, "type": operation.kind}
    body |= payload.given(prompt=request.text or None)
    if request.media_type is MediaType.VIDEO:
        body |= video_fields(request, operation.kind, files)
    else:
        body |= image_fields(request, operation.kind, files)
    body = payload.merged(body, request.metadata, keep={"model", "type"})
    if operation.kind not in ("image", "video") and not body.get("source"):
        raise errors.Rejected(f"{action} needs what is to be changed, {request.model}")
    return body


def image_fields(
    request: GenerationRequest, kind: str, files: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    taken = 0 if kind == "image" or "source" in request.metadata else 1
    wanted = request.resolution and request.resolution.strip().lower()
    return payload.given(
        source=files[0] if taken and files else None,
        image_ref=list(files[taken:]) or None,
        aspect_ratio=shape(request, AGENT_SHAPES),
        output_format=image_format(request, "jpeg"),
        style=request.style and request.style.strip().lower(),
        layering={"resolution": wanted} if wanted else None,
    )


def video_fields(
    request: GenerationRequest, kind: str, files: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    options = payload.given(duration=seconds(request), resolution=resolution(request))
    told: Any = request.metadata.get("video")
    edit: Any = told.get("edit") if isinstance(told, Mapping) else None
    if files and isinstance(edit, Mapping) and "keyframe_indexes" in edit:
        options["edit"] = {"keyframes": list(files)}
    elif files and isinstance(told, Mapping) and "keyframe_indexes" in told:
        options["keyframes"] = list(files)
    else:
        names = ("start_frame", "end_frame") if kind == "video" else ("start_frame",)
        if len(files) > len(names):
            raise errors.Rejected(
                f"{len(files)} images are given; more than {len(names)} need their "
                "places, keyframe_indexes in metadata.video (or metadata.video.edit)"
            )
        options |= dict(zip(names, files, strict=False))
    source = None
    if request.video_url:
        # the type is required; another one comes as `metadata.source.media_type`
        source = {"url": request.video_url, "media_type": "video/mp4"}
    return payload.given(
        source=source,
        aspect_ratio=shape(request, AGENT_VIDEO_SHAPES),
        video=options or None,
    )


def reference(image: MediaInput) -> Flow[dict[str, Any]]:
    """The client's own URL, or an upload's bytes in base64 with their type."""
    if not image.uploaded:
        return {"url": image.url}
    file = yield from as_file(image)
    data = base64.b64encode(file.content).decode()
    return {"data": data, "media_type": file.content_type}


# Words of both


def checked(
    request: GenerationRequest,
    operations: Mapping[str, Mapping[str, Operation]],
    action: str,
) -> Operation:
    """The operation, when it has words for all that is given."""
    known = operations.get(request.model)
    if known is None:
        raise errors.ModelRefused(f"Luma offers no model {request.model} here")
    operation = known.get(action)
    if operation is None:
        raise errors.Rejected(
            f"{request.model} has no action {action}; it has {', '.join(known)}"
        )
    for field in (*CHECKED, *sorted(SHAPE)):
        if getattr(request, field) not in (None, ()) and field not in operation.says:
            raise errors.Rejected(
                f"{request.model} has no word for {field} in {action}"
            )
    if len(request.images) > operation.images:
        raise errors.Rejected(
            f"{len(request.images)} images are given; "
            f"{action} of {request.model} takes {operation.images}"
        )
    return operation


def shape(request: GenerationRequest, offered: Sequence[str]) -> str | None:
    """The offered ratio nearest to what was asked for, which may be itself."""
    size = request.size or ""
    if wanted := wanted_ratio(request) or read_ratio(size):
        return nearest_ratio(wanted, offered)
    if size and size.strip().lower() not in VIDEO_WORDS:
        raise errors.Rejected(f"size is {size!r}; Luma takes a ratio or WxH")
    return None


def resolution(request: GenerationRequest) -> str | None:
    """The resolution that is named, or that a size stands for exactly."""
    if request.resolution:
        return request.resolution.strip().lower()
    named = (request.size or "").strip().lower()
    size = wanted_size(request)
    if size:
        named = HEIGHTS.get(min(size), f"{min(size)}p")
    # a model that lacks the word makes its usual resolution in the shape asked for
    return named if named in SIZED.get(request.model, ()) else None


SIZED = {
    "ray-3.2": ("360p", "540p", "720p", "1080p"),
    **dict.fromkeys(("ray-2", "ray-flash-2"), ("540p", "720p", "1080p", "4k")),
}


def seconds(request: GenerationRequest) -> str | None:
    """A text with its unit."""
    return None if request.duration is None else f"{request.duration:g}s"


def image_format(request: GenerationRequest, jpeg: str) -> str | None:
    """The format, with JPEG as this API spells it."""
    wanted = request.output_format and request.output_format.strip().lower()
    return jpeg if wanted in ("jpg", "jpeg") else wanted
