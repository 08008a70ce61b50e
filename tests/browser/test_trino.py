"""The panel and a real Trino: passwords over TLS, a login in the browser, a statement that is cancelled."""

from __future__ import annotations

from typing import Any

import pytest
from tests.browser.conftest import Pages
from tests.browser.panels import Panel, shown
from tests.services.jupyter import Jupyter
from tests.services.trino import Trino

SLOW = "SELECT count(*) FROM tpch.sf100.lineitem a, tpch.sf100.lineitem b WHERE a.comment < b.comment"
NUMBER = "print(tri.query('SELECT 41 + 1', format='tuple'))"


@pytest.fixture(scope="module")
def ducts(trino_server: Trino) -> dict[str, Any]:
    login = {**trino_server.secure_login, "protocol": "trino", "catalog": "tpch"}
    by_browser = {each: login[each] for each in ("protocol", "host", "port", "server_protocol", "verify")}
    page = {**by_browser, "auth": "oauth2", "catalog": "tpch"}
    return {"databases": {"tri": {**login, "password": True}, "page": page}}


@pytest.fixture
def panel(pages: Pages, lab: Jupyter) -> Panel:
    return shown(pages(ignore_https_errors=True), lab)  # its certificate is of the tests' own authority


def test_a_password_wrong_and_then_right_over_tls(panel: Panel, trino_server: Trino) -> None:
    panel.answer("tri", "wrong")
    panel.node.get_by_label("Password for tri (the last one was refused)").wait_for()
    panel.picture("password-refused")
    panel.notebook.page.keyboard.type(trino_server.password)
    panel.notebook.page.keyboard.press("Enter")
    panel.awaits("tri", "connected")
    cell = panel.notebook.add(NUMBER)
    panel.notebook.run(cell)
    assert "[(42,)]" in panel.notebook.output(cell).inner_text()
    panel.press("Disconnect tri")
    panel.awaits("tri", "disconnected")


def test_a_statement_shows_how_far_it_is_and_is_cancelled_on_the_server(
    panel: Panel, trino_server: Trino
) -> None:
    notebook = panel.notebook
    panel.answer("tri", trino_server.password)
    panel.awaits("tri", "connected")
    cell = notebook.add(f"tri.query({SLOW!r})")
    notebook.start(cell)
    said = panel.below("tri").locator(".omniduct-said")
    said.wait_for()
    notebook.wait(lambda: "splits" in said.inner_text(), "its progress")
    assert panel.below("tri").get_by_role("link", name="web UI").get_attribute("href").startswith("https://")
    panel.picture("statement")
    panel.node.get_by_role("button", name="Cancel the statement").click()
    notebook.wait(lambda: notebook.prompt(cell) != "[*]:", "the cell to end")
    assert "tri: the statement was cancelled" in notebook.output(cell).inner_text()
    assert {each.error_name for each in trino_server.queries(SLOW)} == {"USER_CANCELED"}


def test_who_logs_in_by_a_page_follows_the_link_in_the_row(panel: Panel) -> None:
    notebook = panel.notebook
    panel.press("Connect page")
    link = panel.below("page").get_by_role("link", name="Log in to page")
    link.wait_for()
    assert link.evaluate("node => node === document.activeElement")
    assert panel.state("page") == "waiting for you"
    panel.picture("login-link")
    with notebook.page.context.expect_page() as opened:
        notebook.page.keyboard.press("Enter")
    provider = opened.value
    provider.locator("input[name=sub]").fill("alice")
    provider.locator("button").first.click()
    panel.awaits("page", "connected")
    assert link.count() == 0
    provider.close()


def test_a_login_by_a_page_is_given_up(panel: Panel) -> None:
    panel.press("Connect page")
    panel.below("page").get_by_role("link", name="Log in to page").wait_for()
    panel.press("Cancel page")
    panel.awaits("page", "disconnected")
    assert panel.below("page").get_by_role("link").count() == 0
