"""What Hunyuan's actions take: the checks of a submit's parameters.

Source: the request classes of the official SDK (vclm 2024-05-23, hunyuan 2023-09-01,
aiart 2022-12-29), read November 2026. That a parameter which an action does not have is
refused is an assumption; the code for it is one of the platform.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.inputs import BadInput, get_choice, get_object, get_text, get_whole
from sandbox.jobs import MediaType
from sandbox.media import NotAnImage, read_image

SIZES = (
    "768:768",
    "768:1024",
    "1024:768",
    "1024:1024",
    "720:1280",
    "1280:720",
    "768:1280",
    "1280:768",
)
LITE_SIZES = (*SIZES, "1080:1920", "1920:1080")
REFERENCE_SIZES = SIZES[:4]
FPS = (16, 24, 30)
CLARITY = {"": 1, "x2": 2, "x4": 4}
LOGO = frozenset({"LogoAdd", "LogoParam"})
MOST_BASE64 = 8 * 1024**2
SIDES = (50, 5000)
MOST_STRETCH = 4.0
FILM_FORMATS = frozenset({"jpeg", "png", "webp", "bmp", "tiff"})
REFERENCE_FORMATS = frozenset({"jpeg", "png"})


class UnknownField(Exception):
    """The action has no such parameter."""


@dataclass(frozen=True)
class Action:
    """One action that makes something, and the one that asks for it ("": at once)."""

    name: str
    query: str
    media_type: MediaType
    fields: frozenset[str]
    longest_prompt: int
    needs_prompt: bool = True
    needs_image: bool = False
    sizes: tuple[str, ...] = ()
    usual: str = "1024:1024"
    resolutions: tuple[str, ...] = ()
    has_talk: bool = False


@dataclass(frozen=True)
class Wanted:
    """A submit that was checked."""

    prompt: str
    width: int
    height: int
    count: int = 1
    chat_id: str = ""
    revises: bool = False
    as_url: bool = False


IMAGE_JOB = Action(
    "SubmitHunyuanImageJob",
    "QueryHunyuanImageJob",
    MediaType.IMAGE,
    LOGO
    | {"Prompt", "NegativePrompt", "Style", "Resolution", "Num", "Clarity"}
    | {"ContentImage", "Revise", "Seed"},
    longest_prompt=1024,
    sizes=SIZES,
)
TALK_JOB = Action(
    "SubmitHunyuanImageChatJob",
    "QueryHunyuanImageChatJob",
    MediaType.IMAGE,
    LOGO | {"Prompt", "ChatId"},
    longest_prompt=1024,
    has_talk=True,
)
LITE = Action(
    "TextToImageLite",
    "",
    MediaType.IMAGE,
    LOGO | {"Prompt", "NegativePrompt", "Style", "Resolution", "RspImgType"},
    longest_prompt=256,
    sizes=LITE_SIZES,
    usual="768:768",
)
FILM_JOB = Action(
    "SubmitHunyuanToVideoJob",
    "DescribeHunyuanToVideoJob",
    MediaType.VIDEO,
    LOGO | {"Prompt", "Image", "Resolution"},
    longest_prompt=200,
    needs_prompt=False,
    resolutions=("720p",),
)
MOVING_JOB = Action(
    "SubmitImageToVideoGeneralJob",
    "DescribeImageToVideoGeneralJob",
    MediaType.VIDEO,
    LOGO | {"Image", "Prompt", "Resolution", "Fps"},
    longest_prompt=200,
    needs_prompt=False,
    needs_image=True,
    resolutions=("720p", "480p", "1080p"),
)
PRO_JOB = Action(
    "SubmitTextToImageProJob",
    "QueryTextToImageProJob",
    MediaType.IMAGE,
    LOGO - {"LogoParam"} | {"Prompt", "Style", "Resolution", "Engine", "Revise"},
    longest_prompt=100,
    sizes=SIZES,
)


def read_wanted(body: Mapping[str, Any], action: Action) -> Wanted:
    """Check a submit; raises BadInput and UnknownField."""
    unknown = sorted(body.keys() - action.fields)
    if unknown:
        raise UnknownField(unknown[0])
    for name in ("LogoAdd", "Revise"):
        get_whole(body, name, default=1)
    get_object(body, "LogoParam")
    get_text(body, "Style", default="")
    get_text(body, "NegativePrompt", default="", longest=action.longest_prompt)
    prompt = get_text(body, "Prompt", default="")
    if len(prompt.strip()) > action.longest_prompt:
        text = f"Prompt must be at most {action.longest_prompt} characters"
        raise BadInput(text, "Prompt")
    if action.needs_prompt and not prompt.strip():
        raise BadInput("Prompt is required", "Prompt")
    if action.media_type is MediaType.VIDEO:
        return read_film(body, action, prompt)
    return read_pictures(body, action, prompt)


def read_film(body: Mapping[str, Any], action: Action, prompt: str) -> Wanted:
    has_image = read_picture(body, "Image", ("Url", "Base64"), FILM_FORMATS)
    if action.needs_image and not has_image:
        raise BadInput("Image is required", "Image")
    if not has_image and not prompt.strip():
        raise BadInput("Prompt or Image is required", "Prompt")
    if get_whole(body, "Fps", default=30) not in FPS:
        raise BadInput("Fps must be 16, 24 or 30", "Fps")
    usual = action.resolutions[0]
    told = get_choice(body, "Resolution", action.resolutions, default=usual)
    height = int(told.removesuffix("p"))
    return Wanted(prompt, round(height * 16 / 9), height)


def read_pictures(body: Mapping[str, Any], action: Action, prompt: str) -> Wanted:
    keys = ("ImageUrl", "ImageBase64")
    has_image = read_picture(body, "ContentImage", keys, REFERENCE_FORMATS)
    sizes = REFERENCE_SIZES if has_image else action.sizes
    size = action.usual
    if action.sizes:
        size = get_choice(body, "Resolution", sizes, default=action.usual)
    scale = CLARITY[get_choice(body, "Clarity", tuple(CLARITY), default="")]
    width, height = (scale * int(side) for side in size.split(":"))
    get_whole(body, "Seed", default=1, least=1)
    get_choice(body, "Engine", ("engine1", "engine2"), default="engine1")
    kind = get_choice(body, "RspImgType", ("base64", "url"), default="base64")
    return Wanted(
        prompt,
        width,
        height,
        count=get_whole(body, "Num", default=1, least=1, most=4),
        chat_id=get_text(body, "ChatId", default=""),
        # a reference image keeps it on
        revises=has_image or get_whole(body, "Revise", default=1) != 0,
        as_url=kind == "url",
    )


def read_picture(
    body: Mapping[str, Any],
    field: str,
    keys: tuple[str, str],
    formats: frozenset[str],
) -> bool:
    """Whether an image was given, after a look at it; a URL wins over base64."""
    given = get_object(body, field)
    if not given:
        return False
    if set(given) - set(keys):
        raise UnknownField(f"{field}.{sorted(set(given) - set(keys))[0]}")
    url, encoded = (get_text(given, key, default="") for key in keys)
    if url:
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"{field} must be an http(s) URL", field)
        return True
    if not encoded or encoded.startswith("data:"):
        raise BadInput(f"{field} must be a URL or base64 without a head", field)
    if len(encoded) > MOST_BASE64:
        raise BadInput(f"{field} must be at most 8 MB", field)
    try:
        picture = read_image(encoded)
    except NotAnImage as error:
        raise BadInput(f"{field}: {error}", field) from error
    if picture is None or picture.image_format not in formats:
        raise BadInput(f"{field} has a format that is not taken", field)
    sides = sorted((picture.width, picture.height))
    if sides[1] > SIDES[1] or (field == "Image" and sides[0] < SIDES[0]):
        raise BadInput(f"{field} is too small or too large", field)
    if field == "Image" and sides[1] > MOST_STRETCH * sides[0]:
        raise BadInput(f"{field} is too long", field)
    return True
