"""Arrow tables as data frames: nothing loses a value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from omniduct.core.arguments import did_you_mean
from omniduct.databases.arrow.extensions import inner_fields, plain_column, plain_type
from omniduct.databases.arrow.memory import Leftovers
from omniduct.databases.arrow.text import text_column
from omniduct.databases.arrow.values import pylist
from omniduct.errors import DuctArgumentError, DuctDriverMissing

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["DtypeBackend", "parse_dates", "storable", "to_pandas", "to_polars", "unique_names"]

DtypeBackend = Literal["numpy_nullable", "pyarrow", "numpy"]

# Makes one column of a pandas frame: an array, an extension array, or a series.
_Build = Callable[["pa.ChunkedArray"], Any]


def to_pandas(table: pa.Table, dtype_backend: DtypeBackend | None = None) -> pd.DataFrame:
    """A table as a data frame that can be changed and that holds the same values.

    By default integers and booleans are numpy's, the nullable ``Int64`` and ``boolean`` where there are
    nulls; a float's null is NaN; decimals are exact (``ArrowDtype``); dates are ``datetime64[s]``,
    timestamps and durations keep their unit and zone; text is pandas' string type, an enum categorical.
    All else is Python objects as `omniduct.databases.arrow.values.pylist` makes them, an interval a
    `pandas.DateOffset`. Columns of the same name stay.

    Parameters
    ----------
    dtype_backend : str, optional
        As pandas names them: "numpy_nullable" for nullable types throughout, "pyarrow" for Arrow's; or
        "numpy" for the classic types, where integers with nulls become floats.

    Examples
    --------
    >>> import pyarrow
    >>> to_pandas(pyarrow.table({"x": [2**53 + 1, None]}))["x"].tolist()
    [9007199254740993, <NA>]
    """
    import pandas as pd

    if dtype_backend == "numpy":
        return _with_signed_words(table).to_pandas()  # type: ignore[no-any-return]
    if dtype_backend == "pyarrow":
        return _without_extensions(table).to_pandas(types_mapper=_arrow_dtype)  # type: ignore[no-any-return]
    builders = _builders(dtype_backend)
    rows, names, waiting = table.num_rows, tuple(table.column_names), table.columns[::-1]
    if not names:
        return pd.DataFrame(index=pd.RangeIndex(rows))
    del table  # if nobody else holds it, each column goes when it has been converted
    columns, leftovers = [], Leftovers()
    while waiting:
        size = waiting[-1].nbytes
        columns.append(builders.get(waiting[-1].type.id, _objects)(waiting.pop()))
        leftovers.add(size)
    leftovers.end()
    return _assembled(columns, _index(names).view(), rows)


def _assembled(columns: list[Any], names: pd.Index, rows: int) -> pd.DataFrame:
    """A frame of ready columns, by the way that pandas has for that: a third of its constructor's time."""
    import numpy as np
    import pandas as pd

    try:
        from pandas.api.internals import create_dataframe_from_blocks  # type: ignore[import-not-found]
    except ImportError:  # pandas 2
        frame = pd.DataFrame(dict(enumerate(columns)), copy=False)
        frame.columns = names
        return frame
    blocks = [(_block(column), np.array([place])) for place, column in enumerate(columns)]
    return create_dataframe_from_blocks(blocks, index=_numbers(rows).view(), columns=names)  # type: ignore[no-any-return]


def _block(column: Any) -> Any:
    """A column as the values of a block: what is numpy's has two dimensions there."""
    import numpy as np
    import pandas as pd

    values = column.array if isinstance(column, pd.Series) else column
    if isinstance(values, pd.arrays.NumpyExtensionArray):
        values = values.to_numpy()
    return values.reshape(1, -1) if isinstance(values, np.ndarray) else values


@functools.lru_cache(maxsize=256)
def _numbers(rows: int) -> pd.RangeIndex:
    """The index of so many rows, to give out views of."""
    import pandas as pd

    return pd.RangeIndex(rows)


@functools.lru_cache(maxsize=256)
def _index(names: tuple[str, ...]) -> pd.Index:
    """The index of column names: of which each frame gets a view, as an index can be given a name."""
    import pandas as pd

    return pd.Index(list(names))


def _arrow_dtype(kind: pa.DataType) -> pd.ArrowDtype | None:
    import pandas as pd
    from pyarrow import types

    # a column of intervals could not even be shown
    return None if types.is_interval(kind) else pd.ArrowDtype(kind)


@functools.cache
def _builders(dtype_backend: str | None) -> dict[int, _Build]:
    """By the id of the Arrow type; a type that is not here becomes Python objects."""
    import pandas as pd
    import pyarrow as pa

    if dtype_backend not in (None, *get_args(DtypeBackend)):
        known = ", ".join(get_args(DtypeBackend))
        raise DuctArgumentError(
            f"dtype_backend={dtype_backend!r} is none of pandas' (they are {known})"
            f"{did_you_mean(str(dtype_backend), get_args(DtypeBackend))}"
        )
    always = dtype_backend == "numpy_nullable"
    nullable = {
        pa.bool_(): pd.BooleanDtype(),
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
    }
    floats: dict[Any, Any] = {pa.float32(): pd.Float32Dtype(), pa.float64(): pd.Float64Dtype()}
    builders: dict[int, _Build] = {
        **{kind.id: functools.partial(_nullable, dtype, always) for kind, dtype in nullable.items()},
        **{kind.id: dtype.__from_arrow__ if always else _numpy for kind, dtype in floats.items()},
        **{kind.id: _numpy for kind in (pa.float16(), pa.date64(), pa.duration("us"))},
        **{kind.id: _decimals for kind in (pa.decimal128(1), pa.decimal256(1))},
        pa.date32().id: _dates,
        pa.timestamp("us").id: _timestamps,
        pa.month_day_nano_interval().id: lambda column: column.to_pandas(),
        pa.dictionary(pa.int8(), pa.null()).id: _categorical,
        pa.uuid().id: functools.partial(_extension, dtype_backend),
    }
    text = _text_dtype(always)
    builders |= {kind.id: text.__from_arrow__ for kind in (pa.string(), pa.large_string())}
    builders[pa.string_view().id] = lambda column: text.__from_arrow__(column.cast(pa.large_string()))
    return builders


def _text_dtype(nullable: bool) -> Any:
    """The text type of pandas: since version 3 its missing values are NaN, unless asked for otherwise."""
    import numpy as np
    import pandas as pd

    if nullable or int(pd.__version__.partition(".")[0]) < 3:
        return pd.StringDtype("pyarrow")
    return pd.StringDtype("pyarrow", na_value=np.nan)


def _nullable(dtype: Any, always: bool, column: pa.ChunkedArray) -> Any:
    return dtype.__from_arrow__(column) if always or column.null_count else _numpy(column)


def _numpy(column: pa.ChunkedArray) -> Any:
    """A numpy array that can be written to; what Arrow shares with numpy cannot."""
    array = column.to_numpy()
    return array if array.flags.writeable else array.copy()


def _decimals(column: pa.ChunkedArray) -> Any:
    import pandas as pd

    dtype: Any = pd.ArrowDtype(column.type)
    return dtype.__from_arrow__(column)


def _dates(column: pa.ChunkedArray) -> Any:
    return column.to_numpy().astype("datetime64[s]")


def _timestamps(column: pa.ChunkedArray) -> Any:
    import pandas as pd

    if column.type.tz is None:
        return _numpy(column)
    return pd.DatetimeTZDtype(column.type.unit, column.type.tz).__from_arrow__(column).copy()


def _categorical(column: pa.ChunkedArray) -> Any:
    return _signed_words(column).to_pandas()


def _with_signed_words(table: pa.Table) -> pa.Table:
    from pyarrow import types

    for index, column in enumerate(table.columns):
        if types.is_dictionary(column.type):
            table = table.set_column(index, table.column_names[index], _signed_words(column))
    return table


def _signed_words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    # pyarrow 18 refuses the unsigned indices that DuckDB has
    signed = [
        pa.DictionaryArray.from_arrays(
            chunk.indices.cast(pa.int64()), chunk.dictionary, ordered=column.type.ordered
        )
        for chunk in column.chunks
    ]
    kind = pa.dictionary(pa.int64(), column.type.value_type, column.type.ordered)
    return pa.chunked_array(signed, kind)


def _objects(column: pa.ChunkedArray) -> Any:
    import pandas as pd

    # as a series, for pandas would make text of an array of strings
    return pd.Series(pylist(column), dtype=object)


def _extension(dtype_backend: str | None, column: pa.ChunkedArray) -> Any:
    plain = plain_column(column)
    return _objects(column) if plain is None else _builders(dtype_backend)[plain.type.id](plain)


def _without_extensions(table: pa.Table) -> pa.Table:
    """A table for those who show an extension's values as bytes, if at all, and know no unions."""
    import pyarrow as pa

    columns = [_without_extension(column) for column in table.columns]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _without_extension(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        plain = plain_column(column)
        return _text(column) if plain is None else plain
    kind = plain_type(column.type)
    if kind is None or pa.types.is_union(kind):
        return _text(column)
    return column if kind == column.type else column.cast(kind)


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array([text_column(chunk) for chunk in column.chunks], pa.large_string())


def storable(table: pa.Table) -> pa.Table:
    """A table that Parquet can hold and others can read: without extension types, unions and intervals."""
    plain = _without_extensions(table)
    for index, column in enumerate(plain.columns):
        if _has_interval(column.type):
            plain = plain.set_column(index, plain.column_names[index], _text(column))
    return plain.rename_columns(unique_names(plain.column_names))


def _has_interval(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_interval(kind)) or any(_has_interval(field.type) for field in inner_fields(kind))


def parse_dates(table: pa.Table, fields: Sequence[str]) -> pa.Table:
    """A table whose columns of these names are timestamps: read from text, or seconds since 1970.

    Text that is not in ISO form is read by `pandas.to_datetime`.
    """
    for index, name in enumerate(table.column_names):
        if name in fields:
            table = table.set_column(index, name, _parsed(table.column(index), name))
    return table


def _parsed(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    if types.is_temporal(kind):
        return column
    if types.is_integer(kind):
        return column.cast(pa.timestamp("s"))
    if types.is_floating(kind) or types.is_decimal(kind):
        micros = pa.compute.multiply(column.cast(pa.float64()), 1e6)
        return pa.compute.round(micros).cast(pa.int64()).cast(pa.timestamp("us"))
    text = _text(column)
    for target in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return text.cast(target)
        except pa.ArrowInvalid:
            continue
    return _parsed_by_pandas(text, name)


def _parsed_by_pandas(text: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    import pandas as pd
    import pyarrow as pa

    try:
        return pa.chunked_array([pa.array(pd.to_datetime(text.to_pandas()), from_pandas=True)])
    except ValueError as error:
        raise DuctArgumentError(f"date_fields names {name!r}, whose values are no dates: {error}") from None


def to_polars(table: pa.Table) -> pl.DataFrame:
    """A table as a polars frame of the same values.

    polars has no two columns of one name: a later one gets a suffix (see `unique_names`). What polars
    has no type for is text as in the csv format, an interval a struct of months, days and nanoseconds.

    >>> import pyarrow
    >>> to_polars(pyarrow.table([[1], ["a"]], names=["x", "x"])).columns
    ['x', 'x_1']
    """
    try:
        import polars as pl
    except ImportError as error:
        raise DuctDriverMissing("polars is not installed: pip install polars") from error
    import pyarrow as pa

    columns = [_for_polars(column) for column in _without_extensions(table).columns]
    names = unique_names(table.column_names)
    return pl.DataFrame(pl.from_arrow(pa.Table.from_arrays(columns, names=names)))


def _for_polars(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_interval(kind):
        return pa.chunked_array([_interval_struct(chunk) for chunk in column.chunks], _interval_type())
    if pa.types.is_decimal256(kind):
        try:
            return column.cast(pa.decimal128(38, kind.scale))
        except pa.ArrowInvalid:
            return _text(column)
    if pa.types.is_timestamp(kind) and str(kind.tz or "").startswith(("+", "-")):
        return column.cast(pa.timestamp(kind.unit, "UTC"))  # polars knows zones by name alone
    return column if _polars_knows(kind) and _polars_holds(column) else _text(column)


def _interval_type() -> pa.DataType:
    import pyarrow as pa

    return pa.struct({"months": pa.int32(), "days": pa.int32(), "nanoseconds": pa.int64()})


def _interval_struct(array: pa.Array) -> pa.Array:
    import pyarrow as pa

    names = [field.name for field in _interval_type()]
    values = [
        None if value is None else {name: getattr(value, name) for name in names} for value in pylist(array)
    ]
    return pa.array(values, _interval_type())


def _polars_holds(column: pa.ChunkedArray) -> bool:
    """Whether polars can show all dates and times: 24:00:00 would be null, and an infinite date a panic."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if not (pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind)):
        return True
    counts = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    ends = pc.min_max(counts)
    ends = pa.array([ends["min"].as_py(), ends["max"].as_py()], counts.type)
    return not any(isinstance(end, str) for end in pylist(ends.view(kind)))


def _polars_knows(kind: pa.DataType) -> bool:
    from pyarrow import types

    inner = inner_fields(kind)
    if inner:
        names_differ = len({field.name for field in inner}) == len(inner)
        return names_differ and all(_polars_knows(field.type) for field in inner)
    unknown = types.is_interval(kind) or types.is_decimal256(kind) or types.is_union(kind)
    encoded = types.is_run_end_encoded(kind) or types.is_list_view(kind) or types.is_large_list_view(kind)
    return not (unknown or encoded)


def unique_names(names: Sequence[str]) -> list[str]:
    """Names of which none comes twice, by the suffixes that DuckDB gives.

    >>> unique_names(["x", "x", "y", "x"])
    ['x', 'x_1', 'y', 'x_2']
    """
    taken: set[str] = set()
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        candidate = name
        while candidate in taken:
            counts[name] = counts.get(name, 0) + 1
            candidate = f"{name}_{counts[name]}"
        taken.add(candidate)
        unique.append(candidate)
    return unique
