"""Questions that the panel asks: fields in the rows of the ducts that need the answers."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from omniduct.core import remembered
from omniduct.credentials import Question, Withdrawn
from omniduct.duct import Duct
from omniduct.errors import Interrupted

__all__ = ["Answer", "Connecting", "Fields"]

_numbers = itertools.count(1)


@dataclass
class Connecting:
    """A duct that is being connected from the panel, and whether the person has cancelled that."""

    duct: Duct
    is_cancelled: bool = False


_connecting: ContextVar[Connecting | None] = ContextVar("omniduct_panel_connects", default=None)


@dataclass(frozen=True)
class Answer:
    """What the person said, and what is to become of it.

    Attributes
    ----------
    question : Question
        What was asked.
    text : str or bool
        The answer; a secret is in no repr.
    keeps : bool
        Whether it is kept for this session.
    saves : bool
        Whether it goes into the keyring, once the service has taken it.
    """

    question: Question
    text: str | bool = field(repr=False)
    keeps: bool = True
    saves: bool = False


class _Field:
    """A question that waits for its answer."""

    def __init__(self, question: Question) -> None:
        self.key = str(next(_numbers))
        self.question = question
        self.connecting = _connecting.get()
        self.over = threading.Event()
        self.answer: Answer | None = None
        is_password = question.kind == "secret" and question.field == "password"
        self.can_save = is_password and isinstance(question.asker, Duct) and remembered.can_save()

    @property
    def wanted_by(self) -> Duct | None:
        """The duct that is being connected."""
        return None if self.connecting is None else self.connecting.duct

    def is_unwanted(self) -> bool:
        """Whether it came to be asked too late: by somebody else, or after it was cancelled."""
        is_cancelled = self.connecting is not None and self.connecting.is_cancelled
        return is_cancelled or self.question.withdrawn.is_set()

    def described(self, row: Duct) -> dict[str, Any]:
        question = self.question
        is_own = row is question.asker or question.duct in question.text
        return {
            "key": self.key,
            "kind": question.kind,
            "label": question.text if is_own else f"{question.duct}: {question.text}",
            "field": question.field,
            "can_save": self.can_save,
        }


class _RowLink:
    """A link to a page that the person logs in at, in the row of the duct that is being connected."""

    def __init__(self, fields: Fields, connecting: Connecting, name: str) -> None:
        self.key = str(next(_numbers))
        self.duct = connecting.duct
        self._connecting = connecting
        self._fields = fields
        self._name = name
        self._url = ""
        self._given_up = threading.Event()

    def can_show(self) -> bool:
        return self._fields.can_ask()

    def give_up(self) -> None:
        self._given_up.set()

    def is_given_up(self) -> bool:
        return self._given_up.is_set() or self._connecting.is_cancelled

    def show(self, url: str) -> None:
        self._url = url
        self._fields.put_link(self)

    def close(self, said: str) -> None:
        self._fields.drop_link(self)

    def described(self) -> dict[str, Any]:
        return {"key": self.key, "kind": "link", "label": f"Log in to {self._name}", "url": self._url}


class Fields:
    """Asks in the panel; a `omniduct.credentials.Prompter`.

    Parameters
    ----------
    can_ask : callable
        Whether a page shows the panel.
    changed : callable
        Told of the duct whose fields are others now; None for one that no row is of.
    """

    patient = True

    def __init__(self, can_ask: Callable[[], bool], changed: Callable[[Duct | None], None]) -> None:
        self.can_ask = can_ask
        self._changed = changed
        self._open: dict[str, _Field] = {}
        self._links: dict[str, _RowLink] = {}
        self.answered: Callable[[Answer], None] = lambda answer: None
        self.waiting: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
        self._wanted: list[Duct] = []  # what is being connected

    def ask(self, question: Question) -> str | bool:
        """Show a field, and wait for its answer.

        Raises
        ------
        Withdrawn
            Somebody who cannot wait asks the same now.
        Interrupted
            The person has cancelled it.
        """
        asked = _Field(question)
        self._open[asked.key] = asked
        if asked.is_unwanted():
            asked.over.set()
        self._tell(asked)
        with self.waiting():
            try:
                asked.over.wait()
            finally:
                self._open.pop(asked.key, None)
                self._tell(asked)
        if question.withdrawn.is_set():
            raise Withdrawn
        answer, asked.answer = asked.answer, None
        if answer is None:
            raise Interrupted(f"{question.duct}: was not told its {question.field}")
        self.answered(answer)
        return answer.text

    def withdraw(self, question: Question) -> None:
        """Close the field, also one that is yet to open; `ask` raises `Withdrawn`."""
        question.withdrawn.set()
        for asked in list(self._open.values()):
            if asked.question is question:
                asked.over.set()

    @contextlib.contextmanager
    def for_connecting(self, connecting: Connecting) -> Iterator[None]:
        """Within this, what is asked is for connecting a duct, whichever is asked about."""
        token = _connecting.set(connecting)
        self._wanted.append(connecting.duct)
        self._tell_about(connecting.duct)
        try:
            yield
        finally:
            self._wanted.remove(connecting.duct)
            self._tell_about(connecting.duct)
            _connecting.reset(token)

    def link(self, name: str) -> _RowLink | None:
        """Where a link for logging in is shown; None if no duct is being connected from here."""
        connecting = _connecting.get()
        return None if connecting is None else _RowLink(self, connecting, name)

    def put_link(self, link: _RowLink) -> None:
        """Show a link."""
        self._links[link.key] = link
        self._changed(link.duct)

    def drop_link(self, link: _RowLink) -> None:
        """Show a link no longer."""
        self._links.pop(link.key, None)
        self._changed(link.duct)

    # What the page says

    def answer(self, key: str, text: str | bool, keeps: bool, saves: bool) -> None:
        """Take an answer; one that comes too late is left."""
        asked = self._open.get(key)
        if asked is not None and not asked.over.is_set():
            asked.answer = Answer(asked.question, text, keeps, saves)
            asked.over.set()

    def dismiss(self, key: str) -> None:
        """Cancel a question."""
        asked = self._open.get(key)
        if asked is not None:
            asked.over.set()

    def dismiss_all(self, duct: Duct | None = None) -> None:
        """Cancel all questions that are about a duct or for connecting it, or all there are."""
        for asked in list(self._open.values()):
            if duct is None or duct is asked.question.asker or duct is asked.wanted_by:
                asked.over.set()
        for link in list(self._links.values()):
            if duct is None or duct is link.duct:
                link.give_up()

    def of(self, duct: Duct) -> list[dict[str, Any]]:
        """The open fields and links of a duct, for its row."""
        asked = [each for each in list(self._open.values()) if self._place_of(each) is duct]
        fields = [each.described(duct) for each in asked]
        return fields + [link.described() for link in list(self._links.values()) if link.duct is duct]

    def _place_of(self, asked: _Field) -> Duct | None:
        """The duct in whose row it stands: the one that it is about, if the person is connecting that, too.

        Else it is the one that needs the answer, where the person has clicked.
        """
        asker = asked.question.asker
        if isinstance(asker, Duct) and (asked.wanted_by is None or asker in self._wanted):
            return asker
        return asked.wanted_by

    def _tell(self, asked: _Field) -> None:
        self._changed(self._place_of(asked))

    def _tell_about(self, duct: Duct) -> None:
        """Tell the rows between which the questions about a duct move."""
        for asked in list(self._open.values()):
            if asked.question.asker is duct and asked.wanted_by is not duct:
                self._changed(duct)
                self._changed(asked.wanted_by)
