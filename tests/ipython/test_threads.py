"""Threads that have something to say to a page; that they do, tests in real kernels see."""

from __future__ import annotations

import contextvars
import queue
from types import SimpleNamespace

import pytest

from omniduct.ipython import threads

parent: contextvars.ContextVar[str] = contextvars.ContextVar("parent")


def seen_in_a_thread() -> str | None:
    seen: queue.Queue[str | None] = queue.Queue()
    parent.set("the cell that started it")
    threads.start("sees", lambda: seen.put(parent.get(None)))
    return seen.get(timeout=10)


def test_a_thread_belongs_to_no_cell() -> None:
    assert seen_in_a_thread() is None


def test_a_thread_belongs_to_its_cell_where_it_could_send_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = SimpleNamespace(get_parent=parent.get)  # as in ipykernel 7.0, which is not installed here
    monkeypatch.setattr(threads, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
    assert seen_in_a_thread() == "the cell that started it"
