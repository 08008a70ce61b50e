"""Connecting to a machine, through those on the way to it, and logging in at each."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omniduct.errors import DuctConfigError, DuctConnectionError, DuctServerUnreachable
from omniduct.remotes.ssh import hostkeys
from omniduct.remotes.ssh.asking import Asking
from omniduct.remotes.ssh.config import Place, place_of
from omniduct.remotes.ssh.logins import HungUp, log_in
from omniduct.remotes.ssh.lookups import Lookups
from omniduct.remotes.ssh.wires import Program, Wire

if TYPE_CHECKING:
    from paramiko import Transport

__all__ = ["Dial", "Line"]

_logger = logging.getLogger("omniduct.paramiko")
if _logger.level == logging.NOTSET:  # else somebody wants to see it
    _logger.setLevel(logging.CRITICAL)  # its errors are raised, too

# Forwards through paramiko are several times as fast with these as with its own (2 MiB and 32 KiB).
_WINDOW = 16 << 20  # bytes on the way before the other side has said that it has them
_PACKET = 256 << 10  # bytes
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
_UNANSWERED = 3  # questions in a row after which a machine is given up
_MOST_JUMPS = 16
_AGAIN = 3  # times that it is dialled again, if a machine hung up while the person was asked


@dataclass(frozen=True)
class Dial:
    """How machines are connected to.

    Attributes
    ----------
    asking : Asking
        Asks the person.
    checks : bool
        Whether the keys of machines have to be known.
    timeout : float
        Seconds that a machine has to answer.
    """

    asking: Asking
    checks: bool
    timeout: float

    def __call__(self, place: Place, address: tuple[str, int] | None = None) -> Line:
        """Connect to a machine, through those on the way, and log in at each.

        Parameters
        ----------
        address : tuple of str and int, optional
            Where it is reached, if that is not where it is.

        Raises
        ------
        DuctConnectionError
            With the machine that it failed at, and why.
        """
        for again in range(_AGAIN):
            asked = self.asking.count
            try:
                return self._line(place, address)
            except HungUp:  # machines give a person a minute or two; what was said is known by now
                if asked == self.asking.count or again == _AGAIN - 1:
                    raise
        raise AssertionError("the last one is raised")

    def _line(self, place: Place, address: tuple[str, int] | None) -> Line:
        way: list[Line] = []
        try:
            if address is None:  # else somebody has seen to the way
                for jump in _jumps(place):
                    way.append(self._through(way[-1] if way else None, jump))
            line = self._through(way[-1] if way else None, place, address)
        except BaseException:
            for each in reversed(way):
                each.close()
            raise
        line.way = way
        return line

    def _through(self, before: Line | None, place: Place, address: tuple[str, int] | None = None) -> Line:
        host, port = address or (place.host, place.port)
        inner: Any
        if before is not None:
            inner = before.channel_to(host, port, self.timeout, self.asking.name)
        elif place.command and address is None:
            inner = self._of_program(place)
        else:
            inner = self._plain(host, port)
        try:
            return self._logged_in(place, Wire(inner))
        except BaseException:
            with contextlib.suppress(Exception):
                inner.close()
            raise

    def _plain(self, host: str, port: int) -> socket.socket:
        name = self.asking.name
        try:
            plain = socket.create_connection((host, port), timeout=self.timeout)
        except TimeoutError:
            raise DuctServerUnreachable(
                f"{name}: nothing answers at {host}:{port} within {self.timeout:g} s"
            ) from None
        except (socket.gaierror, UnicodeError) as error:
            raise DuctServerUnreachable(f"{name}: the host {host!r} is unknown") from error
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise DuctServerUnreachable(f"{name}: nothing answers at {host}:{port}: {said}") from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain

    def _of_program(self, place: Place) -> Program:
        try:
            return Program(place.command)
        except OSError as error:
            raise DuctConnectionError(
                f"{self.asking.name}: the ProxyCommand of {place.alias} cannot be run: {error}"
            ) from error

    def _logged_in(self, place: Place, wire: Wire) -> Line:
        transport = self._spoken_to(place, wire)
        try:
            if self.checks:
                hostkeys.check(place, transport.get_remote_server_key(), self.asking)
            else:
                hostkeys.warn_unchecked(self.asking.name, place.host)
            log_in(transport, place, self.asking)
            return Line(place, transport, wire)
        except BaseException:
            transport.close()
            raise

    def _spoken_to(self, place: Place, wire: Wire) -> Transport:
        """A transport that has the machine's key, and has told it nothing yet."""
        import paramiko

        transport = paramiko.Transport(wire, default_window_size=_WINDOW, default_max_packet_size=_PACKET)
        transport.daemon = True
        transport.set_log_channel("omniduct.paramiko")
        transport.banner_timeout = 2 * self.timeout  # the other timeout comes first
        options = transport.get_security_options()
        options.ciphers = _first(_CIPHERS, options.ciphers)
        options.key_types = _first(_signatures(hostkeys.known_kinds(place)), options.key_types)
        try:
            transport.start_client(timeout=self.timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            said = wire.said() or str(error) or "it ended the connection"
            transport.close()
            what = "the ProxyCommand of" if place.command else "what answers at"
            raise DuctConnectionError(
                f"{self.asking.name}: {what} {place.host}:{place.port} does not speak SSH with us: {said}"
            ) from error
        if not transport.initial_kex_done:  # paramiko returns at its timeout, and says nothing of that
            transport.close()
            raise DuctServerUnreachable(
                f"{self.asking.name}: {place.host}:{place.port} was reached, and has said nothing within "
                f"{self.timeout:g} s"
            )
        return transport


class Line:
    """A connection on which somebody is logged in.

    Attributes
    ----------
    way : list of Line
        Those that it leads through, the first one first.
    """

    def __init__(self, place: Place, transport: Transport, wire: Wire) -> None:
        self.place = place
        self.transport = transport
        self.way: list[Line] = []
        self._wire = wire
        self._lookups = Lookups()
        self._sender: threading.Thread | None = None

    def channel_to(
        self, host: str, port: int, timeout: float, duct: str, origin: tuple[str, int] = ("127.0.0.1", 0)
    ) -> Any:
        """A connection from that machine to another.

        Parameters
        ----------
        origin : tuple of str and int
            Who asks for it, for the machine's log.

        Raises
        ------
        DuctServerUnreachable
            Nothing answers there.
        """
        import paramiko

        try:
            with self._lookups.of(host):
                return self.transport.open_channel("direct-tcpip", (host, port), origin, timeout=timeout)
        except (paramiko.SSHException, EOFError) as error:
            said = getattr(error, "text", "") or str(error) or "it ended the connection"
            raise DuctServerUnreachable(
                f"{duct}: nothing answers at {host}:{port}, seen from {self.place.host}: {said.lower()}"
            ) from error

    def fault(self, timeout: float) -> str:
        """Why the machine does not answer; nothing if it does."""
        asked, pause = time.monotonic(), 0.0005
        self._ask()
        while self._wire.heard <= asked:
            if not self.transport.is_active():
                return f"{self.place.host} has ended the connection"
            if time.monotonic() - asked > timeout:
                return f"{self.place.host} has not answered for {timeout:g} s"
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
        return ""

    def is_looking(self) -> bool:
        """Whether it may be silent because it looks for a name, and not because it cannot be reached."""
        return bool(self._lookups) and not (self.way[0] if self.way else self)._wire.is_stuck()

    def watch(self, every: float | None, lost: Callable[[str], object]) -> None:
        """Tell once when the connection has ended or the machine answers no more; not after `close`.

        Parameters
        ----------
        every : float, optional
            Seconds between two questions; after three in a row without an answer it is given up. Without it
            nothing is asked.
        lost : callable
            Told why.
        """

        def work() -> None:
            if reason := self._end(every):
                self.close()
                lost(reason)

        threading.Thread(target=work, name="omniduct watches a connection", daemon=True).start()

    def _end(self, every: float | None) -> str:
        """Wait for the end of the connection."""
        unanswered, asked = 0, 0.0
        while True:
            self.transport.join(every)  # the thread that carries it
            if every is None or not self.transport.is_active():
                return f"{self.place.host} has ended the connection"
            unanswered = unanswered + 1 if self._wire.heard < asked else 0
            if unanswered == _UNANSWERED:
                return f"{self.place.host} has not answered for {unanswered * every:g} s"
            asked = time.monotonic()
            self._ask()

    def _ask(self) -> None:
        """Ask the machine something that changes nothing; in a thread, as a dead link may hold it up."""
        if self._sender is None or not self._sender.is_alive():
            self._sender = threading.Thread(target=self._send, name="omniduct asks a machine", daemon=True)
            self._sender.start()

    def _send(self) -> None:
        import paramiko

        message = paramiko.Message()
        message.add_byte(paramiko.common.cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)  # it is to answer
        with contextlib.suppress(Exception):
            self.transport._send_user_message(message)

    def close(self) -> None:
        """End it, and those that it leads through."""
        for line in [self, *reversed(self.way)]:
            with contextlib.suppress(Exception):
                line.transport.close()

    def let_go(self) -> None:
        """In a forked child: close what was inherited, without a word to anybody."""
        for line in [*self.way, self]:
            line._wire.let_go()


def _jumps(place: Place, depth: int = 0) -> list[Place]:
    """The machines on the way, the nearest first: what leads to the first of them belongs to it."""
    jumps = [_jump(spec) for spec in place.jumps]
    if depth > _MOST_JUMPS:
        raise DuctConfigError(f"{place.alias}: its ProxyJump leads back to itself")
    return [*_jumps(jumps[0], depth + 1), *jumps] if jumps else []


def _jump(spec: str) -> Place:
    """A machine on the way, as in ``user@host:port``; it has its own part in the configuration."""
    user, _, rest = spec.removeprefix("ssh://").rpartition("@")
    host, _, port = rest.rpartition(":") if rest.count(":") == 1 else (rest, "", "")
    return place_of(host or rest, user or None, int(port) if port.isdigit() else None)


def _signatures(kinds: list[str]) -> list[str]:
    """The names of signatures that prove keys of these kinds."""
    rsa = ["rsa-sha2-512", "rsa-sha2-256"]
    return [name for kind in kinds for name in (rsa if kind == "ssh-rsa" else [kind])]


def _first(wanted: Any, offered: Any) -> list[str]:
    """What is offered, with the wanted ones first."""
    known = [each for each in wanted if each in offered]
    return known + [each for each in offered if each not in known]
