"""Zhipu in the sandbox: videos, images and speech of BigModel and Z.ai.

Wire format: the API pages and the error code page of docs.bigmodel.cn, and the client
`zai-sdk` 0.2.3 (read 2026-11-22). Assumed, since it is not documented: the answer for
an unknown id (400 with 1214), that a job which failed by moderation says so in `error`,
and which status the codes about accounts and rights come with. Streams are not
simulated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from sandbox import zhipu_rules as rules
from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
    make_output,
)
from sandbox.inputs import BadInput, bearer, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.media import CONTENT_TYPES
from sandbox.zhipu_rules import Wanted

WORDS = {
    JobPhase.QUEUED: "PROCESSING",
    JobPhase.RUNNING: "PROCESSING",
    JobPhase.SUCCEEDED: "SUCCESS",
    JobPhase.FAILED: "FAIL",
}
RESULTS = {
    MediaType.VIDEO: ("video_result", "mp4"),
    MediaType.IMAGE: ("image_result", "png"),
}
SANDBOX_KEYS = {"sandbox-id": "sandbox-key"}
"""Keys whose second half is known, and so whose signatures are checked."""

Read = Callable[[dict[str, Any]], Wanted]
Respond = Callable[[Job], Any]


def error(status: int, code: int, message: str) -> web.Response:
    """An error of the API; its number is a text."""
    return json_answer({"error": {"code": str(code), "message": message}}, status)


def server_error(status: int) -> web.Response:
    return error(status, 500 if status == 500 else 1234, "internal error, try again")


REFUSALS = Refusals(
    unauthorized=lambda: error(401, 1002, "the token is not valid"),
    forbidden=lambda: error(403, 1220, "no right for this API"),
    rate_limit=lambda: error(429, 1302, "too many requests at once"),
    # arrears have the status of a rate limit
    quota=lambda: error(429, 1113, "the account is in arrears, top it up"),
    bad_request=lambda message: error(400, 1210, message),
    server_error=server_error,
    not_found=lambda: error(400, 1214, "there is no such task"),
    blocked=lambda: error(400, 1301, "unsafe or sensitive content"),
)


def refuse(problem: BadInput) -> web.Response:
    if isinstance(problem, rules.NoModel):
        return error(400, 1211, str(problem))
    if isinstance(problem, rules.TooLong):
        return error(400, 1261, str(problem))
    if str(problem).endswith("is required"):
        return error(400, 1213, str(problem))
    return error(400, 1214 if problem.field else 1210, str(problem))


def read_jwt(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Header and claims of a signed token; None for any other key."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            for part in parts[:2]
        )
    except (ValueError, binascii.Error, RecursionError):
        return None
    both = isinstance(header, dict) and isinstance(claims, dict)
    return (header, claims) if both else None


def is_signed_with(token: str, secret: str) -> bool:
    message, _, given = token.rpartition(".")
    mac = hmac.digest(secret.encode(), message.encode(), hashlib.sha256)
    expected = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    return hmac.compare_digest(expected.encode(), given.rstrip("=").encode())


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Zhipu's paths, without the provider's prefix."""

    def enter(
        request: web.Request, kind: CallKind
    ) -> tuple[str, web.StreamResponse | None]:
        """Whose call it is, and how it is refused if it is."""
        token = bearer(request)
        if token is None:
            upstream.ledger.count(upstream.name, kind)
            return "", error(401, 1001, "there is no Authorization header")
        jwt = read_jwt(token)
        if jwt is None:
            return token, admit(upstream, kind, token, REFUSALS)
        owner = owner_of(token, *jwt)
        refused = admit(upstream, kind, owner, REFUSALS)
        if refused is None and not is_timely(jwt[1].get("exp")):
            refused = error(401, 1003, "the token has expired")
        return owner or "", refused

    def owner_of(
        token: str, header: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> str | None:
        """The key behind a signed token; one that nobody knows counts as existing."""
        key_id = claims.get("api_key")
        if header.get("alg") != "HS256" or header.get("sign_type") != "SIGN":
            return None
        if not isinstance(key_id, str) or not key_id:
            return None
        for key in upstream.secrets:
            for mark in ".:":
                if key.startswith(key_id + mark):
                    return (
                        key if is_signed_with(token, key[len(key_id) + 1 :]) else None
                    )
        secret = SANDBOX_KEYS.get(key_id)
        if secret is not None and not is_signed_with(token, secret):
            return None
        return key_id

    def is_timely(ends: Any) -> bool:
        """Times are milliseconds; one in seconds has long gone."""
        return isinstance(ends, int) and upstream.clock() * 1000 <= ends

    async def start(
        request: web.Request,
        read: Read,
        media_type: MediaType,
        respond: Respond,
        *,
        waits: bool = False,
    ) -> web.StreamResponse:
        """A submit of any API: its key, its parameters, its job."""
        secret, refused = enter(request, CallKind.SUBMIT)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            wanted = read(body)
            reference = rules.read_reference(body)
        except BadInput as problem:
            return refuse(problem)
        if reference and upstream.jobs.find_by_reference(reference):
            return error(400, 1231, f"request_id {reference} was used before")

        def accept() -> Job:
            return upstream.accept(
                request,
                new_id(),
                prompt=wanted.prompt,
                media_type=media_type,
                model=wanted.model,
                width=wanted.width,
                height=wanted.height,
                seconds=wanted.seconds,
                reference=reference,
                secret=secret,
                extra={
                    "request_id": reference or secrets.token_hex(12),
                    "format": wanted.media_format,
                },
            )

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, REFUSALS, waits=waits
        )

    def accepted(job: Job) -> web.Response:
        return json_answer(
            {
                "model": job.model,
                "id": job.id,
                "request_id": job.extra["request_id"],
                "task_status": "PROCESSING",
            }
        )

    async def video(request: web.Request) -> web.StreamResponse:
        return await start(request, rules.read_video, MediaType.VIDEO, accepted)

    async def async_image(request: web.Request) -> web.StreamResponse:
        return await start(request, rules.read_async_image, MediaType.IMAGE, accepted)

    async def image(request: web.Request) -> web.StreamResponse:
        def respond(job: Job) -> web.Response:
            return json_answer(
                {
                    "created": int(job.created_at),
                    "id": job.id,
                    "request_id": job.extra["request_id"],
                    "data": [{"url": link(job, "png")}],
                    "content_filter": [{"role": "assistant", "level": 3}],
                }
            )

        return await start(
            request, rules.read_image_wish, MediaType.IMAGE, respond, waits=True
        )

    async def speech(request: web.Request) -> web.StreamResponse:
        async def respond(job: Job) -> web.Response:
            form = job.extra["format"]
            data = await make_output(job, 0, form)
            return web.Response(body=data, content_type=CONTENT_TYPES[form])

        return await start(
            request, rules.read_speech, MediaType.AUDIO, respond, waits=True
        )

    async def look(request: web.Request) -> web.StreamResponse:
        _, refused = enter(request, CallKind.POLL)
        if refused is not None:
            return refused
        job = upstream.jobs.find(request.match_info["id"])
        if job is not None and job.media_type not in RESULTS:
            job = None
        return await answer_poll(
            request, upstream, job, lambda job: json_answer(state(job)), REFUSALS
        )

    def state(job: Job) -> dict[str, Any]:
        """A job as a look shows it; a failed one without its id."""
        word = upstream.status_word(job, WORDS)
        shown: dict[str, Any] = {
            "model": job.model,
            "request_id": job.extra["request_id"],
            "task_status": word,
        }
        if word == "FAIL":
            if job.failure is Failure.BLOCKED:
                shown["error"] = {"code": "1301", "message": "unsafe content"}
            return shown
        shown["id"] = job.id
        name, ending = RESULTS[job.media_type]
        if word == "SUCCESS":
            result = {"url": link(job, ending)}
            if job.media_type is MediaType.VIDEO:
                result["cover_image_url"] = link(job, "jpeg")
            shown[name] = [result]
        elif job.media_type is MediaType.VIDEO:
            shown[name] = []
        return shown

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        ending = request.match_info["ending"]
        cover = ending in ("jpeg", "png")
        return await answer_media(
            request,
            upstream,
            job,
            0,
            ending,
            REFUSALS,
            media_type=MediaType.IMAGE if cover else None,
        )

    base = "/api/paas/v4"
    return [
        web.post(f"{base}/videos/generations", video),
        web.post(f"{base}/images/generations", image),
        web.post(f"{base}/async/images/generations", async_image),
        web.post(f"{base}/audio/speech", speech),
        web.get(f"{base}/async-result/{{id}}", look),
        web.get(r"/files/{id}.{ending:mp4|png|jpeg}", media),
    ]


def new_id() -> str:
    """Two numbers of 17 and 19 digits, as the ids of jobs are."""
    first = 10**16 + secrets.randbelow(9 * 10**16)
    second = 10**18 + secrets.randbelow(9 * 10**18)
    return f"{first}-{second}"


def link(job: Job, ending: str) -> str:
    return f"{job.base_url}/files/{job.id}.{ending}"
