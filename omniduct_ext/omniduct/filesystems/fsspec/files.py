"""Open files of fsspec's, as Python's own kind."""

from __future__ import annotations

import contextlib
import io
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from omniduct.filesystems.fsspec.client import FsspecClient

__all__ = ["gives_parts", "opened"]

_PIECE = 1 << 16  # bytes; what fsspec buffers besides is more


def opened(duct: FsspecClient, path: str, file: Any, mode: str, seekable: bool = True) -> IO[Any]:
    """A buffered file over one of fsspec's, binary or text in UTF-8.

    Parameters
    ----------
    seekable : bool
        False for one that can only be read from its beginning to its end.
    """
    raw = _Raw(duct, path, file, mode, seekable)
    buffered: Any = io.BufferedReader(raw, _PIECE) if "r" in mode else io.BufferedWriter(raw, _PIECE)
    if "b" in mode:
        return cast("IO[Any]", buffered)
    text = io.TextIOWrapper(buffered, encoding="utf-8")
    cast("Any", text).mode = mode
    return text


def gives_parts(fs: Any, url: str) -> bool:
    """Whether a server of HTTP gives parts of a file; fsspec finds out in the middle of reading."""
    from fsspec.asyn import sync

    async def ask() -> bool:
        session = await fs.set_session()
        options = {**fs.kwargs, "headers": {**fs.kwargs.get("headers", {}), "Range": "bytes=0-0"}}
        async with session.get(fs.encode_url(url), **options) as answer:
            return bool(answer.status == 206)

    return bool(sync(fs.loop, ask))


class _Raw(io.RawIOBase):
    """A file of fsspec's; its errors name the duct and the path."""

    def __init__(self, duct: FsspecClient, path: str, file: Any, mode: str, seekable: bool) -> None:
        self._duct, self._path, self._file, self.mode = duct, path, file, mode
        self.name = PurePosixPath(path)
        self._discarded = False
        self._seekable = seekable and "r" in mode
        self._position = int(file.tell()) if set(mode) & set("ra") else 0

    def readable(self) -> bool:
        return "r" in self.mode

    def writable(self) -> bool:
        return "r" not in self.mode

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if not self._seekable:
            raise io.UnsupportedOperation("the server gives files only from their beginning to their end")
        self._position = int(self._duct._asked("read", self._path, self._seek, offset, whence))
        return self._position

    def _seek(self, offset: int, whence: int) -> int:
        if whence != io.SEEK_END:
            return max(0, offset + (self._position if whence == io.SEEK_CUR else 0))
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        data = self._duct._asked("read", self._path, self._read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return cast(bytes, self._duct._asked("read", self._path, self._read, -1))

    def _read(self, size: int) -> bytes:
        if self._file.tell() != self._position:  # the files of "memory" are one for all who read them
            self._file.seek(self._position)
        data: bytes = self._file.read(size)
        self._position += len(data)
        return data

    def write(self, data: Any) -> int:
        piece = bytes(data)
        if not self._discarded:
            self._duct._asked("write", self._path, self._file.write, piece)
            self._position += len(piece)
        return len(piece)

    def discard(self) -> bool:
        """Write no more; True if what was written so far is nowhere.

        That is so where a file appears when it is closed, as in an object store.
        """
        self._discarded = True
        untouched = self._duct._where.commits
        if untouched:
            with contextlib.suppress(Exception):
                self._file.discard()  # the parts that were sent
            self._file.closed = True
        return untouched

    def close(self) -> None:
        if self.closed:
            return
        try:
            super().close()
        finally:
            if not (self._discarded and self._duct._where.commits):
                self._duct._asked("write" if self.writable() else "read", self._path, self._file.close)
