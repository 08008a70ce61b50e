"""The magics of a filesystem."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from omniduct.errors import DuctMagicError
from omniduct.utils.magics import MagicCall, MagicsProvider, cell_magic, line_magic

if TYPE_CHECKING:
    import pandas as pd

    from omniduct.filesystems.base import FileSystemClient

__all__ = ["FileSystemMagics"]


class FileSystemMagics(MagicsProvider):
    """``%NAME.listdir`` and its kin; a part of `FileSystemClient`."""

    @line_magic("listdir")
    def _listdir_line(self, call: MagicCall, path: str | os.PathLike[str] | None = None) -> list[str]:
        """List the names in a folder.

        Parameters
        ----------
        path
            The folder; by default the one that relative paths start from.
        """
        return _own(self).listdir(path)

    @line_magic("showdir")
    def _showdir_line(self, call: MagicCall, path: str | os.PathLike[str] | None = None) -> pd.DataFrame:
        """Show what is in a folder, a row each.

        Parameters
        ----------
        path
            The folder; by default the one that relative paths start from.
        """
        return _own(self).showdir(path)

    @line_magic("read")
    def _read_line(self, call: MagicCall, path: str | os.PathLike[str]) -> str:
        """Read the text of a file.

        Parameters
        ----------
        path
            The file, in UTF-8.
        """
        own = _own(self)
        try:
            with own.open(path, "rt") as file:
                return _Text(file.read())
        except UnicodeDecodeError as error:
            raise DuctMagicError(
                f"%{own.name}.read: {os.fspath(path)!r} is no text in UTF-8; read it with "
                f"open({os.fspath(path)!r}, 'rb') of {own.name}"
            ) from error.with_traceback(None)

    @cell_magic("write")
    def _write_cell(self, call: MagicCall, body: str, path: str | os.PathLike[str]) -> None:
        """Write the cell to a file, in UTF-8; a file of that name is replaced.

        Parameters
        ----------
        path
            The file. Its folder has to be there.
        """
        with _own(self).open_atomic(path, "wt") as file:
            file.write(body)


class _Text(str):
    """A text that is displayed as it is, without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _own(magics: FileSystemMagics) -> FileSystemClient:
    return cast("FileSystemClient", magics)
