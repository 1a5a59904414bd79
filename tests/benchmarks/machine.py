"""The machine of a run, and what processes use of it; needs Linux's /proc."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ROUNDS = 3
LOOP = 3_000_000


def calibrate() -> float:
    """Seconds that a fixed loop in Python takes here, at best: compares machines."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        total = 0
        for n in range(LOOP):
            total += n & 7
        times.append(time.perf_counter() - begun)
    return min(times)


def describe() -> dict[str, object]:
    """What figures of another run must be compared by."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu_count": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "loop_s": round(calibrate(), 3),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "prefix": sys.prefix,
    }


def cpu_s(pids: Collection[int]) -> float:
    """Seconds of CPU that these processes have used, with their ended children."""
    return sum(_ticks(pid) for pid in pids) * TICK_S


def rss_mb(pid: int) -> float:
    """Memory that a process has in use, in megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        return 0
    fields = text.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])
