"""Images of the OpenAI API: `/images/generations` and `/images/edits`, synchronous.

The answer holds the finished images: GPT image models always inline in base64; the
retired dall-e models, and some compatible gateways, as links that live an hour.

Source: the image generation guide, the OpenAPI document 2.3.0 and `openai` 3.54.0 for
Python (types/image_generate_params.py, types/image_edit_params.py), read in November
2026.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from providers import errors, geometry, inputs, payload
from providers.dialects import openai_errors, openai_forms
from providers.flow import Call, Flow, Part
from providers.inputs import InputFile
from providers.types import (
    Artifact,
    Failure,
    GenerationRequest,
    MediaInput,
    MediaType,
    Model,
    Phase,
    Reason,
    Snapshot,
)

STANDARD_SIZES = ((1024, 1024), (1536, 1024), (1024, 1536))
DALL_E_SIZES = {
    "dall-e-3": ((1024, 1024), (1792, 1024), (1024, 1792)),
    "dall-e-2": ((1024, 1024),),
}

# Any size whose sides are multiples of 16; above 2560x1440 it is experimental.
SIDE_MULTIPLE = 16
MAX_SIDE = 3840
MAX_PIXELS = 3840 * 2160
FREE_SIZES = ("gpt-image-2",)  # the beginnings of the names that take such sizes
LONG_SIDES = {"1K": 1536, "2K": 2560, "4K": MAX_SIDE}

# The gateway's words for dall-e qualities, in those of the GPT image models.
GPT_QUALITIES = {"standard": "medium", "hd": "high"}
FORMATS = {"jpg": "jpeg"}

CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
}

# The answer of a streamed image is no JSON that could be read here.
STREAM_FIELDS = ("stream", "partial_images")
FILE_FIELDS = ("mask", "markup")


def _gpt_model(name: str, **limits: Any) -> Model:
    return Model(
        **{
            "name": name,
            "media_type": MediaType.IMAGE,
            "sync": True,
            "refuses": frozenset({"audio_url", "video_url"}),
            "max_prompt": 32000,
            "max_images": 16,
            "max_n": 10,
            "qualities": ("auto", "low", "medium", "high", "standard", "hd"),
            "output_formats": ("png", "jpeg", "jpg", "webp"),
            "typical_s": 35.0,
            "longest_s": 300.0,
            **limits,
        }
    )


def _free_size_model(name: str, **limits: Any) -> Model:
    return _gpt_model(
        name,
        side_range=(SIDE_MULTIPLE, MAX_SIDE),
        pixel_range=(SIDE_MULTIPLE**2, MAX_PIXELS),
        ratio_range=(1 / 3, 3.0),
        side_multiple=SIDE_MULTIPLE,
        resolutions=tuple(LONG_SIDES),
        **limits,
    )


def _newer_model(name: str) -> Model:
    return _free_size_model(
        name,
        qualities=("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"),
        output_formats=("png", "jpeg", "jpg", "webp", "gif", "svg"),
    )


def _fixed_size_model(name: str) -> Model:
    return _gpt_model(
        name,
        sizes=("auto", "1024x1024", "1536x1024", "1024x1536"),
        resolutions=("1K",),
    )


def _dall_e_model(name: str, **limits: Any) -> Model:
    return _gpt_model(name, output_formats=("png",), resolutions=("1K",), **limits)


MODELS = (
    _free_size_model("gpt-image-2"),
    _free_size_model("gpt-image-2-2026-04-21"),
    _newer_model("gpt-image-2.5-sunburst"),
    _newer_model("gpt-image-2.5-sunburst-2026-09-08"),
    _newer_model("gpt-image-2.5-flare"),
    _newer_model("gpt-image-2.5-flare-2026-09-08"),
    # The limits of 2.6 are not published; those of 2.5 are taken.
    _newer_model("gpt-image-2.6-sunburst"),
    _newer_model("gpt-image-2.6-flare"),
    _fixed_size_model("gpt-image-1.5"),
    _fixed_size_model("gpt-image-1-mini"),
    _fixed_size_model("chatgpt-image-latest"),
    # Retired by OpenAI in 2026; resellers may still offer them.
    _fixed_size_model("gpt-image-1"),
    _dall_e_model(
        "dall-e-3",
        refuses=frozenset({"audio_url", "video_url", "images"}),
        max_prompt=4000,
        max_images=0,
        max_n=1,
        sizes=("1024x1024", "1792x1024", "1024x1792"),
        qualities=("standard", "hd"),
    ),
    _dall_e_model(
        "dall-e-2",
        max_prompt=1000,
        max_images=1,
        sizes=("256x256", "512x512", "1024x1024"),
        qualities=("standard",),
    ),
)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Make `n` images; billed when accepted, answered when they are finished.

    With input images it is an edit, sent as a multipart form: compatible gateways
    often know no other form of it.
    """
    if request.images or any(name in request.metadata for name in FILE_FIELDS):
        call = yield from edit_call(request)
    else:
        call = Call("POST", "/images/generations", json=image_fields(request))
    reply = yield Call(
        call.method, call.url, json=call.json, parts=call.parts, paid=True
    )
    return read_images(openai_errors.accepted(reply), request.n)


def edit_call(request: GenerationRequest) -> Flow[Call]:
    """The form of an edit; `mask` and `markup` of the metadata become files too."""
    if not request.images:
        raise errors.Rejected("a mask or a markup needs an input image")
    name = "image" if len(request.images) == 1 else "image[]"
    files: list[Part] = []
    for number, image in enumerate(request.images):
        file = yield from inputs.as_file(image, f"image-{number}")
        files.append(openai_forms.file_part(name, file))
    for field in FILE_FIELDS:
        if source := request.metadata.get(field):
            file = yield from overlay_file(field, source)
            files.append(openai_forms.file_part(field, file))
    texts = openai_forms.text_parts(image_fields(request))
    return Call("POST", "/images/edits", parts=(*texts, *files))


def overlay_file(field: str, source: Any) -> Flow[InputFile]:
    """The PNG that a client gave in its metadata, as an http(s) URL or a data URL."""
    match str(source).partition(",") if isinstance(source, str) else ("", "", ""):
        case (head, ",", data) if head.startswith("data:image/png"):
            try:
                content = (
                    base64.b64decode(data, validate=True)
                    if head.endswith(";base64")
                    else unquote_to_bytes(data)
                )
            except ValueError as error:
                raise errors.Rejected(f"metadata.{field} is no base64") from error
            return InputFile(f"{field}.png", content, "image/png")
        case _ if isinstance(source, str) and source.startswith(
            ("http://", "https://")
        ):
            return (yield from inputs.as_file(MediaInput(source), field))
    raise errors.Rejected(
        f"metadata.{field} must be the URL of a PNG, http(s) or data:image/png"
    )


def image_fields(request: GenerationRequest) -> dict[str, Any]:
    """What the JSON body and the form have in common."""
    gpt = is_gpt(request.model)
    quality = request.quality
    output_format = request.output_format
    if gpt:
        quality = GPT_QUALITIES.get(quality or "", quality)
    if output_format:
        output_format = FORMATS.get(output_format.lower(), output_format.lower())
    fields = payload.given(
        model=request.model,
        prompt=request.text,
        n=request.n,
        size=image_size(request),
        quality=quality,
        style=request.style if request.model == "dall-e-3" else None,
        output_format=None if is_dall_e(request.model) else output_format,
    )
    # GPT image models refuse `response_format` (400 `unknown_parameter`).
    keep = ("model", *STREAM_FIELDS, *FILE_FIELDS, *(("response_format",) * gpt))
    return payload.merged(fields, request.metadata, keep=keep)


def is_gpt(model: str) -> bool:
    """Whether a model is of the GPT image family; resellers may add a prefix."""
    return "gpt-image" in model


def is_dall_e(model: str) -> bool:
    return "dall-e" in model


def image_size(request: GenerationRequest) -> str | None:
    """`size` as the client gave it, or the size nearest to its ratio and resolution.

    None when it gave nothing: the model's own default.
    """
    if size := geometry.wanted_size(request):
        return f"{size[0]}x{size[1]}"
    if request.size:
        return request.size
    ratio = geometry.wanted_ratio(request)
    resolution = (request.resolution or "").upper()
    if ratio is None and resolution not in LONG_SIDES:
        return None
    if request.model.startswith(FREE_SIZES):
        width, height = free_size(ratio or 1.0, resolution)
    else:
        offered = DALL_E_SIZES.get(request.model, STANDARD_SIZES)
        width, height = geometry.nearest_size(ratio or 1.0, offered)
    return f"{width}x{height}"


def free_size(ratio: float, resolution: str) -> tuple[int, int]:
    """Width and height of this shape, in multiples of 16 and within the limits.

    Without a resolution it is one of the three standard sizes where the shape is
    exactly theirs, else the shape with a long side of 1536.
    """
    if resolution in ("", "1K"):
        for width, height in STANDARD_SIZES:
            if math.isclose(width / height, ratio, rel_tol=1e-3):
                return width, height
    long_side = LONG_SIDES.get(resolution, LONG_SIDES["1K"])
    # Root of the area over the shape: the longest long side that the area allows.
    longest = math.isqrt(int(MAX_PIXELS * max(ratio, 1 / ratio)))
    long = _multiple(min(long_side, longest))
    short = max(SIDE_MULTIPLE, round(long / max(ratio, 1 / ratio) / SIDE_MULTIPLE) * 16)
    return (long, short) if ratio >= 1 else (short, long)


def _multiple(side: int) -> int:
    return side // SIDE_MULTIPLE * SIDE_MULTIPLE


@errors.documented("a list of images")
def read_images(body: dict[str, Any], wanted: int) -> Snapshot:
    """`{"data": [{"b64_json"} or {"url"}], "output_format"?, "size"?, "usage"?}`.

    Everything but `data` may be missing. Fewer images than `wanted` is a success
    that names the rest as failed; none at all is no answer to a paid call.
    """
    output_format = str(body.get("output_format") or "")
    size = geometry.read_size(str(body.get("size") or ""))
    artifacts = tuple(
        read_image(item, output_format, size)
        for item in body["data"]
        if item.get("b64_json") or is_link(item.get("url"))
    )
    if not artifacts:
        raise ValueError("no image in it")
    missing = wanted - len(artifacts)
    return Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=artifacts,
        failure=Failure(
            Reason.UPSTREAM_FAILED, f"{missing} of {wanted} images were not made"
        )
        if missing > 0
        else None,
        usage=read_usage(body),
    )


def is_link(url: Any) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://", "data:"))


def read_image(
    item: Mapping[str, Any], output_format: str, size: tuple[int, int] | None
) -> Artifact:
    """One image of an answer; its type is what its bytes say, where they do."""
    width, height = size or (None, None)
    declared = CONTENT_TYPES.get(output_format)
    # Some compatible gateways put a data URL where base64 or a link belongs.
    source = str(item.get("b64_json") or item["url"])
    if source.startswith(("http://", "https://")):
        return Artifact(url=source, content_type=declared, width=width, height=height)
    content = base64.b64decode(source.rpartition(",")[2], validate=True)
    return Artifact(
        content=content,
        content_type=sniff(content) or declared or "image/png",
        width=width,
        height=height,
    )


def sniff(content: bytes) -> str | None:
    """The content type that the first bytes tell, or None."""
    if content.startswith(b"\x89PNG"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"GIF8"):
        return "image/gif"
    return None


def read_usage(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Tokens of the image, and those of its SVG author beside them."""
    usage = dict(body.get("usage") or {})
    if svg_usage := body.get("svg_usage"):
        usage["svg_usage"] = svg_usage
    return usage
