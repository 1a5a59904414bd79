"""Vidu request bodies: which endpoint a request goes to, and what it is told.

Sources: the API pages of platform.vidu.com and platform.vidu.cn, read November 2026. In
`metadata` a client may say whatever else an endpoint takes (`audio`, `audio_type`,
`bgm`, `movement_amplitude`, `off_peak`, `is_rec`, `watermark`, `subjects`,
`timing_prompts`, `template`, `story`, `voice_setting_emotion`, ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from providers import errors, geometry
from providers.dialects.vidu_models import (
    ACTIONS,
    IMAGE_COUNTS,
    PICTURES,
    RATIOS,
    Offer,
    Way,
)
from providers.flow import Flow
from providers.inputs import as_url
from providers.payload import given, merged
from providers.types import GenerationRequest

# `payload` is the name under which a film whose answer was lost is found again.
OURS = ("model", "callback_url", "payload")


def reference(request: GenerationRequest) -> str:
    """Our name for a submission; Vidu repeats it wherever it shows the task."""
    return request.submission_key or request.task_id


def find_way(request: GenerationRequest, offer: Offer) -> Way:
    """The endpoint: by the action, else by what is given; Rejected when none fits."""
    way = ACTIONS.get(request.action) or usual_way(request, offer)
    if way not in offer.ways:
        raise errors.Rejected(
            f"{offer.model.name} cannot make that; it takes "
            f"{', '.join(each.value for each in offer.ways)}, not {way.value}"
        )
    least, most = IMAGE_COUNTS.get(way, (0, math.inf))
    count = len(request.images)
    if request.metadata.get("subjects") and way is Way.REFERENCE:
        if count:
            raise errors.Rejected("images and metadata.subjects exclude one another")
    elif not least <= count <= most and not is_told(request, way):
        raise errors.Rejected(
            f"{way.value} takes {least} to {most} images, not {count}"
        )
    return way


def is_told(request: GenerationRequest, way: Way) -> bool:
    """Whether the client writes the frames of a film itself, each with its own text."""
    return way is Way.MULTIFRAME and "image_settings" in request.metadata


def usual_way(request: GenerationRequest, offer: Offer) -> Way:
    """Without an action: one image is a frame, two are first and last, more references.

    Where a model does not take frames, every image is a reference.
    """
    if len(offer.ways) == 1:
        return offer.ways[0]
    if Way.TIMED_SOUND in offer.ways:
        timed = "timing_prompts" in request.metadata
        return Way.TIMED_SOUND if timed else Way.SOUND
    if request.metadata.get("subjects"):
        return Way.REFERENCE
    count = len(request.images)
    by_count = (Way.TEXT, Way.FRAME, Way.FRAMES)
    if count < len(by_count) and by_count[count] in offer.ways:
        return by_count[count]
    return Way.REFERENCE if count else Way.TEXT


def write(request: GenerationRequest, offer: Offer, way: Way) -> Flow[dict[str, Any]]:
    """The body for that endpoint, with the client's own fields merged in last."""
    urls = []
    for image in request.images:
        urls.append((yield from as_url(image)))
    fields = WRITERS[way](request, offer, urls)
    body = given(
        model=offer.name or None,
        **fields,
        payload=reference(request),
        callback_url=None if way is Way.SPEECH else request.callback_url,
    )
    body = merged(body, request.metadata, keep=OURS)
    for name in REQUIRED.get(way, ()):
        if not body.get(name):
            raise errors.Rejected(f"{offer.model.name} needs {name} for {way.value}")
    return body


REQUIRED: Mapping[Way, tuple[str, ...]] = {
    Way.TEXT: ("prompt",),
    Way.REFERENCE: ("prompt",),
    Way.IMAGE: ("prompt",),
    Way.SOUND: ("prompt",),
    Way.SPEECH: ("text", "voice_setting_voice_id"),
}


# Films


def write_film(
    request: GenerationRequest, offer: Offer, urls: Sequence[str]
) -> dict[str, Any]:
    """A text, frames or references; with frames the shape is theirs."""
    return {
        "images": list(urls) or None,
        "prompt": request.text or None,
        "duration": whole_seconds(request),
        "seed": request.seed,
        "resolution": level_of(request, offer),
        "style": request.style,
        "voice_id": request.voice,
    }


def write_shaped_film(
    request: GenerationRequest, offer: Offer, urls: Sequence[str]
) -> dict[str, Any]:
    fields = write_film(request, offer, urls)
    return {**fields, "aspect_ratio": ratio_of(request, RATIOS)}


def write_multiframe(
    request: GenerationRequest, offer: Offer, urls: Sequence[str]
) -> dict[str, Any]:
    """The first frame, then one part of the film per further frame.

    The text and the duration are those of every part.
    """
    seconds = whole_seconds(request)
    if seconds is not None and not 2 <= seconds <= 7:
        raise errors.Rejected("each part of a multiframe film takes 2 to 7 seconds")
    parts = [
        given(key_image=url, prompt=request.text or None, duration=seconds)
        for url in urls[1:]
    ]
    return {
        "start_image": urls[0] if urls else None,
        "image_settings": parts or None,
        "resolution": level_of(request, offer),
    }


def write_template(
    request: GenerationRequest, _offer: Offer, urls: Sequence[str]
) -> dict[str, Any]:
    """`metadata.template` names it; without one the upstream refuses, at no cost."""
    return {
        "images": list(urls),
        "prompt": request.text or None,
        "seed": request.seed,
        "aspect_ratio": ratio_of(request, RATIOS),
    }


def write_story(
    _request: GenerationRequest, _offer: Offer, urls: Sequence[str]
) -> dict[str, Any]:
    """The story, named in `metadata`, is all that can be chosen."""
    return {"images": list(urls)}


def whole_seconds(request: GenerationRequest) -> int | None:
    """The duration as the integer that is taken."""
    if request.duration is None:
        return None
    if request.duration != int(request.duration):
        raise errors.Rejected("duration must be a whole number of seconds")
    return int(request.duration)


def level_of(request: GenerationRequest, offer: Offer) -> str | None:
    """`720p`: as asked for, else the one nearest to the shorter side of the size."""
    offered = offer.model.resolutions
    size = geometry.wanted_size(request)
    short = min(size) if size else request.height or request.width
    level = None
    if request.resolution or is_level(request.size):
        level = str(request.resolution or request.size).strip().lower()
    elif short:
        level = min(offered, key=lambda level: abs(int(level[:-1]) - short))
    if (
        offer.name == "vidu2.0"
        and request.duration == 8
        and level not in (None, "720p")
    ):
        if request.resolution:
            raise errors.Rejected("vidu2.0 makes 8 seconds in 720p only")
        level = "720p"
    return level


def is_level(size: str | None) -> bool:
    return bool(size) and str(size).strip().lower() in {
        *("360p", "540p", "720p", "1080p", "2k", "4k"),
    }


def ratio_of(request: GenerationRequest, offered: Sequence[str]) -> str | None:
    """`16:9`: as asked for, else the nearest to the size's shape.

    An odd word is not passed over: the client would pay for another shape.
    """
    if request.aspect_ratio:
        return request.aspect_ratio.replace("/", ":").replace(" ", "").lower()
    shape = geometry.wanted_ratio(request)
    if shape is None and request.size and not is_level(request.size):
        shape = geometry.read_ratio(request.size)
        if shape is None:
            raise errors.Rejected(
                f"size {request.size!r} must be WIDTHxHEIGHT or WIDTH:HEIGHT"
            )
    return geometry.nearest_ratio(shape, offered) if shape else None


# Pictures


def write_image(
    request: GenerationRequest, offer: Offer, urls: Sequence[str]
) -> dict[str, Any]:
    """A text with up to seven references."""
    return {
        "images": list(urls) or None,
        "prompt": request.text or None,
        "seed": request.seed,
        "aspect_ratio": ratio_of(request, offer.model.aspect_ratios),
        "resolution": picture_level(request, offer),
    }


def picture_level(request: GenerationRequest, offer: Offer) -> str | None:
    """`2K`: as asked for, else the one with about as many pixels as the size."""
    offered = offer.model.resolutions
    size = geometry.wanted_size(request)
    if request.resolution or is_level(request.size):
        word = str(request.resolution or request.size).strip()
        return next((each for each in offered if each.lower() == word.lower()), word)
    if size is None or not size[0] or not size[1]:
        return None
    pixels = size[0] * size[1]
    return min(offered, key=lambda level: abs(math.log(PICTURES[level] / pixels)))


# Sounds


def write_sound(
    request: GenerationRequest, _offer: Offer, _urls: Sequence[str]
) -> dict[str, Any]:
    return {
        "prompt": request.text or None,
        "duration": request.duration,
        "seed": request.seed,
    }


def write_timed_sound(
    request: GenerationRequest, _offer: Offer, _urls: Sequence[str]
) -> dict[str, Any]:
    """Every sound has its own text, in `metadata.timing_prompts`."""
    return {"duration": request.duration, "seed": request.seed}


def write_speech(
    request: GenerationRequest, _offer: Offer, _urls: Sequence[str]
) -> dict[str, Any]:
    return {
        "text": request.speech or None,
        "voice_setting_voice_id": request.voice,
        "voice_setting_speed": request.speed,
    }


Writer = Callable[[GenerationRequest, Offer, Sequence[str]], dict[str, Any]]
WRITERS: Mapping[Way, Writer] = {
    Way.TEXT: write_shaped_film,
    Way.FRAME: write_film,
    Way.FRAMES: write_film,
    Way.REFERENCE: write_shaped_film,
    Way.MULTIFRAME: write_multiframe,
    Way.TEMPLATE: write_template,
    Way.STORY: write_story,
    Way.IMAGE: write_image,
    Way.SOUND: write_sound,
    Way.TIMED_SOUND: write_timed_sound,
    Way.SPEECH: write_speech,
}
