"""The panel in a page."""

from __future__ import annotations

from typing import Any

from tests.browser.pages import PICTURES, Notebook
from tests.services.jupyter import Jupyter

__all__ = ["CONFIG", "Panel", "shown"]

CONFIG = """
c = get_config()
c.InteractiveShellApp.extensions = ["omniduct"]
c.DuctRegistry.ducts = {}
"""


class Panel:
    """The panel that a cell shows."""

    def __init__(self, notebook: Notebook, cell: int = 0) -> None:
        self.notebook = notebook
        self.node = notebook.output(cell).locator(".omniduct-panel")

    def row(self, name: str) -> Any:
        """The line of a duct."""
        return self.node.locator(
            ".omniduct-row", has=self.notebook.page.get_by_role("button", name=name, exact=True)
        )

    def below(self, name: str) -> Any:
        """What stands beneath a duct's line: questions, errors, statements."""
        return self.row(name).locator("xpath=following-sibling::tr[1]")

    def state(self, name: str) -> str:
        """The word for a duct's state."""
        return str(self.row(name).locator(".omniduct-state").inner_text()).split(maxsplit=1)[1]

    def awaits(self, name: str, state: str, seconds: float = 30) -> None:
        """Wait for a duct to be in a state."""
        self.notebook.wait(lambda: self.state(name) == state, f"{name} to be {state}", seconds)

    def answer(self, name: str, password: str) -> None:
        """Connect a duct, and type the password that it asks for."""
        self.press(f"Connect {name}")
        self.node.get_by_label(f"Password for {name}").wait_for()
        self.notebook.page.keyboard.type(password)
        self.notebook.page.keyboard.press("Enter")

    def press(self, name: str) -> None:
        """Click a button."""
        self.node.get_by_role("button", name=name, exact=True).click()

    def picture(self, name: str) -> None:
        """Keep a picture of it."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.notebook.page.mouse.move(0, 0)
        self.node.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


def shown(page: Any, jupyter: Jupyter, *cells: str) -> Panel:
    """Open a notebook in a page whose first cell shows the panel."""
    notebook = Notebook(page, jupyter, "%omniduct", *cells)
    notebook.run(0)
    panel = Panel(notebook)
    panel.node.wait_for()
    return panel
