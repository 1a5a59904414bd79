"""What an error means for the task and its channel, at submit and at poll; pure.

The one question at submit is whether the upstream may have accepted. If it surely has
not, the task may go on; if it may have, the task is never sent again by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from providers import errors


class Blame(StrEnum):
    """Who is left alone after a failure."""

    NOBODY = "nobody"
    KEY = "key"  # the secret: at once
    CHANNEL = "channel"  # at once
    COUNTED = "counted"  # the channel, when it has failed too often


class Next(StrEnum):
    """What becomes of a task whose submit failed."""

    FAIL = "fail"  # no channel can do it
    ELSEWHERE = "elsewhere"  # another key or channel; none left: fail
    LATER = "later"  # the same or another channel after a while
    RESOLVE = "resolve"  # the outcome is unknown


@dataclass(frozen=True, slots=True)
class AtSubmit:
    """A ruling; `verdict` is the class that is stored with the submission."""

    verdict: str
    next: Next
    error_code: str = "upstream_refused"
    blame: Blame = Blame.NOBODY


@dataclass(frozen=True, slots=True)
class AtPoll:
    """A ruling on a look that brought no answer; a poll error never fails a task."""

    missing: bool = False
    blame: Blame = Blame.NOBODY


REJECTED = AtSubmit("refused_request", Next.FAIL, "invalid_request")
UNKNOWN = AtSubmit("unknown", Next.RESOLVE, "upstream_outcome_unknown", Blame.COUNTED)
NOT_SENT = AtSubmit("not_sent", Next.LATER, "upstream_unreachable", Blame.COUNTED)
# This process stood still: no channel is to blame.
HELD_UP = AtSubmit("not_sent", Next.LATER, "upstream_unreachable")

SUBMIT_RULINGS: dict[type[errors.ProviderError], AtSubmit] = {
    errors.Rejected: REJECTED,
    errors.ContentRejected: AtSubmit("refused_content", Next.FAIL, "content_rejected"),
    errors.ChannelRefused: AtSubmit(
        "refused_channel", Next.ELSEWHERE, blame=Blame.CHANNEL
    ),
    errors.KeyRefused: AtSubmit("refused_key", Next.ELSEWHERE, blame=Blame.KEY),
    errors.QuotaExhausted: AtSubmit("refused_quota", Next.ELSEWHERE, blame=Blame.KEY),
    errors.ModelRefused: AtSubmit("refused_model", Next.ELSEWHERE),
    # A path that is not there: the model, or the whole API, is not offered here.
    errors.NotFound: AtSubmit("refused_model", Next.ELSEWHERE),
    errors.RateLimited: AtSubmit("rate_limited", Next.LATER, "upstream_rate_limited"),
    errors.NotSent: NOT_SENT,
    errors.HeldUp: HELD_UP,
    errors.Unavailable: UNKNOWN,
    errors.OutcomeUnknown: UNKNOWN,
    errors.UnexpectedReply: UNKNOWN,
}

# Before the paid call nothing can have been accepted.
BEFORE_PAYING: dict[type[errors.ProviderError], AtSubmit] = {
    errors.Unavailable: NOT_SENT,
    errors.OutcomeUnknown: NOT_SENT,
    errors.UnexpectedReply: NOT_SENT,
}

POLL_RULINGS: dict[type[errors.ProviderError], AtPoll] = {
    errors.ProviderError: AtPoll(),
    errors.NotFound: AtPoll(missing=True),
    errors.ChannelRefused: AtPoll(blame=Blame.KEY),
}

T = TypeVar("T")


def at_submit(error: errors.ProviderError, *, paid: bool) -> AtSubmit:
    """The ruling on a failed submit; `paid` when the paid call had left."""
    if not paid and (ruling := _find(error, BEFORE_PAYING)):
        return ruling
    return _find(error, SUBMIT_RULINGS) or UNKNOWN


def at_poll(error: errors.ProviderError) -> AtPoll:
    """The ruling on a look that failed."""
    return _find(error, POLL_RULINGS) or AtPoll()


def _find(
    error: errors.ProviderError, rulings: dict[type[errors.ProviderError], T]
) -> T | None:
    for kind in type(error).__mro__:
        if kind in rulings:
            return rulings[kind]
    return None
