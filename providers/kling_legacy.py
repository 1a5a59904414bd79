"""Kling under /v1: the only way to images, sounds and the older films.

The model is in the body, and each kind of task is asked for at its own path.
Documentation: kling.ai/document-api, read November 2026 (docs/providers/kling.md).
"""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote

from providers import errors, kling
from providers.dialects import kling_bodies as bodies
from providers.dialects import kling_results as results
from providers.dialects import kling_tokens
from providers.dialects.kling_models import IMAGES, LEGACY, LEGACY_BY_NAME, Kind
from providers.dialects.kling_options import reference
from providers.flow import Call, Flow
from providers.types import (
    Callback,
    GenerationRequest,
    Heard,
    Remote,
    Snapshot,
    by_name,
)

MODELS = tuple(offer.model for offer in LEGACY)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one task, or have a text spoken at once; billed when accepted."""
    offer = LEGACY_BY_NAME.get(request.model)
    if offer is None:
        raise errors.ModelRefused(f"Kling offers no model {request.model} under /v1")
    body = yield from bodies.write(request, offer)
    links = bodies.links_of(request, offer)
    reply = yield Call("POST", links["path"], json=body, paid=True)
    return results.read_task(results.accepted(reply), links)


def poll(remote: Remote) -> Flow[Snapshot]:
    """Ask for one task at the path that it was sent to."""
    reply = yield Call("GET", task_path(remote.links["path"], remote.id))
    return results.read_task(results.looked_at(reply), remote.links)


def task_path(path: str, task_id: str) -> str:
    return f"{path}/{quote(task_id, safe='')}"


def find(request: GenerationRequest) -> Flow[Snapshot | None]:
    """The task that was sent under our own name for it, if Kling took it.

    Where the documentation does not say that an endpoint takes such a name, a task
    that is not found may exist all the same.
    """
    offer = LEGACY_BY_NAME.get(request.model)
    if offer is None or offer.kind is Kind.SPEECH:
        raise errors.OutcomeUnknown(f"{request.model} takes no name of ours for a task")
    links = bodies.links_of(request, offer)
    reply = yield Call("GET", task_path(links["path"], reference(request)))
    try:
        return results.read_task(results.looked_at(reply), links)
    except errors.NotFound as error:
        if offer.tracked and error.code:
            return None
        raise errors.OutcomeUnknown(
            f"{links['path']} cannot be asked for tasks by our name for them"
        ) from error


def test() -> Flow[None]:
    """List one task: costs nothing."""
    reply = yield Call("GET", IMAGES, params={"pageNum": "1", "pageSize": "1"})
    results.check(reply)


@errors.documented("a callback of Kling")
def receive(callback: Callback, model: str) -> Heard:
    """The task without an envelope, once for each change of its state, in any order.

    It does not tell its path, so a job whose answer was lost is adopted only where the
    model has a single one; `find` knows the others.
    """
    task_id = results.read_id(json.loads(callback.body)["task_id"])
    offer = LEGACY_BY_NAME.get(model)
    known = offer is not None and len(offer.paths) == 1
    return Heard(
        ids=(task_id,),
        remote=Remote(task_id, {"path": offer.paths[0]}) if offer and known else None,
        signed=results.read_signature(callback.headers, callback.body),
    )


PROVIDER = replace(
    kling.PROVIDER,
    name="kling-legacy",
    title="Kling AI (/v1)",
    env=("KLING_ACCESS_AND_SECRET_KEY",),
    models=MODELS,
    describe=by_name(MODELS),
    authorize=kling_tokens.authorize,
    submit=submit,
    poll=poll,
    poll_many=None,
    poll_many_limit=1,
    find=find,
    receive=receive,
    test=test,
)
