"""Services reached through a remote: forwards that carry bytes, are shared, given back, lost and healed."""

from __future__ import annotations

import contextlib
import copy
import pickle
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.services.tcp import (
    LOOPBACK,
    Answers,
    Relay,
    Service,
    TcpDuct,
    answers,
    join,
    run,
    unused_port,
    wait,
)

from omniduct.core import fields
from omniduct.credentials import prompting_with
from omniduct.errors import DuctConfigError, DuctConnectionError, DuctNotFound, DuctServerUnreachable
from omniduct.registry import DuctRegistry
from omniduct.remotes.base import RemoteClient
from omniduct.remotes.forwarding import free_port


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def bastion() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def remote(bastion: Service) -> Relay:
    return Relay(name="bastion", host=bastion.host, port=bastion.port, username="op")


def behind(remote: Any, service: Service, cls: type[TcpDuct] = TcpDuct, **arguments: Any) -> TcpDuct:
    return cls(name="tcp", remote=remote, host=service.host, port=service.port, username="ada", **arguments)


class Careless(TcpDuct):
    """Never looks whether its connection still works."""

    def _is_connected(self) -> bool:
        return True


# One duct


def test_host_and_port_are_the_near_end_and_the_raw_ones_the_far(
    service: Service, bastion: Service, remote: Relay
) -> None:
    duct = behind(remote, service)
    assert (duct.host, duct._host, duct._port) == (LOOPBACK, service.host, service.port)
    assert duct.port not in (service.port, bastion.port)
    assert answers(duct.port)
    assert (remote.status.state, duct.status.state, service.logins) == ("connected", "disconnected", [])
    assert duct.ask("through") == "through"
    assert duct.line is not None
    assert duct.line._socket.getpeername() == (LOOPBACK, duct.port)
    assert bastion.logins == [("op", "None")]
    assert repr(duct) == f"<TcpDuct 'tcp': at {service.host}:{service.port} via bastion, connected>"


def test_disconnecting_gives_the_forward_back_and_reset_does_too(service: Service, remote: Relay) -> None:
    duct = behind(remote, service)
    for end in (duct.disconnect, duct.reset):
        port = duct.connect().port
        assert answers(port)
        end()
        assert not answers(port)
    assert (service.sessions, service.byes) == (0, 2)
    assert remote.is_connected()
    assert remote.started == remote.stopped == [(service.host, service.port)] * 2


def test_a_failed_connection_gives_the_forward_back(service: Service, remote: Relay) -> None:
    class Failing(TcpDuct):
        def _connect(self) -> None:
            super()._connect()
            raise OSError("no")

    with pytest.raises(DuctConnectionError):
        behind(remote, service, Failing).connect()
    assert not remote.has_port_forward()
    assert service.sessions == 0


def test_the_same_target_gets_the_same_local_port_again(service: Service, remote: Relay) -> None:
    duct = behind(remote, service)
    port = duct.connect().port
    assert duct.reconnect().port == port
    assert duct.reset().connect().port == port
    duct.disconnect()
    remote.reconnect()
    assert duct.connect().port == port
    with socket.socket() as taken:  # unless somebody else took it
        duct.disconnect()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((LOOPBACK, port))
        taken.listen()
        assert duct.ask("x") == "x"
        assert duct.port != port


def test_a_far_service_that_is_not_there_is_unreachable_before_any_forward(remote: Relay) -> None:
    port = unused_port()
    duct = TcpDuct(name="tcp", remote=remote, host=LOOPBACK, port=port)
    where = rf"127\.0\.0\.1:{port}"
    complaint = (
        f"tcp: nothing can be reached at {where} via bastion: nothing answers there, seen from 'bastion'"
    )
    with pytest.raises(DuctServerUnreachable, match=complaint):
        duct.connect()
    with pytest.raises(DuctServerUnreachable, match=f"bastion: nothing answers at {where}"):
        duct.port  # noqa: B018
    assert remote.started == []


def test_a_changed_field_moves_the_forward(service: Service, other: Service, remote: Relay) -> None:
    duct = behind(remote, service).connect()
    duct.port = other.port
    assert (service.sessions, duct.ask("x"), other.sessions) == (0, "x", 1)
    assert remote.stopped == [(service.host, service.port)]
    assert [forward.remote_port for forward in remote._forwards] == [other.port]


def test_a_changed_field_gives_back_the_forward_of_a_duct_that_is_not_connected(
    service: Service, other: Service, remote: Relay
) -> None:
    duct = behind(remote, service)
    port = duct.port
    assert answers(port)
    duct.port = other.port
    assert not answers(port)
    assert not remote.has_port_forward()


def test_a_forward_that_another_thread_takes_while_the_remote_changes_is_given_back(
    service: Service, bastion: Service, remote: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    duct = behind(remote, service).connect()

    def let_go_and_be_overtaken(_: object) -> None:
        duct.disconnect()
        join(run(duct.connect))  # through the former remote

    monkeypatch.setattr(fields, "_let_go", let_go_and_be_overtaken)
    duct.remote = Relay(name="second", host=bastion.host, port=bastion.port)
    assert not remote.has_port_forward()
    assert duct.ask("x") == "x"
    assert service.sessions == 1


def test_a_changed_remote_gets_its_forward_back(service: Service, bastion: Service, remote: Relay) -> None:
    second = Relay(name="second", host=bastion.host, port=bastion.port)
    duct = behind(remote, service).connect()
    duct.remote = second
    assert (duct.status.state, remote.has_port_forward()) == ("disconnected", False)
    assert duct.ask("x") == "x"
    assert second.has_port_forward(service.host, service.port)
    duct.remote = None
    assert not second.has_port_forward()
    assert (duct.host, duct.port) == (service.host, service.port)
    assert duct.ask("x") == "x"


def test_of_several_hosts_the_remote_says_which_answers(
    service: Service, other: Service, remote: Relay
) -> None:
    hosts = [f"{LOOPBACK}:{port}" for port in (unused_port(), service.port, other.port)]
    duct = TcpDuct(name="tcp", remote=remote, host=hosts, username="ada").connect()
    assert duct._port == service.port
    service.stop()
    assert not duct.is_connected()
    assert (duct.ask("x"), duct._port) == ("x", other.port)


# Several ducts


def test_ducts_of_one_target_share_its_forward_until_the_last_gives_it_back(
    service: Service, remote: Relay
) -> None:
    one, two = behind(remote, service), behind(remote, service)
    assert one.connect().port == two.connect().port
    assert remote.started == [(service.host, service.port)]
    port = one.port
    one.disconnect()
    assert answers(port)
    assert two.ask("x") == "x"
    two.disconnect()
    assert not answers(port)


def test_ducts_that_need_the_forward_at_once_start_it_once(
    service: Service, bastion: Service, remote: Relay
) -> None:
    ducts = [behind(remote, service) for _ in range(16)]
    start = threading.Barrier(len(ducts))
    waiting, replies = iter(ducts), []

    def use() -> None:
        duct = next(waiting)
        start.wait()
        replies.append(duct.ask("x"))

    join(run(use, len(ducts)))
    assert replies == ["x"] * 16
    assert (len(remote.started), len(bastion.logins), service.sessions) == (1, 1, 16)
    for duct in ducts:
        duct.disconnect()
    assert len(remote.stopped) == 1


def test_ducts_without_a_host_share_a_remote_that_forwards_nothing(bastion: Service) -> None:
    class NoForwards(Relay):
        _is_port_bound = RemoteClient._is_port_bound
        _port_forward_start = RemoteClient._port_forward_start  # type: ignore[assignment]
        _port_forward_stop = RemoteClient._port_forward_stop

    class Command(TcpDuct):
        """Works by what its remote does for it."""

        def _connect(self) -> None:
            assert (self.host, self.port) == (None, None)
            self.working = True

        def _is_connected(self) -> bool:
            return self.remote.line.ask("ping") == "pong"  # type: ignore[no-any-return]

        def _disconnect(self) -> None:
            self.working = False

    remote = NoForwards(name="bastion", host=bastion.host, port=bastion.port)
    ducts = [Command(name=f"command{i}", remote=remote).connect() for i in range(3)]
    assert len(bastion.logins) == 1
    assert all(duct.is_connected() for duct in ducts)
    ducts[0].disconnect()
    assert [duct.is_connected() for duct in ducts] == [False, True, True]
    bastion.drop_sessions()
    assert [duct.is_connected() for duct in ducts] == [False, False, False]
    assert ducts[1].connect().is_connected()
    assert len(bastion.logins) == 2
    reached = Command(name="far", remote=remote, host="there", port=80)
    with pytest.raises(
        DuctConnectionError, match="far: could not connect to there:80 via bastion: NoForwards forwards no"
    ):
        reached.connect()


# Losing and healing


def test_a_lost_remote_means_a_lost_duct_and_the_next_use_heals_both(
    service: Service, bastion: Service, remote: Relay
) -> None:
    duct = behind(remote, service).connect()
    port = duct.port
    assert duct.is_connected()
    bastion.stop()
    assert not duct.is_connected()
    assert (duct.status.state, duct.status.last_error) == ("lost", "its remote 'bastion' is not connected")
    assert remote.status.state == "lost"
    with pytest.raises(DuctServerUnreachable, match="bastion: nothing can be reached"):
        duct.connect()
    assert (duct.status.state, remote.status.state) == ("failed", "failed")
    bastion.start()
    assert not duct.is_connected()
    assert len(bastion.logins) == 1
    assert duct.ask("x") == "x"
    assert (duct.port, len(bastion.logins)) == (port, 2)


def test_a_dead_far_service_is_lost_while_the_remote_is_well(service: Service, remote: Relay) -> None:
    duct = behind(remote, service).connect()
    service.stop()
    assert not duct.is_connected()
    assert "seen from 'bastion'" in duct.status.last_error
    assert remote.is_connected()
    service.start()
    assert duct.ask("x") == "x"


def test_a_check_never_connects_the_remote(service: Service, bastion: Service, remote: Relay) -> None:
    duct = behind(remote, service).connect()
    bastion.drop_sessions()
    for _ in range(3):
        assert not duct.is_connected()
        assert not remote.is_connected()
    assert len(bastion.logins) == 1


@pytest.mark.parametrize(
    "end", ["disconnect", "reconnect", "reset", "port_forward_stopall", "port_forward_stop"]
)
def test_what_is_reached_through_a_forward_is_lost_the_moment_it_ends(
    service: Service, remote: Relay, end: str
) -> None:
    duct = behind(remote, service, Careless).connect()
    heard: list[str] = []
    duct.status.observe(lambda change: heard.append(change["new"]), names="state")
    if end == "port_forward_stop":
        remote.port_forward_stop(local_port=duct.port)
    else:
        getattr(remote, end)()
    assert heard == ["lost"]
    assert duct.status.last_error == "the forward through 'bastion' has ended"
    assert not duct.is_connected()
    assert duct.ask("x") == "x"


def test_an_observer_of_a_loss_may_use_the_duct_at_once(service: Service, remote: Relay) -> None:
    duct = behind(remote, service, Careless).connect()
    duct.status.observe(lambda change: duct.connect() if change["new"] == "lost" else None, names="state")
    join(run(remote.port_forward_stopall))
    assert duct.status.state == "connected"
    join(run(remote.disconnect))
    assert duct.ask("x") == "x"


def test_a_remote_that_is_disconnected_while_a_forward_starts_leaves_no_deadlock(
    service: Service, bastion: Service
) -> None:
    class Slow(Relay):
        starting, gate = threading.Event(), threading.Event()

        def _port_forward_start(self, local_port: int, remote_host: str, remote_port: int) -> Any:
            self.starting.set()
            wait(self.gate)
            return super()._port_forward_start(local_port, remote_host, remote_port)

    remote = Slow(name="bastion", host=bastion.host, port=bastion.port)
    duct = behind(remote, service)

    def use() -> None:
        with contextlib.suppress(DuctConnectionError):  # it may well be too late
            duct.ask("x")

    threads = run(use)
    wait(remote.starting)
    threads += run(remote.disconnect) + run(duct.disconnect)
    remote.gate.set()
    join(threads)
    assert duct.ask("x") == "x"


def test_a_remote_that_has_just_died_heals_with_the_next_use_of_a_duct(
    service: Service, bastion: Service, remote: Relay
) -> None:
    behind(remote, service).connect()
    for _ in range(2):
        bastion.drop_sessions()  # the remote was used a moment ago, and nobody has noticed
        assert behind(remote, service).ask("x") == "x"


# Remotes behind remotes


def test_a_remote_may_be_reached_through_another(service: Service, bastion: Service, remote: Relay) -> None:
    with Service() as inner:
        second = Relay(name="inner", host=inner.host, port=inner.port, remote=remote)
        duct = behind(second, service)
        assert duct.ask("two hops") == "two hops"
        assert (second.host, second._port) == (LOOPBACK, inner.port)
        assert second.port != inner.port
        assert remote.started == [(inner.host, inner.port)]
        assert second.started == [(service.host, service.port)]
        assert duct.is_connected()

        bastion.drop_sessions()
        assert not duct.is_connected()
        assert duct.ask("healed") == "healed"
        assert (len(bastion.logins), len(inner.logins), len(service.logins)) == (2, 2, 2)

        duct.disconnect()
        assert second.is_connected() and not second.has_port_forward()
        second.disconnect()
        assert remote.is_connected() and not remote.has_port_forward()


def test_a_circle_of_remotes_is_refused(service: Service) -> None:
    registry = DuctRegistry()
    for name, remote in (("one", "two"), ("two", "three"), ("three", "one")):
        registry.register(
            Relay(name=name, host=LOOPBACK, port=service.port, registry=registry, remote=remote)
        )
    with pytest.raises(
        DuctConfigError, match=r"three: it would be reached through itself \(three via one via two"
    ):
        registry["one"].connect()
    selfish = Relay(name="selfish", host=LOOPBACK, port=service.port)
    selfish.remote = selfish
    with pytest.raises(DuctConfigError, match=r"selfish: .*\(selfish via selfish\)"):
        selfish.connect()
    assert service.logins == []


def test_a_remote_is_looked_up_by_its_name_among_the_remotes(service: Service, bastion: Service) -> None:
    registry = DuctRegistry()
    remote = registry.register(Relay(name="bastion", host=bastion.host, port=bastion.port))
    registry.register(TcpDuct(name="bastien"))
    duct = behind("bastion", service, registry=registry)
    assert repr(duct).endswith("via bastion, disconnected>")
    assert duct.ask("x") == "x"
    assert duct.remote is remote
    assert duct.reset()._remote == "bastion"
    duct.remote = "bastien"
    with pytest.raises(DuctNotFound, match="'bastien' is not one of the remotes"):
        duct.connect()
    duct.remote = "bastian"
    with pytest.raises(DuctNotFound, match="there is no duct 'bastian'; did you mean 'bastion'"):
        duct.connect()


def test_what_the_remote_has_to_ask_is_asked_before_the_attempt(service: Service) -> None:
    with Service(password="open") as bastion:
        remote = Relay(name="bastion", host=bastion.host, port=bastion.port, password=True)
        duct = behind(remote, service, password=True)

        class Person(Answers):
            def ask(self, question: Any) -> str | bool:
                assert duct.status.state == "disconnected"
                assert remote.status.state != "connecting"
                self.asked.append(question.duct)
                return self.given.pop(0)

        person = Person("closed", "open", "pw")
        with prompting_with(person):
            assert duct.ask("x") == "x"
        assert person.asked == ["bastion", "bastion", "tcp"]
        assert service.logins == [("ada", "pw")]


def test_copies_share_the_remote_and_a_pickled_duct_takes_one_along(service: Service, remote: Relay) -> None:
    duct = behind(remote, service).connect()
    assert copy.copy(duct).remote is copy.deepcopy(duct).remote is remote
    unpickled = pickle.loads(pickle.dumps(duct))
    assert unpickled.remote is not remote
    assert (unpickled.remote.name, unpickled.remote.status.state) == ("bastion", "disconnected")
    assert unpickled.ask("x") == "x"
    assert unpickled.port != duct.port


# Forwards that are asked for


def test_a_forward_that_is_asked_for_stays_until_it_is_stopped(service: Service, remote: Relay) -> None:
    port = remote.port_forward(f"{service.host}:{service.port}")
    assert port == remote.port_forward(service.host, service.port)
    duct = behind(remote, service).connect()
    assert duct.port == port
    duct.disconnect()
    assert answers(port)
    assert remote.show_port_forwards().to_dict("records") == [
        {"local_port": port, "remote_host": service.host, "remote_port": service.port}
    ]
    assert remote.has_port_forward(local_port=port)
    assert remote.has_port_forward(service.host)
    assert not remote.has_port_forward(service.host, 1)
    remote.port_forward_stop(remote_host=service.host, remote_port=service.port)
    assert not answers(port)
    with pytest.raises(DuctConfigError, match="bastion: there is no such forward; there are none"):
        remote.port_forward_stop(local_port=port)


@pytest.mark.parametrize("stop", ["port_forward_stopall", "port_forward_stop"])
def test_a_forward_that_is_stopped_while_the_remote_is_lost_does_not_come_back(
    service: Service, remote: Relay, stop: str
) -> None:
    remote.port_forward(service.host, service.port)
    remote._lose("it is gone")
    getattr(remote, stop)()
    remote.connect()
    assert not remote.has_port_forward()


def test_a_local_port_may_be_chosen_for_a_forward(service: Service, remote: Relay) -> None:
    port = free_port()
    assert remote.port_forward(service.host, service.port, local_port=port) == port
    with pytest.raises(
        DuctConfigError, match=f"is forwarded from local port {port} already, not 1234; stop that"
    ):
        remote.port_forward(service.host, service.port, local_port=1234)
    with pytest.raises(
        DuctConfigError, match=f"there are {LOOPBACK}:{port} to {service.host}:{service.port}"
    ):
        remote.port_forward_stop(local_port=1234)


def test_a_target_without_a_port_is_refused(remote: Relay) -> None:
    with pytest.raises(
        DuctConfigError, match="bastion: 'there' names no port to forward to; write 'host:port'"
    ):
        remote.port_forward("there")
    with pytest.raises(DuctConfigError, match="bastion: host 'there:http': port cannot be 'http'"):
        remote.port_forward("there:http")


def test_a_uri_is_made_local(service: Service, remote: Relay) -> None:
    uri = f"http://ada:pw@{service.host}:{service.port}/path?x=1#top"
    port = remote.port_forward(service.host, service.port)
    assert remote.get_local_uri(uri) == f"http://ada:pw@{LOOPBACK}:{port}/path?x=1#top"
    with pytest.raises(DuctConfigError, match="names no host and port to forward to"):
        remote.get_local_uri("odd://there/path")


def test_a_forward_that_cannot_start_says_so_without_secrets(service: Service, bastion: Service) -> None:
    class Broken(Relay):
        def _port_forward_start(self, local_port: int, remote_host: str, remote_port: int) -> Any:
            raise OSError(f"refused for {self.password}")

    remote = Broken(name="bastion", host=bastion.host, port=bastion.port, password="pass-word")
    with pytest.raises(
        DuctConnectionError, match=r"bastion: could not forward local port .*: refused for \*\*\*"
    ) as caught:
        remote.port_forward(service.host, service.port)
    assert "pass-word" not in repr(caught.value.__cause__)
    assert not remote.has_port_forward()


def test_forwards_listen_on_loopback_only(service: Service, remote: Relay) -> None:
    port = remote.port_forward(service.host, service.port)
    [forward] = remote._forwards
    assert forward.connection._listener.getsockname() == (LOOPBACK, port)
