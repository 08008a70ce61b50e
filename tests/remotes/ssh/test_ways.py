"""The way to a machine: names of ``~/.ssh/config``, machines in between, programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.remotes.ssh.conftest import Home
from tests.services.networks import Network
from tests.services.sshd import SSHD
from tests.services.tcp import Answers, until

from omniduct.credentials import prompting_with
from omniduct.errors import DuctConfigError, DuctConnectionError, DuctServerUnreachable
from omniduct.remotes.ssh import SSHClient
from omniduct.remotes.ssh.config import place_of

Make = Callable[..., SSHClient]

RELAY = """
import os, socket, sys, threading
near = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        near.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := near.recv(65536):
    os.write(1, data)
"""


class Chain:
    """Three machines, of which only the first is reached from here, and a configuration that knows them."""

    def __init__(self, network: Network, first: SSHD, second: SSHD, third: SSHD, home: Home) -> None:
        self.network, self.first, self.second, self.third = network, first, second, third
        home.knows(first, second, third)
        names = {"first": first, "second": second, "third": third}
        home.configure(
            "".join(
                f"Host {name}\n  HostName {each.host}\n  Port {each.port}\n  User {each.user}\n"
                f"  IdentityFile {each.key}\n"
                for name, each in names.items()
            )
        )


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Network, SSHD, SSHD, SSHD]]:
    with Network("first", "second", "third") as network:
        first, second, third = SSHD(), SSHD(), SSHD()
        with network["first"].runs(first), network["second"].runs(second), network["third"].runs(third):
            for hidden in ("second", "third"):
                network.hide(hidden)
            yield network, first, second, third


@pytest.fixture
def chain(machines: tuple[Network, SSHD, SSHD, SSHD], home: Home) -> Chain:
    return Chain(*machines, home)


def greeting(client: SSHClient) -> str:
    return client.execute("echo $SSH_CONNECTION").stdout.decode().split()[2]


# Names


def test_the_configuration_says_where_a_name_is_and_the_duct_may_say_otherwise(home: Home) -> None:
    home.configure(
        "Host work\n  HostName %h.example.com\n  Port 2200\n  User ada\n  HostKeyAlias it\n"
        "Host *.example.com other\n  User grace\n"
    )
    place = place_of("work")
    assert (place.host, place.port, place.user, place.key_name) == ("work.example.com", 2200, "ada", "it")
    assert str(place_of("work", "eve", 22)) == "eve@work.example.com:22"
    assert place_of("other").user == "grace"
    assert place_of("db.example.com").key_name == "db.example.com"
    assert place_of("db.example.com", port=2222).key_name == "[db.example.com]:2222"


def test_included_files_are_read_where_they_are_included(home: Home) -> None:
    (home.ssh / "conf.d").mkdir()
    (home.ssh / "conf.d" / "b").write_text("Host b\n  Port 2\n")
    (home.ssh / "conf.d" / "a").write_text("Host a\n  Port 1\n")
    home.configure("Include conf.d/*  # all of them\nHost a b\n  Port 3\n  User u\n")
    assert [(place_of(name).port, place_of(name).user) for name in "ab"] == [(1, "u"), (2, "u")]
    home.configure(f"Include {home.config}\n")
    with pytest.raises(DuctConfigError, match="include each other without an end"):
        place_of("a")


def test_keys_are_those_that_are_named_or_the_usual_ones(home: Home) -> None:
    for name in ("id_rsa", "id_ed25519", "work key"):
        (home.ssh / name).write_text("")
    assert [key.name for key in place_of("here").keys] == ["id_rsa", "id_ed25519"]
    home.configure('IdentityFile "~/.ssh/work key"\nIdentityFile ~/.ssh/none\nIdentitiesOnly yes\n')
    assert place_of("here").keys == (home.ssh / "work key",)
    assert place_of("here").only_these_keys


def test_a_configuration_that_cannot_be_read_is_named(home: Home, server: SSHD) -> None:
    home.configure("Host 'a\n  Port 1\n")
    with pytest.raises(DuctConfigError, match=r"config cannot be read: "):
        SSHClient(name="bastion", host="a").connect()


def test_host_port_and_user_of_a_duct_are_the_real_ones_once_it_is_prepared(server: SSHD, home: Home) -> None:
    home.knows(server)
    home.configure(
        f"Host gate\n  HostName {server.host}\n  Port {server.port}\n  User {server.user}\n"
        f"  IdentityFile {server.key}\n"
    )
    client = SSHClient(name="bastion", host="gate")
    assert repr(client) == "<SSHClient 'bastion': at gate, disconnected>"
    assert (client.host, client.port, client.username) == (server.host, server.port, server.user)
    assert client.execute("whoami").stdout.decode().strip() == server.user
    client.reset()
    assert (client._host, client._port, client._username) == ("gate", None, None)


def test_a_port_that_is_given_comes_before_that_of_the_configuration(home: Home) -> None:
    home.configure("Host gate\n  Port 2200\n")
    assert SSHClient(host="gate").port == 2200
    assert SSHClient(host="gate", port=22).port == 22
    assert SSHClient(host="gate:23").port == 23
    assert SSHClient(host="elsewhere").port == 22


def test_a_host_may_be_written_with_the_user_and_one_of_several_by_its_name(server: SSHD, home: Home) -> None:
    home.knows(server)
    home.configure(
        f"Host gate\n  HostName {server.host}\n  Port {server.port}\n  IdentityFile {server.key}\n"
    )
    client = SSHClient(name="bastion", host=f"{server.user}@gate")
    assert client.username == server.user
    assert client.execute("whoami").stdout.decode().strip() == server.user
    client.reset()
    assert (client._host, client._username) == (f"{server.user}@gate", None)
    assert SSHClient(host=["127.0.0.1:1", "gate"], username=server.user).port == server.port


def test_without_keepalive_nothing_is_asked(server: SSHD, bastion: Make, home: Home) -> None:
    home.configure(f"IdentityFile {server.key}\n")
    client = bastion(keepalive=0).connect()
    time.sleep(1)
    assert client.status.state == "connected"
    server.sessions()[0].kill()
    until(lambda: client.status.state == "lost")


def test_a_duct_without_a_host_says_so() -> None:
    with pytest.raises(DuctConfigError, match="bastion: it has no host; give it one"):
        SSHClient(name="bastion").connect()


# Machines in between


def test_a_jump_leads_on_through_two_machines(chain: Chain, home: Home) -> None:
    with home.config.open("a") as config:
        config.write("Host third\n  ProxyJump first,second\n")
    client = SSHClient(name="bastion", host="third")
    assert greeting(client) == chain.third.host
    assert (chain.first.connections(), chain.second.connections()) == (1, 1)
    client.disconnect()
    until(lambda: not any(each.connections() for each in (chain.first, chain.second, chain.third)))


def test_a_jump_has_jumps_of_its_own(chain: Chain, home: Home) -> None:
    with home.config.open("a") as config:
        config.write("Host third\n  ProxyJump second\nHost second\n  ProxyJump first\n")
    client = SSHClient(name="bastion", host="third")
    assert greeting(client) == chain.third.host
    assert client._line is not None
    assert [line.place.alias for line in client._line.way] == ["first", "second"]
    client.disconnect()


def test_jumps_in_a_circle_are_refused(home: Home) -> None:
    home.configure("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(DuctConfigError, match="its ProxyJump leads back to itself"):
        SSHClient(name="bastion", host="a").connect()


def test_of_a_jump_and_a_program_the_first_leads_there(home: Home) -> None:
    home.configure(
        "Host a\n  ProxyCommand nc %h %p\nHost b\n  ProxyJump c\nHost *\n  ProxyJump d\n  ProxyCommand x\n"
    )
    assert (place_of("a").command, place_of("a").jumps) == ("nc a 22", ())
    assert (place_of("b").command, place_of("b").jumps) == ("", ("c",))


def test_a_program_is_told_the_port_and_the_user_of_the_duct(home: Home) -> None:
    home.configure("Host a\n  Port 22\n  User x\n  ProxyCommand nc %h %p %r\n")
    assert place_of("a", "ada", 2200).command == "nc a 2200 ada"
    assert place_of("a").command == "nc a 22 x"


def test_a_jump_that_needs_a_password_asks_for_that_of_its_machine(chain: Chain, home: Home) -> None:
    text = home.config.read_text().replace(f"  IdentityFile {chain.first.key}\n", "")
    home.configure(f"{text}Host third\n  ProxyJump first\n")
    person = Answers(chain.first.password)
    client = SSHClient(name="bastion", host="third")
    with prompting_with(person):
        assert greeting(client) == chain.third.host
        assert greeting(client.reconnect()) == chain.third.host
    first = chain.first
    assert person.asked == [f"password for {first.user}@{first.host}:{first.port}"]
    client.disconnect()


def test_the_key_of_every_machine_on_the_way_is_checked(chain: Chain, home: Home) -> None:
    home.knows(chain.third)
    with home.config.open("a") as config:
        config.write("Host third\n  ProxyJump first\n")
    with pytest.raises(DuctConnectionError, match=f"{chain.first.host}:{chain.first.port} is not known"):
        SSHClient(name="bastion", host="third").connect()


def test_a_machine_behind_a_jump_that_does_not_answer_is_said_as_seen_from_there(
    chain: Chain, home: Home
) -> None:
    with home.config.open("a") as config:
        config.write("Host third\n  ProxyJump first\n")
    complaint = (
        f"bastion: nothing answers at {chain.third.host}:1, seen from {chain.first.host}: connect failed"
    )
    with pytest.raises(DuctServerUnreachable, match=complaint):
        SSHClient(name="bastion", host="third", port=1).connect()


def test_a_remote_with_a_remote_leads_on_and_keeps_its_own_name(chain: Chain) -> None:
    first = SSHClient(name="first", host="first")
    second = SSHClient(name="second", host="second", remote=first)
    third = SSHClient(name="third", host="third", remote=second)
    assert greeting(third) == chain.third.host
    assert (third.host, third._host, third._port) == ("127.0.0.1", chain.third.host, chain.third.port)
    assert repr(third).endswith(f"at {chain.third.host}:{chain.third.port} via second, connected>")
    for each in (third, second, first):
        each.disconnect()
    until(lambda: not any(each.connections() for each in (chain.first, chain.second, chain.third)))


def test_a_program_leads_to_a_machine_and_ends_with_the_connection(
    server: SSHD, home: Home, tmp_path: Path
) -> None:
    script = tmp_path / "relay.py"
    script.write_text(RELAY)
    home.knows(server)
    home.configure(
        f"Host gate\n  HostName {server.host}\n  Port {server.port}\n  User {server.user}\n"
        f"  IdentityFile {server.key}\n  ProxyCommand {sys.executable} {script} %h %p\n"
    )
    client = SSHClient(name="bastion", host="gate").connect()
    assert client._line is not None
    program = client._line._wire._inner.process
    assert program.poll() is None
    assert greeting(client) == server.host
    client.disconnect()
    until(lambda: program.poll() is not None)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("/nowhere/program", r"the ProxyCommand of gate:22 does not speak SSH with us: .*not found"),
        ("true", r"the ProxyCommand of gate:22 does not speak SSH with us: "),
    ],
)
def test_a_program_that_leads_nowhere_is_named(home: Home, command: str, complaint: str) -> None:
    home.configure(f"Host gate\n  ProxyCommand {command}\n")
    with pytest.raises(DuctConnectionError, match=complaint):
        SSHClient(name="bastion", host="gate").connect()
