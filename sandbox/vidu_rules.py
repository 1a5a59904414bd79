"""What Vidu takes: the parameters of each endpoint, checked as its documentation says.

Sources: the API pages of platform.vidu.com and platform.vidu.cn (read 2026-11-22). Not
confirmed, and so checked loosely: the shortest film of references, the longest film of
a first frame, names of templates and voices. Unknown fields are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.inputs import (
    BadInput,
    get_choice,
    get_flag,
    get_list,
    get_number,
    get_text,
    get_whole,
)
from sandbox.media import NotAnImage, ReadImage, read_image

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
WIDE_RATIOS = (*RATIOS, "21:9", "2:3", "3:2", "auto")
NEW_LEVELS = ("540p", "720p", "1080p")
OLD_LEVELS = ("360p", "720p", "1080p")
SHORT_SIDES = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
PICTURE_SIDES = {"1080p": 1080, "2K": 1440, "4K": 2160}
AMPLITUDES = ("auto", "small", "medium", "large")
EMOTIONS = ("happy", "sad", "angry", "fearful", "disgusted", "surprised", "calm")
MOST_PAYLOAD = 1_048_576
MOST_IMAGE_BYTES = 50 * 1000**2
TEMPLATE_S = 4.0
CHARACTERS_PER_S = 15.0
MOST_SOUND_S = 30.0


class Lacking(BadInput):
    """A field is missing: a reason of its own."""


class Count(BadInput):
    """Too few or too many items in a list: a reason of its own."""


class BadImage(BadInput):
    """An image that cannot be used: a reason of its own."""


@dataclass(frozen=True)
class Film:
    """What one model takes: endpoints, seconds, levels, the longest text."""

    ways: str
    seconds: tuple[int, ...]
    levels: tuple[str, ...]
    longest: int = 5000
    level: str = "720p"
    has_style: bool = False


Q3, Q2 = tuple(range(1, 17)), tuple(range(1, 11))
TWO_LEVELS = ("720p", "1080p")
TEXT, FRAME, FRAMES = "text2video", "img2video", "start-end2video"
REFERENCE, MULTIFRAME = "reference2video", "multiframe"
EVERY = f"{TEXT} {FRAME} {FRAMES} {REFERENCE}"
FILMS = {
    "viduq3-pro": Film(f"{TEXT} {FRAME} {FRAMES}", Q3, NEW_LEVELS),
    "viduq3-pro-fast": Film(FRAME, Q3, TWO_LEVELS),
    "viduq3-turbo": Film(EVERY, Q3, NEW_LEVELS),
    "viduq3": Film(REFERENCE, Q3, TWO_LEVELS),
    "viduq3-mix": Film(REFERENCE, Q3, TWO_LEVELS),
    "viduq2": Film(f"{TEXT} {REFERENCE}", Q2, NEW_LEVELS),
    "viduq2-pro": Film(f"{FRAME} {FRAMES} {REFERENCE} {MULTIFRAME}", Q2, NEW_LEVELS),
    "viduq2-pro-fast": Film(f"{FRAME} {FRAMES}", Q2, NEW_LEVELS),
    "viduq2-turbo": Film(f"{FRAME} {FRAMES} {MULTIFRAME}", Q2, NEW_LEVELS),
    "viduq1": Film(EVERY, (5,), ("1080p",), 2000, "1080p", has_style=True),
    "viduq1-classic": Film(EVERY, (5,), ("1080p",), 2000, "1080p", has_style=True),
    "vidu2.0": Film(f"{FRAME} {FRAMES} {REFERENCE}", (4, 8), OLD_LEVELS, 2000),
    "vidu1.5": Film(EVERY, (4, 8), OLD_LEVELS, 2000),
}
USUAL_S = 5


@dataclass(frozen=True)
class Wanted:
    """What a submit asks for; `told` is repeated in the answer to it."""

    prompt: str
    told: Mapping[str, Any]
    model: str = ""
    width: int = 1280
    height: int = 720
    seconds: float = 5.0
    callback_url: str = ""
    payload: str = ""


def required(body: Mapping[str, Any], name: str, longest: int | None = None) -> str:
    if body.get(name) in (None, ""):
        raise Lacking(f"field {name} is required", name)
    return get_text(body, name, longest=longest)


def check_image(given: Any, field: str) -> ReadImage | None:
    """A URL, or a data URL; base64 without its head is refused."""
    if not isinstance(given, str) or not given:
        raise BadInput(f"{field} must hold URLs or data URLs", field)
    if not given.startswith(("http://", "https://", "data:image/")):
        raise BadImage(f"{field} lacks its content type", field)
    try:
        image = read_image(given)
    except NotAnImage as error:
        raise BadImage(f"{field}: {error}", field) from error
    if image is None:
        return None
    known = image.image_format in ("png", "jpeg", "mpo", "webp")
    short, long = sorted((image.width, image.height))
    if not known or len(image.data) > MOST_IMAGE_BYTES or short < 128:
        raise BadImage(f"{field} must be PNG, JPEG or WebP of 128 px or more", field)
    if long > 4 * short:
        raise BadImage(f"{field} must not be longer than 4:1", field)
    return image


def images_of(body: Mapping[str, Any], least: int, most: int) -> list[ReadImage | None]:
    given = get_list(body, "images")
    if not given and least:
        raise Lacking("field images is required", "images")
    if not least <= len(given) <= most:
        raise Count(f"images must be {least} to {most}", "images")
    return [check_image(image, "images") for image in given]


def sides_of(ratio: str, short: int) -> tuple[int, int]:
    across, _, down = (ratio if ratio != "auto" else "16:9").partition(":")
    width, height = int(across), int(down)
    small = min(width, height)
    return short * width // small, short * height // small


def finished(
    body: Mapping[str, Any], prompt: str, told: dict[str, Any], **made: Any
) -> Wanted:
    """What every endpoint has: a text of ours that is repeated, and an address."""
    payload = get_text(body, "payload", default="", longest=MOST_PAYLOAD)
    hook = get_text(body, "callback_url", default="")
    seed = get_whole(body, "seed", default=0)
    off_peak = get_flag(body, "off_peak")
    shown = {**told, "seed": seed, "payload": payload, "off_peak": off_peak}
    return Wanted(prompt, shown, callback_url=hook, payload=payload, **made)


def read_film(way: str, body: Mapping[str, Any]) -> Wanted:
    model = required(body, "model")
    rules = FILMS.get(model)
    if rules is None or way not in rules.ways.split():
        raise BadInput(f"model {model} cannot be used for {way}", "model")
    is_shaped = way in (TEXT, REFERENCE)
    prompt = get_text(body, "prompt", default="", longest=rules.longest)
    if is_shaped and not prompt:
        raise Lacking("field prompt is required", "prompt")
    count = len(get_list(body, "images"))
    if way == REFERENCE and body.get("subjects") is not None:
        check_subjects(body)
    elif way == TEXT and count:
        raise BadInput("images are not used here", "images")
    else:
        images = images_of(body, *WAYS[way])
        check_areas(way, images)
    seconds = get_whole(body, "duration", default=rules.seconds[0])
    if body.get("duration") is None and USUAL_S in rules.seconds:
        seconds = USUAL_S
    if seconds not in rules.seconds:
        raise BadInput(f"{model} makes no {seconds} s", "duration")
    level = get_choice(body, "resolution", rules.levels, default=rules.level)
    if model == "vidu2.0" and seconds == 8 and level != "720p":
        raise BadInput("8 s are made in 720p only", "resolution")
    ratio = "16:9"
    if is_shaped:
        ratio = get_choice(body, "aspect_ratio", RATIOS, default=ratio)
    if body.get("style") is not None:
        if not rules.has_style:
            raise BadInput(f"{model} has no style", "style")
        get_choice(body, "style", ("general", "anime"))
    amplitude = get_choice(body, "movement_amplitude", AMPLITUDES, default="auto")
    for flag in ("audio", "bgm", "is_rec", "watermark"):
        get_flag(body, flag)
    width, height = sides_of(ratio, SHORT_SIDES[level])
    return finished(
        body,
        prompt,
        {
            "model": model,
            "prompt": prompt,
            "images": get_list(body, "images"),
            "duration": seconds,
            "resolution": level,
            "movement_amplitude": amplitude,
        },
        model=model,
        width=width,
        height=height,
        seconds=float(seconds),
    )


WAYS = {TEXT: (0, 0), FRAME: (1, 1), FRAMES: (2, 2), REFERENCE: (1, 7)}


def check_areas(way: str, images: list[ReadImage | None]) -> None:
    """First and last frame must be about as large."""
    sides = [image.width * image.height for image in images if image is not None]
    if way == FRAMES and len(sides) == 2 and not 0.8 <= sides[0] / sides[1] <= 1.25:
        raise BadImage("the frames differ too much in size", "images")


def check_subjects(body: Mapping[str, Any]) -> None:
    subjects = get_list(body, "subjects")
    if not 1 <= len(subjects) <= 7:
        raise Count("subjects must be 1 to 7", "subjects")
    for subject in subjects:
        if not isinstance(subject, dict) or not (
            subject.get("name") or subject.get("id")
        ):
            raise Lacking("field subjects.name is required", "subjects")
        images = get_list(subject, "images")
        if len(images) > 3:
            raise Count("images of a subject must be up to 3", "subjects")
        for image in images:
            check_image(image, "subjects")


def read_multiframe(body: Mapping[str, Any]) -> Wanted:
    model = required(body, "model")
    rules = FILMS.get(model)
    if rules is None or MULTIFRAME not in rules.ways.split():
        raise BadInput(f"model {model} cannot be used for {MULTIFRAME}", "model")
    required(body, "start_image")
    check_image(body["start_image"], "start_image")
    parts = get_list(body, "image_settings")
    if not 2 <= len(parts) <= 9:
        raise Count("image_settings must be 2 to 9", "image_settings")
    seconds, prompts = 0, []
    for part in parts:
        if not isinstance(part, dict):
            raise BadInput("image_settings must hold objects", "image_settings")
        check_image(part.get("key_image"), "key_image")
        prompts.append(get_text(part, "prompt", default=""))
        seconds += get_whole(part, "duration", default=USUAL_S, least=2, most=7)
    level = get_choice(body, "resolution", rules.levels, default=rules.level)
    width, height = sides_of("16:9", SHORT_SIDES[level])
    prompt = prompts[0]
    return finished(
        body,
        prompt,
        {"model": model, "duration": seconds, "resolution": level},
        model=model,
        width=width,
        height=height,
        seconds=float(seconds),
    )


def read_template(body: Mapping[str, Any]) -> Wanted:
    name = required(body, "template")
    images_of(body, 1, 7)
    prompt = get_text(body, "prompt", default="", longest=2000)
    ratio = get_choice(body, "aspect_ratio", RATIOS, default="16:9")
    width, height = sides_of(ratio, 720)
    told = {"template": name, "prompt": prompt, "images": get_list(body, "images")}
    return finished(body, prompt, told, width=width, height=height, seconds=TEMPLATE_S)


def read_story(body: Mapping[str, Any]) -> Wanted:
    name = required(body, "story")
    images_of(body, 1, 7)
    told = {"story": name, "images": get_list(body, "images")}
    # a story has no text of its own; tags may stand in its name
    return finished(body, name, told, width=720, height=1280, seconds=TEMPLATE_S)


def read_picture(body: Mapping[str, Any]) -> Wanted:
    model = required(body, "model")
    if model not in ("viduq2", "viduq1"):
        raise BadInput(f"model {model} makes no pictures", "model")
    first = model == "viduq1"
    prompt = required(body, "prompt", 2000)
    images = images_of(body, 1 if first else 0, 7)
    ratio = get_choice(
        body, "aspect_ratio", RATIOS if first else WIDE_RATIOS, default="16:9"
    )
    levels = ("1080p",) if first else tuple(PICTURE_SIDES)
    level = get_choice(body, "resolution", levels, default="1080p")
    shape = images[0] if images and ratio == "auto" else None
    if shape is not None:
        ratio = f"{shape.width}:{shape.height}"
    width, height = sides_of(ratio, PICTURE_SIDES[level])
    told = {"model": model, "prompt": prompt, "resolution": level}
    return finished(body, prompt, told, model=model, width=width, height=height)


def read_sound(body: Mapping[str, Any]) -> Wanted:
    model = get_choice(body, "model", ("audio1.0",))
    prompt = required(body, "prompt", 1500)
    seconds = get_number(body, "duration", default=10.0, least=2.0, most=10.0)
    told = {"model": model, "prompt": prompt, "duration": seconds}
    return finished(body, prompt, told, model=model, seconds=seconds)


def read_timed_sound(body: Mapping[str, Any]) -> Wanted:
    model = get_choice(body, "model", ("audio1.0",))
    seconds = get_number(body, "duration", default=10.0, least=2.0, most=10.0)
    events = get_list(body, "timing_prompts")
    if not events:
        raise Lacking("field timing_prompts is required", "timing_prompts")
    prompts = []
    for event in events:
        if not isinstance(event, dict):
            raise BadInput("timing_prompts must hold objects", "timing_prompts")
        begins = get_number(event, "from", least=0.0, most=seconds)
        get_number(event, "to", least=begins, most=seconds)
        prompts.append(required(event, "prompt", 1500))
    told = {"model": model, "duration": seconds}
    return finished(body, " ".join(prompts), told, model=model, seconds=seconds)


def read_speech(body: Mapping[str, Any]) -> Wanted:
    text = required(body, "text", 9999)
    required(body, "voice_setting_voice_id")
    speed = get_number(
        body, "voice_setting_speed", default=1.0, least=0.5, most=2.0, strict=False
    )
    for name, least, most in (("volume", 0, 10), ("pitch", -12, 12)):
        field = f"voice_setting_{name}"
        get_whole(body, field, default=0, least=least, most=most, strict=False)
    if body.get("voice_setting_emotion") is not None:
        get_choice(body, "voice_setting_emotion", EMOTIONS)
    seconds = min(MOST_SOUND_S, max(0.5, len(text) / CHARACTERS_PER_S / speed))
    return finished(body, text, {}, seconds=seconds)


READERS: Mapping[str, Callable[[Mapping[str, Any]], Wanted]] = {
    MULTIFRAME: read_multiframe,
    "template": read_template,
    "template-story": read_story,
    "reference2image": read_picture,
    "text2audio": read_sound,
    "timing2audio": read_timed_sound,
    "audio-tts": read_speech,
}


def read(way: str, body: Mapping[str, Any]) -> Wanted:
    """What a call of that endpoint asks for; raises BadInput."""
    if way in WAYS:
        return read_film(way, body)
    return READERS[way](body)
