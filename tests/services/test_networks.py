"""The hosts of a throwaway network do what tests rely on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.services.leftovers import nothing_is_left
from tests.services.networks import Host, Network
from tests.services.ports import LOOPBACK
from tests.services.postgresql import PostgreSQL
from tests.services.sshd import SSHD

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds

# Echoes what comes to its host, at an address.
ECHO = """
import socket, sys, threading
def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)
listener = socket.create_server((sys.argv[1], 7), reuse_port=True)
print("listens", flush=True)
while True:
    threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()
"""

# Makes a network, says what it has, and waits for its end.
PROGRAM = """
import sys
from tests.services.networks import Network
with Network("one", "two") as network:
    network.delay("one", 0.01)
    print(network.address, network["one"].address, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network("bastion", "db") as network:
        yield network


@pytest.fixture(scope="module")
def echo(network: Network) -> Iterator[tuple[str, int]]:
    """An echo at the address of `db`."""
    yield from echoing(network["db"], network["db"].address)


def echoing(host: Host, address: str) -> Iterator[tuple[str, int]]:
    command = host.command(sys.executable, "-c", ECHO, address)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield address, 7
        process.kill()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def addresses() -> set[str]:
    """The addresses of the tests' own machine."""
    said = subprocess.run(["ip", "addr"], check=True, capture_output=True, text=True).stdout
    return {words[1] for words in map(str.split, said.splitlines()) if words[0] == "inet"}


def round_trip(place: tuple[str, int]) -> float:
    """How long a byte takes to a host and back."""
    with socket.create_connection(place, PATIENCE) as connection:
        start = time.monotonic()
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        return time.monotonic() - start


def test_hosts_reach_one_another_and_the_tests(network: Network, echo: tuple[str, int]) -> None:
    assert round_trip(echo) < PATIENCE
    there = f"exec 3<>/dev/tcp/{echo[0]}/{echo[1]}; echo hello >&3; head -n 1 <&3"
    said = subprocess.run(network["bastion"].command("bash", "-c", there), capture_output=True, text=True)
    assert said.stdout == "hello\n"
    with socket.create_server((network.address, 0)) as listener:
        port = listener.getsockname()[1]
        here = network["db"].command("bash", "-c", f"echo here >/dev/tcp/{network.address}/{port}")
        subprocess.run(here, check=True)
        connection, (address, _) = listener.accept()
        with connection:
            assert (connection.recv(10), address) == (b"here\n", network["db"].address)


def test_what_listens_on_a_hosts_loopback_is_its_own(network: Network) -> None:
    for _, port in echoing(network["bastion"], LOOPBACK):
        for address in (LOOPBACK, network["bastion"].address):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), PATIENCE)
        there = f"exec 3<>/dev/tcp/{LOOPBACK}/{port}; echo hello >&3; head -n 1 <&3"
        for name, expected in [("bastion", "hello\n"), ("db", "")]:
            said = subprocess.run(network[name].command("bash", "-c", there), capture_output=True, text=True)
            assert said.stdout == expected


def test_a_cut_link_loses_all_in_silence_until_it_is_mended(network: Network, echo: tuple[str, int]) -> None:
    with socket.create_connection(echo, PATIENCE) as connection:
        network.cut("db")
        try:
            with pytest.raises(TimeoutError):  # first, as a router tells of few errors a second
                socket.create_connection(echo, 1)
            connection.sendall(b"late")
            connection.settimeout(4)  # an error that the system tells of comes within 3
            with pytest.raises(TimeoutError):
                connection.recv(4)
        finally:
            network.mend("db")
        connection.settimeout(PATIENCE)
        assert connection.recv(4) == b"late"
    round_trip(echo)


def test_a_cut_link_is_as_silent_from_the_other_side(network: Network, echo: tuple[str, int]) -> None:
    with socket.create_server((network.address, 0)) as listener:
        port = listener.getsockname()[1]
        network.cut("db")
        try:
            there = network["db"].command("bash", "-c", f"echo >/dev/tcp/{network.address}/{port}")
            with pytest.raises(subprocess.TimeoutExpired):
                subprocess.run(there, timeout=1)
        finally:
            network.mend("db")


def test_one_host_is_cut_and_the_others_are_not(network: Network, echo: tuple[str, int]) -> None:
    network.cut("bastion")
    try:
        round_trip(echo)
    finally:
        network.mend("bastion")


def test_a_delay_holds_each_way_and_can_be_changed(network: Network) -> None:
    for place in echoing(network["bastion"], network["bastion"].address):
        network.delay("bastion", 0.3)
        assert 0.6 <= round_trip(place) < 2
        network.delay("bastion", 0.1)
        assert 0.2 <= round_trip(place) < 2
        network.cut("bastion")
        with pytest.raises(TimeoutError):
            socket.create_connection(place, 1)
        network.mend("bastion")
        network.delay("bastion", 0)
        assert round_trip(place) < 0.2


def test_a_hidden_host_is_reached_by_the_others_alone() -> None:
    with Network("bastion", "db") as network:
        for address, port in echoing(network["db"], network["db"].address):
            network.hide("db")
            with pytest.raises(OSError):
                socket.create_connection((address, port), 5)
            there = network["bastion"].command("bash", "-c", f"echo >/dev/tcp/{address}/{port}")
            subprocess.run(there, check=True)


def test_services_run_in_a_host_and_a_session_outlives_a_cut(network: Network) -> None:
    with network["bastion"].runs(SSHD(kinds=["ed25519"])) as server:
        assert server.host == network["bastion"].address
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, server.port))
        command = [*server.client(), "hostname -I; read -r line; echo $line"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            assert client.stdout.readline().split() == [server.host]
            network.cut("bastion")
            client.stdin.write("through\n")
            client.stdin.flush()
            threading.Timer(2, network.mend, ["bastion"]).start()
            assert client.stdout.readline() == "through\n"


def test_a_database_in_a_host_is_not_roots(network: Network) -> None:
    with network["db"].runs(PostgreSQL()) as server:
        assert server.admin("SELECT host(inet_server_addr())") == [(network["db"].address,)]
        assert psutil.Process(server.pid).uids().real != 0
        server.stop(immediate=True)
        server.start()
        assert server.admin("SELECT 1") == [(1,)]


def test_many_runs_have_networks_at_once_and_a_killed_one_leaves_nothing(network: Network) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [run.stdout.readline().split() for run in runs if run.stdout]
    assert len({address for both in said for address in both}) == 6
    own = {address for address, _ in said}
    assert own < addresses()
    for run in runs[:2]:
        run.kill()
    for run in runs:
        run.communicate()
    until(lambda: not own & addresses())
    assert network.address in addresses()


def test_a_closed_network_leaves_nothing() -> None:
    with nothing_is_left():
        with Network("one") as network:
            network.delay("one", 0.1)
            assert network.address in addresses()
        assert network.address not in addresses()


def test_without_root_it_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match="need root"), Network("one"):
        pass
