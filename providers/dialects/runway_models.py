"""Runway's models: their limits, and the form that a request is written on.

Sources: docs.dev.runwayml.com and the client's types, read November 2026
(docs/providers/runway.md). Limits that are not stated there are left open.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from providers import errors
from providers.dialects.runway_forms import FORMS, MADE, Form, Path
from providers.geometry import read_ratio, wanted_ratio, wanted_size
from providers.types import GenerationRequest, MediaType, Model

FIELDS: Mapping[str, tuple[str, ...]] = {
    "negative_prompt": ("negativePrompt",),
    "images": ("promptImage", "referenceImages", "imageUri", "character"),
    "audio_url": (),
    "video_url": ("videoUri", "promptVideo", "reference"),
    "size": ("ratio",),
    "width": ("ratio",),
    "height": ("ratio",),
    "aspect_ratio": ("ratio",),
    "resolution": ("ratio", "resolution"),
    "duration": ("duration",),
    "seed": ("seed",),
    "quality": ("quality",),
    "style": (),
    "output_format": ("outputFormat",),
    "voice": ("voice",),
    "speed": ("speed",),
    "title": (),
    "tags": (),
    "lyrics": (),
}
"""The fields of a form that can say a unified field."""

SHAPE = frozenset({"size", "width", "height", "aspect_ratio", "resolution"})

AREAS: Mapping[str, int] = {
    "480p": 480 * 854,
    "720p": 720 * 1280,
    "1080p": 1080 * 1920,
    "1k": 1024 * 1024,
    "2k": 2048 * 2048,
    "4k": 2160 * 3840,
}
"""Pixels behind the word for a resolution."""
IMAGE_4K = 4096 * 4096

ONLY_FIRST = frozenset(
    {
        "gemini_omni_flash",
        "gen4.5",
        "gen4_turbo",
        "grok_imagine_1_5",
        "grok_imagine_1_5_lite",
        "happyhorse_1_0",
        "veo3",
    }
)
"""Video models that take no last frame."""
ONE_OR_FOUR = frozenset(
    {"gemini_image3_pro", "gemini_image3.1_flash", "gemini_image3.1_flash_lite"}
)
"""Image models that make one image, or four."""

LIMITS: Mapping[str, Mapping[str, Any]] = {
    "gen4.5": {"duration_range": (2, 10)},
    "gen4_turbo": {"duration_range": (2, 10)},
    "gen3a_turbo": {"durations": (5, 10)},
    "veo3.1": {"durations": (4, 6, 8)},
    "veo3.1_fast": {"durations": (4, 6, 8)},
    "veo3": {"durations": (8,)},
    "kling2.5_turbo_pro": {"durations": (5, 10)},
    "gen4_image": {"max_images": 3},
    "gen4_image_turbo": {"max_images": 3},
    "gemini_2.5_flash": {"max_images": 3},
    "gemini_image3_pro": {"max_images": 14, "max_n": 4},
    "gemini_image3.1_flash": {"max_images": 14, "max_n": 4},
    "gemini_image3.1_flash_lite": {"max_images": 14, "max_n": 4},
    "nano_banana_2.1": {"max_images": 14},
    "gpt_image_2": {"max_prompt": 32_000, "max_n": 10},
    "eleven_text_to_sound_v2": {"duration_range": (0.5, 30)},
    "seedance2_5": {"max_prompt": 15_000},
    **{
        name: {"max_prompt": 3500}
        for name in ("seedance2", "seedance2_fast", "seedance2_mini")
    },
    **{
        f"{name}_{tier}": {"duration_range": (3, 15)}
        for name in ("kling3.0", "klingO3")
        for tier in ("pro", "standard", "4k")
    },
}
OWN = ("gen3", "gen4", "aleph", "act_", "upscale", "magnific")
"""Families that are Runway's own; the others are sold under their makers' names."""
SHORT_PROMPTS = ("gen3a", "gen4", "veo")
"""Families that take a thousand characters of text."""

TYPICAL_S: Mapping[MediaType, float] = {
    MediaType.IMAGE: 25.0,
    MediaType.VIDEO: 90.0,
    MediaType.AUDIO: 10.0,
}
LONGEST_S = 3600.0
"""A task waits as THROTTLED while the account's other tasks run."""
USUAL_SECONDS = 5
"""Sent where a duration is required and the client names none."""
USUAL_FRAMERATE = "60"
"""Frames a second that are made of fewer; other numbers come in the metadata."""


def forms_of(name: str) -> Mapping[Path, Form]:
    """The forms on which a model can be asked, by path; empty when it is unknown."""
    return {form.path: form for form in FORMS if name in form.models.split()}


def model_of(name: str) -> Model:
    """The limits of a model, from its forms and the table above."""
    forms = forms_of(name).values()
    media_type = MADE[next(iter(forms)).path]
    names = frozenset().union(*(form.names() for form in forms))
    required = frozenset.intersection(*(form.required() for form in forms))
    needs = {
        field
        for field in ("images", "video_url", "voice")
        if required & set(FIELDS[field])
    }
    if "promptText" in required:
        needs.add("prompt")
    limits: dict[str, Any] = {
        "max_n": None if "outputCount" in names else 1,
        "qualities": words(form.qualities for form in forms),
        "output_formats": words(form.formats for form in forms),
        "resolutions": resolutions_of(forms, media_type),
    }
    if "promptImage" in names:
        limits["max_images"] = 1 if name in ONLY_FIRST else 2
    elif names & {"imageUri", "character"}:
        limits["max_images"] = 1
    if name.startswith(SHORT_PROMPTS):
        limits["max_prompt"] = 1000
    refuses = {
        field for field, said_by in FIELDS.items() if not names & frozenset(said_by)
    }
    return Model(
        name=name,
        media_type=media_type,
        needs=frozenset(needs),
        refuses=frozenset(refuses),
        typical_s=TYPICAL_S[media_type],
        longest_s=LONGEST_S,
        resold=not name.startswith(OWN),
        **{**limits, **LIMITS.get(name, {})},
    )


def words(texts: Iterable[str]) -> tuple[str, ...]:
    """Every word of the lists once, in order."""
    return tuple(dict.fromkeys(word for text in texts for word in text.split()))


def resolutions_of(forms: Iterable[Form], media_type: MediaType) -> tuple[str, ...]:
    """The words for resolutions that a model has, or that its sizes stand for."""
    named = words(form.resolutions for form in forms)
    if named:
        return named
    areas = [w * h for form in forms for w, h in sizes(form.ratios).values()]
    return tuple(
        word
        for word in AREAS
        if (media_type is MediaType.IMAGE or word not in {"1k", "2k"})
        and any(0.8 < area / area_of(word, media_type) < 1.25 for area in areas)
    )


def area_of(resolution: str, media_type: MediaType) -> int:
    if resolution == "4k" and media_type is MediaType.IMAGE:
        return IMAGE_4K
    return AREAS[resolution]


def sizes(ratios: str) -> dict[str, tuple[int, int]]:
    """The ratios that are sizes or shapes, as numbers."""
    pairs = {ratio: ratio.partition(":") for ratio in ratios.split() if ":" in ratio}
    return {
        ratio: (int(across), int(down)) for ratio, (across, _, down) in pairs.items()
    }


def find_form(request: GenerationRequest) -> Form:
    """The form that suits what the client gave; raises ModelRefused and Rejected."""
    forms = forms_of(request.model)
    if not forms:
        raise errors.ModelRefused(f"Runway offers no model {request.model}")
    order: list[Path] = []
    if request.video_url:
        order += [Path.CHARACTER_PERFORMANCE, Path.VIDEO_TO_VIDEO, Path.VIDEO_UPSCALE]
    elif request.images:
        order += [Path.IMAGE_TO_VIDEO, Path.TEXT_TO_IMAGE, Path.IMAGE_UPSCALE]
    else:
        order += [Path.TEXT_TO_VIDEO, Path.TEXT_TO_IMAGE, Path.SOUND_EFFECT]
        # a model of speech and sounds speaks what is to be said
        order.insert(0 if request.input else 3, Path.TEXT_TO_SPEECH)
    form = next((forms[path] for path in order if path in forms), None)
    if form is None:
        raise errors.Rejected(
            f"{request.model} needs other inputs: it does {', '.join(sorted(forms))}"
        )
    for field, said_by in FIELDS.items():
        given = getattr(request, field) not in (None, ())
        # the shape follows from an input where no form has a word for it
        if given and field not in SHAPE and not form.names() & frozenset(said_by):
            raise errors.Rejected(
                f"{request.model} has no word for {field} in {form.path}"
            )
    return form


def pick_ratio(request: GenerationRequest, form: Form) -> str | None:
    """The offered ratio nearest to what was asked for; None leaves it to Runway.

    The shape counts first, then the number of pixels, then the order of the table.
    """
    offered = sizes(form.ratios)
    asked = request.aspect_ratio or request.size
    if asked in form.ratios.split():  # "auto", or a ratio in Runway's own spelling
        return asked
    size = wanted_size(request)
    shape = wanted_ratio(request) or (read_ratio(request.size) if request.size else 0)
    word = (request.resolution or "").strip().lower()
    needed = "ratio" in form.required()
    if not offered:
        automatic = form.ratios.split()
        if f"auto_{word}" in automatic:
            return f"auto_{word}"
        return automatic[0] if needed and automatic else None
    area = size[0] * size[1] if size else 0
    if word in AREAS and "resolution" not in form.names():
        area = area_of(word, MADE[form.path])
    if not shape and not area:
        return next(iter(offered)) if needed else None
    first = next(iter(offered.values()))
    shape = shape or first[0] / first[1]

    def distance(ratio: str) -> tuple[int, float]:
        width, height = offered[ratio]
        apart = round(abs(math.log(width / height / shape)) / 0.04)
        return apart, abs(math.log(width * height / area)) if area else 0.0

    return min(offered, key=distance)


MODELS: tuple[Model, ...] = tuple(
    model_of(name) for name in sorted(words(form.models for form in FORMS))
)
