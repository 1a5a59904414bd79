"""Runs the simulated upstream: `python -m sandbox --port 9100`."""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

from sandbox.jobs import Durations, parse_durations
from sandbox.server import SandboxSettings, create_server, new_event_loop, serving


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; the first line printed is the server's URL."""
    asked = parser().parse_args(arguments)
    settings = SandboxSettings(
        durations=asked.durations,
        allow_webhook_hosts=frozenset(asked.allow_webhook_host),
        webhook_secret=asked.webhook_secret,
        seed=asked.seed,
        journal=asked.journal,
    )
    with (
        contextlib.suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        runner.run(serve(settings, asked.host, asked.port))


async def serve(settings: SandboxSettings, host: str, port: int) -> None:
    """Serve until a signal asks to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers in event loops: there Ctrl-C interrupts
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with serving(create_server(settings), host, port) as url:
        print(url, flush=True)
        await stop.wait()


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    options = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A simulated upstream that speaks every provider's wire format.",
    )
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=9100, help="0 takes a free one")
    options.add_argument(
        "--durations",
        type=durations,
        default=Durations(),
        help="fixed:<seconds> or lognormal:<median seconds>,<sigma>; "
        "by default image 1 s, video 3 s, audio 1.5 s",
    )
    options.add_argument(
        "--allow-webhook-host",
        action="append",
        default=[],
        metavar="HOST",
        help="callbacks may go there, not only to this machine; may be repeated",
    )
    options.add_argument(
        "--webhook-secret",
        default="",
        help="signs callbacks: whsec_<base64> or plain text; random by default",
    )
    options.add_argument("--seed", type=int, help="makes drawn durations repeat")
    options.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="jobs and signing keys outlive the process in this file",
    )
    return options


def durations(text: str) -> Durations:
    """Durations as the command line writes them, with a readable refusal."""
    try:
        return parse_durations(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    main()
