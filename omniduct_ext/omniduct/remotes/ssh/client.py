"""SSHClient: a machine that is reached by SSH, through which others are reached."""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING, Any

from omniduct.errors import DuctConfigError, DuctConnectionError, DuctDriverMissing, DuctServerUnreachable
from omniduct.remotes.ssh.base import LOOKS_FOR, SSHRemote
from omniduct.remotes.ssh.config import Place, place_of

if TYPE_CHECKING:
    from omniduct.remotes.ssh.outcomes import Heard, Outcome
    from omniduct.remotes.ssh.transport import Line

__all__ = ["SSHClient"]


class SSHClient(SSHRemote):
    """A machine that is reached by SSH: it forwards ports, runs commands, and has files.

    What ``~/.ssh/config`` says of the host holds, unless the duct says otherwise: HostName, User, Port,
    IdentityFile, IdentitiesOnly, ProxyJump, ProxyCommand, HostKeyAlias, UserKnownHostsFile,
    GlobalKnownHostsFile, HashKnownHosts; Include and Match, too.

    It logs in by keys, the agent, passwords and one-time codes; for smartcards, hardware keys and Kerberos
    there is `OpenSSHClient`. Connecting raises `DuctAuthenticationError` when the login is refused,
    `DuctPromptUnavailable` when nobody can be asked, `DuctServerUnreachable` when nothing answers, and else a
    `DuctConnectionError`.
    """

    PROTOCOLS = ["ssh", "ssh_paramiko"]
    ASKED_FIRST = ("username",)  # a password only if the machine takes one, and no key serves

    _line: Line | None = None
    _place: Place | None = None
    _places: dict[tuple[str, int | None], Place]

    # Where it is

    def _prepare(self) -> None:
        """Find out where the host really is, and as whom to log in there."""
        if isinstance(self._host, str) and "@" in self._host:
            user, _, self._host = self._host.rpartition("@")
            self._username = user if self._username is None else self._username
        self._places = {}
        super()._prepare()
        if self._host is None:
            return
        place = self._found(str(self._host))
        self._place = place if self._port == place.port else self._found(str(self._host), self._port)
        self._host, self._port = self._place.host, self._place.port
        if self._username is None:
            self._username = self._place.user

    def _usual_port(self, host: str | None) -> int | None:
        return super()._usual_port(host) if host is None else self._found(host).port

    def _real_host(self, host: str) -> str:
        return self._found(host).host

    def _found(self, host: str, port: Any = None) -> Place:
        """What the configuration says of a host; one preparation reads it once, as it may run commands."""
        user = self._username if isinstance(self._username, str) else None
        if (host, port) not in self._places:
            try:
                self._places[host, port] = place_of(host, user, port)
            except ImportError as error:
                raise self._driver_missing() from error
        return self._places[host, port]

    def _driver_missing(self) -> DuctDriverMissing:
        return DuctDriverMissing(f"{self.name}: ssh needs the package sshtunnel: pip install sshtunnel")

    # Connecting

    def _unreachable(self, timeout: float) -> str:
        """Nothing: whoever connects, or checks, finds out by itself, and along the whole way."""
        return ""

    def _connect(self) -> None:
        from omniduct.remotes.ssh.asking import Asking

        try:
            from omniduct.remotes.ssh.transport import Dial
        except ImportError as error:
            raise self._driver_missing() from error

        if self.smartcards:
            raise DuctConfigError(f"{self.name}: smartcards are for the protocol ssh_cli: take that instead")
        if self._place is None:
            raise DuctConfigError(f"{self.name}: it has no host; give it one: host='bastion.example.com'")
        place = dataclasses.replace(self._place, user=self.username or self._place.user)
        dial = Dial(Asking(self, place), self.check_known_hosts, self.CONNECT_TIMEOUT)
        line = dial(place, (str(self.host), int(self.port)) if self._remote is not None else None)
        self._line = line
        own = weakref.ref(self)  # the thread that watches must not keep it alive

        def lost(reason: str) -> None:
            duct = own()
            if duct is not None and duct._line is line:
                duct._lose(reason)

        line.watch(self.keepalive or None, lost)

    def _silence(self, timeout: float) -> str:
        return "it is not connected" if self._line is None else self._line.fault(timeout)

    def _is_looking(self) -> bool:
        return self._line is not None and self._line.is_looking()

    def _disconnect(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _after_fork(self) -> None:
        for forward in self._forwards:
            forward.connection.let_go()
        if self._line is not None:
            self._line.let_go()
        super()._after_fork()

    # Files, commands and forwards

    def _sftp_channel(self) -> Any:
        import paramiko

        assert self._line is not None
        try:
            channel = self._line.transport.open_session(timeout=self.CONNECT_TIMEOUT)
            channel.invoke_subsystem("sftp")
        except (paramiko.SSHException, EOFError) as error:
            raise DuctConnectionError(f"{self.name}: the machine shows no files: {error}") from error
        return channel

    def _execute(  # type: ignore[override]  # what it takes is said in full
        self,
        cmd: str,
        skip_cwd: bool = False,
        timeout: float | None = None,
        heard: Heard | None = None,
    ) -> Outcome:
        from omniduct.remotes.ssh.commands import run

        assert self._line is not None
        return run(self._line.transport, cmd, self.name, self._runs_in(skip_cwd), timeout, heard)

    def _port_forward_start(self, local_port: int, remote_host: str, remote_port: int) -> Any:
        from omniduct.remotes.ssh.tunnels import tunnel

        assert self._line is not None
        return tunnel(self._line, local_port, remote_host, remote_port)

    def _port_forward_stop(
        self, local_port: int, remote_host: str, remote_port: int, connection: Any
    ) -> None:
        connection.stop()

    def _reaches(self, host: str, port: int) -> bool:
        assert self._line is not None
        try:
            self._line.channel_to(host, port, LOOKS_FOR, self.name).close()
        except DuctServerUnreachable:
            return False
        return True
