"""Where the time goes: py-spy on the web process and on each worker pool.

The samples of threads that run Python, as shares of them all: by function with what it
calls, and by itself. Waiting, and C code that lets others run, is not in them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import load, poll
from tests.benchmarks.figures import Figure
from tests.benchmarks.load import Order
from tests.benchmarks.stand import Options, Stand, standing
from tests.journeys.gateway import Process

NAME = "profile"
SHOWN = 30
RATE = 200
FRAME = re.compile(r"^(?P<function>.*?) \((?P<file>[^()]*)\)$")


def measure(options: Options) -> list[Figure]:
    """Profiles of intake, submit, deliver and poll; figures there are none."""
    with standing(options, job_s=1.0, settings={"GENRELAY_POLL_MAX_S": "1"}) as stand:
        web = stand.start_web()
        body = stand.task(callback=True)
        order = Order(
            stand.url + "/generation/tasks",
            16,
            options.seconds + 4,
            method="POST",
            body=body,
            authorization=stand.authorization,
        )
        loading = threading.Thread(target=load.run, args=(order,))
        loading.start()
        show(stand, "intake", web)
        loading.join()
        for queue in ("submit", "poll", "deliver"):
            worker = stand.start_worker(queue)
            title = "poll, each job ends" if queue == "poll" else queue
            show(stand, title, worker)
            stand.stop(worker)
    settings = {"GENRELAY_POLL_MIN_S": "0.5", "GENRELAY_POLL_MAX_S": "0.5"}
    with standing(options, settings=settings) as stand:
        poll.fill(stand, stand.start_web(), 10_000)
        show(stand, "poll, no job ends", stand.start_worker("poll"))
    return []


def show(stand: Stand, title: str, process: Process) -> None:
    """Profile a process for a while and say what was seen."""
    path = stand.folder / f"{title.replace(' ', '-').replace(',', '')}.raw"
    done = subprocess.run(
        [
            *(spy(), "record", "--pid", str(process.popen.pid), "--format", "raw"),
            *("--duration", str(max(int(stand.options.seconds), 2))),
            *("--rate", str(RATE), "--function", "--gil", "--nonblocking"),
            *("--output", str(path)),
        ],
        capture_output=True,
        timeout=stand.options.seconds + 60,
        check=False,
    )
    if not path.exists():
        raise RuntimeError(f"py-spy: {done.stderr.decode()[-1000:]}")
    stacks = path.read_text(encoding="utf-8", errors="replace").splitlines()
    stand.options.say(f"\n### {title}\n\n{shares(stacks)}")


def shares(stacks: list[str]) -> str:
    """A table of functions from stacks such as `outer;inner 12`."""
    within: Counter[str] = Counter()
    itself: Counter[str] = Counter()
    whole = 0
    for line in stacks:
        stack, _, number = line.rpartition(" ")
        count = int(number)
        frames = [short(frame) for frame in stack.split(";")]
        whole += count
        itself[frames[-1]] += count
        for frame in set(frames):
            within[frame] += count
    lines = ["| with what it calls | | by itself | |", "| --- | ---: | --- | ---: |"]
    pairs = zip(within.most_common(SHOWN), itself.most_common(SHOWN), strict=False)
    percent: Callable[[int], str] = lambda n: f"{100 * n / max(whole, 1):.0f} %"  # noqa: E731
    for (outer, a), (inner, b) in pairs:
        lines.append(f"| `{outer}` | {percent(a)} | `{inner}` | {percent(b)} |")
    return "\n".join([f"{whole} samples", "", *lines])


def short(frame: str) -> str:
    """`function (its file)` with the last two parts of the path."""
    found = FRAME.match(frame)
    if found is None:
        return frame
    parts = Path(found["file"]).parts[-2:]
    return f"{found['function']} ({'/'.join(parts)})"


def spy() -> str:
    """Where py-spy is: beside this interpreter, or on the path."""
    beside = Path(sys.executable).parent / "py-spy"
    path = str(beside) if beside.exists() else shutil.which("py-spy")
    if path is None:
        raise RuntimeError("py-spy is not installed (the extra `bench` has it)")
    return path
