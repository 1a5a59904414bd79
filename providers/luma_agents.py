"""Luma Agents, Luma's current platform: films of Ray 3.2, images and layers of Uni.

There are no callbacks, no lists, no cancelling and no references of ours.
Documentation: the official client luma-agents 0.5.0 with the texts of its types, read
November 2026 (docs/providers/luma.md).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from providers import auth
from providers.dialects import luma_bodies as bodies
from providers.dialects import luma_results as results
from providers.dialects.luma_models import AGENT_MODELS
from providers.flow import Call, Flow
from providers.types import GenerationRequest, Provider, Remote, Snapshot, by_name

EARLIER = frozenset({"generation_id", "file_id"})


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one generation; billed when accepted."""
    body = yield from bodies.write_agent(request)
    reply = yield Call("POST", "/generations", json=body, paid=True)
    told = results.accepted(reply, chained=names_earlier(body))
    return results.read_started(told, results.read_agent)


def names_earlier(value: Any) -> bool:
    """Whether a body refers to a generation or a file that Luma should know."""
    if isinstance(value, dict):
        return bool(EARLIER & value.keys()) or any(map(names_earlier, value.values()))
    return isinstance(value, list) and any(map(names_earlier, value))


def poll(remote: Remote) -> Flow[Snapshot]:
    """The generation now."""
    reply = yield Call("GET", f"/generations/{quote(remote.id, safe='')}")
    return results.read_agent(results.check(reply))


def test() -> Flow[None]:
    """Prove a key by listing one uploaded file, which costs nothing."""
    reply = yield Call("GET", "/files", params={"limit": "1"})
    results.check(reply)


PROVIDER = Provider(
    name="luma-agents",
    title="Luma Agents",
    base_url="https://agents.lumalabs.ai/v1",
    env=("LUMA_AGENTS_API_KEY",),
    models=AGENT_MODELS,
    describe=by_name(AGENT_MODELS),
    authorize=auth.bearer,
    submit=submit,
    poll=poll,
    test=test,
    links_live_s=3600,
    poll_spacing_s=3.0,
    sandbox_path="/luma/agents/v1",
)
