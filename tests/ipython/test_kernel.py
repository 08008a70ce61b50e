"""A notebook's life in a real kernel: cells, the stop button, Tab, and the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.kernels import Kernel

# Minutes of work, in which the driver looks for a cancel all the time.
SLOW = (
    "SELECT count(*) FROM range(100000) a(i), range(100000) b(j), range(100) c(k) WHERE hash(i + j + k) = 1"
)
CANCELLED = "KeyboardInterrupt: db: the statement was cancelled"

# A protocol of the user's own, in the file that OMNIDUCT_CONFIG names; it writes down what is asked of it.
SETUP = """
from omniduct import Duct

class Diary(Duct):
    PROTOCOLS = ["diary"]

    def _init(self, path):
        self.path = path

    def _write(self, word):
        with open(self.path, "a") as file:
            file.write(word + "\\n")

    def _prepare(self):
        self._write("prepared")
        super()._prepare()

    def _connect(self):
        self._write("connected")

    def _is_connected(self):
        return True

    def _disconnect(self):
        self._write("disconnected")

registry.register_from_config({
    "db": {"protocol": "duckdb"},
    "diary": {"protocol": "diary", "path": "diary.txt", "host": lambda duct: "h", "password": True},
})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "setup.py").write_text(SETUP)
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Kernel]:
    with Kernel(folder, OMNIDUCT_CONFIG=str(folder / "setup.py")) as kernel:
        loaded = kernel.run("%load_ext omniduct")
        assert loaded.everything.strip() == "", loaded
        kernel.run(f"SLOW = {SLOW!r}")
        yield kernel


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    """The kernel; afterwards nothing runs in it, and the duct is usable."""
    yield running
    assert running.value("db._life.running, db.query('SELECT 42', format='tuple')") == "(0, [(42,)])"
    assert (
        running.value("import threading; [t.name for t in threading.enumerate() if 'cancels' in t.name]")
        == "[]"
    )


def diary(folder: Path) -> list[str]:
    path = folder / "diary.txt"
    return path.read_text().split() if path.exists() else []


def stopped(kernel: Kernel, code: str, after: float = 0.2) -> str:
    """Run a cell, press the stop button, and what the page shows; it must not take long."""
    sent = kernel.start(code)
    time.sleep(after)
    begun = time.monotonic()
    kernel.interrupt()
    outcome = kernel.finish(sent)
    assert time.monotonic() - begun < 2
    assert outcome.ename == "KeyboardInterrupt"
    assert outcome.stderr == ""
    return outcome.error.strip()


# Cells


def test_the_file_that_the_environment_names_is_read_by_the_kernel(kernel: Kernel) -> None:
    assert kernel.value("registry.names") == "['db', 'diary']"
    assert "setup.py" in kernel.run("%omniduct config").everything


def test_a_cell_shows_the_result_and_a_variable_holds_all_of_it(kernel: Kernel) -> None:
    assert kernel.value("%db SELECT 7 AS seven").split() == ["seven", "0", "7"]
    outcome = kernel.run("%%db out show=2 transpose=True\nSELECT range AS i FROM range(30)")
    assert [text.split() for text in outcome.shown] == [["0", "1", "i", "0", "1"]]
    assert outcome.result is None
    assert kernel.value("len(out)") == "30"


def test_frames_are_seen_in_cells_and_in_functions_that_run_later(kernel: Kernel) -> None:
    kernel.run("import pandas as pd\npeople = pd.DataFrame({'age': [40, 50]})")
    kernel.run("def total():\n    return db.query('SELECT sum(age) AS n FROM people')['n'][0]")
    assert kernel.value("total()") == "np.float64(90.0)" or "90" in kernel.value("total()")
    kernel.run("people = people.head(1)")
    assert "40" in kernel.value("total()")
    kernel.run("del people")
    assert "people does not exist" in kernel.run("total()").error


@pytest.mark.parametrize("mode", ["Verbose", "Context"])
def test_an_error_is_one_sentence_and_the_user_s_own_frames(kernel: Kernel, mode: str) -> None:
    kernel.run(f"%xmode {mode}")
    for cell in ("%db SELECT nonsense", "%%db\nSELECT nonsense"):
        outcome = kernel.run(cell)
        assert outcome.ename == "DuctStatementError"
        assert outcome.error.count("\n") == 0
        assert outcome.error.startswith("DuctStatementError: db: Binder Error")
    kernel.run("def compute(secret):\n    return db.query('SELECT nonsense')")
    shown = kernel.run("compute('hunter2' * 1)").error
    assert "in compute\n    return db.query('SELECT nonsense')" in shown
    assert "compute('hunter2' * 1)" in shown
    assert "omniduct" not in shown and "site-packages" not in shown
    assert kernel.run("%tb").everything.strip() == shown.strip()
    assert "ZeroDivisionError" in kernel.run("1 / 0").error  # others are as they were


def test_help_is_shown_in_the_pager(kernel: Kernel) -> None:
    assert "%%db [variable] show=None" in kernel.run("%%db?").help
    assert "%db.head table [n=10]" in kernel.run("%db.head?").help
    assert "%%db.template name" in kernel.run("%%db.template?").help
    assert "%db.head table [n=10]" in kernel.inspect("%db.head")
    assert "Run a named template" in kernel.run("%db?").help


def test_config_shows_the_registry(kernel: Kernel) -> None:
    assert "DuctRegistry.ducts" in kernel.run("%config DuctRegistry").stdout


# The stop button


@pytest.mark.parametrize(
    "code",
    ["%db {{ SLOW }}", "%%db out\n{{ SLOW }}", "%%db.execute\nSELECT 1; {{ SLOW }}",
     "%%db.stream rows\n{{ SLOW }}", "import asyncio\nawait asyncio.sleep(0)\nx = %db {{ SLOW }}"],
)  # fmt: skip
def test_the_stop_button_ends_the_statement(kernel: Kernel, code: str) -> None:
    shown = stopped(kernel, code)
    assert shown.splitlines()[-1] == CANCELLED
    assert "omniduct" not in shown


def test_the_stop_button_in_a_function_shows_the_user_s_own_frames(kernel: Kernel) -> None:
    kernel.run("def compute():\n    return db.query(SLOW)")
    shown = stopped(kernel, "compute()")
    assert "return db.query(SLOW)" in shown and "omniduct" not in shown
    assert shown.splitlines()[-1] == CANCELLED


def test_the_stop_button_ends_a_loop_over_a_stream(kernel: Kernel) -> None:
    shown = stopped(
        kernel, "for row in db.stream('SELECT range FROM range(2000000000)'):\n    pass", after=0.4
    )
    assert "KeyboardInterrupt" in shown
    # The traceback that Python keeps holds the stream when the interrupt came between two fetches.
    kernel.run("import sys\nrow = sys.last_exc = sys.last_value = sys.last_traceback = None")
    kernel.run("import gc\ngc.collect();")


# Ends with a moment without signals: ipykernel 7 may stay broken when one strikes its own work.
GUARDED = """said = 'stopped before the statement began'
import signal, time
try:
    print('begun', flush=True)
    db.query(SLOW)
except KeyboardInterrupt as error:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = str(error) or said
    time.sleep(0.1)"""


@pytest.mark.parametrize(
    "presses", [(0.0,), (0.001,), (0.01,), (0.0, 0.0), (0.0, 0.004), (0.01, 0.002, 0.002)]
)
def test_the_stop_button_works_from_the_first_moment_on_and_when_it_is_pressed_again_at_once(
    kernel: Kernel, presses: tuple[float, ...]
) -> None:
    kernel.run("%db CREATE OR REPLACE TEMP TABLE mine AS SELECT 1 AS a")
    sent = kernel.start(GUARDED, "begun")
    begun = time.monotonic()
    for pause in presses:
        time.sleep(pause)
        kernel.interrupt()
    outcome = kernel.finish(sent)
    assert time.monotonic() - begun < 2
    assert "DuctWarning" not in outcome.stderr
    assert kernel.value("said").startswith(("'db: the statement ", "'stopped before the statement began"))
    assert kernel.value("db.status.running") == "0"
    assert "1" in kernel.value("%db FROM mine")


def test_a_statement_that_does_not_end_is_left_when_the_person_insists(kernel: Kernel) -> None:
    kernel.run(
        "import time\n"
        "def nap(seconds: float) -> float:\n    time.sleep(seconds)\n    return seconds\n"
        "db.connect()._connection.create_function('nap', nap, ['DOUBLE'], 'DOUBLE');"
    )
    sent = kernel.start("%db SELECT nap(3.0)")
    for seconds in (0.3, 0.1, 0.7):  # a third time, after a while
        time.sleep(seconds)
        kernel.interrupt()
    begun = time.monotonic()
    outcome = kernel.finish(sent)
    assert time.monotonic() - begun < 1
    assert outcome.error == "KeyboardInterrupt: db: the statement goes on being cancelled in the background"
    assert "without the former's temporary tables" in outcome.stderr
    assert "running.py" not in outcome.stderr and "base.py" not in outcome.stderr
    assert kernel.value("%db SELECT 8 AS eight").split() == ["eight", "0", "8"]
    kernel.run("while any('cancels' in t.name for t in threading.enumerate()): time.sleep(0.05)")


def test_a_statement_of_another_thread_is_cancelled_by_cancel_only(kernel: Kernel) -> None:
    kernel.run(
        "import threading\nsaid = []\n"
        "def work():\n    try:\n        db.query(SLOW)\n"
        "    except Exception as error:\n        said.append(str(error))\n"
        "thread = threading.Thread(target=work); thread.start()"
    )
    sent = kernel.start("import time\nprint('begun', flush=True)\ntime.sleep(20)", "begun")
    kernel.interrupt()
    assert kernel.finish(sent).ename == "KeyboardInterrupt"
    assert kernel.value("thread.is_alive()") == "True"
    assert kernel.value("db.cancel()") == "True"
    assert kernel.value("thread.join(5); said") == "['db: the statement was cancelled']"


# Tab


def test_tab_answers_among_a_thousand_ducts_and_connects_none(kernel: Kernel, folder: Path) -> None:
    kernel.run("for i in range(1000):\n    registry.new(f'duck{i}', 'duckdb')")
    kernel.run("%omniduct new duck_last duckdb")
    kernel.complete("duc")  # what it takes to load the completer
    begun = time.monotonic()
    assert {"duck7", "duck999"} <= set(kernel.complete("duck"))
    assert {"%duck99", "%%duck99", "%duck99.head"} <= set(kernel.complete("%duck99"))
    assert "duck999" in kernel.complete("%omniduct connect duck99")
    assert any("duck999" in match for match in kernel.complete("registry['duck99"))
    assert "duck1.query" in kernel.complete("duck1.") or "query" in kernel.complete("duck1.")
    assert time.monotonic() - begun < 8
    assert kernel.value("{d.status.state for d in registry if d.name != 'db'}") == "{'disconnected'}"
    assert kernel.value("[d.name for d in registry if d._prepared and d.name != 'db']") == "[]"
    assert diary(folder) == []


@pytest.mark.parametrize(
    "code",
    ["diary.", "diary.ho", "diary.host.", "diary.password.", "diary.username.", "diary.remote.",
     "registry['diary'].host.", "%omniduct connect di", "registry['di", "diary.status.", "%diary",
     "x = diary.port."],
)  # fmt: skip
def test_tab_behind_a_duct_never_prepares_connects_or_asks(kernel: Kernel, folder: Path, code: str) -> None:
    kernel.complete(code)
    assert diary(folder) == []


@pytest.mark.parametrize(
    "code", ["diary", "diary?", "%omniduct", "print(diary)", "registry", "[diary]", "dir(diary);"]
)
def test_looking_at_a_duct_never_prepares_or_connects(kernel: Kernel, folder: Path, code: str) -> None:
    assert kernel.run(code).error == ""
    kernel.inspect("diary")
    assert diary(folder) == []


# Another configuration, and the end


def test_reloading_reads_a_changed_file(kernel: Kernel, folder: Path) -> None:
    (folder / "setup.py").write_text(SETUP.replace('"diary": {"protocol"', '"renamed": {"protocol"'))
    outcome = kernel.run("%reload_ext omniduct")
    assert outcome.error == ""
    assert kernel.value("registry.names") == "['db', 'renamed']"
    assert "NameError" in kernel.run("diary").error
    assert "NameError" in kernel.run("duck7").error


def test_ducts_disconnect_when_the_kernel_shuts_down(running: Kernel, folder: Path) -> None:
    running.run("renamed._password = None; renamed.connect(); db.query('SELECT 1')")
    assert diary(folder) == ["prepared", "connected"]
    running.shut_down()
    assert diary(folder) == ["prepared", "connected", "disconnected"]
