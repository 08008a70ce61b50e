"""Statements under way: what an interrupt, a cancel, a second thread and a statement without end do."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.interrupts import Caller, Person, interrupted, wait_until

from omniduct.databases.duckdb import DuckDBClient
from omniduct.databases.session import running
from omniduct.databases.session.running import Session
from omniduct.errors import DuctConnectionError, DuctStatementError, DuctWarning

SOURCE = Path(__file__).resolve().parents[3] / "omniduct_ext"

# Minutes of work, in which the driver looks for a cancel all the time; and rows that take long to fetch.
SLOW = (
    "SELECT count(*) FROM range(100000) a(i), range(100000) b(j), range(100) c(k) WHERE hash(i + j + k) = 1"
)
LONG = "SELECT range AS i, range::VARCHAR AS s FROM range(50000000)"


@pytest.fixture
def db() -> Iterator[DuckDBClient]:
    db = DuckDBClient(name="db")
    yield db
    db.disconnect()


def with_nap(db: DuckDBClient) -> DuckDBClient:
    """The duct, with a function in SQL that sleeps and that no cancel reaches."""

    def nap(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    connection: Any = db.connect()._connection
    connection.create_function("nap", nap, ["DOUBLE"], "DOUBLE")
    return db


def under_way(db: DuckDBClient) -> Callable[[], bool]:
    """Whether the worker is at a statement."""
    return lambda: db._session is not None and bool(db._session._current)


def at_rest(db: DuckDBClient) -> None:
    """Nothing is left of what ran: no count, no thread that cancels; and the duct is usable."""
    assert db._life.running == 0
    assert db.query("SELECT 42", format="tuple") == [(42,)]
    assert [t.name for t in threading.enumerate() if "cancels" in t.name] == []


# A process of its own, for real signals


def in_a_process_of_its_own(child: Callable[[], None], seconds: float = 25.0) -> str:
    """Run a function of this file in another process, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{SOURCE.parent}"}
    command = [sys.executable, "-W", "always::UserWarning", __file__, child.__name__]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def child_interrupts_at_random() -> None:
    running.PATIENCE = running._IN_ONE_GO = 60.0  # a busy machine is no person who insists
    db, chance = DuckDBClient(name="db"), random.Random(3)
    kept: list[DuckDBClient] = []

    def new() -> DuckDBClient:
        kept.append(DuckDBClient(name="new"))
        return kept[-1]

    db.query("CREATE TEMP TABLE mine AS SELECT 1 AS x")
    kinds: list[Callable[[], object]] = [
        lambda: db.query(SLOW, format="arrow"),
        lambda: db.query(LONG, format="arrow"),
        lambda: db.execute(SLOW),
        lambda: db.query(f"SELECT 1; {SLOW}; SELECT 2"),
        lambda: sum(1 for _ in db.stream(LONG)),
        lambda: [len(piece) for piece in db.stream(LONG, batch=10_000, format="pandas")],
        lambda: list(db.stream(SLOW)),
        lambda: db.stream_to_file(LONG, "rows.csv"),
        lambda: new().query(SLOW),  # while it connects
    ]
    for i in range(160):
        first = chance.choice([0, chance.random() * 0.002, chance.random() * 0.05, chance.random() * 0.12])
        more = [first + chance.random() * 0.005 for _ in range(i % 3 if i % 2 else 0)]
        begun = time.perf_counter()
        interrupted(kinds[i % len(kinds)], first, *sorted(more))
        assert time.perf_counter() - begun - first < 2, (
            f"try {i} took {time.perf_counter() - begun - first:.1f} s"
        )
        assert db._life.running == 0, f"try {i}"
        assert db.query("SELECT 42", format="tuple") == [(42,)], f"try {i}"
        assert not os.path.exists("rows.csv"), f"try {i}"
    assert db.query("SELECT * FROM mine", format="tuple") == [(1,)], "the session was lost"
    for i in range(100):  # in the first moments, in which the driver is called by the main thread too
        interrupted(kinds[4 + i % 5], chance.random() * 0.003)
        assert db._life.running == 0, f"early try {i}"
    for duct in kept:
        duct.disconnect()
    gc.collect()
    wait_until(
        lambda: [t.name for t in threading.enumerate() if t.name.startswith("omniduct")] == ["omniduct db"]
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_at_any_moment_ends_the_statement_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "DuctWarning" not in in_a_process_of_its_own(child_interrupts_at_random)
    assert list(tmp_path.iterdir()) == []


def child_says_what_became_of_it() -> None:
    db = with_nap(DuckDBClient(name="db"))
    assert interrupted(lambda: db.query(SLOW), 0.1, when=under_way(db)) == "db: the statement was cancelled"
    other = Caller(lambda: db.query("SELECT nap(0.5) AS x", format="tuple"))
    wait_until(under_way(db))
    assert interrupted(lambda: db.query("SELECT 1"), 0.2) == "db: the statement had not begun"
    assert other.ended().result == [(0.5,)]


def test_an_interrupt_says_what_became_of_the_statement() -> None:
    in_a_process_of_its_own(child_says_what_became_of_it)


def inserting(db: DuckDBClient, i: int) -> Callable[[], object]:
    return lambda: db.query(f"INSERT INTO noted VALUES ({i})")


def selecting(db: DuckDBClient, i: int) -> Callable[[], object]:
    return lambda: db.query(f"SELECT {i}", format="tuple")


def child_leaves_other_threads_alone() -> None:
    db = with_nap(DuckDBClient(name="db"))
    db.query("CREATE TABLE noted (i INT)")
    first = Caller(lambda: db.query("INSERT INTO noted SELECT 0 FROM range(1) WHERE nap(0.4) > 0"))
    wait_until(under_way(db))
    others = [Caller(inserting(db, i)) for i in range(1, 5)]
    wait_until(lambda: db._life.running == 5)
    interrupted(lambda: db.query("INSERT INTO noted VALUES (99)"), 0.1)  # the last in the line
    later = [Caller(inserting(db, i)) for i in range(5, 9)]
    for caller in [first, *others, *later]:
        assert caller.ended().error is None, caller.error
    assert db.query("SELECT i FROM noted ORDER BY i", format="tuple") == [(i,) for i in range(9)]
    # and a cancel strikes only what runs
    mine = Caller(lambda: db.query(SLOW))
    wait_until(under_way(db))
    waiting = [Caller(selecting(db, i)) for i in range(5)]
    wait_until(lambda: db._life.running == 6)
    assert db.cancel()
    assert isinstance(mine.ended().error, DuctStatementError)
    assert [caller.ended().result for caller in waiting] == [[(i,)] for i in range(5)]
    at_rest(db)


def child_own_statement_with_others_waiting() -> None:
    db = DuckDBClient(name="db")
    waiting: list[Caller] = []

    def join_the_line() -> None:
        wait_until(under_way(db))
        waiting.extend(Caller(selecting(db, i)) for i in range(5))

    joining = Caller(join_the_line)
    interrupted(lambda: db.query(SLOW), 0.1, when=lambda: len(waiting) == 5)
    joining.ended()
    assert [caller.ended().result for caller in waiting] == [[(i,)] for i in range(5)]
    at_rest(db)


@pytest.mark.parametrize("child", [child_leaves_other_threads_alone, child_own_statement_with_others_waiting])
def test_an_interrupt_never_cancels_the_statement_of_another_thread(child: Callable[[], None]) -> None:
    in_a_process_of_its_own(child)


def child_gives_a_session_up() -> None:
    running.PATIENCE = 0.6
    db = with_nap(DuckDBClient(name="db"))
    db.query("CREATE TEMP TABLE mine AS SELECT 1 AS x; CREATE TABLE kept AS SELECT 2 AS x")
    waiting = []

    def join_the_line() -> None:
        wait_until(under_way(db))
        waiting.append(Caller(lambda: db.query("SELECT x FROM kept", format="tuple")))

    joining = Caller(join_the_line)
    begun = time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        said = interrupted(lambda: db.query("SELECT nap(3.0)"), 0.1, 0.105, when=under_way(db))
    assert 0.6 < time.perf_counter() - begun < 1.6
    assert said == "db: the statement goes on being cancelled in the background"
    assert [w.category for w in told] == [DuctWarning]
    assert "without the former's temporary tables" in str(told[0].message)
    assert told[0].filename == __file__  # at the person's own line, not in the package
    assert db._life.running <= 1  # the one that waits
    joining.ended()
    assert waiting[0].ended(1.5).result == [(2,)]  # long before the nap is over
    assert any(t.name == "omniduct cancels db" for t in threading.enumerate())
    # The background cancels the old statement, never one of the new session.
    assert db.query(
        "SELECT count(*) FROM range(10000000) t(i) WHERE hash(i) IS NOT NULL", format="tuple"
    ) == [(10000000,)]
    try:
        db.query("SELECT * FROM mine")
        raise AssertionError("the temporary table is still there")
    except DuctStatementError:
        pass
    wait_until(lambda: not any("cancels" in t.name for t in threading.enumerate()), 8)
    at_rest(db)


def child_goes_on_cancelling_what_it_left() -> None:
    running.PATIENCE = 0.3
    db = DuckDBClient(name="db").connect()
    connection: Any = db._connection

    def sleeps_and_then_works() -> None:
        time.sleep(1.5)
        connection.execute(SLOW)

    # not closer, or a busy machine makes one signal of the two
    interrupted(lambda: db._on_session(sleeps_and_then_works), 0.1, 0.3, when=under_way(db))
    assert db._connection is not connection
    assert db.query("SELECT 42", format="tuple") == [(42,)]
    wait_until(lambda: not any("cancels" in t.name for t in threading.enumerate()))
    at_rest(db)


def child_waits_when_interrupted_once() -> None:
    running.PATIENCE = 0.6
    db = with_nap(DuckDBClient(name="db"))
    db.query("CREATE TEMP TABLE mine AS SELECT 1 AS x")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        interrupted(lambda: db.query("SELECT nap(1.0)"), 0.1, when=under_way(db))
        interrupted(
            lambda: db.query("SELECT nap(0.5)"), 0.1, 0.12, 0.14, when=under_way(db)
        )  # a key that is held down
    assert [str(w.message) for w in told] == [
        "db: the statement has not ended yet; interrupt again to leave it behind"
    ]
    assert db.query("SELECT * FROM mine", format="tuple") == [(1,)]
    at_rest(db)


def child_gives_a_stream_up() -> None:
    db = with_nap(DuckDBClient(name="db"))
    db.query("CREATE TEMP TABLE mine AS SELECT 1 AS x")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        interrupted(lambda: list(db.stream("SELECT nap(1.8)")), 0.3, 0.4, 1.0)  # a third one will not wait
    assert len(told) == 1 and "stream" in str(told[0].message)
    assert db.query("SELECT * FROM mine", format="tuple") == [(1,)]  # it ran beside the session
    wait_until(lambda: not any("cancels" in t.name for t in threading.enumerate()))
    at_rest(db)


@pytest.mark.parametrize(
    "child",
    [
        child_gives_a_session_up,
        child_goes_on_cancelling_what_it_left,
        child_waits_when_interrupted_once,
        child_gives_a_stream_up,
    ],
)
def test_a_statement_that_refuses_to_end_is_left_only_when_the_person_insists(
    child: Callable[[], None],
) -> None:
    in_a_process_of_its_own(child)


def child_asyncio() -> None:
    db = DuckDBClient(name="db")

    async def main() -> None:
        await asyncio.sleep(0)
        db.query(SLOW)

    said = interrupted(lambda: asyncio.run(main()), 0.1, when=under_way(db))
    assert said == "db: the statement was cancelled"
    at_rest(db)


def test_an_interrupt_reaches_a_statement_in_a_coroutine() -> None:
    in_a_process_of_its_own(child_asyncio)


def child_with_a_handler_of_its_own() -> None:
    db = with_nap(DuckDBClient(name="db"))
    seen: list[int] = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    person = Person((0.1, 0.2), under_way(db)).start()
    assert db.query("SELECT nap(0.4)", format="tuple") == [(0.4,)]
    person.leave()
    assert seen == [1, 1]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    person = Person((0.1,), under_way(db)).start()
    assert db.query("SELECT nap(0.2)", format="tuple") == [(0.2,)]
    person.leave()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_program_with_its_own_plans_for_the_signal_keeps_them() -> None:
    in_a_process_of_its_own(child_with_a_handler_of_its_own)


# Cancel, from another thread


def test_cancel_ends_the_statement_of_another_thread(db: DuckDBClient) -> None:
    caller = Caller(lambda: db.query(SLOW))
    wait_until(under_way(db))
    assert db.cancel()
    assert str(caller.ended().error) == "db: the statement was cancelled"
    at_rest(db)


def test_a_cancel_that_comes_before_the_driver_has_begun_is_not_lost(db: DuckDBClient) -> None:
    for _ in range(40):
        caller = Caller(lambda: db.query(SLOW))
        while not db.cancel():
            assert caller.is_alive()
        assert isinstance(caller.ended().error, DuctStatementError)
    at_rest(db)


def test_cancelling_where_nothing_runs_does_nothing(db: DuckDBClient) -> None:
    assert not db.cancel()
    db.query("SELECT 1")
    assert not db.cancel()
    at_rest(db)


def test_a_cancelled_one_of_several_statements_keeps_the_later_from_running(db: DuckDBClient) -> None:
    caller = Caller(lambda: db.query(f"CREATE TABLE a (i INT); {SLOW}; CREATE TABLE b (i INT)"))
    wait_until(under_way(db))
    assert db.cancel()
    assert isinstance(caller.ended().error, DuctStatementError)
    assert not db.table_exists("b")


def test_disconnecting_ends_what_runs_and_says_so(db: DuckDBClient) -> None:
    caller = Caller(lambda: db.query(SLOW))
    wait_until(under_way(db))
    db.disconnect()
    assert str(caller.ended().error) == "db: the statement was cancelled: the duct was disconnected"
    at_rest(db)


# Threads


def test_statements_of_many_threads_run_one_at_a_time_in_order(db: DuckDBClient) -> None:
    db.query("CREATE TABLE noted (i INT); CREATE SEQUENCE number")
    callers = [Caller(lambda: db.query("INSERT INTO noted SELECT nextval('number')")) for _ in range(50)]
    for caller in callers:
        assert caller.ended().error is None
    assert db.query("SELECT count(DISTINCT i), max(i) FROM noted", format="tuple") == [(50, 50)]
    at_rest(db)


def test_the_caller_s_context_variables_are_seen_by_the_statement(db: DuckDBClient) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")
    connection: Any = db.connect()._connection
    connection.create_function("seen", lambda i: variable.get(), ["BIGINT"], "VARCHAR")
    assert db._on_session(variable.get) == "mine"


def test_a_statement_from_within_another_of_the_same_duct_is_refused_at_once(db: DuckDBClient) -> None:
    with pytest.raises(DuctStatementError, match="from within another"):
        db._on_session(lambda: db.query("SELECT 1"))
    at_rest(db)


def test_what_waits_behind_a_session_that_ends_is_told() -> None:
    session = Session("db")
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(5)

    first = Caller(lambda: session.run(work, go_on.set))
    assert begun.wait(5)
    session.close(go_on.set)
    first.ended()
    with pytest.raises(DuctConnectionError, match="disconnected before"):
        session.run(lambda: 1, lambda: None)


def test_a_cancel_never_strikes_the_next_statement() -> None:
    session, go_on, struck = Session("db"), threading.Event(), []
    first = Caller(lambda: session.run(lambda: go_on.wait(5), lambda: None))
    wait_until(lambda: bool(session._current))
    second_runs = threading.Event()
    second = Caller(lambda: session.run(second_runs.set, lambda: None))

    def slow_cancel() -> None:
        go_on.set()
        struck.append(second_runs.wait(0.2))

    assert session.cancel(slow_cancel)
    assert first.ended().error is None and second.ended().error is None
    assert struck == [False]
    session.close(lambda: None)


def test_an_error_that_is_no_driver_s_keeps_its_frames(db: DuckDBClient) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        db._on_session(fails)
    assert "fails" in [entry.name for entry in caught.traceback]


# Streams


def test_dropping_a_stream_ends_it(db: DuckDBClient) -> None:
    stream = db.stream(LONG)
    next(stream)
    assert db._life.running == 1
    assert repr(stream) == "<Stream of db, open>"
    del stream
    gc.collect()
    assert db._life.running == 0
    wait_until(lambda: sum(t.name.startswith("omniduct db") for t in threading.enumerate()) <= 1)


def test_closing_a_stream_twice_and_reading_on_is_harmless(db: DuckDBClient) -> None:
    opened: Any = db.stream(LONG)
    with opened as stream:
        assert next(stream) == (0, "0")
    stream.close()
    assert list(stream) == []
    assert repr(stream) == "<Stream of db, closed>"
    assert db._life.running == 0


def test_a_stream_that_cannot_begin_leaves_nothing_open(db: DuckDBClient) -> None:
    with pytest.raises(DuctStatementError):
        db.stream("SELECT nonsense")
    at_rest(db)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
