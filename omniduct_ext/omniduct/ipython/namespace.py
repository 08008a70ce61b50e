"""The user's variables."""

from __future__ import annotations

from typing import Any

from IPython.core.getipython import get_ipython

__all__ = ["user_namespace"]


def user_namespace() -> dict[str, Any]:
    """The variables of the user's session, live; none outside IPython."""
    shell = get_ipython()
    return {} if shell is None else shell.user_ns
