"""OpenAI in the sandbox: models here, the media in the modules named after them.

Wire format: the guides and reference of developers.openai.com, the OpenAPI document
2.3.0, `openai` 3.54.0 for Python (read 2026-11-22).
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox import openai_images, openai_speech, openai_videos, openai_webhooks
from sandbox.answers import admit, json_answer
from sandbox.inputs import bearer
from sandbox.jobs import CallKind, Upstream
from sandbox.openai_refusals import REFUSALS, model_not_found

MODELS = (*openai_images.MODELS, *openai_videos.MODELS, *openai_speech.MODELS)
BORN_AT = 1_790_000_000


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """Every path of OpenAI's that makes or fetches media."""
    endpoints = openai_webhooks.Endpoints(upstream)

    async def show_models(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.LIST, bearer(request), REFUSALS)
        if refused is not None:
            return refused
        return json_answer({"object": "list", "data": [shown(name) for name in MODELS]})

    async def show_model(request: web.Request) -> web.StreamResponse:
        refused = admit(upstream, CallKind.OTHER, bearer(request), REFUSALS)
        if refused is not None:
            return refused
        name = request.match_info["name"]
        return json_answer(shown(name)) if name in MODELS else model_not_found(name)

    return [
        web.get("/v1/models", show_models),
        web.get("/v1/models/{name}", show_model),
        *openai_images.routes(upstream),
        *openai_videos.routes(upstream, endpoints),
        *openai_speech.routes(upstream),
        *openai_webhooks.routes(upstream, endpoints),
    ]


def shown(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": BORN_AT, "owned_by": "openai"}
