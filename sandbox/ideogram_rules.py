"""What Ideogram takes at each path: fields, words, files.

Wire format: developer.ideogram.ai (API reference of v1 and v2, legacy endpoints), read
2026-11. Names that a path does not have are refused, as a typing error would cost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.inputs import BadInput, Form, FormFile, get_choice, get_flag, get_whole
from sandbox.media import NotAnImage, ReadImage, read_image

RATIOS = tuple(
    f"{a}x{b}"
    for a, b in (
        (1, 3),
        (3, 1),
        (1, 2),
        (2, 1),
        (9, 16),
        (16, 9),
        (10, 16),
        (16, 10),
        (2, 3),
        (3, 2),
        (3, 4),
        (4, 3),
        (4, 5),
        (5, 4),
        (1, 1),
    )
)
UPRIGHT = """
    512x1536 576x1408 576x1472 576x1536 640x1344 640x1408 640x1472 640x1536 704x1152
    704x1216 704x1280 704x1344 704x1408 704x1472 736x1312 768x1088 768x1216 768x1280
    768x1344 800x1280 832x960 832x1024 832x1088 832x1152 832x1216 832x1248 864x1152
    896x960 896x1024 896x1088 896x1120 896x1152 960x1024 960x1088
"""
HALF = tuple(UPRIGHT.split())
SIZES = (*HALF, *("x".join(size.split("x")[::-1]) for size in HALF), "1024x1024")
STYLES = ("AUTO", "GENERAL", "REALISTIC", "DESIGN", "FICTION")
SPEEDS = ("FLASH", "TURBO", "DEFAULT", "QUALITY", "BALANCED")
MAGIC = ("AUTO", "ON", "OFF")
QUALITIES = ("very_low", "low", "medium", "high")
LEGACY_MODELS = ("V_1", "V_1_TURBO", "V_2", "V_2_TURBO", "V_2A", "V_2A_TURBO")
LEGACY_RATIOS = tuple(
    f"ASPECT_{ratio.replace('x', '_')}"
    for ratio in RATIOS
    if ratio not in {"1x2", "2x1", "4x5", "5x4"}
)
MOST_FILE_BYTES = 25_000_000
MOST_SEED = 2_147_483_647
MOST_IMAGES = 8
FILE_FORMATS = frozenset({"jpeg", "png", "webp"})

SIZE, STYLE = ("resolution", "aspect_ratio"), ("style_type", "style_preset")
LOOK = ("color_palette", "style_codes", "custom_model_uri")
COMMON = ("prompt", "seed", "num_images", "rendering_speed", "magic_prompt")
REFERENCES = ("style_reference_images", "character_reference_images")
MASKS = "character_reference_images_mask"


@dataclass(frozen=True)
class Rules:
    """The fields of one path, and the files it needs and may take."""

    fields: tuple[str, ...]
    needs: tuple[str, ...] = ("prompt",)
    files: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    most_files: int = 10


UPPER: Mapping[str, tuple[str, ...]] = {
    "resolution": SIZES,
    "aspect_ratio": RATIOS,
    "rendering_speed": SPEEDS,
    "magic_prompt": MAGIC,
    "style_type": STYLES,
}
LOWER: Mapping[str, tuple[str, ...]] = {
    **UPPER,
    "rendering_speed": ("turbo", "default", "quality", "flash"),
    "magic_prompt": ("auto", "on", "off"),
    "style_type": tuple(word.lower() for word in STYLES),
    "quality": QUALITIES,
}
NEGATIVE = "negative_prompt"
ALL_REFERENCES = (*REFERENCES, MASKS)
V3: Mapping[str, Rules] = {
    "generate": Rules(
        (*COMMON, NEGATIVE, *SIZE, *STYLE, *LOOK), files=ALL_REFERENCES, words=UPPER
    ),
    "generate-transparent": Rules(
        (*COMMON, NEGATIVE, "upscale_factor", "aspect_ratio"), words=UPPER
    ),
    "remix": Rules(
        (*COMMON, NEGATIVE, *SIZE, *STYLE, *LOOK, "image_weight"),
        needs=("prompt", "image"),
        files=("image", *ALL_REFERENCES),
        words=UPPER,
    ),
    "inpaint": Rules(
        (*COMMON, *STYLE, *LOOK),
        needs=("prompt", "image", "mask"),
        files=("image", "mask", *ALL_REFERENCES),
        words=UPPER,
    ),
    "reframe": Rules(
        ("resolution", "num_images", "seed", "rendering_speed", "style_preset", *LOOK),
        needs=("image", "resolution"),
        files=("image", "style_reference_images"),
        words=UPPER,
    ),
    "replace-background": Rules(
        (*COMMON, "style_preset", *LOOK),
        needs=("prompt", "image"),
        files=("image", "style_reference_images"),
        words=UPPER,
    ),
}
V3_ACTIONS = {**V3, "edit": V3["inpaint"]}
V4 = Rules(
    (
        "text_prompt",
        "json_prompt",
        "resolution",
        "rendering_speed",
        "enable_copyright_detection",
    ),
    needs=(),
    words={"rendering_speed": ("TURBO", "DEFAULT", "QUALITY")},
)
EDIT = Rules(
    (
        "prompt",
        "num_images",
        "seed",
        "magic_prompt",
        *SIZE,
        "transparent_background",
        "image_urls",
    ),
    files=("images",),
    words=UPPER,
)
ASKED = ("async", "webhook_url")
COMMON_2 = ("prompt", "seed", "num_images", "magic_prompt", *ASKED)
FREE: Mapping[str, tuple[str, ...]] = {
    name: LOWER[name] for name in ("magic_prompt", "rendering_speed", "quality")
}


def generator(*fields: str, files: bool = False, most: int = 10) -> Rules:
    """A model of v2 that makes images, and perhaps takes some to change them."""
    given = ("images", "mask") if files else ()
    return Rules((*COMMON_2, *fields), files=given, words=FREE, most_files=most)


def lower(rules: Rules) -> Rules:
    """The same path of v2: its words are in lower case."""
    return Rules((*rules.fields, *ASKED), rules.needs, rules.files, LOWER)


V2: Mapping[tuple[str, str], Rules] = {
    ("generate", "auto"): generator("aspect_ratio", "quality", files=True),
    ("generate", "gpt-image-2"): generator(*SIZE, "quality", files=True),
    ("generate", "ideogram-2a"): Rules(
        (*COMMON_2, NEGATIVE, *SIZE, "rendering_speed", "style_type"), words=LOWER
    ),
    ("generate", "ideogram-4"): generator("resolution", "rendering_speed"),
    ("generate", "ideogram-4-5"): generator("size", "quality", files=True, most=5),
    ("generate", "ideogram-4-6"): generator("size", "quality", files=True, most=5),
    ("generate", "nano-banana-2"): generator(*SIZE, files=True),
    ("generate", "p-image-ideogram"): generator(
        *SIZE, "custom_width", "custom_height", "quality"
    ),
    ("generate", "z-image"): generator("resolution"),
    ("remix", "ideogram-4"): Rules(
        (*COMMON_2, "resolution", "rendering_speed", "image_weight"),
        needs=("prompt", "image"),
        files=("image",),
        words=FREE,
    ),
    **{
        (action, "ideogram-4-5"): Rules(
            (*COMMON_2, "size", "quality", "image_weight"),
            needs=("prompt", "image"),
            files=("image", "mask", "reference_images"),
            words=FREE,
            most_files=6,
        )
        for action in ("remix", "precise-edit")
    },
    **{
        (action, "ideogram-3"): lower(rules)
        for action, rules in V3.items()
        if action != "generate-transparent"
    },
}


def check(rules: Rules, given: Form) -> None:
    """Raise BadInput for what does not fit."""
    fields = given.fields
    names = {file.name for file in given.files}
    for name in fields:
        if name not in rules.fields:
            raise BadInput(f"{name} is not a field of this endpoint", name)
    for name in rules.needs:
        if not fields.get(name) and name not in names:
            raise BadInput(f"{name} is required", name)
    for name, words in rules.words.items():
        if fields.get(name) is not None:
            get_choice(fields, name, words)
    both = fields.get("resolution") and fields.get("aspect_ratio")
    if both and rules.words.get("resolution") is SIZES:
        raise BadInput("resolution cannot be combined with aspect_ratio")
    get_whole(fields, "num_images", default=1, least=1, most=MOST_IMAGES, strict=False)
    get_whole(fields, "seed", default=0, least=0, most=MOST_SEED, strict=False)
    get_whole(fields, "image_weight", default=50, least=1, most=100, strict=False)
    for name in ("async", "transparent_background", "enable_copyright_detection"):
        get_flag(fields, name)
    for name in ("color_palette", "json_prompt"):
        check_object(fields, name)
    check_files(rules, given.files)


def check_object(fields: Mapping[str, Any], name: str) -> None:
    value = fields.get(name)
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise BadInput(f"{name} is not JSON", name) from error
    if value is not None and not isinstance(value, dict):
        raise BadInput(f"{name} must be an object", name)


def check_files(rules: Rules, files: tuple[FormFile, ...]) -> None:
    images: dict[str, ReadImage] = {}
    if len(files) > rules.most_files:
        raise BadInput("too many images")
    for file in files:
        if file.name not in rules.files:
            raise BadInput(f"{file.name} is not a file of this endpoint", file.name)
        if len(file.data) > MOST_FILE_BYTES:
            raise BadInput("the image is too large", file.name)
        try:
            image = read_image(file.data)
        except NotAnImage as error:
            raise BadInput(str(error), file.name) from error
        if image is None or image.image_format not in FILE_FORMATS:
            raise BadInput("only JPEG, WebP and PNG are supported", file.name)
        images[file.name] = image
    mask, image = images.get("mask"), images.get("image")
    sizes = {(each.width, each.height) for each in (mask, image) if each}
    if mask and image and len(sizes) > 1:
        raise BadInput("the mask must have the size of the image", "mask")


def read_pixels(fields: Mapping[str, Any]) -> tuple[int, int]:
    """The size that the words for a shape stand for."""
    word = str(fields.get("resolution") or fields.get("size") or "")
    word = word.removeprefix("RESOLUTION_").replace("_", "x")
    width, mark, height = word.partition("x")
    if mark and width.isdigit() and height.isdigit() and int(width) and int(height):
        return int(width), int(height)
    if fields.get("custom_width") and fields.get("custom_height"):
        return int(fields["custom_width"]), int(fields["custom_height"])
    ratio = str(fields.get("aspect_ratio") or "").removeprefix("ASPECT_")
    a, mark, b = ratio.replace("_", "x").replace(":", "x").partition("x")
    if not (mark and a.isdigit() and b.isdigit() and int(a) and int(b)):
        return 1024, 1024
    scale = (1024 * 1024 / (int(a) * int(b))) ** 0.5
    return round(int(a) * scale), round(int(b) * scale)
