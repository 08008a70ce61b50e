"""The rows of a page in Arrow, column by column.

A page's rows are JSON: an array of arrays. Where no column is nested, they are as good as CSV, which Arrow
reads in threads, without Python's lock, straight into the columns' types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from omniduct.databases.arrow.memory import pool
from omniduct.databases.presto.decoding import Decoder, decoder, loaded
from omniduct.databases.presto.types import SqlType, parsed
from omniduct.databases.session.running import tell
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns"]

# What JSON writes with a backslash, and bytes that stand for it, of those that JSON never has in a text.
_ESCAPES = {
    b"\\\\": (b"\x01", "\\"),
    b'\\"': (b"\x02", '"'),
    b"\\n": (b"\x03", "\n"),
    b"\\t": (b"\x04", "\t"),
    b"\\r": (b"\x05", "\r"),
    b"\\b": (b"\x06", "\b"),
    b"\\f": (b"\x07", "\f"),
}


class Columns:
    """Makes tables of a result's pages, all of one schema.

    Parameters
    ----------
    described : sequence of dict
        The columns as the service describes them: ``name`` and ``type``.
    owner : str
        The name of the duct, for errors.
    """

    def __init__(self, described: Sequence[dict[str, Any]], owner: str) -> None:
        self._owner = owner
        self.names = [str(column["name"]) for column in described]
        self._decoders = [decoder(_type(column)) for column in described]
        self._are_strange = any(each.is_strange for each in self._decoders)
        # The columns of which it has not been seen that their values come as text.
        self._unsure = {n for n, each in enumerate(self._decoders) if each.kind.is_nested or each.is_strange}
        self._told: set[str] = set()  # the columns of which a doubt was told

    @property
    def is_flat(self) -> bool:
        """Whether no value is a list or an object of JSON."""
        return not self._unsure

    def empty(self) -> pa.Table:
        """A table without rows."""
        import pyarrow as pa

        return pa.Table.from_arrays([pa.nulls(0, each.arrow) for each in self._decoders], names=self.names)

    def table(self, rows: bytes) -> pa.Table:
        """The rows of a page, which are an array of arrays in JSON.

        Raises
        ------
        DuctStatementError
            A value is beyond what its Arrow type can hold.
        """
        import pyarrow as pa

        arrays = self._by_csv(rows) or self._by_json(rows)
        self._tell_doubts()
        return pa.Table.from_arrays(arrays, names=self.names)

    def _tell_doubts(self) -> None:
        """Say, once for a column, that a clock showed a moment of it twice."""
        for name, each in zip(self.names, self._decoders, strict=True):
            if each.doubtful and name not in self._told:
                self._told.add(name)
                tell(
                    f"{self._owner}: {min(each.doubtful)!r} in the column {name!r} is an hour that the "
                    "clocks there showed twice, and the server does not say which is meant: such moments are "
                    "taken for the first. To have them exactly, add AT TIME ZONE 'UTC' in the statement"
                )

    def _by_json(self, rows: bytes) -> list[Any]:
        found = self._made("", loaded, rows, self._are_strange)
        values = list(zip(*found, strict=True)) or [()] * len(self.names)
        for n in list(self._unsure):
            present = {type(value) for value in values[n] if value is not None}
            if present == {str}:
                self._unsure.remove(n)
        each = zip(self.names, self._decoders, values, strict=True)
        return [self._made(name, decoder.of_values, column) for name, decoder, column in each]

    def _by_csv(self, rows: bytes) -> list[Any] | None:
        """The columns by Arrow's reader of CSV; None where a row is not as good as one of CSV."""
        import pyarrow as pa

        text = _unescaped(rows) if self.is_flat and rows.startswith(b"[[") else None
        if text is None:
            return None
        lines = pa.py_buffer(text.replace(b"],[", b"\n")).slice(2)
        lines = lines.slice(0, lines.size - 2)
        try:
            columns = _read(lines, [each.read_as for each in self._decoders])
        except pa.ArrowInvalid:  # a value that only our own parsing knows: a year after 9999, say
            try:
                columns = _read(lines, [pa.string()] * len(self._decoders))
            except pa.ArrowInvalid:  # a value that is no text nor a number
                return None
        if any(_holds_newline(column) for column in columns):  # a text had "],[" in it
            return None
        each = zip(self.names, self._decoders, columns, strict=True)
        return [self._made(name, _finished, decoder, column, text) for name, decoder, column in each]

    def _made(self, name: str, make: Callable[..., Any], *arguments: Any) -> Any:
        """What `make` gives; its error names the column, or it is about all of them."""
        import pyarrow as pa

        try:
            return make(*arguments)
        except (DuctStatementError, pa.ArrowException, ValueError, TypeError) as error:
            what = f"the column {name!r}" if name else "the rows"
            failure = DuctStatementError(f"{self._owner}: {what} cannot be read: {error}")
        raise failure


def _type(column: dict[str, Any]) -> SqlType:
    """The type of a column, of which Presto says more than Trino does."""
    return parsed(str(column["type"]), "literalArguments" in (column.get("typeSignature") or {}))


def _unescaped(rows: bytes) -> bytes | None:
    """JSON without backslashes; None where it has others than those of `_ESCAPES`."""
    if b"\\" not in rows:
        return rows
    for written, (stand_in, _) in _ESCAPES.items():
        rows = rows.replace(written, stand_in)
    return None if b"\\" in rows else rows


def _read(lines: pa.Buffer, types: list[pa.DataType]) -> list[Any]:
    import pyarrow as pa
    from pyarrow import csv

    names = [str(number) for number in range(len(types))]
    return list(
        csv.read_csv(
            pa.BufferReader(lines),
            read_options=csv.ReadOptions(column_names=names, block_size=lines.size + 1),
            parse_options=csv.ParseOptions(double_quote=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=dict(zip(names, types, strict=True)),
                null_values=["null"],
                true_values=["true"],
                false_values=["false"],
                timestamp_parsers=[csv.ISO8601],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
            memory_pool=pool(),
        ).columns
    )


def _holds_newline(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    return column.type == pa.string() and bool(pc.any(pc.match_substring(column, "\n")).as_py())


def _finished(decoder: Decoder, column: pa.ChunkedArray, text: bytes) -> pa.ChunkedArray:
    """A column that was read as CSV, in its own type."""
    import pyarrow as pa

    if column.type != pa.string():
        return column
    return pa.chunked_array(
        [decoder.of_texts(_restored(chunk, text)) for chunk in column.chunks], decoder.arrow
    )


def _restored(texts: pa.Array, text: bytes) -> pa.Array:
    """Texts with what stood behind a backslash."""
    import pyarrow.compute as pc

    for stand_in, meant in _ESCAPES.values():
        if stand_in in text:
            texts = pc.replace_substring(texts, str(stand_in, "ascii"), meant)
    return texts
