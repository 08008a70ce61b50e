"""Logins: those that are let in, those that are not, and what is said of them."""

from __future__ import annotations

from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.services.couriers import who
from tests.services.links import answering, recorder
from tests.services.tcp import Answers
from tests.services.trino import Trino

from omniduct.credentials import prompting_with
from omniduct.databases.presto import TrinoClient
from omniduct.databases.presto import authentication as logins
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConfigError,
    DuctPromptUnavailable,
)

SECRET = "s3ntinel"

pytestmark = pytest.mark.usefixtures("no_environment")


# At construction


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"auth": "kerbros"}, "auth cannot be 'kerbros'; it takes none, .* did you mean 'kerberos'"),
        ({"auth": "kerberos", "auth_options": {"princpal": "x"}}, "'princpal'; did you mean 'principal'"),
        ({"auth": "kerberos", "auth_options": {"delegate": "yes"}}, "delegate cannot be 'yes'"),
        ({"auth": "oauth2", "auth_options": {"user": "x"}}, "'user'; it takes timeout, keyring"),
        ({"auth_options": {"timeout": 3}}, "'timeout'; auth: none takes none"),
        ({"auth": "certificate"}, "client_certificate"),
        ({"client_certificate": "a.pem"}, "over TLS only: set server_protocol: https"),
        ({"auth": "password", "password": False}, "password: false says that there is none"),
        ({"server_protocol": "htps"}, "server_protocol cannot be 'htps'; .* did you mean"),
    ],
)
def test_what_can_never_be_used_is_refused_at_once(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DuctConfigError, match=said) as raised:
        TrinoClient(name="tri", **arguments)
    assert str(raised.value).startswith("tri: ")


@pytest.mark.parametrize(
    ("arguments", "way"),
    [
        ({}, "none"),
        ({"password": False}, "none"),
        ({"password": "x"}, "password"),
        ({"password": True}, "password"),
        ({"client_certificate": "a.pem"}, "certificate"),
        ({"client_certificate": "a.pem", "password": "x"}, "password"),
        ({"auth": "jwt"}, "jwt"),
        ({"auth": "none", "password": "x"}, "none"),
    ],
)
def test_the_way_to_log_in_is_what_the_duct_has_unless_it_says(arguments: dict[str, Any], way: str) -> None:
    assert logins.mechanism(TrinoClient(server_protocol="https", **arguments)) == way


# Without TLS


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ({"password": SECRET}, "the password is not sent to .* set server_protocol: https"),
        ({"auth": "jwt", "password": SECRET}, "the token is not sent to .* allow_cleartext_password: true"),
        ({"auth": "oauth2"}, "the token is not sent"),
    ],
)
def test_no_secret_is_sent_without_tls_unless_that_is_allowed(login: dict[str, Any], said: str) -> None:
    seen: list[Message] = []
    with recorder(seen) as port:
        duct = TrinoClient(name="tri", host="127.0.0.1", port=port, username="alice", **login)
        with pytest.raises(DuctConfigError, match=said):
            duct.connect()
        assert not [headers for headers in seen if "Authorization" in headers]


def test_a_secret_is_sent_without_tls_where_that_is_allowed(trino_server: Trino) -> None:
    duct = TrinoClient(
        name="tri",
        **{**trino_server.login, "password": trino_server.password},
        allow_cleartext_password=True,
    )
    with pytest.raises(DuctAuthenticationError, match="Password not allowed for insecure authentication"):
        duct.connect()


# Passwords


def test_the_right_password_is_let_in(trino_server: Trino, trino: Any) -> None:
    assert who(trino(username="alice", password=trino_server.password)) == "alice"


def test_a_wrong_password_is_refused(trino: Any) -> None:
    duct = trino(username="alice", password=SECRET)
    with pytest.raises(DuctAuthenticationError) as raised:
        duct.connect()
    assert str(raised.value) == "tri: the server refused the password of 'alice': Invalid credentials"
    assert SECRET not in repr(vars(duct))


def test_a_typed_password_that_is_refused_is_asked_for_again(trino_server: Trino, trino: Any) -> None:
    person = Answers("oops", trino_server.password)
    with prompting_with(person):
        assert who(trino(username="alice", auth="password")) == "alice"
    assert person.asked == ["password", "password"]


def test_without_anybody_to_ask_a_password_has_to_be_configured(trino: Any) -> None:
    with pytest.raises(DuctPromptUnavailable, match="password: env:"):
        trino(username="alice", auth="password").connect()


def test_a_server_that_wants_a_login_is_told_of(trino: Any) -> None:
    takes = "it takes password, (?:kerberos, )?oauth2, jwt"
    with pytest.raises(DuctAuthenticationError, match=f"wants a login .{takes}.: set password"):
        trino().connect()


# Tokens


def test_a_token_is_let_in_as_who_it_is_for(trino_server: Trino, trino: Any) -> None:
    assert who(trino(auth="jwt", password=trino_server.token("alice") + "\n")) == "alice"


def test_a_token_comes_from_where_it_is_said_to(
    trino_server: Trino, trino: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRI_TOKEN", trino_server.token("alice"))
    assert who(trino(auth="jwt", password="env:TRI_TOKEN")) == "alice"


def test_an_expired_token_is_said_to_be(trino_server: Trino, trino: Any) -> None:
    token = trino_server.token("alice", -3600)
    with pytest.raises(DuctAuthenticationError, match=r"refused the token: it expired on 20\d\d-") as raised:
        trino(auth="jwt", password=token).connect()
    assert token not in str(raised.value)


@pytest.mark.parametrize("token", [SECRET, "a.b.c", "a.eyJleHAiOiJuZXZlciJ9.c"])
def test_what_is_no_token_is_refused(trino: Any, token: str) -> None:
    with pytest.raises(DuctAuthenticationError, match="tri: the server refused the token of 'alice'"):
        trino(auth="jwt", password=token, username="alice").connect()


# Certificates


def test_a_client_certificate_is_let_in(trino_server: Trino, trino: Any) -> None:
    files = [str(trino_server.certificate), str(trino_server.key)]
    assert who(trino(client_certificate=files)) == "carol"


def test_a_typed_passphrase_that_does_not_open_the_key_is_asked_for_again(
    trino_server: Trino, encrypted_key: Path, trino: Any
) -> None:
    files = [str(trino_server.certificate), str(encrypted_key)]
    with prompting_with(Answers("oops", "open sesame")):
        assert who(trino(auth="certificate", client_certificate=files, password=True)) == "carol"


# What servers say


@pytest.mark.parametrize(
    ("status", "kind", "text", "said"),
    [
        (401, "text/plain", "Access Denied: no such  user", "refused the password of 'alice': no such user"),
        (401, "text/html", "<h1>Forbidden</h1>", "refused the password of 'alice'"),
        (401, "text/plain", "x" * 500, "refused the password of 'alice'"),
        (401, "text/plain", f"{SECRET} is wrong", "refused the password of 'alice': *** is wrong"),
        (403, "text/plain", "not on Sundays", "does not let 'alice' do that: not on Sundays"),
        (403, "text/html", "<h1>Forbidden</h1>", "does not let 'alice' do that"),
    ],
)
def test_what_a_server_says_is_repeated_if_it_is_a_sentence(
    status: int, kind: str, text: str, said: str
) -> None:
    login = {"username": "alice", "password": SECRET, "allow_cleartext_password": True}
    with answering(status, text, Content_Type=kind) as port:
        duct = TrinoClient(name="tri", host="127.0.0.1", port=port, **login)
        response = requests.get(f"http://127.0.0.1:{port}/", timeout=5)
        refused = logins.refused(duct, response)
    assert isinstance(refused, DuctAuthenticationError)
    assert str(refused) == f"tri: the server {said}"


def test_a_server_says_what_it_takes_instead() -> None:
    with answering(401, "", WWW_Authenticate='Basic realm="x", Bearer realm="y"') as port:
        duct = TrinoClient(name="tri", auth="oauth2", server_protocol="https")
        refused = logins.refused(duct, requests.get(f"http://127.0.0.1:{port}/", timeout=5))
    assert str(refused) == "tri: the server refused the login; it takes password, jwt"


def test_what_is_no_refusal_is_left_to_others() -> None:
    with answering(404, "") as port:
        response = requests.get(f"http://127.0.0.1:{port}/", timeout=5)
    assert logins.refused(TrinoClient(name="tri"), response) is None
