"""Commands on the other machine, over paramiko: what they print, their exit code, and their end."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from omniduct.errors import DuctConnectionError, DuctTimeout
from omniduct.remotes.ssh.outcomes import ANNOUNCED_IN, ENDED_IN, Heard, Outcome, Output, ending

if TYPE_CHECKING:
    from paramiko import Channel, Transport

__all__ = ["run"]

logger = logging.getLogger("omniduct")

_PIECE = 256 << 10  # bytes
_TICK = 0.05  # seconds between two looks at whether the person has interrupted
_GRACE = 1.0  # seconds that a command has to end after a signal, before the next one


def run(
    transport: Transport,
    command: str,
    duct: str,
    folder: str | None = None,
    timeout: float | None = None,
    heard: Heard | None = None,
) -> Outcome:
    """Run a command in the login shell of the other machine.

    Parameters
    ----------
    folder : str, optional
        The working folder.
    timeout : float, optional
        Seconds after which it is ended.
    heard : callable, optional
        Told, in this thread, what it prints when it does.

    Raises
    ------
    DuctTimeout
        It took longer.
    DuctConnectionError
        The connection ended before it did.
    """
    import paramiko

    try:
        channel = transport.open_session()
    except (paramiko.SSHException, EOFError) as error:
        raise _not_begun(duct, error) from error
    with contextlib.closing(channel):
        return _Running(transport, channel, Output(heard), duct).outcome(command, folder, timeout)


def _not_begun(duct: str, error: Exception) -> DuctConnectionError:
    import paramiko

    said = str(error)
    if isinstance(error, paramiko.ChannelException):
        said = "the machine gives this connection no further session (MaxSessions)"
    return DuctConnectionError(f"{duct}: the command was not begun: {said}")


class _Running:
    """A command that runs; both of its outputs are read at once, as one that is full stops it."""

    def __init__(self, transport: Transport, channel: Channel, output: Output, duct: str) -> None:
        self._transport = transport
        self._channel = channel
        self._output = output
        self._duct = duct
        self._readers = [
            threading.Thread(target=self._take, args=(name,), name="omniduct reads a command", daemon=True)
            for name in ("stdout", "stderr")
        ]

    def _take(self, name: str) -> None:
        receive = self._channel.recv if name == "stdout" else self._channel.recv_stderr
        with contextlib.suppress(OSError, EOFError):
            while data := receive(_PIECE):
                self._output.take(name, data)

    def outcome(self, command: str, folder: str | None, timeout: float | None) -> Outcome:
        """Begin it, and wait for its end."""
        import paramiko

        for reader in self._readers:
            reader.start()
        try:
            self._channel.exec_command(self._output.text(command, folder))
            self._channel.shutdown_write()
            if not self._waited(None if timeout is None else time.monotonic() + timeout):
                raise DuctTimeout(f"{self._duct}: the command took longer than {timeout:g} s, and was ended")
        except paramiko.SSHException as error:
            raise _not_begun(self._duct, error) from error
        except BaseException:  # an interrupt may strike when it has begun there, and this is not known here
            self._end()
            raise
        if self._channel.exit_status == -1 and not self._transport.is_active():
            raise DuctConnectionError(
                f"{self._duct}: the connection was lost while the command ran; it may run on"
            )
        return self._output.outcome(self._channel.exit_status)

    def _waited(self, deadline: float | None) -> bool:
        """Wait for the end of the channel, after which nothing more is printed; whether it came in time."""
        while any(reader.is_alive() for reader in self._readers) or not self._channel.exit_status_ready():
            if deadline is not None and time.monotonic() > deadline:
                return False
            self._readers[0].join(_TICK)
            self._output.tell()
        self._output.tell(is_over=True)
        return True

    def _end(self) -> None:
        """End what runs there. A second interrupt lets it be."""
        deadline = time.monotonic() + ANNOUNCED_IN
        while self._output.group is None and time.monotonic() < deadline and self._transport.is_active():
            if not self._readers[1].is_alive():
                return
            time.sleep(_TICK)
        try:
            if self._output.group is not None:
                self._end_group(self._output.group)
                return
        except Exception as error:  # there may be no room for another session
            logger.debug("%s: ending the command's group: %s", self._duct, error)
        for name in ("INT", "TERM", "KILL"):
            self._signal(name)
            if self._channel.status_event.wait(_GRACE):
                return

    def _end_group(self, group: int) -> None:
        with contextlib.closing(self._transport.open_session()) as channel:
            channel.exec_command(ending(group))
            channel.status_event.wait(ENDED_IN)

    def _signal(self, name: str) -> None:
        """Ask the server to send a signal; not every one does."""
        import paramiko

        message = paramiko.Message()
        message.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)  # no answer, please
        message.add_string(name)
        self._transport._send_user_message(message)
