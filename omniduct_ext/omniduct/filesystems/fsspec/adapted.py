"""Files of a duct as fsspec, and what is built on it, expects them."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO, Any

__all__ = ["Reader", "Text", "Whole"]


class Reader(io.BufferedReader):
    """A file that is read, and knows its size when asked."""

    _find_size: Callable[[], int | None]

    @classmethod
    def of(cls, file: IO[Any], find_size: Callable[[], int | None]) -> IO[Any]:
        """The file itself, where it is not of Python's usual kind."""
        if type(file) is not io.BufferedReader:
            return file
        reader = cls(file.detach(), 1 << 16)
        reader._find_size = find_size
        return reader

    @property
    def size(self) -> int | None:
        """In bytes."""
        return self._find_size()


class Whole(io.BufferedIOBase):
    """A file that is written, and appears when it is closed.

    Parameters
    ----------
    place : context manager
        Gives the file to write to, and puts it in its place, or takes it away, in the end.
    autocommit : bool
        Whether closing puts it in its place; else `commit` does.
    """

    mode = "wb"

    def __init__(self, place: AbstractContextManager[IO[Any]], autocommit: bool = True) -> None:
        self._file: IO[Any] | None = None
        self._discarded = False
        self._place = place
        self._autocommit = autocommit
        self._file = place.__enter__()
        self._position = 0

    def writable(self) -> bool:
        """Whether it can be written to."""
        return True

    def tell(self) -> int:
        """How many bytes there are."""
        return self._position

    def write(self, data: Any) -> int:
        """Write bytes."""
        if self._discarded:
            return len(data)
        if self._file is None or self.closed:
            raise ValueError("write to a file that is closed")
        written = self._file.write(data)
        self._position += written
        return written

    def flush(self) -> None:
        """Pass on what is held back."""
        if self._file is not None and not self.closed:
            self._file.flush()

    def close(self) -> None:
        """Put the file in its place, unless `commit` is to."""
        if self.closed:
            return
        try:
            if self._autocommit:
                self.commit()
        finally:
            self._autocommit = True
            super().close()

    def commit(self) -> None:
        """Put the file in its place."""
        if self._file is not None:
            self._file = None
            self._place.__exit__(None, None, None)

    def discard(self) -> None:
        """Let go of what was written, and of what still comes."""
        self._discarded = True
        if self._file is not None:
            self._file = None
            self._place.__exit__(Abandoned, Abandoned(), None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
        self.close()


class Abandoned(Exception):
    """What a file is told that nobody wants any more."""


class Text(io.TextIOWrapper):
    """Text over such a file, which goes with it when writing fails."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and isinstance(self.buffer, Whole):
            self.buffer.discard()
        super().__exit__(kind, error, trace)
