"""What PixVerse offers: versions of its film model, each with several actions.

Names have a prefix of ours, since the upstream's own (`v5`) say little among those of
other providers; both are understood. Sources: docs.platform.pixverse.ai and the client
in PixVerseAI/PixVerse-MCP, read November 2026 (docs/providers/pixverse.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model

PREFIX = "pixverse-"


class Action(StrEnum):
    """What is asked of a version; the last two are the same with each."""

    GENERATE = "generate"
    FUSION = "fusion"
    EXTEND = "extend"
    LIP_SYNC = "lip_sync"
    SOUND_EFFECT = "sound_effect"


RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16")
WIDE_RATIOS = (*RATIOS, "2:3", "3:2", "21:9")
QUALITIES = ("360p", "540p", "720p", "1080p")
LARGEST = "1080p"

# A place among those that run at once is free again after ten minutes at the latest.
LONGEST_S = 900.0
LONGEST_PROMPT = 2048
LONGEST_SPEECH = 200
MOST_REFERENCES = 7

NOTHING: frozenset[str] = frozenset()
STYLE = frozenset({"style"})
UNSAID = frozenset({"speed", "title", "tags", "lyrics"})


@dataclass(frozen=True, slots=True)
class Offer:
    """One version: the upstream's name of it, and what its limits do not say.

    `longest_at_1080p` is the longest film in the largest quality, `most_references` the
    number of images of a fusion, 0 where there is none.
    """

    model: Model
    version: str
    longest_at_1080p: float | None = None
    most_references: int = 0


def film(name: str, *, refuses: frozenset[str] = STYLE, **facts: Any) -> Offer:
    limits = facts.pop("limits")
    most_references = facts.get("most_references", 0)
    model = Model(
        **{
            "name": PREFIX + name,
            "media_type": MediaType.VIDEO,
            "actions": tuple(
                str(action)
                for action in Action
                if most_references or action is not Action.FUSION
            ),
            "refuses": UNSAID | refuses,
            "max_prompt": LONGEST_PROMPT,
            "max_images": most_references or None,
            "max_n": 1,
            "aspect_ratios": RATIOS,
            "resolutions": QUALITIES,
            "qualities": QUALITIES,
            "output_formats": ("mp4",),
            "typical_s": 60.0,
            "longest_s": LONGEST_S,
            **limits,
        }
    )
    return Offer(model, version=name, **facts)


SHORT = {"durations": (5.0, 8.0)}
LONGER = {"durations": (5.0, 8.0, 10.0)}
FREE = {"duration_range": (1.0, 15.0), "aspect_ratios": WIDE_RATIOS}

OFFERS = (
    film("v3.5", refuses=NOTHING, longest_at_1080p=5, limits=SHORT),
    film("v4", refuses=NOTHING, longest_at_1080p=5, limits=SHORT),
    film(
        "v4.5",
        refuses=NOTHING,
        longest_at_1080p=5,
        most_references=3,
        limits=SHORT,
    ),
    film("v5", most_references=3, limits=SHORT),
    # that the newer ones take references, and up to seven, is not confirmed
    film("v5.5", longest_at_1080p=8, most_references=MOST_REFERENCES, limits=LONGER),
    film("v5.6", longest_at_1080p=8, most_references=MOST_REFERENCES, limits=LONGER),
    film("v6", most_references=MOST_REFERENCES, limits=FREE),
    film("c1", most_references=MOST_REFERENCES, limits=FREE),
)
BY_NAME = {offer.model.name: offer for offer in OFFERS}
MODELS = tuple(offer.model for offer in OFFERS)


def find_offer(name: str) -> Offer | None:
    """The offer of that name, with our prefix or as the upstream has it (`v5`)."""
    if name in BY_NAME:
        return BY_NAME[name]
    offer = BY_NAME.get(PREFIX + name)
    if offer is None:
        return None
    return replace(offer, model=replace(offer.model, name=name))


def describe(name: str) -> Model | None:
    offer = find_offer(name)
    return offer.model if offer else None
