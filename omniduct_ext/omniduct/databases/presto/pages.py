"""A response of the protocol, parted: its rows, of which there are many, and the rest, which is short."""

from __future__ import annotations

__all__ = ["parted"]

# The only keys of these names at their places: in a text a quotation mark has a backslash before it.
_BEFORE = b'"data":[['
_BEHIND = b']],"stats":{'


def parted(body: bytes) -> tuple[bytes, bytes | None]:
    """The JSON of a response without its rows, and that of its rows, if it has any.

    >>> parted(b'{"id":"x","data":[[1,2],[3,4]],"stats":{}}')
    (b'{"id":"x","data":null,"stats":{}}', b'[[1,2],[3,4]]')

    The rows stay within it where they stand at another place than servers put them.
    """
    start, end = body.find(_BEFORE), body.rfind(_BEHIND)
    if start < 0 or end < start:
        return body, None
    start += len(_BEFORE) - 2
    return body[:start] + b"null" + body[end + 2 :], body[start : end + 2]
