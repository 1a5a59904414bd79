"""Interactions: `POST /interactions`, in the background, then read until it has ended.

Gemini Omni makes its videos so. Names are in snake case here. Documentation:
ai.google.dev/gemini-api/docs (omni, interactions) and the SDK google-genai 3.4.0
(_gaos/types/interactions). Read in November 2026.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from providers import errors, payload
from providers.dialects import (
    gemini_errors,
    gemini_files,
    gemini_models,
    gemini_videos,
)
from providers.dialects.gemini_models import Platform
from providers.flow import Call, Flow
from providers.types import (
    Artifact,
    Failure,
    GenerationRequest,
    Phase,
    Reason,
    Remote,
    Snapshot,
)

PHASES: Mapping[str, Phase] = {
    "queued": Phase.PENDING,
    "in_progress": Phase.RUNNING,
    "requires_continuation": Phase.RUNNING,
    "completed": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "incomplete": Phase.FAILED,
    "budget_exceeded": Phase.FAILED,
    "requires_action": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
}
MEDIA = frozenset({"video", "image", "audio"})
# Of steps and contents: what may stand in an answer that has no file.
WORDS_ALONE = frozenset({"user_input", "thought", "model_output", "text"})

# What a video is to be made from, by the action of a task.
TASKS = {
    "reference": "reference_to_video",
    "edit": "edit",
    "extend": "extend",
    "upscale": "upscale",
}
# Not for a client to set: who is billed for what, where it calls, how it is answered.
KEPT = ("model", "agent", "input", "webhook_config", "stream")

# The errors of a failed interaction are named by URIs; these words in them are seen.
CONTENT_WORDS = ("safety", "prohibited", "blocked", "content_filter", "policy")


def submit(request: GenerationRequest, platform: Platform) -> Flow[Snapshot]:
    """Start one video; billed when accepted, also when the answer is an error.

    It runs in the background unless the metadata says `{"background": false}`.
    """
    body = yield from build_interaction(request, platform)
    reply = yield Call("POST", "/interactions", json=body, paid=True)
    answer = gemini_errors.accepted(reply, absent=errors.ModelRefused)
    remote = read_remote(answer)
    try:
        snapshot, waiting = read_interaction(answer)
    except errors.UnexpectedReply:
        # it has an id, so it is there and paid: what it is like, a look will tell
        return Snapshot(phase=Phase.RUNNING, remote=remote)
    # whether a linked file is there already is for the first look to tell, too
    return waits(snapshot) if waiting else snapshot


def build_interaction(
    request: GenerationRequest, platform: Platform
) -> Flow[dict[str, Any]]:
    """The body; a negative prompt has no field and is said in the text."""
    content: list[dict[str, Any]] = []
    text = request.text
    if request.negative_prompt:
        text = f"{text}\nAvoid: {request.negative_prompt}".strip()
    if text:
        content.append({"type": "text", "text": text})
    for image in request.images:
        picture = yield from gemini_files.as_picture(image)
        content.append(
            {"type": "image", "data": picture.data, "mime_type": picture.content_type}
        )
    if request.video_url:
        content.append({"type": "video", "uri": request.video_url})
    if not content:
        raise errors.Rejected(f"{request.model} needs a prompt, an image or a video")
    duration = request.duration
    task = TASKS.get(request.action.lower())
    configured = payload.given(
        seed=request.seed,
        video_config={"task": task} if task else None,
        speech_config=[{"voice": request.voice}] if request.voice else None,
    )
    body = payload.given(
        model=gemini_models.plain_name(request.model),
        input=content,
        response_format=payload.given(
            type="video",
            aspect_ratio=gemini_models.ratio_of(request, gemini_models.VIDEO_RATIOS),
            resolution=gemini_models.video_resolution(request),
            duration=f"{duration:g}s" if duration is not None else None,
            # Vertex AI gives a link into a bucket alone, which has to be named
            delivery="inline" if platform.cloud else "uri",
        ),
        generation_config=configured or None,
        background=True,
        webhook_config=None
        if platform.cloud
        else gemini_videos.webhook_config(request),
    )
    body = payload.merged(body, request.metadata, keep=KEPT)
    if not body["background"]:
        body.pop("webhook_config", None)  # it needs the background
    return body


def poll(remote: Remote) -> Flow[Snapshot]:
    """One look at an interaction, and at its file when the result is a link."""
    reply = yield Call("GET", path_of(remote))
    answer = gemini_errors.accepted(reply, absent=errors.NotFound)
    snapshot, waiting = read_interaction(answer)
    for file_id in waiting:
        match (yield from gemini_files.file_phase(file_id)):
            case Phase.RUNNING:
                return waits(snapshot)
            case Phase.FAILED:
                return Snapshot(
                    phase=Phase.FAILED,
                    remote=snapshot.remote,
                    failure=Failure(
                        Reason.UPSTREAM_FAILED, "the result's file could not be made"
                    ),
                )
    return snapshot


def cancel(remote: Remote) -> Flow[bool]:
    """Ask to stop an interaction; True when it is cancelled."""
    reply = yield Call("POST", f"{path_of(remote)}/cancel", json={})
    answer = gemini_errors.accepted(reply, absent=errors.NotFound)
    return read_phase(answer) is Phase.CANCELLED


def path_of(remote: Remote) -> str:
    return f"/interactions/{quote(remote.id, safe='')}"


def waits(snapshot: Snapshot) -> Snapshot:
    """A job that has ended, but whose file is not there yet."""
    return Snapshot(phase=Phase.RUNNING, remote=snapshot.remote)


@errors.documented("an interaction")
def read_remote(body: dict[str, Any]) -> Remote:
    if not isinstance(body["id"], str) or not body["id"]:
        raise ValueError("the id is no text")
    return Remote(body["id"])


@errors.documented("an interaction")
def read_phase(body: dict[str, Any]) -> Phase:
    return PHASES[body["status"]]


@errors.documented("an interaction")
def read_interaction(body: dict[str, Any]) -> tuple[Snapshot, tuple[str, ...]]:
    """`{"id", "status", "steps"?, "errors"?, "usage"?}`.

    Beside the snapshot the ids of files of the API that have to be ACTIVE before they
    can be downloaded.
    """
    phase = PHASES[body["status"]]
    remote = read_remote(body)
    usage = read_usage(body)
    if phase is Phase.SUCCEEDED:
        contents = list(read_contents(body))
        artifacts = tuple(map(read_artifact, contents))
        ids = (gemini_files.own_file_id(each.get("uri") or "") for each in contents)
        if artifacts:
            snapshot = Snapshot(
                phase=phase,
                remote=remote,
                percent=100,
                artifacts=artifacts,
                usage=usage,
            )
            return snapshot, tuple(each for each in ids if each)
        check_words_alone(body)
        phase = Phase.FAILED
    failure = read_failure(body) if phase is Phase.FAILED else None
    return Snapshot(phase=phase, remote=remote, failure=failure, usage=usage), ()


def read_contents(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the model made: media in the steps of type `model_output`."""
    for step in body.get("steps") or ():
        if step["type"] == "model_output":
            for content in step.get("content") or ():
                if content["type"] in MEDIA:
                    yield content


def check_words_alone(body: Mapping[str, Any]) -> None:
    """Raise ValueError when a file may be in a step or content that is not known."""
    for step in body.get("steps") or ():
        made = step.get("content") or () if step["type"] == "model_output" else ()
        for each in (step, *made):
            if each["type"] not in WORDS_ALONE:
                raise ValueError(f"a {each['type']!r} and no file")


def read_artifact(content: Mapping[str, Any]) -> Artifact:
    """`{"type", "mime_type"?, "data" | "uri"}`; a link may come as bytes after all."""
    content_type = content.get("mime_type") or (
        "video/mp4" if content["type"] == "video" else ""
    )
    if data := content.get("data"):
        return gemini_files.inline(data, content_type)
    return gemini_files.linked(content["uri"], content_type or None)


def read_failure(body: Mapping[str, Any]) -> Failure:
    """`errors`: `[{"code"?: <URI>, "message"?}]`, which may be missing."""
    told = [each for each in body.get("errors") or () if isinstance(each, Mapping)]
    status = str(body["status"])
    code = next((str(each["code"]) for each in told if each.get("code")), "")
    texts = [str(each["message"]) for each in told if each.get("message")]
    if status == "completed":
        texts = texts or ["the interaction ended without a file"]
    content = any(word in code.lower() for word in CONTENT_WORDS)
    return Failure(
        Reason.CONTENT_REJECTED if content else Reason.UPSTREAM_FAILED,
        ("; ".join(texts) or f"the interaction ended as {status}")[
            : errors.MESSAGE_LENGTH
        ],
        code or status,
    )


def read_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of tokens."""
    counted = body.get("usage") or {}
    return {name: count for name, count in counted.items() if isinstance(count, int)}
