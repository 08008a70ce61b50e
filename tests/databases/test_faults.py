"""What goes wrong with a server: what the person is told, that the next works, that nothing is left.

Every fault is a real one, of a real server. What was said and left stands in build/faults.md afterwards.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.services.ducts import impatient
from tests.services.interrupts import Caller, NewThreads, interrupted, quickest, wait_until
from tests.services.processes import Server
from tests.services.proxy import Proxy

from omniduct import Duct
from omniduct.databases.base import DatabaseClient
from omniduct.databases.session import running
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConnectionError,
    DuctDriverMissing,
    DuctError,
    DuctServerUnreachable,
    DuctStatementError,
)

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "build" / "faults.md"
HEAD = "| fault | server | what the person sees | seconds | what is left |\n|---|---|---|---|---|\n"

CANCELLED = "db: the statement was cancelled"

noted: list[tuple[str, ...]] = []


@dataclass(frozen=True)
class Dialect:
    """How a server is told what these tests need.

    `slow` runs for minutes, `long` gives rows for a while; `mark` stands in both, to find them on the server.
    """

    protocol: str
    driver: str
    slow: str
    long: str
    own_id: str
    kill: str


MARK = "omniduct_marked"
DIALECTS = {
    "postgresql": Dialect(
        "postgresql",
        "adbc_driver_postgresql",
        f"SELECT count(*) AS {MARK} FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        f"SELECT g AS {MARK}, repeat('x', 50) AS s FROM generate_series(1, 5000000) g",
        "SELECT pg_backend_pid()",
        "SELECT pg_terminate_backend({id})",
    ),
    "mysql": Dialect(
        "mysql",
        "pymysql",
        f"SELECT count(*) AS {MARK} FROM seq_1_to_100000 a, seq_1_to_100000 b WHERE a.seq + b.seq < 0",
        f"SELECT seq AS {MARK}, repeat('x', 50) AS s FROM seq_1_to_5000000",
        "SELECT connection_id()",
        "KILL {id}",
    ),
}


class Case:
    """A server with faults, and ducts that lead to it."""

    def __init__(self, server: Server, dialect: Dialect) -> None:
        self.server = server
        self.dialect = dialect
        self._ducts: list[DatabaseClient] = []
        self._threads = NewThreads()

    def duct(self, **arguments: Any) -> DatabaseClient:
        """A duct of the server's plain user."""
        own = {
            "name": "db",
            **self.server.login,
        }
        duct = Duct.for_protocol(self.dialect.protocol)(**{**own, **arguments})
        assert isinstance(duct, DatabaseClient)
        self._ducts.append(duct)
        return duct

    def kill(self, duct: DatabaseClient) -> None:
        """Let the server end the duct's session, while nothing runs on it."""
        ((number,),) = duct.query(self.dialect.own_id, format="tuple")
        self.server.admin(self.dialect.kill.format(id=number))
        wait_until(lambda: self.server.connections(self.server.user) == 0)

    def running(self) -> bool:
        """Whether a marked statement runs on the server."""
        return bool(self.server.running(MARK))

    def left(self) -> str:
        """What is left, once all ducts are disconnected, in words."""
        for duct in self._ducts:
            duct.disconnect()
        deadline = time.monotonic() + 5
        while (found := self._left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return ", ".join(found) or "nothing"

    def _left(self) -> list[str]:
        connections = self.server.connections(self.server.user) if self.server.is_running else 0
        return [
            *self._threads.names(),
            *([f"{connections} connections"] if connections else []),
            *([f"running: {self.server.running(MARK)}"] if self.server.is_running and self.running() else []),
        ]


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """The table of faults, once all tests have run."""
    yield
    TABLE.parent.mkdir(exist_ok=True)
    rows = "".join(f"| {' | '.join(row)} |\n" for row in sorted(noted))
    TABLE.write_text(HEAD + rows, encoding="utf-8")


@pytest.fixture(params=list(DIALECTS))
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    server = request.getfixturevalue("own_mariadb" if request.param == "mysql" else "own_postgresql")
    case = Case(server, DIALECTS[request.param])
    yield case
    if server.is_running:
        server.thaw()
    assert case.left() == "nothing"


@pytest.fixture
def note(case: Case, request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Add a row to the table of faults."""

    def note(fault: str, said: object, seconds: float | None = None) -> None:
        text = said if isinstance(said, str) else f"{type(said).__name__}: {said}"
        seen = "<br>".join(f"`{line}`" for line in text.replace("|", "¦").splitlines())
        took = "" if seconds is None else f"{seconds:.1f}"
        noted.append((fault, case.server.PROTOCOL, seen, took, case.left()))

    return note


Note = Callable[..., None]


def answers(duct: DatabaseClient) -> bool:
    return bool(duct.query("SELECT 42 AS x", format="tuple") == [(42,)])


def fails(kind: type[DuctError], function: Callable[[], object]) -> DuctError:
    """The error of a function: exactly of that kind, and in sentences."""
    with pytest.raises(kind) as raised:
        function()
    assert type(raised.value) is kind
    assert "Traceback" not in str(raised.value)
    return raised.value


# Healing


def test_a_server_that_was_stopped_and_started_between_statements_goes_unnoticed(
    case: Case, note: Note
) -> None:
    duct = case.duct()
    assert answers(duct)
    case.server.stop()
    case.server.start()
    assert answers(duct)
    note("server stopped and started between statements", "(nothing; the next statement works)")


def test_a_server_that_stops_during_a_statement_is_one_clear_error(case: Case, note: Note) -> None:
    duct = case.duct()
    caller = Caller(lambda: duct.query(case.dialect.slow))
    wait_until(case.running)
    begun = time.monotonic()
    case.server.stop(immediate=True)
    error = caller.ended().error
    seconds = time.monotonic() - begun
    assert type(error) is DuctConnectionError
    assert str(error).startswith(
        "db: the connection was lost while the statement ran, so it may or may not have taken effect ("
    )
    assert (duct.status.state, duct.status.last_error.partition(",")[0]) == (
        "lost",
        "the connection was lost while the statement ran",
    )
    down = fails(DuctServerUnreachable, lambda: duct.query("SELECT 1"))
    assert str(down) == f"db: nothing can be reached at 127.0.0.1:{case.server.port}: connection refused"
    case.server.start()
    assert answers(duct)
    note("server crashes during a statement", error, seconds)
    note("server is down", down)


def test_a_session_that_the_server_ended_goes_unnoticed(case: Case, note: Note) -> None:
    duct = case.duct()
    case.kill(duct)
    assert answers(duct)
    case.kill(duct)
    duct.PROBE_AFTER_IDLE = 0
    assert answers(duct)
    note("idle connection ended by the server", "(nothing; the next statement works)")


def test_a_transaction_that_is_lost_with_its_connection_is_not_gone_on_with(case: Case, note: Note) -> None:
    duct = case.duct()
    duct.execute("CREATE TABLE lost (x INT)")
    with pytest.raises(DuctStatementError) as raised, duct.transaction():
        duct.execute("INSERT INTO lost VALUES (1)")
        case.kill(duct)
        duct.execute("INSERT INTO lost VALUES (2)")
    assert str(raised.value) == (
        "db: the transaction is over: the connection was lost, and the service has rolled it back. "
        "This statement was not run; leave the block, and begin again"
    )
    assert duct.query("SELECT x FROM lost", format="tuple") == []
    duct.execute("BEGIN")
    case.kill(duct)
    typed = fails(DuctStatementError, lambda: duct.execute("INSERT INTO lost VALUES (3)"))
    assert "the connection was lost, and with it the transaction that was open" in str(typed)
    assert duct.query("SELECT x FROM lost", format="tuple") == []
    duct.execute("INSERT INTO lost VALUES (4)")
    assert duct.query("SELECT x FROM lost", format="tuple") == [(4,)]
    duct.execute("DROP TABLE lost")
    note("connection lost within `with transaction()`", raised.value)
    note("connection lost after BEGIN", typed)


@pytest.fixture
def proxy(case: Case) -> Iterator[Proxy]:
    with Proxy(case.server.host, case.server.port) as proxy:
        yield proxy


def test_a_peer_that_is_frozen_between_statements_is_an_error_in_time(
    case: Case, proxy: Proxy, note: Note
) -> None:
    duct = impatient(case.duct(port=proxy.port))
    assert answers(duct)
    proxy.freeze()
    begun = time.monotonic()
    error = fails(DuctServerUnreachable, lambda: duct.query("SELECT 1"))
    seconds = time.monotonic() - begun
    assert seconds < 6
    proxy.thaw()
    assert answers(duct)
    note("frozen peer, between statements (connect timeout 2 s, check 0.5 s)", error, seconds)


def test_a_peer_that_is_frozen_during_a_statement_is_an_error_in_time(
    case: Case, proxy: Proxy, note: Note
) -> None:
    duct = impatient(case.duct(port=proxy.port, answer_timeout=1.5))
    caller = Caller(lambda: duct.query(case.dialect.slow))
    wait_until(case.running)
    proxy.freeze()
    begun = time.monotonic()
    error = caller.ended(15).error
    seconds = time.monotonic() - begun
    assert type(error) is DuctConnectionError
    assert str(error).startswith("db: the service has not answered for 1.5 s while a statement ran. ")
    assert seconds < 5
    proxy.thaw()
    assert answers(duct)
    case.server.admin("SELECT 1")
    note("frozen peer, during a statement (answer_timeout 1.5 s)", error, seconds)


def test_a_statement_may_take_longer_than_the_answer_timeout(case: Case) -> None:
    duct = case.duct(answer_timeout=0.6)
    sleep = "pg_sleep(3)" if case.dialect.protocol == "postgresql" else "SLEEP(3)"
    assert len(duct.query(f"SELECT {sleep} AS x", format="tuple")) == 1


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_that_is_cut_while_rows_come_is_one_clear_error(
    case: Case, proxy: Proxy, note: Note, reset: bool, tmp_path: Path
) -> None:
    duct = case.duct(port=proxy.port)
    rows = duct.stream(case.dialect.long)
    assert next(rows)[0] == 1
    proxy.cut(reset=reset)
    error = fails(DuctConnectionError, lambda: sum(1 for _ in rows))
    assert str(error).startswith("db: the connection was lost while the statement ran")
    assert answers(duct)
    writing = Caller(lambda: duct.stream_to_file(case.dialect.long, tmp_path / "rows.csv"))
    wait_until(lambda: any(path.stat().st_size > 1000 for path in tmp_path.iterdir()))
    proxy.cut(reset=reset)
    assert type(writing.ended().error) is DuctConnectionError
    assert list(tmp_path.iterdir()) == []
    assert answers(duct)
    note(f"connection cut ({'reset' if reset else 'closed'}) while rows come", error)


# Interrupts, in a process of their own, which says what came of them


SLOWEST = 2.5  # seconds, for any of them


def child_interrupts(protocol: str, arguments: dict[str, Any], folder: str) -> None:
    os.chdir(folder)
    running.PATIENCE = running._IN_ONE_GO = 60.0  # a busy machine is no person who insists
    dialect, chance = DIALECTS[protocol], random.Random(7)
    duct: Any = Duct.for_protocol(dialect.protocol)(**arguments)
    import pyarrow as pa

    frame = pa.table({"x": list(range(200_000))})
    duct.execute("CREATE TEMPORARY TABLE mine (x INT)")
    duct.execute("CREATE TABLE IF NOT EXISTS target (x BIGINT)")
    kinds: list[Callable[[], object]] = [
        lambda: duct.query(dialect.slow),
        lambda: duct.query(dialect.long, format="arrow"),
        lambda: duct.execute(dialect.slow),
        lambda: duct.query(f"SELECT 1; {dialect.slow}; SELECT 2"),
        lambda: sum(1 for _ in duct.stream(dialect.long)),
        lambda: duct.stream_to_file(dialect.long, "rows.csv"),
        lambda: duct.stream_to_file(dialect.slow, "rows.csv"),
        lambda: [duct.dataframe_to_table(frame, "target", "delete_rows") for _ in range(100)],
    ]
    lost = 0

    def slowest_of_200() -> float:
        nonlocal lost
        slowest = 0.0
        for i in range(200):
            first = chance.choice(
                [0, chance.random() * 0.002, chance.random() * 0.05, chance.random() * 0.15]
            )
            more = [first + chance.random() * 0.02 for _ in range(i % 3 if i % 2 else 0)]
            begun = time.perf_counter()
            try:
                interrupted(kinds[i % len(kinds)], first, *sorted(more))
            except AssertionError:
                lost += 1
            slowest = max(slowest, time.perf_counter() - begun - first)
            assert duct._life.running == 0, f"try {i}"
            assert duct.query("SELECT 42 AS x", format="tuple") == [(42,)], f"try {i}"
            assert not os.listdir(), f"try {i}"
        return slowest

    slowest = quickest(slowest_of_200, SLOWEST)
    assert duct.query("SELECT * FROM mine", format="tuple") == [], "the session was lost"
    duct.execute("DROP TABLE target")
    threads = [t.name for t in threading.enumerate() if t.name.startswith("omniduct")]
    print(json.dumps({"slowest": slowest, "lost": lost, "threads": threads}), flush=True)
    sys.stdin.readline()  # the parent looks what is left on the server


@pytest.mark.timeout(900)  # three times 200, on a busy machine
def test_200_interrupts_at_random_moments_end_the_statement_on_the_server_and_nothing_else(
    case: Case, note: Note, tmp_path: Path
) -> None:
    server = case.server
    arguments = {
        "name": "db",
        **server.login,
    }
    program = (
        "import json, sys; from tests.databases.test_faults import child_interrupts; "
        "child_interrupts(*json.loads(sys.argv[1]))"
    )
    asked = json.dumps([case.dialect.protocol, arguments, str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'omniduct_ext'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-W", "error::omniduct.errors.DuctWarning", "-c", program, asked]
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None and child.stdin is not None and child.stderr is not None
        line = child.stdout.readline()
        assert line, child.stderr.read()
        said = json.loads(line)
        running, connections = server.running(MARK), server.connections(server.user)
        child.stdin.write("\n")
    assert said["lost"] == 0
    assert said["threads"] == ["omniduct db"]
    assert said["slowest"] < SLOWEST
    assert (running, connections) == ([], 1)
    note(
        "200 interrupts at random moments, a third of them double or triple",
        f"KeyboardInterrupt: {CANCELLED}",
        said["slowest"],
    )


def test_an_interrupt_ends_the_statement_on_the_server_within_a_second(case: Case, note: Note) -> None:
    duct = case.duct()
    seen: list[float] = []

    def cancel() -> None:
        wait_until(case.running)
        begun = time.monotonic()
        duct.cancel()
        wait_until(lambda: not case.running())
        seen.append(time.monotonic() - begun)

    def seconds() -> float:
        canceller = Caller(cancel)
        error = fails(DuctStatementError, lambda: duct.query(case.dialect.slow))
        assert canceller.ended().error is None
        assert str(error) == CANCELLED
        return seen[-1]

    best = quickest(seconds, 1)
    assert best < 1
    note("cancelled from another thread: gone from the server", f"DuctStatementError: {CANCELLED}", best)


# Errors in sentences


def test_a_wrong_password_is_said_and_is_asked_for_again_if_it_was_asked_for(case: Case, note: Note) -> None:
    error = fails(DuctAuthenticationError, lambda: case.duct(password="wrong").query("SELECT 1"))
    assert str(error).startswith(f"db: could not connect to 127.0.0.1:{case.server.port}: ")
    assert case.server.user in str(error) and "wrong" not in str(error)
    given = iter(["wrong", case.server.password])
    asked = case.duct(password=True)

    class Person:
        patient = True

        def can_ask(self) -> bool:
            return True

        def ask(self, question: Any) -> str:
            return next(given)

        def withdraw(self, question: Any) -> None: ...

    from omniduct.credentials import prompting_with

    with prompting_with(Person()):
        assert answers(asked)
    assert list(given) == []
    note("wrong password", error)


def test_an_unknown_host_and_a_refused_port_are_said(case: Case, note: Note) -> None:
    unknown = fails(DuctServerUnreachable, lambda: case.duct(host="nowhere.invalid").query("SELECT 1"))
    assert str(unknown) == (
        f"db: nothing can be reached at nowhere.invalid:{case.server.port}: the host name is unknown"
    )
    with Proxy(case.server.host, case.server.port) as proxy:
        proxy.refuse()
        refused = fails(DuctServerUnreachable, lambda: case.duct(port=proxy.port).query("SELECT 1"))
        assert str(refused) == f"db: nothing can be reached at 127.0.0.1:{proxy.port}: connection refused"
    note("unknown host", unknown)
    note("refused port", refused)


def test_an_unknown_database_is_said_with_the_near_misses(case: Case, note: Note) -> None:
    error = fails(DuctConnectionError, lambda: case.duct(database="shopp").query("SELECT 1"))
    assert str(error).startswith(f"db: could not connect to 127.0.0.1:{case.server.port}: ")
    assert "'shopp'" in str(error) or '"shopp"' in str(error)
    assert str(error).endswith("did you mean 'shop'?")
    note("unknown database", error)


def test_a_missing_driver_is_said_with_what_to_install(
    case: Case, note: Note, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == case.dialect.driver]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, case.dialect.driver, None)
    error = fails(DuctDriverMissing, lambda: case.duct().query("SELECT 1"))
    assert str(error).endswith(f"pip install 'omniduct-ext[{case.dialect.protocol}]'")
    monkeypatch.undo()
    note("missing driver", error)


def test_a_syntax_error_is_marked_in_the_statement(case: Case, note: Note) -> None:
    duct = case.duct()
    error = fails(DuctStatementError, lambda: duct.query("SELECT 1 AS x,\n       2 AS y\nFORM somewhere"))
    lines = str(error).splitlines()
    assert lines[-2].strip().startswith("line 3: FORM somewhere")
    assert lines[-1].index("^") in (lines[-2].index("FORM"), lines[-2].index("somewhere"))
    assert answers(duct)
    note("syntax error", error)


def test_a_missing_table_or_column_is_said_with_the_near_misses(case: Case, note: Note) -> None:
    duct = case.duct()
    duct.execute("CREATE TABLE customers (id INT, surname VARCHAR(20))")
    try:
        table = fails(DuctStatementError, lambda: duct.query("SELECT * FROM custmers"))
        assert "did you mean 'customers'?" in str(table)
        assert str(table).splitlines()[-1].index("^") == str(table).splitlines()[-2].index("custmers")
        column = fails(DuctStatementError, lambda: duct.query("SELECT surnam FROM customers"))
        assert "surname" in str(column).splitlines()[0]
        assert str(column).splitlines()[-1].index("^") == str(column).splitlines()[-2].index("surnam")
    finally:
        duct.execute("DROP TABLE customers")
    note("missing table", table)
    note("missing column", column)


def test_a_permission_that_is_missing_is_said(case: Case, note: Note) -> None:
    duct = case.duct()
    secret = "pg_authid" if case.dialect.protocol == "postgresql" else "mysql.global_priv"
    error = fails(DuctStatementError, lambda: duct.query(f"SELECT * FROM {secret}"))
    assert "denied" in str(error)
    assert answers(duct)
    note("permission", error)


@pytest.mark.filterwarnings("error::omniduct.errors.DuctWarning")
def test_a_failed_statement_never_poisons_the_next(case: Case) -> None:
    duct = case.duct()
    duct.execute("CREATE TEMPORARY TABLE mine (x INT)")
    for statement in (
        "SELEC",
        "SELECT * FROM nowhere",
        "INSERT INTO mine VALUES ('no number')",
        "BEGIN; SELEC",
    ):
        fails(DuctStatementError, lambda statement=statement: duct.query(statement))  # type: ignore[misc]
        assert duct.query("SELECT x FROM mine", format="tuple") == []
