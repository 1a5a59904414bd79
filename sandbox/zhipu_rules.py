"""What Zhipu takes: the parameters of each API, checked as its documentation says.

Sources: the API pages of docs.bigmodel.cn and docs.z.ai (read 2026-11-22). Not
confirmed, and so not checked: sizes of Vidu, the range of glm-image's sides, lengths of
image prompts, quality of cogvideox-flash. Unknown fields are passed over, and null
counts as absent: the official client sends it for whatever was not set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.inputs import (
    BadInput,
    get_choice,
    get_flag,
    get_number,
    get_object,
    get_text,
    get_whole,
)
from sandbox.media import NotAnImage, read_image

SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")
SIZES_3 = (
    "1920x1080",
    "1280x720",
    "720x1280",
    "1024x1024",
    "1080x1920",
    "2048x1080",
    "3840x2160",
)
SIZES_2 = (
    "1920x1080",
    "720x480",
    "1024x1024",
    "1280x960",
    "960x1280",
    "1080x1920",
    "2048x1080",
    "3840x2160",
)
RATIOS = {"16:9": (16, 9), "9:16": (9, 16), "1:1": (1, 1)}
AMPLITUDES = ("auto", "small", "medium", "large")
STYLES = ("general", "anime")
VOICES = ("tongtong", "chuichui", "xiaochen", "jam", "kazi", "douji", "luodo")
MOST_IMAGE_BYTES = 5 * 1000**2
CHARACTERS_PER_S = 15.0
MOST_SOUND_S = 30.0


class NoModel(BadInput):
    """The model does not exist, or not here: a code of its own."""


class TooLong(BadInput):
    """The prompt is too long: a code of its own."""


@dataclass(frozen=True)
class Film:
    """What one video model takes: least and most images, seconds, sizes."""

    images: tuple[int, int]
    seconds: tuple[int, ...]
    sizes: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ()
    style: bool = False
    audio: bool = False

    @property
    def is_vidu(self) -> bool:
        return not self.sizes


FILMS = {
    "cogvideox-3": Film((0, 2), (5, 10), SIZES_3, audio=True),
    "cogvideox-2": Film((0, 1), (), SIZES_2, audio=True),
    "cogvideox-flash": Film((0, 1), (), SIZES_2, audio=True),
    "viduq1-text": Film((0, 0), (5,), ratios=tuple(RATIOS), style=True),
    "viduq1-image": Film((1, 1), (5,)),
    "vidu2-image": Film((1, 1), (4,), audio=True),
    "viduq1-start-end": Film((2, 2), (5,)),
    "vidu2-start-end": Film((2, 2), (4,)),
    "vidu2-reference": Film((1, 3), (4,), ratios=tuple(RATIOS)),
}
USUAL_S = 5


@dataclass(frozen=True)
class Picture:
    """What one image model takes."""

    size: str
    multiple: int
    qualities: tuple[str, ...]
    sides: tuple[int, int] = (64, 4096)
    most_pixels: int = 2**22


PICTURES = {
    "glm-image": Picture("1280x1280", 32, ("hd",)),
    "cogview-4": Picture("1024x1024", 16, ("standard",), (512, 2048), 2**21),
    "cogview-4-250304": Picture(
        "1024x1024", 16, ("standard", "hd"), (512, 2048), 2**21
    ),
    "cogview-3-flash": Picture("1024x1024", 16, ("standard",)),
}


@dataclass(frozen=True)
class Wanted:
    """What a submit asks for, as far as the sandbox makes use of it."""

    model: str
    prompt: str
    width: int = 1024
    height: int = 1024
    seconds: float = 5.0
    media_format: str = ""


def read_reference(body: Mapping[str, Any]) -> str | None:
    """The client's own name for the request; also checks the end user's."""
    user = get_text(body, "user_id", default="")
    if user and not 6 <= len(user) <= 128:
        raise BadInput("user_id must have 6 to 128 characters", "user_id")
    word_check = get_object(body, "sensitive_word_check")
    if word_check:
        get_choice(word_check, "type", ("ALL",))
        get_choice(word_check, "status", ("ENABLE", "DISABLE"))
    get_flag(body, "watermark_enabled")
    reference = get_text(body, "request_id", default="")
    if reference and len(reference) < 6:
        raise BadInput("request_id must have at least 6 characters", "request_id")
    return reference or None


def model_of(body: Mapping[str, Any], known: Any) -> str:
    model = get_text(body, "model")
    if model not in known:
        raise NoModel(f"model {model} does not exist", "model")
    return model


def text_of(body: Mapping[str, Any], name: str, longest: int | None = None) -> str:
    text = get_text(body, name, default="")
    if longest is not None and len(text) > longest:
        raise TooLong(f"{name} has more than {longest} characters", name)
    return text


def pixels(size: str) -> tuple[int, int]:
    match = SIZE.fullmatch(size)
    if match is None:
        raise BadInput(f"size {size} must be like 1024x1024", "size")
    return int(match[1]), int(match[2])


def read_video(body: Mapping[str, Any]) -> Wanted:
    model = model_of(body, FILMS)
    rules = FILMS[model]
    prompt = text_of(body, "prompt", 512)
    images = images_of(body.get("image_url"))
    least, most = rules.images
    if not least <= len(images) <= most:
        raise BadInput(f"{model} takes {least} to {most} images", "image_url")
    for image in images:
        check_image(image)
    if not prompt and not images:
        raise BadInput("prompt is required without image_url", "prompt")
    seconds = get_whole(body, "duration", default=(*rules.seconds, USUAL_S)[0])
    if rules.seconds and seconds not in rules.seconds:
        raise BadInput(f"{model} makes no {seconds} s", "duration")
    if get_flag(body, "with_audio") and not rules.audio:
        raise BadInput(f"{model} has no with_audio", "with_audio")
    width, height = sides_of(body, model, rules)
    return Wanted(model, prompt, width, height, float(seconds))


def sides_of(body: Mapping[str, Any], model: str, rules: Film) -> tuple[int, int]:
    """Width and height of a film; checks what only its family takes."""
    if not rules.is_vidu:
        get_choice(body, "quality", ("speed", "quality"), default="speed")
        if get_whole(body, "fps", default=30) not in (30, 60):
            raise BadInput("fps must be 30 or 60", "fps")
        return pixels(get_choice(body, "size", rules.sizes, default=rules.sizes[0]))
    get_choice(body, "movement_amplitude", AMPLITUDES, default="auto")
    get_flag(body, "off_peak")
    if body.get("style") is not None:
        if not rules.style:
            raise BadInput(f"{model} has no style", "style")
        get_choice(body, "style", STYLES)
    usual = "1280x720" if model.startswith("vidu2") else "1920x1080"
    width, height = pixels(get_text(body, "size", default=usual))
    if body.get("aspect_ratio") is not None:
        if not rules.ratios:
            raise BadInput(f"{model} has no aspect_ratio", "aspect_ratio")
        across, down = RATIOS[get_choice(body, "aspect_ratio", rules.ratios)]
        short = min(width, height)
        side = min(across, down)
        width, height = short * across // side, short * down // side
    return width, height


def images_of(given: Any) -> list[Any]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def check_image(given: Any) -> None:
    """A URL, or the base64 of a PNG or JPEG of up to 5 MB, with a head or without."""
    if not isinstance(given, str) or not given:
        raise BadInput("image_url must be a URL or base64", "image_url")
    try:
        image = read_image(given)
    except NotAnImage as error:
        raise BadInput(f"image_url: {error}", "image_url") from error
    if image is None:
        return
    known = image.image_format in ("png", "jpeg", "mpo")
    if not known or len(image.data) > MOST_IMAGE_BYTES:
        raise BadInput("image_url must be PNG or JPEG of up to 5 MB", "image_url")


def read_image_wish(body: Mapping[str, Any]) -> Wanted:
    model = model_of(body, PICTURES)
    rules = PICTURES[model]
    prompt = get_text(body, "prompt")
    width, height = pixels(get_text(body, "size", default=rules.size))
    low, high = rules.sides
    if not all(
        low <= side <= high and side % rules.multiple == 0 for side in (width, height)
    ):
        raise BadInput(
            f"sides must be multiples of {rules.multiple} from {low} to {high}", "size"
        )
    if width * height > rules.most_pixels:
        raise BadInput(f"size has more than {rules.most_pixels} pixels", "size")
    get_choice(body, "quality", rules.qualities, default=rules.qualities[0])
    return Wanted(model, prompt, width, height)


def read_async_image(body: Mapping[str, Any]) -> Wanted:
    model_of(body, ("glm-image",))
    return read_image_wish(body)


def read_speech(body: Mapping[str, Any]) -> Wanted:
    model = model_of(body, ("glm-tts",))
    get_text(body, "input")
    text = text_of(body, "input", 1024)
    get_choice(body, "voice", VOICES, default="tongtong")
    speed = get_number(body, "speed", default=1.0, least=0.5, most=2.0)
    if get_number(body, "volume", default=1.0, least=0.0, most=10.0) == 0:
        raise BadInput("volume must be above 0", "volume")
    if get_flag(body, "stream"):
        raise BadInput("the sandbox does not stream", "stream")
    form = get_choice(body, "response_format", ("wav", "pcm"), default="pcm")
    seconds = min(MOST_SOUND_S, max(0.5, len(text) / CHARACTERS_PER_S / speed))
    return Wanted(model, text, seconds=seconds, media_format=form)
