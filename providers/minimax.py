"""MiniMax: Hailuo videos, images, speech and music.

Five APIs of two generations under one key: v1 tells its errors in the body under HTTP
200, v2 with HTTP statuses. Videos and long speech are jobs, all else is answered with
the result. Documentation: platform.minimax.io, read November 2026
(docs/providers/minimax.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from providers import auth, errors, inputs
from providers.dialects import minimax_bodies as bodies
from providers.dialects import minimax_models as catalogue
from providers.dialects import minimax_results as results
from providers.dialects.minimax_models import Api, Offer
from providers.dialects.openai_forms import file_part, text_parts
from providers.flow import Call, Flow, Reply
from providers.types import (
    Artifact,
    Callback,
    Credentials,
    GenerationRequest,
    Heard,
    Phase,
    Provider,
    Remote,
    Snapshot,
)

LONG_SPEECH = "long_speech"
"""Where a speech that became a job is looked at, beside the names of `Api`."""

NO_JOB = "0"
LONGEST_CHALLENGE = 2000


def authorize(call: Call, credentials: Credentials) -> Call:
    """A bearer key; accounts of old need the setting `group_id` in every query, too.

    A key and its base URL belong to one region; the wrong pair is refused (1004, 2049).
    With the setting `callbacks` at `off` no address is given to MiniMax.
    """
    call = auth.bearer(call, credentials)
    if credentials.settings.get("callbacks", "").strip().lower() == "off":
        call = without_address(call)
    group_id = credentials.settings.get("group_id")
    if not group_id:
        return call
    return replace(call, params={**call.params, "GroupId": group_id})


def without_address(call: Call) -> Call:
    """The call without the gateway's address, where it has one."""
    if not isinstance(call.json, Mapping) or bodies.ADDRESS not in call.json:
        return call
    body = {name: v for name, v in call.json.items() if name != bodies.ADDRESS}
    return replace(call, json=body)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one job, or wait for the result of a synchronous model; billed."""
    offer = catalogue.find_offer(request.model)
    if offer is None:
        raise errors.ModelRefused(f"MiniMax offers no model {request.model}")
    return (yield from SUBMITS[offer.api](request, offer))


def submit_video_v1(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    body = yield from bodies.write_video_v1(request, offer)
    reply = yield Call("POST", "/v1/video_generation", json=body, paid=True)
    return results.read_accepted(accepted_video(reply, body), Api.VIDEO_V1)


def submit_video_v2(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    body = yield from bodies.write_video_v2(request, offer)
    reply = yield Call("POST", "/v2/video_generation", json=body, paid=True)
    return results.read_accepted(accepted_video(reply, body), Api.VIDEO_V2)


def submit_image(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    body = yield from bodies.write_image(request, offer)
    reply = yield Call("POST", "/v1/image_generation", json=body, paid=True)
    return results.read_images(accepted(reply))


def submit_openai_image(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    """New images, or an edit of the input images, as a form."""
    fields = bodies.openai_image_fields(request)
    call = Call("POST", "/v1/images/generations", json=fields, paid=True)
    if request.images:
        name = "image" if len(request.images) == 1 else "image[]"
        files = []
        for number, image in enumerate(request.images):
            file = yield from inputs.as_file(image, f"image-{number}")
            files.append(file_part(name, file))
        parts = (*text_parts(fields), *files)
        call = Call("POST", "/v1/images/edits", parts=parts, paid=True)
    reply = yield call
    return results.read_openai_images(accepted(reply), request.n)


def submit_speech(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    """Say a text at once, or start a job when it is a long one."""
    if len(request.speech) > catalogue.SHORT_SPEECH:
        body = bodies.write_long_speech(request)
        reply = yield Call("POST", "/v1/t2a_async_v2", json=body, paid=True)
        return results.read_accepted(accepted(reply), LONG_SPEECH)
    body = bodies.write_speech(request)
    reply = yield Call("POST", "/v1/t2a_v2", json=body, paid=True)
    return results.read_sound(accepted(reply), bodies.format_of(request))


def submit_music(request: GenerationRequest, offer: Offer) -> Flow[Snapshot]:
    body = bodies.write_music(request, offer)
    reply = yield Call("POST", "/v1/music_generation", json=body, paid=True)
    form = bodies.format_of(request)
    return results.read_sound(accepted(reply), form, request.title)


SUBMITS: Mapping[str, Callable[[GenerationRequest, Offer], Flow[Snapshot]]] = {
    Api.VIDEO_V1: submit_video_v1,
    Api.VIDEO_V2: submit_video_v2,
    Api.IMAGE: submit_image,
    Api.OPENAI_IMAGE: submit_openai_image,
    Api.SPEECH: submit_speech,
    Api.MUSIC: submit_music,
}


def accepted(reply: Reply) -> Any:
    """The answer to a submit; a path that is not there is a model not offered."""
    try:
        return results.check(reply)
    except errors.NotFound as error:
        raise errors.ModelRefused(
            str(error), code=error.code, status=error.status
        ) from error


def accepted_video(reply: Reply, body: Mapping[str, Any]) -> Any:
    """As `accepted`; a challenge that failed is ours, not the client's fault.

    Nothing has started then, and the gateway may answer in time when it is sent again.
    """
    try:
        return accepted(reply)
    except errors.Rejected as error:
        about_address = "callback" in str(error).lower()
        if (
            bodies.ADDRESS not in body
            or error.code not in results.INVALID_PARAMETERS
            or not about_address
        ):
            raise
        raise errors.RateLimited(
            f"MiniMax did not get the gateway's answer to its challenge: {error}",
            code=error.code,
            status=error.status,
        ) from error


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of one job, and its file as soon as there is one.

    A v1 job names a file, which must be asked for to get its link.
    """
    api = remote.links.get("api", Api.VIDEO_V1)
    if api == Api.VIDEO_V2:
        reply = yield Call("GET", f"/v2/query/video_generation/{quoted(remote.id)}")
        return results.read_video(results.check_look(reply))
    path = (
        "/v1/query/t2a_async_query_v2"
        if api == LONG_SPEECH
        else "/v1/query/video_generation"
    )
    reply = yield Call("GET", path, params={"task_id": remote.id})
    seen = results.read_query(reply)
    if seen.snapshot.phase is not Phase.SUCCEEDED:
        return seen.snapshot
    reply = yield Call("GET", "/v1/files/retrieve", params={"file_id": seen.file_id})
    url = results.read_file(results.check(reply))
    if api == LONG_SPEECH:
        return (yield from unpack(url, seen.snapshot))
    video = Artifact(
        url=url, content_type="video/mp4", width=seen.width, height=seen.height
    )
    return replace(seen.snapshot, artifacts=(video,))


def quoted(text: str) -> str:
    return quote(text, safe="")


def unpack(url: str, snapshot: Snapshot) -> Flow[Snapshot]:
    """A long speech comes in an archive with its subtitles; the sound is the result."""
    reply = yield Call("GET", url, public=True)
    if not reply.ok:  # the next look gets a new link
        raise errors.Unavailable(
            f"the archive of a speech could not be fetched: HTTP {reply.status}",
            status=reply.status,
        )
    return replace(snapshot, artifacts=(results.read_archive(reply.content),))


@errors.documented("a callback of MiniMax")
def receive(callback: Callback, model: str) -> Heard:
    """A video as the query shows it, or a challenge, to be repeated within 3 s.

    The challenge comes while the submit is under way. Nothing is signed: the address
    belongs to one submission, so a job whose answer was lost is adopted.
    """
    told: dict[str, Any] = Reply(200, {}, callback.body).json()
    if "challenge" in told:
        text = told["challenge"]
        if not isinstance(text, str) or len(text) > LONGEST_CHALLENGE:
            raise ValueError("the challenge is no short text")
        return Heard(ids=(), answer={"challenge": text})
    job = told.get("task", told)  # v2: its query has an envelope
    job_id = results.text_id(job["id"] if "id" in job else job["task_id"])
    offer = catalogue.find_offer(model)
    known = offer is not None and offer.api in (Api.VIDEO_V1, Api.VIDEO_V2)
    remote = Remote(job_id, {"api": offer.api}) if offer and known else None
    return Heard(ids=(job_id,), remote=remote)


def test() -> Flow[None]:
    """Ask for a job that does not exist: a good key is told so."""
    reply = yield Call("GET", "/v1/query/video_generation", params={"task_id": NO_JOB})
    try:
        results.read_query(reply)
    except errors.NotFound as error:
        if error.code not in results.INVALID_PARAMETERS:  # a wrong base URL
            raise


PROVIDER = Provider(
    name="minimax",
    title="MiniMax",
    base_url="https://api.minimax.io",
    env=("MINIMAX_API_KEY",),
    models=catalogue.MODELS,
    describe=catalogue.describe,
    authorize=authorize,
    submit=submit,
    poll=poll,
    receive=receive,
    test=test,
    links_live_s=9 * 3600,
    # ten seconds are advised, which the schedule reaches by itself; ten looks a second
    # are allowed for speech
    poll_spacing_s=3.0,
    sandbox_path="/minimax",
)
