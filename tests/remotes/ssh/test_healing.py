"""PostgreSQL behind a bastion: links that are cut, machines that stop, and the next statement that works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.remotes.ssh.conftest import Home
from tests.services.networks import Network
from tests.services.postgresql import PostgreSQL
from tests.services.sshd import SSHD
from tests.services.tcp import answers, join, until

from omniduct.errors import DuctConnectionError, DuctError
from omniduct.registry import DuctRegistry

ROOT = Path(__file__).parents[3]
KEEPALIVE = 0.5  # seconds: all is noticed within 2 s
PATIENCE = 30.0  # seconds, for what takes as long as connecting does


@dataclass
class Place:
    """A bastion, and a database that the ducts reach through it."""

    network: Network
    bastion: SSHD
    database: PostgreSQL
    registry: DuctRegistry

    @property
    def pg(self) -> Any:
        return self.registry["pg"]

    @property
    def remote(self) -> Any:
        return self.registry["bastion"]

    def states(self) -> tuple[str, str]:
        return self.remote.status.state, self.pg.status.state

    def ask(self) -> int:
        return int(self.pg.query("SELECT 41 + 1 AS x", format="tuple")[0][0])


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Network, SSHD, PostgreSQL]]:
    with Network("bastion", "db") as network:
        bastion, database = SSHD(), PostgreSQL()
        with network["bastion"].runs(bastion), network["db"].runs(database):
            yield network, bastion, database


def ducts(bastion: SSHD, database: PostgreSQL, **arguments: Any) -> dict[str, Any]:
    return {
        "bastion": {
            "protocol": "ssh",
            "host": bastion.host,
            "port": bastion.port,
            "username": bastion.user,
            "keepalive": KEEPALIVE,
            **arguments,
        },
        "pg": {"protocol": "postgresql", "remote": "bastion", **database.login},
    }


@pytest.fixture
def place(machines: tuple[Network, SSHD, PostgreSQL], home: Home) -> Iterator[Place]:
    network, bastion, database = machines
    home.knows(bastion)
    home.configure(f"IdentityFile {bastion.key}\n")
    place = Place(network, bastion, database, DuctRegistry(ducts(bastion, database)))
    assert place.ask() == 42
    assert place.states() == ("connected", "connected")
    yield place
    network.mend("bastion")
    bastion.thaw() if bastion.is_running else bastion.start()
    place.pg.disconnect()
    place.remote.disconnect()


def seconds(call: Callable[[], object]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


# What breaks, and is whole again at the next statement


def test_a_bastion_that_was_killed_and_is_back_is_noticed_at_once(place: Place) -> None:
    port = place.pg.port
    place.bastion.stop(immediate=True)
    until(lambda: place.states() == ("lost", "lost"))  # though nobody has asked
    assert "has ended the connection" in place.remote.status.last_error
    until(lambda: not answers(port))
    place.bastion.start()
    assert place.ask() == 42
    assert place.states() == ("connected", "connected")
    assert place.pg.port == port


def test_while_the_bastion_is_away_a_statement_says_so_and_later_works(place: Place) -> None:
    place.bastion.stop(immediate=True)
    until(lambda: place.states() == ("lost", "lost"))
    with pytest.raises(DuctConnectionError, match=r"bastion: nothing answers at .*: connection refused"):
        place.ask()
    place.bastion.start()
    assert place.ask() == 42


def test_a_link_that_is_cut_for_a_moment_changes_nothing(place: Place) -> None:
    before = place.remote._life.connections, place.pg._life.connections
    place.network.cut("bastion")
    time.sleep(2 * KEEPALIVE)
    place.network.mend("bastion")
    assert place.ask() == 42
    assert (place.remote._life.connections, place.pg._life.connections) == before


def test_a_link_that_is_cut_for_longer_is_noticed_and_heals_once_it_is_mended(place: Place) -> None:
    port = place.pg.port
    place.network.cut("bastion")
    until(lambda: place.states() == ("lost", "lost"))
    assert "has not answered for" in place.remote.status.last_error
    place.network.mend("bastion")
    assert place.ask() == 42
    assert place.pg.port == port


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_a_check_says_within_two_seconds_what_is_so(
    machines: tuple[Network, SSHD, PostgreSQL], home: Home, place: Place, fault: str
) -> None:
    network, bastion, database = machines
    slow = DuctRegistry(ducts(bastion, database, keepalive=60.0))  # it notices nothing by itself
    slow["pg"].connect()
    network.cut("bastion") if fault == "cut" else bastion.freeze()
    for name in ("bastion", "pg"):
        assert seconds(lambda name=name: slow[name].is_connected()) < 2.5  # type: ignore[misc]
        assert slow[name].status.state == "lost"
    network.mend("bastion") if fault == "cut" else bastion.thaw()
    assert slow["pg"].query("SELECT 1", format="tuple") == [(1,)]
    slow["pg"].disconnect()
    slow["bastion"].disconnect()


def test_a_bastion_that_stands_still_is_not_taken_for_a_target_that_is_not_there(place: Place) -> None:
    place.remote.execute("true")  # used a moment ago: nothing is checked before the next use
    place.bastion.freeze()
    with pytest.raises(DuctConnectionError, match=r"bastion: \S+ has (not answered|ended the conn)"):
        place.remote.port_forward(place.network.address, 1)
    place.bastion.thaw()
    assert place.ask() == 42


def test_a_bastion_that_stands_still_is_noticed_and_the_next_statement_works_when_it_goes_on(
    place: Place,
) -> None:
    place.bastion.freeze()
    until(lambda: place.states() == ("lost", "lost"))
    place.bastion.thaw()
    assert place.ask() == 42


@pytest.mark.parametrize("fault", ["restart", "cut"])
def test_a_query_that_runs_while_the_bastion_goes_ends_and_the_next_one_works(
    place: Place, fault: str
) -> None:
    def harm() -> None:
        until(lambda: place.database.running("pg_sleep"))
        if fault == "cut":
            place.network.cut("bastion")
        else:
            place.bastion.stop(immediate=True)
            place.bastion.start()

    thread = threading.Thread(target=harm, daemon=True)
    thread.start()
    with pytest.raises(DuctError) as caught:
        place.pg.query("SELECT pg_sleep(600)")
    join([thread])
    assert str(caught.value).startswith("pg: ")
    place.network.mend("bastion")
    assert place.ask() == 42


def test_a_database_that_was_restarted_is_reached_again_through_the_same_forward(place: Place) -> None:
    port, before = place.pg.port, place.remote._life.connections
    place.database.stop(immediate=True)
    place.database.start()
    assert place.ask() == 42
    assert (place.pg.port, place.remote._life.connections) == (port, before)


def test_a_forward_that_was_asked_for_comes_back_with_the_bastion(place: Place) -> None:
    port = place.remote.port_forward(place.database.host, place.database.port)
    place.bastion.stop(immediate=True)
    until(lambda: place.remote.status.state == "lost")
    place.bastion.start()
    place.remote.connect()
    assert place.remote.has_port_forward(place.database.host, place.database.port, port)
    assert answers(port)


# What is left

NOTEBOOK = """
import json, sys
from omniduct.registry import DuctRegistry
registry = DuctRegistry(json.loads(sys.argv[1]))
pg = registry["pg"]
print(pg.query("SELECT 41 + 1", format="tuple")[0][0], pg.port, flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Notebook:
    """Another process that uses the ducts, and is told what to evaluate."""

    def __init__(self, config: dict[str, Any]) -> None:
        import json

        self.process = subprocess.Popen(
            [sys.executable, "-c", NOTEBOOK, json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        value, port = self._line().split()
        assert value == "42"
        self.port = int(port)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def evaluate(self, code: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{code}\n")
        return self._line().strip()


@pytest.fixture
def notebook(place: Place) -> Iterator[Notebook]:
    notebook = Notebook(ducts(place.bastion, place.database))
    yield notebook
    notebook.process.kill()
    notebook.process.communicate()


def test_a_laptop_that_slept_while_the_bastion_went_works_on(place: Place, notebook: Notebook) -> None:
    os.kill(notebook.process.pid, signal.SIGSTOP)
    place.bastion.stop(immediate=True)
    place.bastion.start()
    time.sleep(4 * KEEPALIVE)
    os.kill(notebook.process.pid, signal.SIGCONT)
    assert notebook.evaluate("pg.query('SELECT 7', format='tuple')[0][0]") == "7"


def test_a_laptop_that_slept_and_woke_with_the_same_link_keeps_its_connection(
    place: Place, notebook: Notebook
) -> None:
    os.kill(notebook.process.pid, signal.SIGSTOP)
    time.sleep(6 * KEEPALIVE)
    os.kill(notebook.process.pid, signal.SIGCONT)
    assert notebook.evaluate("pg.query('SELECT 7', format='tuple')[0][0]") == "7"
    time.sleep(3 * KEEPALIVE)
    assert notebook.evaluate("registry['bastion']._life.connections") == "1"


def listens_or_reaches(pid: int, bastion: SSHD) -> list[tuple[str, int]]:
    """Where a process listens, and its connections to the bastion."""
    found = psutil.Process(pid).net_connections()
    listening = [(each.laddr.ip, each.laddr.port) for each in found if each.status == "LISTEN"]
    return listening + [
        (host, port) for host, port in (each.raddr for each in found if each.raddr) if host == bastion.host
    ]


@pytest.mark.parametrize("end", ["disconnect", "exit", "kill"])
def test_nothing_is_left_after_the_end(place: Place, notebook: Notebook, end: str) -> None:
    place.pg.disconnect()
    place.remote.disconnect()
    until(lambda: place.bastion.connections() == 1)
    near, far = ("127.0.0.1", notebook.port), (place.bastion.host, place.bastion.port)
    assert sorted(listens_or_reaches(notebook.process.pid, place.bastion)) == sorted([near, far])
    if end == "disconnect":
        notebook.evaluate("registry['bastion'].disconnect()")
        assert listens_or_reaches(notebook.process.pid, place.bastion) == []
    elif end == "exit":
        notebook.process.communicate()
    else:
        notebook.process.kill()
    until(lambda: place.bastion.connections() == 0)
    assert not answers(notebook.port)


def test_a_forked_child_holds_nothing_open(place: Place) -> None:
    port = place.pg.port
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    try:
        until(lambda: not listens_or_reaches(child, place.bastion))
        place.pg.disconnect()
        assert not answers(port)
        place.remote.disconnect()
        until(lambda: place.bastion.connections() == 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
