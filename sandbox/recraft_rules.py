"""What Recraft accepts: models, sizes, and the fields of each route.

Sources: recraft.ai/docs (API reference) and the OpenAPI document "recraft.ai external
api", read 2026-11. Whether unknown fields are refused or ignored is not published:
they are refused here, so that a wrong spelling shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.inputs import (
    BadInput,
    Form,
    get_choice,
    get_flag,
    get_list,
    get_number,
    get_object,
    get_text,
    get_whole,
)
from sandbox.media import NotAnImage, ReadImage, read_image

V4 = (
    *("1024x1024", "1216x896", "896x1216", "1280x832", "832x1280", "1152x896"),
    *("896x1152", "1280x896", "896x1280", "832x1344", "768x1344", "1344x768"),
    *("768x1536", "1536x768"),
)
PRO = (
    *("2048x2048", "2432x1792", "1792x2432", "2560x1664", "1664x2560", "2304x1792"),
    *("1792x2304", "2560x1792", "1792x2560", "1664x2688", "1536x2688", "2688x1536"),
    *("1536x3072", "3072x1536"),
)
V3 = (
    *("1024x1024", "1365x1024", "1024x1365", "1536x1024", "1024x1536", "1820x1024"),
    *("1024x1820", "1024x2048", "2048x1024", "1434x1024", "1024x1434", "1024x1280"),
    *("1280x1024", "1024x1707", "1707x1024"),
)
RATIOS = (
    *("1:1", "2:1", "1:2", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "6:10"),
    *("14:10", "10:14", "16:9", "9:16"),
)
STYLES = (
    *("any", "realistic_image", "digital_illustration", "vector_illustration"),
    *("icon", "logo_raster"),
)
SUBSTYLE = re.compile(r"[a-z0-9_]{1,40}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """What models of one family take; without sizes, any that is known."""

    sizes: tuple[str, ...]
    longest: int
    old: bool = False


NEW, NEW_PRO, OLD = Kind(V4, 10_000), Kind(PRO, 10_000), Kind(V3, 1000, old=True)
FAMILIES = {
    "recraftv4_1": NEW,
    "recraftv4_1_pro": NEW_PRO,
    "recraftv4_1_utility": NEW,
    "recraftv4_1_utility_pro": NEW_PRO,
    "recraftv4": NEW,
    "recraftv4_pro": NEW_PRO,
    "recraftv4_styles": NEW,
    "recraftv4_styles_pro": NEW_PRO,
    "recraftv4_explore": NEW,
    "recraftv3": OLD,
    "recraftv2": OLD,
}
MODELS: Mapping[str, Kind] = {
    name + kind: family
    for name, family in FAMILIES.items()
    for kind in ("", "_raster", "_vector")
} | {"recraft20b": OLD, "refm1": OLD}
DEFAULT_MODEL = "recraftv4_1"

OUTPUT = frozenset({"response_format", "image_format", "expire"})
TRANSFORM = OUTPUT | {
    *("prompt", "model", "n", "style", "substyle", "style_id", "style_match"),
    *("negative_prompt", "random_seed", "controls", "text_layout", "creativity"),
    *("calculate_features", "block_nsfw"),
}
GENERATE = TRANSFORM | {"size", "upscale", "style_reference_urls"}
PROCESS = OUTPUT | {"upscale"}


@dataclass(frozen=True)
class Route:
    """One path: its fields beside the image, and what it demands."""

    fields: frozenset[str]
    needs: tuple[str, ...] = ()
    image: bool = True
    mask: bool = False
    tool: bool = False
    vector: bool | None = None
    only_old: bool = False
    factor: int = 1


EXPANDED = ("expand_left", "expand_right", "expand_top", "expand_bottom")
ROUTES: Mapping[str, Route] = {
    "generations": Route(GENERATE, ("prompt",), image=False),
    "generations/raster": Route(GENERATE, ("prompt",), image=False, vector=False),
    "generations/vector": Route(GENERATE, ("prompt",), image=False, vector=True),
    "imageToImage": Route(TRANSFORM | {"strength"}, ("prompt", "strength")),
    "inpaint": Route(TRANSFORM, ("prompt",), mask=True, only_old=True),
    "generateBackground": Route(TRANSFORM, ("prompt",), mask=True, only_old=True),
    "replaceBackground": Route(TRANSFORM, ("prompt",)),
    "outpaint": Route(
        TRANSFORM | {"size", "zoom_out_percentage", *EXPANDED}, ("prompt",)
    ),
    "variateImage": Route(OUTPUT | {"model", "n", "random_seed", "size"}, ("size",)),
    "explore": Route(
        OUTPUT | {"prompt", "model", "size", "controls", "block_nsfw"},
        ("prompt",),
        image=False,
    ),
    "explore/similar": Route(
        OUTPUT | {"source_image_id", "similarity", "block_nsfw"},
        ("source_image_id", "similarity"),
        image=False,
    ),
    "vectorize": Route(
        PROCESS
        | {
            *("svg_compression", "limit_num_shapes", "max_num_shapes"),
            *("color_reduction", "return_gradients", "shape_stacking"),
            *("small_shape_filter", "strict_color_palette"),
        },
        tool=True,
        vector=True,
    ),
    "removeBackground": Route(PROCESS, tool=True),
    "crispUpscale": Route(PROCESS, tool=True, factor=2),
    "creativeUpscale": Route(PROCESS, tool=True, factor=2),
    "eraseRegion": Route(OUTPUT, mask=True, tool=True),
}
EXPLORED = 4
"""As many images come of exploring; how many it are upstream is not published."""
UPSCALED = {"upscale4mp": 4_000_000, "upscale16mp": 16_000_000}
MOST_INPUT_BYTES = 5 * 1000**2
MOST_INPUT_PIXELS = 16_000_000
MOST_INPUT_SIDE = 4096
INPUT_TYPES = {"png", "jpeg", "webp"}


class TooLarge(BadInput):
    """A file of more bytes than are taken."""


@dataclass(frozen=True)
class Wanted:
    """One checked request."""

    model: str
    prompt: str
    count: int
    width: int
    height: int
    form: str
    as_url: bool
    scored: bool
    styled: bool


def read_fields(form: Form) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The flat fields of a form, of which some hold JSON, and its files by name."""
    body = dict(form.fields)
    for name in ("controls", "text_layout"):
        if name in body:
            try:
                body[name] = json.loads(body[name])
            except ValueError as error:
                raise BadInput(f"{name} is not valid JSON", name) from error
    return body, {file.name: file.data for file in form.files}


def read_wanted(
    route: Route, body: Mapping[str, Any], files: Mapping[str, bytes], *, loose: bool
) -> Wanted:
    """What a request asks for; `loose` when its numbers may be texts."""
    pictures = {"image": "image_url", "mask": "mask_url"} if route.image else {}
    if not route.mask:
        pictures.pop("mask", None)
    for name in body:
        if name not in route.fields and name not in pictures.values():
            raise BadInput(f"unknown field {name}", name)
    styled = "style_reference_urls" in body or "style_references" in files
    for name in files:
        if name not in pictures and name != "style_references":
            raise BadInput(f"unknown file {name}", name)
    for name in route.needs:
        if body.get(name) in (None, ""):
            raise BadInput(f"{name} is required", name)
    images = [
        read_picture(files.get(name), body.get(field), name)
        for name, field in pictures.items()
    ]
    first = images[0] if images else None
    if route.mask:
        check_mask(images[1], first)
    model = get_choice(body, "model", tuple(MODELS), default=DEFAULT_MODEL)
    kind = MODELS[model]
    if route.only_old and not kind.old:
        raise BadInput(f"the model {model} does not do this", "model")
    prompt = get_text(body, "prompt", default="", longest=kind.longest)
    check_look(body, kind, loose=loose)
    vector = model.endswith("_vector") if route.vector is None else route.vector
    image_format = get_choice(body, "image_format", ("webp", "png"), default="webp")
    answer = get_choice(body, "response_format", ("url", "b64_json"), default="url")
    count = 1 if route.tool else EXPLORED
    if "n" in route.fields:
        count = get_whole(body, "n", default=1, least=1, most=6, strict=not loose)
    width, height = read_size(body, kind, first)
    if route.fields >= frozenset(EXPANDED):
        width, height = expanded(body, width, height, loose=loose)
    if mode := body.get("upscale"):
        get_choice(body, "upscale", tuple(UPSCALED))
        scale = (UPSCALED[mode] / (width * height)) ** 0.5
        width, height = round(width * scale), round(height * scale)
    return Wanted(
        model=model,
        prompt=prompt,
        count=count,
        width=width * route.factor,
        height=height * route.factor,
        form="svg" if vector else image_format,
        as_url=answer == "url",
        scored=get_flag(body, "calculate_features"),
        styled=styled,
    )


def check_look(body: Mapping[str, Any], kind: Kind, *, loose: bool) -> None:
    """Style, seed, controls and the like; raises BadInput."""
    if body.get("style") is not None:
        if not kind.old:
            raise BadInput("style is not supported by this model", "style")
        get_choice(body, "style", STYLES)
        if body.get("style_id") is not None:
            raise BadInput("style and style_id exclude each other", "style_id")
    if body.get("substyle") and not SUBSTYLE.fullmatch(get_text(body, "substyle")):
        raise BadInput("substyle is not known", "substyle")
    for name in ("style_id", "source_image_id"):
        if body.get(name) is not None and not UUID.fullmatch(get_text(body, name)):
            raise BadInput(f"{name} is not a UUID", name)
    if body.get("negative_prompt") is not None and not kind.old:
        raise BadInput("negative_prompt is not supported by this model")
    if body.get("text_layout") is not None:
        for item in get_list(body, "text_layout"):
            if not isinstance(item, dict) or not item.get("text"):
                raise BadInput("text_layout needs texts with their boxes")
    strict = not loose
    if body.get("random_seed") is not None:
        get_whole(body, "random_seed", least=0, most=2**32 - 1, strict=strict)
    if body.get("strength") is not None:
        get_number(body, "strength", least=0, most=1, strict=strict)
    if body.get("similarity") is not None:
        get_whole(body, "similarity", least=1, most=5, strict=strict)
    controls = get_object(body, "controls")
    get_whole(controls, "artistic_level", default=0, least=0, most=5)
    for colour in [*get_list(controls, "colors"), controls.get("background_color")]:
        if colour is None:
            continue
        rgb = colour.get("rgb") if isinstance(colour, dict) else None
        if not isinstance(rgb, list) or len(rgb) != 3:
            raise BadInput("a color needs rgb with three numbers", "controls")
    choices = {
        "style_match": ("regular", "precise", "flexible"),
        "creativity": ("simple", "standard", "eccentric"),
    }
    for name, words in choices.items():
        if body.get(name) is not None:
            get_choice(body, name, words)


def read_size(
    body: Mapping[str, Any], kind: Kind, first: ReadImage | None
) -> tuple[int, int]:
    """The size asked for, by pixels or by shape, else the input's, else a square."""
    if body.get("size") is None:
        if first is not None:
            return first.width, first.height
        size = kind.sizes[0]
    else:
        size = get_choice(body, "size", (*kind.sizes, *RATIOS))
    if ":" in size:
        wanted = shape(size.replace(":", "x"))
        size = min(kind.sizes, key=lambda name: abs(shape(name) / wanted - 1))
    width, _, height = size.partition("x")
    return int(width), int(height)


def shape(size: str) -> float:
    width, _, height = size.partition("x")
    return int(width) / int(height)


def expanded(
    body: Mapping[str, Any], width: int, height: int, *, loose: bool
) -> tuple[int, int]:
    left, right, top, bottom = (
        get_whole(body, name, default=0, least=0, most=4096, strict=not loose)
        for name in EXPANDED
    )
    zoom = get_number(body, "zoom_out_percentage", default=0, strict=not loose)
    grown = left + right + top + bottom
    if not grown and not zoom and body.get("size") is None:
        raise BadInput("set size, expand_* or zoom_out_percentage")
    if grown and body.get("size") is not None:
        raise BadInput("size and expand_* exclude each other", "size")
    if max(width + left + right, height + top + bottom) > MOST_INPUT_SIDE:
        raise BadInput("the result is larger than 4096 pixels")
    return width + left + right, height + top + bottom


def read_picture(data: bytes | None, url: Any, name: str) -> ReadImage | None:
    """A file, or a URL or data URL; None when its bytes are elsewhere."""
    given = data if data is not None else url
    if given in (None, "", b""):
        raise BadInput(f"{name} is required", name)
    if not isinstance(given, bytes) and not str(given).startswith(
        ("http://", "https://", "data:image/")
    ):
        raise BadInput(f"{name} must be a URL or a data URL", name)
    try:
        image = read_image(given)
    except NotAnImage as error:
        raise BadInput(f"{name}: {error}", name) from error
    if image is None:
        return None
    if image.image_format not in INPUT_TYPES:
        raise BadInput(f"{name} must be png, jpg or webp", name)
    if len(image.data) > MOST_INPUT_BYTES:
        raise TooLarge(f"{name} is larger than 5 MB", name)
    if (
        image.width * image.height > MOST_INPUT_PIXELS
        or max(image.width, image.height) > MOST_INPUT_SIDE
    ):
        raise BadInput(f"{name} has too many pixels", name)
    return image


def check_mask(mask: ReadImage | None, first: ReadImage | None) -> None:
    if mask is None:
        return
    if mask.image_format != "png":
        raise BadInput("mask must be a PNG", "mask")
    if first and (mask.width, mask.height) != (first.width, first.height):
        raise BadInput("mask must have the size of the image", "mask")
