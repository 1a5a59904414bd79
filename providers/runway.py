"""Runway: its own models and resold ones for films, images and sounds, as tasks.

Every model has a closed form of fields (`dialects/runway_forms.py`), chosen by what the
client gave (`dialects/runway_models.py`). There are no webhooks: tasks are looked at.
Documentation: docs.dev.runwayml.com (API of version 2024-11-06, errors, task failures,
inputs, uploads), read November 2026 (docs/providers/runway.md).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from providers import auth, errors, inputs, payload
from providers.dialects.runway_forms import Form, Path
from providers.dialects.runway_models import (
    MODELS,
    ONE_OR_FOUR,
    USUAL_FRAMERATE,
    USUAL_SECONDS,
    find_form,
    pick_ratio,
)
from providers.flow import Call, Flow, Reply
from providers.types import (
    Artifact,
    Credentials,
    Failure,
    GenerationRequest,
    MediaInput,
    Phase,
    Provider,
    Reason,
    Remote,
    Snapshot,
    by_name,
)

VERSION = "2024-11-06"
DATA_URL_LENGTH = 5_000_000

PHASES: Mapping[str, Phase] = {
    "PENDING": Phase.PENDING,
    "THROTTLED": Phase.PENDING,  # waits until the account's other tasks have ended
    "RUNNING": Phase.RUNNING,
    "SUCCEEDED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELLED": Phase.CANCELLED,
}

# Why a task failed, by the longest beginning of its code (docs, "Task failures").
REASONS: Mapping[str, Reason] = {
    "SAFETY": Reason.CONTENT_REJECTED,
    "INPUT_PREPROCESSING.SAFETY": Reason.CONTENT_REJECTED,
    "INPUT_PREPROCESSING": Reason.UPSTREAM_FAILED,
    "INTERNAL": Reason.UPSTREAM_FAILED,
    "ASSET.INVALID": Reason.INVALID_REQUEST,
    "THIRD_PARTY": Reason.UPSTREAM_FAILED,
}
NO_CREDITS = "enough credits"
DAILY = "daily"


def authorize(call: Call, credentials: Credentials) -> Call:
    """A bearer key, and the version of the API, which every call must name."""
    call = auth.bearer(call, credentials)
    return replace(call, headers={**call.headers, "X-Runway-Version": VERSION})


def submit(request: GenerationRequest) -> Flow[Snapshot]:
    """Start one task; billed when accepted, and paid back for most failures."""
    form = find_form(request)
    body = yield from write_body(request, form)
    reply = yield Call("POST", f"/{form.path}", json=body, paid=True)
    if not reply.ok:
        raise submit_error(reply)
    return read_accepted(errors.read_json(reply))


def write_body(request: GenerationRequest, form: Form) -> Flow[dict[str, Any]]:
    """The fields of the form that the request fills."""
    names = form.names()
    spoken = form.path is Path.TEXT_TO_SPEECH
    text = request.speech if spoken else request.text
    duration: float | None = request.duration
    if duration is None and "duration" in form.required():
        duration = USUAL_SECONDS
    if duration is not None and duration == int(duration):
        duration = int(duration)
    if request.model in ONE_OR_FOUR and request.n not in {1, 4}:
        raise errors.Rejected(f"n is {request.n}; {request.model} makes 1 or 4 images")
    images = []
    for number, image in enumerate(request.images):
        images.append((yield from image_url(image, f"image-{number}")))
    fields = {
        "promptText": text or None,
        "negativePrompt": request.negative_prompt,
        "ratio": pick_ratio(request, form),
        "resolution": request.resolution and request.resolution.strip().lower(),
        "duration": duration,
        "outputCount": request.n,
        "seed": request.seed,
        "quality": request.quality and request.quality.lower(),
        "outputFormat": output_format(request),
        "voice": request.voice and {"type": "runway-preset", "presetId": request.voice},
        "speed": request.speed,
        "promptImage": prompt_image(images),
        "referenceImages": [{"uri": url} for url in images] or None,
        "imageUri": images[0] if images else None,
        "character": {"type": "image", "uri": images[0]} if images else None,
        "videoUri": request.video_url,
        "promptVideo": request.video_url,
        "targetFramerate": USUAL_FRAMERATE,
        "reference": request.video_url and {"type": "video", "uri": request.video_url},
    }
    given = payload.given(**{name: fields[name] for name in fields if name in names})
    body = payload.merged(given, request.metadata, keep={"model"})
    if missing := sorted(name for name in form.required() if not body.get(name)):
        raise errors.Rejected(
            f"{request.model} needs {', '.join(missing)} for {form.path}"
        )
    return {"model": request.model, **body}


def output_format(request: GenerationRequest) -> str | None:
    wanted = request.output_format and request.output_format.lower()
    return "jpeg" if wanted == "jpg" else wanted


def prompt_image(urls: list[str]) -> Any:
    """The first frame, or the first and the last."""
    if len(urls) < 2:
        return urls[0] if urls else None
    return [
        {"uri": url, "position": position}
        for url, position in zip(urls, ("first", "last"), strict=False)
    ]


def image_url(image: MediaInput, name: str) -> Flow[str]:
    """The client's own URL, or the bytes as a data URL, which may not be too long.

    A larger upload goes as the gateway's link to it: Runway takes such files at a
    storage on another host, which no flow can reach.
    """
    if not image.uploaded:
        return image.url
    file = yield from inputs.as_file(image, name)
    head = f"data:{file.content_type};base64,"
    if len(head) + 4 * len(file.content) / 3 > DATA_URL_LENGTH:
        if image.link is not None:
            return image.link
        raise errors.Rejected(
            f"an input image has {len(file.content):,} bytes; Runway takes uploads "
            f"of at most {3 * DATA_URL_LENGTH // 4:,}, larger ones as a URL"
        )
    return head + base64.b64encode(file.content).decode()


@errors.documented("an accepted task of Runway")
def read_accepted(body: dict[str, Any]) -> Snapshot:
    """`{"id", "estimatedCost"?}`, without a status."""
    return Snapshot(
        phase=Phase.PENDING, remote=Remote(read_id(body)), usage=read_usage(body)
    )


def read_id(body: Mapping[str, Any]) -> str:
    task_id = body["id"]
    if not isinstance(task_id, str) or not task_id:
        raise ValueError("its id is not a text")
    return task_id


def read_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """Credits of 0.01 USD: what it cost, or before the end what it will cost."""
    for name, word in (("cost", "credits"), ("estimatedCost", "estimated_credits")):
        told = body.get(name)
        if isinstance(told, Mapping) and isinstance(told.get("credits"), int | float):
            return {word: told["credits"]}
    return {}


def poll(remote: Remote) -> Flow[Snapshot]:
    """The state of a task, with fresh links each time when it has succeeded."""
    reply = yield Call("GET", task_path(remote))
    return read_task(checked(reply))


def task_path(remote: Remote) -> str:
    return f"/tasks/{quote(remote.id, safe='')}"


@errors.documented("a task of Runway")
def read_task(body: dict[str, Any]) -> Snapshot:
    """`{"id", "status", "progress"?: 0..1, "output"?: [url], "failureCode"?}`."""
    phase = PHASES[body["status"]]
    remote, usage = Remote(read_id(body)), read_usage(body)
    percent: int | None = None
    if phase is Phase.RUNNING and "progress" in body:
        percent = min(99, max(0, round(100 * body["progress"])))
    artifacts: tuple[Artifact, ...] = ()
    if phase is Phase.SUCCEEDED:
        artifacts, percent = read_output(body["output"]), 100
    return Snapshot(
        phase=phase,
        remote=remote,
        percent=percent,
        artifacts=artifacts,
        failure=read_failure(body) if phase is Phase.FAILED else None,
        usage=usage,
    )


def read_output(output: Any) -> tuple[Artifact, ...]:
    if not output or not all(
        isinstance(url, str) and url.startswith(("https://", "http://"))
        for url in output
    ):
        raise ValueError("its output is no list of links")
    return tuple(Artifact(url=url) for url in output)


def read_failure(body: Mapping[str, Any]) -> Failure:
    """The reason by the code, of which more parts may come later."""
    code = str(body.get("failureCode") or "")
    parts = code.split(".")
    reasons = (
        REASONS.get(".".join(parts[:count])) for count in range(len(parts), 0, -1)
    )
    reason = next((each for each in reasons if each), Reason.UPSTREAM_FAILED)
    message = str(body.get("failure") or code or "the task failed without a reason")
    return Failure(reason, message[: errors.MESSAGE_LENGTH], code)


def cancel(remote: Remote) -> Flow[bool]:
    """Stop a task; one that has ended loses its result. False when it is unknown."""
    reply = yield Call("DELETE", task_path(remote))
    if reply.status == 404:
        return False
    if not reply.ok:
        raise call_error(reply)
    return True


def checked(reply: Reply) -> Any:
    """The body of a success, or the error that a refusal stands for."""
    if reply.ok:
        return errors.read_json(reply)
    raise call_error(reply)


def read_problem(body: Any) -> tuple[str, str]:
    """`{"error": text, "issues"?: [{"path", "message"}]}`; there are no codes."""
    told = str(body["error"] or body["message"])
    issues = [
        f"{'.'.join(map(str, issue.get('path', ())))}: {issue['message']}"
        for issue in body.get("issues") or ()
    ]
    return "", "; ".join((told, *issues))


def call_error(reply: Reply) -> errors.ProviderError:
    """What a refused call means; an empty account is a 400 that its text tells."""
    error = errors.refusal(reply, {}, read_problem)
    told = str(error).lower()
    if (reply.status == 400 and NO_CREDITS in told) or (
        reply.status == 429 and DAILY in told
    ):
        return errors.QuotaExhausted(str(error), status=reply.status)
    return error


def submit_error(reply: Reply) -> errors.ProviderError:
    """What a refused submit means: 404 is about what is offered."""
    error = call_error(reply)
    if isinstance(error, errors.NotFound):
        return errors.ModelRefused(str(error), status=error.status)
    return error


def test() -> Flow[None]:
    """Prove a key with the limits of its organization, which costs nothing."""
    reply = yield Call("GET", "/organization")
    checked(reply)


PROVIDER = Provider(
    name="runway",
    title="Runway",
    base_url="https://api.dev.runwayml.com/v1",
    env=("RUNWAYML_API_SECRET",),
    models=MODELS,
    describe=by_name(MODELS),
    authorize=authorize,
    submit=submit,
    poll=poll,
    cancel=cancel,
    test=test,
    links_live_s=24 * 3600,
    poll_spacing_s=5.0,
    sandbox_path="/runway/v1",
)
