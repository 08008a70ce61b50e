"""An extension that does nothing: what ``%load_ext`` itself costs."""

from __future__ import annotations


def load_ipython_extension(ip: object) -> None:
    """Do nothing."""
