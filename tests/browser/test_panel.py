"""The panel in JupyterLab, in a real browser, with a real PostgreSQL behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.browser.conftest import Pages
from tests.browser.pages import Notebook
from tests.browser.panels import CONFIG, Panel
from tests.services.jupyter import Jupyter
from tests.services.postgresql import PostgreSQL

STATE = """
import ipywidgets, json
kernel = get_ipython().kernel
print("PanelWidget", ipywidgets.Widget.get_manager_state())
print(kernel.get_parent("shell"), kernel.get_parent("control"), vars(kernel))
print(list(get_ipython().history_manager.get_range()), registry, pg, vars(pg))
print([vars(each) for each in getattr(ipywidgets.Widget, "widgets", {}).values()])
"""
SLOW = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"


@pytest.fixture(scope="module")
def ducts(postgresql: PostgreSQL) -> dict[str, Any]:
    pg = {**postgresql.login, "protocol": "postgresql", "password": True}
    return {
        "databases": {"db": {"protocol": "duckdb"}, "pg, warehouse": pg},
        "filesystems": {"files": {"protocol": "localfs"}},
        "broken": {"protocol": "nosuch"},
    }


@pytest.fixture(scope="module")
def lab(ducts: dict[str, Any]) -> Iterator[Jupyter]:
    with Jupyter("lab", CONFIG.format(ducts) + "c.DuctPanel.check_every = 1.0\n") as lab:
        yield lab


def test_every_duct_has_a_row_and_what_is_amiss_is_said(panel: Panel) -> None:
    assert panel.node.locator(".omniduct-row").count() == 3
    assert panel.state("db") == "disconnected"
    assert "warehouse" in panel.row("pg").inner_text()
    assert "'broken' is skipped" in panel.node.inner_text()


def test_connect_and_disconnect_at_a_click(panel: Panel) -> None:
    panel.press("Connect db")
    panel.awaits("db", "connected")
    panel.press("Disconnect db")
    panel.awaits("db", "disconnected")


def test_a_duct_that_a_cell_connects_shows_at_once(panel: Panel) -> None:
    panel.notebook.run(panel.notebook.add("db.connect()"))
    panel.awaits("db", "connected", 2)


def test_a_password_wrong_and_then_right(panel: Panel, postgresql: PostgreSQL) -> None:
    page = panel.notebook.page
    panel.press("Connect pg")
    field = panel.node.get_by_label("Password for pg")
    field.wait_for()
    assert field.evaluate("node => node === document.activeElement")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    again = panel.node.get_by_label("Password for pg (the last one was refused)")
    again.wait_for()
    page.keyboard.type(postgresql.password)
    page.keyboard.press("Enter")
    panel.awaits("pg", "connected")
    assert panel.node.locator("form").count() == 0
    cell = panel.notebook.add("print(pg.query('SELECT 41 + 1 AS x', format='tuple'))")
    panel.notebook.run(cell)
    assert "[(42,)]" in panel.notebook.output(cell).inner_text()


def test_a_cell_takes_the_question_of_a_row_to_its_own_prompt(panel: Panel, postgresql: PostgreSQL) -> None:
    panel.press("Connect pg")
    panel.node.get_by_label("Password for pg").wait_for()
    cell = panel.notebook.add("print(pg.query('SELECT 41 + 1 AS x', format='tuple'))")
    panel.notebook.start(cell)
    prompt = panel.notebook.cell(cell).locator(".jp-Stdin-input")
    prompt.wait_for()
    panel.notebook.wait(lambda: panel.node.locator("form").count() == 0, "the field to close")
    prompt.fill(postgresql.password)
    prompt.press("Enter")
    panel.notebook.wait(lambda: "[(42,)]" in panel.notebook.output(cell).inner_text(), "the result")
    panel.awaits("pg", "connected")


def test_connecting_is_cancelled_while_it_waits_for_the_person(panel: Panel) -> None:
    panel.press("Connect pg")
    panel.node.get_by_label("Password for pg").wait_for()
    panel.press("Cancel pg")
    panel.awaits("pg", "disconnected")
    assert panel.node.locator("form").count() == 0


def test_escape_cancels_a_question(panel: Panel) -> None:
    panel.press("Connect pg")
    panel.node.get_by_label("Password for pg").wait_for()
    panel.notebook.page.keyboard.press("Escape")
    panel.awaits("pg", "disconnected")


def test_a_statement_is_cancelled_while_its_cell_runs(panel: Panel, postgresql: PostgreSQL) -> None:
    notebook = panel.notebook
    panel.answer("pg", postgresql.password)
    panel.awaits("pg", "connected")
    cell = notebook.add(f"pg.query({SLOW!r})")
    notebook.start(cell)
    stop = panel.node.get_by_role("button", name="Cancel the statement")
    stop.wait_for()
    stop.click()
    notebook.wait(lambda: notebook.prompt(cell) != "[*]:", "the cell to end")
    assert "pg: the statement was cancelled" in notebook.output(cell).inner_text()
    notebook.wait(lambda: postgresql.running("generate_series") == [], "the server")


def test_a_service_that_dies_shows(pages: Pages, lab: Jupyter) -> None:
    with PostgreSQL() as own:
        notebook = Notebook(pages(), lab, f"registry.new('mine', 'postgresql', **{own.login!r})", "registry")
        notebook.run(0)
        notebook.run(1)
        panel = Panel(notebook, 1)
        panel.press("Connect mine")
        panel.awaits("mine", "connected")
        own.stop(immediate=True)
        panel.awaits("mine", "lost")
        assert "mine" in panel.row("mine").inner_text()


def test_the_tables_of_a_database_show_when_it_is_opened(panel: Panel) -> None:
    notebook = panel.notebook
    notebook.run(notebook.add("db.execute('CREATE TABLE trips AS SELECT range AS id FROM range(100)')"))
    panel.press("db")
    memory = panel.node.get_by_role("treeitem", name="memory")
    memory.wait_for()
    memory.focus()
    notebook.page.keyboard.press("ArrowRight")  # its only schema opens, too
    panel.node.get_by_role("treeitem", name="trips").wait_for()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        notebook.page.keyboard.press(key)
    preview = panel.node.locator(".omniduct-preview")
    preview.wait_for()
    assert preview.inner_text().split() == ["id", "BIGINT", "0", "1", "2", "3", "4"]


def test_looking_into_a_database_does_not_connect_it(panel: Panel) -> None:
    panel.press("pg")
    panel.node.get_by_text("Its tables show when it is connected.").wait_for()
    assert panel.state("pg") == "disconnected"


def test_two_views_of_it_agree_and_a_reloaded_page_has_it(panel: Panel) -> None:
    notebook = panel.notebook
    cell = notebook.add("registry")
    notebook.run(cell)
    other = Panel(notebook, cell)
    panel.press("Connect db")
    other.awaits("db", "connected")
    notebook.save()
    notebook.open()
    Panel(notebook).awaits("db", "connected")


def test_a_view_that_comes_later_shows_how_it_is_now(panel: Panel) -> None:
    notebook = panel.notebook
    panel.press("Connect db")
    panel.awaits("db", "connected")
    panel.press("Connect pg")
    panel.node.get_by_label("Password for pg").wait_for()
    notebook.run(notebook.add("registry.new('later', 'duckdb'); None"))
    panel.row("later").wait_for()
    cell = notebook.add("registry")
    notebook.run(cell)
    other = Panel(notebook, cell)
    other.awaits("db", "connected", 2)
    other.node.get_by_label("Password for pg").wait_for()
    assert other.state("later") == "disconnected"


def test_the_saved_file_has_a_table_of_text_and_no_secret(panel: Panel, postgresql: PostgreSQL) -> None:
    panel.answer("pg", postgresql.password)
    panel.awaits("pg", "connected")
    saved = panel.notebook.save()
    assert postgresql.password not in json.dumps(saved)
    assert postgresql.password not in panel.notebook.page.content()
    shown = "".join(saved["cells"][0]["outputs"][0]["data"]["text/plain"])
    assert "pg, warehouse" in shown
    assert "postgresql" in shown


def test_the_kernel_says_the_password_to_nobody(pages: Pages, lab: Jupyter, postgresql: PostgreSQL) -> None:
    page, received = pages(), []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(frame)))
    notebook = Notebook(page, lab, "%omniduct", STATE)
    notebook.run(0)
    panel = Panel(notebook)
    panel.press("Connect pg")
    panel.node.get_by_label("Password for pg").wait_for()
    page.keyboard.type("wrong-" + postgresql.password)
    page.keyboard.press("Enter")
    panel.node.get_by_label("Password for pg (the last one was refused)").wait_for()
    page.keyboard.type(postgresql.password)
    page.keyboard.press("Enter")
    panel.awaits("pg", "connected")
    notebook.run(1)
    assert "PanelWidget" in notebook.output(1).inner_text()
    said = [each if isinstance(each, str) else each.decode(errors="replace") for each in received]
    assert any("postgresql" in each for each in said)
    assert not any(postgresql.password in each for each in said)


def test_the_filter_leaves_what_has_all_the_words(panel: Panel) -> None:
    panel.node.get_by_label("Filter ducts").fill("duckdb disconnected")
    assert panel.node.locator(".omniduct-row:visible").count() == 1
    assert panel.node.get_by_text("1 of 3").count() == 1


def test_unloading_the_extension_takes_the_panel_out_of_the_page(panel: Panel) -> None:
    panel.notebook.run(panel.notebook.add("%unload_ext omniduct"))
    panel.notebook.wait(lambda: panel.node.count() == 0, "the panel to go")


def test_the_person_goes_on_typing_while_another_duct_is_registered(panel: Panel) -> None:
    page = panel.notebook.page
    panel.press("Connect pg")
    field = panel.node.get_by_label("Password for pg")
    field.wait_for()
    page.keyboard.type("abc")
    page.evaluate(
        """async () => {
            const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
            await kernel.requestExecute({ code: "registry.new('another', 'duckdb');" }).done;
        }"""
    )
    panel.row("another").wait_for()
    page.keyboard.type("def")
    assert field.input_value() == "abcdef"


def test_a_reloaded_page_asks_again(panel: Panel, postgresql: PostgreSQL) -> None:
    panel.press("Connect pg")
    panel.node.get_by_label("Password for pg").wait_for()
    panel.notebook.save()
    panel.notebook.open()
    panel.node.get_by_label("Password for pg").fill(postgresql.password)
    panel.notebook.page.keyboard.press("Enter")
    panel.awaits("pg", "connected")


def test_a_long_name_leaves_its_button_within_reach(panel: Panel) -> None:
    panel.notebook.run(panel.notebook.add("registry.new('x' * 300, 'duckdb');"))
    panel.row("x" * 300).wait_for()
    assert panel.node.evaluate("node => node.scrollWidth <= node.clientWidth")


def test_views_that_go_are_forgotten(panel: Panel) -> None:
    notebook = panel.notebook
    views = "from omniduct.ipython.panel import showing; print(len(showing._panels[registry]._views))"
    count = notebook.add(views)
    for _ in range(5):
        notebook.run(0)  # each puts another view into the place of the one before
    notebook.wait(lambda: panel.node.count() == 1, "the panel")
    notebook.run(count)
    assert notebook.output(count).inner_text().strip() == "1"
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    notebook.wait(lambda: panel.node.count() == 0, "the panel to go")
    notebook.run(count)
    assert notebook.output(count).inner_text().strip() == "0"
    notebook.run(0)
    panel.awaits("db", "disconnected")


def test_other_columns_show_at_once(panel: Panel) -> None:
    notebook = panel.notebook
    panel.press("Connect db")
    panel.awaits("db", "connected")
    notebook.run(notebook.add('%config DuctPanel.columns = ["state"]'))
    notebook.run(notebook.add("%omniduct"))
    notebook.wait(lambda: panel.node.locator("thead th").count() == 3, "the columns")
    panel.awaits("db", "connected")
    assert "duckdb" not in panel.row("db").inner_text()
