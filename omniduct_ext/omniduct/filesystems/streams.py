"""Open files, made of a client's hooks that read and write whole pieces."""

from __future__ import annotations

import codecs
import encodings.aliases
import errno
import io
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from omniduct.core.arguments import did_you_mean
from omniduct.errors import DuctArgumentError
from omniduct.filesystems.errors import failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniduct.filesystems.base import FileSystemClient

__all__ = ["check_mode", "discard", "opened", "opened_as"]

_PIECE = 1 << 20  # bytes that one call of a hook reads or writes


def check_mode(duct: str, mode: str, encoding: str | None, errors: str | None, newline: str | None) -> None:
    """Complain about what no file can be opened with, before one is made or emptied.

    Raises
    ------
    DuctArgumentError
        It names the duct, and says what would do.
    """
    if (
        not set(mode) <= set("rwxabt+")
        or sum(mode.count(kind) for kind in "rwxa") != 1
        or set("bt") <= set(mode)
    ):
        raise DuctArgumentError(f"{duct}: mode cannot be {mode!r}; it is like 'rt', 'rb', 'wt' or 'ab'")
    given = {"encoding": encoding, "errors": errors, "newline": newline}
    for name, value in given.items():
        if "b" in mode and value is not None:
            raise DuctArgumentError(f"{duct}: {name} is for text, and mode {mode!r} is not")
    if newline not in (None, "", "\n", "\r", "\r\n"):
        raise DuctArgumentError(
            rf"{duct}: newline cannot be {newline!r}; it is None, '', '\n', '\r' or '\r\n'"
        )
    try:
        codecs.lookup(encoding or "utf-8")
        codecs.lookup_error(errors or "strict")
    except LookupError as error:
        hint = did_you_mean(encoding or "", [*encodings.aliases.aliases, *encodings.aliases.aliases.values()])
        raise DuctArgumentError(f"{duct}: {error}{hint}") from None


def opened_as(
    fs: FileSystemClient,
    path: str,
    mode: str,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> IO[Any]:
    """A file of a client's ``_open``, which knows text in UTF-8 only."""
    if encoding is errors is newline is None:
        return fs._open(path, mode)
    file = fs._open(path, f"{mode.replace('t', '')}b")
    text = io.TextIOWrapper(cast("Any", file), encoding or "utf-8", errors, newline)
    if codecs.lookup(text.encoding).name in ("utf-16", "utf-32") and set(mode) & set("wx"):
        _mark_beginning(file, text.encoding)
    cast("Any", text).mode = mode
    return text


def _mark_beginning(file: IO[Any], encoding: str) -> None:
    """Write the mark that tells the order of bytes, which Python writes only where it can tell the place."""
    if not file.seekable():
        file.write("".encode(encoding))


def discard(file: IO[Any]) -> bool:
    """Let go of a file that was being written, with what is in it; False if that cannot be done.

    True means that nothing of it has come to its path, and that what was there before still is.
    """
    raw: Any = file
    for part in ("buffer", "raw"):
        raw = getattr(raw, part, raw)
    return bool(hasattr(raw, "discard") and raw.discard())


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
    if "b" in mode:
        return cast("IO[Any]", buffered)
    text = io.TextIOWrapper(buffered, encoding="utf-8")
    cast("Any", text).mode = mode
    return text


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
            size = self._fs._describe(self._path).bytes
            return len(self._fs._file_read_(self._path, -1, 0, True)) if size is None else size


class _Writer(_Raw):
    """Writes the first piece and appends the others; all at the end if the client cannot append."""

    def __init__(self, fs: FileSystemClient, path: str, mode: str) -> None:
        super().__init__(fs, path, mode)
        self._discarded = False
        self._begun = "a" in mode and fs._isfile(path)
        self._kept: bytearray | None = None
        if not fs._supplies("_file_append_"):
            self._kept = bytearray(fs._file_read_(path, -1, 0, True) if self._begun else b"")
            self._begun = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        if self._discarded:
            return len(piece)
        if self._kept is None:
            self._send(piece)
        else:
            self._kept += piece
        self._position += len(piece)
        return len(piece)

    def discard(self) -> bool:
        """Write no more; True if nothing has been written yet."""
        untouched = self._kept is not None or not self._begun
        self._kept, self._begun, self._discarded = None, True, True
        return untouched

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
