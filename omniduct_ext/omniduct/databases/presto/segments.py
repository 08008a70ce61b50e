"""Results of the spooling protocol: a page names segments, which are fetched from where they were put."""

from __future__ import annotations

import base64
import http
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from omniduct.databases.presto.refusals import reason_of
from omniduct.databases.presto.transport import Origin
from omniduct.errors import DuctConnectionError, DuctError, DuctStatementError

if TYPE_CHECKING:
    import requests

    from omniduct.databases.presto.link import Link
    from omniduct.databases.presto.query import Query

__all__ = ["ENCODINGS", "Segment", "segments_of"]

ENCODINGS = ["json+zstd", "json+lz4", "json"]
"""How a segment may be written, the best first."""

_BLOCK = 1 << 20  # bytes that are unpacked at a time


class Segment:
    """Rows as they were fetched, packed: so they wait for their turn.

    Parameters
    ----------
    data : bytes
        What was fetched.
    encoding : str
        One of `ENCODINGS`.
    size : int, optional
        The bytes that they have unpacked; None if they are not packed, whatever the encoding says.
    owner : str
        The name of the duct, for errors.
    """

    def __init__(self, data: bytes, encoding: str, size: int | None, owner: str) -> None:
        self._data = data
        self._encoding = "json" if size is None else encoding
        self._size = size
        self._owner = owner

    def __len__(self) -> int:
        return len(self._data)

    def blocks(self) -> Iterator[bytes]:
        """The rows as JSON, cut anywhere.

        Raises
        ------
        DuctStatementError
            The encoding is none of those that were asked for.
        """
        if self._encoding == "json+zstd":
            return self._of_zstd()
        if self._encoding == "json+lz4":
            import lz4.block

            return _cut(lz4.block.decompress(self._data, uncompressed_size=self._size))
        if self._encoding == "json":
            return _cut(self._data)
        raise DuctStatementError(
            f"{self._owner}: the server sends segments in the encoding {self._encoding!r}, which nobody "
            "asked for"
        )

    def _of_zstd(self) -> Iterator[bytes]:
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(self._data) as reader:
            while block := reader.read(_BLOCK):
                yield block


def _cut(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK))


def segments_of(data: Mapping[str, Any], link: Link, query: Query) -> Iterator[Segment]:
    """The segments that a page names, one at a time.

    Raises
    ------
    DuctConnectionError
        The storage cannot be reached.
    DuctStatementError
        It does not give a segment.
    """
    for segment in data["segments"]:
        query.check()
        size = segment["metadata"].get("uncompressedSize")
        yield Segment(
            _data(segment, link, query), data["encoding"], None if size is None else int(size), link.name
        )


def _data(segment: Mapping[str, Any], link: Link, query: Query) -> bytes:
    if segment["type"] == "inline":
        return base64.b64decode(segment["data"])
    if segment["type"] == "spooled":
        return _fetched(segment, link, query)
    raise DuctStatementError(
        f"{link.name}: the server sends a segment of the kind {segment['type']!r}, which is not known here: "
        "set spooling: false"
    )


def _fetched(segment: Mapping[str, Any], link: Link, query: Query) -> bytes:
    uri, headers = str(segment["uri"]), _headers(segment)
    try:
        response = link.fetch(query, uri, headers)
    except OSError as error:  # as all of requests are
        failure: DuctError = _lost(link.name, uri, error)
    else:
        fault = _fault(response, segment["metadata"])
        if not fault:
            if ack := segment.get("ackUri"):
                link.acknowledge(str(ack), headers)  # the storage may let it go
            return bytes(response.content)
        failure = DuctStatementError(
            f"{link.name}: the storage at {Origin.of(response.url).url} does not give a part of the result "
            f"({fault}): run it again, or set spooling: false"
        )
    raise failure  # not from within `except`: what is chained may show the URL, which opens the storage


def _headers(segment: Mapping[str, Any]) -> dict[str, str]:
    """The headers with which a segment is to be fetched; each may have several values."""
    given = (segment.get("headers") or {}).items()
    return {
        str(name): values if isinstance(values, str) else ", ".join(map(str, values))
        for name, values in given
    }


def _lost(owner: str, uri: str, error: OSError) -> DuctError:
    """What to tell where the storage did not answer; without its URLs, which open it."""
    import requests

    asked = getattr(getattr(error, "request", None), "url", None) or uri
    timeout = isinstance(error, requests.Timeout)
    reason = "it does not answer" if timeout else reason_of(error)
    if "?" in reason or "/" in reason:
        reason = type(error).__name__
    return DuctConnectionError(
        f"{owner}: the storage at {Origin.of(asked).url} that the server refers to cannot be reached from "
        f"here ({reason}): set spooling: false, or open the way to it"
    )


def _fault(response: requests.Response, metadata: Mapping[str, Any]) -> str:
    """Why a response is not the segment that was asked for; empty if it is."""
    if not response.ok or response.is_redirect:
        return f"{response.status_code} {_phrase(response.status_code)}".strip()
    size = metadata.get("segmentSize")
    if size is not None and int(size) != len(response.content):
        return f"it sends {len(response.content)} bytes instead of {int(size)}"
    return ""


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
