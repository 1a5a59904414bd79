"""Refusals of the OpenAI API, shared by its images, videos and speech.

The body is `{"error": {"message", "type", "param", "code"}}`; `code` may be null, and
then the HTTP status alone decides. Compatible gateways also answer the inner object
without its wrapper, or the message alone.

Source: the error codes guide, the OpenAPI document 2.3.0 and `openai` 3.54.0 for
Python, read in November 2026.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from providers import errors
from providers.flow import Reply

CODES: errors.Codes = {
    "invalid_api_key": errors.KeyRefused,
    "unsupported_country_region_territory": errors.ChannelRefused,
    "model_not_found": errors.ModelRefused,
    "insufficient_quota": errors.QuotaExhausted,
    "billing_hard_limit_reached": errors.QuotaExhausted,  # comes with status 400
    "rate_limit_exceeded": errors.RateLimited,
    "moderation_blocked": errors.ContentRejected,
    "content_policy_violation": errors.ContentRejected,
    "unknown_parameter": errors.Rejected,
    "invalid_value": errors.Rejected,
}


def accepted(
    reply: Reply, absent: type[errors.ProviderError] = errors.ModelRefused
) -> Any:
    """The JSON body of an accepted submit; otherwise the error it stands for."""
    check_accepted(reply, absent)
    return errors.read_json(reply)


def check_accepted(
    reply: Reply, absent: type[errors.ProviderError] = errors.ModelRefused
) -> None:
    """Raise what a reply outside 2xx to a submit stands for.

    A submit has no job that could be missing, so a 404 means what `absent` says: by
    default that this upstream does not offer the model or the route.
    """
    if reply.ok:
        return
    error = refusal(reply)
    if isinstance(error, errors.NotFound):
        raise absent(str(error), code=error.code, status=error.status)
    raise error


def found(reply: Reply) -> Any:
    """The JSON body of a successful reply; otherwise the error it stands for."""
    if not reply.ok:
        raise refusal(reply)
    return errors.read_json(reply)


def refusal(reply: Reply) -> errors.ProviderError:
    """The error that a reply outside 2xx stands for, with the wait it asks for."""
    error = errors.refusal(reply, CODES, read_error)
    if isinstance(error, errors.RateLimited | errors.Unavailable):
        exact_s = milliseconds(reply, "retry-after-ms")
        if exact_s is not None:
            error.retry_after_s = exact_s
    return error


def milliseconds(reply: Reply, header: str) -> float | None:
    """A header in milliseconds as seconds; None when it is absent or no number."""
    try:
        seconds = float(reply.headers.get(header, "")) / 1000
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def read_error(body: Any) -> tuple[str, str]:
    """Code (or else type) and message of an error body, wrapped or bare."""
    error = body.get("error") or body
    if not isinstance(error, Mapping):
        return "", str(error)
    return str(error.get("code") or error.get("type") or ""), str(error["message"])
