"""What is in folders: described, gone through, searched, and shown."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from omniduct.filesystems.errors import number_of

if TYPE_CHECKING:
    import datetime

    import pandas as pd

    from omniduct.filesystems.base import FileSystemClient

__all__ = ["FileSystemFileDesc", "find", "frame", "walk"]


class FileSystemFileDesc(NamedTuple):
    """A file or folder, as its filesystem describes it; what it does not say is None.

    Attributes
    ----------
    path, name : str
        Its absolute path, and the last component of that.
    type : str
        "file", "directory", "link" (one that leads nowhere) or "other" (a socket, a pipe, a device).
    bytes : int
        The size of a file.
    owner, group : str
        Names, or numbers where there are no names.
    permissions : str
        As ``ls`` shows them: "rw-r--r--".
    created, last_modified, last_accessed : datetime.datetime
        With a time zone.
    extra : dict
        Whatever else the filesystem says; `is_link`, if it does, whether it is a link.
    """

    path: str
    name: str
    type: str
    bytes: int | None = None
    owner: str | None = None
    group: str | None = None
    permissions: str | None = None
    created: datetime.datetime | None = None
    last_modified: datetime.datetime | None = None
    last_accessed: datetime.datetime | None = None
    extra: dict[str, Any] | None = None


def walk(fs: FileSystemClient, path: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Go through a folder and all beneath it by ``_dir``; names taken out of a list are not entered."""
    pending = [path]
    while pending:
        folder = pending.pop()
        entries = _entries(fs, folder, path)
        folders = {entry.name: entry for entry in entries if entry.type == "directory"}
        dirs = list(folders)
        yield folder, dirs, [entry.name for entry in entries if entry.type != "directory"]
        for name in reversed(dirs):
            child = fs._child(folder, name)
            if not _is_link(fs, child, folders.get(name)):
                pending.append(child)


def find(fs: FileSystemClient, prefix: str, attrs: Mapping[str, Any]) -> Iterator[FileSystemFileDesc]:
    """Find what fits beneath a folder, or what fits and has a path that begins with `prefix`."""
    top, begins = (prefix, "") if fs._isdir(prefix) else (fs._parted(prefix)[0], prefix)
    pending = [top]
    while pending:
        folder = pending.pop()
        for entry in _entries(fs, folder, top):
            path = fs._child(folder, entry.name)
            if not path.startswith(begins):
                continue
            if all(_fits(getattr(entry, name), wanted) for name, wanted in attrs.items()):
                yield entry
            if entry.type == "directory" and not _is_link(fs, path, entry):
                pending.append(path)


def _is_link(fs: FileSystemClient, path: str, entry: FileSystemFileDesc | None) -> bool:
    """Whether a folder is a link to one: as its description says, else by asking."""
    said = (entry.extra or {}).get("is_link") if entry else None
    return fs._islink(path) if said is None else bool(said)


def _entries(fs: FileSystemClient, folder: str, top: str) -> list[FileSystemFileDesc]:
    """What is in a folder, by name; nothing for one beneath `top` that may not be read, or is gone."""
    try:
        return sorted(fs._dir(folder), key=lambda entry: entry.name)
    except Exception as error:
        if folder == top or number_of(error) not in (errno.EACCES, errno.EPERM, errno.ENOENT):
            raise
        return []


def _fits(value: object, wanted: object | Callable[[Any], object]) -> bool:
    if callable(wanted):
        return value is not None and bool(wanted(value))
    return value == wanted


def frame(entries: list[FileSystemFileDesc]) -> pd.DataFrame:
    """Entries as a frame: a row each, a column for each field but `extra`, the path last."""
    import pandas as pd

    shown = pd.DataFrame(entries, columns=list(FileSystemFileDesc._fields)).drop(columns="extra")
    shown["bytes"] = shown["bytes"].astype("Int64")
    for column in ("created", "last_modified", "last_accessed"):
        shown[column] = pd.to_datetime(shown[column], utc=True)
    return shown[[*shown.columns.drop("path"), "path"]]
