"""The bytes of a result of Trino, page by page as ours come, of which nothing is made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import servers

__all__ = ["Wire"]

_NEXT = re.compile(rb'"nextUri":"([^"]+)"')
_HEAD = 4096  # bytes; what is asked for next stands before the rows
_SPOOLED = b'"segments":['
_ENCODINGS = "json+zstd,json+lz4,json"


class Wire:
    """Runs statements and counts the bytes that come.

    Parameters
    ----------
    spooled : bool
        Whether results come from the storage; its segments are not unpacked.
    """

    def __init__(self, spooled: bool) -> None:
        at = servers.given()
        self._url = f"http://{at['host']}:{at['port']}/v1/statement"
        self._headers = {
            "X-Trino-User": at["username"],
            "X-Trino-Catalog": at["catalog"],
            "X-Trino-Schema": at["schema"],
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
        }
        if spooled:
            self._headers["X-Trino-Query-Data-Encoding"] = _ENCODINGS
        self._reading, self._acknowledging = _Connections(), _Connections()
        self._thread = ThreadPoolExecutor(1)  # as the trino client has one to acknowledge segments

    def read(self, statement: str) -> int:
        """Run a statement to its end; how many bytes its answers had."""
        body = self._reading.ask("POST", self._url, self._headers, statement)
        size = 0
        while True:
            size += len(body) + self._segments(body)
            following = _NEXT.search(body, 0, _HEAD)
            if following is None:
                return size
            body = self._reading.ask("GET", str(following[1], "ascii"), self._headers)

    def _segments(self, body: bytes) -> int:
        if body.find(_SPOOLED, 0, _HEAD) < 0:
            return 0
        return sum(self._segment(each) for each in json.loads(body)["data"]["segments"])

    def _segment(self, segment: Mapping[str, Any]) -> int:
        if segment["type"] == "inline":  # it has been counted
            return 0
        headers: Mapping[str, Sequence[str]] = segment.get("headers", {})
        plain = {name: ",".join(values) for name, values in headers.items()}
        size = len(self._reading.ask("GET", segment["uri"], plain))
        self._thread.submit(self._acknowledging.ask, "GET", segment["ackUri"], plain)
        return size


class _Connections:
    """One to each host, kept alive; for one thread."""

    def __init__(self) -> None:
        self._of: dict[str, HTTPConnection] = {}

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: str | None = None) -> bytes:
        """The body of the answer."""
        parts = urlsplit(url)
        connection = self._of.setdefault(parts.netloc, HTTPConnection(parts.netloc))
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, path, body, dict(headers))  # and Accept-Encoding: identity
        answer = connection.getresponse()
        found = answer.read()
        assert answer.status < 300, found[:500]
        return found
