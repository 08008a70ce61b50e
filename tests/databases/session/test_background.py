"""Statements that run while the person works."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.interrupts import NewThreads, wait_until
from tests.services.postgresql import PostgreSQL

from omniduct.databases.duckdb import DuckDBClient
from omniduct.databases.session.background import Background
from omniduct.errors import (
    DuctArgumentError,
    DuctConfigError,
    DuctError,
    DuctStatementError,
    DuctTemplateError,
    DuctWarning,
)

SOURCE = Path(__file__).resolve().parents[3] / "omniduct_ext"

# Minutes of work, in which the driver looks for a cancel all the time.
SLOW = (
    "SELECT count(*) FROM range(100000) a(i), range(100000) b(j), range(100) c(k) WHERE hash(i + j + k) = 1"
)
MANY = "SELECT range AS i FROM range(2000000000)"


class OneConnection(DuckDBClient):
    """A database whose driver has no sibling connections."""

    def _sibling_cursor(self) -> Any:
        return None


class RawCursors(DuckDBClient):
    """A database that hands out the driver's own cursors."""

    def _hand_out(self, cursor: Any) -> Any:
        return cursor


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """What a test begins has ended soon after it."""
    threads = NewThreads()
    yield
    wait_until(lambda: threads.names() == [])


@pytest.fixture
def db() -> Iterator[DuckDBClient]:
    db = DuckDBClient(name="db")
    yield db
    db.disconnect()


@pytest.fixture
def single() -> Iterator[OneConnection]:
    db = OneConnection(name="single")
    yield db
    db.disconnect()


# Results


@pytest.mark.parametrize("format", ["tuple", "dict", "csv", "arrow", "pandas", "polars"])
def test_the_result_is_what_the_query_gives(db: DuckDBClient, format: str) -> None:
    handle = db.query("SELECT range AS i FROM range(3)", format=format, background=True)
    assert isinstance(handle, Background)
    there = db.query("SELECT range AS i FROM range(3)", format=format)
    result = handle.result()
    assert result.equals(there) if hasattr(there, "equals") else result == there
    assert handle.done() and not handle.running() and not handle.cancelled()
    assert handle.exception() is None


def test_it_returns_at_once_while_the_session_is_free_for_others(db: DuckDBClient) -> None:
    db.connect()
    begun = time.monotonic()
    handle = db.query(SLOW, background=True)
    assert time.monotonic() - begun < 0.5
    assert handle.running() and not handle.done()
    assert db.query("SELECT 42", format="tuple") == [(42,)]
    assert handle.cancel()


def test_several_run_at_a_time_and_are_counted(db: DuckDBClient) -> None:
    slow = [db.query(SLOW, background=True) for _ in range(3)]
    quick = [db.query(f"SELECT {i}", format="tuple", background=True) for i in range(20)]
    assert [handle.result() for handle in quick] == [[(i,)] for i in range(20)]
    assert db.status.running == 3
    assert [handle.cancel() for handle in slow] == [True, True, True]
    assert db.status.running == 0


def test_several_statements_give_the_result_of_the_last(db: DuckDBClient) -> None:
    handle = db("CREATE TABLE t AS SELECT 5 AS x; SELECT x FROM t", format="tuple", background=True)
    assert handle.result() == [(5,)]
    assert db.query("CREATE TABLE u (x INT)", background=True).result() is None


@pytest.mark.parametrize("kind", [DuckDBClient, OneConnection, RawCursors])
def test_the_cursor_of_execute_is_readable_when_the_connection_is_closed(kind: type[DuckDBClient]) -> None:
    db = kind(name="db")
    for cursor in (
        db.execute("SELECT 1; SELECT 2 AS x", background=True).result(),
        db.query("SELECT 2 AS x", format="raw", background=True).result(),
    ):
        db.query("SELECT 3")
        gc.collect()
        assert [each[0] for each in cursor.description] == ["x"]
        assert cursor.fetchall() == [(2,)]
    db.disconnect()


def test_a_file_is_written_in_the_background(db: DuckDBClient, tmp_path: Path) -> None:
    handle: Any = db.stream_to_file("SELECT range AS i FROM range(1000)", tmp_path / "a.csv", background=True)
    assert handle.result() is None
    assert (tmp_path / "a.csv").read_text().count("\n") == 1001
    assert repr(handle).endswith(": 1,000 rows>")


def test_a_cancelled_one_leaves_no_file(db: DuckDBClient, tmp_path: Path) -> None:
    handle: Any = db.stream_to_file(MANY, tmp_path / "a.csv", background=True)
    wait_until(lambda: (handle.progress.rows or 0) > 0)
    assert handle.cancel()
    assert list(tmp_path.iterdir()) == []


def test_it_sees_no_temporary_tables_of_the_session(db: DuckDBClient) -> None:
    db.query("CREATE TEMP TABLE mine AS SELECT 1 AS x; CREATE TABLE everybodys AS SELECT 2 AS x")
    assert db.query("FROM everybodys", format="tuple", background=True).result() == [(2,)]
    assert isinstance(db.query("FROM mine", background=True).exception(), DuctStatementError)


# What is said at once


def test_what_is_wrong_with_the_text_or_the_options_is_said_at_once(db: DuckDBClient) -> None:
    with pytest.raises(DuctTemplateError):
        db.query("SELECT {{ nothing }}", background=True)
    with pytest.raises(DuctArgumentError, match="no option 'contxt'"):
        db.query("SELECT 1", contxt={}, background=True)
    with pytest.raises(DuctConfigError, match="no format 'pandass'"):
        db.query("SELECT 1", format="pandass", background=True)
    with pytest.raises(DuctArgumentError, match="takes no cursor"):
        db.execute("SELECT 1", cursor=db.connect()._connection, background=True)
    assert db.status.running == 0


def test_values_are_those_of_the_moment(db: DuckDBClient) -> None:
    values = {"x": 1}
    handle = db.query("SELECT {{ x | bind }}", context=values, format="tuple", background=True)
    values["x"] = 2
    assert handle.result() == [(1,)]


# Errors


def test_a_failure_is_raised_for_each_who_asks_without_the_driver_s_frames(db: DuckDBClient) -> None:
    handle = db.query("SELECT nonsense", background=True)
    errors = []
    for _ in range(2):
        with pytest.raises(DuctStatementError, match="nonsense") as caught:
            handle.result()
        errors.append(caught.value)
    assert errors[0] is not errors[1] and errors[0].__cause__ is errors[1].__cause__ is not None
    assert "duckdb" not in "".join(traceback.format_tb(errors[1].__traceback__)).replace(
        "test_background", ""
    )
    assert isinstance(handle.exception(), DuctStatementError)
    assert repr(handle).startswith("<Background of db, failed after ")
    assert "nonsense" in repr(handle) and "\n" not in repr(handle)


def test_waiting_may_have_an_end_and_the_statement_goes_on(db: DuckDBClient) -> None:
    handle = db.query(SLOW, background=True)
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"db: the statement has not ended within 0.3 s"):
        handle.result(timeout=0.3)
    assert 0.3 <= time.monotonic() - begun < 1
    with pytest.raises(TimeoutError):
        handle.exception(0)
    assert handle.running() and handle.cancel()


# Cancel


@pytest.mark.parametrize("after", [0.0, 0.001, 0.02, 0.5])
def test_cancel_ends_the_statement_in_the_database(db: DuckDBClient, after: float) -> None:
    handle = db.query(SLOW, background=True)
    time.sleep(after)
    begun = time.monotonic()
    assert handle.cancel()
    assert time.monotonic() - begun < 1
    assert handle.done() and handle.cancelled() and not handle.cancel()
    assert repr(handle) == "<Background of db, cancelled>"
    with pytest.raises(DuctStatementError, match=r"db: the statement .*cancelled"):
        handle.result()
    elapsed = handle.elapsed
    time.sleep(0.01)
    assert handle.elapsed == elapsed


def test_what_has_ended_is_not_cancelled(db: DuckDBClient) -> None:
    handle = db.query("SELECT 1", format="tuple", background=True)
    handle.result()
    assert not handle.cancel() and not handle.cancelled()
    assert handle.result() == [(1,)]


def test_disconnecting_cancels_and_says_so(db: DuckDBClient) -> None:
    handles = [db.query(SLOW, background=True) for _ in range(2)]
    wait_until(lambda: all(handle._work.running.began for handle in handles))
    db.disconnect()
    for handle in handles:
        with pytest.raises(DuctStatementError, match="cancelled: the duct was disconnected"):
            handle.result(5)
        assert handle.cancelled()
    assert db.status.running == 0 and db.status.state == "disconnected"


# Where the driver has one connection


def test_without_a_sibling_it_takes_its_turn_on_the_session(single: OneConnection) -> None:
    single.query("CREATE TEMP TABLE mine AS SELECT 1 AS x")
    handles = [single.query("FROM mine", format="tuple", background=True) for _ in range(3)]
    assert [handle.result() for handle in handles] == [[(1,)]] * 3
    first = single.query(SLOW, background=True)
    wait_until(lambda: first._work.running.began)
    second = single.query("SELECT 2", format="tuple", background=True)
    assert "waiting" in repr(second)
    wait_until(lambda: single.status.running == 2)
    assert second.cancel() and "had not begun" in str(second.exception())
    assert first.running()  # the other one's cancel did not strike it
    third = single.query("SELECT 3", format="tuple", background=True)
    assert first.cancel()
    assert third.result() == [(3,)]
    assert single.status.running == 0


def test_without_a_sibling_disconnecting_cancels_too(single: OneConnection) -> None:
    handle = single.query(SLOW, background=True)
    wait_until(lambda: handle._work.running.began)
    single.disconnect()
    with pytest.raises(DuctStatementError, match="the duct was disconnected"):
        handle.result(5)
    assert handle.cancelled() and single.status.running == 0


# How far it is


def test_it_tells_how_far_it_is(db: DuckDBClient, tmp_path: Path) -> None:
    db.query("CREATE TABLE numbers AS SELECT range AS i FROM range(20000000)")
    handle = db.query("SELECT max(md5(md5(i::VARCHAR))) FROM numbers", background=True)
    wait_until(lambda: (handle.progress.fraction or 0) > 0)
    assert 0 < (handle.progress.fraction or 0) < 1
    assert "%" in repr(handle) and repr(handle).startswith("<Background of db, running ")
    handle.cancel()
    counted: Any = db.stream_to_file(MANY, tmp_path / "b", background=True)
    wait_until(lambda: (counted.progress.bytes or 0) > 0)
    assert "rows" in repr(counted)
    counted.cancel()


# A handle that nobody holds


def test_a_dropped_handle_leaves_the_statement_running_to_its_end(db: DuckDBClient) -> None:
    db.query("CREATE TABLE noted AS SELECT count(*) FROM range(300000000)", background=True)
    gc.collect()
    wait_until(lambda: bool(db.table_exists("noted")))
    assert [t.name for t in threading.enumerate() if "runs" in t.name] == []


def line_here() -> int:
    return sys._getframe(1).f_lineno


@pytest.mark.filterwarnings("always::omniduct.errors.DuctWarning")
def test_a_failure_that_nobody_looked_at_is_told_once_at_the_line_that_began_it(db: DuckDBClient) -> None:
    with warnings.catch_warnings(record=True) as told:
        db.query("SELECT nonsense", background=True)
        line = line_here() - 1
        wait_until(lambda: bool(told))
        late = db.query("SELECT nonsense", background=True)
        wait_until(late.done)
        del late
        gc.collect()
        wait_until(lambda: len(told) > 1)
        looked = db.query("SELECT nonsense", background=True)
        assert looked.exception()
        shown = db.query("SELECT nonsense", background=True)
        wait_until(shown.done)
        repr(shown)
        del looked, shown
        gc.collect()
        stopped = db.query(SLOW, background=True)
        stopped.cancel()
        del stopped
        gc.collect()
    assert [each.category for each in told] == [DuctWarning] * 2
    assert "a statement in the background failed, and nobody asked for its result" in str(told[0].message)
    assert (told[0].filename, told[0].lineno) == (__file__, line)


SCRIPT = f"""
from omniduct.databases.duckdb import DuckDBClient
db = DuckDBClient(name="db")
handle = db.query({SLOW!r}, background=True)
"""


def test_a_script_that_ends_before_its_statement_is_told_and_does_not_hang(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0
    assert (
        "script.py:4: DuctWarning: db: a statement in the background is cancelled, as Python" in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_what_runs_in_its_parent(db: DuckDBClient) -> None:
    handle = db.query(SLOW, background=True)
    child = os.fork()
    if child == 0:
        try:
            handle.result(5)
        except DuctError as error:
            os._exit(7 if "in the process that has begun it" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert handle.cancel()


# A real server


def test_postgresql_runs_and_cancels_in_the_background(postgresql_server: PostgreSQL) -> None:
    pytest.importorskip("adbc_driver_postgresql")
    from omniduct.databases.postgresql import PostgreSQLClient

    server = postgresql_server
    pg = PostgreSQLClient(
        name="pg",
        **server.login,
    )
    handles = [pg.query("SELECT pg_sleep(60)", background=True) for _ in range(3)]
    wait_until(lambda: len(server.running("pg_sleep")) == 3)
    assert handles[0].cancel()
    wait_until(lambda: len(server.running("pg_sleep")) == 2, 1)
    quick = pg.query("SELECT i FROM generate_series(1, 100000) AS t(i)", background=True)
    assert len(quick.result()) == 100_000
    pg.disconnect()
    assert all("was disconnected" in str(handle.exception(5)) for handle in handles[1:])
    wait_until(lambda: server.running("pg_sleep") == [], 2)
    wait_until(lambda: server.connections(server.user) == 0, 2)


def test_what_belongs_to_the_result_is_said_to_be_there(db: DuckDBClient) -> None:
    handle = db.query("SELECT 1 AS x", background=True)
    with pytest.raises(AttributeError, match=r"wait for its result, as in .result\(\).head"):
        handle.head()
    assert not hasattr(handle, "_repr_html_")
    assert handle.result().head().x.tolist() == [1]


def test_a_result_that_has_not_come_in_time_is_a_timeout_in_one_sentence(db: DuckDBClient) -> None:
    handle = db.query(SLOW, background=True)
    with pytest.raises(
        TimeoutError, match=r"db: the statement has not ended within 0\.1 s; it goes on"
    ) as raised:
        handle.result(timeout=0.1)
    assert isinstance(raised.value, DuctError)
    handle.cancel()
