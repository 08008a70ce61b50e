"""Connecting and disconnecting from the panel: in threads, so that the page and the kernel stay free."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from omniduct.core import remembered
from omniduct.core.lifecycle import CONNECTED, CONNECTING
from omniduct.credentials import prompting_with
from omniduct.duct import Duct
from omniduct.errors import DuctError

if TYPE_CHECKING:
    from omniduct.ipython.panel.questions import Answer, Fields

__all__ = ["Doing", "Workers"]

logger = logging.getLogger("omniduct")

Doing = Literal["", "connecting", "disconnecting", "cancelling"]

_AT_ONCE = 16  # ducts that connect at a time; those that wait for the person are not counted


@dataclass(frozen=True)
class _Work:
    """What is done with a duct in a thread; one that is cancelled may end after the next has begun."""

    doing: Doing
    call: Callable[[Duct], None]


class Workers:
    """Connects and disconnects ducts, each in a thread of its own.

    Parameters
    ----------
    fields : Fields
        Asks the person.
    changed : callable
        Told of a duct with which something else is done now.
    """

    def __init__(self, fields: Fields, changed: Callable[[Duct | None], None]) -> None:
        self._fields = fields
        self._changed = changed
        self._works: dict[int, _Work] = {}
        self._places = threading.Semaphore(_AT_ONCE)
        self._answers = threading.local()
        fields.answered = self._note
        fields.waiting = self._aside

    def doing(self, duct: Duct) -> Doing:
        """What is being done with a duct from here."""
        work = self._works.get(id(duct))
        return "" if work is None else work.doing

    def connect(self, duct: Duct) -> None:
        """Connect a duct, unless that is under way from here."""
        if not self.doing(duct):
            self._start(duct, "connecting", self._connect)

    def disconnect(self, duct: Duct) -> None:
        """Disconnect a duct; if it is being connected, that is cancelled."""
        self._fields.dismiss_all(duct)
        connecting = self.doing(duct) == "connecting" or duct._life.state == CONNECTING
        self._start(duct, "cancelling" if connecting else "disconnecting", self._disconnect)

    def _start(self, duct: Duct, doing: Doing, call: Callable[[Duct], None]) -> None:
        work = self._works[id(duct)] = _Work(doing, call)
        self._changed(duct)
        # not the context of the click: a cell's prompter, say, is no business of this thread
        context = contextvars.Context()
        threading.Thread(
            target=context.run,
            args=(self._do, duct, work),
            name=f"omniduct {doing} {duct.name}",
            daemon=True,
        ).start()

    def _do(self, duct: Duct, work: _Work) -> None:
        try:
            work.call(duct)
        except DuctError:  # its status has it, and so has its row
            pass
        except KeyboardInterrupt:  # a question was cancelled
            pass
        except Exception:
            logger.exception("%s: %s from the panel", duct.name, work.doing)
        finally:
            if self._works.get(id(duct)) is work:
                del self._works[id(duct)]
                self._changed(duct)

    def _connect(self, duct: Duct) -> None:
        self._answers.given = []
        with prompting_with(self._fields), self._fields.for_connecting(duct), self._places:
            duct.connect()
        for answer in self._answers.given:
            _keep(answer)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Give one's place to another while the person thinks."""
        self._places.release()
        try:
            yield
        finally:
            self._places.acquire()

    def _disconnect(self, duct: Duct) -> None:
        duct.disconnect()

    def _note(self, answer: Answer) -> None:
        getattr(self._answers, "given", []).append(answer)


def _keep(answer: Answer) -> None:
    """Do with an answer that has served what the person wants."""
    asker, field = answer.question.asker, answer.question.field
    if not isinstance(asker, Duct) or asker._life.state != CONNECTED:
        return
    if not answer.keeps:
        with asker._prepare_lock:
            asker._answers.pop(field, None)
    if answer.saves and isinstance(answer.text, str):
        try:
            remembered.save(asker, answer.text)
        except Exception:  # it is connected all the same
            logger.exception("%s: the keyring has not taken the password", asker.name)
