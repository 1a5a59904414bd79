"""PixVerse: uploads, films of every path, their states, and callbacks.

Wire format: docs.platform.pixverse.ai and the client in PixVerseAI/PixVerse-MCP, read
November 2026. A trace id that was used before is answered as users report it: a submit
gets the film of the first one, a look the state that it saw then.

Assumptions, since they are not documented: the number for a missing key and for a
missing trace id, that ids of uploads belong to one key, the header that names a
callback's address, and the order of the fields in its signature. `/console/webhooks`
stands for the web page where an address gets its id.
"""

import base64
import json
import secrets
import string
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from sandbox.answers import (
    Refusals,
    admit,
    answer_media,
    answer_poll,
    answer_submit,
    json_answer,
    web_page,
)
from sandbox.inputs import BadInput, FormFile, get_text, read_form, read_json
from sandbox.jobs import CallKind, Failure, Job, JobPhase, MediaType, Upstream
from sandbox.media import NotAnImage, read_image
from sandbox.pixverse_rules import Misfit, Wanted, read_wanted
from sandbox.webhooks import BuildMessage, SigningKeys, WebhookMessage

PATHS = "text|img|transition|extend|fusion|lip_sync|sound_effect"
TELL_OF_END = ("text", "img")
RUNNING, DONE, DELETED, MODERATED, FAILED = 5, 1, 6, 7, 8
UNKNOWN = 77
WORDS = {
    JobPhase.QUEUED: str(RUNNING),
    JobPhase.RUNNING: str(RUNNING),
    JobPhase.SUCCEEDED: str(DONE),
    JobPhase.FAILED: str(FAILED),
    JobPhase.CANCELLED: str(DELETED),
}
CREDITS = 45
MOST_KEPT = 20_000
MOST_IMAGE_BYTES = 20 * 1024**2
MOST_SIDE = 4000
IMAGE_FORMATS = frozenset({"jpeg", "png", "webp"})
VOICES = [
    {"speaker_id": "1", "name": "Emily"},
    {"speaker_id": "2", "name": "James"},
    {"speaker_id": "3", "name": "Isabella"},
]


def success(resp: Any) -> web.Response:
    return json_answer({"ErrCode": 0, "ErrMsg": "success", "Resp": resp})


def refusal(number: int, message: str) -> web.Response:
    """An error, which has HTTP status 200."""
    return json_answer({"ErrCode": number, "ErrMsg": message, "Resp": None})


def trouble(status: int) -> web.Response:
    """The service's own fault comes with 200, that of a proxy in front does not."""
    return refusal(99999, "unknown error") if status == 500 else web_page(status)


REFUSALS = Refusals(
    unauthorized=lambda: refusal(400012, "invalid account"),
    forbidden=lambda: refusal(500020, "This account has no permission."),
    rate_limit=lambda: refusal(500044, "Reached the limit for concurrent generations."),
    quota=lambda: refusal(500090, "All Credits have been used up."),
    bad_request=lambda message: refusal(400017, f"invalid param: {message}"),
    server_error=trouble,
    not_found=lambda: refusal(500008, "Requested data not found"),
    blocked=lambda: refusal(500063, "The text did not pass moderation."),
)


def new_id() -> int:
    """A number that a double cannot hold."""
    return secrets.randbelow(9 * 10**17) + 10**17


def file_url(job: Job) -> str:
    return f"{job.base_url}/files/{job.id}.mp4?sign={job.extra['sign']}%2B"


def status_of(job: Job, upstream: Upstream) -> int:
    word = upstream.status_word(job, WORDS)
    if word == str(FAILED) and job.failure is Failure.BLOCKED:
        return MODERATED
    return int(word) if word.isdecimal() else UNKNOWN


def signed_fields(body: Mapping[str, Any]) -> str:
    pairs = sorted(body.items())
    return urlencode(
        {name: v if isinstance(v, str) else json.dumps(v) for name, v in pairs}
    )


def message_of(job: Job, told: Any) -> BuildMessage:
    """Tells of a film's end."""
    is_done = job.failure is None
    failed = MODERATED if job.failure is Failure.BLOCKED else FAILED

    def build(keys: SigningKeys, now: float) -> WebhookMessage:
        body = {
            "id": job.id,
            "status": DONE if is_done else failed,
            "url": file_url(job) if is_done else "",
            "size": 4_821_133 if is_done else 0,
            "has_audio": False,
            "credits": CREDITS,
        }
        letters = string.ascii_letters + string.digits
        nonce = "".join(secrets.choice(letters) for _ in range(32))
        text = f"{int(now)}\n{nonce}\n{signed_fields(body)}"
        return WebhookMessage(
            json.dumps(body).encode(),
            {
                "Webhook-Timestamp": str(int(now)),
                "Webhook-Nonce": nonce,
                "Webhook-Signature": base64.b64encode(
                    keys.hmac_sha256(text.encode())
                ).decode(),
            },
        )

    return build


class Uses:
    """What was answered under the newest trace ids, in memory only."""

    def __init__(self) -> None:
        self._first: OrderedDict[str, Any] = OrderedDict()

    def find(self, trace: str) -> Any:
        return self._first.get(trace)

    def put(self, trace: str, answer: Any) -> None:
        self._first[trace] = answer
        if len(self._first) > MOST_KEPT:
            self._first.popitem(last=False)


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """PixVerse's paths, without the provider's prefix."""
    images = upstream.shelf("images", MOST_KEPT)
    media = upstream.shelf("media", MOST_KEPT)
    hooks = upstream.shelf("hooks", MOST_KEPT)
    uses = Uses()
    upstream.message_of = message_of

    def refused(request: web.Request, kind: CallKind) -> web.StreamResponse | None:
        secret = request.headers.get("API-KEY")
        refusal_ = admit(upstream, kind, secret, REFUSALS)
        if refusal_ is not None:
            return refusal_
        try:
            UUID(request.headers.get("Ai-trace-id", ""))
        except ValueError:
            return refusal(400011, "Ai-trace-id is empty")
        return None

    def owner_of(request: web.Request) -> str:
        return request.headers.get("API-KEY", "")

    def trace_of(request: web.Request) -> str:
        return f"{owner_of(request)}/{request.headers['Ai-trace-id']}"

    async def upload_image(request: web.Request) -> web.StreamResponse:
        """A picture as a file, or its address."""
        refusal_ = refused(request, CallKind.UPLOAD)
        if refusal_ is not None:
            return refusal_
        try:
            form = await read_form(request)
            file = next((each for each in form.files if each.name == "image"), None)
            url = get_text(form.fields, "image_url", default="")
            if file is not None:
                check_picture(file)
            elif not url.startswith(("http://", "https://")):
                raise Misfit(400011, "image is empty")
        except Misfit as error:
            return refusal(error.number, str(error))
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        img_id = new_id()
        images.put(str(img_id), owner_of(request))
        kept = f"{upstream.base_url(request)}/up/{img_id}.png"
        return success({"img_id": img_id, "img_url": kept})

    async def upload_media(request: web.Request) -> web.StreamResponse:
        """A film or a sound as a file with its kind, or its address."""
        refusal_ = refused(request, CallKind.UPLOAD)
        if refusal_ is not None:
            return refusal_
        try:
            form = await read_form(request)
            file = next((each for each in form.files if each.name == "file"), None)
            url = get_text(form.fields, "file_url", default="")
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        if file is not None and form.fields.get("media_type") not in ("video", "audio"):
            return refusal(400017, "invalid media_type")
        if file is None and not url.startswith(("http://", "https://")):
            return refusal(400011, "file is empty")
        kind = str(form.fields.get("media_type") or "video")
        media_id = new_id()
        media.put(str(media_id), owner_of(request))
        kept = f"{upstream.base_url(request)}/up/{media_id}"
        return success({"media_id": media_id, "media_type": kind, "url": kept})

    async def submit(request: web.Request) -> web.StreamResponse:
        refusal_ = refused(request, CallKind.SUBMIT)
        if refusal_ is not None:
            return refusal_
        earlier = uses.find(trace_of(request))
        if earlier is not None:
            return success({"video_id": int(earlier)})
        path = request.match_info["path"]
        try:
            wanted = read_wanted(path, await read_json(request))
            check_ids(request, wanted)
        except Misfit as error:
            return refusal(error.number, str(error))
        except BadInput as error:
            return REFUSALS.bad_request(str(error))
        hook = hooks.find(request.headers.get("Webhook-Id", ""))

        def accept() -> Job:
            job = upstream.accept(
                request,
                str(new_id()),
                prompt=wanted.prompt,
                media_type=MediaType.VIDEO,
                model=wanted.model or path,
                width=wanted.width,
                height=wanted.height,
                seconds=float(wanted.seconds),
                secret=owner_of(request),
                extra={"sign": secrets.token_hex(12)},
            )
            uses.put(trace_of(request), job.id)
            if hook is not None and path in TELL_OF_END:
                upstream.call_back(job, hook, message_of(job, None))
            return job

        def respond(job: Job) -> web.StreamResponse:
            return success({"video_id": int(job.id), "credits": CREDITS})

        return await answer_submit(
            request, upstream, wanted.prompt, accept, respond, REFUSALS
        )

    def check_ids(request: web.Request, wanted: Wanted) -> None:
        """Raise Misfit for an id that this key does not have."""
        owner = owner_of(request)
        if any(images.find(each) != owner for each in wanted.images):
            raise Misfit(400032, "invalid image id")
        if any(media.find(each) != owner for each in wanted.media):
            raise Misfit(500008, "Requested data not found")
        if wanted.source:
            job = upstream.jobs.find(wanted.source)
            if job is None or job.owner != owner:
                raise Misfit(500008, "Requested data not found")

    async def result(request: web.Request) -> web.StreamResponse:
        refusal_ = refused(request, CallKind.POLL)
        if refusal_ is not None:
            return refusal_
        job = upstream.jobs.find(request.match_info["id"])
        if job is not None and job.owner != owner_of(request):
            job = None

        def respond(job: Job) -> web.StreamResponse:
            status = uses.find(trace_of(request))
            if status is None:
                status = status_of(job, upstream)
                uses.put(trace_of(request), status)
            return success(film(job, int(status)))

        return await answer_poll(request, upstream, job, respond, REFUSALS)

    def film(job: Job, status: int) -> dict[str, Any]:
        is_done = status == DONE
        now = min(upstream.clock(), job.ends_at)
        return {
            "id": int(job.id),
            "status": status,
            "url": file_url(job) if is_done else "",
            "prompt": job.prompt,
            "negative_prompt": "",
            "resolution_ratio": 2,
            "seed": 41,
            "size": 4_821_133 if is_done else 0,
            "style": "",
            "create_time": moment(job.created_at),
            "modify_time": moment(now if is_done else job.created_at),
            "outputWidth": job.width if is_done else 0,
            "outputHeight": job.height if is_done else 0,
            "has_audio": False,
            "customer_paths": {},
        }

    async def voices(request: web.Request) -> web.StreamResponse:
        refusal_ = refused(request, CallKind.LIST)
        if refusal_ is not None:
            return refusal_
        size = request.query.get("page_size", "30")
        shown = VOICES[: int(size)] if size.isdecimal() else VOICES
        return success({"total": len(VOICES), "data": shown})

    async def add_hook(request: web.Request) -> web.StreamResponse:
        """What is done by hand in the console: an address gets an id."""
        hook_id = secrets.token_hex(8)
        hooks.put(hook_id, get_text(await read_json(request), "url"))
        return json_answer({"webhook_id": hook_id})

    async def file(request: web.Request) -> web.StreamResponse:
        job = upstream.jobs.find(request.match_info["id"])
        signed = request.rel_url.raw_query_string
        if job is not None and signed != f"sign={job.extra['sign']}%2B":
            return REFUSALS.expired()
        return await answer_media(request, upstream, job, 0, "mp4", REFUSALS)

    prefix = "/openapi/v2"
    return [
        web.post(f"{prefix}/image/upload", upload_image),
        web.post(f"{prefix}/media/upload", upload_media),
        web.post(f"{prefix}/video/{{path:{PATHS}}}/generate", submit),
        web.get(f"{prefix}/video/result/{{id}}", result),
        web.get(f"{prefix}/video/lip_sync/tts_list", voices),
        web.post("/console/webhooks", add_hook),
        web.get("/files/{id}.mp4", file),
    ]


def check_picture(file: FormFile) -> None:
    """A picture must be small and of a format that is taken; raises Misfit."""
    if len(file.data) > MOST_IMAGE_BYTES:
        raise Misfit(500030, "The image must be at most 20 MB.")
    try:
        picture = read_image(file.data)
    except NotAnImage as error:
        raise Misfit(500031, "The image cannot be read.") from error
    if picture is None or picture.image_format not in IMAGE_FORMATS:
        raise Misfit(500032, "The format of the image is not supported.")
    if max(picture.width, picture.height) > MOST_SIDE:
        raise Misfit(500033, "The image must be at most 4000 pixels wide and high.")


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
