"""Servers of files, of FTP and HTTP, within this process."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

USER, PASSWORD = "ann", "p@ss:word"


@dataclass
class Served:
    """Where a server is, and what it was asked."""

    port: int
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def ftp(folder: Path) -> Iterator[Served]:
    """Within this block there is an FTP server of a folder, for one user."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

    logging.getLogger("pyftpdlib").setLevel(logging.ERROR)
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(folder), perm="elradfmwMT")

    class Handler(FTPHandler):  # type: ignore[misc]
        def on_login(self, username: str) -> None:
            served.requests.append(username)

    Handler.authorizer = authorizer
    server = FTPServer(("127.0.0.1", 0), Handler, ioloop=IOLoop())
    served = Served(server.address[1])
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"timeout": 0.05, "handle_exit": False}, daemon=True
    )
    thread.start()
    try:
        yield served
    finally:
        server.ioloop.call_later(0, server.close_all)  # in its own thread
        thread.join(10)


@contextlib.contextmanager
def http(folder: Path, login: bool = False, ranges: bool = False) -> Iterator[Served]:
    """Within this block there is an HTTP server; it may ask for a login, and give parts of files."""
    wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            served.requests.append(f"{self.headers.get('Host')} {format % args}")

        def send_head(self) -> Any:
            if login and self.headers.get("Authorization") != wanted:
                self.send_error(401)
                return None
            part = self.headers.get("Range", "").removeprefix("bytes=").split("-")
            path = Path(self.translate_path(self.path))
            if not ranges or len(part) != 2 or not path.is_file():
                return super().send_head()
            size = path.stat().st_size
            first, last = int(part[0]), min(int(part[1] or size - 1), size - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            return io.BytesIO(path.read_bytes()[first : last + 1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    served = Served(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
