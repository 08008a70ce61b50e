"""The panel in a page."""

from __future__ import annotations

from typing import Any

from tests.browser.pages import Notebook

__all__ = ["Panel"]


class Panel:
    """The panel that a cell shows."""

    def __init__(self, notebook: Notebook, cell: int = 0) -> None:
        self.notebook = notebook
        self.node = notebook.output(cell).locator(".omniduct-panel")

    def row(self, name: str) -> Any:
        return self.node.locator(
            ".omniduct-row", has=self.notebook.page.get_by_role("button", name=name, exact=True)
        )

    def state(self, name: str) -> str:
        return str(self.row(name).locator(".omniduct-state").inner_text()).split(maxsplit=1)[1]

    def awaits(self, name: str, state: str, seconds: float = 10) -> None:
        self.notebook.wait(lambda: self.state(name) == state, f"{name} to be {state}", seconds)

    def answer(self, name: str, password: str) -> None:
        """Connect a duct, and type the password that it asks for."""
        self.press(f"Connect {name}")
        self.node.get_by_label(f"Password for {name}").wait_for()
        self.notebook.page.keyboard.type(password)
        self.notebook.page.keyboard.press("Enter")

    def press(self, name: str) -> None:
        self.node.get_by_role("button", name=name, exact=True).click()
