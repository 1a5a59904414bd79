"""Luma in the sandbox: Dream Machine, and Luma Agents with its files.

`/luma/dream-machine/v1` stands for api.lumalabs.ai/dream-machine/v1, `/luma/agents/v1`
for agents.lumalabs.ai/v1, `/luma/cdn` and `/luma/signed` for the hosts of their
results, `/luma/storage` for the one of uploads. Wire format: docs.lumalabs.ai and the
official clients lumaai 1.21.0 and luma-agents 0.5.0, read 2026-11. Where nothing is
documented, as the bodies of errors of Luma Agents, it is like Dream Machine.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
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
from sandbox.inputs import BadInput, bearer, get_whole, read_form, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.luma_rules import DREAM, Misfit, check_agent
from sandbox.media import NotAnImage, read_image
from sandbox.webhooks import BuildMessage, SigningKeys, WebhookMessage

DREAM_WORDS = {
    JobPhase.QUEUED: "queued",
    JobPhase.RUNNING: "dreaming",
    JobPhase.SUCCEEDED: "completed",
    JobPhase.FAILED: "failed",
}
AGENT_WORDS = {**DREAM_WORDS, JobPhase.RUNNING: "processing"}
REASONS = {
    Failure.BLOCKED: "400: Prompt is blocked by moderation",
    Failure.ERROR: "Job failed",
}
AGENT_REASONS = {
    Failure.BLOCKED: ("content_moderated", "The prompt was refused by moderation."),
    Failure.ERROR: ("generation_failed", "The generation did not work out."),
}
ENDINGS = {MediaType.IMAGE: "jpg", MediaType.VIDEO: "mp4"}
LABELS = ("figure", "table", "background")
CONCEPTS = ("dolly_zoom", "orbit_left", "pan_right", "handheld")
VERSION = "2026-04-01"
LINK_S = 3600
MOST_FILES = 20_000
MOST_LISTED = 100
SIDES = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080, "4k": 2160, "2k": 2048}
DREAM_BASE, AGENTS_BASE = "/dream-machine/v1", "/agents/v1"

answer = json_answer


def agent_answer(body: Any, status: int = 200) -> web.Response:
    return json_answer(body, status, {"X-API-Version": VERSION})


def refusals(told: Callable[[Any, int], web.Response], no_credits: int) -> Refusals:
    """Both APIs refuse with `{"detail": ...}`."""

    def detail(text: str, status: int) -> web.Response:
        return told({"detail": text}, status)

    return Refusals(
        unauthorized=lambda: detail("Invalid API key is provided", 401),
        forbidden=lambda: detail("Invalid API key is provided", 403),
        rate_limit=lambda: detail("Too many requests or concurrent jobs", 429),
        quota=lambda: detail("Insufficient credits", no_credits),
        bad_request=lambda message: detail(message, 400),
        server_error=lambda status: detail("Internal server error", status),
        not_found=lambda: detail("Generation not found", 404),
    )


DREAM_REFUSALS = refusals(answer, 400)
AGENT_REFUSALS = refusals(agent_answer, 402)


def instant(at: float) -> str:
    told = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
    return told.removesuffix("+00:00") + "Z"


def pixels(ratio: Any, side: Any, media_type: MediaType) -> tuple[int, int]:
    """Width and height of that shape, whose shorter side has that many pixels."""
    across, _, down = str(ratio or "16:9").partition(":")
    usual = 1024 if media_type is MediaType.IMAGE else 720
    short, wide, high = SIDES.get(str(side), usual), int(across), int(down)
    scale = short / min(wide, high)
    return round(wide * scale / 2) * 2, round(high * scale / 2) * 2


def signature(job: Job, date: str) -> str:
    return hashlib.sha256(f"{job.extra['token']}.{date}".encode()).hexdigest()


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The paths of both APIs, without the provider's prefix."""
    return [*dream_routes(upstream), *agent_routes(upstream), *file_routes(upstream)]


def find_job(upstream: Upstream, request: web.Request, api: str) -> Job | None:
    """A generation of the caller's, which the other API does not know."""
    job = upstream.jobs.find(request.match_info["id"])
    return job if job and is_of(job, api, bearer(request)) else None


def is_of(job: Job, api: str, owner: str | None) -> bool:
    mine = job.extra["api"] == api and job.owner == owner
    return mine and job.cancelled_at is None


def finished(upstream: Upstream, api: str, owner: str | None, job_id: str) -> bool:
    job = upstream.jobs.find(job_id)
    return (
        job is not None
        and is_of(job, api, owner)
        and job.phase(upstream.clock()) is JobPhase.SUCCEEDED
    )


# Dream Machine


def dream_routes(upstream: Upstream) -> list[web.RouteDef]:
    def misfits(body: Mapping[str, Any], path: str, owner: str | None) -> list[Misfit]:
        def known(_way: str, job_id: str) -> bool:
            return finished(upstream, "dream", owner, job_id)

        return list(DREAM[path](body, known))

    async def submit(path: str, request: web.Request) -> web.StreamResponse:
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, DREAM_REFUSALS)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
        except BadInput as error:
            return DREAM_REFUSALS.bad_request(str(error))
        earlier = None
        if "{id}" in path:
            earlier = find_job(upstream, request, "dream")
            if earlier is None:
                return DREAM_REFUSALS.not_found()
            if not finished(upstream, "dream", secret, earlier.id):
                return DREAM_REFUSALS.bad_request("The generation is not completed")
        if wrong := misfits(body, path, secret):
            return answer({"detail": wrong}, 422)
        made = MediaType.IMAGE if "/image" in path else MediaType.VIDEO
        prompt = str(body.get("prompt") or "")

        def accept() -> Job:
            ratio = body.get("aspect_ratio")
            width, height = pixels(ratio, body.get("resolution"), made)
            if earlier is not None and "resolution" not in body:
                width, height = earlier.width, earlier.height
            job = upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=prompt,
                media_type=made,
                model=str(body.get("model") or (earlier.model if earlier else "")),
                width=width,
                height=height,
                seconds=9.0 if body.get("duration") == "9s" else 5.0,
                secret=secret or "",
                extra={
                    "api": "dream",
                    "request": {"generation_type": made.value, **body},
                    "ending": body.get("format") or ENDINGS[made],
                },
            )
            if body.get("callback_url"):
                call_back(job, str(body["callback_url"]))
            return job

        status = 200 if earlier is not None else 201

        def respond(job: Job) -> web.StreamResponse:
            return answer(view(job, DREAM_WORDS[job.phase(upstream.clock())]), status)

        return await answer_submit(
            request,
            upstream,
            prompt,
            accept,
            respond,
            replace(DREAM_REFUSALS, failed=respond, blocked_result=respond),
            waits=body.get("sync") is True,
        )

    async def read(request: web.Request) -> web.StreamResponse:
        return refused_look(request) or await answer_poll(
            request,
            upstream,
            find_job(upstream, request, "dream"),
            lambda job: answer(view(job)),
            DREAM_REFUSALS,
        )

    def refused_look(request: web.Request) -> web.StreamResponse | None:
        return admit(upstream, CallKind.POLL, bearer(request), DREAM_REFUSALS)

    async def show_list(request: web.Request) -> web.StreamResponse:
        """From the newest to the oldest."""
        owner = bearer(request)
        refused = admit(upstream, CallKind.LIST, owner, DREAM_REFUSALS)
        if refused is not None:
            return refused
        try:
            limit, offset = (
                get_whole(
                    request.query, name, default=usual, least=0, most=most, strict=False
                )
                for name, usual, most in (
                    ("limit", MOST_LISTED, MOST_LISTED),
                    ("offset", 0, 10**9),
                )
            )
        except BadInput as error:
            wrong = {"type": "value_error", "loc": ["query"], "msg": str(error)}
            return answer({"detail": [wrong]}, 422)
        mine = (job for job in upstream.jobs if is_of(job, "dream", owner))
        found = list(islice(mine, offset, offset + limit + 1))

        def respond(jobs: list[Job]) -> web.StreamResponse:
            told = {"limit": limit, "offset": offset, "count": len(jobs)}
            shown = [view(job) for job in jobs]
            return answer(
                {"has_more": len(found) > limit, **told, "generations": shown}
            )

        return await answer_polls(
            request, upstream, found[:limit], respond, DREAM_REFUSALS
        )

    async def delete(request: web.Request) -> web.StreamResponse:
        """Remove a generation, and stop it when it runs; it is unknown from then on."""
        refused = admit(upstream, CallKind.CANCEL, bearer(request), DREAM_REFUSALS)
        if refused is not None:
            return refused
        job = find_job(upstream, request, "dream")
        if job is None:
            return DREAM_REFUSALS.not_found()
        if not job.cancel(upstream.clock()):
            upstream.jobs.delete(job.id)
        return web.Response(status=204)

    def asked(body: Any) -> Callable[[web.Request], Any]:
        async def told(request: web.Request) -> web.StreamResponse:
            refused = admit(upstream, CallKind.OTHER, bearer(request), DREAM_REFUSALS)
            return refused or answer(body)

        return told

    def view(job: Job, state: str | None = None) -> dict[str, Any]:
        """The generation as it is now, or as it was in that state."""
        state = state or upstream.status_word(job, DREAM_WORDS)
        failed = state == "failed" and job.failure is not None
        return {
            "id": job.id,
            "generation_type": job.media_type.value,
            "state": state,
            "failure_reason": REASONS[job.failure] if failed and job.failure else None,
            "created_at": instant(job.created_at),
            "assets": assets(job, state),
            "model": job.model,
            "request": job.extra["request"],
        }

    def assets(job: Job, state: str) -> dict[str, Any] | None:
        """Links; a film has a poster, and a preview that is no result."""
        if state == "dreaming":
            return {"video": None, "image": None, "progress_video": None}
        if state != "completed":
            return None
        files = f"{job.base_url}/cdn/dream_machine/{job.id}"
        if job.media_type is MediaType.IMAGE:
            return {"image": f"{files}/out.{job.extra['ending']}"}
        return {
            "video": f"{files}/out.mp4",
            "image": f"{files}/thumb.jpg",
            "progress_video": f"{files}/progress.mp4",
        }

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        name, ending = request.match_info["name"], request.match_info["ending"]
        made = MediaType.IMAGE if name == "thumb" else None
        return await answer_media(
            request, upstream, job, 0, ending, DREAM_REFUSALS, media_type=made
        )

    def call_back(job: Job, url: str) -> None:
        """At every change of the state, unsigned."""
        for state, at in (("dreaming", job.starts_at), ("", job.ends_at)):
            upstream.call_back(job, url, builder(job, state), at, told=state)

    def builder(job: Job, state: str) -> BuildMessage:
        return partial(message, job, state)

    def message(
        job: Job, state: str, keys: SigningKeys, now: float
    ) -> WebhookMessage | None:
        if upstream.jobs.find(job.id) is None or job.cancelled_at is not None:
            return None
        told = view(job, state or DREAM_WORDS[job.phase(now)])
        return WebhookMessage(json.dumps(told).encode())

    upstream.message_of = lambda job, told: builder(job, str(told or ""))
    base = DREAM_BASE
    return [
        web.get(f"{base}/ping", asked({"message": "pong"})),
        web.get(f"{base}/credits", asked({"credit_balance": 1234.5})),
        web.get(f"{base}/generations/concepts/list", asked(list(CONCEPTS))),
        *(web.post(f"{base}{path}", partial(submit, path)) for path in DREAM),
        web.get(f"{base}/generations", show_list),
        web.get(f"{base}/generations/{{id}}", read),
        web.delete(f"{base}/generations/{{id}}", delete),
        web.get(
            "/cdn/dream_machine/{id}/{name:out|thumb|progress}.{ending:[a-z0-9]{3,4}}",
            media,
        ),
    ]


# Luma Agents


def agent_routes(upstream: Upstream) -> list[web.RouteDef]:
    files = upstream.shelf("files", MOST_FILES)

    async def submit(request: web.Request) -> web.StreamResponse:
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, AGENT_REFUSALS)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
        except BadInput as error:
            return AGENT_REFUSALS.bad_request(str(error))

        def known(way: str, given: str) -> bool:
            if way == "generation_id":
                return finished(upstream, "agents", secret, given)
            file = files.find(given)
            return bool(file) and (file["owner"], file["state"]) == (secret, "ready")

        if wrong := list(check_agent(body, known)):
            return agent_answer({"detail": wrong}, 422)
        kind, prompt = str(body.get("type") or "image"), str(body["prompt"])
        made = MediaType.VIDEO if kind.startswith("video") else MediaType.IMAGE
        options = body.get("video") or body.get("layering") or {}

        def accept() -> Job:
            side = options.get("resolution")
            width, height = pixels(body.get("aspect_ratio") or "1:1", side, made)
            ending = {"png": "png", "jpeg": "jpg"}.get(body.get("output_format") or "")
            if kind == "layering":
                ending = "png"  # of the usual formats the one with transparency
            return upstream.accept(
                request,
                str(uuid.uuid4()),
                prompt=prompt,
                media_type=made,
                model=str(body.get("model") or "uni-1"),
                width=width,
                height=height,
                seconds=10.0 if options.get("duration") == "10s" else 5.0,
                count=len(LABELS) if kind == "layering" else 1,
                secret=secret or "",
                extra={
                    "api": "agents",
                    "type": kind,
                    "ending": ending or ENDINGS[made],
                    "token": secrets.token_hex(8),
                },
            )

        return await answer_submit(
            request,
            upstream,
            prompt,
            accept,
            lambda job: agent_answer(view(job, AGENT_WORDS[JobPhase.QUEUED]), 201),
            AGENT_REFUSALS,
        )

    async def read(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, bearer(request), AGENT_REFUSALS)
        return refused or await answer_poll(
            request,
            upstream,
            find_job(upstream, request, "agents"),
            lambda job: agent_answer(view(job)),
            AGENT_REFUSALS,
        )

    def view(job: Job, state: str | None = None) -> dict[str, Any]:
        state = state or upstream.status_word(job, AGENT_WORDS)
        code, reason = None, None
        if state == "failed" and job.failure is not None:
            code, reason = AGENT_REASONS[job.failure]
        return {
            "id": job.id,
            "created_at": instant(job.created_at),
            "model": job.model,
            "state": state,
            "type": job.extra["type"],
            "output": list(output(job)) if state == "completed" else None,
            "failure_code": code,
            "failure_reason": reason,
        }

    def output(job: Job) -> Iterator[dict[str, Any]]:
        """Links that are signed anew each time, for an hour."""
        date = str(int(upstream.clock()))
        signed = f"X-Amz-Date={date}&X-Amz-Expires={LINK_S}"
        for index in range(job.count):
            if job.output_fails(index):
                continue
            name = f"{index}.{job.extra['ending']}"
            told: dict[str, Any] = {
                "type": job.media_type.value,
                "url": f"{job.base_url}/signed/{job.id}/{name}"
                f"?{signed}&X-Amz-Signature={signature(job, date)}",
            }
            if job.extra["type"] == "layering":
                told["layer"] = {
                    "index": index,
                    "label": LABELS[index],
                    "description": f"the {LABELS[index]} of {job.prompt}",
                    "alpha_hint": "none" if LABELS[index] == "background" else "soft",
                }
            yield told

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        date = request.query.get("X-Amz-Date", "")
        if job is not None and (
            job.extra["api"] != "agents"
            or request.query.get("X-Amz-Signature") != signature(job, date)
            or upstream.clock() > int(date) + LINK_S
        ):
            return AGENT_REFUSALS.expired()
        index, ending = int(request.match_info["index"]), request.match_info["ending"]
        return await answer_media(request, upstream, job, index, ending, AGENT_REFUSALS)

    return [
        web.post(f"{AGENTS_BASE}/generations", submit),
        web.get(f"{AGENTS_BASE}/generations/{{id}}", read),
        web.get(r"/signed/{id}/{index:\d{1,2}}.{ending:[a-z0-9]{3,4}}", media),
    ]


def file_routes(upstream: Upstream) -> list[web.RouteDef]:
    """Uploads: in the call itself, or at a signed address and then completed."""
    files = upstream.shelf("files", MOST_FILES)

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        return admit(upstream, kind, bearer(request), AGENT_REFUSALS)

    def mine(request: web.Request) -> dict[str, Any] | None:
        file = files.find(request.match_info["id"])
        return file if file and file["owner"] == bearer(request) else None

    def keep(file: dict[str, Any], **changes: Any) -> dict[str, Any]:
        changed = {**file, **changes}
        files.put(changed["id"], changed)
        return changed

    def view(file: Mapping[str, Any]) -> dict[str, Any]:
        inner = {"owner", "arrived"}
        return {name: value for name, value in file.items() if name not in inner}

    async def create(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.UPLOAD)
        if refusal is not None:
            return refusal
        inline = request.content_type.startswith("multipart/")
        try:
            if inline:
                form = await read_form(request)
                told, sent = form.fields, form.files
            else:
                told, sent = await read_json(request), ()
        except BadInput as error:
            return AGENT_REFUSALS.bad_request(str(error))
        if inline and not sent:
            return AGENT_REFUSALS.bad_request("file is required")
        if not inline and not (told.get("mime_type") and told.get("size_bytes")):
            return AGENT_REFUSALS.bad_request("mime_type and size_bytes are required")
        now = upstream.clock()
        file = keep(
            {
                "id": str(uuid.uuid4()),
                "owner": bearer(request),
                "arrived": arrived(sent[0].data) if sent else None,
                "state": "pending",
                "created_at": instant(now),
                "purpose": told.get("purpose") or "reference",
                "filename": sent[0].filename if sent else told.get("filename"),
                "mime_type": sent[0].content_type if sent else told["mime_type"],
                "size_bytes": len(sent[0].data) if sent else told["size_bytes"],
                "user_id": told.get("user_id"),
                "failure_reason": None,
            }
        )
        upload = None
        if inline:
            ingested(file)  # is over by the next call
        else:
            place = f"{upstream.base_url(request)}/storage/{file['id']}"
            upload = {
                "url": f"{place}?X-Amz-Signature={file['id'][:8]}",
                "method": "PUT",
                "headers": {"Content-Type": file["mime_type"]},
                "expires_at": instant(now + LINK_S),
            }
        return agent_answer(
            {
                "id": file["id"],
                "state": "pending",
                "file": view(file),
                "upload": upload,
            },
            201,
        )

    def arrived(data: bytes) -> list[Any]:
        """How many bytes came, and what is wrong with them."""
        try:
            read_image(data)
        except NotAnImage as error:
            return [len(data), str(error)]
        return [len(data), None]

    def ingested(file: dict[str, Any]) -> dict[str, Any]:
        """The file, ready or failed."""
        size, reason = file["arrived"] or (0, "no bytes were received")
        if reason is None and size != file["size_bytes"]:
            reason = "the size is not the one that was announced"
        state = "failed" if reason else "ready"
        return keep(file, state=state, failure_reason=reason)

    async def store(request: web.Request) -> web.StreamResponse:
        """The storage: no key of Luma's, but the address that was signed."""
        upstream.ledger.count(upstream.name, CallKind.UPLOAD)
        file = files.find(request.match_info["id"])
        signed = request.query.get("X-Amz-Signature")
        if (
            file is None
            or signed != file["id"][:8]
            or request.content_type != file["mime_type"]
        ):
            return AGENT_REFUSALS.expired()
        keep(file, arrived=arrived(await request.read()))
        return web.Response()

    async def complete(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.UPLOAD)
        if refusal is not None:
            return refusal
        file = mine(request)
        if file is None:
            return AGENT_REFUSALS.not_found()
        if file["state"] == "pending":
            file = ingested(file)
        return agent_answer(view(file))

    async def read(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.OTHER)
        file = mine(request)
        if refusal is not None or file is None:
            return refusal or AGENT_REFUSALS.not_found()
        return agent_answer(view(file))

    async def delete(request: web.Request) -> web.StreamResponse:
        refusal = refused(request, CallKind.OTHER)
        file = mine(request)
        if refusal is not None or file is None:
            return refusal or AGENT_REFUSALS.not_found()
        deleted_at = instant(upstream.clock())
        return agent_answer(view(keep(file, state="deleted", deleted_at=deleted_at)))

    async def show_list(request: web.Request) -> web.StreamResponse:
        """From the newest to the oldest; a cursor tells how many came before."""
        refusal = refused(request, CallKind.OTHER)
        if refusal is not None:
            return refusal
        try:
            limit, start = (
                get_whole(request.query, name, default=usual, least=least, strict=False)
                for name, usual, least in (("limit", 25, 1), ("cursor", 0, 0))
            )
        except BadInput as error:
            return AGENT_REFUSALS.bad_request(str(error))
        found = [
            file
            for file in reversed(files.things())
            if file["owner"] == bearer(request)
            and all(
                request.query.get(name) in (None, file[name])
                for name in ("purpose", "state")
            )
        ]
        end = start + min(limit, MOST_LISTED)
        more = len(found) > end
        page = [view(file) for file in found[start:end]]
        cursor = str(end) if more else None
        return agent_answer({"data": page, "has_more": more, "next_cursor": cursor})

    base = f"{AGENTS_BASE}/files"
    return [
        web.post(base, create),
        web.get(base, show_list),
        web.get(f"{base}/{{id}}", read),
        web.delete(f"{base}/{{id}}", delete),
        web.post(f"{base}/{{id}}/complete", complete),
        web.put("/storage/{id}", store),
    ]
