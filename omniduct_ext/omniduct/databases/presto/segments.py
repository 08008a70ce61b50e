"""Results of the spooling protocol: a page names segments, which are fetched from where they were put."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
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
    """The segments that a page names, one at a time."""
    for segment in data["segments"]:
        query.check()
        size = segment["metadata"].get("uncompressedSize")
        yield Segment(
            _fetched(segment, link), data["encoding"], None if size is None else int(size), link.name
        )


def _fetched(segment: Mapping[str, Any], link: Link) -> bytes:
    from trino.client import InlineSegment, SpooledSegment

    if segment["type"] == "inline":
        return bytes(InlineSegment(cast("Any", segment)).data)
    spooled = SpooledSegment(cast("Any", segment), link.reader, link.host, dict(link.state.headers))
    data = bytes(spooled.data)
    spooled.acknowledge()  # in a thread of the driver's: the storage may let it go
    return data
