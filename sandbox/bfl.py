"""Black Forest Labs in the sandbox: tasks of every model, results and credits.

`/bfl` stands for api.bfl.ai, `/bfl/eu2` for the cluster its tasks live in, and
`/bfl/delivery` for the host of results. A task is known at the address that its submit
answer names; at api.bfl.ai only when that answer named none, which is so when a
callback was asked for. Wire format: docs.bfl.ai (generating images, get result, FLUX 3,
tools), api.bfl.ai/openapi.json and github.com/black-forest-labs/skills (callbacks; of
two descriptions of their signature it is the HMAC), read 2026-11.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
)
from sandbox.answers import json_answer as answer
from sandbox.bfl_rules import RULES, VIDEO_MODEL, BadImage, find_problems, shape
from sandbox.inputs import BadInput, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.webhooks import SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "Pending",
    JobPhase.RUNNING: "Generating",
    JobPhase.SUCCEEDED: "Ready",
    JobPhase.FAILED: "Error",
}
REASONING = {**WORDS, JobPhase.RUNNING: "Reasoning"}
MODERATED = {True: "Request Moderated", False: "Content Moderated"}
CREDITS = 4.0
MEGAPIXEL = 1_000_000
SIDES = {"hd": 720, "fhd": 1080, "qhd": 1440, "uhd": 2160}
IMAGE_SIDES = {"768sq": 768, "1k": 1024, "1.5k": 1536, "2k": 2048, "4k": 4096}
FILMS = frozenset({VIDEO_MODEL, "flux-tools/video-upscale-v1"})
FILM_SECONDS = 5.0
NO_TASK = "Task not found"


def refusal(
    status: int, detail: Any, headers: Mapping[str, str] | None = None
) -> web.Response:
    return answer({"detail": detail}, status, headers)


def no_task(task_id: str = "") -> web.Response:
    return answer(told(task_id, NO_TASK), 404)


REFUSALS = Refusals(
    unauthorized=lambda: refusal(422, "Invalid API key format"),
    forbidden=lambda: refusal(403, "Not authenticated"),
    rate_limit=lambda: refusal(
        429, "Too many active tasks: at most 24", {"Retry-After": "1"}
    ),
    quota=lambda: refusal(402, "Insufficient credits"),
    bad_request=lambda message: refusal(400, message),
    server_error=lambda status: refusal(
        status, "Internal Server Error", {"Retry-After": "1"} if status == 503 else None
    ),
    not_found=no_task,
)


def told(task_id: str, status: str, **more: Any) -> dict[str, Any]:
    """A task as a look shows it."""
    return {
        "id": task_id,
        "status": status,
        "result": None,
        "progress": None,
        "details": None,
        "preview": None,
        **more,
    }


def size_of(model: str, body: Mapping[str, Any]) -> tuple[int, int]:
    """The pixels of the result; a side that is not given follows from the shape."""
    width, height = body.get("width") or 0, body.get("height") or 0
    if width and height:
        return int(width), int(height)
    default = 16 / 9 if model in FILMS or model.endswith("ultra") else 1.0
    ratio = shape(body.get("aspect_ratio")) or default
    level = str(body.get("resolution") or "")
    if model in FILMS:
        short = SIDES.get(level, 720)
        long = round(short * max(ratio, 1 / ratio))
        return (long, short) if ratio >= 1 else (short, long)
    side = IMAGE_SIDES.get(level, 1024)
    return round(side * math.sqrt(ratio)), round(side / math.sqrt(ratio))


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The paths of BFL, without the provider's prefix."""

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        key = request.headers.get("x-key")
        if not key:
            upstream.ledger.count(upstream.name, kind)
            return REFUSALS.forbidden()
        return admit(upstream, kind, key, REFUSALS)

    async def submit(request: web.Request) -> web.StreamResponse:
        model = request.match_info["model"]
        if model not in RULES:  # before the key is looked at
            upstream.ledger.count(upstream.name, CallKind.SUBMIT)
            return refusal(404, "Not Found")
        if (refusing := refused(request, CallKind.SUBMIT)) is not None:
            return refusing
        try:
            body = await read_json(request)
            problems = find_problems(model, body)
        except BadImage as error:
            return refusal(400, str(error))
        except BadInput as error:
            wrong = {"type": "json_invalid", "loc": ["body", 0], "msg": str(error)}
            return refusal(422, [{**wrong, "input": {}}])
        if problems:
            return refusal(422, problems)
        hook = str(body.get("webhook_url") or "")
        prompt = str(body.get("prompt") or "")

        def accept() -> Job:
            width, height = size_of(model, body)
            seconds = body.get("duration")
            job = upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=prompt,
                media_type=MediaType.VIDEO if model in FILMS else MediaType.IMAGE,
                model=model,
                width=width,
                height=height,
                seconds=float(seconds) if isinstance(seconds, int) else FILM_SECONDS,
                secret=request.headers["x-key"],
                extra={
                    "ending": body.get("output_format") or "png",
                    "seed": body.get("seed"),
                    "sig": secrets.token_hex(8),
                    "hook": hook,
                    "secret": str(body.get("webhook_secret") or ""),
                    "draft": body.get("draft") is True,
                },
            )
            if hook:
                upstream.call_back(job, hook, partial(message, job))
            return job

        def respond(job: Job) -> web.StreamResponse:
            cost = {
                "cost": CREDITS,
                "input_mp": 0.0,
                "output_mp": round(job.width * job.height / MEGAPIXEL, 2),
            }
            if hook:
                status = WORDS[JobPhase.QUEUED]
                return answer(
                    {"id": job.id, "status": status, "webhook_url": hook, **cost}
                )
            url = f"{job.base_url}/eu2/v1/get_result?id={job.id}"
            return answer({"id": job.id, "polling_url": url, **cost})

        return await answer_submit(request, upstream, prompt, accept, respond, REFUSALS)

    async def look(request: web.Request) -> web.StreamResponse:
        return await look_in(request, at_cluster=True)

    async def look_everywhere(request: web.Request) -> web.StreamResponse:
        return await look_in(request, at_cluster=False)

    async def look_in(request: web.Request, *, at_cluster: bool) -> web.StreamResponse:
        if (refusing := refused(request, CallKind.POLL)) is not None:
            return refusing
        task_id = request.query.get("id", "")
        job = upstream.jobs.find(task_id)
        if job is None or not (at_cluster or job.extra["hook"]):
            return no_task(task_id)
        return await answer_poll(request, upstream, job, task, REFUSALS)

    def task(job: Job) -> web.StreamResponse:
        now = upstream.clock()
        is_third = job.model.startswith("flux-3") and job.percent(now) < 50
        status = upstream.status_word(job, REASONING if is_third else WORDS, now)
        running = status in {REASONING[JobPhase.RUNNING], WORDS[JobPhase.RUNNING]}
        if status == WORDS[JobPhase.SUCCEEDED]:
            return answer(told(job.id, status, result=result(job), cost=CREDITS))
        if status == WORDS[JobPhase.FAILED] and job.failure is Failure.BLOCKED:
            why = {"Moderation Reasons": ["Derivative Works Filter"]}
            return answer(told(job.id, MODERATED[job.script.blocked], details=why))
        if status == WORDS[JobPhase.FAILED]:
            # a failed task comes with the status of a wrong field
            text = "The task could not be completed"
            return answer(told(job.id, status, details={"error": text}), 422)
        progress = job.percent(now) / 100 if running else None
        return answer(told(job.id, status, progress=progress))

    def result(job: Job) -> dict[str, Any]:
        ending = "mp4" if job.media_type is MediaType.VIDEO else job.extra["ending"]
        link = f"{job.base_url}/delivery/{job.id}/sample.{ending}"
        more: dict[str, Any] = {}
        if job.extra["draft"]:
            more["draft_cache"] = f"draft-{job.id}"
        return {
            "sample": f"{link}?se=600&sig={job.extra['sig']}%3D",
            "prompt": job.prompt,
            "seed": job.extra["seed"],
            "start_time": job.starts_at,
            "end_time": job.ends_at,
            "duration": job.ends_at - job.starts_at,
            **more,
        }

    def message(job: Job, keys: SigningKeys, now: float) -> WebhookMessage:
        """Signed with the client's own secret; `[webhook forged]` with another."""
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")[:-6] + "Z"
        body: dict[str, Any] = {"id": job.id, "status": "Ready"}
        if job.failure is None:
            body["result"] = result(job)
        else:
            code = "generation_failed"
            if job.failure is Failure.BLOCKED:
                code = "content_policy_violation"
            body |= {"status": "Error", "error": code, "message": "It was not made."}
        content = json.dumps({**body, "timestamp": at}).encode()
        secret = job.extra["secret"].encode()
        if not secret:
            return WebhookMessage(content)
        key = secret if keys is upstream.keys else keys.secret
        signature = hmac.new(key, content, hashlib.sha256).hexdigest()
        return WebhookMessage(content, {"X-BFL-Signature": f"sha256={signature}"})

    async def file(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        signed = request.rel_url.raw_query_string
        if job is not None and signed != f"se=600&sig={job.extra['sig']}%3D":
            return REFUSALS.expired()
        ending = request.match_info["ending"]
        return await answer_media(request, upstream, job, 0, ending, REFUSALS)

    async def left(request: web.Request) -> web.StreamResponse:
        return refused(request, CallKind.OTHER) or answer({"credits": 123.4})

    upstream.message_of = lambda job, _: partial(message, job)
    return [
        web.get("/v1/credits", left),
        web.get("/v1/get_result", look_everywhere),
        web.get("/eu2/v1/get_result", look),
        web.get("/delivery/{id}/sample.{ending:[a-z0-9]{3,4}}", file),
        web.post("/v1/{model:.+}", submit),
    ]
