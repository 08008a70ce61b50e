"""Headers and credentials of the person's own, and redirects: what goes to whom, and what nobody sees."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from tests.services.http_proxy import HTTPProxy
from tests.services.pretending import Answer, Asked, Pretender, compact, coordinator, duct_to, page
from tests.services.trino import Trino

from omniduct import Duct
from omniduct.databases.presto import TrinoClient
from omniduct.errors import DuctAuthenticationError, DuctConfigError, DuctConnectionError, DuctStatementError

SECRET = "s3ntinel-s3ntinel"
GIVEN: dict[str, Any] = {
    "http_headers": {"X-Api-Key": SECRET, "X-Trino-Client-Info": "by hand"},
    "extra_credentials": {"s3": SECRET},
}


# What can be sent


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Authorization": f"Bearer {SECRET}\n"}, "'Authorization': its value has a line end in it"),
        ({"X-A": f" {SECRET}"}, "'X-A': its value has a line end in it, or begins with a blank"),
        ({"X-A": f"{SECRET}\r\nX-B: c"}, "'X-A': its value has a line end"),
        ({"X-A": f"{SECRET}€"}, "'X-A': its value has characters that are not of Latin-1"),
        ({"X A": SECRET}, "'X A': that is no name of a header"),
        ({"X-Trino-User": SECRET}, "'X-Trino-User': the duct sends that itself; it is set by username or"),
        ({"x-presto-session": SECRET}, "'x-presto-session': .* it is set by session_properties"),
        ({"User-Agent": SECRET}, "'User-Agent': the duct sends that itself$"),
        ({"Accept-Encoding": SECRET}, "'Accept-Encoding': .* it is set by compression"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_by_its_name(headers: Mapping[str, str], said: str) -> None:
    with pytest.raises(DuctConfigError, match=rf"db: http_headers cannot have {said}") as raised:
        TrinoClient(name="db", http_headers=dict(headers))
    assert SECRET not in str(raised.value)
    duct = TrinoClient(name="db", host="127.0.0.1", port=1)
    duct.http_headers = dict(headers)  # set later, it is refused when it is to be sent
    with pytest.raises(DuctConfigError, match="http_headers cannot have") as raised:
        duct._state.session(duct)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("name", ["a b", "a=b", "ä", ""])
def test_a_credential_that_cannot_be_sent_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(DuctConfigError, match=f"db: extra_credentials cannot have {name!r}: ") as raised:
        TrinoClient(name="db", extra_credentials={name: SECRET})
    assert SECRET not in str(raised.value)


def test_they_reach_the_server(trino_server: Trino) -> None:
    with HTTPProxy(trino_server.host, trino_server.port) as proxy:
        duct: Any = Duct.for_protocol("trino")(
            name="db", **{**trino_server.login, "port": proxy.port, **GIVEN}
        )
        for each in (duct, copy.copy(duct), copy.deepcopy(duct)):  # copies of this process are as good
            assert each.query("SELECT 1", format="tuple") == [(1,)]
            each.disconnect()
        posts = [each.headers for each in proxy.requests if each.method == "POST"]
    assert [each["X-Api-Key"] for each in posts] == [SECRET] * 3
    assert [each["X-Trino-Client-Info"] for each in posts] == ["by hand"] * 3
    assert [each["X-Trino-Extra-Credential"] for each in posts] == [f"s3={SECRET}"] * 3


# Who sees them


def test_nothing_shows_them() -> None:
    duct = TrinoClient(name="db", host="127.0.0.1", port=1, **GIVEN)
    shown = f"{vars(duct)!r} {duct!r} {duct.http_headers} {vars(copy.copy(duct))!r}"
    assert SECRET not in shown
    assert "by hand" in shown


@pytest.mark.parametrize("later", [False, True])
def test_a_pickle_is_without_them_and_says_so(later: bool) -> None:
    duct = TrinoClient(name="db", host="127.0.0.1", port=1, **({} if later else GIVEN))
    if later:
        duct.http_headers, duct.extra_credentials = GIVEN["http_headers"], GIVEN["extra_credentials"]
    written = pickle.dumps(duct)
    assert SECRET.encode() not in written and b"by hand" in written
    again = pickle.loads(written)
    with pytest.raises(DuctConfigError, match=r"db: http_headers has no value for 'X-Api-Key'; a pickle"):
        again._state.session(again)
    again.http_headers = {"X-Api-Key": SECRET}
    with pytest.raises(DuctConfigError, match=r"db: extra_credentials has no value for 's3'; a pickle"):
        again._state.session(again)


@pytest.mark.parametrize("given", [{"X-Api-Key": SECRET}, {"Authorization": f"Bearer {SECRET}"}])
def test_no_error_shows_them(given: dict[str, str]) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(401, f"unknown: {SECRET}", {"Content-Type": "text/plain"})

    with Pretender(answer) as server, duct_to(server, http_headers=given) as duct:
        with pytest.raises(DuctAuthenticationError) as raised:
            duct.connect()
        assert str(raised.value).endswith("unknown: ***")


def test_a_short_word_in_a_header_is_no_secret() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(500, "no table prod.x in prod")

    with (
        Pretender(coordinator(answer)) as server,
        duct_to(server, http_headers={"X-Stage": "prod"}) as duct,
        pytest.raises(DuctStatementError, match=r"no table prod\.x in prod"),
    ):
        duct.query("SELECT 1")


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("when", ["/v1/info", "/v1/statement", "/v1/statement/executing/q1/1"])
def test_nothing_follows_a_redirect_to_another_coordinator(status: int, when: str) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == when:
            return Answer(status, "", {"Location": f"http://localhost:{other.port}{asked.path}"})
        return coordinator(lambda asked: Answer(200, compact(page(asked, 1))))(asked)

    login = {"password": SECRET, "allow_cleartext_password": True}
    with Pretender(coordinator(lambda asked: Answer(500))) as other, Pretender(answer) as server:
        with duct_to(server, **GIVEN, **login) as duct, pytest.raises(DuctConfigError) as raised:
            duct.query("SELECT 1")
        assert str(raised.value) == (
            f"db: the server says to go to http://localhost:{other.port}: set host: localhost, port: "
            f"{other.port}"
        )
        assert other.asked == []


def test_a_redirect_to_tls_says_what_to_set() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(301, "", {"Location": f"https://127.0.0.1:8443{asked.path}"})

    with Pretender(answer) as server, duct_to(server) as duct, pytest.raises(DuctConfigError) as raised:
        duct.connect()
    assert str(raised.value) == (
        "db: the server says to go to https://127.0.0.1:8443: set server_protocol: https, port: 8443"
    )


def test_a_redirect_to_a_page_for_logins_is_no_other_coordinator() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(302, "<html>moved</html>", {"Location": "https://login.example.org/?token=s3ntinel"})

    with Pretender(answer) as server, duct_to(server) as duct:
        with pytest.raises(DuctConnectionError) as raised:
            duct.connect()
        assert str(raised.value) == (
            f"db: {server.url} answers, but is no Trino or Presto (302 Found: go to "
            "https://login.example.org:443): check host and port"
        )
