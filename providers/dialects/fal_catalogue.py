"""fal's endpoints that are known well: what each makes, takes and refuses.

Source: the published input and output types of the JavaScript client (August 2026;
veo3 and sora-2 from April 2026) and the model pages, read November 2026. Endpoints
outside this table are guessed (`fal_guesses.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from providers.dialects.fal_spellings import (
    ELEVENLABS_FORMATS,
    IMAGE_FORMATS,
    Seconds,
    Shape,
    Spelling,
    Voice,
)
from providers.types import MediaType, Model

SIZE_FIELDS = frozenset({"size", "width", "height", "aspect_ratio"})
REFUSABLE = SIZE_FIELDS | {
    "negative_prompt",
    "images",
    "audio_url",
    "video_url",
    "resolution",
    "duration",
    "seed",
    "quality",
    "style",
    "output_format",
    "voice",
    "speed",
    "title",
    "tags",
    "lyrics",
}

TALL_TO_WIDE = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
NANO = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")
EXTREME = ("4:1", "1:4", "8:1", "1:8")
BOTH_WAYS = ("16:9", "9:16")
WITH_SQUARE = ("16:9", "9:16", "1:1")
JPEG_PNG = ("jpeg", "jpg", "png")
WITH_WEBP = (*JPEG_PNG, "webp")
NEEDS_IMAGE = frozenset({"images"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: its limits, and how its input is spelled."""

    model: Model
    spelling: Spelling


def takes(spelling: Spelling) -> frozenset[str]:
    """The unified fields that this spelling can say."""
    fields = set(spelling.same)
    if spelling.frames or spelling.references:
        fields.add("images")
    if spelling.shape is not Shape.NONE:
        fields |= SIZE_FIELDS
    if spelling.duration:
        fields.add("duration")
    if spelling.lyrics:
        fields.add("lyrics")
    if spelling.formats is not None:
        fields.add("output_format")
    if spelling.voice is Voice.FLAT or (spelling.voice and spelling.speaks):
        fields |= {"voice", "speed"}
    return frozenset(fields)


def limited(
    name: str,
    media_type: MediaType,
    spelling: Spelling,
    *,
    lacks: frozenset[str] = frozenset(),
    **limits: Any,
) -> Endpoint:
    """An endpoint that refuses every field its spelling has no word for."""
    most_images = None if spelling.references else len(spelling.frames) or None
    model = Model(
        name=name,
        media_type=media_type,
        **{
            "refuses": (REFUSABLE - takes(spelling)) | lacks,
            "max_images": most_images,
            "max_n": None if spelling.count else 1,
            **limits,
        },
    )
    return Endpoint(model, spelling)


def image(
    name: str, spelling: Spelling, *, typical_s: float = 12, **limits: Any
) -> Endpoint:
    formats = WITH_WEBP if "webp" in limits.pop("also", ()) else JPEG_PNG
    if spelling.formats is not None:
        limits.setdefault("output_formats", formats)
    return limited(
        name,
        MediaType.IMAGE,
        spelling,
        typical_s=typical_s,
        # accounts run 2 to 40 requests at a time, the others wait in fal's queue
        longest_s=1800,
        **limits,
    )


def video(
    name: str, spelling: Spelling, *, typical_s: float = 120, **limits: Any
) -> Endpoint:
    if spelling.ratios:
        limits.setdefault("aspect_ratios", spelling.ratios)
    return limited(
        name, MediaType.VIDEO, spelling, typical_s=typical_s, longest_s=3600, **limits
    )


def audio(
    name: str, spelling: Spelling, *, typical_s: float = 10, **limits: Any
) -> Endpoint:
    return limited(
        name, MediaType.AUDIO, spelling, typical_s=typical_s, longest_s=1800, **limits
    )


# --- images

SEEDED = frozenset({"seed"})
FLUX = Spelling(
    shape=Shape.IMAGE_SIZE, count="num_images", same=SEEDED, formats=IMAGE_FORMATS
)
FLUX_RATIO = replace(FLUX, shape=Shape.RATIO, ratios=TALL_TO_WIDE)
FLUX_2 = replace(FLUX, count=None)
BANANA = replace(FLUX, shape=Shape.RATIO, ratios=NANO)
BANANA_PRO = replace(BANANA, same=SEEDED | {"resolution"})
BANANA_2 = replace(BANANA_PRO, ratios=NANO + EXTREME)
GPT = replace(FLUX, same=frozenset({"quality"}))
GPT_PIXELS = replace(GPT, shape=Shape.PIXELS)
SEEDREAM = replace(FLUX, formats=None)
QWEN = replace(FLUX, same=SEEDED | {"negative_prompt"})
UNI = Spelling(
    shape=Shape.RATIO,
    ratios=("3:1", "2:1", "16:9", "3:2", "1:1", "2:3", "9:16", "1:2", "1:3"),
    references="reference_image_urls",
    same=frozenset({"style"}),
    formats=IMAGE_FORMATS,
)
SEEDREAM_LIMITS: Mapping[str, Any] = {
    "side_range": (1920, 4096),
    "ratio_range": (1920 / 4096, 4096 / 1920),
}


def edits(spelling: Spelling) -> Spelling:
    """The sibling that edits a list of images."""
    return replace(spelling, references="image_urls")


IMAGES = (
    image("fal-ai/flux/dev", FLUX, max_n=4, typical_s=6),
    image("fal-ai/flux/schnell", FLUX, max_n=4, typical_s=3),
    image("fal-ai/flux-pro/v1.1", FLUX),
    # the ratio is free here, beside the nine that are named
    image("fal-ai/flux-pro/v1.1-ultra", replace(FLUX_RATIO, frames=("image_url",))),
    image(
        "fal-ai/flux-pro/kontext",
        replace(FLUX_RATIO, frames=("image_url",)),
        needs=NEEDS_IMAGE,
        aspect_ratios=TALL_TO_WIDE,
    ),
    image(
        "fal-ai/flux-pro/kontext/multi",
        edits(FLUX_RATIO),
        needs=NEEDS_IMAGE,
        aspect_ratios=TALL_TO_WIDE,
    ),
    image("fal-ai/flux-2-pro", FLUX_2),
    image("fal-ai/flux-2-pro/edit", edits(FLUX_2), needs=NEEDS_IMAGE),
    image("fal-ai/nano-banana", BANANA, also=("webp",), aspect_ratios=NANO),
    image(
        "fal-ai/nano-banana/edit",
        edits(BANANA),
        also=("webp",),
        needs=NEEDS_IMAGE,
        aspect_ratios=("auto", *NANO),
    ),
    image(
        "fal-ai/nano-banana-pro",
        BANANA_PRO,
        also=("webp",),
        aspect_ratios=("auto", *NANO),
        resolutions=("1K", "2K", "4K"),
        typical_s=25,
    ),
    image(
        "fal-ai/nano-banana-pro/edit",
        edits(BANANA_PRO),
        also=("webp",),
        needs=NEEDS_IMAGE,
        aspect_ratios=("auto", *NANO),
        resolutions=("1K", "2K", "4K"),
        typical_s=25,
    ),
    image(
        "fal-ai/nano-banana-2",
        BANANA_2,
        also=("webp",),
        aspect_ratios=("auto", *NANO, *EXTREME),
        resolutions=("0.5K", "1K", "2K", "4K"),
        typical_s=20,
    ),
    image(
        "fal-ai/nano-banana-2/edit",
        replace(edits(BANANA_2), same=BANANA_2.same | {"audio_url", "video_url"}),
        also=("webp",),
        aspect_ratios=("auto", *NANO, *EXTREME),
        resolutions=("0.5K", "1K", "2K", "4K"),
        typical_s=20,
    ),
    image(
        "openai/gpt-image-2",
        GPT,
        also=("webp",),
        qualities=("auto", "low", "medium", "high"),
        typical_s=45,
    ),
    image(
        "openai/gpt-image-2/edit",
        edits(GPT),
        also=("webp",),
        needs=NEEDS_IMAGE,
        max_images=16,
        qualities=("auto", "low", "medium", "high"),
        typical_s=45,
    ),
    image(
        "fal-ai/gpt-image-1.5",
        GPT_PIXELS,
        also=("webp",),
        sizes=("1024x1024", "1536x1024", "1024x1536"),
        qualities=("low", "medium", "high"),
        typical_s=40,
    ),
    image(
        "fal-ai/gpt-image-1.5/edit",
        edits(GPT_PIXELS),
        also=("webp",),
        needs=NEEDS_IMAGE,
        sizes=("auto", "1024x1024", "1536x1024", "1024x1536"),
        qualities=("low", "medium", "high"),
        typical_s=40,
    ),
    image("fal-ai/bytedance/seedream/v4.5/text-to-image", SEEDREAM, **SEEDREAM_LIMITS),
    image(
        "fal-ai/bytedance/seedream/v4.5/edit",
        edits(SEEDREAM),
        needs=NEEDS_IMAGE,
        max_images=10,
        **SEEDREAM_LIMITS,
    ),
    # its images are references of style
    image(
        "fal-ai/ideogram/v3",
        replace(edits(QWEN), same=QWEN.same | {"style"}, formats=None),
    ),
    image(
        "fal-ai/recraft/v3/text-to-image",
        Spelling(shape=Shape.IMAGE_SIZE, same=frozenset({"style"})),
    ),
    image("fal-ai/qwen-image", QWEN, typical_s=8),
    image("fal-ai/qwen-image-edit-plus", edits(QWEN), needs=NEEDS_IMAGE, typical_s=10),
    image("luma/agent/uni-1/v1/text-to-image", UNI, aspect_ratios=UNI.ratios),
    image(
        "luma/agent/uni-1/v1/edit",
        replace(UNI, shape=Shape.NONE, frames=("image_url",)),
        needs=NEEDS_IMAGE,
    ),
)

# --- videos

VEO = Spelling(
    shape=Shape.RATIO,
    ratios=BOTH_WAYS,
    seconds=Seconds.SUFFIXED,
    duration="duration",
    same=frozenset({"resolution", "negative_prompt", "seed"}),
)
VEO_IMAGE = replace(VEO, frames=("image_url",), ratios=("auto", *BOTH_WAYS))
VEO_FRAMES = replace(
    VEO_IMAGE, frames=("first_frame_url", "last_frame_url"), least_images=2
)
VEO_LIMITS: Mapping[str, Any] = {
    "durations": (4, 6, 8),
    "resolutions": ("720p", "1080p", "4k"),
}
VEO_3_LIMITS: Mapping[str, Any] = {
    "durations": (4, 6, 8),
    "resolutions": ("720p", "1080p"),
}
KLING = Spelling(
    shape=Shape.RATIO,
    ratios=WITH_SQUARE,
    seconds=Seconds.TEXT,
    duration="duration",
    same=frozenset({"negative_prompt"}),
    without_text=("multi_prompt",),
)
KLING_IMAGE = replace(
    KLING, shape=Shape.NONE, ratios=(), frames=("image_url", "tail_image_url")
)
KLING_START = replace(KLING_IMAGE, frames=("start_image_url", "end_image_url"))
KLING_LIMITS: Mapping[str, Any] = {"durations": (5, 10), "typical_s": 180}
KLING_3_LIMITS: Mapping[str, Any] = {
    "durations": tuple(range(3, 16)),
    "typical_s": 180,
}
SEEDANCE = Spelling(
    shape=Shape.RATIO,
    ratios=("auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"),
    seconds=Seconds.TEXT,
    duration="duration",
    same=frozenset({"resolution"}),
)
SEEDANCE_LIMITS: Mapping[str, Any] = {
    "durations": tuple(range(4, 16)),
    "resolutions": ("480p", "720p", "1080p", "4k"),
}
HAILUO = Spelling(seconds=Seconds.TEXT, duration="duration")
WAN_25 = Spelling(
    shape=Shape.RATIO,
    ratios=WITH_SQUARE,
    seconds=Seconds.TEXT,
    duration="duration",
    same=frozenset({"resolution", "negative_prompt", "seed", "audio_url"}),
)
RAY = Spelling(
    shape=Shape.RATIO,
    ratios=("3:4", "4:3", "1:1", "9:16", "16:9", "21:9"),
    seconds=Seconds.SUFFIXED,
    duration="duration",
    same=frozenset({"resolution"}),
)
RAY_LIMITS: Mapping[str, Any] = {
    "durations": (5, 10),
    "resolutions": ("540p", "720p", "1080p"),
}
# The typings of April 2026 have strings; they also had strings for wan/v2.7, which is
# an integer since. The model pages say integer.
SORA = Spelling(
    shape=Shape.RATIO,
    ratios=BOTH_WAYS,
    seconds=Seconds.NUMBER,
    duration="duration",
    same=frozenset({"resolution"}),
)
SORA_LIMITS: Mapping[str, Any] = {
    "durations": (4, 8, 12, 16, 20),
    "typical_s": 180,
}

VIDEOS = (
    video("fal-ai/veo3.1", VEO, **VEO_LIMITS),
    video("fal-ai/veo3.1/fast", VEO, **VEO_LIMITS, typical_s=75),
    video("fal-ai/veo3.1/image-to-video", VEO_IMAGE, needs=NEEDS_IMAGE, **VEO_LIMITS),
    video(
        "fal-ai/veo3.1/fast/image-to-video",
        VEO_IMAGE,
        needs=NEEDS_IMAGE,
        **VEO_LIMITS,
        typical_s=75,
    ),
    video(
        "fal-ai/veo3.1/first-last-frame-to-video",
        VEO_FRAMES,
        needs=NEEDS_IMAGE,
        **VEO_LIMITS,
    ),
    video(
        "fal-ai/veo3.1/fast/first-last-frame-to-video",
        VEO_FRAMES,
        needs=NEEDS_IMAGE,
        **VEO_LIMITS,
        typical_s=75,
    ),
    video(
        "fal-ai/veo3.1/reference-to-video",
        replace(VEO, references="image_urls", same=frozenset({"resolution"})),
        needs=NEEDS_IMAGE,
        durations=(8,),
        resolutions=("720p", "1080p", "4k"),
    ),
    video("fal-ai/veo3", VEO, **VEO_3_LIMITS),
    video("fal-ai/veo3/fast", VEO, **VEO_3_LIMITS, typical_s=75),
    video("fal-ai/veo3/image-to-video", VEO_IMAGE, needs=NEEDS_IMAGE, **VEO_3_LIMITS),
    video(
        "fal-ai/veo3/fast/image-to-video",
        VEO_IMAGE,
        needs=NEEDS_IMAGE,
        **VEO_3_LIMITS,
        typical_s=75,
    ),
    video("luma/agent/ray/v3.2/text-to-video", RAY, **RAY_LIMITS),
    video(
        "luma/agent/ray/v3.2/image-to-video",
        replace(RAY, frames=("image_url", "end_image_url")),
        **RAY_LIMITS,
    ),
    video("fal-ai/kling-video/v2.1/master/text-to-video", KLING, **KLING_LIMITS),
    video(
        "fal-ai/kling-video/v2.1/master/image-to-video",
        replace(KLING_IMAGE, frames=("image_url",)),
        needs=NEEDS_IMAGE,
        **KLING_LIMITS,
    ),
    video(
        "fal-ai/kling-video/v2.1/pro/image-to-video",
        KLING_IMAGE,
        needs=NEEDS_IMAGE,
        **KLING_LIMITS,
    ),
    video("fal-ai/kling-video/v2.5-turbo/pro/text-to-video", KLING, **KLING_LIMITS),
    video(
        "fal-ai/kling-video/v2.5-turbo/pro/image-to-video",
        KLING_IMAGE,
        needs=NEEDS_IMAGE,
        **KLING_LIMITS,
    ),
    video("fal-ai/kling-video/v2.6/pro/text-to-video", KLING, **KLING_LIMITS),
    video(
        "fal-ai/kling-video/v2.6/pro/image-to-video",
        KLING_START,
        needs=NEEDS_IMAGE,
        **KLING_LIMITS,
    ),
    video("fal-ai/kling-video/v3/pro/text-to-video", KLING, **KLING_3_LIMITS),
    video(
        "fal-ai/kling-video/v3/pro/image-to-video",
        KLING_START,
        needs=NEEDS_IMAGE,
        **KLING_3_LIMITS,
    ),
    video("bytedance/seedance-2.0/text-to-video", SEEDANCE, **SEEDANCE_LIMITS),
    video(
        "bytedance/seedance-2.0/image-to-video",
        replace(SEEDANCE, frames=("image_url", "end_image_url")),
        needs=NEEDS_IMAGE,
        **SEEDANCE_LIMITS,
    ),
    video("fal-ai/minimax/hailuo-02/standard/text-to-video", HAILUO, durations=(6, 10)),
    video(
        "fal-ai/minimax/hailuo-02/standard/image-to-video",
        replace(
            HAILUO,
            frames=("image_url", "end_image_url"),
            same=frozenset({"resolution"}),
        ),
        needs=NEEDS_IMAGE,
        durations=(6, 10),
        resolutions=("512P", "768P"),
    ),
    video(
        "fal-ai/minimax/hailuo-2.3/standard/text-to-video", HAILUO, durations=(6, 10)
    ),
    video(
        "fal-ai/wan-25-preview/text-to-video",
        WAN_25,
        durations=(5, 10),
        resolutions=("480p", "720p", "1080p"),
    ),
    video(
        "fal-ai/wan-25-preview/image-to-video",
        replace(WAN_25, shape=Shape.NONE, ratios=(), frames=("image_url",)),
        needs=NEEDS_IMAGE,
        durations=(5, 10),
        resolutions=("480p", "720p", "1080p"),
    ),
    video(
        "fal-ai/wan/v2.7/text-to-video",
        replace(WAN_25, seconds=Seconds.NUMBER, ratios=(*WITH_SQUARE, "4:3", "3:4")),
        durations=tuple(range(2, 16)),
        resolutions=("720p", "1080p"),
    ),
    video(
        "fal-ai/luma-dream-machine/ray-2",
        replace(RAY, ratios=("16:9", "9:16", "4:3", "3:4", "21:9", "9:21")),
        durations=(5, 9),
        resolutions=("540p", "720p", "1080p"),
    ),
    video(
        "fal-ai/pixverse/v5.5/text-to-video",
        Spelling(
            shape=Shape.RATIO,
            ratios=("16:9", "4:3", "1:1", "3:4", "9:16"),
            seconds=Seconds.TEXT,
            duration="duration",
            same=frozenset({"resolution", "negative_prompt", "seed", "style"}),
        ),
        durations=(5, 8, 10),
        resolutions=("360p", "540p", "720p", "1080p"),
    ),
    video(
        "xai/grok-imagine-video/text-to-video",
        replace(SORA, ratios=("16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16")),
        resolutions=("480p", "720p"),
    ),
    video("fal-ai/sora-2/text-to-video", SORA, resolutions=("720p",), **SORA_LIMITS),
    video(
        "fal-ai/sora-2/image-to-video",
        replace(SORA, frames=("image_url",), ratios=("auto", *BOTH_WAYS)),
        needs=NEEDS_IMAGE,
        resolutions=("auto", "720p"),
        **SORA_LIMITS,
    ),
)

# --- speech, music, effects

ELEVEN_SPEECH = Spelling(text="text", speaks=True, voice=Voice.FLAT)
MINIMAX_FORMATS: Mapping[str, str] = {}
MINIMAX_SPEECH = Spelling(
    speaks=True,
    voice=Voice.SETTING,
    formats=MINIMAX_FORMATS,
    fixed={"output_format": "url"},  # the default is the bytes in hexadecimal
)
MINIMAX_MUSIC = Spelling(
    voice=Voice.SETTING, formats=MINIMAX_FORMATS, lyrics="lyrics_prompt"
)
ELEVEN_AUDIO = (
    *ELEVENLABS_FORMATS,
    *("mp3_22050_32", "mp3_44100_32", "mp3_44100_64"),
    *("mp3_44100_96", "mp3_44100_128", "mp3_44100_192"),
    *("pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000"),
    *("ulaw_8000", "alaw_8000", "opus_48000_32", "opus_48000_64"),
    *("opus_48000_96", "opus_48000_128", "opus_48000_192"),
)
MINIMAX_AUDIO = ("mp3", "pcm", "flac")

AUDIOS = (
    audio(
        "fal-ai/elevenlabs/tts/multilingual-v2", ELEVEN_SPEECH, speed_range=(0.7, 1.2)
    ),
    audio("fal-ai/elevenlabs/tts/eleven-v3", ELEVEN_SPEECH, lacks=frozenset({"speed"})),
    audio("fal-ai/elevenlabs/tts/turbo-v2.5", ELEVEN_SPEECH, speed_range=(0.7, 1.2)),
    audio(
        "fal-ai/elevenlabs/music",
        Spelling(
            seconds=Seconds.MILLISECONDS,
            duration="music_length_ms",
            formats=ELEVENLABS_FORMATS,
            without_text=("composition_plan",),
        ),
        duration_range=(3, 600),
        output_formats=ELEVEN_AUDIO,
        typical_s=40,
    ),
    audio(
        "fal-ai/elevenlabs/sound-effects/v2",
        Spelling(text="text", duration="duration_seconds", formats=ELEVENLABS_FORMATS),
        duration_range=(0.5, 22),
        output_formats=ELEVEN_AUDIO,
    ),
    audio(
        "fal-ai/minimax/speech-2.8-hd",
        MINIMAX_SPEECH,
        speed_range=(0.5, 2),
        output_formats=MINIMAX_AUDIO,
    ),
    audio(
        "fal-ai/minimax-music/v2",
        MINIMAX_MUSIC,
        needs=frozenset({"lyrics"}),
        max_prompt=300,
        output_formats=MINIMAX_AUDIO,
        typical_s=60,
    ),
    audio(
        "fal-ai/minimax-music/v2.6",
        replace(MINIMAX_MUSIC, lyrics="lyrics"),
        output_formats=MINIMAX_AUDIO,
        typical_s=60,
    ),
    audio(
        "fal-ai/lyria2",
        Spelling(same=frozenset({"negative_prompt", "seed"})),
        typical_s=30,
    ),
    audio(
        "fal-ai/stable-audio-25/text-to-audio",
        Spelling(duration="seconds_total", same=SEEDED),
        typical_s=20,
    ),
)

ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.model.name: endpoint for endpoint in (*IMAGES, *VIDEOS, *AUDIOS)
}
