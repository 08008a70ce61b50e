"""A link in a notebook's cell that the person is to follow; no widget, so that every front end shows it."""

from __future__ import annotations

import builtins
import html
import sys
from typing import Any

from IPython.core.getipython import get_ipython

__all__ = ["NotebookLink", "notebook_link"]


class NotebookLink:
    """The link to the login of a duct, in the running cell; from any thread that works for it.

    Parameters
    ----------
    name : str
        Of the duct.
    kernel : ipykernel.kernelbase.Kernel
        The running one.
    """

    def __init__(self, name: str, kernel: Any) -> None:
        self._name = name
        self._kernel = kernel
        self._handle: Any = None

    def can_show(self) -> bool:
        """Whether a cell is running whose page takes input: there somebody sits before it."""
        if not getattr(self._kernel, "_allow_stdin", False):
            return False
        return bool(builtins.input == self._kernel.raw_input)  # the kernel puts that there while a cell runs

    def show(self, url: str) -> None:
        """Show it."""
        from IPython.display import DisplayHandle

        for stream in (sys.stdout, sys.stderr):  # what was printed is sent with a delay
            stream.flush()
        name, address = html.escape(self._name), html.escape(url)
        link = f'<a href="{address}" target="_blank" rel="noopener noreferrer">Log in to {name}</a>'
        self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
        self._handle.display({"text/html": link, "text/plain": f"Log in to {self._name}: {url}"}, raw=True)

    def is_given_up(self) -> bool:
        """Never: the person interrupts the cell."""
        return False

    def close(self, said: str) -> None:
        """Show this instead: the link is of no use any more."""
        if self._handle is not None:
            self._handle.update({"text/plain": said}, raw=True)


def notebook_link(name: str) -> NotebookLink | None:
    """Where to show the link in a notebook; None outside one."""
    kernel = getattr(get_ipython(), "kernel", None)
    return None if kernel is None else NotebookLink(name, kernel)
