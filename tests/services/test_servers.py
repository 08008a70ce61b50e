"""The throwaway servers, and the proxy before them, do what tests rely on."""

from __future__ import annotations

import contextlib
import os
import signal
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
from tests.services.mariadb import MariaDB
from tests.services.ports import LOOPBACK, Port
from tests.services.postgresql import PostgreSQL
from tests.services.processes import Server
from tests.services.proxy import Proxy

PATIENCE = 20.0  # seconds
SLEEP = {PostgreSQL: "SELECT pg_sleep(60) /* {} */", MariaDB: "SELECT sleep(60) /* {} */"}
KINDS = [PostgreSQL, MariaDB]

# Starts both servers, says what it started, and is then killed or waits for its end.
PROGRAM = """
import sys
from tests.services.mariadb import MariaDB
from tests.services.postgresql import PostgreSQL
servers = [PostgreSQL(), MariaDB()]
for server in servers:
    server.start()
    server.freeze()
    print(server.pid, server.home, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as server:
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.host, server.port) as proxy:
        yield proxy


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


@contextlib.contextmanager
def asleep(server: Server, marker: str) -> Iterator[threading.Thread]:
    """Within this block the plain user runs a statement that takes a minute, if nothing ends it."""

    def run() -> None:
        with contextlib.suppress(Exception):
            login = server.user, server.password, server.database
            server.ask(SLEEP[type(server)].format(marker), *login)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until(lambda: server.running(marker))
    yield thread


def hear(connection: socket.socket, seconds: float) -> bytes | None:
    """What comes at a connection: b"" is its end, None is silence."""
    connection.settimeout(seconds)
    try:
        return connection.recv(65536)
    except TimeoutError:
        return None


def test_the_plain_user_logs_in_with_the_right_password_only(server: Server) -> None:
    assert server.ask("SELECT 1", server.user, server.password, server.database) == [(1,)]
    for user, password in [(server.user, "wrong"), (server.ADMIN, server.password), (server.user, "")]:
        with pytest.raises(Exception, match=r"(?i)password|access denied"):
            server.ask("SELECT 1", user, password, server.database)


def test_the_plain_user_has_rights_in_its_own_database_only(server: Server) -> None:
    login = server.user, server.password, server.database
    server.ask("CREATE TABLE mine (a INTEGER); DROP TABLE mine", *login)
    for sql in ("CREATE DATABASE other", f"CREATE USER {server.user}2"):
        with pytest.raises(Exception, match=r"(?i)denied"):
            server.ask(sql, *login)


def test_admin_gives_the_rows_of_the_last_statement(server: Server) -> None:
    assert server.admin("CREATE TABLE rows_of (a INTEGER); INSERT INTO rows_of VALUES (1)") == []
    assert server.admin("SELECT 0; SELECT a, a + 1 FROM rows_of") == [(1, 2)]
    with pytest.raises(Exception, match="nowhere"):
        server.admin("SELECT 0; SELECT * FROM nowhere")


@pytest.mark.parametrize("immediate", [False, True])
def test_it_stops_and_starts_at_the_same_port_with_its_data(server: Server, immediate: bool) -> None:
    server.admin("DROP TABLE IF EXISTS kept; CREATE TABLE kept (a INTEGER); INSERT INTO kept VALUES (7)")
    port, pid = server.port, server.pid
    with asleep(server, "until the stop") as thread:
        server.stop(immediate)
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not server.is_running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, port))
    server.start()
    assert server.port == port
    assert server.pid != pid
    assert server.admin("SELECT a FROM kept") == [(7,)]


def test_a_frozen_server_is_silent_until_it_thaws(server: Server) -> None:
    answers: list[object] = []
    server.freeze()
    try:
        asking = threading.Thread(target=lambda: answers.append(server.admin("SELECT 5")), daemon=True)
        asking.start()
        asking.join(0.3)
        assert answers == []
    finally:
        server.thaw()
    asking.join(PATIENCE)
    assert answers == [[(5,)]]


def test_a_frozen_server_can_be_stopped(server: Server) -> None:
    server.freeze()
    server.stop()
    server.start()


def test_freezing_holds_a_statement_that_runs_too(server: Server) -> None:
    with asleep(server, "held"):
        server.freeze()
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        still = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
        until(lambda: {process.status() for process in family} <= still)
        server.stop(immediate=True)
    server.start()


def test_running_and_connections_tell_what_runs_and_who_is_there(server: Server) -> None:
    until(lambda: server.connections(server.user) == 0)
    assert server.connections(server.ADMIN) == 0
    with asleep(server, "a marker"):
        assert server.running("a marker") == [SLEEP[type(server)].format("a marker")]
        assert server.running("another marker") == []
        assert server.connections(server.user) == 1
        server.stop()
    server.start()
    assert server.running("") == []  # nor the one that asks


def test_settings_hold_from_the_next_start(server: Server) -> None:
    server.stop()
    server.settings["max_connections"] = "33"
    server.start()
    try:
        show = "SHOW max_connections" if isinstance(server, PostgreSQL) else "SELECT @@max_connections"
        assert str(server.admin(show)[0][0]) == "33"
    finally:
        server.settings.clear()
        server.stop()
        server.start()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_does_not_come_up_says_why_and_leaves_nothing(kind: type[Server]) -> None:
    server = kind(nonsense="on")
    with pytest.raises(AssertionError, match=r"(?s)it ended.*nonsense"):
        server.start()
    assert not server.home.exists()


def test_a_server_that_is_not_installed_is_a_skip_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match=r"mariadbd is not installed .*mariadb-server"):
        MariaDB().start()
    with pytest.raises(pytest.skip.Exception, match=r"postgres is not installed .*postgresql"):
        PostgreSQL().start()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_servers_end_with_those_who_started_them_however_that_is(how: signal.Signals) -> None:
    for kind in KINDS:
        kind().find_programs()
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    started = [child.stdout.readline().split() for _ in KINDS]
    processes = [psutil.Process(int(pid)) for pid, _ in started]
    processes += [each for process in processes for each in process.children(recursive=True)]
    assert len(processes) > len(KINDS)
    os.kill(child.pid, how)
    child.communicate()
    until(lambda: not any(Path(folder).exists() for _, folder in started))
    assert [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


def test_the_proxy_passes_what_comes_and_counts(server: Server, proxy: Proxy) -> None:
    assert proxy.count == 0
    through = type(server)()
    through._port = proxy._port
    length = 5_000_000
    [(text,)] = through.ask(f"SELECT repeat('x', {length})", server.user, server.password, server.database)
    assert len(text) == length
    with socket.create_connection((LOOPBACK, proxy.port)):
        until(lambda: proxy.count == 1)
    until(lambda: proxy.count == 0)


def test_a_frozen_proxy_takes_connections_and_passes_nothing() -> None:
    with socket.create_server((LOOPBACK, 0)) as target, Proxy(*target.getsockname()) as proxy:
        with socket.create_connection((LOOPBACK, proxy.port)) as near:
            far, _ = target.accept()
            near.sendall(b"one")
            assert hear(far, PATIENCE) == b"one"
            proxy.freeze()
            near.sendall(b"two")
            far.sendall(b"three")
            assert hear(far, 0.1) is None
            assert hear(near, 0.1) is None
            with socket.create_connection((LOOPBACK, proxy.port)):
                until(lambda: proxy.count == 2)
            proxy.thaw()
            assert hear(far, PATIENCE) == b"two"
            assert hear(near, PATIENCE) == b"three"
            proxy.freeze()
        assert hear(far, 0.1) is None  # a half-open link: it does not see that the near end is gone
        proxy.thaw()
        assert hear(far, PATIENCE) == b""
        far.close()


@pytest.mark.parametrize("frozen", [False, True])
def test_the_proxy_cuts_connections_with_a_reset_or_an_end(frozen: bool) -> None:
    with socket.create_server((LOOPBACK, 0)) as target, Proxy(*target.getsockname()) as proxy:
        for reset in (True, False):
            with socket.create_connection((LOOPBACK, proxy.port)) as near, target.accept()[0] as far:
                if frozen:
                    proxy.freeze()
                    near.sendall(b"on its way")
                proxy.cut(reset)
                assert proxy.count == 0
                for end in (near, far):
                    if reset:
                        with pytest.raises(ConnectionResetError):
                            hear(end, PATIENCE)
                    else:
                        assert hear(end, PATIENCE) == b""
                proxy.thaw()


def test_the_proxy_refuses_and_accepts_again_at_the_same_port() -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as target,
        Proxy(*target.getsockname()) as proxy,
        socket.create_connection((LOOPBACK, proxy.port)) as near,
        target.accept()[0] as far,
    ):
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, proxy.port))
        near.sendall(b"still there")
        assert hear(far, PATIENCE) == b"still there"
        proxy.accept()
        with socket.create_connection((LOOPBACK, proxy.port)):
            until(lambda: proxy.count == 2)


def test_the_proxy_hangs_up_when_its_target_refuses() -> None:
    port = Port()
    with Proxy(LOOPBACK, port.number) as proxy:
        with socket.create_connection((LOOPBACK, proxy.port)) as near, contextlib.suppress(OSError):
            assert hear(near, PATIENCE) == b""
        until(lambda: proxy.count == 0)
    port.close()


def test_a_closed_proxy_leaves_no_thread_and_no_socket() -> None:
    with nothing_is_left(), socket.create_server((LOOPBACK, 0)) as target:
        proxy = Proxy(*target.getsockname())
        with socket.create_connection((LOOPBACK, proxy.port)):
            until(lambda: proxy.count == 1)
            proxy.close()
            proxy.close()
