"""DashScope (Alibaba Model Studio): images, video and speech behind one task API.

Asynchronous models answer a submit with a task id, synchronous ones (some images, all
speech) with the result; a header decides, and the wrong one is refused. Documentation:
help.aliyun.com/zh/model-studio, read November 2026 (docs/providers/dashscope.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from providers import auth, errors
from providers.dialects import dashscope_models as catalogue
from providers.dialects import dashscope_results as results
from providers.dialects.dashscope_bodies import Body
from providers.flow import Call, Flow
from providers.payload import merged
from providers.types import (
    Callback,
    Credentials,
    GenerationRequest,
    Heard,
    MediaType,
    Provider,
    Remote,
    Snapshot,
)

ASYNC = {"X-DashScope-Async": "enable"}
RESOLVE = {"X-DashScope-OssResourceResolve": "enable"}
NO_HEADERS: dict[str, str] = {}


def authorize(call: Call, credentials: Credentials) -> Call:
    """A bearer key, and the sub-workspace when the channel has the setting `workspace`.

    A key and its base URL belong to one region; the wrong pair is refused with 401.
    """
    call = auth.bearer(call, credentials)
    workspace = credentials.settings.get("workspace")
    if not workspace:
        return call
    return replace(call, headers={**call.headers, "X-DashScope-WorkSpace": workspace})


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one task, or wait for the result of a synchronous model; billed."""
    offer = catalogue.find_offer(request.model)
    if offer is None:
        raise errors.ModelRefused(f"DashScope offers no model {request.model}")
    body = body_of(request, (yield from offer.write(request)), offer.rest)
    reply = yield Call(
        "POST",
        offer.path,
        headers=headers_of(offer.model.sync, body),
        json=body,
        paid=True,
    )
    try:
        answer = results.check(reply)
    except errors.NotFound as error:  # there is no job yet: it is the model or path
        raise errors.ModelRefused(
            str(error), code=error.code, status=error.status
        ) from error
    if not offer.model.sync:
        return results.read_accepted(answer)
    if offer.model.media_type is MediaType.AUDIO:
        return results.read_speech(answer)
    return results.read_images(answer)


def body_of(request: GenerationRequest, body: Body, rest: str) -> dict[str, Any]:
    """The request's body, with the client's own fields merged in last.

    `metadata.input` and `metadata.parameters` go where they say, every other key into
    the object `rest`.
    """
    extra: dict[str, dict[str, Any]] = {"input": {}, "parameters": {}}
    for name, value in request.metadata.items():
        if name not in extra:
            extra[rest][name] = value
        elif isinstance(value, Mapping):
            extra[name] = {**extra[name], **value}
        else:
            raise errors.Rejected(f"metadata.{name} must be an object")
    plain = {"model": request.model, "input": body.input}
    if body.parameters or extra["parameters"]:
        plain["parameters"] = body.parameters
    return merged(plain, {name: fields for name, fields in extra.items() if fields})


def headers_of(sync: bool, body: Mapping[str, Any]) -> dict[str, str]:
    """The header that makes a task, and the one that makes `oss://` files readable."""
    return (NO_HEADERS if sync else ASYNC) | (RESOLVE if has_oss(body) else NO_HEADERS)


def has_oss(value: Any) -> bool:
    """Whether any text in a body is the address of a temporary upload."""
    if isinstance(value, Mapping):
        return any(has_oss(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(has_oss(inner) for inner in value)
    return isinstance(value, str) and value.startswith("oss://")


def poll(remote: Remote) -> Flow[Snapshot]:
    """Ask for one task; 20 questions per second and main account are answered.

    Status is 200 in every state. There is a list of tasks too, but it has no results.
    """
    reply = yield Call("GET", f"/tasks/{quote(remote.id, safe='')}")
    return results.read_task(results.check(reply))


def cancel(remote: Remote) -> Flow[bool]:
    """Only a task that still waits can be stopped."""
    reply = yield Call("POST", f"/tasks/{quote(remote.id, safe='')}/cancel")
    try:
        results.check(reply)
    except errors.Rejected as error:
        if error.code.lower() == "unsupportedoperation":
            return False
        raise
    return True


def test() -> Flow[None]:
    """List one task: costs nothing."""
    reply = yield Call("GET", "/tasks/", params={"page_no": "1", "page_size": "1"})
    results.check(reply)


@errors.documented("an EventBridge event of DashScope")
def receive(callback: Callback, _model: str) -> Heard:
    """An event of the account's own EventBridge rule, which an operator may set up.

    Events of all tasks arrive at one address, so none may be adopted. How they are
    signed is UNCONFIRMED: an event is a hint to look, no more.
    """
    event = json.loads(callback.body)
    return Heard(ids=(str(event["data"]["task_id"]),))


PROVIDER = Provider(
    name="dashscope",
    title="Alibaba Model Studio (DashScope)",
    base_url="https://dashscope.aliyuncs.com/api/v1",
    env=("DASHSCOPE_API_KEY",),
    models=catalogue.MODELS,
    describe=catalogue.describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    cancel=cancel,
    receive=receive,
    test=test,
    links_live_s=24 * 3600,
    # 10 to 15 seconds are advised, which the schedule reaches by itself for long
    # tasks; an image is often done sooner
    poll_spacing_s=3.0,
    sandbox_path="/dashscope/api/v1",
)
