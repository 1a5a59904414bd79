"""The picture of docs/performance.md; the only module that needs matplotlib."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]

mpl.use("svg")
from matplotlib import pyplot

from app.durations import Learned, Plan
from tests.benchmarks import looks
from tests.benchmarks.looks import Cost, Law

COSTS = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
INTERVALS = (0.05, 0.08, 0.12, 0.2, 0.3, 0.45)  # of the median


def draw(path: Path) -> None:
    """Looks per job over the mean delay: one part per law."""
    mpl.rcParams["svg.hashsalt"] = "looks"
    mpl.rcParams["svg.fonttype"] = "none"
    figure, parts = pyplot.subplots(1, len(looks.LAWS), figsize=(11, 3.6))
    for axes, law in zip(parts, looks.LAWS, strict=True):
        _draw_law(axes, law)
    parts[0].set_ylabel("looks per job")
    parts[0].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    # what editors and checks of whitespace expect of a text file
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line.rstrip() for line in lines)
    path.write_text(text + "\n", encoding="utf-8")


def _draw_law(axes: pyplot.Axes, law: Law) -> None:
    rng = random.Random(1)
    known, _ = looks.learn(law, looks.JOBS, law.median_s, rng, Learned())
    every = [looks.cost_of(law, looks.fixed(s * law.median_s)) for s in INTERVALS]
    plans = [
        looks.cost_of(law, looks.planned(Plan(known, law.median_s, c))) for c in COSTS
    ]
    best = [looks.cost_of(law, looks.optimum(law, c)) for c in COSTS]
    _line(axes, every, "fixed interval", "0.55", "--")
    _line(axes, plans, "learned plan, 50 jobs", "tab:blue", "o-")
    _line(axes, best, "best possible", "tab:green", "-")
    backoff = looks.cost_of(law, looks.backoff)
    axes.plot(
        backoff.mean_s, backoff.looks, "x", color="tab:red", label="1, 2, 4 … 30 s"
    )
    axes.set_title(law.name, fontsize=9)
    axes.set_xlabel("mean delay, s")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)


def _line(
    axes: pyplot.Axes, costs: Sequence[Cost], name: str, color: str, style: str
) -> None:
    axes.plot(
        [cost.mean_s for cost in costs],
        [cost.looks for cost in costs],
        style,
        color=color,
        label=name,
        markersize=4,
        linewidth=1.3,
    )
