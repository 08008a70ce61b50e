"""Where the panel is shown, how it is set, and what is left of it."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from tests.services.kernels import environment
from tests.services.shells import Shell, started
from tests.services.tcp import Service, TcpDuct, until

from omniduct.ipython.panel.widget import PanelWidget
from omniduct.registry import DuctRegistry

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def registry() -> Iterator[DuctRegistry]:
    with Service() as service:
        registry = DuctRegistry()
        registry.register(TcpDuct(name="a", host=service.host, port=service.port))
        yield registry
        registry.clear()


def observers(registry: DuctRegistry) -> list[Any]:
    """Who observes a registry or its ducts."""
    watched = [registry, *(duct.status for duct in registry)]
    return [
        each
        for thing in watched
        for kinds in thing._trait_notifiers.values()
        for those in kinds.values()
        for each in those
    ]


def panels_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("omniduct panel")]


def test_a_closed_panel_leaves_no_observer_no_thread_and_no_widget(registry: DuctRegistry) -> None:
    before = observers(registry), panels_threads()
    for _ in range(20):
        panel = PanelWidget(registry)
        panel._hear(panel, {"type": "view", "view": "1", "there": True, "seen": True}, None)
        registry["a"].connect()
        panel.close()
        registry["a"].disconnect()
    gone = weakref.ref(panel)
    del panel
    until(lambda: gc.collect() >= 0 and gone() is None)
    until(lambda: (observers(registry), panels_threads()) == before)


def test_a_panel_shown_often_is_one(registry: DuctRegistry) -> None:
    panel = PanelWidget(registry)
    threads, observed = panels_threads(), len(observers(registry))
    for view in range(50):
        panel._repr_mimebundle_()
        for there in (True, False):
            said = {"type": "view", "view": str(view), "there": there, "seen": there}
            panel._hear(panel, said, None)
    assert panel._views == set()
    assert (panels_threads(), len(observers(registry))) == (threads, observed)
    panel.close()


def test_what_is_stored_with_it_is_a_table_of_text_and_html(registry: DuctRegistry) -> None:
    panel = PanelWidget(registry)
    data, _ = panel._repr_mimebundle_()
    assert WIDGET in data
    assert "○ disconnected" in data["text/plain"]
    assert "<td" in data["text/html"]
    panel.close()


# Settings


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with started() as shell:
        yield shell


def test_it_is_set_by_config(shell: Shell) -> None:
    shell.configure(DuctPanel={"columns": ["state"], "check_every": 0.0})
    shell.run("%reload_ext omniduct")
    said = shell.run("%config DuctPanel").stdout
    assert "['state']" in said
    assert "Seconds between two checks" in said


# Without a page


def executed(folder: Path, *cells: str, **settings: Any) -> list[Any]:
    """What cells show that a program runs."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment(folder), **settings)
    return [output for cell in notebook.cells for output in cell.outputs]


@pytest.mark.parametrize("cell", ["%omniduct", "registry"])
def test_where_a_program_runs_the_notebook_it_is_a_table(tmp_path: Path, cell: str) -> None:
    (output,) = executed(tmp_path, "%load_ext omniduct", cell)[-1:]
    assert set(output.data) == {"text/plain", "text/html"}
    assert "db     databases    duckdb" in output.data["text/plain"]


def test_it_is_shown_on_load_if_that_is_set(tmp_path: Path) -> None:
    shown = executed(tmp_path, "get_ipython().config.DuctPanel.show_on_load = True", "%load_ext omniduct")
    assert "db     databases    duckdb" in shown[-1].data["text/plain"]


def test_without_widgets_installed_it_is_a_table(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "from IPython.testing.globalipapp import start_ipython\n"
        "shell = start_ipython()\n"
        "shell.run_line_magic('load_ext', 'omniduct')\n"
        "print(shell.run_line_magic('omniduct', ''))\n"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert "db     databases    duckdb" in ran.stdout, ran.stderr
