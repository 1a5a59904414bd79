"""Stability AI in the sandbox: images, sounds, and the results of those that are jobs.

Wire format: platform.stability.ai/docs/api-reference (v2beta, balance of v1), read
2026-11. The limit of 150 requests within 10 s and the least time between two looks are
not enforced, since nobody should wait for them in a test; `[429]` answers as they do.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox import media
from sandbox.answers import (
    Refusals,
    admit,
    answer_poll,
    answer_submit,
    json_answer,
    make_output,
    wait_for_end,
    web_page,
)
from sandbox.inputs import (
    BadInput,
    Form,
    bearer,
    get_choice,
    get_number,
    get_text,
    get_whole,
    read_form,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream

WORDS = {
    JobPhase.QUEUED: "in-progress",
    JobPhase.RUNNING: "in-progress",
    JobPhase.SUCCEEDED: "succeeded",  # never told: the answer is the file
    JobPhase.FAILED: "failed",
}
RATIOS = ["16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"]
STYLES = [
    "3d-model",
    "analog-film",
    "anime",
    "cinematic",
    "comic-book",
    "digital-art",
    "enhance",
    "fantasy-art",
    "isometric",
    "line-art",
    "low-poly",
    "modeling-compound",
    "neon-punk",
    "origami",
    "photographic",
    "pixel-art",
    "tile-texture",
]
IMAGE_FORMATS = ("png", "jpeg", "webp")
SD3_MODELS = ("sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium")
SIDES = ("left", "right", "up", "down")
LONGEST_PROMPT = 10_000
MOST_SEED = 4_294_967_294
MOST_BYTES = {MediaType.IMAGE: 10 * 1024**2, MediaType.AUDIO: 50 * 1024**2}
LEAST_SIDE = 64
LEAST_PIXELS = 4096
MOST_PIXELS = 9_437_184
MOST_SHAPE = 2.5
MEGAPIXEL = 1024 * 1024
SIDE_STEP = 64
USUAL_SECONDS = 190
CREDITS = 500.0


@dataclass(frozen=True)
class Route:
    """What a route of images takes; `numbers` are the limits of its numbers.

    `files` are all the parts that may be files, the first of which is needed unless it
    is not in `needs`. `pixels` is the size of what it makes of a text.
    """

    needs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    formats: tuple[str, ...] = IMAGE_FORMATS
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    pixels: int = MEGAPIXEL
    most_pixels: int = MOST_PIXELS
    is_job: bool = False
    prompt: str = "prompt"


STRENGTH = {"strength": (0.0, 1.0)}
CONTROL = {"control_strength": (0.0, 1.0)}
ROUTES: Mapping[str, Route] = {
    "generate/ultra": Route(("prompt",), ("image",), numbers=STRENGTH),
    "generate/core": Route(("prompt",), pixels=MEGAPIXEL * 3 // 2),
    "generate/sd3": Route(
        ("prompt",),
        ("image",),
        formats=("png", "jpeg"),
        numbers={**STRENGTH, "cfg_scale": (1, 10)},
    ),
    "upscale/fast": Route(("image",), ("image",), most_pixels=MEGAPIXEL),
    "upscale/conservative": Route(
        ("image", "prompt"), ("image",), numbers={"creativity": (0.2, 0.5)}
    ),
    "upscale/creative": Route(
        ("image", "prompt"),
        ("image",),
        numbers={"creativity": (0.1, 0.5)},
        most_pixels=MEGAPIXEL,
        is_job=True,
    ),
    "edit/erase": Route(("image",), ("image", "mask")),
    "edit/inpaint": Route(
        ("image", "prompt"),
        ("image", "mask"),
        numbers={**STRENGTH, "grow_mask": (0, 100)},
    ),
    "edit/outpaint": Route(
        ("image",),
        ("image",),
        numbers={"creativity": (0, 1), **dict.fromkeys(SIDES, (0, 2000))},
    ),
    "edit/search-and-replace": Route(("image", "prompt", "search_prompt"), ("image",)),
    "edit/search-and-recolor": Route(("image", "prompt", "select_prompt"), ("image",)),
    "edit/remove-background": Route(
        ("image",), ("image",), formats=("png", "webp"), most_pixels=4_194_304
    ),
    "edit/replace-background-and-relight": Route(
        ("subject_image",),
        ("subject_image", "background_reference", "light_reference"),
        numbers={
            "preserve_original_subject": (0, 1),
            "original_background_depth": (0, 1),
            "light_source_strength": (0, 1),
        },
        is_job=True,
        prompt="background_prompt",
    ),
    "control/sketch": Route(("prompt", "image"), ("image",), numbers=CONTROL),
    "control/structure": Route(("prompt", "image"), ("image",), numbers=CONTROL),
    "control/style": Route(
        ("prompt", "image"), ("image",), numbers={"fidelity": (0, 1)}
    ),
    "control/style-transfer": Route(
        ("init_image", "style_image"),
        ("init_image", "style_image"),
        numbers={
            "style_strength": (0, 1),
            "composition_fidelity": (0, 1),
            "change_strength": (0, 1),
        },
    ),
}

# Models of sounds by the family in the path, each with its range of steps.
SOUNDS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "stable-audio-2": {"stable-audio-2": (30, 100), "stable-audio-2.5": (4, 8)},
    "stable-audio": {"stable-audio-3": (4, 8)},
}
LONGEST_S = {"stable-audio-2": 190, "stable-audio": 380}


class OtherLanguage(BadInput):
    """A prompt that is not English."""


def problem(status: int, name: str, *texts: str) -> web.Response:
    """An error of the API; JSON whatever was asked for."""
    body = {"id": secrets.token_hex(16), "name": name, "errors": texts}
    return json_answer(body, status)


def server_error(status: int) -> web.StreamResponse:
    if status != 500:
        return web_page(status)
    return problem(500, "internal_error", "Something broke here; try again later.")


REFUSALS = Refusals(
    unauthorized=lambda: problem(
        401, "unauthorized", "authorization: invalid or missing header value"
    ),
    forbidden=lambda: problem(403, "forbidden", "This key may not do that."),
    rate_limit=lambda: problem(
        429, "rate_limit_exceeded", "Over 150 requests in 10 s: wait for 60 s."
    ),
    quota=lambda: problem(402, "payment_required", "There are not enough credits."),
    bad_request=lambda message: problem(400, "bad_request", message),
    server_error=server_error,
    not_found=lambda: problem(404, "not_found", "There is no such result."),
    blocked=lambda: problem(403, "content_moderation", "The request was flagged."),
)


def refuse(error: BadInput) -> web.Response:
    """What does not fit, by the part it is in."""
    told = f"{error.field}: {error}" if error.field else str(error)
    if isinstance(error, OtherLanguage):
        return problem(422, "invalid_language", told)
    return problem(400, "bad_request", told)


@dataclass(frozen=True)
class Wanted:
    """One checked request."""

    model: str
    prompt: str
    media_type: MediaType
    output_format: str
    seed: int
    width: int = 1024
    height: int = 1024
    seconds: float = 0.0


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Stability's paths, without the provider's prefix."""

    async def make_images(request: web.Request) -> web.StreamResponse:
        name = f"{request.match_info['group']}/{request.match_info['name']}"
        is_job = ROUTES[name].is_job if name in ROUTES else None
        return await submit(request, MediaType.IMAGE, name, is_job)

    async def make_sounds(request: web.Request) -> web.StreamResponse:
        family, kind = request.match_info["family"], request.match_info["kind"]
        known = family in SOUNDS and (kind != "inpaint" or family == "stable-audio-2")
        is_job = family == "stable-audio" if known else None
        return await submit(request, MediaType.AUDIO, f"{family}/{kind}", is_job)

    async def submit(
        request: web.Request, media_type: MediaType, name: str, is_job: bool | None
    ) -> web.StreamResponse:
        """Answer one submit; `is_job` is None where there is no such route."""
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, REFUSALS)
        if refused is not None:
            return refused
        if is_job is None:
            return REFUSALS.not_found()
        if (request.content_length or 0) > MOST_BYTES[media_type]:
            return problem(413, "payload_too_large", "The request is too large.")
        try:
            as_json = wants_json(request, media_type)
            if request.content_type != "multipart/form-data":
                raise BadInput("must be multipart/form-data", "content-type")
            form = await read_form(request)
            read = read_image_form if media_type is MediaType.IMAGE else read_sound_form
            wanted = read(form, name)
        except BadInput as error:
            return refuse(error)

        def accept() -> Job:
            return upstream.accept(
                request,
                secrets.token_hex(32),
                prompt=wanted.prompt,
                media_type=media_type,
                model=wanted.model,
                width=wanted.width,
                height=wanted.height,
                seconds=wanted.seconds,
                secret=secret or "",
                extra={"seed": wanted.seed, "format": wanted.output_format},
            )

        async def respond(job: Job) -> web.StreamResponse:
            if is_job:
                status = 202 if media_type is MediaType.AUDIO else 200
                return json_answer({"id": job.id}, status)
            # a file that was filtered is paid and answered like any other
            if not await wait_for_end(request, upstream, job):
                return web.Response()
            if job.failure is Failure.ERROR:
                return REFUSALS.server_error(500)
            return await file(job, str(media_type) if as_json else "")

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, REFUSALS
        )

    async def file(job: Job, name: str) -> web.StreamResponse:
        """The file of a job that has ended, under that name in JSON or as it is."""
        ending = job.extra["format"]
        filtered = job.failure is Failure.BLOCKED
        if filtered and job.media_type is MediaType.IMAGE:
            data = await asyncio.to_thread(
                media.make_image, "", job.width, job.height, ending
            )
        else:
            data = await make_output(job, 0, ending)
        finish, seed = "CONTENT_FILTERED" if filtered else "SUCCESS", job.extra["seed"]
        content_type = media.CONTENT_TYPES[ending]
        if not name:
            headers = {"finish-reason": finish, "seed": str(seed)}
            return web.Response(body=data, headers=headers, content_type=content_type)
        body = {
            name: base64.b64encode(data).decode(),
            "finish_reason": finish,
            "seed": seed,
        }
        answer = json_answer(body)
        answer.headers["content-type"] = f"application/json; type={content_type}"
        return answer

    def results(media_type: MediaType) -> Any:
        async def result(request: web.Request) -> web.StreamResponse:
            secret = bearer(request)
            refused = admit(upstream, CallKind.POLL, secret, REFUSALS)
            if refused is not None:
                return refused
            try:
                as_json = wants_json(request, media_type)
            except BadInput as error:
                return refuse(error)
            job = upstream.jobs.find(request.match_info["id"])
            # a result is there for the key that asked for it only, and for a day
            if job is not None and (
                job.owner != secret or job.media_type is not media_type
            ):
                job = None
            key = "audio" if media_type is MediaType.AUDIO else "result"

            async def respond(job: Job) -> web.StreamResponse:
                now = upstream.clock()
                word = upstream.status_word(job, WORDS, now)
                if not job.is_over(now) or word not in WORDS.values():
                    return json_answer({"id": job.id, "status": word}, 202)
                if job.failure is Failure.ERROR:
                    return REFUSALS.server_error(500)
                if job.script.expired:
                    return REFUSALS.not_found()
                return await file(job, key if as_json else "")

            return await answer_poll(request, upstream, job, respond, REFUSALS)

        return result

    async def balance(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.OTHER, bearer(request), REFUSALS)
        return refused or json_answer({"credits": CREDITS})

    image_result = results(MediaType.IMAGE)
    return [
        web.post("/v2beta/stable-image/{group}/{name}", make_images),
        web.get("/v2beta/stable-image/upscale/creative/result/{id}", image_result),
        web.post("/v2beta/audio/{family}/{kind}", make_sounds),
        web.get("/v2beta/audio/results/{id}", results(MediaType.AUDIO)),
        web.get("/v2beta/results/{id}", image_result),
        web.get("/v1/user/balance", balance),
    ]


def wants_json(request: web.Request, media_type: MediaType) -> bool:
    """Whether the caller wants base64 in JSON rather than the bytes."""
    accept = request.headers.get("accept", "*/*")
    if accept in {"*/*", f"{media_type}/*"}:
        return False
    if accept != "application/json":
        raise BadInput(f"must be {media_type}/* or application/json", "accept")
    return True


def read_image_form(form: Form, name: str) -> Wanted:
    """A form of a route of images, checked; raises BadInput."""
    route, texts = ROUTES[name], form.fields
    sizes = dict(read_images(form, route, name))
    for part in route.needs:
        if part not in sizes:
            get_text(texts, part, longest=LONGEST_PROMPT)
    for part in ("prompt", "negative_prompt", "search_prompt", "select_prompt"):
        get_text(texts, part, default="", longest=LONGEST_PROMPT)
    prompt = get_text(texts, route.prompt, default="")
    check_language(prompt)
    for part, (least, most) in route.numbers.items():
        get_number(texts, part, default=least, least=least, most=most, strict=False)
    get_choice(texts, "style_preset", STYLES, default=STYLES[0])
    output_format = get_choice(
        texts, "output_format", route.formats, default=route.formats[0]
    )
    model = read_model(texts, name, sizes)
    width, height = sizes.get(route.files[0], (0, 0)) if route.files else (0, 0)
    if not width:
        width, height = shape(get_choice(texts, "aspect_ratio", RATIOS, default="1:1"))
        width, height = to_pixels(width, height, route.pixels)
    elif name == "upscale/fast":
        width, height = 4 * width, 4 * height
    elif name.startswith("upscale/"):
        width, height = to_pixels(width, height, 4 * MEGAPIXEL)
    elif name == "edit/outpaint":
        left, right, up, down = (
            get_whole(texts, side, default=0, strict=False) for side in SIDES
        )
        if not left + right + up + down:
            raise BadInput("at least one of left, right, up, down is required")
        width, height = width + left + right, height + up + down
    elif name == "edit/replace-background-and-relight":
        check_background(texts, sizes)
    return Wanted(
        model=model,
        prompt=prompt,
        media_type=MediaType.IMAGE,
        output_format=output_format,
        seed=read_seed(texts),
        width=width,
        height=height,
    )


def read_model(
    texts: Mapping[str, Any], name: str, sizes: Mapping[str, tuple[int, int]]
) -> str:
    """The model that a form asks for, and whether it fits an input image."""
    if name not in {"generate/sd3", "generate/ultra"}:
        return name.partition("/")[2]
    model, from_image = name.partition("/")[2], bool(sizes)
    if name == "generate/sd3":
        model = get_choice(texts, "model", SD3_MODELS, default=SD3_MODELS[0])
        modes = ("text-to-image", "image-to-image")
        mode = get_choice(texts, "mode", modes, default=modes[0])
        if from_image != (mode == modes[1]):
            raise BadInput("is for image-to-image, which needs it", "image")
        if from_image and "aspect_ratio" in texts:
            raise BadInput("is for text-to-image only", "aspect_ratio")
    if from_image:
        get_number(texts, "strength", least=0.0, most=1.0, strict=False)
    return model


def check_background(
    texts: Mapping[str, Any], sizes: Mapping[str, tuple[int, int]]
) -> None:
    if not texts.get("background_prompt") and "background_reference" not in sizes:
        raise BadInput("one of background_prompt, background_reference is required")
    sources = ("left", "right", "above", "below")
    get_choice(texts, "light_source_direction", sources, default="left")


def read_images(
    form: Form, route: Route, name: str
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each image of a form with its size; raises BadInput."""
    for file in form.files:
        if file.name not in route.files:
            if not file.data:  # how a client makes its form multipart
                continue
            raise BadInput("is not a file of this route", file.name)
        try:
            image = media.read_image(file.data)
        except media.NotAnImage as error:
            raise BadInput(str(error), file.name) from error
        if image is None or image.image_format not in IMAGE_FORMATS:
            raise BadInput("must be a jpeg, png or webp", file.name)
        width, height = image.width, image.height
        if min(width, height) < LEAST_SIDE:
            raise BadInput(f"sides must be at least {LEAST_SIDE} pixels", file.name)
        if not LEAST_PIXELS <= width * height <= route.most_pixels:
            text = f"must have {LEAST_PIXELS} to {route.most_pixels} pixels"
            raise BadInput(text, file.name)
        is_work = name.startswith(("edit/", "control/"))
        if is_work and not 1 / MOST_SHAPE <= width / height <= MOST_SHAPE:
            raise BadInput("must be between 1:2.5 and 2.5:1", file.name)
        yield file.name, (width, height)
    for part in route.files:
        if part in form.fields:
            raise BadInput("must be a file", part)
    given = {file.name for file in form.files}
    for part in route.files:
        if part in route.needs and part not in given:
            raise BadInput("is required", part)


def read_sound_form(form: Form, name: str) -> Wanted:
    """A form of a route of sounds, checked; raises BadInput."""
    family, _, kind = name.partition("/")
    if kind not in {"text-to-audio", "audio-to-audio", "inpaint"}:
        raise BadInput("there is no such route")
    texts, models = form.fields, SOUNDS[family]
    prompt = get_text(texts, "prompt", longest=LONGEST_PROMPT)
    check_language(prompt)
    model = get_choice(texts, "model", tuple(models), default=next(iter(models)))
    least, most = models[model]
    get_whole(texts, "steps", default=least, least=least, most=most, strict=False)
    get_number(texts, "cfg_scale", default=1, least=1, most=25, strict=False)
    get_number(texts, "strength", default=1, least=0, most=1, strict=False)
    given = {file.name: file.data for file in form.files if file.data}
    if kind == "text-to-audio":
        if given:
            raise BadInput("is not a file of this route", next(iter(given)))
    elif not is_sound(given.get("audio", b"")):
        raise BadInput("must be an mp3 or a wav", "audio")
    return Wanted(
        model=model,
        prompt=prompt,
        media_type=MediaType.AUDIO,
        output_format=get_choice(texts, "output_format", ("mp3", "wav"), default="mp3"),
        seed=read_seed(texts),
        seconds=get_number(
            texts,
            "duration",
            default=USUAL_SECONDS,
            least=1,
            most=LONGEST_S[family],
            strict=False,
        ),
    )


def is_sound(data: bytes) -> bool:
    return data[:4] == b"RIFF" or data[:3] == b"ID3" or data[:1] == b"\xff"


def check_language(prompt: str) -> None:
    """Prompts are English; here that means that most letters are Latin."""
    letters = [letter for letter in prompt if letter.isalpha()]
    if sum(letter > "\u024f" for letter in letters) > len(letters) / 2:
        raise OtherLanguage("must be in English", "prompt")


def read_seed(texts: Mapping[str, Any]) -> int:
    """The seed, drawn where it is 0 or missing."""
    seed = get_whole(texts, "seed", default=0, least=0, most=MOST_SEED, strict=False)
    return seed or secrets.randbelow(MOST_SEED) + 1


def shape(ratio: str) -> tuple[int, int]:
    across, _, down = ratio.partition(":")
    return int(across), int(down)


def to_pixels(width: int, height: int, pixels: int) -> tuple[int, int]:
    """The size of that shape with about so many pixels, in steps of 64."""
    scale = (pixels / (width * height)) ** 0.5 / SIDE_STEP
    return round(width * scale) * SIDE_STEP, round(height * scale) * SIDE_STEP
