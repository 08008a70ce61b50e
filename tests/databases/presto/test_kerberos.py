"""A login with Kerberos: by the ticket that `kinit` got."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.services.couriers import request, who
from tests.services.kerberos import KDC
from tests.services.trino import Trino

from omniduct.databases.presto import authentication as logins
from omniduct.databases.presto.transport import Courier
from omniduct.errors import DuctAuthenticationError, DuctConfigError, DuctDriverMissing, DuctError

pytest.importorskip("requests_gssapi")
pytestmark = pytest.mark.usefixtures("no_environment")


@pytest.fixture
def kdc(trino_kdc: KDC, monkeypatch: pytest.MonkeyPatch) -> KDC:
    """The realm, of which the environment knows; there is no ticket."""
    monkeypatch.setenv("KRB5_CONFIG", str(trino_kdc.config))
    monkeypatch.setenv("KRB5CCNAME", str(trino_kdc.home / "no-ticket"))
    return trino_kdc


@pytest.fixture
def ticket(kdc: KDC, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", str(kdc.ticket()))


@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"force_preemptive": False},
        {"principal": "alice"},
        {"service_name": "HTTP", "hostname_override": "localhost"},
        {"mutual_authentication": "optional", "delegate": True},
    ],
)
def test_a_ticket_is_let_in(trino: Any, options: dict[str, Any]) -> None:
    assert who(trino(auth="kerberos", auth_options=options)) == "alice"


@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize(("preemptive", "answers"), [(True, 1), (False, 2)])
def test_a_ticket_is_sent_without_being_asked_for_unless_that_is_unwanted(
    trino: Any, preemptive: bool, answers: int
) -> None:
    duct = trino(auth="kerberos", auth_options={} if preemptive else {"force_preemptive": False})
    duct.prepare()
    courier = Courier(duct)
    response = request(courier, duct, logins.authentication(duct)).post("SELECT 1")
    assert [*response.history, response][0].status_code == (200 if preemptive else 401)
    assert len(response.history) == answers - 1
    courier.close()


@pytest.mark.usefixtures("kdc")
def test_without_a_ticket_one_is_told_to_get_one(trino: Any) -> None:
    said = "tri: there is no Kerberos ticket .No Kerberos credentials.*: get one with kinit$"
    with pytest.raises(DuctAuthenticationError, match=said):
        trino(auth="kerberos").connect()


@pytest.mark.usefixtures("ticket")
def test_a_ticket_of_somebody_else_is_not_used(trino: Any) -> None:
    with pytest.raises(DuctAuthenticationError, match=r"no Kerberos ticket of bob .* kinit bob$"):
        trino(auth="kerberos", auth_options={"principal": "bob"}).connect()


def test_a_ticket_that_expires_is_told_of(kdc: KDC, trino: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", str(kdc.ticket(life="2s")))
    duct = trino(auth="kerberos")
    assert who(duct) == "alice"
    time.sleep(3)
    with pytest.raises(DuctError, match=r"there is no Kerberos ticket .*: get one with kinit"):
        duct.query("SELECT 1")


@pytest.mark.usefixtures("ticket")
def test_a_service_that_the_kdc_does_not_know_is_named(trino: Any) -> None:
    said = r"refused the Kerberos ticket.*: for trino@localhost there is no ticket \(Server .* not found"
    with pytest.raises(DuctAuthenticationError, match=said):
        trino(auth="kerberos", auth_options={"service_name": "trino"}).connect()


@pytest.mark.usefixtures("ticket")
def test_a_server_that_does_not_prove_itself_is_told_of(trino: Any) -> None:
    with pytest.raises(DuctAuthenticationError, match=r"mutual_authentication: required .* leave that"):
        who(trino(auth="kerberos", auth_options={"mutual_authentication": "required"}))


def test_a_configuration_of_its_own_is_nobody_elses(
    kdc: KDC, ticket: None, trino_server: Trino, trino: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_CONFIG", "/dev/null")
    duct = trino(auth="kerberos", auth_options={"config": str(kdc.config)})
    duct.prepare()
    courier = Courier(duct)
    sender = request(courier, duct, logins.authentication(duct))
    with ThreadPoolExecutor(6) as pool:
        assert [sent.status_code for sent in pool.map(sender.post, ["SELECT 1"] * 12)] == [200] * 12
    courier.close()
    assert os.environ["KRB5_CONFIG"] == "/dev/null"
    monkeypatch.setenv("KRB5CCNAME", str(kdc.ticket()))  # that of the service would be in the former by now
    with pytest.raises(DuctAuthenticationError):
        trino(auth="kerberos").connect()


def test_a_configuration_that_is_not_there_is_named(trino: Any) -> None:
    with pytest.raises(DuctConfigError, match=r"there is no file '/nowhere/krb5\.conf'"):
        trino(auth="kerberos", auth_options={"config": "/nowhere/krb5.conf"}).connect()


def test_a_missing_package_is_named(trino: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests_gssapi", None)  # importing it fails
    with pytest.raises(DuctDriverMissing, match=r"requests-gssapi .*pip install 'omniduct-ext\[kerberos\]'"):
        trino(auth="kerberos").connect()
