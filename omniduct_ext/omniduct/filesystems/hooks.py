"""The contract of a filesystem's protocol: what its class supplies, and what it may supply besides.

``_isdir``, ``_isfile``, ``_dir``, ``_mkdir``, ``_remove``, and either ``_open`` or ``_file_read_`` and
``_file_write_`` make a whole protocol, with the hooks of `Duct`. Every other hook has a default, and is
worth writing where the protocol does better. Paths are absolute, without "." and "..".
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from omniduct.filesystems import listing, streams, transfer
from omniduct.filesystems.listing import FileSystemFileDesc
from omniduct.filesystems.paths import PathMethods

if TYPE_CHECKING:
    from omniduct.filesystems.base import FileSystemClient

__all__ = ["FileSystemHooks"]


class FileSystemHooks(PathMethods):
    """What a protocol may replace; a part of `FileSystemClient`."""

    def _supplies(self, hook: str) -> bool:
        """Whether the subclass supplies a hook that it need not."""
        return getattr(type(self), hook) is not getattr(FileSystemHooks, hook)

    def _exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        return self._isfile(path) or self._isdir(path)

    def _isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        raise self._not_supplied("_isdir")

    def _isfile(self, path: str) -> bool:
        """Whether there is a file."""
        raise self._not_supplied("_isfile")

    def _dir(self, path: str) -> Iterator[FileSystemFileDesc]:
        """Describe what is in a folder."""
        raise self._not_supplied("_dir")

    def _walk(self, path: str) -> Iterator[tuple[str, list[str], list[str]]]:
        """Go through a folder and all beneath it."""
        return listing.walk(_own(self), path)

    def _find(self, path_prefix: str, **attrs: Any) -> Iterator[FileSystemFileDesc]:
        """Find what is beneath a folder, or has a path that begins so."""
        return listing.find(_own(self), path_prefix, attrs)

    def _mkdir(self, path: str, recursive: bool, exist_ok: bool) -> None:
        """Make a folder; with `recursive`, those that lead to it too."""
        raise self._not_supplied("_mkdir")

    def _remove(self, path: str, recursive: bool) -> None:
        """Remove a file or a link; with `recursive`, a folder with all that is in it."""
        raise self._not_supplied("_remove")

    def _open(self, path: str, mode: str) -> IO[Any]:
        """Open a file; by default one made of ``_file_read_``, ``_file_write_`` and ``_file_append_``."""
        return streams.opened(_own(self), path, mode)

    def _file_read_(self, path: str, size: int = -1, offset: int = 0, binary: bool = False) -> Any:
        """Read at most `size` bytes from `offset`, all that follow if `size` is -1; b"" at the end."""
        raise self._not_supplied("_file_read_")

    def _file_write_(self, path: str, s: Any, binary: bool) -> None:
        """Write a file anew. `s` is bytes, as `binary` says."""
        raise self._not_supplied("_file_write_")

    def _file_append_(self, path: str, s: Any, binary: bool) -> None:
        """Write at the end of a file. Without this hook, files are written in one piece when closed."""
        raise self._not_supplied("_file_append_")

    def _download(self, source: str, dest: str, overwrite: bool, fs: FileSystemClient) -> None:
        """Copy a file or folder to a path on `fs`."""
        transfer.copy(_own(self), source, fs, dest)

    def _rename(self, path: str, new_path: str) -> None:
        """Give a file or folder another path, in the place of a file that has it. May be left out."""
        raise self._not_supplied("_rename")

    def _islink(self, path: str) -> bool:
        """Whether the path itself is a link, wherever that leads. May be left out."""
        return False

    def _real_path(self, path: str) -> str:
        """The path without any links. May be left out."""
        return path

    def _describe(self, path: str) -> FileSystemFileDesc:
        """Describe a file or folder. By default it is looked for in its folder. May be left out."""
        folder, name = self._parted(path)
        if not name:
            return FileSystemFileDesc(path, "", "directory")
        for entry in self._dir(folder):
            if entry.name == name:
                return entry
        raise FileNotFoundError(errno.ENOENT, "there is no such file or folder", path)

    def _not_supplied(self, hook: str) -> NotImplementedError:
        return NotImplementedError(f"{self.name}: {type(self).__name__} does not supply the hook {hook}")


def _own(hooks: FileSystemHooks) -> FileSystemClient:
    return cast("FileSystemClient", hooks)
