"""LiteLLM's proxy beside our intake: the same generator, the same machine, one run.

Both stand in front of the same quick answers, so LiteLLM's creates wait for nobody.
Ours store a task, LiteLLM's hand a request through, without a database: to the client
both are "make me an image".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks import intake, load, machine
from tests.benchmarks.figures import Better, Figure
from tests.benchmarks.load import Loaded, Order
from tests.benchmarks.stand import Options, Stand, standing
from tests.journeys.gateway import Process, free_port

NAME = "litellm"
VERSION = "1.106.2"
KEY = "sk-bench-0123456789"
BODIES = {
    "/v1/images/generations": {"model": "pictures", "prompt": "a lighthouse", "n": 1},
    "/v1/videos": {"model": "films", "prompt": "a lighthouse", "seconds": "4"},
}


def measure(options: Options) -> list[Figure]:
    """Our rate and LiteLLM's, taken in turns."""
    python = environment(options)
    figures: list[Figure] = []
    with standing(options) as stand:
        web = stand.start_web()
        with proxy(stand, python) as (process, url):
            for connections in intake.CONNECTIONS:
                ours, _ = intake.at(stand, web, connections, 0.0)
                theirs = ask(stand, url, "/v1/images/generations", connections)
                figures += compare(ours, theirs, connections)
            films = ask(stand, url, "/v1/videos", intake.CONNECTIONS[-1])
            if films.bad_count:
                options.say(f"LiteLLM's video creates: {films.statuses}")
            else:
                figures.append(
                    Figure("LiteLLM, video creates", films.per_s, "per s", Better.MORE)
                )
            figures.append(
                Figure("LiteLLM, memory", machine.rss_mb(worker_of(process)), "MB")
            )
    return figures


def compare(ours: Loaded, theirs: Loaded, connections: int) -> list[Figure]:
    """The ratio at so many connections; the goals hold at the most of them."""
    most = connections == intake.CONNECTIONS[-1]
    figures = [
        Figure(
            f"intake against LiteLLM {VERSION}, {connections} connections",
            ours.per_s / theirs.per_s,
            "times",
            Better.MORE,
            goal=8.0 if most else None,
            note=f"{ours.per_s:,.0f}/s and {theirs.per_s:,.0f}/s",
        )
    ]
    if most:
        figures.append(
            Figure(
                "our p99 against LiteLLM's p50, 64 connections",
                ours.p99_s / theirs.p50_s,
                "times",
                goal=1.0,
                note=f"{ours.p99_s * 1000:.0f} ms and {theirs.p50_s * 1000:.0f} ms",
            )
        )
    return figures


def ask(stand: Stand, url: str, path: str, connections: int) -> Loaded:
    """Load LiteLLM."""
    order = Order(
        url + path,
        connections,
        stand.options.seconds,
        method="POST",
        body=json.dumps(BODIES[path]),
        authorization=f"Bearer {KEY}",
    )
    done = load.run(order)
    if done.bad_count and path.endswith("generations"):
        raise RuntimeError(f"LiteLLM: {done.statuses}\n{stand.logs()}")
    return done


def environment(options: Options) -> Path:
    """LiteLLM's own interpreter; made once in the folder of the benchmarks."""
    home = options.folder / f"litellm-{VERSION}"
    python, done = home / "bin" / "python", home / "whole"
    if not done.exists():
        options.say(f"installing LiteLLM {VERSION} into {home} (some minutes, once)")
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        wanted = f"litellm[proxy]=={VERSION}"
        pip = [str(python), "-m", "pip", "install", "--quiet", wanted]
        subprocess.run(pip, check=True, timeout=900, capture_output=True)
        done.touch()
    return python


@contextmanager
def proxy(stand: Stand, python: Path) -> Iterator[tuple[Process, str]]:
    """LiteLLM's proxy with one worker; gives where it answers."""
    upstream = {"api_base": stand.answers_url + "/v1", "api_key": "sk-x"}
    config = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{model}", **upstream},
            }
            for name, model in (("pictures", "gpt-image-1"), ("films", "sora-2"))
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"set_verbose": False, "telemetry": False},
    }
    path = stand.folder / "litellm.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GENRELAY_")},
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
    }
    env.pop("PYTHONPATH", None)
    process = stand.start_other(
        "litellm",
        [
            *(str(python.parent / "litellm"), "--config", str(path)),
            *("--host", "127.0.0.1", "--port", str(urlsplit(url).port)),
            *("--num_workers", "1"),
        ],
        stand.folder,
        env,
    )
    try:
        stand.wait(url + "/health/liveliness", process)
        yield process, url
    finally:
        stand.stop(process)


def worker_of(process: Process) -> int:
    """The process that does the work: the child with the most memory, or itself."""
    pid = process.popen.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return max([pid, *map(int, children.split())], key=machine.rss_mb)
