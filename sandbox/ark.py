"""Ark (Volcengine) and ModelArk (BytePlus): Seedance videos and Seedream images.

Wire format: ark.volcengine.com (create, get, list and delete of video tasks,
error-codes), ai.byteplus.com/ark (image-generation-api) and the Python SDK 5.0.54, read
November 2026. The answer for an unknown id is an assumption: it is not documented.
Every callback is tried again here, that of the last state only at the real upstream.
"""

import base64
import json
import math
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_polls,
    answer_submit,
    json_answer,
    make_output,
)
from sandbox.ark_rules import (
    WantedImages,
    WantedVideo,
    WrongTask,
    find_image_rule,
    find_video_rule,
    read_images,
    read_video,
)
from sandbox.inputs import BadInput, bearer, get_text, get_whole, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.webhooks import SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "queued",
    JobPhase.RUNNING: "running",
    JobPhase.SUCCEEDED: "succeeded",
    JobPhase.FAILED: "failed",
    JobPhase.CANCELLED: "cancelled",
}
EXPIRED = "expired"
TASKS = "/api/v3/contents/generations/tasks"
RECORD_KEPT_S = 7 * 24 * 3600
MOST_LISTED = 500
SIGNED = "X-Tos-Algorithm=TOS4-HMAC-SHA256&X-Tos-Expires=86400&X-Tos-Signature=9f%2B0"
STATUS_TYPES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    429: "TooManyRequests",
}


def problem(status: int, code: str, message: str, param: str = "") -> web.Response:
    """Ark's error body; the text ends with the id of the request."""
    request_id = f"0217{secrets.token_hex(14)}"
    error = {
        "code": code,
        "message": f"{message}. Request id: {request_id}",
        "param": param,
        "type": STATUS_TYPES.get(status, "InternalServerError"),
    }
    return json_answer({"error": error}, status, {"X-Request-Id": request_id})


def bad_request(error: BadInput) -> web.Response:
    """400, under the code for what is missing, wrong, or does not go together."""
    code = "InvalidParameter"
    if isinstance(error, WrongTask):
        code = "InvalidParameter.TaskTypeConstraint"
    elif "is required" in str(error):
        code = "MissingParameter"
    text = f"the parameter is not valid: {error}"
    return problem(400, code, text, error.field or "")


def no_model(model: str) -> web.Response:
    return problem(
        404,
        "InvalidEndpointOrModel.NotFound",
        f"The model or endpoint {model} does not exist or you do not have access to it",
    )


def refusals(kind: str) -> Refusals:
    """How Ark refuses where it makes `kind`, Image or Video."""
    return Refusals(
        unauthorized=lambda: problem(
            401, "AuthenticationError", "The API key in the request is not valid"
        ),
        forbidden=lambda: problem(403, "AccessDenied", "Access is denied"),
        rate_limit=lambda: problem(
            429, "RateLimitExceeded.EndpointRPMExceeded", "Too many requests a minute"
        ),
        quota=lambda: problem(403, "AccountOverdueError", "A bill is not paid"),
        bad_request=lambda message: problem(400, "InvalidParameter", message),
        server_error=lambda status: problem(
            status, "InternalServiceError", "The service has a problem"
        ),
        not_found=lambda: problem(
            404, "ResourceNotFound", "The task does not exist or is too old"
        ),
        blocked=lambda: problem(
            400, "InputTextSensitiveContentDetected", "The text may be sensitive"
        ),
        failed=lambda _: problem(
            500, "InternalServiceError", "The images could not be made"
        ),
        blocked_result=lambda _: problem(
            400, f"Output{kind}SensitiveContentDetected", "The output may be sensitive"
        ),
    )


VIDEO = refusals("Video")
IMAGE = refusals("Image")
BLOCKED_VIDEO = {
    "code": "OutputVideoSensitiveContentDetected",
    "message": "The output video may be sensitive",
}
BLOCKED_IMAGE = {
    "code": "OutputImageSensitiveContentDetected",
    "message": "The output image may be sensitive",
}
FAILED = {"code": "InternalServiceError", "message": "The video could not be made"}


def file_url(job: Job, index: int, file_format: str) -> str:
    """A signed link to one output."""
    return f"{job.base_url}/files/{job.id}/{index}.{file_format}?{SIGNED}"


def video_tokens(job: Job) -> int:
    return math.ceil(job.width * job.height * (24 * job.seconds + 1) / 1024)


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Ark's paths, without the provider's prefix."""

    async def create(request: web.Request) -> web.StreamResponse:
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, VIDEO)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            model = get_text(body, "model")
            rule = find_video_rule(model)
            if rule is None:
                return no_model(model)
            wanted = read_video(body, rule)
        except BadInput as error:
            return bad_request(error)

        def accept() -> Job:
            return accept_video(request, model, wanted, secret or "")

        def respond(job: Job) -> web.Response:
            told = {"id": job.id}
            if "safety_identifier" in job.extra["echo"]:
                told["safety_identifier"] = job.extra["echo"]["safety_identifier"]
            return json_answer(told)

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, VIDEO
        )

    def accept_video(
        request: web.Request, model: str, wanted: WantedVideo, secret: str
    ) -> Job:
        now = datetime.fromtimestamp(upstream.clock(), UTC)
        job = upstream.accept(
            request,
            f"cgt-{now:%Y%m%d%H%M%S}-{secrets.token_hex(4)}",
            prompt=wanted.prompt,
            media_type=MediaType.VIDEO,
            model=model,
            width=wanted.width,
            height=wanted.height,
            seconds=wanted.seconds,
            secret=secret,
            extra={
                "echo": wanted.echo,
                "expires_after_s": wanted.expires_after_s,
                "last_frame": wanted.with_last_frame,
            },
        )
        if wanted.callback_url:
            url = wanted.callback_url
            for phase, at in (
                (JobPhase.QUEUED, job.created_at),
                (JobPhase.RUNNING, job.starts_at),
                (None, job.ends_at),
            ):
                build = partial(message, job, phase)
                upstream.call_back(job, url, build, at=at, told=phase)
        return job

    async def get(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, bearer(request), VIDEO)
        if refused is not None:
            return refused
        return await answer_poll(
            request, upstream, find(request), lambda job: json_answer(task(job)), VIDEO
        )

    def find(request: web.Request) -> Job | None:
        """The task of the path, made with the same key."""
        job = upstream.jobs.find(request.match_info["id"])
        return job if job is not None and is_own(job, bearer(request)) else None

    def is_own(job: Job, secret: str | None) -> bool:
        return (
            job.media_type is MediaType.VIDEO
            and job.owner == secret
            and job.created_at > upstream.clock() - RECORD_KEPT_S
        )

    async def show_list(request: web.Request) -> web.StreamResponse:
        """Full tasks with their results, the newest first."""
        secret = bearer(request)
        refused = admit(upstream, CallKind.LIST, secret, VIDEO)
        if refused is not None:
            return refused
        query = request.query
        try:
            number = get_whole(query, "page_num", default=1, least=1, strict=False)
            size = get_whole(
                query, "page_size", default=20, least=1, most=MOST_LISTED, strict=False
            )
        except BadInput as error:
            return bad_request(error)
        ids = query.getall("filter.task_ids", [])
        known = [upstream.jobs.find(task_id) for task_id in dict.fromkeys(ids)]
        found = [
            job
            for job in (known if ids else upstream.jobs)
            if job is not None and is_own(job, secret) and matches(job, request)
        ]
        page = found[(number - 1) * size : number * size]
        return await answer_polls(
            request,
            upstream,
            page,
            lambda jobs: json_answer(
                {"total": len(found), "items": [task(job) for job in jobs]}
            ),
            VIDEO,
        )

    def matches(job: Job, request: web.Request) -> bool:
        query = request.query
        told = {
            "filter.status": status_of(job),
            "filter.model": job.model,
            "filter.service_tier": job.extra["echo"]["service_tier"],
        }
        return all(query.get(name) in {None, value} for name, value in told.items())

    async def delete(request: web.Request) -> web.StreamResponse:
        """Cancels a task that waits, removes the record of one that has ended."""
        refused = admit(upstream, CallKind.CANCEL, bearer(request), VIDEO)
        if refused is not None:
            return refused
        job = find(request)
        if job is None:
            return VIDEO.not_found()
        match status_of(job):
            case "queued":
                job.cancel(upstream.clock())
            case "running":
                text = "a running task cannot be deleted"
                return problem(409, "InvalidAction.RunningTaskDeletion", text)
            case "cancelled":
                text = "a cancelled task cannot be deleted"
                return problem(409, "InvalidAction.CancelledTaskDeletion", text)
            case _:
                upstream.jobs.delete(job.id)
        return json_answer({})

    def is_expired(job: Job) -> bool:
        ends_at = job.created_at + job.extra["expires_after_s"]
        return job.cancelled_at is None and min(job.ends_at, upstream.clock()) > ends_at

    def status_of(job: Job) -> str:
        return EXPIRED if is_expired(job) else WORDS[job.phase(upstream.clock())]

    def task(job: Job) -> dict[str, Any]:
        """The record of a task; only one that succeeded has content and usage."""
        status = upstream.status_word(job, WORDS)
        if is_expired(job):
            status = EXPIRED
        shown = head(job, status)
        echo = dict(job.extra["echo"])
        if status == "succeeded":
            file_format = echo.get("output_format", "mp4")
            content = {"video_url": file_url(job, 0, file_format)}
            if job.extra["last_frame"]:
                content["last_frame_url"] = file_url(job, 0, "png")
            tokens = video_tokens(job)
            usage = {"completion_tokens": tokens, "total_tokens": tokens}
            return {**shown, "content": content, "usage": usage, **echo}
        if status == "failed":
            blocked = job.failure is Failure.BLOCKED
            return {**shown, "error": BLOCKED_VIDEO if blocked else FAILED}
        return running_task(job, status)

    def running_task(job: Job, status: str) -> dict[str, Any]:
        """The record of a task that has not ended, or not by itself."""
        told = ("service_tier", "execution_expires_after", "generate_audio", "draft")
        echo = job.extra["echo"]
        return {
            **head(job, status),
            **{name: echo[name] for name in told if name in echo},
        }

    def head(job: Job, status: str) -> dict[str, Any]:
        return {
            "id": job.id,
            "model": job.model,
            "status": status,
            "error": None,
            "created_at": int(job.created_at),
            "updated_at": int(min(upstream.clock(), job.ends_at)),
        }

    def message(
        job: Job, phase: JobPhase | None, _keys: SigningKeys, _now: float
    ) -> WebhookMessage | None:
        """The task as a poll showed it when it came into that state, or at its end.

        That a cancelled task calls home is not documented: it does not.
        """
        if job.cancelled_at is not None or upstream.jobs.find(job.id) is None:
            return None
        shown = running_task(job, WORDS[phase]) if phase is not None else task(job)
        return WebhookMessage(json.dumps(shown).encode())

    def message_of(job: Job, told: Any) -> partial[WebhookMessage | None]:
        return partial(message, job, None if told is None else JobPhase(told))

    upstream.message_of = message_of

    async def generate(request: web.Request) -> web.StreamResponse:
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, IMAGE)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            model = get_text(body, "model")
            rule = find_image_rule(model)
            if rule is None:
                return no_model(model)
            wanted = read_images(body, rule)
        except BadInput as error:
            return bad_request(error)

        def accept() -> Job:
            return upstream.accept(
                request,
                f"img-{secrets.token_hex(12)}",
                prompt=wanted.prompt,
                media_type=MediaType.IMAGE,
                model=model,
                width=wanted.width,
                height=wanted.height,
                count=wanted.count,
                secret=secret or "",
            )

        async def respond(job: Job) -> web.StreamResponse:
            items = [await image(job, index, wanted) for index in range(job.count)]
            if wanted.stream:
                return await stream(request, job, items)
            return json_answer(
                {
                    "model": job.model,
                    "created": int(job.created_at),
                    "data": items,
                    "usage": image_usage(job, items),
                }
            )

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, IMAGE, waits=True
        )

    async def image(job: Job, index: int, wanted: WantedImages) -> dict[str, Any]:
        """One element of `data`."""
        if job.output_fails(index):
            return {"error": BLOCKED_IMAGE}
        told = {"size": f"{job.width}x{job.height}"}
        if wanted.inline:
            data = await make_output(job, index, wanted.image_format)
            return {"b64_json": base64.b64encode(data).decode(), **told}
        return {"url": file_url(job, index, wanted.image_format), **told}

    def image_usage(job: Job, items: list[dict[str, Any]]) -> dict[str, int]:
        made = sum(1 for item in items if "error" not in item)
        tokens = made * math.ceil(job.width * job.height / 256)
        return {
            "generated_images": made,
            "output_tokens": tokens,
            "total_tokens": tokens,
        }

    async def stream(
        request: web.Request, job: Job, items: list[dict[str, Any]]
    ) -> web.StreamResponse:
        """Server-sent events: one for each image, one at the end, `[DONE]`."""
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        told = {"model": job.model, "created": int(job.created_at)}
        for index, item in enumerate(items):
            word = "failed" if "error" in item else "succeeded"
            kind = f"image_generation.partial_{word}"
            event = {"type": kind, **told, "image_index": index, **item}
            await reply.write(f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode())
        kind = "image_generation.completed"
        event = {"type": kind, **told, "usage": image_usage(job, items)}
        await reply.write(f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode())
        await reply.write(b"data: [DONE]\n\n")
        return reply

    async def media(request: web.Request) -> web.StreamResponse:
        """A result file; its link is good byte for byte only."""
        job = upstream.jobs.find(request.match_info["id"])
        if request.rel_url.raw_query_string != SIGNED:
            return VIDEO.expired()
        file_format = request.match_info["format"]
        wanted = MediaType.IMAGE if file_format in {"png", "jpeg"} else MediaType.VIDEO
        return await answer_media(
            request,
            upstream,
            job,
            int(request.match_info["index"]),
            "mp4" if file_format == "mov" else file_format,
            VIDEO,
            media_type=wanted,
        )

    return [
        web.post(TASKS, create),
        web.get(TASKS, show_list),
        web.get(TASKS + "/{id}", get),
        web.delete(TASKS + "/{id}", delete),
        web.post("/api/v3/images/generations", generate),
        web.get(r"/files/{id}/{index:\d{1,3}}.{format:png|jpeg|mp4|mov}", media),
    ]
