"""OpenAI, and every gateway that speaks its API: images, videos and speech.

A channel of a compatible gateway is a channel of this provider with a base URL of its
own, `/v1` included. Documentation: developers.openai.com (guides on images, videos,
text to speech, webhooks, error codes; page of deprecations), read in November 2026.
docs/providers/openai.md has what is odd about it.
"""

from __future__ import annotations

from dataclasses import replace

from providers import auth, errors
from providers.dialects import (
    openai_errors,
    openai_images,
    openai_speech,
    openai_videos,
)
from providers.flow import Call, Flow, Reply
from providers.types import (
    Callback,
    Credentials,
    GenerationRequest,
    Heard,
    MediaType,
    Model,
    Provider,
    Signed,
    Snapshot,
    by_name,
)

MODELS = (*openai_images.MODELS, *openai_videos.MODELS, *openai_speech.MODELS)

SUBMITS = {
    MediaType.IMAGE: openai_images.submit,
    MediaType.VIDEO: openai_videos.submit,
    MediaType.AUDIO: openai_speech.submit,
}

# Compatible gateways offer models of other houses under these three routes; which one
# is told by a word in the name. The first word that is in it counts.
MEDIA_WORDS = {
    "tts": MediaType.AUDIO,
    "speech": MediaType.AUDIO,
    "video": MediaType.VIDEO,
    "t2v": MediaType.VIDEO,
    "i2v": MediaType.VIDEO,
    "sora": MediaType.VIDEO,
    "veo": MediaType.VIDEO,
    "image": MediaType.IMAGE,
    "dall-e": MediaType.IMAGE,
    "flux": MediaType.IMAGE,
    "seedream": MediaType.IMAGE,
}

# Settings of a channel that are sent along with its key.
SETTING_HEADERS = {
    "organization": "OpenAI-Organization",
    "project": "OpenAI-Project",
}

LISTED = by_name(MODELS)


def authorize(call: Call, credentials: Credentials) -> Call:
    """The key as a bearer token, and the account's organization and project."""
    named = {
        header: credentials.settings[setting]
        for setting, header in SETTING_HEADERS.items()
        if credentials.settings.get(setting)
    }
    return auth.bearer(replace(call, headers={**call.headers, **named}), credentials)


def describe(name: str) -> Model | None:
    """A listed model, or what a compatible gateway's model may be by its name.

    None when the name does not tell what it makes.
    """
    if model := LISTED(name):
        return model
    lowered = name.lower()
    for word, media_type in MEDIA_WORDS.items():
        if word in lowered:
            return unlisted(name, media_type)
    return None


def unlisted(name: str, media_type: MediaType) -> Model:
    """A model of which only the route is known: the limits are the route's own."""
    match media_type:
        case MediaType.VIDEO:
            return Model(
                name=name,
                media_type=media_type,
                actions=openai_videos.MODELS[0].actions,
                max_images=1,
                max_n=1,
                typical_s=120.0,
                longest_s=1800.0,
            )
        case MediaType.IMAGE:
            return Model(
                name=name,
                media_type=media_type,
                sync=True,
                refuses=frozenset({"audio_url", "video_url"}),
                longest_s=300.0,
            )
        case MediaType.AUDIO:
            return Model(
                name=name,
                media_type=media_type,
                sync=True,
                refuses=frozenset({"images", "audio_url", "video_url"}),
                max_n=1,
                typical_s=6.0,
                longest_s=180.0,
            )


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Make images or speech at once, or start a video; billed when accepted."""
    return SUBMITS[request.media_type](request)


@errors.documented("a webhook of OpenAI")
def receive(callback: Callback, model: str) -> Heard:
    """`{"type": "video.completed", "data": {"id"}}`: which video to look at.

    Webhooks are set up for a whole project, not per request, and signed as Standard
    Webhooks: the header may hold several signatures, kept here as they are, parted by
    spaces; any one that matches counts.
    """
    headers = callback.headers
    webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    signatures = (word.partition(",") for word in headers["webhook-signature"].split())
    event = Reply(200, {}, callback.body).json()
    return Heard(
        ids=(str(event["data"]["id"]),),
        signed=Signed(
            scheme="hmac-sha256",
            message=f"{webhook_id}.{timestamp}.".encode() + callback.body,
            signature=" ".join(text for version, _, text in signatures if text),
            timestamp=float(int(timestamp)),
        ),
    )


def test() -> Flow[None]:
    """Prove a key with the list of models, which costs nothing."""
    reply = yield Call("GET", "/models")
    openai_errors.accepted(reply, absent=errors.ChannelRefused)


PROVIDER = Provider(
    name="openai",
    title="OpenAI and compatible gateways",
    base_url="https://api.openai.com/v1",
    models=MODELS,
    describe=describe,
    authorize=authorize,
    submit=submit,
    poll=openai_videos.poll,
    receive=receive,
    test=test,
    env=("OPENAI_API_KEY",),
    links_live_s=3600,
    poll_spacing_s=2.0,  # no limit is published; 10 to 20 s are advised
    sandbox_path="/openai/v1",
)
