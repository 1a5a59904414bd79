"""Runway in the sandbox: tasks of every path, uploads and the organization.

`/runway/v1` stands for api.dev.runwayml.com/v1, `/runway/files` for the hosts of
results, `/runway/storage` for the one of uploads. Wire format: docs.dev.runwayml.com
(API of version 2024-11-06, errors, task failures, uploads) and the Python client
5.24.0, read 2026-11.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.answers import Refusals, admit, answer_media, answer_poll, answer_submit
from sandbox.answers import json_answer as answer
from sandbox.inputs import BadInput, bearer, read_form, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.media import NotAnImage, read_image
from sandbox.runway_forms import FORMS, Form
from sandbox.shelf import Shelf

WORDS = {
    JobPhase.QUEUED: "PENDING",
    JobPhase.RUNNING: "RUNNING",
    JobPhase.SUCCEEDED: "SUCCEEDED",
    JobPhase.FAILED: "FAILED",
    JobPhase.CANCELLED: "CANCELLED",
}
MADE = {
    "image_upscale": MediaType.IMAGE,
    "sound_effect": MediaType.AUDIO,
    "text_to_image": MediaType.IMAGE,
    "text_to_speech": MediaType.AUDIO,
}
ENDINGS = {MediaType.IMAGE: "png", MediaType.VIDEO: "mp4", MediaType.AUDIO: "mp3"}
VERSION = "2024-11-06"
DOCS = "https://docs.dev.runwayml.com/api"
CREDITS = 30
MOST_OUTPUTS = 10
MOST_UPLOADS = 20_000
LONGEST_TEXT = 32_000
TYPES: Mapping[str, tuple[type, ...]] = {
    "promptText": (str,),
    "promptImage": (str, list),
    "ratio": (str,),
    "seed": (int,),
    "outputCount": (int,),
    "referenceImages": (list,),
    "videoUri": (str,),
    "promptVideo": (str,),
    "imageUri": (str,),
    "voice": (dict,),
    "character": (dict,),
    "reference": (dict,),
    "audio": (bool,),
    "speed": (int, float),
}
"""Of the fields that have one type wherever they are."""

Issue = dict[str, Any]


def problem(
    status: int, message: str, issues: list[Issue] | None = None
) -> web.Response:
    """An error of the API; only its text is sure."""
    told: dict[str, Any] = {"error": message, "docUrl": DOCS}
    return answer({**told, "issues": issues} if issues else told, status)


REFUSALS = Refusals(
    unauthorized=lambda: problem(401, "The API key is missing or is not valid."),
    forbidden=lambda: problem(403, "This key may not do that."),
    rate_limit=lambda: problem(429, "Too many requests; try again later."),
    # an empty account is no 402
    quota=lambda: problem(400, "You do not have enough credits to run this task."),
    bad_request=lambda message: problem(400, message),
    server_error=lambda status: problem(status, "Something went wrong."),
    not_found=lambda: problem(404, "There is no such task."),
)
FAILURES = {
    Failure.BLOCKED: ("SAFETY.INPUT.TEXT", "The prompt was flagged."),
    Failure.ERROR: ("INTERNAL.BAD_OUTPUT.01", "The output was not usable."),
}


def find_form(path: str, model: Any) -> Form | None:
    for form in FORMS:
        if form.path == path and model in form.models.split():
            return form
    return None


def issue(name: str, code: str, message: str) -> Issue:
    return {"code": code, "path": [name], "message": message}


def check(body: Mapping[str, Any], form: Form, uploads: Shelf) -> Iterator[Issue]:
    """What does not fit the form: unknown and missing fields, types, words, images."""
    fields = form.fields.split()
    names = {name.rstrip("*") for name in fields}
    for name in body:
        if name not in names and name != "model":
            yield issue(name, "unrecognized_keys", f"Unrecognized key: {name}")
    for name in fields:
        if name.endswith("*") and body.get(name[:-1]) in (None, "", []):
            yield issue(name[:-1], "invalid_type", "Invalid input: it is required")
    for name, value in body.items():
        allowed = form.words.get(name, "").split()
        if allowed and str(value) not in allowed:
            yield issue(name, "invalid_value", f"Invalid option: one of {allowed}")
        types = TYPES.get(name)
        if types and (
            not isinstance(value, types)
            or (isinstance(value, bool) and bool not in types)
        ):
            yield issue(name, "invalid_type", "Invalid input")
    duration = body.get("duration")
    if duration is not None and duration != "auto":
        whole = isinstance(duration, int) and not isinstance(duration, bool)
        if not whole and not (
            form.path == "sound_effect" and isinstance(duration, float)
        ):
            yield issue("duration", "invalid_type", "Invalid input: expected int")
    text = body.get("promptText")
    most = 1000 if form.models.startswith(("gen", "veo")) else LONGEST_TEXT
    if isinstance(text, str) and len(text.encode("utf-16-le")) // 2 > most:
        yield issue("promptText", "too_big", f"Too big: at most {most} characters")
    for name, url in images_of(body):
        yield from check_image(name, url, uploads)


def images_of(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every input image with the field it is in."""
    for name in ("promptImage", "referenceImages", "imageUri"):
        given = body.get(name)
        for item in given if isinstance(given, list) else [given]:
            if item is not None:
                yield name, item.get("uri") if isinstance(item, dict) else item


def check_image(name: str, url: Any, uploads: Shelf) -> Iterator[Issue]:
    """An input image is an address, or data that is one, or was uploaded."""
    if isinstance(url, str) and url.startswith("https://"):
        return
    if isinstance(url, str) and url.startswith("runway://"):
        if uploads.find(url.removeprefix("runway://")) is not True:
            yield issue(name, "custom", "There is no such upload")
    elif isinstance(url, str) and url.startswith("data:image/"):
        try:
            read_image(url)
        except NotAnImage as error:
            yield issue(name, "custom", str(error))
    else:
        yield issue(name, "invalid_format", "Invalid URL: HTTPS, data or an upload")


def pixels(ratio: Any) -> tuple[int, int]:
    across, _, down = str(ratio).partition(":")
    if not across.isdigit() or not down.isdigit():
        return 1280, 720
    width, height = int(across), int(down)
    factor = 1 if width >= 64 else 40  # "16:9" is a shape, not a size
    return width * factor, height * factor


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Runway's paths, without the provider's prefix."""
    uploads = upstream.shelf("uploads", MOST_UPLOADS)

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        refusal = admit(upstream, kind, bearer(request), REFUSALS)
        if refusal is None and request.headers.get("X-Runway-Version") != VERSION:
            return problem(400, "The X-Runway-Version header is not a valid version.")
        return refusal

    async def submit(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.SUBMIT)
        if refusal is not None:
            return refusal
        path = request.match_info["path"]
        try:
            body = await read_json(request)
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        form = find_form(path, body.get("model"))
        if form is None:
            wrong = issue("model", "invalid_union", "No matching discriminator")
            return problem(400, "Validation of body failed", [wrong])
        issues = list(check(body, form, uploads))
        if issues:
            return problem(400, "Validation of body failed", issues)
        prompt = str(body.get("promptText") or "")
        media_type = MADE.get(path, MediaType.VIDEO)

        def accept() -> Job:
            width, height = pixels(body.get("ratio"))
            seconds = body.get("duration")
            return upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=prompt,
                media_type=media_type,
                model=str(body["model"]),
                width=width,
                height=height,
                seconds=float(seconds) if isinstance(seconds, int | float) else 5.0,
                count=min(max(int(body.get("outputCount") or 1), 1), MOST_OUTPUTS),
                secret=bearer(request) or "",
                extra={"token": secrets.token_hex(8)},
            )

        def respond(job: Job) -> web.StreamResponse:
            return answer({"id": job.id, "estimatedCost": {"credits": CREDITS}})

        return await answer_submit(request, upstream, prompt, accept, respond, REFUSALS)

    def find(request: web.Request) -> Job | None:
        job = upstream.jobs.find(request.match_info["id"])
        return job if job is not None and job.cancelled_at is None else None

    def bad_id(request: web.Request) -> web.StreamResponse | None:
        try:
            uuid.UUID(request.match_info["id"])
        except ValueError:
            wrong = issue("id", "invalid_format", "Invalid UUID")
            return problem(400, "Validation of params failed", [wrong])
        return None

    async def read(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.POLL) or bad_id(request)
        if refusal is not None:
            return refusal
        return await answer_poll(
            request, upstream, find(request), lambda job: answer(task(job)), REFUSALS
        )

    async def delete(request: web.Request) -> web.StreamResponse:
        """Cancel a task, or remove one that has ended: it is unknown from then on."""
        refusal = refused(request, CallKind.CANCEL) or bad_id(request)
        if refusal is not None:
            return refusal
        job = find(request)
        if job is None:
            return REFUSALS.not_found()
        if not job.cancel(upstream.clock()):
            upstream.jobs.delete(job.id)
        return web.Response(status=204)

    def task(job: Job) -> dict[str, Any]:
        now = upstream.clock()
        status = upstream.status_word(job, WORDS, now)
        created = datetime.fromtimestamp(job.created_at, UTC)
        told: dict[str, Any] = {
            "id": job.id,
            "status": status,
            "createdAt": created.isoformat(timespec="milliseconds")[:-6] + "Z",
        }
        if not job.is_over(now):
            told["estimatedCost"] = {"credits": CREDITS}
        if status == "RUNNING":
            told["progress"] = job.percent(now) / 100
        elif status == "SUCCEEDED":
            told |= {"output": links(job), "cost": {"credits": CREDITS}}
        elif status == "FAILED" and job.failure is not None:
            code, message = FAILURES[job.failure]
            kept = job.failure is Failure.BLOCKED  # an input's moderation is billed
            told |= {"failure": message, "failureCode": code}
            told["cost"] = {"credits": CREDITS if kept else 0}
        return told

    def links(job: Job) -> list[str]:
        return [
            f"{job.base_url}/files/{job.id}/{index}.{ENDINGS[job.media_type]}"
            f"?_jwt={job.extra['token']}%2B"
            for index in range(job.count)
            if not job.output_fails(index)
        ]

    async def media(request: web.Request) -> web.StreamResponse:
        job = find(request)
        signed = request.rel_url.raw_query_string
        if job is not None and signed != f"_jwt={job.extra['token']}%2B":
            return REFUSALS.expired()
        index, ending = int(request.match_info["index"]), request.match_info["ending"]
        return await answer_media(request, upstream, job, index, ending, REFUSALS)

    async def upload(request: web.Request) -> web.StreamResponse:
        """A place for a file; the official client reads the same address as `uri`."""
        refusal = refused(request, CallKind.UPLOAD)
        if refusal is not None:
            return refusal
        try:
            body = await read_json(request)
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        if not body.get("filename") or body.get("type") != "ephemeral":
            return problem(400, "Validation of body failed")
        key = secrets.token_hex(16)
        uploads.put(key, False)
        return answer(
            {
                "uploadUrl": f"{upstream.base_url(request)}/storage",
                "fields": {"key": key, "policy": "c2FuZGJveA=="},
                "runwayUri": f"runway://{key}",
            }
        )

    async def store(request: web.Request) -> web.StreamResponse:
        """The storage: no key of Runway's, but all fields that came with the place."""
        upstream.ledger.count(upstream.name, CallKind.UPLOAD)
        try:
            form = await read_form(request)
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        key = form.fields.get("key", "")
        if key not in uploads or not form.fields.get("policy") or not form.files:
            return REFUSALS.expired()
        uploads.put(key, True)
        return web.Response(status=204)

    async def organization(request: web.Request) -> web.StreamResponse:
        limits = {"maxConcurrentGenerations": 2, "maxDailyGenerations": 200}
        return refused(request, CallKind.OTHER) or answer(
            {
                "tier": {"maxMonthlyCreditSpend": 10_000, "models": {"gen4.5": limits}},
                "creditBalance": 5000,
                "usage": {"models": {"gen4.5": {"dailyGenerations": 0}}},
            }
        )

    paths = "|".join(sorted({form.path for form in FORMS}))
    return [
        web.get("/v1/organization", organization),
        web.post("/v1/uploads", upload),
        web.post("/storage", store),
        web.get("/v1/tasks/{id}", read),
        web.delete("/v1/tasks/{id}", delete),
        web.post(f"/v1/{{path:{paths}}}", submit),
        web.get(r"/files/{id}/{index:\d{1,3}}.{ending:[a-z0-9]{2,4}}", media),
    ]
