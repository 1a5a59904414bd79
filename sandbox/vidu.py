"""Vidu in the sandbox: films, templates, pictures, sounds, and callbacks about them.

Wire format: the pages on each endpoint, queries, lists, cancelling, callback signatures
and error codes of platform.vidu.com (read 2026-11-22). Assumed, since it is not
documented: that a speech refused by moderation is a 400, that a list begins with the
newest task and tells `state` and `payload`, and how long the pauses between callbacks
are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from aiohttp import web

from sandbox import vidu_rules as rules
from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
)
from sandbox.inputs import BadInput, bearer, get_whole, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.vidu_rules import Wanted
from sandbox.webhooks import BuildMessage, SigningKeys, WebhookMessage

ROOT = "/ent/v2"
WORDS = {
    JobPhase.QUEUED: "queueing",
    JobPhase.RUNNING: "processing",
    JobPhase.SUCCEEDED: "success",
    JobPhase.FAILED: "failed",
    JobPhase.CANCELLED: "failed",
}
WORDS_FRESH = {**WORDS, JobPhase.QUEUED: "created"}
REASONS = {
    Failure.BLOCKED: "CreationPolicyViolation",
    Failure.ERROR: "InternalServiceFailure",
}
MADE = {
    "reference2image": MediaType.IMAGE,
    "text2audio": MediaType.AUDIO,
    "timing2audio": MediaType.AUDIO,
    "audio-tts": MediaType.AUDIO,
}
ENDINGS = {MediaType.IMAGE: "png", MediaType.VIDEO: "mp4", MediaType.AUDIO: "mp3"}
SPEECH = "audio-tts"
ACCESS_KEY = "vidu"
SIGNED_HEADERS = "Date;x-request-nonce"
CREDITS = 20
LINK_LIVES_S = 24 * 3600


def refusal(status: int, reason: str, message: str) -> web.Response:
    """An error of the API: its code is the HTTP status again."""
    trace = {"trace_id": secrets.token_hex(16)}
    told = {"code": status, "reason": reason, "message": message, "metadata": trace}
    return json_answer(told, status)


REFUSALS = Refusals(
    unauthorized=lambda: refusal(401, "Unauthorized", "the key is not valid"),
    forbidden=lambda: refusal(403, "Forbidden", "the key has no permission"),
    rate_limit=lambda: refusal(429, "QuotaExceeded", "too many tasks are running"),
    # an account without credits is no 402
    quota=lambda: refusal(400, "CreditInsufficient", "there are no credits left"),
    bad_request=lambda message: refusal(400, "FieldInvalid", message),
    server_error=lambda status: refusal(
        status, "InternalServiceFailure", "internal error"
    ),
    not_found=lambda: refusal(404, "TaskNotFound", "task not found"),
    blocked=lambda: refusal(400, "TaskPromptPolicyViolation", "the prompt is refused"),
    blocked_result=lambda job: refusal(400, "CreationPolicyViolation", "refused"),
)


def refuse(problem: BadInput) -> web.Response:
    reasons = {
        rules.Lacking: "FieldLacking",
        rules.Count: "FieldItemCountOutOfRange",
        rules.BadImage: "ImageFormatInvalid",
    }
    return refusal(400, reasons.get(type(problem), "FieldInvalid"), str(problem))


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Vidu's paths, without the provider's prefix."""

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        return admit(upstream, kind, bearer(request, "Token"), REFUSALS)

    async def submit(request: web.Request) -> web.StreamResponse:
        no = refused(request, CallKind.SUBMIT)
        if no is not None:
            return no
        way = request.match_info["way"]
        try:
            wanted = rules.read(way, await read_json(request))
        except BadInput as problem:
            return refuse(problem)

        def accept() -> Job:
            return accepted(request, way, wanted)

        def respond(job: Job) -> web.Response:
            return json_answer(spoken(job) if way == SPEECH else begun(job, wanted))

        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            accept,
            respond,
            REFUSALS,
            waits=way == SPEECH,
        )

    def accepted(request: web.Request, way: str, wanted: Wanted) -> Job:
        job = upstream.accept(
            request,
            new_id(),
            prompt=wanted.prompt,
            media_type=MADE.get(way, MediaType.VIDEO),
            model=wanted.model or way,
            width=wanted.width,
            height=wanted.height,
            seconds=wanted.seconds,
            reference=wanted.payload or None,
            secret=bearer(request, "Token") or "",
            extra={
                "payload": wanted.payload,
                "off_peak": wanted.told["off_peak"],
                "token": secrets.token_hex(8),
            },
        )
        if hook := wanted.callback_url:
            build = message_of(job, hook)
            upstream.call_back(job, hook, build, at=job.starts_at, told=hook)
            upstream.call_back(job, hook, build, told=hook)
        return job

    def begun(job: Job, wanted: Wanted) -> dict[str, Any]:
        created = datetime.fromtimestamp(job.created_at, UTC)
        return {
            "task_id": job.id,
            "state": "created",
            **wanted.told,
            "credits": CREDITS,
            "created_at": created.isoformat(timespec="milliseconds")[:-6] + "Z",
        }

    def spoken(job: Job) -> dict[str, Any]:
        return {
            "task_id": job.id,
            "state": "success",
            "file_url": link(job, "mp3"),
            "credits": CREDITS,
            "payload": job.extra["payload"],
        }

    async def look(request: web.Request) -> web.StreamResponse:
        no = refused(request, CallKind.POLL)
        if no is not None:
            return no
        job = upstream.jobs.find(request.match_info["id"])
        return await answer_poll(
            request, upstream, job, lambda job: json_answer(task(job)), REFUSALS
        )

    def task(job: Job, *, is_plain: bool = False) -> dict[str, Any]:
        """A task as queries, and plainly as lists and callbacks, show it."""
        now = upstream.clock()
        phase = job.phase(now)
        fresh = now < (job.created_at + job.starts_at) / 2
        words = WORDS_FRESH if fresh else WORDS
        state = words[phase] if is_plain else upstream.status_word(job, words, now)
        code = ""
        if phase is JobPhase.CANCELLED:
            code = "UserCancelled"
        elif phase is JobPhase.FAILED and job.failure is not None:
            code = REASONS[job.failure]
        shown: dict[str, Any] = {
            "id": job.id,
            "state": state,
            "err_code": code,
            "credits": 0 if code else CREDITS,
            "payload": job.extra["payload"],
            "bgm": False,
            "off_peak": job.extra["off_peak"],
            "creations": [],
        }
        if phase is JobPhase.RUNNING:
            shown["progress"] = job.percent(now)
        elif phase is JobPhase.SUCCEEDED:
            shown["creations"] = [creation(job)]
        return shown

    def creation(job: Job) -> dict[str, Any]:
        shown = {"id": f"{job.id[:-1]}7", "url": link(job, ENDINGS[job.media_type])}
        if job.media_type is MediaType.VIDEO:
            shown["cover_url"] = link(job, "jpg")
            shown["watermarked_url"] = link(job, "mp4")
        return shown

    async def tasks(request: web.Request) -> web.StreamResponse:
        """The newest tasks first, by pages; the token is the place to go on from."""
        no = refused(request, CallKind.LIST)
        if no is not None:
            return no
        try:
            size = get_whole(
                request.query, "pager.page_sz", default=10, least=1, strict=False
            )
            begin = get_whole(
                request.query, "pager.page_token", default=0, least=0, strict=False
            )
        except BadInput as problem:
            return refuse(problem)
        if size > 100:
            return refusal(400, "PageSizeOutOfRange", "a page has 100 tasks at most")
        ids, states = (set(request.query.getall(n, ())) for n in ("task_ids", "states"))
        shown = []
        for job in upstream.jobs:
            seen = task(job, is_plain=True)
            if (not ids or job.id in ids) and (not states or seen["state"] in states):
                shown.append({"model": job.model, "prompt": job.prompt, **seen})
        more = begin + size < len(shown)
        return json_answer(
            {
                "tasks": shown[begin : begin + size],
                "next_page_token": str(begin + size) if more else "",
            }
        )

    async def cancel(request: web.Request) -> web.StreamResponse:
        """Only a task that waits can be cancelled."""
        no = refused(request, CallKind.CANCEL)
        if no is not None:
            return no
        try:
            body = await read_json(request)
        except BadInput as problem:
            return refuse(problem)
        job = upstream.jobs.find(request.match_info["id"])
        if job is None:
            return REFUSALS.not_found()
        if body.get("id") != job.id:
            return refusal(400, "FieldInvalid", "id is not the task's")
        now = upstream.clock()
        phase = job.phase(now)
        if phase is not JobPhase.QUEUED or not job.cancel(now):
            word = "scheduled" if phase is JobPhase.RUNNING else WORDS[phase]
            return refusal(400, "BadRequest", f"task state is {word}, can not cancel")
        return json_answer({})

    async def credits(request: web.Request) -> web.StreamResponse:
        remains = [{"type": "metered", "credit_remain": 5000}]
        return refused(request, CallKind.OTHER) or json_answer({"remains": remains})

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        ending = request.match_info["ending"]
        if job is not None and request.rel_url.raw_query_string != signature(job):
            return REFUSALS.expired()
        picture = ending in ("jpg", "png")
        return await answer_media(
            request,
            upstream,
            job,
            0,
            ending,
            REFUSALS,
            media_type=MediaType.IMAGE if picture else None,
        )

    def message_of(job: Job, told: Any) -> BuildMessage:
        """What a query shows, signed with the key of the submit, but for its body."""
        url = str(told)

        def build(keys: SigningKeys, now: float) -> WebhookMessage:
            # a stranger does not know the key
            key = keys.whsec() if job.script.webhook_forged else job.owner
            body = json.dumps(task(job, is_plain=True)).encode()
            return WebhookMessage(body, signed_headers(url, key, now))

        return build

    upstream.message_of = message_of
    ways = "|".join((*rules.WAYS, *rules.READERS))
    return [
        web.get(f"{ROOT}/tasks", tasks),
        web.get(f"{ROOT}/tasks/{{id}}/creations", look),
        web.post(f"{ROOT}/tasks/{{id}}/cancel", cancel),
        web.get(f"{ROOT}/credits", credits),
        web.post(f"{ROOT}/{{way:{ways}}}", submit),
        web.get(r"/files/{id}.{ending:mp4|png|jpg|mp3}", media),
    ]


def signed_headers(url: str, key: str, now: float) -> dict[str, str]:
    """The headers of a callback: time and nonce are signed with method and address."""
    parts = urlsplit(url)
    pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    given = {"Date": formatdate(now, usegmt=True), "x-request-nonce": new_id()}
    lines = ["POST", parts.path or "/", query, ACCESS_KEY, given["Date"]]
    lines += [f"{name}:{given[name]}" for name in SIGNED_HEADERS.split(";")]
    message = "".join(f"{line}\n" for line in lines)
    mac = hmac.digest(key.encode(), message.encode(), hashlib.sha256)
    return {
        "Date": given["Date"],
        "X-Request-Nonce": given["x-request-nonce"],
        "X-HMAC-ALGORITHM": "hmac-sha256",
        "X-HMAC-ACCESS-KEY": ACCESS_KEY,
        "X-HMAC-SIGNED-HEADERS": SIGNED_HEADERS,
        "X-HMAC-SIGNATURE": base64.b64encode(mac).decode(),
    }


def new_id() -> str:
    """Eighteen digits, as the ids of tasks have."""
    return str(10**17 + secrets.randbelow(9 * 10**17))


def signature(job: Job) -> str:
    """The query of a task's links, which counts byte for byte."""
    return f"sig={job.extra['token']}%2B&t={int(job.created_at) + LINK_LIVES_S}"


def link(job: Job, ending: str) -> str:
    return f"{job.base_url}/files/{job.id}.{ending}?{signature(job)}"
