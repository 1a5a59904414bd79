"""Vidu: films of texts, frames and references, templates, pictures and sounds.

A task is asked for at the endpoint that fits what is given
(`dialects/vidu_bodies.py`). Documentation: platform.vidu.com and platform.vidu.cn
(endpoints, queries, lists, cancelling, callbacks, error codes), read November 2026
(docs/providers/vidu.md).
"""

from __future__ import annotations

import json
from urllib.parse import quote

from providers import auth, errors
from providers.dialects import vidu_bodies as bodies
from providers.dialects import vidu_models as catalogue
from providers.dialects import vidu_results as results
from providers.dialects.vidu_models import Way
from providers.flow import Call, Flow
from providers.types import (
    Callback,
    GenerationRequest,
    Heard,
    Provider,
    Remote,
    Snapshot,
    by_name,
)

ROOT = "/ent/v2"
MOST_PAGES = 5
PAGE_SIZE = 100


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one task, or have a text spoken; billed when accepted."""
    offer = catalogue.BY_NAME.get(request.model)
    if offer is None:
        raise errors.ModelRefused(f"Vidu offers no model {request.model}")
    way = bodies.find_way(request, offer)
    body = yield from bodies.write(request, offer, way)
    reply = yield Call("POST", f"{ROOT}/{way.value}", json=body, paid=True)
    read = results.read_speech if way is Way.SPEECH else results.read_accepted
    return read(results.accepted(reply), offer.model.media_type.value)


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of a task, with fresh links each time when it has succeeded."""
    reply = yield Call("GET", f"{task_path(remote)}/creations")
    return results.read_task(results.check(reply), remote)


def task_path(remote: Remote) -> str:
    return f"{ROOT}/tasks/{quote(remote.id, safe='')}"


def find(request: GenerationRequest) -> Flow[Snapshot | None]:
    """The task that carries our name, among the latest of the account.

    That none does is no proof: how soon a task is listed is not documented.
    """
    reference, token = bodies.reference(request), ""
    for _ in range(MOST_PAGES):
        params = {"pager.page_sz": str(PAGE_SIZE)}
        if token:
            params["pager.page_token"] = token
        reply = yield Call("GET", f"{ROOT}/tasks", params=params)
        task_id, token = results.read_page(results.check(reply), reference)
        if task_id:
            return (yield from poll(remote_of(task_id, request.model)))
        if not token:
            break
    raise errors.OutcomeUnknown("no task with our name is listed, or not yet")


def remote_of(task_id: str, model_name: str) -> Remote:
    offer = catalogue.BY_NAME.get(model_name)
    links = {"media": offer.model.media_type.value} if offer else {}
    return Remote(task_id, links)


def cancel(remote: Remote) -> Flow[bool]:
    """Stop a task that still waits; False when it runs, has ended or is unknown."""
    reply = yield Call("POST", f"{task_path(remote)}/cancel", json={"id": remote.id})
    try:
        results.check(reply)
    except (errors.Rejected, errors.NotFound):
        return False
    return True


@errors.documented("a callback of Vidu")
def receive(callback: Callback, model: str) -> Heard:
    """The task as a query shows it, when it begins and when it has ended.

    Its signature is made with the key of the submit over the address and the time, not
    over the body. So it is no more than a hint to look, whoever sent it, and the
    address belongs to one submission, so a task whose answer was lost is adopted.
    """
    task_id = results.text_id(json.loads(callback.body)["id"])
    return Heard(ids=(task_id,), remote=remote_of(task_id, model))


def test() -> Flow[None]:
    """Prove a key with the account's credits, which costs none."""
    reply = yield Call("GET", f"{ROOT}/credits")
    results.check(reply)


PROVIDER = Provider(
    name="vidu",
    title="Vidu",
    base_url="https://api.vidu.com",
    env=("VIDU_API_KEY",),
    models=catalogue.MODELS,
    describe=by_name(catalogue.MODELS),
    authorize=auth.header("Authorization", "Token "),
    submit=submit,
    poll=poll,
    find=find,
    cancel=cancel,
    receive=receive,
    test=test,
    links_live_s=24 * 3600,
    poll_spacing_s=3.0,  # no figure is published; looks cost nothing
    sandbox_path="/vidu",
)
