"""Commands through OpenSSH's program, in the shells that people have."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from tests.services.guard import of_user
from tests.services.interrupts import Caller, interrupted, wait_until
from tests.services.leftovers import nothing_is_left
from tests.services.openssh import Files
from tests.services.sshd import SSHD

from omniduct.errors import DuctConnectionError, DuctTimeout
from omniduct.remotes.ssh.openssh.client import OpenSSHClient


class Shell(SSHD):
    """A server whose user has another login shell."""

    def __init__(self, shell: str) -> None:
        super().__init__(kinds=["ed25519"])
        self._shell = shell

    def _make_user(self) -> None:
        super()._make_user()
        passwd = self.home / "etc" / "passwd"
        passwd.write_text(passwd.read_text().replace(":/bin/bash\n", f":{self._shell}\n", 1))


@pytest.fixture(scope="module", params=["bash", "dash", "zsh", "fish"])
def server(request: pytest.FixtureRequest) -> Iterator[SSHD]:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"{request.param} is not installed")
    with Shell(shell) as server:
        assert server.password  # else the user has another shell
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[SSHD]:
    with SSHD(kinds=["ed25519"]) as server:
        yield server


def connected(files: Files, server: SSHD, **arguments: Any) -> OpenSSHClient:
    files.configure(f"IdentityFile {server.key}\n")
    files.known_hosts.write_text(server.known_hosts())
    given = {"host": server.host, "port": server.port, "username": server.user, **arguments}
    return OpenSSHClient(name="bastion", **given).connect()


@pytest.fixture
def duct(server: SSHD, files: Files) -> Iterator[OpenSSHClient]:
    duct = connected(files, server)
    yield duct
    duct.disconnect()


@pytest.fixture
def bash(plain: SSHD, files: Files) -> Iterator[OpenSSHClient]:
    duct = connected(files, plain)
    yield duct
    duct.disconnect()


def test_what_a_command_prints_and_its_exit_code_come_back_as_they_are(duct: OpenSSHClient) -> None:
    done = duct.execute("printf 'a\\377b'; printf 'oh\\nno' >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"a\xffb", b"oh\nno")
    assert duct.execute("echo one\necho two # a comment\n").stdout == b"one\ntwo\n"
    assert duct.execute("exit 255").returncode == 255
    assert duct.execute("cat").stdout == b""


def test_it_runs_in_the_login_shell(server: SSHD, duct: OpenSSHClient) -> None:
    name = server._shell.rpartition("/")[2]  # type: ignore[attr-defined]
    assert name in duct.execute("ps -o comm= -u $USER; true").stdout.decode()


def test_it_runs_in_the_working_folder(server: SSHD, duct: OpenSSHClient) -> None:
    name = 'it\'s a "folder", $HOME; really'
    duct.mkdir(name)
    duct.path_cwd = name
    assert duct.execute("pwd").stdout.decode() == f"{server.user_home}/{name}\n"
    assert duct.execute("pwd", skip_cwd=True).stdout.decode() == f"{server.user_home}\n"
    duct.remove(f"~/{name}", recursive=True)
    gone = duct.execute("echo not here")
    assert (
        gone.returncode != 0 and gone.stdout == b"" and not re.search(rb"omniduct-[0-9a-f]{16}", gone.stderr)
    )


def test_a_timeout_ends_it_there(server: SSHD, duct: OpenSSHClient) -> None:
    begun = time.monotonic()
    with pytest.raises(DuctTimeout, match=r"bastion: the command took longer than 0.3 s"):
        duct.execute("sleep 611 | cat", timeout=0.3)
    assert time.monotonic() - begun < 3
    wait_until(lambda: not any("611" in line for line in server.commands()))
    assert duct.execute("echo on").stdout == b"on\n"


def test_an_interrupt_ends_it_there(server: SSHD, duct: OpenSSHClient) -> None:
    interrupted(
        lambda: duct.execute("sleep 612"),
        0.05,
        when=lambda: any("sleep 612" in line for line in server.commands()),
    )
    wait_until(lambda: not any("612" in line for line in server.commands()))
    assert duct.execute("echo on").stdout == b"on\n"


def test_what_defies_the_interrupt_is_ended_all_the_same(plain: SSHD, bash: OpenSSHClient) -> None:
    stubborn = "trap '' INT TERM; while true; do sleep 0.613; done"
    with pytest.raises(DuctTimeout):
        bash.execute(stubborn, timeout=0.3)
    wait_until(lambda: not any("613" in line for line in plain.commands()))


def test_a_large_output_is_read_from_both_ends_at_once_and_memory_is_not_wasted(bash: OpenSSHClient) -> None:
    command = "head -c 60000000 /dev/zero >&2 & head -c 60000000 /dev/zero; wait"
    before = psutil.Process().memory_info().rss
    done = bash.execute(command)
    assert (len(done.stdout), len(done.stderr)) == (60_000_000, 60_000_000)
    assert psutil.Process().memory_info().rss - before < 400e6


def test_commands_of_several_threads_run_at_once(bash: OpenSSHClient) -> None:
    begun = time.monotonic()
    callers = [Caller(lambda n=n: bash.execute(f"sleep 0.5; echo {n}").stdout) for n in range(6)]  # type: ignore[misc]
    assert [caller.ended().result for caller in callers] == [f"{n}\n".encode() for n in range(6)]
    assert time.monotonic() - begun < 2.5


def test_a_connection_that_is_lost_meanwhile_is_told_and_the_next_command_runs(
    plain: SSHD, bash: OpenSSHClient
) -> None:
    caller = Caller(lambda: bash.execute("sleep 614"))
    wait_until(lambda: any("614" in line for line in plain.commands()))
    plain.sessions()[0].kill()
    assert isinstance(caller.ended().error, DuctConnectionError)
    assert re.search("bastion: the connection was lost while the command ran", str(caller.error))
    assert bash.execute("echo on").stdout == b"on\n"


def test_a_command_that_a_signal_ended_is_no_lost_connection(bash: OpenSSHClient) -> None:
    assert bash.execute("kill -9 $$").returncode == -1
    assert bash.is_connected()


def test_a_command_that_is_too_long_says_so(bash: OpenSSHClient) -> None:
    with pytest.raises(DuctConnectionError, match="it is too long"):
        bash.execute("#" * 300_000)
    assert len(bash.execute(f"echo {'x' * 100_000}").stdout) == 100_001


def test_a_shell_that_prints_when_it_starts_is_no_trouble(plain: SSHD, bash: OpenSSHClient) -> None:
    file = plain.user_home / ".bashrc"
    file.write_text("echo out; echo err >&2\n")
    try:
        done = bash.execute("echo more >&2")
        assert (done.stdout, done.stderr) == (b"out\n", b"err\nmore\n")
    finally:
        file.unlink()


def test_a_hundred_commands_leave_no_process_and_no_open_file(plain: SSHD, bash: OpenSSHClient) -> None:
    bash.execute("true")
    there = len(of_user(plain.port))
    with nothing_is_left():
        for _ in range(100):
            bash.execute("true")
    wait_until(lambda: len(of_user(plain.port)) <= there)
