"""The line that says how far a statement is."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from omniduct import DuctRegistry
from omniduct.databases.duckdb import DuckDBClient
from omniduct.databases.session import showing
from omniduct.databases.session.progress import CURRENT, Progress, Running, counted, counts, link_of, shown

SOURCE = Path(__file__).resolve().parents[3] / "omniduct_ext"

WORK = "SELECT max(md5(i::VARCHAR)) FROM numbers"
# Seconds of work, and minutes, in which the driver looks for a cancel all the time.
SLOW = (
    "SELECT count(*) FROM range(100000) a(i), range(100000) b(j), range(100) c(k) WHERE hash(i + j + k) = 1"
)


@pytest.fixture
def db() -> Iterator[DuckDBClient]:
    db = DuckDBClient(name="db")
    yield db
    db.disconnect()


# What the line says


@pytest.mark.parametrize("width", [20, 30, 40, 60, 79, 200])
def test_a_line_keeps_to_the_width(width: int) -> None:
    from tqdm.utils import disp_len

    for name in ("pg", "a_service_with_a_long_name", "服务"):
        for progress in (
            Progress(),
            Progress(rows=10**9, bytes=10**12),
            Progress(0.5, 10**9, 10**12, "RUNNING"),
        ):
            line = shown(name, progress, 3700.0, width)
            assert disp_len(line) <= width
            assert line.startswith(name[:5])


def test_a_hundred_percent_is_never_shown() -> None:
    for fraction in (0.994, 0.999, 1.0, 1.7):
        assert " 99%|" in shown("db", Progress(fraction), 5.0)
        assert counts(Progress(fraction)) == "99%"
    assert "  0%|" in shown("db", Progress(-0.1), 5.0)


def test_a_bar_goes_without_blocks_where_there_are_none() -> None:
    assert shown("db", Progress(0.5), 5.0, ascii=True).isascii()
    assert "█" in shown("db", Progress(0.5), 5.0)


def test_what_the_service_says_comes_before_what_was_counted_here() -> None:
    running = Running("db")
    running.add(5, 100)
    running.add(6)
    assert running.merged(None) == Progress(rows=11, bytes=100)
    assert running.merged(Progress(0.5, rows=3, text="x")) == Progress(0.5, 3, 100, "x")
    assert running.merged(Progress(link="http://here")) == Progress(rows=11, bytes=100, link="http://here")


@pytest.mark.parametrize(
    ("said", "worth"),
    [
        ([None, None], [None, None]),
        ([0.0, 0.0, 0.1], [None, None, 0.1]),
        ([0.3, 0.3, 0.4, 0.4], [None, None, 0.4, 0.4]),
        ([None, 0.3, None, 0.3, 0.5], [None, None, None, None, 0.5]),
    ],
)
def test_a_bar_is_of_a_fraction_that_moves(said: list[float | None], worth: list[float | None]) -> None:
    running = Running("db")
    assert [running.worth_a_bar(Progress(fraction)).fraction for fraction in said] == worth


@pytest.mark.parametrize(
    "link", ["", "javascript:alert(1)", "http://a b", "http://a\x1b[2J", "ftp://a", "https://a\n", "http://"]
)
def test_a_link_that_nobody_should_follow_is_none(link: str) -> None:
    assert link_of(Progress(link=link)) == ""


# What is counted


@pytest.mark.parametrize("make", [lambda table: table, lambda table: table.to_reader(10)])
def test_rows_are_counted_as_they_are_read(make: Callable[[pa.Table], Any]) -> None:
    running = Running("db")
    token = CURRENT.set(running)
    try:
        source = counted(make(pa.table({"x": list(range(35))})))
        for _ in source if isinstance(source, pa.RecordBatchReader) else ():
            pass
    finally:
        CURRENT.reset(token)
    assert running.rows == 35


def test_duckdb_says_how_far_it_is(db: DuckDBClient) -> None:
    db.query("CREATE TABLE numbers AS SELECT range AS i FROM range(15000000)")
    found: list[float] = []
    thread = threading.Thread(target=lambda: db.query(WORK))
    thread.start()
    while thread.is_alive():
        progress = db._progress(None)
        if progress is not None and progress.fraction is not None:
            found.append(progress.fraction)
        time.sleep(0.02)
    thread.join()
    assert found == sorted(found)
    assert 0 < found[0] < 0.5 < found[-1] <= 1
    assert db._progress(None) is None


def test_asking_for_progress_is_harmless_at_any_moment(db: DuckDBClient) -> None:
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            db._progress(None)
            time.sleep(0.0005)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(200):
        assert db.query(f"SELECT {i}", format="tuple") == [(i,)]
        if i % 50 == 0:
            db.reconnect()
    stop.set()
    for thread in threads:
        thread.join()


# Where it is shown


SCRIPT = """
import sys, threading, time
from omniduct.databases.duckdb import DuckDBClient
from omniduct.databases.session.progress import Progress

def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds

db = DuckDBClient(name="db", progress={progress})
db.connect()._connection.create_function("nap", nap, ["DOUBLE"], "DOUBLE")
db.query("SELECT 1")
{before}
print("begun", flush=True)
threading.Timer(2.0, db.cancel).start()
try:
    db.query(sys.argv[1])
except Exception as error:
    print(error)
print("ended", flush=True)
"""
SAID = "db: the statement was cancelled"


# It then says of itself what a service with a web UI says.
LINK = "http://127.0.0.1:8080/ui/query.html?20261123_010203_00001_abcde"
WITH_LINK = f"db._progress = lambda cursor: Progress(text='RUNNING', link='{LINK}')"


def script(folder: Path, progress: bool = True, before: str = "") -> str:
    path = folder / "script.py"
    path.write_text(SCRIPT.format(progress=progress, before=before))
    return str(path)


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "dumb"}


def test_a_log_has_no_line(tmp_path: Path) -> None:
    command = [sys.executable, script(tmp_path), SLOW]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"begun\n{SAID}\nended\n", "")


# A log

LOGGED = """
import logging
logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
from omniduct.databases.session import showing
showing._LOGGED_EVERY = 0.5
"""


def in_a_log(folder: Path, before: str, statement: str) -> list[str]:
    """What a script, whose output nobody looks at, tells its log."""
    command = [sys.executable, script(folder, before=LOGGED + before), statement]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("begun\n") and done.stdout.endswith("ended\n")
    return done.stderr.splitlines()


def test_a_log_that_wants_to_know_is_told_how_far_it_is_and_how_it_ended(tmp_path: Path) -> None:
    began, *between, ended = in_a_log(tmp_path, WITH_LINK, "SELECT nap(1.7)")
    assert re.fullmatch(rf"omniduct INFO db: RUNNING \[00:01\] {re.escape(LINK)}", began)
    assert len(between) < 3
    assert re.fullmatch(r"omniduct INFO db: finished after 1\.\d s", ended)


def test_a_log_is_told_of_a_failure(tmp_path: Path) -> None:
    assert re.fullmatch(r"omniduct INFO db: failed after \d(\.\d)? s", in_a_log(tmp_path, "", SLOW)[-1])


def test_a_log_is_told_less_and_less_often_and_when_the_state_changes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    second, told = 0, []
    # With a clock of our own, as it is about minutes.
    monkeypatch.setattr(showing, "time", types.SimpleNamespace(monotonic=lambda: 1000.0 + second))
    caplog.set_level(logging.INFO, "omniduct")
    running = Running("db")

    def ask() -> Progress:
        return Progress(text="QUEUED" if second < 145 else f"RUNNING, {second} of 300 splits")

    log = showing._Log(running, ask)
    for second in range(300):
        log.look()
        if caplog.records:
            told.append(second)
            caplog.clear()
    assert told == [0, 10, 30, 70, 130, 150, 210, 270]
    assert running.logged


def test_a_log_is_not_told_anew_of_each_piece_of_a_stream(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    second = 0
    monkeypatch.setattr(showing, "time", types.SimpleNamespace(monotonic=lambda: 1000.0 + second))
    caplog.set_level(logging.INFO, "omniduct")
    running = Running("db")
    for _ in range(4):
        piece = showing.Showing(running, Progress)
        for _ in range(2):
            second += 1
            piece.look()
        piece.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "run",
    [
        "work = threading.Thread(target=db.query, args=['SELECT nap(1.4)']); work.start(); work.join()",
        "db.query('SELECT nap(1.4)', background=True).result()",
        "work = db.query('SELECT nap(1.4)', background=True); time.sleep(3)",
        "list(db.stream('SELECT nap(1.4)'))",
        "db._call(lambda: time.sleep(1.4))",
    ],
)
def test_a_log_is_told_once_however_a_statement_is_run(tmp_path: Path, run: str) -> None:
    told = in_a_log(tmp_path, f"showing._LOGGED_EVERY = 60\n{WITH_LINK}\n{run}", "SELECT 1")
    assert [line.split("db: ")[1].split()[0] for line in told] == ["RUNNING", "finished"], told


def test_a_log_hears_nothing_of_quick_statements_and_of_ducts_that_are_quiet(tmp_path: Path) -> None:
    assert in_a_log(tmp_path, "db.query('SELECT nap(0.5)')", "SELECT 1") == []
    assert in_a_log(tmp_path, "db.progress = False", "SELECT nap(1.4)") == []


# A terminal


def on_a_terminal(
    folder: Path, statement: str, columns: int = 80, progress: bool = True, before: str = "", **env: str
) -> str:
    """What a script writes on a terminal between two words that it prints."""
    if sys.platform == "win32":
        pytest.skip("there is no pseudo-terminal")
    import pexpect

    child = pexpect.spawn(
        sys.executable,
        [script(folder, progress, before), statement],
        env={**ENVIRONMENT, **env},
        dimensions=(24, columns),
        encoding="utf-8",
        timeout=60,
    )
    child.expect("begun\r\n")
    child.expect("ended")
    child.close()
    return str(child.before)


def screen(written: str) -> list[str]:
    """The lines that a terminal shows in the end, of texts that only go back to the first column."""
    lines = []
    for line in written.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return lines


def test_a_terminal_has_a_line_that_goes_when_the_statement_ends(tmp_path: Path) -> None:
    written = on_a_terminal(tmp_path, "SELECT nap(1.8)")
    assert "db: " in written and "[00:01" in written
    assert screen(written) == [""]


@pytest.mark.parametrize("columns", [30, 80, 200])
def test_a_line_fits_and_goes_when_the_statement_fails(tmp_path: Path, columns: int) -> None:
    written = on_a_terminal(tmp_path, SLOW, columns)
    assert written.count("db: ") > 1  # the last is what is printed in the end
    assert all(len(part) < columns for part in written.split("\r") if "[" in part or not part.strip())
    assert screen(written) == [SAID, ""]


def test_a_terminal_has_the_link_where_there_is_room(tmp_path: Path) -> None:
    for columns, has_link in ((80, False), (81 + len(LINK), True)):
        written = on_a_terminal(tmp_path, "SELECT nap(1.5)", columns, before=WITH_LINK)
        assert "RUNNING" in written
        assert (LINK in written) is has_link
        assert screen(written) == [""]


MOVING = "import itertools; parts = itertools.count(1)\ndb._progress = lambda _: Progress(next(parts) / 40)"


def test_a_terminal_without_blocks_has_a_line_too(tmp_path: Path) -> None:
    written = on_a_terminal(tmp_path, "SELECT nap(1.9)", before=MOVING, PYTHONIOENCODING="ascii")
    assert "#" in written and "?" not in written


def test_a_terminal_has_no_bar_that_does_not_move(tmp_path: Path) -> None:
    written = on_a_terminal(tmp_path, "SELECT nap(1.9)", before="db._progress = lambda _: Progress(0.3)")
    assert "db: running [00:01]" in written and "%" not in written
    assert "%|" in on_a_terminal(tmp_path, "SELECT nap(1.9)", before=MOVING)


def test_a_quick_statement_has_no_line(tmp_path: Path) -> None:
    assert on_a_terminal(tmp_path, "SELECT nap(0.6)") == ""


def test_the_line_can_be_switched_off(tmp_path: Path) -> None:
    assert on_a_terminal(tmp_path, SLOW, progress=False) == f"{SAID}\r\n"


def test_whether_there_is_a_line_can_be_configured() -> None:
    registry = DuctRegistry()
    registry.config.DatabaseClient.progress = False
    assert registry.new("quiet", "duckdb").progress is False
    assert registry.new("loud", "duckdb", progress=True).progress is True
    assert DuckDBClient(name="db").progress is True
    assert DuckDBClient(name="db", progress=False)._arguments_now()["progress"] is False
