"""Requests in Kling's words: flat bodies under /v1, contents and settings newer.

Source: kling.ai/document-api, read November 2026 (docs/providers/kling.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from providers import errors
from providers.dialects import kling_options as options
from providers.dialects.kling_models import Kind, Offer
from providers.dialects.kling_options import IMAGE_SIDES, VIDEO_SIDES
from providers.flow import Flow
from providers.payload import given, merged
from providers.types import GenerationRequest, MediaType

Body = dict[str, Any]

OURS = ("model_name", "model", "callback_url", "external_task_id")
OPTIONS_OURS = ("callback_url", "external_task_id")
MODES = {"720p": "std", "1080p": "pro", "4k": "4k"}
SOUND_S = 5.0
HAN = re.compile(r"[\u4e00-\u9fff]")


def path_of(request: GenerationRequest, offer: Offer) -> str:
    """The endpoint, which may depend on whether there are images."""
    return offer.paths[-1 if request.images else 0]


# /v1


def write(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """The body of a submit under /v1, with the client's metadata in it."""
    body = yield from WRITERS[offer.kind](request, offer)
    if offer.sent and offer.kind is not Kind.EFFECTS:
        body = {"model_name": offer.sent, **body}
    if offer.kind is not Kind.SPEECH:
        body |= given(
            callback_url=request.callback_url,
            external_task_id=options.reference(request),
        )
    if offer.kind in {Kind.EFFECTS, Kind.LIP_SYNC}:
        return options.with_inner(
            body, request.metadata, "input", keep=OURS, keep_inner=OURS
        )
    return merged(body, request.metadata, keep=OURS)


def mode(request: GenerationRequest, offer: Offer) -> str | None:
    if not offer.levels:
        return None
    level = options.level_of(request, VIDEO_SIDES, offer.levels)
    return MODES[level] if level else None


def duration(request: GenerationRequest) -> str | None:
    """A text, also where it is a number of seconds."""
    whole = options.whole_seconds(request)
    return None if whole is None else str(whole)


def prompts(request: GenerationRequest) -> Body:
    return given(
        prompt=request.text or None, negative_prompt=request.negative_prompt or None
    )


def video_ratio(request: GenerationRequest) -> str | None:
    return options.ratio_of(request, options.VIDEO_RATIOS)


def write_video(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """From a text, or from a first frame and perhaps a last one."""
    body = prompts(request)
    if request.images:
        options.check_follows_frame(request)
        names = ("image", "image_tail")
        if len(request.images) > len(names):
            raise errors.Rejected("images can be a first and a last frame")
        pictures = yield from options.as_pictures(request.images)
        body |= dict(zip(names, pictures, strict=False))
    else:
        body |= given(aspect_ratio=video_ratio(request))
    return body | given(mode=mode(request, offer), duration=duration(request))


def write_many_images(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    pictures = yield from options.as_pictures(request.images)
    return {
        **prompts(request),
        "image_list": [{"image": picture} for picture in pictures],
        **given(
            mode=mode(request, offer),
            duration=duration(request),
            aspect_ratio=video_ratio(request),
        ),
    }


def write_omni_video(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """One or two images are frames; more, or any beside a film, are references."""
    pictures = yield from options.as_pictures(request.images)
    frames = is_frames(request)
    kinds = ("first_frame", "end_frame") if frames else (None,) * len(pictures)
    listed = [
        given(image_url=picture, type=kind)
        for picture, kind in zip(pictures, kinds, strict=False)
    ]
    if frames:
        options.check_follows_frame(request)
    body = prompts(request)
    if listed:
        body["image_list"] = listed
    if request.video_url:
        body["video_list"] = [{"video_url": request.video_url, "refer_type": "feature"}]
    return body | given(
        mode=mode(request, offer),
        duration=duration(request),
        # required without a first frame
        aspect_ratio=None if frames else video_ratio(request) or "16:9",
    )


def is_frames(request: GenerationRequest) -> bool:
    return 0 < len(request.images) <= 2 and not request.video_url


def write_motion(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    picture = yield from options.as_picture(request.images[0])
    return {
        **prompts(request),
        "image_url": picture,
        "video_url": request.video_url,
        "character_orientation": "image",
        "mode": mode(request, offer) or "std",
    }


def write_extend(request: GenerationRequest, _offer: Offer) -> Flow[Body]:
    """Which film is said by `metadata.video_id` alone."""
    yield from ()
    return prompts(request)


def write_plain(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """What these endpoints edit is said by `metadata` (`session_id` and more)."""
    pictures = yield from options.as_pictures(request.images)
    body = {**prompts(request)}
    if pictures:
        body["image_list"] = [{"image": picture} for picture in pictures]
    return body | given(mode=mode(request, offer), duration=duration(request))


def write_lip_sync(request: GenerationRequest, _offer: Offer) -> Flow[Body]:
    """A film that says a text, or what a recording says."""
    yield from ()
    told: Body = given(video_url=request.video_url)
    if request.audio_url:
        told |= {
            "mode": "audio2video",
            "audio_type": "url",
            "audio_url": request.audio_url,
        }
    else:
        told |= {"mode": "text2video", **speech(request)}
    return {"input": told}


def write_avatar(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    picture = yield from options.as_picture(request.images[0])
    return {
        "image": picture,
        **given(
            sound_file=request.audio_url,
            prompt=request.text or None,
            mode=mode(request, offer),
        ),
    }


def write_effects(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """Which effect is said by `metadata.effect_scene`."""
    pictures = yield from options.as_pictures(request.images)
    shown = {"image": pictures[0]} if len(pictures) == 1 else {"images": pictures}
    return {
        "input": {
            "model_name": offer.sent,
            "mode": mode(request, offer) or "std",
            **shown,
            "duration": duration(request) or "5",
        }
    }


def image_ratio(request: GenerationRequest) -> str | None:
    return options.ratio_of(request, options.IMAGE_RATIOS)


def write_image(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    pictures = yield from options.as_pictures(request.images[:1])
    return {
        **prompts(request),
        **given(
            image=pictures[0] if pictures else None,
            resolution=options.level_of(request, IMAGE_SIDES, offer.levels),
            aspect_ratio=image_ratio(request),
        ),
        "n": request.n,
    }


def write_omni_image(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    pictures = yield from options.as_pictures(request.images)
    body = {**prompts(request), "n": request.n}
    if pictures:
        body["image_list"] = [{"image": picture} for picture in pictures]
    return body | given(
        resolution=options.level_of(request, IMAGE_SIDES, offer.levels),
        aspect_ratio=image_ratio(request),
    )


def write_subjects(request: GenerationRequest, _offer: Offer) -> Flow[Body]:
    pictures = yield from options.as_pictures(request.images)
    return {
        **prompts(request),
        "subject_image_list": [{"subject_image": picture} for picture in pictures],
        **given(aspect_ratio=image_ratio(request)),
        "n": request.n,
    }


def write_one_image(request: GenerationRequest, _offer: Offer) -> Flow[Body]:
    """How far to expand it is said by `metadata` (`up_expansion_ratio` and so on)."""
    picture = yield from options.as_picture(request.images[0])
    return {"image": picture, **prompts(request), "n": request.n}


def write_try_on(request: GenerationRequest, _offer: Offer) -> Flow[Body]:
    """A person first, then the clothes (or `metadata.cloth_image`)."""
    pictures = yield from options.as_pictures(request.images)
    return dict(zip(("human_image", "cloth_image"), pictures, strict=False))


def write_sound(request: GenerationRequest, _offer: Offer) -> Flow[Body]:
    yield from ()
    return {
        "prompt": request.text,
        "duration": SOUND_S if request.duration is None else request.duration,
    }


def write_soundtrack(request: GenerationRequest, _offer: Offer) -> Flow[Body]:
    yield from ()
    return given(video_url=request.video_url, sound_effect_prompt=request.text or None)


def write_speech(request: GenerationRequest, _offer: Offer) -> Flow[Body]:
    yield from ()
    return speech(request)


def speech(request: GenerationRequest) -> Body:
    """A text and who says it; the language is needed, and guessed from the script."""
    return {
        "text": request.speech,
        **given(voice_id=request.voice, voice_speed=request.speed),
        "voice_language": "zh" if HAN.search(request.speech) else "en",
    }


Writer = Callable[[GenerationRequest, Offer], Flow[Body]]
WRITERS: Mapping[Kind, Writer] = {
    Kind.VIDEO: write_video,
    Kind.MANY_IMAGES: write_many_images,
    Kind.OMNI_VIDEO: write_omni_video,
    Kind.EXTEND: write_extend,
    Kind.MOTION: write_motion,
    Kind.LIP_SYNC: write_lip_sync,
    Kind.PLAIN: write_plain,
    Kind.AVATAR: write_avatar,
    Kind.EFFECTS: write_effects,
    Kind.IMAGE: write_image,
    Kind.OMNI_IMAGE: write_omni_image,
    Kind.SUBJECTS: write_subjects,
    Kind.ONE_IMAGE: write_one_image,
    Kind.TRY_ON: write_try_on,
    Kind.SOUND: write_sound,
    Kind.SOUNDTRACK: write_soundtrack,
    Kind.SPEECH: write_speech,
}


def links_of(request: GenerationRequest, offer: Offer) -> dict[str, str]:
    """What a task's answers need to be read, beside its id."""
    links = {"path": path_of(request, offer)}
    if request.media_type is MediaType.IMAGE and request.n > 1:
        links["count"] = str(request.n)
    if (request.output_format or "").lower() == "wav":
        links["format"] = "wav"
    return links


# The newer standard


def write_new(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """`{"prompt" or "contents", "settings", "options"}`, with the metadata in it."""
    body = yield from NEW_WRITERS[offer.kind](request, offer)
    body["options"] = given(
        callback_url=request.callback_url,
        external_task_id=options.reference(request),
        watermark_info={"enabled": False},
    )
    return options.with_inner(
        body, request.metadata, "options", keep=OURS, keep_inner=OPTIONS_OURS
    )


def settings(request: GenerationRequest, offer: Offer) -> Body:
    """The settings that all films have.

    Sound costs more and is off unless the client says else; so are cuts, which Kling
    makes by itself otherwise.
    """
    return given(
        resolution=options.level_of(request, VIDEO_SIDES, offer.levels),
        duration=options.whole_seconds(request),
        audio="off" if offer.has_audio else None,
        multi_shot=False if offer.has_shots else None,
    )


def write_new_frames(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    said = settings(request, offer)
    if not request.images:
        ratio = given(aspect_ratio=video_ratio(request))
        return {"prompt": request.text, "settings": {**said, **ratio}}
    options.check_follows_frame(request)
    return {
        "contents": (yield from frames(request, offer)),
        "settings": said,
    }


def frames(request: GenerationRequest, offer: Offer) -> Flow[list[Body]]:
    kinds = ("first_frame", "last_frame")[: 2 if offer.has_last_frame else 1]
    if len(request.images) > len(kinds):
        raise errors.Rejected(f"images can be {' and '.join(kinds)} only")
    pictures = yield from options.as_pictures(request.images)
    return spoken(request) + [
        {"type": kind, "url": picture}
        for kind, picture in zip(kinds, pictures, strict=False)
    ]


def spoken(request: GenerationRequest) -> list[Body]:
    return [{"type": "prompt", "text": request.text}] if request.text else []


def write_new_omni(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """One or two images are frames; more, or any beside a film, are references.

    The ids let a prompt speak of them (`<<<image_1>>>`).
    """
    said = settings(request, offer)
    if is_frames(request):
        options.check_follows_frame(request)
        return {"contents": (yield from frames(request, offer)), "settings": said}
    pictures = yield from options.as_pictures(request.images)
    contents = spoken(request)
    contents += [
        {"type": "refer_image", "url": picture, "id": f"image_{number}"}
        for number, picture in enumerate(pictures, 1)
    ]
    if request.video_url:
        contents.append(
            {"type": "feature_video", "url": request.video_url, "id": "video_1"}
        )
        said.pop("multi_shot", None)  # must not be off beside a film
    # required without a first frame
    said["aspect_ratio"] = video_ratio(request) or "16:9"
    return {"contents": contents, "settings": said}


def write_new_motion(request: GenerationRequest, offer: Offer) -> Flow[Body]:
    """A person in an image who moves as the one in a film."""
    picture = yield from options.as_picture(request.images[0])
    return {
        "contents": [
            *spoken(request),
            {"type": "image", "url": picture},
            {"type": "video", "url": request.video_url},
        ],
        "settings": {
            **settings(request, offer),
            "character_orientation": "image",
            "audio": "original",
        },
    }


NEW_WRITERS: Mapping[Kind, Writer] = {
    Kind.NEW_FRAMES: write_new_frames,
    Kind.NEW_OMNI: write_new_omni,
    Kind.NEW_MOTION: write_new_motion,
}
