"""The benchmarks themselves: that their sums are right; nothing is measured here."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks import looks
from tests.benchmarks.__main__ import against
from tests.benchmarks.answers import ends_at, job_id, length_of
from tests.benchmarks.figures import Better, Figure, percentile, report, table
from tests.benchmarks.looks import LAWS, Law, cost_of, fixed, optimum
from tests.benchmarks.profiles import shares
from tests.benchmarks.stand import Options


@pytest.mark.parametrize(
    ("share", "value"), [(0, 1), (0.5, 10), (0.95, 19), (0.99, 20), (1, 20)]
)
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(
    share: float, value: int
) -> None:
    assert percentile(list(range(20, 0, -1)), share) == value


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.95))


def test_a_figure_that_was_not_seen_has_missed_its_goal() -> None:
    assert Figure("x", math.nan, "ms", goal=1.0).is_reached is False
    assert Figure("x", 2.0, "", Better.MORE, goal=1.0).is_reached is True
    assert Figure("x", 2.0, "").is_reached is None


def test_what_was_never_seen_is_null_in_the_file() -> None:
    figures = [Figure("x", math.inf, "ms", goal=1.0), Figure("y", math.nan, "ms")]
    told = json.loads(report(figures, {}))["figures"]
    assert [figure["measured"] for figure in told] == [None, None]
    assert told[0]["is_reached"] is False


def test_the_table_says_which_goals_are_missed() -> None:
    found = table([Figure("a", 2.0, "ms", goal=1.0), Figure("b", 1.0, "ms", goal=1.0)])
    assert [line.count("(missed)") for line in found.splitlines()] == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("law", "best"), [(LAWS[0], 0.70), (LAWS[1], 0.60), (LAWS[2], 0.785)]
)
def test_the_optimum_of_the_simulator_is_the_known_one(law: Law, best: float) -> None:
    assert cost_of(law, optimum(law)).ratio == pytest.approx(best, abs=0.01)


def test_a_fixed_interval_costs_what_a_fixed_interval_costs() -> None:
    cost = cost_of(LAWS[0], fixed(2.0))
    assert cost.ratio == pytest.approx(1, abs=0.01)
    assert cost.mean_s == pytest.approx(1, abs=0.02)
    assert cost.p95_s <= 2


def test_no_way_to_poll_costs_less_than_the_optimum() -> None:
    law = LAWS[1]

    def price(cost: looks.Cost) -> float:
        return cost.looks * looks.COST * law.median_s + cost.mean_s

    least = price(cost_of(law, optimum(law)))
    rivals = [fixed(s) for s in (2.0, 5.0, 8.0, 15.0)]
    rivals += [looks.late_then_fixed(30.0, 6.0), looks.backoff]
    assert all(price(cost_of(law, wait)) > least for wait in rivals)


def test_a_job_of_the_quick_upstream_tells_its_own_end() -> None:
    assert ends_at(job_id(1_780_000_000.25, 7)) == 1_780_000_000.25


def test_the_length_of_a_body_is_read_in_any_case() -> None:
    assert length_of(b"POST / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: 12") == 12
    assert length_of(b"GET / HTTP/1.1\r\ncontent-length: 3\r\nHost: a") == 3
    assert length_of(b"GET / HTTP/1.1\r\nHost: a") == 0


def test_a_profile_counts_a_function_once_for_each_stack() -> None:
    stacks = ["a (x/y/f.py);b (f.py);a (x/y/f.py) 3", "b (f.py) 1"]
    found = shares(stacks)
    assert "| `a (y/f.py)` | 75 % |" in found
    assert "| `b (f.py)` | 100 % |" in found


def test_two_checkouts_are_measured_in_turns_and_compared(tmp_path: Path) -> None:
    turns: list[str] = []
    said: list[str] = []

    def measure(options: Options) -> list[Figure]:
        turns.append(options.checkout.name)
        rate = 200.0 if options.checkout.name == "here" else 100.0
        return [Figure("rate", rate, "per s", Better.MORE)]

    module = ModuleType("fake")
    module.measure = measure  # type: ignore[attr-defined]
    here = Options(tmp_path / "here", tmp_path, 1.0, said.append)
    figures = against(module, here, tmp_path / "there")
    assert turns == ["here", "there", "there", "here"]
    assert figures == [Figure("rate", 200.0, "per s", Better.MORE)]
    assert "| rate, per s | 200 | 100 | 2.00 better |" in said[0]
