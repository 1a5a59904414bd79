"""Black Forest Labs: FLUX for images, image tools and films, as tasks of one result.

The model is in the path, and each has its own form (`dialects/bfl_models.py`,
`dialects/bfl_bodies.py`). A task lives in one region: it is looked at where its submit
answer says. Documentation: docs.bfl.ai (generating images, get result, FLUX.2, FLUX 3,
tools), api.bfl.ai/openapi.json and github.com/black-forest-labs/skills, read November
2026 (docs/providers/bfl.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from providers import auth, errors
from providers.dialects.bfl_bodies import write_body
from providers.dialects.bfl_models import BY_NAME, MODELS
from providers.flow import Call, Flow, NotJson, Reply
from providers.types import (
    Artifact,
    Failure,
    GenerationRequest,
    MediaType,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
    by_name,
)

# A task's address names the cluster it lives in: a region, and perhaps a number.
HOSTS = frozenset({".bfl.ai"})
VIDEO_SPACING_S = 5.0

PHASES: Mapping[str, Phase] = {
    "pending": Phase.PENDING,
    "reasoning": Phase.RUNNING,
    "generating": Phase.RUNNING,
    "ready": Phase.SUCCEEDED,
    "request moderated": Phase.FAILED,  # the prompt or an input
    "content moderated": Phase.FAILED,  # the output
    "error": Phase.FAILED,
    "failed": Phase.FAILED,  # the sample clients look for it as well
}
NOT_FOUND = "task not found"
MODERATED = frozenset({"request moderated", "content moderated"})

# Codes of the error style that only the sample clients' documents have. Which style an
# error has is not confirmed, so both are read.
CODES: errors.Codes = {
    "invalid_api_key": errors.KeyRefused,
    "insufficient_credits": errors.QuotaExhausted,
    "rate_limit_exceeded": errors.RateLimited,
    "validation_error": errors.Rejected,
    "content_policy_violation": errors.ContentRejected,
}
REASONS: Mapping[str, Reason] = {
    "content_policy_violation": Reason.CONTENT_REJECTED,
    "generation_timeout": Reason.UPSTREAM_TIMEOUT,
    "internal_error": Reason.UPSTREAM_FAILED,
    "generation_failed": Reason.UPSTREAM_FAILED,
    "invalid_image": Reason.INVALID_REQUEST,
}
BAD_INPUT = re.compile(r"\b(input|mask|reference) ?(image|video)?|\binvalid\b", re.I)
# 403 without a key, and 422, which looks like a wrong field, for one that is malformed.
BAD_KEY = re.compile(r"not authenticated|invalid api key", re.I)

ABOUT_THE_CALL = frozenset({401, 402, 403, 429})
"""Statuses that never speak of a task."""


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one task; billed when accepted."""
    offer = BY_NAME.get(request.model)
    if offer is None:
        raise errors.ModelRefused(f"BFL offers no model {request.model}")
    body = yield from write_body(request, offer)
    reply = yield Call("POST", f"/v1/{request.model}", json=body, paid=True)
    if not reply.ok:
        raise submit_error(reply)
    is_video = offer.model.media_type is MediaType.VIDEO
    return read_accepted(errors.read_json(reply), is_video=is_video)


@errors.documented("an accepted task of BFL")
def read_accepted(body: dict[str, Any], *, is_video: bool) -> Snapshot:
    """`{"id", "polling_url"?, "cost"?}`, or with a status that is final already."""
    links = {"media": "video"} if is_video else {}
    url = body.get("polling_url")
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        links["polling_url"] = url
    remote = Remote(read_id(body), links)
    if word_of(body) in MODERATED:
        return read_task(body, remote)
    return Snapshot(phase=Phase.PENDING, remote=remote, usage=read_usage(body))


def read_id(body: Mapping[str, Any]) -> str:
    task_id = body["id"]
    if not isinstance(task_id, str) or not task_id:
        raise ValueError("its id is not a text")
    return task_id


def read_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """Credits of 0.01 USD; null or absent where they are not known yet."""
    cost = body.get("cost")
    known = isinstance(cost, int | float) and not isinstance(cost, bool)
    return {"credits": cost} if known else {}


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of a task, asked exactly where its submit answer said."""
    by_id = Call("GET", "/v1/get_result", params={"id": remote.id})
    url = remote.links.get("polling_url")
    if url is None:
        return read_look((yield by_id), remote)
    try:
        reply = yield Call("GET", url)
    except errors.UnexpectedReply as refused:
        # A host that may not have the key, as beside a regional base URL, whose own
        # host may know the task. If not, nothing is known: it is not "not found".
        try:
            return read_look((yield by_id), remote)
        except errors.NotFound:
            raise refused from None
    return read_look(reply, remote)


def read_look(reply: Reply, remote: Remote) -> Snapshot:
    """The task in an answer, whatever its HTTP status, or the error it stands for."""
    if not reply.ok:
        body = task_in(reply, remote)
        if body is None:
            raise call_error(reply)
    else:
        body = errors.read_json(reply)
    return read_task(body, remote)


def task_in(reply: Reply, remote: Remote) -> dict[str, Any] | None:
    """The task that an answer outside 2xx brings: a failed one comes with 422.

    Trouble of the server counts as the task's only if it names the task.
    """
    try:
        body = reply.json()
    except NotJson:
        return None
    if not isinstance(body, dict) or reply.status in ABOUT_THE_CALL:
        return None
    named = body.get("id") == remote.id
    if not named and ("id" in body or reply.status >= 500):
        return None
    word = word_of(body)
    return body if word in PHASES or word == NOT_FOUND else None


def word_of(body: Mapping[str, Any]) -> str | None:
    """The status in lower case, since its capitals vary; None when there is none."""
    # a few sources call it `state`, which is not confirmed
    word = body.get("status", body.get("state"))
    return word.strip().lower() if isinstance(word, str) else None


@errors.documented("a task of BFL")
def read_task(body: dict[str, Any], remote: Remote) -> Snapshot:
    """`{"id", "status", "result"?: {"sample"}, "progress"?: 0..1, "details"?}`."""
    word = word_of(body)
    if word is None:
        raise ValueError("it has no status")
    if word == NOT_FOUND:  # just after the submit it may not be known everywhere
        raise errors.NotFound("BFL knows no such task", code=word)
    phase, usage = PHASES[word], read_usage(body)
    if phase is Phase.SUCCEEDED:
        return Snapshot(
            phase=phase,
            remote=remote,
            percent=100,
            artifacts=read_result(body["result"], remote),
            usage=usage,
        )
    if phase is Phase.FAILED:
        failure = read_failure(body, word)
        return Snapshot(phase=phase, remote=remote, failure=failure, usage=usage)
    return Snapshot(
        phase=phase,
        remote=remote,
        percent=read_percent(body.get("progress")) if phase is Phase.RUNNING else None,
        usage=usage,
        look_after_s=VIDEO_SPACING_S if remote.links.get("media") else None,
    )


def read_percent(progress: Any) -> int | None:
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    return min(99, max(0, round(100 * progress)))


def read_result(result: Mapping[str, Any], remote: Remote) -> tuple[Artifact, ...]:
    """The file, which lives for ten minutes; a draft of a film has a text beside it.

    With the text (`draft_cache`) a client asks for the film in full.
    """
    url = result["sample"]
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise ValueError("its sample is no link")
    is_video = "media" in remote.links
    artifacts = [Artifact(url=url, content_type="video/mp4" if is_video else None)]
    cache = result.get("draft_cache")
    if isinstance(cache, str) and cache:
        artifacts.append(
            Artifact(text=cache, title="draft_cache", content_type="text/plain")
        )
    return tuple(artifacts)


def read_failure(body: Mapping[str, Any], word: str) -> Failure:
    """Why it ended; `details` is an object, a text or null."""
    code = str(body.get("error") or "")
    told = "; ".join(
        text
        for text in (told_in(body.get("details")), str(body.get("message") or ""))
        if text
    )
    if word in MODERATED:
        reason = Reason.CONTENT_REJECTED
    elif code in REASONS:
        reason = REASONS[code]
    else:
        names_input = BAD_INPUT.search(told)
        reason = Reason.INVALID_REQUEST if names_input else Reason.UPSTREAM_FAILED
    message = told or code or f"BFL says: {word}"
    return Failure(reason, message[: errors.MESSAGE_LENGTH], code or word)


def told_in(detail: Any) -> str:
    """What an object, a list of problems or a text says.

    `{"error": text}`, `{"Moderation Reasons": [...]}`, `[{"loc", "msg"}]`.
    """
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return "; ".join(filter(None, map(told_in, detail)))
    if not isinstance(detail, Mapping):
        return ""
    if "msg" in detail:
        place = detail.get("loc")
        steps = place if isinstance(place, list) else []
        named = ".".join(str(step) for step in steps if step != "body")
        return f"{named}: {detail['msg']}" if named else str(detail["msg"])
    if isinstance(detail.get("error"), str):
        return str(detail["error"])
    return "; ".join(
        f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in detail.items()
    )


def read_problem(body: Any) -> tuple[str, str]:
    """`{"detail": text, list or object}`, or `{"error": code, "message"}`."""
    if "detail" in body:
        return "", told_in(body["detail"])
    code = body["error"]
    if not isinstance(code, str) or not code:
        raise ValueError("its error is not a code")
    return code, str(body.get("message") or code)


def call_error(reply: Reply) -> errors.ProviderError:
    """What a refused call means."""
    error = errors.refusal(reply, CODES, read_problem)
    told = str(error)
    if isinstance(error, errors.RateLimited) and error.retry_after_s is None:
        error.retry_after_s = wait_in(reply)
    if reply.status in {401, 403, 422} and BAD_KEY.match(told):
        return errors.KeyRefused(told, code=error.code, status=reply.status)
    return error


def wait_in(reply: Reply) -> float | None:
    """`{"retry_after": seconds}`, where no header tells."""
    try:
        seconds = reply.json()["retry_after"]
    except (NotJson, KeyError, TypeError, IndexError):
        return None
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return float(seconds) if known and 0 <= seconds < 1e6 else None


def submit_error(reply: Reply) -> errors.ProviderError:
    """What a refused submit means: 404 is about the path, which is the model."""
    error = call_error(reply)
    if isinstance(error, errors.NotFound):
        return errors.ModelRefused(str(error), code=error.code, status=error.status)
    return error


def test() -> Flow[None]:
    """Prove a key with the credits that are left, which costs nothing."""
    reply = yield Call("GET", "/v1/credits")
    if not reply.ok:
        raise call_error(reply)
    errors.read_json(reply)


PROVIDER = Provider(
    name="bfl",
    title="Black Forest Labs",
    base_url="https://api.bfl.ai",
    hosts=HOSTS,
    env=("BFL_API_KEY",),
    models=MODELS,
    describe=by_name(MODELS),
    authorize=auth.header("x-key"),
    submit=submit,
    poll=poll,
    test=test,
    links_live_s=600,
    poll_spacing_s=1.0,
    sandbox_path="/bfl",
)
