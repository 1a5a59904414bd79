"""xAI: grok-imagine images and videos, and speech.

Images and speech are answered with the result, videos are jobs. The images look like
OpenAI's, but edits are JSON, and errors have three shapes. Documentation: docs.x.ai
(REST reference of images, videos and voice; guides), read November 2026
(docs/providers/xai.md).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from providers import auth, errors
from providers.dialects import (
    openai_errors,
    openai_images,
    openai_speech,
    openai_videos,
    xai_bodies,
)
from providers.dialects import xai_models as catalogue
from providers.flow import Call, Flow, Reply
from providers.types import (
    Artifact,
    Failure,
    GenerationRequest,
    MediaType,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
)

PHASES = {
    "pending": Phase.RUNNING,  # waiting and running cannot be told apart
    "done": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "expired": Phase.FAILED,
}

# Only the first two are published; what is not in the table is the upstream's fault.
FAILURES = {
    "internal_error": Reason.UPSTREAM_FAILED,
    "invalid_argument": Reason.INVALID_REQUEST,
    "imagine:content-moderated": Reason.CONTENT_REJECTED,
}

MODERATED = "imagine:content-moderated"
# Older answers tell moderation, a wrong key and an empty account by their texts alone.
# "usage guidelines" comes with 403 from the models of this upstream that write.
MODERATION_WORDS = ("content moderation", "usage guidelines")
KEY_WORDS = "incorrect api key"
MONEY_WORDS = ("credits", "spending limit")

HELD_BACK = "held back by content moderation"

AUDIO_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mulaw": "audio/basic",
    "alaw": "audio/x-alaw-basic",
}
# Samples without a header look like anything, so they are taken for what was asked.
HEADERLESS = frozenset({"pcm", "mulaw", "alaw"})

KEY_FLAGS = ("api_key_blocked", "api_key_disabled", "team_blocked")


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Make images or speech at once, or start a video; billed when accepted."""
    match request.media_type:
        case MediaType.IMAGE:
            path, body = yield from xai_bodies.write_image(request)
            reply = yield Call("POST", path, json=body, paid=True)
            return read_images(accepted(reply), request.n)
        case MediaType.VIDEO:
            path, body = yield from xai_bodies.write_video(request)
            reply = yield Call("POST", path, json=body, paid=True)
            return read_started(accepted(reply))
        case MediaType.AUDIO:
            body = xai_bodies.write_speech(request)
            reply = yield Call("POST", "/tts", json=body, paid=True)
            if not reply.ok:
                raise submit_error(reply)
            return read_speech(reply, codec_of(body))


def accepted(reply: Reply) -> Any:
    """The JSON body of an accepted submit; otherwise the error it stands for."""
    if not reply.ok:
        raise submit_error(reply)
    return errors.read_json(reply)


def submit_error(reply: Reply) -> errors.ProviderError:
    """A submit has no job that could be missing: 404 is a model not offered."""
    error = refusal(reply)
    if isinstance(error, errors.NotFound):
        return errors.ModelRefused(str(error), code=error.code, status=error.status)
    return error


def refusal(reply: Reply) -> errors.ProviderError:
    """The error of a reply outside 2xx; texts decide where codes mean two things."""
    error = errors.refusal(reply, {MODERATED: errors.ContentRejected}, read_error)
    text = str(error).lower()
    kind: type[errors.ProviderError] | None = None
    if 400 <= reply.status < 500 and any(word in text for word in MODERATION_WORDS):
        kind = errors.ContentRejected
    elif reply.status == 400 and KEY_WORDS in text:
        kind = errors.KeyRefused
    elif reply.status in (403, 429) and any(word in text for word in MONEY_WORDS):
        kind = errors.QuotaExhausted
    if kind is None:
        return error
    return kind(str(error), code=error.code, status=error.status)


def read_error(body: Any) -> tuple[str, str]:
    """`{"code", "error": text}`, `{"error": text}`, or OpenAI's `{"error": {...}}`."""
    if isinstance(body["error"], str):
        return str(body.get("code") or ""), body["error"]
    return openai_errors.read_error(body)


# Images


@errors.documented("a list of images")
def read_images(body: dict[str, Any], wanted: int) -> Snapshot:
    """`{"data": [{"url" or "b64_json", "mime_type"?, "respect_moderation"?}], ...}`.

    An image that moderation held back has no link. None left is a failure, some left
    is a success that names the rest; an empty list is no answer to a paid call.
    """
    items = body["data"]
    held_back = [item for item in items if is_held_back(item)]
    artifacts = tuple(read_image(item) for item in items if item not in held_back)
    usage = read_usage(body)
    if not artifacts:
        if not held_back:
            raise ValueError("no image in it")
        return Snapshot(
            phase=Phase.FAILED, failure=moderated("every image was"), usage=usage
        )
    failure = None
    if held_back:
        failure = moderated(f"{len(held_back)} of {len(items)} images were")
    elif len(artifacts) < wanted:
        failure = Failure(
            Reason.UPSTREAM_FAILED,
            f"{wanted - len(artifacts)} of {wanted} images were not made",
        )
    return Snapshot(
        phase=Phase.SUCCEEDED,
        percent=100,
        artifacts=artifacts,
        failure=failure,
        usage=usage,
    )


def is_held_back(item: Mapping[str, Any]) -> bool:
    """Whether moderation took an image; the flag for it may be missing."""
    if item.get("respect_moderation") is False:
        return True
    return not item.get("b64_json") and not item["url"]


def read_image(item: Mapping[str, Any]) -> Artifact:
    if not item.get("b64_json") and not openai_images.is_link(item["url"]):
        raise ValueError("an image without a link")
    artifact = openai_images.read_image(item, "", None)
    if artifact.content is not None or not item.get("mime_type"):
        return artifact
    return replace(artifact, content_type=str(item["mime_type"]))


def moderated(what: str, code: str = MODERATED) -> Failure:
    return Failure(Reason.CONTENT_REJECTED, f"{what} {HELD_BACK}", code)


def read_usage(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cost, in ticks of which 10^10 are one dollar."""
    usage = body.get("usage")
    return dict(usage) if isinstance(usage, Mapping) else {}


# Videos


@errors.documented("a started video")
def read_started(body: dict[str, Any]) -> Snapshot:
    """`{"request_id"}`, and no status."""
    request_id = body["request_id"]
    if not request_id or not isinstance(request_id, str):
        raise ValueError("no id in it")
    return Snapshot(phase=Phase.PENDING, remote=Remote(request_id))


def poll(remote: Remote) -> Flow[Snapshot]:
    """One look at a video: 202, often without a body, as long as it goes on."""
    reply = yield Call("GET", f"/videos/{quote(remote.id, safe='')}")
    if reply.status == 202:
        return Snapshot(phase=Phase.RUNNING, percent=read_percent(reply))
    if reply.ok:
        return read_video(errors.read_json(reply))
    if reply.status == 429:  # also with the text of an empty account: ask again later
        raise errors.RateLimited(
            str(refusal(reply)), status=429, retry_after_s=reply.retry_after_s
        )
    error = refusal(reply)
    if reply.status == 400 and isinstance(error, errors.ContentRejected):
        return Snapshot(
            phase=Phase.FAILED,
            failure=Failure(
                Reason.CONTENT_REJECTED, str(error), error.code or MODERATED
            ),
            usage=read_usage(reply.json()),
        )
    raise error


def read_percent(reply: Reply) -> int | None:
    try:
        return openai_videos.read_percent(reply.json()["progress"])
    except (ValueError, KeyError, TypeError, IndexError):
        return None


@errors.documented("a video")
def read_video(body: dict[str, Any]) -> Snapshot:
    """`{"status"?, "progress"?, "video"?: {"url", "duration"}, "error"?, "usage"?}`.

    Without a status, a link alone says that the video is done.
    """
    status = body.get("status")
    if status is None:
        status = "done" if body["video"]["url"] else ""
    snapshot = Snapshot(
        phase=PHASES[status],
        percent=openai_videos.read_percent(body.get("progress")),
        usage=read_usage(body),
    )
    match status:
        case "failed":
            return replace(snapshot, failure=read_failure(body.get("error")))
        case "expired":
            expired = Failure(
                Reason.UPSTREAM_EXPIRED, "the upstream forgot the video", "expired"
            )
            return replace(snapshot, failure=expired)
        case "done":
            return read_done(snapshot, body["video"])
    return snapshot


def read_done(snapshot: Snapshot, video: Mapping[str, Any]) -> Snapshot:
    """A finished video, unless moderation held it back: then it has no link."""
    if video.get("respect_moderation") is False or not video["url"]:
        return replace(snapshot, phase=Phase.FAILED, failure=moderated("the video was"))
    if not openai_images.is_link(video["url"]):
        raise ValueError("no link in it")
    made = Artifact(
        url=video["url"],
        content_type="video/mp4",
        duration_s=openai_videos.read_number(video.get("duration")),
    )
    return replace(snapshot, percent=100, artifacts=(made,))


def read_failure(error: Any) -> Failure:
    """`{"code", "message"}`, a text, or nothing, as why the video failed."""
    failure = openai_videos.read_failure(error)
    return replace(failure, reason=FAILURES.get(failure.code, Reason.UPSTREAM_FAILED))


# Speech


def codec_of(body: Mapping[str, Any]) -> str:
    wanted = body["output_format"]
    return str(wanted.get("codec") or "mp3") if isinstance(wanted, Mapping) else "mp3"


def read_speech(reply: Reply, codec: str) -> Snapshot:
    """The bytes of the answer, or with `with_timestamps` the JSON that holds them."""
    if reply.content_type == "application/json":
        artifact = read_timed_speech(errors.read_json(reply))
    elif not reply.content or reply.content_type.startswith("text/"):
        raise errors.UnexpectedReply(
            f"the answer is not speech: {len(reply.content)} bytes of "
            f"{reply.content_type or 'no type'}",
            status=reply.status,
        )
    else:
        told = reply.content_type if reply.content_type.startswith("audio/") else ""
        seen = None
        if codec not in HEADERLESS:
            seen = openai_speech.sniff(reply.content, codec)
        artifact = Artifact(
            content=reply.content,
            content_type=seen or told or AUDIO_TYPES.get(codec),
        )
    return Snapshot(phase=Phase.SUCCEEDED, percent=100, artifacts=(artifact,))


@errors.documented("speech with its timestamps")
def read_timed_speech(body: dict[str, Any]) -> Artifact:
    """`{"audio": base64, "content_type", "duration", "audio_timestamps"}`.

    The timestamps are kept as the text beside the sound.
    """
    content = base64.b64decode(body["audio"], validate=True)
    if not content:
        raise ValueError("no sound in it")
    timestamps = body.get("audio_timestamps")
    return Artifact(
        content=content,
        content_type=str(body["content_type"]),
        duration_s=openai_videos.read_number(body.get("duration")),
        text=json.dumps(timestamps, ensure_ascii=False) if timestamps else None,
    )


# The key


def test() -> Flow[None]:
    """Prove a key by asking what it is, which costs nothing."""
    reply = yield Call("GET", "/api-key")
    if not reply.ok:
        raise refusal(reply)
    read_key(errors.read_json(reply))


@errors.documented("a key")
def read_key(body: dict[str, Any]) -> None:
    """Raise KeyRefused for a key that is known but blocked."""
    for flag in KEY_FLAGS:
        if body.get(flag):
            raise errors.KeyRefused(f"the upstream says {flag}", code=flag)


PROVIDER = Provider(
    name="xai",
    title="xAI",
    base_url="https://api.x.ai/v1",
    models=catalogue.MODELS,
    describe=catalogue.describe,
    authorize=auth.bearer,
    submit=submit,
    poll=poll,
    test=test,
    env=("XAI_API_KEY",),
    links_live_s=24 * 3600,
    poll_spacing_s=3.0,  # the official client looks once a second, 3 to 5 s are polite
    sandbox_path="/xai/v1",
)
