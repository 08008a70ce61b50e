"""The rows of a frame as queries that give them, a column at a time: one literal of JSON for each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omniduct.core.arguments import did_you_mean
from omniduct.databases.presto.encoding import DIGITS, Encoder, JsonText, encoder
from omniduct.databases.presto.exactness import fitted
from omniduct.databases.presto.fitting import has_nanoseconds, is_text, spelled, stored
from omniduct.databases.presto.types import parsed
from omniduct.databases.tables import literal
from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Rows", "in_unit", "of_new", "of_table"]


@dataclass(frozen=True)
class _Column:
    """A column: its name in the table, its values, how they are sent, and the type that they are cast to.

    `about` is how a complaint of it begins.
    """

    name: str
    values: pa.ChunkedArray
    encoder: Encoder
    about: str
    target: str = ""

    @property
    def _is_row(self) -> bool:
        return self.encoder.carrier.startswith("row(")

    @property
    def is_finest(self) -> bool:
        """Whether there are parts of a microsecond in a column of a new table."""
        return not self.target and has_nanoseconds(self.values)

    def source(self, start: int, count: int) -> str:
        """An array of values for UNNEST, which would make columns of a row: that is within another array."""
        import orjson

        with _about(self.about):
            values = self.encoder.values(self.values.slice(start, count).combine_chunks())
        carrier = self.encoder.carrier
        if self._is_row:
            values, carrier = [[value] for value in values], f"array({carrier})"
        return f"CAST(json_parse({literal(orjson.dumps(values).decode())}) AS array({carrier}))"

    def expression(self, x: str) -> str:
        """The value, from what UNNEST gives for it."""
        made = self.encoder.expression(f"{x}[1]" if self._is_row else x)
        return made if self.target in ("", self.encoder.kind) else f"CAST({made} AS {self.target})"


class Rows:
    """Rows that are sent.

    Attributes
    ----------
    count : int
        How many they are.
    names : str
        The names of the columns, as they are written.
    finest : list of str
        The columns of a new table with times that have parts of a microsecond.
    """

    def __init__(self, columns: list[_Column], quote: Callable[[str], str]) -> None:
        self._columns = columns
        self.count = len(columns[0].values)
        self.names = ", ".join(quote(column.name) for column in columns)
        aliases = [f"c{n}" for n in range(len(columns))]
        made = (
            f"{column.expression(alias)} AS {quote(column.name)}"
            for column, alias in zip(columns, aliases, strict=True)
        )
        self.finest = [column.name for column in columns if column.is_finest]
        self._head = f"SELECT {', '.join(made)} FROM UNNEST("
        self._end = f") AS r ({', '.join(aliases)})"

    def query(self, start: int, count: int) -> str:
        """A query that gives some of them."""
        sources = ", ".join(column.source(start, count) for column in self._columns)
        return f"{self._head}{sources}{self._end}"


def of_new(frame: pa.Table, has_digits: bool, quote: Callable[[str], str], duct: str) -> Rows:
    """The rows of a frame for a table that is made of it.

    Parameters
    ----------
    has_digits : bool
        Whether times have a precision, as in Trino; in Presto it is always milliseconds.
    quote : callable
        Quotes a name.
    duct : str
        Its name, for messages.

    Raises
    ------
    DuctArgumentError
        The server has no type that loses nothing of a column, or takes two names for the same.
    """
    _check_names(frame.column_names, duct)
    columns = []
    for name, column in zip(frame.column_names, frame.columns, strict=True):
        about = f"{duct}: the column {name!r}, which is {column.type}, cannot be stored as it is"
        with _about(about):
            values = stored(column, has_digits)
        columns.append(_Column(name, values, encoder(values.type, has_digits), about))
    return Rows(columns, quote)


def of_table(
    frame: pa.Table,
    there: Mapping[str, str],
    table: str,
    has_digits: bool,
    quote: Callable[[str], str],
    duct: str,
) -> Rows:
    """The rows of a frame for a table that is there, whose columns go by their names.

    Parameters
    ----------
    there : Mapping
        Its columns: name -> type.
    table : str
        Its name, for messages.

    Raises
    ------
    DuctArgumentError
        It has no such column, or one that does not hold the values.
    """
    _check_names(frame.column_names, duct)
    columns = []
    for name, column in zip(frame.column_names, frame.columns, strict=True):
        own = _matched(name, there, f"{duct}: the table {table}")
        wanted = parsed(there[own])
        about = f"{duct}: the column {name!r} does not fit into the table's, which is {there[own]}"
        with _about(about):
            values = fitted(column, wanted)
            values = stored(column, has_digits) if values is None else values
        is_json = wanted.name == "json" and is_text(column.type)
        sent = JsonText("json") if is_json else encoder(values.type, has_digits)
        columns.append(_Column(own, values, sent, about, spelled(wanted)))
    return Rows(columns, quote)


def in_unit(frame: pa.Table, unit: str, duct: str) -> pa.Table:
    """The frame with all timestamps without a zone in a unit.

    Raises
    ------
    DuctArgumentError
        A column would lose something.
    """
    import pyarrow as pa

    for n, field in enumerate(frame.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            with _about(f"{duct}: the column {field.name!r} does not fit into timestamp({DIGITS[unit]})"):
                frame = frame.set_column(n, field.name, frame.column(n).cast(pa.timestamp(unit)))
    return frame


def _check_names(names: list[str], duct: str) -> None:
    """Complain about names that are the same to the server, which knows no case."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise DuctArgumentError(
                f"{duct}: the columns {other!r} and {name!r} of the frame are of one name to the server, for "
                "which capitals are small letters: rename one"
            )


def _matched(name: str, there: Mapping[str, str], what: str) -> str:
    if name.lower() in there:
        return name.lower()
    near = did_you_mean(name, list(there)) or f"; its columns are {', '.join(there)}"
    raise DuctArgumentError(f"{what} has no column {name!r}, which the frame has{near}")


@contextlib.contextmanager
def _about(what: str) -> Iterator[None]:
    """Within this, Arrow's complaints are about a column."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        failure = DuctArgumentError(f"{what}: {str(error).partition(chr(10))[0]}; round or convert it first")
    else:
        return
    raise failure
