"""MiniMax in the sandbox: videos (v1 and v2), images, speech and music.

Wire format: the API pages of platform.minimax.io and minimax-mcp 0.0.19 (read
2026-11-22). Assumed, since it is not documented: that a callback address which fails
the challenge is refused with 2013, the body of a v2 callback (like the v2 query), the
answer for an unknown id, the list of v2, and the answers of the OpenAI-style image API.
Streams are not simulated.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import secrets
import tarfile
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sandbox import minimax_rules as rules
from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
    make_output,
)
from sandbox.inputs import (
    BadInput,
    bearer,
    get_choice,
    get_text,
    get_whole,
    read_form,
    read_json,
)
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.media import NotAnImage, read_image
from sandbox.minimax_rules import Wanted
from sandbox.webhooks import BuildMessage, SigningKeys, WebhookMessage

WORDS_V1 = {
    JobPhase.QUEUED: "Queueing",
    JobPhase.RUNNING: "Processing",
    JobPhase.SUCCEEDED: "Success",
    JobPhase.FAILED: "Fail",
}
WORDS_V1_FRESH = {**WORDS_V1, JobPhase.QUEUED: "Preparing"}
WORDS_SPEECH = {
    JobPhase.QUEUED: "Processing",
    JobPhase.RUNNING: "Processing",
    JobPhase.SUCCEEDED: "Success",
    JobPhase.FAILED: "Failed",
}
WORDS_V2 = {
    JobPhase.QUEUED: "queued",
    JobPhase.RUNNING: "running",
    JobPhase.SUCCEEDED: "succeeded",
    JobPhase.FAILED: "failed",
    JobPhase.CANCELLED: "cancelled",
}
WORDS_CALLBACK = {
    JobPhase.QUEUED: "processing",
    JobPhase.RUNNING: "processing",
    JobPhase.SUCCEEDED: "success",
    JobPhase.FAILED: "failed",
}
MESSAGES = {
    0: "success",
    1000: "unknown error",
    1002: "rate limit",
    1004: "login fail: Please carry the API secret key in the 'Authorization' field",
    1008: "insufficient balance",
    1024: "internal error",
    1026: "input new_sensitive",
    1027: "output new_sensitive",
    1042: "illegal characters exceed the limit",
    2013: "invalid params",
    2061: "your current token plan does not support this model",
}
V2_TYPES = {
    400: ("bad_request_error", 2013),
    401: ("authorized_error", 1004),
    402: ("insufficient_balance_error", 1008),
    403: ("bad_request_error", 2061),
    404: ("bad_request_error", 2013),
    422: ("unprocessable_entity_error", 1026),
    429: ("rate_limit_error", 1002),
}
FILE_NUMBER = 10**15
"""The file of a job has the job's number and this much more."""
LINK_LIVES_S = 32_400
CHALLENGE_S = 3.0
MOST_TEXT_FILES = 1_000

Read = Callable[[dict[str, Any]], Wanted]


def traced(body: dict[str, Any], status: int = 200) -> web.Response:
    return json_answer(body, status, {"Trace-Id": secrets.token_hex(16)})


def base_resp(code: int, message: str = "") -> dict[str, Any]:
    told = MESSAGES.get(code, "error")
    return {
        "status_code": code,
        "status_msg": f"{told}, {message}" if message else told,
    }


def v1_error(code: int, message: str = "", status: int = 200) -> web.Response:
    """HTTP 200 for most errors; the id of a video is then empty."""
    return traced({"task_id": "", "base_resp": base_resp(code, message)}, status)


def v2_error(status: int, message: str = "") -> web.Response:
    kind, code = V2_TYPES.get(status, ("server_error", 1000))
    text = f"{base_resp(code, message)['status_msg']} ({code})"
    error = {"type": kind, "message": text, "http_code": str(status)}
    request_id = secrets.token_hex(16)
    return traced({"type": "error", "error": error, "request_id": request_id}, status)


V1 = Refusals(
    unauthorized=lambda: v1_error(1004),
    forbidden=lambda: v1_error(2061),
    rate_limit=lambda: v1_error(1002),
    quota=lambda: v1_error(1008),
    bad_request=lambda message: v1_error(2013, message),
    server_error=lambda status: v1_error(1000, status=status),
    not_found=lambda: traced(
        {"task_id": "", "status": "", "file_id": "", "base_resp": base_resp(2013)}
    ),
    blocked=lambda: v1_error(1026),
    failed=lambda job: v1_error(1024),
    blocked_result=lambda job: v1_error(1027),
)
V2 = Refusals(
    unauthorized=lambda: v2_error(401),
    forbidden=lambda: v2_error(403),
    rate_limit=lambda: v2_error(429),
    quota=lambda: v2_error(402),
    bad_request=lambda message: v2_error(400, message),
    server_error=lambda status: v2_error(status),
    not_found=lambda: v2_error(404),
    blocked=lambda: v2_error(422),
)


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """MiniMax's paths, without the provider's prefix."""
    texts = upstream.shelf("texts", MOST_TEXT_FILES)

    async def start(
        request: web.Request,
        read: Read,
        media_type: MediaType,
        respond: Callable[[Job], Any],
        refusals: Refusals = V1,
        *,
        kind: str,
        waits: bool = False,
        body: dict[str, Any] | None = None,
    ) -> web.StreamResponse:
        """A submit of any API: its key, its parameters, its job."""
        secret = bearer(request)
        refused = admit(upstream, CallKind.SUBMIT, secret, refusals)
        if refused is not None:
            return refused
        try:
            wanted = read(await read_json(request) if body is None else body)
        except rules.Invisible as error:
            return v1_error(1042, str(error))
        except BadInput as error:
            return refusals.bad_request(str(error))
        hook = wanted.callback_url
        if hook and not await answers_challenge(hook):
            return refusals.bad_request("callback_url validation failed")

        def accept() -> Job:
            job = upstream.accept(
                request,
                new_id(),
                prompt=wanted.prompt,
                media_type=media_type,
                model=wanted.model,
                width=wanted.width,
                height=wanted.height,
                seconds=wanted.seconds,
                count=wanted.count,
                secret=secret or "",
                extra={
                    "kind": kind,
                    "format": wanted.media_format,
                    "inline": wanted.inline,
                    "resolution": wanted.resolution,
                    "ratio": wanted.ratio,
                    "task_type": wanted.task_type,
                },
            )
            if hook:
                build = message_of(job, None)
                upstream.call_back(job, hook, build, at=job.starts_at)
                upstream.call_back(job, hook, build)
            return job

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, refusals, waits=waits
        )

    async def answers_challenge(url: str) -> bool:
        """Whether the address repeats a text that it is given, within three seconds."""
        text = secrets.token_hex(16)
        post = upstream.webhooks.post(
            url, WebhookMessage(json.dumps({"challenge": text}).encode())
        )
        try:
            answer = await asyncio.wait_for(post, CHALLENGE_S)
            return answer is not None and (
                answer[0] == 200 and json.loads(answer[1]) == {"challenge": text}
            )
        except (TimeoutError, ValueError):
            return False

    def message_of(job: Job, _: Any) -> BuildMessage:
        """A callback says what the query says, in v1 with words of lower case."""

        def build(keys: SigningKeys, now: float) -> WebhookMessage:
            if job.extra["kind"] == "video_v2":
                body = {"task": task(job, WORDS_V2[job.phase(now)])}
            else:
                body = state(job, WORDS_CALLBACK[job.phase(now)])
            return WebhookMessage(json.dumps(body).encode())

        return build

    upstream.message_of = message_of

    def find(job_id: str, *kinds: str) -> Job | None:
        job = upstream.jobs.find(job_id)
        return job if job is not None and job.extra["kind"] in kinds else None

    # Jobs of v1

    async def video_v1(request: web.Request) -> web.StreamResponse:
        def respond(job: Job) -> web.Response:
            return traced({"task_id": job.id, "base_resp": base_resp(0)})

        return await start(
            request, rules.read_video_v1, MediaType.VIDEO, respond, kind="video_v1"
        )

    async def query_v1(request: web.Request) -> web.StreamResponse:
        def respond(job: Job) -> web.Response:
            fresh = upstream.clock() < (job.created_at + job.starts_at) / 2
            words = WORDS_V1_FRESH if fresh else WORDS_V1
            return traced(state(job, upstream.status_word(job, words)))

        return await look(request, respond, V1, "video_v1")

    async def long_speech(request: web.Request) -> web.StreamResponse:
        def read(body: dict[str, Any]) -> Wanted:
            uploaded = None
            if (file_id := body.get("text_file_id")) is not None:
                # a number written as a text is refused by the upstream, too
                found = texts.find(str(get_whole(body, "text_file_id")))
                if not isinstance(found, str):
                    raise BadInput(f"there is no file {file_id}", "text_file_id")
                uploaded = found
            return rules.read_long_speech(body, uploaded)

        def respond(job: Job) -> web.Response:
            return traced(
                {
                    "task_id": int(job.id),
                    "task_token": secrets.token_urlsafe(24),
                    "file_id": file_number(job),
                    "usage_characters": len(job.prompt),
                    "base_resp": base_resp(0),
                }
            )

        return await start(request, read, MediaType.AUDIO, respond, kind="long_speech")

    async def query_speech(request: web.Request) -> web.StreamResponse:
        def respond(job: Job) -> web.Response:
            shown = {
                "task_id": int(job.id),
                "status": upstream.status_word(job, WORDS_SPEECH),
                "file_id": file_number(job),
                "base_resp": base_resp(failure_code(job, upstream.clock())),
            }
            return traced(shown)

        return await look(request, respond, V1, "long_speech")

    async def look(
        request: web.Request,
        respond: Callable[[Job], web.Response],
        refusals: Refusals,
        kind: str,
    ) -> web.StreamResponse:
        refused = admit(upstream, CallKind.POLL, bearer(request), refusals)
        if refused is not None:
            return refused
        job_id = request.match_info.get("id") or request.query.get("task_id", "")
        job = find(job_id, kind)
        return await answer_poll(request, upstream, job, respond, refusals)

    def state(job: Job, word: str) -> dict[str, Any]:
        """A v1 video as the query shows it."""
        now = upstream.clock()
        shown: dict[str, Any] = {"task_id": job.id, "status": word, "file_id": ""}
        if job.phase(now) is JobPhase.SUCCEEDED:
            shown |= {
                "file_id": str(file_number(job)),
                "video_width": job.width,
                "video_height": job.height,
            }
        return {**shown, "base_resp": base_resp(failure_code(job, now))}

    # Files

    def job_of_file(request: web.Request) -> Job | None:
        number = request.query.get("file_id", "")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        job = find(str(int(number) - FILE_NUMBER), "video_v1", "long_speech")
        ready = job is not None and job.phase(upstream.clock()) is JobPhase.SUCCEEDED
        return job if ready else None

    async def retrieve(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.RESULT, bearer(request), V1)
        if refused is not None:
            return refused
        job = job_of_file(request)
        if job is None:
            return v1_error(2013, "file not found")
        speech = job.extra["kind"] == "long_speech"
        url = link(job, 0, "tar" if speech else "mp4")
        file = {
            "file_id": file_number(job),
            "bytes": 0,
            "created_at": int(job.ends_at),
            "filename": f"{file_number(job)}.tar" if speech else "output_aigc.mp4",
            "purpose": "t2a_async" if speech else "video_generation",
            "download_url": url,
        }
        if not speech:
            file["backup_download_url"] = url
        return traced({"file": file, "base_resp": base_resp(0)})

    async def retrieve_content(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.RESULT, bearer(request), V1)
        if refused is not None:
            return refused
        job = job_of_file(request)
        if job is None:
            return v1_error(2013, "file not found")
        return await send(request, job, 0, "mp4")

    async def upload(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.UPLOAD, bearer(request), V1)
        if refused is not None:
            return refused
        try:
            form = await read_form(request)
            get_choice(form.fields, "purpose", ("t2a_async_input",))
            if len(form.files) != 1:
                raise BadInput("file is required", "file")
            text = form.files[0].data.decode()
        except UnicodeDecodeError:
            return v1_error(2013, "the file is not a text")
        except BadInput as error:
            return v1_error(2013, str(error))
        number = new_id()
        texts.put(number, text)
        file = {
            "file_id": int(number),
            "bytes": len(form.files[0].data),
            "created_at": int(upstream.clock()),
            "filename": form.files[0].filename,
            "purpose": "t2a_async_input",
        }
        return traced({"file": file, "base_resp": base_resp(0)})

    async def media(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        index = int(request.match_info["index"])
        if job is None or request.rel_url.raw_query_string != signature(job):
            return V1.expired()
        return await send(request, job, index, request.match_info["format"])

    async def send(
        request: web.Request, job: Job, index: int, media_format: str
    ) -> web.StreamResponse:
        if job.extra["kind"] != "long_speech":
            return await answer_media(request, upstream, job, index, media_format, V1)
        upstream.ledger.count(upstream.name, CallKind.MEDIA)
        if job.script.expired:
            return V1.expired()
        data = archive(job, await make_output(job, 0, job.extra["format"]))
        return web.Response(body=data, content_type="application/x-tar")

    # Jobs of v2

    async def video_v2(request: web.Request) -> web.StreamResponse:
        return await start(
            request,
            rules.read_video_v2,
            MediaType.VIDEO,
            lambda job: traced({"task_id": job.id}),
            V2,
            kind="video_v2",
        )

    async def regenerate(request: web.Request) -> web.StreamResponse:
        """The same video again, in another resolution."""

        def read(body: dict[str, Any]) -> Wanted:
            source = find(get_text(body, "source_task_id"), "video_v2")
            if source is None:
                raise BadInput("source_task_id is unknown", "source_task_id")
            resolution = get_text(body, "resolution")
            if not rules.RESOLUTION_V2.fullmatch(resolution):
                raise BadInput("resolution must be 2K", "resolution")
            return Wanted(
                rules.model_of(body, ("MiniMax-H3",)),
                source.prompt,
                source.width,
                source.height,
                source.seconds,
                resolution=resolution,
                ratio=source.extra["ratio"],
                task_type=source.extra["task_type"],
            )

        return await start(
            request,
            read,
            MediaType.VIDEO,
            lambda job: traced({"task_id": job.id}),
            V2,
            kind="video_v2",
        )

    async def query_v2(request: web.Request) -> web.StreamResponse:
        def respond(job: Job) -> web.Response:
            return traced({"task": task(job, upstream.status_word(job, WORDS_V2))})

        return await look(request, respond, V2, "video_v2")

    async def list_v2(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.LIST, bearer(request), V2)
        if refused is not None:
            return refused
        try:
            page, size = (
                get_whole(request.query, name, default=default, least=1, strict=False)
                for name, default in (("page_num", 1), ("page_size", 10))
            )
        except BadInput as error:
            return v2_error(400, str(error))
        jobs = [job for job in upstream.jobs if job.extra["kind"] == "video_v2"]
        now = upstream.clock()
        shown = jobs[(page - 1) * size : page * size]
        tasks = [task(job, WORDS_V2[job.phase(now)]) for job in shown]
        return traced({"tasks": tasks, "total": len(jobs)})

    def task(job: Job, word: str) -> dict[str, Any]:
        """A v2 video as the query shows it."""
        phase = job.phase(upstream.clock())
        shown: dict[str, Any] = {
            "id": job.id,
            "model": job.model,
            "status": word,
            "content": None,
            "resolution": job.extra["resolution"],
            "duration": int(job.seconds),
            "ratio": job.extra["ratio"],
            "task_type": job.extra["task_type"],
            "modality": "video",
        }
        if phase is JobPhase.SUCCEEDED:
            seconds = int(job.seconds)
            shown["content"] = {"url": link(job, 0, "mp4")}
            shown["usage"] = {
                "total_seconds": seconds,
                "input_seconds": 0,
                "output_seconds": seconds,
            }
        elif phase is JobPhase.FAILED:
            code = 1026 if job.failure is Failure.BLOCKED else 1000
            shown["error"] = {"code": str(code), "message": MESSAGES[code]}
        return shown

    # Answers that bring the result

    async def image(request: web.Request) -> web.StreamResponse:
        async def respond(job: Job) -> web.Response:
            made = [i for i in range(job.count) if not job.output_fails(i)]
            if job.extra["inline"]:
                files = [await make_output(job, i, "jpeg") for i in made]
                data = {"image_base64": [base64.b64encode(f).decode() for f in files]}
            else:
                data = {"image_urls": [link(job, i, "jpeg") for i in made]}
            counts = {
                "success_count": str(len(made)),
                "failed_count": str(job.count - len(made)),
            }
            return traced(
                {
                    "id": job.id,
                    "data": data,
                    "metadata": counts,
                    "base_resp": base_resp(0),
                }
            )

        return await start(
            request,
            rules.read_image_wish,
            MediaType.IMAGE,
            respond,
            kind="image",
            waits=True,
        )

    async def openai_image(request: web.Request) -> web.StreamResponse:
        return await start(
            request,
            lambda body: rules.read_openai_image(body, strict=True),
            MediaType.IMAGE,
            openai_images,
            V2,
            kind="openai_image",
            waits=True,
        )

    async def openai_edit(request: web.Request) -> web.StreamResponse:
        fields: dict[str, Any] = {}
        problem = ""
        try:
            form = await read_form(request)
            fields = form.fields
            files = [file for file in form.files if file.name in ("image", "image[]")]
            for file in files:
                read_image(file.data)
            if not files:
                problem = "image is required"
        except (BadInput, NotAnImage) as error:
            problem = str(error)

        def read(fields: dict[str, Any]) -> Wanted:
            if problem:
                raise BadInput(problem, "image")
            return rules.read_openai_image(fields, strict=False)

        return await start(
            request,
            read,
            MediaType.IMAGE,
            openai_images,
            V2,
            kind="openai_image",
            waits=True,
            body=fields,
        )

    async def openai_images(job: Job) -> web.Response:
        data = []
        for index in range(job.count):
            if job.output_fails(index):
                continue
            if job.extra["inline"]:
                file = await make_output(job, index, "png")
                data.append({"b64_json": base64.b64encode(file).decode()})
            else:
                data.append({"url": link(job, index, "png")})
        created = int(job.created_at)
        return traced({"created": created, "data": data, "base_resp": base_resp(0)})

    async def speech(request: web.Request) -> web.StreamResponse:
        return await start(
            request,
            rules.read_speech,
            MediaType.AUDIO,
            sound,
            kind="speech",
            waits=True,
        )

    async def music(request: web.Request) -> web.StreamResponse:
        return await start(
            request, rules.read_music, MediaType.AUDIO, sound, kind="music", waits=True
        )

    async def sound(job: Job) -> web.Response:
        """A sound as hex text, or its link."""
        form = job.extra["format"]
        data = await make_output(job, 0, form)
        audio = data.hex() if job.extra["inline"] else link(job, 0, form)
        milliseconds = int(job.seconds * 1000)
        info: dict[str, Any] = {"bitrate": 128_000}
        if job.extra["kind"] == "music":
            info |= {"music_duration": milliseconds, "music_size": len(data)}
        else:
            info |= {
                "audio_length": milliseconds,
                "audio_size": len(data),
                "audio_format": form,
                "audio_channel": 1,
                "usage_characters": len(job.prompt),
            }
        return traced(
            {
                "data": {"audio": audio, "status": 2},
                "extra_info": info,
                "trace_id": secrets.token_hex(16),
                "base_resp": base_resp(0),
            }
        )

    return [
        web.post("/v1/video_generation", video_v1),
        web.get("/v1/query/video_generation", query_v1),
        web.post("/v1/t2a_async_v2", long_speech),
        web.get("/v1/query/t2a_async_query_v2", query_speech),
        web.get("/v1/files/retrieve", retrieve),
        web.get("/v1/files/retrieve_content", retrieve_content),
        web.post("/v1/files/upload", upload),
        web.post("/v1/image_generation", image),
        web.post("/v1/images/generations", openai_image),
        web.post("/v1/images/edits", openai_edit),
        web.post("/v1/t2a_v2", speech),
        web.post("/v1/music_generation", music),
        web.post("/v2/video_generation", video_v2),
        web.post("/v2/video_regeneration", regenerate),
        web.get("/v2/query/video_generation", list_v2),
        web.get("/v2/query/video_generation/{id}", query_v2),
        web.get(r"/files/{id}/{index:\d{1,2}}.{format:[a-z0-9]{2,4}}", media),
    ]


def new_id() -> str:
    """Fifteen digits, as the ids of jobs and files have."""
    return str(10**14 + secrets.randbelow(9 * 10**14))


def file_number(job: Job) -> int:
    return int(job.id) + FILE_NUMBER


def failure_code(job: Job, now: float) -> int:
    """What `base_resp` says of a job: 0 unless it has failed."""
    if job.phase(now) is not JobPhase.FAILED:
        return 0
    return 1027 if job.failure is Failure.BLOCKED else 1000


def signature(job: Job) -> str:
    """The query of a job's links, which counts byte for byte."""
    digest = hashlib.sha256(job.id.encode()).hexdigest()[:20]
    return f"Expires={int(job.created_at) + LINK_LIVES_S}&Signature={digest}%2B%3D"


def link(job: Job, index: int, media_format: str) -> str:
    return f"{job.base_url}/files/{job.id}/{index}.{media_format}?{signature(job)}"


def archive(job: Job, sound: bytes) -> bytes:
    """The tar archive of a long speech: the sound, its subtitles, and its figures."""
    milliseconds = int(job.seconds * 1000)
    titles = [{"text": job.prompt[:200], "time_begin": 0, "time_end": milliseconds}]
    extra = {"audio_length": milliseconds, "audio_size": len(sound)}
    name = f"{job.id}/content-{job.id}"
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for ending, data in (
            ("titles", json.dumps(titles).encode()),
            ("extra", json.dumps(extra).encode()),
            (job.extra["format"], sound),
        ):
            member = tarfile.TarInfo(f"{name}.{ending}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return target.getvalue()
