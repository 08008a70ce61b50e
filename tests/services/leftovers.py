"""What some code leaves open: files of this process, sockets among them, and threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from tests.services.tcp import until

__all__ = ["nothing_is_left"]


@contextlib.contextmanager
def nothing_is_left() -> Iterator[None]:
    """After this block nothing stays open that was opened in it, and no thread stays that was started in it.

    What ends does so in its own time; and so may what was there before.
    """
    files, threads = _files(), set(threading.enumerate())
    yield
    until(lambda: not _files() - files, "the end of the files that were opened")
    until(lambda: not set(threading.enumerate()) - threads, "the end of the threads that were started")


def _files() -> set[tuple[str, str]]:
    """The open files, each with its number, as two may be of one name."""
    found = set()
    for number in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the one that lists them has been closed
            found.add((number, os.readlink(f"/dev/fd/{number}")))
    return found
