"""Frames of people's own as Arrow tables, on their way into a database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_of"]


def arrow_of(df: Any, name: str) -> pa.Table:
    """A pandas, polars or Arrow frame as an Arrow table; pandas' index is no column of it.

    Parameters
    ----------
    name : str
        Of the duct, for messages.

    Raises
    ------
    DuctArgumentError
        It is no frame, has no columns or two of one name, or a column holds values of several kinds.
    """
    import pyarrow as pa

    table = _table(df, name)
    if not table.num_columns:
        raise DuctArgumentError(f"{name}: the frame has no columns, and so makes no table")
    doubled = {column for column in table.column_names if table.column_names.count(column) > 1}
    if doubled:
        raise DuctArgumentError(
            f"{name}: the frame has several columns {sorted(doubled)[0]!r}: a table takes a name once"
        )
    return pa.Table.from_arrays([_plain(column) for column in table.columns], names=table.column_names)


def _table(df: Any, name: str) -> pa.Table:
    import pyarrow as pa

    if isinstance(df, pa.Table):
        return df
    if isinstance(df, (pa.RecordBatch, pa.RecordBatchReader)):
        return pa.table(df) if isinstance(df, pa.RecordBatch) else df.read_all()
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and isinstance(df, pandas.DataFrame):
        return _of_pandas(df, name)
    if hasattr(df, "collect") and hasattr(df, "collect_schema"):  # a lazy frame of polars
        df = df.collect()
    if hasattr(df, "__arrow_c_stream__"):
        return pa.table(df)
    raise DuctArgumentError(
        f"{name}: a table is made of a pandas, polars or Arrow frame, not of a {type(df).__name__}; "
        "pandas.DataFrame(...) makes one of lists and dicts"
    )


def _of_pandas(df: Any, name: str) -> pa.Table:
    import pyarrow as pa

    from omniduct.databases.arrow.inference import infer

    columns = []
    for number, label in enumerate(df.columns):
        series = df.iloc[:, number]
        try:
            columns.append(pa.array(series, from_pandas=True))
        except (pa.ArrowException, TypeError):
            columns.append(infer([None if _is_missing(value) else value for value in series]))
        if isinstance(columns[-1], pa.ChunkedArray):
            columns[-1] = columns[-1].combine_chunks()
        if not isinstance(label, str):
            raise DuctArgumentError(f"{name}: the frame's column {label!r} has no name: rename it to a text")
    return pa.Table.from_arrays(columns, names=list(df.columns))


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without dictionaries."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column
