"""The magics of a remote: commands on the other machine."""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING, Any, cast

from omniduct.errors import DuctCommandError, DuctMagicError
from omniduct.utils.magics import MagicCall, MagicsProvider, Rest, cell_magic, line_magic

if TYPE_CHECKING:
    from omniduct.remotes.base import RemoteClient

__all__ = ["RemoteMagics"]


class RemoteMagics(MagicsProvider):
    """``%%NAME`` and ``%NAME``; a part of `RemoteClient`."""

    @cell_magic()
    def _command_cell(
        self,
        call: MagicCall,
        body: str,
        variable: str | None = None,
        *,
        timeout: float | None = None,
        skip_cwd: bool = False,
    ) -> None:
        """Run the cell in the shell of the machine, and show what it prints while it runs.

        The cell fails if the exit code is not 0, unless the outcome is assigned.

        Parameters
        ----------
        variable
            Assign the outcome (`returncode`, and `stdout` and `stderr` in bytes) to this variable instead.
        timeout
            Seconds after which it is ended.
        skip_cwd
            Whether to run it in the home folder, rather than in the duct's `path_cwd`.
        """
        if variable is not None and not variable.isidentifier():
            raise DuctMagicError(f"%%{_own(self).name}: {variable!r} is no name of a variable")
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        if variable is None:
            self._show(body, skip_cwd=skip_cwd, **options)
        else:
            call.assign(variable, _own(self).execute(body, skip_cwd=skip_cwd, **options))

    @line_magic()
    def _command_line(self, call: MagicCall, command: Rest) -> None:
        """Run the command on the line there, and show what it prints while it runs."""
        self._show(command)

    def _show(self, command: str, **options: Any) -> None:
        own, shown = _own(self), _Shown()
        if own.IS_HEARD:
            options["heard"] = shown
        result = own.execute(command, **options)
        if not own.IS_HEARD:
            shown("stdout", result.stdout)
            shown("stderr", result.stderr)
        shown.end()
        if result.returncode:
            raise DuctCommandError(own.name, result.returncode)


class _Shown:
    """Shows what a command prints below the cell, as it comes."""

    def __init__(self) -> None:
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in _STREAMS}

    def __call__(self, name: str, data: bytes) -> None:
        self._write(name, self._decoders[name].decode(data))

    def end(self) -> None:
        """Show what is left of a text that was cut off."""
        for name, decoder in self._decoders.items():
            self._write(name, decoder.decode(b"", final=True))

    def _write(self, name: str, text: str) -> None:
        stream = getattr(sys, name)
        stream.write(text)
        stream.flush()


_STREAMS = ("stdout", "stderr")


def _own(magics: RemoteMagics) -> RemoteClient:
    return cast("RemoteClient", magics)
