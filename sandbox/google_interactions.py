"""Interactions in the sandbox: Gemini Omni's videos, at once or in the background.

Wire format: ai.google.dev/gemini-api/docs (omni, interactions) and `google-genai` 3.4.0
(_gaos/types/interactions), read 2026-11-22. Streams and agents are not simulated. That
a video which came by link is read again inline (as others have seen) holds here for
those that were not made in the background.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.answers import answer_poll, answer_submit, json_answer, make_output
from sandbox.google_calls import (
    House,
    absent,
    check_names,
    check_picture,
    choose,
    model_absent,
    problem,
    read_body,
    refuse,
    snake,
)
from sandbox.google_files import Files, file_word, instant, random_word
from sandbox.google_webhooks import Webhooks, check_webhook
from sandbox.inputs import BadInput, get_flag, get_list, get_object, get_text, get_whole
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType

WORDS = {
    JobPhase.QUEUED: "in_progress",
    JobPhase.RUNNING: "in_progress",
    JobPhase.SUCCEEDED: "completed",
    JobPhase.FAILED: "failed",
    JobPhase.CANCELLED: "cancelled",
}
MODELS = ("gemini-omni-1.1-flash", "gemini-omni-1.2-flash")
RESOLUTIONS = {
    "360p": (640, 360),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "4k": (3840, 2160),
}
RATIOS = ("16:9", "9:16")
TASKS = (
    *("text_to_video", "image_to_video", "reference_to_video"),
    *("edit", "extend", "upscale"),
)
DURATION = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)s")
SECONDS = (3.0, 10.0)
FIELDS = frozenset(
    {
        "background",
        "generation_config",
        "input",
        "labels",
        "model",
        "previous_interaction_id",
        "response_format",
        "safety_settings",
        "service_tier",
        "store",
        "stream",
        "system_instruction",
        "tools",
        "webhook_config",
    }
)
FORMAT_FIELDS = frozenset(
    {"type", "aspect_ratio", "resolution", "duration", "delivery", "gcs_uri"}
)
CONTENTS = ("text", "image", "video", "audio", "document")


@dataclass(frozen=True)
class Wanted:
    """A submit that fits."""

    model: str
    prompt: str
    width: int
    height: int
    seconds: float
    delivery: str
    background: bool
    bucket: str = ""
    previous: str = ""
    webhook: Mapping[str, Any] = field(default_factory=dict)


def read_wanted(body: Mapping[str, Any], house: House) -> Wanted:
    """The request of a submit, in snake case; raises BadInput."""
    check_names(body, FIELDS, "request")
    texts: list[str] = []
    given = read_input(body.get("input"), texts)
    previous = get_text(body, "previous_interaction_id", default="")
    if not given and not previous:
        raise BadInput("`input` is required.", "input")
    wanted = get_object(body, "response_format")
    check_names(wanted, FORMAT_FIELDS, "response_format")
    choose(wanted.get("type"), "response_format.type", ("video",))
    ratio = get_text(wanted, "aspect_ratio", default="16:9")
    resolution = get_text(wanted, "resolution", default="720p")
    delivery = get_text(wanted, "delivery", default="inline")
    choose(ratio, "response_format.aspect_ratio", RATIOS)
    choose(resolution, "response_format.resolution", RESOLUTIONS)
    choose(delivery, "response_format.delivery", ("inline", "uri"))
    bucket = get_text(wanted, "gcs_uri", default="")
    if house.cloud and delivery == "uri" and not bucket:
        raise BadInput("`response_format.gcs_uri` is required for delivery uri.")
    config = get_object(body, "generation_config")
    task = get_object(config, "video_config").get("task")
    choose(task, "generation_config.video_config.task", TASKS)
    get_whole(config, "seed", default=0)
    background = get_flag(body, "background")
    if get_flag(body, "stream"):
        raise BadInput("`stream` is not simulated.", "stream")
    if background and not get_flag(body, "store", default=True):
        raise BadInput("`background` needs `store`.", "store")
    webhook = check_webhook(get_object(body, "webhook_config"))
    if webhook and not background:
        raise BadInput("`webhook_config` needs `background`.", "webhook_config")
    width, height = RESOLUTIONS[resolution]
    if ratio == "9:16":
        width, height = height, width
    return Wanted(
        model=get_text(body, "model"),
        prompt=" ".join(texts).strip(),
        width=width,
        height=height,
        seconds=read_duration(get_text(wanted, "duration", default="8s")),
        delivery=delivery,
        background=background,
        bucket=bucket,
        previous=previous,
        webhook=webhook,
    )


def read_duration(text: str) -> float:
    """`6s` in seconds."""
    match = DURATION.fullmatch(text)
    if match is None or not SECONDS[0] <= float(match[1]) <= SECONDS[1]:
        raise BadInput("`response_format.duration` must be between 3s and 10s.")
    return float(match[1])


def read_input(given: Any, texts: list[str]) -> int:
    """Look at the input, which has three forms; tells how many contents it has."""
    if isinstance(given, str):
        texts.append(given)
        return bool(given)
    if isinstance(given, dict):
        given = [given]
    if given is None:
        return 0
    if not isinstance(given, list):
        raise BadInput("`input` must be a text or a list.", "input")
    count = 0
    for each in given:
        if not isinstance(each, dict):
            raise BadInput("`input` must hold objects.", "input")
        if each.get("type") == "user_input":
            count += read_input(get_list(each, "content"), texts)
        elif each.get("type") != "model_output":
            count += 1
            read_content(each, texts)
    return count


def read_content(content: Mapping[str, Any], texts: list[str]) -> None:
    """One content: a text, or media by bytes or link."""
    kind = get_text(content, "type")
    choose(kind, "input.type", CONTENTS)
    if kind == "text":
        texts.append(get_text(content, "text"))
    elif kind == "image" and "uri" not in content:
        check_picture(content.get("data"), content.get("mime_type"), "input")
    elif not (content.get("data") or content.get("uri")):
        raise BadInput(f"`input` has a {kind} without data and uri.", "input")


class Interactions:
    """The calls of interactions, of one house."""

    def __init__(
        self, house: House, files: Files, webhooks: Webhooks | None = None
    ) -> None:
        self.house = house
        self.files = files
        self.webhooks = webhooks

    async def create(self, request: web.Request) -> web.StreamResponse:
        """`POST /<version>/interactions`."""
        secret, refused = self.house.admit(request, CallKind.SUBMIT)
        if refused is not None:
            return refused
        try:
            wanted = read_wanted(snake(await read_body(request)), self.house)
        except BadInput as error:
            return refuse(error)
        if wanted.model.removeprefix("models/") not in MODELS:
            return model_absent(wanted.model, "interactions")
        if wanted.previous and self.find(wanted.previous) is None:
            return absent("Interaction not found.")
        upstream = self.house.upstream

        def accept() -> Job:
            job = upstream.accept(
                request,
                f"v1_{secrets.token_urlsafe(24)}",
                prompt=wanted.prompt,
                media_type=MediaType.VIDEO,
                model=wanted.model.removeprefix("models/"),
                width=wanted.width,
                height=wanted.height,
                seconds=wanted.seconds,
                secret=secret,
                extra={
                    "file": random_word(9),
                    "delivery": wanted.delivery,
                    "background": wanted.background,
                    **({"bucket": wanted.bucket} if wanted.bucket else {}),
                    **({"previous": wanted.previous} if wanted.previous else {}),
                },
            )
            self.files.add(job)
            if self.webhooks is not None and wanted.background:
                self.webhooks.announce(job, wanted.webhook)
            return job

        async def respond(job: Job) -> web.Response:
            if wanted.background:
                return json_answer(self.told(job, WORDS[JobPhase.QUEUED]))
            link = job.extra["delivery"] == "uri"
            return json_answer(await self.interaction(request, job, link=link))

        def ended_badly(job: Job) -> web.Response:
            return json_answer(self.told(job))

        return await answer_submit(
            request,
            upstream,
            wanted.prompt,
            accept,
            respond,
            self.house.refusals_of(failed=ended_badly, blocked_result=ended_badly),
            waits=not wanted.background,
        )

    async def show(self, request: web.Request) -> web.StreamResponse:
        """`GET /<version>/interactions/{id}`."""
        _, refused = self.house.admit(request, CallKind.POLL)
        if refused is not None:
            return refused

        async def respond(job: Job) -> web.Response:
            link = job.extra["delivery"] == "uri" and job.extra["background"]
            return json_answer(await self.interaction(request, job, link=bool(link)))

        return await answer_poll(
            request,
            self.house.upstream,
            self.find(request.match_info["id"]),
            respond,
            self.house.refusals_of(not_found=lambda: absent("Interaction not found.")),
        )

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """`POST /<version>/interactions/{id}/cancel`: of those in the background."""
        _, refused = self.house.admit(request, CallKind.CANCEL)
        if refused is not None:
            return refused
        job = self.find(request.match_info["id"])
        if job is None:
            return absent("Interaction not found.")
        upstream = self.house.upstream
        if not job.extra["background"] or not job.cancel(upstream.clock()):
            return problem(
                400, "FAILED_PRECONDITION", "The interaction is not running any more."
            )
        return json_answer(self.told(job))

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """`DELETE /<version>/interactions/{id}`."""
        _, refused = self.house.admit(request, CallKind.OTHER)
        if refused is not None:
            return refused
        job = self.find(request.match_info["id"])
        if job is None:
            return absent("Interaction not found.")
        self.house.upstream.jobs.delete(job.id)
        return json_answer({})

    def find(self, interaction_id: str) -> Job | None:
        job = self.house.upstream.jobs.find(interaction_id)
        return job if job and "delivery" in job.extra else None

    async def interaction(
        self, request: web.Request, job: Job, *, link: bool
    ) -> dict[str, Any]:
        """The interaction, with the video as a link or inline when there is one."""
        told = self.told(job)
        if told["status"] != "completed":
            return told
        video: dict[str, Any] = {"type": "video", "mime_type": "video/mp4"}
        if bucket := job.extra.get("bucket"):
            video["uri"] = f"{bucket.rstrip('/')}/{file_word(job)}.mp4"
        elif link:
            video["uri"] = self.files.uri(request, job, 0)
        else:
            data = await make_output(job, 0, "mp4")
            video["data"] = base64.b64encode(data).decode()
        asked, made = len(job.prompt) // 4 + 1, round(1000 * job.seconds)
        text = {"type": "text", "text": job.prompt}
        return {
            **told,
            "steps": [
                {"type": "user_input", "content": [text]},
                {"type": "thought"},
                {"type": "model_output", "content": [video]},
            ],
            "usage": {
                "total_input_tokens": asked,
                "total_output_tokens": made,
                "total_tokens": asked + made,
            },
        }

    def told(self, job: Job, status: str = "") -> dict[str, Any]:
        """An interaction without its steps; its status is that of now unless given."""
        upstream = self.house.upstream
        now = upstream.clock()
        told: dict[str, Any] = {
            "id": job.id,
            "object": "interaction",
            "status": status or upstream.status_word(job, WORDS, now),
            "model": job.model,
            "created": instant(job.created_at),
            "updated": instant(min(now, job.cancelled_at or job.ends_at)),
        }
        if previous := job.extra.get("previous"):
            told["previous_interaction_id"] = previous
        if job.phase(now) is JobPhase.FAILED and told["status"] == "failed":
            blocked = job.failure is Failure.BLOCKED
            code = "safety" if blocked else "internal"
            message = "It was not safe to show." if blocked else "It could not be made."
            errors = [
                {"code": f"https://ai.google.dev/errors/{code}", "message": message}
            ]
            told["errors"] = errors
        return told
