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
    def _read_line(
        self,
        call: MagicCall,
        path: str | os.PathLike[str],
        *,
        encoding: str = "utf-8",
        errors: str = "strict",
        binary: bool = False,
    ) -> str | bytes:
        """Read a file.

        Parameters
        ----------
        path
            The file.
        encoding
            Of its text.
        errors
            What becomes of what is no text in it: "strict", "replace" and so on, as for Python's `open`.
        binary
            Whether it is no text: the bytes are given.
        """
        own = _own(self)
        if binary:
            with own.open(path, "rb") as file:
                return cast(bytes, file.read())
        try:
            with own.open(path, "rt", encoding=encoding, errors=errors) as file:
                return _Text(file.read())
        except UnicodeDecodeError as error:
            raise DuctMagicError(
                f"%{own.name}.read: {os.fspath(path)!r} is no text in {_spoken(encoding)}; another "
                "`encoding` or errors='replace' may read it, and binary=True gives its bytes"
            ) from error.with_traceback(None)

    @cell_magic("write")
    def _write_cell(
        self,
        call: MagicCall,
        body: str,
        path: str | os.PathLike[str],
        *,
        encoding: str = "utf-8",
        append: bool = False,
    ) -> None:
        """Write the cell to a file; a file of that name is replaced.

        Parameters
        ----------
        path
            The file. Its folder has to be there.
        encoding
            Of the text.
        append
            Whether to add it to what is in the file.
        """
        own = _own(self)
        try:
            body.encode(encoding)  # before anything is written
        except UnicodeEncodeError as error:
            raise DuctMagicError(
                f"%%{own.name}.write: {body[error.start]!r} cannot be written in {_spoken(encoding)}"
            ) from error.with_traceback(None)
        except LookupError:
            pass  # opening the file says what is wrong
        with own.open(path, "at", encoding) if append else own.open_atomic(path, "wt", encoding) as file:
            file.write(body)


def _spoken(encoding: str) -> str:
    return "UTF-8" if encoding == "utf-8" else encoding


class _Text(str):
    """A text that is displayed as it is, without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _own(magics: FileSystemMagics) -> FileSystemClient:
    return cast("FileSystemClient", magics)
