"""How Google's APIs refuse a call.

`{"error": {"code", "message", "status", "details"}}`: the word in `status` counts, and
two of the details, the reason of an `ErrorInfo` and the quotas of a `QuotaFailure`.
Documentation: ai.google.dev/gemini-api/docs ("Troubleshooting", "Rate limits") and
google.rpc error_details, read in November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from providers import errors
from providers.errors import Codes, ProviderError
from providers.flow import NotJson, Reply

REASONS: Codes = {
    "API_KEY_INVALID": errors.KeyRefused,  # an invalid key is HTTP 400
}
STATUSES: Codes = {
    "INVALID_ARGUMENT": errors.Rejected,
    "OUT_OF_RANGE": errors.Rejected,
    "FAILED_PRECONDITION": errors.ChannelRefused,  # region, or no billing
    "UNAUTHENTICATED": errors.KeyRefused,
    "PERMISSION_DENIED": errors.ChannelRefused,
    "RESOURCE_EXHAUSTED": errors.RateLimited,
    "INTERNAL": errors.Unavailable,
    "UNAVAILABLE": errors.Unavailable,
    "DEADLINE_EXCEEDED": errors.Unavailable,
}
# A quota of the day is not back in a moment. That its id says so is seen in the wild
# and not documented.
DAILY = re.compile(r"per_?day", re.I)
DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def accepted(reply: Reply, *, absent: type[ProviderError]) -> Any:
    """The JSON body of a call that did not fail; `absent` is raised for a NOT_FOUND.

    A failure may come with status 200 (stream endpoints and proxies do so).
    """
    if not reply.ok:
        raise call_error(reply, absent=absent)
    body = errors.read_json(reply)
    found = error_object(body)
    # An operation that failed has an error beside its name: that is a value.
    if found and not (isinstance(body, Mapping) and "name" in body):
        raise call_error(reply, absent=absent)
    return body


def call_error(reply: Reply, *, absent: type[ProviderError]) -> ProviderError:
    """The error that a refused call stands for."""
    try:
        error = error_object(reply.json())
    except NotJson:
        error = {}
    message = str(error.get("message") or "")
    word = str(error.get("status") or "")
    status = reply.status
    if reply.ok:
        status = whole(error.get("code"), default=0)
    reason = next((str(each["reason"]) for each in details(error, "reason")), "")
    kind = REASONS.get(reason) or STATUSES.get(word) or errors.by_status(status)
    if word == "NOT_FOUND" or status == 404:
        kind = absent
    if kind is errors.RateLimited and is_daily(error):
        kind = errors.QuotaExhausted
    return errors.make(
        kind,
        message or f"HTTP {reply.status} without a readable error",
        code=reason if reason in REASONS else word,
        status=status,
        retry_after_s=retry_delay_s(error) or reply.retry_after_s,
    )


def error_object(body: Any) -> Mapping[str, Any]:
    """The error of a body, also of one wrapped in a list; empty when there is none."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else {}


def details(error: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The details that have this field."""
    listed = error.get("details")
    for detail in listed if isinstance(listed, list) else []:
        if isinstance(detail, Mapping) and name in detail:
            yield detail


def is_daily(error: Mapping[str, Any]) -> bool:
    """Whether a quota that was exceeded is one of a whole day."""
    return any(
        DAILY.search(str(violation.get("quotaId", "")))
        for detail in details(error, "violations")
        if isinstance(detail["violations"], list)
        for violation in detail["violations"]
        if isinstance(violation, Mapping)
    )


def retry_delay_s(error: Mapping[str, Any]) -> float | None:
    """Seconds of a `RetryInfo` ("17s"); no Retry-After header is promised."""
    for detail in details(error, "retryDelay"):
        if match := DELAY.fullmatch(str(detail["retryDelay"])):
            return float(match[1])
    return None


def whole(value: Any, *, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default
