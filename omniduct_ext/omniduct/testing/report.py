"""The table of what the contract's tests found, a column a service: ``pytest -p omniduct.testing.report``.

With ``--contract-table=FILE`` it is written to a file as well, in Markdown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omniduct.testing.markdown import table

__all__ = ["ContractTable"]

_PROPERTY = "omniduct_contract"


class ContractTable:
    """Gathers the outcomes of the contract's tests, those of other processes included.

    Parameters
    ----------
    file : Path, optional
        Where to write the table, besides showing it.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._cells: dict[str, dict[str, _Cell]] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note on a test what it is a test of: its report carries that to the process that prints."""
        from omniduct.testing.contract import DatabaseContract

        cls = getattr(item, "cls", None)
        ours = hasattr(getattr(item, "function", None), "contract_of")
        if ours and isinstance(cls, type) and issubclass(cls, DatabaseContract):
            item.user_properties.append((_PROPERTY, [cls.facts.service, _row(item)]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the outcome of a test."""
        noted: Any = dict(report.user_properties).get(_PROPERTY)
        if noted:
            service, row = noted
            self._cells.setdefault(row, {}).setdefault(service, _Cell()).add(report)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the table, if any test of the contract was run."""
        if not self._cells:
            return
        terminalreporter.section("the contract of a database")
        terminalreporter.write_line(self.text())
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(f"# The contract, method by service\n\n{self.text()}\n", "utf-8")

    def text(self) -> str:
        """The table in Markdown; beneath it, why services cannot do what they cannot."""
        services = sorted({service for cells in self._cells.values() for service in cells}, key=str.lower)
        reasons: list[str] = []
        rows = [
            [
                row,
                *(cells[service].text(service, reasons) if service in cells else "" for service in services),
            ]
            for row, cells in sorted(self._cells.items())
        ]
        notes = "".join(f"\n{number}. {reason}" for number, reason in enumerate(reasons, 1))
        legend = "The numbers are of tests that passed; those in brackets say what a service cannot do."
        return f"{table(['', *services], rows)}\n\n{legend}\n{notes}".rstrip()


class _Cell:
    """The tests of one method on one service."""

    def __init__(self) -> None:
        self._passed = self._failed = self._skipped = 0
        self._cannot: list[str] = []

    def add(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed += 1
        elif report.skipped and hasattr(report, "wasxfail"):
            reason = report.wasxfail.removeprefix("reason: ").removeprefix("[NOTRUN] ")
            self._cannot.append(reason)
        elif report.skipped:
            self._skipped += 1
        elif report.when == "call":
            self._passed += 1

    def text(self, service: str, reasons: list[str]) -> str:
        """What is in the cell; reasons are gathered, and named by their numbers."""
        numbers = sorted({_number(f"{service}: {reason}", reasons) for reason in self._cannot})
        parts = [
            f"**{self._failed} FAILED**" if self._failed else "",
            str(self._passed) if self._passed else "",
            f"{self._skipped} skipped" if self._skipped else "",
            " ".join(f"[{number}]" for number in numbers),
        ]
        return " ".join(part for part in parts if part)


def _number(reason: str, reasons: list[str]) -> int:
    if reason not in reasons:
        reasons.append(reason)
    return reasons.index(reason) + 1


def _row(item: pytest.Item) -> str:
    given = getattr(getattr(item, "callspec", None), "params", {})
    method = item.function.contract_of  # type: ignore[attr-defined]
    return f"type {given['logical']}" if method == "types" else str(method)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--contract-table``."""
    parser.addoption("--contract-table", metavar="FILE", help="write the table of the contract to a file")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to gather."""
    file = config.getoption("--contract-table", None)
    config.pluginmanager.register(ContractTable(Path(file) if file else None), "omniduct-contract-table")
