"""The end: of the process, of a forked child's inheritance, of a duct that nobody holds any more."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from omniduct.core import failures

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["before_the_end", "come_first", "in_order", "in_time", "keep_for_ever", "may_clean", "note"]

PATIENCE = 2.0
"""Seconds for which closing a connection may hold up the end of the process, or the garbage collector."""

_ducts: dict[int, weakref.ref[Duct]] = {}  # by id: a duct need not be hashable
_before: list[Callable[[], object]] = []
_inherited: list[object] = []
_owner = os.getpid()


def note(duct: Duct) -> None:
    """Remember a duct, without keeping it alive."""
    key, forget = id(duct), _ducts.pop
    _ducts[key] = weakref.ref(duct, lambda _: forget(key, None))


def _alive() -> list[Duct]:
    return [duct for reference in list(_ducts.values()) if (duct := reference()) is not None]


def may_clean() -> bool:
    """Whether a duct that is being collected may still talk to its service."""
    return _owner == os.getpid() and not sys.is_finalizing()


def before_the_end(function: Callable[[], object]) -> None:
    """Have something called when the process ends, before all connections are closed."""
    _before.append(function)


def come_first() -> None:
    """Close connections before a driver that was imported meanwhile ends its own affairs.

    Firebird's crashes the process if connections are open then.
    """
    atexit.unregister(_disconnect_all)
    atexit.register(_disconnect_all)


def _disconnect_all() -> None:
    """Disconnect everything."""
    for function in _before:
        function()
    for duct in in_order(_alive()):
        in_time(duct, duct.disconnect)


def in_time(duct: Duct, close: Callable[[], object]) -> None:
    """Close a connection, without waiting for ever.

    A service that is gone may never answer a goodbye; and the collector may run in any thread, even in
    the one that would carry the answer.
    """

    def work() -> None:
        try:
            close()
        except Exception as error:
            failures.log(duct, "disconnecting", error)

    if duct._host is None and duct._remote is None:  # nothing to wait for, but perhaps bound to this thread
        work()
        return
    thread = threading.Thread(target=work, daemon=True, name=f"omniduct disconnects {duct.name}")
    try:
        thread.start()
    except RuntimeError:  # Python is too near its end
        work()
    else:
        thread.join(PATIENCE)


def in_order(ducts: Iterable[Duct]) -> list[Duct]:
    """Ducts in the order to disconnect them: what is reached through a remote before the remote itself."""
    return sorted(ducts, key=_order, reverse=True)


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
    for duct in _alive():
        keep_for_ever(dict(duct.__dict__))
        try:
            duct._after_fork()
        except Exception as error:  # the others are to forget theirs, too
            failures.log(duct, "forgetting the parent's connection", error)


def keep_for_ever(inherited: object) -> None:
    """Never let the parent's drivers' objects be destroyed, as that may say goodbye to the service."""
    _inherited.append(inherited)
    try:
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))  # also at the end, when modules are cleared
    except (ImportError, AttributeError):  # another Python than CPython
        return


atexit.register(_disconnect_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
