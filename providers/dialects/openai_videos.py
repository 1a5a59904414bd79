"""Videos of the OpenAI API: `/videos`, asynchronous.

OpenAI itself shut the service down on 24 September 2026; the wire format lives on as
the common language of compatible gateways and resellers, whose liberties are read too:
more status words, numbers for texts, ids of their own, a link in the body.

Source: the video generation guide, the OpenAPI document 2.3.0 and `openai` 3.54.0 for
Python (resources/videos.py, types/video.py), read in November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from providers import errors, geometry, inputs, payload
from providers.dialects import openai_errors, openai_forms
from providers.flow import Call, Flow, Part, Reply
from providers.types import (
    Artifact,
    Failure,
    GenerationRequest,
    MediaType,
    Model,
    Phase,
    Reason,
    Remote,
    Snapshot,
)

PHASES = {
    "queued": Phase.PENDING,
    "pending": Phase.PENDING,  # compatible gateways
    "in_progress": Phase.RUNNING,
    "processing": Phase.RUNNING,  # compatible gateways
    "completed": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,  # compatible gateways
}

# The codes of failed videos are not published as a list; these two are known.
FAILURES = {
    "moderation_blocked": Reason.CONTENT_REJECTED,
    "content_policy_violation": Reason.CONTENT_REJECTED,
}

SIZES = {
    "720P": {"16:9": "1280x720", "9:16": "720x1280"},
    "1080P": {"16:9": "1792x1024", "9:16": "1024x1792"},
}
RATIOS = ("16:9", "9:16")

# Where a job that starts from an existing video is sent, by action.
DERIVED_PATHS = {
    "generate": "/videos/edits",
    "edit": "/videos/edits",
    "extend": "/videos/extensions",
    "remix": "/videos/{id}/remix",
}


def _model(name: str, *, pro: bool) -> Model:
    sizes: tuple[str, ...] = ("720x1280", "1280x720")
    if pro:
        sizes += ("1024x1792", "1792x1024", "1080x1920", "1920x1080")
    return Model(
        name=name,
        media_type=MediaType.VIDEO,
        actions=("generate", "edit", "extend", "remix"),
        refuses=frozenset({"audio_url"}),
        max_prompt=32000,
        max_images=1,
        max_n=1,  # one task gives one video
        sizes=sizes,
        aspect_ratios=RATIOS,
        resolutions=("720P", "1080P") if pro else ("720P",),
        durations=(4.0, 8.0, 12.0, 16.0, 20.0),
        typical_s=200.0 if pro else 100.0,
        longest_s=1800.0 if pro else 1200.0,
    )


MODELS = (
    _model("sora-2", pro=False),
    _model("sora-2-2025-10-06", pro=False),
    _model("sora-2-2025-12-08", pro=False),
    _model("sora-2-pro", pro=True),
    _model("sora-2-pro-2025-10-06", pro=True),
)


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one video; billed when accepted."""
    source = source_video(request)
    if source is None:
        if request.action != "generate":
            raise errors.Rejected(
                f'action "{request.action}" needs `video_url` with the id of an '
                "upstream video"
            )
        parts = yield from create_parts(request)
        reply = yield Call("POST", "/videos", parts=parts, paid=True)
        body = openai_errors.accepted(reply)
    else:
        path = DERIVED_PATHS[request.action].format(id=quote(source, safe=""))
        fields = derived_fields(request, source)
        reply = yield Call("POST", path, json=fields, paid=True)
        body = openai_errors.accepted(reply, absent=errors.Rejected)
    return read_started(body, reply)


def poll(remote: Remote) -> Flow[Snapshot]:
    """One look at a video."""
    reply = yield Call("GET", video_path(remote.id))
    if reply.status in (404, 410):  # whatever its code says: the id is unknown
        raise errors.NotFound(
            str(openai_errors.refusal(reply)), code="not_found", status=reply.status
        )
    return read_video(openai_errors.found(reply), reply, remote.id)


def video_path(video_id: str) -> str:
    return f"/videos/{quote(video_id, safe='')}"


def source_video(request: GenerationRequest) -> str | None:
    """The upstream's id of the video to start from, if the client named one."""
    video = request.metadata.get("video")
    source = request.video_url
    if source is None and isinstance(video, Mapping):
        source = str(video.get("id") or "") or None
    if source is None:
        return None
    if "/" in source or source.startswith("upload:"):
        raise errors.Rejected(
            "`video_url` must be the id of a video that this upstream made "
            "(video_...): it takes no URL"
        )
    if request.images:
        raise errors.Rejected("`video_url` and input images cannot be combined")
    return source


def create_parts(request: GenerationRequest) -> Flow[tuple[Part, ...]]:
    """The form of a new video: the form that every speaker of this dialect knows."""
    fields = payload.merged(
        payload.given(
            model=request.model,
            prompt=request.text,
            seconds=written_seconds(request.duration),
            size=video_size(request),
        ),
        request.metadata,
        keep=("model", *(("input_reference",) * bool(request.images))),
    )
    texts = openai_forms.text_parts(fields)
    if not request.images:
        return texts
    file = yield from inputs.as_file(request.images[0], "reference")
    return (*texts, openai_forms.file_part("input_reference", file))


def derived_fields(request: GenerationRequest, source: str) -> dict[str, Any]:
    """The JSON of an edit, an extension or a remix; each takes what it names."""
    fields = {"prompt": request.text}
    if request.action != "remix":
        fields = payload.given(
            **fields,
            video={"id": source},
            seconds=written_seconds(request.duration)
            if request.action == "extend"
            else None,
        )
    return payload.merged(fields, request.metadata, keep=("model", "video"))


def written_seconds(duration: float | None) -> str | None:
    """Seconds as the text that the schema wants: "8", never 8."""
    return None if duration is None else f"{duration:g}"


def video_size(request: GenerationRequest) -> str | None:
    """`size` as the client gave it, or the one for its ratio and resolution.

    A resolution alone keeps the upstream's default, which is upright.
    """
    if size := geometry.wanted_size(request):
        return f"{size[0]}x{size[1]}"
    if request.size:
        return request.size
    if not request.aspect_ratio and not request.resolution:
        return None
    resolution = (request.resolution or "720P").upper()
    if resolution not in SIZES:
        raise errors.Rejected(
            f"`resolution` {request.resolution} is not offered; allowed are "
            f"{', '.join(SIZES)}, or name the exact `size`"
        )
    ratio = geometry.wanted_ratio(request) or 9 / 16
    return SIZES[resolution][geometry.nearest_ratio(ratio, RATIOS)]


@errors.documented("an accepted video")
def read_started(video: dict[str, Any], reply: Reply) -> Snapshot:
    """The answer of a submit: what counts is the id, which has been paid for.

    A status word that nobody documented must not lose it: the polls will tell.
    """
    video_id = str(video.get("id") or video["task_id"])
    if not video_id:
        raise ValueError("no id in it")
    try:
        return read_video(video, reply, video_id)
    except errors.UnexpectedReply:
        return Snapshot(phase=Phase.PENDING, remote=Remote(video_id))


@errors.documented("a video")
def read_video(video: dict[str, Any], reply: Reply, video_id: str) -> Snapshot:
    """`{"status", "progress"?, "error"?, "seconds"?, "size"?, "expires_at"?}`."""
    phase = PHASES[video["status"]]
    return Snapshot(
        phase=phase,
        remote=Remote(video_id),
        percent=read_percent(video.get("progress")),
        artifacts=(read_file(video, video_id),) if phase is Phase.SUCCEEDED else (),
        failure=read_failure(video.get("error")) if phase is Phase.FAILED else None,
        look_after_s=openai_errors.milliseconds(reply, "openai-poll-after-ms"),
    )


def read_file(video: Mapping[str, Any], video_id: str) -> Artifact:
    """Where the finished video is: `/content` with the key, or a gateway's own link."""
    width, height = geometry.read_size(str(video.get("size") or "")) or (None, None)
    link = find_link(video, video_id)
    expires_at = video.get("expires_at")
    return Artifact(
        url=link or f"{video_path(video_id)}/content",
        content_type="video/mp4",
        protected=link is None,
        width=width,
        height=height,
        duration_s=read_number(video.get("seconds")),
        expires_at=expires_at if isinstance(expires_at, int) else None,
    )


def find_link(video: Mapping[str, Any], video_id: str) -> str | None:
    """The link that some compatible gateways put into the body, byte for byte.

    A link to `/videos/{id}/content` itself counts as none: it needs the key, and the
    path below the channel's base URL is the one that surely gets it.
    """
    links = [video.get("url"), video.get("video_url")]
    for place in (video.get("metadata"), video.get("output")):
        if isinstance(place, Mapping):
            links.append(place.get("url"))
    for link in links:
        if (
            isinstance(link, str)
            and link.startswith(("http://", "https://"))
            and not link.endswith(f"{video_path(video_id)}/content")
        ):
            return link
    return None


def read_failure(error: Any) -> Failure:
    """`{"code", "message"}`, a text, or nothing, as why the video failed."""
    if isinstance(error, Mapping):
        code = str(error.get("code") or "")
        message = str(error.get("message") or "") or code
    else:
        code, message = "", str(error or "")
    return Failure(
        FAILURES.get(code, Reason.UPSTREAM_FAILED),
        message or "the upstream gave no reason",
        code,
    )


def read_percent(progress: Any) -> int | None:
    """Progress as 0 to 100; None when it is missing or no number."""
    number = read_number(progress)
    return None if number is None else max(0, min(100, round(number)))


def read_number(value: Any) -> float | None:
    """A number, also written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e9 else None  # also keeps out NaN and infinity
