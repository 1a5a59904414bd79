"""How many looks, and how late: the learned plan against other ways to poll; pure.

Jobs take log-normal times. A way to poll tells from the time that has passed how long
to wait for the next look; what it costs is then computed over the whole law, without
chance. Ways are compared by one number: their looks as a share of those that polling at
a fixed interval needs for the same mean delay.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from statistics import NormalDist, fmean

from app.durations import Learned, Plan, observe
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.stand import Options
from workers.schedules import look_delay_s

NAME = "looks"
COST = 0.01  # GENRELAY_LOOK_COST
LEAST_S, MOST_S = 1.0, 30.0  # GENRELAY_POLL_MIN_S, GENRELAY_POLL_MAX_S
POINTS = 1000
SEEDS = 6
JOBS = 50
REPLAN_EVERY = 5

Wait = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Law:
    """A log-normal law of durations."""

    kind: str
    median_s: float
    sigma: float
    goal: float

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.median_s:g} s, sigma {self.sigma:g}"

    def quantile(self, share: float) -> float:
        """The duration that a share of jobs does not exceed."""
        return self.median_s * math.exp(self.sigma * NormalDist().inv_cdf(share))

    def alive(self, at_s: float) -> float:
        """The share of jobs that take longer than that."""
        if at_s <= 0:
            return 1.0
        z = math.log(at_s / self.median_s) / self.sigma
        return 0.5 * math.erfc(z / math.sqrt(2))

    def points(self) -> list[float]:
        """Durations that stand for equal shares of all jobs, the shortest first."""
        return _points(self)

    def times(self, factor: float) -> Law:
        """The law of a model that became so many times slower."""
        return Law(self.kind, self.median_s * factor, self.sigma, self.goal)


LAWS = (
    Law("image", 12.0, 0.5, 0.65),
    Law("music", 60.0, 0.4, 0.65),
    Law("video", 90.0, 0.6, 0.80),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a way to poll costs under a law."""

    looks: float
    mean_s: float
    p95_s: float
    ratio: float = math.nan  # of the looks of a fixed interval with the same mean delay


@cache
def _points(law: Law) -> list[float]:
    return [law.quantile((n + 0.5) / POINTS) for n in range(POINTS)]


def cost_of(law: Law, wait: Wait) -> Cost:
    """Looks and delays of a way to poll, and how it compares."""
    durations = law.points()
    looks = at_s = 0.0
    count = 0
    delays = []
    for duration_s in durations:
        while at_s < duration_s:
            at_s += max(wait(at_s), 1e-3)
            count += 1
        looks += count
        delays.append(at_s - duration_s)
    mean_s = fmean(delays)
    looks /= len(durations)
    interval_s = interval_of(law, mean_s)
    ratio = looks / fmean(math.ceil(d / interval_s) for d in durations)
    return Cost(looks, mean_s, percentile(delays, 0.95), ratio)


def interval_of(law: Law, mean_delay_s: float) -> float:
    """The fixed interval with this mean delay."""
    durations = law.points()

    def delay_s(interval_s: float) -> float:
        return fmean(math.ceil(d / interval_s) * interval_s - d for d in durations)

    return solve(delay_s, mean_delay_s, mean_delay_s, 5 * mean_delay_s)


def solve(
    of: Callable[[float], float], wanted: float, low: float, high: float
) -> float:
    """Where a growing function has this value, by halving."""
    for _ in range(30):
        middle = (low + high) / 2
        if of(middle) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def fixed(interval_s: float) -> Wait:
    """A look every so many seconds."""
    return lambda _: interval_s


def backoff(elapsed_s: float) -> float:
    """1, 2, 4 ... 30 seconds: the sum of all but the next is what has passed."""
    return min(elapsed_s + 1.0, MOST_S)


def late_then_fixed(first_s: float, interval_s: float) -> Wait:
    """The simple rival: nothing at first, then a fixed interval."""
    return lambda at_s: first_s - at_s if at_s < first_s else interval_s


def planned(plan: Plan, spread: Callable[[], float] = lambda: 0.5) -> Wait:
    """What a worker makes of a plan by the settings' defaults."""
    return lambda at_s: look_delay_s(
        planned_s=plan.next_s(at_s),
        least_s=LEAST_S,
        most_s=MOST_S,
        hint_s=None,
        spread=spread(),
    )


def learn(
    law: Law, jobs: int, typical_s: float, rng: random.Random, known: Learned
) -> tuple[Learned, list[float]]:
    """What a gateway knows after so many jobs, seen only through its own looks.

    Gives the durations too, for rivals that are told them exactly.
    """
    drawn = []
    wait: Wait = backoff
    for n in range(jobs):
        if n % REPLAN_EVERY == 0:
            wait = planned(Plan(known, typical_s, COST), rng.random)
        duration_s = law.median_s * math.exp(law.sigma * rng.gauss(0, 1))
        drawn.append(duration_s)
        before_s = after_s = 0.0
        while before_s < duration_s:
            after_s, before_s = before_s, before_s + wait(before_s)
        known = observe(
            known, typical_s, after_s=after_s, before_s=before_s, called=False
        )
    return known, drawn


def optimum(law: Law, look_cost: float = COST, grid: int = 400) -> Wait:
    """The best that anyone can do who knows the law, by exact dynamic programming.

    It minimises looks times `look_cost` times the median, plus delay.
    """
    low, high = math.log(law.quantile(1e-4)), math.log(law.quantile(1 - 1e-5))
    times = [0.0]
    times += [math.exp(low + (high - low) * n / grid) for n in range(grid + 1)]
    alive = [law.alive(at_s) for at_s in times]
    waited = [0.0]  # the integral of `alive`
    for n in range(len(times) - 1):
        width = times[n + 1] - times[n]
        waited.append(waited[-1] + width * (alive[n] + alive[n + 1]) / 2)
    look_s = look_cost * law.median_s
    last = len(times) - 1
    least = [0.0] * len(times)
    chosen = [last] * len(times)
    for n in range(last - 1, -1, -1):
        costs = (
            (
                alive[n] * (look_s + times[at] - times[n])
                - (waited[at] - waited[n])
                + least[at],
                at,
            )
            for at in range(n + 1, last + 1)
        )
        least[n], chosen[n] = min(costs)

    def wait(at_s: float) -> float:
        n = min(bisect_right(times, at_s * (1 + 1e-9)) - 1, last)
        if n == last:
            return at_s / 10
        return times[chosen[n]] - at_s

    return wait


def rival(law: Law, drawn: Sequence[float], mean_delay_s: float) -> Cost:
    """The best of "first look at a low quantile, then a fixed interval".

    It knows the durations of the jobs exactly, and its interval is chosen by the true
    law for the mean delay of the plan that it is compared with.
    """
    costs = []
    for share in (0.02, 0.1, 0.25):
        first_s = percentile(drawn, share)
        interval_s = solve(
            partial(_late_delay_s, law, first_s),
            mean_delay_s,
            mean_delay_s / 4,
            6 * mean_delay_s,
        )
        costs.append(cost_of(law, late_then_fixed(first_s, interval_s)))
    return min(costs, key=lambda cost: (round(cost.ratio, 3), cost.looks))


def _late_delay_s(law: Law, first_s: float, interval_s: float) -> float:
    return cost_of(law, late_then_fixed(first_s, interval_s)).mean_s


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """The mean of several runs."""
    return Cost(
        *(
            fmean(getattr(cost, name) for cost in costs)
            for name in ("looks", "mean_s", "p95_s", "ratio")
        )
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One way to poll under one law."""

    law: Law
    way: str
    cost: Cost


def after_jobs(law: Law, jobs: int, typical_s: float, old: Law | None = None) -> Cost:
    """The plan after so many jobs; `old` is how the model was for 50 jobs before."""
    costs = []
    for seed in range(SEEDS):
        rng = random.Random(seed)
        known = Learned()
        if old is not None:
            known, _ = learn(old, JOBS, typical_s, rng, known)
        known, _ = learn(law, jobs, typical_s, rng, known)
        costs.append(cost_of(law, planned(Plan(known, typical_s, COST))))
    return mean_cost(costs)


def rows(law: Law) -> list[Row]:
    """Every way to poll under a law."""
    plan = after_jobs(law, JOBS, law.median_s)
    rivals = []
    for seed in range(SEEDS):
        _, drawn = learn(law, JOBS, law.median_s, random.Random(seed), Learned())
        rivals.append(rival(law, drawn, plan.mean_s))
    slow, fast = law.times(2), law.times(0.5)
    found = [
        ("best possible, knowing the law", cost_of(law, optimum(law))),
        (f"**learned plan**, {JOBS} jobs", plan),
        ("learned plan, 10 jobs", after_jobs(law, 10, law.median_s)),
        ("learned plan, no job yet", after_jobs(law, 0, law.median_s)),
        ("first look late, then fixed", mean_cost(rivals)),
        ("1, 2, 4 ... 30 s", cost_of(law, backoff)),
        *((f"every {s:g} s", cost_of(law, fixed(s))) for s in (2.0, 5.0, 15.0)),
        ("catalogue 3x too long, 10 jobs", after_jobs(law, 10, law.median_s * 3)),
        ("catalogue 3x too long, 50 jobs", after_jobs(law, JOBS, law.median_s * 3)),
        ("catalogue 3x too short, 10 jobs", after_jobs(law, 10, law.median_s / 3)),
        ("catalogue 3x too short, 50 jobs", after_jobs(law, JOBS, law.median_s / 3)),
        *(
            (f"{word} after 50 jobs, {n} jobs ago", after_jobs(new, n, typical, law))
            for word, new, typical in (
                ("2x slower", slow, law.median_s),
                ("2x faster", fast, law.median_s),
            )
            for n in (0, 25, 100)
        ),
    ]
    return [Row(law, way, cost) for way, cost in found]


def markdown(found: Sequence[Row]) -> str:
    """The rows as a table for each law."""
    lines: list[str] = []
    law = None
    for row in found:
        if row.law is not law:
            law = row.law
            lines += [
                "",
                f"**{law.name}**",
                "",
                "| way | looks | mean delay, s | p95 delay, s | looks ÷ fixed |",
                "| --- | ---: | ---: | ---: | ---: |",
            ]
        cost = row.cost
        lines.append(
            f"| {row.way} | {cost.looks:.1f} | {cost.mean_s:.2f} "
            f"| {cost.p95_s:.2f} | {cost.ratio:.2f} |"
        )
    return "\n".join(lines).strip()


def measure(options: Options) -> list[Figure]:
    """The ratio for each law; the table and the plot go where the options say."""
    figures, found = [], []
    for law in LAWS:
        mine = rows(law)
        found += mine
        best, plan = mine[0].cost, mine[1].cost
        figures.append(
            Figure(
                f"looks against a fixed interval of equal delay: {law.name}",
                plan.ratio,
                "",
                goal=law.goal,
                limit=best.ratio,
                limit_is="best possible",
                note=f"{plan.looks:.1f} looks, {plan.mean_s:.2f} s late",
            )
        )
    options.say(markdown(found))
    if options.pictures is not None:
        options.say(plot(options))
    return figures


def plot(options: Options) -> str:
    """Draw looks against delay for each law; gives a line about it."""
    try:
        from tests.benchmarks.plot import draw
    except ImportError:
        return "no plot: matplotlib is not installed (the extra `bench` has it)"
    assert options.pictures is not None
    path = options.pictures / "looks.svg"
    draw(path)
    return f"plot: {path}"
