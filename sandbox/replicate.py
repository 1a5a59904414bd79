"""Replicate in the sandbox: predictions, models, deployments, files and webhooks.

`/replicate/v1` stands for api.replicate.com/v1, `/replicate/delivery` for
replicate.delivery. Wire format: replicate.com/docs (HTTP API, predictions, webhooks,
error codes) and the Python client 1.0.7, read 2026-11.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
    wait_for_end,
)
from sandbox.inputs import (
    BadInput,
    bearer,
    get_list,
    get_object,
    get_text,
    read_form,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.replicate_schemas import MOST_OUTPUTS, Schema, pixels, schema_of
from sandbox.webhooks import SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "starting",
    JobPhase.RUNNING: "processing",
    JobPhase.SUCCEEDED: "succeeded",
    JobPhase.FAILED: "failed",
    JobPhase.CANCELLED: "canceled",
}
EVENTS = ("start", "output", "logs", "completed")
OWNERS = frozenset(
    {
        "black-forest-labs",
        "bytedance",
        "elevenlabs",
        "google",
        "ideogram-ai",
        "kwaivgi",
        "minimax",
        "openai",
        "recraft-ai",
        "wan-video",
    }
)
"""Who offers official models here, which run without a version."""
VERSION = re.compile(r"[0-9a-f]{64}")
NO_VERSION = "0" * 64
REFERENCE = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(:(?P<version>\w+))?", re.ASCII)
WAIT = re.compile(r"\bwait(=(?P<seconds>\d{1,3}))?\b")
LONGEST_WAIT_S = 60
DEADLINE = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
LEAST_DEADLINE_S = 5
DATA_URL_MOST_LENGTH = 256 * 1024 + 64
KEPT_S = 3600.0
FILES_KEPT_S = 24 * 3600.0
MOST_FILES = 20_000
PAGE = 100
STEPS = 20


def problem(status: int, detail: str, title: str = "", **more: Any) -> web.Response:
    """An error of the API, close to RFC 7807."""
    told = {"title": title, "detail": detail, "status": status, **more}
    return json_answer({name: value for name, value in told.items() if value}, status)


def invalid_input(problems: list[str]) -> web.Response:
    detail = "".join(f"- {line}\n" for line in problems)
    return problem(422, detail, "Input validation failed")


def no_version() -> web.Response:
    return problem(
        422,
        "The specified version does not exist "
        "(or perhaps you don't have permission to use it?)",
        "Invalid version or not permitted",
    )


REFUSALS = Refusals(
    unauthorized=lambda: problem(
        401, "You did not pass a valid authentication token", "Unauthenticated"
    ),
    forbidden=lambda: problem(403, "You may not run this model", "Forbidden"),
    # no Retry-After: when to come back is in the text
    rate_limit=lambda: json_answer(
        {"detail": "Request was throttled. Your rate limit resets in ~1s."}, 429
    ),
    quota=lambda: problem(
        402,
        "You have insufficient credit to run this model. "
        "Go to https://replicate.com/account/billing#billing to purchase credit.",
        "Insufficient credit",
    ),
    bad_request=lambda message: problem(400, message, "Bad request"),
    server_error=lambda status: problem(status, "Something went wrong", "Server error"),
    not_found=lambda: problem(404, "The requested resource could not be found."),
)
ERRORS = {
    Failure.BLOCKED: "The input or output was flagged as sensitive. "
    "Please try again with different inputs. (E005)",
    Failure.ERROR: "Prediction interrupted; please retry (code: PA)",
}


def token_of(request: web.Request) -> str | None:
    """The token, under its scheme of today or the older one."""
    return bearer(request) or bearer(request, "Token")


def new_id() -> str:
    """26 lower-case letters and digits."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(secrets.choice(alphabet) for _ in range(26))


def moment(at: float) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def wait_s(request: web.Request) -> int:
    """How long the answer to a submit may wait for the result; 0 is not at all."""
    match = WAIT.search(request.headers.get("Prefer", ""))
    if match is None:
        return 0
    return min(LONGEST_WAIT_S, int(match["seconds"] or LONGEST_WAIT_S))


def deadline_s(request: web.Request) -> float | None:
    """The seconds of `Cancel-After: 1m30s`; BadInput when it is none or too short."""
    text = request.headers.get("Cancel-After")
    if text is None:
        return None
    match = DEADLINE.fullmatch(text.strip())
    hours, minutes, rest = (int(n or 0) for n in match.groups()) if match else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + rest
    if total < LEAST_DEADLINE_S:
        raise BadInput(f"Cancel-After must be at least {LEAST_DEADLINE_S}s")
    return float(total)


def check_webhook(body: dict[str, Any]) -> tuple[str, list[str]]:
    """Where to call back, and for which events; this machine needs no TLS."""
    url = get_text(body, "webhook", default="")
    parts = urlsplit(url)
    near = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if url and not (parts.scheme == "https" or (near and parts.scheme == "http")):
        raise BadInput("webhook must be an HTTPS URL")
    events = get_list(body, "webhook_events_filter") or list(EVENTS)
    if any(event not in EVENTS for event in events):
        raise BadInput(f"webhook_events_filter may have {', '.join(EVENTS)}")
    return url, events


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Replicate's paths, without the provider's prefix."""
    files = upstream.shelf("files", MOST_FILES)

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        return admit(upstream, kind, token_of(request), REFUSALS)

    async def run_model(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.SUBMIT)
        if refusal is not None:
            return refusal
        if request.match_info["owner"] not in OWNERS:  # a community model: no version
            return REFUSALS.not_found()
        return await start(request, name_of(request))

    async def run_deployment(request: web.Request) -> web.StreamResponse:
        return refused(request, CallKind.SUBMIT) or await start(
            request, name_of(request)
        )

    async def run_version(request: web.Request) -> web.StreamResponse:
        return refused(request, CallKind.SUBMIT) or await start(request, None)

    async def start(request: web.Request, model: str | None) -> web.StreamResponse:
        """Take a prediction; without a model the body names it, or its version."""
        version = "hidden"
        try:
            body = await read_json(request)
            given = get_object(body, "input")
            if "input" not in body:
                raise BadInput("input is required")
            hook, events = check_webhook(body)
            deadline = deadline_s(request)
            if model is None:
                reference = get_text(body, "version")
                match = REFERENCE.fullmatch(reference)
                model = match["name"] if match else "community/model"
                official = match is not None and match["version"] is None
                version = "hidden" if official else reference.rpartition(":")[2]
                known = official and model.partition("/")[0] in OWNERS
                if not known and (
                    not VERSION.fullmatch(version) or version == NO_VERSION
                ):
                    return no_version()
        except BadInput as error:
            return problem(422, str(error), "Validation failed")
        schema = schema_of(model)
        problems = schema.problems(given, files) + long_data(given)
        if problems:
            return invalid_input(problems)
        name, prompt = model, str(given.get(schema.text) or "")

        def accept() -> Job:
            width, height = pixels(given, schema.media_type)
            seconds = given.get("duration")
            asked = given.get("num_outputs")
            count = asked if schema.many and isinstance(asked, int) else 1
            job = upstream.accept(
                request,
                new_id(),
                prompt=prompt,
                media_type=schema.media_type,
                model=name,
                width=width,
                height=height,
                seconds=seconds if isinstance(seconds, int) and seconds > 0 else 5,
                count=min(max(count, 1), MOST_OUTPUTS),
                secret=token_of(request) or "",
                extra={
                    "version": version,
                    "input": shortened(given),
                    "ending": ending_of(given, schema),
                    "many": schema.many,
                    "hook": hook if "completed" in events else "",
                    "deadline": deadline,
                },
            )
            if hook and "start" in events:
                call_back(job, hook, "start", job.starts_at)
            if hook and "completed" in events:
                call_back(job, hook, "completed", None)
            return job

        async def respond(job: Job) -> web.StreamResponse:
            seconds = wait_s(request)
            if not seconds:
                return json_answer(shown(job, created=True), 201)
            try:
                await asyncio.wait_for(wait_for_end(request, upstream, job), seconds)
            except TimeoutError:
                return json_answer(shown(job, created=True), 202)
            return json_answer(shown(job, created=True), 201)

        return await answer_submit(request, upstream, prompt, accept, respond, REFUSALS)

    def call_back(job: Job, url: str, event: str, at: float | None) -> None:
        upstream.call_back(job, url, partial(message, job, event), at, told=event)

    def message(
        job: Job, event: str, keys: SigningKeys, now: float
    ) -> WebhookMessage | None:
        """The prediction as it then is; the end of a cancelled one is told at once."""
        if (job.cancelled_at is not None) != (event == "canceled"):
            return None
        body = json.dumps(shown(job)).encode()
        headers = keys.standard_headers(f"msg_{job.id}_{event}", int(now), body)
        return WebhookMessage(body, headers)

    def find(request: web.Request) -> Job | None:
        return upstream.jobs.find(request.match_info["id"])

    async def read(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.POLL)
        if refusal is not None:
            return refusal
        return await answer_poll(
            request,
            upstream,
            find(request),
            lambda job: json_answer(shown(job)),
            REFUSALS,
        )

    async def list_all(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.LIST)
        if refusal is not None:
            return refusal
        owner = token_of(request)
        jobs = [job for job in upstream.jobs if job.owner == owner]
        cursor = request.query.get("cursor", "")
        try:
            at = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
        except ValueError:
            return problem(400, "The cursor is not valid")
        url = f"{upstream.base_url(request)}/v1/predictions?cursor="
        pages = {
            name: url + base64.urlsafe_b64encode(str(start).encode()).decode()
            for name, start, there in (
                ("next", at + PAGE, at + PAGE < len(jobs)),
                ("previous", at - PAGE, at >= PAGE),
            )
            if there
        }
        results = [shown(job) for job in jobs[at : at + PAGE]]
        return json_answer(
            {"next": None, "previous": None, **pages, "results": results}
        )

    async def cancel(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.CANCEL)
        if refusal is not None:
            return refusal
        job = find(request)
        if job is None:
            return REFUSALS.not_found()
        now = upstream.clock()
        if job.cancel(now) and job.extra["hook"]:
            call_back(job, job.extra["hook"], "canceled", now)
        return json_answer(shown(job))

    def shown(job: Job, *, created: bool = False) -> dict[str, Any]:
        """A prediction; its data is removed an hour after its end.

        The answer that it was created never has a status that nobody knows.
        """
        now = upstream.clock()
        deadline = job.extra["deadline"]
        if deadline is not None and now >= job.created_at + deadline < job.ends_at:
            job.cancel(job.created_at + deadline)
        status = (
            WORDS[job.phase(now)] if created else upstream.status_word(job, WORDS, now)
        )
        over = job.is_over(now)
        ended_at = job.ends_at if job.cancelled_at is None else job.cancelled_at
        if status == "canceled" and deadline and ended_at < job.starts_at:
            status = "aborted"
        removed = over and now > ended_at + KEPT_S
        url = f"{job.base_url}/v1/predictions/{job.id}"
        prediction: dict[str, Any] = {
            "id": job.id,
            "model": job.model,
            "version": job.extra["version"],
            "input": {} if removed else job.extra["input"],
            "logs": None if removed else log(job, now),
            "output": None,
            "data_removed": removed,
            "error": None,
            "source": "api",
            "status": status,
            "created_at": moment(job.created_at),
            "urls": {
                "get": url,
                "cancel": f"{url}/cancel",
                "web": f"https://replicate.com/p/{job.id}",
            },
            "metrics": {},
        }
        if now >= job.starts_at:
            prediction["started_at"] = moment(job.starts_at)
        if over:
            prediction["completed_at"] = moment(ended_at)
            lasted = max(0.0, ended_at - job.starts_at)
            prediction["metrics"] = {
                "predict_time": round(lasted, 6),
                "total_time": round(ended_at - job.created_at, 6),
            }
        if status == "failed" and job.failure is not None:
            prediction["error"] = ERRORS[job.failure]
        if status == "succeeded" and not removed:
            prediction["output"] = output(job)
        return prediction

    def output(job: Job) -> Any:
        """One link, or a list of those that came out."""
        links = [
            f"{job.base_url}/delivery/xezq/{job.id}/out-{index}.{job.extra['ending']}"
            for index in range(job.count)
            if not job.output_fails(index)
        ]
        return links if job.extra["many"] else links[0]

    async def media(request: web.Request) -> web.StreamResponse:
        job = find(request)
        if job is not None and upstream.clock() > job.ends_at + KEPT_S:
            job = None
        index, ending = int(request.match_info["index"]), request.match_info["ending"]
        return await answer_media(request, upstream, job, index, ending, REFUSALS)

    async def upload(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.UPLOAD)
        if refusal is not None:
            return refusal
        try:
            form = await read_form(request)
            (file,) = (file for file in form.files if file.name == "content")
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        except ValueError:
            return REFUSALS.bad_request("Missing content")
        now = upstream.clock()
        file_id = new_id()
        stored = {
            "id": file_id,
            "name": form.fields.get("filename") or file.filename,
            "content_type": form.fields.get("type") or file.content_type,
            "size": len(file.data),
            "etag": hashlib.md5(file.data, usedforsecurity=False).hexdigest(),
            "checksums": {"sha256": hashlib.sha256(file.data).hexdigest()},
            "metadata": {},
            "created_at": moment(now),
            "expires_at": moment(now + FILES_KEPT_S),
            "urls": {"get": f"{upstream.base_url(request)}/v1/files/{file_id}"},
        }
        files.put(file_id, stored)
        return json_answer(stored, 201)

    async def read_file(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.OTHER)
        if refusal is not None:
            return refusal
        stored = files.find(request.match_info["id"])
        return json_answer(stored) if stored else REFUSALS.not_found()

    async def delete_file(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.OTHER)
        if refusal is not None:
            return refusal
        if request.match_info["id"] not in files:
            return REFUSALS.not_found()
        files.take(request.match_info["id"])
        return web.Response(status=204)

    async def model(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.OTHER)
        if refusal is not None:
            return refusal
        if request.match_info["owner"] not in OWNERS:
            return REFUSALS.not_found()
        return json_answer(card(name_of(request)))

    async def account(request: web.Request) -> web.StreamResponse:
        return refused(request, CallKind.OTHER) or json_answer(
            {"type": "user", "username": "sandbox", "name": "Sandbox", "github_url": ""}
        )

    async def webhook_secret(request: web.Request) -> web.StreamResponse:
        return refused(request, CallKind.OTHER) or json_answer(
            {"key": upstream.keys.whsec()}
        )

    upstream.message_of = lambda job, told: partial(message, job, told)
    name = "{owner:[A-Za-z0-9_.-]+}/{name:[A-Za-z0-9_.-]+}"
    return [
        web.get("/v1/account", account),
        web.get("/v1/webhooks/default/secret", webhook_secret),
        web.get(f"/v1/models/{name}", model),
        web.post(f"/v1/models/{name}/predictions", run_model),
        web.post(f"/v1/deployments/{name}/predictions", run_deployment),
        web.post("/v1/predictions", run_version),
        web.get("/v1/predictions", list_all),
        web.get("/v1/predictions/{id}", read),
        web.post("/v1/predictions/{id}/cancel", cancel),
        web.post("/v1/files", upload),
        web.get("/v1/files/{id}", read_file),
        web.delete("/v1/files/{id}", delete_file),
        web.get(
            r"/delivery/xezq/{id}/out-{index:\d{1,3}}.{ending:[a-z0-9]{2,4}}", media
        ),
    ]


def name_of(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"


def long_data(given: dict[str, Any]) -> list[str]:
    """What is too long for a data URL."""
    return [
        f"input.{name}: data URLs may have 256 KB; upload larger files"
        for name, value in given.items()
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str)
        and text.startswith("data:")
        and len(text) > DATA_URL_MOST_LENGTH
    ]


def shortened(given: dict[str, Any]) -> dict[str, Any]:
    """The input as it is told again, without the bytes in it."""

    def shorten(value: Any) -> Any:
        if isinstance(value, str) and value.startswith("data:"):
            return value.partition(",")[0] + ",..."
        return [shorten(each) for each in value] if isinstance(value, list) else value

    return {name: shorten(value) for name, value in given.items()}


def ending_of(given: dict[str, Any], schema: Schema) -> str:
    """The format of the files by the input, else the model's default."""
    asked = given.get("output_format")
    if asked in schema.formats():
        return str(asked)
    usual = {MediaType.IMAGE: ("png", "jpg", "webp"), MediaType.AUDIO: ("mp3", "wav")}
    if asked in usual.get(schema.media_type, ()):
        return str(asked)
    return schema.formats()[0]


def log(job: Job, now: float) -> str:
    """A progress bar, as models write it: progress is told nowhere else."""
    if now < job.starts_at:
        return ""
    percent = job.percent(now)
    step = STEPS * percent // 100
    bar = "█" * (percent // 10)
    return f"Using seed: 9001\n{percent:3d}%|{bar:<10}| {step}/{STEPS} [00:00<00:00]\n"


def card(name: str) -> dict[str, Any]:
    """What is told of a model; its schema says what it takes and makes."""
    schema = schema_of(name)
    link = {"type": "string", "format": "uri"}
    texts = (schema.text, *schema.choices, *schema.images)
    properties: dict[str, Any] = {text: {"type": "string"} for text in texts}
    properties |= {number: {"type": "integer"} for number in schema.wholes}
    properties |= {many: {"type": "array", "items": link} for many in schema.lists}
    version = hashlib.sha256(name.encode()).hexdigest()
    owner, _, short = name.partition("/")
    return {
        "url": f"https://replicate.com/{name}",
        "owner": owner,
        "name": short,
        "description": "A model of the sandbox",
        "visibility": "public",
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 1,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": {
            "id": version,
            "created_at": "2026-01-01T00:00:00.000Z",
            "cog_version": "0.16.0",
            "openapi_schema": {
                "components": {
                    "schemas": {
                        "Input": {
                            "type": "object",
                            "required": [schema.text],
                            "properties": properties,
                        },
                        "Output": {"type": "array", "items": link}
                        if schema.many
                        else link,
                    }
                }
            },
        },
    }
