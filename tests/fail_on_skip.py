"""`--fail-on-skip`: a run in which something was skipped has failed.

For machines that are meant to have every server: there a skip hides a missing one.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        help="fail the run, and list the reasons, when a test was skipped",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fail-on-skip"):
        config.pluginmanager.register(Skips(), "skips")


class Skips:
    """What was skipped and why; xdist tells it of its other processes."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Remember a skip; an expected failure is none."""
        if report.skipped and not hasattr(report, "wasxfail"):
            where = report.longrepr
            self.reasons[report.nodeid] = (
                where[2] if isinstance(where, tuple) else str(where)
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.reasons and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        if self.reasons:
            terminalreporter.section("skipped, and --fail-on-skip was given")
            for nodeid, reason in sorted(self.reasons.items()):
                terminalreporter.line(f"{nodeid}: {reason}")
