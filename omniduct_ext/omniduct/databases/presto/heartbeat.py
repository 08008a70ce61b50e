"""Keeps queries alive whose results somebody reads slowly: servers end those that nobody asks after.

Trino and Presto do so after ``query.client.timeout``, five minutes unless it was set.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omniduct.databases.presto.query import Query

__all__ = ["EVERY", "watch_over"]

logger = logging.getLogger("omniduct")

EVERY = 30.0
"""Seconds without a request after which a query is given one."""

_queries: weakref.WeakSet[Query] = weakref.WeakSet()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def watch_over(query: Query) -> None:
    """Keep a query alive as long as somebody holds it, and it has not ended."""
    global _thread
    with _lock:
        _queries.add(query)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_beat, name="omniduct keeps queries alive", daemon=True)
            _thread.start()


def _beat() -> None:
    while _due():
        time.sleep(EVERY / 10)


def _due() -> bool:
    """Give each query its due, in a thread each, as a server may be silent; whether any is left."""
    global _thread
    with _lock:
        queries = [query for query in _queries if not query.is_over and not query.unwanted.is_set()]
        if not queries:
            _queries.clear()
            _thread = None
            return False
    for query in queries:
        if query.is_due(EVERY):
            thread = threading.Thread(
                target=_beat_for, args=(query,), name="omniduct keeps alive", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # Python is too near its end
                thread.start()
    return True


def _beat_for(query: Query) -> None:
    try:
        query.keep_alive()
    except Exception as error:  # whose text may have what is nobody's business
        logger.debug("%s: keeping the query %s alive: %s", query.owner, query.id, type(error).__name__)


def _in_forked_child() -> None:
    """Begin anew: the queries are the parent's, and so is the thread, which may have held the lock."""
    global _queries, _lock, _thread
    _queries, _lock, _thread = weakref.WeakSet(), threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
