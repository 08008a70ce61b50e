"""What a person is told when a cluster lacks something: memory, places in its queue, patience, workers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.services.coordinator import Coordinator
from tests.services.presto import Presto
from tests.services.processes import Server
from tests.services.trino import Trino

from omniduct import Duct
from omniduct.databases.presto import PrestoClient
from omniduct.errors import DuctConnectionError, DuctError

SLOW = "SELECT max(md5(to_utf8(comment))) FROM tpch.sf100.lineitem"
GREEDY = "SELECT cardinality(array_agg(comment)) FROM tpch.sf1.lineitem"
RULES = {"catalogs": [{"catalog": "tpch", "allow": "read-only"}, {"allow": "all"}]}
POOR = {
    "query.max-concurrent-queries": "3",
    "query.max-queued-queries": "1",
    "query.client.timeout": "5s",
    "transaction.idle-timeout": "1s",
    "transaction.idle-check-interval": "1s",
}


class PoorTrino(Trino):
    """One with memory for one greedy query, which is to fail in it, and not for three."""

    def make_data(self) -> None:
        super().make_data()
        give_rules(self)


class PoorPresto(Presto):
    """The same."""

    def make_data(self) -> None:
        super().make_data()
        give_rules(self)


def give_rules(server: Coordinator) -> None:
    """Let nobody write to `tpch`."""
    rules = server.home / "etc" / "rules.json"
    rules.write_text(json.dumps(RULES))
    server.write("access-control", {"access-control.name": "file", "security.config-file": str(rules)})


@pytest.fixture(scope="module")
def trino() -> Iterator[Trino]:
    memory = {
        "query.max-memory-per-node": "140MB",
        "memory.heap-headroom-per-node": "1770MB",
        "query.low-memory-killer.policy": "total-reservation-on-blocked-nodes",
        "exchange.max-error-duration": "2s",
        "query.remote-task.max-error-duration": "2s",
    }
    with PoorTrino(**POOR, **memory) as server:
        yield server


@pytest.fixture(scope="module")
def presto() -> Iterator[Presto]:
    with PoorPresto(**POOR) as server:
        yield server


@pytest.fixture(params=["trino", "presto"])
def server(request: pytest.FixtureRequest) -> Coordinator:
    found: Coordinator = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def duct(server: Coordinator) -> Iterator[PrestoClient]:
    duct = made(server)
    yield duct
    duct.disconnect()


def made(server: Coordinator) -> PrestoClient:
    duct: PrestoClient = Duct.for_protocol(server.PROTOCOL)(name="db", **server.login)
    return duct


def failure(duct: PrestoClient, statement: str) -> str:
    """What the person is told."""
    with pytest.raises(DuctError) as caught:
        duct.query(statement, format="tuple")
    return str(caught.value)


def failures(server: Coordinator, statement: str, count: int) -> list[str]:
    """What so many persons are told whose statements run at the same time."""
    told: list[str] = []

    def run() -> None:
        duct = made(server)
        try:
            duct.query(statement, format="tuple")
        except DuctError as error:
            told.append(str(error))
        finally:
            duct.disconnect()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_a_server_without_memory_kills_a_query_and_says_so(trino: Trino) -> None:
    told = failures(trino, GREEDY, 3)
    killed = [said for said in told if "ran out of memory" in said]
    assert killed, told
    assert killed[0].startswith(
        "db: the cluster ran out of memory, and killed this query for it. Ask for less, or try again in a "
        "few minutes (query 2"
    )
    assert f": {trino.url}/ui/" in killed[0]


def test_a_queue_that_is_full_is_said_to_have_run_nothing(duct: PrestoClient, server: Coordinator) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            busy = made(server)
            stack.callback(busy.disconnect)
            handle = busy.execute(SLOW, background=True)
            stack.callback(handle.cancel)
        deadline = time.monotonic() + 20
        while [query.state for query in server.queries(SLOW)].count("QUEUED") < 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        said = failure(duct, "SELECT 1")
    assert said.startswith(
        'db: the server\'s queue is full, so it was not run: Too many queued queries for "global". Try again '
        "later (query 2"
    )


def test_what_one_may_not_do_is_named(duct: PrestoClient) -> None:
    said = failure(duct, "DROP TABLE tpch.tiny.nation")
    assert said.startswith("db: Access Denied: Cannot drop table tpch.tiny.nation (query 2")


def test_a_result_that_nobody_asked_for_has_gone(duct: PrestoClient, server: Coordinator) -> None:
    duct.query("SELECT 1")
    assert duct._link is not None
    query = duct._link.run(SLOW, SLOW)
    time.sleep(8)
    with pytest.raises(Exception) as caught:
        for _ in query.rows():
            pass
    said = duct._explain(caught.value, SLOW).said
    assert said.startswith("the server gave the query up, as nobody had asked for its rows for ")
    assert query.id in said


def test_a_transaction_that_was_idle_for_too_long_is_said_to_be_undone(duct: PrestoClient) -> None:
    duct.execute("START TRANSACTION")
    time.sleep(4)
    assert "does not know the transaction any more: it was idle for too long" in failure(duct, "SELECT 1")
    assert duct.query("SELECT 2", format="tuple") == [(2,)]


class Worker(Trino):
    """A node beside a coordinator, which works for it."""

    def __init__(self, coordinator: Trino) -> None:
        super().__init__(**{"coordinator": "false", "discovery.uri": coordinator.url})
        self._coordinator = coordinator

    def options(self) -> dict[str, str]:
        return {**super().options(), "node.id": "two"}

    def start(self) -> None:
        Server.start(self)

    def probe(self) -> None:
        nodes = self._coordinator.ask("SELECT http_uri FROM system.runtime.nodes", self.ADMIN)
        if (self.url,) not in nodes:
            raise ConnectionError("the coordinator does not know it yet")


def test_a_worker_that_dies_is_named(trino: Trino) -> None:
    duct = made(trino)
    with Worker(trino) as worker:
        threading.Timer(3, worker.stop, kwargs={"immediate": True}).start()
        said, at = failure(duct, SLOW), worker.url
    duct.disconnect()
    assert said.startswith(
        f"db: a worker at {at} failed, or cannot be reached. Run it again in a few minutes ("
    )
    assert f": {trino.url}/ui/" in said


def test_a_server_that_is_starting_runs_nothing_yet(trino: Trino) -> None:
    trino.stop(immediate=True)
    thread = threading.Thread(target=trino.start)
    duct, said = made(trino), []
    thread.start()
    while thread.is_alive():
        try:
            duct.query("SELECT 1")
        except DuctConnectionError as error:
            said.append(str(error))
        time.sleep(0.05)
    thread.join()
    duct.disconnect()
    told = "the server is still starting, so it was not run. Try again in a moment (query 2"
    assert any(told in each for each in said)
