"""Requests to a coordinator by a `Courier`, as a duct makes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import requests
from tests.services.trino import Trino
from trino.auth import BasicAuthentication
from trino.client import ClientSession, TrinoRequest

from omniduct.databases.presto.transport import Courier


def duct(server: Trino, **own: Any) -> SimpleNamespace:
    """What a courier reads of a duct; with TLS, unless it says otherwise."""
    secure = own.get("server_protocol", "https") == "https"
    port = server.https_port if secure else server.port
    usual = {
        "name": "tri",
        "server_protocol": "https",
        "verify": str(server.ca),
        "username": "alice",
        **dict.fromkeys(("_host", "host"), "localhost"),
        **dict.fromkeys(("_port", "port"), port),
        **dict.fromkeys(("auth", "password", "_password", "client_certificate", "_remote")),
        **dict.fromkeys(("compression", "requests_session")),
    }
    return SimpleNamespace(**{**usual, **own})


def request(courier: Courier, client: Any, auth: Any = None, attempts: int = 1) -> TrinoRequest:
    return TrinoRequest(
        *(client._host, client._port, ClientSession(user=client.username)),
        http_session=courier,  # type: ignore[arg-type]
        http_scheme=client.server_protocol,
        auth=auth,
        max_attempts=attempts,
        request_timeout=10,
    )


def run(courier: Courier, client: Any, sql: str, auth: Any = None) -> list[Any]:
    """The rows of a statement."""
    sender = request(courier, client, auth)
    status = sender.process(sender.post(sql))
    rows = list(status.rows)
    while status.next_uri:
        status = sender.process(sender.get(status.next_uri))
        rows += status.rows
    return rows


def info(courier: Courier, client: Any) -> requests.Response:
    return courier.get(f"{client.server_protocol}://{client._host}:{client._port}/v1/info", timeout=10)


def password(server: Trino) -> BasicAuthentication:
    return BasicAuthentication(server.user, server.password)


def who(duct: Any) -> str:
    """The user that the server takes it for."""
    ((user,),) = duct.query("SELECT current_user", format="tuple")
    return str(user)
