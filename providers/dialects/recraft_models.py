"""What Recraft offers: families of raster and vector models, and tools without a model.

Limits that the documentation leaves open are left open here. Sources: recraft.ai/docs
(API reference: models, image sizes, tools) and the official OpenAPI document
"recraft.ai external api", read November 2026 (docs/providers/recraft.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers import geometry
from providers.types import GenerationRequest, MediaType, Model

Sizes = tuple[tuple[int, int], ...]


def _both_ways(*sizes: tuple[int, int]) -> Sizes:
    turned = ((height, width) for width, height in sizes if width != height)
    return (*sizes, *turned)


# 832x1344 and its double are offered upright only.
V4_SIZES = (
    (832, 1344),
    *_both_ways(
        (1024, 1024),
        (1216, 896),
        (1280, 832),
        (1152, 896),
        (1280, 896),
        (1344, 768),
        (1536, 768),
    ),
)
PRO_SIZES = (
    (1664, 2688),
    *_both_ways(
        (2048, 2048),
        (2432, 1792),
        (2560, 1664),
        (2304, 1792),
        (2560, 1792),
        (2688, 1536),
        (3072, 1536),
    ),
)
V3_SIZES = _both_ways(
    (1024, 1024),
    (1365, 1024),
    (1536, 1024),
    (1820, 1024),
    (2048, 1024),
    (1434, 1024),
    (1280, 1024),
    (1707, 1024),
)
RATIOS = (
    *("1:1", "2:1", "1:2", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5"),
    *("6:10", "14:10", "10:14", "16:9", "9:16"),
)
RASTER_FORMATS = ("png", "webp", "jpg")
"""There is no jpeg: png is made in its place."""
MASKED = ("inpaint", "generate_background")

RASTER, VECTOR = "_raster", "_vector"
KINDS = ("", RASTER, VECTOR)


@dataclass(frozen=True, slots=True)
class Family:
    """Models that differ only in what they draw: pixels or vectors.

    `named_styles`: styles by name and a negative prompt are taken. `masks`: parts of an
    image can be changed. `pro` is the family that makes the same at 2K. `kinds` are
    the endings of its names.
    """

    name: str
    sizes: Sizes = ()
    pro: str | None = None
    max_prompt: int | None = None
    named_styles: bool = False
    masks: bool = False
    explores: bool = False
    slow: bool = False
    kinds: tuple[str, ...] = KINDS


def _v4(name: str, **more: Any) -> Family:
    return Family(name, V4_SIZES, f"{name}_pro", 10_000, **more)


def _v4_pro(name: str) -> Family:
    return Family(f"{name}_pro", PRO_SIZES, None, 10_000, slow=True)


FAMILIES = (
    _v4("recraftv4_1"),
    _v4_pro("recraftv4_1"),
    _v4("recraftv4_1_utility"),
    _v4_pro("recraftv4_1_utility"),
    _v4("recraftv4"),
    _v4_pro("recraftv4"),
    # Sizes and prompts of these two kinds are not published.
    Family("recraftv4_styles", pro="recraftv4_styles_pro"),
    Family("recraftv4_styles_pro", slow=True),
    Family("recraftv4_explore", explores=True),
    Family("recraftv3", V3_SIZES, None, 1000, named_styles=True, masks=True),
    Family("recraftv2", V3_SIZES, None, 1000, named_styles=True),
)
# Still known to the upstream: the old name of recraftv2, and a deprecated model.
OLD = (
    Family("recraft20b", V3_SIZES, None, 1000, named_styles=True, kinds=("",)),
    Family("refm1", kinds=("",)),
)


def _model(family: Family, kind: str) -> Model:
    actions: tuple[str, ...] = ("generate", "replace_background", "outpaint", "variate")
    if family.masks:
        actions += MASKED
    if family.explores:
        actions += ("explore", "explore_similar")
    if kind == VECTOR:
        formats: tuple[str, ...] = ("svg",)
    else:
        both = not kind and VECTOR in family.kinds
        formats = (*RASTER_FORMATS, "svg") if both else RASTER_FORMATS
    slow = family.slow or kind == VECTOR
    resolutions = ("1K", "2K") if family.pro else ("2K",) if family.slow else ("1K",)
    return Model(
        name=family.name + kind,
        media_type=MediaType.IMAGE,
        sync=True,
        actions=actions,
        refuses=frozenset({"audio_url", "video_url"}),
        max_prompt=family.max_prompt,
        max_images=2 if family.masks else 1,  # the second is the mask
        max_n=6,
        aspect_ratios=RATIOS,
        resolutions=resolutions,
        output_formats=formats,
        typical_s=25.0 if slow else 12.0,
        longest_s=300.0,
    )


@dataclass(frozen=True, slots=True)
class Tool:
    """A route that works on an image and takes no model; its name is the gateway's."""

    name: str
    route: str
    masks: bool = False
    vector: bool = False

    @property
    def model(self) -> Model:
        return Model(
            name=self.name,
            media_type=MediaType.IMAGE,
            sync=True,
            needs=frozenset({"images"}),
            refuses=frozenset({"audio_url", "video_url"}),
            max_images=2 if self.masks else 1,
            max_n=1,
            output_formats=("svg",) if self.vector else RASTER_FORMATS,
            typical_s=15.0,
            longest_s=300.0,
        )


TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("recraft-vectorize", "vectorize", vector=True),
        Tool("recraft-remove-background", "removeBackground"),
        Tool("recraft-crisp-upscale", "crispUpscale"),
        Tool("recraft-creative-upscale", "creativeUpscale"),
        Tool("recraft-erase-region", "eraseRegion", masks=True),
    )
}

FAMILY_OF = {
    family.name + kind: family for family in (*FAMILIES, *OLD) for kind in family.kinds
}
MODELS = (
    *(_model(family, kind) for family in FAMILIES for kind in family.kinds),
    *(tool.model for tool in TOOLS.values()),
)
BY_NAME = {model.name: model for model in MODELS} | {
    family.name: _model(family, "") for family in OLD
}

# Models of other houses that the upstream's own list of names holds. Whether a public
# key may use them is not published, so they are known but not listed.
RESOLD = (
    "bytedance_seedreamv5_",
    "flux2_",
    "gpt_image_2_",
    "grok_imagine_image_2",
    "ideogram_v4_",
    "krea_2_",
    "nano_banana_2",
    "qwen_image_3",
)


def describe(name: str) -> Model | None:
    """A listed model, an old name, or a model of another house by its beginning."""
    if model := BY_NAME.get(name):
        return model
    if name.startswith(RESOLD):
        return Model(
            name=name,
            media_type=MediaType.IMAGE,
            sync=True,
            refuses=frozenset({"audio_url", "video_url", "resolution"}),
            max_images=1,
            max_n=6,
            output_formats=RASTER_FORMATS,
            typical_s=20.0,
            longest_s=300.0,
        )
    return None


def pick_model(request: GenerationRequest) -> str:
    """The model asked for, or its sibling that draws vectors or makes 2K."""
    family = FAMILY_OF.get(request.model)
    if family is None:
        return request.model
    kind = request.model.removeprefix(family.name)
    if (request.resolution or "").strip().upper() == "2K" and family.pro:
        family = FAMILY_OF[family.pro]
    if not kind and VECTOR in family.kinds and wanted_format(request) == "svg":
        kind = VECTOR
    return family.name + kind


def draws_vectors(model: str) -> bool:
    tool = TOOLS.get(model)
    return tool.vector if tool else model.endswith(VECTOR)


def wanted_format(request: GenerationRequest) -> str | None:
    """The ending asked for in lower case, png in place of jpeg."""
    wanted = (request.output_format or "").strip().lower().removeprefix(".")
    return "png" if wanted in ("jpg", "jpeg") else wanted or None


def pick_size(request: GenerationRequest, model: str) -> str | None:
    """The ratio asked for, or the size of the model nearest in shape; None: its own."""
    if request.aspect_ratio:
        return request.aspect_ratio.strip().replace("/", ":").replace(" ", "")
    if request.size and geometry.read_ratio(request.size):
        return request.size.strip().replace("/", ":").replace(" ", "")
    size = geometry.wanted_size(request)
    if size is None or not all(size):
        return None
    family = FAMILY_OF.get(model)
    if family and family.sizes:
        size = geometry.nearest_size(size[0] / size[1], family.sizes)
    return f"{size[0]}x{size[1]}"
