"""What the midjourney-proxy protocol offers: each action's path and limits.

Midjourney's own parameters (version, shape, seed, ...) are no fields but flags at the
end of a prompt, so most limits are left for the upstream to tell. Sources as in
`providers/midjourney.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from providers.types import MediaType, Model, by_name


class Kind(StrEnum):
    """How an action is asked for."""

    IMAGINE = "imagine"
    BLEND = "blend"
    DESCRIBE = "describe"
    SHORTEN = "shorten"
    CHANGE = "change"
    ACTION = "action"
    MODAL = "modal"
    EDITS = "edits"
    VIDEO = "video"
    SWAP = "swap"
    UPLOAD = "upload"


class Makes(StrEnum):
    """What a finished task holds."""

    IMAGE = "image"
    VIDEO = "video"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Offer:
    """One action; `action` is its word in a task and in `/mj/submit/change`.

    `window` tells that the upstream always asks for a prompt, and perhaps a mask, in a
    second step. `bot` is the bot that draws, where it is not the usual one.
    """

    model: Model
    kind: Kind
    action: str
    path: str
    makes: Makes = Makes.IMAGE
    window: bool = False
    bot: str | None = None


USUAL_BOT, NIJI_BOT = "MID_JOURNEY", "NIJI_JOURNEY"
VIDEO_TYPES = {"480P": "vid_1.1_i2v_480", "720P": "vid_1.1_i2v_720"}
VIDEO_COUNTS = (1, 2, 4)

# The gateway's words for a quality, and the numbers that Midjourney knows.
QUALITIES = {
    "0.5": "0.5",
    "1": "1",
    "2": "2",
    "low": "0.5",
    "standard": "1",
    "medium": "1",
    "high": "2",
    "hd": "2",
}

FLAGGED = frozenset({"negative_prompt", "seed", "quality", "style"})
SHAPES = frozenset({"size", "aspect_ratio"})
OTHER_MEDIA = frozenset({"audio_url", "video_url"})


def _offer(
    name: str,
    kind: Kind,
    action: str,
    path: str = "",
    *,
    flags: bool = False,
    makes: Makes = Makes.IMAGE,
    window: bool = False,
    bot: str | None = None,
    **limits: Any,
) -> Offer:
    """An offer; `flags` tells that its prompt is one that Midjourney draws."""
    refuses = limits.pop("refuses", frozenset()) | OTHER_MEDIA
    model = Model(
        **{
            "name": name,
            "media_type": MediaType.IMAGE,
            "refuses": refuses if flags else refuses | FLAGGED,
            "max_n": 1,  # one picture: a grid of four, or a single one
            "qualities": tuple(QUALITIES) if flags else (),
            "typical_s": 60.0,
            # five minutes, after a queue of up to ten others
            "longest_s": 1800.0,
            **limits,
        }
    )
    path = path or f"/mj/submit/{kind}"
    return Offer(model, kind, action, path, makes, window, bot)


PROMPT = frozenset({"prompt"})
IMAGES = frozenset({"images"})
NO_IMAGES: Mapping[str, Any] = {"refuses": IMAGES | SHAPES, "max_images": 0}
MASKED: Mapping[str, Any] = {"flags": True, "max_images": 1}

IMAGINE = _offer(
    "mj_imagine",
    Kind.IMAGINE,
    "IMAGINE",
    flags=True,
    bot=USUAL_BOT,
    needs=PROMPT,
)
OFFERS = (
    IMAGINE,
    replace(
        IMAGINE, model=replace(IMAGINE.model, name="mj_imagine_niji"), bot=NIJI_BOT
    ),
    _offer("mj_blend", Kind.BLEND, "BLEND", needs=IMAGES, max_images=5),
    _offer(
        "mj_describe",
        Kind.DESCRIBE,
        "DESCRIBE",
        makes=Makes.TEXT,
        needs=IMAGES,
        max_images=1,
        refuses=SHAPES,
    ),
    _offer(
        "mj_shorten",
        Kind.SHORTEN,
        "SHORTEN",
        makes=Makes.TEXT,
        needs=PROMPT,
        **NO_IMAGES,
    ),
    _offer("mj_upscale", Kind.CHANGE, "UPSCALE", **NO_IMAGES),
    _offer("mj_variation", Kind.CHANGE, "VARIATION", **NO_IMAGES),
    _offer("mj_reroll", Kind.CHANGE, "REROLL", **NO_IMAGES),
    _offer("mj_high_variation", Kind.ACTION, "HIGH_VARIATION", **NO_IMAGES),
    _offer("mj_low_variation", Kind.ACTION, "LOW_VARIATION", **NO_IMAGES),
    _offer("mj_zoom", Kind.ACTION, "ZOOM", **NO_IMAGES),
    _offer(
        "mj_custom_zoom",
        Kind.ACTION,
        "CUSTOM_ZOOM",
        window=True,
        flags=True,
        max_images=0,
    ),
    _offer("mj_pan", Kind.ACTION, "PAN", **NO_IMAGES),
    _offer("mj_inpaint", Kind.ACTION, "INPAINT", window=True, **MASKED),
    _offer("mj_modal", Kind.MODAL, "MODAL", **MASKED),
    _offer(
        "mj_edits", Kind.EDITS, "EDITS", flags=True, needs=PROMPT | IMAGES, max_images=1
    ),
    # The same body at another path of trueai's.
    _offer(
        "mj_retexture",
        Kind.EDITS,
        "RETEXTURE",
        "/mj/submit/retexture",
        flags=True,
        needs=PROMPT | IMAGES,
        max_images=1,
    ),
    _offer(
        "mj_video",
        Kind.VIDEO,
        "VIDEO",
        makes=Makes.VIDEO,
        media_type=MediaType.VIDEO,
        refuses=frozenset({"duration"}),
        max_images=2,
        max_n=max(VIDEO_COUNTS),
        resolutions=tuple(VIDEO_TYPES),
        typical_s=120.0,
    ),
    _offer(
        "swap_face",
        Kind.SWAP,
        "SWAP_FACE",
        "/mj/insight-face/swap",
        needs=IMAGES,
        max_images=2,
        refuses=SHAPES,
    ),
    _offer(
        "mj_upload",
        Kind.UPLOAD,
        "UPLOAD",
        "/mj/submit/upload-discord-images",
        sync=True,
        needs=IMAGES,
        refuses=SHAPES,
        typical_s=10.0,
        longest_s=300.0,
    ),
)
MODELS = tuple(offer.model for offer in OFFERS)
BY_NAME: Mapping[str, Offer] = {offer.model.name: offer for offer in OFFERS}

describe = by_name(MODELS)
