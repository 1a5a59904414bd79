"""How long an upstream's jobs take: a histogram that forgets, and what it tells; pure.

32 bins, evenly spaced in the logarithm of the duration, hold decaying counts. A job's
end is known only to lie between two looks, so it counts for the bins in between, each
as much as is already believed of it. Until there are jobs, the model's typical time
stands in for some of them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

BINS = 32
SHORTEST_S = 0.5
LONGEST_S = 4 * 3600.0
STEP = math.log(LONGEST_S / SHORTEST_S) / BINS
EDGES = tuple(SHORTEST_S * math.exp(STEP * n) for n in range(BINS + 1))

# What a count is worth after one more job: about the last hundred jobs speak.
DECAY = 0.99
# The typical time of a catalogue counts as so many jobs. A quarter of it lies far
# around, so that no duration is held to be impossible.
PRIOR_JOBS, PRIOR_FADES = 2.0, 10.0
NEAR_SIGMA, FAR_SIGMA, FAR_SHARE = 0.7, 1.6, 0.25
NEVER_NOTHING = 1e-9
# A job counts for its neighbours too: fifty jobs are few for 32 bins.
KERNEL = (0.25, 0.5, 0.25)

Weights = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What was seen of one model at one channel.

    `called_share`, 0 to 1, tells how many of the last jobs were announced by the
    upstream's own callback.
    """

    weights: Weights = (0.0,) * BINS
    job_count: int = 0
    called_share: float = 0.0


def bin_of(duration_s: float) -> int:
    """The bin of a duration; the outer ones take what lies beyond them."""
    return min(max(bisect_right(EDGES, duration_s) - 1, 0), BINS - 1)


def observe(
    learned: Learned,
    typical_s: float,
    *,
    after_s: float,
    before_s: float,
    called: bool,
) -> Learned:
    """One more job, which ended between two instants after it was sent."""
    first, last = bin_of(after_s), bin_of(max(before_s, after_s))
    believed = shares(learned, typical_s)[first : last + 1]
    total = sum(believed)
    added = [0.0] * BINS
    for n, share in enumerate(believed, first):
        for side, part in enumerate(KERNEL, -1):
            added[min(max(n + side, 0), BINS - 1)] += part * share / total
    weights = tuple(
        DECAY * old + new for old, new in zip(learned.weights, added, strict=True)
    )
    share = learned.called_share
    return Learned(weights, learned.job_count + 1, share + (called - share) / 10)


def shares(learned: Learned, typical_s: float) -> Weights:
    """How likely each bin is, by what was seen and by the typical time; sums to 1."""
    prior, worth = _prior(typical_s), _prior_worth(learned)
    total = worth + sum(learned.weights)
    return tuple(
        (seen + worth * before) / total
        for seen, before in zip(learned.weights, prior, strict=True)
    )


def quantile(likely: Sequence[float], q: float) -> float:
    """The duration that a share `q` of jobs does not exceed, in seconds."""
    below = 0.0
    for n, share in enumerate(likely):
        if below + share >= q and share > 0:
            return EDGES[n] * math.exp(STEP * (q - below) / share)
        below += share
    return EDGES[-1]


def _prior_worth(learned: Learned) -> float:
    """How many jobs the typical time counts for; it fades as jobs are seen."""
    return PRIOR_JOBS / (1 + learned.job_count / PRIOR_FADES)


@lru_cache(maxsize=1024)
def _prior(typical_s: float) -> Weights:
    near, far = (_log_normal(typical_s, sigma) for sigma in (NEAR_SIGMA, FAR_SIGMA))
    mixed = [
        (1 - FAR_SHARE) * one + FAR_SHARE * other + NEVER_NOTHING
        for one, other in zip(near, far, strict=True)
    ]
    return tuple(share / sum(mixed) for share in mixed)


def _log_normal(median_s: float, sigma: float) -> Weights:
    """The share of each bin under a log-normal law; the outer bins take the tails."""
    below = [
        0.5 * (1 + math.erf(math.log(edge / median_s) / (sigma * math.sqrt(2))))
        for edge in EDGES[1:-1]
    ]
    cumulated = [0.0, *below, 1.0]
    return tuple(b - a for a, b in pairwise(cumulated))


PARTS = 16  # of each bin, for the plan
PART = STEP / PARTS
# The plan begins where hardly any job has ended and stops where hardly any is left.
BEGIN, END = 0.002, 0.995
# Beyond that the next look comes after this share of the time that has passed.
LOOK_SHARE = 0.2
# With fewer jobs than this the typical time is only a guess, and may be far off.
TRUSTED_JOBS = 3
# An upstream that calls home needs few looks: one for a callback that was lost.
CALLED_SHARE, CALLED_COST = 0.8, 30.0


class Plan:
    """When to look at a model's jobs, so that looks and delay together cost least.

    One look is worth `look_cost` times the median duration of delay. Looks then lie
    nowhere in the dead time before the earliest likely end, and after it about as dense
    as the square root of the hazard rate (the rate of ending among jobs that have not
    ended). That law holds for many looks; with four to ten it wastes a twentieth, so
    the least cost is computed backwards from the end, look by look.
    """

    def __init__(self, learned: Learned, typical_s: float, look_cost: float) -> None:
        likely = shares(learned, typical_s)
        self.median_s = quantile(likely, 0.5)
        self.is_trusted = learned.job_count >= TRUSTED_JOBS
        if learned.called_share >= CALLED_SHARE:
            look_cost *= CALLED_COST
        self._times, alive = _survival(_smooth(_fitted(learned, likely)), likely)
        self._next = _least_cost(self._times, alive, look_cost * self.median_s)

    def next_s(self, elapsed_s: float) -> float:
        """Seconds until the next look at a job that began `elapsed_s` ago."""
        soon = elapsed_s * LOOK_SHARE
        if elapsed_s >= self._times[-1]:
            return soon
        planned = self._planned_s(elapsed_s)
        return planned if self.is_trusted else min(planned, soon)

    def _planned_s(self, elapsed_s: float) -> float:
        at = bisect_right(self._times, elapsed_s) - 1
        low, high = self._times[at], self._times[at + 1]
        share = (elapsed_s - low) / (high - low)
        one, other = self._times[self._next[at]], self._times[self._next[at + 1]]
        return one + share * (other - one) - elapsed_s


def _fitted(learned: Learned, likely: Sequence[float]) -> Weights:
    """Half of what was seen replaced by a log-normal law of the same mean and spread.

    It evens out what is chance in few jobs, and the other half keeps what is not
    log-normal.
    """
    seen = sum(learned.weights)
    if learned.job_count < TRUSTED_JOBS:
        return tuple(likely)
    middles = [math.log(edge) + STEP / 2 for edge in EDGES[:-1]]
    mean = sum(w * at for w, at in zip(learned.weights, middles, strict=True)) / seen
    spread = sum(
        w * (at - mean) ** 2 for w, at in zip(learned.weights, middles, strict=True)
    )
    # The kernel and the bins themselves have widened it.
    variance = max(spread / seen - STEP**2 * (0.5 + 1 / 12), 0.01)
    law = _log_normal(math.exp(mean), math.sqrt(variance))
    part = 0.5 * seen / (seen + _prior_worth(learned))
    return tuple(
        share + part * (even - weight / seen)
        for share, even, weight in zip(likely, law, learned.weights, strict=True)
    )


def _smooth(likely: Sequence[float]) -> list[float]:
    """The parts of every bin, their density a line from bin to bin; sums to 1."""
    beyond = (0.0, *likely, 0.0)
    parts = []
    for n in range(1, len(likely) + 1):
        for part in range(PARTS):
            aside = (part + 0.5) / PARTS - 0.5
            other = beyond[n + 1] if aside > 0 else beyond[n - 1]
            parts.append(beyond[n] * (1 - abs(aside)) + other * abs(aside))
    total = sum(parts)
    return [part / total for part in parts]


def _survival(
    parts: Sequence[float], likely: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Instants, and the share of jobs that have not ended by then."""
    begin = int(bin_of(quantile(likely, BEGIN))) * PARTS
    end = min((bin_of(quantile(likely, END)) + 1) * PARTS, BINS * PARTS)
    left = [1.0 - below for below in accumulate(parts, initial=0.0)]
    places = range(begin, end + 1)
    times = [SHORTEST_S * math.exp(PART * n) for n in places]
    return [0.0, *times], [1.0, *(max(left[n], 0.0) for n in places)]


def _least_cost(
    times: Sequence[float], alive: Sequence[float], cost_s: float
) -> list[int]:
    """For every instant, which one to look at next (by dynamic programming)."""
    last = len(times) - 1
    waited = [0.0]  # the integral of `alive`
    for n in range(last):
        waited.append(
            waited[-1] + (alive[n] + alive[n + 1]) / 2 * (times[n + 1] - times[n])
        )
    least = [0.0] * last + [alive[last] * cost_s / LOOK_SHARE]
    chosen = [last] * (last + 1)
    for n in range(last - 1, -1, -1):
        best, best_at = math.inf, last
        for at in range(n + 1, last + 1):
            delay_s = alive[n] * (times[at] - times[n]) - (waited[at] - waited[n])
            cost = alive[n] * cost_s + delay_s + least[at]
            if cost < best:
                best, best_at = cost, at
            elif cost > 1.5 * best and at > best_at + PARTS:
                break
        least[n], chosen[n] = best, best_at
    return chosen
