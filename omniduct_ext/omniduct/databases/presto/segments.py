"""Results of the spooling protocol: a page names segments, which are fetched from where they were put."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    from omniduct.databases.presto.link import Link
    from omniduct.databases.presto.query import Query

__all__ = ["ENCODINGS", "rows_of"]

ENCODINGS = ["json+zstd", "json+lz4", "json"]
"""How a segment may be written, the best first."""


def rows_of(data: Mapping[str, Any], link: Link, query: Query) -> Iterator[bytes]:
    """The rows of a page's segments, as JSON, one segment at a time."""
    for segment in data["segments"]:
        query.check()
        yield _unpacked(_fetched(segment, link), data["encoding"], segment["metadata"], link.name)


def _fetched(segment: Mapping[str, Any], link: Link) -> bytes:
    from trino.client import InlineSegment, SpooledSegment

    if segment["type"] == "inline":
        return bytes(InlineSegment(cast("Any", segment)).data)
    spooled = SpooledSegment(cast("Any", segment), link.reader, link.host, dict(link.state.headers))
    data = bytes(spooled.data)
    spooled.acknowledge()  # in a thread of the driver's: the storage may let it go
    return data


def _unpacked(data: bytes, encoding: str, metadata: Mapping[str, Any], name: str) -> bytes:
    """A segment's JSON; a small one is not compressed, whatever the encoding says."""
    size = metadata.get("uncompressedSize")
    if size is None or encoding == "json":
        return data
    if encoding == "json+zstd":
        import zstandard

        return zstandard.ZstdDecompressor().decompress(data, max_output_size=int(size))
    if encoding == "json+lz4":
        import lz4.block

        return bytes(lz4.block.decompress(data, uncompressed_size=int(size)))
    raise DuctStatementError(
        f"{name}: the server sends segments in the encoding {encoding!r}, which nobody asked for"
    )
