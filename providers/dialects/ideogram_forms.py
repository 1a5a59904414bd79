"""Requests to Ideogram: the path, and the form, in each generation's own words.

Images are files: addresses other than Ideogram's own are not taken. Whatever else a
path has (`magic_prompt`, `color_palette`, `style_codes`, `image_weight`, ...) comes in
`metadata` by its name. There, `reference_type` says whether further images show a style
or a character.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from providers import errors, geometry
from providers.dialects.ideogram_models import (
    COLON_RATIOS,
    EDIT,
    GENERATE,
    INPAINT,
    LARGE_SIZES,
    LEGACY_RATIOS,
    LEGACY_SIZES,
    PRECISE,
    RATIOS,
    REFRAME,
    REMIX,
    REPLACE,
    SIZES,
    SIZES_45,
    SPEEDS,
    STYLE_TYPES,
    TRANSPARENT,
    Api,
    Effort,
    Offer,
    Shape,
)
from providers.flow import Flow, Part
from providers.inputs import InputFile, as_file
from providers.payload import given, merged
from providers.types import GenerationRequest, MediaInput

OURS = ("webhook_url", "async", "reference_type", "model")
FILE_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})
REFERENCES: Mapping[str, str] = {
    "style": "style_reference_images",
    "character": "character_reference_images",
}

# What each action of Ideogram 3 has no word for.
WITHOUT: Mapping[str, frozenset[str]] = {
    EDIT: frozenset({"negative_prompt"}),
    INPAINT: frozenset({"negative_prompt"}),
    REFRAME: frozenset({"negative_prompt", "style_type", "prompt"}),
    REPLACE: frozenset({"negative_prompt", "style_type"}),
    TRANSPARENT: frozenset({"style_type", "style_preset"}),
}
# Its result has the shape of its input.
FOLLOWS_INPUT = frozenset({EDIT, INPAINT, REPLACE, PRECISE})
NEEDED_IMAGES: Mapping[str, int] = {
    REMIX: 1,
    EDIT: 2,
    INPAINT: 2,
    REFRAME: 1,
    REPLACE: 1,
    PRECISE: 1,
}


@dataclass(frozen=True, slots=True)
class Form:
    """A request ready to be sent: JSON, or parts where there are files."""

    path: str
    json: Any = None
    parts: tuple[Part, ...] = ()
    params: Mapping[str, str] | None = None
    is_async: bool = False


def write_form(request: GenerationRequest, offer: Offer) -> Flow[Form]:
    """The path and the form for a request."""
    match offer.api:
        case Api.LEGACY:
            return write_legacy(request, offer)
        case Api.V2:
            return (yield from write_v2(request, offer))
        case Api.V4:
            return write_v4(request, offer)
        case Api.EDIT:
            return (yield from write_edit(request, offer))
    return (yield from write_v3(request, offer))


def write_legacy(request: GenerationRequest, offer: Offer) -> Form:
    """Ideogram 1 to 2a: one JSON object."""
    fields = given(
        prompt=request.text,
        model=request.model,
        num_images=request.n,
        seed=request.seed,
        negative_prompt=request.negative_prompt,
        style_type=request.style and request.style.upper(),
        **shape_fields(request, offer),
    )
    body = merged(fields, request.metadata, keep=OURS)
    return Form("/generate", json={"image_request": body})


def write_v3(request: GenerationRequest, offer: Offer) -> Flow[Form]:
    """Ideogram 3, answered with its images: a form of parts for each action."""
    action = action_of(request)
    files = yield from files_of(request, action)
    fields = given(
        prompt=request.text or None,
        num_images=request.n,
        seed=request.seed,
        negative_prompt=request.negative_prompt,
        rendering_speed=effort_word(request, offer),
        **style_fields(request),
        **shape_of_action(request, offer, action),
    )
    fields = merged(
        without_unsaid(fields, action, request), request.metadata, keep=OURS
    )
    check_prompt(fields, action)
    return Form(f"/{offer.api}/{action}", parts=(*text_parts(fields), *files))


def write_v4(request: GenerationRequest, offer: Offer) -> Form:
    """Ideogram 4 by way of v1: a job, unless `metadata` says that `async` is false."""
    is_async = request.metadata.get("async") is not False
    text = None if request.metadata.get("json_prompt") else request.text
    fields = given(
        text_prompt=text,
        rendering_speed=effort_word(request, offer),
        **shape_fields(request, offer),
    )
    parts = text_parts(merged(fields, request.metadata, keep=OURS))
    hook = usable_hook(request) if is_async else None
    return Form(
        f"/{offer.api}/async/generate" if is_async else f"/{offer.api}/generate",
        parts=tuple(parts),
        params=given(webhook_url=hook),
        is_async=is_async,
    )


def write_edit(request: GenerationRequest, offer: Offer) -> Flow[Form]:
    """An edit of several images by a prompt alone."""
    fields = given(
        prompt=request.text,
        num_images=request.n,
        seed=request.seed,
        **shape_fields(request, offer),
    )
    parts = text_parts(merged(fields, request.metadata, keep=OURS))
    files = yield from file_parts(request.images, "images")
    return Form(f"/{offer.api}", parts=(*parts, *files))


def write_v2(request: GenerationRequest, offer: Offer) -> Flow[Form]:
    """Every model of v2, as a job: its id outlives a lost connection."""
    action = action_of(request)
    # Ideogram 4 takes an image to remix it, and has no other use for one.
    if action == GENERATE and offer.shape is Shape.LARGE and request.images:
        action = REMIX
    if offer.shape is Shape.LISTED or action != GENERATE:
        files = yield from files_of(request, action)
    else:
        files = yield from file_parts(request.images, "images")
    speed = {Effort.QUALITY: "quality"}.get(offer.effort, "rendering_speed")
    fields = given(
        prompt=request.text or None,
        num_images=request.n,
        seed=request.seed,
        negative_prompt=request.negative_prompt,
        style_type=request.style and request.style.lower(),
        **given(**{speed: effort_word(request, offer)}),
        **shape_of_action(request, offer, action),
    )
    fields = merged(
        without_unsaid(fields, action, request), request.metadata, keep=OURS
    )
    check_prompt(fields, action)
    fields |= given(**{"async": True, "webhook_url": usable_hook(request)})
    path = f"/{offer.api}/{action}/{request.model}"
    if not files:
        return Form(path, json=fields, is_async=True)
    return Form(path, parts=(*text_parts(fields), *files), is_async=True)


def action_of(request: GenerationRequest) -> str:
    return request.action.lower()


def check_prompt(fields: Mapping[str, Any], action: str) -> None:
    if action != REFRAME and not fields.get("prompt"):
        raise errors.Rejected(f"a prompt is needed to {action}")


def without_unsaid(
    fields: dict[str, Any], action: str, request: GenerationRequest
) -> dict[str, Any]:
    """The fields that the action has a word for; Rejected for others but the prompt."""
    unsaid = WITHOUT.get(action, frozenset()) & fields.keys()
    if odd := sorted(unsaid - {"prompt"}):
        raise errors.Rejected(
            f"{request.model} has no word for {', '.join(odd)} in {action}"
        )
    return {name: fields[name] for name in fields if name not in unsaid}


def usable_hook(request: GenerationRequest) -> str | None:
    """The gateway's address: HTTPS only, since a submit with another is refused."""
    url = request.callback_url
    if not url:
        return None
    parts = urlsplit(url)
    is_near = parts.hostname in {"127.0.0.1", "localhost"}  # the sandbox's own
    return url if parts.scheme == "https" or is_near else None


# Quality and style


def effort_word(request: GenerationRequest, offer: Offer) -> str | None:
    """`quality` as the model's own word; others are left to the upstream to refuse."""
    asked = request.quality and request.quality.strip().lower()
    if not asked or offer.effort is Effort.QUALITY:
        return asked or None
    word = SPEEDS.get(asked, asked.upper())
    return word.lower() if offer.effort is Effort.LOWER_SPEED else word


def style_fields(request: GenerationRequest) -> dict[str, Any]:
    """`style` is one of a few types, else a preset."""
    if not request.style:
        return {}
    word = request.style.strip().replace(" ", "_")
    name = "style_type" if word.lower() in STYLE_TYPES else "style_preset"
    return {name: word.upper()}


# Shape


def shape_of_action(
    request: GenerationRequest, offer: Offer, action: str
) -> dict[str, Any]:
    """The shape, where the action has one of its own; to reframe a size is needed."""
    if action in FOLLOWS_INPUT:
        return {}
    fields = shape_fields(request, offer)
    if action == REFRAME and "resolution" not in fields | dict(request.metadata):
        raise errors.Rejected("to reframe, size must be one that Ideogram 3 makes")
    if action == TRANSPARENT and "resolution" in fields:
        ratio = geometry.wanted_ratio(request) or 1.0
        return {"aspect_ratio": spelled(geometry.nearest_ratio(ratio, RATIOS))}
    return fields


def spelled(ratio: str) -> str:
    return ratio.replace(":", "x")


def ratio_word(request: GenerationRequest) -> str | None:
    """`16:9` as the client wrote it, also as the size, also with an x of Ideogram's."""
    word = request.aspect_ratio
    if word is None and request.size and geometry.read_size(request.size) is None:
        word = request.size
    return word.replace("/", ":").replace(" ", "").lower() if word else None


def shape_fields(request: GenerationRequest, offer: Offer) -> dict[str, Any]:
    """The shape in the model's own words."""
    size, word = geometry.wanted_size(request), ratio_word(request)
    ratio = geometry.read_ratio(word) if word else None
    pixels = f"{size[0]}x{size[1]}" if size else None
    match offer.shape:
        case Shape.LISTED | Shape.RATIO | Shape.TIER:
            if offer.shape is Shape.LISTED and size in SIZES and not word:
                return {"resolution": pixels}
            if offer.shape is Shape.TIER and size and not word:
                return {"custom_width": size[0], "custom_height": size[1]}
            level = request.resolution if offer.shape is Shape.TIER else None
            shape = nearest(word, size, RATIOS)
            return given(
                aspect_ratio=shape and spelled(shape),
                resolution=level and level.lower(),
            )
        case Shape.LEGACY:
            if size in LEGACY_SIZES and size and not word:
                return {"resolution": f"RESOLUTION_{size[0]}_{size[1]}"}
            shape = nearest(word, size, LEGACY_RATIOS)
            return given(
                aspect_ratio=shape and f"ASPECT_{shape.replace(':', '_')}".upper()
            )
        case Shape.COLON:
            return given(
                aspect_ratio=nearest(word, size, COLON_RATIOS),
                resolution=request.resolution,
            )
        case Shape.LARGE | Shape.SIZE:
            name = "size" if offer.shape is Shape.SIZE else "resolution"
            offered = SIZES_45 if offer.shape is Shape.SIZE else LARGE_SIZES
            if ratio and not size:
                pixels = "x".join(map(str, geometry.nearest_size(ratio, offered)))
            return given(**{name: pixels or word})
        case Shape.PIXELS:
            return given(resolution=pixels or word)
    return {}


def nearest(
    word: str | None, size: tuple[int, int] | None, offered: Sequence[str]
) -> str | None:
    """The client's own word, else the offered ratio nearest to the size."""
    if word or not size or not size[1]:
        return word
    return geometry.nearest_ratio(size[0] / size[1], offered)


# Parts


def text_parts(fields: Mapping[str, Any]) -> Iterator[Part]:
    """Text parts: lists become repeated ones, objects JSON; None is left out."""
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                yield Part(name, json.dumps(item), content_type="application/json")
            elif isinstance(item, bool):
                yield Part(name, "true" if item else "false")
            elif item is not None:
                yield Part(name, str(item))


def files_of(request: GenerationRequest, action: str) -> Flow[tuple[Part, ...]]:
    """The images of an action: the one it changes, its mask, then references."""
    needed = NEEDED_IMAGES.get(action, 0)
    if len(request.images) < needed:
        told = "an image and its mask" if needed == 2 else "an image"
        raise errors.Rejected(f"{action} needs {told}")
    if action == TRANSPARENT and request.images:
        raise errors.Rejected("a transparent image is made without other images")
    own = ("image", "mask")[:needed]
    parts: list[Part] = []
    for name, image in zip(own, request.images, strict=False):
        parts.append(as_part(name, (yield from read_file(image, name))))
    kind = str(request.metadata.get("reference_type") or "style").lower()
    if kind not in REFERENCES:
        raise errors.Rejected(
            f"reference_type {kind!r} is none of {', '.join(REFERENCES)}"
        )
    # Ideogram 4.5 knows references of one kind only
    is_45 = request.model.startswith("ideogram-4")
    reference = "reference_images" if is_45 else REFERENCES[kind]
    rest = yield from file_parts(request.images[needed:], reference)
    return (*parts, *rest)


def file_parts(images: Sequence[MediaInput], name: str) -> Flow[tuple[Part, ...]]:
    parts = []
    for number, image in enumerate(images):
        file = yield from read_file(image, f"image-{number}")
        parts.append(as_part(name, file))
    return tuple(parts)


def read_file(image: MediaInput, name: str) -> Flow[InputFile]:
    file = yield from as_file(image, name)
    if file.content_type not in FILE_TYPES:
        raise errors.Rejected(
            f"an input image is {file.content_type}; Ideogram takes JPEG, PNG and WebP"
        )
    return file


def as_part(name: str, file: InputFile) -> Part:
    return Part(name, file.content, file.filename, file.content_type)
