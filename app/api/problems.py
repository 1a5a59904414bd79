"""From an error to an HTTP answer: the envelope, one table, no details of ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from app import errors
from app.storage import StorageError
from app.store.health import OUTAGES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

logger = logging.getLogger(__name__)

# Built once: `json.dumps` makes a new encoder for each text in a form of its own.
COMPACT = json.JSONEncoder(separators=(",", ":"))

STATUSES: dict[type[errors.GatewayError], int] = {
    errors.InvalidRequest: 400,
    errors.NotAuthenticated: 401,
    errors.PaymentRequired: 402,
    errors.NotAllowed: 403,
    errors.TaskNotFound: 404,
    errors.ResultNotFound: 404,
    errors.Conflict: 409,
    errors.IdempotencyMismatch: 422,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.LimitReached: 429,
    errors.NotReady: 503,
}

HEADERS: dict[str, dict[str, str]] = {
    "invalid_api_key": {"WWW-Authenticate": "Bearer"},
    "idempotency_conflict": {"Retry-After": "1"},
    "task_busy": {"Retry-After": "1"},
    "not_ready": {"Retry-After": "2"},
    "unsupported_media_type": {"Accept-Post": "application/json, multipart/form-data"},
}

# Refusals of the web framework, in the words of this API.
HTTP_CODES = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
HTTP_MESSAGES = {
    404: "there is no such address here",
    405: "this address takes other methods: see Allow",
    413: "the body is too large",
}


class JsonAnswer(Response):
    """An answer whose headers are complete: our own links need no encoding."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """The headers as they are."""
        return self.headers


def success(data: Mapping[str, Any] | None, headers: Mapping[str, str]) -> Response:
    """The envelope of an answer that is no refusal."""
    body = {"code": "success", "message": "", "data": data}
    return json_answer(200, body, headers)


def refusal(
    status: int,
    code: str,
    message: str,
    field_errors: errors.FieldErrors | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The envelope of a refusal."""
    body: dict[str, Any] = {"code": code, "message": message, "data": None}
    if field_errors:
        body["errors"] = {name: list(texts) for name, texts in field_errors.items()}
    return json_answer(status, body, {**HEADERS.get(code, {}), **(headers or {})})


def json_answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str]
) -> Response:
    """A JSON answer, in ASCII, so that no text can break it."""
    content = COMPACT.encode(body).encode("ascii")
    return JsonAnswer(
        content,
        status,
        {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **headers,
        },
    )


def register(flask_app: Flask) -> None:
    """Answer every error of a view, expected or not."""
    flask_app.register_error_handler(errors.GatewayError, answer_gateway_error)
    flask_app.register_error_handler(HTTPException, answer_http_error)
    flask_app.register_error_handler(Exception, answer_surprise)


def answer_gateway_error(error: errors.GatewayError) -> Response:
    """What the gateway refuses, with the status of its class."""
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    headers = {}
    if isinstance(error, errors.LimitReached):
        headers = {
            "Retry-After": str(error.retry_after_s),
            "RateLimit-Limit": str(error.limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(error.retry_after_s),
        }
    return refusal(status, error.code, error.message, error.errors, headers)


def answer_http_error(error: HTTPException) -> Response:
    """What Werkzeug refuses: unknown routes and methods, malformed requests."""
    status = error.code or 500
    phrase = HTTPStatus(status).phrase.lower()
    headers = {
        name: text
        for name, text in error.get_headers()
        if name.lower() not in ("content-type", "content-length")
    }
    return refusal(
        status,
        HTTP_CODES.get(status, phrase.replace(" ", "_")),
        HTTP_MESSAGES.get(status, phrase),
        headers=headers,
    )


def answer_surprise(error: Exception) -> Response:
    """503 when the store is away; else 500, with the details in the log alone."""
    if isinstance(error, (*OUTAGES, StorageError)):
        logger.warning(
            "the store does not answer",
            extra={"request_id": g.get("request_id"), "error": str(error)},
        )
        return answer_gateway_error(
            errors.NotReady("the gateway cannot reach its store; try again")
        )
    logger.error(
        "a request failed", exc_info=error, extra={"request_id": g.get("request_id")}
    )
    return refusal(
        500, "internal_error", "the gateway failed; the log has it by X-Request-Id"
    )
