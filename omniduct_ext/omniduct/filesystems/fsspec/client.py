"""FsspecClient: any filesystem that fsspec has, as a duct."""

from __future__ import annotations

import errno
import io
import threading
from collections.abc import Iterator, Mapping
from typing import IO, Any

from omniduct.core import failures
from omniduct.core.arguments import did_you_mean
from omniduct.errors import DuctAuthenticationError, DuctConfigError
from omniduct.filesystems.base import FileSystemClient, FileSystemFileDesc
from omniduct.filesystems.fsspec import files
from omniduct.filesystems.fsspec.entries import described
from omniduct.filesystems.fsspec.failing import refused_login, told_apart
from omniduct.filesystems.fsspec.places import PORTS, Place, place_of

__all__ = ["FsspecClient"]


class FsspecClient(FileSystemClient):
    """A filesystem of fsspec's: FTP, WebDAV, SMB, an object store, a zip file, and many more.

    Paths begin with "/", wherever theirs do; `root` is what "/" stands for.

    Parameters
    ----------
    filesystem : str
        fsspec's name of it, as "ftp", "memory", "zip" or "gcs".
    options : dict, optional
        The arguments of its constructor. The duct's host, port and login need not be repeated: they go where
        it takes them, also through a remote.
    root : str
        The folder, bucket or URL that "/" stands for.
    **kwargs
        The arguments of `FileSystemClient` and `Duct`.

    Raises
    ------
    DuctConfigError
        It is fsspec's "sftp", which trusts whatever machine answers: protocol ``ssh`` checks. When it
        connects: fsspec knows no such filesystem.
    DuctDriverMissing
        When it connects: the package that fsspec needs for it is not installed.

    Examples
    --------
    >>> files = FsspecClient(filesystem="memory")
    >>> with files.open("notes.txt", "wt") as file:
    ...     _ = file.write("Hello")
    >>> files.listdir()
    ['notes.txt']
    """

    PROTOCOLS = ["fsspec"]

    def __init__(
        self, filesystem: str, options: dict[str, Any] | None = None, root: str = "", **kwargs: Any
    ) -> None:
        self.filesystem = filesystem
        self.options = dict(options or {})
        self.root = root
        self._fs: Any = None
        self._place: Place | None = None
        self._turn = threading.RLock()  # many of them have one connection, on which one speaks at a time
        super().__init__(**kwargs)
        if filesystem in ("sftp", "ssh") and "host_key_policy" not in self.options:
            raise DuctConfigError(
                f"{self.name}: fsspec's {filesystem!r} trusts whatever machine answers; use protocol: ssh, "
                "which checks, or say what it is to do: options: {host_key_policy: auto_add}"
            )

    def _arguments_now(self) -> dict[str, Any]:
        own = {"filesystem": self.filesystem, "options": dict(self.options), "root": self.root}
        return {**super()._arguments_now(), **own}

    def _location(self) -> str:
        return f"{self.filesystem}:{self.root}"

    def _secrets_besides(self) -> list[str]:
        """Whatever an option holds that may be a secret."""
        return [
            value for key, value in self.options.items() if isinstance(value, str) and _may_be_secret(key)
        ]

    def _prepare(self) -> None:
        super()._prepare()
        if self._host is not None and self._port is None:
            self._port = PORTS.get(self.filesystem)

    # Connecting

    def _connect(self) -> None:
        from fsspec.dircache import DirCache

        cls = self._class()
        self._place = place_of(self, cls)
        try:
            made = cls(**self._place.options, skip_instance_cache=True)
        except Exception as error:
            if refused_login(error):
                said = failures.redact(self, str(error))
                raise DuctAuthenticationError(f"{self.name}: the login was refused: {said}") from error
            raise
        made.dircache = DirCache(use_listings_cache=False)  # what others do there is to be seen
        self._fs = made

    def _class(self) -> Any:
        from fsspec.registry import get_filesystem_class, known_implementations

        try:
            return get_filesystem_class(self.filesystem)
        except ValueError:
            hint = did_you_mean(self.filesystem, known_implementations)
            raise DuctConfigError(
                f"{self.name}: fsspec knows no filesystem {self.filesystem!r}{hint}"
            ) from None

    def _is_connected(self) -> bool:
        if self._fs is None:
            return False
        if not self._turn.acquire(blocking=False):
            return True  # somebody uses it
        try:
            self._ask_something()
        except FileNotFoundError:  # that is an answer, too
            return True
        finally:
            self._turn.release()
        return True

    def _ask_something(self) -> None:
        """Ask the service what costs it little, and is not known on this side."""
        link = getattr(self._fs, "ftp", None)
        with self._turn, told_apart(self.filesystem):
            if link is None:
                self._fs.info(self._there("/"))
            elif hasattr(link, "voidcmd"):
                link.voidcmd("NOOP")
            else:
                link.normalize(".")

    def _disconnect(self) -> None:
        fs, self._fs = self._fs, None
        for owner in (fs, getattr(fs, "ftp", None), getattr(fs, "client", None)):
            close = getattr(owner, "close", None)
            if callable(close):
                close()

    def _path_home(self) -> str:
        link = getattr(self._fs, "ftp", None)
        if self.root or link is None:
            return "/"
        with self._turn, told_apart(self.filesystem):
            return str(link.pwd() if hasattr(link, "pwd") else link.normalize("."))

    # Asking it

    @property
    def _where(self) -> Place:
        assert self._place is not None
        return self._place

    def _there(self, path: str) -> str:
        return self._where.path(path)

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with self._turn, told_apart(self.filesystem):
            return getattr(self._fs, method)(*args, **kwargs)

    def _asked(self, doing: str, path: str, function: Any, *args: Any) -> Any:
        """What an open file answers; its errors name the path."""
        with self._telling(doing, path), self._turn, told_apart(self.filesystem):
            return function(*args)

    def _look(self, path: str) -> Mapping[str, Any] | None:
        """What it says of a path; None if nothing is there."""
        if path == "/":
            return {"type": "directory"}
        try:
            info: Mapping[str, Any] = self._ask("info", self._there(path))
        except (FileNotFoundError, NotADirectoryError):
            return self._look_at_page(path) if self._where.quotes else None
        moved = self._where.quotes and str(info.get("url", "")).endswith("/")
        return {"type": "directory"} if moved else info

    def _look_at_page(self, path: str) -> Mapping[str, Any] | None:
        """A folder of a server that does not lead from its name to the page that lists it."""
        try:
            self._ask("info", f"{self._there(path)}/")
        except FileNotFoundError:
            return None
        return {"type": "directory"}

    # The hooks of filesystems

    def _supplies(self, hook: str) -> bool:
        """Of those that move by copying and removing, nobody expects to rename."""
        if hook != "_rename" or self._fs is None:
            return super()._supplies(hook)
        from fsspec import AbstractFileSystem

        return self._where.moves_by_copying or type(self._fs).mv is not AbstractFileSystem.mv

    def _exists(self, path: str) -> bool:
        return self._look(path) is not None

    def _isdir(self, path: str) -> bool:
        return (self._look(path) or {}).get("type") == "directory"

    def _isfile(self, path: str) -> bool:
        return (self._look(path) or {}).get("type") == "file"

    def _islink(self, path: str) -> bool:
        return bool((self._look(path) or {}).get("islink"))

    def _describe(self, path: str) -> FileSystemFileDesc:
        info = self._look(path)
        if info is None:
            raise FileNotFoundError(errno.ENOENT, "there is no such file or folder", path)
        return described(path, self._parted(path)[1], info)

    def _dir(self, path: str) -> Iterator[FileSystemFileDesc]:
        here = self._there(path)
        seen = set()
        for info in self._ask("ls", f"{here}/" if self._where.quotes else here, detail=True):
            name = self._where.name(info["name"], here)
            if name and name not in seen:
                seen.add(name)
                yield described(self._child(path, name), name, info)

    def _mkdir(self, path: str, recursive: bool, exist_ok: bool) -> None:
        self._check_writes()
        if recursive:
            self._ask("makedirs", self._there(path), exist_ok=True)
        else:
            self._ask("mkdir", self._there(path), create_parents=False)

    def _remove(self, path: str, recursive: bool) -> None:
        self._check_writes()
        if recursive and self._isdir(path) and not self._islink(path):
            self._ask("rm", self._there(path), recursive=True)
        else:
            self._ask("rm_file", self._there(path))

    def _rename(self, path: str, new_path: str) -> None:
        more = {"recursive": True} if self._where.moves_by_copying else {}
        self._ask("mv", self._there(path), self._there(new_path), **more)

    def _open(self, path: str, mode: str) -> IO[Any]:
        info = self._look(path)
        kind = self._checked_kind(info, mode)
        there = self._there(path)
        with self._turn, told_apart(self.filesystem):
            streams = self._where.quotes and not files.gives_parts(self._fs, there)
            more = {"block_size": 0} if streams else {}
            file = self._fs.open(there, f"{kind}b", **more)
        return files.opened(self, path, file, mode, seekable=not streams)

    def _checked_kind(self, info: Mapping[str, Any] | None, mode: str) -> str:
        """How to open a file there, "r", "w" or "a"; they check less than Python's own `open` does."""
        kind = mode.strip("bt")
        if "+" in kind:
            raise io.UnsupportedOperation(
                f"fsspec's {self.filesystem!r} cannot read and write a file at once"
            )
        if kind != "r":
            self._check_writes()
        if info is not None and info["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if info is None and kind == "r":
            raise FileNotFoundError(errno.ENOENT, "there is no such file or folder")
        if info is not None and kind == "x":
            raise FileExistsError(errno.EEXIST, "it exists already")
        if info is not None and kind == "a" and not self._where.appends:
            raise io.UnsupportedOperation(f"fsspec's {self.filesystem!r} cannot add to a file")
        return "w" if kind == "x" or (kind == "a" and info is None) else kind

    def _check_writes(self) -> None:
        if self._where.reads_only:
            raise OSError(errno.EROFS, f"fsspec's {self.filesystem!r} can only be read")


def _may_be_secret(option: str) -> bool:
    return any(word in option.lower() for word in ("key", "pass", "secret", "token"))
