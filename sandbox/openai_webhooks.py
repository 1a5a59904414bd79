"""OpenAI's webhooks in the sandbox: endpoints of a project, told when a video ends.

Wire format: the webhooks guide of developers.openai.com and `openai` 3.54.0 for Python
(resources/webhooks, read 2026-11-22). All endpoints share the server's signing secret,
so it cannot be rotated. A project is a key here.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiohttp import web

from sandbox.answers import admit, json_answer
from sandbox.inputs import BadInput, bearer, get_list, get_text, read_json
from sandbox.jobs import CallKind, Job, JobPhase, Upstream
from sandbox.openai_refusals import REFUSALS, check_names, problem, refuse
from sandbox.webhooks import BuildMessage, SigningKeys, WebhookMessage

EVENTS = {JobPhase.SUCCEEDED: "video.completed", JobPhase.FAILED: "video.failed"}
EVENT_TYPE = re.compile(r"[a-z_]+(\.[a-z_]+)+")
FIELDS = frozenset({"name", "url", "event_types"})
MOST_ENDPOINTS = 100


@dataclass(frozen=True)
class Endpoint:
    """Where one project wants to hear which events."""

    id: str
    owner: str
    name: str
    url: str
    event_types: tuple[str, ...]
    created_at: int


class Endpoints:
    """The endpoints of all projects at one upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._kept = upstream.shelf("webhook_endpoints", MOST_ENDPOINTS)
        upstream.message_of = message_of

    def add(self, endpoint: Endpoint) -> None:
        """Add or replace one; the oldest makes room."""
        self._kept.put(endpoint.id, asdict(endpoint))

    def find(self, endpoint_id: str, owner: str) -> Endpoint | None:
        kept = self._kept.find(endpoint_id)
        return Endpoint(**kept) if kept and kept["owner"] == owner else None

    def of(self, owner: str) -> list[Endpoint]:
        kept = self._kept.things()
        return [Endpoint(**each) for each in kept if each["owner"] == owner]

    def remove(self, endpoint: Endpoint) -> None:
        self._kept.take(endpoint.id)

    def announce(self, job: Job) -> None:
        """Tell the job's project of its end, when it comes."""
        for endpoint in self.of(job.owner):
            told = {
                "webhook_id": f"wh_{secrets.token_hex(12)}",
                "event_types": endpoint.event_types,
            }
            build = message_of(job, told)
            self.upstream.call_back(job, endpoint.url, build, told=told)


def message_of(job: Job, told: Mapping[str, Any]) -> BuildMessage:
    """Tells an endpoint of a video's end, if it is one of the events it wants."""

    def build(keys: SigningKeys, now: float) -> WebhookMessage | None:
        # timers may go off a little before the end that they are set to
        event = EVENTS.get(job.phase(max(now, job.ends_at)))
        if event is None or event not in told["event_types"]:
            return None
        body = json.dumps(
            {
                "id": f"evt_{job.id.removeprefix('video_')}",
                "object": "event",
                "created_at": int(job.ends_at),
                "type": event,
                "data": {"id": job.id},
            }
        ).encode()
        headers = keys.standard_headers(told["webhook_id"], int(now), body)
        return WebhookMessage(body, headers)

    return build


def routes(upstream: Upstream, endpoints: Endpoints) -> list[web.RouteDef]:
    """The paths where a project sets up its endpoints."""

    def refused(request: web.Request) -> web.StreamResponse | None:
        return admit(upstream, CallKind.WEBHOOK, bearer(request), REFUSALS)

    def owner_of(request: web.Request) -> str:
        return bearer(request) or ""

    async def create(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request)) is not None:
            return refusal
        try:
            body = await read_json(request)
            check_names(body, FIELDS)
            endpoint = Endpoint(
                id=f"whe_{secrets.token_hex(12)}",
                owner=owner_of(request),
                name=get_text(body, "name", longest=200),
                url=read_url(body),
                event_types=read_events(body),
                created_at=int(upstream.clock()),
            )
        except BadInput as error:
            return refuse(error)
        endpoints.add(endpoint)
        secret = {"signing_secret": upstream.keys.whsec()}
        return json_answer({**shown(endpoint), **secret})

    async def update(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request)) is not None:
            return refusal
        endpoint = endpoints.find(request.match_info["id"], owner_of(request))
        if endpoint is None:
            return problem(404, "Webhook endpoint not found.")
        try:
            body = await read_json(request)
            check_names(body, FIELDS)
            endpoint = replace(
                endpoint,
                name=get_text(body, "name", default=endpoint.name, longest=200),
                url=read_url(body) if "url" in body else endpoint.url,
                event_types=read_events(body)
                if "event_types" in body
                else endpoint.event_types,
            )
        except BadInput as error:
            return refuse(error)
        endpoints.add(endpoint)
        return json_answer(shown(endpoint))

    async def show_list(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request)) is not None:
            return refusal
        data = [shown(endpoint) for endpoint in endpoints.of(owner_of(request))]
        return json_answer(
            {
                "object": "list",
                "data": data,
                "first_id": data[0]["id"] if data else None,
                "last_id": data[-1]["id"] if data else None,
                "has_more": False,
            }
        )

    async def retrieve(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request)) is not None:
            return refusal
        endpoint = endpoints.find(request.match_info["id"], owner_of(request))
        if endpoint is None:
            return problem(404, "Webhook endpoint not found.")
        return json_answer(shown(endpoint))

    async def delete(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request)) is not None:
            return refusal
        endpoint = endpoints.find(request.match_info["id"], owner_of(request))
        if endpoint is None:
            return problem(404, "Webhook endpoint not found.")
        endpoints.remove(endpoint)
        return json_answer(
            {
                "id": endpoint.id,
                "object": "webhook_endpoint.deleted",
                "deleted": True,
            }
        )

    async def show_event_types(request: web.Request) -> web.StreamResponse:
        if (refusal := refused(request)) is not None:
            return refusal
        return json_answer({"object": "list", "data": list(EVENTS.values())})

    return [
        web.get("/v1/webhook_event_types", show_event_types),
        web.post("/v1/webhook_endpoints", create),
        web.get("/v1/webhook_endpoints", show_list),
        web.get("/v1/webhook_endpoints/{id}", retrieve),
        web.post("/v1/webhook_endpoints/{id}", update),
        web.delete("/v1/webhook_endpoints/{id}", delete),
    ]


def shown(endpoint: Endpoint) -> dict[str, Any]:
    """The endpoint object, without its secret."""
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "created_at": endpoint.created_at,
        "updated_at": endpoint.created_at,
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
    }


def read_url(body: dict[str, Any]) -> str:
    """Where to send; OpenAI wants https, this simulation takes this machine's http."""
    url = get_text(body, "url", longest=2048)
    if not url.startswith(("https://", "http://")):
        raise BadInput("url must be an absolute URL.", "url")
    return url


def read_events(body: dict[str, Any]) -> tuple[str, ...]:
    events = get_list(body, "event_types")
    if not events or not all(
        isinstance(event, str) and EVENT_TYPE.fullmatch(event) for event in events
    ):
        raise BadInput("event_types must name events.", "event_types")
    return tuple(events)
