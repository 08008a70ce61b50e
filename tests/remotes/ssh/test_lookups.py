"""A machine whose name service is slow: while it looks for a name it is silent, and not lost by that."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from tests.remotes.ssh.conftest import Home
from tests.services.networks import Network
from tests.services.openssh import Files
from tests.services.sshd import SSHD
from tests.services.tcp import LOOPBACK, join, run, until

from omniduct.errors import DuctConnectionError, DuctServerUnreachable
from omniduct.remotes.ssh import SSHClient
from omniduct.remotes.ssh.base import SSHRemote
from omniduct.remotes.ssh.openssh.client import OpenSSHClient

NAME = "db.example.test"
SLOW = 4  # seconds that each name takes: longer than a check
NEARLY_FOR_EVER = 14  # longer than anybody waits for a name

Make = Callable[[SSHD], SSHRemote]


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network("slow", "slower") as network:
        yield network


def machine(network: Network, name: str, wait: int) -> SSHD:
    names = {NAME: network[name].address}
    return network[name].runs(SSHD(kinds=["ed25519"], names=names, asks_first=(network.nowhere, wait)))


@pytest.fixture(scope="module")
def slow(network: Network) -> Iterator[SSHD]:
    with machine(network, "slow", SLOW) as server:
        yield server


@pytest.fixture(scope="module")
def slower(network: Network) -> Iterator[SSHD]:
    with machine(network, "slower", NEARLY_FOR_EVER) as server:
        yield server


# OpenSSH tells nobody of connections through forwards, and not whether its packets arrive.
only_ssh = pytest.mark.parametrize("make", [SSHClient], ids=["ssh"], indirect=True)


@pytest.fixture(params=[SSHClient, OpenSSHClient], ids=["ssh", "ssh_cli"])
def make(request: pytest.FixtureRequest, home: Home, files: Files) -> Iterator[Make]:
    made: list[SSHRemote] = []

    def connected(server: SSHD) -> SSHRemote:
        until(lambda: not server.connections())
        home.knows(server)
        home.configure(f"IdentityFile {server.key}\n")
        files.known_hosts.write_text(server.known_hosts())
        files.configure(f"IdentityFile {server.key}\n")
        where = {"host": server.host, "port": server.port, "username": server.user}
        made.append(request.param(name="bastion", **where).connect())
        return made[-1]

    yield connected
    for duct in made:
        duct.disconnect()


def session(server: SSHD) -> int:
    """The process that serves the one connection that there is."""
    until(server.sessions)
    [found] = server.sessions()
    return found.pid


def greeting(port: int) -> bytes:
    with socket.create_connection((LOOPBACK, port), timeout=30) as connection:
        return connection.recv(4)


def test_a_service_whose_name_takes_long_is_reached(make: Make, slow: SSHD) -> None:
    duct = make(slow)
    before, begun = session(slow), time.monotonic()
    assert greeting(duct.port_forward(NAME, slow.port)) == b"SSH-"
    assert time.monotonic() - begun > SLOW
    assert duct.is_port_bound(NAME, slow.port)
    assert not duct.is_port_bound(NAME, 1)
    assert session(slow) == before


def test_a_machine_that_looks_for_a_name_is_connected(make: Make, slow: SSHD) -> None:
    duct = make(slow)
    before = session(slow)
    threads = run(lambda: duct.is_port_bound(NAME, 1))
    time.sleep(0.5)
    begun = time.monotonic()
    assert duct.is_connected()
    assert 1 < time.monotonic() - begun < 2.5  # it was silent
    assert duct.status.state == "connected"
    assert duct.execute("echo here").stdout == b"here\n"
    join(threads)
    assert duct.execute("echo there").stdout == b"there\n"
    assert session(slow) == before


@only_ssh
def test_connections_through_a_forward_look_for_the_name_too(make: Make, slow: SSHD) -> None:
    duct = make(slow)
    before, port = session(slow), duct.port_forward(NAME, slow.port)
    threads = run(lambda: greeting(port))
    time.sleep(0.5)
    assert duct.is_connected()
    join(threads)
    assert session(slow) == before


def test_who_gives_up_a_name_loses_nothing_else(make: Make, slower: SSHD) -> None:
    duct = make(slower)
    before = session(slower)
    complaint = (
        rf"bastion: \S+ has not answered for 1 s; \d+ s ago it was asked for {NAME}:1, and may still be"
    )
    with pytest.raises(DuctConnectionError, match=complaint) as caught:
        duct.port_forward(NAME, 1)
    assert not isinstance(caught.value, DuctServerUnreachable)  # nobody knows yet
    assert duct.execute("echo here").stdout == b"here\n"
    assert session(slower) == before
    assert not duct.has_port_forward()


@only_ssh
def test_a_link_that_is_cut_meanwhile_is_noticed(make: Make, network: Network, slower: SSHD) -> None:
    duct = make(slower)

    def ask() -> None:
        with pytest.raises(DuctConnectionError):
            duct.port_forward(NAME, 1)

    threads = run(ask)
    time.sleep(0.5)
    assert duct.is_connected()
    network.cut("slower")
    try:
        assert not duct.is_connected()
        assert duct.status.state == "lost"
    finally:
        network.mend("slower")
    join(threads)
