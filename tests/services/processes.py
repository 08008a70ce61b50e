"""What the throwaway services have in common."""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import psutil
import pytest
from tests.services.guard import Guard, have_ended, send, tree
from tests.services.ports import LOOPBACK, Port

Own = TypeVar("Own", bound="Service")


def program(*names: str, package: str) -> str:
    """Where a program is, by the first of its names that is found; a test without it is skipped."""
    folders = [
        *os.get_exec_path(),
        *sorted(glob.glob("/usr/lib/postgresql/*/bin"))[::-1],
        *sorted(glob.glob("/usr/lib/firebird/*/bin"))[::-1],
        "/usr/sbin",
        "/usr/local/sbin",
    ]
    for name in names:
        if found := shutil.which(name, path=os.pathsep.join(folders)):
            return found
    pytest.skip(f"{names[0]} is not installed (Debian: sudo apt-get install {package})")


class Service(ABC):
    """A service of this test run alone, on loopback; a context manager.

    Another process that is given it, as a pickle, can use it and not start or stop it.

    Attributes
    ----------
    host, port
        Where it listens, from the first start to the end.
    network : str
        The network namespace that it runs in, as a path; none is the machine's own. `networks.Host` sets it.
    run_pid : int, optional
        The process with which it ends, if that is not this one.
    """

    PROTOCOL: str
    STOP: signal.Signals  # ends it in good order, whoever is connected
    END = signal.SIGQUIT  # ends it when its data is removed anyway
    PATIENCE = 30.0  # seconds, for a start and for an end
    PAUSE = 0.02  # seconds, between two probes of one that starts
    UNPRIVILEGED = True  # root does not run it, but nobody
    STOPS_ITS_OWN = True  # told to stop, it also ends what it started

    def __init__(self) -> None:
        self.host = LOOPBACK
        self.network = ""
        self.run_pid: int | None = None
        self._folder = Path()
        self._port: Port | None = None
        self._guard: Guard | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_guard": None, "_process": None}

    def __enter__(self: Own) -> Own:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port, the same after a stop and a start."""
        assert self._port is not None, "it was never started"
        return self._port.number

    @property
    def pid(self) -> int:
        """The process id of the service, of the first of its processes."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, with the data it had; return when it answers."""
        assert not self.is_running, "it runs already"
        self.find_programs()
        is_new = self._guard is None
        if is_new:
            self._make_folder()
        try:
            if is_new:
                self.make_data()
            self._process = self._launch(self.command())
            self._await_answer()
            if is_new:
                self.make_users()
        except BaseException:
            self.close()
            raise

    def stop(self, immediate: bool = False) -> None:
        """Stop it. `immediate` is a crash: nobody is told, connections just break."""
        if immediate:
            self.freeze()  # so that it starts nothing meanwhile
        else:
            self.thaw()
        processes = self.processes()
        told = processes if immediate or not self.STOPS_ITS_OWN else processes[:1]
        send(told, signal.SIGKILL if immediate else self.STOP)
        assert have_ended(processes, self.PATIENCE), f"it did not stop:\n{self.log()}"
        self._reap()

    def freeze(self) -> None:
        """Let all its processes stand still: connections stay, and get no answer."""
        os.kill(self.pid, signal.SIGSTOP)  # first, as it then starts no more of them
        send(self.processes(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; no matter if it was not frozen."""
        send(self.processes(), signal.SIGCONT)

    def processes(self) -> list[psutil.Process]:
        """It, and all that it started."""
        return tree(self.pid)

    def close(self) -> None:
        """End it, and remove its data."""
        guard, self._guard = self._guard, None
        port, self._port = self._port, None
        if guard is not None and port is not None:
            guard.close()
            port.close()
        self._reap()

    def log(self) -> str:
        """The last lines that it printed."""
        lines = self._log_file.read_text(errors="replace").splitlines() if self._log_file.exists() else []
        return "\n".join(lines[-60:])

    @abstractmethod
    def find_programs(self) -> None:
        """Find the programs it needs, or skip the test."""

    @abstractmethod
    def make_data(self) -> None:
        """Make the data folder, with the admin in it."""

    @abstractmethod
    def make_users(self) -> None:
        """Make the users, or whatever can only be made in a service that runs."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command that runs it."""

    @abstractmethod
    def probe(self) -> None:
        """Ask it something: an error says that it is not ready."""

    def environment(self) -> dict[str, str]:
        """Variables that its programs need."""
        return {}

    @property
    def home(self) -> Path:
        """The folder for all it keeps, removed at the end."""
        return self._folder

    def run(self, *command: str | Path) -> None:
        """Run a program to its end as the user that the service has."""
        process = self._launch([str(word) for word in command])
        assert process.wait(self.PATIENCE) == 0, f"{command[0]} failed:\n{self.log()}"

    @property
    def _log_file(self) -> Path:
        return self._folder / "log"

    def _make_folder(self) -> None:
        folder = tempfile.mkdtemp(prefix=f"omniduct-{self.PROTOCOL}-")
        self._folder = Path(folder).resolve()
        self._guard = Guard(str(self._folder), self.run_pid)
        self._port = Port()
        if self._is_lowered:
            shutil.chown(self._folder, *_unprivileged())

    @property
    def _is_lowered(self) -> bool:
        return self.UNPRIVILEGED and os.geteuid() == 0

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a process that ends with us, in the folder; some refuse to be run by root."""
        assert self._guard is not None
        # In a shared folder for temporary files, one MariaDB that starts removes those of another.
        home = str(self._folder)
        own = self.environment()
        user, group = _unprivileged() if self._is_lowered else (None, None)
        if self.network:
            command = self._in_network(command, user, group)
            user = group = None
        with self._log_file.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": home, "TMPDIR": home, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        try:
            self._guard.watch(process.pid, self.END)
        except BrokenPipeError:  # the run has ended meanwhile
            process.kill()
            raise
        return process

    def _in_network(self, command: list[str], user: int | None, group: int | None) -> list[str]:
        """The command in the namespace, which only root may enter."""
        lowered = [] if user is None else [f"--setuid={user}", f"--setgid={group}"]
        return ["nsenter", f"--net={self.network}", *lowered, "--", *command]

    def _await_answer(self) -> None:
        deadline = time.monotonic() + self.PATIENCE
        while True:
            try:
                self.probe()
            except Exception as error:
                late = time.monotonic() > deadline
                if late or not self.is_running:
                    why = f"no answer within {self.PATIENCE:g} s" if late else "it ended"
                    raise AssertionError(f"{self.PROTOCOL}: {why} ({error}):\n{self.log()}") from error
                time.sleep(self.PAUSE)
            else:
                return

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait(self.PATIENCE)


class Server(Service):
    """A database server of this test run alone.

    Parameters
    ----------
    **settings
        The server's own settings, beside the usual ones. They can be changed later in `settings`, and hold
        from the next `start`.

    Attributes
    ----------
    user, password, database
        A plain user, and the database in which that user may do everything.
    ADMIN, admin_password
        A user who may do everything.
    settings : dict
        What was given.
    """

    ADMIN = "admin"
    ALIVE = "SELECT 1"  # a query that it answers when it is ready
    RUNNING: str  # a query of the statements that run, without the one that asks
    USERS: str  # a query of the users of the connections, likewise

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self.user, self.password = "alice", secrets.token_hex(8)
        self.admin_password = secrets.token_hex(8)
        self.database = "shop"
        self.settings = dict(settings)

    @property
    def login(self) -> dict[str, Any]:
        """What a duct of the plain user is made with."""
        return {
            "host": self.host,
            "port": self.port,
            "username": self.user,
            "password": self.password,
            "database": self.database,
        }

    def probe(self) -> None:
        self.ask(self.ALIVE, self.ADMIN, self.admin_password, "")

    def admin(self, sql: str) -> list[tuple[Any, ...]]:
        """Run statements as the admin over a connection of its own; the rows of the last one."""
        return self.ask(sql, self.ADMIN, self.admin_password, self.database)

    def running(self, marker: str) -> list[str]:
        """The statements with that text in them that run now."""
        return [text for (text,) in self.admin(self.RUNNING) if text and marker in text]

    def connections(self, user: str) -> int:
        """How many connections a user has, without the one that asks."""
        return sum(name == user for (name,) in self.admin(self.USERS))

    @abstractmethod
    def make_users(self) -> None:
        """Make the plain user and the database, in a server that runs."""

    @abstractmethod
    def ask(self, sql: str, user: str, password: str, database: str) -> list[tuple[Any, ...]]:
        """Run statements over a connection of its own; the rows of the last one."""


def _unprivileged() -> tuple[int, int]:
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
