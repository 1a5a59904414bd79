"""What went wrong with a call made with `requests`, in words for people."""

from __future__ import annotations

from collections.abc import Iterator

import requests
from urllib3.exceptions import NewConnectionError

SHOWN_CHARS = 200


def never_left(error: requests.RequestException) -> bool:
    """Whether the request was surely not sent: there was no connection to send it."""
    return isinstance(
        error, requests.ConnectTimeout | requests.exceptions.SSLError
    ) or any(isinstance(reason, NewConnectionError) for reason in _reasons(error))


def reason_of(error: requests.RequestException) -> str:
    """The innermost reason, such as "Connection refused".

    What lies around it are names of Python objects.
    """
    *_, reason = _reasons(error)
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason)[:SHOWN_CHARS] or type(reason).__name__


def _reasons(error: BaseException) -> Iterator[BaseException]:
    reason: BaseException | None = error
    while reason is not None:
        yield reason
        reason = reason.__cause__ or reason.__context__
