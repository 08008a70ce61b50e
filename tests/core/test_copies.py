"""What pickle, copy and deepcopy give: a disconnected duct, without literal or prompted secrets."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.services.tcp import Answers, Service, TcpDuct

from omniduct.credentials import prompting_with
from omniduct.duct import Duct
from omniduct.registry import DuctRegistry

SENTINEL = "s3ntinel-password"


def pickled(duct: Any) -> Any:
    data = pickle.dumps(duct)
    assert SENTINEL.encode() not in data
    return pickle.loads(data)


every_way = pytest.mark.parametrize(
    "copied", [pickled, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
Copied = Callable[[Any], Any]


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


class Store(TcpDuct):
    DUCT_TYPE = Duct.Type.CACHE


class Catalogued(TcpDuct):
    """A duct with arguments of its own, one of which the connection depends on."""

    def _init(
        self,
        catalog: str = "hive",
        options: dict[str, list[int]] | None = None,
        limit: int | None = 10,
        finder: Callable[[], object] | None = None,
        near: Duct | None = None,
    ) -> None:
        self.catalog, self.options, self.limit = catalog, options, limit
        self.finder, self.near = finder, near
        self.connection_fields = (*self.connection_fields, "catalog")


class Strict(TcpDuct):
    """A duct whose constructor takes two arguments and no more."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="strict", host=host, port=port, username="ada")


class Levelled(TcpDuct):
    def __init__(self, level: int, *args: Any, **kwargs: Any) -> None:
        self.level = level
        super().__init__(*args, **kwargs)


class Handed(Levelled):
    """A duct whose constructor hands on what it gets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


@every_way
def test_a_copy_is_disconnected_and_reaches_the_same_service(service: Service, copied: Copied) -> None:
    duct = TcpDuct(
        protocol="lines", name="tcp", host=service.host, port=service.port, username="ada"
    ).connect()
    twin = copied(duct)
    assert type(twin) is TcpDuct and twin is not duct
    assert (twin.status.state, twin.line, twin.protocol, twin.name) == ("disconnected", None, "lines", "tcp")
    assert twin.cache_namespace == duct.cache_namespace == "TcpDuct.tcp"
    assert twin.ask("x") == "x"
    assert service.sessions == 2
    twin.disconnect()
    assert duct.is_connected()


@every_way
def test_a_copy_has_no_literal_password_and_asks_for_it(service: Service, copied: Copied) -> None:
    duct = TcpDuct(host=service.host, port=service.port, username="ada", password=SENTINEL).connect()
    twin = copied(duct)
    assert twin._password is True
    with prompting_with(Answers("typed")):
        twin.connect()
    assert service.logins == [("ada", SENTINEL), ("ada", "typed")]


@every_way
def test_a_copy_has_none_of_the_answers(service: Service, copied: Copied) -> None:
    duct = TcpDuct(host=service.host, port=service.port, username=True, password=True)
    with prompting_with(Answers("ada", SENTINEL)):
        duct.connect()
    twin = copied(duct)
    assert (twin._username, twin._password, twin._answers) == (True, True, {})


@every_way
def test_a_copy_keeps_where_its_password_comes_from(copied: Copied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCP_PASSWORD", SENTINEL)
    duct = TcpDuct(password="env:TCP_PASSWORD", username="env:USERNAME_OF_TCP")
    assert duct.password == SENTINEL
    twin = copied(duct)
    assert twin.password == SENTINEL
    assert twin._username == "env:USERNAME_OF_TCP"
    assert copied(TcpDuct(password=rf"\env:{SENTINEL}"))._password is True  # that was a literal


@every_way
def test_a_copy_has_the_fields_as_they_were_given_and_as_they_were_changed(
    service: Service, copied: Copied
) -> None:
    hosts = [f"{service.host}:{service.port}"]
    duct = Catalogued(host=hosts, catalog="hive", limit=None, options={"a": [1]}).connect()
    duct.catalog = "iceberg"
    duct.username = "grace"
    duct.connect()
    twin = copied(duct)
    assert (twin._host, twin._port, twin._username) == (hosts, None, "grace")
    assert (twin.catalog, twin.limit, twin.options) == ("iceberg", None, {"a": [1]})
    assert twin.ask("x") == "x"


def test_a_deep_copy_shares_no_argument_of_its_own_that_can_change() -> None:
    near, options = TcpDuct(name="near"), {"a": [1]}
    duct = Catalogued(options=options, near=near, finder=near.connect)
    twin = copy.deepcopy({"it": duct, "again": duct})
    assert twin["it"] is twin["again"]
    twin["it"].options["a"].append(2)
    assert options == {"a": [1]}
    assert twin["it"].near is near
    assert twin["it"].finder == near.connect
    shallow = copy.copy(duct)
    assert shallow.options is options


def test_copies_share_the_registry_the_remote_and_the_cache() -> None:
    registry = DuctRegistry()
    store = registry.register(Store(name="store"))
    duct = TcpDuct(name="tcp", registry=registry, cache="store")
    for twin in (copy.copy(duct), copy.deepcopy(duct)):
        assert twin.registry is registry
        assert twin.cache is store


def test_a_pickled_duct_leaves_its_registry_behind_and_takes_what_it_looked_up_there_along() -> None:
    registry = DuctRegistry()
    registry.register(Store(name="store", host="there", password=SENTINEL))
    for prepared in (False, True):
        duct = TcpDuct(name="tcp", registry=registry, cache="store")
        if prepared:
            duct.prepare()
        twin = pickled(duct)
        assert twin.registry is None
        assert (type(twin.cache), twin.cache.name, twin.cache._host) == (Store, "store", "there")
        assert twin.cache._password is True


@every_way
def test_a_constructor_may_take_less_than_that_of_duct_or_hand_on_what_it_gets(
    service: Service, copied: Copied
) -> None:
    twin = copied(Strict(service.host, service.port))
    assert (twin.name, twin.ask("x")) == ("strict", "x")
    handed = copied(Handed(3, "lines", "tcp", None, None, service.host, port=service.port))
    assert (handed.level, handed.protocol, handed.name, handed.ask("x")) == (3, "lines", "tcp", "x")


@every_way
def test_a_copy_prepares_nothing(copied: Copied) -> None:
    twin = copied(TcpDuct(host=find_nothing))
    assert twin._host is find_nothing


def find_nothing(_: Duct) -> str:
    raise AssertionError("prepared")
