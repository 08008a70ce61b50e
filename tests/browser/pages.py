"""Pages of Jupyter in a real browser: notebooks, cells and what they show."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.services.jupyter import Jupyter

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["PICTURES", "Notebook"]

# Those under docs/panel are made by OMNIDUCT_TESTS_PICTURES=docs/panel pytest tests/browser.
PICTURES = Path(__file__).parents[2] / os.environ.get("OMNIDUCT_TESTS_PICTURES", "build/panel")

LOST_AFTER = 15.0  # seconds; now and then a page that has just been opened runs nothing when it is told to

_numbers = itertools.count(1)

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class Notebook:
    """A notebook that is open in a page.

    Parameters
    ----------
    page : playwright.sync_api.Page
        An empty page.
    jupyter : Jupyter
        Where the notebook is made.
    cells : str
        What its cells hold; none has run.
    """

    def __init__(self, page: Page, jupyter: Jupyter, *cells: str) -> None:
        self.page = page
        jupyter.end_kernels()  # those of tests before
        name = f"test{next(_numbers)}"
        self.path = jupyter.notebooks / f"{name}.ipynb"
        place = f"lab/workspaces/{name}/tree" if jupyter.is_lab else "notebooks"
        self._url = f"{jupyter.url}/{place}/{name}.ipynb"
        self.path.write_text(json.dumps(_document(cells)))
        self.open()

    def open(self) -> None:
        """Open it, and wait until its kernel is ready."""
        self.page.goto(self._url)
        self.page.wait_for_function(
            """() => {
                const name = document.querySelector('.jp-KernelName, .jp-Toolbar-kernelName');
                const state = document.querySelector('.jp-Notebook-ExecutionIndicator');
                return name && /Python/.test(name.textContent) && state && state.dataset.status === 'idle';
            }""",
            timeout=60_000,
        )

    def cell(self, index: int) -> Locator:
        """A cell, counted from 0."""
        return self.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{index}']")

    def output(self, index: int) -> Locator:
        """What a cell has shown."""
        return self.cell(index).locator(".jp-OutputArea")

    def start(self, index: int) -> None:
        """Run a cell, and do not wait for its end."""
        self.page.evaluate(
            """async (index) => {
                const app = window.jupyterapp;
                const panel = app.shell.currentWidget;
                panel.content.activeCellIndex = index;
                app.commands.execute('notebook:run-cell').catch((error) => window.failedRun = String(error));
            }""",
            index,
        )

    def run(self, index: int, seconds: float = 90) -> None:
        """Run a cell to its end."""
        before = self.prompt(index)
        self.start(index)
        begun = time.monotonic()

        def has_ended() -> bool:
            nonlocal begun
            if self.prompt(index) not in (before, "[*]:", "[ ]:", ""):
                return True
            if time.monotonic() - begun > LOST_AFTER and self.is_idle():
                begun = time.monotonic()
                self.cell(index).locator(".jp-InputArea-editor").first.click()
                self.start(index)
            return False

        self.wait(has_ended, f"cell {index} to end", seconds)

    def is_idle(self) -> bool:
        """Whether the kernel has nothing to do, as far as the page knows."""
        indicator = self.page.locator(".jp-Notebook-ExecutionIndicator").first
        return indicator.get_attribute("data-status") == "idle"

    def prompt(self, index: int) -> str:
        """What stands before a cell, as ``[1]:``."""
        return (self.cell(index).locator(".jp-InputPrompt").first.text_content() or "").strip()

    def add(self, source: str) -> int:
        """Add a cell at the end; its index."""
        return int(
            self.page.evaluate(
                """(source) => {
                    const { model } = window.jupyterapp.shell.currentWidget.content;
                    model.sharedModel.addCell({ cell_type: 'code', source });
                    return model.cells.length - 1;
                }""",
                source,
            )
        )

    def save(self) -> dict[str, Any]:
        """Save it; what is in the file then."""
        before = self.path.stat().st_mtime_ns
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.wait(lambda: self.path.stat().st_mtime_ns != before, "the file")
        return dict(json.loads(self.path.read_text()))

    def wait(self, done: Callable[[], object], what: str, seconds: float = 30) -> None:
        """Wait for something, while the page goes on."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}; {self._look()}"
            self.page.wait_for_timeout(50)

    def _look(self) -> str:
        """What the page shows, for who wonders why something did not come about."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        picture = PICTURES / f"failed-{self.path.stem}.png"
        self.page.screenshot(path=picture)
        state = self.page.evaluate(
            """() => ({
                kernel: document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status,
                prompts: [...document.querySelectorAll('.jp-InputPrompt')].map((each) => each.textContent),
                dialog: document.querySelector('.jp-Dialog')?.textContent,
                failedRun: window.failedRun,
            })"""
        )
        return f"{state}; see {picture}"


def _document(cells: tuple[str, ...]) -> dict[str, Any]:
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": KERNEL},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell{number}",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ],
    }
