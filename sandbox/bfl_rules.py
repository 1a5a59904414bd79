"""What Black Forest Labs takes at each path: fields, their types and limits.

Wire format: api.bfl.ai/openapi.json and docs.bfl.ai, read 2026-11. FLUX 3 and
outpainting refuse names they do not know, the other models pass over them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.media import NotAnImage, read_image

Problem = dict[str, Any]


class BadImage(ValueError):
    """An input is none: 400 with a text, where a wrong field is 422 with a list."""


@dataclass(frozen=True)
class Field:
    """One field: its kind, the limits of a number, the words of a choice."""

    kind: str = "text"
    least: float = float("-inf")
    most: float = float("inf")
    words: tuple[str, ...] = ()
    needed: bool = False
    multiple: int = 1


@dataclass(frozen=True)
class Rules:
    """The fields of one path; `strict` ones refuse every other name."""

    fields: Mapping[str, Field]
    strict: bool = False


def whole(least: float, most: float = 2**31, multiple: int = 1) -> Field:
    return Field("whole", least, most, multiple=multiple)


TEXT, FLAG, SEED = Field(), Field("flag"), Field("whole")
NEEDED = Field(needed=True)
IMAGE, ENCODED = Field("image"), Field("encoded")
FORMAT = Field("choice", words=("jpeg", "png", "webp"))
STEPS, TIDE = whole(1, 50), Field("number", 1.5, 10)
HOOK: Mapping[str, Field] = {"webhook_url": TEXT, "webhook_secret": TEXT}


def numbered(most: int) -> dict[str, Field]:
    names = ["input_image", *(f"input_image_{n}" for n in range(2, most + 1))]
    return dict.fromkeys(names, IMAGE)


def tolerance(most: int) -> dict[str, Field]:
    return {"safety_tolerance": whole(0, most)}


USUAL: Mapping[str, Field] = {"seed": SEED, "output_format": FORMAT, **HOOK}
CANVAS: Mapping[str, Field] = {
    "width": Field("side", 64, multiple=16),
    "height": Field("side", 64, multiple=16),
}
OLD_CANVAS: Mapping[str, Field] = {
    "width": whole(256, 1440, 32),
    "height": whole(256, 1440, 32),
}
FLUX_2 = Rules(
    {
        "prompt": NEEDED,
        **numbered(8),
        **CANVAS,
        **USUAL,
        **tolerance(5),
        "disable_pup": FLAG,
        "user": TEXT,
    }
)
FLEX = Rules(
    {**FLUX_2.fields, "prompt_upsampling": FLAG, "guidance": TIDE, "steps": STEPS}
)
KLEIN = Rules({"prompt": NEEDED, **numbered(4), **CANVAS, **USUAL, **tolerance(5)})
KONTEXT = Rules(
    {
        "prompt": NEEDED,
        **numbered(4),
        "aspect_ratio": Field("ratio"),
        **USUAL,
        **tolerance(6),
        "prompt_upsampling": FLAG,
    }
)
PRO_1_1 = Rules(
    {
        "prompt": TEXT,
        "image_prompt": ENCODED,
        **OLD_CANVAS,
        **USUAL,
        **tolerance(6),
        "prompt_upsampling": FLAG,
    }
)
DEV = Rules({**PRO_1_1.fields, "steps": STEPS, "guidance": Field("number", 1.5, 5)})
ULTRA = Rules(
    {
        "prompt": TEXT,
        "image_prompt": ENCODED,
        "image_prompt_strength": Field("number", 0, 1),
        "aspect_ratio": Field("ratio"),
        "raw": FLAG,
        **USUAL,
        **tolerance(6),
    }
)
EDIT: Mapping[str, Field] = {
    "image": Field("encoded", needed=True),
    "prompt": TEXT,
    "steps": whole(15, 50),
    "guidance": Field("number", 1.5, 100),
    **USUAL,
    **tolerance(6),
}
FILL = Rules({**EDIT, "mask": ENCODED})
EXPAND = Rules(
    {**EDIT, **dict.fromkeys(("top", "bottom", "left", "right"), whole(0, 2048))}
)
NEEDED_IMAGE = Field("image", needed=True)
OUTPAINT = Rules(
    {
        "input_image": NEEDED_IMAGE,
        "width": Field("side", 64, needed=True, multiple=16),
        "height": Field("side", 64, needed=True, multiple=16),
        "prompt": TEXT,
        "reference_offset_x": SEED,
        "reference_offset_y": SEED,
        "auto_crop": FLAG,
        "mode": Field("choice", words=("high", "fast")),
        "disable_pup": FLAG,
        "seed": SEED,
        "output_format": FORMAT,
        **tolerance(5),
    },
    strict=True,
)
ERASE = Rules(
    {
        "image": NEEDED_IMAGE,
        "mask": NEEDED_IMAGE,
        "dilate_pixels": whole(0, 25),
        **USUAL,
        **tolerance(5),
    }
)
DEBLUR = Rules({"image": NEEDED_IMAGE, **USUAL, **tolerance(5)})
TRY_ON = Rules(
    {
        "prompt": NEEDED,
        "person": NEEDED_IMAGE,
        "garment": NEEDED_IMAGE,
        **USUAL,
        **tolerance(5),
    }
)
IMAGE_3 = Rules(
    {
        "prompt": NEEDED,
        "images": Field("images", most=10),
        "aspect_ratio": Field("ratio"),
        "resolution": Field("choice", words=("768sq", "1k", "1.5k", "2k", "4k")),
        "grounding": FLAG,
        "version": TEXT,
        **tolerance(4),
    },
    strict=True,
)
UPSCALE = Rules(
    {
        "input_video": Field("film", needed=True),
        "upscale_factor": Field("number", 1.5, 3),
        "creativity": whole(0, 1),
        "prompt": TEXT,
        **tolerance(5),
        **HOOK,
    }
)

VIDEO: Mapping[str, Field] = {
    "mode": NEEDED,
    "resolution": Field("choice", words=("hd", "fhd", "qhd", "uhd")),
    "generate_audio": FLAG,
    "draft": FLAG,
    "version": TEXT,
    "user": TEXT,
    **tolerance(4),
}
RATIO_3 = Field(
    "choice",
    words=(
        "21:9",
        "2:1",
        "16:9",
        "4:3",
        "1:1",
        "3:4",
        "9:16",
        "9:21",
        "auto",
    ),
)
MODES: Mapping[str, Rules] = {
    "t2v": Rules(
        {
            **VIDEO,
            "prompt": NEEDED,
            "aspect_ratio": RATIO_3,
            "duration": Field("seconds", 5, 20),
        },
        strict=True,
    ),
    "i2v": Rules(
        {
            **VIDEO,
            "prompt": TEXT,
            "keyframes": Field("frames", most=10, needed=True),
            "aspect_ratio": RATIO_3,
            "duration": Field("seconds", 5, 20),
        },
        strict=True,
    ),
    "v2v": Rules(
        {
            **VIDEO,
            "prompt": TEXT,
            "start_video": Field("film", needed=True),
            "duration": Field("seconds", 5, 15),
        },
        strict=True,
    ),
    "draft_enhance": Rules({**VIDEO, "draft_cache": NEEDED}, strict=True),
}
VIDEO_MODEL = "flux-3-video"
RULES: Mapping[str, Rules] = {
    **dict.fromkeys(("flux-2-max", "flux-2-pro", "flux-2-pro-preview"), FLUX_2),
    "flux-2-flex": FLEX,
    **dict.fromkeys(
        ("flux-2-klein-9b", "flux-2-klein-9b-preview", "flux-2-klein-4b"), KLEIN
    ),
    "flux-3-image": IMAGE_3,
    VIDEO_MODEL: MODES["t2v"],
    "flux-dev": DEV,
    **dict.fromkeys(("flux-kontext-max", "flux-kontext-pro"), KONTEXT),
    "flux-pro-1.0-expand": EXPAND,
    "flux-pro-1.0-fill": FILL,
    "flux-pro-1.1": PRO_1_1,
    "flux-pro-1.1-ultra": ULTRA,
    "flux-tools/deblur-v1": DEBLUR,
    "flux-tools/erase-v1": ERASE,
    "flux-tools/outpainting-v1": OUTPAINT,
    "flux-tools/video-upscale-v1": UPSCALE,
    **dict.fromkeys(("flux-tools/vto-v1", "flux-tools/vto-v2"), TRY_ON),
}
MOST_PIXELS = 2048 * 2048


def find_problems(model: str, body: Mapping[str, Any]) -> list[Problem]:
    """What a 422 lists; raises BadImage for an input that cannot be decoded."""
    rules = RULES[model]
    if model == VIDEO_MODEL:
        mode = body.get("mode")
        if mode not in MODES:
            allowed = f"Input should be one of {', '.join(MODES)}"
            return [problem("mode", "union_tag_invalid", allowed, mode)]
        rules = MODES[str(mode)]
    return list(check(rules, body))


def problem(name: str, kind: str, message: str, given: Any) -> Problem:
    return {"type": kind, "loc": ["body", name], "msg": message, "input": given}


def check(rules: Rules, body: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in body.items():
        if name not in rules.fields and rules.strict:
            text = "Extra inputs are not permitted"
            yield problem(name, "extra_forbidden", text, value)
    for name, field in rules.fields.items():
        value = body.get(name)
        if value is None or value == "":
            if field.needed:
                yield problem(name, "missing", "Field required", value)
            continue
        if (wrong := misfit(field, value)) is not None:
            yield problem(name, wrong[0], wrong[1], value)
    width, height = body.get("width"), body.get("height")
    sides = [side for side in (width, height) if isinstance(side, int)]
    if len(sides) == 2 and math.prod(sides) > MOST_PIXELS:
        text = "Input should be at most 4 megapixels"
        yield problem("width", "value_error", text, width)


def misfit(field: Field, value: Any) -> tuple[str, str] | None:
    """Type and text of what is wrong with a value, or None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match field.kind:
        case "flag":
            return None if isinstance(value, bool) else ("bool_type", "not a boolean")
        case "number":
            fits = is_number and field.least <= value <= field.most
        case "side" if value == 0:
            return None  # as large as the input, or as the model likes
        case "whole" | "side":
            fits = is_number and isinstance(value, int)
            fits = fits and field.least <= value <= field.most
            fits = fits and value % field.multiple == 0
        case "seconds":
            whole_one = is_number and isinstance(value, int)
            fits = value == "auto" or (whole_one and field.least <= value <= field.most)
        case "choice":
            fits = value in field.words
        case "ratio":
            fits = value == "auto" or shape(value) is not None
        case "image" | "encoded":
            fits = isinstance(value, str)
            if fits:
                check_image(value, encoded=field.kind == "encoded")
        case "images":
            fits = isinstance(value, list) and len(value) <= field.most
            if fits:
                fits = all(isinstance(item, str) for item in value)
            for item in value if fits else ():
                check_image(item)
        case "frames":
            return misfit_of_frames(field, value)
        case _:
            fits = isinstance(value, str)
    return None if fits else ("value_error", "Input should be valid")


def misfit_of_frames(field: Field, value: Any) -> tuple[str, str] | None:
    """One image, up to ten of them, or pairs of a time and an image."""
    frames = value if isinstance(value, list) else [value]
    if not 0 < len(frames) <= field.most:
        return "too_long", "List should have at most 10 items"
    for frame in frames:
        timed = isinstance(frame, list) and len(frame) == 2
        image = frame[1] if timed else frame
        if not isinstance(image, str):
            return "string_type", "Input should be a valid string"
        check_image(image)
    return None


def check_image(text: str, *, encoded: bool = False) -> None:
    """An address, or base64 without a prefix, of something that is an image."""
    if text.startswith(("http://", "https://")) and not encoded:
        return
    try:
        if ":" in text or read_image(text) is None:
            raise NotAnImage("not base64")
    except NotAnImage as error:
        raise BadImage("Could not decode input image") from error


def shape(value: Any) -> float | None:
    """Width over height of `16:9`, between 21:9 and 9:21."""
    across, mark, down = value.partition(":") if isinstance(value, str) else ("",) * 3
    if not (mark and across.isdigit() and down.isdigit() and int(down)):
        return None
    ratio = int(across) / int(down)
    return ratio if 9 / 21 - 1e-9 <= ratio <= 21 / 9 + 1e-9 else None
