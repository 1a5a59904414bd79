"""Mothlight, an upstream that does not exist: pictures and films, as generations.

It is what `deploy/providers/mothlight.yaml` describes, and shows what a file of that
kind can say: a key in a header of its own, sizes in an object, frames as data URLs,
idempotency, withdrawing, and signed notices.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
)
from sandbox.inputs import (
    BadInput,
    get_list,
    get_number,
    get_object,
    get_text,
    get_whole,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.media import NotAnImage, read_image
from sandbox.webhooks import SigningKeys, WebhookMessage

SCHEME = "Token "
MODELS = {"still-2": MediaType.IMAGE, "film-1": MediaType.VIDEO}
ENDINGS = {MediaType.IMAGE: ("png", "image/png"), MediaType.VIDEO: ("mp4", "video/mp4")}
FIELDS = frozenset(
    {
        *("model", "prompt", "avoid", "frames", "canvas", "length"),
        *("count", "seed", "label", "notify"),
    }
)
SHAPES = {
    "1:1": (512, 512),
    "3:2": (480, 320),
    "2:3": (320, 480),
    "16:9": (480, 270),
    "9:16": (270, 480),
}
LENGTHS = (4.0, 8.0)
LONGEST_PROMPT = 2000
MOST_FRAMES = 4
WORDS = {
    JobPhase.QUEUED: "waiting",
    JobPhase.RUNNING: "drawing",
    JobPhase.SUCCEEDED: "ready",
    JobPhase.FAILED: "ruined",
    JobPhase.CANCELLED: "withdrawn",
}
TROUBLES = {
    Failure.BLOCKED: ("unsafe", "The finished picture was held back by moderation."),
    Failure.ERROR: ("lamp_broke", "The lamp broke while the picture was drawn."),
}
LINKS_LIVE_S = 3600
DEVELOPING_PERCENT = 80
WAIT_S = 2


def problem(status: int, code: str, text: str, wait_s: int = 0) -> web.Response:
    """Every refusal: `{"problem": {"code", "text", "wait_s"?}}`."""
    told: dict[str, Any] = {"code": code, "text": text}
    return json_answer(
        {"problem": told | ({"wait_s": wait_s} if wait_s else {})}, status
    )


REFUSALS = Refusals(
    unauthorized=lambda: problem(401, "key_unknown", "This key opens nothing."),
    forbidden=lambda: problem(403, "not_yours", "This account may not do that."),
    rate_limit=lambda: problem(429, "slow_down", "Too many calls.", WAIT_S),
    quota=lambda: problem(403, "funds_low", "The account is empty."),
    bad_request=lambda text: problem(422, "bad_request", text),
    server_error=lambda status: problem(status, "dark", "The lamp is out."),
    not_found=lambda: problem(404, "no_such_generation", "There is none with this id."),
    blocked=lambda: problem(422, "unsafe", "The prompt was refused by moderation."),
)


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The paths below `/v1`, and the files."""

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        return admit(upstream, kind, secret_of(request), REFUSALS)

    async def submit(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.SUBMIT)
        if refusal is not None:
            return refusal
        try:
            body = await read_json(request)
            if body.get("model") not in MODELS:
                return problem(404, "model_unknown", f"No model {body.get('model')!r}.")
            job_of = read_wanted(body)
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        secret = secret_of(request) or ""
        key = request.headers.get("Idempotency-Key", "")

        def accept() -> Job:
            known = upstream.jobs.find_by_reference(key) if key else None
            if known is not None and known.owner == secret:
                return known  # the same sending once more: not paid again
            job = upstream.accept(
                request,
                f"gen_{secrets.token_hex(12)}",
                secret=secret,
                reference=key or None,
                **job_of,
            )
            notify = job.extra["notify"]
            if notify:
                upstream.call_back(job, notify, partial(message, job))
            return job

        def respond(job: Job) -> web.Response:
            return json_answer({"generation": generation(job)}, 201)

        return await answer_submit(
            request, upstream, job_of["prompt"], accept, respond, REFUSALS
        )

    def find(request: web.Request) -> Job | None:
        job = upstream.jobs.find(request.match_info["id"])
        return job if job is not None and job.owner == secret_of(request) else None

    async def read(request: web.Request) -> web.StreamResponse:
        return refused(request, CallKind.POLL) or await answer_poll(
            request,
            upstream,
            find(request),
            lambda job: json_answer({"generation": generation(job)}),
            REFUSALS,
        )

    async def withdraw(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.CANCEL)
        if refusal is not None:
            return refusal
        job = find(request)
        if job is None:
            return REFUSALS.not_found()
        if not job.cancel(upstream.clock()):
            return problem(409, "too_late", "It has ended.")
        return web.Response(status=204)

    async def account(request: web.Request) -> web.StreamResponse:
        return refused(request, CallKind.OTHER) or json_answer({"funds": 12.5})

    async def file(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        signed = request.rel_url.raw_query_string
        if job is not None and signed != f"pass={job.extra['pass']}%3D":
            return REFUSALS.expired()
        index, ending = int(request.match_info["index"]), request.match_info["ending"]
        return await answer_media(request, upstream, job, index, ending, REFUSALS)

    def generation(job: Job) -> dict[str, Any]:
        """The object that every answer and notice has."""
        now = upstream.clock()
        state, percent = upstream.status_word(job, WORDS, now), job.percent(now)
        if state == "drawing" and percent >= DEVELOPING_PERCENT:
            state = "developing"
        told: dict[str, Any] = {"id": job.id, "state": state, "done": percent / 100}
        if not job.is_over(now):
            told["look_again_s"] = round(min(WAIT_S, max(job.ends_at - now, 0.05)), 2)
        elif state == "ready":
            told["outputs"] = [output(job, index) for index in range(job.count)]
        elif state == "ruined":
            code, text = TROUBLES[job.failure or Failure.ERROR]
            told["trouble"] = {"code": code, "text": text}
        return told

    def message(job: Job, keys: SigningKeys, now: float) -> WebhookMessage:
        """A notice: the generation, signed together with the time of sending."""
        body = json.dumps({"generation": generation(job)}).encode()
        mac = keys.hmac_sha256(f"{int(now)}.".encode() + body).hex()
        headers = {
            "X-Mothlight-Timestamp": str(int(now)),
            "X-Mothlight-Signature": f"v1={mac}",
        }
        return WebhookMessage(body, headers)

    upstream.message_of = lambda job, _: partial(message, job)
    return [
        web.post("/v1/generations", submit),
        web.get("/v1/generations/{id}", read),
        web.post("/v1/generations/{id}/withdraw", withdraw),
        web.get("/v1/account", account),
        web.get(r"/files/{id}/{index:\d{1,2}}.{ending:[a-z0-9]{2,4}}", file),
    ]


def secret_of(request: web.Request) -> str | None:
    """The secret of `X-Mothlight-Key: Token <secret>`."""
    told = request.headers.get("X-Mothlight-Key", "")
    return told.removeprefix(SCHEME) or None if told.startswith(SCHEME) else None


def read_wanted(body: Mapping[str, Any]) -> dict[str, Any]:
    """What `Upstream.accept` needs to know of a body; raises BadInput."""
    if unknown := sorted(body.keys() - FIELDS):
        raise BadInput(f"{unknown[0]} is no field", unknown[0])
    model = get_text(body, "model")
    for frame in check_frames(get_list(body, "frames")):
        try:
            read_image(frame)
        except NotAnImage as error:
            raise BadInput(f"frames: {error}", "frames") from error
    get_text(body, "avoid", default="")
    get_text(body, "label", default="", longest=100)
    get_whole(body, "seed", default=0, least=0)
    length = get_number(body, "length", default=LENGTHS[0])
    if length not in LENGTHS or (isinstance(body.get("length"), float)):
        raise BadInput("length must be 4 or 8", "length")
    width, height = read_canvas(get_object(body, "canvas"))
    return {
        "prompt": get_text(body, "prompt", longest=LONGEST_PROMPT),
        "media_type": MODELS[model],
        "model": model,
        "width": width,
        "height": height,
        "seconds": length,
        "count": get_whole(body, "count", default=1, least=1, most=4),
        "extra": {
            "notify": get_text(body, "notify", default=""),
            "pass": secrets.token_hex(8),
        },
    }


def check_frames(frames: list[Any]) -> list[str]:
    """The input pictures: data URLs, and no links."""
    if len(frames) > MOST_FRAMES:
        raise BadInput(f"frames must be at most {MOST_FRAMES}", "frames")
    for frame in frames:
        if not isinstance(frame, str) or not frame.startswith("data:image/"):
            raise BadInput("frames must be data URLs of pictures", "frames")
    return frames


def read_canvas(canvas: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height, given both or as a shape."""
    if unknown := sorted(canvas.keys() - {"width", "height", "shape"}):
        raise BadInput(f"canvas.{unknown[0]} is no field", "canvas")
    shape = get_text(canvas, "shape", default="1:1")
    if shape not in SHAPES:
        raise BadInput(f"canvas.shape must be one of {', '.join(SHAPES)}", "canvas")
    if "width" not in canvas and "height" not in canvas:
        return SHAPES[shape]
    width, height = (
        get_whole(canvas, side, least=64, most=2048) for side in ("width", "height")
    )
    return width, height


def output(job: Job, index: int) -> dict[str, Any]:
    """One file; one that could not be made has no address."""
    ending, content_type = ENDINGS[job.media_type]
    url = f"{job.base_url}/files/{job.id}/{index}.{ending}?pass={job.extra['pass']}%3D"
    return {
        "url": None if job.output_fails(index) else url,
        "type": content_type,
        "expires_at": int(job.ends_at) + LINKS_LIVE_S,
    }
