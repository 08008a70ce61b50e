"""The server's certificate and the client's: which are taken, and what is said of those that are not."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from tests.services.couriers import duct, info, run
from tests.services.links import tunnel_proxy
from tests.services.proxy import Proxy
from tests.services.trino import Trino

from omniduct.databases.presto.tls import tls_failure
from omniduct.databases.presto.transport import Courier
from omniduct.errors import DuctAuthenticationError, DuctConfigError, DuctConnectionError

NOWHERE = "/nowhere/ca.pem"

pytestmark = pytest.mark.usefixtures("no_environment")


# Certificates


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_authority_that_is_given_holds_whatever_the_environment_says(
    trino_server: Trino, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, requests.certs.where())
    client = duct(trino_server)
    assert info(Courier(client), client).ok


def test_true_is_the_usual_authorities_whatever_the_environment_says(
    trino_server: Trino, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trino_server.ca))
    client = duct(trino_server, verify=True)
    with pytest.raises(requests.exceptions.SSLError):
        info(Courier(client), client)


def test_without_a_word_on_authorities_the_environment_has_its_way(
    trino_server: Trino, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trino_server.ca))
    client = duct(trino_server, verify=None)
    assert info(Courier(client), client).ok


def test_a_storage_may_have_its_certificate_from_the_same_authority(trino_server: Trino) -> None:
    client = duct(trino_server)
    storage = f"https://127.0.0.1:{trino_server.https_port}/v1/info"  # which is not the duct's host
    assert Courier(client).get(storage, timeout=10).ok
    client = duct(trino_server, verify=True)
    with pytest.raises(requests.exceptions.SSLError):
        Courier(client).get(storage, timeout=10)


def test_false_takes_any_certificate_and_says_nothing(
    trino_server: Trino, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", requests.certs.where())
    client = duct(trino_server, verify=False)
    with warnings.catch_warnings(record=True) as warned:
        courier = Courier(client)
        assert info(courier, client).ok
        assert info(courier, client).ok
    assert warned == []


def test_the_authority_of_a_session_of_ones_own_holds_whatever_the_environment_says(
    trino_server: Trino, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", requests.certs.where())
    with requests.Session() as session:
        session.verify = str(trino_server.ca)
        client = duct(trino_server, verify=None, requests_session=session)
        assert info(Courier(client), client).ok


@pytest.mark.parametrize(
    ("verify", "said"),
    [(NOWHERE, "tri: verify cannot be '/nowhere/ca.pem': no such file"), (__file__, "holds no certificates")],
)
def test_a_file_without_authorities_is_named(trino_server: Trino, verify: str, said: str) -> None:
    with pytest.raises(DuctConfigError, match=said):
        Courier(duct(trino_server, verify=verify))


@pytest.mark.parametrize(
    ("own", "variable", "said"),
    [
        ({"verify": True}, "", "unknown|not known here .*verify: ca.pem; now it is the usual public ones"),
        ({"verify": None}, "CURL_CA_BUNDLE", "now it is .*pem, as CURL_CA_BUNDLE says"),
        ({"verify": requests.certs.where()}, "", "now it is verify: .*pem"),
        ({"_host": "127.0.0.2"}, "", "is not for the name '127.0.0.2'"),
        ({"server_protocol": "http"}, "", "speaks TLS: set server_protocol: https"),
    ],
)
def test_a_failure_of_tls_says_what_to_do(
    trino_server: Trino, own: dict[str, Any], variable: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable:
        monkeypatch.setenv(variable, requests.certs.where())
    with Proxy(trino_server.host, trino_server.https_port) as proxy:
        # So that 127.0.0.2 leads there, too.
        near = {"_remote": SimpleNamespace(name="bastion"), "host": "127.0.0.1", "port": proxy.port}
        client = duct(trino_server, **{"_port": trino_server.https_port, **near, **own})
        with pytest.raises(requests.ConnectionError) as raised:
            info(Courier(client), client)
    failure = tls_failure(client, raised.value)
    assert isinstance(failure, DuctConnectionError | DuctConfigError)
    assert str(failure).startswith("tri: ")
    with pytest.raises(type(failure), match=said):
        raise failure


def test_tls_where_there_is_none_says_what_to_do(trino_server: Trino) -> None:
    client = duct(trino_server, _port=trino_server.port)
    with pytest.raises(requests.exceptions.SSLError) as raised:
        info(Courier(client), client)
    assert "does not speak TLS: set server_protocol: http" in str(tls_failure(client, raised.value))


def test_what_is_no_failure_of_tls_is_left_to_others(trino_server: Trino) -> None:
    assert tls_failure(duct(trino_server), ConnectionRefusedError("refused")) is None


# Client certificates


def certified(server: Trino, key: Path, passphrase: str | None) -> SimpleNamespace:
    login = {"auth": "certificate", "client_certificate": [str(server.certificate), str(key)]}
    return duct(server, **login, password=passphrase, username=None)


def test_a_key_with_a_passphrase_is_opened(trino_server: Trino, encrypted_key: Path) -> None:
    client = certified(trino_server, encrypted_key, "open sesame")
    assert run(Courier(client), client, "SELECT current_user") == [["carol"]]


def test_a_certificate_is_shown_without_verifying_the_servers(trino_server: Trino) -> None:
    client = certified(trino_server, trino_server.key, None)
    client.verify = False
    assert run(Courier(client), client, "SELECT current_user") == [["carol"]]


def test_a_certificate_is_shown_through_a_proxy(trino_server: Trino, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    client = certified(trino_server, trino_server.key, None)
    with tunnel_proxy(asked) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        courier = Courier(client)
        assert run(courier, client, "SELECT current_user") == [["carol"]]
        courier.close()
    assert set(asked) == {f"localhost:{trino_server.https_port}"}


def test_a_certificate_and_its_key_may_be_in_one_file(trino_server: Trino, tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.write_text(trino_server.certificate.read_text() + trino_server.key.read_text())
    client = duct(trino_server, client_certificate=str(file), username=None)
    assert run(Courier(client), client, "SELECT current_user") == [["carol"]]


@pytest.mark.parametrize(
    ("passphrase", "said"),
    [("open barley", "the password is not the passphrase of the key"), (None, "is encrypted: .*True asks")],
)
def test_a_key_that_does_not_open_is_a_refused_login(
    trino_server: Trino, encrypted_key: Path, passphrase: str | None, said: str
) -> None:
    with pytest.raises(DuctAuthenticationError, match=said) as raised:
        Courier(certified(trino_server, encrypted_key, passphrase))
    assert "barley" not in str(raised.value)


def test_a_certificate_without_its_key_is_named(trino_server: Trino) -> None:
    client = duct(trino_server, client_certificate=str(trino_server.certificate))
    with pytest.raises(DuctConfigError, match=r"carol\.pem is not a certificate and the key"):
        Courier(client)
    client = duct(trino_server, client_certificate=[str(trino_server.certificate), NOWHERE])
    with pytest.raises(DuctConfigError, match=r"client_certificate cannot be '/nowhere/ca\.pem'"):
        Courier(client)
