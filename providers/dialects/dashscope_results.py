"""DashScope answers: tasks, finished results in their seven shapes, and errors.

Sources: "manage-asynchronous-tasks", "async-task-api", "error-code" and the models'
API reference pages of help.aliyun.com/zh/model-studio, read November 2026.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from providers import errors, geometry
from providers.flow import Reply
from providers.types import (
    Artifact,
    Failure,
    Phase,
    Reason,
    Remote,
    Snapshot,
)

PHASES = {
    "PENDING": Phase.PENDING,
    "RUNNING": Phase.RUNNING,
    "SUSPENDED": Phase.RUNNING,  # in the SDK's list only
    "SUCCEEDED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELED": Phase.CANCELLED,
}
NEVER_KNOWN = "UNKNOWN"  # no such id, or older than 24 hours; with status 200

# Keys are codes, or the beginnings of codes, without case and underscores: a code has a
# spelling in PascalCase and often one in snake_case.
KINDS: Mapping[str, type[errors.ProviderError]] = {
    "invalidparameter": errors.Rejected,
    "badrequest": errors.Rejected,
    "invalidurl": errors.Rejected,
    "unsupportedoperation": errors.Rejected,
    "datainspectionfailed": errors.ContentRejected,
    "ipinfringementsuspect": errors.ContentRejected,
    "customroleblocked": errors.ContentRejected,
    "faqruleblocked": errors.ContentRejected,
    "arrearage": errors.QuotaExhausted,
    "invalidapikey": errors.KeyRefused,
    "notauthorized": errors.KeyRefused,
    "invalidaccesstoken": errors.KeyRefused,
    "accessdenied": errors.ChannelRefused,
    "workspace.accessdenied": errors.ChannelRefused,
    "workspacenotfound": errors.ChannelRefused,
    "model.accessdenied": errors.ModelRefused,
    "modelnotfound": errors.ModelRefused,
    "modelnotsupported": errors.ModelRefused,
    "notfound": errors.NotFound,
    "allocationquota.freetieronly": errors.QuotaExhausted,
    "throttling": errors.RateLimited,
    "limitrequests": errors.RateLimited,
    # a quota per minute, or of running tasks: it comes back by itself
    "insufficientquota": errors.RateLimited,
    "commoditynotpurchased": errors.QuotaExhausted,
    "prepaidbilloverdue": errors.QuotaExhausted,
    "postpaidbilloverdue": errors.QuotaExhausted,
    "internalerror": errors.Unavailable,
    "systemerror": errors.Unavailable,
    "requesttimeout": errors.Unavailable,
    "modelservingerror": errors.Unavailable,
    "modelunavailable": errors.Unavailable,
}
REASONS = {
    "invalidparameter": Reason.INVALID_REQUEST,
    "badrequest": Reason.INVALID_REQUEST,
    "invalidurl": Reason.INVALID_REQUEST,
    "datainspectionfailed": Reason.CONTENT_REJECTED,
    "ipinfringementsuspect": Reason.CONTENT_REJECTED,
    "customroleblocked": Reason.CONTENT_REJECTED,
    "faqruleblocked": Reason.CONTENT_REJECTED,
    "internalerror.timeout": Reason.UPSTREAM_TIMEOUT,
}
CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
}
T = TypeVar("T")


# Errors


def check(reply: Reply) -> Any:
    """The JSON body of an answer that succeeded; otherwise the error it stands for."""
    body = errors.read_json(reply) if reply.ok else None
    if reply.ok and not is_error(body):
        return body
    raise refusal(reply)


def is_error(body: Any) -> bool:
    """Whether a body with status 200 is an error nevertheless, in either envelope."""
    if not isinstance(body, dict) or body.get("output"):
        return False
    return bool(body.get("code") or body.get("error"))


def refusal(reply: Reply) -> errors.ProviderError:
    """The error of a reply, by its code, else by its status."""
    code, message = "", f"HTTP {reply.status} without a readable error"
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        code, message = read_error(reply.json())
    return errors.make(
        kind_of(code, message) or errors.by_status(reply.status),
        message,
        code=code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def read_error(body: Any) -> tuple[str, str]:
    """Code and message: `{"code", "message"}`, or the gateways' `{"error": {...}}`."""
    if "error" in body:
        return errors.read_error_object(body)
    return str(body.get("code") or ""), str(body["message"])


def kind_of(code: str, message: str) -> type[errors.ProviderError] | None:
    """The class of an error code, or None when nobody documented it."""
    kind = by_prefix(code, KINDS)
    if kind is errors.Rejected and message.lower().startswith("model not exist"):
        return errors.ModelRefused  # seen instead of the documented ModelNotFound
    if kind is errors.ChannelRefused and "synchronous calls" in message:
        return errors.Rejected  # the async header, not the account's rights
    return kind


def by_prefix(code: str, table: Mapping[str, T]) -> T | None:
    """The entry whose key the code begins with; no key is the beginning of another."""
    plain = code.lower().replace("_", "").replace(" ", "")
    return next((value for key, value in table.items() if plain.startswith(key)), None)


def failure_of(code: str, message: str) -> Failure:
    """Why a task or one of its images failed; new codes are the upstream's failures."""
    reason = by_prefix(code, REASONS) or Reason.UPSTREAM_FAILED
    return Failure(reason, message or code, code)


# Tasks


@errors.documented("an accepted DashScope task")
def read_accepted(body: Any) -> Snapshot:
    """Only the id counts: whatever its status word, the task exists and is billed."""
    task_id = body["output"]["task_id"]
    if not isinstance(task_id, str) or not task_id:
        raise ValueError("task_id is empty")
    return Snapshot(phase=Phase.PENDING, remote=Remote(task_id))


@errors.documented("a DashScope task")
def read_task(body: Any) -> Snapshot:
    """`{"output": {"task_id", "task_status", ...}, "usage"?}` as a snapshot."""
    output = body["output"]
    remote = Remote(output["task_id"])
    if output["task_status"] == NEVER_KNOWN:
        raise errors.NotFound("the upstream knows no such task, or no more")
    phase = PHASES[output["task_status"]]
    if phase is Phase.FAILED:
        failure = failure_of(
            str(output.get("code") or ""),
            str(output.get("message") or "the upstream gave no reason"),
        )
        return Snapshot(phase=phase, remote=remote, failure=failure)
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase, remote=remote)
    return ended(read_outputs(output, usage_of(body)), remote, usage_of(body))


@errors.documented("a DashScope image")
def read_images(body: Any) -> Snapshot:
    """The synchronous answer of the message protocol."""
    outputs = read_outputs(body["output"], usage_of(body))
    return ended(outputs, answer_of(body), usage_of(body))


@errors.documented("a DashScope speech")
def read_speech(body: Any) -> Snapshot:
    """`{"output": {"audio": {"url", "expires_at"}}}`; the URL is plain http."""
    audio = body["output"]["audio"]
    if not audio["url"]:
        raise ValueError("audio.url is empty")
    expires_at = audio.get("expires_at")
    return Snapshot(
        phase=Phase.SUCCEEDED,
        remote=answer_of(body),
        artifacts=(
            Artifact(
                url=audio["url"],
                content_type=content_type_of(audio["url"]),
                expires_at=int(expires_at) if expires_at else None,
            ),
        ),
        usage=usage_of(body),
    )


def answer_of(body: Mapping[str, Any]) -> Remote | None:
    """A synchronous answer has no task; its own id is what their support asks for."""
    return Remote(str(body["request_id"])) if body.get("request_id") else None


def usage_of(body: Mapping[str, Any]) -> dict[str, Any]:
    return dict(body.get("usage") or {})


# Results


@dataclass(frozen=True, slots=True)
class Outputs:
    """What became of each output, in order."""

    artifacts: tuple[Artifact, ...]
    failures: tuple[Failure, ...] = ()


def ended(
    outputs: Outputs, remote: Remote | None, usage: Mapping[str, Any]
) -> Snapshot:
    """Succeeded with at least one file; the upstream says so also when all failed."""
    failure = combined(outputs)
    if not any(artifact.url for artifact in outputs.artifacts):
        return Snapshot(
            phase=Phase.FAILED,
            remote=remote,
            failure=failure
            or Failure(Reason.UPSTREAM_FAILED, "the upstream finished without a file"),
            usage=usage,
        )
    return Snapshot(
        phase=Phase.SUCCEEDED,
        remote=remote,
        artifacts=outputs.artifacts,
        failure=failure,
        usage=usage,
    )


def combined(outputs: Outputs) -> Failure | None:
    """One failure for all that failed, with the first one's reason and code."""
    if not outputs.failures:
        return None
    first = outputs.failures[0]
    bad = len(outputs.failures)
    total = bad + sum(1 for artifact in outputs.artifacts if artifact.url)
    return Failure(
        first.reason, f"{bad} of {total} outputs failed: {first.message}", first.code
    )


def read_outputs(output: Mapping[str, Any], usage: Mapping[str, Any]) -> Outputs:
    """The outputs of any model: each protocol names them differently."""
    if "choices" in output:
        return read_choices(output, usage)
    if "video_url" in output:
        return Outputs(videos(output["video_url"], usage))
    if "results" in output:
        results = output["results"]
        if isinstance(results, Mapping):  # wan2.2-s2v
            return Outputs(videos(results["video_url"], usage))
        return read_results(results)
    return Outputs(images(output["image_url"], None))  # qwen-mt-image


def read_results(results: Sequence[Mapping[str, Any]]) -> Outputs:
    """`{"url"}` for each image that was made, `{"code", "message"}` for the others.

    Also those of style repaint and background generation: what they have beside it
    (`error_message: "Success"`, `text_results`) is neither a failure nor a result.
    """
    artifacts: list[Artifact] = []
    failures: list[Failure] = []
    for result in results:
        if result.get("url"):
            artifacts.extend(images(result["url"], None))
        else:
            failures.append(
                failure_of(str(result["code"]), str(result.get("message") or ""))
            )
    return Outputs(tuple(artifacts), tuple(failures))


def read_choices(output: Mapping[str, Any], usage: Mapping[str, Any]) -> Outputs:
    """Images are several choices, or several parts of one: both are collected."""
    size = size_of(usage)
    artifacts: list[Artifact] = []
    for choice in output["choices"]:
        for part in choice["message"]["content"]:
            if part.get("image"):
                artifacts.extend(images(part["image"], size))
            elif part.get("text"):  # between the images of an interleaved answer
                artifacts.append(Artifact(text=str(part["text"])))
    # "task_metric" in a synchronous answer, "task_metrics" in a task
    metric = output.get("task_metric") or output.get("task_metrics") or {}
    missing = Failure(Reason.UPSTREAM_FAILED, "the upstream gave no reason")
    return Outputs(tuple(artifacts), (missing,) * int(metric.get("FAILED") or 0))


def size_of(usage: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height where the accounting tells them."""
    if usage.get("width") and usage.get("height"):
        return int(usage["width"]), int(usage["height"])
    return geometry.read_size(str(usage.get("size") or ""))


def images(url: str, size: tuple[int, int] | None) -> tuple[Artifact, ...]:
    """One image, or nothing when there is no URL; its query is a signature."""
    if not url:
        return ()
    width, height = size or (None, None)
    return (
        Artifact(
            url=url, content_type=content_type_of(url), width=width, height=height
        ),
    )


def videos(url: str, usage: Mapping[str, Any]) -> tuple[Artifact, ...]:
    """One video, or nothing when there is no URL."""
    if not url:
        return ()
    seconds = (
        usage.get("output_video_duration")
        or usage.get("video_duration")
        or usage.get("duration")
    )
    return (
        Artifact(
            url=url,
            content_type="video/mp4",
            duration_s=float(seconds) if seconds else None,
        ),
    )


def content_type_of(url: str) -> str | None:
    """By the file name in the URL; None leaves it to whoever fetches the file."""
    extension = urlsplit(url).path.rpartition(".")[2].lower()
    return CONTENT_TYPES.get(extension)
