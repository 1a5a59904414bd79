"""What Jimeng's keys take: the checks of a submit's flat body.

Source: volcengine.com/docs/85621 (1777001, 1792707, 1817045, 1544774, 1747301), read
November 2026. Ranges that are not documented are left open.
"""

import json
from collections.abc import Mapping
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
from sandbox.jobs import MediaType
from sandbox.media import NotAnImage, read_image

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
FRAMES = (121, 241)
LONGEST_PROMPT = 800
MOST_IMAGE_BYTES = int(4.7 * 1024**2)
MOST_SIDE = 4096
MOST_STRETCH = 3.0
IMAGE_FORMATS = frozenset({"jpeg", "png"})
GROUP_WORDS = ("组图", "series")
GROUP_COUNT = 4


class NoSuchKey(Exception):
    """There is no such `req_key`, or not for this action."""


@dataclass(frozen=True)
class Rule:
    """What one key takes: images from `least` to `most`, and which options."""

    media_type: MediaType
    least: int = 0
    most: int = 0
    area: tuple[int, int] | None = None
    sides: tuple[int, int] | None = None
    usual: int = 1024
    has_group: bool = False
    tall: int = 720
    has_frames: bool = True


FOUR = Rule(
    MediaType.IMAGE, most=10, area=(1_048_576, 16_777_216), usual=2048, has_group=True
)
TEXT = Rule(MediaType.VIDEO)
FIRST = Rule(MediaType.VIDEO, least=1, most=1)
TAIL = Rule(MediaType.VIDEO, least=2, most=2)
RULES = {
    "jimeng_t2i_v40": FOUR,
    "jimeng_t2i_v31": Rule(MediaType.IMAGE),
    "jimeng_t2i_v30": Rule(MediaType.IMAGE),
    "jimeng_i2i_v30": Rule(MediaType.IMAGE, least=1, most=1),
    "jimeng_high_aes_general_v21_L": Rule(MediaType.IMAGE, sides=(256, 768), usual=512),
    "jimeng_ti2v_v30_pro": Rule(MediaType.VIDEO, most=1, tall=1080),
    "jimeng_t2v_v30": TEXT,
    "jimeng_t2v_v30_1080p": Rule(MediaType.VIDEO, tall=1080),
    "jimeng_i2v_first_v30": FIRST,
    "jimeng_i2v_first_v30_1080": Rule(MediaType.VIDEO, least=1, most=1, tall=1080),
    "jimeng_i2v_first_tail_v30": TAIL,
    "jimeng_i2v_first_tail_v30_1080": Rule(MediaType.VIDEO, least=2, most=2, tall=1080),
    "jimeng_i2v_recamera_v30": FIRST,
    "jimeng_vgfm_t2v_l20": Rule(MediaType.VIDEO, has_frames=False),
    "jimeng_vgfm_i2v_l20": Rule(MediaType.VIDEO, least=1, most=1, has_frames=False),
}
SYNC_KEYS = frozenset({"jimeng_high_aes_general_v21_L"})


def find_rule(req_key: str) -> Rule:
    """The rule of a key; raises NoSuchKey."""
    if req_key not in RULES:
        raise NoSuchKey(req_key)
    return RULES[req_key]


@dataclass(frozen=True)
class Wanted:
    """A submit that was checked."""

    prompt: str
    media_type: MediaType
    width: int
    height: int
    seconds: float = 5.0
    count: int = 1
    return_url: bool = False


def read_wanted(body: Mapping[str, Any], rule: Rule) -> Wanted:
    """Check a submit; raises BadInput."""
    images = count_images(body)
    if not rule.least <= images <= rule.most:
        raise BadInput(f"{rule.least} to {rule.most} images are needed", "image_urls")
    prompt = get_text(body, "prompt", default="", longest=LONGEST_PROMPT)
    if not prompt and not (images and rule.media_type is MediaType.VIDEO):
        raise BadInput("prompt is required", "prompt")
    get_whole(body, "seed", default=-1, least=-1, most=2**63)
    if rule.media_type is MediaType.VIDEO:
        return read_video(body, rule, prompt, images)
    width, height = read_size(body, rule)
    get_number(body, "scale", default=0.5, least=0, most=1)
    get_flag(body, "use_pre_llm")
    get_flag(body, "use_sr")
    single = get_flag(body, "force_single")
    is_group = rule.has_group and any(word in prompt for word in GROUP_WORDS)
    return Wanted(
        prompt=prompt,
        media_type=MediaType.IMAGE,
        width=width,
        height=height,
        count=GROUP_COUNT if is_group and not single else 1,
        return_url=get_flag(body, "return_url"),
    )


def count_images(body: Mapping[str, Any]) -> int:
    """How many images were given, as links or as base64, after a look at each."""
    urls = get_list(body, "image_urls")
    encoded = get_list(body, "binary_data_base64")
    if urls and encoded:
        raise BadInput("image_urls and binary_data_base64 exclude each other")
    for url in urls:
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise BadInput("image_urls must be http(s) URLs", "image_urls")
    for text in encoded:
        check_picture(text)
    return len(urls) + len(encoded)


def check_picture(text: Any) -> None:
    """An image must be plain base64 of a small PNG or JPEG; raises BadInput."""
    name = "binary_data_base64"
    if not isinstance(text, str) or text.startswith(("data:", "http")):
        raise BadInput(f"{name} must be base64 without a prefix", name)
    try:
        picture = read_image(text)
    except NotAnImage as error:
        raise BadInput(f"{name}: image decode error, {error}", name) from error
    if picture is None or picture.image_format not in IMAGE_FORMATS:
        raise BadInput(f"{name} must be JPEG or PNG", name)
    if len(picture.data) > MOST_IMAGE_BYTES:
        raise BadInput(f"{name} must be at most 4.7 MB", name)
    longest = max(picture.width, picture.height)
    if longest > MOST_SIDE or longest > MOST_STRETCH * min(
        picture.width, picture.height
    ):
        raise BadInput(f"{name}: the image is too large or too long", name)


def read_video(body: Mapping[str, Any], rule: Rule, prompt: str, images: int) -> Wanted:
    frames = FRAMES[0]
    if rule.has_frames:
        frames = get_whole(body, "frames", default=FRAMES[0])
        if frames not in FRAMES:
            raise BadInput("frames must be 121 or 241", "frames")
    ratio = get_choice(body, "aspect_ratio", RATIOS, default="16:9")
    across, down = (int(part) for part in ratio.split(":"))
    tall = rule.tall
    if images:  # the image decides
        across, down = 16, 9
    width = round(tall * across / down) if across >= down else tall
    height = tall if across >= down else round(tall * down / across)
    return Wanted(prompt, MediaType.VIDEO, width, height, (frames - 1) / 24)


def read_size(body: Mapping[str, Any], rule: Rule) -> tuple[int, int]:
    """`width` and `height`, which go together, or `size` as a number of pixels."""
    if (body.get("width") is None) != (body.get("height") is None):
        raise BadInput("width and height go together", "width")
    if body.get("width") is not None:
        least, most = rule.sides or (1, 16_384)
        width = get_whole(body, "width", least=least, most=most)
        height = get_whole(body, "height", least=least, most=most)
        if rule.area and not rule.area[0] <= width * height <= rule.area[1]:
            raise BadInput("width by height is out of range", "width")
        return width, height
    if rule.area and body.get("size") is not None:
        area = get_whole(body, "size", least=rule.area[0], most=rule.area[1])
        return int(area**0.5), int(area**0.5)
    return rule.usual, rule.usual


def wants_links(body: Mapping[str, Any]) -> bool:
    """Whether `req_json`, a text that holds JSON, asks for URLs; raises BadInput."""
    text = get_text(body, "req_json", default="")
    if not text:
        return False
    try:
        told = json.loads(text)
    except ValueError as error:
        raise BadInput("req_json is not JSON", "req_json") from error
    if not isinstance(told, dict):
        raise BadInput("req_json must hold an object", "req_json")
    return get_flag(told, "return_url")
