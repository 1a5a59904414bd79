"""Vertex AI (Gemini Enterprise Agent Platform): Google's models in a cloud project.

The wire formats of `providers/gemini.py` with other paths, a token instead of a key,
and operations that are looked at with a POST. A flow knows neither project nor place,
so `authorize` writes both into the path. Documentation: docs.cloud.google.com (Veo and
Imagen on Agent Platform) and the Python SDK google-genai 3.4.0 with `vertexai=True`,
read in November 2026. docs/providers/gemini.md has what is odd about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from providers import errors, gemini
from providers.dialects import (
    gemini_errors,
    gemini_files,
    gemini_interactions,
    gemini_models,
    gemini_videos,
    google_tokens,
)
from providers.dialects.gemini_models import VERTEX
from providers.flow import Call, Flow
from providers.types import (
    Credentials,
    GenerationRequest,
    Model,
    Provider,
    Remote,
    Snapshot,
    by_name,
)

HOST = "aiplatform.googleapis.com"
GLOBAL = "global"
REGION = "us-central1"

# Multi-regions have hosts of their own.
MULTI_REGIONS = ("us", "eu")
# Where the host tells a region, it is that of the path as well.
REGION_IN_HOST = re.compile(r"https://([a-z0-9-]+)-aiplatform\.googleapis\.com/")
MULTI_REGION_IN_HOST = re.compile(
    r"https://aiplatform\.([a-z]+)\.rep\.googleapis\.com/"
)

# What stands in a project, and lacks it so far: models (but for reading what a model
# is) and interactions.
IN_PROJECT = re.compile(r"/(publishers/[^/]+/models/|interactions(?![^/?]))")
IS_PLACED = re.compile(r"/projects/[^/]+/locations/([^/]+)/")
PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
LOCATION = re.compile(r"[a-z][a-z0-9-]{0,49}")

MODELS = (
    *gemini_models.OMNI_MODELS,
    *gemini_models.VERTEX_VEO_MODELS,
    *gemini_models.IMAGEN_MODELS,
)
LISTED = by_name(MODELS)


def authorize(call: Call, credentials: Credentials) -> Call:
    """The token, and project and location in the path.

    The secret is the key file of a service account (JSON), or
    `<project>:<access token>`. The settings `project` and `location` come first. A
    location also decides the host, unless the channel has a base URL of its own.
    `user_project` names another project to be billed for quota.
    """
    project, token = read_secret(credentials)
    headers = {**call.headers, "Authorization": f"Bearer {token}"}
    if user_project := credentials.settings.get("user_project"):
        headers["x-goog-user-project"] = user_project
    call = replace(call, headers=headers)
    if is_storage(call.url):
        return call
    return replace(call, url=placed(call, project, credentials.settings))


def read_secret(credentials: Credentials) -> tuple[str, str]:
    """Project and bearer token; `KeyRefused` when the secret is neither form."""
    project = credentials.settings.get("project", "")
    secret = credentials.secret.strip()
    if secret.startswith("{"):
        try:
            account = google_tokens.read_account(secret)
        except ValueError as error:
            raise errors.KeyRefused(str(error)) from error
        token = google_tokens.bearer_token(account, credentials.now)
        return project or account.project, token
    own, _, token = secret.rpartition(":")
    return project or own, token


def is_storage(url: str) -> bool:
    return url.startswith(f"https://{gemini_files.STORAGE_HOST}/")


def placed(call: Call, project: str, settings: Mapping[str, str]) -> str:
    """The call's address in its project and location.

    Interactions are `global` only. Elsewhere the setting decides; without one Veo and
    Imagen are in us-central1, and Gemini models are `global`.
    """
    url = call.url
    if already := IS_PLACED.search(url):
        return hosted(url, already[1])
    match = IN_PROJECT.search(url)
    if match is None or (call.method == "GET" and match[1].startswith("publishers/")):
        return url
    location = settings.get("location") or location_of(url)
    if match[1] == "interactions":
        location = GLOBAL
    for name, word, pattern in (
        ("project", project, PROJECT),
        ("location", location, LOCATION),
    ):
        if not pattern.fullmatch(word):
            raise errors.ChannelRefused(
                f"the setting {name!r} of a Vertex AI channel is "
                f"{'wrong' if word else 'missing'}"
            )
    start = match.start()
    prefix = f"{url[:start]}/projects/{project}/locations/{location}"
    return hosted(prefix + url[start:], location)


def location_of(url: str) -> str:
    """The location that host and model tell."""
    for pattern in (REGION_IN_HOST, MULTI_REGION_IN_HOST):
        if match := pattern.match(url):
            return match[1]
    return REGION if ":predict" in url else GLOBAL


def hosted(url: str, location: str) -> str:
    """The address at the host of its location; other base URLs stay as they are."""
    default = f"https://{HOST}/"
    if location == GLOBAL or not url.startswith(default):
        return url
    if location in MULTI_REGIONS:
        host = f"aiplatform.{location}.rep.googleapis.com"
    else:
        host = f"{location}-{HOST}"
    return f"https://{host}/{url.removeprefix(default)}"


def describe(name: str) -> Model | None:
    """A listed model, or what a model of its family can be expected to take."""
    return LISTED(gemini_models.plain_name(name)) or gemini_models.unlisted(name)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start a video, or make images, speech or music at once; billed when accepted."""
    return gemini.start(request, VERTEX)


def poll(remote: Remote) -> Flow[Snapshot]:
    """One look at an operation, by POST, or at an interaction."""
    if gemini.is_operation(remote):
        return gemini_videos.poll_cloud(remote)
    return gemini_interactions.poll(remote)


def test() -> Flow[None]:
    """Read what a model is: a bad token is refused, and nothing is billed."""
    model = gemini_models.VERTEX_VEO_MODELS[0].name
    reply = yield Call("GET", f"{VERTEX.models}{model}")
    if reply.status != 404:
        gemini_errors.accepted(reply, absent=errors.NotFound)


PROVIDER = Provider(
    name="vertex",
    title="Google Vertex AI",
    base_url=f"https://{HOST}/v1",
    hosts=frozenset({gemini_files.STORAGE_HOST}),
    models=MODELS,
    describe=describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    cancel=gemini.cancel,
    test=test,
    links_live_s=48 * 3600,
    poll_spacing_s=2.0,  # no limit is published; about 10 s are advised
    sandbox_path="/vertex/v1",
)
