"""The local filesystem."""

from __future__ import annotations

import contextlib
import datetime
import functools
import grp
import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterator
from typing import IO, Any, ClassVar

from omniduct.filesystems.base import FileSystemClient, FileSystemFileDesc

__all__ = ["LocalFsClient"]


class LocalFsClient(FileSystemClient):
    """The filesystem of the machine that Python runs on.

    Relative paths start from the working folder of the process, unless `cwd` says otherwise. Writes are
    not kept to the home folder. It takes the arguments of `FileSystemClient` and `Duct`, and needs no host.

    Examples
    --------
    >>> import tempfile
    >>> files = LocalFsClient(cwd=tempfile.mkdtemp())
    >>> with files.open("notes.txt", "wt") as file:
    ...     _ = file.write("Hello")
    >>> files.listdir()
    ['notes.txt']
    """

    PROTOCOLS: ClassVar[list[str]] = ["localfs"]
    KEEPS_TO_HOME = False

    def _connect(self) -> None:
        """Do nothing: there is nothing to connect to."""

    def _is_connected(self) -> bool:
        return True

    def _disconnect(self) -> None:
        """Do nothing."""

    def _path_home(self) -> str:
        return os.path.expanduser("~")

    def _path_cwd_default(self) -> str:
        return os.getcwd()

    def _exists(self, path: str) -> bool:
        return os.path.exists(path)

    def _isdir(self, path: str) -> bool:
        return os.path.isdir(path)

    def _isfile(self, path: str) -> bool:
        return os.path.isfile(path)

    def _islink(self, path: str) -> bool:
        return os.path.islink(path)

    def _real_path(self, path: str) -> str:
        return os.path.realpath(path)

    def _dir(self, path: str) -> Iterator[FileSystemFileDesc]:
        with os.scandir(path) as entries:
            for entry in entries:
                described = _described(entry)
                if described is not None:
                    yield described

    def _describe(self, path: str) -> FileSystemFileDesc:
        is_link = os.path.islink(path)
        status = os.lstat(path) if is_link and not os.path.exists(path) else os.stat(path)
        return _as_entry(path, os.path.basename(path), status, is_link)

    def _walk(self, path: str) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, dirs, files in os.walk(path):
            dirs.sort()
            yield folder, dirs, sorted(files)

    def _mkdir(self, path: str, recursive: bool, exist_ok: bool) -> None:
        if recursive:
            os.makedirs(path, exist_ok=exist_ok)
        else:
            os.mkdir(path)

    def _remove(self, path: str, recursive: bool) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)

    def _rename(self, path: str, new_path: str) -> None:
        if os.path.isfile(new_path):
            shutil.copymode(new_path, path)  # what others could not read before, they cannot read now
        os.replace(path, new_path)

    def _open(self, path: str, mode: str) -> IO[Any]:
        return open(path, mode, encoding=None if "b" in mode else "utf-8")


def _described(entry: os.DirEntry[str]) -> FileSystemFileDesc | None:
    """What a folder's entry is; None if it is gone already."""
    status = _status(entry)
    return None if status is None else _as_entry(entry.path, entry.name, status, entry.is_symlink())


def _as_entry(path: str, name: str, status: os.stat_result, is_link: bool) -> FileSystemFileDesc:
    kind = _TYPES.get(stat.S_IFMT(status.st_mode), "other")
    born = getattr(status, "st_birthtime", None)  # Linux does not say
    return FileSystemFileDesc(
        path=path,
        name=name,
        type=kind,
        bytes=None if kind == "directory" else status.st_size,
        owner=_name(pwd.getpwuid, status.st_uid),
        group=_name(grp.getgrgid, status.st_gid),
        permissions=stat.filemode(status.st_mode)[1:],
        created=None if born is None else _time(born),
        last_modified=_time(status.st_mtime),
        last_accessed=_time(status.st_atime),
        extra={"is_link": is_link},
    )


_TYPES = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The status of what an entry leads to; of a link itself when it leads nowhere."""
    for follow in (True, False):
        with contextlib.suppress(OSError):
            return entry.stat(follow_symlinks=follow)
    return None


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


@functools.lru_cache(maxsize=512)
def _name(look_up: Callable[[int], tuple[Any, ...]], number: int) -> str:
    with contextlib.suppress(KeyError):
        return str(look_up(number)[0])
    return str(number)
