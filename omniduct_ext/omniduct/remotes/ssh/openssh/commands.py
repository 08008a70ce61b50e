"""Commands on the other machine, through a master: what they print, their exit code, and their end."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections.abc import Sequence
from typing import IO

from omniduct.errors import DuctConnectionError, DuctTimeout
from omniduct.remotes.ssh.openssh.mux import Control, Passenger
from omniduct.remotes.ssh.outcomes import ANNOUNCED_IN, ENDED_IN, Heard, Outcome, Output, ending

__all__ = ["Command"]

_PIECE = 256 << 10  # bytes
_SIGNALLED = -1  # OpenSSH does not tell which signal ended a command


class Command:
    """A command to run, in the login shell there.

    Parameters
    ----------
    control : Control
        That of the master.
    command : str
        Of as many lines as it has.
    duct : str
        The name to use in messages.
    folder : str, optional
        The working folder.
    environment : sequence of str
        Variables to send along, each as ``name=value``.
    heard : callable, optional
        Told, in the thread that runs it, what it prints when it does.
    """

    def __init__(
        self,
        control: Control,
        command: str,
        duct: str,
        folder: str | None = None,
        environment: Sequence[str] = (),
        heard: Heard | None = None,
    ) -> None:
        self._control, self._duct, self._environment = control, duct, environment
        self._output = Output(heard)
        self._text = self._output.text(command, folder)

    def run(self, timeout: float | None = None) -> Outcome:
        """Run it, and wait for its end.

        Parameters
        ----------
        timeout : float, optional
            Seconds after which it is ended.

        Raises
        ------
        DuctTimeout
            It took longer.
        DuctConnectionError
            The connection ended before it did.
        """
        with contextlib.ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            deadline = None if timeout is None else time.monotonic() + timeout
            try:
                passenger = self._begin(stack, selector)
                if not self._attend(selector, deadline):
                    raise DuctTimeout(
                        f"{self._duct}: the command took longer than {timeout:g} s, and was ended"
                    )
            except BaseException:
                self._end(selector)  # it may have begun there, and this is not known here
                raise
        return self._outcome(passenger)

    def _begin(self, stack: contextlib.ExitStack, selector: selectors.BaseSelector) -> Passenger:
        """Start it, with pipes as its outputs, and nothing as its input."""
        with contextlib.ExitStack() as theirs:
            files: list[IO[bytes]] = [theirs.enter_context(open(os.devnull, "rb"))]
            for name in ("stdout", "stderr"):
                ours, other = os.pipe()
                stack.callback(os.close, ours)
                files.append(theirs.enter_context(open(other, "wb")))
                os.set_blocking(ours, False)
                selector.register(ours, selectors.EVENT_READ, name)
            passenger = self._control.run(self._text, [f.fileno() for f in files], self._environment)
        stack.callback(passenger.close)
        selector.register(passenger, selectors.EVENT_READ, passenger)
        return passenger

    def _attend(self, selector: selectors.BaseSelector, deadline: float | None) -> bool:
        """Read what it prints until it has ended; whether it has, in time."""
        while selector.get_map():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            for key, _ in selector.select(left):
                if not (
                    key.data.has_ended() if isinstance(key.data, Passenger) else self._take(key.fd, key.data)
                ):
                    continue
                selector.unregister(key.fileobj)
        return True

    def _take(self, file: int, name: str) -> bool:
        """Read what there is; whether it was the end."""
        try:
            data = os.read(file, _PIECE)
        except BlockingIOError:
            return False
        self._output.take(name, data)
        self._output.tell()
        return not data

    def _end(self, selector: selectors.BaseSelector) -> None:
        """End what runs there. A second interrupt lets it be."""
        deadline = time.monotonic() + ANNOUNCED_IN
        while (group := self._output.group) is None and time.monotonic() < deadline:
            if self._attend(selector, time.monotonic() + 0.05):
                return
        if group is None:
            return
        with open(os.devnull, "r+b") as nothing, contextlib.suppress(Exception):
            end = self._control.run(ending(group), [nothing.fileno()] * 3)
            try:
                self._attend(selector, time.monotonic() + ENDED_IN)
            finally:
                end.close()

    def _outcome(self, passenger: Passenger) -> Outcome:
        code = passenger.exit_code
        if code is None:
            try:
                self._control.pid()
            except OSError:
                raise DuctConnectionError(
                    f"{self._duct}: the connection was lost while the command ran"
                ) from None
            code = _SIGNALLED
        self._output.tell(is_over=True)
        return self._output.outcome(code)
