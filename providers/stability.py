"""Stability AI: images, their upscaling and editing, and sounds.

Every submit is a multipart form, and most are answered with the finished file; three
models start a job. There are no links anywhere: the file is the answer.
Documentation: platform.stability.ai/docs/api-reference (v2beta; balance of v1), read
November 2026 (docs/providers/stability.md).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from providers import auth, errors, geometry, inputs, payload
from providers.dialects import openai_images, openai_speech
from providers.dialects.openai_forms import file_part, text_parts
from providers.dialects.stability_models import (
    BY_NAME,
    INPAINT,
    MODELS,
    RATIOS,
    Offer,
    describe,
)
from providers.flow import Call, Flow, Reply
from providers.inputs import InputFile
from providers.types import (
    Artifact,
    Credentials,
    Failure,
    GenerationRequest,
    MediaInput,
    MediaType,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)

# The only word of a job that goes on; one that has ended answers with its file.
PHASES: Mapping[str, Phase] = {"in-progress": Phase.RUNNING}

FINISHES: Mapping[str, Phase] = {
    "SUCCESS": Phase.SUCCEEDED,
    "CONTENT_FILTERED": Phase.FAILED,  # with HTTP 200 and a blurred file
}
FILTERED = Failure(
    Reason.CONTENT_REJECTED,
    "the upstream's moderation filtered the result",
    "CONTENT_FILTERED",
)
CODES: errors.Codes = {"content_moderation": errors.ContentRejected}
# Which name the file has in JSON differs by route, and is not documented for each.
CONTENT_FIELDS = ("result", "image", "audio", "video")

ACCEPTED_TYPES = {MediaType.IMAGE: "application/json", MediaType.AUDIO: "audio/*"}
BLOCKED_S = 60.0
"""How long a key is blocked after 150 requests within 10 s; no header tells it."""

STRENGTH = 0.7
"""How far a result may leave its input image; the upstream demands a number."""
STRENGTH_ROUTES = ("/ultra", "/sd3")

AUDIO_TYPES = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}

# Settings of a channel that are sent along with its key.
SETTING_HEADERS = {
    "client_id": "stability-client-id",
    "client_user_id": "stability-client-user-id",
    "client_version": "stability-client-version",
}


def authorize(call: Call, credentials: Credentials) -> Call:
    """The key as a bearer token, and who the client is where the channel says it."""
    named = {
        header: credentials.settings[setting]
        for setting, header in SETTING_HEADERS.items()
        if credentials.settings.get(setting)
    }
    return auth.bearer(replace(call, headers={**call.headers, **named}), credentials)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Make one file and wait for it, or start a job; billed, but not when it fails."""
    offer = BY_NAME.get(request.model)
    if offer is None:
        raise errors.ModelRefused(f"Stability AI offers no model {request.model}")
    files = yield from input_files(request, offer)
    fields = text_fields(request, offer, files)
    parts = [file_part(name, file) for name, file in files.items()]
    reply = yield Call(
        "POST",
        path_of(request, offer),
        headers={"accept": ACCEPTED_TYPES[offer.model.media_type]},
        # a form without a file is multipart, too: another type is refused
        parts=(*text_parts(fields), *parts),
        paid=True,
    )
    if not reply.ok:
        raise submit_error(reply)
    if offer.model.sync:
        return read_file(reply)
    return read_accepted(errors.read_json(reply), offer.model.media_type)


def path_of(request: GenerationRequest, offer: Offer) -> str:
    """The route; that of a sound follows from what is asked for."""
    if offer.model.media_type is not MediaType.AUDIO:
        return offer.path
    if request.action == INPAINT:
        return f"{offer.path}/inpaint"
    return f"{offer.path}/{'audio' if request.audio_url else 'text'}-to-audio"


def text_fields(
    request: GenerationRequest, offer: Offer, files: Mapping[str, InputFile]
) -> dict[str, Any]:
    """The parts that are no files, with the client's own beside them."""
    duration = request.duration
    if duration is not None and duration == int(duration):
        duration = int(duration)
    ratio = pick_ratio(request)
    known = payload.given(
        prompt=request.text or None,
        negative_prompt=request.negative_prompt,
        # the shape of an image that is made from another follows from that
        aspect_ratio=None if from_image(offer, files) else ratio,
        seed=request.seed,
        style=request.style,
        duration=duration,
    )
    names = {"prompt": offer.prompt_part, "style": "style_preset"}
    fields = {
        names.get(word, word): value
        for word, value in known.items()
        if word in offer.words
    }
    if request.output_format:
        wanted = request.output_format.strip().lower().removeprefix(".")
        fields["output_format"] = "jpeg" if wanted == "jpg" else wanted
    if offer.named:
        fields["model"] = request.model
    if from_image(offer, files):
        fields["strength"] = STRENGTH
        if offer.path.endswith("/sd3"):
            fields["mode"] = "image-to-image"
    return payload.merged(fields, request.metadata, keep=("model", *files))


def from_image(offer: Offer, files: Mapping[str, InputFile]) -> bool:
    """Whether a model that also makes images of a text alone works on an image."""
    return bool(files) and offer.path.endswith(STRENGTH_ROUTES)


def pick_ratio(request: GenerationRequest) -> str | None:
    """The offered shape nearest to the one asked for; pixels cannot be asked for."""
    wanted = geometry.wanted_ratio(request)
    for text in (request.size, request.resolution):
        if wanted is None and text:
            size = geometry.read_size(text)
            wanted = geometry.read_ratio(f"{size[0]}:{size[1]}" if size else text)
    return None if wanted is None else geometry.nearest_ratio(wanted, RATIOS)


def input_files(request: GenerationRequest, offer: Offer) -> Flow[dict[str, InputFile]]:
    """The files of the form: no route takes an address.

    Those that the metadata names (`mask`, `style_image`, ...) are taken from there, the
    input images fill the others in their order.
    """
    files: dict[str, InputFile] = {}
    if offer.model.media_type is MediaType.AUDIO:
        if request.audio_url:
            files["audio"] = yield from audio_file(request.audio_url)
        elif request.action == INPAINT:
            raise errors.Rejected(f"{INPAINT} needs an audio_url")
        return files
    named = [name for name in offer.files if name in request.metadata]
    free = [name for name in offer.files if name not in named]
    if len(request.images) > len(free):
        raise errors.Rejected(
            f"{len(request.images)} images are given; {request.model} takes "
            f"{', '.join(free) or 'none'} besides its metadata"
        )
    for name, image in zip(free, request.images, strict=False):
        files[name] = yield from inputs.as_file(image, name)
    for name in named:
        files[name] = yield from named_file(name, request.metadata[name])
    return files


def named_file(name: str, source: Any) -> Flow[InputFile]:
    """An image that the metadata gives, as an http(s) URL or a data URL."""
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return (yield from inputs.as_file(MediaInput(source), name))
    if isinstance(source, str) and source.startswith("data:image/"):
        return read_data_url(name, source)
    raise errors.Rejected(f"metadata.{name} must be the URL of an image")


def read_data_url(name: str, url: str) -> InputFile:
    head, _, data = url.removeprefix("data:").partition(",")
    content_type, _, form = head.partition(";")
    try:
        content = (
            base64.b64decode(data, validate=True)
            if form == "base64"
            else unquote_to_bytes(data)
        )
    except ValueError as error:
        raise errors.Rejected(f"metadata.{name} is no base64") from error
    ending = inputs.EXTENSIONS.get(content_type)
    if ending is None or not content:
        raise errors.Rejected(f"metadata.{name} is no image of a known type")
    return InputFile(f"{name}.{ending}", content, content_type)


def audio_file(url: str) -> Flow[InputFile]:
    """The client's sound; its bytes tell its type where its server does not."""
    reply = yield Call("GET", url, public=True)
    if not reply.ok:
        raise errors.Rejected(f"the audio could not be fetched: HTTP {reply.status}")
    content_type = openai_speech.sniff(reply.content, "") or reply.content_type
    if content_type not in AUDIO_TYPES:
        raise errors.Rejected(
            f"the audio is {content_type or 'of no known type'}; allowed are mp3, wav"
        )
    ending = AUDIO_TYPES[content_type]
    return InputFile(f"audio.{ending}", reply.content, content_type)


@errors.documented("an accepted job of Stability AI")
def read_accepted(body: dict[str, Any], media_type: MediaType) -> Snapshot:
    """`{"id"}`: HTTP 200 for images, 202 for sounds."""
    job_id = body["id"]
    if not isinstance(job_id, str) or not job_id:
        raise ValueError("its id is no text")
    if "errors" in body:  # the id of an error is not that of a job
        raise ValueError("it has errors")
    return Snapshot(
        phase=Phase.PENDING, remote=Remote(job_id, {"media": str(media_type)})
    )


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of a job, and its file once it is there; only its own key sees it."""
    media_type = MediaType(remote.links.get("media", MediaType.IMAGE))
    kind = "/audio" if media_type is MediaType.AUDIO else ""
    reply = yield Call(
        "GET",
        f"/v2beta{kind}/results/{quote(remote.id, safe='')}",
        headers={"accept": ACCEPTED_TYPES[media_type]},
    )
    if not reply.ok:
        return replace(read_refused(reply), remote=remote)
    # also a job that goes on is told in JSON, whatever was asked for
    if reply.status == 202 or says_status(reply):
        return replace(read_running(errors.read_json(reply)), remote=remote)
    return replace(read_file(reply), remote=remote)


def says_status(reply: Reply) -> bool:
    if reply.content_type != "application/json":
        return False
    body = errors.read_json(reply)
    return isinstance(body, Mapping) and "status" in body


@errors.documented("a job of Stability AI")
def read_running(body: dict[str, Any]) -> Snapshot:
    """`{"id", "status": "in-progress"}`; there is no progress."""
    return Snapshot(phase=PHASES[body["status"]])


def read_refused(reply: Reply) -> Snapshot:
    """A job that moderation ended, as a failure; any other refusal is raised."""
    error = call_error(reply)
    # That this is told at a look is not sure; at a submit it is.
    if isinstance(error, errors.ContentRejected):
        failure = Failure(Reason.CONTENT_REJECTED, str(error), error.code)
        return Snapshot(phase=Phase.FAILED, failure=failure)
    raise error


@errors.documented("a file of Stability AI")
def read_file(reply: Reply) -> Snapshot:
    """The bytes with `finish-reason` beside them, or the same as JSON in base64."""
    told_type: str | None
    if reply.content_type == "application/json":
        body = errors.read_json(reply)
        finish = body["finish_reason"]
        (encoded,) = (body[name] for name in CONTENT_FIELDS if name in body)
        content = base64.b64decode(encoded, validate=True)
        # "application/json; type=image/webp"
        told_type = reply.headers["content-type"].partition("type=")[2] or None
    else:
        finish = reply.headers.get("finish-reason", "SUCCESS")
        content, told_type = reply.content, reply.content_type
        if not told_type.startswith(("image/", "audio/")):
            raise ValueError(f"it is {told_type or 'of no type'}")
    phase = FINISHES[finish]
    if phase is Phase.FAILED:
        return Snapshot(phase=phase, failure=FILTERED)
    if not content:
        raise ValueError("it is empty")
    content_type = (
        openai_images.sniff(content) or openai_speech.sniff(content, "") or told_type
    )
    artifact = Artifact(content=content, content_type=content_type)
    return Snapshot(phase=phase, percent=100, artifacts=(artifact,))


def read_problem(body: Any) -> tuple[str, str]:
    """`{"id", "name", "errors": [text]}`."""
    return str(body["name"]), "; ".join(map(str, body["errors"]))


def call_error(reply: Reply) -> errors.ProviderError:
    """What a refused call means; most names are not documented, so the status does."""
    error = errors.refusal(reply, CODES, read_problem)
    if isinstance(error, errors.RateLimited) and error.retry_after_s is None:
        error.retry_after_s = BLOCKED_S
    return error


def submit_error(reply: Reply) -> errors.ProviderError:
    """What a refused submit means.

    404 is a route that is not offered. 422 is a prompt in another language than
    English, or an image of a kind that is not taken: others may take it.
    """
    error = call_error(reply)
    if reply.status in {404, 422} and not isinstance(error, errors.ContentRejected):
        return errors.ModelRefused(str(error), code=error.code, status=reply.status)
    return error


def test() -> Flow[None]:
    """Prove a key with the account's balance, which costs nothing."""
    reply = yield Call("GET", "/v1/user/balance")
    if not reply.ok:
        raise call_error(reply)
    read_balance(errors.read_json(reply))


@errors.documented("a balance of Stability AI")
def read_balance(body: dict[str, Any]) -> float:
    """`{"credits": 12.5}`."""
    return float(body["credits"])


PROVIDER = Provider(
    name="stability",
    title="Stability AI",
    base_url="https://api.stability.ai",
    env=("STABILITY_API_KEY",),
    models=MODELS,
    describe=describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    test=test,
    poll_spacing_s=10.0,
    sandbox_path="/stability",
)
