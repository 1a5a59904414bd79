"""How OpenAI refuses a call, and what is common to reading its requests.

Wire format: the error codes guide of developers.openai.com and the OpenAPI document
2.3.0 (read 2026-11-22). The codes of bad requests other than `unknown_parameter` and
`invalid_value` are not published.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiohttp import web

from sandbox.answers import Refusals, json_answer
from sandbox.inputs import BadInput, FormFile, read_form, read_json
from sandbox.jobs import Job
from sandbox.media import NotAnImage, ReadImage, read_image

RETRY_AFTER = {"retry-after": "1", "retry-after-ms": "250"}
RATE_LIMITS = {
    "x-ratelimit-limit-requests": "5",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "250ms",
}


class UnknownParameter(BadInput):
    """A field that this route, or this model, does not have."""


def problem(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """OpenAI's error body; `kind` is its `type`."""
    error: dict[str, Any] = {
        "message": message,
        "type": kind,
        "param": param,
        "code": code,
    }
    return json_answer({"error": {**error, **(details or {})}}, status, headers)


def refuse(error: BadInput) -> web.Response:
    """400 for a request that does not fit."""
    code = "invalid_value"
    if isinstance(error, UnknownParameter):
        code = "unknown_parameter"
    return problem(400, str(error), code=code, param=error.field)


def model_not_found(model: str) -> web.Response:
    return problem(
        404,
        f"The model '{model}' does not exist or you do not have access to it.",
        code="model_not_found",
    )


def blocked(stage: str) -> web.Response:
    """400 of the safety system, for the prompt (`input`) or for what it became."""
    return problem(
        400,
        "Your request was rejected by the safety system.",
        kind="image_generation_user_error",
        code="moderation_blocked",
        details={
            "moderation_details": {
                "moderation_stage": stage,
                "categories": ["violence"],
            }
        },
    )


def failed(_: Job) -> web.Response:
    """400 for a generation that came to nothing; its code may be null."""
    return problem(
        400,
        "The request could not be turned into a result. Change it and try again.",
        kind="image_generation_user_error",
    )


def server_error(status: int) -> web.Response:
    if status == 500:
        return problem(
            500,
            "The server had an error while processing your request.",
            kind="server_error",
            code="server_error",
        )
    return problem(status, "The engine is currently overloaded.", kind="server_error")


REFUSALS = Refusals(
    unauthorized=lambda: problem(
        401, "Incorrect API key provided.", code="invalid_api_key"
    ),
    forbidden=lambda: problem(
        403,
        "Country, region, or territory not supported.",
        kind="request_forbidden",
        code="unsupported_country_region_territory",
    ),
    rate_limit=lambda: problem(
        429,
        "Rate limit reached for requests per min.",
        kind="requests",
        code="rate_limit_exceeded",
        headers={**RETRY_AFTER, **RATE_LIMITS},
    ),
    quota=lambda: problem(
        429,
        "You exceeded your current quota, check your plan and billing details.",
        kind="insufficient_quota",
        code="insufficient_quota",
    ),
    bad_request=lambda message: problem(400, message, code="invalid_value"),
    server_error=server_error,
    not_found=lambda: problem(404, "Not found."),
    blocked=lambda: blocked("input"),
    failed=failed,
    blocked_result=lambda _: blocked("output"),
)


async def read_body(
    request: web.Request,
) -> tuple[dict[str, Any], tuple[FormFile, ...], bool]:
    """Fields, files, and whether numbers came as text, of a JSON body or a form."""
    if request.content_type == "application/json":
        return await read_json(request), (), False
    if request.content_type in {
        "multipart/form-data",
        "application/x-www-form-urlencoded",
    }:
        form = await read_form(request)
        return form.fields, form.files, True
    raise BadInput(f"Unsupported content type: '{request.content_type}'.")


def check_names(body: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Raise UnknownParameter for a field not allowed; `svg[model]` counts as `svg`."""
    for name in body:
        if name.partition("[")[0] not in allowed:
            raise UnknownParameter(f"Unknown parameter: '{name}'.", name)


def read_picture(given: bytes | str, field: str) -> ReadImage | None:
    """The image of a request, None when it is an http(s) URL; else BadInput."""
    try:
        return read_image(given)
    except NotAnImage as error:
        raise BadInput(f"Invalid image: {error}.", field) from error
