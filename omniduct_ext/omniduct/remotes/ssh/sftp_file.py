"""Files that are open over SFTP: read ahead of who reads, written behind who writes."""

from __future__ import annotations

import errno
import io
import stat
from collections import deque
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from omniduct.remotes.ssh import sftp

if TYPE_CHECKING:
    from concurrent.futures import Future

    from omniduct.filesystems.base import FileSystemClient
    from omniduct.remotes.ssh.sftp import Answer, Session

__all__ = ["opened"]

_BUFFER = 256 << 10  # bytes that Python keeps of an open file
_UNDER_WAY = 8 << 20  # bytes asked for or sent, of one file, of which nothing has been heard

_HOW = {
    "r": sftp.READ,
    "w": sftp.WRITE | sftp.CREATE | sftp.TRUNCATE,
    "x": sftp.WRITE | sftp.CREATE | sftp.EXCLUSIVE,
    "a": sftp.WRITE | sftp.CREATE | sftp.APPEND,
}


def opened(fs: FileSystemClient, session: Session, path: str, mode: str) -> IO[Any]:
    """Open a file, as Python's `open` does; text is in UTF-8."""
    kind = next(each for each in mode if each in _HOW)
    how = _HOW[kind] | (sftp.READ | sftp.WRITE if "+" in mode else 0)
    handle = session.open(path, how)
    try:
        size = _size(session, handle, path)
    except BaseException:
        session.let_go(handle)
        raise
    raw = _File(fs, session, handle, path, mode, size if kind == "a" else 0, size)
    buffered: Any
    if "+" in mode:
        buffered = io.BufferedRandom(raw, _BUFFER)
    elif kind == "r":
        buffered = io.BufferedReader(raw, _BUFFER)
    else:
        buffered = io.BufferedWriter(raw, _BUFFER)
    return cast("IO[Any]", buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8"))


def _size(session: Session, handle: bytes, path: str) -> int:
    found = session.status_of(handle)
    if found.mode is not None and stat.S_ISDIR(found.mode):  # servers open folders, too
        raise IsADirectoryError(errno.EISDIR, "it is a folder", path)
    return found.size or 0


class _File(io.RawIOBase):
    """An open file without Python's buffer."""

    def __init__(
        self,
        fs: FileSystemClient,
        session: Session,
        handle: bytes,
        path: str,
        mode: str,
        position: int,
        size: int,
    ) -> None:
        self._path, self.mode = path, mode
        # no str, or pandas 2 would open the local file of that name instead of this one
        self.name = PurePosixPath(path)
        self._fs, self._session, self._handle = fs, session, handle
        self._position = position
        self._ahead = _Ahead(session, handle, size)
        self._behind = _Behind(session, handle)
        self._reads, self._writes = "r" in mode or "+" in mode, "r" not in mode or "+" in mode

    def readable(self) -> bool:
        return self._reads

    def writable(self) -> bool:
        return self._writes

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._length()
        elif whence != io.SEEK_SET:
            raise ValueError(f"whence cannot be {whence!r}; it is 0, 1 or 2")
        if offset < 0:
            raise OSError(errno.EINVAL, f"{self._path!r} has no position {offset}")
        self._position = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        self._check(self._reads, "reading")
        with self._fs._telling("read", self._path):
            self._behind.settle()
            data = self._ahead.take(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        self._check(self._reads, "reading")
        pieces: list[memoryview] = []
        with self._fs._telling("read", self._path):
            self._behind.settle()
            while not pieces or pieces[-1]:
                pieces.append(self._ahead.take(self._position, _UNDER_WAY))
                self._position += len(pieces[-1])
        return b"".join(pieces)

    def write(self, data: Any) -> int:
        self._check(self._writes, "writing")
        view = memoryview(data).cast("B")
        self._ahead.drop()
        with self._fs._telling("write", self._path):
            count = self._behind.put(self._position, view)
        self._position += count
        return count

    def truncate(self, size: int | None = None) -> int:
        self._check(self._writes, "writing")
        length = self._position if size is None else size
        self._ahead.drop()
        with self._fs._telling("write", self._path):
            self._behind.settle()
            self._session.cut(self._handle, length)
        return length

    def close(self) -> None:
        """Close it; what could not be written is told now at the latest."""
        if self.closed:
            return
        waits = self._writes and self._session.may_wait
        try:
            if waits:
                with self._fs._telling("write", self._path):
                    self._behind.settle()
        except BaseException:
            waits = False
            raise
        finally:
            super().close()  # first: the server may give a handle that was given back to another file
            self._give_back(waits)

    def _give_back(self, waits: bool) -> None:
        answer = self._session.let_go(self._handle)
        if waits:
            with self._fs._telling("write", self._path):
                self._session.done(answer)

    def _length(self) -> int:
        with self._fs._telling("read", self._path):
            self._behind.settle()
            return self._session.status_of(self._handle).size or 0

    def _check(self, may: bool, doing: str) -> None:
        self._checkClosed()
        if not may:
            raise io.UnsupportedOperation(f"the file is not open for {doing}")


class _Ahead:
    """What follows in a file that is read on and on, asked for before it is wanted.

    An interrupt while it waits leaves all as it was.
    """

    def __init__(self, session: Session, handle: bytes, size: int) -> None:
        self._session, self._handle = session, handle
        self._size = size  # when it was opened: it may have grown
        self._piece = session.read_size
        self._rest = memoryview(b"")  # has come, and was not taken
        self._asked: deque[tuple[int, Future[Answer]]] = deque()  # by size
        self._start = self._end = 0  # where the rest starts, and up to where it was asked
        self._window = 1

    def take(self, position: int, limit: int) -> memoryview:
        """What is there, at most `limit` bytes; nothing at the end."""
        if position != self._start:
            self._move(position)
        if not self._rest:
            self._rest = self._next()
        data, self._rest = self._rest[:limit], self._rest[limit:]
        self._start += len(data)
        return data

    def drop(self) -> None:
        """Forget what was asked for: the file has changed."""
        self._restart(self._start)
        self._window = 1

    def _move(self, position: int) -> None:
        skipped = position - self._start
        if 0 < skipped <= len(self._rest):
            self._rest, self._start = self._rest[skipped:], position
        else:
            self._restart(position)
            self._window = 1

    def _restart(self, position: int) -> None:
        self._rest = memoryview(b"")
        self._asked.clear()
        self._start = self._end = position

    def _next(self) -> memoryview:
        self._ask()
        size, future = self._asked[0]
        try:
            data = self._session.data(future)
        except OSError:
            self._restart(self._start)
            raise
        self._asked.popleft()
        if len(data) < size:  # the end, or as much as this server gives at once
            if data and self._start + len(data) < self._size:
                self._piece = len(data)
            after = self._start + len(data)
            self._asked.clear()
            self._end = after
        self._window *= 2
        return data

    def _ask(self) -> None:
        window = min(self._window, max(1, _UNDER_WAY // self._piece))
        while not self._asked or (len(self._asked) < window and self._end < self._size):
            self._asked.append((self._piece, self._session.read(self._handle, self._end, self._piece)))
            self._end += self._piece


class _Behind:
    """What was written and may not be there yet."""

    def __init__(self, session: Session, handle: bytes) -> None:
        self._session, self._handle = session, handle
        self._sent: deque[tuple[int, Future[Answer]]] = deque()  # by size
        self._size = 0

    def put(self, position: int, data: memoryview) -> int:
        """Send it, or as much of it as there is room for; what became of earlier pieces is told, if known."""
        data = data[: _UNDER_WAY // 2]
        self._wait(_UNDER_WAY - len(data))  # an interrupt strikes here, before anything is sent
        count = max(1, -(-len(data) // self._session.write_size))
        size = max(1, -(-len(data) // count))
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self._sent.append((len(piece), self._session.write(self._handle, position + start, piece)))
            self._size += len(piece)
        return len(data)

    def settle(self) -> None:
        """Wait until all is there."""
        self._wait(0)

    def _wait(self, most: int) -> None:
        """Wait until no more than that is under way, and see to all that has been answered."""
        while self._sent and (self._size > most or self._sent[0][1].done()):
            size, future = self._sent[0]
            self._see_to(future)
            self._sent.popleft()
            self._size -= size

    def _see_to(self, future: Future[Answer]) -> None:
        try:
            self._session.done(future)
        except ConnectionError:
            raise
        except OSError as error:
            if error.errno == errno.EIO and self._session.is_full(self._handle):
                raise OSError(errno.ENOSPC, "no space left there") from error
            raise
