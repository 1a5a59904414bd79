"""What Luma's two APIs offer: models, what each can be asked for, and its limits.

Documentation: docs.lumalabs.ai and the official clients lumaai 1.21.0 and luma-agents
0.5.0, read November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.types import MediaType, Model

SHAPES = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
AGENT_SHAPES = (
    *("3:1", "2:1", "21:9", "16:9", "4:3", "3:2"),
    *("1:1", "3:4", "2:3", "9:16", "1:2", "1:3"),
)
AGENT_VIDEO_SHAPES = ("9:16", "3:4", "1:1", "4:3", "16:9", "21:9")

SHAPE = frozenset({"aspect_ratio", "size", "width", "height"})
SOUND = frozenset({"audio_url", "voice", "speed", "lyrics", "tags"})
UNSAID = SOUND | {"seed", "quality"}
"""Fields that neither API has a word for."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a model does: where, as which type, and in which unified words.

    `kind` is the upstream's word for it; "" where none is sent. A given field that is
    not among `says` cannot be expressed. `images` is how many are taken.
    """

    path: str
    kind: str = ""
    says: frozenset[str] = frozenset()
    images: int = 0


FRAMES = frozenset({"images", "duration", "resolution"}) | SHAPE
LOOKS = frozenset({"images", "output_format"}) | SHAPE

# Dream Machine. "{id}" is an earlier generation, named by `metadata.generation_id`.
RAY: Mapping[str, Operation] = {
    "generate": Operation("/generations/video", says=FRAMES, images=2),
    "extend": Operation("/generations/video", says=FRAMES, images=1),
    "modify": Operation(
        "/generations/video/modify",
        "modify_video",
        says=frozenset({"images", "video_url"}),
        images=1,
    ),
    "reframe": Operation(
        "/generations/video/reframe",
        "reframe_video",
        says=frozenset({"images", "video_url"}) | SHAPE,
        images=1,
    ),
    "upscale": Operation(
        "/generations/{id}/upscale", "upscale_video", says=frozenset({"resolution"})
    ),
    "audio": Operation(
        "/generations/{id}/audio", "add_audio", says=frozenset({"negative_prompt"})
    ),
}
PHOTON: Mapping[str, Operation] = {
    "generate": Operation("/generations/image", says=LOOKS, images=4),
    "edit": Operation("/generations/image", says=LOOKS, images=4),
    "reference": Operation("/generations/image", says=LOOKS, images=4),
    "style": Operation("/generations/image", says=LOOKS, images=4),
    "character": Operation("/generations/image", says=LOOKS, images=4),
    "reframe": Operation(
        "/generations/image/reframe", "reframe_image", says=LOOKS, images=1
    ),
}

# Luma Agents: one path, and a type in the body.
DRAWN = LOOKS | {"style"}
UNI: Mapping[str, Operation] = {
    "generate": Operation("/generations", "image", says=DRAWN, images=9),
    "reference": Operation("/generations", "image", says=DRAWN, images=9),
    # a source and up to eight references
    "edit": Operation("/generations", "image_edit", says=DRAWN, images=9),
}
LAYERING = Operation("/generations", "layering", says=DRAWN | {"resolution"}, images=1)
RAY_3: Mapping[str, Operation] = {
    "generate": Operation("/generations", "video", says=FRAMES, images=64),
    "edit": Operation(
        "/generations", "video_edit", says=FRAMES | {"video_url"}, images=64
    ),
    "reframe": Operation(
        "/generations", "video_reframe", says=(FRAMES | {"video_url"}) - {"images"}
    ),
}


def ray(name: str) -> Model:
    return Model(
        name=name,
        media_type=MediaType.VIDEO,
        actions=tuple(RAY),
        refuses=UNSAID | {"style"},  # camera moves are `metadata.concepts`
        max_images=2,
        max_n=1,
        aspect_ratios=SHAPES,
        resolutions=("540p", "720p", "1080p", "4k"),
        durations=(5.0, 9.0),
        output_formats=("mp4",),
        typical_s=90.0,
        longest_s=3600.0,
    )


def photon(name: str) -> Model:
    return Model(
        name=name,
        media_type=MediaType.IMAGE,
        actions=tuple(PHOTON),
        refuses=UNSAID
        | {"style", "negative_prompt", "video_url", "duration", "resolution"},
        max_images=4,
        max_n=1,
        aspect_ratios=SHAPES,
        output_formats=("jpg", "png"),
        typical_s=20.0,
        longest_s=1800.0,
    )


def uni(name: str, **limits: Any) -> Model:
    refuses = UNSAID | {"negative_prompt", "video_url", "duration"}
    return Model(
        name=name,
        media_type=MediaType.IMAGE,
        needs=frozenset({"prompt"}),
        refuses=refuses if "resolutions" in limits else refuses | {"resolution"},
        max_images=9,
        max_n=1,
        aspect_ratios=AGENT_SHAPES,  # the server narrows them by model
        output_formats=("png", "jpeg"),
        typical_s=30.0,
        longest_s=1800.0,
        **limits,
    )


MODELS: tuple[Model, ...] = (
    photon("photon-1"),
    photon("photon-flash-1"),
    ray("ray-2"),
    ray("ray-flash-2"),
)
OLD = ray("ray-1-6")
"""No longer listed by Luma; a channel that names it may still try."""

OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    model.name: PHOTON if model.media_type is MediaType.IMAGE else RAY
    for model in (*MODELS, OLD)
}

AGENT_MODELS: tuple[Model, ...] = (
    Model(
        name="ray-3.2",
        media_type=MediaType.VIDEO,
        actions=tuple(RAY_3),
        needs=frozenset({"prompt"}),
        refuses=UNSAID | {"style", "negative_prompt"},
        max_images=64,
        max_n=1,
        aspect_ratios=AGENT_VIDEO_SHAPES,
        resolutions=("360p", "540p", "720p", "1080p"),
        durations=(5.0, 10.0),
        output_formats=("mp4",),
        typical_s=120.0,
        longest_s=3600.0,
    ),
    # layering is offered by this model alone, and resolutions are its layers'
    uni("uni-1", actions=(*UNI, "layering"), resolutions=("1k", "2k")),
    uni("uni-1-max", actions=tuple(UNI)),
)
AGENT_OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "ray-3.2": RAY_3,
    "uni-1": {**UNI, "layering": LAYERING},
    "uni-1-max": UNI,
}
