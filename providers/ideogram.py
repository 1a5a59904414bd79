"""Ideogram: images, by three generations of one API.

The routes of v1 and the legacy one answer with the images; Ideogram 4 and all of v2 are
asked as jobs, whose id outlives a lost connection. The forms are in
`dialects/ideogram_forms.py`. Documentation: developer.ideogram.ai (API reference of v1
and v2, responses, errors and billing, rate limits, webhooks), read November 2026
(docs/providers/ideogram.md).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from providers import auth, errors
from providers.dialects.ideogram_forms import write_form
from providers.dialects.ideogram_models import BY_NAME, MODELS
from providers.flow import Call, Flow, Reply
from providers.geometry import read_size
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
    by_name,
)

KEYS_URL = "https://api.ideogram.ai/v1/.well-known/jwks.json"
NOBODY = "AAAAAAAAAAAAAAAAAAAAAA"
"""An id of the right form that no generation has."""
V1_REMIX = "/v1/ideogram-v3/remix"

PHASES: Mapping[str, Phase] = {
    "pending": Phase.RUNNING,  # there is no finer state
    "completed": Phase.SUCCEEDED,  # also when every image was withheld
    "failed": Phase.FAILED,
}

# Which limit of the account a refusal is about, whatever its status (402, 429).
CODES: errors.Codes = {
    "insufficient_funds": errors.QuotaExhausted,
    "subscription_required": errors.QuotaExhausted,
    "daily_limit": errors.QuotaExhausted,
    "priority_credit_required": errors.QuotaExhausted,
    "feature_limit": errors.QuotaExhausted,
    "inflight_limit": errors.RateLimited,
}
UNSAFE = re.compile(r"safety|moderat|policy|prohibited|unsafe|copyright", re.I)
CODE = re.compile(r"[a-z][a-z0-9_]{1,60}")
TIMESTAMP = re.compile(r"[0-9]{1,12}")
GENERATION_ID = re.compile(r"[A-Za-z0-9_=-]{1,128}")
WITHHELD = "the safety check withheld"


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Make images, or start a job that does; billed also when they are withheld."""
    offer = BY_NAME.get(request.model)
    if offer is None:
        raise errors.ModelRefused(f"Ideogram offers no model {request.model}")
    form = yield from write_form(request, offer)
    reply = yield Call(
        "POST",
        form.path,
        params=form.params or {},
        json=form.json,
        parts=form.parts,
        paid=True,
    )
    if not reply.ok:
        raise submit_error(reply, form.path)
    body = errors.read_json(reply)
    if form.is_async:
        return read_accepted(body, offer.version)
    return read_images(body)


@errors.documented("an accepted generation of Ideogram")
def read_accepted(body: dict[str, Any], version: str) -> Snapshot:
    """`{"generation_id", "status"?: "pending"}`; it may bring the images at once."""
    remote = Remote(read_id(body), {"version": version})
    if body.get("data"):
        return read_generation(body | {"status": "completed"}, remote)
    return Snapshot(phase=Phase.PENDING, remote=remote)


def read_id(body: Mapping[str, Any]) -> str:
    generation_id = body["generation_id"]
    if not isinstance(generation_id, str) or not generation_id:
        raise ValueError("its id is not a text")
    return generation_id


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of a generation; a limit on looks says nothing of it."""
    version = remote.links.get("version", "v2")
    path = f"/{version}/generations/{quote(remote.id, safe='')}"
    reply = yield Call("GET", path)
    if not reply.ok:
        raise call_error(reply)
    return read_generation(errors.read_json(reply), remote)


@errors.documented("a generation of Ideogram")
def read_generation(body: dict[str, Any], remote: Remote) -> Snapshot:
    """`{"status", "data"?: [image], "failure_reason"?, "usage_cost_usd_micros"?}`."""
    phase = PHASES[body["status"]]
    if phase is Phase.RUNNING:
        return Snapshot(phase=phase, remote=remote)
    if phase is Phase.FAILED:
        return Snapshot(
            phase=phase,
            remote=remote,
            failure=read_failure(body.get("failure_reason")),
            usage=read_usage(body),
        )
    artifacts, failure = read_data(body["data"])
    return snapshot_of(artifacts, failure, remote, read_usage(body))


@errors.documented("a list of images of Ideogram")
def read_images(body: dict[str, Any]) -> Snapshot:
    """`{"created", "data": [image]}`, the answer that brings the images along."""
    artifacts, failure = read_data(body["data"])
    return snapshot_of(artifacts, failure, None, read_usage(body))


def snapshot_of(
    artifacts: tuple[Artifact, ...],
    failure: Failure | None,
    remote: Remote | None,
    usage: Mapping[str, Any],
) -> Snapshot:
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        remote=remote,
        percent=100 if artifacts else None,
        artifacts=artifacts,
        failure=failure,
        usage=usage,
    )


def read_data(data: Any) -> tuple[tuple[Artifact, ...], Failure | None]:
    """The images, and what is missing of them.

    `{"url"?, "resolution", "is_image_safe", "prompt", "seed"}`: one that is not safe
    has no address, although the answer is a success.
    """
    if not isinstance(data, list) or not data:
        raise ValueError("there is no image in it")
    artifacts = []
    withheld = 0
    for item in data:
        url = item.get("url")
        if item["is_image_safe"] is False:
            withheld += 1
        elif url:
            artifacts.append(read_image(item))
    lost = len(data) - len(artifacts)
    if not lost:
        return tuple(artifacts), None
    if not withheld and not artifacts:
        raise ValueError("its images have no address")
    if withheld:
        text = f"{WITHHELD} {withheld} of {len(data)} images"
        failure = Failure(Reason.CONTENT_REJECTED, text, "is_image_safe")
    else:
        text = f"{lost} of {len(data)} images have no address"
        failure = Failure(Reason.UPSTREAM_FAILED, text)
    return tuple(artifacts), failure


def read_image(item: Mapping[str, Any]) -> Artifact:
    """One image; its address is signed, and says when it dies."""
    url = item["url"]
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise ValueError("its url is no link")
    told = item.get("upscaled_resolution") or item.get("resolution")
    size = read_size(told) if isinstance(told, str) else None
    expiry = parse_qs(urlsplit(url).query).get("exp", [""])[0]
    return Artifact(
        url=url,
        width=size[0] if size else None,
        height=size[1] if size else None,
        expires_at=int(expiry) if TIMESTAMP.fullmatch(expiry) else None,
    )


def read_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """What it cost in millionths of a dollar; told of jobs only."""
    cost = body.get("usage_cost_usd_micros")
    known = isinstance(cost, int) and not isinstance(cost, bool)
    return {"usd_micros": cost} if known else {}


def read_failure(told: Any) -> Failure:
    """Why a job failed: a word or a sentence, which v1 may leave out."""
    text = str(told or "")
    reason = Reason.UPSTREAM_FAILED
    if UNSAFE.search(text):
        reason = Reason.CONTENT_REJECTED
    message = text or "the generation failed without a reason"
    code = text if CODE.fullmatch(text) else ""
    return Failure(reason, message[: errors.MESSAGE_LENGTH], code)


def read_problem(body: Any) -> tuple[str, str]:
    """`{"error", "reject_reason"?}`; `message` and `detail` have been seen as well."""
    texts = (body.get(name) for name in ("error", "message", "detail"))
    told = next((text for text in texts if text), None)
    if told is None:
        raise ValueError("it tells nothing")
    return str(body.get("reject_reason") or ""), str(told)


def call_error(reply: Reply) -> errors.ProviderError:
    """What a refused call means; a 422 is always about safety."""
    error = errors.refusal(reply, CODES, read_problem)
    if reply.status == 422:
        return errors.ContentRejected(str(error), code=error.code, status=reply.status)
    return error


def submit_error(reply: Reply, path: str) -> errors.ProviderError:
    """What a refused submit means.

    403 is a model or route that the account may not use; at the remix of v1 it is
    documented in place of 401.
    """
    error = call_error(reply)
    if isinstance(error, errors.NotFound):
        return errors.ModelRefused(str(error), code=error.code, status=error.status)
    if type(error) is errors.ChannelRefused and reply.status == 403:
        kind = errors.KeyRefused if path == V1_REMIX else errors.ModelRefused
        return kind(str(error), code=error.code, status=error.status)
    return error


def receive(callback: Callback, model: str) -> Heard:
    """Which generation a webhook is about, and the signature it must bear."""
    offer = BY_NAME.get(model)
    return read_webhook(callback, offer.version if offer else "v2")


@errors.documented("a signed webhook of Ideogram")
def read_webhook(callback: Callback, version: str) -> Heard:
    """`{"generation_id", "data"?}` under four headers, all needed.

    The body of a failure is not documented, so the id is the header's, which is signed.
    """
    headers = callback.headers
    generation_id = headers["x-ideogram-webhook-generation-id"]
    user_id = headers["x-ideogram-webhook-user-id"]
    timestamp = headers["x-ideogram-webhook-timestamp"]
    if not TIMESTAMP.fullmatch(timestamp):
        raise ValueError("its timestamp is not in seconds")
    if not GENERATION_ID.fullmatch(generation_id):
        raise ValueError("its id is no id")
    digest = hashlib.sha256(callback.body).hexdigest()
    signed = Signed(
        scheme="ed25519",
        message="\n".join((generation_id, user_id, timestamp, digest)).encode(),
        signature=headers["x-ideogram-webhook-signature"],
        timestamp=int(timestamp),
        keys_url=KEYS_URL,
    )
    remote = Remote(generation_id, {"version": version})
    return Heard(ids=(generation_id,), remote=remote, signed=signed)


def test() -> Flow[None]:
    """Ask for a generation that nobody has: a good key is told so with 404."""
    reply = yield Call("GET", f"/v1/generations/{NOBODY}")
    if not reply.ok and reply.status != 404:
        raise call_error(reply)


PROVIDER = Provider(
    name="ideogram",
    title="Ideogram",
    base_url="https://api.ideogram.ai",
    env=("IDEOGRAM_API_KEY",),
    models=MODELS,
    describe=by_name(MODELS),
    authorize=auth.header("Api-Key"),
    submit=submit,
    poll=poll,
    receive=receive,
    test=test,
    links_live_s=24 * 3600,
    poll_spacing_s=2.0,
    sandbox_path="/ideogram",
)
