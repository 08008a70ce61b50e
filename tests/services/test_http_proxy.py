"""The reverse proxy passes all as it is, and breaks what it is told to."""

from __future__ import annotations

import http.client
import http.server
import threading
import time
from collections.abc import Iterator

import pytest
from tests.services.http_proxy import HTTPProxy
from tests.services.leftovers import nothing_is_left
from tests.services.ports import LOOPBACK, Port

LARGE = b"0123456789" * 100_000


class Echo(http.server.BaseHTTPRequestHandler):
    """Says what it was asked; a path with `chunks` is answered in chunks, one with `large` at length."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = LARGE if "large" in self.path else f"{self.command} {self.path} {self.headers}".encode() + body
        self.send_response(204 if "nothing" in self.path else 200, "So Be It")
        self.send_header("X-Twice", "one")
        self.send_header("X-Twice", "two")
        self.send_header(*(("Transfer-Encoding", "chunked") if "chunks" in self.path else self.length(said)))
        self.end_headers()
        if "chunks" in self.path:
            said = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (said[:9], said[9:], b""))
        if self.command != "HEAD" and "nothing" not in self.path:
            self.wfile.write(said)

    def length(self, said: bytes) -> tuple[str, str]:
        return "Content-Length", str(len(said) if "nothing" not in self.path else 0)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = answer

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[str, int]]:
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield LOOPBACK, server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(target: tuple[str, int]) -> Iterator[HTTPProxy]:
    with HTTPProxy(*target) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: HTTPProxy) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection(proxy.host, proxy.port, timeout=20)
    yield client
    client.close()


def ask(
    client: http.client.HTTPConnection, path: str = "/", method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes]:
    client.request(method, path, body)
    answer = client.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/a?b=c%20d", "/chunks"])
def test_it_passes_a_request_and_its_answer_as_they_are(
    target: tuple[str, int], proxy: HTTPProxy, method: str, path: str
) -> None:
    said = []
    for port in (target[1], proxy.port):
        client = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
        client.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for header in [("Host", "a:1"), ("X-A", "1"), ("X-A", "2"), ("Content-Length", "4")]:
            client.putheader(*header)
        client.endheaders(b"body")
        answer = client.getresponse()
        headers = [header for header in answer.getheaders() if header[0] != "Date"]
        said.append((answer.status, answer.reason, headers, answer.read()))
        client.close()
    assert said[0] == said[1]
    assert b"X-A: 1\nX-A: 2" in said[0][3]


def test_answers_without_a_body_and_long_ones_pass(client: http.client.HTTPConnection) -> None:
    assert ask(client, "/x", "HEAD") == (200, b"")
    assert ask(client, "/nothing") == (204, b"")
    for path in ("/large", "/large/chunks"):
        assert ask(client, path) == (200, LARGE)


def test_it_remembers_requests_and_counts_bytes(proxy: HTTPProxy, client: http.client.HTTPConnection) -> None:
    ask(client, "/one", "POST", b"12345")
    _, said = ask(client, "/two")
    seen = [(request.method, request.path, request.size, request.status) for request in proxy.requests]
    assert seen == [("POST", "/one", 5, 200), ("GET", "/two", 0, 200)]
    assert proxy.requests[0].headers["host"] == f"{proxy.host}:{proxy.port}"
    assert proxy.received == 5
    assert proxy.sent > len(said)
    proxy.clear()
    assert (proxy.requests, proxy.received, proxy.sent) == ([], 0, 0)


def test_it_answers_the_next_requests_itself(proxy: HTTPProxy, client: http.client.HTTPConnection) -> None:
    proxy.answer(503, 2, method="GET", path="^/b", retry_after="7")
    assert ask(client, "/a")[0] == 200
    assert ask(client, "/b", "POST", b"x")[0] == 200
    client.request("GET", "/b")
    answer = client.getresponse()
    assert (answer.status, answer.getheader("Retry-After"), answer.read()) == (503, "7", b"said by the proxy")
    assert [ask(client, "/b")[0] for _ in range(2)] == [503, 200]
    assert [request.status for request in proxy.requests] == [200, 200, 503, 503, 200]


def test_what_it_is_told_first_comes_first_and_can_be_for_ever(
    proxy: HTTPProxy, client: http.client.HTTPConnection
) -> None:
    proxy.answer(429)
    proxy.answer(502, float("inf"))
    assert [ask(client)[0] for _ in range(4)] == [429, 502, 502, 502]
    proxy.clear()
    assert ask(client)[0] == 200


def test_it_holds_an_answer_back(proxy: HTTPProxy, client: http.client.HTTPConnection) -> None:
    proxy.delay(0.3, path="slow")
    begin = time.monotonic()
    assert ask(client, "/slow")[0] == 200
    assert time.monotonic() - begin >= 0.3


@pytest.mark.parametrize("path", ["/large", "/large/chunks"])
@pytest.mark.parametrize("after", [0, 200_000])
def test_it_cuts_an_answer_in_its_body(
    proxy: HTTPProxy, client: http.client.HTTPConnection, path: str, after: int
) -> None:
    proxy.cut(after)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask(client, path)
    client.close()
    assert proxy.sent == after
    assert ask(client, path) == (200, LARGE)


def test_it_hangs_up_when_its_target_refuses() -> None:
    port = Port()
    with HTTPProxy(LOOPBACK, port.number) as nowhere:
        lost = http.client.HTTPConnection(nowhere.host, nowhere.port, timeout=20)
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            ask(lost)
        assert [request.status for request in nowhere.requests] == [0]
        lost.close()
    port.close()


def test_closed_it_leaves_no_thread_and_no_socket(target: tuple[str, int]) -> None:
    with nothing_is_left():
        proxy = HTTPProxy(*target)
        proxy.delay(60, path="slow")
        idle, waiting = (http.client.HTTPConnection(proxy.host, proxy.port, timeout=20) for _ in range(2))
        waiting.request("GET", "/slow")
        ask(idle)
        proxy.close()
        for client in (idle, waiting):
            client.close()
