"""The panel in a page whose kernel goes: by a restart, by its death, or for good."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from tests.browser.conftest import Pages
from tests.browser.panels import CONFIG, Panel, shown
from tests.services.jupyter import Jupyter

RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
GONE = "The kernel is gone: run the cell again."


@pytest.fixture
def panel(pages: Pages, lab: Jupyter) -> Panel:
    return at_work(pages(), lab)


def at_work(page: Any, jupyter: Jupyter) -> Panel:
    """A panel with a duct that is connected and open, and one that asks."""
    panel = shown(page, jupyter, "import os; os.getpid()")
    panel.press("Connect db")
    panel.awaits("db", "connected")
    panel.press("db")
    panel.node.get_by_role("treeitem", name="memory").wait_for()
    panel.press("Connect asks")
    panel.node.get_by_label("Password for asks").wait_for()
    return panel


def is_over(panel: Panel) -> None:
    """Nothing of it looks alive, and nothing happens at a click or a key."""
    panel.node.get_by_role("status").get_by_text(GONE).wait_for()
    buttons = panel.node.get_by_role("button").all()
    assert buttons and all(button.get_attribute("aria-disabled") == "true" for button in buttons)
    assert panel.node.locator("form, [role=treeitem]:visible").count() == 0
    assert panel.state("db") == panel.state("asks") == "disconnected"
    before = panel.node.inner_html()
    for button in buttons:
        button.click(force=True)
        button.press("Enter")
    panel.notebook.page.wait_for_timeout(1500)  # by when a kernel that does not answer is called busy
    assert panel.node.inner_html() == before


def test_after_a_restart_the_panel_is_over_until_its_cell_has_run_again(panel: Panel) -> None:
    notebook = panel.notebook
    notebook.page.evaluate(RESTART)
    is_over(panel)
    notebook.start(0)
    notebook.wait(lambda: panel.node.get_by_text(GONE).count() == 0, "a new panel")
    panel.press("Connect db")
    panel.awaits("db", "connected")


def test_a_second_view_after_a_restart_is_over_too(panel: Panel) -> None:
    page = panel.notebook.page
    page.evaluate(RESTART)
    is_over(panel)
    panel.notebook.cell(0).locator(".jp-OutputArea-output").click(button="right", position={"x": 2, "y": 2})
    page.get_by_role("menuitem", name="Create New View for Cell Output").click()
    page.locator(".jp-LinkedOutputView").get_by_text(GONE).wait_for()


def test_a_kernel_that_dies_ends_the_panel(panel: Panel) -> None:
    notebook = panel.notebook
    notebook.run(1)
    os.kill(int(notebook.output(1).inner_text().split()[-1]), signal.SIGKILL)
    is_over(panel)


def test_a_kernel_that_is_shut_down_ends_the_panel(panel: Panel, lab: Jupyter) -> None:
    lab.end_kernels()
    is_over(panel)


def test_notebook_7_says_it_too(pages: Pages, ducts: dict[str, Any]) -> None:
    with Jupyter("notebook", CONFIG.format(ducts)) as notebook_7:
        panel = at_work(pages(), notebook_7)
        panel.notebook.page.evaluate(RESTART)
        is_over(panel)
