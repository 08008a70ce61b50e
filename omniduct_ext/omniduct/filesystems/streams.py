"""Open files, made of a client's hooks that read and write whole pieces."""

from __future__ import annotations

import errno
import io
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from omniduct.filesystems.errors import failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniduct.filesystems.base import FileSystemClient

__all__ = ["opened"]

_PIECE = 1 << 20  # bytes that one call of a hook reads or writes


def opened(fs: FileSystemClient, path: str, mode: str) -> IO[Any]:
    """A file over ``_file_read_``, or over ``_file_write_`` and ``_file_append_``.

    Parameters
    ----------
    mode : str
        As for Python's `open`, without "+".
    """
    if "+" in mode:
        raise io.UnsupportedOperation(f"{type(fs).__name__} cannot read and write a file at once")
    _check(fs, path, mode)
    buffered: Any
    if "r" in mode:
        buffered = io.BufferedReader(_Reader(fs, path, mode), _PIECE)
    else:
        buffered = io.BufferedWriter(_Writer(fs, path, mode), _PIECE)
    return cast("IO[Any]", buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8"))


def _check(fs: FileSystemClient, path: str, mode: str) -> None:
    reads, is_file = "r" in mode, ("r" in mode or "x" in mode) and fs._isfile(path)
    if "x" in mode and is_file:
        raise failure(fs, "open", path, errno.EEXIST)
    if not is_file and fs._isdir(path):
        raise failure(fs, "open", path, errno.EISDIR)
    if reads and not is_file:
        raise fs._missing("open", path)


class _Raw(io.RawIOBase):
    def __init__(self, fs: FileSystemClient, path: str, mode: str) -> None:
        self._path, self.mode = path, mode
        # no str, or pandas 2 would open the local file of that name instead of this one
        self.name = PurePosixPath(path)
        self._fs = fs
        self._position = 0

    def tell(self) -> int:
        return self._position


class _Reader(_Raw):
    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        self._position = max(0, offset + (self._size() if start is None else start))
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._read(-1)

    def _read(self, size: int) -> bytes:
        with self._fs._telling("read", self._path):
            data = cast(bytes, self._fs._file_read_(self._path, size, self._position, True))
        self._position += len(data)
        return data

    def _size(self) -> int:
        with self._fs._telling("read", self._path):
            folder, name = self._fs._parted(self._path)
            for entry in self._fs._dir(folder):
                if entry.name == name and entry.bytes is not None:
                    return entry.bytes
            return len(self._fs._file_read_(self._path, -1, 0, True))


class _Writer(_Raw):
    """Writes the first piece and appends the others; all at the end if the client cannot append."""

    def __init__(self, fs: FileSystemClient, path: str, mode: str) -> None:
        super().__init__(fs, path, mode)
        self._begun = "a" in mode and fs._isfile(path)
        self._kept: bytearray | None = None
        if not fs._supplies("_file_append_"):
            self._kept = bytearray(fs._file_read_(path, -1, 0, True) if self._begun else b"")
            self._begun = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        if self._kept is None:
            self._send(piece)
        else:
            self._kept += piece
        self._position += len(piece)
        return len(piece)

    def _send(self, piece: bytes) -> None:
        hook: Callable[..., object] = self._fs._file_append_ if self._begun else self._fs._file_write_
        self._begun = True  # also when it fails: closing must not write again
        with self._fs._telling("write", self._path):
            hook(self._path, piece, True)

    def close(self) -> None:
        if self.closed:
            return
        try:
            if self._kept is not None or not self._begun:
                self._send(bytes(self._kept or b""))
        finally:
            super().close()
