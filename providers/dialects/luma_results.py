"""How Luma's answers are read: errors of both APIs, and the generations of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from providers import errors
from providers.flow import Reply
from providers.types import (
    Artifact,
    Failure,
    MediaType,
    Phase,
    Reason,
    Remote,
    Snapshot,
)

STATES: Mapping[str, Phase] = {
    "queued": Phase.PENDING,
    "dreaming": Phase.RUNNING,
    "completed": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
}
AGENT_STATES: Mapping[str, Phase] = {
    "queued": Phase.PENDING,
    "processing": Phase.RUNNING,
    "completed": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
}
# A generation tells the first two; the others are told of what was asked for.
KINDS: Mapping[str, MediaType] = {
    "video": MediaType.VIDEO,
    "image": MediaType.IMAGE,
    "upscale_video": MediaType.VIDEO,
    "add_audio": MediaType.VIDEO,
    "modify_video": MediaType.VIDEO,
    "reframe_video": MediaType.VIDEO,
    "reframe_image": MediaType.IMAGE,
}
FAMILIES = {"ray": MediaType.VIDEO, "photon": MediaType.IMAGE}

# Dream Machine has no codes: a sentence tells what was wrong.
MODERATED = re.compile(r"moderat|blacklist|not allowed|nsfw|policy", re.I)
BAD_INPUT = re.compile(
    r"(?=.*\b(image|video|frame|media|file|url))"
    r"(?=.*(download|too large|unsupported))",
    re.I | re.S,
)
NO_CREDITS = re.compile(r"\bcredits?\b", re.I)
LEADING_CODE = re.compile(r"([1-5]\d\d): ")

REASONS: Mapping[str, Reason] = {
    "content_moderated": Reason.CONTENT_REJECTED,
    "generation_failed": Reason.UPSTREAM_FAILED,
    "budget_exhausted": Reason.UPSTREAM_FAILED,
    "output_not_found": Reason.UPSTREAM_EXPIRED,
    "image_too_large": Reason.INVALID_REQUEST,
    "unsupported_format": Reason.INVALID_REQUEST,
    "corrupt_input": Reason.INVALID_REQUEST,
    "invalid_request": Reason.INVALID_REQUEST,
    "rate_limited": Reason.UPSTREAM_FAILED,
}
# The body of an error of Luma Agents is not documented; should it carry one of the
# documented codes of failure, that decides before the HTTP status.
CODES: Mapping[str, type[errors.ProviderError]] = {
    "content_moderated": errors.ContentRejected,
    "budget_exhausted": errors.QuotaExhausted,
    "rate_limited": errors.RateLimited,
    **dict.fromkeys(
        ("image_too_large", "unsupported_format", "corrupt_input", "invalid_request"),
        errors.Rejected,
    ),
}

# Errors


def read_problem(body: Any) -> tuple[str, str]:
    """`{"detail": text}` or `{"detail": [{"loc", "msg"}]}`; others are tried, too."""
    told = body.get("detail") or body.get("error") or body
    if isinstance(told, list):
        return "", "; ".join(map(read_misfit, told))
    if isinstance(told, str):
        return str(body.get("code") or body.get("failure_code") or ""), told
    code = told.get("code") or told.get("failure_code") or told.get("type") or ""
    message = told.get("message") or told.get("msg") or told.get("failure_reason")
    if not message and not code:
        raise ValueError("no text")
    return str(code), str(message or code)


def read_misfit(item: Mapping[str, Any]) -> str:
    """One field that did not fit: where it is, and what was expected."""
    return f"{'.'.join(str(part) for part in item.get('loc', ()))}: {item['msg']}"


def check(reply: Reply) -> Any:
    """The body of a success, or the error that a refusal stands for."""
    if reply.ok:
        return errors.read_json(reply)
    raise call_error(reply)


def call_error(reply: Reply) -> errors.ProviderError:
    """What a refused call means; the text of a 400 tells money from moderation."""
    error = errors.refusal(reply, CODES, read_problem)
    kind: type[errors.ProviderError] = type(error)
    if reply.status == 403 and kind is errors.ChannelRefused:
        kind = errors.KeyRefused  # as 401: the key is not valid
    elif reply.status == 400 and kind is errors.Rejected:
        if NO_CREDITS.search(str(error)):
            kind = errors.QuotaExhausted
        elif MODERATED.search(str(error)):
            kind = errors.ContentRejected
    if kind is type(error):
        return error
    return kind(str(error), code=error.code, status=error.status)


def accepted(reply: Reply, *, chained: bool) -> Any:
    """The answer to a submit.

    404 is about the earlier generation or file it names, when it is `chained` to one,
    and else about a path or model that is not offered.
    """
    try:
        return check(reply)
    except errors.NotFound as error:
        kind = errors.Rejected if chained else errors.ModelRefused
        raise kind(str(error), code=error.code, status=error.status) from error


# Generations


def read_id(body: Mapping[str, Any]) -> str:
    generation_id = body["id"]
    if not isinstance(generation_id, str) or not generation_id:
        raise ValueError("its id is no text")
    return generation_id


def read_url(url: Any) -> str:
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise ValueError("its result is no link")
    return url


@errors.documented("a generation of Luma's Dream Machine")
def read_generation(body: dict[str, Any]) -> Snapshot:
    """`{"id", "state", "generation_type", "assets"?: {"video", "image"}, ...}`.

    A film's image is its poster, and `progress_video` a preview: neither is a result.
    """
    phase, remote = STATES[body["state"]], Remote(read_id(body))
    if phase is Phase.FAILED:
        return Snapshot(phase=phase, remote=remote, failure=read_failure(body))
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase, remote=remote)
    kind = read_kind(body)
    url = (body.get("assets") or {}).get(kind.value)
    if not url:
        return no_output(remote)
    content_type = "video/mp4" if kind is MediaType.VIDEO else None
    artifact = Artifact(url=read_url(url), content_type=content_type)
    return Snapshot(phase=phase, remote=remote, percent=100, artifacts=(artifact,))


def read_kind(body: Mapping[str, Any]) -> MediaType:
    """What was made; every field that tells it is optional by the documentation."""
    asked = body.get("request") or {}
    told = body.get("generation_type") or asked.get("generation_type")
    if told:
        return KINDS[told]
    return FAMILIES[(body.get("model") or asked["model"]).partition("-")[0]]


@errors.documented("an accepted generation of Luma")
def read_started(body: dict[str, Any], read: Callable[[Any], Snapshot]) -> Snapshot:
    """What a submit answered; an id alone is enough to go on with a paid job."""
    try:
        return read(body)
    except errors.UnexpectedReply:
        return Snapshot(phase=Phase.PENDING, remote=Remote(read_id(body)))


def no_output(remote: Remote) -> Snapshot:
    failure = Failure(
        Reason.UPSTREAM_FAILED, "the generation completed without a result", "no_output"
    )
    return Snapshot(phase=Phase.FAILED, remote=remote, failure=failure)


def read_failure(body: Mapping[str, Any]) -> Failure:
    """Why it failed, by its text alone."""
    told = str(body.get("failure_reason") or "")
    reason = Reason.UPSTREAM_FAILED
    if MODERATED.search(told):
        reason = Reason.CONTENT_REJECTED
    elif BAD_INPUT.search(told):
        reason = Reason.INVALID_REQUEST
    code = LEADING_CODE.match(told)
    message = told or "the generation failed without a reason"
    return Failure(reason, message[: errors.MESSAGE_LENGTH], code[1] if code else "")


@errors.documented("a list of generations")
def read_list(body: dict[str, Any]) -> tuple[list[Mapping[str, Any]], bool]:
    """The generations of a page, unread, and whether there are more."""
    listed = [each for each in body["generations"] if isinstance(each, Mapping)]
    return listed, bool(body.get("has_more"))


def read_some(
    listed: list[Mapping[str, Any]], wanted: set[str]
) -> Iterator[tuple[str, Snapshot]]:
    """Those that are wanted, by id."""
    for generation in listed:
        found = generation.get("id")
        if found in wanted:
            yield str(found), read_or_running(generation, str(found))


def read_or_running(body: Any, generation_id: str) -> Snapshot:
    """A generation; one that cannot be read counts as running.

    So it does not spoil the others that are looked at together with it.
    """
    try:
        return read_generation(body)
    except errors.UnexpectedReply:
        return Snapshot(phase=Phase.RUNNING, remote=Remote(generation_id))


@errors.documented("a generation of Luma Agents")
def read_agent(body: dict[str, Any]) -> Snapshot:
    """`{"id", "state", "output"?: [{"type", "url", "layer"?}], "failure_code"?}`."""
    phase, remote = AGENT_STATES[body["state"]], Remote(read_id(body))
    if phase is Phase.FAILED:
        return Snapshot(phase=phase, remote=remote, failure=read_agent_failure(body))
    if phase is not Phase.SUCCEEDED:
        return Snapshot(phase=phase, remote=remote)
    # the format is not told, and an export may lie beside the film: the bytes tell
    artifacts = tuple(
        Artifact(
            url=read_url(item["url"]), title=(item.get("layer") or {}).get("label")
        )
        for item in body.get("output") or ()
        if item.get("url")
    )
    if not artifacts:
        return no_output(remote)
    return Snapshot(phase=phase, remote=remote, percent=100, artifacts=artifacts)


def read_agent_failure(body: Mapping[str, Any]) -> Failure:
    code = str(body.get("failure_code") or "")
    reason = REASONS.get(code, Reason.UPSTREAM_FAILED)
    message = str(
        body.get("failure_reason") or code or "the generation failed without a reason"
    )
    return Failure(reason, message[: errors.MESSAGE_LENGTH], code)
