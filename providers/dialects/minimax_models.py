"""What MiniMax offers: five APIs under one key, and each model's API and limits.

Limits that the documentation leaves open are left open here: the upstream refuses what
it cannot do, and its refusal costs nothing. Sources: the API pages of
platform.minimax.io, read November 2026 (docs/providers/minimax.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model


class Api(StrEnum):
    """How a model is asked, and where its jobs are looked at."""

    VIDEO_V1 = "video_v1"
    VIDEO_V2 = "video_v2"
    IMAGE = "image"
    OPENAI_IMAGE = "openai_image"
    SPEECH = "speech"
    MUSIC = "music"


class ImageUse(StrEnum):
    """What a v1 video model makes of its images."""

    FRAMES = "frames"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Offer:
    """One model and its API; `writes_lyrics`: the model can make them up itself."""

    model: Model
    api: Api
    image_use: ImageUse = ImageUse.FRAMES
    has_pixels: bool = False
    writes_lyrics: bool = False


NOTHING: frozenset[str] = frozenset()
IMAGES = frozenset({"images"})
UNSAID = frozenset({"negative_prompt", "quality", "style"})
"""Fields that no image or video model has a word for."""
LOOKS = frozenset({"audio_url", "video_url"})

RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
ADAPTIVE = "adaptive"
IMAGE_RATIOS = ("1:1", "16:9", "4:3", "3:2", "2:3", "3:4", "9:16", "21:9")
MP4 = ("mp4",)

SHORT_SPEECH = 9_999
"""As many characters are said while the call waits; more become a job."""
LONG_SPEECH = 50_000

LONGEST_VIDEO_S = 3600.0
LONGEST_IMAGE_S = 300.0
LONGEST_OPENAI_IMAGE_S = 660.0
LONGEST_MUSIC_S = 900.0
LONGEST_SPEECH_S = 3600.0


def video_v1(
    name: str,
    *,
    image_use: ImageUse = ImageUse.FRAMES,
    refuses: frozenset[str] = NOTHING,
    **limits: Any,
) -> Offer:
    model = Model(
        name=name,
        media_type=MediaType.VIDEO,
        refuses=UNSAID | LOOKS | {"aspect_ratio", "seed"} | refuses,
        max_prompt=2000,
        max_n=1,
        output_formats=MP4,
        typical_s=150.0,
        longest_s=LONGEST_VIDEO_S,
        **limits,
    )
    return Offer(model, Api.VIDEO_V1, image_use)


def video_v2(name: str, **limits: Any) -> Offer:
    model = Model(
        name=name,
        media_type=MediaType.VIDEO,
        refuses=UNSAID | {"seed"},
        max_n=1,
        aspect_ratios=(*RATIOS, ADAPTIVE),
        output_formats=MP4,
        typical_s=180.0,
        longest_s=LONGEST_VIDEO_S,
        **limits,
    )
    return Offer(model, Api.VIDEO_V2)


def image(name: str, *, has_pixels: bool, **limits: Any) -> Offer:
    model = Model(
        name=name,
        media_type=MediaType.IMAGE,
        sync=True,
        refuses=UNSAID | LOOKS | {"resolution"},
        max_prompt=1500,
        max_images=1,
        max_n=9,
        output_formats=("jpeg",),
        typical_s=20.0,
        longest_s=LONGEST_IMAGE_S,
        **limits,
    )
    return Offer(model, Api.IMAGE, has_pixels=has_pixels)


def openai_image(name: str) -> Offer:
    # of this API no more is confirmed than that it speaks like OpenAI's
    model = Model(
        name=name,
        media_type=MediaType.IMAGE,
        sync=True,
        refuses=LOOKS | {"negative_prompt", "style", "seed", "resolution"},
        typical_s=60.0,
        longest_s=LONGEST_OPENAI_IMAGE_S,
    )
    return Offer(model, Api.OPENAI_IMAGE)


def speech(name: str) -> Offer:
    model = Model(
        name=name,
        media_type=MediaType.AUDIO,
        sync=True,  # but for a long text
        refuses=IMAGES | LOOKS | {"lyrics", "tags", "style", "negative_prompt"},
        max_prompt=LONG_SPEECH,
        max_n=1,
        speed_range=(0.5, 2.0),
        output_formats=("mp3", "wav", "flac", "pcm"),
        typical_s=8.0,
        longest_s=LONGEST_SPEECH_S,
    )
    return Offer(model, Api.SPEECH)


def music(name: str, *, writes_lyrics: bool) -> Offer:
    model = Model(
        name=name,
        media_type=MediaType.AUDIO,
        sync=True,
        refuses=IMAGES | LOOKS | {"duration", "voice", "speed", "negative_prompt"},
        max_prompt=2000,
        max_n=1,
        output_formats=("mp3", "wav", "pcm"),
        typical_s=120.0,
        longest_s=LONGEST_MUSIC_S,
    )
    return Offer(model, Api.MUSIC, writes_lyrics=writes_lyrics)


def offers() -> Iterable[Offer]:
    """Every model that is documented."""
    yield video_v2("MiniMax-H3", max_images=9, duration_range=(5.0, 15.0))
    hailuo: dict[str, Any] = {
        "resolutions": ("768P", "1080P"),
        "durations": (6.0, 10.0),
        "max_images": 1,
    }
    yield video_v1("MiniMax-Hailuo-2.3", **hailuo)
    yield video_v1("MiniMax-Hailuo-2.3-Fast", needs=IMAGES, **hailuo)
    yield video_v1(
        "MiniMax-Hailuo-02",
        resolutions=("512P", "768P", "1080P"),
        durations=(6.0, 10.0),
        max_images=2,
    )
    old: dict[str, Any] = {"resolutions": ("720P",), "durations": (6.0,)}
    for name in ("T2V-01", "T2V-01-Director"):
        yield video_v1(name, refuses=IMAGES, max_images=0, **old)
    for name in ("I2V-01", "I2V-01-Director", "I2V-01-live"):
        yield video_v1(name, needs=IMAGES, max_images=1, **old)
    yield video_v1(
        "S2V-01", image_use=ImageUse.SUBJECT, needs=IMAGES, max_images=1, **old
    )
    yield image(
        "image-01",
        has_pixels=True,
        aspect_ratios=IMAGE_RATIOS,
        side_range=(512, 2048),
        side_multiple=8,
    )
    yield image("image-01-live", has_pixels=False, aspect_ratios=IMAGE_RATIOS[:-1])
    yield openai_image("MiniMax-H3-Image")
    yield openai_image("MiniMax-H3-Image-Highspeed")
    for version in ("2.8", "2.6", "02", "01"):
        for kind in ("hd", "turbo"):
            yield speech(f"speech-{version}-{kind}")
    for name in ("music-2.6", "music-2.6-free", "music-2.5+", "music-2.5"):
        yield music(name, writes_lyrics=True)
    for name in ("music-2.0", "music-1.5"):
        yield music(name, writes_lyrics=False)


BY_NAME = {offer.model.name: offer for offer in offers()}
MODELS = tuple(offer.model for offer in BY_NAME.values())


def find_offer(name: str) -> Offer | None:
    """The offer of that name, also of a version that is younger than this table."""
    return BY_NAME.get(name) or guess(name)


def guess(name: str) -> Offer | None:
    """What a name promises by its family."""
    if name.startswith("MiniMax-Hailuo-"):
        return video_v1(name)
    if name.startswith("speech-"):
        return speech(name)
    if name.startswith("music-"):
        return music(name, writes_lyrics=True)
    return None


def describe(name: str) -> Model | None:
    offer = find_offer(name)
    return offer.model if offer else None
