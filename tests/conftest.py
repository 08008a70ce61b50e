"""What every test and every docstring example of this project runs in."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from omniduct.testing.report import ContractTable

NEED_SERVICES = "OMNIDUCT_TESTS_NEED_SERVICES"


class EverySkipFails:
    """Turns a skip into a failure, where a machine is meant to have all that the tests need."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.skipped and not hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = self.why(report)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if report.skipped:
            report.outcome = "failed"
            report.longrepr = self.why(report)
        return report

    def why(self, report: pytest.TestReport | pytest.CollectReport) -> str:
        """The skip's place and reason, and why they are not accepted."""
        skip = report.longrepr
        place, reason = (f"{skip[0]}:{skip[1]}", skip[2]) if isinstance(skip, tuple) else ("", str(skip))
        advice = f"with {NEED_SERVICES}=1 nothing may be skipped: provide what this test needs"
        return f"{place}: {reason}\n{advice}"


def move_into_own_home(config: pytest.Config) -> None:
    """Give the tests, and all they start, an empty home: nobody's files or settings decide a test."""
    folder = tempfile.mkdtemp(prefix="omniduct-home-")
    # Registered first, so called last: IPython still writes at the end.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    # Matplotlib's font cache takes seconds to make, so the real cache stays.
    patch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))
    patch.setenv("HOME", folder)
    for name in ("OMNIDUCT_CONFIG", "JUPYTER_PATH", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        patch.delenv(name, raising=False)
    patch.setenv("IPYTHONDIR", f"{folder}/ipython")
    for kind in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
        patch.setenv(f"JUPYTER_{kind}", f"{folder}/jupyter/{kind.lower()}")


def hear_interrupts() -> None:
    """Take SIGINT as it comes, also where the tests were started in the background, and so deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    hear_interrupts()
    move_into_own_home(config)
    file = config.rootpath / "build" / "contract.md"
    config.pluginmanager.register(ContractTable(file), "omniduct-contract-table")
    if os.environ.get(NEED_SERVICES) == "1":
        # As a plug-in it holds for the package's docstring examples too, which are not beneath this folder.
        config.pluginmanager.register(EverySkipFails(), "omniduct-every-skip-fails")
