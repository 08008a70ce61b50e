"""How far statements are, as a page and a terminal show it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.kernels import Kernel, Outcome

# Minutes of work, in which the driver looks for a cancel all the time; and a little more than a second's.
SLOW = (
    "SELECT count(*) FROM range(100000) a(i), range(100000) b(j), range(100) c(k) WHERE hash(i + j + k) = 1"
)
PREPARED = (
    """
import time, threading
db.query("SELECT 1")
connection = db._connection

def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds

connection.create_function("nap", nap, ["DOUBLE"], "DOUBLE")
"""
    + f"SLOW = {SLOW!r}"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.run("%load_ext omniduct")
        kernel.run(PREPARED)
        yield kernel


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    """The kernel; afterwards nothing runs in it."""
    yield running
    names = running.value("time.sleep(0.7); [t.name for t in threading.enumerate() if 'omniduct' in t.name]")
    assert names == "['omniduct db']"
    assert running.value("db.status.running") == "0"


# The line of a statement that the cell waits for


def test_a_quick_statement_shows_no_line(kernel: Kernel) -> None:
    outcome = kernel.run("%db SELECT nap(0.5)")
    assert outcome.lines == []


def test_a_line_is_shown_after_a_second_and_the_notebook_keeps_nothing_of_it(kernel: Kernel) -> None:
    outcome = kernel.run("%db SELECT nap(2.2) AS slept")
    assert outcome.lines and all(re.match(r"db: .*\[00:0[12]", line) for line in outcome.lines), outcome.lines
    assert outcome.displays == {}
    assert outcome.result and "slept" in outcome.result


def test_the_next_line_of_a_cell_goes_too(kernel: Kernel) -> None:
    outcome = kernel.run("for _ in range(2): db.query('SELECT nap(1.4)')")
    assert len(outcome.lines) >= 2
    assert outcome.displays == {}


@pytest.mark.parametrize("code", ["print('mine')", "from IPython.display import display\ndisplay('mine')"])
def test_what_a_cell_has_shown_before_stays_and_the_line_is_emptied(kernel: Kernel, code: str) -> None:
    outcome = kernel.run(f"{code}\ndb.query('SELECT nap(1.6)');")
    assert len(outcome.lines) >= 2
    assert sorted(outcome.displays.values())[0] == ""
    assert "mine" in outcome.stdout + "".join(outcome.displays.values())
    assert all("db:" not in text for text in outcome.displays.values())


def test_the_line_goes_when_the_statement_fails(kernel: Kernel) -> None:
    outcome = kernel.run("db.query('SELECT error(nap(1.5)::VARCHAR)')")
    assert outcome.ename == "DuctStatementError"
    assert outcome.lines and outcome.displays == {}


def test_the_line_goes_when_the_person_interrupts(kernel: Kernel) -> None:
    sent = kernel.start("%db {{ SLOW }}")
    time.sleep(2.2)
    kernel.interrupt()
    outcome = kernel.finish(sent)
    assert outcome.ename == "KeyboardInterrupt"
    assert "[00:0" in outcome.lines[-1] and outcome.displays == {}


def test_a_line_may_be_switched_off(kernel: Kernel) -> None:
    kernel.run("db.progress = False")
    assert kernel.run("%db SELECT nap(1.5)").lines == []
    kernel.run("db.progress = True")
    kernel.run("quiet = registry.new('quiet', 'duckdb', progress=False)")
    assert kernel.value("quiet.progress") == "False"
    kernel.run("registry['quiet'].disconnect()")


LINKED = """
from omniduct.databases.session.progress import Progress
own, link = db._progress, 'http://127.0.0.1:8080/ui/query.html?a&b'
db._progress = lambda cursor: Progress(text='RUNNING, 1 of <2> splits', link=link)
"""


@pytest.fixture
def linked(kernel: Kernel) -> Iterator[Kernel]:
    """The kernel, while the duct says of itself what a service with a web UI says."""
    kernel.run(LINKED)
    yield kernel
    kernel.run("db._progress = own")


def check_link(outcome: Outcome) -> None:
    """What a page shows is text that can be clicked at its end, and no markup of the service's."""
    assert outcome.lines[0].startswith("db: RUNNING, 1 of <2> splits [00:0")
    assert outcome.lines[0].endswith("] http://127.0.0.1:8080/ui/query.html?a&b")
    assert re.fullmatch(
        r'<pre style="[^"]+">db: RUNNING, 1 of &lt;2&gt; splits \[00:0\d\] '
        r'<a href="http://127.0.0.1:8080/ui/query.html.a&amp;b" target="_blank" rel="noopener noreferrer">'
        r"web UI</a></pre>",
        outcome.markup[0],
    )


def test_a_line_has_a_link_that_can_be_clicked(linked: Kernel) -> None:
    outcome = linked.run("db.query('SELECT nap(1.8)')")
    check_link(outcome)
    assert outcome.displays == {}


def test_a_line_without_a_link_is_plain_text(kernel: Kernel) -> None:
    outcome = kernel.run("db.query('SELECT nap(1.8)')")
    assert outcome.lines and not outcome.markup


def test_a_handle_has_the_link_while_it_runs(linked: Kernel) -> None:
    outcome = linked.run("%%db handle background=True\n{{ SLOW }}")
    check_link(outcome)
    assert linked.value("handle.cancel()") == "True"
    assert handle_shown(linked, outcome) == "<Background of db, cancelled>"


def test_a_statement_of_another_thread_shows_no_line(kernel: Kernel) -> None:
    outcome = kernel.run(
        "thread = threading.Thread(target=lambda: db.query('SELECT nap(1.5)')); thread.start(); thread.join()"
    )
    assert outcome.lines == []


def test_a_notebook_that_a_program_runs_keeps_no_line(tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    cells = [
        "%load_ext omniduct",
        "print('mine')\nimport threading; threading.Timer(1.8, db.cancel).start()\n"
        f"try:\n    db.query('{SLOW}')\nexcept RuntimeError as error:\n    print(error)",
        "handle = db.query('SELECT 7', format='tuple', background=True)\nhandle",
        "handle.result()",
        f"stopped = db.query('''{SLOW}''', background=True)\nstopped",
        "import time; time.sleep(1.2); stopped.cancel(); time.sleep(1)",
        "import logging; logging.basicConfig(level='INFO')\nthreading.Timer(1.8, db.cancel).start()\n"
        f"try:\n    db.query('{SLOW}')\nexcept RuntimeError as error:\n    pass",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = book.cells[1].outputs
    assert {output["output_type"] for output in outputs} == {"stream"}
    assert "".join(output["text"] for output in outputs) == "mine\ndb: the statement was cancelled\n"
    shown = [[output["data"]["text/plain"] for output in cell.outputs] for cell in book.cells[2:-1]]
    assert shown[1] == ["[(7,)]"]
    assert shown[2] == ["<Background of db, cancelled>"]
    logged = "".join(output["text"] for output in book.cells[-1].outputs)
    assert re.fullmatch(r"INFO:omniduct:db: .*\[00:01\]\nINFO:omniduct:db: failed after .* s\n", logged), (
        logged
    )


# The handle of what runs in the background


def handle_shown(kernel: Kernel, outcome: Outcome) -> str:
    """What the page has where a cell showed a handle."""
    kernel.run("time.sleep(0.7)")
    (display,) = outcome.displays
    return kernel.page.displays[display]


def test_a_handle_shows_how_far_it_is_and_in_the_end_how_it_ended(kernel: Kernel) -> None:
    begun = time.monotonic()
    outcome = kernel.run("%%db handle background=True\n{{ SLOW }}")
    assert time.monotonic() - begun < 1
    assert outcome.result is None and len(outcome.displays) == 1 and outcome.stderr == ""
    kernel.run("time.sleep(1.5)")
    (display,) = outcome.displays
    seen = [kernel.page.displays[display]]
    assert re.match(r"db: .*\[00:0\d", seen[0]), seen
    assert kernel.value("2 + 2") == "4"
    assert kernel.value("handle.cancel()") == "True"
    assert handle_shown(kernel, outcome) == "<Background of db, cancelled>"


def test_quick_ones_always_show_their_end(kernel: Kernel) -> None:
    shown = [kernel.run("%%db background=True\nSELECT range FROM range(1000)") for _ in range(20)]
    kernel.run("time.sleep(0.7)")
    ends = [kernel.page.displays[display] for outcome in shown for display in outcome.displays]
    assert len(ends) == 20
    assert all(re.fullmatch(r"<Background of db, finished in .* s: 1,000 rows>", end) for end in ends), ends


def test_a_handle_of_a_failed_one_shows_why(kernel: Kernel) -> None:
    outcome = kernel.run("%%db failed background=True\nSELECT nonsense")
    assert "failed after" in handle_shown(kernel, outcome) and "nonsense" in handle_shown(kernel, outcome)
    outcome = kernel.run("failed.result()")
    assert outcome.ename == "DuctStatementError" and outcome.error.count("\n") <= 2
    assert "omniduct" not in outcome.error
    assert kernel.run("failed = None").stderr == ""


def test_the_whole_result_is_in_result(kernel: Kernel) -> None:
    kernel.run("%%db handle format='tuple' background=True\nSELECT range FROM range(30)")
    assert kernel.value("len(handle.result())") == "30"
    kernel.run("%%db.execute cursor background=True\nSELECT 7")
    assert kernel.value("cursor.result().fetchall()") == "[(7,)]"
    assert "no rows yet for show" in kernel.run("%%db x show=3 background=True\nSELECT 1").error


def test_interrupting_a_result_leaves_the_statement_running(kernel: Kernel) -> None:
    kernel.run("handle = db.query(SLOW, background=True)")
    sent = kernel.start("handle.result()")
    time.sleep(2.2)
    kernel.interrupt()
    outcome = kernel.finish(sent)
    assert outcome.ename == "KeyboardInterrupt"
    assert "db: the statement goes on in the background; its .cancel() ends it" in outcome.error
    assert "background.py" not in outcome.error
    assert outcome.lines and outcome.displays == {}
    assert kernel.value("handle.running(), handle.cancel()") == "(True, True)"


def test_a_frame_is_seen_as_it_was_when_the_statement_began(kernel: Kernel) -> None:
    kernel.run("import pandas as pd\npeople = pd.DataFrame({'age': [40, 50]})")
    kernel.run(
        "handle = db.query('SELECT sum(age) FROM people', format='tuple', background=True); people = None"
    )
    assert "90" in kernel.value("handle.result()")


def test_completion_and_help_know_the_background(kernel: Kernel) -> None:
    assert "background=" in kernel.complete("%%db back")
    assert "background" in kernel.run("%%db?").help
    assert "did you mean 'background'" in kernel.run("%%db backgroud=True\nSELECT 1").error


# A terminal

if sys.platform == "win32":
    pytest.skip("there is no pseudo-terminal", allow_module_level=True)

from tests.services.terminals import Terminal  # noqa: E402

CONFIG = """
c.InteractiveShellApp.extensions = ["omniduct"]
c.DuctRegistry.ducts = {"db": {"protocol": "duckdb"}, "quiet": {"protocol": "duckdb", "progress": False}}
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


def test_the_terminal_shows_a_line_and_takes_it_away(terminal: Terminal) -> None:
    terminal.type("%db {{ SLOW }}")
    terminal.see("[00:01")
    terminal.interrupt()
    after = terminal.answer().rpartition("[00:0")[2].split("\r", 1)[1]
    assert re.match(r" +\r", after), after  # written over with nothing, and back at the first column
    assert "cancelled" in after


def test_the_terminal_prints_a_handle_and_does_not_touch_it_again(terminal: Terminal) -> None:
    printed = terminal.run("%%db handle background=True\n{{ SLOW }}")
    assert "<Background of db, running" in printed
    assert "7" in terminal.run("%db SELECT 7")
    assert "True" in terminal.run("handle.cancel()")
    assert "<Background of db, cancelled>" in terminal.run("handle")


def test_a_duct_may_be_configured_to_show_nothing(terminal: Terminal) -> None:
    terminal.type("%quiet {{ SLOW }}")
    time.sleep(2)
    terminal.interrupt()
    assert "[00:0" not in terminal.answer()


def test_leaving_while_a_statement_runs_says_so(terminal: Terminal) -> None:
    terminal.run("handle = db.query(SLOW, background=True)")
    begun = time.monotonic()
    printed = terminal.leave()
    assert time.monotonic() - begun < 5
    assert "a statement in the background is cancelled, as Python ends" in printed
    assert "Traceback" not in printed
