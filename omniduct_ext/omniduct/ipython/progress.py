"""Lines of progress in a notebook's cell; no widgets, so that every front end shows them."""

from __future__ import annotations

import contextlib
import html
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from IPython.core.getipython import get_ipython

from omniduct.core.lines import Line
from omniduct.ipython import threads

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["CellStarts", "notebook_line", "show_while"]

logger = logging.getLogger("omniduct")

_COLUMNS = 100
_EVERY = 0.5  # seconds between two updates: each is a message to the page
# As JupyterLab shows plain text, by its own variables; elsewhere as text of a fixed width looks there.
_STYLE = (
    "background: none; margin: 0; padding: 0 0 0 calc(0.6 * var(--jp-code-font-size, 0px)); "
    "font-size: var(--jp-code-font-size, inherit); line-height: var(--jp-code-line-height, inherit)"
)


class CellStarts:
    """Notes where each cell of a kernel begins, in the count of the messages that it sends."""

    messages = -1
    """How many there were when the cell that runs began; -1 while that is not known."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._events = cast("Any", shell).events
        self._events.register("pre_run_cell", _note_cell)

    def close(self) -> None:
        """Note no more."""
        CellStarts.messages = -1
        with contextlib.suppress(ValueError):  # the person has taken it out
            self._events.unregister("pre_run_cell", _note_cell)


def _note_cell(_info: object) -> None:
    CellStarts.messages = _messages()


def _kernel() -> Any:
    return getattr(get_ipython(), "kernel", None)


def _messages() -> int:
    """How many messages the kernel has sent."""
    return int(getattr(getattr(_kernel(), "session", None), "message_count", -1))


class _NotebookLine:
    """An output of the cell that is written over, and taken out in the end.

    The protocol of notebooks has no message that takes one output out, only one that takes all of the
    cell's. So that is sent where this is the cell's only one; otherwise it is left, with nothing in it.
    """

    ascii = False
    width = _COLUMNS

    def __init__(self) -> None:
        self._handle: Any = None
        self._last = 0.0
        for stream in (sys.stdout, sys.stderr):  # what was printed is sent with a delay
            stream.flush()
        self._sent = CellStarts.messages

    def show(self, text: str, link: str) -> None:
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            self._display(_page(text, link))

    def close(self) -> None:
        from IPython import display

        if self._handle is None:
            return
        if self._is_alone():
            cast("Any", display).clear_output()
            CellStarts.messages = _messages()  # the next line may be alone, too
        else:
            self._handle.update({}, raw=True)

    def _is_alone(self) -> bool:
        """Whether the kernel has sent nothing else since the cell began."""
        return self._sent >= 0 and self._sent == _messages()

    def _display(self, page: dict[str, str]) -> None:
        from IPython.display import DisplayHandle

        alone = self._is_alone()
        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
            self._handle.display(page, raw=True)
        else:
            self._handle.update(page, raw=True)
        self._sent = _messages() if alone else -1


def _page(text: str, link: str) -> dict[str, str]:
    """A line as it is displayed: by itself, or with a link behind it that can be clicked."""
    if not link:
        return {"text/plain": text}
    anchor = f'<a href="{html.escape(link)}" target="_blank" rel="noopener noreferrer">web UI</a>'
    return {
        "text/plain": f"{text} {link}",
        "text/html": f'<pre style="{_STYLE}">{html.escape(text)} {anchor}</pre>',
    }


def is_watched() -> bool:
    """Whether a person may look at the running cell: there is none, where a program runs the notebook."""
    # such a program takes no input, and would keep a line in the notebook that it saves
    return bool(getattr(_kernel(), "_allow_stdin", False))


def notebook_line() -> Line | None:
    """A line in the running cell; None outside of those that a person may look at."""
    return _NotebookLine() if is_watched() else None


def show_while(over: threading.Event, describe: Callable[[], tuple[str, str]]) -> bool:
    """Display something in the running cell, and keep it up to date from a thread; False outside a kernel.

    Parameters
    ----------
    over : threading.Event
        Set when it will change no more.
    describe : callable
        What it is now, and a link or nothing.
    """
    if _kernel() is None:
        return False
    from IPython.display import DisplayHandle

    handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]
    ended = over.is_set()  # asked first: it may end while this is shown
    handle.display(_page(*describe()), raw=True)
    if not ended:
        threads.start("omniduct shows progress", _keep, handle, over, describe)
    return True


def _keep(handle: Any, over: threading.Event, describe: Callable[[], tuple[str, str]]) -> None:
    try:
        ended = False
        while not ended:
            ended = over.wait(_EVERY)
            handle.update(_page(*describe()), raw=True)
    except Exception:  # the page is an extra; perhaps the kernel ends
        logger.debug("showing what runs in the background", exc_info=True)
