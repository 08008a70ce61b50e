"""Commands on the other machine: output, exit code, folder, time, interrupts; nothing runs on afterwards."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.remotes.ssh.conftest import Home
from tests.services.shells import Shell, started
from tests.services.sshd import SSHD
from tests.services.tcp import join, run, until

from omniduct.errors import DuctCommandError, DuctConnectionError, DuctTimeout
from omniduct.remotes.ssh import SSHClient

Make = Callable[..., SSHClient]


@pytest.fixture
def client(bastion: Make, server: SSHD, home: Home) -> SSHClient:
    home.configure(f"IdentityFile {server.key}\n")
    return bastion()


def runs(server: SSHD, words: str) -> bool:
    return any(words in line for line in server.commands())


def test_output_errors_and_exit_code_come_apart(client: SSHClient) -> None:
    result = client.execute("echo out; echo err >&2; exit 3")
    assert (result.returncode, result.stdout, result.stderr) == (3, b"out\n", b"err\n")


def test_bytes_come_as_they_are(client: SSHClient) -> None:
    assert client.execute(r"printf '\377\000\r\n\303\251'").stdout == b"\xff\x00\r\n\xc3\xa9"
    assert client.execute("printf '%s' 'żółw'").stdout.decode() == "żółw"


def test_much_output_on_both_sides_at_once_ends(client: SSHClient) -> None:
    size = 64 << 20
    result = client.execute(f"head -c {size} /dev/zero & head -c {size} /dev/zero >&2; wait")
    assert (len(result.stdout), len(result.stderr)) == (size, size)


def test_a_command_reads_nothing(client: SSHClient) -> None:
    assert client.execute("cat; echo end").stdout == b"end\n"


def test_commands_run_in_the_working_folder_and_with_skip_cwd_at_home(
    client: SSHClient, server: SSHD
) -> None:
    client.execute("mkdir -p 'a folder' && touch 'a folder/x'")
    assert client.execute("pwd").stdout.decode().strip() == str(server.user_home)
    client.path_cwd = f"{server.user_home}/a folder"
    assert client.execute("pwd; ls # all").stdout.decode() == f"{server.user_home}/a folder\nx\n"
    assert client.execute("cat <<END\nhere\nEND").stdout == b"here\n"
    assert client.execute("pwd", skip_cwd=True).stdout.decode().strip() == str(server.user_home)


def test_a_command_that_a_signal_ends_has_the_code_minus_one(client: SSHClient) -> None:
    assert client.execute("kill -9 $$").returncode == -1
    assert client.is_connected()


def test_a_command_that_takes_too_long_is_ended_there(client: SSHClient, server: SSHD) -> None:
    with pytest.raises(DuctTimeout, match=r"bastion: the command took longer than 0\.5 s, and was ended"):
        client.execute("sleep 611", timeout=0.5)
    until(lambda: not runs(server, "sleep 611"))
    assert client.execute("echo on").stdout == b"on\n"


@pytest.mark.parametrize(
    "command", ["sleep 612", "trap '' INT TERM; sleep 612; sleep 612", "sleep 612 | cat"]
)
def test_a_command_that_is_interrupted_ends_there_too(client: SSHClient, server: SSHD, command: str) -> None:
    client.connect()

    def interrupt() -> None:
        until(lambda: runs(server, "sleep 612"))
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        client.execute(command)
    join([thread])
    until(lambda: not runs(server, "sleep 612"))
    assert client.execute("echo on").stdout == b"on\n"


def test_many_commands_run_side_by_side_on_one_connection(client: SSHClient, server: SSHD) -> None:
    results: list[bytes] = []
    begun = time.monotonic()
    join(run(lambda: results.append(client.execute("sleep 1; echo x").stdout), 8))
    assert results == [b"x\n"] * 8
    assert time.monotonic() - begun < 7
    assert server.connections() == 1


def test_what_a_command_prints_is_heard_while_it_runs(client: SSHClient) -> None:
    heard: list[tuple[str, bytes]] = []
    seen = []

    def note(name: str, data: bytes) -> None:
        heard.append((name, data))
        seen.append(time.monotonic())

    client.execute("echo one; sleep 1; echo two >&2", heard=note)
    assert heard == [("stdout", b"one\n"), ("stderr", b"two\n")]
    assert seen[1] - seen[0] > 0.5


def test_a_connection_that_is_lost_while_a_command_runs_is_said_and_the_next_one_works(
    client: SSHClient, server: SSHD
) -> None:
    client.connect()
    until(lambda: len(server.sessions()) == 1)  # those of other tests have ended

    def kill() -> None:
        until(lambda: runs(server, "sleep 613"))
        server.sessions()[0].kill()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    complaint = "bastion: the connection was lost while the command ran; it may run on"
    with pytest.raises(DuctConnectionError, match=complaint):
        client.execute("sleep 613")
    join([thread])
    assert client.execute("echo on").stdout == b"on\n"


@pytest.fixture
def forbidden() -> Iterator[SSHD]:
    with SSHD(MaxSessions="0") as server:
        yield server


def test_a_machine_that_runs_no_commands_says_so(forbidden: SSHD, home: Home) -> None:
    home.knows(forbidden)
    home.configure(f"IdentityFile {forbidden.key}\n")
    client = SSHClient(name="bastion", host=forbidden.host, port=forbidden.port, username=forbidden.user)
    complaint = r"bastion: the command was not begun: the machine gives .* no further session \(MaxSessions\)"
    with pytest.raises(DuctConnectionError, match=complaint):
        client.execute("true")
    client.disconnect()


def test_a_command_ends_also_where_there_is_no_room_for_another_session(home: Home) -> None:
    with SSHD(MaxSessions="1") as server:
        home.knows(server)
        home.configure(f"IdentityFile {server.key}\n")
        client = SSHClient(name="bastion", host=server.host, port=server.port, username=server.user)
        with pytest.raises(DuctTimeout):
            client.execute("sleep 614", timeout=0.5)
        until(lambda: not runs(server, "sleep 614"))
        client.disconnect()


# Magics


@pytest.fixture
def shell(client: SSHClient) -> Iterator[Shell]:
    with started() as shell:
        client.register_magics()
        yield shell


def test_a_cell_shows_what_its_commands_print(shell: Shell) -> None:
    ran = shell.run("%%bastion\necho żółw\necho oh >&2\n")
    assert (ran.error, ran.stdout, ran.stderr) == (None, "żółw\n", "oh\n")
    assert shell.run("%bastion echo $HOME {1} | tr a-z A-Z").stdout.endswith("{1}\n")


def test_a_cell_whose_command_fails_fails(shell: Shell) -> None:
    ran = shell.run("%bastion echo on; exit 3")
    assert ran.said == "bastion: the command ended with exit code 3"
    assert ran.stdout == f"on\nDuctCommandError: {ran.said}\n"
    assert isinstance(ran.error, DuctCommandError)
    assert ran.error.returncode == 3
    assert shell.run("%bastion kill -9 $$").said == "bastion: the command was ended by a signal"


def test_a_cell_may_keep_the_outcome(shell: Shell) -> None:
    ran = shell.run("%%bastion done timeout=60\necho out; exit 4\n")
    assert (ran.error, ran.stdout) == (None, "")
    assert (shell.user["done"].returncode, shell.user["done"].stdout) == (4, b"out\n")
    assert "took longer than 0.2 s" in shell.run("%%bastion timeout=0.2\nsleep 5\n").said
    assert "'a b' is no name of a variable" in shell.run("%%bastion 'a b'\ntrue\n").said
