"""OpenAI's videos in the sandbox: `/videos`, the dialect that outlived its service.

Wire format: the video generation guide of developers.openai.com, the OpenAPI document
2.3.0, `openai` 3.54.0 for Python (read 2026-11-22). Not published, and so a choice of
this simulation: texts of the 404s, the refusal of a reference image of another size,
the code of a video that failed, and what `/content` answers before and after its time.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from aiohttp import web

from sandbox.answers import (
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
)
from sandbox.inputs import (
    BadInput,
    FormFile,
    bearer,
    get_choice,
    get_text,
    get_whole,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.openai_refusals import (
    REFUSALS,
    check_names,
    model_not_found,
    problem,
    read_body,
    read_picture,
    refuse,
)
from sandbox.openai_webhooks import Endpoints

WORDS = {
    JobPhase.QUEUED: "queued",
    JobPhase.RUNNING: "in_progress",
    JobPhase.SUCCEEDED: "completed",
    JobPhase.FAILED: "failed",
    JobPhase.CANCELLED: "cancelled",
}

SIZES = ("720x1280", "1280x720")
PRO_SIZES = (*SIZES, "1024x1792", "1792x1024", "1080x1920", "1920x1080")
MODELS = {
    "sora-2": SIZES,
    "sora-2-2025-10-06": SIZES,
    "sora-2-2025-12-08": SIZES,
    "sora-2-pro": PRO_SIZES,
    "sora-2-pro-2025-10-06": PRO_SIZES,
}
SECONDS = ("4", "8", "12", "16", "20")
REFERENCE = "input_reference"
LINK_KEYS = ("image_url", "file_id")
CREATE_FIELDS = frozenset({"model", "prompt", "seconds", "size", REFERENCE, "user"})
REFERENCE_TYPES = {"png", "jpeg", "webp"}
LIVES_S = 3600
"""How long after its end a video can be downloaded."""
POLL_AFTER_MS = 500
MOST_LISTED = 100
MOST_CHARACTERS = 1000

VARIANTS = {
    "video": ("mp4", MediaType.VIDEO),
    "thumbnail": ("webp", MediaType.IMAGE),
    "spritesheet": ("jpg", MediaType.IMAGE),
}


def no_video(video_id: str) -> web.Response:
    return problem(404, f"Video with id '{video_id}' not found.")


# Moderation lets the job fail; dead files are told in JSON, for the route is no store.
VIDEO_REFUSALS = replace(
    REFUSALS,
    blocked=None,
    not_found=lambda: no_video("unknown"),
    expired=lambda: problem(404, "The content of this video has expired."),
    no_file=lambda: problem(404, "The content of this video is not there."),
)


@dataclass(frozen=True)
class Wanted:
    """One checked request; `source_id` is the video it starts from."""

    model: str
    prompt: str
    seconds: str
    size: str
    remixed_from: str | None = None


def routes(upstream: Upstream, endpoints: Endpoints) -> list[web.RouteDef]:
    """The video paths; ends of videos are told to `endpoints`."""
    characters = upstream.shelf("characters", MOST_CHARACTERS)

    async def create(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.SUBMIT, bearer(request), VIDEO_REFUSALS)
        if refused is not None:
            return refused
        try:
            body, files, _ = await read_body(request)
            check_names(body, CREATE_FIELDS)
            model = get_text(body, "model", default="sora-2")
            sizes = MODELS.get(model)
            if sizes is None:
                return model_not_found(model)
            wanted = Wanted(
                model=model,
                prompt=get_text(body, "prompt", longest=32_000),
                seconds=get_choice(body, "seconds", SECONDS, default="4"),
                size=get_choice(body, "size", sizes, default="720x1280"),
            )
            check_reference(body, files, wanted.size)
        except BadInput as error:
            return refuse(error)
        return await start(request, wanted)

    async def remix(request: web.Request) -> web.StreamResponse:
        return await derive(request, request.match_info["id"])

    async def edit(request: web.Request) -> web.StreamResponse:
        return await derive(request, None)

    async def extend(request: web.Request) -> web.StreamResponse:
        return await derive(request, None, extends=True)

    async def derive(
        request: web.Request, source_id: str | None, *, extends: bool = False
    ) -> web.StreamResponse:
        """Start a video from one that is completed, named in the path or the body."""
        refused = admit(upstream, CallKind.SUBMIT, bearer(request), VIDEO_REFUSALS)
        if refused is not None:
            return refused
        try:
            body, files, _ = await read_body(request)
            fields = {"prompt"} | ({"seconds"} if extends else set())
            check_names(body, fields | ({"video"} if source_id is None else set()))
            prompt = get_text(body, "prompt", longest=32_000)
            added = get_choice(body, "seconds", SECONDS) if extends else "0"
            if any(file.name == "video" for file in files):
                source = Wanted("sora-2", prompt, "4", "720x1280")
                return await start(request, source)
            video_id = source_id or read_video_id(body)
        except BadInput as error:
            return refuse(error)
        job = find(video_id)
        if job is None:
            return no_video(video_id)
        if job.phase(upstream.clock()) is not JobPhase.SUCCEEDED:
            return problem(400, "The video is not completed.", param="video")
        wanted = Wanted(
            model=job.model,
            prompt=prompt,
            seconds=str(round(job.seconds) + int(added)),
            size=f"{job.width}x{job.height}",
            remixed_from=source_id,
        )
        return await start(request, wanted)

    async def start(request: web.Request, wanted: Wanted) -> web.StreamResponse:
        def accept() -> Job:
            width, _, height = wanted.size.partition("x")
            job = upstream.accept(
                request,
                f"video_{secrets.token_hex(16)}",
                prompt=wanted.prompt,
                media_type=MediaType.VIDEO,
                model=wanted.model,
                width=int(width),
                height=int(height),
                seconds=float(wanted.seconds),
                secret=bearer(request) or "",
                extra={"remixed_from": wanted.remixed_from},
            )
            endpoints.announce(job)
            return job

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, VIDEO_REFUSALS
        )

    async def retrieve(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, bearer(request), VIDEO_REFUSALS)
        if refused is not None:
            return refused
        job = find(request.match_info["id"])
        if job is None:
            return no_video(request.match_info["id"])
        return await answer_poll(request, upstream, job, respond, VIDEO_REFUSALS)

    async def content(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.RESULT, bearer(request), VIDEO_REFUSALS)
        if refused is not None:
            return refused
        variant = VARIANTS.get(request.query.get("variant", "video"))
        if variant is None:
            return refuse(BadInput("Invalid variant.", "variant"))
        job = find(request.match_info["id"])
        if job is None:
            return no_video(request.match_info["id"])
        if upstream.clock() > job.ends_at + LIVES_S:
            return VIDEO_REFUSALS.expired()
        file_format, media_type = variant
        return await answer_media(
            request,
            upstream,
            job,
            0,
            file_format,
            VIDEO_REFUSALS,
            media_type=media_type,
        )

    async def show_list(request: web.Request) -> web.StreamResponse:
        """The videos made with this key, the newest first unless asked otherwise."""
        secret = bearer(request)
        refused = admit(upstream, CallKind.LIST, secret, VIDEO_REFUSALS)
        if refused is not None:
            return refused
        query = dict(request.query)
        try:
            limit = get_whole(
                query, "limit", default=20, least=1, most=MOST_LISTED, strict=False
            )
            order = get_choice(query, "order", ("asc", "desc"), default="desc")
        except BadInput as error:
            return refuse(error)
        own = [
            job
            for job in upstream.jobs
            if job.media_type is MediaType.VIDEO and job.owner == secret
        ]
        if order == "asc":
            own.reverse()
        ids = [job.id for job in own]
        after = query.get("after")
        if after is not None and after not in ids:
            return refuse(BadInput("after is not a video of the list.", "after"))
        first = ids.index(after) + 1 if after is not None else 0
        page = list(islice(own, first, first + limit))
        return json_answer(
            {
                "object": "list",
                "data": [video(job) for job in page],
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": first + limit < len(own),
            }
        )

    async def delete(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.OTHER, bearer(request), VIDEO_REFUSALS)
        if refused is not None:
            return refused
        video_id = request.match_info["id"]
        job = find(video_id)
        if job is None:
            return no_video(video_id)
        if not job.is_over(upstream.clock()):
            return problem(400, "Only completed or failed videos can be deleted.")
        upstream.jobs.delete(video_id)
        return json_answer({"id": video_id, "object": "video.deleted", "deleted": True})

    async def create_character(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.UPLOAD, bearer(request), VIDEO_REFUSALS)
        if refused is not None:
            return refused
        try:
            body, files, _ = await read_body(request)
            check_names(body, {"name"})
            name = get_text(body, "name", longest=200)
            if not any(file.name == "video" and file.data for file in files):
                raise BadInput("video must be a file.", "video")
        except BadInput as error:
            return refuse(error)
        character_id = f"char_{secrets.token_hex(12)}"
        character = {
            "id": character_id,
            "created_at": int(upstream.clock()),
            "name": name,
        }
        characters.put(character_id, character)
        return json_answer(character)

    async def get_character(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.OTHER, bearer(request), VIDEO_REFUSALS)
        if refused is not None:
            return refused
        character = characters.find(request.match_info["id"])
        if character is None:
            return problem(404, "Character not found.")
        return json_answer(character)

    def find(video_id: str) -> Job | None:
        job = upstream.jobs.find(video_id)
        return job if job and job.media_type is MediaType.VIDEO else None

    def respond(job: Job) -> web.Response:
        headers = None
        if not job.is_over(upstream.clock()):
            headers = {"openai-poll-after-ms": str(POLL_AFTER_MS)}
        return json_answer(video(job), headers=headers)

    def video(job: Job) -> dict[str, Any]:
        """The video object; it never holds a link."""
        now = upstream.clock()
        phase = job.phase(now)
        done = phase is JobPhase.SUCCEEDED
        return {
            "id": job.id,
            "object": "video",
            "model": job.model,
            "status": upstream.status_word(job, WORDS, now),
            "progress": job.percent(now),
            "created_at": int(job.created_at),
            "completed_at": int(job.ends_at) if done else None,
            "expires_at": int(job.ends_at) + LIVES_S if done else None,
            "prompt": job.prompt,
            "seconds": f"{job.seconds:g}",
            "size": f"{job.width}x{job.height}",
            "remixed_from_video_id": job.extra.get("remixed_from"),
            "error": error_of(job) if phase is JobPhase.FAILED else None,
        }

    return [
        web.post("/v1/videos", create),
        web.get("/v1/videos", show_list),
        web.post("/v1/videos/edits", edit),
        web.post("/v1/videos/extensions", extend),
        web.post("/v1/videos/characters", create_character),
        web.get("/v1/videos/characters/{id}", get_character),
        web.post("/v1/videos/{id}/remix", remix),
        web.get("/v1/videos/{id}", retrieve),
        web.delete("/v1/videos/{id}", delete),
        web.get("/v1/videos/{id}/content", content),
    ]


def error_of(job: Job) -> dict[str, str]:
    """Why a video failed."""
    if job.failure is Failure.BLOCKED:
        return {"code": "moderation_blocked", "message": "The content was blocked."}
    return {"code": "server_error", "message": "The video could not be generated."}


def read_video_id(body: Mapping[str, Any]) -> str:
    """`video` as `{"id"}`, or as the form field `video[id]`."""
    video = body.get("video")
    video_id = video.get("id") if isinstance(video, dict) else body.get("video[id]")
    if not isinstance(video_id, str) or not video_id:
        raise BadInput("video must be a file or an object with an id.", "video")
    return video_id


def check_reference(
    body: Mapping[str, Any], files: Sequence[FormFile], size: str
) -> None:
    """Read the reference image where its bytes are here: it must have the size."""
    given: list[bytes | str] = []
    for file in files:
        if file.name != REFERENCE:
            raise BadInput(f"Unknown parameter: '{file.name}'.", file.name)
        given.append(file.data)
    reference = body.get(REFERENCE)
    if isinstance(reference, dict):
        given += read_link(reference.get("image_url"), reference.get("file_id"))
    elif reference is not None:
        raise BadInput("input_reference must be a file or an object.", REFERENCE)
    elif any(name.startswith(f"{REFERENCE}[") for name in body):
        url, file_id = (body.get(f"{REFERENCE}[{key}]") for key in LINK_KEYS)
        given += read_link(url, file_id)
    if len(given) > 1:
        raise BadInput("Only one input_reference is possible.", REFERENCE)
    for data in given:
        image = read_picture(data, REFERENCE)
        if image is None:
            continue
        if image.image_format not in REFERENCE_TYPES:
            raise BadInput("input_reference must be jpeg, png or webp.", REFERENCE)
        if f"{image.width}x{image.height}" != size:
            raise BadInput(
                "The reference image must match the requested width and height.",
                REFERENCE,
            )


def read_link(url: Any, file_id: Any) -> list[bytes | str]:
    """The image that a reference object names; nothing when it is a stored file."""
    if isinstance(url, str) and url:
        return [url]
    if isinstance(file_id, str) and file_id:
        return []
    raise BadInput("Give image_url or file_id.", REFERENCE)
