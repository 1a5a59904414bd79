"""What can go wrong between the gateway and an upstream, classed by who must act.

    ProviderError
    ├── Rejected               the client: this request can never be made
    │   └── ContentRejected    the client: moderation refused the content
    ├── ChannelRefused         an operator: this account may not do it
    │   ├── KeyRefused         the secret is wrong, expired or of another region
    │   ├── QuotaExhausted     the account has no money or no quota left
    │   └── ModelRefused       the account does not offer this model
    ├── RateLimited            nobody: surely not accepted, ask again later
    ├── Unavailable            nobody: the upstream is in trouble, nothing is known
    ├── NotFound               the upstream does not know this job (yet, or any more)
    ├── NotSent                nobody: the request never left, nothing has started
    │   └── HeldUp             us: it was held up, and to send it now would be too late
    ├── OutcomeUnknown         a second try may bill twice
    │   └── AnswerLost         the request was sent and its answer never came
    └── UnexpectedReply        us: the answer is not what the documentation says

A flow raises them; what each means for a task and its channel is one table in the
workers (`workers/verdicts.py`). A paid call whose outcome is `Unavailable`,
`OutcomeUnknown` or `UnexpectedReply` may have been accepted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from providers.flow import NotJson, Reply

P = ParamSpec("P")
T = TypeVar("T")

MESSAGE_LENGTH = 500


class ProviderError(Exception):
    """An exchange with an upstream failed; `code` and `status` are the upstream's."""

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message[:MESSAGE_LENGTH])
        self.code = code
        self.status = status


class Rejected(ProviderError):
    """This request can never be made; the client must change it."""


class ContentRejected(Rejected):
    """Moderation refused the prompt, an input or the output."""


class ChannelRefused(ProviderError):
    """This account may not do it; an operator must act, another channel may serve."""


class KeyRefused(ChannelRefused):
    """The secret is wrong, expired, or belongs to another region."""


class QuotaExhausted(ChannelRefused):
    """The account has no money or no quota left."""


class ModelRefused(ChannelRefused):
    """The account, or this upstream, does not offer the model."""


class RateLimited(ProviderError):
    """Refused for now and surely not accepted; the same call may be made later."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.retry_after_s = retry_after_s


class Unavailable(ProviderError):
    """The upstream is in trouble and said nothing of the task."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.retry_after_s = retry_after_s


class NotFound(ProviderError):
    """The upstream does not know this job: never existed, not yet seen, or deleted."""


class NotSent(ProviderError):
    """The request never left: no address, refused, no TLS, no connection in time."""


class HeldUp(NotSent):
    """The process was held up before the request left; it is too late to send it."""


class OutcomeUnknown(ProviderError):
    """The request may have been accepted; a second try may bill twice."""


class AnswerLost(OutcomeUnknown):
    """The request was sent and its answer never came, or came cut."""


class UnexpectedReply(ProviderError):
    """The answer is not what the documentation says."""


Codes = Mapping[str, type[ProviderError]]
ReadError = Callable[[Any], tuple[str, str]]


def read_error_object(body: Any) -> tuple[str, str]:
    """`{"error": {"code" or "type", "message"}}` as code and message."""
    error = body["error"]
    return str(error.get("code") or error.get("type") or ""), str(error["message"])


def check(reply: Reply, codes: Codes, read_error: ReadError = read_error_object) -> Any:
    """The JSON body of a successful reply; otherwise the error it stands for.

    `codes` maps the upstream's own error codes to classes; a code that is not in it,
    and a body that cannot be read, are classed by the HTTP status alone.
    """
    if reply.ok:
        return read_json(reply)
    raise refusal(reply, codes, read_error)


def read_json(reply: Reply) -> Any:
    """The JSON body of a reply, whatever its status, or `UnexpectedReply`."""
    try:
        return reply.json()
    except NotJson as error:
        raise UnexpectedReply(str(error), status=reply.status) from error


def refusal(
    reply: Reply, codes: Codes, read_error: ReadError = read_error_object
) -> ProviderError:
    """The error that a reply outside 2xx stands for."""
    code, message = "", ""
    try:
        code, message = read_error(reply.json())
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        message = f"HTTP {reply.status} without a readable error"
    return make(
        codes.get(code) or by_status(reply.status),
        message,
        code=code,
        status=reply.status,
        retry_after_s=reply.retry_after_s,
    )


def make(
    kind: type[ProviderError],
    message: str,
    *,
    code: str = "",
    status: int = 0,
    retry_after_s: float | None = None,
) -> ProviderError:
    """An error of `kind`, with the hint to wait where its class has one."""
    if issubclass(kind, RateLimited | Unavailable):
        return kind(message, code=code, status=status, retry_after_s=retry_after_s)
    return kind(message, code=code, status=status)


def by_status(status: int) -> type[ProviderError]:
    """The class of an error when only its HTTP status is known."""
    match status:
        case 401:
            return KeyRefused
        case 402:
            return QuotaExhausted
        case 403:
            return ChannelRefused
        case 404 | 410:
            return NotFound
        case 408 | 409 | 499:
            return OutcomeUnknown
        case 429:
            return RateLimited
        case 301 | 307 | 308:  # a base URL that moved; the body was not processed
            return ChannelRefused
        case _ if 400 <= status < 500:
            return Rejected
        case _ if status >= 500:
            return Unavailable
    return UnexpectedReply


def documented(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Turn a misfit between an answer and its documentation into `UnexpectedReply`.

    The reader below may index the answer as documented, without guarding each key.
    """

    def wrap(read: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(read)
        def reader(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return read(*args, **kwargs)
            except (
                KeyError,
                TypeError,
                ValueError,
                IndexError,
                AttributeError,
                OverflowError,
            ) as error:
                raise UnexpectedReply(
                    f"the answer is not {what}: {type(error).__name__} {error}"
                ) from error

        return reader

    return wrap
