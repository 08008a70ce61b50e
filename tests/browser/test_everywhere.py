"""The panel in Notebook 7, in the dark, in narrow pages, with many ducts, and by the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.browser.conftest import Pages
from tests.browser.panels import CONFIG, Panel, shown
from tests.services.jupyter import Jupyter

THEMES = ["JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"]
MANY = {"databases": {f"d{number:03}": {"protocol": "duckdb"} for number in range(200)}}
CHANGED_ROWS = """() => {
    window.changedRows = new Set();
    const note = (change) => {
        const node = change.target.nodeType === 1 ? change.target : change.target.parentElement;
        const row = node && node.closest('.omniduct-row');
        if (row) window.changedRows.add(row.textContent);
    };
    new MutationObserver((changes) => changes.forEach(note)).observe(
        document.querySelector('.omniduct-table'),
        { subtree: true, childList: true, attributes: true, characterData: true },
    );
}"""


def complaints(panel: Panel) -> list[str]:
    """What axe-core finds wrong with the panel."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(panel.notebook.page, context=".omniduct-panel")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found.response["violations"]]


def test_notebook_7_shows_it_too(pages: Pages, ducts: dict[str, Any]) -> None:
    with Jupyter("notebook", CONFIG.format(ducts)) as notebook_7:
        panel = shown(pages(), notebook_7)
        panel.press("Connect db")
        panel.awaits("db", "connected")
        panel.press("db")
        panel.node.get_by_role("treeitem", name="memory").wait_for()
        panel.press("Connect asks")
        panel.node.get_by_label("Password for asks").fill("secret")
        panel.press("Submit")
        panel.awaits("asks", "connected")
        assert complaints(panel) == []


@pytest.mark.parametrize("width", [1100, 760, 480])
def test_nothing_is_amiss_for_screen_readers_and_eyes(panel: Panel, width: int) -> None:
    page = panel.notebook.page
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    page.set_viewport_size({"width": width, "height": 800})
    panel.press("Connect db")
    panel.awaits("db", "connected")
    panel.press("db")
    panel.node.get_by_role("treeitem", name="memory").wait_for()
    panel.press("Connect asks")
    panel.node.get_by_label("Password for asks").wait_for()
    for theme in THEMES:
        page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme
        )
        page.wait_for_timeout(300)  # the theme comes with a transition
        assert complaints(panel) == [], theme
        panel.picture(f"{theme.removeprefix('JupyterLab ').lower().replace(' ', '-')}-{width}")
        box, around = panel.node.bounding_box(), panel.notebook.output(0).bounding_box()
        assert box["x"] + box["width"] <= around["x"] + around["width"] + 1
        assert panel.node.evaluate("node => node.scrollWidth <= node.clientWidth + 1")


def test_two_hundred_ducts_are_shown_and_a_change_touches_one_row(pages: Pages) -> None:
    with Jupyter("lab", CONFIG.format(MANY)) as lab:
        panel = shown(pages(), lab)
        assert panel.node.locator(".omniduct-row").count() == 200
        page = panel.notebook.page
        page.evaluate(CHANGED_ROWS)
        panel.notebook.run(panel.notebook.add("d007.connect()"))
        panel.awaits("d007", "connected")
        changed = page.evaluate("() => [...window.changedRows]")
        assert changed and all("d007" in text for text in changed)
        panel.press("Connect all")
        connected = panel.node.locator(".omniduct-row[data-state='connected']")
        panel.notebook.wait(lambda: connected.count() == 200, "all to connect", 60)
        panel.picture("two-hundred")


def test_the_keyboard_is_enough(panel: Panel) -> None:
    page = panel.notebook.page
    panel.node.get_by_label("Filter ducts").focus()

    def focused() -> str:
        return str(
            page.evaluate(
                """() => {
                    const here = document.activeElement;
                    return here.getAttribute('aria-label') || here.textContent;
                }"""
            )
        )

    def go_to(name: str) -> None:
        for _ in range(20):
            if focused() == name:
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{name} is not reached by Tab")

    go_to("Connect db")
    page.keyboard.press("Enter")
    panel.awaits("db", "connected")
    assert focused() == "Disconnect db"
    page.keyboard.press("Space")
    panel.awaits("db", "disconnected")
    page.keyboard.press("Shift+Tab")  # db itself
    page.keyboard.press("Enter")
    panel.node.get_by_text("Its tables show when it is connected.").wait_for()
    panel.node.get_by_label("Filter ducts").focus()
    go_to("Connect asks")
    page.keyboard.press("Enter")
    panel.node.get_by_label("Password for asks").wait_for()
    page.keyboard.type("x1dd")  # what are shortcuts of the notebook elsewhere
    page.keyboard.press("Enter")
    panel.awaits("asks", "connected")
    assert focused() == "Disconnect asks"
    assert panel.notebook.cell(0).count() == 1
