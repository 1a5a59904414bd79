"""What Kling offers: under /v1 with the model in the body, newer with it in the path.

One upstream name may make films and images, and many endpoints of /v1 take no model at
all; a name here stands for one of each. Limits that the documentation leaves open are
left open. Source: kling.ai/document-api, read November 2026 (docs/providers/kling.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.dialects.kling_options import IMAGE_RATIOS, QUALITIES, VIDEO_RATIOS
from providers.types import MediaType, Model


class Kind(StrEnum):
    """How the body of an endpoint is made."""

    # of /v1
    VIDEO = "video"
    MANY_IMAGES = "multi-image video"
    OMNI_VIDEO = "omni video"
    EXTEND = "extend"
    MOTION = "motion"
    LIP_SYNC = "lip-sync"
    PLAIN = "plain"  # what is not the prompt comes by metadata
    AVATAR = "avatar"
    EFFECTS = "effects"
    IMAGE = "image"
    OMNI_IMAGE = "omni image"
    SUBJECTS = "subjects"
    ONE_IMAGE = "one image"
    TRY_ON = "try-on"
    SOUND = "sound"
    SOUNDTRACK = "soundtrack"
    SPEECH = "speech"
    # of the newer standard
    NEW_FRAMES = "new frames"
    NEW_OMNI = "new omni"
    NEW_MOTION = "new motion"


@dataclass(frozen=True, slots=True)
class Offer:
    """One model, the endpoints that make it, and what their bodies may say.

    `paths` are without and with images where there are two. `sent` is the model's name
    upstream. `levels` are the words of its resolution. `tracked`: the documentation
    says that the endpoint takes our name for the task, so one it does not know does
    not exist.
    """

    model: Model
    kind: Kind
    paths: tuple[str, ...]
    sent: str = ""
    levels: tuple[str, ...] = ()
    tracked: bool = False
    has_audio: bool = False
    has_shots: bool = False
    has_last_frame: bool = True


# Fields that Kling has no word for.
UNSAID = frozenset({"seed", "style"})
FILES = frozenset({"audio_url", "video_url"})
SHAPE = frozenset({"size", "width", "height", "aspect_ratio", "resolution", "quality"})

HD = ("720p", "1080p")
ULTRA = (*HD, "4k")
SHORT = (5.0, 10.0)
MOST_PROMPT = 2500
MOST_NEW_PROMPT = 3072
MOST_SPEECH = 1000

VIDEO_S = {"typical_s": 150.0, "longest_s": 7200.0}
IMAGE_S = {"typical_s": 20.0, "longest_s": 1800.0}
AUDIO_S = {"typical_s": 30.0, "longest_s": 1800.0}


def film(name: str, levels: tuple[str, ...] = (), **limits: Any) -> Model:
    """A model that makes one film; without `levels` it has no choice of resolution."""
    refuses = UNSAID | limits.pop("refuses", FILES)
    if not levels:
        refuses |= {"resolution", "quality"}
    return Model(
        name=name,
        media_type=MediaType.VIDEO,
        refuses=frozenset(refuses),
        max_n=1,
        resolutions=levels,
        qualities=tuple(q for q in QUALITIES if QUALITIES[q] in levels),
        **{"max_prompt": MOST_PROMPT, **VIDEO_S, **limits},
    )


def shaped_film(name: str, levels: tuple[str, ...] = (), **limits: Any) -> Model:
    return film(name, levels, aspect_ratios=VIDEO_RATIOS, **limits)


def image(name: str, levels: tuple[str, ...] = (), **limits: Any) -> Model:
    refuses = UNSAID | FILES | {"duration", "quality"} | limits.pop("refuses", set())
    if not levels:
        refuses |= {"resolution"}
    return Model(
        name=name,
        media_type=MediaType.IMAGE,
        refuses=frozenset(refuses),
        resolutions=levels,
        **{"max_prompt": MOST_PROMPT, "max_n": 9, **IMAGE_S, **limits},
    )


def sound(name: str, refuses: frozenset[str], **limits: Any) -> Model:
    return Model(
        name=name,
        media_type=MediaType.AUDIO,
        refuses=UNSAID | SHAPE | {"images", "negative_prompt"} | refuses,
        max_n=1,
        **{**AUDIO_S, **limits},
    )


# /v1

VIDEOS = "/v1/videos"
TEXT_TO_VIDEO = f"{VIDEOS}/text2video"
IMAGE_TO_VIDEO = f"{VIDEOS}/image2video"
OMNI_VIDEO = f"{VIDEOS}/omni-video"
IMAGES = "/v1/images/generations"
OMNI_IMAGES = "/v1/images/omni-image"
SPEECH = "/v1/audio/tts"


def films() -> Iterator[Offer]:
    """Films from a text or frames."""
    both = (TEXT_TO_VIDEO, IMAGE_TO_VIDEO)
    for name, levels, limits in (
        ("kling-v3", ULTRA, {"duration_range": (3.0, 15.0)}),
        ("kling-v2-6", HD, {"durations": SHORT}),
        ("kling-v2-5-turbo", HD, {"durations": SHORT}),
        ("kling-v2-1-master", (), {"durations": SHORT}),
        ("kling-v2-master", (), {"durations": SHORT}),
        ("kling-v1-6", HD, {"durations": SHORT}),
        ("kling-v1", HD, {"durations": SHORT}),
    ):
        model = shaped_film(name, levels, max_images=2, **limits)
        yield Offer(model, Kind.VIDEO, both, name, levels, tracked=True)
    for name in ("kling-v2-1", "kling-v1-5"):
        model = film(
            name, HD, needs=frozenset({"images"}), max_images=2, durations=SHORT
        )
        yield Offer(model, Kind.VIDEO, (IMAGE_TO_VIDEO,), name, levels=HD, tracked=True)
    for name, levels, longest in (
        ("kling-v3-omni", ULTRA, 15.0),
        ("kling-video-o1", HD, 10.0),
    ):
        model = shaped_film(
            name,
            levels,
            max_images=7,
            duration_range=(3.0, longest),
            refuses={"audio_url", "negative_prompt"},
        )
        yield Offer(model, Kind.OMNI_VIDEO, (OMNI_VIDEO,), name, levels, tracked=True)
    yield Offer(
        shaped_film(
            "kling-v1-6-multi-image",
            HD,
            needs=frozenset({"images"}),
            max_images=4,
            durations=SHORT,
        ),
        Kind.MANY_IMAGES,
        (f"{VIDEOS}/multi-image2video",),
        "kling-v1-6",
        HD,
    )


def reworked_films() -> Iterator[Offer]:
    """Films from a film, a voice or an effect, most without a choice of model."""
    given = UNSAID | {"duration", "aspect_ratio"}
    yield Offer(
        film(
            "kling-v2-6-motion-control",
            HD,
            needs=frozenset({"images", "video_url"}),
            max_images=1,
            refuses=given | {"audio_url", "negative_prompt"},
        ),
        Kind.MOTION,
        (f"{VIDEOS}/motion-control",),
        "kling-v2-6",
        HD,
    )
    yield Offer(
        film("kling-video-extend", refuses=given | FILES | {"images"}),
        Kind.EXTEND,
        (f"{VIDEOS}/video-extend",),
    )
    yield Offer(
        film("kling-lip-sync", refuses=given | {"images", "negative_prompt"}),
        Kind.LIP_SYNC,
        (f"{VIDEOS}/lip-sync",),
    )
    yield Offer(
        film(
            "kling-advanced-lip-sync",
            refuses=given | FILES | {"images", "negative_prompt"},
        ),
        Kind.PLAIN,
        (f"{VIDEOS}/advanced-lip-sync",),
    )
    yield Offer(
        film(
            "kling-avatar",
            HD,
            needs=frozenset({"images"}),
            max_images=1,
            refuses=given | {"video_url", "negative_prompt"},
            longest_s=4 * 3600.0,
        ),
        Kind.AVATAR,
        (f"{VIDEOS}/avatar/image2video",),
        levels=HD,
    )
    yield Offer(
        film(
            "kling-effects",
            HD,
            needs=frozenset({"images"}),
            max_images=2,
            durations=SHORT,
            refuses=FILES | {"aspect_ratio", "negative_prompt"},
        ),
        Kind.EFFECTS,
        (f"{VIDEOS}/effects",),
        "kling-v1-6",
        HD,
    )
    yield Offer(
        film(
            "kling-multi-elements",
            HD,
            durations=SHORT,
            refuses=FILES | {"aspect_ratio"},
        ),
        Kind.PLAIN,
        (f"{VIDEOS}/multi-elements",),
        "kling-v1-6",
        HD,
    )


def images() -> Iterator[Offer]:
    """Images; a name that makes films as well ends in `-image` here."""
    for name, sent in (
        ("kling-v3-image", "kling-v3"),
        ("kling-v2-1-image", "kling-v2-1"),
        ("kling-v2-new", "kling-v2-new"),
        ("kling-v2", "kling-v2"),
        ("kling-v1-5-image", "kling-v1-5"),
        ("kling-v1-image", "kling-v1"),
    ):
        model = image(name, ("1k", "2k"), aspect_ratios=IMAGE_RATIOS, max_images=1)
        yield Offer(model, Kind.IMAGE, (IMAGES,), sent, ("1k", "2k"), tracked=True)
    for name, sent in (
        ("kling-v3-omni-image", "kling-v3-omni"),
        ("kling-image-o1", "kling-image-o1"),
    ):
        # of v3; that it makes them is not confirmed, Kling refuses them else
        most = ("4k",) if sent == "kling-v3-omni" else ()
        levels = ("1k", "2k", *most)
        yield Offer(
            image(
                name,
                levels,
                aspect_ratios=IMAGE_RATIOS,
                max_images=10,
                refuses={"negative_prompt"},
            ),
            Kind.OMNI_IMAGE,
            (OMNI_IMAGES,),
            sent,
            levels,
        )
    needs_images = frozenset({"images"})
    yield Offer(
        image(
            "kling-v2-multi-image",
            aspect_ratios=IMAGE_RATIOS,
            max_images=4,
            needs=needs_images,
            refuses={"negative_prompt"},
        ),
        Kind.SUBJECTS,
        ("/v1/images/multi-image2image",),
        "kling-v2",
    )
    yield Offer(
        image(
            "kling-image-expand",
            max_images=1,
            needs=needs_images,
            refuses=(SHAPE | {"negative_prompt"}),
        ),
        Kind.ONE_IMAGE,
        ("/v1/images/editing/expand",),
    )
    yield Offer(
        image(
            "kolors-virtual-try-on-v1-5",
            max_images=2,
            max_n=1,
            needs=needs_images,
            refuses=(SHAPE | {"negative_prompt"}),
        ),
        Kind.TRY_ON,
        ("/v1/images/kolors-virtual-try-on",),
        "kolors-virtual-try-on-v1-5",
    )


def sounds() -> Iterator[Offer]:
    """Sounds and speech."""
    formats = ("mp3", "wav")
    yield Offer(
        sound(
            "kling-text-to-audio",
            FILES | {"voice", "speed"},
            duration_range=(3.0, 10.0),
            output_formats=formats,
        ),
        Kind.SOUND,
        ("/v1/audio/text-to-audio",),
    )
    yield Offer(
        sound(
            "kling-video-to-audio",
            frozenset({"audio_url", "voice", "speed", "duration"}),
            output_formats=formats,
        ),
        Kind.SOUNDTRACK,
        ("/v1/audio/video-to-audio",),
    )
    yield Offer(
        sound(
            "kling-tts",
            FILES | {"duration"},
            sync=True,
            needs=frozenset({"voice"}),
            max_prompt=MOST_SPEECH,
            speed_range=(0.8, 2.0),
            output_formats=("mp3",),
            typical_s=5.0,
            longest_s=300.0,
        ),
        Kind.SPEECH,
        (SPEECH,),
    )


LEGACY: tuple[Offer, ...] = (*films(), *reworked_films(), *images(), *sounds())


# The newer standard


def new_films() -> Iterator[Offer]:
    plain = FILES | {"negative_prompt"}
    for name, levels, limits, extra in (
        (
            "kling-3.0",
            ULTRA,
            {"duration_range": (3.0, 15.0), "max_images": 2},
            {"has_audio": True, "has_shots": True},
        ),
        # it always has sound, cuts by the words of its prompt, and takes a first frame
        (
            "kling-3.0-turbo",
            HD,
            {"duration_range": (3.0, 15.0), "max_images": 1},
            {"has_last_frame": False},
        ),
        (
            "kling-2.6",
            HD,
            {"durations": SHORT, "max_images": 2},
            {"has_audio": True},
        ),
        ("kling-2.5-turbo", HD, {"durations": SHORT, "max_images": 2}, {}),
    ):
        model = shaped_film(
            name, levels, refuses=plain, max_prompt=MOST_NEW_PROMPT, **limits
        )
        yield Offer(
            model,
            Kind.NEW_FRAMES,
            (f"/text-to-video/{name}", f"/image-to-video/{name}"),
            name,
            levels,
            tracked=True,
            **extra,
        )
    for name, levels, longest, shots in (
        ("kling-3.0-omni", ULTRA, 15.0, True),
        ("kling-o1", HD, 10.0, False),
    ):
        model = shaped_film(
            name,
            levels,
            max_images=7,
            duration_range=(3.0, longest),
            refuses={"audio_url", "negative_prompt"},
            max_prompt=MOST_NEW_PROMPT,
        )
        yield Offer(
            model,
            Kind.NEW_OMNI,
            (f"/omni-video/{name}",),
            name,
            levels,
            tracked=True,
            has_audio=shots,
            has_shots=shots,
        )
    for sent in ("kling-3.0", "kling-2.6"):
        model = film(
            f"{sent}-motion-control",
            HD,
            needs=frozenset({"images", "video_url"}),
            max_images=1,
            refuses={"audio_url", "negative_prompt", "duration", "aspect_ratio"},
            max_prompt=MOST_NEW_PROMPT,
        )
        yield Offer(
            model,
            Kind.NEW_MOTION,
            (f"/motion-control/{sent}",),
            sent,
            HD,
            tracked=True,
        )


NEW: tuple[Offer, ...] = tuple(new_films())

LEGACY_BY_NAME = {offer.model.name: offer for offer in LEGACY}
NEW_BY_NAME = {offer.model.name: offer for offer in NEW}
