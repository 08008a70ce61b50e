"""A process that has a database behind a bastion: it does what it is told, and notes what it notices."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["MARK", "Answer", "Notebook"]

MARK = "OMNIDUCT_BENCHMARK_NOTEBOOKS"
"""The environment variable that such a process has, and all that it starts."""


@dataclass(frozen=True)
class Answer:
    """What came of something that it was told.

    Attributes
    ----------
    value : object
        What was returned.
    error : str
        The message of what was raised, if anything was.
    took, at : float
        Seconds; and when it was done, on the clock of `time.monotonic`.
    """

    value: Any
    error: str
    took: float
    at: float


class Notebook:
    """Another process, as a person's kernel is one.

    Parameters
    ----------
    config : mapping
        The ducts `bastion` and `pg`; it has connected when the first answer is there.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.tell("ask")

    def tell(self, what: str) -> None:
        """Have it do something: ``ask``, ``sleep``, ``check``, ``lost`` or ``end``."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")

    def answer(self) -> Answer:
        """What came of the first thing that is not answered yet; waits for it."""
        assert self.process.stdout is not None
        return Answer(**json.loads(self.process.stdout.readline()))

    def told(self, what: str) -> Answer:
        """Have it do something, and wait for what comes of it."""
        self.tell(what)
        return self.answer()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def _work(config: Mapping[str, Any]) -> None:
    from omniduct.registry import DuctRegistry

    registry = DuctRegistry(config)
    ducts: list[Any] = [registry["pg"], registry["bastion"]]
    lost: dict[str, float] = {}
    for duct in ducts:
        duct.status.observe(lambda change, name=duct.name: _note(lost, name, change), "state")
    actions: dict[str, Callable[[], Any]] = {
        "ask": lambda: int(ducts[0].query("SELECT 41 + 1 AS x", format="tuple")[0][0]),
        "sleep": lambda: ducts[0].query("SELECT pg_sleep(600)"),
        "check": lambda: ducts[0].is_connected(),
        "lost": lambda: lost,
        "end": lambda: _end(ducts),
    }
    for line in sys.stdin:
        print(json.dumps(_done(actions[line.strip()])), flush=True)


def _end(ducts: list[Any]) -> None:
    for duct in ducts:
        duct.disconnect()


def _note(lost: dict[str, float], name: str, change: Any) -> None:
    if change.new == "lost":
        lost.setdefault(name, time.monotonic())


def _done(action: Callable[[], Any]) -> dict[str, Any]:
    begun, value, error = time.monotonic(), None, ""
    try:
        value = action()
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    at = time.monotonic()
    return {"value": value, "error": error, "took": at - begun, "at": at}


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _work(json.loads(sys.argv[1]))
