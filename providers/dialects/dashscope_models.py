"""What DashScope offers: each model's limits, its path, and how its body is written.

A limit that the documentation leaves open is left open here too: the upstream refuses
it, and its refusal costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from providers.dialects import dashscope_bodies as bodies
from providers.types import MediaType, Model

TEXT_TO_IMAGE = "/services/aigc/text2image/image-synthesis"
IMAGE_TO_IMAGE = "/services/aigc/image2image/image-synthesis"
MULTIMODAL = "/services/aigc/multimodal-generation/generation"
IMAGE_GENERATION = "/services/aigc/image-generation/generation"
VIDEO = "/services/aigc/video-generation/video-synthesis"
IMAGE_TO_VIDEO = "/services/aigc/image2video/video-synthesis"
SPEECH = "/services/audio/tts/SpeechSynthesizer"

# the upstream itself gives a task up after three hours ("InternalError.Timeout")
LONGEST_TASK_S = 3 * 3600.0 + 600
# and a synchronous answer after 298 seconds
LONGEST_ANSWER_S = 300.0

LOOKS = frozenset({"images", "audio_url", "video_url"})


@dataclass(frozen=True, slots=True)
class Offer:
    """One model, where it is asked for, and how.

    `rest` names the object that takes a client's further metadata.
    """

    model: Model
    path: str
    write: bodies.Write
    rest: str = "parameters"


def image(
    name: str,
    path: str,
    write: bodies.Write,
    *,
    takes: Iterable[str] = (),
    refuses: Iterable[str] = (),
    typical_s: float = 20.0,
    **limits: Any,
) -> Offer:
    return Offer(
        Model(
            name=name,
            media_type=MediaType.IMAGE,
            refuses=(LOOKS | frozenset(refuses)) - frozenset(takes),
            typical_s=typical_s,
            longest_s=LONGEST_ANSWER_S if limits.get("sync") else LONGEST_TASK_S,
            **limits,
        ),
        path,
        write,
    )


def video(
    name: str,
    write: bodies.Write,
    *,
    path: str = VIDEO,
    takes: Iterable[str] = (),
    refuses: Iterable[str] = (),
    **limits: Any,
) -> Offer:
    return Offer(
        Model(
            name=name,
            media_type=MediaType.VIDEO,
            refuses=(LOOKS | frozenset(refuses)) - frozenset(takes),
            typical_s=150.0,
            longest_s=LONGEST_TASK_S,
            **limits,
        ),
        path,
        write,
    )


def speech(name: str, path: str, write: bodies.Write, **limits: Any) -> Offer:
    """A voice is needed: the upstream has no default, and none serves every model."""
    refuses = LOOKS | limits.pop("refuses", frozenset())
    return Offer(
        Model(
            name=name,
            media_type=MediaType.AUDIO,
            sync=True,
            needs=frozenset({"voice"}),
            refuses=refuses,
            typical_s=3.0,
            longest_s=LONGEST_ANSWER_S,
            **limits,
        ),
        path,
        write,
        rest="input",
    )


def sizes(offered: Iterable[bodies.Size]) -> tuple[str, ...]:
    return tuple(f"{width}x{height}" for width, height in offered)


def video_sizes(*resolutions: str) -> tuple[str, ...]:
    return sizes(size for level in resolutions for size in bodies.VIDEO_SIZES[level])


PIXELS_WAN = (1280**2, 1440**2)
IMAGES = frozenset({"images"})
SHAPE = frozenset({"size", "width", "height", "aspect_ratio", "resolution"})
FIVE = (5.0,)


def legacy_images() -> Iterable[Offer]:
    """Asynchronous only; `wan2.1-t2i-*` is the international spelling of wanx2.1."""
    path = TEXT_TO_IMAGE
    plain: dict[str, Any] = {"refuses": {"resolution"}, "max_n": 4}
    short = bodies.text_to_image(bodies.size_among(*bodies.SHORT_SIDE_SIZES))
    yield image(
        "wan2.5-t2i-preview",
        path,
        bodies.text_to_image(bodies.size_among(*bodies.WAN_SIZES)),
        max_prompt=2000,
        pixel_range=PIXELS_WAN,
        ratio_range=(0.25, 4.0),
        **plain,
    )
    for name, longest in {
        "wan2.2-t2i-flash": 500,
        "wan2.2-t2i-plus": 500,
        "wanx2.1-t2i-turbo": 500,
        "wanx2.1-t2i-plus": 500,
        "wan2.1-t2i-turbo": 500,
        "wan2.1-t2i-plus": 500,
        "wanx2.0-t2i-turbo": 800,
    }.items():
        yield image(
            name, path, short, max_prompt=longest, side_range=(512, 1440), **plain
        )
    yield image(
        "wanx-v1",
        path,
        bodies.wanx_v1,
        takes=IMAGES,
        max_prompt=800,
        max_images=1,
        sizes=sizes(bodies.WANX_V1_SIZES),
        **plain,
    )
    for name in ("qwen-image", "qwen-image-plus"):
        yield image(
            name,
            path,
            bodies.text_to_image(bodies.size_among(*bodies.QWEN_SIZES)),
            refuses={"resolution"},
            sizes=sizes(bodies.QWEN_SIZES),
            max_n=1,
        )


def legacy_edits() -> Iterable[Offer]:
    yield image(
        "wan2.5-i2i-preview",
        IMAGE_TO_IMAGE,
        bodies.image_list,
        takes=IMAGES,
        needs=IMAGES,
        refuses={"resolution"},
        max_n=4,
    )
    yield image(
        "wanx2.1-imageedit",
        IMAGE_TO_IMAGE,
        bodies.image_edit,
        takes=IMAGES,
        needs=IMAGES,
        refuses=SHAPE,
        max_images=2,
    )
    for name, path in {
        "qwen-mt-image": IMAGE_TO_IMAGE,
        "wanx-style-repaint-v1": IMAGE_GENERATION,
    }.items():
        yield image(
            name,
            path,
            bodies.one_image,
            takes=IMAGES,
            needs=IMAGES,
            refuses=SHAPE | {"seed"},
            max_images=1,
            max_n=1,
        )


def message_images() -> Iterable[Offer]:
    """Where both ways are open the asynchronous one is taken: its id survives."""
    path = IMAGE_GENERATION
    level = bodies.message(bodies.level_or_size)
    yield image(
        "wan2.6-t2i",
        path,
        bodies.message(bodies.size_among(*bodies.WAN_SIZES)),
        refuses={"resolution"},
        max_prompt=2100,
        max_n=4,
        pixel_range=PIXELS_WAN,
        ratio_range=(0.25, 4.0),
    )
    yield image(
        "wan2.6-image",
        path,
        level,
        takes=IMAGES,
        needs=IMAGES,
        max_prompt=2000,
        max_images=4,
        max_n=4,
        resolutions=("1K", "2K"),
    )
    wan27: dict[str, Any] = {
        "takes": IMAGES,
        "max_prompt": 5000,
        "max_images": 9,
        # 4, but 12 with `enable_sequential`: the upstream knows which
        "max_n": 12,
        "ratio_range": (0.125, 8.0),
    }
    yield image(
        "wan2.7-image",
        path,
        level,
        resolutions=("1K", "2K"),
        pixel_range=(768**2, 2048**2),
        **wan27,
    )
    # beyond 2048² only without images: the upstream knows
    yield image(
        "wan2.7-image-pro",
        path,
        level,
        resolutions=("1K", "2K", "4K"),
        pixel_range=(768**2, 4096**2),
        **wan27,
    )
    # an image at most, 1 to 9 outputs ("kling-image-generation-api-reference")
    yield image(
        "kling/kling-v3-image-generation",
        path,
        bodies.kling_message,
        takes=IMAGES,
        max_images=1,
        max_n=9,
        resolutions=("1K", "2K"),
        aspect_ratios=bodies.KLING_RATIOS,
    )

    qwen = bodies.message(bodies.size_among(*bodies.QWEN_SIZES))
    yield image(
        "qwen-image-max",
        MULTIMODAL,
        qwen,
        sync=True,
        refuses={"resolution"},
        sizes=sizes(bodies.QWEN_SIZES),
        max_n=1,
    )
    for name in ("qwen-image-2.0", "qwen-image-2.0-pro", "qwen-image-3.0-pro"):
        yield image(
            name, MULTIMODAL, qwen, sync=True, takes=IMAGES, refuses={"resolution"}
        )
    for name, most in {
        "qwen-image-edit": 1,
        "qwen-image-edit-plus": None,
        "qwen-image-edit-max": None,
    }.items():
        yield image(
            name,
            MULTIMODAL,
            qwen,
            sync=True,
            takes=IMAGES,
            needs=IMAGES,
            refuses={"resolution"},
            max_prompt=800,
            max_images=3,
            max_n=most,
        )
    yield image(
        "z-image-turbo",
        MULTIMODAL,
        bodies.message(bodies.size_among(*bodies.SHORT_SIDE_SIZES), with_n=False),
        sync=True,
        refuses={"resolution"},
        typical_s=10.0,
        max_n=1,
    )


def old_videos() -> Iterable[Offer]:
    """Text to video by `size`, image to video by `resolution`."""
    for name, levels, limits in (
        ("wan2.6-t2v", ("720P", "1080P"), {"duration_range": (2.0, 15.0)}),
        ("wan2.5-t2v-preview", ("480P", "720P", "1080P"), {"durations": (5.0, 10.0)}),
        ("wan2.2-t2v-plus", ("480P", "1080P"), {"durations": FIVE}),
        ("wanx2.1-t2v-turbo", ("480P", "720P"), {"durations": FIVE}),
        ("wanx2.1-t2v-plus", ("720P",), {"durations": FIVE}),
    ):
        yield video(
            name,
            bodies.old_text_to_video(
                *levels, with_duration=limits.get("durations") != FIVE
            ),
            takes={"audio_url"} if name.startswith(("wan2.5", "wan2.6")) else (),
            resolutions=levels,
            sizes=video_sizes(*levels),
            **limits,
        )
    for name, levels, limits in (
        ("wan2.6-i2v", ("720P", "1080P"), {"duration_range": (2.0, 15.0)}),
        ("wan2.6-i2v-flash", ("720P", "1080P"), {"duration_range": (2.0, 15.0)}),
        ("wan2.5-i2v-preview", ("480P", "720P", "1080P"), {"durations": (5.0, 10.0)}),
        ("wan2.2-i2v-flash", ("480P", "720P"), {"durations": FIVE}),
        ("wan2.2-i2v-plus", ("480P", "1080P"), {"durations": FIVE}),
        ("wanx2.1-i2v-turbo", ("480P", "720P"), {"duration_range": (3.0, 5.0)}),
        ("wanx2.1-i2v-plus", ("720P",), {"durations": FIVE}),
    ):
        with_audio = name.startswith(("wan2.5", "wan2.6"))
        yield video(
            name,
            bodies.old_image_to_video(
                *levels, with_duration=limits.get("durations") != FIVE
            ),
            takes=IMAGES | ({"audio_url"} if with_audio else set()),
            needs=IMAGES,
            refuses={"aspect_ratio"},
            max_images=1,
            # the documentation names none for wanx2.1-i2v-turbo
            resolutions=() if name == "wanx2.1-i2v-turbo" else levels,
            **limits,
        )
    for name in ("wan2.6-r2v", "wan2.6-r2v-flash"):
        yield video(
            name,
            bodies.reference_urls,
            takes={"images", "video_url"},
            max_images=5,
            duration_range=(2.0, 10.0),
        )
    for name, tiers in {
        "wan2.2-kf2v-flash": ("480P", "720P", "1080P"),
        "wanx2.1-kf2v-plus": ("720P",),
    }.items():
        yield video(
            name,
            bodies.key_frames(*tiers),
            path=IMAGE_TO_VIDEO,
            takes=IMAGES,
            needs=IMAGES,
            refuses={"aspect_ratio"},
            max_prompt=800,
            max_images=2,
            resolutions=tiers,
            durations=FIVE,
        )
    yield video(
        "wan2.2-s2v",
        bodies.talking_head,
        path=IMAGE_TO_VIDEO,
        takes={"images", "audio_url"},
        needs={"images", "audio_url"},
        refuses={"aspect_ratio", "duration", "negative_prompt", "seed"},
        max_images=1,
        resolutions=("480P", "720P"),
    )
    for name in ("wan2.1-vace-plus", "wanx2.1-vace-plus"):
        yield video(
            name,
            bodies.vace,
            takes={"images", "video_url"},
            max_images=3,
            durations=FIVE,
        )


def new_videos() -> Iterable[Offer]:
    for name in ("wan3.0-video", "wan3.0-video-prime"):
        yield video(
            name,
            bodies.media_video(bodies.frames_or_references, "480P", "720P", "1080P"),
            takes=LOOKS,
            max_images=10,
            resolutions=("480P", "720P", "1080P"),
            aspect_ratios=(*bodies.VIDEO_RATIOS, "adaptive"),
            duration_range=(2.0, 30.0),
        )
    two = ("720P", "1080P")
    for name in ("wan2.7-t2v", "wan2.7-t2v-2026-04-25", "wan2.7-t2v-2026-06-12"):
        yield video(
            name,
            bodies.media_video(bodies.no_media, *two, with_audio=True),
            takes={"audio_url"},
            max_prompt=5000,
            resolutions=two,
            aspect_ratios=bodies.VIDEO_RATIOS,
            duration_range=(2.0, 15.0),
        )
    for name in ("wan2.7-i2v", "wan2.7-i2v-2026-04-25"):
        yield video(
            name,
            bodies.media_video(bodies.frames, *two, with_ratio=False),
            takes=LOOKS,
            refuses={"aspect_ratio"},
            max_images=2,
            resolutions=two,
            duration_range=(2.0, 15.0),
        )
    yield video(
        "wan2.7-r2v",
        bodies.media_video(bodies.references, *two),
        takes={"images", "video_url"},
        max_images=5,
        resolutions=two,
        duration_range=(2.0, 15.0),
    )
    yield video(
        "wan2.7-videoedit",
        bodies.media_video(bodies.edited_video, *two),
        takes={"images", "video_url"},
        needs={"video_url"},
        resolutions=two,
    )
    for version in ("1.0", "1.1"):
        family = f"happyhorse-{version}"
        yield video(
            f"{family}-t2v",
            bodies.media_video(bodies.no_media, *two, with_audio=True),
            takes={"audio_url"},
        )
        yield video(
            f"{family}-i2v",
            bodies.media_video(bodies.frames, *two),
            takes=LOOKS,
            max_images=2,
        )
        yield video(
            f"{family}-r2v",
            bodies.media_video(bodies.references, *two),
            takes={"images", "video_url"},
        )
        yield video(
            f"{family}-video-edit",
            bodies.media_video(bodies.edited_video, *two),
            takes={"images", "video_url"},
            needs={"video_url"},
            max_images=5,
        )


def voices() -> Iterable[Offer]:
    """CosyVoice is offered in Beijing only; its voices and Qwen's are different."""
    for version in ("v2", "v3-flash", "v3-plus", "v3.5-flash", "v3.5-plus"):
        yield speech(
            f"cosyvoice-{version}",
            SPEECH,
            bodies.cosyvoice,
            output_formats=("mp3", "wav", "pcm", "opus"),
        )
    for name in ("qwen3-tts-flash", "qwen3-tts-instruct-flash", "qwen-tts"):
        yield qwen_voice(name)


def qwen_voice(name: str) -> Offer:
    return speech(
        name,
        MULTIMODAL,
        bodies.qwen_speech,
        refuses=frozenset({"speed", "seed"}),
        max_prompt=600,
        output_formats=("wav",),
    )


OFFERS: dict[str, Offer] = {
    offer.model.name: offer
    for family in (
        legacy_images,
        legacy_edits,
        message_images,
        old_videos,
        new_videos,
        voices,
    )
    for offer in family()
}
MODELS = tuple(offer.model for offer in OFFERS.values())

# cloned and designed voices come with dated models of their own
VOICE_FAMILIES = ("qwen3-tts-vc-", "qwen3-tts-vd-")
DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def find_offer(name: str) -> Offer | None:
    """The offer of a model, of a dated snapshot of it, or of a voice family."""
    if name in OFFERS:
        return OFFERS[name]
    if name.startswith(VOICE_FAMILIES):
        return qwen_voice(name)
    offer = OFFERS.get(DATED.sub("", name))
    return replace(offer, model=replace(offer.model, name=name)) if offer else None


def describe(name: str) -> Model | None:
    offer = find_offer(name)
    return offer.model if offer else None
