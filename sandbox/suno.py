"""Suno as the "Suno-API" protocol tells it: songs and lyrics, by submit and fetch.

Under `/suno` it is like new-api and its resellers; under `/suno/original` like the
Suno-API server itself, which differs where a single task is fetched, in some texts, and
in making lyrics while the caller waits.

Wire format: Suno-API/Suno-API and QuantumNous/new-api (sources), new-api-docs
"suno-music" (read 2026-11-22). That callbacks come in the envelope of a task query is
an assumption: it is not documented.
"""

import json
import secrets
import uuid
from collections.abc import Mapping
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
    get_flag,
    get_list,
    get_number,
    get_text,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.webhooks import SigningKeys, WebhookMessage

WORDS = {
    JobPhase.QUEUED: "QUEUED",
    JobPhase.RUNNING: "IN_PROGRESS",
    JobPhase.SUCCEEDED: "SUCCESS",
    JobPhase.FAILED: "FAILURE",
}
FRESH_WORDS = {**WORDS, JobPhase.QUEUED: "NOT_START"}
CLIP_WORDS = {
    JobPhase.QUEUED: "queued",
    JobPhase.RUNNING: "streaming",
    JobPhase.SUCCEEDED: "complete",
    JobPhase.FAILED: "error",
}
REASONS = {
    Failure.BLOCKED: ("moderation_failure", "Song was refused by moderation"),
    Failure.ERROR: ("generation_failed", "Song could not be made"),
}
STATUS_LINES = {
    402: "402 Payment Required",
    403: "403 Forbidden",
    429: "429 Too Many Requests",
}
DEFAULT_VERSION = "chirp-v3-0"
SONG_SECONDS = 20.0
SONGS = 2


def task_error(status: int, code: str, message: str) -> web.Response:
    """The body of a handler that refuses."""
    return json_answer({"code": code, "message": message, "data": None}, status)


def gate_error(status: int, message: str) -> web.Response:
    """The body of a new-api that refuses before its Suno handler."""
    message = f"{message} (request id: {secrets.token_hex(8)})"
    error = {"message": message, "type": "new_api_error", "code": ""}
    return json_answer({"error": error}, status)


def passed_through(status: int) -> web.Response:
    """Suno's own status, of which only the status line is left."""
    line = STATUS_LINES.get(status, f"{status} Server Error")
    return task_error(status, "invalid_request", line)


NEW_API = Refusals(
    unauthorized=lambda: gate_error(401, "Invalid token"),
    forbidden=lambda: gate_error(403, "This token has no access to the model"),
    rate_limit=lambda: task_error(429, "fail_to_fetch_task", "当前分组上游负载已饱和"),
    quota=lambda: task_error(403, "insufficient_user_quota", "user quota is used up"),
    bad_request=lambda message: task_error(400, "invalid_request", message),
    server_error=lambda status: task_error(status, "fail_to_fetch_task", "bad status"),
    not_found=lambda: task_error(400, "task_not_exist", "task_not_exist"),
)
ORIGINAL = Refusals(
    unauthorized=lambda: task_error(
        401, "invalid_request", "unauthorized secret token"
    ),
    forbidden=lambda: passed_through(403),
    rate_limit=lambda: passed_through(429),
    quota=lambda: passed_through(402),
    bad_request=lambda message: task_error(400, "invalid_request", message),
    server_error=lambda status: task_error(status, "internal_error", "task failed"),
    not_found=lambda: task_error(400, "invalid_request", "task not exist"),
)


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The protocol twice: like new-api, and below `/original` like Suno-API."""
    return [
        *server_routes(upstream, "", NEW_API),
        *server_routes(upstream, "/original", ORIGINAL),
    ]


def server_routes(
    upstream: Upstream, prefix: str, refusals: Refusals
) -> list[web.RouteDef]:
    """The paths of one kind of server below its prefix."""
    original = refusals is ORIGINAL

    async def submit(request: web.Request) -> web.StreamResponse:
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, refusals)
        if refused is not None:
            return refused
        action = request.match_info["action"].upper()
        try:
            body = await read_json(request)
            prompt = read_prompt(action, body, original=original)
            version = get_text(body, "mv", default="") or DEFAULT_VERSION
            title = get_text(body, "title", default="")
            tags = get_text(body, "tags", default="")
            # the original server has no such field
            hook = "" if original else get_text(body, "notify_hook", default="")
        except BadInput as error:
            return refusals.bad_request(str(error))
        is_music = action == "MUSIC"

        def accept() -> Job:
            job_id = str(uuid.uuid4()) if original else f"task_{secrets.token_hex(16)}"
            job = upstream.accept(
                request,
                job_id,
                prompt=prompt,
                media_type=MediaType.AUDIO if is_music else MediaType.TEXT,
                model=version if is_music else "suno_lyrics",
                seconds=SONG_SECONDS,
                count=SONGS if is_music else 1,
                secret=secret or "",
                extra={"title": title, "tags": tags, "hook": hook},
            )
            if hook:
                upstream.call_back(job, hook, partial(message, job))
            return job

        def respond(job: Job) -> web.Response:
            return success(job.id)

        return await answer_submit(
            request,
            upstream,
            prompt,
            accept,
            respond,
            refusals,
            waits=original and not is_music,
        )

    async def fetch(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, bearer(request), refusals)
        if refused is not None:
            return refused
        try:
            ids = get_list(await read_json(request), "ids")
        except BadInput as error:
            return refusals.bad_request(str(error))
        found = [upstream.jobs.find(str(job_id)) for job_id in ids]
        return await answer_polls(
            request,
            upstream,
            [job for job in found if job is not None],
            lambda jobs: success([task(job) for job in jobs]),
            refusals,
        )

    async def fetch_one(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, bearer(request), refusals)
        if refused is not None:
            return refused
        job = upstream.jobs.find(request.match_info["id"])
        return await answer_poll(
            request,
            upstream,
            job,
            lambda job: success(task(job)["data"] if original else task(job)),
            refusals,
        )

    async def song(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        index = int(request.match_info["index"])
        return await answer_media(request, upstream, job, index, "mp3", refusals)

    async def cover(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        index = int(request.match_info["index"])
        return await answer_media(
            request, upstream, job, index, "png", refusals, media_type=MediaType.IMAGE
        )

    def task(job: Job) -> dict[str, Any]:
        """The task object: `data` is a list of clips, or one object of lyrics."""
        now = upstream.clock()
        phase = job.phase(now)
        words = FRESH_WORDS if now < (job.created_at + job.starts_at) / 2 else WORDS
        status = upstream.status_word(job, words, now)
        ended = phase in (JobPhase.SUCCEEDED, JobPhase.FAILED)
        clips = clips_of(job, phase) if status != "NOT_START" else []
        spoiled = [clip for clip in clips if clip["status"] == "error"]
        if phase is JobPhase.SUCCEEDED and spoiled:
            status = "FAILURE"  # the clip that is not complete decides
        reason = ""
        if ended and status == "FAILURE":
            reason = REASONS[job.failure or Failure.ERROR][1]
        is_music = job.media_type is MediaType.AUDIO
        return {
            "task_id": job.id,
            "action": "MUSIC" if is_music else "LYRICS",
            "status": status,
            "fail_reason": reason,
            "submit_time": int(job.created_at),
            "start_time": int(job.starts_at) if now >= job.starts_at else 0,
            "finish_time": int(job.ends_at) if ended else 0,
            "data": clips if is_music else lyrics_of(job, phase),
            **({} if original else {"progress": f"{progress(job, now)}%"}),
        }

    def progress(job: Job, now: float) -> int:
        return 100 if job.is_over(now) else job.percent(now)

    def clips_of(job: Job, phase: JobPhase) -> list[dict[str, Any]]:
        return [clip(job, index, phase, prefix) for index in range(job.count)]

    def message(job: Job, keys: SigningKeys, now: float) -> WebhookMessage:
        return WebhookMessage(json.dumps(envelope(task(job))).encode())

    if not original:
        upstream.message_of = lambda job, _: partial(message, job)
    return [
        web.post(f"{prefix}/suno/submit/{{action}}", submit),
        web.post(f"{prefix}/suno/fetch", fetch),
        web.get(f"{prefix}/suno/fetch/{{id}}", fetch_one),
        web.get(rf"{prefix}/cdn/{{id}}/{{index:\d{{1,2}}}}.mp3", song),
        web.get(rf"{prefix}/cdn/{{id}}/{{index:\d{{1,2}}}}.png", cover),
    ]


def read_prompt(action: str, body: Mapping[str, Any], *, original: bool) -> str:
    """What the job is about; a song without any text is left for Suno to refuse."""
    if action == "LYRICS":
        prompt = get_text(body, "prompt", default="")
        if not prompt:
            raise BadInput("prompt is empty" if original else "prompt_empty")
        return prompt
    if action != "MUSIC":
        raise BadInput("invalid action" if original else "invalid_action")
    get_flag(body, "make_instrumental")
    get_number(body, "continue_at", default=0.0)
    if get_text(body, "continue_clip_id", default="") and not get_text(
        body, "task_id", default=""
    ):
        raise BadInput("task_id is empty")
    description = get_text(body, "gpt_description_prompt", default="")
    if description:
        return description
    texts = (get_text(body, name, default="") for name in ("prompt", "tags"))
    return " ".join(text for text in texts if text)


def clip(job: Job, index: int, phase: JobPhase, prefix: str) -> dict[str, Any]:
    """One of the two songs; while it is made, its URL is a live stream."""
    if phase is JobPhase.SUCCEEDED and job.output_fails(index):
        phase = JobPhase.FAILED
    files = f"{job.base_url}{prefix}"
    clip_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{job.id}/{index}"))
    audio_url = {
        JobPhase.RUNNING: f"{files}/audiopipe/?item_id={clip_id}",
        JobPhase.SUCCEEDED: f"{files}/cdn/{job.id}/{index}.mp3",
    }.get(phase, "")
    complete = phase is JobPhase.SUCCEEDED
    failed = phase is JobPhase.FAILED
    error = REASONS[job.failure or Failure.ERROR] if failed else (None, None)
    return {
        "id": clip_id,
        "title": job.extra["title"] or "Untitled",
        "status": CLIP_WORDS[phase],
        "audio_url": audio_url,
        "video_url": "",
        "image_url": f"{files}/cdn/{job.id}/{index}.png" if complete else "",
        "image_large_url": "",
        "model_name": job.model,
        "major_model_version": job.model.removeprefix("chirp-"),
        "metadata": {
            "tags": job.extra["tags"],
            "prompt": job.prompt,
            "duration": job.seconds if complete else None,
            "error_type": error[0],
            "error_message": error[1],
        },
    }


def lyrics_of(job: Job, phase: JobPhase) -> dict[str, Any] | None:
    """The text of a lyrics job; null before its end."""
    lyrics_id = str(uuid.uuid5(uuid.NAMESPACE_URL, job.id))
    if phase is JobPhase.SUCCEEDED:
        return {
            "id": lyrics_id,
            "status": "complete",
            "title": job.prompt[:40].title(),
            "text": f"[Verse]\nOf {job.prompt}\n[Chorus]\nLa la la",
        }
    if phase is JobPhase.FAILED:
        return {"id": lyrics_id, "status": "error", "title": "", "text": ""}
    return None


def envelope(data: Any) -> dict[str, Any]:
    return {"code": "success", "message": "", "data": data}


def success(data: Any) -> web.Response:
    """What a call answers that went well."""
    return json_answer(envelope(data))
