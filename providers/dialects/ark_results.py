"""Ark answers: tasks, images, and errors.

Sources: "get-video-generation-task-api" and "error-codes" of ark.volcengine.com,
"image-generation-api" of ai.byteplus.com/ark, read November 2026.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from providers import errors, geometry
from providers.flow import Reply
from providers.types import Artifact, Failure, Phase, Reason, Remote, Snapshot

PHASES = {
    "queued": Phase.PENDING,
    "running": Phase.RUNNING,
    "succeeded": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
    "expired": Phase.FAILED,  # it waited past `execution_expires_after`
    # not documented, but mapped by other gateways
    "pending": Phase.PENDING,
    "processing": Phase.RUNNING,
}
QUEUED = "queued"
EXPIRED = "expired"

# Keys are whole codes, or what stands before their first dot.
KINDS: Mapping[str, type[errors.ProviderError]] = {
    "MissingParameter": errors.Rejected,
    "InvalidParameter": errors.Rejected,
    "InvalidImageURL": errors.Rejected,
    "SensitiveContentDetected": errors.ContentRejected,
    "InputTextSensitiveContentDetected": errors.ContentRejected,
    "InputImageSensitiveContentDetected": errors.ContentRejected,
    "InputVideoSensitiveContentDetected": errors.ContentRejected,
    "InputAudioSensitiveContentDetected": errors.ContentRejected,
    "OutputTextSensitiveContentDetected": errors.ContentRejected,
    "OutputImageSensitiveContentDetected": errors.ContentRejected,
    "OutputVideoSensitiveContentDetected": errors.ContentRejected,
    "OutputAudioSensitiveContentDetected": errors.ContentRejected,
    "AuthenticationError": errors.KeyRefused,
    "InvalidAccountStatus": errors.ChannelRefused,
    "AccessDenied": errors.ChannelRefused,
    "OperationDenied": errors.ChannelRefused,
    "OperationDenied.ServiceOverdue": errors.QuotaExhausted,
    "AccountOverdueError": errors.QuotaExhausted,
    "SetLimitExceeded": errors.QuotaExhausted,
    "InvalidEndpoint": errors.ModelRefused,
    "InvalidEndpointOrModel": errors.ModelRefused,
    "ModelNotOpen": errors.ModelRefused,
    "RateLimitExceeded": errors.RateLimited,
    "ModelAccountRpmRateLimitExceeded": errors.RateLimited,
    "ModelAccountTpmRateLimitExceeded": errors.RateLimited,
    "ModelAccountIpmRateLimitExceeded": errors.RateLimited,
    "APIAccountRpmRateLimitExceeded": errors.RateLimited,
    "AccountRateLimitExceeded": errors.RateLimited,
    "RequestBurstTooFast": errors.RateLimited,
    "InflightBatchsizeExceeded": errors.RateLimited,
    "ServerOverloaded": errors.RateLimited,
    "InternalServiceError": errors.Unavailable,
    # too many waiting tasks, or a free trial that is used up: see TRIAL
    "QuotaExceeded": errors.RateLimited,
    "AccountQuotaExceeded": errors.RateLimited,
}
QUOTA = frozenset({"QuotaExceeded", "AccountQuotaExceeded"})
TRIAL = re.compile(r"\btrial\b|免费|试用", re.I)

REASONS = {
    "MissingParameter": Reason.INVALID_REQUEST,
    "InvalidParameter": Reason.INVALID_REQUEST,
    "InvalidImageURL": Reason.INVALID_REQUEST,
}
CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
}
NO_REASON = "the upstream gave no reason"
T = TypeVar("T")


# Errors


def check(reply: Reply) -> Any:
    """The JSON body of an answer that succeeded; otherwise the error it stands for."""
    if not reply.ok:
        raise refusal(reply)
    return errors.read_json(reply)


def refusal(reply: Reply) -> errors.ProviderError:
    """The error of a reply, by its code, else by its status."""
    code, message = "", f"HTTP {reply.status} without a readable error"
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        code, message = errors.read_error_object(reply.json())
    return errors.make(
        kind_of(code, message) or errors.by_status(reply.status),
        message,
        code=code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def kind_of(code: str, message: str) -> type[errors.ProviderError] | None:
    """The class of an error code, or None when nobody documented it."""
    if code.partition(".")[0] in QUOTA and TRIAL.search(message):
        return errors.QuotaExhausted
    return by_code(code, KINDS)


def by_code(code: str, table: Mapping[str, T]) -> T | None:
    return table.get(code) or table.get(code.partition(".")[0])


def failure_of(error: Any) -> Failure:
    """`{"code", "message"}` of a task or of one image; null tells nothing."""
    told = error if isinstance(error, Mapping) else {}
    code = str(told.get("code") or "")
    message = str(told.get("message") or code or NO_REASON)
    if by_code(code, KINDS) is errors.ContentRejected:
        reason = Reason.CONTENT_REJECTED
    else:
        reason = by_code(code, REASONS) or Reason.UPSTREAM_FAILED
    return Failure(reason, message[: errors.MESSAGE_LENGTH], code)


# Tasks


@errors.documented("an accepted task of Ark")
def read_accepted(body: Any) -> Snapshot:
    """`{"id"}` and no status."""
    return Snapshot(phase=Phase.PENDING, remote=Remote(read_id(body)))


def read_id(body: Mapping[str, Any]) -> str:
    task_id = body["id"]
    if not isinstance(task_id, str) or not task_id:
        raise ValueError("id is empty")
    return task_id


@errors.documented("a task of Ark")
def read_task(body: Any) -> Snapshot:
    """`{"id", "status", "error", "content"?: {"video_url"}, ...}` as a snapshot."""
    remote = Remote(read_id(body))
    status = body["status"]
    phase = PHASES[status]
    if status == EXPIRED:
        told = failure_of(body.get("error"))
        text = "the task waited too long" if told.message == NO_REASON else told.message
        failure = Failure(Reason.UPSTREAM_EXPIRED, text, told.code or EXPIRED)
        return Snapshot(phase=phase, remote=remote, failure=failure)
    if phase is Phase.FAILED:
        failure = failure_of(body.get("error"))
        return Snapshot(phase=phase, remote=remote, failure=failure)
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase, remote=remote)
    url = body["content"]["video_url"]
    if not url:
        failure = Failure(
            Reason.UPSTREAM_FAILED, "the upstream finished without a file"
        )
        return Snapshot(phase=Phase.FAILED, remote=remote, failure=failure)
    artifact = Artifact(
        url=url,
        content_type=type_of(url, body.get("output_format")),
        duration_s=seconds_of(body),
    )
    return Snapshot(
        phase=phase, remote=remote, artifacts=(artifact,), usage=usage_of(body)
    )


def seconds_of(body: Mapping[str, Any]) -> float | None:
    """The film's length, which is told in seconds or in frames."""
    if body.get("duration"):
        return float(body["duration"])
    if body.get("frames") and body.get("framespersecond"):
        return float(body["frames"]) / float(body["framespersecond"])
    return None


def usage_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens, and the last frame where it was asked for: it is no second result."""
    usage = dict(body.get("usage") or {})
    last = body["content"].get("last_frame_url")
    return {**usage, "last_frame_url": last} if last else usage


def type_of(url: str, told: Any) -> str | None:
    """By the format told, else by the file name in the URL, else unknown."""
    ending = urlsplit(url).path.rpartition(".")[2]
    return CONTENT_TYPES.get(str(told or ending).lower())


@errors.documented("a list of tasks of Ark")
def read_list(body: Any) -> dict[str, Snapshot]:
    """`{"total", "items": [<task>]}` as snapshots by id.

    A task that cannot be read counts as running, so that it does not spoil the others.
    """
    snapshots = {}
    for task in body["items"]:
        try:
            snapshot = read_task(task)
        except errors.UnexpectedReply:
            snapshot = Snapshot(phase=Phase.RUNNING, remote=Remote(read_id(task)))
        snapshots[read_id(task)] = snapshot
    return snapshots


# Images


def read_images(reply: Reply, body: Any, wanted: int) -> Snapshot:
    """What became of an image call; an error without any image is raised."""
    if isinstance(body, Mapping) and body.get("error") and not body.get("data"):
        raise refusal(reply)
    return read_data(body, wanted)


@errors.documented("images of Ark")
def read_data(body: Any, wanted: int) -> Snapshot:
    """`{"data": [{"url" | "b64_json", "size"?} | {"error"}], "usage"?}`."""
    artifacts = []
    failures = []
    for item in body["data"]:
        if item.get("url") or item.get("b64_json"):
            artifacts.append(read_image(item))
        else:
            failures.append(failure_of(item["error"]))
    if body.get("error"):  # it stopped in the middle
        failures.append(failure_of(body["error"]))
    made = len(artifacts)
    failure = None
    if failures:
        first = failures[0]
        total = max(wanted, made + len(failures))
        text = f"{made} of {total} images were made: {first.message}"
        failure = Failure(first.reason, text[: errors.MESSAGE_LENGTH], first.code)
    elif made < wanted:
        text = f"the model made {made} of {wanted} images"
        failure = Failure(Reason.UPSTREAM_FAILED, text)
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        artifacts=tuple(artifacts),
        failure=failure,
        usage=dict(body.get("usage") or {}),
    )


def read_image(item: Mapping[str, Any]) -> Artifact:
    """One image, at a URL or inline; `size` is "2048x2048"."""
    url = item.get("url")
    width, height = geometry.read_size(str(item.get("size") or "")) or (None, None)
    content = None if url else base64.b64decode(item["b64_json"], validate=True)
    return Artifact(
        url=url or None,
        content=content,
        content_type=type_of(url or "", item.get("output_format")),
        width=width,
        height=height,
    )
