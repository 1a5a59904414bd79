"""Luma Dream Machine: films of Ray 2 and images of Photon.

Luma's newer platform has another host, other keys and other bodies: `luma_agents.py`.
Documentation: docs.lumalabs.ai (API, video and image generation, modify, reframe,
callbacks), read November 2026 (docs/providers/luma.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from providers import auth, errors
from providers.dialects import luma_bodies as bodies
from providers.dialects import luma_results as results
from providers.dialects.luma_models import MODELS, OLD
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

PAGE = 100
MOST_PAGES = 3
"""How far back a lost generation is looked for."""
MOST_LOOKS = 20
WORTH_A_LIST = 3
"""From how many generations on one list costs less than a call for each."""


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one generation; billed when accepted."""
    path, body = bodies.write(request)
    reply = yield Call("POST", path, json=body, paid=True)
    chained = "model" not in body or request.action == "extend"
    told = results.accepted(reply, chained=chained)
    return results.read_started(told, results.read_generation)


def poll(remote: Remote) -> Flow[Snapshot]:
    """The generation now."""
    reply = yield Call("GET", path_of(remote))
    return results.read_generation(results.check(reply))


def path_of(remote: Remote) -> str:
    return f"/generations/{quote(remote.id, safe='')}"


def poll_many(remotes: Sequence[Remote]) -> Flow[Mapping[str, Snapshot]]:
    """The newest generations in one list, then each that it lacks by itself.

    In which order the list comes is not documented, so one that it lacks may exist.
    """
    found: dict[str, Snapshot] = {}
    if len(remotes) >= WORTH_A_LIST:
        reply = yield list_call(0)
        listed, _ = results.read_list(results.check(reply))
        found.update(results.read_some(listed, {remote.id for remote in remotes}))
    for remote in remotes:
        if remote.id in found:
            continue
        reply = yield Call("GET", path_of(remote))
        if reply.status == 404:
            continue
        body = results.check(reply)
        found[remote.id] = (
            results.read_generation(body)
            if len(remotes) == 1
            else results.read_or_running(body, remote.id)
        )
    return found


def list_call(page: int) -> Call:
    params = {"limit": str(PAGE), "offset": str(PAGE * page)}
    return Call("GET", "/generations", params=params)


def find(request: GenerationRequest) -> Flow[Snapshot | None]:
    """The generation that was told our address for this very submission.

    It is never surely absent: neither the order of the list nor how soon a generation
    appears in it is documented.
    """
    if request.callback_url is None:
        raise errors.OutcomeUnknown("Luma was told nothing that names this submission")
    for page in range(MOST_PAGES):
        reply = yield list_call(page)
        listed, more = results.read_list(results.check(reply))
        for generation in listed:
            asked = generation.get("request")
            if isinstance(asked, Mapping) and (
                asked.get("callback_url") == request.callback_url
            ):
                return results.read_generation(dict(generation))
        if not more:
            break
    raise errors.OutcomeUnknown("Luma's list of generations does not have it")


def cancel(remote: Remote) -> Flow[bool]:
    """Remove a generation; False when it is unknown.

    Whether running work stops, or is paid back, is not documented.
    """
    reply = yield Call("DELETE", path_of(remote))
    if reply.status == 404:
        return False
    if not reply.ok:
        raise results.call_error(reply)
    return True


@errors.documented("a callback of Luma")
def receive(callback: Callback, _model: str) -> Heard:
    """The whole generation, at every change of its state and in any order, unsigned.

    So it only makes us look. The address belongs to one submission, which lets a
    generation whose submit answer was lost be adopted.
    """
    generation_id = results.read_id(json.loads(callback.body))
    return Heard(ids=(generation_id,), remote=Remote(generation_id))


def test() -> Flow[None]:
    """Prove a key with its balance, which costs nothing."""
    reply = yield Call("GET", "/credits")
    results.check(reply)


PROVIDER = Provider(
    name="luma",
    title="Luma Dream Machine",
    base_url="https://api.lumalabs.ai/dream-machine/v1",
    env=("LUMAAI_API_KEY",),
    models=MODELS,
    describe=by_name((*MODELS, OLD)),
    authorize=auth.bearer,
    submit=submit,
    poll=poll,
    poll_many=poll_many,
    poll_many_limit=MOST_LOOKS,
    find=find,
    cancel=cancel,
    receive=receive,
    test=test,
    poll_spacing_s=3.0,
    sandbox_path="/luma/dream-machine/v1",
)
