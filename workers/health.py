"""When a channel is left alone, and for how long; pure."""

from __future__ import annotations

from workers import schedules

UNREACHABLE_IN_A_ROW = 5
# Each unknown outcome may have cost money, so fewer of them are borne.
UNKNOWN_IN_A_ROW = 3
ERROR_RATE = 0.5


def pause_after_failure_s(
    failure_count: int, error_rate: float, *, unknown: bool
) -> float | None:
    """Seconds to pause a channel after a failure; None: not yet.

    `failure_count` failures came in a row, this one included; `error_rate`, 0 to 1, is
    that of its last outcomes. Each further failure, of a probe after the pause,
    doubles the pause.
    """
    borne = UNKNOWN_IN_A_ROW if unknown else UNREACHABLE_IN_A_ROW
    if failure_count >= borne:
        return schedules.pause_s(failure_count - borne)
    if error_rate > ERROR_RATE:
        return schedules.pause_s(0)
    return None
