"""Ideogram in the sandbox: three generations of its API, results and the key set.

`/ideogram` stands for api.ideogram.ai and for ideogram.ai, where results are. Wire
format: developer.ideogram.ai (API reference of v1 and v2, legacy endpoints, responses,
errors and billing, webhooks), read 2026-11. Other than the real one it calls back at
plain HTTP too, which is how this machine is reached.
"""

from __future__ import annotations

import json
import math
import secrets
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
from sandbox.ideogram_rules import (
    EDIT,
    LEGACY_MODELS,
    LEGACY_RATIOS,
    MOST_IMAGES,
    V2,
    V3_ACTIONS,
    V4,
    Rules,
    check,
    read_pixels,
)
from sandbox.inputs import (
    BadInput,
    Form,
    get_choice,
    get_flag,
    get_object,
    get_text,
    get_whole,
    read_form,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.webhooks import SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "pending",
    JobPhase.RUNNING: "pending",
    JobPhase.SUCCEEDED: "completed",
    JobPhase.FAILED: "failed",
}
UNSAFE = (
    "Prompt provided failed safety check due to the inclusion of prohibited content."
)
MICROS = 60_000
LINK_S = 24 * 3600


def refusal(
    status: int, text: str, reason: str = "", headers: Mapping[str, str] | None = None
) -> web.Response:
    more = {"reject_reason": reason} if reason else {}
    return answer({"error": text, **more}, status, headers)


def instant(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text[:-6] + "Z"


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The paths of Ideogram, without the provider's prefix."""

    def images_of(job: Job) -> list[dict[str, Any]]:
        return [image_of(job, index) for index in range(job.count)]

    def image_of(job: Job, index: int) -> dict[str, Any]:
        is_safe = job.failure is None and not job.output_fails(index)
        expires_at = math.ceil(job.ends_at) + LINK_S
        url = (
            f"{job.base_url}/api/images/ephemeral/{job.id}/{index}.png"
            f"?exp={expires_at}&sig={job.extra['sig']}%3D"
        )
        return {
            "url": url if is_safe else None,
            "prompt": f"{job.prompt}, in detail",
            "resolution": f"{job.width}x{job.height}",
            "seed": 700 + index,
            "is_image_safe": is_safe,
        }

    def made(job: Job) -> web.Response:
        return answer({"created": instant(job.created_at), "data": images_of(job)})

    refusals = Refusals(
        unauthorized=lambda: answer({"message": "Access denied: bad API key."}, 401),
        forbidden=lambda: refusal(403, "No access to this model"),
        rate_limit=lambda: refusal(
            429, "Too many requests", "inflight_limit", {"Retry-After": "1"}
        ),
        quota=lambda: refusal(402, "Not enough credits", "insufficient_funds"),
        bad_request=lambda message: refusal(400, message),
        server_error=lambda status: refusal(status, "Internal error"),
        not_found=lambda: refusal(404, "Generation not found"),
        blocked=lambda: refusal(422, UNSAFE),
        blocked_result=made,  # a success that holds no image
    )

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        return admit(upstream, kind, request.headers.get("Api-Key"), refusals)

    async def read(request: web.Request) -> Form:
        if request.content_type == "application/json":
            return Form(await read_json(request), ())
        return await read_form(request)

    async def generate_v3(request: web.Request) -> web.StreamResponse:
        return await run(request, V3_ACTIONS[request.match_info["action"]])

    async def generate_v4(request: web.Request) -> web.StreamResponse:
        return await run(request, V4)

    async def start_v4(request: web.Request) -> web.StreamResponse:
        hook = request.query.get("webhook_url", "")
        return await run(request, V4, is_async=True, hook=hook)

    async def edit(request: web.Request) -> web.StreamResponse:
        return await run(request, EDIT)

    async def run_v2(request: web.Request) -> web.StreamResponse:
        key = request.match_info["action"], request.match_info["model"]
        rules = V2.get(key)
        if rules is None:
            return refused(request, CallKind.SUBMIT) or refusal(404, "Not found")
        return await run(request, rules, version="v2")

    async def run(
        request: web.Request,
        rules: Rules,
        *,
        version: str = "v1",
        is_async: bool = False,
        hook: str = "",
    ) -> web.StreamResponse:
        """Check a request, and make its images now or as a job."""
        if (refusing := refused(request, CallKind.SUBMIT)) is not None:
            return refusing
        try:
            form = await read(request)
            check(rules, form)
            fields = form.fields
            if rules is V4 and bool(fields.get("text_prompt")) == bool(
                fields.get("json_prompt")
            ):
                raise BadInput("exactly one of text_prompt and json_prompt is needed")
            if rules is EDIT and not form.files and not fields.get("image_urls"):
                raise BadInput("images is required", "images")
            hook = hook or get_text(fields, "webhook_url", default="")
            is_async = is_async or bool(hook) or get_flag(fields, "async")
        except BadInput as error:
            return refusals.bad_request(str(error))
        if request.query.get("dry_run") == "true":
            return answer({"object": "price_quote", "usd_micros": MICROS})
        prompt = str(fields.get("prompt") or fields.get("text_prompt") or "")
        if fields.get("json_prompt"):
            prompt = json.dumps(fields["json_prompt"])
        model = request.match_info.get("model") or request.path.split("/")[-2]
        return await make(
            request,
            prompt,
            fields,
            model,
            version=version,
            is_async=is_async,
            hook=hook,
        )

    async def legacy(request: web.Request) -> web.StreamResponse:
        if (refusing := refused(request, CallKind.SUBMIT)) is not None:
            return refusing
        try:
            fields = get_object(await read_json(request), "image_request")
            prompt = get_text(fields, "prompt")
            model = get_choice(fields, "model", LEGACY_MODELS, default="V_2")
            get_choice(fields, "aspect_ratio", LEGACY_RATIOS, default=LEGACY_RATIOS[-1])
            get_whole(fields, "num_images", default=1, least=1, most=MOST_IMAGES)
            if fields.get("aspect_ratio") and fields.get("resolution"):
                raise BadInput("resolution cannot be combined with aspect_ratio")
        except BadInput as error:
            return refusals.bad_request(str(error))
        return await make(request, prompt, fields, model)

    async def make(
        request: web.Request,
        prompt: str,
        fields: Mapping[str, Any],
        model: str,
        *,
        version: str = "v1",
        is_async: bool = False,
        hook: str = "",
    ) -> web.StreamResponse:
        def accept() -> Job:
            width, height = read_pixels(fields)
            job = upstream.accept(
                request,
                secrets.token_urlsafe(16),
                prompt=prompt,
                media_type=MediaType.IMAGE,
                model=model,
                width=width,
                height=height,
                count=int(fields.get("num_images") or 1),
                secret=request.headers["Api-Key"],
                extra={"sig": secrets.token_hex(8), "version": version},
            )
            if hook:
                upstream.call_back(job, hook, partial(message, job))
            return job

        def accepted(job: Job) -> web.StreamResponse:
            told: dict[str, Any] = {"generation_id": job.id}
            if version == "v2":
                told |= {"generation_kind": "sampling", "seed": 700}
            else:
                told |= {"status": "pending", "created": instant(job.created_at)}
            return answer(told)

        def finished(job: Job) -> web.StreamResponse:
            if version == "v1":
                return made(job)
            return answer(
                {"generation_id": job.id, "seed": 700, "data": images_of(job)}
            )

        return await answer_submit(
            request,
            upstream,
            prompt,
            accept,
            accepted if is_async else finished,
            refusals,
            waits=not is_async,
        )

    async def look(request: web.Request) -> web.StreamResponse:
        if (refusing := refused(request, CallKind.POLL)) is not None:
            return refusing
        job = upstream.jobs.find(request.match_info["id"])
        return await answer_poll(
            request, upstream, job, lambda job: answer(generation(job)), refusals
        )

    def generation(job: Job) -> dict[str, Any]:
        status = upstream.status_word(job, WORDS)
        told = {
            "generation_id": job.id,
            "status": status,
            "created": instant(job.created_at),
        }
        if status == "failed" and job.failure is Failure.BLOCKED:
            status = told["status"] = "completed"  # with every image withheld
        if status == "completed":
            cost = {"usage_cost_usd_micros": MICROS * job.count}
            return {**told, "response_type": "url", "data": images_of(job), **cost}
        if status == "failed" and job.extra["version"] == "v2":
            told["failure_reason"] = "generation_error"
        return told

    def message(job: Job, keys: SigningKeys, now: float) -> WebhookMessage:
        told: dict[str, Any] = {
            "generation_id": job.id,
            "created": instant(job.created_at),
        }
        if job.failure is not Failure.ERROR:
            told["data"] = images_of(job)
        body = json.dumps(told).encode()
        user_id, timestamp = "dXNlcg", int(now)
        return WebhookMessage(
            body,
            {
                "X-Ideogram-Webhook-Generation-Id": job.id,
                "X-Ideogram-Webhook-User-Id": user_id,
                "X-Ideogram-Webhook-Timestamp": str(timestamp),
                "X-Ideogram-Webhook-Key-Id": keys.key_id,
                "X-Ideogram-Webhook-Signature": keys.ed25519_hex(
                    job.id, user_id, timestamp, body
                ),
            },
        )

    async def file(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        if job is not None:
            signed = request.rel_url.raw_query_string.rpartition("&")[2]
            expires_at = float(request.query.get("exp", "0"))
            is_live = upstream.clock() < expires_at
            if signed != f"sig={job.extra['sig']}%3D" or not is_live:
                return refusals.expired()
        index = int(request.match_info["index"])
        return await answer_media(request, upstream, job, index, "png", refusals)

    async def key_set(request: web.Request) -> web.StreamResponse:
        return answer(upstream.keys.jwks())

    upstream.message_of = lambda job, _: partial(message, job)
    actions = "|".join(V3_ACTIONS)
    return [
        web.post("/generate", legacy),
        web.post("/v1/edit", edit),
        web.post(f"/v1/ideogram-v3/{{action:{actions}}}", generate_v3),
        web.post("/v1/ideogram-v4/generate", generate_v4),
        web.post("/v1/ideogram-v4/async/generate", start_v4),
        web.post("/v2/image/{action}/{model}", run_v2),
        web.get("/{version:v1|v2}/generations/{id}", look),
        web.get("/v1/.well-known/jwks.json", key_set),
        web.get("/.well-known/jwks.json", key_set),
        web.get(r"/api/images/ephemeral/{id}/{index:\d{1,2}}.png", file),
    ]
