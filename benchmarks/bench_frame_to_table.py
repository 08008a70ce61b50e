"""A frame of a million rows and six columns into a new table of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import harness
import servers

if TYPE_CHECKING:
    import pandas as pd

MEASURE = "a row into a table"
CALLS = 3
SLOW_ROWS = 200_000

bench = harness.Benchmark(
    f"pandas to PostgreSQL: {servers.ROWS:,} rows (int64, float64, str, two datetime64, int64), "
    f"{CALLS} times a process; by SQLAlchemy {SLOW_ROWS:,} rows, once",
    rounds=3,
    fixture=servers.postgresql,
)


def measured(
    write: Callable[[pd.DataFrame, str], object], rows: int = SLOW_ROWS, calls: int = 1
) -> harness.Samples:
    """Measure what makes a table of a frame, and see that others find the rows in it."""
    df = servers.frame(rows)
    write(df.head(10), "few")

    def call(number: int) -> str:
        write(df, f"written{number}")
        return f"written{number}"

    seconds = harness.times(call, calls, check=lambda table: servers.rows_dropped(table) == rows)
    servers.rows_dropped("few")
    return {MEASURE: [each / rows for each in seconds]}


@bench.side("ADBC")
def adbc() -> harness.Samples:
    """The driver's binary COPY of an Arrow table, which is made of the frame."""
    import pyarrow as pa
    from adbc_driver_postgresql import dbapi

    cursor = dbapi.connect(servers.url(), autocommit=True).cursor()

    def write(df: pd.DataFrame, table: str) -> None:
        cursor.adbc_ingest(table, pa.Table.from_pandas(df), mode="create")

    return measured(write, servers.ROWS, CALLS)


@bench.side("ours")
def ours() -> harness.Samples:
    """The method."""
    return measured(servers.ours().dataframe_to_table, servers.ROWS, CALLS)


def to_sql(**options: Any) -> harness.Samples:
    """Measure pandas on SQLAlchemy and psycopg2."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(servers.url("psycopg2"))
    return measured(lambda df, table: df.to_sql(table, engine, index=False, **options))


@bench.side("pandas.to_sql", peer=harness.PEER)
def to_sql_plain() -> harness.Samples:
    """As it is without further arguments."""
    return to_sql()


@bench.side("pandas.to_sql, multi", peer=harness.PEER)
def to_sql_multi() -> harness.Samples:
    """A thousand rows to a statement."""
    return to_sql(method="multi", chunksize=1000)


@bench.side(f"{harness.PEER}, --persist", peer=harness.PEER)
def jupysql() -> harness.Samples:
    """The peer's line magic, of a variable named like the table."""
    ip = servers.jupysql()

    def write(df: pd.DataFrame, table: str) -> None:
        ip.user_ns[table] = df
        ip.run_line_magic("sql", f"--persist {table} --no-index")

    return measured(write)


@bench.side(harness.OLD, peer=harness.OLD)
def old() -> harness.Samples:
    """The method; without a schema it takes the database for one."""
    db = servers.old()
    return measured(lambda df, table: db.dataframe_to_table(df, f"public.{table}"))


if __name__ == "__main__":
    bench.main()
