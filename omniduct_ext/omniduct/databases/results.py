"""How the answer to a statement becomes the format that was asked for: one class a format.

A client adds a format, or replaces one, by an entry in its ``CURSOR_FORMATTERS``. A `Formatter` of one's
own needs only a `NAME`, its `OPTIONS` and `Formatter._format`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any, ClassVar

from omniduct.core.arguments import did_you_mean
from omniduct.databases.arrow import cursors
from omniduct.databases.arrow.cursors import Source
from omniduct.databases.arrow.values import pylist
from omniduct.errors import DuctArgumentError, DuctConfigError

if TYPE_CHECKING:  # what makes frames and text is imported where it is used: loading stays quick
    import pyarrow as pa

    from omniduct.databases.arrow.delimited import DelimitedText
    from omniduct.databases.arrow.frames import DtypeBackend

__all__ = [
    "CURSOR_FORMATTERS",
    "ArrowFormatter",
    "CsvFormatter",
    "DictFormatter",
    "Formatter",
    "HiveFormatter",
    "PandasFormatter",
    "ParquetFormatter",
    "PolarsFormatter",
    "RawFormatter",
    "Source",
    "TupleFormatter",
    "formatter",
]

FILE_ROWS = 65_536  # made into text, or into a row group, at a time


class Formatter:
    """A format for results; it reads each source once.

    Parameters
    ----------
    column_name_formatter : callable, optional
        Makes each column's name in the result from that in the answer.

    Raises
    ------
    DuctArgumentError
        An option that the format does not have.
    """

    NAME: ClassVar[str] = ""
    OPTIONS: ClassVar[tuple[str, ...]] = ("column_name_formatter",)

    column_name_formatter: Callable[[str], str] | None = None

    def __init__(self, **format_opts: Any) -> None:
        for option, value in format_opts.items():
            if option not in self.OPTIONS:
                raise DuctArgumentError(
                    f"format {self.NAME!r} has no option {option!r}{did_you_mean(option, self.OPTIONS)} "
                    f"(its options: {', '.join(self.OPTIONS)})"
                )
            setattr(self, option, value)

    def dump(self, source: Source) -> Any:
        """The whole of a source."""
        held = [cursors.arrow_table(source)]
        del source  # so that nobody but the format holds the table
        return self._format(held.pop())

    def stream(self, source: Source) -> Iterator[Any]:
        """A source row by row, each as soon as the driver gives it."""
        for table in cursors.tables(source):
            yield from self._rows(table)

    def stream_batches(self, source: Source, n: int) -> Iterator[Any]:
        """A source in pieces of exactly `n` rows; the last may have fewer."""
        return map(self._format, cursors.pieces(source, n))

    def check_writable(self) -> None:
        """Complain, before anything runs, if this format cannot be written to a file.

        Raises
        ------
        DuctConfigError
            It cannot.
        """
        if type(self).write is Formatter.write:
            raise DuctConfigError(
                f"format {self.NAME!r} cannot be written to a file: use 'csv', 'hive' or 'parquet'"
            )

    def write(self, source: Source, file: IO[bytes]) -> None:
        """Write the whole of a source to a file, in as much memory as one piece of it takes."""
        self.check_writable()

    def _format(self, table: pa.Table) -> Any:
        """A table in this format."""
        raise NotImplementedError

    def _rows(self, table: pa.Table) -> Iterator[Any]:
        """The rows of a table, each in this format."""
        return (self._format(table.slice(row, 1)) for row in range(table.num_rows))

    def _names(self, names: Sequence[str]) -> list[str]:
        change = self.column_name_formatter
        return list(names) if change is None else [change(name) for name in names]

    def _renamed(self, table: pa.Table) -> pa.Table:
        if self.column_name_formatter is None:
            return table
        return table.rename_columns(self._names(table.column_names))


class ArrowFormatter(Formatter):
    """`pyarrow.Table`; a row is a table too."""

    NAME = "arrow"

    def _format(self, table: pa.Table) -> pa.Table:
        from omniduct.databases.arrow.extensions import with_plain_booleans

        return with_plain_booleans(self._renamed(table))


class ParquetFormatter(ArrowFormatter):
    """A Parquet file, compressed with zstd; in memory, its bytes.

    What Parquet has no type for is text as in the csv format; of columns of the same name a later one
    gets a suffix: x, x_1.

    Parameters
    ----------
    compression : str
        As `pyarrow.parquet.ParquetWriter` names it.
    """

    NAME = "parquet"
    OPTIONS = (*Formatter.OPTIONS, "compression")

    compression: str = "zstd"

    def dump(self, source: Source) -> bytes:
        """The bytes of the file."""
        buffer = io.BytesIO()
        self.write(source, buffer)
        return buffer.getvalue()

    def write(self, source: Source, file: IO[bytes]) -> None:
        """Write a row group for every batch."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from omniduct.databases.arrow import frames

        reader = cursors.arrow_reader(source, FILE_ROWS)
        # not Schema.empty_table, which knows no unions
        empty = pa.Table.from_batches([], reader.schema)
        schema = frames.storable(self._renamed(empty)).schema
        with pq.ParquetWriter(file, schema, compression=self.compression) as writer:
            for table in cursors.tables(reader):
                writer.write_table(frames.storable(self._renamed(table)))


class PolarsFormatter(Formatter):
    """`polars.DataFrame`; a row is a frame too."""

    NAME = "polars"

    def _format(self, table: pa.Table) -> Any:
        from omniduct.databases.arrow.frames import to_polars

        return to_polars(self._renamed(table))

    def _rows(self, table: pa.Table) -> Iterator[Any]:
        frame = self._format(table)
        return (frame[row : row + 1] for row in range(frame.height))


class PandasFormatter(Formatter):
    """`pandas.DataFrame`; a row is a `pandas.Series` of objects.

    Parameters
    ----------
    index_fields : str or list of str, optional
        The columns that become the index. Without, the rows of a stream are numbered throughout.
    date_fields : str or list of str, optional
        Columns of text, or of seconds since 1970, that become timestamps.
    dtype_backend : str, optional
        "numpy_nullable", "pyarrow" or "numpy": see `omniduct.databases.arrow.frames.to_pandas`.
    """

    NAME = "pandas"
    OPTIONS = (*Formatter.OPTIONS, "index_fields", "date_fields", "dtype_backend")

    index_fields: str | Sequence[str] | None = None
    date_fields: str | Sequence[str] | None = None
    dtype_backend: DtypeBackend | None = None

    def stream(self, source: Source) -> Iterator[Any]:
        """A source row by row, each a series of objects."""
        for frame in self._numbered(map(self._format, cursors.tables(source))):
            # as objects, or one type for the whole row would be found: an integer beside a float
            rows = frame.astype(object)
            yield from (rows.iloc[row] for row in range(len(rows)))

    def stream_batches(self, source: Source, n: int) -> Iterator[Any]:
        """A source in frames of exactly `n` rows; the last may have fewer."""
        return self._numbered(super().stream_batches(source, n))

    def _numbered(self, frames: Iterator[Any]) -> Iterator[Any]:
        start = 0
        for frame in frames:
            if not self.index_fields:
                frame.index += start
            start += len(frame)
            yield frame

    def _format(self, table: pa.Table) -> Any:
        from omniduct.databases.arrow import frames

        table = self._renamed(table)
        if self.date_fields:
            table = frames.parse_dates(table, self._fields("date_fields", self.date_fields, table))
        index = self._fields("index_fields", self.index_fields or (), table)
        self._check_single(index, table)
        held = [table]
        del table  # so that nobody else holds it, and its columns go as they are converted
        frame = frames.to_pandas(held.pop(), self.dtype_backend)
        return frame.set_index(index) if index else frame

    def _fields(self, option: str, fields: str | Sequence[str], table: pa.Table) -> list[str]:
        listed = [fields] if isinstance(fields, str) else list(fields)
        for field in listed:
            if field not in table.column_names:
                raise DuctArgumentError(
                    f"{option} names {field!r}, which is no column of the result"
                    f"{did_you_mean(field, table.column_names)} "
                    f"(its columns: {', '.join(table.column_names)})"
                )
        return listed

    def _check_single(self, fields: list[str], table: pa.Table) -> None:
        for field in fields:
            count = table.column_names.count(field)
            if count > 1:
                raise DuctArgumentError(
                    f"index_fields names {field!r}, of which the result has {count} columns: "
                    f"name them apart in the statement (AS)"
                )


class RawFormatter(Formatter):
    """A list of rows as the driver gives them; tuples where it gives Arrow data."""

    NAME = "raw"

    def dump(self, source: Source) -> list[Any]:
        """All rows."""
        return list(self.stream(source))

    def stream(self, source: Source) -> Iterator[Any]:
        """The rows, one by one."""
        return cursors.raw_rows(source)

    def stream_batches(self, source: Source, n: int) -> Iterator[list[Any]]:
        """The rows, in lists of `n`."""
        cursors.check_size(n)
        rows = self.stream(source)
        return iter(lambda: list(islice(rows, n)), [])


class TupleFormatter(RawFormatter):
    """A list of tuples of plain Python values."""

    NAME = "tuple"

    def stream(self, source: Source) -> Iterator[tuple[Any, ...]]:
        """The rows, one by one."""
        return cursors.rows(source)


class DictFormatter(RawFormatter):
    """A list of dicts; of columns of the same name a later one gets a suffix: x, x_1."""

    NAME = "dict"

    def stream(self, source: Source) -> Iterator[dict[str, Any]]:
        """The rows, one by one."""
        names, source = cursors.opened(source)
        from omniduct.databases.arrow.frames import unique_names

        keys = unique_names(self._names(names))
        return (dict(zip(keys, row, strict=True)) for row in cursors.raw_rows(source))


class CsvFormatter(Formatter):
    """CSV as text, in UTF-8 when written; a stream's rows and pieces are the same text, cut.

    Null is nothing between the delimiters and an empty text is ``""``. Bytes are hexadecimal, lists and
    structs JSON.

    Parameters
    ----------
    include_header : bool
        Whether the first line has the column names.
    **format_params
        Any of `FORMAT_PARAMS`.

    Attributes
    ----------
    FORMAT_PARAMS : dict
        For all of the class: delimiter, quotechar, quoting (of the module `csv`: QUOTE_MINIMAL,
        QUOTE_ALL or QUOTE_NONNUMERIC), lineterminator, and null, the text for it.
    """

    NAME = "csv"
    FORMAT_PARAMS: ClassVar[Mapping[str, Any]] = {
        "delimiter": ",",
        "quotechar": '"',
        "quoting": csv.QUOTE_MINIMAL,
        "lineterminator": "\n",
        "null": "",
    }
    OPTIONS = (*Formatter.OPTIONS, "include_header", *FORMAT_PARAMS)

    include_header: bool = True

    def __init__(self, **format_opts: Any) -> None:
        super().__init__(**format_opts)
        given = {name: value for name, value in format_opts.items() if name in self.FORMAT_PARAMS}
        self._text = self._delimited({**self.FORMAT_PARAMS, **given})

    def _delimited(self, params: Mapping[str, Any]) -> DelimitedText:
        from omniduct.databases.arrow.delimited import CsvText

        return CsvText(**params)

    def dump(self, source: Source) -> str:
        """All of the text."""
        names, source = cursors.opened(source)
        return "".join([*self._header(names), *map(self._format, cursors.tables(source))])

    def stream(self, source: Source) -> Iterator[str]:
        """The lines, each with its end; the header first."""
        names, source = cursors.opened(source)
        return chain(self._header(names), super().stream(source))

    def stream_batches(self, source: Source, n: int) -> Iterator[str]:
        """The text of `n` rows at a time; the first piece has the header as well."""
        names, source = cursors.opened(source)
        return _begun_with("".join(self._header(names)), super().stream_batches(source, n))

    def write(self, source: Source, file: IO[bytes]) -> None:
        """Write the text to a file in binary mode, as UTF-8."""
        from omniduct.databases.arrow.delimited import encoded

        names, source = cursors.opened(source)
        for line in self._header(names):
            file.write(line.encode())
        for table in cursors.tables(source):
            for lines in self._lines(table):
                file.write(encoded(lines))

    def _header(self, names: list[str]) -> list[str]:
        return [self._text.header(self._names(names))] if self.include_header and names else []

    def _format(self, table: pa.Table) -> str:
        from omniduct.databases.arrow.delimited import encoded

        return "".join(str(encoded(lines), "utf-8") for lines in self._lines(table))

    def _rows(self, table: pa.Table) -> Iterator[str]:
        return (line for lines in self._lines(table) for line in pylist(lines))

    def _lines(self, table: pa.Table) -> Iterator[pa.Array]:
        return map(self._text.lines, table.to_batches(max_chunksize=FILE_ROWS))


class HiveFormatter(CsvFormatter):
    r"""Tab-separated text as Hive's text tables have it, ``ESCAPED BY '\\'``: null is ``\N``.

    A backslash stands before a tab and a backslash; line ends are ``\n`` and ``\r``. Bytes are Base64,
    lists and structs JSON.

    Parameters
    ----------
    include_header : bool
        Whether the first line has the column names; by default not, for Hive has no such line.
    **format_params
        Any of `FORMAT_PARAMS`: delimiter, lineterminator, null.
    """

    NAME = "hive"
    FORMAT_PARAMS: ClassVar[Mapping[str, Any]] = {"delimiter": "\t", "lineterminator": "\n", "null": r"\N"}
    OPTIONS = (*Formatter.OPTIONS, "include_header", *FORMAT_PARAMS)

    include_header: bool = False

    def _delimited(self, params: Mapping[str, Any]) -> DelimitedText:
        from omniduct.databases.arrow.delimited import HiveText

        return HiveText(**params)


def _begun_with(header: str, texts: Iterator[str]) -> Iterator[str]:
    first = header + next(texts, "")
    if first:
        yield first
    yield from texts


CURSOR_FORMATTERS: dict[str, type[Formatter]] = {
    each.NAME: each
    for each in (
        PandasFormatter,
        PolarsFormatter,
        ArrowFormatter,
        TupleFormatter,
        DictFormatter,
        ParquetFormatter,
        CsvFormatter,
        HiveFormatter,
        RawFormatter,
    )
}


def formatter(
    name: str,
    options: Mapping[str, Any] | None = None,
    formatters: Mapping[str, type[Formatter]] = CURSOR_FORMATTERS,
) -> Formatter:
    r"""The formatter of a name, with its options.

    Raises
    ------
    DuctConfigError
        There is no format of that name.
    DuctArgumentError
        The format has no such option.

    Examples
    --------
    >>> import pyarrow
    >>> formatter("csv", {"delimiter": ";"}).dump(pyarrow.table({"x": [1], "y": ["a;b"]}))
    'x;y\n1;"a;b"\n'
    """
    if name not in formatters:
        raise DuctConfigError(
            f"there is no format {name!r}{did_you_mean(str(name), formatters)} "
            f"(the formats: {', '.join(formatters)})"
        )
    return formatters[name](**(options or {}))
