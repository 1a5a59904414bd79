"""Delays: dense where something is likely, never under a minimum, never without end."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import schedules

SECONDS = st.floats(0, 1e6)
CHANCE = st.floats(0, 1)
STEPS = (0.0, 5.0, 300.0, 1800.0)


def look(
    planned_s: float = 0,
    hint_s: float | None = None,
    spread: float = 0,
    least_s: float = 1,
    most_s: float = 30,
) -> float:
    return schedules.look_delay_s(
        planned_s=planned_s,
        least_s=least_s,
        most_s=most_s,
        hint_s=hint_s,
        spread=spread,
    )


@pytest.mark.parametrize(
    ("planned_s", "wanted"), [(0, 1), (0.7, 1), (12, 12), (30, 30), (9999, 30)]
)
def test_plan_is_kept_within_the_bounds_of_operator_and_provider(
    planned_s: float, wanted: float
) -> None:
    assert look(planned_s) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("percent", "wanted"), [(None, inf), (0, inf), (100, inf), (50, 40), (80, 10)]
)
def test_progress_tells_what_may_be_left(percent: int | None, wanted: float) -> None:
    assert schedules.by_progress_s(40, percent) == wanted


def test_looks_that_began_together_do_not_stay_together() -> None:
    assert look(60, spread=1) == pytest.approx(1.1 * look(60))


@pytest.mark.parametrize(
    ("hint_s", "wanted"), [(0, 1), (0.2, 1), (7, 7), (299, 299), (5000, 300)]
)
def test_hint_is_obeyed_within_bounds(hint_s: float, wanted: float) -> None:
    assert look(60, hint_s, spread=1) == wanted


@given(planned_s=SECONDS, hint_s=st.none() | SECONDS, spread=CHANCE)
def test_look_is_never_sooner_than_the_spacing(
    planned_s: float, hint_s: float | None, spread: float
) -> None:
    assert 2 <= look(planned_s, hint_s, spread, least_s=2) <= 300


def test_spacing_of_the_provider_wins_over_the_operators_maximum() -> None:
    assert look(9999, least_s=60, most_s=30) == 60


def test_tries_of_a_task_are_further_and_further_apart() -> None:
    waits = [schedules.try_delay_s(n, 0) for n in range(12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert schedules.try_delay_s(5000, 1) == pytest.approx(330)


def test_pauses_double_up_to_an_hour() -> None:
    assert [schedules.pause_s(n) for n in range(10)] == [
        15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600,
    ]  # fmt: skip
    assert schedules.pause_s(5000) == 3600


@given(spread=CHANCE, count=st.integers(1, 3))
def test_attempts_keep_to_a_fifth_around_their_step(spread: float, count: int) -> None:
    delay = schedules.attempt_delay_s(count, STEPS, None, spread)
    assert delay is not None
    assert 0.8 * STEPS[count] <= delay <= 1.2 * STEPS[count] + 1e-6


@given(spread=CHANCE, retry_after_s=SECONDS, count=st.integers(1, 3))
def test_retry_after_is_obeyed_between_one_and_two_steps(
    spread: float, retry_after_s: float, count: int
) -> None:
    delay = schedules.attempt_delay_s(count, STEPS, retry_after_s, spread)
    assert delay is not None
    assert STEPS[count] <= delay <= 2 * STEPS[count]
    if STEPS[count] * 1.2 <= retry_after_s <= 2 * STEPS[count]:
        assert delay == retry_after_s


@pytest.mark.parametrize("count", [4, 5, 100])
def test_schedule_that_is_used_up_gives_no_further_attempt(count: int) -> None:
    assert schedules.attempt_delay_s(count, STEPS, 5, 0.5) is None
