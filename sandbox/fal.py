"""fal in the sandbox: the queue, the synchronous host, the storage and the key set.

`/fal` stands for queue.fal.run, `/fal/run` for fal.run, `/fal/rest` for rest.fal.ai and
`/fal/cdn` for v3.fal.media. Wire format: docs.fal.ai (queue, webhooks, errors, request
errors, platform headers) and the Python client 1.0.3, read 2026-11.
"""

import asyncio
import base64
import json
import secrets
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from sandbox.answers import (
    BAD_SECRET,
    EMPTY_SECRET,
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    caller_is_gone,
    json_answer,
    make_output,
)
from sandbox.fal_schemas import DOCS, Problem, pixels, schema_of, seconds
from sandbox.inputs import BadInput, bearer, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.media import CONTENT_TYPES
from sandbox.webhooks import SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "IN_QUEUE",
    JobPhase.RUNNING: "IN_PROGRESS",
    JobPhase.SUCCEEDED: "COMPLETED",
    JobPhase.FAILED: "COMPLETED",
    JobPhase.CANCELLED: "COMPLETED",
}
OWNERS = frozenset(
    {
        "alibaba",
        "bria",
        "bytedance",
        "cassetteai",
        "comfy",
        "decart",
        "fal-ai",
        "google",
        "half-moon-ai",
        "imagineart",
        "luma",
        "minimax",
        "mirelo-ai",
        "moonvalley",
        "openai",
        "openrouter",
        "resemble-ai",
        "sonilo",
        "topaz",
        "veed",
        "wan",
        "workflows",
        "xai",
    }
)
NAMESPACES = frozenset({"workflows", "comfy"})
APP = r"{app:(?:(?:workflows|comfy)/[^/]+/[^/]+|[^/]+/[^/]+)}"
RESULT_KEPT_S = 3600.0
USER_ID = "sandbox|user"
UPLOADS_MOST_BYTES = 200 * 1000**2
MOST_OUTPUTS = 16
STEPS = 28
STREAM_STEP_S = 0.1


def key_of(request: web.Request) -> str | None:
    """The key of `Authorization: Key <id>:<secret>`, or None when it is not so.

    The keys that the sandbox refuses may be written with or without a second part.
    """
    key = bearer(request, "Key")
    if key is None:
        return None
    key_id, colon, secret = key.partition(":")
    if key_id in {BAD_SECRET, EMPTY_SECRET}:
        return key_id
    return key if key_id and colon and secret else None


def answer(body: Any, status: int = 200, **headers: str) -> web.Response:
    """JSON of fal itself, which a proxy's page is not: it has a request id."""
    named = {f"x-fal-{name.replace('_', '-')}": text for name, text in headers.items()}
    return json_answer(body, status, {"x-fal-request-id": str(uuid.uuid4()), **named})


def request_error(
    status: int, kind: str, message: str, retryable: bool = False
) -> web.Response:
    """An error of the queue: a text and its type, which a header repeats."""
    return answer(
        {"detail": message, "error_type": kind},
        status,
        error_type=kind,
        retryable=str(retryable).lower(),
    )


def model_error(
    status: int, problems: list[Problem], retryable: bool = False
) -> web.Response:
    """An error of a model: a list of what is wrong."""
    return answer(
        {"detail": problems},
        status,
        error_type=problems[0]["type"],
        retryable=str(retryable).lower(),
    )


def one_problem(kind: str, message: str, *loc: str) -> list[Problem]:
    return [{"loc": list(loc), "msg": message, "type": kind, "url": DOCS + kind}]


BLOCKED = one_problem(
    "content_policy_violation",
    "The content was flagged by a content checker and cannot be processed.",
    "body",
    "prompt",
)
FAILED = one_problem(
    "internal_server_error", "The model stopped with an error.", "body"
)
SERVER_ERRORS = {
    500: "internal_server_error",
    502: "runner_incomplete_response",
    503: "runner_connection_error",
    504: "request_timeout",
}
EMPTY_ACCOUNT = (
    "User is locked. Reason: Exhausted balance. "
    "Top up your balance at fal.ai/dashboard/billing."
)
BAD_KEY = "No user found for Key ID and Secret"
BAD_HEADER = (
    "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."
)

REFUSALS = Refusals(
    unauthorized=lambda: answer({"detail": BAD_KEY}, 401),
    forbidden=lambda: answer({"detail": "User is locked. Reason: ADMIN."}, 403),
    rate_limit=lambda: request_error(
        429, "concurrent_requests_limit", "Too many concurrent requests", True
    ),
    quota=lambda: answer({"detail": EMPTY_ACCOUNT}, 403),
    bad_request=lambda message: request_error(400, "bad_request", message),
    # a page of nginx without an id would say that the queue never saw the submit
    server_error=lambda status: request_error(
        status, SERVER_ERRORS[status], "Something went wrong", True
    ),
    not_found=lambda: answer({"detail": "Request not found"}, 404),
    failed=lambda job: model_error(500, FAILED, True),
    blocked_result=lambda job: model_error(422, BLOCKED),
)


class Uploads:
    """Files of clients, the oldest make room for new ones."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._bytes = 0

    def put(self, name: str, content_type: str, data: bytes) -> None:
        self._bytes += len(data) - len(self._files.pop(name, ("", b""))[1])
        self._files[name] = (content_type, data)
        while self._bytes > UPLOADS_MOST_BYTES:
            self._bytes -= len(self._files.popitem(last=False)[1][1])

    def find(self, name: str) -> tuple[str, bytes] | None:
        return self._files.get(name)


def app_of(path: str) -> str | None:
    """Owner and app of an endpoint, or None when nobody offers it here."""
    parts = path.split("/")
    count = 3 if parts[0] in NAMESPACES else 2
    if len(parts) < count or not all(parts) or parts[0].lower() not in OWNERS:
        return None
    return "/".join(parts[:count])


def prompt_of(body: Mapping[str, Any]) -> str:
    """What the tags are read from, wherever the endpoint has its text."""
    for name in ("prompt", "text", "gen_text", "script", "lyrics_prompt"):
        if isinstance(body.get(name), str):
            return str(body[name])
    return ""


def file_ending(body: Mapping[str, Any], media_type: MediaType, path: str) -> str:
    """The format of the output by the input and the endpoint's default."""
    if media_type is MediaType.VIDEO:
        return "mp4"
    asked = body.get("output_format")
    if media_type is MediaType.IMAGE:
        default = "png" if "banana" in path or "gpt" in path else "jpeg"
        return asked if asked in {"png", "jpeg", "webp"} else default
    setting = body.get("audio_setting")
    if isinstance(setting, dict):
        asked = setting.get("format")
    word = str(asked or "mp3").partition("_")[0]
    return word if word in {"mp3", "wav", "opus", "flac", "pcm"} else "mp3"


def start_deadline_s(request: web.Request) -> float | None:
    """The client's own limit for the wait until processing starts."""
    try:
        return float(request.headers.get("X-Fal-Request-Timeout", ""))
    except ValueError:
        return None


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """fal's paths, without the provider's prefix."""
    uploads = Uploads()

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        secret = key_of(request)
        refusal = admit(upstream, kind, secret, REFUSALS)
        if refusal is not None and scheme.lower() == "key" and key and not secret:
            return answer({"detail": BAD_HEADER}, 401)
        return refusal

    async def submit(request: web.Request) -> web.StreamResponse:
        return await start(request, waits=False)

    async def run(request: web.Request) -> web.StreamResponse:
        return await start(request, waits=True)

    async def start(request: web.Request, *, waits: bool) -> web.StreamResponse:
        refusal = refused(request, CallKind.SUBMIT)
        if refusal is not None:
            return refusal
        path = request.match_info["path"].strip("/")
        app = app_of(path)
        if app is None:
            return answer({"detail": f"Application '{path}' not found"}, 404)
        hook = request.query.get("fal_webhook", "")
        if hook and not hook.startswith(("http://", "https://")):
            return REFUSALS.bad_request("fal_webhook must be a URL")
        try:
            body = await read_json(request)
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        schema = schema_of(path)
        # the queue takes any input; the endpoint refuses it when it runs
        problems = schema.problems(body)
        if problems and waits:
            return model_error(422, problems)
        prompt = prompt_of(body)
        deadline_s = start_deadline_s(request)

        def accept() -> Job:
            width, height = (
                (1024, 1024) if problems else pixels(body, schema.media_type)
            )
            asked = body.get("num_images")
            count = asked if isinstance(asked, int) and not problems else 1
            extra = {
                "app": app,
                "problems": problems,
                "format": file_ending(body, schema.media_type, path),
                "sync_mode": body.get("sync_mode") is True,
                "seed": body.get("seed"),
                "timed_out": False,
            }
            job = upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=prompt,
                media_type=schema.media_type,
                model=path,
                width=width,
                height=height,
                seconds=seconds(body, schema.media_type),
                count=min(max(count, 1), MOST_OUTPUTS),
                secret=key_of(request) or "",
                extra=extra,
            )
            if deadline_s is not None and job.starts_at - job.created_at > deadline_s:
                job.starts_at = job.ends_at = job.created_at + deadline_s
                extra["timed_out"] = True
            if hook:
                upstream.call_back(job, hook, partial(webhook, job))
            return job

        async def respond(job: Job) -> web.StreamResponse:
            if waits:
                return answer(await output(job), billable_units=units(job))
            submitted: dict[str, Any] = {
                "status": "IN_QUEUE",
                "request_id": job.id,
                **links(job),
                "logs": None,
                "metrics": {},
                "queue_position": 0,
            }
            if hook:
                submitted["gateway_request_id"] = job.id
            return answer(submitted)

        return await answer_submit(
            request, upstream, prompt, accept, respond, REFUSALS, waits=waits
        )

    def find(request: web.Request) -> Job | None:
        job = upstream.jobs.find(request.match_info["id"])
        if job is None or job.extra["app"] != request.match_info["app"]:
            return None
        if upstream.clock() > job.ends_at + RESULT_KEPT_S:
            return None
        return job

    async def status(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.POLL)
        if refusal is not None:
            return refusal
        with_logs = request.query.get("logs", "").lower() in {"1", "true"}

        def respond(job: Job) -> web.Response:
            shown = state(job, with_logs)
            return answer(shown, 200 if shown["status"] == "COMPLETED" else 202)

        return await answer_poll(request, upstream, find(request), respond, REFUSALS)

    async def stream(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.POLL)
        if refusal is not None:
            return refusal
        job = find(request)
        if job is None:
            return REFUSALS.not_found()
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        while not caller_is_gone(request):
            shown = state(job, with_logs=False)
            await reply.write(f"data: {json.dumps(shown)}\n\n".encode())
            if shown["status"] == "COMPLETED":
                break
            await asyncio.sleep(STREAM_STEP_S)
        return reply

    async def result(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.RESULT)
        if refusal is not None:
            return refusal
        job = find(request)
        if job is None:
            return REFUSALS.not_found()
        if not job.is_over(upstream.clock()):
            return answer({"detail": "Request is still in progress"}, 400)
        if job.cancelled_at is not None:
            return request_error(499, "client_cancelled", "Request was cancelled")
        if job.extra["timed_out"]:
            reply = request_error(504, "request_timeout", "Request timed out")
            reply.headers["x-fal-request-timeout-type"] = "user"
            return reply
        if job.extra["problems"]:
            return model_error(422, job.extra["problems"])
        if job.failure is not None:
            blocked = job.failure is Failure.BLOCKED
            return model_error(422, BLOCKED) if blocked else model_error(500, FAILED)
        return answer(await output(job), billable_units=units(job))

    async def cancel(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.CANCEL)
        if refusal is not None:
            return refusal
        job = find(request)
        if job is None:
            return answer({"status": "NOT_FOUND"}, 404)
        if not job.cancel(upstream.clock()):
            return answer({"status": "ALREADY_COMPLETED"}, 400)
        return answer({"status": "CANCELLATION_REQUESTED"}, 202)

    async def with_subpath(request: web.Request) -> web.StreamResponse:
        """The endpoint's whole path before `/requests`: only owner and app belong."""
        return refused(request, CallKind.OTHER) or answer(
            {"detail": "Method Not Allowed"}, 405
        )

    def state(job: Job, with_logs: bool) -> dict[str, Any]:
        """The body of a status read; a job that failed is COMPLETED, too."""
        word = upstream.status_word(job, WORDS)
        shown: dict[str, Any] = {"status": word, "request_id": job.id, **links(job)}
        now = upstream.clock()
        if word == "IN_QUEUE":
            return {**shown, "queue_position": 0}
        shown["logs"] = log(job, now) if with_logs else None
        if word == "COMPLETED":
            shown["metrics"] = {"inference_time": round(job.ends_at - job.starts_at, 3)}
            if job.cancelled_at is not None:
                shown["metrics"] = {}
                shown |= {
                    "error": "Request was cancelled by the client",
                    "error_type": "client_cancelled",
                }
            elif job.extra["timed_out"]:
                shown |= {"error": "Request timed out", "error_type": "request_timeout"}
        return shown

    def log(job: Job, now: float) -> list[dict[str, str]]:
        """One line, as the models write them: progress is told nowhere else."""
        step = STEPS * job.percent(now) // 100
        return [
            {
                "message": f"step {step}/{STEPS}",
                "level": "INFO",
                "source": "USER",
                "timestamp": "2026-11-22T10:11:12.345678Z",
            }
        ]

    def webhook(job: Job, keys: SigningKeys, now: float) -> WebhookMessage | None:
        """The callback of a request that has ended; a cancelled one has none."""
        if job.cancelled_at is not None:
            return None
        told: dict[str, Any] = {"request_id": job.id, "gateway_request_id": job.id}
        problems = job.extra["problems"]
        if job.extra["timed_out"]:
            told |= {"status": "ERROR", "error": "Invalid status code: 504"}
            told["payload"] = {
                "detail": "Request timed out",
                "error_type": "request_timeout",
            }
        elif problems or job.failure is Failure.BLOCKED:
            told |= {"status": "ERROR", "error": "Invalid status code: 422"}
            told["payload"] = {"detail": problems or BLOCKED}
        elif job.failure is not None:
            told |= {"status": "ERROR", "error": "Invalid status code: 500"}
            told["payload"] = {"detail": FAILED}
        elif job.extra["sync_mode"]:
            told |= {"status": "OK", "payload": None}
            told["payload_error"] = "Response payload is not JSON serializable"
        else:
            told |= {"status": "OK", "payload": shape(job, file_urls(job))}
        body = json.dumps(told).encode()
        timestamp = int(now)
        headers = {
            "X-Fal-Webhook-Request-Id": job.id,
            "X-Fal-Webhook-User-Id": USER_ID,
            "X-Fal-Webhook-Timestamp": str(timestamp),
            "X-Fal-Webhook-Signature": keys.ed25519_hex(
                job.id, USER_ID, timestamp, body
            ),
        }
        return WebhookMessage(body, headers)

    async def output(job: Job) -> dict[str, Any]:
        """The result; with `sync_mode` the files themselves are in it."""
        if not job.extra["sync_mode"]:
            return shape(job, file_urls(job))
        ending = job.extra["format"]
        files = [await make_output(job, index, ending) for index in range(job.count)]
        content_type = CONTENT_TYPES[ending]
        encoded = [base64.b64encode(data).decode() for data in files]
        return shape(job, [f"data:{content_type};base64,{text}" for text in encoded])

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        index = int(request.match_info["index"])
        ending = request.match_info["ending"]
        return await answer_media(request, upstream, job, index, ending, REFUSALS)

    async def key_set(request: web.Request) -> web.StreamResponse:
        return json_answer(upstream.keys.jwks())

    async def upload_token(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.UPLOAD)
        if refusal is not None:
            return refusal
        return answer(
            {
                "token": secrets.token_hex(16),
                "token_type": "Bearer",
                "base_url": f"{upstream.base_url(request)}/cdn",
                "expires_at": "2100-01-01T00:00:00+00:00",
            }
        )

    async def initiate_upload(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.UPLOAD)
        if refusal is not None:
            return refusal
        try:
            name = str((await read_json(request))["file_name"])
        except (BadInput, KeyError):
            return model_error(
                422, one_problem("missing", "Field required", "body", "file_name")
            )
        url = f"{upstream.base_url(request)}/cdn/files/b/{new_name(name)}"
        return answer({"upload_url": url, "file_url": url})

    async def put_file(request: web.Request) -> web.StreamResponse:
        upstream.ledger.count(upstream.name, CallKind.UPLOAD)
        name = request.match_info["name"]
        uploads.put(name, request.content_type, await request.read())
        return web.Response()

    async def upload(request: web.Request) -> web.StreamResponse:
        upstream.ledger.count(upstream.name, CallKind.UPLOAD)
        if not bearer(request):
            return answer({"detail": "Missing token"}, 401)
        name = new_name(request.headers.get("X-Fal-File-Name", "upload.bin"))
        uploads.put(name, request.content_type, await request.read())
        return answer(
            {"access_url": f"{upstream.base_url(request)}/cdn/files/b/{name}"}
        )

    async def uploaded(request: web.Request) -> web.StreamResponse:
        file = uploads.find(request.match_info["name"])
        if file is None:
            return REFUSALS.no_file()
        return web.Response(body=file[1], headers={"Content-Type": file[0]})

    upstream.message_of = lambda job, _: partial(webhook, job)
    at = f"/{APP}/requests/{{id}}"
    deeper = r"/{app:.+}/requests/{id}"
    return [
        web.get("/.well-known/jwks.json", key_set),
        web.get("/rest/.well-known/jwks.json", key_set),
        web.post("/rest/storage/auth/token", upload_token),
        web.post("/rest/storage/upload/initiate", initiate_upload),
        web.post("/cdn/files/upload", upload),
        web.put("/cdn/files/b/{name}", put_file),
        web.get("/cdn/files/b/{name}", uploaded),
        web.get(r"/files/b/{id}/{index:\d{1,3}}.{ending:[a-z0-9]{2,4}}", media),
        web.get(at + "/status", status),
        web.get(at + "/status/stream", stream),
        web.get(at, result),
        web.get(at + "/response", result),
        web.put(at + "/cancel", cancel),
        web.get(deeper, with_subpath),
        web.get(deeper + "/status", with_subpath),
        web.put(deeper + "/cancel", with_subpath),
        web.post("/run/{path:.+}", run),
        web.post("/{path:.+}", submit),
    ]


def new_name(name: str) -> str:
    """A name for an upload that nobody guesses, with the ending it had."""
    ending = name.rpartition(".")[2].lower() if "." in name else "bin"
    safe = ending if ending.isascii() and ending.isalnum() else "bin"
    return f"{secrets.token_hex(8)}.{safe}"


def links(job: Job) -> dict[str, str]:
    """The three URLs of a request: owner and app only, whatever the endpoint."""
    url = f"{job.base_url}/{job.extra['app']}/requests/{job.id}"
    return {
        "response_url": url,
        "status_url": f"{url}/status",
        "cancel_url": f"{url}/cancel",
    }


def file_urls(job: Job) -> list[str]:
    ending = job.extra["format"]
    return [
        f"{job.base_url}/files/b/{job.id}/{index}.{ending}"
        for index in range(job.count)
    ]


def units(job: Job) -> str:
    """What is billed: images, or seconds."""
    if job.media_type is MediaType.IMAGE:
        return f"{job.width * job.height * job.count / 1e6:.2f}"
    return f"{job.seconds:.2f}"


def shape(job: Job, urls: list[str]) -> dict[str, Any]:
    """The result in the shape of its endpoint."""
    files: list[dict[str, Any]] = [
        {
            "url": url,
            "content_type": CONTENT_TYPES[job.extra["format"]],
            "file_name": f"{index}.{job.extra['format']}",
        }
        for index, url in enumerate(urls)
    ]
    if job.media_type is MediaType.VIDEO:
        seeded = "seedance" in job.model or "wan" in job.model
        return {"video": files[0], **({"seed": seed_of(job)} if seeded else {})}
    if job.media_type is MediaType.AUDIO:
        measured = "minimax/speech" in job.model
        duration = {"duration_ms": round(1000 * job.seconds)} if measured else {}
        return {"audio": files[0], **duration}
    for file in files:
        file |= {"width": job.width, "height": job.height}
    if "banana" in job.model:  # what fails is missing
        files = [file for i, file in enumerate(files) if not job.output_fails(i)]
        return {"images": files, "description": "Here is the image."}
    return {
        "images": files,
        "seed": seed_of(job),
        # an image that is flagged has been blacked out
        "has_nsfw_concepts": [job.output_fails(index) for index in range(job.count)],
        "prompt": job.prompt,
        "timings": {"inference": round(job.ends_at - job.starts_at, 3)},
    }


def seed_of(job: Job) -> int:
    seed = job.extra["seed"]
    return seed if isinstance(seed, int) else int(job.id[:8], 16)
