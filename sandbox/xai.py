"""xAI in the sandbox: images and speech at once, videos as jobs, the key itself.

`/xai/v1` stands for api.x.ai/v1, `/xai/files` for the hosts of results. Wire format:
docs.x.ai (REST reference of images, videos and voice), read 2026-11. Which status has
which of the three shapes of an error is published only in part; the storage of files
and the frames and keyframes of the newer video models are not simulated.
"""

from __future__ import annotations

import asyncio
import base64
import math
import re
import secrets
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from sandbox import media
from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
    make_output,
)
from sandbox.inputs import (
    BadInput,
    bearer,
    get_choice,
    get_flag,
    get_list,
    get_number,
    get_object,
    get_text,
    get_whole,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.xai_sounds import TYPES, make_speech

WORDS = {
    JobPhase.QUEUED: "pending",
    JobPhase.RUNNING: "pending",
    JobPhase.SUCCEEDED: "done",
    JobPhase.FAILED: "failed",
}
IMAGE_FIELDS = frozenset(
    {
        "model",
        "prompt",
        "n",
        "response_format",
        "aspect_ratio",
        "resolution",
        "quality",
        "user",
        "storage_options",
    }
)
VIDEO_FIELDS = frozenset(
    {
        "model",
        "prompt",
        "duration",
        "aspect_ratio",
        "resolution",
        "image",
        "reference_images",
        "reference_audios",
        "last_frame",
        "keyframes",
        "generate_audio",
        "user",
        "storage_options",
    }
)
EDIT_FIELDS = frozenset({"model", "prompt", "video", "user", "storage_options"})
SPEECH_FIELDS = frozenset(
    {
        "text",
        "voice_id",
        "language",
        "speed",
        "output_format",
        "optimize_streaming_latency",
        "text_normalization",
        "with_timestamps",
        "replace",
    }
)
NEWEST = "grok-imagine-image-2.0"
IMAGE_MODELS = (
    "grok-imagine-image",
    "grok-imagine-image-quality",
    "grok-imagine-image-pro",
    NEWEST,
)
VIDEO_MODELS = {
    "grok-imagine-video": ("480p", "720p"),
    "grok-imagine-video-1.5": ("480p", "720p", "1080p"),
    "grok-imagine-video-1.5-preview": ("480p", "720p", "1080p"),
}
VIDEO_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
IMAGE_RATIOS = (
    *VIDEO_RATIOS,
    *("9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1", "auto"),
)
SIDES = {"1k": 1024, "2k": 2048}
INPUT_TYPES = {"png", "jpeg", "webp"}
MOST_INPUT_BYTES = 10 * 1024**2
MOST_REFERENCES = 7
MOST_AUDIOS = 3
USUAL_SECONDS = 5.0
MOST_EDITED_S = 8.7
EXTENDED_S = (2.0, 30.0)
LIVES_S = 24 * 3600
"""How long after its end a video is known, and a link works."""
OWN_FILE = re.compile(r"/files/([0-9a-f-]{36})/0\.mp4$")
CHARACTERS_PER_S = 15.0
IMAGE_TICKS = 200_000_000
SECOND_TICKS = 500_000_000
INVALID = "invalid-argument"
MODERATED = "imagine:content-moderated"
EXHAUSTED = "Some resource has been exhausted"


def problem(status: int, text: str, code: str = "", **more: Any) -> web.Response:
    """Text and code side by side, or the text alone where there is no code."""
    return json_answer(
        {**({"code": code} if code else {}), "error": text, **more}, status
    )


def wrapped(status: int, text: str, kind: str) -> web.Response:
    """An error in the shape of OpenAI's."""
    error = {"message": text, "type": kind, "param": None, "code": None}
    return json_answer({"error": error}, status)


def no_such_model(name: str) -> web.Response:
    return wrapped(404, f"The model {name} was not found.", "invalid_request_error")


def moderated(what: str, ticks: int) -> web.Response:
    text = f"Generated {what} rejected by content moderation."
    return problem(400, text, MODERATED, usage={"cost_in_usd_ticks": ticks})


def held_back(job: Job) -> web.Response:
    """Every image was made, moderated and billed."""
    items = [{"url": None, "respect_moderation": False}] * job.count
    return json_answer({"data": items, "usage": ticks(IMAGE_TICKS * job.count)})


def ticks(count: float) -> dict[str, int]:
    """The cost; 10^10 are a dollar."""
    return {"cost_in_usd_ticks": int(count)}


REFUSALS = Refusals(
    # a wrong key is no 401
    unauthorized=lambda: problem(
        400, "Incorrect API key provided: xa***ey. See the console for yours.", INVALID
    ),
    forbidden=lambda: problem(
        403,
        "The team has no permission to use this endpoint.",
        "The caller does not have permission to execute the specified operation",
    ),
    rate_limit=lambda: problem(
        429, "The model is temporarily at capacity. Try again later.", EXHAUSTED
    ),
    quota=lambda: problem(
        429,
        "The team used all available credits or reached its monthly spending limit.",
        EXHAUSTED,
    ),
    bad_request=lambda message: problem(400, message, INVALID),
    server_error=lambda status: wrapped(
        status, "Something went wrong.", "server_error"
    ),
    not_found=lambda: problem(404, "The request was not found.", "not-found"),
    blocked=lambda: moderated("image", IMAGE_TICKS),
    blocked_result=held_back,
)
# A video is always taken; moderation shows at the look.
VIDEO_REFUSALS = replace(REFUSALS, blocked=None, blocked_result=None)
SPEECH_REFUSALS = replace(
    REFUSALS,
    blocked=lambda: problem(400, "The text was rejected by content moderation."),
    blocked_result=None,
)


class Missing(BadInput):
    """A field that must be there is not: the schema does not fit."""


def refuse(error: BadInput) -> web.Response:
    if isinstance(error, Missing):
        return problem(422, str(error))
    return problem(400, str(error), INVALID)


@dataclass(frozen=True)
class Film:
    """One checked request for a video."""

    model: str
    prompt: str
    width: int
    height: int
    seconds: float


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """xAI's paths, without the provider's prefix."""

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        refusal = admit(upstream, kind, bearer(request), REFUSALS)
        if refusal is not None and bearer(request) is None:
            return problem(401, "The authorization header is missing.")
        json_sent = request.content_type == "application/json"
        if refusal is None and request.method == "POST" and not json_sent:
            return problem(415, "Expected a Content-Type of application/json.")
        return refusal

    async def show_key(request: web.Request) -> web.StreamResponse:
        return refused(request, CallKind.OTHER) or json_answer(
            {
                "redacted_api_key": "xai-...ey",
                "name": "sandbox",
                "acls": ["api-key:model:*", "api-key:endpoint:*"],
                "api_key_id": "sandbox",
                "team_blocked": False,
                "api_key_blocked": False,
                "api_key_disabled": False,
            }
        )

    async def generate_images(request: web.Request) -> web.StreamResponse:
        return await make_images(request, edits=False)

    async def edit_images(request: web.Request) -> web.StreamResponse:
        return await make_images(request, edits=True)

    async def make_images(request: web.Request, *, edits: bool) -> web.StreamResponse:
        refusal = refused(request, CallKind.SUBMIT)
        if refusal is not None:
            return refusal
        try:
            body = await read_json(request)
            check_names(body, IMAGE_FIELDS | ({"image", "images"} if edits else set()))
            require(body, "model", "prompt")
            model = get_text(body, "model")
            if model not in IMAGE_MODELS:
                return no_such_model(model)
            prompt = get_text(body, "prompt")
            count = get_whole(body, "n", default=1, least=1, most=10)
            form = get_choice(
                body, "response_format", ("url", "b64_json"), default="url"
            )
            if body.get("quality") is not None:
                if model != NEWEST:
                    raise BadInput("Argument not supported: quality")
                get_choice(body, "quality", ("low", "medium", "high"))
            get_object(body, "storage_options")
            first = read_images(body) if edits else None
            width, height = image_size(body, first)
        except BadInput as error:
            return refuse(error)

        def accept() -> Job:
            return upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=prompt,
                media_type=MediaType.IMAGE,
                model=model,
                width=width,
                height=height,
                count=count,
                secret=bearer(request) or "",
                extra={"token": secrets.token_hex(8)},
            )

        async def respond(job: Job) -> web.Response:
            items = [await item(job, index, form) for index in range(count)]
            return json_answer({"data": items, "usage": ticks(IMAGE_TICKS * count)})

        return await answer_submit(
            request, upstream, prompt, accept, respond, REFUSALS, waits=True
        )

    async def item(job: Job, index: int, form: str) -> dict[str, Any]:
        if job.output_fails(index):
            return {"url": None, "respect_moderation": False}
        told = {
            "revised_prompt": "",
            "mime_type": "image/jpeg",
            "respect_moderation": True,
        }
        if form == "url":
            return {"url": link(job, index, "jpeg"), **told}
        data = await make_output(job, index, "jpeg")
        return {"b64_json": base64.b64encode(data).decode(), **told}

    def link(job: Job, index: int, ending: str) -> str:
        signed = f"?sig={job.extra['token']}%2B"
        return f"{job.base_url}/files/{job.id}/{index}.{ending}{signed}"

    async def generate_video(request: web.Request) -> web.StreamResponse:
        return await start_video(request, VIDEO_FIELDS, read_film)

    async def edit_video(request: web.Request) -> web.StreamResponse:
        def read(body: Mapping[str, Any]) -> Film:
            film = read_source(body)
            if film.seconds > MOST_EDITED_S:
                raise BadInput(f"The video is longer than {MOST_EDITED_S} seconds.")
            return film

        return await start_video(request, EDIT_FIELDS, read)

    async def extend_video(request: web.Request) -> web.StreamResponse:
        def read(body: Mapping[str, Any]) -> Film:
            added = get_whole(body, "duration", default=6, least=1, most=10)
            film = read_source(body)
            if not EXTENDED_S[0] <= film.seconds <= EXTENDED_S[1]:
                raise BadInput("The video must be 2 to 30 seconds long.")
            return replace(film, seconds=film.seconds + added)

        return await start_video(request, EDIT_FIELDS | {"duration"}, read)

    def read_source(body: Mapping[str, Any]) -> Film:
        """The film to start from, of which more is known when it was made here."""
        require(body, "prompt", "video")
        video = get_object(body, "video")
        url = get_text(video, "url")
        if not url.startswith(("http://", "https://", "data:video/mp4;base64,")):
            raise BadInput("video.url must be a URL of an MP4.")
        film = Film(get_text(body, "model"), get_text(body, "prompt"), 854, 480, 5.0)
        own = OWN_FILE.search(url.partition("?")[0])
        job = upstream.jobs.find(own[1]) if own else None
        if job is None:
            return film
        return replace(film, width=job.width, height=job.height, seconds=job.seconds)

    async def start_video(
        request: web.Request, fields: Collection[str], read: Any
    ) -> web.StreamResponse:
        refusal = refused(request, CallKind.SUBMIT)
        if refusal is not None:
            return refusal
        try:
            body = await read_json(request)
            check_names(body, fields)
            require(body, "model")
            if (name := get_text(body, "model")) not in VIDEO_MODELS:
                return no_such_model(name)
            film: Film = read(body)
        except BadInput as error:
            return refuse(error)

        def accept() -> Job:
            return upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=film.prompt,
                media_type=MediaType.VIDEO,
                model=film.model,
                width=film.width,
                height=film.height,
                seconds=film.seconds,
                secret=bearer(request) or "",
                extra={"token": secrets.token_hex(8)},
            )

        def respond(job: Job) -> web.Response:
            return json_answer({"request_id": job.id})

        return await answer_submit(
            request, upstream, film.prompt, accept, respond, VIDEO_REFUSALS
        )

    async def look(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.POLL)
        if refusal is not None:
            return refusal
        job = upstream.jobs.find(request.match_info["id"])
        if job is not None and job.media_type is not MediaType.VIDEO:
            job = None
        return await answer_poll(request, upstream, job, show_video, VIDEO_REFUSALS)

    def show_video(job: Job) -> web.Response:
        """202 as long as it goes on, without a body until it has a progress."""
        now = upstream.clock()
        word = upstream.status_word(job, WORDS, now)
        cost = ticks(SECOND_TICKS * job.seconds)
        if now > job.ends_at + LIVES_S:
            return json_answer({"status": "expired"})
        if word == "pending":
            if job.phase(now) is JobPhase.QUEUED:
                return web.Response(status=202)
            return json_answer({"status": word, "progress": job.percent(now)}, 202)
        if word == "failed" and job.failure is Failure.ERROR:
            error = {"code": "internal_error", "message": "Video generation failed."}
            return json_answer({"status": word, "progress": 0, "error": error})
        if word == "failed" and job.script.blocked:
            return moderated("video", cost["cost_in_usd_ticks"])
        if word not in {"done", "failed"}:
            return json_answer({"status": word})
        good = job.failure is None
        return json_answer(
            {
                "status": "done",
                "progress": 100,
                "model": job.model,
                "video": {
                    "url": link(job, 0, "mp4") if good else "",
                    "duration": job.seconds,
                    "respect_moderation": good,
                },
                "usage": cost,
            }
        )

    async def show_file(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        if job is not None:
            signed = request.rel_url.raw_query_string
            old = upstream.clock() > job.ends_at + LIVES_S
            if old or signed != f"sig={job.extra.get('token')}%2B":
                return REFUSALS.expired()
        index, ending = int(request.match_info["index"]), request.match_info["ending"]
        return await answer_media(request, upstream, job, index, ending, REFUSALS)

    async def speak(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.SUBMIT)
        if refusal is not None:
            return refusal
        try:
            body = await read_json(request)
            check_names(body, SPEECH_FIELDS)
            if body.get("text") == "":
                return problem(400, "text must not be empty")
            require(body, "text")
            text = get_text(body, "text")
            get_text(body, "voice_id", default="eve")
            get_text(body, "language", default="auto")
            speed = get_number(body, "speed", default=1.0, least=0.7, most=1.5)
            form = get_object(body, "output_format")
            check_names(form, {"codec", "sample_rate", "bit_rate"})
            codec = get_choice(form, "codec", tuple(TYPES), default="mp3")
            rate = get_whole(
                form, "sample_rate", default=24_000, least=8000, most=48000
            )
            timed = get_flag(body, "with_timestamps")
            get_flag(body, "text_normalization")
        except BadInput as error:
            return refuse(error)
        length_s = max(0.5, len(text) / CHARACTERS_PER_S / speed)

        def accept() -> Job:
            return upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=text,
                media_type=MediaType.AUDIO,
                seconds=length_s,
                secret=bearer(request) or "",
            )

        async def respond(job: Job) -> web.Response:
            data = await asyncio.to_thread(make_speech, text, length_s, codec, rate)
            if not timed:
                headers = {"x-trace-id": job.id}
                return web.Response(
                    body=data, content_type=TYPES[codec], headers=headers
                )
            return json_answer(
                {
                    "audio": base64.b64encode(data).decode(),
                    "content_type": TYPES[codec],
                    "duration": length_s,
                    "audio_timestamps": {"text": text, "start": 0.0, "end": length_s},
                }
            )

        return await answer_submit(
            request, upstream, text, accept, respond, SPEECH_REFUSALS, waits=True
        )

    return [
        web.get("/v1/api-key", show_key),
        web.post("/v1/images/generations", generate_images),
        web.post("/v1/images/edits", edit_images),
        web.post("/v1/videos/generations", generate_video),
        web.post("/v1/videos/edits", edit_video),
        web.post("/v1/videos/extensions", extend_video),
        web.get("/v1/videos/{id}", look),
        web.post("/v1/tts", speak),
        web.get(r"/files/{id}/{index:\d{1,2}}.{ending:jpeg|mp4}", show_file),
    ]


def check_names(body: Mapping[str, Any], allowed: Collection[str]) -> None:
    for name in body:
        if name not in allowed:
            raise BadInput(f"Argument not supported: {name}", name)


def require(body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if body.get(name) is None:
            raise Missing(f"missing field `{name}`", name)


def read_images(body: Mapping[str, Any]) -> media.ReadImage | None:
    """The first image of an edit, where its bytes are here."""
    one, several = body.get("image"), get_list(body, "images")
    if (one is None) == (not several):
        raise BadInput("Give either image or images.")
    first, *_ = [read_image(given) for given in several or [one]]
    return first


def read_image(given: Any, *, stored: bool = False) -> media.ReadImage | None:
    """`{"url"}`, and for videos `{"file_id"}`; None when the bytes are elsewhere."""
    if not isinstance(given, dict):
        raise BadInput("An image must be an object with a url.")
    if stored and isinstance(given.get("file_id"), str):
        return None
    get_choice(given, "type", ("image_url",), default="image_url")
    url = get_text(given, "url")
    if not url.startswith(("http://", "https://", "data:image/")):
        raise BadInput("An image must be a URL or a data URL.")
    try:
        image = media.read_image(url)
    except media.NotAnImage as error:
        raise BadInput(f"The image could not be read: {error}.") from error
    if image is not None and image.image_format not in INPUT_TYPES:
        raise BadInput("Images must be png, jpeg or webp.")
    if image is not None and len(image.data) > MOST_INPUT_BYTES:
        raise BadInput("Images must not exceed 10 MiB.")
    return image


def image_size(
    body: Mapping[str, Any], first: media.ReadImage | None
) -> tuple[int, int]:
    """Width and height; without a ratio that of the input, else a square."""
    side = SIDES[get_choice(body, "resolution", tuple(SIDES), default="1k")]
    ratio = get_choice(body, "aspect_ratio", IMAGE_RATIOS, default="auto")
    if ratio == "auto":
        shape = first.width / first.height if first else 1.0
    else:
        shape = read_ratio(ratio)
    return round(side * math.sqrt(shape)), round(side / math.sqrt(shape))


def read_ratio(ratio: str) -> float:
    across, _, down = ratio.partition(":")
    return float(across) / float(down)


def read_film(body: Mapping[str, Any]) -> Film:
    """A new video: of a text, of its first frame, or of references."""
    frame = None
    if body.get("image") is not None:
        frame = read_image(body["image"], stored=True)
    references = get_list(body, "reference_images")
    if len(references) > MOST_REFERENCES:
        raise BadInput(f"At most {MOST_REFERENCES} reference images are possible.")
    for reference in references:
        read_image(reference, stored=True)
    if len(get_list(body, "reference_audios")) > MOST_AUDIOS:
        raise BadInput(f"At most {MOST_AUDIOS} reference audios are possible.")
    model = get_text(body, "model")
    if "1.5" not in model and (body.get("last_frame") or body.get("keyframes")):
        raise BadInput(f"{model} takes no other frames than the first.")
    if body.get("image") is None and not references:
        require(body, "prompt")
    get_flag(body, "generate_audio", default=True)
    seconds = get_whole(body, "duration", default=5, least=1, most=15)
    resolution = get_choice(body, "resolution", VIDEO_MODELS[model], default="480p")
    if references and resolution == "1080p":
        raise BadInput("With reference images the most is 720p.")
    shape = 16 / 9 if frame is None else frame.width / frame.height
    if body.get("aspect_ratio") is not None:
        shape = read_ratio(get_choice(body, "aspect_ratio", VIDEO_RATIOS))
    side = int(resolution[:-1])
    return Film(
        model=model,
        prompt=get_text(body, "prompt", default=""),
        width=round(side * max(1.0, shape)),
        height=round(side / min(1.0, shape)),
        seconds=float(seconds),
    )
