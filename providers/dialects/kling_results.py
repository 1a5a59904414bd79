"""Kling's answers: the envelope with its codes, and the tasks of both standards.

Source: kling.ai/document-api ("Error codes", "Callback protocol", the task of each
page), read November 2026 (docs/providers/kling.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from providers import errors
from providers.flow import NotJson, Reply
from providers.types import Artifact, Failure, Phase, Reason, Remote, Signed, Snapshot

PHASES = {
    "submitted": Phase.PENDING,
    "processing": Phase.RUNNING,
    "succeed": Phase.SUCCEEDED,  # of /v1
    "succeeded": Phase.SUCCEEDED,  # of the newer standard
    "failed": Phase.FAILED,
}

SUCCESS = 0
BAD_VALUE = 1201
NOTHING_THERE = 1203
# The HTTP status says less: 429 is also an account without money.
KINDS: Mapping[int, type[errors.ProviderError]] = {
    1000: errors.KeyRefused,
    1001: errors.KeyRefused,
    1002: errors.KeyRefused,
    # a token of a clock that is off; the next one is made anew
    1003: errors.RateLimited,
    1004: errors.RateLimited,
    1100: errors.ChannelRefused,
    1101: errors.QuotaExhausted,
    1102: errors.QuotaExhausted,
    1103: errors.ModelRefused,
    1200: errors.Rejected,
    BAD_VALUE: errors.Rejected,
    1202: errors.ModelRefused,
    NOTHING_THERE: errors.ModelRefused,
    1300: errors.ContentRejected,
    1301: errors.ContentRejected,
    1302: errors.RateLimited,
    1303: errors.RateLimited,
    1304: errors.ChannelRefused,
    5000: errors.Unavailable,
    5001: errors.Unavailable,
    5002: errors.Unavailable,
}
# A task that failed has a text alone.
MODERATED = re.compile(
    r"risk control|sensitive|content (?:security|policy|safety)|审核|风控|敏感", re.I
)
NO_REASON = "the upstream gave no reason"
CONTENT_TYPES = {"mp4": "video/mp4", "mp3": "audio/mpeg", "wav": "audio/wav"}


# The envelope


def check(reply: Reply) -> Any:
    """What is in the envelope of a success; otherwise the error it stands for."""
    try:
        body = reply.json()
    except NotJson as error:
        if reply.ok:
            raise errors.UnexpectedReply(str(error), status=reply.status) from error
        body = None
    code = code_of(body)
    if reply.ok and code == SUCCESS:
        return body.get("data")
    message = f"HTTP {reply.status} without a readable error"
    if isinstance(body, Mapping) and isinstance(body.get("message"), str):
        message = body["message"] or message
    raise errors.make(
        KINDS.get(code if code is not None else -1) or errors.by_status(reply.status),
        message,
        code="" if code is None else str(code),
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def code_of(body: Any) -> int | None:
    """The number that decides; None when there is none."""
    code = body.get("code") if isinstance(body, Mapping) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def accepted(reply: Reply) -> Any:
    """`check` for a submit: there is no job yet, so what is missing is the path."""
    try:
        return check(reply)
    except errors.NotFound as error:
        raise errors.ModelRefused(
            str(error), code=error.code, status=error.status
        ) from error


def looked_at(reply: Reply) -> Any:
    """`check` for a read of one task, where a bad value can only be its id."""
    try:
        return check(reply)
    except (errors.Rejected, errors.ModelRefused) as error:
        if error.code in {str(BAD_VALUE), str(NOTHING_THERE)}:
            raise errors.NotFound(
                str(error), code=error.code, status=error.status
            ) from error
        raise


# Tasks of /v1


@errors.documented("a task of Kling")
def read_task(data: Any, links: Mapping[str, str]) -> Snapshot:
    """`{"task_id", "task_status", "task_status_msg"?, "task_result"?, ...}`.

    `links` are what is known of the task beside its id: `count` of its outputs, and
    the file `format` that was asked for where there are several.
    """
    remote = Remote(read_id(data["task_id"]), links)
    phase = PHASES[data["task_status"]]
    if phase is Phase.FAILED:
        failure = failure_of(data.get("task_status_msg"))
        return Snapshot(phase=phase, remote=remote, failure=failure)
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase, remote=remote)
    result = data["task_result"]
    artifacts = []
    for name, read in OUTPUTS.items():
        for item in result.get(name) or ():
            artifacts += read(item, links.get("format", "mp3"))
    usage = usage_of(data, result)
    return ended_well(remote, artifacts, int(links.get("count", "1")), usage)


def usage_of(data: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Units that were taken, and ids that other calls of Kling ask for."""
    usage: dict[str, Any] = {}
    if data.get("final_unit_deduction"):
        usage["units"] = str(data["final_unit_deduction"])
    films = [item for item in result.get("videos") or () if item.get("id")]
    if films:
        usage["video_ids"] = [str(film["id"]) for film in films]
    dubbed = [
        item["video_url"]
        for item in result.get("audios") or ()
        if item.get("video_url")
    ]
    if dubbed:
        usage["video_urls"] = dubbed
    return usage


def read_film(item: Mapping[str, Any], _format: str) -> list[Artifact]:
    """`{"id", "url", "watermark_url"?, "duration": "5.041"}`."""
    return [
        Artifact(
            url=read_url(item["url"]),
            content_type=CONTENT_TYPES["mp4"],
            duration_s=number(item.get("duration")),
        )
    ]


def read_image(item: Mapping[str, Any], _format: str) -> list[Artifact]:
    """`{"index"?, "url"}`; what kind of file it is shows when it is fetched."""
    return [Artifact(url=read_url(item["url"]))]


def read_series(item: Any, file_format: str) -> list[Artifact]:
    """An image of a series; how a series nests is not documented, so a list may too."""
    if isinstance(item, list):
        return [each for inner in item for each in read_image(inner, file_format)]
    return read_image(item, file_format)


def read_sound(item: Mapping[str, Any], file_format: str) -> list[Artifact]:
    """`{"url", "duration"}` of speech, else one URL and duration for each format.

    The names are `url_mp3` in /v1 and `mp3_url` in the newer standard.
    """
    for ending in dict.fromkeys((file_format, "mp3", "wav")):
        url = item.get(f"url_{ending}") or item.get(f"{ending}_url")
        if url:
            told = item.get(f"duration_{ending}") or item.get(f"{ending}_duration")
            return [
                Artifact(
                    url=read_url(url),
                    content_type=CONTENT_TYPES[ending],
                    duration_s=number(told),
                )
            ]
    return [
        Artifact(
            url=read_url(item["url"]),
            content_type=CONTENT_TYPES["mp3"],
            duration_s=number(item.get("duration")),
        )
    ]


Read = Callable[[Any, str], list[Artifact]]
OUTPUTS: Mapping[str, Read] = {
    "videos": read_film,
    "images": read_image,
    "series_images": read_series,
    "audios": read_sound,
}


# Tasks of the newer standard


@errors.documented("a task of Kling")
def read_new_task(data: Any) -> Snapshot:
    """`{"id", "status", "message"?, "outputs"?: [...], "billing"?: [...]}`."""
    remote = Remote(read_id(data["id"]))
    phase = PHASES[data["status"]]
    if phase is Phase.FAILED:
        failure = failure_of(data.get("message"))
        return Snapshot(phase=phase, remote=remote, failure=failure)
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase, remote=remote)
    artifacts = []
    for item in data["outputs"]:
        artifacts += NEW_OUTPUTS[item["type"]](item, "mp3")
    amounts = [number(bill.get("amount")) for bill in data.get("billing") or ()]
    total = sum(amount for amount in amounts if amount is not None)
    usage: dict[str, Any] = {"units": f"{total:g}"} if amounts else {}
    films = [str(item["id"]) for item in data["outputs"] if item["type"] == "video"]
    if films:
        usage["video_ids"] = films
    return ended_well(remote, artifacts, 1, usage)


NEW_OUTPUTS: Mapping[str, Read] = {
    "video": read_film,
    "image": read_image,
    "audio": read_sound,
}


@errors.documented("a list of tasks of Kling")
def read_list(data: Any) -> dict[str, Snapshot]:
    """Snapshots by id.

    A task that cannot be read counts as running, so that it does not spoil the others.
    """
    snapshots = {}
    for task in data:
        try:
            snapshot = read_new_task(task)
        except errors.UnexpectedReply:
            snapshot = Snapshot(phase=Phase.RUNNING, remote=Remote(read_id(task["id"])))
        snapshots[read_id(task["id"])] = snapshot
    return snapshots


@errors.documented("a list of tasks of Kling")
def read_only_task(data: Any) -> Snapshot | None:
    """The one task that was asked for; None when the list is empty."""
    if not isinstance(data, list):
        raise TypeError("no list")
    return read_new_task(data[0]) if data else None


# Parts


def read_id(task_id: Any) -> str:
    """A decimal number as text; it has more digits than a float keeps."""
    if not isinstance(task_id, str) or not task_id:
        raise ValueError("the id is no text")
    return task_id


def read_url(url: Any) -> str:
    if not isinstance(url, str) or not url:
        raise ValueError("a result has no URL")
    return url


def number(told: Any) -> float | None:
    """A number, which is a text; one that is empty or odd tells nothing."""
    try:
        value = float(told)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def failure_of(message: Any) -> Failure:
    text = str(message or NO_REASON)
    blocked = MODERATED.search(text) is not None
    reason = Reason.CONTENT_REJECTED if blocked else Reason.UPSTREAM_FAILED
    return Failure(reason, text[: errors.MESSAGE_LENGTH], "failed")


def ended_well(
    remote: Remote, artifacts: list[Artifact], count: int, usage: Mapping[str, Any]
) -> Snapshot:
    """A task that succeeded, which failed if it made nothing, or in part."""
    made = len(artifacts)
    failure = None
    if not made:
        failure = Failure(
            Reason.UPSTREAM_FAILED, "the upstream finished without a file"
        )
    elif made < count:
        failure = Failure(
            Reason.UPSTREAM_FAILED, f"{made} of {count} outputs were made"
        )
    return Snapshot(
        phase=Phase.SUCCEEDED if made else Phase.FAILED,
        remote=remote,
        artifacts=tuple(artifacts),
        failure=failure,
        usage=usage,
    )


# Callbacks


def read_signature(headers: Mapping[str, str], body: bytes) -> Signed | None:
    """The signature as Standard Webhooks has it; None when the account has no secret.

    While a secret is changed the header holds two signatures.
    """
    if "webhook-signature" not in headers:
        return None
    webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    parts = (word.partition(",") for word in headers["webhook-signature"].split())
    return Signed(
        scheme="hmac-sha256",
        message=f"{webhook_id}.{timestamp}.".encode() + body,
        signature=" ".join(mac for version, _, mac in parts if version == "v1"),
        timestamp=float(int(timestamp)),
    )
