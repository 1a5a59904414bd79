"""The JSON that Recraft takes, and the route it goes to.

Every route that works on an image takes it as `image_url`, a URL or a data URL, so no
form is needed. Sources: recraft.ai/docs and the OpenAPI document "recraft.ai external
api", read November 2026 (docs/providers/recraft.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from providers import errors, inputs, payload
from providers.dialects import recraft_models as catalogue
from providers.dialects.recraft_models import TOOLS, Tool
from providers.flow import Flow
from providers.types import GenerationRequest

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
STRENGTH = 0.5
"""How far a result may leave its input image; the upstream demands a number."""

ROUTES = {
    "generate": "generations",
    "inpaint": "inpaint",
    "generate_background": "generateBackground",
    "replace_background": "replaceBackground",
    "outpaint": "outpaint",
    "variate": "variateImage",
    "explore": "explore",
    "explore_similar": "explore/similar",
}
IMAGE_TO_IMAGE = "imageToImage"
WITHOUT_IMAGE = frozenset({"generations", "explore", "explore/similar"})
WITH_MASK = frozenset({"inpaint", "generateBackground"})
WITH_SIZE = frozenset({"generations", "outpaint", "variateImage", "explore"})
WITHOUT_PROMPT = frozenset({"variateImage", "explore/similar"})
# What these routes take beside the image; the others take all of a generation.
SPARE_FIELDS: Mapping[str, frozenset[str]] = {
    "variateImage": frozenset({"model", "n", "size", "random_seed", "image_format"}),
    "explore": frozenset({"model", "prompt", "size", "image_format"}),
    "explore/similar": frozenset({"image_format"}),
}
IMAGE, MASK = "image_url", "mask_url"
# What a client gives them as.
UNIFIED = {
    "prompt": "a prompt",
    "size": "a size",
    IMAGE: "an input image",
    MASK: "a mask, as the second image or as metadata.mask_url",
}


def write(request: GenerationRequest) -> Flow[tuple[str, dict[str, Any]]]:
    """Path and body of one request."""
    if tool := TOOLS.get(request.model):
        return (yield from write_tool(request, tool))
    route = route_of(request)
    links = yield from image_links(request, masked=route in WITH_MASK)
    body = payload.merged(
        fields_of(request, route) | links, request.metadata, keep=("model", *links)
    )
    check(request, route, body)
    return f"/images/{route}", body


def write_tool(
    request: GenerationRequest, tool: Tool
) -> Flow[tuple[str, dict[str, Any]]]:
    links = yield from image_links(request, masked=tool.masks)
    image_format = None if tool.vector else catalogue.wanted_format(request)
    fields = links | payload.given(image_format=image_format)
    body = payload.merged(fields, request.metadata, keep=("model", *links))
    require(request, body, IMAGE, *((MASK,) if tool.masks else ()))
    return f"/images/{tool.route}", body


def route_of(request: GenerationRequest) -> str:
    """An image beside a plain generation makes it an image to image."""
    route = ROUTES[request.action]
    if route == "generations" and (request.images or IMAGE in request.metadata):
        return IMAGE_TO_IMAGE
    return route


def image_links(request: GenerationRequest, *, masked: bool) -> Flow[dict[str, str]]:
    """The input image, and behind it the mask where one is taken."""
    names = (IMAGE, MASK) if masked else (IMAGE,)
    if len(request.images) > len(names):
        raise errors.Rejected(
            f"{len(request.images)} images are given; {request.model} takes "
            f"{len(names)} for {request.action}"
        )
    links = {}
    for name, image in zip(names, request.images, strict=False):
        links[name] = yield from inputs.as_url(image)
    return links


def fields_of(request: GenerationRequest, route: str) -> dict[str, Any]:
    """The unified fields that the route has a word for."""
    model = catalogue.pick_model(request)
    family = catalogue.FAMILY_OF.get(model)
    named = family is None or family.named_styles
    vector = catalogue.draws_vectors(model)
    fields = payload.given(
        model=model,
        prompt=request.text or None,
        n=request.n,
        size=catalogue.pick_size(request, model) if route in WITH_SIZE else None,
        negative_prompt=request.negative_prompt if named else None,
        random_seed=request.seed,
        image_format=None if vector else catalogue.wanted_format(request),
        strength=STRENGTH if route == IMAGE_TO_IMAGE else None,
        **read_style(request.style, named=named),
    )
    allowed = SPARE_FIELDS.get(route)
    if allowed is None:
        return fields
    return {name: value for name, value in fields.items() if name in allowed}


def read_style(style: str | None, *, named: bool) -> dict[str, str]:
    """`realistic_image`, `realistic_image/hdr`, or the id of a custom style."""
    if not style:
        return {}
    if UUID.fullmatch(style.strip()):
        return {"style_id": style.strip()}
    if not named:
        raise errors.Rejected(
            "`style` must be the id of a custom style: this model takes none by name"
        )
    name, _, substyle = style.strip().partition("/")
    return {"style": name, **({"substyle": substyle} if substyle else {})}


def check(request: GenerationRequest, route: str, body: Mapping[str, Any]) -> None:
    """Refuse before paying what lacks a part that the route demands."""
    if route not in WITHOUT_PROMPT:
        require(request, body, "prompt")
    if route not in WITHOUT_IMAGE:
        require(request, body, IMAGE)
    if route in WITH_MASK:
        require(request, body, MASK)
    if route == "variateImage":
        require(request, body, "size")
    if route == "explore/similar":
        require(request, body, "source_image_id", "similarity")
    if route == "outpaint" and not any(
        name in ("size", "zoom_out_percentage") or name.startswith("expand_")
        for name in body
    ):
        raise errors.Rejected(
            "outpaint needs a size, or metadata with expand_left, expand_right, "
            "expand_top, expand_bottom or zoom_out_percentage"
        )
    if route.startswith("explore") and request.n != 1:
        raise errors.Rejected(f"n is {request.n}; {request.action} cannot be told n")


def require(request: GenerationRequest, body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if body.get(name) in (None, ""):
            raise errors.Rejected(
                f"{request.model} needs {UNIFIED.get(name, f'metadata.{name}')} "
                f"for {request.action}"
            )
