"""A person who presses Ctrl-C, threads that call while others do, what they leave, and how long it takes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any


def wait_until(fulfilled: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.002)


def quickest(scenario: Callable[[], float], enough: float, tries: int = 3) -> float:
    """The fewest seconds that a scenario tells, which is tried again while they are more than enough.

    So a bound can be strict on a machine that is busy now and then.
    """
    told: list[float] = []
    while not told or (min(told) >= enough and len(told) < tries):
        told.append(scenario())
    return min(told)


class Caller(threading.Thread):
    """A thread that calls a function, and keeps what came of it."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self.result: object = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error

    def ended(self, seconds: float = 10.0) -> Caller:
        self.join(seconds)
        assert not self.is_alive(), "the thread hangs"
        return self


class NewThreads:
    """The threads that omniduct begins from now on: those that tests before have left are none of them."""

    def __init__(self) -> None:
        self._others = set(threading.enumerate())

    def names(self) -> list[str]:
        """The names of those that have not ended."""
        new = set(threading.enumerate()) - self._others
        return [thread.name for thread in new if thread.name.startswith("omniduct")]


class Person:
    """Sends SIGINT to this process at given moments.

    One that falls into a destructor is lost to Python: it is sent once more.
    """

    def __init__(self, seconds: tuple[float, ...], when: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._when = when
        self._lost = False
        self.satisfied = False
        sys.unraisablehook = self._note
        self._thread = threading.Thread(target=self._press, daemon=True)

    def start(self) -> Person:
        self._thread.start()
        return self

    def leave(self) -> None:
        """Press no more."""
        self.satisfied = True
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _note(self, swallowed: Any) -> None:
        if isinstance(swallowed.exc_value, KeyboardInterrupt):
            self._lost = True
        else:
            sys.__unraisablehook__(swallowed)

    def _press(self) -> None:
        wait_until(self._when)
        begun = time.perf_counter()
        for delay in self._seconds:
            while time.perf_counter() - begun < delay:
                time.sleep(0 if delay < 0.005 else 0.0005)
            os.kill(os.getpid(), signal.SIGINT)
        while not self.satisfied:
            time.sleep(0.002)
            if self._lost and not self.satisfied:
                self._lost = False
                os.kill(os.getpid(), signal.SIGINT)


def interrupted(call: Callable[[], object], *seconds: float, when: Callable[[], bool] = lambda: True) -> str:
    """What the KeyboardInterrupt says that a call ends with, when the person interrupts it then."""
    said: list[str] = []
    person = Person(seconds, when)
    try:
        try:
            person.start()
            call()
            raise AssertionError("it ended as if nothing had happened")
        except KeyboardInterrupt as error:
            said.append(str(error))
            signal.signal(signal.SIGINT, lambda *_: None)  # later ones are for nobody
    except KeyboardInterrupt:  # one that came before that
        signal.signal(signal.SIGINT, lambda *_: None)
    person.leave()
    time.sleep(0.003)  # the last may still be on its way
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return said[0] if said else ""
