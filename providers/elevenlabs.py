"""ElevenLabs: speech, dialogues, sounds and music at once; images and films as jobs.

The older endpoints answer with the sound itself, which cannot be asked for again. The
newer "flows" make jobs, which are looked at. Documentation: elevenlabs.io/docs (API
reference, models, errors), help.elevenlabs.io, and the Python client 2.78.0, read
November 2026 (docs/providers/elevenlabs.md).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from providers import auth, errors, inputs
from providers.dialects import elevenlabs_bodies as bodies
from providers.dialects import elevenlabs_models as catalogue
from providers.dialects import elevenlabs_results as results
from providers.dialects.elevenlabs_models import Api, Offer
from providers.flow import Call, Flow, Part
from providers.inputs import InputFile
from providers.types import (
    Callback,
    Credentials,
    GenerationRequest,
    Heard,
    MediaInput,
    Provider,
    Remote,
    Snapshot,
)

VOICE_ID = re.compile(r"[A-Za-z0-9]{20}")
DEFAULT_VOICE = "JBFqnCBsd6RMkjVDRZzb"
"""George, of the premade voices: a voice must always be named."""

INLINE_BYTES = 4_000_000
"""Larger inputs are uploaded first, which is free."""
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
ENDINGS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
}
"""Sounds and films that a reference may be."""
SAME_TYPES: Mapping[str, str] = {
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
}

FLOWS = "/v1/flows/"
EVERY_WEBHOOK = "all"
PAGE_SIZE = 100
MOST_PAGES = 3
"""Of a list, before jobs that are not on it are looked at one by one."""

by_header = auth.header("xi-api-key")


def authorize(call: Call, credentials: Credentials) -> Call:
    """The key in its own header, and which webhooks of the workspace are told.

    Webhooks are set up at ElevenLabs; the channel's setting `webhook` is "all", or
    their ids with commas. Jobs name them in the body, so that they are added here.
    """
    call = by_header(call, credentials)
    wanted = credentials.settings.get("webhook", "").strip()
    if not wanted or call.method != "POST" or FLOWS not in call.url:
        return call
    ids = [each.strip() for each in wanted.split(",") if each.strip()]
    target = {"type": "all"} if wanted == EVERY_WEBHOOK else {"type": "ids", "ids": ids}
    return replace(call, json={**call.json, "webhook": target})


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Wait for a sound, or start a job; billed when accepted, failed jobs are not."""
    offer = catalogue.find_offer(request.model)
    if offer is None:
        raise errors.ModelRefused(f"ElevenLabs offers no model {request.model}")
    return (yield from SUBMITS[offer.api](request, offer))


def submit_speech(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    """Say a text, or the several texts of a dialogue."""
    usual = catalogue.DEFAULT_FORMAT
    if request.metadata.get("inputs"):
        body = bodies.write_dialogue(request, offer)
        return (yield from send(request, "text-to-dialogue", body, usual))
    body = bodies.write_speech(request, offer)
    voice = yield from find_voice(request.voice)
    return (yield from send(request, f"text-to-speech/{voice}", body, usual))


def submit_sound(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    body = bodies.write_sound(request, offer)
    usual = catalogue.DEFAULT_FORMAT
    return (yield from send(request, "sound-generation", body, usual))


def submit_music(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    body = bodies.write_music(request, offer)
    return (yield from send(request, "music", body, catalogue.AUTOMATIC))


def send(
    request: GenerationRequest, path: str, body: Mapping[str, Any], usual: str
) -> Flow[Snapshot]:
    """The paid call of an endpoint that answers with the sound."""
    query = bodies.query_of(request, usual)
    reply = yield Call("POST", f"/v1/{path}", params=query, json=body, paid=True)
    results.check_submit(reply)
    return results.read_sound(reply, query["output_format"], request.title)


def submit_flow_speech(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    voice = yield from find_voice(request.voice)
    body = bodies.write_flow_speech(request, offer, voice)
    return (yield from start(offer, body))


def submit_image(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    images = yield from image_references(request.images)
    return (yield from start(offer, bodies.write_image(request, offer, images)))


def submit_video(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    bodies.whole_seconds(request.duration)  # before anything is fetched
    images = yield from image_references(request.images)
    videos = yield from media_references(request.video_url, "video")
    audios = yield from media_references(request.audio_url, "audio")
    body = bodies.write_video(request, offer, images, videos, audios)
    return (yield from start(offer, body))


def start(offer: Offer, body: Mapping[str, Any]) -> Flow[Snapshot]:
    """The paid call that makes a job."""
    kind = catalogue.FLOW_KINDS[offer.api]
    reply = yield Call("POST", f"{FLOWS}{kind}", json=body, paid=True)
    results.check_submit(reply)
    return results.read_accepted(errors.read_json(reply), kind, reply)


SUBMITS: Mapping[Api, Callable[[GenerationRequest, Offer], Flow[Snapshot]]] = {
    Api.SPEECH: submit_speech,
    Api.SOUND: submit_sound,
    Api.MUSIC: submit_music,
    Api.FLOW_SPEECH: submit_flow_speech,
    Api.FLOW_IMAGE: submit_image,
    Api.FLOW_VIDEO: submit_video,
}


def find_voice(name: str | None) -> Flow[str]:
    """The id of a voice: an id as it is, a name as the account's voices have it."""
    if not name:
        return DEFAULT_VOICE
    if VOICE_ID.fullmatch(name):
        return name
    reply = yield Call("GET", "/v1/voices")
    voice_id = results.read_voice(results.check(reply), name)
    if voice_id is None:
        raise errors.Rejected(f"the account has no voice {name!r}")
    return quote(voice_id, safe="")


def image_references(images: Iterable[MediaInput]) -> Flow[list[dict[str, str]]]:
    """Every input image as a reference, in order."""
    references = []
    for number, image in enumerate(images):
        file = yield from inputs.as_file(image, f"image-{number}")
        if file.content_type not in IMAGE_TYPES:
            raise errors.Rejected(
                f"an input image is {file.content_type}; "
                f"ElevenLabs takes {', '.join(IMAGE_TYPES)}"
            )
        references.append((yield from reference(file)))
    return references


def media_references(url: str | None, kind: str) -> Flow[list[dict[str, str]]]:
    """The client's sound or film as a reference, for no URL can be sent."""
    if url is None:
        return []
    reply = yield Call("GET", url, public=True)
    if not reply.ok:
        raise errors.Rejected(f"the {kind} could not be fetched: HTTP {reply.status}")
    content_type = SAME_TYPES.get(reply.content_type, reply.content_type)
    if content_type not in ENDINGS:  # stores often do not know what they keep
        content_type = sniff(reply.content) or content_type
    if content_type not in ENDINGS or not content_type.startswith(kind):
        allowed = [each for each in ENDINGS if each.startswith(kind)]
        raise errors.Rejected(
            f"the {kind} is {content_type or 'of no known type'}; "
            f"ElevenLabs takes {', '.join(allowed)}"
        )
    file = InputFile(f"{kind}.{ENDINGS[content_type]}", reply.content, content_type)
    return [(yield from reference(file))]


def sniff(content: bytes) -> str | None:
    """What the first bytes of a sound or a film tell."""
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return "audio/wav"
    if content[:3] == b"ID3" or content[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return "audio/mpeg"
    if content[4:8] == b"ftyp":
        return "video/quicktime" if content[8:10] == b"qt" else "video/mp4"
    if content[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm"
    return None


def reference(file: InputFile) -> Flow[dict[str, str]]:
    """A file as a job refers to it: its bytes, or an asset when they are many."""
    if len(file.content) <= INLINE_BYTES:
        return {
            "type": "inline_base64",
            "content_base64": base64.b64encode(file.content).decode(),
            "mime_type": file.content_type,
        }
    parts = (
        Part("name", file.filename),
        Part("asset", file.content, file.filename, file.content_type),
    )
    reply = yield Call("POST", "/v1/assets", parts=parts)
    return {"type": "asset", "asset_id": results.read_asset(results.check(reply))}


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of a job, with a fresh link each time when it has succeeded."""
    kind = kind_of(remote)
    reply = yield Call("GET", f"{FLOWS}{kind}/{quote(remote.id, safe='')}")
    return results.read_job(results.check(reply), kind, reply.retry_after_s)


def kind_of(remote: Remote) -> str:
    return remote.links.get("kind") or catalogue.FLOW_KINDS[Api.FLOW_VIDEO]


def poll_many(remotes: Sequence[Remote]) -> Flow[Mapping[str, Snapshot]]:
    """The states of several jobs: by the newest of each kind, then one by one.

    A list may end before a job is on it, so its silence proves nothing; only a job
    that is looked at by itself may be left out as unknown.
    """
    found: dict[str, Snapshot] = {}
    for kind in dict.fromkeys(map(kind_of, remotes)):
        ids = {remote.id for remote in remotes if kind_of(remote) == kind}
        if len(ids) > 1:
            found |= yield from list_jobs(kind, ids)
    for remote in remotes:
        if remote.id in found:
            continue
        try:
            found[remote.id] = yield from poll(remote)
        except errors.NotFound:
            continue
    return found


def list_jobs(kind: str, ids: set[str]) -> Flow[dict[str, Snapshot]]:
    """Those of the jobs that are on the first pages of the list, newest first."""
    found: dict[str, Snapshot] = {}
    params = {"page_size": str(PAGE_SIZE)}
    for _ in range(MOST_PAGES):
        reply = yield Call("GET", f"{FLOWS}{kind}", params=params)
        try:
            seen, cursor = results.read_list(results.check(reply), kind, ids)
        except (errors.Rejected, errors.NotFound, errors.UnexpectedReply):
            # the largest page is not documented, and one strange job spoils no other
            return found
        found |= seen
        if cursor is None or ids <= found.keys():
            break
        params = {**params, "cursor": cursor}
    return found


def receive(callback: Callback, model: str) -> Heard:
    """Which job a webhook of the workspace is about, and the signature it must bear."""
    return results.read_webhook(callback)


def test() -> Flow[None]:
    """Prove a key with its own user; one that may not read it is a good key, too."""
    reply = yield Call("GET", "/v1/user")
    try:
        results.check(reply)
    except errors.ModelRefused as error:
        if error.code != results.MISSING_PERMISSIONS:
            raise


PROVIDER = Provider(
    name="elevenlabs",
    title="ElevenLabs",
    base_url="https://api.elevenlabs.io",
    env=("ELEVENLABS_API_KEY",),
    models=catalogue.MODELS,
    describe=catalogue.describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    poll_many=poll_many,
    poll_many_limit=20,
    receive=receive,
    test=test,
    links_live_s=3600,
    poll_spacing_s=3.0,
    sandbox_path="/elevenlabs",
)
