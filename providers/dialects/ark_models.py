"""What Ark offers: Seedance videos and Seedream images, under two names each.

The Chinese platform (Volcengine) and the international one (BytePlus) have the same
models under names of their own. Limits that the documentation leaves open are left open
here: the upstream refuses what it cannot do, and its refusal costs nothing.
Sources: "create-video-generation-task-api" of ark.volcengine.com,
"image-generation-api" and "model-list" of ai.byteplus.com/ark, read November 2026
(docs/providers/ark.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from providers.types import MediaType, Model

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
ADAPTIVE = "adaptive"

# `execution_expires_after` is two days by default: until then a task may be billed
LONGEST_TASK_S = 48 * 3600.0 + 600
LONGEST_ANSWER_S = 300.0

MOST_AT_ONCE = 15
"""Input and output images together, where one call makes several."""

SIDE_STEP = 16
SQUARES = {"1K": 1024, "1.5K": 1536, "2K": 2048, "3K": 3072, "4K": 4096}
"""The side of a square of each size that has a word."""

# An operator's own inference endpoint, written behind the model it serves:
# "doubao-seedance-1-5-pro-251215@ep-20260102030405-abcde"
ENDPOINT = re.compile(r"(?P<model>.+)@(?P<endpoint>ep-[\w-]+)")


@dataclass(frozen=True, slots=True)
class Offer:
    """One model, the name it is sent under, and what its body may say.

    `frames` and `references` are how many images may be frames and references of a
    video; None is unknown. `follows_frame`: with a frame its shape is the frame's.
    `words` are the sizes that have a word (None: unknown), `usual` is the one that a
    ratio alone is made at.
    """

    model: Model
    sent: str
    frames: int = 2
    references: int | None = 0
    follows_frame: bool = False
    has_format: bool = False
    words: tuple[str, ...] | None = None
    usual: str = "2K"
    fixed_size: str | None = None
    has_seed: bool = True
    has_series: bool = False


UNSAID = frozenset({"negative_prompt", "quality", "style"})
"""Fields that no model here has a word for."""


def video(name: str, **limits: Any) -> Model:
    looks = limits.pop("refuses", {"audio_url", "video_url"})
    return Model(
        name=name,
        media_type=MediaType.VIDEO,
        refuses=UNSAID | looks,
        max_n=1,
        aspect_ratios=(*RATIOS, ADAPTIVE),
        typical_s=90.0,
        longest_s=LONGEST_TASK_S,
        **limits,
    )


def image(name: str, **limits: Any) -> Model:
    return Model(
        name=name,
        media_type=MediaType.IMAGE,
        sync=True,
        refuses=UNSAID | {"audio_url", "video_url"} | limits.pop("refuses", set()),
        typical_s=15.0,
        longest_s=LONGEST_ANSWER_S,
        **limits,
    )


HD = ("480p", "720p", "1080p")
NOTHING: frozenset[str] = frozenset()
MP4 = ("mp4",)


def videos(china: bool) -> Iterable[Offer]:
    """Seedance."""
    new = "doubao-seedance" if china else "dreamina-seedance"
    old = "doubao-seedance" if china else "seedance"
    name = f"{new}-2-5-260628"
    yield Offer(
        video(
            name,
            refuses=NOTHING,
            max_images=30,
            resolutions=HD,
            duration_range=(4.0, 30.0),
            output_formats=("mp4", "mov"),
        ),
        name,
        references=30,
        follows_frame=True,
        has_format=True,
    )
    for suffix, levels in {
        "": (*HD, "4k"),
        "-fast": ("480p", "720p"),
        "-mini": ("480p", "720p"),
    }.items():
        day = "260615" if suffix == "-mini" else "260128"
        name = f"{new}-2-0{suffix}-{day}"
        yield Offer(
            video(
                name,
                refuses=NOTHING,
                max_images=9,
                resolutions=levels,
                duration_range=(4.0, 15.0),
                output_formats=MP4,
            ),
            name,
            references=9,
        )
    name = f"{old}-1-5-pro-251215"
    yield Offer(
        # 4 to 12 seconds are not confirmed: the upstream knows
        video(name, max_images=2, resolutions=HD, output_formats=MP4),
        name,
    )
    for kind, frames, references in (
        ("pro-250528", 2, 0),
        ("pro-fast-251015", 1, 0),
        ("lite-t2v-250428", 0, 0),
        ("lite-i2v-250428", 2, 4),
    ):
        name = f"{old}-1-0-{kind}"
        yield Offer(
            video(
                name,
                needs=frozenset({"images"}) if "i2v" in kind else NOTHING,
                max_images=max(frames, references),
                resolutions=HD,
                duration_range=(2.0, 12.0),
                output_formats=MP4,
            ),
            name,
            frames=frames,
            references=references,
        )


def images(china: bool) -> Iterable[Offer]:
    """Seedream, and SeedEdit in China."""
    dola = "doubao-seedream" if china else "dola-seedream"
    plain = "doubao-seedream" if china else "seedream"
    both = ("png", "jpeg")
    jpeg = ("jpeg",)
    name = f"{dola}-5-0-pro-260628"
    words = ("1K", "1.5K", "2K")
    pixels = (921_600, 4_624_220)
    yield series(name, 10, words, output_formats=both, pixel_range=pixels)
    name = f"{plain}-4-5-251128"
    pixels = (3_686_400, 16_777_216)
    yield series(name, 14, ("2K", "4K"), False, output_formats=jpeg, pixel_range=pixels)
    name = f"{plain}-4-0-250828"
    yield series(
        name,
        14,
        ("1K", "2K", "4K"),
        False,
        output_formats=jpeg,
        pixel_range=(921_600, 16_777_216),
    )
    if not china:
        # its sizes are not confirmed: the upstream knows
        yield series("dola-seedream-5-0-flash-260915", 10, None, output_formats=both)
        return
    yield series(
        "doubao-seedream-5-0-260128",
        14,
        ("2K", "3K", "4K"),
        output_formats=both,
        pixel_range=pixels,
    )
    name = "doubao-seedream-3-0-t2i-250415"
    yield Offer(
        image(
            name,
            refuses={"images", "resolution"},
            max_images=0,
            max_n=1,
            output_formats=jpeg,
        ),
        name,
        words=(),
        usual="1K",
    )
    name = "doubao-seededit-3-0-i2i-250628"
    yield Offer(
        image(
            name,
            needs=frozenset({"images"}),
            refuses={"size", "width", "height", "aspect_ratio", "resolution"},
            max_images=1,
            max_n=1,
            output_formats=jpeg,
        ),
        name,
        fixed_size=ADAPTIVE,
    )


def series(
    name: str,
    references: int,
    words: tuple[str, ...] | None,
    has_format: bool = True,
    **limits: Any,
) -> Offer:
    """A model that may make several images in one call; it has no seed."""
    model = image(
        name,
        refuses={"seed"},
        max_images=references,
        max_n=MOST_AT_ONCE,
        resolutions=words or (),
        **limits,
    )
    return Offer(
        model,
        name,
        has_format=has_format,
        words=words,
        has_seed=False,
        has_series=True,
    )


CHINA = (*images(china=True), *videos(china=True))
INTERNATIONAL = (*images(china=False), *videos(china=False))

BY_NAME = {offer.model.name: offer for offer in (*INTERNATIONAL, *CHINA)}

MODELS = tuple(offer.model for offer in CHINA)
INTERNATIONAL_MODELS = tuple(offer.model for offer in INTERNATIONAL)


def find_offer(name: str) -> Offer | None:
    """The offer of that name, also behind an endpoint and of a version unknown yet."""
    if match := ENDPOINT.fullmatch(name):
        offer = find_offer(match["model"])
        if offer is None:
            return None
        return replace(
            offer,
            model=replace(offer.model, name=name),
            sent=match["endpoint"],
        )
    return BY_NAME.get(name) or guess(name)


def guess(name: str) -> Offer | None:
    """A model that is younger than this table, by its family's name."""
    if "seedance" in name:
        model = video(name, refuses=NOTHING)
        return Offer(model, name, references=None, has_format=True)
    if "seedream" in name:
        return Offer(image(name), name, has_format=True, has_series=True)
    return None


def describe(name: str) -> Model | None:
    offer = find_offer(name)
    return offer.model if offer else None
