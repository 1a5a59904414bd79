"""Replicate: many houses' models behind one kind of job, the prediction.

The envelope is the same for all (submit, status, cancel, webhook); what a model takes
is its own (`dialects/replicate_models.py`, `dialects/replicate_inputs.py`), and so is
the shape of its output. Documentation: replicate.com/docs (HTTP API, predictions,
error codes, webhooks), read November 2026 (docs/providers/replicate.md).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from providers import auth, errors
from providers.dialects import replicate_models as catalogue
from providers.dialects.replicate_inputs import build_input, read_problem
from providers.flow import Call, Flow, Reply
from providers.types import (
    Artifact,
    Callback,
    Failure,
    GenerationRequest,
    Heard,
    Phase,
    Provider,
    Reason,
    Remote,
    Signed,
    Snapshot,
)

API_HOST = "api.replicate.com"

PHASES: Mapping[str, Phase] = {
    "starting": Phase.PENDING,
    "processing": Phase.RUNNING,
    "succeeded": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "canceled": Phase.CANCELLED,
    "aborted": Phase.CANCELLED,  # its own deadline passed before it started
}

# Calls that failed, by their title; the rest goes by HTTP status.
CODES: errors.Codes = {
    "Unauthenticated": errors.KeyRefused,
    "Insufficient credit": errors.QuotaExhausted,
    "Invalid version or not permitted": errors.ModelRefused,
    "Input validation failed": errors.Rejected,
}

# Why a generation failed, by the code in its text (docs, "Error codes"; E003 to E006
# are told by users alone), else by its words.
REASONS: Mapping[str, Reason] = {
    "E003": Reason.UPSTREAM_FAILED,
    "E004": Reason.UPSTREAM_FAILED,
    "E005": Reason.CONTENT_REJECTED,
    "E006": Reason.INVALID_REQUEST,
    "E1000": Reason.UPSTREAM_FAILED,
    "E1001": Reason.UPSTREAM_FAILED,
    "E4875": Reason.INVALID_REQUEST,
    "E6716": Reason.UPSTREAM_FAILED,
    "PA": Reason.UPSTREAM_FAILED,
}
CODE = re.compile(r"\b(E\d{3,5})\b|\(code: (\w+)\)")
BLOCKED = re.compile(r"nsfw|flagged as sensitive|safety|moderation", re.I)
INVALID = re.compile(r"input was invalid", re.I)

PROGRESS = re.compile(r"^\s*(\d+)%\s*\|.+?\|\s*(\d+)/(\d+)", re.M)
RESETS = re.compile(r"resets in ~?(\d{1,5}(?:\.\d+)?)\s?s", re.I)
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,", re.ASCII)

CONTENT_TYPES: Mapping[str, str] = {
    "flac": "audio/flac",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one prediction; billed by its outputs, or by the seconds it runs."""
    offer = catalogue.find_offer(request.model)
    if offer is None:
        raise errors.Rejected(
            f"{request.model!r} names no model of Replicate that makes images, video "
            "or audio; allowed are owner/name, owner/name:version, "
            "deployments/owner/name and a version of 64 hexadecimal digits"
        )
    path, body = address(request.model)
    body["input"] = yield from build_input(request, offer)
    if request.callback_url and may_call(request.callback_url):
        body["webhook"] = request.callback_url
        body["webhook_events_filter"] = ["completed"]
    reply = yield Call("POST", path, json=body, paid=True)
    if not reply.ok:
        raise submit_error(reply)
    return read_prediction(errors.read_json(reply))


def address(model: str) -> tuple[str, dict[str, Any]]:
    """The path for a model, and the version in the body where it is named.

    A model without a version is run by its own path, which official models have.
    """
    if "/" not in model or ":" in model:
        return "/predictions", {"version": model.rpartition(":")[2]}
    if model.startswith("deployments/"):
        return f"/{model}/predictions", {}
    return f"/models/{model}/predictions", {}


def may_call(url: str) -> bool:
    """Whether a webhook address will do: HTTPS, or this machine for the sandbox.

    Another one would have every submit refused; without it predictions are looked at.
    """
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost"}


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of a prediction; the result is kept for an hour after its end."""
    reply = yield Call("GET", prediction_path(remote))
    return read_prediction(checked(reply))


def cancel(remote: Remote) -> Flow[bool]:
    """Stop a prediction; what has run until then is billed.

    A running one may still be told as processing, and as canceled later.
    """
    reply = yield Call("POST", f"{prediction_path(remote)}/cancel")
    if reply.status == 404:
        return False
    return read_prediction(checked(reply)).phase is Phase.CANCELLED


def prediction_path(remote: Remote) -> str:
    return f"/predictions/{quote(remote.id, safe='')}"


@errors.documented("a prediction of Replicate")
def read_prediction(body: dict[str, Any]) -> Snapshot:
    """`{"id", "status", "output", "error", "logs", "metrics", "data_removed"}`."""
    remote = Remote(read_id(body))
    phase = PHASES[body["status"]]
    usage = read_usage(body.get("metrics"))
    if phase is Phase.RUNNING:
        percent = read_percent(body.get("logs"))
        return Snapshot(phase=phase, remote=remote, percent=percent)
    if phase is Phase.SUCCEEDED:
        return read_result(body, remote, usage)
    failure = read_failure(body.get("error")) if phase is Phase.FAILED else None
    return Snapshot(phase=phase, remote=remote, failure=failure, usage=usage)


def read_id(body: Mapping[str, Any]) -> str:
    job_id = body["id"]
    if not isinstance(job_id, str) or not job_id:
        raise ValueError("its id is not a text")
    return job_id


def read_percent(logs: Any) -> int | None:
    """Progress by the last progress bar in the logs; there is no field for it.

    Below 100, since a bar may be that of one step of several.
    """
    bars = PROGRESS.findall(logs.replace("\r", "\n")) if isinstance(logs, str) else []
    return min(99, int(bars[-1][0])) if bars else None


def read_usage(metrics: Any) -> dict[str, Any]:
    """Seconds and counts that the bill rests on; no price is told."""
    if not isinstance(metrics, Mapping):
        return {}
    return {
        name: value
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def read_result(
    body: Mapping[str, Any], remote: Remote, usage: Mapping[str, Any]
) -> Snapshot:
    """The files of a success; an empty one is a failure, a misfit is no answer yet."""
    output = body.get("output")
    artifacts = tuple(read_artifacts(output))
    failure = None
    if artifacts:
        failure = missing_outputs(body.get("input"), len(artifacts))
    elif body.get("data_removed") is True:
        failure = Failure(
            Reason.UPSTREAM_EXPIRED,
            "the result was removed, as all are an hour after their end",
            "data_removed",
        )
    elif output in (None, "") or output in ([], {}, [None]):
        failure = Failure(Reason.UPSTREAM_FAILED, "the result is empty", "no_output")
    else:
        raise ValueError("no file in its output")
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        remote=remote,
        percent=100 if artifacts else None,
        artifacts=artifacts,
        failure=failure,
        usage=usage,
    )


def missing_outputs(told: Any, count: int) -> Failure | None:
    """What is wrong when there are fewer outputs than the input had asked for."""
    asked = told.get("num_outputs") if isinstance(told, Mapping) else None
    if not isinstance(asked, int) or count >= asked:
        return None
    return Failure(
        Reason.UPSTREAM_FAILED, f"{asked - count} of {asked} outputs are missing"
    )


def read_artifacts(output: Any) -> Iterator[Artifact]:
    """The files in a text, an object, or a list of either; other texts are none."""
    for item in output if isinstance(output, list) else [output]:
        found = list(item.values()) if isinstance(item, Mapping) else [item]
        for value in found:
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and text.startswith(
                    ("https://", "http://", "data:")
                ):
                    yield read_file(text)


def read_file(url: str) -> Artifact:
    """A file at its link, or inside a data URL."""
    if url.startswith("data:"):
        head = DATA_URL.match(url)
        if head is None:
            raise ValueError("a data URL without base64")
        content = base64.b64decode(url[head.end() :], validate=True)
        return Artifact(content=content, content_type=head[1])
    parts = urlsplit(url)
    ending = parts.path.rpartition(".")[2].lower()
    return Artifact(
        url=url,
        content_type=CONTENT_TYPES.get(ending),
        protected=parts.hostname == API_HOST,  # a file of the Files API
    )


def read_failure(error: Any) -> Failure:
    """The reason in an error's text, which may have a code in it."""
    message = str(error or "the prediction failed and does not say why")
    match = CODE.search(message)
    code = (match[1] or match[2]) if match else ""
    reason = REASONS.get(code)
    if reason is None and BLOCKED.search(message):
        reason = Reason.CONTENT_REJECTED
    elif reason is None and INVALID.search(message):
        reason = Reason.INVALID_REQUEST
    return Failure(
        reason or Reason.UPSTREAM_FAILED, message[: errors.MESSAGE_LENGTH], code
    )


def checked(reply: Reply) -> Any:
    """The body of a success, or the error that a refusal stands for."""
    if reply.ok:
        return errors.read_json(reply)
    raise call_error(reply)


def call_error(reply: Reply) -> errors.ProviderError:
    """What a refused call means; a throttled one tells in words when to come back."""
    error = errors.refusal(reply, CODES, read_problem)
    if isinstance(error, errors.RateLimited) and error.retry_after_s is None:
        match = RESETS.search(str(error))
        error.retry_after_s = float(match[1]) if match else None
    return error


def submit_error(reply: Reply) -> errors.ProviderError:
    """What a refused submit means: 404 is about the model."""
    error = call_error(reply)
    if isinstance(error, errors.NotFound):
        return errors.ModelRefused(str(error), code=error.code, status=error.status)
    return error


def receive(callback: Callback, model: str) -> Heard:
    """Which prediction a webhook is about, and the signature it must bear."""
    return read_webhook(callback)


@errors.documented("a signed webhook of Replicate")
def read_webhook(callback: Callback) -> Heard:
    """The prediction itself, signed as Standard Webhooks.

    The header may hold several signatures, parted by spaces; one that matches counts.
    """
    headers = callback.headers
    webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    signatures = (word.partition(",") for word in headers["webhook-signature"].split())
    job_id = read_id(Reply(200, content=callback.body).json())
    return Heard(
        ids=(job_id,),
        remote=Remote(job_id),
        signed=Signed(
            scheme="hmac-sha256",
            message=f"{webhook_id}.{timestamp}.".encode() + callback.body,
            signature=" ".join(text for version, _, text in signatures if text),
            timestamp=float(int(timestamp)),
        ),
    )


def test() -> Flow[None]:
    """Prove a key with the account it belongs to, which costs nothing."""
    reply = yield Call("GET", "/account")
    checked(reply)


PROVIDER = Provider(
    name="replicate",
    title="Replicate",
    base_url=f"https://{API_HOST}/v1",
    env=("REPLICATE_API_TOKEN",),
    models=tuple(offer.model for offer in catalogue.OFFERS.values()),
    describe=catalogue.describe,
    authorize=auth.bearer,
    submit=submit,
    poll=poll,
    cancel=cancel,
    receive=receive,
    test=test,
    links_live_s=3600,
    sandbox_path="/replicate/v1",
)
