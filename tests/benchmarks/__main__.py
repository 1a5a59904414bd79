"""The command behind `scripts/bench`."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest

from tests.benchmarks import (
    intake,
    latency,
    limits,
    litellm,
    looks,
    machine,
    poll,
    profiles,
    soak,
    whole,
)
from tests.benchmarks.figures import Better, Figure, report, shown, table
from tests.benchmarks.stand import ROOT, Options

BY_NAME: Mapping[str, ModuleType] = {
    module.NAME: module
    for module in (
        looks,
        limits,
        intake,
        litellm,
        poll,
        latency,
        whole,
        soak,
        profiles,
    )
}
# Asked for by name: they take long, or give no figures.
ONLY_NAMED = (soak.NAME, profiles.NAME)
# Pure, of the machine, or of others: another checkout changes nothing in them.
NOT_AGAINST = (looks.NAME, limits.NAME, litellm.NAME, profiles.NAME)
ROUNDS = 2
SAME = 0.02
TROUBLES = (pytest.skip.Exception, pytest.fail.Exception)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for; 0 when everything could be measured."""
    asked = parser().parse_args(arguments)
    names = asked.names or [name for name in BY_NAME if name not in ONLY_NAMED]
    asked.folder.mkdir(parents=True, exist_ok=True)
    options = Options(
        checkout=ROOT,
        folder=asked.folder.resolve(),
        seconds=asked.seconds,
        say=say,
        pictures=asked.pictures,
        small=asked.small,
    )
    described = machine.describe()
    say(" ".join(f"{name}={value}" for name, value in described.items()))
    figures: list[Figure] = []
    failed = []
    for name in names:
        module = BY_NAME[name]
        say(f"\n## {name}\n")
        mine = options
        if module is soak:
            mine = replace(options, seconds=asked.minutes * 60)
        try:
            if asked.against is not None and name not in NOT_AGAINST:
                figures += against(module, mine, asked.against.resolve())
            else:
                figures += module.measure(mine)
        except (Exception, *TROUBLES) as error:
            failed.append(name)
            expected = isinstance(error, (RuntimeError, AssertionError, *TROUBLES))
            told = str(error) if expected else traceback.format_exc()
            say(f"{name} failed: {told}")
    say("\n" + table(figures))
    described["load_average_after"] = [round(load, 2) for load in os.getloadavg()]
    if asked.json is not None:
        asked.json.write_text(report(figures, described) + "\n", encoding="utf-8")
    if failed:
        say(f"not measured: {', '.join(failed)}; logs are in {options.folder}")
    return 1 if failed else 0


def against(module: ModuleType, options: Options, other: Path) -> list[Figure]:
    """Two checkouts in turns; gives this one's figures and says the ratios."""
    here: list[list[Figure]] = []
    there: list[list[Figure]] = []
    for n in range(ROUNDS):
        turns = [(options, here), (replace(options, checkout=other), there)]
        for mine, found in turns if n % 2 == 0 else reversed(turns):
            found.append(module.measure(mine))
    lines = ["| figure | here | there | ratio |", "| --- | ---: | ---: | --- |"]
    figures = []
    for n, figure in enumerate(here[0]):
        ours = fmean(run[n].measured for run in here)
        theirs = fmean(run[n].measured for run in there)
        figures.append(replace(figure, measured=ours))
        quotient = ours / theirs if theirs else float("nan")
        good = quotient > 1 if figure.better is Better.MORE else quotient < 1
        word = "better" if good else "worse"
        if abs(quotient - 1) < SAME:
            word = "the same"
        lines.append(
            f"| {figure.name}, {figure.unit} | {shown(ours)} | {shown(theirs)} "
            f"| {quotient:.2f} {word} |"
        )
    options.say("\n".join(lines))
    return figures


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    options = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure genrelay on this machine: processes of its own, on fresh"
        " databases, everything on loopback.",
    )
    options.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(BY_NAME)}; all but {' and '.join(ONLY_NAMED)} without any",
    )
    options.add_argument(
        "--json", type=Path, metavar="FILE", help="write figures there"
    )
    options.add_argument(
        "--seconds", type=float, default=10.0, help="of one measuring, 10 without it"
    )
    options.add_argument(
        "--minutes", type=float, default=2.0, help="that `soak` takes, 2 without it"
    )
    options.add_argument(
        "--against", type=Path, metavar="PATH", help="a second checkout, in turns"
    )
    options.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="where `looks` draws its plot"
    )
    options.add_argument(
        "--small", action="store_true", help="fewer rows, for trying the command"
    )
    options.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "data" / "bench",
        help="for logs and for LiteLLM's environment, data/bench without it",
    )
    return options


if __name__ == "__main__":
    sys.exit(main())
