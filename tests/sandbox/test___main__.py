import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from sandbox.__main__ import parser
from sandbox.jobs import Durations

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send these signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_command_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            url = process.stdout.readline().strip()
            answer = requests.get(f"{url}/_sandbox/healthz", timeout=5)
            assert answer.json()["status"] == "ok"
            process.send_signal(number)
            assert process.wait(10) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_durations_are_read_from_the_command_line() -> None:
    asked = parser().parse_args(["--durations", "lognormal:12,0.5"])
    assert asked.durations == Durations(12, 12, 12, 12, 0.5)


def test_unreadable_durations_are_refused_with_the_spelling(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--durations", "long"])
    assert "lognormal:<median seconds>,<sigma>" in capsys.readouterr().err
