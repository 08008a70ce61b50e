"""Copying files and folders from one filesystem to another."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import warnings
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from omniduct.errors import DuctWarning
from omniduct.filesystems.errors import failure

if TYPE_CHECKING:
    from omniduct.filesystems.base import FileSystemClient

__all__ = ["copy", "whole"]

_PIECE = 1 << 20  # bytes read and written at a time


def copy(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient, dest: str) -> None:
    """Copy a file or a folder; a folder that is there already is filled up, its files replaced."""
    if source_fs is dest_fs and source == dest:
        raise failure(source_fs, "copy", source, errno.EEXIST, "it would be copied onto itself")
    if not source_fs._isdir(source):
        _copy_file(source_fs, source, dest_fs, dest)
    elif dest_fs._supplies("_rename") and not dest_fs._exists(dest):
        with _aside(dest_fs, dest) as part:
            _fill(source_fs, source, dest_fs, part)
    else:
        _fill(source_fs, source, dest_fs, dest)


def _copy_file(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient, dest: str) -> None:
    with source_fs._telling("open", source):
        reader = source_fs._open(source, "rb")
    with reader, whole(dest_fs, dest, "wb") as writer:
        shutil.copyfileobj(reader, writer, _PIECE)


def _fill(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient, dest: str) -> None:
    # The list is made first: it must not grow by what is copied when `dest` lies within `source`.
    for parts, is_folder in list(_tree(source_fs, source)):
        origin, target = source_fs._child(source, *parts), dest_fs._child(dest, *parts)
        if not is_folder:
            _copy_file(source_fs, origin, dest_fs, target)
        elif not dest_fs._isdir(target):
            with dest_fs._telling("make", target):
                dest_fs._mkdir(target, not parts, True)


def _tree(fs: FileSystemClient, folder: str) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Everything in a folder, itself first, as names beneath it and whether it is a folder.

    Links are followed, unless they lead back to a folder that they are in.
    """
    left_out = 0
    pending: list[tuple[tuple[str, ...], frozenset[str]]] = [((), frozenset())]
    while pending:
        parts, above = pending.pop()
        here = fs._child(folder, *parts)
        real = fs._real_path(here)
        if real in above:
            left_out += 1
            continue
        yield parts, True
        with fs._telling("list", here):
            entries = list(fs._dir(here))
        for entry in entries:
            if entry.type == "directory":
                pending.append(((*parts, entry.name), above | {real}))
            elif entry.type in ("link", "other"):
                left_out += 1
            else:
                yield (*parts, entry.name), False
    if left_out:
        warnings.warn(
            f"{fs.name}: {left_out} of the things in {folder!r} were not copied: links that lead nowhere or "
            "in a circle, or things that are neither file nor folder",
            DuctWarning,
            stacklevel=2,
        )


@contextlib.contextmanager
def whole(fs: FileSystemClient, path: str, mode: str) -> Iterator[IO[Any]]:
    """A file to write to, which is at `path` once it is whole; when writing fails, nothing new is."""
    if fs._isdir(path):
        raise failure(fs, "write", path, errno.EISDIR)
    path = fs._real_path(path)  # a link to a file stays one
    if fs._supplies("_rename"):
        with _aside(fs, path) as part, _opened(fs, part, mode, path) as file:
            yield file
        return
    file = _opened(fs, path, mode, path)
    with _removed_on_failure(fs, path), file:
        yield file


def _opened(fs: FileSystemClient, path: str, mode: str, told: str) -> IO[Any]:
    with fs._telling("write", told):
        return fs._open(path, mode)


@contextlib.contextmanager
def _aside(fs: FileSystemClient, path: str) -> Iterator[str]:
    """A temporary name beside `path`; what is made there gets its name in the end."""
    part = fs._child(fs._parted(path)[0], f".{os.urandom(16).hex()}.part")  # fits where a long name does
    with _removed_on_failure(fs, part):
        yield part
        with fs._telling("write", path):
            fs._rename(part, path)


@contextlib.contextmanager
def _removed_on_failure(fs: FileSystemClient, path: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            if fs._exists(path):
                fs._remove(path, True)
        raise
