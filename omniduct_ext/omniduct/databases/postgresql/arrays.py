"""PostgreSQL's arrays, which the driver gives without their dimensions: as text, {1,NULL,{"a b"}}."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["array_literal", "nested", "vectors"]

_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([{},])|([^{},"]+)')
_BOUNDS = re.compile(r"^(?:\[[-\d]+:[-\d]+\])+=")


def nested(texts: list[str | None], elements: Callable[[list[str | None]], Any]) -> pa.ChunkedArray:
    """Lists as deep as the arrays are; as text where they are not all of one depth."""
    import pyarrow as pa

    parsed = [None if text is None else _parsed(text) for text in texts]
    depths = {depth for value in parsed if value and (depth := _depth(value))}
    if len(depths) > 1:
        return pa.chunked_array([pa.array(texts, pa.string())])
    depth = depths.pop() if depths else 1
    return pa.chunked_array([_lists(parsed, depth, elements)])


def _parsed(text: str) -> list[Any]:
    """The lists and texts of an array, of which an empty one has no dimensions."""
    whole: list[Any] = []
    open_lists = [whole]
    for quoted, mark, bare in _tokens(_BOUNDS.sub("", text)):
        if mark == "{":
            inner: list[Any] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif mark == "}":
            open_lists.pop()
        elif bare:
            open_lists[-1].append(None if bare == "NULL" else bare)
        elif not mark:
            open_lists[-1].append(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
    return whole[0]  # type: ignore[no-any-return]


def _tokens(text: str) -> Iterator[tuple[str, str, str]]:
    for match in _ELEMENT.finditer(text):
        yield match[1] or "", match[2] or "", match[3] or ""


def _depth(value: list[Any]) -> int:
    depth = 0
    while isinstance(value, list) and value:
        depth, value = depth + 1, value[0]
    return depth


def _lists(parsed: list[Any], depth: int, elements: Callable[[list[str | None]], Any]) -> pa.Array:
    import pyarrow as pa

    if depth == 0:
        return elements(parsed)
    offsets: list[int | None] = []
    flat: list[Any] = []
    for value in parsed:
        offsets.append(None if value is None else len(flat))
        flat.extend(value or ())
    offsets.append(len(flat))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _lists(flat, depth - 1, elements))


def vectors(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The lists of the catalog's vectors, which are written "1 2"."""
    import pyarrow as pa

    parsed = [None if text is None else [int(word) for word in text.split()] for text in values.to_pylist()]
    return pa.chunked_array([pa.array(parsed, pa.list_(pa.int64()))])


def array_literal(value: Any) -> str:
    """A value within an array, as the server writes it: {{1,NULL},{"a b","c"}}."""
    if isinstance(value, list):
        return "{" + ",".join(map(array_literal, value)) + "}"
    if value is None:
        return "NULL"
    if isinstance(value, dict):
        text = json.dumps(value, default=str)
    else:
        text = f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
