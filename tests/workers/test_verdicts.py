"""What an error means: whether the upstream may have accepted, and who must act."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from providers import errors
from workers import verdicts
from workers.verdicts import AtPoll, Blame, Next


def kinds(
    root: type[errors.ProviderError] = errors.ProviderError,
) -> Iterator[type[errors.ProviderError]]:
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


EVERY_KIND = sorted(set(kinds()), key=str)
MAY_BE_TAKEN = {
    errors.ProviderError,
    errors.Unavailable,
    errors.OutcomeUnknown,
    errors.AnswerLost,
    errors.UnexpectedReply,
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_paid_call_that_may_have_been_taken_is_never_sent_again_by_itself(
    kind: type[errors.ProviderError],
) -> None:
    ruling = verdicts.at_submit(kind("x"), paid=True)
    assert (ruling.next is Next.RESOLVE) is (kind in MAY_BE_TAKEN)


@pytest.mark.parametrize("kind", sorted(MAY_BE_TAKEN - {errors.ProviderError}, key=str))
def test_trouble_before_the_paid_call_is_no_unknown_outcome(
    kind: type[errors.ProviderError],
) -> None:
    assert verdicts.at_submit(kind("x"), paid=False) is verdicts.NOT_SENT


@pytest.mark.parametrize("paid", [True, False])
@pytest.mark.parametrize(
    ("kind", "what", "blame"),
    [
        (errors.Rejected, Next.FAIL, Blame.NOBODY),
        (errors.ContentRejected, Next.FAIL, Blame.NOBODY),
        (errors.KeyRefused, Next.ELSEWHERE, Blame.KEY),
        (errors.QuotaExhausted, Next.ELSEWHERE, Blame.KEY),
        (errors.ChannelRefused, Next.ELSEWHERE, Blame.CHANNEL),
        (errors.ModelRefused, Next.ELSEWHERE, Blame.NOBODY),
        (errors.NotFound, Next.ELSEWHERE, Blame.NOBODY),
        (errors.RateLimited, Next.LATER, Blame.NOBODY),
        (errors.NotSent, Next.LATER, Blame.COUNTED),
    ],
)
def test_refusal_is_ruled_alike_before_and_after_paying(
    kind: type[errors.ProviderError], what: Next, blame: Blame, paid: bool
) -> None:
    ruling = verdicts.at_submit(kind("x"), paid=paid)
    assert (ruling.next, ruling.blame) == (what, blame)


def test_new_kind_of_error_is_ruled_like_its_parent() -> None:
    class Frozen(errors.QuotaExhausted):
        pass

    assert verdicts.at_submit(Frozen("x"), paid=True).verdict == "refused_quota"
    assert verdicts.at_poll(Frozen("x")).blame is Blame.KEY


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_verdicts_fit_their_column(kind: type[errors.ProviderError]) -> None:
    ruling = verdicts.at_submit(kind("x"), paid=True)
    assert 0 < len(ruling.verdict) <= 20
    assert 0 < len(ruling.error_code) <= 60


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_look_that_failed_blames_only_a_refused_key(
    kind: type[errors.ProviderError],
) -> None:
    assert verdicts.at_poll(kind("x")) == AtPoll(
        missing=kind is errors.NotFound,
        blame=Blame.KEY if issubclass(kind, errors.ChannelRefused) else Blame.NOBODY,
    )
