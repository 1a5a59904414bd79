"""Kling, newer standard: the model is in the path, many tasks are asked for at once.

Films only; `kling_legacy.py` has images, sounds and the older films. Documentation:
kling.ai/document-api (API 2.0), read November 2026 (docs/providers/kling.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from providers import auth, errors
from providers.dialects import kling_bodies as bodies
from providers.dialects import kling_results as results
from providers.dialects.kling_models import NEW, NEW_BY_NAME
from providers.dialects.kling_options import reference
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

TASKS = "/tasks"
NO_TASK = "1"
# how many one call may name is not documented; ids have 18 digits
MOST_LOOKS = 30

MODELS = tuple(offer.model for offer in NEW)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one film; billed when accepted."""
    offer = NEW_BY_NAME.get(request.model)
    if offer is None:
        raise errors.ModelRefused(f"Kling offers no model {request.model}")
    path = bodies.path_of(request, offer)
    body = yield from bodies.write_new(request, offer)
    reply = yield Call("POST", path, json=body, paid=True)
    return results.read_new_task(results.accepted(reply))


def poll(remote: Remote) -> Flow[Snapshot]:
    """Ask for one task; it is missing from the answer when Kling does not know it."""
    reply = yield Call("GET", TASKS, params={"task_ids": remote.id})
    snapshot = results.read_only_task(results.looked_at(reply))
    if snapshot is None:
        raise errors.NotFound(f"Kling does not know the task {remote.id}")
    return snapshot


def poll_many(remotes: Sequence[Remote]) -> Flow[Mapping[str, Snapshot]]:
    """Ask for many tasks at once; those that Kling does not know are missing."""
    ids = ",".join(remote.id for remote in remotes)
    reply = yield Call("GET", TASKS, params={"task_ids": ids})
    return results.read_list(results.check(reply))


def find(request: GenerationRequest) -> Flow[Snapshot | None]:
    """The task that was sent under our own name for it, if Kling took it."""
    named = {"external_task_ids": reference(request)}
    reply = yield Call("GET", TASKS, params=named)
    return results.read_only_task(results.check(reply))


def test() -> Flow[None]:
    """Ask for a task that does not exist: costs nothing."""
    reply = yield Call("GET", TASKS, params={"task_ids": NO_TASK})
    results.check(reply)


@errors.documented("a callback of Kling")
def receive(callback: Callback, _model: str) -> Heard:
    """The task without an envelope, once for each change of its state, in any order.

    It is signed when the account has a signing secret. Without one, who knows the
    unguessable address may only make us look; the address belongs to one submission,
    so a job whose answer was lost is adopted.
    """
    task_id = results.read_id(json.loads(callback.body)["id"])
    return Heard(
        ids=(task_id,),
        remote=Remote(task_id),
        signed=results.read_signature(callback.headers, callback.body),
    )


PROVIDER = Provider(
    name="kling",
    title="Kling AI",
    base_url="https://api-singapore.klingai.com",
    env=("KLING_API_KEY",),
    models=MODELS,
    describe=by_name(MODELS),
    authorize=auth.bearer,
    submit=submit,
    poll=poll,
    poll_many=poll_many,
    poll_many_limit=MOST_LOOKS,
    find=find,
    receive=receive,
    test=test,
    links_live_s=30 * 24 * 3600,
    poll_spacing_s=3.0,  # no figure is published; looks cost nothing
    sandbox_path="/kling",
)
