"""What people are told of faults, and how long that takes, as tables in the folder `build`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.databases.presto.scenes import Scene

from omniduct.errors import DuctError
from omniduct.testing.markdown import table

BUILD = Path(__file__).resolve().parents[3] / "build"
LOST = "the result is lost, and the statement can be run again"
PERHAPS = "the statement may or may not have taken effect"
UNNOTICED = "(nothing: the result is exact and complete)"


def write(name: str, head: Sequence[str], rows: Sequence[list[str]]) -> None:
    """Write a table, in order."""
    BUILD.mkdir(exist_ok=True)
    (BUILD / f"{name}.md").write_text(table(head, sorted(rows)) + "\n", encoding="utf-8")


class Faults:
    """The table of what some tests have done to a server, and of what came of it."""

    HEAD = ("fault", "server", "what the person sees", "seconds", "what is left")

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: list[list[str]] = []

    def note(self, scene: Scene, fault: str, said: object = UNNOTICED, seconds: float | None = None) -> None:
        """Add a row; what is left is looked for now."""
        text = said if isinstance(said, str) else f"{type(said).__name__}: {said}"
        text = text if text[0] == "(" else "<br>".join(f"`{line}`" for line in text.splitlines())
        took = "" if seconds is None else f"{seconds:.1f}"
        self._rows.append([fault, scene.server.PROTOCOL, text, took, scene.left()])

    def write(self) -> None:
        """Write it."""
        write(self._name, self.HEAD, self._rows)


def fails(kind: type[DuctError], function: Callable[[], object]) -> str:
    """What the error of a function says: exactly of that kind."""
    with pytest.raises(kind) as raised:
        function()
    assert type(raised.value) is kind
    return str(raised.value)


@contextlib.contextmanager
def timed() -> Iterator[list[float]]:
    """The seconds that the block takes, in a list."""
    seconds: list[float] = []
    begun = time.monotonic()
    yield seconds
    seconds.append(time.monotonic() - begun)
