"""OpenSSHClient: a machine that is reached through OpenSSH's own program."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniduct.core import fields
from omniduct.core.endpoints import split
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConfigError,
    DuctConnectionError,
    DuctDriverMissing,
    DuctServerUnreachable,
    DuctTimeout,
)
from omniduct.remotes.forwarding import LOOPBACK
from omniduct.remotes.ssh.base import LOOKS_FOR, SSHRemote, in_background, is_over
from omniduct.remotes.ssh.hostkeys import warn_unchecked
from omniduct.remotes.ssh.lookups import Lookups
from omniduct.remotes.ssh.openssh import complaints
from omniduct.remotes.ssh.openssh.answers import Answers
from omniduct.remotes.ssh.openssh.commands import Command
from omniduct.remotes.ssh.openssh.master import Ended, Master
from omniduct.remotes.ssh.openssh.mux import Control, Passenger, Refused
from omniduct.remotes.ssh.openssh.settings import Settings

if TYPE_CHECKING:
    from omniduct.remotes.ssh.outcomes import Heard, Outcome
    from omniduct.remotes.ssh.sftp import Wire

__all__ = ["OpenSSHClient"]

_MISSED = 3  # keepalives without an answer, after which the connection is lost


class OpenSSHClient(SSHRemote):
    """A machine that is reached through OpenSSH's program `ssh`, with all that this can.

    That is smartcards, hardware keys and Kerberos, among others. It is the fastest way, too.

    The person's own configuration of OpenSSH holds, unless the duct says otherwise; but for forwards,
    ``RemoteCommand``, and a ``StrictHostKeyChecking`` that trusts everybody. Connecting raises what it does
    for `SSHClient`.

    `keepalive` is in whole seconds here.
    """

    PROTOCOLS = ["ssh_cli"]

    _master: Master | None = None
    _settings: Settings | None = None
    _lookups: Lookups | None = None
    _question: Future[None] | None = None

    # Connecting

    def _unreachable(self, timeout: float) -> str:
        """Leave to OpenSSH where the machine is: the host may be a name in its configuration."""
        return super()._unreachable(timeout) if self._remote is not None else ""

    def _connect(self) -> None:
        program = shutil.which("ssh")
        if program is None:
            raise DuctDriverMissing(
                f"{self.name}: ssh_cli needs OpenSSH's program ssh, which is not installed"
            )
        if self._host is None:
            raise DuctConfigError(f"{self.name}: it has no host to connect to")
        if not self.check_known_hosts:
            warn_unchecked(self.name, str(self._host))
        where = self._where(program)
        self._settings = settings = Settings(self.name, program, where)
        options = [*self._options(settings), *settings.faster(program)]
        answers = Answers(self, settings)
        master = Master([program, *options, *where], _losing(self))
        try:
            master.connect(answers)
        except Ended as ended:
            raise self._failure(ended, answers) from None
        self._master, self._lookups, self._question = master, Lookups(), None

    def _failure(self, ended: Ended, answers: Answers) -> DuctConnectionError:
        """Why it could not connect."""
        said = complaints.failure(self.name, self._place, ended.lines, ended.exit_code)
        if not isinstance(said, DuctAuthenticationError):
            return said
        answers.forget_last()
        return answers.failure or said

    @property
    def _place(self) -> str:
        return self._settings.place if self._settings else str(self._host)

    def _where(self, program: str) -> list[str]:
        """The machine, and what the duct itself says of it."""
        words = []
        user = self.username if fields.raw(self, "_username") is not None else None
        if user is not None:
            words += ["-l", user]
        if self._remote is not None:
            words += self._through_remote(program, words)
        elif (port := self._own_port()) is not None:
            words += ["-p", str(port)]
        return [*words, "--", str(self._host)]

    def _through_remote(self, program: str, user: list[str]) -> list[str]:
        """It is reached at a port of this machine, and its key is known under its own name all the same."""
        host, port = str(self._host), self._port
        alias = Settings(self.name, program, [*user, "--", host])["hostkeyalias"]
        name = alias or (host if port == self.DEFAULT_PORT else f"[{host}]:{port}")
        options = [f"HostName={LOOPBACK}", f"HostKeyAlias={name}", "ProxyCommand=none", "ProxyJump=none"]
        return ["-p", str(self.port), *(word for each in options for word in ("-o", each))]

    def _own_port(self) -> int | None:
        """The port, if the duct says one; else OpenSSH's configuration does."""
        hosts = self._originals.get("_host")
        written = [
            split(h)[1]
            for h in (hosts if isinstance(hosts, (list, tuple)) else [hosts])
            if isinstance(h, str)
        ]
        is_said = self._originals.get("_port") is not None or any(written)
        return self._port if is_said or self._port != self.DEFAULT_PORT else None  # type: ignore[return-value]

    def _options(self, settings: Settings) -> list[str]:
        options = [
            "BatchMode=no",
            "LogLevel=INFO",
            "RemoteCommand=none",
            "ClearAllForwardings=yes",
            f"ConnectTimeout={max(1, round(self.CONNECT_TIMEOUT))}",
            f"ServerAliveInterval={max(1, round(self.keepalive)) if self.keepalive else 0}",
            f"ServerAliveCountMax={_MISSED}",
        ]
        if not self.check_known_hosts:
            nowhere = [f"{whose}KnownHostsFile={os.devnull}" for whose in ("User", "Global")]
            options += ["StrictHostKeyChecking=no", "UpdateHostKeys=no", *nowhere]
        elif settings["stricthostkeychecking"] in ("no", "off", "false"):
            options.append("StrictHostKeyChecking=ask")
        if self._password is False:
            options.append("PasswordAuthentication=no")
        if self.smartcards:
            options.append(f"PKCS11Provider={self._smartcard()}")
        return [word for each in options for word in ("-o", each)]

    def _silence(self, timeout: float) -> str:
        if self._master is None:
            return "it is not connected"
        if self._question is None or self._question.done():  # else it may still be answered
            self._question = in_background(self._master.control().answers)
        if not is_over(self._question, timeout):
            return f"{self._place} has not answered for {timeout:g} s"
        error = self._question.exception()
        return str(error) if error else ""

    def _is_looking(self) -> bool:
        return bool(self._lookups)

    def _disconnect(self) -> None:
        master, self._master = self._master, None
        if master is not None:
            master.close()

    def _after_fork(self) -> None:
        master = self._master
        super()._after_fork()
        self._master = None
        if master is not None:
            master.forget()  # else it would outlive the parent

    def _note_end(self, master: Master, ended: Ended) -> None:
        """Note that a connection has ended by itself."""
        if master is self._master:  # else there is another one by now
            self._lose(complaints.ending(self._place, ended.lines))

    def _control(self, timeout: float) -> Control:
        assert self._master is not None
        return self._master.control(timeout)

    @contextlib.contextmanager
    def _asking(self, timeout: float) -> Iterator[Control]:
        """Ask something of the master; when it has gone, the next use is to check first."""
        try:
            yield self._control(timeout)
        except DuctTimeout:  # a command's own: the master has answered
            raise
        except TimeoutError:
            self._life.doubt()
            raise DuctConnectionError(
                f"{self.name}: {self._place} has not answered for {timeout:g} s"
            ) from None
        except (ConnectionError, DuctConnectionError):
            self._life.doubt()
            raise

    # Commands, forwards and files

    def _execute(  # type: ignore[override]  # what it takes is said in full
        self,
        cmd: str,
        skip_cwd: bool = False,
        timeout: float | None = None,
        heard: Heard | None = None,
    ) -> Outcome:
        assert self._settings is not None
        sent = self._settings.sent(dict(os.environ))
        with self._asking(self.CONNECT_TIMEOUT) as control:
            return Command(control, cmd, self.name, self._runs_in(skip_cwd), sent, heard).run(timeout)

    def _port_forward_start(self, local_port: int, remote_host: str, remote_port: int) -> None:
        try:
            with self._asking(self.CONNECT_TIMEOUT) as control:
                control.forward((LOOPBACK, local_port), (remote_host, remote_port))
        except Refused as error:
            raise DuctServerUnreachable(
                f"{self.name}: could not forward local port {local_port} to {remote_host}:{remote_port}: "
                f"{error}"
            ) from None

    def _port_forward_stop(
        self, local_port: int, remote_host: str, remote_port: int, connection: Any
    ) -> None:
        if self._master is not None:
            self._control(self.CHECK_TIMEOUT).cancel((LOOPBACK, local_port), (remote_host, remote_port))

    def _reaches(self, host: str, port: int) -> bool:
        assert self._lookups is not None
        try:
            with self._lookups.of(host), self._asking(LOOKS_FOR) as control:
                control.reach(host, port)
        except Refused:
            return False
        return True

    def _sftp_channel(self) -> Wire:
        ours, theirs = socket.socketpair()
        with theirs, open(os.devnull, "r+b") as nothing:
            files = [theirs.fileno(), theirs.fileno(), nothing.fileno()]
            try:
                with self._asking(self.CONNECT_TIMEOUT) as control:
                    return _Channel(ours, control.subsystem("sftp", files))
            except BaseException as error:
                ours.close()
                if isinstance(error, Refused):
                    raise ConnectionError(f"the machine gives no access to its files: {error}") from None
                raise

    # Smartcards

    def _smartcard(self) -> Path:
        """The library to log in with: OpenSSH takes one, which is the first that is there."""
        libraries = [Path(library).expanduser() for library in self.smartcards.values()]
        found = next((library for library in libraries if library.is_file()), None)
        if found is None:
            raise DuctConfigError(
                f"{self.name}: none of the libraries of its smartcards is there: "
                f"{', '.join(map(str, libraries))}"
            )
        return found


class _Channel:
    """One end of a session's input and output, which ends with the session."""

    def __init__(self, wire: socket.socket, passenger: Passenger) -> None:
        self._wire, self._passenger = wire, passenger
        self.sendall = wire.sendall

    def recv(self, size: int, /) -> bytes:
        """Receive that much, at once: the other side writes small pieces."""
        return self._wire.recv(size, socket.MSG_WAITALL)

    def close(self) -> None:
        """End both."""
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)  # wakes who receives
        self._wire.close()
        self._passenger.close()


def _losing(duct: OpenSSHClient) -> Callable[[Master, Ended], None]:
    """What tells a duct that its connection has ended; it does not keep the duct."""
    known = weakref.ref(duct)

    def lose(master: Master, ended: Ended) -> None:
        found = known()
        if found is not None:
            found._note_end(master, ended)

    return lose
