"""The end: of the process, of a forked child's inheritance, of a duct that nobody holds any more."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["may_clean", "note"]

logger = logging.getLogger("omniduct")

_ducts: weakref.WeakSet[Duct] = weakref.WeakSet()
_inherited: list[object] = []
_owner = os.getpid()


def note(duct: Duct) -> None:
    """Remember a duct, without keeping it alive."""
    _ducts.add(duct)


def may_clean(duct: Duct) -> bool:
    """Whether a duct that is being collected may still talk to its service."""
    return _owner == os.getpid() and not sys.is_finalizing()


def _disconnect_all() -> None:
    """Disconnect everything; what is reached through a remote before the remote itself."""
    for duct in sorted(_ducts, key=_order, reverse=True):
        try:
            duct.disconnect()
        except Exception:
            logger.debug("%s: disconnecting at exit", duct.name, exc_info=True)


def _order(duct: Duct) -> int:
    """How many remotes are between here and there; twice that, and a remote comes after its users."""
    depth = 0 if duct.DUCT_TYPE is duct.Type.REMOTE else 1
    remote = duct._remote
    for _ in range(16):  # a circle of remotes has no depth
        if remote is None or isinstance(remote, str):
            break
        depth += 2
        remote = remote._remote
    return depth


def _in_forked_child() -> None:
    """The connections belong to the parent: forget them, and never let them be closed from here."""
    global _owner
    _owner = os.getpid()
    for duct in list(_ducts):
        _inherited.append(dict(duct.__dict__))
        duct._after_fork()


atexit.register(_disconnect_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
