"""Zhipu answers: errors by their number, the states of jobs, and results.

The HTTP status misleads: 429 stands for limits, quotas and arrears alike. Sources: the
error code page and the API pages of docs.bigmodel.cn, read November 2026
(docs/providers/zhipu.md).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from providers import errors
from providers.flow import Reply
from providers.types import Artifact, Failure, Phase, Reason, Remote, Snapshot

PHASES: Mapping[str, Phase] = {
    "PROCESSING": Phase.RUNNING,  # there is no word for waiting
    "SUCCESS": Phase.SUCCEEDED,
    "FAIL": Phase.FAILED,
}

CODES: errors.Codes = {
    "1000": errors.KeyRefused,
    "1001": errors.KeyRefused,
    "1002": errors.KeyRefused,
    "1003": errors.KeyRefused,
    "1004": errors.KeyRefused,
    "1005": errors.KeyRefused,
    "1110": errors.ChannelRefused,
    "1111": errors.ChannelRefused,
    "1112": errors.ChannelRefused,
    "1113": errors.QuotaExhausted,  # arrears, with status 429
    "1120": errors.ChannelRefused,
    "1121": errors.ChannelRefused,
    "1210": errors.Rejected,
    "1211": errors.ModelRefused,
    "1212": errors.Rejected,
    "1213": errors.Rejected,
    "1214": errors.Rejected,
    "1215": errors.Rejected,
    "1220": errors.ModelRefused,
    "1221": errors.ModelRefused,
    "1222": errors.ModelRefused,
    # our reference was used before: that call was taken, and its id is lost
    "1231": errors.OutcomeUnknown,
    "1261": errors.Rejected,
    "1300": errors.ContentRejected,
    "1301": errors.ContentRejected,
    "1302": errors.RateLimited,
    "1303": errors.RateLimited,
    "1304": errors.QuotaExhausted,
    "1305": errors.RateLimited,
    "1308": errors.QuotaExhausted,
    "1309": errors.QuotaExhausted,
    "1310": errors.QuotaExhausted,
    "1311": errors.ModelRefused,
    "1312": errors.RateLimited,
    "1313": errors.QuotaExhausted,
    "500": errors.Unavailable,
    "1200": errors.Unavailable,
    "1230": errors.Unavailable,
    "1234": errors.Unavailable,
}

# Why a job failed, by the same numbers; the rest is the upstream's own fault.
REASONS: Mapping[str, Reason] = {
    "1210": Reason.INVALID_REQUEST,
    "1213": Reason.INVALID_REQUEST,
    "1214": Reason.INVALID_REQUEST,
    "1215": Reason.INVALID_REQUEST,
    "1261": Reason.INVALID_REQUEST,
    "1300": Reason.CONTENT_REJECTED,
    "1301": Reason.CONTENT_REJECTED,
}

# At a look the id is all that was said, so these are about the id. What exactly an
# unknown one is answered is not documented.
UNKNOWN_JOB = frozenset({"1210", "1211", "1212", "1213", "1214", "1215", "1222"})

AUDIO_TYPES = {"wav": "audio/wav", "pcm": "audio/pcm"}


# Errors


def check(reply: Reply) -> Any:
    """The JSON body of an answer that tells no error, else the error it stands for.

    A number that is not documented, under HTTP 200, leaves open what became of the
    call: it is an unexpected reply.
    """
    if not reply.ok:
        raise errors.refusal(reply, CODES)
    body = errors.read_json(reply)
    code, message = read_error(body)
    if code:
        kind = CODES.get(code, errors.UnexpectedReply)
        raise errors.make(kind, message, code=code, status=reply.status)
    return body


def read_error(body: Any) -> tuple[str, str]:
    """Number and text of `{"error": {"code", "message"}}`; empty texts without one."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return "", ""
    return str(error.get("code") or ""), str(error.get("message") or "")


def failed(body: Any) -> Failure:
    """Why a job failed; the published schema has no field for it."""
    code, message = read_error(body)
    return Failure(
        REASONS.get(code, Reason.UPSTREAM_FAILED),
        (message or "the generation failed")[: errors.MESSAGE_LENGTH],
        code or "task_failed",
    )


# Jobs


@errors.documented("an accepted job of Zhipu")
def read_accepted(body: dict[str, Any]) -> Snapshot:
    """`{"id", "request_id", "task_status"}`; a job is looked at by its id."""
    phase = PHASES[body["task_status"]]
    if phase is Phase.FAILED:
        return Snapshot(phase=phase, failure=failed(body))
    job_id = body["id"]
    if not isinstance(job_id, str) or not job_id:
        raise ValueError("it has no id")
    if phase is Phase.SUCCEEDED:
        return read_job(body)
    return Snapshot(phase=Phase.PENDING, remote=Remote(job_id))


def read_look(reply: Reply) -> Snapshot:
    """A job at one moment; some jobs tell their failure as an error of the look.

    That is only believed of an error that is neither about the id, nor the account,
    nor the moment.
    """
    if reply.ok:
        body = errors.read_json(reply)
        if isinstance(body, Mapping) and "task_status" in body:
            return read_job(body)
    try:
        check(reply)
    except (errors.Rejected, errors.ModelRefused) as error:
        if error.code in UNKNOWN_JOB:
            raise errors.NotFound(
                str(error), code=error.code, status=error.status
            ) from error
        if isinstance(error, errors.ModelRefused) or not error.code:
            raise
        reason = REASONS.get(error.code, Reason.UPSTREAM_FAILED)
        return Snapshot(
            phase=Phase.FAILED, failure=Failure(reason, str(error), error.code)
        )
    raise errors.UnexpectedReply("a job of Zhipu without a status")


@errors.documented("a job of Zhipu")
def read_job(body: Mapping[str, Any]) -> Snapshot:
    """`{"task_status", "video_result" or "image_result": [{"url"}], "error"?}`.

    The id may be missing, and a running job may have an empty list of results.
    """
    phase = PHASES[body["task_status"]]
    if phase is Phase.FAILED:
        return Snapshot(phase=phase, failure=failed(body))
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase)
    films = tuple(
        Artifact(url=link(item["url"]), content_type="video/mp4")
        for item in body.get("video_result") or ()
    )
    images = tuple(read_image(item) for item in body.get("image_result") or ())
    if not films and not images:
        raise ValueError("there is no result in it")
    return Snapshot(phase=phase, percent=100, artifacts=films + images)


# Answers that bring the result


@errors.documented("images of Zhipu")
def read_images(body: dict[str, Any]) -> Snapshot:
    """`{"created", "data": [{"url"}], "content_filter"?}`; the filter only informs."""
    artifacts = tuple(read_image(item) for item in body["data"])
    if not artifacts:
        raise ValueError("there is no image in it")
    return Snapshot(phase=Phase.SUCCEEDED, percent=100, artifacts=artifacts)


def read_image(item: Mapping[str, Any]) -> Artifact:
    """`{"url"}`; open clients have met `image_url`, `b64_image` and `b64_json`, too."""
    for name in ("url", "image_url"):
        if item.get(name):
            return Artifact(url=link(item[name]))
    text = item.get("b64_image") or item["b64_json"]
    return Artifact(content=base64.b64decode(text, validate=True))


def link(url: Any) -> str:
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise ValueError("it has no link")
    return url


def read_speech(reply: Reply, wanted: str) -> Snapshot:
    """The answer's bytes; JSON in their place is an error, also under HTTP 200."""
    told = reply.content_type
    if not reply.ok or told == "application/json":
        check(reply)
    content = reply.content
    if not content or told == "application/json" or told.startswith("text/"):
        raise errors.UnexpectedReply(
            f"the answer is not speech: {len(content)} bytes of {told or 'no type'}",
            status=reply.status,
        )
    form = "wav" if content.startswith(b"RIFF") else wanted
    sound = Artifact(content=content, content_type=AUDIO_TYPES.get(form))
    return Snapshot(phase=Phase.SUCCEEDED, percent=100, artifacts=(sound,))
