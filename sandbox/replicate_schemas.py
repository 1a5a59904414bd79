"""What Replicate's models take, as far as their pages say, and what they make.

A model whose schema is not known here only needs its text. Source: the model pages on
replicate.com, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.inputs import BadInput, get_list, get_text, get_whole
from sandbox.jobs import MediaType
from sandbox.media import NotAnImage, read_image
from sandbox.shelf import Shelf

RATIOS = (
    "1:1",
    "16:9",
    "21:9",
    "3:2",
    "2:3",
    "4:5",
    "5:4",
    "3:4",
    "4:3",
    "9:16",
    "9:21",
)
MATCH_INPUT = "match_input_image"
WITH_WEBP = ("webp", "jpg", "png")
JPG_PNG = ("jpg", "png")
SIDES = {"480p": 480, "720p": 720, "1080p": 1080, "1K": 1024, "2K": 2048, "4K": 4096}
MOST_OUTPUTS = 4


@dataclass(frozen=True)
class Schema:
    """A model's input and output; `many`: the output is a list.

    `choices` are the words of a field, `wholes` the range of a number; the first format
    is the default. `images` are fields with one image each, `lists` with several at
    most.
    """

    media_type: MediaType
    many: bool = False
    text: str = "prompt"
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wholes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    lists: Mapping[str, int] = field(default_factory=dict)

    def formats(self) -> tuple[str, ...]:
        default = {MediaType.VIDEO: "mp4", MediaType.AUDIO: "mp3"}
        ending = default.get(self.media_type, "png")
        return self.choices.get("output_format", (ending,))

    def problems(self, given: Mapping[str, Any], files: Shelf) -> list[str]:
        """What does not fit, each as `input.<field>: <why>`; other fields are let be.

        `files` has the ids of what was uploaded here.
        """
        found = []
        try:
            get_text(given, self.text)
        except BadInput as error:
            found.append(f"input.{self.text}: {error}")
        for name, (low, high) in self.wholes.items():
            try:
                get_whole(given, name, default=low, least=low, most=high)
            except BadInput as error:
                found.append(f"input.{name}: {error}")
        for name, allowed in self.choices.items():
            if given.get(name) is not None and given[name] not in allowed:
                found.append(f"input.{name}: must be one of {', '.join(allowed)}")
        if given.get("aspect_ratio") == "custom":
            found += [
                f"input.{side}: is required with a custom aspect ratio"
                for side in ("width", "height")
                if not isinstance(given.get(side), int)
            ]
        for name in self.images:
            found += image_problems(name, given.get(name), files)
        for name, most in self.lists.items():
            try:
                images = get_list(given, name)
            except BadInput as error:
                found.append(f"input.{name}: {error}")
                continue
            if len(images) > most:
                found.append(f"input.{name}: at most {most} images")
            for image in images:
                found += image_problems(name, image, files)
        return found


def image_problems(name: str, image: Any, files: Shelf) -> list[str]:
    """What is wrong with one input image: data must be one, a file must be there."""
    if image is None:
        return []
    if not isinstance(image, str):
        return [f"input.{name}: must be a string"]
    if image.startswith("data:"):
        try:
            read_image(image)
        except NotAnImage as error:
            return [f"input.{name}: {error}"]
    elif not image.startswith(("http://", "https://")):
        return [f"input.{name}: is not a URI"]
    elif "/v1/files/" in image and image.rpartition("/")[2] not in files:
        return [f"input.{name}: there is no such file"]
    return []


def flux(ratios: tuple[str, ...], formats: tuple[str, ...], **fields: Any) -> Schema:
    choices = {"aspect_ratio": ratios, "output_format": formats}
    return Schema(MediaType.IMAGE, choices=choices, **fields)


QUALITY = {"output_quality": (0, 100)}
OUTPUTS = {**QUALITY, "num_outputs": (1, MOST_OUTPUTS)}
VIDEO = Schema(MediaType.VIDEO)
KONTEXT = flux((*RATIOS, MATCH_INPUT), JPG_PNG, images=("input_image",))

SCHEMAS: Mapping[str, Schema] = {
    "black-forest-labs/flux-schnell": flux(
        RATIOS, WITH_WEBP, many=True, wholes=OUTPUTS
    ),
    "black-forest-labs/flux-dev": flux(
        RATIOS, WITH_WEBP, many=True, wholes=OUTPUTS, images=("image",)
    ),
    "black-forest-labs/flux-1.1-pro": flux(
        (*RATIOS, "custom"),
        WITH_WEBP,
        wholes={**QUALITY, "width": (256, 1440), "height": (256, 1440)},
        images=("image_prompt",),
    ),
    "black-forest-labs/flux-1.1-pro-ultra": flux(
        RATIOS, JPG_PNG, images=("image_prompt",)
    ),
    "black-forest-labs/flux-kontext-pro": KONTEXT,
    "black-forest-labs/flux-kontext-max": KONTEXT,
    "black-forest-labs/flux-2-pro": flux(
        (*RATIOS, MATCH_INPUT, "custom"),
        WITH_WEBP,
        wholes=QUALITY,
        lists={"input_images": 8},
    ),
    "black-forest-labs/flux-2-flex": flux(
        (*RATIOS, MATCH_INPUT, "custom"),
        WITH_WEBP,
        wholes=QUALITY,
        lists={"input_images": 10},
    ),
    "google/nano-banana-2": Schema(
        MediaType.IMAGE,
        choices={"resolution": ("1K", "2K", "4K"), "output_format": JPG_PNG},
        lists={"image_input": 14},
    ),
    "bytedance/seedream-4": Schema(
        MediaType.IMAGE,
        many=True,
        choices={"size": ("1K", "2K", "4K", "custom")},
        lists={"image_input": 10},
    ),
    "google/veo-3.1": Schema(MediaType.VIDEO, images=("image", "last_frame")),
    "kwaivgi/kling-v2.5-turbo-pro": Schema(MediaType.VIDEO, images=("start_image",)),
    "bytedance/seedance-1-pro": Schema(
        MediaType.VIDEO, images=("image", "last_frame_image")
    ),
    "minimax/video-01": Schema(MediaType.VIDEO, images=("first_frame_image",)),
    "elevenlabs/flash-v2.5": Schema(MediaType.AUDIO),
}

VIDEO_WORDS = re.compile(r"video|\b(veo|kling|wan|seedance|sora|t2v|i2v)\b")
AUDIO_WORDS = re.compile(r"speech|music|audio|voice|tts")


def schema_of(model: str) -> Schema:
    """A model's schema; one that is not listed takes any input."""
    listed = SCHEMAS.get(model)
    if listed is not None:
        return listed
    if VIDEO_WORDS.search(model):
        return VIDEO
    if AUDIO_WORDS.search(model):
        return Schema(MediaType.AUDIO, text="text" if "speech" in model else "prompt")
    return Schema(MediaType.IMAGE, images=("image",), lists={"image_input": 10})


def pixels(given: Mapping[str, Any], media_type: MediaType) -> tuple[int, int]:
    """The width and height that an input asks for."""
    width, height = given.get("width"), given.get("height")
    if isinstance(width, int) and isinstance(height, int):
        return min(max(width, 64), 4096), min(max(height, 64), 4096)
    default = 720 if media_type is MediaType.VIDEO else 1024
    short = SIDES.get(str(given.get("resolution") or given.get("size")), default)
    across, _, down = str(given.get("aspect_ratio")).partition(":")
    if not across.isdigit() or not down.isdigit():
        across, down = ("16", "9") if media_type is MediaType.VIDEO else ("1", "1")
    shape = min(max(int(across), 1), 99) / min(max(int(down), 1), 99)
    longer = min(4096, round(short * max(shape, 1 / shape)))
    return (longer, short) if shape >= 1 else (short, longer)
