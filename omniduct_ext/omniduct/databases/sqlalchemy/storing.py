"""What Arrow columns become in a table: the types of a new one, and values that keep what they are."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from omniduct.databases.arrow.text import text_column, text_of
from omniduct.databases.arrow.values import pylist
from omniduct.databases.sqlalchemy.dialects import DIALECTS, Dialect
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["create_statement", "storable", "time_as_text", "type_of", "type_of_column"]

_MYSQL = ("mysql", "mariadb")
_WITH_ZONES = ("postgresql", "mssql", "oracle", "snowflake", "duckdb")
_WITH_DURATIONS = ("postgresql", "oracle", "duckdb", *_MYSQL)
_WITH_UNSIGNED = (*_MYSQL, "duckdb")
_BEYOND_SIGNED = 2**63
_SHORT = 4_000  # characters that a VARCHAR holds everywhere


def storable(frame: pa.Table, dialect: str, duct: str) -> pa.Table:
    """The frame in types that a dialect has, or its driver takes; nothing of a value is lost.

    Where there are no zones an instant is the time in UTC. Nested values are JSON; what has no type of its
    own is text.

    Raises
    ------
    DuctStatementError
        A column has parts of a microsecond.
    """
    import pyarrow as pa

    columns = []
    for name, column in zip(frame.column_names, frame.columns, strict=True):
        try:
            columns.append(_converter(dialect)(column))
        except pa.ArrowInvalid as error:
            raise DuctStatementError(
                f"{duct}: the column {name!r} cannot be stored as it is ({str(error).partition(': ')[0]}): "
                f"{column.type} has values that {dialect} has no type for; round or convert them first"
            ) from None
    return pa.table(columns, names=frame.column_names)


def _converter(dialect: str) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    return _for_sqlite if dialect == "sqlite" else lambda column: _common(column, dialect)


def _common(column: pa.ChunkedArray, dialect: str) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    if types.is_timestamp(kind):
        if kind.tz is None:
            return _in_ticks(column.cast(pa.timestamp("us")), dialect)
        utc = column.cast(pa.timestamp("us", "UTC"))
        return utc if dialect in _WITH_ZONES else _in_ticks(utc.cast(pa.timestamp("us")), dialect)
    if types.is_time(kind):
        return _in_ticks(column.cast(pa.time64("us")), dialect)
    if types.is_date(kind):
        return column.cast(pa.date32())
    if types.is_duration(kind):
        return column.cast(pa.duration("us")) if dialect in _WITH_DURATIONS else _texts(column)
    if types.is_uint64(kind) and dialect not in _WITH_UNSIGNED:
        whole = column.cast(pa.decimal128(20, 0))
        return _texts(whole) if _facts(dialect).digits else whole
    if types.is_decimal(kind) and kind.precision > (_facts(dialect).digits or kind.precision):
        return _texts(column)
    if types.is_floating(kind) and dialect in _MYSQL:
        return column.cast(pa.float64())  # it shows six digits of a FLOAT
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if isinstance(kind, pa.BaseExtensionType) or types.is_nested(kind) or types.is_interval(kind):
        return _texts(column)
    return column


def _facts(dialect: str) -> Dialect:
    return DIALECTS.get(dialect, Dialect())


def time_as_text(value: datetime.datetime | datetime.time, dialect: str, duct: str) -> str:
    """A time without a zone as text with as many digits as a dialect takes.

    Raises
    ------
    DuctStatementError
        That would be another time.
    """
    micros, tick = value.microsecond, _facts(dialect).tick
    if micros % tick:
        raise DuctStatementError(
            f"{duct}: {value!s} cannot be bound as it is: {dialect} counts no parts of a second below "
            f"{tick} microseconds; use value.replace(microsecond={micros - micros % tick})"
        )
    text = f"{value.replace(microsecond=0)}.{micros:06d}"
    return text[: len(text) - len(str(tick)) + 1]


def _in_ticks(column: pa.ChunkedArray, dialect: str) -> pa.ChunkedArray:
    """Times as they are, if the dialect can count that finely.

    Raises
    ------
    pyarrow.ArrowInvalid
        It cannot, of which its driver would not say a word.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    tick = _facts(dialect).tick
    counts = column.cast(pa.int64())
    if tick > 1 and not pc.all(pc.equal(pc.multiply(pc.divide(counts, tick), tick), counts)).as_py():
        raise pa.ArrowInvalid("it would lose data")
    return column


def _for_sqlite(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """SQLite has integers, floats, text and bytes: all else is text that reads as the value."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    kind = column.type
    if types.is_uint64(kind):
        most = pc.max(column).as_py()
        return _texts(column) if most is not None and most >= _BEYOND_SIGNED else column.cast(pa.int64())
    if types.is_float16(kind):
        return column.cast(pa.float32())
    held = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind)
    return column if held or _is_bytes(kind) else _texts(column)


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        texts = [None if value is None else text_of(value) for value in pylist(column)]
        return pa.chunked_array([pa.array(texts, pa.string())])
    chunks = [text_column(chunk).cast(pa.string()) for chunk in column.chunks]
    return pa.chunked_array(chunks, pa.string())


def _is_bytes(kind: pa.DataType) -> bool:
    from pyarrow import types

    fixed = types.is_fixed_size_binary(kind)
    return bool(fixed or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def create_statement(
    columns: Sequence[tuple[str, Any]], table: str, quote: Callable[[str], str], dialect: Any
) -> str:
    """The CREATE TABLE for columns of these types.

    Parameters
    ----------
    columns : sequence of tuple
        The names, with types of SQLAlchemy's.
    table : str
        Its name as it is written.
    quote : callable
        Quotes a name.
    dialect : sqlalchemy.Dialect
        Which writes the types.
    """
    written = [f"{quote(name)} {kind.compile(dialect=dialect)}" for name, kind in columns]
    return f"CREATE TABLE {table} ({', '.join(written)})"


def type_of_column(kind: pa.DataType | None, length: Any) -> Any:
    """The type for a column of a result: by its Arrow type, if that is known, and the greatest length."""
    import pyarrow as pa
    import sqlalchemy as sa

    kind = pa.string() if kind is None else kind
    is_short = pa.types.is_string(kind) and isinstance(length, int) and 0 < length <= _SHORT
    return sa.String(length) if is_short else type_of(kind)


def type_of(kind: pa.DataType) -> Any:
    """The type of SQLAlchemy's for an Arrow type of `storable`, with what is better in one dialect."""
    import sqlalchemy as sa
    from pyarrow import types
    from sqlalchemy.dialects import mssql, mysql, oracle

    if types.is_boolean(kind):
        return sa.Boolean()
    if types.is_integer(kind):
        return _integer(kind)
    if types.is_floating(kind):
        double: Any = sa.Double().with_variant(sa.DOUBLE_PRECISION(), "firebird.firebird")
        return double if types.is_float64(kind) else sa.REAL()
    if types.is_decimal(kind):
        return sa.Numeric(max(kind.precision, kind.scale), kind.scale)
    if types.is_date(kind):
        return sa.Date()
    if types.is_time(kind):
        return sa.Time().with_variant(mysql.TIME(fsp=6), *_MYSQL)
    if types.is_duration(kind):
        return sa.Interval().with_variant(mysql.TIME(fsp=6), *_MYSQL)
    if types.is_timestamp(kind):
        zoned = kind.tz is not None
        moment = sa.TIMESTAMP(timezone=zoned).with_variant(mysql.DATETIME(fsp=6), *_MYSQL)
        own: Any = mssql.DATETIMEOFFSET if zoned else mssql.DATETIME2
        return moment.with_variant(own(6), "mssql")
    if _is_bytes(kind):
        return sa.LargeBinary().with_variant(mysql.LONGBLOB(), *_MYSQL)
    text = sa.Text().with_variant(mysql.LONGTEXT(), *_MYSQL).with_variant(mssql.NVARCHAR(), "mssql")
    return text.with_variant(oracle.VARCHAR2(4000), "oracle")  # a CLOB cannot be compared


def _integer(kind: pa.DataType) -> Any:
    import sqlalchemy as sa
    from pyarrow import types
    from sqlalchemy.dialects import mssql, mysql

    unsigned = types.is_unsigned_integer(kind)
    general, own = {
        8: (sa.SmallInteger(), mysql.TINYINT(unsigned=unsigned)),
        16: (sa.Integer() if unsigned else sa.SmallInteger(), mysql.SMALLINT(unsigned=unsigned)),
        32: (sa.BigInteger() if unsigned else sa.Integer(), mysql.INTEGER(unsigned=unsigned)),
        64: (sa.BigInteger(), mysql.BIGINT(unsigned=unsigned)),
    }[kind.bit_width]
    tiny = isinstance(general, sa.SmallInteger) and kind.bit_width == 8 and unsigned
    chosen = general.with_variant(own, *_MYSQL)
    return chosen.with_variant(mssql.TINYINT(), "mssql") if tiny else chosen
