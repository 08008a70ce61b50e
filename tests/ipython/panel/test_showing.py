"""Where the panel is shown, how it is set, and what is left of it."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from tests.ipython.panel.observing import observers
from tests.services.kernels import environment
from tests.services.shells import Shell, started
from tests.services.tcp import Relay, Service, TcpDuct, join, run, until

from omniduct.credentials import Question
from omniduct.duct import Duct
from omniduct.errors import Interrupted
from omniduct.ipython.panel.questions import Connecting, Fields
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


def all_observers(registry: DuctRegistry) -> list[Any]:
    """Who observes a registry or its ducts."""
    return observers(registry, *(duct.status for duct in registry))


def panels_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("omniduct panel")]


def test_a_closed_panel_leaves_no_observer_no_thread_and_no_widget(registry: DuctRegistry) -> None:
    before = all_observers(registry), panels_threads()
    for _ in range(20):
        panel = PanelWidget(registry)
        panel._hear(panel, {"type": "view", "view": "1", "there": True, "seen": True}, None)
        registry["a"].connect()
        panel.close()
        registry["a"].disconnect()
    gone = weakref.ref(panel)
    del panel
    until(lambda: gc.collect() >= 0 and gone() is None)
    until(lambda: (all_observers(registry), panels_threads()) == before)


def test_a_panel_shown_often_is_one(registry: DuctRegistry) -> None:
    panel = PanelWidget(registry)
    threads, observed = panels_threads(), len(all_observers(registry))
    for view in range(50):
        panel._repr_mimebundle_()
        for there in (True, False):
            said = {"type": "view", "view": str(view), "there": there, "seen": there}
            panel._hear(panel, said, None)
    assert panel._views == {}
    assert (panels_threads(), len(all_observers(registry))) == (threads, observed)
    panel.close()


def test_what_is_stored_with_it_is_a_table_of_text_and_html(registry: DuctRegistry) -> None:
    panel = PanelWidget(registry)
    data, _ = panel._repr_mimebundle_()
    assert WIDGET in data
    assert "○ disconnected" in data["text/plain"]
    assert "<td" in data["text/html"]
    panel.close()


def test_two_views_of_which_one_is_hidden_have_the_connection_checked(registry: DuctRegistry) -> None:
    duct = registry["a"].connect()
    checks: list[int] = []
    duct.is_connected = lambda: checks.append(1)  # type: ignore[method-assign, assignment, return-value]
    panel = PanelWidget(registry)
    panel.check_every = 0.3
    for _ in range(10):  # each says so as long as it is there
        for view in ("seen", "hidden"):
            panel._hear(panel, {"type": "view", "view": view, "there": True, "seen": view == "seen"}, None)
        time.sleep(0.1)
    assert checks
    panel.close()


def asking(panel: PanelWidget, duct: Duct) -> None:
    """Have the panel connect a duct, until it asks."""
    panel._hear(panel, {"type": "view", "view": "1", "there": True, "seen": True}, None)
    panel._workers.connect(duct)
    until(lambda: panel._fields._open, "a question")


def test_what_a_remote_without_a_row_asks_stands_in_the_row_of_who_needs_it(registry: DuctRegistry) -> None:
    remote = Relay(name="bastion", host="127.0.0.1", port=1, username="me", password=True)
    duct = registry.register(TcpDuct(name="behind", host="127.0.0.1", port=1, remote=remote))
    panel = PanelWidget(registry)
    asking(panel, duct)
    (row,) = [row for row in panel.current_rows() if row["names"] == ["behind"]]
    assert [question["label"] for question in row["questions"]] == ["Password for bastion"]
    panel.close()


def test_what_a_remote_asks_stands_where_the_person_has_clicked_last(registry: DuctRegistry) -> None:
    remote = registry.register(Relay(name="bastion", host="127.0.0.1", port=1, username="me", password=True))
    duct = registry.register(TcpDuct(name="behind", host="127.0.0.1", port=1, remote=remote))
    panel = PanelWidget(registry)
    said: list[dict[str, Any]] = []
    panel.send = lambda content, buffers=None: said.append(content)  # type: ignore[method-assign]

    def told() -> dict[str, list[str]]:
        """The labels of the two rows, as the page was told them last."""
        rows = [row for each in list(said) for row in each.get("rows", ())]
        return {row["names"][0]: [question["label"] for question in row["questions"]] for row in rows}

    asking(panel, duct)
    until(lambda: told().get("behind") == ["Password for bastion"], "the question")
    assert not told().get("bastion")
    panel._workers.connect(remote)
    until(lambda: told().get("bastion") == ["Password for bastion"] and told()["behind"] == [], "its move")
    panel.close()


def test_a_question_says_whose_it_is_where_it_stands_in_the_row_of_another(registry: DuctRegistry) -> None:
    remote, duct = (registry.register(TcpDuct(name=name, host="a")) for name in ("bastion", "behind"))
    fields = Fields(lambda: True, lambda changed: None)

    def ask() -> None:
        with fields.for_connecting(Connecting(duct)), contextlib.suppress(Interrupted):
            fields.ask(Question("bastion", "code", "One-time password", "secret", remote))

    threads = run(ask)
    until(lambda: fields.of(duct), "the question")
    assert fields.of(duct)[0]["label"] == "bastion: One-time password"
    fields.dismiss_all()
    join(threads)


def test_a_duct_that_goes_takes_its_question_with_it(registry: DuctRegistry) -> None:
    duct = registry.register(TcpDuct(name="asks", host="127.0.0.1", port=1, username="me", password=True))
    panel = PanelWidget(registry)
    asking(panel, duct)
    registry.clear()
    until(lambda: not panel._fields._open and not panel._workers._works, "the question to end")
    panel.close()


def test_looking_into_what_is_no_longer_connected_does_not_connect_it(registry: DuctRegistry) -> None:
    panel = PanelWidget(registry)
    said: list[dict[str, Any]] = []
    panel.send = lambda content, buffers=None: said.append(content)  # type: ignore[method-assign]
    panel._open(registry["a"], [])
    assert said[0]["error"] == "a: is not connected"
    assert registry["a"].status.state == "disconnected"
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


def test_a_panel_that_was_closed_with_all_widgets_is_shown_anew(tmp_path: Path) -> None:
    watched = "from omniduct.ipython.panel import showing; showing.is_watched = lambda: True"
    closed = "from ipywidgets import Widget; Widget.close_all()"
    cells = ("%load_ext omniduct", watched, "%omniduct", closed, "%omniduct")
    first, *_, last = executed(tmp_path, *cells)
    assert WIDGET in first.data and WIDGET in last.data
    assert last.data[WIDGET]["model_id"] != first.data[WIDGET]["model_id"]


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
