"""What was measured, as values: percentiles, figures, the table of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Better(StrEnum):
    """In which direction a figure improves."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a run gave.

    `goal` is what it should be, in the direction of `better`; `limit` is the same work
    without us, where there is such a thing, and `limit_is` says what that was.
    """

    name: str
    measured: float
    unit: str
    better: Better = Better.LESS
    goal: float | None = None
    limit: float | None = None
    limit_is: str = ""
    note: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        if math.isnan(self.measured):
            return False
        if self.better is Better.MORE:
            return self.measured >= self.goal
        return self.measured <= self.goal


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of them do not exceed.

    NaN for none at all.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, not at {share}")
    if not values:
        return math.nan
    # A product such as 0.95 * 20 may come out a hair too large.
    place = math.ceil(round(share * len(values), 9))
    return sorted(values)[max(place, 1) - 1]


def shown(number: float | None) -> str:
    """Three digits that matter, thousands set apart."""
    if number is None:
        return ""
    if math.isnan(number):
        return "nothing seen"
    if math.isinf(number):
        return "never"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """Markdown: figure, goal, measured, limit."""
    rows = [("figure", "goal", "measured", "limit"), ("---", "---:", "---:", "---")]
    for figure in figures:
        sign = "≥" if figure.better is Better.MORE else "≤"
        goal = "" if figure.goal is None else f"{sign} {shown(figure.goal)}"
        missed = " (missed)" if figure.is_reached is False else ""
        measured = f"{shown(figure.measured)} {figure.unit}".rstrip() + missed
        limit = f"{shown(figure.limit)} {figure.limit_is}".strip()
        name = f"{figure.name} ({figure.note})" if figure.note else figure.name
        rows.append((name, goal, measured, limit))
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    return "\n".join(
        f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |"
        for row in rows
    )


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """The figures for a file; what is not a number is null."""
    return [
        {
            name: None
            if isinstance(value, float) and not math.isfinite(value)
            else value
            for name, value in asdict(figure).items()
        }
        | {"is_reached": figure.is_reached}
        for figure in figures
    ]


def report(figures: Sequence[Figure], machine: dict[str, object]) -> str:
    """All of a run as JSON."""
    return json.dumps({"machine": machine, "figures": as_json(figures)}, indent=1)
