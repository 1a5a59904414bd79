"""PixVerse: films from text, pictures and films, of several versions.

Pictures and films are uploaded first; every call has a trace id that must be a new one.
Answers have HTTP status 200 and a number that decides. Documentation:
docs.platform.pixverse.ai (text, image and transition, uploads, status, error codes,
webhook, trace id) and the official client in PixVerseAI/PixVerse-MCP, read November
2026 (docs/providers/pixverse.md).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from providers import errors
from providers.dialects import pixverse_bodies as bodies
from providers.dialects import pixverse_models as catalogue
from providers.dialects.pixverse_bodies import Uploaded
from providers.flow import Call, Flow, NotJson, Part, Reply
from providers.inputs import as_file
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    Failure,
    GenerationRequest,
    Heard,
    MediaInput,
    Phase,
    Provider,
    Reason,
    Remote,
    Signed,
    Snapshot,
)

PREFIX = "/openapi/v2"
TRACE = "Ai-trace-id"

PHASES: Mapping[int, Phase] = {
    1: Phase.SUCCEEDED,
    2: Phase.PENDING,  # 2 and 3 stand in the official client only
    3: Phase.RUNNING,
    5: Phase.RUNNING,  # waits or runs
    6: Phase.FAILED,
    7: Phase.FAILED,
    8: Phase.FAILED,
    9: Phase.PENDING,  # 9 and 10 were seen, but are not documented
    10: Phase.PENDING,
}
FAILURES: Mapping[int, Failure] = {
    6: Failure(Reason.UPSTREAM_EXPIRED, "the film was deleted", "6"),
    7: Failure(Reason.CONTENT_REJECTED, "moderation refused the film", "7"),
    8: Failure(Reason.UPSTREAM_FAILED, "the generation failed", "8"),
}
CODES: Mapping[int, type[errors.ProviderError]] = {
    **dict.fromkeys(range(10001, 10006), errors.KeyRefused),
    99999: errors.Unavailable,
    400011: errors.Rejected,
    400012: errors.KeyRefused,
    400013: errors.Rejected,
    400017: errors.Rejected,
    400018: errors.Rejected,
    400019: errors.Rejected,
    400032: errors.Rejected,
    500008: errors.NotFound,
    500020: errors.ChannelRefused,
    **dict.fromkeys(range(500030, 500034), errors.Rejected),
    500041: errors.Unavailable,  # only an upload can fail so: nothing is paid
    500042: errors.Unavailable,
    500044: errors.RateLimited,  # too many at once
    500054: errors.ContentRejected,
    500060: errors.Rejected,
    500063: errors.ContentRejected,
    500064: errors.NotFound,
    500069: errors.RateLimited,  # too busy to take more
    500070: errors.Rejected,
    500071: errors.Rejected,
    500090: errors.QuotaExhausted,
    500100: errors.Unavailable,
}


def authorize(call: Call, credentials: Credentials) -> Call:
    """The key in a header of its own, and a trace id where the flow gave none.

    A look with the trace id of an earlier one may get its answer, so the time is in it.
    The channel's setting `webhook_id` names the address, registered in the console,
    that is told when a film ends.
    """
    headers = {**call.headers, "API-KEY": credentials.secret}
    hook = credentials.settings.get("webhook_id", "").strip()
    if hook and call.paid:
        headers["Webhook-Id"] = hook
    headers.setdefault(TRACE, trace_id(call.method, call.url, repr(credentials.now)))
    return replace(call, headers=headers)


def trace_id(*parts: str) -> str:
    """A UUID that looks random, and is the same for the same parts."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Upload what the client gave, then start one film; billed when accepted."""
    offer = catalogue.find_offer(request.model)
    if offer is None:
        raise errors.ModelRefused(f"PixVerse offers no model {request.model}")
    made = bodies.plan(request, offer)
    images = []
    for number, image in enumerate(request.images):
        images.append((yield from upload_image(request, image, number)))
    video = audio = None
    if request.video_url:
        video = yield from upload_media(request, request.video_url, "video")
    if request.audio_url:
        audio = yield from upload_media(request, request.audio_url, "audio")
    reply = yield Call(
        "POST",
        f"{PREFIX}/video/{made.path}/generate",
        headers=traced(request, "generate"),
        json=bodies.body_of(made, Uploaded(images, video, audio)),
        paid=True,
    )
    try:
        return read_accepted(check(reply))
    except errors.NotFound as error:
        # with a code it is the film named by its id, without one the path
        kind = errors.Rejected if error.code else errors.ModelRefused
        raise kind(str(error), code=error.code, status=error.status) from error


def traced(request: GenerationRequest, step: str) -> dict[str, str]:
    """A trace id for one step of this submission.

    With one that was used before the upstream answers for the earlier film.
    """
    return {TRACE: trace_id(request.task_id, request.submission_key, step)}


def upload_image(
    request: GenerationRequest, image: MediaInput, number: int
) -> Flow[int]:
    """The id of a picture: fetched by the upstream, or sent as a file."""
    part = Part("image_url", image.url)
    if image.uploaded:
        file = yield from as_file(image, f"image-{number}")
        part = Part("image", file.content, file.filename, file.content_type)
    reply = yield Call(
        "POST",
        f"{PREFIX}/image/upload",
        headers=traced(request, f"image-{number}"),
        parts=(part,),
    )
    return read_id(check(reply), "img_id")


def upload_media(request: GenerationRequest, url: str, kind: str) -> Flow[int]:
    """The id of a film or a sound, which the upstream fetches."""
    reply = yield Call(
        "POST",
        f"{PREFIX}/media/upload",
        headers=traced(request, kind),
        parts=(Part("file_url", url),),
    )
    return read_id(check(reply), "media_id")


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of one film; a failed one is a state, not an error."""
    reply = yield Call("GET", f"{PREFIX}/video/result/{quote(remote.id, safe='')}")
    return read_film(check(reply), remote)


def check(reply: Reply) -> Any:
    """`Resp` of an answer that succeeded; otherwise the error its number stands for."""
    number = read_number(reply)
    if reply.ok and number == 0:
        return errors.read_json(reply).get("Resp")
    known = CODES.get(number) if number else None
    raise errors.make(
        known or errors.by_status(reply.status),
        read_message(reply),
        code=str(number) if number else "",
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def read_number(reply: Reply) -> int | None:
    """`ErrCode`, which is 0 for a success; None where there is none."""
    try:
        number = reply.json()["ErrCode"]
    except (NotJson, KeyError, TypeError, IndexError):
        return None
    is_number = isinstance(number, int) and not isinstance(number, bool)
    return number if is_number else None


def read_message(reply: Reply) -> str:
    try:
        return str(reply.json()["ErrMsg"])
    except (NotJson, KeyError, TypeError, IndexError):
        return f"HTTP {reply.status} without a readable error"


@errors.documented("an upload of PixVerse")
def read_id(resp: Any, name: str) -> int:
    found = resp[name]
    if not isinstance(found, int) or isinstance(found, bool):
        raise TypeError(f"{name} is no number")
    return found


@errors.documented("an accepted film of PixVerse")
def read_accepted(resp: Any) -> Snapshot:
    """`{"video_id", "credits"?}`; the id is a long number, some send it as a text."""
    video_id, credits = resp["video_id"], resp.get("credits")
    if (
        isinstance(video_id, bool)
        or not isinstance(video_id, int | str)
        or not video_id
    ):
        raise ValueError("video_id is neither a number nor a text")
    is_count = isinstance(credits, int | float) and not isinstance(credits, bool)
    return Snapshot(
        phase=Phase.PENDING,
        remote=Remote(str(video_id)),
        usage={"credits": credits} if is_count else {},
    )


@errors.documented("a film of PixVerse")
def read_film(resp: Any, remote: Remote) -> Snapshot:
    """`{"id", "status": 5, "url": "", "outputWidth": 0, "outputHeight": 0}`."""
    status = resp["status"]
    if isinstance(status, bool):
        raise TypeError("status is no number")
    phase = PHASES[status]
    artifacts: tuple[Artifact, ...] = ()
    if phase is Phase.SUCCEEDED:
        url = resp["url"]
        if not url.startswith(("https://", "http://")):
            raise ValueError("its url is no link")
        artifacts = (
            Artifact(
                url=url,
                content_type="video/mp4",
                width=resp.get("outputWidth") or None,
                height=resp.get("outputHeight") or None,
            ),
        )
    return Snapshot(
        phase=phase,
        remote=remote,
        artifacts=artifacts,
        failure=FAILURES.get(status),
    )


@errors.documented("a callback of PixVerse")
def receive(callback: Callback, model: str) -> Heard:
    """`{"id": text, "status", "url", ...}`, signed over time, nonce and its fields.

    That the fields are signed in the order of their names is not confirmed; where it is
    otherwise the callback is refused, and looking goes on. The answer must be `ok`.
    """
    headers, body = callback.headers, json.loads(callback.body)
    timestamp, nonce = headers["webhook-timestamp"], headers["webhook-nonce"]
    video_id = str(body["id"])
    return Heard(
        ids=(video_id,),
        remote=Remote(video_id),
        signed=Signed(
            scheme="hmac-sha256",
            message=f"{timestamp}\n{nonce}\n{signed_fields(body)}".encode(),
            signature=headers["webhook-signature"],
            timestamp=float(int(timestamp)),
        ),
        answer="ok",
    )


def signed_fields(body: Mapping[str, Any]) -> str:
    """The fields of a callback as a query, by name; what is no text as in JSON."""
    return urlencode(
        [
            (name, value if isinstance(value, str) else json.dumps(value))
            for name, value in sorted(body.items())
        ]
    )


def test() -> Flow[None]:
    """List one voice, which costs nothing."""
    reply = yield Call(
        "GET",
        f"{PREFIX}/video/lip_sync/tts_list",
        params={"page_num": "1", "page_size": "1"},
    )
    check(reply)


PROVIDER = Provider(
    name="pixverse",
    title="PixVerse",
    base_url="https://app-api.pixverse.ai",
    env=("PIXVERSE_API_KEY",),
    models=catalogue.MODELS,
    describe=catalogue.describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    receive=receive,
    test=test,
    poll_spacing_s=3.0,
    sandbox_path="/pixverse",
)
