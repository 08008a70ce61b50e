"""Threads that have something to say to a page."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import ParamSpec

__all__ = ["start"]

P = ParamSpec("P")


def start(name: str, target: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run a function in a thread that ends with the process, in the context of the caller.

    A kernel looks there for what its messages belong to; that of ipykernel 7.0 sends none without.
    """
    run = contextvars.copy_context().run
    threading.Thread(target=lambda: run(target, *args, **kwargs), name=name, daemon=True).start()
