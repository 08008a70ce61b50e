"""A reverse proxy before an HTTP server, which can answer itself, be slow, and break off."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.services.ports import LOOPBACK

PATIENCE = 60.0  # seconds
CHUNK = 65536
# They are about one connection, so they are not passed on.
OF_THE_LINK = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


@dataclass(frozen=True)
class Request:
    """A request that came, the size of its body, and the status of its answer (0: there was none)."""

    method: str
    path: str
    headers: Message
    size: int
    status: int


@dataclass
class Rule:
    """What is done with the requests of a method whose path a pattern is found in, so many times."""

    method: str
    path: str
    times: float
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    cut: int | None = None

    def takes(self, method: str, path: str) -> bool:
        """Whether it is for this request."""
        return self.times > 0 and self.method in ("", method) and re.search(self.path, path) is not None


class HTTPProxy:
    """Passes requests on to a server, and its answers back, as they are; a context manager.

    The server sees the address that the client asked, in `Host`, so links in its answers lead to the proxy.

    Attributes
    ----------
    host, port
        Where it listens.
    requests : list of Request
        What came, in the order of the answers.
    received, sent : int
        The bytes of the bodies that came from clients, and that were passed to them.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self.target = target_host, target_port
        self.requests: list[Request] = []
        self.received = self.sent = 0
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._server = _Listener(self)
        self.host, self.port = LOOPBACK, self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> HTTPProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def answer(
        self, status: int, times: float = 1, *, method: str = "", path: str = "", **headers: str
    ) -> None:
        """Answer the next requests itself; a header is written as `retry_after="1"`."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        self._rules.append(Rule(method, path, times, status, named))

    def delay(self, seconds: float, times: float = 1, *, method: str = "", path: str = "") -> None:
        """Hold the next answers back for so long."""
        self._rules.append(Rule(method, path, times, delay=seconds))

    def cut(self, after: int, times: float = 1, *, method: str = "", path: str = "") -> None:
        """Break the connection when so many bytes of the next answer's body were passed."""
        self._rules.append(Rule(method, path, times, cut=after))

    def clear(self) -> None:
        """Forget what it was told to do, and what it has seen."""
        with self._lock:
            self._rules.clear()
            self.requests.clear()
            self.received = self.sent = 0

    def close(self) -> None:
        """End it, and its connections."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.end()

    def rule(self, method: str, path: str) -> Rule | None:
        """The rule for a request that came, which then counts."""
        with self._lock:
            for rule in self._rules:
                if rule.takes(method, path):
                    rule.times -= 1
                    return rule
        return None

    def saw(self, request: Request) -> None:
        """Remember a request; it is remembered when its answer comes."""
        with self._lock:
            self.requests.append(request)
            self.received += request.size

    def passes(self, size: int) -> None:
        """Count bytes that go to a client."""
        with self._lock:
            self.sent += size


class _Listener(ThreadingHTTPServer):
    """Takes the connections, and knows those that are open."""

    daemon_threads = False  # so that it waits for them at the end
    request_queue_size = 128

    def __init__(self, proxy: HTTPProxy) -> None:
        self.proxy = proxy
        self.open: set[socket.socket] = set()
        super().__init__((LOOPBACK, 0), _Exchange)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nothing to print."""

    def end(self) -> None:
        for each in list(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Exchange(BaseHTTPRequestHandler):
    """One connection: its requests, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        rule = self.server.proxy.rule(self.command, self.path) or Rule("", "", 0)
        if rule.status:
            self._saw(body, rule.status)
            self._answer(rule)
            return
        # A connection for each request: one that stood idle may have been closed meanwhile.
        far = http.client.HTTPConnection(*self.server.proxy.target, timeout=PATIENCE)
        with contextlib.closing(far):
            try:
                answer = self._ask(far, body)
            except (OSError, http.client.HTTPException):
                self._saw(body, 0)
                raise  # which ends the connection
            self.server.proxy.closing.wait(rule.delay)
            self._saw(body, answer.status)
            self._relay(answer, rule.cut)

    def _saw(self, body: bytes, status: int) -> None:
        self.server.proxy.saw(Request(self.command, self.path, self.headers, len(body), status))

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _pass

    def _answer(self, rule: Rule) -> None:
        text = b"said by the proxy"
        self.send_response(rule.status)
        for name, value in {**rule.headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def _ask(self, far: http.client.HTTPConnection, body: bytes) -> http.client.HTTPResponse:
        """The server's answer."""
        far.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in OF_THE_LINK:
                far.putheader(name, value)
        far.endheaders(body)
        return far.getresponse()

    def _relay(self, answer: http.client.HTTPResponse, cut: int | None) -> None:
        """Pass an answer, whole or `cut` after so many bytes of its body."""
        bare = self.command == "HEAD" or answer.status in (204, 304)
        chunked = not bare and answer.getheader("Content-Length") is None
        self._head(answer, chunked)
        left = cut
        while left != 0 and (data := answer.read1(CHUNK if left is None else min(CHUNK, left))):
            left = None if left is None else left - len(data)
            self.server.proxy.passes(len(data))
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        if cut is not None:
            self._break()
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _head(self, answer: http.client.HTTPResponse, chunked: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in OF_THE_LINK:
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _break(self) -> None:
        """End the connection with a reset: to linger for no time is to reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
