"""What the panel knows of the ducts, without a page."""

from __future__ import annotations

import gc
import math
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from tests.ipython.panel.observing import observers
from tests.services.tcp import Service, TcpDuct, until

from omniduct.ipython.panel.board import Board
from omniduct.registry import DuctRegistry


class Told:
    """What a board has told."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.count = 0
        self.order: list[str] | None = None

    def __call__(self, rows: list[dict[str, Any]], order: list[str] | None) -> None:
        self.count += len(rows)
        self.rows |= {row["names"][0]: row for row in rows}
        self.order = order if order is not None else self.order


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def registry(service: Service) -> Iterator[DuctRegistry]:
    registry = DuctRegistry()
    for name in ("a", "b"):
        registry.register(TcpDuct(name=name, host=service.host, port=service.port))
    yield registry
    registry.clear()


@pytest.fixture
def board(registry: DuctRegistry, told: Told) -> Iterator[Board]:
    board = Board(registry, lambda duct: {"more": duct.name}, told)
    yield board
    board.close()


def test_it_begins_with_all_rows_and_tells_nothing(board: Board, told: Told) -> None:
    assert [(row["names"], row["state"], row["more"]) for row in board.rows()] == [
        (["a"], "disconnected", "a"),
        (["b"], "disconnected", "b"),
    ]
    time.sleep(0.2)
    assert told.count == 0


def test_all_is_told_to_a_view_that_comes_later(board: Board, told: Told) -> None:
    board.tell_all()
    until(lambda: told.order is not None)
    assert told.order == [row["key"] for row in board.rows()]
    assert set(told.rows) == {"a", "b"} and told.count == 2


def test_a_change_is_told_of_its_row_alone(board: Board, told: Told, registry: DuctRegistry) -> None:
    registry["a"].connect()
    until(lambda: told.rows.get("a", {}).get("state") == "connected")
    assert set(told.rows) == {"a"}
    assert told.order is None


def test_a_new_duct_and_one_that_goes_are_told_with_the_order(
    board: Board, told: Told, registry: DuctRegistry, service: Service
) -> None:
    registry.register(TcpDuct(name="c", host=service.host, port=service.port))
    until(lambda: told.order is not None and len(told.order) == 3)
    assert told.rows["c"]["state"] == "disconnected"
    registry.clear(keep=["a"])
    until(lambda: told.order is not None and len(told.order) == 1)
    assert [row["names"] for row in board.rows()] == [["a"]]


def test_another_name_of_a_duct_is_told(
    board: Board, told: Told, registry: DuctRegistry, service: Service
) -> None:
    registry.register(registry["a"], "z")
    until(lambda: told.rows.get("a", {}).get("names") == ["a", "z"])
    registry.register(TcpDuct(name="z", host=service.host, port=service.port), override=True)
    until(lambda: told.rows["a"]["names"] == ["a"])
    assert told.rows["z"]["names"] == ["z"]


def test_a_change_that_could_not_be_told_is_told_with_the_next(
    registry: DuctRegistry, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = threading.Event()
    fails.set()

    def describe(duct: Any) -> dict[str, Any]:
        if fails.is_set():
            raise RuntimeError("dictionary changed size during iteration")
        return {}

    board = Board(registry, describe, told)
    registry["a"].connect()
    until(lambda: not board._wake.is_set() and board._changed, "the change to be kept")
    time.sleep(0.2)
    fails.clear()
    board.note(registry["b"])
    until(lambda: told.rows.get("a", {}).get("state") == "connected")
    board.close()


def test_one_that_closes_while_it_takes_in_ducts_leaves_no_observer(
    registry: DuctRegistry, told: Told
) -> None:
    board = Board(registry, lambda duct: {}, told)
    board.close()
    board._take_in()  # as its thread may, which was about to
    assert observers(registry["a"].status) == []


def test_a_connection_that_is_lost_is_found_while_somebody_looks(
    board: Board, told: Told, registry: DuctRegistry, service: Service
) -> None:
    board.check_every = 0.2
    registry["a"].connect()
    board.see(time.monotonic())
    until(lambda: told.rows.get("a", {}).get("state") == "connected")
    service.stop()
    until(lambda: told.rows["a"]["state"] == "lost")
    assert told.rows["a"]["error"]


def test_nothing_is_checked_when_nobody_looks(
    board: Board, registry: DuctRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.check_every = 0.05
    duct = registry["a"].connect()
    checks = []
    monkeypatch.setattr(duct, "is_connected", lambda: checks.append(1))
    time.sleep(0.3)
    assert checks == []
    board.see(time.monotonic())
    until(lambda: len(checks) > 1)
    board.see(-math.inf)
    time.sleep(0.2)
    seen = len(checks)
    time.sleep(0.3)
    assert len(checks) == seen


def test_a_duct_that_was_never_connected_is_not_checked(
    board: Board, registry: DuctRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.check_every = 0.05
    monkeypatch.setattr(registry["b"], "is_connected", lambda: pytest.fail("it was asked"))
    board.see(time.monotonic())
    time.sleep(0.3)


def test_one_that_is_closed_leaves_nothing_behind(registry: DuctRegistry, told: Told) -> None:
    board = Board(registry, lambda duct: {}, told)
    board.close()
    gone = weakref.ref(board)
    del board
    until(lambda: gc.collect() >= 0 and gone() is None)
    until(lambda: "omniduct panel" not in {thread.name for thread in threading.enumerate()})
    registry["a"].connect()
    time.sleep(0.2)
    assert told.count == 0
