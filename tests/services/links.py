"""Real things between a client and a server, and a storage beside it: a slow link, a proxy, a recorder."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from email.message import Message

LOOPBACK = "127.0.0.1"
PATIENCE = 20.0  # seconds


@contextlib.contextmanager
def slow_link(port: int, delay: float, rate: float) -> Iterator[int]:
    """A port that leads to another, late by `delay` seconds, and with `rate` bytes a second from there."""

    def pipe(source: socket.socket, sink: socket.socket, slowly: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 15):
                time.sleep(len(data) / rate if slowly else delay)
                sink.sendall(data)
        _end(sink)

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((LOOPBACK, port)) as far:
                back = threading.Thread(target=pipe, args=(far, self.request, True), daemon=True)
                back.start()
                pipe(self.request, far, False)
                back.join(PATIENCE)

    with _served(Relay) as own:
        yield own


@contextlib.contextmanager
def tunnel_proxy(seen: list[str]) -> Iterator[int]:
    """An HTTP proxy that leads TLS on (CONNECT); what it was asked for goes into `seen`."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            seen.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as far:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pass, args=(far, self.connection), daemon=True)
                back.start()
                _pass(self.connection, far)
                back.join(PATIENCE)

        def log_message(self, *_: object) -> None:
            pass

    with _served(Proxy) as own:
        yield own


@contextlib.contextmanager
def recorder(seen: list[Message]) -> Iterator[int]:
    """An HTTP server that gives nothing; the headers of what it was asked go into `seen`."""

    class Recorder(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with _served(Recorder) as own:
        yield own


@contextlib.contextmanager
def answering(status: int, text: str, **headers: str) -> Iterator[int]:
    """An HTTP server that answers everything with that."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with _served(Answering) as own:
        yield own


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextlib.contextmanager
def _served(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """Serve on a free port, each connection in a thread."""
    with _Server((LOOPBACK, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(PATIENCE)


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    _end(sink)


def _end(sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
