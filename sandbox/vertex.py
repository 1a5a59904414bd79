"""Vertex AI in the sandbox: Google's models below a project and a location.

Wire format: docs.cloud.google.com (Veo and Imagen on Agent Platform) and
`google-genai` 3.4.0 with `vertexai=True` (read 2026-11-22). Tokens are looked at, not
verified. Cloud Storage is elsewhere: results that go to a `gs://` place are only named.
"""

from __future__ import annotations

from aiohttp import web

from sandbox import google_images, google_videos
from sandbox.answers import Answer, json_answer
from sandbox.google_calls import TOKEN_REFUSALS, House, absent, token_of
from sandbox.google_content import Contents
from sandbox.google_files import Files
from sandbox.google_images import Predictions
from sandbox.google_interactions import Interactions
from sandbox.google_videos import Operations
from sandbox.jobs import CallKind, Upstream

MODELS = (*google_videos.CLOUD_MODELS, *google_images.MODELS)

VERSION = "/{version:v1|v1beta1}"
PLACE = VERSION + "/projects/{project}/locations/{location}"
PUBLISHED = "/publishers/google/models/{model:[^/:]+}"


def routes(upstream: Upstream) -> list[web.RouteDef]:
    """The paths of Vertex AI, without the provider's prefix."""

    def identify(request: web.Request) -> str | Answer:
        return token_of(request, upstream.clock())

    house = House(upstream, cloud=True, refusals=TOKEN_REFUSALS, identify=identify)
    files = Files(house)
    operations = Operations(house, files)
    interactions = Interactions(house, files)

    async def show_model(request: web.Request) -> web.StreamResponse:
        """`GET /<version>/publishers/google/models/{model}`."""
        _, refused = house.admit(request, CallKind.OTHER)
        if refused is not None:
            return refused
        name = request.match_info["model"]
        if name not in MODELS:
            return absent(f"Publisher model {name} is not found.")
        told = {"name": f"publishers/google/models/{name}", "versionId": "001"}
        return json_answer(told)

    return [
        web.post(f"{PLACE}{PUBLISHED}:fetchPredictOperation", operations.fetch),
        web.post(f"{PLACE}{PUBLISHED}:predictLongRunning", operations.submit),
        web.post(f"{PLACE}{PUBLISHED}:predict", Predictions(house).submit),
        web.post(f"{PLACE}{PUBLISHED}:generateContent", Contents(house).submit),
        web.get(f"{VERSION}{PUBLISHED}", show_model),
        web.post(f"{PLACE}/interactions", interactions.create),
        web.get(f"{PLACE}/interactions/{{id}}", interactions.show),
        web.delete(f"{PLACE}/interactions/{{id}}", interactions.delete),
        web.post(f"{PLACE}/interactions/{{id}}/cancel", interactions.cancel),
    ]
