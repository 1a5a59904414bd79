"""What Kling's endpoints take: fields, words and limits of both request standards.

Sources: kling.ai/document-api, read 2026-11-22. Unknown fields are ignored, as the real
one does: `model` for `model_name` silently asks for the oldest model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from sandbox.jobs import MediaType
from sandbox.media import NotAnImage, read_image

Body = Mapping[str, Any]

VIDEO_RATIOS = ("16:9", "9:16", "1:1")
IMAGE_RATIOS = (*VIDEO_RATIOS, "4:3", "3:4", "3:2", "2:3", "21:9")
SHORT = ("5", "10")
LONG = tuple(str(seconds) for seconds in range(3, 16))
MODES = {"std": 720, "pro": 1080, "4k": 2160}
LEVELS = {"720p": 720, "1080p": 1080, "4k": 2160}
IMAGE_LEVELS = {"1k": 1024, "2k": 2048, "4k": 4096}
CAMERA_MOVES = (
    "simple",
    "down_back",
    "forward_up",
    "right_turn_forward",
    "left_turn_forward",
)

MOST_PROMPT = 2500
MOST_NEW_PROMPT = 3072
MOST_SHOT_PROMPT = 512
MOST_SHOTS = 6
MOST_SPEECH = 1000
MOST_IMAGE_BYTES = 10 * 1000**2
LEAST_SIDE = 300
MOST_RATIO = 2.5

ALL_TEXT = (
    "kling-v1",
    "kling-v1-6",
    "kling-v2-master",
    "kling-v2-1-master",
    "kling-v2-5-turbo",
    "kling-v2-6",
    "kling-v3",
)
ALL_FRAMES = (*ALL_TEXT, "kling-v1-5", "kling-v2-1")
MASTERS = frozenset({"kling-v2-master", "kling-v2-1-master"})
ALL_IMAGES = (
    "kling-v1",
    "kling-v1-5",
    "kling-v2",
    "kling-v2-new",
    "kling-v2-1",
    "kling-v3",
)


class NoModel(BadInput):
    """The model, or another thing that was named, is not there."""


@dataclass(frozen=True)
class Wanted:
    """What a submit asks for, checked; `film_id` is a film of Kling that is named."""

    media_type: MediaType
    prompt: str = ""
    model: str = ""
    width: int = 1024
    height: int = 1024
    seconds: float = 5.0
    count: int = 1
    film_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def shape(ratio: str, short: int) -> tuple[int, int]:
    """Width and height of a film or image with that short side."""
    wide, high = (int(part) for part in ratio.split(":"))
    scale = short / min(wide, high)
    return round(wide * scale), round(high * scale)


def check_image(given: Any, name: str) -> None:
    """A URL or plain base64 of a PNG or JPEG that is large enough."""
    if not isinstance(given, str) or not given:
        raise BadInput(f"{name} is required", name)
    if given[:5].lower() == "data:":
        raise BadInput(f"{name} must be base64 without a data: prefix", name)
    try:
        image = read_image(given)
    except NotAnImage as error:
        raise BadInput(f"{name}: {error}", name) from error
    if image is None:
        return
    if image.image_format not in {"png", "jpeg"}:
        raise BadInput(f"{name} must be a jpg or png", name)
    if len(image.data) > MOST_IMAGE_BYTES:
        raise BadInput(f"{name} must be at most 10MB", name)
    if min(image.width, image.height) < LEAST_SIDE:
        raise BadInput(f"{name}: both sides must be at least {LEAST_SIDE}px", name)
    if max(image.width, image.height) > MOST_RATIO * min(image.width, image.height):
        raise BadInput(f"{name}: the ratio must be within 1:2.5 and 2.5:1", name)


def check_images(
    body: Body, name: str, inner: str, least: int, most: int
) -> list[Mapping[str, Any]]:
    """A list of objects with an image each."""
    listed = get_list(body, name)
    if not least <= len(listed) <= most:
        raise BadInput(f"{name} must hold {least} to {most} images", name)
    for item in listed:
        if not isinstance(item, dict):
            raise BadInput(f"{name} must be a list of objects", name)
        check_image(item.get(inner), inner)
    return listed


def get_model(
    body: Body, offered: Sequence[str], default: str, name: str = "model_name"
) -> str:
    model = get_text(body, name, default=default)
    if model not in offered:
        raise NoModel(f"{name} {model} is not supported", name)
    return model


def get_url(body: Body, name: str) -> str:
    url = get_text(body, name, default="")
    if url and not url.startswith(("http://", "https://")):
        raise BadInput(f"{name} must be a URL", name)
    return url


def get_prompt(body: Body, *, needed: bool) -> str:
    default = None if needed else ""
    return get_text(body, "prompt", default=default, longest=MOST_PROMPT)


def get_side(body: Body, model: str, default: str = "std") -> int:
    """The short side of a film, by its mode."""
    allowed = ("std", "pro", "4k") if model.startswith("kling-v3") else ("std", "pro")
    return MODES[get_choice(body, "mode", allowed, default=default)]


def common(body: Body) -> None:
    """What every film of /v1 may say."""
    get_text(body, "negative_prompt", default="", longest=MOST_PROMPT)
    get_number(body, "cfg_scale", default=0.5, least=0, most=1)
    get_choice(body, "sound", ("on", "off"), default="off")
    get_flag(get_object(body, "watermark_info"), "enabled")
    camera = get_object(body, "camera_control")
    if camera:
        move = get_choice(camera, "type", CAMERA_MOVES)
        if get_object(camera, "config") and move != "simple":
            raise BadInput("config goes with the type simple only", "camera_control")


def shots(body: Body, seconds: float) -> bool:
    """Whether the film has several shots with a prompt each."""
    if not get_flag(body, "multi_shot"):
        return False
    if get_choice(body, "shot_type", ("customize", "intelligence")) != "customize":
        return False
    listed = get_list(body, "multi_prompt")
    if not 1 <= len(listed) <= MOST_SHOTS:
        raise BadInput(f"multi_prompt must hold 1 to {MOST_SHOTS} shots")
    total = 0
    for shot in listed:
        if not isinstance(shot, dict):
            raise BadInput("multi_prompt must be a list of objects", "multi_prompt")
        get_text(shot, "prompt", longest=MOST_SHOT_PROMPT)
        total += get_whole(shot, "duration", least=1, strict=False)
    if total != seconds:
        raise BadInput("the durations of the shots must sum to duration", "duration")
    return True


def film(body: Body, offered: Sequence[str], *, ratio: str, needs: bool) -> Wanted:
    """The part that films from texts and frames have in common."""
    model = get_model(body, offered, "kling-v1")
    common(body)
    lengths = LONG if model == "kling-v3" else SHORT
    seconds = float(get_choice(body, "duration", lengths, default="5"))
    several = shots(body, seconds)
    prompt = get_prompt(body, needed=needs and not several)
    if several and not prompt:
        prompt = str(body["multi_prompt"][0]["prompt"])
    side = 720 if model in MASTERS else get_side(body, model)
    width, height = shape(ratio, side)
    return Wanted(MediaType.VIDEO, prompt, model, width, height, seconds)


def text_to_video(body: Body) -> Wanted:
    ratio = get_choice(body, "aspect_ratio", VIDEO_RATIOS, default="16:9")
    return film(body, ALL_TEXT, ratio=ratio, needs=True)


def image_to_video(body: Body) -> Wanted:
    if not body.get("image") and not body.get("image_tail"):
        raise BadInput("image and image_tail cannot both be empty", "image")
    for name in ("image", "image_tail", "static_mask"):
        if body.get(name):
            check_image(body[name], name)
    return film(body, ALL_FRAMES, ratio="16:9", needs=False)


def many_images(body: Body) -> Wanted:
    check_images(body, "image_list", "image", 1, 4)
    ratio = get_choice(body, "aspect_ratio", VIDEO_RATIOS, default="16:9")
    named = {"model_name": "kling-v1-6", **body}
    return film(named, ("kling-v1-6",), ratio=ratio, needs=True)


def omni_video(body: Body) -> Wanted:
    offered = ("kling-video-o1", "kling-v3-omni")
    model = get_model(body, offered, "kling-video-o1")
    images = check_images(body, "image_list", "image_url", 0, 7)
    kinds = [item.get("type") for item in images]
    if "end_frame" in kinds and "first_frame" not in kinds:
        raise BadInput("an end_frame needs a first_frame", "image_list")
    films = get_list(body, "video_list")
    for item in films:
        if not isinstance(item, dict) or not get_url(item, "video_url"):
            raise BadInput("video_list: video_url is required", "video_list")
        get_choice(item, "refer_type", ("base", "feature"), default="base")
    bases = [item for item in films if item.get("refer_type", "base") == "base"]
    default = "16:9" if "first_frame" in kinds or bases else None
    ratio = get_choice(body, "aspect_ratio", VIDEO_RATIOS, default=default)
    longest = 16 if model == "kling-v3-omni" else 11
    lengths = tuple(str(seconds) for seconds in range(3, longest))
    seconds = float(get_choice(body, "duration", lengths, default="5"))
    several = shots(body, seconds)
    width, height = shape(ratio, get_side(body, model, "pro"))
    prompt = get_prompt(body, needed=not several)
    return Wanted(MediaType.VIDEO, prompt, model, width, height, seconds)


def source(body: Body) -> str:
    """A film to work on: the id of one of Kling's own, or "" for one at a URL."""
    film_id = get_text(body, "video_id", default="")
    if not film_id and not get_url(body, "video_url"):
        raise BadInput("video_id and video_url cannot both be empty", "video_id")
    return film_id


def extend(body: Body) -> Wanted:
    film_id = get_text(body, "video_id")
    return Wanted(
        MediaType.VIDEO,
        get_prompt(body, needed=False),
        film_id=film_id,
        width=1280,
        height=720,
    )


def motion(body: Body) -> Wanted:
    model = get_model(body, ("kling-v2-6", "kling-v3"), "kling-v2-6")
    check_image(body.get("image_url"), "image_url")
    if not get_url(body, "video_url"):
        raise BadInput("video_url is required", "video_url")
    get_choice(body, "character_orientation", ("image", "video"))
    get_choice(body, "keep_original_sound", ("yes", "no"), default="yes")
    width, height = shape("16:9", MODES[get_choice(body, "mode", ("std", "pro"))])
    prompt = get_prompt(body, needed=False)
    return Wanted(MediaType.VIDEO, prompt, model, width, height)


def lip_sync(body: Body) -> Wanted:
    told = get_object(body, "input")
    film_id = source(told)
    prompt = ""
    if get_choice(told, "mode", ("text2video", "audio2video")) == "text2video":
        prompt = speech(told).prompt
    elif get_choice(told, "audio_type", ("file", "url")) == "url":
        if not get_url(told, "audio_url"):
            raise BadInput("audio_url is required", "audio_url")
    else:
        get_text(told, "audio_file")
    return Wanted(MediaType.VIDEO, prompt, film_id=film_id)


def face_lip_sync(body: Body) -> Wanted:
    get_text(body, "session_id")
    if not get_list(body, "face_choose"):
        raise BadInput("face_choose is required", "face_choose")
    return Wanted(MediaType.VIDEO)


def multi_elements(body: Body) -> Wanted:
    get_text(body, "session_id")
    get_text(body, "edit_mode")
    seconds = float(get_choice(body, "duration", SHORT, default="5"))
    model = get_model(body, ("kling-v1-6",), "kling-v1-6")
    prompt = get_prompt(body, needed=True)
    return Wanted(MediaType.VIDEO, prompt, model, seconds=seconds)


def avatar(body: Body) -> Wanted:
    check_image(body.get("image"), "image")
    if not body.get("audio_id") and not body.get("sound_file"):
        raise BadInput("audio_id and sound_file cannot both be empty", "sound_file")
    width, height = shape("16:9", get_side(body, ""))
    prompt = get_prompt(body, needed=False)
    return Wanted(MediaType.VIDEO, prompt, width=width, height=height)


def effects(body: Body) -> Wanted:
    scene = get_text(body, "effect_scene")
    told = get_object(body, "input")
    pair = get_list(told, "images")
    if len(pair) not in {0, 2}:
        raise BadInput("images must hold two images", "images")
    for each in pair or [told.get("image")]:
        check_image(each, "images" if pair else "image")
    model = get_model(told, ("kling-v1", "kling-v1-5", "kling-v1-6"), "kling-v1-6")
    seconds = float(get_choice(told, "duration", SHORT))
    width, height = shape("1:1", get_side(told, model))
    return Wanted(MediaType.VIDEO, scene, model, width, height, seconds)


def image(body: Body) -> Wanted:
    model = get_model(body, ALL_IMAGES, "kling-v3")
    prompt = get_prompt(body, needed=True)
    if body.get("image"):
        check_image(body["image"], "image")
        if body.get("negative_prompt"):
            raise BadInput("negative_prompt does not go with image", "negative_prompt")
    get_text(body, "negative_prompt", default="", longest=MOST_PROMPT)
    get_number(body, "image_fidelity", default=0.5, least=0, most=1)
    get_number(body, "human_fidelity", default=0.45, least=0, most=1)
    return pictures(body, prompt, model, ("1k", "2k"), "16:9")


def pictures(
    body: Body, prompt: str, model: str, levels: Sequence[str], default: str
) -> Wanted:
    """Number, shape and size of images."""
    count = get_whole(body, "n", default=1, least=1, most=9)
    ratios = (*IMAGE_RATIOS, "auto") if default == "auto" else IMAGE_RATIOS
    ratio = get_choice(body, "aspect_ratio", ratios, default=default)
    level = get_choice(body, "resolution", levels, default="1k")
    ratio = "1:1" if ratio == "auto" else ratio
    width, height = shape(ratio, IMAGE_LEVELS[level] * 3 // 4)
    return Wanted(MediaType.IMAGE, prompt, model, width, height, count=count)


def omni_image(body: Body) -> Wanted:
    offered = ("kling-image-o1", "kling-v3-omni")
    model = get_model(body, offered, "kling-image-o1")
    check_images(body, "image_list", "image", 0, 10)
    levels = ("1k", "2k", "4k") if model == "kling-v3-omni" else ("1k", "2k")
    wanted = pictures(body, get_prompt(body, needed=True), model, levels, "auto")
    kind = get_choice(body, "result_type", ("single", "series"), default="single")
    if kind == "single":
        return wanted
    amount = get_whole(body, "series_amount", default=4, least=2, most=9)
    return Wanted(
        MediaType.IMAGE,
        wanted.prompt,
        model,
        wanted.width,
        wanted.height,
        count=amount,
        extra={"series": True},
    )


def subjects(body: Body) -> Wanted:
    model = get_model(body, ("kling-v2", "kling-v2-1"), "kling-v2")
    check_images(body, "subject_image_list", "subject_image", 1, 4)
    prompt = get_prompt(body, needed=False)
    return pictures(body, prompt, model, ("1k",), "16:9")


def expand(body: Body) -> Wanted:
    check_image(body.get("image"), "image")
    for side in ("up", "down", "left", "right"):
        get_number(body, f"{side}_expansion_ratio", least=0, most=2)
    return pictures(body, get_prompt(body, needed=False), "", ("1k",), "1:1")


def try_on(body: Body) -> Wanted:
    offered = ("kolors-virtual-try-on-v1", "kolors-virtual-try-on-v1-5")
    model = get_model(body, offered, offered[0])
    for name in ("human_image", "cloth_image"):
        check_image(body.get(name), name)
    return Wanted(MediaType.IMAGE, model=model, width=768, height=1024)


def sound(body: Body) -> Wanted:
    prompt = get_prompt(body, needed=True)
    seconds = get_number(body, "duration", least=3, most=10)
    return Wanted(MediaType.AUDIO, prompt, seconds=seconds)


def soundtrack(body: Body) -> Wanted:
    film_id = source(body)
    prompt = get_text(body, "sound_effect_prompt", default="")
    get_text(body, "bgm_prompt", default="")
    get_flag(body, "asmr_mode")
    extra = {"dubbed": True}
    return Wanted(MediaType.AUDIO, prompt, film_id=film_id, extra=extra)


def speech(body: Body) -> Wanted:
    text = get_text(body, "text", longest=MOST_SPEECH)
    get_text(body, "voice_id")
    get_choice(body, "voice_language", ("zh", "en"))
    get_number(body, "voice_speed", default=1, least=0.8, most=2)
    return Wanted(MediaType.AUDIO, text, seconds=3.2)


Read = Callable[[Body], Wanted]
LEGACY: Mapping[str, Read] = {
    "/v1/videos/text2video": text_to_video,
    "/v1/videos/image2video": image_to_video,
    "/v1/videos/multi-image2video": many_images,
    "/v1/videos/omni-video": omni_video,
    "/v1/videos/video-extend": extend,
    "/v1/videos/motion-control": motion,
    "/v1/videos/lip-sync": lip_sync,
    "/v1/videos/advanced-lip-sync": face_lip_sync,
    "/v1/videos/multi-elements": multi_elements,
    "/v1/videos/avatar/image2video": avatar,
    "/v1/videos/effects": effects,
    "/v1/images/generations": image,
    "/v1/images/omni-image": omni_image,
    "/v1/images/multi-image2image": subjects,
    "/v1/images/editing/expand": expand,
    "/v1/images/kolors-virtual-try-on": try_on,
    "/v1/audio/text-to-audio": sound,
    "/v1/audio/video-to-audio": soundtrack,
}


# The newer standard: /{task}/{model}

FRAME_MODELS = ("kling-3.0-turbo", "kling-3.0", "kling-2.6", "kling-2.5-turbo")
NEW_MODELS: Mapping[str, Sequence[str]] = {
    "text-to-video": FRAME_MODELS,
    "image-to-video": FRAME_MODELS,
    "omni-video": ("kling-3.0-omni", "kling-o1"),
    "motion-control": ("kling-3.0", "kling-2.6"),
}
REFERENCES = ("refer_image", "feature_video", "base_video", "element")
CONTENTS: Mapping[str, Sequence[str]] = {
    "image-to-video": ("prompt", "first_frame", "last_frame", "element"),
    "omni-video": ("prompt", "first_frame", "last_frame", *REFERENCES),
    "motion-control": ("prompt", "image", "video", "element"),
}
PICTURE_TYPES = frozenset({"first_frame", "last_frame", "refer_image", "image"})
FILM_TYPES = frozenset({"feature_video", "base_video", "video"})


def read_new(task: str, model: str, body: Body) -> Wanted:
    """A submit of the newer standard."""
    if model not in NEW_MODELS[task]:
        raise NoModel(f"model {model} is not supported", "model")
    said = get_object(body, "settings")
    if task == "text-to-video":
        prompt = get_text(body, "prompt", longest=MOST_NEW_PROMPT)
        kinds: list[str] = []
    else:
        prompt, kinds = read_contents(body, CONTENTS[task])
        check_kinds(task, model, kinds, said)
    seconds = 5.0
    if task != "motion-control":
        seconds = float(get_seconds(said, model))
        get_choice(said, "audio", ("native", "original", "off"), default="off")
    else:
        get_choice(said, "character_orientation", ("image", "video"))
        get_choice(said, "audio", ("original", "off"), default="original")
    get_flag(said, "multi_shot")
    ultra = model in {"kling-3.0", "kling-3.0-omni"} and task != "motion-control"
    levels = tuple(LEVELS) if ultra else ("720p", "1080p")
    level = get_choice(said, "resolution", levels, default="720p")
    needs_ratio = task == "omni-video" and not {"first_frame", "base_video"} & set(
        kinds
    )
    default = None if needs_ratio else "16:9"
    ratio = get_choice(said, "aspect_ratio", VIDEO_RATIOS, default=default)
    width, height = shape(ratio, LEVELS[level])
    return Wanted(MediaType.VIDEO, prompt, model, width, height, seconds)


def get_seconds(said: Body, model: str) -> int:
    """The duration, an integer and no text."""
    if model in {"kling-2.6", "kling-2.5-turbo"}:
        seconds = get_whole(said, "duration", default=5)
        if seconds not in {5, 10}:
            raise BadInput("duration must be 5 or 10", "duration")
        return seconds
    most = 10 if model == "kling-o1" else 15
    return get_whole(said, "duration", default=5, least=3, most=most)


def read_contents(body: Body, allowed: Sequence[str]) -> tuple[str, list[str]]:
    """The prompt, and the type of every content."""
    contents = get_list(body, "contents")
    if not contents:
        raise BadInput("contents cannot be empty", "contents")
    prompt, kinds = "", []
    for item in contents:
        if not isinstance(item, dict):
            raise BadInput("contents must be a list of objects", "contents")
        kind = get_choice(item, "type", allowed)
        if kind == "prompt":
            prompt = get_text(item, "text", longest=MOST_NEW_PROMPT)
        elif kind in PICTURE_TYPES:
            check_image(item.get("url"), "url")
        elif kind in FILM_TYPES and not get_url(item, "url"):
            raise BadInput(f"{kind}: url is required", "url")
        kinds.append(kind)
    return prompt, kinds


def check_kinds(task: str, model: str, kinds: list[str], said: Body) -> None:
    """What must be there, and what does not go together."""
    if task == "image-to-video" and "first_frame" not in kinds:
        raise BadInput("first_frame is required", "contents")
    if task == "motion-control" and not {"image", "video"} <= set(kinds):
        raise BadInput("image and video are required", "contents")
    if "last_frame" in kinds:
        if "first_frame" not in kinds:
            raise BadInput("last_frame needs first_frame", "contents")
        if model == "kling-3.0-turbo":
            raise BadInput("last_frame is not supported", "contents")
    if "feature_video" in kinds and (
        said.get("audio") == "native" or said.get("multi_shot") is False
    ):
        raise BadInput("feature_video takes no audio and no single shot", "settings")
    if kinds.count("refer_image") > 7:
        raise BadInput("there may be at most 7 images", "contents")
