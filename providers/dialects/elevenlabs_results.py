"""Answers of ElevenLabs: sounds, jobs, lists, voices, webhooks and errors.

Source: the API reference and the error pages of elevenlabs.io/docs, the articles on
errors 400, 401 and 429 of help.elevenlabs.io, and the Python client 2.78.0, read
November 2026 (docs/providers/elevenlabs.md).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from providers import errors
from providers.flow import Reply
from providers.types import (
    Artifact,
    Callback,
    Failure,
    Heard,
    Phase,
    Reason,
    Remote,
    Signed,
    Snapshot,
)

PHASES: Mapping[str, Phase] = {
    "pending": Phase.PENDING,
    "generating": Phase.RUNNING,
    "completed": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
}
# A failed job is not billed; a reason nobody documented is the upstream's trouble.
REASONS: Mapping[str, Reason] = {
    "moderated": Reason.CONTENT_REJECTED,
    "invalid_parameters": Reason.INVALID_REQUEST,
    "charging_failed": Reason.UPSTREAM_FAILED,
    "timeout": Reason.UPSTREAM_TIMEOUT,
    "model_error": Reason.UPSTREAM_FAILED,
    "internal_error": Reason.UPSTREAM_FAILED,
    "dependency_failed": Reason.UPSTREAM_FAILED,
}

MISSING_PERMISSIONS = "missing_permissions"
NO_SLOT = "too_many_concurrent_requests"
SLOT_S = 2.0
"""A slot of the account is free again soon, so no long wait is needed."""
CODES: errors.Codes = {
    "max_character_limit_exceeded": errors.Rejected,
    "voice_not_found": errors.Rejected,
    "model_not_found": errors.Rejected,
    "bad_prompt": errors.ContentRejected,
    "bad_composition_plan": errors.ContentRejected,
    # the names of the next four are not sure; with others their status tells the same
    "invalid_voice_settings": errors.Rejected,
    "model_can_not_do_text_to_speech": errors.Rejected,
    "unsupported_language": errors.Rejected,
    "output_format_not_allowed": errors.Rejected,
    "invalid_api_key": errors.KeyRefused,
    "needs_authorization": errors.KeyRefused,
    # a key may be good for some features only, and a plan, too
    MISSING_PERMISSIONS: errors.ModelRefused,
    "payment_required": errors.ModelRefused,
    "only_for_creator+": errors.ModelRefused,
    "voice_access_denied": errors.ModelRefused,
    "quota_exceeded": errors.QuotaExhausted,
    "detected_unusual_activity": errors.ChannelRefused,
    NO_SLOT: errors.RateLimited,
    "system_busy": errors.RateLimited,
    "rate_limit_exceeded": errors.RateLimited,
}
SUGGESTIONS = ("prompt_suggestion", "composition_plan_suggestion")

CONTENT_TYPES: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "auto": "audio/mpeg",
    "wav": "audio/wav",
    "opus": "audio/ogg",
    # without any header: 16-bit samples, or one byte each at 8 kHz
    "pcm": "audio/pcm",
    "ulaw": "audio/basic",
    "alaw": "audio/x-alaw-basic",
}
ANY_BYTES = "application/octet-stream"
HTTP_SCHEMES = ("https://", "http://")
WEBHOOK_AGE_S = 30 * 60.0


def read_error(body: Any) -> tuple[str, str]:
    """`{"detail": ...}`: an object, a list of what is wrong, or on old routes a text.

    The object tells its code as `status`, a newer one as `code` and `type`, too; the
    one that is documented counts.
    """
    detail = body["detail"]
    if isinstance(detail, str):
        return "", detail
    if isinstance(detail, list):
        return "", "; ".join(map(read_issue, detail)) or "the request was not valid"
    told = [str(detail[name]) for name in ("status", "code", "type") if name in detail]
    code = next((word for word in told if word in CODES), told[0] if told else "")
    message = str(detail.get("message") or code or "refused without a reason")
    data = detail.get("data")
    for name in SUGGESTIONS:
        if isinstance(data, Mapping) and data.get(name):
            hint = data[name]
            hint = hint if isinstance(hint, str) else json.dumps(hint)
            message = f"{message} Suggested instead: {hint}"
    return code, message


def read_issue(issue: Mapping[str, Any]) -> str:
    """`{"loc": ["body", "text"], "msg"}` as one line."""
    return f"{'.'.join(map(str, issue.get('loc', ())))}: {issue['msg']}"


def refusal(reply: Reply) -> errors.ProviderError:
    """The error that a refused call stands for."""
    error = errors.refusal(reply, CODES, read_error)
    if isinstance(error, errors.RateLimited) and error.code == NO_SLOT:
        error.retry_after_s = error.retry_after_s or SLOT_S
    return error


def check(reply: Reply) -> Any:
    """The JSON of a success, or the error that a refusal stands for."""
    if reply.ok:
        return errors.read_json(reply)
    raise refusal(reply)


def check_submit(reply: Reply) -> None:
    """Raise what a refused submit stands for; a path that is not there is no model."""
    if reply.ok:
        return
    error = refusal(reply)
    if isinstance(error, errors.NotFound):
        raise errors.ModelRefused(str(error), code=error.code, status=error.status)
    raise error


def read_sound(reply: Reply, output_format: str, title: str | None = None) -> Snapshot:
    """The answer's bytes as the one artifact; nothing else is left to be asked for."""
    kind = reply.content_type
    if not reply.content or not (kind in ("", ANY_BYTES) or kind.startswith("audio/")):
        told = f"{len(reply.content)} bytes of {kind or 'no type'}"
        raise errors.UnexpectedReply(
            f"the answer is no sound: {told}",
            status=reply.status,
        )
    container = output_format.partition("_")[0]
    if kind in ("", ANY_BYTES):
        kind = CONTENT_TYPES.get(container, "")
    request_id = reply.headers.get("request-id")
    return Snapshot(
        phase=Phase.SUCCEEDED,
        remote=Remote(request_id) if request_id else None,
        percent=100,
        artifacts=(
            Artifact(content=reply.content, content_type=kind or None, title=title),
        ),
        usage=read_cost(reply),
    )


def read_cost(reply: Reply) -> dict[str, Any]:
    """Credits that the answer's header names."""
    told = reply.headers.get("character-cost", "")
    return {"credits": int(told)} if told.isascii() and told.isdigit() else {}


@errors.documented("an accepted job of ElevenLabs")
def read_accepted(body: dict[str, Any], kind: str, reply: Reply) -> Snapshot:
    """`{"id", "status": "pending"}`."""
    return Snapshot(
        phase=PHASES[body["status"]],
        remote=remote_of(body, kind),
        look_after_s=reply.retry_after_s,
    )


def remote_of(body: Mapping[str, Any], kind: str) -> Remote:
    job_id = body["id"]
    if not isinstance(job_id, str) or not job_id:
        raise ValueError("its id is not a text")
    return Remote(job_id, {"kind": kind})


@errors.documented("a job of ElevenLabs")
def read_job(
    body: dict[str, Any], kind: str, look_after_s: float | None = None
) -> Snapshot:
    """`{"id", "status", "content_url"?, "content_mime_type"?, "failure_reason"?}`."""
    phase, remote = PHASES[body["status"]], remote_of(body, kind)
    if phase is Phase.SUCCEEDED:
        url = body["content_url"]
        if not isinstance(url, str) or not url.startswith(HTTP_SCHEMES):
            raise ValueError("its result has no link")
        content_type = body.get("content_mime_type")
        artifact = Artifact(
            url=url, content_type=str(content_type) if content_type else None
        )
        return Snapshot(phase=phase, remote=remote, percent=100, artifacts=(artifact,))
    if phase is Phase.FAILED:
        return Snapshot(phase=phase, remote=remote, failure=read_failure(body))
    return Snapshot(phase=phase, remote=remote, look_after_s=look_after_s)


def read_failure(body: Mapping[str, Any]) -> Failure:
    code = str(body.get("failure_reason") or "")
    message = str(body.get("error_message") or code or "the generation failed")
    reason = REASONS.get(code, Reason.UPSTREAM_FAILED)
    return Failure(reason, message[: errors.MESSAGE_LENGTH], code)


@errors.documented("a list of jobs of ElevenLabs")
def read_list(
    body: dict[str, Any], kind: str, ids: Collection[str]
) -> tuple[dict[str, Snapshot], str | None]:
    """`{"generations": [job], "next_cursor", "has_more"}`: those of these ids."""
    found = {
        job["id"]: read_job(job, kind)
        for job in body["generations"]
        if job["id"] in ids
    }
    cursor = body.get("next_cursor") if body.get("has_more", True) else None
    if cursor is not None and not isinstance(cursor, str):
        raise ValueError("its cursor is not a text")
    return found, cursor or None


@errors.documented("a list of voices of ElevenLabs")
def read_voice(body: dict[str, Any], name: str) -> str | None:
    """The id of a voice by its name, whole or up to the dash before its description.

    `{"voices": [{"voice_id", "name"}]}`.
    """
    wanted = name.strip().lower()
    named = {
        str(voice.get("name") or "").strip().lower(): str(voice["voice_id"])
        for voice in reversed(body["voices"])
    }
    short = {long.partition(" - ")[0].strip(): named[long] for long in named}
    return named.get(wanted) or short.get(wanted)


@errors.documented("an uploaded asset of ElevenLabs")
def read_asset(body: dict[str, Any]) -> str:
    """`{"asset_id", "name", "mime_type", ...}`."""
    asset_id = body["asset_id"]
    if not isinstance(asset_id, str) or not asset_id:
        raise ValueError("its id is not a text")
    return asset_id


@errors.documented("a signed webhook of ElevenLabs")
def read_webhook(callback: Callback) -> Heard:
    """A job that ended, bare or as `{"type", "event_timestamp", "data": job}`.

    Which of the two it is, is not documented. The header is `t=<unix>,v0=<hex>`; one
    with several signatures holds when any of them does.
    """
    pairs = [
        part.strip().partition("=")
        for part in callback.headers["elevenlabs-signature"].split(",")
    ]
    (timestamp,) = (text for name, _, text in pairs if name == "t")
    signatures = [text for name, _, text in pairs if name == "v0"]
    if not signatures or not (timestamp.isascii() and timestamp.isdigit()):
        raise ValueError("its signature is none")
    told = Reply(200, content=callback.body).json()
    job = told["data"] if "id" not in told else told
    return Heard(
        ids=(remote_of(job, "").id,),
        signed=Signed(
            scheme="hmac-sha256",
            message=f"{timestamp}.".encode() + callback.body,
            signature=" ".join(signatures),
            timestamp=float(int(timestamp)),
            tolerance_s=WEBHOOK_AGE_S,
        ),
    )
