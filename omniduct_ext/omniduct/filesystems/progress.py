"""How far the copying of files is, and who hears of it."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from omniduct.core.lines import SHOWN_AFTER, Line, is_watched, new_line

if TYPE_CHECKING:
    from omniduct.filesystems.base import FileSystemClient

__all__ = ["CURRENT", "Copied", "Meter", "Wanted", "shown"]

logger = logging.getLogger("omniduct")

_EVERY = 0.1  # seconds between two looks at a line


class Copied(NamedTuple):
    """How far copying is.

    Attributes
    ----------
    path : str
        The file that is read.
    bytes : int
        Those copied so far, of all files.
    total : int, optional
        Those that there are to copy; None for a folder, and where the filesystem does not say.
    files : int
        Those that are complete.
    """

    path: str
    bytes: int
    total: int | None
    files: int


Wanted = bool | Callable[[Copied], object] | None
"""Whether to show a line, None: once it takes more than a second; or a function to tell."""


class Meter:
    """Counts what is copied, and tells of it.

    Parameters
    ----------
    name : str
        Of the duct that is copied from.
    wanted : bool or callable, optional
        A function is told of every piece. A line is shown only where a person may look; a main thread's
        only, as those of others would stand in its way.
    """

    def __init__(self, name: str, wanted: Wanted = False) -> None:
        self._name = name
        self._tell = wanted if callable(wanted) else None
        in_sight = threading.current_thread() is threading.main_thread()
        self._shows = not self._tell and wanted is not False and in_sight and is_watched()
        self._started = time.monotonic()
        self._looks = self._started + (0 if wanted is True else SHOWN_AFTER)
        self._line: Line | None = None
        self._copied = Copied("", 0, None, 0)

    def expect(self, fs: FileSystemClient, path: str) -> None:
        """Note the size of a file that is to be copied by itself, if anybody is to hear of it."""
        if self._tell or self._shows:
            with contextlib.suppress(Exception):  # it is an extra
                self._copied = self._copied._replace(total=fs._describe(path).bytes)

    def begin(self, path: str, done: int = 0) -> None:
        """Note the file that is copied now; of one that is resumed, the bytes that were there."""
        self._copied = self._copied._replace(path=path, bytes=self._copied.bytes + done)

    def add(self, size: int) -> None:
        """Note that some bytes were copied."""
        self._note(self._copied._replace(bytes=self._copied.bytes + size))

    def end(self) -> None:
        """Note that a file is complete."""
        self._note(self._copied._replace(files=self._copied.files + 1))

    def _note(self, copied: Copied) -> None:
        self._copied = copied
        if self._tell:
            self._tell(copied)
        elif self._shows and time.monotonic() >= self._looks:
            self._show()

    def _show(self) -> None:
        self._looks = time.monotonic() + _EVERY
        try:
            line = self._line = self._line or new_line()
            line.show(shown(self._name, self._copied, time.monotonic() - self._started, line), "")
        except Exception:  # it is an extra
            self._shows = False
            logger.debug("%s: showing progress", self._name, exc_info=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Within this it is what copying tells; the line goes in the end."""
        token = CURRENT.set(self)
        try:
            yield
        finally:
            CURRENT.reset(token)
            if self._line is not None:
                with contextlib.suppress(Exception):
                    self._line.close()


def shown(name: str, copied: Copied, seconds: float, line: Line) -> str:
    """The line, as tqdm writes one."""
    from tqdm import tqdm
    from tqdm.utils import disp_trim

    what = copied.path.rpartition("/")[2] if copied.total is not None else f"{copied.files} files"
    total = copied.total if copied.total and copied.bytes <= copied.total else None
    text = tqdm.format_meter(
        copied.bytes,
        total,  # type: ignore[arg-type]
        seconds,
        ncols=line.width,
        prefix=f"{name}: {what}",
        ascii=line.ascii,
        unit="B",
        unit_scale=True,
    )
    return str(disp_trim(" ".join(text.split("\n")), line.width))


CURRENT: contextvars.ContextVar[Meter | None] = contextvars.ContextVar("omniduct_copying", default=None)
"""What counts the copying on whose behalf the code runs."""
