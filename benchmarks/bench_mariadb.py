"""A million rows of six columns from MariaDB to pandas, and what a statement costs at all."""

from __future__ import annotations

from typing import Any

import harness
import servers

LARGE, SMALL = "1M x 6 to pandas", "SELECT 1 to pandas"
READ = "SELECT * FROM trips"
SMALL_CALLS = 100

bench = harness.Benchmark(
    f"MariaDB: {servers.ROWS:,} rows (bigint, double, varchar, date, datetime(6), decimal(12,2))",
    rounds=3,
    fixture=servers.mariadb,
)


def measured(read: servers.Read) -> harness.Samples:
    """Measure what takes a statement and gives a frame; the small first, as it warms up the large."""
    small = harness.times(
        lambda number: read(f"SELECT {number} AS x"),
        SMALL_CALLS,
        warm_up=10,
        check=lambda df: df.shape == (1, 1),
    )
    large = harness.times(lambda _: read(READ), 1, check=lambda df: df.shape == (servers.ROWS, 6))
    return {LARGE: large, SMALL: small}


@bench.side("pymysql, DataFrame")
def pymysql() -> harness.Samples:
    """Rows; dates and decimals are Python objects."""
    import pandas as pd

    cursor = servers.pymysql_connection().cursor()

    def read(statement: str) -> Any:
        cursor.execute(statement)
        return pd.DataFrame(cursor.fetchall(), columns=[column[0] for column in cursor.description])

    return measured(read)


@bench.side("ours")
def ours() -> harness.Samples:
    """The method."""
    return measured(servers.ours().query)


@bench.side("pandas.read_sql", peer=harness.PEER)
def read_sql() -> harness.Samples:
    """On SQLAlchemy and pymysql."""
    import pandas as pd
    import sqlalchemy

    connection = sqlalchemy.create_engine(servers.url("pymysql")).connect()
    return measured(lambda statement: pd.read_sql(sqlalchemy.text(statement), connection))


@bench.side(harness.PEER, peer=harness.PEER)
def jupysql() -> harness.Samples:
    """The peer's cell magic on SQLAlchemy and pymysql."""
    ip = servers.jupysql(autopandas=True)
    return measured(lambda statement: ip.run_cell_magic("sql", "", statement))


@bench.side(harness.OLD, peer=harness.OLD)
def old() -> harness.Samples:
    """The method, on SQLAlchemy and pymysql."""
    return measured(servers.old().query)


if __name__ == "__main__":
    bench.main()
