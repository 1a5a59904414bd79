"""What the gateway itself refuses; `app/api/problems.py` gives each its HTTP status.

GatewayError
├── InvalidRequest       a field is wrong; `errors` names it
│   └── ModelNotFound    nobody serves this model
├── NotAuthenticated     no key, or none that we know
├── NotAllowed           the key may not do this
├── TaskNotFound         unknown id, or another client's
├── ResultNotFound       the task has no such result
├── Conflict             not possible in the task's present state, or a lost race
├── IdempotencyMismatch  the same key with another body
├── PaymentRequired      the balance or the budget does not suffice
├── LimitReached         too much for this key's own limits; come back
├── TooLarge             a body, a part or an image over its limit
├── UnsupportedType      a content type that is not taken
└── NotReady             the store does not answer; come back
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FieldErrors = Mapping[str, Sequence[str]]


class GatewayError(Exception):
    """Something that the gateway refuses; the text is for the client."""

    code = "error"

    def __init__(
        self, message: str, *, errors: FieldErrors | None = None, code: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.errors = errors
        self.code = code or self.code


class InvalidRequest(GatewayError):
    """A field is wrong; `errors` names it."""

    code = "invalid_request"


class ModelNotFound(InvalidRequest):
    """Nobody serves this model."""

    code = "model_not_found"


class NotAuthenticated(GatewayError):
    """There is no key, or none that we know."""

    code = "invalid_api_key"


class NotAllowed(GatewayError):
    """The key may not do this."""

    code = "not_allowed"


class TaskNotFound(GatewayError):
    """The id is unknown, or another client's: the answer is the same."""

    code = "task_not_found"


class ResultNotFound(GatewayError):
    """The task has no such result, or it is gone."""

    code = "result_not_found"


class Conflict(GatewayError):
    """Not possible in the task's present state, or a lost race."""

    code = "conflict"


class IdempotencyMismatch(GatewayError):
    """The same `Idempotency-Key` came with another body."""

    code = "idempotency_key_reused"


class PaymentRequired(GatewayError):
    """The balance or the budget of the key does not suffice."""

    code = "insufficient_balance"


class LimitReached(GatewayError):
    """The key's own `limit` is reached: `retry_after_s` is when to come back."""

    code = "rate_limited"

    def __init__(
        self, message: str, *, code: str, retry_after_s: int, limit: int
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
        self.limit = limit


class TooLarge(GatewayError):
    """A body, a part or an image is over its limit."""

    code = "too_large"


class UnsupportedType(GatewayError):
    """A content type that is not taken."""

    code = "unsupported_media_type"


class NotReady(GatewayError):
    """The store does not answer; the client should come back."""

    code = "not_ready"
