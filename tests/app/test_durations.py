"""What is learned of durations, and where the looks lie by it."""

from __future__ import annotations

import math
import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import durations
from app.durations import BINS, EDGES, Learned, Plan

COST = 0.01
SECONDS = st.floats(0.01, 50_000)


def taught(
    *durations_s: float, typical_s: float = 60.0, called: bool = False
) -> Learned:
    learned = Learned()
    for duration_s in durations_s:
        learned = durations.observe(
            learned,
            typical_s,
            after_s=duration_s,
            before_s=duration_s,
            called=called,
        )
    return learned


def looks_of(plan: Plan, duration_s: float) -> list[float]:
    """The instants at which a job of this length is looked at, seconds after it."""
    times = [0.0]
    while times[-1] < duration_s:
        times.append(times[-1] + max(plan.next_s(times[-1]), 0.2))
    return times[1:]


@given(SECONDS, st.lists(SECONDS, max_size=30))
def test_shares_are_a_distribution_without_impossible_durations(
    typical_s: float, seen: list[float]
) -> None:
    likely = durations.shares(taught(*seen, typical_s=typical_s), typical_s)
    assert math.isclose(sum(likely), 1)
    assert min(likely) > 0


def test_before_any_job_the_typical_time_is_believed() -> None:
    likely = durations.shares(Learned(), 60)
    assert durations.quantile(likely, 0.5) == pytest.approx(60, rel=0.1)


def test_what_is_seen_outweighs_a_wrong_typical_time() -> None:
    rng = random.Random(1)
    seen = [rng.lognormvariate(math.log(12), 0.4) for _ in range(40)]
    likely = durations.shares(taught(*seen, typical_s=200), 200)
    assert durations.quantile(likely, 0.5) == pytest.approx(12, rel=0.2)


def test_what_was_long_ago_is_forgotten() -> None:
    learned = taught(*[300.0] * 200, *[20.0] * 200)
    likely = durations.shares(learned, 60)
    assert durations.quantile(likely, 0.8) < 40
    assert sum(learned.weights) < 101


def test_an_end_between_two_looks_counts_where_it_is_likely() -> None:
    known = taught(*[20.0] * 20)
    learned = durations.observe(known, 60, after_s=5, before_s=100, called=False)
    added = [
        new - durations.DECAY * old
        for old, new in zip(known.weights, learned.weights, strict=True)
    ]
    assert sum(added) == pytest.approx(1)
    assert max(range(BINS), key=added.__getitem__) == durations.bin_of(20)


@given(SECONDS)
def test_every_duration_has_its_bin(duration_s: float) -> None:
    n = durations.bin_of(duration_s)
    assert n in range(BINS)
    if EDGES[0] <= duration_s < EDGES[-1]:
        assert EDGES[n] <= duration_s < EDGES[n + 1] * (1 + 1e-9)


def test_no_look_lies_in_the_time_when_no_job_ends() -> None:
    rng = random.Random(2)
    seen = [rng.lognormvariate(math.log(60), 0.3) for _ in range(50)]
    plan = Plan(taught(*seen), 60, COST)
    assert plan.next_s(0) > 20


def test_looks_are_dense_where_jobs_end_and_rare_afterwards() -> None:
    rng = random.Random(3)
    seen = [rng.lognormvariate(math.log(60), 0.3) for _ in range(50)]
    plan = Plan(taught(*seen), 60, COST)
    assert plan.next_s(60) < plan.next_s(0) / 3
    assert plan.next_s(600) > 2 * plan.next_s(60)


def test_an_untried_typical_time_is_not_relied_upon() -> None:
    plan = Plan(taught(3.0, 3.0), 600, COST)
    first = looks_of(plan, 3)
    assert first[-1] < 4


@given(SECONDS, st.lists(SECONDS, max_size=8), st.floats(0, 1e6))
def test_there_is_always_a_next_look(
    typical_s: float, seen: list[float], elapsed_s: float
) -> None:
    plan = Plan(taught(*seen, typical_s=typical_s), typical_s, COST)
    delay = plan.next_s(elapsed_s)
    assert 0 <= delay < math.inf


def test_upstreams_that_call_home_are_looked_at_rarely() -> None:
    rng = random.Random(4)
    seen = [rng.lognormvariate(math.log(60), 0.4) for _ in range(50)]
    asked = Plan(taught(*seen), 60, COST)
    called = Plan(taught(*seen, called=True), 60, COST)
    assert mean(len(looks_of(called, s)) for s in seen) < 2
    assert mean(len(looks_of(asked, s)) for s in seen) > 4


def test_a_callback_that_stays_away_brings_the_looks_back() -> None:
    rng = random.Random(5)
    seen = [rng.lognormvariate(math.log(60), 0.4) for _ in range(50)]
    learned = taught(*seen, called=True)
    for duration_s in seen[:5]:
        learned = durations.observe(
            learned, 60, after_s=0, before_s=duration_s, called=False
        )
    plan = Plan(learned, 60, COST)
    assert mean(len(looks_of(plan, s)) for s in seen) > 4


def test_cheaper_looks_are_more_looks_and_less_delay() -> None:
    rng = random.Random(6)
    seen = [rng.lognormvariate(math.log(60), 0.4) for _ in range(50)]
    counts, delays = [], []
    for cost in (0.1, 0.01, 0.001):
        plan = Plan(taught(*seen), 60, cost)
        runs = [(looks_of(plan, s), s) for s in seen]
        counts.append(mean(len(looks) for looks, _ in runs))
        delays.append(mean(looks[-1] - s for looks, s in runs))
    assert counts == sorted(counts)
    assert delays == sorted(delays, reverse=True)
