"""Connecting from the panel, without a page: a service with a password, threads, cancels, the keyring."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.services.tcp import Service, TcpDuct, until

from omniduct.core import remembered
from omniduct.ipython.panel.connecting import Workers
from omniduct.ipython.panel.questions import Fields


class Panel:
    """What a page would do."""

    def __init__(self) -> None:
        self.fields = Fields(lambda: True, lambda duct: None)
        self.workers = Workers(self.fields, lambda duct: None)

    def asked(self, duct: TcpDuct) -> dict[str, Any]:
        """The field in a duct's row, once there is one."""
        until(lambda: self.fields.of(duct), "a question")
        (field,) = self.fields.of(duct)
        return field

    def answer(self, duct: TcpDuct, text: str, keeps: bool = True, saves: bool = False) -> None:
        self.fields.answer(self.asked(duct)["key"], text, keeps, saves)

    def awaits(self, duct: TcpDuct, state: str) -> None:
        until(lambda: duct.status.state == state and not self.workers.doing(duct), f"{duct.name} {state}")


@pytest.fixture
def panel() -> Panel:
    return Panel()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(password="swordfish") as service:
        yield service


@pytest.fixture
def duct(service: Service) -> Iterator[TcpDuct]:
    duct = TcpDuct(name="mine", host=service.host, port=service.port, username="alice", password=True)
    yield duct
    duct.disconnect()


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backends.fail import Keyring

    monkeypatch.setattr(keyring.core, "_keyring_backend", Keyring())


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    package = pytest.importorskip("keyring")
    backends = pytest.importorskip("keyrings.alt.file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(package.core, "_keyring_backend", backends.PlaintextKeyring())
    return package


def test_a_click_does_not_wait_and_an_answer_connects(panel: Panel, duct: TcpDuct) -> None:
    panel.workers.connect(duct)
    assert panel.workers.doing(duct) == "connecting"
    panel.answer(duct, "swordfish")
    panel.awaits(duct, "connected")
    assert duct.password == "swordfish"


def test_a_wrong_answer_is_asked_again_until_there_were_three(panel: Panel, duct: TcpDuct) -> None:
    panel.workers.connect(duct)
    assert panel.asked(duct)["label"] == "Password for mine"
    keys = set()
    for _ in range(3):
        field = panel.asked(duct)
        keys.add(field["key"])
        panel.answer(duct, "wrong")
        until(lambda key=field["key"]: key not in panel.fields._open, "the answer to be taken")
    panel.awaits(duct, "failed")
    assert len(keys) == 3


def test_cancelling_closes_the_question_and_is_no_failure(panel: Panel, duct: TcpDuct) -> None:
    panel.workers.connect(duct)
    panel.asked(duct)
    panel.workers.disconnect(duct)
    until(lambda: not panel.fields.of(duct), "the field to close")  # by the thread that asked
    panel.awaits(duct, "disconnected")


def test_connecting_is_cancelled_while_the_service_is_silent(panel: Panel, service: Service) -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Slow(TcpDuct):
        def _connect(self) -> None:
            entered.set()
            go_on.wait(10)
            super()._connect()

    duct = Slow(name="slow", host=service.host, port=service.port, username="alice", password="swordfish")
    panel.workers.connect(duct)
    assert entered.wait(5)
    panel.workers.disconnect(duct)
    go_on.set()
    panel.awaits(duct, "disconnected")
    until(lambda: service.sessions == 0, "the service to be left")


def test_an_answer_that_is_not_kept_is_asked_for_the_next_time(panel: Panel, duct: TcpDuct) -> None:
    panel.workers.connect(duct)
    panel.answer(duct, "swordfish", keeps=False)
    panel.awaits(duct, "connected")
    duct.disconnect()
    panel.workers.connect(duct)
    panel.answer(duct, "swordfish")
    panel.awaits(duct, "connected")


def test_a_password_is_saved_once_the_service_has_taken_it(panel: Panel, duct: TcpDuct, keyring: Any) -> None:
    panel.workers.connect(duct)
    assert panel.asked(duct)["can_save"]
    panel.answer(duct, "wrong", saves=True)
    until(
        lambda: panel.fields.of(duct) and "refused" in panel.fields.of(duct)[0]["label"], "the question again"
    )
    assert remembered.saved(duct) is None
    panel.answer(duct, "swordfish", saves=True)
    panel.awaits(duct, "connected")
    assert remembered.saved(duct) == "swordfish"
    again = TcpDuct(name="other", host=duct._host, port=duct._port, username="alice", password=True)
    assert again.connect().ask("x")  # nobody is asked
    again.disconnect()


def test_a_saved_password_is_for_its_user_and_place_alone(duct: TcpDuct, keyring: Any) -> None:
    remembered.save(duct, "swordfish")
    other_user = TcpDuct(name="mine", host=duct._host, port=duct._port, username="bob", password=True)
    other_place = TcpDuct(name="mine", host="elsewhere.example.com", port=1, username="alice", password=True)
    assert remembered.saved(other_user) is None
    assert remembered.saved(other_place) is None
    assert remembered.forget(duct)
    assert remembered.saved(duct) is None
    assert not remembered.forget(duct)


def test_a_saved_password_that_is_refused_is_asked_for(panel: Panel, duct: TcpDuct, keyring: Any) -> None:
    remembered.save(duct, "of last year")
    panel.workers.connect(duct)
    assert "refused" in panel.asked(duct)["label"]
    panel.answer(duct, "swordfish", saves=True)
    panel.awaits(duct, "connected")
    assert remembered.saved(duct) == "swordfish"


def test_without_a_keyring_nothing_is_offered(panel: Panel, duct: TcpDuct, no_keyring: None) -> None:
    panel.workers.connect(duct)
    assert not panel.asked(duct)["can_save"]
    panel.workers.disconnect(duct)


def test_thirty_that_wait_for_the_person_do_not_hold_up_others(panel: Panel, service: Service) -> None:
    def made(number: int, password: Any) -> TcpDuct:
        return TcpDuct(
            name=f"d{number}", host=service.host, port=service.port, username="alice", password=password
        )

    asking = [made(number, True) for number in range(30)]
    for duct in asking:
        panel.workers.connect(duct)
    until(lambda: len(panel.fields._open) == 30, "all questions")
    ready = made(99, "swordfish")
    panel.workers.connect(ready)
    panel.awaits(ready, "connected")
    panel.fields.dismiss_all()
    for duct in asking:
        until(lambda duct=duct: not panel.workers.doing(duct), "it to end")
    ready.disconnect()
