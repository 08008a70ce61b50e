"""The SFTP protocol, version 3, over one channel, which threads share.

A thread reads all answers and another sends all requests: so many requests can be under way at once, and
an interrupt of the person, which strikes whoever waits, never cuts a packet in two. (paramiko's client lets
those who wait read in turns; they lose each other's answers.)

Source: draft-ietf-secsh-filexfer-02, and the file PROTOCOL of OpenSSH for the extensions.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer  # another one before Python 3.11
from queue import SimpleQueue
from typing import NamedTuple, Protocol

__all__ = [
    "APPEND",
    "CREATE",
    "EXCLUSIVE",
    "READ",
    "TRUNCATE",
    "WRITE",
    "Attributes",
    "Entry",
    "Session",
    "Wire",
]

READ, WRITE, APPEND, CREATE, TRUNCATE, EXCLUSIVE = 1, 2, 4, 8, 16, 32  # how to open a file

_INIT, _VERSION = 1, 2
_OPEN, _CLOSE, _READ, _WRITE, _LSTAT, _FSTAT, _SETSTAT, _FSETSTAT, _OPENDIR, _READDIR = range(3, 13)
_REMOVE, _MKDIR, _RMDIR, _REALPATH, _STAT, _RENAME = range(13, 19)
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS = range(101, 106)
_EXTENDED, _EXTENDED_REPLY = 200, 201

_END = 1  # of a file or a list
_FAILURE = 4
_ERRORS = {
    2: (errno.ENOENT, ""),
    3: (errno.EACCES, ""),
    _FAILURE: (errno.EIO, "the server refuses it, and does not say why"),
    5: (errno.EINVAL, ""),
    8: (errno.EOPNOTSUPP, "the server cannot do that"),
}

_HAS_SIZE, _HAS_OWNER, _HAS_MODE, _HAS_TIMES, _HAS_MORE = 1, 2, 4, 8, 1 << 31
_LARGEST = 1 << 24  # bytes of an answer; a larger one is none
_USUAL_PIECE = 32 << 10  # bytes that every server reads or writes at once
_LARGEST_PIECE = 255 << 10  # what OpenSSH does
_CLOSED = "it was closed"
_MOST_REMOVED = 256  # requests to remove a file under way
_MOST_LISTS = 16  # requests for parts of a list under way; OpenSSH's parts have 100 entries

Answer = tuple[int, memoryview]


class Wire(Protocol):
    """What an SFTP server is at the other end of: a socket, or a channel of paramiko's."""

    def recv(self, size: int, /) -> bytes:
        """Receive what there is, at most `size` bytes; nothing at the end."""

    def sendall(self, data: bytes, /) -> object:
        """Send all of that."""

    def close(self) -> object:
        """End it; who receives is woken."""


class Attributes(NamedTuple):
    """What a server says of a file; None where it does not."""

    size: int | None = None
    owner: int | None = None
    group: int | None = None
    mode: int | None = None
    accessed: int | None = None
    modified: int | None = None


class Entry(NamedTuple):
    """What is in a folder; of a link the attributes are its own."""

    name: str
    line: str
    """As ``ls -l`` shows it, most often."""
    attributes: Attributes


class Session:
    """One session with a server.

    Paths are absolute. What a server refuses raises `OSError` of Python's own kinds, and a session that has
    ended `ConnectionError`.

    Parameters
    ----------
    wire : Wire
        The server's SFTP subsystem is at its other end; it is closed with the session.
    timeout : float
        Seconds that the server has to answer the first message.
    on_loss : callable, optional
        Called when it has ended, and nobody closed it.

    Attributes
    ----------
    read_size, write_size : int
        Bytes that the server reads or writes at once.
    """

    def __init__(self, wire: Wire, timeout: float, on_loss: Callable[[], object] = lambda: None) -> None:
        self._wire = wire
        self._on_loss = on_loss
        self._numbers = itertools.count(1)
        self._expected: dict[int, Future[Answer]] = {}
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        self._gone = ""
        self._extensions: set[bytes] = set()
        self.read_size = self.write_size = _USUAL_PIECE
        self._reader = threading.Thread(target=self._receive, name="omniduct reads files", daemon=True)
        self._sender = threading.Thread(target=self._send, name="omniduct writes files", daemon=True)
        try:
            self._begin(timeout)
        except BaseException:
            self.close()
            raise

    # The session

    @property
    def is_open(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return not self._gone

    @property
    def may_wait(self) -> bool:
        """Whether the calling thread may wait for answers; the collector runs in any thread."""
        return threading.current_thread() is not self._reader

    def close(self) -> None:
        """End it; who waits for an answer gets an error."""
        self._end(_CLOSED)

    def forget(self) -> None:
        """Let go of it in a forked child, where it is the parent's."""
        self._gone = "it belongs to another process"

    def _begin(self, timeout: float) -> None:
        self._reader.start()
        self._sender.start()
        version: Future[Answer] = Future()
        self._expected[0] = version
        self._outgoing.put(struct.pack(">IBI", 5, _INIT, 3))
        try:
            kind, body = version.result(timeout)
        except NoAnswer:
            raise TimeoutError(f"the server's SFTP has not answered within {timeout:g} s") from None
        if kind != _VERSION:
            raise ConnectionError("the server does not speak SFTP")
        fields = _Fields(body)
        fields.number()
        while fields.has_more:
            self._extensions.add(fields.text())
            fields.text()
        if b"limits@openssh.com" in self._extensions:
            self._take_limits(timeout)

    def _take_limits(self, timeout: float) -> None:
        kind, body = self._ask(_EXTENDED, _text(b"limits@openssh.com")).result(timeout)
        if kind == _EXTENDED_REPLY:
            fields = _Fields(body)
            _, most_read, most_written = (fields.long() for _ in range(3))
            self.read_size = min(most_read or _USUAL_PIECE, _LARGEST_PIECE)
            self.write_size = min(most_written or _USUAL_PIECE, _LARGEST_PIECE)

    def _receive(self) -> None:
        try:
            while True:
                (size,) = struct.unpack(">I", self._exactly(4))
                if not 5 <= size <= _LARGEST:
                    raise ConnectionError("the server does not speak SFTP")
                self._take(memoryview(self._exactly(size)))
        except Exception as error:
            self._end(str(error) or type(error).__name__)

    def _exactly(self, size: int) -> bytes:
        first = self._wire.recv(size)
        if len(first) == size:
            return first
        pieces, missing = [first], size - len(first)
        while missing:
            if not pieces[-1]:
                raise ConnectionError("the server has ended it")
            pieces.append(self._wire.recv(missing))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def _take(self, packet: memoryview) -> None:
        kind = packet[0]
        number = 0 if kind == _VERSION else int.from_bytes(packet[1:5], "big")
        future = self._expected.pop(number, None)
        if future is not None:  # else nobody has asked that
            future.set_result((kind, packet[1:] if kind == _VERSION else packet[5:]))

    def _send(self) -> None:
        try:
            while (packet := self._outgoing.get()) is not None:
                self._wire.sendall(packet)
        except Exception as error:
            self._end(str(error) or type(error).__name__)

    def _end(self, why: str) -> None:
        if not self._gone:
            self._gone = why
            if why != _CLOSED:
                self._on_loss()
        self._outgoing.put(None)
        with contextlib.suppress(Exception):  # another thread closes it, too
            self._wire.close()
        self._fail_expected()

    def _fail_expected(self) -> None:
        while self._expected:
            with contextlib.suppress(KeyError):  # another thread was faster
                self._expected.popitem()[1].set_exception(self._lost())

    def _lost(self) -> ConnectionError:
        return ConnectionError(f"the session for files has ended: {self._gone}")

    # Requests

    def _ask(self, kind: int, body: bytes, data: bytes | memoryview = b"") -> Future[Answer]:
        """Send a request; its answer will come."""
        number, future = next(self._numbers) & 0xFFFFFFFF, Future[Answer]()
        self._expected[number] = future
        self._outgoing.put(
            b"".join((struct.pack(">IBI", 5 + len(body) + len(data), kind, number), body, data))
        )
        if self._gone:  # it may have ended before it could hear of this one
            self._fail_expected()
        return future

    def _call(self, wanted: int, kind: int, body: bytes) -> _Fields:
        """Send a request, and wait for an answer of the wanted kind."""
        return _checked(self._ask(kind, body).result(), wanted)

    def _extended(self, name: str, body: bytes) -> Future[Answer]:
        return self._ask(_EXTENDED, _text(name.encode()) + body)

    # Paths

    def real_path(self, path: str) -> str:
        """The path without links, "." and ".."; of "." the folder that the session begins in."""
        fields = self._call(_NAME, _REALPATH, _path(path))
        fields.number()
        return os.fsdecode(fields.text())

    def status(self, path: str, follow: bool = True) -> Attributes:
        """What the server says of a file; of a link itself, unless it is to be followed."""
        return self._call(_ATTRS, _STAT if follow else _LSTAT, _path(path)).attributes()

    def statuses(self, paths: list[str]) -> list[Attributes | None]:
        """What it says of several, links followed; None of those that lead nowhere."""
        asked = [self._ask(_STAT, _path(path)) for path in paths]
        found: list[Attributes | None] = []
        for future in asked:
            kind, body = future.result()
            found.append(_Fields(body).attributes() if kind == _ATTRS else None)
        return found

    def entries(self, path: str) -> Generator[Entry, None, None]:
        """What is in a folder, in the server's order, but for "." and ".."."""
        handle = self._call(_HANDLE, _OPENDIR, _path(path)).text()
        try:
            for fields in self._parts(handle):
                for _ in range(fields.number()):
                    entry = fields.entry()
                    if entry.name not in (".", ".."):
                        yield entry
        finally:
            self.let_go(handle)

    def _parts(self, handle: bytes) -> Iterator[_Fields]:
        """The parts of a list: the more have come, the more are asked for at once."""
        asked = deque([self._ask(_READDIR, _text(handle))])
        window = 1
        while asked:
            kind, body = asked.popleft().result()
            if kind == _STATUS and _Fields(body).number() == _END:
                return
            yield _checked((kind, body), _NAME)
            window = min(window * 2, _MOST_LISTS)
            while len(asked) < window:
                asked.append(self._ask(_READDIR, _text(handle)))

    def make_folder(self, path: str) -> None:
        """Make a folder."""
        self._call(_STATUS, _MKDIR, _path(path) + struct.pack(">I", 0))

    def remove_folder(self, path: str) -> None:
        """Remove a folder with nothing in it."""
        self._call(_STATUS, _RMDIR, _path(path))

    def remove(self, *paths: str) -> None:
        """Remove files, and of links the links."""
        asked: deque[Future[Answer]] = deque()
        for path in paths:
            asked.append(self._ask(_REMOVE, _path(path)))
            if len(asked) > _MOST_REMOVED:
                _checked(asked.popleft().result(), _STATUS)
        for future in asked:
            _checked(future.result(), _STATUS)

    def rename(self, path: str, new_path: str) -> None:
        """Give a file or folder another path, in the place of a file that has it."""
        both = _path(path) + _path(new_path)
        if b"posix-rename@openssh.com" in self._extensions:
            _checked(self._extended("posix-rename@openssh.com", both).result(), _STATUS)
            return
        try:
            self._call(_STATUS, _RENAME, both)
        except OSError as error:
            if isinstance(error, ConnectionError) or error.errno != errno.EIO:
                raise
            # What has that path may be in the way. Without the extension there is a moment with neither of
            # the files, and who is cut off in it has the new one under its former path alone.
            self.remove(new_path)
            self._call(_STATUS, _RENAME, both)

    def set_mode(self, path: str, mode: int) -> None:
        """Set who may do what with a file."""
        self._call(_STATUS, _SETSTAT, _path(path) + struct.pack(">II", _HAS_MODE, mode & 0o7777))

    # Open files

    def open(self, path: str, how: int) -> bytes:
        """Open a file; what stands for it."""
        return self._call(_HANDLE, _OPEN, _path(path) + struct.pack(">II", how, 0)).text()

    def let_go(self, handle: bytes) -> Future[Answer]:
        """Close a file or a list; for `done`."""
        return self._ask(_CLOSE, _text(handle))

    def status_of(self, handle: bytes) -> Attributes:
        """What the server says of an open file."""
        return self._call(_ATTRS, _FSTAT, _text(handle)).attributes()

    def read(self, handle: bytes, position: int, size: int) -> Future[Answer]:
        """Ask for a piece of a file; for `data`."""
        return self._ask(_READ, _text(handle) + struct.pack(">QI", position, size))

    def data(self, asked: Future[Answer]) -> memoryview:
        """The piece that was asked for; less than that, or nothing, at the end of the file."""
        kind, body = answer = asked.result()
        if kind == _STATUS and _Fields(body).number() == _END:
            return memoryview(b"")
        return _checked(answer, _DATA).piece()

    def write(self, handle: bytes, position: int, data: memoryview) -> Future[Answer]:
        """Send a piece of a file; for `done`."""
        return self._ask(_WRITE, _text(handle) + struct.pack(">QI", position, len(data)), data)

    def done(self, sent: Future[Answer]) -> None:
        """Wait until the server has done that."""
        _checked(sent.result(), _STATUS)

    def cut(self, handle: bytes, size: int) -> None:
        """Make a file that long."""
        self._call(_STATUS, _FSETSTAT, _text(handle) + struct.pack(">IQ", _HAS_SIZE, size))

    def is_full(self, handle: bytes) -> bool:
        """Whether there is no room for more in the filesystem of a file, as far as the server says it."""
        if b"fstatvfs@openssh.com" not in self._extensions:
            return False
        kind, body = self._extended("fstatvfs@openssh.com", _text(handle)).result()
        if kind != _EXTENDED_REPLY:
            return False
        fields = _Fields(body)
        _, block, _, _, available = (fields.long() for _ in range(5))
        return block * available < _LARGEST_PIECE


class _Fields:
    """The fields of an answer, taken one after the other."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._position = 0

    @property
    def has_more(self) -> bool:
        return self._position < len(self._body)

    def _next(self, size: int) -> memoryview:
        start = self._position
        self._position += size
        if self._position > len(self._body):
            raise ConnectionError("the server sent an answer that is cut off")
        return self._body[start : self._position]

    def number(self) -> int:
        return int.from_bytes(self._next(4), "big")

    def long(self) -> int:
        return int.from_bytes(self._next(8), "big")

    def piece(self) -> memoryview:
        return self._next(self.number())

    def text(self) -> bytes:
        return bytes(self.piece())

    def entry(self) -> Entry:
        name, line = os.fsdecode(self.text()), self.text().decode(errors="replace")
        return Entry(name, line, self.attributes())

    def attributes(self) -> Attributes:
        flags = self.number()
        size = self.long() if flags & _HAS_SIZE else None
        owner, group = (self.number(), self.number()) if flags & _HAS_OWNER else (None, None)
        mode = self.number() if flags & _HAS_MODE else None
        accessed, modified = (self.number(), self.number()) if flags & _HAS_TIMES else (None, None)
        if flags & _HAS_MORE:
            for _ in range(2 * self.number()):
                self.piece()
        return Attributes(size, owner, group, mode, accessed, modified)


def _text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _path(path: str) -> bytes:
    return _text(os.fsencode(path))


def _checked(answer: Answer, wanted: int) -> _Fields:
    """The fields of an answer, if it is of the wanted kind and no refusal."""
    kind, body = answer
    fields = _Fields(body)
    if kind == _STATUS and (code := fields.number()):
        said = fields.text().decode(errors="replace") if fields.has_more else ""
        number, usual = _ERRORS.get(code, (errno.EIO, ""))
        raise OSError(number, usual or said or os.strerror(number))
    if kind != wanted:
        raise ConnectionError("the server's answer is not to what was asked")
    return fields
