"""Reach your data from a notebook: every service a Python object and a magic of its own.

In IPython or Jupyter write ``%load_ext omniduct``; in a script, make a `DuctRegistry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from omniduct import errors
    from omniduct.duct import Duct
    from omniduct.registry import DuctRegistry
    from omniduct.utils.magics import MagicsProvider

__version__ = "0.1.0"
__all__ = ["Duct", "DuctRegistry", "MagicsProvider", "__version__", "errors"]

_HOMES = {
    "Duct": "omniduct.duct",
    "DuctRegistry": "omniduct.registry",
    "MagicsProvider": "omniduct.utils.magics",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used."""
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "errors":
        return importlib.import_module("omniduct.errors")
    raise AttributeError(f"module 'omniduct' has no attribute {name!r}")


def load_ipython_extension(ip: InteractiveShell) -> None:
    """What ``%load_ext omniduct`` does: registry, magics and names, from the configuration."""
    from omniduct.ipython import extension

    extension.load(ip)


def unload_ipython_extension(ip: InteractiveShell) -> None:
    """What ``%unload_ext omniduct`` does: take back exactly what loading put in."""
    from omniduct.ipython import extension

    extension.unload(ip)
