"""DashScope request bodies: from unified words to `input` and `parameters`.

Each writer is a flow, because an uploaded image is read and sent as a data URL.
Sources: the API reference pages of help.aliyun.com/zh/model-studio, read November 2026
(docs/providers/dashscope.md lists them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from providers import errors, geometry
from providers.flow import Flow
from providers.inputs import as_url
from providers.payload import given
from providers.types import GenerationRequest

Size = tuple[int, int]
Sizing = Callable[[GenerationRequest], str | None]
Layout = Callable[[GenerationRequest, Sequence[str]], list[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Body:
    """The two objects that every DashScope request has beside its model."""

    input: dict[str, Any]
    parameters: dict[str, Any] = field(default_factory=dict)


Write = Callable[[GenerationRequest], Flow[Body]]

MOST_SEED = 2_147_483_647

# Wan's recommended sizes ("text-to-image-v2-api-reference")
WAN_SIZES = ((1280, 1280), (1104, 1472), (1472, 1104), (960, 1696), (1696, 960))
# for models whose sides end at 1440: our choice of common shapes within the limits
SHORT_SIDE_SIZES = (
    (1024, 1024),
    (1280, 720),
    (720, 1280),
    (1152, 864),
    (864, 1152),
    (1152, 768),
    (768, 1152),
)
QWEN_SIZES = ((1664, 928), (1472, 1104), (1328, 1328), (1104, 1472), (928, 1664))
WANX_V1_SIZES = ((1024, 1024), (720, 1280), (768, 1152), (1280, 720))

# the size lists of the older text-to-video models, by the resolution they belong to
VIDEO_SIZES: Mapping[str, tuple[Size, ...]] = {
    "480P": ((832, 480), (480, 832), (624, 624)),
    "720P": ((1280, 720), (720, 1280), (960, 960), (1088, 832), (832, 1088)),
    "1080P": ((1920, 1080), (1080, 1920), (1440, 1440), (1632, 1248), (1248, 1632)),
}
VIDEO_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
KLING_RATIOS = ("16:9", "9:16", "1:1")
LEVEL_PIXELS = {"1K": 1024**2, "2K": 2048**2, "4K": 4096**2}
SIDE_STEP = 16

WANX_V1_STYLES = frozenset(
    {
        "auto",
        "photography",
        "portrait",
        "3d cartoon",
        "anime",
        "oil painting",
        "watercolor",
        "sketch",
        "chinese painting",
        "flat illustration",
    }
)


# Single fields


def seed_of(request: GenerationRequest) -> int | None:
    """The seed, moved into the range that is allowed."""
    if request.seed is None:
        return None
    return max(0, min(request.seed, MOST_SEED))


def seconds_of(request: GenerationRequest) -> int | None:
    """The duration as the integer that DashScope takes."""
    if request.duration is None:
        return None
    if request.duration != int(request.duration):
        raise errors.Rejected("duration must be a whole number of seconds")
    return int(request.duration)


def spelled(size: Size) -> str:
    return f"{size[0]}*{size[1]}"


def exact_size(request: GenerationRequest) -> str | None:
    """`W*H` as asked for, or the word that the client wrote instead ("2K")."""
    size = geometry.wanted_size(request)
    return spelled(size) if size else request.size


def size_among(*offered: Size) -> Sizing:
    """The exact size when one is given, else the offered one nearest to the ratio."""

    def size_of(request: GenerationRequest) -> str | None:
        exact = exact_size(request)
        if exact is not None:
            return exact
        ratio = geometry.wanted_ratio(request)
        return spelled(geometry.nearest_size(ratio, offered)) if ratio else None

    return size_of


def level_or_size(request: GenerationRequest) -> str | None:
    """wan2.6-image and wan2.7-image: `W*H`, or 1K, 2K, 4K; a ratio needs pixels."""
    exact = exact_size(request)
    if exact is not None:
        return exact if "*" in exact else exact.upper()
    level = request.resolution.upper() if request.resolution else None
    ratio = geometry.wanted_ratio(request)
    if ratio is None:
        return level
    if level not in LEVEL_PIXELS:
        return spelled(geometry.nearest_size(ratio, WAN_SIZES))
    height = math.sqrt(LEVEL_PIXELS[level] / ratio)
    return spelled((stepped(height * ratio), stepped(height)))


def stepped(side: float) -> int:
    """The side rounded down, so that the area stays within the limit."""
    return max(SIDE_STEP, int(side) // SIDE_STEP * SIDE_STEP)


def video_size(*resolutions: str) -> Sizing:
    """`W*H` for the older models, which have no resolution and no ratio.

    With a ratio alone 720P is taken where it is offered: the resolution sets the price,
    so it is never the dearest by surprise.
    """

    def size_of(request: GenerationRequest) -> str | None:
        exact = exact_size(request)
        if exact is not None:
            return exact
        ratio = geometry.wanted_ratio(request)
        if request.resolution is None and ratio is None:
            return None
        usual = "720P" if "720P" in resolutions else resolutions[0]
        level = (request.resolution or usual).upper()
        if level not in VIDEO_SIZES:
            raise errors.Rejected(
                f"resolution must be one of {', '.join(resolutions)}, "
                f"not {request.resolution}"
            )
        return spelled(geometry.nearest_size(ratio or 16 / 9, VIDEO_SIZES[level]))

    return size_of


def resolution_among(*offered: str) -> Sizing:
    """`720P`: as asked for, else the offered one nearest to the size in pixels."""

    def resolution_of(request: GenerationRequest) -> str | None:
        if request.resolution:
            return request.resolution.upper()
        size = geometry.wanted_size(request)
        if size and size[0] and size[1]:
            wanted = size[0] * size[1]
            return min(
                offered,
                key=lambda level: abs(math.log(pixels_of(level) / wanted)),
            )
        if request.size is None or request.size.upper() in offered:
            return request.size and request.size.upper()
        raise errors.Rejected(
            f"size must be WIDTHxHEIGHT or one of {', '.join(offered)}"
        )

    return resolution_of


def pixels_of(level: str) -> int:
    width, height = VIDEO_SIZES[level][0]
    return width * height


def ratio_of(
    request: GenerationRequest, offered: Sequence[str] = VIDEO_RATIOS
) -> str | None:
    """`16:9`: as asked for ("adaptive" too), else the nearest to the size's shape."""
    if request.aspect_ratio:
        return request.aspect_ratio.replace("/", ":").replace(" ", "").lower()
    ratio = geometry.wanted_ratio(request)
    return geometry.nearest_ratio(ratio, offered) if ratio else None


def image_urls(request: GenerationRequest) -> Flow[list[str]]:
    """Every input image as its URL, or as a data URL when it was uploaded."""
    urls = []
    for image in request.images:
        urls.append((yield from as_url(image)))
    return urls


# Images, the older protocol


def prompt_fields(request: GenerationRequest) -> dict[str, Any]:
    return given(prompt=request.text or None, negative_prompt=request.negative_prompt)


def image_parameters(request: GenerationRequest, sizing: Sizing) -> dict[str, Any]:
    """`n` is always there: without it several models make and bill four images."""
    return given(size=sizing(request), n=request.n, seed=seed_of(request))


def text_to_image(sizing: Sizing) -> Write:
    """`input.prompt` and nothing else to look at."""

    def write(request: GenerationRequest) -> Flow[Body]:
        yield from ()
        return Body(prompt_fields(request), image_parameters(request, sizing))

    return write


def wanx_v1(request: GenerationRequest) -> Flow[Body]:
    """One reference image and a style, whose angle brackets belong to the value."""
    urls = yield from image_urls(request)
    style = request.style.strip("<> ").lower() if request.style else ""
    return Body(
        prompt_fields(request) | given(ref_img=urls[0] if urls else None),
        image_parameters(request, size_among(*WANX_V1_SIZES))
        | given(style=f"<{style}>" if style in WANX_V1_STYLES else None),
    )


def image_list(request: GenerationRequest) -> Flow[Body]:
    """wan2.5-i2i: `input.images`."""
    urls = yield from image_urls(request)
    return Body(
        prompt_fields(request) | {"images": urls},
        image_parameters(request, size_among(*WAN_SIZES)),
    )


def image_edit(request: GenerationRequest) -> Flow[Body]:
    """wanx2.1-imageedit: a base image and perhaps a mask; no size, the image has one.

    The function is a free choice of the client (`metadata.input.function`); without
    one it is the edit that a prompt describes.
    """
    urls = yield from image_urls(request)
    return Body(
        prompt_fields(request)
        | given(
            function="description_edit_with_mask" if urls[1:] else "description_edit",
            base_image_url=urls[0] if urls else None,
            mask_image_url=urls[1] if urls[1:] else None,
        ),
        given(n=request.n, seed=seed_of(request)),
    )


def one_image(request: GenerationRequest) -> Flow[Body]:
    """`input.image_url` alone: neither prompt nor number of images is known there.

    qwen-mt-image needs `source_lang` and `target_lang`, wanx-style-repaint-v1 needs
    `style_index`: given in `metadata.input`.
    """
    urls = yield from image_urls(request)
    return Body(given(image_url=urls[0] if urls else None))


# Images, the message protocol


def message_of(request: GenerationRequest) -> Flow[dict[str, Any]]:
    """One user message: the images, then exactly one text."""
    urls = yield from image_urls(request)
    content = [*({"image": url} for url in urls), {"text": request.text}]
    return {"messages": [{"role": "user", "content": content}]}


def message(sizing: Sizing, *, with_n: bool = True) -> Write:
    """The negative prompt sits in `parameters` here, not in `input`."""

    def write(request: GenerationRequest) -> Flow[Body]:
        body = yield from message_of(request)
        return Body(
            body,
            given(
                size=sizing(request),
                n=request.n if with_n else None,
                negative_prompt=request.negative_prompt,
                seed=seed_of(request),
            ),
        )

    return write


def kling_message(request: GenerationRequest) -> Flow[Body]:
    """The partner model: its resolution is lower case, and it has an aspect ratio."""
    body = yield from message_of(request)
    return Body(
        body,
        given(
            resolution=request.resolution.lower() if request.resolution else None,
            aspect_ratio=ratio_of(request, KLING_RATIOS),
            n=request.n,
            negative_prompt=request.negative_prompt,
            seed=seed_of(request),
        ),
    )


# Video, the older protocols


def old_text_to_video(*resolutions: str, with_duration: bool = True) -> Write:
    """`parameters.size` says resolution and shape at once."""
    sizing = video_size(*resolutions)

    def write(request: GenerationRequest) -> Flow[Body]:
        yield from ()
        return Body(
            prompt_fields(request) | given(audio_url=request.audio_url),
            given(
                size=sizing(request),
                duration=seconds_of(request) if with_duration else None,
                seed=seed_of(request),
            ),
        )

    return write


def old_image_to_video(*resolutions: str, with_duration: bool = True) -> Write:
    """`input.img_url`; the image has the shape, so there is only a resolution."""
    sizing = resolution_among(*resolutions)

    def write(request: GenerationRequest) -> Flow[Body]:
        urls = yield from image_urls(request)
        return Body(
            prompt_fields(request)
            | given(img_url=urls[0] if urls else None, audio_url=request.audio_url),
            given(
                resolution=sizing(request),
                duration=seconds_of(request) if with_duration else None,
                seed=seed_of(request),
            ),
        )

    return write


def reference_urls(request: GenerationRequest) -> Flow[Body]:
    """wan2.6-r2v: the prompt names them character1, character2, in this order."""
    urls = yield from image_urls(request)
    if request.video_url:
        urls.append(request.video_url)
    return Body(
        prompt_fields(request) | {"reference_urls": urls},
        given(
            size=video_size("720P", "1080P")(request),
            duration=seconds_of(request),
            seed=seed_of(request),
        ),
    )


def key_frames(*resolutions: str) -> Write:
    """kf2v: a first and perhaps a last frame; always five seconds."""
    sizing = resolution_among(*resolutions)

    def write(request: GenerationRequest) -> Flow[Body]:
        urls = yield from image_urls(request)
        return Body(
            prompt_fields(request)
            | given(
                first_frame_url=urls[0] if urls else None,
                last_frame_url=urls[1] if urls[1:] else None,
            ),
            given(resolution=sizing(request), seed=seed_of(request)),
        )

    return write


def talking_head(request: GenerationRequest) -> Flow[Body]:
    """wan2.2-s2v: a portrait that says the audio; no prompt, as long as the audio."""
    urls = yield from image_urls(request)
    return Body(
        given(image_url=urls[0] if urls else None, audio_url=request.audio_url),
        given(resolution=resolution_among("480P", "720P")(request)),
    )


def vace(request: GenerationRequest) -> Flow[Body]:
    """wan2.1-vace: with a video the client names the function in `metadata.input`."""
    urls = yield from image_urls(request)
    return Body(
        prompt_fields(request)
        | given(
            function="image_reference" if urls and not request.video_url else None,
            ref_images_url=urls or None,
            video_url=request.video_url,
        ),
        given(size=video_size("720P")(request), seed=seed_of(request)),
    )


# Video, the newer protocol: wan2.7, wan3.0, happyhorse


def no_media(_request: GenerationRequest, _urls: Sequence[str]) -> list[dict[str, str]]:
    return []


def frames(request: GenerationRequest, urls: Sequence[str]) -> list[dict[str, str]]:
    """i2v: first and last frame; with a clip to go on from, an image is the last."""
    audio = item("driving_audio", request.audio_url)
    if request.video_url:
        if len(urls) > 1:
            raise errors.Rejected(
                "with video_url, which is continued, there may be one image: "
                "the last frame"
            )
        return [*item("first_clip", request.video_url), *last(urls), *audio]
    if not urls:
        return audio
    return [*item("first_frame", urls[0]), *last(urls[1:]), *audio]


def last(urls: Sequence[str]) -> list[dict[str, str]]:
    if len(urls) > 1:
        raise errors.Rejected("there may be two images: the first and the last frame")
    return [{"type": "last_frame", "url": url} for url in urls]


def references(request: GenerationRequest, urls: Sequence[str]) -> list[dict[str, str]]:
    """r2v: who or what shall appear, as images and a video."""
    return [
        *({"type": "reference_image", "url": url} for url in urls),
        *item("reference_video", request.video_url),
    ]


def edited_video(
    request: GenerationRequest, urls: Sequence[str]
) -> list[dict[str, str]]:
    """videoedit: one video, and images of what shall be in it."""
    return [
        *item("video", request.video_url),
        *({"type": "reference_image", "url": url} for url in urls),
    ]


def frames_or_references(
    request: GenerationRequest, urls: Sequence[str]
) -> list[dict[str, str]]:
    """wan3.0: one or two images are frames, more are references.

    Frames and references exclude each other, so beside a video or an audio every image
    is a reference. Another choice is made with `metadata.input.media`.
    """
    if len(urls) <= 2 and not request.video_url and not request.audio_url:
        return frames(request, urls)
    return [
        *references(request, urls),
        *item("reference_audio", request.audio_url),
    ]


def item(kind: str, url: str | None) -> list[dict[str, str]]:
    return [{"type": kind, "url": url}] if url else []


def media_video(
    layout: Layout,
    *resolutions: str,
    with_ratio: bool = True,
    with_audio: bool = False,
) -> Write:
    """`input.media` says what each file is for; resolution and ratio are apart."""
    sizing = resolution_among(*resolutions)

    def write(request: GenerationRequest) -> Flow[Body]:
        urls = yield from image_urls(request)
        return Body(
            prompt_fields(request)
            | given(
                media=layout(request, urls) or None,
                audio_url=request.audio_url if with_audio else None,
            ),
            given(
                resolution=sizing(request),
                ratio=ratio_of(request) if with_ratio else None,
                duration=seconds_of(request),
                seed=seed_of(request),
            ),
        )

    return write


# Speech


def cosyvoice(request: GenerationRequest) -> Flow[Body]:
    """Every option is inside `input`."""
    yield from ()
    return Body(
        given(
            text=request.speech,
            voice=request.voice,
            format=request.output_format or "mp3",
            rate=request.speed,
            seed=seed_of(request),
        )
    )


def qwen_speech(request: GenerationRequest) -> Flow[Body]:
    """Neither speed nor format: the answer is always WAV."""
    yield from ()
    return Body(given(text=request.speech, voice=request.voice))
