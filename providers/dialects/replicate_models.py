"""Replicate's models: what each makes and takes, and how its input is spelled.

Every model has an input schema of its own. The limits of a model whose schema is
published in its page's text are told here; of the others only the names of the fields
are known, so their limits stay open and the upstream refuses what it cannot do. Models
outside the table are guessed by the words of their names. Sources: the model pages on
replicate.com, read November 2026 (docs/providers/replicate.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model


class Shape(StrEnum):
    """How width and height are said."""

    NONE = "none"
    RATIO = "aspect_ratio"
    CUSTOM = "custom"  # a ratio, or the ratio "custom" with width and height
    CUSTOM_SIZE = "custom_size"  # a ratio, or the size "custom" with both
    EITHER = "either"  # not known: a ratio as it is given, pixels as width and height


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """The fields of a model's input.

    `words` has the model's names for unified fields that are sent as they are. `frames`
    take one image each, in the order of the client's; the rest goes into the list
    `references`. Pixels are rounded to multiples of `side_step`. `count`: the model
    makes several outputs, and n is always sent; where that is not known (None), only
    above 1.
    """

    text: str = "prompt"
    words: Mapping[str, str] = field(default_factory=dict)
    shape: Shape = Shape.NONE
    side_step: int = 1
    frames: tuple[str, ...] = ()
    references: str | None = None
    count: bool | None = False


@dataclass(frozen=True, slots=True)
class Offer:
    """One model: its limits, and how its input is spelled."""

    model: Model
    spelling: Spelling


SHAPE_FIELDS = frozenset({"size", "width", "height", "aspect_ratio"})
FIELDS = SHAPE_FIELDS | {
    "negative_prompt",
    "images",
    "audio_url",
    "video_url",
    "resolution",
    "duration",
    "seed",
    "quality",
    "style",
    "output_format",
    "voice",
    "speed",
    "title",
    "tags",
    "lyrics",
}
SAME: Mapping[str, str] = {
    name: name
    for name in FIELDS - SHAPE_FIELDS - {"images", "quality", "audio_url", "video_url"}
}
"""Every field under its own name, for models whose schema is not known."""
GUESSED: Mapping[str, str] = {**SAME, "audio_url": "audio", "video_url": "video"}

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
CUSTOM = "custom"
WITH_WEBP = ("webp", "jpg", "png")
JPG_PNG = ("jpg", "png")

LONGEST_S = 3600.0
"""A prediction may run for half an hour; a cold start is waited for before it."""
TYPICAL_S: Mapping[MediaType, float] = {
    MediaType.IMAGE: 12.0,
    MediaType.VIDEO: 120.0,
    MediaType.AUDIO: 10.0,
}


def words(*names: str, **other: str) -> dict[str, str]:
    """Fields with the same name on both sides, and those with another."""
    return {**{name: name for name in names}, **other}


def takes(spelling: Spelling) -> frozenset[str]:
    """The unified fields that a spelling can say."""
    fields = set(spelling.words)
    if spelling.frames or spelling.references:
        fields.add("images")
    if spelling.shape is not Shape.NONE:
        fields |= SHAPE_FIELDS
    return frozenset(fields)


def known(
    name: str, spelling: Spelling, *, typical_s: float = 12.0, **limits: Any
) -> Offer:
    """An image model whose schema is known: what it has no word for is refused."""
    model = Model(
        name=name,
        media_type=MediaType.IMAGE,
        typical_s=typical_s,
        longest_s=LONGEST_S,
        **{
            "refuses": FIELDS - takes(spelling),
            "max_images": None if spelling.references else len(spelling.frames),
            "max_n": None if spelling.count else 1,
            **limits,
        },
    )
    return Offer(model, spelling)


def half_known(
    name: str, media_type: MediaType, spelling: Spelling, **limits: Any
) -> Offer:
    """A model of which the main fields are known: nothing else is refused."""
    model = Model(
        name=name,
        media_type=media_type,
        typical_s=TYPICAL_S[media_type],
        longest_s=LONGEST_S,
        **{"max_n": 1, **limits},
    )
    return Offer(model, spelling)


FLUX = words("seed", "output_format", quality="output_quality")
FLUX_SCHNELL = Spelling(words=FLUX, shape=Shape.RATIO, count=True)
FLUX_PRO = Spelling(
    words=FLUX, shape=Shape.CUSTOM, side_step=32, frames=("image_prompt",)
)
ULTRA = Spelling(
    words=words("seed", "output_format"),
    shape=Shape.RATIO,
    frames=("image_prompt",),
)
KONTEXT = Spelling(
    words=words("seed", "output_format"), shape=Shape.RATIO, frames=("input_image",)
)
# one published integration writes input_image, input_image_2 and so on instead; the
# model pages have the list
FLUX_2 = Spelling(
    words={**FLUX, "resolution": "resolution"},
    shape=Shape.CUSTOM,
    references="input_images",
)
NANO_BANANA = Spelling(
    words=words("resolution", "output_format"),
    shape=Shape.RATIO,
    references="image_input",
)
SEEDREAM = Spelling(
    words={**GUESSED, "resolution": "size"},
    shape=Shape.CUSTOM_SIZE,
    references="image_input",
)
OPEN_IMAGE = Spelling(
    words=GUESSED, shape=Shape.EITHER, frames=("image",), references="image_input"
)


def video(*frames: str) -> Spelling:
    return Spelling(words=GUESSED, shape=Shape.RATIO, frames=frames)


OFFERS: Mapping[str, Offer] = {
    offer.model.name: offer
    for offer in (
        known(
            "black-forest-labs/flux-schnell",
            FLUX_SCHNELL,
            typical_s=3,
            max_n=4,
            aspect_ratios=RATIOS,
            output_formats=WITH_WEBP,
        ),
        known(
            "black-forest-labs/flux-dev",
            replace(FLUX_SCHNELL, frames=("image",)),
            typical_s=6,
            max_n=4,
            aspect_ratios=RATIOS,
            output_formats=WITH_WEBP,
        ),
        known(
            "black-forest-labs/flux-1.1-pro",
            FLUX_PRO,
            aspect_ratios=RATIOS,
            side_range=(256, 1440),
            output_formats=WITH_WEBP,
        ),
        known(
            "black-forest-labs/flux-1.1-pro-ultra",
            ULTRA,
            aspect_ratios=RATIOS,
            output_formats=JPG_PNG,
        ),
        *(
            known(name, KONTEXT, aspect_ratios=(*RATIOS, MATCH_INPUT))
            for name in (
                "black-forest-labs/flux-kontext-pro",
                "black-forest-labs/flux-kontext-max",
            )
        ),
        known("black-forest-labs/flux-2-pro", FLUX_2, typical_s=20),
        known("black-forest-labs/flux-2-flex", FLUX_2, typical_s=30, max_images=10),
        known(
            "google/nano-banana-2",
            NANO_BANANA,
            typical_s=25,
            max_images=14,
            resolutions=("1K", "2K", "4K"),
            output_formats=JPG_PNG,
        ),
        half_known(
            "google/nano-banana",
            MediaType.IMAGE,
            Spelling(words=GUESSED, shape=Shape.RATIO, references="image_input"),
        ),
        half_known(
            "bytedance/seedream-4",
            MediaType.IMAGE,
            SEEDREAM,
            max_images=10,
            side_range=(1024, 4096),
            resolutions=("1K", "2K", "4K"),
        ),
        *(
            half_known(f"ideogram-ai/ideogram-v3-{tier}", MediaType.IMAGE, OPEN_IMAGE)
            for tier in ("turbo", "balanced", "quality")
        ),
        half_known("recraft-ai/recraft-v3", MediaType.IMAGE, OPEN_IMAGE),
        half_known("google/veo-3.1", MediaType.VIDEO, video("image", "last_frame")),
        half_known(
            "kwaivgi/kling-v2.5-turbo-pro", MediaType.VIDEO, video("start_image")
        ),
        half_known(
            "bytedance/seedance-1-pro",
            MediaType.VIDEO,
            video("image", "last_frame_image"),
        ),
        half_known("minimax/video-01", MediaType.VIDEO, video("first_frame_image")),
        half_known("wan-video/wan-2.2-t2v-fast", MediaType.VIDEO, video()),
        half_known("wan-video/wan-2.2-i2v-fast", MediaType.VIDEO, video("image")),
        half_known("elevenlabs/flash-v2.5", MediaType.AUDIO, Spelling(words=GUESSED)),
    )
}

REFERENCE = re.compile(
    r"(?P<deployment>deployments/)?(?P<name>\w[\w.-]*/\w[\w.-]*)(:(?P<version>\w+))?"
    r"|[0-9a-f]{64}",
    re.ASCII,
)
"""A model, a model's version, a deployment, or a version alone by its digest."""

SOLID = re.compile(r"3d\b|\b(rodin|trellis|hunyuan-?3d|tripo)\b")
VIDEO_WORDS = re.compile(
    r"video|\b(veo|kling|seedance|hailuo|wan|sora|ltx|ray|pixverse|animate|lipsync"
    r"|mochi|t2v|i2v|gen4-turbo|gen4-aleph)\b"
)
AUDIO_WORDS = re.compile(
    r"speech|music|audio|voice|\b(tts|song|sound|bark|lyria|kokoro|chatterbox"
    r"|elevenlabs)\b"
)
SPOKEN_TEXT = re.compile(r"speech|tts|kokoro")
"""Speech models that call what is to be said a text."""


def describe(name: str) -> Model | None:
    """A listed model, or what the words of a name promise."""
    offer = find_offer(name)
    return offer.model if offer else None


def find_offer(name: str) -> Offer | None:
    """The model behind any way to name one, guessed when it is not in the table.

    None when the name leads nowhere, or to something that is no image, film or sound.
    """
    reference = REFERENCE.fullmatch(name)
    if reference is None or (reference["deployment"] and reference["version"]):
        return None
    path = reference["name"] or ""
    if listed := None if reference["deployment"] else OFFERS.get(path):
        return Offer(replace(listed.model, name=name), listed.spelling)
    if SOLID.search(path):
        return None
    media_type = guess_media_type(path)
    spellings = {
        MediaType.IMAGE: replace(OPEN_IMAGE, count=None),
        MediaType.VIDEO: video("image"),
        MediaType.AUDIO: Spelling(
            text="text" if SPOKEN_TEXT.search(path) else "prompt", words=GUESSED
        ),
    }
    most_n = None if media_type is MediaType.IMAGE else 1
    return half_known(name, media_type, spellings[media_type], max_n=most_n)


def guess_media_type(path: str) -> MediaType:
    """What a model makes, by its name and then its owner; an image when none tells."""
    owner, _, name = path.lower().replace("_", "-").partition("/")
    for text in (name, owner):
        if VIDEO_WORDS.search(text):
            return MediaType.VIDEO
        if AUDIO_WORDS.search(text):
            return MediaType.AUDIO
        if "image" in text or "flux" in text:
            return MediaType.IMAGE
    return MediaType.IMAGE
