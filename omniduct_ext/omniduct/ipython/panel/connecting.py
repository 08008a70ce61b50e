"""Connecting and disconnecting from the panel: in threads, so that the page and the kernel stay free."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from omniduct.core import remembered
from omniduct.core.lifecycle import CONNECTED, CONNECTING
from omniduct.credentials import prompting_with
from omniduct.duct import Duct
from omniduct.errors import DuctError
from omniduct.ipython.panel.questions import Answer, Connecting, Fields

__all__ = ["Doing", "Workers"]

logger = logging.getLogger("omniduct")

Doing = Literal["", "connecting", "disconnecting", "cancelling"]

_AT_ONCE = 16  # ducts that connect at a time; those that wait for the person are not counted


@dataclass(frozen=True)
class _Work:
    """What is done with a duct in a thread; one that is cancelled may end after the next has begun."""

    doing: Doing
    call: Callable[[], object]
    connecting: Connecting | None = None


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
            wanted = Connecting(duct)
            self._start(duct, _Work("connecting", functools.partial(self._connect, wanted), wanted))

    def disconnect(self, duct: Duct) -> None:
        """Disconnect a duct; if it is being connected, that is cancelled."""
        self.cancel(duct)
        is_cancel = self.doing(duct) == "connecting" or duct._life.state == CONNECTING
        self._start(duct, _Work("cancelling" if is_cancel else "disconnecting", duct.disconnect))

    def cancel(self, duct: Duct) -> None:
        """Ask nothing for a duct any more, and do not begin to connect it."""
        work = self._works.get(id(duct))
        if work is not None and work.connecting is not None:
            work.connecting.is_cancelled = True  # before the fields: one may be about to open
        self._fields.dismiss_all(duct)

    def _start(self, duct: Duct, work: _Work) -> None:
        self._works[id(duct)] = work
        self._changed(duct)
        # not the context of the click: a cell's prompter, say, is no business of this thread
        context = contextvars.Context()
        threading.Thread(
            target=context.run,
            args=(self._do, duct, work),
            name=f"omniduct {work.doing} {duct.name}",
            daemon=True,
        ).start()

    def _do(self, duct: Duct, work: _Work) -> None:
        try:
            work.call()
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

    def _connect(self, wanted: Connecting) -> None:
        given = self._answers.given = {}
        try:
            with prompting_with(self._fields), self._fields.for_connecting(wanted), self._places:
                if not wanted.is_cancelled:  # while it waited for its place
                    wanted.duct.connect()
        finally:
            for answer in given.values():
                _keep(answer)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Give one's place to another while the person thinks."""
        self._places.release()
        try:
            yield
        finally:
            self._places.acquire()

    def _note(self, answer: Answer) -> None:
        # one that was refused is followed by another, and is itself of no account
        getattr(self._answers, "given", {})[answer.question.key] = answer


def _keep(answer: Answer) -> None:
    """Do with an answer what the person wants; one that has not served is never saved."""
    asker, field = answer.question.asker, answer.question.field
    if not isinstance(asker, Duct):
        return
    is_used = asker._answers.get(field) == answer.text  # else it was refused, or a cell was told another
    if is_used and not answer.keeps:
        with asker._prepare_lock:
            asker._answers.pop(field, None)
    if is_used and answer.saves and isinstance(answer.text, str) and asker._life.state == CONNECTED:
        try:
            remembered.save(asker, answer.text)
        except Exception:  # it is connected all the same
            logger.exception("%s: the keyring has not taken the password", asker.name)
