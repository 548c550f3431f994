"""Lists every skipped check and why at the end of a test run; with REQUIRE_ALL=1 a skipped check fails the run."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

SKIPPED = pytest.StashKey[dict[str, list[str]]]()


def _require_all() -> bool:
    return os.environ.get("REQUIRE_ALL", "") not in {"", "0"}


def _skipped(config: pytest.Config) -> dict[str, list[str]]:
    """Reason -> the checks that were skipped for it."""
    return config.stash.setdefault(SKIPPED, defaultdict(list))


class Skips:
    """Remembers skips as they are reported: of tests, and of whole modules while they are collected."""

    def __init__(self, config: pytest.Config) -> None:
        self.skipped = _skipped(config)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped[_reason(report)].append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped[_reason(report)].append(report.nodeid)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Skips(config), "segengine-skips")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _require_all() and _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = _skipped(config)
    count = sum(len(checks) for checks in skipped.values())
    terminalreporter.section("skipped checks", sep="-")
    if not count:
        terminalreporter.write_line("none")
    for reason, checks in sorted(skipped.items()):
        terminalreporter.write_line(f"{reason}:")
        for check in checks:
            terminalreporter.write_line(f"    {check}")
    if count and _require_all():
        terminalreporter.write_line(f"REQUIRE_ALL is set and {count} checks were skipped: the run fails.", red=True)
