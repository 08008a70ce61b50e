"""A frame of 100,000 rows and six columns into a new table of Trino."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import harness
import servers

if TYPE_CHECKING:
    import pandas as pd

MEASURE = "a row into a table"
ROWS, SOME_ROWS, FEW_ROWS = 100_000, 2_000, 50
CALLS = 3
MAKE = """
    CREATE TABLE {} (id bigint, distance double, driver varchar, day timestamp(0), began timestamp(6),
    passengers bigint)
"""

bench = harness.Benchmark(
    f"pandas to Trino (int64, float64, str, two datetime64, int64): {ROWS:,} rows, {CALLS} times a process; "
    f"by others {SOME_ROWS:,} in statements of many, {FEW_ROWS} one by one, once",
    rounds=3,
    fixture=servers.trino,
)


def measured(
    write: Callable[[pd.DataFrame, str], object], rows: int = FEW_ROWS, calls: int = 1
) -> harness.Samples:
    """Measure what makes a table of a frame, and see that others find the rows in it."""
    df = servers.frame(rows)
    write(df.head(2), "few")

    def call(number: int) -> str:
        write(df, f"written{number}")
        return f"written{number}"

    seconds = harness.times(call, calls, check=lambda table: servers.rows_dropped(table) == rows)
    servers.rows_dropped("few")
    return {MEASURE: [each / rows for each in seconds]}


@bench.side("trino client, executemany")
def executemany() -> harness.Samples:
    """A statement for every row."""
    cursor = servers.trino_connection().cursor()

    def write(df: pd.DataFrame, table: str) -> None:
        cursor.execute(MAKE.format(table))
        cursor.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)", list(_rows(df)))
        cursor.fetchall()

    return measured(write)


@bench.side("trino client, one INSERT")
def one_insert() -> harness.Samples:
    """All rows as the parameters of one statement, which cannot be of more than a million characters."""
    cursor = servers.trino_connection().cursor()

    def write(df: pd.DataFrame, table: str) -> None:
        cursor.execute(MAKE.format(table))
        places = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(df))
        cursor.execute(f"INSERT INTO {table} VALUES {places}", [value for row in _rows(df) for value in row])
        cursor.fetchall()

    return measured(write, SOME_ROWS)


def _rows(df: pd.DataFrame) -> Any:
    return df.itertuples(index=False, name=None)


@bench.side("ours")
def ours() -> harness.Samples:
    """The method."""
    return measured(servers.ours().dataframe_to_table, ROWS, CALLS)


def to_sql(rows: int, **options: Any) -> harness.Samples:
    """Measure pandas on SQLAlchemy and the trino client."""
    engine = servers.trino_engine()
    return measured(lambda df, table: df.to_sql(table, engine, index=False, **options), rows)


@bench.side("pandas.to_sql", peer=harness.PEER)
def to_sql_plain() -> harness.Samples:
    """As it is without further arguments."""
    return to_sql(FEW_ROWS)


@bench.side("pandas.to_sql, multi", peer=harness.PEER)
def to_sql_multi() -> harness.Samples:
    """A thousand rows to a statement."""
    return to_sql(SOME_ROWS, method="multi", chunksize=1000)


@bench.side(f"{harness.PEER}, --persist", peer=harness.PEER)
def jupysql() -> harness.Samples:
    """The peer's line magic, of a variable named like the table."""
    ip = servers.jupysql(servers.trino_engine())

    def write(df: pd.DataFrame, table: str) -> None:
        ip.user_ns[table] = df
        ip.run_line_magic("sql", f"--persist {table} --no-index")

    return measured(write)


if __name__ == "__main__":
    bench.main()
