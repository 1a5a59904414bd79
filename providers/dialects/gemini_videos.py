"""Veo: `models/{model}:predictLongRunning`, an operation that is looked at until done.

Google has retired Veo on the Developer API (October 2026) and keeps it on Vertex AI;
resellers and proxies go on speaking the Developer API's dialect. Documentation:
ai.google.dev/gemini-api/docs/video, docs.cloud.google.com "Veo on Agent Platform", and
the SDK google-genai 2.34.0 (models.py, operations.py). Read in November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from providers import errors, payload
from providers.dialects import gemini_errors, gemini_files, gemini_models
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

# `done` is mostly absent while the operation runs.
PHASES = {False: Phase.RUNNING, True: Phase.SUCCEEDED}

# Why an operation failed, by its gRPC code; all others are the upstream's own fault.
REASONS: Mapping[int, Reason] = {
    3: Reason.INVALID_REQUEST,
    4: Reason.UPSTREAM_TIMEOUT,
    7: Reason.UPSTREAM_FAILED,
    8: Reason.UPSTREAM_FAILED,
    13: Reason.UPSTREAM_FAILED,
    14: Reason.UPSTREAM_FAILED,
}
FILTERED = "content_filtered"
CLOUD_OPERATION = re.compile(
    r"(projects/[^/]+/locations/[^/]+/publishers/[^/]+/models/[^/]+)/operations/[^/]+"
)

# Not for a client to set: the number is `n`, the rest belongs beside the parameters.
KEPT = ("sampleCount", "referenceType", "webhookConfig", "model")
MOST_REFERENCES = 3


def submit(request: GenerationRequest, platform: Platform) -> Flow[Snapshot]:
    """Start `n` videos; billed when accepted."""
    instance = yield from build_instance(request, platform)
    body = payload.given(
        instances=[instance],
        parameters=build_parameters(request),
        webhookConfig=None if platform.cloud else webhook_config(request),
    )
    path = platform.path(request.model, "predictLongRunning")
    reply = yield Call("POST", path, json=body, paid=True)
    answer = gemini_errors.accepted(reply, absent=errors.ModelRefused)
    remote = read_remote(answer)
    try:
        return read_operation(answer)
    except errors.UnexpectedReply:
        # it has a name, so it is there and paid: what it is like, a look will tell
        return Snapshot(phase=Phase.RUNNING, remote=remote)


def build_instance(
    request: GenerationRequest, platform: Platform
) -> Flow[dict[str, Any]]:
    """The prompt and what it starts from.

    One image is the first frame, a second the last one. Three, or the action
    `reference`, show what is to be seen. Images are only taken as bytes.
    """
    instance = payload.given(prompt=request.text or None)
    if not request.text and not request.images:
        raise errors.Rejected(f"{request.model} needs a prompt or an image")
    if request.video_url:
        instance["video"] = earlier_video(request.video_url, platform)
    images = []
    for image in request.images:
        picture = yield from gemini_files.as_picture(image)
        images.append(
            {"bytesBase64Encoded": picture.data, "mimeType": picture.content_type}
        )
    reference_type = request.metadata.get("referenceType")
    if request.action == "reference" or reference_type or len(images) > 2:
        if not 1 <= len(images) <= MOST_REFERENCES:
            raise errors.Rejected(
                f"{len(images)} reference images are given; "
                f"{request.model} takes 1 to {MOST_REFERENCES}"
            )
        instance["referenceImages"] = [
            {"image": image, "referenceType": reference_type or "asset"}
            for image in images
        ]
    else:
        instance.update(zip(("image", "lastFrame"), images, strict=False))
    return instance


def earlier_video(url: str, platform: Platform) -> dict[str, str]:
    """The video to go on from: one that the platform itself keeps."""
    if platform.cloud:
        if url.startswith("gs://"):
            return {"gcsUri": url, "mimeType": "video/mp4"}
        raise errors.Rejected("video_url must be a file in Cloud Storage (gs://...)")
    if gemini_files.own_file_id(url) is None:
        raise errors.Rejected(
            "video_url must be the link of a video that this API made "
            "(https://.../v1beta/files/<id>)"
        )
    return {"uri": url}


def build_parameters(request: GenerationRequest) -> dict[str, Any]:
    """How the videos are to be, with a client's own parameters merged in."""
    duration = request.duration
    if duration is not None and float(duration).is_integer():
        duration = int(duration)
    parameters = payload.given(
        sampleCount=request.n,
        aspectRatio=gemini_models.ratio_of(request, gemini_models.VIDEO_RATIOS),
        resolution=gemini_models.video_resolution(request),
        durationSeconds=duration,
        negativePrompt=request.negative_prompt,
        seed=request.seed,
    )
    return payload.merged(parameters, request.metadata, keep=KEPT)


def webhook_config(request: GenerationRequest) -> dict[str, Any] | None:
    """Where to call when the job has ended; what is echoed tells our task."""
    if not request.callback_url:
        return None
    return {
        "uris": [request.callback_url],
        "user_metadata": {"task_id": request.task_id},
    }


def poll(remote: Remote) -> Flow[Snapshot]:
    """One look at an operation of the Developer API; it knows no progress."""
    reply = yield Call("GET", f"/{quote(remote.id, safe='/')}")
    return read_operation(gemini_errors.accepted(reply, absent=errors.NotFound))


def poll_cloud(remote: Remote) -> Flow[Snapshot]:
    """One look at an operation of Vertex AI: a POST to the model in its name."""
    match = CLOUD_OPERATION.fullmatch(remote.id)
    if match is None:
        raise errors.UnexpectedReply(
            f"{remote.id[:200]!r} is no operation of a model on Vertex AI"
        )
    reply = yield Call(
        "POST",
        f"/{quote(match[1], safe='/')}:fetchPredictOperation",
        json={"operationName": remote.id},
    )
    return read_operation(gemini_errors.accepted(reply, absent=errors.NotFound))


@errors.documented("an operation")
def read_remote(body: dict[str, Any]) -> Remote:
    name = body["name"]
    if not isinstance(name, str) or not name.strip("/"):
        raise ValueError("the name is no text")
    return Remote(name)


@errors.documented("an operation")
def read_operation(body: dict[str, Any]) -> Snapshot:
    """`{"name", "done"?, "error"? | "response"?}`; the name with slashes is its id.

    A done operation may hold neither video nor error: then a filter took them.
    """
    remote = read_remote(body)
    phase = PHASES[body.get("done") or False]
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase, remote=remote)
    if error := body.get("error"):
        return Snapshot(phase=Phase.FAILED, remote=remote, failure=read_failure(error))
    response = body["response"]
    response = response.get("generateVideoResponse", response)
    artifacts = tuple(read_videos(response))
    filtered = read_filtered(response)
    if not artifacts and filtered is None:
        filtered = Failure(
            Reason.UPSTREAM_FAILED, "the operation ended without a video"
        )
    return Snapshot(
        phase=Phase.SUCCEEDED if artifacts else Phase.FAILED,
        remote=remote,
        percent=100 if artifacts else None,
        artifacts=artifacts,
        failure=filtered,
    )


def read_failure(error: Mapping[str, Any]) -> Failure:
    """`{"code": <gRPC number>, "message"}`."""
    code = gemini_errors.whole(error.get("code"), default=0)
    return Failure(
        REASONS.get(code, Reason.UPSTREAM_FAILED),
        str(error.get("message") or "the operation failed")[: errors.MESSAGE_LENGTH],
        str(code or ""),
    )


def read_videos(response: Mapping[str, Any]) -> Iterator[Artifact]:
    """The videos of a response, in the shapes that are in use.

    `generatedSamples` (and `generatedVideos` of some proxies) hold `{"video": {"uri" |
    "encodedVideo"}}`; Vertex AI's `videos` hold `{"gcsUri" | "bytesBase64Encoded"}`.
    """
    samples = response.get("generatedSamples") or response.get("generatedVideos") or ()
    videos = [sample["video"] for sample in samples]
    for video in [*videos, *(response.get("videos") or ())]:
        uri = video.get("uri") or video.get("gcsUri")
        content_type = video.get("encoding") or video.get("mimeType") or "video/mp4"
        if uri:
            yield gemini_files.linked(uri, content_type)
        else:
            data = video.get("encodedVideo") or video["bytesBase64Encoded"]
            yield gemini_files.inline(data, content_type)


def read_filtered(response: Mapping[str, Any]) -> Failure | None:
    """What the safety filters took away, or None."""
    count = response.get("raiMediaFilteredCount") or 0
    reasons = response.get("raiMediaFilteredReasons") or ()
    if not count and not reasons:
        return None
    text = "; ".join(map(str, reasons)) or f"{count} videos were filtered"
    return Failure(Reason.CONTENT_REJECTED, text[: errors.MESSAGE_LENGTH], FILTERED)
