"""A million rows of six columns from PostgreSQL to pandas, and what a statement costs at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import harness
import servers

if TYPE_CHECKING:
    import pandas as pd

TRIPS, COUNTS = "1M x 6 to pandas", "1M x 6 to pandas, no decimals"
ONE = "SELECT 1 to pandas"
CALLS, SMALL_CALLS = 3, 100

bench = harness.Benchmark(
    f"PostgreSQL: {servers.ROWS:,} rows (bigint, double, varchar, date, timestamp, decimal(12,2) or bigint)",
    rounds=3,
    fixture=servers.postgresql,
)
for large in (TRIPS, COUNTS):
    bench.goal(large, "ours", 1.1, against="ADBC")


def measured(read: servers.Read, calls: int = CALLS) -> harness.Samples:
    """Measure what takes a statement and gives a frame; the small first, as it warms up the large."""
    small = harness.times(
        lambda number: read(f"SELECT {number} AS x"),
        SMALL_CALLS,
        warm_up=10,
        check=lambda df: df.shape == (1, 1),
    )
    warm_up = 1 if calls > 1 else 0
    trips = harness.times(lambda _: read("SELECT * FROM trips"), calls, warm_up, check=is_large)
    counts = harness.times(lambda _: read("SELECT * FROM counts"), calls, warm_up, check=is_large)
    return {TRIPS: trips, COUNTS: counts, ONE: small}


def is_large(df: pd.DataFrame) -> bool:
    """See that it has the rows."""
    return df.shape == (servers.ROWS, 6)


@bench.side("ADBC")
def adbc() -> harness.Samples:
    """The driver's Arrow by pyarrow; dates become Python objects, and it has decimals as text."""
    from adbc_driver_postgresql import dbapi

    cursor = dbapi.connect(servers.url(), autocommit=True).cursor()

    def read(statement: str) -> Any:
        cursor.execute(statement)
        return cursor.fetch_arrow_table().to_pandas()

    return measured(read)


@bench.side("ADBC, fetch_df")
def adbc_fetch_df() -> harness.Samples:
    """The driver's own way to pandas."""
    from adbc_driver_postgresql import dbapi

    cursor = dbapi.connect(servers.url(), autocommit=True).cursor()

    def read(statement: str) -> Any:
        cursor.execute(statement)
        return cursor.fetch_df()

    return measured(read)


@bench.side("ours")
def ours() -> harness.Samples:
    """The method."""
    return measured(servers.ours().query)


@bench.side("psycopg 3, DataFrame")
def psycopg() -> harness.Samples:
    """Rows."""
    import pandas as pd

    connection = servers.psycopg_connection()

    def read(statement: str) -> Any:
        cursor = connection.execute(statement)
        return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])

    return measured(read, calls=1)


@bench.side(harness.PEER, peer=harness.PEER)
def jupysql() -> harness.Samples:
    """The peer's cell magic on SQLAlchemy and psycopg2."""
    ip = servers.jupysql(autopandas=True)
    return measured(lambda statement: ip.run_cell_magic("sql", "", statement), calls=1)


@bench.side(harness.OLD, peer=harness.OLD)
def old() -> harness.Samples:
    """The method, on SQLAlchemy and psycopg2."""
    return measured(servers.old().query, calls=1)


@bench.side("connectorx", peer=harness.PEER)
def connectorx() -> harness.Samples:
    """A reader in Rust, which has decimals as floats; it connects anew for each statement."""
    try:
        import connectorx
    except ImportError as error:
        raise harness.Skipped(str(error)) from error
    return measured(lambda statement: connectorx.read_sql(servers.url(), statement), calls=1)


if __name__ == "__main__":
    bench.main()
