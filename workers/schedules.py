"""Seconds until the next look, try or attempt; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

SPREAD = 0.2


def look_delay_s(
    *,
    planned_s: float,
    least_s: float,
    most_s: float,
    hint_s: float | None,
    spread: float,
) -> float:
    """Seconds until a submission is looked at again.

    `planned_s` comes from the plan of its model (`app/durations.py`). `least_s` is the
    larger of the operator's and the provider's minimum spacing, `most_s` the operator's
    maximum. A hint of the upstream is obeyed up to ten times that. `spread`, 0 to 1,
    adds up to a tenth, so that jobs of one moment do not stay together.
    """
    if hint_s is not None:
        return max(least_s, min(hint_s, 10 * most_s))
    delay = max(least_s, min(planned_s, most_s))
    return delay * (1 + spread / 10)


def by_progress_s(elapsed_s: float, percent: int | None) -> float:
    """Seconds that a job which reports its progress may still take; else infinite.

    Upstreams count in steps of their own and often stand still near the end, so this
    only ever brings a look forward.
    """
    if not percent or percent >= 100:
        return math.inf
    return elapsed_s * (100 - percent) / percent


def try_delay_s(try_count: int, spread: float) -> float:
    """Seconds until a task that no channel took is tried again: 1, 2, 4 ... 300."""
    return min(2.0 ** min(try_count, 9), 300.0) * (1 + spread / 10)


def pause_s(failure_count: int) -> float:
    """Seconds for which a refused channel, or a dead receiver, is left alone: 15, 30
    ... one hour."""
    return min(15.0 * 2.0 ** min(failure_count, 10), 3600.0)


def attempt_delay_s(
    attempt_count: int,
    schedule: Sequence[float],
    retry_after_s: float | None,
    spread: float,
) -> float | None:
    """Seconds until a delivery is tried again after `attempt_count` attempts.

    None when the schedule is used up. Each step is spread by a fifth to both sides
    (`spread`, 0 to 1); a Retry-After counts between one and two steps.
    """
    if attempt_count >= len(schedule):
        return None
    step = schedule[attempt_count]
    delay = step * (1 - SPREAD + 2 * SPREAD * spread)
    if retry_after_s is not None:
        delay = min(max(delay, retry_after_s, step), 2 * step)
    return delay
