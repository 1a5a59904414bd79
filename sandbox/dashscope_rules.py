"""What DashScope's models ask of a request, and what their outputs are like.

Each reader takes `input` and `parameters`, refuses what the real service refuses, and
gives what is wanted. Where the documentation is silent nothing is refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
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
from sandbox.jobs import MediaType
from sandbox.media import read_image

TEXT_TO_IMAGE = "/services/aigc/text2image/image-synthesis"
IMAGE_TO_IMAGE = "/services/aigc/image2image/image-synthesis"
MULTIMODAL = "/services/aigc/multimodal-generation/generation"
IMAGE_GENERATION = "/services/aigc/image-generation/generation"
VIDEO = "/services/aigc/video-generation/video-synthesis"
IMAGE_TO_VIDEO = "/services/aigc/image2video/video-synthesis"
BACKGROUND = "/services/aigc/background-generation/generation/"
SPEECH = "/services/audio/tts/SpeechSynthesizer"

ASYNC_PATHS = (
    TEXT_TO_IMAGE,
    IMAGE_TO_IMAGE,
    IMAGE_GENERATION,
    VIDEO,
    IMAGE_TO_VIDEO,
    BACKGROUND,
)
SYNC_PATHS = (MULTIMODAL, SPEECH)

SIZE = re.compile(r"(\d{2,5})\*(\d{2,5})")
MOST_SEED = 2_147_483_647
QWEN_SIZES = ("1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664")
WANX_V1_SIZES = ("1024*1024", "720*1280", "768*1152", "1280*720")
WANX_V1_STYLES = (
    "<auto>",
    "<photography>",
    "<portrait>",
    "<3d cartoon>",
    "<anime>",
    "<oil painting>",
    "<watercolor>",
    "<sketch>",
    "<chinese painting>",
    "<flat illustration>",
)
EDITS = (
    "stylization_all",
    "stylization_local",
    "description_edit",
    "description_edit_with_mask",
    "remove_watermark",
    "expand",
    "super_resolution",
    "colorization",
    "doodle",
    "control_cartoon_feature",
)
VACE = (
    "image_reference",
    "video_repainting",
    "video_edit",
    "video_extension",
    "video_outpainting",
)
VIDEO_SIZES = {
    "480P": ("832*480", "480*832", "624*624"),
    "720P": ("1280*720", "720*1280", "960*960", "1088*832", "832*1088"),
    "1080P": ("1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"),
}
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
LEVELS = {"1K": 1024, "2K": 2048, "4K": 4096}
FRAME_COMBINATIONS = (
    {"first_frame"},
    {"first_frame", "driving_audio"},
    {"first_frame", "last_frame"},
    {"first_frame", "last_frame", "driving_audio"},
    {"first_clip"},
    {"first_clip", "last_frame"},
)
QWEN_VOICES = frozenset({"Cherry", "Ethan", "Serena", "Chelsie"})


class Shape(StrEnum):
    """How a finished task says its results."""

    RESULTS = "results"
    CHOICES = "choices"
    VIDEO = "video"
    TALKING = "talking"
    IMAGE_URL = "image_url"
    REPAINT = "repaint"
    BACKGROUND = "background"
    SPEECH = "speech"


@dataclass(frozen=True)
class Wanted:
    """What one request asks for."""

    prompt: str
    shape: Shape
    media_type: MediaType = MediaType.IMAGE
    width: int = 1024
    height: int = 1024
    seconds: float = 5.0
    count: int = 1
    file_format: str = "png"


Fields = Mapping[str, Any]
Read = Callable[[Fields, Fields], Wanted]


@dataclass(frozen=True)
class Rule:
    """Models whose name matches wholly, the paths that serve them, and their reader."""

    names: re.Pattern[str]
    paths: tuple[str, ...]
    read: Read


# Parts of a request


def read_size(
    parameters: Fields,
    default: str,
    *,
    among: Sequence[str] = (),
    sides: tuple[int, int] | None = None,
    pixels: tuple[int, int] | None = None,
    ratios: tuple[float, float] | None = None,
) -> tuple[int, int]:
    """Width and height of `W*H`; DashScope knows no other spelling."""
    text = get_text(parameters, "size", default=default)
    match = SIZE.fullmatch(text)
    if match is None:
        raise BadInput("size must match WIDTH*HEIGHT", "size")
    width, height = int(match[1]), int(match[2])
    fits = (
        (not among or text in among)
        and (sides is None or all(sides[0] <= s <= sides[1] for s in (width, height)))
        and (pixels is None or pixels[0] <= width * height <= pixels[1])
        and (ratios is None or ratios[0] <= width / height <= ratios[1])
    )
    if not fits:
        raise BadInput(f"the size {text} is not allowed", "size")
    return width, height


def check_seed(parameters: Fields) -> None:
    if parameters.get("seed") is not None:
        get_whole(parameters, "seed", least=0, most=MOST_SEED)


def check_flags(parameters: Fields, *names: str) -> None:
    for name in ("prompt_extend", "watermark", *names):
        get_flag(parameters, name)


def check_url(url: Any, field: str, *, image: bool = True, frame: bool = False) -> None:
    """A URL, an upload (`oss://`), or a data URL; images of videos have limits."""
    if not isinstance(url, str) or not url:
        raise BadInput(f"{field} is required", field)
    if url.startswith(("http://", "https://", "oss://")):
        return
    if not url.startswith("data:"):
        raise BadInput(f"{field} is neither a URL nor a data URL", field)
    if not image:
        return
    found = read_image(url)
    if frame and found is not None:
        width, height = found.width, found.height
        if not (240 <= width <= 8000 and 240 <= height <= 8000):
            raise BadInput(f"{field}: each side must be 240 to 8000 pixels", field)
        if not 1 / 8 <= width / height <= 8:
            raise BadInput(f"{field}: the ratio must be 1:8 to 8:1", field)


def optional_url(
    fields: Fields, name: str, *, image: bool = True, frame: bool = False
) -> None:
    if fields.get(name) is not None:
        check_url(fields[name], name, image=image, frame=frame)


def required_prompt(fields: Fields) -> str:
    return get_text(fields, "prompt")


# Images


def plain_image(default: str, most: int = 4, usual: int = 4, **limits: Any) -> Read:
    """The older protocol: without `n` four images are made, and billed."""

    def read(fields: Fields, parameters: Fields) -> Wanted:
        prompt = required_prompt(fields)
        width, height = read_size(parameters, default, **limits)
        check_seed(parameters)
        check_flags(parameters)
        count = get_whole(parameters, "n", default=usual, least=1, most=most)
        return Wanted(prompt, Shape.RESULTS, width=width, height=height, count=count)

    return read


def wanx_v1(fields: Fields, parameters: Fields) -> Wanted:
    get_choice(parameters, "style", WANX_V1_STYLES, default="<auto>")
    get_number(parameters, "ref_strength", default=0.5, least=0, most=1)
    get_choice(parameters, "ref_mode", ("repaint", "refonly"), default="repaint")
    optional_url(fields, "ref_img")
    return plain_image("1024*1024", among=WANX_V1_SIZES)(fields, parameters)


def image_list(fields: Fields, parameters: Fields) -> Wanted:
    images = get_list(fields, "images")
    if not images:
        raise BadInput("images is required", "images")
    for image in images:
        check_url(image, "images")
    return plain_image("1280*1280")(fields, parameters)


def image_edit(fields: Fields, parameters: Fields) -> Wanted:
    function = get_choice(fields, "function", EDITS)
    check_url(fields.get("base_image_url"), "base_image_url")
    if function == "description_edit_with_mask":
        check_url(fields.get("mask_image_url"), "mask_image_url")
    return plain_image("1024*1024", usual=1)(fields, parameters)


def translated_image(fields: Fields, _parameters: Fields) -> Wanted:
    check_url(fields.get("image_url"), "image_url")
    get_text(fields, "target_lang")
    return Wanted("", Shape.IMAGE_URL, file_format="jpg")


def repainted_image(fields: Fields, _parameters: Fields) -> Wanted:
    check_url(fields.get("image_url"), "image_url")
    get_whole(fields, "style_index", least=-1)
    return Wanted("", Shape.REPAINT, file_format="jpg")


def background(fields: Fields, parameters: Fields) -> Wanted:
    check_url(fields.get("base_image_url"), "base_image_url")
    count = get_whole(parameters, "n", default=1, least=1, most=4)
    prompt = get_text(fields, "ref_prompt", default="")
    return Wanted(prompt, Shape.BACKGROUND, count=count)


def read_message(fields: Fields, most_images: int | None, least_images: int) -> str:
    """The prompt of exactly one user message with exactly one text."""
    messages = get_list(fields, "messages")
    if len(messages) != 1 or not isinstance(messages[0], dict):
        raise BadInput("messages must hold exactly one message", "messages")
    if messages[0].get("role") != "user":
        raise BadInput("the role of the message must be user", "messages")
    content = get_list(messages[0], "content")
    if not all(isinstance(part, dict) for part in content):
        raise BadInput("content must be a list of objects", "content")
    texts = [part["text"] for part in content if "text" in part]
    images = [part["image"] for part in content if "image" in part]
    if len(texts) != 1 or not isinstance(texts[0], str) or not texts[0]:
        raise BadInput("content must hold exactly one text", "content")
    for image in images:
        check_url(image, "image")
    if most_images is not None and len(images) > most_images:
        raise BadInput(f"at most {most_images} images are allowed", "content")
    if len(images) < least_images:
        raise BadInput("content must hold an image", "content")
    return texts[0]


def message_image(
    default: str,
    *,
    most: int | None = 4,
    usual: int = 1,
    images: tuple[int, int | None] = (0, 0),
    levels: Sequence[str] = (),
    **limits: Any,
) -> Read:
    """The message protocol; `images` are the least and the most that it takes."""

    def read(fields: Fields, parameters: Fields) -> Wanted:
        prompt = read_message(fields, images[1], images[0])
        level = parameters.get("size") or default
        if level in levels:
            width = height = LEVELS[level]
        else:
            width, height = read_size(parameters, default, **limits)
        check_seed(parameters)
        check_flags(parameters, "thinking_mode", "enable_sequential")
        get_text(parameters, "negative_prompt", default="")
        allowed, count = most, usual
        if levels and get_flag(parameters, "enable_sequential"):
            allowed = count = 12
        count = get_whole(parameters, "n", default=count, least=1, most=allowed or 12)
        return Wanted(prompt, Shape.CHOICES, width=width, height=height, count=count)

    return read


def kling_image(fields: Fields, parameters: Fields) -> Wanted:
    prompt = read_message(fields, 1, 0)
    get_choice(parameters, "resolution", ("1k", "2k"), default="1k")
    get_choice(parameters, "aspect_ratio", ("16:9", "9:16", "1:1"), default="16:9")
    count = get_whole(parameters, "n", default=1, least=1, most=9)
    return Wanted(prompt, Shape.CHOICES, count=count)


# Video


def film(
    prompt: str, size: tuple[int, int], seconds: float, shape: Shape = Shape.VIDEO
) -> Wanted:
    return Wanted(
        prompt, shape, MediaType.VIDEO, *size, seconds=seconds, file_format="mp4"
    )


def read_seconds(parameters: Fields, allowed: Sequence[int]) -> int:
    """One of the durations; models with a fixed one ignore what is asked for."""
    if len(allowed) == 1:
        return allowed[0]
    seconds = get_whole(parameters, "duration", default=5)
    if seconds not in allowed:
        raise BadInput(f"duration {seconds} is not allowed", "duration")
    return seconds


def resolution_size(
    parameters: Fields, default: str, levels: Sequence[str], ratio: str = "16:9"
) -> tuple[int, int]:
    """Width and height of `720P`; the letter is upper case."""
    level = get_choice(parameters, "resolution", levels, default=default)
    index = RATIOS.index(ratio) if ratio in RATIOS else 0
    sizes = VIDEO_SIZES[level]
    width, _, height = sizes[min(index, len(sizes) - 1)].partition("*")
    return int(width), int(height)


def old_text_video(levels: Sequence[str], seconds: Sequence[int]) -> Read:
    sizes = [size for level in levels for size in VIDEO_SIZES[level]]

    def read(fields: Fields, parameters: Fields) -> Wanted:
        prompt = required_prompt(fields)
        optional_url(fields, "audio_url", image=False)
        check_seed(parameters)
        check_flags(parameters)
        size = read_size(parameters, VIDEO_SIZES[levels[-1]][0], among=sizes)
        return film(prompt, size, read_seconds(parameters, seconds))

    return read


def old_image_video(levels: Sequence[str], seconds: Sequence[int]) -> Read:
    def read(fields: Fields, parameters: Fields) -> Wanted:
        check_url(fields.get("img_url"), "img_url", frame=True)
        optional_url(fields, "audio_url", image=False)
        check_seed(parameters)
        check_flags(parameters, "audio")
        size = resolution_size(parameters, levels[-1], levels)
        prompt = get_text(fields, "prompt", default="")
        return film(prompt, size, read_seconds(parameters, seconds))

    return read


def reference_video(fields: Fields, parameters: Fields) -> Wanted:
    urls = get_list(fields, "reference_urls")
    if not 1 <= len(urls) <= 5:
        raise BadInput("reference_urls must hold 1 to 5 URLs", "reference_urls")
    for url in urls:
        check_url(url, "reference_urls", frame=True)
    sizes = (*VIDEO_SIZES["720P"], *VIDEO_SIZES["1080P"])
    size = read_size(parameters, "1920*1080", among=sizes)
    seconds = read_seconds(parameters, range(2, 11))
    return film(required_prompt(fields), size, seconds)


def key_frames(levels: Sequence[str]) -> Read:
    def read(fields: Fields, parameters: Fields) -> Wanted:
        check_url(fields.get("first_frame_url"), "first_frame_url", frame=True)
        optional_url(fields, "last_frame_url", frame=True)
        size = resolution_size(parameters, "720P", levels)
        return film(get_text(fields, "prompt", default=""), size, 5)

    return read


def talking_head(fields: Fields, parameters: Fields) -> Wanted:
    check_url(fields.get("image_url"), "image_url", frame=True)
    check_url(fields.get("audio_url"), "audio_url", image=False)
    size = resolution_size(parameters, "480P", ("480P", "720P"))
    # the SDK sends a prompt, which the model does not know
    return film(get_text(fields, "prompt", default=""), size, 4.5, Shape.TALKING)


def vace(fields: Fields, parameters: Fields) -> Wanted:
    function = get_choice(fields, "function", VACE)
    if function == "image_reference":
        images = get_list(fields, "ref_images_url")
        if not 1 <= len(images) <= 3:
            raise BadInput("ref_images_url must hold 1 to 3 URLs", "ref_images_url")
        for image in images:
            check_url(image, "ref_images_url")
    elif function != "video_extension":
        check_url(fields.get("video_url"), "video_url", image=False)
    size = read_size(parameters, "1280*720", among=VIDEO_SIZES["720P"])
    return film(required_prompt(fields), size, 5)


def read_media(fields: Fields, allowed: Sequence[str]) -> list[str]:
    """The types of `input.media`, in order; each one is `{"type", "url"}`."""
    kinds = []
    for part in get_list(fields, "media"):
        if not isinstance(part, dict):
            raise BadInput("media must be a list of objects", "media")
        kind = get_choice(part, "type", allowed)
        check_url(
            part.get("url"),
            f"media {kind}",
            image=kind in {"first_frame", "last_frame", "reference_image"},
            frame=True,
        )
        optional_url(part, "reference_voice", image=False)
        kinds.append(kind)
    return kinds


def check_text_only(_kinds: Sequence[str]) -> None:
    """Nothing to look at: an unknown kind was refused already."""


def check_frames(kinds: Sequence[str]) -> None:
    if len(set(kinds)) != len(kinds) or set(kinds) not in FRAME_COMBINATIONS:
        raise BadInput(f"media must not be {' + '.join(kinds) or 'empty'}", "media")


def check_references(kinds: Sequence[str]) -> None:
    references = [kind for kind in kinds if kind.startswith("reference_")]
    if not 1 <= len(references) <= 5 or len(kinds) - len(references) > 1:
        raise BadInput("media must hold 1 to 5 references", "media")


def check_edit(kinds: Sequence[str]) -> None:
    if kinds.count("video") != 1:
        raise BadInput("media must hold exactly one video", "media")
    if kinds.count("reference_image") > 5:
        raise BadInput("media must hold at most 5 reference images", "media")


def check_wan3(kinds: Sequence[str]) -> None:
    if not kinds:
        return
    most = {
        "reference_image": 10,
        "reference_video": 5,
        "reference_audio": 5,
    }
    for kind in set(kinds):
        if kinds.count(kind) > most.get(kind, 1):
            raise BadInput(f"media holds too many of {kind}", "media")
    frames = {"first_frame", "last_frame"} & set(kinds)
    if frames and set(kinds) & set(most):
        raise BadInput("frames and references exclude each other", "media")


def media_video(
    allowed: Sequence[str],
    check: Callable[[Sequence[str]], None],
    levels: Sequence[str] = ("720P", "1080P"),
    ratios: Sequence[str] = RATIOS,
    seconds: Sequence[int] = range(2, 16),
    *,
    needs_prompt: bool = False,
) -> Read:
    def read(fields: Fields, parameters: Fields) -> Wanted:
        check(read_media(fields, allowed))
        optional_url(fields, "audio_url", image=False)
        prompt = get_text(fields, "prompt", default=None if needs_prompt else "")
        check_seed(parameters)
        check_flags(parameters)
        ratio = "16:9"
        if ratios and parameters.get("ratio") is not None:
            ratio = get_choice(parameters, "ratio", ratios)
        size = resolution_size(parameters, levels[-1], levels, ratio)
        length = read_seconds(parameters, seconds)
        return film(prompt, size, 5 if length < 1 else length)

    return read


# Speech


def read_text(fields: Fields, longest: int | None = None) -> str:
    return get_text(fields, "text", longest=longest)


def spoken(text: str, file_format: str) -> Wanted:
    seconds = min(30.0, max(1.0, len(text) / 15))
    return Wanted(
        text,
        Shape.SPEECH,
        MediaType.AUDIO,
        seconds=seconds,
        file_format=file_format,
    )


def cosyvoice(fields: Fields, _parameters: Fields) -> Wanted:
    """Every option is in `input`; the voices of Qwen are unknown here."""
    text = read_text(fields)
    if get_text(fields, "voice") in QWEN_VOICES:
        raise BadInput("the voice does not belong to the model", "voice")
    # 0.5 to 2 is UNCONFIRMED for rate and pitch, so only nonsense is refused
    get_number(fields, "rate", default=1, least=0.1, most=10)
    formats = ("mp3", "wav", "pcm", "opus")
    return spoken(text, get_choice(fields, "format", formats, default="mp3"))


def qwen_speech(fields: Fields, _parameters: Fields) -> Wanted:
    """Always WAV; a format is ignored."""
    text = read_text(fields, longest=600)
    if get_text(fields, "voice").startswith("long"):
        raise BadInput("the voice does not belong to the model", "voice")
    return spoken(text, "wav")


# Models


def rule(names: str, paths: str | tuple[str, ...], read: Read) -> Rule:
    """`names` is a regular expression; a dated snapshot is the same model."""
    pattern = re.compile(rf"(?:{names})(?:-\d{{4}}-\d{{2}}-\d{{2}})?")
    return Rule(pattern, (paths,) if isinstance(paths, str) else paths, read)


BOTH = (MULTIMODAL, IMAGE_GENERATION)
WAN_PIXELS = (1280**2, 1440**2)
FRAMES = ("first_frame", "last_frame", "driving_audio", "first_clip")
REFERENCES = ("reference_image", "reference_video", "first_frame")
WAN3_MEDIA = (
    "first_frame",
    "last_frame",
    "reference_image",
    "reference_video",
    "reference_audio",
    "file",
    "link",
)
TWO = ("720P", "1080P")
THREE = ("480P", "720P", "1080P")
FIVE = (5,)

RULES = (
    rule(
        "wan2.5-t2i-preview",
        TEXT_TO_IMAGE,
        plain_image("1280*1280", pixels=WAN_PIXELS, ratios=(0.25, 4)),
    ),
    rule(
        r"wan2\.2-t2i-(flash|plus)|wanx?2\.1-t2i-(turbo|plus)|wanx2\.0-t2i-turbo",
        TEXT_TO_IMAGE,
        plain_image("1024*1024", sides=(512, 1440)),
    ),
    rule("wanx-v1", TEXT_TO_IMAGE, wanx_v1),
    rule(
        "qwen-image",
        TEXT_TO_IMAGE,
        plain_image("1328*1328", most=1, usual=1, among=QWEN_SIZES),
    ),
    rule("wan2.5-i2i-preview", IMAGE_TO_IMAGE, image_list),
    rule("wanx2.1-imageedit", IMAGE_TO_IMAGE, image_edit),
    rule("qwen-mt-image", IMAGE_TO_IMAGE, translated_image),
    rule("wanx-style-repaint-v1", IMAGE_GENERATION, repainted_image),
    rule(r"wanx-background-generation-v\d", BACKGROUND, background),
    rule(
        "wan2.6-t2i",
        BOTH,
        message_image("1280*1280", usual=4, pixels=WAN_PIXELS, ratios=(0.25, 4)),
    ),
    rule(
        "wan2.6-image",
        BOTH,
        message_image("1K", usual=4, images=(1, 4), levels=("1K", "2K")),
    ),
    rule(
        "wan2.7-image",
        BOTH,
        message_image(
            "2K",
            images=(0, 9),
            levels=("1K", "2K"),
            pixels=(768**2, 2048**2),
            ratios=(1 / 8, 8),
        ),
    ),
    rule(
        "wan2.7-image-pro",
        BOTH,
        message_image(
            "2K",
            images=(0, 9),
            levels=("1K", "2K", "4K"),
            pixels=(768**2, 4096**2),
            ratios=(1 / 8, 8),
        ),
    ),
    rule("kling/kling-v3-image-generation", IMAGE_GENERATION, kling_image),
    rule(
        "qwen-image-max",
        MULTIMODAL,
        message_image("1664*928", most=1, among=QWEN_SIZES),
    ),
    rule(
        r"qwen-image-(2\.0|2\.0-pro|3\.0-pro)",
        MULTIMODAL,
        message_image("1328*1328", most=None, images=(0, None)),
    ),
    rule(
        "qwen-image-edit", MULTIMODAL, message_image("1328*1328", most=1, images=(1, 3))
    ),
    rule(
        "qwen-image-edit-(plus|max)",
        MULTIMODAL,
        message_image("1328*1328", most=6, images=(1, 3)),
    ),
    rule("z-image-turbo", MULTIMODAL, message_image("1024*1536", most=1)),
    rule(
        "wan3.0-video(-prime)?",
        VIDEO,
        media_video(
            WAN3_MEDIA, check_wan3, THREE, (*RATIOS, "adaptive"), (-1, *range(2, 31))
        ),
    ),
    rule(
        r"wan2\.7-t2v|happyhorse-1\.[01]-t2v",
        VIDEO,
        media_video((), check_text_only, needs_prompt=True),
    ),
    rule("wan2.7-i2v", VIDEO, media_video(FRAMES, check_frames, ratios=())),
    rule(r"happyhorse-1\.[01]-i2v", VIDEO, media_video(FRAMES, check_frames)),
    rule(
        r"wan2\.7-r2v|happyhorse-1\.[01]-r2v",
        VIDEO,
        media_video(REFERENCES, check_references, needs_prompt=True),
    ),
    rule(
        r"wan2\.7-videoedit|happyhorse-1\.[01]-video-edit",
        VIDEO,
        media_video(
            ("video", "reference_image"), check_edit, seconds=(0, *range(2, 16))
        ),
    ),
    rule("wan2.6-t2v", VIDEO, old_text_video(TWO, range(2, 16))),
    rule("wan2.5-t2v-preview", VIDEO, old_text_video(THREE, (5, 10))),
    rule("wan2.2-t2v-plus", VIDEO, old_text_video(("480P", "1080P"), FIVE)),
    rule("wanx2.1-t2v-turbo", VIDEO, old_text_video(("480P", "720P"), FIVE)),
    rule("wanx2.1-t2v-plus", VIDEO, old_text_video(("720P",), FIVE)),
    rule("wan2.6-i2v(-flash)?", VIDEO, old_image_video(TWO, range(2, 16))),
    rule("wan2.5-i2v-preview", VIDEO, old_image_video(THREE, (5, 10))),
    rule("wan2.2-i2v-flash", VIDEO, old_image_video(("480P", "720P"), FIVE)),
    rule("wan2.2-i2v-plus", VIDEO, old_image_video(("480P", "1080P"), FIVE)),
    rule("wanx2.1-i2v-turbo", VIDEO, old_image_video(("480P", "720P"), (3, 4, 5))),
    rule("wanx2.1-i2v-plus", VIDEO, old_image_video(("720P",), FIVE)),
    rule("wan2.6-r2v(-flash)?", VIDEO, reference_video),
    rule("wan2.2-kf2v-flash", IMAGE_TO_VIDEO, key_frames(THREE)),
    rule("wanx2.1-kf2v-plus", IMAGE_TO_VIDEO, key_frames(("720P",))),
    rule("wan2.2-s2v", IMAGE_TO_VIDEO, talking_head),
    rule(r"wanx?2\.1-vace-plus", VIDEO, vace),
    rule(r"cosyvoice-(v2|v3-flash|v3-plus|v3\.5-flash|v3\.5-plus)", SPEECH, cosyvoice),
    rule(
        r"qwen3-tts-(instruct-)?flash|qwen-tts|qwen3-tts-v[cd]-.+",
        MULTIMODAL,
        qwen_speech,
    ),
    # also offered by the older way
    rule(
        "qwen-image-plus",
        (TEXT_TO_IMAGE, MULTIMODAL),
        lambda fields, parameters: (
            message_image("1328*1328", most=1, among=QWEN_SIZES)(fields, parameters)
            if "messages" in fields
            else plain_image("1328*1328", most=1, usual=1, among=QWEN_SIZES)(
                fields, parameters
            )
        ),
    ),
)


def find_rule(model: str) -> Rule | None:
    """The rule of a model, or None when there is no such model."""
    for candidate in RULES:
        if candidate.names.fullmatch(model):
            return candidate
    return None
