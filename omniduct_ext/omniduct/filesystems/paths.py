"""The paths of a filesystem: joined, parted, and made absolute."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from omniduct.core import failures
from omniduct.core.arguments import did_you_mean
from omniduct.duct import Duct
from omniduct.errors import DuctArgumentError, DuctConnectionError, DuctError
from omniduct.filesystems.errors import failure, number_of, of_hook

if TYPE_CHECKING:
    from omniduct.filesystems.base import FileSystemClient

__all__ = ["PathLike", "PathMethods"]

PathLike = str | os.PathLike[str]
_LOOKED_AT = 1000  # entries of a folder among which near misses are looked for


class PathMethods(Duct):
    """The part of a `FileSystemClient` that deals with paths, and with what goes wrong at one."""

    def __init__(
        self,
        cwd: str | os.PathLike[str] | None = None,
        home: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self._cwd = None if cwd is None else os.fspath(cwd)
        self._home = None if home is None else os.fspath(home)
        self._home_found: str | None = None
        super().__init__(**kwargs)

    def _arguments_now(self) -> dict[str, Any]:
        return {**super()._arguments_now(), "cwd": self._cwd, "home": self._home}

    def _before_disconnect(self) -> None:
        super()._before_disconnect()
        self._home_found = None  # another login may have another one

    @property
    def path_home(self) -> str:
        """The home folder, which "~" stands for."""
        self.connect()
        if self._home_found is None:
            with self._telling("find", "~"):
                self._home_found = self._settled_home()
        return self._home_found

    def _settled_home(self) -> str:
        if self._home is not None and self._home.startswith(self._path_separator()):
            return self._normal(self._home)
        own = self._normal(self._path_home())
        return own if self._home is None else self._normal(self._joined(own, [self._home], own))

    @property
    def path_cwd(self) -> str:
        """The folder that relative paths start from.

        It can be set to the path of a folder that is there, or to None for the default.
        """
        self.connect()
        start = self._path_cwd_default()
        return start if self._cwd is None else self._normal(self._joined(start, [self._cwd]))

    @path_cwd.setter
    def path_cwd(self, path: PathLike | None) -> None:
        self._cwd = None if path is None else _own(self)._folder(path, "change to")

    @property
    def path_separator(self) -> str:
        """What parts the components of a path."""
        return self.connect()._path_separator()

    def path_join(self, path: PathLike, *components: PathLike) -> str:
        """Join paths. One that is absolute, or begins with "~", discards those before it.

        "~" becomes the home folder; "." and ".." stay.
        """
        self.connect()
        return self._joined("", [self._text(each) for each in (path, *components)])

    def path_basename(self, path: PathLike) -> str:
        """The last component of a path; empty if it ends in the separator."""
        return self._text(path).rpartition(self.path_separator)[2]

    def path_dirname(self, path: PathLike) -> str:
        """A path without its last component."""
        self.connect()
        return self._parted(self._text(path))[0]

    def path_normpath(self, path: PathLike) -> str:
        """The absolute path that a path stands for, without "~", ".", ".." and doubled separators."""
        return self._resolved(path)

    def _text(self, path: object) -> str:
        text = os.fspath(path) if isinstance(path, os.PathLike) else path
        if not isinstance(text, str):
            raise DuctArgumentError(f"{self.name}: a path is a text or a path object, not {path!r}")
        return text

    def _joined(self, start: str, components: Iterable[str], home: str | None = None) -> str:
        separator = self._path_separator()
        for each in components:
            if each.startswith(separator):
                start = each
            elif each == "~" or each.startswith(f"~{separator}"):
                start = (self.path_home if home is None else home) + each[1:]
            elif start and not start.endswith(separator):
                start = f"{start}{separator}{each}"
            else:
                start += each
        return start

    def _normal(self, path: str) -> str:
        separator = self._path_separator()
        parts: list[str] = []
        for part in path.split(separator):
            if part == "..":
                del parts[-1:]
            elif part not in ("", "."):
                parts.append(part)
        return separator + separator.join(parts)

    def _resolved(self, path: PathLike) -> str:
        """The absolute path for the hooks; connects first."""
        text = self._text(path)
        absolute = self.connect()._joined("", [text])
        if absolute.startswith(self._path_separator()):
            return self._normal(absolute)
        return self._normal(self._joined(self.path_cwd, [text]))

    def _parted(self, path: str) -> tuple[str, str]:
        """The folder and the name of a path."""
        separator = self._path_separator()
        folder, _, name = path.rpartition(separator)
        return folder.rstrip(separator) or (separator if path.startswith(separator) else ""), name

    def _child(self, folder: str, *names: str) -> str:
        """The path of what a folder lists; a name is taken as it is, even "~"."""
        separator = self._path_separator()
        return separator.join([folder.rstrip(separator), *names]) if names else folder

    # What goes wrong

    @contextlib.contextmanager
    def _telling(self, doing: str, path: str) -> Iterator[None]:
        """Turn what a hook raises into an error that names the duct, what it was doing, and the path."""
        try:
            yield
        except (DuctError, NotImplementedError):
            raise
        except Exception as error:
            if number_of(error) == errno.ENOENT:
                raise self._missing(doing, path) from failures.cause(self, error)
            told = of_hook(self, doing, path, error)
            if isinstance(told, DuctConnectionError):
                self._life.doubt()  # the next use looks first
            raise told from failures.cause(self, error)

    def _missing(self, doing: str, path: str) -> DuctError:
        return failure(
            self, doing, path, errno.ENOENT, f"there is no such file or folder{self._instead(path)}"
        )

    def _instead(self, path: str) -> str:
        """What there is instead of a path that is not there: the end of a sentence."""
        own = _own(self)
        try:
            folder, name = self._parted(path)
            if not own._isdir(folder):
                return f", nor is there the folder {folder!r}"
            return did_you_mean(name, [entry.name for entry in islice(own._dir(folder), _LOOKED_AT)])
        except Exception:  # a hint that cannot be had
            return ""

    # What a subclass supplies

    def _path_cwd_default(self) -> str:
        """The folder that relative paths start from when none was given."""
        return self.path_home

    def _path_home(self) -> str:
        """The home folder that the filesystem says; asked for once a connection."""
        return self._path_separator()

    def _path_separator(self) -> str:
        """What parts the components of a path."""
        return "/"


def _own(paths: PathMethods) -> FileSystemClient:
    return cast("FileSystemClient", paths)
