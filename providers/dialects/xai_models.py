"""What xAI offers: grok-imagine images and videos, and speech.

Limits that the documentation leaves open are left open here. Sources: docs.x.ai (REST
reference of images, videos and voice; guides), read November 2026
(docs/providers/xai.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from providers import geometry
from providers.types import GenerationRequest, MediaType, Model

SPEECH = "grok-tts"
"""The gateway's own name: the upstream's route for speech takes no model."""

WITH_QUALITY = "grok-imagine-image-2.0"

AUTO = "auto"
IMAGE_RATIOS = {
    "1:1": 1.0,
    "3:4": 3 / 4,
    "4:3": 4 / 3,
    "9:16": 9 / 16,
    "16:9": 16 / 9,
    "2:3": 2 / 3,
    "3:2": 3 / 2,
    "9:19.5": 9 / 19.5,
    "19.5:9": 19.5 / 9,
    "9:20": 9 / 20,
    "20:9": 20 / 9,
    "1:2": 1 / 2,
    "2:1": 2.0,
}
VIDEO_RATIOS = {
    name: IMAGE_RATIOS[name]
    for name in ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
}
# The pixels of an image by resolution, and the short side of a video.
IMAGE_PIXELS = {"1k": 1024 * 1024, "2k": 2048 * 2048}
VIDEO_SIDES = {"480p": 480, "720p": 720, "1080p": 1080}
REFERENCES_MOST = "720p"

MOST_REFERENCES = 7
LONGEST_EXTENSION_S = 10

CODECS = ("mp3", "wav", "pcm", "mulaw", "alaw")


def _image(name: str, **limits: Any) -> Model:
    return Model(
        **{
            "name": name,
            "media_type": MediaType.IMAGE,
            "sync": True,
            "needs": frozenset({"prompt"}),
            "refuses": frozenset({"audio_url", "video_url"}),
            "max_n": 10,
            "aspect_ratios": (*IMAGE_RATIOS, AUTO),
            "resolutions": tuple(IMAGE_PIXELS),
            "typical_s": 15.0,
            "longest_s": 300.0,
            **limits,
        }
    )


def _video(name: str, resolutions: tuple[str, ...]) -> Model:
    return Model(
        name=name,
        media_type=MediaType.VIDEO,
        actions=("generate", "edit", "extend"),
        refuses=frozenset({"audio_url"}),
        max_images=MOST_REFERENCES,
        max_n=1,  # one task gives one video
        aspect_ratios=tuple(VIDEO_RATIOS),
        resolutions=resolutions,
        durations=tuple(float(seconds) for seconds in range(1, 16)),
        typical_s=60.0,
        longest_s=1800.0,
    )


_SD = ("480p", "720p")
_HD = (*_SD, "1080p")

MODELS = (
    _image("grok-imagine-image"),
    _image("grok-imagine-image-quality"),
    _image("grok-imagine-image-pro"),  # another name of the one above
    _image(WITH_QUALITY, qualities=("low", "medium", "high")),
    _video("grok-imagine-video", _SD),
    _video("grok-imagine-video-1.5", _HD),
    _video("grok-imagine-video-1.5-preview", _HD),  # another name of the one above
    Model(
        name=SPEECH,
        media_type=MediaType.AUDIO,
        sync=True,
        needs=frozenset({"prompt"}),
        refuses=frozenset({"images", "audio_url", "video_url"}),
        max_n=1,
        speed_range=(0.7, 1.5),
        output_formats=CODECS,
        typical_s=6.0,
        longest_s=180.0,
    ),
)

# Retired at xAI; resellers may still offer it.
RETIRED = (_image("grok-2-image", aspect_ratios=(), resolutions=()),)

BY_NAME = {model.name: model for model in (*MODELS, *RETIRED)}


def describe(name: str) -> Model | None:
    return BY_NAME.get(name)


def nearest(wanted: float, offered: Iterable[tuple[str, float]]) -> str:
    """The offered name whose value is nearest to `wanted`, by their quotient."""
    return min(offered, key=lambda item: abs(math.log(item[1] / wanted)))[0]


def pick_ratio(request: GenerationRequest, offered: dict[str, float]) -> str | None:
    """The ratio asked for, or the one nearest to the size; None without a wish."""
    if request.aspect_ratio:
        return request.aspect_ratio.strip().lower().replace("/", ":").replace(" ", "")
    size = geometry.wanted_size(request)
    if size is None or not all(size):
        return None
    return nearest(size[0] / size[1], offered.items())


def pick_image_resolution(request: GenerationRequest) -> str | None:
    """The resolution asked for, or the one nearest to the size in pixels."""
    if request.resolution:
        return request.resolution.strip().lower()
    size = geometry.wanted_size(request)
    if size is None or not all(size):
        return None
    return nearest(size[0] * size[1], IMAGE_PIXELS.items())


def pick_video_resolution(request: GenerationRequest) -> str | None:
    """The resolution asked for, or the model's own nearest to the size's short side.

    With reference images nothing above 720p is made.
    """
    if request.resolution:
        return request.resolution.strip().lower()
    size = geometry.wanted_size(request)
    if size is None or not all(size):
        return None
    model = BY_NAME.get(request.model)
    offered = model.resolutions if model else _SD
    most = VIDEO_SIDES[REFERENCES_MOST if len(request.images) > 1 else "1080p"]
    return nearest(
        min(size),
        [(name, VIDEO_SIDES[name]) for name in offered if VIDEO_SIDES[name] <= most],
    )
