"""A line of progress in a notebook's cell; no widget, so that every front end shows it."""

from __future__ import annotations

import time
from html import escape
from typing import Any

from IPython.core.getipython import get_ipython

from omniduct.databases.progress import Line

__all__ = ["notebook_line"]

_EVERY = 0.25  # seconds between two updates: each is a message to the page


class _NotebookLine:
    """An output of the cell that is written over, and empty in the end."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._last = 0.0

    def show(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last < _EVERY:
            return
        self._last = now
        self._display({"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>"})

    def close(self) -> None:
        if self._handle is not None:
            self._display({"text/plain": "", "text/html": ""})

    def _display(self, data: dict[str, str]) -> None:
        from IPython.display import DisplayHandle

        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
            self._handle.display(data, raw=True)
        else:
            self._handle.update(data, raw=True)


def notebook_line() -> Line | None:
    """A line in the running cell; None outside a kernel."""
    return _NotebookLine() if hasattr(get_ipython(), "kernel") else None
