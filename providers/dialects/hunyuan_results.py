"""Hunyuan's answers: all in one shell, and errors in it with HTTP status 200.

Sources: the answer classes and error codes of the official SDK and Tencent Cloud's
common error codes, read November 2026 (docs/providers/hunyuan.md).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from providers import errors
from providers.dialects.hunyuan_models import Answers
from providers.flow import NotJson, Reply
from providers.types import Artifact, Failure, Phase, Reason, Remote, Snapshot

FILM_PHASES = {
    "WAIT": Phase.PENDING,
    "RUN": Phase.RUNNING,
    "DONE": Phase.SUCCEEDED,
    "FAIL": Phase.FAILED,
}
IMAGE_PHASES = {
    "1": Phase.PENDING,
    "2": Phase.RUNNING,
    "4": Phase.FAILED,
    "5": Phase.SUCCEEDED,
}
GOOD_IMAGE = "Success"

# The longest beginning of a code decides, by whole parts between the dots.
CODES: Mapping[str, type[errors.ProviderError]] = {
    "AuthFailure": errors.KeyRefused,
    "UnauthorizedOperation": errors.KeyRefused,
    "RequestLimitExceeded": errors.RateLimited,
    "LimitExceeded": errors.RateLimited,
    "FailedOperation.EngineServerLimitExceeded": errors.RateLimited,
    "FailedOperation.ModerationFailed": errors.ContentRejected,
    "FailedOperation.ModerationAudioFailed": errors.ContentRejected,
    "OperationDenied.TextIllegalDetected": errors.ContentRejected,
    "OperationDenied.ImageIllegalDetected": errors.ContentRejected,
    # moderation comes first: when it is out of order, nothing has begun
    "FailedOperation.ModerationResponseError": errors.RateLimited,
    "InvalidParameter": errors.Rejected,
    "InvalidParameterValue": errors.Rejected,
    "MissingParameter": errors.Rejected,
    "FailedOperation.DownloadError": errors.Rejected,
    "FailedOperation.ImageBodySmall": errors.Rejected,
    "FailedOperation.ImageDecodeFailed": errors.Rejected,
    "FailedOperation.ImageDownloadError": errors.Rejected,
    "FailedOperation.ImageNotSupported": errors.Rejected,
    "FailedOperation.ImageRadioExcceed": errors.Rejected,  # so spelled
    "FailedOperation.ImageResolutionExceed": errors.Rejected,
    "FailedOperation.ImageSizeExceed": errors.Rejected,
    "FailedOperation.RequestEntityTooLarge": errors.Rejected,
    "FailedOperation.JobNotExist": errors.NotFound,
    "FailedOperation.JobNotFound": errors.NotFound,
    "ResourceNotFound": errors.NotFound,
    "FailedOperation.FreeResourcePackExhausted": errors.QuotaExhausted,
    "FailedOperation.ResourcePackExhausted": errors.QuotaExhausted,
    "FailedOperation.ServiceStopArrears": errors.QuotaExhausted,
    "FailedOperation.SetPayModeExceed": errors.QuotaExhausted,
    "ResourceInsufficient": errors.QuotaExhausted,
    "ResourceUnavailable.InArrears": errors.QuotaExhausted,
    "ResourceUnavailable.LowBalance": errors.QuotaExhausted,
    "ResourcesSoldOut.ChargeStatusException": errors.QuotaExhausted,
    "FailedOperation.PartnerAccountUnSupport": errors.ChannelRefused,
    "FailedOperation.ServiceNotActivated": errors.ChannelRefused,
    "FailedOperation.ServiceStop": errors.ChannelRefused,
    "FailedOperation.UserUnAuthError": errors.ChannelRefused,
    "ResourceUnavailable": errors.ChannelRefused,
    # the service is being opened for the account
    "ResourceUnavailable.Delivering": errors.RateLimited,
    "ResourceUnavailable.IsOpening": errors.RateLimited,
    # The rest is trouble of theirs, and nobody knows whether a job began:
    # GenerateImageFailed, InnerError, ServerError, EngineRequestTimeout, ...
    "FailedOperation": errors.Unavailable,
    "InternalError": errors.Unavailable,
    # codes that every service of the platform has
    "ActionOffline": errors.ModelRefused,
    "InvalidAction": errors.ModelRefused,
    "NoSuchProduct": errors.ModelRefused,
    "NoSuchVersion": errors.ModelRefused,
    "UnsupportedRegion": errors.ChannelRefused,
    "IpInBlacklist": errors.ChannelRefused,
    "IpNotInWhitelist": errors.ChannelRefused,
    "InvalidRequest": errors.Rejected,
    "RequestSizeLimitExceeded": errors.Rejected,
    "UnknownParameter": errors.Rejected,
    "UnsupportedOperation": errors.Rejected,
    "ServiceUnavailable": errors.Unavailable,
}
REASONS: tuple[tuple[type[errors.ProviderError], Reason], ...] = (
    (errors.ContentRejected, Reason.CONTENT_REJECTED),
    (errors.Rejected, Reason.INVALID_REQUEST),
    (errors.NotFound, Reason.UPSTREAM_EXPIRED),
)
CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
}
NO_IMAGE = "the upstream finished without an image"


def check(reply: Reply) -> Any:
    """What is in `Response` of an answer that succeeded; else the error in it."""
    code, message = read_error(reply)
    if code:
        kind = kind_of(code) or errors.by_status(reply.status)
    elif not reply.ok:
        kind = errors.by_status(reply.status)
    else:
        return read_shell(errors.read_json(reply))
    raise errors.make(
        kind,
        message,
        code=code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def read_error(reply: Reply) -> tuple[str, str]:
    """Code and text of `{"Response": {"Error": {"Code", "Message"}}}`, or ""."""
    try:
        error = reply.json()["Response"]["Error"]
        return str(error["Code"]), str(error["Message"])
    except (NotJson, KeyError, TypeError, IndexError):
        return "", f"HTTP {reply.status} without a readable error"


@errors.documented("an answer of Tencent Cloud")
def read_shell(body: Any) -> dict[str, Any]:
    response = body["Response"]
    if not isinstance(response, dict):
        raise TypeError("Response is no object")
    if "Error" in response:
        raise ValueError("Error has no Code and Message")
    return response


def kind_of(code: str) -> type[errors.ProviderError] | None:
    """The class of an error code; None for one whose very first part is unknown."""
    parts = code.split(".")
    beginnings = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((CODES[text] for text in beginnings if text in CODES), None)


@errors.documented("an accepted job of Hunyuan")
def read_accepted(response: dict[str, Any], query: str) -> Snapshot:
    """`{"JobId"}`, a text; a later look needs the action that belongs to it."""
    job_id = response["JobId"]
    if not isinstance(job_id, str) or not job_id:
        raise ValueError("JobId is no text")
    return Snapshot(phase=Phase.PENDING, remote=Remote(job_id, {"query": query}))


def read_job(response: dict[str, Any], answers: Answers) -> Snapshot:
    return read_film(response) if answers is Answers.FILM else read_images(response)


@errors.documented("a video job of Hunyuan")
def read_film(response: dict[str, Any]) -> Snapshot:
    """`{"Status", "ErrorCode", "ErrorMessage", "ResultVideoUrl"}`, "" when not set."""
    phase = FILM_PHASES[response["Status"]]
    if phase is Phase.FAILED:
        told = failure_of(response.get("ErrorCode"), response.get("ErrorMessage"))
        return Snapshot(phase=phase, failure=told)
    if phase is Phase.SUCCEEDED:
        artifact = from_url(response["ResultVideoUrl"], "video/mp4")
        return Snapshot(phase=phase, artifacts=(artifact,))
    return Snapshot(phase=phase)


@errors.documented("an image job of Hunyuan")
def read_images(response: dict[str, Any]) -> Snapshot:
    """`{"JobStatusCode": "1", "ResultImage": [url], "ResultDetails": [text]}`.

    `JobStatusMsg` is for people. A talk tells its `ChatId`, which the next round needs;
    it goes to the client with what the job used.
    """
    phase = IMAGE_PHASES[response["JobStatusCode"]]
    if phase is Phase.FAILED:
        told = failure_of(response.get("JobErrorCode"), response.get("JobErrorMsg"))
        return Snapshot(phase=phase, failure=told)
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase)
    urls = response["ResultImage"] or []
    details = response.get("ResultDetails") or [GOOD_IMAGE] * len(urls)
    failed = next((text for text in details if text != GOOD_IMAGE), None)
    found = [
        (url, index >= len(details) or details[index] == GOOD_IMAGE)
        for index, url in enumerate(urls)
        if url  # one that failed may have an empty link
    ]
    # Where no image is called good the links count alone: what a link beside another
    # detail leads to is not documented, and it is paid.
    good = [url for url, is_good in found if is_good] or [url for url, _ in found]
    chat_id = response.get("ChatId")
    failure: Failure | None = None
    if failed is not None or not good:
        failure = failure_of(failed, f"an image failed: {failed}" if failed else "")
    return Snapshot(
        phase=Phase.SUCCEEDED if good else Phase.FAILED,
        artifacts=tuple(from_url(url) for url in good),
        failure=failure,
        usage={"ChatId": chat_id} if isinstance(chat_id, str) and chat_id else {},
    )


@errors.documented("an image of Hunyuan Lite")
def read_image(response: dict[str, Any]) -> Snapshot:
    """`{"ResultImage"}`: one link, or base64 when that was asked for."""
    told = response["ResultImage"]
    if not told:
        raise ValueError("ResultImage is empty")
    artifact = (
        from_url(told)
        if told.startswith(("https://", "http://"))
        else Artifact(content=base64.b64decode(told, validate=True))
    )
    return Snapshot(phase=Phase.SUCCEEDED, artifacts=(artifact,))


def from_url(url: str, content_type: str | None = None) -> Artifact:
    """One file; how long its link lives is not in the answer."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("a result is no link")
    ending = urlsplit(url).path.rpartition(".")[2].lower()
    return Artifact(url=url, content_type=CONTENT_TYPES.get(ending, content_type))


def failure_of(code: Any, message: Any) -> Failure:
    """Why a job failed, by its code, which is one of those a call may be refused with.

    A detail of an image may be any text: it counts where it is such a code.
    """
    told = str(code or "")
    kind = kind_of(told)
    reason = next(
        (word for cls, word in REASONS if kind is not None and issubclass(kind, cls)),
        Reason.UPSTREAM_FAILED,
    )
    text = str(message or "") or told or NO_IMAGE
    return Failure(reason, text[: errors.MESSAGE_LENGTH], told)
