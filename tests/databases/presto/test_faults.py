"""Coordinators that stop, crash, are silent or something else: what people are told, and what is left.

What was said and left stands in build/faults-presto.md afterwards.
"""

from __future__ import annotations

import contextlib
import re
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.databases.presto.scenes import LONG, SLOW, Gate, Scene, answers
from tests.databases.presto.telling import LOST, PERHAPS, fails, timed
from tests.services.coordinator import Coordinator
from tests.services.ducts import impatient
from tests.services.interrupts import Caller, wait_until
from tests.services.links import answering
from tests.services.ports import LOOPBACK
from tests.services.proxy import Proxy

from omniduct.databases.presto import PrestoClient
from omniduct.errors import (
    DuctConnectionError,
    DuctDriverMissing,
    DuctServerUnreachable,
    DuctStatementError,
)

Note = Callable[..., None]

TABLE = "faults-presto"  # see the fixture `note`


# A coordinator that is stopped, or crashes, and is started again


@dataclass
class Restart:
    """What came of ducts and statements when their coordinator went away, and came again."""

    ducts: dict[str, PrestoClient] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    seconds: float = 0.0
    down: str = ""
    files: list[Path] = field(default_factory=list)

    def goes_on(self, name: str) -> bool:
        """Whether the next statement of a duct works; it is not used any more then."""
        try:
            return answers(self.ducts[name])
        finally:
            self.ducts[name].disconnect()

    def error(self, name: str) -> str:
        """What a statement that ran was ended by: the loss of its connection."""
        error = self.callers[name].ended(60).error
        assert type(error) is DuctConnectionError
        return str(error)


@contextlib.contextmanager
def gone(server: Coordinator, restart: Restart, immediate: bool) -> Iterator[None]:
    """Without the coordinator, once statements have noticed; it is started again."""
    begun = time.monotonic()
    server.stop(immediate=immediate)
    try:
        yield
        for name in restart.callers:
            restart.error(name)
        restart.seconds = time.monotonic() - begun
    finally:
        server.start()


@pytest.fixture(scope="module")
def stopped(coordinator: Coordinator) -> Iterator[Restart]:
    """A coordinator that was stopped in good order while two statements ran, and two ducts were idle."""
    restart = Restart()
    with Gate(coordinator.host, coordinator.port) as gate:
        scene = Scene(coordinator, gate)
        names = ["idle", "in a transaction", "SELECT", "INSERT"]
        ducts = restart.ducts = {name: scene.duct() for name in names}
        ducts["idle"].execute("USE tpch.tiny; SET SESSION query_max_run_time = '7m'")
        ducts["INSERT"].execute("CREATE TABLE stopped (x BIGINT)")
        ducts["in a transaction"].execute("START TRANSACTION; SELECT * FROM tpch.tiny.nation")
        for name, text in [("SELECT", SLOW), ("INSERT", f"INSERT INTO stopped {SLOW}")]:
            marked = scene.marked(text)
            restart.callers[name] = Caller(lambda name=name, marked=marked: ducts[name].query(marked))  # type: ignore[misc]
        wait_until(lambda: scene.state() == "RUNNINGRUNNING")
        with gone(coordinator, restart, immediate=False):
            restart.down = fails(DuctServerUnreachable, lambda: ducts["idle"].query("SELECT 1"))
        yield restart
        scene.left()


def test_a_coordinator_that_was_stopped_and_started_goes_unnoticed_by_who_is_idle(
    stopped: Restart, note: Note
) -> None:
    idle = stopped.ducts["idle"]
    assert idle.query("SELECT count(*) FROM nation", format="tuple") == [(25,)]
    ((_, now, *_),) = idle.query("SHOW SESSION LIKE 'query_max_run_time'", format="tuple")
    assert now == "7m"
    assert stopped.goes_on("idle")
    note("coordinator stopped and started between statements", "(nothing: also USE and SET SESSION hold)")


def test_a_coordinator_that_is_down_is_said(stopped: Restart, note: Note, scene: Scene) -> None:
    at = f"{LOOPBACK}:{scene.server.port}"
    assert stopped.down == f"db: nothing can be reached at {at}: connection refused"
    note("coordinator is down", f"DuctServerUnreachable: {stopped.down}")


def test_a_statement_whose_coordinator_is_stopped_is_one_clear_error(stopped: Restart, note: Note) -> None:
    for name, fate in [("SELECT", LOST), ("INSERT", PERHAPS)]:
        said = stopped.error(name)
        assert said.startswith("db: the connection was lost while the statement ran (")
        assert said.endswith(f"): {fate}. The next one connects anew")
        assert stopped.goes_on(name)
        note(f"coordinator stopped during {name}", f"DuctConnectionError: {said}", stopped.seconds)


def test_a_transaction_that_is_lost_with_its_coordinator_is_said(stopped: Restart, note: Note) -> None:
    duct = stopped.ducts["in a transaction"]
    said = fails(DuctStatementError, lambda: duct.query("SELECT 1"))
    assert said == (
        "db: the server does not know the transaction any more: it was idle for too long, or the server was "
        "restarted. What it had done is undone\n"
        "The transaction was rolled back; what comes next is outside of it."
    )
    assert stopped.goes_on("in a transaction")
    note("coordinator stopped and started in a transaction", f"DuctStatementError: {said}")


@pytest.fixture(scope="module")
def crashed(coordinator: Coordinator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restart]:
    """A coordinator that crashed while rows came, a file and a table were written, a transaction was open."""
    restart, folder = Restart(), tmp_path_factory.mktemp("rows")
    begun, go_on = threading.Event(), threading.Event()
    with Gate(coordinator.host, coordinator.port) as gate:
        scene = Scene(coordinator, gate)
        names = ["stream", "stream_to_file", "CREATE TABLE AS", "transaction()"]
        ducts = restart.ducts = {name: scene.duct() for name in names}

        def change() -> None:
            with ducts["transaction()"].transaction():
                ducts["transaction()"].query("SELECT * FROM tpch.tiny.nation")
                begun.set()
                go_on.wait(120)
                ducts["transaction()"].query("SELECT 1")

        changing = Caller(change)
        assert begun.wait(20)
        rows = ducts["stream"].stream(scene.marked(LONG), batch=1000)
        next(rows)
        copied = scene.marked(f"CREATE TABLE crashed AS {SLOW.replace('count(*)', 'x')}")
        restart.callers = {
            "stream_to_file": Caller(
                lambda: ducts["stream_to_file"].stream_to_file(scene.marked(LONG), folder / "rows.csv")
            ),
            "CREATE TABLE AS": Caller(lambda: ducts["CREATE TABLE AS"].execute(copied)),
        }
        wait_until(lambda: scene.state() == "RUNNING" * 3)
        wait_until(lambda: any(path.stat().st_size > 1000 for path in folder.iterdir()))
        with gone(coordinator, restart, immediate=True):
            restart.callers["stream"] = Caller(lambda: sum(len(batch) for batch in rows))
        go_on.set()
        restart.callers["transaction()"] = changing.ended(60)
        restart.files = list(folder.iterdir())
        yield restart
        scene.left()


@pytest.mark.parametrize("name", ["stream", "stream_to_file", "CREATE TABLE AS"])
def test_a_statement_whose_coordinator_crashes_is_one_clear_error(
    name: str, crashed: Restart, note: Note
) -> None:
    said = crashed.error(name)
    assert said.startswith("db: the connection was lost while the statement ran (")
    assert said.endswith(f"): {PERHAPS if name == 'CREATE TABLE AS' else LOST}. The next one connects anew")
    assert crashed.files == []
    assert crashed.goes_on(name)
    note(f"coordinator crashes during {name}", f"DuctConnectionError: {said}", crashed.seconds)


def test_a_block_whose_transaction_is_lost_is_not_gone_on_with(crashed: Restart, note: Note) -> None:
    error = crashed.callers["transaction()"].error
    assert type(error) is DuctStatementError
    assert str(error).startswith("db: the server does not know the transaction any more")
    assert crashed.goes_on("transaction()")
    note("coordinator crashes within `with transaction()`", error)


# A peer that is silent, or is another


@pytest.fixture
def link(scene: Scene) -> Iterator[Proxy]:
    """A link that can be frozen."""
    with Proxy(scene.server.host, scene.server.port) as link:
        yield link


def test_a_peer_that_is_frozen_between_statements_is_an_error_in_time(
    scene: Scene, link: Proxy, note: Note
) -> None:
    duct = impatient(scene.duct(port=link.port))
    assert answers(duct)
    link.freeze()
    with timed() as seconds:
        said = fails(DuctServerUnreachable, lambda: duct.query("SELECT 1"))
    link.thaw()
    assert said == f"db: could not connect to {LOOPBACK}:{link.port}: no answer within 2 s"
    assert seconds[0] < 6
    assert answers(duct)
    fault = "frozen peer, between statements (connect timeout 2 s, check 0.5 s)"
    note(fault, f"DuctServerUnreachable: {said}", seconds[0])


def test_a_peer_that_is_frozen_during_a_statement_is_an_error_in_time(
    scene: Scene, link: Proxy, note: Note
) -> None:
    duct = impatient(scene.duct(port=link.port, answer_timeout=1.5))
    caller = Caller(lambda: duct.query(scene.marked(SLOW)))
    wait_until(lambda: scene.state() == "RUNNING")
    link.freeze()
    with timed() as seconds:
        error = caller.ended(15).error
    assert type(error) is DuctConnectionError
    assert str(error).startswith("db: the service has not answered for 1.5 s while a statement ran. ")
    assert seconds[0] < 5
    link.thaw()
    assert answers(duct)
    assert [seen.state for seen in scene.outcome()] == ["FAILED"]
    note("frozen peer, during a statement (answer_timeout 1.5 s)", error, seconds[0])


def test_an_unknown_host_and_a_refused_port_are_said(scene: Scene, link: Proxy, note: Note) -> None:
    unknown = fails(DuctServerUnreachable, lambda: scene.duct(host="nowhere.invalid").query("SELECT 1"))
    where = f"nowhere.invalid:{scene.server.port}"
    assert unknown == f"db: nothing can be reached at {where}: the host name is unknown"
    link.refuse()
    refused = fails(DuctServerUnreachable, lambda: scene.duct(port=link.port).query("SELECT 1"))
    assert refused == f"db: nothing can be reached at {LOOPBACK}:{link.port}: connection refused"
    note("unknown host", f"DuctServerUnreachable: {unknown}")
    note("refused port", f"DuctServerUnreachable: {refused}")


def test_something_else_that_listens_there_is_said(scene: Scene, note: Note) -> None:
    with answering(200, "<html><title>Sign in &amp; go</title></html>") as port:
        page = fails(DuctConnectionError, lambda: scene.duct(port=port).query("SELECT 1"))
        assert page == (
            f"db: http://{LOOPBACK}:{port} answers, but is no Trino or Presto (200 OK: Sign in & go): check "
            "host and port"
        )
    with greeting(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        shell = fails(DuctConnectionError, lambda: scene.duct(port=port).query("SELECT 1"))
        assert shell == (
            f"db: could not connect to {LOOPBACK}:{port}: what listens there does not speak HTTP, it says "
            "'SSH-2.0-OpenSSH_9.2'"
        )
    note("a page for browsers listens there", f"DuctConnectionError: {page}")
    note("SSH listens there", f"DuctConnectionError: {shell}")


@contextlib.contextmanager
def greeting(words: bytes) -> Iterator[int]:
    """A port where a server speaks first."""

    class Greeter(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                self.request.sendall(words)
                while self.request.recv(1000):
                    pass

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Greeter) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(20)


# What is not there


def test_a_catalog_or_schema_that_is_not_there_is_said_with_the_near_misses(scene: Scene, note: Note) -> None:
    def told(**login: Any) -> str:
        return fails(DuctStatementError, lambda: scene.duct(**login).query("SELECT * FROM orders"))

    catalog, schema = told(catalog="memori"), told(catalog="tpch", schema="tinny")
    assert re.match(r"db: Catalog '?memori'? (not found|does not exist); did you mean 'memory'\?", catalog)
    assert re.match(r"db: Schema '?tinny'? does not exist; did you mean 'tiny'\?", schema)
    note("unknown catalog", f"DuctStatementError: {catalog}")
    note("unknown schema", f"DuctStatementError: {schema}")


def test_a_missing_driver_is_said_with_what_to_install(
    scene: Scene, note: Note, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "trino"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trino", None)
    said = fails(DuctDriverMissing, lambda: scene.duct().query("SELECT 1"))
    monkeypatch.undo()
    protocol = scene.server.PROTOCOL
    assert said == f"db: {protocol} needs the package trino: pip install 'omniduct-ext[trino]'"
    note("missing driver", f"DuctDriverMissing: {said}")
