"""fal: about 1,400 endpoints of many houses behind one queue.

The queue's envelope (submit, status, result, cancel, webhook) is common; each
endpoint's input is its own (`fal_catalogue.py`, `fal_guesses.py`, `fal_spellings.py` in
`dialects/`), and so is its result (`fal_outputs.py`). A job that has failed is
COMPLETED as well: why, and that it failed at all, may show only when the result is
read. Documentation: docs.fal.ai (queue, webhooks, errors, request errors, data
retention, platform headers) and the Python client fal-client 1.0.3, read in November
2026. docs/providers/fal.md has what is odd about it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from providers import auth, errors
from providers.dialects.fal_catalogue import ENDPOINTS
from providers.dialects.fal_guesses import find_endpoint, fixed_parts
from providers.dialects.fal_outputs import read_artifacts
from providers.dialects.fal_spellings import build_input
from providers.flow import Call, Flow, NotJson, Reply
from providers.types import (
    Callback,
    Failure,
    GenerationRequest,
    Heard,
    Model,
    Phase,
    Provider,
    Reason,
    Remote,
    Signed,
    Snapshot,
)

KEYS_URL = "https://rest.fal.ai/.well-known/jwks.json"

PHASES: Mapping[str, Phase] = {
    "IN_QUEUE": Phase.PENDING,
    "IN_PROGRESS": Phase.RUNNING,
    "COMPLETED": Phase.SUCCEEDED,  # or failed: see `poll`
}

# Why a generation failed, by the type in its error (docs, "Errors", "Request errors").
# A type that is not here is classed by the HTTP status that came with it.
REASONS: Mapping[str, Reason] = {
    "content_policy_violation": Reason.CONTENT_REJECTED,
    "no_media_generated": Reason.UPSTREAM_FAILED,
    "bad_request": Reason.INVALID_REQUEST,
    "downstream_service_error": Reason.UPSTREAM_FAILED,
    "downstream_service_unavailable": Reason.UPSTREAM_FAILED,
    "concurrent_requests_limit": Reason.UPSTREAM_FAILED,
    "internal_server_error": Reason.UPSTREAM_FAILED,
    "internal_error": Reason.UPSTREAM_FAILED,
    "runner_server_error": Reason.UPSTREAM_FAILED,
    "runner_incomplete_response": Reason.UPSTREAM_FAILED,
    "runner_scheduling_failure": Reason.UPSTREAM_FAILED,
    "runner_connection_timeout": Reason.UPSTREAM_FAILED,
    "runner_disconnected": Reason.UPSTREAM_FAILED,
    "runner_connection_refused": Reason.UPSTREAM_FAILED,
    "runner_connection_error": Reason.UPSTREAM_FAILED,
    "request_timeout": Reason.UPSTREAM_TIMEOUT,
    "startup_timeout": Reason.UPSTREAM_TIMEOUT,
    "generation_timeout": Reason.UPSTREAM_TIMEOUT,
}
CANCELLED_TYPES = frozenset({"client_cancelled", "client_disconnected"})
CANCELLED_STATUS = 499

# A call that failed, by type; the rest goes by HTTP status.
CODES: errors.Codes = {
    "content_policy_violation": errors.ContentRejected,
    "concurrent_requests_limit": errors.RateLimited,
}
# An account without money is a 403 that only its text tells from other locks.
NO_MONEY = re.compile(r"exhausted balance|top.?up|insufficient|billing", re.I)
TOO_EARLY = re.compile(r"in progress|in queue|not (yet )?(completed|ready)", re.I)
INGRESS_STATUSES = frozenset({502, 503, 504})
# At the result: about the account, the request's presence or the rate of calls.
QUEUE_STATUSES = frozenset({401, 402, 403, 404, 405, 408, 409, 410, 429})
TIMESTAMP = re.compile(r"[0-9]{1,12}")

# Outputs that a result may name although there are none.
EMPTY = ("images", "image", "video", "audio", "output")

PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?\s?%")
STEPS = re.compile(r"(?<![\d/.:-])(\d{1,5})\s?/\s?(\d{1,5})(?![\d/.:-])")
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
NO_REQUEST = "00000000-0000-0000-0000-000000000000"


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Put one request into the endpoint's queue; billed when it has run.

    The queue does not look at the input: what the endpoint refuses shows in `poll`.
    """
    endpoint = find_endpoint(request.model)
    if endpoint is None:
        raise errors.Rejected(
            f"{request.model!r} is not an endpoint of fal that makes images, video or "
            "audio; an id has at least two parts, such as fal-ai/flux/dev"
        )
    path = request.model.strip("/")
    body = yield from build_input(request, endpoint.spelling, endpoint.model)
    reply = yield Call(
        "POST",
        f"/{path}",
        params={"fal_webhook": request.callback_url} if request.callback_url else {},
        json=body,
        paid=True,
    )
    if not reply.ok:
        raise submit_error(reply)
    remote = read_submitted(errors.read_json(reply), path)
    return Snapshot(phase=Phase.PENDING, remote=remote)


def submit_error(reply: Reply) -> errors.ProviderError:
    """What a refused submit means.

    A page of the proxy before fal, known by its status, its word and the missing id,
    was never seen by the queue: the official clients send again.
    """
    if (
        reply.status in INGRESS_STATUSES
        and "x-fal-request-id" not in reply.headers
        and b"nginx" in reply.content
    ):
        return errors.RateLimited(
            "the proxy in front of fal did not reach it",
            status=reply.status,
            retry_after_s=reply.retry_after_s,
        )
    error = call_error(reply)
    if isinstance(error, errors.NotFound):  # an application that does not exist
        return errors.ModelRefused(str(error), code=error.code, status=error.status)
    return error


@errors.documented("an accepted request of fal")
def read_submitted(body: dict[str, Any], path: str) -> Remote:
    """`{"request_id", "status_url", "response_url", "cancel_url"}` as it is.

    The URLs lack the endpoint's subpath and come in more than one spelling, so those
    received count; without them the documented ones are used.
    """
    request_id = body["request_id"]
    if not isinstance(request_id, str) or not request_id:
        raise ValueError("request_id is not a text")
    remote = remote_of(request_id, path)
    received = {
        name: body[name]
        for name in (*remote.links, "gateway_request_id")
        if isinstance(body.get(name), str) and body[name]
    }
    return Remote(request_id, {**remote.links, **received})


def remote_of(request_id: str, path: str) -> Remote:
    """A job by its id alone: the URLs have owner and app of the path, no subpath."""
    parts = path.strip("/").split("/")
    app = "/".join(parts[: fixed_parts(parts)])
    url = f"/{app}/requests/{quote(request_id, safe='')}"
    return Remote(
        request_id,
        {
            "status_url": f"{url}/status",
            "response_url": url,
            "cancel_url": f"{url}/cancel",
        },
    )


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of a request, and its result as soon as there is one.

    The result is kept for an hour, for some six minutes when it is 10 KB or more.
    """
    reply = yield Call("GET", remote.links["status_url"], params={"logs": "1"})
    if not reply.ok:
        raise call_error(reply)
    status = read_status(errors.read_json(reply))
    if status.phase is not Phase.SUCCEEDED:
        return status
    result = yield Call("GET", remote.links["response_url"])
    return read_result(result, status.usage)


@errors.documented("the status of a request of fal")
def read_status(body: dict[str, Any]) -> Snapshot:
    """`{"status", "logs"?: [{"message"}], "metrics"?, "error"?, "error_type"?}`.

    SUCCEEDED means here that the result is there to be read.
    """
    phase = PHASES[body["status"]]
    if phase is not Phase.SUCCEEDED:
        percent = read_percent(body.get("logs")) if phase is Phase.RUNNING else None
        return Snapshot(phase=phase, percent=percent)
    usage = read_usage(body.get("metrics"))
    code = body.get("error_type") or ""
    message = body.get("error") or ""
    if code:
        return ended_badly(code, message or code, 0, usage)
    # an error without a type: the result says more
    return Snapshot(phase=phase, usage=usage)


def read_percent(logs: Any) -> int | None:
    """Progress by the last log line that tells one ("42%", "12/28"); fal has no other.

    Below 100, since a line may speak of one step of several.
    """
    for log in reversed(logs if isinstance(logs, list) else []):
        message = str(log.get("message", "")) if isinstance(log, Mapping) else ""
        if match := PERCENT.search(message):
            return min(99, int(match[1]))
        for done, total in STEPS.findall(message):
            if 0 <= int(done) <= int(total) != 0:
                return min(99, 100 * int(done) // int(total))
    return None


def read_usage(metrics: Any) -> dict[str, Any]:
    """Seconds of inference, where the application tells them."""
    seconds = metrics.get("inference_time") if isinstance(metrics, Mapping) else None
    return {} if seconds is None else {"inference_time": seconds}


def read_result(reply: Reply, usage: Mapping[str, Any]) -> Snapshot:
    """The end of a completed request: the files, or the endpoint's own error."""
    usage = {**usage, **billable_units(reply)}
    if reply.ok:
        return read_output(errors.read_json(reply), usage)
    code, message = read_error(reply)
    if TOO_EARLY.search(message) and not code:
        return Snapshot(phase=Phase.RUNNING)
    if reply.status == CANCELLED_STATUS or is_final(reply, code):
        return ended_badly(code, message, reply.status, usage)
    raise call_error(reply)


def is_final(reply: Reply, code: str) -> bool:
    """Whether an error at the result is the endpoint's own, kept as its result.

    Else it is the queue's about this call: of account, presence or rate, or trouble on
    the way (no body of JSON, or a 502 to 504 that names no type).
    """
    if code in REASONS or code in CANCELLED_TYPES:
        return True
    try:
        body = reply.json()
    except NotJson:
        return False
    if not isinstance(body, dict) or not ("detail" in body or "error" in body):
        return False
    if isinstance(body.get("detail"), list):
        return bool(code)
    if reply.status in INGRESS_STATUSES:
        return bool(code)
    return reply.status not in QUEUE_STATUSES


@errors.documented("a result of fal")
def read_output(body: dict[str, Any], usage: Mapping[str, Any]) -> Snapshot:
    """The files of a result; an empty one is a failure, a misfit is no answer yet."""
    if body.get("status") in {"IN_QUEUE", "IN_PROGRESS"} and "request_id" in body:
        return Snapshot(phase=PHASES[body["status"]])
    artifacts, blocked_count = read_artifacts(body)
    failure = None
    if blocked_count:
        failure = Failure(
            Reason.CONTENT_REJECTED,
            f"{blocked_count} of the images were blacked out by the safety checker",
            "has_nsfw_concepts",
        )
    elif not artifacts:
        if not any(body.get(name, 0) in ([], None) for name in EMPTY):
            raise ValueError(f"no file in {sorted(body)}")
        failure = Failure(
            Reason.UPSTREAM_FAILED, "the result is empty", "no_media_generated"
        )
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        percent=100 if artifacts else None,
        artifacts=tuple(artifacts),
        failure=failure,
        usage=usage,
    )


def ended_badly(
    code: str, message: str, status: int, usage: Mapping[str, Any]
) -> Snapshot:
    """A request that ended without a result: failed, or cancelled."""
    if code in CANCELLED_TYPES or status == CANCELLED_STATUS:
        return Snapshot(phase=Phase.CANCELLED, usage=usage)
    reason = REASONS.get(code) or reason_by_status(status)
    return Snapshot(
        phase=Phase.FAILED,
        failure=Failure(reason, message[: errors.MESSAGE_LENGTH], code or str(status)),
        usage=usage,
    )


def reason_by_status(status: int) -> Reason:
    """The reason behind an error type that has no row of its own."""
    if 400 <= status < 500:  # 422 with whatever type: the input does not fit
        return Reason.INVALID_REQUEST
    return Reason.UPSTREAM_TIMEOUT if status == 504 else Reason.UPSTREAM_FAILED


def billable_units(reply: Reply) -> dict[str, float]:
    """What fal counts for the bill; the price of a unit depends on the endpoint."""
    try:
        return {"billable_units": float(reply.headers["x-fal-billable-units"])}
    except (KeyError, ValueError):
        return {}


def call_error(reply: Reply) -> errors.ProviderError:
    """What a call that was refused means for its channel."""
    code, message = read_error(reply)
    kind = CODES.get(code) or errors.by_status(reply.status)
    if reply.status == 403 and NO_MONEY.search(message):
        kind = errors.QuotaExhausted
    return errors.make(
        kind,
        message,
        code=code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def read_error(reply: Reply) -> tuple[str, str]:
    """Type and text of an error, "" as its type when it tells none.

    `{"detail": [{"loc", "msg", "type"}]}` of a model, `{"detail": "...",
    "error_type": "..."}` of the queue, `{"error": {"message", "code"}}` of some
    partners; the header repeats the type.
    """
    header = reply.headers.get("x-fal-error-type", "")
    unread = f"HTTP {reply.status} without a readable error"
    try:
        body = reply.json()
    except NotJson:
        return header, unread
    if not isinstance(body, Mapping):
        return header, unread
    detail = body.get("detail")
    error = body.get("error")
    code = body.get("error_type")
    message: Any = detail
    if isinstance(detail, list):
        problems = [problem for problem in detail if isinstance(problem, Mapping)]
        code = code or next((p["type"] for p in problems if p.get("type")), "")
        message = "; ".join(map(one_problem, problems))
    elif isinstance(error, Mapping):
        code = code or error.get("code") or error.get("type")
        message = error.get("message")
    elif detail is None:
        message = error
    return str(code or header), str(message or unread)


def one_problem(problem: Mapping[str, Any]) -> str:
    """`{"loc": ["body", "prompt"], "msg"}` as "prompt: ..."."""
    place = problem.get("loc")
    steps = [str(step) for step in place if step != "body"] if place else []
    text = str(problem.get("msg") or problem.get("type") or "")
    return f"{'.'.join(steps)}: {text}" if steps else text


def cancel(remote: Remote) -> Flow[bool]:
    """Ask fal to stop a request; True when it surely did.

    A running request is only asked to stop and may still complete, so after such an
    answer the status tells. What the answer to a queued one looks like is not
    documented well: 200 or 202, `{"status"}` or `{"success"}`.
    """
    reply = yield Call("PUT", remote.links["cancel_url"])
    try:
        body = reply.json()
    except NotJson:
        body = {}
    told = body if isinstance(body, Mapping) else {}
    if told.get("status") == "ALREADY_COMPLETED" or reply.status == 404:
        return False
    if not reply.ok:
        raise call_error(reply)
    if told.get("success") is False:
        return False
    if reply.status == 200 and (told.get("status") == "OK" or told.get("success")):
        return True
    status = yield Call("GET", remote.links["status_url"])
    if not status.ok:  # asked for is asked for: the next look will tell
        return False
    return read_status(errors.read_json(status)).phase is Phase.CANCELLED


def receive(callback: Callback, model: str) -> Heard:
    """Which request a webhook is about, and the signature it must bear.

    A request that fal tried again has a new id and keeps the gateway's.
    """
    return read_webhook(callback, model.strip("/"))


@errors.documented("a signed webhook of fal")
def read_webhook(callback: Callback, path: str) -> Heard:
    """`{"request_id", "gateway_request_id", ...}` under four headers, all needed."""
    request_id = callback.headers["x-fal-webhook-request-id"]
    user_id = callback.headers["x-fal-webhook-user-id"]
    timestamp = callback.headers["x-fal-webhook-timestamp"]
    if not TIMESTAMP.fullmatch(timestamp):
        raise ValueError("its timestamp is not in seconds")
    digest = hashlib.sha256(callback.body).hexdigest()
    signed = Signed(
        scheme="ed25519",
        message="\n".join((request_id, user_id, timestamp, digest)).encode(),
        signature=callback.headers["x-fal-webhook-signature"],
        timestamp=int(timestamp),
        keys_url=KEYS_URL,
    )
    body = Reply(200, content=callback.body).json()
    ids = [body["request_id"], body.get("gateway_request_id")]
    ids = list(dict.fromkeys(each for each in ids if each is not None))
    if not all(isinstance(each, str) and REQUEST_ID.fullmatch(each) for each in ids):
        raise ValueError("its ids are not ids")
    return Heard(ids=tuple(ids), remote=remote_of(ids[0], path), signed=signed)


def test() -> Flow[None]:
    """Ask for a request that does not exist: a good key is told so with 404."""
    reply = yield Call("GET", f"/fal-ai/flux/requests/{NO_REQUEST}/status")
    if not reply.ok and reply.status != 404:
        raise call_error(reply)


def describe(name: str) -> Model | None:
    """A listed model, or what the words of an endpoint's path promise."""
    endpoint = find_endpoint(name)
    return endpoint.model if endpoint else None


PROVIDER = Provider(
    name="fal",
    title="fal",
    base_url="https://queue.fal.run",
    # the client's own backup domain: links of a submit there lead there
    hosts=frozenset({"queue.fal.run", "queue.falrun.com"}),
    env=("FAL_KEY",),
    models=tuple(endpoint.model for endpoint in ENDPOINTS.values()),
    authorize=auth.header("Authorization", "Key "),
    submit=submit,
    poll=poll,
    cancel=cancel,
    receive=receive,
    test=test,
    describe=describe,
    links_live_s=7 * 24 * 3600,
    sandbox_path="/fal",
)
