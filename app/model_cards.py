"""What clients are told of a model: what it takes and makes, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app import durations
from app.catalog import Offer
from app.durations import TRUSTED_JOBS, Learned
from app.store.durations import Place
from providers.types import MediaType, Model

PROMPTS = {
    MediaType.IMAGE: "a lighthouse made of paper, dawn",
    MediaType.VIDEO: "a slow pan over the harbour at dawn",
    MediaType.AUDIO: "The tide is high at six.",
}
EXAMPLE_INPUTS: Mapping[str, Any] = {
    "audio_url": "https://cdn.example.com/voice.mp3",
    "video_url": "https://cdn.example.com/harbour.mp4",
    "voice": "alloy",
    "title": "Keepers",
    "tags": "waltz, slow",
    "lyrics": "The light goes round, the ships go by",
    "negative_prompt": "people",
    "seed": 7,
    "aspect_ratio": "16:9",
    "resolution": "720P",
    "size": "1024x1024",
    "duration": 5,
}
LIMITS = (
    *("max_prompt", "max_images", "max_n"),
    *("sizes", "side_range", "pixel_range", "ratio_range", "side_multiple"),
    *("aspect_ratios", "resolutions", "durations", "duration_range", "speed_range"),
    *("qualities", "output_formats"),
)


@dataclass(frozen=True, slots=True)
class Usual:
    """How long a model usually takes, and how many past tasks say so."""

    usual_s: float
    slow_s: float
    task_count: int


def card(
    name: str, offers: Sequence[Offer], learned: Mapping[Place, Learned]
) -> dict[str, Any]:
    """One model as JSON, by what the first channel in turn offers.

    Where channels differ, `offers` has what each of them can do; a task is taken when
    one of them can do all it asks for.
    """
    first = offers[0].model
    usual = usual_time(offers, learned)
    kinds = {_abilities(offer.model)["key"]: offer for offer in offers}
    told = {
        "id": name,
        "media_type": first.media_type.value,
        "providers": sorted({offer.provider.name for offer in offers}),
        "synchronous": first.sync,
        **_abilities(first)["told"],
        "duration": {
            "usual_s": round(usual.usual_s, 1),
            "slow_s": round(usual.slow_s, 1),
            "longest_s": first.longest_s,
            "from_tasks": usual.task_count,
        },
        "example": example(name, first),
    }
    if len(kinds) > 1:
        told["offers"] = [
            {"provider": offer.provider.name, **_abilities(offer.model)["told"]}
            for offer in kinds.values()
        ]
    return told


def usual_time(offers: Sequence[Offer], learned: Mapping[Place, Learned]) -> Usual:
    """By the channel that has seen most jobs; without any, by the catalogue."""
    known = [
        (learned.get((offer.channel.id, offer.upstream_name), Learned()), offer.model)
        for offer in offers
    ]
    seen, model = max(known, key=lambda pair: pair[0].job_count)
    if seen.job_count < TRUSTED_JOBS:
        seen, model = Learned(), offers[0].model
    likely = durations.shares(seen, model.typical_s)
    usual_s = durations.quantile(likely, 0.5) if seen.job_count else model.typical_s
    slow_s = min(durations.quantile(likely, 0.9), model.longest_s)
    return Usual(usual_s, slow_s, seen.job_count)


def example(name: str, model: Model) -> dict[str, Any]:
    """The smallest body that the model takes, with what it needs."""
    body: dict[str, Any] = {"model": name, "prompt": PROMPTS[model.media_type]}
    if "prompt" in model.refuses:
        body["input"] = body.pop("prompt")
    action = model.actions[0] if model.actions else "generate"
    if "generate" not in model.actions and len(model.actions) > 1:
        body["action"] = str(action)
    allowed = {
        "size": model.sizes,
        "aspect_ratio": model.aspect_ratios,
        "resolution": model.resolutions,
        "duration": model.durations or (model.duration_range or ())[:1],
    }
    for field in sorted(model.needs - {"prompt", "input"}):
        if field == "images":
            body["image_url"] = "https://cdn.example.com/harbour.jpg"
        elif allowed.get(field):
            body[field] = allowed[field][0]
        elif field in EXAMPLE_INPUTS:
            body[field] = EXAMPLE_INPUTS[field]
    return body


def _abilities(model: Model) -> dict[str, Any]:
    """What a model can do as JSON (`told`), and a `key` that compares two of them."""
    limits = {
        field: list(value) if isinstance(value, tuple) else value
        for field in LIMITS
        if (value := getattr(model, field)) not in (None, ())
    }
    told = {
        "actions": [str(action) for action in model.actions],
        "required": sorted(model.needs),
        "refused": sorted(model.refuses),
        "limits": limits,
    }
    return {"key": repr(told), "told": told}
