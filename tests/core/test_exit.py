"""The end of a process, of a forked child's inheritance, and of a duct that nobody holds any more."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.tcp import PATIENCE, Line, Relay, Service, TcpDuct, answers, until, unused_port, wait

from omniduct.core import cleanup
from omniduct.errors import DuctServerUnreachable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def bastion() -> Iterator[Service]:
    with Service() as running:
        yield running


SETTING = """
import gc, sys
from tests.services.tcp import Relay, Service, TcpDuct

class Said:
    def _disconnect(self):
        super()._disconnect()
        print(self.name, flush=True)

class Duct(Said, TcpDuct): ...
class Remote(Said, Relay): ...

host, port, bastion = "127.0.0.1", int(sys.argv[1]), int(sys.argv[2])
near = Remote(name="near", host=host, port=bastion)
far = Remote(name="far", host=host, port=bastion, remote=near)
direct = Duct(name="direct", host=host, port=port).connect()
remote = Duct(name="through near", host=host, port=port, remote=near).connect()
remoter = Duct(name="through far", host=host, port=port, remote=far).connect()
"""


def script(service: Service, bastion: Service, source: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program that has ducts to the service, and two remotes."""
    program = SETTING + textwrap.dedent(source)
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-c", program, str(service.port), str(bastion.port)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
    )


ENDINGS = {
    "its last line": ("", 0),
    "an exception": ("raise SystemError('oh no')", 1),
    "sys.exit": ("sys.exit(3)", 3),
    "an interrupt": ("raise KeyboardInterrupt", -signal.SIGINT),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_everything_disconnects_when_a_script_ends_and_remotes_last(
    service: Service, bastion: Service, ending: str
) -> None:
    source, code = ENDINGS[ending]
    done = script(service, bastion, source)
    assert done.returncode == code, done.stderr
    order = done.stdout.splitlines()
    assert sorted(order) == ["direct", "far", "near", "through far", "through near"]
    assert order.index("through far") < order.index("far") < order.index("near")
    assert order.index("through near") < order.index("near")
    assert order[-1] == "near"
    assert service.byes == 3
    until(lambda: not service.open and not bastion.open)
    assert "omniduct" not in done.stderr


def test_what_fails_at_exit_keeps_nothing_else_from_disconnecting(service: Service, bastion: Service) -> None:
    done = script(
        service,
        bastion,
        """
        def fail():
            raise RuntimeError("not now")

        remoter._disconnect = fail
        direct._before_disconnect = fail
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("near\n")
    assert sorted(done.stdout.splitlines()) == ["direct", "far", "near", "through near"]


def test_a_service_that_never_answers_the_goodbye_holds_up_neither_the_others_nor_the_end(
    service: Service, bastion: Service
) -> None:
    if (3, 12) <= sys.version_info < (3, 12, 2):
        return  # these start no thread when they are about to end
    done = script(
        service,
        bastion,
        """
        import threading
        from omniduct.core import cleanup

        cleanup.PATIENCE = 0.1
        remoter._disconnect = direct._disconnect = threading.Event().wait
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["through near", "far", "near"]


def test_collecting_a_duct_waits_only_a_moment_for_the_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(TcpDuct):
        def _disconnect(self) -> None:
            wait(gate)
            super()._disconnect()

    gate = threading.Event()
    monkeypatch.setattr(cleanup, "PATIENCE", 0.05)
    duct: Any = Slow(host=service.host, port=service.port).connect()
    del duct
    gc.collect()
    assert service.sessions == 1
    gate.set()
    until(lambda: service.byes == 1)


def test_a_duct_without_a_host_is_collected_in_the_thread_that_dropped_it() -> None:
    threads: list[threading.Thread] = []

    class Local(TcpDuct):
        def _connect(self) -> None: ...

        def _disconnect(self) -> None:
            threads.append(threading.current_thread())

    duct: Any = Local().connect()
    del duct
    gc.collect()
    assert threads == [threading.current_thread()]


def test_a_duct_that_nobody_holds_disconnects_and_gives_its_forward_back(
    service: Service, bastion: Service
) -> None:
    remote = Relay(name="bastion", host=bastion.host, port=bastion.port)
    connected: Any = TcpDuct(host=service.host, port=service.port, remote=remote).connect()
    prepared: Any = TcpDuct(host=service.host, port=bastion.port, remote=remote)
    ports = [connected.port, prepared.port]
    assert len(remote.show_port_forwards()) == 2
    del connected, prepared
    gc.collect()
    assert (service.sessions, service.byes) == (0, 1)
    assert len(remote.show_port_forwards()) == 0
    assert [answers(port) for port in ports] == [False, False]


def test_a_remote_that_nobody_holds_ends_its_forwards(service: Service, bastion: Service) -> None:
    remote: Any = Relay(name="bastion", host=bastion.host, port=bastion.port)
    port = remote.port_forward(service.host, service.port)
    assert answers(port)
    gone = weakref.ref(remote)
    del remote
    gc.collect()
    assert gone() is None
    assert not answers(port)
    assert bastion.sessions == 0


def test_a_duct_in_a_circle_of_references_is_disconnected_by_the_collector(service: Service) -> None:
    duct: Any = TcpDuct(host=service.host, port=service.port).connect()
    duct.circle = duct
    del duct
    assert service.sessions == 1
    gc.collect()
    assert service.sessions == 0


def test_a_duct_whose_constructor_fails_is_collected_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Picky(TcpDuct):
        def _init(self, size: int) -> None:
            raise ValueError("no size fits")

    with pytest.raises(ValueError, match="no size fits"):
        Picky(size=1)
    with pytest.raises(TypeError, match="needs the argument 'size'"):
        Picky()
    gc.collect()
    assert capfd.readouterr().err == ""


class LastWords:
    """A driver's object that says goodbye to the service when it is destroyed, as some do."""

    def __init__(self, line: Line | None) -> None:
        self._line = line

    def __del__(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # when it is closed already
            if self._line is not None:
                self._line.ask("bye")


class WithDriver(TcpDuct):
    refused = False

    def _connect(self) -> None:
        if self.refused:
            raise ConnectionRefusedError("not you")
        super()._connect()
        self.driver = LastWords(self.line)

    def _disconnect(self) -> None:
        super()._disconnect()
        self.driver = None


def child_of_os_fork(task: Callable[[], object]) -> int:
    """Run a task in a forked child that ends as a program does, with all that belongs to it."""
    import atexit

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            task()
            code = 0
        finally:
            atexit._run_exitfuncs()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def child_of_multiprocessing(task: Callable[[], object]) -> int:
    process = multiprocessing.get_context("fork").Process(target=task)
    process.start()
    process.join(PATIENCE)
    return process.exitcode if process.exitcode is not None else -1


forked = pytest.mark.parametrize("child", [child_of_os_fork, child_of_multiprocessing])
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@forked
def test_a_forked_child_neither_uses_nor_closes_what_its_parent_connected(
    service: Service, bastion: Service, child: Callable[[Callable[[], object]], int]
) -> None:
    remote = Relay(name="bastion", host=bastion.host, port=bastion.port)
    duct = WithDriver(host=service.host, port=service.port, remote=remote).connect()
    direct = WithDriver(host=service.host, port=service.port, username="ada").connect()
    port = duct.port

    def task() -> None:
        for each in (remote, duct, direct):
            assert each.status.state == "disconnected"
            assert not each.is_connected()
            each.disconnect()
        direct.refused = True
        with pytest.raises(DuctServerUnreachable, match="not you"):
            direct.connect()
        direct.refused = False
        assert direct.ask("mine") == "mine"  # on a connection of its own
        direct.disconnect()
        duct.port = unused_port()
        with pytest.raises(DuctServerUnreachable):
            duct.connect()
        remote.disconnect()

    assert child(task) == 0
    assert (service.byes, bastion.byes) == (1, 1)  # to connections of the child's own
    assert (service.sessions, bastion.sessions) == (2, 1)
    assert duct.ask("still mine") == "still mine"
    assert duct.port == port
    assert direct.ask("still mine") == "still mine"
    assert [each.status.state for each in (remote, duct, direct)] == ["connected"] * 3
    assert len(service.logins) == 3
    direct.disconnect()
    duct.disconnect()


def test_a_forked_program_that_ends_by_itself_leaves_the_parents_connections_alone(
    service: Service, bastion: Service
) -> None:
    """Its modules are cleared at the end, and all its objects destroyed."""
    done = script(
        service,
        bastion,
        """
        import os
        from tests.core.test_exit import WithDriver

        duct = WithDriver(name="driver", host=host, port=port).connect()
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert all(each.is_connected() for each in (duct, near, far, direct, remote, remoter))
        assert duct.ask("still mine") == "still mine"
        print("alive", flush=True)  # _exit flushes nothing
        os._exit(0)
        """,
    )
    assert done.stdout == "alive\n", done.stderr
    assert (service.byes, bastion.byes) == (0, 0)
