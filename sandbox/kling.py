"""Kling: /v1, and the newer standard with the model in the path.

Wire format: kling.ai/document-api, and the client in the GitHub repository
KwaiVGI/ComfyUI-KLingAI-API (read 2026-11-22). The code for a name that is used twice
and the retries of callbacks are assumptions: they are not documented. Callbacks are
always signed, as for an account with a signing secret. The listing of the newer
standard by time (POST /tasks) and the costs of an account are missing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
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
)
from sandbox.inputs import (
    BadInput,
    bearer,
    get_object,
    get_text,
    get_whole,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.kling_rules import (
    LEGACY,
    NEW_MODELS,
    NoModel,
    Wanted,
    read_new,
    source,
    speech,
)
from sandbox.webhooks import SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "submitted",
    JobPhase.RUNNING: "processing",
    JobPhase.SUCCEEDED: "succeed",
    JobPhase.FAILED: "failed",
}
NEW_WORDS = {**WORDS, JobPhase.SUCCEEDED: "succeeded"}
NEW = "new"
SPEECH = "/v1/audio/tts"
SIGNED = "x-oss-expires=2592000&x-oss-signature=k7%2Fq%2B0%3D"
REASONS = {
    Failure.BLOCKED: "Failure to pass the risk control system",
    Failure.ERROR: "The task could not be completed",
}
FILM_STEP = 7
"""A film's id is its task's and this."""
MOST_LISTED = 500
MOST_ASKED = 100
SANDBOX_KEYS = {"sandbox-id": "sandbox-key"}
SPECIAL_KEYS = frozenset({"bad-key", "quota-key"})


def envelope(
    code: int, message: str, status: int = 200, data: Any = None
) -> web.Response:
    """Kling's envelope; an error has no data."""
    body = {"code": code, "message": message, "request_id": secrets.token_urlsafe(16)}
    if code == 0:
        body["data"] = data
    return json_answer(body, status)


def success(data: Any) -> web.Response:
    return envelope(0, "SUCCEED", 200, data)


def bad_request(error: BadInput) -> web.Response:
    if isinstance(error, NoModel):
        return envelope(1203, str(error), 404)
    return envelope(1201, str(error), 400)


def server_error(status: int) -> web.Response:
    code = {503: 5001, 504: 5002}.get(status, 5000)
    return envelope(code, "The service is not available, try again later", status)


REFUSALS = Refusals(
    unauthorized=lambda: envelope(1002, "Authorization is invalid", 401),
    forbidden=lambda: envelope(1103, "no permission for this resource", 403),
    rate_limit=lambda: envelope(1303, "parallel task over resource pack limit", 429),
    quota=lambda: envelope(1102, "Account balance not enough", 429),
    bad_request=lambda message: envelope(1201, message, 400),
    server_error=server_error,
    not_found=lambda: envelope(1201, "Task not found", 400),
    blocked=lambda: envelope(1301, "The prompt did not pass the content check", 400),
)
# a task that is not there is left out
NEW_REFUSALS = replace(REFUSALS, not_found=lambda: success([]))


def read_jwt(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Header and claims of a JWT; None for any other key."""
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


def is_signed_with(token: str, secret_key: str) -> bool:
    message, _, given = token.rpartition(".")
    mac = hmac.digest(secret_key.encode(), message.encode(), hashlib.sha256)
    expected = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    return hmac.compare_digest(expected, given.rstrip("="))


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Kling's paths, without the provider's prefix."""

    def enter(
        request: web.Request, kind: CallKind, standard: str
    ) -> tuple[str, web.StreamResponse | None]:
        """Whose call it is, and how it is refused if it is."""
        token = bearer(request)
        jwt = read_jwt(token) if token else None
        if token is None or jwt is None:
            return token or "", admit(upstream, kind, token, REFUSALS)
        owner = account_of(token, *jwt) if standard != NEW else None
        refused = admit(upstream, kind, owner, REFUSALS)
        if refused is None:
            refused = untimely(jwt[1])
        return owner or "", refused

    def account_of(
        token: str, header: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> str | None:
        """The account behind a JWT, as `access:secret` where the secret is known.

        Any other access key is taken for one that exists, with any secret.
        """
        access_key = claims.get("iss")
        if header.get("alg") != "HS256" or not isinstance(access_key, str):
            return None
        if not access_key or access_key in SPECIAL_KEYS:
            return access_key or None
        pairs = dict(
            secret.split(":", 1) for secret in upstream.secrets if ":" in secret
        )
        secret_key = (pairs or SANDBOX_KEYS).get(access_key)
        if secret_key is None:
            return access_key
        known = is_signed_with(token, secret_key)
        return f"{access_key}:{secret_key}" if known else None

    def untimely(claims: Mapping[str, Any]) -> web.Response | None:
        """The refusal of a token whose time is over or has not come."""
        now = upstream.clock()
        begins, ends = claims.get("nbf", 0), claims.get("exp")
        if not isinstance(begins, int) or not isinstance(ends, int):
            return envelope(1002, "Authorization is invalid", 401)
        if now < begins:
            return envelope(1003, "Authorization is not yet valid", 401)
        if now > ends:
            return envelope(1004, "Authorization has expired", 401)
        return None

    def check_film(film_id: str, owner: str) -> None:
        """A film that is named must be one that this account made."""
        if not film_id:
            return
        number = int(film_id) if film_id.isascii() and film_id.isdigit() else 0
        made = (
            upstream.jobs.find(str(number - FILM_STEP)) if len(film_id) < 30 else None
        )
        if made is None or made.owner != owner:
            raise BadInput("the video does not exist", "video_id")

    def check_name(name: str, owner: str) -> None:
        """A name of the caller's may be used once."""
        named = upstream.jobs.find_by_reference(name) if name else None
        if named is not None and named.owner == owner:
            raise BadInput("external_task_id is already in use", "external_task_id")

    def accept(
        request: web.Request,
        wanted: Wanted,
        owner: str,
        path: str,
        name: str,
        hook: str,
    ) -> Job:
        job = upstream.accept(
            request,
            f"8{secrets.randbelow(10**17):017d}",
            prompt=wanted.prompt,
            media_type=wanted.media_type,
            model=wanted.model,
            width=wanted.width,
            height=wanted.height,
            seconds=wanted.seconds,
            count=wanted.count,
            reference=name or None,
            secret=owner,
            extra={"path": path, **wanted.extra},
        )
        if hook:
            for phase, at in (
                (JobPhase.QUEUED, job.created_at),
                (JobPhase.RUNNING, job.starts_at),
                (None, job.ends_at),
            ):
                build = partial(message, job, phase)
                upstream.call_back(job, hook, build, at=at, told=phase)
        return job

    async def create(request: web.Request, path: str) -> web.StreamResponse:
        owner, refused = enter(request, CallKind.SUBMIT, path)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            wanted = LEGACY[path](body)
            name = get_text(body, "external_task_id", default="")
            hook = get_text(body, "callback_url", default="")
            check_film(wanted.film_id, owner)
            check_name(name, owner)
        except BadInput as error:
            return bad_request(error)
        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            lambda: accept(request, wanted, owner, path, name, hook),
            lambda job: success(brief(job)),
            REFUSALS,
        )

    async def create_new(request: web.Request) -> web.StreamResponse:
        task, model = request.match_info["task"], request.match_info["model"]
        owner, refused = enter(request, CallKind.SUBMIT, NEW)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            wanted = read_new(task, model, body)
            options = get_object(body, "options")
            name = get_text(options, "external_task_id", default="")
            hook = get_text(options, "callback_url", default="")
            check_name(name, owner)
        except BadInput as error:
            return bad_request(error)
        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            lambda: accept(request, wanted, owner, NEW, name, hook),
            lambda job: success(new_brief(job)),
            NEW_REFUSALS,
        )

    async def speak(request: web.Request) -> web.StreamResponse:
        """Speech is in the answer of its own call."""
        owner, refused = enter(request, CallKind.SUBMIT, SPEECH)
        if refused is not None:
            return refused
        try:
            wanted = speech(await read_json(request))
        except BadInput as error:
            return bad_request(error)
        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            lambda: accept(request, wanted, owner, SPEECH, "", ""),
            lambda job: success(full(job)),
            REFUSALS,
            waits=True,
        )

    async def identify_face(request: web.Request) -> web.StreamResponse:
        owner, refused = enter(request, CallKind.OTHER, SPEECH)
        if refused is not None:
            return refused
        try:
            check_film(source(await read_json(request)), owner)
        except BadInput as error:
            return bad_request(error)
        face = {"face_id": "0", "face_image": "", "start_time": 0, "end_time": 5000}
        session_id = f"7{secrets.randbelow(10**17):017d}"
        return success({"session_id": session_id, "face_data": [face]})

    def find(task_id: str, owner: str, path: str) -> Job | None:
        """By either id, of the same account, at the path of its kind."""
        job = upstream.jobs.find(task_id) or upstream.jobs.find_by_reference(task_id)
        known = job is not None and job.owner == owner and job.extra["path"] == path
        return job if known else None

    async def get(request: web.Request, path: str) -> web.StreamResponse:
        owner, refused = enter(request, CallKind.POLL, path)
        if refused is not None:
            return refused
        job = find(request.match_info["id"], owner, path)
        return await answer_poll(
            request, upstream, job, lambda job: success(full(job)), REFUSALS
        )

    async def show_list(request: web.Request, path: str) -> web.StreamResponse:
        owner, refused = enter(request, CallKind.LIST, path)
        if refused is not None:
            return refused
        query = request.query
        try:
            number = get_whole(query, "pageNum", default=1, least=1, strict=False)
            size = get_whole(
                query, "pageSize", default=30, least=1, most=MOST_LISTED, strict=False
            )
        except BadInput as error:
            return bad_request(error)
        found = [
            job
            for job in upstream.jobs
            if job.owner == owner and job.extra["path"] == path
        ]
        page = found[(number - 1) * size : number * size]
        return await answer_polls(
            request,
            upstream,
            page,
            lambda jobs: success([full(job) for job in jobs]),
            REFUSALS,
        )

    async def get_many(request: web.Request) -> web.StreamResponse:
        owner, refused = enter(request, CallKind.POLL, NEW)
        if refused is not None:
            return refused
        query = request.query
        ids = query.get("task_ids") or query.get("external_task_ids") or ""
        asked = list(dict.fromkeys(part for part in ids.split(",") if part))
        if not 0 < len(asked) <= MOST_ASKED:
            return envelope(1201, "task_ids cannot be empty", 400)
        known = [find(task_id, owner, NEW) for task_id in asked]
        return await answer_polls(
            request,
            upstream,
            [job for job in known if job is not None],
            lambda jobs: success([new_full(job) for job in jobs]),
            NEW_REFUSALS,
        )

    def times(job: Job) -> tuple[int, int]:
        """Unix milliseconds of its beginning and of its last change."""
        now = upstream.clock()
        changed = {JobPhase.QUEUED: job.created_at, JobPhase.RUNNING: job.starts_at}
        at = changed.get(job.phase(now), min(now, job.ends_at))
        return int(1000 * job.created_at), int(1000 * at)

    def brief(job: Job) -> dict[str, Any]:
        """What the answer to a submit tells."""
        created_at, updated_at = times(job)
        return {
            "task_id": job.id,
            "task_status": "submitted",
            "task_info": {"external_task_id": job.reference or ""},
            "created_at": created_at,
            "updated_at": updated_at,
        }

    def full(job: Job) -> dict[str, Any]:
        """What a read of a task tells; there is no progress."""
        word = upstream.status_word(job, WORDS)
        created_at, updated_at = times(job)
        failed = word == "failed" and job.failure is not None
        shown = {
            "task_id": job.id,
            "task_status": word,
            "task_status_msg": REASONS[job.failure] if failed and job.failure else "",
            "task_info": {"external_task_id": job.reference or ""},
            "task_result": {},
            "created_at": created_at,
            "updated_at": updated_at,
        }
        if word == "succeed":
            shown |= {
                "watermark_info": {"enabled": False},
                "final_unit_deduction": units(job),
                "final_balance_deduction": {"quota": "", "list_price": ""},
                "task_result": result(job),
            }
        return shown

    def made(job: Job) -> list[int]:
        return [index for index in range(job.count) if not job.output_fails(index)]

    def result(job: Job) -> dict[str, Any]:
        if job.media_type is MediaType.VIDEO:
            return {"videos": [film(job)]}
        if job.media_type is MediaType.IMAGE:
            name = "series_images" if job.extra.get("series") else "images"
            return {
                name: [
                    {
                        "index": index,
                        "url": file_url(job, index, "png"),
                        "watermark_url": "",
                    }
                    for index in made(job)
                ]
            }
        length = f"{job.seconds:g}"
        if job.extra["path"] == SPEECH:
            url = file_url(job, 0, "mp3")
            return {"audios": [{"id": job.id, "url": url, "duration": length}]}
        told = {
            "url_mp3": file_url(job, 0, "mp3"),
            "url_wav": file_url(job, 0, "wav"),
            "duration_mp3": length,
            "duration_wav": length,
        }
        if not job.extra.get("dubbed"):
            return {"audios": [{"id": job.id, **told}]}
        dubbed = {"video_id": film_id(job), "video_url": file_url(job, 0, "mp4")}
        return {"audios": [{"audio_id": job.id, **told, **dubbed}]}

    def film(job: Job) -> dict[str, Any]:
        return {
            "id": film_id(job),
            "url": file_url(job, 0, "mp4"),
            "watermark_url": "",
            "duration": f"{job.seconds:.3f}",
        }

    def new_brief(job: Job) -> dict[str, Any]:
        created_at, updated_at = times(job)
        return {
            "id": job.id,
            "status": "submitted",
            "create_time": created_at,
            "update_time": updated_at,
            "external_id": job.reference or "",
        }

    def new_full(job: Job) -> dict[str, Any]:
        word = upstream.status_word(job, NEW_WORDS)
        shown = {**new_brief(job), "status": word, "message": ""}
        if word == "failed" and job.failure is not None:
            shown["message"] = REASONS[job.failure]
        if word == "succeeded":
            shown["outputs"] = [{"type": "video", **film(job)}]
            shown["billing"] = [
                {
                    "charge_type": "unit",
                    "cash_type": "",
                    "amount": units(job),
                    "currency": "",
                    "package_type": "video",
                    "list_price": "",
                }
            ]
        return shown

    def message(
        job: Job, phase: JobPhase | None, keys: SigningKeys, now: float
    ) -> WebhookMessage | None:
        """The task without its envelope; nothing when its time is over."""
        if upstream.jobs.find(job.id) is None:
            return None
        if phase is not None and job.phase(now) is not phase:
            return None
        told = new_full(job) if job.extra["path"] == NEW else full(job)
        body = json.dumps(told).encode()
        # the same for every try of one message
        message_id = f"{job.id}{list(WORDS).index(job.phase(now))}"
        headers = keys.standard_headers(message_id, int(now), body)
        return WebhookMessage(body, headers)

    def message_of(job: Job, told: Any) -> partial[WebhookMessage | None]:
        return partial(message, job, None if told is None else JobPhase(told))

    upstream.message_of = message_of

    async def media(request: web.Request) -> web.StreamResponse:
        """A file; its link is signed, and good byte for byte only."""
        if request.rel_url.raw_query_string != SIGNED:
            return REFUSALS.expired()
        job = upstream.jobs.find(request.match_info["id"])
        index = int(request.match_info["index"])
        ending = request.match_info["ending"]
        of_film = ending == "mp4" and job is not None
        media_type = MediaType.VIDEO if of_film else None
        return await answer_media(
            request, upstream, job, index, ending, REFUSALS, media_type=media_type
        )

    async def no_path(request: web.Request) -> web.StreamResponse:
        _, refused = enter(request, CallKind.OTHER, SPEECH)
        return refused or envelope(1202, "the method or path does not exist", 404)

    def at(path: str) -> list[web.RouteDef]:
        """The routes of one kind of task under /v1.

        The official client asks for some with two slashes.
        """

        async def create_here(request: web.Request) -> web.StreamResponse:
            return await create(request, path)

        async def list_here(request: web.Request) -> web.StreamResponse:
            return await show_list(request, path)

        async def get_here(request: web.Request) -> web.StreamResponse:
            return await get(request, path)

        return [
            web.post(path, create_here),
            web.get(path, list_here),
            web.get(path + "/{id}", get_here),
            web.get(path + "//{id}", get_here),
        ]

    return [
        *(route for path in LEGACY for route in at(path)),
        web.post(SPEECH, speak),
        web.post("/v1/videos/identify-face", identify_face),
        web.get("/tasks", get_many),
        web.post(f"/{{task:{'|'.join(NEW_MODELS)}}}/{{model}}", create_new),
        web.get(r"/files/{id}/{index:\d{1,3}}.{ending:mp4|png|mp3|wav}", media),
        web.route("*", "/{path:.*}", no_path),
    ]


def film_id(job: Job) -> str:
    return str(int(job.id) + FILM_STEP)


def file_url(job: Job, index: int, ending: str) -> str:
    return f"{job.base_url}/files/{job.id}/{index}.{ending}?{SIGNED}"


def units(job: Job) -> str:
    """What is billed, a decimal text."""
    return f"{job.seconds * 0.7:g}" if job.media_type is MediaType.VIDEO else "1"
