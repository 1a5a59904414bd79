"""What Ark's models take: the checks of a video's content and of an image's options.

Source: "create-video-generation-task-api" of ark.volcengine.com, "image-generation-api"
of ai.byteplus.com/ark, read November 2026. An inference endpoint (`ep-...`) serves
whatever model its owner chose: nothing is checked there that depends on the model.
"""

import re
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

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
SHORT_SIDES = {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160}
SQUARES = {"1K": 1024, "1.5K": 1536, "2K": 2048, "3K": 3072, "4K": 4096}
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
FORMATS = frozenset({"jpeg", "png", "webp", "bmp", "tiff", "gif", "mpo", "heic"})
DATA_HEAD = re.compile(r"data:(image|audio)/[a-z0-9.+-]+;base64,")
# Options at the end of the text, which older models obey and newer ones do not
OPTION = re.compile(r"(?:^|\s)--(dur|rs|rt|seed) (\S+)")
IMAGE_ROLES = ("first_frame", "last_frame", "reference_image")
MOST_SEED = 2**31 - 1
MOST_AT_ONCE = 15
DEFAULT_EXPIRY_S = 172_800


class WrongTask(BadInput):
    """The parts of a content do not go together, or not with this model."""


@dataclass(frozen=True)
class VideoRule:
    """What one Seedance takes; `age` is its version."""

    age: float
    levels: tuple[str, ...] = ("480p", "720p", "1080p")
    seconds: tuple[int, int] = (2, 12)
    usual: str = "720p"
    frames: int = 2
    references: int = 0
    needs_image: bool = False


@dataclass(frozen=True)
class ImageRule:
    """What one Seedream takes; without `pixels` any size does."""

    images: int = 14
    words: tuple[str, ...] = tuple(SQUARES)
    pixels: tuple[int, int] | None = None
    has_format: bool = False
    has_seed: bool = False
    has_series: bool = True
    needs_image: bool = False


NEW = VideoRule(2.0, (*SHORT_SIDES,), (4, 15), references=9)
SMALL = VideoRule(2.0, ("480p", "720p"), (4, 15), references=9)
OLD = VideoRule(1.0, usual="1080p")
VIDEOS = {
    "2-5-260628": VideoRule(2.5, seconds=(4, 30), references=30),
    "2-0-260128": NEW,
    "2-0-fast-260128": SMALL,
    "2-0-mini-260615": SMALL,
    "1-5-pro-251215": VideoRule(1.5, seconds=(4, 12)),
    "1-0-pro-250528": OLD,
    "1-0-pro-fast-251015": VideoRule(1.0, usual="1080p", frames=1),
    "1-0-lite-t2v-250428": VideoRule(1.0, frames=0),
    "1-0-lite-i2v-250428": VideoRule(1.0, references=4, needs_image=True),
}
IMAGES = {
    "5-0-pro-260628": ImageRule(
        10, ("1K", "1.5K", "2K"), (921_600, 4_624_220), has_format=True
    ),
    "5-0-flash-260915": ImageRule(10, has_format=True),
    "5-0-260128": ImageRule(
        14, ("2K", "3K", "4K"), (3_686_400, 16_777_216), has_format=True
    ),
    "4-5-251128": ImageRule(14, ("2K", "4K"), (3_686_400, 16_777_216)),
    "4-0-250828": ImageRule(14, ("1K", "2K", "4K"), (921_600, 16_777_216)),
    "3-0-t2i-250415": ImageRule(0, (), has_seed=True, has_series=False),
    "3-0-i2i-250628": ImageRule(
        1, ("adaptive",), has_seed=True, has_series=False, needs_image=True
    ),
}
ANY_VIDEO = VideoRule(0.0, (*SHORT_SIDES,), (2, 30), references=30)
ANY_IMAGE = ImageRule(has_format=True, has_seed=True)
VIDEO_NAME = re.compile(r"(?:doubao-|dreamina-)?seedance-(.+)")
IMAGE_NAME = re.compile(r"(?:(?:doubao-|dola-)?seedream|doubao-seededit)-(.+)")
ENDPOINT = re.compile(r"ep-[\w-]+")


def find_video_rule(model: str) -> VideoRule | None:
    """The rule of a model; None when there is no such one."""
    match = VIDEO_NAME.fullmatch(model)
    if match is None:
        return ANY_VIDEO if ENDPOINT.fullmatch(model) else None
    return VIDEOS.get(match[1])


def find_image_rule(model: str) -> ImageRule | None:
    """The rule of a model; None when there is no such one."""
    match = IMAGE_NAME.fullmatch(model)
    if match is None:
        return ANY_IMAGE if ENDPOINT.fullmatch(model) else None
    return IMAGES.get(match[1])


@dataclass(frozen=True)
class WantedVideo:
    """A video task that was checked; `echo` is what its record says again."""

    prompt: str
    width: int
    height: int
    seconds: float
    echo: dict[str, Any]
    callback_url: str
    expires_after_s: int
    with_last_frame: bool


def read_video(body: Mapping[str, Any], rule: VideoRule) -> WantedVideo:
    """Check a video task; raises BadInput. Null counts as absent everywhere."""
    prompt, roles = read_content(body, rule)
    told = options_of(prompt, rule)
    level = get_choice(
        body, "resolution", rule.levels, default=told.get("rs") or rule.usual
    )
    has_frame = "first_frame" in roles
    default_ratio = "adaptive" if has_frame or rule.age >= 1.5 else "16:9"
    ratio = get_choice(
        body, "ratio", (*RATIOS, "adaptive"), default=told.get("rt") or default_ratio
    )
    kind = read_task_type(body, rule)
    keeps_shape = rule.age == 2.5 and (has_frame or kind in {"edit", "extend"})
    if keeps_shape and ratio != "adaptive":
        raise WrongTask("ratio must be adaptive for this kind of task", "ratio")
    seconds = read_seconds(body, rule, int(told.get("dur", 0)))
    if kind == "edit" and seconds != -1:
        raise WrongTask("duration must be -1 to edit a video", "duration")
    seed = get_whole(
        body, "seed", default=int(told.get("seed", -1)), least=-1, most=MOST_SEED
    )
    echo: dict[str, Any] = {
        "seed": seed if seed >= 0 else 7351,
        "resolution": level,
        "ratio": "16:9" if ratio == "adaptive" else ratio,
        "framespersecond": 24,
        **read_service(body, rule),
    }
    frames = read_frames(body, rule)
    if frames:
        echo["frames"] = frames
        length = frames / 24
    else:
        length = 5.0 if seconds == -1 else float(seconds)
        echo["duration"] = int(length)
    width, height = sides(level, echo["ratio"])
    hook = get_text(body, "callback_url", default="")
    if hook and not hook.startswith(("http://", "https://")):
        raise BadInput("callback_url must be a URL", "callback_url")
    get_flag(body, "watermark")
    get_flag(body, "camera_fixed")
    return WantedVideo(
        prompt=prompt,
        width=width,
        height=height,
        seconds=length,
        echo=echo,
        callback_url=hook,
        expires_after_s=echo["execution_expires_after"],
        with_last_frame=get_flag(body, "return_last_frame"),
    )


def options_of(prompt: str, rule: VideoRule) -> dict[str, str]:
    """The options that an older model reads from the text; strange ones are ignored."""
    if not 1.0 <= rule.age < 2.0:
        return {}
    allowed = {"rs": rule.levels, "rt": (*RATIOS, "adaptive")}
    return {
        name: value
        for name, value in OPTION.findall(prompt)
        if (value in allowed[name] if name in allowed else value.isdigit())
    }


def read_content(body: Mapping[str, Any], rule: VideoRule) -> tuple[str, list[str]]:
    """The text and the roles of the files; raises BadInput."""
    items = get_list(body, "content")
    if not items:
        raise BadInput("content is required", "content")
    texts: list[str] = []
    roles: list[str] = []
    drafts = 0
    for index, item in enumerate(items):
        place = f"content[{index}]"
        if not isinstance(item, dict):
            raise BadInput(f"{place} must be an object", place)
        match item.get("type"):
            case "text":
                texts.append(get_text(item, "text"))
            case "image_url":
                roles.append(read_picture(item, place))
            case "video_url" | "audio_url" as kind:
                roles.append(read_reference(item, kind, place))
            case "draft_task":
                get_text(get_object(item, "draft_task"), "id")
                drafts += 1
            case _:
                raise BadInput(f"{place}.type is not known", f"{place}.type")
    check_roles(roles, rule)
    if not texts and not roles and not drafts:
        raise BadInput("content needs a text or a file", "content")
    return " ".join(texts), roles


def read_picture(item: Mapping[str, Any], place: str) -> str:
    """The role of an image, after its check; "" when none is said."""
    field = f"{place}.image_url"
    url = get_text(get_object(item, "image_url"), "url")
    if url.startswith("data:") and not DATA_HEAD.match(url):
        raise BadInput(f"{field} must be data:image/<lower case>;base64,", field)
    if not url.startswith(("http://", "https://", "asset://", "data:")):
        raise BadInput(f"{field} must be a URL, a data URL or an asset", field)
    check_picture(url, field)
    return get_choice(item, "role", (*IMAGE_ROLES, ""), default="")


def check_picture(url: str, field: str) -> None:
    """Look into an image whose bytes are here; raises BadInput."""
    if url.startswith("asset://"):
        return
    try:
        picture = read_image(url)
    except NotAnImage as error:
        raise BadInput(f"{field}: {error}", field) from error
    if picture is None:
        return
    if picture.image_format not in FORMATS:
        raise BadInput(f"{field}: {picture.image_format} is not allowed", field)
    if not all(300 <= side <= 6000 for side in (picture.width, picture.height)):
        raise BadInput(f"{field}: sides must be 300 to 6000 pixels", field)
    if not 0.4 <= picture.width / picture.height <= 2.5:
        raise BadInput(f"{field}: width by height must be 0.4 to 2.5", field)


def read_reference(item: Mapping[str, Any], kind: str, place: str) -> str:
    """The role of a video or an audio; a video cannot be sent as bytes."""
    allowed = ["http://", "https://", "asset://"]
    if kind == "audio_url":
        allowed.append("data:audio/")
    url = get_text(get_object(item, kind), "url")
    if not url.startswith(tuple(allowed)):
        raise BadInput(f"{place}.{kind} must be a URL or an asset", f"{place}.{kind}")
    role = "reference_video" if kind == "video_url" else "reference_audio"
    return get_choice(item, "role", (role,), default=role)


def check_roles(roles: list[str], rule: VideoRule) -> None:
    """First frame, first and last frame, and references exclude one another."""
    if roles == [""]:
        roles[:] = ["first_frame"]
    if "" in roles:
        raise WrongTask("several images need roles", "content")
    frames = [role for role in roles if role.endswith("_frame")]
    references = [role for role in roles if not role.endswith("_frame")]
    if frames and references:
        raise WrongTask("frames and references exclude one another", "content")
    if len(frames) > rule.frames or (frames and frames.count("first_frame") != 1):
        raise WrongTask("these frames are not possible here", "content")
    if references.count("reference_image") > rule.references:
        raise WrongTask("so many references are not possible here", "content")
    if 0 < rule.age < 2.0 and set(references) - {"reference_image"}:
        raise WrongTask("this model takes images only", "content")
    for kind in ("reference_video", "reference_audio"):
        if references.count(kind) > (10 if rule.references > 9 else 3):
            raise WrongTask(f"there are too many of {kind}", "content")
    if rule.needs_image and not roles:
        raise WrongTask("this model needs an image", "content")


def read_seconds(body: Mapping[str, Any], rule: VideoRule, told: int) -> int:
    """The duration; -1 where the model chooses. The text's is used unchecked."""
    least, most = rule.seconds
    chooses = rule.age == 0.0 or rule.age >= 2.0
    default = told or (-1 if rule.age == 2.5 else 5)
    if body.get("duration") is None:
        return default
    seconds = get_whole(body, "duration")
    if not (least <= seconds <= most or (chooses and seconds == -1)):
        raise BadInput(f"duration must be {least} to {most}", "duration")
    return seconds


def read_frames(body: Mapping[str, Any], rule: VideoRule) -> int:
    """The number of frames, 25 + 4n; 0 when it is not given."""
    if body.get("frames") is None:
        return 0
    if rule.age not in {0.0, 1.0}:
        raise BadInput("frames is not valid for this model", "frames")
    frames = get_whole(body, "frames", least=29, most=289)
    if (frames - 25) % 4:
        raise BadInput("frames must be 25 + 4n", "frames")
    return frames


def read_task_type(body: Mapping[str, Any], rule: VideoRule) -> str:
    name = "omni_reference_task_type"
    if body.get(name) is None:
        return "auto"
    if rule.age not in {0.0, 2.5}:
        raise BadInput(f"{name} is not valid for this model", name)
    return get_choice(body, name, ("auto", "reference", "edit", "extend"))


def read_service(body: Mapping[str, Any], rule: VideoRule) -> dict[str, Any]:
    """The options that say how a task is run, with their defaults."""
    new = rule.age >= 2.0
    tier = get_choice(body, "service_tier", ("default", "flex"), default="default")
    if tier == "flex" and new:
        raise BadInput("service_tier flex is not valid for this model", "service_tier")
    told: dict[str, Any] = {
        "service_tier": tier,
        "execution_expires_after": get_whole(
            body,
            "execution_expires_after",
            default=DEFAULT_EXPIRY_S,
            least=3600,
            most=259_200,
        ),
    }
    if rule.age >= 1.5:
        told["generate_audio"] = get_flag(body, "generate_audio", default=True)
    draft = get_flag(body, "draft")
    if draft and rule.age not in {0.0, 1.5}:
        raise BadInput("draft is not valid for this model", "draft")
    if rule.age == 1.5:
        told["draft"] = draft
    for name, valid in {
        "priority": new,
        "tools": new,
        "output_format": rule.age == 2.5,
    }.items():
        if body.get(name) is not None and not valid and rule.age:
            raise BadInput(f"{name} is not valid for this model", name)
    if body.get("priority") is not None:
        told["priority"] = get_whole(body, "priority", least=0, most=9)
    if body.get("tools") is not None:
        told["tools"] = get_list(body, "tools")
    if rule.age in {0.0, 2.5}:
        told["output_format"] = get_choice(
            body, "output_format", ("mp4", "mov"), default="mp4"
        )
    if body.get("safety_identifier") is not None:
        told["safety_identifier"] = get_text(body, "safety_identifier", longest=64)
    return told


def sides(level: str, ratio: str) -> tuple[int, int]:
    """Width and height of a film."""
    short = SHORT_SIDES[level]
    across, down = (int(part) for part in ratio.split(":"))
    if across >= down:
        return round(short * across / down / 2) * 2, short
    return short, round(short * down / across / 2) * 2


@dataclass(frozen=True)
class WantedImages:
    """An image call that was checked."""

    prompt: str
    width: int
    height: int
    count: int
    image_format: str
    inline: bool
    stream: bool
    inputs: int


def read_images(body: Mapping[str, Any], rule: ImageRule) -> WantedImages:
    """Check an image call; raises BadInput."""
    prompt = get_text(body, "prompt")
    inputs = read_inputs(body, rule)
    width, height = read_size(body, rule)
    if body.get("seed") is not None and not rule.has_seed:
        raise BadInput("seed is not valid for this model", "seed")
    get_whole(body, "seed", default=-1, least=-1, most=MOST_SEED)
    if body.get("guidance_scale") is not None and not rule.has_seed:
        raise BadInput("guidance_scale is not valid for this model", "guidance_scale")
    get_number(body, "guidance_scale", default=5.5, least=1, most=10)
    get_flag(body, "watermark", default=True)
    if body.get("output_format") is not None and not rule.has_format:
        raise BadInput("output_format is not valid for this model", "output_format")
    image_format = get_choice(body, "output_format", ("png", "jpeg"), default="jpeg")
    given = get_choice(body, "response_format", ("url", "b64_json"), default="url")
    return WantedImages(
        prompt=prompt,
        width=width,
        height=height,
        count=read_count(body, rule, inputs),
        image_format=image_format,
        inline=given == "b64_json",
        stream=get_flag(body, "stream"),
        inputs=inputs,
    )


def read_inputs(body: Mapping[str, Any], rule: ImageRule) -> int:
    """How many images were given: one text, or a list of texts."""
    given = body.get("image")
    images = [] if given is None else given if isinstance(given, list) else [given]
    for index, url in enumerate(images):
        field = f"image[{index}]"
        if not isinstance(url, str) or not url:
            raise BadInput(f"{field} must be a string", field)
        if url.startswith("data:") and not DATA_HEAD.match(url):
            raise BadInput(f"{field} must be data:image/<lower case>;base64,", field)
        if not url.startswith(("http://", "https://", "data:")):
            raise BadInput(f"{field} must be a URL or a data URL", field)
        try:
            read_image(url)
        except NotAnImage as error:
            raise BadInput(f"{field}: {error}", field) from error
    if len(images) > rule.images:
        raise BadInput(f"image must be at most {rule.images} images", "image")
    if rule.needs_image and not images:
        raise BadInput("image is required", "image")
    return len(images)


def read_size(body: Mapping[str, Any], rule: ImageRule) -> tuple[int, int]:
    """Width and height of `2K`, `2048x1152` or `adaptive`."""
    size = get_text(body, "size", default="")
    if size == "":
        side = SQUARES["2K"] if "2K" in rule.words else SQUARES["1K"]
        return side, side
    if size in rule.words:
        side = SQUARES.get(size, SQUARES["1K"])
        return side, side
    match = SIZE.fullmatch(size)
    if match is None:
        raise BadInput("size must be a word of this model or <width>x<height>", "size")
    width, height = int(match[1]), int(match[2])
    least, most = rule.pixels or (1, SQUARES["4K"] ** 2)
    if not least <= width * height <= most:
        raise BadInput(
            f"size must have between {least} and {most} pixels in total", "size"
        )
    return width, height


def read_count(body: Mapping[str, Any], rule: ImageRule, inputs: int) -> int:
    """One image, or as many as a series may have."""
    series = get_choice(
        body, "sequential_image_generation", ("auto", "disabled"), default="disabled"
    )
    options = get_object(body, "sequential_image_generation_options")
    most = get_whole(
        options, "max_images", default=MOST_AT_ONCE, least=1, most=MOST_AT_ONCE
    )
    if series == "disabled":
        return 1
    if not rule.has_series:
        raise BadInput(
            "sequential_image_generation is not valid for this model",
            "sequential_image_generation",
        )
    return max(1, min(most, MOST_AT_ONCE - inputs))
