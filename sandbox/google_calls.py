"""How Google's media APIs are called and refuse, on the Gemini API and on Vertex AI.

Wire format: ai.google.dev/gemini-api/docs ("Troubleshooting", "API keys") and what the
SDK google-genai reads (errors.py), November 2026. The texts of refusals are not
published; those here are of this simulation.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from aiohttp import web

from sandbox.answers import Answer, Refusals, admit, json_answer
from sandbox.inputs import BadInput, bearer, read_json
from sandbox.jobs import CallKind, Job, Upstream
from sandbox.media import NotAnImage, read_image

RPC = "type.googleapis.com/google.rpc."
MOST_INLINE_BYTES = 20 * 1024 * 1024
RETRY_DELAY = "1s"
HUMP = re.compile(r"_([a-z0-9])")
CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
OPAQUE = frozenset({"userMetadata", "labels", "user_metadata"})
"""Names under which a caller writes whatever it likes."""


def problem(
    code: int, status: str, message: str, *details: Mapping[str, Any]
) -> web.Response:
    """Google's error body."""
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    if details:
        error["details"] = list(details)
    return json_answer({"error": error}, code)


def refuse(error: BadInput | NotAnImage) -> web.Response:
    """400 for a request that does not fit."""
    return problem(400, "INVALID_ARGUMENT", str(error))


def absent(message: str) -> web.Response:
    return problem(404, "NOT_FOUND", message)


def model_absent(model: str, method: str) -> web.Response:
    return absent(f"models/{model} is not found, or is not supported for {method}.")


def exhausted(quota_id: str, *details: Mapping[str, Any]) -> web.Response:
    """429: only the quota that was exceeded tells for how long."""
    return problem(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
        {"@type": f"{RPC}QuotaFailure", "violations": [{"quotaId": quota_id}]},
        *details,
    )


def bad_key() -> web.Response:
    """An invalid key is a 400."""
    return problem(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        {
            "@type": f"{RPC}ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        },
    )


def bad_token() -> web.Response:
    return problem(
        401, "UNAUTHENTICATED", "The request lacks a valid OAuth 2 access token."
    )


SERVER_ERRORS = {
    500: ("INTERNAL", "An internal error has occurred."),
    502: ("UNAVAILABLE", "The service is currently unavailable."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}

KEY_REFUSALS = Refusals(
    unauthorized=bad_key,
    forbidden=lambda: problem(
        403, "PERMISSION_DENIED", "The caller does not have permission."
    ),
    rate_limit=lambda: exhausted(
        "GenerateRequestsPerMinutePerProjectPerModel",
        {"@type": f"{RPC}RetryInfo", "retryDelay": RETRY_DELAY},
    ),
    quota=lambda: exhausted("GenerateRequestsPerDayPerProjectPerModel"),
    bad_request=lambda message: problem(400, "INVALID_ARGUMENT", message),
    server_error=lambda status: problem(status, *SERVER_ERRORS[status]),
    not_found=lambda: absent("Operation not found."),
)
TOKEN_REFUSALS = replace(KEY_REFUSALS, unauthorized=bad_token)


@dataclass(frozen=True)
class House:
    """One place that offers the models: the Gemini API, or (`cloud`) Vertex AI.

    `identify` gives the secret of a call, or the refusal of one that brings none.
    """

    upstream: Upstream
    cloud: bool
    refusals: Refusals
    identify: Callable[[web.Request], str | Answer]

    def admit(
        self, request: web.Request, kind: CallKind
    ) -> tuple[str, web.StreamResponse | None]:
        """The secret of a call, and its refusal when it may not come in."""
        found = self.identify(request)
        if not isinstance(found, str):
            self.upstream.ledger.count(self.upstream.name, kind)
            return "", found()
        return found, admit(self.upstream, kind, found, self.refusals)

    def refusals_of(self, **changed: Any) -> Refusals:
        return replace(self.refusals, **changed)


def key_of(request: web.Request) -> str | Answer:
    """The API key, of the header or the query; nothing else may stand beside it."""
    header = request.headers.get("x-goog-api-key", "").strip()
    query = request.query.get("key", "").strip()
    others = [header, query, request.headers.get("Authorization", "")]
    if sum(map(bool, others)) > 1:
        return lambda: problem(
            400, "INVALID_ARGUMENT", "Multiple authentication credentials received."
        )
    if header or query:
        return header or query
    return lambda: problem(
        403,
        "PERMISSION_DENIED",
        "Method doesn't allow unregistered callers. Please use an API key.",
    )


def token_of(request: web.Request, now: float) -> str | Answer:
    """The access token; a JWT that an account signed itself must still be good."""
    token = bearer(request)
    if token is None:
        return bad_token
    parts = token.split(".")
    if len(parts) == 3 and token.startswith("ey"):
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
            good = claims["iat"] <= now < claims["exp"] and bool(claims["iss"])
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            return bad_token
    return token


def camel(value: Any) -> Any:
    """JSON with its names in camel case: both spellings are taken for each other."""
    return renamed(value, lambda name: HUMP.sub(lambda m: m[1].upper(), name))


def snake(value: Any) -> Any:
    """JSON with its names in snake case."""
    return renamed(value, lambda name: CAPITAL.sub(r"_\1", name).lower())


def renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {
            rename(name): inner if rename(name) in OPAQUE else renamed(inner, rename)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [renamed(each, rename) for each in value]
    return value


async def read_body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a call, within the limit of inline files."""
    if len(await request.read()) > MOST_INLINE_BYTES:
        raise BadInput(
            f"Request payload size exceeds the limit: {MOST_INLINE_BYTES} bytes."
        )
    return await read_json(request)


def check_names(given: Collection[str], allowed: Collection[str], place: str) -> None:
    """Google's JSON reader knows no field that is not in the message."""
    for name in given:
        if name not in allowed:
            raise BadInput(
                f'Invalid JSON payload received. Unknown name "{name}" at '
                f"'{place}': Cannot find field.",
                name,
            )


def check_picture(data: Any, mime_type: Any, field: str) -> None:
    """Look at an input image in base64; links are not taken."""
    if not isinstance(data, str) or not data:
        raise BadInput(f"`{field}` has no image data.", field)
    if mime_type not in PICTURE_TYPES:
        raise BadInput(f"Unsupported MIME type: {mime_type} of `{field}`.", field)
    try:
        if data.startswith(("http:", "https:", "data:")):
            raise NotAnImage("not base64")
        read_image(decode(data))
    except (NotAnImage, ValueError) as error:
        raise BadInput(f"Unable to process input image `{field}`.", field) from error


def decode(data: str) -> bytes:
    """The bytes behind base64 of either alphabet; the SDK writes the one for URLs."""
    standard = data.replace("-", "+").replace("_", "/")
    padded = standard + "=" * (-len(standard) % 4)
    return base64.b64decode(padded, validate=True)


def choose(value: Any, field: str, allowed: Collection[Any]) -> None:
    """Refuse a value that is given and is not one of these."""
    if value is not None and value not in allowed:
        told = ", ".join(map(str, allowed))
        raise BadInput(
            f"`{field}` does not support the value {value!r}; supported: {told}.", field
        )


def digest(job: Job, *words: str) -> str:
    """A word that follows from a job and does not tell its id."""
    text = "/".join((job.id, *words)).encode()
    return base64.urlsafe_b64encode(sha256(text).digest()).decode()[:16]
