"""Copying files and folders from one filesystem to another."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from omniduct.errors import DuctWarning
from omniduct.filesystems import streams
from omniduct.filesystems.errors import failure
from omniduct.filesystems.progress import CURRENT, Meter

if TYPE_CHECKING:
    from omniduct.filesystems.base import FileSystemClient

__all__ = ["copy", "move", "pour", "whole"]

_PIECE = 1 << 20  # bytes read and written at a time


def copy(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient, dest: str) -> None:
    """Copy a file or a folder; a folder that is there already is filled up, its files replaced."""
    if source_fs is dest_fs and source == dest:
        raise failure(source_fs, "copy", source, errno.EEXIST, "it would be copied onto itself")
    if source_fs._isdir(source):
        _copy_folder(source_fs, source, dest_fs, dest)
    elif not source_fs._isfile(source):  # to open a pipe would be to wait for whoever writes to it
        raise failure(source_fs, "copy", source, errno.EINVAL, "it is neither a file nor a folder")
    else:
        _copy_file(source_fs, source, dest_fs, dest)


def _copy_file(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient, dest: str) -> None:
    with _reading(source_fs, source) as reader, whole(dest_fs, dest, "wb") as writer:
        pour(source_fs, source, reader, dest_fs, dest, writer)


@contextlib.contextmanager
def _reading(fs: FileSystemClient, path: str) -> Iterator[IO[Any]]:
    with fs._telling("open", path):
        file = fs._open(path, "rb")
    with file:
        yield file


def pour(
    source_fs: FileSystemClient,
    source: str,
    reader: IO[Any],
    dest_fs: FileSystemClient,
    dest: str,
    writer: IO[Any],
) -> None:
    """Write all that there is to read, piece by piece; an error says which of the two it is about."""
    meter = CURRENT.get() or Meter(source_fs.name)
    meter.begin(source, reader.tell())
    while True:
        with source_fs._telling("read", source):
            piece = reader.read(_PIECE)
        if not piece:
            break
        with dest_fs._telling("write", dest):
            writer.write(piece)
        meter.add(len(piece))
    meter.end()


def _copy_folder(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient, dest: str) -> None:
    tree = _tree(source_fs, source)
    if _is_within(source_fs, source, dest_fs, dest):
        tree = iter(list(tree))  # it must not grow by what is copied
    if dest_fs._supplies("_rename") and not dest_fs._exists(dest):
        with _aside(dest_fs, dest) as part:
            _fill(source_fs, source, dest_fs, part, tree, is_new=True)
    else:
        _fill(source_fs, source, dest_fs, dest, tree, is_new=False)


def _is_within(source_fs: FileSystemClient, source: str, dest_fs: FileSystemClient, dest: str) -> bool:
    """Whether a folder may be copied into itself; two ducts may well lead to one filesystem."""
    inside = dest_fs._within(dest, source)
    return inside or dest_fs._within(dest_fs._real_path(dest), source_fs._real_path(source))


def _fill(
    source_fs: FileSystemClient,
    source: str,
    dest_fs: FileSystemClient,
    dest: str,
    tree: Iterator[tuple[tuple[str, ...], bool]],
    is_new: bool,
) -> None:
    """Copy what is in a folder.

    One that is new has a temporary name itself, so that what is in it needs none: half of the round trips.
    """
    for parts, is_folder in tree:
        origin, target = source_fs._child(source, *parts), dest_fs._child(dest, *parts)
        if is_folder:
            if is_new or not dest_fs._isdir(target):
                with dest_fs._telling("make", target):
                    dest_fs._mkdir(target, not parts, True)
        elif not is_new:
            _copy_file(source_fs, origin, dest_fs, target)
        else:
            with _reading(source_fs, origin) as reader, _written(dest_fs, target, "wb", target) as writer:
                pour(source_fs, origin, reader, dest_fs, target, writer)


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
def whole(fs: FileSystemClient, path: str, mode: str, *text: str | None) -> Iterator[IO[Any]]:
    """A file to write to, which is at `path` once it is whole; when writing fails, nothing new is.

    Parameters
    ----------
    *text : str, optional
        The encoding, and what `open` takes besides.
    """
    if fs._isdir(path):
        raise failure(fs, "write", path, errno.EISDIR)
    path = fs._real_path(path)  # a link to a file stays one
    if fs._supplies("_rename"):
        with _aside(fs, path) as part, _written(fs, part, mode, path, *text) as file:
            yield file
    else:
        with _written(fs, path, mode, path, *text) as file:
            yield file


@contextlib.contextmanager
def _written(fs: FileSystemClient, path: str, mode: str, told: str, *text: str | None) -> Iterator[IO[Any]]:
    """A file that is discarded, or else removed, when writing to it fails."""
    with fs._telling("write", told):
        file = streams.opened_as(fs, path, mode, *text)
    try:
        yield file
        with fs._telling("write", told):
            file.close()
    except BaseException:
        untouched = streams.discard(file)
        with contextlib.suppress(Exception):
            file.close()
        if not untouched:
            _remove(fs, path)
        raise


@contextlib.contextmanager
def _aside(fs: FileSystemClient, path: str) -> Iterator[str]:
    """A temporary name beside `path`; what is made there gets its name in the end."""
    part = fs._child(fs._parted(path)[0], f".{os.urandom(16).hex()}.part")  # fits where a long name does
    try:
        yield part
        with fs._telling("write", path):
            fs._rename(part, path)
    except BaseException:
        _remove(fs, part)
        raise


def move(fs: FileSystemClient, source: str, dest: str) -> None:
    """Give a file or a folder another path on the same filesystem, which can do so."""
    if not fs._islink(source) and not fs._exists(source):
        raise fs._missing("move", source)
    with fs._telling("move", source):
        fs._rename(source, dest)


def _remove(fs: FileSystemClient, path: str) -> None:
    """Remove what was left half made, if it can be."""
    with contextlib.suppress(Exception):
        if fs._exists(path):
            fs._remove(path, True)
