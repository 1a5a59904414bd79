"""What Vidu offers: each model, the endpoints that take it, and its limits.

Limits that the documentation leaves open are left open here: the upstream refuses what
it cannot do, and its refusal costs nothing. Sources: the API pages of platform.vidu.com
and platform.vidu.cn, read November 2026 (docs/providers/vidu.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model


class Way(StrEnum):
    """How a generation is asked for, by the last part of its path."""

    TEXT = "text2video"
    FRAME = "img2video"
    FRAMES = "start-end2video"
    REFERENCE = "reference2video"
    MULTIFRAME = "multiframe"
    TEMPLATE = "template"
    STORY = "template-story"
    IMAGE = "reference2image"
    SOUND = "text2audio"
    TIMED_SOUND = "timing2audio"
    SPEECH = "audio-tts"


IMAGE_COUNTS = {
    Way.TEXT: (0, 0),
    Way.FRAME: (1, 1),
    Way.FRAMES: (2, 2),
    Way.REFERENCE: (1, 7),
    Way.MULTIFRAME: (3, 10),  # the first frame and two to nine more
}
ACTIONS = {
    "start-end": Way.FRAMES,
    "reference": Way.REFERENCE,
    "multiframe": Way.MULTIFRAME,
}
"""What a client may ask for where the number of images does not tell."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One model, the upstream's name for it, and the ways to ask for it."""

    model: Model
    ways: tuple[Way, ...]
    name: str = ""


NOTHING: frozenset[str] = frozenset()
IMAGES = frozenset({"images"})
TEXT = frozenset({"prompt"})
LOOKS = frozenset({"audio_url", "video_url"})
UNSAID = LOOKS | {"negative_prompt", "quality", "output_format"}
"""Fields that Vidu has no word for."""

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
AUTO = "auto"
WIDE_RATIOS = (*RATIOS, "21:9", "2:3", "3:2", AUTO)
LEVELS = ("540p", "720p", "1080p")
OLD_LEVELS = ("360p", "720p", "1080p")
PICTURES = {"1080p": 1920 * 1080, "2K": 2560 * 1440, "4K": 3840 * 2160}
"""The levels of pictures, with about as many pixels as we take them to have."""

# Off the peak hours a film may take two days; then it is cancelled.
LONGEST_VIDEO_S = 49 * 3600.0
LONGEST_IMAGE_S = 3600.0
LONGEST_SOUND_S = 3600.0


def film(
    name: str, *ways: Way, refuses: frozenset[str] = NOTHING, **limits: Any
) -> Offer:
    words = [word for word, way in ACTIONS.items() if way in ways]
    model = Model(
        name=name,
        media_type=MediaType.VIDEO,
        actions=("generate", *words),
        refuses=UNSAID | {"speed"} | refuses,
        max_images=max(IMAGE_COUNTS[way][1] for way in ways),
        max_n=1,
        aspect_ratios=RATIOS if {Way.TEXT, Way.REFERENCE} & set(ways) else (),
        typical_s=90.0,
        longest_s=LONGEST_VIDEO_S,
        **{"max_prompt": 5000, "resolutions": LEVELS, **limits},
    )
    return Offer(model, ways, name)


def q3(name: str, *ways: Way, **limits: Any) -> Offer:
    """The third generation has sound, and so voices."""
    # whether references begin at 3 seconds is not confirmed
    return film(
        name,
        *ways,
        refuses=frozenset({"style"}),
        **{"duration_range": (1.0, 16.0), **limits},
    )


def q2(name: str, *ways: Way, **limits: Any) -> Offer:
    # whether a first frame allows more than 8 seconds is not confirmed
    return film(
        name,
        *ways,
        refuses=frozenset({"style", "voice"}),
        duration_range=(1.0, 10.0),
        **limits,
    )


def older(name: str, *ways: Way, refuses: frozenset[str], **limits: Any) -> Offer:
    return film(name, *ways, refuses=refuses | {"voice"}, max_prompt=2000, **limits)


def template(name: str, way: Way, **limits: Any) -> Offer:
    """A film whose course is chosen by a name in `metadata`; there is no model."""
    model = Model(
        name=name,
        media_type=MediaType.VIDEO,
        needs=IMAGES,
        refuses=UNSAID | {"speed", "voice", "style", "duration", "resolution"},
        max_n=1,
        typical_s=90.0,
        longest_s=LONGEST_VIDEO_S,
        **limits,
    )
    return Offer(model, (way,))


def picture(upstream_name: str, **limits: Any) -> Offer:
    """The upstream has one name for the film and the picture; ours tells them apart."""
    model = Model(
        name=f"{upstream_name}-reference2image",
        media_type=MediaType.IMAGE,
        refuses=UNSAID | {"speed", "voice", "style", "duration"},
        max_prompt=2000,
        max_images=7,
        max_n=1,
        typical_s=30.0,
        longest_s=LONGEST_IMAGE_S,
        **{"needs": TEXT, **limits},
    )
    return Offer(model, (Way.IMAGE,), upstream_name)


def sound(name: str, *ways: Way, upstream_name: str = "", **limits: Any) -> Offer:
    shapes = {"size", "width", "height", "aspect_ratio", "resolution"}
    model = Model(
        name=name,
        media_type=MediaType.AUDIO,
        refuses=UNSAID | IMAGES | shapes | {"style"} | limits.pop("refuses"),
        max_images=0,
        max_n=1,
        longest_s=LONGEST_SOUND_S,
        **limits,
    )
    return Offer(model, ways, upstream_name)


def offers() -> Iterable[Offer]:
    """Every model that is documented."""
    text, frame, frames = Way.TEXT, Way.FRAME, Way.FRAMES
    reference, many = Way.REFERENCE, Way.MULTIFRAME
    high = ("720p", "1080p")
    yield q3("viduq3-pro", text, frame, frames)
    yield q3("viduq3-pro-fast", frame, needs=IMAGES, resolutions=high)
    yield q3("viduq3-turbo", text, frame, frames, reference)
    yield q3("viduq3", reference, needs=TEXT, resolutions=high)
    yield q3("viduq3-mix", reference, needs=TEXT, resolutions=high)
    yield q2("viduq2", text, reference, needs=TEXT)
    yield q2("viduq2-pro", frame, frames, reference, many)
    yield q2("viduq2-pro-fast", frame, frames, needs=IMAGES)
    yield q2("viduq2-turbo", frame, frames, many, needs=IMAGES)
    every = (text, frame, frames, reference)
    for name in ("viduq1", "viduq1-classic"):
        yield older(
            name, *every, refuses=NOTHING, durations=(5.0,), resolutions=("1080p",)
        )
    for name, ways in (("vidu2.0", every[1:]), ("vidu1.5", every)):
        yield older(
            name,
            *ways,
            refuses=frozenset({"style"}),
            durations=(4.0, 8.0),
            resolutions=OLD_LEVELS,
        )
    yield template("vidu-template", Way.TEMPLATE)
    yield template("vidu-template-story", Way.STORY)
    yield picture("viduq2", aspect_ratios=WIDE_RATIOS, resolutions=tuple(PICTURES))
    yield picture(
        "viduq1", needs=TEXT | IMAGES, aspect_ratios=RATIOS, resolutions=("1080p",)
    )
    yield sound(
        "audio1.0",
        Way.SOUND,
        Way.TIMED_SOUND,
        upstream_name="audio1.0",
        refuses=frozenset({"voice", "speed"}),
        max_prompt=1500,
        duration_range=(2.0, 10.0),
        typical_s=20.0,
    )
    yield sound(
        "audio-tts",
        Way.SPEECH,
        refuses=frozenset({"seed", "duration"}),
        needs=frozenset({"voice"}),
        sync=True,
        max_prompt=9999,
        speed_range=(0.5, 2.0),
        typical_s=10.0,
    )


BY_NAME = {offer.model.name: offer for offer in offers()}
MODELS = tuple(offer.model for offer in BY_NAME.values())
