"""What a person is told of answers that are none of the protocol's, and of connections that broke."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from tests.services.http_proxy import HTTPProxy
from tests.services.ports import LOOPBACK
from tests.services.pretending import SILENCE, Pretender
from tests.services.trino import Trino

from omniduct import Duct
from omniduct.databases.presto import PrestoClient
from omniduct.databases.presto.errors import of_http
from omniduct.databases.presto.refusals import never_arrived, of_lost
from omniduct.errors import (
    DuctAuthenticationError,
    DuctConnectionError,
    DuctError,
    DuctServerUnreachable,
    DuctStatementError,
)

JETTY = """<html>
<head>
<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>
<title>Error 404 Not Found</title>
</head>
<body><h2>HTTP ERROR 404</h2>
<p>Problem accessing /v1/statement/executing/20200101_000000_00001_aaaaa/x/0. Reason:
<pre>    Not Found</pre></p>
</body>
</html>
"""
NGINX = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>"
STACK = (
    "java.lang.IllegalArgumentException: Could not parse selected role: x\n"
    "\tat com.facebook.presto.spi.security.SelectedRole.valueOf(SelectedRole.java:120)"
)
INSERT = "INSERT INTO t SELECT 1"
PORTAL = "<html><head><title>Sign in &amp; go</title></head><body>to the internet</body></html>"

# What real servers and gateways answer.
ANSWERS: list[tuple[int, str, str, Any, type[DuctError], str]] = [
    (
        404,
        JETTY,
        INSERT,
        "reading",
        DuctConnectionError,
        "after a restart (404 Not Found): the statement may or",
    ),
    (
        404,
        JETTY,
        "SELECT 1",
        "reading",
        DuctConnectionError,
        "the result is lost, and the statement can be run",
    ),
    (
        *(404, "Error 404 Not Found: Query not found", INSERT, "reading", DuctConnectionError),
        "as after a restart (404 Not Found: Query not found): the statement may or may not have taken effect",
    ),
    (410, "", "", "reading", DuctConnectionError, "the server does not know the query any more"),
    (
        404,
        JETTY,
        INSERT,
        "sending",
        DuctConnectionError,
        "is no Trino or Presto (404 Not Found): check host and",
    ),
    (405, "", INSERT, "sending", DuctConnectionError, "is no Trino or Presto (405 Method Not Allowed)"),
    (
        200,
        PORTAL,
        "",
        "connecting",
        DuctConnectionError,
        "is no Trino or Presto (200 OK: Sign in & go): check",
    ),
    (401, "Unauthorized", "", "reading", DuctAuthenticationError, "refuses the login (401 Unauthorized)"),
    (
        502,
        NGINX,
        INSERT,
        "sending",
        DuctConnectionError,
        "not available (502 Bad Gateway): the statement may or",
    ),
    (
        502,
        NGINX,
        "SELECT 1",
        "reading",
        DuctConnectionError,
        "not available (502 Bad Gateway): the result is lost",
    ),
    (
        503,
        "",
        INSERT,
        "untaken",
        DuctConnectionError,
        "(503 Service Unavailable), so the statement was not run",
    ),
    (
        503,
        "",
        INSERT,
        "sending",
        DuctConnectionError,
        "(503 Service Unavailable): the statement may or may not",
    ),
    (503, "", "", "connecting", DuctConnectionError, "the server is not available (503 Service Unavailable)"),
    (504, "", INSERT, "reading", DuctConnectionError, "(504 Gateway Timeout): the statement may or may not"),
    (
        429,
        "",
        INSERT,
        "untaken",
        DuctConnectionError,
        "(429 Too Many Requests), so the statement was not run",
    ),
    (
        413,
        "",
        INSERT,
        "sending",
        DuctStatementError,
        "the statement is too long for the server, or for a gateway",
    ),
    (
        431,
        "",
        INSERT,
        "sending",
        DuctStatementError,
        "the statement is too long for the server, or for a gateway",
    ),
    (
        500,
        STACK,
        INSERT,
        "sending",
        DuctStatementError,
        "the server failed (500 Internal Server Error: Could not parse",
    ),
    (
        *(
            400,
            "Error 400 Bad Request: Invalid X-Trino-Session header",
            INSERT,
            "sending",
            DuctStatementError,
        ),
        "the server refuses (400 Bad Request: Invalid X-Trino-Session header)",
    ),
    (599, "odd", "", "connecting", DuctConnectionError, "the server failed (599: odd)"),
]


@pytest.mark.parametrize(("status", "body", "statement", "during", "kind", "told"), ANSWERS)
def test_an_answer_is_told_in_one_line(
    status: int, body: str, statement: str, during: Any, kind: type[DuctError], told: str
) -> None:
    explained = of_http(status, body, statement, during)
    assert told in explained.said
    assert explained.kind is kind
    assert "\n" not in explained.said and "<" not in explained.said


def test_a_long_answer_is_cut() -> None:
    assert len(of_http(500, "x" * 5000, "", "connecting").said) < 300


@pytest.mark.parametrize("url", ["http://nowhere.invalid/", f"http://{LOOPBACK}:1/"])
def test_a_request_that_never_arrived_is_known(url: str) -> None:
    with pytest.raises(requests.ConnectionError) as raised:
        requests.post(url, "INSERT INTO t SELECT 1", timeout=5, proxies={"http": ""})
    assert never_arrived(raised.value)
    assert of_lost(raised.value, INSERT).said.startswith("the server cannot be reached, so the statement was")


def test_a_request_that_nobody_answered_may_have_arrived() -> None:
    with Pretender(lambda asked: SILENCE) as server, pytest.raises(requests.ReadTimeout) as raised:
        requests.post(server.url, INSERT, timeout=0.3)
    assert not never_arrived(raised.value)
    assert "the statement may or may not have taken effect" in of_lost(raised.value, INSERT).said


class Page(http.server.BaseHTTPRequestHandler):
    """Answers whatever is asked with a page for browsers."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PORTAL.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def test_something_else_that_answers_is_named() -> None:
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        duct = Duct.for_protocol("trino")(name="db", host=LOOPBACK, port=page.server_port)
        at = f"http://{LOOPBACK}:{page.server_port}"
        with pytest.raises(DuctConnectionError) as caught:
            duct.connect()
        page.shutdown()
    assert str(caught.value) == (
        f"db: {at} answers, but is no Trino or Presto (200 OK: Sign in & go): check host and port"
    )


@pytest.fixture
def proxy(trino_server: Trino) -> Iterator[HTTPProxy]:
    with HTTPProxy(trino_server.host, trino_server.port) as proxy:
        yield proxy


@pytest.fixture
def duct(proxy: HTTPProxy, trino_server: Trino) -> Iterator[PrestoClient]:
    duct = Duct.for_protocol("trino")(
        name="db", **{**trino_server.login, "host": proxy.host, "port": proxy.port}
    )
    duct.query("SELECT 1")
    yield duct
    duct.disconnect()


def test_a_query_that_the_server_knows_no_more_is_lost(duct: PrestoClient, proxy: HTTPProxy) -> None:
    proxy.answer(404, method="GET", path="/v1/statement/")
    with pytest.raises(DuctConnectionError, match=r"does not know the query any more.*can be run again"):
        duct.query("SELECT 2")
    assert duct.query("SELECT 3", format="tuple") == [(3,)]


def test_a_gateway_that_takes_no_long_statements_says_so(duct: PrestoClient, proxy: HTTPProxy) -> None:
    proxy.answer(413, method="POST")
    with pytest.raises(DuctStatementError, match="too long for the server, or for a gateway before it"):
        duct.query("SELECT 2")
    assert duct.query("SELECT 3", format="tuple") == [(3,)]


def test_a_server_that_goes_away_before_it_has_a_statement_has_not_run_it(
    duct: PrestoClient, proxy: HTTPProxy
) -> None:
    proxy.close()
    with pytest.raises(DuctServerUnreachable, match="refused"):
        duct.execute("CREATE TABLE memory.shop.never AS SELECT 1 AS x")


def test_a_connection_that_breaks_says_how(duct: PrestoClient, proxy: HTTPProxy) -> None:
    proxy.cut(0, times=99, method="POST")
    with pytest.raises(DuctConnectionError) as caught:
        duct.execute("CREATE TABLE IF NOT EXISTS memory.shop.perhaps AS SELECT 1 AS x")
    assert str(caught.value) == (
        "db: the connection was lost while the statement ran (Connection reset by peer): the statement may "
        "or may not have taken effect. The next one connects anew"
    )
