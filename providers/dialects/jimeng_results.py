"""Jimeng answers: one shell for all, whose `code` decides, and the errors in it.

Sources: volcengine.com/docs/85621 (1777001, 1817045) and 6444/69728 (error codes), read
November 2026.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from providers import errors
from providers.flow import Reply
from providers.types import Artifact, Failure, Phase, Reason, Remote, Snapshot

GOOD = 10000
PHASES = {
    "in_queue": Phase.PENDING,
    "generating": Phase.RUNNING,
    "done": Phase.SUCCEEDED,  # or not: only that processing ended
    "expired": Phase.FAILED,
}
NEVER_KNOWN = "not_found"  # no such task, or older than twelve hours; with status 200

KINDS: Mapping[int, type[errors.ProviderError]] = {
    # not activated, no right, or no such model
    50400: errors.ModelRefused,
    50411: errors.ContentRejected,
    50412: errors.ContentRejected,
    50413: errors.ContentRejected,
    50511: errors.ContentRejected,
    50512: errors.ContentRejected,
    50516: errors.ContentRejected,
    50517: errors.ContentRejected,
    50518: errors.ContentRejected,
    50519: errors.ContentRejected,
    50429: errors.RateLimited,
    50430: errors.RateLimited,
    50500: errors.Unavailable,
    50501: errors.Unavailable,
}
# the moderation service itself had a fault
UNMODERATED = frozenset({50520, 50521, 50522})
BAD_PARAMETERS = range(50200, 50300)

# Codes of the platform in front, or their beginnings; their list is not confirmed.
GATE_KINDS: Mapping[str, type[errors.ProviderError]] = {
    "SignatureDoesNotMatch": errors.KeyRefused,
    "InvalidAccessKey": errors.KeyRefused,
    "AccessDenied": errors.ChannelRefused,
}
CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
}
NO_FILE = "the upstream finished without a file"


# Errors


def check(reply: Reply) -> Any:
    """`data` of an answer that succeeded; otherwise the error it stands for."""
    code, message = read_code(reply)
    if reply.ok and code == str(GOOD):
        return errors.read_json(reply).get("data")
    if reply.ok and not code:
        raise errors.UnexpectedReply(message, status=reply.status)
    raise errors.make(
        kind_of(code, reply.status),
        message,
        code=code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def read_code(reply: Reply) -> tuple[str, str]:
    """Code and text of the shell, or of the platform's own error; "" without one."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        body = reply.json()
        if "ResponseMetadata" in body:
            error = body["ResponseMetadata"]["Error"]
            return str(error["Code"]), str(error["Message"])
        code = body["code"]
        if isinstance(code, int) and not isinstance(code, bool):
            return str(code), str(body.get("message") or f"code {code}")
    return "", f"HTTP {reply.status} without a readable error"


def kind_of(code: str, status: int) -> type[errors.ProviderError]:
    """The class of an error: its code decides, else the status."""
    for name, kind in GATE_KINDS.items():
        if code.startswith(name):
            return kind
    if code.isdecimal():
        number = int(code)
        if number in KINDS:
            return KINDS[number]
        if number in BAD_PARAMETERS:
            return errors.Rejected
        if number in UNMODERATED:  # refused before anything began, unless it broke
            return errors.RateLimited if status < 500 else errors.Unavailable
    return errors.by_status(status)


# Submit


@errors.documented("an accepted task of Jimeng")
def read_accepted(data: Any, links: Mapping[str, str]) -> Snapshot:
    """`{"task_id"}`, a text of 19 digits; a poll needs the key and its options too."""
    task_id = data["task_id"]
    if not isinstance(task_id, str) or not task_id:
        raise ValueError("task_id is no text")
    return Snapshot(phase=Phase.PENDING, remote=Remote(task_id, links))


# Poll


def read_task(reply: Reply) -> Snapshot:
    """The state of a task; that it failed is told by an error of the call.

    An error counts as the task's end where it is about content or input. A rate limit,
    a fault of the moderation service, an account that may not ask, and whatever comes
    with a status of 500 or more say nothing of the task.
    """
    try:
        return read_state(check(reply))
    except (errors.Rejected, errors.Unavailable) as error:
        code = int(error.code) if error.code.isdecimal() else 0
        if code == 0 or reply.status >= 500:
            raise
        return Snapshot(phase=Phase.FAILED, failure=failure_of(error))


def failure_of(error: errors.ProviderError) -> Failure:
    """Why a task failed, by the class of its error."""
    if isinstance(error, errors.ContentRejected):
        reason = Reason.CONTENT_REJECTED
    elif isinstance(error, errors.Rejected):
        reason = Reason.INVALID_REQUEST
    else:
        reason = Reason.UPSTREAM_FAILED
    return Failure(reason, str(error), error.code)


@errors.documented("a task of Jimeng")
def read_state(data: Any) -> Snapshot:
    """`{"status", "image_urls", "binary_data_base64", "video_url"}`."""
    status = data["status"]
    if status == NEVER_KNOWN:
        raise errors.NotFound("the upstream knows no such task, or no more")
    phase = PHASES[status]
    if phase is Phase.FAILED:
        failure = Failure(Reason.UPSTREAM_EXPIRED, "the result has expired", status)
        return Snapshot(phase=phase, failure=failure)
    return read_outputs(data) if phase is Phase.SUCCEEDED else Snapshot(phase=phase)


@errors.documented("a result of Jimeng")
def read_outputs(data: Any) -> Snapshot:
    """The files of a task that is done; without any it has failed."""
    urls = [
        url for url in (*(data.get("image_urls") or ()), data.get("video_url")) if url
    ]
    artifacts = [from_url(url) for url in urls]
    if not urls:
        artifacts = [
            Artifact(content=base64.b64decode(text, validate=True))
            for text in data.get("binary_data_base64") or ()
        ]
    if not artifacts:
        failure = Failure(Reason.UPSTREAM_FAILED, NO_FILE)
        return Snapshot(phase=Phase.FAILED, failure=failure)
    return Snapshot(phase=Phase.SUCCEEDED, artifacts=tuple(artifacts))


def from_url(url: str) -> Artifact:
    """One file; when its link dies is written in the link."""
    parts = urlsplit(url)
    told = parse_qs(parts.query).get("x-expires", [""])[0]
    ending = parts.path.rpartition(".")[2].lower()
    return Artifact(
        url=url,
        content_type=CONTENT_TYPES.get(ending),
        expires_at=int(told) if told.isdecimal() and len(told) < 12 else None,
    )
