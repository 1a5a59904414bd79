"""Vidu answers: errors by their reason, the states of tasks, and results.

Sources: the pages on queries, lists, cancelling and error codes of platform.vidu.com,
read November 2026 (docs/providers/vidu.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from providers import errors
from providers.flow import Reply
from providers.types import (
    Artifact,
    Failure,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)

PHASES: Mapping[str, Phase] = {
    "created": Phase.PENDING,
    "queueing": Phase.PENDING,
    "processing": Phase.RUNNING,
    "scheduling": Phase.RUNNING,  # seen in answers, but not documented for queries
    "scheduled": Phase.RUNNING,
    "success": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
}
CANCELLED = "UserCancelled"

CODES: errors.Codes = {
    "BadRequest": errors.Rejected,
    "FieldLacking": errors.Rejected,
    "FieldUnwanted": errors.Rejected,
    "FieldInvalid": errors.Rejected,
    "FieldItemCountOutOfRange": errors.Rejected,
    "PageSizeOutOfRange": errors.Rejected,
    "ImageDownloadFailure": errors.Rejected,
    "ImageFormatInvalid": errors.Rejected,
    "ImageCheckBodyJointsFailed": errors.Rejected,
    "ImageCheckFaceFailed": errors.Rejected,
    "ImageObjectsUndetected": errors.Rejected,
    "OperationInProcess": errors.RateLimited,
    "TaskPromptPolicyViolation": errors.ContentRejected,
    "AuditSubmitIllegal": errors.ContentRejected,
    "CreationPolicyViolation": errors.ContentRejected,
    "CreditInsufficient": errors.QuotaExhausted,  # with status 400
    "ModelUnavailable": errors.ModelRefused,
    "Unauthorized": errors.KeyRefused,
    "Forbidden": errors.ChannelRefused,
    "NotFound": errors.NotFound,
    "TaskNotFound": errors.NotFound,
    "CreationNotFound": errors.NotFound,
    "Conflict": errors.OutcomeUnknown,
    "QuotaExceeded": errors.RateLimited,  # as many tasks run as the plan allows
    "TooManyRequests": errors.RateLimited,
    "SystemThrottling": errors.RateLimited,
    "Canceled": errors.OutcomeUnknown,
    "InternalServiceFailure": errors.Unavailable,
}

# Why a task failed, by the same words; the rest is the upstream's own fault.
REASONS: Mapping[str, Reason] = {
    code: Reason.CONTENT_REJECTED
    if kind is errors.ContentRejected
    else Reason.INVALID_REQUEST
    for code, kind in CODES.items()
    if issubclass(kind, errors.Rejected)
}

VIDEO_TYPE = "video/mp4"
LINK_NAMES = ("url", "speech_url", "sound_url")
"""Where a result may be; the cover and the copy with a watermark are none."""


# Errors


def check(reply: Reply) -> Any:
    """The JSON body of a success, else the error that its `reason` tells."""
    return errors.check(reply, CODES, read_error)


def read_error(body: Any) -> tuple[str, str]:
    """`{"code", "reason", "message", "metadata"}`; the code is the HTTP status."""
    return str(body.get("reason") or ""), str(body["message"])


def accepted(reply: Reply) -> Any:
    """The answer to a submit; a path that is not there is a model not offered."""
    try:
        return check(reply)
    except errors.NotFound as error:
        raise errors.ModelRefused(
            str(error), code=error.code, status=error.status
        ) from error


# Tasks


@errors.documented("an accepted task of Vidu")
def read_accepted(body: dict[str, Any], media_type: str) -> Snapshot:
    """`{"task_id", "state", "credits", ...}`, and what was asked for."""
    return read_state(body, text_id(body["task_id"]), media_type)


@errors.documented("a speech of Vidu")
def read_speech(body: dict[str, Any], media_type: str) -> Snapshot:
    """`{"task_id", "state", "file_url"}`, mostly done; one that is not is a task."""
    task_id = text_id(body["task_id"])
    if PHASES[body["state"]] is not Phase.SUCCEEDED:
        return read_state(body, task_id, media_type)
    return Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=(Artifact(url=link(body["file_url"])),),
        usage=read_usage(body),
    )


@errors.documented("a task of Vidu")
def read_task(body: dict[str, Any], remote: Remote) -> Snapshot:
    """`{"id", "state", "err_code", "credits", "progress"?, "creations": [{"url"}]}`."""
    return read_state(body, remote.id, remote.links.get("media", ""))


def read_state(body: Mapping[str, Any], task_id: str, media_type: str) -> Snapshot:
    phase, code = PHASES[body["state"]], str(body.get("err_code") or "")
    remote = Remote(task_id, {"media": media_type} if media_type else {})
    usage = read_usage(body)
    if phase is Phase.FAILED:
        if code == CANCELLED:
            return Snapshot(phase=Phase.CANCELLED, remote=remote, usage=usage)
        reason = REASONS.get(code, Reason.UPSTREAM_FAILED)
        message = f"the generation failed: {code}" if code else "the generation failed"
        failure = Failure(reason, message, code)
        return Snapshot(phase=phase, remote=remote, failure=failure, usage=usage)
    if phase is not Phase.SUCCEEDED:
        percent = read_percent(body) if phase is Phase.RUNNING else None
        return Snapshot(phase=phase, remote=remote, percent=percent, usage=usage)
    artifacts = tuple(
        Artifact(
            url=read_link(item),
            content_type=VIDEO_TYPE if media_type == MediaType.VIDEO else None,
        )
        for item in body["creations"]
    )
    if not artifacts:
        raise ValueError("there is no result in it")
    return Snapshot(
        phase=phase, remote=remote, percent=100, artifacts=artifacts, usage=usage
    )


def text_id(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("its id is not a text")
    return value


def read_link(item: Mapping[str, Any]) -> str:
    return link(next((item[name] for name in LINK_NAMES if item.get(name)), None))


def link(url: Any) -> str:
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise ValueError("it has no link")
    return url


def read_percent(body: Mapping[str, Any]) -> int | None:
    """`progress`, 0 to 100, which many models do not have."""
    progress = body.get("progress")
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    return min(99, max(0, int(progress)))


def read_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """What it costs in credits, a number or a text."""
    told = body.get("credits")
    if isinstance(told, bool) or not isinstance(told, str | int | float):
        return {}
    try:
        credits = float(told)
    except ValueError:
        return {}
    if not math.isfinite(credits):
        return {}
    return {"credits": int(credits) if credits.is_integer() else credits}


@errors.documented("a list of tasks of Vidu")
def read_page(body: dict[str, Any], reference: str) -> tuple[str, str]:
    """The id of the task with our name on one page of the list, and the next page.

    `{"tasks": [{"id", "payload"}], "next_page_token"}`; empty texts when there is none.
    The names of its fields are not fully confirmed.
    """
    for task in body["tasks"] or ():
        if task.get("payload") == reference:
            return text_id(task.get("id") or task["task_id"]), ""
    return "", str(body.get("next_page_token") or "")
