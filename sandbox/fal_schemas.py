"""What fal's endpoints take and make: enough of their schemas to refuse as they do.

Read from the published input types of the JavaScript client (2026-08; veo3 and sora-2
2026-04). Fields that are not listed are ignored, as most endpoints do; endpoints that
are not listed take everything.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox.jobs import MediaType
from sandbox.media import NotAnImage, read_image

Problem = dict[str, Any]
Check = Callable[[str, Any], Problem | None]

DOCS = "https://docs.fal.ai/errors#"
PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
RATIO = re.compile(r"([1-9]\d?):([1-9]\d?)")
SHORT_SIDES = {
    "360p": 360,
    "480p": 480,
    "512p": 512,
    "540p": 540,
    "720p": 720,
    "768p": 768,
    "1080p": 1080,
    "4k": 2160,
}
LONG_SIDES = {"0.5K": 512, "1K": 1024, "2K": 2048, "4K": 4096}


def problem(name: str, value: Any, kind: str, message: str, **ctx: Any) -> Problem:
    """One entry of a 422's `detail`."""
    found: Problem = {
        "loc": ["body", name],
        "msg": message,
        "type": kind,
        "url": DOCS + kind,
    }
    if ctx:
        found["ctx"] = ctx
    if isinstance(value, str | int | float | bool | None):
        found["input"] = value[:200] if isinstance(value, str) else value
    return found


def text(name: str, value: Any) -> Problem | None:
    if isinstance(value, str):
        return None
    return problem(name, value, "string_type", "Input should be a valid string")


def between(least: float, most: float, name: str, value: Any) -> Problem | None:
    """A number, within limits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return problem(name, value, "float_type", "Input should be a valid number")
    if value < least:
        told = f"Input should be greater than or equal to {least:g}"
        return problem(name, value, "greater_than_equal", told, ge=least)
    if value > most:
        told = f"Input should be less than or equal to {most:g}"
        return problem(name, value, "less_than_equal", told, le=most)
    return None


def whole(least: int, most: int, name: str, value: Any) -> Problem | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return problem(name, value, "int_type", "Input should be a valid integer")
    return between(least, most, name, value)


def flag(name: str, value: Any) -> Problem | None:
    if isinstance(value, bool):
        return None
    return problem(name, value, "bool_type", "Input should be a valid boolean")


def one_of(*allowed: str | int) -> Check:
    """One of the values, in exactly the type they have."""

    def check(name: str, value: Any) -> Problem | None:
        if any(value == word and type(value) is type(word) for word in allowed):
            return None
        told = f"Input should be one of {', '.join(map(repr, allowed))}"
        return problem(name, value, "one_of", told, expected=list(allowed))

    return check


def size(*words: str, sides: tuple[int, int] = (64, 14142)) -> Check:
    """A preset, or an object of width and height."""

    def check(name: str, value: Any) -> Problem | None:
        if isinstance(value, dict):
            for side in ("width", "height"):
                if side not in value:
                    return problem(f"{name}.{side}", None, "missing", "Field required")
                wrong = whole(*sides, f"{name}.{side}", value[side])
                if wrong is not None:
                    return wrong
            return None
        return one_of(*PRESETS, *words)(name, value)

    return check


def image(name: str, value: Any) -> Problem | None:
    """The URL of an image; one with the bytes in it is read."""
    if not isinstance(value, str):
        return text(name, value)
    if not value.startswith(("http://", "https://", "data:")):
        told = "The file could not be downloaded"
        return problem(name, value, "file_download_error", told)
    try:
        read_image(value)
    except NotAnImage as error:
        return problem(name, None, "image_load_error", str(error))
    return None


def images(most: int, name: str, value: Any) -> Problem | None:
    """A list of such URLs."""
    if not isinstance(value, list):
        return problem(name, None, "list_type", "Input should be a valid list")
    if not value:
        told = "List should have at least 1 item"
        return problem(name, None, "sequence_too_short", told, min_length=1)
    if len(value) > most:
        told = f"List should have at most {most} items"
        return problem(name, None, "sequence_too_long", told, max_length=most)
    return next(filter(None, (image(name, each) for each in value)), None)


@dataclass(frozen=True)
class Schema:
    """One endpoint: its fields, those that must be there, and what it makes."""

    media_type: MediaType
    fields: Mapping[str, Check] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def problems(self, body: Mapping[str, Any]) -> list[Problem]:
        """All that is wrong with an input, as the endpoint's 422 lists it."""
        found = [
            problem(name, None, "missing", "Field required")
            for name in self.required
            if body.get(name) is None
        ]
        for name, check in self.fields.items():
            if (value := body.get(name)) is not None and (wrong := check(name, value)):
                found.append(wrong)
        return found


# --- images

COUNT = partial(whole, 1, 4)
SEED = partial(whole, -(2**63), 2**63)
MANY = partial(images, 16)
FORMAT = one_of("jpeg", "png")
FORMAT_WEBP = one_of("jpeg", "png", "webp")
TALL_TO_WIDE = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
NANO = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")
EXTREME = ("4:1", "1:4", "8:1", "1:8")
TOLERANCE = one_of("1", "2", "3", "4", "5", "6")

Fields = Mapping[str, Check]
PLAIN: Fields = {"prompt": text, "sync_mode": flag}
FLUX: Fields = {
    **PLAIN,
    "image_size": size(),
    "num_images": COUNT,
    "seed": SEED,
    "output_format": FORMAT,
    "enable_safety_checker": flag,
    "guidance_scale": partial(between, 0, 35),
    "num_inference_steps": partial(whole, 1, 50),
}
FLUX_PRO: Fields = {**FLUX, "safety_tolerance": TOLERANCE}
FLUX_RATIO: Fields = {
    **{name: FLUX_PRO[name] for name in FLUX_PRO if name != "image_size"},
    "aspect_ratio": one_of(*TALL_TO_WIDE),
}
FLUX_2: Fields = {
    **PLAIN,
    "image_size": size("auto"),
    "seed": SEED,
    "output_format": FORMAT,
    "safety_tolerance": one_of("1", "2", "3", "4", "5"),
}
BANANA: Fields = {
    **PLAIN,
    "aspect_ratio": one_of("auto", *NANO),
    "num_images": COUNT,
    "output_format": FORMAT_WEBP,
    "seed": SEED,
    "safety_tolerance": TOLERANCE,
}
BANANA_PRO: Fields = {**BANANA, "resolution": one_of("1K", "2K", "4K")}
BANANA_2: Fields = {
    **BANANA,
    "aspect_ratio": one_of("auto", *NANO, *EXTREME),
    "resolution": one_of("0.5K", "1K", "2K", "4K"),
    "thinking_level": one_of("minimal", "high"),
}
GPT_2: Fields = {
    **PLAIN,
    "image_size": size("auto"),
    "quality": one_of("auto", "low", "medium", "high"),
    "num_images": COUNT,
    "output_format": FORMAT_WEBP,
}
GPT_15: Fields = {
    **GPT_2,
    "image_size": one_of("1024x1024", "1536x1024", "1024x1536"),
    "quality": one_of("low", "medium", "high"),
    "background": one_of("auto", "transparent", "opaque"),
}
SEEDREAM: Fields = {
    **PLAIN,
    "image_size": size("auto_2K", "auto_4K", sides=(1920, 4096)),
    "num_images": partial(whole, 1, 6),
    "max_images": partial(whole, 1, 6),
    "seed": SEED,
}
IDEOGRAM: Fields = {
    **PLAIN,
    "image_size": size(),
    "num_images": partial(whole, 1, 8),
    "seed": SEED,
    "rendering_speed": one_of("TURBO", "BALANCED", "QUALITY"),
    "style": one_of("AUTO", "GENERAL", "REALISTIC", "DESIGN"),
    "negative_prompt": text,
    "image_urls": MANY,
}
QWEN: Fields = {**FLUX, "negative_prompt": text}
UNI: Fields = {
    **PLAIN,
    "aspect_ratio": one_of(
        "3:1", "2:1", "16:9", "3:2", "1:1", "2:3", "9:16", "1:2", "1:3"
    ),
    "output_format": FORMAT,
    "style": one_of("auto", "manga"),
    "reference_image_urls": MANY,
}


def pictures(fields: Fields, *required: str, many: int = 16) -> Schema:
    """An endpoint for images; those it must have are checked as images."""
    checks: Fields = {"image_url": image, "image_urls": partial(images, many)}
    wanted: dict[str, Check] = {name: checks[name] for name in required}
    return Schema(MediaType.IMAGE, {**fields, **wanted}, ("prompt", *required))


IMAGE_SCHEMAS = {
    "fal-ai/flux/dev": pictures(FLUX),
    "fal-ai/flux/schnell": pictures(FLUX),
    "fal-ai/flux-pro/v1.1": pictures(FLUX_PRO),
    "fal-ai/flux-pro/v1.1-ultra": pictures(
        {**FLUX_RATIO, "aspect_ratio": text, "image_url": image}
    ),
    "fal-ai/flux-pro/kontext": pictures(FLUX_RATIO, "image_url"),
    "fal-ai/flux-pro/kontext/multi": pictures(FLUX_RATIO, "image_urls"),
    "fal-ai/flux-2-pro": pictures(FLUX_2),
    "fal-ai/flux-2-pro/edit": pictures(FLUX_2, "image_urls"),
    "fal-ai/nano-banana": pictures({**BANANA, "aspect_ratio": one_of(*NANO)}),
    "fal-ai/nano-banana/edit": pictures(BANANA, "image_urls"),
    "fal-ai/nano-banana-pro": pictures(BANANA_PRO),
    "fal-ai/nano-banana-pro/edit": pictures(BANANA_PRO, "image_urls"),
    "fal-ai/nano-banana-2": pictures(BANANA_2),
    "fal-ai/nano-banana-2/edit": pictures({**BANANA_2, "image_urls": MANY}),
    "openai/gpt-image-2": pictures(GPT_2),
    "openai/gpt-image-2/edit": pictures(GPT_2, "image_urls"),
    "fal-ai/gpt-image-1.5": pictures(GPT_15),
    "fal-ai/gpt-image-1.5/edit": pictures(
        {
            **GPT_15,
            "image_size": one_of("auto", "1024x1024", "1536x1024", "1024x1536"),
        },
        "image_urls",
    ),
    "fal-ai/bytedance/seedream/v4.5/text-to-image": pictures(SEEDREAM),
    "fal-ai/bytedance/seedream/v4.5/edit": pictures(SEEDREAM, "image_urls", many=10),
    "fal-ai/ideogram/v3": pictures(IDEOGRAM),
    "fal-ai/recraft/v3/text-to-image": pictures(
        {**PLAIN, "image_size": size(), "style": text}
    ),
    "fal-ai/qwen-image": pictures(QWEN),
    "fal-ai/qwen-image-edit-plus": pictures(QWEN, "image_urls"),
    "luma/agent/uni-1/v1/text-to-image": pictures(UNI),
    "luma/agent/uni-1/v1/edit": pictures(UNI, "image_url"),
}

# --- videos

BOTH_WAYS = one_of("16:9", "9:16")
AUTO_WAYS = one_of("auto", "16:9", "9:16")
WITH_SQUARE = one_of("16:9", "9:16", "1:1")
VEO: Fields = {
    "prompt": text,
    "duration": one_of("4s", "6s", "8s"),
    "aspect_ratio": BOTH_WAYS,
    "resolution": one_of("720p", "1080p", "4k"),
    "generate_audio": flag,
    "negative_prompt": text,
    "seed": SEED,
    "safety_tolerance": TOLERANCE,
}
VEO_3: Fields = {**VEO, "resolution": one_of("720p", "1080p")}
KLING: Fields = {
    "prompt": text,
    "duration": one_of("5", "10"),
    "aspect_ratio": WITH_SQUARE,
    "cfg_scale": partial(between, 0, 1),
    "negative_prompt": text,
    "generate_audio": flag,
}
KLING_3: Fields = {**KLING, "duration": one_of(*map(str, range(3, 16)))}
SEEDANCE: Fields = {
    "prompt": text,
    "duration": one_of("auto", *map(str, range(4, 16))),
    "aspect_ratio": one_of("auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"),
    "resolution": one_of("480p", "720p", "1080p", "4k"),
    "generate_audio": flag,
}
HAILUO: Fields = {"prompt": text, "duration": one_of("6", "10")}
WAN_25: Fields = {
    "prompt": text,
    "duration": one_of("5", "10"),
    "resolution": one_of("480p", "720p", "1080p"),
    "negative_prompt": text,
    "seed": SEED,
    "audio_url": text,
}
RAY: Fields = {
    "prompt": text,
    "duration": one_of("5s", "10s"),
    "aspect_ratio": one_of("3:4", "4:3", "1:1", "9:16", "16:9", "21:9"),
    "resolution": one_of("540p", "720p", "1080p"),
    "loop": flag,
}
SORA: Fields = {
    "prompt": text,
    "duration": one_of(4, 8, 12, 16, 20),
    "aspect_ratio": AUTO_WAYS,
    "resolution": one_of("auto", "720p"),
    "delete_video": flag,
}


def film(
    fields: Fields,
    *required: str,
    optional: tuple[str, ...] = (),
    prompt: bool = True,
) -> Schema:
    """An endpoint for videos; those images it takes are checked as images."""
    wanted: dict[str, Check] = {
        name: MANY if name.endswith("urls") else image for name in required + optional
    }
    needed = ("prompt", *required) if prompt else required
    return Schema(MediaType.VIDEO, {**fields, **wanted}, needed)


VEO_AUTO: Fields = {**VEO, "aspect_ratio": AUTO_WAYS}
VEO_3_AUTO: Fields = {**VEO_3, "aspect_ratio": AUTO_WAYS}
FRAMES = ("first_frame_url", "last_frame_url")
END: tuple[str, ...] = ("end_image_url",)
TAIL: tuple[str, ...] = ("tail_image_url",)

VIDEO_SCHEMAS = {
    "fal-ai/veo3.1": film(VEO),
    "fal-ai/veo3.1/fast": film(VEO),
    "fal-ai/veo3.1/image-to-video": film(VEO_AUTO, "image_url"),
    "fal-ai/veo3.1/fast/image-to-video": film(VEO_AUTO, "image_url"),
    "fal-ai/veo3.1/first-last-frame-to-video": film(VEO_AUTO, *FRAMES),
    "fal-ai/veo3.1/fast/first-last-frame-to-video": film(VEO_AUTO, *FRAMES),
    "fal-ai/veo3.1/reference-to-video": film(
        {**VEO, "duration": one_of("8s")}, "image_urls"
    ),
    "fal-ai/veo3": film(VEO_3),
    "fal-ai/veo3/fast": film(VEO_3),
    "fal-ai/veo3/image-to-video": film(VEO_3_AUTO, "image_url"),
    "fal-ai/veo3/fast/image-to-video": film(VEO_3_AUTO, "image_url"),
    "luma/agent/ray/v3.2/text-to-video": film(RAY),
    "luma/agent/ray/v3.2/image-to-video": film(
        RAY, optional=("image_url", "end_image_url")
    ),
    "fal-ai/kling-video/v2.1/master/text-to-video": film(KLING),
    "fal-ai/kling-video/v2.1/master/image-to-video": film(KLING, "image_url"),
    "fal-ai/kling-video/v2.1/pro/image-to-video": film(
        KLING, "image_url", optional=TAIL
    ),
    "fal-ai/kling-video/v2.5-turbo/pro/text-to-video": film(KLING),
    "fal-ai/kling-video/v2.5-turbo/pro/image-to-video": film(
        KLING, "image_url", optional=TAIL
    ),
    "fal-ai/kling-video/v2.6/pro/text-to-video": film(KLING),
    "fal-ai/kling-video/v2.6/pro/image-to-video": film(
        KLING, "start_image_url", optional=END
    ),
    "fal-ai/kling-video/v3/pro/text-to-video": film(KLING_3, prompt=False),
    "fal-ai/kling-video/v3/pro/image-to-video": film(
        KLING_3, "start_image_url", optional=END, prompt=False
    ),
    "bytedance/seedance-2.0/text-to-video": film(SEEDANCE),
    "bytedance/seedance-2.0/image-to-video": film(SEEDANCE, "image_url", optional=END),
    "fal-ai/minimax/hailuo-02/standard/text-to-video": film(HAILUO),
    "fal-ai/minimax/hailuo-02/standard/image-to-video": film(
        {**HAILUO, "resolution": one_of("512P", "768P")}, "image_url", optional=END
    ),
    "fal-ai/minimax/hailuo-2.3/standard/text-to-video": film(HAILUO),
    "fal-ai/wan-25-preview/text-to-video": film(
        {**WAN_25, "aspect_ratio": WITH_SQUARE}
    ),
    "fal-ai/wan-25-preview/image-to-video": film(WAN_25, "image_url"),
    "fal-ai/wan/v2.7/text-to-video": film(
        {
            **WAN_25,
            "duration": one_of(*range(2, 16)),
            "resolution": one_of("720p", "1080p"),
            "aspect_ratio": one_of("16:9", "9:16", "1:1", "4:3", "3:4"),
        }
    ),
    "fal-ai/luma-dream-machine/ray-2": film(
        {
            **RAY,
            "duration": one_of("5s", "9s"),
            "aspect_ratio": one_of("16:9", "9:16", "4:3", "3:4", "21:9", "9:21"),
        }
    ),
    "fal-ai/pixverse/v5.5/text-to-video": film(
        {
            "prompt": text,
            "duration": one_of("5", "8", "10"),
            "aspect_ratio": one_of("16:9", "4:3", "1:1", "3:4", "9:16"),
            "resolution": one_of("360p", "540p", "720p", "1080p"),
            "negative_prompt": text,
            "seed": SEED,
            "style": one_of("anime", "3d_animation", "clay", "comic", "cyberpunk"),
        }
    ),
    "xai/grok-imagine-video/text-to-video": film(
        {
            "prompt": text,
            "duration": partial(between, 1, 15),
            "aspect_ratio": one_of("16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16"),
            "resolution": one_of("480p", "720p"),
        }
    ),
    "fal-ai/sora-2/text-to-video": film(
        {**SORA, "aspect_ratio": BOTH_WAYS, "resolution": one_of("720p")}
    ),
    "fal-ai/sora-2/image-to-video": film(SORA, "image_url"),
}

# --- speech, music, effects

ELEVEN_SPEECH: Fields = {
    "text": text,
    "voice": text,
    "speed": partial(between, 0.7, 1.2),
    "stability": partial(between, 0, 1),
    "similarity_boost": partial(between, 0, 1),
    "timestamps": flag,
}
ELEVEN_FORMAT = one_of(
    *("mp3_22050_32", "mp3_44100_32", "mp3_44100_64", "mp3_44100_96"),
    *("mp3_44100_128", "mp3_44100_192", "pcm_8000", "pcm_16000", "pcm_22050"),
    *("pcm_24000", "pcm_44100", "pcm_48000", "ulaw_8000", "alaw_8000"),
    *("opus_48000_32", "opus_48000_64", "opus_48000_96", "opus_48000_128"),
    "opus_48000_192",
)


def setting(**checks: Check) -> Check:
    """An object with checked fields."""

    def check(name: str, value: Any) -> Problem | None:
        if not isinstance(value, dict):
            return problem(name, None, "dict_type", "Input should be a valid object")
        for key, check_one in checks.items():
            wrong = check_one(f"{name}.{key}", value[key]) if key in value else None
            if wrong is not None:
                return wrong
        return None

    return check


AUDIO_SETTING = setting(format=one_of("mp3", "pcm", "flac"))
VOICE_SETTING = setting(
    voice_id=text,
    speed=partial(between, 0.5, 2),
    vol=partial(between, 0, 10),
    pitch=partial(whole, -12, 12),
)


def lasting(least: int, most: int) -> Check:
    """A text of so many characters."""

    def check(name: str, value: Any) -> Problem | None:
        if not isinstance(value, str):
            return text(name, value)
        if len(value) < least:
            told = f"String should have at least {least} characters"
            return problem(name, value, "sequence_too_short", told, min_length=least)
        if len(value) > most:
            told = f"String should have at most {most} characters"
            return problem(name, value, "sequence_too_long", told, max_length=most)
        return None

    return check


def sound(fields: Fields, *required: str) -> Schema:
    """An endpoint for audio."""
    return Schema(MediaType.AUDIO, fields, required)


AUDIO_SCHEMAS = {
    "fal-ai/elevenlabs/tts/multilingual-v2": sound(ELEVEN_SPEECH, "text"),
    "fal-ai/elevenlabs/tts/eleven-v3": sound(ELEVEN_SPEECH, "text"),
    "fal-ai/elevenlabs/tts/turbo-v2.5": sound(ELEVEN_SPEECH, "text"),
    "fal-ai/elevenlabs/music": sound(
        {
            "prompt": text,
            "music_length_ms": partial(whole, 3000, 600000),
            "output_format": ELEVEN_FORMAT,
            "force_instrumental": flag,
        }
    ),
    "fal-ai/elevenlabs/sound-effects/v2": sound(
        {
            "text": text,
            "duration_seconds": partial(between, 0.5, 22),
            "prompt_influence": partial(between, 0, 1),
            "output_format": ELEVEN_FORMAT,
        },
        "text",
    ),
    "fal-ai/minimax/speech-2.8-hd": sound(
        {
            "prompt": text,
            "voice_setting": VOICE_SETTING,
            "audio_setting": AUDIO_SETTING,
            "output_format": one_of("url", "hex"),
        },
        "prompt",
    ),
    "fal-ai/minimax-music/v2": sound(
        {
            "prompt": lasting(10, 300),
            "lyrics_prompt": text,
            "audio_setting": AUDIO_SETTING,
        },
        "prompt",
        "lyrics_prompt",
    ),
    "fal-ai/minimax-music/v2.6": sound(
        {
            "prompt": text,
            "lyrics": text,
            "is_instrumental": flag,
            "audio_setting": AUDIO_SETTING,
        },
        "prompt",
    ),
    "fal-ai/lyria2": sound(
        {"prompt": text, "negative_prompt": text, "seed": SEED}, "prompt"
    ),
    "fal-ai/stable-audio-25/text-to-audio": sound(
        {"prompt": text, "seconds_total": partial(whole, 1, 190), "seed": SEED},
        "prompt",
    ),
}

SCHEMAS: Mapping[str, Schema] = {**IMAGE_SCHEMAS, **VIDEO_SCHEMAS, **AUDIO_SCHEMAS}

TARGET = re.compile(r"to-(image|video|audio|speech|music)")
AUDIO_WORDS = re.compile(r"audio|tts|speech|music|sound|sfx|voice|lyria|kokoro")
VIDEO_WORDS = re.compile(r"video|veo|sora|kling|hailuo|seedance|wan|ltx|lipsync|avatar")


def schema_of(path: str) -> Schema:
    """The schema of an endpoint; one that is not listed makes what its path says."""
    if path in SCHEMAS:
        return SCHEMAS[path]
    targets = TARGET.findall(path)
    if targets and targets[-1] in {"image", "video"}:
        return Schema(MediaType(targets[-1]))
    if targets or AUDIO_WORDS.search(path):
        return Schema(MediaType.AUDIO)
    if VIDEO_WORDS.search(path):
        return Schema(MediaType.VIDEO)
    return Schema(MediaType.IMAGE)


def pixels(body: Mapping[str, Any], media_type: MediaType) -> tuple[int, int]:
    """Width and height of what an input asks for, or the usual ones."""
    asked = body.get("image_size")
    if isinstance(asked, dict):
        sides = [asked.get("width"), asked.get("height")]
        width, height = (each if isinstance(each, int) else 1024 for each in sides)
        return min(max(width, 1), 16384), min(max(height, 1), 16384)
    if isinstance(asked, str):
        if asked in PRESETS:
            return PRESETS[asked]
        if match := re.fullmatch(r"(\d{2,4})x(\d{2,4})", asked):
            return int(match[1]), int(match[2])
    default = "16:9" if media_type is MediaType.VIDEO else "1:1"
    match = RATIO.fullmatch(str(body.get("aspect_ratio") or default))
    shape = int(match[1]) / int(match[2]) if match else 1.0
    resolution = str(body.get("resolution") or "")
    if media_type is MediaType.VIDEO:
        short = SHORT_SIDES.get(resolution.lower(), 720)
        longer = round(short * max(shape, 1 / shape) / 2) * 2
    else:
        longer = LONG_SIDES.get(resolution, 1024)
        short = max(1, round(longer / max(shape, 1 / shape)))
    return (longer, short) if shape >= 1 else (short, longer)


def seconds(body: Mapping[str, Any], media_type: MediaType) -> float:
    """How long the output shall be; what cannot be read is the usual length."""
    if isinstance(length_ms := body.get("music_length_ms"), int):
        return min(max(length_ms, 500) / 1000, 600.0)
    for name in ("duration", "duration_seconds", "seconds_total"):
        if match := re.fullmatch(r"(\d{1,3}(?:\.\d+)?)s?", str(body.get(name))):
            return float(match[1])
    return 5.0 if media_type is MediaType.VIDEO else 2.0
