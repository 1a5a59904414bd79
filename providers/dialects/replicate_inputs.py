"""The input of a Replicate prediction: what a request says, in a model's own fields.

Images go as URLs. Bytes go as a data URL up to 256 KB, above that they are uploaded
with the Files API first, which costs nothing. Documentation: replicate.com/docs (input
files; the HTTP API's files), read November 2026.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from providers import errors, inputs, payload
from providers.dialects.replicate_models import CUSTOM, Offer, Shape, Spelling
from providers.flow import Call, Flow, Part
from providers.geometry import nearest_ratio, read_ratio, wanted_ratio, wanted_size
from providers.types import GenerationRequest, MediaInput, MediaType, Model

DATA_URL_LENGTH = 256_000
RESOLUTION_LETTERS = re.compile(r"\d+([pk])", re.I)


def build_input(request: GenerationRequest, offer: Offer) -> Flow[dict[str, Any]]:
    """The prediction's `input`; the client's metadata is merged over it."""
    spelling, model = offer.spelling, offer.model
    text = request.speech if model.media_type is MediaType.AUDIO else request.text
    count = request.n if spelling.count or request.n > 1 else None
    fields = payload.given(
        **{
            spelling.text: text or None,
            **word_fields(request, spelling, model),
            **shape_fields(request, spelling, model),
            "num_outputs": count,
        }
    )
    images = yield from image_fields(request, spelling)
    return payload.merged({**fields, **images}, request.metadata)


def word_fields(
    request: GenerationRequest, spelling: Spelling, model: Model
) -> dict[str, Any]:
    """What is sent as the client said it, under the model's names."""
    said = {
        "negative_prompt": request.negative_prompt,
        "audio_url": request.audio_url,
        "video_url": request.video_url,
        "resolution": resolution(request, model),
        "duration": whole(request.duration),
        "seed": request.seed,
        "quality": output_quality(request),
        "style": request.style,
        "output_format": output_format(request),
        "voice": request.voice,
        "speed": request.speed,
        "title": request.title,
        "tags": request.tags,
        "lyrics": request.lyrics,
    }
    return {spelling.words[name]: said[name] for name in said if name in spelling.words}


def resolution(request: GenerationRequest, model: Model) -> str | None:
    """A resolution in the letters of the models: "1080p", "2K", "1 MP"."""
    asked = request.resolution
    if asked is None:
        return None
    for offered in model.resolutions:
        if offered.lower() == asked.strip().lower():
            return offered
    match = RESOLUTION_LETTERS.fullmatch(asked.strip())
    if match is None:
        return asked
    lines = match[1].lower() == "p"
    return asked.strip().lower() if lines else asked.strip().upper()


def whole(seconds: float | None) -> float | None:
    """Most models take whole seconds and refuse 5.0."""
    if seconds is not None and seconds == int(seconds):
        return int(seconds)
    return seconds


def output_quality(request: GenerationRequest) -> int | None:
    """The quality of the file, in per cent."""
    if request.quality is None:
        return None
    if not request.quality.isascii() or not request.quality.isdigit():
        raise errors.Rejected(
            f"quality is {request.quality!r}; {request.model} takes a number "
            "from 0 to 100"
        )
    return int(request.quality)


def output_format(request: GenerationRequest) -> str | None:
    wanted = request.output_format
    return "jpg" if wanted and wanted.lower() == "jpeg" else wanted


def shape_fields(
    request: GenerationRequest, spelling: Spelling, model: Model
) -> dict[str, Any]:
    """The ratio, or width and height where the model takes them."""
    if spelling.shape is Shape.NONE:
        return {}
    size = wanted_size(request)
    if size is None or spelling.shape is Shape.RATIO:
        return payload.given(aspect_ratio=ratio(request, model))
    step = spelling.side_step
    width, height = (step * round(side / step) for side in size)
    pixels: dict[str, Any] = {"width": width, "height": height}
    match spelling.shape:
        case Shape.CUSTOM:
            return {"aspect_ratio": CUSTOM, **pixels}
        case Shape.CUSTOM_SIZE:
            return {"size": CUSTOM, **pixels}
        case _:
            return {**payload.given(aspect_ratio=request.aspect_ratio), **pixels}


COMMON_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9")


def ratio(request: GenerationRequest, model: Model) -> str | None:
    """The ratio as the client wrote it, or the offered one nearest to its size."""
    if request.aspect_ratio:
        return request.aspect_ratio.replace("/", ":")
    shape = wanted_ratio(request)
    if shape is not None:
        return nearest_ratio(shape, model.aspect_ratios or COMMON_RATIOS)
    # a ratio under the name of size
    return request.size if request.size and read_ratio(request.size) else None


def image_fields(
    request: GenerationRequest, spelling: Spelling
) -> Flow[dict[str, Any]]:
    """The input images in their fields; several go into the list where there is one."""
    images = request.images
    frames = spelling.frames
    if spelling.references and (not frames or len(images) > len(frames)):
        frames = ()
    elif len(images) > len(frames):
        raise errors.Rejected(
            f"{request.model} takes {len(frames)} input images, {len(images)} are given"
        )
    urls = []
    for number, image in enumerate(images):
        urls.append((yield from image_url(image, f"image-{number}")))
    if not urls:
        return {}
    if not frames:
        return {str(spelling.references): urls}
    return dict(zip(frames, urls, strict=False))


def image_url(image: MediaInput, name: str) -> Flow[str]:
    """The client's own URL; bytes as a data URL, or uploaded when they are many."""
    if not image.uploaded:
        return image.url
    file = yield from inputs.as_file(image, name)
    head = f"data:{file.content_type};base64,"
    if len(head) + 4 * len(file.content) / 3 <= DATA_URL_LENGTH:
        return head + base64.b64encode(file.content).decode()
    part = Part("content", file.content, file.filename, file.content_type)
    reply = yield Call("POST", "/files", parts=(part,))
    return read_upload(errors.check(reply, {}, read_problem))


@errors.documented("an uploaded file of Replicate")
def read_upload(body: dict[str, Any]) -> str:
    """`{"id", "urls": {"get"}}`: the address that models read it from."""
    url = body["urls"]["get"]
    if not isinstance(url, str) or not url:
        raise ValueError("its address is not a text")
    return url


def read_problem(body: Any) -> tuple[str, str]:
    """`{"title"?, "detail", "status"?}` as code and message."""
    return str(body.get("title") or ""), str(body.get("detail") or body["title"])
