"""A session of a real IPython in a terminal, by the keys that a person presses."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

if sys.platform == "win32":
    pytest.skip("there is no pseudo-terminal", allow_module_level=True)

from tests.services.terminals import Terminal

SLOW = (
    "SELECT count(*) FROM range(100000) a(i), range(100000) b(j), range(100) c(k) WHERE hash(i + j + k) = 1"
)
CANCELLED = "KeyboardInterrupt: db: the statement was cancelled"

CONFIG = """
c.InteractiveShellApp.extensions = ["omniduct"]
c.DuctRegistry.ducts = {"db": {"protocol": "duckdb"}, "files": {"protocol": "localfs"}}
c.DuckDBClient.templates = {"one": "SELECT 1 AS one"}
"""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("terminal")
    profile = folder / ".ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text(CONFIG)
    with Terminal(folder) as terminal:
        terminal.run(f"SLOW = {SLOW!r}")
        yield terminal


def stopped(terminal: Terminal, code: str, times: int = 1) -> str:
    """Run a cell and press Control and C; what is printed, which must not take long."""
    terminal.type(code)
    time.sleep(0.5)
    begun = time.monotonic()
    terminal.interrupt(times)
    printed = terminal.answer()
    assert time.monotonic() - begun < 2
    return printed


def test_the_profile_loads_the_extension_and_its_ducts(terminal: Terminal) -> None:
    shown = terminal.run("registry")
    assert "db     databases" in shown
    assert "files  filesystems" in shown
    assert "one" in terminal.run("%db one")


def test_a_line_and_a_cell_print_their_results(terminal: Terminal) -> None:
    assert "   seven\n0      7" in terminal.run("%db SELECT 7 AS seven")
    assert "   i\n0  0\n1  1" in terminal.run("%%db out show=2\nSELECT range AS i FROM range(30)")
    assert "30" in terminal.run("len(out)")


def test_the_panel_is_a_table(terminal: Terminal) -> None:
    printed = terminal.run("%omniduct")
    assert "name   kind         protocol  where     state" in printed
    assert "db     databases    duckdb    :memory:  ●" in printed


@pytest.mark.parametrize(
    ("variables", "has_colours"),
    [
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb", "NO_COLOR": ""}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ],
)
def test_the_table_has_colours_where_the_terminal_has_them(
    terminal: Terminal, variables: dict[str, str], has_colours: bool
) -> None:
    terminal.run("from IPython.lib.pretty import pretty; import os; _ = db.connect()")
    terminal.run("t = %omniduct status")
    # in one cell, as the prompt heeds them as well
    terminal.run(
        f"shown = os.environ.update({variables!r}) or pretty(t); os.environ.update(TERM='dumb', NO_COLOR='')"
    )
    assert f"Out[{terminal.inputs}]: {has_colours}" in terminal.run("'\\x1b[32m● connected' in shown")


def test_help_is_printed(terminal: Terminal) -> None:
    assert "%db.head table [n=10]" in terminal.run("%db.head?")
    assert "%%db [variable] show=None" in terminal.run("%%db?")
    assert "%%db.template name" in terminal.run("%%db.template?")


@pytest.mark.parametrize("mode", ["Verbose", "Context"])
def test_an_error_is_one_sentence_and_the_user_s_own_frames(terminal: Terminal, mode: str) -> None:
    terminal.run(f"%xmode {mode}")
    printed = terminal.run("%db SELECT nonsense")
    assert "\nDuctStatementError: db: Binder Error" in printed
    terminal.run("def compute(secret): return db.query('SELECT nonsense')")
    for code in ("compute('hunter2' * 1)", "%tb"):
        printed += (last := terminal.run(code))
        assert "in compute\n    def compute(secret): return db.query('SELECT nonsense')" in last
    assert "omniduct/" not in printed and "site-packages" not in printed and "Traceback" not in printed


def test_the_debugger_opens_and_the_user_s_own_frame_is_within_reach(terminal: Terminal) -> None:
    terminal.run("def compute(number): return db.query('SELECT nonsense')")
    terminal.run("compute(6 * 111)")
    printed = terminal.debug(*["u", "p number"] * 8)
    assert "666" in printed
    assert "7" in terminal.run("%db SELECT 7 AS seven")


@pytest.mark.parametrize(
    "code", ["%db {{ SLOW }}", "db.query(SLOW)", "%%db out\n{{ SLOW }}", "list(db.stream(SLOW))"]
)
def test_control_c_ends_the_statement(terminal: Terminal, code: str) -> None:
    printed = stopped(terminal, code)
    assert CANCELLED in printed
    assert "omniduct/" not in printed and "Traceback" not in printed
    assert "8" in terminal.run("%db SELECT 8 AS eight")
    assert "(0, [])" in terminal.run(
        "import threading; db._life.running, [t for t in threading.enumerate() if 'cancels' in t.name]"
    )


def test_leaving_ends_the_process_at_once(terminal: Terminal) -> None:
    terminal.run("rows = db.stream('SELECT range FROM range(100000000)'); next(rows)")
    begun = time.monotonic()
    printed = terminal.leave()
    assert time.monotonic() - begun < 5
    assert "Traceback" not in printed and "Exception" not in printed, printed
