"""Host, port, remote, cache, username and password: prepared when read, disconnecting when changed."""

from __future__ import annotations

import getpass
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.services.tcp import (
    LOOPBACK,
    Answers,
    Service,
    TcpDuct,
    join,
    run,
    until,
    unused_port,
    wait,
    waiting_in,
)

from omniduct import credentials
from omniduct.core import fields
from omniduct.credentials import prompting_with
from omniduct.duct import Duct
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConfigError,
    DuctConnectionError,
    DuctNotFound,
    DuctPromptUnavailable,
    DuctServerUnreachable,
)
from omniduct.registry import DuctRegistry


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Service]:
    with Service() as running:
        yield running


class Cache(TcpDuct):
    DUCT_TYPE = Duct.Type.CACHE


# Preparing


def test_callables_are_called_with_the_duct_at_prepare_and_restored_by_reset(service: Service) -> None:
    calls: list[str] = []

    def computed(name: str, value: object) -> Any:
        def compute(duct: Duct) -> object:
            assert duct.name == "tcp"
            calls.append(name)
            return value

        return compute

    given = {
        "host": computed("host", service.host),
        "port": computed("port", str(service.port)),
        "username": computed("username", "ada"),
        "password": computed("password", "pw"),
    }
    duct = TcpDuct(name="tcp", **given)
    assert calls == []
    assert duct.port == service.port
    assert (duct.host, duct.username, duct.password) == (service.host, "ada", "pw")
    assert duct.ask("x") == "x"
    assert calls == ["host", "port", "username", "password"]
    assert service.logins == [("ada", "pw")]

    duct.reset()
    assert duct.status.state == "disconnected"
    assert {name: getattr(duct, f"_{name}") for name in given} == given
    duct.prepare()
    assert calls == ["host", "port", "username", "password"] * 2


def test_reading_a_connection_field_prepares_and_connects_nothing(service: Service) -> None:
    for field in ("host", "port", "remote", "username", "password", "cache"):
        duct = TcpDuct(host=lambda _: service.host, port=service.port)
        getattr(duct, field)
        assert duct._host == service.host, field
    assert service.logins == []


def test_a_preparation_that_fails_is_undone_and_tried_again() -> None:
    class Choosy(TcpDuct):
        def _prepare(self) -> None:
            super()._prepare()
            if self._username == "nobody":
                raise DuctConfigError("not nobody")

    duct = Choosy(name="tcp", host=lambda _: "there", username="nobody")
    for _ in range(2):
        with pytest.raises(DuctConfigError, match="not nobody"):
            duct.prepare()
        assert callable(duct._host)
    with pytest.raises(DuctConfigError):
        duct.connect()
    assert (duct.status.state, duct.status.last_error) == ("failed", "not nobody")
    duct.username = "somebody"
    assert duct.host == "there"


def test_a_callable_that_fails_fails_connecting() -> None:
    def find(_: Duct) -> str:
        raise KeyError("no leader elected")

    duct = TcpDuct(name="tcp", host=find)
    with pytest.raises(KeyError):
        duct.prepare()  # with its own frames: it is the user's code
    with pytest.raises(
        DuctConnectionError, match=r"tcp: could not connect to \(computed\): 'no leader elected'"
    ) as caught:
        duct.connect()
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.__context__ is None


def test_threads_that_need_the_fields_at_once_prepare_once() -> None:
    calls: list[object] = []
    entered, gate = threading.Event(), threading.Event()

    def slow(duct: Duct) -> str:
        calls.append(duct)
        entered.set()
        wait(gate)
        return "there"

    duct = TcpDuct(host=slow, port=1)
    hosts: list[object] = []
    threads = run(lambda: hosts.append(duct.host), 20)
    wait(entered)
    gate.set()
    join(threads)
    assert (hosts, len(calls)) == (["there"] * 20, 1)


def test_a_host_that_is_computed_is_computed_anew_after_it_failed(service: Service, other: Service) -> None:
    leaders = [service.port, other.port]
    duct = TcpDuct(host=lambda _: f"{LOOPBACK}:{leaders[0]}").connect()
    service.stop()
    leaders.pop(0)
    assert not duct.is_connected()
    assert duct.connect().port == other.port

    class Refused(TcpDuct):
        def _connect(self) -> None:
            super()._connect()
            if self.port == other.port:
                raise OSError("not the leader any more")

    calls: list[Any] = [service.start().port, other.port]
    refused = Refused(host=lambda _: f"{LOOPBACK}:{calls.pop()}")
    with pytest.raises(DuctConnectionError, match="not the leader any more"):
        refused.connect()
    assert refused.connect().port == service.port


# What a change does


@pytest.mark.parametrize(
    ("field", "value"), [("username", "grace"), ("password", "new"), ("host", "localhost")]
)
def test_a_changed_field_disconnects_and_the_next_use_connects_with_it(
    service: Service, field: str, value: str
) -> None:
    duct = TcpDuct(host=service.host, port=service.port, username="ada", password="pw").connect()
    assert duct.is_connected()
    setattr(duct, field, value)
    assert (duct.status.state, service.sessions, service.byes) == ("disconnected", 0, 1)
    assert duct.ask("x") == "x"
    assert service.logins == [("ada", "pw"), (duct.username, duct.password)]
    assert getattr(duct, field) == value


def test_a_changed_port_disconnects_and_leads_elsewhere(service: Service, other: Service) -> None:
    duct = TcpDuct(host=service.host, port=service.port).connect()
    duct.port = other.port
    assert (service.sessions, duct.status.state) == (0, "disconnected")
    duct.connect()
    assert (service.sessions, other.sessions) == (0, 1)


def test_setting_a_field_to_what_it_is_changes_nothing(service: Service) -> None:
    duct = TcpDuct(host=[f"{service.host}:{service.port}"], username="ada", password="pw").connect()
    duct.host = [f"{service.host}:{service.port}"]
    duct.username, duct.password, duct.remote = "ada", "pw", None
    assert duct.is_connected()
    assert duct.reset()._host == [f"{service.host}:{service.port}"]


def test_a_changed_field_outlives_a_reset_and_the_others_are_restored(service: Service) -> None:
    duct = TcpDuct(host=lambda _: service.host, port=lambda _: service.port, username="ada").connect()
    duct.username = "grace"
    duct.connect().reset()
    assert duct._username == "grace"
    assert callable(duct._host) and callable(duct._port)
    assert duct.connect().is_connected()
    assert service.logins[-1] == ("grace", "None")


def test_a_changed_cache_does_not_disconnect(service: Service) -> None:
    former, latter = Cache(name="former"), Cache(name="latter")
    duct = TcpDuct(host=service.host, port=service.port, cache=former).connect()
    duct.cache = latter
    assert duct.is_connected()
    assert duct.cache is latter
    assert duct.reset().cache is latter


def test_a_port_that_is_none_is_refused_and_nothing_changes(service: Service) -> None:
    duct = TcpDuct(name="tcp", host=service.host, port=service.port).connect()
    for port in ("http", 0, 65536, True):
        with pytest.raises(
            DuctConfigError, match=f"tcp: port cannot be {port!r}; it takes a number from 1 to 65535"
        ):
            duct.port = port
    assert duct.is_connected()
    with pytest.raises(DuctConfigError, match="tcp: port cannot be 'http'"):
        TcpDuct(name="tcp", port="http")
    with pytest.raises(DuctConfigError, match=r"tcp: port cannot be 1\.5"):
        TcpDuct(name="tcp", host="there", port=lambda _: 1.5).prepare()


def test_a_change_is_not_overtaken_by_a_thread_that_connects_meanwhile(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    duct = TcpDuct(host=service.host, port=service.port).connect()

    def let_go_and_be_overtaken(_: Duct) -> None:
        duct.disconnect()
        join(run(duct.connect))  # with the former port

    monkeypatch.setattr(fields, "_let_go", let_go_and_be_overtaken)
    duct.port = other.port
    assert (duct.status.state, service.sessions) == ("disconnected", 0)
    assert (duct.ask("x"), other.sessions) == ("x", 1)
    assert duct.reset()._port == other.port


def test_the_value_is_set_although_closing_the_former_connection_fails(
    service: Service, other: Service
) -> None:
    class Rude(TcpDuct):
        def _disconnect(self) -> None:
            super()._disconnect()
            raise OSError("no goodbye")

    duct = Rude(host=service.host, port=service.port).connect()
    with pytest.raises(DuctConnectionError, match="no goodbye"):
        duct.port = other.port
    assert duct.connect().port == other.port


# Hosts and ports


def test_a_port_may_be_written_with_the_host(service: Service) -> None:
    duct = TcpDuct(host=f"{service.host}:{service.port}").connect()
    assert (duct.host, duct.port) == (service.host, service.port)
    assert (duct._host, duct._port) == (service.host, service.port)
    assert duct.reset()._host == f"{service.host}:{service.port}"
    assert duct._port is None


def test_a_port_that_is_set_replaces_one_that_was_written_with_the_host(
    service: Service, other: Service
) -> None:
    duct = TcpDuct(host=f"{service.host}:{service.port}")
    duct.port = other.port
    assert duct.port == other.port
    connected = TcpDuct(host=f"{service.host}:{service.port}").connect()
    connected.port = other.port
    assert connected.connect().port == other.port
    assert connected.reset().port == other.port


def test_a_new_host_forgets_the_port_that_was_written_with_the_former(service: Service) -> None:
    class Defaulted(TcpDuct):
        DEFAULT_PORT = 4242

    duct = Defaulted(host="former:17")
    assert duct.port == 17
    duct.host = "latter"
    assert (duct.host, duct.port) == ("latter", 4242)


def test_an_ipv6_address_is_taken_with_and_without_a_port() -> None:
    for host, port in (("[::1]:80", None), ("::1", 80), ("[::1]", "80")):
        duct = TcpDuct(host=host, port=port)
        assert (duct.host, duct.port) == ("::1", 80)
    assert repr(duct) == "<TcpDuct 'TcpDuct': at [::1]:80, disconnected>"


def test_a_service_on_ipv6_is_reached() -> None:
    try:
        service = Service("::1")
    except OSError:
        return  # a machine without IPv6
    with service:
        assert TcpDuct(host=f"[::1]:{service.port}").ask("six") == "six"


def test_a_host_with_a_port_that_is_none_is_refused() -> None:
    for host in ("db:http", "db:0", "[::1]:70000", ["db:http"]):
        duct = TcpDuct(name="tcp", host=host)
        with pytest.raises(DuctConfigError, match=r"tcp: host '.*': port cannot be '\w+'"):
            duct.prepare()
    with pytest.raises(DuctConfigError, match="tcp: host cannot be 5"):
        TcpDuct(name="tcp", host=lambda _: 5).prepare()


def test_of_several_hosts_one_that_answers_is_used_and_another_after_its_loss(
    service: Service, other: Service
) -> None:
    dead = unused_port()
    hosts = [f"{LOOPBACK}:{port}" for port in (dead, service.port, other.port)]
    duct = TcpDuct(name="tcp", host=hosts)
    assert duct.connect().port == service.port
    service.stop()
    assert not duct.is_connected()
    assert duct.ask("x") == "x"
    assert duct.port == other.port
    other.stop()
    assert not duct.is_connected()
    with pytest.raises(
        DuctServerUnreachable, match=f"tcp: none of its hosts answers .*:{dead}: connection refused; .*"
    ):
        duct.ask("x")
    service.start()
    assert duct.ask("x") == "x"
    assert duct.reset()._host == hosts


def test_several_hosts_without_a_port_take_the_one_that_is_given(service: Service) -> None:
    duct = TcpDuct(host=["no-such-host.invalid", LOOPBACK], port=service.port).connect()
    assert (duct.host, duct.port) == (LOOPBACK, service.port)
    with pytest.raises(DuctServerUnreachable, match="the list is empty"):
        TcpDuct(host=[]).connect()


# Names


def test_remote_and_cache_are_looked_up_by_kind_in_the_registry() -> None:
    registry = DuctRegistry()
    cache = registry.register(Cache(name="store"))
    registry.register(TcpDuct(name="other"))
    duct = TcpDuct(name="tcp", registry=registry, cache="store")
    assert duct.cache is cache
    assert duct.reset()._cache == "store"
    for field, name, complaint in (
        ("cache", "other", "'other' is not one of the caches"),
        ("remote", "store", "'store' is not one of the remotes"),
        ("remote", "bastoin", "there is no duct 'bastoin'"),
    ):
        with pytest.raises(DuctNotFound, match=complaint):
            TcpDuct(name="tcp", registry=registry, **{field: name}).prepare()  # type: ignore[arg-type]


def test_a_name_without_a_registry_and_a_duct_of_another_kind_are_refused() -> None:
    with pytest.raises(
        DuctConfigError, match="tcp: its remote is 'bastion', a name, and there is no registry"
    ):
        TcpDuct(name="tcp", remote="bastion").prepare()
    duct = TcpDuct(name="tcp", cache=Cache())
    duct.remote = TcpDuct(name="other")
    with pytest.raises(
        DuctConfigError, match=r"tcp: its remote cannot be <TcpDuct 'other'.*one of the remotes"
    ):
        duct.prepare()
    duct = TcpDuct(name="tcp")
    duct.registry = 5  # type: ignore[assignment]
    with pytest.raises(DuctConfigError, match="tcp: its registry cannot be a int"):
        duct.prepare()


# Who one is


def test_a_username_is_the_login_name_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TcpDuct().username == getpass.getuser()
    assert TcpDuct(username="ada").username == "ada"
    assert TcpDuct(username=False).username is None
    assert TcpDuct(username=lambda _: None).username == getpass.getuser()
    assert (TcpDuct().password, TcpDuct(password=False).password) == (None, None)

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert TcpDuct().username is None


def test_true_asks_once_before_the_attempt_and_reset_forgets(service: Service) -> None:
    class Inside(TcpDuct):
        connecting = False

        def _connect(self) -> None:
            self.connecting = True
            super()._connect()
            self.connecting = False

    class Person(Answers):
        def ask(self, question: Any) -> str | bool:
            assert not duct.connecting
            assert duct.status.state != "connecting"
            return super().ask(question)

    duct = Inside(name="tcp", host=service.host, port=service.port, username=True, password=True)
    person = Person("ada", "first", "grace", "second")
    with prompting_with(person):
        duct.connect()
        assert (duct.username, duct.password) == ("ada", "first")
        duct.reconnect()
        assert person.asked == ["username", "password"]
        duct.reset().connect()
    assert person.asked == ["username", "password"] * 2
    assert service.logins == [("ada", "first"), ("ada", "first"), ("grace", "second")]


def test_a_callable_may_say_that_the_person_is_to_be_asked(service: Service) -> None:
    duct = TcpDuct(host=service.host, port=service.port, username="ada", password=lambda _: True)
    with prompting_with(Answers("typed")):
        duct.connect()
    assert service.logins == [("ada", "typed")]


def test_threads_that_need_the_same_answer_share_one_question(service: Service) -> None:
    class Slow(Answers):
        def ask(self, question: Any) -> str | bool:
            until(lambda: waiting_in(credentials.ask) == 9)
            return super().ask(question)

    person = Slow("typed")
    duct = TcpDuct(host=service.host, port=service.port, username="ada", password=True)

    def connect() -> None:
        with prompting_with(person):
            duct.connect()

    join(run(connect, 10))
    assert (person.asked, service.logins) == (["password"], [("ada", "typed")])


def test_a_refused_answer_is_forgotten_and_asked_again() -> None:
    with Service(password="right") as service:
        duct = TcpDuct(name="tcp", host=service.host, port=service.port, username="ada", password=True)
        person = Answers("wrong", "worse", "right")
        with prompting_with(person):
            assert duct.ask("x") == "x"
        assert [password for _, password in service.logins] == ["wrong", "worse", "right"]
        assert service.sessions == 1
        assert duct.status.last_error == ""


def test_an_answer_is_asked_for_three_times_at_most_and_the_last_is_forgotten_too() -> None:
    with Service(password="right") as service:
        duct = TcpDuct(name="tcp", host=service.host, port=service.port, username="ada", password=True)
        person = Answers("one", "two", "six", "right")
        with prompting_with(person):
            with pytest.raises(DuctAuthenticationError, match=r"tcp: wrong password \*\*\*"):
                duct.connect()
            assert person.asked == ["password"] * 3
            assert duct.connect().is_connected()
        assert [password for _, password in service.logins] == ["one", "two", "six", "right"]


def test_a_refused_login_that_nobody_typed_is_not_asked_for() -> None:
    with Service(password="right") as service:
        duct = TcpDuct(host=service.host, port=service.port, username="ada", password="mistaken")
        person = Answers("right")
        with prompting_with(person), pytest.raises(DuctAuthenticationError, match=r"wrong password \*\*\*"):
            duct.connect()
        assert (person.asked, len(service.logins)) == ([], 1)


def test_a_changed_login_forgets_what_was_typed(service: Service) -> None:
    duct = TcpDuct(host=service.host, port=service.port, username="ada", password=True)
    person = Answers("hers", "his", "hers again")
    with prompting_with(person):
        duct.connect()
        duct.username = "alan"
        duct.connect()
        duct.host = "localhost"
        duct.connect()
    assert service.logins == [("ada", "hers"), ("alan", "his"), ("alan", "his")]
    duct.password = "known"
    assert duct.password == "known"


def test_with_nobody_to_ask_connecting_fails_at_once_and_says_what_to_do(service: Service) -> None:
    class Nobody(Answers):
        def can_ask(self) -> bool:
            return False

    duct = TcpDuct(name="tcp", host=service.host, port=service.port, password=True)
    with (
        prompting_with(Nobody()),
        pytest.raises(DuctPromptUnavailable, match="tcp: its password has to be asked"),
    ):
        duct.connect()
    assert (duct.status.state, service.logins) == ("failed", [])


def test_an_interrupted_question_leaves_the_duct_as_it_was(service: Service) -> None:
    class Leaves(Answers):
        def ask(self, question: Any) -> str | bool:
            if not self.given:
                raise KeyboardInterrupt
            return super().ask(question)

    duct = TcpDuct(host=service.host, port=service.port, username=True, password=True)
    with prompting_with(Leaves("ada")), pytest.raises(KeyboardInterrupt):
        duct.connect()
    assert duct.status.state == "disconnected"
    person = Answers("pw")
    with prompting_with(person):
        duct.connect()
    assert person.asked == ["password"]  # the name was given


def test_a_source_is_read_when_it_is_needed_and_again_after_reset(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    duct = TcpDuct(host=service.host, port=service.port, username="ada", password="env:TCP_PASSWORD")
    with pytest.raises(DuctAuthenticationError, match="no variable TCP_PASSWORD"):
        duct.connect()
    monkeypatch.setenv("TCP_PASSWORD", "one")
    duct.connect()
    monkeypatch.setenv("TCP_PASSWORD", "two")
    duct.reconnect()
    duct.reset().connect()
    assert [password for _, password in service.logins] == ["one", "one", "two"]


def test_a_password_that_is_changed_while_the_former_is_being_found_is_not_overtaken() -> None:
    entered, gate = threading.Event(), threading.Event()

    class Slow(Answers):
        def ask(self, question: Any) -> str | bool:
            entered.set()
            wait(gate)
            return "former"

    duct = TcpDuct(password=True)

    def read() -> None:
        with prompting_with(Slow()):
            assert duct.password == "former"

    reader = run(read)
    wait(entered)
    duct.password = "latter"
    gate.set()
    join(reader)
    assert duct.password == "latter"


def test_no_display_shows_a_password() -> None:
    duct = TcpDuct(password="s3cret", username="ada")
    duct.prepare()
    assert duct.password == "s3cret"
    assert "s3cret" not in repr(duct) + repr(duct.__dict__) + repr(duct.status) + repr(duct._arguments_now())
    duct.password = "n3xt"
    assert "n3xt" not in repr(duct.__dict__)
