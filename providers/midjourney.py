"""Midjourney over the midjourney-proxy protocol: `/mj/submit`, `/mj/task`.

Midjourney sells no public API. This is the protocol of the open-source proxies
(novicezk, trueai-org) and of the gateways that imitate them, such as new-api. A channel
names its own base URL; the default is where a proxy listens on the same machine.

Sources, read November 2026: novicezk/midjourney-proxy (docs/api.md, ReturnCode,
SubmitController, TaskController, NotifyService), trueai-org/midjourney-proxy
(ReturnCode, TaskInfo, SubmitController, middlewares), QuantumNous/new-api
(relay/mjproxy_handler.go, controller/midjourney.go, dto/midjourney.go).
docs/providers/midjourney.md has what is odd.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from providers import errors
from providers.dialects import midjourney_bodies as bodies
from providers.dialects.midjourney_models import (
    BY_NAME,
    MODELS,
    Kind,
    Makes,
    Offer,
    describe,
)
from providers.flow import Call, Flow, Reply
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    Failure,
    GenerationRequest,
    Heard,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)

PHASES: Mapping[str, Phase] = {
    "": Phase.PENDING,  # new-api before its first look
    "NOT_START": Phase.PENDING,
    "SUBMITTED": Phase.PENDING,
    "MODAL": Phase.RUNNING,  # waits for `/mj/submit/modal`, until its time is over
    "IN_PROGRESS": Phase.RUNNING,
    "SUCCESS": Phase.SUCCEEDED,
    "FAILURE": Phase.FAILED,
    "CANCEL": Phase.CANCELLED,
}

SUBMITTED, EXISTS, QUEUED = 1, 21, 22
ACCEPTED = frozenset({SUBMITTED, EXISTS, QUEUED})
NO_ACCOUNT = 3
CODES: Mapping[int, type[errors.ProviderError]] = {
    NO_ACCOUNT: errors.RateLimited,  # no account is free; nothing was started
    4: errors.Rejected,
    5: errors.Unavailable,  # of a new-api, which may have handed the task on
    9: errors.RateLimited,  # the submit itself failed, so nothing was queued
    23: errors.RateLimited,  # the queue is full, although the answer has an id
    24: errors.ContentRejected,
    30: errors.RateLimited,
}
QUOTA = "quota"

# The text of a failure is Discord's or the proxy's, in English or Chinese; those that
# fit nothing here are plain failures, most of them of the infrastructure.
CANCELLED = "取消任务"
TIMED_OUT = "任务超时"
MODERATED = re.compile(r"banned prompt|content moderated", re.I)
INVALID = re.compile(r"\s*\[invalid (parameter|link)\]", re.I)
PERCENT = re.compile(r"(\d{1,3})%")
# How a window is told, beside the code that a repeated action has, too.
WINDOW = re.compile(r"window|modal|窗口|弹窗", re.I)

# The channel setting `key_header`: which of the two headers the deployment reads.
KEY_HEADERS: Mapping[str, Mapping[str, str]] = {
    "both": {"mj-api-secret": "", "Authorization": "Bearer "},
    "mj-api-secret": {"mj-api-secret": ""},
    "bearer": {"Authorization": "Bearer "},
    "token": {"Authorization": ""},
}

BATCH = 100
NO_TASK = "0"


def authorize(call: Call, credentials: Credentials) -> Call:
    """The secret in both headers that are in use, or as the channel says."""
    headers = KEY_HEADERS.get(
        credentials.settings.get("key_header", ""), KEY_HEADERS["both"]
    )
    told = {name: prefix + credentials.secret for name, prefix in headers.items()}
    return replace(call, headers={**call.headers, **told})


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submit that was taken; `waits` for a second step."""

    result: Any
    waits: bool = False


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one task; billed when accepted.

    Some actions open a window: the task then waits for a prompt, which is sent at once.
    """
    offer = BY_NAME.get(request.model)
    if offer is None:
        raise errors.ModelRefused(f"midjourney-proxy has no action {request.model}")
    path, body = yield from bodies.write(request, offer)
    window = None
    if offer.kind in {Kind.CHANGE, Kind.ACTION}:
        window = yield from bodies.write_window(request)
    reply = yield Call("POST", path, json=body, paid=True)
    accepted = read_submit(reply, offer)
    if offer.kind is Kind.UPLOAD:
        return read_upload(accepted.result)
    remote = Remote(read_id(accepted.result), links_of(offer, request))
    if accepted.waits and window is not None:
        remote = yield from confirm(remote, window, offer)
    return Snapshot(phase=Phase.PENDING, remote=remote, usage={"task_id": remote.id})


def confirm(remote: Remote, window: Mapping[str, Any], offer: Offer) -> Flow[Remote]:
    """Answer a window, without which nothing is drawn; gives where to look.

    When it is unclear whether that was taken, the task is known all the same: looking
    at it will tell.
    """
    body = {"taskId": remote.id, **window}
    try:
        reply = yield Call("POST", "/mj/submit/modal", json=body)
        return replace(remote, id=read_id(read_submit(reply, offer).result))
    except (errors.Unavailable, errors.OutcomeUnknown, errors.UnexpectedReply):
        return remote


def links_of(offer: Offer, request: GenerationRequest | None = None) -> dict[str, str]:
    """What a look must know of a task: what it makes, and whether as single files."""
    links = {"makes": str(offer.makes)}
    if request and request.metadata.get(bodies.SEPARATE) is True:
        links[bodies.SEPARATE] = "yes"
    return links


def read_submit(reply: Reply, offer: Offer) -> Accepted:
    """What was accepted, or the error that the code in the body stands for."""
    if not reply.ok:
        raise submit_error(reply, offer)
    return read_accepted(errors.read_json(reply), offer)


@errors.documented("an answer to a Midjourney submit")
def read_accepted(body: dict[str, Any], offer: Offer) -> Accepted:
    """`{"code": int, "description", "result", "properties"?}`, mostly with HTTP 200."""
    code = int(body["code"])
    if code not in ACCEPTED:
        raise code_error(code, body, offer, 200)
    properties = body.get("properties") or {}
    # 21 is a window, or the same action once more: then the first task is told
    is_done = bool(properties.get("imageUrl") or properties.get("status"))
    told = bool(WINDOW.search(str(body.get("description") or "")))
    waits = code == EXISTS and not is_done and (offer.window or told)
    return Accepted(body["result"], waits)


@errors.documented("the id of a Midjourney task")
def read_id(result: Any) -> str:
    """A text, of some servers a number."""
    if isinstance(result, bool) or not isinstance(result, str | int) or not result:
        raise ValueError(f"it is {result!r}")
    return str(result)


@errors.documented("a list of uploaded images")
def read_upload(result: Any) -> Snapshot:
    """`["https://cdn.discordapp.com/..."]`, at once."""
    if not isinstance(result, list) or not result:
        raise ValueError("it is no list of links")
    artifacts = tuple(Artifact(url=read_link(url)) for url in result)
    return Snapshot(phase=Phase.SUCCEEDED, percent=100, artifacts=artifacts)


def read_link(url: Any) -> str:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no link")
    return url


def submit_error(reply: Reply, offer: Offer) -> errors.ProviderError:
    """A refusal with an HTTP status: of a door, or of a new-api that relays a code."""
    body = find_object(reply)
    code, told = read_code(body), str(body.get("description") or "")
    own = body.get("type") == "new_api_error"
    if code is not None and QUOTA in told.lower():
        return errors.QuotaExhausted(told, code=str(code), status=reply.status)
    if own and reply.status == 503:  # no channel for the action; nothing was sent on
        return errors.RateLimited(told, code=str(code), status=reply.status)
    relayed = not own and reply.status < 500 and reply.status != 401
    if relayed and code is not None and code in CODES:
        return code_error(code, body, offer, reply.status)
    error = errors.refusal(reply, {}, read_description)
    if isinstance(error, errors.NotFound):  # this base URL has no such routes
        return errors.ChannelRefused(str(error), status=reply.status)
    return error


def code_error(
    code: int, body: Mapping[str, Any], offer: Offer, status: int
) -> errors.ProviderError:
    """What a code means; one that is not documented leaves the outcome open."""
    told = str(body.get("description") or f"code {code}")
    properties = body.get("properties") or {}
    if isinstance(properties, Mapping) and properties.get("bannedWord"):
        told = f"{told}: {properties['bannedWord']}"
    kind = CODES.get(code, errors.UnexpectedReply)
    if kind is errors.Rejected and QUOTA in told.lower():
        kind = errors.QuotaExhausted
    if code == NO_ACCOUNT and offer.kind in {Kind.CHANGE, Kind.ACTION, Kind.MODAL}:
        kind = errors.NotFound  # of the task to work on; another channel may have it
    return kind(told, code=str(code), status=status)


def find_object(reply: Reply) -> Mapping[str, Any]:
    """The JSON object of a reply; an empty one where there is a text, or nothing."""
    try:
        body = reply.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def read_code(body: Mapping[str, Any]) -> int | None:
    code = body.get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def read_description(body: Any) -> tuple[str, str]:
    return str(body.get("code") or ""), str(body["description"])


def poll(remote: Remote) -> Flow[Snapshot]:
    """One task; an unknown one is told by an empty answer, or a 400 of new-api."""
    reply = yield Call("GET", f"/mj/task/{quote(remote.id, safe='')}/fetch")
    if not reply.ok:
        raise look_error(reply)
    if not reply.content.strip():
        raise errors.NotFound(f"the upstream knows no task {remote.id}")
    return read_task(errors.read_json(reply), remote)


def poll_many(remotes: Sequence[Remote]) -> Flow[Mapping[str, Snapshot]]:
    """Many tasks at once, by id; one that is unknown upstream is left out.

    A task whose answer cannot be read stays running, so that it is looked at again and
    does not spoil the look at the others.
    """
    tasks = yield from fetch([remote.id for remote in remotes])
    snapshots = {}
    for remote in remotes:
        if remote.id in tasks:
            try:
                snapshots[remote.id] = read_task(tasks[remote.id], remote)
            except errors.UnexpectedReply:
                snapshots[remote.id] = Snapshot(phase=Phase.RUNNING, remote=remote)
    return snapshots


def fetch(ids: Sequence[str]) -> Flow[Mapping[str, Any]]:
    """The tasks that the upstream has of these, by id."""
    call = Call("POST", "/mj/task/list-by-condition", json={"ids": list(ids)})
    reply = yield call
    if not reply.ok:
        raise look_error(reply)
    return read_tasks(errors.read_json(reply))


@errors.documented("a list of Midjourney tasks")
def read_tasks(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, list):
        raise TypeError("it is no list")
    return {str(task["id"]): task for task in body}


def look_error(reply: Reply) -> errors.ProviderError:
    """Why a look was refused.

    Unknown tasks are told by other ways than 404, which speaks of the address.
    """
    error = errors.refusal(reply, {}, read_description)
    if isinstance(error, errors.NotFound):
        return errors.Unavailable(str(error), status=reply.status)
    if reply.status == 400 and "task_no_found" in str(error):
        return errors.NotFound(str(error), code=error.code, status=reply.status)
    return error


@errors.documented("a Midjourney task")
def read_task(task: Mapping[str, Any], remote: Remote) -> Snapshot:
    """`{"id", "status", "progress", "imageUrl", "failReason", "buttons"?, ...}`.

    Before the end `imageUrl` is a blurred preview and no result.
    """
    phase = PHASES[task["status"] or ""]
    if phase is Phase.FAILED and CANCELLED in str(task.get("failReason") or ""):
        phase = Phase.CANCELLED
    succeeded = phase is Phase.SUCCEEDED
    return Snapshot(
        phase=phase,
        remote=remote,
        percent=100 if succeeded else read_percent(task),
        artifacts=read_results(task, remote) if succeeded else (),
        failure=read_failure(task) if phase is Phase.FAILED else None,
        usage=read_usage(task) if succeeded else {},
    )


def read_percent(task: Mapping[str, Any]) -> int | None:
    """`"46%"` as 46; "", "waiting" and the like say nothing."""
    match = PERCENT.fullmatch(str(task.get("progress") or ""))
    return min(int(match[1]), 99) if match else None


def read_results(task: Mapping[str, Any], remote: Remote) -> tuple[Artifact, ...]:
    """The picture, the films or the text; a success without any is none."""
    match Makes(remote.links.get("makes", Makes.IMAGE)):
        case Makes.TEXT:
            properties = task.get("properties") or {}
            text = properties.get("finalPrompt") or task["promptEn"]
            if not isinstance(text, str) or not text:
                raise ValueError("it has no text")
            return (Artifact(text=text),)
        case Makes.VIDEO:
            links = [each["url"] for each in task.get("videoUrls") or ()]
            links = links or [task["videoUrl"]]
            return tuple(
                Artifact(url=read_link(url), content_type="video/mp4") for url in links
            )
        case Makes.IMAGE:
            links = [task["imageUrl"]]
            if bodies.SEPARATE in remote.links and task.get("imageUrls"):
                links = [each["url"] for each in task["imageUrls"]]
            return tuple(Artifact(url=read_link(url)) for url in links)


def read_usage(task: Mapping[str, Any]) -> dict[str, Any]:
    """What a client needs to go on with a task: its id and its buttons."""
    buttons = [
        {
            "label": str(button.get("label") or button.get("emoji") or ""),
            "customId": str(button["customId"]),
        }
        for button in task.get("buttons") or ()
        if button.get("customId")
    ]
    told: dict[str, Any] = {"task_id": str(task["id"])}
    return {**told, "buttons": buttons} if buttons else told


def read_failure(task: Mapping[str, Any]) -> Failure:
    told = str(task.get("failReason") or "the upstream gave no reason")
    reason = Reason.UPSTREAM_FAILED
    if MODERATED.search(told):
        reason = Reason.CONTENT_REJECTED
    elif INVALID.match(told):
        reason = Reason.INVALID_REQUEST
    elif TIMED_OUT in told:
        reason = Reason.UPSTREAM_TIMEOUT
    return Failure(reason, told[: errors.MESSAGE_LENGTH])


def find(request: GenerationRequest) -> Flow[Snapshot | None]:
    """The task with our reference, in the list that some servers have.

    That it is not in there proves nothing: the list may be cut, or be another's.
    """
    reply = yield Call("GET", "/mj/task/list")
    if not reply.ok:
        raise look_error(reply)
    offer = BY_NAME[request.model]
    found = read_found(errors.read_json(reply), request.task_id)
    if found is None:
        raise errors.Unavailable("the upstream's list has no task of our reference")
    remote = Remote(read_id(found["id"]), links_of(offer, request))
    return read_task(found, remote)


@errors.documented("a list of Midjourney tasks")
def read_found(body: Any, reference: str) -> Mapping[str, Any] | None:
    """The newest task of that reference."""
    if not isinstance(body, list):
        raise TypeError("it is no list")
    found = [task for task in body if task.get("state") == reference]
    return max(found, key=lambda task: task.get("submitTime") or 0, default=None)


def cancel(remote: Remote) -> Flow[bool]:
    """Stop a task; False where the server has no such call, or it was too late."""
    reply = yield Call("POST", f"/mj/task/{quote(remote.id, safe='')}/cancel")
    if reply.status in {400, 404, 405} or (reply.ok and not reply.content.strip()):
        return False
    if not reply.ok:
        raise look_error(reply)
    return read_stopped(errors.read_json(reply))


@errors.documented("an answer to a cancellation")
def read_stopped(body: dict[str, Any]) -> bool:
    return int(body["code"]) == SUBMITTED


@errors.documented("a callback of a midjourney-proxy")
def receive(callback: Callback, model: str) -> Heard:
    """The task itself, at every change; never signed, and sent only once."""
    task = errors.read_json(Reply(200, {}, callback.body))
    task_id = read_id(task["id"])
    return Heard((task_id,), remote=Remote(task_id, links_of(BY_NAME[model])))


def test() -> Flow[None]:
    """Ask for a task that nobody has: free, and refused when the key is wrong."""
    yield from fetch([NO_TASK])


PROVIDER = Provider(
    name="midjourney",
    title="Midjourney (midjourney-proxy protocol)",
    base_url="http://127.0.0.1:8080",
    env=("MJ_API_SECRET",),
    models=MODELS,
    describe=describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    poll_many=poll_many,
    poll_many_limit=BATCH,
    poll_spacing_s=3.0,
    find=find,
    cancel=cancel,
    receive=receive,
    test=test,
    links_live_s=24 * 3600,  # of Discord's signed links, by what is seen
    sandbox_path="/midjourney",
)
