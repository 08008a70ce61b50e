"""A duct that somebody else wrote: what it may do without knowing anything of omniduct's inside."""

from __future__ import annotations

import copy
import functools
import inspect
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import pytest
from tests.services.tcp import Service, TcpDuct

from omniduct.duct import Duct
from omniduct.errors import DuctArgumentError, DuctConnectionError
from omniduct.registry import DuctRegistry


class Switchable(ABC):
    @abstractmethod
    def switch(self, on: bool) -> str: ...


class Lamp(Switchable, Duct):
    PROTOCOLS = ["lamp"]
    DUCT_TYPE = Duct.Type.OTHER
    DEFAULT_PORT = 8443

    def _init(self, config=None, parent=None, room="hall"):  # type: ignore[no-untyped-def]
        self.config = config or {}
        self.parent = parent
        self.room = room
        self.socket = None
        self.connection_fields += ("room",)

    def _connect(self):  # type: ignore[no-untyped-def]
        self.socket = socket.create_connection((self.host, self.port), timeout=10)
        self._send(f"login {self.username} {self.room}")

    def _is_connected(self):  # type: ignore[no-untyped-def]
        return self._send("ping") == "pong"

    def _disconnect(self):  # type: ignore[no-untyped-def]
        self._send("bye")
        self.socket.close()

    def _send(self, line):  # type: ignore[no-untyped-def]
        self.socket.sendall(f"{line}\n".encode())
        return self.socket.recv(1024).decode().strip()

    def switch(self, on: bool) -> str:
        return self.connect()._send(f"echo {'on' if on else 'off'} {self.config.get('colour')}")


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


def test_a_third_partys_duct_of_under_40_lines_has_the_whole_life_cycle(service: Service) -> None:
    assert len(inspect.getsource(Lamp).splitlines()) < 40
    config = {"colour": "red"}
    lamp: Any = Duct.for_protocol("lamp")(
        name="lamp", host=service.host, port=service.port, username="ada", config=config, parent=service
    )
    assert (type(lamp), lamp.protocol, lamp.config, lamp.parent) == (Lamp, "lamp", config, service)
    assert lamp.switch(True) == "on red"
    assert lamp.is_connected() and lamp.status.state == "connected"
    service.stop()
    assert not lamp.is_connected() and lamp.status.state == "lost"
    service.start()
    assert lamp.switch(False) == "off red"
    assert lamp.disconnect().socket.fileno() == -1
    assert service.logins == [("ada", "hall")] * 2
    twin = copy.deepcopy(lamp)
    assert (twin.config, twin.room, twin.switch(True)) == (config, "hall", "on red")


def test_a_registry_makes_it_from_a_configuration(service: Service) -> None:
    registry = DuctRegistry(
        {"other": {"lamp": {"protocol": "lamp", "host": service.host, "port": service.port, "room": "attic"}}}
    )
    lamp: Any = registry["lamp"]
    assert lamp.switch(True) == "on None"
    assert service.logins[0][1] == "attic"
    with pytest.raises(DuctArgumentError, match="lamp: Lamp takes no argument 'rooom'; did you mean 'room'"):
        registry.new("lamp", "lamp", override=True, rooom="cellar")


def test_a_field_of_its_own_disconnects_when_it_changes_and_prepares_when_it_is_read(
    service: Service,
) -> None:
    lamp: Any = Lamp(host=lambda _: service.host, port=service.port, username="ada")
    assert callable(lamp._host)
    assert lamp.room == "hall"
    assert lamp._host == service.host
    lamp.switch(True)
    lamp.room = "hall"
    assert lamp.is_connected()
    lamp.room = "attic"
    assert (lamp.status.state, service.sessions) == ("disconnected", 0)
    lamp.switch(True)
    assert service.logins == [("ada", "hall"), ("ada", "attic")]
    lamp.config = {"colour": "green"}  # not one of them
    assert lamp.is_connected()
    assert lamp.reset().room == "attic"


def test_instances_and_classes_do_not_share_their_fields(service: Service) -> None:
    one: Any = Lamp(room="one")
    other: Any = Lamp(room="other")
    assert (one.room, other.room) == ("one", "other")
    assert "room" not in Duct.connection_fields and "room" not in Lamp.connection_fields
    assert not hasattr(Lamp, "room")

    class Chandelier(Lamp):
        room = "ballroom"

        def _init(self, **kwargs: Any) -> None:
            super()._init(**kwargs)
            del self.room  # the class's own

    assert Chandelier.room == "ballroom"
    chandelier: Any = Chandelier()
    assert (chandelier.room, Chandelier.room) == ("ballroom", "ballroom")
    chandelier.room = "foyer"
    assert (chandelier.room, Chandelier.room, one.room) == ("foyer", "ballroom", "one")


def test_a_field_of_its_own_may_be_computed_when_preparing(service: Service) -> None:
    class Roaming(Lamp):
        def _init(self, **kwargs: Any) -> None:
            super()._init(**kwargs)
            self.prepared_fields = (*self.prepared_fields, "room")

    calls: list[object] = []
    lamp: Any = Roaming(
        host=service.host, port=service.port, room=lambda duct: calls.append(duct) or "kitchen"
    )
    lamp.switch(True)
    assert (lamp.room, calls, service.logins[0][1]) == ("kitchen", [lamp], "kitchen")
    lamp.reset()
    assert lamp.room == "kitchen"
    assert len(calls) == 2


def test_fields_may_be_properties_or_computed_once_and_may_be_taken_away(service: Service) -> None:
    class Fancy(TcpDuct):
        connection_fields = ["host", "port", "level", "shade"]

        def _init(self) -> None:
            self.__dict__["level"] = 1

        @property
        def level(self) -> str:
            return f"level {self.__dict__['level']}"

        @level.setter
        def level(self, value: int) -> None:
            self.__dict__["level"] = value * 10

        @functools.cached_property
        def shade(self) -> str:
            return f"of {self.host}"

    duct: Any = Fancy(host=lambda _: service.host, port=service.port, username="ada")
    assert (duct.level, duct.shade, duct.shade) == ("level 1", f"of {service.host}", f"of {service.host}")
    duct.connect()
    duct.username = "grace"  # of no consequence here
    assert duct.is_connected()
    duct.level = 2
    assert (duct.level, duct.status.state) == ("level 20", "disconnected")
    duct.connect()
    duct.shade = "red"
    assert (duct.shade, duct.status.state) == ("red", "disconnected")


def test_a_constructor_of_its_own_may_set_and_read_fields_before_that_of_duct(service: Service) -> None:
    class Early(TcpDuct):
        def __init__(self, level: int = 1, **kwargs: Any) -> None:
            self.connection_fields = (*self.connection_fields, "level")
            self.level = level
            self.double = self.level * 2
            super().__init__(**kwargs)

    for _ in range(2):  # reading prepares from the second instance on
        duct: Any = Early(3, host=f"{service.host}:{service.port}")
        assert (duct.level, duct.double, duct.ask("x")) == (3, 6, "x")
    assert copy.copy(duct).level == 3


def test_its_init_may_settle_fields(service: Service) -> None:
    class Settled(TcpDuct):
        def _init(self, secure: bool = True) -> None:
            self.port = self.port or (443 if secure else 80)
            self.host = self.host or service.host

    assert Settled(host="there:5")._host == "there:5"
    assert (Settled(host="there:5").port, Settled(port=7).port, Settled(secure=False).port) == (5, 7, 80)


def test_it_may_use_names_that_omniduct_uses_and_compare_as_it_likes(service: Service) -> None:
    class Peculiar(TcpDuct):
        __hash__ = None  # type: ignore[assignment]

        def _init(self, status: str = "fine", config: object = None, parent: object = None) -> None:
            self.status, self.config, self.parent = status, config, parent  # type: ignore[misc,assignment]
            self._opened = self._made = "its own"

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        def __bool__(self) -> bool:
            raise AssertionError("asked for its truth")

        def __len__(self) -> int:
            return 0

    duct: Any = Peculiar(host=service.host, port=service.port, status="odd", config=1, parent=2)
    assert duct.ask("x") == "x"
    assert (duct.status, duct.config, duct.parent, duct._opened, duct._made) == (
        "odd",
        1,
        2,
        "its own",
        "its own",
    )
    assert duct.is_connected() is True
    service.stop()
    assert duct.is_connected() is False
    with pytest.raises(DuctConnectionError):
        duct.ask("x")
    assert "failed" in repr(duct)


def test_overriding_prepare_or_the_hook_of_it_is_enough_to_settle_what_is_needed(service: Service) -> None:
    class Hooked(TcpDuct):
        def _prepare(self) -> None:
            self._host, self._port = service.host, str(service.port)
            super()._prepare()
            self.seen = (self.host, self.port)

    class Overridden(TcpDuct):
        def prepare(self) -> None:
            super().prepare()
            self.seen = (self.host, self.port)

    for duct in (Hooked(), Overridden(host=service.host, port=service.port)):
        assert duct.ask("x") == "x"
        assert duct.seen == (service.host, service.port)
        assert duct.is_connected()


def test_a_hook_may_return_anything_that_is_true_or_false(service: Service) -> None:
    class Loose(TcpDuct):
        answer: object = "yes"

        def _is_connected(self) -> bool:
            return self.answer  # type: ignore[return-value]

    duct = Loose(host=service.host, port=service.port).connect()
    assert duct.is_connected() is True
    duct.answer = None
    assert duct.is_connected() is False
