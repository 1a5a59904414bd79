"""Suno as sunoapi.org and kie.ai sell it: one wire format, two tables of codes.

HTTP says 200 to nearly everything; the body's `code` is the real status. A job whose
callback cannot be delivered ends as CALLBACK_EXCEPTION, with its songs made.

Wire format: docs.sunoapi.org and docs.kie.ai (read 2026-11-22). How an unknown id is
answered is not documented; kie.ai's answer is that of its other jobs. Callbacks of
kie.ai are always signed here, as if a webhook key were configured.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
)
from sandbox.inputs import (
    BadInput,
    bearer,
    get_choice,
    get_flag,
    get_number,
    get_text,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.webhooks import SigningKeys, WebhookMessage

MODELS = {  # model: most characters of prompt, style and title
    "V3_5": (3000, 200, 80),
    "V4": (3000, 200, 80),
    "V4_5": (5000, 1000, 100),
    "V4_5ALL": (5000, 1000, 80),
    "V4_5PLUS": (5000, 1000, 100),
    "V5": (5000, 1000, 100),
    "V5_5": (5000, 1000, 100),
}
MODEL_NAMES = {
    "V3_5": "chirp-v3-5",
    "V4": "chirp-v4",
    "V4_5": "chirp-auk",
    "V4_5ALL": "chirp-auk-turbo",
    "V4_5PLUS": "chirp-bluejay",
    "V5": "chirp-crow",
    "V5_5": "chirp-fenix",
}
DESCRIPTION_MOST = 500
LYRICS_MOST_WORDS = 200
SONG_SECONDS = 20.0
SONGS = 2
EARLY_WORDS = {
    JobPhase.QUEUED: "PENDING",
    JobPhase.RUNNING: "TEXT_SUCCESS",
    JobPhase.SUCCEEDED: "SUCCESS",
    JobPhase.FAILED: "GENERATE_AUDIO_FAILED",
}
WORDS = {**EARLY_WORDS, JobPhase.RUNNING: "FIRST_SUCCESS"}
LYRICS_WORDS = {
    **EARLY_WORDS,
    JobPhase.RUNNING: "PENDING",
    JobPhase.FAILED: "GENERATE_LYRICS_FAILED",
}
FIRST_AT_PERCENT = 50


class TooLong(BadInput):
    """A text is longer than the model takes."""


@dataclass(frozen=True)
class Brand:
    """What differs between the two sellers; codes are those of the body."""

    rate_limit: int
    quota: int
    parameters: int
    too_long: int
    credits_path: str
    lyrics_id: str
    signs: bool
    not_found: Mapping[str, Any]


SUNOAPI = Brand(
    rate_limit=430,
    quota=429,
    parameters=400,
    too_long=413,
    credits_path="/api/v1/generate/credit",
    lyrics_id="taskId",
    signs=False,
    not_found={"code": 200, "msg": "success", "data": None},
)
KIE = Brand(
    rate_limit=429,
    quota=402,
    parameters=422,
    too_long=422,
    credits_path="/api/v1/chat/credit",
    lyrics_id="task_id",
    signs=True,
    not_found={"code": 422, "msg": "recordInfo is null", "data": None},
)


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """sunoapi.org."""
    return brand_routes(upstream, SUNOAPI)


def kie_routes(upstream: Upstream) -> list[web.RouteDef]:
    """kie.ai."""
    return brand_routes(upstream, KIE)


def problem(code: int, message: str, status: int = 200) -> web.Response:
    """A refusal: the code in the body, while HTTP says that all is well."""
    return json_answer({"code": code, "msg": message, "data": None}, status)


def success(data: Any) -> web.Response:
    """What a call answers that went well."""
    return json_answer({"code": 200, "msg": "success", "data": data})


def refusals_of(brand: Brand) -> Refusals:
    """How a seller refuses; moderation comes later, as a failed job."""
    return Refusals(
        unauthorized=lambda: problem(401, "The API key is missing or wrong"),
        forbidden=lambda: problem(405, "Over the limit of this account"),
        rate_limit=lambda: problem(brand.rate_limit, "Calls come too frequently"),
        quota=lambda: problem(brand.quota, "The credits are not sufficient"),
        bad_request=lambda message: problem(brand.parameters, message),
        server_error=lambda status: problem(status, "Server error", status),
        not_found=lambda: json_answer(brand.not_found),
    )


def brand_routes(upstream: Upstream, brand: Brand) -> list[web.RouteDef]:
    """The paths of one seller."""
    refusals = refusals_of(brand)

    async def generate(request: web.Request) -> web.StreamResponse:
        return await submit(request, read_generate)

    async def extend(request: web.Request) -> web.StreamResponse:
        return await submit(request, read_extend)

    async def lyrics(request: web.Request) -> web.StreamResponse:
        return await submit(request, read_lyrics)

    async def submit(request: web.Request, read: Any) -> web.StreamResponse:
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, refusals)
        if refused is not None:
            return refused
        try:
            body = await read_json(request)
            prompt = read(body)
            hook = get_text(body, "callBackUrl")
        except TooLong as error:
            return problem(brand.too_long, str(error))
        except BadInput as error:
            return refusals.bad_request(str(error))
        is_music = read is not read_lyrics

        def accept() -> Job:
            job = upstream.accept(
                request,
                secrets.token_hex(16),
                prompt=prompt,
                media_type=MediaType.AUDIO if is_music else MediaType.TEXT,
                model=body["model"] if is_music else "lyrics",
                seconds=SONG_SECONDS,
                count=SONGS,
                secret=secret or "",
                extra={
                    "title": body.get("title") or "Untitled",
                    "tags": body.get("style") or "",
                    "type": "EXTEND" if read is read_extend else "GENERATE",
                    "unheard": not upstream.webhooks.allows(hook),
                },
            )
            call_back(job, hook)
            return job

        def respond(job: Job) -> web.Response:
            return success({"taskId": job.id})

        return await answer_submit(request, upstream, prompt, accept, respond, refusals)

    def call_back(job: Job, hook: str) -> None:
        """Tell each stage; those of lyrics are one."""
        if job.media_type is MediaType.AUDIO and job.failure is None:
            for stage, share in (("text", 0.3), ("first", 0.6)):
                at = job.created_at + share * (job.ends_at - job.created_at)
                upstream.call_back(job, hook, message_of(job, stage), at, stage)
        stage = "complete" if job.failure is None else "error"
        upstream.call_back(job, hook, message_of(job, stage), told=stage)

    def message_of(job: Job, stage: str) -> Any:
        def build(keys: SigningKeys, now: float) -> WebhookMessage:
            body = json.dumps(callback(job, stage, brand)).encode()
            headers = signature(keys, job.id, int(now)) if brand.signs else {}
            return WebhookMessage(body, headers)

        return build

    async def music_record(request: web.Request) -> web.StreamResponse:
        return await record(request, MediaType.AUDIO)

    async def lyrics_record(request: web.Request) -> web.StreamResponse:
        return await record(request, MediaType.TEXT)

    async def record(request: web.Request, media_type: MediaType) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, bearer(request), refusals)
        if refused is not None:
            return refused
        if "taskId" not in request.query:
            return refusals.bad_request("taskId is required")
        job = upstream.jobs.find(request.query["taskId"])
        if job is not None and job.media_type is not media_type:
            job = None
        return await answer_poll(
            request, upstream, job, lambda job: success(shown(job)), refusals
        )

    async def left(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.OTHER, bearer(request), refusals)
        return refused if refused is not None else success(1000)

    async def song(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        index = int(request.match_info["index"])
        return await answer_media(request, upstream, job, index, "mp3", refusals)

    def shown(job: Job) -> dict[str, Any]:
        """The record of a job."""
        now = upstream.clock()
        phase = job.phase(now)
        first = phase is JobPhase.RUNNING and job.percent(now) >= FIRST_AT_PERCENT
        is_music = job.media_type is MediaType.AUDIO
        words = (WORDS if first else EARLY_WORDS) if is_music else LYRICS_WORDS
        status = upstream.status_word(job, words, now)
        code, reason = None, None
        if phase is JobPhase.SUCCEEDED and job.script.partial and is_music:
            status, code, reason = "GENERATE_AUDIO_FAILED", 501, "One song failed"
        elif phase is JobPhase.SUCCEEDED and job.extra["unheard"]:
            status = "CALLBACK_EXCEPTION"
        elif phase is JobPhase.FAILED and job.failure is Failure.BLOCKED:
            status, code, reason = "SENSITIVE_WORD_ERROR", 400, "Moderated words"
        elif phase is JobPhase.FAILED:
            code, reason = 501, "The song could not be made"
        answer = tracks(job, phase, first=first) if is_music else texts(job, phase)
        key = "sunoData" if is_music else "data"
        return {
            "taskId": job.id,
            "parentMusicId": "",
            "param": json.dumps({"prompt": job.prompt, "model": job.model}),
            "response": {"taskId": job.id, key: answer} if answer else None,
            "status": status,
            "type": job.extra["type"] if is_music else "LYRICS",
            "errorCode": code,
            "errorMessage": reason,
        }

    upstream.message_of = message_of
    return [
        web.post("/api/v1/generate", generate),
        web.post("/api/v1/generate/extend", extend),
        web.post("/api/v1/lyrics", lyrics),
        web.get("/api/v1/generate/record-info", music_record),
        web.get("/api/v1/lyrics/record-info", lyrics_record),
        web.get(brand.credits_path, left),
        web.get(r"/files/{id}/{index:\d{1,2}}.mp3", song),
    ]


def read_generate(body: Mapping[str, Any]) -> str:
    """What a song is about; raises BadInput."""
    custom = read_flag(body, "customMode")
    instrumental = read_flag(body, "instrumental")
    limits = MODELS[get_choice(body, "model", tuple(MODELS))]
    check_tuning(body)
    if not custom:
        return limited(body, "prompt", DESCRIPTION_MOST)
    style = limited(body, "style", limits[1])
    limited(body, "title", limits[2])
    needed = None if not instrumental else ""
    words = limited(body, "prompt", limits[0], default=needed)
    return " ".join(text for text in (words, style) if text)


def read_extend(body: Mapping[str, Any]) -> str:
    """What the continued song is about; raises BadInput."""
    own = read_flag(body, "defaultParamFlag")
    get_text(body, "audioId")
    limits = MODELS[get_choice(body, "model", tuple(MODELS))]
    check_tuning(body)
    if not own:
        return limited(body, "prompt", limits[0], default="")
    get_number(body, "continueAt", least=0.01)
    limited(body, "style", limits[1])
    limited(body, "title", limits[2])
    return limited(body, "prompt", limits[0])


def read_lyrics(body: Mapping[str, Any]) -> str:
    """What the texts are about; raises BadInput."""
    prompt = get_text(body, "prompt")
    if len(prompt.split()) > LYRICS_MOST_WORDS:
        raise TooLong(f"prompt must be at most {LYRICS_MOST_WORDS} words", "prompt")
    return prompt


def check_tuning(body: Mapping[str, Any]) -> None:
    """The fields that only tune a song."""
    get_text(body, "negativeTags", default="")
    if body.get("vocalGender") is not None:
        get_choice(body, "vocalGender", ("m", "f"))
    for name in ("styleWeight", "weirdnessConstraint", "audioWeight"):
        get_number(body, name, default=0.0, least=0.0, most=1.0)


def read_flag(body: Mapping[str, Any], name: str) -> bool:
    """True or false, which must be there."""
    if body.get(name) is None:
        raise BadInput(f"{name} is required", name)
    return get_flag(body, name)


def limited(
    body: Mapping[str, Any], name: str, most: int, default: str | None = None
) -> str:
    """A text of so many characters; raises TooLong."""
    text = get_text(body, name, default=default)
    if len(text) > most:
        raise TooLong(f"{name} must be at most {most} characters", name)
    return text


def tracks(job: Job, phase: JobPhase, *, first: bool) -> list[dict[str, Any]]:
    """The songs of a record; of those not yet there only the stream."""
    if phase in (JobPhase.QUEUED, JobPhase.FAILED):
        return []
    return [
        {
            "id": f"{job.id}-{index}",
            "audioUrl": f"{job.base_url}/files/{job.id}/{index}.mp3"
            if is_there(job, index, phase, first=first)
            else "",
            "streamAudioUrl": f"{job.base_url}/streams/{job.id}/{index}",
            "imageUrl": "",
            "prompt": job.prompt,
            "modelName": MODEL_NAMES.get(job.model, job.model),
            "title": job.extra["title"],
            "tags": job.extra["tags"],
            "createTime": "2026-11-22 10:00:00",
            "duration": job.seconds,
        }
        for index in range(job.count)
    ]


def is_there(job: Job, index: int, phase: JobPhase, *, first: bool) -> bool:
    """Whether that song is a file already."""
    if phase is JobPhase.SUCCEEDED:
        return not job.output_fails(index)
    return first and index == 0


def texts(job: Job, phase: JobPhase) -> list[dict[str, Any]]:
    """The variants of a text."""
    if phase is not JobPhase.SUCCEEDED:
        return []
    return [
        {
            "text": f"[Verse {index + 1}]\nOf {job.prompt}\n[Chorus]\nLa la la",
            "title": job.prompt[:40].title(),
            "status": "failed" if job.output_fails(index) else "complete",
            "errorMessage": "no text" if job.output_fails(index) else "",
        }
        for index in range(job.count)
    ]


def callback(job: Job, stage: str, brand: Brand) -> dict[str, Any]:
    """What is told of a stage, with keys in snake case."""
    is_music = job.media_type is MediaType.AUDIO
    id_key = "task_id" if is_music else brand.lyrics_id
    data: dict[str, Any] = {"callbackType": stage, id_key: job.id, "data": None}
    if stage == "error":
        code = 400 if job.failure is Failure.BLOCKED else 501
        return {"code": code, "msg": "The job failed", "data": data}
    if is_music:
        phase = JobPhase.SUCCEEDED if stage == "complete" else JobPhase.RUNNING
        found = tracks(job, phase, first=stage == "first")
        data["data"] = [snake_case(track) for track in found]
    else:
        data["data"] = texts(job, JobPhase.SUCCEEDED)
    return {"code": 200, "msg": f"{stage} generated", "data": data}


def snake_case(track: Mapping[str, Any]) -> dict[str, Any]:
    """A song as callbacks tell it; only the time keeps its key."""
    names = {
        "audioUrl": "audio_url",
        "streamAudioUrl": "stream_audio_url",
        "imageUrl": "image_url",
        "modelName": "model_name",
    }
    return {names.get(name, name): value for name, value in track.items()}


def signature(keys: SigningKeys, job_id: str, timestamp: int) -> dict[str, str]:
    """kie.ai signs id and time, not the body."""
    digest = keys.hmac_sha256(f"{job_id}.{timestamp}".encode())
    return {
        "X-Webhook-Timestamp": str(timestamp),
        "X-Webhook-Signature": base64.b64encode(digest).decode(),
    }
