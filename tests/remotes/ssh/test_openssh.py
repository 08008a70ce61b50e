"""A machine through OpenSSH's program: forwards, its end, and losing and healing."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.services.guard import have_ended
from tests.services.interrupts import Caller, wait_until
from tests.services.leftovers import nothing_is_left
from tests.services.networks import Network
from tests.services.openssh import Files
from tests.services.ports import LOOPBACK
from tests.services.sshd import SSHD

from omniduct.duct import Duct
from omniduct.errors import DuctConnectionError, DuctServerUnreachable
from omniduct.remotes.ssh.openssh.client import OpenSSHClient
from omniduct.remotes.ssh.openssh.mux import Control

ROOT = Path(__file__).parents[3]

# Connects, forwards, opens a file, says what there is, and waits.
PROGRAM = """
import sys
from omniduct.remotes.ssh.openssh.client import OpenSSHClient
from omniduct.remotes.ssh.openssh.mux import Control
host, port, user, then = sys.argv[1:]
duct = OpenSSHClient(name="bastion", host=host, port=int(port), username=user)
local = duct.port_forward(host, int(port))
duct.listdir()
print(duct._master._folder, local, flush=True)
if then == "wait":
    sys.stdin.read()
"""

# Forks while it is connected, and ends; the child stays.
FORKING = """
import os, sys, time
from omniduct.remotes.ssh.openssh.client import OpenSSHClient
from omniduct.remotes.ssh.openssh.mux import Control
host, port, user = sys.argv[1:]
duct = OpenSSHClient(name="bastion", host=host, port=int(port), username=user).connect()
duct.listdir()
if os.fork() == 0:
    state = duct.status.state, duct.execute("echo child").stdout.decode().strip()
    duct.disconnect()
    print(*state, flush=True)
    time.sleep(600)
os.wait() if sys.argv[4:] else None
sys.stdin.readline()
print(duct.execute("echo parent").stdout.decode().strip(), duct._master._folder, flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[SSHD]:
    with SSHD(kinds=["ed25519"]) as server:
        yield server


def bastion(files: Files, server: SSHD, **arguments: Any) -> OpenSSHClient:
    files.configure(f"IdentityFile {server.key}\n")
    files.known_hosts.write_text(server.known_hosts())
    given = {"host": server.host, "port": server.port, "username": server.user, **arguments}
    return OpenSSHClient(name="bastion", **given)


@pytest.fixture
def duct(files: Files, server: SSHD) -> Iterator[OpenSSHClient]:
    duct = bastion(files, server).connect()
    yield duct
    duct.disconnect()


def greeted(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        return connection.recv(4) == b"SSH-"
    return False


def listening(pids: set[int]) -> set[tuple[str, int]]:
    found = psutil.net_connections("tcp")
    return {tuple(c.laddr) for c in found if c.status == psutil.CONN_LISTEN and c.pid in pids}  # type: ignore[misc]


# Forwards


def test_a_forward_leads_there_and_listens_on_loopback_alone(
    server: SSHD, files: Files, duct: OpenSSHClient
) -> None:
    port = duct.port_forward(server.host, server.port)
    assert greeted(port)
    assert listening({process.pid for process in files.processes()}) == {(LOOPBACK, port)}
    assert duct.port_forward(f"{server.host}:{server.port}") == port
    duct.port_forward_stop(local_port=port)
    assert not greeted(port)


def test_a_forward_keeps_its_port_over_a_reconnect(server: SSHD, duct: OpenSSHClient) -> None:
    port = duct.port_forward(server.host, server.port)
    duct.reconnect()
    assert not greeted(port)
    assert duct.port_forward(server.host, server.port) == port
    assert greeted(port)


def test_what_nothing_answers_at_is_not_forwarded_to(duct: OpenSSHClient) -> None:
    assert not duct.is_port_bound(LOOPBACK, 1)
    with pytest.raises(DuctServerUnreachable, match=r"nothing answers at 127.0.0.1:1, seen from there"):
        duct.port_forward(LOOPBACK, 1)
    with pytest.raises(DuctServerUnreachable, match=r"nothing answers at nowhere.invalid:22"):
        duct.port_forward("nowhere.invalid", 22)


def test_what_listens_and_says_nothing_is_bound(duct: OpenSSHClient) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        assert duct.is_port_bound(*silent.getsockname())


def test_a_local_port_that_is_taken_says_so(server: SSHD, duct: OpenSSHClient) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(DuctConnectionError, match=f"bastion: could not forward local port {taken} to"):
            duct.port_forward(server.host, server.port, local_port=taken)
    assert not duct.has_port_forward()


def test_an_address_of_ipv6_is_reached(duct: OpenSSHClient) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        port = duct.port_forward(f"[::1]:{listener.getsockname()[1]}")
        listener.accept()[0].close()  # that was to see whether anything answers
        with socket.create_connection((LOOPBACK, port)) as near, listener.accept()[0] as far:
            near.sendall(b"hello")
            assert far.recv(5) == b"hello"


def test_a_duct_reaches_its_service_through_it(server: SSHD, duct: OpenSSHClient) -> None:
    class Greeting(Duct):
        def _connect(self) -> None:
            self.wire = socket.create_connection((self.host, self.port), timeout=5)
            assert self.wire.recv(4) == b"SSH-"

        def _is_connected(self) -> bool:
            return True

        def _disconnect(self) -> None:
            self.wire.close()

    reached = Greeting(name="far", host=server.host, port=server.port, remote=duct).connect()
    assert reached.port == duct.show_port_forwards().local_port[0]
    duct.disconnect()
    assert reached.status.state == "lost"
    reached.connect()
    server.sessions()[0].kill()
    wait_until(lambda: reached.status.state == "lost")
    reached.reconnect().disconnect()
    assert not duct.has_port_forward()


# The end


def test_disconnecting_leaves_nothing(server: SSHD, files: Files) -> None:
    duct = bastion(files, server)
    with nothing_is_left():
        port = duct.port_forward(server.host, server.port)
        file = duct.open("left open.txt", "wb")
        processes = files.processes()
        folder = duct._master._folder  # type: ignore[union-attr]
        assert len(processes) >= 2 and folder.exists()
        duct.disconnect()
        assert have_ended(processes, 5) and not folder.exists() and not greeted(port)
        wait_until(lambda: server.connections() == 0)
        with contextlib.suppress(DuctConnectionError):
            file.close()


def test_a_duct_that_nobody_holds_any_more_ends_its_processes(server: SSHD, files: Files) -> None:
    duct = bastion(files, server)
    duct.listdir()
    assert files.processes()
    del duct
    gc.collect()
    wait_until(lambda: files.processes() == [])


@pytest.mark.parametrize("end", ["exit", signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_process_however_it_ends(
    server: SSHD, files: Files, end: str | signal.Signals
) -> None:
    bastion(files, server)
    arguments = [server.host, str(server.port), server.user, "exit" if end == "exit" else "wait"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        folder, port = child.stdout.readline().decode().split()
        if isinstance(end, signal.Signals):
            assert files.processes() and greeted(int(port))
            child.send_signal(end)
        child.wait(10)
    wait_until(lambda: files.processes() == [])
    wait_until(lambda: not Path(folder).exists())
    assert not greeted(int(port))
    wait_until(lambda: server.connections() == 0)


def test_a_stopped_program_is_ended_too(server: SSHD, files: Files) -> None:
    duct = bastion(files, server).connect()
    processes = files.processes()
    for process in processes:
        if process.name() == "ssh":
            process.suspend()
    begun = time.monotonic()
    duct.disconnect()
    assert time.monotonic() - begun < 5
    assert have_ended(processes, 1)


def test_what_is_interrupted_while_it_disconnects_ends_all_the_same(
    server: SSHD, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(control: Control) -> None:
        raise KeyboardInterrupt

    duct = bastion(files, server).connect()
    processes = files.processes()
    monkeypatch.setattr(Control, "end", interrupted)  # where it waits for a master that stands still
    with pytest.raises(KeyboardInterrupt):
        duct.disconnect()
    assert have_ended(processes, 5)


def test_a_forked_child_has_a_connection_of_its_own_and_does_not_hold_the_parents(
    server: SSHD, files: Files
) -> None:
    bastion(files, server)
    arguments = [server.host, str(server.port), server.user]
    with subprocess.Popen(
        [sys.executable, "-c", FORKING, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        assert parent.stdout.readline() == b"disconnected child\n"
        [child] = [p for p in psutil.Process(parent.pid).children() if "python" in p.name()]
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        said, folder = parent.stdout.readline().decode().split()
        assert said == "parent"
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        wait_until(lambda: not Path(folder).exists())
        assert child.is_running()
        child.kill()


# Losing and healing


def test_a_session_that_is_killed_is_noticed_at_once_and_the_next_use_heals(
    server: SSHD, duct: OpenSSHClient
) -> None:
    port = duct.port_forward(server.host, server.port)
    states: list[str] = []
    duct.status.observe(lambda change: states.append(change["new"]), names="state")
    server.sessions()[0].kill()
    wait_until(lambda: "lost" in states, 5)
    assert re.fullmatch("the connection to .* has ended: .*closed by remote host.*", duct.status.last_error)
    assert not duct.is_connected()
    assert duct.listdir() is not None
    assert duct.port_forward(server.host, server.port) == port
    assert greeted(port)


def test_a_server_that_was_restarted_is_connected_to_again(files: Files) -> None:
    with SSHD(kinds=["ed25519"]) as server:
        duct = bastion(files, server).connect()
        server.stop(immediate=True)
        assert not duct.is_connected()
        with pytest.raises(DuctServerUnreachable, match="Connection refused"):
            duct.execute("true")
        server.start()
        assert duct.execute("echo on").stdout == b"on\n"
        duct.disconnect()


def test_a_check_says_the_truth_of_a_frozen_server_within_two_seconds(files: Files) -> None:
    with SSHD(kinds=["ed25519"]) as server:
        duct = bastion(files, server).connect()
        assert duct.is_connected()
        server.freeze()
        begun = time.monotonic()
        assert not duct.is_connected()
        assert time.monotonic() - begun < 2.3
        assert duct.status.state == "lost"
        server.thaw()
        assert duct.execute("echo on").stdout == b"on\n"
        duct.disconnect()


def test_a_cut_link_is_noticed_without_any_use_and_heals(files: Files) -> None:
    with Network("bastion") as network, network["bastion"].runs(SSHD(kinds=["ed25519"])) as server:
        duct = bastion(files, server, keepalive=1.0).connect()
        states: list[str] = []
        duct.status.observe(lambda change: states.append(change["new"]), names="state")
        network.cut("bastion")
        begun = time.monotonic()
        wait_until(lambda: "lost" in states, 10)
        assert 2 < time.monotonic() - begun < 6
        assert "not responding" in duct.status.last_error
        network.mend("bastion")
        assert duct.execute("echo on").stdout == b"on\n"
        duct.disconnect()


def test_a_cut_that_is_short_goes_unnoticed(files: Files) -> None:
    with Network("bastion") as network, network["bastion"].runs(SSHD(kinds=["ed25519"])) as server:
        duct = bastion(files, server).connect()
        pid = duct._control(1).pid()
        network.cut("bastion")
        time.sleep(1)
        network.mend("bastion")
        wait_until(duct.is_connected)
        assert duct._control(1).pid() == pid
        duct.disconnect()


def test_a_connection_that_has_gone_is_not_taken_for_a_file_that_is_missing(duct: OpenSSHClient) -> None:
    duct._control(1).end()
    wait_until(lambda: duct.status.state == "lost")
    with pytest.raises(ConnectionError):
        duct._exists("/")
    assert duct.exists("/")


def test_a_process_that_was_stopped_for_a_while_goes_on(server: SSHD, duct: OpenSSHClient) -> None:
    pid = duct._control(1).pid()
    os.kill(pid, signal.SIGSTOP)
    assert not duct.is_connected()
    os.kill(pid, signal.SIGCONT)
    assert duct.execute("echo on").stdout == b"on\n"


def test_checks_while_commands_begin_and_end_do_no_harm(server: SSHD, duct: OpenSSHClient) -> None:
    pid, is_over = duct._control(1).pid(), threading.Event()

    def check() -> int:
        count = 0
        while not is_over.is_set():
            duct._master.control().answers()  # type: ignore[union-attr]
            count += 1
        return count

    checkers = [Caller(check) for _ in range(2)]
    for _ in range(100):
        assert duct.execute("echo on").stdout == b"on\n"
    is_over.set()
    assert all(caller.ended().result for caller in checkers)
    assert duct._control(1).pid() == pid


def test_a_place_that_was_not_heard_of_in_time_does_no_harm_to_the_connection(files: Files) -> None:
    with SSHD(kinds=["ed25519"]) as server:
        duct = bastion(files, server).connect()
        pid = duct._control(1).pid()
        server.freeze()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                duct._control(0.2).reach(server.host, server.port)
        server.thaw()
        for _ in range(3):
            assert duct.execute("echo on").stdout == b"on\n"
        assert duct._control(1).pid() == pid
        duct.disconnect()


def test_a_thousand_checks_leave_nothing_open(server: SSHD, duct: OpenSSHClient) -> None:
    assert duct._is_connected()
    begun = time.monotonic()
    with nothing_is_left():
        for _ in range(1000):
            assert duct._is_connected()
    assert time.monotonic() - begun < 5
    assert duct.execute("echo on").stdout == b"on\n"
