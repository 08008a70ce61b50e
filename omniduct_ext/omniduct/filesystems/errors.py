"""What goes wrong with a path: Python's own kinds of `OSError`, which name the duct too."""

from __future__ import annotations

import errno
import os

from omniduct.core import failures
from omniduct.duct import Duct
from omniduct.errors import DuctConnectionError, DuctError

__all__ = [
    "DuctFileDenied",
    "DuctFileError",
    "DuctFileExists",
    "DuctFileNotFound",
    "DuctIsADirectory",
    "DuctNotADirectory",
    "DuctReadOnly",
    "failure",
    "number_of",
    "of_hook",
]


class DuctFileError(DuctError, OSError):
    """Something cannot be done with a file or folder; `filename` is its path, `errno` the number."""

    def __init__(self, number: int, message: str, path: str) -> None:
        OSError.__init__(self, number, message, path)

    def __str__(self) -> str:
        return str(self.strerror)


class DuctFileNotFound(DuctFileError, FileNotFoundError):
    """There is no such file or folder."""


class DuctFileExists(DuctFileError, FileExistsError):
    """It exists already."""


class DuctIsADirectory(DuctFileError, IsADirectoryError):
    """It is a folder, where a file is needed."""


class DuctNotADirectory(DuctFileError, NotADirectoryError):
    """It is a file, where a folder is needed."""


class DuctFileDenied(DuctFileError, PermissionError):
    """The filesystem does not permit it."""


class DuctReadOnly(DuctFileDenied):
    """The duct itself refuses to write: it is read-only, or the path is not beneath its home folder."""


_KINDS: dict[int, tuple[type[DuctFileError], str]] = {
    errno.ENOENT: (DuctFileNotFound, "there is no such file or folder"),
    errno.EEXIST: (DuctFileExists, "it exists already"),
    errno.EISDIR: (DuctIsADirectory, "it is a folder"),
    errno.ENOTDIR: (DuctNotADirectory, "it, or a part of it, is a file and no folder"),
    errno.EACCES: (DuctFileDenied, "permission denied"),
    errno.EPERM: (DuctFileDenied, "not permitted"),
    errno.EROFS: (DuctFileDenied, "the filesystem is read-only"),
}

_OF_CONNECTIONS = {
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENOTCONN,
    errno.EPIPE,
    errno.ETIMEDOUT,
}

_BY_CLASS: tuple[tuple[type[OSError], int], ...] = (
    (FileNotFoundError, errno.ENOENT),
    (FileExistsError, errno.EEXIST),
    (IsADirectoryError, errno.EISDIR),
    (NotADirectoryError, errno.ENOTDIR),
    (PermissionError, errno.EACCES),
)


def failure(duct: Duct, doing: str, path: str, number: int, why: str = "") -> DuctFileError:
    """The error for an `errno`; `doing` is what could not be done, as "open"."""
    kind, usual = _KINDS.get(number, (DuctFileError, os.strerror(number).lower()))
    return kind(number, f"{duct.name}: could not {doing} {path!r}: {why or usual}", path)


def number_of(error: Exception) -> int:
    """The `errno` that an exception stands for; 0 if it is about no path."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _KINDS:
        return number
    return next((usual for kind, usual in _BY_CLASS if isinstance(error, kind)), number or 0)


def of_hook(duct: Duct, doing: str, path: str, error: Exception) -> DuctError:
    """What to tell the person when a hook failed otherwise than by a known `errno`."""
    said = failures.redact(duct, getattr(error, "strerror", None) or str(error).strip())
    said = said or type(error).__name__
    if isinstance(error, (ConnectionError, TimeoutError, EOFError)) or number_of(error) in _OF_CONNECTIONS:
        return DuctConnectionError(f"{duct.name}: could not {doing} {path!r}: the connection failed: {said}")
    return failure(duct, doing, path, number_of(error) or errno.EIO, said)
