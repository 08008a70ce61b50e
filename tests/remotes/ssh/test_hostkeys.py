"""A machine is the one that it was, or nothing is sent to it: known hosts, asked, changed, revoked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest
from tests.remotes.ssh.conftest import Home
from tests.services.sshd import SSHD
from tests.services.tcp import Answers, until

from omniduct.credentials import Question, prompting_with
from omniduct.errors import DuctConnectionError, DuctWarning
from omniduct.remotes.ssh import SSHClient, hostkeys
from omniduct.remotes.ssh.config import place_of

Make = Callable[..., SSHClient]


class Person(Answers):
    """Says yes or no to what is asked."""

    def __init__(self, trusts: bool) -> None:
        super().__init__()
        self.trusts = trusts
        self.texts: list[str] = []

    def ask(self, question: Question) -> str | bool:
        assert question.kind == "confirm"
        self.texts.append(question.text)
        return self.trusts


@pytest.fixture
def client(bastion: Make, server: SSHD, home: Home) -> SSHClient:
    """A client of a server that nobody knows."""
    home.known_hosts.unlink()
    return bastion(password=server.password)


def kind_of(client: SSHClient) -> str:
    assert client._line is not None
    return str(client._line.transport.get_remote_server_key().get_name())


def logins(server: SSHD) -> int:
    """How often somebody has tried to log in: the log has the name of who did."""
    return server.log().count(server.user)


def test_the_fingerprint_of_an_unknown_machine_is_shown_and_its_key_kept_when_trusted(
    server: SSHD, client: SSHClient, home: Home
) -> None:
    home.configure("HashKnownHosts no\n")
    person = Person(trusts=True)
    with prompting_with(person):
        client.connect()
        kind = kind_of(client)
        client.reconnect()
    short = kind.removeprefix("ssh-").partition("-")[0]
    assert person.texts == [
        f"{server.host}:{server.port} is not known. Its {kind} key is {server.fingerprint(short)}. "
        "Trust it, and remember it?"
    ]
    assert home.known_hosts.read_text() == server.known_hosts(short)
    assert home.known_hosts.stat().st_mode & 0o077 == 0


def test_what_is_remembered_comes_on_a_line_of_its_own_and_is_hashed_where_that_is_wanted(
    server: SSHD, client: SSHClient, home: Home
) -> None:
    home.known_hosts.write_text("# no end of line")
    home.configure("HashKnownHosts yes\n")
    with prompting_with(Person(trusts=True)):
        client.connect()
    first, second = home.known_hosts.read_text().splitlines()
    assert first == "# no end of line"
    assert second.startswith("|1|")
    client.reconnect()  # and is found again


def test_a_machine_that_is_not_trusted_gets_no_login(server: SSHD, client: SSHClient, home: Home) -> None:
    before = logins(server)
    complaint = f"bastion: you did not trust {server.host}:{server.port}, so nothing was sent there"
    with prompting_with(Person(trusts=False)), pytest.raises(DuctConnectionError, match=complaint):
        client.connect()
    until(lambda: not server.connections())
    assert logins(server) == before
    assert not home.known_hosts.exists()


def test_with_nobody_to_ask_an_unknown_machine_is_refused_and_it_is_said_what_to_do(
    server: SSHD, client: SSHClient, home: Home
) -> None:
    with pytest.raises(DuctConnectionError) as caught:
        client.connect()
    said = str(caught.value)
    assert "is not known, and there is nobody to ask" in said
    assert f"ssh-keyscan -p {server.port} {server.host} >> {home.known_hosts}" in said
    assert server.fingerprint("ed25519") in said or server.fingerprint("ecdsa") in said


@pytest.mark.parametrize("asks", [True, False])
def test_a_changed_key_is_refused_with_both_fingerprints_and_gets_no_login(home: Home, asks: bool) -> None:
    with SSHD(kinds=["ed25519"]) as server:
        home.knows(server)
        former = server.fingerprint()
        server.change_host_keys()
        client = SSHClient(
            name="bastion",
            host=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
        )
        before = logins(server)
        with prompting_with(Person(trusts=asks)), pytest.raises(DuctConnectionError) as caught:
            client.connect()
        said = str(caught.value)
        assert "is not the one that is known, so nothing was sent there" in said
        assert f"Its ssh-ed25519 key is {server.fingerprint()}; known is {former}" in said
        assert f"({home.known_hosts}, line 1)" in said
        assert f"ssh-keygen -R '[{server.host}]:{server.port}' -f {home.known_hosts}" in said
        until(lambda: not server.connections())
        assert logins(server) == before


def test_a_machine_is_asked_for_the_kind_of_key_that_is_known(
    server: SSHD, bastion: Make, home: Home
) -> None:
    for kind, name in [("ecdsa", "ecdsa-sha2-nistp256"), ("ed25519", "ssh-ed25519")]:
        home.known_hosts.write_text(server.known_hosts(kind))
        client = bastion(password=server.password).connect()
        assert kind_of(client) == name


def test_a_new_kind_of_key_of_a_known_machine_is_asked_about(home: Home) -> None:
    with SSHD(kinds=["ed25519"]) as former, SSHD(kinds=["ecdsa"]) as server:
        place = f"[{server.host}]:{server.port}"
        home.known_hosts.write_text(f"{place} {former.known_hosts().split(' ', 1)[1]}")
        client = SSHClient(
            name="bastion",
            host=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
        )
        person = Person(trusts=False)
        with prompting_with(person), pytest.raises(DuctConnectionError):
            client.connect()
        assert (
            f"is not known by this key, but by another (ssh-ed25519, {home.known_hosts}, line 1)"
            in (person.texts[0])
        )


def test_a_revoked_key_is_refused(server: SSHD, bastion: Make, home: Home) -> None:
    lines = server.known_hosts("ed25519")
    home.known_hosts.write_text(f"{lines}@revoked {lines}")
    with pytest.raises(DuctConnectionError, match=r"is revoked in .*known_hosts, line 2"):
        bastion(password=server.password).connect()


def test_patterns_and_aliases_are_known(server: SSHD, bastion: Make, home: Home, tmp_path: Path) -> None:
    _, kind, key = server.known_hosts("ed25519").split()
    home.known_hosts.write_text(f"[127.*]:* {kind} {key}\n")
    bastion(password=server.password).connect()
    home.known_hosts.write_text(f"![127.0.0.1]:*,[127.*]:* {kind} {key}\n")
    with pytest.raises(DuctConnectionError, match="is not known"):
        bastion(password=server.password).connect()
    elsewhere = tmp_path / "else where"
    elsewhere.write_text(f"the-bastion {kind} {key}\n")
    home.configure(f'HostKeyAlias the-bastion\nUserKnownHostsFile "{elsewhere}"\n')
    bastion(password=server.password).connect()


def test_where_nothing_is_to_be_remembered_nothing_is(server: SSHD, client: SSHClient, home: Home) -> None:
    home.configure("UserKnownHostsFile /dev/null\n")
    person = Person(trusts=True)
    with prompting_with(person):
        client.connect()
        client.reconnect()
    assert [text.partition("Trust ")[2] for text in person.texts] == ["it?"] * 2
    assert not home.known_hosts.exists()


def test_case_and_damaged_lines_do_not_matter(home: Home) -> None:
    key = paramiko.ECDSAKey.generate()
    line = f"{key.get_name()} {key.get_base64()}\n"
    hashed = paramiko.HostKeys.hash_host("db.example.com")
    home.known_hosts.write_text(f"|1|damaged|line {line}|1|AAAA|AAAA {line}{hashed} {line}")
    assert hostkeys.known_kinds(place_of("DB.example.com")) == [key.get_name()]


def test_unchecked_hosts_are_warned_of_and_nothing_is_written(
    server: SSHD, bastion: Make, home: Home
) -> None:
    home.known_hosts.unlink()
    with pytest.warns(DuctWarning, match="bastion: check_known_hosts is off, so anybody in between may pass"):
        bastion(password=server.password, check_known_hosts=False).connect()
    assert not home.known_hosts.exists()
