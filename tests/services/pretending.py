"""Coordinators and storages that answer as a test says: for what no real one can be brought to do."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.services.ports import LOOPBACK

from omniduct import Duct
from omniduct.databases.presto import PrestoClient

COLUMNS = [{"name": "x", "type": "bigint"}]
STATS = {"state": "FINISHED"}


@dataclass(frozen=True)
class Asked:
    """A request, and where the server is that it came to."""

    method: str
    path: str
    headers: Message
    body: str
    url: str


@dataclass(frozen=True)
class Answer:
    """An answer."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


Answering = Callable[[Asked], Answer]
SILENCE = Answer(0)  # nothing is said, as long as the test runs


class Pretender:
    """A server, and what it was asked.

    Attributes
    ----------
    asked : list of Asked
        The requests, in order.
    """

    def __init__(self, answer: Answering) -> None:
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self._server = _Listener((LOOPBACK, 0), _handler(self, answer))
        self.port: int = self._server.server_address[1]
        self.url = f"http://{LOOPBACK}:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Pretender:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def times(self, method: str, path: str = "") -> int:
        """How many such requests came."""
        return sum(each.method == method and path in each.path for each in list(self.asked))


@contextlib.contextmanager
def duct_to(server: Pretender, **own: Any) -> Iterator[PrestoClient]:
    """A duct to a pretended coordinator, which is disconnected in the end."""
    place = {"name": "db", "host": LOOPBACK, "port": server.port, "username": "ann", "progress": False}
    duct = Duct.for_protocol("trino")(**{**place, **own})
    assert isinstance(duct, PrestoClient)
    try:
        yield duct
    finally:
        duct.disconnect()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def _handler(server: Pretender, answer: Answering) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            asked = Asked(self.command, self.path, self.headers, body, server.url)
            server.asked.append(asked)
            given = answer(asked)
            if given is SILENCE:
                server.over.wait(60)
                self.close_connection = True
                return
            with contextlib.suppress(ConnectionError):
                self.send_response(given.status)
                for name, value in {**given.headers, "Content-Length": str(len(given.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(given.body.encode())

        do_POST = do_DELETE = do_HEAD = do_GET

    return Handler


def page(asked: Asked, number: int | None = None, **parts: Any) -> dict[str, Any]:
    """A response of the protocol; with a number it leads to the page of that number."""
    leads = {} if number is None else {"nextUri": f"{asked.url}/v1/statement/executing/q1/{number}"}
    return {"id": "q1", "infoUri": f"{asked.url}/ui", **leads, **parts, "stats": STATS}


def compact(value: Any) -> str:
    """As coordinators write it."""
    return json.dumps(value, separators=(",", ":"))


def coordinator(answer: Callable[[Asked], Answer | None]) -> Answering:
    """What a coordinator says of itself, and else what a test says."""

    def answers(asked: Asked) -> Answer:
        if asked.path == "/v1/info":
            return Answer(200, compact({"nodeVersion": {"version": "476"}, "starting": False}))
        if asked.path.startswith("/v1/query/"):
            return Answer(404)
        return answer(asked) or Answer(204)

    return answers


def spooled(uri: str, **headers: Any) -> Answering:
    """A coordinator with one result, which is one segment, at that URL, fetched with those headers."""

    def answer(asked: Asked) -> Answer | None:
        if asked.method == "POST":
            return Answer(200, compact(page(asked, 1)))
        if "/ack/" in asked.path or asked.method == "DELETE":
            return None
        segment = {
            "type": "spooled",
            "uri": uri if "://" in uri else asked.url + uri,
            "ackUri": f"{asked.url}/v1/spooled/ack/s3cretack",
            "metadata": {"segmentSize": len(ROWS)},
            "headers": headers,
        }
        return Answer(
            200, compact(page(asked, columns=COLUMNS, data={"encoding": "json", "segments": [segment]}))
        )

    return coordinator(answer)


ROWS = "[[1],[2]]"


@contextlib.contextmanager
def storage(answer: Answering = lambda asked: Answer(200, ROWS)) -> Iterator[Pretender]:
    """A storage; it has a segment of two rows unless a test says otherwise."""
    with Pretender(answer) as server:
        yield server
