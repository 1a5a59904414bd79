"""PixVerse's request bodies: from unified words to the fields of one path.

Pictures and films are never in a body: they are uploaded before, and a body has their
ids. Source: docs.platform.pixverse.ai, read November 2026 (docs/providers/pixverse.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers import errors, geometry
from providers.dialects.pixverse_models import (
    LARGEST,
    LONGEST_PROMPT,
    LONGEST_SPEECH,
    QUALITIES,
    Action,
    Offer,
)
from providers.payload import given, merged
from providers.types import GenerationRequest

OURS = ("model",)
MOST_SEED = 2**31 - 1
USUAL_SECONDS = 5
USUAL_QUALITY = "540p"
USUAL_RATIO = "16:9"
REFERENCE_NAME = re.compile(r"[A-Za-z0-9_ ]{1,30}")
SUBJECT = "subject"
UNUSED_BY_FILMS = ("audio_url", "voice")
UNUSED_BY_WORKS = (
    "images",
    "duration",
    "size",
    "width",
    "height",
    "aspect_ratio",
    "resolution",
    "quality",
    "style",
    "negative_prompt",
)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The ids under which the upstream keeps what the client gave."""

    images: Sequence[int] = ()
    video: int | None = None
    audio: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a request goes: the end of its path, and the body without any ids.

    `references` has type and name of each image of a fusion.
    """

    path: str
    body: Mapping[str, Any]
    references: Sequence[Mapping[str, str]] = ()


def plan(request: GenerationRequest, offer: Offer) -> Plan:
    """All that can be known before anything is uploaded, checked."""
    is_told = request.text or "template_id" in request.metadata
    if not is_told and request.action != Action.LIP_SYNC:
        raise errors.Rejected("prompt is required")
    if request.action in PLANS_OF_WORKS:
        check_unused(request, UNUSED_BY_WORKS)
        return checked(PLANS_OF_WORKS[request.action](request), request)
    check_unused(request, UNUSED_BY_FILMS)
    path = path_of(request, offer)
    has_ratio = path in ("text", "fusion")
    if request.aspect_ratio and not has_ratio:
        raise errors.Rejected("aspect_ratio is that of the image or film given")
    duration, quality = duration_of(request), quality_of(request)
    if (
        quality == LARGEST
        and offer.longest_at_1080p is not None
        and duration > offer.longest_at_1080p
    ):
        raise errors.Rejected(
            f"duration is {duration}; at {LARGEST} {request.model} makes at most "
            f"{offer.longest_at_1080p:g} seconds"
        )
    negative = request.negative_prompt or None
    if negative and len(negative) > LONGEST_PROMPT:
        raise errors.Rejected(
            f"negative_prompt has {len(negative):,} characters; PixVerse takes at most "
            f"{LONGEST_PROMPT:,}"
        )
    extra = dict(request.metadata)
    references: Sequence[Mapping[str, str]] = ()
    if path == "fusion":
        references = references_of(request, extra.pop("image_references", ()))
    body = given(
        prompt=request.text or None,
        model=offer.version,
        duration=duration,
        quality=quality,
        aspect_ratio=ratio_of(request, offer) if has_ratio else None,
        negative_prompt=negative,
        seed=seed_of(request),
        style=request.style,
    )
    return checked(Plan(path, merged(body, extra, keep=OURS), references), request)


def check_unused(request: GenerationRequest, names: Sequence[str]) -> None:
    """What an action has no field for is refused, so that nobody pays for less."""
    for name in names:
        if getattr(request, name) not in (None, ()):
            raise errors.Rejected(
                f"{name} cannot be used with the action {request.action}"
            )


def path_of(request: GenerationRequest, offer: Offer) -> str:
    """By the action, and by the number of images: none, one, first and last."""
    count = len(request.images)
    if request.action == Action.EXTEND:
        if count:
            raise errors.Rejected("images cannot be used with the action extend")
        return "extend"
    if request.video_url:
        raise errors.Rejected("video_url is for the action extend")
    if request.action == Action.FUSION:
        if not 1 <= count <= offer.most_references:
            raise errors.Rejected(
                f"{count} images are given; a fusion takes 1 to {offer.most_references}"
            )
        return "fusion"
    if count > 2 and "template_id" not in request.metadata:
        raise errors.Rejected(
            f"{count} images are given; a film takes a first and a last frame, more "
            "only with metadata.template_id"
        )
    if count < 2:
        return "img" if count else "text"
    return "img" if "template_id" in request.metadata else "transition"


def duration_of(request: GenerationRequest) -> int:
    if request.duration is None:
        return USUAL_SECONDS
    if request.duration != int(request.duration):
        raise errors.Rejected("duration must be whole seconds")
    return int(request.duration)


def quality_of(request: GenerationRequest) -> str:
    """The quality's own word, or the short side of the size."""
    word = request.resolution or request.quality
    size = geometry.wanted_size(request)
    if size is None and request.size:
        raise errors.Rejected("size must be WIDTHxHEIGHT")
    if not word and size is not None:
        word = f"{min(size)}p"
    if not word:
        return USUAL_QUALITY
    word = word.strip().lower()
    if word not in QUALITIES:
        raise errors.Rejected(
            f"the short side is {word}; PixVerse makes {', '.join(QUALITIES)}"
        )
    return word


def ratio_of(request: GenerationRequest, offer: Offer) -> str:
    if request.aspect_ratio:
        return request.aspect_ratio.replace("/", ":").replace(" ", "")
    ratio = geometry.wanted_ratio(request)
    if ratio:
        return geometry.nearest_ratio(ratio, offer.model.aspect_ratios)
    return USUAL_RATIO


def seed_of(request: GenerationRequest) -> int | None:
    if request.seed is not None and not 0 <= request.seed <= MOST_SEED:
        raise errors.Rejected(f"seed must be 0 to {MOST_SEED}")
    return request.seed


def references_of(request: GenerationRequest, told: Any) -> Sequence[Mapping[str, str]]:
    """Type and name of each image: image1, image2, ... unless metadata says others.

    The prompt must name each, as `@image1`.
    """
    if not isinstance(told, Sequence) or not all(
        isinstance(each, Mapping) for each in told
    ):
        raise errors.Rejected("metadata.image_references must be a list of objects")
    if len(told) > len(request.images):
        raise errors.Rejected(
            f"metadata.image_references has {len(told)} entries for "
            f"{len(request.images)} images"
        )
    references = []
    for index in range(len(request.images)):
        own = told[index] if index < len(told) else {}
        name = str(own.get("ref_name") or f"image{index + 1}")
        if not REFERENCE_NAME.fullmatch(name):
            raise errors.Rejected(
                f"ref_name is {name[:40]!r}: up to 30 letters, digits, _ and spaces"
            )
        if f"@{name}" not in request.text:
            raise errors.Rejected(f"the prompt must name every image: @{name} is not")
        references.append(
            {"type": str(own.get("type") or SUBJECT), "ref_name": name},
        )
    if len({each["ref_name"] for each in references}) < len(references):
        raise errors.Rejected("every ref_name must be another")
    return references


def plan_lip_sync(request: GenerationRequest) -> Plan:
    """A film says a text in a voice, or moves its lips to a sound."""
    check_unused(request, ("seed",))
    has_sound = bool(request.audio_url or request.metadata.get("audio_media_id"))
    if has_sound and request.voice:
        raise errors.Rejected("a sound and a voice exclude each other")
    body: dict[str, Any] = {}
    if not has_sound:
        body = given(
            lip_sync_tts_speaker_id=request.voice,
            lip_sync_tts_content=request.speech or None,
        )
    body = merged(body, request.metadata, keep=OURS)
    content = body.get("lip_sync_tts_content")
    if isinstance(content, str) and len(content) > LONGEST_SPEECH:
        raise errors.Rejected(
            f"the text has {len(content):,} characters; a film says at most "
            f"{LONGEST_SPEECH}"
        )
    if not has_sound and not (body.get("lip_sync_tts_speaker_id") and content):
        raise errors.Rejected("audio_url is needed, or voice and a text to say")
    return Plan("lip_sync", body)


def plan_sound_effect(request: GenerationRequest) -> Plan:
    """A film gets the sound that the prompt describes."""
    check_unused(request, ("audio_url", "voice"))
    body = given(sound_effect_content=request.text or None, seed=seed_of(request))
    return Plan("sound_effect", merged(body, request.metadata, keep=OURS))


PLANS_OF_WORKS: Mapping[str, Callable[[GenerationRequest], Plan]] = {
    Action.LIP_SYNC: plan_lip_sync,
    Action.SOUND_EFFECT: plan_sound_effect,
}


def checked(made: Plan, request: GenerationRequest) -> Plan:
    """A work on a film needs one: by URL, or by an id that the metadata tells."""
    if made.path not in ("extend", "lip_sync", "sound_effect"):
        return made
    ids = [
        name for name in ("source_video_id", "video_media_id") if made.body.get(name)
    ]
    if len(ids) + bool(request.video_url) != 1:
        raise errors.Rejected(
            "one film is needed: video_url, metadata.source_video_id or "
            "metadata.video_media_id"
        )
    return made


def body_of(made: Plan, uploaded: Uploaded) -> dict[str, Any]:
    """The body with the ids of what was uploaded."""
    images = list(uploaded.images)
    ids: dict[str, Any] = given(
        video_media_id=uploaded.video, audio_media_id=uploaded.audio
    )
    if made.path == "transition":
        ids |= {"first_frame_img": images[0], "last_frame_img": images[1]}
    elif made.path == "fusion":
        ids["image_references"] = [
            {**reference, "img_id": img_id}
            for reference, img_id in zip(made.references, images, strict=True)
        ]
    elif len(images) == 1:
        ids["img_id"] = images[0]
    elif images:
        ids["img_ids"] = images
    return {**made.body, **ids}
