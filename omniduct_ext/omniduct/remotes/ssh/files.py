"""The files of a machine that is reached by SSH, over SFTP."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import re
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any, TypeVar

from omniduct.filesystems.base import FileSystemClient, FileSystemFileDesc
from omniduct.remotes.ssh.sftp import Attributes, Entry, Session, Wire
from omniduct.remotes.ssh.sftp_file import opened

__all__ = ["SFTPFiles"]

_T = TypeVar("_T")

_AT_ONCE = 100  # entries of a folder that are described at once
_LONGEST = 255  # bytes of a name, nearly everywhere
_OWNERS = re.compile(r"[-a-zA-Z?]{10}\S?\s+\S+\s+(\S+)\s+(\S+)\s+\d+\s")  # in a line of `ls -l`
_TYPES = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


class SFTPFiles(FileSystemClient):
    """The hooks of a filesystem over SFTP; a subclass supplies ``_sftp_channel``.

    There is one session, opened when it is first needed, which all threads share. One that has ended is
    replaced.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._files: Session | None = None
        self._files_lock = threading.Lock()
        self._owners: dict[int, str] = {}
        self._groups: dict[int, str] = {}
        super().__init__(**kwargs)

    # What a subclass supplies

    def _sftp_channel(self) -> Wire:
        """A new channel, at whose other end is the server's SFTP subsystem."""
        raise self._not_supplied("_sftp_channel")

    # The session

    def _sftp(self) -> Session:
        session = self._files
        if session is not None and session.is_open:
            return session
        with self._files_lock:
            if self._files is None or not self._files.is_open:
                self._files = Session(self._sftp_channel(), self.CONNECT_TIMEOUT, _doubter(self))
            return self._files

    def _before_disconnect(self) -> None:
        super()._before_disconnect()
        session, self._files = self._files, None
        if session is not None:
            session.close()

    def _after_fork(self) -> None:
        super()._after_fork()
        session, self._files = self._files, None
        self._files_lock = threading.Lock()
        if session is not None:
            session.forget()

    # Paths

    def _path_home(self) -> str:
        return self._sftp().real_path(".")

    def _real_path(self, path: str) -> str:
        session = self._sftp()
        found = _unless_refused(lambda: session.real_path(path))
        if found is None:  # it is not there, and this server resolves nothing then
            folder, name = self._parted(path)
            real = _unless_refused(lambda: session.real_path(folder))
            found = None if real is None else self._child(real, name)
        return found or path

    # Looking

    def _exists(self, path: str) -> bool:
        return self._mode(path) is not None

    def _isdir(self, path: str) -> bool:
        return stat.S_ISDIR(self._mode(path) or 0)

    def _isfile(self, path: str) -> bool:
        return stat.S_ISREG(self._mode(path) or 0)

    def _islink(self, path: str) -> bool:
        return stat.S_ISLNK(self._mode(path, follow=False) or 0)

    def _mode(self, path: str, follow: bool = True) -> int | None:
        """The kind and permissions of a file; None if it is not there, or cannot be seen."""
        found = _unless_refused(lambda: self._sftp().status(path, follow))
        return None if found is None else found.mode or 0

    def _dir(self, path: str) -> Iterator[FileSystemFileDesc]:
        session = self._sftp()
        with contextlib.closing(session.entries(path)) as entries:
            while some := list(islice(entries, _AT_ONCE)):
                yield from self._described(session, path, some)

    def _describe(self, path: str) -> FileSystemFileDesc:
        session = self._sftp()
        entry = Entry(self._parted(path)[1], "", session.status(path, follow=False))
        is_link = stat.S_ISLNK(entry.attributes.mode or 0)
        behind = {entry.name: _unless_refused(lambda: session.status(path))} if is_link else {}
        return self._description(path, entry, behind)

    def _described(self, session: Session, folder: str, entries: list[Entry]) -> Iterator[FileSystemFileDesc]:
        links = [entry.name for entry in entries if stat.S_ISLNK(entry.attributes.mode or 0)]
        found = session.statuses([self._child(folder, name) for name in links])
        behind = dict(zip(links, found, strict=True))
        for entry in entries:
            self._learn(entry)
        for entry in entries:
            yield self._description(self._child(folder, entry.name), entry, behind)

    def _description(
        self, path: str, entry: Entry, behind: dict[str, Attributes | None]
    ) -> FileSystemFileDesc:
        own = behind.get(entry.name) or entry.attributes
        mode = own.mode or 0
        kind = _TYPES.get(stat.S_IFMT(mode), "other")
        return FileSystemFileDesc(
            path=path,
            name=entry.name,
            type=kind,
            bytes=None if kind == "directory" else own.size,
            owner=_named(self._owners, own.owner),
            group=_named(self._groups, own.group),
            permissions=None if own.mode is None else stat.filemode(mode)[1:],
            last_modified=_time(own.modified),
            last_accessed=_time(own.accessed),
            extra={"is_link": entry.name in behind},
        )

    def _learn(self, entry: Entry) -> None:
        """Note the names of those whose numbers a line shows in words; the protocol has numbers alone."""
        names = _OWNERS.match(entry.line)
        if names and entry.attributes.owner is not None and entry.attributes.group is not None:
            self._owners[entry.attributes.owner] = names[1]
            self._groups[entry.attributes.group] = names[2]

    # Changing

    def _mkdir(self, path: str, recursive: bool, exist_ok: bool) -> None:
        missing = [path]
        while recursive and not self._exists(parent := self._parted(missing[-1])[0]):
            missing.append(parent)
        for folder in reversed(missing):
            try:
                self._sftp().make_folder(folder)
            except OSError as error:
                may_be_there = exist_ok or folder != path  # another was faster, perhaps
                if isinstance(error, ConnectionError) or not (may_be_there and self._isdir(folder)):
                    raise self._explained(error, folder, makes=True) from None

    def _remove(self, path: str, recursive: bool) -> None:
        if stat.S_ISDIR(self._mode(path, follow=False) or 0):
            self._remove_tree(path)
        else:
            self._sftp().remove(path)

    def _remove_tree(self, path: str) -> None:
        """Remove a folder with all that is in it; links are removed, and not followed."""
        session = self._sftp()
        pending = [(path, False)]
        while pending:
            folder, is_empty = pending.pop()
            if is_empty:
                session.remove_folder(folder)
                continue
            entries = [
                (self._child(folder, e.name), stat.S_ISDIR(e.attributes.mode or 0))
                for e in session.entries(folder)
            ]
            pending.append((folder, True))
            pending += [(child, False) for child, is_folder in entries if is_folder]
            session.remove(*(child for child, is_folder in entries if not is_folder))

    def _rename(self, path: str, new_path: str) -> None:
        mode = self._mode(new_path)
        if mode is not None and stat.S_ISREG(mode):
            self._sftp().set_mode(path, mode)  # what others could not read before, they cannot read now
        self._sftp().rename(path, new_path)

    # Reading and writing

    def _open(self, path: str, mode: str) -> IO[Any]:
        try:
            return opened(self, self._sftp(), path, mode)
        except ConnectionError:
            raise
        except OSError as error:
            raise self._explained(error, path, makes="x" in mode) from None

    def _explained(self, error: OSError, path: str, makes: bool) -> OSError:
        """An error of Python's kind for what the server tells by one number for many."""
        if error.errno == errno.EIO:
            mode = self._mode(path, follow=False)
            if mode is not None and makes:
                return FileExistsError(errno.EEXIST, "it exists already", path)
            if stat.S_ISDIR(mode or 0):
                return IsADirectoryError(errno.EISDIR, "it is a folder", path)
        if error.errno == errno.ENOENT and self._isfile(self._parted(path)[0]):
            return NotADirectoryError(errno.ENOTDIR, "a part of it is a file and no folder", path)
        if error.errno == errno.EINVAL and max(map(len, os.fsencode(path).split(b"/"))) > _LONGEST:
            return OSError(errno.ENAMETOOLONG, "a name in it is too long", path)
        return error


def _unless_refused(ask: Callable[[], _T]) -> _T | None:
    """What the server says; None if it does not say it of this file."""
    try:
        return ask()
    except OSError as error:
        if isinstance(error, (ConnectionError, TimeoutError)):  # it says nothing any more
            raise
        return None


def _doubter(fs: FileSystemClient) -> Any:
    """What lets the next use of a duct check its connection first; it does not keep the duct."""
    known = weakref.ref(fs)

    def doubt() -> None:
        duct = known()
        if duct is not None:
            duct._life.doubt()

    return doubt


def _named(names: dict[int, str], number: int | None) -> str | None:
    return None if number is None else names.get(number, str(number))


def _time(seconds: int | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
