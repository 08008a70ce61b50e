"""A real browser, and JupyterLab with ducts to real services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.browser.panels import CONFIG, Panel, shown
from tests.databases import conftest as databases
from tests.services.jupyter import Jupyter
from tests.services.postgresql import PostgreSQL
from tests.services.processes import program

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

Pages = Callable[..., Any]

trino_server = databases.trino_server


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, as Debian has it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = program("chromium", "chromium-browser", "google-chrome", package="chromium")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def pages(browser: Any) -> Iterator[Pages]:
    """Makes empty pages; an error of the panel's in one of them fails the test."""
    contexts, errors = [], []

    def note(error: Any) -> None:
        if "blob:" in (error.stack or ""):  # whence a widget's module comes; Jupyter has errors of its own
            errors.append(f"{error}\n{error.stack}")

    def make(width: int = 1100, height: int = 800, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", note)
        return page

    yield make
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="module")
def ducts() -> dict[str, Any]:
    """What the registry of `lab` has; a module may have others."""
    return {
        "databases": {"db": {"protocol": "duckdb"}, "asks": {"protocol": "sqlite", "password": True}},
        "filesystems": {"files": {"protocol": "localfs"}},
    }


@pytest.fixture(scope="module")
def lab(ducts: dict[str, Any]) -> Iterator[Jupyter]:
    """A JupyterLab whose kernels have the ducts."""
    with Jupyter("lab", CONFIG.format(ducts)) as lab:
        yield lab


@pytest.fixture
def panel(pages: Pages, lab: Jupyter) -> Panel:
    """The panel in a page of its own."""
    return shown(pages(), lab)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL for the tests of a module."""
    with PostgreSQL() as server:
        yield server
