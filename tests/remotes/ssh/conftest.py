"""What the tests of SSH share: a server, and a home whose files decide how it is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.openssh import Files
from tests.services.sftp import Direct
from tests.services.ssh_agent import Agent
from tests.services.sshd import SSHD
from tests.services.tcp import until

from omniduct.remotes.ssh import SSHClient
from omniduct.remotes.ssh.openssh.client import OpenSSHClient


class Home:
    """A home folder with what OpenSSH keeps there."""

    def __init__(self, folder: Path) -> None:
        self.ssh = folder / ".ssh"
        self.ssh.mkdir(mode=0o700)
        self.known_hosts = self.ssh / "known_hosts"
        self.config = self.ssh / "config"

    def knows(self, *servers: SSHD) -> None:
        """Write down the keys of servers."""
        self.known_hosts.write_text("".join(server.known_hosts() for server in servers))

    def configure(self, text: str) -> None:
        """Write the configuration."""
        self.config.write_text(text)


@pytest.fixture(scope="module")
def server() -> Iterator[SSHD]:
    with SSHD() as server:
        yield server


@pytest.fixture
def agent() -> Iterator[Agent]:
    with Agent() as agent:
        yield agent


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home of the tests, with no agent and no key."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Home(folder)


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    """The person's files for OpenSSH's program, of which nothing is left when the test has ended."""
    files = Files(tmp_path_factory.mktemp("openssh"), monkeypatch)
    yield files
    until(lambda: files.processes() == [], "the end of what OpenSSH has started")


@pytest.fixture
def bastion(server: SSHD, home: Home) -> Iterator[Callable[..., SSHClient]]:
    """Makes clients of the server, whose key is known."""
    home.knows(server)
    made: list[SSHClient] = []

    def make(**arguments: Any) -> SSHClient:
        where = {"host": server.host, "port": server.port, "username": server.user}
        made.append(SSHClient(name="bastion", **{**where, **arguments}))
        return made[-1]

    yield make
    for client in made:
        client.disconnect()


@pytest.fixture(scope="module")
def remote(server: SSHD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSSHClient]:
    with pytest.MonkeyPatch.context() as patch:
        files = Files(tmp_path_factory.mktemp("openssh"), patch)
        files.configure(f"IdentityFile {server.key}\n")
        files.known_hosts.write_text(server.known_hosts())
        duct = OpenSSHClient(name="bastion", host=server.host, port=server.port, username=server.user)
        yield duct
        duct.disconnect()


@pytest.fixture
def folder(server: SSHD, remote: OpenSSHClient) -> Iterator[Path]:
    """A folder of the user's, in which `remote` is."""
    remote.mkdir("~/here")
    remote.path_cwd = "~/here"
    yield server.user_home / "here"
    remote.path_cwd = None
    remote.remove("~/here", recursive=True)


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Direct]:
    duct = Direct(name="direct", cwd=tmp_path, global_writes=True)
    yield duct
    duct.disconnect()
