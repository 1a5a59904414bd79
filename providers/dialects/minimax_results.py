"""MiniMax answers: errors in two spellings, states in three, and each API's result.

The v1 APIs answer 200 to most errors and tell them in `base_resp`, the v2 API uses HTTP
statuses and puts the same number into its message. Sources: the error code page and the
API pages of platform.minimax.io, read November 2026 (docs/providers/minimax.md).
"""

from __future__ import annotations

import base64
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers import errors
from providers.flow import NotJson, Reply
from providers.types import Artifact, Failure, Phase, Reason, Remote, Snapshot

# By lower case: queries say "Success", callbacks "success", the v2 API "succeeded"
PHASES: Mapping[str, Phase] = {
    "preparing": Phase.PENDING,
    "queueing": Phase.PENDING,
    "queued": Phase.PENDING,
    "processing": Phase.RUNNING,
    "running": Phase.RUNNING,
    "success": Phase.SUCCEEDED,
    "succeeded": Phase.SUCCEEDED,
    "fail": Phase.FAILED,
    "failed": Phase.FAILED,
    "expired": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
}

# A call that failed. 1000, 1001, 1024 and 1033 say nothing of what became of it.
CODES: errors.Codes = {
    "1000": errors.Unavailable,
    "1001": errors.Unavailable,
    "1002": errors.RateLimited,
    "1004": errors.KeyRefused,
    "1008": errors.QuotaExhausted,
    "1024": errors.Unavailable,
    "1026": errors.ContentRejected,
    "1027": errors.ContentRejected,
    "1028": errors.QuotaExhausted,
    "1030": errors.QuotaExhausted,
    "1033": errors.Unavailable,
    "1039": errors.RateLimited,
    "1041": errors.RateLimited,
    "1042": errors.Rejected,
    "1043": errors.Rejected,
    "1044": errors.Rejected,
    "2013": errors.Rejected,
    "20132": errors.Rejected,
    "2038": errors.ChannelRefused,
    "2045": errors.RateLimited,
    "2049": errors.KeyRefused,
    "2056": errors.QuotaExhausted,
    "2061": errors.ModelRefused,
    # v2, where the message names no number
    "bad_request_error": errors.Rejected,
    "authorized_error": errors.KeyRefused,
    "insufficient_balance_error": errors.QuotaExhausted,
    "unprocessable_entity_error": errors.ContentRejected,
    "rate_limit_error": errors.RateLimited,
    "server_error": errors.Unavailable,
}

# Why a job failed, by the same numbers; the rest is the upstream's own fault.
REASONS: Mapping[str, Reason] = {
    "1001": Reason.UPSTREAM_TIMEOUT,
    "1026": Reason.CONTENT_REJECTED,
    "1027": Reason.CONTENT_REJECTED,
    "1042": Reason.INVALID_REQUEST,
    "1043": Reason.INVALID_REQUEST,
    "1044": Reason.INVALID_REQUEST,
    "2013": Reason.INVALID_REQUEST,
    "20132": Reason.INVALID_REQUEST,
}
INVALID_PARAMETERS = frozenset({"2013", "bad_request_error"})

BRACKETED_CODE = re.compile(r"\((\d{3,6})\)\s*$")
AUDIO_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "pcm": "audio/pcm",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A v1 job at one moment: its state, and the file to ask for when it is done."""

    snapshot: Snapshot
    file_id: str = ""
    width: int | None = None
    height: int | None = None


# Errors


def check(reply: Reply) -> Any:
    """The JSON body of an answer that says no error, else the error it stands for.

    A number that is not documented, under HTTP 200, leaves open what became of the
    call: it is an unexpected reply.
    """
    try:
        body = reply.json()
    except NotJson as error:
        if reply.ok:
            raise errors.UnexpectedReply(str(error), status=reply.status) from error
        body = None
    code, message = read_error(body)
    if reply.ok and not code:
        return body
    unknown = errors.UnexpectedReply if reply.ok else errors.by_status(reply.status)
    raise errors.make(
        CODES.get(code, unknown),
        message or f"HTTP {reply.status} without a readable error",
        code=code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def read_error(body: Any) -> tuple[str, str]:
    """The number (or v2's type) and text of an error; two empty texts when none is.

    `{"base_resp": {"status_code", "status_msg"}}`, or `{"type": "error", "error":
    {"type", "message"}}` with the number in brackets at the end of the message.
    """
    if not isinstance(body, Mapping):
        return "", ""
    told = body.get("base_resp")
    if isinstance(told, Mapping) and str(told.get("status_code")) not in ("0", "None"):
        return str(told["status_code"]), str(told.get("status_msg") or "")
    error = body.get("error")
    if isinstance(error, Mapping):
        message = str(error.get("message") or "")
        number = BRACKETED_CODE.search(message)
        code = number[1] if number else str(error.get("type") or "error")
        return code, message
    return "", ""


def failed(code: str, message: str, word: str) -> Failure:
    """Why a job has ended without a result."""
    if word == "expired":
        return Failure(Reason.UPSTREAM_EXPIRED, message or "the job expired", word)
    reason = REASONS.get(code, Reason.UPSTREAM_FAILED)
    text = (message or "the generation failed")[: errors.MESSAGE_LENGTH]
    return Failure(reason, text, code)


def text_id(value: Any) -> str:
    """An id as a text: some APIs have numbers; ValueError when there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not value:
        raise ValueError("it has no id")
    return str(value)


# Jobs of v1


@errors.documented("an accepted job of MiniMax")
def read_accepted(body: dict[str, Any], api: str) -> Snapshot:
    """`{"task_id"}`, a text or a number; `api` tells later where to look."""
    remote = Remote(text_id(body["task_id"]), {"api": api})
    return Snapshot(phase=Phase.PENDING, remote=remote)


def read_query(reply: Reply) -> Seen:
    """A look at a v1 job; an error without a status is one of the call."""
    try:
        body = reply.json()
    except NotJson:
        body = None
    if reply.ok and isinstance(body, dict) and body.get("status"):
        return read_job(body)
    check_look(reply)
    raise errors.UnexpectedReply("a job of MiniMax without a status")


def check_look(reply: Reply) -> Any:
    """As `check`, for a look at a job: its only parameter is the id.

    So an invalid one is an unknown job; what exactly is answered is not documented.
    """
    try:
        return check(reply)
    except errors.Rejected as error:
        if error.code not in INVALID_PARAMETERS:
            raise
        raise errors.NotFound(
            str(error), code=error.code, status=error.status
        ) from error


@errors.documented("a job of MiniMax")
def read_job(body: dict[str, Any]) -> Seen:
    """`{"status", "file_id", "video_width"?, "video_height"?, "base_resp"}`."""
    word = body["status"].lower()
    phase = PHASES[word]
    if phase is Phase.FAILED:
        code, message = read_error(body)
        return Seen(Snapshot(phase=phase, failure=failed(code, message, word)))
    if phase is not Phase.SUCCEEDED:
        return Seen(Snapshot(phase=phase))
    return Seen(
        Snapshot(phase=phase, percent=100),
        text_id(body["file_id"]),
        side(body.get("video_width")),
        side(body.get("video_height")),
    )


def side(value: Any) -> int | None:
    """A side in pixels; 0 and other types mean that it is not known."""
    return value if type(value) is int and value > 0 else None


@errors.documented("a file of MiniMax")
def read_file(body: dict[str, Any]) -> str:
    """`{"file": {"download_url"}}`: a public link, good for nine hours."""
    return link(body["file"]["download_url"])


def link(url: Any) -> str:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise ValueError("it has no link")
    return url


@errors.documented("an archive of MiniMax with speech in it")
def read_archive(content: bytes) -> Artifact:
    """The sound in the tar archive of a long speech; times and texts lie beside it.

    Only the plain format is read, and no member may be larger than the archive, as a
    sparse one says it is: both could unpack to any size.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                content_type = AUDIO_TYPES.get(member.name.rpartition(".")[2].lower())
                if content_type is None or not member.isreg():
                    continue
                file = archive.extractfile(member)
                if file is not None and 0 < member.size <= len(content):
                    return Artifact(content=file.read(), content_type=content_type)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"it cannot be unpacked: {error}") from error
    raise ValueError("there is no sound in it")


# Jobs of v2


@errors.documented("a video of MiniMax")
def read_video(body: dict[str, Any]) -> Snapshot:
    """`{"task": {"status", "content": {"url"} | null, "error"?, "usage"?}}`."""
    task = body["task"]
    word = task["status"].lower()
    phase = PHASES[word]
    usage = task.get("usage") or {}
    if phase is Phase.FAILED:
        error = task.get("error") or {}
        code, message = str(error.get("code") or ""), str(error.get("message") or "")
        failure = failed(code, message, word)
        return Snapshot(phase=phase, failure=failure, usage=usage)
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase)
    video = Artifact(url=link(task["content"]["url"]), content_type="video/mp4")
    return Snapshot(phase=phase, percent=100, artifacts=(video,), usage=usage)


# Answers that bring the result


@errors.documented("a list of images of MiniMax")
def read_images(body: dict[str, Any]) -> Snapshot:
    """`{"data": {"image_urls" or "image_base64"}, "metadata": {"failed_count"}}`.

    Counts are texts. What moderation took away is only counted, with status 0.
    """
    data = body.get("data") or {}
    artifacts = [
        Artifact(url=link(url), content_type="image/jpeg")
        for url in data.get("image_urls") or ()
    ]
    artifacts += [
        Artifact(content=base64.b64decode(text.encode(), validate=True))
        for text in data.get("image_base64") or ()
    ]
    counts = body.get("metadata") or {}
    lost = int(counts.get("failed_count") or 0)
    if not artifacts and not lost:
        raise ValueError("there is no image in it")
    failure = None
    if lost:
        failure = Failure(
            Reason.CONTENT_REJECTED, f"{lost} of the images were refused by moderation"
        )
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        percent=100 if artifacts else None,
        artifacts=tuple(artifacts),
        failure=failure,
    )


@errors.documented("a list of images of MiniMax")
def read_openai_images(body: dict[str, Any], wanted: int) -> Snapshot:
    """`{"data": [{"url"} or {"b64_json"}]}`; fewer than `wanted` is a part of it."""
    artifacts = tuple(
        Artifact(url=link(item["url"]))
        if item.get("url")
        else Artifact(content=base64.b64decode(item["b64_json"], validate=True))
        for item in body["data"]
    )
    if not artifacts:
        raise ValueError("there is no image in it")
    failure = None
    if len(artifacts) < wanted:
        text = f"{wanted - len(artifacts)} of {wanted} images were not made"
        failure = Failure(Reason.UPSTREAM_FAILED, text)
    return Snapshot(
        phase=Phase.SUCCEEDED, percent=100, artifacts=artifacts, failure=failure
    )


@errors.documented("a sound of MiniMax")
def read_sound(body: dict[str, Any], wanted: str, title: str | None = None) -> Snapshot:
    """`{"data": {"audio", "status": 2}, "extra_info"}`: a link, or bytes as hex text.

    Every name in `extra_info` is optional; lengths are milliseconds. `wanted` is the
    format asked for, which counts where the answer names none.
    """
    data = body["data"]
    if data.get("status", 2) != 2:
        raise ValueError("the sound is not complete")
    info = body.get("extra_info") or {}
    audio = data["audio"]
    form = str(info.get("audio_format") or wanted).lower()
    milliseconds = info.get("audio_length") or info.get("music_duration")
    is_link = audio.startswith(("http://", "https://"))
    content = None if is_link else bytes.fromhex(audio)
    if not is_link and not content:
        raise ValueError("the sound is empty")
    artifact = Artifact(
        url=audio if is_link else None,
        content=content,
        content_type=AUDIO_TYPES.get(form),
        duration_s=milliseconds / 1000 if milliseconds else None,
        title=title,
    )
    characters = info.get("usage_characters")
    return Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=(artifact,),
        usage={} if characters is None else {"characters": characters},
    )
