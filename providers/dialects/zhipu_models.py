"""What Zhipu offers: CogVideoX and hosted Vidu videos, images, and speech.

Limits that the documentation leaves open are left open here: the upstream refuses what
it cannot do, and its refusal costs nothing. Sources: the API pages of docs.bigmodel.cn
and docs.z.ai, read November 2026 (docs/providers/zhipu.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model


class Api(StrEnum):
    """How a model is asked."""

    COGVIDEO = "cogvideo"
    VIDU = "vidu"
    IMAGE = "image"
    ASYNC_IMAGE = "async_image"
    SPEECH = "speech"


class ImageUse(StrEnum):
    """What a video model makes of its images, and so how they are written."""

    FRAMES = "frames"  # one as a text, first and last as a list
    BOTH_FRAMES = "both_frames"  # first and last, neither may be missing
    REFERENCES = "references"  # always a list


@dataclass(frozen=True, slots=True)
class Size:
    """One size of CogVideoX, and the words that stand for it.

    There is one square, which stands for the resolutions next to it.
    """

    size: str
    ratio: str
    resolutions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """One model and its API; `has_duration`: the length can be asked for."""

    model: Model
    api: Api
    image_use: ImageUse = ImageUse.FRAMES
    sizes: tuple[Size, ...] = ()
    has_duration: bool = False


IMAGES = frozenset({"images"})
TEXT = frozenset({"prompt"})
NOTHING: frozenset[str] = frozenset()
LOOKS = frozenset({"audio_url", "video_url"})
UNSAID = LOOKS | {"negative_prompt", "seed", "voice", "speed"}
"""Fields that no video or image model has a word for."""

HD = Size("1280x720", "16:9", ("720P",))
TALL_HD = Size("720x1280", "9:16", ("720P",))
SQUARE = Size("1024x1024", "1:1", ("720P", "1080P"))
FULL = Size("1920x1080", "16:9", ("1080P",))
TALL_FULL = Size("1080x1920", "9:16", ("1080P",))
CINEMA = Size("2048x1080", "256:135", ("2K",))
UHD = Size("3840x2160", "16:9", ("4K",))

# The first that fits is taken, so flat films come before tall and square ones.
SIZES_3 = (FULL, TALL_FULL, HD, TALL_HD, CINEMA, UHD, SQUARE)
SIZES_2 = (
    FULL,
    TALL_FULL,
    Size("720x480", "3:2", ("480P",)),
    Size("1280x960", "4:3", ("960P",)),
    Size("960x1280", "3:4", ("960P",)),
    CINEMA,
    UHD,
    Size("1024x1024", "1:1", ("960P", "1080P")),
)
GLM_SIZES = (
    "1280x1280",
    "1568x1056",
    "1056x1568",
    "1472x1088",
    "1088x1472",
    "1728x960",
    "960x1728",
)
COGVIEW_SIZES = (
    "1024x1024",
    "768x1344",
    "864x1152",
    "1344x768",
    "1152x864",
    "1440x720",
    "720x1440",
)
"""Sizes that are recommended; others are made as well."""

VIDU_RATIOS = ("16:9", "9:16", "1:1")
VOICES = ("tongtong", "chuichui", "xiaochen", "jam", "kazi", "douji", "luodo")
"""The upstream's own; cloned voices have names beside these."""

LONGEST_VIDEO_S = 3600.0
LONGEST_OFF_PEAK_S = 49 * 3600.0
"""Vidu may be asked for cheaper (`off_peak`); its own API then takes up to 48 hours."""
LONGEST_IMAGE_S = 600.0
LONGEST_SPEECH_S = 180.0


def video(
    name: str,
    api: Api,
    image_use: ImageUse = ImageUse.FRAMES,
    *,
    offered: tuple[Size, ...] = (),
    has_duration: bool = False,
    refuses: frozenset[str] = NOTHING,
    **limits: Any,
) -> Offer:
    model = Model(
        name=name,
        media_type=MediaType.VIDEO,
        refuses=UNSAID | refuses,
        max_prompt=512,
        max_n=1,
        output_formats=("mp4",),
        typical_s=120.0,
        longest_s=LONGEST_OFF_PEAK_S if api is Api.VIDU else LONGEST_VIDEO_S,
        **limits,
    )
    return Offer(model, api, image_use, offered, has_duration)


def cogvideo(name: str, sizes: tuple[Size, ...], **limits: Any) -> Offer:
    words = [word for size in sizes for word in size.resolutions]
    return video(
        name,
        Api.COGVIDEO,
        offered=sizes,
        refuses=frozenset({"style"}),
        sizes=tuple(size.size for size in sizes),
        aspect_ratios=tuple(dict.fromkeys(size.ratio for size in sizes)),
        resolutions=tuple(dict.fromkeys(words)),
        **limits,
    )


def vidu(
    name: str,
    image_use: ImageUse = ImageUse.FRAMES,
    *,
    refuses: frozenset[str] = NOTHING,
    **limits: Any,
) -> Offer:
    """A hosted Vidu: its length and resolution are fixed, sizes are not confirmed."""
    second = name.startswith("vidu2")
    return video(
        name,
        Api.VIDU,
        image_use,
        refuses=refuses | {"quality"},
        resolutions=("720P",) if second else ("1080P",),
        durations=(4.0,) if second else (5.0,),
        **limits,
    )


def image(name: str, api: Api = Api.IMAGE, **limits: Any) -> Offer:
    # no format can be asked for; how long a prompt may be is not confirmed
    model = Model(
        name=name,
        media_type=MediaType.IMAGE,
        sync=api is Api.IMAGE,
        needs=TEXT,
        refuses=UNSAID | IMAGES | {"style", "resolution", "duration", "output_format"},
        max_images=0,
        max_n=1,
        typical_s=20.0,
        longest_s=LONGEST_IMAGE_S,
        **limits,
    )
    return Offer(model, api)


def speech(name: str) -> Offer:
    model = Model(
        name=name,
        media_type=MediaType.AUDIO,
        sync=True,
        refuses=IMAGES | LOOKS | {"negative_prompt", "seed", "style", "lyrics", "tags"},
        max_prompt=1024,
        max_images=0,
        max_n=1,
        speed_range=(0.5, 2.0),
        output_formats=("wav", "pcm"),
        typical_s=5.0,
        longest_s=LONGEST_SPEECH_S,
    )
    return Offer(model, Api.SPEECH)


def offers() -> Iterable[Offer]:
    """Every model that is documented."""
    yield cogvideo(
        "cogvideox-3", SIZES_3, has_duration=True, durations=(5.0, 10.0), max_images=2
    )
    for name in ("cogvideox-2", "cogvideox-flash"):
        yield cogvideo(name, SIZES_2, max_images=1)
    follows = frozenset({"aspect_ratio", "style"})  # the shape is the picture's
    yield vidu(
        "viduq1-text",
        needs=TEXT,
        refuses=IMAGES,
        max_images=0,
        aspect_ratios=VIDU_RATIOS,
    )
    for family in ("viduq1", "vidu2"):
        yield vidu(f"{family}-image", needs=IMAGES, refuses=follows, max_images=1)
        yield vidu(
            f"{family}-start-end",
            ImageUse.BOTH_FRAMES,
            needs=IMAGES,
            refuses=follows,
            max_images=2,
        )
    yield vidu(
        "vidu2-reference",
        ImageUse.REFERENCES,
        needs=IMAGES,
        refuses=frozenset({"style"}),
        max_images=3,
    )
    yield image(
        "glm-image", Api.ASYNC_IMAGE, side_multiple=32, qualities=("hd", "high")
    )
    free: dict[str, Any] = {
        "side_range": (512, 2048),
        "pixel_range": (512 * 512, 2**21),
    }
    yield image("cogview-4", side_multiple=16, qualities=("standard",), **free)
    yield image(
        "cogview-4-250304",
        side_multiple=16,
        qualities=("standard", "hd", "high"),
        **free,
    )
    yield image("cogview-3-flash", side_multiple=16, qualities=("standard",))
    yield speech("glm-tts")


BY_NAME = {offer.model.name: offer for offer in offers()}
MODELS = tuple(offer.model for offer in BY_NAME.values())
