"""Asking the person from a notebook's cell."""

from __future__ import annotations

import builtins
import threading
from typing import Any

from omniduct.credentials import Prompter, Question, ask_with_input

__all__ = ["NotebookPrompter", "notebook_prompter"]


class NotebookPrompter:
    """Asks through the running cell's own input box; the front end must allow that."""

    patient = False

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def can_ask(self) -> bool:
        """Whether a cell is running whose page takes input; never in another thread or a click."""
        if threading.current_thread() is not threading.main_thread():
            return False
        if not getattr(self._kernel, "_allow_stdin", False):
            return False
        if builtins.input != self._kernel.raw_input:  # the kernel puts that there while a cell runs
            return False
        try:
            header = self._kernel.get_parent("shell").get("header", {})
        except Exception:  # a kernel that keeps no parents
            return True
        return bool(header.get("msg_type") == "execute_request")  # input in a widget's callback can hang

    def ask(self, question: Question) -> str | bool:
        """Ask in the cell; a secret is not echoed, nor kept in the notebook."""
        return ask_with_input(question)

    def withdraw(self, question: Question) -> None:
        """Never called: a cell's question stays its own."""


def notebook_prompter() -> Prompter | None:
    """The prompter of the running kernel; None outside a notebook."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return None if kernel is None else NotebookPrompter(kernel)
