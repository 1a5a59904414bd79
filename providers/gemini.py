"""Google's Gemini API: video, images, speech and music, in four wire formats.

Which one is told by the model's family (`dialects/gemini_models.py`): interactions for
Omni, `predictLongRunning` for Veo, `predict` for Imagen, `generateContent` for all
others. Resellers that speak it are channels with a base URL of their own, version
included. Documentation: ai.google.dev/gemini-api/docs (video, omni, image-generation,
speech-generation, webhooks, deprecations) and the Python SDK google-genai 3.4.0, 2.34.0
and 1.75.0, read in November 2026. docs/providers/gemini.md has what is odd about it.
"""

from __future__ import annotations

from typing import Any

from providers import auth, errors
from providers.dialects import (
    gemini_content,
    gemini_errors,
    gemini_images,
    gemini_interactions,
    gemini_models,
    gemini_videos,
)
from providers.dialects.gemini_models import DEVELOPER, Family
from providers.flow import Call, Flow, Reply
from providers.types import (
    Callback,
    GenerationRequest,
    Heard,
    Model,
    Provider,
    Remote,
    Signed,
    Snapshot,
    by_name,
)

MODELS = (
    *gemini_models.OMNI_MODELS,
    *gemini_models.VEO_MODELS,
    *gemini_models.IMAGEN_MODELS,
    *gemini_models.IMAGE_MODELS,
    *gemini_models.SPEECH_MODELS,
    *gemini_models.MUSIC_MODELS,
)
LISTED = by_name(MODELS)

SUBMITS = {
    Family.OMNI: gemini_interactions.submit,
    Family.VEO: gemini_videos.submit,
    Family.IMAGEN: gemini_images.submit,
    Family.IMAGE: gemini_content.submit,
    Family.SPEECH: gemini_content.submit,
    Family.MUSIC: gemini_content.submit,
}


def describe(name: str) -> Model | None:
    """A listed model, or what a model of its family can be expected to take."""
    return LISTED(gemini_models.plain_name(name)) or gemini_models.unlisted(name)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start a video, or make images, speech or music at once; billed when accepted."""
    return start(request, DEVELOPER)


def start(
    request: GenerationRequest, platform: gemini_models.Platform
) -> Flow[Snapshot]:
    """Submit in the wire format of the model's family."""
    family = gemini_models.find_family(request.model)
    if family is None:
        raise errors.Rejected(
            f"{request.model!r} is not known to make images, video or audio; a name "
            f"has one of the words {', '.join(gemini_models.WORDS)}"
        )
    return SUBMITS[family](request, platform)


def poll(remote: Remote) -> Flow[Snapshot]:
    """One look at a job: its id has slashes when it is an operation."""
    if is_operation(remote):
        return gemini_videos.poll(remote)
    return gemini_interactions.poll(remote)


def cancel(remote: Remote) -> Flow[bool]:
    """Stop an interaction; an operation cannot be stopped."""
    if is_operation(remote):
        return False
    return (yield from gemini_interactions.cancel(remote))


def is_operation(remote: Remote) -> bool:
    return "operations/" in remote.id


@errors.documented("a webhook of the Gemini API")
def receive(callback: Callback, model: str) -> Heard:
    """`{"type", "data": {"id"}}`: which job to look at.

    Webhooks asked for by a request are signed with a JWT whose claims are not
    documented, so such a signature is not looked at; those of a project are signed as
    Standard Webhooks.
    """
    event: dict[str, Any] = Reply(200, {}, callback.body).json()
    job_id = event["data"]["id"]
    if not isinstance(job_id, str) or not job_id:
        raise ValueError("the id is no text")
    return Heard(ids=(job_id,), remote=Remote(job_id), signed=read_signature(callback))


def read_signature(callback: Callback) -> Signed | None:
    """The signature of a project's webhook; several are parted by spaces."""
    headers = callback.headers
    words = [word.partition(",") for word in headers["webhook-signature"].split()]
    signatures = [text for version, _, text in words if version == "v1" and text]
    if not signatures:
        return None
    webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    return Signed(
        scheme="hmac-sha256",
        message=f"{webhook_id}.{timestamp}.".encode() + callback.body,
        signature=" ".join(signatures),
        timestamp=float(int(timestamp)),
    )


def test() -> Flow[None]:
    """Prove a key with the list of models, which costs nothing."""
    reply = yield Call("GET", "/models", params={"pageSize": "1"})
    gemini_errors.accepted(reply, absent=errors.ChannelRefused)


PROVIDER = Provider(
    name="gemini",
    title="Google Gemini",
    base_url="https://generativelanguage.googleapis.com/v1beta",
    models=MODELS,
    describe=describe,
    authorize=auth.header("x-goog-api-key"),
    submit=submit,
    poll=poll,
    cancel=cancel,
    receive=receive,
    test=test,
    env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    links_live_s=48 * 3600,
    poll_spacing_s=2.0,  # no limit is published; about 10 s are advised
    sandbox_path="/gemini/v1beta",
)
