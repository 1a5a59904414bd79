"""What MiniMax takes: the parameters of each API, checked as its documentation says.

Sources: the API pages of platform.minimax.io (read 2026-11-22). Resolutions of the v2
API beside 2K are not confirmed: every word that looks like one is taken.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.inputs import (
    BadInput,
    get_choice,
    get_flag,
    get_list,
    get_number,
    get_object,
    get_text,
    get_whole,
)
from sandbox.media import NotAnImage, read_image

MOST_IMAGE_BYTES = 20 * 1000**2
INPUT_FORMATS = ("jpeg", "mpo", "png", "webp")
SIDES_V1 = {
    "512P": (910, 512),
    "720P": (1280, 720),
    "768P": (1366, 768),
    "1080P": (1920, 1080),
}
RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
IMAGE_RATIOS = ("1:1", "16:9", "4:3", "3:2", "2:3", "3:4", "9:16", "21:9")
RESOLUTION_V2 = re.compile(r"\d{3,4}P|\dK")
SPEECH_MODELS = frozenset(
    f"speech-{version}-{kind}"
    for version in ("2.8", "2.6", "02", "01")
    for kind in ("hd", "turbo")
)
LYRICS_WRITERS = frozenset({"music-2.6", "music-2.6-free", "music-2.5+", "music-2.5"})
MUSIC_MODELS = LYRICS_WRITERS | {"music-2.0", "music-1.5"}
OPENAI_MODELS = ("MiniMax-H3-Image", "MiniMax-H3-Image-Highspeed")
SAMPLE_RATES = (8000, 16000, 22050, 24000, 32000, 44100)
BITRATES = (32000, 64000, 128000, 256000)
SPEECH_FORMATS = ("mp3", "wav", "flac", "pcm")
MUSIC_FORMATS = ("mp3", "wav", "pcm")
INVISIBLE_SHARE = 0.1
CHARACTERS_PER_S = 15.0
MOST_SOUND_S = 30.0
SONG_S = 20.0


class Invisible(BadInput):
    """More than a tenth of the characters cannot be seen: a code of its own."""


@dataclass(frozen=True)
class VideoModel:
    """What one v1 model makes: seconds by resolution, and which images it takes."""

    seconds: Mapping[str, tuple[int, ...]]
    default: str
    needs_frame: bool = False
    takes_frame: bool = True
    takes_last: bool = False
    takes_subject: bool = False


HAILUO = {"768P": (6, 10), "1080P": (6,)}
OLD = {"720P": (6,)}
VIDEO_MODELS = {
    "MiniMax-Hailuo-2.3": VideoModel(HAILUO, "768P"),
    "MiniMax-Hailuo-2.3-Fast": VideoModel(HAILUO, "768P", needs_frame=True),
    "MiniMax-Hailuo-02": VideoModel(
        {"512P": (6, 10), **HAILUO}, "768P", takes_last=True
    ),
    **{
        name: VideoModel(OLD, "720P", takes_frame=False)
        for name in ("T2V-01", "T2V-01-Director")
    },
    **{
        name: VideoModel(OLD, "720P", needs_frame=True)
        for name in ("I2V-01", "I2V-01-Director", "I2V-01-live")
    },
    "S2V-01": VideoModel(OLD, "720P", takes_frame=False, takes_subject=True),
}


@dataclass(frozen=True)
class Wanted:
    """What a submit asks for, as far as the sandbox makes use of it."""

    model: str
    prompt: str
    width: int = 1024
    height: int = 1024
    seconds: float = 6.0
    count: int = 1
    media_format: str = ""
    inline: bool = False
    callback_url: str = ""
    resolution: str = ""
    ratio: str = ""
    task_type: str = ""


def model_of(body: Mapping[str, Any], known: Any) -> str:
    model = get_text(body, "model")
    if model not in known:
        raise BadInput(f"unknown model {model}", "model")
    return model


def check_image(given: Any, field: str) -> None:
    """A frame: a URL, or a data URL of a sound image of the right size and shape."""
    if not isinstance(given, str) or not given:
        raise BadInput(f"{field} must be a URL or a data URL", field)
    if not given.startswith(("http://", "https://", "data:image/")):
        raise BadInput(f"{field} must be a URL or a data URL", field)
    try:
        image = read_image(given)
    except NotAnImage as error:
        raise BadInput(f"{field}: {error}", field) from error
    if image is None:
        return
    short, long = sorted((image.width, image.height))
    if len(image.data) > MOST_IMAGE_BYTES or image.image_format not in INPUT_FORMATS:
        raise BadInput(f"{field} must be JPG, PNG or WebP of up to 20 MB", field)
    if short <= 300 or long / short > 2.5:
        raise BadInput(
            f"{field}: the short side must exceed 300 px, the ratio lie in 2:5 to 5:2",
            field,
        )


def check_subject(body: Mapping[str, Any], key: str) -> bool:
    """Whether there is a character; video names its images `image`, image otherwise."""
    subjects = get_list(body, "subject_reference")
    for subject in subjects:
        if not isinstance(subject, dict) or subject.get("type") != "character":
            raise BadInput("subject_reference must be of the type character")
        images = subject.get(key)
        images = images if isinstance(images, list) else [images]
        if len(images) != 1:
            raise BadInput("subject_reference takes one image")
        check_image(images[0], "subject_reference")
    if len(subjects) > 1:
        raise BadInput("subject_reference takes one subject")
    return bool(subjects)


def read_video_v1(body: Mapping[str, Any]) -> Wanted:
    model = model_of(body, VIDEO_MODELS)
    rules = VIDEO_MODELS[model]
    first = body.get("first_frame_image")
    last = body.get("last_frame_image")
    has_subject = check_subject(body, "image")
    for given, field, allowed in (
        (first, "first_frame_image", rules.takes_frame),
        (last, "last_frame_image", rules.takes_last),
        (has_subject or None, "subject_reference", rules.takes_subject),
    ):
        if given is None:
            continue
        if not allowed:
            raise BadInput(f"{model} does not support {field}", field)
        if given is not True:
            check_image(given, field)
    if rules.needs_frame and first is None:
        raise BadInput(f"{model} needs first_frame_image", "first_frame_image")
    if rules.takes_subject and not has_subject:
        raise BadInput(f"{model} needs subject_reference", "subject_reference")
    has_image = first is not None or has_subject
    default = "" if has_image or last is not None else None
    prompt = get_text(body, "prompt", default=default, longest=2000)
    resolution = get_choice(
        body, "resolution", tuple(rules.seconds), default=rules.default
    )
    seconds = get_whole(body, "duration", default=6)
    if seconds not in rules.seconds[resolution]:
        raise BadInput(f"{model} does not support {seconds} s at {resolution}")
    if resolution == "512P" and first is None:
        raise BadInput("512P needs first_frame_image", "resolution")
    for flag in ("prompt_optimizer", "fast_pretreatment", "aigc_watermark"):
        get_flag(body, flag)
    width, height = SIDES_V1[resolution]
    return Wanted(
        model,
        prompt,
        width,
        height,
        float(seconds),
        callback_url=get_text(body, "callback_url", default=""),
    )


# kind of content: where its URL stands, which roles it may have, how many there may be
CONTENTS: Mapping[str, Mapping[str, int]] = {
    "image_url": {"first_frame": 1, "last_frame": 1, "reference_image": 9},
    "video_url": {"reference_video": 3, "base_video": 1},
    "audio_url": {"reference_audio": 3},
}


def read_video_v2(body: Mapping[str, Any]) -> Wanted:
    model = model_of(body, ("MiniMax-H3",))
    texts: list[str] = []
    roles: dict[str, int] = {}
    for item in get_list(body, "content"):
        read_content(item, texts, roles)
    check_roles(texts, roles)
    resolution = get_text(body, "resolution")
    if not RESOLUTION_V2.fullmatch(resolution):
        raise BadInput("resolution must be 2K", "resolution")
    seconds = get_whole(body, "duration", least=5, most=15)
    ratio = get_choice(body, "ratio", (*RATIOS, "adaptive"), default="adaptive")
    if not roles and ratio == "adaptive":
        raise BadInput("ratio is required for text-to-video", "ratio")
    get_flag(body, "aigc_watermark")
    width, height = sides_of(ratio if ratio != "adaptive" else "16:9", 1440)
    return Wanted(
        model,
        " ".join(texts),
        width,
        height,
        float(seconds),
        callback_url=get_text(body, "callback_url", default=""),
        resolution=resolution,
        ratio=ratio,
        task_type="i2v" if "first_frame" in roles else "r2v" if roles else "t2v",
    )


def read_content(item: Any, texts: list[str], roles: dict[str, int]) -> None:
    if not isinstance(item, dict):
        raise BadInput("content must be a list of objects", "content")
    kind = get_choice(item, "type", ("text", *CONTENTS))
    if kind == "text":
        texts.append(get_text(item, "text"))
        return
    url = get_text(get_object(item, kind), "url")
    role = get_choice(item, "role", tuple(CONTENTS[kind]))
    roles[role] = roles.get(role, 0) + 1
    if roles[role] > CONTENTS[kind][role]:
        raise BadInput(f"too many of the role {role}")
    if kind == "image_url":
        check_image(url, "image_url")


def check_roles(texts: list[str], roles: Mapping[str, int]) -> None:
    if not texts and not roles:
        raise BadInput("content is required", "content")
    frames = {"first_frame", "last_frame"} & roles.keys()
    if "last_frame" in frames and "first_frame" not in frames:
        raise BadInput("last_frame needs first_frame")
    if frames and roles.keys() - frames:
        raise BadInput("frames and references exclude one another")
    if set(roles) == {"reference_audio"}:
        raise BadInput("reference_audio needs an image or a video")


def sides_of(ratio: str, short: int) -> tuple[int, int]:
    """Width and height of a shape whose shorter side is given."""
    width, height = (int(side) for side in ratio.split(":"))
    if width >= height:
        return short * width // height // 2 * 2, short
    return short, short * height // width // 2 * 2


def read_image_wish(body: Mapping[str, Any]) -> Wanted:
    model = model_of(body, ("image-01", "image-01-live"))
    prompt = get_text(body, "prompt", longest=1500)
    ratios = IMAGE_RATIOS if model == "image-01" else IMAGE_RATIOS[:-1]
    ratio = get_choice(body, "aspect_ratio", ratios, default="1:1")
    width, height = sides_of(ratio, 1024)
    asked = [body.get(name) is not None for name in ("width", "height")]
    if any(asked):
        if model != "image-01" or not all(asked):
            raise BadInput("width and height come together, and with image-01 only")
        sides = [
            get_whole(body, name, least=512, most=2048) for name in ("width", "height")
        ]
        if any(side % 8 for side in sides):
            raise BadInput("width and height must be multiples of 8")
        if body.get("aspect_ratio") is None:
            width, height = sides
    get_whole(body, "seed", default=0)
    get_flag(body, "prompt_optimizer")
    get_flag(body, "aigc_watermark")
    check_subject(body, "image_file")
    form = get_choice(body, "response_format", ("url", "base64"), default="url")
    return Wanted(
        model,
        prompt,
        width,
        height,
        count=get_whole(body, "n", default=1, least=1, most=9),
        media_format="jpeg",
        inline=form == "base64",
    )


def read_openai_image(fields: Mapping[str, Any], *, strict: bool) -> Wanted:
    """The texts of an OpenAI-style call; in a form every value is a text."""
    size = re.fullmatch(r"(\d{3,4})x(\d{3,4})", get_text(fields, "size", default=""))
    form = get_choice(fields, "response_format", ("url", "b64_json"), default="url")
    return Wanted(
        model_of(fields, OPENAI_MODELS),
        get_text(fields, "prompt"),
        int(size[1]) if size else 1024,
        int(size[2]) if size else 1024,
        count=get_whole(fields, "n", default=1, least=1, most=9, strict=strict),
        media_format="png",
        inline=form == "b64_json",
    )


def read_sound_options(
    body: Mapping[str, Any], formats: tuple[str, ...], rate_name: str
) -> str:
    """The format of a sound, its other options being in order."""
    options = get_object(body, "audio_setting")
    for name, allowed in ((rate_name, SAMPLE_RATES), ("bitrate", BITRATES)):
        if options.get(name) is not None and options[name] not in allowed:
            raise BadInput(f"audio_setting.{name} must be one of {allowed}", name)
    get_whole(options, "channel", default=1, least=1, most=2)
    return get_choice(options, "format", formats, default="mp3")


def check_text(text: str) -> str:
    hidden = sum(unicodedata.category(each) in ("Cc", "Cf") for each in text)
    if hidden - text.count("\n") > INVISIBLE_SHARE * len(text):
        raise Invisible("more than 10% of the characters are invisible", "text")
    return text


def check_voice(body: Mapping[str, Any]) -> float:
    """The speed of the voice."""
    voice = get_object(body, "voice_setting")
    if not get_list(body, "timbre_weights"):
        get_text(voice, "voice_id")
    get_number(voice, "vol", default=1.0, least=0.01, most=10)
    get_whole(voice, "pitch", default=0, least=-12, most=12)
    return get_number(voice, "speed", default=1.0, least=0.5, most=2.0)


def read_speech(body: Mapping[str, Any]) -> Wanted:
    model = model_of(body, SPEECH_MODELS)
    text = check_text(get_text(body, "text", longest=9_999))
    if get_flag(body, "stream"):
        raise BadInput("the sandbox does not stream", "stream")
    return spoken(body, model, text, "sample_rate")


def read_long_speech(body: Mapping[str, Any], uploaded: str | None) -> Wanted:
    """`uploaded` is the text behind `text_file_id`, where one is given."""
    model = model_of(body, SPEECH_MODELS)
    text = uploaded or check_text(get_text(body, "text", longest=50_000))
    return spoken(body, model, text, "audio_sample_rate")


def spoken(body: Mapping[str, Any], model: str, text: str, rate_name: str) -> Wanted:
    speed = check_voice(body)
    return Wanted(
        model,
        text,
        seconds=min(MOST_SOUND_S, max(0.5, len(text) / CHARACTERS_PER_S / speed)),
        media_format=read_sound_options(body, SPEECH_FORMATS, rate_name),
        inline=is_hex(body),
    )


def read_music(body: Mapping[str, Any]) -> Wanted:
    model = model_of(body, MUSIC_MODELS)
    prompt = get_text(body, "prompt", default="", longest=2000)
    lyrics = get_text(body, "lyrics", default="", longest=3500)
    writes = model in LYRICS_WRITERS
    silent = writes and get_flag(body, "is_instrumental")
    if (
        not lyrics
        and not silent
        and not (writes and get_flag(body, "lyrics_optimizer"))
    ):
        raise BadInput("lyrics is required", "lyrics")
    if get_flag(body, "stream"):
        raise BadInput("the sandbox does not stream", "stream")
    return Wanted(
        model,
        prompt or lyrics,
        seconds=SONG_S,
        media_format=read_sound_options(body, MUSIC_FORMATS, "sample_rate"),
        inline=is_hex(body),
    )


def is_hex(body: Mapping[str, Any]) -> bool:
    return get_choice(body, "output_format", ("hex", "url"), default="hex") == "hex"
