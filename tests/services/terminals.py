"""A real IPython in a pseudo-terminal, driven by the keys a person presses."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pexpect
from tests.services.kernels import PATIENCE, environment, plain

RUN = "\x1b\r"  # Escape and Enter: run it now, however many lines it has
CONTROL_C = "\x03"


class Terminal:
    """IPython as it is started from a shell; a context manager.

    Parameters
    ----------
    folder : Path
        Its home and working folder.
    *arguments
        Of the command ``ipython``.
    **variables
        Environment variables.
    """

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        command = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=nocolor", *arguments]
        self._child: Any = pexpect.spawn(
            sys.executable,
            command,
            env=environment(folder, TERM="dumb", **variables),
            cwd=str(folder),
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(50, 250),
        )
        self.inputs = 0

    def __enter__(self) -> Terminal:
        self.answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)

    def run(self, code: str) -> str:
        """Run a cell, and what it printed."""
        self.type(code)
        return self.answer()

    def type(self, code: str) -> None:
        """Type a cell and let it run."""
        self._child.send(code + RUN)

    def answer(self) -> str:
        """Wait for the next prompt, and what was printed before it."""
        self.inputs += 1
        self._child.expect(rf"In \[{self.inputs}\]: ")
        said = plain(self._child.before)
        self._child.waitnoecho()  # what is typed before that is a line to the terminal, and no keys
        return said

    def see(self, text: str) -> None:
        """Wait until a text is printed."""
        self._child.expect_exact(text)

    def interrupt(self, times: int = 1, every: float = 0.0) -> None:
        """Press Control and C."""
        for _ in range(times):
            self._child.send(CONTROL_C)
            time.sleep(every)

    def debug(self, *commands: str) -> str:
        """Look at the last error with ``%debug``, leave it again, and what was printed."""
        seen = ""
        self.type("%debug")
        for command in [*commands, "q"]:
            self._child.expect("ipdb> ")
            seen += plain(self._child.before)
            self._child.send(f"{command}\r")
        return seen + self.answer()

    def leave(self) -> str:
        """Type ``exit`` and wait for the end of the process."""
        self.type("exit")
        self._child.expect(pexpect.EOF)
        return plain(self._child.before)
