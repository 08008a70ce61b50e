"""FileSystemClient: what every filesystem duct can do, whatever its protocol."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar

from omniduct.core.arguments import did_you_mean
from omniduct.duct import Duct
from omniduct.errors import DuctArgumentError
from omniduct.filesystems import listing, resuming, streams, transfer
from omniduct.filesystems.errors import DuctFileError, DuctReadOnly, failure
from omniduct.filesystems.hooks import FileSystemHooks
from omniduct.filesystems.listing import FileSystemFileDesc
from omniduct.filesystems.magics import FileSystemMagics
from omniduct.filesystems.paths import PathLike
from omniduct.filesystems.progress import Meter, Wanted

if TYPE_CHECKING:
    import pandas as pd
    from fsspec import AbstractFileSystem
    from pyarrow.fs import PyFileSystem

__all__ = ["DuctFileError", "DuctReadOnly", "FileSystemClient", "FileSystemFileDesc"]

_Item = TypeVar("_Item")


class FileSystemClient(FileSystemMagics, FileSystemHooks):
    """A filesystem: files and folders by path, wherever they are.

    A path is a text or an `os.PathLike`. One that begins with "~" starts from `path_home`, any other
    relative one from `path_cwd`. What fails raises Python's own kind of `OSError` (`FileNotFoundError` and so
    on), which is a `DuctError` too.

    A subclass supplies ``_connect``, ``_is_connected``, ``_disconnect``, ``_isdir``, ``_isfile``, ``_dir``,
    ``_mkdir``, ``_remove``, and either ``_open`` or ``_file_read_`` and ``_file_write_``. Its hooks get
    absolute paths without "." and "..", and may raise what they like. Everything else is here.

    Parameters
    ----------
    cwd : str, optional
        The folder that relative paths start from; by default the home folder.
    home : str, optional
        The home folder; by default the one that the filesystem says.
    read_only : bool
        Whether every write is refused.
    global_writes : bool
        Whether to write outside the home folder, too. It guards against slips: a link is not followed to
        see where it leads.
    **kwargs
        The arguments of `omniduct.Duct`.
    """

    DUCT_TYPE = Duct.Type.FILESYSTEM

    KEEPS_TO_HOME: ClassVar[bool] = True
    """Whether writes outside the home folder need `global_writes`."""

    def __init__(
        self,
        cwd: PathLike | None = None,
        home: PathLike | None = None,
        read_only: bool = False,
        global_writes: bool = False,
        **kwargs: Any,
    ) -> None:
        self.read_only = read_only
        self.global_writes = global_writes
        super().__init__(cwd=cwd, home=home, **kwargs)

    def _arguments_now(self) -> dict[str, Any]:
        return {
            **super()._arguments_now(),
            "read_only": self.read_only,
            "global_writes": self.global_writes,
        }

    # Looking

    def exists(self, path: PathLike) -> bool:
        """Whether there is a file or folder."""
        target = self._resolved(path)
        with self._telling("look for", target):
            return bool(self._exists(target))

    def isdir(self, path: PathLike) -> bool:
        """Whether there is a folder."""
        target = self._resolved(path)
        with self._telling("look for", target):
            return bool(self._isdir(target))

    def isfile(self, path: PathLike) -> bool:
        """Whether there is a file."""
        target = self._resolved(path)
        with self._telling("look for", target):
            return bool(self._isfile(target))

    def dir(self, path: PathLike | None = None) -> Iterator[FileSystemFileDesc]:
        """Describe what is in a folder, in the order in which the filesystem lists it.

        Parameters
        ----------
        path : str or os.PathLike, optional
            The folder; by default `path_cwd`.

        Raises
        ------
        FileNotFoundError, NotADirectoryError
            There is no such folder; near misses are named.
        """
        folder = self._folder(path, "list")
        return self._telling_each("list", folder, lambda: self._dir(folder))

    def listdir(self, path: PathLike | None = None) -> list[str]:
        """List the names in a folder, sorted."""
        return sorted(entry.name for entry in self.dir(path))

    def showdir(self, path: PathLike | None = None) -> pd.DataFrame:
        """Describe what is in a folder: a frame with a row each, sorted by name.

        Its columns are the fields of `FileSystemFileDesc`, but for `extra`, the path last.
        """
        return listing.frame(sorted(self.dir(path), key=lambda entry: entry.name))

    def walk(self, path: PathLike | None = None) -> Iterator[tuple[str, list[str], list[str]]]:
        """Go through a folder and all beneath it, as `os.walk` does.

        Yields
        ------
        tuple
            The path of a folder, the names of the folders in it, and those of everything else. Names
            taken out of the former list are not entered. Links are not followed, nor are folders that may
            not be read.
        """
        folder = self._folder(path, "walk")
        return self._telling_each("walk", folder, lambda: self._walk(folder))

    def find(self, path_prefix: PathLike | None = None, **attrs: Any) -> Iterator[FileSystemFileDesc]:
        """Find files and folders, whatever folder they are in.

        Parameters
        ----------
        path_prefix : str or os.PathLike, optional
            A folder, or what a path begins with; by default `path_cwd`.
        **attrs
            For fields of `FileSystemFileDesc`: the value it has, or a function that is true of it. What is
            unknown (None) does not match a function.

        Examples
        --------
        >>> from omniduct.filesystems.local import LocalFsClient
        >>> files = LocalFsClient()
        >>> large = files.find("~", type="file", bytes=lambda n: n > 1_000_000)
        """
        for attribute in attrs:
            if attribute not in FileSystemFileDesc._fields:
                hint = did_you_mean(attribute, FileSystemFileDesc._fields)
                raise DuctArgumentError(f"{self.name}: a file has no attribute {attribute!r}{hint}")
        prefix = self.path_cwd if path_prefix is None else self._resolved(path_prefix)
        if not self.isdir(prefix):
            self._folder(self._parted(prefix)[0], "search")
        return self._telling_each("search", prefix, lambda: self._find(prefix, **attrs))

    # Changing

    def mkdir(self, path: PathLike, recursive: bool = True, exist_ok: bool = False) -> None:
        """Make a folder.

        Parameters
        ----------
        recursive : bool
            Whether to make the folders that lead to it, too.
        exist_ok : bool
            Whether it may be there already.

        Raises
        ------
        FileExistsError
            It is there, or a file of that name is.
        FileNotFoundError
            The folder to make it in is not there, and `recursive` is False.
        """
        target = self._writable(path, "make")
        with self._telling("make", target):
            if self._exists(target):
                if exist_ok and self._isdir(target):
                    return
                raise failure(self, "make", target, errno.EEXIST)
            if not recursive and not self._isdir(self._parted(target)[0]):
                raise self._missing("make", target)
            self._mkdir(target, recursive, exist_ok)

    def remove(self, path: PathLike, recursive: bool = False) -> None:
        """Remove a file, or a folder with all that is in it. Of a link, the link.

        Parameters
        ----------
        recursive : bool
            Whether to remove a folder.

        Raises
        ------
        FileNotFoundError
            There is no such file or folder.
        IsADirectoryError
            It is a folder, and `recursive` is False.
        PermissionError
            The home folder, or one that it is in, is never removed.
        """
        target = self._writable(path, "remove")
        with self._telling("remove", target):
            is_link = self._islink(target)
            if not is_link and not self._exists(target):
                raise self._missing("remove", target)
            if not is_link and self._isdir(target):
                if not recursive:
                    why = "it is a folder; recursive=True removes it with all that is in it"
                    raise failure(self, "remove", target, errno.EISDIR, why)
                if self._within(self.path_home, target):
                    why = "the home folder is in it" if target != self.path_home else "it is the home folder"
                    raise self._refused("remove", target, why)
            self._remove(target, recursive)

    # Reading and writing

    def open(
        self,
        path: PathLike,
        mode: str = "rt",
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open a file.

        Parameters
        ----------
        mode : str
            As for Python's own `open`.
        encoding : str, optional
            Of text; by default UTF-8, whatever the machine's own is.
        errors, newline : str, optional
            Of text, as for Python's own `open`.

        Raises
        ------
        FileNotFoundError, FileExistsError, IsADirectoryError, PermissionError
            As Python's own `open` does.

        Examples
        --------
        >>> import tempfile
        >>> from omniduct.filesystems.local import LocalFsClient
        >>> files = LocalFsClient(cwd=tempfile.mkdtemp())
        >>> with files.open("cities.txt", "wt", encoding="latin-1") as file:
        ...     _ = file.write("Köln")
        >>> with files.open("cities.txt", "rb") as file:
        ...     len(file.read())
        4
        """
        streams.check_mode(self.name, mode, encoding, errors, newline)
        target = self._resolved(path) if set(mode) <= set("rbt") else self._writable(path, "open")
        with self._telling("open", target):
            return streams.opened_as(self, target, mode, encoding, errors, newline)

    def open_atomic(
        self,
        path: PathLike,
        mode: str = "wb",
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> AbstractContextManager[IO[Any]]:
        """Open a file for writing that is whole in the end, or not there.

        It is written under a temporary name beside `path`, which it replaces when the ``with`` block ends
        well. Where a filesystem cannot rename, it is written in its place, and removed if that fails.
        `encoding`, `errors` and `newline` are as for `open`.

        Examples
        --------
        >>> import tempfile
        >>> from omniduct.filesystems.local import LocalFsClient
        >>> files = LocalFsClient(cwd=tempfile.mkdtemp())
        >>> with files.open_atomic("numbers.csv", "wt") as file:
        ...     _ = file.write("1,2,3")
        >>> files.listdir()
        ['numbers.csv']
        """
        if mode not in ("wb", "wt", "w"):
            raise DuctArgumentError(f"{self.name}: mode cannot be {mode!r}; it is 'wb' or 'wt'")
        streams.check_mode(self.name, mode, encoding, errors, newline)
        return transfer.whole(self, self._writable(path, "write"), mode, encoding, errors, newline)

    def download(
        self,
        source: PathLike,
        dest: PathLike | None = None,
        overwrite: bool = False,
        fs: FileSystemClient | None = None,
        progress: Wanted = None,
        resume: bool = False,
    ) -> str:
        """Copy a file, or a folder with all that is in it, from here to another filesystem.

        Parameters
        ----------
        source : str or os.PathLike
            A path here.
        dest : str or os.PathLike, optional
            A path there. One that ends in the separator is a folder to put it in, as is a folder that is
            there when `source` is a file. By default it goes to `path_cwd` there, and keeps its name.
        overwrite : bool
            Whether files that are there may be replaced.
        fs : FileSystemClient, optional
            The other filesystem; by default the local one.
        progress : bool or callable, optional
            Whether to show a line of progress, where a person may look: by default once it takes more than
            a second. Or a function that is called with a `Copied` for every piece; what it raises ends the
            copying.
        resume : bool
            For one large file: what has been copied when it fails stays, under a hidden name beside `dest`,
            and the next call with ``resume=True`` goes on with it, unless `source` has changed.

        Returns
        -------
        str
            The path there. Every file is whole or is not there.

        Raises
        ------
        FileNotFoundError
            There is no `source`.
        FileExistsError
            `dest` is there, and `overwrite` is False.
        """
        other = self._filesystem(fs).connect()
        origin = self._resolved(source)
        meter = Meter(self.name, progress)
        with self._telling("copy", origin):
            if not self._exists(origin):
                raise self._missing("copy", origin)
            is_folder = self._isdir(origin)
            target = other._writable(other._landing(dest, self._parted(origin)[1], is_folder), "write")
            other._check_replaceable(target, overwrite)
        if not is_folder:
            meter.expect(self, origin)
        with self._busy(), other._busy(), meter.running(), self._telling("copy", origin):
            if resume:
                resuming.copy(self, origin, other, target)
            else:
                self._download(origin, target, overwrite, other)
        return target

    def upload(
        self,
        source: PathLike,
        dest: PathLike | None = None,
        overwrite: bool = False,
        fs: FileSystemClient | None = None,
        progress: Wanted = None,
        resume: bool = False,
    ) -> str:
        """Copy a file, or a folder with all that is in it, from another filesystem to here.

        `source` is a path on `fs`, by default the local filesystem, and `dest` one here; all else is as for
        `download`.
        """
        return self._filesystem(fs).download(source, dest, overwrite, self, progress, resume)

    # For other libraries

    @property
    def fsspec(self) -> AbstractFileSystem:
        """The same filesystem for libraries that take one of fsspec's: polars, dask, DuckDB and others.

        Examples
        --------
        >>> import tempfile
        >>> from omniduct.filesystems.local import LocalFsClient
        >>> files = LocalFsClient(cwd=tempfile.mkdtemp())
        >>> files.fsspec.pipe({"a.txt": b"one", "b.txt": b"two"})
        >>> files.fsspec.cat_file("b.txt", -2, None)
        b'wo'
        """
        from omniduct.filesystems.fsspec.adapter import DuctFileSystem

        return DuctFileSystem(self.connect())

    @property
    def pyarrow_fs(self) -> PyFileSystem:
        """The same filesystem for pyarrow, and for pandas by its argument `filesystem`."""
        from pyarrow.fs import PyFileSystem

        from omniduct.filesystems.fsspec.arrow import DuctHandler

        return PyFileSystem(DuctHandler(self.fsspec))

    def _filesystem(self, fs: object) -> FileSystemClient:
        if fs is None:
            from omniduct.filesystems.local import LocalFsClient

            return LocalFsClient()
        if not isinstance(fs, FileSystemClient):
            raise DuctArgumentError(f"{self.name}: fs has to be a filesystem's duct, not {fs!r}")
        return fs

    def _landing(self, dest: PathLike | None, name: str, is_folder: bool) -> PathLike:
        """Where something of that name goes when it is copied to `dest`."""
        text = "" if dest is None else self._text(dest)
        folder = self._resolved(text)
        inside = not text or text.endswith(self._path_separator()) or (not is_folder and self._isdir(folder))
        return self._child(folder, name) if inside else folder

    def _check_replaceable(self, target: str, overwrite: bool) -> None:
        if not overwrite and self._exists(target):
            why = "it exists already; overwrite=True replaces its files"
            raise failure(self, "write", target, errno.EEXIST, why)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Within this block the connection is in use: no check disturbs it."""
        self._life.begin_statement()
        try:
            yield
        finally:
            self._life.end_statement()

    # What may be done where

    def _folder(self, path: PathLike | None, doing: str) -> str:
        """The absolute path of a folder that is there."""
        folder = self.path_cwd if path is None else self._resolved(path)
        with self._telling(doing, folder):
            if not self._isdir(folder):
                if self._exists(folder):
                    raise failure(self, doing, folder, errno.ENOTDIR)
                raise self._missing(doing, folder)
        return folder

    def _writable(self, path: PathLike, doing: str) -> str:
        """The absolute path of what may be written to."""
        text = self._text(path)
        if self.read_only:
            raise self._refused(doing, text, "this duct is read-only (read_only=True)")
        if not text:
            raise failure(self, doing, text, errno.ENOENT, "the path is empty")
        target = self._resolved(text)
        if self.KEEPS_TO_HOME and not self.global_writes and not self._within(target, self.path_home):
            why = f"it is outside the home folder {self.path_home!r}, and global_writes is False"
            raise self._refused(doing, target, why)
        return target

    def _refused(self, doing: str, path: str, why: str) -> DuctReadOnly:
        return DuctReadOnly(errno.EACCES, f"{self.name}: could not {doing} {path!r}: {why}", path)

    def _within(self, path: str, folder: str) -> bool:
        return path == folder or path.startswith(self._child(folder, ""))

    def _telling_each(self, doing: str, path: str, items: Callable[[], Iterable[_Item]]) -> Iterator[_Item]:
        with self._telling(doing, path):
            yield from items()
