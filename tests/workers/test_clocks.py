"""The database's clock by the process's own, whatever a reading costs."""

from __future__ import annotations

import pytest

from app.store.gates import ClockReading
from workers.clocks import DatabaseClock, uptime_s

EPOCH = 1_780_000_000.0


def reading(at: float, *, way_s: float = 0.0, back_s: float = 0.0) -> ClockReading:
    """The clock as it is when monotonic time is `at` and both began together."""
    return ClockReading(at - way_s, int((EPOCH + at) * 1000) / 1000, at + back_s)


def test_quick_reading_tells_the_time() -> None:
    clock = DatabaseClock()
    assert clock.monotonic(reading(10.0), 2.0) == pytest.approx(12.0, abs=0.002)


@pytest.mark.parametrize("slow", [{"way_s": 0.2}, {"back_s": 0.2}])
def test_slow_reading_is_set_right_by_a_quick_one_before(
    slow: dict[str, float],
) -> None:
    clock = DatabaseClock()
    clock.monotonic(reading(10.0), 0.0)
    assert clock.monotonic(reading(20.0, **slow), 0.0) == pytest.approx(20.0, abs=0.005)


def test_clock_that_was_set_is_believed() -> None:
    clock = DatabaseClock()
    clock.monotonic(reading(10.0), 0.0)
    later = ClockReading(20.0, EPOCH + 620.0, 20.0)
    assert clock.monotonic(later, 1.0) == pytest.approx(21.0, abs=0.002)


def test_uptime_goes_forward() -> None:
    assert uptime_s() <= uptime_s()
