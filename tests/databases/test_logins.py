"""A password that is given in a URL, or among a driver's options, is kept like any other."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from omniduct import DuctRegistry
from omniduct.databases.postgresql import PostgreSQLClient
from omniduct.databases.sqlalchemy import SQLAlchemyClient
from omniduct.databases.sqlalchemy.mysql import MySQLClient
from omniduct.errors import DuctError

SECRET = "s3ntinel!/@"
URL = "mysql+pymysql://ann:s3ntinel!%2F%40@127.0.0.1:1/shop"
WAYS: list[tuple[type, dict[str, Any]]] = [
    (SQLAlchemyClient, {"url": URL}),
    (MySQLClient, {"engine_opts": {"connect_args": {"passwd": SECRET}}, "host": "127.0.0.1:1"}),
    (PostgreSQLClient, {"engine_opts": {"connect_args": {"password": SECRET}}, "host": "127.0.0.1:1"}),
    (PostgreSQLClient, {"connection_options": {"password": SECRET}, "host": "127.0.0.1:1"}),
]


@pytest.mark.parametrize(("kind", "arguments"), WAYS)
def test_the_password_is_the_ducts_and_shown_nowhere(kind: type, arguments: dict[str, Any]) -> None:
    duct = kind(name="db", **arguments)
    assert duct.password == SECRET
    with pytest.raises(DuctError) as raised:
        duct.connect()
    for shown in (repr(duct), repr(vars(duct)), repr(raised.value), repr(vars(copy.copy(duct)))):
        assert "s3ntinel" not in shown
    assert b"s3ntinel" not in repr(duct.__reduce_ex__(4)).encode()
    assert copy.copy(duct)._password is True  # it asks, as copies have no secrets


def test_a_password_given_by_name_comes_before_one_in_a_url() -> None:
    assert SQLAlchemyClient(name="db", url=URL, password="other").password == "other"


@pytest.mark.parametrize("url", [URL, "mysql+pymysql:/ann:s3ntinel@127.0.0.1/shop", "mysql//ann:s3ntinel@h"])
def test_no_display_of_a_configuration_shows_the_password_of_a_url(url: str) -> None:
    from traitlets.config import Config

    from omniduct.config.defaults import hidden, hide_in

    ducts = {"databases": {"db": {"protocol": "sqlalchemy", "url": url}}}
    assert "s3ntinel" not in repr(hidden(ducts))
    config = Config({"SQLAlchemyClient": {"url": url}})
    hide_in(config)
    assert "s3ntinel" not in repr(config)
    registry = DuctRegistry(hidden(ducts))
    assert "s3ntinel" not in repr(registry)
    if url == URL:
        assert registry["db"].password == SECRET
    else:
        with pytest.raises(DuctError, match="url cannot be read") as raised:
            registry["db"]
        assert "s3ntinel" not in str(raised.value)
