"""Threads that have something to say to a page."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import ParamSpec

from IPython.core.getipython import get_ipython

__all__ = ["start"]

P = ParamSpec("P")


def start(name: str, target: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run a function in a thread from which the kernel sends messages, and which ends with the process."""
    context = contextvars.copy_context()

    def run() -> None:
        if _has_parent():
            target(*args, **kwargs)
        else:
            context.run(target, *args, **kwargs)

    threading.Thread(target=run, name=name, daemon=True).start()


def _has_parent() -> bool:
    """Whether the kernel knows here what its messages belong to; ipykernel 7.0 does where a cell has run."""
    get_parent = getattr(getattr(get_ipython(), "kernel", None), "get_parent", None)
    try:
        if get_parent is not None:
            get_parent()
    except LookupError:
        return False
    return True
