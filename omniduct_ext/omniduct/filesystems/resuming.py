"""Copying one large file so that it can go on where it was interrupted."""

from __future__ import annotations

import contextlib
import errno
import hashlib
from typing import TYPE_CHECKING

from omniduct.filesystems.errors import failure
from omniduct.filesystems.transfer import pour

if TYPE_CHECKING:
    from omniduct.filesystems.base import FileSystemClient
    from omniduct.filesystems.listing import FileSystemFileDesc

__all__ = ["copy"]

_COMPARED = 64 << 10  # bytes at the end of what is there already


def copy(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient, dest: str) -> None:
    """Copy a file; what comes of it stays beside `dest` when it fails, and is where the next call goes on.

    Its name there is made of where the source is, its size and its time of modification: what is left of
    one that has changed since is not gone on with.
    """
    entry = _checked(source_fs, source, dest_fs)
    if dest_fs._isdir(dest):
        raise failure(dest_fs, "write", dest, errno.EISDIR)
    dest = dest_fs._real_path(dest)
    part = dest_fs._child(dest_fs._parted(dest)[0], _name(source_fs, source, entry))
    start = _good_bytes(source_fs, source, dest_fs, part, entry)
    with source_fs._telling("open", source):
        reader = source_fs._open(source, "rb")
    with reader:
        reader.seek(start)
        with dest_fs._telling("write", dest):
            writer = dest_fs._open(part, "ab" if start else "wb")
        with writer:
            pour(source_fs, source, reader, dest_fs, dest, writer)
    _finish(source_fs, source, dest_fs, dest, part, entry)


def _checked(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient) -> FileSystemFileDesc:
    """The description of a file, if copying it can be resumed."""
    if not source_fs._isfile(source):
        why = "resume=True is for one file" if source_fs._isdir(source) else "it is no file"
        raise failure(source_fs, "copy", source, errno.EINVAL, why)
    entry = _described(source_fs, source)
    if entry.bytes is None or entry.last_modified is None:
        why = "its filesystem does not say its size and when it was changed, which resume=True needs"
        raise failure(source_fs, "copy", source, errno.EINVAL, why)
    if not dest_fs._supplies("_rename"):
        why = f"{dest_fs.name!r} cannot rename files, which resume=True needs"
        raise failure(source_fs, "copy", source, errno.EINVAL, why)
    return entry


def _described(fs: FileSystemClient, path: str) -> FileSystemFileDesc:
    with fs._telling("look for", path):
        return fs._describe(path)


def _name(fs: FileSystemClient, path: str, entry: FileSystemFileDesc) -> str:
    place = type(fs).__name__, fs._host, fs._port, path, entry.bytes, entry.last_modified
    return f".{hashlib.sha256(repr(place).encode(errors='surrogateescape')).hexdigest()[:32]}.part"


def _good_bytes(
    source_fs: FileSystemClient,
    source: str,
    dest_fs: FileSystemClient,
    part: str,
    entry: FileSystemFileDesc,
) -> int:
    """How many bytes there are already, if their end is as the source's; two may have written at once."""
    if not dest_fs._isfile(part):
        return 0
    there = _described(dest_fs, part).bytes or 0
    if there > (entry.bytes or 0):
        return 0
    ends = []
    for fs, path in ((source_fs, source), (dest_fs, part)):
        with fs._telling("read", path), fs._open(path, "rb") as file:
            file.seek(max(0, there - _COMPARED))
            ends.append(file.read(min(there, _COMPARED)))
    return there if ends[0] == ends[1] else 0


def _finish(
    source_fs: FileSystemClient,
    source: str,
    dest_fs: FileSystemClient,
    dest: str,
    part: str,
    entry: FileSystemFileDesc,
) -> None:
    """Give what was copied its name, if it is what the source is now."""
    now, there = _described(source_fs, source), _described(dest_fs, part)
    if (now.bytes, now.last_modified, there.bytes) != (entry.bytes, entry.last_modified, entry.bytes):
        with contextlib.suppress(Exception):
            dest_fs._remove(part, False)
        raise failure(source_fs, "copy", source, errno.EBUSY, "it was changed meanwhile; try again")
    with dest_fs._telling("write", dest):
        dest_fs._rename(part, dest)
