"""A response of the protocol, parted: its rows, of which there are many, and the rest, which is short."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

__all__ = ["parted", "rows_within", "whole_rows"]

# The only keys of these names at their places: in a text a quotation mark has a backslash before it.
_BEFORE = b'"data":[['
_BEHIND = b']],"stats":{'

_NEXT = b"],["  # between two rows; in a text it may stand as well


def parted(body: bytes) -> tuple[bytes, bytes | None]:
    """The JSON of a response without its rows, and that of its rows, if it has any.

    >>> parted(b'{"id":"x","data":[[1,2],[3,4]],"stats":{}}')
    (b'{"id":"x","data":null,"stats":{}}', b'[[1,2],[3,4]]')

    The rows stay within it where they stand otherwise than servers put them: see `rows_within`.
    """
    start, end = body.find(_BEFORE), body.rfind(_BEHIND)
    if start < 0 or end < start:
        return body, None
    start += len(_BEFORE) - 2
    return body[:start] + b"null" + body[end + 2 :], body[start : end + 2]


_BLANKS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[ \t\r\n]+', re.DOTALL)


def rows_within(body: bytes) -> bytes:
    """The rows of a response that has some, however it is laid out: as they are written, without blanks.

    They are not read and written anew, as numbers may have more digits than Python's have.

    >>> rows_within(b'{"stats": {}, "data": [[1.50, "a b"], [2, null]], "id": "x"}')
    b'[[1.50,"a b"],[2,null]]'
    """
    text = _BLANKS.sub(lambda found: found[0] if found[0][:1] == b'"' else b"", body).decode()
    decode = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
    key, end = "", 0
    while key != "data":
        key, end = decode(text, end + 1)  # behind the brace, or a comma
        start = end + 1  # behind the colon
        _, end = decode(text, start)
    return text[start:end].encode()


def whole_rows(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The JSON of rows that comes in blocks, as JSON of whole rows, a block at a time.

    The rows' values may be of any type but arrays: what looks like two rows in them is not.

    >>> list(whole_rows([b'[["a],[b",1],[2', b',3],[4,5', b"]]"]))
    [b'[["a],[b",1]]', b'[[2,3]]', b'[[4,5]]']
    """
    rest = b""
    for block in blocks:
        rest += block
        end = _end_of_rows(rest)
        if end:
            yield rest[:end] + b"]"
            rest = b"[" + rest[end + 1 :]
    if rest:
        yield rest


def _end_of_rows(text: bytes) -> int:
    """Where the last whole row ends that another follows; 0 if there is none."""
    place = len(text)
    while (place := text.rfind(_NEXT, 0, place)) > 0:
        if not _quotes(text[:place]) % 2:  # else it stands in a text
            return place + 1
    return 0


def _quotes(text: bytes) -> int:
    """How many quotation marks there are that no backslash stands before."""
    if b"\\" not in text:
        return text.count(b'"')
    plain = text.replace(b"\\\\", b"")
    return plain.count(b'"') - plain.count(b'\\"')
