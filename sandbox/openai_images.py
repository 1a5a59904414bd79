"""OpenAI's images in the sandbox: generations and edits, answered when finished.

Wire format: the image generation guide of developers.openai.com, the OpenAPI document
2.3.0, `openai` 3.54.0 for Python (read 2026-11-22). The retired dall-e models are
served too, as resellers do. Streamed answers are not simulated.
"""

from __future__ import annotations

import base64
import html
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.answers import (
    admit,
    answer_media,
    answer_submit,
    json_answer,
    make_output,
)
from sandbox.inputs import (
    BadInput,
    FormFile,
    bearer,
    get_choice,
    get_flag,
    get_list,
    get_text,
    get_whole,
    read_json,
)
from sandbox.jobs import CallKind, Job, MediaType, Upstream
from sandbox.media import ReadImage
from sandbox.openai_refusals import (
    REFUSALS,
    UnknownParameter,
    check_names,
    model_not_found,
    problem,
    read_body,
    read_picture,
    refuse,
)

SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
DEFAULT_MODEL = "gpt-image-1.5"
INPUT_TYPES = {"png", "jpeg", "webp"}
MOST_IMAGES = 16
MOST_IMAGE_BYTES = 50 * 1000**2
MOST_MASK_BYTES = 4 * 1000**2

ALL_FIELDS = frozenset({"model", "prompt", "n", "size", "quality", "user"})
GPT_FIELDS = ALL_FIELDS | {
    "background",
    "moderation",
    "output_compression",
    "output_format",
    "partial_images",
    "safety_identifier",
    "stream",
}
NEWER_FIELDS = GPT_FIELDS | {"complexity", "frame_count", "frame_duration_ms", "svg"}
DALL_E_FIELDS = ALL_FIELDS | {"response_format"}
EDIT_FIELDS = frozenset({"image", "images", "mask"})


@dataclass(frozen=True)
class Family:
    """What models of one kind take; without `sizes` any size within the limits."""

    fields: frozenset[str]
    sizes: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ("auto", "low", "medium", "high")
    formats: tuple[str, ...] = ("png", "jpeg", "webp")
    fidelities: tuple[str, ...] = ()
    most_prompt: int = 32_000
    most_images: int = 10
    edits: bool = True
    gpt: bool = True


STANDARD = ("auto", "1024x1024", "1536x1024", "1024x1536")
FREE = Family(GPT_FIELDS)
NEWER = Family(
    NEWER_FIELDS | {"markup"},
    qualities=(*FREE.qualities, "xhigh", "max"),
    formats=(*FREE.formats, "gif", "svg"),
)
FIXED = Family(
    GPT_FIELDS | {"input_fidelity"}, sizes=STANDARD, fidelities=("high", "low")
)
MINI = Family(GPT_FIELDS | {"input_fidelity"}, sizes=STANDARD, fidelities=("low",))
DALL_E_3 = Family(
    DALL_E_FIELDS | {"style"},
    sizes=("1024x1024", "1792x1024", "1024x1792"),
    qualities=("standard", "hd"),
    most_prompt=4000,
    most_images=1,
    edits=False,
    gpt=False,
)
DALL_E_2 = Family(
    DALL_E_FIELDS,
    sizes=("256x256", "512x512", "1024x1024"),
    qualities=("standard",),
    most_prompt=1000,
    gpt=False,
)

MODELS: Mapping[str, Family] = {
    "gpt-image-2": FREE,
    "gpt-image-2-2026-04-21": FREE,
    "gpt-image-2.5-sunburst": NEWER,
    "gpt-image-2.5-sunburst-2026-09-08": NEWER,
    "gpt-image-2.5-flare": NEWER,
    "gpt-image-2.5-flare-2026-09-08": NEWER,
    "gpt-image-2.6-sunburst": NEWER,
    "gpt-image-2.6-flare": NEWER,
    "gpt-image-1.5": FIXED,
    "gpt-image-1": FIXED,
    "gpt-image-1-mini": MINI,
    "chatgpt-image-latest": FIXED,
    "dall-e-3": DALL_E_3,
    "dall-e-2": DALL_E_2,
}


@dataclass(frozen=True)
class Wanted:
    """One checked request."""

    model: str
    family: Family
    prompt: str
    count: int
    width: int
    height: int
    quality: str
    background: str
    image_format: str
    as_url: bool


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The image paths."""

    async def generate(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.SUBMIT, bearer(request), REFUSALS)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            family = MODELS.get(model := get_text(body, "model", default=DEFAULT_MODEL))
            if family is None:
                return model_not_found(model)
            check_names(body, family.fields - {"markup", "input_fidelity"})
            wanted = read_wanted(body, model, family, loose=False)
        except BadInput as error:
            return refuse(error)
        return await answer(request, wanted)

    async def edit(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.SUBMIT, bearer(request), REFUSALS)
        if refused is not None:
            return refused
        try:
            body, files, loose = await read_body(request)
            family = MODELS.get(model := get_text(body, "model", default=DEFAULT_MODEL))
            if family is None:
                return model_not_found(model)
            if not family.edits:
                raise BadInput(f"The model '{model}' does not edit images.", "model")
            check_names(body, family.fields | EDIT_FIELDS)
            if any(len(file.data) > MOST_IMAGE_BYTES for file in files):
                return problem(413, "The uploaded file is too large.")
            check_images(body, files)
            wanted = read_wanted(body, model, family, loose=loose)
            if (fidelity := body.get("input_fidelity")) is not None:
                get_choice(
                    {"input_fidelity": fidelity}, "input_fidelity", family.fidelities
                )
        except BadInput as error:
            return refuse(error)
        return await answer(request, wanted)

    async def answer(request: web.Request, wanted: Wanted) -> web.StreamResponse:
        def accept() -> Job:
            return upstream.accept(
                request,
                f"img_{secrets.token_hex(12)}",
                prompt=wanted.prompt,
                media_type=MediaType.IMAGE,
                model=wanted.model,
                width=wanted.width,
                height=wanted.height,
                count=wanted.count,
                secret=bearer(request) or "",
            )

        async def respond(job: Job) -> web.Response:
            return json_answer(await result(job, wanted))

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, REFUSALS, waits=True
        )

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        if job is not None and job.media_type is not MediaType.IMAGE:
            job = None
        index = int(request.match_info["index"])
        return await answer_media(request, upstream, job, index, "png", REFUSALS)

    return [
        web.post("/v1/images/generations", generate),
        web.post("/v1/images/edits", edit),
        web.get(r"/files/{id}/{index:\d{1,3}}.png", media),
    ]


def read_wanted(
    body: Mapping[str, Any], model: str, family: Family, *, loose: bool
) -> Wanted:
    """What a request asks for; `loose` when its numbers may be texts."""
    prompt = get_text(body, "prompt", longest=family.most_prompt)
    most = family.most_images
    count = get_whole(body, "n", default=1, least=1, most=most, strict=not loose)
    quality = get_choice(body, "quality", family.qualities, default=family.qualities[0])
    image_format, background, as_url = "png", "opaque", False
    if family.gpt:
        image_format, background = read_look(body, family, loose=loose)
        if image_format == "svg" and count > 1:
            raise BadInput("SVG output requires n=1.", "n")
        if get_flag(body, "stream"):
            raise BadInput("Streaming is not part of this simulation.", "stream")
    else:
        form = get_choice(body, "response_format", ("url", "b64_json"), default="url")
        as_url = form == "url"
        if "style" in family.fields:
            get_choice(body, "style", ("vivid", "natural"), default="vivid")
    width, height = read_size(body, family)
    return Wanted(
        model=model,
        family=family,
        prompt=prompt,
        count=count,
        width=width,
        height=height,
        quality="medium" if quality == "auto" else quality,
        background=background,
        image_format=image_format,
        as_url=as_url,
    )


def read_look(
    body: Mapping[str, Any], family: Family, *, loose: bool
) -> tuple[str, str]:
    """Output format and background of a GPT image model."""
    image_format = get_choice(body, "output_format", family.formats, default="png")
    background = get_choice(
        body, "background", ("transparent", "opaque", "auto"), default="auto"
    )
    if background == "transparent" and image_format not in {"png", "webp"}:
        raise BadInput("A transparent background needs png or webp.", "background")
    get_choice(body, "moderation", ("low", "auto"), default="auto")
    if body.get("output_compression") is not None:
        get_whole(body, "output_compression", least=0, most=100, strict=not loose)
        if image_format not in {"jpeg", "webp"}:
            text = "Compression is only for jpeg and webp."
            raise BadInput(text, "output_compression")
    for name in ("frame_count", "frame_duration_ms"):
        if body.get(name) is not None and image_format != "gif":
            raise BadInput(f"{name} is only for output_format gif.", name)
    if body.get("frame_count") is not None:
        get_whole(body, "frame_count", least=2, most=16, strict=not loose)
    return image_format, "transparent" if background == "transparent" else "opaque"


def read_size(body: Mapping[str, Any], family: Family) -> tuple[int, int]:
    """Width and height; `auto`, and no size, is a square here."""
    size = get_text(body, "size", default="1024x1024" if not family.gpt else "auto")
    if family.sizes and size not in family.sizes:
        allowed = ", ".join(f"'{name}'" for name in family.sizes)
        raise BadInput(f"Invalid size '{size}'. Supported sizes are {allowed}.", "size")
    if size == "auto":
        return 1024, 1024
    match = SIZE.fullmatch(size)
    if match is None:
        raise BadInput(f"Invalid size '{size}'. Use 'auto' or WIDTHxHEIGHT.", "size")
    width, height = int(match[1]), int(match[2])
    if not family.sizes:
        if not width or not height or width % 16 or height % 16:
            raise BadInput("Width and height must be divisible by 16.", "size")
        if not width <= 3 * height <= 9 * width:
            raise BadInput("The aspect ratio must be between 1:3 and 3:1.", "size")
        if max(width, height) > 3840 or width * height > 3840 * 2160:
            raise BadInput("The largest size is 3840x2160.", "size")
    return width, height


def check_images(body: Mapping[str, Any], files: Sequence[FormFile]) -> None:
    """Really read every image, mask and markup of an edit; raises BadInput."""
    for name in body:
        if name.partition("[")[0] in {"image", "markup"}:
            raise BadInput(f"{name} must be a file.", name)
    inputs: list[ReadImage | None] = []
    overlays: dict[str, ReadImage | None] = {}
    for file in files:
        name = file.name.removesuffix("[]")
        if name == "image":
            image = read_picture(file.data, "image")
            if image is not None and image.image_format not in INPUT_TYPES:
                raise BadInput("Images must be png, webp or jpeg.", "image")
            inputs.append(image)
        elif name in {"mask", "markup"}:
            overlays[name] = read_picture(file.data, name)
        else:
            raise UnknownParameter(f"Unknown parameter: '{file.name}'.", file.name)
    inputs += [read_reference(item, "images") for item in get_list(body, "images")]
    if body.get("mask") is not None:
        overlays["mask"] = read_reference(body["mask"], "mask")
    if not 1 <= len(inputs) <= MOST_IMAGES:
        raise BadInput(f"Give 1 to {MOST_IMAGES} images, not {len(inputs)}.", "image")
    for name, overlay in overlays.items():
        check_overlay(name, overlay, inputs[0])


def check_overlay(
    name: str, overlay: ReadImage | None, first: ReadImage | None
) -> None:
    """A mask or markup is a PNG of the size of the first image."""
    if overlay is None:
        return
    if overlay.image_format != "png":
        raise BadInput(f"The {name} must be a PNG.", name)
    if name == "mask" and len(overlay.data) > MOST_MASK_BYTES:
        raise BadInput("The mask must be less than 4 MB.", name)
    if first is not None and (overlay.width, overlay.height) != (
        first.width,
        first.height,
    ):
        raise BadInput(f"The {name} must have the size of the image.", name)


def read_reference(item: Any, field: str) -> ReadImage | None:
    """`{"image_url"}` or `{"file_id"}`; None when its bytes are elsewhere."""
    if isinstance(item, dict):
        if isinstance(url := item.get("image_url"), str):
            return read_picture(url, field)
        if isinstance(item.get("file_id"), str):
            return None
    raise BadInput("Give an object with image_url or file_id.", field)


async def result(job: Job, wanted: Wanted) -> dict[str, Any]:
    """The answer with the images that did not fail."""
    good = [index for index in range(job.count) if not job.output_fails(index)]
    created = int(job.ends_at)
    if not wanted.family.gpt:
        items = [await legacy_item(job, index, wanted) for index in good]
        return {"created": created, "data": items}
    files = [await image_file(job, index, wanted) for index in good]
    tokens = len(wanted.prompt) // 4 + 1
    made = len(good) * (wanted.width * wanted.height // 660)
    return {
        "created": created,
        "background": wanted.background,
        "data": [{"b64_json": base64.b64encode(file).decode()} for file in files],
        "output_format": wanted.image_format,
        "quality": wanted.quality,
        "size": f"{wanted.width}x{wanted.height}",
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": tokens},
            "output_tokens": made,
            "total_tokens": tokens + made,
        },
    }


async def legacy_item(job: Job, index: int, wanted: Wanted) -> dict[str, str]:
    """One image of a dall-e model: a link that lives an hour, or base64."""
    revised = {"revised_prompt": job.prompt} if wanted.model == "dall-e-3" else {}
    if wanted.as_url:
        return {"url": f"{job.base_url}/files/{job.id}/{index}.png", **revised}
    file = await make_output(job, index, "png")
    return {"b64_json": base64.b64encode(file).decode(), **revised}


async def image_file(job: Job, index: int, wanted: Wanted) -> bytes:
    if wanted.image_format != "svg":
        return await make_output(job, index, wanted.image_format)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{job.width}" '
        f'height="{job.height}"><rect width="100%" height="100%" fill="#357"/>'
        f'<text x="5%" y="50%" fill="#fff">{html.escape(job.prompt)}</text></svg>'
    ).encode()
