"""Any filesystem duct as a filesystem of fsspec's, for the libraries that take one.

Nothing imports this module when it loads, as it needs fsspec for its base class.
"""

from __future__ import annotations

import datetime
import errno
import os
import re
from collections.abc import Callable, Iterator
from glob import has_magic
from typing import Any, cast

from fsspec import AbstractFileSystem
from fsspec.utils import stringify_path, tokenize

from omniduct.filesystems import transfer
from omniduct.filesystems.base import FileSystemClient, FileSystemFileDesc
from omniduct.filesystems.errors import failure
from omniduct.filesystems.fsspec.adapted import Reader, Text, Whole

__all__ = ["DuctFileSystem"]


class DuctFileSystem(AbstractFileSystem):
    """A filesystem duct, as fsspec sees it.

    Relative paths and "~" mean what they mean to the duct, and what it refuses stays refused. A file that is
    written is whole, or is not there: it appears when it is closed, and not when its ``with`` block fails.

    Parameters
    ----------
    duct : FileSystemClient
        Where the files are.
    auto_mkdir : bool
        Whether writing a file makes the folders that lead to it.
    """

    protocol = "duct"
    root_marker = "/"
    cachable = False

    def __init__(self, duct: FileSystemClient, auto_mkdir: bool = True, **storage_options: Any) -> None:
        super().__init__(**storage_options)
        self.duct = duct
        self.auto_mkdir = auto_mkdir
        self.protocol = f"duct-{re.sub('[^a-z0-9]+', '-', duct.name.lower())}"
        self._strip_protocol: Callable[[Any], Any] = self._absolute  # the class knows no working folder

    @property
    def fsid(self) -> str:
        """The duct that it is of."""
        return f"{self.protocol}-{id(self.duct)}"

    @property
    def _fs_token(self) -> str:
        """Two are the same when their ducts are; fsspec would compare what these look like."""
        return str(tokenize(self.fsid, self.auto_mkdir))

    def _absolute(self, path: Any) -> Any:
        if isinstance(path, list):
            return [self._absolute(each) for each in path]
        text = str(stringify_path(path))
        for protocol in (self.protocol, type(self).protocol):
            text = text.removeprefix(f"{protocol}://")
        return self.duct._resolved(text)

    # Looking

    def ls(self, path: Any, detail: bool = True, **kwargs: Any) -> Any:
        """List a folder; of a file, that file."""
        folder = self._absolute(path)
        try:
            infos = [_info(self.duct._child(folder, each.name), each) for each in self.duct.dir(folder)]
        except NotADirectoryError:
            infos = [self.info(folder)]
        return infos if detail else sorted(info["name"] for info in infos)

    def info(self, path: Any, **kwargs: Any) -> dict[str, Any]:
        """Describe a file or folder."""
        target = self._absolute(path)
        with self.duct._telling("look for", target):
            return _info(target, self.duct._describe(target))

    def exists(self, path: Any, **kwargs: Any) -> bool:
        """Whether there is a file or folder; what keeps one from looking is an error."""
        return self.duct.exists(self._absolute(path))

    def isdir(self, path: Any) -> bool:
        """Whether there is a folder."""
        return self.duct.isdir(self._absolute(path))

    def isfile(self, path: Any) -> bool:
        """Whether there is a file."""
        return self.duct.isfile(self._absolute(path))

    def walk(
        self,
        path: Any,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: Any = "omit",
        detail: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[str, Any, Any]]:
        """Go through a folder and all beneath it; links to folders are listed, and not followed."""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        folder = self._absolute(path)
        try:
            infos = {os.path.basename(info["name"]): info for info in self.ls(folder)}
        except OSError as error:
            if on_error == "raise":
                raise
            if callable(on_error):
                on_error(error)
            return
        if infos.keys() == {os.path.basename(folder)} and infos[os.path.basename(folder)]["name"] == folder:
            infos = {"": infos.popitem()[1]}  # it is a file
        found = {name: info for name, info in infos.items() if info["type"] == "directory"}
        others = {name: info for name, info in infos.items() if info["type"] != "directory"}
        dirs, files = (found, others) if detail else (cast(Any, list(found)), cast(Any, list(others)))
        if topdown:
            yield folder, dirs, files
        if maxdepth is None or maxdepth > 1:
            deeper = None if maxdepth is None else maxdepth - 1
            for name in list(dirs):
                info = found.get(name)
                if not (info and info.get("islink")):
                    below = self.duct._child(folder, name)
                    yield from self.walk(below, deeper, topdown, on_error, detail, **kwargs)
        if not topdown:
            yield folder, dirs, files

    def created(self, path: Any) -> datetime.datetime:
        """When a file was made, where the filesystem says it."""
        time = self._entry(path).created
        if time is None:
            raise NotImplementedError(f"{self.duct.name} does not say when {path!r} was made")
        return time

    def modified(self, path: Any) -> datetime.datetime:
        """When a file was last changed; now, where nobody knows, so that nothing old is taken for it."""
        return self._entry(path).last_modified or datetime.datetime.now(datetime.timezone.utc)

    def _entry(self, path: Any) -> FileSystemFileDesc:
        target = self._absolute(path)
        with self.duct._telling("look for", target):
            return self.duct._describe(target)

    # Changing

    def mkdir(self, path: Any, create_parents: bool = True, **kwargs: Any) -> None:
        """Make a folder, which must not be there."""
        self.duct.mkdir(self._absolute(path), recursive=create_parents)

    def makedirs(self, path: Any, exist_ok: bool = False) -> None:
        """Make a folder, with those that lead to it."""
        self.duct.mkdir(self._absolute(path), exist_ok=exist_ok)

    def rmdir(self, path: Any) -> None:
        """Remove an empty folder."""
        target = self._absolute(path)
        for _ in self.duct.dir(target):
            raise failure(self.duct, "remove", target, errno.ENOTEMPTY)
        self.duct.remove(target, recursive=True)

    def rm_file(self, path: Any) -> None:
        """Remove a file."""
        self.duct.remove(self._absolute(path))

    _rm = rm_file

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files, and folders if `recursive`."""
        if maxdepth is None:
            for each in self.expand_path(path):
                self.duct.remove(each, recursive=recursive)
            return
        for each in reversed(self.expand_path(path, recursive=recursive, maxdepth=maxdepth)):
            if self.isdir(each):
                self.rmdir(each)
            else:
                self.rm_file(each)

    def cp_file(self, path1: Any, path2: Any, **kwargs: Any) -> None:
        """Copy a file; of a folder, make the folder."""
        source, dest = self._absolute(path1), self._absolute(path2)
        if self.duct.isdir(source):
            self.duct.mkdir(dest, exist_ok=True)
            return
        self._make_way(dest)
        if self.duct.isdir(dest):
            raise failure(self.duct, "write", dest, errno.EISDIR)
        self.duct.download(source, dest, overwrite=True, fs=self.duct, progress=False)

    def mv(
        self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any
    ) -> None:
        """Move a file, or a folder if `recursive`; by one renaming where the filesystem can."""
        plain = isinstance(path1, str) and not has_magic(path1) and maxdepth is None
        if plain:
            self.duct._writable(self._absolute(path1), "move")  # before anything is copied
        if not plain or not self.duct._supplies("_rename"):
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)
            return
        source, dest = self._absolute(path1), self._absolute(path2)
        if self.duct.isdir(source) and not recursive:
            raise failure(self.duct, "move", source, errno.EISDIR, "it is a folder; recursive=True moves it")
        if path2.endswith("/") or self.duct.isdir(dest):
            dest = self.duct._child(dest, os.path.basename(source))
        if source != dest:
            self._make_way(dest)
            transfer.move(self.duct, source, self.duct._writable(dest, "write"))

    # Reading and writing

    def open(self, path: Any, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
        """Open a file. Text is in UTF-8 unless an `encoding` says otherwise."""
        if "b" in mode or kwargs.get("compression") is not None or len(args) > 2:
            return super().open(path, mode, *args, **kwargs)
        text = {name: kwargs.pop(name, None) for name in ("encoding", "errors", "newline")}
        text["encoding"] = text["encoding"] or "utf-8"
        return Text(super().open(path, f"{mode.replace('t', '')}b", *args, **kwargs), **text)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Any = None,
        **kwargs: Any,
    ) -> Any:
        if mode == "rb":
            return Reader.of(self.duct.open(path, mode), lambda: self.info(path)["size"])
        if "r" not in mode:
            self._make_way(path)
        if mode == "xb" and self.duct.exists(path):
            raise failure(self.duct, "open", path, errno.EEXIST)
        if mode in ("wb", "xb"):
            return Whole(self.duct.open_atomic(path, "wb"), autocommit)
        return self.duct.open(path, mode)

    def _make_way(self, path: str) -> None:
        """Make the folder that something is to be put in."""
        folder = self.duct._parted(path)[0]
        if self.auto_mkdir and not self.duct.isdir(folder):
            self.duct.mkdir(folder, exist_ok=True)

    def cat_file(self, path: Any, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Read a file, or what is between two places in it; as in a slice, negative ones are from its end."""
        target = self._absolute(path)
        if (start or 0) < 0 or (end or 0) < 0:
            start, end, _ = slice(start, end).indices(self.info(target)["size"])
        with self.duct.open(target, "rb") as file:
            if start:
                file.seek(start)
            return cast(bytes, file.read() if end is None else file.read(max(0, end - (start or 0))))


def _info(path: str, entry: FileSystemFileDesc) -> dict[str, Any]:
    """An entry as fsspec writes them: sizes of folders are 0, times in seconds."""
    info = {
        "name": path,
        "size": 0 if entry.type == "directory" else entry.bytes,
        "type": entry.type,
        "created": entry.created and entry.created.timestamp(),
        "mtime": entry.last_modified and entry.last_modified.timestamp(),
        "owner": entry.owner,
        "group": entry.group,
        "islink": (entry.extra or {}).get("is_link"),
    }
    return {key: value for key, value in info.items() if value is not None or key == "size"}
