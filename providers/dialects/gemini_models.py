"""Google's media models: families, limits, and how shapes are spelled for them.

The family of a model decides which of four wire formats it speaks. It is told by a word
in the name, so models that are not listed, and resellers' names with a prefix, are
served as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from providers import geometry
from providers.types import GenerationRequest, MediaType, Model


class Family(StrEnum):
    """What a model makes and by which wire format."""

    OMNI = "omni"  # interactions
    VEO = "veo"  # predictLongRunning
    IMAGEN = "imagen"  # predict
    IMAGE = "image"  # generateContent, as are the two below
    SPEECH = "speech"
    MUSIC = "music"


# The first word that is in the name counts.
WORDS: Mapping[str, Family] = {
    "omni": Family.OMNI,
    "veo": Family.VEO,
    "imagen": Family.IMAGEN,
    "tts": Family.SPEECH,
    "lyria": Family.MUSIC,
    "image": Family.IMAGE,
    "banana": Family.IMAGE,
}


@dataclass(frozen=True, slots=True)
class Platform:
    """Where the models are offered: the same wire formats, with small differences.

    `models` is the path before a model's name. With `cloud`, files may be in Cloud
    Storage (`gs://`) and more parameters exist, but there is no `webhookConfig`.
    """

    models: str
    cloud: bool

    def path(self, model: str, method: str) -> str:
        """The path of a model's method."""
        return f"{self.models}{quote(plain_name(model), safe='')}:{method}"


DEVELOPER = Platform(models="/models/", cloud=False)
VERTEX = Platform(models="/publishers/google/models/", cloud=True)


def plain_name(model: str) -> str:
    """A model's name without the collection that SDKs write before it."""
    return model.rpartition("models/")[2]


def find_family(model: str) -> Family | None:
    """How a model is spoken to; None when its name does not tell."""
    lowered = model.lower()
    return next((family for word, family in WORDS.items() if word in lowered), None)


VIDEO_RATIOS = ("16:9", "9:16")
VIDEO_SIDES = {"720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}
OMNI_SIDES = {"360p": (640, 360), **VIDEO_SIDES}
IMAGEN_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
IMAGE_RATIOS = (
    *("1:1", "2:3", "3:2", "3:4", "4:3"),
    *("4:5", "5:4", "9:16", "16:9", "21:9"),
)
LONG_RATIOS = (*IMAGE_RATIOS, "1:4", "4:1", "1:8", "8:1")
IMAGE_SIZES = ("512", "1K", "2K", "4K")

# A picture of "1K" has about this many pixels; 2K and 4K have 4 and 16 times as many.
SQUARE_1K = 1024 * 1024

# The upstream has no field for these; `speed` 1 is what it does anyway.
NO_FIELD = frozenset({"audio_url", "lyrics", "tags", "title"})
ONLY_SPEED = (1.0, 1.0)


def sizes_of(sides: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """The pixel sizes of videos, lying and standing."""
    return tuple(
        size
        for long, short in sides.values()
        for size in (f"{long}x{short}", f"{short}x{long}")
    )


def veo_model(name: str, *, resolutions: Sequence[str] = (), **limits: Any) -> Model:
    """A Veo model; without `resolutions` those are left to the upstream."""
    sides = {each: VIDEO_SIDES[each] for each in resolutions or VIDEO_SIDES}
    return Model(
        **{
            "name": name,
            "media_type": MediaType.VIDEO,
            # `reference`: all images show what is in the video, none is its frame
            "actions": ("generate", "reference"),
            "refuses": NO_FIELD | {"voice", "speed"},
            "max_images": 3,
            "max_n": 1,
            "aspect_ratios": VIDEO_RATIOS,
            "sizes": sizes_of(sides),
            "resolutions": tuple(resolutions),
            "durations": (4.0, 6.0, 8.0),
            "output_formats": ("mp4",),
            "typical_s": 70.0,
            "longest_s": 1800.0,
            **limits,
        }
    )


def omni_model(name: str) -> Model:
    return Model(
        name=name,
        media_type=MediaType.VIDEO,
        actions=("generate", "reference", "edit", "extend", "upscale"),
        refuses=NO_FIELD | {"speed"},
        max_n=1,
        aspect_ratios=VIDEO_RATIOS,
        sizes=sizes_of(OMNI_SIDES),
        resolutions=tuple(OMNI_SIDES),
        duration_range=(3.0, 10.0),
        output_formats=("mp4",),
        typical_s=75.0,
        longest_s=1800.0,
    )


def imagen_model(name: str, **limits: Any) -> Model:
    return Model(
        **{
            "name": name,
            "media_type": MediaType.IMAGE,
            "sync": True,
            "needs": frozenset({"prompt"}),
            "refuses": NO_FIELD | {"images", "video_url", "voice", "speed", "duration"},
            "max_images": 0,
            "max_n": 4,
            "aspect_ratios": IMAGEN_RATIOS,
            "resolutions": ("1K", "2K"),
            "output_formats": ("png", "jpeg", "jpg"),
            "typical_s": 9.0,
            "longest_s": 300.0,
            **limits,
        }
    )


def image_model(name: str, **limits: Any) -> Model:
    """A Gemini model that answers with an image; one per call, png or jpeg."""
    return Model(
        **{
            "name": name,
            "media_type": MediaType.IMAGE,
            "sync": True,
            "needs": frozenset({"prompt"}),
            "refuses": NO_FIELD | {"video_url", "voice", "speed", "duration"},
            "max_n": 1,
            "aspect_ratios": IMAGE_RATIOS,
            "resolutions": IMAGE_SIZES,
            "output_formats": ("png", "jpeg", "jpg"),
            "typical_s": 15.0,
            "longest_s": 300.0,
            **limits,
        }
    )


def speech_model(name: str) -> Model:
    return Model(
        name=name,
        media_type=MediaType.AUDIO,
        sync=True,
        needs=frozenset({"prompt"}),
        refuses=NO_FIELD | {"images", "video_url", "duration", "negative_prompt"},
        max_images=0,
        max_n=1,
        speed_range=ONLY_SPEED,
        output_formats=("wav",),
        typical_s=8.0,
        longest_s=300.0,
    )


def music_model(name: str) -> Model:
    """Music; tags, title, lyrics and length are told in the text."""
    return Model(
        name=name,
        media_type=MediaType.AUDIO,
        sync=True,
        needs=frozenset({"prompt"}),
        refuses=frozenset({"audio_url", "video_url", "voice", "speed"}),
        max_n=1,
        output_formats=("mp3",),
        typical_s=25.0,
        longest_s=600.0,
    )


OMNI_MODELS = (omni_model("gemini-omni-1.1-flash"), omni_model("gemini-omni-1.2-flash"))

VEO_3_1 = ("720p", "1080p", "4k")
VEO_3_1_LITE = ("720p", "1080p")

# Retired by Google in 2026; resellers and proxies go on with them under these names.
VEO_MODELS = (
    veo_model("veo-3.1-generate-preview", resolutions=VEO_3_1),
    veo_model("veo-3.1-fast-generate-preview", resolutions=VEO_3_1),
    veo_model("veo-3.1-lite-generate-preview", resolutions=VEO_3_1_LITE),
    veo_model("veo-3.0-generate-001", max_n=4),
    veo_model("veo-3.0-fast-generate-001", max_n=4),
    veo_model("veo-2.0-generate-001", max_n=2, durations=(5.0, 6.0, 7.0, 8.0)),
)
VERTEX_VEO_MODELS = (
    veo_model("veo-3.1-generate-001", resolutions=VEO_3_1, max_n=4),
    veo_model("veo-3.1-fast-generate-001", resolutions=VEO_3_1, max_n=4),
    veo_model("veo-3.1-lite-generate-001", resolutions=VEO_3_1_LITE, max_n=4),
)
IMAGEN_MODELS = (
    imagen_model("imagen-4.0-generate-001"),
    imagen_model("imagen-4.0-fast-generate-001", resolutions=("1K",)),
    imagen_model("imagen-4.0-ultra-generate-001", typical_s=14.0),
)
IMAGE_MODELS = (
    image_model("gemini-3.1-flash-image", aspect_ratios=LONG_RATIOS),
    image_model("gemini-3.1-flash-lite-image", aspect_ratios=LONG_RATIOS),
    image_model("gemini-3.1-flash-image-preview", aspect_ratios=LONG_RATIOS),
    image_model("gemini-3-pro-image", typical_s=30.0),
    image_model("gemini-3-pro-image-preview", typical_s=30.0),
    image_model("gemini-nano-banana-2.1", aspect_ratios=LONG_RATIOS),
    image_model("gemini-2.5-flash-image", resolutions=("1K",)),
    image_model("gemini-2.5-flash-image-preview", resolutions=("1K",)),
)
SPEECH_MODELS = (
    speech_model("gemini-3.8-flash-tts"),
    speech_model("gemini-3.8-flash-lite-tts"),
    speech_model("gemini-3.1-flash-tts-preview"),
    speech_model("gemini-2.5-flash-preview-tts"),
    speech_model("gemini-2.5-pro-preview-tts"),
)
MUSIC_MODELS = (
    music_model("lyria-3.5"),
    music_model("lyria-3-clip-preview"),
    music_model("lyria-3-pro-preview"),
)

# What an unlisted model of a family can be expected to take: limits that differ within
# the family are left to the upstream.
UNLISTED: Mapping[Family, Model] = {
    Family.OMNI: OMNI_MODELS[0],
    Family.VEO: veo_model("", max_n=4, durations=()),
    Family.IMAGEN: imagen_model(""),
    Family.IMAGE: image_model("", aspect_ratios=LONG_RATIOS),
    Family.SPEECH: SPEECH_MODELS[0],
    Family.MUSIC: MUSIC_MODELS[0],
}


def unlisted(name: str) -> Model | None:
    """A model outside the tables, by the family that its name tells."""
    family = find_family(name)
    return replace(UNLISTED[family], name=name) if family else None


def ratio_of(request: GenerationRequest, offered: Sequence[str]) -> str | None:
    """The "W:H" to ask for: the client's own, or the offered one nearest to its size.

    A ratio that is not in the list is passed on: newer models offer more.
    """
    if request.aspect_ratio:
        return request.aspect_ratio.replace("/", ":").replace(" ", "")
    wanted = geometry.wanted_ratio(request)
    return geometry.nearest_ratio(wanted, offered) if wanted else None


def video_resolution(request: GenerationRequest) -> str | None:
    """`720p`, `1080p`, `4k`: as the client said it, or by the shorter of its sides."""
    if request.resolution:
        return request.resolution.strip().lower()
    size = geometry.wanted_size(request)
    if size is None:
        return None
    for name, (_, short) in OMNI_SIDES.items():
        if min(size) <= short:
            return name
    return "4k"


def image_resolution(request: GenerationRequest) -> str | None:
    """`512`, `1K`, `2K`, `4K`: as the client said it, or the nearest to its size."""
    if request.resolution:
        return request.resolution.strip().upper()
    size = geometry.wanted_size(request)
    if size is None:
        return None
    doublings = round(math.log2(max(1, size[0] * size[1]) / SQUARE_1K) / 2)
    return ("1K", "2K", "4K")[min(2, max(0, doublings))]
