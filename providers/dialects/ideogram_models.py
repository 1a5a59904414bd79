"""Ideogram's models: their limits, the API that serves each, and its words for a shape.

Sources: developer.ideogram.ai (API reference of v1 and v2, legacy endpoints), read
November 2026 (docs/providers/ideogram.md). Limits not stated there are left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model


class Api(StrEnum):
    """The generations of the API that live side by side on one host."""

    V3 = "v1/ideogram-v3"
    V4 = "v1/ideogram-v4"
    EDIT = "v1/edit"
    LEGACY = "generate"
    V2 = "v2/image"


class Shape(StrEnum):
    """How a model is told the size of its images."""

    NONE = "none"
    LISTED = "listed"  # `resolution` of a list, else `aspect_ratio` as 16x9
    RATIO = "ratio"  # `aspect_ratio` as 16x9
    COLON = "colon"  # `aspect_ratio` as 16:9
    LARGE = "large"  # `resolution` of about 2K
    SIZE = "size"  # `size` in pixels
    TIER = "tier"  # `aspect_ratio` and `resolution` 1k or 2k, or exact sides
    PIXELS = "pixels"  # `resolution` in pixels
    LEGACY = "legacy"  # ASPECT_16_9 or RESOLUTION_1024_1024


class Effort(StrEnum):
    """How a model is told its quality."""

    NONE = "none"
    SPEED = "speed"  # TURBO, DEFAULT, QUALITY
    LOWER_SPEED = "lower_speed"  # turbo, default, quality
    QUALITY = "quality"  # low, medium, high


GENERATE, REMIX, EDIT, INPAINT = "generate", "remix", "edit", "inpaint"
REFRAME, REPLACE = "reframe", "replace-background"
TRANSPARENT, PRECISE = "generate-transparent", "precise-edit"

RATIOS = (
    "1:3",
    "3:1",
    "1:2",
    "2:1",
    "9:16",
    "16:9",
    "10:16",
    "16:10",
    "2:3",
    "3:2",
    "3:4",
    "4:3",
    "4:5",
    "5:4",
    "1:1",
)
LEGACY_RATIOS = (
    "10:16",
    "16:10",
    "9:16",
    "16:9",
    "3:2",
    "2:3",
    "4:3",
    "3:4",
    "1:1",
    "1:3",
    "3:1",
)
COLON_RATIOS = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")


def read_sizes(text: str) -> frozenset[tuple[int, int]]:
    """Sizes written as WIDTHxHEIGHT and parted by blanks."""
    pairs = (word.split("x") for word in text.split())
    return frozenset((int(width), int(height)) for width, height in pairs)


UPRIGHT = read_sizes(
    """
    512x1536 576x1408 576x1472 576x1536 640x1344 640x1408 640x1472 640x1536 704x1152
    704x1216 704x1280 704x1344 704x1408 704x1472 736x1312 768x1088 768x1216 768x1280
    768x1344 800x1280 832x960 832x1024 832x1088 832x1152 832x1216 832x1248 864x1152
    896x960 896x1024 896x1088 896x1120 896x1152 960x1024 960x1088
    """
)
SIZES = UPRIGHT | {(h, w) for w, h in UPRIGHT} | {(1024, 1024)}
"""The 69 sizes of Ideogram 3."""
OLDER = read_sizes("640x1024 720x1280 768x1024 768x1152 768x1232")
LEGACY_SIZES = (SIZES - {(800, 1280)}) | OLDER | {(h, w) for w, h in OLDER}
LARGE_SIZES = (
    (2048, 2048),
    (2304, 1728),
    (1728, 2304),
    (2496, 1664),
    (1664, 2496),
    (2560, 1440),
    (1440, 2560),
    (3072, 1280),
    (1280, 3072),
)
"""Sizes of Ideogram 4 that a ratio leads to; others are passed on as they are."""
SIZES_45 = (
    (2048, 2048),
    (1440, 2880),
    (2880, 1440),
    (1664, 2496),
    (2496, 1664),
    (1792, 2240),
    (2240, 1792),
    (1440, 2560),
    (2560, 1440),
)
"""The same for Ideogram 4.5 and 4.6."""
STYLE_TYPES = frozenset({"auto", "general", "realistic", "design", "fiction"})
SPEEDS: Mapping[str, str] = {
    "low": "TURBO",
    "medium": "DEFAULT",
    "high": "QUALITY",
    "flash": "FLASH",
    "turbo": "TURBO",
    "default": "DEFAULT",
    "balanced": "DEFAULT",  # the older word
    "quality": "QUALITY",
}

NOWHERE = frozenset(
    {
        "audio_url",
        "video_url",
        "duration",
        "output_format",
        "voice",
        "speed",
        "title",
        "tags",
        "lyrics",
    }
)
"""Unified fields that no model has a word for."""
SHAPE_FIELDS = frozenset({"size", "width", "height", "aspect_ratio", "resolution"})
MOST_IMAGES = 8


@dataclass(frozen=True, slots=True)
class Offer:
    """A model and how it is asked."""

    model: Model
    api: Api
    shape: Shape
    effort: Effort

    @property
    def version(self) -> str:
        """The part of the API that knows its generations."""
        return "v2" if self.api is Api.V2 else "v1"


def offer(
    name: str,
    api: Api,
    shape: Shape,
    effort: Effort = Effort.NONE,
    *,
    refuses: frozenset[str] = frozenset(),
    **limits: Any,
) -> Offer:
    """A model with what follows from its API, shape and effort."""
    if shape is Shape.NONE:
        refuses |= SHAPE_FIELDS
    elif shape is not Shape.TIER and shape is not Shape.COLON:
        refuses |= {"resolution"}
    if shape is Shape.PIXELS:
        refuses |= {"aspect_ratio"}
    qualities: tuple[str, ...] = tuple(SPEEDS)
    if effort is Effort.NONE:
        refuses |= {"quality"}
    elif effort is Effort.QUALITY:
        qualities = ("very_low", "low", "medium", "high")
    elif api is not Api.V3:
        qualities = tuple(word for word in SPEEDS if word != "flash")
    ratios = {Shape.LISTED: RATIOS, Shape.RATIO: RATIOS, Shape.LEGACY: LEGACY_RATIOS}
    is_sync = api in {Api.V3, Api.EDIT, Api.LEGACY}
    settings: dict[str, Any] = {
        "needs": frozenset({"prompt"}),
        "max_n": MOST_IMAGES,
        "max_images": 0,
        "typical_s": 15.0 if is_sync else 20.0,
        "longest_s": 300.0 if is_sync else 900.0,
        **limits,
    }
    model = Model(
        name=name,
        resold=api is Api.V2 and "ideogram" not in name,
        media_type=MediaType.IMAGE,
        sync=is_sync,
        refuses=NOWHERE | refuses,
        aspect_ratios=ratios.get(shape, ()),
        qualities=() if effort is Effort.NONE else qualities,
        **settings,
    )
    return Offer(model, api, shape, effort)


PLAIN = frozenset({"negative_prompt", "style"})

OFFERS: tuple[Offer, ...] = (
    *(
        offer(name, Api.LEGACY, Shape.LEGACY)
        for name in ("V_1", "V_1_TURBO", "V_2", "V_2A", "V_2A_TURBO", "V_2_TURBO")
    ),
    offer("auto", Api.V2, Shape.RATIO, Effort.QUALITY, refuses=PLAIN, max_images=None),
    offer(
        "gpt-image-2",
        Api.V2,
        Shape.COLON,
        Effort.QUALITY,
        refuses=PLAIN,
        max_images=None,
    ),
    offer("ideogram-2a", Api.V2, Shape.RATIO, Effort.LOWER_SPEED),
    offer(
        "ideogram-3",
        Api.V2,
        Shape.LISTED,
        Effort.LOWER_SPEED,
        actions=(GENERATE, REMIX, INPAINT, REFRAME, REPLACE),
        needs=frozenset(),
        max_images=None,
    ),
    offer(
        "ideogram-4",
        Api.V2,
        Shape.LARGE,
        Effort.LOWER_SPEED,
        refuses=PLAIN,
        actions=(GENERATE, REMIX),
        max_images=1,
    ),
    offer(
        "ideogram-4-5",
        Api.V2,
        Shape.SIZE,
        Effort.QUALITY,
        refuses=PLAIN,
        actions=(GENERATE, REMIX, PRECISE),
        max_images=5,
    ),
    offer(
        "ideogram-4-6", Api.V2, Shape.SIZE, Effort.QUALITY, refuses=PLAIN, max_images=5
    ),
    offer(
        "ideogram-edit",
        Api.EDIT,
        Shape.LISTED,
        refuses=PLAIN,
        needs=frozenset({"prompt", "images"}),
        max_images=10,
    ),
    offer(
        "ideogram-v3",
        Api.V3,
        Shape.LISTED,
        Effort.SPEED,
        actions=(GENERATE, REMIX, EDIT, INPAINT, REFRAME, REPLACE, TRANSPARENT),
        needs=frozenset(),
        max_images=None,
    ),
    offer(
        "ideogram-v4",
        Api.V4,
        Shape.LARGE,
        Effort.SPEED,
        refuses=PLAIN | {"seed"},
        max_n=1,
    ),
    offer("nano-banana-2", Api.V2, Shape.COLON, refuses=PLAIN, max_images=None),
    offer("p-image-ideogram", Api.V2, Shape.TIER, Effort.QUALITY, refuses=PLAIN),
    offer("z-image", Api.V2, Shape.PIXELS, refuses=PLAIN),
)
MODELS: tuple[Model, ...] = tuple(each.model for each in OFFERS)
BY_NAME: Mapping[str, Offer] = {each.model.name: each for each in OFFERS}
