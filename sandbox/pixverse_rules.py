"""What PixVerse's paths take: the checks of a submit's body.

Source: docs.platform.pixverse.ai and the client in PixVerseAI/PixVerse-MCP, read
November 2026. Assumptions: which number stands for which misfit where the table of
errors leaves a choice, and that unknown fields are ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.inputs import BadInput, get_flag, get_list, get_text, get_whole

QUALITIES = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16")
WIDE_RATIOS = (*RATIOS, "2:3", "3:2", "21:9")
STYLES = ("anime", "3d_animation", "clay", "comic", "cyberpunk")
LONGEST_PROMPT = 2048
LONGEST_SPEECH = 200
MOST_SEED = 2**31 - 1
MOST_REFERENCES = 7
NO_IDS: tuple[str, ...] = ()


class Misfit(Exception):
    """A body that does not fit, with the number that tells why."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class Version:
    """One version of the model: how long its films may be, and in which shapes."""

    seconds: tuple[int, ...]
    ratios: tuple[str, ...] = RATIOS
    longest_at_1080p: int = 15
    has_styles: bool = False
    most_references: int = 0


OLD = Version((5, 8), longest_at_1080p=5, has_styles=True)
NEW = Version((5, 8, 10), longest_at_1080p=8, most_references=MOST_REFERENCES)
FREE = Version(tuple(range(1, 16)), ratios=WIDE_RATIOS, most_references=MOST_REFERENCES)
VERSIONS = {
    "v3.5": OLD,
    "v4": OLD,
    "v4.5": Version((5, 8), longest_at_1080p=5, has_styles=True, most_references=3),
    "v5": Version((5, 8), most_references=3),
    "v5.5": NEW,
    "v5.6": NEW,
    "v6": FREE,
    "c1": FREE,
}


@dataclass(frozen=True)
class Wanted:
    """A submit that was checked: the film it makes, and the ids it names."""

    prompt: str
    model: str = ""
    width: int = 960
    height: int = 540
    seconds: int = 5
    images: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    source: str = ""


def read_wanted(path: str, body: Mapping[str, Any]) -> Wanted:
    """Check a submit; raises Misfit."""
    try:
        if path == "lip_sync":
            return read_lip_sync(body)
        if path == "sound_effect":
            return read_sound_effect(body)
        return read_film(path, body)
    except BadInput as error:
        raise Misfit(number_of(error, body), str(error)) from error


def number_of(error: BadInput, body: Mapping[str, Any]) -> int:
    """400011 for what is missing, 400013 for a wrong type, else 400017."""
    text = str(error)
    if text.endswith("is required"):
        return 400011
    wrong_type = ("must be a string", "must be a number", "must be an integer")
    return 400013 if text.endswith((*wrong_type, "true or false", "a list")) else 400017


def read_film(path: str, body: Mapping[str, Any]) -> Wanted:
    prompt = get_text(body, "prompt")
    if len(prompt) > LONGEST_PROMPT:
        raise Misfit(400018, "prompt is too long")
    if len(get_text(body, "negative_prompt", default="")) > LONGEST_PROMPT:
        raise Misfit(400019, "negative prompt is too long")
    name = get_text(body, "model")
    version = VERSIONS.get(name)
    if version is None:
        raise BadInput("model is not one of ours", "model")
    quality = get_text(body, "quality")
    if quality not in QUALITIES:
        raise BadInput("invalid quality", "quality")
    seconds = get_whole(body, "duration")
    is_large = quality == "1080p"
    if seconds not in version.seconds or (
        is_large and seconds > version.longest_at_1080p
    ):
        raise BadInput("invalid duration", "duration")
    mode = get_text(body, "motion_mode", default="normal")
    if mode not in ("normal", "fast") or (mode == "fast" and (seconds > 5 or is_large)):
        raise BadInput("invalid motion_mode", "motion_mode")
    if body.get("camera_movement") and body.get("template_id"):
        raise BadInput("camera_movement and template_id exclude each other")
    if body.get("style") and (
        not version.has_styles or get_text(body, "style") not in STYLES
    ):
        raise BadInput("invalid style", "style")
    get_whole(body, "seed", default=0, least=0, most=MOST_SEED)
    for flag in ("water_mark", "sound_effect_switch", "generate_audio_switch"):
        get_flag(body, flag)
    ratio = read_ratio(path, body, version)
    source, media = "", NO_IDS
    if path == "extend":
        source, media = read_source(body)
    width, height = pixels(QUALITIES[quality], ratio)
    return Wanted(
        prompt,
        name,
        width,
        height,
        seconds,
        read_images(path, body, version, prompt),
        media,
        source,
    )


def read_ratio(path: str, body: Mapping[str, Any], version: Version) -> str:
    if path not in ("text", "fusion"):
        if "aspect_ratio" in body:
            raise BadInput("aspect_ratio is not for this path", "aspect_ratio")
        return "16:9"
    ratio = get_text(body, "aspect_ratio")
    if ratio not in version.ratios:
        raise BadInput("invalid aspect_ratio", "aspect_ratio")
    return ratio


def pixels(side: int, ratio: str) -> tuple[int, int]:
    """Width and height of a film whose short side is that."""
    across, down = (int(part) for part in ratio.split(":"))
    if across >= down:
        return round(side * across / down), side
    return side, round(side * down / across)


def read_images(
    path: str, body: Mapping[str, Any], version: Version, prompt: str
) -> tuple[str, ...]:
    """The ids of the pictures that the path is about."""
    if path == "transition":
        return tuple(
            an_id(body, name) for name in ("first_frame_img", "last_frame_img")
        )
    if path == "fusion":
        return read_references(body, version, prompt)
    if path != "img":
        return ()
    ids = get_list(body, "img_ids")
    if bool(ids) == bool(body.get("img_id")):
        raise BadInput("img_id or img_ids is required", "img_id")
    if not ids:
        return (an_id(body, "img_id"),)
    if not body.get("template_id"):
        raise BadInput("img_ids are for templates", "img_ids")
    return tuple(an_id({"img_ids": each}, "img_ids") for each in ids)


def read_references(
    body: Mapping[str, Any], version: Version, prompt: str
) -> tuple[str, ...]:
    references = get_list(body, "image_references")
    if not 1 <= len(references) <= version.most_references:
        raise BadInput("invalid number of image_references", "image_references")
    found = []
    for each in references:
        if not isinstance(each, dict) or each.get("type") not in (
            "subject",
            "background",
        ):
            raise BadInput("invalid image_references", "image_references")
        if f"@{get_text(each, 'ref_name')}" not in prompt:
            raise BadInput("the prompt lacks a ref_name", "prompt")
        found.append(an_id(each, "img_id"))
    return tuple(found)


def read_source(body: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The film that a work is about: one made here, or one that was uploaded."""
    if bool(body.get("source_video_id")) == bool(body.get("video_media_id")):
        raise BadInput("source_video_id or video_media_id is required")
    if body.get("source_video_id"):
        return an_id(body, "source_video_id"), ()
    return "", (an_id(body, "video_media_id"),)


def read_lip_sync(body: Mapping[str, Any]) -> Wanted:
    source, media = read_source(body)
    content = get_text(body, "lip_sync_tts_content", default="")
    if len(content) > LONGEST_SPEECH:
        raise BadInput("lip_sync_tts_content is too long", "lip_sync_tts_content")
    says = bool(content) and bool(body.get("lip_sync_tts_speaker_id"))
    if bool(body.get("audio_media_id")) == says:
        raise BadInput("audio_media_id or a text with a speaker is required")
    if not says:
        media = (*media, an_id(body, "audio_media_id"))
    return Wanted(content, media=media, source=source)


def read_sound_effect(body: Mapping[str, Any]) -> Wanted:
    source, media = read_source(body)
    content = get_text(body, "sound_effect_content")
    if len(content) > LONGEST_PROMPT:
        raise Misfit(400018, "sound_effect_content is too long")
    get_flag(body, "original_sound_switch")
    get_whole(body, "seed", default=0, least=0, most=MOST_SEED)
    return Wanted(content, media=media, source=source)


def an_id(body: Mapping[str, Any], name: str) -> str:
    """An id, which is a number with more digits than a float has; as a text."""
    value = body.get(name)
    if value is None:
        raise BadInput(f"{name} is required", name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{name} must be an integer", name)
    return str(value)
