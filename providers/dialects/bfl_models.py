"""The FLUX models of Black Forest Labs: their limits, and the form each is asked on.

Sources: docs.bfl.ai (FLUX.2, FLUX 3, FLUX.1, tools) and api.bfl.ai/openapi.json, read
November 2026 (docs/providers/bfl.md). Limits that are not stated there are left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model


class Form(StrEnum):
    """A set of fields that some models have in common."""

    FLUX_2 = "flux-2"
    KONTEXT = "kontext"
    FLUX_1 = "flux-1"
    ULTRA = "ultra"
    FILL = "fill"
    EXPAND = "expand"
    OUTPAINT = "outpaint"
    ERASE = "erase"
    DEBLUR = "deblur"
    TRY_ON = "try-on"
    IMAGE_3 = "image-3"
    VIDEO_3 = "video-3"
    UPSCALE = "upscale"


def numbered(most: int) -> tuple[str, ...]:
    """`input_image`, `input_image_2`, ..."""
    return ("input_image", *(f"input_image_{n}" for n in range(2, most + 1)))


IMAGE_FIELDS: Mapping[Form, tuple[str, ...]] = {
    Form.FLUX_2: numbered(8),
    Form.KONTEXT: numbered(4),
    Form.FLUX_1: ("image_prompt",),
    Form.ULTRA: ("image_prompt",),
    Form.FILL: ("image", "mask"),
    Form.EXPAND: ("image",),
    Form.OUTPAINT: ("input_image",),
    Form.ERASE: ("image", "mask"),
    Form.DEBLUR: ("image",),
    Form.TRY_ON: ("person", "garment"),
}
"""Where the images of a request go, in their order."""
ALL_IMAGES = frozenset({Form.ERASE, Form.TRY_ON})
"""Forms that need every one of their images."""
ONLY_BASE64 = frozenset({Form.FLUX_1, Form.ULTRA, Form.FILL, Form.EXPAND})
"""Forms whose images are documented as base64 only."""
WITHOUT_PROMPT = frozenset({Form.ERASE, Form.DEBLUR})
WITHOUT_SEED = frozenset({Form.IMAGE_3, Form.VIDEO_3, Form.UPSCALE})
"""Forms with neither a seed nor a choice of the output's format."""

AREAS: Mapping[str, int] = {"1k": 1024**2, "1.5k": 1536**2, "2k": 2048**2}
"""Pixels behind a resolution, for models that are asked in pixels."""
IMAGE_3_AREAS: Mapping[str, int] = {"768sq": 768**2, **AREAS, "4k": 4096**2}
IMAGE_3_RATIOS = (
    "21:9",
    "2:1",
    "16:9",
    "3:2",
    "7:5",
    "4:3",
    "5:4",
    "1:1",
    "4:5",
    "3:4",
    "5:7",
    "2:3",
    "9:16",
    "1:2",
    "9:21",
)
USUAL_RATIOS = (
    "21:9",
    "16:9",
    "3:2",
    "4:3",
    "5:4",
    "1:1",
    "4:5",
    "3:4",
    "2:3",
    "9:16",
    "9:21",
)
"""Ratios sent for a size where any between 21:9 and 9:21 is taken."""
VIDEO_RATIOS = (
    "21:9",
    "2:1",
    "16:9",
    "4:3",
    "1:1",
    "3:4",
    "9:16",
    "9:21",
)
VIDEO_RESOLUTIONS: Mapping[str, str] = {
    "hd": "hd",
    "fhd": "fhd",
    "qhd": "qhd",
    "uhd": "uhd",
    "720p": "hd",
    "1080p": "fhd",
    "1440p": "qhd",
    "2k": "qhd",
    "2160p": "uhd",
    "4k": "uhd",
}
VIDEO_SIDES: Mapping[str, int] = {"hd": 720, "fhd": 1080, "qhd": 1440, "uhd": 2160}
"""The shorter side behind a word for a resolution of video."""
MOST_KEYFRAMES = 10
KEYFRAMES_WITHOUT_DURATION = 2

NOWHERE = frozenset(
    {
        "negative_prompt",
        "audio_url",
        "quality",
        "style",
        "voice",
        "speed",
        "title",
        "tags",
        "lyrics",
    }
)
"""Unified fields that no model has a word for."""
SHAPE = frozenset({"size", "width", "height", "aspect_ratio", "resolution"})
RATIO_ONLY = frozenset({"resolution"})

REFUSED: Mapping[Form, frozenset[str]] = {
    Form.FLUX_2: frozenset(),
    Form.KONTEXT: RATIO_ONLY,
    Form.FLUX_1: RATIO_ONLY,
    Form.ULTRA: RATIO_ONLY,
    Form.FILL: SHAPE,
    Form.EXPAND: SHAPE,
    Form.OUTPAINT: frozenset({"aspect_ratio", "resolution"}),
    Form.ERASE: SHAPE,
    Form.DEBLUR: SHAPE,
    Form.TRY_ON: SHAPE,
    Form.IMAGE_3: frozenset(),
    Form.VIDEO_3: frozenset(),
    Form.UPSCALE: SHAPE | {"images"},
}
NEEDED: Mapping[Form, tuple[str, ...]] = {
    Form.FLUX_2: ("prompt",),
    Form.KONTEXT: ("prompt",),
    Form.FILL: ("images",),
    Form.EXPAND: ("images",),
    Form.OUTPAINT: ("images", "size"),
    Form.ERASE: ("images",),
    Form.DEBLUR: ("images",),
    Form.TRY_ON: ("prompt", "images"),
    Form.IMAGE_3: ("prompt",),
    Form.UPSCALE: ("video_url",),
}
IN_PIXELS: Mapping[str, Any] = {
    "side_range": (64, 65_536),
    "side_multiple": 16,
    "pixel_range": (64 * 64, 2048 * 2048),
}
BETWEEN_21_TO_9: Mapping[str, Any] = {"ratio_range": (9 / 21, 21 / 9)}
LIMITS: Mapping[Form, Mapping[str, Any]] = {
    Form.FLUX_2: {**IN_PIXELS, "resolutions": tuple(AREAS)},
    Form.OUTPAINT: IN_PIXELS,
    Form.FLUX_1: {"side_range": (256, 1440), "side_multiple": 32},
    Form.KONTEXT: BETWEEN_21_TO_9,
    Form.ULTRA: BETWEEN_21_TO_9,
    Form.IMAGE_3: {
        "max_images": 10,
        "resolutions": tuple(IMAGE_3_AREAS),
        "typical_s": 20.0,
    },
    Form.VIDEO_3: {
        "max_images": MOST_KEYFRAMES,
        "aspect_ratios": (*VIDEO_RATIOS, "auto"),
        "resolutions": tuple(VIDEO_RESOLUTIONS),
        "duration_range": (5, 20),
        "typical_s": 120.0,
        "longest_s": 3600.0,
    },
    Form.UPSCALE: {"max_images": 0, "typical_s": 120.0, "longest_s": 3600.0},
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A model and the form on which it is asked."""

    model: Model
    form: Form


def offer(name: str, form: Form, **more: Any) -> Offer:
    """A model with the limits of its form, and its own ones."""
    refuses = NOWHERE | REFUSED[form]
    if form is not Form.VIDEO_3:
        refuses |= {"duration"}
    if form not in {Form.VIDEO_3, Form.UPSCALE}:
        refuses |= {"video_url"}
    if form in WITHOUT_SEED:
        refuses |= {"seed", "output_format"}
    limits: dict[str, Any] = {
        "max_images": len(IMAGE_FIELDS.get(form, ())),
        "output_formats": () if form in WITHOUT_SEED else ("jpeg", "png", "webp"),
        "typical_s": 10.0,
        "longest_s": 900.0,
        **LIMITS.get(form, {}),
        **more,
    }
    is_film = form in {Form.VIDEO_3, Form.UPSCALE}
    model = Model(
        name=name,
        media_type=MediaType.VIDEO if is_film else MediaType.IMAGE,
        needs=frozenset(NEEDED.get(form, ())),
        refuses=refuses,
        max_n=1,  # each task makes one result
        **limits,
    )
    return Offer(model, form)


OFFERS: tuple[Offer, ...] = (
    offer("flux-2-max", Form.FLUX_2, typical_s=15.0),
    offer("flux-2-pro", Form.FLUX_2),
    offer("flux-2-pro-preview", Form.FLUX_2),
    offer("flux-2-flex", Form.FLUX_2, typical_s=15.0),
    offer("flux-2-klein-9b", Form.FLUX_2, max_images=4, typical_s=3.0),
    offer("flux-2-klein-9b-preview", Form.FLUX_2, max_images=4, typical_s=3.0),
    offer("flux-2-klein-4b", Form.FLUX_2, max_images=4, typical_s=3.0),
    offer("flux-3-image", Form.IMAGE_3),
    offer("flux-3-video", Form.VIDEO_3),
    offer("flux-dev", Form.FLUX_1),
    offer("flux-kontext-max", Form.KONTEXT),
    offer("flux-kontext-pro", Form.KONTEXT),
    offer("flux-pro-1.0-expand", Form.EXPAND),
    offer("flux-pro-1.0-fill", Form.FILL),
    offer("flux-pro-1.1", Form.FLUX_1),
    offer("flux-pro-1.1-ultra", Form.ULTRA),
    offer("flux-tools/deblur-v1", Form.DEBLUR),
    offer("flux-tools/erase-v1", Form.ERASE),
    offer("flux-tools/outpainting-v1", Form.OUTPAINT),
    offer("flux-tools/video-upscale-v1", Form.UPSCALE),
    offer("flux-tools/vto-v1", Form.TRY_ON),
    offer("flux-tools/vto-v2", Form.TRY_ON),
)
MODELS: tuple[Model, ...] = tuple(each.model for each in OFFERS)
BY_NAME: Mapping[str, Offer] = {each.model.name: each for each in OFFERS}
