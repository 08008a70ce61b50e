"""How requests get to a coordinator, and the answers back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from tests.services.couriers import duct, info, password, request, run
from tests.services.links import recorder, slow_link
from tests.services.presto import Presto
from tests.services.proxy import Proxy
from tests.services.trino import Trino

from omniduct.core.sockets import _duplicate, _sockets_to
from omniduct.databases.presto.tls import tls_failure
from omniduct.databases.presto.transport import Compression, Courier
from omniduct.errors import DuctConnectionError

LARGE = "SELECT * FROM tpch.tiny.lineitem"  # 8 MB

pytestmark = pytest.mark.usefixtures("no_environment")


@pytest.fixture
def led(trino_server: Trino) -> Iterator[tuple[Proxy, dict[str, Any]]]:
    """A forward to the server without TLS, and what a duct has that is behind it."""
    with Proxy(trino_server.host, trino_server.port) as proxy:
        far = {"_host": "trino.test", "_port": 8080, "_remote": "bastion", "server_protocol": "http"}
        yield proxy, {**far, "host": "127.0.0.1", "port": proxy.port}


# Forwards


def test_through_a_forward_the_server_sees_its_own_name(
    trino_server: Trino, led: tuple[Proxy, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # is for the network, not for this machine
    proxy, behind = led
    client = duct(trino_server, **behind)
    courier = Courier(client)
    response = request(courier, client).post("SELECT 1")
    assert response.json()["nextUri"].startswith("http://trino.test:8080/v1/statement/")
    assert response.url == response.request.url == "http://trino.test:8080/v1/statement"
    assert run(courier, client, "SELECT count(*) FROM tpch.tiny.orders") == [[15000]]
    assert proxy.count == 1
    courier.close()


def test_through_a_forward_the_certificate_has_to_be_for_the_far_name(trino_server: Trino) -> None:
    with Proxy(trino_server.host, trino_server.https_port) as proxy:
        near = {"_remote": SimpleNamespace(name="bastion"), "host": "127.0.0.1", "port": proxy.port}
        client = duct(trino_server, **near)
        assert run(Courier(client), client, "SELECT current_user", password(trino_server)) == [["alice"]]
        client = duct(trino_server, **near, _host="trino.test")
        with pytest.raises(requests.exceptions.SSLError) as raised:
            info(Courier(client), client)
    assert "is not for the name 'trino.test'" in str(tls_failure(client, raised.value))


# Where logins go


def test_only_the_coordinator_sees_login_and_headers(
    trino_server: Trino, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anybody password s3ntinel\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[Message] = []
    client = duct(trino_server)
    courier = Courier(client)
    sender = request(courier, client, password(trino_server))
    with recorder(seen) as port:
        sender._get(f"http://127.0.0.1:{port}/segment", headers={"x-amz": "1"}, timeout=5)
    assert {name for name in seen[0] if name.lower().startswith(("x-", "auth"))} == {"x-amz"}


def test_without_a_login_none_is_taken_from_a_netrc(
    trino_server: Trino, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login alice password s3ntinel\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client = duct(trino_server, server_protocol="http")
    assert run(Courier(client), client, "SELECT current_user") == [["alice"]]


def test_a_login_does_not_follow_to_where_there_is_no_tls(trino_server: Trino) -> None:
    client = duct(trino_server)
    courier = Courier(client)
    sender = request(courier, client, password(trino_server))
    said_by_a_proxy = {"X-Forwarded-Proto": "http"}  # which it is not, but the server believes it
    status = sender.process(sender.post("SELECT 1", said_by_a_proxy))
    assert status.next_uri is not None
    with pytest.raises(DuctConnectionError, match="without TLS, where no login is sent"):
        sender.get(status.next_uri)


def test_nothing_shows_a_login(trino_server: Trino) -> None:
    client = duct(trino_server)
    courier = Courier(client)
    request(courier, client, password(trino_server))
    assert repr(courier) == f"<Courier to https://localhost:{trino_server.https_port}/>"
    assert trino_server.password not in repr(vars(courier))


# Presto


def test_headers_are_spelled_as_the_server_does(trino_server: Trino, presto_server: Presto) -> None:
    client = duct(trino_server, server_protocol="http", username="bob", _port=presto_server.port)
    courier = Courier(client)
    courier.dialect = "Presto"
    assert run(courier, client, "SELECT current_user") == [["bob"]]
    sender = request(courier, client)
    response = sender.post("SET SESSION query_max_run_time = '5m'")
    sent = {name for name in response.request.headers if name.startswith("X-")}
    assert "X-Presto-User" in sent
    assert not any(name.startswith("X-Trino-") for name in sent)
    while not response.headers.get("X-Trino-Set-Session"):
        response = sender.get(response.json()["nextUri"])
    assert response.headers["x-trino-set-session"] == "query_max_run_time=5m"
    assert not any(name.startswith("X-Presto-") for name in response.headers)


def test_a_cancel_names_the_user_of_the_latest_request(trino_server: Trino) -> None:
    client = duct(trino_server, server_protocol="http", username="bob")
    courier = Courier(client)
    sender = request(courier, client)
    response = sender.delete(sender.post("SELECT 1").json()["nextUri"])
    assert response.status_code == 204
    assert response.request.headers["X-Trino-User"] == "bob"
    assert "X-Trino-Transaction-Id" not in response.request.headers  # which has no value


# Compression


@pytest.mark.parametrize(("wanted", "encoding"), [(True, "gzip"), (False, None), (None, None)])
def test_bodies_are_compressed_where_that_is_wanted_and_not_on_this_machine(
    trino_server: Trino, wanted: bool | None, encoding: str | None
) -> None:
    client = duct(trino_server, server_protocol="http", compression=wanted)
    courier = Courier(client)
    assert courier.compressing == bool(wanted)
    sender = request(courier, client)
    response = sender.post("SELECT name FROM tpch.tiny.part LIMIT 5000")
    while "data" not in response.json():
        response = sender.get(response.json()["nextUri"])
    assert response.headers.get("Content-Encoding") == encoding
    assert len(response.content) > 10_000


def test_a_slow_and_long_link_turns_out_to_be_worth_compressing_unless_it_is_none(
    trino_server: Trino,
) -> None:
    far = {"_host": "trino.test", "_remote": "bastion", "host": "127.0.0.1"}
    for behind in (True, False):
        with slow_link(trino_server.port, delay=0.01, rate=8e6) as port:
            place = {**far, "port": port} if behind else {"_port": port}
            client = duct(trino_server, server_protocol="http", **place)
            courier = Courier(client)
            run(courier, client, "SELECT 1")
            assert not courier.compressing
            assert len(run(courier, client, LARGE)) == 60_175
            assert courier.compressing == behind
            courier.close()


MB = 1_000_000


@pytest.mark.parametrize(
    ("answers", "compressing"),
    [
        ([(0.03, MB, 1.0)] * 3, False),  # nobody knows yet
        ([(0.03, MB, 1.0)] * 4, True),
        ([(0.03, MB, 1.0), (0.03, MB, 0.02), *[(0.03, MB, 1.0)] * 2], False),  # the server is slow at first
        ([(0.003, 300, 0.0), *[(0.03, MB, 1.0)] * 4], False),  # an answer came from near
        ([(0.03, 300, 1.0)] * 9, False),  # small ones say nothing of the link
        ([(0.03, MB, 0.02)] * 4 + [(0.03, MB, 1.0)] * 4, False),  # it is settled
        ([(0.03, MB, 1.0)] * 4 + [(0.001, MB, 0.001)] * 4, True),
    ],
)
def test_compression_depends_on_the_fastest_body_and_the_quickest_answer(
    answers: list[tuple[float, int, float]], compressing: bool
) -> None:
    compression = Compression(None)
    for answer in answers:
        compression.note(*answer)
    assert compression.on == compressing


# Connections


def test_connections_are_kept_and_shared_by_threads(
    trino_server: Trino, led: tuple[Proxy, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    proxy, behind = led
    client = duct(trino_server, **behind)
    courier = Courier(client)
    for _ in range(10):
        info(courier, client)
    assert proxy.count == 1
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda n: run(courier, client, f"SELECT {n}"), range(36)))
    assert found == [[[n]] for n in range(36)]
    assert proxy.count <= 12
    assert "pool is full" not in caplog.text
    courier.close()


def test_the_system_looks_after_idle_connections(trino_server: Trino) -> None:
    client = duct(trino_server)
    before = _sockets_to(trino_server.https_port).keys()
    courier = Courier(client)
    info(courier, client)
    (made,) = _sockets_to(trino_server.https_port).keys() - before
    connection = _duplicate(_sockets_to(trino_server.https_port)[made])
    assert connection is not None
    with connection:
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 45_000
    courier.close()
    assert made not in _sockets_to(trino_server.https_port)


# A session of the user's own


class Counting(HTTPAdapter):
    sent = 0
    closed = False

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent += 1
        return super().send(*args, **kwargs)

    def close(self) -> None:
        self.closed = True
        super().close()


def test_a_session_of_ones_own_is_used_as_it_is_set_up_and_left_so(trino_server: Trino) -> None:
    with requests.Session() as session:
        session.headers["X-Trino-Client-Info"] = "from my session"
        session.cookies["sticky"] = "yes"
        mounted = dict(session.adapters)
        client = duct(trino_server, server_protocol="http", requests_session=session)
        courier = Courier(client)
        sent = info(courier, client).request.headers
        assert (sent["X-Trino-Client-Info"], sent["Cookie"]) == ("from my session", "sticky=yes")
        courier.close()
        assert dict(session.adapters) == mounted
        assert info(Courier(client), client).ok


def test_an_adapter_of_ones_own_is_used(trino_server: Trino) -> None:
    with requests.Session() as session:
        session.mount("http://localhost", own := Counting())
        client = duct(trino_server, server_protocol="http", requests_session=session)
        courier = Courier(client)
        run(courier, client, "SELECT 1")
        courier.close()
        assert own.sent > 1
        assert not own.closed


def test_a_login_of_ones_own_session_is_used_where_the_duct_has_none(trino_server: Trino) -> None:
    with requests.Session() as session:
        session.auth = (trino_server.user, trino_server.password)
        client = duct(trino_server, requests_session=session)
        assert run(Courier(client), client, "SELECT current_user") == [["alice"]]
