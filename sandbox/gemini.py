"""The Gemini API in the sandbox: video, images, speech and music in four dialects.

Wire format: ai.google.dev/gemini-api/docs and `google-genai` 3.4.0, 2.34.0 and 1.75.0
(read 2026-11-22). The dialects are in modules of their own, as Vertex AI
(`vertex.py`) speaks them, too.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox import (
    google_content,
    google_images,
    google_interactions,
    google_videos,
)
from sandbox.answers import json_answer
from sandbox.google_calls import (
    KEY_REFUSALS,
    House,
    absent,
    key_of,
    refuse,
)
from sandbox.google_content import Contents
from sandbox.google_files import Files
from sandbox.google_images import Predictions
from sandbox.google_interactions import Interactions
from sandbox.google_videos import Operations
from sandbox.google_webhooks import Webhooks
from sandbox.inputs import BadInput, get_whole
from sandbox.jobs import CallKind, Upstream

METHODS = {
    **dict.fromkeys(google_videos.DEVELOPER_MODELS, "predictLongRunning"),
    **dict.fromkeys(google_images.MODELS, "predict"),
    **dict.fromkeys(google_content.MODELS, "generateContent"),
    **dict.fromkeys(google_interactions.MODELS, "createInteraction"),
}
"""The models, and what each is for."""

VERSION = "/{version:v1|v1beta|v1alpha}"
MODEL = VERSION + "/models/{model:[^/:]+}"
FILE = "{file:[a-z0-9]+}"
MOST_LISTED = 1000


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The paths of the Gemini API, without the provider's prefix."""
    house = House(upstream, cloud=False, refusals=KEY_REFUSALS, identify=key_of)
    files = Files(house)
    webhooks = Webhooks(house)
    operations = Operations(house, files, webhooks)
    interactions = Interactions(house, files, webhooks)

    async def show_models(request: web.Request) -> web.StreamResponse:
        """`GET /<version>/models?pageSize=&pageToken=`."""
        _, refused = house.admit(request, CallKind.LIST)
        if refused is not None:
            return refused
        try:
            size = get_whole(
                request.query, "pageSize", default=50, least=1, strict=False
            )
            start = get_whole(
                request.query, "pageToken", default=0, least=0, strict=False
            )
        except BadInput as error:
            return refuse(error)
        stop = start + min(size, MOST_LISTED)
        page = {"models": [told_model(name) for name in list(METHODS)[start:stop]]}
        more = {"nextPageToken": str(stop)} if stop < len(METHODS) else {}
        return json_answer({**page, **more})

    async def show_model(request: web.Request) -> web.StreamResponse:
        """`GET /<version>/models/{model}`."""
        _, refused = house.admit(request, CallKind.OTHER)
        if refused is not None:
            return refused
        name = request.match_info["model"]
        if name not in METHODS:
            return absent(f"models/{name} is not found.")
        return json_answer(told_model(name))

    webhook = VERSION + "/webhooks/{id:[^/:]+}"
    return [
        # the first are found first, and these two are called most
        web.get(f"{MODEL}/operations/{{id}}", operations.poll),
        web.get(f"{VERSION}/interactions/{{id}}", interactions.show),
        web.post(f"{MODEL}:predictLongRunning", operations.submit),
        web.post(f"{MODEL}:predict", Predictions(house).submit),
        web.post(f"{MODEL}:generateContent", Contents(house).submit),
        web.get(f"{VERSION}/models", show_models),
        web.get(MODEL, show_model),
        web.post(f"{VERSION}/interactions", interactions.create),
        web.delete(f"{VERSION}/interactions/{{id}}", interactions.delete),
        web.post(f"{VERSION}/interactions/{{id}}/cancel", interactions.cancel),
        web.get(f"{VERSION}/files/{FILE}", files.show),
        web.get(f"{VERSION}/files/{FILE}:download", files.download),
        web.get(f"/download/{FILE}", files.send),
        web.post(f"{VERSION}/webhooks", webhooks.create),
        web.get(f"{VERSION}/webhooks", webhooks.show_all),
        web.get(webhook, webhooks.show),
        web.patch(webhook, webhooks.change),
        web.delete(webhook, webhooks.delete),
        web.post(f"{webhook}:ping", webhooks.ping),
        web.post(f"{webhook}:rotateSigningSecret", webhooks.rotate),
        web.get("/.well-known/jwks.json", webhooks.key_set),
    ]


def told_model(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "displayName": name,
        "supportedGenerationMethods": [METHODS[name]],
    }
