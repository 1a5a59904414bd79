"""What Jimeng offers: each model is a `req_key`.

A few names stand for several keys, between which the number of images and the
resolution decide. Limits that the documentation leaves open are left open here.
Sources: volcengine.com/docs/85621 (1777001, 1792707, 1817045, 1544774, 1747301), read
November 2026 (docs/providers/jimeng.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from providers.types import MediaType, Model

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
SECONDS = (5.0, 10.0)
RESOLUTIONS = ("720P", "1080P")

# Records live for twelve hours; work is never waited for that long, since what is over
# the limit of running tasks is refused and does not queue.
LONGEST_IMAGE_S = 1800.0
LONGEST_VIDEO_S = 7200.0
LONGEST_ANSWER_S = 120.0

LOOKS = frozenset({"images", "audio_url", "video_url"})
UNSAID = frozenset({"negative_prompt", "quality", "style", "voice"})
SHAPE = frozenset({"size", "width", "height", "aspect_ratio"})
IMAGES = frozenset({"images"})


@dataclass(frozen=True, slots=True)
class Offer:
    """One model, and under which `req_key` it is asked for.

    `keys` has the key for each number of images and resolution; images that fit none
    are refused. `area` is the side of a square with the usual number of pixels.
    """

    model: Model
    keys: dict[tuple[int, str], str] = field(default_factory=dict)
    area: int = 2048
    by_area: bool = False
    most_side: int | None = None
    has_single: bool = False


def image(name: str, *, takes: Iterable[str] = (), **limits: Any) -> Model:
    limits = {"refuses": {"resolution"}, "longest_s": LONGEST_IMAGE_S, **limits}
    refuses = LOOKS | UNSAID | limits.pop("refuses")
    return Model(
        name=name,
        media_type=MediaType.IMAGE,
        refuses=refuses - frozenset(takes),
        max_n=1,
        typical_s=20.0,
        **limits,
    )


def video(name: str, *, takes: Iterable[str] = (), **limits: Any) -> Model:
    refuses = LOOKS | UNSAID | limits.pop("refuses", frozenset())
    return Model(
        name=name,
        media_type=MediaType.VIDEO,
        refuses=refuses - frozenset(takes),
        max_n=1,
        output_formats=("mp4",),
        typical_s=120.0,
        longest_s=LONGEST_VIDEO_S,
        **limits,
    )


def images() -> Iterable[Offer]:
    yield Offer(
        # one task makes one image, or as many as the model likes: no number can be said
        image(
            "jimeng_t2i_v40",
            takes={"images", "resolution"},
            max_prompt=800,
            max_images=10,
            pixel_range=(1_048_576, 16_777_216),
            resolutions=("1K", "2K", "4K"),
        ),
        by_area=True,
        has_single=True,
    )
    for name in ("jimeng_t2i_v31", "jimeng_t2i_v30"):
        # sides of 512 to 2048 are not confirmed: the upstream knows
        yield Offer(image(name, max_prompt=800), area=1024)
    yield Offer(
        image("jimeng_i2i_v30", takes=IMAGES, needs=IMAGES, max_images=1), area=1024
    )
    yield Offer(
        image(
            "jimeng_high_aes_general_v21_L",
            sync=True,
            side_range=(256, 768),
            longest_s=LONGEST_ANSWER_S,
        ),
        area=512,
        most_side=768,
    )


TEXT_720 = "jimeng_t2v_v30"
TEXT_1080 = "jimeng_t2v_v30_1080p"
FIRST_720 = "jimeng_i2v_first_v30"
FIRST_1080 = "jimeng_i2v_first_v30_1080"  # so spelled, without the "p"
TAIL_720 = "jimeng_i2v_first_tail_v30"
TAIL_1080 = "jimeng_i2v_first_tail_v30_1080"
PRO = "jimeng_ti2v_v30_pro"
KEYS = {
    (0, "720P"): TEXT_720,
    (0, "1080P"): TEXT_1080,
    (1, "720P"): FIRST_720,
    (1, "1080P"): FIRST_1080,
    (2, "720P"): TAIL_720,
    (2, "1080P"): TAIL_1080,
}


def videos() -> Iterable[Offer]:
    for name, resolutions in (
        ("jimeng_v30", RESOLUTIONS),
        ("jimeng_v30_1080p", ("1080P",)),
    ):
        yield Offer(
            video(
                name,
                takes=IMAGES,
                max_images=2,
                aspect_ratios=RATIOS,
                durations=SECONDS,
                resolutions=resolutions,
            ),
            only(resolutions),
        )
    for count, name in ((0, TEXT_720), (1, FIRST_720), (2, TAIL_720)):
        for resolutions in (RESOLUTIONS, ("1080P",)):
            keys = {
                key: req_key
                for key, req_key in only(resolutions).items()
                if key[0] == count
            }
            yield Offer(
                video(
                    name if "720P" in resolutions else keys[count, "1080P"],
                    takes=IMAGES if count else (),
                    needs=IMAGES if count else frozenset(),
                    refuses=SHAPE if count else frozenset(),
                    max_images=count,
                    aspect_ratios=() if count else RATIOS,
                    durations=SECONDS,
                    resolutions=resolutions,
                ),
                keys,
            )
    for name in (PRO, "jimeng_v30_pro"):
        yield Offer(
            video(
                name,
                takes=IMAGES,
                refuses=frozenset({"resolution"}),
                max_prompt=800,
                max_images=1,
                aspect_ratios=RATIOS,
                durations=SECONDS,
            ),
            {(0, ""): PRO, (1, ""): PRO},
        )
    yield Offer(
        # `template_id` and `camera_strength` are metadata: they are not confirmed
        video(
            "jimeng_i2v_recamera_v30",
            takes=IMAGES,
            needs=IMAGES,
            refuses=SHAPE,
            max_images=1,
            resolutions=("720P",),
        )
    )
    old = frozenset({"duration", "resolution"})
    yield Offer(video("jimeng_vgfm_t2v_l20", refuses=old, aspect_ratios=RATIOS))
    yield Offer(
        video(
            "jimeng_vgfm_i2v_l20",
            takes=IMAGES,
            needs=IMAGES,
            refuses=old,
            max_images=1,
            aspect_ratios=RATIOS,
        )
    )


def only(resolutions: Iterable[str]) -> dict[tuple[int, str], str]:
    """The keys of 3.0 for these resolutions."""
    return {key: name for key, name in KEYS.items() if key[1] in resolutions}


OFFERS = {offer.model.name: offer for offer in (*images(), *videos())}
MODELS = tuple(offer.model for offer in OFFERS.values())

# What a key makes whose documentation was not found: its name says so.
FAMILIES = (
    (re.compile(r"jimeng_.*(t2i|i2i|high_aes|seedream)"), image),
    (re.compile(r"jimeng_.*(t2v|i2v|vgfm|avatar|omni|dream_actor)"), video),
)


def find_offer(name: str) -> Offer | None:
    """The offer of that name, or a guess for a key that is not in the table.

    Of such a key only the prompt and the seed are sent in unified words: avatars name
    their files in fields that are not confirmed, which a client writes as metadata.
    """
    if name in OFFERS:
        return OFFERS[name]
    for words, model in FAMILIES:
        if words.match(name):
            return Offer(model(name))
    return None


def describe(name: str) -> Model | None:
    offer = find_offer(name)
    return offer.model if offer else None
