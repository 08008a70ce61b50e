"""Keyboard-interactive logins: what the machine asks, answered by the thread that connects."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramiko import Transport

__all__ = ["Round", "converse"]

_FOR_EVER = 24 * 3600.0  # seconds; the machine ends it sooner


@dataclass
class Round:
    """What the machine asks at once.

    Attributes
    ----------
    title, instructions : str
        What it says before.
    prompts : list of tuple of str and bool
        What it asks, and whether the answer may be seen.
    """

    title: str
    instructions: str
    prompts: list[tuple[str, bool]]
    _answers: queue.SimpleQueue[list[str] | None] = field(default_factory=queue.SimpleQueue)


def converse(
    transport: Transport, user: str, reply: Callable[[Round], list[str]], timeout: float
) -> list[str]:
    """Log in by answering what the machine asks, and return what it wants besides.

    paramiko has it answered by the thread that carries the connection; but only the one that connects can
    ask the person.

    Parameters
    ----------
    reply : callable
        Answers a round, in the calling thread.
    timeout : float
        Seconds that the machine has to go on.

    Raises
    ------
    paramiko.AuthenticationException
        It refused what was answered, or said nothing.
    """
    rounds: queue.SimpleQueue[Round | None] = queue.SimpleQueue()
    outcome: list[list[str] | BaseException] = []

    def handler(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        asked = Round(title, instructions, prompts)
        rounds.put(asked)
        answers = asked._answers.get()
        if answers is None:
            raise EOFError("nobody answers")
        return answers

    def work() -> None:
        try:
            outcome.append(list(transport.auth_interactive(user, handler)))
        except BaseException as error:
            outcome.append(error)
        rounds.put(None)

    before, transport.auth_timeout = transport.auth_timeout, _FOR_EVER  # the person may take their time
    threading.Thread(target=work, name="omniduct logs in", daemon=True).start()
    try:
        _answer_all(transport, rounds, reply, timeout)
    finally:
        transport.auth_timeout = before  # for the methods that follow
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _answer_all(
    transport: Transport,
    rounds: queue.SimpleQueue[Round | None],
    reply: Callable[[Round], list[str]],
    timeout: float,
) -> None:
    while True:
        try:
            asked = rounds.get(timeout=timeout)
        except queue.Empty:
            transport.close()  # what waits for it ends
            asked = rounds.get()
        if asked is None:
            return
        answers = None
        try:
            answers = reply(asked) if asked.prompts else []
        finally:
            if answers is None:
                transport.close()
            asked._answers.put(answers)
