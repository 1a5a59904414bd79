"""What ElevenLabs takes: fields, words and limits of every endpoint and model.

Source: the API reference of elevenlabs.io/docs and the request types of the Python
client `elevenlabs` 2.78.0 (read 2026-11-22). That unknown fields are refused is an
assumption, which shows mistakes in what a client writes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.media import NotAnImage, read_image

Issue = dict[str, Any]

SPEECH_LENGTHS = {
    "eleven_multilingual_v2": 10_000,
    "eleven_v3": 5_000,
    "eleven_v4": 10_000,
    "eleven_v4_turbo": 10_000,
    "eleven_flash_v2_5": 40_000,
    "eleven_turbo_v2_5": 40_000,
    "eleven_flash_v2": 30_000,
    "eleven_turbo_v2": 30_000,
    "eleven_multilingual_v1": 10_000,
    "eleven_monolingual_v1": 10_000,
}
VOICES = {
    "JBFqnCBsd6RMkjVDRZzb": "George - Warm Storyteller",
    "EXAVITQu4vr4xnSDxMaL": "Sarah - Mature and Reassuring",
    "21m00Tcm4TlvDq8ikWAM": "Rachel",
    "IKne3meq5aSn9XLyUdCD": "Charlie - Deep and Confident",
}
SOUND_MODELS = ("eleven_text_to_sound_v2", "eleven_text_to_sound_v3")
MUSIC_MODELS = ("music_v1", "music_v2", "music_v2_5")
MOST_DIALOGUE, MOST_SPEAKERS = 2_000, 10

RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
KBITS = (32, 64, 96, 128, 192)
MP3 = frozenset(["mp3_22050_32", "mp3_24000_48", *(f"mp3_44100_{n}" for n in KBITS)])
FORMATS = MP3 | {
    *(f"{word}_{rate}" for word in ("pcm", "wav") for rate in RATES),
    *(f"opus_48000_{kbit}" for kbit in KBITS),
    "ulaw_8000",
    "alaw_8000",
}
MUSIC_FORMATS = frozenset(
    {each for each in FORMATS if not each.startswith("wav")}
    | {"auto", *(f"mp3_48000_{kbit}" for kbit in (128, 192, 240, 320))}
)

VOICE_LIMITS = {
    "stability": (0.0, 1.0),
    "similarity_boost": (0.0, 1.0),
    "style": (0.0, 1.0),
    "speed": (0.7, 1.2),
}
SPEECH_FIELDS = (
    "text* model_id language_code voice_settings seed previous_text next_text "
    "previous_request_ids next_request_ids apply_text_normalization "
    "pronunciation_dictionary_locators"
)
DIALOGUE_FIELDS = (
    "inputs* model_id language_code settings seed apply_text_normalization "
    "pronunciation_dictionary_locators"
)
SOUND_FIELDS = "text* model_id duration_seconds prompt_influence loop"
MUSIC_FIELDS = (
    "prompt composition_plan music_length_ms model_id force_instrumental seed "
    "finetune_id respect_sections_durations store_for_inpainting sign_with_c2pa"
)

ROUGH = "auto 1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9"
SEEDREAM = "auto 1:1 3:4 16:9 4:3 9:16"
SEEDANCE = "auto 21:9 16:9 4:3 1:1 3:4 9:16"
THREE = "low medium high"
FIVE = f"{THREE} xhigh max"
GPT = "prompt* images mask quality background aspect_ratio"
GPT_2 = "prompt* images mask quality aspect_ratio resolution"
GEMINI = "prompt* images aspect_ratio resolution"
DRAWN = "prompt* images aspect_ratio seed resolution"
VEO = (
    "prompt* negative_prompt seed enhance_prompt duration_secs aspect_ratio resolution "
    "generate_audio start_frame end_frame images"
)
DANCE = (
    "prompt* aspect_ratio duration_secs generate_audio start_frame end_frame "
    "images videos audios resolution"
)


@dataclass(frozen=True, slots=True)
class Form:
    """The fields a job's model takes ("*": required) and the words of some."""

    fields: str
    ratios: str = ""
    resolutions: str = ""
    qualities: str = ""
    most_images: int = 0


FORMS: Mapping[str, Mapping[str, Form]] = {
    "image": {
        "gpt-image-1": Form(GPT, "1:1 3:2 2:3", "", THREE, 5),
        "gpt-image-1.5": Form(GPT, "1:1 3:2 2:3", "", THREE, 5),
        "gpt-image-2": Form(GPT_2, f"{ROUGH} 1:2 2:1 1:3 3:1", "1K 2K 4K", THREE, 10),
        "gpt-image-2.5-flare": Form(
            GPT_2, f"{ROUGH} 1:2 2:1 1:3 3:1", "1K 2K 4K", FIVE, 10
        ),
        "gpt-image-2.5-sunburst": Form(
            GPT_2, f"{ROUGH} 1:2 2:1 1:3 3:1", "1K 2K 4K", FIVE, 10
        ),
        "gemini-2.5-flash-image": Form("prompt* images aspect_ratio", ROUGH, "", "", 5),
        "gemini-3-pro-image": Form(GEMINI, ROUGH, "1K 2K 4K", "", 10),
        "gemini-3.1-flash-image": Form(
            GEMINI, f"{ROUGH} 1:4 4:1 1:8 8:1", "512 1K 2K 4K", "", 14
        ),
        "gemini-3.1-flash-lite-image": Form(GEMINI, ROUGH, "1K", "", 14),
        "bytedance-seedream-5-lite": Form(DRAWN, SEEDREAM, "2K 3K", "", 10),
        "bytedance-seedream-5-pro": Form(DRAWN, SEEDREAM, "1K 2K", "", 10),
    },
    "video": {
        "veo-3.1-generate-001": Form(VEO, "16:9 9:16", "720p 1080p 4K", "", 3),
        "veo-3.1-fast-generate-001": Form(VEO, "16:9 9:16", "720p 1080p 4K", "", 3),
        "bytedance-seedance-v2": Form(
            f"{DANCE} seed", SEEDANCE, "480p 720p 1080p 4k", "", 9
        ),
        "bytedance-seedance-v2-fast": Form(
            f"{DANCE} seed", SEEDANCE, "480p 720p", "", 9
        ),
        "bytedance-seedance-v2-mini": Form(
            f"{DANCE} seed", SEEDANCE, "480p 720p", "", 9
        ),
        "bytedance-seedance-v2.5": Form(DANCE, SEEDANCE, "480p 720p 1080p", "", 30),
        "creatify-aurora": Form(
            "image* audio* resolution guidance_scale audio_guidance_scale",
            "",
            "480p 720p",
        ),
    },
    "text-to-speech": {
        "eleven_flash_v2_5": Form(
            "text* voice* output_format pronunciation_dictionary_locators "
            "language_code voice_settings"
        ),
        "eleven_multilingual_v2": Form(
            "text* voice* output_format pronunciation_dictionary_locators "
            "voice_settings"
        ),
        "eleven_v3": Form(
            "text* voice* output_format pronunciation_dictionary_locators "
            "language_code voice_settings"
        ),
    },
}
TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "prompt": (str,),
    "negative_prompt": (str,),
    "voice": (str,),
    "language_code": (str,),
    "inputs": (list,),
    "images": (list,),
    "videos": (list,),
    "audios": (list,),
    "voice_settings": (dict,),
    "composition_plan": (dict,),
    "seed": (int,),
    "duration_secs": (int,),
    "music_length_ms": (int,),
    "duration_seconds": (int, float),
    "prompt_influence": (int, float),
    "generate_audio": (bool,),
    "enhance_prompt": (bool,),
    "force_instrumental": (bool,),
    "loop": (bool,),
}
RANGES = {
    "seed": (0, 4_294_967_295),
    "duration_seconds": (0.5, 30),
    "prompt_influence": (0, 1),
    "music_length_ms": (3_000, 600_000),
}
MIME_TYPES = {
    "image": {"image/jpeg", "image/png", "image/webp", "image/heic", "image/heif"},
    "audio": {"audio/mpeg", "audio/wav"},
    "video": {"video/mp4", "video/quicktime", "video/webm"},
}
REFERENCES = {
    "images": "image",
    "image": "image",
    "mask": "image",
    "start_frame": "image",
    "end_frame": "image",
    "videos": "video",
    "audios": "audio",
    "audio": "audio",
}
"""Fields that hold references, and what they refer to."""

FindThing = Callable[[str, str], str | None]
"""Gives the media type of an asset or a generation that is named, or None."""


def issue(name: str, code: str, message: str) -> Issue:
    """One entry of the list in a 422."""
    return {"type": code, "loc": ["body", *name.split(".")], "msg": message}


def check_fields(body: Mapping[str, Any], fields: str) -> Iterator[Issue]:
    """Unknown and missing fields, wrong types, numbers out of their range."""
    names = {name.rstrip("*") for name in fields.split()}
    for name in body:
        if name not in names:
            yield issue(name, "extra_forbidden", "Extra inputs are not permitted")
    for name in fields.split():
        if name.endswith("*") and body.get(name[:-1]) in (None, "", []):
            yield issue(name[:-1], "missing", "Field required")
    for name, value in body.items():
        types = TYPES.get(name)
        if value is None or types is None:
            continue
        if type(value) not in types:
            yield issue(name, "type_error", f"Input should be a valid {types[0]}")
        elif name in RANGES and not RANGES[name][0] <= value <= RANGES[name][1]:
            yield issue(name, "out_of_range", f"Input should be within {RANGES[name]}")


def check_voice_settings(settings: Any) -> Iterator[Issue]:
    """Numbers within their limits; nothing when there are no settings."""
    if not isinstance(settings, dict):
        return
    for name, value in settings.items():
        if name == "use_speaker_boost" and isinstance(value, bool):
            continue
        least, most = VOICE_LIMITS.get(name, (1.0, 0.0))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not least <= value <= most:
            yield issue(f"voice_settings.{name}", "out_of_range", "Input is not valid")


def check_music(body: Mapping[str, Any]) -> Iterator[Issue]:
    """A prompt or a plan, never both, and each with its own fields."""
    plan = body.get("composition_plan")
    if (plan is None) == (not body.get("prompt")):
        yield issue("prompt", "value_error", "Give either a prompt or a plan")
    only = ("seed",) if plan is None else ("music_length_ms", "force_instrumental")
    for name in only:
        if body.get(name) is not None:
            yield issue(name, "value_error", "Cannot be used in this conjunction")
    if not isinstance(plan, dict):
        return
    old = body.get("model_id", "music_v1") == "music_v1"
    parts, most = plan.get("sections" if old else "chunks"), 30
    if not isinstance(parts, list) or not 0 < len(parts) <= most:
        yield issue("composition_plan", "value_error", "The plan has no valid parts")
        return
    for number, part in enumerate(parts):
        at = f"composition_plan.{number}"
        if not isinstance(part, dict):
            yield issue(at, "type_error", "Input should be an object")
            continue
        length = part.get("duration_ms")
        if not isinstance(length, int) or not 3_000 <= length <= 120_000:
            yield issue(f"{at}.duration_ms", "out_of_range", "3000 to 120000 ms")
        needed = (
            ("section_name", "positive_local_styles", "negative_local_styles", "lines")
            if old
            else ("text", "positive_styles")
        )
        for name in needed:
            if name not in part:
                yield issue(f"{at}.{name}", "missing", "Field required")


def check_dialogue(inputs: Any) -> Iterator[Issue]:
    """Texts with voices: few speakers, and not too many characters."""
    if not isinstance(inputs, list):
        return
    voices, length = set(), 0
    for number, line in enumerate(inputs):
        told = line if isinstance(line, dict) else {}
        for name in ("text", "voice_id"):
            if not isinstance(told.get(name), str) or not told[name]:
                yield issue(f"inputs.{number}.{name}", "missing", "Field required")
        voices.add(str(told.get("voice_id")))
        length += len(str(told.get("text", "")))
    if len(voices) > MOST_SPEAKERS or length > MOST_DIALOGUE:
        yield issue("inputs", "value_error", "Too many voices or characters")


def check_job(
    body: Mapping[str, Any], kind: str, form: Form, find: FindThing
) -> Iterator[Issue]:
    """A job's fields, the words of its model, its references and how they combine."""
    yield from check_fields(body, f"model_id* webhook {form.fields}")
    for name, words in (
        ("aspect_ratio", form.ratios),
        ("resolution", form.resolutions),
        ("quality", form.qualities),
    ):
        if body.get(name) is not None and body[name] not in words.split():
            yield issue(name, "literal_error", f"Input should be one of {words}")
    if kind == "text-to-speech":
        yield from check_voice_settings(body.get("voice_settings"))
        if body.get("output_format", "mp3_44100_128") not in MP3:
            yield issue("output_format", "literal_error", "Input should be an MP3")
    for name, what in REFERENCES.items():
        given = body.get(name)
        for one in given if isinstance(given, list) else [given]:
            if one is not None:
                veo = name == "images" and form.fields == VEO
                yield from check_reference(name, one, what, find, veo=veo)
    images = body.get("images") or []
    if isinstance(images, list) and len(images) > form.most_images:
        yield issue("images", "too_long", f"At most {form.most_images} images")
    framed = body.get("start_frame") or body.get("end_frame")
    if framed and any(body.get(name) for name in ("images", "videos", "audios")):
        yield issue("images", "value_error", "Cannot be combined with frames")
    if form.fields == VEO and images and body.get("duration_secs", 8) != 8:
        yield issue("duration_secs", "value_error", "Reference images require 8")
    if (
        body.get("audios")
        and form.fields != DANCE
        and not (images or body.get("videos"))
    ):
        yield issue("audios", "value_error", "Requires images or videos")


def check_reference(
    name: str, given: Any, what: str, find: FindThing, *, veo: bool
) -> Iterator[Issue]:
    """An image, sound or film: inline, an asset, or another job's result."""
    if veo:
        role = given.get("role") if isinstance(given, dict) else None
        if role not in ("subject", "style"):
            yield issue(f"{name}.role", "literal_error", "Input should be a role")
            return
        given = given.get("image")
    told = given if isinstance(given, dict) else {}
    match told.get("type"):
        case "inline_base64":
            yield from check_inline(name, told, what)
        case "asset" | "generation" as kind:
            found = find(kind, str(told.get(f"{kind}_id")))
            if found is None or not found.startswith(what):
                yield issue(name, "value_error", f"There is no such {kind}")
        case _:
            yield issue(name, "union_tag_invalid", "Input should be a reference")


def check_inline(name: str, told: Mapping[str, Any], what: str) -> Iterator[Issue]:
    if told.get("mime_type") not in MIME_TYPES[what]:
        yield issue(f"{name}.mime_type", "literal_error", "Not a type that is taken")
    content = told.get("content_base64")
    try:
        if not isinstance(content, str) or not base64.b64decode(content, validate=True):
            raise ValueError("empty")
        if what == "image" and told.get("mime_type") not in (
            "image/heic",
            "image/heif",
        ):
            read_image(content)
    except (binascii.Error, ValueError, NotAnImage) as error:
        yield issue(f"{name}.content_base64", "value_error", str(error))
