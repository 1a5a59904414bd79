"""Ark (Volcengine) and ModelArk (BytePlus): Seedance videos and Seedream images.

A video is a task that is asked for, an image is the answer of its own call. The two
platforms differ in base URL, keys and the names of their models alone. Documentation:
volcengine.com/docs/82379, ark.volcengine.com, ai.byteplus.com/ark, read November 2026
(docs/providers/ark.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from providers import auth, errors
from providers.dialects import ark_bodies as bodies
from providers.dialects import ark_models as catalogue
from providers.dialects import ark_results as results
from providers.dialects.ark_models import Offer
from providers.flow import Call, Flow
from providers.payload import merged
from providers.types import (
    Callback,
    GenerationRequest,
    Heard,
    MediaType,
    Phase,
    Provider,
    Remote,
    Snapshot,
)

TASKS = "/contents/generations/tasks"
IMAGES = "/images/generations"

# A stream of events would be an answer that nobody here reads.
OURS = ("model", "callback_url", "stream")
MOST_LOOKS = 50


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one video, or wait for images; billed."""
    offer = catalogue.find_offer(request.model)
    if offer is None:
        raise errors.ModelRefused(f"Ark offers no model {request.model}")
    if offer.model.media_type is MediaType.VIDEO:
        return (yield from submit_video(request, offer))
    return (yield from submit_image(request, offer))


def submit_video(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    """The answer is an id; the film comes by `poll`."""
    body = yield from bodies.write_video(request, offer)
    body = merged(body, request.metadata, keep=OURS)
    reply = yield Call("POST", TASKS, json=body, paid=True)
    if not reply.ok:
        raise submit_error(results.refusal(reply))
    return results.read_accepted(results.check(reply))


def submit_image(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    """The answer is the images; it may take two minutes."""
    body = yield from bodies.write_image(request, offer)
    body = merged(body, request.metadata, keep=OURS)
    reply = yield Call("POST", IMAGES, json=body, paid=True)
    if not reply.ok:
        raise submit_error(results.refusal(reply))
    return results.read_images(reply, results.check(reply), request.n)


def submit_error(error: errors.ProviderError) -> errors.ProviderError:
    """There is no job yet, so what is not found is the model or the path."""
    if isinstance(error, errors.NotFound):
        return errors.ModelRefused(str(error), code=error.code, status=error.status)
    return error


def poll(remote: Remote) -> Flow[Snapshot]:
    """Ask for one task; it is kept for seven days, its film for one."""
    reply = yield Call("GET", path_of(remote))
    if reply.status == 404:  # which code it bears is not documented
        error = results.refusal(reply)
        raise errors.NotFound(str(error), code=error.code, status=404)
    return results.read_task(results.check(reply))


def path_of(remote: Remote) -> str:
    return f"{TASKS}/{quote(remote.id, safe='')}"


def poll_many(remotes: Sequence[Remote]) -> Flow[Mapping[str, Snapshot]]:
    """Ask for many tasks at once, with their results.

    What the list lacks is asked for by its id: a list may lag behind.
    """
    query = [("page_num", "1"), ("page_size", str(max(len(remotes), 1)))]
    query += [("filter.task_ids", remote.id) for remote in remotes]
    reply = yield Call("GET", f"{TASKS}?{urlencode(query)}")
    snapshots = results.read_list(results.check(reply))
    for remote in remotes:
        if remote.id in snapshots:
            continue
        try:
            snapshots[remote.id] = yield from poll(remote)
        except errors.NotFound:
            continue
    return snapshots


def cancel(remote: Remote) -> Flow[bool]:
    """Only a task that still waits can be stopped.

    The same call removes the record of a task that has ended, and its result with it:
    it is sent only right after "queued" was read.
    """
    task = results.check((yield Call("GET", path_of(remote))))
    snapshot = results.read_task(task)
    if task["status"] != results.QUEUED:
        return snapshot.phase is Phase.CANCELLED
    reply = yield Call("DELETE", path_of(remote))
    if reply.status == 409:  # it runs by now
        return False
    results.check(reply)
    return True


def test() -> Flow[None]:
    """List one task: costs nothing."""
    reply = yield Call("GET", TASKS, params={"page_num": "1", "page_size": "1"})
    results.check(reply)


@errors.documented("a callback of Ark")
def receive(callback: Callback, _model: str) -> Heard:
    """The task as a poll would show it, once for each change of its state.

    There is no signature: who knows the unguessable address may only make us look. The
    address belongs to one submission, so a job whose answer was lost is adopted.
    """
    task_id = results.read_id(json.loads(callback.body))
    return Heard(ids=(task_id,), remote=Remote(task_id))


PROVIDER = Provider(
    name="ark",
    title="Volcengine Ark",
    base_url="https://ark.cn-beijing.volces.com/api/v3",
    env=("ARK_API_KEY",),
    models=catalogue.MODELS,
    describe=catalogue.describe,
    authorize=auth.bearer,
    submit=submit,
    poll=poll,
    poll_many=poll_many,
    poll_many_limit=MOST_LOOKS,
    cancel=cancel,
    receive=receive,
    test=test,
    links_live_s=24 * 3600,
    # no figure is published; other clients look every ten seconds
    poll_spacing_s=5.0,
    sandbox_path="/ark/api/v3",
)

BYTEPLUS = replace(
    PROVIDER,
    name="byteplus",
    title="BytePlus ModelArk",
    base_url="https://ark.ap-southeast.bytepluses.com/api/v3",
    env=("BYTEPLUS_ARK_API_KEY",),
    models=catalogue.INTERNATIONAL_MODELS,
)
