"""RemoteClient: what every remote can do, and the bookkeeping of its forwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from omniduct.core import failures
from omniduct.core.endpoints import port_number, split
from omniduct.core.lifecycle import LOST
from omniduct.duct import Duct
from omniduct.errors import DuctConfigError, DuctConnectionError, DuctError, DuctServerUnreachable
from omniduct.filesystems.base import FileSystemClient
from omniduct.remotes.forwarding import LOOPBACK, Forward, Forwards
from omniduct.remotes.magics import RemoteMagics

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

__all__ = ["RemoteClient"]


class RemoteClient(RemoteMagics, FileSystemClient):
    """A machine through which services are reached; it runs commands, and has files.

    A subclass supplies the hooks of `Duct`, ``_execute``, ``_port_forward_start``,
    ``_port_forward_stop``, ``_is_port_bound``, and the hooks of `FileSystemClient`.

    Parameters
    ----------
    smartcards : dict, optional
        Name to PKCS#11 library, for protocols that log in with one, as ``ssh_cli`` does.
    **kwargs
        The arguments of `FileSystemClient` and `Duct`.
    """

    DUCT_TYPE = Duct.Type.REMOTE
    DEFAULT_PORT = 22

    IS_HEARD: ClassVar[bool] = False
    """Whether ``_execute`` takes `heard`: a callable, told while the command runs what it prints.

    It gets "stdout" or "stderr", and the bytes, in the thread that called ``_execute``.
    """

    def __init__(self, smartcards: dict[str, str] | None = None, **kwargs: Any) -> None:
        self.smartcards = dict(smartcards or {})
        self._forwards = Forwards()
        super().__init__(**kwargs)

    def _arguments_now(self) -> dict[str, Any]:
        return {**super()._arguments_now(), "smartcards": dict(self.smartcards)}

    # Commands

    def execute(self, cmd: str, skip_cwd: bool = False, **kwargs: Any) -> Any:
        """Run a command there.

        Parameters
        ----------
        cmd : str
            For the login shell.
        skip_cwd : bool
            Whether to run it in the home folder, rather than in `path_cwd`.
        **kwargs
            What the protocol takes besides: `timeout`, in seconds, for those of SSH.

        Returns
        -------
        object
            With `returncode` (int; -1 if a signal ended it), `stdout` and `stderr` (bytes).

        Raises
        ------
        DuctTimeout
            It took longer than `timeout`, and was ended there.
        DuctConnectionError
            It could not be run, or the connection was lost meanwhile; it is not run again.
        """
        self.connect()
        self._life.begin_statement()
        try:
            return self._execute(cmd, skip_cwd=skip_cwd, **kwargs)
        except DuctConnectionError:
            self._life.doubt()
            raise
        except DuctError:
            raise
        except Exception as error:
            self._life.doubt()
            said = failures.redact(self, str(error) or type(error).__name__)
            failure = DuctConnectionError(f"{self.name}: the command could not be run: {said}")
            failure.__cause__ = failures.cause(self, error)
        finally:
            self._life.end_statement()
        raise failure  # not from within `except`, where Python would chain the driver's frames to it

    # Forwards

    def port_forward(
        self, remote_host: str, remote_port: int | None = None, local_port: int | None = None
    ) -> int:
        """Forward a local port to a host and port that are seen from there.

        Parameters
        ----------
        remote_host : str
            "host" or "host:port".
        remote_port : int, optional
            The port, unless it is written with the host.
        local_port : int, optional
            The local port; by default one that is free, and the same for the same target each time.

        Returns
        -------
        int
            The local port, on 127.0.0.1. A target that is forwarded already keeps its port.

        Raises
        ------
        DuctServerUnreachable
            Nothing answers at the target, seen from there.
        DuctConfigError
            There is no port, or the target is forwarded from another local port already.
        DuctConnectionError
            Something listens on `local_port` already.
        """
        host, port = self._target(remote_host, remote_port)
        return self._forwarded(host, port, local_port, user=None)

    def port_forward_for(self, duct: Duct, host: str, port: int) -> int:
        """The local port of a duct's own forward; started if need be, until the duct gives it back."""
        return self._forwarded(host, port, None, user=duct)

    def _forwarded(self, host: str, port: int, local_port: int | None, user: Duct | None) -> int:
        self.connect()
        with self._forwards.turn(host, port):
            found = self._forwards.find(host, port)
            if found and local_port not in (None, found[0].local_port):
                raise DuctConfigError(
                    f"{self.name}: {host}:{port} is forwarded from local port {found[0].local_port} already, "
                    f"not {local_port}; stop that forward first"
                )
            forward = found[0] if found else self._start(host, port, local_port)
            forward.use(user)
            return forward.local_port

    def _start(self, host: str, port: int, local_port: int | None) -> Forward:
        local = local_port or self._forwards.port_for(host, port)
        try:
            if not self._is_port_bound(host, port):
                raise DuctServerUnreachable(f"{self.name}: nothing answers at {host}:{port}, seen from there")
            connection = self._port_forward_start(local, host, port)
        except DuctError:
            raise
        except Exception as error:
            said = failures.redact(self, str(error) or type(error).__name__)
            raise DuctConnectionError(
                f"{self.name}: could not forward local port {local} to {host}:{port}: {said}"
            ) from failures.cause(self, error)
        return self._forwards.add(Forward(local, host, port, connection))

    def port_forward_release(self, duct: Duct) -> None:
        """Take a duct's forward back; it ends when nobody else uses it."""
        for forward in self._forwards:
            with self._forwards.turn(forward.remote_host, forward.remote_port):
                if forward.drop_user(duct) and not forward.is_wanted:
                    self._stop(forward)

    def has_port_forward(
        self, remote_host: str | None = None, remote_port: int | None = None, local_port: int | None = None
    ) -> bool:
        """Whether there is a forward that fits."""
        if remote_host is not None:
            remote_host, remote_port = self._target(remote_host, remote_port, required=False)
        return bool(self._forwards.find(remote_host, remote_port, local_port))

    def port_forward_stop(
        self, local_port: int | None = None, remote_host: str | None = None, remote_port: int | None = None
    ) -> None:
        """Stop the forwards that fit, whoever uses them.

        Raises
        ------
        DuctConfigError
            There is none.
        """
        if remote_host is not None:
            remote_host, remote_port = self._target(remote_host, remote_port, required=False)
        found = self._forwards.find(remote_host, remote_port, local_port)
        self._stop_all(found)
        if not self._forwards.give_up(remote_host, remote_port, local_port) and not found:
            there_are = ", ".join(map(str, self._forwards)) or "none"
            raise DuctConfigError(f"{self.name}: there is no such forward; there are {there_are}")
        self._lose_users(found)

    def port_forward_stopall(self) -> None:
        """Stop every forward; none comes back."""
        self._forwards.interrupted.clear()
        self._stop_every()

    def _stop_every(self) -> None:
        stopped = list(self._forwards)
        self._stop_all(stopped)
        self._lose_users(stopped)

    def _lose_users(self, stopped: list[Forward], reason: str = "") -> None:
        """What was reached through these forwards is lost; not in their turn, as observers hear of it."""
        for forward in stopped:
            forward.lose_users(reason or f"the forward through {self.name!r} has ended")

    def _lose(self, reason: str) -> None:
        """Note that the machine is gone, and all that is reached through it; nothing listens any more."""
        forwards = list(self._forwards)  # before anybody hears of it, and connects anew
        self._forwards.interrupted += [forward for forward in forwards if forward.asked_for]
        self._life.lose(reason)
        self._lose_users(forwards, f"{self.name!r} is lost: {reason}")
        self._stop_all(forwards)

    def _stop_all(self, forwards: list[Forward]) -> None:
        for forward in forwards:
            with self._forwards.turn(forward.remote_host, forward.remote_port):
                self._stop(forward)

    def _stop(self, forward: Forward) -> None:
        if not self._forwards.drop(forward):
            return
        try:
            self._port_forward_stop(
                forward.local_port, forward.remote_host, forward.remote_port, forward.connection
            )
        except Exception as error:  # it has ended with the connection, most likely
            failures.log(self, f"stopping the forward from {forward}", error)

    def show_port_forwards(self) -> pd.DataFrame:
        """The forwards: a row each, with local port, remote host and remote port."""
        import pandas as pd

        rows = [(f.local_port, f.remote_host, f.remote_port) for f in self._forwards]
        return pd.DataFrame(rows, columns=["local_port", "remote_host", "remote_port"])

    def get_local_uri(self, uri: str) -> str:
        """The same URI, through a forward.

        Raises
        ------
        DuctConfigError
            It names no port, and its scheme has no usual one: those of http, https and ftp are known.
        DuctServerUnreachable
            Nothing answers there, seen from the machine.
        """
        parts = urlsplit(uri)
        shown = f"{parts.scheme}://{parts.hostname or ''}"  # the rest may hold a login
        try:
            port = parts.port or {"http": 80, "https": 443, "ftp": 21}.get(parts.scheme)
        except ValueError:
            raise DuctConfigError(f"{self.name}: the port of the URI {shown}... is none") from None
        if parts.hostname is None or port is None:
            raise DuctConfigError(f"{self.name}: the URI {shown}... names no host and port to forward to")
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        local = self.port_forward(parts.hostname, port)
        return urlunsplit(parts._replace(netloc=f"{login}{LOOPBACK}:{local}"))

    def is_port_bound(self, host: str, port: int) -> bool:
        """Whether something answers at a host and port, seen from there."""
        return bool(self.connect()._is_port_bound(host, port))

    def _target(self, host: str, port: int | None, required: bool = True) -> Any:
        name, own_port = split(host, self.name)
        number = port_number(self.name, port) or own_port
        if number is None and required:
            raise DuctConfigError(f"{self.name}: {host!r} names no port to forward to; write 'host:port'")
        return name, number

    def prepare_smartcards(self) -> None:
        """Make the smartcards ready for use."""
        for name, library in self.smartcards.items():
            self._prepare_smartcard(name, library)

    def _before_disconnect(self) -> None:
        """Everything that is reached through here ends with it."""
        super()._before_disconnect()
        if self._life.state == LOST:
            self._forwards.interrupted += [forward for forward in self._forwards if forward.asked_for]
        else:
            self._forwards.interrupted.clear()
        self._stop_every()

    def connect(self) -> Self:
        """Connect, unless it is connected; forwards that were asked for come back after it was lost.

        Returns, raises
        ---------------
        As `Duct.connect` does.
        """
        super().connect()
        while self._forwards.interrupted and not self._life.leads():
            forward = self._forwards.interrupted.pop()
            try:
                self._forwarded(forward.remote_host, forward.remote_port, None, user=None)
            except DuctError as error:  # whoever uses it finds out
                failures.log(self, f"forwarding {forward} again", error)
        return self

    def _after_fork(self) -> None:
        super()._after_fork()
        self._forwards = Forwards()

    # What a subclass supplies

    def _execute(self, cmd: str, skip_cwd: bool = False, **kwargs: Any) -> Any:
        """Run a command; return an object with `returncode`, `stdout` and `stderr`."""
        raise NotImplementedError(f"{type(self).__name__} runs no commands")

    def _port_forward_start(self, local_port: int, remote_host: str, remote_port: int) -> Any:
        """Start to forward; return what ``_port_forward_stop`` needs."""
        raise NotImplementedError(f"{type(self).__name__} forwards no ports")

    def _port_forward_stop(
        self, local_port: int, remote_host: str, remote_port: int, connection: Any
    ) -> None:
        """Stop to forward."""
        raise NotImplementedError(f"{type(self).__name__} forwards no ports")

    def _is_port_bound(self, host: str, port: int) -> bool:
        """Whether something answers at a host and port, seen from there."""
        raise NotImplementedError(f"{type(self).__name__} forwards no ports")

    def _prepare_smartcard(self, name: str, library: str) -> None:
        """Make one smartcard ready."""
