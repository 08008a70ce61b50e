"""Questions in the panel's rows, without a page: who asks, who takes over, what becomes of the answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.services.tcp import until

from omniduct.credentials import Question, Withdrawn, ask, prompting_with
from omniduct.errors import Interrupted
from omniduct.ipython.panel.questions import Fields


class Asked(threading.Thread):
    """A thread that asks."""

    def __init__(self, fields: Fields, question: Question) -> None:
        super().__init__(daemon=True)
        self.fields, self.question = fields, question
        self.got: Any = None
        self.start()

    def run(self) -> None:
        try:
            with prompting_with(self.fields):
                self.got = ask(self.question)
        except BaseException as error:
            self.got = error

    def end(self) -> Any:
        self.join(5)
        assert not self.is_alive()
        return self.got


class Cell:
    """A prompter that cannot wait, as a running cell."""

    patient = False

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def can_ask(self) -> bool:
        return True

    def ask(self, question: Question) -> str:
        return self.answer

    def withdraw(self, question: Question) -> None:
        raise AssertionError("a cell's question stays its own")


@pytest.fixture
def fields() -> Fields:
    return Fields(lambda: True, lambda duct: None)


def question(**changes: Any) -> Question:
    return Question(
        **{"duct": "pg", "field": "password", "text": "Password for pg", "kind": "secret", **changes}
    )


def opened(fields: Fields, count: int = 1) -> list[str]:
    """The keys of the open fields, once there are so many."""
    until(lambda: len(fields._open) == count)
    return list(fields._open)


def test_an_answer_reaches_who_asks(fields: Fields) -> None:
    asked = Asked(fields, question())
    (key,) = opened(fields)
    fields.answer(key, "swordfish", keeps=True, saves=False)
    assert asked.end() == "swordfish"
    assert fields._open == {}


def test_an_answer_is_in_no_repr(fields: Fields) -> None:
    noted = []
    fields.answered = noted.append
    asked = Asked(fields, question())
    (key,) = opened(fields)
    fields.answer(key, "swordfish", keeps=False, saves=False)
    asked.end()
    assert "swordfish" not in repr(noted)
    assert noted[0].keeps is False


def test_a_yes_or_no_is_answered_with_one(fields: Fields) -> None:
    asked = Asked(fields, question(kind="confirm", field="host key", text="Trust it?"))
    (key,) = opened(fields)
    fields.answer(key, False, keeps=True, saves=False)
    assert asked.end() is False


def test_who_cancels_a_question_interrupts_who_asks(fields: Fields) -> None:
    asked = Asked(fields, question())
    (key,) = opened(fields)
    fields.dismiss(key)
    assert isinstance(asked.end(), Interrupted)


def test_a_cell_takes_the_question_over_and_both_have_the_answer(fields: Fields) -> None:
    asked = Asked(fields, question())
    opened(fields)
    with prompting_with(Cell("from the cell")):
        assert ask(question()) == "from the cell"
    assert asked.end() == "from the cell"
    assert fields._open == {}


def test_a_cell_takes_over_a_question_whose_field_is_yet_to_open(fields: Fields) -> None:
    in_keyring, taken = threading.Event(), threading.Event()

    def known() -> None:
        if not in_keyring.is_set():  # the first who looks there
            in_keyring.set()
            taken.wait(5)

    asked = Asked(fields, question(known=known))
    in_keyring.wait(5)
    with prompting_with(Cell("from the cell")):
        assert ask(question()) == "from the cell"
    taken.set()
    assert asked.end() == "from the cell"
    assert fields._open == {}


def test_a_second_who_asks_the_same_shares_the_field(fields: Fields) -> None:
    first = Asked(fields, question())
    (key,) = opened(fields)
    second = Asked(fields, question())
    second.join(0.1)
    assert list(fields._open) == [key]
    fields.answer(key, "swordfish", keeps=True, saves=False)
    assert (first.end(), second.end()) == ("swordfish", "swordfish")


def test_an_answer_that_comes_twice_counts_once(fields: Fields) -> None:
    asked = Asked(fields, question())
    (key,) = opened(fields)
    fields.answer(key, "one", keeps=True, saves=False)
    fields.answer(key, "two", keeps=True, saves=False)
    assert asked.end() == "one"
    fields.answer(key, "three", keeps=True, saves=False)


def test_a_withdrawn_question_says_so(fields: Fields) -> None:
    said = []

    def run() -> None:
        try:
            fields.ask(mine)
        except Withdrawn:
            said.append("withdrawn")

    mine = question()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    opened(fields)
    fields.withdraw(mine)
    thread.join(5)
    assert said == ["withdrawn"]
