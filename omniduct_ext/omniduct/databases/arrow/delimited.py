"""Tables as delimited text, made column by column by Arrow."""

from __future__ import annotations

import base64
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omniduct.databases.arrow.text import text_column
from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CsvText", "DelimitedText", "HiveText", "encoded"]

# In the text of no number, date or time.
_IN_NO_NUMBER = frozenset(",;|\t\"'`~^\x01\x1e\x1f")


@dataclass(frozen=True, kw_only=True)
class DelimitedText:
    """How rows become lines: what stands between two values, at the end, and for null."""

    delimiter: str
    lineterminator: str
    null: str

    def header(self, names: Sequence[str]) -> str:
        """The line of the column names."""
        import pyarrow as pa

        return str(self.lines(pa.record_batch([pa.array([name]) for name in names], list(names)))[0])

    def lines(self, batch: pa.RecordBatch) -> pa.Array:
        """One string a row, each with its line terminator."""
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = [self._cells(column) for column in batch.columns]
        if not cells:
            return pa.array([], pa.large_string())
        last = cells[-1].fill_null(self._null(batch.num_columns))
        ended = pc.binary_join_element_wise(last, _large(self.lineterminator), _large(""))
        return pc.binary_join_element_wise(
            *cells[:-1], ended, _large(self.delimiter), null_handling="replace", null_replacement=self.null
        )

    def _null(self, columns: int) -> str:
        return self.null

    def _cells(self, column: pa.Array) -> pa.Array:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class CsvText(DelimitedText):
    """Values are quoted where they have to be, and so is a text that reads as null."""

    delimiter: str = ","
    lineterminator: str = "\n"
    null: str = ""
    quotechar: str = '"'
    quoting: int = csv.QUOTE_MINIMAL

    def __post_init__(self) -> None:
        if self.quoting not in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
            raise DuctArgumentError(
                f"quoting={self.quoting!r} is none of QUOTE_MINIMAL, QUOTE_ALL and QUOTE_NONNUMERIC"
            )

    def _null(self, columns: int) -> str:
        # readers skip an empty line
        return self.null or self.quotechar * 2 if columns == 1 else self.null

    def _cells(self, column: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        texts = text_column(column)
        quotes_all = self.quoting == csv.QUOTE_ALL
        if quotes_all or (self.quoting == csv.QUOTE_NONNUMERIC and not _is_number(column.type)):
            return self._quoted(texts)
        if not self.null and _has_none_of(column.type, self.delimiter, self.quotechar):
            return texts
        special = "|".join(map(re.escape, (self.delimiter, self.quotechar, "\r", "\n", self.lineterminator)))
        needed = pc.match_substring_regex(texts, rf"{special}|\A{re.escape(self.null)}\z")
        return pc.if_else(needed, self._quoted(texts), texts) if pc.any(needed).as_py() else texts

    def _quoted(self, texts: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        doubled = pc.replace_substring(texts, self.quotechar, self.quotechar * 2)
        quote = _large(self.quotechar)
        return pc.binary_join_element_wise(quote, doubled, quote, _large(""))


@dataclass(frozen=True, kw_only=True)
class HiveText(DelimitedText):
    r"""What Hive's `LazySimpleSerDe` reads where a table is ``ESCAPED BY '\\'``.

    Line ends are ``\n`` and ``\r``; before the delimiter and a backslash stands a backslash (Hive reads
    ``\t`` as the letter t). Binary values are Base64.
    """

    delimiter: str = "\t"
    lineterminator: str = "\n"
    null: str = r"\N"

    def _cells(self, column: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        texts = text_column(column, binary=lambda value: base64.b64encode(value).decode("ascii"))
        if _has_none_of(column.type, self.delimiter):
            return texts
        escapes = {"\\": r"\\", self.delimiter: "\\" + self.delimiter, "\n": r"\n", "\r": r"\r"}
        if pc.any(pc.match_substring_regex(texts, "|".join(map(re.escape, escapes)))).as_py():
            for plain, escaped in escapes.items():
                texts = pc.replace_substring(texts, plain, escaped)
        return texts


def encoded(lines: pa.Array) -> memoryview:
    r"""The lines' text as UTF-8, which is how Arrow keeps it: nothing is copied.

    >>> import pyarrow
    >>> bytes(encoded(pyarrow.array(["a\n", "b\n"], pyarrow.large_string())))
    b'a\nb\n'
    """
    _, offsets, data = lines.buffers()
    if not len(lines) or data is None:
        return memoryview(b"")
    places = memoryview(offsets).cast("q")
    return memoryview(data)[places[lines.offset] : places[lines.offset + len(lines)]]


def _large(text: str) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(text, pa.large_string())


def _has_none_of(kind: pa.DataType, *marks: str) -> bool:
    """Whether no value of a type can have one of these in its text, so that it need not be searched."""
    from pyarrow import types

    is_moment = types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind)
    return (is_moment or _is_number(kind)) and _IN_NO_NUMBER.issuperset(marks)


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    is_real = types.is_floating(kind) or types.is_decimal(kind)
    return bool(is_real or types.is_integer(kind) or types.is_boolean(kind))
